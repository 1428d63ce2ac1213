"""Replicas with a line each: a balancer sends every request to one of them, which serves its line in batches.

Nothing is computed about a replica before somebody must know it: an arrival brings up to date the replicas that its
balancer looks at (one for `RANDOM` and `ROUND_ROBIN`, two for `POWER_OF_TWO`; for `SHORTEST_QUEUE` those at which
something has happened), and the end of a call brings up to date all. What a replica does between two of its arrivals
depends on nothing else, so the order in which replicas are brought up to date cannot be seen in the result.

At one instant: batches finish, replicas come and go, requests arrive, batches start, requests lose patience. A call
ends between the second and the third of these, and so it does not matter how a run is cut into calls.

A line holds requests in order of their numbers, which is that of their arrival. Place 0 is the line before the
balancer, which holds requests only while no replica is up; place r + 1 is replica r.
"""

# mypy: disable-error-code="no-any-return"
# Fields of records have no type.

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.kernels.request_table import Records
from sim.kernels.sampling import next_uniform, stream

RANDOM, ROUND_ROBIN, SHORTEST_QUEUE, POWER_OF_TWO = 0, 1, 2, 3
SERVED, SHED, TIMED_OUT = 1, 2, 3  # as in sim.pool

_BEFORE_BALANCER = 0
_NOBODY = -1

# Kernels that allocate nothing need no reference counts, which would take most of the time: numba counts every array
# argument of every call with atomic instructions.
_OPTIONS: dict[str, Any] = {"cache": True, "error_model": "numpy", "_nrt": False}

REPLICA = np.dtype(
    [
        # its line
        ("head", np.int64),
        ("tail", np.int64),
        ("length", np.int64),
        (
            "moment",
            np.float64,
        ),  # when somebody last joined: nothing starts before, what came earlier is settled
        ("hint", np.int64),  # where the last one moved to this line stands; of use only during a failure
        # its service
        ("free", np.float64),  # end of the last batch, or when it was added
        ("began", np.float64),
        ("serving", np.int64),  # size of the batch that began last; 0 once its end has been noticed
        ("current", np.int64),  # number of the first request of that batch
        ("factor", np.float64),
        ("busy", np.float64),  # seconds in batches whose end has been noticed
        # for the balancer
        ("load", np.int64),  # waiting and in service, as last counted
        ("change", np.float64),  # until when `load` holds
    ],
    align=True,
)


class Rules(NamedTuple):
    """What does not change in a run."""

    balancing: int
    key: np.uint64
    """Of the balancer's draws."""
    max_batch: int
    max_wait: float
    """Seconds that the oldest of a line waits for others to fill a batch."""
    limit: int
    timeout: float
    curve: NDArray[np.float64]
    """(max_batch,): seconds of a batch of 1, 2, ... requests of work 1."""


class Balancer(NamedTuple):
    """Replicas that take requests."""

    up: NDArray[np.int64]
    """Their places, ascending."""
    turn: NDArray[np.int64]
    """(2,): index in `up` of the one whose turn is next; the place that had the last turn."""


@njit(**_OPTIONS, forceinline=True)
def _append(requests: Records, replicas: Records, place: int, number: int, moment: float) -> None:
    line = replicas[place]
    if line.length == 0:
        line.head = number
    else:
        requests[line.tail & (requests.shape[0] - 1)].after = number
    line.tail = number
    line.length += 1
    line.moment = moment


@njit(**_OPTIONS)
def _insert(requests: Records, replicas: Records, place: int, number: int, moment: float) -> None:
    """Put a request that was somewhere else before where it belongs in a line.

    Those moved at one failure come in ascending order: each begins to look where the last one stands, so that a
    failure walks once along every line, however many move.
    """
    mask = requests.shape[0] - 1
    line = replicas[place]
    if line.length == 0 or number > line.tail:
        _append(requests, replicas, place, number, moment)
    else:
        if number < line.head:
            requests[number & mask].after = line.head
            line.head = number
        else:
            before = line.head if line.hint == _NOBODY else line.hint
            while requests[before & mask].after < number:
                before = requests[before & mask].after
            requests[number & mask].after = requests[before & mask].after
            requests[before & mask].after = number
        line.length += 1
        line.moment = moment
    line.hint = number


@njit(**_OPTIONS, forceinline=True)
def _patience(requests: Records, replicas: Records, rules: Rules, place: int) -> tuple[float, int]:
    """When somebody in a line leaves next (infinite for never), and who stands before him (-1 for nobody).

    That is the oldest, unless it has been started before.
    """
    line = replicas[place]
    if rules.timeout < math.inf:
        mask = requests.shape[0] - 1
        number, before = line.head, _NOBODY
        for _ in range(line.length):
            request = requests[number & mask]
            if not request.again:
                return request.arrival + rules.timeout, before
            number, before = request.after, number
    return math.inf, _NOBODY


