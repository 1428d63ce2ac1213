"""Questions with a yes or no: `total_cost.p90 < $2M`, so that a plan can be checked in a pipeline.

Grammar: RESPONSE OPERATOR LIMIT [for POLICY], with operators < <= > >=, and as limit a number, an amount ($2M), a
percentage or a count with k, M or B. Nothing is evaluated: anything else is refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from analysis.intervals import LEVEL, Interval
from analysis.responses import Response, parse_response
from scenarios.units import COUNT, FRACTION, MONEY, Quantity

if TYPE_CHECKING:
    from analysis.comparison import Comparison

STATUS = 3
"""Exit status of a command whose requirement does not hold."""
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
        return Check(self, self.response.interval(values, 2.0 * level - 1.0), level)


@dataclass(frozen=True)
class Check:
    """What was measured, and whether the requirement holds."""

    requirement: Requirement
    measured: Interval
    level: float

    @property
    def holds(self) -> bool:
        """Whether the estimate keeps the limit."""
        return self.requirement.met_by(self.measured.mean)

    @property
    def decided(self) -> bool:
        """Whether both ends of the interval say the same as the estimate."""
        ends = (self.measured.low, self.measured.high)
        return not any(map(math.isnan, ends)) and all(
            self.requirement.met_by(end) == self.holds for end in ends
        )

    def sentence(self, currency: str = "USD") -> str:
        """The answer with the measured value and its interval."""
        response, shown = self.requirement.response, self.requirement.response.shown
        value, low, high = (shown(number, currency) for number in self.measured)
        verdict = "holds" if self.holds else "does not hold"
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
            "holds": self.holds,
            "decided": self.decided,
        }


def parse_requirement(text: str) -> Requirement:
    """Read a requirement. Raises ValueError that says what would be right.

    >>> parse_requirement("total_cost.p90 < $2M").limit
    2000000.0
    >>> parse_requirement("mean_accuracy >= 90% for triggered:psi>0.2").policy
    'triggered:psi>0.2'
    """
    found = re.fullmatch(r"\s*([^\s<>=]+)\s*(<=|>=|<|>)\s*([^<>=]+?)(?:\s+for\s+(\S.*?))?\s*", text)
    if found is None:
        raise ValueError(f"requirement {text!r}: expected one such as {EXAMPLE}")
    try:
        return Requirement(parse_response(found[1]), found[2], _limit(found[3]), found[4])
    except ValueError as error:
        raise ValueError(f"requirement {text!r}: {error}") from None


def _limit(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
        kinds: tuple[Quantity, ...] = (MONEY, FRACTION, COUNT)
        for kind in kinds:
            try:
                return kind.parse(text)
            except ValueError:
                continue
    if not math.isfinite(number):
        raise ValueError(f"got the limit {text!r}, expected a finite number, an amount or a percentage")
    return number


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
