"""Telemetry: what it costs to take in, keep, ask and judge metrics, and how the path of monitoring fails.

Unit costs are those of the source's table; a month of the bill has 30 days, as there. Source: chapter, 'Monitoring
Cost Model', 'Cost Optimization Strategies'.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from scenarios.base import Component
from scenarios.distributions import Duration, Fixed
from scenarios.units import (
    Bytes,
    Money,
    MoneyPerItem,
    PositiveCount,
    PositiveDays,
    PositivePerDay,
    Real,
    format_duration,
)

BILLING_MONTH = 30.0
"""Days in a month of the bill."""


class Tier(Component):
    """One resolution of stored metrics: a point every `every`, kept for `keep`. Tiers overlap."""

    every: PositiveDays = Field(description="time between two stored points of a series")
    keep: PositiveDays = Field(description="how long they are kept")

    @model_validator(mode="after")
    def _keeps_a_point(self) -> Self:
        if self.keep < self.every:
            raise ValueError(
                f"keep must not be shorter than every ({format_duration(self.every)}), or the tier holds nothing"
            )
        return self


class Metrics(Component):
    """Metrics that are sent whatever the monitors are."""

    series: PositiveCount = Field(description="time series of one deployment (metric cardinality)")
    deployments: PositiveCount = Field(default=1, description="production, canary, staging, ...")
    every: PositiveDays = Field(default=15.0 / 86400.0, description="time between two points of a series")


class Dashboards(Component):
    """Dashboards that refresh while somebody has them open."""

    count: PositiveCount = Field(description="number of dashboards")
    users: PositiveCount = Field(description="people who have them open")
    refresh: PositiveDays = Field(default=5.0 / 1440.0, description="time between two refreshes")
    open_per_day: Annotated[PositiveDays, Field(le=1)] = Field(
        default=8.0 / 24.0, description="time a day that they are open, at most 24h"
    )
    days_per_month: Annotated[Real, Field(ge=0, le=BILLING_MONTH)] = Field(
        default=22.0, description="working days in a month of the bill, which has 30 days"
    )


class Outages(Component):
    """The path from metrics to pager breaks down: monitors see nothing until it is repaired."""

    rate: PositivePerDay = Field(
        description="outages per day of one path, e.g. '4/y', at random moments (Poisson)"
    )
    unnoticed: Duration = Field(
        description="how long one lasts when nothing tells that the path is down; a heartbeat never makes it longer"
    )
    repair: Duration = Field(
        default=Fixed.model_validate({"kind": "fixed", "value": "1h"}),
        description="how long it still lasts once the heartbeat has noticed it",
    )
    heartbeat: PositiveDays | None = Field(
        default=None, description="a check this often, by another channel, notices that the path is down"
    )
    redundant: bool = Field(
        default=False,
        description="a second path with outages of its own; monitors are blind when both are down",
    )


class Telemetry(Component):
    """Unit costs and volumes of monitoring."""

    ingest: MoneyPerItem = Field(default=0.30e-6, description="price of a data point taken in")
    storage: Money = Field(default=1.0, description="price of a GB (1e9 bytes) kept for a month of 30 days")
    query: MoneyPerItem = Field(default=0.02, description="price of a query of a dashboard")
    evaluation: MoneyPerItem = Field(default=0.005, description="price of a check of one alert rule")
    bytes_per_point: Bytes = Field(default=8.0, description="size of a stored point")
    retention: Annotated[list[Tier], Field(min_length=1)] | PositiveDays = Field(
        default=30.0, description="how long points are kept, or tiers of falling resolution"
    )
    metrics: Metrics | None = Field(default=None, description="metrics that are sent in any case")
    dashboards: Dashboards | None = Field(default=None, description="dashboards and their users")
    outages: Outages | None = Field(
        default=None, description="how the path of monitoring fails; never when absent"
    )

    @model_validator(mode="after")
    def _tiers_differ(self) -> Self:
        if isinstance(self.retention, list):
            steps = [tier.every for tier in self.retention]
            twice = [step for number, step in enumerate(steps) if step in steps[:number]]
            if twice:
                raise ValueError(
                    f"retention: a tier of {format_duration(twice[0])} is there twice, expected one of each resolution"
                )
        return self
