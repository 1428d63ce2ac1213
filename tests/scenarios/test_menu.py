from __future__ import annotations

from typing import Any

import pytest

import scenarios
from scenarios.loader import ScenarioError, validate_mapping
from scenarios.menu import changed_monitor, changed_telemetry, check_menu, entry_name, monitors_of_entry
from scenarios.monitoring import Monitor
from scenarios.schema import Scenario
from scenarios.telemetry import Telemetry

BASE: dict[str, Any] = {
    "title": "t",
    "horizon": "20d",
    "window": "1h",
    "value_per_query_per_unit_accuracy": "$0.1",
    "features": ["age"],
    "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1%/d"},
    "traffic": {"rate": "1000/d"},
    "signals": [{"name": "data_age", "kind": "freshness", "age": "5min"}],
    "monitors": [
        {"metric": "signal", "signal": "data_age", "deadline": "1h"},
        {"metric": "feature_drift_psi", "rows": 500, "threshold": 0.2},
        {"metric": "accuracy", "cost": "$100/month"},
    ],
    "telemetry": {"outages": {"rate": "4/y", "unnoticed": "8h"}},
}


def with_menu(*entries: dict[str, Any], **changes: Any) -> Scenario:
    return validate_mapping(BASE | {"menu": list(entries)} | changes)


def test_an_entry_is_named_after_the_layers_of_its_monitors() -> None:
    menu = (
        {"monitors": ["data_age"], "options": ["off", "on"]},
        {"monitors": ["accuracy", "feature_drift_psi"], "options": ["off", True]},
        {"governs": "telemetry", "options": ["on", {"retention": "7d"}]},
    )
    scenario = with_menu(*menu)
    names = [entry_name(scenario, entry) for entry in scenario.menu]
    assert names == ["freshness", "features+accuracy", "telemetry"]
    assert [option.label for option in scenario.menu[2].options] == ["on", "retention=7d"]


def test_an_entry_that_is_named_after_a_layer_governs_all_of_it() -> None:
    scenario = with_menu({"name": "freshness", "options": ["off", "on"]})
    assert [m.label for m in monitors_of_entry(scenario, scenario.menu[0])] == ["data_age"]


def test_a_menu_survives_being_written_out_and_read_again() -> None:
    scenario = with_menu(
        {"monitors": ["accuracy"], "options": [False, "on", {"name": "often", "cadence": "6h", "rows": None}]}
    )
    again = Scenario.model_validate(scenario.model_dump(mode="json"))
    assert again.menu == scenario.menu
    assert again.hash() == scenario.hash()
    assert scenario.model_dump(mode="json")["menu"][0]["options"] == [
        "off",
        "on",
        {"name": "often", "cadence": "6h", "rows": None},
    ]


@pytest.mark.parametrize(
    ("entry", "place", "words"),
    [
        ({"monitors": ["data_agee"], "options": ["on"]}, "menu[0].monitors", "did you mean 'data_age'"),
        ({"name": "sky", "options": ["on"]}, "menu[0].monitors", "a layer"),
        ({"name": "schema", "options": ["on"]}, "menu[0].name", "no monitor of the layer schema"),
        ({"monitors": ["accuracy"], "options": []}, "menu[0].options", "at least 1"),
        ({"monitors": ["accuracy"], "options": [3]}, "menu[0].options[0]", "off, on, or a mapping"),
        ({"monitors": ["accuracy"], "options": ["on", True]}, "menu[0].options", "there twice"),
        ({"monitors": ["accuracy"], "options": [{"cadense": "1h"}]}, "menu[0].options[0].cadense", "'cadence'"),
        ({"monitors": ["accuracy"], "options": ["on", {"cadence": "1 pc"}]}, "menu[0].options[1].cadence", "duration"),
        ({"monitors": ["accuracy"], "options": [{"cadence": "90min"}]}, "menu[0].options[0].cadence", "whole number"),
        ({"monitors": ["accuracy"], "options": [{"metric": "truth"}]}, "menu[0].options[0].metric", "which monitor"),
        ({"monitors": ["feature_drift_psi"], "options": [{"sampling_rate": "1%"}]}, "menu[0].options[0]", "not both"),
        ({"governs": "telemetry", "options": ["off"]}, "menu[0].options", "cannot be off"),
        ({"governs": "telemetry", "options": [{"outages.heartbeet": "1h"}]}, "outages.heartbeet", "'heartbeat'"),
        ({"governs": "telemetry", "monitors": ["accuracy"], "options": ["on"]}, "menu[0].monitors", "not both"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(entry: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        with_menu(entry)
    (problem,) = caught.value.problems
    assert place in str(problem)
    assert words in str(problem)


def test_a_monitor_belongs_to_one_entry_and_a_name_too() -> None:
    first = {"monitors": ["accuracy"], "options": ["off", "on"]}
    with pytest.raises(ScenarioError, match=r"menu\[0\] has the monitor 'accuracy' too"):
        with_menu(first, {"name": "b", "monitors": ["accuracy", "data_age"], "options": ["on"]})
    with pytest.raises(ScenarioError, match=r"menu\[0\] has the name 'accuracy' too"):
        with_menu(first, {"name": "accuracy", "monitors": ["data_age"], "options": ["on"]})


def test_telemetry_must_be_there_to_be_governed() -> None:
    with pytest.raises(ScenarioError, match="no telemetry"):
        with_menu({"governs": "telemetry", "options": ["on"]}, telemetry=None)


def test_a_changed_monitor_keeps_its_name_and_so_its_noise() -> None:
    monitor = Monitor(metric="accuracy", threshold=0.05)
    changed = changed_monitor(monitor, {"rule": "adaptive", "threshold": None})
    assert changed.rule == "adaptive"
    assert changed.threshold is None
    assert changed.label == monitor.label == "accuracy"


def test_telemetry_is_changed_at_dotted_paths_and_nowhere_else() -> None:
    telemetry = Telemetry.model_validate(BASE["telemetry"])
    changed = changed_telemetry(telemetry, {"outages.heartbeat": "5min", "outages.redundant": True})
    assert changed.outages is not None
    assert telemetry.outages is not None
    assert changed.outages.heartbeat == pytest.approx(5 / 1440)
    assert changed.outages.model_copy(update={"heartbeat": None, "redundant": False}) == telemetry.outages


def test_scenarios_of_the_library_have_fitting_menus() -> None:
    for name in scenarios.loader.library_names():
        check_menu(scenarios.load(name))
