"""What `.plot()` of a result returns: axes that a notebook shows as a picture.

Figures here have a canvas of their own and are unknown to pyplot, so a notebook would show the name of the axes only.
These axes bring their picture along, wherever they are the last value of a cell.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

DOTS = 100
"""Dots per inch in a notebook."""


def root_figure(ax: Axes) -> Figure:
    """The figure that axes belong to, also where they are in a part of it."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def png_of(figure: Figure) -> bytes:
    """A figure as PNG; the same figure gives the same bytes."""
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=DOTS, metadata={"Software": None, "Creation Time": None})
    return target.getvalue()


class ShownAxes(Axes):
    """Axes that a notebook shows as their whole figure."""

    def _repr_png_(self) -> bytes:
        return png_of(root_figure(self))


class Panels(tuple[Axes, ...]):
    """The visible axes of a figure with several panels, in the order in which they were made.

    `figure` is the whole, `savefig` writes it; a notebook shows it.
    """

    __slots__ = ()

    def __new__(cls, source: Figure | Iterable[Axes]) -> Panels:
        """The panels of a figure, or the given ones of one figure."""
        axes = source.axes if isinstance(source, Figure) else source
        return super().__new__(cls, tuple(ax for ax in axes if ax.get_visible()))

    @property
    def axes(self) -> list[Axes]:
        """The panels as a list."""
        return list(self)

    @property
    def figure(self) -> Figure:
        """The figure that all panels belong to."""
        return root_figure(self[0])

    def savefig(self, target: str | os.PathLike[str] | io.BytesIO, **options: Any) -> None:
        """Write the whole figure, as `Figure.savefig` does."""
        self.figure.savefig(target, **options)

    def __repr__(self) -> str:
        return f"<Panels: {len(self)} axes>"

    def _repr_png_(self) -> bytes:
        return png_of(self.figure)
