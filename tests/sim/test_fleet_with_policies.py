"""A serving fleet in a run with models: trainings wait for GPUs, shadows burden replicas, the ledger has it all."""

from __future__ import annotations

import math
from typing import Any

import pytest

import sim
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario

JOB = {"name": "training", "pool": "main", "gpus": 2, "on": "training", "priority": 200}


def system(serving: dict[str, Any], **fields: Any) -> Scenario:
    return validate_mapping(
        {
            "title": "a model on GPUs that also train it",
            "horizon": "6d",
            "window": "1h",
            "value_per_query_per_unit_accuracy": "$0.01",
            "quality": {"kind": "exponential", "initial_accuracy": 0.95, "decay": "1%/d"},
            "traffic": {"rate": "50k/d"},
            "labels": {"coverage": "10%", "delay": "1h"},
            "serving": {"pools": [{"replicas": 4, "service": "100ms"}], "with_policies": True} | serving,
        }
        | fields
    )


def test_trainings_hold_gpus_of_the_pool_and_give_them_back() -> None:
    result = sim.run(system({"jobs": [JOB]}), "scheduled:2d")
    assert result.fleet is not None
    jobs = result.fleet.jobs
    assert jobs["asked_days"].tolist() == pytest.approx([2.0 + 15 / 1440, 4.0 + 15 / 1440])
    # The stage takes two hours, and replicas leave when they have finished what they have, looked at each second.
    assert (jobs["finished_days"] - jobs["asked_days"]).tolist() == pytest.approx([2 / 24] * 2, abs=3 / 86400)
    ready = result.fleet.load()["ready"]
    assert ready.min() == pytest.approx(2.0)
    assert ready.iloc[-1] == pytest.approx(4.0)
    assert result.costs["retrain_compute"] == pytest.approx(2 * 2 * 2 * 3.0, rel=1e-3)


def test_a_training_that_gets_no_gpus_never_ends_and_the_model_ages() -> None:
    waits = JOB | {"priority": 0}
    stuck = sim.run(system({"jobs": [waits]}), "scheduled:2d")
    assert stuck.summary["deployments"] == 0.0
    assert stuck.fleet is not None
    assert math.isnan(stuck.fleet.jobs["started_days"].iloc[0])
    free = sim.run(system({}), "scheduled:2d")
    assert free.summary["deployments"] == 2.0
    assert stuck.summary["mean_accuracy"] < free.summary["mean_accuracy"]


def test_what_serving_costs_is_in_the_ledger_and_the_rest_is_as_without() -> None:
    alone = sim.run(system({"with_policies": False}), "scheduled:2d")
    both = sim.run(system({}), "scheduled:2d")
    assert alone.fleet is None
    assert alone.costs["serving"] == 0.0
    assert both.costs["serving"] == pytest.approx(4 * 6 * 24 * 3.0)
    rest = [name for name in both.costs.index if name != "serving"]
    assert both.costs[rest].tolist() == alone.costs[rest].tolist()
    assert both.accuracy.tolist() == alone.accuracy.tolist()
    assert both.fleet is not None
    assert both.fleet.summary["requests"] == both.requests.sum()


def test_a_shadow_makes_the_work_of_replicas_longer_while_it_lasts() -> None:
    shadow = {"strategy": "shadow", "duration": "1d", "overhead": "20%"}
    result = sim.run(system({}, deployment=shadow), "scheduled:2d")
    plain = sim.run(system({}), "scheduled:2d")
    assert result.fleet is not None
    assert plain.fleet is not None
    for load, factor in ((result.fleet.load(), 1.2), (plain.fleet.load(), 1.0)):
        during = load.query("2.2 < time_days < 3.1")["busy"].mean()
        before = load.query("time_days < 1.9")["busy"].mean()
        # About 2,000 requests an hour: relative standard errors below 0.01 in both stretches.
        assert during / before == pytest.approx(factor, rel=0.03)


@pytest.mark.parametrize(
    ("serving", "message"),
    [
        ({"with_policies": False, "jobs": [JOB]}, "needs serving.with_policies"),
        ({"jobs": [JOB, JOB | {"name": "other"}]}, "there is one for it already"),
        ({"jobs": [JOB | {"duration": "2h"}]}, "is that of the stage"),
        ({"jobs": [JOB | {"cadence": "1d"}]}, "exactly one of cadence, rate and on"),
        ({"resolution": {"kind": "design_days", "days": [1]}}, "needs every request"),
    ],
)
def test_what_does_not_fit_is_refused(serving: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        system(serving)
