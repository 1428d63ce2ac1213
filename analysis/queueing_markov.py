"""Poisson arrivals and exponential services at several servers, exactly: Erlang's formulas, M/M/c and M/M/c/K.

One queue before all servers, first come first served. Conventions as in `analysis.queueing`, which has all of this
under one name.

Sources: Erlang, 'Solution of some problems in the theory of probabilities of significance in automatic telephone
exchanges', 1917; Gross, Shortle, Thompson and Harris, 'Fundamentals of Queueing Theory', 4th ed., sections 2.3-2.5;
Little, 'A proof for the queuing formula L = lambda W', Operations Research 9, 1961.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import exprel

from analysis.ranges import INSIDE, NON_NEGATIVE, POSITIVE, Range, Values, plain

Array = NDArray[np.float64]

LARGEST = 1_000_000
SERVERS = Range(
    f"a whole number from 1 to {LARGEST}", lambda v: (v >= 1) & (v <= LARGEST) & (v == np.floor(v))
)
_PLACES = Range(
    f"a whole number from 0 to {LARGEST}", lambda v: (v >= 0) & (v <= LARGEST) & (v == np.floor(v))
)


def offered_load(*, arrival_rate: ArrayLike, service_time: ArrayLike) -> Values:
    """Mean number of servers that the work needs, in erlangs: `arrival_rate * service_time`.

    >>> offered_load(arrival_rate=100.0, service_time=0.045)
    4.5
    """
    return plain(_load(arrival_rate, service_time))


def little(
    *,
    number: ArrayLike | None = None,
    arrival_rate: ArrayLike | None = None,
    time: ArrayLike | None = None,
) -> Values:
    """The third of mean number, arrival rate and mean time, by Little's law `number = arrival_rate * time`.

    Give two of them, each >= 0, the one that divides > 0. Number and time are of the same place (the queue, the
    servers or both), the rate is of those who enter it: of the admitted, where requests are refused.

    >>> little(arrival_rate=12.0, time=0.25), little(number=3.0, arrival_rate=12.0)
    (3.0, 0.25)
    """
    if number is None and arrival_rate is not None and time is not None:
        return plain(NON_NEGATIVE.check("arrival_rate", arrival_rate) * NON_NEGATIVE.check("time", time))
    if arrival_rate is None and number is not None and time is not None:
        return plain(NON_NEGATIVE.check("number", number) / POSITIVE.check("time", time))
    if time is None and number is not None and arrival_rate is not None:
        return plain(NON_NEGATIVE.check("number", number) / POSITIVE.check("arrival_rate", arrival_rate))
    raise ValueError("little: expected two of number, arrival_rate and time")


# ---------------------------------------------------------------- Erlang's formulas


def _load(arrival_rate: ArrayLike, service_time: ArrayLike) -> Array:
    """Offered load; infinity where the product passes what float64 holds."""
    rate = NON_NEGATIVE.check("arrival_rate", arrival_rate)
    with np.errstate(over="ignore"):
        return np.asarray(rate * POSITIVE.check("service_time", service_time))


def _inverse_blocking(load: Array, servers: Array) -> Array:
    """1 / B by `1 / B(c) = 1 + c / (load * B(c - 1))`: a sum of positive terms; infinity where B underflows."""
    load, servers = np.broadcast_arrays(load, servers)
    loads, place = np.unique(load.ravel(), return_inverse=True)
    place = place.reshape(-1)
    wanted = servers.ravel().astype(np.int64)
    result = np.empty(wanted.shape)
    loads = np.maximum(loads, np.nextafter(0.0, 1.0))
    each = (
        float(loads[0]) if len(loads) == 1 else loads
    )  # Python's floats are ten times quicker than an array of one
    inverse: float | Array = 1.0
    reached = 0
    with np.errstate(over="ignore"):
        for stop in np.unique(wanted):
            for count in range(reached + 1, int(stop) + 1):
                inverse = 1.0 + count / each * inverse
            reached = int(stop)
            here = wanted == stop
            result[here] = np.atleast_1d(inverse)[place[here]]
    return result.reshape(load.shape)


def _waits(load: Array, servers: Array) -> Array:
    """Erlang C, as `1 / (u + (1 - u) / B)` with u = load / servers; 1 from u = 1 on."""
    utilisation = load / servers
    free = 1.0 - np.minimum(utilisation, 1.0)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(free > 0, 1.0 / (utilisation + free * _inverse_blocking(load, servers)), 1.0)


def erlang_b(*, load: ArrayLike, servers: ArrayLike) -> Values:
    """Share of arrivals that find all servers busy when none can wait (M/G/c/c), `(a^c/c!) / sum(a^k/k!, k <= c)`.

    load: erlangs, >= 0, also above `servers`; servers: whole, from 1 to 1,000,000. Depends on the service time's
    mean only. By the recursion over servers, which keeps all digits. Source: Erlang (1917).

    >>> round(erlang_b(load=10.0, servers=10), 6)
    0.214582
    """
    erlangs = NON_NEGATIVE.check("load", load, "erlangs")
    return plain(1.0 / _inverse_blocking(erlangs, SERVERS.check("servers", servers)))


def erlang_c(*, load: ArrayLike, servers: ArrayLike) -> Values:
    """Probability that an arrival must wait in M/M/c, `B / (1 - u (1 - B))` with u = load / servers.

    load: erlangs, >= 0; servers: whole, from 1 to 1,000,000. 1 where `load >= servers`. Source: Erlang (1917).

    >>> round(erlang_c(load=8.0, servers=10), 6)
    0.40918
    """
    erlangs = NON_NEGATIVE.check("load", load, "erlangs")
    return plain(_waits(erlangs, SERVERS.check("servers", servers)))


# ---------------------------------------------------------------- M/M/c


class Queue:
    """M/M/c in arrays: what an arrival meets, and how fast those who wait get on."""

    def __init__(self, arrival_rate: ArrayLike, service_time: ArrayLike, servers: ArrayLike) -> None:
        self.load = _load(arrival_rate, service_time)
        self.service = POSITIVE.check("service_time", service_time)
        self.servers = SERVERS.check("servers", servers)
        self.waits = _waits(self.load, self.servers)
        """Probability to wait."""
        with np.errstate(over="ignore"):
            self.drain = np.maximum(self.servers - self.load, 0.0) / self.service
        """Rate of the exponential wait of those who wait, `servers / service_time - arrival_rate`; 0 in overload."""

    def wait_above(self, time: float | Array) -> Array:
        """P(wait > time)."""
        return np.asarray(self.waits * np.exp(-self.drain * time))

    def response_above(self, time: float | Array) -> Array:
        """P(wait + service > time), without the cancellation where the two rates are close; 1 in overload."""
        own = 1.0 / self.service
        slower, apart = np.minimum(self.drain, own), np.abs(self.drain - own)
        alone = np.exp(-own * np.asarray(time))
        above = alone + self.waits * own * time * np.exp(-slower * time) * exprel(-apart * time)
        return np.where(self.drain > 0, np.minimum(above, 1.0), 1.0)

    def wait_quantile(self, above: float | Array) -> Array:
        """Time that a wait exceeds with probability `above` in (0, 1); infinite in overload."""
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.maximum(np.log(self.waits / above), 0.0)
            return np.where(self.drain > 0, excess / self.drain, np.inf)

    def response_quantile(self, above: float | Array) -> Array:
        """Time that a response exceeds with probability `above`; infinite in overload."""
        above = np.asarray(above, dtype=np.float64)
        low = np.maximum(self.wait_quantile(above), -self.service * np.log(above))
        high = self.wait_quantile(above / 2.0) - self.service * np.log(above / 2.0)
        stable = np.isfinite(high)
        found = crossing(
            lambda time: self.response_above(time) - above,
            np.where(stable, low, 0.0),
            np.where(stable, high, 0.0),
        )
        return np.where(stable, found, np.inf)


def crossing(falling: Callable[[Array], Array], low: ArrayLike, high: ArrayLike) -> Array:
    """Where a falling function passes 0 between `low` and `high`, by halving, element by element."""
    below, above = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    for _ in range(100):
        middle = (below + above) / 2.0
        still = falling(middle) > 0
        below, above = np.where(still, middle, below), np.where(still, above, middle)
    return (below + above) / 2.0


def mmc_wait_probability(*, arrival_rate: ArrayLike, service_time: ArrayLike, servers: ArrayLike) -> Values:
    """Probability that a request waits at all: Erlang C of the offered load; 1 in overload.

    arrival_rate: >= 0; service_time: mean, > 0; servers: whole, from 1 to 1,000,000.

    >>> round(mmc_wait_probability(arrival_rate=100.0, service_time=0.08, servers=10), 4)
    0.4092
    """
    return plain(Queue(arrival_rate, service_time, servers).waits)


def mmc_mean_wait(*, arrival_rate: ArrayLike, service_time: ArrayLike, servers: ArrayLike) -> Values:
    """Mean time before service starts, `C service_time / (servers - load)`; infinite in overload.

    Arguments as in `mmc_wait_probability`. The mean response is `service_time` more. Source: Gross et al., 2.3.

    >>> round(mmc_mean_wait(arrival_rate=100.0, service_time=0.08, servers=10), 6)
    0.016367
    """
    queue = Queue(arrival_rate, service_time, servers)
    with np.errstate(divide="ignore"):
        return plain(queue.waits / queue.drain)


def mmc_wait_quantile(
    *, probability: ArrayLike, arrival_rate: ArrayLike, service_time: ArrayLike, servers: ArrayLike
) -> Values:
    """Time within which a share `probability` of the requests starts service; 0 where that many need not wait.

    probability: in (0, 1); other arguments as in `mmc_wait_probability`. `ln(C / (1 - probability))` times the mean
    wait of those who wait, `service_time / (servers - load)`; infinite in overload.

    >>> round(mmc_wait_quantile(probability=0.99, arrival_rate=100.0, service_time=0.08, servers=10), 6)
    0.148463
    """
    share = INSIDE.check("probability", probability)
    return plain(Queue(arrival_rate, service_time, servers).wait_quantile(1.0 - share))


def mmc_response_above(
    time: ArrayLike, *, arrival_rate: ArrayLike, service_time: ArrayLike, servers: ArrayLike
) -> Values:
    """Share of requests whose wait and service together take longer than `time` (>= 0); 1 in overload.

    Other arguments as in `mmc_wait_probability`. Source: Gross et al., 2.3.

    >>> round(mmc_response_above(0.1, arrival_rate=10.0, service_time=0.05, servers=1), 6)
    0.367879
    """
    moment = NON_NEGATIVE.check("time", time)
    return plain(Queue(arrival_rate, service_time, servers).response_above(moment))


def mmc_response_quantile(
    *, probability: ArrayLike, arrival_rate: ArrayLike, service_time: ArrayLike, servers: ArrayLike
) -> Values:
    """Time within which a share `probability` in (0, 1) of the requests has been served; infinite in overload.

    Other arguments as in `mmc_wait_probability`. The root of `mmc_response_above`, to the last digits of float64;
    with one server it is exponential with rate `1 / service_time - arrival_rate`.

    >>> round(mmc_response_quantile(probability=0.99, arrival_rate=10.0, service_time=0.05, servers=1), 6)
    0.460517
    """
    share = INSIDE.check("probability", probability)
    return plain(Queue(arrival_rate, service_time, servers).response_quantile(1.0 - share))


# ---------------------------------------------------------------- M/M/c/K


def _finite(load: Array, servers: Array, places: Array) -> tuple[Array, Array]:
    """M/M/c with `places` to wait in: the share refused, and the mean number waiting by the share admitted.

    Probabilities are taken relative to the likelier end of the queue's geometric sequence, so that none overflows.
    """
    load, servers, places = np.broadcast_arrays(load, servers, places)
    idle_to_full = _inverse_blocking(load, servers)  # P(at most c in the system) / P(exactly c)
    loss, waiting = np.empty(load.shape), np.empty(load.shape)
    for at in np.ndindex(load.shape):
        ratio, last = load[at] / servers[at], int(places[at])
        place = np.arange(1, last + 1)
        with np.errstate(under="ignore"):
            weights = ratio ** (place - (last if ratio > 1 else 0.0))
            no_queue = idle_to_full[at] * (ratio ** (-float(last)) if ratio > 1 else 1.0)
        admitted = no_queue + weights[:-1].sum()
        full = weights[-1] if last else 1.0
        loss[at] = full / (admitted + full) if last else 1.0 / no_queue
        waiting[at] = place @ weights / admitted
    return loss, waiting


def mmck_loss(
    *, arrival_rate: ArrayLike, service_time: ArrayLike, servers: ArrayLike, queue_limit: ArrayLike
) -> Values:
    """Share of arrivals refused when at most `queue_limit` may wait: M/M/c/K with K = servers + queue_limit.

    queue_limit: whole, from 0 (Erlang B) to 1,000,000; other arguments as in `mmc_wait_probability`, overload
    included. Source: Gross et al., 2.5.

    >>> round(mmck_loss(arrival_rate=100.0, service_time=0.08, servers=10, queue_limit=5), 6)
    0.030038
    """
    places = _PLACES.check("queue_limit", queue_limit)
    load = _load(arrival_rate, service_time)
    return plain(_finite(load, SERVERS.check("servers", servers), places)[0])


def mmck_mean_wait(
    *, arrival_rate: ArrayLike, service_time: ArrayLike, servers: ArrayLike, queue_limit: ArrayLike
) -> Values:
    """Mean wait of the admitted requests in M/M/c/K; arguments as in `mmck_loss`. 0 without arrivals.

    Mean number waiting by the rate of the admitted, `arrival_rate * (1 - loss)` (Little). Source: Gross et al., 2.5.

    >>> round(mmck_mean_wait(arrival_rate=100.0, service_time=0.08, servers=10, queue_limit=5), 6)
    0.006514
    """
    rate = NON_NEGATIVE.check("arrival_rate", arrival_rate)
    places = _PLACES.check("queue_limit", queue_limit)
    waiting = _finite(_load(arrival_rate, service_time), SERVERS.check("servers", servers), places)[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return plain(np.where(rate > 0, waiting / rate, 0.0))
