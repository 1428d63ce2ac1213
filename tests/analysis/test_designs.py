"""Designs: what --vary means, the types that values keep, and what is refused before anything is written."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import scenarios
from analysis.default_factors import default_vary
from analysis.design_samples import Range, unit_points
from analysis.design_texts import parse_all, parse_overlays, parse_pairs, parse_vary
from analysis.designs import Design, content_of, design
from scenarios.loader import library_names, validate_mapping
from scenarios.schema import Scenario


@pytest.fixture(scope="module")
def asset() -> Scenario:
    return scenarios.load("rotting_asset")


@pytest.fixture(scope="module")
def fraud() -> Scenario:
    return scenarios.load("fraud_detection")


def values_of(plan: Design, name: str) -> list[object]:
    return [variant.values[name] for variant in plan.variants()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=1,2,3", [1, 2, 3]),
        ("a.b=x, 'y,z'", ["x", "y,z"]),
        ("a.b=[1, 2],[3]", [[1, 2], [3]]),
        ("a.b={kind: fixed, value: 1d},2d", [{"kind": "fixed", "value": "1d"}, "2d"]),
        ("a.b=$0.10,$5/k", ["$0.10", "$5/k"]),
        ("a.b=true,none", [True, "none"]),
        ("a.b=1%/d..5%/d:9", Range("1%/d", "5%/d", 9)),
        ("a.b=0.1..10:5:log", Range(0.1, 10, 5, log=True)),
        ("a.b=1d..9d", Range("1d", "9d")),
        ("a.b=1..9:linear:3", Range(1, 9, 3)),
    ],
)
def test_texts(text: str, expected: object) -> None:
    assert parse_vary(text) == ("a.b", expected)


def test_a_grid_is_all_combinations_the_first_factor_slowest(asset: Scenario) -> None:
    plan = design(asset, parse_all(["quality.decay=1%/d,2%/d", "pipeline.capacity=1,2,3"]))
    found = [tuple(variant.values.values()) for variant in plan.variants()]
    assert found == list(itertools.product(["1%/d", "2%/d"], [1, 2, 3]))
    assert [variant.index for variant in plan.variants()] == list(range(6))
    assert plan.columns()["quality.decay"] == [0.01] * 3 + [0.02] * 3


def test_numbers_written_between_the_ends_read_back_exactly(asset: Scenario) -> None:
    plan = design(asset, {"quality.decay": Range("1%/y", "5%/d", 7, log=True)})
    (factor,) = plan.factors
    assert factor.values[0] == "1%/y"
    assert factor.values[-1] == "5%/d"
    assert factor.numbers is not None
    np.testing.assert_allclose(factor.numbers, np.geomspace(0.01 / 365, 0.05, 7), rtol=1e-12)
    for variant, number in zip(plan.variants(), factor.numbers, strict=True):
        assert asset.with_(**variant.overrides).quality.decay == number  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "span", "kind"),
    [
        ("pipeline.capacity", Range(1, 5, 5), int),
        ("labels.coverage", Range("1%", "50%", 3), float),
        ("labels.delay", Range("1d", "9d", 3), str),
        ("drift[0].rate", Range("0.01/d", "0.02/d", 3), str),
    ],
)
def test_values_keep_the_type_of_their_field(fraud: Scenario, path: str, span: Range, kind: type) -> None:
    plan = design(fraud, {path: span})
    middle = plan.variant(1)
    assert isinstance(middle.values[path], kind)
    fraud.with_(**middle.overrides)


def test_pairs_advance_together_and_cross_the_grid(fraud: Scenario) -> None:
    pairs = parse_pairs(["labels.delay.median=1h,2d", "labels.delay.p95=2h,9d"])
    plan = design(fraud, parse_all(["labels.coverage=1%,2%"]), pair=pairs)
    assert len(plan) == 4
    assert [tuple(v.values.values()) for v in plan.variants()][:2] == [("1%", "1h", "2h"), ("1%", "2d", "9d")]


@pytest.mark.parametrize("method", ["random", "lhs", "sobol"])
def test_samples_lie_in_their_ranges_and_come_again(asset: Scenario, method: str) -> None:
    vary = parse_all(
        ["quality.decay=1%/d..5%/d", "pipeline.cost.compute=$1..$1000:log", "pipeline.capacity=1,2,3"]
    )
    plan = design(asset, vary, sample=20, method=method, seed=3)
    assert plan == design(asset, vary, sample=20, method=method, seed=3)
    assert plan != design(asset, vary, sample=20, method=method, seed=4)
    table = plan.columns()
    assert len(plan) == 20
    assert 0.01 <= min(table["quality.decay"]) < max(table["quality.decay"]) <= 0.05
    # Half of a log range of three decades is below 10^1.5.
    assert 5 <= sum(x < 10**1.5 for x in table["pipeline.cost.compute"]) <= 15
    assert set(table["pipeline.capacity"]) == {1, 2, 3}


def test_latin_hypercube_has_one_point_in_each_slice() -> None:
    points = unit_points(10, 3, "lhs", seed=1)
    for column in points.T:
        assert sorted((column * 10).astype(int)) == list(range(10))


def test_overlays_replace_what_is_of_another_kind(asset: Scenario, tmp_path: Path) -> None:
    file = tmp_path / "shift.yaml"
    file.write_text("quality: {kind: degradation, initial_accuracy: 0.8}\npipeline: {capacity: 4}\n")
    plan = design(asset, {"horizon": ["30d"]}, overlays=parse_overlays(["base", f"shift={file}"]))
    assert values_of(plan, "overlay") == ["base", "shift"]
    changed = validate_mapping(plan.overlays["shift"])
    assert changed.quality.kind == "degradation"
    assert changed.pipeline.capacity == 4
    assert changed.pipeline.cost == asset.pipeline.cost
    assert validate_mapping(plan.overlays["base"]) == asset


def test_a_design_is_data(fraud: Scenario) -> None:
    plan = design(
        fraud, parse_all(["labels.coverage=1%..3%:3", "features=[a],[a, b]"]), pair={"horizon": ["30d"]}
    )
    assert Design.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


@pytest.mark.parametrize("name", library_names())
def test_stored_scenarios_are_the_scenarios(name: str) -> None:
    scenario = scenarios.load(name)
    again = validate_mapping(json.loads(json.dumps(content_of(scenario))))
    assert again == scenario
    assert again.hash() == scenario.hash()
    vary = default_vary(scenario) if name != "electricity" else {}
    assert all(scenario.with_(**{path: value}) for path, values in vary.items() for value in values)


def test_indicative_variants_show_every_value_and_the_corners(asset: Scenario) -> None:
    plan = design(
        asset, {"quality.decay": [f"{n}%/d" for n in range(50)], "pipeline.capacity": list(range(1, 61))}
    )
    numbers = plan.indicative(2000)
    shown = [plan.variant(number).values for number in numbers]
    assert {v["quality.decay"] for v in shown} == set(plan.factors[0].values)
    assert {v["pipeline.capacity"] for v in shown} == set(plan.factors[1].values)
    assert {0, 59, 49 * 60, 2999} <= set(numbers)
    assert len(numbers) < 120


@pytest.mark.parametrize(
    ("vary", "pair", "sample", "message"),
    [
        (["quality.decya=1,2"], [], None, "did you mean 'decay'"),
        (["quality.decya=1..2:4"], [], None, "did you mean 'decay'"),
        ([], [], None, "the design is empty"),
        (["quality.decay="], [], None, "expected path=values"),
        (["quality.decay=1%/d,,2%/d"], [], None, "quality.decay"),
        (["quality.decay=1%/d", "quality.decay=2%/d"], [], None, "twice"),
        (["triggers[0].threshold=0.1", "triggers__0__threshold=0.1"], [], None, "twice"),
        (["quality.decay=1%/d"], ["quality.decay=1%/d"], None, "twice"),
        (["quality={kind: exponential}", "quality.decay=1%/d"], [], None, "part of the other"),
        (["quality.decay=1%/d..2%/d"], [], None, "how many values"),
        (["quality.decay=7d..9d:3"], [], None, "got '7d' (a duration), expected a rate"),
        (["quality.decay=2%/d..1%/d:3"], [], None, "the smaller end first"),
        (["quality.decay=0..1%/d:3:log"], [], None, "log spacing"),
        (["pipeline.capacity=1..3:9"], [], None, "not all different"),
        (["quality.decay=1%/d..2%/d:3:cubic"], [], None, "expected a count, log or linear"),
        ([], ["quality.decay=1%/d,2%/d", "horizon=30d"], None, "equally long"),
        (["quality.decay=1%/d..2%/d"], [], 0, "expected 1 to"),
        ([], [], 5, "nothing to sample"),
    ],
)
def test_refused(asset: Scenario, vary: list[str], pair: list[str], sample: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        design(asset, parse_all(vary), pair=parse_pairs(pair), sample=sample)
    assert message in str(caught.value)
