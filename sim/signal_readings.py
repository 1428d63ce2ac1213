"""Readings: what each kind of signal shows at a look, and how likely chance alone shows as much.

Noise is tied to (seed, replication, signal or monitor, window), as everywhere. The usual value of a signal is known
exactly, as from a long record; swings that all requests of a day share are not foreseen, so they raise false alarms.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scenarios.signals import Freshness, Lift, Mean, Proportion, Throughput
from sim.durations import quantile
from sim.kernels import sampling
from sim.traffic import expected_requests, whole
from sim.world import World

if TYPE_CHECKING:
    from sim.signal_watch import SignalWatch

Array = NDArray[np.float64]
Looks = NDArray[np.int64]


class Reading(Protocol):
    """What a kind of signal shows over stretches of windows begin..end-1, one stretch a look."""

    whole: bool
    """Whether one look is enough, however few requests were behind it."""

    def begin(self, window: int) -> None:
        """Start to add up at a window."""

    def observe(self, first: int, stop: int, lost: Array) -> None:
        """Measure windows first..stop-1; lost: (windows,) accuracy that the model has lost."""

    def rows(self, first: int, stop: int) -> float | None:
        """Rows looked at in windows first..stop-1; None where counters are read."""

    def number(self, begin: Looks, end: Looks) -> Array:
        """Requests behind each value."""

    def value(self, begin: Looks, end: Looks) -> Array:
        """What was measured."""

    def usual(self, begin: Looks, end: Looks) -> Array:
        """What it usually is."""

    def spread(self, begin: Looks, end: Looks) -> Array:
        """Its standard deviation by chance while it is as usual."""

    def tails(self, begin: Looks, end: Looks, ties: float) -> tuple[Array, Array]:
        """Chance of a value as low, and as high; `ties` is the share of the chance of exactly this value."""


class RequestReading:
    """Base of what is measured on requests: how many of them, and what moves them together."""

    whole = False

    def __init__(self, watch: SignalWatch, signal: Proportion | Mean) -> None:
        self.watch, self.signal, self.world = watch, signal, watch.world
        monitor = watch.monitor
        self.counted = signal.from_counters and monitor.rows is None and monitor.sampling_rate is None
        # Counters are the same for all that read them, sampled rows are each monitor's own.
        owner = f"signal:{signal.name}" if self.counted else f"signal:{signal.name}:{watch.label}"
        self.key = self.world.key(owner)
        self.swing = daily_swing(self.world, signal)
        self.thinning_key = self.world.key("served" if self.counted else f"served:{watch.label}")
        self.demand = self._demand()
        self.sum_looked_at = np.zeros(watch.windows + 1)
        self.total = np.zeros(watch.windows + 1)

    def begin(self, window: int) -> None:
        """Start to add up at a window."""
        if window < len(self.total):
            self.sum_looked_at[window] = self.total[window] = 0.0

    def _demand(self) -> Array:
        """Requests to look at in each window, were all of them served."""
        monitor, requests = self.watch.monitor, whole(self.world.requests)
        if self.counted or monitor.hit_sampling_rate is not None:
            return requests
        if monitor.sampling_rate is not None:
            return whole(self.world.requests * monitor.sampling_rate)
        return np.asarray(np.minimum(requests, monitor.rows or 1000))

    def observe(self, first: int, stop: int, lost: Array) -> None:
        """Measure windows first..stop-1."""
        raise NotImplementedError

    def spread(self, begin: Looks, end: Looks) -> Array:
        """Its standard deviation by chance."""
        raise NotImplementedError

    def tails(self, begin: Looks, end: Looks, ties: float) -> tuple[Array, Array]:
        """Chance of a value as low, and as high."""
        raise NotImplementedError

    def looked_at(self, first: int, stop: int) -> Array:
        """Requests looked at in each window: those that are served."""
        return thinned(self.watch, self.thinning_key, self.demand, first, stop)

    def expected(self, first: int, stop: int, lost: Array) -> Array:
        """Mean of the signal in each window, before sampling."""
        value = (self.signal.base + self.signal.per_accuracy_lost * lost) * self.swing[first:stop]
        self.watch.incidents.move(self.signal.name, first, stop, value)
        return np.asarray(value)

    def rows(self, first: int, stop: int) -> float | None:
        """Rows looked at, None from counters."""
        return None if self.counted else float(self.looked_at(first, stop).sum())

    def number(self, begin: Looks, end: Looks) -> Array:
        """Requests behind each value."""
        return np.asarray(self.sum_looked_at[end] - self.sum_looked_at[begin])

    def value(self, begin: Looks, end: Looks) -> Array:
        """Share or mean over the requests behind each look; NaN without any."""
        number = self.number(begin, end)
        found = self.total[end] - self.total[begin]
        return np.asarray(np.divide(found, number, out=np.full(len(number), np.nan), where=number > 0))

    def usual(self, begin: Looks, end: Looks) -> Array:
        """Its base."""
        return np.full(len(end), self.signal.base)

    def hits(self, first: int, stop: int, number: Array, share: Array) -> Array:
        """Draw how many of `number` requests show what is counted, each with chance `share`; all (windows,)."""
        if self.watch.monitor.sampling == "none":
            return number * share
        found = np.empty(stop - first)
        sampling.binomial_at(self.key, np.arange(first, stop), number.astype(np.int64), share, found)
        return found

    def keep(self, first: int, stop: int, number: Array, total: Array) -> None:
        """Add windows first..stop-1 to the running sums."""
        running_sum(self.sum_looked_at, first, stop, number)
        running_sum(self.total, first, stop, total)


class ProportionReading(RequestReading):
    """Hits among requests: binomial, from all requests or from a sample, which may favour the hits."""

    signal: Proportion

    def observe(self, first: int, stop: int, lost: Array) -> None:
        """Measure windows first..stop-1."""
        number = self.looked_at(first, stop)
        self.keep(first, stop, number, self.hits(first, stop, number, self._share(first, stop, lost)))

    def _share(self, first: int, stop: int, lost: Array) -> Array:
        """Chance that a request is a hit that is kept.

        With dynamic sampling the counters know how many requests there were, and hits are kept at their own rate.
        """
        share = np.clip(self.expected(first, stop, lost), 0.0, 1.0)
        return np.asarray(share * (self.watch.monitor.hit_sampling_rate or 1.0))

    def rows(self, first: int, stop: int) -> float | None:
        """Rows looked at; of dynamic sampling those that are kept."""
        monitor = self.watch.monitor
        if monitor.hit_sampling_rate is None:
            return super().rows(first, stop)
        assert monitor.sampling_rate is not None  # the schema asks for both
        # Drawn again, as every window has its own luck: windows that no look uses are sent and paid for as well.
        number = self.looked_at(first, stop)
        hits = float(
            self.hits(first, stop, number, self._share(first, stop, self.watch.lost(first, stop))).sum()
        )
        others = max(float(number.sum()) - hits / monitor.hit_sampling_rate, 0.0)
        return hits + monitor.sampling_rate * others

    def value(self, begin: Looks, end: Looks) -> Array:
        """Share over the requests behind each look."""
        return super().value(begin, end) / (self.watch.monitor.hit_sampling_rate or 1.0)

    def spread(self, begin: Looks, end: Looks) -> Array:
        """Its standard deviation by chance."""
        seen = self.watch.monitor.hit_sampling_rate or 1.0
        chance = self.signal.base * seen
        number = np.maximum(self.number(begin, end), 1.0)
        return np.asarray(np.sqrt(chance * (1.0 - chance) / number) / seen)

    def tails(self, begin: Looks, end: Looks, ties: float) -> tuple[Array, Array]:
        """Chance of a value as low, and as high."""
        from scipy.stats import binom

        chance = self.signal.base * (self.watch.monitor.hit_sampling_rate or 1.0)
        count = np.rint(self.total[end] - self.total[begin])
        return _tails(binom, (np.rint(self.number(begin, end)), chance), count, ties)


class MeanReading(RequestReading):
    """Mean of something measured on each request: normal by the central limit."""

    signal: Mean

    def observe(self, first: int, stop: int, lost: Array) -> None:
        """Measure windows first..stop-1."""
        number = self.looked_at(first, stop)
        noise = np.zeros(stop - first)
        if self.watch.monitor.sampling != "none":
            sampling.normal_at(self.key, np.arange(first, stop), noise)
        total = number * self.expected(first, stop, lost) + self.signal.sd * np.sqrt(number) * noise
        self.keep(first, stop, number, total)

    def spread(self, begin: Looks, end: Looks) -> Array:
        """Its standard deviation by chance."""
        return np.asarray(self.signal.sd / np.sqrt(np.maximum(self.number(begin, end), 1.0)))

    def tails(self, begin: Looks, end: Looks, ties: float) -> tuple[Array, Array]:
        """Chance of a value as low, and as high."""
        return normal_tails((self.value(begin, end) - self.signal.base) / self.spread(begin, end))


class _ThroughputReading:
    """Requests served in a stretch, against the mean of the whole horizon."""

    whole = True

    def __init__(self, watch: SignalWatch, signal: Throughput) -> None:
        self.watch = watch
        self.mean = float(expected_requests(watch.world.scenario).mean())
        self.key = watch.world.key("served")
        self.demand = whole(watch.world.requests)
        self.total = np.zeros(watch.windows + 1)

    def begin(self, window: int) -> None:
        if window < len(self.total):
            self.total[window] = 0.0

    def observe(self, first: int, stop: int, lost: Array) -> None:
        running_sum(self.total, first, stop, thinned(self.watch, self.key, self.demand, first, stop))

    def rows(self, first: int, stop: int) -> float | None:
        return None

    def number(self, begin: Looks, end: Looks) -> Array:
        return np.asarray(self.total[end] - self.total[begin])

    def value(self, begin: Looks, end: Looks) -> Array:
        return self.number(begin, end)

    def usual(self, begin: Looks, end: Looks) -> Array:
        return np.asarray(self.mean * (end - begin))

    def spread(self, begin: Looks, end: Looks) -> Array:
        return np.asarray(np.sqrt(self.usual(begin, end)))

    def tails(self, begin: Looks, end: Looks, ties: float) -> tuple[Array, Array]:
        from scipy.stats import poisson

        return _tails(poisson, (self.usual(begin, end),), np.rint(self.value(begin, end)), ties)


class _FreshnessReading:
    """Age of the newest data at each look, in days."""

    whole = True

    def __init__(self, watch: SignalWatch, signal: Freshness) -> None:
        self.watch, self.signal = watch, signal
        self.key = watch.world.key(f"signal:{signal.name}")
        self.age = np.zeros(watch.windows)

    def begin(self, window: int) -> None:
        pass  # an age is not added up

    def observe(self, first: int, stop: int, lost: Array) -> None:
        luck = np.empty(stop - first)
        sampling.uniform_at(self.key, np.arange(first, stop), luck)
        self.age[first:stop] = quantile(self.signal.age, luck)
        ends = np.arange(first + 1.0, stop + 1.0) * self.watch.world.scenario.window
        self.age[first:stop] += self.watch.incidents.stalled(self.signal.name, ends)

    def rows(self, first: int, stop: int) -> float | None:
        return None

    def number(self, begin: Looks, end: Looks) -> Array:
        return np.full(len(end), np.inf)

    def value(self, begin: Looks, end: Looks) -> Array:
        return np.asarray(self.age[end - 1])

    def usual(self, begin: Looks, end: Looks) -> Array:
        return np.ones(len(end))

    def spread(self, begin: Looks, end: Looks) -> Array:
        return np.full(len(end), math.nan)

    def tails(self, begin: Looks, end: Looks, ties: float) -> tuple[Array, Array]:
        raise ValueError("an age has no law of chance: give a deadline, or rule adaptive")


def running_sum(total: Array, first: int, stop: int, part: Array) -> None:
    """Go on with total (windows + 1,) over windows first..stop-1, adding one after the other whatever the block."""
    total[first + 1 : stop + 1] = np.cumsum(np.concatenate((total[first : first + 1], part)))[1:]


def thinned(watch: SignalWatch, key: np.uint64, demand: Array, first: int, stop: int) -> Array:
    """Requests of `demand` (windows,) that are served in windows first..stop-1: each is lost with the same chance."""
    share = watch.incidents.served(first, stop)
    number = demand[first:stop]
    if share is None or watch.monitor.sampling == "none":
        return number if share is None else np.asarray(number * share)
    served = np.empty(stop - first)
    sampling.binomial_at(key, np.arange(first, stop), number.astype(np.int64), share, served)
    return served


def daily_swing(world: World, signal: Proportion | Mean) -> Array:
    """Factor of each window that all requests of its day share, mean 1, (windows,)."""
    scenario = world.scenario
    if signal.daily_noise == 0.0:
        return np.ones(scenario.windows)
    day = ((np.arange(scenario.windows) + 0.5) * scenario.window).astype(np.int64)
    luck = world.stream(f"daily:{signal.name}").standard_normal(int(day[-1]) + 1)
    sd = math.sqrt(math.log1p(signal.daily_noise**2))
    return np.asarray(np.exp(sd * luck - 0.5 * sd * sd)[day])


def reading_of(signal: Proportion | Mean | Throughput | Freshness | Lift, watch: SignalWatch) -> Reading:
    """How a signal is read."""
    from sim.lift_reading import LiftReading

    match signal:
        case Proportion():
            return ProportionReading(watch, signal)
        case Mean():
            return MeanReading(watch, signal)
        case Throughput():
            return _ThroughputReading(watch, signal)
        case Freshness():
            return _FreshnessReading(watch, signal)
        case Lift():
            return LiftReading(watch, signal)


def _tails(law: Any, shape: tuple[Any, ...], count: Array, ties: float) -> tuple[Array, Array]:
    """Chance of at most and of at least `count`, counting a share `ties` of the chance of exactly it.

    law, shape: of SciPy; not frozen, as making a frozen law takes longer than asking it.
    """
    exactly = law.pmf(count, *shape)
    low = law.cdf(count, *shape) - (1.0 - ties) * exactly
    high = law.sf(count, *shape) + ties * exactly
    return low, high


def normal_tails(score: Array) -> tuple[Array, Array]:
    """Chance of a standard normal number as low, and as high."""
    from scipy.special import ndtr

    return np.asarray(ndtr(score)), np.asarray(ndtr(-score))
