"""How every picture looks: a policy's colour and marks, sizes, money on axes, legends and files.

Kinds of policy keep their colour in every picture (Okabe and Ito's palette), and whatever colour tells is told
by a marker, a hatch or a place as well. Figures have an Agg canvas of their own: pyplot's state is never touched.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from analysis.plot_panels import ShownAxes
from scenarios.units import format_money

Array = NDArray[np.float64]
LineStyle = str | tuple[float, tuple[float, ...]]

FAR = 5.0
"""What is more than this many times the median is cut off, with its value written: the rest can be read."""
INK, GREY, PALE, PALE_INK, RAIL_FILL = "#222222", "#777777", "#AAAAAA", "#8A8A8A", "#F2F2F2"


@dataclass(frozen=True)
class Style:
    """How a policy looks in every picture; the fields are what matplotlib's arguments take."""

    colour: str
    marker: str
    fill: Any
    """Fill style of the marker."""
    line: LineStyle
    hatch: str


DASHED, DOTTED, DASH_DOT = (0.0, (5.0, 2.0)), (0.0, (1.0, 1.4)), (0.0, (6.0, 1.6, 1.2, 1.6))
LINES: tuple[LineStyle, ...] = ("solid", DASHED, DASH_DOT, DOTTED, (0.0, (6.0, 1.6, 1.2, 1.6, 1.2, 1.6)))
FILLS = ("full", "none", "left", "bottom", "right", "top")

# Okabe and Ito's palette, with a grey for yellow, which is too pale for lines. The schedule is orange and the
# trigger green, as readers of the source know them.
KINDS: dict[str, Style] = {
    "never": Style("#000000", "X", "full", LINES[3], "x"),
    "scheduled": Style("#E69F00", "o", "full", LINES[0], "/"),
    "triggered": Style("#009E73", "^", "full", LINES[1], "\\"),
    "hybrid": Style("#0072B2", "D", "full", LINES[2], "+"),
    "continuous": Style("#56B4E9", "s", "full", LINES[4], "-"),
    "cost-aware": Style("#D55E00", "P", "full", LINES[0], "."),
    "random": Style("#555555", "v", "full", LINES[3], "o"),
    "oracle": Style("#CC79A7", "*", "full", LINES[1], "*"),
}
OWN = Style("#661100", "h", "full", LINES[2], "|")
"""Policies that users wrote. The colour is far from the others for all kinds of sight."""


def policy_style(names: Iterable[str]) -> dict[str, Style]:
    """A style for each policy: the colour of its kind, and among several of a kind marks of its own.

    names: as tables show them, such as 'scheduled:7d'; a name of no known kind is a user's own policy. The
    colour depends on the kind only. The first of a kind has the kind's marker, line and hatch; the
    following ones change the fill of the marker, the line and the density of the hatch: 30 of a kind can be
    told apart.

    >>> styles = policy_style(["never", "scheduled:7d", "scheduled:30d"])
    >>> styles["scheduled:7d"].colour, styles["scheduled:30d"].colour, styles["scheduled:30d"].fill
    ('#E69F00', '#E69F00', 'none')
    """
    styles: dict[str, Style] = {}
    seen: dict[str, int] = {}
    for name in names:
        if name in styles:
            continue
        kind = re.split(r"[:+~]", name, maxsplit=1)[0].strip()
        base = KINDS.get(kind, OWN)
        number = seen.get(base.colour, 0)
        seen[base.colour] = number + 1
        line = LINES[(LINES.index(base.line) + number) % len(LINES)]
        styles[name] = Style(
            base.colour, base.marker, FILLS[number % len(FILLS)], line, base.hatch * (2 + number % len(FILLS))
        )
    return styles


def new_figure(width: float, height: float) -> Figure:
    """A figure with a canvas of its own that lays itself out; sizes in inches."""
    fig = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(fig)
    return fig


def new_axes(width: float, height: float) -> Axes:
    """The only axes of a new figure; sizes in inches."""
    return new_figure(width, height).add_subplot(axes_class=ShownAxes)


