"""One small result of each public type, made by its public function in some tenths of a second."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from small_boxes import few_boxes
from small_budgets import few_layers
from small_fleets import EXPONENTIAL, small_fleet
from small_people import small_ward

import analysis
import scenarios
import sim
from analysis.accuracy_matrix import Matrix
from scenarios.schema import Scenario


@cache
def asset() -> Scenario:
    """The rotting asset, which runs in some milliseconds; its traffic is random."""
    return scenarios.load("rotting_asset", horizon="200d", traffic__arrivals="poisson")


def _sweep() -> Any:
    found = analysis.design(
        asset(), {"quality.decay": ["0.1%/d", "1%/d"], "pipeline.cost.compute": ["$100", "$4000"]}
    )
    folder = tempfile.mkdtemp()
    return analysis.sweep(
        asset(), found, ["never", "scheduled:30d"], folder=f"{folder}/s", replications=3, workers=1
    )


def _optimum() -> Any:
    space = analysis.space_of(asset(), ["policy.interval=10d..90d"])
    return analysis.optimise(space, trials=4, replications=2, reported=3, workers=1, indifference=0.2)


def _sensitivity() -> Any:
    inputs = [analysis.parse_input(asset(), "quality.decay=0.02%/d..0.1%/d")]
    policies = ["scheduled:90d", "scheduled:30d"]
    return analysis.sensitivity(asset(), policies, inputs, methods=["tornado"], replications=2, workers=1)


def _sustained() -> Any:
    given = analysis.parse_input(asset(), "quality.decay=0.1%/d..2%/d")
    limit = analysis.parse_requirement("mean_accuracy > 0.85")
    return analysis.largest_sustainable(asset(), "scheduled:30d", given, limit, tolerance=0.1, workers=1)


def _backtest() -> Any:
    age = np.subtract.outer(np.arange(6), np.arange(6))
    accuracy = np.where(age < 0, 0.9 + 0.03 * age, np.nan)
    matrix = Matrix(np.arange(5), np.arange(6), accuracy[:5])
    return analysis.backtest.backtest(matrix, ["never", "scheduled:2"])


def _table_drift() -> Any:
    usual = pd.DataFrame({"age": range(100), "plan": ["a", "b"] * 50})
    return analysis.table_drift(usual, usual.assign(age=usual["age"] + 30))


MAKERS: dict[str, Callable[[], Any]] = {
    "Result": lambda: sim.run(asset(), "scheduled:90d"),
    "FleetResult": lambda: sim.run_fleet(small_fleet({**EXPONENTIAL, "replicas": 3})),
    "Comparison": lambda: analysis.compare(asset(), ["scheduled:90d"], replications=2, workers=1),
    "VariantComparison": lambda: analysis.compare_variants(
        asset(), ["base@never", "other=base@scheduled:30d"], replications=2, workers=1
    ),
    "BudgetFound": lambda: analysis.budget(few_layers(), replications=3, workers=1),
    "CapacityFound": lambda: analysis.capacity(
        small_fleet(EXPONENTIAL), replications=1, quick=True, workers=1
    ),
    "Sweep": _sweep,
    "Sensitivity": _sensitivity,
    "Optimum": _optimum,
    "Sustained": _sustained,
    "Backtest": _backtest,
    "Counterfactual": lambda: analysis.counterfactual(asset(), "scheduled:30d", analysis.SkipRetraining(2)),
    "DetectionDelays": lambda: analysis.detection_delays(few_layers(), replications=2, workers=1),
    "OperatingCurve": lambda: analysis.operating_curve(
        few_layers(), "errors", thresholds=[0.05, 0.1], replications=2, workers=1
    ),
    "TrafficDelays": lambda: analysis.traffic_delays(rates=["100/d"], onsets=4, replications=2, workers=1),
    "TableDrift": _table_drift,
    "ReadinessScore": lambda: analysis.readiness_score({"rollback": 1, "staleness_retrains": 0.5}),
    "SustainableRate": lambda: analysis.largest_rate(small_fleet({**EXPONENTIAL, "replicas": 2})),
    "IntervalFit": lambda: analysis.fit_intervals(
        np.random.default_rng(0).exponential(2.0, 40), bootstraps=19
    ),
}
"""Results by the name of their type."""


PARTS: dict[str, Callable[[], Any]] = {
    "CareResult": lambda: sim.run(small_ward(), "scheduled:20d").care,
    "EdgeResult": lambda: sim.run(few_boxes(), "scheduled:20d").edge,
}
"""What a run holds of patients and of devices."""


@cache
def result_of(name: str) -> Any:
    """The small result of that type."""
    return (MAKERS | PARTS)[name]()
