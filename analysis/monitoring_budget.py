"""How much monitoring to buy, and of which layer: the plans of a menu, simulated on common worlds.

What comes out: the frontier of monitoring cost and expected loss, the plan of least total cost, the best one within a
limit, what the next dollar returns, and what perfect monitoring would be worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.budget_search import LEAST, Found, probability_best, search
from analysis.budget_tables import (
    frontier_table,
    marginal_table,
    next_dearer,
    plan_table,
    roi_of,
    switched_off,
)
from analysis.evaluations import policies_of
from analysis.frontier import frontier_of
from analysis.intervals import Interval, check_level, paired_interval
from analysis.monitoring_plans import Plan, choices_of, nothing_of, perfectly_watched, plans_of
from analysis.plan_runs import PlanRuns, Simulator
from analysis.progress import progress_of
from scenarios.currency import foreign_currency
from scenarios.policies import PolicySpec
from scenarios.schema import Scenario, check_scenario
from scenarios.units import DAYS_PER_MONTH, MONEY, MONEY_RATE, MONTHS_PER_YEAR
from sim.displays import Displayed
from sim.engine import monitors_of
from sim.policies import Oracle, Policy
from sim.randomness import check_seed

Array = NDArray[np.float64]

REPLICATIONS = 40
SHARE = 1.0 / 3.0
"""Runs of the plans over those of the full factorial, at most; but never less than FEW plans in all worlds."""
FEW = 6
"""Plans that can always be played in all worlds: menus of less than 3 * FEW plans take more than a third."""
REFERENCES = ("off", "perfect")
"""Runs beside the plans: everything off that the menu governs, and the free perfect monitor."""
RARE = 10
"""Worlds with an incident, below which the user is warned."""


@dataclass(frozen=True, repr=False)
class BudgetFound(Displayed):
    """What a search over monitoring plans found; money a year unless it says a month."""

    scenario: Scenario
    policy: str
    plans: tuple[Plan, ...]
    options: tuple[int, ...]
    """Number of options of each entry of the menu."""
    runs: PlanRuns = field(repr=False)
    references: PlanRuns = field(repr=False)
    """Runs of REFERENCES in the worlds of the last round."""
    search: Found
    limit: float | None
    """Monitoring cost a month, a twelfth of a year, that is not to be exceeded on average."""
    confidence: float
    full_replications: int
    """Replications that each plan of the full factorial would have had."""
    seed: int
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The tables and the verdict, as `halflife budget` prints them."""
        from analysis.report_budget import budget_text

        return budget_text(self)

    def headline(self) -> str:
        """The verdict over all plans."""
        return f"{self.scenario.title}, {len(self.plans)} plans: {self.verdict()}"

    def _shown(self) -> pd.DataFrame:
        columns = [
            "monitoring",
            "loss",
            "total",
            "roi",
            "incidents_per_year",
            "mttd_hours",
            "undetected_share",
        ]
        return self.frontier().set_index("plan")[[*columns, "best"]]

    @property
    def replications(self) -> int:
        """Worlds that the plans of the last round met."""
        return self.search.replications

    @property
    def annual_limit(self) -> float:
        """The limit as money a year; infinite without one."""
        return math.inf if self.limit is None else self.limit * MONTHS_PER_YEAR

    @cached_property
    def played(self) -> list[int]:
        """Plans that met all worlds, in the order of the menu; of those with equal results the first."""
        different: dict[bytes, int] = {}
        for plan in np.flatnonzero(self.runs.counts >= self.replications).tolist():
            costs = self.runs.values[plan][: self.replications, :2]
            different.setdefault(costs.tobytes(), plan)
        return list(different.values())

    @cached_property
    def best(self) -> int:
        """The plan of least mean total cost."""
        return self._least(self.played)

    @cached_property
    def best_affordable(self) -> int | None:
        """The plan of least mean total cost among those within the limit; None where none is, or without a limit."""
        within = [plan for plan in self.played if self.is_affordable(plan)]
        return self._least(within) if within and self.limit is not None else None

    @property
    def recommended(self) -> int:
        """The best plan within the limit, where there is one; else the best plan."""
        return self.best if self.best_affordable is None else self.best_affordable

    @property
    def keeps_limit(self) -> bool:
        """Whether there is no limit, or a plan that keeps it."""
        return self.limit is None or self.best_affordable is not None

    @cached_property
    def cheapest(self) -> int:
        """The plan of least mean monitoring cost."""
        return min(range(len(self.plans)), key=lambda plan: self.estimate(plan, "monitoring"))

    def is_affordable(self, plan: int) -> bool:
        """Whether a plan's mean monitoring cost is within the limit."""
        return self.estimate(plan, "monitoring") <= self.annual_limit

    def estimate(self, plan: int, column: str) -> float:
        """Mean of a column of a plan: that of a plan of the last round, plus their difference where both were.

        For a plan that met all worlds this is its own mean; for others it takes out the luck of the few that they met,
        by the plan of the last round that is most like it.
        """
        count = int(self.runs.counts[plan])
        mine = self.runs.column(plan, column, self.replications)
        if count >= self.replications:
            return float(mine.mean())
        bases = [self.runs.column(base, column, self.replications) for base in self.search.finalists]
        base = min(bases, key=lambda of_base: float(np.var(mine - of_base[:count])))
        return float(base.mean() + (mine - base[:count]).mean())

    @cached_property
    def probability(self) -> float:
        """Probability that no other plan has a lower expected total cost than the recommended one.

        Among those within the limit where there is one; see `probability_best` for what it can know.
        """
        rivals = [p for p in range(len(self.plans)) if self.best_affordable is None or self.is_affordable(p)]
        return probability_best(self.runs, self.recommended, rivals, self.seed)

    @property
    def equals(self) -> tuple[str, ...]:
        """Plans whose costs were exactly those of the recommended one in all worlds that both met."""
        mine = self.runs.values[self.recommended]
        found = []
        for plan, other in enumerate(self.runs.values):
            count = min(len(mine), len(other))
            if plan != self.recommended and np.array_equal(mine[:count, :2], other[:count, :2]):
                found.append(self.plans[plan].name)
        return tuple(found)

    def values(self, plan: int, column: str) -> Array:
        """A column of a plan in the worlds of the last round, (replications,); 'total' for both costs."""
        if column == "total":
            return self.runs.total(plan, self.replications)
        return self.runs.column(plan, column, self.replications)

    def reference(self, name: str, column: str) -> Array:
        """A column of one of REFERENCES in the same worlds, (replications,); 'total' for both costs."""
        place = REFERENCES.index(name)
        runs = self.references
        return runs.total(place) if column == "total" else runs.column(place, column)

    def table(self) -> pd.DataFrame:
        """One row a plan: `budget_tables.plan_table`."""
        return plan_table(self)

    def frontier(self) -> pd.DataFrame:
        """One row a plan of the efficient frontier: `budget_tables.frontier_table`."""
        return frontier_table(self)

    def marginal(self) -> pd.DataFrame:
        """What the next dollar returns for each entry: `budget_tables.marginal_table`."""
        return marginal_table(self)

    def roi(self) -> Interval:
        """Monitoring ROI of the recommended plan: `budget_tables.roi_of`."""
        return roi_of(self, self.recommended)

    def value_of_perfect(self) -> Interval:
        """Total cost of the best plan minus that of the same system with the free perfect monitor, a year.

        The most that anyone should ever pay for it in place of the best plan. Only watching is free: the people who
        answer its calls are paid, as they are with any plan.
        """
        return paired_interval(
            self.values(self.best, "total"), self.reference("perfect", "total"), self.confidence
        )

    def verdict(self) -> str:
        """One sentence: which plan, what it costs and loses, and how sure that is."""
        from analysis.report_budget import verdict

        return verdict(self)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `halflife budget --json`."""
        from analysis.report_budget import budget_document

        return budget_document(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Write tables, data, the document and the picture into a folder; returns the files."""
        from analysis.report_budget import save_budget

        return save_budget(self, folder)

    def plot(self, ax: Any = None) -> Any:
        """The frontier with all plans; returns matplotlib axes."""
        from analysis.plot_budget import plot_frontier

        return plot_frontier(self, ax=ax)

    def _least(self, plans: list[int]) -> int:
        return min(plans, key=lambda plan: float(self.values(plan, "total").mean()))


