"""Ranges that arguments must lie in, and the message that names the argument, its value and what is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values: TypeAlias = float | NDArray[np.float64]
"""A float where all arguments are numbers, an array where one of them is an array."""


class Range(NamedTuple):
    """A set of admissible numbers, and how to say it."""

    words: str
    holds: Callable[[NDArray[np.float64]], NDArray[np.bool_]]

    def check(self, name: str, value: ArrayLike, unit: str = "") -> NDArray[np.float64]:
        """The value as an array. Raises ValueError for what is not numbers, and for a number outside the range."""
        expected = f"{self.words} ({unit})" if unit else self.words
        try:
            array = np.asarray(value)
        except ValueError:  # a ragged sequence
            array = np.asarray(None)
        if array.dtype.kind not in "iuf":
            raise ValueError(f"{name}: got {value!r}, expected {expected}")
        array = array.astype(np.float64)
        wrong = ~self.holds(array)
        if wrong.any():
            raise ValueError(f"{name}: got {array[wrong][0]:g}, expected {expected}")
        return array


POSITIVE = Range("a finite number > 0", lambda v: (v > 0) & (v < np.inf))
NON_NEGATIVE = Range("a finite number >= 0", lambda v: (v >= 0) & (v < np.inf))
POSITIVE_OR_INFINITE = Range("a number > 0, or infinity for never", lambda v: v > 0)
FRACTION = Range("a fraction in [0, 1]", lambda v: (v >= 0) & (v <= 1))
POSITIVE_FRACTION = Range("a fraction in (0, 1]", lambda v: (v > 0) & (v <= 1))
INSIDE = Range("a fraction in (0, 1), both ends excluded", lambda v: (v > 0) & (v < 1))


def plain(values: ArrayLike) -> Values:
    """A float for an array of no dimensions, an array for others."""
    array = np.asarray(values, dtype=np.float64)
    return float(array) if array.ndim == 0 else array
