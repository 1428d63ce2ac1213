"""Failures, signals and people: the engine against a plain story of the same run, alarm for alarm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from plain_failures import tell

import scenarios
import sim
from scenarios.schema import Scenario

SIGNALS: list[dict[str, Any]] = [
    {"name": "requests", "kind": "throughput"},
    {"name": "age", "kind": "freshness", "age": {"kind": "lognormal", "median": "20min", "p95": "2h"}},
    {"name": "broken", "kind": "proportion", "base": "1%", "layer": "schema"},
    {"name": "clicks", "kind": "proportion", "base": "5%", "per_accuracy_lost": -0.1, "layer": "business"},
    {"name": "perplexity", "kind": "mean", "base": 24, "sd": 20, "per_accuracy_lost": 60},
    {"name": "lift", "kind": "lift", "of": "clicks", "holdout": "15%", "baseline_accuracy": "70%"},
]


class Dice:
    def __init__(self, number: int) -> None:
        self.rng = np.random.default_rng([77, number])

    def one(self, *options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)


def system(number: int) -> Scenario:
    """A scenario drawn at random: failures, monitors, people and outages.

    Durations are no whole windows, so that the order at one instant does not hang on the last bit of a sum.
    """
    dice = Dice(number)
    noise = dice.one(0.0, 0.0, 0.1)
    signals = [s | ({"daily_noise": noise} if s["name"] in ("clicks", "perplexity") else {}) for s in SIGNALS]
    effects = {
        "requests": {"signal": "requests", "factor": dice.one(0.0, 0.4, 0.8)},
        "age": {"signal": "age", "stall": dice.one("5h", "2d")},
        "broken": {"signal": "broken", "add": dice.one(0.05, 0.3)},
        "clicks": {"signal": "clicks", "factor": dice.one(0.5, 0.8)},
        "perplexity": {"signal": "perplexity", "add": dice.one(3, 8)},
    }
    failures = []
    for name in ("a", "b", "c", "d"):
        moved = [effect for effect in effects.values() if dice.chance(0.35)]
        failures.append(
            {
                "name": name,
                "rate": dice.one("12/y", "40/y"),
                "effects": moved,
                "accuracy_drop": dice.one(0, 0.02, 0.08),
            }
            | ({"lasts": {"kind": "exponential", "mean": dice.one("6h", "9d")}} if dice.chance(0.5) else {})
            | ({"ramp": dice.one("90min", "3d")} if dice.chance(0.3) else {})
            | ({"repair": dice.one("1min", "421min")} if dice.chance(0.3) else {})
            | ({"cost": "$90"} if dice.chance(0.3) else {})
        )
    look = {
        "cadence": dice.one("1h", "4h", "1d"),
        "min_samples": dice.one(1, 60),
        "cooldown": dice.one("0d", "5h", "1d"),
    }
    rows: dict[str, Any] = dice.one({}, {"rows": 150}, {"sampling_rate": "7%"})
    dynamic = dice.one(rows, {"sampling_rate": "2%", "hit_sampling_rate": "60%"})
    monitors = [
        {"signal": "requests", "threshold": dice.one(0.1, 0.3), "direction": dice.one("down", "both")},
        {"signal": "age", "deadline": dice.one("2h", "4h")},
        {"signal": "broken", "threshold": dice.one(0.02, 0.05), **dynamic},
        {
            "signal": "clicks",
            "threshold": dice.one(0.1, 0.2),
            "measure": "change",
            "direction": dice.one("down", "both"),
        },
        {"signal": "perplexity", "threshold": dice.one(0.05, 0.15), **rows},
        {"signal": "lift", "threshold": dice.one(0.3, 0.6)},
    ]
    watched: list[dict[str, Any]] = [
        {"metric": "signal", **look, **m} | ({"window": "2d"} if dice.chance(0.3) else {})
        for m in monitors
        if dice.chance(0.7)
    ]
    if dice.chance(0.2) or not watched:
        watched.append({"metric": "truth"})
    response = {
        "triage": dice.one("0d", "31min", {"kind": "lognormal", "median": "40min", "p95": "6h"}),
        "repair": dice.one("241min", "61min", {"kind": "exponential", "mean": "9h"}),
        "consolidation": dice.one("0d", "1h", "6h"),
        "fatigue": {"strength": dice.one(0, 0.8, 1.0), "memory": dice.one(3, 20)},
    } | ({"snooze": {"after": dice.one(1, 3), "duration": "3d", "ticket": "1h"}} if dice.chance(0.5) else {})
    outages = {"rate": "30/y", "unnoticed": {"kind": "exponential", "mean": "20h"}}
    telemetry = {"telemetry": {"outages": outages}} if dice.chance(0.4) else {}
    return scenarios.load(
        "rotting_asset",
        horizon="60d",
        window=dice.one("1h", "30min"),
        quality__decay="0/d",
        triggers=[],
        signals=signals,
        failures=failures,
        monitors=watched,
        traffic={"rate": dice.one("900/d", "30k/d"), "arrivals": dice.one("poisson", "deterministic")},
        **({"response": response} if dice.chance(0.9) else {}),
        **telemetry,
    )


def compare(number: int) -> tuple[int, int]:
    """Play one scenario both ways; alarms and repairs that there were."""
    of = system(number)
    told, result = tell(of), sim.run(of, "never")
    engine = [(alarm.time, alarm.monitor, alarm.true) for alarm in result.alarms]
    for mine, theirs in zip(told.alarms, engine, strict=False):
        assert (mine[0], *mine[1:]) == (pytest.approx(theirs[0], abs=1e-9), *theirs[1:])
    assert len(told.alarms) == len(engine)
    assert [p.acted for p in told.pages] == [p.acted for p in result.pages]
    assert [p.monitors for p in told.pages] == [p.monitors for p in result.pages]
    rows = result.incidents.to_dict("records")
    for trouble, row in zip(told.troubles, rows, strict=True):
        for mine, theirs in (
            (trouble.detected, row["detected_days"]),
            (trouble.acted, row["acknowledged_days"]),
            (trouble.repaired, row["resolved_days"]),
            (trouble.end, row["end_days"]),
        ):
            assert (math.nan if mine is None else mine) == pytest.approx(theirs, abs=1e-9, nan_ok=True)
    assert result.costs["on_call"] == pytest.approx(told.on_call, rel=1e-9, abs=1e-9)
    assert result.costs["incident"] == pytest.approx(told.lost, rel=1e-9, abs=1e-9)
    return len(engine), sum(trouble.repaired is not None for trouble in told.troubles)


@pytest.mark.parametrize("number", range(10))
def test_the_engine_tells_the_same_story(number: int) -> None:
    compare(number)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10, 150))
def test_the_engine_tells_the_same_story_at_length(number: int) -> None:
    compare(number)


def test_the_stories_are_eventful() -> None:
    found = [compare(number) for number in range(6)]
    assert sum(alarms for alarms, _ in found) > 100
    assert sum(repairs for _, repairs in found) > 5
