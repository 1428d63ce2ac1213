"""The drifting world: paths of the feature and concept states, drawn once per replication.

State of window i = the state in the middle of that window; it is constant within the window. Each component draws
from its own stream, so that adding one leaves the others as they were.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scenarios import drift as kinds
from scenarios.schema import Scenario
from sim.kernels.paths import fading_sum, ornstein_uhlenbeck

Array = NDArray[np.float64]
_TIME_SLACK = 1e-9


class State(NamedTuple):
    """State of the world by slice, window and feature; one slice stands for all when they share it."""

    features: Array
    """(slices or 1, windows, features), mean shift in standard deviations."""
    concept: Array
    """(slices or 1, windows)"""


def world_state(scenario: Scenario, stream: Callable[[str], np.random.Generator]) -> State:
    """Paths of the world of one replication; adversarial answers are added when they happen."""
    apart = any(component.slice is not None for component in scenario.drift)
    slices = len(scenario.slice_names) if apart else 1
    state = State(
        np.zeros((slices, scenario.windows, len(scenario.features))),
        np.zeros((slices, scenario.windows)),
    )
    for name, component in named(scenario.drift):
        if isinstance(component, kinds.Adversarial):
            continue
        columns = moved_columns(scenario, component)
        path = _path(component, scenario, len(columns), stream(name))
        for place in moved_slices(scenario, component, slices):
            add(state, component, place, columns, path)
    return state


def named(components: list[kinds.Drift]) -> list[tuple[str, kinds.Drift]]:
    """Components with the names of their random streams.

    A name says what a component is, not where it stands in the file: another component leaves it as it was.
    """
    count: dict[str, int] = {}
    names = []
    for component in components:
        name = f"drift:{component.kind}:{component.on}:{component.slice}:{component.features}"
        count[name] = count.get(name, 0) + 1
        names.append(f"{name}:{count[name]}")
    return list(zip(names, components, strict=True))


def moved_columns(scenario: Scenario, component: kinds.DriftComponent) -> list[int]:
    """Columns of the features that a component moves; one column stands for the concept."""
    if component.on == "concept":
        return [0]
    names = scenario.feature_names
    return (
        list(range(len(names)))
        if component.features == "all"
        else [names.index(n) for n in component.features]
    )


def moved_slices(scenario: Scenario, component: kinds.DriftComponent, slices: int) -> list[int]:
    """Rows of the slices that a component moves."""
    return list(range(slices)) if component.slice is None else [scenario.slice_names.index(component.slice)]


def add(state: State, component: kinds.DriftComponent, place: int, columns: list[int], path: Array) -> None:
    """Add `path` (windows or 1, columns) to what the component moves."""
    if component.on == "concept":
        state.concept[place] += path[:, 0]
    else:
        state.features[place][:, columns] += path


def _path(component: kinds.Drift, scenario: Scenario, columns: int, rng: np.random.Generator) -> Array:
    """Path (windows, columns) of one component."""
    window = scenario.window
    times = (np.arange(scenario.windows) + 0.5) * window
    shape = (len(times), columns)
    match component:
        case kinds.Ramp():
            stop = math.inf if component.stop is None else component.stop
            elapsed = np.clip(times, component.start, stop) - component.start
            return np.broadcast_to((component.rate * elapsed)[:, None], shape)
        case kinds.RandomWalk():
            steps = rng.standard_normal(shape) * (component.volatility * math.sqrt(window))
            steps[0] *= math.sqrt(0.5)
            return np.asarray(np.cumsum(steps, axis=0))
        case kinds.OrnsteinUhlenbeck():
            start, noise = rng.standard_normal(columns), rng.standard_normal(shape)
            ornstein_uhlenbeck(start, noise, math.exp(-window / component.relaxation))
            return noise * component.stationary_sd
        case kinds.Jumps():
            return _jumps(component, window, shape, rng)
        case kinds.Seasonal():
            wave = np.sin(2.0 * np.pi * (times + component.phase) / component.period)
            if component.shape == "square":
                wave = np.where(wave >= 0.0, 1.0, -1.0)
            return np.broadcast_to((component.amplitude * wave)[:, None], shape)
        case kinds.Recorded():
            values = np.asarray(component.series.values, dtype=np.float64)
            steps_done = (times / component.series.step + _TIME_SLACK).astype(np.int64)
            steps_done = np.minimum(steps_done, len(values) - 1)
            return np.broadcast_to(values[steps_done][:, None], shape)
    raise TypeError(f"not a drift component: {component!r}")


def _jumps(component: kinds.Jumps, window: float, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Compound Poisson path: all features of the component jump together, each by its own size."""
    counts = rng.poisson(component.rate * window, size=shape[0])
    shocks = np.zeros(shape)
    hit = np.flatnonzero(counts)
    number = counts[hit][:, None]
    shocks[hit] = component.mean * number + component.sd * np.sqrt(number) * rng.standard_normal(
        (len(hit), shape[1])
    )
    fading_sum(shocks, 1.0 if component.recovery is None else math.exp(-window / component.recovery))
    return shocks
