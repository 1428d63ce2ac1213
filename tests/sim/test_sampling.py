"""Samplers against scipy.stats, against a plain-Python twin, and against the way they are cut into blocks.

Statistical tests draw with fixed keys. Each test here that compares p-values rejects correct code with a
probability of at most 1e-3 over all of its cases together (Bonferroni), were the keys drawn anew.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from numba import njit
from scipy import stats
from scipy.special import ndtr, ndtri

from sim.kernels import sampling
from sim.kernels.sampling import (
    EXACT,
    EXPECTED,
    NORMAL,
    bin_probabilities,
    binomial,
    binomial_at,
    binomial_once,
    feature_counts,
    gamma,
    learn_edges,
    multinomial,
    multinomial_normal,
    next_normal,
    next_uniform,
    normal_cdf,
    normal_cdf_table,
    normal_once,
    stream,
    uniform_once,
)

ERROR_RATE = 1e-3
KEY = np.uint64(20240611)
TABLE = normal_cdf_table()


# --- plain-Python twin ---

WORD = 2**64 - 1
GAMMA = 0x9E3779B97F4A7C15


def mixed(word):
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & WORD
    return word ^ (word >> 31)


def ziggurat_ends():
    tail = 3.6541528853610088
    top = math.exp(-0.5 * tail * tail)
    area = tail * top + math.sqrt(math.pi / 2) * math.erfc(tail / math.sqrt(2))
    ends = [area / top, tail]
    for _ in range(254):
        ends.append(math.sqrt(-2 * math.log(area / ends[-1] + math.exp(-0.5 * ends[-1] ** 2))))
    return [*ends, 0.0]


ENDS = ziggurat_ends()


def stirling_correction(k):
    if k < 10:
        k = int(k)
        return math.lgamma(k + 1) - (k + 0.5) * math.log(k + 1) + (k + 1) - 0.5 * math.log(2 * math.pi)
    x = 1 / (k + 1)
    return x * (1 / 12 - x * x * (1 / 360 - x * x * (1 / 1260 - x * x / 1680)))


def binomial_hat(n, p):
    """a, b, centre of the hat; factor of its height; height of immediate acceptance."""
    sd = math.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * sd
    a = -0.0873 + 0.0248 * b + 0.01 * p
    return a, b, n * p + 0.5, (2.83 + 5.1 / b) * sd, 0.92 - 4.2 / b


class Twin:
    """The stream of one (key, window, feature), in Python integers and floats."""

    def __init__(self, key, window, feature):
        state = mixed((int(key) + GAMMA) & WORD)
        state = mixed((state + GAMMA * (window + 1)) & WORD)
        self.state = mixed((state + GAMMA * (feature + 1)) & WORD)

    def word(self):
        self.state = (self.state + GAMMA) & WORD
        return mixed(self.state)

    def uniform(self):
        return ((self.word() >> 12) + 0.5) * 2.0**-52

    def normal(self):
        while True:
            word = self.word()
            layer = word & 255
            signed = word - 2**64 if word >= 2**63 else word
            side = ((signed >> 11) + 0.5) * 2.0**-52
            if abs(side) < ENDS[layer + 1] / ENDS[layer]:
                return side * ENDS[layer]
            if layer == 0:
                while True:
                    beyond, second = -math.log(self.uniform()) / ENDS[1], self.uniform()
                    if -2 * math.log(second) >= beyond * beyond:
                        return math.copysign(ENDS[1] + beyond, side)
            value = side * ENDS[layer]
            low = math.exp(-0.5 * (ENDS[layer] * ENDS[layer] - value * value))
            high = math.exp(-0.5 * (ENDS[layer + 1] * ENDS[layer + 1] - value * value))
            if high + self.uniform() * (low - high) < 1:
                return value

    def binomial(self, n, p):
        if not (n > 0 and p > 0):
            return 0
        if p >= 1:
            return n
        small = min(p, 1 - p)
        k = self._inversion(n, small) if n * small < 10 else self._rejection(n, small)
        return k if p <= 0.5 else n - k

    def _inversion(self, n, p):
        while True:
            left, k, mass = self.uniform(), 0, math.exp(n * math.log1p(-p))
            while left > mass and k <= min(n, 110):
                left -= mass
                k += 1
                mass *= p / (1 - p) * ((n + 1) / k - 1)
            if k <= min(n, 110):
                return k

    def _rejection(self, n, p):
        a, b, centre, factor, inner = binomial_hat(n, p)
        while True:
            u, v = self.uniform() - 0.5, self.uniform()
            edge = 0.5 - abs(u)
            k = math.floor((2 * a / edge + b) * u + centre)
            if edge >= 0.07 and v <= inner:
                return k
            if 0 <= k <= n:
                height = math.log(v * factor / (a / (edge * edge) + b))
                if height <= log_binomial_ratio(n, p, k, math.floor((n + 1) * p)):
                    return k

    def multinomial(self, n, probabilities):
        counts, left, mass = [], n, 1.0
        for p in probabilities[:-1]:
            counts.append(self.binomial(left, p / mass if p < mass else 1.0))
            left -= counts[-1]
            mass -= p
        return [*counts, left]

    def multinomial_normal(self, n, probabilities):
        walk = [0.0]
        for p in probabilities:
            walk.append(walk[-1] + math.sqrt(p) * self.normal())
        totals, below = [0.0], 0.0
        for p, at in zip(probabilities[:-1], walk[1:-1], strict=True):
            below += p
            total = math.floor(n * below + math.sqrt(n) * (at - below * walk[-1]) + 0.5)
            totals.append(min(max(total, totals[-1]), n))
        return [high - low for low, high in zip(totals, [*totals[1:], n], strict=True)]


def log_binomial_ratio(n, p, k, mode):
    """log f(k) / f(mode); no squeeze here, so that the twin also proves the squeeze of the kernel."""
    odds = p / (1 - p)
    if n < 2048:
        return (
            (k - mode) * math.log(odds)
            + (math.lgamma(mode + 1.0) - math.lgamma(k + 1.0))
            + (math.lgamma(n - mode + 1.0) - math.lgamma(n - k + 1.0))
        )
    failures, mode_failures = n - k + 1.0, n - mode + 1.0
    return (
        (mode + 0.5) * math.log((mode + 1.0) * failures / ((k + 1.0) * mode_failures))
        + (n + 1.0) * math.log(mode_failures / failures)
        + (k - mode) * math.log(odds * failures / (k + 1.0))
        + (stirling_correction(mode) - stirling_correction(k))
        + (stirling_correction(n - mode) - stirling_correction(n - k))
    )


def twin_cdf(x):
    if x <= -9:
        return 0.0
    if x >= 9:
        return 1.0
    place = (x + 9) * 256
    c0, c1, c2, c3 = TABLE[math.floor(place)].tolist()
    t = place - math.floor(place)
    return c0 + t * (c1 + t * (c2 + t * c3))


def twin_counts(key, first_window, shifts, edges, rows, method):
    out = []
    for i, n in enumerate(rows.tolist()):
        for j, inner in enumerate(edges.tolist()):
            shift = float(shifts[i, j])
            if math.isnan(shift):
                out.append([math.nan] * (len(inner) + 1))
                continue
            at_edges = [0.0, *(twin_cdf(edge - shift) for edge in inner), 1.0]
            p = [max(high - low, 0.0) for low, high in pairwise(at_edges)]
            draw = Twin(key, first_window + i, j)
            if method == EXPECTED:
                out.append([n * share for share in p])
            else:
                out.append(draw.multinomial(n, p) if method == EXACT else draw.multinomial_normal(n, p))
    return np.array(out, dtype=np.float64).reshape(*shifts.shape, -1)


# --- loops over one stream, for tests that need many draws ---


@njit
def many_uniforms(state, out):
    for i in range(out.shape[0]):
        out[i], state = next_uniform(state)


@njit
def first_uniforms(key, out):
    for window in range(out.shape[0]):
        for feature in range(out.shape[1]):
            out[window, feature], _ = next_uniform(stream(key, window, feature))


@njit
def histogram_of_normals(state, draws, half_width, out):
    cells = out.shape[0]
    for _ in range(draws):
        z, state = next_normal(state)
        cell = math.floor((z / half_width + 1.0) * 0.5 * cells)
        out[min(max(cell, 0), cells - 1)] += 1


@njit
def many_normals(state, out):
    for i in range(out.shape[0]):
        out[i], state = next_normal(state)


@njit
def many_gammas(state, shape, out):
    for i in range(out.shape[0]):
        out[i], state = gamma(state, shape)


@njit
def many_multinomials(key, n, probabilities, out):
    states = np.empty(1, dtype=np.uint64)
    states[0] = stream(key, 0, 0)
    for i in range(out.shape[0]):
        multinomial(states, n, probabilities, out[i : i + 1])


@njit
def many_multinomial_normals(key, n, probabilities, out):
    state = stream(key, 0, 0)
    scratch = np.empty(out.shape[1])
    for i in range(out.shape[0]):
        state = multinomial_normal(state, n, probabilities, scratch, out[i])


def goodness_of_fit(draws, law):
    """Chi-square p-value of whole-number draws, cells cut at quantiles of the law down to both 1e-4 tails."""
    tail = np.array([1e-4, 1e-3, 0.01, 0.04])
    levels = np.concatenate((tail, np.linspace(0.08, 0.92, 22), 1 - tail[::-1]))
    cuts = np.unique(law.ppf(levels))
    probabilities = np.diff(np.concatenate(([0.0], law.cdf(cuts), [1.0])))
    observed = np.bincount(np.searchsorted(cuts, draws, side="left"), minlength=probabilities.size)
    expected = probabilities * draws.size
    rare = expected < 10  # pooled into one cell, which is dropped (and must be near empty) if rare itself
    assert observed[rare].sum() <= stats.poisson.isf(1e-9, max(expected[rare].sum(), 1e-12))
    observed, expected = observed[~rare], expected[~rare]
    if observed.size < 2:
        return 1.0
    return stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue


# --- streams ---


def test_the_generator_is_splitmix64():
    """First outputs for seed 1234567, as published with the reference implementation."""
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    uniforms = np.empty(5)
    many_uniforms(np.uint64(1234567), uniforms)
    assert uniforms.tolist() == [((word >> 12) + 0.5) * 2.0**-52 for word in published]


@pytest.mark.parametrize("key", [0, 1, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize(("window", "feature"), [(0, 0), (8759, 9), (2**40, 3), (5, 2**31)])
def test_the_stream_equals_its_twin(key, window, feature):
    twin = Twin(key, window, feature)
    state = stream(np.uint64(key), window, feature)
    assert state == twin.state
    for _ in range(20):
        value, state = next_uniform(np.uint64(state))
        assert value == twin.uniform()
        assert 0 < value < 1


def test_normals_equal_their_twin():
    draws = np.empty(20_000)
    many_normals(np.uint64(stream(KEY, 3, 1)), draws)
    twin = Twin(KEY, 3, 1)
    assert draws.tolist() == [twin.normal() for _ in range(draws.size)]


def test_uniforms_and_normals_follow_their_law():
    draws = np.empty(1_000_000)
    many_uniforms(np.uint64(stream(KEY, 0, 0)), draws)
    assert stats.kstest(draws, "uniform").pvalue > ERROR_RATE / 4
    many_normals(np.uint64(stream(KEY, 0, 1)), draws)
    assert stats.kstest(draws, "norm").pvalue > ERROR_RATE / 4
    # beyond the widest layer the tail has its own sampler
    beyond = np.abs(draws[np.abs(draws) > ENDS[1]])
    assert stats.binomtest(beyond.size, draws.size, 2 * ndtr(-ENDS[1])).pvalue > ERROR_RATE / 4
    assert stats.kstest(ndtr(-beyond) / ndtr(-ENDS[1]), "uniform").pvalue > ERROR_RATE / 4


def test_normals_fill_every_cell():
    """Chi-square of 20 million draws in 400 cells: sees 0.2 % too many draws in the wedges of the ziggurat."""
    size, cells = 20_000_000, 400
    observed = np.zeros(cells, dtype=np.int64)
    histogram_of_normals(np.uint64(stream(KEY, 0, 2)), size, 4.0, observed)
    edges = np.linspace(-4, 4, cells + 1)[1:-1]
    expected = size * np.diff(np.concatenate(([0.0], ndtr(edges), [1.0])))
    assert stats.chisquare(observed, expected).pvalue > ERROR_RATE


def test_streams_of_neighbours_are_independent():
    """First uniforms of a grid of windows and features: uniform, and uncorrelated with every neighbour."""
    grid = np.empty((2000, 100))
    first_uniforms(KEY, grid)
    assert stats.kstest(grid.ravel(), "uniform").pvalue > ERROR_RATE / 4
    centred = (grid - 0.5) * math.sqrt(12)
    for left, right in (
        (centred[1:], centred[:-1]),
        (centred[:, 1:], centred[:, :-1]),
        (centred[1:, 1:], centred[:-1, :-1]),
    ):
        z = (left * right).mean() * math.sqrt(left.size)
        assert 2 * ndtr(-abs(z)) > ERROR_RATE / 4


# --- counts ---

# Where a uniform number can be, in steps fine enough for counts of this size, and close to both ends.
NEAR_AN_END = np.geomspace(1e-7, 1e-2, 200)
PLACES = np.concatenate((np.linspace(-0.5, 0.5, 4001)[1:-1], 0.5 - NEAR_AN_END, NEAR_AN_END - 0.5))


def acceptance(hat, law):
    """Of a proposal at each place: count, distance from the end, probability of acceptance by the slow test."""
    a, b, centre, factor, _ = hat
    edge = 0.5 - np.abs(PLACES)
    k = np.floor((2 * a / edge + b) * PLACES + centre)
    return k, edge, law(k) * (a / edge**2 + b) / factor


BINOMIALS = [
    (n, p)
    for n in (*range(20, 45), 60, 100, 333, 1000, 2047, 2048, 20_000, 10**6, 10**8)
    for p in (*np.linspace(10 / n, min(0.5, 16 / n), 4), *np.linspace(10 / n, 0.5, 7))
]


def test_the_binomial_hat_covers_its_law():
    """Rejection is exact only if no acceptance passes 1 and immediate acceptance lies below the slow test."""
    for n, p in BINOMIALS:
        hat = binomial_hat(n, p)
        mode = math.floor((n + 1) * p)
        top = stats.binom.logpmf(mode, n, p)
        _, edge, accepted = acceptance(
            hat, lambda k, n=n, p=p, top=top: np.exp(stats.binom.logpmf(k, n, p) - top)
        )
        assert accepted.max() <= 1
        assert accepted[edge >= 0.07].min() >= hat[-1]


def test_the_slow_tests_use_the_right_law():
    """Acceptance just below the ratio of probabilities and rejection just above, with squeeze and without."""
    for n, p in BINOMIALS:
        sd, mode = math.sqrt(n * p * (1 - p)), math.floor((n + 1) * p)
        tried = np.unique(np.rint(np.clip(mode + sd * np.linspace(-8, 8, 65), 0, n)))
        log_ratios = stats.binom.logpmf(tried, n, p) - stats.binom.logpmf(mode, n, p)
        margin = 1e-10 + 1e-14 * n  # scipy's logarithms have this much rounding
        for k, exact in zip(tried.tolist(), log_ratios.tolist(), strict=True):
            assert log_binomial_ratio(n, p, k, mode) == pytest.approx(exact, rel=1e-11, abs=margin)
            for sign, answer in ((-1, True), (1, False)):
                height = math.exp(exact + sign * 2 * (margin + 1e-11 * abs(exact)))
                ratio = float(mode), float(n), p / (1 - p), n * p * (1 - p)
                assert sampling._below_binomial_ratio(height, k, *ratio) is answer


BINOMIAL_CASES = [
    (n, p)
    for n in (1, 7, 21, 60, 1000, 2047, 2048, 30_000, 10_000_000)
    for p in (1e-9, 1e-4, 0.004, 0.03, 0.17, 0.5, 0.66, 0.99, 1 - 1e-6)
]


@pytest.mark.parametrize(("n", "p"), BINOMIAL_CASES)
def test_binomial_follows_its_law(n, p):
    size = 200_000
    draws = np.empty(size)
    binomial_at(KEY, n + np.arange(size), np.full(size, n), np.full(size, p), draws)
    assert goodness_of_fit(draws, stats.binom(n, p)) > ERROR_RATE / len(BINOMIAL_CASES)
    assert draws.min() >= 0
    assert draws.max() <= n
    # the mean sees a bias too small for the cells: 4.5 standard errors, error rate 7e-6 a case
    sd = math.sqrt(n * p * (1 - p))
    if sd > 0.1:
        assert abs(draws.mean() - n * p) < 4.5 * sd / math.sqrt(size)


@pytest.mark.parametrize(
    ("n", "p", "value"),
    [(0, 0.5, 0), (-3, 0.5, 0), (9, 0.0, 0), (9, -1.0, 0), (9, math.nan, 0), (9, 1.0, 9), (9, 1.5, 9)],
)
def test_binomial_at_the_ends_is_certain_and_draws_nothing(n, p, value):
    state = np.uint64(stream(KEY, 0, 0))
    assert binomial(state, n, p) == (value, state)


@pytest.mark.parametrize("shape", [1.0, 1.5, 4.0, 100.0, 1e5])
def test_gamma_follows_its_law(shape):
    draws = np.empty(200_000)
    many_gammas(np.uint64(stream(KEY, 2, 0)), shape, draws)
    assert stats.kstest(draws, stats.gamma(shape).cdf).pvalue > ERROR_RATE / 5


def test_single_draws_are_the_first_of_their_stream():
    for identity in (0, 12, 2**40):
        state = np.uint64(stream(KEY, identity, 0))
        assert uniform_once(KEY, identity) == next_uniform(state)[0]
        assert normal_once(KEY, identity) == next_normal(state)[0]
        assert binomial_once(KEY, identity, 1000, 0.3) == binomial(state, 1000, 0.3)[0]


def test_binomials_tied_to_identities_do_not_depend_on_their_order():
    rng = np.random.default_rng(1)
    identity, n, p = rng.integers(0, 2**50, 300), rng.integers(0, 4000, 300), rng.random(300)
    draws, shuffled, order = np.empty(300), np.empty(300), rng.permutation(300)
    binomial_at(KEY, identity, n, p, draws)
    binomial_at(KEY, identity[order], n[order], p[order], shuffled)
    assert shuffled.tobytes() == draws[order].tobytes()
    assert draws.tolist() == [binomial_once(KEY, *case) for case in zip(identity, n, p, strict=True)]


def test_multinomial_of_few_rows_follows_its_law():
    """Every outcome of 6 rows in 4 bins, one of which cannot be hit."""
    p = np.array([0.25, 0.45, 0.0, 0.3])
    draws = np.empty((200_000, 4))
    many_multinomials(KEY, 6, p[np.newaxis], draws)
    assert (draws.sum(axis=1) == 6).all()
    assert (draws[:, 2] == 0).all()
    outcomes, observed = np.unique(draws, axis=0, return_counts=True)
    expected = stats.multinomial(6, p).pmf(outcomes) * len(draws)
    assert len(outcomes) == math.comb(8, 2)
    assert stats.chisquare(observed, expected * (observed.sum() / expected.sum())).pvalue > ERROR_RATE


def test_sums_over_bins_of_a_multinomial_are_binomial():
    """Any set of bins holds Binomial(n, its probability) rows: tests the dependence between bins."""
    rng = np.random.default_rng(5)
    p = rng.dirichlet(np.full(10, 2.0))
    draws = np.empty((100_000, 10))
    many_multinomials(KEY, 1000, p[np.newaxis], draws)
    sets = [rng.permutation(10)[: rng.integers(1, 9)] for _ in range(20)]
    for bins in sets:
        law = stats.binom(1000, p[bins].sum())
        assert goodness_of_fit(draws[:, bins].sum(axis=1).astype(np.int64), law) > ERROR_RATE / len(sets)


def test_normal_approximation_has_the_moments_of_the_multinomial():
    """Mean and covariance within 4.5 standard errors (65 figures, error rate 5e-4), rounding included."""
    p = np.array([0.02, 0.08, 0.1, 0.1, 0.1, 0.1, 0.2, 0.15, 0.1, 0.05])
    n, size = 2000, 400_000
    draws = np.empty((size, 10))
    many_multinomial_normals(KEY, n, p, draws)
    assert (draws >= 0).all()
    assert (draws == np.rint(draws)).all()
    assert (draws.sum(axis=1) == n).all()

    # Rounding of the running totals: variance 1/12 at each of the 9 inner edges, shared by its two bins.
    rounding = (np.diag([1.0, *[2.0] * 8, 1.0]) - np.eye(10, k=1) - np.eye(10, k=-1)) / 12
    covariance = n * (np.diag(p) - np.outer(p, p)) + rounding
    variance = np.diag(covariance)
    assert (np.abs(draws.mean(axis=0) - n * p) < 4.5 * np.sqrt(variance / size)).all()
    standard_error = np.sqrt((np.outer(variance, variance) + covariance**2) / size)
    assert (np.abs(np.cov(draws.T) - covariance) < 4.5 * standard_error).all()


@pytest.mark.parametrize("n", [0, 1, 7])
def test_normal_approximation_of_few_rows_stays_possible(n):
    p = np.array([0.7, 0.0, 0.2, 0.1])
    draws = np.empty((5000, 4))
    many_multinomial_normals(KEY, n, p, draws)
    assert (draws >= 0).all()
    assert (draws.sum(axis=1) == n).all()


# --- features ---


def world(windows, features, bins, seed=3):
    """Drifting shifts, learned edges and numbers of rows with every size that takes another path."""
    rng = np.random.default_rng(seed)
    shifts = np.cumsum(rng.normal(0, 0.15, (windows, features)), axis=0)
    shifts[windows // 2 : windows // 2 + 3] = shifts[windows // 2]
    edges = learn_edges(KEY, seed, 500, features, bins)
    rows = rng.choice([0, 1, 13, 200, 1000, 2500, 40_000], windows)
    return shifts, edges, rows


def counts_of(shifts, edges, rows, method, first_window=0, key=KEY):
    out = np.full((*shifts.shape, edges.shape[1] + 1), -1.0)
    feature_counts(key, first_window, shifts, edges, rows, method, TABLE, out)
    return out


@pytest.mark.parametrize("method", [EXACT, NORMAL, EXPECTED])
def test_feature_counts_equal_their_twin(method):
    shifts, edges, rows = world(120, 3, 8)
    shifts[5, 1], shifts[6, 2], shifts[7, 0] = math.nan, 60.0, -60.0
    counts = counts_of(shifts, edges, rows, method, first_window=1000)
    assert counts.tobytes() == twin_counts(KEY, 1000, shifts, edges, rows, method).tobytes()


@pytest.mark.parametrize("method", [EXACT, NORMAL, EXPECTED])
def test_feature_counts_do_not_depend_on_the_block(method):
    shifts, edges, rows = world(101, 4, 10)
    whole = counts_of(shifts, edges, rows, method)
    for start, stop in ((0, 37), (37, 38), (37, 101)):
        part = counts_of(shifts[start:stop], edges, rows[start:stop], method, first_window=start)
        assert part.tobytes() == whole[start:stop].tobytes()
    fewer = counts_of(shifts[:, :2].copy(), edges[:2], rows, method)
    assert fewer.tobytes() == whole[:, :2].tobytes()


def test_counts_of_labels_do_not_depend_on_the_block():
    rng = np.random.default_rng(2)
    identity, n, p = np.arange(100), rng.integers(0, 5000, 100), rng.random(100)
    whole, part = np.empty(100), np.empty(63)
    binomial_at(KEY, identity, n, p, whole)
    binomial_at(KEY, identity[37:], n[37:], p[37:], part)
    assert part.tobytes() == whole[37:].tobytes()


def test_another_key_or_window_gives_other_counts():
    shifts, edges, rows = np.zeros((50, 2)), learn_edges(KEY, 0, 0, 2, 10), np.full(50, 1000)
    counts = counts_of(shifts, edges, rows, EXACT)
    assert len(np.unique(counts.reshape(100, 10), axis=0)) == 100
    assert (counts_of(shifts, edges, rows, EXACT, key=KEY + np.uint64(1)) != counts).any(axis=(1, 2)).all()
    assert (counts_of(shifts, edges, rows, EXACT, first_window=50) != counts).any(axis=(1, 2)).all()


@pytest.mark.parametrize("method", [EXACT, NORMAL])
def test_counts_scatter_around_their_expectation_as_they_should(method):
    """Pearson's statistic of a window has mean K-1 exactly; the approximation adds its rounding."""
    windows, features, bins, n = 4000, 5, 10, 1000
    shifts = np.cumsum(np.random.default_rng(8).normal(0, 0.004, (windows, features)), axis=0)
    edges = learn_edges(KEY, 8, 1000, features, bins)
    rows = np.full(windows, n)
    expected = counts_of(shifts, edges, rows, EXPECTED)
    pearson = ((counts_of(shifts, edges, rows, method) - expected) ** 2 / expected).sum(axis=2)
    rounding = 0.0
    if method == NORMAL:
        share = np.full(bins, 1 / 6)
        share[[0, -1]] = 1 / 12
        rounding = (share / expected).sum(axis=2).mean()
    standard_error = pearson.std() / math.sqrt(pearson.size)
    assert abs(pearson.mean() - (bins - 1) - rounding) < 4.5 * standard_error
    # the smallest bins are larger than 5 rows, so the law is close to chi-square; 1e-3 error rate
    assert expected.min() > 5
    thin = pearson.ravel()[::7]
    assert stats.kstest(thin, stats.chi2(bins - 1).cdf).pvalue > ERROR_RATE


