"""What happens: one replication of a scenario under one policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.engine import run
    from sim.policies import Decision, Policy
    from sim.record import Result
    from sim.view import View
    from sim.world import World

__all__ = ["Decision", "Policy", "Result", "View", "World", "run"]

_HOME = {
    "Decision": "sim.policies",
    "Policy": "sim.policies",
    "Result": "sim.record",
    "View": "sim.view",
    "World": "sim.world",
    "run": "sim.engine",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that start-up stays quick."""
    if name not in _HOME:
        raise AttributeError(f"module 'sim' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
