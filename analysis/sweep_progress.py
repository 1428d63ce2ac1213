"""The progress bar of a sweep, on stderr: runs done, their rate, and the time that remains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from analysis.sweep import Progress
from analysis.tasks import Receipt


@contextmanager
def sweep_progress(show: bool, runs: int) -> Iterator[Progress | None]:
    """Give a function to call with each receipt; a bar is drawn when `show`. runs: how many are still to play."""
    if not show:
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} runs/s" if task.speed else "")

    columns = (BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, speed_estimate_period=60) as bar:
        task = bar.add_task("runs", total=runs)

        def step(receipt: Receipt) -> None:
            bar.advance(task, receipt.runs)

        yield step