def test_normal_cdf_table_is_accurate_to_1e_12():
    x = np.concatenate((np.linspace(-9.5, 9.5, 200_001), [-np.inf, np.inf, -9.0, 9.0]))
    values = np.array([normal_cdf(v, TABLE) for v in x])
    assert np.abs(values - ndtr(x)).max() < 1e-12
    assert normal_cdf(math.nan, TABLE) == 0


@pytest.mark.parametrize("shift", [0.0, 0.3, -2.0, 8.5, -40.0])
def test_bin_probabilities(shift):
    edges = np.array([-1.5, -0.2, 0.1, 2.0])
    out = np.empty(5)
    bin_probabilities(shift, edges, TABLE, out)
    assert (out >= 0).all()
    at_edges = np.concatenate(([0.0], ndtr(edges - shift), [1.0]))
    np.testing.assert_allclose(out, np.diff(at_edges), rtol=0, atol=2e-12)


# --- edges ---


def test_edges_of_the_population_are_its_quantiles():
    edges = learn_edges(KEY, 0, 0, 3, 10)
    np.testing.assert_array_equal(edges, np.tile(ndtri(np.arange(1, 10) / 10), (3, 1)))
    assert learn_edges(KEY, 0, 50, 3, 1).shape == (3, 0)


@pytest.mark.parametrize(("n_reference", "bins"), [(10, 10), (40, 4), (1000, 7)])
def test_edges_follow_the_law_of_order_statistics(n_reference, bins):
    edges = learn_edges(KEY, 4, n_reference, 20_000, bins)
    assert (np.diff(edges, axis=1) > 0).all()
    ranks = np.rint(np.arange(1, bins) * n_reference / bins).astype(int)
    cases = 2 * (bins - 1)
    for k, rank in enumerate(ranks):
        law = stats.beta(rank, n_reference + 1 - rank)
        assert stats.kstest(ndtr(edges[:, k]), law.cdf).pvalue > ERROR_RATE / cases
    # what lies between two edges: the joint law
    for k, gap in enumerate(np.diff(ranks)):
        between = ndtr(edges[:, k + 1]) - ndtr(edges[:, k])
        law = stats.beta(gap, n_reference + 1 - gap)
        assert stats.kstest(between, law.cdf).pvalue > ERROR_RATE / cases


