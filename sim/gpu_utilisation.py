"""How well the accelerators of a pool are used, and which of the source's four patterns that is.

Utilisation is of the peak, while a replica is busy and over all time: arithmetic done per arithmetic possible, bytes
moved per bytes possible. Efficiencies count as used: a kernel that reaches half of the peak and waits for nothing uses
the device fully, as the counters of the maker report it. Source: chapter, table 'GPU Utilization Patterns'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scenarios.serving_pools import ServingPool
from scenarios.serving_services import LanguageModel, ModelService, ServiceTime
from sim.service_times import batch_curve, batch_parts, power_speed, sequence_times, sequences_of

Pattern = Literal["compute-bound", "memory-bound", "I/O-bound", "batch-starved"]

REMEDIES: dict[Pattern, str] = {
    "compute-bound": "larger batch sizes, tensor parallelism within a node",
    "memory-bound": "reduce model size, quantise, optimise memory access",
    "I/O-bound": "improve the data pipeline, prefetch inputs, use SSDs",
    "batch-starved": "dynamic batching, request queuing on a single server",
}
"""What the source advises for each pattern."""

_RANGES: dict[Pattern, tuple[tuple[float, float], tuple[float, float]]] = {
    "compute-bound": ((0.85, 1.0), (0.0, 0.70)),
    "memory-bound": ((0.50, 0.85), (0.85, 1.0)),
    "I/O-bound": ((0.0, 0.50), (0.0, 0.50)),
}
"""Utilisation of arithmetic and of memory bandwidth, from and to, in the source's table."""

STARVED = 0.5
"""A pool is starved when a busy second answers less than this share of what it could with full batches."""
FULL_BATCH = 64
"""Batch that is taken as full where the pool does not batch."""


def pattern_of(gpu: float, memory: float, spiky: bool = False) -> Pattern:
    """The row of the source's table for measured utilisations in [0, 1]; the nearest one where none fits.

    spiky: whether utilisation comes in spikes ('variable' in the table)

    >>> pattern_of(0.9, 0.4), pattern_of(0.7, 0.9), pattern_of(0.3, 0.2), pattern_of(0.6, 0.5, spiky=True)
    ('compute-bound', 'memory-bound', 'I/O-bound', 'batch-starved')
    """
    if spiky:
        return "batch-starved"

    def distance(name: Pattern) -> float:
        return sum(
            max(low - value, value - high, 0.0)
            for value, (low, high) in zip((gpu, memory), _RANGES[name], strict=True)
        )

    return min(_RANGES, key=distance)


@dataclass(frozen=True)
class GpuUse:
    """How the accelerators of a pool are used; all in [0, 1] but for `mean_batch`."""

    busy: float
    """Share of the time that a replica works."""
    gpu_busy: float | None
    """Arithmetic while it works; None where only times were measured."""
    memory_busy: float | None
    """Memory bandwidth while it works."""
    input_busy: float | None
    """Share of the working time in which it waits for inputs."""
    mean_batch: float
    full_batch_share: float
    """Requests that a working second answers, as a share of those it could answer with full batches."""
    pattern: Pattern | None
    """None where nothing but times is known and batches are large enough."""

    @property
    def gpu(self) -> float | None:
        """Arithmetic over all time."""
        return None if self.gpu_busy is None else self.gpu_busy * self.busy

    @property
    def memory(self) -> float | None:
        """Memory bandwidth over all time."""
        return None if self.memory_busy is None else self.memory_busy * self.busy


def gpu_use(pool: ServingPool, rate: float, batches: Mapping[int, float]) -> GpuUse:
    """How the accelerators of a replica are used at an achieved rate and mix of batches.

    rate: requests per second that a replica answers
    batches: number, or share, of the batches of each size, by size
    Raises ValueError for an llm, which `sequence_use` is for.
    """
    sizes, shares = _mix(batches, pool.max_batch)
    curve = batch_curve(pool)
    if isinstance(pool.service, ServiceTime):
        raise ValueError(
            "service: a service_time has no curve of batches, its busy time is all that is known"
        )
    seconds = float(shares @ curve[sizes - 1])
    mean_batch = float(shares @ sizes)
    busy = min(rate / mean_batch * seconds, 1.0)
    full = _full_rate(pool)
    reached = min(mean_batch / seconds / full, 1.0) if full else 1.0
    starved = reached < STARVED
    if not isinstance(pool.service, ModelService):
        return GpuUse(busy, None, None, None, mean_batch, reached, "batch-starved" if starved else None)
    speed = power_speed(pool.accelerator, pool.power_cap)
    parts = batch_parts(pool.service, pool.accelerator, pool.gpus_per_replica, pool.max_batch, speed)
    gpu, memory, inputs = (
        min(float(shares @ part[sizes - 1]) / seconds, 1.0)
        for part in (parts.arithmetic, parts.memory, parts.input)
    )
    return GpuUse(busy, gpu, memory, inputs, mean_batch, reached, _pattern(gpu, memory, inputs, starved))


def sequence_use(
    pool: ServingPool, *, running: float, cached_tokens: float, prefill_share: float, busy: float
) -> GpuUse:
    """How the accelerators of an llm replica are used.

    running, cached_tokens: means over the iterations; prefill_share: of the working time; busy: share of the time
    """
    service = pool.service
    if not isinstance(service, LanguageModel):
        raise ValueError(f"service: a {service.kind} has no sequences")
    times = sequence_times(pool)
    decoding = times.seconds(running, cached_tokens)
    read = times.weights_read + times.per_kv_token * cached_tokens
    # While it reads prompts, arithmetic is the limit and memory is read now and then.
    gpu = prefill_share + (1.0 - prefill_share) * min(times.per_sequence * running / decoding, 1.0)
    memory = (1.0 - prefill_share) * min(read / decoding, 1.0)
    per_sequence = cached_tokens / running if running else 1.0
    most = max(sequences_of(times, max(per_sequence, 1.0)), 1)
    full = times.seconds(most, most * per_sequence)
    reached = min((running / decoding) / (most / full), 1.0)
    return GpuUse(busy, gpu, memory, 0.0, running, reached, _pattern(gpu, memory, 0.0, reached < STARVED))


def _pattern(gpu: float, memory: float, inputs: float, starved: bool) -> Pattern:
    """A limit that is reached names the pattern; below all limits small batches do, if larger ones would help."""
    limited = gpu > 0.85 or memory > 0.85 or inputs > 0.5
    if starved and not limited:
        return "batch-starved"
    return "memory-bound" if memory > 0.85 and memory > gpu else pattern_of(gpu, memory)


def _mix(batches: Mapping[int, float], largest: int) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.array(sorted(batches), dtype=np.int64)
    weights = np.array([batches[int(size)] for size in sizes], dtype=np.float64)
    if len(sizes) == 0 or sizes[0] < 1 or sizes[-1] > largest or not weights.sum() > 0 or weights.min() < 0:
        raise ValueError(f"batches: expected numbers of batches of sizes 1 to {largest}, got {dict(batches)}")
    return sizes, weights / weights.sum()


def _full_rate(pool: ServingPool) -> float:
    """Requests per working second with full batches; batching that the pool could have is looked at too."""
    largest = pool.max_batch if pool.max_batch > 1 else FULL_BATCH
    times = getattr(pool.service, "times", None)
    if times is not None:
        largest = min(largest, len(times))
    curve = batch_curve(pool.model_copy(update={"max_batch": largest}))
    return float(np.max(np.arange(1, largest + 1) / curve))
