"""Overlays: how partial scenarios are put over a scenario, and what is said when they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import scenarios
from scenarios.loader import ScenarioError, validate_mapping
from scenarios.overlays import about_overlay, overlaid, overlay_names
from scenarios.schema import Scenario

BASE: dict[str, Any] = {
    "title": "A small system",
    "horizon": "60d",
    "window": "1h",
    "value_per_query_per_unit_accuracy": "$0.1",
    "features": ["age", {"name": "country", "weight": 2}],
    "slices": [{"name": "tablet", "weight": "10%"}],
    "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1%/d"},
    "traffic": {"rate": "1000/d"},
    "signals": [
        {"name": "data_age", "kind": "freshness", "age": "5min"},
        {"name": "clicks", "kind": "proportion", "base": 0.1, "layer": "business", "per_accuracy_lost": -0.1},
    ],
    "failures": [
        {"name": "stale", "rate": "12/y", "accuracy_drop": 0.1, "effects": [{"signal": "data_age", "stall": "1d"}]},
        {"name": "skew", "cause": "skew", "trigger": {"on": "deployment", "probability": 0.5}, "accuracy_drop": 0.1},
        {"name": "planned", "cause": "code", "onsets": ["3d"], "accuracy_drop": 0.1},
    ],
    "monitors": [
        {"metric": "signal", "signal": "data_age", "deadline": "1h", "cadence": "1h"},
        {"metric": "feature_drift_psi", "name": "inputs", "rows": 500},
        {"metric": "accuracy", "cost": "$100/month"},
        {"metric": "truth"},
    ],
    "menu": [
        {"name": "features", "options": ["off", "on"]},
        {"monitors": ["data_age", "accuracy"], "options": ["off"]},
    ],
    "response": {"triage": "1h"},
    "deployment": {"strategy": "blue_green", "standby": "2d", "rollback": {"tier": "delayed"}},
}  # fmt: skip


@pytest.fixture
def base() -> Scenario:
    return validate_mapping(BASE)


def written(text: str, folder: Path, name: str = "over.yaml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def refused(base: Scenario, overlay: Any) -> str:
    with pytest.raises(ScenarioError) as caught:
        overlaid(base, overlay)
    return str(caught.value)


def labels(scenario: Scenario) -> list[str]:
    return [monitor.label for monitor in scenario.monitors]


class TestMerging:
    def test_mappings_are_merged_to_any_depth_and_the_rest_stays(self, base: Scenario) -> None:
        found = overlaid(base, {"pipeline": {"stages": {"training": "3d"}}, "quality": {"decay": "2%/d"}})
        assert found.pipeline.stages.training.duration.value == 3.0
        assert (found.quality.decay, found.quality.initial_accuracy) == (0.02, 0.9)  # type: ignore[union-attr]
        assert found.traffic == base.traffic

    def test_null_removes(self, base: Scenario) -> None:
        assert overlaid(base, {"response": None}).response is None
        assert overlaid(base, {"pipeline": {"gate": None}}) == base  # what is not there can be removed

    def test_another_kind_replaces(self, base: Scenario) -> None:
        over = {"quality": {"kind": "degradation", "initial_accuracy": 0.8}}
        assert overlaid(base, over).quality.kind == "degradation"

    @pytest.mark.parametrize("over", ["canary", {"strategy": "canary"}])
    def test_another_strategy_keeps_the_rollback(self, base: Scenario, over: Any) -> None:
        found = overlaid(base, {"deployment": over}).deployment
        assert (found.strategy, found.rollback.tier) == ("canary", "delayed")

    def test_a_list_replaces(self, base: Scenario) -> None:
        assert labels(overlaid(base, {"menu": [], "monitors": [{"metric": "accuracy"}]})) == ["accuracy"]

    def test_a_mapping_over_a_list_goes_by_name(self, base: Scenario) -> None:
        own = {"slices": {"metric": "slice_accuracy", "slice": "tablet"}}
        found = overlaid(base, {"monitors": {"accuracy": {"cadence": "7d"}, "truth": None} | own})
        assert labels(found) == ["data_age", "inputs", "accuracy", "slices"]
        assert (found.monitors[2].cadence, found.monitors[2].cost) == (7.0, base.monitors[2].cost)

    def test_features_by_name_too(self, base: Scenario) -> None:
        found = overlaid(base, {"features": {"age": {"weight": 3}}})
        assert [(f.name, f.weight) for f in found.features] == [("age", 3.0), ("country", 2.0)]

    def test_a_failure_without_a_name_goes_by_its_kind(self, base: Scenario) -> None:
        known = base.with_(failures=[{"kind": "stale_features"}])
        assert overlaid(known, {"failures": {"stale_features": {"rate": "1/y"}}}).failures[0].rate == 1 / 365

    def test_several_are_put_on_top_of_each_other(self, base: Scenario) -> None:
        first, second = {"response": {"triage": "2h", "repair": "2h"}}, {"response": {"triage": "3h"}}
        found = overlaid(base, [first, "base", second]).response
        assert found is not None
        assert (24 * found.triage.value, 24 * found.repair.value) == pytest.approx((3.0, 2.0))  # type: ignore[union-attr]

    def test_the_scenario_itself_is_not_changed(self, base: Scenario) -> None:
        overlaid(base, {"monitors": {"accuracy": {"cadence": "7d"}}})
        assert base == validate_mapping(BASE)

    def test_overrides_come_last_and_with_knows_of_the_overlay(self) -> None:
        over = {"pipeline": {"stages": {"training": "3d", "evaluation": "1d"}}}
        found = scenarios.load("rotting_asset", overlay=over, **{"pipeline.stages.training": "5d"})
        assert found.pipeline.stages.training.duration.value == 5.0
        assert found.with_(horizon="100d").pipeline.stages.evaluation.duration.value == 1.0


class TestSources:
    def test_a_scenario_may_carry_its_own(self, base: Scenario) -> None:
        carried = base.with_(overlays={"night": {"response": {"triage": "8h"}}, "ad_hoc": {"response": None}})
        assert overlaid(carried, "night").response.triage.value == pytest.approx(1 / 3)  # type: ignore[union-attr]
        assert overlaid(carried, "ad_hoc").response is None  # before one of the library
        assert carried.hash() == base.hash()  # until it is put over, it changes nothing

    def test_a_file_by_its_path(self, base: Scenario, tmp_path: Path) -> None:
        file = written("about: slow\nresponse: {triage: 6h}\n", tmp_path)
        for given in (file, str(file), f"@{file}"):
            assert overlaid(base, given).response.triage.value == 0.25  # type: ignore[union-attr]

    def test_an_unknown_name_gets_the_nearest(self, base: Scenario) -> None:
        said = refused(base, "adhoc")
        assert "no such overlay: did you mean 'ad_hoc'? one of: ad_hoc, repeatable, scalable, base" in said

    def test_a_file_that_is_not_there(self, base: Scenario) -> None:
        assert "no such file" in refused(base, "nowhere/over.yaml")

    @pytest.mark.parametrize("name", overlay_names())
    def test_the_library_says_what_each_is(self, name: str) -> None:
        assert about_overlay(name).startswith("Maturity level")


class TestMessages:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("about: x\nrespons: {}\n", "overlay over.yaml:2: respons: unknown field 'respons': did you mean"),
            ("response:\n  triage: 3 parsecs\n", "over.yaml:2: response.triage: got '3 parsecs'"),
            ("monitors:\n  inputs: {cadenze: 1h}\n", "over.yaml:2: monitors[1].cadenze: unknown field"),
            ("monitors:\n  inptus: null\n", "over.yaml:2: monitors.inptus: cannot remove 'inptus', which is not"),
            ("watch:\n  acuracy: off\n", "over.yaml:2: watch.acuracy: unknown layer 'acuracy': did you mean"),
            ("watch: {features: {cadence: often}}\n", "over.yaml:1: watch.features.cadence: got 'often', expected a"),
            ("watch: {features: sometimes}\n", "watch.features: got 'sometimes', expected off, on, or a mapping"),
            ("watch: {features: {metric: accuracy}}\n", "watch.features.metric: cannot be changed for a whole layer"),
            ("watch: {rest: {add: true}}\n", "watch.rest.add: expected true or false, and a layer of its own"),
            ("watch: {accuracy: {rows: -1}}\n", "over.yaml:1: monitors[2].rows: got -1"),
            ("watch: 3\n", "watch: got 3, expected a mapping"),
            ("prevent: {skwe: 50%}\n", "prevent.skwe: unknown cause 'skwe': did you mean 'skew'"),
            ("prevent: {skew: 200%}\n", "prevent.skew: got '200%', expected a share from 0 to 100%"),
            ("where_possible: {a: 1}\n", "where_possible: got"),
            ("where_possible:\n  - {respons: {}}\n", "over.yaml:2: respons: unknown field"),
            ("about: [1]\n", "about: got"),
            ("overlays: {}\n", "unknown field 'overlays'"),
            ("- 1\n", "expected a mapping"),
            ("labels: none\n", "monitors[2]: metric accuracy needs labels, and labels are none (with overlay"),
        ],
    )  # fmt: skip
    def test_they_name_overlay_file_and_line(
        self, base: Scenario, tmp_path: Path, text: str, said: str
    ) -> None:
        message = refused(base, written(text, tmp_path)).replace(f"{tmp_path}/", "")
        assert said in message
        assert len(message.splitlines()) == 1

    def test_an_own_overlay_has_the_line_of_the_scenario(self, tmp_path: Path) -> None:
        file = tmp_path / "own.yaml"
        asset = (Path(scenarios.__file__).parent / "library" / "rotting_asset.yaml").read_text()
        file.write_text(f"{asset}\noverlays:\n  late:\n    window: 3 parsecs\n")
        line = file.read_text().splitlines().index("    window: 3 parsecs") + 1
        assert scenarios.load(file).overlays["late"] == {"window": "3 parsecs"}  # checked when it is put over
        with pytest.raises(ScenarioError) as caught:
            scenarios.load(file, overlay="late")
        assert str(caught.value).startswith("overlay late of ")
        assert f":{line}: window: got '3 parsecs'" in str(caught.value)

    def test_the_name_of_an_own_overlay_can_be_written_on_the_command_line(self, base: Scenario) -> None:
        with pytest.raises(ScenarioError, match="a=b"):
            base.with_(overlays={"a=b": {}})


class TestWatch:
    def test_by_layer(self, base: Scenario) -> None:
        found = overlaid(base, {"watch": {"accuracy": {"cadence": "7d"}, "freshness": "on", "rest": "off"}})
        assert labels(found) == ["data_age", "accuracy", "truth"]  # the perfect monitor has no layer
        assert found.monitors[1].cadence == 7.0
        assert [entry.monitors for entry in found.menu] == [["data_age", "accuracy"]]  # the others are off

    def test_an_entry_of_the_menu_keeps_what_is_left(self, base: Scenario) -> None:
        features, both = overlaid(base, {"watch": {"accuracy": "off"}}).menu
        assert (features.name, both.monitors) == ("features", ["data_age"])

    def test_what_could_be_watched_is_added(self, base: Scenario) -> None:
        add = {"add": True}
        bare = base.with_(monitors=[], menu=[])
        layers = ("freshness", "features", "accuracy", "slices", "business")
        found = overlaid(bare, {"watch": dict.fromkeys(layers, add)})
        assert sorted(labels(found)) == sorted(
            ["data_age", "feature_drift_psi", "accuracy", "slice_accuracy[tablet]", "clicks"]
        )
        assert next(m for m in found.monitors if m.label == "clicks").direction == "down"
        assert overlaid(found, {"watch": dict.fromkeys(layers, add)}) == found  # nothing is there twice

    def test_nothing_is_added_where_it_cannot_be(self) -> None:
        asset = scenarios.load("rotting_asset", labels="none", triggers=[], policies=["never"])
        watch = {"accuracy": {"add": True}, "slices": {"add": True}, "features": {"add": True}}
        assert overlaid(asset, {"watch": watch}).monitors == []

    @pytest.mark.parametrize(("cadence", "days"), [("15min", 1 / 24), ("90min", 2 / 24), ("4h", 4 / 24)])
    def test_whole_windows(self, base: Scenario, cadence: str, days: float) -> None:
        found = overlaid(base, {"watch": {"freshness": {"cadence": cadence}}})
        assert found.monitors[0].cadence == pytest.approx(days)

    def test_looks_farther_apart_leave_no_gap(self, base: Scenario) -> None:
        daily = base.with_(monitors=[{"metric": "accuracy", "window": "1d"}], menu=[])
        (monitor,) = overlaid(daily, {"watch": {"accuracy": {"cadence": "7d"}}}).monitors
        assert (monitor.cadence, monitor.window) == (7.0, 7.0)


class TestOwnFields:
    def test_where_possible(self, base: Scenario) -> None:
        parts = [{"pipeline": {"gate": {"holdout": 100}}}, {"monitors": {"accuracy": {"slice": "tablet"}}}]
        found = overlaid(base, {"where_possible": parts})
        assert found.pipeline.gate is not None
        assert found.monitors == base.monitors

    def test_prevented_failures_are_rarer(self, base: Scenario) -> None:
        found = overlaid(base, {"prevent": {"data": "75%", "skew": 0.5, "code": "50%"}})
        stale, skew, planned = found.failures
        assert stale.rate == pytest.approx(3 / 365)
        assert skew.trigger is not None
        assert (skew.trigger.on, skew.trigger.probability) == ("deployment", 0.25)
        assert planned == base.failures[2]

    def test_all_of_them(self, base: Scenario) -> None:
        found = overlaid(base, {"prevent": {"skew": "100%", "code": 1}})
        assert [failure.name for failure in found.failures] == ["stale"]


@pytest.mark.parametrize("level", ["ad_hoc", "repeatable", "scalable"])
@pytest.mark.parametrize("name", scenarios.library_names())
def test_maturity_fits_every_scenario(name: str, level: str) -> None:
    before = scenarios.load(name)
    if before.edge is not None and level == "scalable":  # it deploys to servers
        with pytest.raises(ScenarioError, match=r"on an edge fleet edge\.ota\.waves"):
            scenarios.load(name, overlay=level)
        return
    after = scenarios.load(name, overlay=level)
    assert after.pipeline.stages.deployment != before.pipeline.stages.deployment or level == "scalable"
    assert after.response is not None
    assert after.response.on_call is not None
    # The world is the same: maturity is about how a system is run.
    for field in ("quality", "drift", "traffic", "labels", "signals", "failures"):
        assert getattr(after, field) == getattr(before, field)
