"""The largest rate of requests that a fleet can carry, by bisection on simulated fleets.

The traffic of the scenario is scaled; what each run shows is judged by the trend of the requests in the fleet
(`analysis.load_trend`). Limits of queues and time-outs are taken off: the question is what the fleet can carry, not
what it refuses. For the largest value of any input that keeps a requirement see `analysis.sustainable`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.capacity_candidates import serving_of, sized_pool, with_pool, with_serving
from analysis.capacity_load import pool_load
from analysis.load_trend import Trend, Verdict, trend_of
from analysis.traffic_scaling import scaled
from scenarios.schema import Scenario
from scenarios.serving import Objective
from scenarios.serving_arrivals import Trace
from scenarios.serving_control import FixedReplicas, Predictive, ScheduledReplicas
from scenarios.units import SECONDS_PER_DAY
from sim.displays import Displayed
from sim.durations import mean
from sim.fleet import play
from sim.fleet_days import daily_loads
from sim.ledger import Ledger
from sim.traffic import expected_requests
from sim.world import World

REQUESTS = 400_000
"""Requests of a run at the rate that the closed form gives, where the traffic is steady."""
MOST = 6_000_000
"""Requests of a run of traffic that varies: beyond it fewer days, and beyond twice that its busiest hours are taken."""
REACTIONS = 50.0
"""Reactions of an autoscaler that a run is long enough for."""
DAYS = 4
"""Days of a run of traffic that varies, at most."""
MOMENTS = 1_000
"""Moments of a run at which the requests are counted."""
TOLERANCE = 0.005
"""Bisection ends when the rates are as near as this, as a share."""
STEP = 1.25


@dataclass(frozen=True)
class Tried:
    """A run at some multiple of the traffic."""

    factor: float
    trend: Trend


@dataclass(frozen=True, repr=False)
class SustainableRate(Displayed):
    """How much of its traffic a fleet can carry."""

    rate: float
    """Mean requests per second of the traffic as it is, in the stretch that was simulated."""
    begin: float
    days: float
    """The stretch: its first moment and its length."""
    bound: float
    """Requests per second at which all replicas are always busy, with batches as large as they may be."""
    tried: tuple[Tried, ...]
    """All runs, by factor."""

    def headline(self) -> str:
        """The largest rate, and what the traffic as it is does to the fleet."""
        return (
            f"up to {self.maximum:.4g} requests/s, {self.factor:.3g} times the traffic of {self.rate:.4g}/s; "
            f"as it is: {self.verdict}"
        )

    def _shown(self) -> pd.DataFrame:
        return (
            self.table()
            .set_index("factor")[["rate_per_s", "verdict", "growth_per_s"]]
            .rename(columns={"rate_per_s": "requests/s", "growth_per_s": "queue grows by (requests/s)"})
        )

    def plot(self, ax: Any = None) -> Any:
        """Growth of the queue against the request rate; returns matplotlib axes."""
        from analysis.plot_rates import plot_rate

        return plot_rate(self, ax)

    def _largest(self, *verdicts: Verdict) -> float:
        """Largest factor below all others at which a verdict is one of these; 0 where there is none."""
        found = 0.0
        for one in self.tried:
            if one.trend.verdict not in verdicts:
                break
            found = one.factor
        return found

    @property
    def factor(self) -> float:
        """Largest multiple of the traffic that does not overload the fleet."""
        return self._largest("stable", "backlogged")

    @property
    def stable_factor(self) -> float:
        """Largest multiple of the traffic at which no backlog builds up."""
        return self._largest("stable")

    @property
    def overloaded_factor(self) -> float:
        """Smallest multiple that was seen to overload it."""
        return min((one.factor for one in self.tried if one.factor > self.factor), default=math.inf)

    @property
    def maximum(self) -> float:
        """The maximum sustainable rate: mean requests per second that do not overload the fleet."""
        return self.factor * self.rate

    @property
    def verdict(self) -> Verdict:
        """What the traffic as it is does to the fleet."""
        return self.at(1.0).trend.verdict

    def at(self, factor: float) -> Tried:
        """The run at a multiple of the traffic; raises KeyError for one that was not made."""
        for one in self.tried:
            if one.factor == factor:
                return one
        raise KeyError(factor)

    def table(self) -> pd.DataFrame:
        """One row a run: factor, rate_per_s, verdict, growth_per_s and its bounds, stretch of growth in hours."""
        rows = []
        for one in self.tried:
            begin, end = one.trend.stretch or (math.nan, math.nan)
            growth = one.trend.growth
            rows.append(
                {
                    "factor": one.factor, "rate_per_s": one.factor * self.rate, "verdict": one.trend.verdict,
                    "growth_per_s": growth.mean, "growth_low": growth.low, "growth_high": growth.high,
                    "grows_from_h": begin / 3600.0, "grows_to_h": end / 3600.0,
                }
            )  # fmt: skip
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """As a part of a JSON document."""
        from analysis.report_decisions import number, records

        return {
            "maximum_rate_per_s": self.maximum,
            "factor": self.factor,
            "overloaded_at_factor": number(self.overloaded_factor),
            "stable_up_to_factor": self.stable_factor,
            "rate_per_s": self.rate,
            "closed_form_bound_per_s": number(self.bound),
            "verdict": self.verdict,
            "begin_days": self.begin,
            "days": self.days,
            "runs": records(self.table()),
        }


def sustainable_rate(
    scenario: Scenario,
    *,
    seed: int = 0,
    factors: tuple[float, ...] = (),
    requests: int = REQUESTS,
    step: Callable[[], None] = lambda: None,
) -> SustainableRate:
    """Find the largest multiple of a scenario's traffic that its fleet can carry.

    factors: multiples to look at besides; 1 always is. requests: of a run where the traffic is steady; the answer is
    good to about 4 sqrt((arrival_scv + service_scv) / requests). step: called after each run.
    Raises ValueError for a scenario without `serving`, or without requests.

    >>> import scenarios
    >>> asset = scenarios.load("rotting_asset", traffic={"rate": "10/s"},
    ...     serving={"pools": [{"replicas": 2, "service": "50ms"}]})
    >>> found = sustainable_rate(asset, requests=20_000)
    >>> found.verdict, abs(found.maximum - 40.0) < 1.0, found.bound
    ('stable', True, 40.0)
    """
    carried = _without_limits(scenario)
    pool = sized_pool(carried)
    load = pool_load(carried, pool, seed)
    if not load.rate > 0.0:
        raise ValueError("traffic: there are no requests, expected some")
    serving = serving_of(carried)
    share = serving.shares[serving.pools.index(pool)]
    bound = pool.maximum / load.work / share
    begin, days, period = stretch_of(carried, requests, bound)
    rate = _mean_rate(carried, begin, days)
    known: dict[float, Tried] = {}

    def verdict(factor: float) -> Verdict:
        if factor not in known:
            known[factor] = Tried(factor, run_trend(carried, factor, seed, begin, days, period))
            step()
        return known[factor].trend.verdict

    for factor in (1.0, *factors):
        verdict(factor)
    first = bound / max(_mean_rate(carried, *part) for part in _parts(begin, days, carried.window))
    _boundary(lambda f: verdict(f) != "overloaded", first, known)
    _boundary(lambda f: verdict(f) == "stable", first, known)
    return SustainableRate(rate, begin, days, bound, tuple(known[f] for f in sorted(known)))


def run_trend(
    scenario: Scenario, factor: float, seed: int, begin: float, days: float, period: float
) -> Trend:
    """The trend of the sized pool with so many times the traffic, from day `begin` for `days`; period: days."""
    serving = serving_of(scenario)
    name = sized_pool(scenario).name
    played_once = isinstance(serving.arrivals, Trace) and serving.arrivals.resampling != "blocks"
    length = days / factor if played_once else days
    objective = serving.objective or Objective.model_validate({"p99": "1d"})
    counted = with_serving(scenario, objective=objective.model_copy(update={"interval": length / MOMENTS}))
    changed = scaled(counted, factor)
    # A trace that is played faster ends sooner than its last window does.
    fleet = play(changed, World(changed, seed, 0), Ledger(), min(length, changed.horizon - begin), begin)
    table = fleet.samples[name].table()
    waiting = table["waiting"].to_numpy(dtype=np.float64)
    in_system = waiting + table["in_service"].to_numpy(dtype=np.float64)
    times = table["time_days"].to_numpy(dtype=np.float64) * SECONDS_PER_DAY
    return trend_of(times, in_system, waiting, period * SECONDS_PER_DAY)


def stretch_of(scenario: Scenario, requests: int, bound: float) -> tuple[float, float, float]:
    """The stretch that is simulated, in days: its begin, its length, and the period of the load, 0 without one.

    The whole of a trace; the busiest days of traffic that varies, or its busiest hours where a day has too many
    requests when its peak is `bound` (per second) and no autoscaler goes by the time of day; of steady traffic as long
    as it takes for `requests` at that rate, and for REACTIONS of an autoscaler.
    """
    traffic, horizon = scenario.traffic, scenario.horizon
    serving = serving_of(scenario)
    if isinstance(serving.arrivals, Trace):
        return 0.0, horizon, 0.0
    planned, reaction = _control(scenario)
    varies = any(
        (traffic.daily_profile, traffic.weekly_profile, traffic.recorded, traffic.bursts, traffic.campaigns)
    )
    counts = expected_requests(scenario)
    most = MOST / (bound * SECONDS_PER_DAY) * float(counts.max() / counts.mean())
    if (varies or planned) and horizon >= 2.0 and (most >= 0.5 or planned):
        loads = daily_loads(scenario)[: int(horizon)]
        days = min(DAYS, len(loads), max(int(most), 1))
        sums = np.convolve(loads, np.ones(days), "valid")
        return float(np.argmax(sums)), float(days), 1.0
    if (varies and min(horizon, 1.0) <= 2.0 * most) or planned:
        return 0.0, min(horizon, 1.0), 0.0
    length = most if varies else requests / bound / SECONDS_PER_DAY
    length = min(max(length, REACTIONS * reaction), horizon)
    windows = max(min(math.ceil(length / scenario.window - 1e-9), len(counts)), 1)
    sums = np.convolve(counts, np.ones(windows), "valid")
    # Of equally busy stretches the first: sums differ in their last digits.
    begin = int(np.flatnonzero(sums >= sums.max() * (1.0 - 1e-9))[0]) * scenario.window
    return min(begin, horizon - length), length, 0.0


def _control(scenario: Scenario) -> tuple[bool, float]:
    """Whether an autoscaler goes by the time of day, and the longest time in days that one takes to react."""
    autoscalers = [pool.autoscaler for pool in serving_of(scenario).pools]
    planned = any(isinstance(one, ScheduledReplicas | Predictive) for one in autoscalers)
    reactions = [
        one.interval + mean(one.cold_start) for one in autoscalers if not isinstance(one, FixedReplicas)
    ]
    return planned, max(reactions, default=0.0)


def _mean_rate(scenario: Scenario, begin: float, days: float) -> float:
    counts = expected_requests(scenario)
    edges = np.arange(len(counts) + 1) * scenario.window
    total = np.concatenate(([0.0], np.cumsum(counts)))
    first, last = np.interp((begin, begin + days), edges, total)
    return float(last - first) / (days * SECONDS_PER_DAY)


def _parts(begin: float, days: float, window: float) -> list[tuple[float, float]]:
    """Begin and length of the parts of a stretch that are as long as a window, or the whole of a shorter one."""
    count = max(int(days / window + 1e-9), 1)
    return [(begin + place * days / count, days / count) for place in range(count)]


def _boundary(holds: Callable[[float], bool], first: float, known: dict[float, Tried]) -> None:
    """Look at factors until one that holds and one that does not are within TOLERANCE, from what is known on."""
    held = max((f for f in known if _below(holds, known, f)), default=0.0)
    failed = min((f for f in known if f > held), default=math.inf)
    factor = first if held < first < failed else held * STEP if held else failed / STEP
    while failed > held * (1.0 + TOLERANCE) and factor > 1e-6:
        if holds(factor):
            held = factor
        else:
            failed = factor
        factor = (
            failed / STEP if not held else held * STEP if math.isinf(failed) else math.sqrt(held * failed)
        )


def _below(holds: Callable[[float], bool], known: dict[float, Tried], factor: float) -> bool:
    """Whether it holds at a known factor and at all smaller ones."""
    return all(holds(f) for f in list(known) if f <= factor)


def _without_limits(scenario: Scenario) -> Scenario:
    """The scenario with pools that refuse nobody and whose requests wait as long as it takes."""
    for pool in serving_of(scenario).pools:
        scenario = with_pool(scenario, pool.name, queue_limit=None, timeout=None)
    return scenario
