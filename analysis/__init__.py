"""What to decide: many replications, compared, with intervals, tables and pictures.

>>> import analysis, scenarios
>>> analysis.compare(scenarios.load("rotting_asset"), replications=2, workers=1).best
'scheduled:best'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.lazy_names import lazy_names

if TYPE_CHECKING:
    from analysis.backtest import Backtest
    from analysis.capacity import CapacityFound, capacity, largest_rate
    from analysis.comparison import Comparison, compare
    from analysis.counterfactual import (
        ActOnAlarm,
        Counterfactual,
        IgnoreAlarm,
        RetrainAt,
        SkipRetraining,
        counterfactual,
    )
    from analysis.designs import Design, design
    from analysis.detection_delay import DetectionDelays, detection_delays
    from analysis.inputs import Input, default_inputs, parse_input
    from analysis.interval_fit import IntervalFit, fit_intervals
    from analysis.intervals import Interval
    from analysis.ml_test_score import ReadinessScore, readiness_score
    from analysis.monitoring_budget import BudgetFound, budget
    from analysis.operating_curves import OperatingCurve, operating_curve
    from analysis.optimise import Optimum, optimise
    from analysis.replication_planning import plan_replications
    from analysis.requirements import Requirement, check_comparison, parse_requirement
    from analysis.run_quality import monitor_quality
    from analysis.sensitivity import Sensitivity, sensitivity
    from analysis.settings import Space, space_of
    from analysis.shifted_columns import TableDrift, table_drift
    from analysis.sustainable import Sustained, largest_sustainable
    from analysis.sustainable_rate import SustainableRate
    from analysis.sweep import Sweep, read_sweep, sweep
    from analysis.traffic_delay import TrafficDelays, traffic_delays
    from analysis.variants import Variant, VariantComparison, compare_variants
    from analysis.worked_figures import worked_figures

_HOME = {
    "ActOnAlarm": "analysis.counterfactual",
    "Backtest": "analysis.backtest",
    "budget": "analysis.monitoring_budget",
    "BudgetFound": "analysis.monitoring_budget",
    "capacity": "analysis.capacity",
    "CapacityFound": "analysis.capacity",
    "check_comparison": "analysis.requirements",
    "compare": "analysis.comparison",
    "compare_variants": "analysis.variants",
    "Comparison": "analysis.comparison",
    "Counterfactual": "analysis.counterfactual",
    "counterfactual": "analysis.counterfactual",
    "default_inputs": "analysis.inputs",
    "Design": "analysis.designs",
    "design": "analysis.designs",
    "detection_delays": "analysis.detection_delay",
    "DetectionDelays": "analysis.detection_delay",
    "fit_intervals": "analysis.interval_fit",
    "IgnoreAlarm": "analysis.counterfactual",
    "Input": "analysis.inputs",
    "Interval": "analysis.intervals",
    "IntervalFit": "analysis.interval_fit",
    "largest_rate": "analysis.capacity",
    "largest_sustainable": "analysis.sustainable",
    "monitor_quality": "analysis.run_quality",
    "operating_curve": "analysis.operating_curves",
    "OperatingCurve": "analysis.operating_curves",
    "optimise": "analysis.optimise",
    "Optimum": "analysis.optimise",
    "parse_input": "analysis.inputs",
    "parse_requirement": "analysis.requirements",
    "plan_replications": "analysis.replication_planning",
    "read_sweep": "analysis.sweep",
    "readiness_score": "analysis.ml_test_score",
    "ReadinessScore": "analysis.ml_test_score",
    "Requirement": "analysis.requirements",
    "RetrainAt": "analysis.counterfactual",
    "Sensitivity": "analysis.sensitivity",
    "sensitivity": "analysis.sensitivity",
    "SkipRetraining": "analysis.counterfactual",
    "Space": "analysis.settings",
    "space_of": "analysis.settings",
    "SustainableRate": "analysis.sustainable_rate",
    "Sustained": "analysis.sustainable",
    "Sweep": "analysis.sweep",
    "sweep": "analysis.sweep",
    "table_drift": "analysis.shifted_columns",
    "TableDrift": "analysis.shifted_columns",
    "traffic_delays": "analysis.traffic_delay",
    "TrafficDelays": "analysis.traffic_delay",
    "Variant": "analysis.variants",
    "VariantComparison": "analysis.variants",
    "worked_figures": "analysis.worked_figures",
}
"""Module of each public name; importing it is put off until the name is used."""
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
    "ActOnAlarm",
    "Backtest",
    "BudgetFound",
    "CapacityFound",
    "Comparison",
    "Counterfactual",
    "Design",
    "DetectionDelays",
    "IgnoreAlarm",
    "Input",
    "Interval",
    "IntervalFit",
    "OperatingCurve",
    "Optimum",
    "ReadinessScore",
    "Requirement",
    "RetrainAt",
    "Sensitivity",
    "SkipRetraining",
    "Space",
    "SustainableRate",
    "Sustained",
    "Sweep",
    "TableDrift",
    "TrafficDelays",
    "Variant",
    "VariantComparison",
    "backtest",
    "budget",
    "capacity",
    "check_comparison",
    "compare",
    "compare_variants",
    "counterfactual",
    "default_inputs",
    "design",
    "detection",
    "detection_delays",
    "detection_quality",
    "economics",
    "fit_intervals",
    "largest_rate",
    "largest_sustainable",
    "monitor_quality",
    "operating_curve",
    "optimise",
    "parse_input",
    "parse_requirement",
    "plan_replications",
    "plots",
    "queueing",
    "read_sweep",
    "readiness_score",
    "run_lengths",
    "selection",
    "sensitivity",
    "space_of",
    "staleness_control",
    "statistics",
    "sweep",
    "table_drift",
    "traffic_delays",
    "worked_figures",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME, _MODULES)
