"""Adaptive limits outlive a repair, and do not learn from the failure."""

from __future__ import annotations

import pytest

import scenarios
import sim


@pytest.mark.parametrize("season", ["none", "weekly"])
def test_a_second_failure_soon_after_a_repair_is_found(season: str) -> None:
    system = scenarios.load(
        "rotting_asset",
        horizon="120d",
        window="6h",
        quality__decay="0/d",
        triggers=[],
        traffic={"rate": "100k/d", "weekly_profile": [1, 1, 1, 1, 1, 0.6, 0.6]},
        signals=[{"name": "requests", "kind": "throughput"}],
        failures=[
            {
                "name": "routing",
                "onsets": ["60d", "64d", "68d"],
                "effects": [{"signal": "requests", "factor": 0.3}],
            }
        ],
        monitors=[
            {
                "metric": "signal",
                "signal": "requests",
                "cadence": "1d",
                "rule": "adaptive",
                "limits": {"season": season, "trailing": "42d"},
                "cooldown": "0d",
            }
        ],
        response={"fatigue": {"strength": 0}},
    )
    found = sim.run(system).incidents
    assert found["detected_days"].tolist() == [61.0, 65.0, 69.0]
