"""A fleet of devices in one run: its data plane, its releases and rounds, what they cost and what became of them.

The engine knows this object and nothing of devices. Source: chapter, 'Edge AI Deployment'.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scenarios.edge import Edge
from scenarios.edge_power import Cell
from sim.edge_plane import EdgePlane
from sim.edge_result import EdgeResult, class_energy
from sim.federated import Rounds
from sim.releases import Releases

if TYPE_CHECKING:
    from sim.engine import Run

BYTES_PER_GB = 1e9


class EdgeFleet:
    """The fleet of one run."""

    def __init__(self, run: Run, edge: Edge, plane: EdgePlane) -> None:
        self.run, self.plan, self.plane = run, edge, plane
        self.releases = Releases(run, edge, plane)
        self.rounds = None if edge.federated is None else Rounds(run, edge.federated, plane)

    def post(self) -> None:
        """Post what the fleet has cost besides its releases; call it once, when the run is over."""
        ota, ledger, windows = self.plan.ota, self.run.ledger, self.run.scenario.windows
        self.traffic = self.plane.devices.traffic(0, windows)
        sent = float(self.traffic["bytes_sent"].sum() + self.traffic["bytes_up"].sum())
        ledger.post("ota", ota.price * sent / BYTES_PER_GB)
        ledger.post("ota", ota.brick_price * float(self.traffic["bricks"].sum()))
        replaced = self.plane.devices.cell_replacements()
        for kind, number in zip(self.plan.devices, replaced, strict=True):
            if isinstance(kind.power, Cell):
                ledger.post("ota", kind.power.price * float(number))
        if self.plan.offload is not None:
            asked = self.run.world.requests * self.plane.offloaded
            ledger.post("serving", math.fsum(self.plan.offload.price * asked))

    def result(self) -> EdgeResult:
        """What became of the fleet; after `post`."""
        plane, causes = self.plane, self.run.causes
        brought = {release for release, _ in plane.fleet_incidents.brought}
        bad = {
            release.number
            for release in self.releases.all
            if release.defective
            or release.number in brought
            or causes.harm.get(release.version.number, 0.0) > 0.0
        }
        numbers = range(len(plane.versions))
        return EdgeResult(
            self.run.scenario,
            tuple(self.releases.all),
            tuple(plane.versions),
            frozenset(bad),
            plane.mix_of_windows(),
            plane.states,
            plane.tiers_of_classes,
            plane.offloaded,
            plane.latency,
            self.run.world.requests,
            self.traffic,
            tuple(tuple(int(n) for n in plane.devices.installed(number)) for number in numbers),
            class_energy(plane.devices, self.plan),
        )
