"""Fleets of devices that are quick to compare."""

from __future__ import annotations

from typing import Any

from scenarios.loader import validate_mapping
from scenarios.schema import Scenario


def decaying(reports: dict[str, Any], **given: Any) -> Scenario:
    """A fleet whose model decays, and a monitor of what it tells."""
    device = {"name": "box", "kind": "gateway", "count": 500, "full": {"size": "1 MB"}}
    signal = {"name": "wakes", "kind": "proportion", "base": 0.02, "per_accuracy_lost": 0.2}
    monitor = {
        "metric": "signal",
        "signal": "wakes",
        "rule": "significance",
        "sampling_rate": 1.0,
        "cadence": "3d",
    }
    plain: dict[str, Any] = {
        "title": "A fleet that decays",
        "horizon": "90d",
        "window": "1d",
        "value_per_query_per_unit_accuracy": "$0.01",
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0.2%/d"},
        "traffic": {"rate": "5k/d"},
        "labels": "none",
        "signals": [signal],
        "monitors": [monitor | {"window": "3d", "false_alarms": "2/y", "cooldown": "1y"}],
        "edge": {"devices": [device], "reports": reports},
    }
    return validate_mapping(plain | given)


def few_boxes() -> Scenario:
    """Two waves, and so dear a training that few schedules are tried for the best one."""
    waves = [{"share": 0.3, "hold": "2d"}, {"share": 1.0}]
    device = {"name": "box", "kind": "gateway", "count": 50, "full": {"size": "1 MB"}}
    edge = {"devices": [device], "ota": {"waves": waves, "halt": {}}}
    pipeline = {"cost": {"compute": "$100"}}
    return decaying({}, horizon="40d", signals=[], monitors=[], edge=edge, pipeline=pipeline)
