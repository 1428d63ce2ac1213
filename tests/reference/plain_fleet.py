"""A plain, slow fleet of one pool, request by request, to check the control plane and its kernels against (SimPy).

Requests are processes in the pool of `plain_queue`; replicas, the autoscaler and shadows are processes beside them, in
the same environment. Nothing is computed ahead, and nobody is asked to advance. Luck comes from the same streams as in
the fleet: by name, and for a replica by its number and by how often that number has been launched.

Environment time is seconds; whoever decides something counts its own days, so that moments have the same last bits as
those of a control plane that runs in days.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from plain_queue import CHANGE, PlainPool

from scenarios.schema import Scenario
from scenarios.units import SECONDS_PER_DAY
from sim.arrivals import arrivals_of
from sim.durations import draw
from sim.service_times import batch_curve, request_work
from sim.world import World

COLD_START = 120.0 / SECONDS_PER_DAY
"""Of a pool without an autoscaler."""


@dataclass(eq=False)
class PlainLaunch:
    number: int
    spot: bool
    since: float
    dismissed: Any
    up: bool = False
    counted: bool = True
    """Whether it is one of the replicas that the pool has: neither dismissed nor taken back."""


@dataclass
class PlainBill:
    spot: bool
    days: float


class PlainFleet(PlainPool):
    def __init__(self, scenario: Scenario, world: World) -> None:
        serving = scenario.serving
        assert serving is not None
        assert len(serving.pools) == 1
        self.plan, self.world, self.horizon = serving.pools[0], world, scenario.horizon
        blocks = list(arrivals_of(world))
        times = np.concatenate([block[0] for block in blocks])
        luck = world.stream(f"fleet:service:{self.plan.name}")
        work = np.concatenate([request_work(self.plan, block[1], luck) for block in blocks])
        super().__init__(
            times.tolist(),
            work.tolist(),
            [],
            max_batch=self.plan.max_batch,
            max_wait=self.plan.max_wait * SECONDS_PER_DAY,
            curve=batch_curve(self.plan).tolist(),
            limit=self.plan.queue_limit,
            timeout=math.inf if self.plan.timeout is None else self.plan.timeout * SECONDS_PER_DAY,
            discipline=self.plan.discipline,
        )
        self.begun: dict[int, float] = {}
        """Seconds at which a replica began what it does."""
        self.there: list[PlainLaunch] = []
        self.launches: dict[int, int] = {}
        self.wanted = self.plan.replicas
        self.awaited, self.missing = 0, 0
        """Replicas in whose place others will come, and those of them that are gone."""
        self.extra = 0.0
        self.bills: list[PlainBill] = []
        self.told: list[tuple[float, str, int]] = []
        self.has_autoscaler = self.plan.autoscaler.kind != "fixed"
        for _ in range(self.plan.replicas):
            self.launch(0.0, cold=False)
        if self.has_autoscaler:
            self.env.process(self.autoscaler())
        for overhead in serving.overheads:
            self.env.process(self.shadow(overhead))

    def play(self) -> None:
        self.run(self.horizon * SECONDS_PER_DAY)
        self.bills += [PlainBill(one.spot, self.horizon - one.since) for one in self.there]

    def at(self, day: float) -> Any:
        return self.moment(day * SECONDS_PER_DAY, CHANGE)

    def luck(self, name: str, number: int) -> np.random.Generator:
        return self.world.stream_at(f"fleet:{name}", float(number))

    def tell(self, day: float, what: str, launch: PlainLaunch) -> None:
        self.told.append((day, what, launch.number))

    def do(self, name: str, number: int, factor: float = 1.0) -> None:
        self.env.process(self.command(self.env.now, name, number, factor))

    # --- replicas ---

    def counted(self) -> list[PlainLaunch]:
        return [one for one in self.there if one.counted]

    def launch(self, day: float, *, cold: bool) -> bool:
        if len(self.there) + self.missing >= self.plan.maximum:
            return False
        number = min(set(range(len(self.there) + 1)) - {one.number for one in self.there})
        mine, spot = self.counted(), False
        if self.plan.spot is not None:
            allowed = math.floor(self.plan.spot.share * (len(mine) + 1) + 1e-9)
            spot = sum(one.spot for one in mine) < allowed
        launch = PlainLaunch(number, spot, day, self.env.event())
        self.there.append(launch)
        self.launches[number] = self.launches.get(number, 0) + 1
        self.tell(day, "replica launched", launch)
        luck = self.luck(f"replica:{self.plan.name}:{number}", self.launches[number])
        self.env.process(self.life(launch, day, luck, cold))
        return True

    def refill(self, day: float) -> None:
        while len(self.counted()) + self.awaited < self.wanted:
            if not self.launch(day, cold=True):
                return

    def life(
        self, launch: PlainLaunch, day: float, luck: np.random.Generator, cold: bool
    ) -> Generator[Any, Any, None]:
        plan = self.plan
        if cold:
            law = getattr(plan.autoscaler, "cold_start", None)
            day += COLD_START if law is None else draw(law, luck.random)
            yield self.at(day) | launch.dismissed
            if launch.dismissed.triggered:
                self.gone(launch, launch.dismissed.value)
                return
        self.do("add", launch.number)
        self.do("slow", launch.number, 1.0 + self.extra)
        launch.up = True
        self.tell(day, "replica up", launch)
        breaks, warned, taken = math.inf, math.inf, math.inf
        if plan.failures is not None:
            breaks = draw(plan.failures.between, luck.random)
            if plan.failures.rate_cv:
                shape = plan.failures.rate_cv**-2
                breaks /= self.luck(f"failure rate:{plan.name}", launch.number).gamma(shape) / shape
        if launch.spot:
            taken = draw(plan.spot.lifetime, luck.random)
            warned = max(taken - plan.spot.notice, 0.0)
        if min(breaks, warned) < math.inf:
            yield self.at(day + min(breaks, warned)) | launch.dismissed
        else:
            yield launch.dismissed
        launch.up = False
        if launch.dismissed.triggered:
            day = launch.dismissed.value
            self.do("drain", launch.number)
            self.tell(day, "replica drained", launch)
            while self.works(launch.number):
                day += 1.0 / SECONDS_PER_DAY
                yield self.at(day)
            self.gone(launch, day)
            return
        launch.counted = False
        if breaks <= warned:
            day += breaks
            self.do("fail", launch.number)
            self.tell(day, "replica failed", launch)
            self.gone(launch, day)
            if self.has_autoscaler:
                return
            self.awaited += 1
            replaced = draw(plan.failures.repair, luck.random)
        else:
            day += warned
            self.awaited += 1
            self.do("drain", launch.number)
            self.tell(day, "spot reclaimed", launch)
            day += taken - warned
            yield self.at(day)
            self.do("fail", launch.number)
            self.gone(launch, day)
            replaced = draw(plan.spot.replacement, luck.random)
        self.missing += 1
        yield self.at(day + replaced)
        self.missing -= 1
        self.awaited -= 1
        self.refill(day + replaced)

    def works(self, number: int) -> bool:
        return self.replicas[number].process is not None

    def gone(self, launch: PlainLaunch, day: float) -> None:
        self.there.remove(launch)
        self.bills.append(PlainBill(launch.spot, day - launch.since))
        self.tell(day, "replica gone", launch)

    # --- who decides ---

    def autoscaler(self) -> Generator[Any, Any, None]:
        rule = self.plan.autoscaler
        history = [(0.0, self.plan.replicas)]
        worked, tick = 0.0, 0
        while True:
            tick += 1
            day = tick * rule.interval
            yield self.at(day)
            serving = [replica for replica in self.replicas.values() if replica.process is not None]
            total = sum(self.busy.values()) + sum(self.env.now - self.begun[one.number] for one in serving)
            load = (total - worked) / (rule.interval * SECONDS_PER_DAY)
            worked = total
            present = len(self.waiting) + sum(len(replica.batch) for replica in serving)
            ready = sum(one.up for one in self.there)
            needed = (load if rule.kind == "target_utilisation" else present) / rule.target
            if ready > 0 and abs(needed / ready - 1.0) <= rule.tolerance:
                asked = self.wanted
            else:
                asked = math.ceil(needed - 1e-9)
            if present > 0:
                asked = max(asked, 1)
            asked = min(max(asked, self.plan.minimum), self.plan.maximum)
            history.append((day, asked))
            recent = [size for when, size in history if when >= day - rule.cool_down - 1e-9]
            self.wanted = asked if asked >= self.wanted else min(max(recent), self.wanted)
            self.refill(day)
            self.dismiss(day, len(self.counted()) - self.wanted)

    def dismiss(self, day: float, number: int) -> None:
        def order(one: PlainLaunch) -> tuple[int, int]:
            stage = 0 if not one.up else 2 if self.works(one.number) else 1
            return stage, -one.number

        for one in sorted(self.counted(), key=order)[: max(number, 0)]:
            one.counted = False
            one.dismissed.succeed(day)

    def shadow(self, plan: Any) -> Generator[Any, Any, None]:
        day = plan.first
        while True:
            for extra, lasts in ((plan.extra, plan.lasts), (-plan.extra, plan.cadence - plan.lasts)):
                yield self.at(day)
                self.extra += extra
                for one in self.there:
                    if one.up:
                        self.do("slow", one.number, 1.0 + self.extra)
                day += lasts

    def serve(self, replica: Any) -> Generator[Any, Any, None]:
        self.begun[replica.number] = self.env.now
        yield from super().serve(replica)
