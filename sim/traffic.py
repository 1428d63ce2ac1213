"""Requests per window: a non-homogeneous Poisson process, recorded rates, or what `serving.arrivals` says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scenarios.schema import Scenario
from scenarios.serving_arrivals import Deterministic, Renewal, SelfSimilar, Trace
from scenarios.units import DAYS_PER_YEAR
from scenarios.world import Burst
from sim.arrival_traces import expected_trace_counts, trace_counts
from sim.durations import draw
from sim.fractional_noise import step_factors
from sim.renewal import renewal_counts

Array = NDArray[np.float64]
_TIME_SLACK = 1e-9


def requests(scenario: Scenario, stream: Callable[[str], np.random.Generator]) -> Array:
    """Number of requests of each window, shape (windows,)."""
    process = None if scenario.serving is None else scenario.serving.arrivals
    if isinstance(process, Trace):
        return trace_counts(process, scenario.windows, scenario.window, stream)
    expected = mean_requests(scenario, stream)
    if isinstance(process, Renewal):
        return renewal_counts(expected, scenario.window, process.cv, stream)
    if isinstance(process, SelfSimilar):
        expected = expected * step_factors(process, scenario, stream).mean(axis=1)
    if scenario.traffic.arrivals == "deterministic" or isinstance(process, Deterministic):
        return expected
    return stream("traffic").poisson(expected).astype(np.float64)


def mean_requests(scenario: Scenario, stream: Callable[[str], np.random.Generator]) -> Array:
    """Mean number of requests of each window with the bursts of this replication, shape (windows,)."""
    expected = expected_requests(scenario)
    if scenario.traffic.bursts is None:
        return expected
    return expected * _burst_factor(scenario.traffic.bursts, scenario, stream("bursts"))


def whole(expected: Array) -> Array:
    """Whole numbers (windows,) that follow `expected` as closely as they can: what is left over goes on to the next.

    >>> whole(np.array([0.4, 0.4, 0.4, 0.8])).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    return np.asarray(np.diff(np.floor(np.cumsum(expected) + 1e-9), prepend=0.0))


def expected_requests(scenario: Scenario) -> Array:
    """Mean number of requests of each window without bursts, shape (windows,)."""
    traffic, window = scenario.traffic, scenario.window
    if scenario.serving is not None and isinstance(scenario.serving.arrivals, Trace):
        return expected_trace_counts(scenario.serving.arrivals, scenario.windows, window)
    times = np.asarray((np.arange(scenario.windows) + 0.5) * window, dtype=np.float64)
    edges = _edges(scenario)
    if traffic.recorded is not None:
        record = traffic.recorded
        assert record.values is not None  # read when the scenario was
        return _cycle_mean(record.values, record.step * len(record.values), edges) * (window / record.step)
    assert traffic.rate is not None  # the schema asks for one of the two
    rate: Array = np.full(len(times), traffic.rate, dtype=np.float64)
    if traffic.daily_profile is not None:
        rate *= _cycle_mean(traffic.daily_profile, 1.0, edges) / np.mean(traffic.daily_profile)
    if traffic.weekly_profile is not None:
        rate *= _cycle_mean(traffic.weekly_profile, 7.0, edges) / np.mean(traffic.weekly_profile)
    rate *= (1.0 + traffic.growth_per_year) ** (times / DAYS_PER_YEAR)
    for campaign in traffic.campaigns:
        covered = _coverage(campaign.start, campaign.start + campaign.duration, edges)
        rate *= 1.0 + (campaign.factor - 1.0) * covered
    return rate * window


def _edges(scenario: Scenario) -> Array:
    """Starts of the windows and the end of the last one, days."""
    return np.asarray(np.arange(scenario.windows + 1) * scenario.window, dtype=np.float64)


def _cycle_mean(values: list[float], cycle: float, edges: Array) -> Array:
    """Mean within each window of equal steps that repeat after `cycle` days; edges: (windows + 1,) days."""
    grid = np.linspace(0.0, cycle, len(values) + 1)
    area = np.concatenate(([0.0], np.cumsum(values))) * (cycle / len(values))
    cycles = np.floor(edges / cycle + _TIME_SLACK)
    until = cycles * area[-1] + np.interp(np.maximum(edges - cycles * cycle, 0.0), grid, area)
    mean = np.diff(until) / np.diff(edges)
    # A window within one step has that step's value, without the rounding of the integral.
    step = cycle / len(values)
    first = np.floor(edges[:-1] / step + _TIME_SLACK).astype(np.int64)
    last = np.ceil(edges[1:] / step - _TIME_SLACK).astype(np.int64) - 1
    held = np.asarray(values, dtype=np.float64)[first % len(values)]
    return np.where(first == last, held, mean)


def _coverage(start: float, end: float, edges: Array) -> Array:
    """Share of each window that lies between two moments (days)."""
    inside = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
    return np.asarray(np.maximum(inside, 0.0) / np.diff(edges), dtype=np.float64)


def _burst_factor(bursts: Burst, scenario: Scenario, rng: np.random.Generator) -> Array:
    """Factor of each window; bursts that overlap are one crowd."""
    edges = _edges(scenario)
    covered = np.zeros(scenario.windows)
    onsets = np.sort(rng.random(rng.poisson(bursts.rate * scenario.horizon))) * scenario.horizon
    for onset in onsets:
        end = onset + draw(bursts.duration, rng.random)
        first = int(onset / scenario.window)
        last = min(int(end / scenario.window) + 1, scenario.windows)
        covered[first:last] += _coverage(onset, end, edges[first : last + 1])
    return 1.0 + (bursts.factor - 1.0) * np.minimum(covered, 1.0)
