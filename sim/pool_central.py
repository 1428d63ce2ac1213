"""A pool of replicas that serve requests from one queue: the state that `sim.kernels.queue_central` carries on.

What is held is what waits, what is served and what was offered and has not come yet; so memory is flat when
requests are offered block by block, each when the last one is nearly used up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sim.kernels import queue_central as kernel
from sim.pool import Array, Integers, Served

DISCIPLINES = ("fifo", "lifo", "shortest_first")

_RETRIED_KEY = -np.inf


class CentralPool:
    """One queue, any number of replicas, dynamic batching; a `sim.pool.Pool`.

    max_batch: requests that a replica serves together at most, >= 1
    max_wait: seconds that the oldest request waits at most for a batch to fill while a replica is free, >= 0
    curve: (max_batch,), seconds that a batch takes by its size, for work 1; None for 1 s each, so that without
        batching work is the seconds of service. Work of a batch is the mean of its members'.
    limit: requests that may wait; one that would wait beside them is refused. None for any number.
    timeout: seconds, > 0, after which a request leaves that was never started
    discipline: who is served next: 'fifo' the first to come, 'lifo' the last, 'shortest_first' the least work (on
        ties the first to come); requests taken from a failed replica come before all others, in order of arrival
    Raises ValueError outside these ranges.

    >>> pool = CentralPool(max_batch=2, max_wait=1.0, curve=[3.0, 4.0])
    >>> pool.add(0, at=0.0)
    >>> pool.offer(np.array([0.0, 0.5, 5.0]), np.ones(3))
    >>> pool.advance(20.0)
    >>> served = pool.collect()
    >>> served.start, served.finish, served.batch
    (array([0.5, 0.5, 6. ]), array([4.5, 4.5, 9. ]), array([2, 2, 1]))
    """

    def __init__(
        self,
        *,
        max_batch: int = 1,
        max_wait: float = 0.0,
        curve: Sequence[float] | Array | None = None,
        limit: int | None = None,
        timeout: float = math.inf,
        discipline: str = "fifo",
    ) -> None:
        if discipline not in DISCIPLINES:
            raise ValueError(f"discipline {discipline!r}: must be one of {', '.join(DISCIPLINES)}")
        if max_batch < 1 or not 0.0 <= max_wait < math.inf or not timeout > 0.0:
            raise ValueError(
                "max_batch must be >= 1, max_wait finite and >= 0, timeout > 0, "
                f"got {max_batch}, {max_wait} and {timeout}"
            )
        if limit is not None and limit < 0:
            raise ValueError(f"limit must be >= 0, or None for no limit, got {limit}")
        self._curve = np.ones(max_batch) if curve is None else np.array(curve, dtype=np.float64)
        if self._curve.shape != (max_batch,) or not np.all((self._curve >= 0.0) & (self._curve < np.inf)):
            raise ValueError(f"curve must have max_batch = {max_batch} values, finite and >= 0, got {curve}")
        self._max_wait, self._timeout = float(max_wait), float(timeout)
        self._limit = -1 if limit is None else int(limit)
        self._discipline = discipline
        self.now = 0.0
        """Moment advanced to, seconds."""
        self.restarts = 0
        self._offered = 0
        self._worked: dict[int, float] = {}
        """Seconds by replica, of what it did before it last left its slot."""
        self._worked_before = 0.0
        """Seconds of all that have no slot now."""
        self._marks = np.zeros(kernel.MARKS, dtype=np.int64)
        self._queue = np.empty((3, 0)), np.empty((1, 0), dtype=np.int64)
        self._heap = np.empty(0, dtype=np.int64)
        self._out = np.empty((3, 0)), np.empty((4, 0), dtype=np.int64)
        self._slots = np.empty((5, 0)), np.empty((2, 0), dtype=np.int64)
        self._held = np.empty((2, 0, max_batch)), np.empty((1, 0, max_batch), dtype=np.int64)
        self._set_slots([], [])

    # --- requests ---

    def offer(self, times: Array, work: Array) -> None:
        """Requests that will come, numbered on from those offered before.

        times (n,): seconds, finite, sorted, none before the last one offered or the moment advanced to
        work (n,): >= 0, finite, see the class; Raises ValueError otherwise.
        """
        times, work = np.asarray(times, dtype=np.float64), np.asarray(work, dtype=np.float64)
        if times.ndim != 1 or work.shape != times.shape:
            raise ValueError(f"times and work must be (n,), got shapes {times.shape} and {work.shape}")
        number, marks = len(times), self._marks
        if number == 0:
            return
        last = self._queue[0][kernel.ARRIVAL, marks[kernel.END] - 1] if marks[kernel.END] > 0 else 0.0
        earliest = max(self.now, float(last))
        self._make_room(number)
        queue_f, queue_n = self._queue
        end = int(marks[kernel.END])
        arrival, needs = (queue_f[row, end : end + number] for row in (kernel.ARRIVAL, kernel.WORK))
        arrival[:], needs[:] = times, work
        if not kernel.in_order(arrival, needs, earliest):  # nothing is offered before END has moved
            raise ValueError(
                f"times must be finite, sorted and not before {earliest} s, work finite and >= 0"
            )
        numbers = np.arange(self._offered, self._offered + number)
        self._offered += number
        queue_n[kernel.NUMBER, end : end + number] = numbers
        if self._discipline == "lifo":
            queue_f[kernel.KEY, end : end + number] = -numbers
        elif self._discipline == "shortest_first":
            queue_f[kernel.KEY, end : end + number] = work
        marks[kernel.END] = end + number
        self._admit_all_where_no_limit()

    def advance(self, until: float) -> None:
        """Decide all that happens before `until`; what was offered must hold all that comes before it."""
        if not until >= self.now:
            raise ValueError(f"cannot advance to {until} s: it is {self.now} s already")
        begin, until = self.now, float(until)
        queue, slots, held, out, marks, curve = (
            self._queue,
            self._slots,
            self._held,
            self._out,
            self._marks,
            self._curve,
        )
        patience = self._max_wait, self._timeout
        if self._discipline != "fifo":
            kernel.serve_by_key(
                queue, self._heap, slots, held, out, marks, curve, *patience, self._limit, begin, until
            )
        elif len(curve) == 1 and self._timeout == math.inf and self._limit < 0:
            kernel.serve_singles(queue, slots, held, out, marks, float(curve[0]), begin, until)
        else:
            kernel.serve_batches(queue, slots, held, out, marks, curve, *patience, self._limit, begin, until)
        self.now = until

    def waiting(self) -> int:
        """Requests that have come and not started, at the moment advanced to."""
        head, tail = int(self._marks[kernel.HEAD]), int(self._marks[kernel.TAIL])
        if self._discipline != "fifo":
            return int(self._marks[kernel.WAITING])
        if self._limit >= 0:
            return tail - head
        return int(self._queue[0][kernel.ARRIVAL, head:tail].searchsorted(self.now))

    def in_service(self) -> int:
        """Requests that are being served, at the moment advanced to."""
        return sum(self._slots[1][kernel.SIZE].tolist())

    def collect(self) -> Served:
        """Requests whose fate became final since the last call, in no order that is promised."""
        out_f, out_n = self._out
        rows, room = int(self._marks[kernel.OUT]), out_f.shape[1]
        done_f, done_n = out_f[:, :rows], out_n[:, :rows]
        if 2 * rows > room:  # much is handed over as it is, little is copied
            self._out = np.empty((3, room - rows)), np.empty((4, room - rows), dtype=np.int64)
        else:
            done_f, done_n = done_f.copy(), done_n.copy()
        self._marks[kernel.OUT] = 0
        return Served(
            number=done_n[kernel.NUMBER],
            arrival=done_f[kernel.ARRIVAL],
            start=done_f[kernel.START],
            finish=done_f[kernel.FINISH],
            replica=done_n[kernel.SERVER],
            batch=done_n[kernel.BATCH],
            status=done_n[kernel.STATUS],
        )

    # --- replicas ---

    def add(self, replica: int, at: float) -> None:
        """A replica takes requests from `at` on, which may lie ahead; one that still finishes, from then on.

        replica: number, >= 0; Raises ValueError when it takes requests already, or `at` is past.
        """
        if replica < 0 or not self.now <= at < math.inf:
            raise ValueError(f"replica must be >= 0 and not added before {self.now} s, got {replica}, {at} s")
        slots_f, slots_n = self._slots
        slot = self._slot(replica)
        if slot is not None:
            if slots_f[kernel.FREE, slot] < np.inf:
                raise ValueError(f"replica {replica} takes requests already")
            busy_until = slots_f[kernel.DONE, slot] if slots_n[kernel.SIZE, slot] else at
            slots_f[kernel.FREE, slot], slots_f[kernel.SLOW, slot] = max(busy_until, at), 1.0
            return
        idle = (slots_f[kernel.FREE] == np.inf) & (slots_n[kernel.SIZE] == 0)
        self._set_slots([int(number) for number in slots_n[kernel.REPLICA, ~idle]], [replica])
        slot = self._slot(replica)
        self._slots[0][kernel.FREE, slot] = at
        self._worked.setdefault(replica, 0.0)

    def drain(self, replica: int, at: float) -> None:
        """A replica takes no more requests, and finishes what it does; the pool advances to `at` first.

        Raises ValueError when there is no such replica.
        """
        slot = self._open_slot(replica, at)
        self._slots[0][kernel.FREE, slot] = np.inf

    def fail(self, replica: int, at: float) -> None:
        """A replica is gone; what it was doing goes back to the head of the queue; the pool advances to `at` first.

        Its work on them is lost, but counts as busy. They are never refused and never time out.
        Raises ValueError when there is no such replica.
        """
        slot = self._open_slot(replica, at, draining=True)
        slots_f, slots_n = self._slots
        size = int(slots_n[kernel.SIZE, slot])
        slots_f[kernel.FREE, slot] = np.inf
        if size > 0:
            self.restarts += size
            slots_f[kernel.BUSY, slot] += self.now - slots_f[kernel.BEGUN, slot]
            slots_n[kernel.SIZE, slot] = 0
            self._put_back(self._held[0][:, slot, :size], self._held[1][0, slot, :size])

    def slow(self, replica: int, factor: float) -> None:
        """What a replica starts from now on takes `factor` times as long (> 0), until it is added anew."""
        if not 0.0 < factor < math.inf:
            raise ValueError(f"factor must be finite and > 0, got {factor}")
        self._slots[0][kernel.SLOW, self._open_slot(replica, self.now)] = factor

    def free_at(self, replica: int) -> float:
        """Seconds at which a replica has finished what it does; the moment advanced to when it does nothing."""
        slot = self._slot(replica)
        if slot is None or self._slots[1][kernel.SIZE, slot] == 0:
            return self.now
        return float(self._slots[0][kernel.DONE, slot])

    def at_work(self, replica: int) -> bool:
        """Whether a replica serves requests at the moment advanced to."""
        slot = self._slot(replica)
        return slot is not None and bool(self._slots[1][kernel.SIZE, slot] > 0)

    def busy(self) -> Array:
        """Seconds that each replica (by number) has worked up to the moment advanced to."""
        total = np.zeros(max(self._worked, default=-1) + 1)
        for replica, seconds in self._worked.items():
            total[replica] = seconds
        slots_f, slots_n = self._slots
        for slot, replica in enumerate(slots_n[kernel.REPLICA]):
            if replica >= 0:
                total[replica] = slots_f[kernel.BUSY, slot]
                if slots_n[kernel.SIZE, slot] > 0:
                    total[replica] += self.now - slots_f[kernel.BEGUN, slot]
        return total

    def worked(self) -> float:
        """Seconds that all replicas together have worked up to the moment advanced to."""
        return self._worked_before + float(kernel.worked(*self._slots, self.now))

    # --- the arrays behind ---

    def _slot(self, replica: int) -> int | None:
        found = np.flatnonzero(self._slots[1][kernel.REPLICA] == replica)
        return int(found[0]) if found.size else None

    def _open_slot(self, replica: int, at: float, *, draining: bool = False) -> int:
        """Slot of a replica that takes requests, or that still works if `draining`, at the moment `at`."""
        if at > self.now:
            self.advance(at)
        slot = self._slot(replica)
        if at < self.now:
            raise ValueError(f"cannot go back to {at} s: it is {self.now} s already")
        if slot is None or (
            self._slots[0][kernel.FREE, slot] == np.inf
            and not (draining and self._slots[1][kernel.SIZE, slot] > 0)
        ):
            raise ValueError(f"there is no replica {replica} that takes requests")
        return slot

    def _set_slots(self, kept: list[int], new: list[int]) -> None:
        """Lay the replicas out anew, by number. There is always one slot, so that kernels need not ask."""
        replicas = sorted(kept + new) or [-1]
        slots_f, slots_n = np.zeros((5, len(replicas))), np.zeros((2, len(replicas)), dtype=np.int64)
        held_f = np.zeros((2, len(replicas), len(self._curve)))
        held_n = np.zeros((1, len(replicas), len(self._curve)), dtype=np.int64)
        slots_f[kernel.FREE], slots_f[kernel.SLOW] = np.inf, 1.0
        slots_n[kernel.REPLICA] = replicas
        for old, replica in enumerate(self._slots[1][kernel.REPLICA]):
            if replica >= 0:
                self._worked[int(replica)] = float(self._slots[0][kernel.BUSY, old])
        for slot, replica in enumerate(replicas):
            slots_f[kernel.BUSY, slot] = self._worked.get(replica, 0.0)
            if replica in kept:
                old = int(np.flatnonzero(self._slots[1][kernel.REPLICA] == replica)[0])
                slots_f[:, slot], slots_n[:, slot] = self._slots[0][:, old], self._slots[1][:, old]
                held_f[:, slot], held_n[:, slot] = self._held[0][:, old], self._held[1][:, old]
        self._slots, self._held = (slots_f, slots_n), (held_f, held_n)
        there = set(replicas)
        self._worked_before = math.fsum(
            seconds for replica, seconds in self._worked.items() if replica not in there
        )

    def _make_room(self, number: int) -> None:
        """See that `number` more requests fit behind those that were offered, and the fates of all of them."""
        marks = self._marks
        live = int(marks[kernel.END] - marks[kernel.HEAD])
        if marks[kernel.END] + number > self._queue[0].shape[1]:
            self._lay_out(np.empty((3, 0)), np.empty(0, dtype=np.int64), number)
        rows = int(marks[kernel.OUT])
        outstanding = live + self.in_service() + number
        out_f, out_n = self._out
        if rows + outstanding > out_f.shape[1]:
            room = max(rows + outstanding, 2 * rows)
            self._out = np.empty((3, room)), np.empty((4, room), dtype=np.int64)
            self._out[0][:, :rows], self._out[1][:, :rows] = out_f[:, :rows], out_n[:, :rows]

    def _put_back(self, requests: Array, numbers: Integers) -> None:
        """Requests (2, k) that were being served wait again, before all that were never started."""
        again = np.full((3, numbers.size), _RETRIED_KEY)
        again[: kernel.KEY] = requests
        self._lay_out(again, numbers, 0)

    def _lay_out(self, again: Array, numbers: Integers, more: int) -> None:
        """Move what waits, with those that wait again, and what will come to the front, with room for `more`."""
        marks, (queue_f, queue_n) = self._marks, self._queue
        head, tail, coming, end = (
            int(marks[mark]) for mark in (kernel.HEAD, kernel.TAIL, kernel.NEXT, kernel.END)
        )
        waits = np.arange(head, tail)
        if self._discipline != "fifo":
            waits = head + np.flatnonzero(queue_n[kernel.NUMBER, head:coming] >= 0)
        columns = np.concatenate((again, queue_f[:, waits], queue_f[:, coming:end]), axis=1)
        names = np.concatenate((numbers, queue_n[0, waits], queue_n[0, coming:end]))
        if numbers.size:  # with ours among them those that wait are by number, as they came
            order = np.argsort(names, kind="stable")
            columns, names = columns[:, order], names[order]

        # Half of the room stays free, so that moving costs little for each request that is offered.
        if 2 * (names.size + more) > queue_f.shape[1]:
            room = 2 * (names.size + more)
            self._queue = queue_f, queue_n = np.empty((3, room)), np.empty((1, room), dtype=np.int64)
        queue_f[:, : names.size], queue_n[0, : names.size] = columns, names
        retried = max(int(marks[kernel.RETRIED]) - head, 0) + numbers.size
        waiting = waits.size + numbers.size
        marks[kernel.HEAD], marks[kernel.RETRIED] = 0, retried
        marks[kernel.TAIL] = marks[kernel.NEXT] = waiting
        marks[kernel.END] = names.size
        if self._discipline != "fifo":
            self._heap = np.empty(queue_f.shape[1], dtype=np.int64)
            self._heap[:waiting] = np.argsort(
                columns[kernel.KEY, :waiting], kind="stable"
            )  # sorted is a heap
            marks[kernel.HEAP] = marks[kernel.WAITING] = waiting
        self._admit_all_where_no_limit()

    def _admit_all_where_no_limit(self) -> None:
        if self._discipline == "fifo" and self._limit < 0:
            self._marks[kernel.TAIL] = self._marks[kernel.NEXT] = self._marks[kernel.END]
