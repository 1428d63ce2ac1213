"""One at a time: what each input does to cost and to the choice between two policies, and where the winner flips."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.assumptions import Assumptions
from analysis.inputs import Input
from analysis.intervals import Interval, mean_interval

Array = NDArray[np.float64]
GRID = 7
"""Values of an input between which the winner is looked for before bisection."""
HALVINGS = 8


@dataclass(frozen=True)
class Flip:
    """Where the winner changes while one input moves and the others stay as they are."""

    given: Input
    value: float
    """Root of the mean difference."""
    low: float
    high: float
    """Between these values the 95 % interval of the paired difference includes 0; the ends of the range at most."""
    below: str
    """Who is cheaper below the value."""
    above: str

    def sentence(self) -> str:
        """The flip for people."""
        shown = self.given.shown
        return (
            f"The winner flips from {self.below} to {self.above} when {self.given.path} passes {shown(self.value)} "
            f"(undecided from {shown(self.low)} to {shown(self.high)})."
        )


def tornado(given: Assumptions, replications: int) -> pd.DataFrame:
    """Each input at its low and high end, the others as in the scenario.

    replications: >= 2, the same worlds everywhere. One row an input, the widest swing of the difference first: low,
    high; cost at each and its paired change from the scenario as it is with 95 % interval; the difference of the
    two policies (first less second, below 0 the first is cheaper) at each with 95 % interval; whether the winner
    differs between the ends. Raises ValueError for fewer replications.
    """
    if replications < 2:
        raise ValueError(f"reps: got {replications}, expected at least 2")
    numbers = range(replications)
    base = given.base_costs(numbers)
    rows = []
    for one in given.inputs:
        alone = Assumptions(given.scenario, given.policies, (one,), given.seed, given.workers, given.step)
        ends = alone.costs(np.array([[one.low], [one.high]]), numbers)
        row: dict[str, object] = {"input": one.path, "low": one.low, "high": one.high}
        for side, costs in zip(("low", "high"), ends, strict=True):
            row[f"cost_{side}"] = float(costs[:, 0].mean())
            row |= _named(f"change_{side}", mean_interval(costs[:, 0] - base[:, 0]))
            row |= _named(f"difference_{side}", mean_interval(costs[:, 0] - costs[:, 1]))
        rows.append(row)
    table = pd.DataFrame(rows)
    table["flips"] = np.sign(table["difference_low"]) * np.sign(table["difference_high"]) < 0
    swing = (table["difference_high"] - table["difference_low"]).abs()
    return table.iloc[np.argsort(-swing.to_numpy(), kind="stable")].reset_index(drop=True)


def flips(given: Assumptions, one: Input, replications: int) -> list[Flip]:
    """Values of one input, within its range, at which the winner changes, with the others as in the scenario.

    The mean paired difference over `replications` (>= 2) fixed worlds is a function of the input; its roots are
    found by bisection between neighbours of a grid that differ in sign. The interval of each comes from the roots
    of the ends of the 95 % interval of the difference, on the same worlds.
    """
    if replications < 2:
        raise ValueError(f"reps: got {replications}, expected at least 2")
    curve = Curve(given, one, replications)
    grid = sorted({one.at(float(u)) for u in np.linspace(0.0, 1.0, GRID)})
    curve.prepare(grid)
    names = given.names
    found = []
    for left, right in pairwise(grid):
        a, b = curve(left).mean, curve(right).mean
        if a * b < 0.0:
            value = bisected(lambda v: curve(v).mean, left, right, one)
            low, high = _undecided(curve, value, grid, one)
            below = names[0] if a < 0.0 else names[1]
            above = names[1] if a < 0.0 else names[0]
            found.append(Flip(one, value, low, high, below, above))
    return found


@dataclass
class Curve:
    """The paired difference of the two policies as a function of one input, remembered."""

    given: Assumptions
    one: Input
    replications: int
    known: dict[float, Interval] = field(default_factory=dict)

    def __call__(self, value: float) -> Interval:
        """Mean and 95 % interval of first less second at a value."""
        self.prepare([value])
        return self.known[value]

    def prepare(self, values: list[float]) -> None:
        """Play those that are not known yet."""
        new = [value for value in values if value not in self.known]
        if not new:
            return
        one = Assumptions(
            self.given.scenario,
            self.given.policies,
            (self.one,),
            self.given.seed,
            self.given.workers,
            self.given.step,
        )
        costs = one.costs(np.array(new)[:, None], range(self.replications))
        for value, each in zip(new, costs, strict=True):
            self.known[value] = mean_interval(each[:, 0] - each[:, 1])


def bisected(function: Callable[[float], float], low: float, high: float, one: Input) -> float:
    """A root between two values of different sign, on the scale of the input's law."""
    rising = function(high) > 0.0
    a, b = one.share_of(low), one.share_of(high)
    for _ in range(HALVINGS):
        middle = 0.5 * (a + b)
        if (function(one.at(middle)) > 0.0) == rising:
            b = middle
        else:
            a = middle
    return one.at(0.5 * (a + b))


def _undecided(curve: Curve, root: float, grid: list[float], one: Input) -> tuple[float, float]:
    """The values around a root between which the interval includes 0."""

    def doubt(value: float) -> float:
        interval = curve(value)
        if math.isnan(interval.low):
            return 1.0
        return 1.0 if interval.low <= 0.0 <= interval.high else -1.0

    ends = []
    for side in (-1, 1):
        beyond = [v for v in (grid if side > 0 else grid[::-1]) if side * (v - root) > 0]
        clear = next((v for v in beyond if doubt(v) < 0.0), None)
        if clear is None:
            ends.append(grid[-1] if side > 0 else grid[0])
        elif doubt(root) < 0.0:
            ends.append(root)
        else:
            low, high = sorted((root, clear))
            ends.append(bisected(doubt, low, high, one))
    return ends[0], ends[1]


def _named(name: str, interval: Interval) -> dict[str, float]:
    mean, low, high = (float(value) for value in interval)
    return {name: mean, f"{name}_ci_low": low, f"{name}_ci_high": high}
