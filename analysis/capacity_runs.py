"""Runs of fleets as figures: what a search for capacity decides by, replication by replication.

All fleets meet the same requests, replication by replication: requests depend on the seed, the replication and the
traffic, never on the fleet.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.capacity_candidates import Candidate, serving_of, with_serving
from analysis.intervals import Interval, mean_interval
from analysis.workers import in_order
from scenarios.schema import Scenario
from scenarios.serving import DesignDays, Objective
from scenarios.serving_arrivals import Trace
from scenarios.units import MONTHS_PER_YEAR
from sim.fleet_days import run_fleet
from sim.fleet_result import FleetResult
from sim.traffic import expected_requests

Array = NDArray[np.float64]
Figures = dict[str, float]

MANY = 30_000_000
"""Requests of a run, beyond which `auto` looks at design days: a search takes dozens of runs."""
DAYS = 6
"""Design days of a run then."""
STAGES = ("network", "feature_fetch", "parsing", "waiting", "inference", "post_processing", "serialisation")
"""Stages of a request in order."""


class Promise(NamedTuple):
    """The objective in seconds."""

    name: str
    """p50, p90, p95, p99 or p999."""
    quantile: float
    limit: float
    max_loss: float

    @classmethod
    def of(cls, scenario: Scenario) -> Promise:
        """That of a scenario. Raises ValueError where it promises nothing."""
        objective = serving_of(scenario).objective
        if not isinstance(objective, Objective):
            raise ValueError(
                "serving.objective: the scenario promises nothing, expected one such as {p99: 100ms}, "
                "e.g. --set 'serving.objective={p99: 100ms}'"
            )
        from scenarios.units import SECONDS_PER_DAY

        limit = objective.limit * SECONDS_PER_DAY
        return cls(objective.name, objective.quantile, limit, objective.max_loss)


def figures_of(result: FleetResult) -> Figures:
    """The figures of one run: those of its summary, and the mean seconds of each stage as `stage[name]`."""
    found = {str(name): float(value) for name, value in result.summary.items()}
    promise = Promise.of(result.scenario)
    found["quantile_s"] = result.quantile(promise.quantile)
    path = result.parts[0].fleet.path.means
    in_service = math.fsum(
        part.weight * total.in_service for part in result.parts for total in part.fleet.totals.values()
    )
    served = found["served"]
    inside = {
        "waiting": found["mean_wait_s"],
        "inference": in_service / served if served else math.nan,
    }
    found |= {f"stage[{name}]": {**path, **inside}[name] for name in STAGES}
    # Requests that the end cuts off are not late yet; more of them than a kept promise leaves are.
    longest = max(part.days for part in result.parts) * 86_400.0
    natural = 1.0 - promise.quantile + 3.0 * promise.limit / longest
    found["unanswered"] = float(found["in_flight"] > natural * max(found["requests"], 1.0))
    found["cost_month"] = found["annual_cost"] / MONTHS_PER_YEAR
    return found


def run_figures(scenario: Scenario, seed: int, replication: int) -> Figures:
    """Simulate one replication of a fleet; its figures."""
    return figures_of(run_fleet(scenario, seed, replication=replication))


@dataclass(frozen=True)
class Evaluated:
    """A fleet in all replications."""

    candidate: Candidate
    replicas: int
    runs: tuple[Figures, ...]
    promise: Promise

    @property
    def name(self) -> str:
        """What it is."""
        return self.candidate.named(self.replicas)

    def values(self, figure: str) -> Array:
        """A figure in each replication, (replications,)."""
        return np.array([run[figure] for run in self.runs])

    def mean(self, figure: str) -> float:
        """Its mean."""
        return float(self.values(figure).mean())

    def interval(self, figure: str, level: float = 0.95) -> Interval:
        """Its mean with the interval over the replications."""
        return mean_interval(self.values(figure), level)

    @property
    def kept_share(self) -> float:
        """Share of the replications that keep the promise."""
        return sum(
            _keeps(self.promise, run["quantile_s"], run["loss"], run["unanswered"]) for run in self.runs
        ) / len(self.runs)

    @property
    def kept(self) -> bool:
        """Whether the means over the replications keep the promise."""
        return _keeps(self.promise, self.mean("quantile_s"), self.mean("loss"), self.mean("unanswered"))

    @property
    def excess(self) -> float:
        """How far it is from the promise: by what factor the quantile, or the loss, is above its limit."""
        quantile = self.mean("quantile_s") / self.promise.limit
        loss = self.mean("loss") / max(self.promise.max_loss, 1e-6)
        if math.isnan(quantile) or self.mean("unanswered") > 0.5:
            return math.inf
        return max(quantile, loss if self.mean("loss") > self.promise.max_loss else 0.0)

    @property
    def cost(self) -> float:
        """All costs of the run, a month."""
        return self.mean("cost_month")


def _keeps(promise: Promise, quantile: float, loss: float, unanswered: float) -> bool:
    return quantile <= promise.limit and loss <= promise.max_loss and unanswered < 0.5


class Fleets:
    """Simulates fleets of a scenario and remembers them: what was asked before is not played again."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        replications: Sequence[int],
        workers: int | None,
        step: Callable[[], None] = lambda: None,
    ) -> None:
        self.scenario, self.seed, self.replications = scenario, seed, tuple(replications)
        self.workers, self.step = workers, step
        self.promise = Promise.of(scenario)
        self.known: dict[tuple[Candidate, int], Evaluated] = {}

    def play(self, wanted: Sequence[tuple[Candidate, int]]) -> list[Evaluated]:
        """These fleets in all replications, in the order asked for; all runs that are new go together."""
        new = [
            pair
            for number, pair in enumerate(wanted)
            if pair not in self.known and pair not in wanted[:number]
        ]
        scenarios = [candidate.apply(self.scenario, replicas) for candidate, replicas in new]
        tasks = [(one, self.seed, number) for one in scenarios for number in self.replications]
        runs = []
        for figures in in_order(run_figures, tasks, self.workers):
            runs.append(figures)
            self.step()
        each = len(self.replications)
        for place, (candidate, replicas) in enumerate(new):
            own = tuple(runs[place * each : (place + 1) * each])
            self.known[candidate, replicas] = Evaluated(candidate, replicas, own, self.promise)
        return [self.known[pair] for pair in wanted]


def for_search(scenario: Scenario) -> Scenario:
    """The scenario, on design days where it leaves the resolution open and runs of all requests would take long."""
    serving = serving_of(scenario)
    if serving.resolution != "auto" or isinstance(serving.arrivals, Trace) or scenario.horizon <= DAYS:
        return scenario
    if float(expected_requests(scenario).sum()) <= MANY:
        return scenario
    per_year = min(math.ceil(DAYS * 365.0 / scenario.horizon), 366)
    return with_serving(scenario, resolution=DesignDays(kind="design_days", per_year=per_year))
