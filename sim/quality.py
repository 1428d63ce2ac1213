"""Model versions and how accurate each is: the three forms of quality behind one interface.

A version remembers the state it was trained on. The forms are the degradation equation and the exponential (one
kernel serves both), and the recorded matrix A[t', t].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from scenarios.schema import Scenario
from scenarios.world import Degradation, ExponentialDecay, RecordedQuality
from sim.drift import State
from sim.kernels.paths import follow
from sim.kernels.quality import accuracy_windows
from sim.labels import training_lag

Array = NDArray[np.float64]
_TIME_SLACK = 1e-9


@dataclass(frozen=True)
class Version:
    """A trained model: what it learned and how well."""

    number: int
    cut: float
    """Data cut in days: it has seen nothing later."""
    origin: float
    """Day from which its age counts; the data cut, or earlier when only part of the lost ground was regained."""
    features: Array
    """(slices or 1, rows, features): what it knows of the inputs from window `first` on."""
    concept: Array
    """(slices or 1, rows)"""
    first: int
    offset: float
    """Accuracy above what its data allow: luck or harm of the training."""
    data: Array
    """(slices or 1, features): mean state of the inputs it was trained on, the reference of feature monitors."""
    validation: float = math.nan
    """Accuracy measured at validation; NaN when it cannot be."""

    def measured(self, accuracy: float) -> Version:
        """The same version with the accuracy that validation measured."""
        return replace(self, validation=accuracy)


class Quality(Protocol):
    """What the data plane, the pipeline and the oracle ask of a form of quality."""

    def initial(self) -> Version:
        """The version in service at time 0."""

    def train(self, champion: Version, cut: float, regain: float, offset: float, number: int) -> Version:
        """A candidate trained at data cut `cut`, going a share `regain` of the way from the champion's state."""

    def fill(
        self, version: Version, since: float, until: float, first: int, stop: int, out: Array, base: int = 0
    ) -> None:
        """Write the mean accuracy of windows first..stop-1 within [since, until] days into out.

        out: (slices, windows), its first column is window `base`.
        """

    def at(self, version: Version, time: float) -> float:
        """Accuracy at a moment (days), all slices together; NaN where it is not defined."""

    def world_changed(self, champion: Version) -> None:
        """The state of the world was changed in place while `champion` serves."""


def quality_of(scenario: Scenario, state: State) -> Quality:
    """The form of quality that the scenario asks for."""
    if isinstance(scenario.quality, RecordedQuality):
        return MatrixQuality(scenario, scenario.quality, state)
    return StateQuality(scenario, scenario.quality, state)


