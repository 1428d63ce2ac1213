"""The library's scenarios of serving: what their stories claim comes out when their fleets are played.

Statements about means hold by 99.9 % intervals (Student) of fixed replications: a right program with other random
numbers would break each of them, there are eight, once in a thousand times. Other bounds are exact, or wide compared
with what chance does. Horizons are cut where that changes nothing that is claimed.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import scenarios
from analysis import queueing
from analysis.statistics import Interval, mean_interval
from scenarios.overlays import overlaid
from scenarios.schema import Scenario
from scenarios.serving_services import LanguageModel
from scenarios.units import SECONDS_PER_DAY
from sim.durations import mean, quantile
from sim.fleet_days import run_fleet
from sim.fleet_result import FleetResult
from sim.pool_sequences import Iteration
from sim.service_times import sequence_times, sequences_of

TRUST = 0.999
TRACE = Path(__file__).parents[3] / "shared" / "data" / "llm_conversation_trace.csv.gz"
NAMES = (
    "gpu_serving_100ms", "a100_cost", "llm_70b_kv_cache", "flash_sale", "shared_training_pool", "spot_training",
    "llm_conversation",
)  # fmt: skip


def variant(name: str, overlay: str = "base", **changes: Any) -> Scenario:
    scenario = scenarios.load(name)
    scenario = scenario if overlay == "base" else overlaid(scenario, overlay)
    return scenario.with_(**changes) if changes else scenario


def main_pool(scenario: Scenario, **fields: Any) -> Scenario:
    """The scenario with other fields of its pool."""
    return overlaid(scenario, {"serving": {"pools": {"main": fields}}})


@cache
def played(name: str, overlay: str = "base", horizon: str | None = None, replication: int = 0) -> FleetResult:
    changes = {} if horizon is None else {"horizon": horizon}
    return run_fleet(variant(name, overlay, **changes), replication=replication)


def between(found: FleetResult, first: float, last: float) -> pd.DataFrame:
    """Minutes of the objective from one hour of the run to another."""
    table = found.intervals()
    return table[(table["start_s"] >= first * 3600.0) & (table["start_s"] < last * 3600.0)]


def interval_of(values: Any) -> Interval:
    return mean_interval(np.asarray(values, dtype=np.float64), TRUST)


@pytest.mark.parametrize("name", NAMES)
def test_every_one_has_an_objective_a_search_and_overlays_that_fit(name):
    scenario = scenarios.load(name)
    assert scenario.serving is not None
    assert scenario.serving.objective is not None
    assert scenario.serving.search.replicas is not None or name == "spot_training"
    assert scenario.story
    assert scenario.question
    assert scenario.source
    assert scenario.overlays
    for overlay in scenario.overlays:
        changed = variant(name, overlay)
        assert changed.serving is not None
        assert changed != scenario or (name, overlay) == ("spot_training", "checkpoint")


# ---------------------------------------------------------------- gpu_serving_100ms


def test_the_budget_adds_up_to_100_ms():
    found = {}
    for service in ("45ms", "22.5ms"):
        changed = {"search": None, "pools": [{"replicas": 16, "service": service}]}
        scenario = overlaid(variant("gpu_serving_100ms", horizon="6h"), {"serving": changed})
        found[service] = run_fleet(scenario).summary["p50_s"]
    assert found["45ms"] == pytest.approx(0.100, abs=1e-9)
    # The source: a model twice as fast gains 1.3 times from end to end.
    assert found["45ms"] / found["22.5ms"] == pytest.approx(100.0 / 77.5)
    assert round(found["45ms"] / found["22.5ms"], 1) == 1.3


def test_two_a100_hold_the_promise_and_one_breaks_it_in_the_evening():
    two, one = played("gpu_serving_100ms"), played("gpu_serving_100ms", "one_gpu")
    assert two.summary["missed_minutes"] == 0
    assert two.summary["cost_per_1000"] == pytest.approx(2 * 24 * 3.0 / 1000, rel=0.003)
    assert two.summary["utilisation"] == pytest.approx(1e6 * 0.015 / 86400 / 2, rel=0.003)
    assert 0.09 < one.summary["p99_s"] < 0.1
    assert 400 < one.summary["missed_minutes"] < 600
    table = one.intervals()
    missed = table[table["slow"] > 0.01 * table["requests"]]
    assert ((missed["start_s"] / 3600.0 % 24.0).between(18, 23)).mean() > 0.9


def test_small_gpus_hold_it_for_half_the_price():
    small, large = (played("gpu_serving_100ms", overlay, "1d").summary for overlay in ("small_gpus", "base"))
    assert small["p99_s"] < 0.1
    assert small["serving_cost"] / large["serving_cost"] == pytest.approx(4 * 0.8 / (2 * 3.0))


def test_one_gpu_waits_as_the_pointwise_stationary_queue():
    scenario = variant("gpu_serving_100ms", "one_gpu", horizon="1d")
    profile = np.array(scenario.traffic.daily_profile)
    rates = 1e6 / 86400.0 * profile / profile.mean()
    waits = queueing.md1_mean_wait(arrival_rate=rates, service_time=0.015)
    expected = float((rates * waits).sum() / rates.sum())
    found = interval_of([run_fleet(scenario, replication=n).summary["mean_wait_s"] for n in range(6)])
    assert found.low < expected < found.high
    assert found.half_width < 0.02 * expected


def test_the_p99_of_the_stages_do_not_add_up():
    scenario = variant("gpu_serving_100ms", "stages_vary")
    assert scenario.serving is not None
    path = scenario.serving.path
    for stage, budget in (("network", 0.015), ("feature_fetch", 0.025), ("post_processing", 0.015)):
        (worst,) = quantile(getattr(path, stage), np.array([0.99])) * SECONDS_PER_DAY
        assert worst == pytest.approx(budget, rel=0.002)
    found = played("gpu_serving_100ms", "stages_vary", "1d").summary["p99_s"]
    assert found == pytest.approx(0.057, abs=0.003)


# ---------------------------------------------------------------- a100_cost


def test_a_thousand_inferences_cost_six_cents():
    found = played("a100_cost").summary
    assert found["serving_cost"] == pytest.approx(24 * 3.0)
    assert found["cost_per_1000"] == pytest.approx(24 * 3.0 / found["served"] * 1000)
    assert found["cost_per_1000"] == pytest.approx(0.06, abs=0.0003)  # 5 standard deviations of the requests
    assert found["utilisation"] == pytest.approx(50_000 * 0.05 / 3600, rel=0.005)


def test_the_wait_at_69_percent_is_that_of_constant_services():
    waits = [played("a100_cost", replication=n).summary["mean_wait_s"] for n in range(8)]
    exact = queueing.md1_mean_wait(arrival_rate=50_000 / 3600, service_time=0.05)
    found = interval_of(waits)
    assert found.low < exact < found.high
    assert found.half_width < 0.03 * exact


def test_the_price_follows_what_the_gpu_is_given_to_do():
    half, batched = (played("a100_cost", overlay).summary for overlay in ("half_the_traffic", "batches"))
    assert half["cost_per_1000"] == pytest.approx(0.12, abs=0.001)
    assert batched["cost_per_1000"] == pytest.approx(0.015, abs=0.0001)
    exact = queueing.batch_service(
        arrival_rate=200_000 / 3600, curve=[0.04 + 0.01 * size for size in range(1, 9)]
    )
    assert batched["mean_s"] == pytest.approx(exact.mean_latency, rel=0.02)
    assert batched["mean_batch"] == pytest.approx(exact.mean_batch, rel=0.01)
    assert batched["p99_s"] < played("a100_cost").summary["p99_s"]


def test_right_sizing_saves_35_to_50_percent_of_the_gpus():
    fixed, sized = (played("a100_cost", overlay).summary for overlay in ("sized_for_the_peak", "right_sized"))
    saved = 1.0 - sized["serving_cost"] / fixed["serving_cost"]
    assert 0.35 < saved < 0.5
    assert saved == pytest.approx(0.43, abs=0.02)
    assert sized["missed_minutes"] <= 5


# ---------------------------------------------------------------- llm_70b_kv_cache


def iteration_of(scenario: Scenario) -> Iteration:
    assert scenario.serving is not None
    return sequence_times(scenario.serving.pool())


def most_answers(times: Iteration, sequences: float, tokens_in: int = 2048, tokens_out: int = 6144) -> float:
    """Answers a second of a replica that always runs so many sequences, whose ages are spread evenly."""
    cached = sequences * (tokens_in + (tokens_out - 1) / 2.0)
    writing = tokens_out * (
        times.overhead + max(times.per_sequence * sequences, times.weights_read + times.per_kv_token * cached)
    )
    return sequences / (writing + sequences * times.prefill_per_token * tokens_in)


@pytest.mark.parametrize(
    ("overlay", "fit"),
    [("base", 55), ("long_answers", 36), ("small_cache", 110), ("small_weights", 81), ("wide_replica", 162)],
)
def test_as_many_sequences_run_as_the_cache_has_room_for(overlay, fit):
    scenario = variant("llm_70b_kv_cache", overlay, horizon="1h", traffic__rate="3/s")
    assert scenario.serving is not None
    pool, sizes = scenario.serving.pool(), scenario.serving.sizes
    model = pool.service
    assert isinstance(model, LanguageModel)
    length = sizes.tokens_in.value + sizes.tokens_out.value  # type: ignore[union-attr]  # fixed numbers
    each = length * model.kv_per_token
    cache = (
        0.9 * pool.accelerator.memory * pool.gpus_per_replica - model.parameters * model.bytes_per_parameter
    )
    assert fit == math.floor(cache / each) == sequences_of(sequence_times(pool), length)
    assert 2e9 < each < 4.1e9 or overlay == "small_cache"  # the source: 2 to 4 GB
    assert run_fleet(scenario).load()["in_service"].max() == fit * pool.replicas


def test_requests_queue_from_the_load_on_that_fills_the_cache():
    scenario = variant("llm_70b_kv_cache", horizon="1d")
    most = 2 * most_answers(iteration_of(scenario), 55)
    assert most == pytest.approx(0.429, abs=0.001)
    summary = {}
    for rate in (0.2, 0.3, 0.36, 0.42, 0.46):
        summary[rate] = run_fleet(scenario.with_(traffic__rate=f"{rate}/s")).summary
    wait = {rate: found["mean_wait_s"] for rate, found in summary.items()}
    # Below the knee a request waits for the next iteration and no longer, while each is slowed by the others.
    assert max(wait[0.2], wait[0.3]) < 0.05
    assert summary[0.36]["mean_s"] > 1.2 * summary[0.2]["mean_s"]
    assert wait[0.36] < 1.0 < 5.0 < wait[0.42] < 120.0
    # Beyond it what comes is too much: the queue grows all day, at the rate at which it is too much.
    left = summary[0.46]["in_flight"]
    assert left == pytest.approx((0.46 - most) * 86400, rel=0.15)
    assert wait[0.46] > 1000.0


def test_an_overloaded_replica_answers_what_its_iterations_allow():
    scenario = variant("llm_70b_kv_cache", "busy", horizon="1d")
    found = run_fleet(scenario).summary
    assert found["served"] / 86400 == pytest.approx(2 * most_answers(iteration_of(scenario), 55), rel=0.01)


def test_room_for_any_number_would_answer_more_than_twice_as_many():
    times = iteration_of(variant("llm_70b_kv_cache"))
    assert most_answers(times, 1e9) / most_answers(times, 55) == pytest.approx(2.3, abs=0.05)


# ---------------------------------------------------------------- flash_sale

FIRST_SALE, SECOND_SALE = (12.0, 12.5), (36.0, 36.5)
COLD_START = 4
"""Minutes."""


def sale(overlay: str, hours: tuple[float, float] = FIRST_SALE) -> pd.DataFrame:
    horizon = None if overlay == "predictive" else "14h"
    return between(played("flash_sale", overlay, horizon), *hours)


def minutes_of_queue(overlay: str) -> int:
    """Minutes in a row, from the start of the first sale, at whose end somebody waits."""
    load = played("flash_sale", overlay, "14h").load()
    waiting = load.loc[load["time_days"] > 0.5 + 1e-9, "waiting"].to_numpy() > 0
    return int(np.argmin(waiting))


def share(table: pd.DataFrame, column: str) -> float:
    return float(table[column].sum() / table["requests"].sum())


def test_the_queue_lasts_at_least_as_long_as_a_cold_start():
    for overlay in ("base", "queue_length"):
        assert minutes_of_queue(overlay) >= COLD_START
    assert minutes_of_queue("queue_length") <= 2 * COLD_START
    # Utilisation cannot say by how much there is too little: a cold start for each step of 1 / 60 %.
    assert minutes_of_queue("base") > 4 * COLD_START
    load = played("flash_sale", "base", "14h").load()
    during = load.loc[load["time_days"].between(0.5, 0.5 + 22 / 1440), "ready"].round().astype(int)
    assert list(dict.fromkeys(during)) == [9, 15, 25, 42, 60]


def test_the_queue_grows_by_what_is_too_much():
    load = played("flash_sale", "base", "14h").load()
    end = load[np.isclose(load["time_days"], 0.5 + COLD_START / 1440)]["waiting"].item()
    assert end == pytest.approx(60 * COLD_START * (250 - 9 / 0.1), rel=0.02)


def test_most_who_come_in_the_sale_wait_up_to_five_minutes():
    found = sale("base")
    assert share(found, "slow") == pytest.approx(0.71, abs=0.03)
    assert found["max_s"].max() == pytest.approx(315, abs=10)


def test_shedding_bounds_the_latency():
    found = sale("shed")
    # At most 30 wait before nine replicas, then a request takes its own 100 ms.
    assert found["max_s"].max() <= 0.1 * (math.ceil(31 / 9) + 1) + 1e-9
    assert found["slow"].sum() == 0
    assert 0.1 < share(found, "lost") < 0.3
    before = between(played("flash_sale", "shed", "14h"), 0.0, 12.0)
    assert before["lost"].sum() == 0


@pytest.mark.parametrize("overlay", ["headroom", "scheduled"])
def test_capacity_that_is_there_in_time_holds_the_promise(overlay):
    assert share(sale(overlay), "slow") < 1e-4


def test_a_forecast_learns_from_the_first_sale():
    assert share(sale("predictive"), "slow") > 0.5
    assert share(sale("predictive", SECOND_SALE), "slow") < 1e-4


def test_a_plan_costs_a_third_of_headroom():
    costs = {
        name: played("flash_sale", name, "14h").summary["serving_cost"] for name in ("headroom", "scheduled")
    }
    assert costs["scheduled"] < 0.45 * costs["headroom"]


# ---------------------------------------------------------------- shared_training_pool


@cache
def retrained(overlay: str) -> tuple[FleetResult, pd.DataFrame]:
    """The first 17 hours, and the minutes from 12 to 16."""
    found = played("shared_training_pool", overlay, "17h")
    return found, between(found, 12.0, 16.0)


def test_training_in_the_pool_makes_the_tail_of_serving_longer():
    during = {overlay: share(retrained(overlay)[1], "slow") for overlay in ("base", "own_pool", "at_night")}
    assert 0.01 < during["base"] < 0.05  # the P99 of these hours is above the second that is promised
    assert max(during["own_pool"], during["at_night"]) < 0.001
    p99 = {overlay: retrained(overlay)[0].summary["p99_s"] for overlay in ("base", "own_pool")}
    assert p99["base"] > 1.5 * p99["own_pool"]


def test_four_gpus_fewer_serve_the_same_load():
    load = retrained("base")[0].load()
    hours = load[load["time_days"].between(12.1 / 24, 16 / 24)]
    assert hours["ready"].round(9).eq(10.0).all()
    # 38/s, 1.6 of the mean of the profile, 0.16 s
    scenario = scenarios.load("shared_training_pool")
    profile = np.array(scenario.traffic.daily_profile)
    assert scenario.serving is not None
    service = scenario.serving.pool().service
    seconds = mean(service.time) * SECONDS_PER_DAY  # type: ignore[union-attr]
    assert seconds == pytest.approx(0.16, abs=0.001)
    assert hours["busy"].mean() == pytest.approx(38 * 1.6 / profile.mean() * seconds, rel=0.02)


def test_sharing_saves_the_gpu_hours_of_the_training():
    held = {}
    for overlay in ("base", "own_pool", "at_night"):
        found = retrained(overlay)[0]
        held[overlay] = found.summary["gpu_hours"] + 24.0 * found.jobs["gpu_days"].sum()
    assert held["base"] == pytest.approx(14 * 17, abs=0.5)  # a cold start, when they come back
    assert held["at_night"] == pytest.approx(14 * 17, abs=0.5)
    assert held["own_pool"] == pytest.approx(14 * 17 + 16)


def test_with_serving_first_the_job_waits_for_the_evening():
    found = played("shared_training_pool", "serving_first")
    job = found.jobs.iloc[0]
    assert 6.0 < 24.0 * (job["started_days"] - job["asked_days"]) < 12.0
    assert share(between(found, 12.0, 16.0), "slow") < 0.001


# ---------------------------------------------------------------- spot_training


@cache
def trained(overlay: str) -> pd.DataFrame:
    """A thousand jobs, one an hour and independent of each other, which all come to an end."""
    scenario = variant("spot_training", overlay, traffic__rate="24/d")
    often = overlaid(scenario, {"serving": {"jobs": {"retraining": {"cadence": "1h"}}}})
    found = run_fleet(often).jobs.iloc[:1000]
    assert found["finished_days"].notna().all()
    return found


def expected_on_spot(checkpoint: float | None) -> tuple[float, float]:
    """Days for which a job holds its GPUs, and work it loses, on average: closed forms of exponential lifetimes.

    A piece of work s is tried until it lasts; each try but the first has a restart r before it.
    """
    rate, work, restart, price = 8 / 4.0, 0.5, 10 / 1440, 1 / 1440
    pieces = (
        [work] if checkpoint is None else [checkpoint + price] * (round(work / checkpoint) - 1) + [checkpoint]
    )
    held = lost = 0.0
    for piece in pieces:
        fails = -math.expm1(-rate * piece)
        held += fails / rate + fails * math.expm1(rate * (piece + restart)) / rate
        undone = (1.0 - math.exp(-rate * piece) * (1.0 + rate * piece)) / rate
        lost += undone + fails * math.exp(rate * (piece + restart)) * math.exp(-rate * restart) * undone
    return held, lost


@pytest.mark.parametrize(("overlay", "checkpoint"), [("no_checkpoint", None), ("checkpoint", 30 / 1440)])
def test_held_and_lost_time_follow_their_closed_forms(overlay, checkpoint):
    held, lost = expected_on_spot(checkpoint)
    jobs = trained(overlay)
    for expected, values in ((held, jobs["gpu_days"] / 8), (lost, jobs["lost_days"])):
        found = interval_of(values)
        assert found.low < expected < found.high
    assert jobs["cost"].to_numpy() == pytest.approx((jobs["gpu_days"] * 72.0 * 0.3).to_numpy())


def test_what_spot_saves_is_in_the_checkpoints():
    on_demand = trained("on_demand")["cost"]
    assert on_demand.to_numpy() == pytest.approx(288.0)
    saved = {None: 0.0, 30 / 1440: 0.0}
    for checkpoint in saved:
        saved[checkpoint] = 1.0 - 8 * expected_on_spot(checkpoint)[0] * 72.0 * 0.3 / 288.0
    # Of the 70 % that the discount promises
    assert saved[None] / 0.7 == pytest.approx(0.68, abs=0.01)
    assert saved[30 / 1440] / 0.7 == pytest.approx(0.97, abs=0.01)
    assert trained("checkpoint")["cost"].mean() == pytest.approx(288.0 * (1 - saved[30 / 1440]), rel=0.01)
    assert 24 * expected_on_spot(None)[0] == pytest.approx(21.0, abs=0.5)
    late = {name: 24 * (trained(name)["finished_days"] - trained(name)["asked_days"]).mean() - 12
            for name in ("checkpoint", "no_checkpoint")}  # fmt: skip
    assert late["checkpoint"] == pytest.approx(0.9, abs=0.3)
    assert late["no_checkpoint"] == pytest.approx(9.0, abs=1.5)


# ---------------------------------------------------------------- llm_conversation

EXACT_P99, SHUFFLED_P99 = 14.339970, 131.122
"""Seconds with 22 servers: the replay of the record, and the mean over shuffles of its sizes."""


@cache
def p99_of(overlay: str, replicas: int = 22, replications: int = 20) -> tuple[float, ...]:
    scenario = main_pool(variant("llm_conversation", overlay), replicas=replicas)
    return tuple(run_fleet(scenario, replication=n).summary["p99_s"] for n in range(replications))


def test_rates_and_sizes_by_minute_keep_the_tail_of_the_record():
    # The record is one hour, so it is compared with hours, not with their mean.
    found = np.array(p99_of("base"))
    assert np.quantile(found, 0.1) < EXACT_P99 < np.quantile(found, 0.9)
    mean_found = interval_of(found)
    assert mean_found.low < 15.8 < mean_found.high < 1.3 * EXACT_P99  # 15.8 s in 60 replications


def test_independent_sizes_overstate_it_nine_times():
    found = interval_of(p99_of("independent_sizes"))
    assert found.low < SHUFFLED_P99 < found.high
    assert found.low / EXACT_P99 > 7.0


def test_a_steady_stream_understates_it():
    found = interval_of(p99_of("steady_poisson"))
    assert found.high < 0.9 * EXACT_P99


def test_independent_sizes_buy_servers_that_nobody_needs():
    for overlay, too_few, enough in (
        ("base", 21, 22),
        ("independent_sizes", 25, 27),
        ("steady_poisson", 19, 20),
    ):
        assert np.mean(p99_of(overlay, too_few, 8)) > 20.0 > np.mean(p99_of(overlay, enough, 8))


def test_it_says_what_it_was_made_of():
    assert "recorded with the load" in run_fleet(variant("llm_conversation", horizon="5min")).arrivals
    assert (
        "independently of the load"
        in run_fleet(variant("llm_conversation", "independent_sizes", horizon="5min")).arrivals
    )


def test_the_record_itself_is_read_from_a_path():
    if not TRACE.exists():
        pytest.skip(f"the conversation trace is not there: {TRACE.name} in ../shared/data")
    scenario = variant(
        "llm_conversation",
        horizon="1h",
        serving__arrivals={"kind": "trace", "path": str(TRACE)},
        serving__sizes={},
    )
    found = run_fleet(scenario).summary
    assert found["requests"] == found["served"] == 19_366
    assert found["p99_s"] == pytest.approx(EXACT_P99, abs=1e-5)
    assert found["mean_wait_s"] == pytest.approx(0.901149, abs=1e-5)
