"""Labels: which requests get one, and when it arrives.

The labels of one window come in batches, each with a delay of its own. The delays of a window's batches are
stratified over the delay distribution, so that together they follow it closely.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.distributions import Fixed
from scenarios.schema import Scenario
from sim.durations import quantile

BATCHES = 4


@dataclass(frozen=True)
class LabelBatches:
    """All batches that arrive within the horizon, in the order of their arrival."""

    identity: NDArray[np.int64]
    """(batches,) number of the batch: the noise of its labels is tied to it."""
    window: NDArray[np.int64]
    """(batches,) window of the requests."""
    count: NDArray[np.float64]
    """(batches,) number of labels."""
    first: NDArray[np.int64]
    """(windows + 1,) batches first[j] to first[j + 1] - 1 arrive in window j."""


def label_batches(
    scenario: Scenario, requests: NDArray[np.float64], stream: Callable[[str], np.random.Generator]
) -> LabelBatches:
    """Draw the labels of every window (requests: shape (windows,)) and sort them by arrival."""
    windows = scenario.windows
    if scenario.labels is None:
        nothing = np.zeros(0, dtype=np.int64)
        return LabelBatches(nothing, nothing, np.zeros(0), np.zeros(windows + 1, dtype=np.int64))
    parts = 1 if isinstance(scenario.labels.delay, Fixed) else BATCHES
    count = _labelled(requests, scenario.labels.coverage, parts, stream("label_coverage"))
    strata = (np.arange(parts) + stream("label_delay").random((windows, parts))) / parts
    delay = quantile(scenario.labels.delay, strata)
    asked = (np.arange(windows) + 0.5) * scenario.window
    arrival = np.floor((asked[:, None] + delay) / scenario.window + 1e-9).astype(np.int64).ravel()
    order = np.argsort(arrival, kind="stable")
    order = order[(arrival[order] < windows) & (count.ravel()[order] > 0)]
    first = np.searchsorted(arrival[order], np.arange(windows + 1))
    return LabelBatches(order, order // parts, count.ravel()[order], first.astype(np.int64))


def training_lag(scenario: Scenario) -> float:
    """Days by which the data cut of a training lags: the median label delay, 0 without labels."""
    return 0.0 if scenario.labels is None else float(quantile(scenario.labels.delay, 0.5))


def _labelled(
    requests: NDArray[np.float64], coverage: float, parts: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Labels per window and part; every request has the same chance."""
    # Expected numbers of requests need not be whole: what is left of one window counts in a later one.
    whole = np.diff(np.floor(np.cumsum(requests) + 1e-6), prepend=0.0).astype(np.int64)
    if coverage == 1.0 and parts == 1:
        return whole[:, None].astype(np.float64)
    labelled = rng.binomial(whole, coverage)
    return rng.multinomial(labelled, np.full(parts, 1.0 / parts)).astype(np.float64)
