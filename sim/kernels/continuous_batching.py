"""Replicas that write sequences of tokens, iteration by iteration, with a batch that changes at every iteration.

An iteration of a replica begins with admissions: those waiting, in order, while a seat is free and the KV cache has
room for the full length (tokens in and out) of all that are seated. Then the prompts of the newly seated are read and
every sequence seated writes one token, which takes

    (overhead + prefill_per_token * tokens in of the newly seated
     + max(per_sequence * seated, weights_read + per_kv_token * tokens in the cache)) * factor of the replica

with, in the cache, the prompts and what had been written before the iteration. Who has written its last token leaves
at the end of the iteration. A replica with nobody seated or waiting rests, and begins when somebody comes.

Lines and balancing are as in `sim.kernels.queue_balanced`: a line for each replica, a balancer that sends a request to
one of them, and a lazy order of computing; or (`CENTRAL`) one line, from which replicas take at the beginning of their
iterations, the lowest number first if several begin at the same instant. At one instant: iterations end, replicas come
and go, requests arrive, iterations begin, requests lose patience.

Place 0 is the line before the balancer, or the central one; place r + 1 is replica r.
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

RANDOM, ROUND_ROBIN, SHORTEST_QUEUE, POWER_OF_TWO, CENTRAL = 0, 1, 2, 3, 4
SERVED, SHED, TIMED_OUT = 1, 2, 3  # as in sim.pool

_FRONT = 0  # place of the line before the balancer, or the central one
_NOBODY = -1
_NEVER = 2**62

# See `sim.kernels.queue_balanced`: nothing is allocated here, and counting references would take most of the time.
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
        ),  # when somebody last joined: nothing begins before, what came earlier is settled
        ("hint", np.int64),  # where the last one moved to this line stands; of use only during a failure
        # its iterations
        ("free", np.float64),  # end of the last iteration, or when it was added
        ("ended", np.bool_),  # whether those who are done at that end have left
        ("step", np.int64),  # number of the last iteration
        ("due", np.int64),  # number of the iteration at whose end the next one leaves
        ("serving", np.int64),  # sequences seated
        ("reserved", np.float64),  # tokens of the cache that are promised to them
        ("cached", np.float64),  # tokens that are in the cache
        ("began", np.float64),  # when it last began after a rest
        ("factor", np.float64),
        ("busy", np.float64),  # seconds of work before that
        # for the balancer
        ("load", np.int64),  # waiting and seated, as last counted
        ("change", np.float64),  # until when `load` holds
    ],
    align=True,
)


class Rules(NamedTuple):
    """What does not change in a run."""

    balancing: int
    key: np.uint64
    """Of the balancer's draws."""
    kv_tokens: float
    """Tokens that fit the KV cache of a replica."""
    overhead: float
    prefill_per_token: float
    per_sequence: float
    weights_read: float
    per_kv_token: float
    limit: int
    timeout: float


class Balancer(NamedTuple):
    """Replicas that take requests."""

    up: NDArray[np.int64]
    """Their places, ascending."""
    turn: NDArray[np.int64]
    """(2,): index in `up` of the one whose turn is next; the place that had the last turn."""


class Seats(NamedTuple):
    """Who is seated, each array (1 + replicas, most sequences); the first `serving` of a row are taken."""

    number: NDArray[np.int64]
    last: NDArray[np.int64]
    """The iteration in which the last token is written."""


@njit(**_OPTIONS)
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
    """Put a request that was somewhere else before where it belongs in a line; ascending in one failure."""
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


@njit(**_OPTIONS)
def _pop(requests: Records, replicas: Records, place: int) -> int:
    line = replicas[place]
    number = line.head
    line.head = requests[number & (requests.shape[0] - 1)].after
    line.length -= 1
    return number


@njit(**_OPTIONS)
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


@njit(**_OPTIONS)
def _next(replicas: Records, place: int, line: int) -> float:
    """When the next iteration of a replica begins that takes from a line."""
    replica = replicas[place]
    if replica.serving > 0:
        return replica.free
    if replicas[line].length > 0:
        return max(replica.free, replicas[line].moment)
    return math.inf


