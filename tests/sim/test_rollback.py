"""Rollback: how long each tier takes, how often it works, what comes back, and what is lost on the way.

Statistical checks use fixed seeds and limits of 5 standard errors (error rate 6e-7 each).
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest

import sim
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from sim.engine import Run, resolve_policy
from sim.rollback import roll_back
from sim.world import World

INSTANT = dict.fromkeys(("data_validation", "training", "evaluation", "registration", "deployment"), "0h")
MINUTE = 1 / 1440


def scenario(rollback: dict[str, Any] | None = None, strategy: Any = "direct", **parts: Any) -> Scenario:
    """Every retrained model is 10 points worse than the first one; each rollback works unless told otherwise."""
    deployment = {"strategy": strategy} if isinstance(strategy, str) else strategy
    plain: dict[str, Any] = {
        "title": "rollback",
        "horizon": "10d",
        "window": "1h",
        "value_per_query_per_unit_accuracy": "$1",
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0%/d"},
        "traffic": {"rate": "24k/d", "arrivals": "deterministic"},
        "deployment": deployment | {"rollback": {"untested_failure": 0} | (rollback or {})},
        "pipeline": {"stages": INSTANT, "bad_training": {"probability": 1.0, "loss": 0.1}},
    }
    return validate_mapping(plain | parts)


def play(
    system: Scenario, *asked: float, policy: str = "scheduled:2d", seed: int = 0
) -> tuple[sim.Result, list[Any]]:
    """Ask for rollbacks at some moments; the result, and for each (whether it was done, when it was over)."""
    run = Run(World(system, seed), resolve_policy(policy))
    answers: list[Any] = []

    def ask(time: float) -> Any:
        yield run.env.timeout(time)
        done = yield from roll_back(run)
        answers.append((done, run.now))

    for time in asked:
        run.env.process(ask(time))
    return run.play(), answers


def told(result: sim.Result, *kinds: str) -> list[tuple[str, str, str]]:
    return [(e.kind, e.subject, e.details) for e in result.raw_events if e.kind in kinds]


def test_the_version_before_serves_again():
    result, [(done, over)] = play(scenario(), 2.5)
    assert done
    assert [champion.version.number for champion in result.champions][:3] == [0, 1, 0]
    assert 2.5 + 3 * MINUTE <= over <= 2.5 + 15 * MINUTE
    assert result.champions[2].since == over
    accuracy = result.timeline.accuracy.to_numpy()
    assert accuracy[50:60] == pytest.approx(0.8)
    window = int(over * 24)
    part = over * 24 - window
    assert accuracy[window] == pytest.approx(0.8 * part + 0.9 * (1 - part))
    assert accuracy[window + 1 : 95] == pytest.approx(0.9)
    kind, subject, details = told(result, "rollback")[0]
    assert (kind, subject) == ("rollback", "version 0")
    assert details.startswith("version 1 taken back: rapid rollback within ")
    assert result.timeline.version.to_numpy()[window + 1] == 0
    assert result.summary.deployments == 4, "a rollback is no deployment"


def test_a_version_that_was_taken_back_is_not_the_version_before():
    result, answers = play(scenario(), 4.5, 5.0, 5.5)
    assert [champion.version.number for champion in result.champions][:5] == [0, 1, 2, 1, 0]
    assert [done for done, _ in answers] == [True, True, False]
    assert told(result, "rollback failed") == [
        ("rollback failed", "version 0", "there is no version before it")
    ]


def test_the_first_version_has_none_before_it():
    result, [(done, over)] = play(scenario(), 1.0)
    assert (done, over) == (False, 1.0)
    assert len(told(result, "rollback failed")) == 1


def test_a_newer_deployment_meanwhile_makes_a_rollback_pointless():
    result, [(done, _)] = play(scenario({"tier": "delayed"}), 4.0 - 10 * MINUTE)
    assert not done
    assert "it was replaced meanwhile" in told(result, "rollback failed")[0][2]
    assert result.champions[-1].version.number == 4


@pytest.mark.parametrize(
    ("rollback", "low", "high"),
    [
        ({"tier": "immediate"}, 10 / 60, 1),
        ({"tier": "rapid"}, 3, 15),
        ({"tier": "delayed"}, 60, 240),
        ({"tier": "rapid", "registry": False}, 33, 105),
        ({"tier": "delayed", "registry": False}, 90, 330),
        ({"tier": "immediate", "registry": False}, 10 / 60, 1),
        ({"tier": "rapid", "rapid": "20min"}, 20, 20),
    ],
)
def test_a_tier_takes_its_time_and_without_a_registry_the_artefact_is_searched(
    rollback, low: float, high: float
):
    system, times = scenario(rollback, horizon="4d"), []
    for seed in range(150):
        _, [(done, over)] = play(system, 2.5, seed=seed)
        assert done
        times.append((over - 2.5) / MINUTE)
    assert low - 1e-6 <= min(times) <= max(times) <= high + 1e-6
    assert np.mean(times) == pytest.approx(
        (low + high) / 2, abs=5 * (high - low) / math.sqrt(12 * 150) + 1e-6
    )
    if high > low:
        assert max(times) - min(times) > 0.7 * (high - low)


def test_an_artefact_that_was_found_is_not_searched_again():
    plan = {
        "tier": "rapid",
        "registry": False,
        "untested_failure": 1,
        "search": "60min",
        "rapid": "10min",
        "delayed": "2h",
    }
    _, [(done, over)] = play(scenario(plan), 2.5)
    assert not done
    assert (over - 2.5) / MINUTE == pytest.approx(60 + 10 + 120)


@pytest.mark.parametrize(
    ("drills", "chance"), [("0/y", 0.5), ("4/y", 0.5 / math.e), ("12/y", 0.5 * math.exp(-3))]
)
def test_drills_make_failures_rare_and_a_failure_is_followed_by_the_next_slower_tier(
    drills: str, chance: float
):
    system = scenario({"tier": "immediate", "untested_failure": 0.5, "drills": drills}, horizon="4d")
    attempts, count = Counter[str](), 500
    for seed in range(count):
        result, [(done, over)] = play(system, 2.5, seed=seed)
        failed = len(told(result, "rollback failed"))
        attempts[("immediate", "rapid", "delayed", "none")[failed]] += 1
        assert done == (failed < 3)
        assert (over - 2.5) / MINUTE <= (1, 16, 256, 256)[failed]
    expected = {
        "immediate": 1 - chance,
        "rapid": chance * (1 - chance),
        "delayed": chance**2 * (1 - chance),
        "none": chance**3,
    }
    for tier, share in expected.items():
        assert attempts[tier] / count == pytest.approx(
            share, abs=5 * math.sqrt(share * (1 - share) / count) + 1e-9
        )


def test_luck_is_tied_to_the_moment():
    one, other = (
        play(scenario({"untested_failure": 0.5}, **parts), 2.5)[1] for parts in ({}, {"material_drop": 0.2})
    )
    assert one == other


# ---------------------------------------------------------------- what it costs, and what it leaves behind


def test_a_hot_standby_costs_all_the_time_and_other_tiers_nothing():
    price = {"standby_cost": "$3/h"}
    assert play(scenario({"tier": "immediate"} | price))[0].costs["deployment"] == pytest.approx(3 * 24 * 10)
    assert play(scenario({"tier": "rapid"} | price))[0].costs["deployment"] == 0.0


def test_after_a_blue_green_switch_a_rollback_is_immediate_while_the_old_version_stands_by():
    plan = {"strategy": "blue_green", "standby": "6h", "serving_cost": "$24/d"}
    system = scenario({"tier": "delayed"}, plan, horizon="3d")
    result, [(_, soon)] = play(system, 2.1)
    assert soon - 2.1 <= MINUTE
    assert result.costs["deployment"] == pytest.approx(24 * (soon - 2.0)), "then nothing stands by any more"
    result, [(_, late)] = play(system, 2.3)
    assert late - 2.3 >= 60 * MINUTE
    assert result.costs["deployment"] == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("rollback", "burden", "lasting"),
    [
        ({"state": "stateless"}, 0.0, 0.0),
        ({"state": "stateful", "state_loss": 0.04, "state_recovery": "12h"}, 0.04, 0.5),
        ({"state": "feedback_loop", "taint": 0.06, "clean_after": "30h"}, 0.06, 1.25),
    ],
)
def test_state_and_tainted_data_hold_the_old_version_down_for_a_while(
    rollback, burden: float, lasting: float
):
    monitors = [
        {"metric": "accuracy", "window": "1h", "cadence": "1h", "threshold": 0.02, "sampling": "none"}
    ]
    system = scenario({"rapid": "1h"} | rollback, monitors=monitors, horizon="4d")
    result, _ = play(system, 2.0 + 2 / 24, policy="scheduled:2d")
    accuracy = result.timeline.accuracy.to_numpy()
    back = 2 * 24 + 3
    held = back + round(lasting * 24)
    assert accuracy[back - 1] == pytest.approx(0.8)
    assert accuracy[back:held] == pytest.approx(0.9 - burden)
    assert accuracy[held:95] == pytest.approx(0.9)
    heard = [alarm for alarm in result.alarms if alarm.time > back / 24]
    assert [alarm.true for alarm in heard[:1]] == ([True] if burden else [])


def test_a_newer_model_does_without_the_lost_state():
    plan = {"state": "stateful", "state_loss": 0.04, "state_recovery": "3d", "rapid": "0h"}
    result, _ = play(scenario(plan), 2.5)
    accuracy = result.timeline.accuracy.to_numpy()
    assert accuracy[60:95] == pytest.approx(0.86)
    assert accuracy[96:] == pytest.approx(0.8), "the next bad model, as bad as it is"


def test_a_rollback_ends_what_came_with_the_version_and_a_canary_that_compares_with_it():
    plan = {"strategy": "canary", "steps": ["10%"], "hold": "1d"}
    result, _ = play(scenario({"rapid": "1h"}, plan, horizon="8d", labels={"coverage": 0}), 4.5)
    assert told(result, "deployment stopped") == [
        ("deployment stopped", "version 2", "the champion was replaced meanwhile")
    ]
    accuracy = result.timeline.accuracy.to_numpy()
    assert accuracy[4 * 24 + 13 : 6 * 24] == pytest.approx(0.9), "the candidate is not exposed any more"


def test_signals_of_the_first_version_stay_what_is_usual_after_a_rollback_to_it():
    signals = [
        {"name": "clicks", "kind": "proportion", "base": 0.5, "per_accuracy_lost": -1.0, "layer": "business"}
    ]
    monitors = [
        {"metric": "signal", "signal": "clicks", "measure": "change", "direction": "down", "threshold": 0.5,
         "cadence": "1h", "sampling": "none"}
    ]  # fmt: skip
    quality = {"kind": "exponential", "initial_accuracy": 0.9, "decay": "2%/d"}
    result, _ = play(scenario(signals=signals, monitors=monitors, quality=quality, horizon="4d"), 2.5)
    accuracy = result.timeline.accuracy.to_numpy()
    assert result.scores["clicks"][80] == pytest.approx((0.9 - accuracy[80]) / 0.5, abs=2e-3)


def test_a_rollback_ends_the_failure_that_came_with_a_deployment():
    skew = {"name": "skew", "trigger": {"on": "deployment"}, "accuracy_drop": 0.2}
    plain = {"stages": INSTANT}
    result, [(done, over)] = play(
        scenario({"rapid": "1h"}, failures=[skew], pipeline=plain, horizon="4d"), 2.5
    )
    assert done
    (incident,) = result.raw_incidents
    assert (incident.onset.time, incident.end) == (2.0, over)
    accuracy = result.timeline.accuracy.to_numpy()
    assert accuracy[48:61] == pytest.approx(0.7)
    assert accuracy[61:] == pytest.approx(0.9)


@pytest.mark.parametrize("on", ["retraining", "deployment"])
def test_a_canary_meets_the_failure_that_a_candidate_would_bring(on: str):
    skew = {"name": "skew", "trigger": {"on": on}, "accuracy_drop": 0.2}
    system = scenario(strategy="canary", failures=[skew], pipeline={"stages": INSTANT}, horizon="4d")
    result, _ = play(system)
    assert len(told(result, "deployment stopped")) == 1
    assert result.raw_incidents == []
    assert result.timeline.accuracy.to_numpy()[48] == pytest.approx(0.9 - 0.01 * 0.2)
