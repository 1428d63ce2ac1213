"""What is simulated: the scenario schema, units, loader, and the library of scenarios.

>>> import scenarios
>>> scenario = scenarios.load("fraud_detection", quality__decay="1%/d")
>>> scenario.quality.decay
0.01
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scenarios.loader import ScenarioError, library_names, load
    from scenarios.overlays import overlaid, overlay_names
    from scenarios.policies import parse_policy
    from scenarios.schema import Scenario

__all__ = [
    "Scenario",
    "ScenarioError",
    "library_names",
    "load",
    "overlaid",
    "overlay_names",
    "parse_policy",
]

_HOME = {
    "Scenario": "scenarios.schema",
    "ScenarioError": "scenarios.loader",
    "library_names": "scenarios.loader",
    "load": "scenarios.loader",
    "overlaid": "scenarios.overlays",
    "overlay_names": "scenarios.overlays",
    "parse_policy": "scenarios.policies",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `halflife --help` stays quick."""
    if name not in _HOME:
        raise AttributeError(f"module 'scenarios' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
