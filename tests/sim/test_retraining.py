"""The pipeline from request to champion: order, time, failures, gate, price.

Statistical checks use a fixed seed and binomial limits of 5 standard errors (error rate 6e-7 each).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

import sim
from scenarios.loader import ScenarioError, validate_mapping
from scenarios.schema import Scenario
from sim import Decision, Policy
from sim.retraining import expected_duration

STAGES = {
    "data_validation": "1h",
    "training": "10h",
    "evaluation": "2h",
    "registration": "30min",
    "deployment": "3h",
}
INSTANT = dict.fromkeys(STAGES, "0h")
PRICES = {"compute": "$100", "validation": "$20", "deployment": "$7", "risk": "$3"}


def scenario(pipeline: dict[str, Any] | None = None, **parts: Any) -> Scenario:
    plain: dict[str, Any] = {
        "title": "pipeline",
        "horizon": "40d",
        "window": "1d",
        "value_per_query_per_unit_accuracy": "$1",
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1%/d"},
        "traffic": {"rate": "100/d", "arrivals": "deterministic"},
        "pipeline": {"stages": STAGES, "cost": PRICES} | (pipeline or {}),
    }
    return validate_mapping(plain | parts)


class Asking(Policy):
    """Ask for a retraining at each of the dates, in a learning mode of its own if there is one."""

    name = "asking"

    def __init__(self, *dates: float, mode: str | None = None) -> None:
        self.dates, self.mode = dates, mode

    def decide(self, view: sim.View) -> Decision:
        asked = view.memory.setdefault("asked", set())
        due = [date for date in self.dates if date <= view.now + 1e-9 and date not in asked]
        asked.update(due)
        coming = [date for date in self.dates if date > view.now + 1e-9]
        return Decision(bool(due), min(coming, default=math.inf), mode=self.mode)


def told(result: sim.Result, *kinds: str) -> list[tuple[float, str]]:
    """(time in hours, kind) of the events, of some kinds only if any are given."""
    return [(round(e.time * 24, 6), e.kind) for e in result.raw_events if not kinds or e.kind in kinds]


def share_within(count: int, trials: int, chance: float) -> bool:
    return abs(count / trials - chance) <= 5 * math.sqrt(chance * (1 - chance) / trials)


# ---------------------------------------------------------------- stages


def test_the_stages_run_one_after_the_other_and_the_old_model_serves_until_the_end():
    result = sim.run(scenario(), Asking(3.0))
    assert told(result) == [(72.0, "retraining started"), (88.5, "deployment")]
    champion = result.champions[1]
    assert champion.since == pytest.approx(3 + 16.5 / 24)
    assert champion.version.cut == 3.0
    accuracy = result.timeline.accuracy.to_numpy()
    mean = -math.expm1(-0.01) / 0.01
    assert accuracy[2] == pytest.approx(0.9 * mean * math.exp(-0.02))
    assert accuracy[4] == pytest.approx(0.9 * mean * math.exp(-0.01)), "its age counts from the data cut"
    part = 16.5 / 24
    shared = (
        math.exp(-0.03) - math.exp(-0.01 * (3 + part)) + math.exp(-0.01 * part) - math.exp(-0.01)
    ) / 0.01
    assert accuracy[3] == pytest.approx(0.9 * shared, rel=1e-12)


def test_each_step_costs_its_own():
    costs = sim.run(scenario(), Asking(3.0, 5.0)).costs
    assert costs[["retrain_compute", "validation", "deployment", "risk"]].tolist() == [200, 40, 14, 6]


def test_what_is_under_way_at_the_horizon_has_cost_what_was_finished():
    # asked 12 h before the end: validation of the data and training are done after 11 h, evaluation is not
    costs = sim.run(scenario(), Asking(39.5)).costs
    assert costs[["retrain_compute", "validation", "deployment", "risk"]].tolist() == [100, 0, 0, 0]


def test_random_durations_follow_their_law_and_fit_between_start_and_deployment():
    stages = INSTANT | {"training": {"kind": "exponential", "mean": "6h"}}
    result = sim.run(scenario({"stages": stages}, horizon="2000d"), Asking(*range(1, 2000, 4)))
    times = [(e.time, e.kind) for e in result.raw_events]
    lasting = np.array([end - begin for (begin, _), (end, _) in zip(times[::2], times[1::2], strict=True)])
    assert len(lasting) == 500
    assert lasting.mean() == pytest.approx(0.25, abs=5 * 0.25 / math.sqrt(500))
    assert (lasting > 0.5).mean() == pytest.approx(math.exp(-2), abs=5 * math.sqrt(0.135 * 0.865 / 500))


def test_the_expected_duration_and_price():
    assert expected_duration(scenario()) == pytest.approx(16.5 / 24)
    assert scenario().pipeline.price == 130.0
    warm = scenario({"learning": {"mode": "warm_start"}})
    assert expected_duration(warm) == pytest.approx((6.5 + 0.3 * 10) / 24)
    assert warm.pipeline.price == pytest.approx(60.0)


# ---------------------------------------------------------------- failures and retries


def failing(chance: float, retries: int, stage: str = "training", **pipeline: Any) -> Scenario:
    stages = STAGES | {stage: {"duration": STAGES[stage], "failure": chance}}
    return scenario({"stages": stages, "max_retries": retries, "retry_delay": "1h"} | pipeline)


def test_every_attempt_takes_its_time_and_its_price():
    # with a chance of 0.7 some retraining of these 12 needs several attempts, and some are given up
    result = sim.run(failing(0.7, 2), Asking(*range(1, 37, 3)))
    attempts, finished, failed = 0, 0, 0
    start = 0.0
    mine = 1
    for event in result.raw_events:
        if event.kind == "retraining started":
            start, mine = event.time, 1
        elif event.kind == "retry":
            assert event.subject == "training"
            assert event.details == f"attempt {mine + 1}"
            assert (event.time - start) * 24 == pytest.approx(1 + 10 * mine + (mine - 1), abs=1e-6)
            mine += 1
        else:
            attempts += mine
            lasting = 1 + 10 * mine + (mine - 1)
            if event.kind == "failure":
                assert (event.subject, event.details, mine) == ("training", "given up", 3)
                failed += 1
            else:
                lasting += 5.5
                finished += 1
            assert (event.time - start) * 24 == pytest.approx(lasting, abs=1e-6)
    assert finished > 0
    assert failed > 0
    assert finished + failed == result.summary["retrains"] == 12
    assert result.summary["failed"] == failed
    assert result.summary["deployments"] == finished
    assert result.costs["retrain_compute"] == 100 * attempts
    assert result.costs["risk"] == 3 * finished


@pytest.mark.parametrize(("chance", "retries"), [(0.5, 0), (0.5, 2), (0.9, 1)])
def test_a_stage_is_given_up_as_often_as_all_its_attempts_fail(chance, retries):
    given_up, tried = 0, 600
    for replication in range(tried // 12):
        result = sim.run(failing(chance, retries), Asking(*range(1, 37, 3)), replication=replication)
        given_up += int(result.summary["failed"])
    assert share_within(given_up, tried, chance ** (retries + 1))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_fails_ends_the_retraining_there(stage):
    result = sim.run(failing(0.999999, 1, stage), Asking(1.0, 20.0))
    order = list(STAGES)
    assert told(result, "deployment") == []
    assert [e.subject for e in result.raw_events if e.kind == "failure"] == [stage, stage]
    runs = {name: 2.0 * (order.index(stage) > place) for place, name in enumerate(order)}
    runs[stage] = 4.0  # two attempts each time
    expected = [100 * runs["training"], 20 * runs["evaluation"], 7 * runs["deployment"], 0]
    assert result.costs[["retrain_compute", "validation", "deployment", "risk"]].tolist() == expected


# ---------------------------------------------------------------- the gate


def accepted_share(candidate: float, champion: float, rows: int, margin: float) -> float:
    """Chance that Binomial(rows, candidate)/rows - Binomial(rows, champion)/rows >= margin."""
    counts = np.arange(rows + 1)
    need = np.ceil(counts + margin * rows - 1e-9)
    return float(binom.pmf(counts, rows, champion) @ binom.sf(need - 1, rows, candidate))


@pytest.mark.parametrize(
    ("loss", "decay", "margin"),
    [
        (0.05, 0.0, 0.0),  # a worse candidate is accepted now and then
        (0.0, 0.05 / 3, 0.0),  # a better candidate is rejected now and then
        (0.0, 0.0, 0.0),  # an equal one
        (0.02, 0.0, -0.01),
        (0.0, 0.02, 0.03),
    ],
)
def test_the_gate_errs_as_often_as_two_binomials_say(loss, decay, margin):
    rows, trials = 300, 250
    bad = {"probability": 1, "loss": loss}
    system = scenario(
        {"stages": INSTANT, "gate": {"holdout": rows, "margin": margin}, "bad_training": bad},
        quality={"kind": "exponential", "initial_accuracy": 0.9, "decay": f"{decay!r}/d"},
        horizon="4d",
    )
    champion, candidate = 0.9 * math.exp(-3 * decay), 0.9 - loss
    passed = sum(
        int(sim.run(system, Asking(3.0), replication=number).summary["deployments"])
        for number in range(trials)
    )
    chance = accepted_share(candidate, champion, rows, margin)
    assert 0.01 < chance < 0.99
    assert share_within(passed, trials, chance)


@pytest.mark.parametrize(("decay", "margin"), [("0/d", 0.0), ("1000/d", 1.0)])
def test_a_margin_that_is_just_met_is_enough(decay, margin):
    # the fresh model is always right, and the champion always (or, after a day, never): no luck is left
    quality = {"kind": "exponential", "initial_accuracy": 1.0, "decay": decay}
    gate = {"holdout": 7, "margin": margin}
    result = sim.run(scenario({"stages": INSTANT, "gate": gate}, quality=quality), Asking(3.0))
    assert result.summary["deployments"] == 1


def test_a_large_holdout_rejects_what_is_worse_and_its_price_is_spent():
    bad = {"probability": 1, "loss": 0.2}
    result = sim.run(scenario({"gate": {"holdout": 10_000}, "bad_training": bad}), Asking(3.0))
    assert told(result) == [(72.0, "retraining started"), (85.0, "rejection")]
    assert result.summary["rejected"] == 1
    assert result.costs[["retrain_compute", "validation", "deployment", "risk"]].tolist() == [100, 20, 0, 0]
    assert len(result.champions) == 1


def test_the_champion_remembers_what_validation_measured():
    result = sim.run(scenario({"gate": {"holdout": 400, "margin": -1}}), Asking(3.0, 12.0))
    for champion in result.champions[1:]:
        assert (champion.version.validation * 400) == pytest.approx(round(champion.version.validation * 400))
        assert champion.version.validation == pytest.approx(0.9, abs=5 * math.sqrt(0.09 / 400))
    assert result.champions[1].version.validation != result.champions[2].version.validation


def test_recorded_quality_has_no_holdout_for_a_gate():
    matrix = [[0.5, 0.9, 0.5], [0.5, 0.5, 0.9], [0.5, 0.5, 0.5]]
    quality = {"kind": "recorded", "period": "10d", "matrix": {"rows": matrix}}
    result = sim.run(scenario({"stages": INSTANT}, quality=quality, horizon="20d"), Asking(10.0))
    assert result.timeline.accuracy.tolist() == [0.9] * 20
    assert math.isnan(result.champions[1].version.validation)
    with pytest.raises(ScenarioError, match="no holdout"):
        scenario({"gate": {"holdout": 100}}, quality=quality, horizon="20d")


# ---------------------------------------------------------------- requests that meet


def test_requests_wait_for_capacity_and_merge_with_one_that_waits():
    stages = INSTANT | {"training": "5d"}
    result = sim.run(scenario({"stages": stages}), Asking(1.0, 2.0, 3.0, 4.0, 7.0))
    day = 24.0
    assert told(result) == [
        (1 * day, "retraining started"),
        (3 * day, "merged"),
        (4 * day, "merged"),
        (6 * day, "deployment"),
        (6 * day, "retraining started"),
        (11 * day, "deployment"),
        (11 * day, "retraining started"),
        (16 * day, "deployment"),
    ]
    # the one that waited learns what there is when it starts
    assert [champion.version.cut for champion in result.champions] == [0.0, 1.0, 6.0, 11.0]
    assert result.summary["retrains"] == 3
    assert result.costs["retrain_compute"] == 300


def test_more_capacity_lets_trainings_overlap():
    stages = INSTANT | {"training": "5d"}
    result = sim.run(scenario({"stages": stages, "capacity": 2}), Asking(1.0, 2.0, 3.0, 4.0))
    day = 24.0
    assert told(result) == [
        (1 * day, "retraining started"),
        (2 * day, "retraining started"),
        (4 * day, "merged"),
        (6 * day, "deployment"),
        (6 * day, "retraining started"),
        (7 * day, "deployment"),
        (11 * day, "deployment"),
    ]


def test_an_older_model_does_not_replace_a_newer_one():
    # With room for two, the second training may overtake a first one that had to repeat a stage.
    stages = INSTANT | {"training": {"duration": {"kind": "empirical", "values": ["1d", "9d"]}}}
    system = scenario({"stages": stages, "capacity": 2})
    for replication in range(20):
        result = sim.run(system, Asking(1.0, 2.0), replication=replication)
        cuts = [champion.version.cut for champion in result.champions]
        assert cuts == sorted(cuts), replication


def test_a_failed_retraining_makes_room_for_the_next():
    result = sim.run(failing(0.999999, 0), Asking(1.0, 1.2, 1.25))
    assert [kind for _, kind in told(result)] == [
        "retraining started", "merged", "failure", "retraining started", "failure"
    ]  # fmt: skip


# ---------------------------------------------------------------- what a candidate has learned


@pytest.mark.parametrize(
    ("delay", "lag"),
    [("0h", 0.0), ("5d", 5.0), ({"kind": "exponential", "mean": "2d"}, 2 * math.log(2))],
)
def test_the_data_cut_lags_by_the_median_label_delay(delay, lag):
    result = sim.run(scenario({"stages": INSTANT}, labels={"delay": delay}), Asking(3.0, 20.0))
    assert [c.version.cut for c in result.champions] == pytest.approx([0.0, max(3.0 - lag, 0.0), 20.0 - lag])
    assert result.timeline.accuracy[20] == pytest.approx(
        0.9 * math.exp(-0.01 * lag) * -math.expm1(-0.01) / 0.01, rel=1e-12
    )


@pytest.mark.parametrize(
    ("learning", "regain", "cost", "hours"),
    [
        ({}, 1.0, 1.0, 10.0),
        ({"mode": "warm_start"}, 0.8, 0.3, 3.0),
        ({"mode": "incremental"}, 0.5, 0.1, 1.0),
        ({"mode": "warm_start", "regain": 0.25, "cost": 0.5, "duration": 2}, 0.25, 0.5, 20.0),
    ],
)
def test_learning_modes_trade_what_is_regained_for_time_and_money(learning, regain, cost, hours):
    result = sim.run(scenario({"learning": learning}), Asking(10.0))
    assert told(result)[-1] == (pytest.approx(240 + 6.5 + hours), "deployment")
    assert result.costs["retrain_compute"] == pytest.approx(100 * cost)
    assert result.costs["validation"] == 20
    version = result.champions[1].version
    assert version.cut == 10.0
    assert version.origin == pytest.approx(10.0 * regain)


def test_a_policy_may_choose_another_mode_for_a_retraining():
    own = {"mode": "warm_start", "regain": 0.25, "cost": 0.5, "duration": 2}
    result = sim.run(scenario({"learning": own}), Asking(10.0, mode="incremental"))
    assert result.costs["retrain_compute"] == pytest.approx(10)
    assert result.champions[1].version.origin == pytest.approx(5.0)
    same = sim.run(scenario({"learning": own}), Asking(10.0, mode="warm_start"))
    assert same.costs["retrain_compute"] == pytest.approx(50)


def test_recorded_accuracies_are_of_full_trainings_only():
    # a matrix says nothing of a model that regained half of the ground at a tenth of the price
    rows = [[0.9 - 0.05 * max(period - row, 0) for period in range(5)] for row in range(5)]
    system = scenario(quality={"kind": "recorded", "period": "10d", "matrix": {"rows": rows}})
    with pytest.raises(ValueError, match="recorded"):
        sim.run(system, "continuous:10d")


# ---------------------------------------------------------------- luck of a training


def offsets(pipeline: dict[str, Any], replications: int) -> np.ndarray:
    system = scenario({"stages": INSTANT} | pipeline)
    found = []
    for replication in range(replications):
        result = sim.run(system, Asking(*range(1, 40)), replication=replication)
        found += [champion.version.offset for champion in result.champions[1:]]
    return np.array(found)


def test_training_noise_has_its_standard_deviation():
    found = offsets({"training_noise": 0.02}, 15)
    assert len(found) == 15 * 39
    assert found.mean() == pytest.approx(0.0, abs=5 * 0.02 / math.sqrt(len(found)))
    assert found.std() == pytest.approx(0.02, rel=5 / math.sqrt(2 * len(found)))


def test_bad_trainings_come_as_often_as_said_and_lose_what_is_said():
    found = offsets({"bad_training": {"probability": 0.2, "loss": 0.07}}, 15)
    assert set(found) == {0.0, -0.07}
    assert share_within(int((found < 0).sum()), len(found), 0.2)


def test_a_bad_model_serves_its_loss_until_it_is_replaced():
    system = scenario({"stages": INSTANT, "bad_training": {"probability": 1, "loss": 0.07}})
    good = scenario({"stages": INSTANT})
    bad, fine = sim.run(system, Asking(10.0)).timeline.accuracy, sim.run(good, Asking(10.0)).timeline.accuracy
    assert np.array_equal(bad[:10], fine[:10])
    assert bad[10:].to_numpy() == pytest.approx(fine[10:].to_numpy() - 0.07, abs=1e-12)


def test_policies_that_train_at_the_same_moment_are_equally_lucky():
    system = scenario({"training_noise": 0.02, "gate": {"holdout": 100, "margin": -1}})
    one, two = sim.run(system, Asking(10.0)), sim.run(system, Asking(5.0, 10.0))
    assert one.champions[1].version.offset == two.champions[2].version.offset
    assert one.champions[1].version.validation == two.champions[2].version.validation
    assert one.champions[1].version.offset != two.champions[1].version.offset


def test_trainings_at_different_moments_do_not_share_their_luck():
    system = scenario({"stages": {**INSTANT, "training": {"kind": "exponential", "mean": "6h"}}})
    champions = sim.run(system, Asking(*range(1, 40, 2))).champions[1:]
    lasting = [champion.since - champion.version.cut for champion in champions]
    assert len(set(np.round(lasting, 9))) == len(lasting)
