"""What can be written about the rotation behind the pager, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

import scenarios
from scenarios.on_call import BRANCHES, SEVERITIES, OnCall
from scenarios.problems import ScenarioError
from scenarios.schema import Scenario


def with_on_call(**fields: Any) -> Scenario:
    return scenarios.load("silent_failure", response={"on_call": fields})


def test_without_it_there_is_none_and_with_it_everything_has_a_default() -> None:
    assert scenarios.load("silent_failure", response={}).response.on_call is None  # type: ignore[union-attr]
    plan = OnCall()
    assert [step.name for step in plan.steps] == list(BRANCHES)
    hours = [24.0 * getattr(plan.targets, severity) for severity in SEVERITIES]
    assert hours == pytest.approx([0.25, 1.0, 4.0, 24.0])  # the source's
    assert [plan.works_at_night(severity) for severity in SEVERITIES] == [True, True, False, False]
    assert not OnCall(cover="business").works_at_night("P0")


def test_it_survives_being_written_out_and_read_again() -> None:
    scenario = with_on_call(
        staff={"data": 2},
        steps=[{"name": name, "duration": "10min", "success": "50%"} for name in reversed(BRANCHES)],
        acknowledge={"kind": "exponential", "mean": "4min"},
        targets={"P1": "30min"},
        circuit_breaker={"monitors": ["review"], "false_trip": "$200"},
    )
    again = Scenario.model_validate(scenario.model_dump(mode="json"))
    assert again == scenario
    assert again.hash() == scenario.hash()


@pytest.mark.parametrize("field", OnCall.model_fields)
def test_every_field_says_what_it_is(field: str) -> None:
    assert OnCall.model_fields[field].description


def steps(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "duration": "1h", "success": 0.5} for name in names]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"staff": {"ml": -1}}, "staff.ml: got -1, expected more than 0"),
        ({"staff": {"ml": 0}}, "staff.ml: got 0, expected more than 0"),
        ({"staff": {"senior": -2}}, "staff.senior: got -2, expected at least 0"),
        ({"staff": {"data": 0.5}}, "staff.data: got 0.5, expected a whole number"),
        ({"staff": {"boss": 1}}, "boss"),
        ({"steps": steps("data", "skew")}, "expected each of data, skew, slice, temporal, model once"),
        ({"steps": steps(*BRANCHES, "data")}, "expected each of"),
        (
            {"steps": [{"name": "data", "duration": "1h", "success": 0}]},
            "success: got 0, expected at least 0.01",
        ),
        ({"circuit_breaker": {"monitors": ["reviews"]}}, "unknown 'reviews': did you mean 'review'?"),
        ({"circuit_breaker": {"monitors": []}}, "monitors"),
        (
            {"circuit_breaker": {"monitors": ["review"]}, "mitigations": ["retrain"]},
            "circuit_breaker: it has nothing to switch, expected one of rollback, fallback, throttle",
        ),
        ({"mitigations": ["fallback", "fallback"]}, "mitigations: one is there twice"),
        ({"mitigations": ["reboot"]}, "mitigations"),
        ({"wake_for": ["P0", "P0"]}, "wake_for: one is there twice"),
        ({"wake_for": ["P4"]}, "wake_for"),
        ({"cover": "never"}, "cover"),
        ({"acknowledge": "5"}, "expected a duration"),
        ({"targets": {"P0": "0min"}}, "targets.P0"),
        ({"p1_lost": 0.6}, "p1_lost: got 0.6, expected less than p0_lost, which is 0.5"),
        ({"runbooks": 1.5}, "runbooks: got 1.5, expected at most 1"),
        ({"outsider": 0.5}, "outsider: got 0.5, expected at least 1"),
        ({"handoff_loss": 1}, "handoff_loss: got 1, expected at most 0.9"),
        ({"shift": "1s"}, "shift: got '1s', expected at least"),
        ({"fallback": {"left": "140%"}}, "fallback.left: got '140%', expected at most 1"),
    ],
)
def test_wrong_input_is_refused_with_a_reason(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        with_on_call(**fields)
    assert len(refused.value.problems) == 1
    assert "response.on_call" in str(refused.value)
    assert message in str(refused.value)
