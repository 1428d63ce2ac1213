"""Ranges with linear or logarithmic spacing, and space-filling samples over several of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.design_fields import VariedField
from sim.randomness import stream

METHODS = ("random", "lhs", "sobol")
MAX_POINTS = 1_000_000
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, both as scenario files write them; `count` values for a grid."""

    low: Any
    high: Any
    count: int | None = None
    log: bool = False

    def values(self, where: VariedField) -> list[Any]:
        """The values of a grid, the ends exactly as they were given.

        Raises ValueError for fewer than two values, ends that are no numbers or not in order, and whole numbers that
        would come twice.
        """
        if self.count is None:
            raise ValueError(
                f"{where.path}: how many values? expected a count such as {self.low}..{self.high}:5 (or a sample)"
            )
        if not 2 <= self.count <= MAX_POINTS:
            raise ValueError(
                f"{where.path}: got {self.count} values of a range, expected 2 to {MAX_POINTS:,}"
            )
        inside = self.at(where, np.linspace(0.0, 1.0, self.count)[1:-1])
        written = [self.low, *(where.written(float(number)) for number in inside), self.high]
        if len({repr(value) for value in written}) < self.count:
            raise ValueError(
                f"{where.path}: {self.count} values of {self.low}..{self.high} are not all different"
            )
        return written

    def at(self, where: VariedField, shares: Array) -> Array:
        """Numbers at shares (points,) in [0, 1] of the way from low to high."""
        low, high = where.end(self.low), where.end(self.high)
        if not low < high:
            raise ValueError(f"{where.path}: got {self.low}..{self.high}, expected the smaller end first")
        if self.log and low <= 0.0:
            raise ValueError(f"{where.path}: log spacing needs ends above 0, got {self.low}")
        if self.log:
            return np.asarray(np.exp(math.log(low) + shares * (math.log(high) - math.log(low))))
        return np.asarray(low + shares * (high - low))


def sample_values(
    fields: Mapping[str, VariedField],
    varied: Mapping[str, Sequence[Any] | Range],
    points: int,
    method: str,
    seed: int,
) -> dict[str, list[Any]]:
    """Values of each field at the points of a sample; of a list of values each is as likely as the others.

    Raises ValueError for a method or a number of points that cannot be.
    """
    if not 1 <= points <= MAX_POINTS:
        raise ValueError(f"sample: got {points} points, expected 1 to {MAX_POINTS:,}")
    shares = unit_points(points, len(varied), method, seed)
    found: dict[str, list[Any]] = {}
    for column, (path, values) in enumerate(varied.items()):
        if isinstance(values, Range):
            found[path] = [fields[path].written(float(x)) for x in values.at(fields[path], shares[:, column])]
        else:
            places = np.minimum((shares[:, column] * len(values)).astype(int), len(values) - 1)
            found[path] = [values[place] for place in places]
    return found


def unit_points(points: int, dimensions: int, method: str, seed: int) -> Array:
    """Points in the unit cube, (points, dimensions).

    method: random, lhs (Latin hypercube: each of `points` slices of each dimension has one) or sobol (scrambled
    Sobol sequence, its first points). Source: Owen, Monte Carlo theory, methods and examples, chapters 10 and 17.

    >>> sorted((unit_points(4, 1, "lhs", 0)[:, 0] * 4).astype(int).tolist())
    [0, 1, 2, 3]
    """
    if method not in METHODS:
        from scenarios.problems import choice

        raise ValueError(f"method {method!r}: {choice(method, METHODS)}")
    rng = stream(seed, 0, "design")
    if method == "random":
        return rng.random((points, dimensions))
    from scipy.stats import qmc

    if method == "lhs":
        return np.asarray(qmc.LatinHypercube(dimensions, rng=rng).random(points))
    # The sequence is balanced only up to powers of two; the first points of a balanced one are as good as can be.
    return np.asarray(qmc.Sobol(dimensions, rng=rng).random_base2(math.ceil(math.log2(points)))[:points])
