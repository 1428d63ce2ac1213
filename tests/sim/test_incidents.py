"""Incidents: what they do while they last, who can see them, and what they cost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import scenarios
import sim
from scenarios.failures import Failure
from scenarios.monitoring import Monitor
from scenarios.schema import Scenario
from sim.incidents import Incident, Onset, sees
from sim.world import World

SIGNALS = [
    {"name": "requests", "kind": "throughput"},
    {"name": "age", "kind": "freshness", "age": "4min"},
    {"name": "broken", "kind": "proportion", "base": "0.1%", "layer": "schema"},
    {"name": "clicks", "kind": "proportion", "base": "5%", "per_accuracy_lost": -0.05, "layer": "business"},
    {"name": "lift", "kind": "lift", "of": "clicks", "holdout": "10%", "baseline_accuracy": "80%"},
]


def system(**changes: Any) -> Scenario:
    """A model that does not drift, 40 days long, two features, two cohorts."""
    given = {
        "horizon": "40d",
        "window": "1h",
        "quality__decay": "0/d",
        "features": ["age_bucket", "amount"],
        "slices": [{"name": "tablet", "weight": "20%"}],
        "signals": SIGNALS,
        "monitors": [],
        "triggers": [],
        "traffic": {"rate": "24k/d", "arrivals": "deterministic"},
        "value_per_query_per_unit_accuracy": "$0.01",
    }
    return scenarios.load("rotting_asset", **(given | changes))


def failure(**fields: Any) -> Failure:
    return Failure.model_validate({"name": "f", "onsets": ["10d"]} | fields)


@pytest.mark.parametrize("ramp", ["0d", "3h", "5d"])
@pytest.mark.parametrize("end", [1.3, 1.9, 4.0])
def test_mean_level_is_the_integral_of_the_level(ramp: str, end: float) -> None:
    incident = Incident(Onset(failure(ramp=ramp), 1.13, math.inf), end)
    edges = np.arange(0.0, 5.0, 0.25)
    fine = (np.arange(200_000) + 0.5) * 5.0 / 200_000
    grows = incident.failure.ramp
    age = fine[::20] - 1.13
    level = np.where((age > 0.0) & (fine[::20] <= end), np.clip(age / grows, 0.0, 1.0) if grows else 1.0, 0.0)
    for found, begin, stop in zip(incident.mean_level(edges), edges[:-1], edges[1:], strict=True):
        inside = (fine[::20] >= begin) & (fine[::20] < stop)
        assert found == pytest.approx(level[inside].mean(), abs=1.5e-3)


MONITORS: dict[str, dict[str, Any]] = {
    "accuracy": {"metric": "accuracy"},
    "tablet": {"metric": "slice_accuracy", "slice": "tablet"},
    "rest": {"metric": "slice_accuracy", "slice": "rest"},
    "psi": {"metric": "feature_drift_psi"},
    "psi of amount": {"metric": "feature_drift_psi", "features": ["amount"]},
    "outputs": {"metric": "prediction_distribution_shift"},
    "requests": {"metric": "signal", "signal": "requests", "threshold": 0.3},
    "age": {"metric": "signal", "signal": "age", "deadline": "1h"},
    "broken": {"metric": "signal", "signal": "broken", "threshold": 0.01},
    "clicks": {
        "metric": "signal",
        "signal": "clicks",
        "threshold": 0.1,
        "measure": "change",
        "direction": "down",
    },
    "lift": {"metric": "signal", "signal": "lift", "threshold": 0.5},
    "truth": {"metric": "truth"},
}


@pytest.mark.parametrize(
    ("fields", "seen_by"),
    [
        ({"effects": [{"signal": "age", "stall": "18h"}]}, {"age"}),
        ({"effects": [{"signal": "broken", "add": 0.2}]}, {"broken"}),
        ({"effects": [{"signal": "broken", "add": 0.0}, {"signal": "clicks", "factor": 1}]}, set()),
        ({"effects": [{"signal": "requests", "factor": 0.0}]}, {"requests"}),
        ({"effects": [{"signal": "clicks", "factor": 0.5}]}, {"clicks", "lift"}),
        ({"effects": [{"signal": "clicks", "add": -0.01}]}, {"clicks"}),
        ({"accuracy_drop": "5%"}, {"accuracy", "tablet", "rest", "clicks", "lift"}),
        ({"accuracy_drop": "5%", "slice": "tablet"}, {"accuracy", "tablet", "clicks", "lift"}),
        ({"feature_shift": {"age_bucket": 2.0}}, {"psi", "outputs"}),
        ({"feature_shift": {"amount": -1.0}}, {"psi", "psi of amount", "outputs"}),
    ],
)
def test_a_layer_sees_what_moves_it_and_is_blind_to_the_rest(
    fields: dict[str, Any], seen_by: set[str]
) -> None:
    world = system(failures=[{"name": "f", "onsets": ["10d"], **fields}])
    found = {
        name
        for name, given in MONITORS.items()
        if sees(world, Monitor.model_validate(given), world.failures[0])
    }
    assert found == seen_by | {"truth"}


def test_outputs_are_blind_to_a_feature_that_the_model_does_not_use() -> None:
    features = [{"name": "age_bucket", "weight": 0.0}, {"name": "amount"}]
    world = system(
        features=features, failures=[{"name": "f", "onsets": ["10d"], "feature_shift": {"age_bucket": 2}}]
    )
    found = [
        sees(world, Monitor.model_validate(MONITORS[name]), world.failures[0]) for name in ("psi", "outputs")
    ]
    assert found == [True, False]


@pytest.mark.parametrize(("share", "fields"), [(1.0, {}), (0.2, {"slice": "tablet"})])
def test_an_unseen_failure_costs_its_drop_until_it_heals(share: float, fields: dict[str, Any]) -> None:
    given = {"name": "f", "onsets": ["10.01d"], "accuracy_drop": "5%", "lasts": "60h", "cost": "$7"}
    result = sim.run(system(failures=[given | fields]))
    expected = 7.0 + 24_000 * 2.5 * 0.01 * 0.05 * share
    assert result.costs["incident"] == pytest.approx(expected, rel=1e-9)
    assert result.costs["staleness"] == pytest.approx(0.0, abs=1e-9)
    row = result.incidents.iloc[0]
    assert (row["loss"], row["end_days"]) == (pytest.approx(expected, rel=1e-9), pytest.approx(12.51))
    assert math.isnan(row["detected_days"])
    assert math.isnan(row["resolved_days"])


def test_lost_requests_are_paid_in_full() -> None:
    lost = {
        "name": "f",
        "onsets": ["10d"],
        "lasts": "1d",
        "effects": [{"signal": "requests", "factor": 0.25}],
    }
    result = sim.run(system(failures=[lost]))
    expected = 0.75 * 24_000 * 0.01 * result.summary["mean_accuracy"]
    assert result.costs["incident"] == pytest.approx(expected, rel=1e-9)
    assert result.incidents["loss"].iloc[0] == pytest.approx(expected, rel=1e-9)


RESPONSE = {"triage": "45min", "repair": "5h", "fatigue": {"strength": 0}}


@pytest.mark.parametrize("replication", range(3))
def test_the_perfect_monitor_loses_what_people_need_and_no_more(replication: int) -> None:
    """With a free perfect monitor the loss is that of the time to the end of the window, triage and repair."""
    world = system(
        failures=[
            {"name": "a", "rate": "60/y", "accuracy_drop": "3%"},
            {"name": "b", "rate": "60/y", "accuracy_drop": "2%", "slice": "tablet", "repair": "30min"},
        ],
        monitors=[{"metric": "truth"}],
        response=RESPONSE,
    )
    result = sim.run(world, replication=replication)
    expected = 0.0
    for onset in World(world, 0, replication).onsets:
        noticed = math.ceil(onset.time * 24.0 - 1e-9) / 24.0
        end = min(noticed + (45.0 + (300.0 if onset.failure.name == "a" else 30.0)) / 1440.0, 40.0)
        end = end if noticed + 45.0 / 1440.0 < 40.0 else 40.0
        share = 0.03 if onset.failure.name == "a" else 0.02 * 0.2
        expected += 24_000 * 0.01 * share * (end - onset.time)
    assert len(result.incidents) >= 5
    assert result.costs["incident"] == pytest.approx(expected, rel=1e-9)
    unwatched = World(world, 0, replication).unwatched()
    oracle = sim.run(unwatched.scenario, "oracle", replication=replication, world=unwatched)
    assert result.costs["incident"] == oracle.costs["incident"]
    assert result.ledger.total() == oracle.ledger.total()


def test_without_failures_a_response_changes_nothing() -> None:
    monitors = [{"metric": "feature_drift_psi", "rows": 50, "min_samples": 10, "threshold": 0.35}]
    plain = sim.run(system(monitors=monitors))
    people = sim.run(system(monitors=monitors, response=RESPONSE))
    assert len(plain.alarms) > 10
    assert plain.alarms == people.alarms
    assert people.costs.drop("on_call").equals(plain.costs.drop("on_call"))
    assert people.costs["on_call"] == pytest.approx(people.actionability["acted"].sum() * 75.0)


def test_onsets_do_not_depend_on_who_watches() -> None:
    failures = [{"name": "a", "rate": "90/y", "accuracy_drop": "3%"}]
    blind = sim.run(system(failures=failures))
    seen = sim.run(system(failures=failures, monitors=[{"metric": "truth"}], response=RESPONSE))
    assert blind.incidents["onset_days"].equals(seen.incidents["onset_days"])
    assert seen.costs["incident"] < 0.5 * blind.costs["incident"]


def test_a_repair_starts_monitors_afresh_that_saw_the_failure() -> None:
    """A week's window would still be full of the failure a day after its repair."""
    world = system(
        failures=[{"name": "a", "onsets": ["10d"], "accuracy_drop": "10%"}],
        monitors=[
            {"metric": "accuracy", "window": "7d", "cadence": "1d", "threshold": 0.02, "cooldown": "0d"}
        ],
        labels={"coverage": "100%"},
        response=RESPONSE,
    )
    result = sim.run(world)
    assert [alarm.time for alarm in result.alarms] == [12.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"failures": [{"name": "f", "accuracy_drop": "5%"}]}, "give exactly one of rate and onsets"),
        (
            {"failures": [{"name": "f", "onsets": ["50d"]}]},
            r"failures\[0\].onsets: 50 d is not before the horizon, 40 d",
        ),
        (
            {"failures": [{"name": "f", "rate": "1/y", "effects": [{"signal": "ages", "stall": "1h"}]}]},
            r"unknown 'ages': did you mean 'age'\?",
        ),
        (
            {"failures": [{"name": "f", "rate": "1/y", "effects": [{"signal": "age", "add": 1}]}]},
            "does not fit age, a freshness signal: expected stall",
        ),
        (
            {"failures": [{"name": "f", "rate": "1/y", "effects": [{"signal": "age"}]}]},
            "give exactly one of add, factor and stall, got none",
        ),
        (
            {"monitors": [{"metric": "signal", "signal": "age"}]},
            "is missing: give one, for a freshness signal a deadline",
        ),
        ({"monitors": [{"metric": "signal"}]}, "signal: give the name of a signal"),
        ({"monitors": [{"metric": "truth"}]}, "metric truth finds failures, and the scenario has none"),
        (
            {"monitors": [{"metric": "signal", "signal": "requests", "deadline": "1h"}]},
            "deadline: applies to freshness signals, requests is a throughput",
        ),
        (
            {"monitors": [{"metric": "signal", "signal": "requests", "threshold": 0.1, "rows": 5}]},
            "requests is not looked at row by row",
        ),
        (
            {
                "monitors": [
                    {"metric": "signal", "signal": "broken", "threshold": 0.1, "hit_sampling_rate": "50%"}
                ]
            },
            "hit_sampling_rate: needs sampling_rate",
        ),
        (
            {"monitors": [{"metric": "accuracy", "sampling_rate": "50%"}]},
            "sampling_rate: does not apply to labels",
        ),
        (
            {"signals": [*SIGNALS[:4], SIGNALS[4] | {"baseline_accuracy": "95%"}]},
            "baseline_accuracy: must be below the initial accuracy",
        ),
        ({"signals": [*SIGNALS, SIGNALS[0]]}, "signals: 'requests' is there twice"),
    ],
)
def test_what_does_not_fit_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        system(**changes)


