"""Pictures of sensitivity: the tornado, indices, the region in which a policy loses, the value of information."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from analysis.plot_panels import root_figure
from analysis.plot_styles import GREY, INK, PALE, money_ticks, new_axes, new_figure

if TYPE_CHECKING:
    from analysis.scenario_discovery import Discovery
    from analysis.sensitivity import Sensitivity

LOW, HIGH, LOST, WON = "#56B4E9", "#E69F00", "#D55E00", "#009E73"


def plot_sensitivity(found: Sensitivity) -> dict[str, Figure]:
    """One figure for each method that was asked for."""
    first, second = found.given.names
    currency = found.given.scenario.currency
    figures = {}
    if found.tornado is not None:
        figures["tornado"] = plot_tornado(found.tornado, first, second, currency)
    for name, table in (("morris", found.morris), ("sobol", found.sobol)):
        if table is not None:
            figures[name] = plot_indices(table)
    if found.discovery is not None and found.discovery.box is not None:
        figures["discovery"] = plot_discovery(found.discovery, first)
    if found.worths is not None:
        rows = [worth.row() for worth in [*found.worths, *(found.monitors or ())]]
        figures["value"] = root_figure(plot_worths(pd.DataFrame(rows), currency))
    return figures


def plot_tornado(table: pd.DataFrame, first: str, second: str, currency: str) -> Figure:
    """Bars of cost (left) and of the difference of the policies (right) at both ends of each input, with intervals.

    table: from `tornado`. Bars are drawn from the value between the two ends; the winner flips where a bar on the
    right crosses the line at 0. Returns the figure.
    """
    fig = new_figure(10.0, 0.34 * len(table) + 1.5)
    left, right = fig.subplots(1, 2, sharey=True)
    places = np.arange(len(table))[::-1]
    for ax, column, error in ((left, "change", "change"), (right, "difference", "difference")):
        low, high = table[f"{column}_low"].to_numpy(), table[f"{column}_high"].to_numpy()
        middle = np.zeros(len(table)) if column == "change" else 0.5 * (low + high)
        for values, colour, hatch, side in ((low, LOW, "//", "low"), (high, HIGH, "", "high")):
            half = (table[f"{error}_{side}_ci_high"] - table[f"{error}_{side}"]).to_numpy()
            ax.barh(
                places,
                values - middle,
                left=middle,
                height=0.62,
                color=colour,
                hatch=hatch,
                ec="white",
                label=side,
            )
            ax.errorbar(values, places, xerr=np.nan_to_num(half), ls="", color=INK, elinewidth=0.9, capsize=2)
        ax.axvline(0.0, color=INK, lw=0.9)
        money_ticks(ax.xaxis, currency)
        ax.tick_params(labelsize=8.5)
        ax.spines[["top", "right"]].set_visible(False)
    left.set_yticks(places, table["input"])
    left.set_xlabel(f"change of the yearly cost of {first}", parse_math=False)
    right.set_xlabel(f"yearly cost of {first} less {second}", parse_math=False)
    left.legend(title="input at its", fontsize=8, title_fontsize=8, frameon=False)
    return fig


def plot_indices(table: pd.DataFrame) -> Figure:
    """One panel a response: mu_star of Morris, or first-order and total indices of Sobol, with half-widths."""
    bars = (
        (("S1", "S1_half_width", LOW), ("ST", "ST_half_width", HIGH))
        if "S1" in table
        else (("mu_star", "half_width", HIGH),)
    )
    responses = list(dict.fromkeys(table["response"]))
    inputs = list(dict.fromkeys(table["input"]))
    fig = new_figure(3.2 * len(responses) + 1.8, 0.34 * len(inputs) + 1.4)
    axes = fig.subplots(1, len(responses), sharey=True, squeeze=False)[0]
    places = np.arange(len(inputs))[::-1]
    height = 0.7 / len(bars)
    for ax, response in zip(axes, responses, strict=True):
        rows = table[table["response"] == response]
        for number, (name, half, colour) in enumerate(bars):
            shift = (0.5 * (len(bars) - 1) - number) * height
            ax.barh(
                places + shift, np.nan_to_num(rows[name]), xerr=np.nan_to_num(rows[half]), height=height, color=colour,
                error_kw={"elinewidth": 0.8, "capsize": 1.5}, label=name,
            )  # fmt: skip
        ax.set_title(response, fontsize=10)
        ax.tick_params(labelsize=8.5)
        ax.spines[["top", "right"]].set_visible(False)
        ax.ticklabel_format(axis="x", scilimits=(-3, 4))
    axes[0].set_yticks(places, inputs)
    axes[0].legend(fontsize=8, frameon=False)
    return fig


def plot_discovery(found: Discovery, policy: str) -> Figure:
    """The points over the two inputs that restrict the box most, losses filled; the box; and its trade-off.

    On the right: coverage against density of all boxes on the way, the chosen one starred.
    """
    fig = new_figure(9.0, 3.8)
    left, right = fig.subplots(1, 2, width_ratios=(3, 2))
    limits = found.table().sort_values("p_value", kind="stable")["input"].tolist()
    paths = [one.path for one in found.inputs]
    shown = [*limits, *(path for path in paths if path not in limits)][:2]
    columns = [paths.index(path) for path in shown]
    x = found.points[:, columns[0]]
    y = found.points[:, columns[-1]] if len(columns) > 1 else np.zeros(len(x))
    left.plot(
        x[found.lost], y[found.lost], ls="", marker="X", ms=5, color=LOST, mec="white", mew=0.4, label="loses"
    )
    left.plot(x[~found.lost], y[~found.lost], ls="", marker="o", ms=4, mfc="none", color=WON, label="wins")
    _draw_box(left, found, columns)
    left.set_xlabel(shown[0])
    left.set_ylabel(shown[1] if len(shown) > 1 else "")
    left.xaxis.set_major_locator(MaxNLocator(5))
    left.set_title(policy, fontsize=10, parse_math=False)
    left.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    right.plot(
        [b.coverage for b in found.path], [b.density for b in found.path], marker="o", ms=3.5, color=PALE
    )
    if found.box is not None:
        right.plot([found.box.coverage], [found.box.density], ls="", marker="*", ms=11, color=INK)
    right.set_xlabel("coverage (share of the losses)")
    right.set_ylabel("density (share of losses inside)")
    for ax in (left, right):
        ax.tick_params(labelsize=8.5)
        ax.spines[["top", "right"]].set_visible(False)
    return fig


def _draw_box(ax: Axes, found: Discovery, columns: list[int]) -> None:
    if found.box is None:
        return
    bounds = [ax.get_xlim(), ax.get_ylim()]
    corner, size = [], []
    for place, column in enumerate(columns if len(columns) > 1 else [columns[0], -1]):
        low, high = bounds[place]
        if column >= 0:
            low = max(low, float(found.box.low[column]))
            high = min(high, float(found.box.high[column]))
        corner.append(low)
        size.append(high - low)
    ax.add_patch(Rectangle((corner[0], corner[1]), size[0], size[1], fill=False, ec=INK, lw=1.3))


def plot_worths(table: pd.DataFrame, currency: str, ax: Axes | None = None) -> Axes:
    """Value of each piece of information a year, with 95 % intervals."""
    ax = ax or new_axes(7.0, 0.32 * len(table) + 1.2)
    places = np.arange(len(table))[::-1]
    value = table["value"].to_numpy(dtype=np.float64)
    bars = np.vstack([value - table["ci_low"], table["ci_high"] - value]).astype(np.float64)
    ax.barh(places, value, height=0.6, color=LOW)
    ax.errorbar(value, places, xerr=np.nan_to_num(bars), ls="", color=INK, elinewidth=0.9, capsize=2)
    ax.axvline(0.0, color=GREY, lw=0.9)
    ax.set_yticks(places, table["information"])
    ax.set_xlabel("value of knowing or having it, a year")
    money_ticks(ax.xaxis, currency)
    ax.tick_params(labelsize=8.5)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
