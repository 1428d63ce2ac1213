"""Pictures of care: how patients fare over a run and what clinicians do, and what policies trade between the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from analysis.plot_axes import plain
from analysis.plot_styles import DASHED, GREY, INK, legend_below, new_figure, policy_style, reach
from sim.care_result import PERCENTILES, CareResult

if TYPE_CHECKING:
    from analysis.comparison import Comparison
    from sim.record import Result

BLUE, PALE_BLUE, PALEST_BLUE = "#0072B2", "#8FC1E3", "#D3E6F3"
ORANGE, GREEN = "#E69F00", "#009E73"
WEEK = 7
TRADED = {
    "time_in_range": ("time in range (%)", 100.0),
    "hypotensions_per_patient_year": ("hypotensions a patient and year", 1.0),
    "crises_per_patient_year": ("crises a patient and year", 1.0),
}
"""What policies trade against clinicians' time: label and scale."""
_FAN = 0.86
"""Part of the height that the fan takes; the legend is above."""


def plot_care(result: Result, fig: Figure | None = None) -> Figure:
    """Three rows over the days of a run: pressure (mmHg), share in range, and what clinicians had each week.

    result: from `sim.run` of a scenario with care. The fan holds 90 % and 50 % of the patients around their median.
    Returns the figure. Raises ValueError for a run without patients.
    """
    if result.care is None:
        raise ValueError("plot_care: the run has no patients, expected a scenario with care")
    deployed = [event.time for event in result.raw_events if event.kind == "deployment"]
    return plot_ward(result.care, fig, f"{result.scenario.title}: {result.policy}", deployed)


def plot_ward(
    care: CareResult, fig: Figure | None = None, title: str = "", deployed: Sequence[float] = ()
) -> Figure:
    """The rows of `plot_care` from what became of the patients alone; deployed: days of new versions.

    Returns the figure.
    """
    fig = fig or new_figure(8.0, 6.4)
    fan, share, load = fig.subplots(3, 1, sharex=True, height_ratios=[3, 1.5, 2])
    _draw_fan(fan, care, deployed)
    fan.set_title(title, fontsize=10, loc="left", parse_math=False)
    share.plot(care.days["time_days"], care.days["in_range"], color=GREEN, lw=1.0)
    share.set_ylabel("in range\n(share)")
    share.set_ylim(0.0, 1.0)
    _draw_load(load, care)
    load.set_xlabel("time (days)")
    load.set_xlim(0.0, care.horizon)
    for ax in (fan, share, load):
        plain(ax)
    return fig


def plot_care_trade(found: Comparison, fig: Figure | None = None) -> Figure:
    """Time in range and harm against clinicians' hours a week, one mark a policy or variant, with 95 % intervals.

    found: a comparison of a scenario with care. Returns the figure, one panel each for time in range, hypotensions and
    crises, without those that never happened. Raises ValueError without patients.
    """
    if not found.runs["time_in_range"].any():
        raise ValueError("plot_care_trade: no run has patients, expected a scenario with care")
    traded = {column: axis for column, axis in TRADED.items() if found.runs[column].any()}
    fig = fig or new_figure(3.0 * len(traded) + 0.6, 3.4)
    panels = list(fig.subplots(1, len(traded), sharex=True, squeeze=False)[0])
    handles = []
    for name, style in policy_style(found.names).items():
        hours = found.interval(name, "clinician_hours_per_week")
        if not np.isfinite(hours.mean):  # a variant without patients
            continue
        for ax, (column, (_, scale)) in zip(panels, traded.items(), strict=True):
            figure = found.interval(name, column)
            mark = ax.errorbar(
                hours.mean, scale * figure.mean, xerr=reach(hours.half_width), yerr=scale * reach(figure.half_width),
                color=style.colour, marker=style.marker, fillstyle=style.fill, ms=7, ls="", lw=1.0, capsize=3,
                label=name,
            )  # fmt: skip
        handles.append(mark)
    for ax, (label, _) in zip(panels, traded.values(), strict=True):
        ax.set_ylabel(label)
        low, high = ax.get_ylim()
        ax.set_ylim(bottom=max(low, -0.03 * high))  # no mark is cut at 0
        ax.set_xlabel("clinician hours a week")
        plain(ax)
    fig.suptitle(found.scenario.title, fontsize=10, x=0.01, ha="left", parse_math=False)
    fig.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=8.5, frameon=False)
    return fig


def _draw_fan(ax: Axes, care: CareResult, deployed: Sequence[float]) -> None:
    days, regimen = care.days, care.care.regimen
    low, quarter, median, three_quarters, high = (days[f"pressure_p{p}_mmhg"] for p in PERCENTILES)
    time = days["time_days"]
    ax.fill_between(time, low, high, color=PALEST_BLUE, lw=0, label="90 % of the patients")
    ax.fill_between(time, quarter, three_quarters, color=PALE_BLUE, lw=0, label="50 %")
    ax.plot(time, median, color=BLUE, lw=1.2, label="median")
    for edge in (regimen.low, regimen.high):
        ax.axhline(edge, color=INK, lw=0.8, ls=DASHED, label="target range" if edge == regimen.low else "_")
    for number, moment in enumerate(deployed):
        ax.axvline(moment, 0.0, _FAN, color=GREY, lw=0.8, label="_" if number else "new version")
    bottom = min(float(low.min()), regimen.low)
    ax.set_ylim(bottom - 2.0, bottom + (max(float(high.max()), regimen.high) - bottom) / _FAN)
    ax.set_ylabel("true systolic\npressure (mmHg)")
    ax.legend(fontsize=8, frameon=False, ncols=5, loc="upper right")


def _draw_load(ax: Axes, care: CareResult) -> None:
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
