"""Which region of assumptions makes a policy lose: a box, found by the patient rule induction method (PRIM).

Written here: SALib has none, and the packages that do bring far more than these eighty lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom

from analysis.inputs import Input

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
PEEL = 0.1
"""Share of the points in the box that one step peels off."""
LEAST_MASS = 0.05
"""Boxes with a smaller share of all points are not considered."""


@dataclass(frozen=True)
class Box:
    """A region of the input space."""

    low: Array
    high: Array
    """(inputs,); infinite where the input is not restricted."""
    coverage: float
    """Share of all losses that lie in the box."""
    density: float
    """Share of the points in the box that are losses."""
    mass: float
    """Share of all points that lie in the box."""

    def inside(self, points: Array) -> Flags:
        """Which points (n, inputs) lie in the box."""
        return np.asarray(((points >= self.low) & (points <= self.high)).all(axis=1))


@dataclass(frozen=True)
class Discovery:
    """The chosen box, and all on the way to it."""

    inputs: tuple[Input, ...]
    points: Array
    lost: Flags
    box: Box | None
    """None when no point, or every point, is a loss."""
    path: tuple[Box, ...]

    def table(self) -> pd.DataFrame:
        """One row a restricted input: low, high (None where open) and p_value, of a density as great without it."""
        columns = ["input", "low", "high", "p_value"]
        if self.box is None:
            return pd.DataFrame(columns=columns)
        rows = []
        for number, given in enumerate(self.inputs):
            low, high = float(self.box.low[number]), float(self.box.high[number])
            if np.isinf(low) and np.isinf(high):
                continue
            rows.append((given.path, low, high, self._p_value(number)))
        return pd.DataFrame(rows, columns=columns)

    def sentence(self, policy: str) -> str:
        """The region for people."""
        if self.box is None:
            always = bool(self.lost.all()) and len(self.lost) > 0
            verdict = "loses" if always else "wins"
            return f"{policy} {verdict} at all {len(self.lost)} points: there is no region to find."
        limits = []
        for row in self.table().to_dict("records"):
            given = next(one for one in self.inputs if one.path == row["input"])
            low, high = (None if np.isinf(row[end]) else given.shown(row[end]) for end in ("low", "high"))
            text = f"from {low} to {high}" if low and high else f"above {low}" if low else f"below {high}"
            limits.append(f"{given.path} is {text}")
        where = " and ".join(limits) or "anything is assumed"
        return (
            f"{policy} loses when {where}: {self.box.density:.0%} of such points are losses (density), and "
            f"{self.box.coverage:.0%} of all losses are there (coverage)."
        )

    def _p_value(self, number: int) -> float:
        """Chance of so many losses in the box if the restriction of this input told nothing.

        Source: Bryant and Lempert 2010, 'Thinking inside the box', quasi-p-values.
        """
        assert self.box is not None
        low, high = self.box.low.copy(), self.box.high.copy()
        low[number], high[number] = -np.inf, np.inf
        wider = ((self.points >= low) & (self.points <= high)).all(axis=1)
        inside = self.box.inside(self.points)
        share = float(self.lost[wider].mean())
        return float(binom.sf(int(self.lost[inside].sum()) - 1, int(inside.sum()), share))


def discover(inputs: Sequence[Input], points: Array, lost: Flags) -> Discovery:
    """Find the box in which a policy loses.

    points: (n, inputs) in inner units; lost: (n,) whether it loses there. From the whole space, each step peels the
    tenth of the points off one side of one input that leaves the densest box. Of the boxes on the way, the one with
    the greatest harmonic mean of coverage and density is taken, and restrictions that cost nothing to drop are dropped.
    Raises ValueError for other shapes.
    Source: Friedman and Fisher 1999, 'Bump hunting in high-dimensional data'.
    """
    x, y = np.asarray(points, dtype=np.float64), np.asarray(lost, dtype=bool)
    if x.ndim != 2 or x.shape != (len(y), len(inputs)) or len(y) == 0:
        raise ValueError(f"points: got shape {x.shape}, expected ({len(y)}, {len(inputs)})")
    if not y.any() or y.all():
        return Discovery(tuple(inputs), x, y, None, ())
    path = tuple(peeled(x, y))
    box = max(path, key=lambda b: b.coverage * b.density / (b.coverage + b.density + 1e-300))
    return Discovery(tuple(inputs), x, y, _simplified(box, x, y), path)


def peeled(x: Array, y: Flags) -> list[Box]:
    """The boxes of a peeling trajectory, from the whole space down."""
    d = x.shape[1]
    low, high = np.full(d, -np.inf), np.full(d, np.inf)
    boxes = [_box(low, high, x, y)]
    inside: Flags = np.ones(len(y), dtype=np.bool_)
    while inside.mean() > LEAST_MASS and not y[inside].all():
        best: tuple[float, int, int, float] | None = None
        for column in range(d):
            values = x[inside, column]
            for side, limit in ((0, np.quantile(values, PEEL)), (1, np.quantile(values, 1.0 - PEEL))):
                keep = values > limit if side == 0 else values < limit
                if keep.all() or not keep.any() or keep.sum() < LEAST_MASS * len(y):
                    continue
                density = float(y[inside][keep].mean())
                if best is None or density > best[0]:
                    edge = float(values[keep].min() if side == 0 else values[keep].max())
                    best = (density, column, side, edge)
        if best is None:
            break
        _, column, side, edge = best
        (low if side == 0 else high)[column] = edge
        inside = np.asarray(((x >= low) & (x <= high)).all(axis=1))
        boxes.append(_box(low, high, x, y))
    return boxes


def _simplified(box: Box, x: Array, y: Flags) -> Box:
    """The box without restrictions that do not make it denser."""
    for column in range(x.shape[1]):
        for side in (0, 1):
            low, high = box.low.copy(), box.high.copy()
            (low if side == 0 else high)[column] = -np.inf if side == 0 else np.inf
            wider = _box(low, high, x, y)
            if wider.density >= box.density:
                box = wider
    return box


def _box(low: Array, high: Array, x: Array, y: Flags) -> Box:
    inside = ((x >= low) & (x <= high)).all(axis=1)
    losses = int(y[inside].sum())
    return Box(
        low.copy(),
        high.copy(),
        losses / int(y.sum()),
        losses / max(int(inside.sum()), 1),
        float(inside.mean()),
    )
