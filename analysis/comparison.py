"""All policies on the same worlds: money and accuracy with intervals, paired differences, and a verdict.

Every comparison carries the baselines that keep it honest: never, the best tuned schedule, an oracle that knows the
world, and for each policy that reacts its random twin (as many retrainings, at random moments). The skill of a
policy is what it saves over its twin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from analysis.entrants import entrant_of, play_in, world_for
from analysis.extra_figures import edge_figures, extra_figures
from analysis.feasibility import warnings_for
from analysis.progress import progress_of
from analysis.statistics import Interval, mean_interval, probability_negative, variance_reduction
from analysis.workers import in_order
from scenarios.policies import PolicySpec, parse_policy
from scenarios.problems import choice
from scenarios.schema import Scenario, check_scenario
from scenarios.units import DAYS_PER_YEAR
from sim.displays import Displayed
from sim.edge_result import EDGE_FIGURES
from sim.ledger import CATEGORIES, WATCHING
from sim.policies import Oracle, PlannedPolicy, Policy, RandomDates, Scheduled, innermost
from sim.randomness import check_seed
from sim.record import Result, versions
from sim.world import World

DEFAULT_REPLICATIONS = 30
FIRST_BATCH = 10
MAX_REPLICATIONS = 1000
TWIN = "random~"
"""Prefix of the random twin of a policy."""
AnyPolicy = str | PolicySpec | Policy


@dataclass(frozen=True, repr=False)
class Comparison(Displayed):
    """What a comparison found; `runs` has one row per policy and replication, costs in the scenario's currency."""

    scenario: Scenario
    names: list[str]
    runs: pd.DataFrame
    seed: int
    entrants: dict[str, Policy] = field(default_factory=dict, repr=False)
    """The policies that were played, by name."""
    intervals: dict[str, float] = field(default_factory=dict)
    """Tuned interval (days) of policies that asked for the best one."""
    warnings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """The tables and the verdict, as `halflife compare` prints them."""
        from analysis.report import comparison_text

        return comparison_text(self)

    def headline(self) -> str:
        """How many policies in how many worlds, and the verdict."""
        return f"{self.scenario.title}, {len(self.names)} policies in {self.replications} worlds: {self.verdict()}"

    def _shown(self) -> pd.DataFrame:
        return self.table()

    def __getitem__(self, policy: str) -> pd.DataFrame:
        """The runs of one policy, one row a replication. Raises KeyError with the nearest name."""
        if policy not in self._by_policy:
            raise KeyError(f"{policy!r} was not compared: {choice(policy, list(self._by_policy))}")
        return self._by_policy[policy]

    def _ipython_key_completions_(self) -> list[str]:
        return list(self._by_policy)

    @property
    def replications(self) -> int:
        """Number of worlds that every policy met."""
        return int(self.runs["replication"].nunique())

    def values(self, policy: str, column: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """One column of one policy by replication, (replications,).

        Raises KeyError with the nearest name, ValueError for a column of fleets where there is none.
        """
        if column in EDGE_FIGURES and not edge_figures(self.runs):
            raise ValueError(f"{column}: is of a fleet of devices, and the scenario has no edge")
        runs = self[policy]
        if column not in runs:
            raise KeyError(f"no column {column!r}: {choice(column, list(runs.columns))}")
        return runs[column].to_numpy(dtype=np.float64)

    def interval(self, policy: str, column: str) -> Interval:
        """Mean and 95 % interval of a column of one policy."""
        return mean_interval(self.values(policy, column))

    @cached_property
    def candidates(self) -> list[str]:
        """Policies that could be chosen: all but an oracle."""
        return [name for name in self.names if not self._is(name, Oracle, "oracle")]

    @cached_property
    def best(self) -> str:
        """The candidate with the least mean cost."""
        return min(self.candidates, key=lambda name: float(self.values(name, "annual_cost").mean()))

    @cached_property
    def baseline(self) -> str:
        """The best of the scheduled policies."""
        scheduled = [name for name in self.names if self._is(name, Scheduled, "scheduled")]
        return min(scheduled, key=lambda name: float(self.values(name, "annual_cost").mean()))

    @cached_property
    def one_world(self) -> bool:
        """Whether all replications of every candidate cost the same: nothing in the scenario is left to chance."""
        costs = (self.values(name, "annual_cost") for name in self.candidates)
        return all(np.ptp(cost) <= 1e-9 * np.abs(cost).max() for cost in costs)

    def difference(self, policy: str, other: str, level: float = 0.95) -> Interval:
        """Paired difference of annual cost, policy minus other: below 0 the policy is cheaper."""
        return mean_interval(self.values(policy, "annual_cost") - self.values(other, "annual_cost"), level)

    def skill(self, policy: str) -> Interval | None:
        """Annual saving over random retraining with as many retrainings; None for policies that do not react."""
        if TWIN + policy not in self._by_policy:
            return None
        return self.difference(TWIN + policy, policy)

    def skill_sd(self, policy: str) -> float:
        """The skill in standard deviations of the paired difference to the twin; NaN without one."""
        if TWIN + policy not in self._by_policy or self.replications < 2:
            return math.nan
        gain = self.values(TWIN + policy, "annual_cost") - self.values(policy, "annual_cost")
        spread = float(gain.std(ddof=1))
        return float(gain.mean()) / spread if spread > 0.0 else math.nan

    def table(self) -> pd.DataFrame:
        """One row a policy: annual cost with half-width, regret to the oracle, accuracy, counts, MTTD, skill.

        Of a fleet of devices also its figures, such as the age of its models.
        """
        rows = {}
        for name in self.names:
            cost = self.interval(name, "annual_cost")
            skill = self.skill(name)
            rows[name] = {
                "annual_cost": cost.mean,
                "half_width": cost.half_width,
                "regret": self.difference(name, "oracle").mean,
                "mean_accuracy": self.interval(name, "mean_accuracy").mean,
                "retrains_per_year": self._per_year(name, "retrains"),
                "alarms_per_year": self._per_year(name, "alarms"),
                "false_alarms_per_year": self._per_year(name, "false_alarms"),
                "mttd_hours": self.interval(name, "mttd_hours").mean,
                "skill": skill.mean if skill else math.nan,
                "skill_sd": self.skill_sd(name),
                **{column: self.interval(name, column).mean for column in extra_figures(self.runs)},
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("policy")

    def differences(self) -> pd.DataFrame:
        """Paired differences of annual cost to the best scheduled policy, with 95 % intervals."""
        rows = []
        for name in self.names:
            if name == self.baseline:
                continue
            gap = self.values(name, "annual_cost") - self.values(self.baseline, "annual_cost")
            rows.append((name, self.baseline, *mean_interval(gap), probability_negative(gap)))
        return pd.DataFrame(rows, columns=["policy", "baseline", "mean", "ci_low", "ci_high", "p_better"])

    def variance_reduction(self, policy: str) -> float:
        """What common random numbers gain for the difference of a policy to the baseline."""
        return variance_reduction(
            self.values(policy, "annual_cost"), self.values(self.baseline, "annual_cost")
        )

    def verdict(self) -> str:
        """One sentence: who is cheapest, by how much, and whether that is certain."""
        from analysis.report import verdict

        return verdict(self)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `halflife compare --json`."""
        from analysis.report import comparison_document

        return comparison_document(self)

    def save(self, folder: Any) -> list[Any]:
        """Write tables, data and pictures into a folder; returns the files."""
        from analysis.report import save_comparison

        return save_comparison(self, folder)

    def plot(self, ax: Any = None) -> Any:
        """Costs by category and policy; returns matplotlib axes."""
        from analysis.plots import plot_costs

        return plot_costs(self, ax=ax)

    def replay(self, policy: str, replication: int = 0) -> Result:
        """Run one replication of the comparison again, alone, with its full trace."""
        if policy not in self.entrants:
            raise ValueError(f"policy {policy!r} was not compared, one of: {', '.join(self.entrants)}")
        world = World(self.scenario, self.seed, replication)
        return play_in(world_for(self.entrants[policy], world), self.entrants[policy])

    @property
    def provenance(self) -> dict[str, Any]:
        """What makes the comparison reproducible."""
        return {"scenario_hash": self.scenario.hash(), "seed": self.seed, "versions": versions()}

    @cached_property
    def _by_policy(self) -> dict[str, pd.DataFrame]:
        return {str(name): rows for name, rows in self.runs.groupby("policy", sort=False)}

    def _is(self, name: str, kind: type[Policy], word: str) -> bool:
        """Whether a policy, inside its wrappers, is of a kind; by its name where it is not at hand."""
        if name in self.entrants:
            return isinstance(innermost(self.entrants[name]), kind)
        return name.startswith(word)

    def _per_year(self, policy: str, column: str) -> float:
        return float(self.values(policy, column).mean()) * DAYS_PER_YEAR / self.scenario.horizon


def compare(
    scenario: Scenario,
    policies: Sequence[AnyPolicy] | None = None,
    *,
    replications: int | None = None,
    precision: float | None = None,
    max_replications: int = MAX_REPLICATIONS,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = False,
) -> Comparison:
    """Run all policies on the same worlds and say what they cost.

    policies: short forms, specifications or objects with `decide`; the scenario's own when None. never, the best
    tuned schedule and the oracle always run along. replications: number of worlds, 30 when None. precision:
    add replications until the 95 % half-width of the cheapest policy's cost is this fraction of it (0.05), up to
    max_replications, with a warning when that does not suffice. workers: processes, all cores when None; the
    result is the same for any number. Raises ValueError for a policy or number that does not fit.

    >>> import scenarios
    >>> found = compare(scenarios.load("rotting_asset"), ["scheduled:90d"], replications=2, workers=1)
    >>> float(found.values("scheduled:90d", "retrains")[0])
    4.0
    """
    check_scenario(scenario)
    check_seed("seed", seed)
    check_plan(replications, precision, max_replications)
    entrants, intervals = _entrants(scenario, policies, seed, workers)
    notes = warnings_for(scenario, list(entrants.values()), replications if precision is None else None)
    batches = batches_of(replications, precision, max_replications)
    rows: list[dict[str, Any]] = []
    expected = None if precision else replications or DEFAULT_REPLICATIONS
    with progress_of(progress, "replications", expected) as step:
        for batch in batches:
            for of_world in in_order(
                replicate, [(scenario, entrants, seed, number) for number in batch], workers
            ):
                rows += of_world
                step()
            found = Comparison(scenario, list(entrants), pd.DataFrame(rows), seed, entrants, intervals, notes)
            if precision is not None and is_precise(found, precision):
                break
        else:
            if precision is not None:
                notes.append(
                    f"after {max_replications} replications the interval of {found.best} is still wider than "
                    f"{precision:.1%} of its cost"
                )
    return found


def replicate(
    scenario: Scenario, entrants: dict[str, Policy], seed: int, replication: int
) -> list[dict[str, Any]]:
    """Play one world under every policy, and under the random twin of those that react.

    The oracle and the twins need no monitors and run without them, but for those that find failures. A twin is charged
    for what its policy's monitors cost, so that the difference is the timing alone.
    """
    world = World(scenario, seed, replication)
    for_twins = world if scenario.failures else world.unwatched()
    rows = []
    for name, policy in entrants.items():
        result = play_in(world_for(policy, world), policy)
        rows.append(row_of(name, result))
        if not isinstance(innermost(policy), PlannedPolicy):
            twin = play_in(for_twins, RandomDates(int(result.summary["retrains"])))
            paid = twin.ledger.by_category()
            for category in WATCHING:
                twin.ledger.post(category, float(result.costs[category] - paid[category]))
            rows.append(row_of(TWIN + name, twin))
    return rows


def row_of(name: str, result: Result) -> dict[str, Any]:
    """The row of a run in the table of a comparison."""
    costs = {f"cost[{category}]": float(result.costs[category]) for category in CATEGORIES}
    return {
        "policy": name,
        "replication": result.replication,
        **{str(key): value for key, value in result.summary.items()},
        **costs,
    }


def listed_policies(given: Sequence[AnyPolicy] | str) -> list[AnyPolicy]:
    """The policies as a list; a single text is taken as one policy, and not as its letters."""
    return [given] if isinstance(given, str) else list(given)


def _entrants(
    scenario: Scenario, policies: Sequence[AnyPolicy] | None, seed: int, workers: int | None
) -> tuple[dict[str, Policy], dict[str, float]]:
    """Policies by name, with the baselines, and the tuned intervals."""
    wanted = listed_policies(scenario.policies if policies is None else policies)
    specs: list[PolicySpec | Policy] = [parse_policy(p) if isinstance(p, str) else p for p in wanted]
    names = [spec.name for spec in specs]
    for baseline in ("never", "scheduled:best", "oracle"):
        if baseline not in names:
            specs.append(parse_policy(baseline))
    entrants: dict[str, Policy] = {}
    intervals: dict[str, float] = {}
    for spec in specs:
        if spec.name in entrants:
            raise ValueError(f"policy {spec.name!r} is there twice, expected different names")
        entrants[spec.name], interval = entrant_of(scenario, spec, seed, workers)
        if interval is not None:
            intervals[spec.name] = interval
    return entrants, intervals


def check_plan(replications: int | None, precision: float | None, limit: int) -> None:
    """Raise ValueError for numbers of replications that cannot be."""
    if precision is not None and not 0.0 < precision < 1.0:
        raise ValueError(f"precision: got {precision}, expected a fraction such as 0.05")
    for name, given in (("replications", replications), ("max_replications", limit)):
        if given is not None and (isinstance(given, bool) or not isinstance(given, Integral)):
            raise ValueError(f"{name}: got {given!r}, expected a whole number")
    if replications is not None and replications < 1:
        raise ValueError(f"replications: got {replications}, expected at least 1")
    if limit < 2:
        raise ValueError(f"max_replications: got {limit}, expected at least 2")


def batches_of(replications: int | None, precision: float | None, limit: int) -> Iterator[range]:
    """Replication numbers, batch by batch; batches grow so that few checks are made."""
    if precision is None:
        yield range(replications or DEFAULT_REPLICATIONS)
        return
    done = 0
    while done < limit:
        size = (replications or FIRST_BATCH) if done == 0 else max(done // 2, 1)
        size = min(size, limit - done)
        yield range(done, done + size)
        done += size


def is_precise(comparison: Comparison, precision: float) -> bool:
    """Whether the half-width of the cheapest candidate's cost is at most this fraction of it."""
    cost = comparison.interval(comparison.best, "annual_cost")
    return cost.half_width <= precision * abs(cost.mean)
