"""The commands `sweep` and `report`: what they print and write, and one clear message for whatever is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from analysis.cli import app

SMALL = [
    "rotting_asset", "--set", "horizon=20d", "--vary", "quality.decay=1%/d,2%/d", "--vary",
    "pipeline.cost.compute=$100,$4000", "-p", "never", "-p", "scheduled:7d", "--reps", "2", "--workers", "1",
]  # fmt: skip


def said(*arguments: object, status: int = 0) -> Any:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def test_sweep_then_report(tmp_path: Path) -> None:
    home, csv = tmp_path / "run", tmp_path / "runs.csv"
    first = said("sweep", *SMALL, "--out", home)
    assert "4 variants x 2 replications x 2 policies = 16 runs" in first.stderr
    assert "Of 4 variants" in first.stdout
    assert (home / "report" / "regimes.png").stat().st_size > 1000
    again = said("report", home, "--csv", csv)
    assert again.stdout.split("\n\nWritten")[0] == first.stdout.split("\n\nWritten")[0]
    assert len(pd.read_csv(csv)) == 16
    rows = json.loads(said("report", home, "--json", "--sql", "SELECT count(*) AS n FROM runs").stdout)
    assert rows == [{"n": 16}]
    for sql in ("", f"COPY (SELECT 1) TO '{home}/manifest.json'"):
        assert "expected exactly one SELECT" in said("report", home, "--sql", sql, status=2).stderr
    document = json.loads(said("report", home, "--json").stdout)
    assert document == json.loads(said("sweep", *SMALL, "--out", home, "--resume", "--json").stdout)


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = said("sweep", *SMALL, "--out", tmp_path / "run", "--dry-run")
    assert "16 runs" in done.stderr
    document = json.loads(said("sweep", *SMALL, "--out", tmp_path / "run", "--dry-run", "--json").stdout)
    assert document["estimated_seconds"] > 0.0
    expected = {
        "variants": 4,
        "replications": 2,
        "runs": 16,
        "parts": 1,
        "policies": ["never", "scheduled:7d"],
    }
    assert {key: document[key] for key in expected} == expected
    assert document["directory"] == str(tmp_path / "run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--vary", "quality.decya=1,2"], "did you mean 'decay'"),
        (["--vary", "quality.decay=3%/d"], "twice"),
        (
            ["--vary", "horizon=30d,7.5d"],
            "variant 1 (quality.decay=1%/d, pipeline.cost.compute=$100, horizon=7.5d)",
        ),
        (["--executor", "slurm"], "one of: local, dask"),
        (["--overlay", "x"], "expected name=file.yaml"),
        (["--overlay", "x=missing.yaml"], "missing.yaml"),
        (["--sample", "4", "--method", "hammersley"], "one of: random, lhs, sobol"),
    ],
)
def test_bad_input_writes_nothing(tmp_path: Path, more: list[str], message: str) -> None:
    done = said("sweep", *SMALL, *more, "--out", tmp_path / "run", status=2)
    assert message in done.stderr
    assert done.stderr.count("error: ") == 1
    assert not list(tmp_path.iterdir())


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("chapter 1")
    for resume in ([], ["--resume"]):
        done = said("sweep", *SMALL, "--out", tmp_path, *resume, status=2)
        assert "not the folder of a sweep" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert "not the folder of a sweep" in said("report", tmp_path, status=2).stderr


def test_a_sweep_is_resumed_only_as_it_was(tmp_path: Path) -> None:
    said("sweep", *SMALL, "--out", tmp_path / "run")
    assert (
        "has a sweep already (1 of 1 parts)"
        in said("sweep", *SMALL, "--out", tmp_path / "run", status=2).stderr
    )
    other = said("sweep", *SMALL, "--seed", "5", "--resume", "--out", tmp_path / "run", status=2)
    assert "another seed: 0 there, 5 now" in other.stderr
