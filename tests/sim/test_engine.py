"""Whole runs: the closed form of the source, its figure, a recorded stream, and what must not change an answer.

Statistical checks use a fixed seed and state their error rate.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import scenarios
import sim
from analysis import economics
from scenarios.loader import validate_mapping, validate_text
from scenarios.schema import Scenario
from sim import Decision, Policy, World, dataplane

ROOT = Path(__file__).resolve().parents[2]
INSTANT = dict.fromkeys(("data_validation", "training", "evaluation", "registration", "deployment"), "0d")
FRAUD = economics.FRAUD_DETECTION


def fraud(horizon: float, windows: int) -> Scenario:
    """The source's fraud model without noise; the pipeline takes no time."""
    return validate_mapping(
        {
            "title": "fraud, closed form",
            "horizon": f"{horizon!r}d",
            "window": f"{horizon / windows!r}d",
            "value_per_query_per_unit_accuracy": f"${FRAUD['value']}",
            "quality": {
                "kind": "exponential",
                "initial_accuracy": FRAUD["accuracy"],
                "decay": f"{FRAUD['decay']}/d",
            },
            "traffic": {"rate": f"{FRAUD['queries_per_day']}/d", "arrivals": "deterministic"},
            "labels": "none",
            "pipeline": {
                "stages": INSTANT,
                "cost": {"compute": "$4000", "validation": "$600", "deployment": "$400"},
            },
        }
    )


MONITORS = [
    {"metric": "feature_drift_ks", "rows": 300},
    {"metric": "accuracy", "name": "since first", "window": "1d", "reference": "first_window"},
]


def noisy(**parts: Any) -> Scenario:
    """A small system in which everything that can be random is."""
    plain: dict[str, Any] = {
        "title": "noisy",
        "horizon": "30d",
        "window": "1h",
        "value_per_query_per_unit_accuracy": "$0.05",
        "features": 3,
        "slices": [{"name": "a", "weight": 0.3}],
        "quality": {
            "kind": "degradation",
            "initial_accuracy": 0.9,
            "feature_sensitivity": 0.02,
            "concept_sensitivity": 0.1,
        },
        "drift": [
            {"kind": "random_walk", "volatility": "0.1/sqrt(d)"},
            {"kind": "jumps", "rate": "0.2/d", "sd": 0.3, "on": "concept", "slice": "a"},
            {"kind": "adversarial", "delay": "20h", "sd": 0.1, "on": "concept"},
        ],
        "traffic": {"rate": "6000/d", "bursts": {"rate": "0.3/d", "factor": 3, "duration": "2h"}},
        "labels": {"coverage": 0.4, "delay": {"kind": "lognormal", "median": "3h", "p95": "12h"}},
        "monitors": MONITORS,
        "triggers": [
            {"metric": "accuracy", "cadence": "6h", "window": "1d", "threshold": 0.03},
            {"metric": "feature_drift_psi", "rows": 500, "window": "6h"},
            {"metric": "accuracy", "name": "chart", "rule": "cusum", "cadence": "6h", "window": "6h"},
        ],
        "pipeline": {
            "stages": {"training": {"duration": {"kind": "exponential", "mean": "3h"}, "failure": 0.1}},
            "cost": {"compute": "$40", "validation": "$10", "deployment": "$5", "risk": "$2"},
            "gate": {"holdout": 2000, "margin": -0.01},
            "training_noise": 0.01,
        },
    }
    return validate_mapping(plain | parts)


POLICIES = [
    *("never", "scheduled:2.3d", "triggered", "hybrid:5d"),
    *("continuous:1d", "cost-aware:6h", "random:7", "oracle"),
]


def deployments(result: sim.Result) -> list[float]:
    return result.events.query("kind == 'deployment'").time_days.tolist()


# ---------------------------------------------------------------- the closed form


