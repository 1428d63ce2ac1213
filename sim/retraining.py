"""A retraining from the request to a new champion: stages, failures, the gate, and what each step costs."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy

from scenarios.deployment import ABTest, Canary, Shadow
from scenarios.edge import Edge
from scenarios.pipeline import STAGES, Learning, Stage
from sim.deployment import deploy
from sim.durations import draw, mean
from sim.failure_causes import as_validation_sees, contamination, on_trained
from sim.kernels.sampling import binomial_once, normal_once, uniform_once
from sim.quality import Version
from sim.randomness import moment_number

if TYPE_CHECKING:
    from scenarios.schema import Scenario
    from sim.engine import Run

Process = Generator[simpy.Event, Any, Any]
VALIDATED = STAGES.index("evaluation") + 1
"""Number of stages that make a validated candidate; the others place it."""


def retraining(run: Run, mode: str | None) -> Process:
    """Wait for training capacity, then train, validate and deploy; the stale champion serves until then."""
    learning = run.scenario.pipeline.learning if mode is None else learning_in(run.scenario, mode)
    with run.training_capacity.request() as slot:
        run.waiting.append(mode)
        yield slot
        run.waiting.remove(mode)
        run.record("retraining started", "pipeline", mode or learning.mode)
        cut = max(run.now - run.world.training_lag, 0.0)
        luck = Luck(run)
        candidate = yield from made(run, learning, cut, luck)
        if candidate is None:
            return
        if run.approvers is None and not (yield from done(run, STAGES[VALIDATED:], learning, luck)):
            return
    if run.approvers is not None:  # a person takes up no training capacity
        approved = yield from run.approvers.ask(candidate)
        if not approved or not (yield from done(run, STAGES[VALIDATED:], learning, luck)):
            return
    if candidate.cut < run.plane.champion.version.cut:
        run.record("superseded", f"version {candidate.number}", "a newer model is in service")
        return
    run.ledger.post("risk", run.scenario.pipeline.cost.risk)
    yield from deploy(run, candidate)


def made(run: Run, learning: Learning, cut: float, luck: Luck) -> Generator[simpy.Event, Any, Version | None]:
    """Train a candidate and validate it; None where a stage or the gate stops it."""
    before, after = STAGES[: VALIDATED - 1], STAGES[VALIDATED - 1 : VALIDATED]
    federated, lacks = (None if run.edge is None else run.edge.rounds), 0.0
    if federated is not None:
        contributions = yield from federated.gather()
        if contributions is None:
            return None
        lacks = federated.loss(contributions)
    if not (yield from done(run, before, learning, luck)):
        return None
    candidate = trained(run, cut, learning.factor("regain"), lacks)
    if not (yield from done(run, after, learning, luck)):
        return None
    candidate, passed = validated(run, candidate)
    if not passed:
        run.record("rejection", "gate", f"version {candidate.number}")
        return None
    return candidate


def done(
    run: Run, names: tuple[str, ...], learning: Learning, luck: Luck
) -> Generator[simpy.Event, Any, bool]:
    """Go through some stages; whether all of them succeeded."""
    for name in names:
        stage: Stage = getattr(run.scenario.pipeline.stages, name)
        pace = learning.factor("duration") if name == "training" else 1.0
        price = stage_price(run.scenario, name, learning.factor("cost"))
        if not (yield from attempts(run, name, stage, pace, price, luck)):
            run.record("failure", name, "given up")
            return False
    return True


class Luck:
    """Uniform numbers for the durations and failures of one retraining, tied to the moment it starts."""

    def __init__(self, run: Run) -> None:
        self._key = run.world.key("pipeline")
        self._moment = moment_number(run.now)
        self._drawn = 0

    def uniform(self) -> float:
        """The next uniform number in (0, 1)."""
        self._drawn += 1
        return float(uniform_once(self._key, self._moment ^ self._drawn))


def attempts(
    run: Run, name: str, stage: Stage, pace: float, price: tuple[str, float], luck: Luck
) -> Generator[simpy.Event, Any, bool]:
    """Run a stage until it succeeds or its retries are used up; every attempt costs."""
    pipeline = run.scenario.pipeline
    for attempt in range(pipeline.max_retries + 1):
        if attempt > 0:
            run.record("retry", name, f"attempt {attempt + 1}")
            yield run.env.timeout(pipeline.retry_delay)
        lasts = pace * draw(stage.duration, luck.uniform)
        if name == "training" and run.fleet is not None:
            yield from run.fleet.train(lasts)
        else:
            yield run.env.timeout(lasts)
        if price[1] > 0.0:
            run.ledger.post(*price)
        if stage.failure == 0.0 or luck.uniform() >= stage.failure:
            return True
    return False


def stage_price(scenario: Scenario, name: str, compute_factor: float) -> tuple[str, float]:
    """Category and price of an attempt at a stage."""
    cost = scenario.pipeline.cost
    prices = {
        "training": ("retrain_compute", cost.compute * compute_factor),
        "evaluation": ("validation", cost.validation),
        "deployment": ("deployment", cost.deployment),
    }
    return prices.get(name, ("retrain_compute", 0.0))


def trained(run: Run, cut: float, regain: float, lacks: float = 0.0) -> Version:
    """The candidate; its luck is tied to its data cut, so that policies that train alike are equally lucky.

    lacks: accuracy that it lacks for want of contributions, >= 0.
    """
    pipeline = run.scenario.pipeline
    offset = -lacks
    moment = moment_number(cut)
    if pipeline.training_noise > 0.0:
        offset += pipeline.training_noise * normal_once(run.world.key("training_noise"), moment)
    if pipeline.bad_training is not None:
        bad = uniform_once(run.world.key("bad_training"), moment) < pipeline.bad_training.probability
        loss = pipeline.bad_training.loss if bad else 0.0
        offset -= loss
    else:
        loss = 0.0
    number, learned = run.next_version(), contamination(run, cut)
    if learned:
        offset -= sum(learned.values())
    run.causes.learned[number], run.causes.harm[number] = learned, loss + sum(learned.values())
    candidate = run.quality.train(run.plane.champion.version, cut, regain, offset, number)
    on_trained(run, candidate)
    return candidate


def validated(run: Run, candidate: Version) -> tuple[Version, bool]:
    """Measure candidate and champion on a finite holdout of the newest labelled data; errors of both kinds emerge."""
    gate = run.scenario.pipeline.gate
    expected = run.quality.at(as_validation_sees(run, candidate), candidate.cut)
    if gate is None or math.isnan(expected):
        return candidate.measured(expected), True
    moment = moment_number(candidate.cut)
    right = binomial_once(run.world.key("holdout:candidate"), moment, gate.holdout, expected)
    rival = run.quality.at(run.plane.champion.version, candidate.cut)
    rival_right = binomial_once(run.world.key("holdout:champion"), moment, gate.holdout, rival)
    return candidate.measured(right / gate.holdout), bool(
        right - rival_right >= gate.margin * gate.holdout - 1e-9
    )


def learning_in(scenario: Scenario, mode: str) -> Any:
    """The scenario's learning, in another mode: factors that were given for its own mode do not carry over."""
    own = scenario.pipeline.learning
    return own if own.mode == mode else type(own).model_validate({"mode": mode})


