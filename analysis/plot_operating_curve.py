"""The picture of an operating curve: delay against false alarms, and both against cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from analysis.plot_axes import duration_axis, look_of, money_axis, plain, rate_axis
from analysis.plot_delays import HOLLOW, SEEN
from analysis.plot_styles import LINES, legend_below, new_figure
from scenarios.units import format_duration

if TYPE_CHECKING:
    from analysis.operating_curves import OperatingCurve

Array = NDArray[np.float64]
RATE, DELAY, COST = "shown_rate", "mean_detected_days", "cost_per_month"
PANELS = ((RATE, DELAY), (COST, DELAY), (COST, RATE))
SETTINGS = ("threshold", "cadence_days", "rows")
MOST_LABELS = 24
"""Points that are labelled, at most; the table has them all."""
APART = 12.0
"""Dots; settings that are drawn closer to one another share a label."""
SIDES = ((1, 1), (1, -1), (-1, 1), (-1, -1))
"""Where a point may have its label, the first that is free: right or left, above or below."""
FONT = 7.5


def plot_operating_curve(found: OperatingCurve) -> Figure:
    """Delay against false alarms, and both against cost; one line for each cadence and number of rows.

    Points are labelled with their threshold, or with the first of cadence and rows that differs. A setting without a
    false alarm is drawn at the upper bound of its rate.
    """
    figure = new_figure(12.0, 4.6)
    axes = figure.subplots(1, 3)
    table = found.table()
    none = table["false_alarms"] == 0
    table[RATE] = np.where(none, table["false_high"], table["false_alarms_per_month"])
    table["rows"] = table["rows"].fillna(-1.0)
    for ax, (across, up) in zip(axes, PANELS, strict=True):
        if across == RATE:
            ax.set_xscale("log")
        ax.set_yscale("log")
        ax.margins(0.12)
        handles = _lines(found, ax, table, across, up)
        for axis, name in ((ax.xaxis, across), (ax.yaxis, up)):
            if name == DELAY:
                duration_axis(axis, "mean delay of the detected incidents")
            elif name == RATE:
                rate_axis(axis, "false alarms in 30 days" + (", v: at most" if none.any() else ""))
            else:
                money_axis(ax, table[COST], "cost of monitoring", found.scenario.currency, "in 30 days")
        plain(ax)
    figure.draw_without_rendering()  # what is close to what can be told when all has its place
    if len(table) <= MOST_LABELS:
        for ax, (across, up) in zip(axes, PANELS, strict=True):
            _label(found, ax, table, across, up)
    legend_below(axes[1], handles)
    along = found.knob if _along(table) == SETTINGS[0] else _along(table).removesuffix("_days")
    title = f"Operating curve of {found.monitor}, {along} at each point; {HOLLOW}"
    figure.suptitle(title, fontsize=10, x=0.01, ha="left", parse_math=False)
    return figure


def _along(table: pd.DataFrame) -> str:
    """The setting that changes along a line: the first that has several values."""
    return next((name for name in SETTINGS if table[name].nunique() > 1), SETTINGS[0])


def _groups(table: pd.DataFrame) -> list[pd.DataFrame]:
    """The settings of each line, in the order in which they are connected."""
    along = _along(table)
    others = [name for name in SETTINGS if name != along]
    return [line.sort_values(along) for _, line in table.groupby(others, sort=False)]


def _text(found: OperatingCurve, name: str, value: float) -> str:
    """A setting as it is written in the picture."""
    if name == "threshold":
        return found.knob_text(value)
    if name == "cadence_days":
        return format_duration(value)
    return "all rows" if value < 0 else f"{value:,.0f} rows"


def _name(found: OperatingCurve, table: pd.DataFrame, line: pd.DataFrame) -> str:
    """What a line is called: those of its settings that are its own, and its cadence."""
    first, along = line.iloc[0], _along(table)
    words = (
        [f"every {_text(found, 'cadence_days', first['cadence_days'])}"] if along != "cadence_days" else []
    )
    if along != "rows" and (table["rows"].nunique() > 1 or not words):
        words.append(_text(found, "rows", first["rows"]))
    if along != "threshold":
        words.append(f"{found.knob} {_text(found, 'threshold', first['threshold'])}")
    return ", ".join(words)


def _lines(found: OperatingCurve, ax: Axes, table: pd.DataFrame, across: str, up: str) -> list[Any]:
    """The lines; hollow: a delay of a part of the incidents only; with a v: no false alarm."""
    handles = []
    for number, line in enumerate(_groups(table)):
        colour, marker = look_of(number)
        handles += ax.plot(
            line[across], line[up], lw=1.2, ls=LINES[number % len(LINES)], marker=marker, ms=5, color=colour,
            label=_name(found, table, line),
        )  # fmt: skip
        few = line[line["undetected_share"] > 1.0 - SEEN]
        ax.plot(few[across], few[up], ls="", marker=marker, ms=5, color=colour, mfc="white", zorder=3)
        none = line[line["false_alarms"] == 0]
        if RATE in (across, up):
            ax.plot(none[across], none[up], ls="", marker="v", ms=9, color=colour, mfc="none", zorder=3)
    return handles


def _label(found: OperatingCurve, ax: Axes, table: pd.DataFrame, across: str, up: str) -> None:
    """Write at each point the setting that changes along its line; points in one place have one text."""
    along = _along(table)
    known = table[np.isfinite(table[across]) & np.isfinite(table[up])]
    taken = [
        _Box(x - 4, y - 4, x + 4, y + 4) for x, y in ax.transData.transform(known[[across, up]].to_numpy())
    ]
    for number, line in enumerate(_groups(table)):
        line = line[line.index.isin(known.index)]
        places = ax.transData.transform(line[[across, up]].to_numpy())
        start = 0
        for stop in range(1, len(line) + 1):
            if stop < len(line) and np.hypot(*(places[stop] - places[start])) < APART:
                continue
            values = [_text(found, along, value) for value in line[along].iloc[start:stop]]
            text = ", ".join(values) if len(values) < 3 else f"{values[0]} to {values[-1]}"
            right, top = _free_side(ax, places[start], text, taken)
            ax.annotate(
                text, tuple(line[[across, up]].iloc[start]), xytext=(5 * right, 4 * top),
                textcoords="offset points", fontsize=FONT, color=look_of(number)[0], parse_math=False,
                ha="left" if right > 0 else "right", va="bottom" if top > 0 else "top",
                path_effects=[withStroke(linewidth=2, foreground="white")],
            )  # fmt: skip
            start = stop


class _Box(NamedTuple):
    """A rectangle, in dots."""

    left: float
    bottom: float
    right: float
    top: float

    def shared(self, other: _Box) -> float:
        """Area that two have in common."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(width, 0.0) * max(height, 0.0)


def _free_side(ax: Axes, place: Array, text: str, taken: list[_Box]) -> tuple[int, int]:
    """The side of a point where its label covers least of what is there; the label joins that."""
    dots = ax.figure.dpi / 72.0
    x, y = place.tolist()
    width, height, beside, above = (size * dots for size in (0.62 * FONT * len(text), 1.3 * FONT, 5.0, 4.0))
    frame = ax.get_window_extent()
    boxes = {}
    for right, top in SIDES:
        near, low = x + right * beside, y + top * above
        boxes[right, top] = _Box(
            min(near, near + right * width), min(low, low + top * height),
            max(near, near + right * width), max(low, low + top * height),
        )  # fmt: skip

    def covered(side: tuple[int, int]) -> float:
        box = boxes[side]
        # The axis and its ticks are at the left and below; the other sides are free.
        outside = max(frame.x0 - box.left, 0.0) * height + max(frame.y0 - box.bottom, 0.0) * width
        return float(outside) + sum(box.shared(other) for other in taken)

    best = min(SIDES, key=covered)
    taken.append(boxes[best])
    return best
