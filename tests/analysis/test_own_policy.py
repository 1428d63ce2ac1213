"""A user's own policy: ten lines in a file, on any number of processes, and clear words where it cannot be used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import scenarios
from analysis.cli import app
from analysis.comparison import compare
from analysis.own_policy import load_policy
from scenarios.schema import Scenario
from sim import run

SPRING = '''\
from sim import Decision, Policy, View


class Spring(Policy):
    """Retrain on the days of a list, as long as there are any left."""

    def decide(self, view: View) -> Decision:
        ahead = [day for day in (3.0, 8.0, 21.0) if day > view.now]
        due = view.now in (3.0, 8.0, 21.0) and view.now not in view.retrainings
        return Decision(retrain=due, wake=ahead[0] if ahead else float("inf"))
'''
SCENARIO = """\
title: small
horizon: 30d
window: 6h
value_per_query_per_unit_accuracy: $0.20
quality: {kind: exponential, initial_accuracy: 0.9, decay: 1%/d}
traffic: {rate: 20k/d}
triggers: [{metric: accuracy, window: 1d}]
pipeline: {cost: {compute: $400}}
"""


@pytest.fixture
def spring(tmp_path: Path) -> Path:
    return written(tmp_path / "spring.py", SPRING)


@pytest.fixture
def small(tmp_path: Path) -> Scenario:
    return scenarios.load(written(tmp_path / "small.yaml", SCENARIO))


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_ten_lines_are_enough(spring, small):
    assert len([line for line in SPRING.splitlines() if line.strip()]) <= 10
    result = run(small, load_policy(spring, "Spring"))
    assert result.policy == "Spring"
    assert result.events.query("kind == 'retraining started'").time_days.tolist() == [3.0, 8.0, 21.0]


def test_a_name_in_the_file_is_kept(tmp_path):
    named = SPRING.replace("    def decide", '    name = "on spring days"\n\n    def decide')
    assert load_policy(written(tmp_path / "named.py", named), "Spring").name == "on spring days"
    made = SPRING + '\n    def __init__(self):\n        self.name = "made"\n'
    assert load_policy(written(tmp_path / "made.py", made), "Spring").name == "made"


@pytest.mark.slow
def test_policies_travel_to_worker_processes(tmp_path, spring):
    """Two files of the same name, and one that would hide a module of the standard library."""
    scenario = written(tmp_path / "small.yaml", SCENARIO)
    late = written(
        tmp_path / "other" / "spring.py", SPRING.replace("Spring", "Late").replace("3.0, 8.0, 21.0", "21.0,")
    )
    hidden = written(tmp_path / "json.py", SPRING.replace("Spring", "Hidden"))
    names = [f"{spring}:Spring", f"{late}:Late", f"{hidden}:Hidden"]
    options = [str(scenario), *(part for name in names for part in ("-p", name)), "--reps", "2", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "analysis.cli", "compare", *options, "--workers", "2"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    entries = {entry["name"]: entry for entry in json.loads(done.stdout)["policies"]}
    assert {
        name: entry["retrains"]["mean"]
        for name, entry in entries.items()
        if name in ("Spring", "Late", "Hidden")
    } == {
        "Spring": 3.0,
        "Late": 1.0,
        "Hidden": 3.0,
    }
    assert entries["Spring"]["skill"] is not None
    here = CliRunner().invoke(app, ["compare", *options, "--workers", "1"])
    assert here.stdout == done.stdout


def test_pictures_of_an_own_policy(spring, small, tmp_path):
    """They replay a run of each policy, which no name on the command line would bring back."""
    files = compare(small, [load_policy(spring, "Spring")], replications=2, workers=1).save(tmp_path / "out")
    assert all(file.stat().st_size > 100 for file in files)


def test_a_file_loaded_again_is_read_again(spring):
    first = load_policy(spring, "Spring")
    written(spring, SPRING.replace("Retrain on", "Read again:"))
    second = load_policy(spring, "Spring")
    assert "Read again" in (type(second).__doc__ or "")
    assert "Read again" not in (type(first).__doc__ or "")


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        (SPRING, "Sprign", "no such policy in the file, there are: Spring"),
        (SPRING, "View", "no such policy in the file"),
        (SPRING, "Policy", "no such policy in the file"),
        (SPRING, "", "no such policy in the file"),
        ("x = 1\n", "Spring", r"\(none: a policy derives from sim.Policy\)"),
        ("class Spring:\n    pass\n", "Spring", r"\(none: a policy derives from sim.Policy\)"),
        ("", "Spring", r"\(none: a policy derives from sim.Policy\)"),
        (SPRING.replace("class Spring(Policy):", "class Spring(Policy)"), "Spring", "fails with SyntaxError"),
        ("import no_such_module_anywhere\n", "Spring", "fails with ModuleNotFoundError: No module named"),
        ("1 / 0\n", "Spring", "fails with ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)\n", "Spring", "fails with SystemExit"),
        ("\x00", "Spring", "fails with "),
        (
            SPRING + "\n    def __init__(self, day):\n        self.day = day\n",
            "Spring",
            "cannot be made without arguments: .*'day'",
        ),
        (
            SPRING + '\n    def __init__(self):\n        raise KeyError("day")\n',
            "Spring",
            "cannot be made.*day",
        ),
    ],
)
def test_files_that_do_not_help(tmp_path, text, name, words):
    path = written(tmp_path / "own.py", text)
    with pytest.raises(ValueError, match=words) as caught:
        load_policy(path, name)
    assert str(caught.value).startswith(f"policy {path}:{name}: ")


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: None], ids=["folder", "nothing"])
def test_no_file(tmp_path, make):
    path = tmp_path / "own.py"
    make(path)
    with pytest.raises(ValueError, match="no such file"):
        load_policy(path, "Spring")


@pytest.mark.parametrize("command", ["run", "compare"])
@pytest.mark.parametrize(
    ("file", "name", "words"),
    [
        ("absent.py", "Spring", "no such file"),
        ("spring.py", "Sprign", "there are: Spring"),
        ("broken.py", "Spring", "SyntaxError"),
    ],
)
def test_command_line_says_so_and_ends_with_2(tmp_path, spring, command, file, name, words):
    written(tmp_path / "broken.py", "def f(:\n")
    done = CliRunner().invoke(app, [command, "rotting_asset", "--policy", f"{tmp_path / file}:{name}"])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: policy ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_without_a_class_is_told_how_to_write_it(spring):
    done = CliRunner().invoke(app, ["run", "rotting_asset", "--policy", str(spring)])
    assert done.exit_code == 2
    assert "spring.py:Class" in done.stderr.replace(str(spring.parent) + "/", "")
