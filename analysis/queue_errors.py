"""Waits of the simulated request plane against closed forms, by load: how far off, and how sure that is.

A case is a queue with a known answer. It is played by what a fleet is played by: requests of a world, what they need
of a pool, and the pool. What the fleet adds, stages, replicas that come and go, has no closed form and is left out.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analysis import queueing
from analysis.intervals import Interval
from analysis.statistics import mean_interval
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from sim.arrivals import arrivals_of
from sim.pool import SERVED, Served
from sim.request_planes import plane_of
from sim.service_times import request_work
from sim.world import World

Array = NDArray[np.float64]
Law = Literal["exponential", "constant", "lognormal"]
LOADS = (0.5, 0.8, 0.9, 0.95, 0.99)
SERVERS = (1, 8, 64)
SCV = 4.0
"""Squared coefficient of variation of the lognormal services."""
REQUESTS = {0.5: 500_000, 0.8: 1_000_000, 0.9: 2_000_000, 0.95: 3_000_000, 0.99: 6_000_000}
"""Of a replication that is counted, by load: the more loaded, the more the wait varies."""
RARE = 100.0
"""Requests that must be expected to wait or to be refused for an interval over replications to mean anything."""
CURVE = tuple(0.005 + 0.001 * size for size in range(1, 9))
"""Seconds of a batch of 1, ..., 8 requests."""
_Z95 = 1.6448536269514722
_SIGMA = math.sqrt(math.log1p(SCV))


def _services(law: Law) -> dict[str, Any]:
    """Services of mean 1 s, as a scenario writes them."""
    median = math.exp(-(_SIGMA**2) / 2.0)
    return {
        "exponential": {"kind": "exponential", "mean": "1s"},
        "constant": {"kind": "fixed", "value": "1s"},
        "lognormal": {
            "kind": "lognormal",
            "median": f"{median:.12f}s",
            "p95": f"{median * math.exp(_Z95 * _SIGMA):.12f}s",
        },
    }[law]


@dataclass(frozen=True)
class Case:
    """A pool under Poisson arrivals."""

    name: str
    load: float
    """Share of the time that a server would be busy if nobody were refused."""
    rate: float
    """Requests a second."""
    pool: dict[str, Any]
    """As in `serving.pools`."""

    def scenario(self, requests: float) -> Scenario:
        """A scenario in which about so many come."""
        window = 3600.0 / self.rate
        windows = math.ceil(requests / 3600.0)
        return validate_mapping(
            {
                "title": self.name,
                "horizon": f"{windows * window!r}s",
                "window": f"{window!r}s",
                "value_per_query_per_unit_accuracy": "$0",
                "quality": {"kind": "degradation", "initial_accuracy": 0.9},
                "traffic": {"rate": f"{self.rate!r}/s"},
                "serving": {"pools": [self.pool]},
            }
        )


def queue(law: Law, servers: int, load: float) -> Case:
    """One queue before `servers` that each take 1 s on average; M/M/c, M/D/c, M/G/c."""
    kind = {"exponential": "M", "constant": "D", "lognormal": "G"}[law]
    pool = {"replicas": servers, "service": _services(law)}
    return Case(f"M/{kind}/{servers}", load, load * servers, pool)


def losses(servers: int, load: float) -> Case:
    """Servers without a place to wait: Erlang's loss system."""
    pool = {"replicas": servers, "service": _services("exponential"), "queue_limit": 0}
    return Case(f"M/M/{servers}/{servers}", load, load * servers, pool)


def batches(load: float) -> Case:
    """One server that takes up to eight requests together, by `CURVE`; load: of what it can do in full batches."""
    pool = {
        "service": {"kind": "batch_curve", "times": [f"{seconds!r}s" for seconds in CURVE]},
        "max_batch": len(CURVE),
    }
    return Case("batches", load, load * float(queueing.batch_limit(curve=CURVE)), pool)


