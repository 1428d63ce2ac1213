"""Many features or windows judged at once: family-wise probability, Simes, Benjamini-Hochberg."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.kernels import tails

Array = NDArray[np.float64]


def family_wise_probability(alpha: ArrayLike, features: int) -> Array:
    """Probability for each of `features` independent tests that gives `alpha` for any of them (Sidak).

    alpha: in [0, 1); features: >= 1. Raises ValueError outside these ranges.

    >>> family_wise_probability(0.05, 20).round(6)
    np.float64(0.002561)
    """
    wanted = np.asarray(alpha, dtype=np.float64)
    if features < 1 or not ((wanted >= 0) & (wanted < 1)).all():
        raise ValueError(f"expected alpha in [0, 1) and features >= 1, got {alpha!r} and {features}")
    return np.asarray(-np.expm1(np.log1p(-wanted) / features))[()]


def simes_p_values(p_values: ArrayLike) -> Array:
    """Simes' p-value of each window, (windows,), from those of its features, (windows, F); see `tails.simes`.

    'At most q' is the same as 'Benjamini-Hochberg at level q rejects some feature'. NaN features are left out.

    >>> simes_p_values([[0.04, 0.5, 0.03], [0.2, 0.9, 0.8]])
    array([0.06, 0.6 ])
    """
    table = np.ascontiguousarray(p_values, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"p_values: got shape {table.shape}, expected (windows, features)")
    out = np.empty(len(table))
    tails.simes(table, out)
    return out


def benjamini_hochberg(p_values: ArrayLike) -> Array:
    """Adjusted p-values: reject those at most q, and the expected share of wrong rejections is at most q.

    p_values: in [0, 1], the tests of one family along the last axis; the same shape comes back.
    Raises ValueError outside this range. Source: Benjamini and Hochberg, J. R. Stat. Soc. B 57, 1995.

    >>> benjamini_hochberg([0.04, 0.5, 0.03])
    array([0.06, 0.5 , 0.06])
    """
    found = np.asarray(p_values, dtype=np.float64)
    if found.ndim == 0 or not ((found >= 0) & (found <= 1)).all():
        raise ValueError(f"p_values: got {p_values!r}, expected numbers in [0, 1]")
    order = np.argsort(found, axis=-1)
    tests = found.shape[-1]
    raised = np.take_along_axis(found, order, axis=-1) * tests / np.arange(1, tests + 1)
    adjusted = np.minimum.accumulate(raised[..., ::-1], axis=-1)[..., ::-1]
    result = np.empty_like(found)
    np.put_along_axis(result, order, adjusted, axis=-1)
    return result