def test_edges_are_tied_to_their_version():
    edges = learn_edges(KEY, 5, 200, 3, 10)
    assert edges.tobytes() == learn_edges(KEY, 5, 200, 3, 10).tobytes()
    assert edges[:2].tobytes() == learn_edges(KEY, 5, 200, 2, 10).tobytes()
    assert (edges != learn_edges(KEY, 6, 200, 3, 10)).all()
    assert (edges != learn_edges(KEY + np.uint64(1), 5, 200, 3, 10)).all()


def test_edges_are_those_of_sorted_rows():
    """Against really sorting normal rows (two-sample KS on each edge)."""
    rows = np.sort(np.random.default_rng(6).standard_normal((5000, 60)), axis=1)
    edges = learn_edges(KEY, 7, 60, 5000, 4)
    for k, rank in enumerate((15, 30, 45)):
        assert stats.ks_2samp(rows[:, rank - 1], edges[:, k]).pvalue > ERROR_RATE / 3


@pytest.mark.parametrize(
    ("n_reference", "features", "bins"), [(9, 2, 10), (-1, 2, 10), (0, -1, 3), (50, 2, 0)]
)
def test_edges_refuse_what_makes_no_sense(n_reference, features, bins):
    with pytest.raises(ValueError, match="must be"):
        learn_edges(KEY, 0, n_reference, features, bins)


def test_ziggurat_closes_at_the_top():
    """The layers have equal area only if the last one reaches exactly height 1."""
    ends, inner = sampling._ziggurat()
    assert ends.tolist() == ENDS
    area = ends[0] * math.exp(-0.5 * ends[1] ** 2)
    assert area / ends[255] + math.exp(-0.5 * ends[255] ** 2) == pytest.approx(1, abs=1e-13)
    assert inner[255] == 0
