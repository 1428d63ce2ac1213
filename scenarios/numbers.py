"""Distributions of numbers without unit: tokens of a request, work relative to the average request.

A plain number stands for a fixed one. Sampling lives in `sim.request_sizes`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from scenarios.base import Component
from scenarios.units import Real

Positive = Annotated[Real, Field(gt=0)]
NonNegative = Annotated[Real, Field(ge=0)]


class FixedNumber(Component):
    """Always the same number."""

    kind: Literal["fixed"]
    value: NonNegative = Field(description="the number")


class LognormalNumber(Component):
    """Skewed numbers, by the typical one and the large one."""

    kind: Literal["lognormal"]
    median: Positive = Field(description="half of all numbers are smaller")
    p95: Positive = Field(description="19 of 20 numbers are smaller; above the median")
    most: Positive | None = Field(default=None, description="larger ones are cut down to this")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.p95 <= self.median:
            raise ValueError("p95 must be larger than the median")
        if self.most is not None and self.most < self.median:
            raise ValueError("most must not be smaller than the median")
        return self


class QuantileNumber(Component):
    """Recorded numbers, by their quantiles at equal steps of probability; straight lines between them."""

    kind: Literal["quantiles"]
    values: list[NonNegative] = Field(
        min_length=2, description="from the smallest to the largest number, e.g. 21 values: each 5 %"
    )

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        for number in range(1, len(self.values)):
            if self.values[number] < self.values[number - 1]:
                raise ValueError(f"values[{number}]: {self.values[number]:g} is below the one before it")
        return self


def _fixed_from_plain(value: Any) -> Any:
    return value if isinstance(value, (dict, Component)) else {"kind": "fixed", "value": value}


Numbers = Annotated[
    Annotated[FixedNumber | LognormalNumber | QuantileNumber, Field(discriminator="kind")],
    BeforeValidator(
        _fixed_from_plain, json_schema_input_type=NonNegative | FixedNumber | LognormalNumber | QuantileNumber
    ),
]
"""A number such as `500`, or a mapping with `kind` and its parameters."""
