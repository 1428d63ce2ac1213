"""Selection: the promise over many macro-replications, procedures against plain twins, OCBA against its formula."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import optimize, stats

from analysis.budget_allocation import ocba, ocba_shares, probability_of_correct_selection
from analysis.selection import kn_constant, select_best, select_within_budget

EQUAL = [2.0] * 5
MIXED = [6.0, 0.5, 0.5, 0.5, 6.0]


def play(means, sds, common: float, seed: int, law="normal", size: int = 6000):
    """A simulation of systems whose noise has correlation `common`."""
    rng = np.random.default_rng(seed)
    k = len(means)
    noise = math.sqrt(common) * rng.standard_normal((size, 1)) + math.sqrt(
        1.0 - common
    ) * rng.standard_normal((size, k))
    if law == "exponential":
        noise = stats.expon.ppf(stats.norm.cdf(noise)) - 1.0
    values = np.asarray(means) + np.asarray(sds) * noise
    return lambda system, replication: values[replication, system]


def right_and_runs(means, sds, common, runs, **arguments) -> tuple[float, float]:
    best = int(np.argmin(means))
    found = [
        select_best(play(means, sds, common, seed), range(len(means)), delta=1.0, **arguments)
        for seed in range(runs)
    ]
    assert all(f.guaranteed for f in found)
    return float(np.mean([f.best == best for f in found])), float(
        np.mean([f.replications.sum() for f in found])
    )


@pytest.mark.parametrize("sds", [EQUAL, MIXED])
@pytest.mark.parametrize("common", [0.0, 0.8])
@pytest.mark.parametrize("best", [0, pytest.param(4, marks=pytest.mark.slow)])
def test_the_promise_in_the_slippage_configuration(best, common, sds):
    """All others exactly delta behind, the hardest case: right in at least 95 % of 200 macro-replications."""
    means = np.ones(5)
    means[best] = 0.0
    right, _ = right_and_runs(means, sds, common, 200)
    assert right >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize("step", [1, 8])
def test_the_promise_over_many_macro_replications(confidence, step):
    """Error rate 1e-3 for a probability that is exactly the promised one."""
    right, _ = right_and_runs([1, 1, 0, 1, 1], EQUAL, 0.3, 1000, confidence=confidence, step=step)
    assert right >= stats.binom.ppf(0.001, 1000, confidence) / 1000


@pytest.mark.slow
def test_the_promise_for_skewed_values():
    """Exponential noise (skewness 2): the promise is for normal values, and holds here from a first stage of 20 on."""
    wins = [
        select_best(play([1, 1, 0, 1], [3.0] * 4, 0.0, seed, "exponential"), range(4), delta=1.0).best == 2
        for seed in range(400)
    ]
    assert np.mean(wins) >= 0.95


def test_common_random_numbers_save_replications():
    _, apart = right_and_runs([0, 1, 1, 1, 1], [4.0] * 5, 0.0, 40)
    _, together = right_and_runs([0, 1, 1, 1, 1], [4.0] * 5, 0.9, 40)
    assert together < 0.5 * apart


def plain_kn(simulate, k: int, delta: float, confidence: float, n0: int) -> tuple[int, list[int]]:
    """Twin: procedure KN step by step, as the paper has it (for maximising)."""
    eta = 0.5 * ((2.0 * (1.0 - confidence) / (k - 1)) ** (-2.0 / (n0 - 1)) - 1.0)
    h2 = 2.0 * eta * (n0 - 1)
    x = [[-simulate(i, r) for r in range(n0)] for i in range(k)]
    variance = {
        (i, j): np.var(np.subtract(x[i], x[j]), ddof=1) for i, j in itertools.permutations(range(k), 2)
    }
    alive, r = list(range(k)), n0
    while True:
        mean = {i: sum(x[i]) / r for i in alive}
        alive = [
            i
            for i in alive
            if all(
                mean[i] >= mean[j] - max(0.0, delta / (2.0 * r) * (h2 * variance[i, j] / delta**2 - r))
                for j in alive
                if j != i
            )
        ]
        if len(alive) == 1:
            return alive[0], [len(v) for v in x]
        for i in alive:
            x[i].append(-simulate(i, r))
        r += 1


@pytest.mark.parametrize("seed", range(6))
def test_procedure_against_its_definition(seed):
    simulate = play([0.0, 0.7, 1.5, 0.2], [3.0, 1.0, 4.0, 2.0], 0.4, seed)
    found = select_best(simulate, range(4), delta=0.5, confidence=0.9, first_stage=12)
    assert (found.best, found.replications.tolist()) == plain_kn(simulate, 4, 0.5, 0.9, 12)


def test_constant_for_two_systems_is_that_of_the_definition():
    assert kn_constant(2, 11, 0.95) == pytest.approx(10.0 * (0.1 ** (-0.2) - 1.0), rel=1e-12)


def test_greatest_is_the_least_of_the_opposite():
    simulate = play([0.0, 1.0, 2.0], [2.0] * 3, 0.0, 1)
    least = select_best(simulate, range(3), delta=0.5)
    greatest = select_best(lambda i, r: -simulate(i, r), range(3), delta=0.5, minimise=False)
    assert greatest.best == least.best
    assert greatest.replications.tolist() == least.replications.tolist()


def test_result_has_every_value_and_the_first_replication_moves_all():
    simulate = play([0.0, 1.0, 2.0], [2.0] * 3, 0.0, 2)
    found = select_best(simulate, range(3), delta=0.5, first_replication=7)
    for system, values in zip(found.systems, found.values, strict=True):
        assert values.tolist() == [simulate(system, 7 + r) for r in range(len(values))]
    table = found.table()
    assert table["selected"].tolist() == [system == found.best for system in range(3)]
    assert table["mean"].to_numpy() == pytest.approx(found.means)
    assert ">= 0.95" in str(found)


def _steady(system: float, replication: int) -> float:
    return system + 0.1 * math.sin(replication)


@pytest.mark.slow
def test_workers_do_not_show():
    alone = select_best(_steady, [1.0, 0.0, 0.95], delta=0.01, step=4, workers=1)
    many = select_best(_steady, [1.0, 0.0, 0.95], delta=0.01, step=4, workers=2)
    assert all(np.array_equal(a, b) for a, b in zip(alone.values, many.values, strict=True))


def test_equal_systems_without_noise_end():
    found = select_best(lambda system, replication: 5.0, ["a", "b"], delta=1.0)
    assert found.best == "a"
    assert found.replications.tolist() == [20, 20]


def test_a_limit_takes_back_the_promise():
    simulate = play([0.0, 0.01], [5.0, 5.0], 0.0, 3)
    found = select_best(simulate, range(2), delta=0.1, max_replications=30)
    assert not found.guaranteed
    assert math.isnan(found.probability)
    assert found.replications.max() == 30
    assert found.best == int(np.argmin(found.means))
    assert "no promise" in str(found)


# ---------------------------------------------------------------- budget allocation


@pytest.mark.parametrize(
    ("means", "sds"), [([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]), ([5.0, 4.0, 9.0, 4.5], [1.0, 2.0, 9.0, 0.5])]
)
def test_shares_are_those_of_the_formula(means, sds):
    share, best = ocba_shares(means, sds), int(np.argmin(means))
    rest = [i for i in range(len(means)) if i != best]
    for i, j in itertools.combinations(rest, 2):
        ratio = ((sds[i] / (means[i] - means[best])) / (sds[j] / (means[j] - means[best]))) ** 2
        assert share[i] / share[j] == pytest.approx(ratio, rel=1e-12)
    assert share[best] == pytest.approx(sds[best] * math.sqrt(sum((share[i] / sds[i]) ** 2 for i in rest)))
    assert share.sum() == pytest.approx(1.0)
    assert ocba_shares(-np.array(means), sds, minimise=False) == pytest.approx(share)


def test_shares_for_many_systems_are_near_the_optimum_of_the_probability():
    """The formula is asymptotic: APCS at its shares is within 0.2 % of the best that a numeric search finds."""
    means, sds, budget = (
        np.array([0.0, 1.0, 1.5, 2.0, 2.0, 3.0]),
        np.array([2.0, 2.0, 3.0, 2.0, 1.0, 2.0]),
        300.0,
    )

    def wrong(logits):
        share = np.exp(logits) / np.exp(logits).sum()
        return 1.0 - probability_of_correct_selection(means, sds, np.maximum(share * budget, 1.0))

    best = optimize.minimize(
        wrong, np.log(ocba_shares(means, sds)), method="Nelder-Mead", options={"maxiter": 2000}
    )
    assert wrong(np.log(ocba_shares(means, sds))) - best.fun < 0.002
    assert 5.0 * wrong(np.log(ocba_shares(means, sds))) < wrong(np.zeros(6))  # equal shares are far from it


@pytest.mark.parametrize(
    ("means", "sds", "expected"),
    [
        ([1.0, 1.0, 5.0], [1.0, 1.0, 1.0], [0.5, 0.5, 0.0]),
        ([1.0, 2.0], [0.0, 0.0], [0.5, 0.5]),
        ([1.0, 2.0], [3.0, 0.0], [1.0, 0.0]),
        ([1.0, 2.0], [0.0, 3.0], [0.0, 1.0]),
        ([1.0, 2.0], [3.0, 1.0], [0.75, 0.25]),
    ],
)
def test_shares_at_the_edges(means, sds, expected):
    assert ocba_shares(means, sds) == pytest.approx(expected)


@pytest.mark.parametrize("budget", [30, 31, 97, 1000])
def test_allocation_is_whole_adds_up_and_takes_nothing_back(budget):
    rng = np.random.default_rng(budget)
    for _ in range(50):
        means, sds, done = rng.normal(size=5), rng.gamma(1.0, size=5), rng.integers(0, 7, 5)
        wanted = ocba(means, sds, budget, done=done)
        assert wanted.sum() == budget
        assert (wanted >= done).all()
        free = ocba(means, sds, budget)
        assert np.abs(free - budget * ocba_shares(means, sds)).max() < 1.0


def test_probability_of_two_systems_is_exact():
    found = probability_of_correct_selection([1.0, 1.5], [2.0, 1.0], [10, 20])
    assert found == pytest.approx(stats.norm.cdf(0.5 / math.sqrt(4.0 / 10 + 1.0 / 20)), rel=1e-12)
    assert probability_of_correct_selection([1.0, 1.0], [0.0, 0.0], [1, 1]) == 0.5


def test_ocba_beats_equal_allocation_for_the_same_budget():
    """150 replications, 5 systems: the difference of the success rates over 300 macro-replications is clear."""
    means, sds = [0.0, 1.0, 3.0, 4.0, 5.0], [3.0] * 5
    wins, equal = 0, 0
    for seed in range(300):
        simulate = play(means, sds, 0.0, seed, size=200)
        found = select_within_budget(simulate, range(5), 150, step=15)
        assert found.replications.sum() == 150
        assert not found.guaranteed
        wins += found.best == 0
        equal += int(np.argmin([np.mean([simulate(i, r) for r in range(30)]) for i in range(5)])) == 0
    assert wins > equal + 10


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: select_best(s, [1], 0.5), "systems: got 1"),
        (lambda s: select_best(s, [1, 2], 0.0), "delta: got 0.0"),
        (lambda s: select_best(s, [1, 2], math.nan), "delta: got nan"),
        (lambda s: select_best(s, [1, 2], 0.5, 0.4), "confidence: got 0.4"),
        (lambda s: select_best(s, [1, 2], 0.5, first_stage=1), "first_stage: got 1"),
        (lambda s: select_best(s, [1, 2], 0.5, step=0), "step: got 0"),
        (lambda s: select_best(s, [1, 2], 0.5, max_replications=5), "max_replications: got 5"),
        (lambda s: select_best(lambda i, r: math.nan, [1, 2], 0.5), "gave nan, expected a finite"),
        (lambda s: select_within_budget(s, [1, 2], 19), "budget: got 19, expected at least 20"),
        (lambda s: ocba([1.0], [1.0], 10), "means: got"),
        (lambda s: ocba([1.0, 2.0], [1.0, -1.0], 10), "sds: got"),
        (lambda s: ocba([1.0, 2.0], [1.0, 1.0], 5, done=[3, 3]), "at least the 6 replications done"),
        (lambda s: probability_of_correct_selection([1.0, 2.0], [1.0, 1.0], [0, 3]), "counts >= 1"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call(lambda system, replication: float(system))
