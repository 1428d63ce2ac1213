"""Which columns of a table have drifted from their reference: scores, thresholds of the source, worst first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.data_tables import is_numeric, read_table, same_columns, with_plain_names
from scenarios.monitoring import SOURCE_THRESHOLDS
from sim.displays import Displayed
from sim.kernels.reference import Reference
from sim.randomness import check_seed

if TYPE_CHECKING:
    from analysis.plot_panels import Panels

MODERATE_PSI = 0.1
"""PSI between this and the alert threshold is a moderate shift. Source: chapter, 'Quantifying Drift'."""
FALSE_DISCOVERIES = 0.05
"""Shifts whose corrected p-value is above this could be chance."""
_SCORES = ("psi", "ks", "js", "wasserstein", "ks_p_value")
_FEW = 5.0
"""Expected counts below which the chi-square distribution is not trusted. Source: Cochran 1954, Biometrics 10."""
_DRAWS = 9_999
_ENOUGH = 100
_CELLS = 10_000_000
_MANY_VALUES = 50
_NAMED = 6


@dataclass(frozen=True, eq=False, repr=False)
class TableDrift(Displayed):
    """Scores of every column of a current table against a reference; see `table_drift`."""

    names: tuple[str, str]
    reference: pd.DataFrame
    current: pd.DataFrame
    fitted: Reference
    bins: int = 10
    warnings: tuple[str, ...] = ()
    seed: int = 0

    def headline(self) -> str:
        """The verdict."""
        return self.verdict()

    def _shown(self) -> pd.DataFrame:
        return self.table()

    @cached_property
    def _table(self) -> pd.DataFrame:
        scores = self.fitted.score(self.current, _SCORES)
        numbers = [name for name in self.reference.columns if is_numeric(self.reference[name])]
        spread = pd.Series({name: _spread(self.reference[name]) for name in numbers}, dtype=np.float64)
        # A number is tested twice, by its values and by its bins, which see missing values too.
        by_value, by_bin = (
            scores["ks_p_value"],
            _bin_p_values(self.reference, self.current, self.bins, self.seed),
        )
        p_value = (2.0 * by_value.combine(by_bin, min)).clip(upper=1.0).where(by_value.notna(), by_bin)
        table = pd.DataFrame(
            {
                "kind": ["number" if name in numbers else "category" for name in scores.index],
                # Of equal samples rounding leaves -1e-17; adding 0 takes the sign off -0.
                "psi": scores["psi"].clip(lower=0.0) + 0.0,
                "ks": scores["ks"],
                "js": scores["js"].clip(lower=0.0) + 0.0,
                "wasserstein_sd": scores["wasserstein"] / spread.reindex(scores.index),
                "missing_reference": self.reference.isna().mean(),
                "missing_current": self.current.isna().mean(),
                "p_value": p_value,
                "p_adjusted": _adjusted(p_value),
            }
        )
        excess = pd.DataFrame({name: table[name] / limit for name, limit in SOURCE_THRESHOLDS.items()})
        moderate = table["psi"] > MODERATE_PSI
        table["level"] = np.where(
            excess.max(axis=1) > 1.0, "shifted", np.where(moderate, "moderate", "stable")
        )
        worst_first = excess.max(axis=1).sort_values(ascending=False, kind="stable").index
        return table.loc[worst_first].rename_axis("feature")

    def table(self) -> pd.DataFrame:
        """One row a column, worst first.

        psi, js (nats), ks (0 to 1), wasserstein_sd (reference SDs), shares of missing values, p_value (test of the
        counts, of numbers in bins of both tables together, there with the KS test by Bonferroni; exact or by Monte
        Carlo where an expected count is below 5), p_adjusted (Benjamini-Hochberg over all columns), level ('shifted'
        above PSI 0.2, KS 0.1 or JS 0.1; 'moderate' above PSI 0.1; else 'stable').
        """
        return self._table.copy()

    @property
    def shifted(self) -> list[str]:
        """Columns above a threshold of the source, worst first."""
        return list(self._table.index[self._table["level"] == "shifted"])

    def verdict(self) -> str:
        """One sentence: how many columns shifted, and whether chance could do that with so few rows."""
        shifted = self.shifted
        if not shifted:
            return f"None of {len(self._table)} features is above a threshold of the source."
        listed = ", ".join(shifted[:_NAMED]) + (", ..." if len(shifted) > _NAMED else "")
        p_adjusted = self._table["p_adjusted"].to_dict()
        chance = [name for name in shifted if p_adjusted[name] > FALSE_DISCOVERIES]
        text = f"{len(shifted)} of {len(self._table)} features shifted: {listed}."
        if chance:
            text += (
                f" With {len(self.current):,} rows {len(chance)} of them could be chance "
                f"(p > {FALSE_DISCOVERIES}): {', '.join(chance[:_NAMED])}."
            )
        return text

    def plot(self) -> Panels:
        """Distributions of the worst columns, reference against current; returns matplotlib axes, one a panel."""
        from analysis.plot_drift import plot_drift
        from analysis.plot_panels import Panels

        return Panels(plot_drift(self))

    def to_dict(self) -> dict[str, Any]:
        """The report as one JSON document; numbers that do not exist are null."""
        rows = self._table.reset_index().to_dict("records")
        return {
            "reference": self.names[0],
            "current": self.names[1],
            "rows_reference": len(self.reference),
            "rows_current": len(self.current),
            "thresholds": {**SOURCE_THRESHOLDS, "psi_moderate": MODERATE_PSI},
            "features": [{str(key): _plain(value) for key, value in row.items()} for row in rows],
            "shifted": self.shifted,
            "verdict": self.verdict(),
            "warnings": list(self.warnings),
        }


def table_drift(
    reference: pd.DataFrame | str | Path,
    current: pd.DataFrame | str | Path,
    *,
    features: Sequence[str] = (),
    ignore: Iterable[str] = (),
    categorical: Iterable[str] = (),
    bins: int = 10,
    seed: int = 0,
) -> TableDrift:
    """Score every column of `current` against `reference`.

    reference, current: DataFrames, or paths of CSV or Parquet files, with the same columns
    features: columns to compare, all when empty; ignore: columns to leave out
    categorical: columns of numbers to compare as categories; text and truth values always are
    bins: equal-frequency bins of a column of numbers, >= 2; seed: of Monte Carlo tests, an integer >= 0
    Raises ValueError, naming the file and the column, for tables that do not fit together; OSError for a file that
    cannot be read. Source of the thresholds: chapter, 'Feature distribution monitoring'.

    >>> usual = pd.DataFrame({"age": range(100), "plan": ["a", "b"] * 50})
    >>> table_drift(usual, usual.assign(age=usual["age"] + 30)).shifted
    ['age']
    """
    check_seed("seed", seed)
    names, tables = _both(reference, current)
    left_out, as_text = list(ignore), list(categorical)
    for name in (*left_out, *as_text):
        if not any(name in table for table in tables):
            raise ValueError(f"{names[0]} and {names[1]}: have no column {name!r}")
    for name in features:
        if name in left_out:
            raise ValueError(f"column {name!r}: is both to be compared (--feature) and left out (--ignore)")
    kept = [table.drop(columns=left_out, errors="ignore") for table in tables]
    first, second = same_columns(kept[0], kept[1], names, features, as_text)
    if first.shape[1] == 0:
        raise ValueError(f"{names[0]}: no column is left to compare")
    fitted = Reference.fit(first, bins=bins)
    return TableDrift(names, first, second, fitted, bins, tuple(_suspicions(first)), seed)


def _both(
    reference: pd.DataFrame | str | Path, current: pd.DataFrame | str | Path
) -> tuple[tuple[str, str], list[pd.DataFrame]]:
    """Names for messages, and both tables."""
    names, tables = [], []
    for given, name in ((reference, "reference"), (current, "current")):
        frame = isinstance(given, pd.DataFrame)
        table = with_plain_names(given, name) if isinstance(given, pd.DataFrame) else read_table(given)
        if len(table) == 0:
            raise ValueError(f"{name}: has no rows")
        names.append(name if frame else str(given))
        tables.append(table)
    return (names[0], names[1]), tables


def _suspicions(table: pd.DataFrame) -> Iterable[str]:
    for name in table.columns:
        if is_numeric(table[name]):
            continue
        different = table[name].nunique()
        if different > max(_MANY_VALUES, 0.5 * len(table)):
            yield (
                f"column {name!r} has {different:,} different values in {len(table):,} rows: an identifier or a "
                f"time? It always looks shifted; leave it out with --ignore {name}"
            )


def _spread(column: pd.Series) -> float:
    """SD of the values that are not missing; NaN where it is 0 or where one is infinite."""
    values = column.dropna().to_numpy(dtype=np.float64)
    largest = np.abs(values).max(initial=0.0)
    if len(values) < 2 or largest == 0.0 or not math.isfinite(largest):
        return math.nan
    # Squares of large values would overflow.
    return float(np.std(values / largest, ddof=1)) * float(largest) or math.nan


def _bin_p_values(reference: pd.DataFrame, current: pd.DataFrame, bins: int, seed: int) -> pd.Series:
    """p-value by column that both samples fall in the bins alike; see `_homogeneity`.

    Bins and categories are learned from both tables together. Those of the reference alone would favour it: it has no
    row with a category that only the other has, whatever the law.
    """
    names = list(reference.columns)
    both = {name: pd.concat([reference[name], current[name]], ignore_index=True) for name in names}
    categories = [name for name in names if not is_numeric(reference[name])]
    pooled = Reference.fit(both, bins=bins, categorical=categories, keep_sample=False)
    counts = np.stack([pooled.histogram(table).counts for table in (reference, current)])
    p_values = {name: _homogeneity(counts[:, pooled.bins_of(name)], _DRAWS, seed) for name in names}
    # The least p-value of so many draws can be too large for the correction over many columns.
    least = [name for name in names if p_values[name] == 1.0 / (1.0 + _DRAWS)]
    if len(least) * _ENOUGH < len(names):
        p_values |= {
            name: _homogeneity(counts[:, pooled.bins_of(name)], _ENOUGH * len(names), seed) for name in least
        }
    return pd.Series(p_values, dtype=np.float64)


def _homogeneity(counts: NDArray[np.int64], draws: int, seed: int = 0) -> float:
    """p-value that the two rows of a table of counts are samples of one law.

    counts: (2, bins) >= 0, no row all 0; draws: at most, of the Monte Carlo test, >= 1; seed: of these draws
    Chi-square where every expected count is at least 5, else the law of the table given its sums: Fisher's exact test
    of two bins, Monte Carlo of more.
    """
    from scipy.stats import chi2_contingency, fisher_exact

    counts = counts[:, counts.any(axis=0)]
    rows, sums = counts.sum(axis=1), counts.sum(axis=0)
    if len(sums) < 2:
        return 1.0
    if rows.min() * sums.min() >= _FEW * rows.sum():
        return float(chi2_contingency(counts, correction=False).pvalue)
    if len(sums) == 2:
        return float(fisher_exact(counts).pvalue)
    return _monte_carlo(counts[rows.argmin()], sums, draws, seed)


def _monte_carlo(sample: NDArray[np.int64], sums: NDArray[np.int64], draws: int, seed: int = 0) -> float:
    """Share of tables with the same sums whose Pearson statistic is at least that of the sample, itself counted in.

    sample, sums: (bins,) counts of one row and of both; given the sums the row is multivariate hypergeometric.
    Draws end after 100 tables as extreme, where p is known well enough, and are fewer where there
    are very many bins (1e7 / bins, at least 199). Source: Besag, Clifford 1991, Biometrika 78, 'Sequential Monte Carlo
    p-values'.
    """
    # Bins of one row of both tables (identifiers) are drawn as one: 0 and 1 are their own squares.
    single = sums == 1
    sample, sums = (np.append(side[~single], side[single].sum()) for side in (sample, sums))
    weights = 1.0 / sums[:-1]

    def rising_with_pearson(counts: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(counts[..., :-1].astype(np.float64) ** 2 @ weights + counts[..., -1])

    rng, rows = np.random.default_rng(seed), int(sample.sum())
    method: Literal["count", "marginals"] = (
        "count" if rows < 5 * len(sums) and sums.sum() < 1_000_000 else "marginals"
    )
    observed = rising_with_pearson(sample) * (1.0 - 1e-12)  # rounding must not break ties
    most = max(199, min(draws, _CELLS // len(sums)))
    lot = max(1, min(500, 1_000_000 // len(sums)))
    done = extreme = 0
    while done < most and extreme < _ENOUGH:
        size = min(lot, most - done)
        drawn = rng.multivariate_hypergeometric(sums, rows, size=size, method=method)
        extreme += int((rising_with_pearson(drawn) >= observed).sum())
        done += size
    return (1 + extreme) / (1 + done)


def _adjusted(p_values: pd.Series) -> pd.Series:
    from scipy.stats import false_discovery_control

    adjusted, known = p_values.copy(), p_values.notna()
    if known.any():
        adjusted[known] = false_discovery_control(p_values[known].clip(0.0, 1.0))
    return adjusted


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
