from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from small_budgets import MadeUp

from analysis.budget_search import probability_best, search
from analysis.frontier import cheaper_rivals, frontier_of, ratio_interval
from analysis.intervals import probability_negative
from analysis.plan_runs import COLUMNS, PlanRuns


def constant(costs: list[tuple[float, float]], noise: float = 0.0) -> PlanRuns:
    """Plans with these monitoring costs and losses; the noise is that of the world and the same for all."""

    def simulate(pairs: object) -> NDArray[np.float64]:
        rows = np.zeros((len(pairs), len(COLUMNS)))  # type: ignore[arg-type]
        for row, (plan, world) in enumerate(pairs):  # type: ignore[arg-type, var-annotated]
            luck = noise * np.random.default_rng(world).normal()
            rows[row, :2] = costs[plan][0], costs[plan][1] + luck
        return rows

    return PlanRuns(simulate, len(costs))


def least(runs: PlanRuns, plans: object, count: int) -> int:
    return min(plans, key=lambda plan: float(runs.total(plan, count).mean()))  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("replications", [24, 60])
def test_the_search_finds_the_winner_of_the_full_factorial_with_a_third_of_its_runs(
    replications: int,
) -> None:
    same = 0
    for seed in range(10):
        made = MadeUp(seed)
        full = PlanRuns(made, len(made.plans))
        full.extend(dict.fromkeys(range(full.plans), replications))
        runs = PlanRuns(made, len(made.plans))
        found = search(runs, replications)
        same += least(runs, found.finalists, found.replications) == least(full, range(200), replications)
        assert runs.counts.sum() <= full.counts.sum() / 3
        assert found.replications == replications
    assert same >= 9


def test_its_probability_of_being_right_is_honest() -> None:
    # Against the expectations, which are known; the standard error of a share of 100 is 0.05.
    said, right = [], []
    for seed in range(100):
        made = MadeUp(seed, entries=3, options=3, plans=27)
        runs = PlanRuns(made, 27)
        found = search(runs, 24)
        winner = least(runs, found.finalists, 24)
        said.append(probability_best(runs, winner, range(27), seed))
        right.append(winner == int(np.argmin(made.expected_total())))
    assert 0.2 < np.mean(said) < 0.95
    assert np.mean(said) < np.mean(right) + 0.1
    sure = np.array(said) > np.median(said)
    assert np.mean(np.array(right)[sure]) > np.mean(np.array(right)[~sure])


def test_the_probability_for_one_rival_is_that_of_student() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal([[0.0, 0.4]], 1.0, (12, 2))
    runs = PlanRuns(
        lambda pairs: np.array([[0.0, values[w, p]] + [0.0] * (len(COLUMNS) - 2) for p, w in pairs]), 2
    )
    runs.extend({0: 12, 1: 12})
    exact = probability_negative(values[:, 0] - values[:, 1])
    assert probability_best(runs, 0, [1]) == pytest.approx(exact, abs=4 * math.sqrt(0.25 / 2000))


def test_equal_plans_are_one_and_take_no_runs() -> None:
    runs = constant([(10.0, 5.0)] * 8 + [(20.0, 5.0), (0.0, 30.0), (1.0, 40.0), (2.0, 50.0)] * 2, noise=1.0)
    found = search(runs, 40)
    assert 0 in found.finalists
    assert not set(range(1, 8)) & set(found.finalists)
    assert probability_best(runs, 0, range(16)) == 1.0
    assert runs.counts[1] < 10


def test_plans_that_are_certainly_worse_and_dominated_are_dropped_at_once() -> None:
    good = [(0.0, 100.0), (10.0, 50.0), (20.0, 20.0), (60.0, 1.0)]
    runs = constant(good + [(30.0 + k, 60.0 + k) for k in range(20)], noise=5.0)
    found = search(runs, 30, share=0.5)
    assert found.finalists == (0, 1, 2, 3)  # the best one and the frontier
    assert found.rounds[0].dropped == 20
    assert found.rounds[-1].contenders == 1


def test_a_limit_keeps_its_own_winner_in_the_race() -> None:
    rng = np.random.default_rng(1)
    costs = [(1000.0 + 10 * k, 50.0 + k) for k in range(40)] + [
        (100.0 + k, 4000.0 + rng.random()) for k in range(40)
    ]
    for limit in (math.inf, 200.0):
        runs = constant(costs, noise=50.0)
        found = search(runs, 24, limit=limit)
        within = [plan for plan in found.finalists if costs[plan][0] <= limit]
        assert least(runs, within, 24) == min(
            (p for p in range(80) if costs[p][0] <= limit), key=lambda p: sum(costs[p])
        )


def test_a_full_share_plays_everything_and_a_small_menu_too() -> None:
    runs = constant([(1.0, 1.0), (2.0, 3.0), (3.0, 9.0)], noise=1.0)
    assert search(runs, 7).replications == 7
    assert runs.counts.tolist() == [7, 7, 7]
    many = PlanRuns(MadeUp(0, plans=30), 30)
    search(many, 5, share=1.0)
    assert set(many.counts) == {5}


@pytest.mark.parametrize(
    ("replications", "share", "words"), [(1, 0.3, "at least 2"), (10, 0.0, "share"), (10, 1.5, "share")]
)
def test_bad_numbers_are_refused(replications: int, share: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        search(constant([(0.0, 1.0), (1.0, 0.0)]), replications, share=share)


def test_a_cost_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="plan 1, world 0"):
        search(constant([(0.0, 1.0), (1.0, math.nan)]), 5)


@pytest.mark.parametrize("seed", range(20))
def test_the_frontier_is_monotone_and_undominated(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, loss = rng.integers(0, 12, (2, 40)).astype(float)  # many ties
    kept = frontier_of(cost, loss)
    assert (np.diff(cost[kept]) > 0).all()
    assert (np.diff(loss[kept]) < 0).all()
    for plan in range(40):
        beaten = [(cost[k] <= cost[plan]) and (loss[k] <= loss[plan]) for k in kept]
        assert any(beaten)
        rival = cheaper_rivals(cost, loss)[plan]
        assert loss[rival] == loss[cost <= cost[plan]].min()
    assert (cheaper_rivals(cost, loss)[kept] == kept).all()


def test_the_interval_of_a_ratio_covers_as_often_as_it_says() -> None:
    # 1000 trials: three standard errors of the coverage are 0.021.
    rng, covered = np.random.default_rng(5), 0
    for _ in range(1000):
        price = rng.gamma(20.0, 5.0, 30)
        gain = 2.5 * price + rng.normal(0.0, 40.0, 30)
        found = ratio_interval(gain, price)
        covered += found.low <= 2.5 <= found.high
    assert covered / 1000 == pytest.approx(0.95, abs=0.021)
    assert ratio_interval([1.0, 2.0], [0.0, 0.0]).mean != ratio_interval([1.0, 2.0], [0.0, 0.0]).mean  # NaN
    fixed = ratio_interval([4.0, 5.0, 7.0], [2.0, 2.0, 2.0])
    half = stats.t.ppf(0.975, 2) * np.std([2.0, 2.5, 3.5], ddof=1) / math.sqrt(3)
    assert fixed.half_width == pytest.approx(half)
