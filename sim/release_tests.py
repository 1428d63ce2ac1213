"""What stops a release at the end of a wave: failed installations, or devices on it that do worse than the others.

Both look at what the centre has been told by then. A brick tells nothing. Source: chapter, 'Edge AI Deployment'.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import bdtr, bdtrc, ndtri

from scenarios.ota import Halt
from scenarios.signals import Mean, Proportion
from sim.experiment import Arms, is_worse

if TYPE_CHECKING:
    from sim.edge_plane import EdgePlane
    from sim.engine import Run
    from sim.releases import Release


def failures_found(failed: int, reports: int, plan: Halt) -> tuple[bool, str]:
    """Whether more installations failed than are accepted: exact binomial test, one-sided at `plan.alpha`.

    failed, reports: boot reports of one release so far, 0 <= failed <= reports.

    >>> failures_found(4, 100, Halt(accepted=0.01)), failures_found(3, 100, Halt(accepted=0.01))[0]
    ((True, '4 of 100 installations failed'), False)
    """
    said = f"{failed:,} of {reports:,} installations failed"
    return reports >= plan.minimum and failed >= least_failures(reports, plan), said


def least_failures(reports: int, plan: Halt) -> int:
    """Failed installations of `reports` from which on a release is stopped; reports + 1 where none is enough.

    >>> least_failures(100, Halt(accepted=0.01)), least_failures(1, Halt(accepted=0.1))
    (4, 2)
    """
    low, high = 0, reports + 1
    while low < high:
        middle = (low + high) // 2
        chance = 1.0 if middle == 0 else float(bdtrc(middle - 1, reports, plan.accepted))
        low, high = (low, middle) if chance <= plan.alpha else (middle + 1, high)
    return low


def halt_power(reports: int, failure: float, plan: Halt) -> float:
    """Chance that a wave stops a release whose installations fail with chance `failure`, given so many reports.

    reports: >= 0; failure: in [0, 1]. With failure = plan.accepted it is the chance of a false halt.

    >>> plan = Halt(accepted=0.01)
    >>> round(halt_power(200, 0.05, plan), 3), round(halt_power(200, 0.01, plan), 3)
    (0.938, 0.016)
    """
    if reports < plan.minimum:
        return 0.0
    least = least_failures(reports, plan)
    return 1.0 if least == 0 else float(1.0 - bdtr(least - 1, reports, failure)) if least <= reports else 0.0


def proxies_found(run: Run, plane: EdgePlane, found: Release, plan: Halt) -> tuple[bool, str]:
    """Whether a signal is significantly worse on devices that run the release than on the others, one-sided.

    Reports since it left are compared; each tells of the time since its device took what it runs. The others are all
    other releases together, with what came with them, whichever classes of devices were the first to take this one.
    """
    signal = run.scenario.signal(plan.signal or "")
    assert isinstance(signal, Proportion | Mean)  # the schema has checked it
    assert run.scenario.edge is not None
    assert run.scenario.edge.reports is not None
    told, first, stop = plane.told, int(found.left / plane.window + 1e-9), plane.scanned
    reports, requests, right = (
        part[first:stop].sum(axis=0) for part in (told.reports, told.requests, told.right)
    )
    arms = [[found.number], [r for r in range(len(reports)) if r != found.number]]
    mine, others = ((float(reports[arm].sum()), float(requests[arm].sum())) for arm in arms)
    if min(mine[0], others[0]) < plan.minimum or min(mine[1], others[1]) < 1.0:
        fewest = "it" if mine[0] < plan.minimum else "the others"
        number = mine[0] if mine[0] < plan.minimum else others[0]
        return False, f"{number:,.0f} reports of {signal.name} on {fewest} are too few"
    shown = np.zeros(len(reports))
    for release in np.flatnonzero(requests > 0.0):
        lost = told.usual - right[release] / requests[release]
        level = signal.base + signal.per_accuracy_lost * lost
        shown[release] = plane.fleet_incidents.moved_on(int(release), signal.name, level, run.now)
    levels = [float(np.average(shown[arm], weights=requests[arm])) for arm in arms]
    luck = run.world.stream_at(f"proxy:{signal.name}", run.now)
    worse = 1.0 if signal.per_accuracy_lost >= 0.0 else -1.0
    noise = run.scenario.edge.reports.noise
    means, errors, numbers = [], [], []
    for level, (told_by, covered) in zip(levels, (mine, others), strict=True):
        number = round(covered)
        if isinstance(signal, Proportion):
            chance = min(max(level, 0.0), 1.0)
            seen = luck.binomial(number, chance) / number
            sd = math.sqrt(max(seen * (1.0 - seen), 0.25 / number))
        else:
            sd = signal.sd
            seen = level + sd / math.sqrt(number) * luck.standard_normal()
        added = noise / math.sqrt(told_by)
        means.append(seen + added * luck.standard_normal())
        errors.append(math.hypot(sd / math.sqrt(number), added))
        numbers.append(number)
    told_text = f"{signal.name} {means[0]:.4g} on it against {means[1]:.4g}"
    if isinstance(signal, Proportion) and noise == 0.0:
        hits = [round(mean * number) for mean, number in zip(means, numbers, strict=True)]
        good = hits if worse < 0.0 else [n - k for n, k in zip(numbers, hits, strict=True)]
        return is_worse(Arms(numbers[1], good[1], numbers[0], good[0]), plan.alpha), told_text
    error = math.hypot(*errors)
    lead = worse * (means[0] - means[1])
    return bool(error > 0.0 and lead / error >= -ndtri(plan.alpha)), told_text
