"""A serving fleet keeps its books: requests, GPU hours, money, missed minutes; and bulkheads, paths, overheads hold.

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

from analysis.queueing import psa_mean_wait, psa_wait_probability
from scenarios.accelerators import preset
from scenarios.units import SECONDS_PER_DAY
from sim.fleet_days import run_fleet
from sim.fleet_result import result_of
from sim.pool import SERVED
from sim.service_times import power_speed
from sim.world import World

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from fleet_cases import fleet_of, ran, recorded, small_random_fleet

TRUST = 0.999


# --- books ---


@pytest.mark.parametrize("number", range(100, 112))
def test_every_request_and_every_gpu_hour_is_accounted_for(number: int) -> None:
    scenario = small_random_fleet(number)
    fleet, found = recorded(scenario, World(scenario, seed=number))
    summary, pool = result_of(fleet).summary, fleet.pools[0]
    over = [int((found["status"] == status).sum()) for status in (1, 2, 3)]
    assert [summary[name] for name in ("served", "shed", "timed_out")] == over
    assert summary["in_flight"] == pool.plane.waiting() + pool.plane.in_service()
    assert summary["requests"] == sum(over) + summary["in_flight"]
    assert summary["requests"] == World(scenario, seed=number).requests.sum()

    held = {False: 0.0, True: 0.0}
    there: dict[str, float] = {}
    for event in fleet.events:
        if event.kind == "replica launched":
            assert event.details not in there, "a number is used twice"
            there[event.details] = event.time
        elif event.kind == "replica gone":
            held["spot" in event.details] += event.time - there.pop(event.details)
        assert len(there) <= pool.plan.maximum
    for details, since in there.items():
        held["spot" in details] += scenario.horizon - since
    assert summary["gpu_hours"] == pytest.approx(24.0 * (held[False] + held[True]))
    assert summary["spot_gpu_hours"] == pytest.approx(24.0 * held[True])
    discount = pool.plan.spot.discount if pool.plan.spot else 0.0
    price = pool.plan.accelerator.price
    assert summary["serving_cost"] == pytest.approx(price * (held[False] + (1.0 - discount) * held[True]))


def test_the_same_seed_gives_the_same_run() -> None:
    scenario = small_random_fleet(7)
    one, other, third = run_fleet(scenario, 3), run_fleet(scenario, 3), run_fleet(scenario, 4)
    assert one.summary.to_csv() == other.summary.to_csv() != third.summary.to_csv()
    assert one.events.to_csv() == other.events.to_csv()
    assert one.load().to_csv() == other.load().to_csv()


def test_what_a_replica_of_several_gpus_costs() -> None:
    pool = {
        "replicas": 2,
        "gpus_per_replica": 3,
        "service": "50ms",
        "accelerator": {"preset": "a100_80gb", "price": "$2/h"},
    }
    summary = ran(pool, horizon="2h").summary
    assert summary["gpu_hours"] == pytest.approx(12.0)
    assert summary["total_cost"] == pytest.approx(24.0)
    assert summary["cost_per_1000"] == pytest.approx(24.0 / summary["served"] * 1000.0)


def test_missed_minutes_are_those_of_the_requests() -> None:
    pool = {"replicas": 2, "service": {"kind": "exponential", "mean": "1s"}, "queue_limit": 20}
    path = {"network": {"kind": "lognormal", "median": "100ms", "p95": "400ms"}, "parsing": "20ms"}
    objective = {
        "p90": "3s",
        "max_loss": "2%",
        "interval": "1min",
        "slo_penalty": "$5/min",
        "shed_price": "$0.01",
    }
    scenario = fleet_of(pool, rate="1.6/s", horizon="6h", path=path, objective=objective)
    fleet, found = recorded(scenario, World(scenario))
    result = result_of(fleet)
    latency = found["finish"] - found["arrival"] + fleet.path.of(found["number"])
    missed = 0
    for minute in range(360):
        here = found["arrival"] // 60.0 == minute
        lost = here & (found["status"] != SERVED)
        slow = here & ~lost & (latency > 3.0)
        missed += (slow.sum() + lost.sum()) > 0.1 * here.sum() + 1e-9 or lost.sum() > 0.02 * here.sum() + 1e-9
    assert 20 < missed < 340
    assert result.summary["missed_minutes"] == missed
    all_lost = int((found["status"] != SERVED).sum())
    assert all_lost > 50
    assert result.costs["slo_penalty"] == pytest.approx(5.0 * missed + 0.01 * all_lost)
    served = found["status"] == SERVED
    np.testing.assert_allclose(result.quantile(0.99), np.quantile(latency[served], 0.99), rtol=1e-12)


def test_who_waits_at_the_end_is_late() -> None:
    """Twice as many come as can be served: only the first minute is kept, and its last requests are late as well."""
    pool = {"replicas": 1, "service": "1s"}
    result = ran(pool, rate="2/s", horizon="1h", arrivals="deterministic", objective={"p90": "70s"})
    table = result.intervals()
    assert result.summary["in_flight"] == table.unfinished.sum() > 3500
    # Who comes at t waits t; nobody knows yet of the last 70 s, whose minutes do not count.
    assert result.summary["missed_minutes"] == 60 - 1 - 2


def test_utilisation_is_over_all_time() -> None:
    """The last stretch counts, however long it is: at even distances everything is known."""
    pool = {"replicas": 4, "service": "1s"}
    result = ran(pool, rate="2/s", horizon="3000s", window="10min", arrivals="deterministic")
    assert result.summary["utilisation"] == pytest.approx(0.5, abs=2e-4)
    assert result.summary["replicas"] == pytest.approx(4.0)
    assert result.load()["days"].sum() == pytest.approx(3000.0 / SECONDS_PER_DAY)
    np.testing.assert_allclose(result.load()["busy"].iloc[1:-1], 2.0, atol=0.05)


# --- the path, bulkheads, overheads, power ---


def test_latency_is_the_sum_of_the_stages() -> None:
    path = {
        "network": "7ms",
        "feature_fetch": "11ms",
        "parsing": "3ms",
        "post_processing": "5ms",
        "serialisation": "2ms",
    }
    result = ran({"replicas": 5, "service": "40ms"}, rate="20/min", path=path, arrivals="deterministic")
    assert result.quantile(0.0) == pytest.approx(0.068)
    assert result.quantile(1.0) == pytest.approx(0.068)


def test_random_stages_add_up_to_their_law() -> None:
    """Mean and tail of the sum: against independent draws, 400,000 of them (tails agree to 3 %)."""
    path = {
        "network": {"kind": "lognormal", "median": "10ms", "p95": "40ms"},
        "feature_fetch": {"kind": "exponential", "mean": "8ms"},
        "parsing": {"kind": "uniform", "low": "1ms", "high": "9ms"},
        "serialisation": "2ms",
    }
    result = ran({"replicas": 20, "service": "40ms"}, rate="5/s", horizon="12h", path=path)
    luck = np.random.default_rng(1)
    sigma = math.log(4.0) / stats.norm.ppf(0.95)
    n = 400_000
    plain = (
        0.010 * np.exp(sigma * luck.standard_normal(n))
        + luck.exponential(0.008, n)
        + luck.uniform(0.001, 0.009, n)
    )
    for chance in (0.1, 0.5, 0.9, 0.99):
        assert result.quantile(chance) == pytest.approx(0.042 + np.quantile(plain, chance), rel=0.03)
    half = stats.norm.ppf(0.5 + TRUST / 2) * plain.std() * math.sqrt(1.0 / result.summary["served"] + 1.0 / n)
    assert abs(result.summary["mean_s"] - 0.042 - plain.mean()) < half + 1e-6


def test_an_overloaded_experiment_does_not_touch_the_main_pool() -> None:
    def run(service: str) -> Any:
        experiment = {"name": "experiment", "share": "10%", "replicas": 1, "service": service}
        return ran(
            {"replicas": 4, "service": {"kind": "exponential", "mean": "500ms"}}, experiment, rate="5/s"
        )

    easy, overloaded = run("10ms"), run("10s")
    for chance in (0.1, 0.5, 0.99, 1.0):
        assert easy.quantile(chance, "main") == overloaded.quantile(chance, "main")
    assert overloaded.quantile(0.5, "experiment") > 600.0
    shares = overloaded.pools()["requests"] / overloaded.summary["requests"]
    spread = math.sqrt(0.09 / overloaded.summary["requests"])
    assert abs(shares["experiment"] - 0.1) < stats.norm.ppf(0.5 + TRUST / 2) * spread
    assert overloaded.pools()["requests"].sum() == overloaded.summary["requests"]


def test_a_shadow_raises_utilisation_by_its_extra() -> None:
    overhead = {"extra": "15%", "cadence": "4h", "first": "2h", "lasts": "2h"}
    result = ran(
        {"replicas": 2, "service": "500ms"},
        rate="2/s",
        horizon="8h",
        arrivals="deterministic",
        overheads=[overhead],
    )
    load = result.load()
    shadowed = (load.time_days * 24.0 - 1e-9) % 4.0 > 2.0
    assert load.busy[shadowed].mean() == pytest.approx(1.15, rel=1e-3)
    assert load.busy[~shadowed].mean() == pytest.approx(1.0, rel=1e-3)
    assert result.events.kind.tolist().count("shadow begins") == 2


def test_a_power_cap_slows() -> None:
    pool = {"replicas": 4, "service": "100ms", "accelerator": "a100_80gb"}
    free, capped = ran(pool).summary, ran(pool | {"power_cap": "250 W"}).summary
    speed = power_speed(preset("a100_80gb"), 250.0)
    assert 0.5 < speed < 0.95
    assert capped["p50_s"] == pytest.approx(free["p50_s"] / speed, rel=1e-6)
    assert capped["utilisation"] == pytest.approx(free["utilisation"] / speed, rel=1e-3)


# --- against theory ---


def test_a_rate_that_changes_slowly_is_pointwise_stationary() -> None:
    """Ten servers of 0.8 s, a rate that holds for three hours: against the approximation, within the Student interval.

    It knows no transients; they last some minutes here, and 3 % is left for them.
    """
    rates = np.array([4.0, 6.0, 9.0, 11.0, 10.0, 8.0, 6.0, 5.0])
    pool = {"replicas": 10, "service": {"kind": "exponential", "mean": "800ms"}}
    traffic = {"daily_profile": rates.tolist()}
    waits = [
        ran(pool, seed=seed, rate=f"{rates.mean()}/s", horizon="1d", traffic=traffic).summary["mean_wait_s"]
        for seed in range(8)
    ]
    theory = psa_mean_wait(rates, service_time=0.8, servers=10)
    assert psa_wait_probability(rates, service_time=0.8, servers=10) > 0.2
    half = stats.t.ppf(0.5 + TRUST / 2, len(waits) - 1) * np.std(waits, ddof=1) / math.sqrt(len(waits))
    assert half < 0.2 * theory
    assert abs(np.mean(waits) - theory) < half + 0.03 * theory
