"""Null distributions of scores: exact small cases, limits, the far tail, and the engine's own draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sim.kernels import sampling, scores, tails
from sim.multiple_testing import benjamini_hochberg, family_wise_probability, simes_p_values
from sim.null_calibration import SCORES, scores_of_counts
from sim.null_distributions import NullFamily, binomial_p_values

BINS = 10
POSITIONS = np.linspace(-1.5, 1.5, BINS)
GRAM = np.exp(-0.5 * (POSITIONS[:, None] - POSITIONS) ** 2)
CHI_SQUARE = ("psi", "kl", "js", "js_distance", "hellinger", "chi_square")


def family_of(score, reference_rows=math.inf, **other):
    where = {"wasserstein": {"positions": POSITIONS}, "mmd": {"gram": GRAM}}.get(score, {})
    return NullFamily.of(score, BINS, reference_rows, **where, **other)


# ---------------------------------------------------------------- exact cases


@pytest.mark.parametrize("reference_rows", [math.inf, 400])
@pytest.mark.parametrize("rows", [1, 7, 32, 60, 90, 1000])
def test_two_bins_are_the_binomial_or_beta_binomial_law(rows, reference_rows):
    family = NullFamily.of("chi_square", 2, reference_rows, pseudo_count=0.5)
    counts = np.arange(rows + 1)
    values = scores_of_counts(family.histogram, np.stack((counts, rows - counts), axis=1))
    if math.isinf(reference_rows):
        mass = stats.binom.pmf(counts, rows, 0.5)
    else:
        mass = stats.betabinom.pmf(counts, rows, reference_rows / 2, reference_rows / 2 + 1)
    exact = np.array([mass[values >= value * (1 - 1e-9)].sum() for value in values])
    tested = exact > 1e-7
    ratio = family.p_values(values[tested], rows) / exact[tested]
    assert ratio.max() < 1.25
    assert ratio.min() > 1 / 1.25


@pytest.mark.parametrize("score", ["psi", "ks", "total_variation", "kl"])
def test_three_bins_and_few_rows_by_enumeration(score):
    rows, proportions = 12, np.array([0.2, 0.3, 0.5])
    family = NullFamily.of(score, 3, proportions=proportions)
    counts = np.array([(i, j, rows - i - j) for i in range(rows + 1) for j in range(rows + 1 - i)])
    mass = stats.multinomial.pmf(counts, rows, proportions)
    values = scores_of_counts(family.histogram, counts)
    exact = np.array([mass[values >= value * (1 - 1e-9)].sum() for value in values])
    ratio = family.p_values(values, rows)[exact > 1e-7] / exact[exact > 1e-7]
    assert ratio.min() > 1 / 1.25
    assert ratio.max() < 1.25
    assert family.means(rows) == pytest.approx((mass * values).sum(), rel=0.03)
    for probability in (0.1, 0.01, 1e-3):
        threshold = family.thresholds(probability, rows)
        assert mass[values > threshold * (1 + 1e-9)].sum() < 1.15 * probability


# ---------------------------------------------------------------- limits and the far tail


@pytest.mark.parametrize("score", CHI_SQUARE)
def test_many_rows_tend_to_chi_square_far_into_the_tail(score):
    probabilities = 10.0 ** -np.arange(1, 8)
    family, rows, reference = family_of(score, 500_000), 1_000_000, 500_000
    squared = {"psi": 1, "chi_square": 1, "kl": 2, "js": 8, "js_distance": 8, "hellinger": 8}[score]
    power = 2 if score in ("js_distance", "hellinger") else 1
    statistic = squared * family.thresholds(probabilities, rows) ** power / (1 / rows + 1 / reference)
    ratio = stats.chi2.sf(statistic, BINS - 1) / probabilities
    assert (ratio > 0.8).all()
    assert (ratio < 1.25).all()
    if power == 1:
        mean = squared * family.means(rows) / (1 / rows + 1 / reference)
        assert mean == pytest.approx(BINS - 1, rel=0.02)


def test_p_values_beyond_the_tables_follow_the_tail():
    family = family_of("psi")
    for exponent in (9, 12, 15):
        value = stats.chi2.isf(10.0**-exponent, BINS - 1) / 1e6
        assert -math.log10(family.p_values(value, 1e6)) == pytest.approx(exponent, rel=0.05)


def independent_draws(draws, rows, reference_rows, seed):
    """Counts by NumPy: the reference's noise as a Dirichlet law, then a multinomial."""
    generator = np.random.default_rng(seed)
    if math.isinf(reference_rows):
        return generator.multinomial(rows, np.full(BINS, 1 / BINS), size=draws)
    parameters = np.full(BINS, reference_rows / BINS)
    parameters[-1] += 1
    return generator.multinomial(rows, generator.dirichlet(parameters, size=draws))


