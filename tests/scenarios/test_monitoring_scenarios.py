"""The library's scenarios of monitoring: the source's examples come out of them."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import analysis
import scenarios
import sim
from analysis import economics

NAMES = (
    "monitoring_budget",
    "silent_failure",
    "netflix_cohorts",
    "low_traffic_medical",
    "resnet50_vision",
    "gpt2_text",
    "dlrm_recsys",
    "dscnn_keyword",
)
TUNED_LONG = ("monitoring_budget", "netflix_cohorts", "dlrm_recsys")
"""Scenarios in which it takes seconds to find the best interval of a schedule."""
COMES_OUT = ("throughput", "outputs", "accuracy", "business")
INPUTS = ("freshness", "schema", "features")
LONGEST = 40.0 * 24.0
"""Hours for which an incident was watched at least: what nobody saw lasted longer."""


def written(name: str, part: str) -> list[dict[str, Any]]:
    """A list of the scenario's file, as somebody wrote it."""
    found: list[dict[str, Any]] = scenarios.load(name).model_dump(mode="json", exclude_unset=True)[part]
    return found


def label(monitor: dict[str, Any]) -> str:
    return str(monitor.get("name") or monitor.get("signal") or monitor["metric"])


def watched(name: str, labels: tuple[str, ...], failure: str, onsets: list[str], **overrides: Any) -> Any:
    """A library scenario with some of its monitors and one of its failures, which begins at these moments.

    The failure lasts until somebody repairs it, and the path of monitoring never fails.
    """
    monitors = [monitor for monitor in written(name, "monitors") if label(monitor) in labels]
    assert len(monitors) == len(labels)
    (chosen,) = [item for item in written(name, "failures") if item["name"] == failure]
    kept = {key: value for key, value in chosen.items() if key not in ("rate", "lasts")}
    return scenarios.load(
        name, monitors=monitors, failures=[kept | {"onsets": onsets}], menu=[], telemetry=None, **overrides
    )


def incidents(scenario: Any, replications: int) -> pd.DataFrame:
    """All incidents of the first worlds, with the hours to their detection."""
    found = pd.concat([sim.run(scenario, replication=n).incidents for n in range(replications)])
    return found.assign(hours=24.0 * (found["detected_days"] - found["onset_days"]))


@cache
def budget_hours(labels: tuple[str, ...], failure: str, replications: int = 6) -> pd.Series:
    """Hours to detection in the monitoring budget's world; NaN where nobody saw it."""
    scenario = watched("monitoring_budget", labels, failure, ["21.3d", "63.8d"], horizon="105d")
    return incidents(scenario, replications)["hours"]


# ---------------------------------------------------------------- what the source says of layers


def test_stale_embeddings_are_found_after_three_days_by_accuracy_and_within_the_deadline_by_freshness():
    late = budget_hours(("throughput", "outputs", "accuracy"), "replication_lag").to_numpy() / 24.0
    assert not np.isnan(late).any()
    low, high = stats.t.interval(0.95, len(late) - 1, late.mean(), stats.sem(late))
    assert low <= 3.5
    assert high >= 2.5
    # A look each 15 minutes, for data that must not be older than that.
    assert budget_hours((*COMES_OUT, "freshness"), "replication_lag").max() <= 0.5


def test_engagement_falls_by_nine_per_cent_meanwhile():
    scenario = watched("monitoring_budget", ("throughput",), "replication_lag", ["50d"])
    accuracy = sim.run(scenario).accuracy[0]
    clicks = scenario.signal("clicks")
    assert accuracy[-1] == pytest.approx(0.91 * accuracy[0])
    assert clicks.per_accuracy_lost * (accuracy[0] - accuracy[-1]) / clicks.base == pytest.approx(-0.09)


def test_a_shift_of_lifetime_value_is_found_within_48_hours_by_inputs_and_after_weeks_by_outputs():
    early = budget_hours((*COMES_OUT, "features"), "aggregation_change")
    assert early.median() <= 48.0
    # The others begin while the monitor is silenced, after false alarms about features that wander by themselves.
    assert (early <= 48.0).mean() >= 0.7
    late = budget_hours(COMES_OUT, "aggregation_change")
    assert late.fillna(LONGEST).median() >= 7 * 24.0


