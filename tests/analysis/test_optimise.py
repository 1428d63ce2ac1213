from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import scenarios
from analysis.economics import optimal_interval
from analysis.inputs import parse_input
from analysis.optimise import Optimum, common_means, optimise
from analysis.report_optimise import optimum_text
from analysis.requirements import parse_requirement
from analysis.response_surface import quadratic_minimum, surface_minimum
from analysis.responses import parse_objective
from analysis.search import Candidate, Search, finalists
from analysis.settings import space_of, with_gap
from analysis.sustainable import largest_sustainable, one_requirement

pytest.importorskip("optuna")
ASSET = scenarios.load("rotting_asset")
NOISY = scenarios.load("fraud_detection", horizon="10d", window="2h")
BEST = optimal_interval(retrain_cost=5000.0, queries_per_day=1e5, value=0.1, accuracy=0.9, decay=0.0003)


def small(**changes: object) -> Optimum:
    wanted: dict[str, object] = {
        "trials": 6,
        "replications": 2,
        "reported": 4,
        "workers": 1,
        "indifference": 0.1,
    } | changes
    space = space_of(NOISY, ["policy.interval=1d..8d:log"])
    return optimise(space, **wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [pytest.param(k, marks=pytest.mark.slow) for k in range(5)])
def test_the_closed_form_interval_is_found_to_two_percent_from_simulation_alone(seed: int) -> None:
    # A hundred cycles, traffic that varies: a retraining more or less within the horizon is half a percent of the cost.
    scenario = ASSET.with_(horizon="6000d", traffic__arrivals="poisson")
    found = optimise(
        space_of(scenario, ["policy.interval=5d..365d:log"]),
        trials=12,
        replications=2,
        reported=3,
        seed=seed,
        workers=1,
    )
    assert found.best.setting["interval"] == pytest.approx(BEST, rel=0.02)
    assert found.baseline is not None
    assert found.advantage(found.baseline).low > 0.0


@pytest.mark.slow
def test_any_number_of_workers_finds_the_same() -> None:
    one = small(workers=1, trials=4).to_dict()
    assert one == small(workers=2, trials=4).to_dict()
    assert one != small(seed=1, trials=4).to_dict()


def test_a_promising_setting_is_played_more() -> None:
    trials = small().trials
    searched = trials[trials["origin"] == "search"]
    assert set(searched["replications"]) == {2, 8}
    best = searched["annual_cost.mean:min"].idxmin()
    assert searched.loc[best, "replications"] == 8


@pytest.mark.slow
def test_a_requirement_is_kept() -> None:
    rare = parse_requirement("retrains <= 2")
    found = small(requirements=[rare])
    assert found.feasible
    assert found.best.runs["retrains"].max() <= 2
    assert small().best.runs["retrains"].min() > 2
    assert not small(requirements=[parse_requirement("mean_accuracy > 0.99")]).feasible


def test_none_of_the_pareto_set_beats_another() -> None:
    found = small(objectives=["annual_cost", "retrains", "mean_accuracy:max"], trials=12)
    values = np.array([[p.interval(o).mean * o.sign for o in found.objectives] for p in found.pareto])
    assert len(values) > 1
    for row in values:
        assert not ((values <= row).all(axis=1) & (values < row).any(axis=1)).any()


def test_each_point_of_the_pareto_set_is_judged() -> None:
    found = small(
        objectives=["annual_cost", "retrains"], requirements=[parse_requirement("mean_accuracy > 0.99")]
    )
    document = found.to_dict()
    assert [point["requirements_kept"] for point in document["pareto"]] == [False] * len(found.pareto)
    assert (
        optimum_text(found).count("fails mean_accuracy.mean > 0.99") == len(found.pareto) + 1
    )  # and the baseline
    kept = small(
        objectives=["annual_cost", "retrains"], requirements=[parse_requirement("mean_accuracy > 0.1")]
    )
    assert all(point["requirements_kept"] for point in kept.to_dict()["pareto"])


