"""Small scenarios with a serving fleet, which run in some hundredths of a second."""

from __future__ import annotations

from typing import Any

from scenarios.loader import validate_mapping
from scenarios.schema import Scenario


def small_fleet(pool: dict[str, Any], rate: str = "50/s", horizon: str = "20min", **given: Any) -> Scenario:
    """One pool at a steady rate; given: other fields of the serving section."""
    traffic = given.pop("traffic", {"rate": rate})
    serving = {"objective": {"p99": "200ms"}, "pools": [pool], **given}
    return validate_mapping(
        {
            "title": "A small fleet",
            "horizon": horizon,
            "window": "1min",
            "value_per_query_per_unit_accuracy": "$0.01",
            "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
            "traffic": traffic,
            "serving": serving,
        }
    )


EXPONENTIAL: dict[str, Any] = {"service": {"kind": "exponential", "mean": "30ms"}}
BATCHES: dict[str, Any] = {
    "service": {"kind": "batch_curve", "fixed": "20ms", "per_item": "5ms"},
    "max_batch": 4,
    "max_wait": "5ms",
}
MODEL: dict[str, Any] = {
    "service": {"kind": "model", "flops": "400 GFLOP", "weights": "500 MB", "overhead": "2ms"},
    "max_batch": 4,
    "max_wait": "2ms",
}
