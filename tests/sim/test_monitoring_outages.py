"""Outages of the path of monitoring, against queueing theory and a plain account of them.

Statistical checks use fixed seeds and limits of 5 standard errors of block means (error rate 6e-7 each).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import sim
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from sim import randomness
from sim.durations import quantile
from sim.telemetry import blind_windows
from sim.world import World


def scenario(telemetry: dict[str, Any] | None, horizon: str = "45d", window: str = "1h") -> Scenario:
    return validate_mapping(
        {
            "title": "outages",
            "horizon": horizon,
            "window": window,
            "value_per_query_per_unit_accuracy": "$1",
            "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
            "traffic": {"rate": "24/d"},
            "telemetry": telemetry,
        }
    )


def blind(seed: int = 0, horizon: str = "1000d", window: str = "1h", **outages: Any) -> np.ndarray:
    system = scenario({"outages": {"rate": "12/y", "unnoticed": "2d"} | outages}, horizon, window)
    return blind_windows(system, lambda name: randomness.stream(seed, 0, name))


def assert_share(found: np.ndarray, expected: float) -> None:
    """The share of blind windows is within 5 standard errors of the mean of 200 blocks, and that is tight enough."""
    means = np.array([block.mean() for block in np.array_split(found, 200)])
    error = means.std(ddof=1) / math.sqrt(len(means))
    assert abs(means.mean() - expected) < 5 * error < 0.2 * expected


LONG = {"horizon": "200000d", "window": "3h"}
LASTING = {
    "fixed": ("6h", 0.25),
    "exponential": ({"kind": "exponential", "mean": "6h"}, 0.25),
    "uniform": ({"kind": "uniform", "low": "2h", "high": "14h"}, 1 / 3),
}


@pytest.mark.parametrize(("lasts", "mean"), LASTING.values(), ids=LASTING)
def test_the_blind_share_is_that_of_an_infinite_server_queue(lasts, mean):
    """Outages are the customers of an M/G/infinity queue: down with probability 1 - exp(-rate x mean duration)."""
    found = blind(rate="0.1/d", unnoticed=lasts, **LONG)
    assert_share(found, -math.expm1(-0.1 * mean))
    assert -math.expm1(-0.1 * mean) == pytest.approx(0.1 * mean, rel=0.02), "rate x mean duration while small"


def test_two_paths_are_down_together_as_rarely_as_chance_says():
    one = blind(rate="0.4/d", unnoticed="6h", **LONG)
    both = blind(rate="0.4/d", unnoticed="6h", redundant=True, **LONG)
    assert_share(both, math.expm1(-0.1) ** 2)
    assert not np.any(both & ~one), "a second path never changes the outages of the first"


@pytest.mark.parametrize(("heartbeat", "repair"), [("5.37h", "1.9h"), ("29.3h", "5min")])
def test_a_heartbeat_shortens_outages_to_half_its_interval_and_the_repair(heartbeat, repair):
    found = blind(rate="0.1/d", unnoticed="40d", heartbeat=heartbeat, repair=repair, **LONG)
    hours = float(heartbeat[:-1]) / 2 + {"1.9h": 1.9, "5min": 1 / 12}[repair]
    assert_share(found, -math.expm1(-0.1 * hours / 24))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "unnoticed",
    ["2d", {"kind": "exponential", "mean": "2d"}, {"kind": "lognormal", "median": "1d", "p95": "9d"}],
)
def test_a_heartbeat_never_makes_blinder(seed, unnoticed):
    without = blind(seed, unnoticed=unnoticed)
    with_it = blind(seed, unnoticed=unnoticed, heartbeat="1h", repair={"kind": "exponential", "mean": "1d"})
    assert not np.any(with_it & ~without)
    assert with_it.sum() < without.sum()
    slow = blind(seed, unnoticed=unnoticed, heartbeat="1h", repair="10000d")
    assert np.array_equal(slow, without), "a repair that is too slow changes nothing"


REPAIR = {"kind": "exponential", "mean": "3h"}


@pytest.mark.parametrize("window", ["1h", "7h", "1d"])
@pytest.mark.parametrize("heartbeat", [None, "1h", "11h"])
@pytest.mark.parametrize("redundant", [False, True])
def test_windows_are_blind_as_the_plain_account_has_it(window, heartbeat, redundant):
    outages = {"rate": "2/d", "unnoticed": {"kind": "exponential", "mean": "9h"}, "repair": REPAIR}
    horizon = "105d"
    found = blind(3, horizon, window, heartbeat=heartbeat, redundant=redundant, **outages)
    system = scenario({"outages": outages}, horizon, window)
    down = [_plain_outages(system, heartbeat, path) for path in ("outages", "outages:second path")]
    for number in range(system.windows):
        look = (number + 1) * system.window
        both = [any(begin <= look < end for begin, end in path) for path in down[: 1 + redundant]]
        assert found[number] == all(both)
    assert found.any()


def _plain_outages(system: Scenario, heartbeat: str | None, path: str) -> list[tuple[float, float]]:
    assert system.telemetry is not None
    outages = system.telemetry.outages
    assert outages is not None
    rng = randomness.stream(3, 0, path)
    number = rng.poisson(2 * system.horizon)
    begins = [system.horizon * rng.random() for _ in range(number)]
    lasts = [float(quantile(outages.unnoticed, rng.random())) for _ in range(number)]
    repairs = [float(quantile(outages.repair, rng.random())) for _ in range(number)]
    found = []
    for begin, lasting, repair in zip(begins, lasts, repairs, strict=True):
        end = begin + lasting
        if heartbeat is not None:
            hours, beat = float(heartbeat[:-1]), 0
            while beat * hours / 24 < begin:
                beat += 1
            end = min(end, beat * hours / 24 + repair)
        found.append((begin, end))
    return found


@pytest.mark.parametrize(("minutes", "days"), [(5, 100), (10, 1000), (60, 1000), (7 * 60, 1050)])
def test_a_repair_that_is_due_at_a_look_is_done_in_time(minutes, days):
    """Beats, repairs and looks fall together: an outage blinds the look that notices it, and two more."""
    window = f"{minutes}min"
    given = {"rate": "0.5/d", "unnoticed": "90d", "heartbeat": window, "repair": f"{3 * minutes}min"}
    found = blind(5, f"{days}d", window, **given)
    rng = randomness.stream(5, 0, "outages")
    onset = rng.random(rng.poisson(0.5 * days)) * days
    expected = np.zeros(len(found) + 3, dtype=bool)
    for step in range(3):
        expected[np.floor(onset * 1440 / minutes).astype(int) + step] = True
    assert np.array_equal(found, expected[: len(found)])


@pytest.mark.parametrize("given", [None, {}, {"retention": "7d"}])
def test_a_path_without_outages_never_fails(given):
    system = scenario(given)
    found = blind_windows(system, lambda name: pytest.fail(f"no need of stream {name}"))
    assert found.shape == (system.windows,)
    assert found.dtype == np.bool_
    assert not found.any()


def test_a_run_tells_when_nobody_hears_the_monitors():
    system = scenario({"outages": {"rate": "0.3/d", "unnoticed": "8h"}})
    result = sim.run(system, seed=3)
    told = [(e.kind, e.time) for e in result.raw_events if e.subject == "path"]
    down = World(system, 3, 0).blind
    assert down is not None
    assert len(told) >= 6
    heard = np.ones(len(down), dtype=bool)
    starts = [round(time * 24) - 1 for kind, time in told if kind == "monitoring down"]
    ends = [round(time * 24) - 1 for kind, time in told if kind == "monitoring up"] + [len(down)]
    for start, end in zip(starts, ends, strict=False):
        heard[start:end] = False
    np.testing.assert_array_equal(heard, ~down)
