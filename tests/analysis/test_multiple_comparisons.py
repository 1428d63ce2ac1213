"""Several systems at once: against SciPy and by hand, and how often all intervals hold together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import all_pairs, bonferroni_level, holm, paired_interval, with_best, with_control


def systems(means, seed: int = 0, size: int = 12, common: float = 2.0) -> dict[str, np.ndarray]:
    """Systems in the same worlds; their own noise grows from one to the next."""
    rng = np.random.default_rng(seed)
    world = common * rng.standard_normal(size)
    return {f"s{i}": m + world + (1.0 + 0.5 * i) * rng.standard_normal(size) for i, m in enumerate(means)}


def test_holm_by_its_definition():
    rng = np.random.default_rng(1)
    for _ in range(20):
        p = rng.random(6) ** 2
        ordered = sorted(range(6), key=lambda i: p[i])
        for place, i in enumerate(ordered):
            expected = min(1.0, max((6 - k) * p[j] for k, j in enumerate(ordered[: place + 1])))
            assert holm(p)[i] == pytest.approx(expected)


def test_paired_pairs_are_bonferroni_intervals():
    x = systems([0.0, 1.0, 3.0])
    found = all_pairs(x, 0.9)
    assert found.pairs == (("s0", "s1"), ("s0", "s2"), ("s1", "s2"))
    for (a, b), interval in zip(found.pairs, found.intervals, strict=True):
        assert interval == pytest.approx(paired_interval(x[a], x[b], 1.0 - 0.1 / 3.0))
    raw = [stats.ttest_rel(x[a], x[b]).pvalue for a, b in found.pairs]
    assert found.p_values == pytest.approx(holm(raw))
    assert found.table()["ci_low"].tolist() == [i.low for i in found.intervals]


def test_independent_pairs_are_those_of_scipy():
    """Games-Howell; SciPy has it as tukey_hsd(equal_var=False) since 1.15."""
    rng = np.random.default_rng(2)
    x = {"a": rng.normal(0.0, 1.0, 8), "b": rng.normal(1.0, 3.0, 15), "c": rng.normal(0.5, 2.0, 11)}
    try:
        expected = stats.tukey_hsd(*x.values(), equal_var=False)
    except TypeError:
        pytest.skip("this SciPy has no Games-Howell")
    found = all_pairs(x, paired=False)
    bounds = expected.confidence_interval(0.95)
    for (i, j), interval, p in zip(((0, 1), (0, 2), (1, 2)), found.intervals, found.p_values, strict=True):
        assert (interval.low, interval.high) == pytest.approx((bounds.low[i, j], bounds.high[i, j]), rel=1e-5)
        assert p == pytest.approx(expected.pvalue[i, j], abs=1e-6)


def test_independent_control_is_that_of_scipy_and_repeats_itself():
    rng = np.random.default_rng(3)
    x = {"old": rng.normal(0.0, 1.0, 10), "b": rng.normal(1.0, 1.0, 12), "c": rng.normal(0.5, 1.0, 9)}
    expected = stats.dunnett(x["b"], x["c"], control=x["old"], random_state=np.random.default_rng(0))
    found = with_control(x, "old", paired=False)
    assert found.pairs == (("b", "old"), ("c", "old"))
    assert [i.low for i in found.intervals] == pytest.approx(
        expected.confidence_interval(0.95).low.tolist(), rel=0.01
    )
    assert found.p_values == pytest.approx(expected.pvalue.tolist(), abs=1e-3)
    assert with_control(x, "old", paired=False) == found


def hold(found, truth) -> bool:
    return all(i.low <= t <= i.high for i, t in zip(found, truth, strict=True))


@pytest.mark.parametrize("means", [[0.0, 0.0, 0.0], [0.0, 1.0, 1.0], [2.0, 0.0, 5.0]])
def test_all_hold_together_as_often_as_promised(means):
    """1000 samples; Bonferroni errs on the safe side, by little for independent noise: 95 to 97 % (error 0.7 %)."""
    pairs, control, best = 0, 0, 0
    truth = [m - min(means[:i] + means[i + 1 :]) for i, m in enumerate(means)]
    for seed in range(1000):
        x = systems(means, seed)
        pairs += hold(all_pairs(x).intervals, [means[0] - means[1], means[0] - means[2], means[1] - means[2]])
        control += hold(with_control(x, "s0").intervals, [means[1] - means[0], means[2] - means[0]])
        best += hold(with_best(x).intervals, truth)
    assert 930 <= pairs <= 980
    assert 930 <= control <= 975
    assert best >= 935


@pytest.mark.parametrize("paired", [True, False])
def test_the_best_may_be_best_as_often_as_promised_and_not_always(paired):
    """Least favourable for MCB: all others far apart but one close rival; 1000 samples, error below 0.7 %."""
    means = [0.0, 0.01, 40.0]
    kept = sum(
        with_best(systems(means, seed, common=0.0), 0.8, paired=paired).may_be_best[0] for seed in range(1000)
    )
    assert 860 <= kept <= 940  # one of two one-sided comparisons at 1 - 0.2 / 2 can fail


def test_intervals_with_the_best_are_narrower_than_those_of_all_pairs():
    x = systems([0.0, 5.0, 6.0, 7.0])
    best, pairs = with_best(x), all_pairs(x)
    assert best.may_be_best == (True, False, False, False)
    assert best.intervals[0].high == 0.0
    assert all(i.low == 0.0 for i in best.intervals[1:])
    for interval, pair in zip(best.intervals[1:], pairs.intervals[:3], strict=True):
        assert interval.high < -pair.low


def test_the_greatest_is_the_least_of_the_opposite():
    x = systems([0.0, 1.0, 2.5])
    least, greatest = with_best(x), with_best({name: -v for name, v in x.items()}, minimise=False)
    assert greatest.may_be_best == least.may_be_best
    for a, b in zip(least.intervals, greatest.intervals, strict=True):
        assert b == pytest.approx((-a.mean, -a.high, -a.low))


def test_systems_without_noise_are_told_apart_for_sure():
    x = {"a": [1.0, 2.0], "b": [2.0, 3.0], "c": [1.0, 2.0]}
    assert all_pairs(x).p_values == (0.0, 1.0, 0.0)
    assert with_best(x).may_be_best == (True, False, True)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: with_best({"a": [1.0, 2.0]}), "samples: got 1"),
        (lambda: all_pairs({"a": [1.0, 2.0], "b": [1.0]}), r"samples\['b'\]: got 1"),
        (lambda: all_pairs({"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]}), "unequal sizes"),
        (
            lambda: with_control({"a": [1.0, 2.0], "b": [1.0, 2.0]}, "c"),
            "control: got 'c', expected one of: a, b",
        ),
        (lambda: all_pairs({"a": [1.0, 2.0], "b": [1.0, 2.0]}, 1.0), "level: got 1.0"),
        (lambda: bonferroni_level(0.95, 0), "comparisons: got 0"),
        (lambda: holm([0.5, 1.5]), "p_values: got"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
