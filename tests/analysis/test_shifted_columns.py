"""`halflife drift`: scores of two tables, thresholds of the source, worst first, and clear errors."""

from __future__ import annotations

import datetime
import gzip
import io
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp, random_table, wasserstein_distance
from typer.testing import CliRunner

from analysis import shifted_columns
from analysis.cli import app
from analysis.data_tables import read_table
from analysis.drift_report import drift_text
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


@pytest.mark.slow
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


@pytest.mark.parametrize("rows", [(100, 100), pytest.param((1000, 1000), marks=pytest.mark.slow), (2000, 30)])
def test_p_values_of_rare_categories_are_uniform(rows):
    """Two samples of one Zipf law over 200 categories: many are seen once, or on one side only."""
    rng = np.random.default_rng(8)
    shares = 1 / np.arange(1, 201)
    first, second = (
        pd.DataFrame(rng.choice(200, (n, 150), p=shares / shares.sum())).astype(str).rename(columns=str)
        for n in rows
    )
    p_values = table_drift(first, second).table()["p_value"]
    assert 0.02 < (p_values < 0.05).mean() < 0.08
    assert 0.4 < (p_values < 0.5).mean() < 0.6


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        ([5, 4, 1, 0, 2], [0, 1, 2, 3, 0]),
        ([1, 1, 0, 1, 6], [0, 1, 1, 0, 1]),
        ([40, 30, 20, 9, 1], [1, 0, 1, 2, 1]),
    ],
)
def test_monte_carlo_agrees_with_random_tables_of_scipy(reference, current, monkeypatch):
    monkeypatch.setattr(shifted_columns, "_ENOUGH", 10**9)
    counts = np.array([reference, current])
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    tables = random_table(counts.sum(axis=1), counts.sum(axis=0)).rvs(20_000, random_state=1)
    statistics = ((tables - expected) ** 2 / expected).sum(axis=(1, 2))
    observed = ((counts - expected) ** 2 / expected).sum()
    p_value = shifted_columns._homogeneity(counts, 9_999)
    assert p_value == pytest.approx((statistics > observed - 1e-9).mean(), abs=0.02)


def test_one_missing_value_of_three_is_weighed_exactly():
    first, second = pd.DataFrame({"x": [1.0] * 150}), pd.DataFrame({"x": [1.0, 1.0, np.nan]})
    assert table_drift(first, second).table().loc["x", "p_value"] == pytest.approx(
        2 * 3 / 153
    )  # with KS, by 2
    assert table_drift(first, second, categorical=["x"]).table().loc["x", "p_value"] == pytest.approx(3 / 153)


@pytest.mark.slow
def test_one_shift_among_many_columns_is_no_chance():
    """9,999 draws alone give at least p = 1e-4, and 600 columns a corrected 0.06."""
    rng = np.random.default_rng(4)
    first, second = (pd.DataFrame(rng.choice(list("abc"), (n, 600))).rename(columns=str) for n in (200, 12))
    second["7"] = list("defghi") * 2
    found = table_drift(first, second).table()
    assert list(found.index[found["p_adjusted"] < 0.05]) == ["7"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2,\n3,4,\n", "line 2 has 3 fields, the header 2"),
        ('a,b\n1,"x\ny"\n\n3,4,5\n', "line 5 has 3 fields, the header 2"),
        ("\ufeffa,a\n1,2\n", "line 1: column 'a' is there twice"),
        ("a;b\n1;2\n3;4\n", "has one column, 'a;b'; are its fields separated by ';'?"),
        ("a;b\n1,5;2,5\n", "has one column, 'a;b'; are its fields separated by ';'?"),
    ],
)
@pytest.mark.parametrize("name", ["wrong.csv", "wrong.csv.gz"])
def test_wrong_fields_of_csv(tmp_path, name, text, message):
    file = tmp_path / name
    file.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    with pytest.raises(ValueError) as caught:
        read_table(file)
    assert message in str(caught.value)


