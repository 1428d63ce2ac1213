"""Peer check: alarms and warnings equal river's, reading by reading, on random streams and on a real one."""

from __future__ import annotations

import gzip
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim.kernels.detectors import DETECTORS

river = pytest.importorskip("river", reason="river is a development dependency")
from river import drift  # noqa: E402

PEERS: dict[str, Callable[..., Any]] = {
    "page_hinkley": drift.PageHinkley,
    "ddm": drift.binary.DDM,
    "eddm": drift.binary.EDDM,
    "hddm_a": drift.binary.HDDMA,
    "hddm_w": drift.binary.HDDMW,
    "adwin": drift.ADWIN,
    "kswin": drift.KSWIN,
}

# The first of each is the default but for what makes alarms on streams this short, or a seed.
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "page_hinkley": [
        {"threshold": 10.0},
        {"threshold": 3.0, "mode": "up", "min_instances": 5},
        {"threshold": 3.0, "mode": "down", "alpha": 0.99, "delta": 0.1},
        {"threshold": 0.9, "alpha": 1.0, "delta": 0.0, "min_instances": 1},
    ],
    "ddm": [
        {},
        {"warm_start": 0},
        {"warm_start": 5, "warning_threshold": 1.0, "drift_threshold": 1.5},
    ],
    "eddm": [
        {},
        {"alpha": 0.8, "beta": 0.75},
        {"warm_start": 5, "alpha": 0.99, "beta": 0.98},
        {"warm_start": 0, "alpha": 0.5, "beta": 0.5},
    ],
    "hddm_a": [
        {},
        {"two_sided_test": True},
        {"drift_confidence": 0.05, "warning_confidence": 0.3, "two_sided_test": True},
        {"drift_confidence": 0.2, "warning_confidence": 0.2},
    ],
    "hddm_w": [
        {},
        {"two_sided_test": True},
        {"lambda_val": 0.2, "drift_confidence": 0.05, "warning_confidence": 0.3, "two_sided_test": True},
        {"lambda_val": 1.0, "drift_confidence": 0.3, "warning_confidence": 0.9},
    ],
    "adwin": [
        {},
        {"clock": 1, "delta": 0.3, "min_window_length": 1, "grace_period": 0},
        {"clock": 7, "max_buckets": 2, "delta": 0.1, "min_window_length": 2},
        {"clock": 3, "max_buckets": 13, "delta": 1.0, "grace_period": 100},
    ],
    "kswin": [
        {"seed": 1},
        {"seed": 7, "alpha": 0.05, "window_size": 40, "stat_size": 10},
        {"seed": 2**40 + 1, "alpha": 0.2, "window_size": 60, "stat_size": 3},
        {"seed": 0, "alpha": 0.3, "window_size": 20, "stat_size": 10},
        {"seed": -5, "alpha": 1.0, "window_size": 31, "stat_size": 7},
    ],
}
LENGTHS = {"kswin": 150, "hddm_a": 400, "hddm_w": 400}
STREAMS = 200


