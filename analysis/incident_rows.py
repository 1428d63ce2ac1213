"""Rows of the picture of a bad week: incidents by phase, alarms, people at work, and what changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from analysis import incident_phases as phases
from analysis.bad_week import overlapping
from analysis.incident_phases import brief, discovery, last_moment, outcome, phases_of
from analysis.plot_styles import GREY, INK, counted
from analysis.text_rows import AIR, Line, width_of
from scenarios.units import HOURS_PER_DAY, format_money
from sim.incidents import Incident
from sim.record import Event, Result
from sim.work import Work

COLOURS = {
    phases.SILENT: "#D55E00",
    phases.WAITING: "#E69F00",
    phases.MITIGATING: "#56B4E9",
    phases.MITIGATED: "#009E73",
}
"""Okabe and Ito's; all of them are light enough for dark words."""
WORK = "#A9CCE3"
MOST_INCIDENTS, MOST_OTHERS = 7, 5
"""Rows that are drawn of each sort."""
MANY = 40
"""More alarms of a monitor than this are drawn thin."""
SMALL = 7.5
"""Points of the words in bars and beside marks."""
_INCIDENT, _WORKER, _MONITOR, _CHANGE, _WORDS = 0.42, 0.33, 0.21, 0.19, 0.2
_APART = 0.01
"""Share of the time shown that may lie between two tasks of one stretch of work."""
_TOLD_ELSEWHERE = frozenset(
    (
        "alarm", "false alarm", "incident", "repair", "merged", "page", "page ignored", "nothing found", "severity",
        "acknowledged", "escalation", "cause found", "handoff", "gone",
    )
)  # fmt: skip
"""Kinds of events that are no changes of the system."""
_IN_WORDS = {
    "deployment": "{subject} live",
    "retraining started": "retraining starts",
    "snooze": "{subject} silenced",
    "rollback": "rolled back to {subject}",
    "mitigation": "{details}",
    "false trip": "false trip of the circuit breaker",
    "canary step": "canary {first}",
    "deployment stopped": "{subject} stopped ({first})",
    "experiment ended": "{subject}: {first} ended",
}
"""What to say of an event; first: its details up to a colon. Other kinds are told by their own name and subject."""
_ROUTINE = frozenset(("retraining started", "retry", "superseded", "snooze"))
"""Kinds of events that are the first to lose their words where there is no room."""
_MARKS = {"deployment": "^", "rollback": "v", "retraining started": "o"}


class Row(NamedTuple):
    """One row of the picture."""

    label: str
    inches: float
    draw: Callable[[float], None]
    """Draws it, given its upper edge."""


class Section(NamedTuple):
    """Rows that answer one question."""

    title: str
    key: Sequence[tuple[str, str, str]]
    """What its marks mean: marker ('s' a patch of colour), colour of its face, words."""
    rows: list[Row]


@dataclass(frozen=True)
class Frame:
    """The time shown, and axes whose unit of height is an inch."""

    ax: Axes
    result: Result
    start: float
    stop: float
    inches: float
    """Width of the axes."""

    def line(self, y: float) -> Line:
        """A line for words at a height."""
        return Line(self.ax, y, self.start, self.stop, self.inches)

    def within(self, time: float) -> bool:
        """Whether a moment is shown."""
        return self.start <= time <= self.stop

    def bar(self, begin: float, end: float, y: float, height: float, colour: str, name: str) -> None:
        """A bar in the middle of a line, as much of it as is shown."""
        low, high = max(begin, self.start), min(end, self.stop)
        self.ax.add_patch(
            Rectangle(
                (low, y - 0.5 * height), high - low, height, facecolor=colour, edgecolor="white", lw=0.5,
                zorder=3, gid=name,
            )
        )  # fmt: skip

    def mark(self, times: Sequence[float], y: float, marker: str, face: str, size: float, name: str) -> None:
        """The same mark at each of some moments."""
        self.ax.plot(
            times, np.full(len(times), y), ls="", marker=marker, ms=size, mfc=face, mec=INK, mew=0.8,
            zorder=4, clip_on=False, gid=name,
        )  # fmt: skip


