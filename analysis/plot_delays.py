"""Pictures of detection delays: by layer and failure mode, against false alarms and cost, against traffic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.plot_styles import DASHED, GREY, INK, LINES, PALE_INK, legend_below, new_figure
from scenarios.units import format_duration, format_money

if TYPE_CHECKING:
    from analysis.detection_delay import DetectionDelays
    from analysis.operating_curves import OperatingCurve
    from analysis.traffic_delay import TrafficDelays

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#661100")
"""Okabe and Ito's palette without yellow; each has a marker of its own as well."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_TIMES = np.array(
    [1 / 86_400, 10 / 86_400, 1 / 1440, 10 / 1440, 1 / 24, 6 / 24, 1.0, 7.0, 30.0, 365.0, 3650.0]
)
"""Days at which an axis of durations may have a tick."""
SEEN = 0.9
"""A mean delay of fewer of the incidents than this is drawn hollow."""


# ---------------------------------------------------------------- layers


def plot_delays(found: DetectionDelays) -> Figure:
    """Median and 90 % delay of each layer and failure mode; delay and false alarms of each layer against its cost."""
    table = found.table()
    figure = new_figure(11.0, max(5.0, 0.28 * len(table) + 1.4))
    grid = figure.add_gridspec(2, 2, width_ratios=[1.15, 1.0])
    plot_by_layer(found, figure.add_subplot(grid[:, 0]))
    above = figure.add_subplot(grid[0, 1])
    below = figure.add_subplot(grid[1, 1], sharex=above)
    plot_delay_against_cost(found, above)
    plot_false_alarms_against_cost(found, below)
    above.set_xlabel("")
    return figure


def _money_scale(ax: Axes, costs: pd.Series, currency: str) -> None:
    """A log axis of money where all of it is more than nothing, for layers differ by orders of magnitude."""
    if costs.min() > 0.0:
        ax.set_xscale("log")
        ax.set_xlim(costs.min() / 2.0, costs.max() * 2.0)
        ax.xaxis.set_minor_locator(NullLocator())
    _cost_label(ax, currency)


def plot_by_layer(found: DetectionDelays, ax: Axes) -> Axes:
    """A row a layer and failure mode: a mark at the median, a line on to the 90 % quantile, 'blind' where it is."""
    table = found.table()
    colour = _colours(found.layers)
    known = table[["median_days", "p90_days"]].to_numpy().ravel()
    known = known[known > 0.0]
    ax.set_xscale("log")
    low, high = (known.min() / 2.0, known.max() * 2.0) if len(known) else (1e-2, 1e2)
    ax.set_xlim(low, high)
    for place, row in enumerate(table.to_dict("records")):
        median, late = row["median_days"], row["p90_days"]
        if np.isnan(median):
            text = "blind" if row["blind"] else "not half of them" if row["incidents"] else "no incident"
            ax.text(low * 1.1, place, text, va="center", fontsize=7.5, color=PALE_INK, style="italic")
            continue
        own, marker = colour[row["layer"]], MARKERS[found.layers.index(row["layer"]) % 8]
        ax.plot([median], [place], ms=5.5, ls="", color=own, marker=marker)
        # Fewer than 90 % were detected: the line runs off the picture.
        ax.plot([median, high if np.isnan(late) else late], [place, place], lw=1.4, color=own)
    ax.set_yticks(range(len(table)), [f"{row.layer}: {row.failure}" for row in table.itertuples()])
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlabel("time from onset to detection: median, line to 90 % (log scale)")
    _duration_ticks(ax.xaxis, low, high)
    _plain(ax)
    ax.set_title(found.scenario.title, fontsize=10, loc="left", parse_math=False)
    return ax


