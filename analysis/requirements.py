"""Questions with a yes or no: `total_cost.p90 < $2M`, so that a plan can be checked in a pipeline.

Grammar: RESPONSE OPERATOR LIMIT [for POLICY], with operators < <= > >=, and a limit in the unit of the response: an
amount ($2M), a share (0.9 or 90%), hours (6 or 6h), a count (2k). Nothing is evaluated: anything else is refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from analysis.intervals import LEVEL, Interval
from analysis.report_people import SHARES
from analysis.responses import Response, parse_response
from scenarios.units import COUNT, DURATION, FRACTION, MONEY, Quantity

if TYPE_CHECKING:
    from analysis.comparison import Comparison

STATUS = 3
"""Exit status of a command whose requirement does not hold."""
LEAST_MISS = 1e-9
"""Of a requirement that does not hold, also where the estimate lies on the limit."""
EXAMPLE = "'total_cost.p90 < $2M' or 'mean_accuracy.mean > 0.9 for scheduled:7d'"


@dataclass(frozen=True)
class Requirement:
    """A response and the limit that it must keep."""

    response: Response
    operator: str
    limit: float
    policy: str | None = None
    """Name of the policy that is meant; None: the one that is chosen."""

    def __str__(self) -> str:
        """As it is written."""
        whose = f" for {self.policy}" if self.policy else ""
        return f"{self.response} {self.operator} {self.limit:g}{whose}"

    def met_by(self, value: float) -> bool:
        """Whether a value keeps the limit; NaN does not."""
        return {
            "<": value < self.limit,
            "<=": value <= self.limit,
            ">": value > self.limit,
            ">=": value >= self.limit,
        }[self.operator]

    def check(self, values: ArrayLike, level: float = LEVEL) -> Check:
        """Judge by the values of independent replications, (replications,).

        level: confidence of each bound by itself, in (0, 1); the interval shown is a two-sided one of confidence
        2 level - 1. Raises ValueError for a level of 1/2 or less.
        """
        if not 0.5 < level < 1.0:
            raise ValueError(f"level: got {level}, expected a number between 0.5 and 1")
        x = np.asarray(values, dtype=np.float64)
        found = self.response.interval(x, 2.0 * level - 1.0)
        return Check(self, found, level, len(x), int(np.count_nonzero(~np.isnan(x))))


@dataclass(frozen=True)
class Check:
    """What was measured, and whether the requirement holds."""

    requirement: Requirement
    measured: Interval
    """Over the worlds that have a value."""
    level: float
    worlds: int
    measured_in: int
    """Worlds that have a value; a time to detection has none where nothing was detected."""

    @property
    def complete(self) -> bool:
        """Whether all worlds have a value: what is missing could be the very worlds that miss the limit."""
        return 0 < self.measured_in == self.worlds

    @property
    def holds(self) -> bool:
        """Whether all worlds have a value and the estimate keeps the limit."""
        return self.complete and self.requirement.met_by(self.measured.mean)

    @property
    def missed_by(self) -> float:
        """How far it is missed, relative to the limit, and the share of worlds without a value; 0 where it holds."""
        if self.holds:
            return 0.0
        missing = 1.0 - self.measured_in / self.worlds if self.worlds else 1.0
        mean, limit = self.measured.mean, self.requirement.limit
        if not math.isfinite(mean) or self.requirement.met_by(mean):
            return max(missing, LEAST_MISS)
        return max(abs(mean - limit) / max(abs(limit), 1e-12) + missing, LEAST_MISS)

    @property
    def decided(self) -> bool:
        """Whether all worlds have a value, and both ends of the interval say the same as the estimate."""
        ends = (self.measured.low, self.measured.high)
        return (
            self.complete
            and not any(map(math.isnan, ends))
            and all(self.requirement.met_by(end) == self.holds for end in ends)
        )

    def sentence(self, currency: str = "USD") -> str:
        """The answer with the measured value and its interval."""
        response, shown = self.requirement.response, self.requirement.response.shown
        value, low, high = (shown(number, currency) for number in self.measured)
        verdict = "holds" if self.holds else "does not hold"
        if not self.complete:
            worlds = f"measured in {self.measured_in or 'none'} of {self.worlds} worlds"
            there = f" only, {response} is {value} in those" if self.measured_in else ""
            return f"{self.requirement}: {verdict}, undecided; {worlds}{there}"
        doubt = "" if self.decided else "; the interval includes the limit, more replications would decide"
        return (
            f"{self.requirement}: {verdict}; {response} is {value}, {2.0 * self.level - 1.0:.0%} interval "
            f"{low} to {high}{doubt}"
        )

    def document(self) -> dict[str, Any]:
        """The answer for JSON."""
        low, high = self.measured.low, self.measured.high
        return {
            "requirement": str(self.requirement),
            "value": self.measured.mean if math.isfinite(self.measured.mean) else None,
            "ci_low": low if math.isfinite(low) else None,
            "ci_high": high if math.isfinite(high) else None,
            "worlds": self.worlds,
            "measured_in": self.measured_in,
            "holds": self.holds,
            "decided": self.decided,
        }


def parse_requirement(text: str) -> Requirement:
    """Read a requirement. Raises ValueError that says what would be right.

    >>> parse_requirement("total_cost.p90 < $2M").limit
    2000000.0
    >>> parse_requirement("mttd_hours < 2d").limit
    48.0
    >>> parse_requirement("mean_accuracy >= 90% for triggered:psi>0.2").policy
    'triggered:psi>0.2'
    """
    found = re.fullmatch(r"\s*([^\s<>=]+)\s*(<=|>=|<|>)\s*([^<>=]+?)(?:\s+for\s+(\S.*?))?\s*", text)
    if found is None:
        raise ValueError(f"requirement {text!r}: expected one such as {EXAMPLE}")
    try:
        response = parse_response(found[1])
        return Requirement(response, found[2], limit_of(response.column, found[3]), found[4])
    except ValueError as error:
        raise ValueError(f"requirement {text!r}: {error}") from None


def limit_of(column: str, text: str) -> float:
    """Read a limit in the unit of a column. Raises ValueError for another unit and for values that it cannot have.

    >>> limit_of("mttd_hours", "90min"), limit_of("total_cost", "$2M")
    (1.5, 2000000.0)
    """
    if "cost" in column:
        return _read(text, (MONEY, COUNT), "an amount such as $2M or 2e6", -math.inf, math.inf)
    if column == "mean_accuracy" or column in SHARES or column.endswith("_share"):
        return _read(text, (FRACTION,), "a share from 0 to 1, such as 0.9 or 90%", 0.0, 1.0)
    if column.endswith("_hours"):
        days = _parsed(DURATION, text)  # a number without unit is one of hours
        hours = text if days is None else str(24.0 * days)
        return _read(hours, (), "hours, such as 6, 6h or 2d, not below 0", 0.0, math.inf)
    if column.endswith("_days") and not column.endswith("device_days"):
        return _read(text, (DURATION,), "days, such as 30, 30d or 12h, not below 0", 0.0, math.inf)
    return _read(text, (COUNT,), "a count such as 12 or 2k, not below 0", 0.0, math.inf)


def _read(text: str, kinds: tuple[Quantity, ...], expected: str, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = next((value for kind in kinds if (value := _parsed(kind, text)) is not None), math.nan)
    if not math.isfinite(number) or not low <= number <= high:
        raise ValueError(f"got the limit {text!r}, expected {expected}")
    return number


def _parsed(kind: Quantity, text: str) -> float | None:
    try:
        return kind.parse(text)
    except ValueError:
        return None


def check_comparison(comparison: Comparison, requirements: list[Requirement]) -> list[Check]:
    """Judge the cheapest candidate of a comparison, or the policy that a requirement names.

    Raises ValueError for a policy that was not compared.
    """
    checks = []
    for requirement in requirements:
        name = requirement.policy or comparison.best
        if name not in comparison.names:
            raise ValueError(
                f"requirement {str(requirement)!r}: policy {name!r} was not compared, one of: "
                f"{', '.join(comparison.names)}"
            )
        checks.append(requirement.check(comparison.values(name, requirement.response.column)))
    return checks
