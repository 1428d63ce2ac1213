"""Control variates for simulated costs: the closed form of staleness, fed with what each world really had.

The control is what a model retrained on schedule would lose in the traffic and the drift of one world, without the
noise, gates and failures of the pipeline. Its expectation is known from the laws of traffic and drift, so that the
difference corrects the simulated mean (`analysis.statistics.controlled_mean`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from analysis.ranges import POSITIVE
from scenarios import drift as kinds
from scenarios.distributions import Empirical
from scenarios.schema import Scenario
from scenarios.world import Burst, Degradation, ExponentialDecay, RecordedQuality
from sim.drift import State, moved_columns, moved_slices, world_state
from sim.durations import AnyDuration, quantile
from sim.kernels.quality import mean_decay
from sim.labels import training_lag
from sim.randomness import stream
from sim.retraining import expected_duration
from sim.traffic import expected_requests
from sim.world import World

Array = NDArray[np.float64]
_FIXED = (kinds.Ramp, kinds.Seasonal, kinds.Recorded)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)


class Controls(NamedTuple):
    """A control of each replication, and its known mean; in the order that `controlled_mean` takes."""

    values: Array
    """(replications,) USD over the horizon."""
    expectation: float


def staleness_controls(scenario: Scenario, interval: float, replications: int, seed: int = 0) -> Controls:
    """Controls of worlds 0 to replications - 1 for a policy that retrains about every `interval` days.

    interval: days, > 0 (the horizon or more: never); for a policy that reacts, its usual one. Any interval is right,
    the nearest one gains most. Raises ValueError where the expectation has no closed form: recorded quality, and
    drift by jumps or adversaries.

    >>> import scenarios
    >>> controls = staleness_controls(scenarios.load("rotting_asset"), 90.0, replications=2)
    >>> controls.values.round(2).tolist(), round(controls.expectation, 2)
    ([43382.72, 43382.72], 43382.72)
    """
    POSITIVE.check("interval", interval, "days")
    plan = _schedule(scenario, interval)
    expected = _expected_loss(scenario, plan)
    worth = scenario.value_per_query_per_unit_accuracy
    values = np.empty(replications)
    for replication in range(replications):
        world = World(scenario, seed, replication)
        values[replication] = worth * float(world.requests @ _loss(scenario, plan, world.state()))
    return Controls(values, worth * float(expected_traffic(scenario) @ expected))


def expected_traffic(scenario: Scenario) -> Array:
    """Mean number of requests of each window, bursts included, shape (windows,).

    Bursts come as a Poisson process and overlapping ones are one crowd: it is there at time t with probability
    1 - exp(-rate * E[min(duration, t)]), the busy probability of M/G/infinity that starts empty (Takacs 1962).
    """
    expected = expected_requests(scenario)
    bursts = scenario.traffic.bursts
    if bursts is None:
        return expected
    return np.asarray(expected * (1.0 + (bursts.factor - 1.0) * _crowded(bursts, scenario)))


class _Schedule(NamedTuple):
    """What serves in each window."""

    seen: NDArray[np.int64]
    """(windows,) newest window that the model in service was trained on."""
    ages: Array
    """(windows, 2) age of the model at the start and at the end of the window, days."""


def _schedule(scenario: Scenario, interval: float) -> _Schedule:
    """Retrainings at multiples of the interval that take their average duration."""
    starts = np.arange(scenario.windows) * scenario.window
    middle = starts + 0.5 * scenario.window
    dates = np.floor(np.maximum(middle - expected_duration(scenario), 0.0) / interval + 1e-9) * interval
    cuts = np.maximum(dates - training_lag(scenario), 0.0)
    seen = np.maximum(np.ceil(cuts / scenario.window - 1e-9).astype(np.int64) - 1, 0)
    since = np.maximum(starts - cuts, 0.0)
    return _Schedule(seen, np.stack([since, since + scenario.window], axis=1))


def _loss(scenario: Scenario, plan: _Schedule, state: State) -> Array:
    """Accuracy lost in each window of a known world, (windows,)."""
    quality = scenario.quality
    if not isinstance(quality, Degradation):
        return _aged(scenario, plan)
    moved = state.features - state.features[:, plan.seen]
    shifted = np.abs(state.concept - state.concept[:, plan.seen])
    lost = moved**2 @ _sensitivity(scenario, quality) + quality.concept_sensitivity * shifted
    return _over_slices(scenario, lost)


def _expected_loss(scenario: Scenario, plan: _Schedule) -> Array:
    """Mean of `_loss` over all worlds, (windows,)."""
    quality = scenario.quality
    if isinstance(quality, RecordedQuality):
        raise ValueError("quality: got recorded, expected exponential or degradation for a closed form")
    if not isinstance(quality, Degradation):
        return _aged(scenario, plan)
    path, features, concept = _increments(scenario, plan)
    mean = path.features - path.features[:, plan.seen]
    shift, sd = path.concept - path.concept[:, plan.seen], np.sqrt(concept)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(sd > 0.0, shift / sd, 0.0)
    # The mean of |N(shift, sd)| (folded normal).
    folded = sd * math.sqrt(2.0 / math.pi) * np.exp(-0.5 * ratio**2) + shift * (1.0 - 2.0 * ndtr(-ratio))
    folded = np.where(sd > 0.0, folded, np.abs(shift))
    lost = (mean**2 + features) @ _sensitivity(scenario, quality) + quality.concept_sensitivity * folded
    return _over_slices(scenario, lost)


def _aged(scenario: Scenario, plan: _Schedule) -> Array:
    """Accuracy lost by exponential decay, (windows,)."""
    quality = scenario.quality
    assert isinstance(quality, ExponentialDecay)
    left = np.array([mean_decay(quality.decay, since, until) for since, until in plan.ages])
    return np.asarray(quality.initial_accuracy * (1.0 - left))


def _increments(scenario: Scenario, plan: _Schedule) -> tuple[State, Array, Array]:
    """Mean path of the world, and the variances of its change since the model was trained.

    Variances: of features (slices or 1, windows, features), of the concept (slices or 1, windows).
    """
    sure = [component for component in scenario.drift if isinstance(component, _FIXED)]
    path = world_state(scenario.model_copy(update={"drift": sure}), lambda name: stream(0, 0, name))
    apart = any(component.slice is not None for component in scenario.drift)
    slices = len(scenario.slice_names) if apart else 1
    path = State(*(np.repeat(part, slices // len(part), axis=0) for part in path))
    features, concept = np.zeros_like(path.features), np.zeros_like(path.concept)
    elapsed = (np.arange(scenario.windows) - plan.seen) * scenario.window
    for component in scenario.drift:
        variance = _variance(component, np.maximum(elapsed, 0.0))
        for place in moved_slices(scenario, component, slices):
            if component.on == "concept":
                concept[place] += variance
            else:
                features[place][:, moved_columns(scenario, component)] += variance[:, None]
    return path, features, concept


def _variance(component: kinds.Drift, elapsed: Array) -> Array:
    """Variance of the change of a component after `elapsed` days."""
    if isinstance(component, _FIXED):
        return np.zeros_like(elapsed)
    if isinstance(component, kinds.RandomWalk):
        return component.volatility**2 * elapsed
    if isinstance(component, kinds.OrnsteinUhlenbeck):
        return -2.0 * component.stationary_sd**2 * np.expm1(-elapsed / component.relaxation)
    raise ValueError(f"drift: got {component.kind}, expected kinds whose expected loss has a closed form")


def _sensitivity(scenario: Scenario, quality: Degradation) -> Array:
    return quality.feature_sensitivity * np.array([feature.weight for feature in scenario.features])


def _over_slices(scenario: Scenario, lost: Array) -> Array:
    """Mean over slices of (slices or 1, windows), by their shares of the requests."""
    return lost[0] if len(lost) == 1 else np.asarray(np.array(scenario.slice_weights) @ lost)


def _crowded(bursts: Burst, scenario: Scenario) -> Array:
    """Mean share of each window during which a burst goes on, (windows,)."""
    starts = np.arange(scenario.windows) * scenario.window
    times = starts[:, None] + 0.5 * scenario.window * (1.0 + _NODES)
    busy = -np.expm1(-bursts.rate * _mean_until(bursts.duration, times.ravel()))
    return np.asarray(busy.reshape(times.shape) @ (0.5 * _WEIGHTS))


def _mean_until(duration: AnyDuration, times: Array) -> Array:
    """E[min(duration, t)] for times (n,), days."""
    if isinstance(duration, Empirical):
        lengths = np.asarray(duration.values, dtype=np.float64)
        weights = np.full(len(lengths), 1.0 / len(lengths))
    else:
        # Panels that halve towards probability 1 follow a heavy tail.
        edges = 1.0 - 0.5 ** np.append(np.arange(45.0), np.inf)
        half = 0.5 * np.diff(edges)[:, None]
        lengths = quantile(duration, (edges[:-1, None] + half * (1.0 + _NODES)).ravel())
        weights = (half * _WEIGHTS).ravel()
    return np.concatenate([np.minimum(lengths, t[:, None]) @ weights for t in np.array_split(times, 16)])
