"""The three forms of quality in plain Python, one window and one slice at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from scenarios.schema import Scenario
from sim.world import World

SLACK = 1e-9
SIMPSON_STEPS = 16


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
