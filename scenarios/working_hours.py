"""Working hours: when people are at their desks. Day 0 of a run is a Monday, and its hour 0 is midnight."""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import Field, model_validator

from scenarios.base import Component
from scenarios.units import Days

_SLACK = 1e-9


class WorkingHours(Component):
    """The same hours on each of the first days of a week of seven."""

    start: Days = Field(default=9.0 / 24.0, description="time of day at which work begins")
    end: Days = Field(default=17.0 / 24.0, description="time of day at which it ends, at most 24h")
    days: Annotated[int, Field(ge=1, le=7)] = Field(default=5, description="working days, from Monday on")

    @model_validator(mode="after")
    def _is_a_day(self) -> Self:
        if not self.start < self.end <= 1.0:
            raise ValueError(
                f"got start {24.0 * self.start:g}h and end {24.0 * self.end:g}h, expected start before end, and end at "
                "most 24h"
            )
        return self

    def open_at(self, time: float) -> bool:
        """Whether people work at a moment (days).

        >>> hours = WorkingHours()
        >>> hours.open_at(0.5), hours.open_at(0.9), hours.open_at(5.5)
        (True, False, False)
        """
        return self.next_open(time) <= time + _SLACK

    def next_open(self, time: float) -> float:
        """The first moment from `time` on (days) at which people work: `time` itself while they do.

        >>> hours = WorkingHours()
        >>> hours.next_open(0.5), hours.next_open(0.8), hours.next_open(4.9)
        (0.5, 1.375, 7.375)
        """
        day = math.floor(time + _SLACK)
        for ahead in range(8):
            begins = day + ahead + self.start
            if (day + ahead) % 7 < self.days and time < day + ahead + self.end - _SLACK:
                return max(time, begins)
        raise AssertionError("a week has a working day")