class StateQuality:
    """Degradation equation and exponential decay."""

    def __init__(self, scenario: Scenario, quality: Degradation | ExponentialDecay, state: State) -> None:
        self.scenario = scenario
        self.state = state
        self.weights = np.array(scenario.slice_weights)
        slices = list(scenario.slices) + [None] * (len(self.weights) - len(scenario.slices))
        base_decay = quality.decay if isinstance(quality, ExponentialDecay) else 0.0
        self.accuracies = np.array(
            [
                quality.initial_accuracy if s is None or s.initial_accuracy is None else s.initial_accuracy
                for s in slices
            ]
        )
        self.decay = np.array([base_decay if s is None or s.decay is None else s.decay for s in slices])
        self.training_width = training_width(scenario)
        self.label_windows = round(training_lag(scenario) / scenario.window)
        self._followers: list[Version] = []
        self.sensitivity, self.concept_sensitivity, self.floor = np.zeros(0), 0.0, 0.0
        if isinstance(quality, Degradation):
            weights = np.array([feature.weight for feature in scenario.features])
            self.sensitivity = quality.feature_sensitivity * weights
            self.concept_sensitivity, self.floor = quality.concept_sensitivity, quality.floor

    def initial(self) -> Version:
        """The version in service at time 0: it knows the world of the first window."""
        features, concept = self.state.features[:, :1].copy(), self.state.concept[:, :1].copy()
        return self._following(Version(0, 0.0, 0.0, features, concept, 0, 0.0, features[:, 0]))

    def train(self, champion: Version, cut: float, regain: float, offset: float, number: int) -> Version:
        """A candidate that learned the world up to the data cut."""
        seen = self.window_at(cut)
        # A champion that follows its stream has learned as much by now, whatever its rows are for.
        row = max(seen + 1 + self.label_windows - champion.first, 0)
        known_features, known_concept = _row(champion.features, row), _row(champion.concept, row)
        features = self._learned(self.state.features, seen)
        data = features[:, 0]
        concept = self._learned(self.state.concept, seen)
        if self.scenario.labels is None:
            concept = known_concept
        if regain < 1.0:
            features = known_features + regain * (features - known_features)
            concept = known_concept + regain * (concept - known_concept)
        origin = cut - (1.0 - regain) * max(cut - champion.origin, 0.0)
        return self._following(Version(number, cut, origin, features, concept, seen + 1, offset, data))

    def fill(
        self, version: Version, since: float, until: float, first: int, stop: int, out: Array, base: int = 0
    ) -> None:
        """Write the mean accuracy of windows first..stop-1 within [since, until] days into out."""
        accuracy_windows(
            self.state.features,
            self.state.concept,
            self.sensitivity,
            self.concept_sensitivity,
            self.accuracies,
            self.decay,
            self.floor,
            self.scenario.window,
            version.features,
            version.concept,
            version.first,
            version.origin,
            version.offset,
            since,
            until,
            first,
            stop,
            base,
            out,
        )

    def at(self, version: Version, time: float) -> float:
        """Accuracy at a moment, all slices together; what was learned by then, on the data of that moment."""
        window = self.window_at(time)
        column = np.empty((len(self.weights), 1))
        self.fill(version, time, time, window, window + 1, column, base=window)
        return float(column[:, 0] @ self.weights)

    def window_at(self, time: float) -> int:
        """The window that ends at or holds `time`: the newest one with data by then."""
        newest = math.ceil(time / self.scenario.window - _TIME_SLACK) - 1
        return min(max(newest, 0), self.scenario.windows - 1)

    def learned_at(self, cuts: Array) -> tuple[Array, Array]:
        """What trainings from scratch know at data cuts (cuts,): features (slices or 1, cuts, features), concept."""
        newest = np.ceil(cuts / self.scenario.window - _TIME_SLACK).astype(np.int64) - 1
        newest = np.clip(newest, 0, self.scenario.windows - 1)
        features = _trailing_mean(self.state.features, newest, self.training_width)
        concept = _trailing_mean(self.state.concept, newest, self.training_width)
        if self.scenario.labels is None:
            concept = np.repeat(self.state.concept[:, :1], len(cuts), axis=1)
        return features, concept

    def _learned(self, path: Array, seen: int) -> Array:
        """What a training that saw data up to window `seen` knows of a path (slices, windows, ...)."""
        return _trailing_mean(path, np.array([seen]), self.training_width)

    def _following(self, version: Version) -> Version:
        """Let an incrementally learning version follow its labelled stream from its data cut on."""
        if self.scenario.pipeline.learning.time_constant is None:
            return version
        rows = max(self.scenario.windows - version.first, 1)
        concept_rows = 1 if self.scenario.labels is None else rows
        follower = replace(
            version,
            features=np.repeat(version.features[:, :1], rows, axis=1),
            concept=np.repeat(version.concept[:, :1], concept_rows, axis=1),
            first=version.first + self.label_windows,
        )
        self._followers.append(follower)
        self._follow(follower)
        return follower

    def _follow(self, version: Version) -> None:
        """Fill what a following version knows, in place, from its first row and the state of the world."""
        constant = self.scenario.pipeline.learning.time_constant
        assert constant is not None
        gain = -math.expm1(-self.scenario.window / constant)
        first = version.first - self.label_windows
        for place in range(version.features.shape[0]):
            target = np.ascontiguousarray(self.state.features[place, first:])
            follow(target, version.features[place, 0].copy(), gain, version.features[place])
        if self.scenario.labels is None:
            return
        for place in range(version.concept.shape[0]):
            target = np.ascontiguousarray(self.state.concept[place, first:, None])
            follow(target, version.concept[place, :1].copy(), gain, version.concept[place][:, None])

    def world_changed(self, champion: Version) -> None:
        """Let versions that follow their stream follow the changed world; those before the champion serve no more."""
        self._followers = [version for version in self._followers if version.number >= champion.number]
        for version in self._followers:
            self._follow(version)


