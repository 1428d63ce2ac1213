"""What is asked of runs: a statistic of a column, `total_cost.p90`, with a confidence interval.

A column is a figure of each run (`annual_cost`, `mean_accuracy`, `cost[staleness]`); the statistic says what of its
distribution over replications is meant: the mean, the median, or a percentile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from analysis.extra_figures import PEOPLE
from analysis.intervals import LEVEL, Interval, mean_interval
from analysis.skewed_intervals import quantile_interval
from scenarios.problems import choice
from scenarios.units import format_money
from sim.edge_result import EDGE_FIGURES
from sim.ledger import CATEGORIES
from sim.record import Result

FIGURES = (
    "total_cost", "annual_cost", "mean_accuracy", "retrains", "deployments", "rejected", "failed", "alarms",
    "false_alarms", "losses", "undetected", "mttd_hours", "incidents", "incidents_undetected",
    "incident_mttd_hours", "incident_mttr_hours", "pages", "false_pages",
    "incident_mtta_hours", "missed_targets", "silent_hours", "work_hours", *PEOPLE,
)  # fmt: skip
"""Figures of a run's summary."""
COLUMNS = (*FIGURES, *EDGE_FIGURES, *(f"cost[{category}]" for category in CATEGORIES))
STATISTICS = "mean, median or a percentile such as p90"
Direction = Literal["min", "max"]


@dataclass(frozen=True)
class Response:
    """A statistic of a column over replications."""

    column: str
    quantile: float | None = None
    """In (0, 1); the mean when None."""

    def __str__(self) -> str:
        """As it is written: `total_cost.p90`."""
        return self.column + (".mean" if self.quantile is None else f".p{100.0 * self.quantile:g}")

    def interval(self, values: ArrayLike, level: float = LEVEL) -> Interval:
        """Estimate and confidence interval from values of independent replications, (replications,).

        The mean has Student's t interval, a quantile the distribution-free one of order statistics, whose bounds
        are infinite when there are too few values. NaN (nothing was detected) is left out. Raises ValueError for a
        level outside (0, 1).
        """
        if self.quantile is None:
            return mean_interval(values, level)
        return quantile_of(values, self.quantile, level)

    def shown(self, value: float, currency: str = "USD") -> str:
        """A value of this response for people."""
        if "cost" in self.column and np.isfinite(value):
            return format_money(value, currency)
        return f"{value:.4g}"


@dataclass(frozen=True)
class Objective:
    """A response to make small or large."""

    response: Response
    direction: Direction = "min"

    @property
    def sign(self) -> float:
        """1 to minimise, -1 to maximise."""
        return 1.0 if self.direction == "min" else -1.0

    def __str__(self) -> str:
        """As it is written: `mean_accuracy.mean:max`."""
        return f"{self.response}:{self.direction}"


def parse_response(text: str) -> Response:
    """Read COLUMN or COLUMN.STATISTIC. Raises ValueError that lists the right names.

    >>> parse_response("total_cost.p90")
    Response(column='total_cost', quantile=0.9)
    >>> parse_response("cost[staleness]").quantile is None
    True
    """
    column, _, statistic = text.strip().partition(".")
    if column not in COLUMNS:
        raise ValueError(f"{text.strip()!r}: unknown figure {column!r}: {choice(column, COLUMNS)}")
    if statistic in ("", "mean"):
        return Response(column)
    if statistic == "median":
        return Response(column, 0.5)
    found = re.fullmatch(r"p([0-9]{1,2}(?:\.[0-9]{1,6})?)", statistic)
    if found is None or not 0.0 < float(found[1]) < 100.0:
        raise ValueError(f"{text.strip()!r}: unknown statistic {statistic!r}, expected {STATISTICS}")
    return Response(column, float(found[1]) / 100.0)


def parse_objective(text: str) -> Objective:
    """Read RESPONSE, RESPONSE:min or RESPONSE:max. Raises ValueError for anything else.

    >>> str(parse_objective("mean_accuracy:max"))
    'mean_accuracy.mean:max'
    """
    response, colon, direction = text.strip().partition(":")
    if colon and direction not in ("min", "max"):
        raise ValueError(f"objective {text!r}: got {direction!r} after the colon, expected min or max")
    return Objective(parse_response(response), "max" if direction == "max" else "min")


def quantile_of(values: ArrayLike, quantile: float, level: float) -> Interval:
    """A quantile with its distribution-free interval; values that are all equal leave nothing to chance.

    NaN is left out; with fewer than two values the bounds are NaN.
    """
    x = np.asarray(values, dtype=np.float64)
    x = x[~np.isnan(x)]
    if len(x) < 2:
        return Interval(float(x[0]) if len(x) else np.nan, np.nan, np.nan)
    if np.ptp(x) <= 1e-12 * np.abs(x).max():
        return Interval(float(x[0]), float(x[0]), float(x[0]))
    return quantile_interval(x, quantile, level)


def figures_of(result: Result) -> dict[str, float]:
    """All columns of a run; NaN for those of a fleet of devices where there is none."""
    figures = {name: float(result.summary.get(name, np.nan)) for name in (*FIGURES, *EDGE_FIGURES)}
    return figures | {f"cost[{category}]": float(result.costs[category]) for category in CATEGORIES}
