"""A time axis as people live it: weekdays and hours, nights and weekends. Day 0 of a run is a Monday."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator

from scenarios.working_hours import WorkingHours

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
NIGHT, WEEKEND = "#EFEFEF", "#DEDEDE"
"""Shades of the time outside working hours."""
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 7 * 1440)
"""Minutes between ticks."""


def moment(days: float) -> str:
    """A moment as people say it, to the minute.

    >>> moment(0.5), moment(8.399)
    ('Mon 12:00', 'Tue 09:35')
    """
    minutes = round(days * 1440.0)
    return f"{WEEKDAYS[minutes // 1440 % 7]} {clock(days)}"


def clock(days: float) -> str:
    """The time of day of a moment, to the minute."""
    minutes = round(days * 1440.0) % 1440
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def weekday(day: int) -> str:
    """A day by its name and number.

    >>> weekday(9)
    'Wed, day 9'
    """
    return f"{WEEKDAYS[day % 7]}, day {day}"


def ticks(start: float, stop: float, room: int) -> list[float]:
    """Round moments (days) from start to stop, at most `room` of them.

    >>> [clock(tick) for tick in ticks(0.38, 0.42, 8)]
    ['09:10', '09:20', '09:30', '09:40', '09:50', '10:00']
    """
    minutes = 1440.0 * (stop - start)
    step = next(
        (s for s in _STEPS if minutes / s <= room), _STEPS[-1] * math.ceil(minutes / _STEPS[-1] / room)
    )
    first, last = math.ceil(1440.0 * start / step - 1e-6), math.floor(1440.0 * stop / step + 1e-6)
    return [number * step / 1440.0 for number in range(first, last + 1)]


def off_hours(hours: WorkingHours, start: float, stop: float) -> list[tuple[str, float, float]]:
    """Nights and weekends between two moments: which of the two, start and end (days).

    >>> off_hours(WorkingHours(), 4.5, 7.5)[1:]
    [('weekend', 5.0, 7.0), ('night', 7.0, 7.375)]
    """
    found: list[tuple[str, float, float]] = []
    for day in range(math.floor(start), math.ceil(stop)):
        at_work = day % 7 < hours.days
        parts = (
            [("night", day + 0.0, day + hours.start), ("night", day + hours.end, day + 1.0)]
            if at_work
            else [("weekend", day + 0.0, day + 1.0)]
        )
        for name, begin, end in parts:
            if found and found[-1][0] == name and found[-1][2] == begin:
                found[-1] = (name, found[-1][1], end)
            elif end > begin:
                found.append((name, begin, end))
    clipped = [(name, max(begin, start), min(end, stop)) for name, begin, end in found]
    return [(name, begin, end) for name, begin, end in clipped if end > begin]


def shade(ax: Axes, hours: WorkingHours, start: float, stop: float) -> None:
    """Shade nights and weekends over the whole height."""
    for name, begin, end in off_hours(hours, start, stop):
        ax.axvspan(begin, end, color=WEEKEND if name == "weekend" else NIGHT, lw=0, zorder=0, gid=name)


def week_axis(ax: Axes, start: float, stop: float, inches: float) -> None:
    """Hours as ticks and the names of the days under them; inches: width of the axes."""
    ax.set_xlim(start, stop)
    hours = ticks(start, stop, max(int(inches / 0.42), 2))
    ax.xaxis.remove_overlapping_locs = False  # noon is the middle of a day as well
    several = stop - start > 1.5
    step = np.diff(hours).min() if len(hours) > 1 else 1.0
    names = [_hour(tick) if several else clock(tick) for tick in hours]
    if step >= 1.0:  # days are told by their names only
        hours, names = [], []
    ax.xaxis.set_minor_locator(FixedLocator(hours))
    ax.xaxis.set_minor_formatter(FixedFormatter(names))
    ax.tick_params(axis="x", which="minor", labelsize=7, length=2.5, pad=1.5)
    _name_days(ax, start, stop, inches, pad=12.0 if hours else 8.0)


def _name_days(ax: Axes, start: float, stop: float, inches: float, pad: float) -> None:
    """The name of each day under the middle of what is seen of it; of every so many where they are many."""
    days = range(math.floor(start), math.ceil(stop - 1e-9))
    every = max(math.ceil(0.75 * len(days) / inches), 1)
    every = every if every == 1 else 7 * math.ceil(every / 7)
    shown = [day for day in days if every == 1 or day % every == 0]
    places = [0.5 * (max(day, start) + min(day + 1, stop)) for day in shown]
    wide = [(min(day + 1, stop) - max(day, start)) / (stop - start) * inches for day in shown]
    kept = [number for number, width in enumerate(wide) if every > 1 or width > 0.6]
    ax.xaxis.set_major_locator(FixedLocator([places[number] for number in kept]))
    ax.xaxis.set_major_formatter(FixedFormatter([weekday(shown[number]) for number in kept]))
    ax.tick_params(axis="x", which="major", length=0, labelsize=8.5, pad=pad)
    for day in days[1:] if len(days) <= 31 else ():
        ax.axvline(day, color="#AAAAAA", lw=0.6, zorder=0.5, gid="midnight")


def _hour(days: float) -> str:
    """The hour of a tick among several days; midnight is told by its line."""
    return clock(days)[:2] if clock(days).endswith(":00") else clock(days)