@pytest.mark.parametrize(
    ("interval", "cycles", "windows"),
    [(1.0, 7, 7 * 24), (1.0331, 10, 247), (1.0331, 3, 2), (0.37, 5, 11), (7.0, 4, 28 * 24), (60.0, 2, 61)],
)
def test_the_simulated_cost_is_the_closed_form(interval, cycles, windows):
    scenario = fraud(interval * cycles, windows)
    result = sim.run(scenario, f"scheduled:{interval!r}d")
    assert deployments(result) == pytest.approx([interval * number for number in range(1, cycles)])
    # The retraining that ends the last cycle falls on the horizon, which is not part of the run.
    per_day = (result.summary["total_cost"] + 5000.0) / scenario.horizon
    expected = economics.total_cost_rate(interval, retrain_cost=5000.0, **FRAUD)
    assert per_day == pytest.approx(expected, rel=1e-9)


def test_the_best_interval_found_by_simulation_alone_is_the_exact_optimum():
    def simulated(given: float) -> float:
        interval = float(given)
        result = sim.run(fraud(3 * interval, 60), f"scheduled:{interval!r}d")
        return (result.summary["total_cost"] + 5000.0) / (3 * interval)

    found = minimize_scalar(simulated, bounds=(0.5, 2.0), method="bounded", options={"xatol": 1e-7})
    exact = economics.optimal_interval(retrain_cost=5000.0, **FRAUD)
    rule_of_thumb = economics.optimal_interval_sqrt(retrain_cost=5000.0, **FRAUD)
    assert exact == pytest.approx(1.0330626, abs=1e-7)
    assert rule_of_thumb == pytest.approx(1.0259784, abs=1e-7)
    assert found.x == pytest.approx(exact, abs=1e-4)
    assert abs(found.x - rule_of_thumb) > 5e-3
    assert found.fun == pytest.approx(economics.minimal_cost_rate(retrain_cost=5000.0, **FRAUD), rel=1e-9)


def test_accuracy_follows_the_curve_of_the_source():
    result = sim.run(fraud(30.0, 30 * 24), "never")
    ends = result.timeline.time_days.to_numpy()
    mean = 0.95 * np.exp(-0.02 * ends) * (np.expm1(0.02 / 24) / (0.02 / 24))
    assert result.timeline.accuracy.to_numpy() == pytest.approx(mean, rel=1e-12)


# ---------------------------------------------------------------- the rotting asset


def test_the_rotting_asset_is_retrained_by_its_trigger_on_day_311_only():
    scenario = scenarios.load("rotting_asset")
    result = sim.run(scenario, "triggered")
    assert deployments(result) == [311.0]
    assert economics.first_day_below(0.82, accuracy=0.90, decay=0.0003) == 311.0
    assert result.summary["false_alarms"] == 0


def test_the_rotting_asset_is_more_accurate_on_its_schedule():
    scenario = scenarios.load("rotting_asset")
    scheduled, triggered = sim.run(scenario, "scheduled:90d"), sim.run(scenario, "triggered")
    assert deployments(scheduled) == [90.0, 180.0, 270.0, 360.0]

    def mean_accuracy(*lengths: int) -> float:
        return sum(0.9 * -math.expm1(-0.0003 * days) / 0.0003 for days in lengths) / 365

    assert scheduled.summary["mean_accuracy"] == pytest.approx(mean_accuracy(90, 90, 90, 90, 5), rel=1e-9)
    assert triggered.summary["mean_accuracy"] == pytest.approx(mean_accuracy(311, 54), rel=1e-9)
    assert scheduled.summary["mean_accuracy"] > triggered.summary["mean_accuracy"] + 0.02


# ---------------------------------------------------------------- a recorded stream

ELECTRICITY = f"""
title: electricity, replayed
horizon: 22184h
window: 472h
value_per_query_per_unit_accuracy: $1
quality: {{kind: recorded, period: 472h, matrix: data/electricity_accuracy_matrix.csv}}
traffic: {{rate: {24 / 472!r}/d, arrivals: deterministic}}
pipeline:
  stages: {{data_validation: 0h, training: 0h, evaluation: 0h, registration: 0h, deployment: 0h}}
  cost: {{compute: $0.1}}
"""


