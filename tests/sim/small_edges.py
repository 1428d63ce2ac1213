"""Small scenarios with a fleet of devices, which run in some hundredths of a second."""

from __future__ import annotations

from typing import Any

from scenarios.loader import validate_mapping
from scenarios.pipeline import STAGES
from scenarios.schema import Scenario

MAINS: dict[str, Any] = {
    "name": "box",
    "kind": "gateway",
    "count": 2000,
    "link": {"contact": "1d"},
    "full": {"size": "1 MB"},
}
"""A class of devices on the mains that checks in about once a day."""


def small_edge(
    edge: dict[str, Any] | None = None, device: dict[str, Any] | None = None, **given: Any
) -> Scenario:
    """A fleet of one class whose model decays, with trainings that take no time.

    edge, device: other fields of the section and of the class.
    """
    plain: dict[str, Any] = {
        "title": "A small fleet of devices",
        "horizon": "60d",
        "window": "1d",
        "value_per_query_per_unit_accuracy": "$0.01",
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1%/d"},
        "traffic": {"rate": "10k/d"},
        "labels": "none",
        "pipeline": {
            "stages": dict.fromkeys(STAGES, "0d"),
            "cost": {"compute": "$10", "validation": "$2"},
        },
        "edge": {"devices": [MAINS | (device or {})], **(edge or {})},
    }
    return validate_mapping(plain | given)
