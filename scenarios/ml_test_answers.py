"""Answers to the ML Test Score as an overlay: what each answer means for the parameters of a scenario.

The sixteen tests, and what each answer to them changes, are one table: `scenarios/data/ml_test_score.yaml`. Many tests
change no parameter that is simulated; the table says so. Source: chapter, 'ML Test Score'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, NoReturn

from scenarios.document import Document, Trail
from scenarios.problems import ScenarioError, choice
from scenarios.units import shown

ANSWERS = "answers"
"""The field that makes a file one of answers."""
LEVELS = {0.0: "missing", 0.5: "partly", 1.0: "done"}
"""What an answer is called in the table."""
CATEGORIES = ("data", "model", "infrastructure", "monitoring")


@dataclass(frozen=True)
class ScoredTest:
    """One row of the table."""

    id: str
    category: str
    text: str
    example: str
    changes: Mapping[float, Mapping[str, Any]]
    """What each answer changes in a scenario; empty where nothing that is simulated hangs on it."""


@lru_cache(maxsize=1)
def scored_tests() -> tuple[ScoredTest, ...]:
    """The sixteen tests of the source's table, in its order.

    >>> [test.id for test in scored_tests()][7]
    'staleness_bounded'
    """
    from scenarios.yaml_reading import read_mapping

    text = files("scenarios").joinpath("data", "ml_test_score.yaml").read_text(encoding="utf-8")
    rows = read_mapping(text, "ml_test_score.yaml").data["tests"]
    return tuple(
        ScoredTest(
            row["id"],
            row["category"],
            row["test"],
            row["example"],
            {answer: row.get("changes", {}).get(word, {}) for answer, word in LEVELS.items()},
        )
        for row in rows
    )


def is_answers(document: Document) -> bool:
    """Whether a file holds answers rather than a partial scenario."""
    return isinstance(document.data, Mapping) and ANSWERS in document.data


def checked_answers(document: Document) -> dict[str, float]:
    """Answers by test, as far as they were given.

    Raises ScenarioError for a test that there is not, and for an answer other than 0, 0.5 and 1.
    """
    given = document.data[ANSWERS]
    known = [test.id for test in scored_tests()]
    others = [field for field in document.data if field not in (ANSWERS, "about")]
    if others:
        wrong = f"unknown field {shown(others[0])}: {choice(others[0], [ANSWERS, 'about'])}"
        _refuse(document, (others[0],), wrong)
    if not isinstance(given, Mapping):
        _refuse(document, (ANSWERS,), f"got {shown(given)}, expected a mapping such as {{rollback: 0.5}}")
    for name, answer in given.items():
        if name not in known:
            _refuse(document, (ANSWERS, name), f"unknown test {shown(name)}: {choice(name, known)}")
        if isinstance(answer, bool) or not isinstance(answer, int | float) or answer not in LEVELS:
            _refuse(document, (ANSWERS, name), f"got {shown(answer)}, expected 0, 0.5 or 1")
    return {name: float(given[name]) for name in known if name in given}


def overlays_of_answers(document: Document) -> list[Document]:
    """The overlays that answers stand for, one a test; a test without an answer changes nothing.

    Every field is on the line of the answer that set it. Raises ScenarioError as `checked_answers`.
    """
    answers = checked_answers(document)
    found = []
    for test in scored_tests():
        changes = test.changes[answers[test.id]] if test.id in answers else {}
        if changes:
            over = Document(document.source, changes)
            _mark(over, changes, (), document.lines.get((ANSWERS, test.id)))
            found.append(over)
    return found


def _mark(document: Document, value: Any, at: Trail, line: int | None) -> None:
    """Say that all of a value was written on one line."""
    if line is None:
        return
    document.lines[at] = line
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _mark(document, inner, (*at, key), line)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _mark(document, inner, (*at, number), line)


def _refuse(document: Document, at: Trail, message: str) -> NoReturn:
    raise ScenarioError([document.problem(at, "", message)])
