"""Minimal cases of failures, signals, people and outages."""

from __future__ import annotations

from typing import Any

from plain_cases import EACH_WINDOW, RAMP, lasting

REQUESTS = {"name": "requests", "kind": "throughput"}
AGE = {"name": "age", "kind": "freshness", "age": "4min"}
ERRORS = {"name": "errors", "kind": "proportion", "base": 0.01, "layer": "infrastructure"}
SPEED = {"name": "speed", "kind": "mean", "base": 20, "sd": 5, "per_accuracy_lost": 30}
CLICKS = {"name": "clicks", "kind": "proportion", "base": 0.3, "per_accuracy_lost": -0.3, "layer": "business"}
LIFT = {"name": "lift", "kind": "lift", "of": "clicks", "holdout": 0.1, "baseline_accuracy": 0.6}
SIGNALS = [REQUESTS, AGE, ERRORS, SPEED, CLICKS, LIFT]

EACH_7H = [f"{hour}h" for hour in range(5, 230, 7)]
TRUTH = {"metric": "truth"}
FAST = {"triage": "30min", "repair": "1h", "consolidation": "0h"}
AT_LOOKS = {"triage": "0h", "repair": "6h", "consolidation": "0h"}


def broken(*onsets: str, **fields: Any) -> dict[str, Any]:
    return {"name": "f", "onsets": list(onsets), **fields}


def loses(share: float, *onsets: str, **fields: Any) -> dict[str, Any]:
    """A failure that loses a share of the requests."""
    return broken(*onsets, effects=[{"signal": "requests", "factor": 1.0 - share}], **fields)


def watch(signal: str, **fields: Any) -> dict[str, Any]:
    usual = {"metric": "signal", "signal": signal, "sampling": "none", "cooldown": "0d", "cadence": "6h"}
    if signal != "age" and fields.get("rule", "threshold") == "threshold":
        usual["threshold"] = 0.1
    return usual | fields


def noisy(signal: str, **fields: Any) -> dict[str, Any]:
    return watch(signal, sampling="multinomial", **fields)


