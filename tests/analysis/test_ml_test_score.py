"""The ML Test Score: its sixteen tests, its bands, and what answers change in a scenario."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

import scenarios
from analysis import readiness_score
from analysis.cli import app
from analysis.ml_test_score import band_of
from scenarios.loader import ScenarioError
from scenarios.ml_test_answers import CATEGORIES, scored_tests
from scenarios.overlays import overlaid
from scenarios.schema import Scenario

IDS = [test.id for test in scored_tests()]


def answers(points: float) -> dict[str, float]:
    return dict.fromkeys(IDS, points)


def said(*arguments: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, ["test-score", *arguments])
    assert done.exit_code == status, done.output
    return str(done.stdout if status == 0 else done.output)


def test_four_tests_in_each_of_four_categories() -> None:
    assert len(set(IDS)) == 16
    assert Counter(test.category for test in scored_tests()) == dict.fromkeys(CATEGORIES, 4)


@pytest.mark.parametrize(
    ("total", "band"),
    [
        (0, "ad hoc"), (4.5, "ad hoc"), (5, "developing"), (9.5, "developing"), (10, "mature"), (14.5, "mature"),
        (15, "production-grade"), (16, "production-grade"),
    ],
)  # fmt: skip
def test_bands_and_their_borders(total: float, band: str) -> None:
    assert band_of(total) == band


@pytest.mark.parametrize("total", [-0.5, 16.5, float("nan")])
def test_no_such_total(total: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 16"):
        band_of(total)


def test_score_and_the_weakest_first() -> None:
    found = readiness_score(answers(1) | {"no_skew": 0.5, "rollback": 0, "feature_schema": 0})
    assert (found.total, found.band) == (13.5, "mature")
    assert [test.id for test in found.weakest] == ["feature_schema", "rollback", "no_skew"]
    assert found.by_category() == {"data": 3, "model": 4, "infrastructure": 3, "monitoring": 3.5}
    assert found.table()["points"].sum() == 13.5
    assert json.loads(json.dumps(found.to_dict()))["unanswered"] == []


def test_what_is_not_answered_counts_nothing_and_is_named() -> None:
    found = readiness_score({"rollback": 1})
    assert found.total == 1
    assert len(found.unanswered) == 15
    assert "no answer" in str(found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("answers: {rolback: 1}\n", "answers.yaml:1: answers.rolback: unknown test 'rolback': did you mean 'rollback'"),
        ("answers:\n  rollback: 0.7\n", "answers.yaml:2: answers.rollback: got 0.7, expected 0, 0.5 or 1"),
        ("answers:\n  rollback: true\n", "got true, expected 0, 0.5 or 1"),
        ("answers: 3\n", "answers: got 3, expected a mapping"),
        ("answers: {}\nscore: 3\n", "score: unknown field 'score'"),
        ("rollback: 1\n", "field answers is missing"),
    ],
)  # fmt: skip
def test_wrong_answers(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "answers.yaml"
    file.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        readiness_score(file)
    assert message in str(caught.value)


class TestOverlay:
    @pytest.fixture
    def system(self) -> Scenario:
        return scenarios.load("monitoring_budget")

    def overlay(self, tmp_path: Path, given: dict[str, Any]) -> Path:
        file = tmp_path / "answers.json"
        file.write_text(json.dumps({"answers": given}))
        return file

    @pytest.mark.parametrize("points", [0, 0.5, 1])
    @pytest.mark.parametrize("name", ["monitoring_budget", "rotting_asset", "electricity", "gpt2_text"])
    def test_every_answer_fits(self, name: str, points: float, tmp_path: Path) -> None:
        assert scenarios.load(name, overlay=self.overlay(tmp_path, answers(points)))

    @pytest.mark.parametrize("test", [test for test in scored_tests() if any(test.changes.values())])
    def test_the_answer_matters(self, system: Scenario, tmp_path: Path, test: Any) -> None:
        low, high = (overlaid(system, self.overlay(tmp_path, {test.id: points})) for points in (0, 1))
        assert low != high or test.id == "code_paths_consistent"  # this scenario has no skew to prevent

    def test_no_answer_changes_nothing(self, system: Scenario, tmp_path: Path) -> None:
        assert overlaid(system, self.overlay(tmp_path, {})) == system

    def test_some_of_them(self, system: Scenario, tmp_path: Path) -> None:
        given = {
            "rollback": 0,
            "dependency_alerts": 0,
            "staleness_retrains": 1,
            "validated_before_serving": 1,
        }
        found = overlaid(system, self.overlay(tmp_path, given))
        assert not found.deployment.rollback.registry
        layers = {found.layer_of(monitor) for monitor in found.monitors}
        assert not layers & {"schema", "freshness"}
        assert {"features", "accuracy"} <= layers
        assert found.policies[0].name == "hybrid:30d"
        assert found.pipeline.gate is not None

    def test_what_does_not_fit_is_on_the_line_of_the_answer(self, tmp_path: Path) -> None:
        file = tmp_path / "answers.yaml"
        file.write_text("answers:\n  rollback: 1\n  feature_schema: 1\n")
        short = scenarios.load("rotting_asset")
        with pytest.raises(ScenarioError) as caught:
            scenarios.load("rotting_asset", overlay=[file, {"pipeline": {"bad_training": {"loss": 3}}}])
        assert "pipeline.bad_training.loss" in str(caught.value)
        probability = overlaid(short, file).pipeline.bad_training
        assert probability is not None
        assert probability.probability == 0.01


class TestCommand:
    def test_the_template_can_be_filled_in(self, tmp_path: Path) -> None:
        text = said("--template")
        assert list(YAML(typ="safe").load(text)["answers"]) == IDS
        file = tmp_path / "answers.yaml"
        file.write_text(text)
        assert "ML Test Score 0.5 of 16: ad hoc" in said(str(file), "--answer", "rollback=0.5")
        document = json.loads(said(str(file), "--json"))
        assert (document["total"], document["band"], len(document["weakest"])) == (0.0, "ad hoc", 16)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "no answers: expected a file"),
            (["-a", "rollback"], "expected TEST=0, TEST=0.5 or TEST=1"),
            (["-a", "rollback=2"], "expected TEST=0, TEST=0.5 or TEST=1"),
            (["-a", "rolback=1"], "did you mean 'rollback'"),
            (["nowhere.yaml"], "no such file"),
        ],
    )
    def test_wrong_input(self, arguments: list[str], message: str) -> None:
        assert message in said(*arguments, status=2)
