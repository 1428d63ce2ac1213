"""Care: bounds move work between model and clinicians, recommendations have one end, errors follow the model."""

from __future__ import annotations

import numpy as np
import pytest

import sim
from sim.care import CareTeam
from sim.world import World, differing_fields
from tests.sim.small_care import ALWAYS, NO_BOUNDS, cared, ward

SEEDS = range(4)


def mean(figure: str, seeds=SEEDS, **changes) -> float:
    scenario = ward(**changes)
    return float(np.mean([cared(scenario, seed).figures[figure] for seed in seeds]))


@pytest.fixture(scope="module")
def base():
    return cared(ward())


# bounds


def test_tighter_bounds_move_load_to_clinicians():
    steps = [mean("reviews_per_week", care__bounds__step=step) for step in (3, 1, 0)]
    assert steps == sorted(steps)
    errors = [mean("reviews_per_week", care__bounds__standard_error=f"{e} mmHg") for e in (8, 5, 3.5)]
    assert errors == sorted(errors)
    assert min(np.diff(steps)) > 0.3 < min(np.diff(errors))


def test_without_bounds_no_titration_goes_to_a_clinician():
    found = cared(ward(care__bounds=NO_BOUNDS))
    routes = found.recommendations.query("kind == 'titration'")["route"].value_counts()
    assert set(routes.index) == {"none", "at once"}
    assert found.figures["reviews_per_week"] == 0.0
    assert found.figures["acted_at_once"] == 1.0


def test_with_bounds_of_zero_every_recommendation_goes_to_a_clinician():
    found = cared(ward(care__bounds={"step": 0, "standard_error": 0}))
    assert set(found.recommendations["route"]) == {"clinician", "alert"}
    assert found.figures["acted_at_once"] == 0.0


def test_nothing_beyond_the_bounds_is_taken_at_once(base):
    bounds = base.care.bounds
    alone = base.recommendations.query("route == 'at once'")
    assert len(alone) > 5
    assert (alone["recommended"].abs() <= bounds.step).all()
    assert (alone["standard_error_mmhg"] <= bounds.standard_error).all()
    assert (alone["dose"] + alone["recommended"]).between(bounds.lowest, bounds.highest).all()
    assert (alone["change"] == alone["recommended"]).all()


def test_alerts_recommend_no_dose_that_there_is_not():
    found = cared(
        ward(care__patients__untreated="185 mmHg", care__regimen__doses=3, care__alerts__above="150 mmHg")
    )
    alerts = found.recommendations.query("route == 'alert' and dose == 3")
    assert len(alerts) > 5
    assert (alerts["recommended"] == 0).all()
    assert set(alerts["decision"]) <= {"accepted", "open"}


# the log


def test_every_recommendation_ends_in_exactly_one_state(base):
    log = base.recommendations
    ends = {
        "none": {"held"},
        "at once": {"taken"},
        "clinician": {"accepted", "modified", "rejected", "open"},
        "alert": {"accepted", "modified", "rejected", "open"},
    }
    for route, decisions in ends.items():
        mine = log[log["route"] == route]
        assert len(mine)
        assert set(mine["decision"]) <= decisions
    open_ones = log["decision"] == "open"
    assert log.loc[open_ones, "decided_days"].isna().all()
    assert log.loc[~open_ones, "decided_days"].notna().all()
    assert (log["change"][log["decision"].isin(["held", "rejected", "open"])] == 0).all()
    assert len(base.log.rows) + sum(len(chunk[1]) for chunk in base.log.held) == len(log)


def test_one_recommendation_of_a_patient_waits_at_a_time(base):
    waiting = base.recommendations.query("route == 'clinician'")
    for _, mine in waiting.groupby("patient"):
        ends = mine["decided_days"].fillna(np.inf).to_numpy()
        assert (mine["time_days"].to_numpy()[1:] >= ends[:-1]).all()


def test_the_log_names_its_grounds_and_who_decided(base):
    log = base.recommendations
    assert set(log["by"]) == {"model", "clinician 1", ""}
    assert (log["version"] == 0).all()
    row = log.query("route == 'clinician' and decision != 'open'").iloc[20]
    day, patient = int(row["time_days"]), int(row["patient"])
    used = base.reading[max(day - 14, 0) : day, patient]
    assert row["days_used"] <= np.isfinite(used).sum()
    assert row["taken_days"] <= row["decided_days"]
    assert row["wait_hours"] == pytest.approx(24 * (row["taken_days"] - row["time_days"]))
    assert 110 < row["cuff_mmhg"] < 190


def test_without_visits_every_dose_is_what_the_log_made_of_it(monkeypatch):
    monkeypatch.setattr(CareTeam, "_invite", lambda team: None)
    found = cared(ward())
    assert found.log.visits.sum() == 0
    for _, mine in found.recommendations.groupby("patient"):
        for row in mine.itertuples():
            before = mine["decided_days"] <= row.time_days
            before &= (mine["time_days"] < row.time_days) | (mine.index < row.Index)
            assert row.dose == 2 + mine.loc[before, "change"].sum()
    assert (found.recommendations["change"] != 0).sum() > 50


# clinicians


