"""Autoscalers of a fleet: where they settle, how soon they follow, what they keep to.

Requests at even distances make most of this exact: no interval of trust is needed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenarios.serving_pools import ServingPool
from sim.autoscaling import Reading, Sizing
from sim.fleet_result import FleetResult

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from fleet_cases import ran, times_of

MINUTE = 1.0 / 1440.0
SECOND = 1.0 / 86400.0


def scaled(
    *, replicas: int, service: str = "500ms", autoscaler: dict[str, Any], **fields: Any
) -> FleetResult:
    pool = {"replicas": replicas, "service": service, "autoscaler": autoscaler}
    return ran(pool, **({"arrivals": "deterministic"} | fields))


def target(**fields: Any) -> dict[str, Any]:
    return {"kind": "target_utilisation", "target": 0.5, "cold_start": "97s", "maximum": 100} | fields


def ready(result: FleetResult, minute: float) -> float:
    """Replicas that take requests, on average in the minute that ends then."""
    load = result.load()
    return float(load.ready[np.argmin(abs(load.time_days - minute * MINUTE))])


@pytest.mark.parametrize("start", [3, 20, 60])
def test_target_utilisation_settles_at_load_by_target(start: int) -> None:
    """20 requests/s of 0.49 s are 9.8 busy replicas; the target is 50 %."""
    result = scaled(replicas=start, service="490ms", rate="20/s", autoscaler=target(tolerance=0.02))
    np.testing.assert_allclose(result.load().ready.iloc[-30:], 20.0)
    assert result.load().busy.iloc[-30:].mean() == pytest.approx(9.8, rel=1e-3)


def test_a_step_is_followed_after_an_interval_and_a_cold_start() -> None:
    """The rate doubles after an hour; what the next decision asks for is up after its cold start."""
    traffic = {"daily_profile": [1.0, 2.0, *[1.5] * 22]}
    result = scaled(
        replicas=10, rate="15/s", horizon="2h", traffic=traffic, autoscaler=target(tolerance=0.05)
    )
    launched = np.array([at for at in times_of(result, "replica launched") if at > 0.0]) / MINUTE
    up = np.array([at for at in times_of(result, "replica up") if at > 0.0]) / MINUTE
    assert np.all(launched == pytest.approx(61.0))
    assert len(launched) == 10
    np.testing.assert_allclose(up, 61.0 + 97.0 / 60.0)
    assert ready(result, 62.0) == pytest.approx(10.0)
    assert ready(result, 64.0) == pytest.approx(20.0)


def test_a_pool_shrinks_only_after_its_cool_down() -> None:
    """The rate halves after an hour: the decision at that moment is the last that asks for what was needed before."""
    traffic = {"daily_profile": [2.0, 1.0, *[1.5] * 22]}
    for cool_down, last in (("5min", 66.0), ("0s", 61.0), ("17min", 78.0)):
        result = scaled(
            replicas=20,
            service="490ms",
            rate="15/s",
            horizon="2h",
            traffic=traffic,
            autoscaler=target(cool_down=cool_down),
        )
        drained = np.array(times_of(result, "replica drained")) / MINUTE
        assert len(drained) == 10
        np.testing.assert_allclose(drained, last)


def test_the_size_of_the_start_is_kept_for_a_cool_down() -> None:
    result = scaled(replicas=40, rate="20/s", horizon="1h", autoscaler=target(cool_down="8min"))
    np.testing.assert_allclose(np.array(times_of(result, "replica drained")) / MINUTE, 9.0)


@pytest.mark.parametrize(("tolerance", "changes"), [(0.2, 0), (0.05, 3)])
def test_what_is_within_the_tolerance_is_left_alone(tolerance: float, changes: int) -> None:
    """23 replicas for 10 busy ones: 13 % less than the target."""
    result = scaled(replicas=23, rate="20/s", autoscaler=target(tolerance=tolerance))
    assert len(times_of(result, "replica drained")) == changes


def test_limits_are_kept() -> None:
    result = scaled(replicas=5, rate="20/s", autoscaler=target(minimum=5, maximum=12))
    assert result.load().ready.max() == pytest.approx(12.0)
    quiet = scaled(replicas=8, rate="1/min", autoscaler=target(minimum=3, maximum=12))
    assert quiet.load().ready.iloc[-1] == pytest.approx(3.0)


def test_queue_length_settles_at_requests_by_target() -> None:
    """10 requests are served at any moment and none waits: 5 replicas have 2 each, as the target says, in 1 s turns."""
    autoscaler = {"kind": "queue_length", "target": 0.5, "cold_start": "97s", "maximum": 40}
    result = scaled(replicas=12, rate="20/s", autoscaler=autoscaler)
    assert result.load().ready.iloc[-30:].mean() == pytest.approx(20.0, abs=2.0)
    assert result.load().waiting.iloc[-30:].max() == 0


def test_a_pool_without_replicas_wakes_up() -> None:
    """There is no load to measure without replicas, but there are requests."""
    result = scaled(replicas=1, rate="12/h", horizon="4h", autoscaler=target(minimum=0, cool_down="1min"))
    assert result.load().ready.min() == 0.0
    assert result.summary["in_flight"] <= 1
    assert result.quantile(0.99) < 60.0 + 97.0 + 1.0
    assert result.quantile(0.01) == pytest.approx(0.5, abs=0.01) or result.quantile(0.01) > 90.0


@pytest.mark.parametrize("cold_start", ["2min", "97s", "15min"])
def test_planned_sizes_are_ready_at_their_time(cold_start: str) -> None:
    """Not later, and at most an interval sooner; nothing goes before its time."""
    plan = [{"at": "2h", "replicas": 6}, {"at": "5h", "replicas": 2}]
    autoscaler = {
        "kind": "scheduled",
        "plan": plan,
        "cold_start": cold_start,
        "cool_down": "0s",
        "minimum": 1,
    }
    result = scaled(replicas=2, rate="1/s", horizon="8h", autoscaler=autoscaler)
    up = np.array([at for at in times_of(result, "replica up") if at > 0.0]) / MINUTE
    assert len(up) == 4
    assert np.all((up <= 120.0 + 1e-6) & (up > 119.0 - 1e-6))
    drained = np.array(times_of(result, "replica drained")) / MINUTE
    assert len(drained) == 4
    assert np.all((drained >= 300.0 - 1e-6) & (drained <= 301.0 + 1e-6))


def test_prediction_beats_reaction_on_a_steep_day() -> None:
    """Model loading takes 10 minutes and mornings are steep: who looks ahead misses less, at GPU hours within 3 %."""
    rise = [1.0 + 8.0 * step / 6.0 for step in range(6)]
    steep = [1.0] * 24 + rise + [9.0] * 32 + rise[::-1] + [1.0] * 28

    def run(kind: str) -> Any:
        return scaled(
            replicas=15,
            service="1s",
            rate="15/s",
            horizon="3d",
            window="15min",
            traffic={"daily_profile": steep},
            arrivals="poisson",
            objective={"p99": "3s"},
            autoscaler={"kind": kind, "cold_start": "10min", "maximum": 150, "target": 0.7},
        )

    reacting, predicting = run("target_utilisation"), run("predictive")

    def missed(result: FleetResult) -> int:
        """Minutes after the first day, in which nothing can be known of the season."""
        table = result.intervals()
        later = table[table.start_s >= 86400.0]
        return int(((later.slow + later.lost) > 0.01 * later.requests + 1e-9).sum())

    assert missed(reacting) > 60
    assert missed(predicting) < 0.2 * missed(reacting)
    hours = [result.summary["gpu_hours"] for result in (reacting, predicting)]
    assert hours[1] == pytest.approx(hours[0], rel=0.03)


def test_in_a_flash_crowd_the_queue_grows_for_a_cold_start() -> None:
    crowd = {"start": "1h", "duration": "30min", "factor": 6.0}
    result = scaled(
        replicas=8,
        rate="8/s",
        horizon="2h",
        window="30min",
        traffic={"campaigns": [crowd]},
        autoscaler=target(cold_start="5min"),
    )
    load = result.load()
    minute = load.time_days / MINUTE
    growing = load.waiting[(minute > 60.5) & (minute < 66.5)]
    assert np.all(np.diff(growing) > 0)
    # 48 requests/s come and 16 are served, for a decision and a cold start; utilisation cannot show more than that all
    # are busy, so what comes then is twice as many replicas, and 16/s more wait until the next have started.
    assert load.waiting.max() == pytest.approx((32.0 + 16.0) * 6.0 * 60.0, rel=0.02)
    assert load.waiting[minute > 89.0].max() == 0


def test_a_decision_counts_what_is_missing() -> None:
    """What a failed replica leaves is launched at the next decision, also when the load is within the tolerance."""
    pool = ServingPool.model_validate({"replicas": 10, "service": "1s", "autoscaler": target(tolerance=0.2)})
    reading = Reading(0.1, ready=9, size=10, load=4.9, in_system=5)
    assert Sizing(pool).wanted(reading) == 10


def test_the_memory_of_a_forecast_is_flat() -> None:
    plan = {"kind": "predictive", "interval": "1h", "cold_start": "10min"}
    sizing = Sizing(ServingPool.model_validate({"replicas": 2, "service": "1s", "autoscaler": plan}))
    for hour in range(1, 500):
        sizing.wanted(Reading(hour / 24.0, 2, 2, 1.0 + (hour % 24), 1))
    assert len(sizing.rule._loads) <= 26  # type: ignore[union-attr]
    # An hour and 10 minutes ahead of hour 20 is hour 21 of yesterday; today is like yesterday.
    assert sizing.wanted(Reading(20.0 + 20.0 / 24.0, 2, 2, 21.0, 1)) == 8  # the maximum
