"""What a sweep under a single policy says: with nobody to win against, its variants are compared with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.designs import short_value
from scenarios.units import format_money

if TYPE_CHECKING:
    from analysis.sweep import Sweep

MOST_NAMES = 5
"""Variants that the verdict names."""


def variant_rows(sweep: Sweep, most: int) -> dict[str, dict[str, str]]:
    """The first variants as rows of a table: cost and paired difference to the cheapest one, with intervals."""
    table, currency = sweep.differences(), sweep.currency
    best = table["variant"].iloc[int(table["over_cheapest"].argmin())]
    rows = {}
    for row in table.head(most).to_dict("records"):
        cheapest = row["variant"] == best
        width = 0.5 * (row["over_cheapest_high"] - row["over_cheapest_low"])
        rows[str(row["variant"])] = {
            **{name: short_value(value) for name, value in _values(sweep, row["variant"]).items()},
            "cost/y": format_money(row["annual_cost"], currency) + _width(row["half_width"], currency),
            "over the cheapest/y": "(cheapest)"
            if cheapest
            else format_money(row["over_cheapest"], currency) + _width(width, currency),
            "": "" if cheapest or row["dearer"] else "not certain",
        }
    return rows


def variants_verdict(sweep: Sweep) -> str:
    """One sentence: which variant is cheapest, by how much, and which of the others cannot be told from it."""
    table, currency = sweep.differences(), sweep.currency
    best = table.iloc[int(table["over_cheapest"].argmin())]
    cost = f"{format_money(best['annual_cost'], currency)} a year"
    if len(table) == 1:
        return f"One variant under one policy: {cost}."
    name = _named(sweep, best["variant"])
    if sweep.replications < 2:
        return (
            f"{name} was cheapest in the one world that was played ({cost}); that says nothing about others."
        )
    others = table[table["variant"] != best["variant"]]
    close = others[~others["dearer"]].sort_values("over_cheapest")
    if len(close):
        told = ", ".join(str(number) for number in close["variant"].head(MOST_NAMES))
        more = f" and {len(close) - MOST_NAMES:,} more" if len(close) > MOST_NAMES else ""
        noun = "variant" if len(close) == 1 else "variants"
        return (
            f"No clear winner: {name} costs least on average ({cost}), but {noun} {told}{more} cannot be told from "
            "it (paired differences, 95 % jointly)."
        )
    runner = others.iloc[int(others["over_cheapest"].argmin())]
    low, high = (format_money(runner[f"over_cheapest_{end}"], currency) for end in ("low", "high"))
    return (
        f"{_begun(name)} is cheapest at {cost}: {format_money(runner['over_cheapest'], currency)} less than variant "
        f"{runner['variant']} (paired differences, 95 % jointly: {low} to {high})."
    )


def _named(sweep: Sweep, number: int) -> str:
    values = ", ".join(f"{name}={short_value(value)}" for name, value in _values(sweep, number).items())
    return f"variant {number} ({values})"


def _begun(name: str) -> str:
    return name[0].upper() + name[1:]


def _values(sweep: Sweep, number: int) -> dict[str, Any]:
    return dict(sweep.design.variant(int(number)).values)


def _width(half: float, currency: str) -> str:
    """Half of an interval, where there is one and something was left to chance."""
    return f" ± {format_money(half, currency)}" if np.isfinite(half) and half > 0.0 else ""
