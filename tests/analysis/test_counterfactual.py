from __future__ import annotations

import math

import pytest

import scenarios
from analysis.counterfactual import (
    ActOnAlarm,
    Change,
    IgnoreAlarm,
    RetrainAt,
    SkipRetraining,
    counterfactual,
    history,
)
from analysis.report_decisions import difference_sentence
from sim.engine import run

NOISY = scenarios.load("fraud_detection", horizon="40d")
PLAIN = scenarios.load("rotting_asset")
POLICIES = ("triggered", "hybrid:9d", "triggered+cooldown=10d", "cost-aware:1d")
CHANGES: tuple[Change, ...] = (SkipRetraining(2), IgnoreAlarm(2), ActOnAlarm(3), RetrainAt(20.3))


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize("policy", POLICIES)
def test_the_histories_are_one_up_to_the_change(policy: str, change: Change) -> None:
    if policy.startswith("cost") and isinstance(change, IgnoreAlarm | ActOnAlarm):
        pytest.skip("its monitor never calls")
    if "cooldown" not in policy and isinstance(change, ActOnAlarm):
        pytest.skip("it acts on every alarm itself")
    found = counterfactual(NOISY, policy, change)
    plain = run(NOISY, policy)
    assert found.factual.raw_events == plain.raw_events
    assert found.factual.ledger.total() == plain.ledger.total()
    before = [[e for e in r.raw_events if e.time < found.time] for r in (found.factual, found.changed)]
    assert before[0] == before[1]
    assert (found.event_differences["time_days"] >= found.time - 1e-9).all()
    table = found.timeline
    assert (table.loc[table["time_days"] <= found.time, "cost_difference"] == 0.0).all()


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_categories_and_the_last_day_add_up_to_the_difference(change: Change) -> None:
    policy = "triggered+cooldown=10d" if isinstance(change, ActOnAlarm) else "triggered"
    found = counterfactual(NOISY.with_(**{"labels.cost": "$0.01"}), policy, change)
    total = found.factual.ledger.total()
    assert math.fsum(found.costs["difference"]) == pytest.approx(found.difference, abs=1e-9 * total)
    assert found.timeline["cost_difference"].iloc[-1] == pytest.approx(found.difference, abs=1e-9 * total)
    assert found.difference == found.changed.ledger.total() - found.factual.ledger.total()


def test_a_schedule_without_its_second_retraining_by_hand() -> None:
    found = counterfactual(PLAIN, "scheduled:90d", SkipRetraining(2))
    late = PLAIN.value_per_query_per_unit_accuracy * 1e5 * 0.9
    by_hand = -5000.0
    for day in range(90):  # accuracy is constant within a window of a day
        ages = (day + 0.5, day + 90.5)
        by_hand += late * (math.exp(-0.0003 * ages[0]) - math.exp(-0.0003 * ages[1]))
    assert found.difference == pytest.approx(by_hand, rel=1e-3)
    assert found.changed.summary["retrains"] == 3


def test_a_forced_retraining_is_one_more() -> None:
    found = counterfactual(PLAIN, "never", RetrainAt(100.0))
    assert found.costs.loc["retrain_compute", "difference"] == 4000.0
    same = run(PLAIN.with_(), "scheduled:100d")
    assert found.changed.accuracy[0, :200].tolist() == same.accuracy[0, :200].tolist()


def test_skipping_all_that_a_trigger_asks_for_at_an_alarm_is_ignoring_it() -> None:
    skipped = counterfactual(NOISY, "triggered", SkipRetraining(2))
    ignored = counterfactual(NOISY, "triggered", IgnoreAlarm(2))
    assert skipped.changed.raw_events == ignored.changed.raw_events


def test_acting_on_an_alarm_that_the_policy_let_pass() -> None:
    policy = "triggered+cooldown=20d"
    table = history(NOISY, policy)
    passed = table[table["alarm"].notna() & table["retraining"].isna()].iloc[0]
    found = counterfactual(NOISY, policy, ActOnAlarm(int(passed["alarm"])))
    started = found.event_differences.query("kind == 'retraining started'").iloc[0]
    assert started["in"] == "changed"
    assert started["time_days"] == passed["time_days"] == found.time


def test_an_alarm_that_was_acted_on_needs_no_answer() -> None:
    first = history(NOISY, "triggered").dropna().iloc[0]
    assert first["retraining"] == 1
    with pytest.raises(ValueError, match=r"acted on it already \(started retraining 1,"):
        counterfactual(NOISY, "triggered", ActOnAlarm(int(first["alarm"])))


def test_a_forced_retraining_that_merges_is_named() -> None:
    busy = PLAIN.with_(**{"pipeline.stages.training": "60d", "pipeline.capacity": 1})
    found = counterfactual(busy, "scheduled:20d", RetrainAt(50.0))
    assert found.merged
    assert "merged into one that was waiting" in difference_sentence(found)
    assert found.to_dict()["merged"]
    assert not counterfactual(PLAIN, "never", RetrainAt(50.0)).merged


@pytest.mark.parametrize(
    ("policy", "change", "message"),
    [("scheduled:90d", SkipRetraining(5), "expected 1 to 4"), ("never", IgnoreAlarm(1), "has no alarm"),
     ("never", SkipRetraining(1), "has no retraining"), ("never", RetrainAt(365.0), "before the horizon"),
     ("scheduled:90d", RetrainAt(180.0), "asks for one at that moment anyway"),
     ("oracle", SkipRetraining(1), "knows the world"), ("scheduled:90d", SkipRetraining(0), "expected 1 to 4")],
)  # fmt: skip
def test_what_the_history_does_not_have(policy: str, change: Change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        counterfactual(PLAIN, policy, change)
