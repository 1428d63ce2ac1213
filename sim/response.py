"""Response: what people do when a monitor calls.

    alarm -> page, or part of an open page -> acted on, or ignored by tired people -> triage -> repair, or nothing found

What happens between being acted on and the repair is one step at any hour here, and that of `sim.on_call` where the
scenario has a rotation.

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
from sim.on_call import Rotation

if TYPE_CHECKING:
    from sim.engine import Run
    from sim.watch import Alarm, Watch

Process = Generator[simpy.Event, Any, None]
_TIME_SLACK = 1e-9


@dataclass(eq=False)
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
    severity: str = ""
    """P0 to P3 as people measured it; empty without a rotation."""
    due: float = math.inf
    """Days; an acknowledgement after this misses its target."""
    acknowledged: float | None = None
    """Somebody was at the keyboard; None without a rotation."""
    worse: simpy.Event | None = field(default=None, repr=False)
    """Succeeds when it is judged again, and worse, while it waits."""

    def missed(self, horizon: float) -> bool:
        """Whether it was taken up, or had to be by the horizon (days), later than its response target."""
        return (horizon if self.acknowledged is None else self.acknowledged) > self.due + _TIME_SLACK

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
        plan = self.response.on_call
        self.rotation = None if plan is None else Rotation(self, plan)

    def hear(self, alarm: Alarm, watch: Watch, causes: list[Incident]) -> None:
        """A monitor called; causes: the active incidents that it can see."""
        rotation = self.rotation
        if rotation is None:
            new = [incident for incident in causes if incident.acknowledged is None]
        else:
            rotation.heard(alarm, causes)
            new = [incident for incident in causes if not rotation.knows(incident)]
        if causes and not new:  # it tells of what is being repaired
            if rotation is not None:
                rotation.remind(causes)
            return
        certain = watch.monitor.metric == "truth"
        page = None if certain else self._open_page()
        if page is not None:
            page.alarms.append((watch.label, alarm.true))
            page.causes += [incident for incident in new if incident not in page.causes]
            if page.acted:
                self._joined(page, new)
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

    def _joined(self, page: Page, new: list[Incident]) -> None:
        """Incidents of an alarm that joined a page which is acted on."""
        if self.rotation is not None:
            self.rotation.join(page, new)
            return
        for incident in new:
            incident.paged = incident.acknowledged = self.run.now

    def _answer(self, page: Page) -> Process:
        run = self.run
        luck = run.world.stream_at("page", page.time)
        heeded = luck.random() < self.chance_to_act
        page.acted = heeded or page.certain
        if not page.acted:
            self.remembered.append(False)
            run.record("page ignored", ", ".join(page.monitors), "")
            return
        if self.rotation is not None:
            yield from self.rotation.answer(page)
            return
        run.record("page", ", ".join(page.monitors), "")
        for incident in page.causes:
            incident.paged = incident.acknowledged = run.now
        duration = draw(self.response.triage, luck.random)
        yield run.env.timeout(duration)
        page.closed = True
        self.pay(duration)
        for ticket in self.learn_from(page):
            self.pay(ticket)
        for incident in page.causes if page.true else ():
            run.env.process(self._repair(incident))

    def learn_from(self, page: Page) -> list[float]:
        """Remember what a page was; working times (days) of the tickets of the monitors that are silenced for it."""
        self.remembered.append(not page.true)
        if page.true:
            for monitor in page.monitors:
                self.false_in_a_row[monitor] = 0
            return []
        self.run.record("nothing found", ", ".join(page.monitors), "")
        return self._snooze(page)

    def repair_time(self, incident: Incident) -> float:
        """How long the repair of an incident takes once its cause is known, days."""
        luck = self.run.world.stream_at(f"repair:{incident.failure.name}", incident.onset.time)
        return draw(incident.failure.repair or self.response.repair, luck.random)

    def repaired(self, incident: Incident) -> None:
        """The repair of an incident is done; nothing where it has ended before."""
        run = self.run
        if incident.end <= run.now:
            return
        run.incidents.repair(incident, run.now)
        lasts = incident.end > run.now  # on devices
        run.record(
            "repair", incident.failure.name, "devices have it until they run another release" if lasts else ""
        )
        run.plane.repaired(incident, run.now)

    def pay(self, days: float) -> None:
        """Post the price of working time."""
        self.run.ledger.post("on_call", days * self.response.hourly_cost)

    def _repair(self, incident: Incident) -> Process:
        yield self.run.env.timeout(self.repair_time(incident))
        self.repaired(incident)

    def _snooze(self, page: Page) -> list[float]:
        """Silence monitors that were wrong too often in a row; working time of the ticket of each."""
        snooze, tickets = self.response.snooze, []
        for label in dict.fromkeys(page.monitors):
            self.false_in_a_row[label] += 1
            if snooze is None or self.false_in_a_row[label] < snooze.after:
                continue
            self.false_in_a_row[label] = 0
            self.snoozes += 1
            tickets.append(snooze.ticket)
            self.run.record("snooze", label, "")
            until = math.ceil((self.run.now + snooze.duration) / self.run.scenario.window - 1e-9) - 1
            self.run.plane.silence(label, until)
        return tickets
