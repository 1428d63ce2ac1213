"""A run as a trace that Perfetto (ui.perfetto.dev) and chrome://tracing open: incidents, people, pipeline, monitors.

The format is the JSON object form of the Trace Event Format. Complete events ('X') have a start and a length in
microseconds, instants ('i') a moment, metadata ('M') name processes and threads. A viewer wants complete events of
one thread to lie within one another or apart: what overlaps gets threads of its own. One simulated second is one
second in the viewer, as long as runs of 200 years are. Source: Trace Event Format (Chromium project),
'JSON Object Format', 'Complete Events', 'Instant Events', 'Metadata Events'; Perfetto documentation, 'Chrome JSON
format'.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from analysis.durable_files import write_durably
from analysis.incident_phases import discovery, last_moment, outcome, phases_of
from sim.incidents import Incident
from sim.record import Result

PROCESSES = ("incidents", "people", "pipeline", "monitors")
"""Process number n + 1 is the n-th of them."""
MICROSECONDS = 86_400_000_000
"""Of a day."""
LONGEST = 200.0 * 365.0
"""Days that viewers can show at full length: they count nanoseconds in 64 bits."""
_TOLD = frozenset(("incident", "repair", "alarm", "false alarm"))
"""Kinds of events that are told by what has a length, or with more details."""
_OF_MONITORS = frozenset(("page", "page ignored", "snooze"))
_OF_PEOPLE = frozenset(("acknowledged", "severity", "cause found", "nothing found", "escalation", "handoff"))
_OF_INCIDENTS = frozenset(("mitigation", "circuit breaker", "gone"))


class Slice(NamedTuple):
    """Something that lasts; parts lie within it."""

    thread: str
    name: str
    start: float
    """Days."""
    end: float
    details: dict[str, Any]
    parts: Sequence[tuple[str, float, float]] = ()


class Instant(NamedTuple):
    """Something that happens at a moment."""

    thread: str
    name: str
    time: float
    """Days."""
    details: dict[str, Any]


class _Threads(dict[str, int]):
    """Numbers of the threads of a process, in the order of their first event.

    No two threads of a trace have the same number, nor a thread that of a process: viewers take such a thread for the
    main one, and threads for each other's.
    """

    def __init__(self, first: int) -> None:
        super().__init__()
        self._first = first

    def number(self, name: str) -> int:
        """Number of a thread, a new one for a new name."""
        return self.setdefault(name, self._first + len(self))


def trace_document(result: Result) -> dict[str, Any]:
    """The trace as one JSON document, its events in the order of time.

    Incidents with their phases, work of each person, versions in service and all other events, alarms of each monitor.
    The key otherData says how long a second in the viewer is, and what made the run.
    """
    pace = max(1, math.ceil(result.scenario.horizon / LONGEST))
    found: list[dict[str, Any]] = []
    names: list[dict[str, Any]] = []
    next_id = len(PROCESSES) + 1
    content: tuple[tuple[list[Slice], list[Instant]], ...] = (
        ([_incident_slice(result, i) for i in result.raw_incidents], _instants(result, _OF_INCIDENTS)),
        (_work(result), _instants(result, _OF_PEOPLE, "on call")),
        (_versions(result), _instants(result, _other_kinds(result))),
        ([], _alarms(result) + _instants(result, _OF_MONITORS, "pager")),
    )
    for number, (name, (slices, instants)) in enumerate(zip(PROCESSES, content, strict=True), start=1):
        threads = _Threads(next_id)
        events = _process(number, slices, instants, threads, pace)
        if events:
            names += _names(number, name, threads)
            next_id += len(threads)
            found += events
    # Of slices that begin together the longer one comes first, so that viewers put the shorter within it.
    found.sort(key=lambda event: (event["ts"], -event.get("dur", 0)))
    return {
        "traceEvents": names + found,
        "displayTimeUnit": "ms",
        "otherData": {
            "time": "one second in the viewer is "
            + ("one simulated second" if pace == 1 else f"{pace} simulated seconds")
            + "; the trace begins on a Monday at midnight",
            "horizon_days": result.scenario.horizon,
            "currency": result.scenario.currency,
            **result.provenance,
        },
    }


def save_trace(result: Result, path: str | Path) -> Path:
    """Write the trace, whole or not at all, to a file whose name ends in .json; its folder is made if need be.

    Returns the path. Raises ValueError for a name that ends otherwise or is a folder's, OSError where it cannot be
    written.
    """
    target = trace_path(path)
    content = json.dumps(trace_document(result), allow_nan=False) + "\n"
    try:
        write_durably(target, content.encode())
    except OSError as error:  # it names the unfinished file, which nobody asked for
        raise OSError(error.errno, error.strerror, str(target)) from None
    return target


def trace_path(path: str | Path) -> Path:
    """The path of a trace, with its folder made: a wrong one is noticed before the work. Raises as `save_trace`."""
    target = Path(path)
    if target.is_dir():
        raise ValueError(
            f"--trace-out {target}: is a folder, expected a file such as {target / 'trace.json'}"
        )
    if target.suffix.lower() != ".json":
        raise ValueError(f"--trace-out {target}: expected a name that ends in .json, such as trace.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _incident_slice(result: Result, incident: Incident) -> Slice:
    failure = incident.failure.name
    details = {
        "severity": incident.severity,
        "detected": discovery(incident),
        "ended": outcome(incident, result.scenario.horizon),
        "loss": incident.loss,
        **{
            f"{step}_days": moment
            for step in ("detected", "paged", "acknowledged", "mitigated", "resolved")
            if (moment := getattr(incident, step)) is not None
        },
    }
    name = f"{failure} {incident.severity}".rstrip()
    return Slice(failure, name, incident.onset.time, last_moment(incident), details, phases_of(incident))


def _work(result: Result) -> list[Slice]:
    return [
        Slice(work.person, work.task, work.start, work.end, {"role": work.role, "failure": work.failure})
        for work in result.work
    ]


def _versions(result: Result) -> list[Slice]:
    """Which version served, from the start to the horizon."""
    ends = [*(champion.since for champion in result.champions[1:]), result.scenario.horizon]
    return [
        Slice("in service", f"version {champion.version.number}", champion.since, end, {})
        for champion, end in zip(result.champions, ends, strict=True)
    ]


def _instants(result: Result, kinds: Collection[str], thread: str = "") -> list[Instant]:
    """Events of some kinds, on one thread, or else on that of their incident or of their kind."""
    return [
        Instant(
            thread or (event.subject if event.kind in _OF_INCIDENTS else event.kind),
            f"{event.kind}: {event.subject}",
            event.time,
            {"details": event.details},
        )
        for event in result.raw_events
        if event.kind in kinds
    ]


def _other_kinds(result: Result) -> set[str]:
    return {event.kind for event in result.raw_events} - _TOLD - _OF_MONITORS - _OF_PEOPLE - _OF_INCIDENTS


def _alarms(result: Result) -> list[Instant]:
    """Alarms of each monitor."""
    return [
        Instant(
            alarm.monitor, "true alarm" if alarm.true else "false alarm", alarm.time,
            {"score": _finite(alarm.score), "threshold": _finite(alarm.threshold)},
        )
        for alarm in result.alarms
    ]  # fmt: skip


def _process(
    number: int, slices: Iterable[Slice], instants: Iterable[Instant], threads: _Threads, pace: int
) -> list[dict[str, Any]]:
    """Events of one process; threads: filled with the number of each thread, in the order of their first event."""
    found: list[dict[str, Any]] = []
    busy: dict[str, int] = {}
    for part in sorted(slices, key=lambda s: (s.start, -s.end)):
        thread = _free_thread(part.thread, _micro(part.start, pace), busy)
        busy[thread] = _micro(part.end, pace)
        place = {"pid": number, "tid": threads.number(thread)}
        found.append(_complete(part.name, part.start, part.end, pace) | place | {"args": part.details})
        found += [_complete(*inner, pace) | place | {"args": {}} for inner in part.parts]
    for instant in instants:
        tid = threads.number(instant.thread)
        found.append(
            {
                "name": instant.name, "cat": instant.thread, "ph": "i", "s": "t", "ts": _micro(instant.time, pace),
                "pid": number, "tid": tid, "args": instant.details,
            }
        )  # fmt: skip
    return found


def _free_thread(name: str, start: int, busy: dict[str, int]) -> str:
    """The first of `name`, `name (2)`, ... on which nothing lasts longer than to `start`."""
    number, thread = 1, name
    while busy.get(thread, start) > start:
        number += 1
        thread = f"{name} ({number})"
    return thread


def _complete(name: str, start: float, end: float, pace: int) -> dict[str, Any]:
    # Both ends are rounded, not the length: neighbours touch and parts end with the whole.
    first, last = _micro(start, pace), _micro(end, pace)
    return {"name": name, "cat": "time", "ph": "X", "ts": first, "dur": max(last - first, 0)}


def _names(number: int, name: str, threads: _Threads) -> list[dict[str, Any]]:
    """Metadata that name a process and its threads, and keep both in their order."""
    said: list[tuple[str, int, dict[str, Any]]] = [
        ("process_name", 0, {"name": name}),
        ("process_sort_index", 0, {"sort_index": number}),
    ]
    for thread, tid in threads.items():
        said += [("thread_name", tid, {"name": thread}), ("thread_sort_index", tid, {"sort_index": tid})]
    return [
        {"name": kind, "cat": "__metadata", "ph": "M", "ts": 0, "pid": number, "tid": tid, "args": args}
        for kind, tid, args in said
    ]


def _micro(days: float, pace: int) -> int:
    return round(days * MICROSECONDS / pace)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
