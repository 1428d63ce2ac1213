"""Watches of accuracy, overall or of a slice, from the labels that have arrived."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scenarios.monitoring import Monitor
from sim.distribution_scores import normal_score
from sim.kernels import sampling
from sim.kernels.orderings import ordered_errors
from sim.randomness import moment_number
from sim.watch import SAMPLING, Array, Champion, Watch
from sim.world import World

LABELS_AT_ONCE = 1 << 20
"""Labels that a detector is fed at once, about: bounds memory, never shows in a result."""


class LabelWatch(Watch):
    """Accuracy, overall or of a slice, from the labels that have arrived; the score is the drop."""

    def __init__(self, monitor: Monitor, world: World) -> None:
        super().__init__(monitor, world)
        scenario, batches = world.scenario, world.labels
        self.slice = None if monitor.slice is None else scenario.slice_names.index(monitor.slice)
        self.weights = np.array(scenario.slice_weights)
        self.method = SAMPLING[monitor.sampling]
        self.key = world.key(f"labels:{self.label}")
        self.order_key = world.key(f"order:{self.label}")
        self.count = batches.count
        if self.slice is not None:
            self.count = self._slice_labels(world)
        if monitor.rows is not None:
            self.count = _at_most(monitor.rows, self.count, batches.first)
        arrival = np.repeat(np.arange(self.windows), np.diff(batches.first))
        self.bought = np.where(self.in_use()[arrival], self.count, 0.0)
        """(batches,) labels that enter a score, which are paid for."""
        self.labels = np.zeros(self.windows + 1)
        self.correct = np.zeros(self.windows + 1)
        self.measured = np.full(self.windows, np.nan)

    def reset(self, champion: Champion) -> None:
        """Start again on a new champion: only labels of requests that it served count."""
        super().reset(champion)
        self.measured[champion.window :] = np.nan
        self._reference_look = -1
        self.reference, self.reference_rows = math.nan, math.inf
        if self.monitor.reference == "validation":
            self.reference, self.reference_rows = self._validated(champion)

    def rewind(self, window: int) -> None:
        """Forget also a reference that was measured past the change."""
        if self._reference_look >= window:
            self.reference, self._reference_look = math.nan, -1
        self.measured[window:] = np.nan
        super().rewind(window)

    def _validated(self, champion: Champion) -> tuple[float, float]:
        """Accuracy that validation measured, of a slice on its share of the holdout, and the rows behind it.

        Where nothing was measured the true accuracy, as from endless rows.
        """
        gate = self.world.scenario.pipeline.gate
        if self.slice is None:
            measured = champion.version.validation
            if math.isnan(measured):
                return champion.fresh_accuracy, math.inf
            return measured, math.inf if gate is None else float(gate.holdout)
        true = float(champion.fresh[self.slice])
        rows = 0 if gate is None else round(gate.holdout * self.weights[self.slice])
        if rows == 0 or champion.version.number == 0:
            return true, math.inf
        moment = moment_number(champion.version.cut)
        right = sampling.binomial_once(self.world.key(f"holdout:{self.label}"), moment, rows, true)
        return right / rows, float(rows)

    def oldest(self, look: int) -> int:
        """Labels come late: those of a look are of requests as old as the window and the delay together."""
        batches, begin = self.world.labels, super().oldest(look)
        arrived = slice(batches.first[begin], batches.first[look + 1])
        served = batches.window[arrived][self.count[arrived] > 0]
        served = served[served >= self.champion.first_full]
        return int(served.min(initial=begin))

    def sample_size(self, looks: NDArray[np.int64]) -> Array:
        """Labels in the trailing window of each look."""
        return self.labels[looks + 1] - self.labels[self._begin(looks)]

    def points(self, first: int, stop: int) -> float:
        """One of each label that arrives and is looked at."""
        batches = self.world.labels
        return float(self.bought[batches.first[first] : batches.first[stop]].sum())

    def p_values(self, looks: NDArray[np.int64]) -> Array:
        """Chance of so few right answers, as Fisher's exact test of them against the reference."""
        return self._chances(looks, "cdf")[0]

    def standardised(self, looks: NDArray[np.int64]) -> Array:
        """Normal score of the chance of so few right answers, half of the chance of exactly as many left out.

        The half keeps the mean at 0 where answers are few. Without sampling noise, the drop in standard errors.
        """
        if self.monitor.sampling == "none":
            spread = max(self.reference * (1.0 - self.reference), 1e-12)
            share = 1.0 / np.maximum(self.sample_size(looks), 1.0) + 1.0 / self.reference_rows
            return np.asarray(self.score[looks] / np.sqrt(spread * share))
        at_most, exactly = self._chances(looks, "cdf", "pmf")
        return normal_score(at_most - 0.5 * exactly)

    def _chances(self, looks: NDArray[np.int64], *wanted: Literal["cdf", "pmf"]) -> list[Array]:
        """Chance of at most (cdf) or exactly (pmf) as many right answers as each look has; NaN without a score."""
        from scipy.stats import binom, hypergeom

        if math.isnan(self.reference):
            return [np.full(len(looks), np.nan) for _ in wanted]
        number = np.rint(self.sample_size(looks))
        right = np.rint(self.correct[looks + 1] - self.correct[self._begin(looks)])
        if math.isinf(self.reference_rows):
            law = binom(number, self.reference)
        else:
            pooled = right + round(self.reference * self.reference_rows)
            law = hypergeom(number + self.reference_rows, pooled, number)
        known = ~np.isnan(self.score[looks])
        return [np.where(known, getattr(law, name)(right), np.nan) for name in wanted]

    def threshold_of(self, probability: float, look: int) -> float:
        """Drop that chance alone passes with a given probability, by the normal approximation."""
        from scipy.special import ndtri

        share = 1.0 / max(float(self.sample_size(np.array([look]))[0]), 1.0) + 1.0 / self.reference_rows
        return float(-ndtri(probability) * math.sqrt(self.reference * (1.0 - self.reference) * share))

    def stream(self, looks: NDArray[np.int64]) -> Iterator[tuple[Array, NDArray[np.int64]]]:
        """Standardised drops, or for a detector that reads labels every answer: 0 right, 1 wrong."""
        if not self.monitor.reads_labels:
            yield from super().stream(looks)
            return
        start = self._unread_since(int(looks[0]))
        windows = np.arange(start, int(looks[-1]) + 1)
        labels, correct = (
            np.rint(np.diff(total[start : windows[-1] + 2])).astype(np.int64)
            for total in (self.labels, self.correct)
        )
        look_of = looks[np.searchsorted(looks, windows)]
        part = np.cumsum(labels) // LABELS_AT_ONCE
        for number in np.unique(part):
            chosen = part == number
            values = np.empty(int(labels[chosen].sum()))
            ordered_errors(self.order_key, windows[chosen], labels[chosen], correct[chosen], values)
            yield values, np.repeat(look_of[chosen], labels[chosen])

    def _unread_since(self, look: int) -> int:
        """First window whose labels no look before `look` has read: those of blind looks wait for the next one."""
        before = look - self.cadence
        while self.blind is not None and before >= self.champion.first_full and self.blind[before]:
            before -= self.cadence
        return max(before + 1, self.champion.first_full)

    def _begin(self, looks: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.maximum(looks + 1 - self.width, self.champion.first_full)

    def _slice_labels(self, world: World) -> Array:
        batches = world.labels
        share = np.full(len(batches.count), self.weights[self.slice])
        count = np.empty(len(batches.count))
        key = world.key(f"slice_labels:{self.slice}")
        sampling.binomial_at(key, batches.identity, batches.count.astype(np.int64), share, count)
        return count

    def _fill(self, first: int, stop: int, accuracy: Array) -> None:
        self._count_labels(first, stop, accuracy)
        self.measured[first:stop] = np.nan
        looks = self.seeing(first, stop)
        if len(looks) == 0:
            return
        number = self.sample_size(looks)
        right = self.correct[looks + 1] - self.correct[self._begin(looks)]
        enough = number >= (1 if self.monitor.reads_labels else self.monitor.min_samples)
        measured = np.divide(right, number, out=np.full(len(looks), np.nan), where=enough)
        if math.isnan(self.reference) and enough.any():
            self._reference_look = int(looks[enough][0])
            self.reference, self.reference_rows = float(measured[enough][0]), float(number[enough][0])
        self.measured[looks] = measured
        self.score[looks] = self.reference - measured

    def _count_labels(self, first: int, stop: int, accuracy: Array) -> None:
        """Add up the labels that arrive in windows first..stop-1 for requests that the champion served alone."""
        batches, served = self.world.labels, self.champion.first_full
        begin, end = batches.first[first], batches.first[stop]
        age = batches.window[begin:end] - served
        count = np.where(age >= 0, self.count[begin:end], 0.0)
        fresh = accuracy[:, served:stop]
        chance = (fresh[self.slice] if self.slice is not None else self.weights @ fresh)[np.maximum(age, 0)]
        correct = count * chance
        if self.method != SAMPLING["none"]:
            sampling.binomial_at(
                self.key, batches.identity[begin:end], count.astype(np.int64), chance, correct
            )
        arrived = batches.first[first + 1 : stop + 1] - begin
        for total, part in ((self.labels, count), (self.correct, correct)):
            running = np.zeros(len(part) + 1)
            np.cumsum(part, out=running[1:])
            total[first + 1 : stop + 1] = total[first] + running[arrived]


def _at_most(rows: int, count: Array, first: NDArray[np.int64]) -> Array:
    """Labels of each batch (batches,) when at most `rows` of those that arrive in a window are looked at."""
    total = np.concatenate(([0.0], np.cumsum(count)))
    begin = np.repeat(total[first[:-1]], np.diff(first))
    arriving = np.repeat(total[first[1:]], np.diff(first)) - begin
    share = np.minimum(rows / np.maximum(arriving, 1.0), 1.0)
    # Rounding the running number of the window, not each batch, uses the limit up and does not pass it.
    before, after = total[:-1] - begin, total[1:] - begin
    return np.asarray(np.floor(after * share + 1e-9) - np.floor(before * share + 1e-9))
