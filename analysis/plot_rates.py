"""The picture of a sustainable rate: how fast the queue grows at each request rate that was tried."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from analysis.plot_axes import plain
from analysis.plot_styles import DASHED, DOTTED, GREY, INK, legend_below, new_axes

if TYPE_CHECKING:
    from analysis.sustainable_rate import SustainableRate

LOOKS = {"stable": ("#009E73", "o"), "backlogged": ("#E69F00", "s"), "overloaded": ("#D55E00", "X")}
"""Colour and marker of each verdict (Okabe and Ito's palette)."""


def plot_rate(found: SustainableRate, ax: Axes | None = None) -> Axes:
    """Growth of the queue (requests/s) with its 95 % interval against the request rate (requests/s).

    Lines: the traffic as it is, and the rate at which all replicas are always busy. Returns the axes.
    """
    ax = ax or new_axes(6.4, 3.8)
    table = found.table()
    handles: list[Any] = []
    for verdict, rows in table.groupby("verdict", sort=False):
        colour, marker = LOOKS.get(str(verdict), (INK, "o"))
        spread = [
            (rows["growth_per_s"] - rows["growth_low"]).clip(lower=0.0).fillna(0.0),
            (rows["growth_high"] - rows["growth_per_s"]).clip(lower=0.0).fillna(0.0),
        ]
        handles.append(
            ax.errorbar(
                rows["rate_per_s"], rows["growth_per_s"], yerr=spread, ls="", marker=marker, ms=6, color=colour,
                capsize=2, lw=1.0, label=str(verdict),
            )
        )  # fmt: skip
    ax.axhline(0.0, color=GREY, lw=0.8)
    handles.append(ax.axvline(found.rate, color=INK, lw=1.0, ls=DASHED, label="the traffic as it is"))
    if math.isfinite(found.bound):
        handles.append(ax.axvline(found.bound, color=GREY, lw=1.0, ls=DOTTED, label="all replicas busy"))
    ax.set_xlabel("request rate (requests/s)")
    ax.set_ylabel("growth of the queue (requests/s)")
    plain(ax)
    legend_below(ax, handles)
    return ax
