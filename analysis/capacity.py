"""The cheapest fleet that keeps an objective: combinations of the scenario's menu, simulated on the same requests.

What comes out: the fleet, how sure that is, how it behaves in detail, what 2 and 5 times the traffic would do to it,
where the curve of latency by replicas bends, and the largest rate that it can carry.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.capacity_candidates import Candidate, Menu, least_for_jobs, menu_of, sized_pool
from analysis.capacity_load import PoolLoad, pool_load
from analysis.capacity_runs import Evaluated, Fleets, Promise, for_search
from analysis.capacity_search import Line, cheapest, fewest, nearest, search
from analysis.evaluations import FRESH
from analysis.frontier import frontier_of
from analysis.progress import progress_of
from analysis.queueing import knee
from analysis.sustainable_rate import SustainableRate, sustainable_rate
from analysis.traffic_scaling import scaled
from scenarios.schema import Scenario, check_scenario
from scenarios.serving_arrivals import Trace
from scenarios.serving_control import FixedReplicas, ScheduledReplicas
from sim.displays import Displayed
from sim.fleet_days import run_fleet
from sim.fleet_result import FleetResult
from sim.randomness import check_seed

REPLICATIONS = 3
FACTORS = (2.0, 5.0)
"""Multiples of the traffic of the table of what-ifs."""
GROWTH = 8
"""Without a limit of the menu, this many times the first guess are looked at at most."""
CURVE = 9
"""Numbers of replicas of the curve, at most."""


@dataclass(frozen=True)
class WhatIf:
    """More traffic: what it does to the chosen fleet, and how many replicas it would take."""

    factor: float
    unchanged: Evaluated
    needed: Evaluated | None
    """The fewest replicas of the same combination that keep the objective; None where no number was seen to."""


@dataclass(frozen=True)
class Curve:
    """Latency by the number of replicas of the chosen combination, without an autoscaler."""

    fleets: tuple[Evaluated, ...]
    closed: tuple[float, ...]
    """The same quantile by the closed form, seconds; NaN where there is none."""
    scale: float
    """The quantile where nobody waits for a replica, as far as it was simulated."""

    @property
    def replicas(self) -> list[int]:
        """Numbers of replicas."""
        return [fleet.replicas for fleet in self.fleets]

    @property
    def simulated(self) -> list[float]:
        """The promised quantile of each, seconds."""
        return [fleet.mean("quantile_s") for fleet in self.fleets]

    @property
    def knee(self) -> float:
        """Replicas from which on one more saves less than 5 % of the unqueued latency; NaN with one point."""
        return self._knee(self.simulated)

    @property
    def closed_knee(self) -> float:
        """The same of the closed form."""
        return self._knee(list(self.closed))

    def _knee(self, values: list[float]) -> float:
        if len(values) < 2 or any(math.isnan(value) for value in values):
            return math.nan
        return knee(replicas=self.replicas, values=values, scale=self.scale)


@dataclass(frozen=True, repr=False)
class CapacityFound(Displayed):
    """What a search for the cheapest fleet found."""

    scenario: Scenario
    searched: Scenario
    """The scenario at the resolution of the search."""
    promise: Promise
    menu: Menu
    lines: tuple[Line, ...]
    fleets: tuple[Evaluated, ...]
    """All fleets that were simulated, in the order of the menu and by replicas."""
    chosen: Evaluated | None
    """The cheapest that keeps the objective; None where none does."""
    nearest: Evaluated
    """The chosen one, or what comes nearest to the objective."""
    fresh: Evaluated | None
    """The chosen fleet in replications that the search has not seen."""
    shown: FleetResult = field(repr=False)
    """Replication 0 of `nearest`, in detail."""
    load: PoolLoad
    seed: int
    replications: int
    what_ifs: tuple[WhatIf, ...] = ()
    curve: Curve | None = None
    sustainable: SustainableRate | None = None
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The report, as `halflife capacity` prints it."""
        from analysis.report_capacity import capacity_text

        return capacity_text(self)

    def headline(self) -> str:
        """Which fleet, what it costs, and how sure that is."""
        return f"{self.scenario.title}, {len(self.fleets)} fleets: {self.verdict()}"

    def _shown(self) -> pd.DataFrame:
        columns = [
            "cost_month",
            "cost_per_1000",
            "latency_s",
            "loss",
            "mean_replicas",
            "utilisation_p50",
            "kept",
        ]
        found = self.table().set_index("fleet")
        found = found[found["frontier"] | found["chosen"]]
        return found[[*columns, "chosen"]].rename(columns={"loss": "lost_share"})

    @property
    def keeps(self) -> bool:
        """Whether a fleet keeps the objective."""
        return self.chosen is not None

    @property
    def name(self) -> str:
        """The chosen fleet, or the nearest."""
        return self.nearest.name

    @cached_property
    def frontier(self) -> tuple[int, ...]:
        """Places of the fleets that no cheaper one beats in the promised quantile, cheapest first."""
        known = [n for n, fleet in enumerate(self.fleets) if math.isfinite(fleet.mean("quantile_s"))]
        found = frontier_of(
            [self.fleets[n].cost for n in known], [self.fleets[n].mean("quantile_s") for n in known]
        )
        return tuple(known[place] for place in found)

    def table(self) -> pd.DataFrame:
        """One row a fleet: `capacity_tables.fleet_table`."""
        from analysis.capacity_tables import fleet_table

        return fleet_table(self)

    def verdict(self) -> str:
        """Which fleet, what it costs, and how sure that is."""
        from analysis.report_capacity import verdict

        return verdict(self)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `halflife capacity --json`."""
        from analysis.capacity_files import capacity_document

        return capacity_document(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Write tables, the document and the pictures into a folder; returns the files."""
        from analysis.capacity_files import save_capacity

        return save_capacity(self, folder)

    def plot(self, ax: Any = None) -> Any:
        """Cost against latency of all fleets; returns matplotlib axes."""
        from analysis.plot_capacity import plot_fleets

        return plot_fleets(self, ax=ax)


