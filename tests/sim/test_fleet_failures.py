"""Replicas that break and spot capacity that is taken back: availability, shares, waits for others, money.

Statistical tests compare with theory within an interval that a correct fleet leaves once in 1,000 seeds (TRUST); seeds
are fixed, so that a pass stays a pass.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from scenarios.distributions import Lognormal, Weibull
from sim.durations import mean
from sim.fleet_result import FleetResult

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from fleet_cases import ran, times_of

TRUST = 0.999
HOUR = 1.0 / 24.0
WEIBULL = {"kind": "weibull", "scale": "90min", "shape": 0.6}
LOGNORMAL = {"kind": "lognormal", "median": "10min", "p95": "90min"}


def broken(seed: int = 0, *, replicas: int = 10, horizon: str = "4d", **failures: Any) -> FleetResult:
    pool = {"replicas": replicas, "service": "1s", "failures": failures}
    # An objective by the hour: the load is noted as often.
    return ran(pool, seed=seed, rate="1/h", horizon=horizon, objective={"p99": "1h", "interval": "1h"})


def interval(values: list[float]) -> tuple[float, float]:
    """Mean of replications, and half of its Student interval."""
    quantile = stats.t.ppf(0.5 + TRUST / 2, len(values) - 1)
    return float(np.mean(values)), float(quantile * np.std(values, ddof=1) / math.sqrt(len(values)))


def by_replica(result: FleetResult, kind: str) -> np.ndarray:
    events = result.events[result.events.kind == kind]
    return events.details.value_counts().to_numpy()


# --- failures ---


@pytest.mark.parametrize(
    ("between", "repair", "expected"),
    [
        (
            {"kind": "exponential", "mean": "2h"},
            {"kind": "exponential", "mean": "20min"},
            120.0 / (120.0 + 20.0 + 2.0),
        ),
        (
            WEIBULL,
            LOGNORMAL,
            mean(Weibull(**WEIBULL))
            / (mean(Weibull(**WEIBULL)) + mean(Lognormal(**LOGNORMAL)) + 2.0 / 1440.0),
        ),
    ],
)
def test_availability_is_the_working_share_of_a_cycle(between: Any, repair: Any, expected: float) -> None:
    """Time between failures, by it and the repair and the cold start (2 min); also with heavy tails."""
    found = [
        broken(seed, between=between, repair=repair, horizon="10d").summary["replicas"] / 10.0
        for seed in range(10)
    ]
    middle, half = interval(found)
    assert half < 0.02
    assert abs(middle - expected) < half


def test_a_broken_replica_of_a_fixed_pool_comes_back_after_repair_and_cold_start() -> None:
    result = broken(between="1h", repair="10min", replicas=1, horizon="4h")
    cycle = (60.0 + 10.0 + 2.0) / 1440.0
    np.testing.assert_allclose(times_of(result, "replica failed"), [HOUR, HOUR + cycle, HOUR + 2 * cycle])
    np.testing.assert_allclose(times_of(result, "replica up"), [0.0, cycle, 2 * cycle, 3 * cycle])
    # Nobody pays while it is repaired.
    assert result.summary["gpu_hours"] == pytest.approx(4.0 - 3.0 * 10.0 / 60.0)


def test_an_autoscaler_replaces_a_broken_replica_at_its_next_decision() -> None:
    autoscaler = {"kind": "target_utilisation", "minimum": 3, "cold_start": "100s", "interval": "1min"}
    pool = {"replicas": 3, "service": "1s", "autoscaler": autoscaler}
    pool["failures"] = {"between": "90.5min", "repair": "30d"}
    result = ran(pool, rate="1/h", horizon="3h")
    minute = 1.0 / 1440.0
    np.testing.assert_allclose(times_of(result, "replica failed"), [90.5 * minute] * 3)
    np.testing.assert_allclose(times_of(result, "replica launched")[3:], [91.0 * minute] * 3)
    np.testing.assert_allclose(times_of(result, "replica up")[3:], [91.0 * minute + 100.0 / 86400.0] * 3)


def test_replicas_differ_in_how_often_they_fail() -> None:
    """Counts of failures by replica: as Poisson counts, and spread out where rates differ (gamma).

    Without differences the index of dispersion is that of a chi-square law; with them it is 1 + cv^2 x mean.
    """
    fails = {"between": {"kind": "exponential", "mean": "6h"}, "repair": "1s"}
    alike = by_replica(broken(replicas=60, horizon="5d", **fails), "replica failed")
    spread = by_replica(broken(replicas=60, horizon="5d", rate_cv=1.0, **fails), "replica failed")
    index = alike.var(ddof=1) / alike.mean()
    low, high = stats.chi2.ppf([0.5 - TRUST / 2, 0.5 + TRUST / 2], len(alike) - 1) / (len(alike) - 1)
    assert low < index < high
    assert spread.var(ddof=1) / spread.mean() > 4.0


def test_requests_of_a_broken_replica_are_served_by_others() -> None:
    pool = {"replicas": 5, "service": {"kind": "exponential", "mean": "5s"}}
    pool["failures"] = {"between": {"kind": "exponential", "mean": "10min"}, "repair": "1min"}
    summary = ran(pool, rate="0.5/s", horizon="6h").summary
    assert summary["restarts"] > 30
    assert summary["requests"] == summary["served"] + summary["in_flight"]


# --- spot ---


def spot_pool(**fields: Any) -> dict[str, Any]:
    spot = {"lifetime": {"kind": "exponential", "mean": "4h"}, "notice": "2min", "replacement": "3min"}
    return {"replicas": 8, "service": "2s", "spot": spot | fields}


@pytest.mark.parametrize(("share", "spots"), [(1.0, 8), (0.5, 4), (0.3, 2)])
def test_the_share_of_spot_replicas_is_rounded_down(share: float, spots: int) -> None:
    result = ran(spot_pool(share=share), rate="1/s", horizon="2h")
    launched = result.events[result.events.kind == "replica launched"].iloc[:8]
    assert launched.details.str.contains("spot").sum() == spots


def test_what_spot_saves_is_the_discount_of_its_hours() -> None:
    result = ran(spot_pool(share=0.5, discount=0.8), rate="1/s", horizon="2d")
    summary, price = result.summary, result.scenario.serving.pools[0].price / 24.0
    assert 0.4 < summary["spot_gpu_hours"] / summary["gpu_hours"] < 0.5
    full = price * summary["gpu_hours"]
    assert full - summary["serving_cost"] == pytest.approx(0.8 * price * summary["spot_gpu_hours"])


def test_how_often_spot_is_taken_back() -> None:
    """Exponential lifetimes: reclaims are a Poisson count of mean hours up by the mean lifetime."""
    result = ran(spot_pool(notice="0s"), rate="6/h", horizon="10d")
    expected = result.parts[0].fleet.pools[0].was_up / (4.0 * 3600.0)
    found = result.pools().loc["main", "reclaimed"]
    low, high = stats.poisson.ppf([0.5 - TRUST / 2, 0.5 + TRUST / 2], expected)
    assert expected > 300
    assert low <= found <= high


def test_a_notice_lets_requests_finish() -> None:
    """Those that are served when a replica goes are begun anew: without notice as many as are busy then."""
    without = ran(spot_pool(notice="0s"), rate="2/s", horizon="4d")
    reclaimed = without.pools().loc["main", "reclaimed"]
    busy = without.summary["utilisation"]
    half = stats.norm.ppf(0.5 + TRUST / 2) * math.sqrt(reclaimed * busy * (1.0 - busy))
    assert abs(without.summary["restarts"] - reclaimed * busy) < half
    assert ran(spot_pool(notice="3s"), rate="2/s", horizon="4d").summary["restarts"] == 0


@pytest.mark.parametrize("kind", ["fixed", "target_utilisation"])
def test_everybody_waits_for_spot_capacity(kind: str) -> None:
    """An autoscaler too: a machine is there after the time that finding one takes, and starts then."""
    autoscaler = {"kind": kind} | ({"minimum": 1, "cold_start": "2min"} if kind != "fixed" else {})
    pool = {"replicas": 1, "service": "1s", "autoscaler": autoscaler}
    pool["spot"] = {"lifetime": "61.5min", "notice": "2min", "replacement": "10min"}
    result = ran(pool, rate="1/min", horizon="2h")
    minute = 1.0 / 1440.0
    np.testing.assert_allclose(times_of(result, "spot reclaimed"), [59.5 * minute])
    np.testing.assert_allclose(times_of(result, "replica gone"), [61.5 * minute])
    np.testing.assert_allclose(times_of(result, "replica launched")[1:], [71.5 * minute])
    np.testing.assert_allclose(times_of(result, "replica up")[1:], [73.5 * minute])
