"""Releases: what becomes of a validated candidate where devices in the field must take it.

    handed over by the pipeline -> waits for its release train -> leaves for the first wave -> holds -> next wave -> ...
    at the end of each wave: halted, and recalled, where reports are significantly bad

One release is in waves at a time. A newer candidate waits until it is through; of several that wait, for the train or
for the waves of another one, only the newest leaves, and the others are superseded. A release that was complete, or
halted, is never opened again. Source: chapter, 'Edge AI Deployment', 'Deployment and Iteration'.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy

from scenarios.edge import Edge
from scenarios.units import format_duration
from sim.deployment import answer
from sim.failure_causes import on_deployed, on_rolled_back
from sim.kernels.sampling import uniform_once
from sim.quality import Version
from sim.randomness import moment_number
from sim.release_tests import failures_found, proxies_found

if TYPE_CHECKING:
    from sim.edge_plane import EdgePlane
    from sim.engine import Run

Process = Generator[simpy.Event, Any, None]
_TIME_SLACK = 1e-9


@dataclass
class Release:
    """A version on its way to the devices; moments in days, None for what has not happened."""

    number: int
    version: Version
    left: float
    """First wave."""
    defective: bool = False
    waves: list[tuple[float, float]] = field(default_factory=list)
    """Moments, and the share of the devices that may take it from then on."""
    complete: float | None = None
    """All may take it."""
    halted: float | None = None
    recalled: bool = False

    @property
    def name(self) -> str:
        """Name in events."""
        return f"version {self.version.number}"


@dataclass(eq=False)
class Waiting:
    """A candidate that has not left, and what tells it that a newer one will in its place."""

    candidate: Version
    superseded: simpy.Event


class Releases:
    """The releases of one run, and those that wait."""

    def __init__(self, run: Run, edge: Edge, plane: EdgePlane) -> None:
        self.run, self.edge, self.plane = run, edge, plane
        self.lane = simpy.Resource(run.env)
        self.waiting: Waiting | None = None
        self.all: list[Release] = []
        """Those that have left, the first model not among them."""

    def release(self, candidate: Version) -> Process:
        """Wait for the train and for the release before, then go out in waves; or be superseded by a newer one."""
        run, mine = self.run, Waiting(candidate, self.run.env.event())
        if self.waiting is not None:
            self.waiting.superseded.succeed()
        self.waiting = mine
        until_train = self._until_train()
        if until_train > _TIME_SLACK:
            run.record(
                "release waits", f"version {candidate.number}", f"train in {format_duration(until_train)}"
            )
            yield run.env.timeout(until_train) | mine.superseded
        with self.lane.request() as turn:
            yield turn | mine.superseded
            if mine.superseded.triggered:
                run.record("superseded", f"version {candidate.number}", "a newer release leaves in its place")
                return
            self.waiting = None
            if candidate.cut < self.plane.champion.version.cut:
                run.record("superseded", f"version {candidate.number}", "a newer model is in service")
                return
            yield from self._waves(self._leave(candidate))

    def restore(self, version: Version) -> None:
        """Somebody takes the newest release back: devices on it go back to their other slot when they check in."""
        newest = self._newest()
        if newest is not None:
            self._withdraw(newest, recall=True)
            self.run.record("recall", newest.name, "by hand")
        self.plane.go_live(version, self.run.now)

    # ------------------------------------------------------------ steps

    def _until_train(self) -> float:
        train = self.edge.ota.train
        if train is None:
            return 0.0
        since = self.run.now - self.edge.ota.offset
        return max(math.ceil(since / train - _TIME_SLACK) * train - since, 0.0)

    def _leave(self, candidate: Version) -> Release:
        """It is published; its luck is tied to its data cut, so that policies that train alike are equally lucky."""
        run, moment = self.run, moment_number(candidate.cut)
        defect = self.edge.ota.defect
        defective = defect is not None and (
            uniform_once(run.world.key("defective release"), moment) < defect.probability
        )
        key = np.uint64(int(run.world.key("release")) ^ moment)
        number = self.plane.add(candidate, run.now, key, defective)
        found = Release(number, candidate, run.now, defective)
        self.all.append(found)
        run.ledger.post("ota", self.edge.ota.release)
        self.plane.go_live(candidate, run.now)
        run.record("deployment", found.name, f"release of data cut {candidate.cut:.3f} d")
        on_deployed(run, candidate)
        for name, component in run.adversaries:
            run.env.process(answer(run, name, component))
        return found

    def _waves(self, found: Release) -> Process:
        run, waves = self.run, self.edge.ota.waves
        for number, wave in enumerate(waves):
            self.plane.settle(run.now)
            self.plane.devices.open(found.number, wave.share)
            found.waves.append((run.now, wave.share))
            run.record("wave", found.name, f"{100 * wave.share:.3g}% of the devices may take it")
            if number + 1 == len(waves):
                found.complete = run.now
            if wave.hold > 0.0:
                yield run.env.timeout(wave.hold)
            if found.halted is not None:
                return  # somebody took it back meanwhile
            bad, told = self._judged(found)
            if bad:
                self._halt(found, wave.share, told)
                return
            if told and wave.hold > 0.0:
                run.record("wave passed", found.name, told)

    def _judged(self, found: Release) -> tuple[bool, str]:
        """Whether reports so far say that a release is bad, and what they say."""
        plan = self.edge.ota.halt
        if plan is None:
            return False, ""
        self.plane.settle(self.run.now)
        said = []
        for what in plan.on:
            if what == "failures":
                good, failed = self.plane.devices.boot_reports(found.number)
                bad, told = failures_found(int(failed), int(good + failed), plan)
            else:
                bad, told = proxies_found(self.run, self.plane, found, plan)
            if bad:
                return True, told
            said.append(told)
        return False, "; ".join(said)

    def _halt(self, found: Release, share: float, told: str) -> None:
        """No other device takes it; those that run it go back where the plan says so."""
        run, plan = self.run, self.edge.ota.halt
        assert plan is not None  # it said halt
        before = self.plane.previous
        self._withdraw(found, plan.recall)
        run.record("halt", found.name, f"at {100 * share:.3g}% of the devices: {told}")
        if plan.recall:
            run.record("recall", found.name, "devices go back to their other slot when they check in")
        if before is not None and self._newest() is None:
            self.plane.go_live(before, run.now)
            on_rolled_back(run)

    def _withdraw(self, found: Release, recall: bool) -> None:
        self.plane.settle(self.run.now)
        self.plane.devices.withdraw(found.number, recall)
        found.halted, found.recalled = self.run.now, recall

    def _newest(self) -> Release | None:
        """The release that is the version in service, None where that is the first model or one that was stopped."""
        number = self.plane.champion.version.number
        return next((r for r in self.all if r.version.number == number and r.halted is None), None)
