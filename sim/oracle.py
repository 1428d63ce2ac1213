"""The cheapest retraining dates for a known world: a bound on what any policy can reach.

The plan is exact for trainings of the mean duration and price that never fail or err, which learn from scratch. It
sees everything but the luck of the pipeline. Dates are window starts.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim.drift import State
from sim.kernels.quality import best_dates as dates_kernel
from sim.kernels.succession import cheapest_succession
from sim.quality import MatrixQuality, Quality, StateQuality
from sim.retraining import expected_duration, expected_price
from sim.world import World

MAX_EPOCHS = 9000


def best_dates(world: World, quality: Quality, state: State) -> NDArray[np.float64]:
    """Days at which to ask for a retraining, (dates,), sorted."""
    scenario = world.scenario
    worth = world.requests * scenario.value_per_query_per_unit_accuracy
    duration, price = expected_duration(scenario), expected_price(scenario)
    if isinstance(quality, MatrixQuality):
        return _recorded_dates(world, quality, worth, duration, price)
    assert isinstance(quality, StateQuality)
    asked = np.arange(scenario.windows) * scenario.window
    learned = np.array([quality.window_at(max(t - world.training_lag, 0.0)) for t in asked])
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
        scenario.loss_reference,
        price,
        world.training_lag,
        duration,
        learned,
        math.ceil(scenario.windows / MAX_EPOCHS),
    )
    return np.asarray(windows * scenario.window, dtype=np.float64)


def _recorded_dates(
    world: World, quality: MatrixQuality, worth: NDArray[np.float64], duration: float, price: float
) -> NDArray[np.float64]:
    """Starts of recorded periods at which to ask for a retraining."""
    scenario = world.scenario
    per_period = round(quality.period / scenario.window)
    delay = math.ceil(duration / scenario.window - 1e-9)
    live = np.append(0, np.arange(per_period + delay, scenario.windows, per_period))
    asked = quality.period * np.arange(live.size, dtype=np.float64)
    loss = np.empty((live.size, live.size))
    for version, time in enumerate(asked):
        row = quality.row(max(time - world.training_lag, 0.0))
        lost = worth * (scenario.loss_reference - quality.matrix[row, quality.columns])
        loss[version] = np.add.reduceat(lost, live)
    return asked[cheapest_succession(loss, price, tie=1e-12 * float(worth.sum()))]
