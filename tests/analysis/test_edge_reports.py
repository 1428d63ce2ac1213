"""Decisions about a fleet of devices: telemetry against delay, and what the commands say and write."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import scenarios
import sim
from analysis import budget
from analysis.cli import app
from analysis.comparison import compare
from analysis.designs import design
from analysis.feasibility import run_warnings, warnings_for
from analysis.interval_text import with_width
from analysis.requirements import check_comparison, parse_requirement
from analysis.responses import COLUMNS, figures_of
from analysis.sweep import sweep
from analysis.variants import compare_variants
from scenarios.overlays import overlaid
from scenarios.schema import Scenario
from sim.edge_result import EDGE_FIGURES
from sim.edge_samples import smaller_fleet
from sim.policies import Oracle, Scheduled
from sim.world import World, differing_fields
from tests.analysis.small_boxes import decaying, few_boxes

RING: dict[str, Any] = {"horizon": "182d", "edge.devices[0].count": 200, "traffic.rate": "200/d"}
"""A cheap fleet: half a year of two hundred rings."""


@pytest.fixture(scope="module")
def ring() -> Scenario:
    return scenarios.load("oura_ring", **{**RING, "pipeline.stages.evaluation": "1d"})


def delay(reports: dict[str, Any]) -> float:
    """Mean day of the first alarm, over some worlds; the horizon where there is none."""
    scenario = decaying(reports)
    found = [sim.run(scenario, seed=seed).alarms for seed in range(6)]
    return float(np.mean([alarms[0].time if alarms else 90.0 for alarms in found]))


def test_less_telemetry_finds_a_loss_later() -> None:
    by_privacy = [delay({"opted_in": share}) for share in (1.0, 0.2, 0.04)]
    assert by_privacy == sorted(by_privacy)
    assert by_privacy[0] < 0.6 * by_privacy[-1]
    assert by_privacy[1] < delay({"opted_in": 0.2, "noise": 0.1})
    assert by_privacy[0] < delay({"opted_in": 1.0, "every": "28d"})


def test_without_a_report_there_is_nothing_to_see() -> None:
    silent = sim.run(decaying({"opted_in": 0.0}))
    assert np.isnan(silent.scores["wakes"]).all()
    assert len(silent.alarms) == 0


def test_false_alarms_of_what_devices_tell_are_as_rare_as_they_should_be() -> None:
    steady = {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"}
    scenario = decaying({"opted_in": 0.5, "noise": 0.02}, quality=steady, horizon="365d")
    monitors = [{**scenario.monitors[0].model_dump(mode="json", exclude_unset=True), "cooldown": "1d"}]
    scenario = scenario.with_(monitors=monitors)
    alarms = sum(len(sim.run(scenario, seed=seed).alarms) for seed in range(4))
    assert 1 <= alarms <= 20  # 8 are expected; Poisson: outside once in 2,000


def test_a_run_tells_of_its_fleet_and_writes_it(ring: Scenario, tmp_path: Path) -> None:
    from analysis.report import run_document, run_text, save_run

    result = sim.run(ring, "scheduled:91d")
    text = run_text(result)
    for words in ("Fleet of devices", "on a stale release", "on a retired release", "version 1", "mWh/day"):
        assert words in text
    document = json.loads(json.dumps(run_document(result)))
    assert set(document["edge"]["summary"]) == set(EDGE_FIGURES)
    assert document["edge"]["releases"][0]["release"] == "version 1"
    names = {path.name for path in save_run(result, tmp_path)}
    assert names >= {
        "fleet.parquet",
        "version_mix.parquet",
        "adoption.parquet",
        "releases.csv",
        "classes.csv",
    }
    assert names >= {"adoption.png", "version_mix.png", "model_ages.png"}
    mix = pd.read_parquet(tmp_path / "version_mix.parquet").drop(columns="time_days")
    np.testing.assert_allclose(mix.sum(axis=1), 1.0)
    fleet = pd.read_parquet(tmp_path / "fleet.parquet")
    assert (fleet["model_age_p10_days"] <= fleet["model_age_p90_days"]).all()
    states = fleet[["full_share", "simple_share", "off_share", "brick_share"]].sum(axis=1)
    np.testing.assert_allclose(states, 1.0)
    assert result.edge is not None
    classes = result.edge.classes().loc["ring"]
    uses = ["idle", "inference", "radio", "check_in", "install", "report", "contribution"]
    assert classes["all"] == pytest.approx(classes[uses].sum())
    assert 4e-3 < classes["all"] < 12e-3  # Wh a day: 250 uW and 2 a minute at 3 mJ


def test_a_comparison_has_the_figures_of_the_fleet(tmp_path: Path) -> None:
    found = compare(few_boxes(), ["scheduled:20d"], replications=2, workers=1)
    assert list(EDGE_FIGURES) == [name for name in found.table() if name in EDGE_FIGURES]
    ages = found.table()["model_age_mean_days"]
    assert ages["scheduled:20d"] < ages["never"]
    assert re.search(r"policy +age d", str(found))
    age = with_width(found.interval("scheduled:20d", "model_age_mean_days"), ".1f")
    assert "±" in age
    assert age in str(found)
    (entry,) = [entry for entry in found.to_dict()["policies"] if entry["name"] == "never"]
    assert entry["releases"]["mean"] == 0.0
    assert tmp_path / "fleet.png" in found.save(tmp_path)
    (check,) = check_comparison(found, [parse_requirement("stale_share < 50% for scheduled:20d")])
    assert check.holds
    assert any("how a release spreads" in warning for warning in found.warnings)


def test_variants_change_releases_and_meet_the_same_worlds(ring: Scenario) -> None:
    wanted: dict[str, Any] = {
        "base": (None, "scheduled:91d"),
        "at_once": ("at_once", "scheduled:91d"),
        "small": ({"edge": {"ota": {"differential": 0.95}}}, "scheduled:91d"),
    }
    found = compare_variants(ring, wanted, replications=2, workers=1)
    assert not any("worlds are drawn again" in warning for warning in found.warnings)
    sent = found.table()["ota_gb"]
    assert sent["small"] < 0.7 * sent["base"]
    assert "Fleet of devices" in str(found)
    more = scenarios.load("oura_ring", **{**RING, "edge.devices[0].count": 250})
    assert differing_fields(ring, more) == ["edge"]


def test_a_sweep_varies_the_train(ring: Scenario, tmp_path: Path) -> None:
    plan = design(ring, {"edge.ota.train": ["28d", "91d"]})
    found = sweep(ring, plan, ["scheduled:28d"], folder=tmp_path / "s", replications=2, workers=1)
    table = found.table().set_index("edge.ota.train")
    ages = table["model_age_mean_days"]
    assert ages.iloc[0] < ages.iloc[1]
    text = str(found)
    assert re.search(r"variant and policy +age d", text)
    assert "share of the variance" not in text
    assert " wins in " not in text
    assert found.query("SELECT max(releases) AS most FROM runs")["most"][0] >= 5


def test_the_command_runs_a_fleet() -> None:
    small = ["--set", "horizon=182d", "--set", "edge.devices[0].count=100"]
    told = CliRunner().invoke(app, ["run", "smoke_detector", "--policy", "scheduled:91d", "--json", *small])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["edge"]["summary"]["releases"] == 1


def test_a_budget_buys_telemetry_of_a_fleet() -> None:
    """The rarer the looks, the later a change of the brakes is found; without any it never is."""
    cars = {"horizon": "140d", "edge.devices[0].count": 400, "traffic.rate": "40k/d"}
    system = overlaid(scenarios.load("tesla_ota", **cars), "at_once")
    always = system.with_({"failures[0].trigger.probability": 1.0, "failures[1].trigger.probability": 0.0001})
    found = budget(always, policy="scheduled:60d", replications=4, workers=1)
    delays = found.table().set_index("plan")["mttd_hours"]
    assert delays["telemetry=daily"] < delays["telemetry=weekly"] < delays["telemetry=monthly"]
    assert np.isnan(delays["telemetry=off"])


def test_figures_of_a_fleet_are_those_of_every_run() -> None:
    plain = figures_of(sim.run(scenarios.load("rotting_asset", horizon="10d")))
    assert tuple(plain) == COLUMNS
    assert all(np.isnan(plain[name]) for name in EDGE_FIGURES)
    found = compare(scenarios.load("rotting_asset", horizon="10d"), ["never"], replications=2, workers=1)
    with pytest.raises(ValueError, match="no edge"):
        check_comparison(found, [parse_requirement("stale_share < 50%")])


def test_a_fleet_in_small_costs_what_the_whole_one_does(ring: Scenario) -> None:
    priced = ring.with_(**{"edge.ota.price": "$10", "edge.devices[0].count": 2000})
    small = smaller_fleet(priced, 400)
    assert small.edge is not None
    assert small.edge.count == 400
    assert smaller_fleet(priced) is priced
    whole, part = sim.run(priced, "scheduled:91d"), sim.run(small, "scheduled:91d")
    assert part.costs["ota"] == pytest.approx(whole.costs["ota"], rel=0.02)
    assert part.summary["mean_accuracy"] == pytest.approx(whole.summary["mean_accuracy"], abs=0.005)


def test_schedules_that_miss_their_trains_are_told(ring: Scenario) -> None:
    late = ring.with_(**{"edge.ota.offset": "0d"})
    words = "trained on day 91, a release leaves on day 182: set edge.ota.offset to at least"
    assert any(words in text for text in warnings_for(late, [Scheduled(91.0)], 10))
    assert any(words in text for text in run_warnings(late, Scheduled(91.0), Scheduled(91.0)))
    assert not any("edge.ota.offset" in text for text in warnings_for(ring, [Scheduled(91.0)], 10))
    assert not any("edge.ota.offset" in text for text in run_warnings(ring, Scheduled(91.0), Scheduled(91.0)))
    assert any("trained for nothing" in text for text in warnings_for(ring, [Scheduled(30.0)], 10))
    assert any("guide and no bound" in text for text in warnings_for(ring, [Oracle()], 10))


def test_the_world_does_not_depend_on_releases(ring: Scenario) -> None:
    other = ring.with_(**{"edge.ota.train": "28d", "edge.reports.opted_in": "50%"})
    assert World(ring).for_scenario(other).requests is not None
