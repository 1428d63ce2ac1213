"""Laws of recorded intervals: against SciPy, on samples of known laws, and on the repair times of GPU servers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.interval_fit import fit_file, fit_intervals, plot_fit
from scenarios import distributions
from scenarios.loader import validate_text
from sim import durations

FAULTS = Path(__file__).parents[3] / "shared" / "data" / "gpu_server_faults.csv"


def sample(name: str, n: int = 400, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return {
        "exponential": rng.exponential(2.0, n),
        "lognormal": rng.lognormal(0.5, 1.5, n),
        "weibull": 3.0 * rng.weibull(0.6, n),
    }[name]


@pytest.mark.parametrize("name", ["exponential", "lognormal", "weibull"])
def test_likelihood_and_distance_are_those_of_scipy(name):
    days = sample(name)
    found = fit_intervals(days, bootstraps=0)
    theirs = {
        "exponential": stats.expon(*stats.expon.fit(days, floc=0)),
        "lognormal": stats.lognorm(*stats.lognorm.fit(days, floc=0)),
        "weibull": stats.weibull_min(*stats.weibull_min.fit(days, floc=0)),
    }
    for law in found.laws[:3]:
        assert law.log_likelihood == pytest.approx(theirs[law.name].logpdf(days).sum(), abs=1e-3)
        assert law.distance == pytest.approx(stats.kstest(days, theirs[law.name].cdf).statistic, abs=1e-4)
        assert law.aic == pytest.approx(2 * (1 if law.name == "exponential" else 2) - 2 * law.log_likelihood)


@pytest.mark.parametrize("name", ["lognormal", "weibull"])
def test_the_law_of_a_sample_is_found(name):
    found = fit_intervals(sample(name), bootstraps=99)
    assert found.best.name == name
    assert found.recommended is found.best
    assert found.best.p_value >= 0.05
    assert "do not contradict" in found.verdict()


def test_an_exponential_sample_is_at_most_two_above_the_best():
    # A Weibull law contains it and has one parameter more: AIC differs by 2 minus a chi-squared number.
    found = fit_intervals(sample("exponential"), bootstraps=0)
    assert found.law("exponential").aic < found.law("lognormal").aic - 10
    assert found.law("exponential").aic - found.best.aic < 4
    assert found.law("weibull").duration.shape == pytest.approx(1.0, abs=0.2)


def test_parameters_come_back():
    lognormal = fit_intervals(sample("lognormal", 4000), bootstraps=0).law("lognormal").duration
    assert np.log(lognormal.median) == pytest.approx(0.5, abs=5 * 1.5 / np.sqrt(4000))
    weibull = fit_intervals(sample("weibull", 4000), bootstraps=0).law("weibull").duration
    assert weibull.shape == pytest.approx(0.6, abs=0.04)
    assert weibull.scale == pytest.approx(3.0, rel=0.15)


def test_neither_law_fits_a_mixture_and_the_record_is_recommended():
    days = np.concatenate((sample("exponential", 300) / 1000, 50 + sample("exponential", 300)))
    found = fit_intervals(days, bootstraps=99)
    assert found.recommended.name == "empirical"
    assert "take the record itself" in found.verdict()
    recorded = found.recommended.duration
    assert isinstance(recorded, distributions.Empirical)
    assert len(recorded.values) == 200
    assert durations.mean(recorded) == pytest.approx(days.mean(), rel=1e-3)


def test_few_intervals_are_written_as_they_are():
    found = fit_intervals([0.0, 1.0, 2.0, 3.0, 50.0], bootstraps=0)
    assert found.zeros == 1
    assert found.law("empirical").text == "{kind: empirical, values: [0, 1d, 2d, 3d, 50d]}"


@pytest.mark.parametrize("name", ["exponential", "lognormal", "weibull", "empirical"])
def test_each_text_is_a_duration_of_a_scenario(name):
    text = fit_intervals(sample("lognormal", 40), bootstraps=0).law(name).text
    scenario = validate_text(
        f"""
title: fit
horizon: 30d
value_per_query_per_unit_accuracy: $1
quality: {{kind: exponential, initial_accuracy: 0.9, decay: 0/d}}
traffic: {{rate: 1k/d}}
serving: {{pools: [{{service: 12ms, failures: {{repair: {text}}}}}]}}
"""
    )
    assert scenario.serving.pools[0].failures.repair.kind == name


@pytest.mark.parametrize(
    ("days", "message"),
    [
        ([1.0, 2.0], "at least 5 finite intervals"),
        ([1.0, 2.0, 3.0, 4.0, np.nan], "at least 5 finite intervals"),
        ([-1.0, 2.0, 3.0, 4.0, 5.0], "at least 0, got -1"),
        ([2.0] * 6, "all intervals are 2"),
    ],
)
def test_what_cannot_be_fitted_is_refused(days, message):
    with pytest.raises(ValueError, match=message):
        fit_intervals(days)


# ---------------------------------------------------------------- files


def test_a_column_with_its_unit_in_the_name(tmp_path):
    pd.DataFrame({"host": ["a"] * 6, "repair_h": [1, 2, 3, 4, 5, 24]}).to_csv(tmp_path / "r.csv", index=False)
    found = fit_file(tmp_path / "r.csv", bootstraps=0)
    assert found.intervals[-1] == 1.0
    assert (
        fit_file(tmp_path / "r.csv", column="repair_h", unit="min", bootstraps=0).intervals[-1] == 24 / 1440
    )


@pytest.mark.parametrize(
    ("columns", "given", "message"),
    [
        ({"a": [1, 2], "b": [1, 2]}, {}, "which column has the intervals\\? one of: a, b"),
        ({"a": [1, 2]}, {}, "in which unit is column 'a'"),
        ({"a": [1, 2]}, {"column": "b"}, "no column of numbers 'b'; one of: a"),
        ({"a": [1, 2]}, {"start": "a"}, "give column, or start and end"),
    ],
)
def test_a_file_that_leaves_questions_is_one_clear_error(tmp_path, columns, given, message):
    pd.DataFrame(columns).to_csv(tmp_path / "r.csv", index=False)
    with pytest.raises(ValueError, match=message):
        fit_file(tmp_path / "r.csv", **given)


def test_repairs_of_gpu_servers_are_heavy_tailed():
    if not FAULTS.exists():
        pytest.skip(f"the faults are not there: {FAULTS.name} in ../shared/data")
    found = fit_file(FAULTS)
    assert len(found.intervals) == 302
    assert 24 * found.intervals.mean() == pytest.approx(124.44, abs=0.01)
    assert 24 * np.median(found.intervals) == pytest.approx(21.858, abs=0.001)
    assert found.zeros == 10
    assert found.law("exponential").aic > found.best.aic + 200
    assert found.law("weibull").duration.shape < 0.5
    assert found.best.name == "weibull"
    assert found.recommended.name == "empirical"
    assert durations.mean(found.law("empirical").duration) * 24 == pytest.approx(124.44, rel=1e-3)


def test_the_picture_has_axes_with_units():
    axes = plot_fit(fit_intervals(sample("weibull", 50), bootstraps=0))
    assert "hours" in axes.get_xlabel()
    assert len(axes.lines) == 4
