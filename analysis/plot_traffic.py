"""The picture of detection delays against traffic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from analysis.plot_axes import LOG, duration_axis, look_of, plain
from analysis.plot_delays import bars
from analysis.plot_styles import DASHED, GREY, INK, legend_below, new_figure

if TYPE_CHECKING:
    from analysis.traffic_delay import TrafficDelays


def plot_traffic(found: TrafficDelays) -> Figure:
    """Delay against requests per day, both on log scales: simulated, and the time in which a block comes."""
    figure = new_figure(7.2, 4.6)
    ax = figure.subplots()
    table = found.table()
    handles: list[Any] = []
    for number, (rule, rows) in enumerate(table.groupby("rule", sort=False)):
        colour, marker = look_of(number)
        size = int(rows["samples"].iloc[0])
        rows = rows.sort_values("requests_per_day")
        handles += ax.plot(
            rows["requests_per_day"], rows["collected_days"], lw=1.0, ls=DASHED, color=GREY if number else INK,
            label=f"{size:,} samples collected ({rule})",
        )  # fmt: skip
        for moment, fill, words in (("after_a_look", colour, "after a look"), ("random", "white", "random")):
            handles.append(
                ax.errorbar(
                    rows["requests_per_day"], rows[f"{moment}_days"],
                    yerr=bars(rows, f"{moment}_days", f"{moment}_low", f"{moment}_high"),
                    ls="", marker=marker, ms=5.5, color=colour, mfc=fill, capsize=2, lw=1.0,
                    label=f"simulated, {size:,}, onset {words}",
                )
            )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    duration_axis(ax.yaxis, "time from drop to detection")
    ax.set_xlabel(f"requests per day{LOG}")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:,.10g}"))
    ax.set_title(f"A drop of accuracy from {found.p0:g} to {found.p1:g}", fontsize=10, loc="left")
    plain(ax)
    legend_below(ax, handles)
    return figure
