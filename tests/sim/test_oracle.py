"""The oracle: no plan is cheaper in a world without luck, and no policy beats it by more than luck with it."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import stdtrit

import scenarios
import sim
from analysis.feasibility import warnings_for
from scenarios.loader import validate_mapping, validate_text
from scenarios.schema import Scenario
from sim import Decision, Policy, World
from sim.engine import resolve_policy
from sim.retraining import expected_duration

ROOT = Path(__file__).resolve().parents[2]
INSTANT = dict.fromkeys(("data_validation", "training", "evaluation", "registration", "deployment"), "0d")
DEGRADATION = {
    "kind": "degradation",
    "initial_accuracy": 0.9,
    "feature_sensitivity": 0.05,
    "concept_sensitivity": 0.2,
}
WANDERING = [
    {"kind": "random_walk", "volatility": "0.5/sqrt(d)"},
    {"kind": "jumps", "rate": "0.3/d", "sd": 0.5, "on": "concept"},
]


def scenario(pipeline: dict[str, Any] | None = None, **parts: Any) -> Scenario:
    plain: dict[str, Any] = {
        "title": "oracle",
        "horizon": "8d",
        "window": "1d",
        "value_per_query_per_unit_accuracy": "$1",
        "features": 2,
        "quality": DEGRADATION,
        "drift": WANDERING,
        "traffic": {"rate": "100/d", "weekly_profile": [1, 2, 1, 3, 1, 0.5, 0.5]},
        "pipeline": {"stages": INSTANT, "cost": {"compute": "$7"}} | (pipeline or {}),
    }
    return validate_mapping(plain | parts)


class On(Policy):
    """Retrain on given dates."""

    name = "on dates"

    def __init__(self, dates: tuple[float, ...]) -> None:
        self.dates = dates

    def decide(self, view: sim.View) -> Decision:
        due = any(abs(view.now - date) < 1e-9 for date in self.dates) and view.now not in view.retrainings
        return Decision(due, min((d for d in self.dates if d > view.now + 1e-9), default=math.inf))


def cheapest(world: World) -> tuple[float, tuple[float, ...]]:
    """Cost and dates of the best of all plans in which no training waits for another, by trying every one."""
    system = world.scenario
    starts = [number * system.window for number in range(1, system.windows)]
    plans = (plan for size in range(len(starts) + 1) for plan in itertools.combinations(starts, size))
    lasting = expected_duration(system) - 1e-9
    apart = (p for p in plans if all(later - earlier >= lasting for earlier, later in itertools.pairwise(p)))
    place = {"seed": world.seed, "replication": world.replication, "world": world}
    return min((sim.run(system, On(plan), **place).ledger.total(), plan) for plan in apart)


EXPONENTIAL = {"kind": "exponential", "initial_accuracy": 0.9, "decay": "8%/d"}
SETTINGS: dict[str, dict[str, Any]] = {
    "drift": {},
    "exponential": {"quality": EXPONENTIAL},
    "late labels": {"labels": {"delay": "2d"}},
    "late labels, exponential": {"quality": EXPONENTIAL, "labels": {"delay": "36h"}},
    "slow pipeline": {"pipeline": {"stages": INSTANT | {"training": "2d"}}},
    "pipeline of a part of a window": {"pipeline": {"stages": INSTANT | {"training": "30h"}}},
    "pipeline of a part of a window, exponential": {
        "pipeline": {"stages": INSTANT | {"training": "6h"}},
        "quality": EXPONENTIAL,
    },
    "slices": {
        "slices": [{"name": "a", "weight": 0.4, "initial_accuracy": 0.7}],
        "drift": [*WANDERING, {"kind": "ramp", "rate": "0.2/d", "on": "concept", "slice": "a"}],
    },
    "floor": {"quality": DEGRADATION | {"floor": 0.7}},
    "no labels": {"labels": "none"},
    "training window": {"pipeline": {"training_window": "3d"}},
    "reference below the accuracy": {"reference_accuracy": 0.3},
    "a slice above the reference": {"slices": [{"name": "a", "weight": 0.5, "initial_accuracy": 1.0}]},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_no_plan_is_cheaper(name):
    system = scenario(**SETTINGS[name])
    found = 0
    for replication in range(2):
        world = World(system, 0, replication)
        cost, plan = cheapest(world)
        oracle = sim.run(system, "oracle", replication=replication, world=world)
        assert oracle.summary["total_cost"] == pytest.approx(cost, rel=1e-9, abs=1e-9), (replication, plan)
        found += len(plan)
    assert found > 0, "a setting in which retraining never pays shows nothing"


@pytest.mark.parametrize("name", ["drift", "exponential", "late labels"])
def test_the_oracle_bounds_every_schedule_where_there_is_no_luck(name):
    system = scenario(horizon="60d", **SETTINGS[name])
    for replication in range(3):
        world = World(system, 1, replication)
        oracle = sim.run(system, "oracle", 1, replication=replication, world=world).summary["total_cost"]
        for policy in ("never", *(f"scheduled:{days}d" for days in (1, 2, 3, 5, 8, 13, 21)), "random:9"):
            other = sim.run(system, policy, 1, replication=replication, world=world).summary["total_cost"]
            assert oracle <= other + 1e-9 * abs(other), (policy, replication)


NOISY = {
    "stages": {"training": {"duration": {"kind": "exponential", "mean": "6h"}, "failure": 0.1}},
    "gate": {"holdout": 1000, "margin": -0.01},
    "training_noise": 0.005,
}
CANDIDATES = ["never", "scheduled:1d", "scheduled:4d", "scheduled:10d", "triggered", "cost-aware", "random:6"]
# without continuous learning: its increments have a price of their own, and the plan is of full trainings


@pytest.mark.parametrize("name", ["drift", "exponential", "late labels", "slices"])
def test_no_policy_beats_the_oracle_by_more_than_luck(name):
    # mean difference over 10 replications with its 99.9 % interval, Student's t: a tie is called a win with
    # probability 0.0005 a policy
    given = dict(SETTINGS[name])
    pipeline = NOISY | {"cost": {"compute": "$40"}} | given.pop("pipeline", {})
    system = scenario(
        pipeline,
        **given,
        horizon="40d",
        window="12h",
        triggers=[{"metric": "accuracy", "window": "2d", "min_samples": 20}],
    )
    costs: dict[str, list[float]] = {policy: [] for policy in (*CANDIDATES, "oracle")}
    for replication in range(10):
        world = World(system, 5, replication)
        for policy, found in costs.items():
            result = sim.run(system, policy, 5, replication=replication, world=world)
            found.append(result.summary["total_cost"])
    oracle = np.array(costs.pop("oracle"))
    for policy, found in costs.items():
        saved = oracle - np.array(found)  # positive: the oracle was beaten
        half_width = stdtrit(9, 0.9995) * saved.std(ddof=1) / math.sqrt(10)
        assert saved.mean() <= half_width, policy


@pytest.mark.parametrize("quality", [EXPONENTIAL, DEGRADATION], ids=["exponential", "concept ramp"])
def test_more_labels_never_make_the_oracle_worse(quality):
    ramp = [{"kind": "ramp", "rate": "0.3/d", "on": "concept"}]

    def cost(**labels: Any) -> float:
        system = scenario(horizon="40d", quality=quality, drift=ramp, labels=labels or "none")
        return float(sim.run(system, "oracle").summary["total_cost"])

    delays = [cost(delay=f"{hours}h") for hours in (0, 12, 24, 60, 120, 600)]
    assert delays == sorted(delays)
    assert delays[0] < delays[-1]
    coverages = [cost(coverage=share, delay="1d") for share in (1.0, 0.5, 0.01, 0.0)]
    assert coverages == sorted(coverages)
    assert cost(delay="0h") <= cost()


def test_a_free_retraining_is_done_whenever_it_helps():
    free = scenario({"cost": {}}, quality=EXPONENTIAL)
    assert sim.run(free, "oracle").summary["retrains"] == 7
    dear = scenario({"cost": {"compute": "$1M"}})
    assert sim.run(dear, "oracle").summary["retrains"] == 0


# ---------------------------------------------------------------- the recorded stream

ELECTRICITY = f"""
title: electricity, replayed
horizon: 22184h
window: 472h
value_per_query_per_unit_accuracy: $1
quality: {{kind: recorded, period: 472h, matrix: data/electricity_accuracy_matrix.csv}}
traffic: {{rate: {24 / 472!r}/d, arrivals: deterministic}}
pipeline:
  stages: {{data_validation: 0h, training: 0h, evaluation: 0h, registration: 0h, deployment: 0h}}
