"""Requests per window: a non-homogeneous Poisson process, or recorded rates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scenarios.recorded import RecordedSeries
from scenarios.schema import Scenario
from scenarios.units import DAYS_PER_YEAR
from scenarios.world import Burst
from sim.durations import draw

Array = NDArray[np.float64]


def requests(scenario: Scenario, stream: Callable[[str], np.random.Generator]) -> Array:
    """Number of requests of each window, shape (windows,)."""
    expected = expected_requests(scenario)
    if scenario.traffic.bursts is not None:
        expected = expected * _burst_factor(scenario.traffic.bursts, scenario, stream("bursts"))
    if scenario.traffic.arrivals == "deterministic":
        return expected
    return stream("traffic").poisson(expected).astype(np.float64)


def expected_requests(scenario: Scenario) -> Array:
    """Mean number of requests of each window without bursts, shape (windows,)."""
    traffic, window = scenario.traffic, scenario.window
    times = np.asarray((np.arange(scenario.windows) + 0.5) * window, dtype=np.float64)
    if traffic.recorded is not None:
        return _recorded(traffic.recorded, times) * (window / traffic.recorded.step)
    assert traffic.rate is not None  # the schema asks for one of the two
    rate: Array = np.full(len(times), traffic.rate, dtype=np.float64)
    if traffic.daily_profile is not None:
        rate *= _profile(traffic.daily_profile, times % 1.0)
    if traffic.weekly_profile is not None:
        rate *= _profile(traffic.weekly_profile, (times / 7.0) % 1.0)
    rate *= (1.0 + traffic.growth_per_year) ** (times / DAYS_PER_YEAR)
    for campaign in traffic.campaigns:
        rate[(times >= campaign.start) & (times < campaign.start + campaign.duration)] *= campaign.factor
    return rate * window


def _recorded(record: RecordedSeries, times: Array) -> Array:
    values = np.asarray(record.values, dtype=np.float64)
    steps = (times / record.step).astype(np.int64) % len(values)
    return np.asarray(values[steps], dtype=np.float64)


def _profile(profile: list[float], phase: Array) -> Array:
    """Factor at `phase` in [0, 1) of the cycle; the mean over a cycle is 1."""
    shape = np.asarray(profile, dtype=np.float64)
    part = np.minimum((phase * len(shape)).astype(np.int64), len(shape) - 1)
    return np.asarray(shape[part] / shape.mean(), dtype=np.float64)


def _burst_factor(bursts: Burst, scenario: Scenario, rng: np.random.Generator) -> Array:
    factor = np.ones(scenario.windows)
    onsets = np.sort(rng.random(rng.poisson(bursts.rate * scenario.horizon))) * scenario.horizon
    for onset in onsets:
        first = int(onset / scenario.window)
        last = int((onset + draw(bursts.duration, rng.random)) / scenario.window)
        factor[first : last + 1] = bursts.factor
    return factor
