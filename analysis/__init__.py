"""What to decide: many replications, compared, with intervals, tables and pictures.

>>> import analysis, scenarios
>>> analysis.compare(scenarios.load("rotting_asset"), replications=2, workers=1).best
'scheduled:best'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.capacity import CapacityFound, capacity
    from analysis.comparison import Comparison, compare
    from analysis.detection_delay import DetectionDelays, detection_delays
    from analysis.ml_test_score import ReadinessScore, readiness_score
    from analysis.monitoring_budget import BudgetFound, budget
    from analysis.operating_curves import OperatingCurve, operating_curve
    from analysis.run_quality import monitor_quality
    from analysis.shifted_columns import TableDrift, table_drift
    from analysis.traffic_delay import TrafficDelays, traffic_delays
    from analysis.variants import Variant, VariantComparison, compare_variants

_HOME = {
    "BudgetFound": "analysis.monitoring_budget",
    "CapacityFound": "analysis.capacity",
    "Comparison": "analysis.comparison",
    "DetectionDelays": "analysis.detection_delay",
    "OperatingCurve": "analysis.operating_curves",
    "TableDrift": "analysis.shifted_columns",
    "ReadinessScore": "analysis.ml_test_score",
    "TrafficDelays": "analysis.traffic_delay",
    "Variant": "analysis.variants",
    "VariantComparison": "analysis.variants",
    "budget": "analysis.monitoring_budget",
    "capacity": "analysis.capacity",
    "compare": "analysis.comparison",
    "compare_variants": "analysis.variants",
    "detection_delays": "analysis.detection_delay",
    "monitor_quality": "analysis.run_quality",
    "operating_curve": "analysis.operating_curves",
    "table_drift": "analysis.shifted_columns",
    "readiness_score": "analysis.ml_test_score",
    "traffic_delays": "analysis.traffic_delay",
}
_MODULES = (
    "backtest",
    "detection",
    "detection_quality",
    "economics",
    "plots",
    "queueing",
    "run_lengths",
    "selection",
    "staleness_control",
    "statistics",
)

__all__ = [
    "BudgetFound",
    "CapacityFound",
    "Comparison",
    "DetectionDelays",
    "OperatingCurve",
    "ReadinessScore",
    "TableDrift",
    "TrafficDelays",
    "Variant",
    "VariantComparison",
    "backtest",
    "budget",
    "capacity",
    "compare",
    "compare_variants",
    "detection",
    "detection_delays",
    "detection_quality",
    "economics",
    "monitor_quality",
    "operating_curve",
    "plots",
    "queueing",
    "readiness_score",
    "run_lengths",
    "selection",
    "staleness_control",
    "statistics",
    "table_drift",
    "traffic_delays",
]


def __getattr__(name: str) -> Any:
    """Import on first use, so that start-up stays quick."""
    from importlib import import_module

    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in _MODULES:
        return import_module(f"analysis.{name}")
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
