"""Monitors at work: what they see of the rows and labels that are there, and when they call.

Statistical checks use a fixed seed and limits of 5 standard errors unless they say otherwise (error rate 6e-7 each).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom, chi2, norm

import sim
from scenarios.loader import ScenarioError, validate_mapping
from scenarios.schema import Scenario
from sim import Decision, Policy

INSTANT = dict.fromkeys(("data_validation", "training", "evaluation", "registration", "deployment"), "0d")
STILL = {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"}


def scenario(*monitors: dict[str, Any], **parts: Any) -> Scenario:
    plain: dict[str, Any] = {
        "title": "monitoring",
        "horizon": "40d",
        "window": "1d",
        "value_per_query_per_unit_accuracy": "$1",
        "features": 3,
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1%/d"},
        "traffic": {"rate": "1000/d", "arrivals": "deterministic"},
        "monitors": list(monitors),
        "pipeline": {"stages": INSTANT},
    }
    return validate_mapping(plain | parts)


def watched(monitor: dict[str, Any], policy: str | Policy = "never", **parts: Any) -> sim.Result:
    return sim.run(scenario(monitor, **parts), policy)


def score_of(result: sim.Result) -> np.ndarray:
    """Score by window of the only monitor."""
    (score,) = result.scores.values()
    return score


def accuracy(**settings: Any) -> dict[str, Any]:
    return {"metric": "accuracy", "window": "1d", "cadence": "1d", "cooldown": "0d"} | settings


def psi(**settings: Any) -> dict[str, Any]:
    return {"metric": "feature_drift_psi", "cooldown": "0d"} | settings


class On(Policy):
    """Retrain on given dates."""

    name = "on dates"

    def __init__(self, *dates: float) -> None:
        self.dates = dates

    def decide(self, view: sim.View) -> Decision:
        due = any(abs(view.now - date) < 1e-9 for date in self.dates) and view.now not in view.retrainings
        return Decision(due, min((d for d in self.dates if d > view.now + 1e-9), default=math.inf))


# ---------------------------------------------------------------- features: false alarms of a still world


def within_binomial(count: int, trials: int, chance: float) -> bool:
    """Whether a count is inside the interval that chance leaves once in 10,000 times."""
    return bool(binom.ppf(5e-5, trials, chance) <= count <= binom.isf(5e-5, trials, chance))


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("sampling", ["multinomial", "normal"])
def test_false_alarms_of_psi_come_as_often_as_its_null_distribution_says(alpha, sampling):
    # PSI of n rows against m reference rows in K bins is (1/n + 1/m) chi-square with K - 1 degrees of freedom.
    rows, reference, bins, windows = 10_000, 10**8, 10, 6000
    threshold = (1 / rows + 1 / reference) * chi2.isf(alpha, bins - 1)
    monitor = psi(rows=rows, reference_rows=reference, bins=bins, threshold=threshold, sampling=sampling)
    result = watched(
        monitor, features=1, window="1h", horizon=f"{windows}h", traffic={"rate": "1M/d"}, quality=STILL
    )
    assert result.summary["alarms"] == result.summary["false_alarms"]
    assert result.summary["alarms"] == (score_of(result) > threshold).sum()
    assert within_binomial(int(result.summary["alarms"]), windows, alpha)


def test_the_reference_is_a_sample_too_and_each_model_learns_its_own():
    # A new model every window: every score has a reference of its own, as large as the sample itself.
    rows, alpha, windows = 10_000, 0.05, 2000
    threshold = (1 / rows + 1 / rows) * chi2.isf(alpha, 9)
    monitor = psi(rows=rows, reference_rows=rows, threshold=threshold)
    result = watched(
        monitor, "scheduled:1h", features=1, window="1h", horizon=f"{windows}h", traffic={"rate": "1M/d"}
    )
    assert result.summary["deployments"] == windows - 1
    assert within_binomial(int((score_of(result) > threshold).sum()), windows, alpha)
    fixed = watched(monitor, features=1, window="1h", horizon=f"{windows}h", traffic={"rate": "1M/d"})
    assert not within_binomial(int((score_of(fixed) > threshold).sum()), windows, alpha), (
        "one reference for all"
    )


@pytest.mark.parametrize(
    ("window", "rows", "pooled"),
    [("1d", 500, 500), ("4d", 500, 2000), ("1d", 10**6, 1000), ("4d", None, 4000)],
)
def test_a_trailing_window_pools_its_rows(window, rows, pooled):
    monitor = psi(window=window, cadence=window, rows=rows, reference_rows=10**8, features=["x1"])
    found = score_of(watched(monitor, horizon="4000d"))
    found = found[~np.isnan(found)]
    # chi-square / n with 9 degrees of freedom; its bias at these sizes is far below the error
    expected, error = 9 / pooled, math.sqrt(18 / len(found)) / pooled
    assert len(found) == 4000 / int(window.removesuffix("d"))
    assert found.mean() == pytest.approx(expected, abs=5 * error + 0.02 * expected)


def test_features_draw_their_noise_apart_and_monitors_too():
    worst, mean = psi(name="worst", rows=200), psi(name="mean", rows=200, aggregate="mean")
    first, second = (
        psi(name="first", rows=200, features=["x1"]),
        psi(name="second", rows=200, features=["x1"]),
    )
    result = sim.run(scenario(worst, mean, first, second, horizon="400d"), "never")
    assert abs(np.corrcoef(result.scores["first"], result.scores["second"])[0, 1]) < 5 / math.sqrt(400)
    assert result.scores["worst"].mean() > 1.3 * result.scores["mean"].mean()


# ---------------------------------------------------------------- features: scores of a known shift


def proportions(shift: float, bins: int) -> np.ndarray:
    """Share of a shifted normal feature in each decile (or so) of the reference."""
    inner = norm.ppf(np.arange(1, bins) / bins)
    return np.diff(norm.cdf(np.concatenate(([-np.inf], inner, [np.inf])) - shift))


def divergence(metric: str, shift: float, bins: int) -> float:
    actual, expected = proportions(shift, bins), np.full(bins, 1 / bins)
    if metric == "feature_drift_psi":
        return float(((actual - expected) * np.log(actual / expected)).sum())
    if metric == "feature_drift_ks":
        return float(np.abs(np.cumsum(actual - expected)).max())
    middle = (actual + expected) / 2
    return float((actual * np.log(actual / middle) + expected * np.log(expected / middle)).sum() / 2)


METRICS = ["feature_drift_psi", "feature_drift_ks", "feature_drift_js"]
RAMPS = [
    {"kind": "ramp", "rate": "0.05/d", "features": ["x1"]},
    {"kind": "ramp", "rate": "-0.02/d", "features": ["x2"]},
]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("bins", [5, 20])
@pytest.mark.parametrize(("aggregate", "features"), [("max", "all"), ("mean", "all"), ("max", ["x2", "x3"])])
def test_scores_without_noise_are_those_of_the_shift(metric, bins, aggregate, features):
    settings = {"bins": bins, "aggregate": aggregate, "features": features, "sampling": "none"}
    found = score_of(watched({"metric": metric, **settings}, drift=RAMPS))
    rates = {"x1": 0.05, "x2": -0.02, "x3": 0.0}
    names = list(rates) if features == "all" else features
    for day in (0, 7, 39):
        # the champion was trained on the first window
        scores = [divergence(metric, rates[name] * day, bins) for name in names]
        expected = max(scores) if aggregate == "max" else np.mean(scores)
        assert found[day] == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_the_prediction_moves_along_the_importance_of_the_features():
    features = [{"name": "x1", "weight": 1}, {"name": "x2", "weight": 3}, {"name": "x3", "weight": 0}]
    monitor = {"metric": "prediction_distribution_shift", "sampling": "none"}
    found = score_of(watched(monitor, drift=RAMPS, features=features))
    shift = (0.05 * 1 - 0.02 * 3) / math.sqrt(10)
    for day in (7, 39):
        assert found[day] == pytest.approx(divergence("js", shift * day, 10), rel=1e-6, abs=1e-12)


def test_a_shift_of_one_slice_shows_by_its_share():
    drift = [{"kind": "ramp", "rate": "0.05/d", "features": ["x1"], "slice": "a"}]
    monitor = psi(features=["x1"], sampling="none")
    found = score_of(watched(monitor, drift=drift, slices=[{"name": "a", "weight": 0.25}]))
    assert found[30] == pytest.approx(divergence("feature_drift_psi", 0.25 * 0.05 * 30, 10), rel=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_sampled_scores_surround_those_without_noise(metric):
    drift = [{"kind": "recorded", "series": {"step": "1d", "values": [0.0, 0.5]}, "features": ["x1"]}]
    monitor = {"metric": metric, "rows": 10_000, "features": ["x1"]}
    found = score_of(watched(monitor, drift=drift, horizon="300d", traffic={"rate": "100k/d"}))[1:]
    expected = divergence(metric, 0.5, 10)
    assert found.mean() == pytest.approx(expected, rel=0.02)
    assert found.std() > 0.005 * expected


def test_a_new_model_is_compared_with_the_data_it_was_trained_on():
    found = score_of(watched(psi(sampling="none", features=["x1"]), On(20.0), drift=RAMPS))
    for day in range(20, 40):
        # it learned window 19, the last one before its cut
        assert found[day] == pytest.approx(divergence("feature_drift_psi", 0.05 * (day - 19), 10), rel=1e-6)
    late = watched(psi(sampling="none", features=["x1"]), On(20.0), drift=RAMPS, labels={"delay": "5d"})
    assert score_of(late)[30] == pytest.approx(divergence("feature_drift_psi", 0.05 * 16, 10), rel=1e-6)


def test_a_new_model_of_a_recorded_stream_is_compared_with_its_own_data_too():
    rows = [[0.9] * 9] * 9
    quality = {"kind": "recorded", "period": "5d", "matrix": {"rows": rows}}
    found = score_of(watched(psi(sampling="none", features=["x1"]), On(20.0), drift=RAMPS, quality=quality))
    assert found[19] == pytest.approx(divergence("feature_drift_psi", 0.05 * 19, 10), rel=1e-6)
    assert found[30] == pytest.approx(divergence("feature_drift_psi", 0.05 * 11, 10), rel=1e-6)


def test_few_rows_give_no_score():
    few = score_of(watched(psi(min_samples=2000)))
    assert np.isnan(few).all()
    pooled = score_of(watched(psi(min_samples=2000, window="3d")))
    assert np.flatnonzero(~np.isnan(pooled)).tolist() == list(range(1, 40))


def test_a_reference_has_a_row_for_each_bin():
    with pytest.raises(ScenarioError, match="reference_rows"):
        scenario(psi(reference_rows=5, bins=10))


# ---------------------------------------------------------------- accuracy


def test_measured_accuracy_without_noise_is_the_mean_of_the_trailing_window():
    result = watched(accuracy(window="5d", sampling="none"))
    true = result.timeline.accuracy.to_numpy()
    for day in range(40):
        assert result.measured[day] == pytest.approx(true[max(day - 4, 0) : day + 1].mean(), abs=1e-12)
    assert score_of(result) == pytest.approx(0.9 - result.measured, abs=1e-12)


def test_measured_accuracy_is_binomial():
    chance, rows = 0.9, 1000
    found = watched(accuracy(), quality=STILL, horizon="2000d").measured
    assert np.array_equal(found * rows, np.round(found * rows))
    variance = chance * (1 - chance) / rows
    assert found.mean() == pytest.approx(chance, abs=5 * math.sqrt(variance / 2000))
    assert found.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / 2000))
    assert abs(np.corrcoef(found[1:], found[:-1])[0, 1]) < 5 / math.sqrt(2000)


@pytest.mark.parametrize("rate", ["1.9/d", "36.5/d"])
def test_a_fraction_of_a_request_does_not_bias_the_accuracy(rate):
    # expected numbers of requests need not be whole; 9 in 10 answers are right all the same
    days = 4000
    traffic = {"rate": rate, "arrivals": "deterministic"}
    monitor = accuracy(window="10d", cadence="10d", min_samples=1)
    result = watched(monitor, quality=STILL, horizon=f"{days}d", traffic=traffic)
    labels = days * float(rate.removesuffix("/d"))
    found = np.nanmean(result.measured)
    # whole labels at least: 1 of 1.9 requests is left in the worst case
    assert found == pytest.approx(0.9, abs=5 * math.sqrt(0.09 / (labels / 2)))


def test_labels_count_when_they_arrive_and_only_those_of_the_champion():
    result = watched(accuracy(sampling="none"), On(20.0), labels={"delay": "3d"})
    true = result.timeline.accuracy.to_numpy()
    silent = [*range(3), *range(20, 23)]
    assert np.flatnonzero(np.isnan(result.measured)).tolist() == silent
    for day in set(range(40)) - set(silent):
        assert result.measured[day] == pytest.approx(true[day - 3], abs=1e-12)


@pytest.mark.parametrize("policy", [On(), On(10.5)])
def test_a_monitor_looks_at_its_cadence_and_restarts_with_a_champion(policy):
    result = watched(accuracy(window="7d", cadence="3d", sampling="none"), policy)
    looks = np.flatnonzero(~np.isnan(score_of(result)))
    assert looks.tolist() == list(range(2, 40, 3))
    true = result.timeline.accuracy.to_numpy()
    first = 11 if policy.dates else 0
    assert result.measured[14] == pytest.approx(true[max(8, first) : 15].mean(), abs=1e-12)


def test_few_labels_give_no_score():
    result = watched(accuracy(min_samples=1001, window="2d"))
    assert np.flatnonzero(np.isnan(score_of(result))).tolist() == [0]
    none = watched(accuracy(), labels={"coverage": 0.0})
    assert np.isnan(score_of(none)).all()


def test_a_limit_of_rows_makes_the_reading_noisier():
    all_rows = watched(accuracy(), quality=STILL, horizon="1000d").measured
    few = watched(accuracy(rows=200), quality=STILL, horizon="1000d").measured
    assert np.array_equal(few * 200, np.round(few * 200))
    assert few.var() / all_rows.var() == pytest.approx(5, rel=5 * math.sqrt(4 / 1000))


@pytest.mark.parametrize("rows", [2, 7, 50])
def test_a_limit_of_rows_is_used_up_and_not_exceeded(rows):
    # about four batches of 250 labels arrive each day, from four different days
    labels = {"delay": {"kind": "uniform", "low": "0d", "high": "4d"}, "cost": "$1/label"}
    costs = watched(accuracy(rows=rows), labels=labels, horizon="200d").costs
    assert rows * 0.95 <= costs["labelling"] / 200 <= rows


def test_a_slice_is_watched_on_its_own_labels():
    slices = [{"name": "a", "weight": 0.2, "initial_accuracy": 0.6}]
    monitor = {"metric": "slice_accuracy", "slice": "a", "window": "1d"}
    result = watched(monitor, quality=STILL, slices=slices, horizon="1000d")
    measured = result.scores["slice_accuracy[a]"]
    # the drop counts from the fresh accuracy of the slice, of which about 200 labels a day are seen
    assert np.nanmean(measured) == pytest.approx(0.0, abs=5 * math.sqrt(0.24 / 200 / 1000))
    assert np.nanvar(measured) == pytest.approx(0.24 / 200, rel=0.25)


def test_the_reference_can_be_the_first_window_served():
    result = watched(accuracy(window="2d", cadence="2d", reference="first_window"), On(20.5))
    measured, score = result.measured, score_of(result)
    assert score[1] == 0.0
    for day in range(3, 20, 2):
        assert score[day] == measured[1] - measured[day]
    # the new champion serves days 22 and 23 first, as the day of its deployment is shared
    assert score[21] == 0.0
    assert score[39] == measured[21] - measured[39]


def test_the_reference_can_be_what_validation_measured():
    pipeline = {"stages": INSTANT, "gate": {"holdout": 500, "margin": -1}}
    result = watched(accuracy(), On(20.0), pipeline=pipeline)
    validation = result.champions[1].version.validation
    assert validation != 0.9
    assert score_of(result)[20:] == pytest.approx(validation - result.measured[20:], abs=1e-12)


# ---------------------------------------------------------------- rules


def test_a_threshold_is_passed_and_not_reached():
    # a drop of 0.1 from one day on, in numbers that float64 holds exactly
    quality = {"kind": "degradation", "initial_accuracy": 0.875, "concept_sensitivity": 1.0}
    drift = [{"kind": "ramp", "rate": "0.125/d", "start": "5d", "stop": "6d", "on": "concept"}]
    for threshold, alarms in ((0.124, 33), (0.125, 0)):
        monitor = accuracy(threshold=threshold, sampling="none")
        assert watched(monitor, quality=quality, drift=drift).summary["alarms"] == alarms


@pytest.mark.parametrize(("cooldown", "gap"), [("0d", 1), ("1d", 1), ("60h", 3), ("7d", 7)])
def test_a_monitor_is_silent_for_its_cooldown(cooldown, gap):
    result = watched(accuracy(threshold=0.1, sampling="none", cooldown=cooldown))
    times = [alarm.time for alarm in result.alarms]
    first = 1 + int(np.argmax(score_of(result) > 0.1))
    assert times == pytest.approx(list(range(first, 40, gap)))  # the horizon is not part of the run


def test_an_alarm_says_what_was_measured_and_whether_it_was_true():
    result = watched(accuracy(threshold=0.02), material_drop=0.05, horizon="60d")
    true = result.timeline.accuracy.to_numpy()
    assert len({alarm.true for alarm in result.alarms}) == 2
    for alarm in result.alarms:
        window = round(alarm.time) - 1
        assert alarm.monitor == "accuracy"
        assert alarm.score == score_of(result)[window] > alarm.threshold == 0.02
        assert alarm.true == (0.9 - true[window] >= 0.05)
    kinds = [event.kind for event in result.raw_events]
    assert kinds.count("alarm") == result.summary["alarms"] - result.summary["false_alarms"]
    assert kinds.count("false alarm") == result.summary["false_alarms"] > 0


def test_an_alarm_waits_for_nothing_but_its_window():
    # alarms in the middle of a long training come at their own time
    pipeline = {"stages": INSTANT | {"training": "10d"}}
    monitor = accuracy(threshold=0.1, sampling="none", cooldown="3d")
    calm = watched(monitor)
    busy = watched(monitor, On(11.3), pipeline=pipeline)
    before = [alarm.time for alarm in calm.alarms if alarm.time < 21.3]
    assert len(before) >= 3
    assert [alarm.time for alarm in busy.alarms if alarm.time < 21.3] == before


def test_cusum_is_the_sum_of_standardised_drops():
    settings = {"rule": "cusum", "threshold": 4.0, "allowance": 0.5}
    result = watched(accuracy(**settings), quality=STILL | {"decay": "0.05%/d"}, horizon="400d")
    law = binom(1000, 0.9)
    total, expected = 0.0, []
    for day, drop in enumerate(score_of(result)[:399]):
        right = round(1000 * (0.9 - drop))
        standardised = -ndtri(law.cdf(right) - 0.5 * law.pmf(right))
        if abs(drop) < 0.02:
            assert standardised == pytest.approx(drop / math.sqrt(0.9 * 0.1 / 1000), abs=0.2)
        total = max(0.0, total + standardised - 0.5)
        if total > 4.0:
            expected.append(float(day + 1))
            total = 0.0
    assert [alarm.time for alarm in result.alarms] == pytest.approx(expected)
    assert len(expected) > 5


def test_the_staleness_rule_calls_when_the_loss_has_reached_the_price():
    pipeline = {"stages": INSTANT, "cost": {"compute": "$300", "validation": "$50"}}
    monitor = accuracy(rule="staleness_cost", sampling="none", cooldown="40d")
    result = watched(monitor, pipeline=pipeline)
    lost = np.cumsum(1000 * (0.9 - result.timeline.accuracy))
    assert [alarm.time for alarm in result.alarms] == [1.0 + int(np.argmax(lost >= 350))]
    renewed = watched(monitor, On(5.0), pipeline=pipeline)
    assert [alarm.time for alarm in renewed.alarms] == [result.alarms[0].time + 5]


def test_a_retraining_silences_the_alarm_that_it_answers():
    system = scenario(triggers=[accuracy(threshold=0.1, sampling="none")])
    result = sim.run(system, "triggered")
    times = [alarm.time for alarm in result.alarms]
    starts = [event.time for event in result.raw_events if event.kind == "retraining started"]
    assert times == starts
    # the mean of the thirteenth day is the first one that is lower by 0.1
    assert times == [13.0, 26.0, 39.0]


@pytest.mark.parametrize("monitor", [accuracy(threshold=0.9), psi(threshold=100)], ids=["accuracy", "psi"])
def test_a_policy_reads_what_was_measured_and_no_more(monitor):
    seen: list[tuple[float, list[float], list[float]]] = []

    class Reading(Policy):
        name = "reading"

        def decide(self, view: sim.View) -> Decision:
            found = view.readings(monitor["metric"])
            seen.append((view.now, found.times.tolist(), found.scores.tolist()))
            return Decision(view.now == 10.0 and not view.retrainings, wake=view.now + 1.0)

    score = score_of(sim.run(scenario(monitor, drift=RAMPS, horizon="20d"), Reading()))
    assert [now for now, _, _ in seen] == [float(day) for day in (*range(11), *range(10, 20))]
    for place, (now, times, scores) in enumerate(seen):
        first = 0 if place <= 10 else 10  # the twelfth look is the first one on the new model
        assert times == [float(day) for day in range(first + 1, int(now) + 1)]
        assert scores == score[first : int(now)].tolist()
