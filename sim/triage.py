"""Triage: the decision tree that leads from a page to the cause, walked by one tier after the other.

Source: chapter, 'The Debugging Decision Tree', 'On-Call Practices for ML Systems'.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from scenarios.failures import Failure
from scenarios.on_call import BRANCHES, OnCall
from sim.durations import draw


class Look(NamedTuple):
    """One step of a walk, as it will come out."""

    name: str
    days: float
    finds: bool


def branch_of(failure: Failure) -> str:
    """The question that finds a failure's cause; changes of code and of infrastructure show in time.

    >>> branch_of(Failure(name="f", rate="1/y"))
    'data'
    """
    return failure.cause if failure.cause in BRANCHES else "temporal"


def has_runbook(failure: Failure, share: float) -> bool:
    """Whether a failure mode is among the share of the modes that have a runbook: its name says so, in any run.

    >>> modes = [Failure(name=f"f{number}", rate="1/y") for number in range(1000)]
    >>> sum(has_runbook(mode, 0.3) for mode in modes), has_runbook(modes[0], 0.0), has_runbook(modes[0], 1.0)
    (267, False, True)
    """
    digest = hashlib.sha256(f"runbook:{failure.name}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2.0**56 < share


def walk(plan: OnCall, failure: Failure | None, tier: int, luck: np.random.Generator) -> list[Look]:
    """The steps of one walk over the tree, without the pace of who walks it.

    failure: what there is to find; None at a false page, where nothing is found. tier: 0 for the first, one more with
    each escalation. luck: two numbers of it for each step, whatever the scenario says.
    """
    looks = []
    for step in plan.steps:
        length, chance = luck.random(2).tolist()
        success = 1.0 - (1.0 - step.success) * 0.5**tier
        finds = failure is not None and branch_of(failure) == step.name and chance < success
        days = draw(step.duration, lambda length=length: length) * _pace(plan, failure, step.name, tier)  # type: ignore[misc]
        looks.append(Look(step.name, days, finds))
    return looks


def _pace(plan: OnCall, failure: Failure | None, step: str, tier: int) -> float:
    """Factor on the duration of a step."""
    pace = plan.escalated_pace**tier
    if failure is not None and has_runbook(failure, plan.runbooks):
        pace *= plan.runbook_pace
    if plan.lineage and step in ("data", "skew"):
        pace *= plan.lineage_pace
    if step == "data" and plan.staff.data == 0:
        pace *= plan.outsider
    return pace
