"""Ranking and selection: which of several systems is best, with a stated probability of being right.

`select_best` (procedure KN) keeps its promise for any number of replications that this takes; `select_within_budget`
(OCBA) makes the most of a given number and promises nothing. Both were written here after a look at sim-tools 1.3.0:
its KN looks up the variances of the wrong pairs (right in 90 % of 400 runs with unequal variances where 95 % is
promised), its OCBA gets the variances of negative values wrong and refuses two systems, and it brings plotly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.budget_allocation import ocba, ocba_shares, probability_of_correct_selection
from analysis.workers import in_order

__all__ = [
    "Selection",
    "kn_constant",
    "ocba",
    "ocba_shares",
    "probability_of_correct_selection",
    "select_best",
    "select_within_budget",
]

Array = NDArray[np.float64]
System = TypeVar("System")
Simulate = Callable[[System, int], float]
"""What one system gives in one replication. A replication number means the same world for every system (common
random numbers) or independent ones; the procedures hold for both."""

FIRST_STAGE = 20


@dataclass(frozen=True)
class Selection(Generic[System]):
    """The system that was selected, and all that was seen on the way."""

    systems: tuple[System, ...]
    values: tuple[Array, ...] = ()
    """What each system gave, (replications of that system,)."""
    best_index: int = 0
    probability: float = math.nan
    """That the selection is right: a promise when guaranteed, an estimate else; NaN when stopped before the end."""
    guaranteed: bool = False
    delta: float = math.nan
    """Indifference zone: the promise is for a best system that is at least this much better."""

    @property
    def best(self) -> System:
        """The selected system."""
        return self.systems[self.best_index]

    @property
    def replications(self) -> NDArray[np.int64]:
        """Replications of each system, (systems,)."""
        return np.array([len(v) for v in self.values], dtype=np.int64)

    @property
    def means(self) -> Array:
        """Sample means, (systems,). After a sequential procedure they are a little biased: not for intervals."""
        return np.array([v.mean() for v in self.values])

    def table(self) -> pd.DataFrame:
        """One row a system: replications, mean, standard deviation, whether it was selected."""
        return pd.DataFrame(
            {
                "replications": self.replications,
                "mean": self.means,
                "sd": [v.std(ddof=1) for v in self.values],
                "selected": np.arange(len(self.systems)) == self.best_index,
            },
            index=pd.Index([str(system) for system in self.systems], name="system"),
        )

    def __str__(self) -> str:
        """One sentence: who, after how many replications, and how sure."""
        said = f"{self.best} selected after {self.replications.sum()} replications"
        if self.guaranteed:
            return f"{said}: right with probability >= {self.probability:.4g} if it or another is {self.delta:g} ahead"
        if math.isnan(self.probability):
            return f"{said}, stopped before a decision: no promise"
        return f"{said}: right with an estimated probability of {self.probability:.4g}"


def kn_constant(systems: int, first_stage: int, confidence: float) -> float:
    """The constant h^2 = 2 eta (n0 - 1) of procedure KN with c = 1.

    systems: k >= 2; first_stage: n0 >= 2 replications; confidence: 1 - alpha in (1/k, 1).
    eta = ((2 alpha / (k - 1))^(-2 / (n0 - 1)) - 1) / 2. Source: Kim and Nelson 2001, 'A Fully Sequential Procedure
    for Indifference-Zone Selection in Simulation', section 3.

    >>> round(kn_constant(systems=10, first_stage=20, confidence=0.95), 3)
    11.511
    """
    if systems < 2:
        raise ValueError(f"systems: got {systems}, expected two or more to choose from")
    if first_stage < 2:
        raise ValueError(f"first_stage: got {first_stage}, expected at least 2 replications")
    if not 1.0 / systems < confidence < 1.0:
        raise ValueError(
            f"confidence: got {confidence}, expected a number between 1/{systems} (a blind guess) and 1"
        )
    degrees = first_stage - 1
    return degrees * math.expm1(-2.0 / degrees * math.log(2.0 * (1.0 - confidence) / (systems - 1)))


def select_best(
    simulate: Simulate[System],
    systems: Sequence[System],
    delta: float,
    confidence: float = 0.95,
    *,
    first_stage: int = FIRST_STAGE,
    step: int = 1,
    max_replications: int | None = None,
    minimise: bool = True,
    first_replication: int = 0,
    workers: int | None = 1,
) -> Selection[System]:
    """Select the system with the least mean, right with probability >= confidence (fully sequential procedure KN).

    simulate(system, replication) gives a finite number; systems: two or more. delta: > 0, in units of what
    simulate gives, the smallest difference that matters: the promise holds when the best mean is at least this much
    better than all others, for normal values with any variances and any correlation between systems, so that
    common random numbers are welcome and save replications. Values that are skewed need first_stage or
    step as large as makes means near normal. first_stage: replications of all systems before the first
    screening, >= 2 (20 is sensible: too few make later ones dear). step: replications between screenings; more
    keep more workers busy, and the promise holds. max_replications: of one system; when it is reached the
    best mean is returned without a promise. minimise: False selects the greatest mean. first_replication: number
    of the first replication. workers: processes, as in `compare`. Raises ValueError outside these ranges.
    Source: Kim and Nelson 2001; fewer looks do not raise the error: Jennison, Johnstone and Turnbull 1982.

    >>> noise = np.random.default_rng(0).normal(size=10_000)
    >>> found = select_best(lambda system, number: system + noise[number], [3.0, 1.0, 2.0], delta=0.5)
    >>> found.best, found.guaranteed, found.replications
    (1.0, True, array([20, 20, 20]))
    """
    constant = kn_constant(len(systems), first_stage, confidence)
    if not (delta > 0.0 and math.isfinite(delta)):
        raise ValueError(f"delta: got {delta}, expected a finite number > 0")
    if step < 1:
        raise ValueError(f"step: got {step}, expected at least 1")
    if max_replications is not None and max_replications < first_stage:
        raise ValueError(
            f"max_replications: got {max_replications}, expected at least first_stage = {first_stage}"
        )
    runs = _Runs(simulate, systems, first_replication, workers)
    runs.extend(dict.fromkeys(range(len(systems)), first_stage))
    sign = 1.0 if minimise else -1.0
    first = sign * np.array(runs.values)
    reach = constant * _variances_of_differences(first) / delta**2
    alive, number = np.arange(len(systems)), first_stage
    while True:
        means = sign * runs.means[alive]
        alive = alive[_survivors(means, reach[np.ix_(alive, alive)], number, delta)]
        if len(alive) == 1:
            return runs.selection(int(alive[0]), confidence, True, delta)
        if number > reach[np.ix_(alive, alive)].max():
            break  # equal means at the end of the wedge
        if max_replications is not None and number >= max_replications:
            leader = int(alive[np.argmin(sign * runs.means[alive])])
            return runs.selection(leader, math.nan, False, delta)
        number = number + step if max_replications is None else min(number + step, max_replications)
        runs.extend(dict.fromkeys(alive.tolist(), number))
    return runs.selection(int(alive[0]), confidence, True, delta)


def select_within_budget(
    simulate: Simulate[System],
    systems: Sequence[System],
    budget: int,
    *,
    first_stage: int = 10,
    step: int | None = None,
    minimise: bool = True,
    first_replication: int = 0,
    workers: int | None = 1,
) -> Selection[System]:
    """Select the system with the least mean within a budget of replications, divided by OCBA step by step.

    budget: replications of all systems together, >= systems * first_stage; first_stage: of each system at first,
    >= 2 (5 or more is sensible); step: replications between two allocations, a tenth of what the first stage
    leaves when None. The other arguments as in `select_best`. `probability` of the result is an estimate (APCS-B),
    not a promise. Raises ValueError outside these ranges.
    Source: Chen and Lee 2011, 'Stochastic Simulation Optimization', the OCBA procedure of chapter 3.

    >>> noise = np.random.default_rng(0).normal(size=10_000)
    >>> found = select_within_budget(lambda system, number: system + noise[number], [3.0, 1.0, 2.0], budget=90)
    >>> found.best, int(found.replications.sum())
    (1.0, 90)
    """
    if len(systems) < 2:
        raise ValueError(f"systems: got {len(systems)}, expected two or more to choose from")
    if first_stage < 2:
        raise ValueError(f"first_stage: got {first_stage}, expected at least 2 replications")
    spare = budget - len(systems) * first_stage
    if spare < 0:
        raise ValueError(
            f"budget: got {budget}, expected at least {len(systems) * first_stage}, the first stage of all systems"
        )
    if step is not None and step < 1:
        raise ValueError(f"step: got {step}, expected at least 1")
    stride = step or max(spare // 10, 1)
    runs = _Runs(simulate, systems, first_replication, workers)
    runs.extend(dict.fromkeys(range(len(systems)), first_stage))
    while spare > 0:
        done, stride = runs.counts, min(stride, spare)
        wanted = ocba(runs.means, runs.sds, int(done.sum()) + stride, done=done, minimise=minimise)
        runs.extend(dict(enumerate(wanted.tolist())))
        spare -= stride
    probability = probability_of_correct_selection(runs.means, runs.sds, runs.counts, minimise=minimise)
    best = int(np.argmin(runs.means if minimise else -runs.means))
    return runs.selection(best, probability, False, math.nan)


def _variances_of_differences(values: Array) -> Array:
    """Sample variance of the difference of each pair of systems, (k, k), from values (k, n)."""
    spread = np.cov(values, ddof=1)
    own = np.diag(spread)
    found = own[:, None] + own[None, :] - 2.0 * spread
    return np.maximum(found, 0.0)


def _survivors(means: Array, reach: Array, number: int, delta: float) -> NDArray[np.bool_]:
    """Which systems no other one has left behind by more than the wedge W_il = delta / 2 (reach / r - 1)+.

    means: (k,) less is better; reach: (k, k) replications at which the wedge of a pair closes. At least one is left.
    """
    wedge = 0.5 * delta * np.maximum(reach / number - 1.0, 0.0)
    np.fill_diagonal(wedge, 0.0)
    return np.asarray((means[:, None] <= means[None, :] + wedge).all(axis=1))


class _Runs(Generic[System]):
    """Values of the systems so far; replication numbers go up from the first, system by system."""

    def __init__(
        self, simulate: Simulate[System], systems: Sequence[System], first: int, workers: int | None
    ) -> None:
        self._simulate = simulate
        self._systems = tuple(systems)
        self._first = first
        self._workers = workers
        self.values: list[list[float]] = [[] for _ in self._systems]
        self._sums = np.zeros(len(self._systems))

    def extend(self, wanted: dict[int, int]) -> None:
        """Simulate until each system has as many values as wanted, by index."""
        places = [(i, number) for i, count in wanted.items() for number in range(len(self.values[i]), count)]
        tasks: list[tuple[Any, ...]] = [(self._systems[i], self._first + number) for i, number in places]
        for (i, number), value in zip(places, in_order(self._simulate, tasks, self._workers), strict=True):
            if not math.isfinite(value):
                raise ValueError(
                    f"simulate({self._systems[i]!r}, {self._first + number}): gave {value}, expected a finite number"
                )
            self.values[i].append(float(value))
            self._sums[i] += value

    @property
    def counts(self) -> NDArray[np.int64]:
        """Replications of each system, (systems,)."""
        return np.array([len(v) for v in self.values], dtype=np.int64)

    @property
    def means(self) -> Array:
        """Sample means, (systems,)."""
        return np.asarray(self._sums / self.counts)

    @property
    def sds(self) -> Array:
        """Sample standard deviations, (systems,)."""
        return np.array([np.std(v, ddof=1) for v in self.values])

    def selection(self, best: int, probability: float, guaranteed: bool, delta: float) -> Selection[System]:
        """The result."""
        values = tuple(np.asarray(v) for v in self.values)
        return Selection(self._systems, values, best, probability, guaranteed, delta)
