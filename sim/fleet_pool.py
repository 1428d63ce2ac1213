"""A pool under control: replicas that start, fail, are taken back and leave; the GPUs they hold and what they cost.

    launch -> cold start -> up -> failure -> gone -> repair, and a launch again (fixed pools)
                            |---> spot reclaimed -> notice -> gone -> replacement, and a launch again
                            '---> not wanted -> drained -> gone

Its GPUs are paid for from launch to gone. A fixed pool waits for repairs; an autoscaler launches another replica at its
next decision, but it has to wait for spot capacity like everybody. Luck is tied to the replica's number and to how
often that number has been launched. Source: chapter, footnotes on autoscaling (model loading time) and on the economics
of spot capacity.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy
from numpy.typing import NDArray

from scenarios.serving_control import FixedReplicas
from scenarios.serving_pools import ServingPool
from scenarios.units import SECONDS_PER_DAY
from sim.autoscaling import Reading, Sizing
from sim.durations import draw
from sim.gpus import Gpus
from sim.pool import Pool
from sim.service_times import request_work

if TYPE_CHECKING:
    from sim.fleet import Fleet

Array = NDArray[np.float64]
Process = Generator[simpy.Event, Any, None]
LOOK_AGAIN = 1.0 / SECONDS_PER_DAY
"""Days between two looks whether a replica that leaves has finished what it has: clouds bill by the second."""


@dataclass(eq=False)
class Replica:
    """One launch of a replica."""

    number: int
    spot: bool
    since: float
    """Days: it holds its GPUs from then on."""
    dismissed: simpy.Event = field(repr=False)
    """Succeeds when it is no longer wanted."""
    up: bool = False
    """Whether it takes requests."""


class PoolControl:
    """The control plane of one pool of a fleet."""

    def __init__(self, fleet: Fleet, plan: ServingPool, plane: Pool) -> None:
        self.fleet, self.plan, self.plane = fleet, plan, plane
        self.env = fleet.env
        self.gpus = Gpus(self.env, plan.maximum * plan.gpus_per_replica)
        self.replicas: dict[int, Replica] = {}
        self.target = plan.replicas
        """Replicas that it should have; fewer while GPUs are missing or replicas are broken."""
        self.counts = dict.fromkeys(("launched", "failures", "reclaimed", "refused"), 0)
        self.held = {False: 0.0, True: 0.0}
        """GPU days that replicas have held, on demand and spot."""
        self.extra = 0.0
        """Extra work at present, as a share: rolling out a candidate."""
        self.ready = 0
        """Replicas that take requests."""
        self._launches: dict[int, int] = defaultdict(int)
        self._free_numbers: list[int] = []
        self._spots = 0
        self._awaited = 0
        """Replicas that broke or were taken back, for which others will come."""
        self._service_luck = fleet.stream(f"fleet:service:{plan.name}")
        self._up_seconds, self._since = 0.0, 0.0
        self.worked, self.was_up = 0.0, 0.0
        """Seconds of all replicas together, busy and taking requests, once the run is over."""

    @property
    def size(self) -> int:
        """Replicas that take requests or are starting."""
        return len(self.replicas)

    @property
    def leaving(self) -> int:
        """GPUs of replicas that go when they have finished what they have."""
        return (len(self.gpus.replicas) - self.size) * self.plan.gpus_per_replica

    def begin(self) -> None:
        """The replicas of the start take requests at once, and the autoscaler begins to look."""
        for _ in range(self.plan.replicas):
            self._launch(cold=False)
        if not isinstance(self.plan.autoscaler, FixedReplicas):
            self.env.process(self._autoscaling())

    def resize(self, target: int) -> None:
        """Have that many replicas: launch what is missing, as far as there are GPUs, or dismiss what is too many."""
        self.target = target
        self._refill()
        self._dismiss(self.size - target)

    def give_up(self, gpus: int) -> None:
        """Dismiss as many replicas as hold this many GPUs: something more important needs them."""
        self._dismiss(math.ceil(gpus / self.plan.gpus_per_replica))

    def work_of(self, sizes: Array) -> Array:
        """What the next requests need of this pool; sizes: as arrivals give them."""
        return request_work(self.plan, sizes, self._service_luck)

    def burden(self, extra: float) -> None:
        """All work takes this share longer from now on, besides what is being done."""
        self.extra = max(extra, 0.0)
        for replica in self.replicas.values():
            if replica.up:
                self.plane.slow(replica.number, 1.0 + self.extra)

    def up_seconds(self) -> float:
        """Seconds for which all replicas together have taken requests, up to now."""
        return self._up_seconds + self.ready * (self.fleet.seconds - self._since)

    def busy_seconds(self) -> float:
        """Seconds that all replicas together have worked, up to the moment the plane was advanced to."""
        return self.plane.worked()

    def close(self) -> None:
        """Account for the replicas that are there at the end; call it once."""
        self.worked, self.was_up = self.busy_seconds(), self.up_seconds()
        for replica in list(self.gpus.replicas):
            self._pay(replica, gone=False)

    # --- the life of a replica ---

    def _launch(self, *, cold: bool) -> bool:
        """Start one more replica; whether there were GPUs for it."""
        plan = self.plan
        if not self.gpus.take(plan.gpus_per_replica, plan.priority):
            self.counts["refused"] += 1
            return False
        number = heapq.heappop(self._free_numbers) if self._free_numbers else len(self.gpus.replicas)
        spot = plan.spot is not None and self._spots < int(plan.spot.share * (self.size + 1) + 1e-9)
        replica = Replica(number, spot, self.fleet.now, self.env.event())
        self.gpus.replicas.append(replica)
        self.replicas[number] = replica
        self._spots += spot
        self._launches[number] += 1
        self.counts["launched"] += 1
        self._record("replica launched", replica)
        self.env.process(self._life(replica, cold))
        return True

    def _life(self, replica: Replica, cold: bool) -> Process:
        luck = self.fleet.luck(f"replica:{self.plan.name}:{replica.number}", self._launches[replica.number])
        plan = self.plan
        if cold:
            yield self.env.timeout(self._cold_start(luck.random)) | replica.dismissed
        if replica.dismissed.triggered:
            self._let_go(replica)
            return
        self._take_up(replica)
        spot = plan.spot if replica.spot else None
        fails = math.inf if plan.failures is None else self._works_for(replica, luck)
        reclaimed = math.inf if spot is None else draw(spot.lifetime, luck.random)
        warned = math.inf if spot is None else max(reclaimed - spot.notice, 0.0)
        first = min(fails, warned)
        if math.isfinite(first):
            yield self.env.timeout(first) | replica.dismissed
        else:
            yield replica.dismissed
        if replica.dismissed.triggered:
            yield from self._leave(replica)
        elif fails <= warned:
            yield from self._break(replica, luck)
        else:
            yield from self._reclaim(replica, reclaimed - warned, luck)

    def _take_up(self, replica: Replica) -> None:
        self.fleet.advance()
        self.plane.add(replica.number, self.fleet.seconds)
        if self.extra:
            self.plane.slow(replica.number, 1.0 + self.extra)
        self._mark(replica, up=True)
        self._record("replica up", replica)

    def _leave(self, replica: Replica) -> Process:
        """It takes no more requests, and goes when it has finished what it has."""
        self._drain(replica)
        self._record("replica drained", replica)
        while self.plane.at_work(replica.number):
            yield self.env.timeout(LOOK_AGAIN)
            self.fleet.advance()
        self._let_go(replica)

    def _break(self, replica: Replica, luck: Any) -> Process:
        """It is gone, with what it was doing."""
        assert self.plan.failures is not None
        self.counts["failures"] += 1
        self.fleet.advance()
        self.plane.fail(replica.number, self.fleet.seconds)
        self._mark(replica, up=False)
        self._forget(replica)
        self._record("replica failed", replica)
        if isinstance(self.plan.autoscaler, FixedReplicas):
            self._awaited += 1
            yield from self._replace(replica, draw(self.plan.failures.repair, luck.random))
        else:
            self._let_go(replica)

    def _reclaim(self, replica: Replica, notice: float, luck: Any) -> Process:
        """It has the time of the notice to finish what it does, and is gone then."""
        assert self.plan.spot is not None
        self.counts["reclaimed"] += 1
        self._forget(replica)
        self._awaited += 1
        self._drain(replica)
        self._record("spot reclaimed", replica)
        yield self.env.timeout(notice)
        self.fleet.advance()
        if self.plane.at_work(replica.number):
            self.plane.fail(replica.number, self.fleet.seconds)
        yield from self._replace(replica, draw(self.plan.spot.replacement, luck.random))

    def _replace(self, replica: Replica, after: float) -> Process:
        """It is paid no more; its GPUs are of no use to anybody until there are others in their place."""
        self._pay(replica)
        yield self.env.timeout(after)
        self._awaited -= 1
        self.gpus.release(self.plan.gpus_per_replica)
        self._refill()

    def _refill(self) -> None:
        """Launch what is missing and is not awaited, as far as there are GPUs."""
        while self.size + self._awaited < self.target and self._launch(cold=True):
            pass

    def _drain(self, replica: Replica) -> None:
        """It takes no more requests."""
        self.fleet.advance()
        self.plane.drain(replica.number, self.fleet.seconds)
        self._mark(replica, up=False)

    def _mark(self, replica: Replica, *, up: bool) -> None:
        """Note that it takes requests from now on, or takes no more."""
        self._up_seconds, self._since = self.up_seconds(), self.fleet.seconds
        self.ready += up - replica.up
        replica.up = up

    def _let_go(self, replica: Replica) -> None:
        """Its GPUs are free and paid for."""
        self._pay(replica)
        self.gpus.release(self.plan.gpus_per_replica)

    def _pay(self, replica: Replica, *, gone: bool = True) -> None:
        """What it held is paid for, as it is gone, or the run is over."""
        plan, days = self.plan, self.fleet.now - replica.since
        discount = plan.spot.discount if replica.spot and plan.spot is not None else 0.0
        self.held[replica.spot] += days * plan.gpus_per_replica
        self.fleet.ledger.post("serving", days * plan.price * (1.0 - discount))
        if gone:
            self.gpus.replicas.remove(replica)
            heapq.heappush(self._free_numbers, replica.number)
            self._record("replica gone", replica)

    def _forget(self, replica: Replica) -> None:
        """It is not one of those that the pool has any more."""
        if self.replicas.pop(replica.number, None) is not None:
            self._spots -= replica.spot

    def _dismiss(self, number: int) -> None:
        """So many are not wanted any more: first those that are starting, then idle ones, the highest numbers first."""
        if number <= 0:
            return
        self.fleet.advance()

        def rank(replica: Replica) -> tuple[bool, bool, int]:
            return replica.up, replica.up and self.plane.at_work(replica.number), -replica.number

        for replica in sorted(self.replicas.values(), key=rank)[:number]:
            self._forget(replica)
            replica.dismissed.succeed()

    def _record(self, kind: str, replica: Replica) -> None:
        details = f"replica {replica.number}, spot" if replica.spot else f"replica {replica.number}"
        self.fleet.record(kind, self.plan.name, details)

    def _works_for(self, replica: Replica, luck: Any) -> float:
        """Days until it fails; replicas differ in how often they do, whatever the launch."""
        failures = self.plan.failures
        assert failures is not None
        time = draw(failures.between, luck.random)
        if failures.rate_cv:
            shape = failures.rate_cv**-2
            own = self.fleet.luck(f"failure rate:{self.plan.name}", replica.number)
            rate = own.gamma(shape) / shape
            return time / rate if rate > 0.0 else math.inf
        return time

    def _cold_start(self, uniform: Any) -> float:
        law = getattr(self.plan.autoscaler, "cold_start", self.fleet.cold_start)
        return draw(law, uniform)

    # --- the autoscaler ---

    def _autoscaling(self) -> Process:
        sizing, plane, fleet, env = Sizing(self.plan), self.plane, self.fleet, self.env
        interval = self.plan.autoscaler.interval  # type: ignore[union-attr]  # a fixed pool has no process
        scale = 1.0 / (interval * SECONDS_PER_DAY)
        worked, tick = 0.0, 0
        while True:
            tick += 1
            yield env.timeout(tick * interval - env.now)
            fleet.advance()
            total = self.busy_seconds()
            load, worked = (total - worked) * scale, total
            in_system = plane.waiting() + plane.in_service()
            self.resize(sizing.wanted(Reading(env.now, self.ready, self.target, load, in_system)))
