"""Minimal cases: ten days without noise, each with one thing that two ways of counting may disagree about."""

from __future__ import annotations

import math
from typing import Any

from plain_scenarios import STAGES

from scenarios.loader import validate_mapping
from scenarios.schema import Scenario

AT_ONCE = dict.fromkeys(STAGES, "0h")
PIPELINE: dict[str, Any] = {"stages": AT_ONCE, "cost": {"compute": "$100"}}
RAMP = {"kind": "ramp", "rate": "0.3/d"}
ANSWER = {"kind": "adversarial", "delay": "30h", "mean": 1.0}
EACH_WINDOW = {"cadence": "6h", "window": "6h", "sampling": "none"}
DECAYING_ROWS = [[math.nan if t <= k else 0.9 - 0.02 * (t - k) for t in range(11)] for k in range(10)]


def case(**changes: Any) -> Scenario:
    """Ten days of windows of 6 h, one feature, no noise, retrainings that take no time, and some changes."""
    written: dict[str, Any] = {
        "title": "case",
        "horizon": "10d",
        "window": "6h",
        "value_per_query_per_unit_accuracy": "$0.01",
        "features": ["x"],
        "quality": {
            "kind": "degradation",
            "initial_accuracy": 0.9,
            "feature_sensitivity": 0.1,
            "concept_sensitivity": 0.1,
        },
        "traffic": {"rate": "4000/d", "arrivals": "deterministic"},
        "pipeline": PIPELINE,
    }
    return validate_mapping(written | changes)


def lasting(duration: str, stage: str = "training") -> dict[str, Any]:
    return {**PIPELINE, "stages": {**AT_ONCE, stage: duration}}


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "two champions in a window": ("scheduled:1d", {"drift": [RAMP], "pipeline": lasting("2h")}),
    "four champions in a window": ("scheduled:2h", {"drift": [RAMP], "pipeline": lasting("1h")}),
    "late labels of the old champion": (
        "scheduled:2d",
        {
            "drift": [RAMP],
            "labels": {"delay": "30h"},
            "monitors": [{"metric": "accuracy", "cadence": "6h", "window": "2d"}],
            "pipeline": lasting("2h"),
        },
    ),
    "cooldown lasts beyond a deployment": (
        "scheduled:2d",
        {
            "drift": [{**RAMP, "rate": "2/d"}],
            "monitors": [{"metric": "feature_drift_psi", **EACH_WINDOW, "cooldown": "3d"}],
        },
    ),
    "alarm when a deployment is due": (
        "scheduled:2d",
        {
            "drift": [{**RAMP, "rate": "2/d"}],
            "monitors": [{"metric": "feature_drift_psi", **EACH_WINDOW, "cooldown": "0d"}],
            "pipeline": lasting("12h", "deployment"),
        },
    ),
    "alarms of three monitors at once": (
        "triggered",
        {
            "drift": [{**RAMP, "rate": "2/d"}],
            "triggers": [{"metric": f"feature_drift_{s}", **EACH_WINDOW} for s in ("js", "ks", "psi")],
        },
    ),
    "answer at the end of a window": (
        "scheduled:3d",
        {"drift": [ANSWER], "monitors": [{"metric": "feature_drift_psi", **EACH_WINDOW}]},
    ),
    "answer while a sum runs": (
        "scheduled:3d",
        {
            "drift": [RAMP, ANSWER],
            "monitors": [{"metric": "accuracy", "rule": "cusum", "cadence": "6h", "window": "6h"}],
        },
    ),
    "a sum that would cross if it ran on": (
        "scheduled:2d",
        {
            "drift": [{**RAMP, "rate": "0.1/d"}],
            "monitors": [
                {"metric": "accuracy", "rule": "cusum", "allowance": 0, "threshold": 2, **EACH_WINDOW}
            ],
        },
    ),
    "follows the answer": (
        "scheduled:3d",
        {
            "drift": [ANSWER],
            "pipeline": {
                **PIPELINE,
                "learning": {"mode": "incremental", "regain": 1.0, "time_constant": "1d"},
            },
        },
    ),
    "follows without labels": (
        "never",
        {
            "labels": "none",
            "drift": [{**RAMP, "on": "concept"}],
            "pipeline": {**PIPELINE, "learning": {"mode": "incremental", "time_constant": "1d"}},
        },
    ),
    "recorded reference": (
        "scheduled:3d",
        {
            "quality": {"kind": "recorded", "matrix": {"rows": DECAYING_ROWS}, "period": "1d"},
            "drift": [RAMP],
            "monitors": [{"metric": "feature_drift_psi", **EACH_WINDOW}],
        },
    ),
    "follows the answer after rejections": (
        "scheduled:1d",
        {
            "drift": [{**ANSWER, "delay": "108h", "on": "concept"}],
            "pipeline": {
                **PIPELINE,
                "learning": {"mode": "incremental", "time_constant": "1d"},
                "bad_training": {"probability": 0.7, "loss": 0.5},
                "gate": {"holdout": 1000, "margin": -0.1},
            },
        },
    ),
    "recorded reference of many windows": (
        "scheduled:3d",
        {
            "quality": {"kind": "recorded", "matrix": {"rows": DECAYING_ROWS}, "period": "1d"},
            "drift": [RAMP],
            "monitors": [{"metric": "feature_drift_psi", **EACH_WINDOW}],
            "pipeline": {**PIPELINE, "training_window": "2d"},
        },
    ),
    "answer in a shared window": (
        "scheduled:3d",
        {"drift": [{**ANSWER, "delay": "1h"}], "pipeline": lasting("2h")},
    ),
    "score of a shared window": (
        "scheduled:3d",
        {
            "drift": [RAMP],
            "monitors": [
                {"metric": "feature_drift_psi", **EACH_WINDOW},
                {"metric": "accuracy", **EACH_WINDOW},
            ],
            "pipeline": lasting("2h"),
        },
    ),
    "first window after an answer": (
        "scheduled:3d",
        {
            "drift": [ANSWER],
            "monitors": [
                {
                    "metric": "accuracy",
                    "sampling": "none",
                    "cadence": "5d",
                    "window": "5d",
                    "reference": "first_window",
                }
            ],
        },
    ),
    "price of another mode": (
        "triggered",
        {
            "drift": [RAMP],
            "triggers": [{"metric": "accuracy", "rule": "staleness_cost", **EACH_WINDOW}],
            "pipeline": {
                **PIPELINE,
                "cost": {"compute": "$10"},
                "learning": {"mode": "warm_start", "regain": 1.0},
            },
        },
    ),
    "fractions of a label": (
        "never",
        {
            "traffic": {"rate": "403/d", "arrivals": "deterministic"},
            "window": "1h",
            "monitors": [{"metric": "accuracy", "cadence": "1d"}],
        },
    ),
    "score at the threshold": (
        "never",
        {
            "window": "1h",
            "traffic": {"rate": "2400/d", "arrivals": "deterministic"},
            "monitors": [{"metric": "feature_drift_ks", "rows": 100, "threshold": 0.1, "cooldown": "0d"}],
        },
    ),
}
