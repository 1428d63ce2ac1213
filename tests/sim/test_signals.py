"""Signals: what is measured has the right law, and chance is judged by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import scenarios
import sim
from scenarios.schema import Scenario
from sim.engine import Run, resolve_policy
from sim.kernels import sampling
from sim.monitoring import SignalWatch, watches_of
from sim.signal_readings import daily_swing
from sim.traffic import whole
from sim.world import World


def system(signal: dict[str, Any], monitor: dict[str, Any], **changes: Any) -> Scenario:
    """A model that does not drift, watched by one signal, 400 days long."""
    given = {
        "horizon": "400d",
        "window": "1d",
        "quality__decay": "0/d",
        "signals": [{"name": "s"} | signal],
        "monitors": [{"metric": "signal", "signal": "s", "threshold": 0.99, "min_samples": 1} | monitor],
        "triggers": [],
        "traffic": {"rate": "2000/d"},
    }
    return scenarios.load("rotting_asset", **(given | changes))


def watch(of: Scenario, replication: int = 0) -> tuple[SignalWatch, np.ndarray[Any, Any]]:
    """The watch of a whole run, and its looks."""
    run = Run(World(of, 0, replication), resolve_policy(None))
    run.play()
    found = run.plane.watches[0]
    assert isinstance(found, SignalWatch)
    return found, found.looks(0, of.windows)


KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "proportion": ({"kind": "proportion", "base": "3%", "counted": True}, {"measure": "change"}),
    "rows": ({"kind": "proportion", "base": "10%"}, {"measure": "change", "rows": 300}),
    "share of rows": ({"kind": "proportion", "base": "10%"}, {"measure": "change", "sampling_rate": "10%"}),
    "dynamic": (
        {"kind": "proportion", "base": "3%"},
        {"measure": "change", "sampling_rate": "1%", "hit_sampling_rate": "50%"},
    ),
    "mean": ({"kind": "mean", "base": 24, "sd": 12}, {}),
    "throughput": ({"kind": "throughput"}, {"direction": "both"}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [1, 5])
def test_p_values_are_uniform_while_nothing_changes(kind: str, width: int) -> None:
    """Mid-p-values of discrete laws have mean 1/2, and small ones are as rare as they say."""
    signal, monitor = KINDS[kind]
    of = system(
        signal, monitor | {"cadence": f"{width}d", "window": f"{width}d", "direction": "up"}, horizon="4000d"
    )
    found, looks = watch(of)
    scores = found.standardised(looks)
    error = 1.0 / np.sqrt(len(looks))
    assert abs(scores.mean()) < 4.0 * error
    assert scores.std() == pytest.approx(1.0, abs=4.0 * error)
    for level in (0.05, 0.2):
        rate = (found.p_values(looks) <= level).mean()
        assert rate < level + 4.0 * np.sqrt(level / len(looks))
        assert rate > 0.7 * level - 4.0 * np.sqrt(level / len(looks))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_measured_has_the_mean_and_spread_of_its_law(kind: str) -> None:
    signal, monitor = KINDS[kind]
    found, looks = watch(system(signal, monitor, horizon="4000d"))
    begin, end = looks, looks + 1
    value, usual = found.reading.value(begin, end), found.reading.usual(begin, end)
    spread = found.reading.spread(begin, end)
    assert value.mean() == pytest.approx(usual[0], abs=4.0 * spread.mean() / np.sqrt(len(looks)))
    assert value.std() == pytest.approx(spread.mean(), rel=0.08)


def test_lift_cancels_what_both_groups_share_and_shows_what_the_model_loses() -> None:
    clicks = {
        "name": "clicks",
        "kind": "proportion",
        "base": "5%",
        "per_accuracy_lost": -0.1,
        "layer": "business",
    }
    lift = {"name": "s", "kind": "lift", "of": "clicks", "holdout": "20%", "baseline_accuracy": "80%"}
    given = {
        "traffic": {"rate": "2M/d"},
        "failures": [{"name": "f", "onsets": ["200d"], "accuracy_drop": "5%"}],
    }
    of = system({}, {}, signals=[clicks | {"daily_noise": 0.3}, lift], **given)
    found, looks = watch(of)
    value = found.reading.value(looks, looks + 1)
    # 0.90 against 0.80 at 0.1 a unit is a lift of 1 point, of which the failure takes a half; swings remain as factors.
    assert value[:200].mean() == pytest.approx(0.01, rel=0.1)
    assert value[201:].mean() == pytest.approx(0.005, rel=0.15)
    swing = daily_swing(found.world, of.signal("clicks"))  # type: ignore[arg-type]
    assert swing.std() == pytest.approx(0.3, rel=0.2)
    assert np.corrcoef(value[:200], swing[:200])[0, 1] > 0.5


def test_monitors_that_read_the_same_counters_agree_and_samples_do_not() -> None:
    signal = {"kind": "proportion", "base": "10%", "counted": True}
    twice = [{"metric": "signal", "signal": "s", "threshold": 0.99, "name": name} for name in ("a", "b")]
    counted = sim.run(system(signal, {}, monitors=twice)).scores
    assert np.array_equal(counted["a"], counted["b"])
    sampled = sim.run(system(signal, {}, monitors=[m | {"rows": 200} for m in twice])).scores
    assert abs(np.corrcoef(sampled["a"], sampled["b"])[0, 1]) < 0.25


def test_data_that_stop_coming_get_older_up_to_their_limit() -> None:
    lag = {"name": "lag", "onsets": ["2.5d"], "lasts": "2d", "effects": [{"signal": "s", "stall": "18h"}]}
    watched = [{"metric": "signal", "signal": "s", "deadline": "2h"}]
    of = system(
        {"kind": "freshness", "age": "30min"}, {}, window="6h", horizon="6d", failures=[lag], monitors=watched
    )
    result = sim.run(of)
    hours = result.scores["s"] * 24.0
    assert hours[8:19] == pytest.approx([0.5, 0.5, 6.5, 12.5, 18.5, 18.5, 18.5, 18.5, 18.5, 18.5, 0.5])
    assert result.incidents["detected_days"].tolist() == [2.75]


@pytest.mark.parametrize("hits", ["10%", "100%"])
def test_keeping_all_errors_costs_their_points_and_finds_more(hits: str) -> None:
    given = {"sampling_rate": "1%", "hit_sampling_rate": hits, "measure": "level"}
    of = system({"kind": "proportion", "base": "2%", "layer": "schema"}, given, horizon="100d")
    found, looks = watch(of)
    seen = float(hits.strip("%")) / 100.0
    expected = 100 * 2000 * (0.02 * seen + 0.98 * 0.01)
    assert found.points(0, 100) == pytest.approx(expected, rel=0.05)
    assert found.score[looks].std() == pytest.approx(np.sqrt(0.02 * (1 - 0.02 * seen) / 2000 / seen), rel=0.3)


@pytest.mark.parametrize("expected", [np.full(50, 0.3), np.linspace(0.0, 7.0, 50), np.zeros(4)])
def test_whole_numbers_follow_what_is_expected(expected: np.ndarray[Any, Any]) -> None:
    found = whole(expected)
    assert np.array_equal(found, np.rint(found))
    assert np.abs(np.cumsum(found) - np.cumsum(expected)).max() < 1.0 + 1e-9


def test_draws_tied_to_a_number_are_those_of_the_single_draw() -> None:
    key, number = np.uint64(12), np.arange(2000)
    normal, uniform = np.empty(2000), np.empty(2000)
    sampling.normal_at(key, number, normal)
    sampling.uniform_at(key, number, uniform)
    assert normal[7] == sampling.normal_once(key, 7)
    assert uniform[7] == sampling.uniform_once(key, 7)
    assert stats.kstest(normal, "norm").pvalue > 1e-4
    assert stats.kstest(uniform, "uniform").pvalue > 1e-4


def test_block_sizes_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [{"name": "f", "rate": "20/y", "lasts": "3d", "effects": [{"signal": "s", "factor": 0.4}]}]
    of = system({"kind": "throughput"}, {"threshold": 0.2}, failures=failures, response={}, window="6h")
    whole_run = sim.run(of)
    monkeypatch.setattr("sim.dataplane.BLOCK", 7)
    monkeypatch.setattr("sim.dataplane.LONGEST_BLOCK", 7)
    monkeypatch.setattr("sim.dataplane.LOOKAHEAD", 1)
    parts = sim.run(of)
    assert whole_run.events.equals(parts.events)
    assert np.array_equal(whole_run.scores["s"], parts.scores["s"], equal_nan=True)
    assert len(whole_run.alarms) > 5


def test_a_watch_is_made_for_each_kind() -> None:
    of = system({"kind": "throughput"}, {})
    assert isinstance(watches_of(of.monitors, World(of))[0], SignalWatch)
