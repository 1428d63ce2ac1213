"""Experiments on users: A/B tests with planned size, looks and guardrails, and interleaving."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy
from scipy.special import ndtri

from scenarios.deployment import LABELS, ABTest, Guardrail, Interleaving
from scenarios.signals import Mean, Proportion
from scenarios.units import format_duration
from sim.experiment import (
    Arms,
    Primary,
    decide,
    preference,
    preferences_needed,
    sample_size,
    score_statistic,
)
from sim.kernels import sampling
from sim.quality import Version
from sim.randomness import moment_number
from sim.sequential import limits_of
from sim.trial import Trial

if TYPE_CHECKING:
    from sim.engine import Run

Experiment = Generator[simpy.Event, Any, bool]
_SLACK = 1e-9


@dataclass(frozen=True)
class Schedule:
    """When an experiment is looked at."""

    planned: int
    """Requests per variant that the planned power asks for."""
    looks: tuple[float, ...]
    """Days."""


def ab_test(run: Run, candidate: Version, plan: ABTest) -> Experiment:
    """Split the requests, look as planned, and do what the decision matrix says; whether to ship."""
    trial = Trial(run, candidate)
    trial.expose(plan.share)
    yield run.env.timeout(plan.burn_in)
    start = run.now
    trial.start_again()
    schedule = schedule_of(trial, plan, start)
    limits = limits_of(plan.correction, len(schedule.looks), plan.alpha)
    arms, seen = Arms(0, 0, 0, 0), start
    found: Primary = "no change"
    for look, limit in zip(schedule.looks, limits, strict=True):
        yield run.env.timeout(max(look - run.now, 0.0))
        if trial.overtaken:
            run.record("deployment stopped", trial.name, "the champion was replaced meanwhile")
            return False
        arms = arms.plus(trial.evidence(plan.primary, seen, run.now, plan.novelty, plan.attribution))
        seen = run.now
        found = change(arms, limit)
        if found != "no change":
            break
    failed = [rail.signal for rail in plan.guardrails if not passes(trial, rail, start, plan.alpha)]
    verdict = decide(found, [rail.signal not in failed for rail in plan.guardrails])
    lasted = format_duration(run.now - trial.began)
    story = f"A/B test of {lasted}: {arms} (planned {schedule.planned:,} each): {found}"
    guards = f"; guardrails failed: {', '.join(failed)}" if failed else ""
    run.record("experiment ended", trial.name, f"{story}{guards}: {verdict}")
    trial.withdraw()
    return verdict == "ship"


def change(arms: Arms, limit: float) -> Primary:
    """What a comparison of two shares shows beyond `limit` standard errors; nothing without evidence.

    >>> change(Arms(1000, 900, 1000, 940), 1.96), change(Arms(1000, 900, 1000, 910), 1.96)
    ('improvement', 'no change')
    """
    if not arms.both:
        return "no change"
    lead = float(score_statistic(arms.k0, arms.n0, arms.k1, arms.n1))
    return "improvement" if lead >= limit else "degradation" if lead <= -limit else "no change"


def schedule_of(trial: Trial, plan: ABTest, start: float) -> Schedule:
    """Looks at equal parts of the size that is planned, or that `minimum` brings if that is more.

    The last one is at `maximum` where the size is not reached by then, and earlier ones that would be later are left
    out.
    """
    share = _usual_share(trial, plan.primary)
    planned = sample_size(share * (1.0 - share), plan.effect, plan.alpha, plan.power)
    least, latest = start + plan.minimum, trial.began + plan.maximum
    window = trial.run.scenario.window
    windows, total = trial.arriving(
        plan.primary, start, min(latest, trial.run.scenario.horizon), plan.attribution
    )
    smaller = min(plan.share, 1.0 - plan.share) * total
    by_minimum = smaller[: max(int(np.searchsorted((windows + 1) * window, least + _SLACK, "right")), 0)]
    size = max(planned, by_minimum[-1] if len(by_minimum) else 0.0)
    looks = []
    for number in range(1, plan.looks + 1):
        reached = int(np.searchsorted(smaller, size * number / plan.looks - _SLACK))
        moment = (windows[reached] + 1) * window if reached < len(windows) else latest
        looks.append(min(max(float(moment), least if number == plan.looks else start), latest))
    return Schedule(planned, (*(look for look in looks[:-1] if look < looks[-1]), looks[-1]))


def _usual_share(trial: Trial, primary: str) -> float:
    """Share of requests that go well with the champion, as its owners know it when they plan."""
    if primary != LABELS:
        signal = trial.run.scenario.signal(primary)
        assert isinstance(signal, Proportion)  # the schema has checked it
        return signal.base
    measured = trial.rival.version.validation
    return trial.rival.fresh_accuracy if math.isnan(measured) else measured


def passes(trial: Trial, rail: Guardrail, since: float, alpha: float) -> bool:
    """Whether a guardrail holds: the harm is not significantly more than allowed, one-sided at `alpha`."""
    run = trial.run
    signal = run.scenario.signal(rail.signal)
    assert isinstance(signal, (Mean, Proportion))  # the schema has checked it
    luck = run.world.stream_at(f"guardrail: {rail.signal}", trial.began).random()
    worsens = rail.worsens if luck < rail.affects else 0.0
    factor = 1.0 + worsens if rail.bad == "up" else max(1.0 - worsens, 0.0)
    if isinstance(signal, Mean):
        usual, now, error = trial.means(signal, since, run.now, factor)
    else:
        n0, k0, n1, k1 = trial.hits(signal, since, run.now, factor)
        if min(n0, n1) == 0:
            return True
        usual, now = k0 / n0, k1 / n1
        error = math.sqrt(usual * (1.0 - usual) / n0 + now * (1.0 - now) / n1)
    if math.isnan(error):
        return True
    harm = now - usual if rail.bad == "up" else usual - now
    return bool(harm - rail.harm * usual <= -ndtri(alpha) * error)


def interleaving(run: Run, candidate: Version, plan: Interleaving) -> Experiment:
    """Show both answers until enough users have preferred one; whether to ship."""
    trial = Trial(run, candidate)
    trial.expose(plan.share, served=0.5 * plan.share)
    planned = preferences_needed(plan.gain * plan.effect, plan.alpha, plan.power)
    yield run.env.timeout(_time_to_show(trial, plan, planned))
    if trial.overtaken:
        run.record("deployment stopped", trial.name, "the champion was replaced meanwhile")
        return False
    number, won = preferred(trial, plan.gain)
    found = preference(won, number, plan.alpha)
    verdict = decide(found, [])
    share = f"{won / number:.1%} of {number:,}" if number else "nobody"
    run.record(
        "experiment ended",
        trial.name,
        f"interleaving of {format_duration(run.now - trial.began)}: {share} preferred it "
        f"(planned {planned:,}): {found}: {verdict}",
    )
    trial.withdraw()
    return verdict == "ship"


def _time_to_show(trial: Trial, plan: Interleaving, planned: int) -> float:
    """Days until the planned number of requests has shown both answers, at most `maximum`."""
    scenario, latest = trial.run.scenario, trial.began + plan.maximum
    windows, total = trial.arriving("requests", trial.began, min(latest, scenario.horizon))
    reached = int(np.searchsorted(plan.share * total, planned - _SLACK))
    end = (windows[reached] + 1) * scenario.window if reached < len(windows) else latest
    return max(min(float(end), latest) - trial.began, 0.0)


def preferred(trial: Trial, gain: float) -> tuple[int, int]:
    """Requests that have shown both answers so far, and those in which the candidate's was preferred."""
    number, lead = trial.shown_both()
    shown = np.rint(number).astype(np.int64)
    chance = np.clip(0.5 + gain * lead, 0.0, 1.0)
    key, won = trial.run.world.key("interleaving"), np.empty(len(shown))
    sampling.binomial_at(
        np.uint64(int(key) ^ moment_number(trial.began)), np.arange(len(shown)), shown, chance, won
    )
    return int(shown.sum()), int(won.sum())
