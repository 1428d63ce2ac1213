"""Monitors of a run beside one that looks at nothing."""

from __future__ import annotations

import math

import pytest

import sim
from analysis.report import run_document, run_text
from analysis.run_quality import monitor_quality
from scenarios.loader import validate_mapping


@pytest.fixture(scope="module")
def result():
    """Accuracy falls by 15 points on day 10 of 30; a sure monitor, and one that calls each day from the start."""
    series = {"step": "10d", "values": [0.0, 1.5, 1.5]}
    scenario = validate_mapping(
        {
            "title": "one jump",
            "horizon": "30d",
            "window": "6h",
            "value_per_query_per_unit_accuracy": "$0.01",
            "features": ["x"],
            "quality": {"kind": "degradation", "initial_accuracy": 0.9, "concept_sensitivity": 0.1},
            "drift": [{"kind": "recorded", "on": "concept", "series": series}],
            "traffic": {"rate": "40000/d", "arrivals": "deterministic"},
            "pipeline": {"cost": {"compute": "$10"}},
            "monitors": [
                {"metric": "accuracy", "name": "sure", "window": "1d", "cooldown": "30d"},
                {"metric": "feature_drift_psi", "name": "nervous", "threshold": 1e-9, "cooldown": "1d"},
                {"metric": "feature_drift_ks", "name": "deaf", "threshold": 0.9},
            ],
        }
    )
    return sim.run(scenario, "never")


def test_detected_false_and_missed_are_counted_by_hand(result):
    table = monitor_quality(result)
    sure, nervous, deaf = (table.loc[name] for name in ("sure", "nervous", "deaf"))
    # The first window with the loss ends on day 10.25; labels of a whole day are there on day 11.
    assert (sure["losses"], sure["detected"], sure["alarms"], sure["f1"]) == (1, 1, 1, 1.0)
    assert sure["delay_hours"] == pytest.approx(18.0)
    assert sure["every_days"] == 30.0
    assert nervous["alarms"] == 30
    assert (nervous["detected"], nervous["false_alarms"]) == (1, 29)
    assert nervous["precision"] == pytest.approx(1 / 30)
    assert nervous["f1"] == pytest.approx(2 / 31)
    assert (deaf["missed"], deaf["alarms"], deaf["f1"]) == (1, 0, 0.0)
    assert math.isnan(deaf["f1_of_every"])


def test_a_late_alarm_is_false_and_its_loss_missed(result):
    sure = monitor_quality(result, in_time=0.5).loc["sure"]
    assert (sure["missed"], sure["false_alarms"], sure["late"], sure["f1"]) == (1, 1, 1, 0.0)
    with pytest.raises(ValueError, match="in_time"):
        monitor_quality(result, in_time=0)


def test_the_dumb_one_calls_as_often(result):
    """One call at the end of the run is 19 days late; thirty of them hit the loss at once."""
    table = monitor_quality(result)
    assert table.loc["sure", "f1_of_every"] == 0.0
    assert table.loc["nervous", "f1_of_every"] == pytest.approx(2 / 31)


def test_runs_show_it(result):
    text = run_text(result)
    assert "F1 of every k" in text
    assert [row["monitor"] for row in run_document(result)["monitors"]] == ["sure", "nervous", "deaf"]


def test_a_monitor_of_a_slice_is_judged_by_its_slice(result):
    """A slice of 5 % of the requests loses 30 points: nothing overall, all of it there."""
    series = {"step": "10d", "values": [0.0, 3.0, 3.0]}
    written = result.scenario.model_dump(mode="json")
    scenario = validate_mapping(
        written
        | {
            "slices": [{"name": "few", "weight": 0.05}],
            "drift": [{"kind": "recorded", "on": "concept", "slice": "few", "series": series}],
            "material_drop": 0.05,
            "monitors": [
                {"metric": "slice_accuracy", "slice": "few", "name": "own", "cooldown": "30d"},
                {"metric": "accuracy", "name": "all"},
            ],
        }
    )
    table = monitor_quality(sim.run(scenario, "never"))
    assert (table.loc["own", "losses"], table.loc["own", "f1"]) == (1, 1.0)
    assert (table.loc["all", "losses"], table.loc["all", "alarms"]) == (0, 0)
