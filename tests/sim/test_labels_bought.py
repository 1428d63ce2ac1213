"""Labels are paid when they enter a score: a rarer look with a short window buys fewer of them."""

from __future__ import annotations

import pytest

import scenarios
import sim


@pytest.mark.parametrize(
    ("cadence", "window", "days"), [("1d", "1d", 56), ("7d", "1d", 8), ("7d", "14d", 56), ("4d", "2d", 28)]
)
def test_labels_of_the_days_that_a_look_uses_are_bought(cadence: str, window: str, days: int) -> None:
    system = scenarios.load(
        "rotting_asset",
        horizon="56d",
        triggers=[],
        monitors=[{"metric": "accuracy", "cadence": cadence, "window": window}],
        traffic={"rate": "2400/d", "arrivals": "deterministic"},
        labels={"coverage": "100%", "cost": "$1/label"},
    )
    assert sim.run(system).costs["labelling"] == pytest.approx(2400 * days)
