"""What changes the size of a pool: autoscalers, reclaimed spot capacity, failures of replicas.

Source: chapter, footnotes on autoscaling (model loading time) and on the economics of cloud training (spot).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from scenarios.base import Component
from scenarios.distributions import Duration, Exponential, Fixed, Weibull
from scenarios.units import Count, Days, Fraction, PositiveCount, PositiveDays, Real, format_duration

MINUTE = 1.0 / 1440.0
GROWTH = 4
"""An autoscaler that is not given a maximum may have this many times the replicas of the start."""


def _lasting(duration: str) -> Fixed:
    return Fixed.model_validate({"kind": "fixed", "value": duration})


def _memoryless(mean: str) -> Exponential:
    return Exponential.model_validate({"kind": "exponential", "mean": mean})


class FixedReplicas(Component):
    """No autoscaler: the number of replicas stays what it is."""

    kind: Literal["fixed"]


class _Autoscaler(Component):
    interval: PositiveDays = Field(default=MINUTE, description="time between two decisions")
    cold_start: Duration = Field(
        default=_lasting("2min"),
        description="from a decision until a new replica takes requests: machine, image, loading the model",
    )
    minimum: Count = Field(default=1, description="fewest replicas")
    maximum: PositiveCount | None = Field(
        default=None, description=f"most replicas; {GROWTH} times those of the start when absent"
    )
    cool_down: Days = Field(
        default=5.0 * MINUTE, description="a pool shrinks only to the largest size asked for in this time"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.maximum is not None and self.maximum < self.minimum:
            raise ValueError(f"maximum: {self.maximum} is below minimum, {self.minimum}")
        return self


class TargetUtilisation(_Autoscaler):
    """As many replicas as bring the mean utilisation of the last interval to the target."""

    kind: Literal["target_utilisation"]
    target: Annotated[Fraction, Field(gt=0, lt=1)] = Field(
        default=0.6, description="share of busy time aimed at"
    )
    tolerance: Fraction = Field(default=0.1, description="relative difference that is left alone")


class QueueLength(_Autoscaler):
    """As many replicas as bring the requests that wait or are served, per replica, to the target.

    Replicas that serve one request at a time are never busy enough for a target above 1: it asks for fewer than needed.
    """

    kind: Literal["queue_length"]
    target: Annotated[Real, Field(gt=0)] = Field(
        default=0.7, description="requests that wait or are served, per replica"
    )
    tolerance: Fraction = Field(default=0.1, description="relative difference that is left alone")


class PlannedSize(Component):
    """A size that is held from some time of day on."""

    at: Annotated[Days, Field(lt=1)] = Field(description="time of day, e.g. 8h")
    replicas: Count = Field(description="replicas from then on")


class ScheduledReplicas(_Autoscaler):
    """Sizes by the time of day, the same every day; ready at the time that is written."""

    kind: Literal["scheduled"]
    plan: list[PlannedSize] = Field(min_length=1, description="sizes and their times of day, in order")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for number in range(1, len(self.plan)):
            if self.plan[number].at <= self.plan[number - 1].at:
                raise ValueError(
                    f"plan[{number}].at: {format_duration(self.plan[number].at)} is not after the one before it"
                )
        return self


class Predictive(_Autoscaler):
    """As many replicas as the load expected after a cold start needs: the last season's change, from today's level."""

    kind: Literal["predictive"]
    target: Annotated[Fraction, Field(gt=0, lt=1)] = Field(
        default=0.6, description="share of busy time aimed at"
    )
    season: PositiveDays = Field(default=1.0, description="time after which the load repeats")
    lead: PositiveDays | None = Field(
        default=None, description="how far it looks ahead; a mean cold start and an interval when absent"
    )


_KINDS = FixedReplicas | TargetUtilisation | QueueLength | ScheduledReplicas | Predictive


def _kind_from_word(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


Autoscaler = Annotated[
    Annotated[_KINDS, Field(discriminator="kind")],
    BeforeValidator(
        _kind_from_word,
        json_schema_input_type=Literal["fixed", "target_utilisation", "queue_length", "predictive"] | _KINDS,
    ),
]
"""`target_utilisation`, say, or a mapping with `kind` and its parameters."""


class Spot(Component):
    """Capacity that is cheap and may be taken back."""

    share: Annotated[Fraction, Field(gt=0)] = Field(
        default=1.0, description="share of the replicas, rounded down"
    )
    discount: Annotated[Fraction, Field(lt=1)] = Field(
        default=0.7, description="on the on-demand price; 60 to 90 % in the source"
    )
    lifetime: Duration = Field(
        default=_memoryless("1d"),
        description="from the start of a replica until it is taken back; any distribution, see `analysis.interval_fit`",
    )
    notice: Days = Field(
        default=2.0 * MINUTE,
        description="warning: for this long it finishes what it does and takes nothing new",
    )
    replacement: Duration = Field(
        default=_lasting("3min"),
        description="until another machine is found; its cold start comes on top",
    )


class ReplicaFailures(Component):
    """Replicas that break: what they were doing starts anew elsewhere.

    The defaults are of the servers of an LLM training cluster: a failure in 231 days of a server, and the Weibull law
    that fits its repairs best, of mean 117 h (recorded: 124 h) and median 19 h (22 h). Source: InfiniteHBD-Trace
    (stepfun-ai, SIGCOMM 2025), Apache-2.0, fitted by `analysis.interval_fit`.
    """

    between: Duration = Field(
        default=_memoryless("231.1d"), description="working time of a replica until it fails"
    )
    repair: Duration = Field(
        default=Weibull.model_validate({"kind": "weibull", "scale": "43.5h", "shape": 0.4345}),
        description="until it is back; a cold start comes on top",
    )
    rate_cv: Annotated[Real, Field(ge=0)] = Field(
        default=0.0,
        description="how much replicas differ: coefficient of variation of their failure rates (gamma); 1.05 in the "
        "source of the defaults, where half the servers never failed",
    )
