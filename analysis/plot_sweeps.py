"""Pictures of sweeps: which policy wins where, what it costs, and which factors drive it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from analysis.designs import Factor, short_value
from analysis.plot_styles import INK, Array, mark_of, money_ticks, new_axes, new_figure, policy_style
from analysis.report import whole_figure
from analysis.sweep_effects import DECISION, effects
from analysis.sweep_tables import NO_WINNER
from scenarios.units import format_money

if TYPE_CHECKING:
    from analysis.sweep import Sweep

MOST_LEVELS = 16
"""A factor with more levels than this is shown by its numbers, as points."""
MOST_PANELS = 9
FOUND_MARKS = 400
"""Points and cells up to which each has the mark of its policy."""


def plot_sweep(sweep: Sweep, ax: Axes | None = None) -> Axes:
    """The regime map of the two factors that matter most for the decision; of a single factor the costs along it."""
    chosen = leading_factors(sweep)
    if len(chosen) < 2:
        return plot_costs_along(sweep, chosen[0] if chosen else sweep.factors[0], ax)
    return plot_regimes(sweep, chosen[0], chosen[1], ax=ax)


def sweep_figures(sweep: Sweep) -> dict[str, Figure]:
    """The pictures of the report by name."""
    chosen = leading_factors(sweep)
    figures: dict[str, Figure] = {}
    if len(effects(sweep)):
        figures["effects"] = whole_figure(plot_effects(sweep))
    if len(chosen) == 1:
        figures["costs"] = whole_figure(plot_costs_along(sweep, chosen[0]))
    elif chosen:
        figures["regimes"] = whole_figure(plot_regimes(sweep, chosen[0], chosen[1]))
        figures["cost"] = whole_figure(plot_lowest_cost(sweep, chosen[0], chosen[1]))
        if len(chosen) > 2 and len(chosen[2].levels) <= MOST_PANELS:
            figures["regimes_by_factor"] = plot_regime_panels(sweep, *chosen[:3])
    return figures


def leading_factors(sweep: Sweep) -> list[Factor]:
    """Factors with more than one level, those first that take the largest share of the decision's variance."""
    table = effects(sweep)
    response = DECISION if DECISION in set(table["response"]) else "lowest cost"
    shares = table[table["response"] == response].set_index("term")["share"]
    paired = {f.name: " + ".join(g.name for g in b.factors) for b in sweep.design.blocks for f in b.factors}
    varied = [factor for factor in sweep.factors if len(factor.levels) > 1]
    first_of_pair = {f.name for b in sweep.design.blocks if b.kind == "pair" for f in b.factors[1:]}

    def share(factor: Factor) -> float:
        return float(shares.get(factor.name, shares.get(paired[factor.name], 0.0)))

    return sorted((f for f in varied if f.name not in first_of_pair), key=lambda factor: -share(factor))


def plot_regimes(
    sweep: Sweep, across: Factor, up: Factor, *, where: pd.Series[bool] | None = None, ax: Axes | None = None
) -> Axes:
    """Which policy is cheapest at each value of two factors, over all values of the others.

    A cell has the colour and mark of the policy with the least mean cost over its variants; it is pale where that
    one is not certainly the cheapest in all of them. Factors with many values are shown as points, one a variant.
    where: which rows of `sweep.winners()` count, all when None. Returns the axes.
    """
    ax = ax or new_axes(7.0, 5.2)
    cells = _cells(sweep, across, up, where)
    styles = policy_style(sweep.policies)
    gridded = _is_listed(across) and _is_listed(up)
    x, y = _place(ax, "x", across, cells[across.name]), _place(ax, "y", up, cells[up.name])
    size = 9.0 if len(cells) <= FOUND_MARKS else 3.5
    for name in sweep.candidates:
        for certain in (True, False):
            chosen = ((cells["best"] == name) & (cells["certain"] == certain)).to_numpy()
            if not chosen.any():
                continue
            style = styles[name]
            if gridded:
                _tiles(ax, x[chosen], y[chosen], style.colour, 0.85 if certain else 0.22)
            mark = mark_of(style) | (
                {"ms": size} if not gridded else {"color": INK, "mec": INK, "ms": size * 0.7}
            )
            ax.plot(x[chosen], y[chosen], **mark, alpha=1.0 if certain else 0.35, zorder=3)
    _name_axes(ax, across, up)
    ax.set_title(f"{sweep.title}: which policy is cheapest", fontsize=11, parse_math=False)
    shown = [name for name in sweep.candidates if (cells["best"] == name).any()]
    handles = [Line2D([], [], label=name, **mark_of(styles[name])) for name in shown]
    if not cells["certain"].all():
        handles.append(Line2D([], [], label=f"pale: {NO_WINNER}", ls="", marker="s", color="#CCCCCC"))
    _legend(ax, handles)
    return ax