@pytest.mark.parametrize(
    ("periods", "retrains", "accuracy", "cost"),
    [
        (1, 46, 0.766318, 15.5831),
        (2, 23, 0.749256, 14.0850),
        (4, 11, 0.731698, 13.7102),
        (8, 5, 0.700370, 14.5826),
        (16, 2, 0.616097, 18.2434),
        (32, 1, 0.601560, 18.8267),
    ],
)
@pytest.mark.parametrize("window", [472, 8])
def test_schedules_on_the_recorded_stream_give_the_published_replay(
    periods, retrains, accuracy, cost, window
):
    scenario = validate_text(ELECTRICITY, base_dir=ROOT / "scenarios", overrides={"window": f"{window}h"})
    result = sim.run(scenario, f"scheduled:{472 * periods}h")
    assert result.summary["deployments"] == retrains
    assert result.summary["mean_accuracy"] == pytest.approx(accuracy, abs=5e-7)
    assert result.summary["total_cost"] == pytest.approx(cost, abs=5e-5)


def test_the_recorded_stream_without_retraining():
    scenario = validate_text(ELECTRICITY, base_dir=ROOT / "scenarios")
    result = sim.run(scenario, "never")
    assert result.summary["mean_accuracy"] == pytest.approx(0.606360, abs=5e-7)
    assert result.summary["total_cost"] == pytest.approx(18.5011, abs=5e-5)


# ---------------------------------------------------------------- what must not change an answer


@pytest.mark.parametrize(
    "policy", ["triggered:psi>1000", "triggered:accuracy<-0.999", "triggered:psi>1000+votes=2"]
)
def test_a_policy_that_never_fires_equals_never_to_the_last_bit(policy):
    scenario = noisy(triggers=[])
    never, silent = sim.run(scenario, "never"), sim.run(scenario, policy)
    assert silent.summary["retrains"] == 0
    assert np.array_equal(never.accuracy, silent.accuracy)
    assert never.costs.equals(silent.costs)
    assert never.summary["total_cost"] == silent.summary["total_cost"]


@pytest.mark.parametrize("policy", ["scheduled:2.3d", "triggered", "cost-aware:6h", "oracle"])
def test_doubling_every_price_doubles_the_total(policy):
    scenario = noisy(
        labels={"coverage": 0.4, "delay": "3h", "cost": "$0.01/label"},
        monitors=[{"metric": "feature_drift_ks", "cost": "$30/month"}],
    )
    doubled = scenario.with_(
        value_per_query_per_unit_accuracy="$0.10",
        labels__cost="$0.02/label",
        **{"monitors[0].cost": "$60/month"},
        pipeline__cost={"compute": "$80", "validation": "$20", "deployment": "$10", "risk": "$4"},
    )
    first, second = sim.run(scenario, policy), sim.run(doubled, policy)
    assert first.summary["retrains"] > 0
    assert np.array_equal(first.accuracy, second.accuracy)
    assert second.summary["total_cost"] == 2 * first.summary["total_cost"]


@pytest.mark.parametrize("policy", ["scheduled:2d", "random:5", "continuous:1d"])
def test_without_drift_every_retraining_is_a_loss(policy):
    scenario = noisy(drift=[]).with_(pipeline__training_noise=0.0)
    never, other = sim.run(scenario, "never"), sim.run(scenario, policy)
    assert never.accuracy == pytest.approx(0.9, abs=1e-12)
    assert other.accuracy == pytest.approx(0.9, abs=1e-12)
    assert never.summary["total_cost"] == pytest.approx(0.0, abs=1e-6)
    assert other.summary["retrains"] > 0
    assert other.summary["total_cost"] >= other.summary["retrains"] * 4.0
    assert sim.run(scenario, "oracle").summary["retrains"] == 0


