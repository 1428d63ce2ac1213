"""The largest value of an input that can be sustained: up to where a requirement still holds, with confidence.

How much drift can this policy follow, how much traffic, how late labels? Bisection on the same worlds; at each value
replications are added until the requirement is decided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.evaluations import Runs, play, policies_of
from analysis.inputs import Input
from analysis.intervals import LEVEL
from analysis.progress import progress_of
from analysis.requirements import Check, Requirement
from analysis.workers import in_order
from scenarios.policies import PolicySpec
from scenarios.schema import Scenario, check_scenario
from sim.displays import Displayed
from sim.policies import Policy
from sim.randomness import check_seed

FIRST_REPLICATIONS = 20
LOOKS = 4
"""Replications are doubled until decided, LOOKS looks in all: 20, 40, 80, 160."""
TOLERANCE = 0.002
"""Bisection ends at this share of the range (on the scale of its law)."""
CHUNK = 10
"""Replications of one task."""


@dataclass(frozen=True, repr=False)
class Sustained(Displayed):
    """How far the requirement holds."""

    scenario: Scenario
    policy: str
    given: Input
    requirement: Requirement
    points: pd.DataFrame
    """One row a value tried: value, replications, measured, ci_low, ci_high, answer (holds, fails or undecided)."""
    level: float

    def headline(self) -> str:
        """The answer for people."""
        return f"{self.scenario.title}: {self.sentence()}"

    def _shown(self) -> pd.DataFrame:
        return self.points.assign(
            value=[self.given.shown(value) for value in self.points["value"]]
        ).set_index("value")

    @property
    def holds_at(self) -> float | None:
        """Largest value at which the requirement was shown to hold, below all at which it was not; None if none was."""
        held = self.points[(self.points["answer"] == "holds") & (self.points["value"] < self._first_doubt)]
        return None if held.empty else float(held["value"].max())

    @property
    def fails_at(self) -> float | None:
        """Smallest value at which it was shown to fail; None when it was not within the range."""
        failed = self.points[self.points["answer"] == "fails"]
        return None if failed.empty else float(failed["value"].min())

    @property
    def _first_doubt(self) -> float:
        doubt = self.points.loc[self.points["answer"] != "holds", "value"]
        return math.inf if doubt.empty else float(doubt.min())

    def sentence(self) -> str:
        """The answer for people."""
        path, shown = self.given.path, self.given.shown
        what = f"{self.policy} keeps {self.requirement}"
        if self.holds_at is None:
            return f"Not shown that {what} even at {path} = {shown(self.given.low)}, the smallest value asked for."
        if self.holds_at >= self.given.high:
            return f"{what} over the whole range, up to {path} = {shown(self.given.high)}."
        upper = (
            "it was nowhere shown to fail" if self.fails_at is None else f"it fails at {shown(self.fails_at)}"
        )
        return f"{what} up to {path} = {shown(self.holds_at)}; {upper} (confidence {self.level:.0%})."

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `halflife optimise --largest`."""
        from analysis.report_optimise import sustained_document

        return sustained_document(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Write sustainable.json, points.csv and sustainable.png; returns the files."""
        from analysis.report_optimise import save_sustained

        return save_sustained(self, folder)

    def plot(self, ax: Any = None) -> Any:
        """The measured response over the input, with intervals and the limit; returns matplotlib axes."""
        from analysis.plot_optimise import plot_sustained

        return plot_sustained(self, ax)


def largest_sustainable(
    scenario: Scenario,
    policy: str | PolicySpec | Policy,
    given: Input,
    requirement: Requirement,
    *,
    level: float = LEVEL,
    tolerance: float = TOLERANCE,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = False,
) -> Sustained:
    """The largest value of an input for which a requirement holds.

    It is taken for granted that the requirement holds below a value and fails above it; both ends are tried first.
    A value is decided when the interval lies on one side of the limit. level: of all answers together (Bonferroni
    over the values and the looks at each), in (0.5, 1). tolerance: share of the range, in (0, 1). A value that stays
    undecided counts as not held. A policy that asks to be tuned is tuned on the scenario as it is. Raises ValueError
    outside these ranges.
    """
    check_scenario(scenario)
    check_seed("seed", seed)
    if not 0.0 < tolerance < 1.0:
        raise ValueError(f"tolerance: got {tolerance}, expected a fraction in (0, 1)")
    if not 0.5 < level < 1.0:
        raise ValueError(f"level: got {level}, expected a number between 0.5 and 1")
    policies = policies_of(scenario, [policy], seed, workers)
    (name,) = policies
    steps = math.ceil(math.log2(1.0 / tolerance))
    each = 1.0 - (1.0 - level) / ((steps + 2) * LOOKS)
    rows: list[dict[str, Any]] = []

    def holds(share: float) -> bool:
        value = given.at(share)
        known = next((row for row in rows if row["value"] == value), None)
        if known is None:
            check, count = _decided(scenario, policies, given, value, requirement, each, seed, workers)
            answer = "undecided" if not check.decided else "holds" if check.holds else "fails"
            mean, low, high = check.measured
            known = {"value": value, "replications": count, "measured": mean, "ci_low": low, "ci_high": high}
            known["answer"] = answer
            rows.append(known)
        step()
        return bool(known["answer"] == "holds")

    with progress_of(progress, "values", steps + 2) as step:
        low, high = 0.0, 1.0
        if holds(low) and not holds(high):
            for _ in range(steps):
                middle = 0.5 * (low + high)
                low, high = (middle, high) if holds(middle) else (low, middle)
    points = pd.DataFrame(rows).sort_values("value", ignore_index=True)
    return Sustained(scenario, name, given, requirement, points, level)


def _decided(
    scenario: Scenario,
    policies: dict[str, Policy],
    given: Input,
    value: float,
    requirement: Requirement,
    level: float,
    seed: int,
    workers: int | None,
) -> tuple[Check, int]:
    """The answer at one value, and the replications that it took."""
    changed = scenario.with_(**{given.path: given.written(value)})
    column = requirement.response.column
    values = np.empty(0)
    for look in range(LOOKS):
        wanted = FIRST_REPLICATIONS * 2**look
        starts = range(len(values), wanted, CHUNK)
        tasks = [(changed, policies, seed, range(start, min(start + CHUNK, wanted))) for start in starts]
        for runs in in_order(play, tasks, workers):
            only: Runs = next(iter(runs.values()))
            values = np.append(values, only[column])
        check = requirement.check(values, level)
        if check.decided:
            break
    return check, len(values)


def one_requirement(requirements: Sequence[Requirement]) -> Requirement:
    """The only requirement. Raises ValueError for none or several, and for one that names a policy."""
    if len(requirements) != 1:
        raise ValueError(
            f"--largest: got {len(requirements)} requirements, expected one with --require, such as "
            "'mean_accuracy.mean > 0.9'"
        )
    if requirements[0].policy is not None:
        raise ValueError("--require: name the policy with --policy here, not with 'for'")
    return requirements[0]
