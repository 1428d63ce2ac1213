from __future__ import annotations

import pickle
from typing import Any

import pytest
from small_budgets import BASE, with_menu

from analysis.monitoring_plans import MAX_PLANS, nothing_of, perfectly_watched, plans_of
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from sim.world import World

AGE = {"monitors": ["data_age"], "options": ["off", "on", {"cadence": "6h"}]}
DRIFT = {"monitors": ["feature_drift_psi"], "options": ["on", {"rows": 50}]}
BILL = {"governs": "telemetry", "options": ["on", {"retention": "7d"}]}
BEAT = {"name": "path", "governs": "telemetry", "options": ["on", {"outages.heartbeat": "5min"}]}


def labels(scenario: Scenario) -> list[str]:
    return [monitor.label for monitor in scenario.monitors]


def test_plans_are_the_full_product_with_readable_names() -> None:
    names = [plan.name for plan in plans_of(with_menu(AGE, DRIFT))]
    assert len(names) == len(set(names)) == 6
    assert names[1] == "freshness=off, features=rows=50"
    assert names[4] == "freshness=6h, features=on"


def test_a_plan_changes_what_its_options_say_and_nothing_else() -> None:
    scenario = with_menu(AGE, DRIFT, BILL, BEAT)
    by_name = {plan.name: plan for plan in plans_of(scenario)}
    as_written = by_name["freshness=on, features=on, telemetry=on, path=on"].apply(scenario)
    assert (as_written.monitors, as_written.telemetry) == (scenario.monitors, scenario.telemetry)
    other = by_name["freshness=off, features=rows=50, telemetry=retention=7d, path=outages.heartbeat=5min"]
    changed = other.apply(scenario)
    assert labels(changed) == ["feature_drift_psi", "accuracy"]  # accuracy is not on the menu
    assert changed.monitors[0].rows == 50
    assert changed.monitors[1] == scenario.monitors[2]
    assert changed.telemetry is not None
    assert changed.telemetry.outages is not None
    assert (changed.telemetry.retention, changed.telemetry.outages.heartbeat) == (7.0, 5 / 1440)
    assert labels(scenario) == ["data_age", "feature_drift_psi", "accuracy"]


def test_an_applied_plan_is_a_whole_scenario() -> None:
    scenario = with_menu(AGE, DRIFT)
    for plan in plans_of(scenario):
        applied = plan.apply(scenario)
        assert Scenario.model_validate(applied.model_dump(mode="json")) == applied
        longer = applied.with_(horizon="30d")  # `with_` keeps the plan
        assert longer.monitors == applied.monitors
        assert pickle.loads(pickle.dumps(plan)).apply(scenario) == applied


def test_without_a_menu_each_layer_is_off_sparse_or_on() -> None:
    scenario = validate_mapping(BASE)
    plans = plans_of(scenario)
    assert len(plans) == 27
    assert [choice.entry for choice in plans[0].choices] == ["freshness", "features", "accuracy"]
    assert plans[0].apply(scenario).monitors == []
    sparse = next(p for p in plans if p.name == "freshness=every 4 h, features=every 4 h, accuracy=every 4 d")
    cadences = [monitor.cadence for monitor in sparse.apply(scenario).monitors]
    assert cadences == [pytest.approx(4 * scenario.cadence_of(m)) for m in scenario.monitors]
    assert plans[-1].apply(scenario).monitors == scenario.monitors


def test_a_layer_that_cannot_look_less_often_is_off_or_on() -> None:
    sparse = {"metric": "accuracy", "cadence": "6d"}  # four times that is more than the horizon
    plans = plans_of(validate_mapping(BASE | {"monitors": [sparse]}))
    assert [plan.name for plan in plans] == ["accuracy=off", "accuracy=on"]


def test_too_many_plans_and_none_at_all_are_errors() -> None:
    with pytest.raises(ValueError, match="nothing to buy"):
        plans_of(validate_mapping(BASE | {"monitors": []}))
    many = [{"name": "many", "rows": count} for count in range(1, 80)]
    options: list[Any] = [option | {"name": f"n{number}"} for number, option in enumerate(many)]
    scenario = with_menu(
        {"monitors": ["accuracy"], "options": options},
        {"monitors": ["feature_drift_psi"], "options": options},
    )
    with pytest.raises(ValueError, match=rf"79 \(accuracy\) x 79 \(features\).* 6,241 plans.*{MAX_PLANS:,}"):
        plans_of(scenario)


def test_nothing_is_everything_off_that_the_menu_governs() -> None:
    scenario = with_menu(AGE, DRIFT, BILL)  # features have no option off
    nothing = nothing_of(scenario)
    assert nothing.name == "freshness=off, features=off, telemetry=on"
    assert labels(nothing.apply(scenario)) == ["accuracy"]


@pytest.mark.parametrize("heeds", [True, False])
def test_perfect_watching_takes_the_place_of_monitors_and_bills(heeds: bool) -> None:
    broken = {
        "failures": [{"name": "f", "rate": "1/d", "accuracy_drop": 0.1}],
        "triggers": [{"metric": "accuracy"}],
    }
    scenario = validate_mapping(BASE | broken)
    perfect = perfectly_watched(scenario, heeds)
    assert [monitor.metric for monitor in perfect.monitors] == ["truth"]
    assert perfect.telemetry is None
    assert len(perfect.triggers) == (0 if heeds else 1)
    assert perfectly_watched(validate_mapping(BASE), heeds).monitors == []


def test_plans_share_the_world_of_their_scenario() -> None:
    scenario = with_menu(AGE, DRIFT, BEAT, failures=[{"name": "f", "rate": "1/d"}])
    world = World(scenario, seed=3, replication=5)
    for plan in plans_of(scenario):
        shared, alone = world.for_scenario(plan.apply(scenario)), World(plan.apply(scenario), 3, 5)
        assert shared.requests is world.requests
        assert (shared.requests == alone.requests).all()
        assert shared.onsets == alone.onsets
        assert shared.blind is not None
        assert alone.blind is not None
        assert (shared.blind == alone.blind).all()  # drawn anew: it depends on the heartbeat
    with pytest.raises(ValueError, match="horizon differs"):
        world.for_scenario(scenario.with_(horizon="10d"))
