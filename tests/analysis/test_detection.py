"""Answers about detection: thresholds, powers, rows and delays, each checked by a simulation of its own."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from analysis import detection as de
from analysis.experiment_economics import samples_to_tell_apart
from sim.kernels import scores


def simulated_scores(score, shift, rows, bins, reference_rows, draws, seed=0):
    """Scores of raw rows: normal samples, empirical quantiles of a normal reference, the monitors' kernel."""
    generator = np.random.default_rng(seed)
    counts = np.empty((draws, 1, bins))
    for first in range(0, draws, 20):
        reference = generator.standard_normal(reference_rows)
        edges = np.quantile(reference, np.arange(1, bins) / bins, method="inverted_cdf")
        place = np.searchsorted(edges, generator.standard_normal((20, rows)) + shift)
        place += bins * np.arange(20)[:, None]
        counts[first : first + 20, 0] = np.bincount(place.ravel(), minlength=20 * bins).reshape(20, bins)
    out = np.empty((draws, 1))
    kernel = {"psi": scores.psi_of_counts, "ks": scores.ks_of_counts, "js": scores.js_of_counts}[score]
    kernel(counts, np.full((1, bins), 1 / bins), 0.0 if score == "ks" else 0.5, out)
    return out[:, 0]


# ---------------------------------------------------------------- thresholds


@pytest.mark.parametrize(("score", "rows"), [("psi", 300), ("js", 500), ("ks", 400)])
def test_threshold_gives_the_wanted_false_alarms(score, rows):
    monitor = de.FeatureMonitor(score, features=20, cadence="1h", false_alarms="0.5/d", reference_rows=5000)
    assert monitor.probability == pytest.approx(1 - (1 - 0.5 / 24) ** (1 / 20))
    found = simulated_scores(score, 0.0, rows, 10, 5000, 20_000)
    looks = found.reshape(1000, 20).max(axis=1) > monitor.threshold(rows)
    expected = 1000 * 0.5 / 24
    assert abs(looks.sum() - expected) < 0.15 * expected + 4 * math.sqrt(expected)


def test_one_false_alarm_a_quarter_with_20_features_every_hour():
    monitor = de.FeatureMonitor("psi", features=20, cadence="1h", false_alarms="1/quarter")
    assert monitor.probability == pytest.approx(1 / (2190 * 20), rel=1e-3)
    for rows in (1000, 100_000):
        by_chi_square = stats.chi2.isf(monitor.probability, 9) * (1 / rows + 1 / 100_000)
        assert monitor.threshold(rows) == pytest.approx(by_chi_square, rel=0.02)
        back = monitor.false_alarms_a_day(monitor.threshold(rows), rows)
        assert back == pytest.approx(4 / 365, rel=0.03)
    table = monitor.threshold_table(1000)
    assert table.loc["calibrated", "detectable_shift"] == monitor.detectable_shift(1000)
    assert table.loc["of the source", "threshold"] == 0.2
    # The source's threshold sees no sample size: silent at 1000 rows, and at 35 it calls every day.
    assert table.loc["of the source", "false_alarms_per_day"] < 1e-9
    assert monitor.threshold_table(35).loc["of the source", "false_alarms_per_day"] > 20
    assert list(de.FeatureMonitor("hellinger").threshold_table(100).index) == ["calibrated"]


@pytest.mark.parametrize(
    ("rate", "expected"),
    [("1/quarter", 4 / 365), ("2 /quarter", 8 / 365), ("1/month", 12 / 365), ("3/w", 3 / 7), (0.25, 0.25)],
)
def test_rates_are_read(rate, expected):
    assert de.per_day(rate) == pytest.approx(expected)


# ---------------------------------------------------------------- power


@pytest.mark.parametrize(
    ("score", "shift", "rows", "reference_rows", "bins"),
    [
        ("psi", 0.2, 700, 5000, 10),
        ("ks", 0.2, 500, 5000, 10),
        ("js", -0.5, 60, 1000, 5),
        ("psi", 0.1, 4000, 20_000, 20),
    ],
)
def test_power_is_what_a_simulation_of_raw_rows_finds(score, shift, rows, reference_rows, bins):
    monitor = de.FeatureMonitor(score, 1, "1h", "0.05/d", bins=bins, reference_rows=reference_rows)
    draws = 2000
    passed = simulated_scores(score, shift, rows, bins, reference_rows, draws) > monitor.threshold(rows)
    power = monitor.power(shift, rows)
    assert 0.1 < power < 0.97
    # 4 standard errors of both simulations; 20 samples of ours share a reference, which widens them.
    assert abs(passed.mean() - power) < 4 * 1.5 * math.sqrt(power * (1 - power) / draws)


@pytest.mark.parametrize(("shift", "rows"), [(0.05, 12_000), (0.02, 90_000)])
def test_power_of_psi_tends_to_the_non_central_chi_square(shift, rows):
    monitor = de.FeatureMonitor("psi", 20, "1h", "1/quarter", reference_rows=math.inf)
    edges = stats.norm.ppf(np.arange(1, 10) / 10)
    centrality = rows * scores.psi_population(shift, edges)
    exact = stats.ncx2.sf(stats.chi2.isf(monitor.probability, 9), 9, centrality)
    assert monitor.power(shift, rows) == pytest.approx(exact, abs=0.04)


