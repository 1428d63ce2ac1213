"""Working time: the clock of people's desks, which stands still outside working hours.

On that clock an office that closes at night is one that never closes: work that is not done by the evening goes on
in the morning. Queues in working hours are so played as ordinary ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy
from numpy.typing import ArrayLike, NDArray

from scenarios.units import HOURS_PER_DAY
from scenarios.working_hours import WorkingHours

Array = NDArray[np.float64]
_SLACK = 1e-9


class WorkingClock:
    """Days that people have worked up to a moment, and back; all functions of arrays of any shape.

    >>> clock = WorkingClock(WorkingHours())
    >>> (clock.worked([0.2, 0.5, 5.5, 7.375]) * 24).round(6).tolist()
    [0.0, 3.0, 40.0, 40.0]
    >>> float(clock.starts(40 / 24)), float(clock.ends(40 / 24)) * 24 - 4 * 24
    (7.375, 17.0)
    """

    def __init__(self, hours: WorkingHours) -> None:
        self.hours = hours
        self._length = hours.end - hours.start

    def worked(self, moment: ArrayLike) -> Array:
        """Working days since the start of the run, of one person, up to a moment (days)."""
        at = np.asarray(moment, dtype=np.float64)
        day = np.floor(at)
        week, weekday = np.divmod(day, 7.0)
        shifts = week * self.hours.days + np.minimum(weekday, self.hours.days)
        today = np.where(weekday < self.hours.days, at - day - self.hours.start, 0.0)
        # A whole shift is counted as one, so that an evening and the morning after are the same to the last bit.
        over = today >= self._length
        part = np.where(over, 0.0, np.maximum(today, 0.0))
        return np.asarray((shifts + over) * self._length + part)

    def starts(self, worked: ArrayLike) -> Array:
        """The moment (days) at which something begins that begins after so much work: an opening, not a closing."""
        done = np.asarray(worked, dtype=np.float64)
        return self._moment(done, np.floor(done / self._length + _SLACK))

    def ends(self, worked: ArrayLike) -> Array:
        """The moment (days) at which something ends that takes until so much is worked: a closing, not an opening."""
        done = np.asarray(worked, dtype=np.float64)
        return self._moment(done, np.maximum(np.ceil(done / self._length - _SLACK) - 1.0, 0.0))

    def open_at(self, moment: ArrayLike) -> NDArray[np.bool_]:
        """Whether people work at a moment (days)."""
        at = np.asarray(moment, dtype=np.float64)
        day = np.floor(at)
        inside = (at - day >= self.hours.start) & (at - day < self.hours.end)
        return np.asarray((np.mod(day, 7.0) < self.hours.days) & inside)

    def _moment(self, done: Array, shift: Array) -> Array:
        week, weekday = np.divmod(shift, float(self.hours.days))
        return np.asarray(
            7.0 * week + weekday + self.hours.start + np.maximum(done - shift * self._length, 0.0)
        )


def work_through(
    env: simpy.Environment, hours: WorkingHours, length: float, done: Callable[[float, float], None]
) -> Generator[simpy.Event, Any, None]:
    """Work of `length` days in working hours only; what is not done by the evening goes on the next working day.

    done: told start and end (days) of each stretch, as it ends.
    """
    while True:
        opening = hours.next_open(env.now)
        if opening > env.now:
            yield env.timeout(opening - env.now)
        start = float(env.now)
        closing = math.floor(start + _SLACK) + hours.end
        worked = min(length, closing - start)
        yield env.timeout(worked)
        done(start, float(env.now))
        length -= worked
        if length * HOURS_PER_DAY <= 1e-6:
            return