def test_all_policies_meet_the_same_world():
    scenario = noisy(drift=[{"kind": "random_walk", "volatility": "0.1/sqrt(d)"}])  # nothing provokes it
    reference = World(scenario, 7, 3)
    for policy in POLICIES:
        world = World(scenario, 7, 3)
        result = sim.run(scenario, policy, 7, replication=3, world=world)
        assert np.array_equal(result.requests, reference.requests), policy
        for mine, expected in (
            (world.state().features, reference.state().features),
            (world.state().concept, reference.state().concept),
            (world.labels.count, reference.labels.count),
            (world.labels.window, reference.labels.window),
            (world.labels.first, reference.labels.first),
        ):
            assert np.array_equal(mine, expected), policy


def test_a_shared_world_gives_what_a_world_of_its_own_gives():
    scenario = noisy()
    shared = World(scenario, 7, 3)
    for policy in POLICIES:
        alone = sim.run(scenario, policy, 7, replication=3)
        after_others = sim.run(scenario, policy, 7, replication=3, world=shared)
        assert after_others.events.equals(alone.events), policy
        assert after_others.timeline.equals(alone.timeline), policy
        assert after_others.costs.equals(alone.costs), policy


def test_a_model_serves_the_same_noise_whoever_asked_for_it():
    # common random numbers: until the first retraining all policies see the same scores
    # (as monitors they are watched for every policy, so that all have scores to compare)
    scenario = noisy(monitors=[*MONITORS, *noisy()._written["triggers"]], triggers=[])
    never = sim.run(scenario, "never")
    for policy in ("scheduled:2.3d", "continuous:1d", "random:7", "oracle"):
        other = sim.run(scenario, policy)
        started = other.events.query("kind == 'retraining started'").time_days
        until = int((started.min() if len(started) else 30.0) * 24)
        assert until >= 6, policy
        shared = [column for column in never.timeline if column in other.timeline]
        assert len(shared) >= 6
        assert other.timeline[shared][:until].equals(never.timeline[shared][:until]), policy


def test_another_monitor_changes_nothing_of_the_others():
    scenario = noisy()
    extra = [{"metric": "feature_drift_psi", "name": "extra", "rows": 77, "threshold": 0.01},
             {"metric": "slice_accuracy", "slice": "a", "threshold": 0.001},
             {"metric": "prediction_distribution_shift", "threshold": 0.001}]  # fmt: skip
    watched = noisy(monitors=[extra[0], *MONITORS, *extra[1:]])
    for policy in ("never", "triggered", "scheduled:2.3d"):
        before, after = sim.run(scenario, policy), sim.run(watched, policy)
        assert len(after.alarms) > len(before.alarms)
        assert after.timeline[before.timeline.columns].equals(before.timeline), policy
        kept = [alarm for alarm in after.alarms if alarm.monitor in before.scores]
        assert kept == list(before.alarms), policy
        assert after.summary["total_cost"] == before.summary["total_cost"]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_seed_gives_the_same_bytes(policy):
    scenario = noisy()
    first, again = (sim.run(scenario, policy, 11, replication=2) for _ in range(2))
    assert first.summary.to_numpy().tobytes() == again.summary.to_numpy().tobytes()
    assert first.timeline.to_csv() == again.timeline.to_csv()
    assert first.events.to_csv() == again.events.to_csv()
    assert first.costs.to_numpy().tobytes() == again.costs.to_numpy().tobytes()
    assert first.provenance == again.provenance


def test_another_seed_or_replication_gives_another_world():
    scenario = noisy()
    reference = sim.run(scenario, "scheduled:2d", 1, replication=1)
    for seed, replication in ((1, 2), (2, 1)):
        other = sim.run(scenario, "scheduled:2d", seed, replication=replication)
        assert not np.array_equal(reference.requests, other.requests)
        assert not np.array_equal(reference.accuracy, other.accuracy)
        assert reference.summary["total_cost"] != other.summary["total_cost"]


