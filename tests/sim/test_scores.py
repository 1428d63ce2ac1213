"""Scores against scipy, closed forms and the law of PSI under no drift; kernels against the functions.

Statistical tests draw with fixed keys and state their error rate.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial.distance import cityblock, euclidean, jensenshannon
from scipy.special import ndtr, ndtri

from sim.kernels import sampling
from sim.kernels.scores import (
    COUNT_SCORES,
    FLOOR,
    SCORES,
    chi_square,
    chi_square_divergence,
    chi_square_of_counts,
    hellinger,
    hellinger_of_counts,
    js,
    js_distance,
    js_distance_of_counts,
    js_of_counts,
    kl,
    kl_of_counts,
    ks,
    ks_of_counts,
    mmd_of_counts,
    proportions,
    psi,
    psi_of_counts,
    psi_population,
    total_variation,
    total_variation_of_counts,
    wasserstein,
    wasserstein_of_counts,
)

KEY, EDGES_KEY = np.uint64(77), np.uint64(78)
AGE = [0.15, 0.25, 0.20, 0.18, 0.12, 0.10], [0.12, 0.22, 0.18, 0.20, 0.15, 0.13]

PEERS = {
    "psi": lambda e, a: stats.entropy(a, e) + stats.entropy(e, a),
    "kl": lambda e, a: stats.entropy(a, e),
    "js": lambda e, a: jensenshannon(e, a) ** 2,
    "js_distance": jensenshannon,
    "hellinger": lambda e, a: euclidean(np.sqrt(e), np.sqrt(a)) / math.sqrt(2),
    "total_variation": lambda e, a: cityblock(e, a) / 2,
    "chi_square_divergence": lambda e, a: stats.chisquare(a, e).statistic,
    "ks": lambda r, c: stats.ks_2samp(r, c).statistic,
    "wasserstein": stats.wasserstein_distance,
}
FLOORED = {"psi", "kl", "js", "js_distance", "chi_square_divergence"}
BINNED = FLOORED | {"hellinger", "total_variation"}
KERNELS = {
    "psi": psi_of_counts,
    "kl": kl_of_counts,
    "js": js_of_counts,
    "js_distance": js_distance_of_counts,
    "hellinger": hellinger_of_counts,
    "total_variation": total_variation_of_counts,
    "chi_square_divergence": chi_square_of_counts,
}


def vectors(name):
    """Pairs to score: proportions for the binned scores, samples for the others."""
    rng = np.random.default_rng(11)
    if name in BINNED:
        for bins in (2, 5, 10, 200):
            for concentration in (0.5, 1.0, 20.0):
                yield rng.dirichlet(np.full(bins, concentration), 2)
        yield [0.5, 0.5], [0.5, 0.5]
        yield AGE
    else:
        for sizes in ((1, 1), (1, 50), (300, 300), (47, 1000)):
            yield rng.normal(size=sizes[0]), rng.normal(0.4, 2.0, sizes[1])
            yield rng.integers(0, 6, sizes[0]), rng.integers(2, 9, sizes[1])  # ties within and between
            yield np.full(sizes[0], 3.0), np.full(sizes[1], 3.0)
            yield np.full(sizes[0], 3.0), np.full(sizes[1], -1.5)
            yield np.arange(sizes[0]), np.arange(sizes[1]) + 1000.0  # no overlap


@pytest.mark.parametrize("name", SCORES)
def test_scores_equal_scipy(name):
    floor = {"floor": 0.0} if name in FLOORED else {}
    for reference, current in vectors(name):
        assert SCORES[name](reference, current, **floor) == pytest.approx(
            PEERS[name](reference, current), rel=1e-12, abs=1e-12
        )


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_zero_for_equal_data_and_positive_otherwise(name):
    for reference, current in vectors(name):
        assert SCORES[name](reference, reference) == 0
        assert SCORES[name](current, current) == 0
        same = np.array_equal(np.unique(reference), np.unique(current))
        assert (SCORES[name](reference, current) > 0) != same


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_symmetric_except_kl_and_chi_square(name):
    if name in {"kl", "chi_square_divergence"}:
        assert SCORES[name](*AGE) != pytest.approx(SCORES[name](*AGE[::-1]), rel=1e-3)
        return
    for reference, current in vectors(name):
        forward, back = SCORES[name](reference, current), SCORES[name](current, reference)
        assert forward == pytest.approx(back, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", SCORES)
def test_scores_refuse_empty_and_non_finite_data(name):
    good = [0.5, 0.5]
    for bad in ([], [0.5, math.nan], [math.inf, 0.5]):
        with pytest.raises(ValueError, match=r"."):
            SCORES[name](good, bad)
        with pytest.raises(ValueError, match=r"."):
            SCORES[name](bad, good)


def test_psi_of_the_age_example():
    assert psi(*AGE) == pytest.approx(0.029308962785, abs=1e-12)  # printed with 12 digits


def test_empty_bins_count_as_the_floor():
    e, a = [0.5, 0.5, 0.0, 0.0], [0.5, 0.25, 0.25, 0.0]
    for floor in (1e-6, 1e-3):
        by_hand = (0.25 - 0.5) * math.log(0.25 / 0.5) + (0.25 - floor) * math.log(0.25 / floor)
        assert psi(e, a, floor) == pytest.approx(by_hand, rel=1e-13)
        assert kl(e, a, floor) == pytest.approx(
            0.25 * math.log(0.5) + 0.25 * math.log(0.25 / floor) - 0.5 + 0.5 + floor, rel=1e-13
        )
    assert psi(e, a) == psi(e, a, 1e-6)
    assert psi(e, a, 0.0) == math.inf
    assert kl(e, a, 0.0) == math.inf
    assert kl(a, e, 0.0) == pytest.approx(0.5 * math.log(2))
    assert js(e, a, 0.0) == pytest.approx(jensenshannon(e, a) ** 2, rel=1e-12)


def test_js_of_disjoint_data_is_ln_2():
    assert js([1.0, 0.0], [0.0, 1.0], floor=0.0) == pytest.approx(math.log(2), rel=1e-15)
    assert js([1.0, 0.0], [0.0, 1.0]) < math.log(2)


@pytest.mark.parametrize(
    ("expected", "actual", "floor", "message"),
    [
        ([0.5, 0.5], [0.2, 0.3, 0.5], 0.0, "same bins"),
        ([[1.0]], [[1.0]], 0.0, "vectors"),
        ([0.5, 0.5], [50, 50], 0.0, "actual must be proportions"),
        ([1.5, -0.5], [0.5, 0.5], 0.0, "expected must be proportions"),
        ([0.5, 0.5], [0.5, 0.5], -0.1, "floor"),
        ([0.5, 0.5], [0.5, 0.5], 1.0, "floor"),
    ],
)
@pytest.mark.parametrize("name", sorted(BINNED))
def test_binned_scores_refuse_what_is_not_proportions(name, expected, actual, floor, message):
    if name not in FLOORED and message == "floor":
        return  # they take none
    with pytest.raises(ValueError, match=message):
        SCORES[name](expected, actual, *([floor] if name in FLOORED else []))


def test_empty_bins_of_scores_without_logarithm():
    e, a = [0.5, 0.5, 0.0, 0.0], [0.5, 0.25, 0.25, 0.0]
    assert chi_square_divergence(e, a) == pytest.approx(
        0.25**2 / 0.5 + (0.25 - FLOOR) ** 2 / FLOOR, rel=1e-13
    )
    assert chi_square_divergence(e, a, 0.0) == math.inf
    assert chi_square_divergence(a, e, 0.0) == pytest.approx(0.25**2 / 0.25 + 0.25, rel=1e-13)
    assert hellinger(e, a) == pytest.approx(PEERS["hellinger"](e, a), rel=1e-13)
    assert total_variation(e, a) == 0.25
    assert hellinger([1.0, 0.0], [0.0, 1.0]) == total_variation([1.0, 0.0], [0.0, 1.0]) == 1.0


@pytest.mark.parametrize("base", [2.0, 10.0, math.e])
def test_js_in_other_bases(base):
    assert js(*AGE, base=base) == pytest.approx(jensenshannon(*AGE, base=base) ** 2, rel=1e-12)
    assert js_distance(*AGE, base=base) == pytest.approx(jensenshannon(*AGE, base=base), rel=1e-12)
    for bad in (1.0, 0.5, math.nan):
        with pytest.raises(ValueError, match="base"):
            js(*AGE, base=bad)


def test_chi_square_equals_scipy_and_leaves_out_empty_bins():
    rng = np.random.default_rng(4)
    for bins in (2, 5, 40):
        for rows in (30, 1000, 10**7):
            reference, current = (
                rng.multinomial(rows, rng.dirichlet(np.full(bins, 5.0))) + 1 for _ in range(2)
            )
            peer = stats.chi2_contingency(np.stack((reference, current)), correction=False)
            assert chi_square(reference, current) == pytest.approx((peer.statistic, peer.pvalue), rel=1e-10)
            padded = np.append(reference, [0, 0]), np.insert(current, bins, [0, 0])
            assert chi_square(*padded) == chi_square(reference, current)
    assert chi_square([3, 0], [9, 0]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("reference", "current", "message"),
    [
        ([1, 2], [1, 2, 3], "same bins"),
        ([[1, 2]], [[1, 2]], "vectors"),
        ([1, -2], [1, 2], ">= 0"),
        ([1, 2], [1, math.nan], "finite"),
        ([0, 0], [1, 2], "at least one count"),
    ],
)
def test_chi_square_refuses_what_is_not_counts(reference, current, message):
    with pytest.raises(ValueError, match=message):
        chi_square(reference, current)


def test_proportions_add_half_a_count():
    np.testing.assert_allclose(proportions([0, 3, 7]), np.array([0.5, 3.5, 7.5]) / 11.5, rtol=1e-15)
    np.testing.assert_array_equal(proportions([[1, 3], [2, 2]], 0), [[0.25, 0.75], [0.5, 0.5]])
    for bad in ([0, 0], [-1, 2], [math.nan, 1], 3.0, []):
        with pytest.raises(ValueError, match="count"):
            proportions(bad)


def test_samples_of_the_same_values_score_zero_whatever_their_sizes():
    values = [1.0, 2.0, 2.0, 5.0]
    assert ks(values, values * 7) == 0
    assert wasserstein(values, values * 7) == 0


# Bins away from zero, so that the floor plays no part in the identities below.
histograms = arrays(np.float64, 6, elements=st.floats(0.01, 100.0)).map(lambda w: w / w.sum())


@settings(derandomize=True, deadline=None)
@given(histograms, histograms, st.permutations(range(6)))
def test_binned_scores_obey_their_identities(e, a, order):
    assert psi(e, a) == pytest.approx(kl(e, a) + kl(a, e), rel=1e-9, abs=1e-14)
    assert 0 <= js(e, a) <= math.log(2)
    assert js(e, a) <= psi(e, a) / 8 + 1e-14  # Jensen-Shannon is at most an eighth of the symmetric KL
    assert total_variation(e, a) ** 2 / 2 <= kl(e, a) / 4 + 1e-14  # Pinsker
    assert hellinger(e, a) ** 2 <= total_variation(e, a) + 1e-14
    assert total_variation(e, a) <= math.sqrt(2) * hellinger(e, a) + 1e-14
    assert kl(e, a) <= math.log1p(chi_square_divergence(e, a)) + 1e-12
    for score in (SCORES[name] for name in sorted(BINNED)):
        assert score(e[order], a[order]) == pytest.approx(score(e, a), rel=1e-9, abs=1e-14)
        merged = score([e[0] + e[1], *e[2:]], [a[0] + a[1], *a[2:]])
        assert merged <= score(e, a) + 1e-12  # coarser bins never show more


samples = arrays(np.float64, st.integers(1, 12), elements=st.integers(-5, 5).map(float))


@settings(derandomize=True, deadline=None)
@given(samples, samples, st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
def test_sample_scores_under_change_of_unit(r, c, scale, offset):
    assert wasserstein(r * scale + offset, c * scale + offset) == pytest.approx(
        scale * wasserstein(r, c), rel=1e-9, abs=1e-9
    )
    assert ks(2 * r + 1, 2 * c + 1) == ks(r, c)
    assert wasserstein(r, r + 3.0) == pytest.approx(3.0)
    assert wasserstein(r, c) >= abs(r.mean() - c.mean()) - 1e-12


# --- kernels ---


def scored(kernel, counts, expected, pseudo_count, *of_bins):
    out = np.full(counts.shape[:2], -1.0)
    kernel(counts, expected, pseudo_count, *of_bins, out)
    return out


def histograms_of_many_kinds():
    """Counts (windows, 3, 7): small, large, beyond the table of logarithms, fractional, with empty bins."""
    rng = np.random.default_rng(9)
    expected = rng.dirichlet(np.full(7, 3.0), 3)
    shares = rng.dirichlet(np.full(7, 2.0), (40, 3))
    rows = rng.choice([1, 10, 1000, 30_000, 5_000_000], (40, 3, 1))
    counts = np.floor(shares * rows)
    counts[:5] += rng.random((5, 3, 7))
    counts[5:10, :, 2] = 0
    counts[10, 0] = [0, 0, 9, 0, 0, 0, 0]
    counts[counts.sum(axis=2) == 0] = 1.0
    return counts, expected


@pytest.mark.parametrize("pseudo_count", [0.5, 0.0])
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_equal_the_functions(name, pseudo_count):
    counts, expected = histograms_of_many_kinds()
    expected[1, 3] = 0.0
    expected[1] /= expected[1].sum()
    scores = scored(KERNELS[name], counts, expected, pseudo_count)
    for i, j in np.ndindex(scores.shape):
        exact = SCORES[name](expected[j], proportions(counts[i, j], pseudo_count))
        assert scores[i, j] == pytest.approx(exact, rel=1e-12, abs=1e-13)
        alone = scored(KERNELS[name], counts[i : i + 1, j : j + 1], expected[j : j + 1], pseudo_count)
        assert alone[0, 0] == scores[i, j]  # the same in any block


@pytest.mark.parametrize("pseudo_count", [0.5, 0.0])
def test_binned_ks_is_the_gap_at_the_edges(pseudo_count):
    counts, expected = histograms_of_many_kinds()
    scores = scored(ks_of_counts, counts, expected, pseudo_count)
    gaps = np.cumsum(proportions(counts, pseudo_count) - expected, axis=2)
    np.testing.assert_allclose(scores, np.abs(gaps).max(axis=2), rtol=1e-11, atol=1e-14)


def test_binned_ks_never_exceeds_ks_of_the_rows():
    rng = np.random.default_rng(3)
    reference, edges = rng.normal(size=400), np.linspace(-1.5, 1.5, 6)
    for shift in (0.0, 0.5, 3.0):
        current = rng.normal(shift, size=90)
        binned = [
            np.bincount(np.searchsorted(edges, x), minlength=7).astype(float) for x in (reference, current)
        ]
        score = scored(ks_of_counts, binned[1][None, None], (binned[0] / 400)[None], 0.0)[0, 0]
        assert score <= ks(reference, current) + 1e-15


@pytest.mark.parametrize("pseudo_count", [0.5, 0.0])
def test_wasserstein_of_counts_moves_the_mass_of_the_bins(pseudo_count):
    counts, expected = histograms_of_many_kinds()
    positions = np.sort(np.random.default_rng(2).normal(size=(3, 7)), axis=1)
    scores = scored(wasserstein_of_counts, counts, expected, pseudo_count, positions)
    for i, j in np.ndindex(scores.shape):
        exact = stats.wasserstein_distance(
            positions[j], positions[j], expected[j], proportions(counts[i, j], pseudo_count)
        )
        assert scores[i, j] == pytest.approx(exact, rel=1e-11, abs=1e-14)


@pytest.mark.parametrize("pseudo_count", [0.5, 0.0])
def test_mmd_of_counts_is_the_quadratic_form(pseudo_count):
    counts, expected = histograms_of_many_kinds()
    positions = np.random.default_rng(2).normal(size=(3, 7))
    gram = np.exp(-0.5 * (positions[:, :, None] - positions[:, None, :]) ** 2)
    scores = scored(mmd_of_counts, counts, expected, pseudo_count, gram)
    gaps = proportions(counts, pseudo_count) - expected
    np.testing.assert_allclose(scores, np.einsum("ijk,jkl,ijl->ij", gaps, gram, gaps), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("kernel", COUNT_SCORES.values())
@pytest.mark.parametrize("pseudo_count", [0.5, 0.0])
def test_windows_without_rows_or_with_nan_score_nan(kernel, pseudo_count):
    counts = np.full((4, 2, 3), 5.0)
    counts[1, 0] = 0.0
    counts[2, 1] = math.nan
    counts[3, 0, 1] = math.nan
    scores = scored(kernel, counts, np.full((2, 3), 1 / 3), pseudo_count)
    assert np.isnan(scores).tolist() == [[False, False], [True, False], [False, True], [True, False]]
    assert np.nanmax(scores) < 1e-15


def test_windows_without_rows_score_nan_in_kernels_with_positions():
    counts = np.array([[[0.0, 0.0]], [[3.0, math.nan]], [[4.0, 4.0]]])
    expected, positions, gram = np.full((1, 2), 0.5), np.array([[0.0, 1.0]]), np.eye(2)[None]
    for kernel, of_bins in ((wasserstein_of_counts, positions), (mmd_of_counts, gram)):
        scores = scored(kernel, counts, expected, 0.5, of_bins)
        np.testing.assert_array_equal(scores[:, 0], [math.nan, math.nan, 0.0])


# --- population and sampling law ---


def test_psi_of_fine_bins_is_the_square_of_the_shift():
    edges = np.linspace(-12, 14, 40_001)
    for shift in (0.1, 0.5, 1.0, 2.0):
        assert psi_population(shift, edges, floor=0.0) == pytest.approx(shift**2, rel=1e-5)


def test_psi_of_the_population_by_hand_and_by_kernel():
    deciles = ndtri(np.arange(1, 10) / 10)
    shifts = np.array([-6.0, -1.0, 0.0, 0.2, 0.7, 3.0])
    values = psi_population(shifts, deciles)
    for shift, value in zip(shifts, values, strict=True):
        a = np.diff(np.concatenate(([0.0], ndtr(deciles - shift), [1.0])))
        assert value == pytest.approx(psi(np.full(10, 0.1), a / a.sum()), rel=1e-9, abs=1e-15)
    assert psi_population(0.7, deciles) == pytest.approx(psi_population(-0.7, deciles), rel=1e-12)

    counts = np.empty((6, 1, 10))
    table = sampling.normal_cdf_table()
    rows = np.full(6, 1000)
    sampling.feature_counts(KEY, 0, shifts[:, None], deciles[None], rows, sampling.EXPECTED, table, counts)
    scores = scored(psi_of_counts, counts, np.full((1, 10), 0.1), 0.0)
    np.testing.assert_allclose(scores[:, 0], values, rtol=1e-8, atol=1e-12)


def test_psi_of_the_population_takes_edges_of_each_feature():
    edges = np.array([[-1.0, 0.0, 1.0], [-0.5, 0.1, 0.4]])
    both = psi_population(np.array([0.3, 0.6]), edges)
    assert both.shape == (2,)
    assert both.tolist() == [psi_population(0.3, edges[0]), psi_population(0.6, edges[1])]


def drawn_psi(shift, rows, n_reference, windows, bins=10, method=sampling.EXACT):
    """PSI of `windows` windows, each as a feature of its own with its own learned edges."""
    edges = sampling.learn_edges(EDGES_KEY, 0, n_reference, windows, bins)
    counts = np.empty((1, windows, bins))
    sampling.feature_counts(
        KEY,
        0,
        np.full((1, windows), shift),
        edges,
        np.array([rows]),
        method,
        sampling.normal_cdf_table(),
        counts,
    )
    return scored(psi_of_counts, counts, np.full((windows, bins), 1 / bins), 0.5)[0]


@pytest.mark.parametrize("shift", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("method", [sampling.EXACT, sampling.NORMAL])
def test_psi_of_drawn_rows_tends_to_the_population(shift, method):
    """The error shrinks as 1/sqrt(rows): within 5 standard deviations (delta method) at every size."""
    deciles = ndtri(np.arange(1, 10) / 10)
    a = np.diff(np.concatenate(([0.0], ndtr(deciles - shift), [1.0])))
    slope = np.log(a / 0.1) + 1 - 0.1 / a
    sd = math.sqrt((a * slope**2).sum() - (a * slope).sum() ** 2)
    for rows in (10_000, 1_000_000, 100_000_000):
        score = drawn_psi(shift, rows, 0, 1, method=method)[0]
        bias = 30 / rows * (1 / a).max() / 10
        assert abs(score - psi_population(shift, deciles)) < 5 * sd / math.sqrt(rows) + bias


@pytest.mark.parametrize(
    ("rows", "n_reference", "bins"), [(20_000, 20_000, 10), (50_000, 10_000, 5), (10_000, 0, 20)]
)
@pytest.mark.parametrize("method", [sampling.EXACT, sampling.NORMAL])
def test_psi_without_drift_follows_its_null_law(rows, n_reference, bins, method):
    """(1/n + 1/m) chi-square with K-1 degrees of freedom; KS at 1e-4 and the mean at 4.5 standard errors.

    The law holds for many rows a bin: here what it leaves out is below the noise of 4,000 draws.
    """
    scale = 1 / rows + (1 / n_reference if n_reference else 0.0)
    scores = drawn_psi(0.0, rows, n_reference, 4000, bins, method) / scale
    law = stats.chi2(bins - 1)
    assert abs(scores.mean() - (bins - 1)) < 4.5 * law.std() / math.sqrt(scores.size)
    assert stats.kstest(scores, law.cdf).pvalue > 1e-4


def test_floor_is_the_stated_one():
    assert FLOOR == 1e-6
