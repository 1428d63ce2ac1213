"""Inner edges of the bins of a number, learned from a reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Binning = str | ArrayLike | Mapping[Any, Any]
"""'quantile', 'uniform', inner edges, or one of these for each column by name."""


def binning_of(name: Any, binning: Binning) -> str | NDArray[np.float64]:
    """The kind of binning, or the given edges, of column `name`; columns that a mapping leaves out take quantiles.

    Raises ValueError for an unknown kind or for edges that do not ascend.
    """
    chosen = binning.get(name, "quantile") if isinstance(binning, Mapping) else binning
    if isinstance(chosen, str):
        if chosen not in ("quantile", "uniform"):
            raise ValueError(f"binning {chosen!r}, expected 'quantile', 'uniform' or inner edges")
        return chosen
    try:
        edges = np.asarray(chosen, dtype=np.float64)
    except (TypeError, ValueError):
        edges = np.empty(0)
    if edges.ndim != 1 or edges.size == 0 or not (np.diff(edges) > 0).all() or np.isnan(edges).any():
        raise ValueError(f"bin edges must be numbers in ascending order, got {chosen!r}")
    return edges


def learn_edges(sample: NDArray[Any], binning: str | NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Inner edges, ascending, of bins (-inf, e1], (e1, e2], ..., (e_last, inf).

    sample: sorted, without NaN; may be empty (then there is one bin for all numbers) or hold infinite values
    binning: 'quantile' takes the values of the sample at the quantiles k / bins (never between two values: the bins
        follow any increasing map); equal ones are merged. 'uniform' cuts the finite range in equal parts.
    A sample of one repeated value c gets the bins below c, c itself and above c.

    >>> learn_edges(np.arange(1.0, 9.0), "quantile", 4)
    array([2., 4., 6.])
    >>> learn_edges(np.arange(0.0, 9.0), "uniform", 4)
    array([2., 4., 6.])
    """
    if not isinstance(binning, str):
        return binning
    if sample.size == 0:
        return np.empty(0)
    values = sample.astype(np.float64, copy=False)
    if values[0] == values[-1]:
        return np.unique([np.nextafter(values[0], -np.inf), values[0]])
    if binning == "uniform":
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            return np.zeros(1)
        parts = np.arange(1, bins) / bins
        return np.unique(finite[0] * (1 - parts) + finite[-1] * parts)
    # ceil(n k / bins) in whole numbers: the smallest value with at least the share k / bins at or below it.
    places = -(-values.size * np.arange(1, bins) // bins) - 1
    return np.unique(values[np.maximum(places, 0)])
