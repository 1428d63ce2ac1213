"""Response: what people do when a monitor calls.

    alarm -> page, or part of an open page -> acted on, or ignored by tired people -> triage -> repair, or nothing found

Luck is tied to the moment of a page and to the onset of an incident, so that plans which page at the same moment of the
same world are equally lucky. Source: chapter, 'On-Call Practices for ML Systems'.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import simpy

from scenarios.response import Response
from sim.durations import draw
from sim.incidents import Incident

if TYPE_CHECKING:
    from sim.engine import Run
    from sim.watch import Alarm, Watch

Process = Generator[simpy.Event, Any, None]


@dataclass
class Page:
    """One call for people, with all the alarms that joined it."""

    time: float
    """Days."""
    alarms: list[tuple[str, bool]]
    """Monitors that called or joined, each with whether its alarm was true."""
    causes: list[Incident]
    """Incidents that its alarms could see."""
    certain: bool = False
    """Whether it comes from the perfect monitor, which nobody ignores."""
    acted: bool = False
    closed: bool = False
    """Triage is over."""

    @property
    def monitors(self) -> list[str]:
        """Names of the monitors, as they called."""
        return [monitor for monitor, _ in self.alarms]

    @property
    def true(self) -> bool:
        """Whether any of its alarms was."""
        return any(true for _, true in self.alarms)


@dataclass
class Responders:
    """The people of one run, what they remember and what they did."""

    run: Run
    response: Response
    pages: list[Page] = field(default_factory=list)
    remembered: deque[bool] = field(default_factory=deque)
    """Of the newest pages, whether people saw that they were false; what they ignored they do not know to be."""
    false_in_a_row: Counter[str] = field(default_factory=Counter)
    snoozes: int = 0

    def __post_init__(self) -> None:
        self.remembered = deque(maxlen=self.response.fatigue.memory)

    def hear(self, alarm: Alarm, watch: Watch, causes: list[Incident]) -> None:
        """A monitor called; causes: the active incidents that it can see."""
        new = [incident for incident in causes if incident.acknowledged is None]
        if causes and not new:
            return  # it tells of what is being repaired
        certain = watch.monitor.metric == "truth"
        page = None if certain else self._open_page()
        if page is not None:
            page.alarms.append((watch.label, alarm.true))
            page.causes += [incident for incident in new if incident not in page.causes]
            for incident in new if page.acted else ():
                incident.paged = incident.acknowledged = self.run.now
            return
        page = Page(self.run.now, [(watch.label, alarm.true)], new, certain)
        self.pages.append(page)
        self.run.env.process(self._answer(page))

    @property
    def chance_to_act(self) -> float:
        """Chance that the next page is acted on: it falls with the share of false ones among those remembered."""
        share = sum(self.remembered) / self.response.fatigue.memory
        return 1.0 - self.response.fatigue.strength * share

    def _open_page(self) -> Page | None:
        """The page that an alarm joins now."""
        last = self.pages[-1] if self.pages else None
        if last is None or last.closed or self.run.now - last.time >= self.response.consolidation:
            return None
        return last

    def _answer(self, page: Page) -> Process:
        run = self.run
        luck = run.world.stream_at("page", page.time)
        heeded = luck.random() < self.chance_to_act
        page.acted = heeded or page.certain
        if not page.acted:
            self.remembered.append(False)
            run.record("page ignored", ", ".join(page.monitors), "")
            return
        run.record("page", ", ".join(page.monitors), "")
        for incident in page.causes:
            incident.paged = incident.acknowledged = run.now
        duration = draw(self.response.triage, luck.random)
        yield run.env.timeout(duration)
        page.closed = True
        self._pay(duration)
        self.remembered.append(not page.true)
        if page.true:
            for monitor in page.monitors:
                self.false_in_a_row[monitor] = 0
            for incident in page.causes:
                run.env.process(self._repair(incident))
        else:
            run.record("nothing found", ", ".join(page.monitors), "")
            self._snooze(page)

    def _repair(self, incident: Incident) -> Process:
        run, failure = self.run, incident.failure
        luck = run.world.stream_at(f"repair:{failure.name}", incident.onset.time)
        yield run.env.timeout(draw(failure.repair or self.response.repair, luck.random))
        if incident.end <= run.now:
            return  # it healed before
        run.incidents.repair(incident, run.now)
        run.record("repair", failure.name, "")
        run.plane.repaired(incident, run.now)

    def _snooze(self, page: Page) -> None:
        """Silence monitors that were wrong too often in a row."""
        snooze = self.response.snooze
        for label in dict.fromkeys(page.monitors):
            self.false_in_a_row[label] += 1
            if snooze is None or self.false_in_a_row[label] < snooze.after:
                continue
            self.false_in_a_row[label] = 0
            self.snoozes += 1
            self._pay(snooze.ticket)
            self.run.record("snooze", label, "")
            until = math.ceil((self.run.now + snooze.duration) / self.run.scenario.window - 1e-9) - 1
            self.run.plane.silence(label, until)

    def _pay(self, days: float) -> None:
        self.run.ledger.post("on_call", days * self.response.hourly_cost)