@njit(**_OPTIONS)
def _end(requests: Records, replicas: Records, seats: Seats, place: int) -> None:
    """End the iteration of a replica: who has written its last token leaves."""
    replica = replicas[place]
    if replica.serving == 0 or replica.ended:
        return
    mask = requests.shape[0] - 1
    replica.ended = True
    replica.cached += replica.serving
    if replica.due > replica.step:
        return
    due, seated = _NEVER, 0
    for seat in range(replica.serving):
        number, last = seats.number[place, seat], seats.last[place, seat]
        if last == replica.step:
            request = requests[number & mask]
            request.status = SERVED
            request.finish = replica.free
            replica.reserved -= request.tokens_in + request.tokens_out
            replica.cached -= request.tokens_in + request.tokens_out
        else:
            seats.number[place, seated] = number
            seats.last[place, seated] = last
            due = min(due, last)
            seated += 1
    replica.due = due
    replica.serving = seated
    if seated == 0:
        replica.busy += replica.free - replica.began


@njit(**_OPTIONS)
def _begin(
    requests: Records, replicas: Records, seats: Seats, rules: Rules, place: int, line: int, moment: float
) -> None:
    """Begin an iteration of a replica: seat those of a line who fit, and know when it will end."""
    mask = requests.shape[0] - 1
    replica = replicas[place]
    if replica.serving == 0:
        replica.began = moment
        replica.due = _NEVER
    replica.step += 1
    before, prompts = replica.serving, 0.0
    while replicas[line].length > 0 and replica.serving < seats.number.shape[1]:
        request = requests[replicas[line].head & mask]
        length = request.tokens_in + request.tokens_out
        if replica.reserved + length > rules.kv_tokens:
            break
        last = replica.step + np.int64(request.tokens_out) - 1
        seats.number[place, replica.serving] = _pop(requests, replicas, line)
        seats.last[place, replica.serving] = last
        replica.serving += 1
        replica.reserved += length
        replica.due = min(replica.due, last)
        prompts += request.tokens_in
    replica.cached += prompts
    compute = rules.per_sequence * replica.serving
    memory = rules.weights_read + rules.per_kv_token * replica.cached
    seconds = rules.overhead + rules.prefill_per_token * prompts + max(compute, memory)
    replica.free = moment + seconds * replica.factor
    replica.ended = False
    for seat in range(before, replica.serving):
        request = requests[seats.number[place, seat] & mask]
        request.start = moment
        request.first_token = replica.free
        request.replica = place - 1
        request.batch = replica.serving


@njit(**_OPTIONS)
def _run(
    requests: Records, replicas: Records, seats: Seats, rules: Rules, place: int, before: float
) -> float:
    """Decide what happens at a replica with its own line before a moment, and who leaves at that moment.

    Returns when something happens next.
    """
    while True:
        begin = _next(replicas, place, place)
        leave, before_him = _patience(requests, replicas, rules, place)
        if begin <= leave:
            if begin >= before:
                break
            _end(requests, replicas, seats, place)
            if replicas[place].serving + replicas[place].length > 0:
                _begin(requests, replicas, seats, rules, place, place, begin)
        else:
            if leave >= before:
                break
            _leave(requests, replicas, place, before_him, leave)
    if replicas[place].free <= before:
        _end(requests, replicas, seats, place)
    return min(begin, leave)


@njit(**_OPTIONS)
def _run_all(
    requests: Records,
    replicas: Records,
    seats: Seats,
    rules: Rules,
    up: NDArray[np.int64],
    before: float,
) -> None:
    """Decide what happens at replicas with a central line before a moment, and who leaves at that moment."""
    front = replicas[_FRONT]
    while front.length > 0:
        begin, place = math.inf, _NOBODY
        for i in range(up.shape[0]):
            moment = _next(replicas, up[i], _FRONT)
            if moment < begin:
                begin, place = moment, up[i]
        leave, before_him = _patience(requests, replicas, rules, _FRONT)
        if min(begin, leave) >= before:
            break
        if begin <= leave:
            _end(requests, replicas, seats, place)
            _begin(requests, replicas, seats, rules, place, _FRONT, begin)
        else:
            _leave(requests, replicas, _FRONT, before_him, leave)
    # Whoever begins before that moment finds nobody in the line: the rest does not depend on one another.
    for place in range(1, replicas.shape[0]):
        if replicas[place].serving > 0 and replicas[place].free <= before:
            _run(requests, replicas, seats, rules, place, before)


