"""What happens: one replication of a scenario under one policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenarios.lazy_names import lazy_names

if TYPE_CHECKING:
    from sim.engine import run
    from sim.fleet_days import run_fleet
    from sim.fleet_result import FleetResult
    from sim.policies import Decision, Policy
    from sim.record import Result
    from sim.view import View
    from sim.world import World

_HOME = {
    "Decision": "sim.policies",
    "FleetResult": "sim.fleet_result",
    "Policy": "sim.policies",
    "Result": "sim.record",
    "run": "sim.engine",
    "run_fleet": "sim.fleet_days",
    "View": "sim.view",
    "World": "sim.world",
}
"""Module of each public name; importing it is put off until the name is used."""

__all__ = [
    "Decision",
    "FleetResult",
    "Policy",
    "Result",
    "View",
    "World",
    "run",
    "run_fleet",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME)
