"""How results show themselves: one line where Python prints them, a compact table where a notebook does.

A result says its `headline` and the table that stands for it; this module writes both, with a unit on every number.
Which unit a column has is told by its name, the same for all results (`annual_cost`, `mttd_hours`, `days`).
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Hashable
from numbers import Real
from typing import Any

import pandas as pd

from scenarios.units import HOURS_PER_DAY, SECONDS_PER_DAY, format_duration, format_money

MOST_ROWS = 15
"""Rows of a table that a notebook shows; it says how many more there are."""
MONEY = frozenset({
    "total_cost", "annual_cost", "half_width", "regret", "skill", "cost", "loss", "saves", "spends", "monitoring",
    "total", "serving_cost", "cost_per_1000", "cost_month", "cost_per_month", "cost_low", "cost_high", "lead",
    "lead_low", "lead_high", "change_low", "change_high", "difference_low", "difference_high",
    "over_cheapest", "over_cheapest_low", "over_cheapest_high",
})  # fmt: skip
"""Columns that hold money; those of a rate say so in their heading."""
PER_YEAR = frozenset(
    {
        "annual_cost",
        "half_width",
        "regret",
        "skill",
        "saves",
        "spends",
        "monitoring",
        "total",
        "lead",
        "over_cheapest",
    }
)
SHARES = frozenset({
    "mean_accuracy", "accuracy", "measured_accuracy", "utilisation", "utilisation_p50", "utilisation_peak",
    "undetected_share", "lost_share", "kept_share", "spot_share", "missing_reference", "missing_current",
})  # fmt: skip
"""Columns that hold fractions."""
OF_ROWS = frozenset({"value", "factual", "changed", "difference"})
"""Columns of figures of several kinds: the name of each row says what it is."""
HEADINGS = {
    "half_width": "±95 %",
    "mean_accuracy": "accuracy",
    "skill_sd": "skill (SD)",
    "total_cost": "total cost",
    "annual_cost": "cost",
    "retrains": "retrainings",
    "review_hours": "reviewers' work",
    "review_lapsed": "cases passed unseen",
    "retrains_per_year": "retrainings/y",
}
"""Headings that are not the name of the column with spaces."""


class Displayed:
    """A result that prints as one line and that a notebook shows as a table.

    A subclass says `headline()` and `_shown()`, and `_currency` where it has no `scenario` whose money it is in.
    """

    @property
    def _currency(self) -> str:
        """Currency of all money: that of its scenario, USD without one."""
        scenario = getattr(self, "scenario", None)
        return "USD" if scenario is None else str(scenario.currency)

    def headline(self) -> str:
        """What was found, in one line."""
        raise NotImplementedError

    def _shown(self) -> pd.DataFrame:
        """The table that stands for the result, with plain numbers in the units that its names say."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.headline()}>"

    def _repr_html_(self) -> str:
        """The headline and the table, for notebooks."""
        return table_html(self._shown(), self.headline(), self._currency)


def table_html(table: pd.DataFrame, caption: str, currency: str = "USD") -> str:
    """A table as HTML, each number with its unit, at most MOST_ROWS rows.

    table: plain numbers in the units that the names of its columns say (rows of a column `value` by the names of the
    index); caption: what stands over it; currency: of all money.

    >>> "<td>2.5 h</td>" in table_html(pd.DataFrame({"mttd_hours": [2.5]}, index=["a"]), "one")
    True
    """
    head = "".join(f"<th>{html.escape(heading(str(name), currency))}</th>" for name in table.columns)
    names = [str(name).replace("_", " ") if name else "" for name in table.index.names]
    corner = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    lines = [
        "<tr>" + _row_html(place, row, currency) + "</tr>" for place, row in table.head(MOST_ROWS).iterrows()
    ]
    more = len(table) - MOST_ROWS
    foot = f"<p>and {more:,} more rows</p>" if more > 0 else ""
    return (
        f'<div class="halflife"><p><b>{html.escape(caption)}</b></p><table><thead><tr>{corner}{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>{foot}</div>"
    )


def _row_html(place: Hashable, row: pd.Series, currency: str) -> str:
    labels = place if isinstance(place, tuple) else (place,)
    of_rows = OF_ROWS & set(row.index)
    cells = [f"<th>{html.escape(heading(str(label)) if of_rows else _label(label))}</th>" for label in labels]
    for name, value in row.items():
        known = str(labels[0]) if name in of_rows else str(name)
        cells.append(f"<td>{html.escape(cell(known, value, currency))}</td>")
    return "".join(cells)


def _label(label: Hashable) -> str:
    return f"{label:,.6g}" if isinstance(label, float) else str(label)


def heading(name: str, currency: str = "USD") -> str:
    """The heading of a column; rates of money say per what.

    >>> heading("annual_cost"), heading("mttd_hours"), heading("false_alarms_per_year"), heading("wait_s")
    ('cost (USD/y)', 'mttd', 'false alarms/y', 'wait')
    """
    base = HEADINGS.get(name, _plain(name))
    if name in PER_YEAR:
        return f"{base} ({currency}/y)"
    return f"{base} ({currency})" if name in MONEY else base


def _plain(name: str) -> str:
    """A name in words, without the unit that cells carry themselves."""
    for ending in ("_hours", "_days", "_s"):
        name = name.removesuffix(ending)
    return name.replace("_per_year", "/y").replace("_per_month", "/month").replace("_", " ")


def cell(name: str, value: Any, currency: str = "USD") -> str:
    """A value of the column of that name as text with its unit; empty for NaN and None.

    >>> cell("annual_cost", 3.55e6), cell("mttd_hours", 36.0), cell("mean_accuracy", 0.9323), cell("policy", "never")
    ('$3.55M', '1.5 d', '0.9323', 'never')
    """
    if value is None or (isinstance(value, Real) and math.isnan(value)):
        return ""
    if isinstance(value, bool) or not isinstance(value, Real):
        return _words(value)
    return _formatter(name, currency)(float(value))


def _words(value: Any) -> str:
    return ("yes" if value else "no") if type(value).__name__ in ("bool", "bool_") else str(value)


def _formatter(name: str, currency: str) -> Callable[[float], str]:
    """What writes a number of the column of that name."""
    if name in MONEY or name.startswith("cost["):
        return lambda amount: format_money(amount, currency)
    if name.endswith("_hours") and not name.startswith(("gpu", "spot_gpu", "work", "review_hours")):
        return lambda hours: format_duration(hours / HOURS_PER_DAY)
    if name.endswith("_days"):
        return format_duration
    if name.endswith("_s"):
        return lambda seconds: format_duration(seconds / SECONDS_PER_DAY)
    if name in SHARES:
        return "{:.4f}".format
    if name.endswith("_hours"):
        return lambda hours: f"{hours:,.4g} h"
    if name.endswith("_minutes"):
        return lambda minutes: f"{minutes:,.4g} min"
    return lambda number: f"{number:,.0f}" if number.is_integer() else f"{number:,.4g}"


def figures(series: pd.Series) -> pd.DataFrame:
    """A series of figures of several kinds as a table with the column `value`; those that do not exist are left out."""
    return series.dropna().rename("value").rename_axis("figure").to_frame()
