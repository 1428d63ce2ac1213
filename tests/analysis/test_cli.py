"""The command: what every sub-command prints and writes, and one clear message for whatever is wrong."""

from __future__ import annotations

import copy
import csv
import json
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

import scenarios
from analysis.cli import app, main
from scenarios.topics import TOPICS

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "scenarios" / "library"
MATRIX = ROOT / "scenarios" / "data" / "electricity_accuracy_matrix.csv"
FIGURES = ROOT / "analysis" / "data" / "worked_figures.csv"
COMMANDS = ("list", "show", "validate", "schema", "run", "compare", "backtest", "worked-figures")
SMALL = """\
title: A small system
story: Once upon a time.
question: How often?
source: a test
horizon: 30d
window: 6h
value_per_query_per_unit_accuracy: $0.20
quality: {kind: exponential, initial_accuracy: 0.9, decay: 2%/d}
traffic: {rate: 20k/d}
triggers: [{metric: accuracy, threshold: 0.1, window: 1d}]
pipeline: {cost: {compute: $400}}
policies: [never, triggered]
"""


@pytest.fixture
def small(tmp_path: Path) -> str:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return str(path)


def said(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return str(done.stdout)


def document(*arguments: object) -> Any:
    """The only JSON document on stdout, which knows no NaN."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} in JSON")

    return json.loads(said(*arguments, "--json"), parse_constant=refuse)


def refused(*arguments: object) -> str:
    """The one message of a command that ends with status 2."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    messages = [line for line in done.stderr.splitlines() if line.lower().startswith("error: ")]
    assert len(messages) == 1, done.stderr
    return messages[0]


# list, show, validate


@pytest.fixture(scope="module")
def listed() -> tuple[str, Any]:
    return said("list"), document("list")


def test_list(listed):
    text, entries = listed
    assert [entry["name"] for entry in entries] == scenarios.library_names()
    assert all(entry["title"] and entry["question"] for entry in entries)
    shown = {line.split()[0]: line for line in text.splitlines() if line.startswith("  ")}
    assert sorted(shown) == scenarios.library_names()
    assert all(shown[entry["name"]].endswith(entry["question"]) for entry in entries)


def test_list_is_by_topic_in_the_order_of_the_topics(listed):
    text, entries = listed
    topic_of = {entry["name"]: entry["topic"] for entry in entries}
    names = [line.split()[0] for line in text.splitlines() if line.startswith("  ")]
    order = [list(TOPICS).index(topic_of[name]) for name in names]
    assert order == sorted(order)
    headings = [line for line in text.splitlines() if line and not line.startswith(" ")]
    present = [topic for topic in TOPICS if topic in topic_of.values()]
    assert headings == [f"{TOPICS[topic]} ({topic})" for topic in present]


def test_list_of_one_topic():
    names = [entry["name"] for entry in document("list", "--topic", "claims")]
    assert names == [name for name in scenarios.library_names() if name.startswith("published_")]
    assert refused("list", "--topic", "clams").startswith(
        "error: --topic: got 'clams': did you mean 'claims'?"
    )


def test_show(small):
    text = said("show", small)
    assert text.startswith("A small system\n\nOnce upon a time.\n\nQuestion: How often?\nSource: a test\n")
    changed, rest = text.partition("from the defaults\n\n")[2].split("\n\n")
    rows = {row[0]: row[1:] for row in (re.split(r" {2,}", line) for line in changed.splitlines())}
    assert rows["parameter"] == ["value", "default"]
    assert rows["horizon"] == ["30d", "365d"]
    assert rows["quality.decay"] == ["0.02/d", "required"]
    assert rows["policies"][0] == "[never, triggered]"
    assert not any(path.startswith("labels") for path in rows)
    starts = {line.index(value) for line, value in zip(changed.splitlines(), ["value", "30d"], strict=False)}
    assert len(starts) == 1
    assert re.fullmatch(r"\d+ more parameters stand at their defaults \(--all lists them\)\.\n", rest)


def test_show_without_a_name_says_where_names_are():
    assert "`halflife list` lists the names" in refused("show")


def test_show_everything(small):
    changed, unchanged = (
        said("show", small, "--all").partition("differ from the defaults")[2].split("stand at")
    )
    count = int(said("show", small).splitlines()[-1].split()[0])
    assert len(unchanged.partition("value\n")[2].splitlines()) == count
    assert "labels.coverage" in unchanged
    assert "labels.coverage" not in changed


def test_show_says_what_to_look_at_and_the_overlays():
    text = said("show", "uber_feature_store")
    found = scenarios.load("uber_feature_store")
    flat = " ".join(text.split())
    assert all(" ".join(look.split()) in flat for look in found.look_at)
    assert f"- feature_store: {found.overlays['feature_store']['about']}" in flat
    silent = said("show", "uber_feature_store", "--set", "overlays={untold: {horizon: 30d}}")
    assert "\n- untold\n" in silent
    assert max(map(len, text.partition("Parameters")[0].splitlines())) <= 118


@pytest.mark.parametrize("name", scenarios.library_names())
def test_show_anything_of_the_library(name):
    assert scenarios.load(name).title in said("show", name)
    content = document("show", name)
    assert content["title"] == scenarios.load(name).title
    assert content["labels"] is None or "coverage" in content["labels"]


def test_show_with_changes(small):
    content = document("show", small, "--set", "quality.decay=1%/d", "--set", "triggers[0].threshold=0.2")
    assert content["quality"]["decay"] == "0.01/d"
    assert content["triggers"][0]["threshold"] == 0.2
    assert document("show", small)["quality"]["decay"] == "0.02/d"


@pytest.mark.parametrize("name", scenarios.library_names())
def test_what_is_shown_as_json_is_the_scenario_again(name, tmp_path):
    path = tmp_path / "again.json"
    path.write_text(said("show", name, "--json"))
    assert document("validate", path)["hash"] == scenarios.load(name).hash()


def test_validate(small):
    assert said("validate", small) == f"{small}: valid (A small system)\n"
    found = document("validate", small)
    assert found == {
        "file": small,
        "valid": True,
        "title": "A small system",
        "hash": scenarios.load(small).hash(),
    }


# schema


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    text = said("schema")
    assert said("schema", "--json") == text
    content = json.loads(text)
    assert content["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(content)
    return jsonschema.Draft202012Validator(content)


def written(name: str) -> Any:
    """A file of the library as an editor sees it."""
    return YAML(typ="safe", pure=True).load((LIBRARY / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", scenarios.library_names())
def test_schema_accepts_the_library_as_written(schema, name):
    assert [error.message for error in schema.iter_errors(written(name))] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("nonsense", 1),
        ("title", ""),
        ("title", 5),
        ("horizon", 30),
        ("horizon", "7 dyas"),
        ("horizon", "$5"),
        ("currency", "dollars"),
        ("value_per_query_per_unit_accuracy", 0.5),
        ("quality.kind", "exponentiall"),
        ("quality.decay", "2%"),
        ("quality.decay", 0.02),
        ("quality.dcay", "2%/d"),
        ("quality.initial_accuracy", 1.5),
        ("traffic", "1M/d"),
        ("labels.coverage", 2),
        ("triggers.0.metric", "acuracy"),
        ("triggers.0.threshold", "0.05"),
        ("drift.0.rate", "0.03"),
        ("pipeline.cost.compute", 4000),
        ("pipeline.gate.holdout", 0.5),
        ("policies.0", 5),
    ],
)
def test_schema_rejects(schema, path, value):
    wrong = copy.deepcopy(written("fraud_detection"))
    *way, last = path.split(".")
    place: Any = wrong
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[int(last) if last.isdigit() else last] = value
    assert not schema.is_valid(wrong)


@pytest.mark.parametrize("field", ["title", "quality", "traffic", "value_per_query_per_unit_accuracy"])
def test_schema_misses(schema, field):
    wrong = written("fraud_detection")
    del wrong[field]
    assert not schema.is_valid(wrong)


# run


def test_run(small):
    text = said("run", small, "--policy", "scheduled:7d")
    assert text.startswith("A small system: scheduled:7d, replication 0")
    found = document("run", small, "--policy", "scheduled:7d", "--replication", 3, "--seed", 2)
    assert found["summary"]["retrains"] == 4
    assert found["provenance"]["replication"] == 3
    assert found["provenance"]["seed"] == 2


def test_run_without_a_policy_is_never(small):
    assert document("run", small)["policy"] == "never"


def test_run_tunes(small):
    assert document("run", small, "--policy", "scheduled:best")["summary"]["retrains"] > 0


def test_run_writes(small, tmp_path):
    text = said("run", small, "--out", tmp_path / "out")
    for name in ("run.json", "timeline.parquet", "events.parquet", "run.png"):
        assert str(tmp_path / "out" / name) in text.partition("Written: ")[2]
        assert (tmp_path / "out" / name).exists()


# compare


def test_compare(small):
    done = CliRunner().invoke(
        app, ["compare", small, "--reps", "3", "--workers", "1", "-p", "scheduled:9d", "-p", "never"]
    )
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()[3:7]] == [
        "scheduled:9d",
        "never",
        "scheduled:best",
        "oracle",
    ]
    assert all(line.startswith("warning: ") for line in done.stderr.splitlines())
    assert "3 replications give wide intervals" in done.stderr


def test_compare_takes_the_policies_of_the_scenario(small):
    found = document("compare", small, "--reps", 1, "--workers", 1)
    assert [entry["name"] for entry in found["policies"]] == [
        "never",
        "triggered",
        "scheduled:best",
        "oracle",
    ]


def test_compare_until_precise(small):
    found = document("compare", small, "--precision", 0.2, "--workers", 1)
    assert found["replications"] == 10
    capped = document("compare", small, "--precision", 0.0000001, "--max-reps", 3, "--workers", 1)
    assert capped["replications"] == 3
    assert any("still wider" in text for text in capped["warnings"])


def test_compare_with_one_replication_says_so_and_nothing_else(small):
    done = CliRunner().invoke(app, ["compare", small, "--reps", "1", "--workers", "1", "--json"])
    assert done.exit_code == 0, done.exception
    assert [line for line in done.stderr.splitlines() if not line.startswith("warning: ")] == []


def test_changes_reach_the_comparison(small):
    found = document(
        "compare", small, "--reps", 1, "--workers", 1, "--set", "currency=EUR", "--set", "horizon=10d"
    )
    assert (found["currency"], found["horizon_days"]) == ("EUR", 10.0)


def test_compare_writes_the_scenario_that_it_compared(tmp_path):
    """A record too: what is written can be compared again, without the files it was made from."""
    said("compare", "electricity", "-p", "never", "--reps", 1, "--workers", 1, "--out", tmp_path)
    assert document("validate", tmp_path / "scenario.json")["hash"] == scenarios.load("electricity").hash()


# backtest, worked figures


def test_backtest(tmp_path):
    options = ["backtest", MATRIX, "-p", "never", "-p", "scheduled:4", "-p", "triggered:accuracy<-0.05"]
    rows = document(*options, "--retrain-cost", 0.2, "--label-delay", 1)
    assert {"never", "scheduled:4", "triggered:accuracy<-0.05"} <= {row["name"] for row in rows}
    assert {"retrains", "mean_accuracy", "total_cost", "regret", "skill", "skill_sd"} <= rows[0].keys()
    text = said(*options, "--out", tmp_path)
    assert text.startswith("policy ")
    for name in ("backtest.json", "table.csv", "accuracy.png"):
        assert (tmp_path / name).stat().st_size > 0
        assert name in text


def test_backtest_price_matters():
    def cost(price: float) -> float:
        rows = document("backtest", MATRIX, "-p", "scheduled:4", "--retrain-cost", price)
        return next(row["total_cost"] for row in rows if row["name"] == "scheduled:4")

    rows = document("backtest", MATRIX, "-p", "scheduled:4")
    retrains = next(row["retrains"] for row in rows if row["name"] == "scheduled:4")
    assert cost(1.0) - cost(0.0) == pytest.approx(retrains)


def test_worked_figures():
    figures = document("worked-figures")
    with FIGURES.open(encoding="utf-8", newline="") as lines:
        assert [figure["id"] for figure in figures] == [row["id"] for row in csv.DictReader(lines)]
    assert all(figure["ok"] is True for figure in figures)
    assert all({"id", "expected", "actual", "ok", "note"} <= figure.keys() for figure in figures)
    text = said("worked-figures")
    assert all(figure["id"] in text for figure in figures)


# What is wrong with the user's input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("show rotting_aset", "did you mean 'rotting_asset'? one of: "),
        ("run frod_detection", "did you mean 'fraud_detection'?"),
        ("compare absent.yaml", "absent.yaml: no such file"),
        ("validate absent.yaml", "absent.yaml: no such file"),
        ("run rotting_asset --policy shceduled:7d", "did you mean 'scheduled'?"),
        ("run rotting_asset --policy scheduled", "expected a duration, such as scheduled:7d"),
        ("run rotting_asset --policy scheduled:7", "expected a duration"),
        ("run rotting_asset --policy triggered:pssi>0.2", "did you mean 'psi'?"),
        ("run rotting_asset --policy triggered:accuracy<5%", "accuracy<-0.05"),
        ("compare rotting_asset --policy never --policy alwys", "one of: never, scheduled"),
        ("compare rotting_asset --policy never --policy never", "is there twice"),
        ("run rotting_asset --policy triggered:psi>0.2", "needs features"),
        ("compare rotting_asset --reps 1 --workers 1 --policy triggered:psi>0.2", "needs features"),
        ("compare rotting_asset --set labels=none --set triggers=[] --policy cost-aware", "needs labels"),
        ("run rotting_asset --set quality.deca=1%/d", "did you mean 'decay'?"),
        ("run rotting_asset --set qualty.decay=1%/d", "did you mean 'quality'?"),
        ("run rotting_asset --set quality.decay=1%", "got '1%' (a percentage), expected a rate"),
        ("run rotting_asset --set horizon=90", "got 90 (a number without unit)"),
        ("run rotting_asset --set horizon", "expected path=value"),
        ("run rotting_asset --set =5", "expected path=value"),
        ("run rotting_asset --set triggers[7].threshold=1", "triggers"),
        ("run rotting_asset --set model=5", "model"),
        ("run rotting_asset --set name_or_path=5", "name_or_path"),
        ("run rotting_asset --set source=[", "source"),
        ("run rotting_asset --seed -1", "--seed"),
        ("run rotting_asset --seed 1.5", "--seed"),
        ("run rotting_asset --replication -1", "--replication"),
        ("compare rotting_asset --seed -1", "--seed"),
        ("compare rotting_asset --reps 0", "--reps"),
        ("compare rotting_asset --reps many", "--reps"),
        ("compare rotting_asset --precision 2", "precision: got 2.0, expected a fraction such as 0.05"),
        ("compare rotting_asset --precision 0", "precision: got 0.0"),
        ("compare rotting_asset --precision nan", "precision: got nan"),
        ("compare rotting_asset --precision 0.1 --max-reps 1", "--max-reps"),
        ("compare rotting_asset --workers 0", "--workers"),
        ("compare", "SCENARIO"),
        ("frobnicate", "No such command 'frobnicate'"),
        ("run rotting_asset --polcy never", "--polcy"),
    ],
)
def test_one_message(arguments, words):
    assert words.lower() in refused(*arguments.split()).lower()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file"),
        ("", "empty"),
        ("train,0,1\n0,,abc\n", "abc"),
        ("train,0,1\n0,,1.5\n", "1.5"),
        ("train,0,1\n0,,0.9,0.8\n", ""),
        ("\0", ""),
    ],
    ids=["absent", "empty", "text", "range", "ragged", "binary"],
)
def test_matrices_that_are_wrong(tmp_path, text, words):
    path = tmp_path / "matrix.csv"
    if text is not None:
        path.write_text(text)
    message = refused("backtest", path)
    assert str(path) in message
    assert words in message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--policy shceduled:4", "did you mean 'scheduled:4'?"),
        ("--policy scheduled:0", "scheduled:0"),
        ("--policy never --policy never", "never"),
        ("--policy triggered:psi>0.2", "give psi="),
        ("--psi absent.csv --policy triggered:psi>0.2", "absent.csv"),
        ("--validation absent.csv", "absent.csv"),
        ("--value 0", "value"),
        ("--value nan", "value"),
        ("--value inf", "value"),
        ("--retrain-cost -1", "--retrain-cost"),
        ("--retrain-cost nan", "cost"),
        ("--label-delay -1", "--label-delay"),
        ("--seed -1", "--seed"),
    ],
)
def test_backtests_that_are_wrong(options, words):
    assert words in refused("backtest", MATRIX, *options.split())


