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

    def fill(self, version: Version, since: float, until: float, first: int, stop: int, out: Array) -> None:
        """Write the mean accuracy of windows first..stop-1 within [since, until] days into out (slices, windows)."""

    def at(self, version: Version, time: float) -> float:
        """Accuracy at a moment (days), all slices together; NaN where it is not defined."""


def quality_of(scenario: Scenario, state: State) -> Quality:
    """The form of quality that the scenario asks for."""
    if isinstance(scenario.quality, RecordedQuality):
        return MatrixQuality(scenario, scenario.quality)
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
        self.sensitivity, self.concept_sensitivity, self.floor = np.zeros(0), 0.0, 0.0
        if isinstance(quality, Degradation):
            weights = np.array([feature.weight for feature in scenario.features])
            self.sensitivity = quality.feature_sensitivity * weights
            self.concept_sensitivity, self.floor = quality.concept_sensitivity, quality.floor

    def initial(self) -> Version:
        """The version in service at time 0: it knows the world of the first window."""
        version = Version(0, 0.0, 0.0, self.state.features[:, :1].copy(), self.state.concept[:, :1].copy(), 0, 0.0)
        return self._following(version)

    def train(self, champion: Version, cut: float, regain: float, offset: float, number: int) -> Version:
        """A candidate that learned the world up to the data cut."""
        seen = self.window_at(cut)
        row = min(max(seen + 1 - champion.first, 0), champion.features.shape[1] - 1)
        features = self._learned(self.state.features, seen)
        concept = self._learned(self.state.concept, seen)
        if self.scenario.labels is None:
            concept = champion.concept[:, row : row + 1]
        if regain < 1.0:
            features = champion.features[:, row : row + 1] + regain * (
                features - champion.features[:, row : row + 1]
            )
            concept = champion.concept[:, row : row + 1] + regain * (concept - champion.concept[:, row : row + 1])
        origin = cut - (1.0 - regain) * max(cut - champion.origin, 0.0)
        return self._following(
            Version(number, cut, origin, features, concept, seen + 1, offset)
        )

    def fill(self, version: Version, since: float, until: float, first: int, stop: int, out: Array) -> None:
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
            out,
        )

    def at(self, version: Version, time: float) -> float:
        """Accuracy at a moment, all slices together; what was learned by then, on the data of that moment."""
        window = self.window_at(time)
        row = np.zeros((len(self.weights), window + 1))
        self.fill(version, time, time, window, window + 1, row)
        return float(row[:, window] @ self.weights)

    def window_at(self, time: float) -> int:
        """The window that ends at or holds `time`: the newest one with data by then."""
        newest = math.ceil(time / self.scenario.window - _TIME_SLACK) - 1
        return min(max(newest, 0), self.scenario.windows - 1)

    def _learned(self, path: Array, seen: int) -> Array:
        """What a training that saw data up to window `seen` knows of a path (slices, windows, ...)."""
        width = max(round(self.scenario.pipeline.training_window / self.scenario.window), 1)
        return np.asarray(path[:, max(seen + 1 - width, 0) : seen + 1].mean(axis=1, keepdims=True))

    def _following(self, version: Version) -> Version:
        """Let an incrementally learning version follow its stream from its data cut on."""
        constant = self.scenario.pipeline.learning.time_constant
        if constant is None:
            return version
        gain = -math.expm1(-self.scenario.window / constant)
        features = _follow_slices(self.state.features[:, version.first :], version.features[:, 0], gain)
        concept = _follow_slices(
            self.state.concept[:, version.first :, None], version.concept[:, :1], gain
        )[:, :, 0]
        if self.scenario.labels is None:
            concept = version.concept
        lag = round(training_lag(self.scenario) / self.scenario.window)
        return Version(
            version.number, version.cut, version.origin, features, concept, version.first + lag, version.offset
        )


def _follow_slices(target: Array, start: Array, gain: float) -> Array:
    if target.shape[1] == 0:
        return start[:, None]
    out = np.empty_like(target)
    for place in range(target.shape[0]):
        follow(np.ascontiguousarray(target[place]), np.ascontiguousarray(start[place]), gain, out[place])
    return out


class MatrixQuality:
    """Recorded accuracies A[t', t]; the run starts with period 1."""

    def __init__(self, scenario: Scenario, quality: RecordedQuality) -> None:
        self.matrix = np.array(quality.matrix.rows, dtype=np.float64)
        self.period = quality.period
        middle = (np.arange(scenario.windows) + 0.5) * scenario.window
        self.columns = 1 + (middle / quality.period).astype(np.int64)

    def initial(self) -> Version:
        """The model trained through period 0."""
        return self._version(0, 0.0, 0.0)

    def train(self, champion: Version, cut: float, regain: float, offset: float, number: int) -> Version:
        """The model trained through the last period that is complete at the data cut."""
        return self._version(number, cut, offset)

    def fill(self, version: Version, since: float, until: float, first: int, stop: int, out: Array) -> None:
        """Write the recorded accuracy of windows first..stop-1 into out (1, windows)."""
        values = self.matrix[self.row(version.cut), self.columns[first:stop]] + version.offset
        out[0, first:stop] = np.clip(values, 0.0, 1.0)

    def at(self, version: Version, time: float) -> float:
        """Not recorded: the holdout accuracy of a candidate is not in the matrix."""
        return math.nan

    def row(self, cut: float) -> int:
        """Row of the model trained at a data cut."""
        return min(max(int(cut / self.period + _TIME_SLACK), 0), len(self.matrix) - 1)

    def _version(self, number: int, cut: float, offset: float) -> Version:
        return Version(number, cut, cut, np.zeros((1, 1, 0)), np.zeros((1, 1)), 0, offset)
