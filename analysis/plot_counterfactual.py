"""The picture of a counterfactual: both accuracies, and what the change has cost up to each day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from analysis.plot_styles import DASHED, GREY, INK, money_ticks, new_figure, policy_style

if TYPE_CHECKING:
    from analysis.counterfactual import Counterfactual


def plot_counterfactual(found: Counterfactual, fig: Figure | None = None) -> Figure:
    """Accuracy (fraction) of both histories over days above, the cumulative difference of cost below.

    A vertical line marks the changed decision. Returns the figure.
    """
    fig = fig or new_figure(8.0, 4.6)
    upper, lower = fig.subplots(2, 1, sharex=True)
    table, colour = found.timeline, policy_style([found.factual.policy])[found.factual.policy].colour
    # Accuracy is constant within a window, and a row's time is the window's end.
    time = np.r_[0.0, table["time_days"].to_numpy()]
    for name, look, label in (
        ("factual", {"color": colour, "lw": 1.6}, found.factual.policy),
        ("changed", {"color": INK, "lw": 1.2, "ls": DASHED}, str(found.change)),
    ):
        accuracy = table[f"accuracy_{name}"].to_numpy()
        upper.step(time, np.r_[accuracy[:1], accuracy], where="pre", label=label, gid=name, **look)
    difference = np.r_[0.0, table["cost_difference"].to_numpy()]
    lower.plot(time, difference, color=INK, lw=1.4, gid="difference")
    lower.fill_between(time, difference, 0.0, where=difference > 0, color="#D55E00", alpha=0.25, lw=0)
    lower.fill_between(time, difference, 0.0, where=difference < 0, color="#009E73", alpha=0.25, lw=0)
    lower.axhline(0.0, color=GREY, lw=0.8)
    for ax in (upper, lower):
        ax.axvline(found.time, color=GREY, lw=0.8, ls=DASHED)
        ax.tick_params(labelsize=8.5)
        ax.spines[["top", "right"]].set_visible(False)
    upper.set_ylabel("accuracy (fraction)")
    upper.legend(fontsize=8.5, frameon=False)
    lower.set_ylabel("extra cost so far")
    lower.set_xlabel("time (days)")
    lower.set_xlim(0.0, found.factual.scenario.horizon)
    money_ticks(lower.yaxis, found.factual.scenario.currency)
    return fig
