"""The picture of care: how patients' pressure spreads over time, how many are in range, and what clinicians do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from analysis.plot_axes import plain
from analysis.plot_styles import DASHED, GREY, INK, legend_below, new_figure
from sim.care_result import PERCENTILES

if TYPE_CHECKING:
    from sim.record import Result

BLUE, PALE_BLUE, PALEST_BLUE = "#0072B2", "#8FC1E3", "#D3E6F3"
ORANGE, GREEN = "#E69F00", "#009E73"
WEEK = 7
_FAN = 0.86
"""Part of the height that the fan takes; the legend is above."""


def plot_care(result: Result, fig: Figure | None = None) -> Figure:
    """Three rows over the days of a run: pressure (mmHg), share in range, and what clinicians had each week.

    result: from `sim.run` of a scenario with care. The fan holds 90 % and 50 % of the patients around their median.
    Returns the figure. Raises ValueError for a run without patients.
    """
    if result.care is None:
        raise ValueError("plot_care: the run has no patients, expected a scenario with care")
    fig = fig or new_figure(8.0, 6.4)
    fan, share, load = fig.subplots(3, 1, sharex=True, height_ratios=[3, 1.5, 2])
    _draw_fan(fan, result)
    days = result.care.days
    share.plot(days["time_days"], days["in_range"], color=GREEN, lw=1.0)
    share.set_ylabel("in range\n(share)")
    share.set_ylim(0.0, 1.0)
    _draw_load(load, result)
    load.set_xlabel("time (days)")
    load.set_xlim(0.0, result.scenario.horizon)
    for ax in (fan, share, load):
        plain(ax)
    return fig


def _draw_fan(ax: Axes, result: Result) -> None:
    care = result.care
    assert care is not None
    days, regimen = care.days, care.care.regimen
    low, quarter, median, three_quarters, high = (days[f"pressure_p{p}_mmhg"] for p in PERCENTILES)
    time = days["time_days"]
    ax.fill_between(time, low, high, color=PALEST_BLUE, lw=0, label="90 % of the patients")
    ax.fill_between(time, quarter, three_quarters, color=PALE_BLUE, lw=0, label="50 %")
    ax.plot(time, median, color=BLUE, lw=1.2, label="median")
    for edge in (regimen.low, regimen.high):
        ax.axhline(edge, color=INK, lw=0.8, ls=DASHED, label="target range" if edge == regimen.low else "_")
    deployed = [event.time for event in result.raw_events if event.kind == "deployment"]
    for number, moment in enumerate(deployed):
        ax.axvline(moment, 0.0, _FAN, color=GREY, lw=0.8, label="_" if number else "new version")
    bottom = min(float(low.min()), regimen.low)
    ax.set_ylim(bottom - 2.0, bottom + (max(float(high.max()), regimen.high) - bottom) / _FAN)
    ax.set_ylabel("true systolic\npressure (mmHg)")
    ax.set_title(f"{result.scenario.title}: {result.policy}", fontsize=10, loc="left", parse_math=False)
    ax.legend(fontsize=8, frameon=False, ncols=5, loc="upper right")


def _draw_load(ax: Axes, result: Result) -> None:
    care = result.care
    assert care is not None
    days = care.days
    weeks = len(days) // WEEK
    ax.set_ylabel("per week")
    if not weeks:
        ax.set_yticks([])
        ax.text(0.5, 0.5, "less than a week", ha="center", va="center", color=GREY, transform=ax.transAxes)
        return
    edges = np.arange(weeks + 1) * float(WEEK)
    handles = []
    for name, colour, label in (
        ("reviews", BLUE, "recommendations for a clinician"),
        ("alerts", ORANGE, "alerts"),
        ("visits", GREY, "visits"),
    ):
        counts = _weekly(days[name], weeks)
        handles.append(ax.stairs(counts, edges, baseline=None, color=colour, lw=1.2, label=label))
    hours = _weekly(days["clinician_hours"], weeks)
    handles.append(
        ax.stairs(hours, edges, baseline=None, color=INK, lw=1.2, ls=DASHED, label="clinician hours")
    )
    ax.set_ylim(bottom=0.0)
    legend_below(ax, handles)


def _weekly(values: ArrayLike, weeks: int) -> NDArray[np.float64]:
    """Sums of whole weeks."""
    days = np.asarray(values, dtype=np.float64)[: weeks * WEEK]
    return np.asarray(days.reshape(weeks, WEEK).sum(axis=1))
