from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import scenarios
from analysis.inputs import changed, default_inputs, guessed_input, number_at, parse_input, widened

FRAUD = scenarios.load("fraud_detection")
SHARES = np.linspace(0.01, 0.99, 9)


@pytest.mark.parametrize(
    ("values", "law"),
    [
        ("1%/d..5%/d", stats.uniform(0.01, 0.04)),
        ("1%/d..5%/d:log", stats.loguniform(0.01, 0.05)),
        ("1%/d..2%/d..5%/d", stats.triang(0.25, 0.01, 0.04)),
        ("normal(3%/d, 0.5%/d)", stats.norm(0.03, 0.005)),
    ],
)
def test_the_laws_are_those_of_scipy(values: str, law: object) -> None:
    given = parse_input(FRAUD, f"quality.decay={values}")
    np.testing.assert_allclose(given.quantile(SHARES), law.ppf(SHARES), rtol=1e-9)  # type: ignore[attr-defined]


@pytest.mark.parametrize("values", ["1%/d..5%/d", "1%/d..5%/d:log"])
def test_a_share_and_its_value_belong_together(values: str) -> None:
    given = parse_input(FRAUD, f"quality.decay={values}")
    assert given.share_of(given.at(0.3)) == pytest.approx(0.3)


@pytest.mark.parametrize(
    "text",
    ["quality.decay", "quality.dekay=1%/d..2%/d", "quality.decay=1..2", "quality.decay=5%/d..1%/d",
     "quality.decay=1%/d",
     "quality.decay=0/d..1%/d:log",
     "quality.decay=1%/d..2%/d:cubic", "quality.decay=normal(1%/d, 0)", "labels.coverage=0.5..2",
     "quality.decay=1%/d..9%/d..5%/d", "quality.decay=1%/d..2%/d..3%/d:log"],
)  # fmt: skip
def test_what_the_scenario_cannot_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_input(FRAUD, text)


def test_whole_numbers_stay_whole() -> None:
    given = parse_input(FRAUD, "pipeline.capacity=1..4")
    assert set(given.quantile(np.linspace(0, 1, 50))) == {1.0, 2.0, 3.0, 4.0}
    assert changed(FRAUD, [given], [3.0]).pipeline.capacity == 3


def test_a_knob_has_the_unit_of_its_values() -> None:
    assert guessed_input("interval", "12h..4d").low == 0.5
    assert guessed_input("limit", "0.1..0.2").written(0.15) == 0.15


@pytest.mark.parametrize("name", ["rotting_asset", "fraud_detection", "ad_click", "medical_imaging"])
def test_the_usual_assumptions_of_a_scenario(name: str) -> None:
    scenario = scenarios.load(name)
    for given in default_inputs(scenario):
        value = number_at(scenario, given.path)
        assert value is not None
        assert given.low == pytest.approx(0.7 * value)
        assert given.high == pytest.approx(
            min(1.3 * value, 1.0) if given.path.endswith("coverage") else 1.3 * value
        )
        assert number_at(changed(scenario, [given], [given.high]), given.path) == given.high
        assert widened(scenario, given).high >= given.high


def test_a_fixed_label_delay_is_one_of_them() -> None:
    scenario = FRAUD.with_(**{"labels.delay": "2d"})
    assert ("labels.delay", 1.4) in [(given.path, given.low) for given in default_inputs(scenario)]
