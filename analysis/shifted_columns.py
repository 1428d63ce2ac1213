"""Which columns of a table have drifted from their reference: scores, thresholds of the source, worst first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.data_tables import is_numeric, read_table, same_columns
from scenarios.monitoring import DEFAULT_SCORES
from sim.kernels.reference import Reference

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODERATE_PSI = 0.1
"""PSI between this and the alert threshold is a moderate shift. Source: chapter, 'Quantifying Drift'."""
FALSE_DISCOVERIES = 0.05
"""Shifts whose corrected p-value is above this could be chance."""
_SCORES = ("psi", "ks", "js", "wasserstein", "ks_p_value", "chi_square_p_value")
_MANY_VALUES = 50
_NAMED = 6


@dataclass(frozen=True, eq=False)
class TableDrift:
    """Scores of every column of a current table against a reference; see `table_drift`."""

    names: tuple[str, str]
    reference: pd.DataFrame
    current: pd.DataFrame
    fitted: Reference
    warnings: tuple[str, ...] = ()

    @cached_property
    def _table(self) -> pd.DataFrame:
        scores = self.fitted.score(self.current, _SCORES)
        numbers = [name for name in self.reference.columns if _is_number(self.fitted, name)]
        spread = self.reference[numbers].std().replace(0.0, np.nan).reindex(scores.index)
        # A number is tested twice, by its values and by its bins, which see missing values too.
        by_value, by_bin = scores["ks_p_value"], scores["chi_square_p_value"]
        p_value = (2.0 * by_value.combine(by_bin, min)).clip(upper=1.0).where(by_value.notna(), by_bin)
        table = pd.DataFrame(
            {
                "kind": ["number" if name in numbers else "category" for name in scores.index],
                "psi": scores["psi"],
                "ks": scores["ks"],
                "js": scores["js"],
                "wasserstein_sd": scores["wasserstein"] / spread,
                "missing_reference": self.reference.isna().mean(),
                "missing_current": self.current.isna().mean(),
                "p_value": p_value,
                "p_adjusted": _adjusted(p_value),
            }
        )
        excess = pd.DataFrame({name: table[name] / limit for name, limit in DEFAULT_SCORES.items()})
        moderate = table["psi"] > MODERATE_PSI
        table["level"] = np.where(
            excess.max(axis=1) > 1.0, "shifted", np.where(moderate, "moderate", "stable")
        )
        worst_first = excess.max(axis=1).sort_values(ascending=False, kind="stable").index
        return table.loc[worst_first].rename_axis("feature")

    def table(self) -> pd.DataFrame:
        """One row a column, worst first.

        psi, js (nats), ks (0 to 1), wasserstein_sd (reference SDs), shares of missing values, p_value (chi-square
        test of the bins, of numbers with the KS test by Bonferroni), p_adjusted (Benjamini-Hochberg over all
        columns), level ('shifted' above PSI 0.2, KS 0.1 or JS 0.1; 'moderate' above PSI 0.1; else 'stable').
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

    def plot(self) -> Figure:
        """Distributions of the worst columns, reference against current; returns a matplotlib figure."""
        from analysis.plot_drift import plot_drift

        return plot_drift(self)

    def to_dict(self) -> dict[str, Any]:
        """The report as one JSON document; numbers that do not exist are null."""
        rows = self._table.reset_index().to_dict("records")
        return {
            "reference": self.names[0],
            "current": self.names[1],
            "rows_reference": len(self.reference),
            "rows_current": len(self.current),
            "thresholds": {**DEFAULT_SCORES, "psi_moderate": MODERATE_PSI},
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
) -> TableDrift:
    """Score every column of `current` against `reference`.

    reference, current: DataFrames, or paths of CSV or Parquet files, with the same columns
    features: columns to compare, all when empty; ignore: columns to leave out
    categorical: columns of numbers to compare as categories; text and truth values always are
    bins: equal-frequency bins of a column of numbers, >= 2
    Raises ValueError, naming the file and the column, for tables that do not fit together; OSError for a file that
    cannot be read. Source of the thresholds: chapter, 'Feature distribution monitoring'.

    >>> usual = pd.DataFrame({"age": range(100), "plan": ["a", "b"] * 50})
    >>> table_drift(usual, usual.assign(age=usual["age"] + 30)).shifted
    ['age']
    """
    names, tables = _both(reference, current)
    left_out, as_text = list(ignore), list(categorical)
    for name in (*left_out, *as_text):
        if not any(name in table for table in tables):
            raise ValueError(f"{names[0]} and {names[1]}: have no column {name!r}")
    for name in as_text:
        for table in tables:
            if name in table:
                table[name] = table[name].astype("string")
    kept = [table.drop(columns=left_out, errors="ignore") for table in tables]
    first, second = same_columns(kept[0], kept[1], names, features)
    if first.shape[1] == 0:
        raise ValueError(f"{names[0]}: no column is left to compare")
    for name in first.columns:
        if pd.api.types.is_datetime64_any_dtype(first[name]) or pd.api.types.is_timedelta64_dtype(
            first[name]
        ):
            raise ValueError(
                f"{names[0]}: column {name!r} holds times, which always move on; leave it out with --ignore"
            )
    fitted = Reference.fit(first, bins=bins)
    return TableDrift(names, first, second, fitted, tuple(_suspicions(first)))


def _both(
    reference: pd.DataFrame | str | Path, current: pd.DataFrame | str | Path
) -> tuple[tuple[str, str], list[pd.DataFrame]]:
    """Names for messages, and both tables as copies."""
    names, tables = [], []
    for given, name in ((reference, "reference"), (current, "current")):
        frame = isinstance(given, pd.DataFrame)
        table = given.copy() if isinstance(given, pd.DataFrame) else read_table(given)
        if len(table) == 0:
            raise ValueError(f"{name}: has no rows")
        names.append(name if frame else str(given))
        tables.append(table.rename(columns=str))
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


def _is_number(fitted: Reference, name: str) -> bool:
    from sim.kernels.features import NumericFeature

    return isinstance(fitted.features[fitted.names.index(name)], NumericFeature)


def _adjusted(p_values: pd.Series) -> pd.Series:
    from scipy.stats import false_discovery_control

    adjusted, known = p_values.copy(), p_values.notna()
    if known.any():
        adjusted[known] = false_discovery_control(p_values[known].clip(0.0, 1.0))
    return adjusted


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
