from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from analysis.cli import app

SHORT = ("--set", "horizon=10d", "--set", "window=2h")
QUICK = ("--reps", "2", "--workers", "1")


def called(*arguments: object, status: int = 0) -> Any:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.stderr
    return done


def document(*arguments: object, status: int = 0) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} in JSON")

    return json.loads(called(*arguments, "--json", status=status).stdout, parse_constant=refuse)


@pytest.mark.parametrize(
    ("requirement", "status"),
    [("total_cost.p90 < $1B", 0), ("total_cost.p90 < $1", 3), ("retrains < 1 for never", 0),
     ("retrains > 0 for never", 3)],
)  # fmt: skip
def test_compare_ends_with_status_3_when_a_requirement_does_not_hold(requirement: str, status: int) -> None:
    arguments = ("compare", "rotting_asset", "-p", "scheduled:60d", *QUICK, "--require", requirement)
    (answer,) = document(*arguments, status=status)["requirements"]
    assert answer["holds"] is (status == 0)
    done = called(*arguments, status=status)
    assert "interval" in next(line for line in done.stderr.splitlines() if line.startswith("requirement"))


def test_replay_lists_what_can_be_changed_and_tells_what_a_change_costs(tmp_path: Path) -> None:
    rows = document("replay", "fraud_detection", "-p", "triggered", *SHORT)
    assert rows[0]["retraining"] == 1
    assert "--skip-retraining" in called("replay", "fraud_detection", "-p", "triggered", *SHORT).stdout
    listed = tmp_path / "listed"
    assert document("replay", "fraud_detection", "-p", "triggered", *SHORT, "--out", listed) == rows
    assert json.loads((listed / "history.json").read_text()) == rows
    skipped = ("replay", "fraud_detection", "-p", "triggered", *SHORT, "--skip-retraining", 1)
    found = document(*skipped, "--out", tmp_path / "changed")
    assert found["cost_difference"] == pytest.approx(sum(row["difference"] for row in found["costs"]))
    names = {"counterfactual.json", "events.csv", "timeline.parquet", "counterfactual.png"}
    assert {path.name for path in (tmp_path / "changed").iterdir()} == names
    assert "would have" in called(*skipped).stdout


@pytest.mark.slow
def test_optimise_prints_and_writes(tmp_path: Path) -> None:
    arguments = (
        "optimise", "fraud_detection", *SHORT, *QUICK, "-v", "policy.interval=1d..8d:log",
        "--trials", 4, "--final-reps", 3,
    )  # fmt: skip
    found = document(*arguments, "--out", tmp_path)
    assert found["best"]["setting"]["interval"].endswith(("d", "h", "min"))
    assert {path.name for path in tmp_path.iterdir()} == {"optimum.json", "trials.csv", "optimum.png"}
    assert found == json.loads((tmp_path / "optimum.json").read_text())
    done = called(*arguments, "--require", "mean_accuracy > 0.99", status=3)
    assert "does not hold" in done.stderr
    assert "Better than the baseline" in done.stdout
    several = document(*arguments, "--objective", "annual_cost", "--objective", "mean_accuracy:max")
    assert several["best"] is None
    assert several["pareto"]


@pytest.mark.parametrize(("limit", "status"), [(0.85, 0), (0.95, 3)])
def test_optimise_finds_the_largest_that_holds(limit: float, status: int, tmp_path: Path) -> None:
    found = document(
        "optimise", "rotting_asset", "-p", "scheduled:30d", "--largest", "quality.decay=0.1%/d..1%/d:log", "--require",
        f"mean_accuracy > {limit}", "--workers", 1, "--out", tmp_path, status=status,
    )  # fmt: skip
    assert (found["holds_at"] is None) is (status == 3)
    assert (tmp_path / "sustainable.png").stat().st_size > 0


def test_sensitivity_prints_and_writes(tmp_path: Path) -> None:
    arguments = (
        "sensitivity", "rotting_asset", "-p", "scheduled:30d", "-p", "never",
        "-i", "pipeline.cost.compute=$500..$40000",
        *QUICK,
    )  # fmt: skip
    found = document(*arguments, "--out", tmp_path)
    assert found["flips"][0]["input"] == "pipeline.cost.compute"
    assert found["sobol"] is None
    assert {"sensitivity.json", "tornado.png", "flips.csv"} <= {path.name for path in tmp_path.iterdir()}
    assert (
        "The winner flips from scheduled:30d to never when pipeline.cost.compute passes $"
        in called(*arguments).stdout
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "rotting_asset", "--require", "total_cots < 1"),
        ("compare", "rotting_asset", "--reps", "2", "--require", "total_cost < 1 for weekly"),
        ("replay", "rotting_asset", "-p", "scheduled:90d", "--skip-retraining", "9"),
        ("replay", "rotting_asset", "-p", "scheduled:90d", "--retrain-at", "40"),
        ("replay", "rotting_asset", "-p", "scheduled:90d", "--retrain-at", "9d", "--ignore-alarm", "1"),
        ("optimise", "rotting_asset"),
        ("optimise", "rotting_asset", "-v", "policy.interval=1d..9d", "--objective", "cost"),
        ("optimise", "rotting_asset", "-v", "policy.interval=1d..9d", "--require", "retrains < 9 for never"),
        ("optimise", "rotting_asset", "--largest", "quality.decay=1%/d..2%/d", "-p", "never"),
        ("optimise", "rotting_asset", "--largest", "quality.decay=1%/d..2%/d", "--require", "retrains < 9"),
        *(
            (
                "optimise",
                "rotting_asset",
                "-p",
                "never",
                "--largest",
                "quality.decay=1%/d..2%/d",
                "--require",
                "retrains < 9",
                *option,
            )
            for option in (
                ("--trials", "60"),
                ("--reps", "5"),
                ("--final-reps", "30"),
                ("--baseline", "never"),
                ("--objective", "annual_cost"),
                ("-v", "quality.decay=1%/d..2%/d"),
            )
        ),
        (
            "optimise",
            "rotting_asset",
            "-v",
            "policy.interval=20d..60d",
            "--objective",
            "mttd_hours",
            "--trials",
            "4",
        ),
        ("compare", "rotting_asset", "--require", "mean_accuracy > 90"),
        ("replay", "rotting_asset", "-p", "scheduled:90d", "--retrain-at", "90d"),
        ("replay", "fraud_detection", *SHORT, "-p", "triggered", "--act-on-alarm", "1"),
        ("sensitivity", "rotting_asset", "-m", "sobel"),
        ("sensitivity", "rotting_asset", "-p", "never"),
        ("sensitivity", "rotting_asset", "-i", "quality.dekay=1..2"),
        ("sensitivity", "rotting_asset", "--observe", "labels.cost=1"),
        ("sensitivity", "rotting_asset", "--out", __file__),
    ],
)
def test_wrong_input_gives_one_message_and_status_2(arguments: tuple[str, ...]) -> None:
    done = called(*arguments, status=2)
    assert done.stdout == ""
    assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1, done.stderr


@pytest.mark.parametrize(
    ("module", "call"), [("optuna", "optimise"), ("SALib.analyze.morris", "sensitivity")]
)
def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, module: str, call: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    option = (
        ("-v", "policy.interval=1d..9d")
        if call == "optimise"
        else ("-m", "morris", "-p", "scheduled:30d", "-p", "never")
    )
    done = called(call, "rotting_asset", *option, *QUICK, status=2)
    assert "halflife-sim[experiments]" in done.stderr
