"""How many replications a wanted precision takes: a plan from a pilot, and a run that stops when it is precise.

The pilot's standard deviation is itself an estimate: planning with it alone misses the wanted precision every second
time. The plan says with what probability it will do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtr, stdtrit

from analysis.intervals import LEVEL, Interval, check_level, finite_sample, mean_interval, standard_deviation
from analysis.workers import in_order

Array = NDArray[np.float64]
ASSURANCE = 0.8
MOST = 10**9
"""Plans end here: nobody runs so many."""


@dataclass(frozen=True)
class Plan:
    """Replications that a wanted half-width will take, the pilot's included."""

    replications: int
    additional: int
    """How many of them are still to be run."""
    half_width: float
    """The wanted one, in units of the values."""
    relative_half_width: float
    """The same as a fraction of the pilot's mean."""
    pilot: Interval
    level: float
    assurance: float
    sd: float
    """Standard deviation of one replication, from the pilot."""

    def __str__(self) -> str:
        """One sentence for people who wait for a result."""
        wanted = f"+-{100.0 * self.relative_half_width:.3g} %"
        if not math.isfinite(self.relative_half_width):
            wanted = f"+-{self.half_width:.4g}"
        if self.additional == 0:
            return f"precise to {wanted} already"
        number = f"{self.additional} replication" + ("s" if self.additional > 1 else "")
        return f"another {number} would give {wanted} (with probability {self.assurance:.0%})"

    def table(self) -> pd.DataFrame:
        """Expected half-width after a tenth, a quarter, half, all, twice, four and ten times the plan."""
        shares = np.array([0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0])
        numbers = np.unique(np.maximum((shares * self.replications).astype(np.int64), 2))
        half = stdtrit(numbers - 1.0, 0.5 + 0.5 * self.level) * self.sd / np.sqrt(numbers)
        relative = half / abs(self.pilot.mean) if self.pilot.mean else np.full(len(half), np.inf)
        return pd.DataFrame({"replications": numbers, "half_width": half, "relative_half_width": relative})


def plan_replications(
    pilot: ArrayLike,
    *,
    half_width: float | None = None,
    relative_half_width: float | None = None,
    level: float = LEVEL,
    assurance: float = ASSURANCE,
) -> Plan:
    """Fewest replications after which the t interval of the mean has at most the wanted half-width.

    pilot: 2 or more values of independent replications (for a comparison their paired differences), kept in the final
    sample; give one of half_width (> 0, units of the values) and relative_half_width (> 0, fraction of the pilot's
    mean: 0.05 for +-5 %). assurance: probability, in (0, 1), that so many replications suffice, given what the pilot
    says about the variance; 0.5 is about the bare formula t s / sqrt(n) <= half_width. The sum of squares that new
    replications add to the pilot's is F distributed. Raises ValueError outside these ranges, and for more than 10^9.
    Source: Law 2015, 'Simulation Modeling and Analysis', 9.4.1; assurance as in Kupper and Hafner 1989.

    >>> costs = np.random.default_rng(0).normal(100.0, 20.0, 30)
    >>> print(plan_replications(costs, relative_half_width=0.05))
    another 24 replications would give +-5 % (with probability 80%)
    """
    check_level(level)
    if not 0.0 < assurance < 1.0:
        raise ValueError(f"assurance: got {assurance}, expected a number between 0 and 1")
    x = finite_sample(pilot, 2, "pilot")
    mean, sd = float(x.mean()), standard_deviation(x)
    wanted = _wanted(half_width, relative_half_width, mean)

    def suffices(number: int) -> bool:
        return _chance(number, len(x), sd, wanted, level) >= assurance

    enough = _first(suffices, len(x))
    relative = wanted / abs(mean) if mean else math.inf
    return Plan(enough, enough - len(x), wanted, relative, mean_interval(x, level), level, assurance, sd)


@dataclass(frozen=True)
class SequentialRun:
    """Replications run until the mean was precise enough."""

    values: Array
    interval: Interval
    precise: bool
    """False when the limit came first."""

    def table(self) -> pd.DataFrame:
        """One row a replication: value and mean so far."""
        number = np.arange(1, len(self.values) + 1)
        return pd.DataFrame(
            {"replication": number - 1, "value": self.values, "mean": np.cumsum(self.values) / number}
        )


