"""What powers a device: the mains, a battery that is charged most days, or a cell that is replaced when it is empty."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from scenarios.base import Component
from scenarios.distributions import Duration, Fixed
from scenarios.hardware_units import Joules, Watts
from scenarios.units import Days, Fraction, Money, PositiveDays


class _Consumer(Component):
    idle: Watts = Field(default=0.0, description="power besides inference and radio, e.g. '50 uW'")
    radio: Joules = Field(default=0.0, description="energy of each MB (1e6 bytes) that is sent or received")
    check_in: Joules = Field(default=0.0, description="energy of each try to check in")
    install: Joules = Field(default=0.0, description="energy of each installation")


class Mains(_Consumer):
    """As much as it needs, always; what it takes is counted."""

    kind: Literal["mains"]


class _Battery(_Consumer):
    capacity: Annotated[Joules, Field(gt=0)] = Field(description="energy of the full battery, e.g. '675 mWh'")
    initial: Annotated[Fraction, Field(gt=0)] | None = Field(
        default=None, description="charge at the start; spread evenly between low and full when absent"
    )
    low: Annotated[Fraction, Field(lt=1)] = Field(
        default=0.2, description="charge below which the simple model takes over, where there is one"
    )


class Rechargeable(_Battery):
    """Charged at the same hour of most days; while it is charged it runs the full model from the charger."""

    kind: Literal["rechargeable"]
    charging: Annotated[Watts, Field(gt=0)] = Field(description="power of the charger, e.g. '2 W'")
    plugged_at: Annotated[Days, Field(lt=1)] = Field(
        default=22.0 / 24.0, description="time of day at which it is plugged in"
    )
    plugged_for: Annotated[PositiveDays, Field(le=1)] = Field(
        default=8.0 / 24.0, description="how long it stays plugged in, at most 24h"
    )
    plugged: Fraction = Field(
        default=0.9, description="chance of each device on each day that it is plugged in at all"
    )


class Cell(_Battery):
    """A coin cell: when it is empty the device is silent until somebody replaces it."""

    kind: Literal["cell"]
    replacement: Duration = Field(
        default=Fixed.model_validate({"kind": "fixed", "value": "14d"}),
        description="from an empty cell to a new one, which is full",
    )
    price: Money = Field(default=0.0, description="price of each replacement")

    @model_validator(mode="after")
    def _fixed_or_exponential(self) -> Self:
        if self.replacement.kind not in ("fixed", "exponential"):
            raise ValueError(f"replacement: got kind {self.replacement.kind}, expected fixed or exponential")
        return self


def _from_name(value: Any) -> Any:
    """Read `mains` as the kind with its defaults."""
    return {"kind": value} if isinstance(value, str) else value


Power = Annotated[
    Annotated[Mains | Rechargeable | Cell, Field(discriminator="kind")],
    BeforeValidator(_from_name, json_schema_input_type=Literal["mains"] | Mains | Rechargeable | Cell),
]
"""A mapping with `kind` and its parameters, or `mains` alone."""
