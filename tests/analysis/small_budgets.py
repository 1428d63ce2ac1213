"""Small scenarios with a menu of monitoring, and made-up runs of plans, for the tests of budgets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.plan_runs import COLUMNS
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario

BASE: dict[str, Any] = {
    "title": "t",
    "horizon": "20d",
    "window": "1h",
    "value_per_query_per_unit_accuracy": "$0.1",
    "features": ["age"],
    "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1%/d"},
    "traffic": {"rate": "1000/d"},
    "signals": [{"name": "data_age", "kind": "freshness", "age": "5min"}],
    "monitors": [
        {"metric": "signal", "signal": "data_age", "deadline": "1h"},
        {"metric": "feature_drift_psi", "rows": 500, "threshold": 0.2},
        {"metric": "accuracy", "cost": "$100/month"},
    ],
    "telemetry": {"outages": {"rate": "4/y", "unnoticed": "8h"}},
}

LAYERS: dict[str, Any] = {
    "title": "A small service with four layers",
    "horizon": "60d",
    "window": "4h",
    "value_per_query_per_unit_accuracy": "$0.05",
    "features": ["age"],
    "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0.01%/d"},
    "traffic": {"rate": "20000/d"},
    "labels": "none",
    "signals": [
        {"name": "data_age", "kind": "freshness", "age": "10min"},
        {"name": "broken_rows", "kind": "proportion", "layer": "schema", "base": 0.002},
        {"name": "errors", "kind": "proportion", "layer": "infrastructure", "base": 0.001},
        {"name": "clicks", "kind": "proportion", "layer": "business", "base": 0.05, "per_accuracy_lost": -0.05},
    ],
    "failures": [
        {"name": "stale", "rate": "12/y", "accuracy_drop": 0.08, "lasts": "20d",
         "effects": [{"signal": "data_age", "stall": "30d"}]},
        {"name": "schema", "rate": "12/y", "accuracy_drop": 0.15, "lasts": "20d",
         "effects": [{"signal": "broken_rows", "add": 0.1}]},
        {"name": "crash", "rate": "24/y", "accuracy_drop": 0.3, "lasts": "2d",
         "effects": [{"signal": "errors", "add": 0.3}]},
        {"name": "skew", "rate": "8/y", "accuracy_drop": 0.1, "feature_shift": {"age": 1.0}, "lasts": "30d"},
    ],
    "monitors": [
        {"metric": "signal", "signal": "data_age", "deadline": "1h", "cost": "$100/month"},
        {"metric": "signal", "signal": "broken_rows", "threshold": 0.02, "rows": 500, "cost": "$60/month"},
        {"metric": "signal", "signal": "errors", "threshold": 0.1, "cost": "$80/month"},
        {"metric": "feature_drift_psi", "rows": 1000, "cadence": "4h", "threshold": 0.2, "cost": "$150/month"},
        {"metric": "signal", "signal": "clicks", "threshold": 0.1, "cost": "$40/month"},
    ],
    "response": {"triage": "30min", "repair": "4h", "hourly_cost": "$100/h"},
    "telemetry": {},
    "menu": [
        {"monitors": ["data_age"], "options": ["off", {"cadence": "4h"}, {"cadence": "1d"}]},
        {"monitors": ["broken_rows"], "options": ["off", "on", {"name": "some", "rows": 50, "cadence": "12h"}]},
        {"monitors": ["errors"], "options": ["off", "on", {"name": "daily", "cadence": "1d", "cost": "$10/month"}]},
        {"monitors": ["feature_drift_psi"], "options": ["off", "on"]},
        {"monitors": ["clicks"], "options": ["off", "on"]},
    ],
}  # fmt: skip
"""108 plans; a run takes some milliseconds."""


def with_menu(*entries: dict[str, Any], **changes: Any) -> Scenario:
    """BASE with a menu."""
    return validate_mapping(BASE | {"menu": list(entries)} | changes)


def layers(**changes: Any) -> Scenario:
    """LAYERS with changes."""
    return validate_mapping(LAYERS | changes)


def few_layers(**changes: Any) -> Scenario:
    """LAYERS with three entries: 12 plans."""
    keep = ("broken_rows", "errors", "feature_drift_psi")
    menu = [
        {**entry, "options": entry["options"][:3] if entry["monitors"] == ["broken_rows"] else ["off", "on"]}
        for entry in LAYERS["menu"]
        if entry["monitors"][0] in keep
    ]
    return layers(menu=menu, **changes)


class MadeUp:
    """Losses and costs of plans without a simulation: entries x options that cost and shorten incidents.

    Two incidents of each entry's failure in a world on average; a plan's loss has noise of its own on top of that of
    the world.
    """

    def __init__(self, seed: int, entries: int = 4, options: int = 4, plans: int = 200) -> None:
        rng = np.random.default_rng(seed)
        self.seed, self.options = seed, options
        self.cost = np.sort(rng.gamma(2.0, 500.0, (entries, options)), axis=1)
        self.speed = np.sort(3.0 * rng.random((entries, options)), axis=1)
        self.cost[:, 0] = self.speed[:, 0] = 0.0
        self.plans = np.array(list(product(range(options), repeat=entries))[:plans])

    @lru_cache(maxsize=4096)  # noqa: B019
    def world(self, number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Delay of each entry and option, summed over incidents, and the noise of each plan's loss."""
        rng = np.random.default_rng([self.seed, number])
        entries = len(self.cost)
        counts = rng.poisson(2.0, entries)
        common = [rng.exponential(1.0, count).sum() for count in counts]
        own = np.array([[rng.gamma(max(count, 1e-9)) for _ in range(self.options)] for count in counts])
        return 0.5 * (np.array(common)[:, None] + own), rng.normal(0.0, 100.0, len(self.plans))

    def expected_total(self) -> NDArray[np.float64]:
        """Expected total cost of each plan, exactly: two incidents of each entry, a delay of mean 1 for each."""
        by_option = self.cost + 3000.0 * 2.0 / (1.0 + self.speed)
        return np.asarray(by_option[np.arange(len(self.cost)), self.plans].sum(axis=1))

    def __call__(self, pairs: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
        """Columns of each pair of plan and world."""
        found = np.zeros((len(pairs), len(COLUMNS)))
        for row, (plan, number) in enumerate(pairs):
            delay, noise = self.world(number)
            chosen = (np.arange(len(self.cost)), self.plans[plan])
            found[row, 0] = self.cost[chosen].sum()
            found[row, 1] = 3000.0 * (delay[chosen] / (1.0 + self.speed[chosen])).sum() + noise[plan]
            found[row, 2] = 1.0
        return found
