"""The cheapest retraining dates for a known world: a bound on what any policy can reach.

The plan is exact for trainings of the mean duration and price that never fail or err, which learn from scratch. It
sees everything but the luck of the pipeline and the answers of adversaries. Where models learn incrementally, rollouts
are tested or deployments bring failures it is a guide only, and is dropped when never retraining is cheaper. Dates are
window starts.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scenarios.schema import Scenario
from sim.drift import State
from sim.edge_samples import smaller_fleet
from sim.kernels.quality import best_dates as dates_kernel
from sim.kernels.succession import cheapest_succession
from sim.quality import MatrixQuality, Quality, StateQuality
from sim.retraining import expected_duration, expected_rollout
from sim.world import World

MAX_EPOCHS = 9000


def best_dates(world: World, quality: Quality, state: State) -> NDArray[np.float64]:
    """Days at which to ask for a retraining, (dates,), sorted."""
    scenario = world.scenario
    worth = world.requests * scenario.value_per_query_per_unit_accuracy
    duration, price = expected_duration(scenario) + expected_rollout(scenario), scenario.pipeline.price
    if isinstance(quality, MatrixQuality):
        return _recorded_dates(world, quality, worth, duration, price)
    assert isinstance(quality, StateQuality)
    if never_ages(scenario, quality):
        return np.empty(0)
    asked = np.arange(scenario.windows) * scenario.window
    features, concept = quality.learned_at(np.maximum(asked - world.training_lag, 0.0))
    windows = dates_kernel(
        state.features,
        state.concept,
        quality.sensitivity,
        quality.concept_sensitivity,
        quality.accuracies,
        quality.decay,
        quality.weights,
        quality.floor,
        scenario.window,
        worth,
        price,
        world.training_lag,
        duration,
        features,
        concept,
        math.ceil(scenario.windows / MAX_EPOCHS),
        scenario.pipeline.capacity,
    )
    dates = np.asarray(windows * scenario.window, dtype=np.float64)
    return dates if not unknown_to_the_plan(scenario) or pays(world, dates) else dates[:0]


def unknown_to_the_plan(scenario: Scenario) -> list[str]:
    """What a retraining brings with it that the plan does not know, so that it is a guide and no bound."""
    learning = scenario.pipeline.learning
    found = []
    if learning.factor("regain") != 1.0 or learning.time_constant:
        found.append("models that do not learn from scratch")
    if scenario.deployment.strategy not in ("direct", "blue_green"):
        found.append(f"what a rollout by {scenario.deployment.strategy} finds, and exactly how long it takes")
    if scenario.edge is not None:
        found.append("how a release spreads over the devices, and which ones are halted or superseded")
    if scenario.pipeline.approval is not None:
        found.append("when people approve, and what they refuse")
    if any(failure.trigger is not None or failure.can_spoil for failure in scenario.failures):
        found.append("failures that trainings and deployments bring about or end")
    if scenario.care is not None:
        found.append("what the model's errors do to patients")
    if scenario.review is not None:
        found.append("what reviewers set right")
    return found


def never_ages(scenario: Scenario, quality: StateQuality) -> bool:
    """Whether the first model stays as good as it is, so that no training has anything to regain."""
    accuracy = np.empty((len(quality.weights), scenario.windows))
    quality.fill(quality.initial(), 0.0, scenario.horizon, 0, scenario.windows, accuracy)
    return bool((accuracy >= accuracy[:, :1]).all())


def pays(world: World, dates: NDArray[np.float64]) -> bool:
    """Whether a plan is cheaper than never retraining: it may not be where models learn otherwise than planned."""
    from sim.engine import Run
    from sim.policies import Dates, Never

    bare = world.unwatched()
    small = smaller_fleet(bare.scenario)
    if small is not bare.scenario:
        bare = World(small, world.seed, world.replication, mirrored=world.mirrored)
    planned, never = (Run(bare, policy).play().ledger.total() for policy in (Dates(dates), Never()))
    return planned < never


def _recorded_dates(
    world: World, quality: MatrixQuality, worth: NDArray[np.float64], duration: float, price: float
) -> NDArray[np.float64]:
    """Starts of recorded periods at which to ask for a retraining."""
    scenario = world.scenario
    asked = quality.period * np.arange(math.ceil(scenario.horizon / quality.period - 1e-9))
    live = np.where(asked > 0.0, asked + duration, 0.0)
    asked, live = asked[live < scenario.horizon], live[live < scenario.horizon]
    until = np.append(live[1:], scenario.horizon) / scenario.window
    loss = np.empty((live.size, live.size))
    for version, time in enumerate(asked):
        row = quality.row(max(time - world.training_lag, 0.0))
        lost = worth * (scenario.loss_reference - quality.matrix[row, quality.columns])
        # A version goes live within a window: the loss up to there is in proportion.
        # Periods up to the model's own are not recorded, and not asked for.
        so_far = np.concatenate(([0.0], np.cumsum(np.nan_to_num(lost))))
        reached = np.interp(np.append(0.0, until), np.arange(scenario.windows + 1), so_far)
        loss[version] = np.diff(reached)
    chosen = cheapest_succession(loss, price, tie=1e-12 * float(worth.sum()))
    return np.asarray(asked[chosen], dtype=np.float64)
