"""Pictures of an optimisation: the objective over each variable, the Pareto set, and how far a requirement holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from analysis.inputs import Input
from analysis.plot_styles import DASHED, GREY, INK, PALE, money_ticks, new_axes, new_figure
from analysis.responses import Response

if TYPE_CHECKING:
    from analysis.optimise import Optimum, Played
    from analysis.responses import Objective
    from analysis.sustainable import Sustained

MARKS = {
    "holds": ("#009E73", "o", "full"),
    "fails": ("#D55E00", "X", "full"),
    "undecided": (GREY, "D", "none"),
}


def plot_optimum(found: Optimum, fig: Figure | None = None) -> Figure:
    """One objective: its estimate over each variable. Two or more: the first against each of the others.

    Grey: candidates of the search; black: what is reported, with 95 % intervals. Returns the figure.
    """
    several = len(found.objectives) > 1
    panels = len(found.objectives) - 1 if several else len(found.space.variables)
    fig = fig or new_figure(max(4.2 * panels, 5.0), 3.6)
    axes = fig.subplots(1, panels, squeeze=False)[0]
    for number, ax in enumerate(axes):
        if several:
            _front_panel(ax, found, found.objectives[0], found.objectives[number + 1])
        else:
            _variable_panel(ax, found, number)
        ax.tick_params(labelsize=8.5)
        ax.spines[["top", "right"]].set_visible(False)
    return fig


def _variable_panel(ax: Axes, found: Optimum, number: int) -> None:
    """The objective over one variable."""
    variable, objective = found.space.variables[number], found.objectives[0]
    values = found.trials[str(objective)].to_numpy(dtype=np.float64)
    interval = found.best.interval(objective)
    if isinstance(variable, Input):
        places = [variable.field.end(value) for value in found.trials[variable.path]]
        here = found.best.setting[variable.path]
        if variable.law == "log":
            ax.set_xscale("log")
        unit = variable.field.quantity.inner if variable.field.quantity and not variable.field.whole else ""
        ax.set_xlabel(f"{variable.path} ({unit})" if unit else variable.path)
    else:
        names = [str(option) for option in variable.options]
        places = [float(names.index(str(value))) for value in found.trials[variable.path]]
        here = float(names.index(str(found.best.setting[variable.path])))
        ax.set_xticks(range(len(names)), names)
        ax.set_xlabel(variable.path)
    ax.plot(places, values, ls="", marker="o", ms=3.5, color=PALE, gid="trials")
    _cross(ax, here, interval.mean, (0.0, 0.0), (interval.mean - interval.low, interval.high - interval.mean))
    low, high = np.nanpercentile(values, [0.0, 75.0])
    if high > low and objective.direction == "min":  # the poor settings would hide the others
        ax.set_ylim(low - 0.05 * (high - low), high + 0.5 * (high - low))
    ax.set_ylabel(str(objective.response) if number == 0 else "")
    _money(ax.yaxis, objective.response, found)


def _front_panel(ax: Axes, found: Optimum, first: Objective, second: Objective) -> None:
    """Two objectives against each other."""
    ax.plot(
        found.trials[str(first)],
        found.trials[str(second)],
        ls="",
        marker="o",
        ms=3.5,
        color=PALE,
        gid="trials",
    )
    for played in found.pareto:
        x, y = played.interval(first), played.interval(second)
        _cross(ax, x.mean, y.mean, (x.mean - x.low, x.high - x.mean), (y.mean - y.low, y.high - y.mean))
    if found.baseline is not None:
        base: Played = found.baseline
        ax.plot(
            base.interval(first).mean, base.interval(second).mean, marker="s", ms=7, color=INK, mfc="none",
            ls="", label=f"baseline: {found.baseline_name}",
        )  # fmt: skip
        ax.legend(fontsize=8.5, frameon=False)
    ax.set_xlabel(str(first))
    ax.set_ylabel(str(second))
    _money(ax.xaxis, first.response, found)
    _money(ax.yaxis, second.response, found)


def plot_sustained(found: Sustained, ax: Axes | None = None) -> Axes:
    """The response over the input with its intervals and the limit: where it holds, fails or is undecided."""
    ax = ax or new_axes(6.4, 3.6)
    for answer, (colour, marker, fill) in MARKS.items():
        rows: pd.DataFrame = found.points[found.points["answer"] == answer]
        if rows.empty:
            continue
        middle = rows["measured"].to_numpy()
        bars = np.nan_to_num(
            np.vstack([middle - rows["ci_low"], rows["ci_high"] - middle]), nan=0.0, posinf=0.0, neginf=0.0
        )
        ax.errorbar(
            rows["value"], middle, yerr=np.maximum(bars, 0.0), ls="", marker=marker, fillstyle=fill, ms=6, color=colour,
            label=answer, capsize=2,
        )  # fmt: skip
    ax.axhline(found.requirement.limit, color=INK, lw=0.9, ls=DASHED)
    if found.given.law == "log":
        ax.set_xscale("log")
    unit = found.given.field.quantity.inner if found.given.field.quantity else ""
    ax.set_xlabel(f"{found.given.path} ({unit})" if unit else found.given.path)
    ax.set_ylabel(str(found.requirement.response))
    ax.set_title(f"{found.policy}: {found.requirement}", fontsize=10, loc="left", parse_math=False)
    if "cost" in found.requirement.response.column:
        money_ticks(ax.yaxis, found.scenario.currency)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8.5, frameon=False)
    return ax


def _cross(ax: Axes, x: float, y: float, dx: tuple[float, float], dy: tuple[float, float]) -> None:
    """A point with intervals; those that are not known are left out."""
    bars = [np.nan_to_num(np.array(d, dtype=np.float64)[:, None], posinf=0.0) for d in (dx, dy)]
    ax.errorbar([x], [y], xerr=bars[0], yerr=bars[1], marker="*", ms=9, color=INK, capsize=2, ls="", zorder=3)


def _money(axis: Axis, response: Response, found: Optimum) -> None:
    if "cost" in response.column:
        money_ticks(axis, found.space.scenario.currency)
