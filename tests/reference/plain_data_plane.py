"""A plain, slow data plane, to check the kernels against: one SimPy process that wakes at the end of every window.

Nothing is computed ahead and nothing is taken back. At the end of a window its accuracy follows from who served it
and for how long, its rows and labels are drawn, every monitor that is due looks, and its costs are posted. Formulas
are those of the textbook, in Python floats and loops; of the engine only the control plane, the world, the names of
random keys and the draw of a version's bin edges are used.

Order at one instant, the end T of a window: the window is measured; what was due at T before comes next (a policy
that wakes, a deployment); then the monitors call, one after the other, unless a deployment has silenced them; then
what follows from all this.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import simpy

from scenarios.monitoring import Monitor
from scenarios.schema import Scenario
from sim.engine import Run, resolve_policy
from sim.kernels.sampling import learn_edges
from sim.monitoring import Alarm, Readings
from sim.randomness import moment_number
from sim.record import Result
from sim.world import World

SLACK = 1e-9
HAIR = 2e-9
"""Days before the end of a window at which it is measured: more than float noise, less than anything real."""
SIMPSON_STEPS = 16

# ---------------------------------------------------------------- noise: SplitMix64 and what is drawn with it

WORD = 2**64
GAMMA = 0x9E3779B97F4A7C15


def mix(word: int) -> int:
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % WORD
    return word ^ (word >> 31)


def ziggurat_ends() -> list[float]:
    tail = 3.6541528853610088
    area = tail * math.exp(-0.5 * tail**2) + math.sqrt(math.pi / 2) * math.erfc(tail / math.sqrt(2))
    ends = [area / math.exp(-0.5 * tail**2), tail]
    while len(ends) < 256:
        ends.append(math.sqrt(-2 * math.log(area / ends[-1] + math.exp(-0.5 * ends[-1] ** 2))))
    return [*ends, 0.0]


ENDS = ziggurat_ends()


class Noise:
    """The random numbers of one (key, number, feature)."""

    def __init__(self, key: int, number: int, feature: int = 0) -> None:
        state = mix((int(key) + GAMMA) % WORD)
        state = mix((state + GAMMA * (number + 1)) % WORD)
        self.state = mix((state + GAMMA * (feature + 1)) % WORD)

    def word(self) -> int:
        self.state = (self.state + GAMMA) % WORD
        return mix(self.state)

    def uniform(self) -> float:
        return ((self.word() >> 12) + 0.5) / 2**52

    def normal(self) -> float:
        while True:
            word = self.word()
            layer = word % 256
            signed = word - WORD if word >= WORD // 2 else word
            side = ((signed >> 11) + 0.5) / 2**52
            value = side * ENDS[layer]
            if abs(side) < ENDS[layer + 1] / ENDS[layer]:
                return value
            if layer == 0:
                return math.copysign(self._beyond(ENDS[1]), side)
            low = math.exp(-0.5 * (ENDS[layer] ** 2 - value**2))
            high = math.exp(-0.5 * (ENDS[layer + 1] ** 2 - value**2))
            if high + self.uniform() * (low - high) < 1.0:
                return value

    def _beyond(self, start: float) -> float:
        while True:
            first, second = self.uniform(), self.uniform()
            over = -math.log(first) / start
            if -2.0 * math.log(second) >= over * over:
                return start + over

    def binomial(self, n: int, p: float) -> int:
        if n <= 0 or not p > 0.0:
            return 0
        if p >= 1.0:
            return n
        rare = min(p, 1.0 - p)
        k = self._inversion(n, rare) if n * rare < 10.0 else self._rejection(n, rare)
        return k if p <= 0.5 else n - k

    def _inversion(self, n: int, p: float) -> int:
        limit = min(n, 110)
        while True:
            left, k, mass = self.uniform(), 0, math.exp(n * math.log1p(-p))
            while left > mass and k <= limit:
                left -= mass
                k += 1
                mass *= p / (1.0 - p) * ((n + 1.0) / k - 1.0)
            if k <= limit:
                return k

    def _rejection(self, n: int, p: float) -> int:
        """Hoermann's BTRS."""
        sd = math.sqrt(n * p * (1.0 - p))
        b = 1.15 + 2.53 * sd
        a = -0.0873 + 0.0248 * b + 0.01 * p
        mode = math.floor((n + 1) * p)
        while True:
            u, v = self.uniform() - 0.5, self.uniform()
            edge = 0.5 - abs(u)
            k = math.floor((2.0 * a / edge + b) * u + n * p + 0.5)
            if edge >= 0.07 and v <= 0.92 - 4.2 / b:
                return k
            height = v * (2.83 + 5.1 / b) * sd / (a / edge**2 + b)
            if 0 <= k <= n and math.log(height) <= log_binomial(k, n, p) - log_binomial(mode, n, p):
                return k

    def multinomial(self, n: int, probabilities: list[float]) -> list[float]:
        counts, left, mass = [], n, 1.0
        for p in probabilities[:-1]:
            count = self.binomial(left, p / mass if p < mass else 1.0)
            counts.append(float(count))
            left -= count
            mass -= p
        return [*counts, float(left)]

    def multinomial_normal(self, n: int, probabilities: list[float]) -> list[float]:
        """Rounded totals of a normal vector with mean and covariance of the multinomial."""
        walk = [0.0]
        for p in probabilities:
            walk.append(walk[-1] + math.sqrt(p) * self.normal())
        counts, below, total = [], 0.0, 0.0
        for p, step in zip(probabilities[:-1], walk[1:], strict=False):
            below += p
            rounded = math.floor(n * below + math.sqrt(n) * (step - below * walk[-1]) + 0.5)
            rounded = min(max(rounded, total), n)
            counts.append(rounded - total)
            total = rounded
        return [*counts, n - total]