def plot_delay_against_cost(found: DetectionDelays, ax: Axes) -> Axes:
    """Mean delay of the detected incidents of all failure modes that a layer can see, against its cost."""
    everything = [failure.name for failure in found.scenario.failures]
    costs = found.costs().set_index("layer")
    colour = _colours(found.layers)
    for number, layer in enumerate(found.layers):
        delay = found.runs.delays(layer, everything)
        if np.isnan(delay["mean_detected_days"]):
            continue
        seen = delay["undetected_share"] <= 1.0 - SEEN
        ax.errorbar(
            costs.loc[[layer], "cost_per_month"].to_numpy(), [delay["mean_detected_days"]],
            xerr=_bars(costs.loc[[layer]], "cost_per_month", "cost_low", "cost_high"),
            yerr=_bars(pd.DataFrame([delay]), "mean_detected_days", "mean_low", "mean_high"),
            marker=MARKERS[number % 8], ms=5.5, color=colour[layer], mfc=colour[layer] if seen else "white",
            capsize=2, lw=1.0,
        )  # fmt: skip
    ax.set_yscale("log")
    _duration_axis(ax.yaxis)
    ax.set_ylabel("mean delay of the detected")
    _money_scale(ax, costs.loc[list(found.layers), "cost_per_month"], found.scenario.currency)
    _plain(ax)
    return ax


def plot_false_alarms_against_cost(found: DetectionDelays, ax: Axes) -> Axes:
    """False alarms in 30 days of each layer, with their interval, against its cost."""
    costs = found.costs()
    costs = costs[costs["layer"].isin(found.layers)]
    colour = _colours(found.layers)
    handles = []
    for number, layer in enumerate(found.layers):
        row = costs[costs["layer"] == layer]
        handles.append(
            ax.errorbar(
                row["cost_per_month"], row["false_alarms_per_month"],
                xerr=_bars(row, "cost_per_month", "cost_low", "cost_high"),
                yerr=_bars(row, "false_alarms_per_month", "false_low", "false_high"),
                marker=MARKERS[number % 8], ms=5.5, color=colour[layer], ls="", capsize=2, lw=1.0, label=layer,
            )
        )  # fmt: skip
    ax.set_ylabel("false alarms in 30 days")
    _money_scale(ax, costs["cost_per_month"], found.scenario.currency)
    _plain(ax)
    legend_below(ax, handles)
    return ax


# ---------------------------------------------------------------- operating curve


def plot_operating_curve(found: OperatingCurve) -> Figure:
    """Delay against false alarms, and both against cost; one line for each cadence and number of rows."""
    figure = new_figure(12.0, 4.2)
    axes = figure.subplots(1, 3)
    table = found.table()
    floor = _smallest_rate(table)
    table = table.assign(shown_rate=np.maximum(table["false_alarms_per_month"], floor))
    currency = found.scenario.currency
    panels: tuple[tuple[Axes, str, str], ...] = (
        (axes[0], "shown_rate", "mean_detected_days"),
        (axes[1], "cost_per_month", "mean_detected_days"),
        (axes[2], "cost_per_month", "shown_rate"),
    )
    for ax, across, up in panels:
        handles = _lines(ax, table, across, up)
        for axis, name, scale in ((ax.xaxis, across, ax.set_xscale), (ax.yaxis, up, ax.set_yscale)):
            if name != "cost_per_month":
                scale("log")
            if name == "mean_detected_days":
                axis.set_label_text("mean delay of the detected incidents")
                _duration_axis(axis)
            elif name == "shown_rate":
                axis.set_label_text("false alarms in 30 days" + (" (at most: v)" if floor else ""))
            else:
                _cost_label(ax, currency)
        _plain(ax)
    legend_below(axes[1], handles)
    axes[0].set_title(f"{found.monitor}, by {found.knob}", fontsize=10, loc="left", parse_math=False)
    return figure


def _lines(ax: Axes, table: pd.DataFrame, across: str, up: str) -> list[Any]:
    """A line for each cadence and rows over the thresholds; hollow: a delay of a part of the incidents only."""
    handles = []
    keys = table[["cadence_days", "rows"]].fillna(-1.0).drop_duplicates().itertuples(index=False)
    several = table["rows"].nunique(dropna=False) > 1
    for number, (cadence, size) in enumerate(keys):
        own = (table["cadence_days"] == cadence) & (table["rows"].fillna(-1.0) == size)
        line = table[own].sort_values("threshold")
        name = f"every {format_duration(cadence)}" + (f", {size:.0f} rows" if several and size >= 0 else "")
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        (handle,) = ax.plot(
            line[across], line[up], lw=1.2, ls=LINES[number % len(LINES)], marker=marker, ms=5, color=colour, label=name
        )  # fmt: skip
        handles.append(handle)
        few = line[line["undetected_share"] > 1.0 - SEEN]
        ax.plot(few[across], few[up], ls="", marker=marker, ms=5, color=colour, mfc="white", zorder=3)
        none = line[line["false_alarms"] == 0]
        if "shown_rate" in (across, up):
            ax.plot(none[across], none[up], ls="", marker="v", ms=9, color=colour, mfc="none", zorder=3)
    return handles


