"""What the closed forms say of a pool: its offered load, and the latency of so many replicas without simulating them.

M/G/c: Erlang's probability to wait, waits that are exponential with the mean of Allen and Cunneen, services and stages
of the path as they are drawn; where the traffic varies, the mean over its rates as if each lasted (pointwise
stationary), or at the mean rate where they change faster than a queue does. Exact for M/M/c at a constant rate. Batches
and language models have no such form here: of them only the load is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.queueing import approximate_mgc_wait, mmc_wait_probability
from scenarios.distributions import Fixed
from scenarios.schema import Scenario
from scenarios.serving_arrivals import Trace
from scenarios.serving_pools import ServingPool
from scenarios.serving_services import LanguageModel, ServiceTime
from scenarios.units import SECONDS_PER_DAY
from sim.arrivals import Arrivals
from sim.durations import quantile
from sim.request_path import PathTimes
from sim.service_times import batch_curve, mean_seconds, request_work, sequence_times, sequences_of
from sim.traffic import expected_requests
from sim.world import World

Array = NDArray[np.float64]
REQUESTS = 20_000
"""Requests whose work is looked at."""
POINTS = 2_000
"""Equally likely times that services are made of."""
LONGEST = 1e9
"""Seconds; a longer wait has no end."""
LASTING = 30.0
"""A rate lasts when its window is this many times as long as a service."""
RATES = 40
"""Different rates of the traffic, at most."""


@dataclass(frozen=True)
class PoolLoad:
    """What a pool has to do, in requests per second and seconds."""

    rates: Array
    """Rates of the traffic of the pool, (k,), each for as long."""
    work: float
    """Mean seconds of a replica for a request, with batches as large as they may be."""
    services: Array | None
    """Equally likely times that requests are served in, (n,); None where they are served together."""
    path: Array
    """Equally likely times on the path, (n,)."""

    @property
    def rate(self) -> float:
        """Mean rate."""
        return float(self.rates.mean())

    @property
    def says(self) -> str:
        """What the closed form is, in a line."""
        rates = "the mean rate" if len(self.rates) == 1 else "its rates, as if each lasted"
        return f"M/G/c by Erlang C and Allen-Cunneen, Poisson arrivals at {rates}, exponential waits"

    @property
    def erlangs(self) -> float:
        """Replicas that the mean rate keeps busy."""
        return self.rate * self.work

    @property
    def peak_erlangs(self) -> float:
        """Replicas that the highest rate keeps busy."""
        return float(self.rates.max()) * self.work

    def above(self, replicas: int) -> Callable[[float], float]:
        """A function of time: the share of the requests that take longer from end to end; 1 in overload."""
        assert self.services is not None
        mean = float(self.services.mean())
        scv = float(self.services.var()) / mean**2
        unqueued = np.sort(self.services + self.path)
        rates = self.rates
        waits = np.asarray(mmc_wait_probability(arrival_rate=rates, service_time=mean, servers=replicas))
        mean_waits = np.asarray(
            approximate_mgc_wait(arrival_rate=rates, service_time=mean, servers=replicas, service_scv=scv)
        )
        levels = np.flatnonzero((waits > 0.0) & np.isfinite(mean_waits))
        overload = float(self.rates[~np.isfinite(mean_waits)].sum())

        def share(time: float) -> float:
            quick = unqueued[: np.searchsorted(unqueued, time, side="right")]
            found = overload + (self.rates.sum() - overload) * (1.0 - len(quick) / len(unqueued))
            for level in levels.tolist():
                drain = waits[level] / mean_waits[level]
                late = waits[level] * np.exp((quick - time) * drain).sum() / len(unqueued)
                found += self.rates[level] * late
            return float(found / self.rates.sum())

        return share

    def quantile(self, replicas: int, chance: float) -> float:
        """The quantile of the end-to-end latency, seconds; infinite in overload, NaN where there is no form."""
        if self.services is None:
            return math.nan
        above = self.above(replicas)
        low, high = 0.0, float(self.services.max() + self.path.max())
        while above(high) > 1.0 - chance:
            low, high = high, 2.0 * high
            if high > LONGEST:
                return math.inf
        while high - low > 1e-5 * high:
            middle = 0.5 * (low + high)
            if above(middle) > 1.0 - chance:
                low = middle
            else:
                high = middle
        return high

    def fewest(self, limit: float, chance: float) -> int:
        """Replicas at which the form keeps a quantile (seconds); where it never does or is not known, a first guess."""
        least = max(math.ceil(self.erlangs + 1e-9), 1)
        if self.services is None:
            return max(math.ceil(1.1 * self.peak_erlangs), 1)
        unqueued = np.sort(self.services + self.path)
        if float(np.quantile(unqueued, chance)) >= limit:
            return max(math.ceil(self.peak_erlangs) + 1, least)
        low, high = least - 1, least
        while not self.quantile(high, chance) <= limit:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            if self.quantile(middle, chance) <= limit:
                high = middle
            else:
                low = middle
        return high


def pool_load(scenario: Scenario, pool: ServingPool, seed: int = 0) -> PoolLoad:
    """The load of a pool of a scenario, from a sample of the requests of replication 0 of a seed."""
    serving = scenario.serving
    assert serving is not None
    world = World(scenario, seed, 0)
    share = serving.shares[[one.name for one in serving.pools].index(pool.name)]
    counts = expected_requests(scenario) * share
    sizes, taken = [], 0
    for block in Arrivals.of(world).blocks():
        sizes.append(block.work)
        taken += len(block.work)
        if taken >= REQUESTS:
            break
    sample = np.concatenate(sizes)[:REQUESTS] if sizes else np.ones((1, 1))
    work, services = seconds_of_work(pool, sample), None
    if pool.max_batch == 1 and not isinstance(pool.service, LanguageModel):
        services = _spread(_services(pool, sample, seed), work)
    path = PathTimes(serving.path, world.stream("path"), world.key("path"))
    times = path.of(np.arange(POINTS, dtype=np.int64))
    rates = counts / (scenario.window * SECONDS_PER_DAY)
    fleeting = isinstance(serving.arrivals, Trace) or scenario.window * SECONDS_PER_DAY < LASTING * work
    levels = np.array([rates.mean()]) if fleeting else _levels(rates)
    return PoolLoad(
        levels, work, services,
        np.random.default_rng(seed).permutation(np.resize(times, POINTS)),
    )  # fmt: skip


def seconds_of_work(pool: ServingPool, sizes: Array) -> float:
    """Mean seconds of a replica for a request of these sizes (n, k), served with as many others as it may be.

    >>> pool = ServingPool.model_validate(
    ...     {"service": {"kind": "batch_curve", "fixed": "4ms", "per_item": "1ms"}, "max_batch": 4})
    >>> round(seconds_of_work(pool, np.ones((1, 1))), 6)
    0.002
    """
    if isinstance(pool.service, LanguageModel):
        times, tokens = sequence_times(pool), request_work(pool, sizes, np.random.default_rng(0))
        read, written = tokens.mean(axis=0).tolist()
        together = max(sequences_of(times, max(read + written, 1.0)), 1)
        iteration = times.seconds(together, together * (read + 0.5 * written))
        return float(times.prefill_per_token * read + written * iteration / together)
    if isinstance(pool.service, ServiceTime):
        average = sizes.mean(axis=0).tolist()
        return mean_seconds(pool, *average) if len(average) == 2 else mean_seconds(pool, work=average[0])
    work = request_work(pool, sizes, np.random.default_rng(0))
    return float(np.min(batch_curve(pool) / np.arange(1, pool.max_batch + 1)) * work.mean())


def _services(pool: ServingPool, sizes: Array, seed: int) -> Array:
    """Seconds of requests of these sizes that are served one by one, (n,); the law of the time is drawn evenly."""
    luck = np.random.default_rng(seed)
    if not isinstance(pool.service, ServiceTime):
        return np.asarray(batch_curve(pool)[0] * request_work(pool, sizes, luck))

    def with_time(time: str) -> Array:
        law = Fixed.model_validate({"kind": "fixed", "value": time})
        fixed = pool.service.model_copy(update={"time": law})
        return request_work(pool.model_copy(update={"service": fixed}), sizes, luck)

    nothing = with_time("0d")
    chance = (luck.permutation(len(sizes)) + 0.5) / len(sizes)
    return np.asarray(nothing + (with_time("1d") - nothing) * quantile(pool.service.time, chance))


def _spread(values: Array, mean: float) -> Array:
    """POINTS equally likely values with that mean."""
    places = (np.arange(POINTS) + 0.5) / POINTS
    points = np.quantile(values, places)
    return np.asarray(points * (mean / points.mean()))


def _levels(rates: Array) -> Array:
    """At most RATES levels that stand for equally long parts of the time, sorted."""
    ordered = np.sort(rates)
    if ordered[0] == ordered[-1]:
        return np.asarray(ordered[:1])
    return np.array([part.mean() for part in np.array_split(ordered, min(RATES, len(ordered)))])
