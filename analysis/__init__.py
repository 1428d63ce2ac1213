"""What to decide: many replications, compared, with intervals, tables and pictures.

>>> import analysis, scenarios
>>> analysis.compare(scenarios.load("rotting_asset"), replications=2, workers=1).best
'scheduled:best'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.comparison import Comparison, compare
    from analysis.run_quality import monitor_quality
    from analysis.shifted_columns import TableDrift, table_drift

_HOME = {
    "Comparison": "analysis.comparison",
    "TableDrift": "analysis.shifted_columns",
    "compare": "analysis.comparison",
    "monitor_quality": "analysis.run_quality",
    "table_drift": "analysis.shifted_columns",
}
_MODULES = (
    "backtest",
    "detection",
    "detection_quality",
    "economics",
    "plots",
    "run_lengths",
    "selection",
    "staleness_control",
    "statistics",
)

__all__ = [
    "Comparison",
    "TableDrift",
    "backtest",
    "compare",
    "detection",
    "detection_quality",
    "economics",
    "monitor_quality",
    "plots",
    "run_lengths",
    "selection",
    "staleness_control",
    "statistics",
    "table_drift",
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
