"""Approval: a person between validation and rollout of a candidate, in working hours.

Source: chapter, 'Fallacies and Pitfalls': automation without oversight spreads bad data.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy

from scenarios.pipeline import Approval
from sim.durations import draw
from sim.quality import Version
from sim.work import Work
from sim.working_time import work_through

if TYPE_CHECKING:
    from sim.engine import Run

_SLACK = 1e-9


class Approvers:
    """The people of one run who look at candidates."""

    def __init__(self, run: Run, approval: Approval) -> None:
        self.run, self.approval = run, approval
        self.people = simpy.Resource(run.env, approval.people)
        self._free = [f"reviewer {number}" for number in range(approval.people, 0, -1)]

    def wanted(self, candidate: Version) -> str:
        """Why a person must look at a validated candidate; empty when nobody must."""
        if self.approval.mode == "all":
            return "each candidate is reviewed"
        champion = self.run.plane.champion
        usual = champion.version.validation
        if math.isnan(usual):
            usual = champion.fresh_accuracy  # the first model was never validated here
        worse = usual - candidate.validation
        if worse > self.approval.anomaly:
            return f"validation {100.0 * worse:.2g} points below the champion's"
        moved = data_shift(self.run, candidate)
        if moved > self.approval.shift:
            return f"training data moved by {moved:.2g} sd"
        return ""

    def ask(self, candidate: Version) -> Generator[simpy.Event, Any, bool]:
        """Wait for a person in working hours, and for the review; whether the candidate may go live."""
        run, reason = self.run, self.wanted(candidate)
        if not reason:
            return True
        version = f"version {candidate.number}"
        run.record("approval wanted", version, reason)
        luck = run.world.stream_at("approval", candidate.cut)
        verdict, length = luck.random(), draw(self.approval.review, luck.random)
        with self.people.request() as turn:
            yield turn
            person = self._free.pop()
            yield from self._work(person, length)
            self._free.append(person)
        # Good or bad is what the reviewer has looked at; by now it may have become another matter.
        stopped = verdict < (self.approval.catches if self.is_bad(candidate) else self.approval.refuses)
        run.record("rejection" if stopped else "approved", person, version)
        return not stopped

    def is_bad(self, candidate: Version) -> bool:
        """Whether it is truly worse than the champion, by more than the scenario's material drop."""
        champion = self.run.plane.champion.version
        worse = accuracy_now(self.run, champion) - accuracy_now(self.run, candidate)
        return worse > self.run.scenario.material_drop

    def _work(self, person: str, length: float) -> Generator[simpy.Event, Any, None]:
        """Work in working hours only; what is not done by the evening goes on the next working day."""
        run = self.run

        def paid(start: float, end: float) -> None:
            run.ledger.post("validation", (end - start) * self.approval.hourly_cost)
            run.work.append(Work(person, "reviewer", "approval", start, end))

        yield from work_through(run.env, self.approval.hours, length, paid)


def approvers_of(run: Run) -> Approvers | None:
    """The people whom a scenario's pipeline asks; None when nobody is."""
    approval = run.scenario.pipeline.approval
    return None if approval is None else Approvers(run, approval)


def data_shift(run: Run, candidate: Version) -> float:
    """Largest shift of a feature's mean from the champion's training data to the candidate's, in sd."""
    rival = run.plane.champion.version
    if candidate.data.shape[1] == 0:
        return 0.0
    moved = np.abs(candidate.data - rival.data)
    weights = run.plane.weights if len(moved) > 1 else np.ones(1)
    return float((weights @ moved).max())


def accuracy_now(run: Run, version: Version) -> float:
    """True accuracy of a version on the data of this moment, without incidents."""
    window = min(int(run.now / run.scenario.window + _SLACK), run.scenario.windows - 1)
    column = np.empty((len(run.plane.weights), 1))
    run.quality.fill(version, run.now, run.now, window, window + 1, column, base=window)
    return float(run.plane.weights @ column[:, 0])
