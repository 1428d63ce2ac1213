"""A candidate goes live: at once, and the world may answer."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy

from scenarios.drift import Adversarial
from sim.drift import add, moved_columns, moved_slices, named
from sim.quality import Version

if TYPE_CHECKING:
    from scenarios.schema import Scenario
    from sim.engine import Run


def go_live(run: Run, candidate: Version) -> None:
    """Replace the champion by the candidate, for all traffic at once."""
    run.plane.go_live(candidate, run.now)
    run.record("deployment", f"version {candidate.number}", f"data cut {candidate.cut:.3f} d")
    for name, component in run.adversaries:
        run.env.process(answer(run, name, component))


def adversaries_of(scenario: Scenario) -> list[tuple[str, Adversarial]]:
    """Components that answer deployments, with the names of their random streams."""
    return [(name, part) for name, part in named(scenario.drift) if isinstance(part, Adversarial)]


def answer(run: Run, name: str, component: Adversarial) -> Generator[simpy.Event, Any, None]:
    """Attackers adapt to the new model after a while: a lasting jump, from the next window on."""
    yield run.env.timeout(component.delay)
    window = min(math.ceil(run.now / run.scenario.window - 1e-9), run.scenario.windows)
    columns = moved_columns(run.scenario, component)
    luck = run.world.stream_at(name, run.now)
    jump = component.mean + component.sd * luck.standard_normal(len(columns))
    for place in moved_slices(run.scenario, component, len(run.state.features)):
        tail = type(run.state)(run.state.features[:, window:], run.state.concept[:, window:])
        add(tail, component, place, columns, np.asarray(jump)[None, :])
    run.plane.change_world(window)
    run.record("adversarial answer", component.on, "")
