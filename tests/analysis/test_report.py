"""Words, tables and files: aligned, with money and units, complete, and readable by others."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from analysis.cli import app
from analysis.comparison import Comparison, compare
from analysis.report import aligned, comparison_text, run_document, run_text, save_comparison, save_run
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from sim import Result, run
from sim.ledger import CATEGORIES

PNG = b"\x89PNG\r\n\x1a\n"


def scenario(**fields: Any) -> Scenario:
    return validate_mapping(
        {
            "title": "A small system",
            "horizon": "30d",
            "window": "6h",
            "value_per_query_per_unit_accuracy": "$0.20",
            "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "2%/d"},
            "traffic": {"rate": "20k/d"},
            "triggers": [{"metric": "accuracy", "threshold": 0.1, "window": "1d", "cost": "$3/d"}],
            "pipeline": {"cost": {"compute": "$400", "validation": "$50"}, "training_noise": 0.01},
            **fields,
        }
    )


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare(scenario(), ["triggered", "scheduled:5d"], replications=3, workers=1)


@pytest.fixture(scope="module")
def played() -> Result:
    return run(scenario(), "triggered", 1)


def table_of(text: str, corner: str) -> list[str]:
    """Lines of the first table whose corner says so."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(corner + " "))
    return lines[start : lines.index("", start)]


def cells(line: str) -> list[str]:
    return [cell for cell in line.split("  ") if cell.strip()]


# Tables


def test_names_are_left_and_figures_right():
    text = aligned({"a": {"cost": "$5", "n": "1000"}, "longer name": {"cost": "$1,234", "n": "7"}}, "policy")
    assert text.splitlines() == [
        "policy         cost     n",
        "a                $5  1000",
        "longer name  $1,234     7",
    ]


def test_a_column_that_is_empty_at_the_end_leaves_no_blanks():
    text = aligned({"a": {"x": "1", "skill": ""}, "b": {"x": "2", "skill": ""}}, "")
    assert text.splitlines() == ["   x  skill", "a  1", "b  2"]


def test_no_rows():
    assert aligned({}, "policy") == "(nothing to show)"


def test_comparison_text_has_a_line_a_policy_and_a_verdict(found):
    text = comparison_text(found)
    assert text.startswith("A small system: 30 d, 3 replications\n")
    assert f"{found.verdict()}\n{found.best}: another " in text
    table = table_of(text, "policy")
    assert [line.split()[0] for line in table[1:]] == found.names
    assert f"Paired difference of cost to {found.baseline} (below 0: cheaper)" in text
    assert "random~" not in text
    assert "nan" not in text.lower().replace("finance", "")


def test_columns_line_up(found):
    """Every figure ends where its header ends."""
    lines = table_of(comparison_text(found), "policy")
    header = lines[0]
    ends = [
        header.index(name) + len(name) for name in ("cost/year", "±95 %", "regret", "accuracy", "retrains/y")
    ]
    for line in lines[1:]:
        for end in ends:
            assert line[end - 1] != " ", line
            assert line[end : end + 1] in ("", " "), line
    assert all(line == line.rstrip() for line in lines)


def test_tuned_interval_is_shown_with_its_unit(found):
    interval = found.intervals["scheduled:best"]
    assert f"scheduled:best ({interval:.3g} d)" in comparison_text(found)


@pytest.mark.parametrize(("currency", "sign"), [("USD", "$"), ("EUR", "€"), ("CHF", "CHF")])
def test_money_carries_its_currency(currency, sign):
    found = compare(scenario(currency=currency), [], replications=2, workers=1)
    text = comparison_text(found)
    costs = [cells(line)[1] for line in table_of(text, "policy")[1:]]
    assert all(sign in cost for cost in costs)
    assert sign in found.verdict()
    if currency != "USD":
        assert "$" not in text


def test_savings_have_a_sign(found):
    oracle = next(line for line in comparison_text(found).splitlines()[::-1] if line.startswith("oracle"))
    assert "-$" in oracle


def test_one_replication_has_no_bounds_and_no_nan():
    text = comparison_text(compare(scenario(), ["triggered"], replications=1, workers=1))
    assert "nan" not in text.lower()
    header, *lines = table_of(text, "policy")
    bounds = slice(header.index("±95 %") - 1, header.index("±95 %") + len("±95 %"))
    assert not any(letter.isdigit() for line in lines for letter in line[bounds])


def test_a_world_without_requests_has_no_nan():
    idle = scenario(traffic={"rate": "0/d"}, triggers=[])
    assert "nan" not in comparison_text(compare(idle, [], replications=2, workers=1)).lower()
    assert "nan" not in run_text(run(idle)).lower()


