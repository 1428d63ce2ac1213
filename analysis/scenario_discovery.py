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
from sim.randomness import stream

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
PEEL = 0.1
"""Share of the points in the box that one step peels off."""
SIGNIFICANT = 0.05
PERMUTATIONS = 99
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
    """None when no point, or every point, is a loss, and when no region is denser than chance makes them."""
    path: tuple[Box, ...]
    p_value: float = np.nan
    """Chance of a box as striking where losses fall at random, by permutation; NaN when there was nothing to find."""

    @property
    def base_rate(self) -> float:
        """Share of all points that are losses."""
        return float(self.lost.mean())

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
            if self.lost.any() and not self.lost.all():
                return (
                    f"{policy} loses at {int(self.lost.sum())} of {len(self.lost)} points (base rate "
                    f"{self.base_rate:.0%}), and no region was found where it loses more often than chance explains "
                    f"(p = {self.p_value:.2g})."
                )
            always = bool(self.lost.all()) and len(self.lost) > 0
            verdict = "loses" if always else "wins"
            return f"{policy} {verdict} at all {len(self.lost)} points: there is no region to find."
        limits = []
        for row in self.table().to_dict("records"):
            given = next(one for one in self.inputs if one.path == row["input"])
            low, high = (None if np.isinf(row[end]) else given.shown(row[end]) for end in ("low", "high"))
            text = f"from {low} to {high}" if low and high else f"above {low}" if low else f"below {high}"
            limits.append(f"{given.path} is {text} (quasi-p {row['p_value']:.2g})")
        return (
            f"{policy} loses when {' and '.join(limits)}: {self.box.density:.0%} of such points are losses (density; "
            f"{self.base_rate:.0%} of all points are, the base rate), and {self.box.coverage:.0%} of all losses are "
            f"there (coverage). Losses at random give a region as striking with p = {self.p_value:.2g}."
        )

    def _p_value(self, number: int) -> float:
        assert self.box is not None
        return quasi_p_value(self.box, number, self.points, self.lost)


def discover(inputs: Sequence[Input], points: Array, lost: Flags) -> Discovery:
    """Find the box in which a policy loses.

    points: (n, inputs) in inner units; lost: (n,) whether it loses there. From the whole space, each step peels the
    tenth of the points off one side of one input that leaves the densest box. Of the boxes on the way, the one with
    the greatest harmonic mean of coverage and density is taken, and restrictions that cost nothing to drop, or whose
    quasi-p-value is above SIGNIFICANT, are dropped. A search finds a dense box in pure chance too: no region is
    reported when losses in random order give one as striking in more than SIGNIFICANT of the permutations.
    Raises ValueError for other shapes.
    Source: Friedman and Fisher 1999, 'Bump hunting in high-dimensional data'.
    """
    x, y = np.asarray(points, dtype=np.float64), np.asarray(lost, dtype=bool)
    if x.ndim != 2 or x.shape != (len(y), len(inputs)) or len(y) == 0:
        raise ValueError(f"points: got shape {x.shape}, expected ({len(y)}, {len(inputs)})")
    if not y.any() or y.all():
        return Discovery(tuple(inputs), x, y, None, ())
    path = tuple(peeled(x, y))
    box, p_value = _chosen(path), _permutation_p(x, y, path)
    found = _significant(_simplified(box, x, y), x, y) if p_value <= SIGNIFICANT else None
    return Discovery(tuple(inputs), x, y, found, path, p_value)


def quasi_p_value(box: Box, number: int, x: Array, y: Flags) -> float:
    """Chance of so many losses in a box if its restriction of input `number` told nothing.

    x: (n, inputs), y: (n,) losses. It takes no account of the search that found the box, hence quasi.
    Source: Bryant and Lempert 2010, 'Thinking inside the box'.
    """
    low, high = box.low.copy(), box.high.copy()
    low[number], high[number] = -np.inf, np.inf
    wider = ((x >= low) & (x <= high)).all(axis=1)
    inside = box.inside(x)
    return float(binom.sf(int(y[inside].sum()) - 1, int(inside.sum()), float(y[wider].mean())))


def _chosen(path: Sequence[Box]) -> Box:
    """The box with the greatest harmonic mean of coverage and density."""
    return max(path, key=lambda b: b.coverage * b.density / (b.coverage + b.density + 1e-300))


def _permutation_p(x: Array, y: Flags, path: Sequence[Box]) -> float:
    """Share of losses in random order (and the order seen) whose chosen box is as striking as the one seen."""

    def striking(box: Box, lost: Flags) -> float:
        inside = round(box.mass * len(lost))
        return -float(binom.logsf(round(box.coverage * lost.sum()) - 1, inside, lost.mean()))

    seen, rng = striking(_chosen(path), y), stream(0, 0, "scenario_discovery")
    shuffled = (rng.permutation(y) for _ in range(PERMUTATIONS))
    as_good = sum(striking(_chosen(peeled(x, lost)), lost) >= seen - 1e-9 for lost in shuffled)
    return (1 + as_good) / (1 + PERMUTATIONS)


def _significant(box: Box, x: Array, y: Flags) -> Box | None:
    """The box without the restrictions that chance explains, the weakest first; None when none is left."""
    while True:
        limited = np.flatnonzero(np.isfinite(box.low) | np.isfinite(box.high))
        if len(limited) == 0:
            return None
        p_values = [quasi_p_value(box, int(number), x, y) for number in limited]
        weakest = int(np.argmax(p_values))
        if p_values[weakest] <= SIGNIFICANT:
            return box
        low, high = box.low.copy(), box.high.copy()
        low[limited[weakest]], high[limited[weakest]] = -np.inf, np.inf
        box = _box(low, high, x, y)


def peeled(x: Array, y: Flags) -> list[Box]:
    """The boxes of a peeling trajectory, from the whole space down."""
    d = x.shape[1]
    low, high = np.full(d, -np.inf), np.full(d, np.inf)
    boxes = [_box(low, high, x, y)]
    inside: Flags = np.ones(len(y), dtype=np.bool_)
    while inside.mean() > LEAST_MASS and not y[inside].all():
        values = x[inside]
        limits = np.quantile(values, (PEEL, 1.0 - PEEL), axis=0)
        keep = np.stack([values > limits[0], values < limits[1]], axis=2)  # (points, inputs, sides)
        counts = keep.sum(axis=0)
        allowed = (counts > 0) & (counts < len(values)) & (counts >= LEAST_MASS * len(y))
        if not allowed.any():
            break
        density = np.where(allowed, keep[y[inside]].sum(axis=0) / np.maximum(counts, 1), -1.0)
        column, side = divmod(int(np.argmax(density)), 2)
        left = values[keep[:, column, side], column]
        (low if side == 0 else high)[column] = left.min() if side == 0 else left.max()
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
