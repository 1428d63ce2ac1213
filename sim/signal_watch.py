"""Watches of signals, such as throughput, broken rows, the age of data or conversions; and of the truth.

What was measured is said by the signal's reading (`sim.signal_readings`), one small class for each kind.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scenarios.monitoring import Monitor
from scenarios.signals import Lift
from sim.distribution_scores import normal_score
from sim.incidents import TIME_SLACK
from sim.signal_readings import reading_of
from sim.watch import Array, Champion, Watch
from sim.world import World

Looks = NDArray[np.int64]


class SignalWatch(Watch):
    """One signal against its usual behaviour; the score grows in the direction that is bad."""

    def __init__(self, monitor: Monitor, world: World) -> None:
        super().__init__(monitor, world)
        signal = world.scenario.signal(monitor.signal or "")
        self.lift = signal if isinstance(signal, Lift) else None
        self.reading = reading_of(signal, self)
        falling = signal.kind in ("throughput", "lift")
        self.direction = monitor.direction or ("down" if falling else "up")
        by_level = signal.kind in ("proportion", "freshness") and self.direction == "up"
        self.level = (monitor.measure or ("level" if by_level else "change")) == "level"

    def reset(self, champion: Champion) -> None:
        """Start again on a new champion; the first one is the model whose accuracy is usual."""
        super().reset(champion)
        self.reading.begin(champion.first_full)
        if champion.version.number == 0 and champion.since == 0.0:  # not when it is rolled back to
            self.usual_accuracy = champion.fresh_accuracy

    @property
    def follows_accuracy(self) -> bool:
        """Signals that have nothing to do with the model tell of failures only."""
        signal = self.world.scenario.signal(self.monitor.signal or "")
        return signal.kind == "lift" or (
            signal.kind in ("proportion", "mean") and signal.per_accuracy_lost != 0.0
        )

    def points(self, first: int, stop: int) -> float:
        """A point a look from the servers' counters, or one from each row that is looked at."""
        rows = self.reading.rows(first, stop)
        return float(len(self.looks(first, stop))) if rows is None else self.used_share * rows

    def sample_size(self, looks: Looks) -> Array:
        """Requests behind the score of each look."""
        return self.reading.number(self._begin(looks), looks + 1)

    def p_values(self, looks: Looks) -> Array:
        """Chance of a value as bad as that of each look while the signal is as usual; NaN without a score."""
        return self._known(looks, self._chance(looks, 1.0))

    def standardised(self, looks: Looks) -> Array:
        """The same chance as a normal score, with half of that of exactly this value left out."""
        return normal_score(self._known(looks, self._chance(looks, 0.5)))

    def threshold_of(self, probability: float, look: int) -> float:
        """Score that chance alone passes with a given probability, by the normal approximation."""
        from scipy.special import ndtri

        begin, end = self._begin(np.array([look])), np.array([look + 1])
        tail = probability / (2.0 if self.direction == "both" else 1.0)
        excess = -float(ndtri(tail)) * float(self.reading.spread(begin, end)[0])
        usual = float(self.reading.usual(begin, end)[0])
        return usual + excess if self.level else excess / usual

    def lost(self, first: int, stop: int) -> Array:
        """Accuracy that the model has lost in windows first..stop-1."""
        weights = np.asarray(self.world.scenario.slice_weights)
        return np.asarray(self.usual_accuracy - weights @ self.accuracy[:, first:stop])

    def _begin(self, looks: Looks) -> Looks:
        return np.maximum(looks + 1 - self.width, self.champion.first_full)

    def _known(self, looks: Looks, values: Array) -> Array:
        return np.where(np.isnan(self.score[looks]), np.nan, values)

    def _chance(self, looks: Looks, ties: float) -> Array:
        low, high = self.reading.tails(self._begin(looks), looks + 1, ties)
        if self.direction == "both":
            return np.minimum(1.0, 2.0 * np.minimum(low, high))
        return high if self.direction == "up" else low

    def _fill(self, first: int, stop: int, accuracy: Array) -> None:
        self.reading.observe(first, stop, self.lost(first, stop))
        looks = self.seeing(first, stop)
        if len(looks) == 0:
            return
        begin, end = self._begin(looks), looks + 1
        value = self.reading.value(begin, end)
        usual = self.reading.usual(begin, end)
        if self.level:
            score = value
        else:
            change = np.divide(value - usual, usual, out=np.full(len(looks), np.nan), where=usual > 0.0)
            score = {"up": change, "down": -change, "both": np.abs(change)}[self.direction]
        enough = self.reading.whole | (self.sample_size(looks) >= self.monitor.min_samples * (1.0 - 1e-9))
        self.score[looks] = np.where(enough, score, np.nan)


class TruthWatch(Watch):
    """The free perfect monitor: it calls at the end of the window in which a failure begins, and never else."""

    def __init__(self, monitor: Monitor, world: World) -> None:
        super().__init__(monitor, world)
        self.cooldown = self.cadence = self.width = 1
        self.blind = None
        times = np.array([onset.time for onset in world.onsets])
        begun = np.minimum((times / world.scenario.window + TIME_SLACK).astype(np.int64), self.windows - 1)
        self.begun = np.bincount(begun, minlength=self.windows).astype(np.float64)

    def reset(self, champion: Champion) -> None:
        """What began in the window of a repair or a deployment, or is called at that moment, must not be missed."""
        super().reset(replace(champion, first_full=max(champion.window - 1, 0)))
        self._search(champion.window)

    @property
    def follows_accuracy(self) -> bool:
        """It knows of failures, not of drift."""
        return False

    def points(self, first: int, stop: int) -> float:
        """It sends nothing."""
        return 0.0

    def _fill(self, first: int, stop: int, accuracy: Array) -> None:
        self.score[first:stop] = self.begun[first:stop]