def capacity(
    scenario: Scenario,
    *,
    replications: int = REPLICATIONS,
    seed: int = 0,
    workers: int | None = None,
    quick: bool = False,
    progress: bool = False,
) -> CapacityFound:
    """Find the cheapest fleet of `serving.search` that keeps `serving.objective`.

    A fleet keeps it when the means over the replications of the promised quantile, over all requests of a run, and of
    the loss do. replications: >= 1. workers: processes, all cores when None; the result is the same for any number.
    quick: the search alone, without what-ifs, curve and sustainable rate. Raises ValueError for a scenario without
    `serving` or objective, and for a menu of which nothing fits.
    """
    check_scenario(scenario)
    check_seed("seed", seed)
    if replications < 1:
        raise ValueError(f"replications: got {replications}, expected at least 1")
    promise = Promise.of(scenario)
    menu = menu_of(scenario)
    searched = for_search(scenario)
    with progress_of(progress, "runs", None) as step:
        fleets = Fleets(searched, seed, range(replications), workers, step)
        loads = [_load(searched, candidate, seed) for candidate in menu.candidates]
        guesses = [load.fewest(promise.limit, promise.quantile) for load in loads]
        highest = [
            _highest(candidate, menu, guess)
            for candidate, guess in zip(menu.candidates, guesses, strict=True)
        ]
        lines = search(fleets, menu, guesses, highest)
        chosen, close = cheapest(fleets), nearest(fleets)
        best = close if chosen is None else chosen
        load = loads[menu.candidates.index(best.candidate)]
        fresh = None if chosen is None else _fresh(searched, chosen, replications, seed, workers, step)
        shown = run_fleet(best.candidate.apply(searched, best.replicas), seed)
        step()
        what_ifs: tuple[WhatIf, ...] = ()
        curve = rate = None
        if not quick:
            curve = _curve(fleets, best, load, workers, step)
            what_ifs = _what_ifs(scenario, best, promise, seed, workers, step)
            own = best.candidate.apply(searched, best.replicas)
            rate = sustainable_rate(own, seed=seed, factors=FACTORS, step=step)
    order = {candidate: place for place, candidate in enumerate(menu.candidates)}
    played = sorted(
        (fleet for fleet in fleets.known.values() if fleet.candidate in order),
        key=lambda fleet: (order[fleet.candidate], fleet.replicas),
    )
    found = CapacityFound(
        scenario, searched, promise, menu, tuple(lines), tuple(played), chosen, best, fresh, shown, load, seed,
        replications, what_ifs, curve, rate,
    )  # fmt: skip
    return _with_warnings(found)