@pytest.mark.parametrize("policy", POLICIES)
def test_how_far_the_data_plane_runs_ahead_never_shows(policy, monkeypatch):
    scenario = noisy(horizon="12d")
    reference = sim.run(scenario, policy)
    for block, lookahead in ((1, 1), (7, 3), (10_000, 10_000)):
        monkeypatch.setattr(dataplane, "BLOCK", block)
        monkeypatch.setattr(dataplane, "LOOKAHEAD", lookahead, raising=False)
        other = sim.run(scenario, policy)
        assert other.events.equals(reference.events), (block, lookahead)
        assert other.summary.equals(reference.summary), (block, lookahead)
        for column in reference.timeline:
            same = other.timeline[column].equals(reference.timeline[column])
            assert same, (block, lookahead, column)


# ---------------------------------------------------------------- time


class At(Policy):
    """Retrain on given dates."""

    name = "at"

    def __init__(self, *dates: float) -> None:
        self.dates = dates

    def decide(self, view: sim.View) -> Decision:
        due = any(abs(view.now - date) < 1e-9 for date in self.dates) and view.now not in view.retrainings
        return Decision(due, min((d for d in self.dates if d > view.now + 1e-9), default=math.inf))


def still(**parts: Any) -> Scenario:
    plain: dict[str, Any] = {
        "title": "still",
        "horizon": "10d",
        "window": "1d",
        "value_per_query_per_unit_accuracy": "$1",
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "10%/d"},
        "traffic": {"rate": "100/d", "arrivals": "deterministic"},
        "pipeline": {"stages": INSTANT, "cost": {"compute": "$7"}},
    }
    return validate_mapping(plain | parts)


def test_nothing_happens_at_the_horizon():
    assert sim.run(still(), At(9.999)).summary["deployments"] == 1
    assert sim.run(still(), At(10.0)).summary["deployments"] == 0
    late = sim.run(still(pipeline={"stages": INSTANT | {"training": "2d"}}), At(8.0))
    assert late.summary["retrains"] == 1
    assert late.summary["deployments"] == 0


def test_several_models_can_share_a_window():
    decay = 0.1
    result = sim.run(still(), At(3.25, 3.5, 3.75))
    quarter = 0.9 * -math.expm1(-decay / 4) / (decay / 4)
    old = quarter * math.exp(-decay * 3.0)
    assert result.timeline.accuracy[3] == pytest.approx((old + 3 * quarter) / 4, rel=1e-12)
    assert result.timeline.accuracy[4] == pytest.approx(
        0.9 * -math.expm1(-decay) / decay * math.exp(-decay * 0.25), rel=1e-12
    )
    assert result.timeline.version.tolist() == [0, 0, 0, 3, 3, 3, 3, 3, 3, 3]


def test_the_timeline_tells_the_world_and_the_truth():
    result = sim.run(still(slices=[{"name": "a", "weight": 0.25, "initial_accuracy": 0.5}]), At(5.0))
    timeline = result.timeline
    assert timeline.time_days.tolist() == [float(day) for day in range(1, 11)]
    assert timeline.accuracy.to_numpy() == pytest.approx(
        0.25 * timeline["accuracy[a]"] + 0.75 * timeline["accuracy[rest]"]
    )
    assert result.summary["mean_accuracy"] == pytest.approx(timeline.accuracy.mean())
    assert timeline.version.tolist() == [0] * 5 + [1] * 5


def test_adversaries_answer_each_deployment_after_a_while():
    scenario = still(
        quality={"kind": "degradation", "initial_accuracy": 0.9, "concept_sensitivity": 1.0},
        drift=[{"kind": "adversarial", "delay": "2d", "mean": 0.1, "on": "concept"}],
    )
    result = sim.run(scenario, At(1.0, 5.0))
    assert result.timeline.accuracy.round(9).tolist() == [0.9] * 3 + [0.8] * 2 + [0.9] * 2 + [0.8] * 3
    assert result.events.query("kind == 'adversarial answer'").time_days.tolist() == [3.0, 7.0]
    assert np.all(sim.run(scenario, "never").accuracy == 0.9)