# Processes


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
    )


def test_exit_status_and_streams_of_a_process(small):
    good = process("-m", "analysis.cli", "compare", small, "--reps", "2", "--workers", "1", "--json")
    assert good.returncode == 0
    assert json.loads(good.stdout)["replications"] == 2
    assert "Warning" not in good.stderr
    assert "Traceback" not in good.stderr
    wrong = process("-m", "analysis.cli", "run", small, "--policy", "shceduled:7d")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("error: ")
    assert wrong.stderr.count("\n") == 1


def test_a_defect_of_ours_ends_with_1():
    """A traceback is for us to see, and never looks like success or like a mistake of the user."""
    code = (
        "import analysis.cli, scenarios.loader as s; s.load = lambda *a, **b: {}['gone']; analysis.cli.main()"
    )
    broken = process("-c", f"import sys; sys.argv = ['halflife', 'show', 'rotting_asset']; {code}")
    assert broken.returncode == 1
    assert "KeyError" in broken.stderr


HEAVY = (
    "numpy",
    "pandas",
    "numba",
    "scipy",
    "matplotlib",
    "simpy",
    "pyarrow",
    "joblib",
    "ruamel.yaml",
    "rich.progress",
)


@pytest.mark.parametrize("arguments", [["--help"], ["compare", "--help"], ["compare", "--reps", "0"], []])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys, analysis.cli\n"
        f"sys.argv = ['halflife', *{arguments!r}]\n"
        "try:\n    analysis.cli.main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = process("-c", code)
    assert done.stderr.splitlines()[-1] == "[]"


def test_reading_scenarios_imports_no_numbers():
    code = (
        "import sys, analysis.cli\n"
        "sys.argv = ['halflife', 'validate', 'rotting_asset']\n"
        "try:\n    analysis.cli.main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('numba', 'scipy', 'matplotlib', 'pandas') if name in sys.modules], file=sys.stderr)\n"
    )
    assert process("-c", code).stderr.splitlines()[-1] == "[]"


def test_help_names_every_command():
    text = said("--help")
    assert all(f"\n  {command} " in text for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_json(command):
    text = said(command, "--help")
    assert "--json" in text
    assert "Usage: " in text


def test_halflife_is_the_command():
    (command,) = entry_points(group="console_scripts", name="halflife")
    assert command.load() is main
