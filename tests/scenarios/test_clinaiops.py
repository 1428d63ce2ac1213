"""What the scenario of hypertension care says: bounds trade harm against clinicians' time, and an ageing model both."""

from __future__ import annotations

import pandas as pd
import pytest

import scenarios
import sim
from scenarios.overlays import overlaid

WORLDS = range(8)


def means(policy: str, *overlays: str) -> pd.Series:
    scenario = overlaid(scenarios.load("clinaiops_hypertension"), list(overlays))
    runs = [sim.run(scenario, policy, replication=k).summary for k in WORLDS]
    return pd.concat(runs, axis=1).mean(axis=1)


@pytest.mark.slow
def test_wider_bounds_cost_harm_and_save_time():
    tight, free = means("never", "every_change_reviewed"), means("never", "no_bounds")
    assert free["hypotensions_per_patient_year"] > 1.5 * tight["hypotensions_per_patient_year"]
    assert free["clinician_wait_hours"] < 0.8 * tight["clinician_wait_hours"]
    assert free["reviews_per_week"] == 0.0


@pytest.mark.slow
def test_a_fresh_model_takes_work_off_the_clinician():
    old, fresh = means("never"), means("scheduled:91d")
    assert fresh["reviews_per_week"] < 0.8 * old["reviews_per_week"]
    assert fresh["visits_per_patient_year"] > old["visits_per_patient_year"]


def test_the_clinician_never_works_more_than_the_hours_there_are():
    result = sim.run(scenarios.load("clinaiops_hypertension"), "scheduled:182d")
    assert result.care is not None
    assert 0.3 < result.summary["time_in_range"] < 0.95
    assert 24.0 * result.care.log.worked.max() <= 2.0 + 1e-9
    assert result.care.by_slice["patients"].sum() == 80
