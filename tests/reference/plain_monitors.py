"""Monitors in plain Python: one look at a time, at what came in since they started afresh.

They start afresh with each champion, and at the first whole window after the repair of a failure that they can see.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from plain_noise import Noise, bin_probabilities, log_binomial, log_choose
from plain_quality import SLACK, PlainVersion
from plain_scores import FORMULAS, bin_means, gram, ks, mmd, upper_point, wasserstein

from scenarios.monitoring import AdaptiveLimits, Monitor
from scenarios.schema import Scenario
from sim.alarm_rules import detector_of
from sim.kernels.sampling import learn_edges
from sim.monitoring import Readings
from sim.null_distributions import NullFamily
from sim.randomness import moment_number

if TYPE_CHECKING:
    from plain_data_plane import PlainDataPlane


class PlainChampion(NamedTuple):
    """A version in service."""

    version: PlainVersion
    since: float
    first_full: int
    fresh: list[float]
    fresh_accuracy: float


class PlainMonitor:
    """Looks at the end of a window when it is due, at what came in since it started afresh."""

    never_silenced = False
    """Whether it calls although a deployment or a repair at the same moment starts it afresh."""
    follows_accuracy = True
    """Whether what it looks at depends on the accuracy of the model."""

    def __init__(self, monitor: Monitor, plane: PlainDataPlane) -> None:
        self.monitor, self.plane, self.label = monitor, plane, monitor.label
        scenario, window = plane.scenario, plane.window
        cadence = max(monitor.cadence or self._usual_cadence(), window)
        week = monitor.needs_labels and monitor.rule not in ("cusum", "detector")
        width = monitor.window or max(7.0 if week else cadence, window)
        self.cadence, self.width = max(round(cadence / window), 1), max(round(width / window), 1)
        self.least = 1 if monitor.reads_labels else monitor.min_samples
        self.score = np.full(scenario.windows, np.nan)
        staleness = monitor.rule == "staleness_cost"
        self.limit = price_of_retraining(scenario) if staleness else monitor.level
        self.cooldown = monitor.cooldown
        self.silent_until = -math.inf
        self.starts = 0
        self.trailing: deque[Any] = deque(maxlen=self.width)

    def _usual_cadence(self) -> float:
        return 1.0 if self.monitor.needs_labels else self.plane.window

    def uses(self, window: int) -> bool:
        """Whether the next look still remembers what came in during a window."""
        look = math.ceil((window + 1) / self.cadence) * self.cadence
        return look - (window + 1) < self.width

    def reset(self, champion: PlainChampion) -> None:
        """A new champion: nothing of what came in before says anything about it."""
        self.champion, self.origin = champion, champion.first_full
        self.past: list[tuple[int, float]] = []
        self.start(champion.first_full)

    def restart(self, onset: int, first_full: int) -> None:
        """A failure that began in window `onset` was repaired: what it has learned before that holds on."""
        self.past = [(w, math.nan if w >= onset else score) for w, score in self.past]
        self.start(max(first_full, self.champion.first_full))

    def start(self, first_full: int) -> None:
        """Look at nothing that came in before a window."""
        self.first_full = first_full
        self.starts += 1
        self.trailing.clear()
        self.found: list[tuple[float, float]] = []
        self.cusum = 0.0
        self.lost = 0.0
        self.answers: list[tuple[int, int, int]] = []
        if self.monitor.detector is not None:
            self.detector = detector_of(self.monitor.detector)

    def readings(self, stop: int) -> Readings:
        times, scores = np.array([t for t, _ in self.found]), np.array([s for _, s in self.found])
        return Readings(times, scores, self.cadence * self.plane.window)

    def calls(self, window: int) -> bool:
        """Measure a window that has just ended, and say whether the rule is met."""
        if window < self.origin:
            return False
        due = (window + 1) % self.cadence == 0
        whole = window >= self.first_full
        if whole and (due or self.width > 1 or self.monitor.reads_labels):
            self.trailing.append(self.observe(window))
        if not due:
            return False
        if not whole or self.plane.blind(window):
            self.past.append((window, math.nan))
            return False
        size, score = self.look()
        if size < self.least * (1.0 - SLACK):
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
            since = max(window + 1 - self.cadence, self.first_full)
            requests = sum(self.plane.requests[since : window + 1])
            drop = 0.0 if math.isnan(score) else max(score, 0.0)
            self.lost += drop * requests * scenario.value_per_query_per_unit_accuracy
            return self.lost >= self.limit
        if monitor.rule == "adaptive":
            limit = self._adaptive_limit()
            self.past.append((window, score))
            return not math.isnan(score) and score > limit + SLACK
        if monitor.rule == "detector":
            values = self.read_answers() if monitor.reads_labels else [self.standardised(size, score)]
            calls = [self.detector.update(value) for value in values]  # every one is read, also after a call
            return any(calls)
        if math.isnan(score):
            return False
        if monitor.rule == "significance":
            return self.p_value(size) <= monitor.accepted_false_alarms * self.cadence * self.plane.window
        if monitor.rule == "cusum":
            self.cusum = max(0.0, self.cusum + self.standardised(size, score) - monitor.allowance)
            met = self.cusum > self.limit
            self.cusum = 0.0 if met else self.cusum
            return met
        return score > self.limit + SLACK

    def _adaptive_limit(self) -> float:
        """Mean of the looks at the same time of the season, plus a multiple of the spread within such looks."""
        limits = self.monitor.limits or AdaptiveLimits()
        look = self.cadence * self.plane.window
        season = max(round(limits.season_length / look), 1)
        now, trailing = len(self.past), max(round(limits.trailing / look), 1)
        groups: dict[int, list[float]] = {}
        for i in range(max(now - trailing, 0), now):
            _, score = self.past[i]
            if not math.isnan(score):
                groups.setdefault(i % season, []).append(score)
        alike = groups.get(now % season, [])
        freedom = sum(len(group) - 1 for group in groups.values())
        everything = [x for group in groups.values() for x in group]
        if len(everything) < max(limits.min_looks, 2):
            return self.limit
        if len(alike) < 2:
            alike, freedom, groups = everything, len(everything) - 1, {0: everything}
        within = sum((x - sum(group) / len(group)) ** 2 for group in groups.values() for x in group)
        return sum(alike) / len(alike) + limits.deviations * math.sqrt(within / freedom)

    reference = math.nan

    def standardised(self, size: float, score: float) -> float:
        """Score in standard deviations of chance."""
        raise NotImplementedError

    def p_value(self, size: float) -> float:
        """Chance of a look like this one while nothing has changed."""
        raise NotImplementedError

    def read_answers(self) -> list[float]:
        """Answers since the last look one by one, 1 for a wrong one."""
        values = []
        for window, labels, correct in self.answers:
            noise, wrong = Noise(self.order_key, window), labels - correct
            for left in range(labels, 0, -1):
                values.append(1.0 if noise.uniform() * left < wrong else 0.0)
                wrong -= int(values[-1])
        self.answers.clear()
        return values

    def looked_at_since(self, window: int) -> float:
        """Beginning of what a look at the end of a window rests on, days."""
        return max(window + 1 - self.width, self.first_full) * self.plane.window

    def looks(self, first: int, stop: int) -> list[int]:
        """Windows at whose end it is due."""
        return [window for window in range(first, stop) if (window + 1) % self.cadence == 0]

    @property
    def used_share(self) -> float:
        """Share of the windows whose data it asks for."""
        return min(self.width / self.cadence, 1.0)

    def points(self, first: int, stop: int) -> float:
        """Data points taken in."""
        raise NotImplementedError

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
        self.order_key = plane.world.key(f"order:{self.label}")
        self.slice_key = plane.world.key(f"slice_labels:{self.place}")
        self.measured = np.full(plane.scenario.windows, np.nan)

    def start(self, first_full: int) -> None:
        super().start(first_full)
        self.reference, self.reference_rows = math.nan, math.inf
        if self.monitor.reference == "validation":
            self.reference, self.reference_rows = self._validated(self.champion)

    def _validated(self, champion: PlainChampion) -> tuple[float, float]:
        """What the holdout said, of a slice its own part of the holdout; the truth where there was none."""
        version, gate = champion.version, self.plane.scenario.pipeline.gate
        if self.place is None:
            if math.isnan(version.validation):
                return champion.fresh_accuracy, math.inf
            return version.validation, gate.holdout if gate else math.inf
        true = champion.fresh[self.place]
        rows = 0 if gate is None else round(gate.holdout * self.plane.quality.weights[self.place])
        if version.number == 0 or rows == 0:
            return true, math.inf
        noise = Noise(self.plane.world.key(f"holdout:{self.label}"), moment_number(version.cut))
        return noise.binomial(rows, true) / rows, rows

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

    def observe(self, window: int) -> tuple[float, float, int]:
        """Labels looked at, right answers among them, and the first window of the requests that they are for."""
        labels, correct, oldest = 0.0, 0.0, window
        for (identity, asked, _), number in zip(
            self.plane.arriving[window], self.labels_of(window), strict=True
        ):
            if asked < self.first_full or number == 0:
                continue
            oldest = min(oldest, asked)
            accuracy = self.plane.served[asked]
            chance = self.plane.quality.mean(accuracy) if self.place is None else accuracy[self.place]
            labels += number
            if self.monitor.sampling == "none":
                correct += number * chance
            else:
                correct += Noise(self.key, identity).binomial(number, chance)
        if self.monitor.reads_labels:
            self.answers.append((window, int(labels), int(correct)))
        return labels, correct, oldest

    def looked_at_since(self, window: int) -> float:
        return min(oldest for _, _, oldest in self.trailing) * self.plane.window

    def points(self, first: int, stop: int) -> float:
        return float(sum(sum(self.labels_of(window)) for window in range(first, stop) if self.uses(window)))

    def look(self) -> tuple[float, float]:
        labels, correct, _ = (sum(column) for column in zip(*self.trailing, strict=True))
        if labels < self.least:
            return labels, math.nan
        measured = correct / labels
        self.measured[self.plane.ended - 1] = measured
        if math.isnan(self.reference):
            self.reference, self.reference_rows = measured, labels
        return labels, self.reference - measured

    def standardised(self, size: float, score: float) -> float:
        if math.isnan(score):
            return math.nan
        if self.monitor.sampling == "none":
            spread = max(self.reference * (1.0 - self.reference), 1e-12)
            return score / math.sqrt(spread * (1.0 / size + 1.0 / self.reference_rows))
        terms = self._chances(size)
        return upper_point(math.fsum(terms) - 0.5 * terms[-1])

    def p_value(self, size: float) -> float:
        return math.fsum(self._chances(size))

    def _chances(self, size: float) -> list[float]:
        """Of so few right answers and fewer: binomial, or hypergeometric where the reference is a sample too."""
        labels, right = round(size), round(sum(correct for _, correct, _ in self.trailing))
        if math.isinf(self.reference_rows):
            if self.reference in (0.0, 1.0):
                certain = round(labels * self.reference)
                return [0.0] * right + [float(right == certain)] if right <= certain else [1.0, 0.0]
            terms = (log_binomial(k, labels, self.reference) for k in range(right + 1))
        else:
            others = round(self.reference_rows)
            pooled = right + round(self.reference * others)
            everything = log_choose(labels + others, pooled)
            terms = (
                log_choose(labels, k) + log_choose(others, pooled - k) - everything
                for k in range(max(pooled - others, 0), right + 1)
            )
        return [math.exp(term) for term in terms]


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
        self.formula = FORMULAS[monitor.drift_score]
        noisy = monitor.sampling != "none" and self.formula not in (ks, wasserstein, mmd)
        self.pseudo_count = 0.5 if noisy else 0.0

    def reset(self, champion: PlainChampion) -> None:
        super().reset(champion)
        rows = 0 if self.monitor.sampling == "none" else self.monitor.reference_rows
        key, moment = self.plane.world.key(f"reference:{self.label}"), moment_number(champion.version.cut)
        self.edges = learn_edges(key, moment, rows, self.series, self.monitor.bins).tolist()

    def observe(self, window: int) -> tuple[int, list[list[float]]]:
        rows = self._rows(window)
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

    def _rows(self, window: int) -> int:
        if self.monitor.sampling_rate is not None:
            return self.plane.carried_over(self.monitor.sampling_rate)[window]
        return int(min(self.plane.requests[window], self.monitor.rows or 1000))

    def points(self, first: int, stop: int) -> float:
        rows = sum(self._rows(window) for window in range(first, stop))
        return self.used_share * self.series * rows

    def look(self) -> tuple[float, float]:
        rows = sum(rows for rows, _ in self.trailing)
        if rows == 0:
            return 0.0, math.nan
        self.each = found = []
        for number in range(self.series):
            bins = zip(*(counts[number] for _, counts in self.trailing), strict=True)
            found.append(self.formula([sum(column) for column in bins], self.pseudo_count))
        return rows, max(found) if self.monitor.aggregate == "max" else sum(found) / len(found)

    def p_value(self, size: float) -> float:
        """Chance of the worst series, by Sidak's rule or by that of Simes (Benjamini and Hochberg)."""
        null = NullFamily.of(
            self.monitor.drift_score,
            self.monitor.bins,
            self.monitor.reference_rows,
            pseudo_count=self.pseudo_count,
            positions=bin_means(self.monitor.bins),
            gram=gram(self.monitor.bins),
        ).at(size)
        found = sorted(float(null.p_value(score)) for score in self.each)
        if self.monitor.correction == "benjamini_hochberg":
            return min(p * len(found) / rank for rank, p in enumerate(found, start=1))
        return 1.0 - (1.0 - found[0]) ** len(found) if found[0] > 1e-9 else len(found) * found[0]

    def standardised(self, size: float, score: float) -> float:
        return math.nan if math.isnan(score) else upper_point(self.p_value(size))

    def _shifts(self, window: int) -> list[float]:
        """Mean of each series over all slices, counted from the training data, in its standard deviations."""
        quality = self.plane.quality
        now, learned = quality._features(window), self.champion.version.data
        weights = quality.weights if len(now) > 1 else (1.0,)
        names, broken = self.plane.scenario.feature_names, self.plane.incidents.feature_shift
        shift = [
            sum(w * (now[s][j] - learned[s][j]) for s, w in enumerate(weights)) + broken(names[j], window)
            for j in self.columns
        ]
        if not self.prediction:
            return shift
        importance = [self.plane.scenario.features[j].weight for j in self.columns]
        length = math.sqrt(sum(w * w for w in importance))
        return [sum(w * s for w, s in zip(importance, shift, strict=True)) / length if length else 0.0]
