"""The command `delays`, and the options that it shares: what is combined without meaning, and what messages name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from analysis.cli import app

SMALL = """\
title: A small one
horizon: 10d
window: 1h
value_per_query_per_unit_accuracy: $0.50
quality: {kind: exponential, initial_accuracy: 0.8, decay: 0.1%/d}
traffic: {rate: 1000/d}
failures: [{name: skew, rate: 0.2/d, accuracy_drop: 10%}]
monitors: [{metric: accuracy, cadence: 1d, window: 1d}]
response: {}
policies: [never]
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("delays") / "small.yaml"
    path.write_text(SMALL)
    return path


def called(command: str, file: Path, *arguments: str) -> Any:
    return CliRunner().invoke(app, [command, str(file), *arguments])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--traffic", "--monitor", "accuracy"), "--traffic: plays a service of its own and takes no --monitor"),
        (("--traffic", "--policy", "scheduled:7d"), "takes no --policy"),
        (("--traffic", "--set", "horizon=20d", "--rows", "5"), "takes no --rows and no --set"),
        (("--traffic", "--rates", "often"), "--rates: got 'often', expected a rate"),
        (("--traffic", "--rates", "1/s,,"), "--rates: got '1/s,,', expected values between commas"),
        (("--traffic", "--rates", "0/s"), "--rates: "),
        (("--traffic", "--confidence", "2"), "confidence: got 2"),
        (("--monitor", "accuracy", "--confidence", "2"), "confidence: got 2"),
        (("--monitor", "accuracy", "--rows", "many"), "--rows: got 'many', expected a whole number"),
        (("--monitor", "accuracy", "--thresholds", ""), "--thresholds: got ''"),
        (("--monitor", "accuracy", "--thresholds", "10"), "write 0.1 or 10%"),
        (("--monitor", "accuracy", "--cadences", "90min"), "whole number of simulation windows of 1h, got 90min"),
        (("--p0", "0.9"), "--p0: applies to --traffic"),
        (("--p1", "0.9"), "--p1: applies to --traffic"),
        (("--policy", "weekly"), "did you mean 'scheduled:7d'?"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_one_message(file: Path, arguments: tuple[str, ...], message: str) -> None:
    done = called("delays", file, *arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command", ["run", "compare", "budget", "delays", "sensitivity", "optimise", "sweep", "report"]
)
def test_an_empty_folder_is_refused_by_every_command(command: str, file: Path) -> None:
    done = called(command, file, "--out", "")
    assert done.exit_code == 2
    assert done.stderr == "error: --out: is empty, expected a folder, such as out/first\n"


def test_the_present_folder_is_one(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = called("run", file, "--out", ".")
    assert done.exit_code == 0, done.stderr
    assert list(tmp_path.iterdir())


def test_a_part_that_is_all_default_is_shown_with_its_defaults(file: Path) -> None:
    (row,) = [
        line.split() for line in called("show", file).stdout.splitlines() if line.startswith("response ")
    ]
    assert row == ["response", "all", "defaults", "none"]
    shown = called("show", file, "--all").stdout
    assert "response.hourly_cost" in shown
    assert "$2400/d" in shown
    assert "telemetry.ingest" not in shown
