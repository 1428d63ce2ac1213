"""One column of a reference: the bins of a number or of a category, and how a window's values fall in them."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.kernels.columns import as_floats
from sim.kernels.samples import ks_of_sorted, wasserstein_of_sorted

MISSING = "missing"
UNSEEN = "unseen"


@dataclass(frozen=True, eq=False)
class NumericFeature:
    """A column of numbers: bins (-inf, e1], ..., (e_last, inf), then one for NaN."""

    name: Hashable
    edges: NDArray[np.float64]
    """Inner edges, ascending."""
    sample: NDArray[Any] | None
    """The reference's values, sorted, without NaN; None when they were not kept."""

    @property
    def bins(self) -> int:
        """Number of bins with that for NaN."""
        return len(self.edges) + 2

    @property
    def labels(self) -> list[str]:
        """What each bin holds."""
        ends = [-math.inf, *self.edges.tolist(), math.inf]
        inner = [f"({low:g}, {high:g}]" for low, high in pairwise(ends)]
        return [*inner, MISSING]

    def distances(self, column: Any) -> tuple[float, float, int]:
        """KS statistic and W1 of a column from the sample, and its number of values without NaN.

        Infinite values lie beyond all others for KS; with any of them on either side W1 is infinite. A side without
        values gives NaN. ValueError when the column is not numbers.
        """
        if self.sample is None:
            raise ValueError("no sample was kept (fit with keep_sample=True)")
        values = sorted_values(column)
        if min(values.size, self.sample.size) == 0:
            return math.nan, math.nan, values.size
        statistic = float(ks_of_sorted(self.sample, values))
        if any(math.isinf(x) for side in (self.sample, values) for x in (side[0], side[-1])):
            return statistic, math.inf, values.size
        return statistic, float(wasserstein_of_sorted(self.sample, values)), values.size


@dataclass(frozen=True, eq=False)
class CategoricalFeature:
    """A column of categories: a bin for each one of the reference, one for all others, one for NaN and None."""

    name: Hashable
    categories: tuple[Hashable, ...]
    """In the order of their first appearance."""

    @property
    def bins(self) -> int:
        """Number of bins with those for unseen categories and for NaN."""
        return len(self.categories) + 2

    @property
    def labels(self) -> list[str]:
        """What each bin holds."""
        return [*map(str, self.categories), UNSEEN, MISSING]

    def count(self, column: Any) -> NDArray[np.int64]:
        """Counts (bins,) of a column."""
        codes, values = factorised(column)
        places = {category: place for place, category in enumerate(self.categories)}
        bins = [places.get(value, len(places)) for value in values]
        counts = np.zeros(self.bins, dtype=np.int64)
        # Code -1 is a missing value: the place before the first code, so shifted by one.
        present = np.bincount(codes + 1, minlength=len(bins) + 1)
        np.add.at(counts, [len(places) + 1, *bins], present)
        return counts


Feature = NumericFeature | CategoricalFeature


def sorted_values(column: Any) -> NDArray[Any]:
    """A sorted copy of a column of numbers without its NaN, float32 or float64 as it was."""
    values = np.array(as_floats(column))
    values.sort()
    return values[: np.searchsorted(values, np.nan)]  # NaN are sorted to the end


def factorised(column: Any) -> tuple[NDArray[np.int64], list[Hashable]]:
    """Codes (rows,) of a column and the value of each, in order of first appearance; -1 is NaN, None or NA."""
    codes, values = pd.factorize(column, use_na_sentinel=True)
    return np.asarray(codes, dtype=np.int64), list(values.tolist())
