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
    return windows * scenario.window


def _recorded_dates(
    world: World, quality: MatrixQuality, worth: NDArray[np.float64], duration: float, price: float
) -> NDArray[np.float64]:
    """Backward dynamic programme over the starts of the recorded periods."""
    scenario = world.scenario
    per_period = round(quality.period / scenario.window)
    delay = math.ceil(duration / scenario.window - 1e-9)
    epochs = -(-scenario.windows // per_period)
    value, following = np.zeros(epochs), np.full(epochs, -1)
    for k in range(epochs - 1, -1, -1):
        live = k * per_period + delay if k else 0
        row = quality.row(max(k * quality.period - world.training_lag, 0.0))
        loss = worth[live:] * (scenario.loss_reference - quality.matrix[row, quality.columns[live:]])
        lost = np.concatenate(([0.0], np.cumsum(loss)))
        value[k] = lost[-1]
        for later in range(k + 1, epochs):
            end = later * per_period + delay - live
            if 0 <= end < len(lost) and lost[end] + price + value[later] < value[k]:
                value[k], following[k] = lost[end] + price + value[later], later
    dates, k = [], following[0]
    while k >= 0:
        dates.append(k * quality.period)
        k = following[k]
    return np.array(dates)