def budget(
    scenario: Scenario,
    policy: str | PolicySpec | Policy | None = None,
    *,
    limit: str | float | None = None,
    replications: int = REPLICATIONS,
    confidence: float = 0.95,
    full: bool = False,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = False,
) -> BudgetFound:
    """Find which monitoring to buy: simulate the plans of the scenario's menu on the same worlds.

    policy: what retrains meanwhile; triggered where the scenario has triggers, else never. limit: monitoring cost a
    month (a twelfth of a year) that the plan must keep on average, '$500/month' or a number. replications: worlds of
    the plans that matter, >= 2 (20 or more are sensible). confidence: of intervals, and of dropping no plan wrongly.
    full: play every plan in all worlds. workers: processes, all cores when None; the result is the same for any number.
    Raises ValueError for a scenario with nothing to buy, and for what does not fit.
    """
    check_scenario(scenario)
    check_seed("seed", seed)
    check_level(confidence, "confidence")
    if replications < LEAST:
        raise ValueError(f"replications: got {replications}, expected at least {LEAST}")
    monthly = None if limit is None else parse_limit(limit)
    foreign = foreign_currency(limit, scenario.currency) if isinstance(limit, str) else None
    if foreign is not None:
        raise ValueError(
            f"limit: {limit!r} is in {foreign}, expected {scenario.currency}, or $ which stands for it"
        )
    wanted = ("triggered" if scenario.triggers else "never") if policy is None else policy
    ((name, entrant),) = policies_of(scenario, [wanted], seed, workers).items()
    plans, options = plans_of(scenario), tuple(len(choices) for choices in choices_of(scenario))
    whole = full or len(plans) <= FEW
    allowance = int(max(SHARE * len(plans), FEW) * replications + 1e-9)
    expected = (len(plans) * replications if whole else allowance) + len(REFERENCES) * replications
    with progress_of(progress, "runs", expected) as step:

        def player(variants: list[tuple[Scenario, Policy]]) -> PlanRuns:
            simulate = Simulator(
                scenario, [s for s, _ in variants], [p for _, p in variants], seed, workers, _times(step)
            )
            return PlanRuns(simulate, len(variants))

        runs = player([(plan.apply(scenario), entrant) for plan in plans])
        most = math.inf if monthly is None else monthly * MONTHS_PER_YEAR
        extra = {"share": 1.0} if whole else {}
        searched = search(runs, replications, confidence, most, **extra)
        heeds = bool(monitors_of(entrant, scenario))
        references = player(
            [
                (nothing_of(scenario).apply(scenario), entrant),
                (perfectly_watched(scenario, heeds), Oracle() if heeds else entrant),
            ]
        )
        references.extend(dict.fromkeys(range(len(REFERENCES)), searched.replications))

        def result(warnings: tuple[str, ...] = ()) -> BudgetFound:
            return BudgetFound(
                scenario, name, tuple(plans), options, runs, references, searched, monthly, confidence,
                replications, seed, warnings,
            )  # fmt: skip

        _complete(result, allowance)
    return result(_warnings(result()))