@pytest.mark.parametrize("objectives", [["mttd_hours"], ["annual_cost", "mttd_hours"]])
def test_an_objective_without_values_is_named(objectives: list[str]) -> None:
    with pytest.raises(ValueError, match=r"objective mttd_hours\.mean:min: was not measured in any world"):
        optimise(
            space_of(ASSET, ["policy.interval=20d..60d"]), objectives, trials=4, replications=2, workers=1
        )


def test_a_setting_without_a_value_ranks_last() -> None:
    space = space_of(NOISY, ["policy.interval=1d..8d"])
    search = Search(space, (parse_objective("mttd_hours"),), (), 0, 1)
    for hours in (math.nan, 9.0, 3.0):
        search.candidates.append(Candidate({"interval": hours}, {"mttd_hours": np.full(2, hours)}))
    assert [c.setting["interval"] for c in finalists(search, 2)] == [3.0, 9.0]


def test_the_promise_is_for_what_the_selection_chose_only() -> None:
    found = small()
    assert found.selection is not None
    assert found.selected is not None
    sure = dataclasses.replace(found.selection, guaranteed=True, probability=0.95)
    chosen = dataclasses.replace(found, selection=sure, selected=found.best.setting)
    assert "with probability 95% or more none of them is better" in optimum_text(chosen)
    surface = dataclasses.replace(found, selection=sure, selected={"interval": 7.77})
    assert "reported is the minimum of the response surface" in optimum_text(surface)
    assert "by more than the selected one" not in optimum_text(chosen)
    answer = surface.to_dict()["selection"]
    assert (answer["guaranteed"], answer["probability"], answer["reported_by"]) == (False, None, "surface")


def test_finalists_are_compared_on_worlds_that_all_met() -> None:
    assert common_means([np.array([1.0, 3.0]), np.array([2.0, 2.0, 90.0])]).tolist() == [2.0, 2.0]


@pytest.mark.slow
def test_a_surface_that_mostly_misses_the_requirement_is_not_kept() -> None:
    missed = small(requirements=[parse_requirement("mean_accuracy > 0.99")]).trials
    assert "surface" not in set(missed["origin"])
    assert "surface" in set(small(requirements=[parse_requirement("mean_accuracy > 0.1")]).trials["origin"])


def test_choices_whole_numbers_and_gaps() -> None:
    space = space_of(
        NOISY, ["pipeline.learning.mode=from_scratch,warm_start", "pipeline.capacity=1..3", "limit=-0.1..-0.02"],
        "triggered:accuracy<{limit}",
    )  # fmt: skip
    found = optimise(space, trials=4, replications=2, reported=2, baseline=None, workers=1)
    document = space.document(found.best.setting)
    assert document["pipeline.learning.mode"] in ("from_scratch", "warm_start")
    assert document["pipeline.capacity"] in (1, 2, 3)
    scenario, policy = space.applied(found.best.setting)
    assert scenario.pipeline.capacity == document["pipeline.capacity"]
    assert policy.name == f"triggered:accuracy<{document['limit']}"


def test_the_policy_itself_may_be_chosen() -> None:
    found = optimise(
        space_of(ASSET, ["policy=never,scheduled:60d"]), trials=4, replications=2, reported=2, workers=1
    )
    assert found.best.setting == {"policy": "scheduled:60d"}