def test_what_is_broken_cannot_break_again() -> None:
    """Two incidents of one mode at once harm as one does; when the older one ends the other goes on."""
    scenario = system(
        failures=[{"name": "f", "onsets": ["2d", "3d", "20d"], "accuracy_drop": 0.1, "lasts": "4d"}],
        response=None,
    )
    result = sim.run(scenario)
    worth = result.requests * scenario.value_per_query_per_unit_accuracy
    days = np.arange(len(worth)) * scenario.window
    parts = [((days >= a - 1e-9) & (days < b - 1e-9)) for a, b in ((2, 6), (6, 7), (20, 24))]
    assert result.incidents["loss"].tolist() == pytest.approx([0.1 * worth[p].sum() for p in parts], rel=1e-9)


def test_losses_of_incidents_add_up_to_the_ledger() -> None:
    """Also where two modes take more accuracy together than there is, and requests are lost."""
    effects = [{"signal": "requests", "factor": 0.2}]
    scenario = system(
        failures=[
            {"name": "f", "rate": "1/d", "accuracy_drop": 0.5, "lasts": "3d", "ramp": "1d", "cost": "$7"},
            {"name": "g", "rate": "1/d", "accuracy_drop": 0.6, "lasts": "2d", "effects": effects},
        ],
        response=None,
    )
    result = sim.run(scenario)
    assert len(result.incidents) > 10
    assert result.incidents["loss"].sum() == pytest.approx(result.costs["incident"], rel=1e-9)
