"""The same scenario, policies and seed give the same bytes, whatever the workers, the process or its hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analysis.cli import app

SCENARIO = """\
title: small
horizon: 20d
window: 6h
value_per_query_per_unit_accuracy: $0.20
features: [age, amount]
slices: [{name: new, weight: 0.2, initial_accuracy: 0.8}]
quality: {kind: degradation, initial_accuracy: 0.92, feature_sensitivity: 0.02, concept_sensitivity: 0.05}
drift:
  - {kind: random_walk, volatility: 0.2/sqrt(d)}
  - {kind: random_walk, volatility: 0.3/sqrt(d), on: concept}
  - {kind: adversarial, delay: 1d, sd: 0.2, on: concept}
traffic: {rate: 20k/d, bursts: {rate: 0.2/d, factor: 3, duration: {kind: exponential, mean: 12h}}}
labels: {coverage: 2%, delay: {kind: lognormal, median: 6h, p95: 2d}, cost: $0.01}
triggers:
  - {metric: accuracy, threshold: 0.04, window: 2d}
  - {metric: feature_drift_psi, threshold: 0.8}
monitors: [{metric: slice_accuracy, slice: new, window: 2d}]
pipeline:
  stages: {training: {duration: {kind: lognormal, median: 6h, p95: 1d}, failure: 10%}}
  cost: {compute: $400}
  gate: {holdout: 2000, margin: -0.01}
  training_noise: 0.002
"""
FILES = {
    "comparison.json",
    "costs.png",
    "differences.png",
    "runs.parquet",
    "scenario.json",
    "table.csv",
    "timelines.png",
}
OPTIONS = [
    "-p",
    "scheduled:4d",
    "-p",
    "triggered",
    "-p",
    "cost-aware",
    "--reps",
    "2",
    "--seed",
    "7",
    "--json",
]


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "small.yaml"
    path.write_text(SCENARIO)
    return path


def here(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def elsewhere(*arguments: object) -> str:
    """In a process of its own with another hash seed and another time zone and language."""
    done = subprocess.run(
        [sys.executable, "-m", "analysis.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_comparisons_are_the_same_bytes(scenario, tmp_path):
    """Two workers in a process of their own, and one worker here."""
    first = elsewhere("compare", scenario, *OPTIONS, "--workers", 2, "--out", tmp_path / "two")
    second = here("compare", scenario, *OPTIONS, "--workers", 1, "--out", tmp_path / "one")
    assert first == second
    two, one = (content(tmp_path / name) for name in ("two", "one"))
    assert two.keys() == one.keys() == FILES
    for name in sorted(FILES):
        assert two[name] == one[name], name


def test_runs_are_the_same_bytes(scenario, tmp_path):
    options = ["run", scenario, "-p", "triggered", "--seed", 7, "--replication", 2, "--json", "--out"]
    assert elsewhere(*options, tmp_path / "there") == here(*options, tmp_path / "here")
    there, at_home = content(tmp_path / "there"), content(tmp_path / "here")
    assert there.keys() == at_home.keys() == {"run.json", "timeline.parquet", "events.parquet", "run.png"}
    for name, written in there.items():
        assert written == at_home[name], name


def test_an_old_folder_is_written_over(scenario, tmp_path):
    here("run", scenario, "-p", "scheduled:4d", "--out", tmp_path)
    here("run", scenario, "-p", "never", "--out", tmp_path)
    rewritten = content(tmp_path)
    here("run", scenario, "-p", "never", "--out", tmp_path / "fresh")
    assert content_of_files(rewritten) == content(tmp_path / "fresh")


def content_of_files(found: dict[str, bytes]) -> dict[str, bytes]:
    return {name: written for name, written in found.items() if "." in name}


def test_another_seed_gives_other_bytes(scenario):
    assert here("run", scenario, "--seed", 1, "--json") != here("run", scenario, "--seed", 2, "--json")