def largest_rate(scenario: Scenario, *, seed: int = 0, progress: bool = False) -> SustainableRate:
    """The largest rate (requests per second) that the fleet of the scenario carries: `analysis.sustainable_rate`.

    seed: of the simulated requests, an integer >= 0; progress: show a bar. Raises ValueError for a scenario without a
    serving fleet.
    """
    check_scenario(scenario)
    check_seed("seed", seed)
    with progress_of(progress, "runs", None) as step:
        return sustainable_rate(scenario, seed=seed, factors=FACTORS, step=step)


def _load(scenario: Scenario, candidate: Candidate, seed: int) -> PoolLoad:
    own = candidate.apply(scenario, candidate.highest or least_for_jobs(scenario))
    return pool_load(own, sized_pool(own), seed)


def _highest(candidate: Candidate, menu: Menu, guess: int) -> int:
    """Most replicas that are looked at."""
    limits = [limit for limit in (menu.highest, candidate.highest) if limit is not None]
    return max(min(limits, default=max(GROWTH * guess, guess + 4 * GROWTH)), menu.lowest)


def _fresh(
    scenario: Scenario,
    chosen: Evaluated,
    replications: int,
    seed: int,
    workers: int | None,
    step: Callable[[], None],
) -> Evaluated:
    """The chosen fleet in other replications."""
    numbers = range(FRESH, FRESH + replications)
    (found,) = Fleets(scenario, seed, numbers, workers, step).play([(chosen.candidate, chosen.replicas)])
    return found


def _what_ifs(
    scenario: Scenario,
    best: Evaluated,
    promise: Promise,
    seed: int,
    workers: int | None,
    step: Callable[[], None],
) -> tuple[WhatIf, ...]:
    """The chosen fleet under more traffic, in one replication each."""
    found = []
    for factor in FACTORS:
        more = for_search(scaled(scenario, factor))
        fleets = Fleets(more, seed, (0,), workers, step)
        (unchanged,) = fleets.play([(best.candidate, best.replicas)])
        candidate = _wider(best.candidate, factor)
        load = _load(more, candidate, seed)
        guess = max(load.fewest(promise.limit, promise.quantile), math.ceil(0.9 * factor * best.replicas))
        asking = fewest(guess, least_for_jobs(more), candidate.highest or GROWTH * guess)
        needed = None
        try:
            size = next(asking)
            while True:
                (fleet,) = fleets.play([(candidate, size)])
                size = asking.send(fleet.kept)
        except StopIteration as done:
            needed = None if done.value is None else fleets.known[candidate, done.value]
        found.append(WhatIf(factor, unchanged, needed))
    return tuple(found)


def _wider(candidate: Candidate, factor: float) -> Candidate:
    """The combination with an autoscaler that may grow, or plans, as much more."""
    if candidate.highest is None:
        return candidate
    changed: dict[str, Any] = {"maximum": math.ceil(candidate.highest * factor)}
    if isinstance(candidate.autoscaler, ScheduledReplicas):
        changed["plan"] = [
            size.model_copy(update={"replicas": math.ceil(size.replicas * factor)})
            for size in candidate.autoscaler.plan
        ]
    return Candidate(
        candidate.pool,
        candidate.accelerator,
        candidate.max_batch,
        candidate.autoscaler.model_copy(update=changed),
        candidate.spot_share,
    )


