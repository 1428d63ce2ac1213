"""Small runs with incidents: a week with several, a story of 45 minutes, and people's work written by hand."""

from __future__ import annotations

import copy
import dataclasses
from functools import cache
from typing import Any

import sim
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from sim.record import Result
from sim.work import Work

FAILURES: list[dict[str, Any]] = [
    {"name": "schema_break", "onsets": ["10.3d"], "accuracy_drop": "20%"},
    {"name": "lag", "onsets": ["2.1d", "10.5d", "11.2d", "12.9d"], "accuracy_drop": "5%", "cost": "$10"},
    {
        "name": "unseen",
        "onsets": ["9.5d"],
        "accuracy_drop": "0.5%",
        "lasts": {"kind": "fixed", "value": "30h"},
    },
]
MONITORS: list[dict[str, Any]] = [
    {"metric": "accuracy", "sampling": "none", "threshold": 0.02, "window": "6h", "cadence": "2h"},
    {"metric": "signal", "name": "clicks", "signal": "clicks", "threshold": 0.09, "rows": 50, "cadence": "2h",
     "window": "2h"},
]  # fmt: skip


def scenario(**fields: Any) -> Scenario:
    return validate_mapping(
        {
            "title": "A small system",
            "horizon": "28d",
            "window": "30min",
            "value_per_query_per_unit_accuracy": "$0.10",
            "quality": {"kind": "degradation", "initial_accuracy": 0.9},
            "traffic": {"rate": "20k/d"},
            "signals": [{"name": "clicks", "kind": "proportion", "base": "4%", "per_accuracy_lost": 0.3}],
            "failures": FAILURES,
            "monitors": MONITORS,
            "response": {"triage": "2h", "repair": "5h", "fatigue": {"strength": 0}},
            "pipeline": {"cost": {"compute": "$40"}},
            **fields,
        }
    )


@cache
def week() -> Result:
    """Four incidents in one week, false alarms, a retraining every two days."""
    return sim.run(scenario(), "scheduled:2d", 1)


@cache
def calm() -> Result:
    """No failures."""
    return sim.run(scenario(failures=[], monitors=MONITORS[:1], response=None))


@cache
def minutes() -> Result:
    """One host of eight has the old code for 45 minutes of a Wednesday morning."""
    wrong = {"name": "old_code", "onsets": ["57.5h"], "accuracy_drop": "12.5%", "repair": "15min"}
    looks = {"metric": "accuracy", "name": "orders", "sampling": "none", "threshold": 0.05}
    return sim.run(
        scenario(
            horizon="5d",
            window="1min",
            traffic={"rate": "1M/d"},
            signals=[],
            failures=[wrong],
            monitors=[looks | {"cadence": "10min", "window": "10min"}],
            response={"triage": "20min"},
        )
    )


@cache
def staffed() -> Result:
    """People on call who triage, mitigate, hand over and sleep, as the simulator has them."""
    return sim.run(scenario(response={"on_call": {}}), "scheduled:2d", 1)


@cache
def many() -> Result:
    """More incidents and monitors than the picture has rows for."""
    failures = [
        {"name": f"failure_{n}", "onsets": [f"{5 + 0.3 * n:.1f}d"], "accuracy_drop": "4%", "cost": "$1"}
        for n in range(14)
    ]
    monitors = [MONITORS[1] | {"name": f"monitor_{n}", "threshold": 0.07 + 0.002 * n} for n in range(9)]
    return with_work(
        sim.run(scenario(failures=failures, monitors=monitors, horizon="21d"), "scheduled:1d"), 9
    )


def with_work(result: Result, people: int = 3) -> Result:
    """The same with moments between detection and resolution, severities and work of several people, by hand."""
    incidents, work = [], []
    for number, known in enumerate(result.raw_incidents):
        incident = copy.copy(known)
        incidents.append(incident)
        if incident.detected is None or incident.resolved is None:
            continue
        whole = incident.resolved - incident.detected
        incident.severity = f"P{number % 4}"
        incident.paged = incident.detected
        incident.acknowledged = incident.detected + 0.2 * whole
        incident.mitigated = incident.detected + 0.5 * whole
        steps = ("triage: data", "triage: skew", "rollback", "repair")
        for n, task in enumerate(steps):
            role, start = ("ml", "data", "senior")[n % 3], incident.acknowledged + 0.2 * n * whole
            person = f"{role} {(number + n) % people + 1}"
            end = start + 0.2 * whole
            work.append(Work(person, role, task, start, end, incident.failure.name, incident.onset.time))
    work.append(Work("ml 1", "ml", "ticket", 13.0, 13.2))
    return dataclasses.replace(
        result,
        scenario=result.scenario.with_(response__on_call={}),
        raw_incidents=incidents,
        work=sorted(work, key=lambda w: w.end),
    )
