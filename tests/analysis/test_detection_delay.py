"""Delays of layers that the engine plays, against run-length theory; delay against traffic; the command.

Error rate: each statistical comparison holds in 99.9 % of seeds; seeds are fixed.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats
from scipy.special import ndtr
from scipy.stats import binom
from typer.testing import CliRunner

from analysis.cli import app
from analysis.delay_runs import measured_delays
from analysis.delay_statistics import detection_curve, detection_quantile, non_negative_mean
from analysis.detection_delay import ALL, detection_delays
from analysis.intervals import mean_interval
from analysis.plot_delays import TALLEST
from analysis.run_lengths import cusum_run_length, shewhart_run_length
from analysis.traffic_delay import traffic_delays
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from sim.policies import Never
from sim.world import World

LEVEL = 0.999
RATE = 400
"""Requests an hour."""
CADENCE = 1 / 24


def system(**fields: Any) -> Scenario:
    written = {
        "title": "a small system",
        "horizon": "200d",
        "window": "1h",
        "value_per_query_per_unit_accuracy": "$0.01",
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
        "traffic": {"rate": f"{24 * RATE}/d", "arrivals": "deterministic"},
        "signals": [
            {"name": "errors", "kind": "proportion", "base": "2%"},
            {"name": "latency", "kind": "mean", "base": 24, "sd": 30},
            {"name": "age", "kind": "freshness", "age": "4min"},
        ],
        "response": {},
    }
    return validate_mapping(written | fields)


def failing(moments: Any, **effect: Any) -> list[dict[str, Any]]:
    onsets = [f"{float(moment)!r}d" for moment in moments]
    return [{"name": "step", "onsets": onsets, "effects": [effect]}]


def looks_until_seen(scenario: Scenario, replications: int = 1) -> np.ndarray[Any, Any]:
    groups = {"alone": scenario.monitors}
    found = [
        one
        for number in range(replications)
        for one in measured_delays(scenario, groups, Never(), 0, number)
        if not one.hidden
    ]
    delays = np.array([one.delay_days for one in found])
    assert not np.isnan(delays).any()
    return delays / scenario.cadence_of(scenario.monitors[0])


# ---------------------------------------------------------------- run lengths


@pytest.mark.parametrize("hours", [1, 6])
@pytest.mark.parametrize("moment", ["after a look", "random"])
def test_a_mean_is_seen_after_one_divided_by_the_power_looks(hours: int, moment: str) -> None:
    threshold, step = 0.2, 4.0
    error = 30 / math.sqrt(RATE * hours)
    rng = np.random.default_rng(1)
    starts = 40 * np.arange(1, 150) + (1e-6 if moment == "after a look" else rng.random(149))
    scenario = system(
        horizon=f"{40 * 150 * hours}h",
        failures=failing(starts * hours / 24, signal="latency", add=step),
        monitors=[{"metric": "signal", "signal": "latency", "threshold": threshold, "cadence": f"{hours}h",
                   "cooldown": 0}],
    )  # fmt: skip
    limit = threshold * 24 / error

    def chance(share: float) -> float:
        return float(ndtr(share * step / error - limit))

    power = chance(1.0)
    assert power == pytest.approx(1.0 / shewhart_run_length(limit, step / error, two_sided=False))
    expected = 1.0 / power
    if moment == "random":
        first = np.mean([chance(share) for share in (np.arange(1000) + 0.5) / 1000])
        expected = 0.5 + (1.0 - first) / power
    found = mean_interval(looks_until_seen(scenario), LEVEL)
    assert found.low <= expected <= found.high
    assert found.half_width < 0.35 * expected


def test_a_proportion_is_seen_by_its_exact_binomial_power() -> None:
    scenario = system(
        horizon="240d",
        failures=failing((24 * np.arange(1, 239) + 1e-6) / 24, signal="errors", add=0.02),
        monitors=[
            {"metric": "signal", "signal": "errors", "threshold": 0.045, "cadence": "1h", "cooldown": 0}
        ],
    )
    found = looks_until_seen(scenario)
    power = float(binom.sf(math.floor(0.045 * RATE), RATE, 0.04))
    assert 0.2 < power < 0.5
    interval = mean_interval(found, LEVEL)
    assert interval.low <= 1.0 / power <= interval.high
    assert np.allclose(found, np.round(found), atol=1e-4)  # right after a look, whole looks
    # Not only its mean: the number of looks is geometric.
    expected = stats.geom(power).pmf(np.arange(1, 6)) * len(found)
    counts = np.array([(np.round(found) == k).sum() for k in range(1, 6)])
    rest = len(found) - counts.sum(), len(found) - expected.sum()
    statistic = float((((counts - expected) ** 2) / expected).sum() + (rest[0] - rest[1]) ** 2 / rest[1])
    assert statistic < stats.chi2.isf(1.0 - LEVEL, 5)


@pytest.mark.parametrize("shift", [0.75, 1.5])
def test_a_cusum_runs_as_long_as_its_markov_chain(shift: float) -> None:
    error = 30 / math.sqrt(RATE)
    scenario = system(
        horizon="5d",
        failures=failing([0.0], signal="latency", add=shift * error),
        monitors=[{"metric": "signal", "signal": "latency", "rule": "cusum", "threshold": 4, "cadence": "1h",
                   "cooldown": 0}],
    )  # fmt: skip
    found = mean_interval(looks_until_seen(scenario, replications=120), LEVEL)
    expected = cusum_run_length(0.5, 4, shift, two_sided=False)
    assert found.low <= expected <= found.high
    assert found.half_width < 0.3 * expected


# ---------------------------------------------------------------- layers


def layered(**fields: Any) -> Scenario:
    return system(
        window="15min",
        horizon="60d",
        failures=[
            {"name": "lag", "rate": "0.4/d", "accuracy_drop": 0.1,
             "effects": [{"signal": "age", "stall": "18h"}]},
            {"name": "broken", "rate": "0.4/d", "lasts": "6h", "effects": [{"signal": "errors", "add": 0.02}]},
            {"name": "quiet", "rate": "0.2/d", "accuracy_drop": 0.05},
        ],
        monitors=[
            {"metric": "signal", "signal": "age", "deadline": "1h", "name": "old data", "cooldown": 0},
            {"metric": "signal", "signal": "errors", "threshold": 0.04, "cadence": "1h", "cooldown": 0},
            {"metric": "accuracy", "threshold": 0.02, "window": "1d", "cooldown": 0},
            {"metric": "truth", "name": "perfect"},
        ],
        telemetry={},
        **fields,
    )  # fmt: skip


@pytest.fixture(scope="module")
def layers() -> Any:
    return detection_delays(layered(), replications=3, workers=1)


def test_each_layer_is_measured_against_what_it_can_see(layers: Any) -> None:
    assert layers.layers == ("freshness", "outputs", "accuracy")  # and the perfect monitor is none
    table = layers.table().set_index(["layer", "failure"])
    blind = {key for key, row in table.iterrows() if row["blind"]}
    assert blind == {
        ("freshness", "broken"), ("freshness", "quiet"), ("outputs", "lag"), ("outputs", "quiet"),
        ("accuracy", "broken"),
    }  # fmt: skip
    lag = table.loc[("freshness", "lag")]
    # Age 4 min + t passes 1 h after 56 min; a look each 15 min sees it up to 15 min later.
    assert 56 / 1440 < lag["mean_low"] <= lag["mean_high"] < 71 / 1440
    assert lag["median_days"] == pytest.approx(63.5 / 1440, abs=3 / 1440)
    assert lag["undetected_share"] < 0.05
    assert table.loc[("accuracy", "lag"), "median_days"] > 10 * lag["median_days"]


def test_together_a_failure_is_seen_as_early_as_by_its_best_layer(layers: Any) -> None:
    alone, together = layers.table(), layers.together().set_index("failure")
    best = alone[alone["median_days"].notna()].groupby("failure")["median_days"].min()
    assert together.loc[best.index, "median_days"].to_numpy() == pytest.approx(best.to_numpy(), rel=0.05)
    assert not together["blind"].any()


def test_figures_say_how_many_incidents_they_rest_on(layers: Any) -> None:
    onsets = [onset for number in range(3) for onset in World(layered(), 0, number).onsets]
    table = layers.together().set_index("failure")
    for name in ("lag", "broken", "quiet"):
        count = sum(onset.failure.name == name for onset in onsets)
        assert table.loc[name, "incidents"] + table.loc[name, "hidden"] == count
    rare = layered().with_(**{"failures[0].rate": "3/y"})
    assert "lag: its figures rest on" in " ".join(
        detection_delays(rare.with_(horizon="10d"), replications=2, workers=1).warnings
    )


def test_a_failure_that_heals_unseen_has_no_quantile_beyond_those_seen() -> None:
    # A look a day at a failure of six hours: about a quarter of them is there at a look.
    scenario = layered().with_(**{"monitors[1].cadence": "1d", "monitors[1].window": "1h"})
    row = detection_delays(scenario, replications=3, workers=1).table().set_index(["layer", "failure"])
    broken = row.loc[("outputs", "broken")]
    assert broken["incidents"] > 30
    assert 0.6 < broken["undetected_share"] < 0.95
    assert broken["healed_unseen"] >= broken["incidents"] - broken["detected"] - 2
    assert math.isnan(broken["median_days"])
    assert math.isnan(broken["p90_days"])
    assert broken["mean_detected_days"] < 0.25  # and says nothing about the others


def test_an_incident_under_another_one_that_nobody_has_seen_is_left_out() -> None:
    moments = [10.1, 10.2, 10.5, 20.1]
    scenario = layered().with_(
        failures=[{"name": "step", "accuracy_drop": 0.2, "onsets": [f"{t}d" for t in moments]}],
        monitors=[{"metric": "accuracy", "threshold": 0.02, "window": "1d", "cooldown": 0}],
    )
    (row,) = detection_delays(scenario, replications=2, workers=1).table().to_dict("records")
    # All three of day 10 are called at its end; only the first one's delay is its own.
    assert (row["incidents"], row["hidden"], row["detected"]) == (4, 4, 4)
    assert row["mean_detected_days"] == pytest.approx(0.9)


def test_monitors_that_are_blind_to_everything_have_no_delay_and_a_cost() -> None:
    scenario = layered().with_(
        failures=[{"name": "quiet", "rate": "1/d", "accuracy_drop": 0.05}],
        monitors=[{"metric": "signal", "signal": "age", "deadline": "1h", "cadence": "1h"}],
        horizon="5d",
    )
    found = detection_delays(scenario, replications=2, workers=1)
    assert found.table()["blind"].all()
    assert found.table()["median_days"].isna().all()
    assert found.costs()["cost_per_month"][0] == pytest.approx(30 * 24 * 0.005, rel=0.01)
    assert found.warnings == ("quiet: no monitor can see it",)
    assert "blind" in str(found)
    assert isinstance(found.plot().figure, Figure)


def test_alarms_of_decay_are_told_apart() -> None:
    decaying = layered().with_(quality__decay="1%/d", horizon="15d")
    found = detection_delays(decaying, replications=2, workers=1)
    row = found.costs().set_index("layer").loc["accuracy"]
    assert row["drift_alarms"] > 0 == row["false_alarms"]
    assert any(note.startswith("accuracy: the model's own decay") for note in found.warnings)


def test_a_snoozed_monitor_sees_late() -> None:
    nervous = {"metric": "signal", "signal": "latency", "threshold": 0.02, "cadence": "1h", "cooldown": 0}
    scenario = system(
        horizon="60d", failures=failing(np.arange(3, 60, 3), signal="latency", add=10), monitors=[nervous]
    )
    snoozed = scenario.with_(response={"snooze": {"after": 2, "duration": "2d"}})
    awake, asleep = (
        detection_delays(one, replications=2, workers=1).table()["mean_detected_days"][0]
        for one in (scenario, snoozed)
    )
    assert asleep > 5.0 * awake


def test_the_response_of_the_scenario_delays_nothing() -> None:
    tired = {"repair": "1d", "fatigue": {"strength": 1.0}}
    found = [
        detection_delays(scenario, replications=2, workers=1)
        for scenario in (
            layered().with_(horizon="25d"),
            layered().with_(**{"horizon": "25d", "response": tired, "failures[0].repair": "3d"}),
        )
    ]
    assert found[0].table().equals(found[1].table())


def test_cost_is_that_of_the_layer_and_money_of_people_counts(layers: Any) -> None:
    costs = layers.costs().set_index("layer")
    assert list(costs.index) == [*layers.layers, ALL]
    assert (costs["cost_per_month"] > 0.0).all()
    looks = 30 * 96 * 0.005  # a check each 15 minutes at the price of an evaluation
    people = 30 * 0.4 * 0.5 * 100.0  # half an hour of triage an incident at $100 an hour
    assert costs.loc["freshness", "cost_per_month"] == pytest.approx(looks + people, rel=0.4)


@pytest.mark.slow
def test_workers_do_not_show(layers: Any) -> None:
    again = detection_delays(layered(), replications=3, workers=2)
    assert again.runs.delayed.equals(layers.runs.delayed)
    assert again.runs.spent.equals(layers.runs.spent)


def test_the_picture_has_a_row_for_each_layer_and_failure(layers: Any) -> None:
    figure = layers.plot().figure
    assert isinstance(figure, Figure)
    assert len(figure.axes[0].get_yticklabels()) == len(layers.table())
    assert all(ax.get_ylabel() for ax in figure.axes[1:])
    for ax in figure.axes:
        for axis, scale in ((ax.xaxis, ax.get_xscale()), (ax.yaxis, ax.get_yscale())):
            assert ("(log scale)" in axis.get_label_text()) == (scale == "log")


def test_a_picture_of_many_layers_and_failures_is_no_taller_than_a_page(layers: Any) -> None:
    many = [{"name": f"f{number}", "rate": "1/y", "accuracy_drop": 0.1} for number in range(40)]
    figure = replace(layers, scenario=layered().with_(failures=many)).plot().figure
    assert figure.get_figheight() <= TALLEST
    left, right = figure.axes[:2]
    assert len(left.get_yticks()) == len(right.get_yticks()) == 20 * 3
    assert left.get_ylim() == right.get_ylim()


# ---------------------------------------------------------------- monitors


SLICED = {
    "horizon": "40d",
    "slices": [{"name": "tablet", "weight": "5%"}],
    "labels": {},
    "failures": [{"name": "client", "slice": "tablet", "accuracy_drop": 0.29, "onsets": ["5.5d", "20.5d"]}],
    "monitors": [
        {"metric": "slice_accuracy", "slice": "tablet", "threshold": 0.1, "cadence": "1d", "window": "1d"},
        {"metric": "slice_accuracy", "slice": "tablet", "name": "late", "threshold": 0.1, "cadence": "4d"},
        {"metric": "accuracy", "name": "overall", "threshold": 0.1, "cadence": "1d", "window": "1d"},
    ],
}


def test_each_monitor_of_a_layer_has_its_own_figures() -> None:
    found = detection_delays(system(**SLICED), by="monitor", replications=2, workers=1)
    names = ("overall", "slice_accuracy[tablet]", "late")  # by layer, from the infrastructure up
    assert found.groups == names
    assert found.layers == ("accuracy", "slices")
    table = found.table().set_index("monitor")
    assert table.loc["slice_accuracy[tablet]", "mean_detected_days"] == pytest.approx(0.5)
    assert table.loc["late", "mean_detected_days"] > 1.0
    # 29 % of a slice of 5 % is 1.5 % of all: an average that is watched for 10 % never sees it.
    assert (table.loc["overall", "undetected_share"], table.loc["overall", "blind"]) == (1.0, False)
    assert found.costs()["monitor"].tolist() == [*names, ALL]
    assert "overall: client" in str(found)
    assert found.to_dict()["by"] == "monitor"
    assert [text.get_text() for text in found.plot().axes[0].get_yticklabels()] == list(names)


def test_a_layer_alone_is_its_only_monitor_alone(layers: Any) -> None:
    found = detection_delays(layered(), by="monitor", replications=3, workers=1)
    assert found.table().drop(columns="monitor").equals(layers.table().drop(columns="layer"))
    assert found.costs().drop(columns="monitor").equals(layers.costs().drop(columns="layer"))


# ---------------------------------------------------------------- statistics


def test_the_curve_is_that_of_kaplan_and_meier() -> None:
    rng = np.random.default_rng(3)
    delay, watched = np.round(rng.exponential(3.0, 200), 1), rng.uniform(0.0, 6.0, 200)
    seen = delay <= watched
    times, chance = detection_curve(np.where(seen, delay, np.nan), watched)
    twin = stats.ecdf(stats.CensoredData(uncensored=delay[seen], right=watched[~seen])).cdf
    assert chance == pytest.approx(twin.evaluate(times))
    middle = detection_quantile(np.where(seen, delay, np.nan), watched, 0.5)
    assert twin.evaluate(middle) >= 0.5 > twin.evaluate(middle - 0.01)


def test_healed_ones_stay_in_the_count() -> None:
    # All were watched long enough: the share detected by then, and not more.
    delay = np.array([1.0, 1.0, 2.0, np.nan, np.nan])
    times, chance = detection_curve(delay, np.full(5, 10.0))
    assert times.tolist() == [1.0, 2.0]
    assert chance == pytest.approx([0.4, 0.6])
    assert detection_curve([], [])[0].size == 0
    with pytest.raises(ValueError, match="watched"):
        detection_curve([2.0], [1.0])


@pytest.mark.parametrize("values", [[0.0, 0.0, 3.0], [1.0, 2.0, 3.0], [5.0], [], [math.nan, 4.0, 4.0]])
def test_the_mean_of_what_cannot_be_negative_has_no_negative_bound(values: list[float]) -> None:
    found, whole = non_negative_mean(values, 0.9), mean_interval(values, 0.9)
    assert found.mean == whole.mean or math.isnan(whole.mean)
    assert found.high == whole.high or math.isnan(whole.high)
    assert found.low == max(whole.low, 0.0) or (math.isnan(found.low) and math.isnan(whole.low))


def test_no_table_has_a_negative_bound() -> None:
    # Two worlds, one of them with nearly all the incidents: symmetric intervals of delays and costs pass 0.
    scenario = layered().with_(**{"horizon": "6d", "failures[0].rate": "0.3/d", "failures[1].rate": "0.3/d"})
    found = detection_delays(scenario, replications=2, workers=1)
    cost = found.runs.spent[found.runs.spent["group"] == "freshness"]["cost_per_month"]
    assert mean_interval(cost).low < 0.0
    assert (found.costs()[["cost_low", "false_low"]] >= 0.0).all(axis=None)
    assert not (found.table()["mean_low"] < 0.0).any()


# ---------------------------------------------------------------- traffic


@pytest.fixture(scope="module")
def traffic() -> Any:
    return traffic_delays(["1/s", "100/d"], onsets=60, replications=1, workers=1, confidence=LEVEL)


def test_the_rule_of_thumb_takes_17_minutes_and_10_days(traffic: Any) -> None:
    table = traffic.table().set_index(["requests_per_day", "samples"])
    assert traffic.samples_by_power == pytest.approx(149.31564597081046)
    for rate, days in ((86_400.0, 1000 / 86_400), (100.0, 10.0)):
        row = table.loc[(rate, 1000)]
        assert row["collected_days"] == pytest.approx(days)
        # With 1,000 samples the drop cannot be missed: after a look it takes exactly one block.
        assert row["after_a_look_days"] == pytest.approx(days, rel=1e-5)
        assert row["power"] > 0.9999
        assert row["random_days"] < days


def test_simulated_delays_are_those_of_run_length_theory(traffic: Any) -> None:
    for row in traffic.table().to_dict("records"):
        for moment in ("after_a_look", "random"):
            assert row[f"{moment}_onsets"] == 60
            assert row[f"{moment}_undetected"] == 0.0
            low, high = row[f"{moment}_low"], row[f"{moment}_high"]
            assert low - 1e-4 * low <= row[f"{moment}_expected_days"] <= high + 1e-4 * high
        if row["samples"] == 150:
            seen = round(row["seen_by_first_block"] * 60)
            assert stats.binomtest(seen, 60, row["power"]).pvalue > 1.0 - LEVEL


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rates": []}, "rates"), ({"rates": ["fast"]}, "rate"), ({"rates": "1/s"}, "rates"),
        ({"p1": 0.96}, "p1: got 0.96"), ({"p0": 1.0}, "p0"), ({"alpha": 0.7}, "alpha"), ({"onsets": 0}, "onsets"),
    ],
)  # fmt: skip
def test_traffic_refuses_what_makes_no_sense(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        traffic_delays(**fields)


def test_the_picture_of_traffic_has_log_axes(traffic: Any) -> None:
    (ax,) = traffic.plot().axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert "requests per day" in ax.get_xlabel()


# ---------------------------------------------------------------- input and command


@pytest.mark.parametrize(
    ("changes", "fields", "message"),
    [
        ({"monitors": []}, {}, "monitors: the scenario has none"),
        ({"failures": [], "monitors": [{"metric": "accuracy"}]}, {}, "failures: the scenario has none"),
        ({}, {"replications": 1}, "replications: got 1"),
        ({}, {"confidence": 2.0}, "confidence: got 2.0"),
        ({}, {"policy": "nonsense"}, "nonsense"),
        ({}, {"by": "moniter"}, "by: unknown 'moniter': did you mean 'monitor'"),
        ({"monitors": [{"metric": "accuracy", "name": ALL}]}, {"by": "monitor"}, "one is named 'all layers'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    changes: dict[str, Any], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        detection_delays(layered().with_(**changes), **fields)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    scenario = layered().model_dump(mode="json", exclude_unset=True)
    path.write_text(json.dumps(scenario | {"horizon": "10d"}))
    return path


def called(*arguments: object, status: int = 0) -> Any:
    done = CliRunner().invoke(app, ["delays", *map(str, arguments)])
    assert done.exit_code == status, done.output
    assert "Traceback" not in done.stderr
    return done


QUICK = ("--reps", 2, "--workers", 1)


def test_the_command_prints_and_writes(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = called(file, *QUICK).stdout
    assert "blind" in text
    assert "All layers" in text or "all layers" in text
    found = json.loads(called(file, *QUICK, "--json", "--out", out).stdout)
    assert found == json.loads((out / "delays.json").read_text())
    assert {row["layer"] for row in found["delays"]} == {"freshness", "outputs", "accuracy"}
    names = {"delays.json", "delays.csv", "together.csv", "costs.csv", "incidents.parquet", "delays.png"}
    assert {path.name for path in out.iterdir()} == names


def test_the_command_measures_each_monitor(file: Path) -> None:
    found = json.loads(called(file, *QUICK, "--by", "monitor", "--json").stdout)
    assert {row["monitor"] for row in found["delays"]} == {"old data", "errors", "accuracy"}
    assert found["by"] == "monitor"


def test_the_command_draws_an_operating_curve_and_traffic(file: Path, tmp_path: Path) -> None:
    grid = ("--monitor", "errors", "--thresholds", "0.03,0.04", "--cadences", "1h,2h", *QUICK)
    found = json.loads(called(file, *grid, "--json", "--out", tmp_path / "out").stdout)
    assert [point["threshold"] for point in found["points"]] == [0.03, 0.04, 0.03, 0.04]
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".csv", ".png"}
    assert "threshold" in called(file, *grid).stdout


@pytest.mark.slow
def test_the_command_plays_traffic(file: Path, tmp_path: Path) -> None:
    done = called(file, "--traffic", "--rates", "1/s,100/d", "--workers", 1, "--out", tmp_path / "out")
    assert "16.7 min" in done.stdout
    assert "10 d" in done.stdout
    assert (tmp_path / "out" / "traffic_delays.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--monitor", "nothing"), "unknown 'nothing'"),
        (("--monitor", "errors", "--thresholds", "1,,2"), "between commas"),
        (("--monitor", "errors", "--thresholds", "-1"), "threshold"),
        (("--monitor", "errors", "--cadences", "7min"), "cadence"),
        (("--monitor", "old data", "--rows", "5"), "rows"),
        (("--thresholds", "1"), "applies to --monitor"),
        (("--rates", "1/s"), "applies to --traffic"),
        (("--traffic", "--p1", "0.99"), "p1: got 0.99"),
        (("--confidence", "1.5"), "confidence: got 1.5"),
        (("--by", "team"), "by: unknown 'team': one of: layer, monitor"),
        (("--by", "monitor", "--monitor", "errors"), "--by: applies to all monitors"),
        (("--by", "monitor", "--traffic"), "takes no --by"),
    ],
)
def test_wrong_input_is_one_message_and_status_2(
    file: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = called(file, *arguments, "--workers", 1, status=2)
    assert message in done.stderr
    assert done.stderr.strip().count("\n") == 0