def _smallest_rate(table: pd.DataFrame) -> float:
    """Where a setting without a false alarm is drawn on a log scale: the upper bound of its interval; 0: not needed."""
    none = table[table["false_alarms"] == 0]
    return float(none["false_high"].max()) if len(none) else 0.0


# ---------------------------------------------------------------- traffic


def plot_traffic(found: TrafficDelays) -> Figure:
    """Delay against requests per day, both on log scales: simulated, and the time in which a block comes."""
    figure = new_figure(7.2, 4.6)
    ax = figure.subplots()
    table = found.table()
    handles: list[Any] = []
    for number, (rule, rows) in enumerate(table.groupby("rule", sort=False)):
        colour = COLOURS[number]
        size = int(rows["samples"].iloc[0])
        rows = rows.sort_values("requests_per_day")
        handles += ax.plot(
            rows["requests_per_day"], rows["collected_days"], lw=1.0, ls=DASHED, color=GREY if number else INK,
            label=f"{size:,} samples collected ({rule})",
        )  # fmt: skip
        for moment, fill, words in (("after_a_look", colour, "after a look"), ("random", "white", "random")):
            bars = _bars(rows, f"{moment}_days", f"{moment}_low", f"{moment}_high")
            handles.append(
                ax.errorbar(
                    rows["requests_per_day"], rows[f"{moment}_days"], yerr=bars, ls="", marker=MARKERS[number],
                    ms=5.5, color=colour, mfc=fill, capsize=2, lw=1.0, label=f"simulated, {size:,}, onset {words}",
                )
            )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    _duration_axis(ax.yaxis)
    ax.set_xlabel("requests per day (log scale)")
    ax.set_ylabel("time from drop to detection")
    ax.set_title(f"A drop of accuracy from {found.p0:g} to {found.p1:g}", fontsize=10, loc="left")
    _plain(ax)
    legend_below(ax, handles)
    return figure


# ---------------------------------------------------------------- shared


def _bars(rows: pd.DataFrame, value: str, low: str, high: str) -> Any:
    """Error bars (2, rows); none where there is no interval, and none below 0."""
    middle = rows[value].to_numpy(dtype=np.float64)
    bounds = (np.maximum(rows[low].to_numpy(dtype=np.float64), 0.0), rows[high].to_numpy(dtype=np.float64))
    return np.maximum(np.nan_to_num(np.vstack([middle - bounds[0], bounds[1] - middle])), 0.0)


def _colours(layers: Sequence[str]) -> dict[str, str]:
    return {layer: COLOURS[number % len(COLOURS)] for number, layer in enumerate(layers)}


def _duration_axis(axis: Axis) -> None:
    low, high = axis.get_view_interval()
    _duration_ticks(axis, float(low), float(high))


def _duration_ticks(axis: Axis, low: float, high: float) -> None:
    """Ticks at round durations of a log axis of days, written as people do; its ends where there are too few."""
    inside = _TIMES[(low <= _TIMES) & (high >= _TIMES)]
    axis.set_major_locator(FixedLocator((inside if len(inside) > 1 else np.geomspace(low, high, 3)).tolist()))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda days, _: format_duration(days)))


def _cost_label(ax: Axes, currency: str) -> None:
    ax.set_xlabel(f"cost of monitoring ({currency} in 30 days)")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda amount, _: format_money(amount, currency)))


def _plain(ax: Axes) -> None:
    ax.tick_params(labelsize=8)
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set_fontsize(9)
    ax.spines[["top", "right"]].set_visible(False)
