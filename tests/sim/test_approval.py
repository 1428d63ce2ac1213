"""Approval: people between validation and rollout."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

import scenarios
import sim
from scenarios.schema import Scenario
from sim.record import Result

STAGES = {
    "data_validation": "0h",
    "training": "2h",
    "evaluation": "1h",
    "registration": "0h",
    "deployment": "1h",
}
FINISHED = 3.0 / 24.0
"""Days from the request of a retraining to its validation."""
ROLLOUT = 1.0 / 24.0
ALWAYS = {"start": "0h", "end": "24h", "days": 7}
MORNING = 9.0 / 24.0


def system(
    approval: dict[str, Any] | None, pipeline: dict[str, Any] | None = None, **changes: Any
) -> Scenario:
    """A model of accuracy 0.9 that does not drift; day 0 is a Monday, people work from 9 to 17."""
    given = {
        "horizon": "28d",
        "window": "1h",
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
        "labels": {"delay": "0d"},
        "triggers": [],
        "traffic": {"rate": "24k/d", "arrivals": "deterministic"},
        "pipeline": {"stages": STAGES, "approval": approval} | (pipeline or {}),
    }
    return scenarios.load("rotting_asset", **(given | changes))


def moments(result: Result, kind: str) -> list[float]:
    return [event.time for event in result.raw_events if event.kind == kind]


@pytest.mark.parametrize(
    ("asked", "begins"),
    [
        (0.2, MORNING),
        (0.5, 0.5),
        (0.75, 1.0 + MORNING),
        (4.8, 7.0 + MORNING),  # Friday evening to Monday
        (6.0, 7.0 + MORNING),
    ],
)
def test_a_candidate_waits_for_working_hours(asked: float, begins: float) -> None:
    given = system({"hourly_cost": "$80/h", "refuses": 0})
    result = sim.run(given, f"scheduled:{asked - FINISHED}d")
    (work, *_) = result.work
    assert (work.person, work.role, work.task) == ("reviewer 1", "reviewer", "approval")
    assert work.start == pytest.approx(begins)
    assert work.hours == pytest.approx(0.5)
    assert moments(result, "approval wanted")[0] == pytest.approx(asked)
    assert moments(result, "deployment")[0] == pytest.approx(begins + 0.5 / 24.0 + ROLLOUT)
    hours = sum(item.hours for item in result.work)
    assert result.costs["validation"] == pytest.approx(80.0 * hours)


def test_a_long_review_stops_in_the_evening_and_goes_on() -> None:
    """10 hours from Friday 12:00 on: five on Friday, five on Monday."""
    result = sim.run(system({"review": "10h", "refuses": 0}), "scheduled:4.375d")  # validated at 4.5
    spans = [(item.start, item.end) for item in result.work[:2]]
    assert spans == [
        pytest.approx((4.5, 4.0 + 17.0 / 24.0)),
        pytest.approx((7.0 + MORNING, 7.0 + 14.0 / 24.0)),
    ]


@pytest.mark.parametrize(("people", "delays"), [(1, [2.0, 3.0, 4.0]), (3, [2.0, 2.0, 2.0])])
def test_reviews_wait_for_one_person(people: int, delays: list[float]) -> None:
    """A candidate each hour, each reviewed for two hours."""
    given = system(
        {"people": people, "review": "2h", "hours": ALWAYS, "refuses": 0}, {"capacity": 4}, horizon="12h"
    )
    result = sim.run(given, "scheduled:1h")
    starts = moments(result, "approval wanted")[:3]
    found = [(w.end - a) * 24.0 for w, a in zip(result.work, starts, strict=False)]
    assert found == pytest.approx(delays)
    names = [f"reviewer {number}" for number in range(1, people + 1)]
    assert {work.person for work in result.work} <= set(names)
    for name in names:  # nobody does two things at once
        spans = sorted((w.start, w.end) for w in result.work if w.person == name)
        assert all(b[0] >= a[1] - 1e-9 for a, b in itertools.pairwise(spans))


def test_a_person_takes_up_no_training_capacity() -> None:
    """On Saturday and Sunday trainings go on while candidates wait for Monday."""
    result = sim.run(system({}, horizon="7d"), "scheduled:1d")
    assert moments(result, "retraining started")[4:6] == pytest.approx([5.0, 6.0])
    assert len([time for time in moments(result, "approval wanted") if time > 5.0]) == 2


def test_an_approval_that_costs_no_time_and_stops_nothing_changes_nothing() -> None:
    bad = {"bad_training": {"probability": 0.5, "loss": "10%"}, "gate": {}}
    free = {"hours": ALWAYS, "review": "0h", "catches": 0, "refuses": 0}
    with_, without = (sim.run(system(approval, bad), "scheduled:2d", 3) for approval in (free, None))
    assert with_.accuracy.tobytes() == without.accuracy.tobytes()
    assert with_.ledger.total() == without.ledger.total()


BAD = {"bad_training": {"probability": 0.4, "loss": "10%"}}


def bad_ones_live(result: Result) -> int:
    return sum(champion.version.offset < -0.05 for champion in result.champions)


@pytest.mark.parametrize(("catches", "refuses"), [(1.0, 0.0), (0.7, 0.2), (0.0, 1.0)])
def test_reviewers_stop_the_shares_that_are_given(catches: float, refuses: float) -> None:
    """A bad champion makes bad candidates no worse than it: only those that meet a good one are counted."""
    approval = {"hours": ALWAYS, "catches": catches, "refuses": refuses}
    stopped, met = {True: 0, False: 0}, {True: 0, False: 0}
    for seed in range(30):
        result = sim.run(system(approval, BAD), "scheduled:1d", seed)
        good = True  # the champion
        for event in result.raw_events:
            if event.kind in ("rejection", "approved"):
                bad = is_bad(result, int(event.details.removeprefix("version ")))
                met[bad] += good
                stopped[bad] += good and event.kind == "rejection"
                good = good if event.kind == "rejection" else not bad
    for bad, chance in ((True, catches), (False, refuses)):
        assert met[bad] >= 20
        assert binomtest(stopped[bad], met[bad], chance).pvalue > 0.001


def is_bad(result: Result, number: int) -> bool:
    """Whether the training of a version went wrong: the luck of its data cut tells."""
    from sim.kernels.sampling import uniform_once
    from sim.randomness import key, moment_number

    cut = float(number)  # one training a day, at midnight
    luck = uniform_once(key(result.seed, result.replication, "bad_training"), moment_number(cut))
    return bool(luck < 0.4)


@pytest.mark.parametrize(
    ("approval", "changes", "asked"),
    [
        ({}, {}, 0),
        ({}, {"pipeline": BAD}, 1),
        ({"anomaly": "12%"}, {"pipeline": BAD}, 0),
        ({}, {"features": ["a"], "drift": [{"kind": "ramp", "on": "features", "rate": "0.1/d"}]}, 1),
        ({"shift": 100}, {"features": ["a"], "drift": [{"kind": "ramp", "on": "features", "rate": "0.1/d"}]}, 0),
    ],
)  # fmt: skip
def test_anomalies_are_worse_validation_and_shifted_data(
    approval: dict[str, Any], changes: dict[str, Any], asked: int
) -> None:
    if "drift" in changes:
        changes = changes | {"quality": {"kind": "degradation", "initial_accuracy": 0.9}}
    given = system({"mode": "anomalies", "hours": ALWAYS} | approval, **changes)
    found = [len(moments(sim.run(given, "scheduled:10d", seed), "approval wanted")) for seed in range(4)]
    assert (max(found) > 0) == bool(asked)


def test_the_reason_why_a_person_is_asked_is_written_down() -> None:
    drift = [{"kind": "ramp", "on": "features", "rate": "0.1/d"}]
    quality = {"kind": "degradation", "initial_accuracy": 0.9}
    given = system({"mode": "anomalies"}, features=["a"], drift=drift, quality=quality)
    event = next(e for e in sim.run(given, "scheduled:10d").raw_events if e.kind == "approval wanted")
    assert (event.subject, event.details) == ("version 1", "training data moved by 1 sd")


def test_gates_let_fewer_bad_trainings_live_and_delay_the_others() -> None:
    """Full automation, a gate on anomalies and a gate on all, in the same worlds."""
    modes: dict[str, dict[str, Any] | None] = {"none": None, "anomalies": {"mode": "anomalies"}, "all": {}}
    bad, delay, price, work = ({mode: [] for mode in modes} for _ in range(4))
    for seed in range(12):
        for mode, approval in modes.items():
            result = sim.run(system(approval, BAD, horizon="56d"), "scheduled:3.5d", seed)
            bad[mode].append(bad_ones_live(result))
            good = [c for c in result.champions[1:] if c.version.offset > -0.05]
            delay[mode].append(np.mean([c.since - c.version.cut for c in good]))
            price[mode].append(result.costs["validation"])
            work[mode].append(sum(item.hours for item in result.work))
    mean = {name: {m: float(np.mean(v)) for m, v in of.items()} for name, of in
            {"bad": bad, "delay": delay, "price": price, "work": work}.items()}  # fmt: skip
    assert mean["bad"]["none"] > 1.5 * mean["bad"]["anomalies"]
    assert mean["bad"]["none"] > 1.5 * mean["bad"]["all"]
    assert mean["delay"]["none"] == pytest.approx(FINISHED + ROLLOUT)
    assert mean["delay"]["none"] <= mean["delay"]["anomalies"] < mean["delay"]["all"]
    assert mean["work"]["none"] == 0.0 < mean["work"]["anomalies"] < mean["work"]["all"]
    assert mean["price"]["none"] < mean["price"]["anomalies"] < mean["price"]["all"]


@pytest.mark.parametrize(
    ("approval", "field"),
    [
        ({"people": 0}, "people"),
        ({"catches": "120%"}, "catches"),
        ({"mode": "some"}, "mode"),
        ({"hours": {"start": "18h"}}, "hours"),
    ],
)
def test_wrong_approvals_are_refused(approval: dict[str, Any], field: str) -> None:
    with pytest.raises(scenarios.ScenarioError, match=f"pipeline.approval.{field}"):
        system(approval)
