"""A pool under control: replicas that start, fail, are taken back and leave; the GPUs they hold and what they cost.

    launch -> cold start -> up -> (failure -> repair | spot reclaimed -> replacement | not wanted -> drained) -> gone

Luck is tied to the replica's number and to how often that number has been launched. Source: chapter, footnotes on
autoscaling (model loading time) and on the economics of spot capacity.
"""

from __future__ import annotations

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
        self._launches: dict[int, int] = defaultdict(int)
        self._broken = 0
        self._service_luck = fleet.world.stream(f"fleet:service:{plan.name}")
        self._up_seconds, self._counted = 0.0, 0.0

    @property
    def size(self) -> int:
        """Replicas that take requests or are starting."""
        return len(self.replicas)

    @property
    def leaving(self) -> int:
        """GPUs of replicas that go when they have finished what they have."""
        return (len(self.gpus.replicas) - self.size) * self.plan.gpus_per_replica

    @property
    def _coming(self) -> int:
        """Replicas that are there or will be: a fixed pool waits for repairs, an autoscaler looks for others."""
        fixed = isinstance(self.plan.autoscaler, FixedReplicas)
        return self.size + (self._broken if fixed else 0)

    @property
    def ready(self) -> int:
        """Replicas that take requests."""
        return sum(replica.up for replica in self.gpus.replicas)

    def begin(self) -> None:
        """The replicas of the start take requests at once, and the autoscaler begins to look."""
        for _ in range(self.plan.replicas):
            self._launch(cold=False)
        if not isinstance(self.plan.autoscaler, FixedReplicas):
            self.env.process(self._autoscaling())

    def resize(self, target: int) -> None:
        """Have that many replicas: launch what is missing, as far as there are GPUs, or dismiss what is too many."""
        self.target = target
        while self._coming < target and self._launch(cold=True):
            pass
        for replica in self._surplus(self.size - target):
            self._dismiss(replica)

    def give_up(self, gpus: int) -> None:
        """Dismiss as many replicas as hold this many GPUs: something more important needs them."""
        for replica in self._surplus(math.ceil(gpus / self.plan.gpus_per_replica)):
            self._dismiss(replica)

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
        self._up_seconds += self.ready * (self.fleet.seconds - self._counted)
        self._counted = self.fleet.seconds
        return self._up_seconds

    def busy_seconds(self) -> float:
        """Seconds that all replicas together have worked, up to the moment the plane was advanced to."""
        return float(self.plane.busy().sum())

    def close(self) -> None:
        """Account for the replicas that are there at the end; call it once."""
        for replica in list(self.gpus.replicas):
            self._let_go(replica)

    # --- the life of a replica ---

    def _launch(self, *, cold: bool) -> bool:
        """Start one more replica; whether there were GPUs for it."""
        plan = self.plan
        if not self.gpus.take(plan.gpus_per_replica, plan.priority):
            self.counts["refused"] += 1
            return False
        taken = {replica.number for replica in self.gpus.replicas}
        number = next(n for n in range(len(taken) + 1) if n not in taken)
        spots = sum(replica.spot for replica in self.replicas.values())
        spot = plan.spot is not None and spots < int(plan.spot.share * (self.size + 1) + 1e-9)
        replica = Replica(number, spot, self.fleet.now, self.env.event())
        self.gpus.replicas.append(replica)
        self.replicas[number] = replica
        self._launches[number] += 1
        self.counts["launched"] += 1
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
        self.up_seconds()
        self.plane.add(replica.number, self.fleet.seconds)
        self.plane.slow(replica.number, 1.0 + self.extra)
        replica.up = True

    def _leave(self, replica: Replica) -> Process:
        """It takes no more requests, and goes when it has finished what it has."""
        self._stop(replica)
        while self.plane.at_work(replica.number):
            yield self.env.timeout(LOOK_AGAIN)
            self.fleet.advance()
        self._let_go(replica)

    def _break(self, replica: Replica, luck: Any) -> Process:
        assert self.plan.failures is not None
        self.counts["failures"] += 1
        self.fleet.record("replica failed", self.plan.name, f"replica {replica.number}")
        self._lose(replica)
        self._broken += 1
        yield self.env.timeout(draw(self.plan.failures.repair, luck.random))
        self._broken -= 1
        self._refill()

    def _reclaim(self, replica: Replica, notice: float, luck: Any) -> Process:
        assert self.plan.spot is not None
        self.counts["reclaimed"] += 1
        self.fleet.record("spot reclaimed", self.plan.name, f"replica {replica.number}")
        self._stop(replica)
        yield self.env.timeout(notice)
        self._lose(replica)
        self._broken += 1
        yield self.env.timeout(draw(self.plan.spot.replacement, luck.random))
        self._broken -= 1
        self._refill()

    def _refill(self) -> None:
        if self._coming < self.target:
            self._launch(cold=True)

    def _stop(self, replica: Replica) -> None:
        """It takes no more requests."""
        self.fleet.advance()
        self.up_seconds()
        self.plane.drain(replica.number, self.fleet.seconds)
        replica.up = False
        self.replicas.pop(replica.number, None)

    def _lose(self, replica: Replica) -> None:
        """It is gone, with what it was doing."""
        self.fleet.advance()
        self.up_seconds()
        self.plane.fail(replica.number, self.fleet.seconds)
        replica.up = False
        self.replicas.pop(replica.number, None)
        self._let_go(replica)

    def _let_go(self, replica: Replica) -> None:
        """Its GPUs are free and paid for."""
        plan, days = self.plan, self.fleet.now - replica.since
        discount = plan.spot.discount if replica.spot and plan.spot is not None else 0.0
        self.held[replica.spot] += days * plan.gpus_per_replica
        self.fleet.ledger.post("serving", days * plan.price * (1.0 - discount))
        self.gpus.replicas.remove(replica)
        self.gpus.release(plan.gpus_per_replica)

    def _dismiss(self, replica: Replica) -> None:
        self.replicas.pop(replica.number)
        replica.dismissed.succeed()

    def _surplus(self, number: int) -> list[Replica]:
        """The replicas that go first: those that are starting, then the idle ones, the highest numbers among equals."""
        self.fleet.advance()

        def rank(replica: Replica) -> tuple[bool, bool, int]:
            return replica.up, replica.up and self.plane.at_work(replica.number), -replica.number

        return sorted(self.replicas.values(), key=rank)[: max(number, 0)]

    def _works_for(self, replica: Replica, luck: Any) -> float:
        """Days until it fails; replicas differ in how often they do, whatever the launch."""
        failures = self.plan.failures
        assert failures is not None
        time = draw(failures.between, luck.random)
        if failures.rate_cv:
            shape = failures.rate_cv**-2
            own = self.fleet.luck(f"failure rate:{self.plan.name}", replica.number)
            time /= own.gamma(shape) / shape
        return time

    def _cold_start(self, uniform: Any) -> float:
        law = getattr(self.plan.autoscaler, "cold_start", self.fleet.cold_start)
        return draw(law, uniform)

    # --- the autoscaler ---

    def _autoscaling(self) -> Process:
        sizing = Sizing(self.plan)
        interval = self.plan.autoscaler.interval  # type: ignore[union-attr]  # a fixed pool has no process
        worked = 0.0
        while True:
            yield self.env.timeout(interval)
            self.fleet.advance()
            total = self.busy_seconds()
            load = (total - worked) / (interval * SECONDS_PER_DAY)
            worked = total
            in_system = self.plane.waiting() + self.plane.in_service()
            wanted = sizing.wanted(Reading(self.fleet.now, self.ready, self.size, load, in_system))
            if wanted != self.size:
                self.resize(wanted)