def exceedances(names, rows, reference_rows, draws, probabilities, batch=200_000):
    """Times that each score passes its thresholds, (scores, probabilities)."""
    families = [family_of(name, reference_rows) for name in names]
    thresholds = [family.thresholds(probabilities, rows) * (1 + 1e-9) for family in families]
    hits = np.zeros((len(names), len(probabilities)))
    for number in range(draws // batch):
        counts = independent_draws(batch, rows, reference_rows, number)
        for i, family in enumerate(families):
            values = scores_of_counts(family.histogram, counts)
            hits[i] += (values[:, None] > thresholds[i]).sum(axis=0)
    return hits


CONTINUOUS = tuple(name for name in SCORES if name not in ("ks", "total_variation"))


@pytest.mark.parametrize(
    ("rows", "reference_rows", "names"),
    [
        (35, 100_000, CONTINUOUS),
        (200, 1000, SCORES),
        (1000, math.inf, SCORES),
        (100_000, 100_000, SCORES),
        (1_000_000, 20_000, ("psi",)),
    ],
)
def test_thresholds_are_passed_as_often_as_they_say(rows, reference_rows, names):
    draws, probabilities = 200_000, np.array([1e-2, 1e-3])
    expected = draws * probabilities
    hits = exceedances(names, rows, reference_rows, draws, probabilities)
    # A factor 1.25, and 4 standard errors of the count: a wrong alarm in 16,000 comparisons.
    noise = 4 * np.sqrt(expected)
    if rows == 35:
        assert (hits[names.index("wasserstein")] < 1.25 * expected + noise).all()
        hits = np.delete(hits, names.index("wasserstein"), axis=0)
    assert (hits < 1.25 * expected + noise).all()
    assert (hits > expected / 1.25 - noise).all()


@pytest.mark.slow
@pytest.mark.parametrize("rows", [35, 200, 1000, 100_000, 1_000_000])
def test_far_thresholds_are_passed_as_often_as_they_say(rows):
    draws, probabilities = 5_000_000, np.array([1e-4, 1e-5])
    names = ("psi", "js", "chi_square", "mmd")
    expected = draws * probabilities
    hits = exceedances(names, rows, 100_000, draws, probabilities)
    assert (hits < 1.25 * expected + 4 * np.sqrt(expected)).all()
    assert (hits > expected / 1.25 - 4 * np.sqrt(expected)).all()


@pytest.mark.parametrize("score", ["ks", "total_variation"])
def test_scores_on_a_lattice_keep_their_false_alarms_at_few_rows(score):
    expected = 200_000 * np.array([1e-2, 1e-3])
    hits = exceedances((score,), 35, math.inf, 200_000, expected / 200_000)
    assert (hits < expected + 4 * np.sqrt(expected)).all()


@pytest.mark.parametrize(("score", "rows"), [("psi", 50), ("psi", 1000), ("js", 300), ("ks", 5000)])
def test_false_alarms_of_the_engines_own_kernels(score, rows):
    features, windows, bins = 2000, 50, 10
    edges = sampling.learn_edges(np.uint64(7), 0, 20_000, features, bins)
    counts = np.empty((windows, features, bins))
    sampling.feature_counts(
        np.uint64(11), 0, np.zeros((windows, features)), edges, np.full(windows, rows), sampling.EXACT,
        sampling.normal_cdf_table(), counts,
    )  # fmt: skip
    kernel = {"psi": scores.psi_of_counts, "js": scores.js_of_counts, "ks": scores.ks_of_counts}[score]
    pseudo_count = 0.0 if score == "ks" else 0.5
    found = np.empty((windows, features))
    kernel(counts, np.full((features, bins), 1 / bins), pseudo_count, found)
    p_values = NullFamily.of(score, bins, 20_000, pseudo_count=pseudo_count).p_values(found, rows)
    for level in (0.1, 0.01, 0.001):
        by_reference = (p_values <= level).mean(axis=0)  # windows of one reference are not independent
        error = by_reference.std() / math.sqrt(features)
        assert abs(by_reference.mean() - level) < 0.2 * level + 4 * error
    assert p_values.mean() == pytest.approx(0.5, abs=0.02)


# ---------------------------------------------------------------- the interface


@pytest.mark.parametrize("score", SCORES)
def test_thresholds_and_p_values_are_inverse_and_monotone(score):
    family = family_of(score, 50_000, pseudo_count=0.5)
    rows = np.array([5000.0, 7000.5, 1e6])
    levels = np.array([0.5, 0.05, 1e-3, 2.3e-5, 1e-6])[:, None]
    thresholds = family.thresholds(levels, rows)
    assert thresholds.shape == (5, 3)
    assert (np.diff(thresholds, axis=0) > 0).all()
    assert (np.diff(thresholds, axis=1) < 0).all()
    np.testing.assert_allclose(family.p_values(thresholds, rows), np.broadcast_to(levels, (5, 3)), rtol=0.02)
    at = family.at(5000)
    assert at.threshold(1e-3) == thresholds[2, 0]
    assert at.p_value(0.0) == 1.0
    assert 0 < at.mean < at.threshold(0.05)


OF_GAPS = {
    "ks": lambda gap: np.abs(np.cumsum(gap)).max(),
    "wasserstein": lambda gap: np.abs(np.cumsum(gap))[:-1] @ np.diff(POSITIONS),
    "mmd": lambda gap: gap @ GRAM @ gap,
}


@pytest.mark.parametrize("name", SCORES)
def test_scores_of_counts_are_those_of_the_proportions(name):
    generator = np.random.default_rng(3)
    expected = generator.dirichlet(np.full(BINS, 5.0))
    counts = generator.multinomial(40, np.full(BINS, 1 / BINS), size=50)
    shares = (counts + 0.7) / (40 + 0.7 * BINS)
    if name in OF_GAPS:
        plain = [OF_GAPS[name](share - expected) for share in shares]
    else:
        formula = scores.chi_square_divergence if name == "chi_square" else getattr(scores, name)
        plain = [formula(expected, share) for share in shares]
    family = family_of(name, proportions=expected, pseudo_count=0.7)
    np.testing.assert_allclose(scores_of_counts(family.histogram, counts), plain, rtol=1e-10, atol=1e-14)


def test_missing_scores_and_empty_windows_have_no_p_value():
    family = family_of("psi")
    found = family.p_values([[0.1, np.nan], [0.1, 0.1]], [[100], [0]])
    assert np.isnan(found).tolist() == [[False, True], [True, True]]
    assert np.isnan(family.thresholds(0.01, [0, 50])).tolist() == [True, False]
    assert family.p_values(0.1, 100).shape == ()
    assert family.p_values([], []).shape == (0,)


def test_the_same_arguments_give_the_same_numbers_in_any_order():
    rows = np.array([35, 777, 20, 1_000_000])
    first = family_of("js", 1234).thresholds(1e-4, rows)
    second = family_of("js", 1234)
    assert [float(second.thresholds(1e-4, n)) for n in rows[::-1]] == first[::-1].tolist()


def test_more_noise_in_the_reference_raises_thresholds():
    known, learned = family_of("psi"), family_of("psi", 1000)
    assert learned.thresholds(1e-3, 1000) == pytest.approx(2 * known.thresholds(1e-3, 1000), rel=0.05)
    assert learned.thresholds(1e-3, 1e9) > 0.9 * 1e-3 * stats.chi2.isf(1e-3, 9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NullFamily.of("psii"), "score: got 'psii', expected one of psi"),
        (lambda: NullFamily.of("psi", 1), "bins: got 1"),
        (lambda: NullFamily.of("psi", 10, 5), "reference_rows: got 5"),
        (lambda: NullFamily.of("psi", pseudo_count=-1), "pseudo_count: got -1"),
        (lambda: NullFamily.of("psi", 2, proportions=[0.5, 0.6]), "proportions: expected 2 numbers"),
        (lambda: NullFamily.of("wasserstein"), "positions: wasserstein needs 10"),
        (lambda: NullFamily.of("mmd", 2, gram=[[1, 0], [1, 1]]), "gram: mmd needs a symmetric"),
        (lambda: NullFamily.of("psi").thresholds(0.0, 100), "probability: got 0.0"),
        (lambda: NullFamily.of("psi").at(0), "rows: got 0"),
        (lambda: family_wise_probability(1.0, 3), "expected alpha"),
        (lambda: simes_p_values([0.1]), "p_values: got shape"),
        (lambda: benjamini_hochberg([1.2]), "p_values: got"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---------------------------------------------------------------- proportions, many features


def test_proportions_are_judged_by_the_exact_binomial_tail():
    found = binomial_p_values([88, 0, 100], [100, 0, 100], 0.95)
    exact = sum(math.comb(100, k) * 0.95**k * 0.05 ** (100 - k) for k in range(89))
    np.testing.assert_allclose(found, [exact, 1.0, 1.0], rtol=1e-12)


def test_simes_is_the_smallest_adjusted_p_value():
    generator = np.random.default_rng(5)
    table = generator.random((200, 7)) ** 2
    adjusted = stats.false_discovery_control(table, axis=1)
    np.testing.assert_allclose(benjamini_hochberg(table), adjusted, rtol=1e-12)
    expected = adjusted.min(axis=1)
    np.testing.assert_allclose(simes_p_values(table), expected, rtol=1e-12)
    table[0, 2:], table[1] = np.nan, np.nan
    found = np.empty(200)
    tails.simes(table, found)
    assert found[0] == pytest.approx(stats.false_discovery_control(table[0, :2]).min())
    assert np.isnan(found[1])
    np.testing.assert_allclose(found[2:], expected[2:], rtol=1e-12)
    uniform = simes_p_values(generator.random((100_000, 20)))
    assert (uniform <= 0.05).mean() == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 100_000))


def test_family_wise_probability_adds_up():
    each = family_wise_probability([0.0, 1e-6, 0.3], 20)
    np.testing.assert_allclose(1 - (1 - each) ** 20, [0.0, 1e-6, 0.3], rtol=1e-9)


def test_weights_of_the_calibration_are_the_dirichlet_multinomial_law():
    counts = np.array([[3.0, 1.0, 0.0], [2.0, 0.0, 2.0]])
    strength, centre = np.array([5.0, math.inf]), np.array([[0.2, 0.3, 0.5], [0.1, 0.4, 0.5]])
    logs = np.empty((2, 2))
    tails.dirichlet_multinomial_logs(counts, strength, centre, logs)
    ways = np.array([math.lgamma(5) - sum(math.lgamma(c + 1) for c in row) for row in counts])
    np.testing.assert_allclose(
        logs[:, 0] + ways, stats.dirichlet_multinomial.logpmf(counts.astype(int), 5 * centre[0], 4)
    )
    np.testing.assert_allclose(logs[:, 1] + ways, stats.multinomial.logpmf(counts, 4, centre[1]))