def log_binomial(k: int, n: int, p: float) -> float:
    choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return choose + k * math.log(p) + (n - k) * math.log1p(-p)


def bin_probabilities(shift: float, edges: list[float]) -> list[float]:
    below = [0.0, *(0.5 * math.erfc((shift - edge) / math.sqrt(2.0)) for edge in edges), 1.0]
    return [max(high - low, 0.0) for low, high in pairwise(below)]


# ---------------------------------------------------------------- scores of counts against equal bins


def shares(counts: list[float], pseudo_count: float) -> list[float]:
    total = sum(counts) + pseudo_count * len(counts)
    return [(count + pseudo_count) / total for count in counts]


def psi(counts: list[float], pseudo_count: float) -> float:
    expected = 1.0 / len(counts)
    floored = [max(share, 1e-6) for share in shares(counts, pseudo_count)]
    return sum((share - expected) * math.log(share / expected) for share in floored)


def js(counts: list[float], pseudo_count: float) -> float:
    expected, total = 1.0 / len(counts), 0.0
    for share in shares(counts, pseudo_count):
        actual = max(share, 1e-6)
        middle = 0.5 * (actual + expected)
        total += 0.5 * (actual * math.log(actual / middle) + expected * math.log(expected / middle))
    return max(total, 0.0)


def ks(counts: list[float], pseudo_count: float) -> float:
    actual = shares(counts, pseudo_count)
    return max(abs(sum(actual[:k]) - k / len(counts)) for k in range(1, len(counts)))


# ---------------------------------------------------------------- quality


@dataclass(frozen=True)
class PlainVersion:
    """A trained model: what it knew of the inputs and the concept of each slice at its data cut."""

    number: int
    cut: float
    origin: float
    offset: float
    features: list[list[float]]
    concept: list[float]
    data: list[list[float]]
    """Mean state of the inputs it was trained on, by slice; what it knows when it learned all of it."""
    follows_from: int
    """First window after its data cut: an incremental learner follows its stream from there."""
    validation: float = math.nan

    def measured(self, accuracy: float) -> PlainVersion:
        return replace(self, validation=accuracy)