def expected_rollout(scenario: Scenario) -> float:
    """Days from a validated candidate to all traffic, on average and about: approval, and the time of a tested rollout.

    Of an experiment the least that it may take; of an approval of anomalies nothing, as most candidates have none; of a
    fleet of devices the time until a device has it, see `mean_adoption`.
    """
    plan, approval = scenario.deployment, scenario.pipeline.approval
    waits = 0.0
    if approval is not None and approval.mode == "all":
        moments = np.arange(7 * 24) / 24.0
        waits = float(np.mean([approval.hours.next_open(time) - time for time in moments])) + mean(
            approval.review
        )
    if scenario.edge is not None:
        return waits + mean_adoption(scenario.edge)
    match plan:
        case Canary():
            return waits + math.fsum(hold for _, hold in plan.stages)
        case Shadow():
            return waits + plan.duration
        case ABTest():
            return waits + plan.burn_in + plan.minimum
    return waits


def mean_adoption(edge: Edge) -> float:
    """Days from a candidate to a device that runs it, over devices on average and about, when nothing is halted.

    Half a train, the wait for the device's wave, and for its next check-in with a network; charge, idleness and failed
    installations come on top.

    >>> import scenarios
    >>> waves = [{"share": 0.5, "hold": "10d"}, {"share": 1.0}]
    >>> device = {"name": "a", "kind": "gateway", "count": 1, "link": {"contact": "1d"}, "full": {"size": "1 MB"}}
    >>> mean_adoption(Edge.model_validate({"devices": [device], "ota": {"train": "20d", "waves": waves}}))
    16.0
    """
    ota = edge.ota
    starts, shares = [0.0], [0.0]
    for wave in ota.waves:
        starts.append(starts[-1] + wave.hold)
        shares.append(wave.share)
    waits = [start * share for start, share in zip(starts, np.diff(shares), strict=False)]
    links = [(kind.link.contact / kind.link.usable, kind.count) for kind in edge.devices]
    contact = math.fsum(gap * count for gap, count in links) / edge.count
    return 0.5 * (ota.train or 0.0) + math.fsum(waits) + contact


def expected_duration(scenario: Scenario) -> float:
    """Days that a retraining takes on average when nothing fails, a federated round included."""
    pace = scenario.pipeline.learning.factor("duration")
    stages = scenario.pipeline.stages
    federated = None if scenario.edge is None else scenario.edge.federated
    return math.fsum(
        mean(getattr(stages, name).duration) * (pace if name == "training" else 1.0) for name in STAGES
    ) + (0.0 if federated is None else federated.round)