def _curve(
    fleets: Fleets, best: Evaluated, load: PoolLoad, workers: int | None, step: Callable[[], None]
) -> Curve:
    """Fleets without an autoscaler from what the mean load needs to where more replicas change little."""
    fixed = Candidate(
        best.candidate.pool, best.candidate.accelerator, best.candidate.max_batch, FixedReplicas(kind="fixed"),
        best.candidate.spot_share,
    )  # fmt: skip
    middle = best.replicas if best.candidate.is_fixed else max(math.ceil(1.2 * load.peak_erlangs), 1)
    lowest = max(min(math.ceil(load.erlangs), middle - 2), least_for_jobs(fleets.scenario))
    highest = max(math.ceil(1.25 * middle), middle + 2)
    own = Fleets(fleets.scenario, fleets.seed, (0,), workers, step)
    own.known = {
        pair: Evaluated(pair[0], pair[1], fleet.runs[:1], fleet.promise)
        for pair, fleet in fleets.known.items()
    }
    played = own.play([(fixed, replicas) for replicas in spread(lowest, middle, highest)])
    closed = tuple(load.quantile(fleet.replicas, fleets.promise.quantile) for fleet in played)
    return Curve(tuple(played), closed, min(fleet.mean("quantile_s") for fleet in played))


def spread(lowest: int, middle: int, highest: int) -> list[int]:
    """At most CURVE whole numbers from lowest to highest, more densely below the middle, which is one of them.

    >>> spread(4, 7, 9), spread(10, 100, 125)
    ([4, 5, 6, 7, 8, 9], [10, 28, 46, 64, 82, 100, 108, 117, 125])
    """
    if highest - lowest < CURVE:
        return list(range(lowest, highest + 1))
    below = min(CURVE - 4, middle - lowest)
    first = [round(lowest + (middle - lowest) * place / max(below, 1)) for place in range(below)]
    after = [round(middle + (highest - middle) * place / 3) for place in range(4)]
    return sorted({*first, *after})


def _unseen(found: CapacityFound) -> list[str]:
    """What the search could not choose, and jobs that never got their GPUs."""
    best, told = found.nearest, []
    serving = found.scenario.serving
    fewest = None if serving is None or serving.search.replicas is None else serving.search.replicas[0]
    if best.kept and fewest is not None and best.replicas == fewest > 1:
        told.append(
            f"the search begins at {fewest} replicas, and these keep the objective: fewer may do, "
            f"--set 'serving.search.replicas=[1, {fewest}]'"
        )
    curve = () if found.curve is None else found.curve.fleets
    cheaper = [fleet for fleet in curve if fleet.kept and fleet.cost < best.cost]
    if best.kept and cheaper:
        least = min(cheaper, key=lambda fleet: fleet.cost)
        told.append(
            f"{least.replicas} replicas without an autoscaler keep it for less in one replication of the curve, and "
            "are not on the menu"
        )
    asked = found.shown.jobs
    for name in dict.fromkeys(asked["name"]):
        if asked.loc[asked["name"] == name, "started_days"].isna().all():
            told.append(
                f"job {name} never started: its GPUs were never free, and its priority is not above that of the pool"
            )
    return told


def _with_warnings(found: CapacityFound) -> CapacityFound:
    """What the user should know before believing the answer."""
    told = [f"left out: {name}: {why}" for name, why in found.menu.refused.items()]
    best, serving = found.nearest, found.scenario.serving
    assert serving is not None
    if best.kept and best.kept_share < 1.0:
        told.append(
            f"{best.name} keeps the objective on average only: in {best.kept_share:.0%} of the replications"
        )
    if found.fresh is not None and not found.fresh.kept:
        told.append(
            f"{best.name} does not keep the objective in other replications: there "
            f"{found.promise.name} is {1000 * found.fresh.mean('quantile_s'):.4g} ms; more --reps would tell"
        )
    if isinstance(serving.arrivals, Trace) and serving.arrivals.resampling == "as_is":
        told.append(
            "the trace is played as it is in every replication, so their spread shows the luck of the fleet, not that "
            "of the requests; --resampling blocks shows both"
        )
    if serving.resolution == "auto" and found.searched is not found.scenario:
        told.append(
            f"the fleets were simulated on design days ({found.shown.resolution}); "
            "--set serving.resolution=exact plays every request"
        )
    told += _unseen(found)
    found_there = best.candidate.highest
    if found_there is not None and best.kept and best.replicas == found_there:
        told.append(f"the autoscaler of {best.name} has no room: its minimum is its maximum")
    return replace(found, warnings=tuple(told))
