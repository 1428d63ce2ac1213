from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

import scenarios
from analysis.assumptions import assumptions
from analysis.design_fields import VariedField
from analysis.evaluations import policies_of
from analysis.global_indices import morris_indices, sobol_indices
from analysis.inputs import Input, parse_input
from analysis.intervals import mean_interval
from analysis.scenario_discovery import discover
from analysis.sensitivity import METHODS, sensitivity
from analysis.tornado import flips, tornado
from analysis.value_of_information import sample_information, value_of_knowing, value_of_monitors
from sim.engine import run

pytest.importorskip("SALib")
ASSET = scenarios.load("rotting_asset")
NOISY = scenarios.load("fraud_detection", horizon="10d", window="2h")
ANGLES = [Input(VariedField(f"x{i}", None, whole=False), "uniform", -math.pi, math.pi) for i in (1, 2, 3)]
PROBLEM: dict[str, Any] = {
    "num_vars": 3, "names": ["x1", "x2", "x3"], "bounds": [[-math.pi, math.pi]] * 3,
}  # fmt: skip


def test_sobol_of_ishigami_is_that_of_salib() -> None:
    from SALib.analyze import sobol
    from SALib.sample import sobol as sampling
    from SALib.test_functions import Ishigami

    found = sobol_indices(Ishigami.evaluate, ANGLES, samples=256, seed=3)
    x = sampling.sample(PROBLEM, 256, calc_second_order=False, seed=3)
    theirs = sobol.analyze(PROBLEM, Ishigami.evaluate(x), calc_second_order=False, seed=3)
    for ours, key in (("S1", "S1"), ("ST", "ST"), ("S1_half_width", "S1_conf"), ("ST_half_width", "ST_conf")):
        np.testing.assert_allclose(found[ours], theirs[key], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["S1"], [0.3139, 0.4424, 0.0], atol=0.1)  # the closed form


def test_morris_of_ishigami_is_that_of_salib() -> None:
    from SALib.analyze import morris
    from SALib.sample import morris as sampling
    from SALib.test_functions import Ishigami

    found = morris_indices(Ishigami.evaluate, ANGLES, trajectories=20, seed=3)
    x = sampling.sample(PROBLEM, 20, num_levels=4, seed=3)
    theirs = morris.analyze(PROBLEM, x, Ishigami.evaluate(x), num_levels=4, seed=3)
    for ours, key in (
        ("mu_star", "mu_star"),
        ("sigma", "sigma"),
        ("mu", "mu"),
        ("half_width", "mu_star_conf"),
    ):
        np.testing.assert_allclose(found[ours], np.asarray(theirs[key], dtype=float), rtol=1e-9, atol=1e-12)


def test_sobol_takes_a_normal_law_as_a_whole() -> None:
    # Variances 1 and 12 (1/12): half of the variance each.
    one, two = (VariedField(name, None, whole=False) for name in ("x", "y"))
    half = math.sqrt(3.0)
    inputs = [Input(one, "normal", -1.96, 1.96, 0.0, 1.0), Input(two, "uniform", -half, half)]
    found = sobol_indices(lambda x: x.sum(axis=1), inputs, samples=2048, seed=1)
    for index in ("S1", "ST"):
        assert (found[index] - 0.5).abs().max() <= min(found[f"{index}_half_width"].max(), 0.05)


def test_a_response_that_never_varies_has_no_indices() -> None:
    assert sobol_indices(lambda x: np.ones(len(x)), ANGLES, samples=4)["ST"].isna().all()


def test_the_price_at_which_a_schedule_stops_paying_is_found() -> None:
    inputs = [parse_input(ASSET, "pipeline.cost.compute=$500..$40000")]
    given = assumptions(ASSET, ["scheduled:30d", "never"], inputs, workers=1)
    (flip,) = flips(given, inputs[0], 2)
    saved = run(ASSET, "never").costs["staleness"] - run(ASSET, "scheduled:30d").costs["staleness"]
    assert flip.value == pytest.approx(saved / 12 - 1000, rel=1e-3)  # 12 retrainings, $1000 of other prices
    assert (flip.below, flip.above) == ("scheduled:30d", "never")
    assert flip.low <= flip.value * (1 + 1e-3)
    assert flip.high >= flip.value * (1 - 1e-3)
    assert "pipeline.cost.compute passes $" in flip.sentence()


