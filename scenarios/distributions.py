"""Distributions of durations: label delays, pipeline stages, bursts.

A plain duration (`2h`) stands for a fixed one. Sampling lives in `sim.durations`; this module says what may be
written and what it means.
"""

from __future__ import annotations

import math
import statistics
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from scenarios.base import Component
from scenarios.units import Days, PositiveDays, format_duration


class Fixed(Component):
    """Always the same duration."""

    kind: Literal["fixed"]
    value: Days = Field(description="the duration")


class Exponential(Component):
    """Memoryless durations."""

    kind: Literal["exponential"]
    mean: PositiveDays = Field(description="mean duration")


class Lognormal(Component):
    """Skewed durations, by the two figures people know: the typical one and the slow one."""

    kind: Literal["lognormal"]
    median: PositiveDays = Field(description="half of all durations are shorter")
    p95: PositiveDays = Field(description="19 of 20 durations are shorter; above the median")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.p95 <= self.median:
            raise ValueError(
                f"p95 must be longer than the median: got {format_duration(self.p95)}, and the median is "
                f"{format_duration(self.median)}"
            )
        return self


class Weibull(Component):
    """Durations whose hazard falls (shape < 1, heavy tail) or rises (shape > 1) with time."""

    kind: Literal["weibull"]
    scale: PositiveDays = Field(description="63 % of all durations are shorter")
    shape: float = Field(gt=0, description="1 is exponential")


class Uniform(Component):
    """Equally likely between two bounds."""

    kind: Literal["uniform"]
    low: Days = Field(description="shortest duration")
    high: PositiveDays = Field(description="longest duration")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.high < self.low:
            raise ValueError("high must not be shorter than low")
        return self


class Empirical(Component):
    """Resampled from recorded durations: where data exists it wins over the textbook."""

    kind: Literal["empirical"]
    values: list[Days] = Field(min_length=1, description="recorded durations")


def _fixed_from_plain(value: Any) -> Any:
    if isinstance(value, (dict, Component)):
        return value
    return {"kind": "fixed", "value": value}


Duration = Annotated[
    Annotated[
        Fixed | Exponential | Lognormal | Weibull | Uniform | Empirical,
        Field(discriminator="kind"),
    ],
    BeforeValidator(
        _fixed_from_plain,
        json_schema_input_type=Days | Fixed | Exponential | Lognormal | Weibull | Uniform | Empirical,
    ),
]
"""A duration such as `2h`, or a mapping with `kind` and its parameters."""


ONE_IN_A_MILLION = 1e-6
_DEVIATIONS = statistics.NormalDist().inv_cdf(1.0 - ONE_IN_A_MILLION) / statistics.NormalDist().inv_cdf(0.95)


def shortest(duration: Duration) -> float:
    """Days that all durations last at least.

    >>> shortest(Exponential(kind="exponential", mean="1d")), shortest(Uniform(kind="uniform", low="1d", high="3d"))
    (0.0, 1.0)
    """
    match duration:
        case Fixed():
            return duration.value
        case Uniform():
            return duration.low
        case Empirical():
            return min(duration.values)
        case _:
            return 0.0


def longest(duration: Duration) -> float:
    """Days that no duration is longer than, or one in a million where there is no bound.

    >>> longest(Fixed(kind="fixed", value="2h")) * 24, longest(Uniform(kind="uniform", low="1d", high="3d"))
    (2.0, 3.0)
    """
    rare = -math.log(ONE_IN_A_MILLION)
    match duration:
        case Fixed():
            return duration.value
        case Exponential():
            return duration.mean * rare
        case Lognormal():
            return _power(duration.median, duration.p95 / duration.median, 1.0 / _DEVIATIONS)
        case Weibull():
            return _power(duration.scale, rare, duration.shape)
        case Uniform():
            return duration.high
        case Empirical():
            return max(duration.values)


def _power(scale: float, base: float, root: float) -> float:
    """scale * base ** (1 / root), infinite where that is too large."""
    try:
        return float(scale * base ** (1.0 / root))
    except (OverflowError, ZeroDivisionError):
        return math.inf