def test_a_reference_measured_in_the_first_window_is_of_the_world_that_was():
    # Scores are computed ahead; an answer of the adversaries takes back what was learned past it.
    scenario = still(
        horizon="20d",
        quality={"kind": "degradation", "initial_accuracy": 0.9, "concept_sensitivity": 1.0},
        drift=[{"kind": "adversarial", "delay": "24h", "mean": 0.1, "on": "concept"}],
        monitors=[{"metric": "accuracy", "reference": "first_window", "window": "4d", "cadence": "4d",
                   "sampling": "none"}],
    )  # fmt: skip
    result = sim.run(scenario, At(1.0))
    assert result.measured[3] == pytest.approx((0.9 + 0.8 + 0.8) / 3)
    assert result.scores["accuracy"][[3, 7]] == pytest.approx([0.0, (0.9 - 0.8) / 3], abs=1e-12)


def test_a_model_that_follows_its_stream_follows_the_adversaries_too():
    scenario = still(
        quality={"kind": "degradation", "initial_accuracy": 0.9, "concept_sensitivity": 1.0},
        drift=[{"kind": "adversarial", "delay": "2d", "mean": 0.1, "on": "concept"}],
        pipeline={"stages": INSTANT, "learning": {"mode": "incremental", "time_constant": "1d"}},
    )
    accuracy = sim.run(scenario, At(1.0)).timeline.accuracy
    assert accuracy[3] == pytest.approx(0.8)
    assert accuracy[4] == pytest.approx(0.9 - 0.1 * math.exp(-1))
    assert accuracy[9] > 0.899


def test_losses_and_their_detection():
    scenario = still(
        quality={"kind": "degradation", "initial_accuracy": 0.9, "concept_sensitivity": 1.0},
        drift=[{"kind": "ramp", "rate": "1/d", "start": "2d", "stop": "2.2d", "on": "concept"}],
        traffic={"rate": "10000/d"},
        material_drop=0.05,
        monitors=[{"metric": "accuracy", "window": "1d", "threshold": 0.1}],
        labels={"delay": "2d"},
    )
    result = sim.run(scenario, "never")
    (detection,) = result.detections
    assert detection.onset == 3.0
    assert detection.detected == 5.0, "the labels of the first bad day come two days later"
    assert result.summary[["losses", "undetected", "mttd_hours"]].tolist() == [1, 0, 48]
    assert all(alarm.true for alarm in result.alarms)
    replaced = sim.run(scenario, At(4.0))
    assert replaced.summary[["losses", "undetected"]].tolist() == [1, 1]
    assert math.isnan(replaced.summary["mttd_hours"])


# ---------------------------------------------------------------- wrong input


@pytest.mark.parametrize(("seed", "replication"), [(-1, 0), (0, -1)])
def test_negative_seeds_are_refused(seed, replication):
    with pytest.raises(ValueError, match="expected an integer >= 0"):
        sim.run(still(), "never", seed, replication=replication)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("shceduled:7d", "did you mean 'scheduled'"),
        ("scheduled:best", "must be tuned first"),
        ("scheduled", "expected a duration"),
        ("random:0", "expected a number of retrainings"),
    ],
)
def test_a_policy_that_cannot_be_run_is_refused(policy, message):
    with pytest.raises(ValueError, match=message):
        sim.run(still(), policy)


def test_cost_aware_needs_labels():
    with pytest.raises(ValueError, match="cost-aware needs labels"):
        sim.run(still(labels="none"), "cost-aware")


def test_the_world_must_be_that_of_the_run():
    other = World(still(horizon="20d"), 0, 0)
    with pytest.raises(ValueError, match="world"):
        sim.run(still(), "never", world=other)
    with pytest.raises(ValueError, match="world"):
        sim.run(still(), "never", 5, world=World(still(), 0, 0))
