"""The picture of a monitoring budget: what watching costs against what is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from analysis.plot_styles import DASHED, DOTTED, INK, PALE, legend_below, money_ticks, new_axes

if TYPE_CHECKING:
    from analysis.monitoring_budget import BudgetFound

LINE, CHOSEN, LIMIT, PERFECT = "#0072B2", "#D55E00", INK, "#CC79A7"
"""Okabe and Ito's palette; each has a marker or a line of its own as well."""


def plot_frontier(found: BudgetFound, ax: Axes | None = None) -> Axes:
    """All plans faint, the efficient frontier with its intervals, the recommended plan, the limit, perfect monitoring.

    Returns the axes: monitoring cost a year against loss a year.
    """
    ax = ax or new_axes(7.0, 4.6)
    currency = found.scenario.currency
    cost, loss = (
        [found.estimate(plan, c) for plan in range(len(found.plans))] for c in ("monitoring", "loss")
    )
    handles: list[Any] = ax.plot(
        cost, loss, ls="", marker="o", ms=3.5, color=PALE, alpha=0.6, label="all plans", gid="plans"
    )
    handles.append(_frontier(ax, found))
    plan = found.recommended
    handles += ax.plot(
        [found.values(plan, "monitoring").mean()],
        [found.values(plan, "loss").mean()],
        ls="", marker="*", ms=14, color=CHOSEN, mec="white", zorder=5, gid="recommended",
        label="least total cost" if found.best_affordable is None else "least total cost within the limit",
    )  # fmt: skip
    perfect = float(found.reference("perfect", "loss").mean())
    handles.append(ax.axhline(perfect, color=PERFECT, lw=1.2, ls=DOTTED, label="loss when watched perfectly"))
    if found.limit is not None:
        handles.append(ax.axvline(found.annual_limit, color=LIMIT, lw=1.0, ls=DASHED, label="limit"))
    ax.set_xlabel(f"monitoring cost ({currency} a year)")
    ax.set_ylabel(f"expected loss ({currency} a year)")
    ax.set_title(found.scenario.title, fontsize=10, loc="left", parse_math=False)
    money_ticks(ax.xaxis, currency)
    money_ticks(ax.yaxis, currency)
    ax.tick_params(labelsize=8.5)
    ax.spines[["top", "right"]].set_visible(False)
    legend_below(ax, handles)
    return ax


def _frontier(ax: Axes, found: BudgetFound) -> Any:
    """The frontier as steps, for plans between two points cannot be bought, with intervals of the losses."""
    table = found.frontier()
    cost, loss = table["monitoring"].to_numpy(), table["loss"].to_numpy()
    bars = np.nan_to_num(np.vstack([loss - table["loss_low"], table["loss_high"] - loss]))
    (line,) = ax.plot(
        cost, loss, drawstyle="steps-post", color=LINE, lw=1.4, marker="o", ms=4.5, label="efficient frontier",
        gid="frontier", zorder=3,
    )  # fmt: skip
    ax.errorbar(cost, loss, yerr=np.maximum(bars, 0.0), ls="", color=LINE, capsize=2, lw=1.0, zorder=3)
    return line
