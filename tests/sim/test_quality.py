"""Accuracy of model versions, against plain NumPy twins and numerical integrals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

from scenarios.loader import ScenarioError, validate_mapping
from scenarios.schema import Scenario
from sim.kernels.quality import mean_decay
from sim.quality import MatrixQuality, StateQuality, Version, quality_of
from sim.world import World

WINDOW = 0.25
WINDOWS = 80
DEGRADATION = {
    "kind": "degradation",
    "initial_accuracy": 0.9,
    "feature_sensitivity": 0.05,
    "concept_sensitivity": 0.2,
}
EXPONENTIAL = {"kind": "exponential", "initial_accuracy": 0.95, "decay": "5%/d"}
WANDERING = [
    {"kind": "random_walk", "volatility": "0.1/sqrt(d)"},
    {"kind": "random_walk", "volatility": "0.1/sqrt(d)", "on": "concept"},
]
SLICES = [{"name": "a", "weight": 0.2}, {"name": "b", "weight": 0.3}]


def scenario(**parts: Any) -> Scenario:
    plain: dict[str, Any] = {
        "title": "quality",
        "horizon": f"{WINDOW * WINDOWS}d",
        "window": f"{WINDOW}d",
        "value_per_query_per_unit_accuracy": "$1",
        "quality": DEGRADATION,
        "features": [{"name": "x1", "weight": 1}, {"name": "x2", "weight": 3}, {"name": "x3", "weight": 0}],
        "drift": WANDERING,
        "traffic": {"rate": "10/d"},
    }
    return validate_mapping(plain | parts)


def setting(**parts: Any) -> tuple[World, Any]:
    world = World(scenario(**parts))
    return world, quality_of(world.scenario, world.state())


def trained(quality: Any, cut: float, champion: Version | None = None, regain: float = 1.0) -> Version:
    return quality.train(champion or quality.initial(), cut, regain, 0.0, 1)


def accuracy(
    quality: Any, version: Version, since: float = 0.0, until: float = math.inf, first: int = 0
) -> np.ndarray:
    """Accuracy (slices, windows) of a version, NaN before `first`."""
    weights = getattr(quality, "weights", np.ones(1))
    out = np.full((len(weights), WINDOWS), np.nan)
    quality.fill(version, since, until, first, WINDOWS, out)
    return out


def row_of(path: np.ndarray, place: int) -> np.ndarray:
    return path[place if len(path) > 1 else 0]


def equation(world: World, seen: int, initial: float = 0.9, floor: float = 0.0, place: int = 0) -> np.ndarray:
    """The degradation equation for a model that learned window `seen`, in plain NumPy."""
    state, importance = world.state(), np.array([1.0, 3.0, 0.0])
    x, c = row_of(state.features, place), row_of(state.concept, place)
    divergence = ((x - x[seen]) ** 2) @ importance
    return np.clip(initial - 0.05 * divergence - 0.2 * np.abs(c - c[seen]), floor, 1.0)


# ---------------------------------------------------------------- the degradation equation


def test_the_initial_model_knows_the_first_window():
    world, quality = setting()
    assert accuracy(quality, quality.initial())[0] == pytest.approx(equation(world, 0), abs=1e-12)
    assert accuracy(quality, quality.initial())[0, 0] == 0.9


@pytest.mark.parametrize(
    ("cut", "seen"), [(0.0, 0), (0.25, 0), (0.26, 1), (0.5, 1), (10.0, 39), (10.1, 40), (20.0, 79)]
)
def test_a_model_knows_the_newest_window_with_data_before_its_cut(cut, seen):
    world, quality = setting()
    assert accuracy(quality, trained(quality, cut))[0] == pytest.approx(equation(world, seen), abs=1e-12)


def test_accuracy_stays_between_the_floor_and_one():
    steep = [{"kind": "ramp", "rate": "0.2/d", "on": "concept"}]
    world, quality = setting(quality=DEGRADATION | {"floor": 0.6}, drift=steep)
    found = accuracy(quality, quality.initial())[0]
    assert found == pytest.approx(equation(world, 0, floor=0.6), abs=1e-12)
    assert found[-1] == 0.6
    lucky = quality.train(quality.initial(), 0.0, 1.0, 0.3, 1)
    assert accuracy(quality, lucky)[0, 0] == 1.0


def test_luck_of_a_training_shifts_the_accuracy():
    for kind in (DEGRADATION, EXPONENTIAL):
        _, quality = setting(quality=kind)
        plain, lucky = (quality.train(quality.initial(), 5.0, 1.0, luck, 1) for luck in (0.0, -0.02))
        difference = accuracy(quality, lucky, since=5.0, first=20) - accuracy(
            quality, plain, since=5.0, first=20
        )
        assert difference[0, 20:] == pytest.approx(-0.02, abs=1e-12)


def test_slices_have_an_accuracy_and_a_drift_of_their_own():
    drift = [*WANDERING, {"kind": "ramp", "rate": "0.1/d", "slice": "b"}]
    slices = [SLICES[0], {**SLICES[1], "initial_accuracy": 0.8}]
    world, quality = setting(slices=slices, drift=drift)
    version = trained(quality, 10.0)
    found = accuracy(quality, version)
    expected = [equation(world, 39, start, place=place) for place, start in enumerate((0.9, 0.8, 0.9))]
    assert found == pytest.approx(np.array(expected), abs=1e-12)
    assert not np.allclose(found[1] + 0.1, found[0])
    assert quality.at(version, 19.9) == pytest.approx(np.array([0.2, 0.3, 0.5]) @ found[:, 79])


def test_slices_that_drift_alike_share_one_state():
    world, quality = setting(slices=[{**SLICES[0], "initial_accuracy": 0.7}, SLICES[1]])
    assert world.state().features.shape[0] == 1
    expected = [equation(world, 0, start) for start in (0.7, 0.9, 0.9)]
    assert accuracy(quality, quality.initial()) == pytest.approx(np.array(expected), abs=1e-12)


# ---------------------------------------------------------------- exponential decay


@pytest.mark.parametrize("decay", [1e-14, 1e-6, 0.02, 3.0])
@pytest.mark.parametrize(("since", "until"), [(0.0, 0.25), (3.0, 3.001), (0.0, 40.0)])
def test_mean_decay_is_the_integral(decay, since, until):
    expected, _ = quad(
        lambda age: math.exp(-decay * age), since, until, epsabs=1e-14, epsrel=1e-13, limit=200
    )
    assert mean_decay(decay, since, until) == pytest.approx(expected / (until - since), rel=1e-12)


def test_mean_decay_at_a_moment():
    assert mean_decay(0.02, 3.0, 3.0) == math.exp(-0.06)


@pytest.mark.parametrize(
    ("cut", "since", "until"),
    [(0.0, 0.0, math.inf), (1.0, 1.0, math.inf), (0.6, 1.4, math.inf), (0.6, 1.35, 1.45), (0.6, 1.35, 12.1)],
)
def test_exponential_accuracy_is_the_mean_over_the_part_of_the_window_that_is_served(cut, since, until):
    _, quality = setting(quality=EXPONENTIAL)
    first = int(since / WINDOW)
    stop = min(math.ceil(until / WINDOW), WINDOWS) if math.isfinite(until) else WINDOWS
    version = trained(quality, cut)
    out = np.full((1, WINDOWS), np.nan)
    quality.fill(version, since, until, first, stop, out)
    for window in range(first, stop):
        begin, end = max(since, window * WINDOW), min(until, (window + 1) * WINDOW)
        area, _ = quad(lambda t: 0.95 * math.exp(-0.05 * (t - cut)), begin, end, epsabs=1e-14)
        assert out[0, window] == pytest.approx(area / (end - begin), rel=1e-11)
    assert np.isnan(out[0, :first]).all()
    assert np.isnan(out[0, stop:]).all()


def test_exponential_accuracy_at_a_moment_and_by_slice():
    slices = [{**SLICES[0], "decay": "20%/d"}, {**SLICES[1], "decay": "0/d", "initial_accuracy": 0.5}]
    _, quality = setting(quality=EXPONENTIAL, slices=slices)
    expected = 0.2 * 0.95 * math.exp(-0.2 * 3) + 0.3 * 0.5 + 0.5 * 0.95 * math.exp(-0.05 * 3)
    assert quality.at(trained(quality, 4.0), 7.0) == pytest.approx(expected, rel=1e-12)


def test_drift_does_not_touch_exponential_quality():
    _, still = setting(quality=EXPONENTIAL, drift=[])
    _, moving = setting(quality=EXPONENTIAL)
    assert np.array_equal(accuracy(still, still.initial()), accuracy(moving, moving.initial()))


# ---------------------------------------------------------------- what a training learns


@pytest.mark.parametrize("regain", [0.0, 0.5, 0.8, 1.0])
def test_warm_start_goes_a_share_of_the_way(regain):
    world, quality = setting()
    champion = trained(quality, 5.0)
    state = world.state()
    version = trained(quality, 15.0, champion, regain)
    for learned, path in ((version.features, state.features), (version.concept, state.concept)):
        assert learned[0, 0] == pytest.approx((1 - regain) * path[0, 19] + regain * path[0, 59], abs=1e-12)


@pytest.mark.parametrize("regain", [0.0, 0.5, 0.8, 1.0])
def test_warm_start_takes_a_share_of_the_age_away(regain):
    _, quality = setting(quality=EXPONENTIAL)
    champion = trained(quality, 5.0)
    version = trained(quality, 15.0, champion, regain)
    age = (1 - regain) * 10.0
    assert version.cut == 15.0
    assert quality.at(version, 15.0) == pytest.approx(0.95 * math.exp(-0.05 * age), rel=1e-12)


@pytest.mark.parametrize("days", [0.0, 0.25, 2.5, 100.0])
def test_a_model_learns_the_mean_of_its_training_window(days):
    world, quality = setting(pipeline={"training_window": f"{days}d"})
    version, state = trained(quality, 10.0), world.state()
    first = max(40 - max(round(days / WINDOW), 1), 0)
    assert version.features[0, 0] == pytest.approx(state.features[0, first:40].mean(axis=0))
    assert version.concept[0, 0] == pytest.approx(state.concept[0, first:40].mean())


def test_without_labels_the_inputs_are_relearned_and_the_concept_is_not():
    world, quality = setting(labels="none")
    version, state = trained(quality, 15.0), world.state()
    assert np.array_equal(version.features[0, 0], state.features[0, 59])
    assert np.array_equal(version.concept, quality.initial().concept)
    found = accuracy(quality, version)[0]
    x, c = state.features[0], state.concept[0]
    expected = 0.9 - 0.05 * ((x - x[59]) ** 2) @ [1, 3, 0] - 0.2 * np.abs(c - c[0])
    assert found == pytest.approx(np.clip(expected, 0, 1), abs=1e-12)


# ---------------------------------------------------------------- incremental learning that follows its stream


def follower(delay: str = "0h", tau: str = "2d", **parts: Any) -> tuple[World, StateQuality]:
    learning = {"mode": "incremental", "time_constant": tau}
    labels = parts.pop("labels", {"delay": delay})
    return setting(pipeline={"learning": learning}, labels=labels, **parts)


@pytest.mark.parametrize(("delay", "lag"), [("0h", 0), ("30h", 5)])
def test_a_following_model_closes_a_share_of_its_gap_each_window(delay, lag):
    world, quality = follower(delay)
    state, gain = world.state(), 1 - math.exp(-WINDOW / 2.0)
    x, c = state.features[0, 0].copy(), state.concept[0, 0]
    expected = np.empty(WINDOWS)
    for window in range(WINDOWS):
        if window - 1 - lag >= 0:  # labels of that window have come by now
            x += gain * (state.features[0, window - 1 - lag] - x)
            c += gain * (state.concept[0, window - 1 - lag] - c)
        gap = state.features[0, window] - x
        expected[window] = 0.9 - 0.05 * (gap**2) @ [1, 3, 0] - 0.2 * abs(state.concept[0, window] - c)
    assert accuracy(quality, quality.initial())[0] == pytest.approx(expected, abs=1e-12)


def test_a_retrained_model_follows_from_its_data_cut_on():
    world, quality = follower()
    state, gain = world.state(), 1 - math.exp(-WINDOW / 2.0)
    version = trained(quality, 10.0)
    c = state.concept[0, 39]
    for window in range(40, 60):
        learned = version.concept[0, window - version.first]
        assert learned == pytest.approx(c, abs=1e-12)
        c += gain * (state.concept[0, window] - c)


def test_following_without_labels_learns_the_inputs_only():
    world, quality = follower(labels="none")
    version = quality.initial()
    assert np.ptp(version.features) > 0
    assert np.all(version.concept == world.state().concept[0, 0])


@pytest.mark.parametrize("tau", ["6h", "2d"])
def test_an_incremental_retraining_does_not_forget_what_the_stream_has_taught(tau):
    # The world moves away steadily. Nothing labelled by day 10 is missing from the champion that serves then,
    # so going half of the way from it to the newest labelled data cannot lead back.
    ramp = [{"kind": "ramp", "rate": "0.05/d", "on": "concept"}]
    _, quality = follower("5d", tau, drift=ramp)
    champion, now = quality.initial(), 10.0
    candidate = trained(quality, now - 5.0, champion, regain=0.5)
    serving = accuracy(quality, champion)[0, 40:]
    assert np.all(accuracy(quality, candidate, since=now, first=40)[0, 40:] >= serving - 1e-12)


def test_a_time_constant_needs_degradation():
    with pytest.raises(ScenarioError, match="needs quality of kind degradation"):
        follower(quality=EXPONENTIAL)


# ---------------------------------------------------------------- recorded accuracies

NAN = math.nan
MATRIX = [
    [NAN, 0.90, 0.80, 0.70, 0.60],
    [NAN, NAN, 0.91, 0.81, 0.71],
    [NAN, NAN, NAN, 0.92, 0.82],
    [NAN, NAN, NAN, NAN, 0.93],
]


def recorded(**parts: Any) -> MatrixQuality:
    quality = {"kind": "recorded", "period": "5d", "matrix": {"rows": MATRIX}}
    found = setting(quality=quality, drift=[], **parts)[1]
    assert isinstance(found, MatrixQuality)
    return found


def test_the_first_row_serves_from_the_first_period_on():
    quality = recorded()
    found = accuracy(quality, quality.initial())[0]
    assert found.tolist() == np.repeat(MATRIX[0][1:], 20).tolist()


@pytest.mark.parametrize(
    ("cut", "row"), [(0.0, 0), (4.9, 0), (5.0, 1), (9.99, 1), (10.0, 2), (15.0, 3), (20, 3)]
)
def test_a_model_has_seen_the_periods_that_are_complete_at_its_cut(cut, row):
    quality = recorded()
    version = trained(quality, cut)
    assert quality.row(cut) == row
    assert accuracy(quality, version, first=20 * row)[0, 20 * row :].tolist() == (
        np.repeat(MATRIX[row][row + 1 :], 20).tolist()
    )


def test_recorded_accuracy_at_a_moment_is_not_known():
    quality = recorded()
    assert math.isnan(quality.at(quality.initial(), 1.0))


def test_a_window_number_at_rounded_times():
    # Times come from sums of durations: a cut one rounding error after a window's end must not see the next.
    _, quality = setting(window="1h", horizon="20d")
    for window in range(1, 480):
        end = window / 24
        assert quality.window_at(end) == window - 1
        assert quality.window_at(np.nextafter(end, 1e9)) == window - 1
        assert quality.window_at(np.nextafter(end, 0.0)) == window - 1
        assert quality.window_at(end + 0.01) == min(window, 479)