BUSY = {
    "care__clinicians__hours": ALWAYS,
    "care__clinicians__review": {"kind": "exponential", "mean": "12h"},
    "care__clinicians__alert": "6h",
}
"""Clinicians who never go home and take their time: whoever waits, waits for them and not for the morning."""


def test_more_clinicians_never_wait_longer():
    waits = [mean("clinician_wait_hours", care__clinicians__number=n, **BUSY) for n in (1, 2, 4)]
    assert waits == sorted(waits, reverse=True)
    assert waits[0] > 1.5 * waits[2]


def test_alerts_jump_the_queue():
    log = cared(ward(care__alerts__above="150 mmHg", **BUSY)).recommendations
    waits = log.groupby("route")["wait_hours"].mean()
    assert (log["route"] == "alert").sum() > 20
    assert waits["alert"] < 0.5 * waits["clinician"]


def test_clinicians_are_paid_for_what_they_worked():
    result = sim.run(ward())
    assert result.care is not None
    hours = sum(work.hours for work in result.work)
    assert result.costs["review"] == pytest.approx(150.0 * hours)
    assert hours == pytest.approx(24.0 * result.care.log.worked.sum())
    assert result.care.days["clinician_hours"].max() <= 1.0 + 1e-9
    assert result.care.days["clinician_hours"][3::7].sum() == 0.0
    harm = result.care.log.harm.sum(axis=1)
    assert result.costs["harm"] == harm[0] * 4000 + harm[1] * 12000


def test_visits_are_further_apart_for_those_in_range():
    free = {"care__clinicians__number": 5, "care__clinicians__hours": ALWAYS, "care__patients__first_dose": 5}
    stable = mean("visits_per_patient_year", care__patients__swing_sd=0, **free)
    ill = mean(
        "visits_per_patient_year", care__regimen__doses=5, care__patients__untreated="175 mmHg", **free
    )
    assert stable < 0.5 * ill


# the model and the world


def test_a_worse_model_errs_more():
    good, bad = (cared(ward(quality__decay=decay)) for decay in ("0/d", "1%/d"))
    error = [np.nanstd((found.reading - found.pressure)[-30:]) for found in (good, bad)]
    # Accuracy has fallen from 0.9 to 0.9 exp(-1.05) in the middle of that time: 6.9 times the wrong answers.
    assert error[1] > 3.0 * error[0]
    refreshed = cared(ward(quality__decay="1%/d"), policy="scheduled:10d")
    assert np.nanstd((refreshed.reading - refreshed.pressure)[-30:]) < 0.6 * error[1]
    assert refreshed.recommendations["version"].max() >= 8


def test_slices_that_drift_are_biased():
    slices = [{"name": "some", "weight": "50%", "decay": "1%/d"}]
    found = cared(
        ward(slices=slices, quality__decay="0/d", care__sensor__bias="10 mmHg", care__sensor__daily_error=0)
    )
    shift = np.nanmean((found.reading - found.pressure)[-20:], axis=0)
    drifted, steady = shift[found.slice == 0].mean(), shift[found.slice == 1].mean()
    assert drifted - steady > 40.0


def test_without_noise_everybody_comes_into_range_and_stays():
    still = {
        f"care__patients__{name}": 0
        for name in ("swing_sd", "season", "season_sd", "trend", "trend_sd", "sensitivity_sd")
    }
    quiet = {f"care__sensor__{name}": 0 for name in ("patient_error", "daily_error", "motion", "lost")}
    found = cared(
        ward(care__patients__adherence=1, quality__decay="0/d", care__bounds=NO_BOUNDS, **still, **quiet)
    )
    assert (found.in_range[-30:] == 1.0).all()
    last = found.recommendations.query("time_days > 90")
    assert set(last["decision"]) == {"held"}


def test_all_policies_and_bounds_meet_the_same_patients():
    one, other = (
        cared(ward()),
        cared(ward(care__bounds=NO_BOUNDS, care__clinicians__number=3), policy="scheduled:20d"),
    )
    assert one.pressure[0].tolist() == other.pressure[0].tolist()
    assert (np.isnan(one.reading) == np.isnan(other.reading)).all()
    assert one.slice.tolist() == other.slice.tolist()


def test_the_world_is_its_patients():
    assert (
        differing_fields(
            ward(), ward(care__bounds__step=0, care__clinicians__number=3, care__visits__first="60d")
        )
        == []
    )
    for changes in (
        {"care__patients__untreated": "150 mmHg"},
        {"care__sensor__lost": 0},
        {"care__harm__crisis__rate": "1/y"},
    ):
        assert differing_fields(ward(), ward(**changes)) == ["care"]
    World(ward()).for_scenario(ward(care__regimen__high="140 mmHg"))


def test_a_run_comes_again_to_the_last_bit():
    one, two = cared(ward(), 7), cared(ward(), 7)
    assert one.recommendations.equals(two.recommendations)
    assert one.days.equals(two.days)


def test_days_that_end_within_the_horizon_are_lived():
    for horizon, days in (("10d", 10), ("10.5d", 10)):
        found = cared(ward(horizon=horizon, window="12h"))
        assert np.isfinite(found.pressure).all()
        assert len(found.days) == days
