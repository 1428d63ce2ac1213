"""What requests experienced: quantiles of latency over a run of any length, and minutes in which the objective fell.

Up to two million latencies are kept and quantiles are exact; of more, counts in bins of 0.1 % are kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sim.kernels.latency_counts import BINS, LOWEST, RATIO, count_intervals, count_latencies

Array = NDArray[np.float64]
EXACT = 2_000_000
"""Latencies that are kept one by one, at most."""
COLUMNS = ("requests", "lost", "slow", "sum_s", "max_s", "rounding_s")


class LatencyRecord:
    """Latencies of a run, block by block.

    horizon, interval: seconds; limit: seconds, above which a request is slow (infinite without an objective).

    >>> record = LatencyRecord(horizon=120.0, interval=60.0, limit=0.1)
    >>> record.add(np.array([1.0, 2.0, 70.0]), np.array([0.05, 0.2, 0.07]), np.array([False, False, False]))
    >>> record.quantile(0.5), record.intervals()["slow"].tolist()
    (0.07, [1, 0])
    """

    def __init__(self, horizon: float, interval: float = 60.0, limit: float = math.inf) -> None:
        self.interval, self.limit, self.horizon = interval, limit, horizon
        self.served = 0
        self.lost = 0
        self._sums = np.zeros(2)
        self.largest = 0.0
        self._kept: list[Array] | None = []
        self._counts = np.zeros(BINS, dtype=np.int64)
        self._table = np.zeros((max(math.ceil(horizon / interval - 1e-9), 1), len(COLUMNS)))
        self._came = np.zeros(len(self._table), dtype=np.int64)

    def expect(self, arrival: Array) -> None:
        """Requests that come (seconds, sorted, (n,)), so that those without a fate at the end are known, too."""
        if len(arrival):
            place = np.minimum((arrival / self.interval).astype(np.int64), len(self._came) - 1)
            first = int(place[0])
            counts = np.bincount(place - first)
            self._came[first : first + len(counts)] += counts

    def add(self, arrival: Array, latency: Array, lost: NDArray[np.bool_]) -> None:
        """Requests whose fate is known: arrival and latency (seconds, any value for what was lost), all (n,)."""
        count_intervals(arrival, latency, lost, self.interval, self.limit, self._table)
        answered = latency[~lost] if lost.any() else latency
        self.lost += len(latency) - len(answered)
        self.served += len(answered)
        self.largest = max(self.largest, count_latencies(answered, _log(answered), self._counts, self._sums))
        if self._kept is not None:
            self._kept.append(answered.copy())
            if self.served > EXACT:
                self._kept = None

    @property
    def exact(self) -> bool:
        """Whether quantiles are those of the latencies themselves, not of bins."""
        return self._kept is not None

    @property
    def total(self) -> float:
        """Latencies of what was served, together, seconds."""
        return float(self._sums.sum())

    @property
    def mean(self) -> float:
        """Mean latency of what was served, seconds; NaN when nothing was."""
        return self.total / self.served if self.served else math.nan

    def quantile(self, probability: ArrayLike) -> float | Array:
        """Latency (seconds) that a share of the served requests does not exceed, linear between neighbours.

        probability: in [0, 1], scalar or array. NaN when nothing was served. Within 0.05 % where not `exact`.
        """
        chance = np.asarray(probability, dtype=np.float64)
        if not self.served:
            found = np.full(chance.shape, math.nan)
        elif self._kept is not None:
            self._kept = [np.concatenate(self._kept)]
            found = np.quantile(self._kept[0], chance)
        else:
            found = self._from_bins(chance)
        return float(found) if np.ndim(found) == 0 else np.asarray(found)

    def _from_bins(self, chance: Array) -> Array:
        return np.asarray(np.minimum(_read(self._counts, chance), self.largest))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Served requests by bin of latency, (BINS,)."""
        return self._counts

    @property
    def _unfinished(self) -> NDArray[np.int64]:
        return np.maximum(self._came - self._table[:, 0].astype(np.int64), 0)

    def intervals(self) -> pd.DataFrame:
        """One row an interval, of the requests that came in it.

        start_s, requests (whose fate is known), lost, slow (served, above the limit), mean_s, max_s, unfinished
        (without a fate at the end)
        """
        requests, lost, slow, total, largest, rounding = self._table.T
        served, total = requests - lost, total + rounding
        return pd.DataFrame(
            {
                "start_s": np.arange(len(requests)) * self.interval,
                "requests": requests.astype(np.int64),
                "lost": lost.astype(np.int64),
                "slow": slow.astype(np.int64),
                "mean_s": np.divide(total, served, out=np.full(len(total), math.nan), where=served > 0),
                "max_s": largest,
                "unfinished": self._unfinished,
            }
        )

    def missed(self, quantile: float, loss: float = 1.0) -> int:
        """Intervals in which the objective was missed.

        quantile: more than a share 1 - quantile of the requests was slow or lost, so that the quantile of the interval
        is above the limit; loss: more than this share was lost. An interval without requests misses nothing. Requests
        without a fate at the end are slow where they have been there for longer than the limit.
        """
        requests, lost, slow = self._table.T[:3]
        ends = np.minimum(np.arange(1, len(requests) + 1) * self.interval, self.horizon)
        late = np.where(ends + self.limit <= self.horizon, self._unfinished, 0)
        bad = (slow + lost + late) > (1.0 - quantile) * (requests + late) + 1e-9
        return int(np.count_nonzero((bad & math.isfinite(self.limit)) | (lost > loss * requests + 1e-9)))


def _log(latency: Array) -> Array:
    return np.asarray(np.log(np.maximum(latency, LOWEST)))


def pooled_quantile(
    records: Sequence[LatencyRecord], weights: Sequence[float], probability: ArrayLike
) -> float | Array:
    """Quantile of the latencies of several runs together, each counted with a weight; of one run, its own.

    probability: in [0, 1], scalar or array. NaN when nothing was served. Within 0.05 % of several runs.
    """
    if len(records) == 1:
        return records[0].quantile(probability)
    chance = np.asarray(probability, dtype=np.float64)
    counts = np.sum([weight * record.counts for record, weight in zip(records, weights, strict=True)], axis=0)
    if not counts.sum() > 0.0:
        found = np.full(chance.shape, math.nan)
    else:
        found = np.minimum(_read(counts, chance), max(record.largest for record in records))
    return float(found) if np.ndim(found) == 0 else np.asarray(found)


def _read(counts: NDArray[Any], chance: Array) -> Array:
    """The middle of the bin that holds each quantile."""
    reached = np.cumsum(counts)
    lowest = reached[np.flatnonzero(counts)[0]]
    place = np.searchsorted(reached, np.maximum(chance * reached[-1], lowest * 1e-9), side="left")
    return np.asarray(LOWEST * RATIO ** (np.minimum(place, BINS - 1) + 0.5))