@dataclass
class Counted:
    """Sums over the requests of a run that came after the warm-up; seconds."""

    served: int = 0
    lost: int = 0
    waited: float = 0.0
    latency: float = 0.0
    longer: int = 0
    """Served after more than a given time of waiting."""
    batches: float = 0.0

    def add(self, done: Served, since: float, longer_than: float) -> None:
        """Count requests whose fate is known."""
        known = done.arrival >= since
        answered = known & (done.status == SERVED)
        arrival, start = done.arrival[answered], done.start[answered]
        wait = start - arrival
        self.served += len(wait)
        self.lost += int(np.count_nonzero(known)) - len(wait)
        self.waited += float(wait.sum())
        self.latency += float((done.finish[answered] - arrival).sum())
        self.longer += int(np.count_nonzero(wait > longer_than))
        self.batches += float((1.0 / done.batch[answered]).sum())


def served(scenario: Scenario, seed: int = 0, replication: int = 0) -> Iterator[Served]:
    """What becomes of the requests of a scenario in its first pool, block by block, to the last of them."""
    assert scenario.serving is not None
    world, plan = World(scenario, seed, replication), scenario.serving.pools[0]
    pool, luck = plane_of(plan, world), world.stream("service")
    for replica in range(plan.replicas):
        pool.add(replica, 0.0)
    for times, sizes in arrivals_of(world):
        pool.offer(times, request_work(plan, sizes, luck))
        pool.advance(float(times[-1]))
        yield pool.collect()
    pool.advance(math.inf)
    yield pool.collect()


def play(case: Case, requests: int, replication: int, longer_than: float = math.inf) -> Counted:
    """Serve about so many requests, after a warm-up that is not counted.

    requests: > 0; longer_than: seconds. The same case and replication give the same requests, byte for byte; those of
    different cases are independent.
    """
    warm_up = relaxation(case.load)
    seed = zlib.crc32(f"{case.name} {case.load}".encode())
    counted = Counted()
    for done in served(case.scenario(warm_up + requests), seed, replication):
        counted.add(done, warm_up / case.rate, longer_than)
    return counted


def relaxation(load: float) -> int:
    """Requests after which a queue has forgotten that it began empty: 20 relaxation times of M/M/1, at least 10,000.

    >>> relaxation(0.5), relaxation(0.99)
    (10000, 795995)
    """
    return max(10_000, round(20.0 / (1.0 - math.sqrt(load)) ** 2))


@dataclass(frozen=True)
class Compared:
    """One figure of one case against its closed form."""

    case: Case
    figure: str
    theory: float
    measured: Interval
    """Over replications, 95 %."""
    requests: int
    """Counted, of all replications together."""
    expected: float
    """Requests that the closed form expects to wait or to be refused, of all that are counted."""
    tail: Interval | None = None
    """Share that waits longer than the P99 of the closed form: 0.01 when right."""

    @property
    def error(self) -> float:
        """Relative difference of the measured mean to the closed form."""
        return self.measured.mean / self.theory - 1.0

    @property
    def uncertainty(self) -> float:
        """Half-width of the interval by the closed form."""
        return self.measured.half_width / self.theory

    @property
    def too_rare(self) -> bool:
        """Whether so few requests are expected to count that an interval over replications says nothing."""
        return self.expected < RARE

    @property
    def agrees(self) -> bool:
        """Whether the closed form is within the interval."""
        return self.measured.low <= self.theory <= self.measured.high


