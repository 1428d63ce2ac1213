"""Axes of money, durations and rates that say their unit and, where they are logarithmic, that too."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray

from analysis.plot_styles import money_ticks
from scenarios.units import format_duration

Array = NDArray[np.float64]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#661100")
"""Okabe and Ito's palette without yellow; each has a marker of its own as well."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LOG = " (log scale)"
"""What the label of a logarithmic axis ends with."""
WIDE = 30.0
"""Amounts that are so many times one another need a log scale."""
MOST_TICKS = 7
_TIMES = np.array(
    [1 / 86_400, 10 / 86_400, 1 / 1440, 10 / 1440, 1 / 24, 6 / 24, 1.0, 7.0, 30.0, 365.0, 3650.0]
)
"""Days at which a long axis of durations has ticks."""
_CLOSE_TIMES = np.array(
    [
        *(seconds / 86_400 for seconds in (1, 2, 5, 10, 20, 30)),
        *(minutes / 1440 for minutes in (1, 2, 5, 10, 15, 20, 30, 45)),
        *(hours / 24 for hours in (1, 1.5, 2, 3, 4, 6, 8, 12, 18)),
        *(1, 1.5, 2, 3, 4, 5, 7, 10, 14, 21, 30, 45, 60, 90, 180, 365, 730, 1825, 3650),
    ]
)
"""Days at which a short one may have some."""


def look_of(number: int) -> tuple[str, str]:
    """Colour and marker of the number-th thing in a picture; 64 of them can be told apart."""
    return COLOURS[number % len(COLOURS)], MARKERS[(number + number // len(COLOURS)) % len(MARKERS)]


def money_axis(ax: Axes, amounts: ArrayLike, label: str, currency: str, per: str, wide: float = WIDE) -> None:
    """Scale, ticks and label of the x axis for money >= 0: a log scale where amounts differ by more than `wide`.

    amounts: all that is drawn; label and per: 'cost of monitoring', 'in 30 days'. Where there is 0 as well, the log
    scale is linear below the least of the others.
    """
    known = np.asarray(amounts, dtype=np.float64)
    positive = known[known > 0.0]
    some_zero = bool((known == 0.0).any())
    if len(positive) == 0 or positive.max() <= wide * positive.min():
        money_ticks(ax.xaxis, currency)
        ax.set_xlabel(f"{label} ({currency} {per})")
        return
    low, high = float(positive.min()), float(positive.max())
    if some_zero:
        ax.set_xscale("symlog", linthresh=low, linscale=0.5)
        ax.set_xlim(-0.5 * low, 1.6 * high)
    else:
        ax.set_xscale("log")
        ax.set_xlim(low / 1.6, 1.6 * high)
    money_ticks(ax.xaxis, currency)
    ticks = round_numbers(low, 1.6 * high).tolist()
    ax.xaxis.set_major_locator(FixedLocator([0.0, *ticks] if some_zero else ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(f"{label}, {currency} {per}{LOG}")


def duration_axis(axis: Axis, label: str) -> None:
    """Ticks at round durations of a log axis of days, and its label; call it when all is drawn."""
    low, high = (float(bound) for bound in axis.get_view_interval())
    duration_ticks(axis, low, high)
    axis.set_label_text(label + LOG)


def duration_ticks(axis: Axis, low: float, high: float) -> None:
    """Ticks at round durations of a log axis of days, written as people do; its ends where there are too few."""
    ticks = _TIMES[(low <= _TIMES) & (high >= _TIMES)]
    if len(ticks) < 4:
        ticks = _thinned(_CLOSE_TIMES[(low <= _CLOSE_TIMES) & (high >= _CLOSE_TIMES)], low, high)
    axis.set_major_locator(FixedLocator((ticks if len(ticks) > 1 else np.geomspace(low, high, 3)).tolist()))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda days, _: format_duration(days)))


def rate_axis(axis: Axis, label: str) -> None:
    """Plain numbers on a log axis, and its label; call it when all is drawn."""
    low, high = (float(bound) for bound in axis.get_view_interval())
    axis.set_major_locator(FixedLocator(round_numbers(low, high).tolist()))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axis.set_label_text(label + LOG)


def round_numbers(low: float, high: float) -> Array:
    """At most MOST_TICKS round numbers from low to high, 0 < low < high; powers of ten where they are far apart.

    >>> round_numbers(3.0, 70.0).tolist(), round_numbers(0.5, 2e8).tolist(), round_numbers(11.0, 14.0).tolist()
    ([5.0, 10.0, 20.0, 50.0], [1.0, 100.0, 10000.0, 1000000.0, 100000000.0], [11.0, 12.0, 13.0, 14.0])
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for every, steps in ((1, (1, 2, 5)), (1, (1, 3)), (1, (1,)), (2, (1,)), (3, (1,)), (6, (1,))):
        places = range(every * math.floor(first / every), last + 1, every)
        ticks = np.array([float(f"{step}e{place}") for place in places for step in steps])
        ticks = ticks[(low <= ticks) & (ticks <= high)]
        if 2 < len(ticks) <= MOST_TICKS:
            return ticks
    size = 10.0 ** math.floor(math.log10(high - low))
    size *= next(step for step in (0.2, 0.5, 1.0, 2.0) if (high - low) / (step * size) <= 5.0)
    return np.round(np.arange(math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9) + 1) * size, 12)


def plain(ax: Axes) -> None:
    """Small ticks and labels, no frame."""
    ax.tick_params(labelsize=8)
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set_fontsize(9)
    ax.spines[["top", "right"]].set_visible(False)


def _thinned(ticks: Array, low: float, high: float) -> Array:
    """Of sorted ticks on a log scale as many as can be read, from the first on."""
    apart = (math.log(high) - math.log(low)) / MOST_TICKS
    kept: list[float] = []
    for tick in ticks.tolist():
        if not kept or math.log(tick / kept[-1]) >= apart:
            kept.append(tick)
    return np.array(kept)
