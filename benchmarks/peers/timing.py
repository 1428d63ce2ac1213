"""What every peer's script shares: the table, the clock, and the answer as JSON. Needs NumPy only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

ROWS, FEATURES = 100_000, 50
LONG = 5.0  # s


def tables() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Reference and current, (rows, features) in Fortran order as a DataFrame keeps them, float64."""
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(FEATURES, ROWS)).T
    shifts = np.linspace(0.0, 0.3, FEATURES)
    return reference, rng.normal(shifts[:, np.newaxis], 1.05, size=(FEATURES, ROWS)).T


def shortest(run: Callable[[], object], repeats: int) -> float:
    """Shortest time of `repeats` runs, in ms, after one that may compile; a first run of seconds is the only one."""
    times = []
    for repeat in range(repeats + 1):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
        if repeat == 0 and times[0] > LONG:
            break
    return min(times) * 1e3


def answer(suite: str, runs: Mapping[str, Callable[[], object]], repeats: int) -> None:
    """Time each score of a suite and print a line of JSON as soon as it is known."""
    for score, run in runs.items():
        milliseconds = shortest(run, repeats)
        print(json.dumps({"version": version(suite), "score": score, "ms": milliseconds}), flush=True)