_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "all requests stop": (
        "never",
        {"failures": [loses(1.0, "2d", lasts="1d")], "monitors": [watch("requests")], "response": FAST},
    ),
    "fractions of requests": (
        "never",
        {
            "window": "1h",
            "traffic": {"rate": "403/d", "arrivals": "deterministic"},
            "failures": [loses(0.4, "2d", lasts="1d")],
            "monitors": [noisy("errors", cadence="1d"), noisy("requests", cadence="1h")],
        },
    ),
    "few requests, sampled": (
        "never",
        {
            "traffic": {"rate": "40/d", "arrivals": "deterministic"},
            "monitors": [
                noisy("clicks", cadence="6h", window="5d", sampling_rate=0.1, min_samples=1),
                {
                    "metric": "feature_drift_psi",
                    "cadence": "6h",
                    "window": "5d",
                    "sampling_rate": 0.1,
                    "min_samples": 1,
                },
            ],
        },
    ),
    "onset in a window of two versions": (
        "scheduled:1d",
        {"failures": [broken("25h", "49h")], "monitors": [TRUTH], "pipeline": lasting("2h")},
    ),
    "the truth is called when a version goes live": (
        "scheduled:1d",
        {"failures": [broken("35h")], "monitors": [TRUTH], "pipeline": lasting("12h", "deployment")},
    ),
    "two repairs when the truth is called": (
        "never",
        {
            "failures": [broken("1h", "2h", "8h", "13h"), broken("200h", repair="4d") | {"name": "g"}],
            "monitors": [TRUTH],
            "response": AT_LOOKS,
        },
    ),
    "the path is down when a failure begins": (
        "never",
        {
            "failures": [broken("2d", accuracy_drop=0.3)],
            "monitors": [TRUTH, {"metric": "accuracy", **EACH_WINDOW}],
            "telemetry": {"outages": {"rate": "1/d", "unnoticed": "20h"}},
        },
    ),
    "labels that come while the path is down": (
        "never",
        {
            "window": "1h",
            "monitors": [
                {"metric": "accuracy", "detector": "ddm", "cadence": "1h"},
                {
                    "metric": "accuracy",
                    "reference": "first_window",
                    "cadence": "2h",
                    "window": "4h",
                    "name": "a",
                },
                {"metric": "accuracy", "rule": "cusum", "cadence": "2h", "window": "2h"},
            ],
            "drift": [RAMP],
            "telemetry": {"outages": {"rate": "1/d", "unnoticed": "20h"}},
        },
    ),
    "repair inside a window": (
        "never",
        {
            "failures": [broken("50h", accuracy_drop=0.3, effects=[{"signal": "errors", "add": 0.5}])],
            "monitors": [
                watch("errors"),
                watch("clicks", direction="down"),
                {"metric": "accuracy", **EACH_WINDOW},
            ],
            "response": FAST,
        },
    ),
    "a monitor that cannot see what was repaired": (
        "never",
        {
            "failures": [broken("50h", effects=[{"signal": "errors", "add": 0.5}])],
            "monitors": [watch("errors"), noisy("clicks", direction="both", rule="cusum", threshold=2)],
            "response": FAST,
        },
    ),
    "a false alarm after a repair": (
        "never",
        {
            "failures": [broken("26h", effects=[{"signal": "errors", "add": 0.5}])],
            "monitors": [
                noisy("errors", rule="significance", window="3d", false_alarms="1/d", sampling_rate=0.1)
            ],
            "response": FAST,
        },
    ),
    "an alarm when a failure has just ended, or begins": (
        "never",
        {
            "window": "1h",
            "failures": [broken(*EACH_7H, effects=[{"signal": "errors", "add": 0.5}], lasts="3h")],
            "monitors": [noisy("errors", cadence="1h", threshold=0.001, cooldown="0d")],
            "response": AT_LOOKS | {"repair": "30d"},
        },
    ),
    "a snooze shorter than the engine looks ahead": (
        "never",
        {
            "window": "1h",
            "monitors": [noisy("errors", rule="significance", false_alarms="10/d", cadence="1h")],
            "response": FAST | {"snooze": {"after": 1, "duration": "3h"}},
        },
    ),
    "requests that a holdout group loses": (
        "never",
        {
            "drift": [RAMP],
            "failures": [loses(0.5, "3d", lasts="30h"), broken("100h", accuracy_drop=0.4) | {"name": "g"}],
            "monitors": [watch("lift", name="one"), noisy("lift", name="two")],
        },
    ),
    "a factor on both groups of a lift": (
        "never",
        {
            "failures": [broken("3d", effects=[{"signal": "clicks", "factor": 0.3}])],
            "monitors": [watch("lift")],
            "response": FAST,
        },
    ),
    "hits kept at their own rate, between versions and repairs": (
        "scheduled:1d",
        {
            "drift": [RAMP],
            "failures": [broken("50h", effects=[{"signal": "errors", "add": 0.5}])],
            "monitors": [noisy("errors", sampling_rate=0.01, hit_sampling_rate=1.0)],
            "response": FAST,
            "telemetry": {},
            "pipeline": lasting("2h"),
        },
    ),
    "just as many rows as are needed": (
        "never",
        {
            "window": "1h",
            "traffic": {"rate": "2400/d", "arrivals": "deterministic"},
            "failures": [loses(0.11, "50.3h", "80.1h", ramp="4.7h", lasts="9h")],
            "monitors": [watch("errors", cadence="1h", rows=100, min_samples=100)],
        },
    ),
    "all requests stop, by inches": (
        "never",
        {
            "window": "1h",
            "failures": [
                loses(1.0, *(f"{h + 0.1 * h}h" for h in range(5, 200, 7)), ramp="4.7h", lasts="20h")
            ],
            "monitors": [watch("speed", cadence="1h")],
        },
    ),
    "late labels of a failure that has healed": (
        "scheduled:2d",
        {
            "drift": [{**RAMP, "rate": "0.03/d"}],
            "failures": [broken("47h", "100h", accuracy_drop=0.4, lasts="3h")],
            "labels": {"delay": {"kind": "uniform", "low": "1h", "high": "50h"}},
            "monitors": [
                {"metric": "accuracy", **EACH_WINDOW, "min_samples": 1, "cooldown": "0d", "threshold": 1e-6}
            ],
            "response": AT_LOOKS | {"repair": "30d"},
        },
    ),
    "limits from before a failure": (
        "never",
        {
            "window": "1h",
            "drift": [{"kind": "seasonal", "amplitude": 0.3, "period": "1d"}],
            "failures": [broken("70h", "150h", accuracy_drop=0.3)],
            "monitors": [
                noisy(
                    "clicks",
                    direction="down",
                    rule="adaptive",
                    cadence="1h",
                    limits={"trailing": "3d", "min_looks": 5},
                ),
            ],
            "response": FAST,
        },
    ),
    "stale data": (
        "never",
        {
            "failures": [broken("50h", effects=[{"signal": "age", "stall": "9h"}], lasts="2d")],
            "monitors": [watch("age", deadline="3h", cadence="6h")],
            "response": FAST | {"repair": "7h"},
        },
    ),
    "two months and a bit": (
        "scheduled:20d",
        {
            "horizon": "65d",
            "window": "1d",
            "drift": [{**RAMP, "rate": "0.01/d"}],
            "failures": [loses(0.5, "20d", lasts="1d")],
            "monitors": [
                {"metric": "accuracy", "cadence": "2d", "window": "2d", "cost": "$3/d"},
                noisy("errors", cadence="3d", window="1d", rows=50),
                noisy("clicks", cadence="1d", sampling_rate=0.5),
                TRUTH,
            ],
            "telemetry": {"metrics": {"series": 3}, "dashboards": {"count": 1, "users": 2}},
        },
    ),
}
"""Policy, and what differs from `case` and its SIGNALS."""

FAILURE_CASES = {name: (policy, {"signals": SIGNALS} | changes) for name, (policy, changes) in _CASES.items()}
