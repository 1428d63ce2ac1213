"""Directions that arXiv 2608.19488 publishes about retraining policies, each tried on a scenario of the library.

Only the sentences of the claims are known here, not the experiments behind them, so every claim comes with the
reading that was taken. Signs are compared, never sizes: the scenarios' figures are assumptions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import scenarios
from analysis.comparison import compare
from analysis.statistics import Interval, mean_interval
from scenarios.schema import Scenario
from sim.engine import run
from sim.policies import Scheduled
from sim.world import World

Array = NDArray[np.float64]

REACTIVE = ("triggered", "cost-aware:1d")
"""Policies that react: to a measured drop of accuracy, and to what the measured drop has cost."""
BUDGET = "scheduled:7d"
"""The budget of `published_latency`: one retraining a week."""
HALVING_LOAD = 2.0
"""Training latency over the interval of the budget at which half of it should be left."""

TIMING = {
    "abrupt": (-1, "From scratch, abrupt drift, immediate labels: a plain period beats reactive policies"),
    "gradual": (-1, "From scratch, gradual drift, immediate labels: a plain period beats reactive policies"),
    "recurring": (+1, "From scratch, recurring drift: a plain period loses to reactive policies"),
}
"""Kind of drift -> sign of reactive minus period, and the claim."""


class Latency(NamedTuple):
    """What a training latency leaves of a budget of retrainings; means with 95 % intervals over worlds."""

    load: float
    """Training latency over the interval of the budget: latency times budget over the horizon."""
    deployed: Interval
    """Share of the budget that became models in service."""
    lost: Interval
    """Mean accuracy below that of the same budget without latency."""
    worth: Interval
    """Share of the budget that without latency would reach this accuracy, where accuracy falls linearly with age."""


def directions(replications: int = 40, seed: int = 0) -> list[dict[str, Any]]:
    """Every claim, measured: one dict a claim, in the order of the paper's sentences.

    replications: worlds a claim is tried on, >= 2; seed: of those worlds. Keys: `claim`, `scenario` (library
    name), `reading` (of the claim), `figure` (what is measured, with its unit), `measured`, `ci_low`, `ci_high`
    (95 %, t over worlds), `reproduced` (bool: the whole interval agrees, for every policy that is tried) and
    `note`. Where several policies are tried, the figures are those of the one that agrees least.
    Raises ValueError for fewer than 2 replications.
    """
    if replications < 2:
        raise ValueError(f"replications: got {replications}, expected at least 2")
    timing = [timing_direction(kind, replications, seed) for kind in TIMING]
    return [incremental_direction(replications, seed), *timing, latency_direction(replications, seed)]


def timing_direction(kind: str, replications: int = 40, seed: int = 0) -> dict[str, Any]:
    """Does it pay to react? kind: `abrupt`, `gradual` or `recurring`; the rest as for `directions`."""
    sign, claim = TIMING[kind]
    scenario = scenarios.load(f"published_{kind}")
    found = {p: mean_interval(timing_gain(scenario, p, replications, seed)) for p in REACTIVE}
    # The bound on the side that would contradict the claim.
    worst = min(found, key=lambda policy: found[policy].low if sign > 0 else -found[policy].high)
    return _row(
        claim,
        f"published_{kind}",
        "as many retrainings, evenly spaced or when the policy calls; which serves the more accurate model?",
        f"mean accuracy, {worst} minus a period with as many retrainings",
        found[worst],
        all(gain.low > 0.0 if sign > 0 else gain.high < 0.0 for gain in found.values()),
        "; ".join(f"{policy} {gain.mean:+.5f} ± {gain.half_width:.5f}" for policy, gain in found.items()),
    )


def timing_gain(scenario: Scenario, policy: str, replications: int, seed: int = 0) -> Array:
    """Mean accuracy of a policy above that of a plain period with as many retrainings, (replications,).

    The period is horizon / (n + 1) in a world in which the policy retrains n times: it is given the number, not
    the moments. The price of a retraining does not enter.
    """
    gains = np.empty(replications)
    for number in range(replications):
        world = World(scenario, seed, number)
        bare = world.unwatched()
        reactive = run(scenario, policy, seed, replication=number, world=world).summary
        period = Scheduled(scenario.horizon / (reactive["retrains"] + 1.0))
        plain = run(bare.scenario, period, seed, replication=number, world=bare).summary
        gains[number] = reactive["mean_accuracy"] - plain["mean_accuracy"]
    return gains


def incremental_direction(replications: int = 40, seed: int = 0) -> dict[str, Any]:
    """Does any policy beat never, where the model follows its stream? Arguments as for `directions`."""
    scenario = scenarios.load("published_incremental")
    found = compare(scenario, replications=replications, seed=seed, workers=1)
    # A policy that never retrains is `never` by another name; the oracle is a bound, and plans for models from scratch.
    rivals = [p for p in found.candidates if p != "never" and found.values(p, "retrains").any()]
    extra = {policy: found.difference(policy, "never") for policy in rivals}
    worst = min(extra, key=lambda policy: extra[policy].low)
    more_accurate = [
        policy
        for policy in rivals
        if mean_interval(found.values(policy, "mean_accuracy") - found.values("never", "mean_accuracy")).low
        > 0.0
    ]
    return _row(
        "With incremental learning no policy beats never retraining",
        "published_incremental",
        "the model follows its labelled stream, retrainings cost money; is any policy cheaper than none?",
        f"annual cost in USD, {worst} minus never",
        extra[worst],
        all(cost.low > 0.0 for cost in extra.values()),
        f"tried: {', '.join(rivals)}; more accurate than never at any price: {', '.join(more_accurate) or 'none'}",
    )


def latency_direction(replications: int = 40, seed: int = 0) -> dict[str, Any]:
    """Is half of the budget left when a training takes twice the interval? Arguments as for `directions`."""
    found = latency_effect(HALVING_LOAD, replications, seed)
    tolerance = 2.0 / budget_of(scenarios.load("published_latency"))
    return _row(
        "Training latency times budget halves the effective budget",
        "published_latency",
        "one training at a time, requests evenly spaced, latency times budget twice the horizon; "
        "how many requests become models?",
        "share of the budget that became models in service",
        found.deployed,
        max(abs(found.deployed.low - 0.5), abs(found.deployed.high - 0.5)) <= tolerance,
        f"one retraining at each end of the horizon is tolerated (±{tolerance:.3f}); "
        f"in accuracy {found.worth.mean:.2f} of the budget is left, {found.lost.mean:.4f} is lost",
    )


def latency_effect(load: float, replications: int, seed: int = 0) -> Latency:
    """What is left of the budget of `published_latency` when a training takes `load` >= 0 times its interval."""
    scenario = scenarios.load("published_latency")
    budget = budget_of(scenario)
    latency = load * scenario.horizon / (budget + 1)
    slow = scenario.with_(pipeline__stages__training=f"{latency}d")
    prompt = scenario.with_(pipeline__stages__training="0d")
    rows = []
    for number in range(replications):
        late, at_once = (run(s, BUDGET, seed, replication=number).summary for s in (slow, prompt))
        lost = at_once["mean_accuracy"] - late["mean_accuracy"]
        best = scenario.loss_reference - at_once["mean_accuracy"]
        rows.append((late["deployments"] / budget, lost, best / (best + lost)))
    return Latency(load, *(mean_interval(column) for column in np.array(rows).T))


def budget_of(scenario: Scenario) -> int:
    """Retrainings that `BUDGET` asks for within the horizon."""
    result = run(scenario.with_(pipeline__stages__training="0d"), BUDGET)
    return int(result.summary["retrains"])


def _row(
    claim: str, scenario: str, reading: str, figure: str, found: Interval, reproduced: bool, note: str
) -> dict[str, Any]:
    return {
        "claim": claim,
        "scenario": scenario,
        "reading": reading,
        "figure": figure,
        "measured": float(found.mean),
        "ci_low": float(found.low),
        "ci_high": float(found.high),
        "reproduced": bool(reproduced),
        "note": note,
    }
