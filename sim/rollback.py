"""Rollback: the version before comes back, after a while, if it works.

Luck is tied to the moment at which it is asked for. Source: chapter, 'Rollback Strategies and Safety Mechanisms'.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import simpy

from scenarios.deployment import BlueGreen
from scenarios.rollback import TIERS, Rollback, Tier
from scenarios.units import format_duration
from sim.deployment import serve
from sim.durations import draw
from sim.failure_causes import on_rolled_back

if TYPE_CHECKING:
    from sim.engine import Run
    from sim.watch import Champion


def roll_back(run: Run) -> Generator[simpy.Event, Any, bool]:
    """Put the version that served before the champion back into service; whether that was done.

    An attempt that fails is followed by one in the next slower way. Nothing is done when there is no version before,
    or when the champion is replaced meanwhile.
    """
    plan, champion = run.scenario.deployment.rollback, run.plane.champion
    begun, name = run.now, f"version {champion.version.number}"
    if run.plane.previous is None:
        run.record("rollback failed", name, "there is no version before it")
        return False
    luck = run.world.stream_at("rollback", run.now)
    search = 0.0 if plan.registry else draw(plan.search, luck.random)
    for tier in TIERS[TIERS.index(_first_tier(run, plan)) :]:
        if tier != "immediate":
            yield run.env.timeout(search)  # once found, the artefact is known
            search = 0.0
        yield run.env.timeout(draw(getattr(plan, tier), luck.random))
        lasted = format_duration(run.now - begun)
        if run.plane.champion is not champion:
            run.record("rollback failed", name, f"it was replaced meanwhile, within {lasted}")
            return False
        if luck.random() >= plan.failure:
            _restore(run, f"{name} taken back: {tier} rollback within {lasted}")
            return True
        run.record("rollback failed", name, f"{tier} rollback did not work, after {lasted}")
    return False


def _first_tier(run: Run, plan: Rollback) -> Tier:
    """A version that stands by after a blue-green switch takes over at once."""
    blue_green = isinstance(run.scenario.deployment, BlueGreen)
    return "immediate" if blue_green and run.rollout.stands_by(run.now) else plan.tier


def _restore(run: Run, story: str) -> None:
    """The version before serves again, with what the bad one has left behind."""
    version = run.plane.previous
    assert version is not None  # the champion is the same as when there was one
    burden, lasting = run.scenario.deployment.rollback.aftermath
    serve(run, version)
    run.record("rollback", f"version {version.number}", story)
    if burden > 0.0:
        run.plane.bear(burden, run.now)
        run.env.process(_recover(run, run.plane.champion, lasting))
    on_rolled_back(run)


def _recover(run: Run, champion: Champion, lasting: float) -> Generator[simpy.Event, Any, None]:
    """State is whole, or data are clean, again after a while; a newer model does without them."""
    yield run.env.timeout(lasting)
    if run.plane.champion is champion:
        run.plane.bear(0.0, run.now)
