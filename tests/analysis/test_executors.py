"""Executors: every task once, results as they come, deaths of workers survived, errors passed on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_sweeps import digest, small_plan

from analysis.executors import Dask, Executor, Here, Processes, executor_of
from analysis.sweep import run_plan

# Dask's own warnings (ports, sockets left to the collector) say nothing about us.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::UserWarning:distributed.*")


def double(number: int) -> int:
    if number < 0:
        raise OSError(28, "No space left on device", "a file")
    return 2 * number


def die_once(flag: str) -> str:
    """Kill this worker the first time."""
    path = Path(flag)
    if path.suffix == ".deadly" and not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return flag


def die_always(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def threads_of(_: int) -> tuple[int, str | None]:
    import numba

    return numba.config.NUMBA_NUM_THREADS, os.environ.get("OMP_NUM_THREADS")


@pytest.mark.parametrize(
    "executor", [Here(), Processes(2), pytest.param(Dask(workers=2), marks=pytest.mark.slow)]
)
def test_every_task_is_done_once(executor: Executor) -> None:
    assert sorted(executor.run(double, range(40))) == [2 * n for n in range(40)]


@pytest.mark.slow
def test_tasks_are_taken_only_when_there_is_work_for_them() -> None:
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for number in range(10_000):
            taken.append(number)
            yield number

    coming = Processes(2).run(double, tasks())
    next(coming)
    assert len(taken) < 20
    coming.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "executor",
    [Here(), *(pytest.param(far, marks=pytest.mark.slow) for far in (Processes(2), Dask(workers=1)))],
)
def test_errors_of_tasks_come_back_whole(executor: Executor) -> None:
    with pytest.raises(OSError, match="No space left on device") as caught:
        list(executor.run(double, [1, -1, 2]))
    assert caught.value.errno == 28


@pytest.mark.slow
def test_workers_use_one_thread_each() -> None:
    assert list(Processes(2).run(threads_of, [0])) == [(1, "1")]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("executor", [Processes(2), pytest.param(Dask(workers=2), marks=pytest.mark.slow)])
def test_a_worker_that_dies_is_replaced(executor: Executor, tmp_path: Path) -> None:
    tasks = [str(tmp_path / f"{n}.{'deadly' if n == 3 else 'harmless'}") for n in range(8)]
    assert sorted(executor.run(die_once, tasks)) == tasks


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_workers_that_always_die_are_given_up() -> None:
    with pytest.raises(RuntimeError, match="died 4 times"):
        list(Processes(1).run(die_always, [1]))


@pytest.mark.slow
def test_dask_writes_the_same_bytes(tmp_path: Path) -> None:
    run_plan(small_plan(), tmp_path / "here", Here())
    run_plan(small_plan(), tmp_path / "dask", Dask(workers=2))
    assert digest(tmp_path / "dask") == digest(tmp_path / "here")


@pytest.mark.parametrize(
    ("name", "workers", "address", "message"),
    [
        ("lokal", None, None, "did you mean 'local'"),
        ("local", 0, None, "expected at least 1"),
        ("local", None, "tcp://x:1", "is for --executor dask"),
        ("dask", 2, "tcp://x:1", "has its own workers"),
    ],
)
def test_refused(name: str, workers: int | None, address: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        executor_of(name, workers, address)
