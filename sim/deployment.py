"""A candidate goes live: at once, or after it has met a share of the traffic; and the world may answer."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy

from scenarios.deployment import ABTest, BlueGreen, Canary, Interleaving, Shadow
from scenarios.drift import Adversarial
from scenarios.units import format_duration
from sim.drift import add, moved_columns, moved_slices, named
from sim.experiment import is_worse, pairs_are_worse
from sim.failure_causes import on_deployed, on_replaced
from sim.online_experiments import ab_test, interleaving
from sim.quality import Version
from sim.trial import Trial

if TYPE_CHECKING:
    from scenarios.schema import Scenario
    from sim.engine import Run

Process = Generator[simpy.Event, Any, None]


@dataclass
class Standing:
    """Something that costs money by the day for a while; days."""

    since: float
    until: float
    per_day: float


class Rollout:
    """What the deployments of one run share: the room for one comparison at a time, and what stands by."""

    def __init__(self, env: simpy.Environment) -> None:
        self.lane = simpy.Resource(env)
        self.standing: list[Standing] = []

    def stands_by(self, now: float) -> bool:
        """Whether the version before is still up."""
        return bool(self.standing) and now <= self.standing[-1].until

    def replaced(self, now: float) -> None:
        """Another version has taken the place of what stood by, or over from it."""
        if self.standing:
            self.standing[-1].until = min(self.standing[-1].until, now)

    def post(self, run: Run) -> None:
        """Post what stood by, up to the horizon; call it once, when the run is over."""
        horizon, plan = run.scenario.horizon, run.scenario.deployment
        for part in self.standing:
            run.ledger.post("deployment", part.per_day * (min(part.until, horizon) - part.since))
        run.ledger.post("deployment", plan.rollback.drills * plan.rollback.drill_cost * horizon)
        if plan.rollback.tier == "immediate":
            run.ledger.post("deployment", plan.rollback.standby_cost * horizon)


def deploy(run: Run, candidate: Version) -> Process:
    """Bring a validated candidate into service in the way of the scenario, or find that it should not be."""
    plan = run.scenario.deployment
    if run.edge is not None:
        yield from run.edge.releases.release(candidate)
        return
    if plan.strategy in ("direct", "blue_green"):
        go_live(run, candidate)
        return
    with run.rollout.lane.request() as turn:
        yield turn
        if candidate.cut < run.plane.champion.version.cut:
            run.record("superseded", f"version {candidate.number}", "a newer model is in service")
            return
        match plan:
            case Canary():
                ships = yield from canary(run, candidate, plan)
            case Shadow():
                ships = yield from shadow(run, candidate, plan)
            case ABTest():
                ships = yield from ab_test(run, candidate, plan)
            case Interleaving():
                ships = yield from interleaving(run, candidate, plan)
        if ships:
            go_live(run, candidate)


def go_live(run: Run, candidate: Version) -> None:
    """Replace the champion by the candidate, for all traffic at once."""
    serve(run, candidate)
    run.record("deployment", f"version {candidate.number}", f"data cut {candidate.cut:.3f} d")
    on_deployed(run, candidate)
    plan = run.scenario.deployment
    if isinstance(plan, BlueGreen):
        run.rollout.standing.append(Standing(run.now, run.now + plan.standby, plan.serving_cost))
    for name, component in run.adversaries:
        run.env.process(answer(run, name, component))


def serve(run: Run, version: Version) -> None:
    """Another version takes all traffic; on devices it is asked back."""
    if run.edge is not None:
        run.edge.releases.restore(version)
        return
    on_replaced(run)
    run.rollout.replaced(run.now)
    run.plane.go_live(version, run.now)


def canary(run: Run, candidate: Version, plan: Canary) -> Generator[simpy.Event, Any, bool]:
    """Expose it step by step, and stop it at the end of a step that shows it significantly worse."""
    trial = Trial(run, candidate)
    for share, hold in plan.stages:
        trial.expose(share)
        begun = run.now
        yield run.env.timeout(hold)
        if trial.overtaken:
            run.record("deployment stopped", trial.name, "the champion was replaced meanwhile")
            return False
        arms = trial.evidence(plan.evidence, begun, run.now)
        worse = is_worse(arms, plan.alpha, plan.margin)
        said = f"{arms}: {'' if worse else 'not '}significantly worse" if arms.both else "no evidence"
        run.record("canary step", trial.name, f"{100 * share:.3g}% for {format_duration(hold)}: {said}")
        if worse:
            trial.withdraw()
            run.record("deployment stopped", trial.name, f"canary at {100 * share:.3g}% of the traffic")
            return False
    return True


def shadow(run: Run, candidate: Version, plan: Shadow) -> Generator[simpy.Event, Any, bool]:
    """Let it answer copies for a while, and compare its answers with the champion's where labels came in."""
    trial = Trial(run, candidate)
    price = plan.overhead * plan.serving_cost
    run.rollout.standing.append(Standing(run.now, run.now + plan.duration, price))
    if run.fleet is not None:
        run.fleet.burden(plan.overhead)
    yield run.env.timeout(plan.duration)
    if run.fleet is not None:
        run.fleet.burden(-plan.overhead)
    if trial.overtaken:
        run.record("deployment stopped", trial.name, "the champion was replaced meanwhile")
        return False
    number, lost, won = trial.pairs(trial.began, run.now, plan.shared_errors)
    told = f"of {number:,} labelled answers {lost:,} were right by the champion only, {won:,} by the candidate only"
    if pairs_are_worse(lost, won, plan.alpha):
        run.record("deployment stopped", trial.name, f"shadow: {told}")
        return False
    run.record("experiment ended", trial.name, f"shadow: {told}")
    return True


def adversaries_of(scenario: Scenario) -> list[tuple[str, Adversarial]]:
    """Components that answer deployments, with the names of their random streams."""
    return [(name, part) for name, part in named(scenario.drift) if isinstance(part, Adversarial)]


def answer(run: Run, name: str, component: Adversarial) -> Process:
    """Attackers adapt to the new model after a while: a lasting jump, from the next window on."""
    yield run.env.timeout(component.delay)
    window = min(math.ceil(run.now / run.scenario.window - 1e-9), run.scenario.windows)
    columns = moved_columns(run.scenario, component)
    luck = run.world.stream_at(name, run.now)
    jump = component.mean + component.sd * luck.standard_normal(len(columns))
    for place in moved_slices(run.scenario, component, len(run.state.features)):
        tail = type(run.state)(run.state.features[:, window:], run.state.concept[:, window:])
        add(tail, component, place, columns, np.asarray(jump)[None, :])
    run.plane.change_world(window)
    run.record("adversarial answer", component.on, "")