@pytest.mark.parametrize("score", ["psi", "ks", "wasserstein", "mmd", "total_variation"])
def test_rows_and_shift_are_inverse_of_each_other_and_of_the_power(score):
    monitor = de.FeatureMonitor(score, features=20)
    needed = monitor.rows_needed(0.2)
    rows = int(needed.per_look)
    assert monitor.power(0.2, rows) >= 0.8 - 1e-9
    assert monitor.power(0.2, int(0.95 * rows)) < 0.8
    assert monitor.detectable_shift(rows) == pytest.approx(0.2, rel=0.02)
    assert needed == (rows, 1, rows, 1000)


def test_many_looks_within_a_day_need_fewer_rows_each_and_more_in_all():
    monitor = de.FeatureMonitor("psi", features=20, cadence="1h")
    one, day = monitor.rows_needed(0.2), monitor.rows_needed(0.2, within="1d")
    assert day.looks == 24
    assert day.in_all == 24 * day.per_look > one.in_all > day.per_look
    seen = 1 - (1 - monitor.power(0.2, int(day.per_look))) ** 24
    assert seen == pytest.approx(0.8, abs=0.02)


def test_a_shift_below_the_noise_of_the_reference_is_never_seen():
    monitor = de.FeatureMonitor("psi", features=20, reference_rows=1000)
    assert monitor.rows_needed(0.05).per_look == math.inf
    assert de.FeatureMonitor("psi", features=20, reference_rows=math.inf).rows_needed(0.05).per_look < 20_000
    # One row alone never reaches the threshold.
    assert monitor.detectable_shift(1) == math.inf


def test_more_shift_or_more_rows_never_make_power_worse():
    monitor = de.FeatureMonitor("psi", features=5)
    powers = np.array([[monitor.power(d, n) for n in (100, 1000, 10_000)] for d in (0.05, 0.1, 0.3)])
    assert (np.diff(powers, axis=0) >= 0).all()
    assert (np.diff(powers, axis=1) >= 0).all()
    assert monitor.power(-0.3, 500) == pytest.approx(monitor.power(0.3, 500), abs=0.05)


# ---------------------------------------------------------------- delay


@pytest.mark.parametrize(("shift", "rows_per_day"), [(0.25, 24_000), (0.5, 3600), (1.0, 24_000)])
def test_delay_is_what_a_simulation_of_changes_between_looks_finds(shift, rows_per_day):
    monitor = de.FeatureMonitor("psi", 20, "1h", "1/quarter", reference_rows=100_000)
    rows = rows_per_day // 24
    threshold = monitor.threshold(rows)
    generator = np.random.default_rng(4)
    edges = stats.norm.ppf(np.arange(1, 10) / 10)
    after = np.diff(stats.norm.cdf(edges, shift), prepend=0.0, append=1.0)
    delays = []
    for _ in range(1500):
        share = generator.random()
        for look in itertools.count():
            moved = generator.binomial(rows, share) if look == 0 else rows
            counts = generator.multinomial(moved, after) + generator.multinomial(
                rows - moved, np.full(10, 0.1)
            )
            p = (counts + 0.5) / (rows + 5)
            if ((p - 0.1) * np.log(p / 0.1)).sum() > threshold:
                break
        delays.append((share + look) / 24)
    delay = monitor.delay(shift, rows_per_day=rows_per_day)
    assert np.mean(delays) == pytest.approx(delay.mean, rel=0.12)
    assert np.mean(np.array(delays) <= delay.within(0.9)) >= 0.88


def test_delay_stands_beside_the_rule_of_the_source():
    monitor = de.ProportionMonitor(0.95, cadence="1d", false_alarms="1/y")
    delay = monitor.delay(0.05, rows_per_day=100)
    assert delay.rule_of_thumb == 10.0
    assert delay.rows_a_look == 100
    table = delay.table()
    assert table.loc["time to 1000 samples (rule of thumb)", "time"] == "10 d"
    assert table.loc["mean", "days"] == delay.mean < 10.0
    assert monitor.delay(0.05, rows_per_day=1000, most_rows=100).power_a_look == delay.power_a_look
    sure = monitor.delay(0.9, rows_per_day=1e5)
    assert sure.power_a_look == pytest.approx(1.0)
    assert 0.5 <= sure.mean < 0.7
    assert sure.within(0.99) == 2.0
    blind = monitor.delay(0.05, rows_per_day=1)
    assert blind.mean == blind.within(0.5) == math.inf


# ---------------------------------------------------------------- proportions


def brute_power(p0, p1, rows, alpha):
    """Exact power by adding up probabilities."""
    count = -1
    while stats.binom.cdf(count + 1, rows, p0) <= alpha:
        count += 1
    return sum(stats.binom.pmf(k, rows, p1) for k in range(count + 1))


