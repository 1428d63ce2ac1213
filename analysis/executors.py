"""Where tasks run: in this process, in processes of this machine, or on a Dask cluster.

An executor maps a function over tasks and gives results in the order in which they come. It holds no more tasks than
keep its workers busy, so that memory does not grow with their number. The numbers of a result never depend on it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_THREAD_COUNTS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PINNED = dict.fromkeys(_THREAD_COUNTS, "1")
"""One thread a worker: processes are the parallelism."""
AHEAD = 3
"""Tasks a worker has at hand."""
FAR_AHEAD = 50
"""The same on a cluster, where a message takes milliseconds."""
DEATHS = 3
"""Times that workers may die without a task finished between."""


class Executor(Protocol):
    """What maps a function over tasks."""

    workers: int

    def run(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Results as they come; the first error of a task is raised, and what was begun is given up."""


class Here:
    """All tasks one after the other in this process."""

    workers = 1

    def run(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Results in order."""
        for task in tasks:
            yield function(task)


class Processes:
    """Processes of this machine that stay warm from task to task (loky).

    workers: all cores when None. A worker that dies (no memory, killed) is replaced and its tasks are done again;
    RuntimeError when that happens again and again.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = _checked(workers) or os.cpu_count() or 1

    def run(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Results as they come."""
        from joblib.externals.loky import wait
        from joblib.externals.loky.process_executor import BrokenProcessPool

        waiting = iter(tasks)
        again: list[T] = []
        deaths = 0
        pool = self._pool()
        pending: dict[Any, T] = {}
        try:
            while True:
                try:
                    while len(pending) < AHEAD * self.workers:
                        task = again.pop() if again else next(waiting, _END)
                        if task is _END:
                            break
                        try:
                            pending[pool.submit(function, task)] = task
                        except BaseException:
                            again.append(task)
                            raise
                    if not pending:
                        return
                    done, _ = wait(pending, return_when="FIRST_COMPLETED")
                    for future in done:
                        result = future.result()
                        del pending[future]
                        deaths = 0
                        yield result
                except BrokenProcessPool:
                    deaths += 1
                    if deaths > DEATHS:
                        raise RuntimeError(
                            f"worker processes died {deaths} times without finishing a task; is there enough memory?"
                        ) from None
                    finished = [
                        f for f in pending if f.done() and not f.cancelled() and f.exception() is None
                    ]
                    for future in finished:
                        yield future.result()
                    again += [task for future, task in pending.items() if future not in finished]
                    pending = {}
                    pool.shutdown(kill_workers=True)
                    pool = self._pool()
        finally:
            pool.shutdown(wait=True, kill_workers=True)

    def _pool(self) -> Any:
        from joblib.externals.loky import ProcessPoolExecutor

        return ProcessPoolExecutor(
            self.workers, timeout=600, initializer=_start_worker, initargs=(os.getpid(),), env=PINNED
        )


class Dask:
    """A Dask cluster: one at an address, or processes of this machine.

    address: of a scheduler, such as tcp://host:8786; a local cluster of `workers` processes when None. Its workers
    need this package and the folder of the sweep. Tasks of a lost worker are done again by others.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        self.address = address
        self.workers = _checked(workers) or os.cpu_count() or 1
        _distributed()

    def run(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Results as they come. Raises ValueError when no cluster answers, RuntimeError when its workers die."""
        distributed = _distributed()
        with self._client(distributed) as client:
            if self.address:
                self.workers = max(sum(client.nthreads().values()), 1)
            waiting = iter(tasks)
            first = [
                client.submit(function, t, pure=False) for t in islice(waiting, FAR_AHEAD * self.workers)
            ]
            coming = distributed.as_completed(first, with_results=True)
            try:
                for batch in coming.batches():
                    for _ in batch:
                        for task in islice(waiting, 1):
                            coming.add(client.submit(function, task, pure=False))
                    yield from (result for _, result in batch)
            except distributed.KilledWorker as error:
                raise RuntimeError(f"a task killed worker after worker of the cluster: {error}") from None
            finally:
                client.cancel(list(coming.futures))

    def _client(self, distributed: Any) -> Any:
        if self.address is None:
            return _LocalClient(distributed, self.workers)
        try:
            return distributed.Client(self.address, timeout="10s")
        except (OSError, TimeoutError, ValueError) as error:
            raise ValueError(f"--address {self.address}: no Dask scheduler answers there ({error})") from None


class _LocalClient:
    """A client with a cluster of its own, closed together."""

    def __init__(self, distributed: Any, workers: int) -> None:
        self.distributed, self.workers = distributed, workers

    def __enter__(self) -> Any:
        import logging

        self.cluster = self.distributed.LocalCluster(
            n_workers=self.workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs=logging.ERROR,
            env=PINNED,
        )
        self.client = self.distributed.Client(self.cluster)
        return self.client

    def __exit__(self, *error: object) -> None:
        self.client.close()
        self.cluster.close()


def executor_of(name: str = "local", workers: int | None = None, address: str | None = None) -> Executor:
    """The executor of a name. Raises ValueError for an unknown one and for what does not go together.

    >>> executor_of("local", workers=1).workers
    1
    """
    _checked(workers)
    if name == "dask":
        if address is not None and workers is not None:
            raise ValueError("--workers: a cluster at an address has its own workers, give only one of them")
        return Dask(address, workers)
    if name != "local":
        from scenarios.problems import choice

        raise ValueError(f"executor {name!r}: {choice(name, ('local', 'dask'))}")
    if address is not None:
        raise ValueError("--address: is for --executor dask")
    return Here() if (workers or os.cpu_count() or 1) == 1 else Processes(workers)


_END: Any = object()


def _checked(workers: int | None) -> int | None:
    if workers is not None and workers < 1:
        raise ValueError(f"workers: got {workers}, expected at least 1")
    return workers


def _start_worker(parent: int) -> None:
    """Leave Ctrl-C to the main process, and end when that is gone, killed for example."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise ValueError("the dask executor needs Dask: pip install 'halflife-sim[experiments]'") from None
    return distributed
