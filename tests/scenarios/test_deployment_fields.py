"""How a deployment is written: short forms, defaults, round trips, and what is refused."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from scenarios.deployment import ABTest, BlueGreen, Canary, Direct, Interleaving, Shadow
from scenarios.loader import ScenarioError, validate_mapping
from scenarios.schema import Scenario

SIGNALS = [
    {"name": "clicks", "kind": "proportion", "base": 0.05, "per_accuracy_lost": -0.05, "layer": "business"},
    {"name": "errors", "kind": "proportion", "base": 0.01, "layer": "infrastructure"},
    {"name": "latency", "kind": "mean", "base": 80, "sd": 30, "layer": "infrastructure"},
    {"name": "load", "kind": "throughput"},
]


def scenario(deployment: Any = None, **parts: Any) -> Scenario:
    plain: dict[str, Any] = {
        "title": "deployment",
        "horizon": "30d",
        "value_per_query_per_unit_accuracy": "$1",
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1%/d"},
        "traffic": {"rate": "100/d"},
        "signals": SIGNALS,
    }
    return validate_mapping(plain | ({} if deployment is None else {"deployment": deployment}) | parts)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (None, Direct),
        ({}, Direct),
        ({"rollback": {"tier": "delayed"}}, Direct),
        ("blue_green", BlueGreen),
        ("canary", Canary),
        ("shadow", Shadow),
        ("ab_test", ABTest),
        ("interleaving", Interleaving),
        ({"strategy": "canary", "evidence": "clicks"}, Canary),
    ],
)
def test_a_strategy_is_written_by_its_name_or_with_parameters_and_reads_back(written: Any, kind: type):
    read = scenario(written)
    assert type(read.deployment) is kind
    assert scenario(read.model_dump(mode="json")["deployment"]) == read


def test_the_defaults_are_those_of_the_source():
    plan = scenario("canary").deployment
    assert plan.steps == [0.01, 0.05, 0.25, 1.0]
    assert plan.stages == [(0.01, 1 / 24), (0.05, 1 / 24), (0.25, 1 / 24)]
    assert 0.10 <= scenario("shadow").deployment.overhead <= 0.20
    rollback = plan.rollback
    assert rollback.immediate.high <= 1 / 1440 + 1e-12
    assert rollback.rapid.high <= 15 / 1440 + 1e-12
    assert rollback.delayed.high <= 4 / 24 + 1e-12


def test_each_step_may_have_its_own_hold():
    holds = {"strategy": "canary", "steps": ["5%", "50%"], "hold": ["1h", "1d"]}
    assert scenario(holds).deployment.stages == [(0.05, 1 / 24), (0.5, 1.0)]


CANARY = {"strategy": "canary"}
AB = {"strategy": "ab_test"}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("cannary", "did you mean 'canary'"),
        ({"strategy": "canry"}, "did you mean 'canary'"),
        ({"hold": "1h"}, "deployment.hold: unknown field 'hold'"),
        (CANARY | {"hold": "1 hrs x"}, "expected a duration"),
        (CANARY | {"steps": ["5%", "1%"]}, "deployment.steps: expected shares that grow"),
        (CANARY | {"steps": []}, "a list of at least 1 item"),
        (
            CANARY | {"hold": ["1h", "2h"]},
            "deployment.hold: got 2 times, expected 1, or one for each step (3)",
        ),
        (CANARY | {"evidence": "cliks"}, "did you mean 'clicks'"),
        (CANARY | {"evidence": "errors"}, "deployment.evidence: errors tells nothing of accuracy"),
        (CANARY | {"evidence": "latency"}, "deployment.evidence: latency tells nothing of accuracy"),
        (CANARY | {"alpha": 0.6}, "deployment.alpha: got 0.6, expected at most 0.5"),
        (AB | {"share": 1}, "deployment.share: got 1, expected less than 1"),
        (AB | {"correction": "bonferroni"}, "one of: none, pocock, obrien_fleming"),
        (AB | {"minimum": "20d", "burn_in": "10d"}, "deployment.maximum: must not be shorter"),
        (AB | {"guardrails": [{"signal": "load"}]}, "deployment.guardrails[0].signal: unknown 'load'"),
        ({"rollback": {"tier": "fast"}}, "one of: immediate, rapid, delayed"),
        ({"rollback": {"drills": "-1/y"}}, "deployment.rollback.drills"),
    ],
)
def test_what_makes_no_sense_is_refused_with_one_clear_message(written: Any, said: str):
    with pytest.raises(ScenarioError) as error:
        scenario(written)
    assert said in str(error.value)
    assert error.value.count == 1


@pytest.mark.parametrize("written", ["canary", "shadow", "ab_test"])
def test_comparing_by_labels_needs_labels(written: str):
    with pytest.raises(ScenarioError, match="it compares by labels, and labels are none"):
        scenario(written, labels="none")
    assert scenario("interleaving", labels="none")


@cache
def editor() -> Draft202012Validator:
    return Draft202012Validator(Scenario.model_json_schema())


@pytest.mark.parametrize(
    "written",
    [
        "canary",
        {"strategy": "canary", "hold": "2h"},
        {"strategy": "canary", "hold": ["2h", "3h", "4h"], "margin": "1%"},
        {"rollback": {"drills": "12/y"}},
        {"strategy": "ab_test", "novelty": {"lift": "1%"}, "guardrails": [{"signal": "latency"}]},
    ],
)
def test_editors_accept_what_is_accepted(written: Any):
    plain = scenario(written).model_dump(mode="json", exclude_unset=True) | {"deployment": written}
    editor().validate(plain)
