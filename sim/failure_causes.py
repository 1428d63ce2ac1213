"""What actions do about failures: they cause some, end those that came with a version, and teach models their harm.

    deployment, end of a training, rollback, repair -> a failure begins, by chance, after a while
    a version is replaced -> what came with it is gone
    a training on data of an active failure -> its candidate has learned a part of the harm (contamination)

Luck is tied to the moment of the action. What a model has learned is accuracy that it never has: it lowers the accuracy
of the version itself, with or without incidents, so that the ledger counts it as staleness, as any bad training, and
not as incident; what the failure takes while it lasts is incident. Monitors measure what is served, so they see it
like any loss, against what they compare with: a model that was already bad when it was validated is no worse than it
was then, unless a leak hid it; signals that follow the accuracy compare with the first model. Source: chapter,
'Technical Debt in Practice', 'Rollback Strategies'.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import simpy

from scenarios.failures import Failure, Trigger
from sim.durations import draw
from sim.incidents import TIME_SLACK, Incident
from sim.quality import Version

if TYPE_CHECKING:
    from scenarios.schema import Scenario
    from sim.engine import Run


class FailureCauses:
    """The failures of a scenario that actions have to do with, and what versions carry and have learned."""

    def __init__(self, scenario: Scenario) -> None:
        self.triggered: dict[str, list[tuple[Failure, Trigger]]] = defaultdict(list)
        for failure in scenario.failures:
            if failure.trigger is not None:
                self.triggered[failure.trigger.on].append((failure, failure.trigger))
        self.tainting = [
            failure for failure in scenario.failures if failure.taints * failure.accuracy_drop > 0.0
        ]
        self.of_versions = any(failure.ends_with_version for failure in scenario.failures)
        self.leaking = [failure for failure in scenario.failures if failure.leaks > 0.0]
        self.carried: dict[int, list[tuple[Failure, float]]] = defaultdict(list)
        """By version: failures that begin whenever it goes live, each after a delay in days."""
        self.to_come: dict[int, list[tuple[Failure, float]]] = defaultdict(list)
        """By version: failures that begin when it is deployed, once."""
        self.learned: dict[int, Mapping[str, float]] = {}
        """By version: accuracy that it has lost to contamination, by failure mode."""
        self.harm: dict[int, float] = {}
        """By version: accuracy that its training has lost to bad data of any kind."""
        self.hidden: dict[int, tuple[Failure, float]] = {}
        """By version: accuracy that it lacks and validation did not show, and the leak which hid it."""
        self.placed: set[int] = set()
        """Versions that have met the traffic."""

    def forget(self, failure: Failure) -> None:
        """A failure was repaired: versions that carried it do so no more."""
        for number, carried in self.carried.items():
            self.carried[number] = [pair for pair in carried if pair[0] != failure]

    def modes_in(self, number: int) -> frozenset[str]:
        """Failure modes that have made a version worse than it seems, or was meant to be."""
        found = {name for name, loss in self.learned.get(number, {}).items() if loss > 0.0}
        if number in self.hidden:
            found.add(self.hidden[number][0].name)
        return frozenset(found)

    def lost_by(self, number: int) -> float:
        """Accuracy that a version lacks because of failures: what an alarm about it is right about."""
        hidden = self.hidden[number][1] if number in self.hidden else 0.0
        return max(sum(self.learned.get(number, {}).values()), hidden)


def on_trained(run: Run, candidate: Version) -> None:
    """A training has ended: its candidate may carry failures."""
    for failure, trigger in run.causes.triggered["retraining"]:
        delay = _chance(run, failure, trigger, "")
        if delay is not None:
            run.causes.carried[candidate.number].append((failure, delay))


def as_tried(run: Run, candidate: Version) -> Version:
    """A candidate as it answers a part of the traffic: with the harm of the failures that would come with it.

    What begins later, or grows, does not show yet.
    """
    _place(run, candidate.number)
    coming = run.causes.carried[candidate.number] + run.causes.to_come[candidate.number]
    harm = sum(
        run.incidents.taken_by(failure) * failure.share
        for failure, delay in coming
        if failure.ends_with_version and failure.drop_in_service > 0.0 and delay == failure.ramp == 0.0
    )
    return replace(candidate, offset=candidate.offset - harm) if harm > 0.0 else candidate


def on_deployed(run: Run, version: Version) -> None:
    """A version went live: what it carries begins, and what its deployment causes."""
    _place(run, version.number)
    _bring_in(run, version)
    for failure, delay in run.causes.to_come.pop(version.number, ()):
        why = f"deployment of version {version.number}"
        run.env.process(_begin(run, failure, delay, why, version.number))


def on_replaced(run: Run) -> None:
    """The version in service is replaced by another: what came with it is gone."""
    for incident in run.incidents.all if run.causes.of_versions else ():
        here = incident.onset.time <= run.now + TIME_SLACK and incident.end > run.now + TIME_SLACK
        if here and incident.failure.ends_with_version:
            run.incidents.lapse(incident, run.now)
            run.record("gone", incident.failure.name, "its version was replaced")


def on_rolled_back(run: Run) -> None:
    """A version is back: so is what it carries, and the rollback may cause failures."""
    _bring_in(run, run.plane.champion.version)
    _cause(run, "rollback", "", "rollback")


def on_repaired(run: Run, incident: Incident) -> None:
    """A failure was repaired: that may break something else (correction cascade)."""
    repaired = incident.failure
    run.causes.forget(repaired)
    _cause(run, repaired.name, repaired.name, f"repair of {repaired.name}")
    _cause(run, "repair", repaired.name, f"repair of {repaired.name}")


def contamination(run: Run, cut: float) -> Mapping[str, float]:
    """Accuracy that a model trained at a data cut (days) loses to what it learns from spoilt data, by failure mode.

    taints x accuracy_drop x the share of its training window that is spoilt, by requests and by time; without a
    training window, by what the cut meets. With a feedback loop, also feeds x what the champion has lost by it: a
    loss repeated at each retraining fades as a geometric series, or never with feeds of 1. A loss in one slice is
    spread over all.
    """
    before = run.causes.learned.get(run.plane.champion.version.number, {})
    begin = max(cut - run.scenario.pipeline.training_window, 0.0)
    found = {}
    for failure in run.causes.tainting:
        spoilt = run.incidents.present(failure.name, begin, cut)
        loss = failure.taints * run.incidents.taken_by(failure) * spoilt
        loss += failure.feeds * before.get(failure.name, 0.0)
        if loss > 0.0:
            found[failure.name] = loss
    return found


def as_validation_sees(run: Run, candidate: Version) -> Version:
    """The candidate as a holdout shows it: while there is a leak, (part of) what went wrong with it does not show."""
    harm = run.causes.harm.get(candidate.number, 0.0)
    if harm == 0.0:
        return candidate
    active = run.incidents.active(run.now) if run.causes.leaking else []
    leaks = [incident.failure for incident in active if incident.failure.leaks > 0.0]
    if not leaks:
        return candidate
    worst = max(leaks, key=lambda failure: failure.leaks)
    run.causes.hidden[candidate.number] = worst, worst.leaks * harm
    return replace(candidate, offset=candidate.offset + worst.leaks * harm)


def _place(run: Run, number: int) -> None:
    """A version meets the traffic: the first time decides what its deployment causes."""
    if number in run.causes.placed:
        return
    run.causes.placed.add(number)
    for failure, trigger in run.causes.triggered["deployment"]:
        delay = _chance(run, failure, trigger, "")
        if delay is not None:
            run.causes.to_come[number].append((failure, delay))


def _bring_in(run: Run, version: Version) -> None:
    """All requests are answered by a version, with what it carries and has learned."""
    run.incidents.learned = run.causes.modes_in(version.number)
    for failure, delay in run.causes.carried[version.number]:
        run.env.process(_begin(run, failure, delay, f"version {version.number}", version.number))


def _cause(run: Run, action: str, of: str, why: str) -> None:
    for failure, trigger in run.causes.triggered[action]:
        if action == "repair" and failure.name == of:
            continue
        delay = _chance(run, failure, trigger, of)
        if delay is not None:
            run.env.process(_begin(run, failure, delay, why))


def _chance(run: Run, failure: Failure, trigger: Trigger, of: str) -> float | None:
    """Days until a failure begins that an action now causes; None when it does not."""
    luck = run.world.stream_at(f"cause:{failure.name}:{of}", run.now)
    if luck.random() >= trigger.probability:
        return None
    return draw(trigger.delay, luck.random)


def _can_begin(run: Run, failure: Failure, number: int | None) -> bool:
    """Whether the version that a failure belongs to still answers; devices may run one that was replaced long ago."""
    if run.edge is None or number is None:
        return number == run.plane.champion.version.number
    return run.edge.plane.carries(failure, number, run.now)


def _begin(
    run: Run, failure: Failure, delay: float, why: str, number: int | None = None
) -> Generator[simpy.Event, Any, None]:
    """A failure begins after a delay, unless it belongs to a version that is replaced by then."""
    yield run.env.timeout(delay)
    if failure.ends_with_version and not _can_begin(run, failure, number):
        return
    incident = run.begin_incident(failure, why)
    if run.edge is not None and failure.ends_with_version and number is not None:
        run.edge.plane.came_with(incident, number)
