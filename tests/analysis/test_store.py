"""The store loses nothing, counts only what is whole, and never touches what is not its own."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pyarrow as pa
import pytest

from analysis import durable_files
from analysis.durable_files import TEMPORARY, locked, sha256, write_durably
from analysis.store import CHECKSUMS, DESIGN, MANIFEST, Store, create_store, open_store, parquet_bytes, query

DESIGN_TABLE = pa.table({"variant": pa.array([0, 1]), "x": pa.array([0.5, 1.5])})


def manifest(**changes: object) -> dict[str, object]:
    return {
        "kind": "halflife sweep", "format": 1, "scenario": {"hash": "a"}, "policies": [], "seed": 0,
        "replications": 2, "parts": {"count": 2}, "versions": {"numpy": "2"}, "design": {}, **changes,
    }  # fmt: skip


def runs(variant: int) -> pa.Table:
    return pa.table({"variant": [variant] * 2, "policy": ["never"] * 2, "annual_cost": [1.0 + variant, 2.0]})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return create_store(tmp_path / "run", manifest(), DESIGN_TABLE)


def fill(store: Store, number: int) -> None:
    store.note(number, store.write_part(number, runs(number)))


def test_parts_count_once_their_checksum_is_noted(store: Store) -> None:
    checksum = store.write_part(0, runs(0))
    assert store.verify() == ({}, [])
    store.note(0, checksum)
    assert store.verify() == ({0: checksum}, [])
    assert checksum == sha256(store.part_path(0).read_bytes())
    assert open_store(store.folder).finished == [0]
    assert not open_store(store.folder).complete


@pytest.mark.parametrize("harm", ["damaged", "gone", "cut off", "empty"])
def test_what_is_not_whole_does_not_count(store: Store, harm: str) -> None:
    fill(store, 0)
    fill(store, 1)
    path = store.part_path(1)
    content = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes({"damaged": b"x" + content[1:], "cut off": content[:-1], "empty": b""}[harm])
    right, wrong = store.verify()
    assert list(right) == [0]
    assert wrong == [1]


def test_a_line_of_checksums_that_was_cut_off_is_no_line(store: Store) -> None:
    fill(store, 0)
    fill(store, 1)
    path = store.folder / CHECKSUMS
    path.write_bytes(path.read_bytes()[:-3])
    right, _ = store.verify()
    assert list(right) == [0]
    store.settle(right)
    fill(store, 1)
    assert list(store.verify()[0]) == [0, 1]


def test_settling_sorts_and_removes_what_killed_writers_left(store: Store) -> None:
    fill(store, 1)
    fill(store, 0)
    left = store.folder / "parts" / f"{TEMPORARY}123-part-000000.parquet"
    left.write_bytes(b"half")
    store.settle(store.verify()[0])
    assert not left.exists()
    lines = (store.folder / CHECKSUMS).read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == [
        "parts/part-000000.parquet",
        "parts/part-000001.parquet",
    ]


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable_files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_durably(path, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_the_same_table_gives_the_same_bytes() -> None:
    assert parquet_bytes(runs(0)) == parquet_bytes(runs(0))
    assert parquet_bytes(runs(0)) != parquet_bytes(runs(1))


def test_two_writers_do_not_share_a_folder(store: Store) -> None:
    with store.lock(), pytest.raises(ValueError, match="another sweep"), locked(store.folder / MANIFEST):
        pass
    with store.lock():
        pass


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": 1}, "another seed: 0 there, 1 now"),
        ({"replications": 3}, "another replications: 2 there, 3 now"),
        ({"scenario": {"hash": "b"}}, "another scenario"),
        ({"design": {"variants": 2}}, "another design"),
        ({"policies": [{"name": "never"}]}, "another policies"),
        ({"versions": {"numpy": "3"}}, "can be read but not resumed.*numpy 2 there, 3 now"),
    ],
)
def test_another_sweep_is_not_resumed(store: Store, changes: dict[str, object], reason: str) -> None:
    before = (store.folder / MANIFEST).read_bytes()
    with pytest.raises(ValueError, match=reason):
        create_store(store.folder, manifest(**changes), DESIGN_TABLE, resume=True)
    assert (store.folder / MANIFEST).read_bytes() == before


def test_a_sweep_that_is_there_is_not_overwritten(store: Store) -> None:
    with pytest.raises(ValueError, match=r"has a sweep already \(0 of 2 parts\).*--resume"):
        create_store(store.folder, manifest(), DESIGN_TABLE)
    (store.folder / DESIGN).unlink()
    create_store(store.folder, manifest(), DESIGN_TABLE, resume=True)
    assert (store.folder / DESIGN).exists()


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ["precious.txt", MANIFEST])
def test_a_foreign_folder_is_left_alone(tmp_path: Path, name: str, resume: bool) -> None:
    (tmp_path / name).write_text('{"kind": "something else"}')
    with pytest.raises(ValueError, match=r"not.* the folder of a sweep"):
        create_store(tmp_path, manifest(), DESIGN_TABLE, resume=resume)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_cannot_be_read_says_why(tmp_path: Path, store: Store) -> None:
    with pytest.raises(ValueError, match="not the folder of a sweep"):
        open_store(tmp_path)
    (store.folder / MANIFEST).write_text(json.dumps(manifest(format=99)))
    with pytest.raises(ValueError, match="was written in format 99, this version reads format 1"):
        open_store(store.folder)
    (store.folder / MANIFEST).write_text("{")
    with pytest.raises(ValueError, match="is no JSON document"):
        open_store(store.folder)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user without all rights")
def test_a_folder_without_rights_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        create_store(tmp_path / "run", manifest(), DESIGN_TABLE)


def test_query_joins_runs_and_design_of_finished_parts(store: Store) -> None:
    with pytest.raises(ValueError, match="no finished part"):
        query(store.folder, "SELECT 1")
    store.write_part(0, runs(0))
    fill(store, 1)
    found = query(store.folder, "SELECT variant, x, sum(annual_cost) AS cost FROM runs GROUP BY ALL")
    assert found.to_dict("records") == [{"variant": 1, "x": 1.5, "cost": 4.0}]
    with pytest.raises(ValueError, match=r"query: .*nonsense"):
        query(store.folder, "SELECT nonsense FROM runs")


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("", "got nothing, expected exactly one SELECT"),
        (" ; -- no question", "got nothing"),
        ("COPY (SELECT 1) TO '{folder}/manifest.json'", "got COPY, expected exactly one SELECT"),
        ("WITH a AS (COPY (SELECT 1) TO '{folder}/manifest.json') SELECT * FROM a", "Cannot access file"),
        ("WITH a AS (COPY (SELECT 1) TO '{part}') SELECT * FROM a", "Cannot access file"),
        ("SELECT * FROM read_parquet('{part}')", "Cannot access file"),
        ("SELECT * FROM read_text('{folder}/manifest.json')", "Cannot access file"),
        ("CREATE TABLE more (x INTEGER)", "got CREATE"),
        ("DROP VIEW runs", "got DROP"),
        ("SET enable_external_access = true", "got SET"),
        ("SELECT 1; DROP VIEW runs", "got SELECT, DROP"),
        ("SELECT * FROM DESIGN_TABLE", "does not exist"),
        ("SELEC 1", "syntax error"),
        ("SELECT ?", "parameters"),
    ],
)
def test_a_query_only_reads_its_tables(store: Store, sql: str, reason: str) -> None:
    fill(store, 0)
    before = {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=f"^query: .*{reason}"):
        query(store.folder, sql.format(folder=store.folder, part=store.part_path(0)))
    assert {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "sql", ["WITH a AS (FROM runs) SELECT count(*) AS n FROM a;", "-- two\nSELECT 2 AS n"]
)
def test_a_query_may_be_any_select(store: Store, sql: str) -> None:
    fill(store, 0)
    assert query(store.folder, sql).to_dict("records") == [{"n": 2}]


def test_a_query_of_a_damaged_part_says_so(store: Store) -> None:
    fill(store, 0)
    fill(store, 1)
    store.part_path(1).write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"query: .*part-000001\.parquet"):
        query(store.folder, "SELECT sum(annual_cost) FROM runs")
