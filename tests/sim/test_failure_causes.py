"""What actions cause, what ends with a version, and what models learn from spoilt data."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

import scenarios
import sim
from scenarios.schema import Scenario
from sim.engine import Run, resolve_policy
from sim.failure_causes import as_tried
from sim.record import Result
from sim.rollback import roll_back
from sim.world import World

SIGNALS = [
    {"name": "age", "kind": "freshness", "age": "4min"},
    {"name": "broken", "kind": "proportion", "base": "1%", "layer": "schema"},
    {"name": "requests", "kind": "throughput"},
    {"name": "clicks", "kind": "proportion", "base": "50%", "per_accuracy_lost": -1.0, "layer": "business"},
]
QUICK = {"stages": {"training": "2h", "deployment": "1h"} | dict.fromkeys(
    ("data_validation", "evaluation", "registration"), "0h"
)}  # fmt: skip
TRUTH = [{"metric": "truth"}]
AT_ONCE = {"triage": "0d", "repair": "0d", "consolidation": "0d", "fatigue": {"strength": 0}}
LIVE_AFTER = 3.0 / 24.0
"""Days from the request of a retraining to its deployment."""


def system(failures: list[dict[str, Any]], **changes: Any) -> Scenario:
    """A model of accuracy 0.9 that does not drift, 40 days long, with labels at once."""
    given = {
        "horizon": "40d",
        "window": "1h",
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
        "labels": {"delay": "0d"},
        "features": ["amount"],
        "signals": SIGNALS,
        "pipeline": QUICK,
        "monitors": [],
        "triggers": [],
        "response": None,
        "traffic": {"rate": "24k/d", "arrivals": "deterministic"},
        "value_per_query_per_unit_accuracy": "$0.01",
        "failures": failures,
    }
    return scenarios.load("rotting_asset", **(given | changes))


def onsets(result: Result, name: str = "f") -> list[float]:
    return [i.onset.time for i in result.raw_incidents if i.failure.name == name]


def ends(result: Result, name: str = "f") -> list[float]:
    return [i.end for i in result.raw_incidents if i.failure.name == name]


# ---------------------------------------------------------------- share


@pytest.mark.parametrize("share", [0.125, 0.5, 1.0])
def test_a_failure_that_hits_a_share_takes_and_shows_this_share(share: float) -> None:
    effects = [
        {"signal": "broken", "add": 0.4},
        {"signal": "requests", "factor": 0.2},
        {"signal": "age", "stall": "8h"},
    ]
    broken = {"name": "f", "onsets": ["10d"], "share": share, "accuracy_drop": 0.4, "effects": effects}
    run = Run(World(system([broken | {"feature_shift": {"amount": 2.0}}])), resolve_policy(None))
    result = run.play()
    later = 24 * 12
    assert result.accuracy[0, later] == pytest.approx(0.9 - 0.4 * share)
    value = np.array([0.01])
    run.incidents.move("broken", later, later + 1, value)
    assert value[0] == pytest.approx(0.01 + 0.4 * share)
    assert run.incidents.served(later, later + 1) == pytest.approx(1.0 - 0.8 * share)
    assert run.incidents.stalled("age", np.array([20.0])) == pytest.approx(8.0 / 24.0 * share)
    assert run.incidents.feature_shift(later, later + 1, ["amount"]) == pytest.approx(2.0 * share)
    worth = 24_000 * 0.01 * 30.0
    lost = 0.4 * share + (0.9 - 0.4 * share) * 0.8 * share
    assert result.costs["incident"] == pytest.approx(worth * lost)
    assert result.incidents["loss"].sum() == pytest.approx(result.costs["incident"])


# ---------------------------------------------------------------- actions


def caused(on: str, **fields: Any) -> dict[str, Any]:
    trigger = {"on": on} | {name: fields.pop(name) for name in ("probability", "delay") if name in fields}
    return {"name": "f", "trigger": trigger, "accuracy_drop": 0.1} | fields


@pytest.mark.parametrize("on", ["deployment", "retraining"])
@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_what_came_with_a_version_begins_and_ends_with_it(on: str, delay: float) -> None:
    result = sim.run(system([caused(on, delay=f"{delay}d")]), "scheduled:10d")
    live = [10.0 + LIVE_AFTER, 20.0 + LIVE_AFTER, 30.0 + LIVE_AFTER]
    assert onsets(result) == pytest.approx([time + delay for time in live])
    assert ends(result) == pytest.approx([*live[1:], 40.0])
    assert all(incident.resolved is None for incident in result.raw_incidents)  # nobody repaired it
    assert (result.incidents["cause"] == "data").all()


def test_what_does_not_belong_to_a_version_stays() -> None:
    result = sim.run(system([caused("deployment", with_version=False)]), "scheduled:15d")
    assert onsets(result) == pytest.approx([15.0 + LIVE_AFTER, 30.0 + LIVE_AFTER])
    assert ends(result) == [40.0, 40.0]


def test_a_version_that_is_replaced_before_the_delay_brings_nothing() -> None:
    result = sim.run(system([caused("deployment", delay="12d")]), "scheduled:10d")
    assert onsets(result) == []  # the third would begin after the horizon


def test_a_candidate_that_the_gate_stops_brings_nothing() -> None:
    always_bad = {"bad_training": {"probability": 1.0, "loss": 0.3}, "gate": {"holdout": 5000}}
    failures = [caused("retraining"), caused("deployment") | {"name": "g"}]
    result = sim.run(system(failures, pipeline=QUICK | always_bad), "scheduled:10d")
    assert result.summary["rejected"] == 3
    assert not result.raw_incidents


def test_luck_is_the_chance_and_is_tied_to_the_moment_of_the_action() -> None:
    chance, happened, tried = 0.3, 0, 0
    for seed in range(40):
        often = sim.run(system([caused("deployment", probability=chance)]), "scheduled:2d", seed)
        seldom = sim.run(system([caused("deployment", probability=chance)]), "scheduled:4d", seed)
        shared = [time for time in onsets(often) if round(time - LIVE_AFTER) % 4 == 0]
        assert shared == pytest.approx(onsets(seldom))
        happened, tried = happened + len(onsets(often)), tried + 19
    assert binomtest(happened, tried, chance).pvalue > 0.001


@pytest.mark.parametrize(("on", "expected"), [("g", [10.25]), ("repair", [10.25, 20.25])])
def test_a_repair_breaks_something_else(on: str, expected: list[float]) -> None:
    """Correction cascade: the perfect monitor calls at the end of the window, and everything is repaired then."""
    one = {"name": "g", "onsets": ["240.5h"], "accuracy_drop": 0.05}
    two = {"name": "h", "onsets": ["480.5h"], "accuracy_drop": 0.05}
    failures = [caused(on, delay="5h"), one, two]
    result = sim.run(system(failures, monitors=TRUTH, response=AT_ONCE), "never")
    assert onsets(result) == pytest.approx(expected)
    assert len(result.raw_incidents) == 2 + len(expected)
    for incident in result.raw_incidents:  # those that actions cause are found and repaired as well
        assert incident.resolved == pytest.approx(incident.onset.time + 1.0 / 24.0, abs=0.5 / 24.0 + 1e-9)


def test_a_fix_that_does_not_hold_comes_back() -> None:
    broken = {"name": "g", "onsets": ["10d"], "accuracy_drop": 0.05}
    failures = [broken, caused("g", delay="3d") | {"name": "again"}]
    result = sim.run(system(failures, monitors=TRUTH, response=AT_ONCE), "never")
    assert len(onsets(result, "again")) == 1


def rolled_back(failures: list[dict[str, Any]], at: float) -> Result:
    """Two deployments, and a rollback that begins at `at`."""
    run = Run(World(system(failures)), resolve_policy("scheduled:15d"))

    def process() -> Any:
        yield run.env.timeout(at)
        assert (yield from roll_back(run))

    run.env.process(process())
    return run.play()


def test_a_rollback_ends_what_came_with_the_version_and_brings_back_what_the_other_carries() -> None:
    failures = [
        caused("retraining"),
        caused("deployment") | {"name": "g"},
        caused("rollback") | {"name": "h"},
    ]
    result = rolled_back(failures, 31.0)
    (back,) = onsets(result, "h")
    assert 31.0 < back < 31.0 + 4.0 / 24.0
    live = [15.0 + LIVE_AFTER, 30.0 + LIVE_AFTER]
    assert onsets(result, "f") == pytest.approx([*live, back])
    assert ends(result, "f") == pytest.approx([live[1], back, 40.0])
    assert onsets(result, "g") == pytest.approx(live)  # of the act of deploying, which was another one
    assert ends(result, "g") == pytest.approx([live[1], back])


@pytest.mark.parametrize(("fields", "harm"), [({}, 0.1), ({"share": 0.125}, 0.0125), ({"delay": "1h"}, 0.0)])
@pytest.mark.parametrize("on", ["deployment", "retraining"])
def test_a_trial_meets_the_harm_that_would_come_with_the_candidate(
    on: str, fields: dict[str, Any], harm: float
) -> None:
    run = Run(World(system([caused(on, **fields)])), resolve_policy("scheduled:30d"))
    run.play()
    candidate = run.plane.champion.version
    run.causes.placed.clear()  # as if it had not been deployed yet
    assert as_tried(run, candidate).offset == pytest.approx(-harm)


@pytest.mark.parametrize("on", ["deployment", "retraining"])
@pytest.mark.parametrize(
    "plan", [{"strategy": "canary", "steps": [0.05], "hold": "1d"}, {"strategy": "shadow", "duration": "1d"}]
)
def test_a_rollout_with_a_test_stops_what_no_validation_can_see(on: str, plan: dict[str, Any]) -> None:
    """Skew shows in service only: a gate passes it, and evidence from real requests does not."""
    changes = {"pipeline": QUICK | {"gate": {"margin": -0.02}}}
    direct = sim.run(system([caused(on)], **changes), "scheduled:15d")
    tested = sim.run(system([caused(on)], deployment=plan, **changes), "scheduled:15d")
    assert (direct.summary["deployments"], len(direct.raw_incidents)) == (2, 2)
    assert (tested.summary["deployments"], len(tested.raw_incidents)) == (0, 0)
    harmless = sim.run(system([caused(on, probability=1e-9)], deployment=plan, **changes), "scheduled:15d", 1)
    assert harmless.summary["deployments"] == 2


def test_people_at_work_on_it_have_resolved_what_a_new_version_ends() -> None:
    slow = AT_ONCE | {"repair": "20d"}
    result = sim.run(system([caused("deployment")], monitors=TRUTH, response=slow), "scheduled:10d")
    first = result.raw_incidents[0]
    assert first.acknowledged is not None
    assert (
        first.acknowledged
        < first.mitigated
        == first.resolved
        == first.end
        == pytest.approx(20.0 + LIVE_AFTER)
    )


# ---------------------------------------------------------------- contamination


def poison(*days: float, **fields: Any) -> dict[str, Any]:
    """A failure that spoils the training data for the 5 days after each onset."""
    times = [f"{day}d" for day in days]
    given = {
        "name": "f",
        "onsets": times,
        "lasts": "5d",
        "accuracy_drop": 0.2,
        "harms": "training",
        "taints": 1.0,
    }
    return given | fields


@pytest.mark.parametrize(
    ("window", "cut", "spoilt"),
    [
        ("0d", 9, 0.0), ("0d", 10.5, 1.0), ("0d", 14.9, 1.0), ("0d", 15.5, 0.0),
        ("10d", 10, 0.0), ("10d", 12, 0.2), ("10d", 15, 0.5), ("10d", 18, 0.5), ("10d", 23, 0.2), ("10d", 25, 0.0),
        ("4d", 14.5, 1.0), ("20d", 11, 1.0 / 11.0),
    ],
)  # fmt: skip
def test_a_model_learns_the_spoilt_part_of_its_training_window(
    window: str, cut: float, spoilt: float
) -> None:
    given = system([poison(10, taints=0.5)], pipeline=QUICK | {"training_window": window})
    result = sim.run(given, f"scheduled:{cut}d")
    live = int((cut + LIVE_AFTER) * 24) + 2
    assert result.accuracy[0, live] == pytest.approx(0.9 - 0.5 * 0.2 * spoilt)
    assert result.accuracy[0, live - 6] == 0.9  # nobody is served worse before


def test_a_cohort_and_a_share_of_the_requests_spoil_as_much_less() -> None:
    given = system([poison(10, slice="tablet", share=0.5)], slices=[{"name": "tablet", "weight": "30%"}])
    result = sim.run(given, "scheduled:12d")
    assert result.accuracy[:, 24 * 13] == pytest.approx([0.9 - 0.2 * 0.3 * 0.5] * 2)


@pytest.mark.parametrize("feeds", [0.0, 0.5, 0.8, 1.0])
def test_a_feedback_loop_learns_its_own_loss_again(feeds: float) -> None:
    """Trainings each 2 days; those at days 10.5 to 14.5 meet the failure, all later ones only what they feed back."""
    run = Run(World(system([poison(9.5, accuracy_drop=0.1, feeds=feeds)])), resolve_policy("scheduled:2d"))
    result = run.play()
    loss, expected = 0.0, []
    for day in range(2, 40, 2):
        loss = feeds * loss + (0.1 if 9.5 < day <= 14.5 else 0.0)
        expected.append(0.9 - loss)
    found = [result.accuracy[0, 24 * day + 5] for day in range(2, 40, 2)]
    assert found == pytest.approx(expected)


def test_what_was_learned_is_staleness_and_the_ledger_is_closed() -> None:
    result = sim.run(system([poison(10)]), "scheduled:12d")  # cuts at 12, 24, 36: only the first is spoilt
    worth = 24_000 * 0.01
    assert result.costs["incident"] == 0.0
    assert result.incidents["loss"].sum() == 0.0
    assert result.costs["staleness"] == pytest.approx(worth * 0.2 * 12.0)
    assert result.costs.sum() == pytest.approx(result.ledger.total())
    accuracy = result.timeline["accuracy"].to_numpy()
    assert result.costs["staleness"] == pytest.approx(float((worth / 24.0 * (0.9 - accuracy)).sum()))


@pytest.mark.parametrize(("leaks", "passed"), [(0.0, 2), (1.0, 3)])
def test_a_leak_lets_bad_candidates_pass_while_it_lasts(leaks: float, passed: int) -> None:
    leak = {"name": "leak", "onsets": ["1h"], "lasts": "14d", "harms": "training", "leaks": 1.0}
    failures = [poison(10)] + [leak] * (leaks > 0.0)
    result = sim.run(system(failures, pipeline=QUICK | {"gate": {"margin": -0.02}}), "scheduled:12d")
    assert result.summary["deployments"] == passed
    second = result.champions[1].version
    assert second.cut == (12.0 if leaks else 24.0)
    assert second.validation == pytest.approx(0.9, abs=0.02)  # as it was meant to be, whatever it is
    assert result.champions[1].fresh_accuracy == pytest.approx(0.7 if leaks else 0.9)


def test_a_leak_also_hides_trainings_that_went_wrong() -> None:
    leak = {"name": "leak", "onsets": ["1h"], "lasts": "14d", "harms": "training", "leaks": 1.0}
    bad = QUICK | {"gate": {"margin": -0.02}, "bad_training": {"probability": 1.0, "loss": 0.2}}
    assert sim.run(system([], pipeline=bad), "scheduled:12d").summary["deployments"] == 0
    leaked = sim.run(system([leak], pipeline=bad), "scheduled:12d")
    assert leaked.summary["deployments"] == 3  # once the champion is as bad, nothing is worse than it
    assert leaked.champions[1].version.validation == pytest.approx(0.9, abs=0.02)
    assert leaked.champions[2].version.validation == pytest.approx(0.7, abs=0.02)


# ---------------------------------------------------------------- who sees it


def test_spoilt_data_are_seen_once_a_model_that_learned_from_them_serves() -> None:
    watch = {"metric": "signal", "signal": "clicks", "direction": "down", "measure": "change", "threshold": 0.1,
             "rows": 10000, "cadence": "1h"}  # fmt: skip
    given = system([poison(10, lasts="20d")], monitors=[watch])
    result = sim.run(given, "scheduled:12d")
    incident = result.raw_incidents[0]
    assert 12.0 + LIVE_AFTER < incident.detected <= 12.0 + LIVE_AFTER + 2.0 / 24.0
    assert result.alarms
    assert all(alarm.true for alarm in result.alarms)
    assert sim.run(given, "never").raw_incidents[0].detected is None
    perfect = sim.run(given.with_(monitors=TRUTH), "never").raw_incidents[0]
    assert perfect.detected == pytest.approx(10.0 + 1.0 / 24.0)


def test_a_leak_is_seen_by_accuracy_against_what_validation_promised() -> None:
    leak = {"name": "leak", "onsets": ["1h"], "harms": "training", "leaks": 1.0}
    monitor = {"metric": "accuracy", "cadence": "1h", "window": "1h", "threshold": 0.08}
    given = system([poison(10), leak], monitors=[monitor])
    found = {i.failure.name: i.detected for i in sim.run(given, "scheduled:12d").raw_incidents}
    assert found["leak"] == pytest.approx(found["f"])
    assert found["f"] == pytest.approx(12.2, abs=0.1)
    honest = system([poison(10)], monitors=[monitor])  # validation measured how bad it was
    assert sim.run(honest, "scheduled:12d").raw_incidents[0].detected is None


# ---------------------------------------------------------------- all together


@pytest.mark.parametrize("seed", range(6))
def test_accuracy_is_what_plain_sums_over_incidents_and_versions_give(seed: float) -> None:
    """A plain account of a busy run: versions with what they learned, incidents with what they take."""
    failures: list[dict[str, Any]] = [
        {"name": "a", "rate": "60/y", "accuracy_drop": 0.1, "share": 0.25, "lasts": "50h", "taints": 0.7},
        caused("deployment", probability=0.5, share=0.5, delay="30min") | {"name": "b"},
        caused("retraining", probability=0.5, accuracy_drop=0.05) | {"name": "c"},
        {"name": "d", "rate": "40/y", "accuracy_drop": 0.08, "harms": "training", "taints": 1.0, "feeds": 0.6,
         "lasts": "4d"},
        caused("a", probability=0.7, accuracy_drop=0.03, lasts="1d") | {"name": "e"},
    ]  # fmt: skip
    watched = {"monitors": TRUTH, "response": AT_ONCE | {"repair": "9h"}}
    result = sim.run(
        system(failures, pipeline=QUICK | {"training_window": "3d"}, **watched), "scheduled:5d", seed
    )
    assert len(result.raw_incidents) > 5
    assert len(result.champions) > 5
    learned: list[dict[str, float]] = []
    for number, champion in enumerate(result.champions):
        cut, before = champion.version.cut, learned[-1] if learned else {}
        found = {}
        for name, taints, drop, share, feeds in (("a", 0.7, 0.1, 0.25, 0.0), ("d", 1.0, 0.08, 1.0, 0.6)):
            spoilt = overlap(result, name, cut - 3.0, cut) / 3.0 if number else 0.0
            found[name] = taints * drop * share * spoilt + feeds * before.get(name, 0.0)
        learned.append(found)
    takes = {"a": 0.1 * 0.25, "b": 0.1 * 0.5, "c": 0.05, "e": 0.03}
    for window in range(0, 24 * 40, 7):
        begin, end = window / 24.0, (window + 1) / 24.0
        expected = 0.9
        for number, champion in enumerate(result.champions):
            until = result.champions[number + 1].since if number + 1 < len(result.champions) else 40.0
            part = max(min(until, end) - max(champion.since, begin), 0.0) * 24.0
            expected -= part * sum(learned[number].values())
        expected -= sum(size * overlap(result, name, begin, end) * 24.0 for name, size in takes.items())
        assert result.accuracy[0, window] == pytest.approx(expected, abs=1e-9)


def overlap(result: Result, name: str, begin: float, end: float) -> float:
    """Days of begin..end in which an incident of a mode was there."""
    spans = [(i.onset.time, i.end) for i in result.raw_incidents if i.failure.name == name]
    edges = sorted({begin, end, *(t for span in spans for t in span if begin < t < end)})
    total = 0.0
    for a, b in itertools.pairwise(edges):
        total += (b - a) * any(since < 0.5 * (a + b) < until for since, until in spans)
    return total


def test_runs_with_actions_are_the_same_each_time() -> None:
    given = system(
        [caused("deployment", probability=0.5), poison(3, 9, 20, name="g")], monitors=TRUTH, response=AT_ONCE
    )
    one, other = (sim.run(given, "scheduled:3d", 4) for _ in range(2))
    assert one.events.equals(other.events)
    assert one.incidents.equals(other.incidents)
    assert math.isfinite(one.ledger.total())
    assert one.ledger.total() == other.ledger.total()


# ---------------------------------------------------------------- wrong input


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            {"name": "f", "rate": "1/y", "trigger": {"on": "deployment"}},
            "give exactly one of rate and onsets",
        ),
        ({"name": "f", "trigger": {"on": "deploymnt"}}, "did you mean 'deployment'"),
        ({"name": "f", "trigger": {"on": "deployment", "probability": 0}}, "trigger.probability"),
        ({"name": "f", "rate": "1/y", "with_version": True}, "with_version: applies to trigger on"),
        ({"name": "f", "rate": "1/y", "share": 0}, "share"),
        ({"name": "f", "rate": "1/y", "feeds": 0.5}, "feeds: needs taints"),
        ({"name": "f", "rate": "1/y", "taints": 1, "feeds": 1.5}, "feeds"),
        ({"name": "f", "rate": "1/y", "harms": "training"}, "needs taints or leaks"),
        ({"rate": "1/y"}, "name: is missing"),
        ({"name": "repair", "rate": "1/y"}, "that of an action"),
        ({"name": "f", "trigger": {"on": "f"}}, "is the failure itself"),
        ({"kind": "stale_feature"}, "kind"),
    ],
)
def test_wrong_failures_are_refused(failure: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        system([failure])
    assert message in str(caught.value)