def stream(seed: int, length: int, binary: bool) -> np.ndarray:
    """Half of the streams change once, a quarter ramp; Bernoulli, or Gaussian, coarse, offset, heavy-tailed or 0/1."""
    rng = np.random.default_rng(seed)
    change = np.zeros(length)
    at = int(rng.integers(length // 4, 3 * length // 4))
    if seed % 4 in (1, 2):
        change[at:] = rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 2.0)
    elif seed % 4 == 3:
        change = np.linspace(0.0, rng.normal(0.0, 2.0), length)
    shape = rng.integers(5)
    if binary or shape == 0:
        p = 1.0 / (1.0 + np.exp(-(rng.choice([-3.0, -1.0, 0.0, 1.0]) + 1.5 * change)))
        return (rng.random(length) < p).astype(float)
    if shape == 1:
        return np.round(2.0 * (rng.normal(size=length) + change))
    if shape == 2:
        return 1e4 + 0.1 * (rng.normal(size=length) + change)
    if shape == 3:
        return rng.standard_t(2, size=length) + 3.0 * change
    return rng.normal(size=length) + change


def judged_by_river(name: str, settings: dict[str, Any], xs: np.ndarray) -> tuple[list[int], list[int]]:
    """Indices of alarms and of warnings."""
    peer = PEERS[name](**settings)
    alarms, warnings = [], []
    for i, x in enumerate(xs.tolist()):
        peer.update(x)
        if peer.drift_detected:
            alarms.append(i)
        if getattr(peer, "warning_detected", False):
            warnings.append(i)
    return alarms, warnings


def is_binary(name: str) -> bool:
    return DETECTORS[name].domain != "real"


@pytest.mark.parametrize("name", PEERS)
def test_defaults_are_those_of_river(name: str) -> None:
    ours = {k: p.default for k, p in inspect.signature(DETECTORS[name]).parameters.items()}
    theirs = {k: p.default for k, p in inspect.signature(PEERS[name]).parameters.items()}
    theirs.pop("window", None)  # KSWIN: a window already filled
    assert ours == theirs


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "kswin" else name for name in PEERS]
)
def test_alarms_on_random_streams(name: str) -> None:
    found = 0
    for seed in range(STREAMS):
        settings = SETTINGS[name][seed % len(SETTINGS[name])]
        xs = stream(seed // len(SETTINGS[name]) + 1000 * seed, LENGTHS.get(name, 1500), is_binary(name))
        alarms, _ = judged_by_river(name, settings, xs)
        ours = DETECTORS[name](**settings).update_many(xs)
        assert ours.tolist() == alarms, (seed, settings)
        found += len(alarms)
    assert found > STREAMS / 2  # streams without alarms would show nothing


@pytest.mark.parametrize("name", [name for name in PEERS if hasattr(DETECTORS[name], "warning_detected")])
def test_warnings_one_reading_at_a_time(name: str) -> None:
    found = 0
    for seed, settings in enumerate(SETTINGS[name] * 3):
        xs = stream(seed + 1, 500, binary=True)
        ours: Any = DETECTORS[name](**settings)
        judged: tuple[list[int], list[int]] = [], []
        for i, x in enumerate(xs):
            alarm = ours.update(x)
            assert alarm == ours.drift_detected
            if alarm:
                judged[0].append(i)
            if ours.warning_detected:
                judged[1].append(i)
        assert judged == judged_by_river(name, settings, xs)
        found += len(judged[1])
    assert found > 0


@pytest.mark.parametrize("name", ["page_hinkley", "adwin"])
def test_alarms_on_a_long_stream(name: str) -> None:
    rng = np.random.default_rng(5)
    xs = rng.normal(size=100_000) + np.repeat(rng.normal(0.0, 0.1, 10), 10_000)
    alarms, _ = judged_by_river(name, {}, xs)
    assert DETECTORS[name]().update_many(xs).tolist() == alarms
    assert alarms


@pytest.mark.parametrize("name", ["hddm_a", "hddm_w"])
def test_readings_between_0_and_1(name: str) -> None:
    for seed, settings in enumerate(SETTINGS[name] * 3):
        xs = np.clip(0.5 + 0.2 * stream(4 * seed + 1, 500, binary=True) + stream(seed, 500, True) * 0.1, 0, 1)
        assert DETECTORS[name](**settings).update_many(xs).tolist() == judged_by_river(name, settings, xs)[0]


@pytest.mark.parametrize("settings", SETTINGS["adwin"])
def test_adwin_window_is_that_of_river(settings: dict[str, Any]) -> None:
    for seed in range(12):
        ours: Any = DETECTORS["adwin"](**settings)
        peer = drift.ADWIN(**settings)
        for x in stream(seed, 300, binary=False).tolist():
            ours.update(x)
            peer.update(x)
            assert (ours.width, ours.total, ours.variance) == (peer.width, peer.total, peer.variance)
            assert ours.estimation == peer.estimation


def constant_stretches(seed: int) -> np.ndarray:
    """Stretches of one value each: no variance, or only what rounding leaves."""
    rng = np.random.default_rng(seed)
    values = rng.choice([0.0, 0.1, 0.3, 1.0, 1e-3, 1e9 + 0.1], size=8)
    return np.repeat(values, rng.integers(1, 300, size=8))


@pytest.mark.parametrize("name", ["page_hinkley", "adwin"])
def test_streams_without_variance(name: str) -> None:
    for seed in range(40):
        settings = SETTINGS[name][seed % len(SETTINGS[name])]
        xs = constant_stretches(seed)
        ours = DETECTORS[name](**settings).update_many(xs)
        assert ours.tolist() == judged_by_river(name, settings, xs)[0], seed


def electricity(column: int) -> np.ndarray:
    path = Path(__file__).parents[3] / "shared" / "data" / "electricity.csv.gz"
    if not path.exists():
        pytest.skip(f"the electricity stream is not there: {path.name} in ../shared/data")
    with gzip.open(path, "rt") as lines:
        return np.loadtxt(lines, delimiter=",", skiprows=1, usecols=column)


def persistence_errors() -> np.ndarray:
    """1 where the class differs from that of half an hour before."""
    label = electricity(6)
    return np.concatenate(([0.0], (label[1:] != label[:-1]).astype(float)))


@pytest.mark.parametrize("name", PEERS)
def test_alarms_on_electricity(name: str) -> None:
    streams = [persistence_errors()] if is_binary(name) else [persistence_errors(), electricity(2)]
    for xs in streams:
        assert xs.shape == (45_312,)
        if name == "kswin":
            xs = xs[:3500]
        settings = {"seed": 3} if name == "kswin" else {}
        ours = DETECTORS[name](**settings).update_many(xs)
        assert ours.tolist() == judged_by_river(name, settings, xs)[0]
        assert ours.size > 0


@pytest.mark.slow
def test_kswin_on_all_of_electricity() -> None:
    for xs in (persistence_errors(), electricity(2)):
        ours = DETECTORS["kswin"](seed=3).update_many(xs)
        assert ours.tolist() == judged_by_river("kswin", {"seed": 3}, xs)[0]
        assert ours.size > 0


def test_only_the_charts_have_no_peer() -> None:
    assert set(DETECTORS) - set(PEERS) == {"cusum", "ewma", "shewhart"}
