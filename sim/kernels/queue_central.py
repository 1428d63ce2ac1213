"""One queue before all replicas: requests are admitted, batched, started and timed out, up to a given moment.

Three kernels: `serve_singles`, `serve_batches` and `serve_by_key`. They carry the state of a pool on from where it
was, in the arrays that they are given, and decide nothing that happens at `until` or later, so that replicas may come
and go in between.

Rules, with B the largest batch. A replica that is free starts a batch as soon as B requests wait, or the oldest has
waited for `max_wait`; it takes up to B. Of several free replicas the one that has been free longest takes it, on ties
the first. A batch of b takes curve[b-1] x the mean work of its members x the slowness of the replica. At one
instant: replicas become free, requests arrive, batches start, requests time out.

First come, first served needs no list of events: starts never go back in time, the queue is a stretch of the array of
arrivals, and a batch starts at the later of two moments that are known (a replica free, the batch ready).

Tables are pairs of arrays, floats and whole numbers, whose rows are named by the constants below:
    queue (3, n), (1, n): what waits, from HEAD to TAIL, and what will come, from NEXT to END
    slots (5, c), (2, c): the replicas by number; FREE is infinite for one that takes no more
    held (2, c, B), (1, c, B): what each replica serves, the first SIZE of each row
    out (3, m), (4, m): what became final, OUT rows of it; there is room for all that could become so
A request that is being served is held by its replica, and written out when it has finished: a failure can undo it.
`marks` (MARKS,) holds HEAD and the others. Functions below the kernels take arrays, not tables: unpacking a table
counts references, which in a loop costs more than the rest.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Table = tuple[Floats, Integers]

ARRIVAL, WORK, KEY = 0, 1, 2  # of queue; KEY only for `serve_by_key`
START, FINISH = 1, 2  # of out, after ARRIVAL
FREE, BEGUN, DONE, SLOW, BUSY = 0, 1, 2, 3, 4  # of slots
REPLICA, SIZE = 0, 1
NUMBER, SERVER, BATCH, STATUS = 0, 1, 2, 3  # of queue and held (NUMBER alone), and of out
HEAD, TAIL, NEXT, END, RETRIED, OUT, WAITING, HEAP, MARKS = 0, 1, 2, 3, 4, 5, 6, 7, 8
SERVED, SHED, TIMED_OUT = 1, 2, 3

_SCANNED = 12  # replicas up to which looking at each is quicker than a tournament


@njit(cache=True)
def in_order(times: Floats, work: Floats, earliest: float) -> bool:
    """Whether times are finite, sorted and not before `earliest`, and work is finite and >= 0; both (n,)."""
    for i in range(times.shape[0]):
        if not (earliest <= times[i] < np.inf and 0.0 <= work[i] < np.inf):
            return False
        earliest = times[i]
    return True


# --- the replica that is free first ---


@njit(cache=True)
def _tournament(free: Floats) -> Table:
    """Tree of pairwise matches over times, root at 1, leaves from half its length; empty for a few replicas."""
    replicas = free.shape[0]
    if replicas <= _SCANNED:
        return np.empty(0), np.empty(0, dtype=np.int64)
    leaves = 1
    while leaves < replicas:
        leaves *= 2
    times = np.full(2 * leaves, np.inf)
    winner = np.zeros(2 * leaves, dtype=np.int64)
    times[leaves : leaves + replicas] = free
    for r in range(leaves):
        winner[leaves + r] = r
    for node in range(leaves - 1, 0, -1):
        _play(times, winner, node)
    return times, winner


@njit(cache=True)
def _play(times: Floats, winner: Integers, node: int) -> None:
    """The earlier of the two below wins, the left one on ties."""
    left, right = 2 * node, 2 * node + 1
    # Both are read before one is chosen: a choice between loaded values needs no branch.
    left_time, right_time, left_winner, right_winner = times[left], times[right], winner[left], winner[right]
    times[node] = left_time if left_time <= right_time else right_time
    winner[node] = left_winner if left_time <= right_time else right_winner


@njit(cache=True)
def _replay(times: Floats, winner: Integers, r: int, at: float) -> None:
    """Replica r is free at another time: its matches are played again, up to the root."""
    node = (times.shape[0] >> 1) + r
    times[node] = at
    while node > 1:
        node >>= 1
        _play(times, winner, node)


@njit(cache=True)
def _smallest(free: Floats) -> int:
    """Place of the smallest, the first of several."""
    best, soonest = 0, free[0]
    for r in range(1, free.shape[0]):
        if free[r] < soonest:
            best, soonest = r, free[r]
    return best


@njit(cache=True)
def worked(slots_f: Floats, slots_n: Integers, now: float) -> float:
    """Seconds that all replicas together have worked up to `now`."""
    total = 0.0
    for r in range(slots_n.shape[1]):
        total += slots_f[BUSY, r]
        if slots_n[SIZE, r] > 0:
            total += now - slots_f[BEGUN, r]
    return total


# --- what became final ---


@njit(cache=True)
def _write_served(
    slots_f: Floats,
    slots_n: Integers,
    held_f: Floats,
    held_n: Integers,
    out_f: Floats,
    out_n: Integers,
    row: int,
    r: int,
) -> int:
    """Write what replica r has finished, and empty it; returns the next free row."""
    size = slots_n[SIZE, r]
    begun, done, replica = slots_f[BEGUN, r], slots_f[DONE, r], slots_n[REPLICA, r]
    for i in range(size):
        out_f[ARRIVAL, row] = held_f[ARRIVAL, r, i]
        out_f[START, row] = begun
        out_f[FINISH, row] = done
        out_n[NUMBER, row] = held_n[NUMBER, r, i]
        out_n[SERVER, row] = replica
        out_n[BATCH, row] = size
        out_n[STATUS, row] = SERVED
        row += 1
    slots_f[BUSY, r] += done - begun
    slots_n[SIZE, r] = 0
    return row


@njit(cache=True)
def _write_unserved(
    out_f: Floats, out_n: Integers, row: int, number: int, arrival: float, left: float, status: int
) -> int:
    """Write that a request was refused or left; returns the next free row."""
    out_f[ARRIVAL, row] = arrival
    out_f[START, row] = np.nan
    out_f[FINISH, row] = left
    out_n[NUMBER, row] = number
    out_n[SERVER, row] = -1
    out_n[BATCH, row] = 0
    out_n[STATUS, row] = status
    return row + 1


@njit(cache=True)
def _write_finished(
    slots_f: Floats,
    slots_n: Integers,
    held_f: Floats,
    held_n: Integers,
    out_f: Floats,
    out_n: Integers,
    row: int,
    until: float,
) -> int:
    for r in range(slots_n.shape[1]):
        if slots_n[SIZE, r] > 0 and slots_f[DONE, r] <= until:
            row = _write_served(slots_f, slots_n, held_f, held_n, out_f, out_n, row, r)
    return row


@njit(cache=True)
def _refused(free: Floats, now: float, waiting: int, largest: int, max_wait: float, limit: int) -> bool:
    """Whether one more request would leave more than `limit` waiting after the batches that start at this instant.

    Those are full batches, and batches of any size if nobody waits for one to fill.
    """
    left = waiting + 1
    for r in range(free.shape[0]):
        if left <= limit:
            return False
        if free[r] <= now:
            if left >= largest:
                left -= largest
            elif max_wait == 0.0:
                left = 0
    return left > limit


# --- first come, first served ---


@njit(cache=True)
def serve_singles(
    queue: Table,
    slots: Table,
    held: Table,
    out: Table,
    marks: Integers,
    seconds: float,
    clock: float,
    until: float,
) -> None:
    """First come, first served, one at a time, for work x `seconds`; nobody is refused, none times out.

    From the moment `clock` up to `until`; tables as said above, all that was offered from HEAD to TAIL.
    """
    (queue_f, queue_n), (slots_f, slots_n), (held_f, held_n), (out_f, out_n) = queue, slots, held, out
    arrival, work, free = queue_f[ARRIVAL], queue_f[WORK], slots_f[FREE]
    times, winner = _tournament(free)
    many = winner.shape[0] > 0
    row, head = marks[OUT], marks[HEAD]
    for i in range(head, marks[TAIL]):
        r = winner[1] if many else _smallest(free)
        begun = max(max(free[r], arrival[i]), clock)
        if begun >= until:
            break
        if slots_n[SIZE, r] > 0:
            out_f[ARRIVAL, row] = held_f[ARRIVAL, r, 0]
            out_f[START, row] = slots_f[BEGUN, r]
            out_f[FINISH, row] = slots_f[DONE, r]
            out_n[NUMBER, row] = held_n[NUMBER, r, 0]
            out_n[SERVER, row] = slots_n[REPLICA, r]
            out_n[BATCH, row] = 1
            out_n[STATUS, row] = SERVED
            slots_f[BUSY, r] += slots_f[DONE, r] - slots_f[BEGUN, r]
            row += 1
        held_f[ARRIVAL, r, 0], held_f[WORK, r, 0] = arrival[i], work[i]
        held_n[NUMBER, r, 0] = queue_n[NUMBER, i]
        done = begun + seconds * work[i] * slots_f[SLOW, r]
        slots_n[SIZE, r], slots_f[BEGUN, r], slots_f[DONE, r] = 1, begun, done
        free[r] = done
        if many:
            _replay(times, winner, r, done)
        head = i + 1
    marks[HEAD] = head
    marks[OUT] = _write_finished(slots_f, slots_n, held_f, held_n, out_f, out_n, row, until)


@njit(cache=True)
def serve_batches(
    queue: Table,
    slots: Table,
    held: Table,
    out: Table,
    marks: Integers,
    curve: Floats,
    max_wait: float,
    timeout: float,
    limit: int,
    clock: float,
    until: float,
) -> None:
    """First come, first served, from the moment `clock` up to `until`; tables and rules as said above.

    curve: (B,), seconds by size of the batch; max_wait: seconds, >= 0; timeout: seconds, may be infinite
    limit: how many may wait. Below 0 any number may: then all that was offered lies from HEAD to TAIL. Else what is
        admitted moves from NEXT to TAIL, so that the queue stays one stretch without gaps.
    The requests before RETRIED were started once, on a replica that failed, and do not time out.
    """
    (queue_f, queue_n), (slots_f, slots_n), (held_f, held_n), (out_f, out_n) = queue, slots, held, out
    arrival, work, number, free = queue_f[ARRIVAL], queue_f[WORK], queue_n[NUMBER], slots_f[FREE]
    largest = curve.shape[0]
    times, winner = _tournament(free)
    many = winner.shape[0] > 0
    head, tail, coming, retried, row = marks[HEAD], marks[TAIL], marks[NEXT], marks[RETRIED], marks[OUT]
    end = marks[END] if limit >= 0 else 0
    r = winner[1] if many else _smallest(free)
    while True:
        # Nobody joins the queue before this moment, so what happens in it up to then is known.
        bound = min(arrival[coming], until) if coming < end else until
        if head < tail:
            ready = arrival[head] + max_wait
            if head + largest <= tail:
                ready = min(ready, arrival[head + largest - 1])
            begun = max(max(free[r], ready), clock)

            # What was started once does not time out; of the others the oldest is the first to.
            oldest = max(head, retried)
            if oldest < tail:
                leaves = arrival[oldest] + timeout
                if leaves < begun and leaves < bound:
                    row = _write_unserved(
                        out_f, out_n, row, number[oldest], arrival[oldest], leaves, TIMED_OUT
                    )
                    for i in range(oldest, head, -1):  # those that wait before it move up
                        arrival[i], work[i], number[i] = arrival[i - 1], work[i - 1], number[i - 1]
                    head += 1
                    retried = oldest + 1
                    continue

            if begun < bound:
                if slots_n[SIZE, r] > 0:
                    row = _write_served(slots_f, slots_n, held_f, held_n, out_f, out_n, row, r)
                size, total = 0, 0.0
                while size < largest and head < tail and arrival[head] <= begun:
                    held_f[ARRIVAL, r, size], held_f[WORK, r, size] = arrival[head], work[head]
                    held_n[NUMBER, r, size] = number[head]
                    total += work[head]
                    size += 1
                    head += 1
                done = begun + curve[size - 1] * (total / size) * slots_f[SLOW, r]
                slots_n[SIZE, r], slots_f[BEGUN, r], slots_f[DONE, r] = size, begun, done
                free[r] = done
                if many:
                    _replay(times, winner, r, done)
                r = winner[1] if many else _smallest(free)
                continue

        if bound >= until:
            break
        if _refused(free, bound, tail - head, largest, max_wait, limit):
            row = _write_unserved(out_f, out_n, row, number[coming], bound, bound, SHED)
        else:
            arrival[tail], work[tail], number[tail] = bound, work[coming], number[coming]
            tail += 1
        coming += 1
    if limit >= 0:
        marks[NEXT] = coming
    marks[HEAD], marks[TAIL], marks[RETRIED] = head, tail, retried
    marks[OUT] = _write_finished(slots_f, slots_n, held_f, held_n, out_f, out_n, row, until)


# --- other disciplines ---


@njit(cache=True)
def _before(key: Floats, a: int, b: int) -> bool:
    """Whether the request at place a is served before the one at place b; places follow arrivals."""
    return key[a] < key[b] or (key[a] == key[b] and a < b)


@njit(cache=True)
def _push(heap: Integers, length: int, key: Floats, place: int) -> int:
    i = length
    while i > 0:
        parent = (i - 1) // 2
        if _before(key, heap[parent], place):
            break
        heap[i] = heap[parent]
        i = parent
    heap[i] = place
    return length + 1


@njit(cache=True)
def _pop(heap: Integers, length: int, key: Floats) -> tuple[int, int]:
    """Take the first; returns (its place, the new length)."""
    first, length = heap[0], length - 1
    last = heap[length]
    i = 0
    while 2 * i + 1 < length:
        child = 2 * i + 1
        if child + 1 < length and _before(key, heap[child + 1], heap[child]):
            child += 1
        if _before(key, last, heap[child]):
            break
        heap[i] = heap[child]
        i = child
    heap[i] = last
    return first, length


@njit(cache=True)
def serve_by_key(
    queue: Table,
    heap: Integers,
    slots: Table,
    held: Table,
    out: Table,
    marks: Integers,
    curve: Floats,
    max_wait: float,
    timeout: float,
    limit: int,
    clock: float,
    until: float,
) -> None:
    """Smallest key first, on ties the one that came first; otherwise as `serve_batches`.

    Event after event. All that was offered and is not gone lies from HEAD to END, in order of arrival; what has come
    ends at NEXT. Those that were taken or timed out have the number -1. A key of -infinity marks what was started
    once: it is served first and does not time out.
    heap: (n,), the first HEAP are places of what waits, the next one first; may hold some that timed out
    """
    (queue_f, queue_n), (slots_f, slots_n), (held_f, held_n), (out_f, out_n) = queue, slots, held, out
    arrival, work, key, number = queue_f[ARRIVAL], queue_f[WORK], queue_f[KEY], queue_n[NUMBER]
    free, largest = slots_f[FREE], curve.shape[0]
    times, winner = _tournament(free)
    many = winner.shape[0] > 0
    head, coming, end, waiting = marks[HEAD], marks[NEXT], marks[END], marks[WAITING]
    length, row, expiring = marks[HEAP], marks[OUT], head
    r = winner[1] if many else _smallest(free)
    while True:
        while head < coming and number[head] < 0:
            head += 1
        expiring = max(expiring, head)
        while expiring < coming and (number[expiring] < 0 or key[expiring] == -np.inf):
            expiring += 1
        arrives = arrival[coming] if coming < end else np.inf
        leaves = arrival[expiring] + timeout if expiring < coming else np.inf
        begins = np.inf
        if waiting > 0:
            ready = clock if waiting >= largest else max(arrival[head] + max_wait, clock)
            begins = max(free[r], ready)
        clock = min(min(arrives, leaves), begins)
        if clock >= until:
            break

        if arrives == clock:
            if limit >= 0 and _refused(free, clock, waiting, largest, max_wait, limit):
                row = _write_unserved(out_f, out_n, row, number[coming], clock, clock, SHED)
                number[coming] = -1
            else:
                length = _push(heap, length, key, coming)
                waiting += 1
            coming += 1
        elif begins == clock:
            if slots_n[SIZE, r] > 0:
                row = _write_served(slots_f, slots_n, held_f, held_n, out_f, out_n, row, r)
            size, total = 0, 0.0
            while size < min(largest, waiting):
                place, length = _pop(heap, length, key)
                if number[place] >= 0:
                    held_f[ARRIVAL, r, size], held_f[WORK, r, size] = arrival[place], work[place]
                    held_n[NUMBER, r, size] = number[place]
                    total += work[place]
                    number[place] = -1
                    size += 1
            waiting -= size
            done = clock + curve[size - 1] * (total / size) * slots_f[SLOW, r]
            slots_n[SIZE, r], slots_f[BEGUN, r], slots_f[DONE, r] = size, clock, done
            free[r] = done
            if many:
                _replay(times, winner, r, done)
            r = winner[1] if many else _smallest(free)
        else:
            row = _write_unserved(out_f, out_n, row, number[expiring], arrival[expiring], leaves, TIMED_OUT)
            number[expiring] = -1
            waiting -= 1
    marks[HEAD], marks[NEXT], marks[WAITING], marks[HEAP] = head, coming, waiting, length
    marks[OUT] = _write_finished(slots_f, slots_n, held_f, held_n, out_f, out_n, row, until)
