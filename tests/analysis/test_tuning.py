"""The best schedule: against the closed form, against hindsight on a record, and where retraining never pays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from analysis import tuning
from analysis.comparison import MAX_REPLICATIONS
from analysis.economics import optimal_interval
from analysis.tuning import best_interval, resolved, schedule_cost
from scenarios.loader import validate_mapping
from scenarios.policies import parse_policy
from scenarios.schema import Scenario
from sim import run
from sim.policies import Triggered

STAGES = ("data_validation", "training", "evaluation", "registration", "deployment")
INSTANT = dict.fromkeys(STAGES, "0d")
RATE, VALUE, ACCURACY, DECAY = 100_000.0, 0.5, 0.95, 0.02


def scenario(price: float = 2000.0, horizon: float = 60.0, **fields: Any) -> Scenario:
    """Exponential decay, nothing noisy, retraining in no time."""
    return validate_mapping(
        {
            "title": "small",
            "horizon": f"{horizon}d",
            "window": "6h",
            "value_per_query_per_unit_accuracy": f"${VALUE}",
            "quality": {"kind": "exponential", "initial_accuracy": ACCURACY, "decay": f"{DECAY}/d"},
            "traffic": {"rate": f"{RATE}/d", "arrivals": "deterministic"},
            "pipeline": {"stages": INSTANT, "cost": {"compute": f"${price}"}},
            **fields,
        }
    )


def exact_interval(price: float) -> float:
    return float(
        optimal_interval(
            retrain_cost=price, queries_per_day=RATE, value=VALUE, accuracy=ACCURACY, decay=DECAY
        )
    )


def least_cost(price: float, horizon: float) -> float:
    """Of all plans: staleness is convex in the length of a cycle, so the best plan has equal cycles."""

    def staleness(length: float) -> float:
        return RATE * VALUE * ACCURACY * (length - (1.0 - math.exp(-DECAY * length)) / DECAY)

    return min(k * staleness(horizon / k) + (k - 1) * price for k in range(1, 2000))


@pytest.mark.parametrize("price", [400.0, 2000.0, 8000.0])
def test_tuned_interval_is_near_the_closed_form_and_costs_the_minimum(price):
    system = scenario(price)
    tuned = best_interval(system, replications=1)
    assert tuned == pytest.approx(exact_interval(price), rel=0.1)
    cost = run(system, f"scheduled:{tuned}d").summary["total_cost"]
    assert least_cost(price, 60.0) * (1 - 1e-9) <= cost <= 1.01 * least_cost(price, 60.0)


def test_a_dearer_retraining_is_never_done_more_often():
    intervals = [best_interval(scenario(price), replications=1) for price in (200, 1000, 5000, 25_000)]
    assert intervals == sorted(intervals)
    assert intervals[0] < 0.2 * intervals[-1]


@pytest.mark.parametrize(
    "never_pays",
    [
        scenario(price=1_000_000.0),
        scenario(value_per_query_per_unit_accuracy="$0"),
        scenario(quality={"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"}),
        scenario(pipeline={"stages": {**INSTANT, "training": "50d"}, "cost": {"compute": "$1"}}),
    ],
    ids=["dear", "worthless", "no decay", "slow"],
)
def test_where_retraining_never_pays_the_interval_is_the_horizon(never_pays):
    assert best_interval(never_pays, replications=1) == 60.0
    assert run(never_pays, "scheduled:60d").summary["retrains"] == 0


def test_a_horizon_of_one_window():
    assert best_interval(scenario(horizon=0.25), replications=1) == 0.25


def test_schedule_is_not_shorter_than_a_retraining_takes():
    pipeline = {"stages": {**INSTANT, "training": "3d"}, "cost": {"compute": "$1"}}
    assert 3.0 <= best_interval(scenario(pipeline=pipeline), replications=1) < 6.0


def test_monitors_and_their_price_do_not_matter():
    watched = scenario(
        triggers=[{"metric": "accuracy", "cost": "$1000/d"}],
        monitors=[{"metric": "accuracy", "name": "second", "cost": "$1000/d"}],
    )
    assert best_interval(watched, replications=1) == best_interval(scenario(), replications=1)


def test_tuning_meets_worlds_that_no_comparison_meets(monkeypatch):
    met = set()

    def spied(bare: Scenario, seed: int, replication: int, interval: float) -> float:
        met.add((seed, replication))
        return schedule_cost(bare, seed, replication, interval)

    monkeypatch.setattr(tuning, "schedule_cost", spied)
    best_interval(scenario(), seed=5, replications=2)
    assert len(met) == 2
    assert {seed for seed, _ in met} == {5}
    assert min(number for _, number in met) > 1000 * MAX_REPLICATIONS


def test_the_same_seed_gives_the_same_interval():
    noisy = scenario(traffic={"rate": "200/d"}, pipeline={"training_noise": 0.02, "cost": {"compute": "$20"}})
    assert best_interval(noisy, seed=1) == best_interval(noisy, seed=1)


def test_only_the_policy_that_asks_is_tuned():
    system = scenario()
    fixed, own = parse_policy("scheduled:7d"), Triggered()
    assert resolved(system, fixed) is fixed
    assert resolved(system, own) is own
    asked = parse_policy("scheduled:best+cooldown=12h")
    tuned = resolved(system, asked)
    assert tuned == asked.model_copy(update={"interval": best_interval(system)})
    assert not tuned.tuned


# Recorded quality: the best number of periods in hindsight

PERIODS = 13


def matrix(seed: int) -> np.ndarray:
    """Accuracies that fall with age at a pace of their own, with jumps that only a new model can follow."""
    rng = np.random.default_rng(seed)
    level = np.cumsum(rng.normal(0.0, 0.03, PERIODS))
    trained, evaluated = np.meshgrid(np.arange(PERIODS), np.arange(PERIODS), indexing="ij")
    gap = np.abs(level[evaluated] - level[trained]) + 0.01 * (evaluated - trained)
    found = np.clip(0.9 - gap + rng.normal(0.0, 0.01, gap.shape), 0.0, 1.0)
    return np.where(evaluated > trained, found, np.nan)


def recorded(accuracies: np.ndarray, price: float, delay: int) -> Scenario:
    return scenario(
        price=price,
        horizon=PERIODS - 1,
        window="12h",
        quality={"kind": "recorded", "matrix": {"rows": accuracies.tolist()}, "period": "1d"},
        traffic={"rate": "1000/d", "arrivals": "deterministic"},
        value_per_query_per_unit_accuracy="$1",
        labels={"delay": f"{delay}d"},
    )


def hindsight(accuracies: np.ndarray, price: float, delay: int, every: int) -> float:
    """Cost of retraining every so many periods, period by period: at the end of period m, on labels up to m - delay."""
    cost, trained = 0.0, 0
    for period in range(1, PERIODS):
        ended = period - 1
        if ended and ended % every == 0:
            cost += price
            trained = max(ended - delay, 0)
        cost += 1000.0 * (1.0 - accuracies[trained, period])
    return cost


@pytest.mark.parametrize("delay", [0, 2])
@pytest.mark.parametrize("price", [1.0, 40.0, 120.0, 5000.0])
def test_record_gives_the_best_schedule_in_hindsight(price, delay):
    for seed in range(3):
        accuracies = matrix(seed)
        costs = {k: hindsight(accuracies, price, delay, k) for k in range(1, PERIODS)}
        tuned = best_interval(recorded(accuracies, price, delay), replications=1)
        assert tuned == min(costs, key=costs.__getitem__)
        cost = run(recorded(accuracies, price, delay), f"scheduled:{tuned}d").summary["total_cost"]
        assert cost == pytest.approx(costs[int(tuned)], rel=1e-12)


def test_records_differ_enough_to_tell_schedules_apart():
    chosen = {
        min(range(1, PERIODS), key=lambda k: hindsight(matrix(seed), price, 0, k))
        for seed in range(3)
        for price in (1.0, 40.0, 120.0, 5000.0)
    }
    assert len(chosen) >= 4
