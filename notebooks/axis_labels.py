"""Watches the pictures that a lab shows: a number on an axis needs a label, and a unit in brackets there,
or with the number.

`execute.py` runs this in the kernel of each lab: `watch()` before the first cell, `unlabelled` after the last one.
An axis of words (policies, cells of a map) and one that shares another's label need none of their own.
"""

from __future__ import annotations

import re
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

unlabelled: list[str] = []
"""What was found so far, one line an axis."""
UNIT = re.compile(r"\(.+\)|, .+ per \w|\bshare of\b|^(replicas|requests|devices|incidents|false alarms)\b")
"""In brackets, after a comma, or a share or a count, which need none."""
MATHS = re.compile(r"\\[a-z]+")
WORD = re.compile(r"[^\W\d_]{3}")
TICK_WITH_UNIT = re.compile(r"\d ?(%|/|h\b|d\b|min\b)|^-?[$€£]")


def watch() -> None:
    """Look at every figure from now on when it is drawn."""
    draw = FigureCanvasBase.print_figure

    def print_figure(canvas: FigureCanvasBase, *arguments: Any, **options: Any) -> Any:
        drawn = draw(canvas, *arguments, **options)
        unlabelled.extend(problems(canvas.figure))
        return drawn

    FigureCanvasBase.print_figure = print_figure  # type: ignore[method-assign]


def problems(figure: Figure) -> list[str]:
    """One line for each axis of numbers without a label or without a unit."""
    found = []
    for ax in figure.axes:
        if not (ax.get_visible() and ax.axison):
            continue
        for letter, common in (("x", figure.get_supxlabel()), ("y", figure.get_supylabel())):
            label = common or label_of(ax, letter)
            wanted = ticks_of(ax, letter)
            if wanted and not (label and (UNIT.search(label) or wanted == "with units")):
                found.append(f"{letter} axis {label!r} of {title_of(ax, figure)!r}")
    return found


def label_of(ax: Axes, letter: str) -> str:
    """The label of an axis, or of one that shares it."""
    axes = getattr(ax, f"get_shared_{letter}_axes")().get_siblings(ax)
    return next((text for other in axes if (text := getattr(other, f"get_{letter}label")())), "")


def ticks_of(ax: Axes, letter: str) -> str:
    """What the visible ticks of an axis are: '' for words, 'plain', or 'with units' of their own."""
    labels = getattr(ax, f"{letter}axis").get_ticklabels()
    texts = [label.get_text() for label in labels if label.get_visible()]
    texts = [MATHS.sub("", text) for text in texts if text]
    if not texts or any(WORD.search(text) for text in texts):
        return ""
    return "with units" if all(TICK_WITH_UNIT.search(text) for text in texts) else "plain"


def title_of(ax: Axes, figure: Figure) -> str:
    """What the picture calls itself."""
    titles = [ax.get_title(loc) for loc in ("center", "left", "right")]
    return next((text for text in [*titles, figure.get_suptitle()] if text), "a picture without a title")