@njit(**_OPTIONS)
def _load(requests: Records, replicas: Records, seats: Seats, rules: Rules, place: int, moment: float) -> int:
    """Requests waiting and seated at a replica, after those who leave at `moment` and before who is seated."""
    replica = replicas[place]
    if replica.change <= moment:
        replica.change = _run(requests, replicas, seats, rules, place, moment)
        replica.load = replica.length + replica.serving
    return replica.load


@njit(**_OPTIONS)
def _choose(
    requests: Records,
    replicas: Records,
    seats: Seats,
    balancer: Balancer,
    rules: Rules,
    number: int,
    draw: int,
    moment: float,
) -> int:
    """Place for a request; `draw` tells apart the choices made for the same request."""
    up = balancer.up
    count = up.shape[0]
    if rules.balancing == CENTRAL or count == 0:
        return _FRONT
    if count == 1:
        balancer.turn[0], balancer.turn[1] = 1, up[0]
        return up[0]
    if rules.balancing == ROUND_ROBIN:
        turn = balancer.turn[0] if balancer.turn[0] < count else 0
        balancer.turn[0], balancer.turn[1] = turn + 1, up[turn]
        return up[turn]
    if rules.balancing == SHORTEST_QUEUE:
        best, least = up[0], _load(requests, replicas, seats, rules, up[0], moment)
        for i in range(1, count):
            load = _load(requests, replicas, seats, rules, up[i], moment)
            if load < least:
                best, least = up[i], load
        return best
    u, random = next_uniform(stream(rules.key, number, draw))
    first = int(u * count)
    if rules.balancing == RANDOM:
        return up[first]
    u, random = next_uniform(random)
    second = int(u * (count - 1))
    if second >= first:
        second += 1
    a = _load(requests, replicas, seats, rules, up[first], moment)
    b = _load(requests, replicas, seats, rules, up[second], moment)
    return up[second] if b < a else up[first]


@njit(**_OPTIONS)
def _seated_now(
    requests: Records,
    replicas: Records,
    seats: Seats,
    rules: Rules,
    place: int,
    first: int,
    waiting: int,
    extra: int,
) -> int:
    """How many of `waiting` requests from `first` on, and then of `extra`, an iteration that begins would seat."""
    mask = requests.shape[0] - 1
    replica = replicas[place]
    number, count, reserved = first, 0, replica.reserved
    while replica.serving + count < seats.number.shape[1] and count <= waiting:
        request = requests[(number if count < waiting else extra) & mask]
        reserved += request.tokens_in + request.tokens_out
        if reserved > rules.kv_tokens:
            break
        number = request.after
        count += 1
    return count


@njit(**_OPTIONS)
def _has_room(
    requests: Records,
    replicas: Records,
    seats: Seats,
    balancer: Balancer,
    rules: Rules,
    line: int,
    number: int,
    moment: float,
) -> bool:
    """Whether no more than the limit would wait in a line with one more, not counting who is seated at once."""
    mask = requests.shape[0] - 1
    waiting = replicas[line].length
    if waiting < rules.limit:
        return True
    first, still = replicas[line].head, waiting
    for i in range(balancer.up.shape[0]):
        place = balancer.up[i]
        if line in (_FRONT, place):
            if replicas[place].free > moment:
                continue
            seated = _seated_now(requests, replicas, seats, rules, place, first, still, number)
            if seated > still:
                return True
            for _ in range(seated):
                first = requests[first & mask].after
            still -= seated
    return still < rules.limit


@njit(**_OPTIONS)
def _bring_up_to_date(
    requests: Records,
    replicas: Records,
    seats: Seats,
    balancer: Balancer,
    rules: Rules,
    place: int,
    moment: float,
) -> None:
    """Decide what happens before a moment to those waiting at a place."""
    if place != _FRONT:
        _run(requests, replicas, seats, rules, place, moment)
        replicas[place].change = -math.inf
    elif rules.balancing == CENTRAL:
        _run_all(requests, replicas, seats, rules, balancer.up, moment)
    else:
        leave, before_him = _patience(requests, replicas, rules, _FRONT)
        while leave < moment:
            _leave(requests, replicas, _FRONT, before_him, leave)
            leave, before_him = _patience(requests, replicas, rules, _FRONT)


