"""The catalogue of failure modes: what a kind fills in, how often data are the cause, and who can see each."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest

import scenarios
import sim
from scenarios.failure_catalogue import MODES, Cause, Kind, catalogue
from scenarios.failures import Failure
from scenarios.schema import Scenario
from scenarios.signals import Layer

KINDS = list(MODES)
SIGNALS = [
    {"name": "requests", "kind": "throughput"},
    {"name": "errors", "kind": "proportion", "base": "0.5%", "layer": "infrastructure"},
    {"name": "latency", "kind": "mean", "base": 80, "sd": 20, "layer": "infrastructure"},
    {"name": "age", "kind": "freshness", "age": "4min"},
    {"name": "broken", "kind": "proportion", "base": "1%", "layer": "schema"},
    {"name": "clicks", "kind": "proportion", "base": "50%", "per_accuracy_lost": -1.0, "layer": "business"},
]
NO_NOISE = {"sampling": "none"}
LABEL_DELAY = 6.0 / 24.0
MONITORS: dict[str, dict[str, Any]] = {
    "infrastructure": {"metric": "signal", "signal": "requests", "threshold": 0.2, "cadence": "1h"},
    "freshness": {"metric": "signal", "signal": "age", "deadline": "6h", "cadence": "1h"},
    "schema": {"metric": "signal", "signal": "broken", "threshold": 0.05, "cadence": "1h"},
    "features": {"metric": "feature_drift_psi", "threshold": 0.02, "cadence": "4h"},
    "outputs": {"metric": "prediction_distribution_shift", "threshold": 1e-4, "cadence": "1h"},
    "accuracy": {"metric": "accuracy", "threshold": 0.01, "cadence": "1d", "window": "1d"},
    "slices": {"metric": "slice_accuracy", "slice": "tablet", "threshold": 0.01, "cadence": "1d", "window": "1d"},
    "business": {"metric": "signal", "signal": "clicks", "threshold": 0.03, "direction": "down", "measure": "change",
                 "cadence": "1d"},
}  # fmt: skip
BEACON = {"name": "beacon", "kind": "proportion", "base": "1%", "layer": "schema"}
OTHER = {"name": "other", "onsets": ["480h"], "effects": [{"signal": "beacon", "add": 0.5}]}
AT_ONCE = {"triage": "0d", "repair": "0d", "consolidation": "0d", "fatigue": {"strength": 0}}


def system(failures: list[dict[str, Any]], **changes: Any) -> Scenario:
    given = {
        "horizon": "60d",
        "window": "1h",
        "quality": {"kind": "degradation", "initial_accuracy": 0.9},
        "labels": {"delay": "6h"},
        "features": [{"name": "age_bucket", "weight": 1}, {"name": "amount", "weight": 2}],
        "slices": [{"name": "tablet", "weight": "20%"}],
        "signals": SIGNALS,
        "monitors": [],
        "triggers": [],
        "pipeline": {},
        "traffic": {"rate": "240k/d", "arrivals": "deterministic"},
        "failures": failures,
    }
    return scenarios.load("rotting_asset", **(given | changes))


def only(kind: str, layer: str) -> sim.Result:
    """A run in which one mode begins for sure, at or after day 20, and one layer is watched without noise."""
    mode, changes = MODES[kind], {}
    failure: dict[str, Any] = {"kind": kind}
    if "rate" in mode.defaults:
        failure["onsets"] = ["481.3h"]
    else:
        failure["trigger"] = mode.defaults["trigger"] | {"probability": 1}
    failures, monitors = [failure], [MONITORS[layer] | NO_NOISE]
    if kind == "correction_cascade":  # something else is found and repaired first
        failures.append(OTHER)
        changes = {"signals": [*SIGNALS, BEACON], "response": AT_ONCE}
        monitors.append(
            {"metric": "signal", "signal": "beacon", "threshold": 0.3, "cadence": "1h"} | NO_NOISE
        )
    if kind == "validation_leak":  # there must be something to hide
        changes = {
            "pipeline": {
                "bad_training": {"probability": 1, "loss": "10%"},
                "gate": {"margin": -0.02, "holdout": 1_000_000},
            }
        }
    policy = "never" if kind == "correction_cascade" else "scheduled:22d"
    return sim.run(system(failures, monitors=monitors, **changes), policy)


@pytest.mark.parametrize("layer", MONITORS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_mode_is_seen_by_its_layers_only_and_not_before_they_look(kind: str, layer: str) -> None:
    result = only(kind, layer)
    found = [incident for incident in result.raw_incidents if incident.failure.name == kind]
    assert found
    if layer not in MODES[kind].layers:
        assert all(incident.detected is None for incident in found)
        assert not [alarm for alarm in result.alarms if alarm.monitor != "beacon"]
        return
    first = found[0]
    assert first.detected is not None
    monitor = result.scenario.monitors[0]
    cadence = result.scenario.cadence_of(monitor)
    begins = first.onset.time
    if first.failure.harms == "training":  # by then a model has learned from it
        begins = result.champions[1].since
    looks = math.floor(begins / cadence + 1e-9) + 1
    delay = LABEL_DELAY if monitor.needs_labels else 0.0
    stall = 6.0 / 24.0 if layer == "freshness" else 0.0
    assert first.detected >= max(looks * cadence, begins + delay, begins + stall) - 1e-9
    assert first.detected <= begins + delay + stall + 2.0 * cadence + 2.0 / 24.0
    assert first.by == monitor.label


def test_the_layers_of_the_catalogue_are_layers() -> None:
    assert (
        {layer for mode in MODES.values() for layer in mode.layers} <= set(get_args(Layer)) == set(MONITORS)
    )
    assert all(mode.layers for mode in MODES.values())


# ---------------------------------------------------------------- what a kind fills in


def test_the_table_has_every_mode_of_every_cause_that_is_meant() -> None:
    table = catalogue()
    assert list(table.index) == list(get_args(Kind)) == KINDS
    assert set(table["cause"]) == {"data", "skew", "model", "code", "infrastructure"} <= set(get_args(Cause))
    skew = table[table["cause"] == "skew"]
    assert len(skew) == 4
    assert skew["accuracy_drop"].between(0.05, 0.15).all()  # the source's 5-15 %
    assert table.loc["partial_rollout", "share"] == 1.0 / 8.0
    assert table.loc["feedback_loop", "feeds"] > 0.0 < table.loc["bad_training_data", "taints"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_alone_is_a_failure_of_a_scenario(kind: str) -> None:
    scenario = system([{"kind": kind}])
    (failure,) = scenario.failures
    assert failure.name == kind
    assert (failure.rate is None) != (failure.trigger is None)
    for name, value in MODES[kind].defaults.items():
        if name not in ("rate", "trigger"):
            assert getattr(failure, name) == value
    again = Scenario.model_validate_json(scenario.model_dump_json(exclude_none=False))
    assert again == scenario
    assert again.hash() == scenario.hash()


def test_what_is_written_wins() -> None:
    given = {"kind": "skew_preprocessing", "name": "mine", "onsets": ["3d"], "accuracy_drop": "2%", "cause": "code",
             "feature_shift": {"age_bucket": 1.5}, "effects": []}  # fmt: skip
    failure = system([given]).failures[0]
    assert (failure.name, failure.onsets, failure.trigger, failure.rate) == ("mine", [3.0], None, None)
    assert (failure.accuracy_drop, failure.cause) == (0.02, "code")
    assert failure.feature_shift == {"age_bucket": 1.5}
    assert not system([{"kind": "capacity_loss", "effects": []}]).failures[0].effects


def test_effects_are_those_of_the_signals_that_there_are() -> None:
    scenario = system([{"kind": "capacity_loss"}, {"kind": "changed_aggregation"}])
    assert [effect.signal for effect in scenario.failures[0].effects] == ["requests", "errors", "latency"]
    assert scenario.failures[1].feature_shift == {"amount": 0.6}  # the heaviest
    fewer = scenario.with_(signals=SIGNALS[:1])
    assert [effect.signal for effect in fewer.failures[0].effects] == ["requests"]
    assert (
        fewer.with_(features=[], quality__kind="exponential", quality__decay="0/d").failures[1].feature_shift
        == {}
    )


def test_the_schema_tells_of_the_kinds() -> None:
    kind = Failure.model_json_schema()["properties"]["kind"]
    assert kind["anyOf"][0]["enum"] == KINDS
    assert "catalogue" in kind["description"]


# ---------------------------------------------------------------- causes


def test_most_incidents_have_their_cause_in_data() -> None:
    """The source's 60-80 %, with the chosen rates, monthly deployments, and people who repair what is found."""
    causes: list[str] = []
    for seed in range(8):
        given = system(
            [{"kind": kind} for kind in KINDS], horizon="1825d", window="1d", monitors=[{"metric": "truth"}],
            labels={"delay": "1d"}, response=AT_ONCE | {"repair": "1d"},
        )  # fmt: skip
        causes += sim.run(given, "scheduled:30d", seed).incidents["cause"].tolist()
    share = sum(cause in ("data", "skew") for cause in causes) / len(causes)
    assert len(causes) > 400
    assert 0.6 < share < 0.8
    assert set(causes) == {"data", "skew", "model", "code", "infrastructure"}
