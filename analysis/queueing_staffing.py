"""How many servers: the fewest that meet an objective in M/M/c, the square-root rule, and where the curve bends.

Conventions as in `analysis.queueing`, which has all of this under one name.

Source: Halfin and Whitt, 'Heavy-traffic limits for queues with many exponential servers', Operations Research 29, 1981.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from analysis.queueing_markov import LARGEST, Array, Queue, crossing, offered_load
from analysis.ranges import INSIDE, NON_NEGATIVE, POSITIVE, Range, Values, plain

Quantity = Literal["mean_wait", "mean_response", "wait_quantile", "response_quantile"]

_WHOLE = Range("whole numbers >= 1", lambda v: (v >= 1) & (v < np.inf) & (v == np.floor(v)))
_CURVE = Range("numbers >= 0, or infinity", lambda v: v >= 0)

# ---------------------------------------------------------------- fewest servers


def _fewest(load: float, enough: Callable[[float, float], bool]) -> float:
    """Smallest number of servers above the load for which `enough(probability to wait, servers - load)`.

    One pass of Erlang's recursion gives the probability for every number of servers on the way.
    """
    if load >= LARGEST:
        raise ValueError(f"arrival_rate * service_time: got {load:g}, expected less than {LARGEST} erlangs")
    inverse, servers = 1.0, 0
    while True:
        servers += 1
        inverse = 1.0 + servers / load * inverse if load > 0 else math.inf
        if servers > load:
            used = load / servers
            if enough(1.0 / (used + (1.0 - used) * inverse), servers - load):
                return float(servers)


def servers_for_wait_probability(
    *, arrival_rate: ArrayLike, service_time: ArrayLike, wait_probability: ArrayLike
) -> Values:
    """Fewest servers of M/M/c at which at most a share `wait_probability` in (0, 1) of the requests waits, exactly.

    arrival_rate: >= 0; service_time: mean, > 0; their product below 1,000,000. A whole number as a float, >= 1.

    >>> servers_for_wait_probability(arrival_rate=100.0, service_time=0.08, wait_probability=0.2)
    12.0
    """
    share = INSIDE.check("wait_probability", wait_probability)
    load = np.asarray(offered_load(arrival_rate=arrival_rate, service_time=service_time))
    return plain(_each(lambda a, p: _fewest(a, lambda waits, _: waits <= p), load, share))


def servers_for_wait(
    *, arrival_rate: ArrayLike, service_time: ArrayLike, wait: ArrayLike, probability: ArrayLike
) -> Values:
    """Fewest servers of M/M/c at which a share `probability` in (0, 1) of the requests waits at most `wait` (>= 0).

    Exact. Other arguments and result as in `servers_for_wait_probability`.

    >>> servers_for_wait(arrival_rate=100.0, service_time=0.08, wait=0.02, probability=0.99)
    14.0
    """
    above = 1.0 - INSIDE.check("probability", probability)
    relative = NON_NEGATIVE.check("wait", wait) / POSITIVE.check("service_time", service_time)
    load = np.asarray(offered_load(arrival_rate=arrival_rate, service_time=service_time))

    def fewest(erlangs: float, time: float, share: float) -> float:
        return _fewest(erlangs, lambda waits, spare: waits * math.exp(-spare * time) <= share)

    return plain(_each(fewest, load, relative, above))


def servers_for_response(
    *, arrival_rate: ArrayLike, service_time: ArrayLike, response: ArrayLike, probability: ArrayLike
) -> Values:
    """Fewest servers of M/M/c at which a share `probability` in (0, 1) has been served within `response` (> 0).

    Exact. Infinite where the service alone takes longer too often: `exp(-response / service_time) >= 1 - probability`.
    Other arguments and result as in `servers_for_wait_probability`.

    >>> servers_for_response(arrival_rate=100.0, service_time=0.08, response=0.4, probability=0.99)
    10.0
    """
    above = 1.0 - INSIDE.check("probability", probability)
    relative = POSITIVE.check("response", response) / POSITIVE.check("service_time", service_time)
    load = np.asarray(offered_load(arrival_rate=arrival_rate, service_time=service_time))

    def fewest(erlangs: float, time: float, share: float) -> float:
        if math.exp(-time) >= share:
            return math.inf
        return _fewest(erlangs, lambda waits, spare: _response_above(time, waits, spare) <= share)

    return plain(_each(fewest, load, relative, above))


def _response_above(time: float, waits: float, spare: float) -> float:
    """P(response > time) in units of the service time, `Queue.response_above` for one number."""
    apart = abs(spare - 1.0) * time
    mean = -math.expm1(-apart) / apart if apart > 0 else 1.0
    return math.exp(-time) + waits * time * math.exp(-min(spare, 1.0) * time) * mean


def _each(function: Callable[..., float], *arrays: Array) -> Array:
    """The function of numbers, for every element of arrays that broadcast."""
    together = np.broadcast_arrays(*arrays)
    result = np.empty(together[0].shape)
    for at in np.ndindex(result.shape):
        result[at] = function(*(float(array[at]) for array in together))
    return result


# ---------------------------------------------------------------- square-root rule


def halfin_whitt_wait_probability(slack: ArrayLike) -> Values:
    """Probability to wait with `load + slack * sqrt(load)` servers, as the load grows: `1 / (1 + b Phi(b) / phi(b))`.

    slack: b, in square roots of the load, >= 0. A limit: at 10 erlangs it is some hundredths off.
    Source: Halfin and Whitt (1981).

    >>> round(halfin_whitt_wait_probability(1.0), 4)
    0.2234
    """
    return plain(_limit(NON_NEGATIVE.check("slack", slack)))


def _limit(slack: Array) -> Array:
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        return np.asarray(
            1.0 / (1.0 + slack * ndtr(slack) * math.sqrt(2.0 * math.pi) * np.exp(slack**2 / 2.0))
        )


def square_root_servers(
    *, arrival_rate: ArrayLike, service_time: ArrayLike, wait_probability: ArrayLike
) -> Values:
    """Servers by square-root staffing: `load + b sqrt(load)`, rounded up, b for `wait_probability` in (0, 1).

    The headroom grows with the square root of the load, so its share falls as a fleet grows. The same as
    `servers_for_wait_probability`, which is exact, or one too few, at 0.01 sometimes two. Arguments as there.

    >>> square_root_servers(arrival_rate=100.0, service_time=0.08, wait_probability=0.2)
    12.0
    """
    share = INSIDE.check("wait_probability", wait_probability)
    load = np.asarray(offered_load(arrival_rate=arrival_rate, service_time=service_time))
    slack = crossing(lambda b: _limit(b) - share, np.zeros_like(share), np.full_like(share, 37.0))
    return plain(np.maximum(np.ceil(load + slack * np.sqrt(load)), np.floor(load) + 1.0))


# ---------------------------------------------------------------- the knee


class ReplicaCurve(NamedTuple):
    """A quantity of M/M/c against the number of replicas."""

    replicas: Array
    utilisation: Array
    """Offered load by replicas; 1 or more is overload."""
    values: Array
    scale: float
    """The response without a queue, mean or quantile as the quantity is: what `gain` is a share of."""
    knee: float
    """See `knee`."""


def knee(*, replicas: ArrayLike, values: ArrayLike, scale: float, gain: float = 0.05) -> float:
    """Number of replicas from which on one more saves less than `gain` of `scale`: where a curve has bent.

    replicas: at least two, whole, increasing; values: what is to be small, measured or computed, as many, >= 0 or
    infinite in overload; scale: > 0, such as the response without a queue; gain: in (0, 1).
    The definition does not depend on how far the curve is drawn. Steps of several replicas count by replica. Infinite
    where the last step still saves more, the first number of replicas where no step does.

    >>> knee(replicas=[2, 3, 4, 5], values=[9.0, 1.5, 1.04, 1.03], scale=1.0)
    4.0
    """
    count, value = _WHOLE.check("replicas", replicas), _CURVE.check("values", values)
    threshold = float(INSIDE.check("gain", gain)) * float(POSITIVE.check("scale", scale))
    if count.ndim != 1 or len(count) < 2 or (np.diff(count) <= 0).any():
        raise ValueError("replicas: expected at least two numbers, each above the one before")
    if value.shape != count.shape:
        raise ValueError(f"values: got the shape {value.shape}, expected {count.shape} as replicas has")
    with np.errstate(invalid="ignore"):
        saved = -np.diff(value) / np.diff(count)
    (worth,) = np.nonzero(~(saved < threshold))  # from infinity to infinity is NaN, and worth it
    if len(worth) == 0:
        return float(count[0])
    last = int(worth[-1]) + 1
    return math.inf if last == len(count) - 1 else float(count[last])


def replica_curve(
    *,
    arrival_rate: float,
    service_time: float,
    replicas: ArrayLike,
    quantity: Quantity = "response_quantile",
    probability: float = 0.99,
    gain: float = 0.05,
) -> ReplicaCurve:
    """A quantity of M/M/c for each number of replicas, with the knee of the curve.

    arrival_rate: > 0; service_time: mean, > 0; replicas: at least two, whole, increasing; quantity: "mean_wait",
    "mean_response", "wait_quantile" or "response_quantile", the quantiles at `probability` in (0, 1); gain: as in
    `knee`. In overload the values are infinite.

    >>> curve = replica_curve(arrival_rate=100.0, service_time=0.08, replicas=range(7, 21))
    >>> curve.knee, round(float(curve.values[curve.replicas == curve.knee][0]), 3)
    (10.0, 0.396)
    """
    if quantity not in get_args(Quantity):
        raise ValueError(f"quantity: got {quantity!r}, expected one of: {', '.join(get_args(Quantity))}")
    count = np.asarray(replicas if isinstance(replicas, np.ndarray) else list(replicas))  # type: ignore[arg-type]
    above = 1.0 - float(INSIDE.check("probability", probability))
    mean = float(POSITIVE.check("service_time", service_time))
    queue = Queue(POSITIVE.check("arrival_rate", arrival_rate), mean, count)
    scale = mean if quantity.startswith("mean") else -mean * math.log(above)
    if quantity == "wait_quantile":
        values = queue.wait_quantile(above)
    elif quantity == "response_quantile":
        values = queue.response_quantile(above)
    else:
        with np.errstate(divide="ignore"):
            values = queue.waits / queue.drain + (mean if quantity == "mean_response" else 0.0)
    bend = knee(replicas=queue.servers, values=values, scale=scale, gain=gain)
    return ReplicaCurve(queue.servers, queue.load / queue.servers, values, scale, bend)
