"""People behind the pager, on timelines written by hand; the luck of a page is that of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import simpy

from scenarios.failures import Failure
from scenarios.loader import validate_mapping
from scenarios.monitoring import Monitor
from scenarios.response import Response
from sim.incidents import Incident, Onset
from sim.ledger import Ledger
from sim.response import Responders
from sim.watch import Alarm
from sim.world import World

HOUR = 1.0 / 24.0
ALWAYS = {"strength": 0}


class Watched:
    """As much of a monitor as people get to know."""

    def __init__(self, label: str, metric: str = "accuracy") -> None:
        self.label, self.monitor = label, Monitor.model_validate({"metric": metric})


class Timeline:
    """A run in which alarms come when the test says so."""

    def __init__(self, seed: int = 0, **response: Any) -> None:
        given = {"triage": "30min", "repair": "4h", "hourly_cost": "$80/h", "fatigue": ALWAYS}
        written = {
            "title": "people",
            "horizon": "100d",
            "window": "1h",
            "value_per_query_per_unit_accuracy": "$1",
            "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
            "traffic": {"rate": "24/d"},
        }
        self.scenario = validate_mapping(written)
        self.world = World(self.scenario, seed)
        self.env = simpy.Environment()
        self.ledger = Ledger()
        self.incidents = self.plane = self
        self.events: list[tuple[float, str, str]] = []
        self.silenced: list[tuple[str, int]] = []
        self.people = Responders(self, Response.model_validate(given | response))  # type: ignore[arg-type]

    @property
    def now(self) -> float:
        return float(self.env.now)

    def record(self, kind: str, subject: str, details: str) -> None:
        self.events.append((round(self.now / HOUR, 6), kind, subject))

    def repair(self, incident: Incident, time: float) -> None:
        incident.resolved = incident.end = time

    def repaired(self, incident: Incident, now: float) -> None:
        """Where monitors would start afresh."""

    def silence(self, label: str, until: int) -> None:
        self.silenced.append((label, until))

    def alarm(
        self,
        hour: float,
        label: str = "m",
        causes: Sequence[Incident] = (),
        true: bool | None = None,
        **monitor: str,
    ) -> None:
        """A call at an hour; true when it has a cause, unless told otherwise."""

        def call() -> Any:
            yield self.env.timeout(hour * HOUR)
            here = [incident for incident in causes if incident.active(self.now)]
            told = Alarm(self.now, label, 1.0, 0.0, bool(here) if true is None else true)
            self.people.hear(told, Watched(label, **monitor), here)  # type: ignore[arg-type]

        self.env.process(call())

    def play(self) -> Responders:
        self.env.run(until=100.0)
        return self.people

    def of(self, *kinds: str) -> list[tuple[float, str, str]]:
        return [event for event in self.events if event[1] in kinds]


def incident(hour: float, name: str = "f", heals: float = 2400.0, **fields: Any) -> Incident:
    failure = Failure.model_validate({"name": name, "onsets": [0], **fields})
    return Incident(Onset(failure, hour * HOUR, heals * HOUR), heals * HOUR)


def hours_of(found: Incident) -> list[float | None]:
    return [
        None if t is None else round(t / HOUR, 6) for t in (found.acknowledged, found.resolved, found.end)
    ]


def test_a_page_that_is_acted_on_leads_to_the_repair_of_what_was_seen() -> None:
    run, seen, unseen = Timeline(), incident(1), incident(1, "g")
    run.alarm(10, causes=[seen])
    people = run.play()
    assert run.events == [(10, "page", "m"), (14.5, "repair", "f")]
    assert (hours_of(seen), hours_of(unseen)) == ([10, 14.5, 14.5], [None, None, 2400])
    assert [(page.alarms, page.acted, page.closed) for page in people.pages] == [([("m", True)], True, True)]
    assert run.ledger.by_category()["on_call"] == pytest.approx(40.0)


def test_a_failure_may_have_a_repair_of_its_own() -> None:
    run, found = Timeline(), incident(1, repair="7h")
    run.alarm(10, causes=[found])
    run.play()
    assert hours_of(found) == [10, 17.5, 17.5]


def test_nothing_is_repaired_that_healed_by_itself() -> None:
    run, found = Timeline(), incident(1, heals=12)
    run.alarm(10, causes=[found])
    people = run.play()
    assert hours_of(found) == [10, None, 12]
    assert run.of("repair", "nothing found") == []
    assert people.pages[0].true


@pytest.mark.parametrize(
    ("consolidation", "pages"),
    [("0h", [["a"], ["b"], ["a"], ["c"]]), ("1h", [["a", "b", "a"], ["c"]]), ("2h", [["a", "b", "a", "c"]])],
)
def test_alarms_join_a_page_that_is_young_enough(consolidation: str, pages: list[list[str]]) -> None:
    run = Timeline(consolidation=consolidation, triage="3h")
    for hour, label in ((10, "a"), (10, "b"), (10.5, "a"), (11, "c")):
        run.alarm(hour, label)
    assert [page.monitors for page in run.play().pages] == pages


def test_an_alarm_after_triage_is_a_page_of_its_own() -> None:
    run = Timeline(consolidation="5h")
    run.alarm(10, "a")
    run.alarm(11, "b")
    assert [page.monitors for page in run.play().pages] == [["a"], ["b"]]


def test_an_alarm_that_joins_brings_its_causes_along() -> None:
    run, first, second = Timeline(triage="1h"), incident(1), incident(10.2, "g")
    run.alarm(10, "a", [first])
    run.alarm(10.5, "b", [first, second])
    people = run.play()
    assert [page.alarms for page in people.pages] == [[("a", True), ("b", True)]]
    assert (hours_of(first), hours_of(second)) == ([10, 15, 15], [10.5, 15, 15])
    assert run.ledger.by_category()["on_call"] == pytest.approx(80.0)


def test_a_false_page_that_a_true_alarm_joins_is_true() -> None:
    run, found = Timeline(triage="1h"), incident(1)
    run.alarm(10, "a")
    run.alarm(10.5, "b", [found])
    people = run.play()
    assert [(page.true, page.alarms) for page in people.pages] == [(True, [("a", False), ("b", True)])]
    assert hours_of(found) == [10.5, 15, 15]


def test_nobody_is_paged_again_for_what_is_being_repaired() -> None:
    run, found = Timeline(consolidation="0h"), incident(1)
    for hour in (10, 10.2, 11, 14):
        run.alarm(hour, causes=[found])
    assert len(run.play().pages) == 1


def test_two_failures_at_once_are_two_pages_for_those_who_see_one_each() -> None:
    run, first, second = Timeline(consolidation="0h"), incident(1), incident(2, "g")
    run.alarm(10, "a", [first])
    run.alarm(11, "b", [first, second])
    assert [page.causes for page in run.play().pages] == [[first], [second]]
    assert (hours_of(first), hours_of(second)) == ([10, 14.5, 14.5], [11, 15.5, 15.5])


def test_a_true_alarm_without_an_incident_closes_with_nothing_to_repair() -> None:
    run = Timeline()
    run.alarm(10, true=True)
    run.play()
    assert run.events == [(10, "page", "m")]


def test_tired_people_ignore_pages_and_come_round() -> None:
    # Every page is false and fatigue is full: each false one that is remembered is a quarter of the attention.
    run = Timeline(fatigue={"strength": 1, "memory": 4}, consolidation="0h")
    for hour in range(1, 2300, 2):
        run.alarm(hour)
    people = run.play()
    acted = [page.acted for page in people.pages]
    assert acted[0]
    luck = [run.world.stream_at("page", page.time).random() for page in people.pages]
    for number in range(len(acted)):
        attention = 1.0 - sum(acted[max(number - 4, 0) : number]) / 4
        assert acted[number] == (luck[number] < attention)
    # The share a of pages acted on is 1 - a.
    assert sum(acted) / len(acted) == pytest.approx(0.5, abs=0.06)


def test_an_ignored_page_leads_nowhere_until_the_next_one() -> None:
    run, found = Timeline(fatigue={"strength": 1, "memory": 1}, consolidation="1h"), incident(15)
    run.alarm(10)  # false, so that the next page is surely ignored, and the one after surely acted on
    run.alarm(20, causes=[found])
    run.alarm(20.5, "joins", [found])
    run.alarm(30, causes=[found])
    people = run.play()
    assert run.of("page", "page ignored") == [(10, "page", "m"), (20, "page ignored", "m"), (30, "page", "m")]
    assert people.pages[1].monitors == ["m", "joins"]
    assert hours_of(found) == [30, 34.5, 34.5]
    assert run.ledger.by_category()["on_call"] == pytest.approx(80.0)


def test_the_truth_is_never_ignored_and_pages_by_itself() -> None:
    run, found = (
        Timeline(fatigue={"strength": 1, "memory": 1}, consolidation="1h", triage="20min"),
        incident(10.9),
    )
    run.alarm(10)
    run.alarm(10.95, "joins nothing, nor is it joined", true=False)
    run.alarm(11, "truth", [found], metric="truth")
    run.play()
    assert hours_of(found) == [11, pytest.approx(15 + 1 / 3), pytest.approx(15 + 1 / 3)]


def test_monitors_that_were_wrong_too_often_in_a_row_are_silenced() -> None:
    run, found = (
        Timeline(snooze={"after": 2, "duration": "10h", "ticket": "1h"}, consolidation="0h"),
        incident(19),
    )
    for hour, label in ((2, "a"), (4, "b"), (6, "a")):
        run.alarm(hour, label)
    run.alarm(20, "b", [found])  # right for once: it starts to count again
    run.alarm(40, "b")
    people = run.play()
    assert run.of("snooze") == [(6.5, "snooze", "a")]
    assert people.snoozes == 1
    # The first look that may call is the one at 17:00, the end of window 16, not before 16:30.
    assert run.silenced == [("a", 16)]
    assert run.ledger.by_category()["on_call"] == pytest.approx(80.0 * (5 * 0.5 + 1.0))


def test_a_monitor_may_call_at_the_very_end_of_its_snooze() -> None:
    run = Timeline(snooze={"after": 1, "duration": "3h"}, triage="0h")
    run.alarm(5)
    run.play()
    assert run.silenced == [("m", 7)]  # window 7 ends at 8:00


def test_without_a_snooze_nobody_is_silenced() -> None:
    run = Timeline(consolidation="0h")
    for hour in range(1, 20):
        run.alarm(hour)
    run.play()
    assert run.silenced == []
    assert len(run.of("nothing found")) == 19


def test_each_monitor_of_a_false_page_is_counted_once() -> None:
    run = Timeline(snooze={"after": 2, "duration": "10h"}, triage="1h", consolidation="1h")
    for hour, label in ((2, "a"), (2.2, "a"), (2.4, "b")):
        run.alarm(hour, label)
    assert run.play().false_in_a_row == {"a": 1, "b": 1}
    assert run.silenced == []
