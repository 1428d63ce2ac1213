"""Run the labs from top to bottom, two at a time, and say how long each took; `make notebooks`.

    python notebooks/execute.py [--jobs N] [NAME ...]

NAME: the beginning of a lab's name, such as 02; all labs when none is given. Exit status 1 when a cell raises or
warns, or a picture has an axis without a label and unit. HALFLIFE_SHORT=1 in the environment asks for short runs.
Nothing is written: labs are kept without outputs.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import time
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HOME = Path(__file__).parent
TIMEOUT = 600
"""Seconds that a cell may take."""
QUIET = ["--IPKernelApp.log_level=ERROR"]
"""Newer kernels warn that they talk to this process over TCP; what cells write is not touched by it."""
BEFORE = "import axis_labels\n\naxis_labels.watch()"
AFTER = "print(axis_labels.unlabelled)"


class Outcome(NamedTuple):
    """How one lab went."""

    name: str
    seconds: float
    problems: list[str]


def labs(names: list[str]) -> list[Path]:
    """Notebooks whose names begin with one of these, all when none is given. Raises ValueError where none is meant."""
    found = sorted(HOME.glob("[0-9][0-9]_*.ipynb"))
    unknown = [name for name in names if not any(path.name.startswith(name) for path in found)]
    if unknown:
        raise ValueError(f"no lab begins with {unknown[0]!r}: {', '.join(path.stem for path in found)}")
    return [path for path in found if not names or path.name.startswith(tuple(names))]


def watched(path: Path) -> nbformat.NotebookNode:
    """The lab with a cell before and after it that looks at its pictures."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(BEFORE))
    notebook.cells.append(nbformat.v4.new_code_cell(AFTER))
    return notebook


async def execute(path: Path, gate: asyncio.Semaphore) -> Outcome:
    """Run one lab in a kernel of its own."""
    async with gate:
        notebook = watched(path)
        client = NotebookClient(
            notebook,
            timeout=TIMEOUT,
            kernel_name="python3",
            resources={"metadata": {"path": str(HOME)}},
            extra_arguments=QUIET,
        )
        start = time.perf_counter()
        try:
            await client.async_execute()
            problems = warnings_in(notebook) + axes_in(notebook)
        except CellExecutionError as error:
            problems = [str(error)]
        return Outcome(path.stem, time.perf_counter() - start, problems)


def warnings_in(notebook: nbformat.NotebookNode) -> list[str]:
    """What the cells wrote to stderr."""
    return [
        output.text.strip()
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stderr"
    ]


def axes_in(notebook: nbformat.NotebookNode) -> list[str]:
    """Axes without label or unit, as the last cell prints them."""
    found: list[str] = ast.literal_eval("".join(output.text for output in notebook.cells[-1].outputs))
    return found


async def execute_all(paths: list[Path], jobs: int) -> list[Outcome]:
    """Run labs, `jobs` at a time; in the order given."""
    gate = asyncio.Semaphore(jobs)
    return await asyncio.gather(*(execute(path, gate) for path in paths))


def table(outcomes: list[Outcome]) -> str:
    """One line a lab, with what was wrong below it."""
    width = max(len(outcome.name) for outcome in outcomes)
    lines = [f"{'lab':<{width}}  seconds"]
    for name, seconds, problems in outcomes:
        lines.append(f"{name:<{width}}  {seconds:7.1f}  {'failed' if problems else 'ok'}")
        lines += ["    " + line for problem in problems for line in problem.splitlines()]
    return "\n".join(lines)


def main() -> int:
    """Run what the command line asks for; returns the exit status."""
    parser = argparse.ArgumentParser(description="Run the labs from top to bottom.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginning of a lab's name; all when none")
    parser.add_argument("--jobs", type=int, default=2, help="labs at a time")
    arguments = parser.parse_args()
    try:
        paths = labs(arguments.names)
    except ValueError as error:
        parser.error(str(error))
    start = time.perf_counter()
    outcomes = asyncio.run(execute_all(paths, arguments.jobs))
    print(table(outcomes))
    print(f"all together: {time.perf_counter() - start:.1f} s")
    return int(any(outcome.problems for outcome in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