# A run


def test_run_text(played):
    text = run_text(played)
    assert text.startswith("A small system: triggered, replication 0\n")
    assert f"{played.summary['retrains']:.0f}" in next(
        line for line in text.splitlines() if "retrainings" in line
    )
    costs = table_of(text, "category")
    assert [line.split()[0] for line in costs[1:]] == [name for name in CATEGORIES if played.costs[name]]
    assert all("$" in line for line in costs[1:])
    assert text.splitlines()[-1].split()[1] == "d"
    assert "MTTD" in text
    assert " h\n" in text


def test_run_text_shows_the_last_events_and_counts_the_rest(played):
    count = len(played.raw_events)
    assert count > 6
    text = run_text(played, last_events=5)
    assert f"(the last 5 of {count}; --out has them all)" in text
    shown = text.partition("Events")[2].splitlines()[2:]
    assert [float(line.split()[0]) for line in shown] == pytest.approx(
        [event.time for event in played.raw_events[-5:]], abs=1e-3
    )
    assert "the last" not in run_text(played, last_events=count)


def test_run_without_events():
    text = run_text(run(scenario(triggers=[])))
    assert "none detected" in text
    assert not text.endswith("\n")


def test_run_document(played):
    document = json.loads(json.dumps(run_document(played), allow_nan=False))
    assert document["policy"] == "triggered"
    assert document["summary"]["total_cost"] == played.summary["total_cost"]
    assert math.fsum(document["costs"].values()) == document["summary"]["total_cost"]
    assert len(document["events"]) == len(played.raw_events)
    assert document["events"][0].keys() == {"time_days", "kind", "subject", "details"}
    assert document["provenance"]["seed"] == 1
    quiet = json.loads(json.dumps(run_document(run(scenario(triggers=[]))), allow_nan=False))
    assert quiet["summary"]["mttd_hours"] is None


def test_files_of_a_run(played, tmp_path):
    files = save_run(played, tmp_path / "a" / "b")
    assert [file.name for file in files] == ["run.json", "timeline.parquet", "events.parquet", "run.png"]
    assert set(files) == set((tmp_path / "a" / "b").iterdir())
    pd.testing.assert_frame_equal(pd.read_parquet(files[1]), played.timeline)
    assert pd.read_parquet(files[2])["time_days"].tolist() == played.events["time_days"].tolist()
    assert json.loads(files[0].read_text()) == json.loads(json.dumps(run_document(played)))
    assert files[3].read_bytes().startswith(PNG)


# Files of a comparison


def test_files_of_a_comparison(found, tmp_path):
    files = save_comparison(found, tmp_path / "new")
    assert set(files) == set((tmp_path / "new").iterdir())
    by_name = {file.name: file for file in files}
    assert json.loads(by_name["comparison.json"].read_text()) == found.to_dict()
    runs = pd.read_parquet(by_name["runs.parquet"])
    assert list(runs.columns) == list(found.runs.columns)
    pd.testing.assert_frame_equal(runs, found.runs, check_exact=True, check_dtype=False)
    table = pd.read_csv(by_name["table.csv"], index_col="policy")
    pd.testing.assert_frame_equal(table, found.table(), rtol=1e-5, check_dtype=False, check_index_type=False)
    for name in ("costs.png", "differences.png", "timelines.png"):
        assert by_name[name].read_bytes().startswith(PNG)


def test_pictures_leave_nothing_open(found, tmp_path):
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    save_comparison(found, tmp_path)
    assert pyplot.get_fignums() == before


@pytest.mark.parametrize("where", ["file", "below a file", "no such device"])
@pytest.mark.parametrize(
    "command",
    [
        ["run", "rotting_asset"],
        ["compare", "rotting_asset", "--reps", "1", "--workers", "1"],
        ["backtest", "scenarios/data/electricity_accuracy_matrix.csv"],
    ],
    ids=lambda words: words[0],
)
def test_a_folder_that_cannot_be_written_is_one_message(command, where, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    file = tmp_path / "taken"
    file.write_text("mine")
    folder = {"file": file, "below a file": file / "out", "no such device": Path("/proc/none/out")}[where]
    done = CliRunner().invoke(app, [*command, "--out", str(folder)])
    assert done.exit_code == 2
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    assert len(errors) == 1, done.stderr
    assert errors[0].startswith("error: ")
    assert str(file if where != "no such device" else "/proc/none") in errors[0]
    assert file.read_text() == "mine"
