"""Sizes of requests: tokens in and out, or work relative to the average request."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from scenarios.numbers import FixedNumber, LognormalNumber, QuantileNumber
from scenarios.serving_sizes import RecordedSizes, Sizes
from scenarios.units import SECONDS_PER_DAY

Array = NDArray[np.float64]
AnyNumbers = FixedNumber | LognormalNumber | QuantileNumber
_Z95 = float(ndtri(0.95))


def from_normal(numbers: AnyNumbers, z: Array) -> Array:
    """Numbers of a distribution from standard normal ones: the same quantile, shape of z.

    >>> from_normal(LognormalNumber(kind="lognormal", median=100, p95=400), np.array([0.0, _Z95])).round(6).tolist()
    [100.0, 400.0]
    """
    match numbers:
        case FixedNumber(value=value):
            return np.full_like(z, value)
        case LognormalNumber(median=median, p95=p95, most=most):
            drawn = median * np.exp(z * (math.log(p95 / median) / _Z95))
            return np.asarray(drawn if most is None else np.minimum(drawn, most))
        case QuantileNumber(values=values):
            return np.asarray(np.interp(ndtr(z), np.linspace(0.0, 1.0, len(values)), values))
    raise TypeError(f"not a distribution of numbers: {numbers!r}")


def mean_number(numbers: AnyNumbers) -> float:
    """Mean of a distribution of numbers.

    >>> mean_number(QuantileNumber(kind="quantiles", values=[0, 1, 4]))
    1.5
    """
    match numbers:
        case FixedNumber(value=value):
            return value
        case LognormalNumber(median=median, p95=p95, most=most):
            sigma = math.log(p95 / median) / _Z95
            mean = median * math.exp(0.5 * sigma**2)
            if most is None:
                return mean
            cut = math.log(most / median) / sigma
            return float(mean * ndtr(cut - sigma) + most * ndtr(-cut))
        case QuantileNumber(values=values):
            return float(np.mean((np.asarray(values[1:]) + np.asarray(values[:-1])) / 2.0))
    raise TypeError(f"not a distribution of numbers: {numbers!r}")


def normal_correlation(rank_correlation: float | Array) -> Array:
    """Correlation of two normal numbers that gives them this rank correlation (Spearman).

    >>> round(float(normal_correlation(0.5)), 4)
    0.5176
    """
    return np.asarray(2.0 * np.sin(np.pi * np.asarray(rank_correlation) / 6.0))


class SizeSampler:
    """Draws the sizes of requests of a scenario, by the moments at which they come.

    columns: what a row of sizes has: ('tokens_in', 'tokens_out') or ('work',)
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.columns = ("tokens_in", "tokens_out") if sizes.has_tokens else ("work",)
        self._ones = np.ones((0, 1))
        if sizes.recorded is not None:
            self._in, self._out, self._ranks = _tables(sizes.recorded)

    def draw(self, times: Array, rng: np.random.Generator) -> Array:
        """Sizes (n, k) of requests at `times` (n,), seconds; tokens are whole numbers of at least 1."""
        n, sizes = len(times), self.sizes
        if sizes.recorded is not None:
            rows = (times * (1.0 / (sizes.recorded.step * SECONDS_PER_DAY)) + 1e-9).astype(np.int64)
            rows %= len(self._in)
            first, second = _pair(n, normal_correlation(self._ranks[rows]), rng)
            return _tokens(_from_rows(self._in, rows, first), _from_rows(self._out, rows, second))
        if sizes.tokens_in is not None and sizes.tokens_out is not None:
            first, second = _pair(n, normal_correlation(sizes.rank_correlation), rng)
            return _tokens(from_normal(sizes.tokens_in, first), from_normal(sizes.tokens_out, second))
        if sizes.work is None or isinstance(sizes.work, FixedNumber):
            # Alike: a view of one array, which nobody should write to.
            if len(self._ones) < n:
                self._ones = np.full((n, 1), 1.0 if sizes.work is None else sizes.work.value)
            return self._ones[:n]
        return from_normal(sizes.work, rng.standard_normal(n)).reshape(n, 1)


def _tables(recorded: RecordedSizes) -> tuple[Array, Array, Array]:
    ranks = recorded.rank_correlation or [0.0] * len(recorded.tokens_in or ())
    return np.asarray(recorded.tokens_in), np.asarray(recorded.tokens_out), np.asarray(ranks)


def _pair(n: int, correlation: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Standard normal numbers with this correlation, (n,) each."""
    first = rng.standard_normal(n)
    second = rng.standard_normal(n)
    return first, correlation * first + np.sqrt(1.0 - correlation**2) * second


def _from_rows(table: Array, rows: NDArray[np.int64], z: Array) -> Array:
    """Quantiles of the law of each row, straight lines between those of the table."""
    place = ndtr(z) * (table.shape[1] - 1)
    below = np.minimum(place.astype(np.int64), table.shape[1] - 2)
    low = table[rows, below]
    return np.asarray(low + (place - below) * (table[rows, below + 1] - low))


def _tokens(tokens_in: Array, tokens_out: Array) -> Array:
    return np.maximum(np.rint(np.column_stack((tokens_in, tokens_out))), 1.0)