def sections(frame: Frame) -> list[Section]:
    """What broke, who saw it, who worked on it, and what changed, as far as there is something to tell."""
    found = [_broken(frame), _seen(frame), _worked(frame), _changed(frame)]
    return [section for section in found if section.rows]


def _broken(frame: Frame) -> Section:
    told = list(overlapping(frame.result, frame.start, frame.stop))
    dearest = sorted(told, key=lambda incident: -incident.loss)[:MOST_INCIDENTS]
    rows = [Row(i.failure.name, _INCIDENT, partial(_draw_incident, frame, i)) for i in told if i in dearest]
    others = [incident for incident in told if incident not in dearest]
    if others:
        lost = format_money(sum(i.loss for i in others), frame.result.scenario.currency)
        rows.append(_words(frame, f"and {counted(len(others), 'incident')} more, which lost {lost} together"))
    if not told:
        rows.append(_words(frame, "nothing broke in this time"))
    seen = {phase.name for incident in told for phase in phases_of(incident)}
    key = [("s", COLOURS[name], words) for name, words in phases.PHASES.items() if name in seen]
    return Section("What broke", key, rows)


def _draw_incident(frame: Frame, incident: Incident, top: float) -> None:
    """Its story in words, and a bar with a part for each phase."""
    bar, words = frame.line(top + 0.28), frame.line(top + 0.09)
    told: dict[str, str] = {}
    for phase in phases_of(incident):
        low, high = max(phase.start, frame.start), min(phase.end, frame.stop)
        if high > low:
            frame.bar(low, high, bar.y, 0.2, COLOURS[phase.name], f"incident: {phase.name}")
        if not (high > low and bar.write_inside(phase.words, low, high, SMALL)):
            told[phase.name] = phase.words
    began, over = incident.onset.time, last_moment(incident)
    if began < frame.start:
        frame.mark([frame.start], bar.y, "<", "white", 5.0, "began before")
    else:
        frame.ax.vlines(began, bar.y - 0.13, bar.y + 0.13, colors=INK, lw=1.4, zorder=4, gid="onset")
    if over > frame.stop:
        frame.mark([frame.stop], bar.y, ">", "white", 5.0, "goes on")
    words.write_from(_story(frame, incident, told), max(began, frame.start), 8.0)


def _story(frame: Frame, incident: Incident, told: dict[str, str]) -> str:
    """What the bar cannot say."""
    horizon, currency = frame.result.scenario.horizon, frame.result.scenario.currency
    before = frame.start - incident.onset.time
    why = next(
        (
            event.details
            for event in frame.result.raw_events
            if (event.kind, event.subject, event.time)
            == ("incident", incident.failure.name, incident.onset.time)
        ),
        "",
    )
    parts = [
        incident.severity,
        f"by {why}" if why else "",
        _lost(incident, currency),
        f"began {brief(before)} before" if before > 0.0 else "",
        told.get(phases.SILENT, ""),
        discovery(incident),
        *(told.get(name, "") for name in (phases.WAITING, phases.MITIGATING, phases.MITIGATED)),
        outcome(incident, horizon),
    ]
    return " · ".join(part for part in parts if part)


def _lost(incident: Incident, currency: str) -> str:
    if incident.loss:
        return f"lost {format_money(incident.loss, currency)}"
    learned = incident.failure.harms == "training"
    return "models learn it: its loss is staleness" if learned else "lost nothing more"


