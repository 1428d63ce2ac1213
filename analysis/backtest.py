"""Backtest of retraining policies on an accuracy matrix: what each would have cost, how well timed.

A replay: the model trained through the first period serves from the second on. Before each later period t
a policy may replace it by the model trained through period t - 1 - d, d the label delay, which then serves
from t on. Before t only the accuracies of periods up to t - 1 - d are known; features, and so PSI, are
never late.

Every policy is measured against two bounds that no team can follow: the offline optimum (`oracle`), and
random schedules with the same number of retrainings, which tell good timing from merely retraining often.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.accuracy_matrix import (
    FloatArray,
    Matrix,
    MatrixError,
    PathLike,
    accuracy_matrix,
    read_matrix,
    read_psi,
    read_validation,
)
from analysis.replay_policies import (
    DEFAULT_POLICIES,
    Hybrid,
    Never,
    Policy,
    Scheduled,
    Triggered,
    View,
    parse_policy,
)
from analysis.schedules import BestInterval, Mask, Oracle, Plan, Problem
from sim.displays import Displayed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Backtest",
    "Hybrid",
    "Matrix",
    "MatrixError",
    "Never",
    "Policy",
    "Scheduled",
    "Triggered",
    "View",
    "accuracy_matrix",
    "backtest",
    "parse_policy",
    "read_matrix",
]


@dataclass(frozen=True, eq=False)
class Replay:
    """What happened under one policy.

    name: as in the tables
    retrained: periods before which the model was replaced, (n,)
    accuracy: fraction, of the service in each period from the second on, (n_periods - 1,)
    total_cost: in the money of the backtest's prices
    hindsight: the policy knew the future or drew lots, and is no candidate
    """

    name: str
    retrained: NDArray[np.int64]
    accuracy: FloatArray
    total_cost: float
    hindsight: bool

    @property
    def retrains(self) -> int:
        """Number of retrainings."""
        return int(self.retrained.size)

    @property
    def mean_accuracy(self) -> float:
        """Fraction, mean of the served periods."""
        return float(self.accuracy.mean())


@dataclass(frozen=True, eq=False, repr=False)
class Backtest(Displayed):
    """Policies replayed on one matrix, in the order given.

    replays: one a policy
    oracle: the offline optimum, replayed whether asked for or not
    twins: number of retrainings -> mean and SD of the mean accuracy of random schedules with as many
    """

    problem: Problem
    replays: tuple[Replay, ...]
    oracle: Replay
    twins: dict[int, tuple[float, float]]

    def headline(self) -> str:
        """The verdict."""
        return self.verdict()

    def _shown(self) -> pd.DataFrame:
        # Prices of a backtest have no currency: they are those of the caller.
        return (
            self.table()
            .set_index("policy")
            .rename(columns={"total_cost": "total", "regret": "above optimum"})
        )

    @property
    def best_interval(self) -> int:
        """The k that `scheduled:best` stands for, periods: of least cost in hindsight."""
        return BestInterval().interval(self.problem)

    def rows(self) -> list[dict[str, Any]]:
        """One dict a policy, ready for JSON.

        name, retrains, mean_accuracy (fraction), total_cost and regret (cost above the offline optimum) in
        money, skill (mean accuracy above that of random schedules with as many retrainings), skill_sd (skill
        in SDs of those schedules, None where they cannot differ), random_accuracy and random_sd (theirs).
        """
        return [self._row(replay) for replay in self.replays]

    def table(self) -> pd.DataFrame:
        """`rows` as a table, the name in column `policy`; NaN where a row has None."""
        frame = pd.DataFrame(self.rows()).rename(columns={"name": "policy"})
        return frame.astype({"skill_sd": float})

    def verdict(self) -> str:
        """One sentence: the least costly policy that could have been followed, and what its timing gained."""
        candidates = [replay for replay in self.replays if not replay.hindsight]
        optimum = f"the offline optimum, {self.oracle.total_cost:.4g} with {_times(self.oracle.retrains)}"
        if not candidates:
            return f"None of these policies could have been followed; the bound is {optimum}."
        best = min(candidates, key=lambda replay: replay.total_cost)
        row = self._row(best)
        if row["skill_sd"] is None:
            timing = "with that many there is nothing to time"
        else:
            beats, gain = row["skill_sd"], f"{row['skill']:+.3f} of accuracy, {row['skill_sd']:+.1f} SD"
            judged = "better than" if beats >= 2 else "worse than" if beats <= -2 else "not told apart from"
            timing = f"its timing was {judged} that of random schedules with as many ({gain})"
        return (
            f"Of {len(candidates)} policies that could have been followed, {best.name} cost least: "
            f"{best.total_cost:.4g} with {_times(best.retrains)} at mean accuracy {best.mean_accuracy:.3f}, "
            f"{row['regret']:.3g} above {optimum}; {timing}."
        )

    def plot(self, ax: Axes | None = None, policies: Sequence[str] | None = None) -> Axes:
        """Accuracy per period, one row a policy, its retrainings as marks in a lane below: see `plot_replays`.

        policies: names to draw, None for all. Returns the axes, shows nothing. Raises ValueError for a name
        that was not replayed.
        """
        from analysis.plot_replays import plot_replays

        return plot_replays(self._chosen(policies), self.problem.matrix.periods[1:], self.oracle, ax)

    def _chosen(self, policies: Sequence[str] | None) -> list[Replay]:
        by_name = {replay.name: replay for replay in self.replays}
        for name in policies or ():
            if name not in by_name:
                raise ValueError(f"policy {name!r} was not replayed; one of: {', '.join(by_name)}")
        return [by_name[name] for name in policies or by_name]

    def _row(self, replay: Replay) -> dict[str, Any]:
        mean, sd = self.twins[replay.retrains]
        skill = replay.mean_accuracy - mean if sd else 0.0
        return {
            "name": replay.name,
            "retrains": replay.retrains,
            "mean_accuracy": replay.mean_accuracy,
            "total_cost": replay.total_cost,
            # The optimum is exact but for the order of additions.
            "regret": max(0.0, replay.total_cost - self.oracle.total_cost),
            "skill": skill,
            "skill_sd": skill / sd if sd else None,
            "random_accuracy": mean,
            "random_sd": sd,
        }


def backtest(
    matrix: Matrix | PathLike,
    policies: Sequence[str | Policy | Callable[[View], bool]] | None = None,
    *,
    retrain_cost: float = 0.1,
    value_per_period: float = 1.0,
    label_delay: int = 0,
    validation: PathLike | ArrayLike | None = None,
    psi: PathLike | ArrayLike | None = None,
    random_schedules: int = 1000,
    seed: int = 0,
) -> Backtest:
    """Replay retraining policies on an accuracy matrix and weigh accuracy against the price of retraining.

    matrix: from `read_matrix` or `accuracy_matrix`, or a path to read
    policies: short forms (see `parse_policy`), objects with `decide(view)`, or functions `view -> bool`; None
        is never, scheduled:1, 2, 4, 8, 16 and best, triggered by a drop of 0.01, 0.02, 0.05, 0.1, oracle.
        `scheduled:best` picks its interval, of all, by least cost in hindsight.
    retrain_cost: money per retraining, >= 0
    value_per_period: money per period for accuracy going from 0 to 1, > 0. The cost of a policy is
        value_per_period * sum over served periods of (1 - accuracy) + retrain_cost * retrainings, in that
        money; with the default 1, costs count whole periods answered wrong
    label_delay: periods, >= 0. Before t only accuracies up to t - 1 - label_delay are known, and a retraining
        gives the model trained through that period, even if it is the one in service, and is paid for
    validation: accuracy of each model as measured when it was trained, path (see `read_validation`) or
        (n_train,): the reference of accuracy triggers in place of the first served period
    psi: path (`read_psi`) or (n_train, n_periods, n_features), for PSI triggers
    random_schedules: number of random schedules for `skill`, >= 2
    seed: >= 0; same arguments, same result
    Raises ValueError for an argument out of range, an unknown policy (with the right ones) or a PSI trigger
    without PSI, MatrixError for a bad file, TypeError where a policy answers anything but True or False.

    >>> m = Matrix([0, 1], [0, 1, 2], [[np.nan, 0.9, 0.6], [np.nan, np.nan, 0.9]])
    >>> backtest(m, ["never", "scheduled:1"]).table()[["policy", "retrains", "total_cost"]]
            policy  retrains  total_cost
    0        never         0         0.5
    1  scheduled:1         1         0.3
    """
    matrix = matrix if isinstance(matrix, Matrix) else read_matrix(matrix)
    if not (math.isfinite(retrain_cost) and retrain_cost >= 0):
        raise ValueError(f"retrain_cost: got {retrain_cost}, expected money per retraining >= 0")
    if not (math.isfinite(value_per_period) and value_per_period > 0):
        raise ValueError(f"value_per_period: got {value_per_period}, expected money per period > 0")
    problem = Problem(
        matrix,
        float(retrain_cost),
        float(value_per_period),
        _whole("label_delay", label_delay, 0),
        _whole("seed", seed, 0),
        None if validation is None else _validation(validation, matrix),
        None if psi is None else _psi(psi, matrix),
    )
    schedules = _whole("random_schedules", random_schedules, 2)
    given = [policies] if isinstance(policies, str) else DEFAULT_POLICIES if policies is None else policies
    replays = tuple(_replay(problem, policy) for policy in given)
    names = [replay.name for replay in replays]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated or not names:
        raise ValueError(f"policies: got {repeated[0]!r} twice" if repeated else "policies: got none")
    oracle = _record(problem, "oracle", Oracle().plan(problem), hindsight=True)
    return Backtest(problem, replays, oracle, _twins(problem, {r.retrains for r in replays}, schedules))


def _replay(problem: Problem, policy: str | Policy | Callable[[View], bool]) -> Replay:
    name = policy.strip() if isinstance(policy, str) else _name(policy)
    decider = parse_policy(policy) if isinstance(policy, str) else policy
    if isinstance(decider, Plan):
        return _record(problem, name, decider.plan(problem), hindsight=True)
    trigger = decider.trigger if isinstance(decider, Hybrid) else decider
    if isinstance(trigger, Triggered) and trigger.metric != "accuracy" and problem.psi is None:
        raise ValueError(f"policy {name!r}: needs the PSI of the matrix's features; give psi=")
    decide = getattr(decider, "decide", decider)
    if not callable(decide) or isinstance(decider, type):
        raise ValueError(f"policy {policy!r}: expected a string, an object with decide(view) or a function")
    return _record(problem, name, _schedule(problem, name, decide), hindsight=False)


def _name(policy: object) -> str:
    return str(getattr(policy, "name", None) or getattr(policy, "__name__", None) or type(policy).__name__)


def _schedule(problem: Problem, name: str, decide: Callable[[View], bool]) -> Mask:
    """Ask a policy before each period, showing it only what is known then."""
    values, zero, delay = problem.matrix.values, int(problem.matrix.periods[0]), problem.label_delay
    deployed, first, chosen = 0, 1, []
    live = np.array([values[0, 1]])
    for t in range(2, problem.matrix.periods.size):
        known = t - 1 - delay
        if known >= 0:
            reference = float(values[deployed, first]) if known >= first else None
            if problem.validation is not None:
                reference = float(problem.validation[deployed])
            # Copies, or a policy could reach the future through the arrays' base.
            seen = live[:known].copy()
            moved = None if problem.psi is None else problem.psi[deployed, t - 1].copy()
            answer = decide(View(t + zero, deployed + zero, first + zero, delay, seen, reference, moved))
            if not isinstance(answer, bool | np.bool_):
                raise TypeError(f"policy {name!r}: decide returned {answer!r}, expected True or False")
            if answer:
                deployed, first = known, t
                chosen.append(t)
        live = np.append(live, values[deployed, t])
    return problem.mask(chosen)


def _record(problem: Problem, name: str, mask: Mask, *, hindsight: bool) -> Replay:
    retrained = problem.matrix.periods[mask]
    return Replay(name, retrained, problem.accuracy(mask), float(problem.cost(mask)), hindsight)


def _twins(problem: Problem, budgets: Iterable[int], schedules: int) -> dict[int, tuple[float, float]]:
    """Mean and SD of the mean accuracy of random schedules, for each number of retrainings.

    The first n of one random order of the periods are a random schedule of n: all budgets share the orders.
    """
    possible, n = problem.candidates, problem.matrix.periods.size
    rng = np.random.default_rng([problem.seed, 0])
    found: dict[int, list[FloatArray]] = {budget: [] for budget in sorted(budgets)}
    for start in range(0, schedules, 256):
        size = min(256, schedules - start)
        order = possible[np.argsort(rng.random((size, possible.size)), axis=1)]
        for budget, means in found.items():
            mask = np.zeros((size, n), dtype=bool)
            np.put_along_axis(mask, order[:, :budget], True, axis=1)
            means.append(problem.accuracy(mask).mean(axis=1))
    return {budget: _mean_and_sd(np.concatenate(means)) for budget, means in found.items()}


def _mean_and_sd(values: FloatArray) -> tuple[float, float]:
    # Rounding gives equal values an SD of 1e-17, by which nothing should be divided.
    return float(values.mean()), float(values.std(ddof=1)) if np.ptp(values) > 1e-12 else 0.0


def _validation(given: PathLike | ArrayLike, matrix: Matrix) -> FloatArray:
    if isinstance(given, str | os.PathLike):
        return read_validation(given, matrix)
    values = np.asarray(given, dtype=float)
    if values.shape != matrix.train_periods.shape or not np.all((values >= 0) & (values <= 1)):
        raise ValueError(f"validation: expected {matrix.train_periods.size} fractions in [0, 1], one a model")
    return values


def _psi(given: PathLike | ArrayLike, matrix: Matrix) -> FloatArray:
    if isinstance(given, str | os.PathLike):
        return read_psi(given, matrix)
    values, shape = np.asarray(given, dtype=float), matrix.values.shape
    if values.ndim != 3 or values.shape[:2] != shape or not values.shape[2]:
        raise ValueError(f"psi: got shape {values.shape}, expected {(*shape, 'features')}")
    later = values[~np.isnan(matrix.values)]
    if not np.all((later >= 0) & np.isfinite(later)):
        raise ValueError("psi: expected finite numbers >= 0 wherever the period is after the training period")
    return values


def _whole(name: str, value: int, least: int) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}: got {value!r}, expected a whole number >= {least}")
    return int(value)


def _times(retrains: int) -> str:
    return f"{retrains or 'no'} retraining{'' if retrains == 1 else 's'}"
