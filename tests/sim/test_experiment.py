"""Tests of shares, pairs and preferences against independent forms; limits of several looks; the decision matrix."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom, binomtest, multivariate_normal, norm

from analysis.economics import ab_sample_size
from sim.experiment import (
    Arms,
    _nearest_with_margin,
    canary_power,
    decide,
    is_worse,
    pairs_are_worse,
    preference,
    preferences_needed,
    sample_size,
    score_statistic,
)
from sim.sequential import chance_beyond, limits_of

# ---------------------------------------------------------------- two shares


def test_without_a_margin_the_statistic_is_that_of_the_pooled_share():
    k0, n0, k1, n1 = 930, 1000, 45, 50
    pooled = (k0 + k1) / (n0 + n1)
    expected = (k1 / n1 - k0 / n0) / math.sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / n1))
    assert float(score_statistic(k0, n0, k1, n1)) == pytest.approx(expected, rel=1e-12)
    assert float(score_statistic(10, 10, 5, 5)) == 0.0, "all good tells of no difference"


@pytest.mark.parametrize(
    ("k0", "n0", "k1", "n1", "margin"),
    [
        (930, 1000, 45, 50, 0.02),
        (9, 10, 3, 10, 0.1),
        (500, 1000, 500, 1000, 0.05),
        (1000, 1000, 20, 20, 0.01),
    ],
)
def test_the_shares_under_a_margin_are_the_most_likely_ones(
    k0: int, n0: int, k1: int, n1: int, margin: float
):
    def unlikely(share1: float) -> float:
        return -float(binom.logpmf(k0, n0, share1 + margin) + binom.logpmf(k1, n1, share1))

    best = minimize_scalar(
        unlikely, bounds=(1e-9, 1 - margin - 1e-9), method="bounded", options={"xatol": 1e-10}
    )
    null0, null1 = _nearest_with_margin(np.array(k0 / n0), np.array(k1 / n1), np.array(n0 / n1), margin)
    assert float(null1) == pytest.approx(best.x, abs=1e-5)
    assert float(null0) == pytest.approx(best.x + margin, abs=1e-5)


@pytest.mark.parametrize(
    ("p0", "p1", "n0", "n1", "alpha", "margin"),
    [
        (0.95, 0.95, 9900, 100, 0.05, 0.0),
        (0.95, 0.92, 9900, 100, 0.05, 0.0),
        (0.95, 0.92, 9500, 500, 0.05, 0.01),
        (0.9, 0.9, 400, 400, 0.05, 0.02),
        (0.9, 0.8, 30, 20, 0.1, 0.0),
        (0.999, 0.998, 50_000, 500, 0.05, 0.0),
    ],
)
def test_the_power_is_how_often_the_test_stops(p0, p1, n0, n1, alpha, margin):
    """20,000 draws; error rate 6e-7 (5 standard errors)."""
    rng, draws = np.random.default_rng(1), 20_000
    k0, k1 = rng.binomial(n0, p0, draws), rng.binomial(n1, p1, draws)
    stopped = score_statistic(k0, n0, k1, n1, margin, continuity=True) <= norm.ppf(alpha)
    assert is_worse(Arms(n0, int(k0[0]), n1, int(k1[0])), alpha, margin) == stopped[0]
    power = canary_power(p0, p1, n0, n1, alpha, margin)
    assert stopped.mean() == pytest.approx(power, abs=5 * math.sqrt(power * (1 - power) / draws) + 1e-4)


def test_the_power_of_a_small_case_is_the_sum_over_all_outcomes():
    n0, n1, p0, p1 = 12, 7, 0.8, 0.55
    total = sum(
        binom.pmf(k0, n0, p0) * binom.pmf(k1, n1, p1)
        for k0 in range(n0 + 1)
        for k1 in range(n1 + 1)
        if is_worse(Arms(n0, k0, n1, k1), 0.05)
    )
    assert canary_power(p0, p1, n0, n1) == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("n1", [1, 2, 3, 5, 10, 30, 100, 1000])
@pytest.mark.parametrize("share", [0.6, 0.9, 0.95, 0.99, 0.999])
def test_a_false_stop_is_about_as_rare_as_alpha_says_however_few_the_requests(n1: int, share: float):
    assert canary_power(share, share, 2000, n1, alpha=0.05) <= 0.0605


def test_no_evidence_stops_nobody_and_more_evidence_finds_more():
    assert canary_power(0.9, 0.5, 0, 100) == canary_power(0.9, 0.5, 100, 0) == 0.0
    assert not is_worse(Arms(100, 90, 0, 0), 0.05)
    powers = [canary_power(0.95, 0.93, 100_000, n) for n in (50, 200, 1000, 5000)]
    assert powers == sorted(powers)
    assert powers[0] < 0.3
    assert powers[-1] > 0.99


@pytest.mark.parametrize(("given", "said"), [((1.2, 0.5, 10, 10), "p0"), ((0.5, -1, 10, 10), "p1")])
def test_impossible_shares_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        canary_power(*given)


# ---------------------------------------------------------------- pairs, preferences, sizes


@pytest.mark.parametrize(("lost", "won"), [(12, 3), (9, 6), (30, 18), (5, 0), (4, 0), (0, 0)])
def test_pairs_are_judged_by_the_binomial_law(lost: int, won: int):
    exact = lost + won > 0 and binomtest(won, lost + won, 0.5, alternative="less").pvalue <= 0.05
    assert pairs_are_worse(lost, won, 0.05) == exact


@pytest.mark.parametrize("won", [0, 400, 468, 469, 500, 531, 532, 700])
def test_preferences_are_judged_by_the_binomial_law(won: int):
    clear = binomtest(won, 1000, 0.5).pvalue <= 0.05
    expected = "no change" if not clear else "improvement" if won > 500 else "degradation"
    assert preference(won, 1000, 0.05) == expected


@pytest.mark.parametrize(("share", "effect"), [(0.05, 0.02), (0.9, 0.01), (0.5, 0.003)])
def test_the_planned_size_is_that_of_the_closed_form(share: float, effect: float):
    assert sample_size(share * (1 - share), effect) == math.ceil(ab_sample_size(baseline=share, delta=effect))


def test_interleaving_needs_far_fewer_requests_for_the_same_power():
    share, effect, gain = 0.9, 0.01, 5.0
    needed = preferences_needed(gain * effect)
    assert needed < 2 * sample_size(share * (1 - share), effect) / 20
    rng = np.random.default_rng(2)
    won = rng.binomial(needed, 0.5 + gain * effect, 4000)
    found = np.mean([preference(int(w), needed, 0.05) == "improvement" for w in won])
    assert found == pytest.approx(0.8, abs=5 * math.sqrt(0.16 / 4000) + 0.015), (
        "the size is a normal approximation"
    )


# ---------------------------------------------------------------- several looks


@pytest.mark.parametrize(
    "limits", [(1.96,), (1.96, 1.96), (2.4, 2.2, 2.0), (4.5, 3.2, 2.6, 2.3, 2.04), (1.5, 3.0, 0.5)]
)
def test_the_chance_beyond_limits_is_that_of_the_multivariate_normal(limits: tuple[float, ...]):
    looks = np.arange(1, len(limits) + 1)
    correlation = np.sqrt(np.minimum.outer(looks, looks) / np.maximum.outer(looks, looks))
    law = multivariate_normal(cov=correlation, seed=3, maxpts=2_000_000, abseps=1e-7)
    inside = law.cdf(np.array(limits), lower_limit=-np.array(limits))
    assert chance_beyond(limits) == pytest.approx(1 - inside, abs=2e-5)


@pytest.mark.parametrize("correction", ["pocock", "obrien_fleming"])
@pytest.mark.parametrize("looks", [1, 2, 5, 10, 20])
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_corrected_limits_err_as_rarely_as_they_should(correction, looks: int, alpha: float):
    assert chance_beyond(limits_of(correction, looks, alpha)) == pytest.approx(alpha, abs=1e-9)


def test_looking_without_a_correction_errs_more_often_as_published():
    """Armitage, McPherson and Rowe, 1969: 5 %, 8.3 %, 10.7 %, 12.6 %, 14.2 %, 19.3 % for 1, 2, 3, 4, 5, 10 looks."""
    published = {1: 0.05, 2: 0.083, 3: 0.107, 4: 0.126, 5: 0.142, 10: 0.193}
    for looks, chance in published.items():
        assert chance_beyond(limits_of("none", looks, 0.05)) == pytest.approx(chance, abs=6e-4)


# ---------------------------------------------------------------- the decision matrix


@pytest.mark.parametrize(
    ("primary", "guardrails", "verdict"),
    [
        ("improvement", [True, True], "ship"),
        ("improvement", [], "ship"),
        ("improvement", [True, False], "investigate"),
        ("no change", [True, True], "keep"),
        ("no change", [False], "keep"),
        ("degradation", [True, True], "do not ship"),
        ("degradation", [False], "do not ship"),
    ],
)
def test_the_decision_matrix_row_by_row(primary, guardrails: list[bool], verdict: str):
    assert decide(primary, guardrails) == verdict
