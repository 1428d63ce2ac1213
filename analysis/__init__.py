"""What to decide: many replications, compared, with intervals, tables and pictures.

>>> import analysis, scenarios
>>> analysis.compare(scenarios.load("rotting_asset"), replications=2, workers=1).best
'scheduled:best'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.comparison import Comparison, compare

__all__ = ["Comparison", "backtest", "compare", "economics", "plots", "statistics"]

_HOME = {"Comparison": "analysis.comparison", "compare": "analysis.comparison"}


def __getattr__(name: str) -> Any:
    """Import on first use, so that start-up stays quick."""
    from importlib import import_module

    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name in __all__:
        return import_module(f"analysis.{name}")
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
