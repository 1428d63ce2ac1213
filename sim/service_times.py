"""From hardware and model to seconds: what a batch takes, what an iteration of a language model takes.

A batch takes overhead + input + max(arithmetic, memory): the roofline, in which the slower of the two decides. The
replica's accelerators share the work evenly. Source: chapter, 'Hardware Utilization Patterns', 'Memory Hierarchy
Effects'; Williams, Waterman, Patterson, 'Roofline', Commun. ACM 52, 2009.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenarios.accelerators import Accelerator
from scenarios.serving_pools import ServingPool
from scenarios.serving_services import BatchCurve, LanguageModel, ModelService, ServiceTime
from scenarios.units import SECONDS_PER_DAY
from sim.durations import draws, mean
from sim.pool_sequences import Iteration

Array = NDArray[np.float64]


def power_speed(accelerator: Accelerator, cap: float | None) -> float:
    """Speed of arithmetic under a power cap (watts), as a share of full speed, in (0, 1].

    Power above idle grows with the cube of the clock (voltage follows frequency), so the clock is the cube root of what
    is left: an assumption, which is mild near full power. Memory keeps its speed.

    >>> from scenarios.accelerators import preset
    >>> round(power_speed(preset("a100_80gb"), 300.0), 3), power_speed(preset("a100_80gb"), None)
    (0.894, 1.0)
    """
    if cap is None or not accelerator.peak_power or cap >= accelerator.peak_power:
        return 1.0
    idle = accelerator.idle_power
    return float(((cap - idle) / (accelerator.peak_power - idle)) ** (1.0 / 3.0))


@dataclass(frozen=True)
class BatchParts:
    """What the time of a batch is made of, in seconds, by its size 1, 2, ...; each (sizes,)."""

    arithmetic: Array
    """At the efficiency that is reached."""
    memory: Array
    input: Array
    overhead: Array
    peak_arithmetic: Array
    """At the peak of the accelerator: what utilisation counts."""
    peak_memory: Array
    prefetch: bool = False

    @property
    def seconds(self) -> Array:
        """Seconds of a batch by size."""
        work = np.maximum(self.arithmetic, self.memory)
        if self.prefetch:
            return self.overhead + np.maximum(work, self.input)
        return self.overhead + self.input + work


def batch_parts(
    service: ModelService, accelerator: Accelerator, gpus: int, largest: int, speed: float = 1.0
) -> BatchParts:
    """Times of batches of 1 to `largest` requests of a model on `gpus` accelerators.

    speed: of arithmetic, see `power_speed`
    """
    size = np.arange(1, largest + 1, dtype=np.float64)
    peak_arithmetic = size * service.flops / (accelerator.peak * gpus)
    peak_memory = (service.weights + size * service.activations) / (accelerator.memory_bandwidth * gpus)
    return BatchParts(
        arithmetic=peak_arithmetic / (service.efficiency * speed),
        memory=peak_memory / service.memory_efficiency,
        input=size * service.input / (accelerator.input_bandwidth * gpus),
        overhead=np.full(largest, service.overhead * SECONDS_PER_DAY),
        peak_arithmetic=peak_arithmetic,
        peak_memory=peak_memory,
        prefetch=service.prefetch,
    )


def batch_curve(pool: ServingPool) -> Array:
    """Seconds of a batch of 1, 2, ..., max_batch requests of work 1, (max_batch,).

    Ones for a service time, whose requests bring their seconds as work. A power cap slows arithmetic; of measured
    batches nobody knows how much of them that is, so it slows them as a whole. Raises ValueError for an llm.

    >>> pool = ServingPool.model_validate(
    ...     {"service": {"kind": "batch_curve", "fixed": "5ms", "per_item": "1ms"}, "max_batch": 4}
    ... )
    >>> batch_curve(pool).round(6).tolist()
    [0.006, 0.007, 0.008, 0.009]
    """
    service, speed = pool.service, power_speed(pool.accelerator, pool.power_cap)
    match service:
        case ServiceTime():
            return np.ones(pool.max_batch)
        case BatchCurve(times=times) if times is not None:
            return np.asarray(times[: pool.max_batch]) * (SECONDS_PER_DAY / speed)
        case BatchCurve(fixed=fixed, per_item=per_item):
            size = np.arange(1, pool.max_batch + 1)
            return np.asarray(((fixed or 0.0) + (per_item or 0.0) * size) * (SECONDS_PER_DAY / speed))
        case ModelService():
            return batch_parts(
                service, pool.accelerator, pool.gpus_per_replica, pool.max_batch, speed
            ).seconds
    raise ValueError("service: an llm has iterations, not batches")


def request_work(pool: ServingPool, sizes: Array, rng: np.random.Generator) -> Array:
    """What requests bring to a pool: seconds for a service time, else a factor on the batch, (n,).

    An llm takes tokens, (n, 2): whole numbers, at least one out.
    sizes: as `sim.arrivals` gives them, tokens in and out (n, 2) or work (n, 1)
    """
    service = pool.service
    if isinstance(service, LanguageModel):
        return np.maximum(np.rint(sizes), (0.0, 1.0))
    tokens = sizes.shape[1] == 2
    if not isinstance(service, ServiceTime):
        return np.ones(len(sizes)) if tokens else np.ascontiguousarray(sizes[:, 0])
    seconds = draws(service.time, len(sizes), rng)
    seconds *= SECONDS_PER_DAY
    if tokens:
        seconds += sizes @ (np.array([service.per_token_in, service.per_token_out]) * SECONDS_PER_DAY)
    else:
        seconds *= sizes[:, 0]
    seconds /= power_speed(pool.accelerator, pool.power_cap)
    return seconds


def seconds_alone(iteration: Iteration, tokens_in: float, tokens_out: float) -> float:
    """Seconds of a sequence that has a replica to itself, which reads its prompt and writes a token an iteration.

    >>> round(seconds_alone(Iteration(1e6, 8, overhead=0.001, prefill_per_token=1e-4, weights_read=0.02), 500, 10), 3)
    0.26
    """
    written = np.arange(int(tokens_out), dtype=np.float64)
    memory = iteration.weights_read + iteration.per_kv_token * (tokens_in + written)
    each = iteration.overhead + np.maximum(iteration.per_sequence, memory)
    return float(iteration.prefill_per_token * tokens_in + each.sum())


def sequences_of(iteration: Iteration, tokens: float) -> int:
    """Sequences of `tokens` tokens each, in and out, that run at the same time on a replica."""
    return min(iteration.max_sequences, int(iteration.kv_tokens / tokens))


def sequence_times(pool: ServingPool) -> Iteration:
    """Times of an iteration and the cache of a replica of an llm pool. Raises ValueError where the weights do not fit.

    >>> pool = ServingPool.model_validate({"accelerator": "h100_80gb", "gpus_per_replica": 4, "service": {
    ...     "kind": "llm", "parameters": "70B", "kv_per_token": "320 KiB", "max_sequences": 64}})
    >>> times = sequence_times(pool)
    >>> sequences_of(times, 8192), round(1000 * times.weights_read, 1)   # 2.7 GB of cache each; ms
    (55, 13.1)
    """
    service, accelerator, gpus = pool.service, pool.accelerator, pool.gpus_per_replica
    if not isinstance(service, LanguageModel):
        raise ValueError(f"service: a {service.kind} has no sequences, expected llm")
    speed = power_speed(accelerator, pool.power_cap)
    weights = service.parameters * service.bytes_per_parameter
    room = accelerator.memory * service.usable_memory * gpus - weights
    if room < service.kv_per_token:
        raise ValueError(f"service: the weights leave no room for the cache on {accelerator.label}")
    used = service.parameters if service.active_parameters is None else service.active_parameters
    # Two operations, a multiplication and an addition, for each parameter and token.
    per_token = 2.0 * used / (accelerator.peak * service.efficiency * speed * gpus)
    bandwidth = accelerator.memory_bandwidth * service.memory_efficiency * gpus
    return Iteration(
        overhead=service.overhead * SECONDS_PER_DAY,
        prefill_per_token=per_token,
        per_sequence=per_token,
        weights_read=used * service.bytes_per_parameter / bandwidth,
        per_kv_token=service.kv_per_token / bandwidth,
        kv_tokens=math.floor(room / service.kv_per_token),
        max_sequences=service.max_sequences,
    )


def mean_seconds(
    pool: ServingPool, tokens_in: float = 0.0, tokens_out: float = 0.0, work: float = 1.0
) -> float:
    """Mean seconds of an average request that is served alone."""
    service = pool.service
    if isinstance(service, LanguageModel):
        return seconds_alone(sequence_times(pool), tokens_in, tokens_out)
    if isinstance(service, ServiceTime):
        tokens = service.per_token_in * tokens_in + service.per_token_out * tokens_out
        days = tokens + mean(service.time) * work
        return days * SECONDS_PER_DAY / power_speed(pool.accelerator, pool.power_cap)
    return float(batch_curve(pool)[0]) * work