def parse_limit(given: str | float) -> float:
    """Money a month, a twelfth of a year, from '$500/month', '$500', '$20/day' or a number of currency units.

    Raises ValueError for other texts, and below 0.

    >>> parse_limit("$500/month"), parse_limit("$24/day"), parse_limit(500)
    (500.0, 730.0, 500.0)
    """
    if isinstance(given, str):
        amount, slash, period = given.partition("/")
        try:
            if slash and period.strip() not in ("month", "mo"):
                monthly = MONEY_RATE.parse(given.strip()) * DAYS_PER_MONTH
            else:
                monthly = MONEY.parse(amount.strip())
        except ValueError:
            raise ValueError(f"limit: got {given!r}, expected money per month such as '$500/month'") from None
    else:
        monthly = float(given)
    if not (monthly >= 0.0 and math.isfinite(monthly)):
        raise ValueError(f"limit: got {given!r}, expected money per month, 0 or more, such as '$500/month'")
    return monthly


def _complete(result: Callable[[], BudgetFound], allowance: int) -> None:
    """Play in all worlds what the report speaks of, as far as the allowance goes: neighbours and the whole frontier."""
    compared: set[int] = set()
    while (found := result()).recommended not in compared:  # one of these may turn out to be better
        around = found.recommended
        compared.add(around)
        places = range(len(found.options))
        wanted = [
            *(next_dearer(found, around, place) for place in places),
            *frontier_of(
                *[[found.estimate(p, c) for p in range(len(found.plans))] for c in ("monitoring", "loss")]
            ),
            *(switched_off(found, around, place) for place in places),
        ]
        counts, chosen = found.runs.counts, dict[int, int]()
        spare = allowance - int(counts.sum())
        for plan in wanted:
            missing = 0 if plan is None or plan in chosen else found.replications - int(counts[plan])
            if plan is not None and 0 < missing <= spare:
                chosen[plan] = found.replications
                spare -= missing
        found.runs.extend(chosen)


def _warnings(found: BudgetFound) -> tuple[str, ...]:
    """What the user should know before believing the answer."""
    scenario, notes = found.scenario, []
    if not scenario.failures:
        notes.append(
            "the scenario has no failures: its monitors have nothing to find but the model's own decay"
        )
    elif scenario.response is None:
        notes.append(
            "the scenario has no response: nobody answers the alarms of its monitors, so that they only cost"
        )
    if scenario.failures:
        eventful = int(np.count_nonzero(found.reference("off", "incidents")))
        if eventful < min(RARE, found.replications):
            notes.append(
                f"an incident happened in {eventful} of {found.replications} worlds only: what rarer failures cost is "
                "not in these figures; take more replications or a longer horizon"
            )
    if found.replications < 10:
        notes.append(f"{found.replications} replications give wide intervals; {REPLICATIONS} are usual")
    return tuple(notes)


def _times(step: Callable[[], None]) -> Callable[[int], None]:
    """Progress by several steps."""

    def advance(count: int) -> None:
        for _ in range(count):
            step()

    return advance
