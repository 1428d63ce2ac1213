"""The drifting world. Statistical checks use a fixed seed and limits of 5 standard errors (error rate 6e-7 each)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import chi2

from scenarios.loader import ScenarioError, validate_mapping
from scenarios.schema import Scenario
from sim.drift import State
from sim.kernels.paths import fading_sum, follow, ornstein_uhlenbeck
from sim.world import World

WINDOW = 0.25
STILL = {"kind": "ramp", "rate": "0/d"}


def scenario(*drift: dict[str, Any], base_dir: Any = None, **parts: Any) -> Scenario:
    plain: dict[str, Any] = {
        "title": "drift",
        "horizon": "10d",
        "window": f"{WINDOW}d",
        "value_per_query_per_unit_accuracy": "$1",
        "quality": {"kind": "degradation", "initial_accuracy": 0.9},
        "traffic": {"rate": "10/d"},
        "features": 1,
        "drift": list(drift),
    }
    return validate_mapping(plain | parts, base_dir=base_dir)


def state(*drift: dict[str, Any], seed: int = 0, replication: int = 0, **parts: Any) -> State:
    return World(scenario(*drift, **parts), seed, replication).state()


def features(*drift: dict[str, Any], **parts: Any) -> np.ndarray:
    """Paths (windows, features) of a world without slices."""
    return state(*drift, **parts).features[0]


def middles(windows: int = 40) -> np.ndarray:
    return (np.arange(windows) + 0.5) * WINDOW


# ---------------------------------------------------------------- laws of the random components


def test_random_walk_has_the_variance_of_brownian_motion_at_every_window():
    walkers, volatility = 3000, 0.3
    paths = features({"kind": "random_walk", "volatility": f"{volatility}/sqrt(d)"}, features=walkers)
    scaled = (paths**2).sum(axis=1) / (volatility**2 * middles())
    # each is chi-square with `walkers` degrees of freedom; 40 of them, error rate below 4e-5
    assert np.all(scaled > chi2.ppf(5e-7, walkers))
    assert np.all(scaled < chi2.isf(5e-7, walkers))


def test_random_walk_has_independent_steps_and_features():
    volatility = 0.3
    steps = np.diff(features({"kind": "random_walk", "volatility": "0.3/sqrt(d)"}, features=500), axis=0)
    steps /= volatility * math.sqrt(WINDOW)
    for lagged in (steps[1:] * steps[:-1], steps[:, 1:] * steps[:, :-1]):
        assert abs(lagged.mean()) < 5 / math.sqrt(lagged.size)


@pytest.mark.parametrize("relaxation", [0.1, 1.0, 30.0])
def test_ornstein_uhlenbeck_is_stationary_with_its_exact_correlation(relaxation):
    walkers, sd = 4000, 0.7
    component = {"kind": "ornstein_uhlenbeck", "stationary_sd": sd, "relaxation": f"{relaxation}d"}
    paths = features(component, features=walkers) / sd
    for window in (0, 1, 39):
        power = (paths[window] ** 2).sum()
        assert chi2.ppf(5e-7, walkers) < power < chi2.isf(5e-7, walkers)
    for lag in (1, 4, 20):
        expected = math.exp(-lag * WINDOW / relaxation)
        error = math.sqrt((1 + expected**2) / walkers)
        assert (paths[7] * paths[7 + lag]).mean() == pytest.approx(expected, abs=5 * error)


def test_jumps_come_as_a_poisson_process():
    rate, windows = 2.0, 4000
    component = {"kind": "jumps", "rate": f"{rate}/d", "mean": 1.0}
    path = features(component, horizon=f"{windows * WINDOW}d")[:, 0]
    counts = np.diff(path, prepend=0.0)
    assert np.array_equal(counts, np.round(counts))
    mean = rate * WINDOW
    assert counts.mean() == pytest.approx(mean, abs=5 * math.sqrt(mean / windows))
    # the variance of a Poisson sample variance is (mean + 2 mean^2) / n, nearly
    assert counts.var() == pytest.approx(mean, abs=5 * math.sqrt((mean + 2 * mean**2) / windows))


def test_jump_sizes_have_the_compound_law_and_hit_all_features_at_once():
    rate, mean, sd = 2.0, 0.4, 0.8
    component = {"kind": "jumps", "rate": f"{rate}/d", "mean": mean, "sd": sd}
    steps = np.diff(features(component, features=50, horizon="5000d"), axis=0, prepend=0.0)
    hit = np.abs(steps) > 1e-12
    assert np.array_equal(hit.all(axis=1), hit.any(axis=1))
    assert 0 < hit[:, 0].mean() < 1
    # the features share the moments, so the windows alone are independent; one jump x has the moments
    # m2 = mean^2 + sd^2 and m4, and the variance of a window's square is at most rate w m4 + 2 (rate w m2)^2
    square = (steps**2).mean(axis=1)
    m2, m4 = mean**2 + sd**2, mean**4 + 6 * mean**2 * sd**2 + 3 * sd**4
    load = rate * WINDOW
    expected = load * m2 + (load * mean) ** 2
    spread = load * m4 + 4 * load**2 * m2**2 + load**3 * m2**2 * 4
    assert square.mean() == pytest.approx(expected, abs=5 * math.sqrt(spread / len(square)))


def test_a_jump_fades_with_its_recovery_time():
    recovery = 2.0
    component = {"kind": "jumps", "rate": "1/d", "mean": 1.0, "recovery": f"{recovery}d"}
    path = features(component, horizon="200d")[:, 0]
    fresh = path[1:] - path[:-1] * math.exp(-WINDOW / recovery)
    assert np.allclose(fresh, np.round(fresh), atol=1e-9)
    assert fresh.max() >= 1 - 1e-9
    lasting = features({**component, "recovery": None}, horizon="200d")[:, 0]
    assert np.array_equal(np.round(fresh), np.diff(lasting)), "recovery must not change when jumps come"


# ---------------------------------------------------------------- components without luck


@pytest.mark.parametrize("phase", [0.0, 0.7])
def test_seasons_follow_their_wave(phase):
    component = {"kind": "seasonal", "amplitude": 1.5, "period": "3d", "phase": f"{phase}d"}
    wave = np.sin(2 * np.pi * (middles() + phase) / 3.0)
    assert features(component)[:, 0] == pytest.approx(1.5 * wave, abs=1e-12)
    square = features({**component, "shape": "square"})[:, 0]
    assert np.array_equal(square, np.where(wave >= 0, 1.5, -1.5))
    assert {-1.5, 1.5} == set(square)


def test_a_ramp_starts_stops_and_stays():
    component = {"kind": "ramp", "rate": "-0.2/d", "start": "2d", "stop": "6d"}
    path = features(component)[:, 0]
    expected = [0.0 if t < 2 else -0.2 * (min(t, 6.0) - 2.0) for t in middles()]
    assert path == pytest.approx(expected, abs=1e-12)
    assert path[-1] == pytest.approx(-0.8)
    endless = features({"kind": "ramp", "rate": "-0.2/d"})[:, 0]
    assert endless == pytest.approx(-0.2 * middles(), abs=1e-12)


def test_a_record_holds_each_value_for_a_step_and_the_last_one_for_ever():
    component = {"kind": "recorded", "series": {"step": "1d", "values": [0.5, -1.0, 2.0]}}
    path = features(component)[:, 0]
    assert path.tolist() == [0.5] * 4 + [-1.0] * 4 + [2.0] * 32


def test_a_record_comes_from_a_csv_file_beside_the_scenario(tmp_path):
    (tmp_path / "drift.csv").write_text("first,second\n0.5,3\n-1.0,4\n")
    component = {"kind": "recorded", "series": {"step": "5d", "path": "drift.csv"}}
    assert features(component, base_dir=tmp_path)[:, 0].tolist() == [0.5] * 20 + [-1.0] * 20
    component["series"]["column"] = "second"
    assert features(component, base_dir=tmp_path)[:, 0].tolist() == [3.0] * 20 + [4.0] * 20
    component["series"]["column"] = "third"
    with pytest.raises(ScenarioError, match="no column 'third'"):
        scenario(component, base_dir=tmp_path)


def test_a_record_finer_than_the_window_gives_its_value_in_the_middle_of_the_window():
    # The middle of each window of 6 h is the start of an odd step of 3 h, whatever the rounding of times.
    values = [float(number % 2) for number in range(80)]
    component = {"kind": "recorded", "series": {"step": "3h", "values": values}}
    assert features(component)[:, 0].tolist() == [1.0] * 40
    hourly = [float(number % 2) for number in range(2 * 240)]
    component = {"kind": "recorded", "series": {"step": "30min", "values": hourly}}
    assert features(component, window="1h")[:, 0].tolist() == [1.0] * 240


# ---------------------------------------------------------------- what a component moves


def test_a_component_moves_only_the_features_it_names():
    ramp = {"kind": "ramp", "rate": "0.1/d", "features": ["b", "d"]}
    paths = features(ramp, features=["a", "b", "c", "d"])
    assert np.all(paths[:, [0, 2]] == 0)
    assert np.array_equal(paths[:, 1], paths[:, 3])
    assert paths[-1, 1] > 0


def test_the_concept_moves_apart_from_the_features():
    moved = state({"kind": "ramp", "rate": "0.1/d", "on": "concept"})
    assert np.all(moved.features == 0)
    assert moved.concept[0] == pytest.approx(0.1 * middles())


def test_a_component_of_a_slice_leaves_the_other_slices_alone():
    slices = [{"name": "a", "weight": 0.2}, {"name": "b", "weight": 0.3}]
    everywhere = {"kind": "ramp", "rate": "0.1/d"}
    here = {"kind": "ramp", "rate": "1/d", "slice": "b"}
    concept = {"kind": "ramp", "rate": "2/d", "slice": "a", "on": "concept"}
    moved = state(everywhere, here, concept, slices=slices)
    times = middles()
    assert moved.features.shape == (3, 40, 1)
    for place, rate in enumerate((0.1, 1.1, 0.1)):
        assert moved.features[place, :, 0] == pytest.approx(rate * times)
    for place, rate in enumerate((2.0, 0.0, 0.0)):
        assert moved.concept[place] == pytest.approx(rate * times)


RANDOM = [
    {"kind": "random_walk", "volatility": "0.3/sqrt(d)"},
    {"kind": "ornstein_uhlenbeck", "stationary_sd": 0.5, "relaxation": "2d"},
    {"kind": "jumps", "rate": "1/d", "mean": 0.2, "sd": 0.5},
]


@pytest.mark.parametrize("kept", RANDOM, ids=lambda component: component["kind"])
@pytest.mark.parametrize("added", [*RANDOM, STILL], ids=lambda component: component["kind"])
def test_components_add_up_and_draw_from_streams_of_their_own(kept, added):
    alone, other = features(kept), features(added)
    if kept["kind"] == added["kind"]:
        other = features(added, added) - features(added)  # the second of its kind has a stream of its own
    assert np.allclose(features(kept, added), alone + other, atol=1e-12)
    if kept["kind"] != added["kind"]:
        assert np.allclose(features(added, kept), alone + other, atol=1e-12), "the order must not matter"
    apart = state({**added, "on": "concept"}, kept)
    assert np.array_equal(apart.features[0], alone)
    assert np.array_equal(apart.concept[0], state({**added, "on": "concept"}).concept[0])


@pytest.mark.parametrize("component", RANDOM, ids=lambda component: component["kind"])
def test_two_components_of_the_same_kind_are_not_the_same_path(component):
    first = features(component)
    assert not np.allclose(features(component, component), 2 * first)


@pytest.mark.parametrize("component", RANDOM, ids=lambda component: component["kind"])
def test_a_path_is_a_function_of_seed_and_replication(component):
    reference = features(component, seed=3, replication=5)
    assert np.array_equal(reference, features(component, seed=3, replication=5))
    assert not np.allclose(reference, features(component, seed=4, replication=5))
    assert not np.allclose(reference, features(component, seed=3, replication=6))


def test_adversarial_drift_does_not_move_before_a_deployment():
    moved = state({"kind": "adversarial", "delay": "1d", "mean": 1.0})
    assert np.all(moved.features == 0)
    assert np.all(moved.concept == 0)


# ---------------------------------------------------------------- kernels against SciPy and plain Python


@pytest.mark.parametrize("persistence", [0.0, 0.3, 0.999])
def test_ornstein_uhlenbeck_kernel_is_a_linear_filter(persistence):
    rng = np.random.default_rng(1)
    start, noise = rng.standard_normal(3), rng.standard_normal((200, 3))
    expected, _ = lfilter(
        [math.sqrt(1 - persistence**2)], [1.0, -persistence], noise, axis=0, zi=persistence * start[None, :]
    )
    ornstein_uhlenbeck(start, noise, persistence)
    assert noise == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("persistence", [0.0, 0.3, 1.0])
def test_fading_sum_kernel_is_a_linear_filter(persistence):
    shocks = np.random.default_rng(2).standard_normal((200, 3))
    expected = lfilter([1.0], [1.0, -persistence], shocks, axis=0)
    fading_sum(shocks, persistence)
    assert shocks == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("gain", [0.0, 0.2, 1.0])
def test_follow_kernel_equals_plain_python(gain):
    rng = np.random.default_rng(3)
    target, start = rng.standard_normal((50, 2)), rng.standard_normal(2)
    out = np.full_like(target, np.nan)
    follow(target, start, gain, out)
    for column in range(2):
        knows = start[column]
        for window in range(50):
            assert out[window, column] == pytest.approx(knows, abs=1e-12)
            knows += gain * (target[window, column] - knows)