@pytest.mark.parametrize("before", ['2,"two\nlines"\n', "2,x\n\n", "\n2,x\n", "2,x\n   \n"])
def test_lines_are_those_of_the_file(tmp_path, before):
    for name, cell in (("good", "3"), ("wrong", "abc")):
        (tmp_path / f"{name}.csv").write_text(f"a,b\n1,x\n{before}{cell},x\n")
    with pytest.raises(ValueError, match=r"wrong\.csv, line 5: column 'a' holds 'abc'"):
        table_drift(tmp_path / "good.csv", tmp_path / "wrong.csv")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1\n2\n3\n", '1\n2\n3\n""\n'),
        ("1\n2\n3\n", "1.0\n2.0\n3\n"),
        ("1\n2\n3\n", "1.0\n02\n3\nabc\n"),
        ('1.5\n2\n""\n', "1.50\n2.0\nabc\n"),
    ],
)
def test_whole_numbers_as_categories_have_one_form(first, second):
    tables = [pd.read_csv(io.StringIO(f"code\n{text}"), skip_blank_lines=False) for text in (first, second)]
    for sides in (tables, tables[::-1]):
        found = table_drift(*sides, categorical=["code"])
        shared = set(found.reference["code"].dropna()) & set(found.current["code"].dropna())
        assert len(shared) >= 2
        assert not any(text.endswith(".0") for text in shared)
    whole = pd.DataFrame({"code": [1, 2, 3] * 50})
    found = table_drift(whole, whole.astype(float), categorical=["code"]).table().loc["code"]
    assert (found["psi"], found["p_value"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.convert_dtypes(),
        lambda table: table.astype({"n": "Float32", "b": "boolean"}),
        lambda table: table.convert_dtypes(dtype_backend="pyarrow"),
        lambda table: table.assign(n=[None if n != n else Decimal(n) for n in table["n"]]),
        lambda table: table.assign(n=pd.arrays.SparseArray(table["n"])),
        lambda table: table.astype({"t": "category"}),
    ],
)
def test_any_storage_of_the_same_values_is_the_same(change):
    table = pd.DataFrame({"n": [1.0, 2.0, 3.0, np.nan] * 10, "t": list("abcd") * 10, "b": [True, False] * 20})
    later = table.assign(n=table["n"] + 1)
    expected = table_drift(table, later).table()
    for sides in ((change(table), later), (table, change(later)), (change(table), change(later))):
        found = table_drift(*sides)
        pd.testing.assert_frame_equal(found.table(), expected)
        assert drift_text(found)
        assert found.plot()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1], [2]], "current: column 'x' holds a list"),
        ([{"a": 1}, None], "current: column 'x' holds a dict"),
        ([datetime.date(2026, 1, 1), None], "column 'x' holds times"),
        ([datetime.time(12), datetime.time(13)], "column 'x' holds times"),
        ([pd.Period("2026-01"), None], "column 'x' holds times"),
        (pd.period_range("2026-01", periods=2, freq="M"), "column 'x' holds times"),
        (np.array([1, 2], dtype="timedelta64[s]"), "column 'x' holds times"),
        ([1j, 2j], "column 'x' holds complex numbers"),
        ([True, False], "column 'x' holds truth values"),
        (pd.Categorical([1, 2]), "column 'x' holds categories"),
        (["1", "2"], "column 'x' holds numbers as text"),
    ],
)
def test_values_that_cannot_be_compared(values, message):
    first = pd.DataFrame({"x": [1, 2], "y": 1.0})
    second = pd.DataFrame({"x": values, "y": 1.0})
    with pytest.raises(ValueError, match=message):
        table_drift(first, second)
    assert list(table_drift(first, second, ignore=["x"]).table().index) == ["y"]


def test_names_that_cannot_be_compared(tmp_path):
    levels = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")]))
    levels.to_parquet(tmp_path / "levels.parquet")
    for table in (levels, tmp_path / "levels.parquet"):
        with pytest.raises(ValueError, match=r"column \('a', 'b'\) has a name of 2 levels"):
            table_drift(table, table)
    from pyarrow import parquet, table

    parquet.write_table(table([[1], [2]], names=["a", "a"]), tmp_path / "twice.parquet")
    with pytest.raises(ValueError, match=r"twice\.parquet: column 'a' is there twice"):
        read_table(tmp_path / "twice.parquet")
    people_now = people(20)
    with pytest.raises(ValueError, match=r"column 'age': is both to be compared \(--feature\) and left out"):
        table_drift(people_now, people_now, features=["age"], ignore=["age"])


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
@pytest.mark.parametrize(
    ("values", "kind"), [(list("ab"), "category"), ([True, False], "category"), ([1, 2], "number")]
)
def test_a_side_without_any_value_is_missing_throughout(nothing, values, kind):
    empty, full = pd.DataFrame({"x": [nothing] * 40}), pd.DataFrame({"x": values * 20})
    for sides in ((empty, full), (full, empty)):
        for categorical in ([], ["x"]):
            found = table_drift(*sides, categorical=categorical)
            row = found.table().loc["x"]
            assert row["kind"] == ("category" if categorical else kind)
            assert (row["level"], row["p_value"] < 1e-4) == ("shifted", True)
            assert found.plot()


@pytest.mark.parametrize("extreme", [np.inf, -np.inf, 1e308, -1e308, 1e17])
def test_extreme_values_give_no_warning(extreme, tmp_path):
    first = pd.DataFrame({"x": [*range(50), extreme, -extreme], "same": extreme})
    found = table_drift(first, first.assign(x=first["x"] / 2))
    found.plot().savefig(tmp_path / "drift.png")
    spread = found.table()["wasserstein_sd"]
    assert np.isnan(spread["same"])
    assert np.isnan(spread["x"]) == np.isinf(extreme)


def test_scores_are_printed_in_few_digits():
    first = people(500)
    text = drift_text(table_drift(first, first))
    assert "-0.0" not in text
    far = drift_text(table_drift(first[["age"]], first[["age"]] + 1e17))
    assert max(map(len, far.splitlines()[3].split())) < 9


def test_dollars_in_categories_are_drawn_as_they_are(tmp_path):
    first = pd.DataFrame({"price": ["a$^$", "b"] * 20})
    figure = table_drift(first, first).plot()
    figure.savefig(tmp_path / "drift.png")
    assert "a$^$" in [label.get_text() for label in figure.axes[0].get_xticklabels()]


def test_a_very_long_text_is_read(tmp_path):
    (tmp_path / "long.csv").write_text(f"a,b\n{'x' * 200_000},1\ny,2\n")
    assert read_table(tmp_path / "long.csv")["b"].tolist() == [1, 2]
    (tmp_path / "open.csv").write_text(f'a,b\nx,1\n"{"x,y" * 100_000}\n')
    with pytest.raises(ValueError, match=r"open\.csv: cannot be read as CSV"):
        read_table(tmp_path / "open.csv")