@njit(**_OPTIONS)
def _leave(requests: Records, replicas: Records, place: int, before: int, moment: float) -> None:
    """The one behind `before` (-1 for the first of the line) has lost patience."""
    mask = requests.shape[0] - 1
    line = replicas[place]
    number = line.head if before == _NOBODY else requests[before & mask].after
    request = requests[number & mask]
    request.status = TIMED_OUT
    request.finish = moment
    if before == _NOBODY:
        line.head = request.after
    else:
        requests[before & mask].after = request.after
        if line.tail == number:
            line.tail = before
    line.length -= 1


@njit(**_OPTIONS, forceinline=True)
def _start(requests: Records, replicas: Records, rules: Rules, place: int, moment: float) -> None:
    """Start a batch of the oldest of the line of a replica, which is free."""
    mask = requests.shape[0] - 1
    replica = replicas[place]
    if replica.serving > 0:
        replica.busy += replica.free - replica.began
    size = min(replica.length, rules.max_batch)
    number, total = replica.head, 0.0
    for _ in range(size):
        request = requests[number & mask]
        total += request.work
        number = request.after
    finish = moment + rules.curve[size - 1] * (total / size) * replica.factor
    number = replica.head
    for _ in range(size):
        request = requests[number & mask]
        request.start = moment
        request.finish = finish
        request.replica = place - 1
        request.batch = size
        request.status = SERVED
        number = request.after
    replica.current = replica.head
    replica.head = number
    replica.length -= size
    replica.serving = size
    replica.began = moment
    replica.free = finish


@njit(**_OPTIONS, forceinline=True)
def _run(requests: Records, replicas: Records, rules: Rules, place: int, before: float) -> float:
    """Decide all starts and losses of patience at a replica before a moment; returns when the next one would be."""
    mask = requests.shape[0] - 1
    replica = replicas[place]
    while replica.length > 0:
        arrival = requests[replica.head & mask].arrival
        begin = max(replica.free, replica.moment)
        if replica.length < rules.max_batch:
            begin = max(begin, arrival + rules.max_wait)
        leave, before_him = _patience(requests, replicas, rules, place)
        if begin <= leave:
            if begin >= before:
                return begin
            _start(requests, replicas, rules, place, begin)
        else:
            if leave >= before:
                return leave
            _leave(requests, replicas, place, before_him, leave)
    return math.inf


@njit(**_OPTIONS)
def _load(requests: Records, replicas: Records, rules: Rules, place: int, moment: float) -> int:
    """Requests waiting and in service at a replica, after what finishes at `moment` and before what starts."""
    replica = replicas[place]
    if replica.change <= moment:
        change = _run(requests, replicas, rules, place, moment)
        load = replica.length
        if replica.free > moment:
            load += replica.serving
            change = min(change, replica.free)
        replica.load = load
        replica.change = change
    return replica.load


@njit(**_OPTIONS)
def _shortest(
    requests: Records, replicas: Records, rules: Rules, up: NDArray[np.int64], moment: float
) -> int:
    best, least = up[0], _load(requests, replicas, rules, up[0], moment)
    for i in range(1, up.shape[0]):
        replica = replicas[up[i]]
        load = replica.load
        if replica.change <= moment:  # seen from here, as the call costs more than all the rest
            load = _load(requests, replicas, rules, up[i], moment)
        if load < least:
            best, least = up[i], load
    return best


@njit(**_OPTIONS)
def _shorter_of_two(
    requests: Records,
    replicas: Records,
    rules: Rules,
    up: NDArray[np.int64],
    random: np.uint64,
    moment: float,
) -> int:
    u, random = next_uniform(random)
    first = int(u * up.shape[0])
    u, random = next_uniform(random)
    second = int(u * (up.shape[0] - 1))
    if second >= first:
        second += 1
    a = _load(requests, replicas, rules, up[first], moment)
    b = _load(requests, replicas, rules, up[second], moment)
    return up[second] if b < a else up[first]


@njit(**_OPTIONS, forceinline=True)
def _choose(
    requests: Records,
    replicas: Records,
    balancer: Balancer,
    rules: Rules,
    number: int,
    draw: int,
    moment: float,
) -> int:
    """Place for a request; `draw` tells apart the choices made for the same request."""
    up = balancer.up
    if up.shape[0] == 1:
        balancer.turn[0], balancer.turn[1] = 1, up[0]
        return up[0]
    if rules.balancing == ROUND_ROBIN:
        turn = balancer.turn[0] if balancer.turn[0] < up.shape[0] else 0
        balancer.turn[0], balancer.turn[1] = turn + 1, up[turn]
        return up[turn]
    if rules.balancing == SHORTEST_QUEUE:
        return _shortest(requests, replicas, rules, up, moment)
    random = stream(rules.key, number, draw)
    if rules.balancing == POWER_OF_TWO:
        return _shorter_of_two(requests, replicas, rules, up, random, moment)
    u, random = next_uniform(random)
    return up[int(u * up.shape[0])]


