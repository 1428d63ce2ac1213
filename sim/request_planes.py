"""The request plane of a pool of a scenario: the pool that its queue and its service ask for."""

from __future__ import annotations

import math

from scenarios.serving_pools import ServingPool
from scenarios.serving_services import LanguageModel
from scenarios.units import SECONDS_PER_DAY
from sim.pool import Pool
from sim.pool_balanced import BalancedPool
from sim.pool_central import CentralPool
from sim.pool_sequences import SequencePool
from sim.service_times import batch_curve, sequence_times
from sim.world import World


def plane_of(plan: ServingPool, world: World) -> Pool:
    """The pool, without replicas."""
    key = world.key(f"balancer:{plan.name}")
    timeout = math.inf if plan.timeout is None else plan.timeout * SECONDS_PER_DAY
    if isinstance(plan.service, LanguageModel):
        times = sequence_times(plan)
        return SequencePool(times, plan.queue, key=int(key), limit=plan.queue_limit, timeout=timeout)
    curve, max_wait = batch_curve(plan), plan.max_wait * SECONDS_PER_DAY
    if plan.queue == "central":
        return CentralPool(
            max_batch=plan.max_batch, max_wait=max_wait, curve=curve, limit=plan.queue_limit, timeout=timeout,
            discipline=plan.discipline,
        )  # fmt: skip
    return BalancedPool(
        plan.queue, key=int(key), max_batch=plan.max_batch, max_wait=max_wait, curve=curve, limit=plan.queue_limit,
        timeout=timeout,
    )  # fmt: skip
