"""Figures that only some scenarios have, of people in the loop and of fleets of devices, and tables of them.

Comparisons, variants and sweeps find them among the columns of their runs, and show them in the same tables.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from analysis.interval_text import with_width
from sim import care_result, review
from sim.edge_result import EDGE_FIGURES

if TYPE_CHECKING:
    from analysis.comparison import Comparison

PEOPLE = (*review.FIGURES, *care_result.FIGURES)
"""Figures of a run's summary that are about people in the loop; every run has them."""
Headings = Mapping[str, tuple[str, str]]
"""Heading and form of each figure."""


def people_figures(runs: pd.DataFrame) -> list[str]:
    """Figures about people in the loop that a table of runs has something about."""
    known = [name for name in PEOPLE if name in runs.columns]
    return [name for name in known if (runs[name].notna() & (runs[name] != 0.0)).any()]


def edge_figures(runs: pd.DataFrame) -> list[str]:
    """Figures about a fleet of devices; none where the scenario has no fleet."""
    return [name for name in EDGE_FIGURES if name in runs.columns]


def extra_figures(runs: pd.DataFrame) -> list[str]:
    """All of them, in the order of tables."""
    return [*people_figures(runs), *edge_figures(runs)]


def cells(figures: Mapping[str, float], headings: Headings) -> dict[str, str]:
    """Figures as a row of a table for a terminal; empty cells for NaN."""
    return {
        headings[name][0]: "" if math.isnan(value) else format(value, headings[name][1])
        for name, value in figures.items()
    }


def compared_rows(
    comparison: Comparison, names: Collection[str], headings: Headings, wide: Collection[str]
) -> dict[str, dict[str, str]]:
    """One row a policy or variant: means over replications, those of `wide` with their interval."""

    def row(policy: str) -> dict[str, str]:
        intervals = {name: comparison.interval(policy, name) for name in names}
        plain = cells({name: interval.mean for name, interval in intervals.items()}, headings)
        widths = {
            headings[name][0]: with_width(intervals[name], headings[name][1])
            for name in names
            if name in wide
        }
        return plain | widths

    return {policy: row(policy) for policy in comparison.names}


def swept_rows(
    table: pd.DataFrame, names: Collection[str], headings: Headings, most: int
) -> dict[str, dict[str, str]]:
    """The first rows of a sweep's table, one a variant and policy."""
    return {
        f"{row['variant']} {row['policy']}": cells({name: float(row[name]) for name in names}, headings)
        for row in table.head(most).to_dict("records")
    }