def replicate_until_precise(
    simulate: Callable[[int], float],
    *,
    half_width: float | None = None,
    relative_half_width: float | None = None,
    level: float = LEVEL,
    first_stage: int = 20,
    step: int = 1,
    max_replications: int = 10_000,
    first_replication: int = 0,
    workers: int | None = 1,
) -> SequentialRun:
    """Replicate until the t interval of the mean has at most the wanted half-width.

    simulate(replication) gives a finite number; half_width or relative_half_width as in `plan_replications`.
    first_stage: replications before the first look, >= 2: looking again and again stops too early now and then, and
    with a few only the interval covers less than it says (normal values, +-10 %: 95 % from 20 on, 94.7 % from 10).
    step: replications between two looks; max_replications: where it ends in any case; first_replication: number of
    the first one; workers: processes, as in `compare`. Raises ValueError outside these ranges.
    Source: Chow and Robbins 1965, 'On the Asymptotic Theory of Fixed-Width Sequential Confidence Intervals for the
    Mean'; Law 2015, 9.4.1.

    >>> noise = np.random.default_rng(0).normal(10.0, 2.0, 1000)
    >>> found = replicate_until_precise(lambda number: noise[number], relative_half_width=0.05)
    >>> found.precise, bool(found.interval.half_width <= 0.05 * found.interval.mean)
    (True, True)
    """
    check_level(level)
    if first_stage < 2 or step < 1 or max_replications < first_stage:
        raise ValueError(
            f"first_stage, step, max_replications: got {first_stage}, {step}, {max_replications}, expected "
            "first_stage >= 2, step >= 1, max_replications >= first_stage"
        )
    _wanted(half_width, relative_half_width, 1.0)
    values: list[float] = []
    number = first_stage
    while True:
        tasks = [(first_replication + n,) for n in range(len(values), number)]
        values += _simulated(simulate, tasks, workers)
        found = mean_interval(values, level)
        if found.half_width <= _target(half_width, relative_half_width, found.mean):
            return SequentialRun(np.array(values), found, True)
        if number >= max_replications:
            return SequentialRun(np.array(values), found, False)
        number = min(number + step, max_replications)


def _simulated(
    simulate: Callable[[int], float], tasks: Sequence[tuple[int]], workers: int | None
) -> list[float]:
    found = [float(value) for value in in_order(simulate, tasks, workers)]
    for (replication,), value in zip(tasks, found, strict=True):
        if not math.isfinite(value):
            raise ValueError(f"simulate({replication}): gave {value}, expected a finite number")
    return found


def _wanted(half_width: float | None, relative: float | None, mean: float) -> float:
    """The wanted half-width in units of the values, checked."""
    if (half_width is None) == (relative is None):
        raise ValueError("expected one of half_width and relative_half_width")
    name = "half_width" if relative is None else "relative_half_width"
    given = half_width if relative is None else relative
    assert given is not None
    if not (given > 0.0 and math.isfinite(given)):
        raise ValueError(f"{name}: got {given}, expected a finite number > 0")
    if relative is not None and mean == 0.0:
        raise ValueError("relative_half_width: the mean is 0, expected half_width instead")
    return _target(half_width, relative, mean)


def _target(half_width: float | None, relative: float | None, mean: float) -> float:
    return half_width if half_width is not None else (relative or 0.0) * abs(mean)


def _chance(number: int, done: int, sd: float, wanted: float, level: float) -> float:
    """Probability that `number` replications, `done` of them with standard deviation sd, are precise enough."""
    allowed = (wanted / float(stdtrit(number - 1.0, 0.5 + 0.5 * level))) ** 2 * number * (number - 1.0)
    spare = allowed - sd**2 * (done - 1.0)
    new = number - done
    if new == 0 or sd == 0.0:
        # A hair of rounding must not cost a replication.
        return float(spare >= -1e-12 * allowed)
    return float(fdtr(new, done - 1.0, spare / (new * sd**2))) if spare > 0.0 else 0.0


def _first(holds: Callable[[int], bool], low: int) -> int:
    """Smallest number >= low for which a condition holds, that goes on holding."""
    if holds(low):
        return low
    high = low + 1
    while not holds(high):
        low, high = high, 2 * high
        if high > MOST:
            raise ValueError(
                f"half_width: expected a wider one, this takes more than {MOST:.0e} replications"
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
