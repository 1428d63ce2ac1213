"""Warnings before a comparison: each where it belongs, with the figures that a reader needs, and none elsewhere."""

from __future__ import annotations

import math
from typing import Any

import pytest

from analysis.comparison import compare
from analysis.economics import optimal_interval
from analysis.feasibility import warnings_for
from scenarios.loader import validate_mapping
from scenarios.policies import parse_policy
from scenarios.schema import Scenario
from sim.policies import Budget, Policy, Scheduled, policy_of


def scenario(**fields: Any) -> Scenario:
    """The closed form retrains every 1.47 days; labels come after a day; a retraining takes 2 h 45 min."""
    return validate_mapping(
        {
            "title": "small",
            "horizon": "60d",
            "window": "6h",
            "value_per_query_per_unit_accuracy": "$0.50",
            "features": 2,
            "quality": {"kind": "exponential", "initial_accuracy": 0.95, "decay": "2%/d"},
            "traffic": {"rate": "100k/d"},
            "labels": {"coverage": "1%", "delay": "1d"},
            "triggers": [{"metric": "accuracy", "window": "2d"}],
            "monitors": [{"metric": "feature_drift_psi"}],
            "pipeline": {"cost": {"compute": "$1000"}},
            **fields,
        }
    )


def policies(*texts: str) -> list[Policy]:
    return [policy_of(parse_policy(text)) for text in texts]


CLEAN = (
    "never",
    "scheduled:2d",
    "triggered",
    "hybrid:5d",
    "continuous:1d",
    "cost-aware",
    "random:12",
    "oracle",
)


def only(found: list[str]) -> str:
    assert len(found) == 1, found
    return found[0]


def test_a_sound_experiment_has_no_warnings():
    assert warnings_for(scenario(), policies(*CLEAN), 10) == []
    assert warnings_for(scenario(), policies(*CLEAN), None) == []


@pytest.mark.parametrize(
    ("replications", "words"),
    [
        (1, "one replication gives no confidence interval"),
        (2, "2 replications give wide intervals"),
        (9, "9 replications give wide intervals"),
    ],
)
def test_few_replications(replications, words):
    assert words in only(warnings_for(scenario(), [], replications))


# The horizon and the closed form


def test_horizon_shorter_than_the_best_interval():
    dear = scenario(pipeline={"cost": {"compute": "$1M"}})
    best = optimal_interval(retrain_cost=1e6, queries_per_day=1e5, value=0.5, accuracy=0.95, decay=0.02)
    text = only(warnings_for(dear, [], 10))
    assert f"every {best:.3g} d" in text
    assert "beyond the horizon of 60 d" in text


def test_retraining_that_never_pays_is_said_in_words():
    text = only(warnings_for(scenario(pipeline={"cost": {"compute": "$10M"}}), [], 10))
    assert "never" in text
    assert "inf" not in text


@pytest.mark.parametrize(
    "change",
    [
        {"traffic": {"rate": "0/d"}, "triggers": [], "monitors": []},
        {"value_per_query_per_unit_accuracy": "$0"},
        {"quality": {"kind": "exponential", "initial_accuracy": 0.95, "decay": "0/d"}},
    ],
    ids=["no traffic", "no value", "no decay"],
)
def test_nothing_to_win(change):
    assert "never retraining is best by construction" in only(warnings_for(scenario(**change), [], 10))


def test_retraining_longer_than_the_best_interval():
    slow = scenario(pipeline={"cost": {"compute": "$1000"}, "stages": {"training": "3d"}})
    text = only(warnings_for(slow, [], 10))
    assert "every 1.47 d" in text
    assert "a retraining takes 3.03 d" in text


def test_other_kinds_of_quality_have_no_closed_form():
    quality = {"kind": "degradation", "initial_accuracy": 0.9, "concept_sensitivity": 0.5}
    assert warnings_for(scenario(quality=quality, pipeline={"cost": {"compute": "$1M"}}), [], 10) == []


# Monitors that stay silent


def test_labels_later_than_the_horizon():
    late = scenario(labels={"coverage": "1%", "delay": "90d"})
    text = only(warnings_for(late, [], 10))
    assert text.startswith("monitor accuracy cannot call: labels take 90 d, the horizon is 60 d")


def test_labels_that_leave_little_of_the_horizon():
    text = only(warnings_for(scenario(labels={"coverage": "1%", "delay": "29d"}), [], 10))
    assert "a full window of labels only 31 d after a deployment, more than half the horizon" in text


@pytest.mark.parametrize(
    ("change", "label", "seen", "needed"),
    [
        ({"labels": {"coverage": "0.001%", "delay": "1d"}}, "accuracy", "2", "100"),
        (
            {"triggers": [{"metric": "accuracy", "window": "2d", "min_samples": 3000}]},
            "accuracy",
            "2e+03",
            "3000",
        ),
        ({"monitors": [{"metric": "feature_drift_psi", "rows": 20}]}, "feature_drift_psi", "20", "100"),
        ({"traffic": {"rate": "200/d"}, "triggers": []}, "feature_drift_psi", "50", "100"),
    ],
    ids=["coverage", "min_samples", "rows", "traffic"],
)
def test_too_few_samples_in_a_window(change, label, seen, needed):
    found = [text for text in warnings_for(scenario(**change), [], 10) if "closed form" not in text]
    text = only(found)
    assert text.startswith(f"monitor {label} expects {seen} samples in a window and needs {needed}")


