"""`halflife drift`: scores of two tables, thresholds of the source, worst first, and clear errors."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp, wasserstein_distance
from typer.testing import CliRunner

from analysis.cli import app
from analysis.data_tables import read_table
from analysis.shifted_columns import table_drift


def people(rows: int, older: float = 0.0, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "income": rng.lognormal(3, 1, rows),
            "age": rng.normal(40 + older, 10, rows),
            "plan": rng.choice(["a", "b", "c"], rows),
            "active": rng.random(rows) < 0.5,
            "constant": 1.0,
        }
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    people(3000).to_csv("reference.csv", index=False)
    people(2000, older=6, seed=1).to_csv("current.csv", index=False)
    return tmp_path


def run(*arguments: str):
    return CliRunner().invoke(app, ["drift", *arguments])


def test_scores_are_those_of_scipy_and_of_the_formula():
    first, second = people(3000), people(2000, older=6, seed=1)
    row = table_drift(first, second).table().loc["age"]
    assert row["ks"] == pytest.approx(ks_2samp(first["age"], second["age"]).statistic, abs=1e-12)
    distance = wasserstein_distance(first["age"], second["age"]) / first["age"].std()
    assert row["wasserstein_sd"] == pytest.approx(distance, rel=1e-9)
    edges = np.quantile(first["age"], np.arange(1, 10) / 10, method="inverted_cdf")
    shares = [
        (np.bincount(np.searchsorted(edges, table["age"]), minlength=10) + 0.5) / (len(table) + 5)
        for table in (first, second)
    ]
    psi = ((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum()
    assert row["psi"] == pytest.approx(psi, rel=1e-9)


def test_worst_comes_first_and_levels_are_those_of_the_source():
    reference = pd.DataFrame({name: np.arange(10_000.0) for name in ("same", "some", "much")})
    current = reference.assign(
        some=reference["some"].where(reference.index % 4 > 0, 9999.0), much=reference["much"] + 5000
    )
    table = table_drift(reference, current).table()
    assert list(table.index) == ["much", "some", "same"]
    assert list(table["level"]) == ["shifted", "shifted", "stable"]
    weaker = reference.assign(some=reference["some"].where(reference.index % 100 > 6, np.nan))
    row = table_drift(reference, weaker).table().loc["some"]
    assert (row["level"], row["missing_current"]) == ("shifted", pytest.approx(0.07))
    mild = reference.assign(some=reference["some"].where(reference.index % 100 > 1, np.nan))
    row = table_drift(reference, mild).table().loc["some"]
    assert row["level"] == "moderate"
    assert 0.1 < row["psi"] < 0.2
    assert row["ks"] < 0.1


def test_few_rows_are_said_to_be_chance():
    found = table_drift(people(3000), people(25, seed=3))
    assert found.shifted
    assert "could be chance" in found.verdict()
    sure = table_drift(people(3000), people(2000, older=6, seed=1))
    assert sure.shifted == ["age"]
    assert "chance" not in sure.verdict()


def test_p_values_are_uniform_without_any_shift():
    """Of 400 columns that did not change about 5 % are below 0.05, and none is found with the correction."""
    rng = np.random.default_rng(2)
    tables = [pd.DataFrame(rng.normal(size=(rows, 400))).rename(columns=str) for rows in (5000, 1000)]
    found = table_drift(*tables).table()
    assert 5 < (found["p_value"] < 0.05).sum() < 36
    assert (found["p_adjusted"] > 0.05).all()


def test_numbers_as_categories_and_chosen_columns():
    first = pd.DataFrame({"code": [1, 2, 3] * 100, "other": 1.0})
    second = pd.DataFrame({"code": [1, 2, 9] * 100, "other": 1.0})
    found = table_drift(first, second, features=["code"], categorical=["code"]).table()
    assert list(found.index) == ["code"]
    assert found.loc["code", "kind"] == "category"
    assert found.loc["code", "level"] == "shifted"
    assert list(table_drift(first, second, ignore=["code"]).table().index) == ["other"]


def test_command_prints_saves_and_speaks_json(folder):
    shown = run("reference.csv", "current.csv", "--out", "out")
    assert shown.exit_code == 0
    assert "1 of 5 features shifted: age." in shown.stdout
    lines = shown.stdout.splitlines()
    assert lines[3].split()[0] == "age"
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "drift.json",
        "drift.png",
        "table.csv",
    ]
    people(2000, older=6, seed=1).to_parquet("current.parquet")
    document = json.loads(run("reference.csv", "current.parquet", "--json").stdout)
    saved = json.loads((folder / "out" / "drift.json").read_text())
    assert document["shifted"] == saved["shifted"] == ["age"]
    assert document["features"][0]["psi"] == pytest.approx(saved["features"][0]["psi"])
    assert document["thresholds"]["ks"] == 0.1


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({"drop": "age"}, [], "wrong.csv lacks 'age'"),
        ({"rename": {"age": "years"}}, [], "wrong.csv lacks 'age'; reference.csv lacks 'years'"),
        ({"cell": "abc"}, [], "wrong.csv, line 9: column 'age' holds 'abc'"),
        ({}, ["--feature", "aeg"], "no column 'aeg'; did you mean 'age'"),
        ({}, ["--ignore", "aeg"], "have no column 'aeg'"),
        ({"text": ""}, [], "wrong.csv: is empty"),
        ({"text": "a,b\n"}, [], "wrong.csv: has no rows"),
        ({"text": "a,a\n1,2\n"}, [], "wrong.csv, line 1: column 'a' is there twice"),
        ({"text": 'a,b\n1,"2\n'}, [], "wrong.csv: cannot be read as CSV"),
        ({"text": "a,b\n1,2\n3,4,5\n"}, [], "wrong.csv: cannot be read as CSV"),
    ],
)
def test_wrong_tables_get_one_clear_message(folder, change, arguments, message):
    table = people(20)
    if "cell" in change:
        table["age"] = table["age"].astype(object)
        table.loc[7, "age"] = change["cell"]
    table = table.drop(columns=change.get("drop", [])).rename(columns=change.get("rename", {}))
    (folder / "wrong.csv").write_text(change.get("text", table.to_csv(index=False)))
    found = run("reference.csv", "wrong.csv", *arguments)
    assert found.exit_code == 2
    assert message in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [("absent.csv", "No such file"), (".", "is a folder"), ("reference.xlsx", "ends in .csv")],
)
def test_wrong_files_get_one_clear_message(folder, name, message):
    (folder / "reference.xlsx").write_text("x")
    found = run(name, "current.csv")
    assert found.exit_code == 2
    assert message in found.stderr


def test_a_file_that_is_no_parquet(folder):
    (folder / "wrong.parquet").write_text("x")
    with pytest.raises(ValueError, match=r"wrong\.parquet: is not a Parquet file"):
        read_table("wrong.parquet")


def test_identifiers_and_times_are_pointed_out():
    table = people(200).assign(name=[f"n{i}" for i in range(200)])
    assert "--ignore name" in table_drift(table, table).warnings[0]
    dated = table.assign(day=pd.date_range("2026-01-01", periods=200))
    with pytest.raises(ValueError, match="column 'day' holds times"):
        table_drift(dated, dated)
    assert "day" not in table_drift(dated, dated, ignore=["day"]).table().index


def test_picture_shows_the_shifted_columns():
    found = table_drift(people(3000), people(2000, older=6, seed=1))
    titles = [ax.get_title() for ax in found.plot().axes if ax.get_visible()]
    assert len(titles) == 1
    assert titles[0].startswith("age: PSI")
    still = table_drift(people(3000), people(3000))
    assert len([ax for ax in still.plot().axes if ax.get_visible()]) == 3


def test_missing_columns_and_infinite_values_do_not_break_it():
    first = people(500).assign(empty=np.nan)
    second = first.copy()
    second.loc[3, "income"] = np.inf
    found = table_drift(first, second)
    assert found.shifted == []
    assert found.plot() is not None
    json.dumps(found.to_dict(), allow_nan=False)
