"""Work over processes: results in the order of the tasks, so that the number of workers never shows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any


def in_order(
    function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], workers: int | None
) -> Iterator[Any]:
    """Results of function(*task), one after the other as they come in order.

    workers: processes; all cores when None, this process when 1. Raises ValueError below 1.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers: got {workers}, expected at least 1")
    count = min(workers or os.cpu_count() or 1, len(tasks))
    if count <= 1:
        for task in tasks:
            yield function(*task)
        return
    from joblib import Parallel, delayed

    # One task is a world under all policies: seconds of work, so no batching is needed.
    yield from Parallel(n_jobs=count, return_as="generator", batch_size=1)(
        delayed(function)(*task) for task in tasks
    )
