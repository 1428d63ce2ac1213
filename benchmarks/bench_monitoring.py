"""Time of a year of hourly feature monitoring: counts of sampled rows in bins, and PSI of every window.

Run it by itself: python benchmarks/bench_monitoring.py (about half a minute, one core).

The NumPy versions do the same work on the same probabilities' formula: bin probabilities of the shifted normal,
multinomial counts, half a count a bin, PSI. 'One call a year' is as fast as NumPy gets, but its noise depends on
the order of drawing, so it cannot start anew in the middle of a year as the simulator must.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from sim.kernels.sampling import EXACT, NORMAL, feature_counts, learn_edges, normal_cdf_table
from sim.kernels.scores import psi_of_counts

Array = NDArray[np.float64]

WINDOWS, FEATURES, BINS, ROWS = 8760, 10, 10, 1000
KEY, EDGES_KEY = np.uint64(1), np.uint64(2)

SHIFTS = np.cumsum(np.random.default_rng(0).normal(0.0, 0.004, (WINDOWS, FEATURES)), axis=0)
EDGES = learn_edges(EDGES_KEY, 0, 10_000, FEATURES, BINS)
EXPECTED = np.full((FEATURES, BINS), 1 / BINS)


def ours(method: int) -> Callable[[], Array]:
    table, rows = normal_cdf_table(), np.full(WINDOWS, ROWS)
    counts, scores = np.empty((WINDOWS, FEATURES, BINS)), np.empty((WINDOWS, FEATURES))

    def run() -> Array:
        feature_counts(KEY, 0, SHIFTS, EDGES, rows, method, table, counts)
        psi_of_counts(counts, EXPECTED, 0.5, scores)
        return scores

    return run


def probabilities(shift: Array, edges: Array) -> Array:
    """Bin probabilities (..., F, K) of shifts (..., F)."""
    at_edges = ndtr(edges - shift[..., np.newaxis])
    ends = np.zeros((*shift.shape, 1))
    return np.diff(np.concatenate((ends, at_edges, ends + 1.0), axis=-1), axis=-1)


def psi(counts: Array, expected: Array) -> Array:
    share = (counts + 0.5) / (ROWS + 0.5 * BINS)
    return ((share - expected) * np.log(share / expected)).sum(axis=-1)


def numpy_by_year() -> Array:
    rng = np.random.default_rng(3)
    return psi(rng.multinomial(ROWS, probabilities(SHIFTS, EDGES)), EXPECTED)


def numpy_by_window() -> Array:
    rng = np.random.default_rng(3)
    scores = np.empty((WINDOWS, FEATURES))
    for i in range(WINDOWS):
        scores[i] = psi(rng.multinomial(ROWS, probabilities(SHIFTS[i], EDGES)), EXPECTED)
    return scores


def numpy_by_feature() -> Array:
    rng = np.random.default_rng(3)
    scores = np.empty((WINDOWS, FEATURES))
    for i in range(WINDOWS):
        for j in range(FEATURES):
            counts = rng.multinomial(ROWS, probabilities(SHIFTS[i, j], EDGES[j]))
            scores[i, j] = psi(counts, EXPECTED[j])
    return scores


def shortest(run: Callable[[], Array], runs: int) -> tuple[float, float]:
    """Shortest time of several runs after a first one that may compile, in seconds, and the mean score."""
    score = float(run().mean())
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times), score


def main() -> None:
    versions = {
        "ours, exact multinomial": (ours(EXACT), 30),
        "ours, normal approximation": (ours(NORMAL), 30),
        "NumPy, one call a year": (numpy_by_year, 5),
        "NumPy, one call a window": (numpy_by_window, 3),
        "NumPy, one call a feature": (numpy_by_feature, 2),
    }
    measured = {name: shortest(run, runs) for name, (run, runs) in versions.items()}
    exact, normal = (measured[name][0] for name in list(versions)[:2])

    print(
        f"{WINDOWS} windows x {FEATURES} features x {BINS} bins, {ROWS} rows a window, every shift different"
    )
    print(f"{'':28}{'ms':>10}{'ns a bin':>10}{'/ exact':>10}{'/ normal':>10}{'mean PSI':>11}")
    for name, (seconds, score) in measured.items():
        each = seconds * 1e9 / (WINDOWS * FEATURES * BINS)
        ratios = f"{seconds / exact:>10.1f}{seconds / normal:>10.1f}"
        print(f"{name:28}{seconds * 1e3:>10.1f}{each:>10.1f}{ratios}{score:>11.5f}")


if __name__ == "__main__":
    main()
