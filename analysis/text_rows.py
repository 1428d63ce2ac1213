"""Rows of bars with words on them that do not run into each other: texts are measured before they are placed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from analysis.plot_styles import INK

AIR = 0.05
"""Inches between a text and what is beside it."""
_SLACK = 1.04
"""Texts are a little wider at some resolutions than at others."""


def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Inches that a text takes.

    >>> width_of("silent 3.2 h", 7.5) < width_of("silent 3.2 h", 9.0) < 1.0
    True
    """
    renderer = _renderer()
    pixels, _, _ = renderer.get_text_width_height_descent(
        text, FontProperties(size=size, weight=weight), False
    )
    return _SLACK * float(pixels) / float(renderer.dpi)


@cache
def _renderer() -> Any:
    """What measures texts, at the resolution of files."""
    return FigureCanvasAgg(Figure(dpi=150)).get_renderer()  # type: ignore[no-untyped-call]


def shortened(text: str, size: float, inches: float) -> str:
    """The text, or as much of its beginning as there is room for.

    >>> shortened("detected", 8.0, 1.0), shortened("detected by nobody at all", 8.0, 1.0)[:8]
    ('detected', 'detected')
    """
    if width_of(text, size) <= inches:
        return text
    kept = len(text)
    while kept > 1 and width_of(text[:kept].rstrip() + "…", size) > inches:
        kept -= 1
    return text[:kept].rstrip() + "…"


@dataclass
class Line:
    """One line of a picture, and which parts of it are taken; places in inches from the left edge of the axes."""

    ax: Axes
    y: float
    """Data units."""
    start: float
    """Days at the left edge."""
    stop: float
    inches: float
    """Width of the axes."""
    taken: list[tuple[float, float]] = field(default_factory=list)

    def place(self, days: float) -> float:
        """Inches from the left edge, within the axes."""
        return min(max((days - self.start) / (self.stop - self.start), 0.0), 1.0) * self.inches

    def days(self, place: float) -> float:
        """The moment at so many inches from the left edge."""
        return self.start + (self.stop - self.start) * place / self.inches

    def take(self, low: float, high: float) -> None:
        """Let no text be put between two places."""
        self.taken.append((low, high))

    def free(self, low: float, high: float) -> bool:
        """Whether a stretch is within the axes and nothing is there."""
        inside = low >= -1e-9 and high <= self.inches + 1e-9
        return inside and all(high <= begin or low >= end for begin, end in self.taken)

    def write_inside(self, text: str, begin: float, end: float, size: float, **look: Any) -> bool:
        """Put a text into the middle of a bar (days) if it fits there."""
        low, high = self.place(begin), self.place(end)
        if high - low < width_of(text, size) + 2 * AIR:
            return False
        self._write(text, 0.5 * (low + high), "center", size, look)
        return True

    def write_beside(self, text: str, begin: float, end: float, size: float, **look: Any) -> bool:
        """Put a text to the right of a stretch (days), or to its left, where there is room."""
        width = width_of(text, size)
        right, left = self.place(end) + AIR, self.place(begin) - AIR
        if self.free(right, right + width):
            self.take(right, right + width + AIR)
            self._write(text, right, "left", size, look)
            return True
        if self.free(left - width, left):
            self.take(left - width - AIR, left)
            self._write(text, left, "right", size, look)
            return True
        return False

    def write_from(self, text: str, days: float, size: float, **look: Any) -> None:
        """Begin a text at a moment, or so much earlier that it ends within the axes; shortened to their width."""
        text = shortened(text, size, self.inches - 2 * AIR)
        low = max(min(self.place(days), self.inches - AIR - width_of(text, size)), AIR)
        self._write(text, low, "left", size, look)

    def _write(
        self,
        text: str,
        place: float,
        side: Literal["left", "center", "right"],
        size: float,
        look: dict[str, Any],
    ) -> None:
        style: dict[str, Any] = {"color": INK, "zorder": 5, "clip_on": False, "parse_math": False} | look
        self.ax.text(self.days(place), self.y, text, ha=side, va="center_baseline", fontsize=size, **style)