def training_width(scenario: Scenario) -> int:
    """Windows of data that a training learns the mean of."""
    return max(round(scenario.pipeline.training_window / scenario.window), 1)


def _row(path: Array, row: int) -> Array:
    """Row of what a version knows (slices, rows, ...), its last one holding from then on."""
    row = min(row, path.shape[1] - 1)
    return path[:, row : row + 1]


def _trailing_mean(path: Array, newest: NDArray[np.int64], width: int) -> Array:
    """Mean of `width` windows of a path (slices, windows, ...) up to each of `newest`, (slices, newest, ...)."""
    if width == 1:
        return np.ascontiguousarray(path[:, newest])
    if len(newest) == 1:
        last = int(newest[0]) + 1
        return np.asarray(path[:, max(last - width, 0) : last].mean(axis=1, keepdims=True))
    total = np.concatenate((np.zeros_like(path[:, :1]), np.cumsum(path, axis=1)), axis=1)
    begin = np.maximum(newest + 1 - width, 0)
    count = (newest + 1 - begin).reshape((1, -1) + (1,) * (path.ndim - 2))
    return np.ascontiguousarray((total[:, newest + 1] - total[:, begin]) / count)


class MatrixQuality:
    """Recorded accuracies A[t', t]; the run starts with period 1."""

    def __init__(self, scenario: Scenario, quality: RecordedQuality, state: State) -> None:
        self.state = state
        self.window = scenario.window
        self.training_width = training_width(scenario)
        self.matrix = np.array(quality.matrix.rows, dtype=np.float64)
        self.period = quality.period
        middle = (np.arange(scenario.windows) + 0.5) * scenario.window
        self.columns = 1 + (middle / quality.period).astype(np.int64)

    def initial(self) -> Version:
        """The model trained through period 0."""
        return self._version(0, 0.0, 0.0)

    def train(self, champion: Version, cut: float, regain: float, offset: float, number: int) -> Version:
        """The model trained through the last period that is complete at the data cut. Raises ValueError."""
        if regain < 1.0:
            raise ValueError(
                "recorded accuracies are of full trainings: incremental and warm-start retraining (such as the policy "
                "continuous) cannot be played on them"
            )
        return self._version(number, cut, offset)

    def fill(
        self, version: Version, since: float, until: float, first: int, stop: int, out: Array, base: int = 0
    ) -> None:
        """Write the recorded accuracy of windows first..stop-1 into out (1, windows)."""
        values = self.matrix[self.row(version.cut), self.columns[first:stop]] + version.offset
        out[0, first - base : stop - base] = np.clip(values, 0.0, 1.0)

    def at(self, version: Version, time: float) -> float:
        """Not recorded: the holdout accuracy of a candidate is not in the matrix."""
        return math.nan

    def row(self, cut: float) -> int:
        """Row of the model trained at a data cut."""
        return min(max(int(cut / self.period + _TIME_SLACK), 0), len(self.matrix) - 1)

    def _version(self, number: int, cut: float, offset: float) -> Version:
        seen = max(math.ceil(cut / self.window - _TIME_SLACK) - 1, 0)
        data = _trailing_mean(self.state.features, np.array([seen]), self.training_width)[:, 0]
        return Version(number, cut, cut, np.zeros((1, 1, 0)), np.zeros((1, 1)), 0, offset, data)

    def world_changed(self, champion: Version) -> None:
        """Recorded accuracies do not depend on the state."""
