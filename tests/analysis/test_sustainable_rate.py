"""Verdicts on the trend, and the largest rate that a fleet carries.

Runs have fixed seeds. Where a verdict is tested on noise the expected number of errors in a test is stated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_fleets import BATCHES, small_fleet

from analysis.load_trend import trend_of
from analysis.sustainable_rate import stretch_of, sustainable_rate
from analysis.traffic_scaling import scaled
from scenarios.loader import validate_mapping

Array = NDArray[np.float64]
TIMES = np.arange(1000.0)


def queue(drift: Array, seed: int) -> Array:
    """Waiting requests of a queue whose arrivals exceed its services by `drift` on average in each step."""
    steps = drift + np.random.default_rng(seed).normal(0.0, 3.0, len(drift))
    walk = np.concatenate(([0.0], np.cumsum(steps)))[:-1]
    return np.asarray(walk - np.minimum.accumulate(walk))


def verdicts(drift: Array, runs: int = 40, period: float = 0.0) -> list[str]:
    found = []
    for seed in range(runs):
        waiting = queue(drift, seed)
        found.append(trend_of(TIMES, waiting + 10.0, waiting, period).verdict)
    return found


def test_a_queue_with_room_is_stable_however_long_it_is() -> None:
    """At 99 % and five standard errors: fewer than 2 wrong verdicts of 40 expected."""
    assert verdicts(np.full(1000, -0.5)).count("stable") >= 38
    long = 1e5 + np.random.default_rng(0).normal(0.0, 100.0, 1000)
    assert trend_of(TIMES, long, long).verdict == "stable"


def test_a_queue_that_grows_all_the_time_is_overloaded_however_short_it_is() -> None:
    """A drift of 10 standard errors over the run: no wrong verdict expected."""
    assert set(verdicts(np.full(1000, 1.0))) == {"overloaded"}


def test_a_queue_that_grows_for_a_while_and_comes_back_is_backlogged() -> None:
    drift = np.full(1000, -1.0)
    drift[300:500] = 3.0
    assert verdicts(drift).count("backlogged") >= 38
    trend = trend_of(TIMES, queue(drift, 0), queue(drift, 0))
    assert trend.stretch is not None
    assert 280.0 < trend.stretch[0] < 420.0
    assert trend.stretch[1] < 510.0


def test_nights_do_not_hide_that_each_day_begins_with_more() -> None:
    day = np.concatenate((np.full(60, 4.0), np.full(40, -4.0)))
    assert set(verdicts(np.tile(day, 10), runs=10, period=100.0)) == {"overloaded"}
    evening = np.concatenate((np.full(60, 4.0), np.full(40, -8.0)))
    assert set(verdicts(np.tile(evening, 10), runs=10, period=100.0)) == {"backlogged"}


def test_too_few_moments_are_refused() -> None:
    with pytest.raises(ValueError, match="got 10 moments"):
        trend_of(TIMES[:10], TIMES[:10], TIMES[:10])


FLEETS: list[tuple[dict[str, Any], float]] = [
    ({"service": {"kind": "exponential", "mean": "20ms"}}, 50.0),
    ({"service": {"kind": "exponential", "mean": "20ms"}, "replicas": 8}, 400.0),
    ({"service": "20ms", "replicas": 4}, 200.0),
    ({"service": "20ms", "replicas": 4, "queue_limit": 10, "timeout": "1s"}, 200.0),
    (BATCHES, 100.0),
]


@pytest.mark.parametrize(("pool", "carried"), FLEETS)
def test_the_largest_rate_is_that_of_servers_that_never_rest(pool: dict[str, Any], carried: float) -> None:
    """Within 2 %, which is more than 4 standard errors of the growth of 200,000 requests."""
    scenario = small_fleet(pool, rate=f"{carried / 3:g}/s", horizon="10h")
    found = sustainable_rate(scenario, requests=200_000, factors=(2.0, 5.0))
    assert found.maximum == pytest.approx(carried, rel=0.02)
    assert found.bound == pytest.approx(carried, rel=1e-6)
    assert found.overloaded_factor <= found.factor * 1.006
    assert found.verdict == "stable"
    assert [found.at(factor).trend.verdict for factor in (2.0, 5.0)] == ["stable", "overloaded"]


def test_an_autoscaled_fleet_carries_what_its_maximum_does() -> None:
    pool = {
        "service": "20ms",
        "replicas": 2,
        "autoscaler": {"kind": "target_utilisation", "maximum": 5, "cold_start": "20s", "interval": "10s"},
    }
    found = sustainable_rate(small_fleet(pool, rate="50/s", horizon="10h"), requests=200_000)
    assert found.maximum == pytest.approx(250.0, rel=0.03)


def test_traffic_is_scaled_whatever_it_is_made_of() -> None:
    plain = small_fleet({"service": "20ms"}, rate="10/s")
    assert scaled(plain, 2.0).traffic.rate == pytest.approx(20.0 * 86_400)
    assert scaled(plain, 1.0) is plain
    with pytest.raises(ValueError, match="factor: got 0"):
        scaled(plain, 0.0)


def test_the_busiest_stretch_is_looked_at() -> None:
    weeks = validate_mapping(
        small_fleet({"service": "20ms"})._written
        | {
            "horizon": "14d",
            "window": "1h",
            "traffic": {"rate": "10/s", "daily_profile": [1, 2], "weekly_profile": [1, 1, 1, 2, 2, 2, 2]},
        }
    )
    begin, days, period = stretch_of(weeks, 100_000, 15.0)
    assert (begin, days, period) == (3.0, 4.0, 1.0)
    steady = small_fleet({"service": "20ms"}, horizon="10h")
    begin, days, period = stretch_of(steady, 36_000, 50.0)
    assert (begin, period) == (0.0, 0.0)
    assert days * 86_400 == pytest.approx(720.0)