def save_figure(fig: Figure | SubFigure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG, 150 dots per inch; the same figure gives the same bytes.

    path: a name that ends in .png, in a folder that exists. Returns the path. Raises ValueError where the
    name ends otherwise.
    """
    target = Path(path)
    if target.suffix.lower() != ".png":
        raise ValueError(f"save_figure: got {target.name!r}, expected a name that ends in .png")
    fig.figure.savefig(target, format="png", dpi=150, metadata={"Software": None, "Creation Time": None})
    return target


def not_far(sizes: Array) -> NDArray[np.bool_]:
    """Which sizes >= 0 are within FAR times the median (of two: the smaller); all where it is 0."""
    if len(sizes) == 0:
        return np.zeros(0, dtype=bool)
    typical = float(np.median(sizes)) if len(sizes) > 2 else float(sizes.min())
    return sizes <= (FAR * typical if typical > 0.0 else math.inf)


def mark_of(style: Style) -> dict[str, Any]:
    """A policy's marker as arguments of `plot`, all of about the same area."""
    size = 6.2 * {"D": 0.85, "*": 1.5, "X": 1.15, "P": 1.2, "^": 1.1, "v": 1.1}.get(style.marker, 1.0)
    return {
        "ls": "", "marker": style.marker, "fillstyle": style.fill, "ms": size, "color": style.colour,
        "mfcalt": "white", "mec": style.colour, "mew": 1.2,
    }  # fmt: skip


def legend_below(ax: Axes, handles: Sequence[Any]) -> None:
    """A legend at a fixed distance under the axes, with as many columns as fit their width.

    A legend wider than the axes would push them aside, at each drawing a little farther.
    """
    lengths = [len(handle.get_label()) for handle in handles]
    columns = 4
    while columns > 1 and _legend_width(lengths, columns) > _width(ax):
        columns -= 1
    under = ax.transAxes + ScaledTranslation(0.0, -0.52, inches_of(ax))
    ax.legend(
        handles=list(handles), loc="upper center", bbox_to_anchor=(0.5, 0.0), bbox_transform=under,
        ncols=columns, fontsize=8.5, frameon=False, borderaxespad=0.0, handlelength=2.2, columnspacing=1.4,
    )  # fmt: skip


def _legend_width(lengths: Sequence[int], columns: int) -> float:
    """About how many inches a legend takes whose labels have so many characters."""
    split = [part for part in np.array_split(lengths, columns) if len(part)]
    return sum(0.06 * float(part.max()) + 0.52 for part in split)


def inches_of(ax: Axes) -> Any:
    """The transform from inches to dots of the figure that axes belong to."""
    return ax.figure.dpi_scale_trans


def text_share(ax: Axes, texts: Sequence[str]) -> float:
    """Share of the width of the axes that the longest text takes, at most a half."""
    longest = max((len(text) for text in texts), default=0)
    return min((0.075 * longest + 0.1) / _width(ax), 0.5)


def _width(ax: Axes) -> float:
    """Width of the axes in inches, before any layout."""
    return ax.get_window_extent().width / ax.figure.dpi


def reach(half_width: float) -> float:
    """Length of an error bar: none where there is no interval."""
    return half_width if math.isfinite(half_width) else 0.0


def money_ticks(axis: Axis, currency: str) -> None:
    """At most 6 steps, written as short as money can be."""
    axis.set_major_locator(MaxNLocator(6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, currency)))


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "retraining"), counted(1200, "retraining")
    ('1 retraining', '1,200 retrainings')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def per_year(amount: float, currency: str) -> str:
    """Money per year as it is written in pictures: $5,809/y."""
    return f"{format_money(amount, currency)}/y"


def _tick(value: float, currency: str) -> str:
    """Money without zeros that say nothing: $2M for $2.00M."""
    return re.sub(r"\.0+(?=[TBM]$)|(?<=\.\d)0(?=[TBM]$)", "", format_money(value, currency))