@pytest.mark.parametrize(
    ("failure", "hours"), [("replication_lag", 0.5), ("schema_break", 2.0), ("aggregation_change", 60.0)]
)
def test_detection_takes_days_with_outputs_only_and_hours_with_input_checks(failure, hours):
    outputs = budget_hours(COMES_OUT, failure).fillna(LONGEST)
    both = budget_hours((*COMES_OUT, *INPUTS), failure).fillna(LONGEST)
    assert outputs.mean() > 24.0
    assert both.median() <= hours
    gain = (outputs - both).to_numpy()
    assert stats.t.interval(0.95, len(gain) - 1, gain.mean(), stats.sem(gain))[0] > 0.0


@pytest.mark.parametrize(
    ("failure", "seen"),
    [
        ("routing", True),
        ("bad_rollout", True),
        ("ranking_bug", False),
        ("replication_lag", False),
        ("schema_break", False),
        ("aggregation_change", False),
        ("tablet_client", False),
    ],
)
def test_without_labels_outputs_are_blind_to_what_does_not_move_them(failure, seen):
    hours = budget_hours(("throughput", "outputs"), failure, replications=4)
    assert hours.notna().all() if seen else hours.isna().all()


@pytest.mark.parametrize("failure", ["replication_lag", "schema_break", "ranking_bug"])
def test_accuracy_waits_for_labels(failure):
    hours = budget_hours(("accuracy",), failure)
    assert hours.notna().all()
    assert hours.median() > 18.0  # the median delay of a label


# ---------------------------------------------------------------- the bill


def test_the_base_telemetry_costs_the_source_s_figure():
    scenario = scenarios.load("monitoring_budget", horizon="30d", monitors=[], menu=[], failures=[])
    costs = sim.run(scenario).costs
    parts = {"monitoring_ingest": 7.776, "monitoring_storage": 0.20736, "monitoring_query": 253.44}
    for category, expected in parts.items():
        assert costs[category] == pytest.approx(expected, rel=1e-12)
    bill = costs[list(sim.ledger.MONITORING)].sum()
    assert round(bill, 2) == 261.42
    assert bill == pytest.approx(261.42336, rel=1e-12)


def test_each_month_of_the_scenario_has_the_same_base():
    scenario = scenarios.load("monitoring_budget", monitors=[], menu=[])
    costs = sim.run(scenario, replication=1).costs
    assert costs[list(sim.ledger.MONITORING)].sum() == pytest.approx(6 * 261.42336, rel=1e-12)


# ---------------------------------------------------------------- cohorts, charts, holdout

SLICES = tuple(f"slice_accuracy[{name}]" for name in ("desktop", "ios", "android", "tablet"))


def cohort_scenario(labels: tuple[str, ...], failure: str, onsets: list[str]) -> Any:
    named = [
        monitor | {"name": label_of_slice(monitor)} for monitor in written("netflix_cohorts", "monitors")
    ]
    monitors = [monitor for monitor in named if monitor["name"] in labels]
    assert len(monitors) == len(labels)
    (chosen,) = [item for item in written("netflix_cohorts", "failures") if item["name"] == failure]
    kept = {key: value for key, value in chosen.items() if key not in ("rate", "lasts")}
    return scenarios.load("netflix_cohorts", monitors=monitors, failures=[kept | {"onsets": onsets}], menu=[])


def label_of_slice(monitor: dict[str, Any]) -> str:
    return f"{monitor['metric']}[{monitor['slice']}]" if "slice" in monitor else label(monitor)


def test_a_slice_that_falls_behind_a_good_average_is_found_by_its_own_monitor_only():
    blind = cohort_scenario(("overall",), "tablet_client", ["40.3d"])
    result = sim.run(blind)
    weights, after = blind.slice_weights, result.accuracy[:, -1]
    assert weights == (0.45, 0.30, 0.20, 0.05)
    assert after.tolist() == pytest.approx([0.94, 0.92, 0.88, 0.62])
    assert (
        weights @ after == pytest.approx(economics.overall_accuracy(weights, after)) == pytest.approx(0.906)
    )
    assert incidents(blind, 5)["detected_days"].isna().all()

    found = incidents(cohort_scenario(("overall", *SLICES), "tablet_client", ["40.3d", "110.6d"]), 5)
    assert set(found["by"]) == {"slice_accuracy[tablet]"}
    assert found["hours"].max() <= 48.0


