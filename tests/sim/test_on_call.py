"""The rotation behind the pager: who comes when, what they find, and what ends the harm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import scenarios
import sim
from scenarios.failures import Failure
from scenarios.on_call import BRANCHES, OnCall
from scenarios.schema import Scenario
from sim.engine import Run, resolve_policy
from sim.incidents import Incident, Incidents
from sim.record import Result
from sim.triage import branch_of, has_runbook, walk
from sim.watch import Alarm
from sim.world import World

HOUR = 1.0 / 24.0
MINUTE = HOUR / 60.0
EVER = {"start": "0h", "end": "24h", "days": 7}
SIGNALS = [
    {"name": "requests", "kind": "throughput"},
    {"name": "broken", "kind": "proportion", "base": "1%", "layer": "schema"},
]
TRUTH = [{"metric": "truth"}]


def tree(success: float = 1.0, **durations: Any) -> list[dict[str, Any]]:
    """Steps that last 30 minutes unless told otherwise."""
    return [{"name": name, "duration": durations.get(name, "30min"), "success": success} for name in BRANCHES]


def system(failures: list[dict[str, Any]], on_call: dict[str, Any] | None = None, **changes: Any) -> Scenario:
    response = {"repair": "4h", "hourly_cost": "$100/h", "fatigue": {"strength": 0}} | changes.pop(
        "response", {}
    )
    plan = {"steps": tree(), "mitigations": [], "handoff_loss": 0, "fatigue_slowdown": 0, "sample": 100_000}
    return scenarios.load(
        "rotting_asset",
        **{
            "horizon": "14d",
            "window": "15min",
            "quality__decay": "0/d",
            "triggers": [],
            "signals": SIGNALS,
            "monitors": TRUTH,
            "traffic": {"rate": "24k/d", "arrivals": "deterministic"},
        }
        | changes,
        failures=failures,
        response=response | {"on_call": plan | (on_call or {})},
    )


def play(failures: list[dict[str, Any]], on_call: dict[str, Any] | None = None, **changes: Any) -> Result:
    return sim.run(system(failures, on_call, **changes), changes.pop("policy", "never"))


def failure(onset: float = 10.0, name: str = "f", **fields: Any) -> dict[str, Any]:
    """One that begins at an hour; a drop of 5 points is P2."""
    return {"name": name, "onsets": [f"{onset}h"], "accuracy_drop": 0.05} | fields


def hours(result: Result, column: str) -> list[float]:
    return (24.0 * result.incidents[f"{column}_days"]).round(4).tolist()


def fed(scenario: Scenario, calls: Sequence[tuple[float, str]], seed: int = 0) -> Result:
    """Play with alarms at given hours, each for the failures that are named, by a monitor that is never ignored."""
    run = Run(World(scenario, seed), resolve_policy("never"))
    assert run.responders is not None

    def call(hour: float, name: str) -> Any:
        yield run.env.timeout(hour * HOUR)
        causes = [i for i in run.incidents.all if i.failure.name == name and i.active(run.now)]
        _hear(run, causes)

    for hour, name in calls:
        run.env.process(call(hour, name))
    return run.play()


def _hear(run: Run, causes: list[Incident]) -> None:
    for incident in causes:
        incident.detected = run.now if incident.detected is None else incident.detected
    watch = SimpleNamespace(label="truth", monitor=SimpleNamespace(metric="truth"))
    assert run.responders is not None
    run.responders.hear(Alarm(run.now, "truth", 1.0, 0.0, bool(causes)), watch, causes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("onset", "drop", "cover", "acknowledged"),
    [
        (10.1, 0.05, "always", 10.25 + 5 / 60),  # Monday morning
        (22.1, 0.05, "always", 33.0 + 5 / 60),  # P2 at night waits for Tuesday
        (22.1, 0.2, "always", 22.25 + 20 / 60),  # P1 wakes somebody
        (22.1, 0.2, "business", 33.0 + 5 / 60),  # nobody is there
        (24 * 4 + 18, 0.05, "always", 24 * 7 + 9 + 5 / 60),  # Friday evening
        (24 * 5 + 10.1, 0.6, "always", 24 * 5 + 10.25 + 20 / 60),  # Saturday, P0
    ],
)
def test_what_is_not_bad_enough_to_wake_for_waits_for_the_morning(
    onset: float, drop: float, cover: str, acknowledged: float
) -> None:
    result = play([failure(onset, accuracy_drop=drop)], {"cover": cover})
    assert hours(result, "acknowledged") == [pytest.approx(acknowledged, abs=1e-3)]
    slow = {0.6: 0.25, 0.2: 1.0, 0.05: 4.0}[drop] < acknowledged - float(hours(result, "paged")[0])
    assert result.summary["missed_targets"] == float(slow)
    paged, taken_up = hours(result, "paged")[0], hours(result, "acknowledged")[0]
    assert result.summary["incident_mtta_hours"] == pytest.approx(taken_up - paged, abs=1e-3)


@pytest.mark.parametrize(
    ("harm", "severity"),
    [
        ({"accuracy_drop": 0.6}, "P0"),
        ({"accuracy_drop": 0.2}, "P1"),
        ({"accuracy_drop": 0.05}, "P2"),
        ({"accuracy_drop": 0.005}, "P3"),
        ({"accuracy_drop": 0.2, "share": 0.25}, "P2"),
        ({"accuracy_drop": 0, "effects": [{"signal": "requests", "factor": 0.4}]}, "P0"),
        ({"accuracy_drop": 0, "effects": [{"signal": "requests", "factor": 0.7}]}, "P1"),
        ({"accuracy_drop": 0, "effects": [{"signal": "requests", "factor": 0.995}]}, "P3"),
        ({"accuracy_drop": 0, "effects": [{"signal": "broken", "add": 0.5}]}, "P3"),
    ],
)
def test_severity_is_measured_from_what_users_lose(harm: dict[str, Any], severity: str) -> None:
    # The failure begins in the middle of a window: people see what it does now, not the mean of the window.
    assert play([failure(10.2, **harm)]).incidents["severity"].tolist() == [severity]


def test_a_small_sample_misjudges() -> None:
    drop = {"accuracy_drop": 0.11, "rate": "300/y", "onsets": None}
    found = play([failure(**drop)], {"sample": 200}, horizon="364d").incidents["severity"]
    assert {"P1", "P2"} <= set(found)


def test_a_page_that_gets_worse_wakes_people_after_all() -> None:
    grows = system([failure(19.0, accuracy_drop=0.4, ramp="10h")])
    waits, called_again = (fed(grows, [(20.0, "f"), *more]) for more in ([], [(22.0, "f"), (23.0, "f")]))
    assert hours(waits, "acknowledged") == [pytest.approx(33 + 5 / 60, abs=1e-3)]
    assert hours(called_again, "acknowledged") == [pytest.approx(22 + 20 / 60, abs=1e-3)]
    assert called_again.incidents["severity"].tolist() == ["P1"]
    assert len(called_again.pages) == 1


@pytest.mark.parametrize(("again", "arrives"), [(22.05, 22.0 + 20 / 60), (22.3, 22.0 + 20 / 60)])
def test_a_page_that_gets_worse_is_taken_up_no_later(again: float, arrives: float) -> None:
    modes = [failure(19.0, accuracy_drop=0.9, ramp="10h"), failure(22.02, "more", accuracy_drop=0.5)]
    grows = system(modes, monitors=[])
    result = fed(grows, [(22.0, "f"), (again, "f")])
    assert [event.details for event in result.raw_events if event.kind == "severity"] == ["P1 to P0"]
    assert hours(result, "acknowledged")[0] == pytest.approx(arrives, abs=1e-3)


@pytest.mark.parametrize("cause", [*BRANCHES, "code", "infrastructure"])
def test_the_tree_is_walked_in_order_to_the_branch_of_the_cause(cause: str) -> None:
    log = play([failure(9.1, cause=cause)]).work_log
    last = BRANCHES.index(cause if cause in BRANCHES else "temporal")
    assert log["task"].tolist() == [*(f"triage: {name}" for name in BRANCHES[: last + 1]), "repair"]
    assert set(log["person"]) == {"ml 1"}
    # Without a data on-call the first step takes twice as long.
    minutes = (1440.0 * (log["end_days"] - log["start_days"])).round(3).tolist()
    assert minutes == [60.0, *[30.0] * last, 240.0]


def test_each_tier_looks_faster_and_misses_half_as_often() -> None:
    plan = OnCall.model_validate({"steps": tree(0.4), "escalated_pace": 0.5})
    mode, rng = Failure(name="f", rate="1/y", cause="model"), np.random.default_rng(5)
    for tier, chance in ((0, 0.4), (1, 0.7), (2, 0.85)):
        walks = [walk(plan, mode, tier, rng) for _ in range(4000)]
        found = np.mean([looks[-1].finds for looks in walks])
        assert abs(found - chance) < 4.0 * math.sqrt(chance * (1 - chance) / 4000)
        assert not any(look.finds for looks in walks for look in looks[:-1])
        assert walks[0][-1].days == pytest.approx(30 * MINUTE * 0.5**tier)


def test_what_one_tier_does_not_find_the_next_one_looks_for() -> None:
    rare = tree(0.01, **dict.fromkeys(BRANCHES, "1min"))
    of = system([failure(9.1, cause="slice", accuracy_drop=0.2)], {"steps": rare})
    logs = [sim.run(of, "never", seed=seed).work_log for seed in range(12)]
    told = {tuple(dict.fromkeys(log["person"])) for log in logs}
    assert told == {("ml 1", "senior 1"), ("ml 1", "senior 1", "lead 1")}
    for log in logs:
        assert log["task"].iloc[:6].tolist() == [*(f"triage: {name}" for name in BRANCHES), "triage: data"]
        assert log["task"].iloc[-2:].tolist() == ["triage: slice", "repair"]


def test_the_last_tier_looks_until_it_finds_the_cause() -> None:
    rare = tree(0.01, **dict.fromkeys(BRANCHES, "1min"))
    alone = {"steps": rare, "staff": {"senior": 0, "lead": 0}}
    result = play([failure(9.1, accuracy_drop=0.2)], alone)
    assert set(result.work_log["person"]) == {"ml 1"}
    assert (result.work_log["task"] == "triage: data").sum() > 3
    assert result.incidents["resolved_days"].notna().all()


def test_the_data_on_call_looks_in_parallel_and_repairs_what_it_finds() -> None:
    slow = tree(data="50min")
    alone = play([failure(9.1)], {"steps": slow}).work_log
    both = play([failure(9.1)], {"steps": slow, "staff": {"data": 1}}).work_log
    assert alone["task"].tolist() == ["triage: data", "repair"]
    rows = both.sort_values(["start_days", "person"])[["person", "task"]].to_numpy().tolist()
    assert rows == [
        ["data 1", "triage: data"],
        ["ml 1", "triage: skew"],
        ["ml 1", "triage: slice"],
        ["data 1", "repair"],
    ]
    # Nobody looks on when the cause is found.
    found = both.query("person == 'data 1'")["end_days"].iloc[0]
    assert both.query("role == 'ml'")["end_days"].max() == pytest.approx(found)
    assert 24 * (alone["end_days"].max() - both["end_days"].max()) == pytest.approx(50 / 60)


def test_the_data_on_call_stops_when_the_engineer_finds_it() -> None:
    log = play([failure(9.1, cause="skew")], {"steps": tree(data="5h"), "staff": {"data": 1}}).work_log
    ends = log.groupby("person")["end_days"].max()
    assert log.query("task == 'triage: data'")["end_days"].item() == pytest.approx(
        log.query("task == 'triage: skew'")["end_days"].item()
    )
    assert ends["ml 1"] > ends["data 1"]


def test_runbooks_and_lineage_make_triage_shorter() -> None:
    def triage(**plan: Any) -> float:
        log = play([failure(9.1, cause="skew")], plan).work_log
        return float(24 * sum((log["end_days"] - log["start_days"])[log["task"] != "repair"]))

    assert triage() == pytest.approx(1.5)
    assert triage(runbooks=1) == pytest.approx(0.75)
    assert triage(lineage=True) == pytest.approx(0.75)
    assert triage(runbooks=1, lineage=True, runbook_pace=0.2) == pytest.approx(0.15)
    modes = [Failure(name=f"f{number}", rate="1/y") for number in range(2000)]
    shares = [{m.name for m in modes if has_runbook(m, share)} for share in (0.2, 0.6)]
    assert shares[0] < shares[1]  # more runbooks: those that there were, and others
    assert [len(names) / 2000 for names in shares] == pytest.approx([0.2, 0.6], abs=0.05)
    assert branch_of(modes[0]) == "data"


@pytest.mark.parametrize(
    ("loss", "ends"),
    # Taken up at 9:20, an hour of triage, 22 h of repair from 10:20 on; changes of shift at 21:00 and 9:00.
    # With a quarter lost, 10 h 40 are worth 8 h, the 12 h of the night 9 h, and 5 h are left.
    [(0.0, [21.0, 32 + 1 / 3]), (0.25, [21.0, 33.0, 38.0])],
)
def test_a_change_of_shifts_loses_context(loss: float, ends: list[float]) -> None:
    result = play([failure(9.1, accuracy_drop=0.2)], {"handoff_loss": loss}, response={"repair": "22h"})
    assert (24 * result.work_log.query("task == 'repair'")["end_days"]).tolist() == pytest.approx(ends)
    assert (24 * result.events.query("kind == 'handoff'")["time_days"]).tolist() == pytest.approx(ends[:-1])


def test_what_does_not_wake_people_stops_in_the_evening_and_leaves_the_engineer_to_others() -> None:
    result = play([failure(14.1), failure(20.1, "g", accuracy_drop=0.6)], response={"repair": "3h"})
    assert hours(result, "resolved") == pytest.approx([33 + 1 + 1 / 3, 24.5 + 1 / 12], abs=1e-3)
    log = result.work_log.query("failure == 'f' and task == 'repair'")
    assert (24 * log["start_days"]).round(3).tolist() == [15.333, 33.0]
    assert (24 * log["end_days"]).round(3).tolist() == [17.0, 34.333]


def test_many_incidents_in_a_shift_make_people_slow() -> None:
    modes = [failure(9.1 + number, f"f{number}", accuracy_drop=0.2) for number in range(4)]
    plan = {"load_limit": 2, "fatigue_slowdown": 0.5, "steps": tree(data="0s")}
    log = play(modes, plan, response={"repair": "1h"}).work_log.query("task == 'repair'")
    assert (24 * (log["end_days"] - log["start_days"])).round(6).tolist() == [1.0, 1.0, 1.5, 2.0]
    two = play(modes, plan | {"staff": {"ml": 2}}, response={"repair": "1h"}).work_log
    assert (24 * (two["end_days"] - two["start_days"])).max() == pytest.approx(
        1.0
    )  # the limit is each person's


def test_two_incidents_at_once_wait_for_one_engineer_the_worse_one_less() -> None:
    modes = [
        failure(9.1, "first"),
        failure(10.1, "mild", accuracy_drop=0.002),
        failure(11.1, "bad", accuracy_drop=0.6),
    ]
    result = play(modes, {"hours": EVER, "wake_for": ["P0", "P1", "P2", "P3"]})
    taken_up = dict(zip(result.incidents["failure"], hours(result, "acknowledged"), strict=True))
    resolved = dict(zip(result.incidents["failure"], hours(result, "resolved"), strict=True))
    assert (taken_up["bad"], taken_up["mild"]) == (resolved["first"], resolved["bad"])
    two = play(modes, {"hours": EVER, "wake_for": ["P0", "P1", "P2", "P3"], "staff": {"ml": 2}})
    assert set(two.work_log["person"]) == {"ml 1", "ml 2"}


@pytest.mark.parametrize(
    ("drop", "tasks"),
    [
        (0.2, ["fallback", "triage: data", "repair"]),  # P1: before the cause is known
        (0.05, ["triage: data", "fallback", "repair"]),
    ],
)
def test_severe_harm_is_mitigated_before_the_cause_is_known(drop: float, tasks: list[str]) -> None:
    result = play([failure(9.1, accuracy_drop=drop)], {"mitigations": ["rollback", "fallback", "throttle"]})
    assert result.work_log["task"].tolist() == tasks
    row = result.incidents.iloc[0]
    switched = result.work_log.query("task == 'fallback'")["end_days"].item()
    assert row["mitigated_days"] == pytest.approx(switched)
    # Its loss is that of the full harm up to there, and 40 % of it to the repair.
    price = result.scenario.value_per_query_per_unit_accuracy * 24_000 * drop
    lasted = (row["mitigated_days"] - row["onset_days"]) + 0.4 * (
        row["resolved_days"] - row["mitigated_days"]
    )
    assert row["loss"] == pytest.approx(price * lasted, rel=1e-6)


def worth(result: Result) -> float:
    """Money that a point of accuracy is worth in an hour."""
    return result.scenario.value_per_query_per_unit_accuracy * 1000.0


HALT = {"mitigations": ["throttle"], "throttle": {"switch": "10min", "left": 0}}


def test_a_halt_stops_all_that_harms_what_is_served_until_the_last_of_it_is_over() -> None:
    modes = [
        failure(9.1, "found", accuracy_drop=0.2),
        failure(9.2, "unseen", lasts="10h"),
        failure(9.3, "spoils", harms="training", taints=0.1),
        failure(12.0, "meanwhile", accuracy_drop=0.1, lasts="8h"),
        failure(19.6, "joins", accuracy_drop=0.1, lasts="3h"),
        failure(23.0, "after", accuracy_drop=0.1, lasts="1h"),
    ]
    result = fed(system(modes, HALT, monitors=[]), [(10.0, "found"), (13.0, "meanwhile")])
    table = result.incidents.set_index("failure")
    switched = round(24 * result.work_log.query("task == 'throttle'")["end_days"].item(), 6)
    assert switched == pytest.approx(10 + 15 / 60)
    eased = {
        i.failure.name: None if i.eased is None else round(24 * i.eased, 6) for i in result.raw_incidents
    }
    assert eased == {
        "found": switched,
        "unseen": switched,
        "spoils": None,
        "meanwhile": 12.0,
        "joins": 19.6,  # the first one is long over, what joined it is not
        "after": None,
    }
    assert 24 * table.loc["found", "end_days"] < 19.0
    # What nobody takes up is never mitigated, what is taken up later is from then on.
    assert 24 * table.loc["found", "mitigated_days"] == pytest.approx(switched)
    assert table.loc["meanwhile", "mitigated_days"] == table.loc["meanwhile", "acknowledged_days"] > 13 * HOUR
    assert table.loc[["unseen", "joins", "after"], "mitigated_days"].isna().all()
    expected = {
        "found": 0.2 * (switched - 9.1),
        "unseen": 0.05 * (switched - 9.2),
        "spoils": 0.0,
        "meanwhile": 0.0,
        "joins": 0.0,
        "after": 0.1,
    }
    assert (table["loss"] / worth(result)).to_dict() == pytest.approx(expected, abs=1e-9)
    assert result.costs["incident"] == pytest.approx(table["loss"].sum())


def test_a_breaker_s_halt_stops_all_too_and_counts_when_somebody_comes() -> None:
    plan = HALT | {"circuit_breaker": {"monitors": ["truth"], "switch": "1min"}, "acknowledge": "30min"}
    result = play([failure(9.1, "first"), failure(9.26, "second")], plan)  # the one is seen at 9:15
    assert {round(24 * (i.eased or 0.0), 6) for i in result.raw_incidents} == {round(9.25 + 1 / 60, 6)}
    table = result.incidents
    assert (table["mitigated_days"] == table["acknowledged_days"]).all()
    assert len(result.events.query("kind == 'circuit breaker'")) == 1
    assert "throttle" not in set(result.work_log["task"])


def test_of_several_easings_the_strongest_counts() -> None:
    of = system([failure(0.0, onsets=["0h"], accuracy_drop=0.2)])
    (incident,) = (incidents := Incidents(of, World(of, 0).onsets)).all
    for moment, left in ((1.0, 0.5), (2.0, 0.8), (3.0, 0.2)):
        incidents.ease(incident, moment, left)
    assert incident.mean_level(np.arange(6.0)).tolist() == pytest.approx([1.0, 0.5, 0.5, 0.2, 0.2])
    assert [incident.level_at(time) for time in (1.0, 1.5, 2.5, 3.5)] == [1.0, 0.5, 0.5, 0.2]
    assert incident.mitigated is None
    incidents.acknowledge(incident, 4.0)
    assert incident.mitigated == 4.0


@pytest.mark.parametrize("data", [0, 1])
@pytest.mark.parametrize("plan", [{}, {"mitigations": ["retrain"]}])
def test_in_the_end_all_seats_are_given_back(plan: dict[str, Any], data: int) -> None:
    rare = {"steps": tree(0.05, **dict.fromkeys(BRANCHES, "20min")), "staff": {"ml": 2, "data": data}}
    causes = ("data", "skew", "slice", "model", "data", "model", "temporal", "slice")
    modes = [failure(9.1 + n, f"f{n}", cause=cause, accuracy_drop=0.2) for n, cause in enumerate(causes)]
    gate = {"gate": {"holdout": 2000, "margin": 0.5}}
    of = system(modes, rare | plan, pipeline=PIPELINE | gate, horizon="28d")
    for seed in range(3):
        run = Run(World(of, seed), resolve_policy("never"))
        result = run.play()
        assert result.incidents["resolved_days"].notna().all()
        assert {"senior 1", "lead 1"} <= set(result.work_log["person"])
        assert (len(result.events.query("kind == 'rejection'")) > 0) == bool(plan)
        assert run.responders is not None
        assert run.responders.rotation is not None
        for crew in run.responders.rotation.crews.values():
            assert crew.people.count == len(crew.people.queue) == 0, crew.role
            assert crew._free == list(range(1, crew.number + 1))


PIPELINE = {"stages": {"training": {"duration": "5h"}}}


def test_a_retraining_repairs_what_the_model_has_to_learn() -> None:
    drifted = failure(9.1, cause="model")
    result = play([drifted], {"mitigations": ["retrain", "fallback"]}, pipeline=PIPELINE)
    deployed = result.events.query("kind == 'deployment'")["time_days"].item()
    assert result.incidents["resolved_days"].item() == pytest.approx(deployed, abs=HOUR)
    assert "repair" not in set(result.work_log["task"])
    other = play([failure(9.1)], {"mitigations": ["retrain", "fallback"]}, pipeline=PIPELINE)
    assert other.events.query("kind == 'deployment'").empty


def test_people_repair_by_hand_what_no_new_model_came_for() -> None:
    gate = {"holdout": 2000, "margin": 0.5}
    result = play(
        [failure(9.1, cause="model")], {"mitigations": ["retrain"]}, pipeline=PIPELINE | {"gate": gate}
    )
    rejected = result.events.query("kind == 'rejection'")["time_days"].item()
    assert result.work_log["task"].iloc[-1] == "repair"
    assert result.incidents["resolved_days"].item() > rejected + 3.9 * HOUR


def test_a_bad_deployment_is_rolled_back() -> None:
    bad = {"name": "bad", "trigger": {"on": "deployment"}, "cause": "code", "accuracy_drop": 0.2}
    rollback = {"deployment": {"strategy": "direct", "rollback": {"tier": "rapid", "untested_failure": 0}}}
    of = system([bad], {"mitigations": ["rollback", "fallback"]}, **rollback)
    result = sim.run(of, "scheduled:4d")
    assert not result.events.query("kind == 'rollback'").empty
    row, log = result.incidents.iloc[0], result.work_log
    task = log[log["onset_days"] == row["onset_days"]].iloc[0]
    assert (task["task"], task["person"]) == ("rollback", "ml 1")
    assert row["mitigated_days"] == row["resolved_days"] == row["end_days"] == pytest.approx(task["end_days"])
    assert 3 * MINUTE <= task["end_days"] - task["start_days"] <= 15 * MINUTE
    # Where the deployment is not to blame there is nothing to take back.
    other = sim.run(
        system([failure(100.0, accuracy_drop=0.2)], {"mitigations": ["rollback"]}), "scheduled:4d"
    )
    assert set(other.work_log["task"]) == {"triage: data", "repair"}


def test_a_model_that_learned_from_bad_data_is_rolled_back_and_its_data_are_repaired() -> None:
    bad = failure(72.0, accuracy_drop=0.2, harms="training", taints=1.0)
    rollback = {"deployment": {"strategy": "direct", "rollback": {"tier": "rapid", "untested_failure": 0}}}
    looks = [{"metric": "signal", "signal": "clicks", "threshold": 0.5}]
    clicks = {
        "name": "clicks",
        "kind": "proportion",
        "base": "1%",
        "per_accuracy_lost": 5,
        "layer": "business",
    }
    of = system(
        [bad], {"mitigations": ["rollback", "fallback"]}, monitors=looks, signals=[clicks], **rollback
    )
    result = sim.run(of, "scheduled:4d")
    row = result.incidents.iloc[0]
    assert row["severity"] == "P1"  # against what the model should be, not what it was when it went live
    assert result.work_log["task"].tolist()[:2] == ["rollback", "triage: data"]
    assert row["mitigated_days"] == pytest.approx(
        result.events.query("kind == 'rollback'")["time_days"].item()
    )
    assert row["mitigated_days"] < row["resolved_days"]
    accuracy = result.timeline.set_index("time_days")["accuracy"]
    assert accuracy[row["mitigated_days"] + 0.1 :].iloc[0] == pytest.approx(accuracy.iloc[0])


WRONG = {"accuracy_drop": 0.3}
DOWN = {"accuracy_drop": 0, "effects": [{"signal": "requests", "factor": 0.1}]}
LOOKS = [
    {"metric": "signal", "signal": "requests", "threshold": 0.3},
    {"metric": "accuracy", "cadence": "1h", "window": "1h", "threshold": 0.1},
]


@pytest.mark.parametrize(
    ("harm", "watches", "sees"),
    [
        (WRONG, "requests", False),
        (WRONG, "accuracy", True),
        (DOWN, "requests", True),
        (DOWN, "accuracy", False),
    ],
)
def test_a_circuit_breaker_sees_what_its_monitors_see(harm: dict[str, Any], watches: str, sees: bool) -> None:
    breaker = {"monitors": [watches], "switch": "1min"}
    plan = {"mitigations": ["fallback"], "circuit_breaker": breaker, "asleep": "3h"}
    result = play([failure(51.0, **harm)], plan, monitors=LOOKS, labels={"delay": "0s"})
    row, (incident,) = result.incidents.iloc[0], result.raw_incidents
    assert bool(len(result.events.query("kind == 'circuit breaker'"))) == sees
    assert incident.eased is not None
    waited = 24 * (incident.eased - row["detected_days"])
    assert waited == pytest.approx(1 / 60, abs=1e-6) if sees else waited > 3.0
    assert row["mitigated_days"] == max(incident.eased, row["acknowledged_days"])
    assert row["resolved_days"] > row["detected_days"] + 7 * HOUR  # people come and repair in any case


@pytest.mark.parametrize("breaker", [None, {"monitors": ["truth"], "switch": "1min"}])
def test_a_circuit_breaker_is_nobody_at_the_keyboard(breaker: dict[str, Any] | None) -> None:
    plan = {"mitigations": ["fallback"], "circuit_breaker": breaker, "acknowledge": "40min", "asleep": "0s"}
    result = play([failure(10.1, accuracy_drop=0.6)], plan)
    assert result.summary["incident_mtta_hours"] == pytest.approx(40 / 60)
    assert hours(result, "acknowledged") == [pytest.approx(10.25 + 40 / 60, abs=1e-3)]
    (incident,) = result.raw_incidents
    assert (incident.mitigated == incident.acknowledged) == (breaker is not None)


def test_without_a_rotation_there_is_no_keyboard_to_be_at() -> None:
    flat = system([failure(10.1)]).with_(response={"repair": "4h"})
    result = sim.run(flat, "never")
    assert result.incidents["acknowledged_days"].notna().all()
    assert result.waits == []
    assert math.isnan(result.summary["incident_mtta_hours"])


@pytest.mark.parametrize("asleep", ["0s", "30h"])
def test_what_a_breaker_ends_before_a_person_comes_is_no_repair(asleep: str) -> None:
    bad = {"name": "bad", "trigger": {"on": "deployment"}, "cause": "code", "accuracy_drop": 0.2}
    rollback = {"deployment": {"strategy": "direct", "rollback": {"tier": "rapid", "untested_failure": 0}}}
    breaker = {"monitors": ["truth"], "switch": "1h"}
    plan = {
        "mitigations": ["rollback"],
        "circuit_breaker": breaker,
        "asleep": asleep,
        "steps": tree(data="9h"),
    }
    result = sim.run(system([bad], plan, **rollback), "scheduled:4d")
    row = result.incidents.iloc[0]
    assert row["end_days"] == pytest.approx(result.events.query("kind == 'rollback'")["time_days"].iloc[0])
    assert math.isnan(row["resolved_days"]) == (asleep == "30h")
    assert math.isnan(row["mitigated_days"]) == (asleep == "30h")


def test_a_breaker_that_trips_for_nothing_costs_once_while_it_holds() -> None:
    breaker = {"monitors": ["truth"], "false_trip": "$50", "hold": "2h"}
    of = system([failure(300.0)], {"mitigations": ["fallback"], "circuit_breaker": breaker})
    result = fed(of, [(10.0, "f"), (11.0, "f"), (12.5, "f")])
    assert len(result.events.query("kind == 'false trip'")) == 2
    assert result.costs["monitoring"] == pytest.approx(100.0)


def test_a_false_page_is_one_walk_over_the_tree_and_remembered() -> None:
    snooze = {"after": 1, "duration": "1d", "ticket": "2h"}
    of = system([failure(300.0)], {"staff": {"data": 1}}, response={"snooze": snooze}, monitors=[])
    result = fed(of, [(10.0, "nothing")])
    tasks = result.work_log.groupby("person")["task"].agg(sorted).to_dict()
    assert tasks["data 1"] == ["triage: data"]
    assert tasks["ml 1"] == ["ticket", *sorted(f"triage: {name}" for name in BRANCHES if name != "data")]
    assert [page.severity for page in result.pages] == ["P3"]
    assert result.events.query("kind == 'nothing found'")["time_days"].item() == pytest.approx(
        (10 + 5 / 60 + 2) * HOUR
    )
    assert result.costs["on_call"] == pytest.approx(100 * (0.5 + 2.0 + 2.0))


def busy(seed: int, **plan: Any) -> Result:
    """A month in which everything happens: overlapping failures, nights, missed causes, a breaker, rollbacks."""
    rates = {"rate": "150/y", "onsets": None}
    modes = [
        failure(name="schema", **rates, effects=[{"signal": "broken", "add": 0.4}], accuracy_drop=0.15),
        failure(name="outage", **rates, cause="infrastructure", **DOWN),
        failure(name="wrong", **rates, cause="model", accuracy_drop=0.12, ramp="5h"),
        failure(name="blip", **rates, cause="skew", lasts={"kind": "exponential", "mean": "7h"}),
        {
            "name": "release",
            "trigger": {"on": "deployment", "probability": 0.7},
            "cause": "code",
            "accuracy_drop": 0.2,
        },
    ]
    looks = [*LOOKS, {"metric": "signal", "signal": "broken", "threshold": 0.1}]
    default = {
        "steps": [
            {"name": name, "duration": {"kind": "exponential", "mean": "1h"}, "success": 0.5}
            for name in BRANCHES
        ],
        "mitigations": ["rollback", "retrain", "fallback"],
        "circuit_breaker": {"monitors": ["requests"], "false_trip": "$5"},
        "handoff_loss": 0.3,
        "fatigue_slowdown": 0.2,
        "sample": 500,
        "staff": {"data": 1},
    }
    of = system(
        modes,
        default | plan,
        monitors=looks,
        horizon="42d",
        labels={"delay": "1h"},
        pipeline=PIPELINE,
        response={"repair": {"kind": "lognormal", "median": "4h", "p95": "20h"}, "snooze": {"ticket": "1h"}},
    )
    return sim.run(of, "scheduled:9d", seed=seed)


@pytest.mark.parametrize("seed", range(4))
def test_the_chain_of_an_incident_is_closed_and_hours_are_paid(seed: int) -> None:
    result = busy(seed)
    table = result.incidents
    chain = ["onset", "detected", "paged", "acknowledged", "mitigated", "resolved"]
    for row in table[[f"{step}_days" for step in chain]].to_numpy():
        known = row[~np.isnan(row)]
        assert (np.diff(known) >= 0.0).all(), row
    assert (table["resolved_days"].dropna() == table["end_days"][table["resolved_days"].notna()]).all()
    assert table["resolved_days"].notna().sum() > 10
    assert {"fallback", "repair", "triage: data"} <= set(result.work_log["task"])
    log = result.work_log
    paid = 100.0 * 24.0 * (log["end_days"] - log["start_days"]).sum()
    assert result.costs["on_call"] == pytest.approx(paid)
    assert result.summary["work_hours"] == pytest.approx(paid / 100.0)
    assert result.costs["incident"] == pytest.approx(table["loss"].sum())
    for _, days in log.sort_values("start_days").groupby("person"):  # nobody is in two places
        assert (days["start_days"].to_numpy()[1:] >= days["end_days"].to_numpy()[:-1] - 1e-9).all()


def test_the_same_run_twice_is_the_same() -> None:
    first, second = busy(3), busy(3)
    pd.testing.assert_frame_equal(first.incidents, second.incidents)
    pd.testing.assert_frame_equal(first.work_log, second.work_log)
    assert first.costs.equals(second.costs)


@pytest.mark.parametrize("role", ["ml", "data"])
def test_more_people_do_not_make_anybody_wait_longer(role: str) -> None:
    def waits(number: int) -> list[float]:
        staff = {"ml": 1, "data": 1} | {role: number}
        key = "incident_mtta_hours" if role == "ml" else "incident_mttr_hours"
        return [float(busy(seed, staff=staff).summary[key]) for seed in range(3)]

    few, many = waits(1), waits(4)
    assert np.mean(few) > np.mean(many)


def erlang_c(servers: int, load: float) -> float:
    """Chance to wait in an M/M/c queue with `load` erlangs offered."""
    terms = [load**k / math.factorial(k) for k in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last)


@pytest.mark.parametrize(
    ("people", "rate"), [(1, 3.6), *(pytest.param(*p, marks=pytest.mark.slow) for p in ((2, 8.0), (3, 14.0)))]
)
def test_engineers_are_servers_of_a_queue(people: int, rate: float) -> None:
    # Poisson incidents and exponential repairs of 4 h: waits equal those of M/M/c within 3.5 standard errors of 16
    # replications, after the first 5 days; the chance of a false alarm is below 1 in 300 for each.
    instant = tree(**dict.fromkeys(BRANCHES, "0s"))
    of = system(
        [failure(rate=f"{rate}/d", onsets=None, accuracy_drop=0.0)],
        {"steps": instant, "hours": EVER, "wake_for": ["P0", "P1", "P2", "P3"], "acknowledge": "0s"}
        | {"staff": {"ml": people}},
        response={"repair": {"kind": "exponential", "mean": "4h"}},
        horizon="45d",
        window="1d",
        monitors=[],
    )
    means = []
    for seed in range(16):
        run = Run(World(of, seed), resolve_policy("never"))

        def calls(run: Run = run) -> Any:
            for incident in list(run.incidents.all):
                yield run.env.timeout(incident.onset.time - run.now)
                _hear(run, [incident])

        run.env.process(calls())
        table = run.play().incidents.query("paged_days > 5 and paged_days < 42")
        means.append(float((table["acknowledged_days"] - table["paged_days"]).mean()))
    expected = erlang_c(people, rate / 6.0) / (6.0 * people - rate)
    error = float(np.std(means, ddof=1)) / 4.0
    assert error < 0.2 * expected
    assert abs(np.mean(means) - expected) < 3.5 * error
