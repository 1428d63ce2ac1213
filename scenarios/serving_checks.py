"""What only the whole scenario can tell of its serving: that shares add up, models fit, and sizes are there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from scenarios.accelerators import Accelerator
from scenarios.names import check_known, check_unique
from scenarios.serving import DesignDays, Serving
from scenarios.serving_arrivals import Renewal, SelfSimilar, Trace
from scenarios.serving_control import FixedReplicas, ScheduledReplicas
from scenarios.serving_pools import ServingPool
from scenarios.serving_services import BatchCurve, LanguageModel, ModelService, ServiceTime
from scenarios.units import format_duration
from scenarios.whole_windows import check_whole_windows

if TYPE_CHECKING:
    from scenarios.schema import Scenario

MAX_STEPS = 4_000_000
"""Steps of self-similar traffic over the horizon; the noise of all of them is drawn at once."""
MAX_REPLICAS = 100_000


def check_serving(scenario: Scenario) -> None:
    """Raise ValueError, naming the place, for a serving section that does not fit together or the scenario."""
    serving = scenario.serving
    if serving is None:
        return
    check_unique("serving.pools", (pool.name for pool in serving.pools))
    check_unique("serving.jobs", (job.name for job in serving.jobs))
    _check_shares(serving)
    _check_arrivals(scenario, serving)
    for number, pool in enumerate(serving.pools):
        _check_pool(serving, f"serving.pools[{number}]", pool)
    _check_jobs(scenario, serving)
    _check_with_policies(serving)
    _check_search(serving)
    _check_days(scenario, serving)
    _check_currency(scenario, serving)


def _check_shares(serving: Serving) -> None:
    given = [pool.share for pool in serving.pools if pool.share is not None]
    total = math.fsum(given)
    if total > 1.0 + 1e-9:
        raise ValueError(f"serving.pools: the shares add up to {total:.4g}, expected at most 1")
    if len(given) == len(serving.pools) and total < 1.0 - 1e-9:
        raise ValueError(
            f"serving.pools: the shares add up to {total:.4g}, expected 1, or a pool without a share for the rest"
        )


def _check_arrivals(scenario: Scenario, serving: Serving) -> None:
    arrivals, traffic = serving.arrivals, scenario.traffic
    if isinstance(arrivals, Trace):
        if serving.sizes.given:
            raise ValueError("serving.sizes: the trace has its own sizes, give none beside it")
        if traffic.bursts is not None or traffic.campaigns:
            raise ValueError(
                "serving.arrivals: a trace has its own bursts and campaigns, give traffic none beside it"
            )
        if arrivals.resampling == "independent" and not (arrivals.has_tokens or arrivals.work):
            raise ValueError(
                "serving.arrivals.resampling: independent mixes sizes, and the trace has no column of them"
            )
    elif isinstance(arrivals, Renewal | SelfSimilar) and traffic.arrivals == "deterministic":
        raise ValueError(
            f"traffic.arrivals: deterministic has no chance in it, and serving.arrivals is {arrivals.kind}"
        )
    if isinstance(arrivals, SelfSimilar):
        steps = scenario.horizon / arrivals.step
        if steps > MAX_STEPS:
            raise ValueError(
                f"serving.arrivals.step: the horizon has {steps:,.0f} of them, expected at most {MAX_STEPS:,}"
            )
        coarse, fine = max(arrivals.step, scenario.window), min(arrivals.step, scenario.window)
        if abs(coarse / fine - round(coarse / fine)) > 1e-6:
            raise ValueError(
                f"serving.arrivals.step: {format_duration(arrivals.step)} does not fit windows of "
                f"{format_duration(scenario.window)}, expected a whole part or a whole number of them"
            )
    recorded = serving.sizes.recorded
    if recorded is not None:
        check_whole_windows("serving.sizes.recorded.step", recorded.step, scenario.window)


def _check_pool(serving: Serving, place: str, pool: ServingPool) -> None:
    service = pool.service
    if isinstance(service, ServiceTime):
        if service.per_token and not serving.has_tokens:
            raise ValueError(
                f"{place}.service: has times per token, give serving.sizes tokens_in and tokens_out"
            )
        if pool.max_batch > 1:
            raise ValueError(
                f"{place}.max_batch: a service_time serves one request at a time, expected 1, or a batch_curve"
            )
    elif isinstance(service, BatchCurve):
        if service.times is not None and len(service.times) < pool.max_batch:
            raise ValueError(
                f"{place}.max_batch: is {pool.max_batch}, and service.times has batches of up to {len(service.times)}"
            )
    elif isinstance(service, LanguageModel):
        if not serving.has_tokens:
            raise ValueError(
                f"{place}.service: llm needs tokens, give serving.sizes tokens_in and tokens_out"
            )
        if pool.max_batch > 1 or pool.max_wait:
            raise ValueError(
                f"{place}.max_batch: an llm batches continuously, leave max_batch and max_wait out and set "
                "service.max_sequences"
            )
    if isinstance(service, BatchCurve | ModelService) and serving.has_tokens:
        raise ValueError(
            f"{place}.service: {service.kind} does not know tokens, expected service_time or llm"
        )
    if pool.max_wait and pool.max_batch == 1 and not isinstance(service, LanguageModel):
        raise ValueError(f"{place}.max_wait: there is nothing to wait for with max_batch 1")
    if pool.discipline != "fifo" and (pool.queue != "central" or isinstance(service, LanguageModel)):
        raise ValueError(
            f"{place}.discipline: {pool.discipline} needs a central queue, and a service other than llm; expected fifo"
        )
    check_fits(f"{place}.service", pool, pool.accelerator)
    _check_control(place, pool)


def check_fits(place: str, pool: ServingPool, accelerator: Accelerator) -> None:
    """Raise ValueError, naming `place`, for a model too large for a replica of the pool on `accelerator`."""
    service = pool.service
    if isinstance(service, ModelService):
        weights, usable = service.weights, accelerator.memory
    elif isinstance(service, LanguageModel):
        weights = service.parameters * service.bytes_per_parameter
        usable = accelerator.memory * service.usable_memory
    else:
        return
    room = usable * pool.gpus_per_replica
    if weights >= room:
        least = math.floor(weights / usable) + 1
        raise ValueError(
            f"{place}: the weights take {weights / 1e9:.4g} GB and a replica on {accelerator.label} has "
            f"{room / 1e9:.4g} GB for them, expected gpus_per_replica of at least {least}"
        )


def _check_control(place: str, pool: ServingPool) -> None:
    autoscaler = pool.autoscaler
    if pool.maximum > MAX_REPLICAS:
        raise ValueError(f"{place}.replicas: up to {pool.maximum:,}, expected at most {MAX_REPLICAS:,}")
    if not isinstance(autoscaler, FixedReplicas) and not pool.minimum <= pool.replicas <= pool.maximum:
        raise ValueError(
            f"{place}.replicas: {pool.replicas} is not between minimum {pool.minimum} and maximum {pool.maximum} "
            "of the autoscaler"
        )
    if isinstance(autoscaler, ScheduledReplicas):
        for number, size in enumerate(autoscaler.plan):
            if not pool.minimum <= size.replicas <= pool.maximum:
                raise ValueError(
                    f"{place}.autoscaler.plan[{number}].replicas: {size.replicas} is not between minimum "
                    f"{pool.minimum} and maximum {pool.maximum}"
                )
    if pool.power_cap is not None:
        accelerator = pool.accelerator
        if not accelerator.peak_power:
            raise ValueError(f"{place}.power_cap: needs accelerator.peak_power")
        if pool.power_cap <= accelerator.idle_power:
            raise ValueError(
                f"{place}.power_cap: {pool.power_cap:g} W is not above the idle power of {accelerator.label}, "
                f"{accelerator.idle_power:g} W"
            )


def _check_with_policies(serving: Serving) -> None:
    trainings = [number for number, job in enumerate(serving.jobs) if job.on == "training"]
    if trainings and not serving.with_policies:
        raise ValueError(
            f"serving.jobs[{trainings[0]}].on: needs serving.with_policies: true, where there are trainings"
        )
    if len(trainings) > 1:
        raise ValueError(
            f"serving.jobs[{trainings[1]}].on: each training is one job, and there is one for it already"
        )
    if serving.with_policies and isinstance(serving.resolution, DesignDays):
        raise ValueError("serving.resolution: with_policies needs every request, expected exact or auto")


def _check_jobs(scenario: Scenario, serving: Serving) -> None:
    names = tuple(pool.name for pool in serving.pools)
    for number, job in enumerate(serving.jobs):
        place = f"serving.jobs[{number}]"
        check_known(f"{place}.pool", job.pool, names)
        if job.pool is not None:
            pool = serving.pool(job.pool)
            largest = pool.maximum * pool.gpus_per_replica
            if job.gpus > largest:
                raise ValueError(
                    f"{place}.gpus: {job.gpus} are more than pool {pool.name} ever has, {largest}: the job never starts"
                )
        if job.rate is not None and job.rate * scenario.horizon > MAX_REPLICAS:
            raise ValueError(f"{place}.rate: gives {job.rate * scenario.horizon:.3g} jobs, expected fewer")
        if job.cadence is not None and scenario.horizon / job.cadence > MAX_REPLICAS:
            raise ValueError(
                f"{place}.cadence: gives {scenario.horizon / job.cadence:.3g} jobs, expected fewer"
            )
    for number, overhead in enumerate(serving.overheads):
        check_known(f"serving.overheads[{number}].pool", overhead.pool, names)


def _check_search(serving: Serving) -> None:
    search, names = serving.search, tuple(pool.name for pool in serving.pools)
    check_known("serving.search.pool", search.pool, names)
    given = [
        name for name in type(search).model_fields if name != "pool" and getattr(search, name) is not None
    ]
    if given and search.pool is None and len(names) > 1:
        raise ValueError(f"serving.search.pool: which pool is sized? one of: {', '.join(names)}")
    if search.replicas is not None and search.replicas[0] > search.replicas[1]:
        raise ValueError("serving.search.replicas: expected the fewest first, e.g. [1, 64]")
    service = serving.pool(search.pool).service
    if isinstance(service, ServiceTime | LanguageModel) and search.max_batch not in (None, [1]):
        raise ValueError(
            f"serving.search.max_batch: a pool with service {service.kind} has no batches to choose"
        )
    if isinstance(service, BatchCurve) and service.times is not None and search.max_batch is not None:
        largest = max(search.max_batch)
        if largest > len(service.times):
            raise ValueError(
                f"serving.search.max_batch: {largest} is more than the {len(service.times)} sizes of service.times"
            )
    measured = isinstance(service, ServiceTime | BatchCurve)
    if measured and search.accelerators is not None and len(search.accelerators) > 1:
        raise ValueError(
            f"serving.search.accelerators: a {service.kind} is measured on one accelerator, expected a service of kind "
            "model or llm to compare several"
        )


def _check_days(scenario: Scenario, serving: Serving) -> None:
    resolution = serving.resolution
    if isinstance(resolution, DesignDays) and resolution.days is not None:
        last = max(math.ceil(scenario.horizon - 1e-9) - 1, 0)
        if resolution.days[-1] > last:
            raise ValueError(
                f"serving.resolution.days: day {resolution.days[-1]} is not within the horizon, expected 0 to {last}"
            )


def _accelerators(serving: Serving) -> Iterator[tuple[str, Accelerator]]:
    for number, pool in enumerate(serving.pools):
        yield f"serving.pools[{number}].accelerator", pool.accelerator
    for number, job in enumerate(serving.jobs):
        if job.pool is None:
            yield f"serving.jobs[{number}].accelerator", job.hardware
    for number, accelerator in enumerate(serving.search.accelerators or []):
        yield f"serving.search.accelerators[{number}]", accelerator


def _check_currency(scenario: Scenario, serving: Serving) -> None:
    """Prices of presets are in dollars, and nothing converts them."""
    if scenario.currency == "USD":
        return
    for place, accelerator in _accelerators(serving):
        if accelerator.assumed_price and accelerator.price:
            raise ValueError(
                f"{place}: the price of {accelerator.label} is in USD, and the scenario's currency is "
                f"{scenario.currency}: give the price, {{preset: {accelerator.label}, price: ...}}"
            )
