"""On call: from a page to its acknowledgement, the cause, and the end of the incident.

    page -> severity -> somebody of tier 1 -> (P0, P1: mitigation) -> triage, with the data on-call in parallel,
    and by higher tiers where it finds nothing -> mitigation -> repair, by who found the cause

All luck is tied to the moment of the page or to the onset of the incident. Source: chapter, 'Incident Response for ML
Systems', 'On-Call Practices for ML Systems'.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import simpy

from scenarios.on_call import SEVERITIES, OnCall
from sim.durations import draw
from sim.incidents import Incident
from sim.mitigation import Mitigations
from sim.policies import Decision
from sim.severity import measured_severity
from sim.staff import Crew, Seat
from sim.triage import Look, branch_of, walk

if TYPE_CHECKING:
    from sim.response import Page, Responders
    from sim.watch import Alarm

Process = Generator[simpy.Event, Any, None]
BLIND = ("P0", "P1")
"""Severities that are mitigated before their cause is known."""
LADDER = ("ml", "senior", "lead")
"""Tiers 1 to 3."""


class Rotation:
    """The people on call of one run."""

    def __init__(self, people: Responders, plan: OnCall) -> None:
        self.people, self.run, self.plan = people, people.run, plan
        numbers = plan.staff.model_dump()
        self.crews = {
            role: Crew(self.run, plan, role, number, people.pay)
            for role, number in numbers.items()
            if number > 0
        }
        self.tiers = [role for role in LADDER if role in self.crews]
        self.mitigations = Mitigations(self.run, plan)
        self._page_of: dict[Incident, Page] = {}

    def heard(self, alarm: Alarm, causes: Sequence[Incident]) -> None:
        """An alarm, before anybody is paged: the circuit breaker may listen to it."""
        breaker = self.plan.circuit_breaker
        if breaker is not None and alarm.monitor in breaker.monitors:
            self.mitigations.trip(alarm.monitor, causes, alarm.true)

    def knows(self, incident: Incident) -> bool:
        """Whether it is on a page that somebody will take up or has taken up."""
        return incident in self._page_of

    def remind(self, causes: Sequence[Incident]) -> None:
        """Another alarm for what people know: pages that still wait are judged again, and can only get worse."""
        for page in dict.fromkeys(self._page_of[incident] for incident in causes):
            self._judge(page)

    def join(self, page: Page, causes: Sequence[Incident]) -> None:
        """Incidents of an alarm that joins a page."""
        self._put(page, causes)
        self._judge(page)

    def _put(self, page: Page, causes: Sequence[Incident]) -> None:
        """Incidents are on a page from now on."""
        for incident in causes:
            self._page_of[incident] = page
            incident.paged = self.run.now if incident.paged is None else incident.paged
            incident.severity = page.severity
            if page.acknowledged is not None:
                self.run.incidents.acknowledge(incident, self.run.now)

    def answer(self, page: Page) -> Process:
        """What comes of a page that is not ignored."""
        self._judge(page)
        self.run.record("page", ", ".join(page.monitors), page.severity)
        self._put(page, page.causes)
        seat = yield from self._reached(page)
        self._acknowledge(page, seat)
        if all(self.mitigations.over(incident) for incident in page.causes):
            yield from self._triage(None, page.time, seat, 0, 0)
        number = 0
        while number < len(page.causes):
            yield from self._handle(page, page.causes[number], seat)
            number += 1
        for ticket in self._closed(page):
            yield from seat.work("ticket", ticket / seat.pace)
        seat.leave()

    def _judge(self, page: Page) -> None:
        """Measure the severity of a page that waits; it never gets milder."""
        if page.acknowledged is not None:
            return
        found = measured_severity(self.run, self.plan)
        if page.severity and SEVERITIES.index(found) >= SEVERITIES.index(page.severity):
            return
        if page.severity:
            self.run.record("severity", ", ".join(page.monitors), f"{page.severity} to {found}")
        page.severity = found
        page.due = min(page.due, self.run.now + getattr(self.plan.targets, found))
        for incident in page.causes:
            incident.severity = found
        if page.worse is not None and not page.worse.triggered:
            page.worse.succeed()

    def _reached(self, page: Page) -> Generator[simpy.Event, Any, Seat]:
        """Wait until somebody of tier 1 is at the keyboard; a page that gets worse calls again, which delays nobody."""
        env, hours = self.run.env, self.plan.hours
        luck = self.run.world.stream_at("acknowledge", page.time)
        awake, longer = (draw(law, luck.random) for law in (self.plan.acknowledge, self.plan.asleep))
        heard, due = False, math.inf
        while True:
            page.worse = env.event()
            now = self.run.now
            if not heard:
                hears = now if self.plan.works_at_night(page.severity) else hours.next_open(now)
                delay = awake if hours.open_at(hears) else awake + longer
                due = min(due, hears + delay)  # who is on the way already comes no later
                yield env.timeout(max(due - now, 0.0)) | page.worse
                heard = not page.worse.triggered
            if heard:
                seat = self._seat("ml", page.severity)
                if (yield from seat.take(until=page.worse)):
                    return seat

    def _acknowledge(self, page: Page, seat: Seat) -> None:
        page.acknowledged = self.run.now
        self.run.record("acknowledged", ", ".join(page.monitors), f"{seat.person}, {page.severity}")
        for incident in page.causes:
            self.run.incidents.acknowledge(incident, self.run.now)

    def _handle(self, page: Page, incident: Incident, seat: Seat) -> Process:
        """One incident of a page, by tier 1; what it does not find goes to a higher tier, and it goes on."""
        if self.mitigations.over(incident):
            return
        if incident.severity in BLIND:
            yield from self.mitigations.by_person(incident, seat)
        finder = yield from self._triage(incident, incident.onset.time, seat, 0, 0)
        if incident is page.causes[-1]:
            self._closed(page)
        if finder is seat:
            yield from self._fix(incident, seat)
        elif finder is not None:
            self.run.env.process(self._fix_and_leave(incident, finder))
        elif not self.mitigations.over(incident):
            self.run.env.process(self._escalate(incident))

    def _closed(self, page: Page) -> list[float]:
        """Nobody looks for causes of a page any more: people remember what it was, once; tickets that this makes."""
        if page.closed:
            return []
        page.closed = True
        return self.people.learn_from(page)

    def _triage(
        self, incident: Incident | None, moment: float, seat: Seat, tier: int, again: int
    ) -> Generator[simpy.Event, Any, Seat | None]:
        """One walk over the tree, the data on-call at the first question meanwhile; the seat of who found the cause.

        moment: onset, or that of a false page, which the luck is tied to; again: how often this tier has walked.
        """
        failure = None if incident is None else incident.failure
        name = "" if failure is None else failure.name
        luck = self.run.world.stream_at(f"triage:{name}:{tier}:{again}", moment)
        looks = walk(self.plan, failure, tier, luck)
        solved = self.run.env.event()
        helper = None
        if "data" in self.crews:
            first = next(look for look in looks if look.name == "data")
            looks.remove(first)
            helper = self.run.env.process(self._data_look(first, incident, seat, solved))
        for look in looks:
            done = yield from seat.work(f"triage: {look.name}", look.days, incident, until=solved)
            if not done or (incident is not None and self.mitigations.over(incident)):
                break
            if look.finds:
                if not solved.triggered:
                    solved.succeed()
                return seat
        if helper is None:
            return None
        if incident is not None and self.mitigations.over(incident) and not solved.triggered:
            solved.succeed()
        found: Seat | None = yield helper
        return found

    def _data_look(
        self, look: Look, incident: Incident | None, beside: Seat, solved: simpy.Event
    ) -> Generator[simpy.Event, Any, Seat | None]:
        """The data on-call's part of a walk; its seat, still taken, where it finds the cause first."""
        seat = Seat(self.crews["data"], beside.rank, beside.urgent)
        if not (yield from seat.take(until=solved)):
            return None
        done = yield from seat.work("triage: data", look.days, incident, until=solved)
        if done and look.finds and not solved.triggered:
            solved.succeed()
            return seat
        seat.leave()
        return None

    def _escalate(self, incident: Incident) -> Process:
        """Higher tiers, one after the other; the last one looks until it finds the cause."""
        for tier in range(min(1, len(self.tiers) - 1), len(self.tiers)):
            role, last = self.tiers[tier], tier + 1 == len(self.tiers)
            self.run.record("escalation", incident.failure.name, role)
            seat = self._seat(role, incident.severity)
            yield from seat.take()
            again = 1  # the first tier has walked once where it is the only one
            while not self.mitigations.over(incident):
                finder = yield from self._triage(incident, incident.onset.time, seat, tier, again)
                if finder is not None:
                    if finder is not seat:
                        seat.leave()
                    yield from self._fix_and_leave(incident, finder)
                    return
                again += 1
                if not last:
                    break
            seat.leave()
            if self.mitigations.over(incident):
                return

    def _fix_and_leave(self, incident: Incident, seat: Seat) -> Process:
        yield from self._fix(incident, seat)
        seat.leave()

    def _fix(self, incident: Incident, seat: Seat) -> Process:
        """The cause is known: mitigate what is not, then repair, by hand or by a retraining."""
        if self.mitigations.over(incident):
            return
        self.run.record("cause found", incident.failure.name, f"{seat.person}, {branch_of(incident.failure)}")
        yield from self.mitigations.by_person(incident, seat)
        if "retrain" in self.plan.mitigations and incident.failure.cause in ("temporal", "model"):
            if not self.mitigations.over(incident):
                self.run.env.process(self._retrain(incident, seat.role))
            return
        yield from self._repair(incident, seat)

    def _repair(self, incident: Incident, seat: Seat) -> Process:
        if self.mitigations.over(incident):
            return
        yield from seat.work("repair", self.people.repair_time(incident), incident)
        self.people.repaired(incident)

    def _retrain(self, incident: Incident, role: str) -> Process:
        """A new model in service ends the incident; without one somebody of the same role repairs it by hand."""
        run, before = self.run, self.run.plane.champion.version.number
        run.request_retraining(Decision(retrain=True, reason=incident.failure.name))
        yield run.env.timeout(0.0)
        while run.retrainings_open > 0 and run.plane.champion.version.number <= before:
            yield run.env.timeout(run.scenario.window)
        if run.plane.champion.version.number > before:
            self.people.repaired(incident)
            return
        seat = self._seat(role, incident.severity)
        yield from seat.take(again=True)
        yield from self._repair(incident, seat)
        seat.leave()

    def _seat(self, role: str, severity: str) -> Seat:
        return Seat(self.crews[role], SEVERITIES.index(severity), self.plan.works_at_night(severity))
