"""Run lengths of charts: published tables, simulation, limits that are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numba import njit

from analysis import run_lengths as rl
from sim.kernels.detectors import CUSUM as CUSUM_CHART
from sim.kernels.detectors import EWMA as EWMA_CHART

SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0)
# Montgomery, 'Introduction to Statistical Quality Control', tables of the tabular CUSUM and of the EWMA chart.
CUSUM = {
    4.0: (168, 74.2, 26.6, 13.3, 8.38, 4.75, 3.34, 2.62, 2.19, 1.71),
    5.0: (465, 139, 38.0, 17.0, 10.4, 5.75, 4.01, 3.11, 2.57, 2.01),
}
# Lucas and Crosier (1982), head start h/2.
CUSUM_HEAD_START = {4.0: (149, 62.7, 20.1, 8.97, 5.29), 5.0: (430, 122, 28.7, 11.2, 6.35)}
EWMA = {
    (0.40, 3.054): (500, 224, 71.2, 28.4, 14.3, 5.9, 3.5, 2.5, 2.0, 1.4),
    (0.25, 2.998): (500, 170, 48.2, 20.1, 11.1, 5.5, 3.6, 2.7, 2.3, 1.7),
    (0.20, 2.962): (500, 150, 41.8, 18.2, 10.5, 5.5, 3.7, 2.9, 2.4, 1.9),
    (0.10, 2.814): (500, 106, 31.3, 15.9, 10.3, 6.1, 4.4, 3.4, 2.9, 2.2),
    (0.05, 2.615): (500, 84.1, 28.8, 16.4, 11.4, 7.1, 5.2, 4.2, 3.5, 2.7),
}


@njit(cache=True)
def simulated_cusum(generator, k, h, shift, head, two_sided, runs):
    lengths = np.empty(runs, dtype=np.int64)
    for run in range(runs):
        upper, lower, steps = head, head, 0
        while upper <= h and (lower <= h or not two_sided):
            x = generator.standard_normal() + shift
            upper, lower = max(0.0, upper + x - k), max(0.0, lower - x - k)
            steps += 1
        lengths[run] = steps
    return lengths


@njit(cache=True)
def simulated_ewma(generator, smoothing, width, shift, exact, runs):
    lengths = np.empty(runs, dtype=np.int64)
    for run in range(runs):
        z, steps, limit, left = 0.0, 0, 1e300, 1.0
        while abs(z) <= limit:
            z += smoothing * (generator.standard_normal() + shift - z)
            steps += 1
            left *= (1.0 - smoothing) ** 2
            limit = width * math.sqrt(smoothing / (2.0 - smoothing) * (1.0 - left if exact else 1.0))
        lengths[run] = steps
    return lengths


def within_interval(lengths, expected):
    """4 standard errors: a wrong alarm in 16,000; and 0.5 % for the states of the chain."""
    error = lengths.std() / math.sqrt(len(lengths))
    assert abs(lengths.mean() - expected) < 4.0 * error + 0.005 * expected


@pytest.mark.parametrize("h", [4.0, pytest.param(5.0, marks=pytest.mark.slow)])
def test_cusum_agrees_with_the_published_table(h):
    ours = [rl.cusum_run_length(0.5, h, shift) for shift in SHIFTS]
    np.testing.assert_allclose(ours, CUSUM[h], rtol=0.005)
    ours = [rl.cusum_run_length(0.5, h, shift, head_start=h / 2) for shift in SHIFTS[:5]]
    np.testing.assert_allclose(ours, CUSUM_HEAD_START[h], rtol=0.01)


@pytest.mark.parametrize("chart", EWMA)
def test_ewma_agrees_with_the_published_table(chart):
    ours = [rl.ewma_run_length(*chart, shift) for shift in SHIFTS]
    np.testing.assert_allclose(ours[:5], EWMA[chart][:5], rtol=0.01)
    np.testing.assert_allclose(ours[5:], EWMA[chart][5:], atol=0.06)


@pytest.mark.parametrize(
    ("k", "h", "shift", "head", "two_sided"),
    [
        (0.5, 5, 0, 0, True),
        (0.5, 4, 1, 0, True),
        (0.25, 8, -0.5, 4, True),
        (0.5, 3, 0, 1.5, False),
        (0, 6, 0.3, 0, False),
    ],
)
def test_cusum_agrees_with_simulation(k, h, shift, head, two_sided):
    lengths = simulated_cusum(np.random.default_rng(1), float(k), float(h), shift, head, two_sided, 20_000)
    within_interval(lengths, rl.cusum_run_length(k, h, shift, two_sided=two_sided, head_start=head))
    if not two_sided:
        levels = np.array([0.05, 0.5, 0.95])
        quantiles = rl.cusum_run_length_quantiles(k, h, levels, shift, head_start=head)
        reached = [(lengths <= q).mean() for q in quantiles]
        before = [(lengths <= q - 1).mean() for q in quantiles]
        assert (np.array(reached) > levels - 0.01).all()
        assert (np.array(before) < levels + 0.01).all()


@pytest.mark.parametrize("limits", ["asymptotic", "exact"])
@pytest.mark.parametrize(
    ("smoothing", "width", "shift"), [(0.1, 2.814, 0.0), (0.3, 2.5, 0.7), (1.0, 2.0, 0.5)]
)
def test_ewma_agrees_with_simulation(smoothing, width, shift, limits):
    lengths = simulated_ewma(np.random.default_rng(2), smoothing, width, shift, limits == "exact", 20_000)
    within_interval(lengths, rl.ewma_run_length(smoothing, width, shift, limits=limits))
    if limits == "asymptotic":
        median = int(rl.ewma_run_length_quantiles(smoothing, width, 0.5, shift))
        assert abs((lengths <= median).mean() - 0.5) < 0.01 + (lengths == median).mean()


@pytest.mark.parametrize("shift", [0.0, 1.0])
@pytest.mark.parametrize(
    ("detector", "expected"),
    [
        (CUSUM_CHART(decision_interval=5.0), lambda shift: rl.cusum_run_length(0.5, 5.0, shift)),
        (CUSUM_CHART(decision_interval=4.0), lambda shift: rl.cusum_run_length(0.5, 4.0, shift)),
        (
            CUSUM_CHART(decision_interval=4.0, sided="upper"),
            lambda shift: rl.cusum_run_length(0.5, 4.0, shift, two_sided=False),
        ),
        (EWMA_CHART(lambda_val=0.1, limit=2.814), lambda shift: rl.ewma_run_length(0.1, 2.814, shift)),
    ],
)
def test_the_detectors_run_as_long_as_the_chains_say(detector, expected, shift):
    """After an alarm a detector starts anew, so the gaps between alarms of one long stream are run lengths."""
    stream = np.random.default_rng(11).normal(shift, 1.0, size=2_000_000)
    alarms = detector.copy().update_many(stream)
    within_interval(np.diff(alarms), expected(shift))


def test_ewma_without_memory_is_a_shewhart_chart_and_so_is_a_cusum_without_memory():
    for shift in (0.0, 0.8, -2.0):
        shewhart = rl.shewhart_run_length(2.5, shift)
        assert rl.ewma_run_length(1.0, 2.5, shift) == pytest.approx(shewhart, rel=1e-9)
    # With a huge allowance the CUSUM is 0 before each sample: it calls when one sample passes k + h.
    assert rl.cusum_run_length(3.0, 0.2) == pytest.approx(rl.shewhart_run_length(3.2), rel=2e-3)
    one_sided = rl.shewhart_run_length(3.2, two_sided=False)
    assert one_sided == pytest.approx(2 * rl.shewhart_run_length(3.2), rel=1e-9)


@pytest.mark.parametrize(
    ("in_control", "shift"),
    [
        pytest.param(465, 1.0, marks=pytest.mark.slow),
        pytest.param(168, 1.0, marks=pytest.mark.slow),
        pytest.param(2190, 0.5, marks=pytest.mark.slow),
        pytest.param(8760, 2.0, marks=pytest.mark.slow),
        (50, 2.0),
    ],
)
def test_designs_have_the_wanted_run_length_and_the_best_memory(in_control, shift):
    cusum = rl.design_cusum(in_control, shift)
    assert (cusum.k, rl.cusum_run_length(cusum.k, cusum.h)) == (
        shift / 2,
        pytest.approx(in_control, rel=1e-6),
    )
    assert cusum.out_of_control == rl.cusum_run_length(cusum.k, cusum.h, shift)
    assert rl.design_cusum(in_control, shift, k=0.7 * shift).out_of_control > cusum.out_of_control
    ewma = rl.design_ewma(in_control, shift)
    assert rl.ewma_run_length(ewma.smoothing, ewma.width) == pytest.approx(in_control, rel=1e-6)
    for factor in (0.6, 1.5):
        other = rl.design_ewma(in_control, shift, smoothing=min(factor * ewma.smoothing, 1.0))
        assert other.out_of_control > ewma.out_of_control


def test_published_designs_are_found_again():
    assert rl.design_cusum(465, 1.0).h == pytest.approx(5.0, abs=0.01)
    assert rl.design_ewma(500, 1.0, smoothing=0.1).width == pytest.approx(2.814, abs=0.003)


def test_a_chart_that_never_calls_has_an_infinite_run_length():
    assert rl.cusum_run_length(3.0, 50.0) == math.inf
    assert rl.cusum_run_length(3.0, 50.0, 8.0) == pytest.approx(10.5, abs=0.5)  # 50 at 5 a sample
    assert rl.ewma_run_length(0.5, 12.0) == rl.ewma_run_length(0.5, 12.0, limits="exact") == math.inf
    assert rl.shewhart_run_length(50.0) == math.inf
    with pytest.raises(ValueError, match="narrower"):
        rl.cusum_run_length_quantiles(3.0, 50.0, 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rl.cusum_run_length(-1, 5), "k: got -1, expected"),
        (lambda: rl.cusum_run_length(0.5, 0), "h: got 0, expected"),
        (lambda: rl.cusum_run_length(0.5, 1e6), "h: got 1e.06, expected"),
        (lambda: rl.cusum_run_length(0.5, 5, math.nan), "shift: got nan"),
        (lambda: rl.cusum_run_length(0.5, 5, head_start=6), "head_start: got 6"),
        (lambda: rl.ewma_run_length(0, 3), "smoothing: got 0"),
        (lambda: rl.ewma_run_length(0.1, -3), "width: got -3"),
        (lambda: rl.ewma_run_length(0.1, 3, limits="other"), "limits: got 'other'"),
        (lambda: rl.shewhart_run_length(0), "width: got 0"),
        (lambda: rl.ewma_run_length_quantiles(0.1, 3, 1.0), "probabilities: got 1"),
        (lambda: rl.design_cusum(1, 1), "in_control: got 1"),
        (lambda: rl.design_cusum(1000, 0), "shift: got 0"),
        (lambda: rl.design_cusum(100, 8), "in_control: got 100, but with k = 4 every CUSUM runs longer"),
        (lambda: rl.design_cusum(1e9, 0.02), "takes h > 100"),
        (lambda: rl.design_ewma(500, 1, smoothing=2), "smoothing: got 2"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