def wait_errors(
    law: Law, servers: int, loads: tuple[float, ...] = LOADS, *, replications: int = 20, scale: float = 1.0
) -> list[Compared]:
    """Mean waits of a queue against Erlang C (exponential) or Pollaczek and Khinchine (one server), by load.

    replications: >= 2; scale: of the `REQUESTS` of each. Raises ValueError where there is no closed form.
    """
    if servers > 1 and law != "exponential":
        raise ValueError(f"law: {law} services have no closed form with {servers} servers")
    found = []
    for load in loads:
        case = queue(law, servers, load)
        at = {"arrival_rate": case.rate, "service_time": 1.0}
        if law == "exponential":
            theory = float(queueing.mmc_mean_wait(**at, servers=servers))
            p99 = float(queueing.mmc_wait_quantile(**at, servers=servers, probability=0.99))
            waiting = float(queueing.mmc_wait_probability(**at, servers=servers))
        else:
            waiting = load
            scv = 0.0 if law == "constant" else SCV
            theory, p99 = float(queueing.mg1_mean_wait(**at, service_scv=scv)), math.inf
        runs = _runs(case, replications, scale, p99)
        tail = None if math.isinf(p99) or p99 == 0.0 else _interval(runs, lambda run: run.longer / run.served)
        found.append(
            _compared(case, "mean wait", theory, runs, lambda run: run.waited / run.served, waiting, tail)
        )
    return found


def loss_errors(
    servers: int, loads: tuple[float, ...] = LOADS, *, replications: int = 20, scale: float = 1.0
) -> list[Compared]:
    """Shares refused against Erlang B, by load; arguments as in `wait_errors`."""
    found = []
    for load in loads:
        case = losses(servers, load)
        theory = float(queueing.erlang_b(load=case.rate, servers=servers))
        runs = _runs(case, replications, scale)
        found.append(
            _compared(case, "loss", theory, runs, lambda run: run.lost / (run.lost + run.served), theory)
        )
    return found


def batch_errors(
    loads: tuple[float, ...] = LOADS, *, replications: int = 20, scale: float = 1.0
) -> list[Compared]:
    """Mean latency and mean batch of a server with batches against its Markov chain, two rows a load."""
    found = []
    for load in loads:
        case = batches(load)
        exact = queueing.batch_service(arrival_rate=case.rate, curve=CURVE)
        runs = _runs(case, replications, scale)
        found.append(
            _compared(case, "mean latency", exact.mean_latency, runs, lambda run: run.latency / run.served)
        )
        found.append(
            _compared(case, "mean batch", exact.mean_batch, runs, lambda run: run.served / run.batches)
        )
    return found


def _runs(case: Case, replications: int, scale: float, longer_than: float = math.inf) -> list[Counted]:
    requests = round(scale * REQUESTS[case.load])
    return [play(case, requests, number, longer_than=longer_than) for number in range(replications)]


def _interval(runs: list[Counted], figure: Callable[[Counted], float]) -> Interval:
    return mean_interval(np.array([figure(run) for run in runs]))


def _compared(
    case: Case,
    name: str,
    theory: float,
    runs: list[Counted],
    figure: Callable[[Counted], float],
    share: float = 1.0,
    tail: Interval | None = None,
) -> Compared:
    """share: of the requests that the closed form expects to matter for the figure."""
    requests = sum(run.served + run.lost for run in runs)
    return Compared(case, name, theory, _interval(runs, figure), requests, share * requests, tail)


def replay_figures(scenario: Scenario) -> dict[str, float]:
    """A recorded trace served by a scenario's first pool: the columns of the reference replay, in its order.

    Utilisation is over the time from the first request to the last answer; times in seconds.
    """
    assert scenario.serving is not None
    parts = list(served(scenario))
    arrival, start, finish = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("arrival", "start", "finish")
    )
    wait, response = start - arrival, finish - arrival
    span = float(finish.max() - arrival.min()) * scenario.serving.pools[0].replicas
    return {
        "utilisation": float((finish - start).sum()) / span,
        "mean_wait_s": float(wait.mean()),
        "p50_response_s": float(np.quantile(response, 0.5)),
        "p99_response_s": float(np.quantile(response, 0.99)),
        "p99_wait_s": float(np.quantile(wait, 0.99)),
        "max_wait_s": float(wait.max()),
    }
