"""Monitors of signals and of the truth in plain Python."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from plain_monitors import PlainMonitor
from plain_noise import Noise, log_binomial
from plain_scores import upper_point

from scenarios.monitoring import Monitor
from sim.traffic import expected_requests

if TYPE_CHECKING:
    from plain_data_plane import PlainDataPlane

LOOKS_OF_THE_SOURCE = {"freshness": 0.25 / 24, "schema": 1 / 24, "outputs": 1 / 24, "business": 1.0}
"""Days between two looks at a signal of a layer; each window for the others."""


class SignalMonitor(PlainMonitor):
    """One signal: what came in during the trailing window, against what is usual."""

    def __init__(self, monitor: Monitor, plane: PlainDataPlane) -> None:
        self.signal: Any = plane.scenario.signal(str(monitor.signal))
        super().__init__(monitor, plane)
        self.direction = monitor.direction or ("down" if self.signal.kind in ("throughput", "lift") else "up")
        high = self.signal.kind in ("proportion", "freshness") and self.direction == "up"
        self.measure = monitor.measure or ("level" if high else "change")
        world, name = plane.world, self.signal.name
        counters = monitor.rows is None and monitor.sampling_rate is None
        self.counted = counters and getattr(self.signal, "from_counters", True)
        self.key = world.key(f"signal:{name}" if self.counted else f"signal:{name}:{self.label}")
        self.lost_key = world.key("served" if self.counted else f"served:{self.label}")
        self.swings = self._swings(self._measured_signal())
        if self.signal.kind in ("throughput", "freshness"):
            self.least = 0

    def _usual_cadence(self) -> float:
        window = self.plane.window
        usual = LOOKS_OF_THE_SOURCE.get(self.signal.layer, window)
        return math.ceil(usual / window - 1e-9) * window

    @property
    def follows_accuracy(self) -> bool:
        return self.signal.kind == "lift" or getattr(self.signal, "per_accuracy_lost", 0.0) != 0.0

    def _measured_signal(self) -> Any:
        """The signal that requests show; for a lift the proportion that it compares."""
        return self.plane.scenario.signal(self.signal.of) if self.signal.kind == "lift" else self.signal

    def _swings(self, signal: Any) -> list[float]:
        """Lognormal factor with mean 1 and the given standard deviation, one a day."""
        variance = math.log(1.0 + getattr(signal, "daily_noise", 0.0) ** 2)
        days = int((self.plane.windows - 0.5) * self.plane.window) + 1
        luck = self.plane.world.stream(f"daily:{signal.name}").standard_normal(days)
        return [math.exp(math.sqrt(variance) * float(x) - variance / 2.0) for x in luck]

    # ------------------------------------------------------------ one window

    def observe(self, window: int) -> tuple[float, ...]:
        if self.signal.kind == "throughput":
            return (self._thinned(self.plane.whole_requests[window], self.lost_key, window),)
        if self.signal.kind == "freshness":
            return (self._age(window),)
        if self.signal.kind == "lift":
            return self._groups(window)
        number, expected = self._number(window), self._expected(window, self._lost(window))
        if self.signal.kind == "proportion":
            kept = self.monitor.hit_sampling_rate or 1.0
            return number, self._hits(self.key, window, number, min(max(expected, 0.0), 1.0) * kept)
        noise = 0.0 if self.monitor.sampling == "none" else Noise(self.key, window).normal()
        return number, number * expected + math.sqrt(number) * self.signal.sd * noise

    def _lost(self, window: int) -> float:
        """Accuracy that the model has lost since it was new."""
        plane = self.plane
        return plane.champions[0].fresh_accuracy - plane.quality.mean(plane.served[window])

    def _expected(self, window: int, lost: float) -> float:
        signal = self._measured_signal()
        day = int((window + 0.5) * self.plane.window)
        value = (signal.base + signal.per_accuracy_lost * lost) * self.swings[day]
        return self.plane.incidents.moved_to(signal.name, window, value)

    def _number(self, window: int) -> float:
        """Requests looked at; with dynamic sampling the counters know about all of them."""
        monitor, plane = self.monitor, self.plane
        if self.counted or monitor.hit_sampling_rate is not None:
            wanted = plane.whole_requests[window]
        elif monitor.sampling_rate is not None:
            wanted = plane.carried_over(monitor.sampling_rate)[window]
        else:
            wanted = min(plane.whole_requests[window], monitor.rows or 1000)
        return self._thinned(wanted, self.lost_key, window)

    def _thinned(self, number: int, key: Any, window: int) -> float:
        """Those of a number of requests that are served."""
        share = self.plane.incidents.served_share(window)
        if self.monitor.sampling == "none":
            return number * share
        return number if share == 1.0 else Noise(key, window).binomial(number, share)

    def _hits(self, key: Any, window: int, number: float, chance: float) -> float:
        if self.monitor.sampling == "none":
            return number * chance
        return Noise(key, window).binomial(int(number), chance)

    def _groups(self, window: int) -> tuple[float, ...]:
        """Requests and hits of the model, and of the holdout group."""
        world, plane, lift = self.plane.world, self.plane, self.signal
        held = plane.carried_over(lift.holdout)[window]
        behind = plane.champions[0].fresh_accuracy - lift.baseline_accuracy
        found: list[float] = []
        for group, wanted, lost in (
            ("model", plane.whole_requests[window] - held, self._lost(window)),
            ("holdout", held, behind),
        ):
            number = self._thinned(wanted, world.key(f"served:{lift.of}:{group}"), window)
            chance = min(max(self._expected(window, lost), 0.0), 1.0)
            found += [number, self._hits(world.key(f"lift:{lift.of}:{group}"), window, number, chance)]
        return tuple(found)

    def _age(self, window: int) -> float:
        age = usual_age(self.signal.age, Noise(self.key, window).uniform())
        return age + self.plane.incidents.stalled(self.signal.name, (window + 1) * self.plane.window)

    # ------------------------------------------------------------ one look

    def look(self) -> tuple[float, float]:
        if self.signal.kind == "freshness":
            return math.inf, self.trailing[-1][0]
        self.sums = [sum(column) for column in zip(*self.trailing, strict=True)]
        if self.signal.kind == "throughput":
            value, size = self.sums[0], self.sums[0]
        elif self.signal.kind == "lift":
            model, hits, size, others = self.sums
            if not (model and size):
                return size, math.nan
            value = math.copysign(1.0, self._usual_gap()) * (hits / model - others / size)
        else:
            size, total = self.sums
            value = total / size / (self.monitor.hit_sampling_rate or 1.0) if size else math.nan
        if self.measure == "level":
            return size, value
        usual = self._usual()
        change = (value - usual) / usual
        return size, {"up": change, "down": -change, "both": abs(change)}[self.direction]

    def _usual(self) -> float:
        if self.signal.kind == "throughput":
            return len(self.trailing) * float(np.mean(expected_requests(self.plane.scenario)))
        return abs(self._usual_gap()) if self.signal.kind == "lift" else self.signal.base

    def _usual_gap(self) -> float:
        """What the new model adds to the proportion."""
        better = self.plane.champions[0].fresh_accuracy - self.signal.baseline_accuracy
        return -self._measured_signal().per_accuracy_lost * better

    def p_value(self, size: float) -> float:
        return self._chance(1.0)

    def standardised(self, size: float, score: float) -> float:
        return math.nan if math.isnan(score) else upper_point(self._chance(0.5))

    def _chance(self, ties: float) -> float:
        """Of a value as bad as that of the last look."""
        low, high = self._tails(ties)
        if self.direction == "both":
            return min(1.0, 2.0 * min(low, high))
        return high if self.direction == "up" else low

    def _tails(self, ties: float) -> tuple[float, float]:
        if self.signal.kind == "throughput":
            return poisson_tails(round(self.sums[0]), self._usual(), ties)
        if self.signal.kind == "proportion":
            chance = self.signal.base * (self.monitor.hit_sampling_rate or 1.0)
            return binomial_tails(round(self.sums[1]), round(self.sums[0]), chance, ties)
        if self.signal.kind == "mean":
            number, total = self.sums
            z = (total / number - self.signal.base) / (self.signal.sd / math.sqrt(number))
        else:
            z = self._lift_excess()
        return 0.5 * math.erfc(-z / math.sqrt(2.0)), 0.5 * math.erfc(z / math.sqrt(2.0))

    def _lift_excess(self) -> float:
        """Of the lift over the usual one, in its standard deviations."""
        model, hits, held, others = self.sums
        base, gap = self._measured_signal().base, self._usual_gap()
        variance = base * (1.0 - base) / model + (base - gap) * (1.0 - base + gap) / held
        lift = math.copysign(1.0, gap) * (hits / model - others / held)
        return (lift - abs(gap)) / math.sqrt(variance)

    # ------------------------------------------------------------ its price

    def points(self, first: int, stop: int) -> float:
        if self.counted:
            return float(len(self.looks(first, stop)))
        return self.used_share * sum(self._rows(window) for window in range(first, stop))

    def _rows(self, window: int) -> float:
        """Rows sent: all that are looked at, or hits at their rate and the others at theirs."""
        number, hits = self.observe(window)
        kept = self.monitor.hit_sampling_rate
        if kept is None:
            return number
        return hits + self.monitor.sampling_rate * max(number - hits / kept, 0.0)


class TruthMonitor(PlainMonitor):
    """Knows of each failure at the end of the window in which it begins, whatever else happens."""

    never_silenced = True
    follows_accuracy = False

    def __init__(self, monitor: Monitor, plane: PlainDataPlane) -> None:
        super().__init__(monitor, plane)
        self.cadence = self.width = 1
        self.cooldown = 0.0

    def calls(self, window: int) -> bool:
        begin, end = window * self.plane.window, (window + 1) * self.plane.window
        begun = sum(begin <= onset.time < end for onset in self.plane.world.onsets)
        self.score[window] = begun
        return begun > 0 and end >= self.silent_until - 1e-9

    def looked_at_since(self, window: int) -> float:
        return window * self.plane.window

    def points(self, first: int, stop: int) -> float:
        return 0.0


def usual_age(law: Any, probability: float) -> float:
    """Age that a share `probability` of all ages does not exceed."""
    if law.kind == "fixed":
        return law.value
    if law.kind == "exponential":
        return -law.mean * math.log(1.0 - probability)
    if law.kind == "uniform":
        return law.low + probability * (law.high - law.low)
    normal = NormalDist()
    assert law.kind == "lognormal"
    spread = math.log(law.p95 / law.median) / normal.inv_cdf(0.95)
    return law.median * math.exp(spread * normal.inv_cdf(probability))


def binomial_tails(k: int, n: int, p: float, ties: float) -> tuple[float, float]:
    """Chance of fewer than k and of more, each with a share of the chance of exactly k."""
    if p in (0.0, 1.0):
        certain = round(n * p)
        return float(certain < k) + ties * (certain == k), float(certain > k) + ties * (certain == k)
    odds = p / (1.0 - p)
    return _tails(
        k,
        math.exp(log_binomial(k, n, p)),
        lambda j: j / (n - j + 1) / odds if j > 0 else 0.0,
        lambda j: (n - j) / (j + 1) * odds,
        k <= n * p,
        ties,
    )


def poisson_tails(k: int, mean: float, ties: float) -> tuple[float, float]:
    exactly = math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
    return _tails(k, exactly, lambda j: j / mean, lambda j: mean / (j + 1), k <= mean, ties)


def _tails(k: int, exactly: float, down: Any, up: Any, below: bool, ties: float) -> tuple[float, float]:
    """Sum the tail away from the mean term by term; the other one is what is left.

    down(j), up(j): what the chance of j is multiplied by to get that of j - 1, of j + 1
    """
    ratio, step = (down, -1) if below else (up, 1)
    beyond, term, j = 0.0, exactly, k
    while True:
        term *= ratio(j)
        j += step
        beyond += term
        if term <= 1e-20 * (beyond + exactly) or term == 0.0:
            break
    tail, rest = beyond + ties * exactly, 1.0 - beyond - (1.0 - ties) * exactly
    return (tail, rest) if below else (rest, tail)
