"""Serving: how requests come, the way they go, the GPU pools that answer them, and what is asked of the whole.

One subject a module: `serving_arrivals`, `serving_sizes`, `serving_services`, `serving_pools`, `serving_control`
(autoscalers, spot, failures), `serving_jobs`. A section of a few lines is enough:

    serving:
      pools:
        - {accelerator: a100_80gb, replicas: 4, service: 12ms}
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from scenarios.base import Component
from scenarios.distributions import Duration, Fixed
from scenarios.serving_arrivals import Arrivals, Poisson, Trace
from scenarios.serving_jobs import Job, Overhead
from scenarios.serving_pools import Search, ServingPool
from scenarios.serving_sizes import Sizes
from scenarios.units import Fraction, MoneyPerDay, MoneyPerItem, PositiveCount, PositiveDays

_NOTHING = Fixed(kind="fixed", value=0.0)


class RequestPath(Component):
    """Stages of a request besides inference; their times add up. Source: chapter, 'The Latency Budget'."""

    network: Duration = Field(default=_NOTHING, description="to the service and back")
    feature_fetch: Duration = Field(default=_NOTHING, description="fetching features")
    parsing: Duration = Field(default=_NOTHING, description="parsing the request")
    post_processing: Duration = Field(default=_NOTHING, description="after inference")
    serialisation: Duration = Field(default=_NOTHING, description="writing the answer")

    @property
    def before(self) -> dict[str, Any]:
        """Stages that a request passes before it comes to its pool, the way of the network counted here, by name."""
        return {name: getattr(self, name) for name in ("network", "feature_fetch", "parsing")}

    @property
    def after(self) -> dict[str, Any]:
        """Stages after inference, by name."""
        return {name: getattr(self, name) for name in ("post_processing", "serialisation")}


QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}


class Objective(Component):
    """What is promised: a quantile of the latency of answered requests, from end to end, and few lost ones."""

    p50: PositiveDays | None = Field(default=None, description="half of the answers are as quick as this")
    p90: PositiveDays | None = Field(default=None, description="90 % of them are")
    p95: PositiveDays | None = Field(default=None, description="95 % of them are")
    p99: PositiveDays | None = Field(default=None, description="99 % of them are, e.g. 100ms")
    p999: PositiveDays | None = Field(default=None, description="99.9 % of them are")
    max_loss: Fraction = Field(
        default=0.001, description="share of the requests that may be refused or time out"
    )
    interval: PositiveDays = Field(
        default=1.0 / 1440.0,
        description="the promise is judged in intervals of this length; each broken one is lost",
    )
    slo_penalty: MoneyPerDay = Field(
        default=0.0, description="price of time in which it is broken, e.g. '$5/min'"
    )
    shed_price: MoneyPerItem = Field(
        default=0.0, description="price of a request that is refused or times out, e.g. '$0.002'"
    )

    @model_validator(mode="after")
    def _one_quantile(self) -> Self:
        given = [name for name in QUANTILES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of {', '.join(QUANTILES)}, got {' and '.join(given) or 'none'}"
            )
        return self

    @property
    def name(self) -> str:
        """p50, p90, p95, p99 or p999."""
        return next(name for name in QUANTILES if getattr(self, name) is not None)

    @property
    def quantile(self) -> float:
        """The quantile that is promised, in (0, 1).

        >>> Objective(p99="100ms").quantile
        0.99
        """
        return QUANTILES[self.name]

    @property
    def limit(self) -> float:
        """Its limit in days."""
        found: float = getattr(self, self.name)
        return found


class DesignDays(Component):
    """Days whose requests are simulated one by one; the others are taken to be like the nearest of them."""

    kind: Literal["design_days"]
    days: list[Annotated[int, Field(ge=0)]] | None = Field(
        default=None, min_length=1, description="numbers of the days, from 0"
    )
    per_year: PositiveCount | None = Field(
        default=None,
        le=366,
        description="days a year, by their load from the quietest to the busiest, instead",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.days is None) == (self.per_year is None):
            raise ValueError("give exactly one of days and per_year")
        if self.days is not None and sorted(set(self.days)) != self.days:
            raise ValueError("days: expected different days in order")
        return self


Resolution = Annotated[
    Annotated[Literal["exact", "auto"], Tag("word")] | Annotated[DesignDays, Tag("days")],
    Discriminator(lambda value: "days" if isinstance(value, (dict, DesignDays)) else "word"),
]
"""`exact`, `auto`, or a mapping of design days."""


class Serving(Component):
    """The serving side of the scenario at the level of requests."""

    arrivals: Arrivals = Field(
        default=Poisson(kind="poisson"), description="how requests come within the scenario's traffic"
    )
    sizes: Sizes = Field(default=Sizes(), description="how large requests are; alike when absent")
    path: RequestPath = Field(default=RequestPath(), description="stages besides inference")
    pools: list[ServingPool] = Field(min_length=1, description="replicas that answer requests")
    jobs: list[Job] = Field(default=[], description="retraining and batch jobs that need GPUs")
    overheads: list[Overhead] = Field(default=[], description="extra work while candidates are tried")
    objective: Objective | None = Field(default=None, description="what is promised; nothing when absent")
    resolution: Resolution = Field(
        default="auto",
        description="exact: every request; design_days: those of some days; auto: exact where it takes under a minute",
    )
    with_policies: bool = Field(
        default=False,
        description="true: run and compare simulate the fleet as well, so that trainings wait for its GPUs, shadows "
        "burden it, and what serving costs is in the total; it takes the time of all requests in every run",
    )
    search: Search = Field(default=Search(), description="what a search for the cheapest fleet may choose")

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the requests of each pool; adds up to 1."""
        given = [pool.share for pool in self.pools]
        left = 1.0 - sum(share for share in given if share is not None)
        unsaid = max(given.count(None), 1)
        return tuple(max(left, 0.0) / unsaid if share is None else share for share in given)

    @property
    def has_tokens(self) -> bool:
        """Whether requests have tokens in and out."""
        trace = self.arrivals
        return trace.has_tokens if isinstance(trace, Trace) else self.sizes.has_tokens

    def pool(self, name: str | None = None) -> ServingPool:
        """The pool of that name; the first one without a name. Raises KeyError."""
        for pool in self.pools:
            if name in (None, pool.name):
                return pool
        raise KeyError(name)