def plot_regime_panels(sweep: Sweep, across: Factor, up: Factor, by: Factor) -> Figure:
    """The regime map at each level of a third factor, side by side."""
    levels = list(by.levels)
    columns = min(len(levels), 3)
    rows = math.ceil(len(levels) / columns)
    figure = new_figure(4.6 * columns, 4.2 * rows)
    panels = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    winners = sweep.winners()
    for level, panel in zip(levels, panels, strict=False):
        shown = by.shown[by.values.index(level)]
        plot_regimes(sweep, across, up, where=winners[by.name] == shown, ax=panel)
        panel.set_title(f"{by.name} = {level}", fontsize=10, parse_math=False)
    for panel in panels[len(levels) :]:
        panel.set_axis_off()
    return figure


def plot_lowest_cost(sweep: Sweep, across: Factor, up: Factor, ax: Axes | None = None) -> Axes:
    """Heat map of the annual cost of the cheapest policy over two factors, mean over the others."""
    ax = ax or new_axes(7.4, 5.2)
    cells = _cells(sweep, across, up, None)
    x, y = _place(ax, "x", across, cells[across.name]), _place(ax, "y", up, cells[up.name])
    cost = cells["annual_cost"].to_numpy()
    wide = cost.min() > 0.0 and cost.max() > 30.0 * cost.min()
    norm = LogNorm(cost.min(), cost.max()) if wide else Normalize(cost.min(), cost.max())
    if _is_listed(across) and _is_listed(up):
        grid = np.full((len(up.levels), len(across.levels)), np.nan)
        grid[y.astype(int), x.astype(int)] = cost
        edges = [np.arange(len(factor.levels) + 1) - 0.5 for factor in (across, up)]
        picture: Any = ax.pcolormesh(
            *edges, grid, cmap="cividis", norm=norm, edgecolors="white", linewidth=0.5
        )
        if grid.size <= 64:
            for column, row, value in zip(x, y, cost, strict=True):
                dark = float(norm(value)) < 0.6
                ax.text(
                    column, row, format_money(value, sweep.currency), ha="center", va="center", fontsize=7.5,
                    color="white" if dark else INK, parse_math=False,
                )  # fmt: skip
    else:
        picture = ax.scatter(x, y, c=cost, cmap="cividis", norm=norm, s=40 if len(x) <= FOUND_MARKS else 9)
    bar = whole_figure(ax).colorbar(picture, ax=ax)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: format_money(value, sweep.currency)))
    bar.ax.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    bar.set_label(f"annual cost of the cheapest policy ({sweep.currency})")
    _name_axes(ax, across, up)
    ax.set_title(sweep.title, fontsize=11, parse_math=False)
    return ax


def plot_costs_along(sweep: Sweep, along: Factor, ax: Axes | None = None) -> Axes:
    """Mean annual cost of each policy along one factor, with 95 % intervals, mean over other factors."""
    ax = ax or new_axes(7.4, 4.6)
    table = sweep.table()
    styles = policy_style(sweep.policies)
    for name in sweep.policies:
        rows = table[table["policy"] == name]
        rows = rows.groupby(along.name, sort=True)[["annual_cost", "ci_low", "ci_high"]].mean().reset_index()
        x = _place(ax, "x", along, rows[along.name])
        order = np.argsort(x)
        style = styles[name]
        cost = rows["annual_cost"].to_numpy()[order]
        half = 0.5 * (rows["ci_high"] - rows["ci_low"]).to_numpy()[order]
        mark = mark_of(style) | {"ls": style.line}
        ax.plot(x[order], cost, **mark, label=name)
        ax.fill_between(x[order], cost - half, cost + half, color=style.colour, alpha=0.18, lw=0)
    ax.set_xlabel(along.name)
    ax.set_ylabel(f"annual cost ({sweep.currency})")
    money_ticks(ax.yaxis, sweep.currency)
    ax.set_title(sweep.title, fontsize=11, parse_math=False)
    _legend(ax, ax.get_legend_handles_labels()[0])
    return ax