def test_the_interval_of_a_flip_holds_the_undecided_values() -> None:
    inputs = [parse_input(NOISY, "pipeline.cost.compute=$100..$200000:log")]
    given = assumptions(NOISY, ["scheduled:2d", "scheduled:5d"], inputs, workers=1)
    (flip,) = flips(given, inputs[0], 8)
    assert flip.low < flip.value < flip.high
    for value, undecided in ((flip.value, True), (flip.low / 1.3, False), (flip.high * 1.3, False)):
        costs = given.costs(np.array([[value]]), range(8))[0]
        interval = mean_interval(costs[:, 0] - costs[:, 1])
        assert bool(interval.low <= 0.0 <= interval.high) is undecided


def test_a_tornado_agrees_with_runs() -> None:
    inputs = [
        parse_input(ASSET, text) for text in ("labels.coverage=0.5..1", "quality.decay=0.01%/d..0.1%/d")
    ]
    table = tornado(assumptions(ASSET, ["scheduled:30d", "never"], inputs, workers=1), 2)
    assert table["input"].tolist() == ["quality.decay", "labels.coverage"]
    low = ASSET.with_(**{"quality.decay": "0.01%/d"})
    costs = [run(low, policy).summary["annual_cost"] for policy in ("scheduled:30d", "never")]
    row = table.iloc[0]
    assert row["cost_low"] == pytest.approx(costs[0])
    assert row["difference_low"] == pytest.approx(costs[0] - costs[1])
    assert row["change_low"] == pytest.approx(costs[0] - run(ASSET, "scheduled:30d").summary["annual_cost"])
    assert row["flips"]
    assert table.iloc[1]["change_high"] == 0.0


def test_a_box_of_losses_is_found_with_its_inputs() -> None:
    rng = np.random.default_rng(2)
    x = rng.random((1000, 4))
    lost = (x[:, 0] > 0.6) & (x[:, 2] < 0.5)
    lost ^= rng.random(1000) < 0.03
    found = discover(
        [Input(VariedField(f"x{i}", None, whole=False), "uniform", 0.0, 1.0) for i in range(4)], x, lost
    )
    assert found.box is not None
    assert found.box.density > 0.9
    assert found.box.coverage > 0.75
    assert found.box.low[0] == pytest.approx(0.6, abs=0.05)
    assert found.box.high[2] == pytest.approx(0.5, abs=0.05)
    table = found.table()
    strong = table.loc[table["p_value"] < 1e-6, "input"].tolist()
    assert strong == ["x0", "x2"]
    assert (table["p_value"] <= 0.05).all()
    assert found.p_value == 0.01
    assert "(quasi-p " in found.sentence("it")
    assert f"{lost.mean():.0%} of all points are, the base rate" in found.sentence("it")
    assert found.box.density == pytest.approx(lost[found.box.inside(x)].mean())


@pytest.mark.slow
def test_losses_of_a_coin_have_no_region_mostly() -> None:
    inputs = [Input(VariedField(f"x{i}", None, whole=False), "uniform", 0.0, 1.0) for i in range(3)]
    rng = np.random.default_rng(11)
    found = [discover(inputs, rng.random((60, 3)), rng.random(60) < 0.4) for _ in range(8)]
    assert (
        sum(one.box is not None for one in found) <= 2
    )  # each has one with 5 %: more than 2 in one of 170 cases
    empty = next(one for one in found if one.box is None)
    assert "no region was found" in empty.sentence("it")
    assert "base rate" in empty.sentence("it")


@pytest.mark.parametrize("lost", [np.zeros(60, dtype=bool), np.ones(60, dtype=bool)])
def test_no_region_where_all_is_won_or_lost(lost: np.ndarray) -> None:
    found = discover(ANGLES, np.random.default_rng(0).random((60, 3)), lost)
    assert found.box is None
    assert found.table().empty
    assert "no region" in found.sentence("it")


