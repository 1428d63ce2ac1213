"""People on duty: seats that one piece of work takes and gives back, shifts, working hours and tiredness.

A role is a SimPy resource with a priority for each severity: a P0 goes before a P3 in the queue, and nobody is taken
off what they do. Work that does not wake people stops at the end of working hours, gives its seat back, and queues
again in the morning.
"""

from __future__ import annotations

import math
from bisect import insort
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import simpy

from scenarios.on_call import OnCall
from scenarios.working_hours import WorkingHours
from sim.incidents import Incident
from sim.work import Work

if TYPE_CHECKING:
    from sim.engine import Run

Process = Generator[simpy.Event, Any, bool]
_SLACK = 1e-9


class Crew:
    """The people of one role: who is free, and how much the present shift has taken up."""

    def __init__(self, run: Run, plan: OnCall, role: str, number: int, pay: Callable[[float], None]) -> None:
        self.run, self.plan, self.role, self.number, self.pay = run, plan, role, number, pay
        self.people = simpy.PriorityResource(run.env, number)
        self._free = list(range(1, number + 1))
        self._load = Counter[int]()

    def arrive(self) -> str:
        """The name of the first person who is free, and is so no longer."""
        return f"{self.role} {self._free.pop(0)}"

    def leave(self, person: str) -> None:
        """A person is free again."""
        insort(self._free, int(person.rsplit(" ", 1)[1]))

    def pace(self) -> float:
        """Count one more incident in this shift; the factor by which its work takes longer."""
        shift = math.floor((self.run.now - self.plan.hours.start) / self.plan.shift + _SLACK)
        self._load[shift] += 1
        beyond = self._load[shift] - self.plan.load_limit * self.number
        return 1.0 + self.plan.fatigue_slowdown * max(beyond, 0)

    def shift_end(self, time: float) -> float:
        """The first change of shifts after a moment, days."""
        start, shift = self.plan.hours.start, self.plan.shift
        return start + (math.floor((time - start) / shift + _SLACK) + 1) * shift


@dataclass
class Seat:
    """A place at the desk of one role for one piece of work, taken by one person after the other."""

    crew: Crew
    rank: int
    """Priority in the queue, 0 first."""
    urgent: bool
    """Whether it is worked on outside working hours too."""
    person: str = ""
    """Who has it; nobody while empty."""
    pace: float = 1.0
    """Factor on all durations."""
    _request: simpy.resources.resource.PriorityRequest | None = field(default=None, repr=False)

    @property
    def role(self) -> str:
        """Role of those who take it."""
        return self.crew.role

    def take(self, until: simpy.Event | None = None, again: bool = False) -> Process:
        """Queue for somebody, at most until an event; whether there is one.

        again: the same piece of work goes on, so that it does not count as another incident.
        """
        request = self.crew.people.request(priority=self.rank)
        yield request if until is None else request | until
        if not request.triggered:
            request.cancel()
            return False
        self._request, self.person = request, self.crew.arrive()
        if not again:
            self.pace = self.crew.pace()
        return True

    def leave(self) -> None:
        """Give the seat back; nothing where nobody has it."""
        if self._request is None:
            return
        self.crew.leave(self.person)
        self.crew.people.release(self._request)
        self._request, self.person = None, ""

    def work(
        self, task: str, days: float, incident: Incident | None = None, until: simpy.Event | None = None
    ) -> Process:
        """Work on a task that takes `days` of one person who is not disturbed; whether it was done before `until`.

        It stops outside working hours where it is not urgent, and a change of shifts loses a part of what the shift
        has done. After False the seat may be empty.
        """
        run, left = self.crew.run, days * self.pace
        while True:
            if not (yield from self.ready(until)):
                return False
            begun = run.now
            done, change = begun + left, self.crew.shift_end(begun)
            stop = min(done, change, math.inf if self.urgent else closing(self.crew.plan.hours, begun))
            wait = run.env.timeout(stop - begun)
            yield wait if until is None else wait | until
            self.log(task, begun, incident)
            left -= run.now - begun
            if left <= _SLACK:
                return True
            if until is not None and until.triggered:
                return False
            if run.now >= change - _SLACK:
                run.record("handoff", self.role, task)
                left += self.crew.plan.handoff_loss * (run.now - begun)

    def log(self, task: str, begun: float, incident: Incident | None = None) -> None:
        """Write down, and pay, what the person did from `begun` until now."""
        run = self.crew.run
        if run.now <= begun + _SLACK:
            return
        name, onset = ("", math.nan) if incident is None else (incident.failure.name, incident.onset.time)
        run.work.append(Work(self.person, self.role, task, begun, run.now, name, onset))
        self.crew.pay(run.now - begun)

    def ready(self, until: simpy.Event | None = None) -> Process:
        """Wait until somebody is at the desk, in working hours where it is not urgent; whether that is before `until`.

        Outside of them the seat is given back.
        """
        run, hours = self.crew.run, self.crew.plan.hours
        while True:
            if not self.urgent and not hours.open_at(run.now):
                self.leave()
                wait = run.env.timeout(hours.next_open(run.now) - run.now)
                yield wait if until is None else wait | until
                if until is not None and until.triggered:
                    return False
            elif self._request is not None:
                return True
            elif not (yield from self.take(until, again=True)):
                return False


def closing(hours: WorkingHours, time: float) -> float:
    """The moment at which the working hours that `time` is in end, days; infinity where they never do.

    >>> closing(WorkingHours(), 0.5) * 24
    17.0
    >>> [closing(WorkingHours(start="0h", end="24h", days=days), 0.5) for days in (5, 7)]
    [5.0, inf]
    """
    end = time
    for _ in range(8):
        end = math.floor(end + _SLACK) + hours.end
        if not hours.open_at(end):
            return end
    return math.inf
