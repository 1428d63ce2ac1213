"""A serving fleet: SimPy decides about replicas and jobs, kernels serve the requests between two decisions.

Whoever decides something asks the fleet to advance first: requests are offered to the pools block by block, served up
to this moment, and those whose fate is known are counted. So memory is flat however long the run, and how often the
control plane looks never shows in what happens to a request.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import simpy
from numpy.typing import NDArray

from scenarios.distributions import Fixed
from scenarios.schema import Scenario
from scenarios.serving_jobs import Overhead
from scenarios.units import SECONDS_PER_DAY
from sim.arrivals import arrivals_of
from sim.fleet_jobs import JobRecord, Process, Stint, job, jobs
from sim.fleet_pool import PoolControl
from sim.kernels.latency_counts import fates
from sim.kernels.picking import choose
from sim.latency import LatencyRecord
from sim.ledger import Ledger
from sim.pool import SERVED, SHED, TIMED_OUT, Served
from sim.record import Event
from sim.request_path import PathTimes
from sim.request_planes import plane_of
from sim.world import World

Array = NDArray[np.float64]
SAMPLES = 20_000
"""Moments of a run at which load and queue are noted, at most."""
TINY = 1e-6
"""Seconds that are not worth a row of their own."""
COLD_START = Fixed.model_validate({"kind": "fixed", "value": "2min"})
"""Of a replica of a fixed pool that was repaired or replaced."""


class PoolTotals:
    """What became of the requests of one pool; largest: the largest batch that is told apart."""

    def __init__(self, largest: int) -> None:
        self.offered = 0
        self._counts = np.zeros(4, dtype=np.int64)
        self._sizes = np.zeros(largest + 1, dtype=np.int64)
        self._sums = np.zeros((2, 2))

    def add(self, done: Served) -> None:
        """Count requests whose fate is known."""
        fates(
            done.status,
            done.arrival,
            done.start,
            done.finish,
            done.batch,
            self._counts,
            self._sizes,
            self._sums,
        )

    @property
    def batches_by_size(self) -> Array:
        """Batches that were served, by their size from 0 on; the last place is for that and more."""
        return np.asarray(self._sizes / np.maximum(np.arange(len(self._sizes)), 1))

    @property
    def served(self) -> int:
        """Requests that were answered."""
        return int(self._counts[SERVED])

    @property
    def shed(self) -> int:
        """Requests that were refused."""
        return int(self._counts[SHED])

    @property
    def timed_out(self) -> int:
        """Requests that left."""
        return int(self._counts[TIMED_OUT])

    @property
    def waited(self) -> float:
        """Seconds, of all that were served together."""
        return float(self._sums[0].sum())

    @property
    def in_service(self) -> float:
        """Seconds from start to finish, of all together."""
        return float(self._sums[1].sum())

    @property
    def batches(self) -> float:
        """Batches in which they were served."""
        return float((self._sizes[1:] / np.arange(1, len(self._sizes))).sum())


@dataclass
class Samples:
    """Load and queue of a pool over time, one row a moment."""

    rows: list[tuple[float, float, float, int, int]] = field(default_factory=list)

    def table(self) -> pd.DataFrame:
        """time_days (end of the stretch), ready (mean replicas), busy (mean replicas), waiting, in_service."""
        return pd.DataFrame(self.rows, columns=["time_days", "ready", "busy", "waiting", "in_service"])


class Fleet:
    """The fleet of one run; `env` may hold other processes too.

    begin: day of the world at which the fleet's time starts; horizon: days from then on.
    """

    cold_start = COLD_START

    def __init__(
        self, env: simpy.Environment, world: World, ledger: Ledger, horizon: float, begin: float = 0.0
    ) -> None:
        serving = world.scenario.serving
        if serving is None:
            raise ValueError("serving: the scenario has none")
        self.env, self.world, self.ledger, self.serving = env, world, ledger, serving
        self.horizon, self.begin = horizon, begin
        self._blocks: Iterator[tuple[Array, Array]] = arrivals_of(world, begin, horizon)
        self._covered = 0.0
        self._offered = 0
        self.path = PathTimes(serving.path, self.stream("path"), world.key("path"))
        self.pools = [PoolControl(self, plan, plane_of(plan, world)) for plan in serving.pools]
        self.shares = np.array(serving.shares)
        objective = serving.objective
        limit = math.inf if objective is None else objective.limit * SECONDS_PER_DAY
        interval = 60.0 if objective is None else objective.interval * SECONDS_PER_DAY
        self.latency = LatencyRecord(horizon * SECONDS_PER_DAY, interval, limit)
        self.latency_of = (
            {plan.name: LatencyRecord(horizon * SECONDS_PER_DAY, interval, limit) for plan in serving.pools}
            if len(serving.pools) > 1
            else {serving.pools[0].name: self.latency}
        )
        self.totals = {plan.name: PoolTotals(plan.largest_batch) for plan in serving.pools}
        self.samples = {plan.name: Samples() for plan in serving.pools}
        self.jobs: list[JobRecord] = []
        self.stints: list[Stint] = []
        """Jobs at work."""
        self.events: list[Event] = []
        self._sampled: dict[str, tuple[float, float, float]] = {}
        self._advanced = 0.0

    @property
    def now(self) -> float:
        """Days since the fleet began."""
        return float(self.env.now)

    @property
    def seconds(self) -> float:
        """Seconds since the fleet began."""
        return float(self.env.now) * SECONDS_PER_DAY

    def pool(self, name: str | None) -> PoolControl:
        """The pool of that name."""
        return next(pool for pool in self.pools if pool.plan.name == name)

    def luck(self, name: str, number: int) -> np.random.Generator:
        """The random stream of the number-th thing of that name."""
        return self.world.stream_at(f"fleet:{name}{self._tail}", float(number))

    def stream(self, name: str) -> np.random.Generator:
        """A random stream for the whole run."""
        return self.world.stream(f"{name}{self._tail}")

    @property
    def _tail(self) -> str:
        """What keeps apart the luck of fleets that begin at different days, or all design days would be alike."""
        return f":{self.begin:g}" if self.begin else ""

    def record(self, kind: str, subject: str, details: str) -> None:
        """Write down what happened now."""
        self.events.append(Event(self.now, kind, subject, details))

    def train(self, days: float) -> Process:
        """A training of the pipeline, which takes so long when nothing is in its way: GPUs first, if it needs any."""
        plan = next((plan for plan in self.serving.jobs if plan.on == "training"), None)
        if plan is None:
            yield self.env.timeout(days)
            return
        number = sum(record.name == plan.name for record in self.jobs)
        yield from job(self, plan, number, days)

    def burden(self, extra: float) -> None:
        """All pools need this share more work for each request from now on; less when it is below 0."""
        self.advance()
        for pool in self.pools:
            pool.burden(pool.extra + extra)

    def start(self) -> None:
        """Start the processes of the control plane."""
        for pool in self.pools:
            pool.begin()
        for plan in self.serving.jobs:
            self.env.process(jobs(self, plan))
        for overhead in self.serving.overheads:
            self.env.process(self._overhead(overhead))
        self.env.process(self._sampling())

    def finish(self) -> None:
        """Advance to the horizon, and post what replicas and broken promises cost; call it once."""
        self.advance()
        self._collect()
        self._sample()
        for pool in self.pools:
            pool.close()
        for stint in list(self.stints):
            stint.end()
        objective = self.serving.objective
        if objective is not None:
            missed = self.latency.missed(objective.quantile, objective.max_loss) * objective.interval
            self.ledger.post("slo_penalty", missed * objective.slo_penalty)
            self.ledger.post("slo_penalty", self.latency.lost * objective.shed_price)

    # --- the request plane ---

    def advance(self) -> None:
        """Serve everything that comes and happens before now."""
        until = self.seconds
        if until <= self._advanced:
            return
        self._advanced = until
        while self._covered < until:
            block = next(self._blocks, None)
            if block is None:
                self._covered = math.inf
                break
            self._offer(*block)
            self._covered = float(block[0][-1])
            for pool in self.pools:
                pool.plane.advance(min(until, self._covered))
            self._collect()
        for pool in self.pools:
            pool.plane.advance(until)

    def _offer(self, times: Array, work: Array) -> None:
        """Deal a block of requests out to the pools, by their shares."""
        self.latency.expect(times)
        if len(self.pools) == 1:
            self._pass_on(self.pools[0], times, work)
        else:
            number = np.arange(self._offered, self._offered + len(times))
            place = choose(self.shares, number, self.world.key("bulkheads"))
            for turn, pool in enumerate(self.pools):
                mine = place == turn
                self.latency_of[pool.plan.name].expect(times[mine])
                self._pass_on(pool, times[mine], work[mine])
        self._offered += len(times)

    def _pass_on(self, pool: PoolControl, times: Array, work: Array) -> None:
        self.totals[pool.plan.name].offered += len(times)
        if len(times):
            pool.plane.offer(times, pool.work_of(work))

    def _collect(self) -> None:
        """Count the requests whose fate is known."""
        for pool in self.pools:
            done = pool.plane.collect()
            if not len(done):
                continue
            self.totals[pool.plan.name].add(done)
            latency = done.finish - done.arrival + self.path.of(done.number)
            lost = done.status != SERVED
            self.latency.add(done.arrival, latency, lost)
            if len(self.pools) > 1:
                self.latency_of[pool.plan.name].add(done.arrival, latency, lost)

    # --- what is not about one replica ---

    def _sampling(self) -> Process:
        """Note load and queue at even distances."""
        step = max(self.latency.interval / SECONDS_PER_DAY, self.horizon / SAMPLES)
        number = 0
        while True:
            number += 1
            yield self.env.timeout(number * step - self.env.now)
            self.advance()
            self._sample()

    def _sample(self) -> None:
        """Note the mean load since the last time, and the queue now."""
        for pool in self.pools:
            name = pool.plan.name
            worked, up = pool.busy_seconds(), pool.up_seconds()
            since, worked_then, up_then = self._sampled.get(name, (0.0, 0.0, 0.0))
            seconds = (self.now - since) * SECONDS_PER_DAY
            self._sampled[name] = self.now, worked, up
            if seconds > TINY:
                ready, busy = (up - up_then) / seconds, (worked - worked_then) / seconds
                self.samples[name].rows.append(
                    (self.now, ready, busy, pool.plane.waiting(), pool.plane.in_service())
                )

    def _overhead(self, plan: Overhead) -> Process:
        """Rolling out a candidate makes the work of each request longer for a while."""
        concerned = [pool for pool in self.pools if plan.pool in (None, pool.plan.name)]
        # Of one that began before the fleet does, only the rest is left.
        along = (self.begin - plan.first) % plan.cadence if self.begin > plan.first else 0.0
        wait = plan.first - self.begin if self.begin < plan.first else 0.0
        if along >= plan.lasts:
            wait, along = plan.cadence - along, 0.0
        yield self.env.timeout(wait)
        while True:
            for change in (plan.extra, -plan.extra):
                self.advance()
                for pool in concerned:
                    pool.burden(pool.extra + change)
                self.record(f"{plan.name} {'begins' if change > 0 else 'ends'}", plan.pool or "all pools", "")
                yield self.env.timeout(plan.lasts - along if change > 0 else plan.cadence - plan.lasts)
            along = 0.0


def play(scenario: Scenario, world: World, ledger: Ledger, horizon: float, begin: float = 0.0) -> Fleet:
    """Run the fleet of a scenario alone, for `horizon` days from day `begin` of the world on."""
    fleet = Fleet(simpy.Environment(), world, ledger, horizon, begin)
    fleet.start()
    fleet.env.run(until=horizon)
    fleet.finish()
    return fleet
