"""Federated training: a candidate waits for rounds in which devices contribute what they learned.

Their data never leave them, so that a training is only as good as the number of devices that were charged, idle and on
the network in time. Source: chapter, 'Edge AI Deployment' (federated learning).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy

from scenarios.edge_exchange import Federated
from sim.randomness import moment_number

if TYPE_CHECKING:
    from sim.edge_plane import EdgePlane
    from sim.engine import Run


class Rounds:
    """The rounds of one run; one is open at a time."""

    def __init__(self, run: Run, plan: Federated, plane: EdgePlane) -> None:
        self.run, self.plan, self.plane = run, plan, plane
        self._turn = simpy.Resource(run.env)

    def gather(self) -> Generator[simpy.Event, Any, int | None]:
        """Ask devices round by round until enough have contributed; their number, None where it is given up."""
        run, plan = self.run, self.plan
        with self._turn.request() as turn:
            yield turn
            for _ in range(plan.rounds):
                self.plane.settle(run.now)
                key = np.uint64(int(run.world.key("round")) ^ moment_number(run.now))
                self.plane.devices.start_round(plan.share, key)
                yield run.env.timeout(plan.round)
                self.plane.settle(run.now)
                number = int(self.plane.devices.end_round())
                enough = number >= plan.minimum
                told = f"{number:,} contributions" + ("" if enough else f", {plan.minimum:,} are needed")
                run.record("round" if enough else "round repeated", "federated", told)
                if enough:
                    return number
        run.record("failure", "federated", f"given up after {plan.rounds} rounds")
        return None

    def loss(self, contributions: int) -> float:
        """Accuracy that a candidate of so many contributions lacks."""
        return float(self.plan.loss * (self.plan.reference / contributions) ** self.plan.exponent)
