"""The load of a serving fleet over time: replicas that are ready and busy, and requests that wait."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.plot_axes import plain
from analysis.plot_styles import DASHED, INK, PALE, new_figure

if TYPE_CHECKING:
    from sim.fleet_result import FleetResult

LINE, WAITING = "#0072B2", "#CC79A7"
"""Okabe and Ito's palette."""
POINTS = 800
"""Points of a line, about."""


def plot_fleet(
    result: FleetResult, fig: Figure | None = None, *, pool: str | None = None, title: str = ""
) -> Figure:
    """Ready and busy replicas above, requests that wait below, over time; design days one after the other.

    pool: one pool, all together when None. title: that of the scenario when empty. Returns the figure.
    """
    table = result.load(pool)
    fig = fig or new_figure(8.0, 5.0)
    upper, lower = fig.subplots(2, 1, sharex=True, height_ratios=[1.6, 1.0])
    parts = sorted(table["part"].unique())
    unit, per_day = _unit(max(part.days for part in result.parts))
    offset, edges = 0.0, []
    for part in parts:
        mine = table[table["part"] == part]
        step = max(len(mine) // POINTS, 1)
        mean = mine.groupby(np.arange(len(mine)) // step).mean()
        most = mine["waiting"].groupby(np.arange(len(mine)) // step).max()
        time = per_day * mean["time_days"] + offset
        first = part == parts[0]
        upper.plot(time, mean["ready"], color=INK, lw=1.5, ls=DASHED, label="ready" if first else None)
        upper.plot(
            time, mean["busy"], color=LINE, lw=1.0, label="busy, mean of each interval" if first else None
        )
        lower.plot(
            time, most, color=WAITING, lw=1.0, label="waiting, at the end of intervals" if first else None
        )
        offset += per_day * result.parts[part].days
        edges.append(offset)
    for ax in (upper, lower):
        for edge in edges[:-1]:
            ax.axvline(edge, color=PALE, lw=0.8)
        ax.set_ylim(bottom=0.0)
        ax.set_xlim(0.0, offset)
        ax.legend(loc="upper right", fontsize=8, frameon=True, framealpha=0.85, edgecolor="none", ncols=2)
        ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        plain(ax)
    upper.set_ylim(0.0, 1.25 * max(float(table["ready"].max()), 1.0))
    lower.set_ylim(0.0, max(1.3 * float(table["waiting"].max()), 1.0))
    upper.set_ylabel("replicas")
    lower.set_ylabel("requests")
    several = f", {len(parts)} design days one after the other" if len(parts) > 1 else ""
    lower.set_xlabel(f"time ({unit}{several})")
    upper.xaxis.label.set_fontsize(9)
    upper.set_title(
        fill(title or f"Load: {result.scenario.title}", 80), fontsize=10, loc="left", parse_math=False
    )
    return fig


def _unit(horizon: float) -> tuple[str, float]:
    """Unit of the time axis of so many days, and how many of it a day has."""
    if horizon > 3.0:
        return "days", 1.0
    return ("hours", 24.0) if horizon > 3.0 / 24.0 else ("minutes", 1440.0)
