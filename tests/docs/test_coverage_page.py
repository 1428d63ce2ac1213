"""docs/coverage.md names what exists, and every heading of the source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from page_blocks import ROOT

from analysis.worked_figures import published_rows
from scenarios.loader import library_names

PAGE = ROOT / "docs" / "coverage.md"
SOURCE = ROOT.parent / "shared" / "reference" / "source_chapter.md"
NOTHING = "–"


def table(heading: str) -> list[list[str]]:
    """Cells of the table whose first column has this heading."""
    begin, rows = False, []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if begin and not line.startswith("|"):
            break
        if begin and not line.startswith("| ---"):
            rows.append(cells)
        begin = begin or line.startswith(f"| {heading} | scenarios")
    return rows


ROWS = table("section")


def named(column: int) -> set[str]:
    return {name for row in ROWS for name in re.findall(r"`([^`]+)`", row[column])}


def headings(source: Path) -> list[str]:
    """Headings of the chapter, without those that look like one inside of code."""
    found, code = [], False
    for line in source.read_text().splitlines():
        if line.startswith("```"):
            code = not code
        elif not code and (heading := re.match(r"#{1,6} +(.+?)(?: *\{[^}]*\})?$", line)):
            found.append(heading[1])
    return found


def test_the_scenarios_exist():
    assert named(1) <= set(library_names())


@pytest.mark.parametrize("column", [2, 3], ids=["modules", "tests"])
def test_the_files_exist(column):
    names = named(column)
    assert names
    assert {name for name in names if not (ROOT / name).is_file()} == set()


def test_an_empty_cell_has_a_reason():
    assert len(ROWS) > 100
    for row in ROWS:
        assert len(row) == 5, row
        assert row[4] or NOTHING not in row[1:4], row


def test_every_scenario_is_somewhere_on_the_page():
    text = PAGE.read_text()
    told = {name for name in library_names() if f"`{name}`" in text}
    sisters = {name for name in library_names() if name.startswith("published_")}  # told as a family
    assert set(library_names()) - told <= sisters


def test_every_erratum_of_the_worked_figures_is_on_the_page():
    errata = {row["id"] for row in published_rows() if "erratum" in row["note"]}
    assert errata
    text = PAGE.read_text()
    assert {name for name in errata if f"`{name}`" not in text} == set()


def test_every_heading_of_the_source_has_its_row():
    if not SOURCE.is_file():
        pytest.skip("the source chapter is not beside the repository")
    assert [row[0] for row in ROWS] == headings(SOURCE)