@pytest.mark.parametrize(("p0", "p1", "alpha"), [(0.95, 0.90, 0.05), (0.7, 0.5, 1e-4), (0.99, 0.97, 0.01)])
def test_power_of_a_proportion_is_exact(p0, p1, alpha):
    rows = np.array([1, 5, 60, 149, 400])
    expected = [brute_power(p0, p1, int(n), alpha) for n in rows]
    np.testing.assert_allclose(de.proportion_power(p0, p1, rows, alpha), expected, rtol=1e-9, atol=1e-300)
    needed = de.proportion_rows_needed(p0, p1, alpha, 0.8)
    after = de.proportion_power(p0, p1, np.arange(needed, needed + 200), alpha)
    assert np.min(after) >= 0.8 > de.proportion_power(p0, p1, needed - 1, alpha)
    drop = de.proportion_detectable_drop(p0, needed, alpha)
    assert de.proportion_power(p0, p0 - drop, needed, alpha) == pytest.approx(0.8)
    assert drop <= p0 - p1 + 1e-9


def test_exact_rows_are_near_the_normal_approximation_and_meet_it_at_many_rows():
    assert samples_to_tell_apart(0.95, 0.90) < de.proportion_rows_needed(0.95, 0.90) < 1.4 * 149.3
    many = de.proportion_rows_needed(0.5, 0.49)  # 15,500: still exact
    assert many == pytest.approx(samples_to_tell_apart(0.5, 0.49), rel=0.02)
    assert de.proportion_rows_needed(0.5, 0.499) == math.ceil(samples_to_tell_apart(0.5, 0.499))


def test_false_alarms_of_a_proportion_monitor_never_exceed_the_wanted_rate():
    monitor = de.ProportionMonitor(0.9, proportions=5, cadence="6h", false_alarms="0.1/d")
    for rows in (20, 150, 1001):
        called = round(monitor.threshold(rows) * rows)
        assert (
            stats.binom.cdf(called, rows, 0.9) <= monitor.probability < stats.binom.cdf(called + 1, rows, 0.9)
        )
    assert math.isnan(de.ProportionMonitor(0.5).threshold(2))
    assert monitor.rows_needed(0.1).per_look == de.proportion_rows_needed(0.9, 0.8, monitor.probability)
    assert monitor.detectable_drop(500) == de.proportion_detectable_drop(0.9, 500, monitor.probability)
    assert de.proportion_detectable_drop(0.5, 2, 1e-3) == math.inf


def test_threshold_of_unbinned_ks_is_that_of_scipy():
    threshold = de.ks_threshold([0.05, 1e-3], 2000, 30_000)
    generator = np.random.default_rng(0)
    found = stats.ks_2samp(generator.random(2000), generator.random(30_000), method="asymp")
    assert stats.kstwo.sf(found.statistic, 1875) == pytest.approx(found.pvalue, rel=1e-9)
    np.testing.assert_allclose(stats.kstwo.sf(threshold, 1875), [0.05, 1e-3], rtol=1e-6)
    # In bins less is seen of the largest gap, so the threshold is lower.
    monitor = de.FeatureMonitor("ks", 1, "1d", 0.05, reference_rows=30_000)
    assert 0.8 * threshold[0] < monitor.threshold(2000) < threshold[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: de.FeatureMonitor("psii"), "score: got 'psii'"),
        (lambda: de.FeatureMonitor(features=0), "features: got 0, expected a whole number >= 1"),
        (lambda: de.FeatureMonitor(cadence="1 horse"), "got '1 horse', expected a duration"),
        (
            lambda: de.FeatureMonitor(cadence="1d", false_alarms="2/d"),
            "false_alarms: got '2/d', which is 2 a look",
        ),
        (lambda: de.FeatureMonitor(false_alarms="never"), "got 'never', expected a rate"),
        (lambda: de.FeatureMonitor(false_alarms="1e-9/y"), "false_alarms: got '1e-9/y'"),
        (lambda: de.FeatureMonitor(reference_rows=3), "reference_rows: got 3"),
        (lambda: de.FeatureMonitor().rows_needed(0.0), "shift: got 0"),
        (lambda: de.FeatureMonitor().rows_needed(0.1, power=1.0), "power: got 1"),
        (lambda: de.FeatureMonitor().rows_needed(0.1, within="10min"), "within: got '10min'"),
        (lambda: de.FeatureMonitor().detectable_shift(0), "rows: got 0"),
        (lambda: de.FeatureMonitor().power(0.1, 0), "rows: got 0"),
        (lambda: de.FeatureMonitor().delay(0.1, rows_per_day=2), "rows_per_day: got 2"),
        (lambda: de.ProportionMonitor(1.2), "baseline: got 1.2"),
        (lambda: de.ProportionMonitor(0.9).rows_needed(-0.05), "proportion: got 0.95"),
        (lambda: de.ks_threshold(0.1, 0), "rows: got 0"),
        (lambda: de.ks_threshold(0.1, 10, -1), "reference_rows: got -1"),
        (lambda: de.per_day("0/quarter"), "rate: got 0"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
