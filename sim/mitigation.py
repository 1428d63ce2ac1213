"""Mitigation: what ends the harm before the cause is removed, by people or by a circuit breaker.

The options are tried in the order of preference of those that apply: a rollback only where a deployment or a
retraining caused the failure or its model has learned it, a fallback and a throttle where the failure harms what is
served.

A fallback and a throttle are states of the system: one that is on eases all that harms what is served, what begins
meanwhile from its onset on, until the last incident that it has eased is over. Source: chapter, 'Incident Response for
ML Systems'.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import simpy

from scenarios.on_call import OnCall
from sim.durations import draw
from sim.incidents import Incident
from sim.staff import Seat

if TYPE_CHECKING:
    from sim.engine import Run

Process = Generator[simpy.Event, Any, None]
UNDONE_BY_ROLLBACK = ("deployment", "retraining")


class Mitigations:
    """The options of one run, and where somebody is at them."""

    def __init__(self, run: Run, plan: OnCall) -> None:
        self.run, self.plan = run, plan
        self._at_it: set[Incident] = set()
        self._rolling = False
        self._held_until = -math.inf
        self._switches: dict[str, list[Incident]] = {}
        """By fallback or throttle: the incidents that it has eased since it was switched on."""
        run.on_begin.append(self._joined)

    def over(self, incident: Incident) -> bool:
        """Whether an incident has ended by now."""
        return incident.end <= self.run.now

    def by_person(self, incident: Incident, seat: Seat) -> Process:
        """The first option that works; nothing where it was mitigated before, or somebody is at it."""
        options = self._begun(incident)
        if not options:
            return
        for option in options:
            if incident.easings:
                break  # by somebody else's switch
            if option == "rollback":
                yield from seat.ready()
                begun = self.run.now
                done = yield from self._roll_back()
                seat.log("rollback", begun, incident)
            else:
                law = self.plan.fallback.switch if option == "fallback" else self.plan.throttle.switch
                luck = self.run.world.stream_at(f"{option}:{incident.failure.name}", incident.onset.time)
                yield from seat.work(option, draw(law, luck.random), incident)
                done = True
            if self._settled(incident, option, done, f"by {seat.person}"):
                break
        self._at_it.discard(incident)

    def trip(self, monitor: str, causes: Sequence[Incident], true: bool) -> None:
        """An alarm of a monitor that the circuit breaker listens to; causes: the active incidents that it can see."""
        breaker, now = self.plan.circuit_breaker, self.run.now
        assert breaker is not None
        for incident in causes:
            options = self._begun(incident)
            if not options:
                continue
            self.run.record("circuit breaker", incident.failure.name, monitor)
            self.run.env.process(self._by_itself(incident, options))
        if not causes and not true and now >= self._held_until:
            self._held_until = now + breaker.hold
            self.run.record("false trip", "circuit breaker", monitor)
            self.run.ledger.post("monitoring", breaker.false_trip)

    def _by_itself(self, incident: Incident, options: list[str]) -> Process:
        assert self.plan.circuit_breaker is not None
        yield self.run.env.timeout(self.plan.circuit_breaker.switch)
        for option in options:
            if incident.easings:
                break
            done = (yield from self._roll_back()) if option == "rollback" else True
            if self._settled(incident, option, done, "by the circuit breaker"):
                break
        self._at_it.discard(incident)

    def _begun(self, incident: Incident) -> list[str]:
        """The options that apply, for whoever begins now; none where it is or is being mitigated."""
        if incident.easings or incident in self._at_it or self.over(incident):
            return []
        failure, run = incident.failure, self.run
        by_version = failure.trigger is not None and failure.trigger.on in UNDONE_BY_ROLLBACK
        undone = (by_version or failure.name in run.incidents.learned) and run.plane.previous is not None
        servers = run.scenario.edge is None  # no switch in the centre reaches a device
        applies = {
            "rollback": undone and not self._rolling,
            "fallback": servers and failure.harms == "serving",
            "throttle": servers and failure.harms == "serving",
            "retrain": False,  # nothing that helps at once
        }
        options: list[str] = [option for option in self.plan.mitigations if applies[option]]
        if options:
            self._at_it.add(incident)
        return options

    def _settled(self, incident: Incident, option: str, done: bool, whom: str) -> bool:
        """Whether no further option is needed; a fallback and a throttle are switched on for what has not ended."""
        if self.over(incident):
            return True
        if option == "rollback":
            return done and self._unlearned(incident)
        if not self._on(option):
            self._switches[option] = []
            for other in [incident, *self.run.incidents.active(self.run.now)]:
                self._join(option, other, whom)
            self.run.plane.disturbed(self.run.now)
        return True

    def _on(self, option: str) -> bool:
        """Whether a fallback or throttle is on: while an incident that it has eased is not over."""
        return not all(self.over(incident) for incident in self._switches.get(option, ()))

    def _join(self, option: str, incident: Incident, whom: str) -> None:
        """What is on eases an incident that harms what is served, once."""
        eased = self._switches[option]
        if incident.failure.harms != "serving" or incident in eased:
            return
        eased.append(incident)
        self.run.incidents.ease(incident, self.run.now, getattr(self.plan, option).left)
        self.run.record("mitigation", incident.failure.name, f"{option} {whom}")

    def _joined(self, incident: Incident) -> None:
        """An incident begins: what is on eases it from the start."""
        on = [option for option in self._switches if self._on(option)]
        for option in on:
            self._join(option, incident, "that is on")
        if on:
            self.run.plane.disturbed(self.run.now)

    def _unlearned(self, incident: Incident) -> bool:
        """Whether a rollback has taken away all harm there was: that of a model which was trained on bad data."""
        failure = incident.failure
        if failure.harms == "serving" or failure.name in self.run.incidents.learned:
            return False  # what is still there was not caused by that version
        self.run.incidents.ease(incident, self.run.now, 1.0)
        return True

    def _roll_back(self) -> Generator[simpy.Event, Any, bool]:
        """Put the previous version back; one rollback at a time."""
        from sim.rollback import roll_back

        if self._rolling:
            return False
        self._rolling = True
        done = yield from roll_back(self.run)
        self._rolling = False
        return done
