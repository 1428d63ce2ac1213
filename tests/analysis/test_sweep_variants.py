"""A sweep under one policy: its variants beside the cheapest one, by paired differences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_sweeps import small_scenario

from analysis.designs import design
from analysis.statistics import mean_interval
from analysis.sweep import Sweep, sweep
from analysis.sweep_tables import against_cheapest

COMPUTE = "pipeline.cost.compute"


def alone(
    folder: Path, values: list[str], policies: tuple[str, ...] = ("scheduled:7d",), reps: int = 4
) -> Sweep:
    scenario = small_scenario()
    plan = design(scenario, {COMPUTE: values})
    return sweep(scenario, plan, list(policies), folder=folder / "s", replications=reps, workers=1)


def test_variants_are_paired_with_the_cheapest_at_a_joint_level() -> None:
    rng = np.random.default_rng(3)
    costs = 100.0 + rng.normal(0.0, 30.0, 8) + rng.normal(0.0, 1.0, (3, 8)) + np.array([[5.0], [0.0], [0.1]])
    table = against_cheapest(np.array([4, 5, 6]), costs)
    best = int(table["over_cheapest"].idxmin())
    assert table["dearer"].tolist() == [True, False, False]
    for row, cost in zip(table.itertuples(), costs, strict=True):
        assert row.half_width == pytest.approx(mean_interval(cost).half_width)
        paired = mean_interval(cost - costs[best], 1.0 - 0.05 / 2)
        assert (row.over_cheapest_low, row.over_cheapest_high) == pytest.approx((paired.low, paired.high))


def test_one_policy_tells_which_variant_is_cheapest(tmp_path: Path) -> None:
    found = alone(tmp_path, ["$4000", "$100"])
    text = str(found)
    assert "Variant 1 (pipeline.cost.compute=$100) is cheapest" in text
    assert "less than variant 0 (paired differences" in text
    assert "(cheapest)" in text
    assert "lead/y" not in text
    assert " wins in " not in text
    assert "share of the variance" not in text
    table = found.differences()
    assert table["dearer"].tolist() == [True, False]
    assert table["over_cheapest"].iloc[0] == pytest.approx(-np.diff(found.table()["annual_cost"])[0])
    rows = json.loads(json.dumps(found.to_dict(), allow_nan=False))["differences"]
    assert rows[1]["over_cheapest"] == 0.0
    assert rows[1]["values"] == {COMPUTE: "$100"}
    assert found.folder / "report" / "differences.csv" in found.save()
    assert "is cheapest" in repr(found)
    assert "over cheapest (USD/y)" in found._repr_html_()


def test_equal_variants_are_no_winners_and_one_world_says_nothing(tmp_path: Path) -> None:
    equal = alone(tmp_path / "a", ["$100", "$100.00"], ("never",))
    assert "cannot be told from it" in str(equal)
    assert "but variant 1 cannot" in str(equal)
    assert "that says nothing about others" in str(alone(tmp_path / "b", ["$100", "$4000"], reps=1))


def test_several_policies_are_compared_as_ever(tmp_path: Path) -> None:
    found = alone(tmp_path, ["$100", "$4000"], ("never", "scheduled:7d"))
    assert "lead/y" in str(found)
    assert "differences" not in found.to_dict()
    with pytest.raises(ValueError, match="got 2 policies, expected one"):
        found.differences()
