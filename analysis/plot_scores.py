"""The picture of an ML Test Score: points of each category out of those that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.plot_axes import plain
from analysis.plot_styles import PALE, new_axes

if TYPE_CHECKING:
    from analysis.ml_test_score import ReadinessScore

BAR = "#0072B2"


def plot_score(found: ReadinessScore, ax: Axes | None = None) -> Axes:
    """A bar a category, from 0 to its number of tests, over a pale bar of all its points. Returns the axes."""
    points = found.by_category()
    full = 16.0 / len(points)
    ax = ax or new_axes(6.4, 0.45 * len(points) + 1.2)
    names = list(points)
    ax.barh(names, [full] * len(names), color=PALE, alpha=0.35, height=0.6)
    ax.barh(names, list(points.values()), color=BAR, height=0.6, gid="points")
    ax.invert_yaxis()
    ax.set_xlim(0.0, full)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel(f"points (of {full:g})")
    ax.set_title(found.headline(), fontsize=10, loc="left")
    plain(ax)
    return ax