class PlainQuality:
    """The three forms of quality, one window and one slice at a time."""

    def __init__(self, world: World, state: Any) -> None:
        self.world, self.state = world, state
        self.scenario: Scenario = world.scenario
        self.form: Any = self.scenario.quality
        self.window = self.scenario.window
        self.weights = self.scenario.slice_weights

    def initial(self) -> PlainVersion:
        features = self._features(0)
        return PlainVersion(0, 0.0, 0.0, 0.0, features, self._concept(0), features, 0)

    def train(
        self, champion: PlainVersion, cut: float, regain: float, offset: float, number: int
    ) -> PlainVersion:
        """Learn the mean state of the training window, and go the share `regain` of the way there."""
        seen = self.window_at(cut)
        width = max(round(self.scenario.pipeline.training_window / self.window), 1)
        past = range(max(seen + 1 - width, 0), seen + 1)
        data = [mean_rows([self._features(w)[s] for w in past]) for s in range(len(self.state.features))]
        concept = mean_rows([self._concept(w) for w in past])
        known_features, known_concept = self.learned(champion, seen + 1)
        if self.scenario.labels is None:
            concept = known_concept
        features = [blend(a, b, regain) for a, b in zip(known_features, data, strict=True)]
        concept = blend(known_concept, concept, regain)
        origin = cut - (1.0 - regain) * max(cut - champion.origin, 0.0)
        return PlainVersion(number, cut, origin, offset, features, concept, data, seen + 1)

    def known(self, version: PlainVersion, window: int) -> tuple[list[list[float]], list[float]]:
        """What a version knows when it serves a window: its labels come late."""
        return self.learned(version, window - round(self.world.training_lag / self.window))

    def learned(self, version: PlainVersion, stop: int) -> tuple[list[list[float]], list[float]]:
        """What a version knows from data of the windows before `stop`."""
        constant = self.scenario.pipeline.learning.time_constant
        if constant is None:
            return version.features, version.concept
        gain = 1.0 - math.exp(-self.window / constant)
        features, concept = version.features, version.concept
        for past in range(version.follows_from, min(stop, self.scenario.windows)):
            features = [blend(a, b, gain) for a, b in zip(features, self._features(past), strict=True)]
            if self.scenario.labels is not None:
                concept = blend(concept, self._concept(past), gain)
        return features, concept

    def accuracy(self, version: PlainVersion, window: int, since: float, until: float) -> list[float]:
        """Mean accuracy of each slice over the part of a window between two moments (days)."""
        if self.form.kind == "recorded":
            column = 1 + int((window + 0.5) * self.window / self.form.period)
            row = min(int(version.cut / self.form.period + SLACK), len(self.form.matrix.rows) - 1)
            return [min(max(self.form.matrix.rows[row][column] + version.offset, 0.0), 1.0)]
        known_features, known_concept = self.known(version, window)
        features, concept = self._features(window), self._concept(window)
        found = []
        for s in range(len(self.weights)):
            place = s if len(features) > 1 else 0
            initial, decay = self._slice(s)
            value = (
                initial * mean_decay(decay, since - version.origin, until - version.origin) + version.offset
            )
            floor = 0.0
            if self.form.kind == "degradation":
                floor = self.form.floor
                value -= self.form.concept_sensitivity * abs(concept[place] - known_concept[place])
                for feature, x, known in zip(
                    self.scenario.features, features[place], known_features[place], strict=True
                ):
                    value -= self.form.feature_sensitivity * feature.weight * (x - known) ** 2
            found.append(min(max(value, floor), 1.0))
        return found

    def at(self, version: PlainVersion, time: float) -> float:
        """Accuracy at a moment on the data of that moment; a recorded matrix does not have it."""
        if self.form.kind == "recorded":
            return math.nan
        return self.mean(self.accuracy(version, self.window_at(time), time, time))

    def mean(self, accuracy: list[float]) -> float:
        return sum(w * a for w, a in zip(self.weights, accuracy, strict=True))

    def window_at(self, time: float) -> int:
        """The newest window with data by a moment."""
        return min(max(math.ceil(time / self.window - SLACK) - 1, 0), self.scenario.windows - 1)

    def _slice(self, number: int) -> tuple[float, float]:
        """Accuracy of a fresh model in a slice, and decay per day."""
        initial, decay = self.form.initial_accuracy, getattr(self.form, "decay", 0.0)
        if number < len(self.scenario.slices):
            own = self.scenario.slices[number]
            initial = initial if own.initial_accuracy is None else own.initial_accuracy
            decay = decay if own.decay is None else own.decay
        return initial, decay

    def _features(self, window: int) -> list[list[float]]:
        return [[float(x) for x in row] for row in self.state.features[:, window]]

    def _concept(self, window: int) -> list[float]:
        return [float(c) for c in self.state.concept[:, window]]


