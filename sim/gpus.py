"""The GPUs of a pool, which its replicas share with jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import simpy


class Gpus:
    """How many are free, who holds them, and what a claim of a higher priority can take back.

    >>> gpus = Gpus(simpy.Environment(), 4)
    >>> gpus.take(3), gpus.take(2), gpus.free
    (True, False, 1)
    """

    def __init__(self, env: simpy.Environment, total: int) -> None:
        self.env, self.total, self.free = env, total, total
        self.replicas: list[Any] = []
        """Launches of replicas that hold some, until they let go."""
        self.freed = env.event()
        """Succeeds when some become free; then there is a new one."""
        self._waiting: list[tuple[int, int]] = []
        """Priority and number of those that wait for some."""
        self._interruptible: list[tuple[int, int, Callable[[], None]]] = []
        """Priority, number and how to interrupt: jobs, in the order in which they started."""

    def take(self, number: int, priority: int = 0) -> bool:
        """Take some, if need be from jobs of lower priority, the latest first; whether there were enough.

        What others of a higher priority wait for is left to them.
        """
        left = self.free - sum(wanted for rank, wanted in self._waiting if rank > priority)
        lower = [held for held in reversed(self._interruptible) if held[0] < priority]
        if left + sum(held[1] for held in lower) < number:
            return False
        for held in lower:
            if left >= number:
                break
            self._interruptible.remove(held)  # its process hears of it later in this instant
            held[2]()  # it lets go at once
            left += held[1]
        self.free -= number
        return True

    def awaited(self, priority: int) -> int:
        """How many those wait for who have this priority or a higher one."""
        return sum(wanted for rank, wanted in self._waiting if rank >= priority)

    def release(self, number: int) -> None:
        """Give some back; whoever waits looks again."""
        self.free += number
        freed, self.freed = self.freed, self.env.event()
        freed.succeed()

    @contextmanager
    def waiting(self, number: int, priority: int) -> Iterator[None]:
        """While somebody waits for some, those of a lower priority leave what becomes free to it."""
        claim = (priority, number)
        self._waiting.append(claim)
        try:
            yield
        finally:
            self._waiting.remove(claim)

    @contextmanager
    def interruptible(self, number: int, priority: int, interrupt: Callable[[], None]) -> Iterator[None]:
        """While a job holds some, those of a higher priority may take them from it."""
        held = (priority, number, interrupt)
        self._interruptible.append(held)
        try:
            yield
        finally:
            if held in self._interruptible:
                self._interruptible.remove(held)
