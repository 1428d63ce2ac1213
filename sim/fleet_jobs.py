"""Jobs that need GPUs: they wait for them, work, write checkpoints, are interrupted, and begin again.

    asked -> (GPUs of the pool, from replicas or jobs of lower priority | hardware of its own) -> work -> done
                 ^------------ interrupted: what came after the last checkpoint is lost ------'

Source: chapter, 'Infrastructure Management' and the footnote on the economics of cloud training (spot capacity).
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import simpy

from scenarios.serving_jobs import Job
from sim.durations import AnyDuration, draw

if TYPE_CHECKING:
    from sim.fleet import Fleet

Process = Generator[simpy.Event, Any, None]
_SLACK = 1e-12


@dataclass
class JobRecord:
    """One job, from the moment it was asked for."""

    name: str
    number: int
    asked: float
    """Days, as all times here."""
    work: float
    """Working time that it needs."""
    started: float = math.nan
    finished: float = math.nan
    lost: float = 0.0
    """Working time that interruptions have undone."""
    interruptions: int = 0
    gpu_days: float = 0.0
    """Held, checkpoints and lost work included."""
    cost: float = 0.0


@dataclass(eq=False)
class Stint:
    """A stretch of time in which a job holds GPUs."""

    fleet: Fleet
    record: JobRecord
    gpus: int
    price: float
    """Of one of them for a day."""
    since: float = field(init=False)

    def __post_init__(self) -> None:
        self.since = self.fleet.now
        self.fleet.stints.append(self)
        if math.isnan(self.record.started):
            self.record.started = self.since

    def end(self) -> None:
        """They are held until now, and paid for."""
        self.fleet.stints.remove(self)
        days = (self.fleet.now - self.since) * self.gpus
        self.record.gpu_days += days
        self.record.cost += days * self.price
        self.fleet.ledger.post("retrain_compute", days * self.price)


def jobs(fleet: Fleet, plan: Job) -> Process:
    """One job after the other is asked for; each goes its own way."""
    luck = fleet.luck(f"job:{plan.name}", 0)
    number = 0
    if plan.on is not None:
        return  # the pipeline asks for it
    if plan.cadence is not None:
        # Those of before the fleet begins were asked for then.
        number = max(math.ceil((fleet.begin - plan.first) / plan.cadence - 1e-9), 0)
        yield fleet.env.timeout(max(plan.first + number * plan.cadence - fleet.begin, 0.0))
    while True:
        if plan.rate is not None:
            yield fleet.env.timeout(luck.exponential(1.0 / plan.rate))
        fleet.env.process(job(fleet, plan, number))
        number += 1
        if plan.cadence is not None:
            yield fleet.env.timeout(plan.cadence)


def job(fleet: Fleet, plan: Job, number: int, work: float | None = None) -> Process:
    """One job, until it has done all of its work (days); that of the plan when None."""
    luck = fleet.luck(f"job:{plan.name}", number + 1)
    if work is None:
        assert plan.duration is not None  # the schema asks for it where the pipeline does not
        work = draw(plan.duration, luck.random)
    record = JobRecord(plan.name, number, fleet.now, work)
    fleet.jobs.append(record)
    left = record.work
    while left > _SLACK:
        restart = plan.restart if record.interruptions else 0.0
        if plan.pool is None:
            done = yield from _on_own_hardware(fleet, plan, record, left, restart, luck)
        else:
            done = yield from _in_pool(fleet, plan, record, left, restart)
        left -= done
    record.finished = fleet.now
    fleet.record("job done", plan.name, f"number {number}, {record.interruptions} interruptions")


def time_of(work: float, plan: Job) -> float:
    """How long some work takes with its checkpoints, of which the last piece of work needs none.

    >>> training = Job(name="t", duration="10h", cadence="1d", checkpoint="2h", checkpoint_cost="6min")
    >>> round(24 * time_of(10 / 24, training), 3)
    10.4
    """
    if plan.checkpoint is None:
        return work
    return work + max(math.ceil(work / plan.checkpoint - 1e-9) - 1, 0) * plan.checkpoint_cost


def saved_after(elapsed: float, plan: Job) -> float:
    """Work that is kept when a job is interrupted after a while: up to the last checkpoint that was finished.

    >>> training = Job(name="t", duration="10h", cadence="1d", checkpoint="2h", checkpoint_cost="6min")
    >>> [round(24 * saved_after(hours / 24, training), 3) for hours in (2.05, 2.1, 5)]
    [0.0, 2.0, 4.0]
    """
    if plan.checkpoint is None:
        return 0.0
    return math.floor(elapsed / (plan.checkpoint + plan.checkpoint_cost) + 1e-9) * plan.checkpoint


def work_after(elapsed: float, plan: Job) -> float:
    """Work that a job has done after a while: without the time that went into checkpoints.

    >>> training = Job(name="t", duration="10h", cadence="1d", checkpoint="2h", checkpoint_cost="6min")
    >>> [round(24 * work_after(hours / 24, training), 3) for hours in (1, 2.05, 2.1, 5)]
    [1.0, 2.0, 2.0, 4.8]
    """
    saved = saved_after(elapsed, plan)
    if plan.checkpoint is None:
        return elapsed
    since = elapsed - saved / plan.checkpoint * (plan.checkpoint + plan.checkpoint_cost)
    return saved + min(max(since, 0.0), plan.checkpoint)


def _in_pool(
    fleet: Fleet, plan: Job, record: JobRecord, left: float, restart: float
) -> Generator[Any, Any, float]:
    """Work on GPUs of a pool until it is done or interrupted; the work that is done for good."""
    pool = fleet.pool(plan.pool)
    gpus, stopped = pool.gpus, fleet.env.event()
    with gpus.waiting(plan.gpus, plan.priority):
        while not gpus.take(plan.gpus, plan.priority):
            if plan.priority > pool.plan.priority:
                pool.give_up(gpus.awaited(plan.priority) - gpus.free - pool.leaving)
            yield gpus.freed
    stint = Stint(fleet, record, plan.gpus, pool.plan.accelerator.price)
    fleet.record("job started", plan.name, f"number {record.number}, {plan.gpus} GPUs of {pool.plan.name}")

    def interrupt() -> None:
        stint.end()
        gpus.release(plan.gpus)
        stopped.succeed()

    needed = restart + time_of(left, plan)
    if plan.preemptible:
        with gpus.interruptible(plan.gpus, plan.priority, interrupt):
            yield fleet.env.timeout(needed) | stopped
    else:
        yield fleet.env.timeout(needed)
    if stopped.triggered:
        return _interrupted(fleet, plan, record, left, fleet.now - stint.since - restart)
    stint.end()
    gpus.release(plan.gpus)
    pool.resize(pool.target)
    return left


def _on_own_hardware(
    fleet: Fleet, plan: Job, record: JobRecord, left: float, restart: float, luck: Any
) -> Generator[Any, Any, float]:
    """Work on hardware that is rented for it until it is done, taken back or broken; the work done for good."""
    needed = restart + time_of(left, plan)
    fails = _first_of(plan.gpus, None if plan.failures is None else plan.failures.between, luck)
    taken = _first_of(plan.gpus, None if plan.spot is None else plan.spot.lifetime, luck)
    discount = 0.0 if plan.spot is None else plan.spot.discount
    stint = Stint(fleet, record, plan.gpus, plan.hardware.price * (1.0 - discount))
    lasts = min(needed, fails, taken)
    yield fleet.env.timeout(lasts)
    stint.end()
    if lasts == needed:
        return left
    done = _interrupted(fleet, plan, record, left, lasts - restart)
    if lasts == taken:
        assert plan.spot is not None
        yield fleet.env.timeout(draw(plan.spot.replacement, luck.random))
    else:
        assert plan.failures is not None
        yield fleet.env.timeout(draw(plan.failures.repair, luck.random))
    return done


def _first_of(gpus: int, law: AnyDuration | None, luck: Any) -> float:
    """Days until the first of so many is lost."""
    return math.inf if law is None else min(draw(law, luck.random) for _ in range(gpus))


def _interrupted(fleet: Fleet, plan: Job, record: JobRecord, left: float, elapsed: float) -> float:
    """Note an interruption after some time of work and checkpoints; the work that was saved."""
    elapsed = max(elapsed, 0.0)
    saved = min(saved_after(elapsed, plan), left)
    record.interruptions += 1
    record.lost += max(min(work_after(elapsed, plan), left) - saved, 0.0)
    fleet.record("job interrupted", plan.name, f"number {record.number}")
    return saved
