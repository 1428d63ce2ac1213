"""The picture of a monitoring budget: what watching costs against what is lost."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from analysis.budget_tables import frontier_plans
from analysis.plot_axes import money_axis
from analysis.plot_styles import DASHED, INK, PALE, legend_below, money_ticks, new_axes
from analysis.report_budget import short_name

if TYPE_CHECKING:
    from analysis.monitoring_budget import BudgetFound

LINE, CHOSEN, LIMIT, PERFECT = "#0072B2", "#D55E00", INK, "#CC79A7"
"""Okabe and Ito's palette; each has a marker or a line of its own as well."""
NAMED = 6
"""Plans of the frontier that are named in the picture, at most; the table names all."""
NAME_WIDTH = 26
"""Letters of a line of a name."""


def plot_frontier(found: BudgetFound, ax: Axes | None = None) -> Axes:
    """All plans faint, the efficient frontier with its intervals, the recommended plan, the limit, perfect monitoring.

    Returns the axes: monitoring cost a year against loss a year. The sum of both is what a plan costs in total, of the
    perfectly watched system as well.
    """
    ax = ax or new_axes(7.4, 5.0)
    currency = found.scenario.currency
    cost, loss = (
        [found.estimate(plan, c) for plan in range(len(found.plans))] for c in ("monitoring", "loss")
    )
    few = np.array([int(count) < found.replications for count in found.runs.counts])
    handles: list[Any] = ax.plot(
        cost, loss, ls="", marker="o", ms=3.5, color=PALE, alpha=0.6, label="all plans", gid="plans"
    )
    if few.any():
        handles += ax.plot(
            np.array(cost)[few], np.array(loss)[few],
            ls="", marker="o", ms=3.5, mfc="white", mec=PALE, label="met few worlds only", gid="few",
        )  # fmt: skip
    handles.append(_frontier(ax, found))
    plan = found.recommended
    # Open, so that the plan's own point on the frontier shows inside.
    handles += ax.plot(
        [found.values(plan, "monitoring").mean()],
        [found.values(plan, "loss").mean()],
        ls="", marker="*", ms=17, mfc="none", mec=CHOSEN, mew=1.4, zorder=5, gid="recommended",
        label="least total cost" if found.best_affordable is None else "least total cost within the limit",
    )  # fmt: skip
    perfect = [float(found.reference("perfect", column).mean()) for column in ("monitoring", "loss")]
    handles += ax.plot(
        *([value] for value in perfect), ls="", marker="D", ms=6, color=PERFECT, mec="white", zorder=4, gid="perfect",
        label="watched perfectly (free, never errs)",
    )  # fmt: skip
    if found.limit is not None:
        handles.append(ax.axvline(found.annual_limit, color=LIMIT, lw=1.0, ls=DASHED, label="limit"))
    _name_the_frontier(ax, found)
    money_axis(ax, [*cost, perfect[0]], "monitoring cost", currency, "a year")
    ax.set_ylabel(f"expected loss ({currency} a year)")
    title = f"Efficient frontier of monitoring: {found.scenario.title}"
    ax.set_title(title, fontsize=10, loc="left", parse_math=False)
    money_ticks(ax.yaxis, currency)
    ax.tick_params(labelsize=8.5)
    ax.spines[["top", "right"]].set_visible(False)
    legend_below(ax, handles)
    return ax


def _frontier(ax: Axes, found: BudgetFound) -> Any:
    """The frontier as steps, for plans between two points cannot be bought, with intervals of the losses."""
    table = found.frontier()
    cost, loss = table["monitoring"].to_numpy(), table["loss"].to_numpy()
    low = np.maximum(table["loss_low"], 0.0)  # t's interval of a few worlds reaches below 0, where no loss is
    bars = np.nan_to_num(np.vstack([loss - low, table["loss_high"] - loss]))
    (line,) = ax.plot(
        cost, loss, drawstyle="steps-post", color=LINE, lw=1.4, marker="o", ms=4.5, label="efficient frontier",
        gid="frontier", zorder=3,
    )  # fmt: skip
    ax.errorbar(cost, loss, yerr=np.maximum(bars, 0.0), ls="", color=LINE, capsize=2, lw=1.0, zorder=3)
    return line


def _name_the_frontier(ax: Axes, found: BudgetFound) -> None:
    """The names of the plans of a short frontier, above the step that each begins; of a long one, its ends and the
    recommended plan."""
    plans = frontier_plans(found)
    if len(plans) > NAMED:
        plans = [plan for plan in plans if plan in (plans[0], plans[-1], found.recommended)]
    for plan in plans:
        point = (float(found.values(plan, "monitoring").mean()), float(found.values(plan, "loss").mean()))
        ax.annotate(
            fill(short_name(found, plan), NAME_WIDTH), point, xytext=(9, 5), textcoords="offset points",
            fontsize=7.5, color=LINE, parse_math=False, zorder=6,
        )  # fmt: skip