@njit(**_OPTIONS)
def advance(
    requests: Records,
    replicas: Records,
    seats: Seats,
    balancer: Balancer,
    rules: Rules,
    arrived: int,
    offered: int,
    until: float,
) -> int:
    """Decide all that happens before `until`, and what finishes then; returns how many requests have arrived.

    requests: see `sim.kernels.request_table`, with `tokens_in`, `tokens_out` and `first_token`
    replicas: (1 + replicas,) of `REPLICA`
    arrived, offered: how many have arrived before and how many are known
    """
    mask = requests.shape[0] - 1
    number = arrived
    while number < offered:
        request = requests[number & mask]
        moment = request.arrival
        if moment >= until:
            break
        if request.tokens_in + request.tokens_out > rules.kv_tokens:
            room = False
        else:
            place = _choose(requests, replicas, seats, balancer, rules, number, 0, moment)
            _bring_up_to_date(requests, replicas, seats, balancer, rules, place, moment)
            room = _has_room(requests, replicas, seats, balancer, rules, place, number, moment)
            if room:
                _append(requests, replicas, place, number, moment)
        if not room:
            request.status = SHED
            request.finish = moment
        number += 1
    _bring_up_to_date(requests, replicas, seats, balancer, rules, _FRONT, until)
    if rules.balancing != CENTRAL:
        for place in range(1, replicas.shape[0]):
            _run(requests, replicas, seats, rules, place, until)
    return number


@njit(**_OPTIONS)
def _move(
    requests: Records,
    replicas: Records,
    seats: Seats,
    balancer: Balancer,
    rules: Rules,
    number: int,
    draw: int,
    moment: float,
) -> None:
    """Assign a request that was admitted before, whatever the limit."""
    place = _choose(requests, replicas, seats, balancer, rules, number, draw, moment)
    replicas[place].change = -math.inf
    _insert(requests, replicas, place, number, moment)


@njit(**_OPTIONS)
def admit_waiting(
    requests: Records, replicas: Records, seats: Seats, balancer: Balancer, rules: Rules, moment: float
) -> None:
    """Send those who wait before the balancer to replicas, at the moment when the first of these is up."""
    if rules.balancing == CENTRAL:
        return
    mask = requests.shape[0] - 1
    line = replicas[_FRONT]
    replicas["hint"][:] = _NOBODY
    number, count = line.head, line.length
    line.length = 0
    for _ in range(count):
        behind = requests[number & mask].after
        _move(requests, replicas, seats, balancer, rules, number, 0, moment)
        number = behind


@njit(**_OPTIONS)
def _sort(numbers: NDArray[np.int64], count: int) -> None:
    """Sort the first few by insertion."""
    for i in range(1, count):
        number, j = numbers[i], i - 1
        while j >= 0 and numbers[j] > number:
            numbers[j + 1] = numbers[j]
            j -= 1
        numbers[j + 1] = number


@njit(**_OPTIONS)
def fail(
    requests: Records,
    replicas: Records,
    seats: Seats,
    balancer: Balancer,
    rules: Rules,
    place: int,
    moment: float,
) -> int:
    """A replica, no longer up, loses its sequences, which are written anew; returns how many were seated.

    These and those in its line are sent to other replicas one after the other, in order of arrival.
    """
    mask = requests.shape[0] - 1
    replicas["hint"][:] = _NOBODY
    replica = replicas[place]
    lost = replica.serving
    if lost > 0:
        replica.busy += moment - replica.began
    waiting, other = replica.length, replica.head
    replica.serving = 0
    replica.reserved = 0.0
    replica.cached = 0.0
    replica.length = 0
    replica.free = moment
    replica.change = -math.inf  # it may come back
    replica.ended = True
    numbers = seats.number[place]
    _sort(numbers, lost)
    seat = 0
    while seat < lost or waiting > 0:
        if waiting == 0 or (seat < lost and numbers[seat] < other):
            moved = numbers[seat]
            seat += 1
            request = requests[moved & mask]
            request.start = math.nan
            request.first_token = math.nan
            request.replica = _NOBODY
            request.batch = 0
            request.again = True
        else:
            moved = other
            other = requests[moved & mask].after
            waiting -= 1
        _move(requests, replicas, seats, balancer, rules, moved, place, moment)
    return lost
