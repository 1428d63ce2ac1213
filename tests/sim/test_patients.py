"""Patients: the kernel against a plain twin, the laws behind it, and what the model makes of the days."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from scenarios.care import Care
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from sim.kernels import patients as kernel
from sim.patients import Patients
from sim.world import World
from tests.reference.plain_patients import PlainPatient, plain_trailing


def ward(days: int, **care: Any) -> tuple[Care, Patients]:
    scenario: Scenario = validate_mapping(
        {
            "title": "Ward",
            "horizon": f"{days}d",
            "window": "1d",
            "value_per_query_per_unit_accuracy": "$0",
            "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
            "slices": [{"name": "some", "weight": "30%"}],
            "traffic": {"rate": "24/d"},
            "care": care,
        }
    )
    assert scenario.care is not None
    return scenario.care, Patients(scenario.care, World(scenario, 3, 1), days)


def test_the_kernel_equals_plain_patients_day_by_day():
    days, number = 60, 25
    harm = {
        "hypotension": {"rate": "20/y", "at": "110 mmHg", "scale": "9 mmHg"},
        "crisis": {"rate": "40/y", "at": "140 mmHg", "scale": "15 mmHg"},
    }
    care, people = ward(days, patients={"number": number, "trend_sd": "20 mmHg/y"}, harm=harm)
    key = people.world.key("care: days")
    plain = [
        PlainPatient(care, key, p, people.traits[:, p].tolist(), *people.state[:, p].tolist())
        for p in range(number)
    ]
    factor, bias = np.linspace(0.5, 2.0, number), np.linspace(-5.0, 5.0, number)
    harmed = np.zeros(2)
    for day in range(days):
        if day % 7 == 3:
            for patient in range(0, number, 2):
                people.change(patient, 2 if day < 30 else -1, float(day))
        found = people.live(day, factor, bias)
        for p, twin in enumerate(plain):
            expected = twin.live(day, int(people.dose[p]), factor[p], bias[p])
            assert found.pressure[p] == pytest.approx(expected.pressure, abs=1e-9)
            assert found.reading[p] == pytest.approx(expected.reading, abs=1e-9, nan_ok=True)
            assert (found.harm[0, p], found.harm[1, p]) == (expected.hypotension, expected.crisis)
        harmed += found.harm.sum(axis=1)
    assert (harmed > 10).all()


@pytest.mark.parametrize("window", [3, 14])
def test_the_trailing_mean_equals_a_plain_one(window):
    care, people = ward(20, patients={"number": 30}, sensor={"lost": "60%"})
    flat = np.ones(30), np.zeros(30)
    for day in range(20):
        people.live(day, *flat)
    since = np.arange(30) % 21
    mean, error, days = people.trailing(19, window, since)
    for p in range(30):
        expected = plain_trailing(
            people.reading[:, p].tolist(), window, int(since[p]), care.sensor.patient_error
        )
        assert (mean[p], error[p], days[p]) == pytest.approx(expected, nan_ok=True)


def test_without_any_noise_the_pressure_is_the_arithmetic_of_its_parts():
    still = dict.fromkeys(
        ("untreated_sd", "season", "season_sd", "swing_sd", "trend", "trend_sd", "sensitivity_sd"), 0
    )
    care, people = ward(
        200,
        patients=still | {"number": 4, "adherence": 1, "untreated": "160 mmHg", "first_dose": 0},
        sensor={"patient_error": 0, "daily_error": 0, "motion": 0, "lost": 0},
    )
    people.change(0, 3, 0.0)
    for day in range(200):
        today = people.live(day, np.ones(4), np.zeros(4))
    assert today.pressure.tolist() == pytest.approx([145.0, 160.0, 160.0, 160.0])
    assert today.reading.tolist() == today.pressure.tolist()
    # After one time constant 63 % of the effect is there.
    assert people.pressure[6, 0] == pytest.approx(160.0 - 15.0 * (1.0 - math.exp(-1.0)))
    assert people.cuff(1) == pytest.approx(160.0, abs=4.0 * care.clinicians.cuff_error)


def test_swings_errors_and_lost_days_are_as_the_scenario_says():
    care, people = ward(
        400,
        patients={
            "number": 200,
            "season": 0,
            "season_sd": 0,
            "trend": 0,
            "trend_sd": 0,
            "adherence": 1,
            "swing_time": "2d",
        },
        sensor={"motion": 0, "lost": "10%", "patient_error": "3 mmHg", "daily_error": "5 mmHg"},
    )
    for day in range(400):
        people.live(day, np.full(200, 2.0), np.full(200, 1.0))
    swing = people.pressure - people.pressure.mean(axis=0)
    assert swing.std() == pytest.approx(care.patients.swing_sd, rel=0.03)
    following = np.mean(swing[1:] * swing[:-1]) / np.mean(swing**2)
    assert following == pytest.approx(math.exp(-0.5), abs=0.02)
    error = people.reading - people.pressure
    assert np.isnan(error).mean() == pytest.approx(0.1, abs=0.006)
    assert np.nanmean(error) == pytest.approx(1.0, abs=4 * 6.0 / math.sqrt(200))
    assert np.nanmean(error, axis=0).std() == pytest.approx(2.0 * 3.0, rel=0.2)
    assert np.nanstd(error - np.nanmean(error, axis=0)) == pytest.approx(2.0 * 5.0, rel=0.02)


@pytest.mark.parametrize(
    ("mean", "steps"),
    [(120, 0), (130, 0), (130.1, 1), (135, 1), (135.1, 2), (190, 3), (109.9, -1), (60, -3), (math.nan, 0)],
)
def test_steps_bring_a_pressure_back_into_range(mean, steps):
    assert kernel.titration(mean, 110.0, 130.0, 5.0, 3) == steps


def test_confidence_is_the_chance_of_the_side():
    up, down, held = (kernel.confidence(130.0, 4.0, 110.0, 130.0, step) for step in (1, -1, 0))
    assert up == pytest.approx(0.5)
    assert down < 1e-6
    assert up + down + held == pytest.approx(1.0)
    assert kernel.confidence(150.0, 0.0, 110.0, 130.0, 2) == 1.0
    assert kernel.confidence(150.0, math.inf, 110.0, 130.0, 2) == 0.0


def test_doses_stay_within_the_regimen():
    _, people = ward(1, patients={"number": 1, "first_dose": 11})
    assert [people.change(0, steps, 1.0) for steps in (3, 1, -20, -1)] == [1, 0, -12, 0]