def test_a_control_chart_finds_a_slow_fall_before_a_fixed_limit():
    onsets = ["30.4d", "110.4d"]
    hours = {
        name: incidents(cohort_scenario((name,), "taste_shift", onsets), 6)["hours"]
        for name in ("overall", "chart")
    }
    assert hours["chart"].max() < hours["overall"].min()
    assert hours["overall"].notna().all()


def test_the_holdout_group_tells_when_the_model_adds_less():
    scenario = cohort_scenario(("added",), "taste_shift", ["30.4d"])
    result = sim.run(scenario)
    assert incidents(scenario, 5)["hours"].notna().all()
    forgone = 0.01 * (result.accuracy.T @ np.array(scenario.slice_weights) - 0.70)
    assert result.costs["monitoring"] == pytest.approx((forgone * result.requests).sum() * 0.01)


def test_limits_that_follow_the_week_call_less_than_a_fixed_limit_that_sees_as_much():
    calls = {}
    for rule in ("adaptive", "threshold"):
        (demand,) = [m for m in written("netflix_cohorts", "monitors") if m.get("name") == "demand"]
        if rule == "threshold":  # 40 % fewer requests in the quietest hours of the week are below this
            demand = {key: value for key, value in demand.items() if key not in ("rule", "limits")}
            demand |= {"threshold": 0.3}
        scenario = scenarios.load("netflix_cohorts", monitors=[demand], failures=[], menu=[], response=None)
        calls[rule] = [sim.run(scenario, replication=n).summary["false_alarms"] for n in range(4)]
    assert max(calls["adaptive"]) <= 6
    assert min(calls["threshold"]) >= 150


# ---------------------------------------------------------------- archetypes


@pytest.mark.parametrize(
    ("name", "monitor", "least", "most"),
    [
        ("resnet50_vision", "accuracy", 6, 24),
        ("gpt2_text", "perplexity", 26, 104),
        ("dlrm_recsys", "ctr", 90, 400),
        ("dscnn_keyword", "false_wakes", 1, 8),
    ],
    ids=["about monthly", "about weekly", "about daily", "about quarterly"],
)
def test_the_trigger_of_an_archetype_retrains_about_as_often_as_the_source_says(name, monitor, least, most):
    scenario = scenarios.load(name)
    assert monitor in [trigger.label for trigger in scenario.triggers]
    runs = [sim.run(scenario, "triggered", replication=n) for n in range(3)]
    assert all(any(alarm.monitor == monitor for alarm in run.alarms) for run in runs)
    year = np.mean([run.summary["retrains"] for run in runs]) * 365.0 / scenario.horizon
    assert least <= year <= most
    for number, run in enumerate(runs):
        assert run.summary["mean_accuracy"] > sim.run(scenario, replication=number).summary["mean_accuracy"]


@pytest.mark.parametrize("name", ["gpt2_text", "dscnn_keyword"])
def test_proxies_need_no_labels(name):
    scenario = scenarios.load(name)
    assert scenario.labels is None
    assert sim.run(scenario, "triggered").costs["labelling"] == 0.0


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in TUNED_LONG else name for name in NAMES],
)
def test_compares_its_own_policies(name):
    scenario = scenarios.load(name)
    assert scenario.story
    assert scenario.question
    assert scenario.source.startswith("chapter, ")
    found = analysis.compare(scenario, replications=2, workers=1)
    table = found.table()
    assert (table["annual_cost"] >= 0.0).all()
    assert table["mean_accuracy"].between(0.0, 1.0).all()
    assert table.loc["oracle", "annual_cost"] <= table["annual_cost"].min() + 1e-9


@pytest.mark.parametrize("name", NAMES[:4])
def test_its_menu_is_of_a_size_to_search(name):
    from analysis.monitoring_plans import plans_of

    assert 4 <= len(plans_of(scenarios.load(name))) <= 200


def test_reports_of_the_monitoring_budget_add_up():
    result = sim.run(scenarios.load("monitoring_budget"), replication=2)
    assert result.costs["incident"] == pytest.approx(result.incidents["loss"].sum(), rel=0.02)
    table = result.actionability
    assert (table["found"] <= table["acted"]).all()
    assert (table["acted"] <= table["pages"]).all()
    assert result.costs["on_call"] > 0.0
