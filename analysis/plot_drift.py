"""Pictures of shifted columns: the reference's distribution and the current one, side by side."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.plot_styles import INK, KINDS, PALE, legend_below, new_figure

if TYPE_CHECKING:
    from analysis.shifted_columns import TableDrift

MOST = 6
"""Columns shown, worst first."""
_CURRENT = KINDS["cost-aware"].colour
_BARS = 8
_SLICES = 40
_EXACT = 2.0**52
"""Halves between whole numbers exist below it."""
_LARGEST = 1e300
"""Values are drawn up to this, so that their differences are finite."""


def plot_drift(found: TableDrift, most: int = MOST) -> Figure:
    """Distributions of the shifted columns, worst first; of the worst three where none is above a threshold.

    found: from `analysis.table_drift`; most: columns shown at most, >= 1. Shares of rows (fractions): of numbers
    in equal slices between the 0.5 % and 99.5 % quantiles, with what lies beyond in the outer slices; of categories
    the most frequent. Returns the figure. Raises ValueError for most < 1.
    """
    if most < 1:
        raise ValueError(f"most: got {most}, expected at least 1")
    table = found.table().to_dict("index")
    chosen = (found.shifted or list(table)[:3])[:most]
    columns = min(len(chosen), 3)
    rows = -(-len(chosen) // columns)
    figure = new_figure(3.4 * columns + 0.4, 2.5 * rows + 0.6)
    grid = figure.subplots(rows, columns, squeeze=False)
    for ax, name in zip(grid.flat, chosen, strict=False):
        row = table[name]
        if row["kind"] == "number":
            _draw_numbers(ax, found.reference[name], found.current[name])
        else:
            _draw_categories(ax, found.reference[name], found.current[name])
        ax.set_title(_title(str(name), row), fontsize=9, color=INK, parse_math=False)
    for ax in grid.flat[len(chosen) :]:
        ax.set_visible(False)
    for row_of_axes in grid:
        row_of_axes[0].set_ylabel("share of rows")
    legend_below(grid[-1, 0], grid[0, 0].get_legend_handles_labels()[0])
    return figure


def _draw_numbers(ax: Axes, reference: pd.Series, current: pd.Series) -> None:
    sides = [pd.to_numeric(side).to_numpy(dtype=np.float64, na_value=np.nan) for side in (reference, current)]
    sides = [side[np.isfinite(side)] for side in sides]
    edges = _edges(np.concatenate(sides))
    shares = [
        np.histogram(np.clip(side, edges[0], edges[-1]), edges)[0] / max(len(side), 1) for side in sides
    ]
    ax.stairs(shares[0], edges, fill=True, color=PALE, label="reference")
    ax.stairs(shares[1], edges, color=_CURRENT, lw=1.6, label="current")


def _title(name: str, row: dict[Hashable, Any]) -> str:
    scores = [
        f"{label} {row[key]:.2f}" for label, key in (("PSI", "psi"), ("KS", "ks")) if row[key] == row[key]
    ]
    before, now = row["missing_reference"], row["missing_current"]
    missing = f", missing {before:.1%} → {now:.1%}" if before or now else ""
    return f"{name}: {', '.join(scores)}{missing} ({row['level']})"


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slices of one width from the 0.5 % to the 99.5 % quantile; whole numbers fall in the middle of theirs."""
    values = np.clip(values, -_LARGEST, _LARGEST)
    low, high = np.quantile(values, [0.005, 0.995]) if len(values) else (0.0, 1.0)
    if len(values) and max(-low, high) < _EXACT and (values == np.round(values)).all():
        low, high = np.floor(low) - 0.5, np.ceil(high) + 0.5
        width = np.ceil((high - low) / _SLICES)
        return np.asarray(np.arange(low, high + width, width))
    return np.linspace(low, high if high > low else low + max(1.0, abs(low)), _SLICES + 1)


def _draw_categories(ax: Axes, reference: pd.Series, current: pd.Series) -> None:
    shares = pd.DataFrame(
        {
            name: side.astype("string").fillna("(missing)").value_counts(normalize=True)
            for name, side in (("reference", reference), ("current", current))
        }
    ).fillna(0.0)
    top = shares.loc[shares.max(axis=1).sort_values(ascending=False, kind="stable").index].head(_BARS)
    place = np.arange(len(top))
    ax.bar(place - 0.2, top["reference"], 0.4, color=PALE, label="reference")
    ax.bar(place + 0.2, top["current"], 0.4, color=_CURRENT, hatch="//", edgecolor="white", label="current")
    labels = [text if len(text) <= 12 else f"{text[:11]}…" for text in map(str, top.index)]
    ax.set_xticks(place, labels, fontsize=8, parse_math=False)
    if max(map(len, labels)) > 4:
        ax.tick_params(axis="x", rotation=30)