def plot_effects(sweep: Sweep, most: int = 8, ax: Axes | None = None) -> Axes:
    """Shares of the variance over variants that factors and pairs of factors take, for the decision and the cost."""
    table = effects(sweep)
    responses = [name for name in (DECISION, "lowest cost") if name in set(table["response"])]
    wide = table.pivot_table(index="term", columns="response", values="share", sort=False)[responses]
    wide = wide.loc[wide.max(axis=1).sort_values(ascending=False).index[:most]]
    ax = ax or new_axes(7.4, 0.5 * len(wide) + 1.6)
    height = 0.8 / len(responses)
    for place, (name, colour, hatch) in enumerate(
        zip(responses, ("#0072B2", "#E69F00"), ("", "///"), strict=False)
    ):
        rows = np.arange(len(wide)) + (place - 0.5 * (len(responses) - 1)) * height
        ax.barh(rows, wide[name], height=height, color=colour, hatch=hatch, edgecolor="white", label=name)
    ax.set_yticks(range(len(wide)), [str(term) for term in wide.index], fontsize=8.5)
    ax.invert_yaxis()
    ax.set_xlim(0.0, 1.0)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    ax.set_xlabel("share of the variance over variants")
    ax.set_title(f"{sweep.title}: what drives it", fontsize=11, parse_math=False)
    ax.legend(fontsize=8.5, frameon=False)
    return ax


def _cells(sweep: Sweep, across: Factor, up: Factor, where: pd.Series[bool] | None) -> pd.DataFrame:
    """For each pair of values: the policy of the least mean cost, and whether it is certain in all variants."""
    winners = sweep.winners() if where is None else sweep.winners()[where]
    table = sweep.table()
    table = table[table["policy"].isin(sweep.candidates) & table["variant"].isin(winners["variant"])]
    keys = [across.name, up.name]
    costs = (
        table.groupby([*keys, "policy"], sort=False)["annual_cost"].mean().unstack("policy")[sweep.candidates]
    )
    cells = pd.DataFrame({"best": costs.idxmin(axis=1), "annual_cost": costs.min(axis=1)}).reset_index()
    of_cell = winners.merge(cells[[*keys, "best"]], on=keys, suffixes=("", "_of_cell"))
    of_cell["agreed"] = of_cell["certain"] & (of_cell["best"] == of_cell["best_of_cell"])
    agreed = of_cell.groupby(keys, sort=False)["agreed"].all().rename("certain").reset_index()
    return cells.merge(agreed, on=keys)


def _is_listed(factor: Factor) -> bool:
    return factor.numbers is None or len(factor.levels) <= MOST_LEVELS


def _place(ax: Axes, which: str, factor: Factor, values: pd.Series[Any]) -> Array:
    """Places on an axis (x or y): the rank of a listed value with its text as the tick, else the number."""
    if not _is_listed(factor):
        numbers = values.to_numpy(dtype=np.float64)
        if numbers.min() > 0.0 and numbers.max() > 30.0 * numbers.min():
            ax.set(**{f"{which}scale": "log"})
        return np.asarray(numbers)
    texts = dict(zip(factor.shown, (short_value(value, 14) for value in factor.values), strict=True))
    order = list(texts) if factor.numbers is None else sorted(texts)
    ax.set(**{f"{which}ticks": range(len(order)), f"{which}ticklabels": [texts[value] for value in order]})
    ax.tick_params(labelsize=8.5)
    ranks = {value: float(rank) for rank, value in enumerate(order)}
    return np.array([ranks[value] for value in values])


def _tiles(ax: Axes, x: Array, y: Array, colour: str, alpha: float) -> None:
    tiles = [Rectangle((column - 0.5, row - 0.5), 1.0, 1.0) for column, row in zip(x, y, strict=True)]
    ax.add_collection(PatchCollection(tiles, facecolor=colour, alpha=alpha, edgecolor="white", linewidth=0.5))


def _name_axes(ax: Axes, across: Factor, up: Factor) -> None:
    for which, factor in (("x", across), ("y", up)):
        ax.set(**{f"{which}label": factor.name})
        if _is_listed(factor):
            ax.set(**{f"{which}lim": (-0.5, len(factor.levels) - 0.5)})


def _legend(ax: Axes, handles: Sequence[Any]) -> None:
    """Beside the axes, where it hides nothing."""
    ax.legend(
        handles=list(handles), loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8.5, frameon=False
    )
