"""Schedules of retrainings on an accuracy matrix: what one costs, and those that no team can follow.

`Oracle` and `BestInterval` know the whole matrix, `Random` knows nothing of it; policies are held against them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.accuracy_matrix import FloatArray, Matrix
from sim.kernels.succession import cheapest_succession

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Problem:
    """A matrix with prices and delay: what a schedule costs on it.

    A schedule is a mask (..., n_periods), True where a retraining precedes the period.
    """

    matrix: Matrix
    retrain_cost: float
    value_per_period: float
    label_delay: int
    seed: int
    validation: FloatArray | None = None
    psi: FloatArray | None = None

    @property
    def candidates(self) -> NDArray[np.int64]:
        """Positions of the periods before which a retraining is possible: there is a model to deploy."""
        return np.arange(max(2, 1 + self.label_delay), self.matrix.periods.size)

    def accuracy(self, mask: Mask) -> FloatArray:
        """Accuracy of the service in each period from the second on, (..., n_periods - 1)."""
        positions = np.arange(mask.shape[-1])
        trained = np.where(mask, positions - 1 - self.label_delay, 0)
        models = np.maximum.accumulate(trained, axis=-1)[..., 1:]
        served: FloatArray = self.matrix.values[models, positions[1:]]
        return served

    def cost(self, mask: Mask) -> FloatArray:
        """Cost of staleness and retraining, (...)."""
        lost = (1.0 - self.accuracy(mask)).sum(axis=-1)
        total: FloatArray = self.value_per_period * lost + self.retrain_cost * mask.sum(axis=-1)
        return total

    def mask(self, positions: ArrayLike) -> Mask:
        """Schedule with a retraining before the given positions."""
        mask = np.zeros(self.matrix.periods.size, dtype=bool)
        mask[np.asarray(positions, dtype=np.int64)] = True
        return mask


@dataclass(frozen=True)
class Oracle:
    """The least costly of all schedules, found by dynamic programming over the model in service.

    Knows the future: a bound, not a candidate. Of schedules equally dear (to 1e-12 of the value of a period
    per period) it takes the one with fewer retrainings, then the one whose models are older.
    """

    def plan(self, problem: Problem) -> Mask:
        """Schedule, O(n_periods^2) time."""
        n, value = problem.matrix.periods.size, problem.value_per_period
        # Position from which the model trained through position 0, 1, 2, ... could serve.
        first = np.append(1, np.arange(2 + problem.label_delay, n))
        loss = np.add.reduceat(value * (1.0 - problem.matrix.values[: first.size]), first, axis=1)
        chosen = cheapest_succession(loss, problem.retrain_cost, tie=1e-12 * value * n)
        return problem.mask(first[chosen])


@dataclass(frozen=True)
class BestInterval:
    """`scheduled:k` with the k of least cost, chosen IN HINDSIGHT: a bound, not a candidate."""

    def interval(self, problem: Problem) -> int:
        """Periods; the longest of those equally dear."""
        intervals = range(1, max(2, problem.matrix.periods.size - 1))
        costs = {k: float(problem.cost(self._mask(problem, k))) for k in intervals}
        return min(intervals, key=lambda k: (costs[k], -k))

    def plan(self, problem: Problem) -> Mask:
        """Schedule."""
        return self._mask(problem, self.interval(problem))

    def _mask(self, problem: Problem, every: int) -> Mask:
        n = problem.matrix.periods.size
        first = max(2, 1 + problem.label_delay, 1 + every)
        return problem.mask(np.arange(first, n, max(1, every - problem.label_delay)))


@dataclass(frozen=True)
class Random:
    """One schedule with `retrains` retrainings, drawn from all such schedules with the backtest's seed.

    The mean and SD over many of them stand beside every policy in the table.
    """

    retrains: int

    def plan(self, problem: Problem) -> Mask:
        """Schedule. Raises ValueError if there are fewer periods than retrainings."""
        possible = problem.candidates
        if self.retrains > possible.size:
            raise ValueError(f"random:{self.retrains}: only {possible.size} periods allow a retraining")
        rng = np.random.default_rng([problem.seed, 1])
        return problem.mask(rng.choice(possible, self.retrains, replace=False))


Plan = Oracle | BestInterval | Random
