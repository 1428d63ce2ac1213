"""The command `test-score`: the ML Test Score of answers, and which tests are weakest.

Exit status: 0 done, 2 the user's input is wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from analysis.command_line import Json, show_json, user_errors


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("test-score")(score)


def score(
    file: Annotated[
        Path | None, typer.Argument(help="YAML or JSON with the field answers: {test: 0, 0.5 or 1}")
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Option("--answer", "-a", metavar="TEST=POINTS", help="e.g. rollback=0.5; repeatable"),
    ] = None,
    template: Annotated[
        bool, typer.Option("--template", help="print a file of answers to fill in, all 0")
    ] = False,
    json: Json = False,
) -> None:
    """Add up the ML Test Score: total, band, categories, and the weakest tests first.

    The same file is an overlay: `halflife compare SCENARIO --variant base --variant now=answers.yaml`.
    """
    with user_errors():
        if template:
            typer.echo(_template())
            return
        from analysis.ml_test_score import readiness_score

        given: dict[str, Any] = {} if file is None else dict(readiness_score(file).answers)
        for text in answer or []:
            given |= _answer(text)
        if not given:
            raise ValueError("no answers: expected a file, or --answer TEST=POINTS; --template prints a file")
        found = readiness_score(given)
        if json:
            show_json(found.to_dict())
        else:
            typer.echo(str(found))


def _answer(text: str) -> dict[str, float]:
    test, equals, points = (part.strip() for part in text.partition("="))
    try:
        number = float(points)
    except ValueError:
        number = float("nan")
    if not equals or not test or number not in (0.0, 0.5, 1.0):
        raise ValueError(f"--answer {text!r}: expected TEST=0, TEST=0.5 or TEST=1, such as rollback=0.5")
    return {test: number}


def _template() -> str:
    from scenarios.ml_test_answers import scored_tests

    width = max(len(test.id) for test in scored_tests()) + 3
    lines = ["# 0: not implemented, 0.5: partly, 1: fully automated", "answers:"]
    category = ""
    for test in scored_tests():
        if test.category != category:
            category = test.category
            lines.append(f"  # {category}")
        lines.append(f"  {f'{test.id}: 0'.ljust(width)}  # {test.text}")
    return "\n".join(lines)
