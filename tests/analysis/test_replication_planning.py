"""Plans by simulation: they suffice as often as they say, and a run that stops by itself covers its mean."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import mean_interval, plan_replications, replicate_until_precise


@pytest.mark.parametrize("assurance", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("pilot", [10, 30])
def test_a_plan_suffices_as_often_as_it_says(pilot, assurance):
    """1000 pilots; standard error at most 1.6 %, and rounding up to whole replications adds up to 4 %."""
    enough, used = 0, []
    for seed in range(1000):
        values = np.random.default_rng(seed).normal(100.0, 30.0, 3000)
        plan = plan_replications(values[:pilot], half_width=6.0, assurance=assurance)
        enough += mean_interval(values[: plan.replications]).half_width <= 6.0
        used.append(plan.replications)
    assert assurance - 0.04 <= enough / 1000 <= assurance + 0.07
    needed = (1.96 * 30.0 / 6.0) ** 2
    assert needed < np.median(used) < 3.0 * needed


@pytest.mark.parametrize("half_width", [0.3, 1.0, 3.0])
def test_half_assurance_is_about_the_textbook_formula(half_width):
    values = np.random.default_rng(1).normal(0.0, 5.0, 40)
    plan = plan_replications(values, half_width=half_width, assurance=0.5)
    number = 40
    while stats.t.ppf(0.975, number - 1) * values.std(ddof=1) / math.sqrt(number) > half_width:
        number += 1
    assert plan.replications == pytest.approx(number, rel=0.02, abs=2)


def test_a_plan_is_the_smallest_that_will_do():
    """The chance of the plan is at least the assurance and that of one replication fewer is not, simulated."""
    pilot = np.random.default_rng(2).normal(0.0, 1.0, 15)
    plan = plan_replications(pilot, half_width=0.3, assurance=0.9)
    rng, squares = np.random.default_rng(3), 14 * pilot.var(ddof=1)

    def chance(number: int) -> float:
        variance = squares / rng.chisquare(14, 400_000)
        total = squares + variance * rng.chisquare(number - 15, 400_000)
        half = stats.t.ppf(0.975, number - 1) * np.sqrt(total / (number - 1) / number)
        return float(np.mean(half <= 0.3))

    assert chance(plan.replications) >= 0.9 - 0.002
    assert chance(plan.replications - 1) < 0.9 + 0.002


def test_relative_and_absolute_plans_agree_and_say_so():
    values = np.random.default_rng(4).normal(200.0, 50.0, 20)
    mean = float(values.mean())
    relative = plan_replications(values, relative_half_width=0.05)
    absolute = plan_replications(-values, half_width=0.05 * mean)
    assert relative.replications == absolute.replications == relative.additional + 20
    assert (
        str(relative) == f"another {relative.additional} replications would give +-5 % (with probability 80%)"
    )
    done = plan_replications(values, relative_half_width=0.9)
    assert (done.additional, done.replications) == (0, 20)
    assert str(done) == "precise to +-90 % already"


def test_table_shrinks_with_the_root_of_the_replications():
    plan = plan_replications(np.random.default_rng(5).normal(10.0, 2.0, 30), relative_half_width=0.02)
    table = plan.table().set_index("replications")
    at, far = table.loc[plan.replications, "half_width"], table.loc[4 * plan.replications, "half_width"]
    assert at <= plan.half_width
    assert at / far == pytest.approx(2.0, rel=0.02)


def test_pilot_without_noise_needs_nothing_more():
    assert plan_replications([5.0, 5.0], half_width=1e-9).additional == 0


@pytest.mark.parametrize(
    "law",
    [
        pytest.param(stats.norm(10.0, 3.0), marks=pytest.mark.slow),
        pytest.param(stats.gamma(2.0, scale=5.0), marks=pytest.mark.slow),
    ],
)
def test_stopped_runs_cover_their_mean(law):
    """+-10 % from 20 replications on: 93 to 97 % of 1000 runs at a nominal 95 % (standard error 0.7 %)."""
    covered, numbers = 0, []
    for seed in range(1000):
        values = law.rvs(1500, random_state=np.random.default_rng(seed))
        run = replicate_until_precise(values.__getitem__, relative_half_width=0.1, step=2)
        assert run.precise
        covered += run.interval.low <= law.mean() <= run.interval.high
        numbers.append(len(run.values))
    assert 930 <= covered <= 970
    assert np.mean(numbers) == pytest.approx((1.96 * law.std() / (0.1 * law.mean())) ** 2, rel=0.1)


def test_it_stops_at_the_first_look_that_is_precise():
    values = np.random.default_rng(6).normal(0.0, 1.0, 500)
    run = replicate_until_precise(values.__getitem__, half_width=0.25, first_stage=5, first_replication=3)
    number = next(n for n in range(5, 500) if mean_interval(values[3 : 3 + n]).half_width <= 0.25)
    assert run.values.tolist() == values[3 : 3 + number].tolist()
    assert run.interval == mean_interval(run.values)
    assert run.table()["mean"].iloc[-1] == pytest.approx(run.interval.mean)


def test_the_limit_is_said():
    values = np.random.default_rng(7).normal(0.0, 1.0, 50)
    run = replicate_until_precise(values.__getitem__, half_width=1e-6, step=7, max_replications=50)
    assert not run.precise
    assert len(run.values) == 50


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: plan_replications([1.0], half_width=1.0), "pilot: got 1"),
        (lambda: plan_replications([1.0, 2.0]), "one of half_width and relative_half_width"),
        (lambda: plan_replications([1.0, 2.0], half_width=0.0), "half_width: got 0.0"),
        (lambda: plan_replications([-1.0, 1.0], relative_half_width=0.1), "the mean is 0"),
        (lambda: plan_replications([1.0, 2.0], half_width=1.0, assurance=1.0), "assurance: got 1.0"),
        (lambda: plan_replications([1.0, 2.0], half_width=1e-9), "wider one"),
        (lambda: replicate_until_precise(float, half_width=1.0, first_stage=1), "first_stage >= 2"),
        (lambda: replicate_until_precise(lambda r: math.nan, half_width=1.0), r"simulate\(0\): gave nan"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
