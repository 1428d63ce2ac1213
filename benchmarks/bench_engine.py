"""Time of one model-year through the engine, of a whole comparison, and of the command's start-up.

The model-year is `fraud_detection` with hourly windows and one PSI monitor on its ten features (1000 sampled rows a
window, ten bins). The peer is the plain way to write it: a loop over windows that samples and scores with NumPy,
measured in the same run. Run with `python benchmarks/bench_engine.py`.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import scenarios
import sim
from scenarios.schema import Scenario
from sim.world import World

REPEATS = 5
HALFLIFE = Path(sys.executable).with_name("halflife")


def year(sampling: str) -> Scenario:
    """fraud_detection with one silent PSI monitor on ten features."""
    return scenarios.load(
        "fraud_detection",
        triggers=[{"metric": "feature_drift_psi", "threshold": 1000, "sampling": sampling, "rows": 1000}],
        policies=["triggered"],
    )


def best_time(work: Callable[[], object]) -> float:
    """Least seconds of several runs, after one to warm up."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def numpy_year(features: np.ndarray, per_feature: bool) -> None:
    """Sample and score every window with NumPy: all features in one call, or one call a feature."""
    from scipy.special import ndtr, ndtri

    rng = np.random.default_rng(0)
    edges = np.concatenate(([-np.inf], ndtri(np.arange(1, 10) / 10), [np.inf]))
    for shifts in features:
        below = ndtr(edges[None, :] - shifts[:, None])
        chances = np.diff(below, axis=1)
        if per_feature:
            counts = np.stack([rng.multinomial(1000, chance / chance.sum()) for chance in chances])
        else:
            counts = rng.multinomial(1000, chances / chances.sum(axis=1, keepdims=True))
        share = (counts + 0.5) / (1000 + 5.0)
        ((share - 0.1) * np.log(share / 0.1)).sum(axis=1)


def model_year() -> list[tuple[str, float]]:
    rows = []
    for sampling in ("multinomial", "normal"):
        scenario = year(sampling)
        world = World(scenario)
        at_hand, drawn = partial(sim.run, scenario, world=world), partial(sim.run, scenario, "triggered")
        rows.append((f"engine, {sampling} sampling, world at hand", best_time(partial(at_hand, "triggered"))))
        rows.append((f"engine, {sampling} sampling, world drawn too", best_time(drawn)))
    features = World(year("none")).state().features[0]
    rows.append(("NumPy loop, all features in one call", best_time(partial(numpy_year, features, False))))
    rows.append(("NumPy loop, one call a feature", best_time(partial(numpy_year, features, True))))
    return rows


def command(*arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run([str(HALFLIFE), *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    rows = model_year()
    reference = rows[0][1]
    print("One model-year of fraud_detection: 8760 windows, 10 features, 1000 rows, 10 bins\n")
    print(f"{'what':<48}{'ms':>10}{'ratio':>8}")
    for name, seconds in rows:
        print(f"{name:<48}{1e3 * seconds:>10.1f}{seconds / reference:>8.2f}")
    print("\nWhole commands, warm cache\n")
    print(f"{'halflife --help':<48}{min(command('--help') for _ in range(REPEATS)):>9.2f}s")
    with tempfile.TemporaryDirectory() as folder:
        seconds = command("compare", "fraud_detection", "--out", folder)
    print(f"{'halflife compare fraud_detection (30 replications)':<48}{seconds:>8.1f}s")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{'largest process':<48}{peak:>8.0f} MB")


if __name__ == "__main__":
    main()
