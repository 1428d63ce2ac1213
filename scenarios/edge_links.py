"""How devices reach the network: when they try, whether there is one, and how fast it is."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from scenarios.base import Component
from scenarios.hardware_units import BytesPerSecond
from scenarios.units import Days, Fraction, PositiveDays


class Link(Component):
    """Check-ins at random or regular moments, over a network that comes and goes.

    The network of a device is there for exponential times of mean `online` and away for exponential times of mean
    `offline` (a two-state Markov process). A check-in succeeds while it is there, with the chance of its hour of the
    day; a session ends when the network goes.
    """

    contact: PositiveDays = Field(default=1.0, description="mean time between two check-ins")
    pattern: Literal["exponential", "regular"] = Field(
        default="exponential",
        description="exponential: at random moments; regular: as often, at a phase of each device's own",
    )
    online: PositiveDays | None = Field(
        default=None, description="mean time that the network is there; always when absent"
    )
    offline: PositiveDays | None = Field(default=None, description="mean time that it is away")
    hours: list[Fraction] = Field(
        default=[],
        description="24 chances, one for each hour of the day from midnight on, that a check-in finds the network "
        "usable; 1 when empty",
    )
    bandwidth: BytesPerSecond = Field(default=1e6, description="speed of a download, e.g. '100 KB/s'")
    round_trip: Days = Field(default=0.0, description="time to the centre and back, e.g. '80ms'")

    @model_validator(mode="after")
    def _whole_process(self) -> Self:
        if (self.online is None) != (self.offline is None):
            raise ValueError("give both of online and offline, or neither")
        if len(self.hours) not in (0, 24):
            raise ValueError(
                f"hours: got {len(self.hours)} numbers, expected 24, one for each hour of the day"
            )
        if self.hours and max(self.hours) == 0.0:
            raise ValueError("hours: all are 0, so no check-in would ever succeed")
        return self

    @property
    def availability(self) -> float:
        """Share of the time that the network is there, in (0, 1].

        >>> Link(online="6h", offline="18h").availability
        0.25
        """
        if self.online is None or self.offline is None:
            return 1.0
        return self.online / (self.online + self.offline)

    @property
    def usable(self) -> float:
        """Share of the tries at random moments that get through: the network is there, and its hour lets it.

        >>> Link(online="6h", offline="18h", hours=[1.0] * 12 + [0.0] * 12).usable
        0.125
        """
        return self.availability * (sum(self.hours) / 24.0 if self.hours else 1.0)
