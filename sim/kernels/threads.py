"""Work shared out among threads: for kernels and NumPy calls that release the interpreter lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

Task = TypeVar("Task")
Answer = TypeVar("Answer")


def worker_count(threads: int | None) -> int:
    """Threads to use: the number asked for (>= 1, else ValueError), or one for each core this process may use."""
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    return threads


def in_threads(work: Callable[[Task], Answer], tasks: Iterable[Task], threads: int | None) -> list[Answer]:
    """Answers of `work` for all tasks, in their order. Must not be called from within `work` with several threads."""
    listed, workers = list(tasks), worker_count(threads)
    if workers == 1 or len(listed) < 2:
        return [work(task) for task in listed]
    return list(_pool(os.getpid(), workers).map(work, listed))


@lru_cache(maxsize=4)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads kept for the next call; a forked process has none of its parent's and gets its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="scores")
