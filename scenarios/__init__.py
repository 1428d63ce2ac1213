"""What is simulated: the scenario schema, units, loader, and the library of scenarios.

>>> import scenarios
>>> scenario = scenarios.load("fraud_detection", quality__decay="1%/d")
>>> scenario.quality.decay
0.01
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.lazy_names import lazy_names

if TYPE_CHECKING:
    from scenarios.loader import ScenarioError, library_names, load
    from scenarios.overlays import about_overlay, overlaid, overlay_names
    from scenarios.parameters import Parameter, parameters
    from scenarios.policies import parse_policy
    from scenarios.schema import Scenario
    from scenarios.topics import topic_names

_HOME = {
    "about_overlay": "scenarios.overlays",
    "library_names": "scenarios.loader",
    "load": "scenarios.loader",
    "overlaid": "scenarios.overlays",
    "overlay_names": "scenarios.overlays",
    "Parameter": "scenarios.parameters",
    "parameters": "scenarios.parameters",
    "parse_policy": "scenarios.policies",
    "Scenario": "scenarios.schema",
    "ScenarioError": "scenarios.loader",
    "topic_names": "scenarios.topics",
}
"""Module of each public name; importing it is put off until the name is used."""

__all__ = [
    "Parameter",
    "Scenario",
    "ScenarioError",
    "about_overlay",
    "library_names",
    "load",
    "overlaid",
    "overlay_names",
    "parameters",
    "parse_policy",
    "topic_names",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
