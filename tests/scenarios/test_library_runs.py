"""Every scenario of the library is played for a short horizon: it runs, and its books balance."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

import scenarios
import sim
from scenarios.schema import Scenario
from sim.fleet_days import run_fleet

NAMES = scenarios.library_names()
WINDOWS = 30
OTHER = {
    "electricity": 4,
    "llm_conversation": 2,
    "llm_70b_kv_cache": 2,
    "flash_sale": 6,
    "shared_training_pool": 14,
    "a100_cost": 6,
    "zillow_cascade": 80,
    "youtube_feedback": 120,
}
"""Windows of those whose windows are long or full, and of those with an onset that must be before the horizon."""
loaded = cache(scenarios.load)
SERVING = tuple(name for name in NAMES if loaded(name).serving is not None)


@cache
def short(name: str) -> Scenario:
    """The scenario over its first windows; a window is what everything in it must be a multiple of."""
    scenario = loaded(name)
    windows = min(OTHER.get(name, WINDOWS), scenario.windows)
    return scenario.with_(horizon=f"{windows * scenario.window!r}d")


def fast_but(*slow, names):
    """Names as parameters, the slow ones marked."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]


@pytest.mark.parametrize("name", fast_but("mobile_keyboard", names=NAMES))
def test_it_runs_and_its_books_balance(name):
    scenario = short(name)
    policy = next(policy for policy in [*scenario.policies, "never"] if not getattr(policy, "tuned", False))
    result = sim.run(scenario, policy)
    assert len(result.timeline) == scenario.windows
    assert result.timeline["accuracy"].between(0.0, 1.0).all()
    assert (result.timeline["requests"] >= 0.0).all()
    assert result.ledger.total() == math.fsum(result.costs)
    assert np.isfinite(result.costs.to_numpy()).all()
    assert result.events["time_days"].between(0.0, scenario.horizon).all()
    assert (result.incidents["end_days"] <= scenario.horizon).all()


@pytest.mark.parametrize("name", fast_but("llm_70b_kv_cache", names=SERVING))
def test_its_fleet_answers_what_comes(name):
    scenario = short(name)
    found = run_fleet(scenario).summary
    assert found["requests"] > 0.0
    assert found["served"] + found["shed"] + found["timed_out"] + found["in_flight"] == found["requests"]
    assert found["served"] > 0.0
    assert 0.0 < found["p50_s"] <= found["p99_s"]