def _seen(frame: Frame) -> Section:
    """Alarms of each monitor, those that found something first, and what the pager did with them."""
    heard = [alarm for alarm in frame.result.alarms if frame.within(alarm.time)]
    finders = {incident.by for incident in overlapping(frame.result, frame.start, frame.stop)}
    ranked = sorted(heard, key=lambda a: (a.monitor not in finders, not a.true, a.time))
    names = list(dict.fromkeys(alarm.monitor for alarm in ranked))
    rows = [Row(name, _MONITOR, partial(_draw_alarms, frame, name)) for name in names[:MOST_OTHERS]]
    rest = [alarm for alarm in heard if alarm.monitor in names[MOST_OTHERS:]]
    if rest:
        others = f"{counted(len(names) - MOST_OTHERS, 'monitor')} more, with {counted(len(rest), 'alarm')}"
        rows.append(_words(frame, f"and {others}" + ("" if any(a.true for a in rest) else ", all false")))
    if not names:
        rows.append(_words(frame, "no monitor called in this time"))
    key = [
        ("v", face, words)
        for true, face, words in ((True, INK, "true alarm"), (False, "white", "false alarm"))
        if any(bool(alarm.true) == true for alarm in heard)
    ]
    calls = {kind: _times(frame, kind) for kind in ("page", "page ignored")}
    if any(calls.values()):
        rows.append(Row("pager", _MONITOR, partial(_draw_pages, frame, calls)))
        key += [("s", INK, "somebody is paged")] if calls["page"] else []
        key += [("s", "white", "page ignored")] if calls["page ignored"] else []
    return Section("Who saw it", key, rows)


def _draw_alarms(frame: Frame, monitor: str, top: float) -> None:
    for true, face in ((False, "white"), (True, INK)):
        times = [
            a.time for a in frame.result.alarms
            if a.monitor == monitor and bool(a.true) == true and frame.within(a.time)
        ]  # fmt: skip
        few = len(times) <= MANY
        if times:
            name = "true alarms" if true else "false alarms"
            frame.mark(times, top + 0.5 * _MONITOR, "v" if few else "|", face, 5.0, name)


def _draw_pages(frame: Frame, calls: dict[str, list[float]], top: float) -> None:
    for kind, face in (("page ignored", "white"), ("page", INK)):
        if calls[kind]:
            frame.mark(calls[kind], top + 0.5 * _MONITOR, "s", face, 3.8, kind)


def _worked(frame: Frame) -> Section:
    done = [w for w in frame.result.work if w.end > frame.start and w.start < frame.stop]
    hours: dict[str, float] = {}
    for work in sorted(done, key=lambda w: (w.start, w.end)):
        part = min(work.end, frame.stop) - max(work.start, frame.start)
        hours[work.person] = hours.get(work.person, 0.0) + HOURS_PER_DAY * part
    busiest = sorted(hours, key=lambda person: -hours[person])[:MOST_OTHERS]
    rows = [
        Row(
            f"{person} ({_hours(hours[person])})", _WORKER,
            partial(_draw_work, frame, [w for w in done if w.person == person]),
        )
        for person in sorted(busiest, key=list(hours).index)
    ]  # fmt: skip
    if len(hours) > MOST_OTHERS:
        rest = sum(hours.values()) - sum(hours[person] for person in busiest)
        rows.append(_words(frame, f"and {len(hours) - MOST_OTHERS} more, for {_hours(rest)}"))
    return Section("Who worked", (), rows)


def _draw_work(frame: Frame, done: Sequence[Work], top: float) -> None:
    """Bars of what one person did; what is too short for its words is told together with what it belongs to."""
    bars, above = frame.line(top + 0.23), frame.line(top + 0.07)
    stretches = _stretches(sorted(done, key=lambda w: (w.start, w.end)), _APART * (frame.stop - frame.start))
    several = len({(w.failure, w.onset) for w in done if w.failure}) > 1
    for work in done:
        frame.bar(work.start, work.end, bars.y, 0.18, WORK, "work")
        bars.take(bars.place(work.start), bars.place(work.end))
    for parts in stretches:
        begin, end = max(parts[0].start, frame.start), min(max(w.end for w in parts), frame.stop)
        of = f" ({parts[0].failure})" if several and parts[0].failure else ""
        fits = all(
            bars.place(w.end) - bars.place(w.start) >= width_of(w.task, SMALL) + 2 * AIR for w in parts
        )
        if fits and (len(parts) > 1 or not of):
            for work in parts:
                bars.write_inside(work.task, max(work.start, frame.start), min(work.end, frame.stop), SMALL)
            continue
        for text in (_tasks(parts) + of, _tasks(parts, briefly=True) + of, parts[0].failure or parts[0].task):
            if (
                bars.write_inside(text, begin, end, SMALL)
                or bars.write_beside(text, begin, end, SMALL)
                or above.write_beside(text, begin, begin, SMALL)
            ):
                break


