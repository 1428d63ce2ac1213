"""What a table looked like when all was well, learned once: scores many windows against it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.kernels.binning import Binning, binning_of, learn_edges
from sim.kernels.columns import Columns, Table, as_floats, is_number
from sim.kernels.counting import count_columns, count_table
from sim.kernels.features import CategoricalFeature, Feature, NumericFeature, factorised, sorted_values
from sim.kernels.histograms import DIVERGENCES, TESTS, Histogram, score_histograms
from sim.kernels.ks_probability import ks_p_value
from sim.kernels.threads import in_threads

ON_COUNTS = (*DIVERGENCES, *TESTS)
ON_SAMPLES = ("ks", "ks_p_value", "wasserstein")
DEFAULT_SCORES = ("psi", "kl", "js")


@dataclass(frozen=True, eq=False)
class Reference:
    """Bins, categories and sorted samples of a table, fitted once by `Reference.fit`; can be pickled.

    Bins and the rule for empty ones are those of `sim.kernels.scores`: half a count a bin on both sides, bins empty on
    both sides left out. NaN (None, NA) has a bin of its own, categories that the reference did not have share another;
    both are left out, like any bin, while both sides have none.

    >>> reference = Reference.fit({"age": [20.0, 30.0, 40.0, 50.0], "plan": ["a", "a", "b", "b"]}, bins=2)
    >>> window = {"age": [35.0, 45.0, 50.0, 60.0], "plan": ["a", "b", "b", "c"]}
    >>> reference.score(window, ["psi", "ks"]).round(3)
            psi   ks
    age   0.879  0.5
    plan  0.293  NaN
    """

    features: tuple[Feature, ...]
    counts: NDArray[np.int64]
    """(all bins,) counts of the reference, feature after feature."""
    rows: int

    @classmethod
    def fit(
        cls,
        table: Table,
        *,
        bins: int = 10,
        binning: Binning = "quantile",
        categorical: Iterable[Hashable] | None = None,
        keep_sample: bool = True,
        threads: int | None = None,
    ) -> Reference:
        """Learn bins, categories and sorted samples.

        table: DataFrame, mapping from name to 1-D array, or 2-D array (columns are named 0, 1, ...), at least one row
        bins: of each column of numbers, >= 2; fewer where values are tied
        binning: 'quantile', 'uniform', or inner edges, for all columns of numbers or by name (`learn_edges`)
        categorical: columns of numbers to take as categories; text, bool, categories and mixed objects always are
        keep_sample: KS and W1 need it; without it a reference holds no values of the table
        threads: at most this many; None takes all cores. The reference is the same for any number.
        Raises ValueError, naming the column, for what cannot be learned.
        """
        columns = Columns(table, "reference")
        if bins < 2:
            raise ValueError(f"bins must be at least 2, got {bins}")
        chosen = set(categorical or ())
        _refuse_unknown("categorical", chosen, columns)
        if isinstance(binning, dict):
            _refuse_unknown("binning", binning, columns)

        def learn(name: Hashable) -> Feature:
            column = columns.column(name)
            if name in chosen or not is_number(column):
                return CategoricalFeature(name, tuple(factorised(column)[1]))
            sample = sorted_values(column)
            edges = learn_edges(sample, binning_of(name, binning), bins)
            return NumericFeature(name, edges, sample if keep_sample else None)

        features = tuple(_by_column(learn, columns.names, "reference", threads))
        blank = cls(features, np.empty(0, dtype=np.int64), columns.rows)
        return cls(features, blank._counted(columns, "reference", threads), columns.rows)

    @property
    def names(self) -> list[Hashable]:
        """Names of the columns, in order."""
        return list(self._places)

    def labels(self, name: Hashable) -> list[str]:
        """What each bin of a column holds."""
        return self.features[self._place(name)].labels

    def bins_of(self, name: Hashable) -> slice:
        """Where the bins of a column are in `counts` and in the counts of a `Histogram`."""
        place = self._place(name)
        start = int(self._sizes[:place].sum())
        return slice(start, start + int(self._sizes[place]))

    def histogram(self, window: Table, threads: int | None = None) -> Histogram:
        """Counts of a window (or of a shard of it) in the bins of the reference.

        window: as for `fit`; columns are found by name, further ones are not read; a 2-D array has the same columns
        Raises ValueError, naming the column, when one is missing or is not numbers as it was.
        """
        return Histogram(self._counted(self._read(window), "window", threads), self._fingerprint)

    def score_counts(self, histogram: Histogram, scores: Sequence[str] = DEFAULT_SCORES) -> pd.DataFrame:
        """Scores of a histogram, a row a column of the table; scores: of ON_COUNTS.

        Raises ValueError for an unknown score or for a histogram of another reference.
        """
        _check_scores(scores, ON_COUNTS)
        if histogram.reference != self._fingerprint:
            raise ValueError("the histogram is of another reference: its bins are not the same")
        return self._frame(self._scores_of(histogram.counts, scores), scores)

    def score(
        self, window: Table, scores: Sequence[str] = DEFAULT_SCORES, threads: int | None = None
    ) -> pd.DataFrame:
        """Scores of a window, a row a column of the table; arguments and errors of `score_arrays`."""
        return self._frame(self.score_arrays(window, scores, threads), scores)

    def score_arrays(
        self, window: Table, scores: Sequence[str] = DEFAULT_SCORES, threads: int | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Scores of a window by name, each (columns,): `score` without the making of a DataFrame.

        window: as for `histogram`; a float table is not copied, and KS and W1 sort a copy of one column a thread
        scores: of ON_COUNTS ('psi', 'kl', 'js', 'js_distance', 'hellinger', 'total_variation', 'chi_square_divergence',
            and the test 'chi_square', 'chi_square_p_value') and ON_SAMPLES ('ks', 'ks_p_value', 'wasserstein': NaN for
            categories)
        threads: at most this many; None takes all cores. Scores are the same to the last bit for any number.
        Raises ValueError as `histogram` does, and for an unknown score or a sample that was not kept.
        """
        _check_scores(scores, (*ON_COUNTS, *ON_SAMPLES))
        columns = self._read(window)
        out: dict[str, NDArray[np.float64]] = {}
        on_counts = [name for name in scores if name in ON_COUNTS]
        if on_counts:
            out |= self._scores_of(self._counted(columns, "window", threads), on_counts)
        if len(on_counts) < len(scores):
            out |= self._sample_scores(columns, "ks_p_value" in scores, threads)
        return {name: out[name] for name in scores}

    def _counted(self, columns: Columns, what: str, threads: int | None) -> NDArray[np.int64]:
        out = np.zeros(int(self._sizes.sum()), dtype=np.int64)
        if self._numeric:
            edges, used, places = self._edge_table
            if columns.matrix is not None and columns.names == [feature.name for feature in self._numeric]:
                counts = count_table(columns.matrix, edges, threads)
            else:
                names = [feature.name for feature in self._numeric]
                floats = _by_column(lambda name: as_floats(columns.column(name)), names, what, 1)
                counts = count_columns(floats, edges, threads)
            out[places] = counts[used]
        categorical = {
            feature.name: feature for feature in self.features if isinstance(feature, CategoricalFeature)
        }

        def count(name: Hashable) -> NDArray[np.int64]:
            return categorical[name].count(columns.column(name))

        for name, counts in zip(
            categorical, _by_column(count, list(categorical), what, threads), strict=True
        ):
            out[self.bins_of(name)] = counts
        return out

    def _sample_scores(
        self, columns: Columns, with_p: bool, threads: int | None
    ) -> dict[str, NDArray[np.float64]]:
        numeric = {feature.name: feature for feature in self._numeric}
        out = {name: np.full(len(self.features), np.nan) for name in ON_SAMPLES}

        def distances(name: Hashable) -> tuple[float, float, int]:
            return numeric[name].distances(columns.column(name))

        measured = _by_column(distances, list(numeric), "window", threads)
        for feature, (statistic, distance, size) in zip(self._numeric, measured, strict=True):
            place = self._place(feature.name)
            out["ks"][place], out["wasserstein"][place] = statistic, distance
            if with_p and not np.isnan(statistic) and feature.sample is not None:
                out["ks_p_value"][place] = ks_p_value(statistic, feature.sample.size, size)
        return out

    def _scores_of(self, counts: NDArray[np.int64], scores: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        return score_histograms(self.counts, counts, self._sizes, scores)

    def _frame(self, values: dict[str, NDArray[np.float64]], scores: Sequence[str]) -> pd.DataFrame:
        return pd.DataFrame({name: values[name] for name in scores}, index=pd.Index(self.names))

    def _read(self, window: Table) -> Columns:
        columns = Columns(window, "window")
        if columns.names == self.names:
            return columns
        here, known = set(columns.names), set(self.names)
        absent = [name for name in self.names if name not in here]
        unknown = [name for name in columns.names if name not in known]
        if absent:
            further = f"; it has {', '.join(map(repr, unknown))} instead" if unknown else ""
            raise ValueError(f"window lacks column {', '.join(map(repr, absent))}{further}")
        if unknown and isinstance(window, np.ndarray):
            raise ValueError(f"window has {len(columns.names)} columns, the reference {len(self.names)}")
        return columns

    def _place(self, name: Hashable) -> int:
        if name not in self._places:
            raise ValueError(f"no column {name!r}; one of: {', '.join(map(str, self.names))}")
        return self._places[name]

    @cached_property
    def _places(self) -> dict[Hashable, int]:
        return {feature.name: place for place, feature in enumerate(self.features)}

    @cached_property
    def _sizes(self) -> NDArray[np.int64]:
        return np.array([feature.bins for feature in self.features], dtype=np.int64)

    @cached_property
    def _numeric(self) -> list[NumericFeature]:
        return [feature for feature in self.features if isinstance(feature, NumericFeature)]

    @cached_property
    def _edge_table(self) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
        """Edges of the numeric columns filled up with +inf; which counts are of bins; where these go in all bins."""
        widest = max(len(feature.edges) for feature in self._numeric)
        edges = np.full((len(self._numeric), widest), np.inf)
        used = np.ones((len(self._numeric), widest + 2), dtype=np.bool_)
        for row, feature in enumerate(self._numeric):
            edges[row, : len(feature.edges)] = feature.edges
            used[row, len(feature.edges) + 1 : -1] = False
        numeric = [isinstance(feature, NumericFeature) for feature in self.features]
        return edges, used, np.flatnonzero(np.repeat(numeric, self._sizes))

    @cached_property
    def _fingerprint(self) -> str:
        """Same bins, same fingerprint."""
        digest = hashlib.sha256()
        for feature in self.features:
            bins = feature.edges.tolist() if isinstance(feature, NumericFeature) else feature.categories
            digest.update(repr((feature.name, bins)).encode())
        return digest.hexdigest()


def _by_column(
    work: Callable[[Hashable], Any], names: Sequence[Hashable], what: str, threads: int | None
) -> list[Any]:
    """Answers of `work` for each column; its errors are told with the name of the column."""

    def named(name: Hashable) -> Any:
        try:
            return work(name)
        except ValueError as error:
            raise ValueError(f"{what}: column {name!r} {error}") from None

    return in_threads(named, names, threads)


def _check_scores(scores: Sequence[str], known: Sequence[str]) -> None:
    if isinstance(scores, str):
        raise ValueError(f"scores must be a list of names, such as [{scores!r}]")
    for name in scores:
        if name not in known:
            raise ValueError(f"no score {name!r} here; one of: {', '.join(known)}")


def _refuse_unknown(argument: str, given: Iterable[Hashable], columns: Columns) -> None:
    unknown = [name for name in given if name not in columns.names]
    if unknown:
        raise ValueError(f"{argument}: the reference has no column {', '.join(map(repr, unknown))}")
