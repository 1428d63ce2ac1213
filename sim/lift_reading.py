"""The lift of a model over a holdout group, read as the difference of two proportions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scenarios.signals import Lift, Proportion
from sim.signal_readings import Array, Looks, RequestReading, normal_tails
from sim.traffic import whole

if TYPE_CHECKING:
    from sim.signal_watch import SignalWatch


class LiftReading:
    """Share of hits among the model's requests minus that of a holdout group that a baseline serves."""

    whole = False

    def __init__(self, watch: SignalWatch, signal: Lift) -> None:
        self.watch, self.lift = watch, signal
        self.signal = watch.world.scenario.signal(signal.of)
        assert isinstance(self.signal, Proportion)  # the schema asks for one
        requests = whole(watch.world.requests)
        held = whole(watch.world.requests * signal.holdout)
        self.groups = [
            _LiftGroup(watch, self.signal, name, number)
            for name, number in (("model", requests - held), ("holdout", held))
        ]

    def begin(self, window: int) -> None:
        """Start to add up at a window."""
        for group in self.groups:
            group.begin(window)

    def observe(self, first: int, stop: int, lost: Array) -> None:
        """Measure windows first..stop-1."""
        behind = np.full(stop - first, self.watch.usual_accuracy - self.lift.baseline_accuracy)
        for group, short in zip(self.groups, (lost, behind), strict=True):
            group.count(first, stop, short)

    def rows(self, first: int, stop: int) -> float | None:
        """None: both groups are counted where they are served."""
        return None

    def number(self, begin: Looks, end: Looks) -> Array:
        """Requests of the holdout group, the smaller one."""
        return self.groups[1].number(begin, end)

    def value(self, begin: Looks, end: Looks) -> Array:
        """What the model adds, upward is better."""
        model, holdout = (group.value(begin, end) for group in self.groups)
        return np.asarray((model - holdout) * np.sign(self._expected()))

    def usual(self, begin: Looks, end: Looks) -> Array:
        """What it adds while it is fresh."""
        return np.full(len(end), abs(self._expected()))

    def spread(self, begin: Looks, end: Looks) -> Array:
        """Standard deviation of the difference by chance."""
        assert isinstance(self.signal, Proportion)
        usual = (self.signal.base, self.signal.base - self._expected())
        variance = np.zeros(len(end))
        for group, share in zip(self.groups, usual, strict=True):
            variance += share * (1.0 - share) / np.maximum(group.number(begin, end), 1.0)
        return np.asarray(np.sqrt(variance))

    def tails(self, begin: Looks, end: Looks, ties: float) -> tuple[Array, Array]:
        """Chance of a lift as low, and as high, by the normal approximation."""
        excess = self.value(begin, end) - self.usual(begin, end)
        return normal_tails(excess / self.spread(begin, end))

    def _expected(self) -> float:
        """What the model adds while it is fresh; below 0 for what is better when low."""
        assert isinstance(self.signal, Proportion)
        return -self.signal.per_accuracy_lost * (self.watch.usual_accuracy - self.lift.baseline_accuracy)


class _LiftGroup(RequestReading):
    """One of the two groups; both share the swings of the day and the failures that hit all requests."""

    signal: Proportion

    def __init__(self, watch: SignalWatch, signal: Proportion, name: str, demand: Array) -> None:
        super().__init__(watch, signal)
        self.counted, self.demand = True, demand
        self.thinning_key = self.world.key(f"served:{signal.name}:{name}")
        self.key = self.world.key(f"lift:{signal.name}:{name}")

    def count(self, first: int, stop: int, lost: Array) -> None:
        """Draw the hits of windows first..stop-1."""
        share = np.clip(self.expected(first, stop, lost), 0.0, 1.0)
        number = self.looked_at(first, stop)
        self.keep(first, stop, number, self.hits(first, stop, number, share))
