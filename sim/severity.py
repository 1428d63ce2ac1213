"""Severity: how bad a page is, as people measure it in a sample of requests.

Source: chapter, 'Incident Severity Classification for ML Systems'.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scenarios.on_call import OnCall

if TYPE_CHECKING:
    from sim.engine import Run


def severity_of(lost: float, plan: OnCall, material: float) -> str:
    """P0 to P3 by the share of the requests, or of accuracy in points, that is lost.

    >>> [severity_of(lost, OnCall(), 0.01) for lost in (0.5, 0.2, 0.1, 0.01, -0.02)]
    ['P0', 'P1', 'P2', 'P3', 'P3']
    """
    if lost >= plan.p0_lost:
        return "P0"
    return "P1" if lost > plan.p1_lost else "P2" if lost > material else "P3"


def measured_severity(run: Run, plan: OnCall) -> str:
    """What people find now: the worse of the requests that are not served and of the accuracy of those that are.

    Both are counted in a sample of requests, with its binomial noise, tied to this moment; accuracy is compared with
    that of the champion when it went live, or would have had then without what bad data had taught it.
    """
    luck = run.world.stream_at("severity", run.now)
    unserved, accuracy = harm_now(run)
    lost = int(luck.binomial(plan.sample, unserved))
    served = plan.sample - lost
    right = int(luck.binomial(served, accuracy))
    champion = run.plane.champion
    usual = champion.fresh_accuracy + run.causes.lost_by(champion.version.number)
    fallen = usual - right / served if served else 0.0
    return severity_of(max(lost / plan.sample, fallen), plan, run.scenario.material_drop)


def harm_now(run: Run) -> tuple[float, float]:
    """True share of the requests that is not served at this moment, and true accuracy of the others.

    The incidents are taken as they are now; what they do not cause is that of the newest window that has ended.
    """
    plane, scenario = run.plane, run.scenario
    before = float(plane.weights @ plane.unharmed[:, max(run.windows_done - 1, 0)])
    if math.isnan(before):
        before = plane.champion.fresh_accuracy
    counted = {signal.name for signal in scenario.signals if signal.kind == "throughput"}
    served, taken = 1.0, 0.0
    for incident in run.incidents.active(run.now):
        failure, level = incident.failure, incident.level_at(run.now)
        for effect in failure.effects:
            if effect.signal in counted and effect.factor is not None:
                served *= 1.0 + (effect.factor - 1.0) * level
        if failure.drop_in_service > 0.0:
            taken += run.incidents.taken_by(failure) * level
    return min(max(1.0 - served, 0.0), 1.0), min(max(before - taken, 0.0), 1.0)