def _stretches(done: Iterable[Work], apart: float) -> list[list[Work]]:
    """Work on one incident with no more than so many days between two tasks."""
    found: list[list[Work]] = []
    for work in done:
        last = found[-1][-1] if found else None
        same = last is not None and (last.failure, str(last.onset)) == (work.failure, str(work.onset))
        if last is not None and same and work.start - last.end <= apart:
            found[-1].append(work)
        else:
            found.append([work])
    return found


def _tasks(parts: Sequence[Work], briefly: bool = False) -> str:
    """Tasks in the order in which they were begun, each sort once; briefly: without what follows their colon.

    >>> steps = ["triage: data", "triage: skew", "repair", "repair"]
    >>> done = [Work("ml 1", "ml", step, float(n), n + 1.0) for n, step in enumerate(steps)]
    >>> _tasks(done), _tasks(done, briefly=True)
    ('triage: data, skew; repair', 'triage; repair')
    """
    sorts: dict[str, dict[str, None]] = {}
    for work in parts:
        sort, _, detail = work.task.partition(": ")
        sorts.setdefault(sort, {})
        if detail and not briefly:
            sorts[sort][detail] = None
    return "; ".join(f"{sort}: {', '.join(details)}" if details else sort for sort, details in sorts.items())


def _hours(hours: float) -> str:
    """Working time, to two digits or to the hour."""
    return f"{hours:.0f} h" if hours >= 10.0 else brief(hours / HOURS_PER_DAY)


def _changed(frame: Frame) -> Section:
    """Marks with short labels, in as many lines as they need up to three; labels that do not fit are left out."""
    events = [
        event for event in frame.result.raw_events
        if frame.within(event.time) and event.kind not in _TOLD_ELSEWHERE
    ]  # fmt: skip
    lines = [frame.line(0.0) for _ in range(3)]
    placed: list[list[Event]] = [[], [], []]
    bare: list[Event] = []
    for event in sorted(events, key=lambda e: (e.kind in _ROUTINE, e.time)):
        width = width_of(_change(event), SMALL) + 3 * AIR
        for line, here in zip(lines, placed, strict=True):
            place = line.place(event.time)
            to_the_right = place + width <= frame.inches
            low = max(place - AIR if to_the_right else place + AIR - width, 0.0)
            high = min(low + width, frame.inches)
            if line.free(low, high):
                line.take(low, high)
                here.append(event)
                break
        else:
            bare.append(event)
    used = [here for here in placed if here]
    rows = [Row("", _CHANGE, partial(_draw_changes, frame, here)) for here in used]
    if bare:
        kinds = ", ".join(dict.fromkeys(event.kind for event in bare))
        rows.append(_words(frame, f"and {counted(len(bare), 'event')} more: {kinds}"))
    return Section("What changed", (), rows)


def _draw_changes(frame: Frame, events: Sequence[Event], top: float) -> None:
    line = frame.line(top + 0.5 * _CHANGE)
    for event in events:
        place = line.place(event.time)
        line.take(place - AIR, place + AIR)
        frame.mark([event.time], line.y, _MARKS.get(event.kind, "d"), "white", 4.5, event.kind)
    for event in events:
        place = line.place(event.time)
        line.write_beside(_change(event), line.days(place - AIR), line.days(place + AIR), SMALL)


def _change(event: Event) -> str:
    """A change in a few words.

    >>> _change(Event(1.0, "deployment", "version 3", "")), _change(Event(1.0, "retry", "training", "attempt 2"))
    ('version 3 live', 'retry: training')
    """
    if event.kind in _IN_WORDS:
        first = event.details.partition(":")[0] or event.subject
        return _IN_WORDS[event.kind].format(subject=event.subject, details=event.details, first=first)
    return f"{event.kind}: {event.subject}" if event.subject else event.kind


def _times(frame: Frame, kind: str) -> list[float]:
    return [e.time for e in frame.result.raw_events if e.kind == kind and frame.within(e.time)]


def _words(frame: Frame, text: str) -> Row:
    """A row of words only."""
    return Row(
        "", _WORDS, lambda y: frame.line(y + 0.5 * _WORDS).write_from(text, frame.start, 8.0, color=GREY)
    )
