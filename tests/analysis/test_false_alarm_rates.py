"""False alarms of monitors that the engine plays, against the null distributions of what they look at.

Error rate: each comparison holds in 99.9 % of seeds; the seed is fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr
from scipy.stats import binom, chi2, poisson

import sim
from analysis.delay_statistics import poisson_interval
from analysis.detection import FeatureMonitor
from analysis.detection_delay import GroupRuns, play
from analysis.run_lengths import cusum_run_length
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from sim.policies import Never

LEVEL = 0.999
RATE = 200
"""Requests an hour."""
ROWS = 100
KS = {1: 0.135, 4: 0.06875}
"""Thresholds, by hours between looks, that no score of so many rows can equal."""


def system(**fields: Any) -> Scenario:
    written = {
        "title": "nothing fails",
        "horizon": "400d",
        "window": "1h",
        "value_per_query_per_unit_accuracy": "$0.01",
        "features": ["x", "y"],
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
        "traffic": {"rate": f"{24 * RATE}/d", "arrivals": "deterministic"},
        "signals": [
            {"name": "errors", "kind": "proportion", "base": "2%"},
            {"name": "latency", "kind": "mean", "base": 24, "sd": 30},
            {"name": "age", "kind": "freshness", "age": {"kind": "exponential", "mean": "4min"}},
            {"name": "qps", "kind": "throughput"},
        ],
    }
    return validate_mapping(written | fields)


def alarms(scenario: Scenario, replications: int = 2) -> dict[str, pd.Series]:
    """What each monitor of the scenario did, alone."""
    groups = {monitor.label: [monitor] for monitor in scenario.monitors}
    runs: GroupRuns = play(scenario, groups, Never(), replications, 0, 1, LEVEL)
    return {label: pd.Series(runs.spending(label)) for label in groups}


def watch(**fields: Any) -> dict[str, Any]:
    metric = {"metric": "signal"} if "signal" in fields else {}
    return metric | {"cooldown": 0} | fields


def _psi(hours: int) -> float:
    exact = FeatureMonitor("psi", cadence=1.0, reference_rows=1_000_000).false_alarms_a_day(
        0.2 / hours, ROWS * hours
    )
    # Of many rows PSI is chi-square with bins - 1 degrees of freedom, divided by the rows.
    assert exact == pytest.approx(chi2.sf(0.2 * ROWS, 9), rel=0.1)
    return exact


def _ks(hours: int) -> float:
    monitor = FeatureMonitor("ks", cadence=1.0, reference_rows=1_000_000)
    return monitor.false_alarms_a_day(KS[hours], ROWS * hours)


CASES: dict[str, tuple[Callable[[int], dict[str, Any]], Callable[[int], float]]] = {
    # A monitor that looks every so many hours, and the chance that one look calls.
    "proportion": (
        lambda h: watch(signal="errors", threshold=0.04 if h == 1 else 0.03),
        lambda h: binom.sf(math.floor((0.04 if h == 1 else 0.03) * RATE * h + 1e-6), RATE * h, 0.02),
    ),
    "mean": (
        lambda h: watch(signal="latency", threshold=0.2 / math.sqrt(h)),
        lambda h: ndtr(-0.2 * 24 / 30 * math.sqrt(RATE)),
    ),
    "sampled mean": (
        lambda h: watch(signal="latency", threshold=0.3 / math.sqrt(h), rows=50, min_samples=1),
        lambda h: ndtr(-0.3 * 24 / 30 * math.sqrt(50)),
    ),
    "freshness": (
        lambda h: watch(signal="age", deadline="15min"),
        lambda h: math.exp(-15 / 4),
    ),
    "accuracy": (
        lambda h: watch(metric="accuracy", threshold=0.045 / math.sqrt(h), window=f"{h}h"),
        lambda h: binom.cdf(math.ceil((0.9 - 0.045 / math.sqrt(h)) * RATE * h - 1e-6) - 1, RATE * h, 0.9),
    ),
    "psi": (
        lambda h: watch(
            metric="feature_drift_psi", features=["x"], rows=ROWS, threshold=0.2 / h, reference_rows=1_000_000
        ),
        _psi,
    ),
    "ks": (
        lambda h: watch(
            metric="feature_drift_ks", features=["x"], rows=ROWS, threshold=KS[h],
            reference_rows=1_000_000,
        ),
        _ks,
    ),
    "psi by significance": (
        lambda h: watch(metric="feature_drift_psi", rule="significance", false_alarms="6/month", rows=ROWS),
        lambda h: 72 / 365 * h / 24,
    ),
    "cusum": (
        lambda h: watch(signal="latency", rule="cusum", threshold=2.5, allowance=0.5),
        lambda h: 1.0 / cusum_run_length(0.5, 2.5, two_sided=False),
    ),
}  # fmt: skip


@pytest.mark.parametrize("hours", [1, 4])
def test_false_alarms_come_as_often_as_the_null_distribution_says(hours: int) -> None:
    monitors = [made(hours) | {"name": name, "cadence": f"{hours}h"} for name, (made, _) in CASES.items()]
    found = alarms(system(monitors=monitors))
    for name, (_, chance) in CASES.items():
        expected = chance(hours) * 24 / hours * 30
        row = found[name]
        assert row["false_alarms"] > 20, name  # enough of them to say something
        assert row["false_low"] <= expected <= row["false_high"], (name, expected, row.to_dict())


@pytest.mark.parametrize("hours", [1, 4])
def test_throughput_is_poisson_while_all_requests_are_served(hours: int) -> None:
    threshold = 0.15 / math.sqrt(hours)
    monitor = watch(signal="qps", threshold=threshold, cadence=f"{hours}h")
    traffic = {"rate": f"{24 * RATE}/d"}
    row = alarms(system(monitors=[monitor], traffic=traffic))["qps"]
    mean = RATE * hours
    expected = poisson.cdf(math.ceil(mean * (1.0 - threshold) - 1e-6) - 1, mean) * 24 / hours * 30
    assert row["false_alarms"] > 20
    assert row["false_low"] <= expected <= row["false_high"]


@pytest.mark.parametrize("silent", [6, 12])
def test_a_cooldown_thins_false_alarms_as_renewal_theory_says(silent: int) -> None:
    # After a call the next silent - 1 looks are passed over: one call each 1 / chance + silent - 1 looks.
    monitor = watch(signal="latency", threshold=0.1, cooldown=f"{silent}h", cadence="1h")
    chance = ndtr(-0.1 * 24 / 30 * math.sqrt(RATE))
    row = alarms(system(monitors=[monitor]), replications=3)["latency"]
    expected = 720 / (1 / chance + silent - 1)
    assert row["false_alarms_per_month"] == pytest.approx(expected, rel=0.06)
    assert expected < 0.75 * 720 * chance


def test_an_exact_interval_has_the_coverage_of_its_definition() -> None:
    for count in (0, 1, 7, 200):
        rate = poisson_interval(count, 2.0, 0.9)
        assert rate.mean == count / 2.0
        assert poisson.cdf(count, 2.0 * rate.high) == pytest.approx(0.05)
        if count:
            assert poisson.sf(count - 1, 2.0 * rate.low) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="exposure"):
        poisson_interval(3, 0.0)


# ---------------------------------------------------------------- fatigue


def acted(threshold: float, strength: float, rate: str = "1/d") -> tuple[int, int, float]:
    """Pages, those acted on, and the share of false ones, of a nervous monitor in a system that does fail."""
    scenario = system(
        failures=[{"name": "slow", "rate": rate, "effects": [{"signal": "latency", "factor": 2}]}],
        monitors=[watch(signal="latency", threshold=threshold, cooldown="2h", cadence="1h")],
        response={"repair": "1h", "consolidation": 0, "fatigue": {"strength": strength, "memory": 50}},
    )
    result = sim.run(scenario, "never")
    row = result.actionability.loc["latency"]
    return (
        int(row["pages"]),
        int(row["acted"]),
        float(result.summary["false_pages"] / result.summary["pages"]),
    )


@pytest.mark.slow
def test_the_chance_that_a_page_is_acted_on_falls_with_false_pages() -> None:
    shares = {threshold: acted(threshold, 0.8) for threshold in (0.4, 0.12, 0.08)}
    false = [share for _, _, share in shares.values()]
    heeded = [some / pages for pages, some, _ in shares.values()]
    assert false[0] < 0.05 < 0.2 < false[1] < false[2]
    assert heeded[0] > 0.95 > heeded[1] > heeded[2]
    # Of the newest pages a share `got` was acted on, a part of it seen to be false: got = 1 - 0.8 got share.
    for (pages, some, share), got in zip(shares.values(), heeded, strict=True):
        error = math.sqrt(max(got * (1.0 - got), 0.01) / pages)
        assert abs(some / pages - 1.0 / (1.0 + 0.8 * share)) < 4.0 * error + 0.03


@pytest.mark.slow
def test_without_fatigue_every_page_is_acted_on() -> None:
    pages, some, share = acted(0.08, 0.0)
    assert share > 0.5
    assert some == pages > 100


# ---------------------------------------------------------------- seasons


@pytest.mark.slow
def test_limits_with_a_weekly_season_err_less_than_a_fixed_one_at_equal_delay() -> None:
    # Half of the requests are lost: on a weekday what is left is what a usual weekend has.
    rng = np.random.default_rng(5)
    onsets = 50.0 + 45.0 * np.arange(7) + 21.0 * rng.random(7)
    scenario = system(
        traffic={"rate": "48000/d", "weekly_profile": [1, 1, 1, 1, 1, 0.5, 0.4]},
        failures=[
            {"name": "half", "onsets": [f"{t!r}d" for t in onsets.tolist()],
             "effects": [{"signal": "qps", "factor": 0.5}]}
        ],
        monitors=[
            watch(signal="qps", name="fixed", threshold=0.3),
            watch(signal="qps", name="weekly", rule="adaptive",
                  limits={"season": "weekly", "trailing": "28d", "deviations": 5}),
        ],
    )  # fmt: skip
    groups = {monitor.label: [monitor] for monitor in scenario.monitors}
    runs = play(scenario, groups, Never(), 3, 0, 1, 0.95)
    delays = {name: runs.delays(name, ["half"]) for name in groups}
    assert all(delay["detected"] == delay["incidents"] == 21 for delay in delays.values())
    difference = delays["weekly"]["mean_detected_days"] - delays["fixed"]["mean_detected_days"]
    assert abs(difference) < 0.5 / 24.0  # half a look
    fixed, weekly = (runs.spending(name) for name in ("fixed", "weekly"))
    assert weekly["false_high"] < 0.2 * fixed["false_low"]