def test_the_value_of_a_normal_signal_has_a_closed_form() -> None:
    # Costs 0 and normal(m, s): a signal that explains a sd of t of it saves min(0, m) - E min(0, normal(m, t)).
    rng = np.random.default_rng(5)
    d, m, s = rng.normal(size=4000), 0.5, 1.0
    costs = np.column_stack([np.zeros(4000), m + s * d + 0.5 * rng.normal(size=4000)])

    def worth(t: float) -> float:
        return t * float(norm.pdf(m / t)) - m * float(norm.sf(m / t))

    found = value_of_knowing(d, costs)
    assert found.low <= worth(s) <= found.high
    assert found.half_width < 0.1 * s
    noisy = value_of_knowing(d + rng.normal(size=4000), costs)
    assert noisy.low <= worth(s / math.sqrt(2)) <= noisy.high
    nothing = value_of_knowing(rng.normal(size=4000), costs)
    assert nothing.low <= 0.0 <= nothing.high + 1e-9


def test_more_observations_are_worth_more_and_never_more_than_certainty() -> None:
    inputs = [parse_input(ASSET, "quality.decay=0.005%/d..0.03%/d:log")]
    given = assumptions(ASSET, ["scheduled:30d", "never"], inputs, workers=1)
    shares = (np.arange(100) + 0.5) / 100
    x = inputs[0].quantile(shares)[:, None]
    x = x[np.random.default_rng(0).permutation(100)]
    costs = given.costs_apart(x)
    certain = value_of_knowing(x, costs).mean
    worths = [
        w.value.mean for w in sample_information(given, x, costs, inputs[0], 0.0002, (1, 16, 1_000_000))
    ]
    assert worths[0] < worths[1] <= certain * 1.05
    assert worths[2] == pytest.approx(certain, rel=0.05)


def test_a_monitor_that_is_not_heeded_is_worth_its_price() -> None:
    scenario = ASSET.with_(monitors=[{"metric": "accuracy", "cost": "$10/d", "threshold": 0.2}])
    monitor, trigger = value_of_monitors(scenario, policies_of(scenario, ["triggered"]), 2, workers=1)
    assert monitor.value.mean == pytest.approx(-3650.0)
    bare = run(ASSET.with_(triggers=[]), "triggered").summary["annual_cost"] + 3650.0
    assert trigger.value.mean == pytest.approx(bare - run(scenario, "triggered").summary["annual_cost"])


@pytest.mark.slow
def test_all_methods_together_for_any_number_of_workers(tmp_path: Path) -> None:
    inputs = [
        parse_input(NOISY, text)
        for text in ("quality.decay=1%/d..4%/d", "pipeline.cost.compute=$1000..$9000")
    ]

    def found(workers: int) -> Any:
        return sensitivity(
            NOISY, ["scheduled:2d", "scheduled:4d"], inputs, methods=METHODS, replications=2, samples=4, trajectories=2,
            points=50, observe=[(inputs[0], 0.005)], workers=workers,
        )  # fmt: skip

    one, two = found(1), found(2)
    assert json.dumps(one.to_dict(), allow_nan=False) == json.dumps(two.to_dict(), allow_nan=False)
    names = {path.name for path in one.save(tmp_path)}
    assert {
        "sensitivity.json",
        "tornado.png",
        "tornado.csv",
        "morris.png",
        "sobol.png",
        "value.png",
        "discovery.csv",
    } <= names


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"policies": ["never"]}, "expected two"),
     ({"methods": ["sobel"]}, "did you mean 'sobol'"),
     ({"replications": 1}, "at least 2"),
     ({"points": 10}, "at least 50"), ({"samples": 6, "methods": ["sobol"]}, "power of two"),
     ({"inputs": []}, "no inputs")],
)  # fmt: skip
def test_what_cannot_be_asked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sensitivity(ASSET, **({"policies": ["scheduled:30d", "never"], "workers": 1} | changes))