@njit(**_OPTIONS, forceinline=True)
def _has_room(requests: Records, replicas: Records, rules: Rules, place: int, moment: float) -> bool:
    """Whether no more than the limit would wait at a replica with one more, not counting who starts at once."""
    replica = replicas[place]
    if replica.length < rules.limit:
        return True
    if replica.free > moment:
        return False
    if replica.length + 1 < rules.max_batch:
        oldest = moment
        if replica.length > 0:
            oldest = requests[replica.head & (requests.shape[0] - 1)].arrival
        if oldest + rules.max_wait > moment:
            return False
    return replica.length < rules.limit + rules.max_batch


@njit(**_OPTIONS)
def _thin_out(requests: Records, replicas: Records, rules: Rules, before: float) -> None:
    """Let those before the balancer leave who lose patience before a moment."""
    leave, before_him = _patience(requests, replicas, rules, _BEFORE_BALANCER)
    while leave < before:
        _leave(requests, replicas, _BEFORE_BALANCER, before_him, leave)
        leave, before_him = _patience(requests, replicas, rules, _BEFORE_BALANCER)


@njit(**_OPTIONS)
def advance(
    requests: Records,
    replicas: Records,
    balancer: Balancer,
    rules: Rules,
    arrived: int,
    offered: int,
    until: float,
) -> int:
    """Decide all that happens before `until`, and what finishes then; returns how many requests have arrived.

    requests: see `sim.kernels.request_table`, with `work`
    replicas: (1 + replicas,) of `REPLICA`
    arrived, offered: how many have arrived before and how many are known
    """
    mask = requests.shape[0] - 1
    number = arrived
    while number < offered:
        moment = requests[number & mask].arrival
        if moment >= until:
            break
        if balancer.up.shape[0] == 0:
            place = _BEFORE_BALANCER
            _thin_out(requests, replicas, rules, moment)
            room = replicas[place].length < rules.limit
        else:
            place = _choose(requests, replicas, balancer, rules, number, 0, moment)
            _run(requests, replicas, rules, place, moment)
            room = _has_room(requests, replicas, rules, place, moment)
            replicas[place].change = -math.inf
        if room:
            _append(requests, replicas, place, number, moment)
        else:
            requests[number & mask].status = SHED
            requests[number & mask].finish = moment
        number += 1
    _thin_out(requests, replicas, rules, until)
    for place in range(1, replicas.shape[0]):
        _run(requests, replicas, rules, place, until)
        replica = replicas[place]
        if replica.serving > 0 and replica.free <= until:
            replica.busy += replica.free - replica.began
            replica.serving = 0
    return number


@njit(**_OPTIONS)
def _move(
    requests: Records,
    replicas: Records,
    balancer: Balancer,
    rules: Rules,
    number: int,
    draw: int,
    moment: float,
) -> None:
    """Assign a request that was admitted before, whatever the limit."""
    place = _BEFORE_BALANCER
    if balancer.up.shape[0] > 0:
        place = _choose(requests, replicas, balancer, rules, number, draw, moment)
        replicas[place].change = -math.inf
    _insert(requests, replicas, place, number, moment)


@njit(**_OPTIONS)
def admit_waiting(
    requests: Records, replicas: Records, balancer: Balancer, rules: Rules, moment: float
) -> None:
    """Send those who wait before the balancer to replicas, at the moment when the first of these is up."""
    mask = requests.shape[0] - 1
    line = replicas[_BEFORE_BALANCER]
    replicas["hint"][:] = _NOBODY
    number, count = line.head, line.length
    line.length = 0
    for _ in range(count):
        behind = requests[number & mask].after
        _move(requests, replicas, balancer, rules, number, 0, moment)
        number = behind


@njit(**_OPTIONS)
def fail(
    requests: Records, replicas: Records, balancer: Balancer, rules: Rules, place: int, moment: float
) -> int:
    """A replica, no longer up, loses what it does; returns how many requests were in service there.

    These and those in its line are sent to other replicas one after the other, in order of arrival.
    """
    mask = requests.shape[0] - 1
    replicas["hint"][:] = _NOBODY
    replica = replicas[place]
    lost = replica.serving
    if lost > 0:
        replica.busy += moment - replica.began
    in_service, number = lost, replica.current
    waiting, other = replica.length, replica.head
    replica.serving = 0
    replica.length = 0
    replica.free = moment
    replica.change = -math.inf  # it may come back
    while in_service > 0 or waiting > 0:
        if waiting == 0 or (in_service > 0 and number < other):
            moved = number
            request = requests[moved & mask]
            number = request.after
            in_service -= 1
            request.start = math.nan
            request.replica = _NOBODY
            request.batch = 0
            request.status = 0
            request.again = True
        else:
            moved = other
            other = requests[moved & mask].after
            waiting -= 1
        _move(requests, replicas, balancer, rules, moved, place, moment)
    return lost
