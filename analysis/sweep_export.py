"""All runs of a sweep as one CSV file, for programs that read nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.sweep import Sweep


def write_runs_csv(sweep: Sweep, path: Path) -> Path:
    """Write one row a run, with the values of its variant; parts are read one after the other.

    Returns the path. Raises OSError where it cannot be written, ValueError for a store without runs.
    """
    if not sweep.store.finished:
        raise ValueError(f"{sweep.folder}: has no finished part yet")
    design = sweep.store.design()
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, runs in enumerate(sweep.store.runs()):
            design.merge(runs, on="variant").to_csv(file, index=False, header=number == 0)
    return path
