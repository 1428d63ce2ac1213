"""Traces: the rules of the Trace Event Format, everything that happened, and files."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from small_incidents import calm, many, minutes, scenario, staffed, week, with_work
from typer.testing import CliRunner

import scenarios
import sim
from analysis.cli import app
from analysis.trace_events import MICROSECONDS, PROCESSES, save_trace, trace_document
from sim.record import Result

RESULTS = {
    "calm": calm,
    "week": week,
    "week with work": lambda: with_work(week()),
    "minutes with work": lambda: with_work(minutes()),
    "many": many,
    "staffed": staffed,
}


@pytest.fixture(params=RESULTS)
def played(request: pytest.FixtureRequest) -> Result:
    return RESULTS[request.param]()


def events(result: Result, phase: str = "", process: str = "") -> list[dict[str, Any]]:
    number = PROCESSES.index(process) + 1 if process else None
    return [
        event
        for event in trace_document(result)["traceEvents"]
        if event["ph"] == (phase or event["ph"]) and event["pid"] == (number or event["pid"])
    ]


# Rules of the format


def test_it_keeps_the_rules_of_the_format(played):
    document = json.loads(json.dumps(trace_document(played), allow_nan=False))
    assert document.keys() == {"traceEvents", "displayTimeUnit", "otherData"}
    assert document["displayTimeUnit"] in ("ms", "ns")
    named: dict[str, set[Any]] = defaultdict(set)
    for event in document["traceEvents"]:
        assert {"name", "ph", "ts", "pid", "tid", "args"} <= event.keys()
        assert isinstance(event["name"], str)
        assert event["name"]
        assert isinstance(event["args"], dict)
        assert event["ph"] in ("X", "i", "M")
        for key in ("ts", "pid", "tid"):
            assert type(event[key]) is int
            assert event[key] >= 0
        if event["ph"] == "M":
            key = "name" if event["name"].endswith("_name") else "sort_index"
            assert event["name"] in ("process_name", "thread_name", "process_sort_index", "thread_sort_index")
            assert type(event["args"][key]) is (str if key == "name" else int)
            place = event["pid"] if event["name"].startswith("process") else (event["pid"], event["tid"])
            assert place not in named[event["name"]]
            named[event["name"]].add(place)
        elif event["ph"] == "X":
            assert type(event["dur"]) is int
            assert event["dur"] >= 0
        else:
            assert event["s"] in ("g", "p", "t")
    used = {(e["pid"], e["tid"]) for e in document["traceEvents"] if e["ph"] != "M"}
    assert used == named["thread_name"] == named["thread_sort_index"]
    assert {pid for pid, _ in used} == named["process_name"] == named["process_sort_index"]
    threads = [tid for _, tid in used]
    assert len(set(threads)) == len(threads)
    assert not set(threads) & {pid for pid, _ in used}  # viewers take such a thread for the main one


def test_events_are_sorted_by_time(played):
    times = [event["ts"] for event in events(played)]
    assert times == sorted(times)


def test_what_lasts_lies_within_one_another_or_apart(played):
    """A viewer stacks the complete events of a thread in the order of the file; what overlaps would be misplaced."""
    stacks: dict[int, list[int]] = defaultdict(list)
    for event in events(played, "X"):
        start, end = event["ts"], event["ts"] + event["dur"]
        stack = stacks[event["tid"]]
        while stack and stack[-1] <= start:
            stack.pop()
        assert not stack or end <= stack[-1], event
        stack.append(end)


# What it tells


def test_a_second_of_the_viewer_is_a_second_of_the_run(played):
    document = trace_document(played)
    assert document["otherData"]["time"].startswith("one second in the viewer is one simulated second;")
    assert document["otherData"]["seed"] == played.seed
    served = events(played, "X", "pipeline")
    assert served[0]["ts"] == 0
    assert sum(event["dur"] for event in served) == played.scenario.horizon * MICROSECONDS
    assert [event["name"] for event in served] == [f"version {c.version.number}" for c in played.champions]


def test_longer_than_viewers_can_show():
    long = sim.run(scenario(horizon="150000d", window="100d", monitors=[], signals=[], response=None))
    document = trace_document(long)
    assert document["otherData"]["time"].startswith("one second in the viewer is 3 simulated seconds;")
    last = max(event["ts"] + event.get("dur", 0) for event in document["traceEvents"])
    assert last == 50_000 * MICROSECONDS
    assert last * 1000 < 2**63


def test_incidents_with_their_phases():
    result = with_work(week())
    found = [event for event in events(result, "X", "incidents") if event["args"]]
    assert len(found) == len(result.raw_incidents)
    for event, incident in zip(found, result.raw_incidents, strict=True):
        assert event["ts"] == round(incident.onset.time * MICROSECONDS)
        assert event["ts"] + event["dur"] == round(incident.end * MICROSECONDS)
        assert event["name"] == f"{incident.failure.name} {incident.severity}"
        assert event["args"]["loss"] == incident.loss
        assert event["args"]["detected_days"] == incident.detected
    names = {event["name"] for event in events(result, "X", "incidents") if not event["args"]}
    assert names == {"silent", "waiting", "being mitigated", "mitigated"}


def test_people_alarms_and_other_events_are_all_there():
    result = with_work(week())
    work = events(result, "X", "people")
    assert sorted((e["name"], e["ts"]) for e in work) == sorted(
        (w.task, round(w.start * MICROSECONDS)) for w in result.work
    )
    instants = events(result, "i")
    lasting = ("incident", "repair")
    assert len(instants) == sum(event.kind not in lasting for event in result.raw_events)
    alarms = [e for e in instants if e["name"] in ("true alarm", "false alarm")]
    assert [e["ts"] for e in alarms] == [round(a.time * MICROSECONDS) for a in result.alarms]


def test_who_did_two_things_at_once_has_two_threads():
    result = many()
    threads = [e["args"]["name"] for e in events(result, "M", "people") if e["name"] == "thread_name"]
    people = {work.person for work in result.work}
    assert {name.partition(" (")[0] for name in threads} == people | {"on call"}
    assert len(threads) == len(set(threads))


def test_a_score_that_is_no_number_is_null():
    odd = dataclasses.replace(week(), alarms=[dataclasses.replace(week().alarms[0], score=math.inf)])
    assert [e["args"]["score"] for e in events(odd, "i", "monitors") if "score" in e["args"]] == [None]


# Files


def test_the_command_writes_it(tmp_path):
    file = tmp_path / "new" / "trace.json"
    done = CliRunner().invoke(app, ["run", "silent_failure", "--trace-out", str(file)])
    assert done.exit_code == 0, done.output
    assert str(file) in done.stdout
    assert json.loads(file.read_text()) == trace_document(sim.run(scenarios.load("silent_failure")))
    again = CliRunner().invoke(app, ["run", "silent_failure", "--trace-out", str(file), "--json"])
    assert json.loads(again.stdout)["policy"] == "never"
    assert list(tmp_path.rglob("*")) == [tmp_path / "new", file]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("trace.txt", "expected a name that ends in .json"),
        ("", "is a folder, expected a file"),
        ("folder.json", "is a folder, expected a file"),
        ("file/trace.json", "File exists"),
        ("file/below/trace.json", "Not a directory"),
    ],
)
def test_wrong_places_are_one_message_before_the_run(where, message, tmp_path, monkeypatch):
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr("sim.engine.run", lambda *_, **__: pytest.fail("the run came first"))
    done = CliRunner().invoke(app, ["run", "silent_failure", "--trace-out", str(tmp_path / where)])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / ".tmp-1"))

    monkeypatch.setattr("analysis.trace_events.write_durably", full)
    target = tmp_path / "trace.json"
    with pytest.raises(OSError, match="No space left") as caught:
        save_trace(week(), target)
    assert caught.value.filename == str(target)


def test_the_same_run_has_the_same_bytes(tmp_path):
    one, two = (save_trace(sim.run(scenario()), Path(tmp_path) / f"{n}.json") for n in range(2))
    assert one.read_bytes() == two.read_bytes()
