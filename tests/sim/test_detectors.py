"""Streaming detectors: plain twins, published run lengths, chunks, saved state, missing and refused readings."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import pickle
import random
from typing import Any

import numpy as np
import pytest
from scipy.stats import ks_2samp

from sim.kernels import kswin
from sim.kernels.detectors import (
    CUSUM,
    DETECTORS,
    EWMA,
    KSWIN,
    Detector,
    ShewhartPChart,
    WarningDetector,
    p_chart_limits,
)

# Settings under which each detector raises several alarms on `readings`.
QUICK: dict[str, dict[str, Any]] = {
    "page_hinkley": {"threshold": 5.0},
    "cusum": {"decision_interval": 3.0, "head_start": 1.0},
    "ewma": {"limit": 2.0, "exact_limits": True},
    "shewhart": {"fraction": 0.3, "group_size": 17, "limit": 1.5},
    "ddm": {"warm_start": 5, "drift_threshold": 2.0},
    "eddm": {"warm_start": 5},
    "hddm_a": {"drift_confidence": 0.1, "warning_confidence": 0.2, "two_sided_test": True},
    "hddm_w": {"drift_confidence": 0.1, "warning_confidence": 0.2, "two_sided_test": True},
    "adwin": {"clock": 3, "delta": 0.5},
    "kswin": {"window_size": 40, "stat_size": 15, "alpha": 0.1, "seed": 11},
}


def quick(name: str) -> Detector:
    return DETECTORS[name](**QUICK[name])


def readings(name: str, seed: int = 0, length: int = 1200) -> np.ndarray:
    """A stream in the detector's domain whose level moves every 100 readings, with one in 20 missing."""
    rng = np.random.default_rng(seed)
    level = np.repeat(rng.choice([-1.0, 0.0, 1.0], size=length // 100), 100)
    xs = rng.normal(level)
    if DETECTORS[name].domain != "real":
        xs = (xs > 0.5).astype(float)
    xs[rng.random(length) < 0.05] = np.nan
    return xs


# --- plain twins of what river does not have ---


def plain_cusum(xs: np.ndarray, d: CUSUM) -> list[int]:
    alarms, upper, lower = [], d.head_start, d.head_start
    for i, x in enumerate(xs):
        if math.isnan(x):
            continue
        z = (x - d.target) / d.sd
        upper, lower = max(0.0, upper + z - d.allowance), max(0.0, lower - z - d.allowance)
        if (d.sided != "lower" and upper > d.decision_interval) or (
            d.sided != "upper" and lower > d.decision_interval
        ):
            alarms.append(i)
            upper = lower = d.head_start
    return alarms


def plain_ewma(xs: np.ndarray, d: EWMA) -> list[int]:
    alarms, average, n = [], d.target, 0
    for i, x in enumerate(xs):
        if math.isnan(x):
            continue
        n += 1
        average = d.lambda_val * x + (1 - d.lambda_val) * average
        variance = d.sd**2 * d.lambda_val / (2 - d.lambda_val)
        if d.exact_limits:
            variance *= 1 - (1 - d.lambda_val) ** (2 * n)
        off = (average - d.target) / math.sqrt(variance)
        if (d.sided != "lower" and off > d.limit) or (d.sided != "upper" and off < -d.limit):
            alarms.append(i)
            average, n = d.target, 0
    return alarms


def plain_p_chart(xs: np.ndarray, d: ShewhartPChart) -> list[int]:
    there = np.flatnonzero(~np.isnan(xs))
    groups = there[: there.size // d.group_size * d.group_size].reshape(-1, d.group_size)
    half = d.limit * math.sqrt(d.fraction * (1 - d.fraction) / d.group_size)
    off = xs[groups].mean(axis=1) - d.fraction
    out = ((off > half) & (d.sided != "lower")) | ((off < -half) & (d.sided != "upper"))
    return [int(i) for i in groups[out, -1]]


@pytest.mark.parametrize("sided", ["two", "upper", "lower"])
@pytest.mark.parametrize(
    ("name", "twin", "settings"),
    [
        ("cusum", plain_cusum, {"target": 0.1, "sd": 1.3, "decision_interval": 4.0}),
        ("cusum", plain_cusum, {"allowance": 0.25, "decision_interval": 8.0, "head_start": 4.0}),
        ("ewma", plain_ewma, {"target": 0.1, "sd": 1.3, "limit": 2.5}),
        ("ewma", plain_ewma, {"lambda_val": 0.4, "limit": 2.0, "exact_limits": True}),
        ("ewma", plain_ewma, {"lambda_val": 1.0, "exact_limits": True}),
        ("shewhart", plain_p_chart, {"fraction": 0.3, "group_size": 20, "limit": 2.0}),
        ("shewhart", plain_p_chart, {"fraction": 0.2, "group_size": 1, "limit": 1.0}),
    ],
)
def test_charts_against_plain_twins(name: str, twin: Any, settings: dict[str, Any], sided: str) -> None:
    found = 0
    for seed in range(5):
        detector = DETECTORS[name](**settings, sided=sided)
        xs = readings(name, seed)
        alarms = twin(xs, detector)
        assert detector.update_many(xs).tolist() == alarms
        found += len(alarms)
    assert found > 0 or (name == "shewhart" and sided == "lower")


@pytest.mark.parametrize("shift", [0.0, 1.0])
@pytest.mark.parametrize(
    ("detector", "in_control", "out_of_control"),
    [
        (CUSUM(decision_interval=5.0), 465.0, 10.4),
        (CUSUM(decision_interval=4.0), 168.0, 8.38),
        (EWMA(lambda_val=0.1, limit=2.814), 500.0, 10.3),
    ],
)
def test_run_lengths_of_montgomery(
    detector: Detector, in_control: float, out_of_control: float, shift: float
) -> None:
    """Mean run length within 4 standard errors (one test in 16,000 fails by chance) and the rounding of the table."""
    xs = np.random.default_rng(1).normal(shift, 1.0, 3_000_000)
    runs = np.diff(detector.copy().update_many(xs), prepend=-1)
    published = in_control if shift == 0.0 else out_of_control
    margin = 4 * runs.std() / math.sqrt(runs.size) + 0.006 * published
    assert abs(runs.mean() - published) < margin


def test_head_start_sees_an_early_shift_sooner() -> None:
    xs = np.full(20, 1.0)
    assert CUSUM(head_start=2.5).update_many(xs)[0] == 5
    assert CUSUM().update_many(xs)[0] == 10


def test_p_chart_limits() -> None:
    lower, upper = p_chart_limits(0.2, [1, 100, 10_000], limit=2.0)
    np.testing.assert_allclose(lower, [0.0, 0.12, 0.192], atol=1e-15)
    np.testing.assert_allclose(upper, [1.0, 0.28, 0.208], atol=1e-15)
    with pytest.raises(ValueError, match=r"fraction=1.2.*must be in \(0, 1\)"):
        p_chart_limits(1.2, 10)


# --- the same for every detector ---

each = pytest.mark.parametrize("name", DETECTORS)


@each
def test_readings_in_any_chunks(name: str) -> None:
    xs = readings(name)
    whole, single, chunked = quick(name), quick(name), quick(name)
    alarms = whole.update_many(xs)
    assert alarms.dtype == np.int64
    assert alarms.size >= 2

    assert np.flatnonzero([single.update(x) for x in xs]).tolist() == alarms.tolist()

    cuts = np.sort(np.random.default_rng(1).integers(0, xs.size, 60))  # some chunks are empty
    starts = np.concatenate(([0], cuts))
    pieces = [s + chunked.update_many(part) for s, part in zip(starts, np.split(xs, cuts), strict=True)]
    assert np.concatenate(pieces).tolist() == alarms.tolist()

    np.testing.assert_array_equal(whole.state, chunked.state)
    np.testing.assert_array_equal(whole.state, single.state)


def by_json(state: np.ndarray) -> Any:
    return json.loads(json.dumps(state.tolist(), allow_nan=False))


def by_npz(state: np.ndarray) -> Any:
    file = io.BytesIO()
    np.savez(file, state=state)
    file.seek(0)
    return np.load(file)["state"]


@each
def test_a_stream_goes_on_from_a_saved_state(name: str) -> None:
    xs = readings(name)
    whole = quick(name)
    alarms = whole.update_many(xs)
    after_alarm = int(alarms[0]) + 1
    for stop in (0, 1, 333, after_alarm, 1000):
        first = quick(name)
        first.update_many(xs[:stop])
        loaded, unpacked = quick(name), quick(name)
        loaded.restore(by_json(first.state))
        unpacked.restore(by_npz(first.state))
        pickled = pickle.loads(pickle.dumps(first))
        rest = (alarms[alarms >= stop] - stop).tolist()
        for other in (first.copy(), loaded, unpacked, pickled, first):
            assert other.drift_detected == (stop == after_alarm)
            assert other.update_many(xs[stop:]).tolist() == rest
            np.testing.assert_array_equal(other.state, whole.state)


@each
def test_copies_and_parameters_are_apart(name: str) -> None:
    xs = readings(name)
    first = quick(name)
    first.update_many(xs[:100])
    before = first.state
    first.copy().update_many(xs)
    first.state[:] = 7.0
    np.testing.assert_array_equal(first.state, before)

    again = type(first)(**first.parameters())
    assert again.parameters() == first.parameters()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(first, next(iter(first.parameters())), 1)


@each
def test_reset_is_a_new_start(name: str) -> None:
    xs = readings(name)
    detector = quick(name)
    alarms = detector.update_many(xs).tolist()
    detector.reset()
    assert not detector.drift_detected
    assert detector.update_many(xs).tolist() == alarms


@each
def test_missing_readings_count_for_nothing(name: str) -> None:
    xs = readings(name)
    there = np.flatnonzero(~np.isnan(xs))
    with_gaps, without = quick(name), quick(name)
    alarms = with_gaps.update_many(xs)
    assert there[without.update_many(xs[there])].tolist() == alarms.tolist()

    stopped = quick(name)
    stopped.update_many(xs[: alarms[0] + 1])
    assert stopped.drift_detected
    assert not stopped.update(math.nan)
    assert stopped.drift_detected

    empty = quick(name)
    assert empty.update_many([]).size == 0
    assert empty.update_many([math.nan] * 3).size == 0
    assert not empty.drift_detected


@each
def test_kinds_of_arrays(name: str) -> None:
    xs = np.nan_to_num(readings(name)).round()
    alarms = quick(name).update_many(xs).tolist()
    wide = np.zeros((xs.size, 2))
    wide[:, 1] = xs
    frozen = xs.copy()
    frozen.flags.writeable = False
    for given in (xs.tolist(), xs.astype(np.int8), xs.astype(np.float32), wide[:, 1], frozen):
        assert quick(name).update_many(given).tolist() == alarms


def refused(name: str) -> list[float]:
    return {
        "real": [math.inf, -math.inf],
        "unit": [math.inf, -0.001, 1.001],
        "binary": [math.inf, -1.0, 2.0, 0.5],
    }[DETECTORS[name].domain]


@each
def test_readings_outside_the_domain(name: str) -> None:
    xs = readings(name, length=3000)
    for wrong in refused(name):
        for at in (0, 1500, 2999):
            detector = quick(name)
            detector.update_many(xs[:300])
            before = detector.state
            given = xs.copy()
            given[at] = wrong
            with pytest.raises(ValueError, match=rf"got the reading {wrong!r} at index {at}, must be"):
                detector.update_many(given)
            with pytest.raises(ValueError, match=rf"got the reading {wrong!r}, must be"):
                detector.update(wrong)
            np.testing.assert_array_equal(detector.state, before)
    with pytest.raises(ValueError, match=r"shape \(2, 2\), must be one-dimensional"):
        quick(name).update_many(np.zeros((2, 2)))


@each
def test_states_that_do_not_fit(name: str) -> None:
    detector = quick(name)
    for state in (np.zeros(detector.state.size + 1), np.full(detector.state.size, np.nan)):
        with pytest.raises(ValueError, match="got a state of shape"):
            detector.restore(state)


WRONG = {
    "page_hinkley": {"min_instances": 0, "delta": -1.0, "threshold": 0.0, "alpha": 1.1, "mode": "sideways"},
    "cusum": {"sd": 0.0, "allowance": -0.1, "decision_interval": 0.0, "sided": "both", "head_start": 5.0},
    "ewma": {"sd": -1.0, "lambda_val": 0.0, "limit": 0.0, "sided": "both", "exact_limits": 1},
    "shewhart": {"fraction": 0.0, "group_size": 0, "limit": 0.0, "sided": 2},
    "ddm": {"warm_start": -1, "warning_threshold": 0.0, "drift_threshold": 1.9},
    "eddm": {"warm_start": -1, "alpha": 1.0, "beta": 0.96},
    "hddm_a": {"drift_confidence": 1.0, "warning_confidence": 0.0005, "two_sided_test": "yes"},
    "hddm_w": {"drift_confidence": 0.0, "warning_confidence": 1.0, "lambda_val": 1.5, "two_sided_test": 0},
    "adwin": {"delta": 0.0, "clock": 0, "max_buckets": 1, "min_window_length": 0, "grace_period": -1},
    "kswin": {"alpha": 0.0, "window_size": 59, "stat_size": 0, "seed": 1.5},
}


@pytest.mark.parametrize(("name", "parameter"), [(n, p) for n in WRONG for p in WRONG[n]])
def test_parameters_out_of_range(name: str, parameter: str) -> None:
    kind, value = DETECTORS[name], WRONG[name][parameter]
    with pytest.raises(ValueError, match=rf"^{kind.__name__}: got {parameter}={value!r}, must be "):
        kind(**{parameter: value})


@each
def test_parameters_of_the_wrong_kind(name: str) -> None:
    for field in dataclasses.fields(DETECTORS[name]):
        for value in ("a", math.nan, [1]):
            with pytest.raises(ValueError, match=rf"got {field.name}="):
                DETECTORS[name](**{field.name: value})


def test_who_warns() -> None:
    assert {name for name, kind in DETECTORS.items() if issubclass(kind, WarningDetector)} == {
        "ddm",
        "eddm",
        "hddm_a",
        "hddm_w",
    }


# --- the parts of KSWIN ---


@pytest.mark.parametrize(
    ("n", "k"), [(70, 30), (5, 5), (21, 3), (22, 3), (37, 6), (38, 6), (300, 30), (1, 1)]
)
def test_sample_is_that_of_cpython(n: int, k: int) -> None:
    rng = random.Random(99)
    words = np.array(rng.getstate()[1], dtype=float)
    drawn, pool = np.empty(k, dtype=np.int64), np.empty(n, dtype=np.int64)
    by_pool = n <= kswin._size_of_set(k)
    for _ in range(100):  # past several generations of the twister
        kswin._sample(words, n, k, by_pool, drawn, pool)
        assert drawn.tolist() == rng.sample(range(n), k)
    assert words.tolist() == list(rng.getstate()[1])


@pytest.mark.parametrize("values", [3, 20, 10**6])
@pytest.mark.parametrize("size", [1, 2, 7, 30])
def test_largest_step_against_scipy(size: int, values: int) -> None:
    rng = np.random.default_rng(size + values)
    room = np.empty(size + 1, dtype=np.int64), np.empty(size + 1, dtype=np.int64)
    for shift in (0, 0, 0, 1, 2, values):
        first = np.sort(rng.integers(0, values, size).astype(float))
        second = rng.integers(0, values, size).astype(float) + shift
        steps = kswin._largest_step(first, second, *room)
        assert steps == round(ks_2samp(first, second).statistic * size)


@pytest.mark.parametrize("alpha", [1e-9, 0.005, 0.3, 1.0])
@pytest.mark.parametrize("size", [1, 4, 10, 31])
def test_critical_steps_against_scipy(size: int, alpha: float) -> None:
    ranks = np.arange(size)
    tests = [ks_2samp(ranks, ranks + steps) for steps in range(size + 1)]
    significant = [i for i, t in enumerate(tests) if t.pvalue <= alpha and t.statistic > 0.1]
    assert kswin.critical_steps(size, alpha) == (significant[0] if significant else size + 1)


def test_a_seed_that_was_drawn_is_kept() -> None:
    xs = readings("kswin")
    settings = {**QUICK["kswin"], "seed": None}
    first, other = KSWIN(**settings), KSWIN(**settings)
    assert first.seed != other.seed
    assert KSWIN(**first.parameters()).update_many(xs).tolist() == first.update_many(xs).tolist()