@pytest.mark.parametrize(
    "monitor",
    [
        {"metric": "feature_drift_psi", "rows": 20, "window": "2d"},
        {"metric": "feature_drift_psi", "rows": 20, "cadence": "2d"},
        {"metric": "feature_drift_psi", "rows": 20, "min_samples": 20},
    ],
)
def test_a_wider_window_gathers_enough(monitor):
    assert warnings_for(scenario(monitors=[monitor]), [], 10) == []


def test_rows_of_an_accuracy_monitor_are_its_labels():
    few = scenario(triggers=[{"metric": "accuracy", "window": "2d", "rows": 5}])
    assert "expects 40 samples in a window and needs 100" in only(warnings_for(few, [], 10))


def test_conditions_of_a_policy_are_looked_at_like_the_scenarios():
    system = scenario(triggers=[], monitors=[], labels={"coverage": "0.001%", "delay": "1d"})
    assert "samples in a window" in only(warnings_for(system, policies("triggered:accuracy<-0.05"), 10))


def test_a_silent_monitor_is_silent():
    """What the warning says is what happens."""
    few = scenario(monitors=[], triggers=[{"metric": "accuracy", "window": "2d", "min_samples": 3000}])
    found = compare(few, ["triggered"], replications=2, workers=1)
    assert any("stays silent" in text for text in found.warnings)
    assert found.values("triggered", "alarms").tolist() == [0.0, 0.0]


# Policies


@pytest.mark.parametrize("text", ["scheduled:60d", "scheduled:90d", "continuous:60d", "hybrid:61d"])
def test_interval_beyond_the_horizon(text):
    warning = only(warnings_for(scenario(), policies(text), 10))
    assert warning == f"{text}: its interval is not shorter than the horizon of 60 d, so it never retrains"


@pytest.mark.parametrize("text", ["scheduled:2h", "continuous:1h", "hybrid:2h"])
def test_interval_shorter_than_a_retraining(text):
    warning = only(warnings_for(scenario(), policies(text), 10))
    assert warning.startswith(f"{text}: a retraining takes 2.75 h, longer than the interval")


def test_capacity_makes_room():
    roomy = scenario(pipeline={"cost": {"compute": "$1000"}, "capacity": 2})
    assert warnings_for(roomy, policies("scheduled:2h"), 10) == []


@pytest.mark.parametrize("text", ["scheduled:13d", "continuous:30d", "hybrid:59d"])
def test_few_retrainings_within_the_horizon(text):
    assert only(warnings_for(scenario(), policies(text), 10)).startswith(
        f"{text}: fewer than 5 retrainings within the horizon"
    )


def test_five_retrainings_are_enough():
    assert warnings_for(scenario(), policies("scheduled:12d"), 10) == []


def test_a_record_may_be_short_and_is_one_world():
    rows = [[0.9 if period > trained else math.nan for period in range(13)] for trained in range(13)]
    record = scenario(
        horizon="12d",
        window="1d",
        quality={"kind": "recorded", "matrix": {"rows": rows}, "period": "1d"},
        triggers=[],
        monitors=[],
    )
    text = only(warnings_for(record, policies("scheduled:4d"), 10))
    assert text.startswith("one record is one world")


def test_triggered_without_triggers():
    blind = scenario(triggers=[])
    text = only(warnings_for(blind, policies("triggered"), 10))
    assert text == "triggered: the scenario has no triggers, so it never retrains"
    assert warnings_for(blind, policies("triggered:psi>0.2"), 10) == []


@pytest.mark.parametrize("modifier", ["+cooldown=1d", "+budget=12/y", "+votes=2", "+cooldown=1d+budget=12/y"])
def test_modifiers_hide_nothing(modifier):
    assert "so it never retrains" in only(warnings_for(scenario(), policies(f"scheduled:90d{modifier}"), 10))


def test_wrapped_by_hand():
    assert "so it never retrains" in only(warnings_for(scenario(), [Budget(Scheduled(90.0), 3)], 10))


def test_warnings_come_with_the_comparison():
    found = compare(scenario(), ["scheduled:90d"], replications=2, workers=1)
    assert "2 replications give wide intervals" in found.warnings[0]
    assert found.warnings == found.to_dict()["warnings"]
    assert any(text.startswith("scheduled:90d: its interval") for text in found.warnings)


def test_precision_that_adds_replications_is_not_warned_about_them():
    """A first batch of two is no verdict: more follow."""
    found = compare(scenario(), ["never"], precision=0.5, replications=2, workers=1)
    assert found.warnings == []
