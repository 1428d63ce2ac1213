"""Pictures of comparisons: what each policy costs, and who is cheaper than the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation

from analysis.plot_styles import (
    DOTTED,
    GREY,
    INK,
    Array,
    Style,
    counted,
    inches_of,
    legend_below,
    mark_of,
    money_ticks,
    new_axes,
    not_far,
    per_year,
    policy_style,
    text_share,
)
from analysis.statistics import mean_interval
from scenarios.units import DAYS_PER_YEAR, format_money

if TYPE_CHECKING:
    from scenarios.schema import Scenario

WHISKER: dict[str, Any] = {"ecolor": INK, "elinewidth": 1.3, "capsize": 3.5}


# Pale fills with dark hatches: a segment's category can be told in grey, and no fill is a policy's colour.
CATEGORIES: dict[str, tuple[str, str]] = {
    "staleness": ("#EE8866", ""),
    "incident": ("#FF9DA7", "++"),
    "retrain_compute": ("#77AADD", "////"),
    "validation": ("#EEDD88", "...."),
    "deployment": ("#44BB99", "\\\\\\\\"),
    "risk": ("#FFAABB", "xxxx"),
    "monitoring": ("#BBCC33", "----"),
    "monitoring_ingest": ("#99DDFF", "++++"),
    "monitoring_storage": ("#AAAA00", "oo"),
    "monitoring_query": ("#CCEEBB", "++//"),
    "monitoring_alert": ("#DDCCEE", ".."),
    "labelling": ("#DDDDDD", "||||"),
    "on_call": ("#BBBBBB", "**"),
    "review": ("#D0C8A8", "\\\\.."),
    "harm": ("#E8B0B0", "o."),
}
MORE_CATEGORIES = (("#FFFFFF", "//\\"), ("#EEEECC", "xx"), ("#CCFFFF", "OO"), ("#FFEEDD", "||"))


class Compared(Protocol):
    """What a picture needs of a comparison."""

    @property
    def scenario(self) -> Scenario:
        """Gives the currency, the horizon and the title."""

    @property
    def names(self) -> list[str]:
        """Policies in the order of display."""

    @property
    def runs(self) -> pd.DataFrame:
        """One row a policy and replication: policy, annual_cost, cost[<category>] over the horizon."""

    def differences(self) -> pd.DataFrame:
        """Columns policy, baseline, mean, ci_low, ci_high (money per year) and p_better."""


def plot_costs(comparison: Compared, ax: Axes | None = None) -> Axes:
    """Mean annual cost of each policy, stacked by category, with the 95 % interval of the total.

    The interval is Student's t over replications; a single one has none, nor have replications that all cost
    the same. A bar more than 5 times the median
    is broken, and its interval written. Categories without any cost are left out. Returns the axes.
    """
    names, currency = comparison.names, comparison.scenario.currency
    ax = ax or new_axes(8.0, 0.42 * len(names) + 1.6)
    parts = _annual_costs(comparison)
    runs = comparison.runs.groupby("policy", sort=False)["annual_cost"]
    totals = [mean_interval(runs.get_group(name)) for name in names]
    mean, half = np.array([t.mean for t in totals]), np.array([t.half_width for t in totals])
    half = np.full_like(half, math.nan) if _one_world(comparison) else half
    near = not_far(np.maximum(mean, 0.0))
    limit = 1.1 * max(float((mean + np.nan_to_num(half))[near].max()), 0.0) or 1.0
    bars = _stacked_bars(ax, parts)
    halo = WHISKER | {"ecolor": "white", "elinewidth": 3.3, "capthick": 3.3, "capsize": 4.5}
    for look, label in ((halo, "_halo"), (WHISKER, "95 % interval of the total")):
        whiskers = ax.errorbar(mean, range(len(names)), xerr=half, fmt="none", **look, zorder=4, label=label)
    texts = [
        per_year(m, currency) + ("" if n or math.isnan(h) else f" ± {format_money(h, currency)}")
        for m, h, n in zip(mean, half, near, strict=True)
    ]
    for row, text in enumerate(texts):
        end = max(mean[row] + np.nan_to_num(half[row]), float(parts.iloc[row].clip(lower=0.0).sum()))
        if not near[row]:
            end = limit
            _break_bar(ax, row, [bar.patches[row] for bar in bars], limit)
        ax.annotate(
            text, (end, row), (5, 0), textcoords="offset points", va="center", fontsize=8.5,
            annotation_clip=False, parse_math=False,
        )  # fmt: skip
    low = min(1.1 * float(parts.clip(upper=0.0).sum(axis=1)[near].min()), 0.0)
    if low < 0.0:
        ax.axvline(0.0, color=INK, lw=1.0, zorder=3)
    ax.set_xlim(low, low + (limit - low) / (1.0 - text_share(ax, texts)))
    _policy_rows(ax, names)
    ax.set_xlabel(f"mean annual cost ({currency} per year)")
    ax.set_title(_title(comparison), fontsize=11, parse_math=False)
    money_ticks(ax.xaxis, currency)
    shown = [*bars, whiskers] if np.isfinite(half).any() else bars
    legend_below(ax, shown)
    return ax


def plot_differences(comparison: Compared, ax: Axes | None = None) -> Axes:
    """Paired differences of annual cost against the baseline, with 95 % intervals, as a forest plot.

    Left of the zero line a policy is cheaper. What reaches more than 5 times as far as the median is an
    arrow at the edge, with its interval written. The right margin, about 1.8 inches beyond the axes, gives
    every difference and the probability of being better; where all replications cost the same, there is no
    such probability and no interval. Returns the axes.
    """
    table, currency = comparison.differences(), comparison.scenario.currency
    names = [str(name) for name in table["policy"]]
    ax = ax or new_axes(8.0, 0.38 * len(names) + 1.3)
    styles = policy_style([*comparison.names, *names])
    values = table[["mean", "ci_low", "ci_high"]].to_numpy(dtype=np.float64, copy=True)
    one_world = _one_world(comparison)
    if one_world:
        values[:, 1:] = math.nan
    limits = _difference_limits(values)
    ax.axvline(0.0, color=INK, lw=1.0, zorder=1, gid="zero")
    written = [_signed(mean, currency) for mean in values[:, 0]]
    reach = 0.075 * max((len(text) for text in (*written, "difference")), default=0)
    for row, name in enumerate(names):
        _draw_difference(ax, row, values[row], limits, styles[name], currency)
        chance = "" if one_world else _chance(float(table["p_better"].iloc[row]))
        _margin(ax, row, (written[row], chance), reach)
    _margin(ax, -0.75, ("difference", "" if one_world else "P(better)"), reach, GREY)
    ax.set_xlim(*limits)
    _policy_rows(ax, names, styles)
    baseline = str(table["baseline"].iloc[0]) if len(table) else "the baseline"
    ax.set_xlabel(f"cheaper ← → dearer than {baseline}, {currency} per year")
    ax.set_title(_title(comparison), fontsize=11, parse_math=False)
    money_ticks(ax.xaxis, currency)
    return ax


def _annual_costs(comparison: Compared) -> pd.DataFrame:
    """Mean annual cost, one row a policy and one column a category that costs anything."""
    columns = [column for column in comparison.runs.columns if column.startswith("cost[")]
    mean = comparison.runs.groupby("policy", sort=False)[columns].mean().loc[comparison.names]
    mean = mean * (DAYS_PER_YEAR / comparison.scenario.horizon)
    mean.columns = pd.Index([column[len("cost[") : -1] for column in columns])
    return mean.loc[:, (mean != 0.0).any()]


def _stacked_bars(ax: Axes, parts: pd.DataFrame) -> list[BarContainer]:
    """One container a category; what is below zero (gains) is stacked to the left."""
    rows = np.arange(len(parts))
    right, left = np.zeros(len(parts)), np.zeros(len(parts))
    bars, more = [], 0
    for category in parts.columns:
        width = parts[category].to_numpy(dtype=np.float64)
        if category in CATEGORIES:
            colour, hatch = CATEGORIES[category]
        else:
            colour, hatch = MORE_CATEGORIES[more % len(MORE_CATEGORIES)]
            more += 1
        bars.append(
            ax.barh(
                rows, width, left=np.where(width < 0.0, left, right), height=0.62, color=colour, hatch=hatch,
                edgecolor="#444444", linewidth=0.5, label=category.replace("_", " "), zorder=2,
            )
        )  # fmt: skip
        right += np.maximum(width, 0.0)
        left += np.minimum(width, 0.0)
    return bars


def _break_bar(ax: Axes, row: int, patches: Sequence[Artist], limit: float) -> None:
    """Cut the bar of a row at `limit`, and mark with a torn gap that it goes on."""
    for patch in patches:
        patch.set_clip_path(Rectangle((0.0, row - 0.5), limit, 1.0, transform=ax.transData))
    x = limit * (0.93 + 0.006 * np.array([-1, 1, -1, 1, -1]))
    y = row + np.linspace(-0.42, 0.42, 5)
    for width, colour in ((5.0, INK), (3.2, "white")):
        ax.plot(x, y, color=colour, lw=width, solid_capstyle="butt", solid_joinstyle="miter", zorder=3)


def _difference_limits(values: Array) -> tuple[float, float]:
    """Ends of the axis for (policies, 3) mean and interval; each side has a third of the other at least."""
    near = values[not_far(np.nanmax(np.abs(values), axis=1, initial=0.0))]
    low, high = float(np.nanmin(near, initial=0.0)), float(np.nanmax(near, initial=0.0))
    low, high = min(low, -high / 3), max(high, -low / 3)
    return 1.12 * low or -1.0, 1.12 * high or 1.0


def _draw_difference(
    ax: Axes, row: int, value: Array, limits: tuple[float, float], style: Style, currency: str
) -> None:
    """Mean and interval of one policy; an arrow and figures where either leaves the picture."""
    mean, low, high = value
    mark = mark_of(style)
    if not math.isnan(low):
        ax.errorbar(mean, row, xerr=[[mean - low], [high - mean]], fmt="none", **WHISKER, zorder=4)
    ax.plot(mean, row, **mark, zorder=3)
    text = f"{_signed(low, currency)} to {_signed(high, currency)}"
    if math.isnan(low):
        text = _signed(mean, currency)
    for edge, arrow, side in ((limits[0], "<", "left"), (limits[1], ">", "right")):
        if limits[0] <= np.nanmin(value) if side == "left" else np.nanmax(value) <= limits[1]:
            continue
        start = mean if limits[0] < mean < limits[1] else 0.0
        ax.plot([start, edge], [row, row], color=INK, lw=1.2, ls=DOTTED, zorder=2)
        ax.plot(edge, row, **mark | {"marker": arrow, "ms": 8, "fillstyle": "full"}, clip_on=False, zorder=4)
        ax.annotate(
            text, (edge, row), (8 if side == "left" else -8, 4), textcoords="offset points", fontsize=7.5,
            ha=side, va="bottom", parse_math=False, zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip


def _margin(ax: Axes, row: float, texts: tuple[str, str], reach: float, colour: str = INK) -> None:
    """Two texts at the right of a row, the first `reach` inches wide whatever the size of the axes."""
    for text, inches in zip(texts, (reach + 0.2, reach + 0.95), strict=True):
        if not text:
            continue
        beside = ax.get_yaxis_transform() + ScaledTranslation(inches, 0.0, inches_of(ax))
        ax.text(
            1.0, row, text, transform=beside, ha="right", va="center", fontsize=8.5, color=colour,
            parse_math=False,
        )  # fmt: skip


def _title(comparison: Compared) -> str:
    if _one_world(comparison):
        return f"{comparison.scenario.title}: one world, nothing left to chance"
    number = comparison.runs["replication"].nunique()
    return f"{comparison.scenario.title}, {counted(number, 'replication')}"


def _one_world(comparison: Compared) -> bool:
    """Whether several replications cost the same, as records do: such intervals say nothing about other worlds."""
    runs = comparison.runs[comparison.runs["policy"].isin(comparison.names)]
    costs = runs.groupby("policy")["annual_cost"]
    spread = (costs.max() - costs.min()).max()
    return runs["replication"].nunique() > 1 and bool(spread <= 1e-9 * runs["annual_cost"].abs().max())


def _chance(probability: float) -> str:
    if math.isnan(probability):
        return "n/a"
    return "> 0.99" if probability > 0.99 else "< 0.01" if probability < 0.01 else f"{probability:.2f}"


def _policy_rows(ax: Axes, names: Sequence[str], styles: dict[str, Style] | None = None) -> None:
    """Names from the top down, each with the mark of its policy."""
    styles = styles or policy_style(names)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0, pad=14, labelsize=9)
    ax.tick_params(axis="x", labelsize=8.5)
    beside = ax.get_yaxis_transform() + ScaledTranslation(-8 / 72, 0.0, inches_of(ax))
    for row, name in enumerate(names):
        ax.plot(0.0, row, **mark_of(styles[name]), transform=beside, clip_on=False, gid="policy")
    ax.grid(axis="x", color="#DDDDDD", lw=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _signed(amount: float, currency: str) -> str:
    return ("+" if amount > 0.0 else "") + format_money(amount, currency)
