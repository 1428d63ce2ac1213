"""The minimum of a noisy function, from a quadratic fitted to many points around the best one so far.

A simulated cost has steps (one retraining more or less within the horizon) and noise. A point that happens to be
lucky is not the optimum; a smooth surface through many points averages the luck out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import qmc

from sim.randomness import stream

Array = NDArray[np.float64]
ROUNDS = 4
FIRST_RADIUS = 0.2
SHRINK = 0.6
"""Of the radius, after a round whose minimum lies inside."""
STARTS = 5


def surface_minimum(
    values_at: Callable[[Array], Array], start: Array, *, seed: int = 0, points: int = 0
) -> Array:
    """Where a function on the unit cube is least, near `start`.

    values_at: takes points (n, d) and gives their values (n,); start: (d,) in [0, 1]; points: a round, three for each
    coefficient of the quadratic when 0. Each round fits a quadratic to all points within a box and moves the box to
    its minimum; the box shrinks when that lies inside. Points without a value are left out; when too few are left,
    the minimum so far is kept. Returns (d,) in [0, 1].
    Source: Box and Draper 2007, 'Response Surfaces, Mixtures, and Ridge Analyses', chapters 2 and 12.

    >>> surface_minimum(lambda x: ((x - 0.3) ** 2).sum(axis=1), np.array([0.6, 0.5])).round(6)
    array([0.3, 0.3])
    """
    centre = np.asarray(start, dtype=np.float64)
    d = len(centre)
    each = points or 3 * (1 + d + d * (d + 1) // 2) + 3
    radius = FIRST_RADIUS
    seen, values = np.empty((0, d)), np.empty(0)
    for number in range(ROUNDS):
        low, high = np.maximum(centre - radius, 0.0), np.minimum(centre + radius, 1.0)
        sample = qmc.LatinHypercube(d, rng=stream(seed, number, "response_surface")).random(each)
        new = low + (high - low) * sample
        seen, values = np.vstack([seen, new]), np.append(values, values_at(new))
        near = ((seen >= low) & (seen <= high)).all(axis=1) & np.isfinite(values)
        if near.sum() < 1 + d + d * (d + 1) // 2:
            break
        found = quadratic_minimum(seen[near], values[near], low, high)
        edge = ((found <= low) & (low > 0.0)) | ((found >= high) & (high < 1.0))
        centre = found
        if not edge.any():
            radius *= SHRINK
    return centre


def quadratic_minimum(points: Array, values: Array, low: Array, high: Array) -> Array:
    """Minimum within a box of the quadratic that fits best: points (n, d), values (n,), low and high (d,)."""
    middle, half = 0.5 * (low + high), np.maximum(0.5 * (high - low), 1e-12)
    scaled = (points - middle) / half
    spread = float(np.ptp(values))
    if spread == 0.0:
        return middle
    coefficients = np.linalg.lstsq(_terms(scaled), (values - values.mean()) / spread, rcond=None)[0]

    def surface(x: Array) -> float:
        return float(_terms(x[None, :])[0] @ coefficients)

    d = points.shape[1]
    starts = np.vstack([scaled[np.argsort(values)[:STARTS]], np.zeros(d)])
    bounds = [(-1.0, 1.0)] * d
    tries = [minimize(surface, start, bounds=bounds, method="L-BFGS-B", tol=1e-12) for start in starts]
    best = min(tries, key=lambda found: float(found.fun))
    return np.asarray(np.clip(middle + half * best.x, low, high))


def _terms(x: Array) -> Array:
    """Columns of a full quadratic: 1, x_i, x_i x_j."""
    n, d = x.shape
    products = [x[:, i] * x[:, j] for i in range(d) for j in range(i, d)]
    return np.column_stack([np.ones(n), x, *products])