"""


@pytest.mark.parametrize(
    ("price", "retrains", "cost"),
    [
        (0.01, 20, 10.3907),
        (0.02, 19, 10.5866),
        (0.05, 11, 11.0405),
        (0.1, 7, 11.5220),
        (0.2, 5, 12.0625),
        (0.5, 2, 12.7797),
    ],
)
@pytest.mark.parametrize("window", [472, 118])
def test_the_offline_optimum_of_the_recorded_stream(price, retrains, cost, window):
    overrides = {"pipeline.cost.compute": f"${price}", "window": f"{window}h"}
    system = validate_text(ELECTRICITY, base_dir=ROOT / "scenarios", overrides=overrides)
    result = sim.run(system, "oracle")
    assert result.summary["retrains"] == retrains
    assert result.summary["total_cost"] == pytest.approx(cost, abs=5e-5)


def test_the_recorded_optimum_with_late_labels_and_a_slow_pipeline():
    rows = [[0.9 - 0.1 * abs(period - row - 1) + 0.03 * ((row * 7 + period * 3) % 5) / 5 for period in range(9)]
            for row in range(9)]  # fmt: skip
    system = scenario(
        {"stages": INSTANT | {"training": "1d"}, "cost": {"compute": "$8"}},
        horizon="32d",
        window="4d",
        quality={"kind": "recorded", "period": "4d", "matrix": {"rows": rows}},
        drift=[],
        labels={"delay": "4d"},
    )
    world = World(system)
    assert sim.run(system, "oracle").summary["total_cost"] == pytest.approx(cheapest(world)[0])


def test_a_world_in_which_nothing_ages_has_no_plan():
    system = scenarios.load("rotting_asset", horizon="60d", quality__decay="0/d", pipeline__cost={})
    assert sim.run(system, "oracle").summary["retrains"] == 0.0


def test_the_oracle_is_dropped_where_what_it_does_not_know_makes_its_plan_dearer():
    broken = {"name": "release", "trigger": {"on": "deployment"}, "accuracy_drop": 0.5, "with_version": True}
    system = scenarios.load("rotting_asset", failures=[broken])
    assert sim.run(system, "oracle").summary["retrains"] == 0.0
    notes = warnings_for(system, [resolve_policy("oracle")], None)
    assert any("guide and no bound" in note for note in notes)


def test_people_on_duty_and_drills_cost_what_they_cost():
    price = {"duty_cost": "$10/d", "staff": {"ml": 2, "senior": 1, "lead": 0}}
    drills = {"rollback": {"drills": "12/y", "drill_cost": "$100"}}
    system = scenarios.load("rotting_asset", response={"on_call": price}, deployment=drills)
    costs = sim.run(system).costs
    assert costs["on_call"] == pytest.approx(3 * 10 * 365)
    assert costs["deployment"] == pytest.approx(1200)
