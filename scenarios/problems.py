"""What is wrong with a scenario: problems with a place, the error that carries them, and words they share."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

MAX_LISTED = 10
"""Problems that the text of a ScenarioError lists."""
MAX_PROBLEMS = 100
"""Problems that a ScenarioError keeps; the rest is only counted."""
MAX_NAMES = 60
"""Right names that a message lists."""

OVERRIDE = "override"
"""Source of problems with a value that was set from outside the file."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where.

    line: from 1, None where there is no file
    field: `policies[1].interval`, also where it was not written; empty for the scenario as a whole
    given: what was written, shortened; empty if nothing was
    """

    source: str
    line: int | None
    field: str
    given: str
    message: str

    def __str__(self) -> str:
        if self.source == OVERRIDE:
            return _printable(f"{OVERRIDE} {self.field}: {self.message}")
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return _printable(": ".join(part for part in (place, self.field, self.message) if part))


def _printable(text: str) -> str:
    """One line without control characters, whatever a file or a validator put into it."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


class ScenarioError(ValueError):
    """A scenario that cannot be used; its text has a line for each of the first problems.

    problems: in the order of the file, at most MAX_PROBLEMS
    count: how many there are
    """

    def __init__(self, problems: Sequence[Problem], count: int | None = None) -> None:
        super().__init__(problems, count)
        self.problems = list(problems)
        self.count = len(self.problems) if count is None else count

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:MAX_LISTED]]
        more = self.count - len(lines)
        return "\n".join([*lines, f"and {more} more"] if more > 0 else lines)


def fail(source: str, line: int | None, message: str, at: str = "", given: str = "") -> NoReturn:
    """Raise a ScenarioError with this one problem; `at` is its field."""
    raise ScenarioError([Problem(source, line, at, given, message)])


def label(path: str) -> str:
    """A path in a form that is safe to print."""
    short = path if len(path) <= 200 else f"...{path[-197:]}"
    return short if short.isprintable() and short.strip() else repr(short)


def choice(given: object, options: Sequence[Any]) -> str:
    """The nearest of the right names, and all of them."""
    names = [str(option) for option in options]
    near = difflib.get_close_matches(str(given)[:100], names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}one of: {listed(names)}"


def listed(names: Sequence[Any]) -> str:
    """Names with commas, a long list shortened."""
    more = len(names) - MAX_NAMES
    shortened = [*map(str, names[:MAX_NAMES]), *([f"and {more} more"] if more > 0 else [])]
    return ", ".join(shortened)