@pytest.mark.parametrize(
    ("texts", "policy", "message"),
    [([], None, "no variables"), (["quality.dekay=1..2"], "never", "dekay"),
     (["policy.interval=1d..2d"], "never", "no interval"),
     (["policy.intervall=1d..2d"], "scheduled:7d", "did you mean"),
     (["quality.decay=1%/d..2%/d"], None, "no policy"),
     (["policy.interval=1d..2d"] * 2, None, "there twice"),
     (["traffic.rate=1/d..2/d"], "scheduled:{x}", "no variable for"),
     (["quality.decay=1%/d"], "never", "two or more"), (["policy.interval=2d..1d"], None, "smaller end"),
     (["policy=never,weekly"], None, "one of"), (["policy.interval=1..2"], None, "expected a duration")],
)  # fmt: skip
def test_spaces_that_cannot_be(texts: list[str], policy: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        space_of(ASSET, texts, policy)


@pytest.mark.parametrize(
    "wrong", [{"trials": 0}, {"replications": 1}, {"objectives": []}, {"indifference": 1.0}]
)
def test_numbers_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        small(**wrong)


@pytest.mark.parametrize(
    ("template", "knob", "expected"),
    [("hybrid:30d", "interval", "hybrid:{interval}"),
     ("triggered+cooldown=7d", "cooldown", "triggered+cooldown={cooldown}"),
     ("triggered", "votes", "triggered+votes={votes}"), ("scheduled:{interval}", "interval", "scheduled:{interval}")],
)  # fmt: skip
def test_gaps_for_knobs(template: str, knob: str, expected: str) -> None:
    assert with_gap(template, knob) == expected


def test_a_quadratic_is_found_exactly_and_its_edge_when_the_minimum_is_outside() -> None:
    x = np.random.default_rng(0).random((30, 2))
    values = (x[:, 0] - 0.4) ** 2 + 2 * (x[:, 1] - 0.7) ** 2 + (x[:, 0] - 0.4) * (x[:, 1] - 0.7)
    inside = quadratic_minimum(x, values, np.zeros(2), np.ones(2))
    np.testing.assert_allclose(inside, [0.4, 0.7], atol=1e-6)
    assert quadratic_minimum(x, values, np.zeros(2), np.array([0.3, 1.0]))[0] == 0.3


def test_noise_and_steps_do_not_move_the_minimum_far() -> None:
    rng = np.random.default_rng(1)

    def noisy(x: np.ndarray) -> np.ndarray:
        return np.cosh(4.0 * (x[:, 0] - 0.55)) + 0.01 * rng.normal(size=len(x))

    assert surface_minimum(noisy, np.array([0.3]))[0] == pytest.approx(0.55, abs=0.02)


def test_the_largest_decay_that_a_schedule_follows_has_a_closed_form() -> None:
    # Mean accuracy of a cycle: A0 (1 - exp(-x)) / x with x = decay * interval.
    given = parse_input(ASSET, "quality.decay=0.05%/d..2%/d")
    scenario = ASSET.with_(horizon="360d", window="6h")
    found = largest_sustainable(
        scenario, "scheduled:30d", given, parse_requirement("mean_accuracy > 0.85"), workers=1
    )
    assert found.holds_at is not None
    assert found.fails_at is not None
    low, high = (0.9 * -math.expm1(-30.0 * v) / (30.0 * v) for v in (found.fails_at, found.holds_at))
    assert low < 0.85 * (1 + 1e-4)
    assert high > 0.85 * (1 - 1e-4)
    assert found.fails_at - found.holds_at <= 0.004 * (given.high - given.low)


@pytest.mark.parametrize(("limit", "held"), [(0.99, None), (0.5, 0.02)])
def test_nothing_or_all_of_the_range_is_sustained(limit: float, held: float | None) -> None:
    given = parse_input(ASSET, "quality.decay=0.05%/d..2%/d")
    requirement = parse_requirement(f"mean_accuracy > {limit}")
    found = largest_sustainable(ASSET, "scheduled:30d", given, requirement, workers=1)
    assert found.holds_at == held
    assert ("Not shown" in found.sentence()) is (held is None)


def test_a_noisy_limit_takes_replications_and_leaves_doubt_between_the_bounds() -> None:
    given = parse_input(NOISY, "traffic.rate=500k/d..2M/d")
    found = largest_sustainable(
        NOISY, "scheduled:4d", given, parse_requirement("total_cost.p50 < $200k"), tolerance=0.005, workers=1
    )
    assert found.points["replications"].max() > 20
    assert found.holds_at is not None
    assert found.fails_at is not None
    assert found.holds_at < found.fails_at


def test_one_requirement_is_needed() -> None:
    for texts in ([], ["retrains < 1", "retrains < 2"], ["retrains < 1 for never"]):
        with pytest.raises(ValueError, match="--require"):
            one_requirement([parse_requirement(text) for text in texts])
