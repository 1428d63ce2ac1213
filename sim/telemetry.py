"""Telemetry at work: the monthly bill of monitoring, and the outages of the path from metrics to pager.

A bill counts what is sent, stored, asked and judged at the unit costs of the scenario. It is additive: bills of parts
of a stretch of time add up to the bill of the whole. Source: chapter, 'Monitoring Cost Model', 'Cost Optimization
Strategies'; 'Cost-Benefit Framework' for monitoring that fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import simpy
from numpy.typing import NDArray

from scenarios.schema import Scenario
from scenarios.telemetry import BILLING_MONTH, Dashboards, Metrics, Outages, Telemetry, Tier
from sim.durations import quantile

if TYPE_CHECKING:
    from sim.engine import Run

Array = NDArray[np.float64]
Process = Generator[simpy.Event, Any, None]

BYTES_PER_GB = 1e9
PATHS = ("outages", "outages:second path")
"""Random streams of the paths; a second one never changes the outages of the first."""
_TIME_SLACK = 1e-9


# ---------------------------------------------------------------- the bill


class Points(NamedTuple):
    """Data points that came in at one interval."""

    number: float
    """At least 0."""
    every: float
    """Days between two points of a series, > 0: what tiers coarser than this leave out."""


def storage_months(retention: list[Tier] | float, every: float) -> float:
    """Months of 30 days for which a point is stored on average, over all tiers together.

    retention: days that each point is kept, or tiers. A tier keeps one point each `tier.every` for `tier.keep`, so
    that the share every / tier.every of the points enters it, and all of them where it is finer than they come.
    Tiers overlap as in the source: recent data are held at every resolution. every: days between two points, > 0;
    ValueError otherwise. Source: chapter, 'Cost Optimization Strategies'.

    >>> tiers = [Tier(every="15s", keep="1d"), Tier(every="1min", keep="7d"), Tier(every="5min", keep="30d")]
    >>> flat, tiered = storage_months(30.0, 15 / 86400), storage_months(tiers, 15 / 86400)
    >>> round(1 - tiered / flat, 4)
    0.8583
    """
    if not every > 0.0:
        raise ValueError(f"every: got {every}, expected the days between two points, more than 0")
    if not isinstance(retention, list):
        return retention / BILLING_MONTH
    return math.fsum(min(every / tier.every, 1.0) * tier.keep for tier in retention) / BILLING_MONTH


def bill(telemetry: Telemetry, points: Iterable[Points], evaluations: float, days: float) -> dict[str, float]:
    """Cost of a stretch of time by category of the ledger, in the scenario's currency.

    points: what the monitors took in, besides the metrics that the telemetry sends in any case; evaluations: checks of
    alert rules; days: length of the stretch, >= 0. Raises ValueError for numbers below 0.
    Metrics, dashboards and heartbeats count by the day: a stretch of 15 days has half a month of them.

    - monitoring_ingest: each point that comes in. A redundant path takes in every point a second time.
    - monitoring_storage: each point is charged when it comes in, for all the time that it will be stored, so that
      nothing is owed for what came before the run. It is stored once, also with a redundant path.
    - monitoring_query: every dashboard asks once a refresh, for each user who has it open.
    - monitoring_alert: each check of an alert rule, and each beat of a heartbeat on each path.

    Outages save nothing: senders and rules go on. Source: chapter, 'Monitoring Cost Model'.

    >>> metrics = Metrics(series=50, deployments=3, every="15s")
    >>> dashboards = Dashboards(count=2, users=3, refresh="5min", open_per_day="8h", days_per_month=22)
    >>> month = bill(Telemetry(metrics=metrics, dashboards=dashboards), [], 0, 30)
    >>> {category: round(cost, 5) for category, cost in month.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'monitoring_ingest': 7.776, 'monitoring_storage': 0.20736, 'monitoring_query': 253.44,
     'monitoring_alert': 0.0}
    """
    arrived = [*points, *_metric_points(telemetry.metrics, days)]
    fewest = min((batch.number for batch in arrived), default=0.0)
    for name, amount in (("days", days), ("evaluations", evaluations), ("points", fewest)):
        if not amount >= 0.0:
            raise ValueError(f"{name}: got {amount}, expected a number >= 0")
    outages = telemetry.outages
    paths = 1 if outages is None else paths_of(outages)
    beats = 0.0 if outages is None or outages.heartbeat is None else paths * days / outages.heartbeat
    stored = math.fsum(batch.number * storage_months(telemetry.retention, batch.every) for batch in arrived)
    return {
        "monitoring_ingest": telemetry.ingest * paths * math.fsum(batch.number for batch in arrived),
        "monitoring_storage": telemetry.storage * stored * telemetry.bytes_per_point / BYTES_PER_GB,
        "monitoring_query": telemetry.query * _queries(telemetry.dashboards, days),
        "monitoring_alert": telemetry.evaluation * (evaluations + beats),
    }


def paths_of(outages: Outages) -> int:
    """Number of paths from metrics to pager."""
    return 2 if outages.redundant else 1


def _metric_points(metrics: Metrics | None, days: float) -> list[Points]:
    if metrics is None:
        return []
    return [Points(metrics.series * metrics.deployments * days / metrics.every, metrics.every)]


def _queries(dashboards: Dashboards | None, days: float) -> float:
    if dashboards is None:
        return 0.0
    screens = dashboards.count * dashboards.users
    open_days = dashboards.open_per_day * dashboards.days_per_month * days / BILLING_MONTH
    return screens * open_days / dashboards.refresh


# ---------------------------------------------------------------- the bill of a run


def telemetry_bills(run: Run) -> Process:
    """Post a bill at the end of each month of 30 days before the horizon; `post_rest` posts the last one."""
    if run.scenario.telemetry is None:
        return
    for month in range(_months_before_rest(run.scenario)):
        yield run.env.timeout(BILLING_MONTH)
        _post(run, month * BILLING_MONTH, (month + 1) * BILLING_MONTH)


def post_rest(run: Run) -> None:
    """Post what has not been billed when the run is over: the time since the last month that ended before the horizon.

    A month that ends with the run is billed here, because nothing happens any more at the horizon itself. Call it once,
    when the clock has passed every event before the horizon.
    """
    if run.scenario.telemetry is not None:
        _post(run, _months_before_rest(run.scenario) * BILLING_MONTH, run.scenario.horizon)


def _months_before_rest(scenario: Scenario) -> int:
    """Whole months that end before the horizon, by more than rounding."""
    return max(math.ceil(scenario.horizon / BILLING_MONTH - _TIME_SLACK) - 1, 0)


def _post(run: Run, start: float, end: float) -> None:
    """Post the bill of days start..end: windows that end in it, and metrics, dashboards and beats by the day."""
    scenario = run.scenario
    assert scenario.telemetry is not None  # both callers have looked
    first, stop = _windows_by(scenario, start), _windows_by(scenario, end)
    # The perfect monitor is a yardstick, not a thing that one could buy.
    watches = [watch for watch in run.plane.watches if watch.monitor.metric != "truth"]
    points = [Points(watch.points(first, stop), watch.cadence * scenario.window) for watch in watches]
    evaluations = sum(len(watch.looks(first, stop)) for watch in watches)
    for category, amount in bill(scenario.telemetry, points, evaluations, end - start).items():
        run.ledger.post(category, amount)


def _windows_by(scenario: Scenario, time: float) -> int:
    """Windows that have ended by a moment."""
    return min(int(time / scenario.window + _TIME_SLACK), scenario.windows)


# ---------------------------------------------------------------- outages


def blind_windows(scenario: Scenario, stream: Callable[[str], np.random.Generator]) -> NDArray[np.bool_]:
    """Windows at whose end, the moment at which monitors look, the path of monitoring is down; (windows,).

    stream: the random stream of a source of randomness, by name. All paths work at time 0. With a redundant path,
    windows at whose end both are down. None is down without `outages`.
    Onsets and draws are the same with and without heartbeat or redundant path, so that plans of monitoring meet the
    same outages. A heartbeat beats at its multiples; a path that it finds down is up again after `repair`, and never
    later than without it. Source: chapter, 'Cost-Benefit Framework' (redundant pathways, heartbeat checks).
    """
    outages = None if scenario.telemetry is None else scenario.telemetry.outages
    if outages is None:
        return np.zeros(scenario.windows, dtype=np.bool_)
    blind = np.ones(scenario.windows, dtype=np.bool_)
    looks: Array = np.arange(1.0, scenario.windows + 1.0) * scenario.window
    for path in PATHS[: paths_of(outages)]:
        blind &= _down(looks, *_outages(outages, scenario.horizon, stream(path)))
    return blind


def outages_told(run: Run) -> Process:
    """Write down from when to when nobody hears the monitors: all paths are down at the end of these windows."""
    blind = run.world.blind
    if blind is None:
        return
    edges = np.flatnonzero(np.diff(blind.astype(np.int8), prepend=0, append=0))
    for place, kind in zip(edges.tolist(), ("monitoring down", "monitoring up") * len(edges), strict=False):
        yield run.env.timeout(max((place + 1) * run.scenario.window - run.now, 0.0))
        run.record(kind, "path", "")


def _outages(outages: Outages, horizon: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Beginnings and ends of the outages of one path, days; two that overlap are one."""
    onset = rng.random(rng.poisson(outages.rate * horizon)) * horizon
    luck = rng.random((2, len(onset)))
    end = onset + quantile(outages.unnoticed, luck[0])
    if outages.heartbeat is not None:
        noticed = np.ceil(onset / outages.heartbeat) * outages.heartbeat
        end = np.minimum(end, noticed + quantile(outages.repair, luck[1]))
    return onset, end


def _down(moments: Array, onset: Array, end: Array) -> NDArray[np.bool_]:
    """Whether any outage covers each of the ascending `moments`: it has begun, and is not repaired yet."""
    # A repair that is due at a look is done in time, whatever the last bits of its moment.
    repaired = np.maximum(end - _TIME_SLACK, onset)
    change = np.zeros(len(moments) + 1, dtype=np.int64)
    np.add.at(change, np.searchsorted(moments, onset), 1)
    np.add.at(change, np.searchsorted(moments, repaired), -1)
    return np.asarray(np.cumsum(change[:-1]) > 0)
