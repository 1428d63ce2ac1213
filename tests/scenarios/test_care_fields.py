"""Care: what is refused, and how pressures are written."""

from __future__ import annotations

import pytest

from scenarios.care import Care
from scenarios.loader import ScenarioError
from scenarios.pressure_units import PRESSURE, PRESSURE_RATE
from tests.sim.small_care import ward


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "care__regimen__low",
            "140 mmHg",
            "care.regimen.low: got 140 mmHg, expected less than high (130 mmHg)",
        ),
        (
            "care__regimen__low",
            110,
            "got 110 (a number without unit), expected a pressure such as '130 mmHg'",
        ),
        (
            "care__clinicians__hours__end",
            "8h",
            "override care.clinicians.hours.end: got start 9h and end 8h, expected start before end",
        ),
        ("care__recommending__cadence", "12h", "care.recommending.cadence: got 0.5 d, expected whole days"),
        (
            "care__recommending__least_days",
            20,
            "care.recommending.least_days: got 20, expected at most the 14 days",
        ),
        ("care__bounds__lowest", 9, "care.bounds.lowest: got 9, expected at most highest, 8"),
        ("care__bounds__steps", 1, "did you mean 'step'?"),
        (
            "care__alerts__below",
            "180 mmHg",
            "care.alerts.below: got 180 mmHg, expected less than above (170 mmHg)",
        ),
        (
            "care__patients__first_dose",
            20,
            "care.patients.first_dose: got 20, expected at most regimen.doses, 12",
        ),
        ("care__visits__first", "1d", "care.visits.first: expected not below shortest"),
        (
            "care__patients__number",
            "10M",
            "care.patients.number: 10,000,000 over 120 days are 1,200,000,000 patient days",
        ),
        ("window", "7h", "window"),
    ],
)
def test_wrong_input(path, value, message):
    with pytest.raises(ScenarioError) as caught:
        ward(**{path: value})
    assert message in str(caught.value)


def test_windows_longer_than_a_day_are_refused():
    with pytest.raises(
        ScenarioError, match="care: patients are looked at once a day, so window must be a whole part"
    ):
        ward(window="2d")


def test_no_limit_is_written_as_none():
    assert ward(care__bounds__step="none").care.bounds.step is None
    assert ward(care__bounds__standard_error="none").care.bounds.standard_error is None


def test_what_is_written_reads_back():
    care = Care()
    assert Care.model_validate(care.model_dump(mode="json")) == care
    for quantity, value in ((PRESSURE, 4.25), (PRESSURE_RATE, 1.0 / 365.0), (PRESSURE_RATE, -0.3)):
        assert quantity.parse(quantity.write(value)) == value


def test_every_field_says_what_it_is():
    for part in Care.model_fields.values():
        for name, field in part.annotation.model_fields.items():
            assert field.description, name