def mean_rows(rows: list[list[float]]) -> list[float]:
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def blend(start: list[float], end: list[float], share: float) -> list[float]:
    return [a + share * (b - a) for a, b in zip(start, end, strict=True)]


def mean_decay(decay: float, since: float, until: float) -> float:
    """Mean of exp(-decay * age) over ages, by Simpson's rule."""
    if decay == 0.0:
        return 1.0
    total, step = 0.0, (until - since) / SIMPSON_STEPS
    for i in range(SIMPSON_STEPS + 1):
        weight = 1 if i in (0, SIMPSON_STEPS) else 4 if i % 2 else 2
        total += weight * math.exp(-decay * (since + i * step))
    return total / (3 * SIMPSON_STEPS)


# ---------------------------------------------------------------- monitors


class PlainChampion(NamedTuple):
    """A version in service."""

    version: PlainVersion
    since: float
    first_full: int
    fresh: list[float]
    fresh_accuracy: float


class PlainMonitor:
    """Looks at the end of a window when it is due, at what came in since its champion serves alone."""

    def __init__(self, monitor: Monitor, plane: PlainDataPlane) -> None:
        self.monitor, self.plane, self.label = monitor, plane, monitor.label
        scenario, window = plane.scenario, plane.window
        cadence = monitor.cadence or max(1.0 if monitor.needs_labels else window, window)
        width = monitor.window or max(7.0 if monitor.needs_labels else cadence, window)
        self.cadence, self.width = max(round(cadence / window), 1), max(round(width / window), 1)
        self.score = np.full(scenario.windows, np.nan)
        staleness = monitor.rule == "staleness_cost"
        self.limit = price_of_retraining(scenario) if staleness else monitor.level
        self.silent_until = -math.inf
        self.trailing: deque[Any] = deque(maxlen=self.width)

    def reset(self, champion: PlainChampion) -> None:
        """A new champion: nothing of what came in before says anything about it."""
        self.champion = champion
        self.trailing.clear()
        self.found: list[tuple[float, float]] = []
        self.cusum = 0.0
        self.lost = 0.0

    def readings(self, stop: int) -> Readings:
        times, scores = np.array([t for t, _ in self.found]), np.array([s for _, s in self.found])
        return Readings(times, scores, self.cadence * self.plane.window)

    def calls(self, window: int) -> bool:
        """Measure a window that has just ended, and say whether the rule is met."""
        if window < self.champion.first_full:
            return False
        due = (window + 1) % self.cadence == 0
        if due or self.width > 1:
            self.trailing.append(self.observe(window))
        if not due:
            return False
        size, score = self.look()
        if size < self.monitor.min_samples:
            score = math.nan
        end = (window + 1) * self.plane.window
        if not math.isnan(score):
            self.score[window] = score
            self.found.append((end, score))
        met = self._rule_met(window, size, score)
        return met and end >= self.silent_until - SLACK

    def _rule_met(self, window: int, size: float, score: float) -> bool:
        monitor, scenario = self.monitor, self.plane.scenario
        if monitor.rule == "staleness_cost":
            since = max(window + 1 - self.cadence, self.champion.first_full)
            requests = sum(self.plane.requests[since : window + 1])
            drop = 0.0 if math.isnan(score) else max(score, 0.0)
            self.lost += drop * requests * scenario.value_per_query_per_unit_accuracy
            return self.lost >= self.limit
        if math.isnan(score):
            return False
        if monitor.rule == "cusum":
            error = math.sqrt(max(self.reference * (1.0 - self.reference), 1e-12) / size)
            self.cusum = max(0.0, self.cusum + score / error - monitor.allowance)
            met = self.cusum > self.limit
            self.cusum = 0.0 if met else self.cusum
            return met
        return score > self.limit + SLACK

    reference = math.nan

    def observe(self, window: int) -> Any:
        raise NotImplementedError

    def look(self) -> tuple[float, float]:
        """Sample size and score of the trailing window."""
        raise NotImplementedError


