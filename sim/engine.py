"""One replication: SimPy runs what is decided, the data plane runs ahead in kernels between two decisions.

The loop asks SimPy for the time of the next event and lets the data plane look for alarms up to there; an alarm
that comes first becomes an event of its own. The engine knows no policy, monitor or cost by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from scenarios.failures import Failure
from scenarios.monitoring import Monitor
from scenarios.policies import PolicySpec, parse_policy
from scenarios.schema import Scenario, check_scenario
from sim.approval import approvers_of
from sim.care import CareTeam
from sim.care_result import care_result
from sim.dataplane import DataPlane
from sim.deployment import Rollout, adversaries_of
from sim.durations import draw
from sim.edge import EdgeFleet
from sim.edge_incidents import FleetIncidents
from sim.edge_plane import EdgePlane
from sim.failure_causes import FailureCauses, on_repaired
from sim.fleet import Fleet
from sim.fleet_result import result_of
from sim.incidents import Incident, Incidents, Onset
from sim.ledger import Ledger
from sim.monitoring import Alarm, LabelWatch, Watch, labels_used, lifts_of, watches_of
from sim.oracle import best_dates
from sim.policies import Decision, Never, Policy, policy_of
from sim.quality import quality_of
from sim.randomness import check_seed
from sim.record import Event, Result
from sim.response import Responders
from sim.retraining import retraining
from sim.review import ReviewQueue, review_of
from sim.signal_watch import TruthWatch
from sim.telemetry import outages_told, post_rest, telemetry_bills
from sim.view import View
from sim.work import Work
from sim.world import World

_TIME_SLACK = 1e-9
MAX_AT_ONCE = 100


def run(
    scenario: Scenario,
    policy: str | PolicySpec | Policy | None = None,
    seed: int = 0,
    *,
    replication: int = 0,
    world: World | None = None,
) -> Result:
    """Simulate one replication of a scenario under one policy.

    policy: a short form such as 'scheduled:7d', a specification, or an object with `decide`; never when None.
    seed, replication: integers >= 0; the same pair gives the same world for every policy, and byte-identical
    results every time. world: the world of that pair when it is at hand. Raises ValueError for a policy that does
    not exist or does not fit the scenario.

    >>> import scenarios
    >>> result = run(scenarios.load("rotting_asset"), "scheduled:90d")
    >>> result.events.query("kind == 'deployment'").time_days.tolist()
    [90.0, 180.0, 270.0, 360.0]
    """
    check_scenario(scenario)
    check_seed("seed", seed)
    check_seed("replication", replication)
    if world is None:
        world = World(scenario, seed, replication)
    elif (world.seed, world.replication) != (seed, replication) or (
        world.scenario is not scenario and world.scenario != scenario
    ):
        raise ValueError("world: it belongs to another scenario, seed or replication")
    return Run(world, resolve_policy(policy)).play()


def resolve_policy(policy: str | PolicySpec | Policy | None) -> Policy:
    """A policy object from any of its forms."""
    if policy is None:
        return Never()
    if isinstance(policy, str):
        policy = parse_policy(policy)
    if not isinstance(policy, PolicySpec) and not callable(getattr(policy, "decide", None)):
        raise TypeError(
            f"policy: got {policy!r}, expected a text such as 'scheduled:7d' or an object with `decide`"
        )
    return policy_of(policy) if isinstance(policy, PolicySpec) else policy


def monitors_of(policy: Policy, scenario: Scenario) -> list[Monitor]:
    """Monitors that a policy asks for. Raises ValueError where the scenario cannot have one of them."""
    wanted = policy.monitors(scenario)
    for monitor in wanted:
        scenario.check_monitor(f"policy {policy.name}", monitor)
    return wanted


class Run:
    """The state of one replication under one policy while it is played."""

    def __init__(self, world: World, policy: Policy, data_plane: type[DataPlane] | None = None) -> None:
        self.policy = policy
        self.world = world
        self.scenario = scenario = world.scenario
        self.env = simpy.Environment()
        self.training_capacity = simpy.Resource(self.env, scenario.pipeline.capacity)
        self.state = world.state()
        self.quality = quality_of(scenario, self.state)
        wanted = monitors_of(policy, scenario)
        heeded = _once(wanted)
        watches = watches_of(_once([*heeded, *scenario.monitors]), world)
        self.incidents = (Incidents if scenario.edge is None else FleetIncidents)(scenario, world.onsets)
        self.incidents.on_repair = lambda incident: on_repaired(self, incident)
        self.on_begin: list[Callable[[Incident], None]] = []
        self.causes = FailureCauses(scenario)
        data_plane = data_plane or (DataPlane if scenario.edge is None else EdgePlane)
        self.plane = data_plane(world, self.quality, self.state.features, watches, self.incidents)
        self.edge = (
            EdgeFleet(self, scenario.edge, self.plane)
            if scenario.edge is not None and isinstance(self.plane, EdgePlane)
            else None
        )
        self.heeded = frozenset(monitor.label for monitor in heeded)
        self.paging = frozenset(
            watch.label
            for watch in watches
            if watch.label not in self.heeded or watch.monitor in scenario.monitors
        )
        self.responders = None if scenario.response is None else Responders(self, scenario.response)
        self.approvers = approvers_of(self)
        self.rollout = Rollout(self.env)
        self.adversaries = adversaries_of(scenario)
        self.ledger = Ledger()
        serving = scenario.serving
        with_fleet = serving is not None and serving.with_policies
        self.fleet = Fleet(self.env, world, self.ledger, scenario.horizon) if with_fleet else None
        self.care = None if scenario.care is None else CareTeam(self, scenario.care)
        self.alarms: list[Alarm] = []
        self.events: list[Event] = []
        self.work: list[Work] = []
        self.requested: list[float] = []
        self.memory: dict[str, Any] = {}
        self.waiting: list[str | None] = []
        self.retrainings_open = 0
        self._versions = 0
        self._asked_at_once = 0
        self._wake_at = math.inf
        self._alarm_pending = False
        self.review: ReviewQueue | None = None
        self.gained: NDArray[np.float64] | None = None
        """(windows,) accuracy that users meet above the model's, where people review."""

    @property
    def now(self) -> float:
        """The moment, in days."""
        return float(self.env.now)

    @property
    def windows_done(self) -> int:
        """Windows that have ended."""
        return min(int(self.now / self.scenario.window + _TIME_SLACK), self.scenario.windows)

    @cached_property
    def best_dates(self) -> NDArray[np.float64]:
        """Dates of the cheapest plan for this world."""
        return best_dates(self.world, self.quality, self.state)

    def next_version(self) -> int:
        """Number of the next version."""
        self._versions += 1
        return self._versions

    def record(self, kind: str, subject: str, details: str) -> None:
        """Write down what happened now."""
        self.events.append(Event(self.now, kind, subject, details))

    def play(self) -> Result:
        """Play from time 0 to the horizon."""
        self.plane.go_live(self.quality.initial(), 0.0)
        self.env.process(self._onsets())
        self.env.process(telemetry_bills(self))
        self.env.process(outages_told(self))
        if self.fleet is not None:
            self.fleet.start()
        if self.care is not None:
            self.care.start()
        self.consult()
        horizon, env, plane = self.scenario.horizon, self.env, self.plane
        while True:
            following = env.peek()
            if not self._alarm_pending:
                alarm = plane.next_alarm(min(following, horizon))
                if alarm is not None:
                    self._announce(*alarm)
                    following = env.peek()
            if following >= horizon - _TIME_SLACK:
                break
            env.step()
        if self.fleet is not None:
            env.run(until=horizon)  # it is paid to the end, and the last event was before that
        self.plane.finish()
        if self.care is not None:
            self.care.finish()
        return self._result()

    def consult(self, alarm: Alarm | None = None) -> None:
        """Ask the policy, and do what it decides."""
        decision = self.policy.decide(View(self, alarm))
        if decision.retrain:
            self.request_retraining(decision)
        self._set_wake(decision.wake)

    def request_retraining(self, decision: Decision) -> None:
        """Start a retraining, or queue it for capacity; a request equal to one that waits merges with it."""
        if decision.mode in self.waiting:
            self.record("merged", "pipeline", decision.reason)
            return
        self._asked_at_once = self._asked_at_once + 1 if self.now in self.requested[-1:] else 0
        if self._asked_at_once > MAX_AT_ONCE:
            raise ValueError(
                f"policy {self.policy.name}: asked for more than {MAX_AT_ONCE} retrainings at day {self.now}; look at "
                "view.retrainings before asking again"
            )
        self.requested.append(self.now)
        self.env.process(self._retrain(decision))

    def _retrain(self, decision: Decision) -> Any:
        self.retrainings_open += 1
        yield from retraining(self, decision.mode)
        self.retrainings_open -= 1
        self.consult()

    def _set_wake(self, time: float) -> None:
        """Ask the policy again at `time`; an earlier appointment that it no longer wants lapses."""
        if math.isfinite(time) and time <= self.now:
            raise ValueError(
                f"{self.policy.name}: asked to be woken at day {time}, which is not after {self.now}"
            )
        if time == self._wake_at:
            return
        self._wake_at = time
        if math.isfinite(time):
            self.env.process(self._appointment(time))

    def _appointment(self, time: float) -> Any:
        yield self.env.timeout(time - self.now)
        if self._wake_at == time:
            self._wake_at = math.inf
            self.consult()

    def _onsets(self) -> Any:
        """Failures begin when they do."""
        for incident in list(self.incidents.all):  # what actions cause joins them later
            yield self.env.timeout(max(incident.onset.time - self.now, 0.0))
            self._begun(incident)

    def begin_incident(self, failure: Failure, why: str = "") -> Incident:
        """An action causes a failure now; `why` names it."""
        heals = math.inf
        if failure.lasts is not None:
            heals = self.now + draw(
                failure.lasts, self.world.stream_at(f"lasts:{failure.name}", self.now).random
            )
        incident = self.incidents.add(Onset(failure, self.now, heals))
        self._begun(incident, why)
        window = min(int(self.now / self.scenario.window + _TIME_SLACK), self.scenario.windows - 1)
        for watch in self.plane.watches:
            if isinstance(watch, TruthWatch):
                watch.begun[window] += 1.0  # it knows the world's onsets, and not what actions cause
        self.plane.disturbed(self.now)
        return incident

    def _begun(self, incident: Incident, why: str = "") -> None:
        self.record("incident", incident.failure.name, why)
        self.ledger.post("incident", incident.failure.cost)
        for follow in self.on_begin:
            follow(incident)

    def _announce(self, window: int, watch: Watch) -> None:
        self._alarm_pending = True
        self.env.process(self._raise_alarm(window, watch))

    def _raise_alarm(self, window: int, watch: Watch) -> Any:
        yield self.env.timeout(max((window + 1) * self.scenario.window - self.now, 0.0))
        self._alarm_pending = False
        if watch.next_alarm != window:
            return  # a deployment at the same instant has silenced it
        alarm = self._alarm_of(window, watch)
        watch.acknowledge(window, self.plane.scanned)
        self.alarms.append(alarm)
        self.record("alarm" if alarm.true else "false alarm", alarm.monitor, f"score {alarm.score:.4g}")
        self._heed(alarm, watch)
        self.consult(alarm)

    def _heed(self, alarm: Alarm, watch: Watch) -> None:
        """Incidents that the monitor can see are detected, and people are paged for monitors that are theirs."""
        causes = self.incidents.visible(watch.monitor, self.now)
        for incident in causes:
            if incident.detected is None:
                incident.detected, incident.by = self.now, watch.label
        if self.responders is not None and watch.label in self.paging:
            self.responders.hear(alarm, watch, causes)

    def _alarm_of(self, window: int, watch: Watch) -> Alarm:
        fallen = self.plane.fallen(window)
        if isinstance(watch, LabelWatch) and watch.slice is not None:
            drop = float(fallen[watch.slice])
        else:
            drop = float(self.plane.weights @ fallen)
        drop += self.causes.lost_by(self.plane.champion.version.number)
        score, threshold = float(watch.score[window]), watch.rule.threshold_at(watch, window)
        true = watch.follows_accuracy and drop >= self.scenario.material_drop
        looked_back = watch.oldest(window) * self.scenario.window
        true = true or self.incidents.moved(watch.monitor, looked_back, self.now)
        return Alarm(self.now, watch.label, score, threshold, true)

    def _result(self) -> Result:
        self._post_running_costs()
        return Result(
            self.scenario,
            self.policy.name,
            self.world.seed,
            self.world.replication,
            self.ledger,
            self.world.requests,
            self.plane.accuracy,
            self.plane.measured_accuracy(),
            {watch.label: watch.score for watch in self.plane.watches},
            self.plane.version_number,
            self.alarms,
            self.plane.champions,
            self.events,
            watched_slices={
                watch.label: watch.slice
                for watch in self.plane.watches
                if isinstance(watch, LabelWatch) and watch.slice is not None
            },
            unharmed=self.plane.unharmed,
            served=self.incidents.served(0, self.scenario.windows),
            raw_incidents=self.incidents.all,
            pages=[] if self.responders is None else self.responders.pages,
            work=self.work,
            fleet=None if self.fleet is None else result_of(self.fleet),
            review=self.review,
            gained=self.gained,
            care=None if self.care is None else care_result(self.care),
            edge=None if self.edge is None else self.edge.result(),
        )

    def _post_review(self, worth: NDArray[np.float64], served: NDArray[np.float64] | None) -> None:
        """People who review cost their time, and what they set right is loss that nobody met."""
        self.review = review_of(self, served)
        if self.review is None:
            return
        self.review.post(self.ledger)
        requests = self.world.requests if served is None else self.world.requests * served
        # What nobody answers, no reviewer sees: devices without power.
        self.gained = self.review.gain(self.plane.mean_accuracy() + self.plane.unanswered(), requests)
        self.ledger.post("staleness", -math.fsum(worth * self.gained * (1.0 if served is None else served)))

    def _post_running_costs(self) -> None:
        """Staleness, incidents, monitoring and labels, which accrue in every window."""
        scenario = self.scenario
        accuracy = self.plane.mean_accuracy()
        unharmed = np.asarray(self.plane.weights @ self.plane.unharmed)
        worth = self.world.requests * scenario.value_per_query_per_unit_accuracy
        self.ledger.post("staleness", math.fsum(worth * (scenario.loss_reference - unharmed)))
        served = self.incidents.served(0, scenario.windows)
        if self.incidents.all:
            unserved = np.zeros_like(worth) if served is None else accuracy * (1.0 - served)
            self.ledger.post("incident", math.fsum(worth * (unharmed - accuracy + unserved)))
            losses = self.incidents.losses(worth, unharmed - accuracy, unserved)
            for incident, loss in zip(self.incidents.all, losses, strict=True):
                incident.loss = loss
        self._post_review(worth, served)
        post_rest(self)
        if self.fleet is not None:
            self.fleet.finish()
        if self.edge is not None:
            self.edge.post()
        self.rollout.post(self)
        if scenario.response is not None and scenario.response.on_call is not None:
            plan = scenario.response.on_call
            people = sum(plan.staff.model_dump().values())
            self.ledger.post("on_call", people * plan.duty_cost * scenario.horizon)
        for lift in lifts_of(self.plane.watches):
            forgone = lift.holdout * (accuracy - lift.baseline_accuracy)
            self.ledger.post("monitoring", math.fsum(worth * forgone * (1.0 if served is None else served)))
        for watch in self.plane.watches:
            self.ledger.post("monitoring", watch.monitor.cost * scenario.horizon)
        if scenario.labels is not None:
            self.ledger.post("labelling", labels_used(self.plane.watches) * scenario.labels.cost)


def _once(monitors: list[Monitor]) -> list[Monitor]:
    """Monitors with names of their own; one that is there twice, with the same fields, is watched once."""
    named: dict[str, Monitor] = {}
    for monitor in monitors:
        if named.get(monitor.label) == monitor:
            continue
        name, number = monitor.label, 1
        while name in named:
            number += 1
            name = f"{monitor.label}#{number}"
        named[name] = monitor if number == 1 else monitor.model_copy(update={"name": name})
    return list(named.values())
