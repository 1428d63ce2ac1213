"""What stops a release at the end of a wave: failed installations, or devices on it that do worse than the others.

Both look at what the centre has been told by then. A brick tells nothing. Source: chapter, 'Edge AI Deployment'.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import bdtr, bdtrc, ndtri

from scenarios.ota import Halt
from scenarios.signals import Mean, Proportion

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
    other releases together, with what came with them. Devices of one class and slice are compared with each other, as
    some classes take a release before others do: the test of Mantel and Haenszel (JNCI 22, 1959).
    """
    signal = run.scenario.signal(plan.signal or "")
    assert isinstance(signal, Proportion | Mean)  # the schema has checked it
    assert run.scenario.edge is not None
    assert run.scenario.edge.reports is not None
    strata = _strata(plane, found, signal, run.now)
    reports = [math.fsum(arm.reports for arm in arms) for arms in zip(*strata, strict=True)] or [0.0, 0.0]
    if min(reports) < plan.minimum:
        fewest = "it" if reports[0] < plan.minimum else "the others"
        return False, f"{min(reports):,.0f} reports of {signal.name} on {fewest} are too few"
    luck, noise = run.world.stream_at(f"proxy:{signal.name}", run.now), run.scenario.edge.reports.noise
    weights, means, variances = [], [], []
    for arms in strata:
        weights.append(arms[0].requests * arms[1].requests / (arms[0].requests + arms[1].requests))
        seen = [_draw(signal, arm, luck) for arm in arms]
        means.append(
            [
                x + noise / math.sqrt(arm.reports) * luck.standard_normal()
                for x, arm in zip(seen, arms, strict=True)
            ]
        )
        each = _variance(signal, arms, seen)
        variances.append(math.fsum(each / arm.requests + noise**2 / arm.reports for arm in arms))
    weight = np.array(weights)
    mean = np.average(means, axis=0, weights=weight)
    error = math.sqrt(float(weight**2 @ np.array(variances))) / float(weight.sum())
    worse = 1.0 if signal.per_accuracy_lost >= 0.0 else -1.0
    lead = worse * float(mean[0] - mean[1])
    if isinstance(signal, Proportion) and noise == 0.0:
        lead -= 0.5 / float(weight.sum())  # continuity correction
    bad = bool(error > 0.0 and lead / error >= -ndtri(plan.alpha))
    return bad, f"{signal.name} {mean[0]:.4g} on it against {mean[1]:.4g}"


class _Arm(NamedTuple):
    """What devices of one class and slice have told, on the release or on the others."""

    reports: float
    requests: int
    level: float
    """The signal on them, before chance."""


def _strata(
    plane: EdgePlane, found: Release, signal: Proportion | Mean, now: float
) -> list[tuple[_Arm, _Arm]]:
    """Devices on the release, and the others, of each class and slice that has reports of both."""
    told, first, stop = plane.told, int(found.left / plane.window + 1e-9), plane.scanned
    parts = told.by_group(first, stop, plane.devices.reports(first, stop))
    reports, requests, right = (part.sum(axis=0) for part in parts)
    level = np.zeros_like(requests)
    for group, release in zip(*np.nonzero(requests > 0.0), strict=True):
        lost = told.usual - right[group, release] / requests[group, release]
        usual = signal.base + signal.per_accuracy_lost * lost
        level[group, release] = plane.fleet_incidents.moved_on(int(release), signal.name, usual, now)
    mine = np.arange(requests.shape[1]) == found.number
    strata = []
    for group in range(len(requests)):
        total = [float(requests[group, on].sum()) for on in (mine, ~mine)]
        if min(total) >= 1.0:
            arms = (
                _Arm(
                    float(reports[group, on].sum()),
                    round(asked),
                    float(requests[group, on] @ level[group, on]) / asked,
                )
                for on, asked in zip((mine, ~mine), total, strict=True)
            )
            strata.append((next(arms), next(arms)))
    return strata


def _draw(signal: Proportion | Mean, arm: _Arm, luck: np.random.Generator) -> float:
    """The signal as the requests of an arm show it."""
    if isinstance(signal, Proportion):
        return float(luck.binomial(arm.requests, min(max(arm.level, 0.0), 1.0))) / arm.requests
    return arm.level + signal.sd / math.sqrt(arm.requests) * float(luck.standard_normal())


def _variance(signal: Proportion | Mean, arms: tuple[_Arm, _Arm], seen: list[float]) -> float:
    """Variance of one request, were both arms alike."""
    if isinstance(signal, Mean):
        return signal.sd**2
    share = float(np.average(seen, weights=[arm.requests for arm in arms]))
    return share * (1.0 - share)
