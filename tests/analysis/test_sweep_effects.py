"""Effects against an analysis of variance by hand, and the pictures of a sweep."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from small_sweeps import small_plan, small_scenario

from analysis.default_factors import default_vary
from analysis.design_texts import parse_all
from analysis.designs import design
from analysis.executors import Here
from analysis.plot_sweeps import leading_factors, plot_sweep
from analysis.sweep import Sweep, plan_sweep, run_plan
from analysis.sweep_effects import DECISION, decisive_pair, effects, variance_shares


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return run_plan(small_plan(), tmp_path_factory.mktemp("grid") / "run", Here())


def test_a_full_grid_is_split_without_rest() -> None:
    levels = np.array(list(itertools.product(range(3), range(4), range(2)))).T
    rng = np.random.default_rng(0)
    values = rng.normal(size=3)[levels[0]] + rng.normal(size=(4, 2))[levels[1], levels[2]]
    shares = variance_shares(values, dict(zip("abc", levels, strict=True)))
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["a x b"] == pytest.approx(0.0, abs=1e-12)
    assert shares["b x c"] > 0.0
    by_hand = values.reshape(3, 8).mean(axis=1)
    assert shares["a"] == pytest.approx(by_hand.var() / values.var())


def test_chance_is_taken_away_in_samples() -> None:
    rng = np.random.default_rng(1)
    terms = {name: rng.integers(0, 5, 400) for name in "ab"}
    noise = rng.normal(size=400)
    biased, fair = (variance_shares(noise, terms, sampled=sampled) for sampled in (False, True))
    assert fair["a"] < biased["a"]
    assert max(fair.values()) < 0.03
    strong = variance_shares(noise * 0.1 + terms["a"], terms, sampled=True)
    assert strong["a"] > 0.98


def test_nothing_that_varies_has_no_shares() -> None:
    assert set(variance_shares(np.full(4, 7.0), {"a": np.arange(4), "b": np.arange(4) % 2}).values()) == {0.0}


def test_effects_of_a_sweep_add_up(grid: Sweep) -> None:
    table = effects(grid)
    for _, shares in table.groupby("response")["share"]:
        assert shares.sum() == pytest.approx(1.0)
        assert (shares.diff().dropna() <= 0.0).all()
    cost_of_never = table[table["response"] == "cost of never"].set_index("term")["share"]
    assert cost_of_never["quality.decay"] == pytest.approx(1.0, abs=1e-9)
    assert DECISION in set(table["response"])
    assert decisive_pair(grid) is not None


def test_pictures_and_tables_are_saved_and_come_again(grid: Sweep, tmp_path: Path) -> None:
    files = grid.save(tmp_path / "a")
    names = {file.name for file in files}
    assert names == {"table.csv", "winners.csv", "effects.csv", "effects.png", "regimes.png", "cost.png"}
    grid.save(tmp_path / "b")
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_regime_map_shows_the_winner_of_each_cell(grid: Sweep) -> None:
    across, up = leading_factors(grid)
    ax = plot_sweep(grid)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (across.name, up.name)
    drawn = sum(len(tiles.get_paths()) for tiles in ax.collections)
    assert drawn == len(across.levels) * len(up.levels) == len(grid.winners())


@pytest.mark.parametrize(
    ("vary", "sample", "pictures"),
    [
        (["quality.decay=1%/d,2%/d"], None, {"costs", "effects"}),
        (["quality.decay=1%/d,2%/d", "pipeline.capacity=1,2", "material_drop=1%,2%"], None, {
            "effects", "regimes", "cost", "regimes_by_factor",
        }),
        (["quality.decay=0.1%/d..2%/d:log", "pipeline.cost.compute=$1..$1000"], 24, {"effects", "regimes", "cost"}),
        (["quality.decay=1%/d"], None, set()),
    ],
)  # fmt: skip
def test_pictures_fit_the_design(
    tmp_path: Path, vary: list[str], sample: int | None, pictures: set[str]
) -> None:
    from analysis.plot_sweeps import sweep_figures

    scenario = small_scenario()
    wanted = design(scenario, parse_all(vary), sample=sample)
    found = run_plan(
        plan_sweep(scenario, wanted, ["never", "scheduled:5d"], replications=2), tmp_path / "r", Here()
    )
    assert set(sweep_figures(found)) == pictures
    assert "Of " in str(found)


def test_by_default_the_drift_rate_meets_the_label_delay() -> None:
    assert list(default_vary(small_scenario())) == ["quality.decay", "labels.delay"]
