"""Arrival rates that change with time: the pointwise-stationary approximation of M_t/M/c.

At each moment the queue is taken as if it had always had the rate of that moment, and what requests meet is averaged
with the rates as weights. Good where a rate lasts for many service times and is never near what the servers can do;
in the limit of slow change it is exact. It knows no backlog: a period of overload has infinite waits here, while in
truth the queue is worst after the peak. Conventions as in `analysis.queueing`, which has this under one name.

Source: Green and Kolesar, 'The pointwise stationary approximation for queues with nonstationary arrivals', Management
Science 37, 1991.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from analysis.queueing_markov import Array, Queue, crossing
from analysis.ranges import INSIDE, NON_NEGATIVE, Values, plain


def _periods(
    rates: ArrayLike, durations: ArrayLike, service_time: float, servers: ArrayLike
) -> tuple[Queue, Array]:
    """The queue of each period, and the share of the requests that arrive in it."""
    rate, length = NON_NEGATIVE.check("rates", rates), NON_NEGATIVE.check("durations", durations)
    queue = Queue(rate, service_time, servers)
    if rate.ndim != 1 or queue.waits.shape != rate.shape:
        raise ValueError("rates: expected a sequence, and one number of servers or as many as rates")
    if length.ndim and length.shape != rate.shape:
        raise ValueError(
            f"durations: got the shape {length.shape}, expected one number or {rate.shape} as rates"
        )
    requests = rate * length
    if not requests.sum() > 0:
        raise ValueError("rates: expected at least one period with arrivals")
    return queue, requests / requests.sum()


def psa_wait_probability(
    rates: ArrayLike, *, service_time: float, servers: ArrayLike, durations: ArrayLike = 1.0
) -> float:
    """Share of the requests that wait, averaged over periods: `sum(n_i C(rate_i)) / sum(n_i)`, n_i = rate by duration.

    rates: of the periods, each >= 0; servers: one number for all, or one for each; durations: likewise, >= 0
    service_time: mean, > 0. Overloaded periods count with 1. Source: Green and Kolesar (1991).

    >>> round(psa_wait_probability([40.0, 100.0, 110.0], service_time=0.08, servers=10), 4)
    0.4328
    """
    queue, share = _periods(rates, durations, service_time, servers)
    return float(share @ queue.waits)


def psa_mean_wait(
    rates: ArrayLike, *, service_time: float, servers: ArrayLike, durations: ArrayLike = 1.0
) -> float:
    """Mean wait of the requests, averaged over periods; infinite where a period is in overload.

    Arguments as in `psa_wait_probability`. With one number of servers never below the wait at
    the mean rate.

    >>> round(psa_mean_wait([40.0, 100.0, 110.0], service_time=0.08, servers=10), 6)
    0.024473
    """
    queue, share = _periods(rates, durations, service_time, servers)
    some = share > 0
    with np.errstate(divide="ignore"):
        return float(share[some] @ (queue.waits / queue.drain)[some])


def psa_wait_quantile(
    rates: ArrayLike,
    *,
    probability: ArrayLike,
    service_time: float,
    servers: ArrayLike,
    durations: ArrayLike = 1.0,
) -> Values:
    """Time within which a share `probability` in (0, 1) of all requests starts service; 0 if that many need not wait.

    Of the mixture of the periods' waits. Infinite where the overloaded periods alone have that many requests. Other
    arguments as in `psa_wait_probability`.

    >>> round(psa_wait_quantile([40.0, 100.0, 110.0], probability=0.99, service_time=0.08, servers=10), 4)
    0.2236
    """
    return _mixture_quantile(rates, durations, service_time, servers, probability, response=False)


def psa_response_quantile(
    rates: ArrayLike,
    *,
    probability: ArrayLike,
    service_time: float,
    servers: ArrayLike,
    durations: ArrayLike = 1.0,
) -> Values:
    """Time within which a share `probability` in (0, 1) of all requests has been served; see `psa_wait_quantile`.

    >>> round(psa_response_quantile([40.0, 100.0, 110.0], probability=0.99, service_time=0.08, servers=10), 4)
    0.4256
    """
    return _mixture_quantile(rates, durations, service_time, servers, probability, response=True)


def _mixture_quantile(
    rates: ArrayLike,
    durations: ArrayLike,
    service_time: float,
    servers: ArrayLike,
    probability: ArrayLike,
    *,
    response: bool,
) -> Values:
    queue, share = _periods(rates, durations, service_time, servers)
    wanted = 1.0 - INSIDE.check("probability", probability)
    stable = queue.drain > 0
    above = wanted - share[~stable].sum()  # what the periods without overload may have above the quantile
    result = np.full(above.shape, np.inf)
    tail = queue.response_above if response else queue.wait_above
    quantile = queue.response_quantile if response else queue.wait_quantile
    counted = stable & (share > 0)
    for at in np.ndindex(above.shape):
        if above[at] <= 0:
            continue
        longest = quantile(above[at])[counted].max()  # of the worst period: at least that of the mixture
        if not response and share[counted] @ queue.waits[counted] <= above[at]:
            longest = 0.0

        def excess(time: Array, allowed: float = above[at]) -> Array:
            return np.asarray(share[counted] @ tail(time)[counted] - allowed)

        result[at] = crossing(excess, 0.0, longest)
    return plain(result)
