"""Two policies under uncertain assumptions: what each costs at points of the input space, in the same worlds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.evaluations import play, policies_of
from analysis.inputs import Input, changed, default_inputs, distinct
from analysis.workers import in_order
from scenarios.policies import PolicySpec
from scenarios.schema import Scenario, check_scenario
from sim.policies import Policy
from sim.randomness import check_seed

Array = NDArray[np.float64]
COLUMN = "annual_cost"
CHUNK = 8
"""Points of one task."""


@dataclass(frozen=True)
class Assumptions:
    """A scenario, what is uncertain in it, and the two policies that are to choose between."""

    scenario: Scenario
    policies: dict[str, Policy]
    """The one in question, and its rival."""
    inputs: tuple[Input, ...]
    seed: int = 0
    workers: int | None = None
    step: Callable[[], None] = lambda: None
    """Called after each chunk of points."""

    @property
    def names(self) -> tuple[str, str]:
        """The policy in question and its rival."""
        first, second = self.policies
        return first, second

    def costs(self, points: Array, replications: range) -> Array:
        """Annual costs at points (n, inputs), (n, replications, 2); the same worlds at all points."""
        return self._played([(point, replications) for point in np.asarray(points, dtype=np.float64)])

    def costs_apart(self, points: Array) -> Array:
        """Annual costs at points (n, inputs), each in a world of its own, (n, 2)."""
        return self._played([(point, range(k, k + 1)) for k, point in enumerate(points)])[:, 0]

    def base_costs(self, replications: range) -> Array:
        """Annual costs of the scenario as it is, (replications, 2)."""
        return _costs(play(self.scenario, self.policies, self.seed, replications))

    def mean_costs(self, replications: int) -> Callable[[Array], Array]:
        """The function from points (n, inputs) to mean cost, difference of means and decision, (n, 3).

        The decision is 1 where the policy in question is the cheaper one, else 0.
        """
        return partial(_mean_costs, self, replications)

    def _played(self, tasks: Sequence[tuple[Array, range]]) -> Array:
        chunks = [tasks[start : start + CHUNK] for start in range(0, len(tasks), CHUNK)]
        plain = (self.scenario, self.policies, self.inputs, self.seed)
        found = []
        for costs in in_order(_play_points, [(*plain, chunk) for chunk in chunks], self.workers):
            found.append(costs)
            self.step()
        return np.concatenate(found)


def assumptions(
    scenario: Scenario,
    policies: Sequence[str | PolicySpec | Policy] | None = None,
    inputs: Sequence[Input] | None = None,
    *,
    seed: int = 0,
    workers: int | None = None,
    step: Callable[[], None] = lambda: None,
) -> Assumptions:
    """Put together what sensitivity analyses need.

    policies: two; `triggered` against `scheduled:best` when None (without triggers: `scheduled:best` against
    `never`). A schedule that asks to be tuned is tuned once, on the scenario as it is. inputs: `default_inputs`
    when None. Raises ValueError for another number of policies and for no inputs.
    """
    check_scenario(scenario)
    check_seed("seed", seed)
    if policies is None:
        policies = ("triggered", "scheduled:best") if scenario.triggers else ("scheduled:best", "never")
    if len(policies) != 2:
        raise ValueError(f"policies: got {len(policies)}, expected two: the one in question and its rival")
    chosen = distinct(default_inputs(scenario) if inputs is None else inputs)
    return Assumptions(
        scenario, policies_of(scenario, policies, seed, workers), tuple(chosen), seed, workers, step
    )


def _play_points(
    scenario: Scenario,
    policies: dict[str, Policy],
    inputs: tuple[Input, ...],
    seed: int,
    points: Sequence[tuple[Array, range]],
) -> Array:
    return np.array(
        [
            _costs(play(changed(scenario, inputs, point.tolist()), policies, seed, numbers))
            for point, numbers in points
        ]
    )


def _costs(runs: dict[str, Any]) -> Array:
    return np.stack([columns[COLUMN] for columns in runs.values()], axis=1)


def _mean_costs(given: Assumptions, replications: int, points: Array) -> Array:
    means = given.costs(points, range(replications)).mean(axis=1)
    difference = means[:, 0] - means[:, 1]
    return np.column_stack([means[:, 0], difference, difference < 0.0])
