"""The picture of a backtest: when each policy replaced its model, and what accuracy that gave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from analysis.plot_styles import (
    GREY,
    INK,
    PALE,
    RAIL_FILL,
    Array,
    Style,
    counted,
    legend_below,
    mark_of,
    new_axes,
    policy_style,
)

if TYPE_CHECKING:
    from analysis.backtest import Replay

LANE = 0.15
"""Share of a row's height that the marks take, at its foot."""
CURVE = (0.2, 0.75)
"""Where the curve lies within its row; above it is the row's title."""
OPTIMUM: dict[str, Any] = {"color": GREY, "lw": 0.9, "ls": (0.0, (2.5, 1.2)), "zorder": 2.0}
MANY = 60
"""More retrainings than this are ticks: marks would run together."""


def plot_replays(
    replays: Sequence[Replay], periods: NDArray[np.int64], optimum: Replay, ax: Axes | None = None
) -> Axes:
    """Accuracy of the service in each period, one row a policy, in the order given.

    replays: at least one. periods: those that are served, (n,). optimum: the dashed curve in every other row.
    Marks in the lane below a curve stand at the periods that begin with a new model. All rows have the same
    scale, and curves hold accuracies (fractions) as their y data. Returns the axes. Raises ValueError without
    replays.
    """
    rows = len(replays)
    if rows == 0:
        raise ValueError("plot_replays: got no replays, expected at least one")
    ax = ax or new_axes(9.0, max(0.9, min(1.6, 5.0 / rows)) * rows + 1.2)
    styles = policy_style(replay.name for replay in replays)
    low, high, ticks = _scale([replay.accuracy for replay in (*replays, optimum)])
    ax.set_xlim(periods[0] - 0.6, periods[-1] + 0.6)
    ax.set_ylim(0.0, rows)
    heights: list[float] = []
    for row, replay in enumerate(replays):
        foot = rows - 1.0 - row
        to_row = Affine2D().translate(0.0, -low).scale(1.0, (CURVE[1] - CURVE[0]) / (high - low))
        to_row.translate(0.0, foot + CURVE[0])
        heights += [float(to_row.transform((0.0, tick))[1]) for tick in ticks]
        onto = to_row + ax.transData
        look: dict[str, Any] = {"color": styles[replay.name].colour, "lw": 1.5, "zorder": 3.0}
        ax.plot(periods, replay.accuracy, transform=onto, label=replay.name, gid="accuracy", **look)
        if replay.name != optimum.name:
            ax.plot(periods, optimum.accuracy, transform=onto, label="_optimum", gid="optimum", **OPTIMUM)
        _draw_retrainings(ax, replay, foot, styles[replay.name])
        _write_title(ax, replay, foot)
    ax.set_yticks(heights, [f"{tick:g}" for tick in ticks] * rows, fontsize=7.5)
    ax.grid(axis="y", color="#E4E4E4", lw=0.6)
    ax.set_axisbelow(True)
    ax.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    ax.tick_params(axis="x", labelsize=8.5)
    ax.set_xlabel("period of the accuracy matrix")
    ax.set_ylabel("accuracy (fraction right)")
    ax.set_title("Accuracy of the service and retrainings of each policy", fontsize=11)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    legend_below(ax, _entries(replays, optimum))
    return ax


def _scale(accuracies: Sequence[Array]) -> tuple[float, float, list[float]]:
    """Lowest and highest accuracy of all rows, and the two to four round ones between that are written."""
    low, high = float(min(a.min() for a in accuracies)), float(max(a.max() for a in accuracies))
    if high - low < 1e-6:
        low, high = low - 0.01, high + 0.01
    ticks = MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return low, high, [float(tick) for tick in ticks if low <= tick <= high]


def _draw_retrainings(ax: Axes, replay: Replay, foot: float, style: Style) -> None:
    """Marks in the lane, and faint lines from them through the curve."""
    ax.axhspan(foot, foot + LANE, color=RAIL_FILL, lw=0.0, zorder=1.0)
    times = replay.retrained
    many = len(times) > MANY
    ax.vlines(times, foot + LANE, foot + CURVE[1], colors=PALE, lw=0.25 if many else 0.5, zorder=1.5)
    mark = mark_of(style) | ({"marker": "|", "ms": 6.0, "mew": 0.6} if many else {"ms": 5.0, "mew": 1.0})
    ax.plot(times, np.full(len(times), foot + LANE / 2), **mark, zorder=4, gid="retrainings")


def _write_title(ax: Axes, replay: Replay, foot: float) -> None:
    """Name and mean accuracy at the left, retrainings and cost at the right, above the curve."""
    accuracy = f"{replay.name}: mean accuracy {replay.mean_accuracy:.3f}"
    figures = f"{counted(replay.retrains, 'retraining')}, cost {replay.total_cost:.4g}"
    for text, x, indent, side, weight, colour in (
        (accuracy, 0, 4, "left", "bold", INK),
        (figures, 1, 0, "right", "normal", GREY),
    ):
        ax.annotate(
            text, (x, foot + 0.94), (indent, 0), xycoords=ax.get_yaxis_transform(),
            textcoords="offset points", ha=side, va="top", fontsize=8.5, fontweight=weight, color=colour,
            parse_math=False, annotation_clip=False, zorder=5,
        )  # fmt: skip


def _entries(replays: Sequence[Replay], optimum: Replay) -> list[Line2D]:
    """Legend entries for what the rows really show."""
    entries = [Line2D([], [], color=INK, lw=1.5, label="accuracy under the policy")]
    if any(replay.name != optimum.name for replay in replays):
        entries.append(Line2D([], [], label="under the offline optimum (oracle)", **OPTIMUM))
    if any(replay.retrains for replay in replays):
        label = "period that begins with a new model (marks differ)"
        entries.append(Line2D([], [], color=INK, lw=0.0, marker="o", markersize=5.0, label=label))
    return entries
