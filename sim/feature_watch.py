"""Watches of the distribution of features, or of predictions, against the champion's training data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scenarios.monitoring import Monitor
from sim.distribution_scores import DistributionScore, normal_score
from sim.kernels import sampling
from sim.randomness import moment_number
from sim.traffic import whole
from sim.watch import SAMPLING, Array, Champion, Watch
from sim.world import World

_CDF_TABLE = sampling.normal_cdf_table()


class FeatureWatch(Watch):
    """Distribution of the features, or of the predictions, against the champion's training data."""

    def __init__(self, monitor: Monitor, world: World) -> None:
        super().__init__(monitor, world)
        scenario = world.scenario
        names = scenario.feature_names
        wanted = names if monitor.features == "all" else monitor.features
        self.names = list(wanted)
        self.columns = [names.index(name) for name in wanted]
        self.weights = np.array(scenario.slice_weights)
        self.loading: Array | None = None
        if monitor.metric == "prediction_distribution_shift":
            importance = np.array([scenario.features[column].weight for column in self.columns])
            self.loading = importance / max(float(np.linalg.norm(importance)), 1e-300)
        self.series = 1 if self.loading is not None else len(self.columns)
        self.rows = _rows_of(monitor, world)
        self.running_rows = np.concatenate(([0], np.cumsum(self.rows)))
        self.method = SAMPLING[monitor.sampling]
        self.key = world.key(f"rows:{self.label}")
        self.reference_key = world.key(f"reference:{self.label}")
        self.scoring = DistributionScore(monitor, self.series)
        self.tested = monitor.rule in ("significance", "cusum", "detector")
        self.p_value = np.full(self.windows if self.tested else 0, np.nan)
        self.pooled = self.width > 1
        if self.pooled:
            self.running = np.zeros((self.windows + 1, self.series, monitor.bins))

    def reset(self, champion: Champion) -> None:
        """Start again on a new champion: bins are learned on its training data."""
        super().reset(champion)
        monitor = self.monitor
        learned_rows = 0 if monitor.sampling == "none" else monitor.reference_rows
        self.edges = sampling.learn_edges(
            self.reference_key, moment_number(champion.version.cut), learned_rows, self.series, monitor.bins
        )
        if self.pooled:
            self.running[champion.first_full] = 0.0

    def sample_size(self, looks: NDArray[np.int64]) -> Array:
        """Rows in the trailing window of each look."""
        begin = np.maximum(looks + 1 - self.width, self.champion.first_full)
        return (self.running_rows[looks + 1] - self.running_rows[begin]).astype(np.float64)

    def points(self, first: int, stop: int) -> float:
        """One of each row looked at, from each feature (or from the prediction)."""
        return self.used_share * self.series * float(self.rows[first:stop].sum())

    def p_values(self, looks: NDArray[np.int64]) -> Array:
        """Chance of a score as high as that of the worst series, corrected for their number."""
        return self.p_value[looks]

    def standardised(self, looks: NDArray[np.int64]) -> Array:
        """The same chance as a standard normal score."""
        return normal_score(self.p_value[looks])

    def threshold_of(self, probability: float, look: int) -> float:
        """Score that the worst series passes by chance with a given probability."""
        return self.scoring.threshold(probability, float(self.sample_size(np.array([look]))[0]))

    def shifts(self, first: int, stop: int) -> Array:
        """Mean shift of each watched series since the champion's training, (windows, series)."""
        features = self.state_features[:, first:stop][:, :, self.columns]
        gap = features - self.champion.version.data[:, None, self.columns]
        shift = gap[0] if len(gap) == 1 else np.tensordot(self.weights, gap, axes=1)
        broken = self.incidents.feature_shift(first, stop, self.names)
        shift = shift if broken is None else shift + broken
        return shift if self.loading is None else (shift @ self.loading)[:, None]

    def watch_state(self, features: Array) -> None:
        """Take the run's state of the features, (slices or 1, windows, features)."""
        self.state_features = features

    def _fill(self, first: int, stop: int, accuracy: Array) -> None:
        counts = np.empty((stop - first, self.series, self.monitor.bins))
        shifts = np.ascontiguousarray(self.shifts(first, stop))
        sampling.feature_counts(
            self.key, first, shifts, self.edges, self.rows[first:stop], self.method, _CDF_TABLE, counts
        )
        looks = self.seeing(first, stop)
        if self.pooled:
            np.cumsum(counts, axis=0, out=counts)
            self.running[first + 1 : stop + 1] = self.running[first] + counts
            begin = np.maximum(looks + 1 - self.width, self.champion.first_full)
            counts = self.running[looks + 1] - self.running[begin]
        elif len(looks) < len(counts):
            counts = counts[looks - first]
        if len(looks) == 0:
            return
        each = self.scoring.of_counts(counts)
        rows = self.sample_size(looks)
        each[rows < self.monitor.min_samples] = np.nan
        self.score[looks] = each.max(axis=1) if self.monitor.aggregate == "max" else each.mean(axis=1)
        if self.tested:
            self.p_value[looks] = self.scoring.p_values(each, rows)


def _rows_of(monitor: Monitor, world: World) -> NDArray[np.int64]:
    """Rows looked at in each window."""
    if monitor.sampling_rate is not None:
        return whole(world.requests * monitor.sampling_rate).astype(np.int64)
    return np.minimum(world.requests, monitor.rows or 1000).astype(np.int64)