def price_of_retraining(scenario: Scenario) -> float:
    cost = scenario.pipeline.cost
    compute = cost.compute * scenario.pipeline.learning.factor("cost")
    return compute + cost.validation + cost.deployment + cost.risk


class LabelMonitor(PlainMonitor):
    """Accuracy from the labels that arrive, for requests that the champion served."""

    def __init__(self, monitor: Monitor, plane: PlainDataPlane) -> None:
        super().__init__(monitor, plane)
        names = plane.scenario.slice_names
        self.place = None if monitor.slice is None else names.index(monitor.slice)
        self.key = plane.world.key(f"labels:{self.label}")
        self.slice_key = plane.world.key(f"slice_labels:{self.place}")
        self.measured = np.full(plane.scenario.windows, np.nan)

    def reset(self, champion: PlainChampion) -> None:
        super().reset(champion)
        self.reference = math.nan
        if self.monitor.reference == "validation":
            self.reference = self._validated(champion)

    def _validated(self, champion: PlainChampion) -> float:
        """What the holdout said, of a slice its own part of the holdout; the truth where there was none."""
        version, gate = champion.version, self.plane.scenario.pipeline.gate
        if self.place is None:
            return champion.fresh_accuracy if math.isnan(version.validation) else version.validation
        true = champion.fresh[self.place]
        rows = 0 if gate is None else round(gate.holdout * self.plane.quality.weights[self.place])
        if version.number == 0 or rows == 0:
            return true
        noise = Noise(self.plane.world.key(f"holdout:{self.label}"), moment_number(version.cut))
        return noise.binomial(rows, true) / rows

    def labels_of(self, window: int) -> list[int]:
        """Labels looked at of each batch that arrives in a window, whoever served the requests."""
        counts = []
        for identity, _, count in self.plane.arriving[window]:
            if self.place is not None:
                share = self.plane.quality.weights[self.place]
                count = Noise(self.slice_key, identity).binomial(count, share)
            counts.append(count)
        arriving, limit = sum(counts), self.monitor.rows
        if limit is None or arriving <= limit:
            return counts
        running = [sum(counts[:i]) * limit // arriving for i in range(len(counts) + 1)]
        return [after - before for before, after in pairwise(running)]

    def observe(self, window: int) -> tuple[float, float]:
        labels, correct = 0.0, 0.0
        for (identity, asked, _), number in zip(
            self.plane.arriving[window], self.labels_of(window), strict=True
        ):
            if asked < self.champion.first_full:
                continue
            accuracy = self.plane.served[asked]
            chance = self.plane.quality.mean(accuracy) if self.place is None else accuracy[self.place]
            labels += number
            if self.monitor.sampling == "none":
                correct += number * chance
            else:
                correct += Noise(self.key, identity).binomial(number, chance)
        return labels, correct

    def look(self) -> tuple[float, float]:
        labels, correct = (sum(column) for column in zip(*self.trailing, strict=True))
        if labels < self.monitor.min_samples:
            return labels, math.nan
        measured = correct / labels
        self.measured[self.plane.ended - 1] = measured
        if math.isnan(self.reference):
            self.reference = measured
        return labels, self.reference - measured


class FeatureMonitor(PlainMonitor):
    """Counts of the features, or of the prediction, in the bins of the champion's training data."""

    def __init__(self, monitor: Monitor, plane: PlainDataPlane) -> None:
        super().__init__(monitor, plane)
        names = plane.scenario.feature_names
        self.columns = [
            names.index(name) for name in (names if monitor.features == "all" else monitor.features)
        ]
        self.prediction = monitor.metric == "prediction_distribution_shift"
        self.series = 1 if self.prediction else len(self.columns)
        self.key = plane.world.key(f"rows:{self.label}")
        self.formula = {"feature_drift_psi": psi, "feature_drift_ks": ks}.get(monitor.metric, js)
        noisy = monitor.sampling != "none" and monitor.metric != "feature_drift_ks"
        self.pseudo_count = 0.5 if noisy else 0.0

    def reset(self, champion: PlainChampion) -> None:
        super().reset(champion)
        rows = 0 if self.monitor.sampling == "none" else self.monitor.reference_rows
        key, moment = self.plane.world.key(f"reference:{self.label}"), moment_number(champion.version.cut)
        self.edges = learn_edges(key, moment, rows, self.series, self.monitor.bins).tolist()

    def observe(self, window: int) -> tuple[int, list[list[float]]]:
        rows = int(min(self.plane.requests[window], self.monitor.rows or 1000))
        counts = []
        for number, (shift, edges) in enumerate(zip(self._shifts(window), self.edges, strict=True)):
            probabilities = bin_probabilities(shift, edges)
            if self.monitor.sampling == "none":
                counts.append([rows * p for p in probabilities])
                continue
            noise = Noise(self.key, window, number)
            normal = self.monitor.sampling == "normal"
            draw = noise.multinomial_normal if normal else noise.multinomial
            counts.append(draw(rows, probabilities))
        return rows, counts

    def look(self) -> tuple[float, float]:
        rows = sum(rows for rows, _ in self.trailing)
        if rows == 0:
            return 0.0, math.nan
        found = []
        for number in range(self.series):
            bins = zip(*(counts[number] for _, counts in self.trailing), strict=True)
            found.append(self.formula([sum(column) for column in bins], self.pseudo_count))
        return rows, max(found) if self.monitor.aggregate == "max" else sum(found) / len(found)

    def _shifts(self, window: int) -> list[float]:
        """Mean of each series over all slices, counted from the training data, in its standard deviations."""
        quality = self.plane.quality
        now, learned = quality._features(window), self.champion.version.data
        weights = quality.weights if len(now) > 1 else (1.0,)
        shift = [sum(w * (now[s][j] - learned[s][j]) for s, w in enumerate(weights)) for j in self.columns]
        if not self.prediction:
            return shift
        importance = [self.plane.scenario.features[j].weight for j in self.columns]
        length = math.sqrt(sum(w * w for w in importance))
        return [sum(w * s for w, s in zip(importance, shift, strict=True)) / length if length else 0.0]


# ---------------------------------------------------------------- the data plane and the run


class PlainDataPlane:
    """What the control plane asks of a data plane, window by window."""

    def __init__(self, world: World, quality: Any, features: Any, watches: list[Any]) -> None:
        self.world, self.scenario, self.window = world, world.scenario, world.scenario.window
        self.windows = self.scenario.windows
        self.requests = [float(number) for number in world.requests]
        self.arriving: list[list[tuple[int, int, int]]] = [[] for _ in range(self.windows)]
        batches = world.labels
        for j in range(self.windows):
            for i in range(int(batches.first[j]), int(batches.first[j + 1])):
                assert float(batches.count[i]).is_integer()
                batch = int(batches.identity[i]), int(batches.window[i]), int(batches.count[i])
                self.arriving[j].append(batch)
        self.watches: list[PlainMonitor] = [
            (LabelMonitor if watch.monitor.needs_labels else FeatureMonitor)(watch.monitor, self)
            for watch in watches
        ]
        self.champions: list[PlainChampion] = []
        self.served: list[list[float]] = []
        self.version_number = np.zeros(self.windows, dtype=np.int64)
        self.ended = 0

    quality: PlainQuality

    @property
    def champion(self) -> PlainChampion:
        return self.champions[-1]

    @property
    def scanned(self) -> int:
        """Windows measured so far."""
        return self.ended

    @property
    def accuracy(self) -> Any:
        return np.array(self.served).T

    def go_live(self, version: PlainVersion, now: float) -> None:
        """Put a version into service; it serves alone from the first window that starts from now on."""
        window = min(int(now / self.window + SLACK), self.windows - 1)
        fresh = self.quality.accuracy(version, window, now, now)
        first_full = math.ceil(now / self.window - SLACK)
        self.champions.append(PlainChampion(version, now, first_full, fresh, self.quality.mean(fresh)))
        for monitor in self.watches:
            monitor.reset(self.champion)

    def change_world(self, window: int) -> None:
        """Nothing to do: nothing was computed past this moment."""

    def live(self, run: PlainRun) -> Generator[simpy.Event, Any, None]:
        """Measure every window when it ends."""
        for window in range(self.windows):
            yield run.env.timeout((window + 1) * self.window - HAIR - run.env.now)
            self.served.append(self._accuracy_of(window))
            self.version_number[window] = self.champion.version.number
            self.ended = window + 1
            self._post_costs(run, window)
            calling = [monitor for monitor in self.watches if monitor.calls(window)]
            if calling:
                run.env.process(self._call(run, window, calling, self.champion))

    def _accuracy_of(self, window: int) -> list[float]:
        """Accuracy of each slice: everybody who served counts for as long as he did."""
        begin, end = window * self.window, (window + 1) * self.window
        total = [0.0] * len(self.quality.weights)
        replaced = [champion.since for champion in self.champions[1:]] + [math.inf]
        for champion, until in zip(self.champions, replaced, strict=True):
            since, until = max(champion.since, begin), min(until, end)
            if until - since <= SLACK * self.window:
                continue
            part = self.quality.accuracy(champion.version, window, since, until)
            total = [t + (until - since) / self.window * a for t, a in zip(total, part, strict=True)]
        return total

    def _post_costs(self, run: PlainRun, window: int) -> None:
        scenario = self.scenario
        worth = self.requests[window] * scenario.value_per_query_per_unit_accuracy
        short = scenario.loss_reference - self.quality.mean(self.served[window])
        run.ledger.post("staleness", worth * short)
        run.ledger.post("monitoring", sum(m.monitor.cost for m in self.watches) * self.window)
        if scenario.labels is not None:
            run.ledger.post("labelling", self._labels_bought(window) * scenario.labels.cost)

    def _labels_bought(self, window: int) -> int:
        """Labels that any monitor looked at; a label that two of them looked at is bought once."""
        total = 0
        watches = [(m.place, m.labels_of(window)) for m in self.watches if isinstance(m, LabelMonitor)]
        for number in range(len(self.arriving[window])):
            seen: dict[int | None, int] = {}
            for place, counts in watches:
                seen[place] = max(seen.get(place, 0), counts[number])
            overall = seen.pop(None, 0)
            total += max(overall, sum(seen.values()))
        return total

    def _call(
        self, run: PlainRun, window: int, calling: list[PlainMonitor], champion: PlainChampion
    ) -> Generator[simpy.Event, Any, None]:
        monitor, *others = calling
        yield run.env.timeout(max((window + 1) * self.window - run.env.now, 0.0))
        if self.champion is not champion:
            return
        monitor.silent_until = run.now + monitor.monitor.cooldown
        fallen = [a - b for a, b in zip(champion.fresh, self.served[window], strict=True)]
        place = monitor.place if isinstance(monitor, LabelMonitor) else None
        drop = self.quality.mean(fallen) if place is None else fallen[place]
        true = drop >= self.scenario.material_drop
        alarm = Alarm(run.now, monitor.label, float(monitor.score[window]), monitor.limit, true)
        run.alarms.append(alarm)
        run.record("alarm" if true else "false alarm", alarm.monitor, f"score {alarm.score:.4g}")
        run.consult(alarm)
        if others:
            run.env.process(self._call(run, window, others, champion))

    def measured_accuracy(self) -> Any:
        for monitor in self.watches:
            if isinstance(monitor, LabelMonitor) and monitor.place is None:
                return monitor.measured
        return np.full(self.windows, np.nan)


class PlainRun(Run):
    """A run whose data plane is a SimPy process like any other."""

    plane: Any

    def __init__(self, world: World, policy: Any) -> None:
        super().__init__(world, policy, PlainDataPlane)  # type: ignore[arg-type]
        self.quality: Any = PlainQuality(world, self.state)
        self.plane.quality = self.quality

    def play(self) -> Result:
        self.plane.go_live(self.quality.initial(), 0.0)
        self.consult()
        self.env.process(self.plane.live(self))
        self.env.run(until=self.scenario.horizon - SLACK)
        return self._result()

    def _post_running_costs(self) -> None:
        """They were posted window by window."""


def run_plainly(scenario: Scenario, policy: Any, seed: int = 0, replication: int = 0) -> Result:
    """What `sim.run` does, the slow way."""
    return PlainRun(World(scenario, seed, replication), resolve_policy(policy)).play()
