"""Systems with people in the loop that are quick to compare."""

from __future__ import annotations

from scenarios.schema import Scenario
from tests.sim.small_care import NO_BOUNDS, ward


def small_ward() -> Scenario:
    """Twelve patients for two months, with overlays for their bounds."""
    overlays = {"tight": {"care": {"bounds": {"step": 0}}}, "free": {"care": {"bounds": NO_BOUNDS}}}
    return ward(horizon="60d", care__patients__number=12, overlays=overlays)


def reviewed() -> Scenario:
    """A model without patients, whose uncertain answers are reviewed."""
    review = {
        "share": 0.05,
        "error_share": 0.3,
        "deadline": "8h",
        "service": "10min",
        "hours": {"start": "9h", "end": "17h"},
    }
    return ward(horizon="60d", care=None, review=review, value_per_query_per_unit_accuracy="$1")
