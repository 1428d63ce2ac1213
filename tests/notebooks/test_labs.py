"""Labs as files: text and notebook say the same, hold no outputs, and are built alike."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LABS = sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
PUBLIC = ("analysis", "sim", "scenarios")


def cells_of(notebook: nbformat.NotebookNode) -> list[tuple[str, str, Any]]:
    return [
        (cell.cell_type, cell.source.strip(), tuple(cell.metadata.get("tags", ()))) for cell in notebook.cells
    ]


def text_of(lab: str) -> nbformat.NotebookNode:
    return jupytext.read(NOTEBOOKS / "text" / f"{lab}.py")


def prose(lab: str) -> str:
    return "\n\n".join(cell.source for cell in text_of(lab).cells if cell.cell_type == "markdown")


def code(lab: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in text_of(lab).cells if cell.cell_type == "code"]


def is_policy(statement: ast.stmt) -> bool:
    """A policy of one's own is what a student is to write."""
    return isinstance(statement, ast.ClassDef) and [ast.unparse(base) for base in statement.bases] == [
        "sim.Policy"
    ]


def test_every_lab_is_there_as_text_and_as_notebook() -> None:
    texts = sorted(path.stem for path in (NOTEBOOKS / "text").glob("*.py"))
    assert texts == LABS
    assert "02_half_life_and_retraining_economics" in LABS


@pytest.mark.parametrize("lab", LABS)
def test_text_and_notebook_are_in_step(lab: str) -> None:
    """`make labs` brings them together."""
    notebook = nbformat.read(NOTEBOOKS / f"{lab}.ipynb", as_version=4)
    assert cells_of(notebook) == cells_of(text_of(lab))
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.parametrize("lab", LABS)
def test_notebooks_hold_no_outputs(lab: str) -> None:
    for cell in nbformat.read(NOTEBOOKS / f"{lab}.ipynb", as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("lab", LABS)
def test_a_lab_predicts_then_runs_then_explains(lab: str) -> None:
    text = prose(lab)
    rounds = re.split(r"^## Round \d", text, flags=re.MULTILINE)
    opening, rounds = rounds[0], rounds[1:]
    for part in ("**Time:**", "**You need:**", "**What you will learn**", "closed form", "breaks:**"):
        assert part in opening
    assert 2 <= len(rounds) <= 4
    for one in rounds:
        for part in ("### Predict", "**My prediction:**", "<summary>Hint</summary>", "**My explanation:**"):
            assert one.count(part) == 1
        assert 0 < one.index("### Predict") < one.index("<summary>Hint") < one.index("**My explanation:**")
    for part in ("## Solutions", "## Takeaways", "## Where to read on"):
        assert text.count(part) == 1


@pytest.mark.parametrize("lab", LABS)
def test_solutions_are_computed_and_checked_at_the_end(lab: str) -> None:
    cells = text_of(lab).cells
    start = next(
        number for number, cell in enumerate(cells) if "\n## Solutions" in "\n" + cell.source.lstrip()
    )
    tagged = ["solution" in cell.metadata.get("tags", ()) for cell in cells]
    assert not any(tagged[:start])
    assert all(tagged[number] for number in range(start, len(cells)) if cells[number].cell_type == "code")
    assert sum("assert" in cell.source for cell in cells[start:]) >= 2


@pytest.mark.parametrize("lab", LABS)
def test_cells_are_short_and_use_the_public_names(lab: str) -> None:
    cells = code(lab)
    assert 'SHORT = os.environ.get("HALFLIFE_SHORT") == "1"' in cells[0].source
    assert "HALFLIFE_SHORT=1" in prose(lab)
    for number, cell in enumerate(cells):
        shown = [line for line in cell.source.splitlines() if line.strip()]
        assert len(shown) <= (12 if number > 0 and "solution" not in cell.metadata.get("tags", ()) else 15), (
            cell.source
        )
        for statement in ast.parse(cell.source).body:
            helper = isinstance(statement, ast.FunctionDef | ast.ClassDef) and not is_policy(statement)
            assert not helper, "helpers belong into the library"
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_")
            if isinstance(node, ast.ImportFrom):
                assert not any(name.name.startswith("_") for name in node.names)


@pytest.mark.parametrize("lab", LABS)
def test_money_in_prose_is_no_formula(lab: str) -> None:
    """A dollar sign before a number opens a formula in a notebook: amounts are written as '5000 USD'."""
    without_code = re.sub(r"`[^`]*`", "", prose(lab))
    assert without_code.count("$") % 2 == 0
    assert not re.search(r"\$\d[\d,.]*( (a|per|for|each|is|and|in)\b|[.,;)]? *$)", without_code)
