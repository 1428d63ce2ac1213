"""Times that must be a whole number of the scenario's windows, and what to do about one that is not."""

from __future__ import annotations

import math

from scenarios.units import DURATION, HOURS_PER_DAY, MINUTES_PER_DAY, SECONDS_PER_DAY

SHORTEST = 1.0 / MINUTES_PER_DAY
"""Days of the shortest window that is proposed: shorter ones make a run slow."""


def check_whole_windows(
    place: str, length: float, window: float, noun: str = "simulation windows", at_least: int = 1
) -> None:
    """Raise ValueError, naming `place`, for a length that is not a whole number of windows.

    length, window: days, > 0; noun: what the windows are called; at_least: windows.

    >>> check_whole_windows("monitors[0].cadence", 0.25, 1 / 24)
    >>> check_whole_windows("monitors[0].cadence", 15 / 1440, 1 / 24)
    Traceback (most recent call last):
    ValueError: monitors[0].cadence: must be a whole number of simulation windows of 1h, got 15min: use a multiple of \
1h, or set the scenario's window to 15min
    """
    ratio = length / window
    if ratio >= at_least - 1e-9 and abs(ratio - round(ratio)) <= 1e-6 * max(ratio, 1.0):
        return
    each, fitting = _written(window), _common(length, window)
    or_window = "" if fitting < SHORTEST else f", or set the scenario's window to {_written(fitting)}"
    raise ValueError(
        f"{place}: must be a whole number of {noun} of {each}, got {_written(length)}: use a multiple of "
        f"{each}{or_window}"
    )


def _written(days: float) -> str | float:
    """A duration as people write it: 90min rather than 1.5h, but 60.3d rather than 86832min."""
    for unit, per_day in (("d", 1.0), ("h", HOURS_PER_DAY), ("min", MINUTES_PER_DAY), ("s", SECONDS_PER_DAY)):
        count = days * per_day
        if 0.5 < count < 1000.0 and abs(count - round(count)) < 1e-9 * count:
            return f"{round(count)}{unit}"
    return DURATION.write(days)


def _common(length: float, window: float) -> float:
    """The longest window of whole seconds that fits both into the length and into the present window; 0 if none."""
    seconds = [days * SECONDS_PER_DAY for days in (length, window)]
    if not all(math.isfinite(s) and abs(s - round(s)) < 1e-6 for s in seconds):
        return 0.0
    return math.gcd(*(round(s) for s in seconds)) / SECONDS_PER_DAY
