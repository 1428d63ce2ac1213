"""What it is worth to know more before choosing between two policies, and what a monitor or a label is worth.

All values are money a year. An estimate never profits from its own luck: which policy the information would choose is
learned on four fifths of the points and paid for on the last fifth (cross-fitting), so that an input that tells
nothing is worth 0, or a little less, within its interval, and nothing is worth more than clairvoyance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.assumptions import COLUMN, Assumptions
from analysis.design_samples import unit_points
from analysis.evaluations import play
from analysis.inputs import Input
from analysis.intervals import Interval, mean_interval
from analysis.workers import in_order
from scenarios.schema import Scenario
from scenarios.units import DAYS_PER_YEAR
from sim.policies import Policy
from sim.randomness import stream

Array = NDArray[np.float64]
FOLDS = 5
DEGREE = 3
"""Of the polynomial in one input; with several inputs a quadratic without products."""
POINTS = 256


@dataclass(frozen=True)
class Worth:
    """What a piece of information is worth."""

    what: str
    value: Interval

    def row(self) -> dict[str, object]:
        """As a row of a table."""
        return {
            "information": self.what,
            **dict(zip(("value", "ci_low", "ci_high"), self.value, strict=True)),
        }


def sampled(given: Assumptions, points: int, seed: int) -> tuple[Array, Array]:
    """A Latin hypercube of the inputs, (points, inputs), and the costs there, (points, 2), each in its own world."""
    shares = unit_points(points, len(given.inputs), "lhs", seed)
    x = np.column_stack([one.quantile(shares[:, i]) for i, one in enumerate(given.inputs)])
    return x, given.costs_apart(x)


def value_of_knowing(signals: Array, costs: Array) -> Interval:
    """Expected saving of choosing the policy after a signal instead of before, with 95 % interval.

    signals: (n,) or (n, k), what would be known; costs: (n, policies) at the same points. The expected cost of each
    policy given the signal is a polynomial regression (Strong and Oakley's single-loop method), cross-fitted. It
    is a lower bound as far as the polynomial misses a part of what the signal tells. Raises ValueError for fewer
    than 50 points. Source: Strong, Oakley and Brennan 2014, 'Estimating multiparameter partial expected value of
    perfect information'.
    """
    y = np.asarray(costs, dtype=np.float64)
    s = np.asarray(signals, dtype=np.float64).reshape(len(y), -1)
    if len(y) < 50:
        raise ValueError(f"points: got {len(y)}, expected at least 50")
    basis = _basis(s)
    saved = np.empty(len(y))
    blind = int(np.argmin(y.mean(axis=0)))
    for fold in range(FOLDS):
        test = np.arange(len(y)) % FOLDS == fold
        fitted = np.linalg.lstsq(basis[~test], y[~test], rcond=None)[0]
        informed = np.argmin(basis[test] @ fitted, axis=1)
        saved[test] = y[test, blind] - y[np.flatnonzero(test), informed]
    return mean_interval(saved)


def perfect_information(given: Assumptions, x: Array, costs: Array) -> list[Worth]:
    """EVPPI of each input, EVPI of all inputs together, and what a clairvoyant would save.

    x, costs: from `sampled`. The clairvoyant knows the luck of the world as well as all inputs: no measurement can be
    worth more than that.
    """
    found = [Worth(one.path, value_of_knowing(x[:, i], costs)) for i, one in enumerate(given.inputs)]
    found.append(Worth("all inputs", value_of_knowing(x, costs)))
    best = int(np.argmin(costs.mean(axis=0)))
    found.append(Worth("clairvoyant", mean_interval(costs[:, best] - costs.min(axis=1))))
    return found


def sample_information(
    given: Assumptions,
    x: Array,
    costs: Array,
    one: Input,
    sd: float,
    observations: Sequence[int] = (1, 2, 4, 8, 16),
) -> list[Worth]:
    """EVSI: what `n` unbiased observations of an input are worth, each with standard deviation `sd` (inner unit, > 0).

    The signal is the input plus normal noise of sd / sqrt(n), the same draw for all n. What one more observation
    is worth is the difference of neighbours. Raises ValueError for an input that is not among the assumptions, and
    another sd.
    """
    if one.path not in [other.path for other in given.inputs]:
        raise ValueError(f"{one.path}: is not one of the inputs {', '.join(o.path for o in given.inputs)}")
    if not (sd > 0.0 and np.isfinite(sd)):
        raise ValueError(f"{one.path}: got the standard deviation {sd}, expected a finite number above 0")
    column = [other.path for other in given.inputs].index(one.path)
    noise = stream(given.seed, 0, f"observation:{one.path}").normal(size=len(x))
    return [
        Worth(f"{n} x {one.path}", value_of_knowing(x[:, column] + noise * sd / np.sqrt(n), costs))
        for n in observations
    ]


def value_of_monitors(
    scenario: Scenario,
    policy: dict[str, Policy],
    replications: int,
    *,
    seed: int = 0,
    workers: int | None = None,
) -> list[Worth]:
    """What each monitor and trigger of the scenario saves under a policy: cost without it less cost with it, paired.

    Its own price and that of the labels it uses are part of the cost with it. policy: one, by name.
    """
    places = [(group, i) for group in ("monitors", "triggers") for i in range(len(getattr(scenario, group)))]
    worlds = [scenario, *(_without(scenario, group, i) for group, i in places)]
    with_it, *without = _annual(worlds, policy, replications, seed, workers)
    names = [f"{group}[{i}] ({getattr(scenario, group)[i].label})" for group, i in places]
    return [Worth(name, mean_interval(cost - with_it)) for name, cost in zip(names, without, strict=True)]


def value_of_a_label(
    scenario: Scenario,
    policy: dict[str, Policy],
    replications: int,
    *,
    seed: int = 0,
    workers: int | None = None,
) -> Worth | None:
    """What one more labelled request saves under a policy, in money a label; None without labels.

    Cost with half more of the requests labelled (half of them, where all are) against the scenario as it is, paired,
    divided by the change in the number of labels. The price of the labels that monitors use is part of the cost.
    """
    labels = scenario.labels
    if labels is None or labels.coverage == 0.0 or scenario.traffic.rate is None:
        return None
    factor = 1.5 if labels.coverage * 1.5 <= 1.0 else 0.5
    other = scenario.with_(**{"labels.coverage": labels.coverage * factor})
    as_is, changed = _annual([scenario, other], policy, replications, seed, workers)
    more = (factor - 1.0) * labels.coverage * scenario.traffic.rate * DAYS_PER_YEAR
    return Worth("one more label", mean_interval((as_is - changed) / more))


def worths_table(found: Sequence[Worth]) -> pd.DataFrame:
    """One row a piece of information: value a year and its 95 % interval."""
    return pd.DataFrame([one.row() for one in found], columns=["information", "value", "ci_low", "ci_high"])


def _annual(
    worlds: Sequence[Scenario], policy: dict[str, Policy], replications: int, seed: int, workers: int | None
) -> list[Array]:
    if replications < 2:
        raise ValueError(f"reps: got {replications}, expected at least 2")
    tasks = [(scenario, policy, seed, range(replications)) for scenario in worlds]
    return [next(iter(runs.values()))[COLUMN] for runs in in_order(play, tasks, workers)]


def _without(scenario: Scenario, group: str, number: int) -> Scenario:
    kept = [monitor for i, monitor in enumerate(getattr(scenario, group)) if i != number]
    return scenario.model_copy(update={group: kept})


def _basis(s: Array) -> Array:
    """Polynomials of the standardised signals, (n, terms)."""
    spread = s.std(axis=0)
    z = (s - s.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    degree = DEGREE if s.shape[1] == 1 else 2
    return np.column_stack([np.ones(len(z)), *(z**power for power in range(1, degree + 1))])
