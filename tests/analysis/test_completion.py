"""What the shell proposes after TAB."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import scenarios
from analysis.cli import app


def proposed(line: str) -> list[str]:
    """What bash is told at the end of a command line."""
    environment = {
        "_HALFLIFE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    done = CliRunner().invoke(app, [], prog_name="halflife", env=environment)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("halflife run fraud", ["fraud_detection", "fraud_maturity"]),
        ("halflife compare silent", ["silent_failure"]),
        ("halflife list --topic s", ["serving"]),
        ("halflife compare fraud_detection -p hyb", ["hybrid", "hybrid:30d"]),
        ("halflife run knight_capital -O pos", ["position_breaker"]),
        ("halflife compare knight_capital --variant can", ["canary"]),
        ("halflife compare knight_capital --variant ba", ["base"]),
        ("halflife sweep fraud_detection --vary quality.d", ["quality.decay="]),
        ("halflife run fraud_detection -O sca", ["scalable"]),
        ("halflife run fraud_detection --set quality.d", ["quality.decay="]),
        ("halflife run -p never fraud_detection --set quality.decay=", ["quality.decay=0.02/d"]),
        ("halflife run no_such_scenario --set quality.d", []),
        ("halflife run --set quality.d", []),
    ],
)
def test_proposals(line, expected):
    assert [word for word in proposed(line) if word] == expected


def test_files_are_proposed_beside_the_library(tmp_path, monkeypatch):
    (tmp_path / "mine.yaml").write_text("title: mine")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "more").mkdir()
    monkeypatch.chdir(tmp_path)
    assert proposed("halflife run m") == [
        name for name in scenarios.library_names() if name.startswith("m")
    ] + ["mine.yaml", "more/"]
    assert proposed("halflife run ./mi") == ["./mine.yaml"]
    assert proposed("halflife run no/such/") in ([], [""])
