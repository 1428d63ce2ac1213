"""Rules of monitors: set rates of false alarms emerge, sample sizes count, limits adapt, detectors are fed rightly."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import pytest

import sim
from scenarios.detectors import Detector
from scenarios.loader import validate_mapping
from scenarios.monitoring import SCORES, Monitor
from scenarios.problems import ScenarioError
from scenarios.schema import Scenario
from sim.alarm_rules import detector_of
from sim.kernels.adaptive import adaptive_limits, adaptive_memory
from sim.kernels.detectors import DETECTORS
from sim.kernels.orderings import ordered_errors

SPECS = get_args(get_args(Detector)[0])


def world(monitor: dict[str, Any], days: int = 365, **changes: Any) -> Scenario:
    written = {
        "title": "test",
        "horizon": f"{days}d",
        "window": "1h",
        "value_per_query_per_unit_accuracy": "$0.01",
        "features": [{"name": f"x{i}"} for i in range(20)],
        "quality": {
            "kind": "degradation",
            "initial_accuracy": 0.9,
            "feature_sensitivity": 0.05,
            "concept_sensitivity": 0.1,
        },
        "drift": [],
        "traffic": {"rate": "24000/d", "arrivals": "deterministic"},
        "labels": {"coverage": 0.2, "delay": "1h"},
        "pipeline": {"stages": {"training": "2h"}, "cost": {"compute": "$10"}},
        "monitors": [{"cooldown": "0d", **({} if "detector" in monitor else {"min_samples": 1}), **monitor}],
    }
    return validate_mapping(written | changes)


def alarms(scenario: Scenario, seed: int = 0) -> list[Any]:
    return list(sim.run(scenario, "never", seed=seed).alarms)


def step(size: float, day: float = 10.0) -> list[dict[str, Any]]:
    """All features jump by `size` SDs on a day."""
    series = {"step": f"{day:g}d", "values": [0.0, *[size] * 100]}
    return [{"kind": "recorded", "on": "features", "series": series}]


# ---------------------------------------------------------------- significance


@pytest.mark.parametrize("correction", ["family_wise", "benjamini_hochberg"])
@pytest.mark.parametrize("score", SCORES)
def test_false_alarms_come_as_often_as_set(score, correction):
    """Nothing changes in 20 features for a year; the count is Poisson-like with the accepted rate of 200 a year."""
    monitor = {
        "metric": f"feature_drift_{score}",
        "rule": "significance",
        "false_alarms": "200/y",
        "correction": correction,
        "sampling": "normal" if score == "ks" else "multinomial",
    }
    found = len(alarms(world(monitor)))
    assert abs(found - 200) < 4 * math.sqrt(200)


@pytest.mark.parametrize("rows", [35, 1000, 100_000])
def test_rows_alone_do_not_call(rows):
    """The same rate of false alarms from 35 rows as from 100,000; a fixed PSI of 0.2 would call every hour at 35."""
    monitor = {"metric": "feature_drift_psi", "rule": "significance", "false_alarms": "200/y", "rows": rows}
    monitor["reference_rows"] = 100 * max(rows, 1000)  # else a year shares the luck of its one reference
    busy = {"rate": "2.4M/d", "arrivals": "deterministic"}
    found = len(alarms(world(monitor, traffic=busy)))
    assert abs(found - 200) < 4 * math.sqrt(200)
    if rows == 35:
        fixed = world({"metric": "feature_drift_psi", "rows": rows}, days=30, traffic=busy)
        assert len(alarms(fixed)) > 0.9 * 24 * 30


def test_a_small_shift_is_seen_by_many_rows_only():
    """A shift of 0.1 SD: far below PSI 0.2, certain with 100,000 rows, invisible in 35."""
    monitor = {"metric": "feature_drift_psi", "rule": "significance", "false_alarms": "4/y"}
    busy = {"rate": "2.4M/d", "arrivals": "deterministic"}
    few, many = (
        alarms(world({**monitor, "rows": rows}, days=30, drift=step(0.1), traffic=busy))
        for rows in (35, 100_000)
    )
    assert len([alarm for alarm in many if alarm.time > 10]) > 0.95 * 24 * 20
    assert all(alarm.score < 0.05 for alarm in many)
    assert len(few) < 24


@pytest.mark.parametrize("delay", ["0h", "5h"])
@pytest.mark.parametrize("window", ["1d", "3d"])
def test_false_alarms_of_accuracy_are_as_set_on_average(window, delay):
    monitor = {
        "metric": "accuracy",
        "rule": "significance",
        "false_alarms": "60/y",
        "cadence": "1d",
        "window": window,
    }
    scenario = world(monitor, labels={"coverage": 0.2, "delay": delay})
    found = [len(alarms(scenario, seed)) for seed in range(12)]
    # Discrete counts of right answers keep below the set rate, and windows that overlap call in runs.
    assert 0.75 * 60 < statistics.mean(found) < 1.15 * 60


def test_the_recorded_threshold_is_that_of_the_sample_size():
    monitor = {"metric": "feature_drift_psi", "rule": "significance", "false_alarms": "200/y"}
    for alarm in alarms(world(monitor)):
        assert alarm.score >= alarm.threshold * (1 - 1e-6)
        assert 0.02 < alarm.threshold < 0.06


# ---------------------------------------------------------------- detectors


def test_every_detector_has_a_place_in_the_schema():
    kinds = {get_args(spec.model_fields["kind"].annotation)[0] for spec in SPECS}
    assert kinds == set(DETECTORS)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.__name__)
def test_parameters_of_the_schema_are_those_of_the_detector(spec):
    """Same names, same defaults; a chart is one-sided in a monitor, and draws of KSWIN are seeded."""
    kind = get_args(spec.model_fields["kind"].annotation)[0]
    given = spec(kind=kind)
    detector, own = detector_of(given), {"shewhart": DETECTORS["ewma"]}.get(kind, DETECTORS[kind])()
    written = given.model_dump(exclude={"kind"})
    assert {name: detector.parameters()[name] for name in written} == written
    differ = {name for name, value in written.items() if own.parameters()[name] != value}
    assert differ <= {"sided", "seed", "limit" if kind == "shewhart" else ""}


@pytest.mark.parametrize("kind", ["shewhart", "cusum", "ewma", "page_hinkley", "adwin", "kswin"])
@pytest.mark.parametrize("metric", ["feature_drift_psi", "prediction_distribution_shift", "accuracy"])
def test_detectors_see_a_jump_soon_and_little_else(kind, metric):
    detector: Any = (
        {"kind": "page_hinkley", "threshold": 30, "mode": "up"} if kind == "page_hinkley" else kind
    )
    drift = [*step(0.6), *({**one, "on": "concept"} for one in step(1.5))]
    scenario = world({"metric": metric, "detector": detector, "cadence": "1h"}, days=20, drift=drift)
    times = [alarm.time for alarm in alarms(scenario)]
    after = [time for time in times if time > 10]
    assert after
    assert min(after) < 12
    if kind != "shewhart":
        assert len(times) - len(after) <= 4


@pytest.mark.parametrize("kind", ["ddm", "hddm_a", "hddm_w", "adwin", "page_hinkley"])
def test_detectors_of_errors_read_single_labels(kind):
    """They call within a day of a fall by 22 points: labels come at 200 an hour, looks once a day."""
    drift = [{**one, "on": "concept"} for one in step(1.5)]
    scenario = world({"metric": "accuracy", "detector": kind}, days=20, drift=drift)
    times = [alarm.time for alarm in alarms(scenario)]
    assert any(10 < time <= 11.01 for time in times)


def test_answers_come_in_any_order_and_in_the_same_one_again():
    key, windows = np.uint64(5), np.arange(2000)
    labels, correct = np.full(2000, 5), np.full(2000, 3)
    values = np.empty(10_000)
    ordered_errors(key, windows, labels, correct, values)
    table = values.reshape(2000, 5)
    assert (table.sum(axis=1) == 2).all()
    assert abs(table.mean(axis=0) - 0.4).max() < 4 * math.sqrt(0.24 / 2000)
    orders, counts = np.unique(table, axis=0, return_counts=True)
    assert len(orders) == 10
    assert counts.min() > 130
    again = np.empty(5)
    ordered_errors(key, windows[7:8], labels[7:8], correct[7:8], again)
    assert (again == table[7]).all()


# ---------------------------------------------------------------- adaptive limits


def plain_limits(
    scores: list[float], trailing: int, season: int, least: int, deviations: float
) -> list[float]:
    limits = []
    for now in range(len(scores)):
        past = [(i, scores[i]) for i in range(max(now - trailing, 0), now) if not math.isnan(scores[i])]
        alike = [x for i, x in past if season < 2 or (now - i) % season == 0]
        if len(past) < max(least, 2):
            limits.append(math.nan)
            continue
        if len(alike) < 2:
            alike, groups = [x for _, x in past], [[x for _, x in past]]
        else:
            step = max(season, 1)
            groups = [[x for i, x in past if i % step == phase] for phase in range(step)]
        groups = [group for group in groups if group]
        within = sum((x - statistics.fmean(group)) ** 2 for group in groups for x in group)
        freedom = sum(len(group) - 1 for group in groups)
        limits.append(statistics.fmean(alike) + deviations * math.sqrt(within / freedom))
    return limits


@pytest.mark.parametrize("season", [0, 7, 24])
@pytest.mark.parametrize("level", [0.0, 1e6])
def test_adaptive_limits_are_mean_and_spread_of_the_past(season, level):
    rng = np.random.default_rng(season)
    scores = level + rng.normal(size=200) + 3 * np.sin(2 * np.pi * np.arange(200) / 7)
    scores[rng.random(200) < 0.1] = np.nan
    found, memory = np.empty(200), adaptive_memory(season)
    for start, stop in pairwise((0, 37, 38, 120, 200)):  # in parts, as looks come in
        adaptive_limits(scores[:stop], start, 60, 10, 2.5, memory, found[:stop])
    expected = np.array(plain_limits(scores.tolist(), 60, season, 10, 2.5))
    np.testing.assert_allclose(found - level, expected - level, rtol=1e-9, atol=1e-8)


def test_a_weekly_season_is_no_alarm_with_adaptive_limits():
    """Features that swing by 0.4 SD every week: fixed PSI calls all the time, limits with the season do not."""
    drift = [{"kind": "seasonal", "on": "features", "amplitude": 0.4, "period": "7d"}]
    monitor = {"metric": "feature_drift_psi", "cadence": "6h", "threshold": 0.1}
    limits = {"deviations": 6, "season": "weekly", "trailing": "28d"}
    fixed = alarms(world(monitor, days=120, drift=drift))
    plain, weekly = (
        alarms(world({**monitor, "rule": "adaptive", "limits": given}, days=120, drift=drift))
        for given in ({**limits, "season": "none", "deviations": 1}, limits)
    )
    late = [len([a for a in found if a.time > 30]) for found in (fixed, plain, weekly)]
    assert late[0] > 50
    assert late[1] > 10
    assert late[2] <= 2


def test_adaptive_limits_are_silent_before_they_know_the_past_unless_told_otherwise():
    drift = step(3.0, day=1.0)
    monitor = {"metric": "feature_drift_psi", "rule": "adaptive", "limits": {"min_looks": 100}}
    assert not [a for a in alarms(world(monitor, days=10, drift=drift)) if a.time < 100 / 24]
    told = [a.time for a in alarms(world({**monitor, "threshold": 0.2}, days=10, drift=drift))]
    assert 1 < min(told) < 1.1


def test_limits_of_equal_scores_are_not_passed():
    """Without sampling noise every score is the same, of either sign: nothing is above limits of its own past."""
    gate = {"stages": {"training": "2h"}, "cost": {"compute": "$10"}, "gate": {"holdout": 1000}}
    scenario = world({"metric": "accuracy", "rule": "adaptive", "sampling": "none"}, pipeline=gate)
    for seed in range(3):
        assert not sim.run(scenario, "scheduled:100d", seed=seed).alarms


# ---------------------------------------------------------------- the noise of the reference


def test_charts_know_that_a_holdout_is_a_sample():
    """A Shewhart chart at 3 SDs calls about once in two years, whatever the luck of the holdout."""
    gate = {"stages": {"training": "2h"}, "cost": {"compute": "$10"}, "gate": {"holdout": 1000, "margin": -1}}
    monitor = {"metric": "accuracy", "detector": "shewhart", "cadence": "1d"}
    found = [
        len(sim.run(world(monitor, pipeline=gate), "scheduled:7d", seed=seed).alarms) for seed in range(8)
    ]
    assert statistics.mean(found) < 4


@pytest.mark.parametrize("labels", [10, 100])
def test_few_labels_do_not_call_by_their_skewness(labels):
    """A normal error would call 10 times too often at 10 labels, and for ever from a first window without an error."""
    monitor = {"metric": "accuracy", "detector": "shewhart", "cadence": "1h", "min_samples": 1}
    few = {"coverage": labels / 1000, "delay": "1h"}
    found = [len(alarms(world(monitor, days=60, labels=few), seed)) for seed in range(4)]
    assert statistics.mean(found) < 5  # 2 by the normal tail
    lucky = {"kind": "degradation", "initial_accuracy": 0.99, "feature_sensitivity": 0.1}
    first = world({**monitor, "reference": "first_window"}, days=60, labels=few, quality=lucky)
    assert statistics.mean(len(alarms(first, seed)) for seed in range(4)) < 40


# ---------------------------------------------------------------- wrong input


@pytest.mark.parametrize(
    ("monitor", "message"),
    [
        ({"metric": "feature_drift_kl"}, "threshold: is missing: the source has none for feature_drift_kl"),
        ({"metric": "feature_drift_spi"}, "did you mean 'feature_drift_psi'"),
        ({"metric": "accuracy", "detector": "adwni"}, "did you mean 'adwin'"),
        ({"metric": "accuracy", "detector": {"kind": "adwin", "dleta": 0.1}}, "did you mean 'delta'"),
        ({"metric": "accuracy", "detector": {"kind": "adwin", "delta": 2}}, "less than 1"),
        ({"metric": "accuracy", "detector": {"kind": "eddm", "beta": 0.99}}, "beta: must not be above alpha"),
        (
            {"metric": "accuracy", "detector": "adwin", "rule": "cusum"},
            "detector: does not apply to rule cusum",
        ),
        ({"metric": "accuracy", "rule": "detector"}, "detector: is missing"),
        ({"metric": "feature_drift_psi", "detector": "ddm"}, "needs an accuracy metric"),
        ({"metric": "accuracy", "detector": "ddm", "sampling": "none"}, "sampling: none does not fit"),
        (
            {"metric": "accuracy", "detector": "ddm", "threshold": 3},
            "threshold: does not apply to rule detector",
        ),
        ({"metric": "accuracy", "false_alarms": "4/y"}, "false_alarms: applies to rule significance"),
        ({"metric": "accuracy", "limits": {"deviations": 2}}, "limits: applies to rule adaptive"),
        ({"metric": "accuracy", "rule": "significance", "correction": "family_wise"}, "for several features"),
        (
            {"metric": "feature_drift_psi", "rule": "significance", "sampling": "none"},
            "sampling: none does not fit rule significance",
        ),
        (
            {"metric": "feature_drift_psi", "rule": "significance", "aggregate": "mean"},
            "aggregate: mean does not apply",
        ),
        (
            {"metric": "feature_drift_psi", "rule": "significance", "false_alarms": "30/d"},
            "more than every second look",
        ),
        ({"metric": "accuracy", "rule": "cusum", "window": "7d"}, "must not be longer than the cadence"),
        (
            {
                "metric": "feature_drift_psi",
                "rule": "adaptive",
                "cadence": "5h",
                "limits": {"season": "daily"},
            },
            "two or more whole looks",
        ),
        ({"metric": "accuracy", "rule": "adaptive", "limits": {"trailing": "7d"}}, "needs at least 14 d"),
        (
            {
                "metric": "feature_drift_psi",
                "rule": "adaptive",
                "limits": {"trailing": "7d", "season": "weekly"},
            },
            "needs at least 14 d",
        ),
        ({"metric": "feature_drift_psi", "features": []}, "at least 1"),
        ({"metric": "feature_drift_psi", "features": ["x1", "x1"]}, "there twice"),
        ({"metric": "accuracy", "allowance": 1.0}, "allowance: applies to rule cusum"),
        ({"metric": "accuracy", "detector": "ddm", "window": "7d"}, "window: does not apply"),
        ({"metric": "feature_drift_psi", "score": "js"}, "score: applies to prediction_distribution_shift"),
    ],
)
def test_wrong_monitors_are_refused_in_words(monitor, message):
    with pytest.raises(ScenarioError, match=message):
        world(monitor)


def test_a_quarter_is_a_rate():
    wanted = {"metric": "feature_drift_psi", "rule": "significance", "false_alarms": "1/quarter"}
    assert Monitor.model_validate(wanted).accepted_false_alarms == 4 / 365
