"""What failures cost, what watching for them costs, and what it returns.

Conventions as in `analysis.economics`, which has all of this under one name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from numpy.typing import ArrayLike

from analysis.ranges import FRACTION, NON_NEGATIVE, POSITIVE, Values, plain
from scenarios.units import DAYS_PER_YEAR, MINUTES_PER_DAY, SECONDS_PER_DAY

MONTHS_PER_YEAR = 12.0

# ---------------------------------------------------------------- failures


def skew_cost(
    *,
    error_rate: ArrayLike,
    queries_per_day: ArrayLike,
    cost_per_error_usd: ArrayLike,
    days: ArrayLike = DAYS_PER_YEAR,
) -> Values:
    """Cost, in USD over `days`, of the errors that training-serving skew adds.

    error_rate: fraction of queries in [0, 1]; the others >= 0. Source: 'Consistency Imperative'.

    >>> skew_cost(error_rate=0.01, queries_per_day=1e6, cost_per_error_usd=0.10)
    365000.0
    """
    errors = FRACTION.check("error_rate", error_rate) * NON_NEGATIVE.check("queries_per_day", queries_per_day)
    cost = NON_NEGATIVE.check("cost_per_error_usd", cost_per_error_usd)
    return plain(errors * cost * NON_NEGATIVE.check("days", days))


def silent_failure_loss(
    *, annual_revenue_usd: ArrayLike, quality_drop: ArrayLike, detection_days: ArrayLike
) -> Values:
    """Revenue lost, in USD, by a failure that starts right after a check and is found at the next one.

    This is the worst onset; with one uniform between two checks, half of it is lost on average.
    annual_revenue_usd: >= 0; quality_drop: fraction of revenue lost, in [0, 1]; detection_days: between
    checks, >= 0. Source: 'The Cost of Silent Failures'.

    >>> round(silent_failure_loss(annual_revenue_usd=50e6, quality_drop=0.05, detection_days=28), 2)
    191780.82
    """
    revenue = NON_NEGATIVE.check("annual_revenue_usd", annual_revenue_usd)
    drop = FRACTION.check("quality_drop", quality_drop)
    return plain(revenue * drop * NON_NEGATIVE.check("detection_days", detection_days) / DAYS_PER_YEAR)


# ---------------------------------------------------------------- telemetry


class Retention(NamedTuple):
    """A storage tier: one sample every `period_s` seconds, kept for `days`."""

    period_s: float
    days: float


FLAT_RETENTION = Retention(period_s=15.0, days=30.0)
TIERED_RETENTION = (Retention(15.0, 1.0), Retention(60.0, 7.0), Retention(300.0, 30.0))
"""Tiers that overlap: recent data is held at every resolution. Source: 'Cost Optimization Strategies'."""


def monitoring_points(
    *, variants: ArrayLike, metrics: ArrayLike, samples_per_minute: ArrayLike, days: ArrayLike = 30.0
) -> Values:
    """Data points that `variants` deployments with `metrics` each send in `days` days (all >= 0).

    Source: 'Monitoring Cost Model'.

    >>> monitoring_points(variants=3, metrics=50, samples_per_minute=4, days=30)
    25920000.0
    """
    series = NON_NEGATIVE.check("variants", variants) * NON_NEGATIVE.check("metrics", metrics)
    per_day = NON_NEGATIVE.check("samples_per_minute", samples_per_minute) * MINUTES_PER_DAY
    return plain(series * per_day * NON_NEGATIVE.check("days", days))


def ingest_cost(points: ArrayLike, *, usd_per_million: ArrayLike) -> Values:
    """Cost, in USD, of taking in `points` data points (both arguments >= 0).

    Source: 'Monitoring Cost Model'.

    >>> round(ingest_cost(25_920_000, usd_per_million=0.30), 3)
    7.776
    """
    price = NON_NEGATIVE.check("usd_per_million", usd_per_million)
    return plain(NON_NEGATIVE.check("points", points) / 1e6 * price)


def storage_cost(points: ArrayLike, *, bytes_per_point: ArrayLike, usd_per_gb_month: ArrayLike) -> Values:
    """Cost, in USD per month, of keeping `points` data points (all arguments >= 0); a GB is 1e9 bytes.

    Source: 'Monitoring Cost Model'.

    >>> round(storage_cost(25_920_000, bytes_per_point=8, usd_per_gb_month=1.0), 5)
    0.20736
    """
    size = NON_NEGATIVE.check("points", points) * NON_NEGATIVE.check("bytes_per_point", bytes_per_point)
    return plain(size / 1e9 * NON_NEGATIVE.check("usd_per_gb_month", usd_per_gb_month))


def query_cost(
    *,
    dashboards: ArrayLike,
    users: ArrayLike,
    queries_per_hour: ArrayLike,
    hours: ArrayLike,
    days: ArrayLike,
    usd_per_query: ArrayLike,
) -> Values:
    """Cost, in USD per month, of dashboards that refresh while users have them open.

    queries_per_hour: refreshes per dashboard and user; hours: a day; days: a month (all >= 0).
    Source: 'Monitoring Cost Model'.

    >>> query_cost(dashboards=2, users=3, queries_per_hour=12, hours=8, days=22, usd_per_query=0.02)
    253.44
    """
    viewers = NON_NEGATIVE.check("dashboards", dashboards) * NON_NEGATIVE.check("users", users)
    open_hours = NON_NEGATIVE.check("hours", hours) * NON_NEGATIVE.check("days", days)
    queries = viewers * NON_NEGATIVE.check("queries_per_hour", queries_per_hour) * open_hours
    return plain(queries * NON_NEGATIVE.check("usd_per_query", usd_per_query))


def observability_volume(
    *, requests_per_second: ArrayLike, bytes_per_request: ArrayLike, period_s: ArrayLike = 1.0
) -> Values:
    """Telemetry, in bytes per second, when one in every `period_s` seconds is recorded.

    requests_per_second, bytes_per_request: >= 0; period_s: > 0. Source: 'The Economics of Observability'.

    >>> observability_volume(requests_per_second=1e6, bytes_per_request=1000) / 1e9
    1.0
    """
    requests = NON_NEGATIVE.check("requests_per_second", requests_per_second)
    volume = requests * NON_NEGATIVE.check("bytes_per_request", bytes_per_request)
    return plain(volume / POSITIVE.check("period_s", period_s))


def tiered_retention_saving(
    tiers: Sequence[Retention] = TIERED_RETENTION, *, flat: Retention = FLAT_RETENTION
) -> float:
    """Fraction of stored samples that `tiers` save over keeping everything as `flat`.

    Each period: > 0 seconds; each length: >= 0 days, that of `flat` > 0. Negative: the tiers hold more.
    Source: 'Cost Optimization Strategies'.

    >>> round(tiered_retention_saving(), 4)
    0.8583
    """

    def samples(tier: Retention) -> float:
        period = POSITIVE.check("period_s", tier.period_s, "seconds")
        return float(NON_NEGATIVE.check("days", tier.days) * SECONDS_PER_DAY / period)

    POSITIVE.check("flat.days", flat.days)
    return 1.0 - sum(samples(tier) for tier in tiers) / samples(flat)


# ---------------------------------------------------------------- returns


def monitoring_roi(
    *, incidents_prevented: ArrayLike, cost_per_incident: ArrayLike, annual_cost: ArrayLike
) -> Values:
    """Cost of the incidents prevented in a year over the annual cost of monitoring.

    incidents_prevented, cost_per_incident (USD): >= 0; annual_cost (USD): > 0.
    Source: 'Cost-Benefit Framework'.

    >>> monitoring_roi(incidents_prevented=5, cost_per_incident=50_000, annual_cost=50_000)
    5.0
    """
    prevented = NON_NEGATIVE.check("incidents_prevented", incidents_prevented)
    saved = prevented * NON_NEGATIVE.check("cost_per_incident", cost_per_incident)
    return plain(saved / POSITIVE.check("annual_cost", annual_cost))


def mlops_roi(
    *,
    incidents_avoided: ArrayLike,
    cost_per_incident: ArrayLike,
    hours_saved_per_month: ArrayLike,
    hourly_cost: ArrayLike,
    annual_investment: ArrayLike,
) -> Values:
    """Incidents avoided and working time saved in a year over the annual investment.

    incidents_avoided (a year), cost_per_incident (USD), hours_saved_per_month, hourly_cost (USD): >= 0;
    annual_investment (USD): > 0. Source: 'Single-Model ROI Calculation'.

    >>> incidents = {"incidents_avoided": 4, "cost_per_incident": 25_000}
    >>> hours = {"hours_saved_per_month": 20, "hourly_cost": 150}
    >>> round(mlops_roi(annual_investment=30_000, **incidents, **hours), 4)
    4.5333
    """
    avoided = NON_NEGATIVE.check("incidents_avoided", incidents_avoided)
    hours = NON_NEGATIVE.check("hours_saved_per_month", hours_saved_per_month) * MONTHS_PER_YEAR
    saved = avoided * NON_NEGATIVE.check("cost_per_incident", cost_per_incident)
    saved = saved + hours * NON_NEGATIVE.check("hourly_cost", hourly_cost)
    return plain(saved / POSITIVE.check("annual_investment", annual_investment))


def automation_break_even(*, build_hours: ArrayLike, manual_hours_per_week: ArrayLike) -> Values:
    """Weeks until an automated pipeline has saved the hours that it took to build.

    build_hours: >= 0; manual_hours_per_week: saved, > 0. Source: 'Technical Debt'.

    >>> automation_break_even(build_hours=80, manual_hours_per_week=4)
    20.0
    """
    built = NON_NEGATIVE.check("build_hours", build_hours)
    return plain(built / POSITIVE.check("manual_hours_per_week", manual_hours_per_week))
