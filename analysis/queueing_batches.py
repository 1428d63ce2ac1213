"""Servers that take several requests at once: the limit of batching, its mean latency, and bounds of that.

Requests arrive as a Poisson process at one server, which starts as soon as it is free and somebody waits, with all
that wait up to the largest batch; a batch of b takes a constant time that depends on b. (A server that holds a batch
back for others is not covered; its limit is the same.) A curve has the times of batches of 1, 2, ... up to the
largest. Conventions as in `analysis.queueing`, which has all of this under one name.

Sources: Inoue, 'Queueing analysis of GPU-based inference servers with dynamic batching: a closed-form
characterization', Performance Evaluation 147, 2021; Neuts, 'A general class of bulk queues with Poisson input',
Annals of Mathematical Statistics 38, 1967.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import gammaln, xlogy

from analysis.queueing_markov import SERVERS, Array
from analysis.ranges import NON_NEGATIVE, POSITIVE, Values, plain

_MOST_ENTRIES = 20_000_000


def _curve(curve: ArrayLike) -> Array:
    times = POSITIVE.check("curve", curve)
    if times.ndim != 1 or len(times) == 0:
        raise ValueError("curve: expected the times of batches of 1, 2, ... up to the largest")
    return times


def batch_limit(*, curve: ArrayLike, replicas: ArrayLike = 1) -> Values:
    """Arrival rate from which on batches cannot keep up: `replicas * max_batch / curve[max_batch]`.

    curve: time of a batch of 1, 2, ..., max_batch, each > 0; replicas: whole, from 1 to 1,000,000. Under overload all
    batches are full, so only the last time counts, also where a smaller batch would get more done.

    >>> round(batch_limit(curve=[0.010, 0.012, 0.014, 0.016]), 6)
    250.0
    """
    times = _curve(curve)
    return plain(SERVERS.check("replicas", replicas) * len(times) / times[-1])


# ---------------------------------------------------------------- any curve, numerically exact


class BatchService(NamedTuple):
    """How a server with batches does in the long run."""

    mean_latency: float
    """From arrival to the end of its batch."""
    mean_batch: float
    """Requests by batch."""
    utilisation: float
    """Share of the time that the server is busy."""


def batch_service(*, arrival_rate: float, curve: ArrayLike) -> BatchService:
    """Mean latency, mean batch and utilisation of one server with batches of constant times, any curve.

    arrival_rate: > 0; curve: as in `batch_limit`. From the Markov chain of the number waiting when a batch ends, cut
    where what is beyond has a probability below 1e-16. From `batch_limit` on the latency is infinite; raises
    ValueError within some ten-thousandths below it, where the chain is too long. Source: Neuts (1967).

    >>> done = batch_service(arrival_rate=200.0, curve=[0.010, 0.012, 0.014, 0.016])
    >>> round(done.mean_latency, 5), round(done.mean_batch, 3), round(done.utilisation, 3)
    (0.02582, 2.773, 0.977)
    """
    rate, times = float(POSITIVE.check("arrival_rate", arrival_rate)), _curve(curve)
    largest = len(times)
    if rate * times[-1] >= largest:
        return BatchService(math.inf, float(largest), 1.0)
    chain = _waiting_at_end(rate * times)
    start = np.maximum(np.arange(len(chain)), 1)  # those there when the next batch starts
    batch = np.minimum(start, largest)
    busy = times[batch - 1]
    cycle = chain @ busy + chain[0] / rate
    present = chain @ (start * busy + rate * busy**2 / 2.0)  # integral of the number there, over a batch
    return BatchService(float(present / cycle / rate), float(chain @ batch), float(chain @ busy / cycle))


def _waiting_at_end(arrivals: Array) -> Array:
    """Distribution of the number waiting when a batch ends; `arrivals`: mean number during a batch of 1, 2, ..."""
    largest, full = len(arrivals), arrivals[-1]
    most = math.ceil(arrivals.max() + 9.0 * math.sqrt(arrivals.max())) + 20  # more do not come during a batch
    high = largest / full * 2.0  # the tail falls by z a request, where largest ln z = full (z - 1)
    while largest * math.log(high) > full * (high - 1.0):
        high *= 2.0
    root = brentq(lambda z: largest * math.log(z) - full * (z - 1.0), largest / full, high)
    states = math.ceil(40.0 / max(math.log(root), 1e-12)) + most + largest
    if states * (most + largest) > _MOST_ENTRIES:
        raise ValueError(
            f"arrival_rate: got {full / largest:.6g} of batch_limit, expected less, or a smaller largest batch"
        )
    count = np.arange(most + 1)
    come = np.exp(xlogy(count, arrivals[:, None]) - gammaln(count + 1.0) - arrivals[:, None])
    # Row by row from state i - largest to i + most; read with one column less a row, the same memory is the matrix.
    bands = np.zeros((states, largest + most + 1))
    for state in range(largest):
        first = largest - state
        bands[state, first : first + most + 1] = come[max(state, 1) - 1]
    bands[largest:, : most + 1] = come[-1]
    stride = bands.strides[1]
    moves = as_strided(bands[0, largest:], (states, states), (bands.strides[0] - stride, stride))
    return _stationary(moves, down=largest, up=most)


def _stationary(moves: Array, *, down: int, up: int) -> Array:
    """Stationary distribution of a banded chain by Grassmann, Taksar and Heyman's elimination, which changes `moves`.

    It never subtracts, so states that are hardly ever visited do no harm. What leaves past the last state stays.
    """
    states = len(moves)
    for state in range(states - 1, 0, -1):
        to = slice(max(state - down, 0), state)
        into = slice(max(state - up, 0), state)
        moves[into, state] /= moves[state, to].sum()
        moves[into, to] += np.outer(moves[into, state], moves[state, to])
    chain = np.zeros(states)
    chain[0] = 1.0
    for state in range(1, states):
        into = slice(max(state - up, 0), state)
        chain[state] = chain[into] @ moves[into, state]
        if chain[state] > 1e100:
            chain /= chain[state]
    return np.asarray(chain / chain.sum())


# ---------------------------------------------------------------- linear batch times, no largest batch: bounds


def _latency(rate: Array, per_request: Array, fixed: Array, mean_batch: Array) -> Array:
    """Mean latency given the mean batch size, which is all that it depends on, and which it falls with."""
    load = rate * per_request
    squares = (1.0 + rate * fixed * (2.0 * load + rate * fixed / mean_batch)) / (1.0 - load**2)
    own = per_request * squares + fixed
    others = rate / 2.0 * (per_request**2 * squares + 2.0 * per_request * fixed + fixed**2 / mean_batch)
    return np.asarray(own + others)


def batch_latency_upper_bound(*, arrival_rate: ArrayLike, per_request: ArrayLike, fixed: ArrayLike) -> Values:
    """Upper bound of the mean latency where a batch of b takes `per_request * b + fixed` and has no largest size.

    arrival_rate, per_request (alpha), fixed (tau0): >= 0; infinite where `arrival_rate * per_request >= 1`. With
    x = arrival_rate * alpha it is the smaller of Inoue's two closed forms: `3 tau0 / (2 (1 - x)) + alpha (x + 2) /
    (2 (1 - x^2))`, and the one that takes the mean batch as 1. Exact as the rate tends to 0 and to
    its limit, and at most 10 % too high between. With a largest batch the latency passes it near
    `batch_limit`: use `batch_service` there.
    Source: Inoue (2021).

    >>> round(batch_latency_upper_bound(arrival_rate=400.0, per_request=0.001, fixed=0.01), 6)
    0.026429
    """
    rate, alpha, tau, stable = _linear(arrival_rate, per_request, fixed)
    smallest = np.maximum(1.0, rate * tau / (1.0 - rate * alpha))
    return plain(np.where(stable, _latency(rate, alpha, tau, smallest), np.inf))


def batch_latency_lower_bound(*, arrival_rate: ArrayLike, per_request: ArrayLike, fixed: ArrayLike) -> Values:
    """Lower bound of the mean latency to `batch_latency_upper_bound`; arguments as there.

    The mean batch is `(arrival_rate * tau0 + p) / (1 - x)` where p is the share of batches during which nobody comes,
    at most `exp(-arrival_rate (alpha + tau0))` as no batch is shorter than that of one.

    >>> round(batch_latency_lower_bound(arrival_rate=400.0, per_request=0.001, fixed=0.01), 6)
    0.026409
    """
    rate, alpha, tau, stable = _linear(arrival_rate, per_request, fixed)
    largest = (rate * tau + np.exp(-rate * (alpha + tau))) / (1.0 - rate * alpha)
    return plain(np.where(stable, _latency(rate, alpha, tau, largest), np.inf))


def _linear(
    arrival_rate: ArrayLike, per_request: ArrayLike, fixed: ArrayLike
) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """The arguments, with a rate of 0 where the server is unstable, and where it is stable."""
    rate = NON_NEGATIVE.check("arrival_rate", arrival_rate)
    alpha = NON_NEGATIVE.check("per_request", per_request)
    stable = rate * alpha < 1.0
    return np.where(stable, rate, 0.0), alpha, NON_NEGATIVE.check("fixed", fixed), stable
