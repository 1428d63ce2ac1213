"""How long a replica takes: measured times, measured batches, or what the hardware allows.

A `service_time` is a time per request; a `batch_curve` one per batch; `model` and `llm` follow from the arithmetic and
the bytes of the model and the accelerator's figures (roofline). `sim.service_times` turns them into numbers.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from scenarios.base import Component
from scenarios.distributions import Duration, Fixed
from scenarios.hardware_units import Flop
from scenarios.units import Bytes, Count, Days, Fraction, PositiveCount, PositiveDays, Real

_NOTHING = Fixed(kind="fixed", value=0.0)


class ServiceTime(Component):
    """A time per request, one request after the other; with tokens it may depend on them."""

    kind: Literal["service_time"]
    time: Duration = Field(
        default=_NOTHING, description="time of a request; times its work factor, if it has one"
    )
    per_token_in: Days = Field(default=0.0, description="further time per token in")
    per_token_out: Days = Field(default=0.0, description="further time per token out")

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        if self.time == _NOTHING and not self.per_token_in and not self.per_token_out:
            raise ValueError("time: missing; expected a duration such as '12ms', or times per token")
        return self

    @property
    def per_token(self) -> bool:
        """Whether it depends on tokens."""
        return bool(self.per_token_in or self.per_token_out)


class BatchCurve(Component):
    """Measured batches: a fixed part and one per item, or the times by size."""

    kind: Literal["batch_curve"]
    fixed: Days | None = Field(default=None, description="time of a batch whatever its size")
    per_item: Days | None = Field(default=None, description="further time per request in it")
    times: list[PositiveDays] | None = Field(
        default=None, min_length=1, description="times of batches of 1, 2, 3, ... requests, instead"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        straight = self.fixed is not None or self.per_item is not None
        if straight == (self.times is not None):
            raise ValueError("give fixed and per_item, or times")
        if straight and not (self.fixed or self.per_item):
            raise ValueError("fixed: a batch takes no time, expected more than 0 in fixed or per_item")
        return self


class ModelService(Component):
    """A model on the pool's accelerator: overhead + input + max(arithmetic, memory), by the roofline.

    Source: chapter, 'Hardware Utilization Patterns', 'Memory Hierarchy Effects'.
    """

    kind: Literal["model"]
    flops: Annotated[Flop, Field(gt=0)] = Field(description="arithmetic of a request, e.g. '4.1 GFLOP'")
    weights: Annotated[Bytes, Field(gt=0)] = Field(
        description="bytes of weights, read once a batch, e.g. '51 MB'"
    )
    activations: Bytes = Field(
        default=0.0, description="bytes of activations of a request to and from memory"
    )
    input: Bytes = Field(default=0.0, description="bytes of a request that come in over the bus")
    efficiency: Annotated[Fraction, Field(gt=0)] = Field(
        default=0.5, description="share of the peak arithmetic that is reached when arithmetic is the limit"
    )
    memory_efficiency: Annotated[Fraction, Field(gt=0)] = Field(
        default=0.8, description="share of the memory's bandwidth that is reached when memory is the limit"
    )
    overhead: Days = Field(default=0.0, description="time of a batch besides: launches, copies of results")
    prefetch: bool = Field(
        default=False, description="true: inputs come in while the batch before is worked on"
    )


class LanguageModel(Component):
    """A language model with continuous batching: prefill, decoding, and a cache of keys and values.

    An iteration takes overhead + prefill + max(arithmetic of the running sequences, weights and cache read); sequences
    join and leave between iterations, and those that do not fit the cache wait. Source: chapter, 'Memory Hierarchy
    Effects'.
    """

    kind: Literal["llm"]
    parameters: Annotated[Count, Field(gt=0)] = Field(description="number of parameters, e.g. 70B")
    active_parameters: PositiveCount | None = Field(
        default=None, description="parameters used by a token, where not all are (mixture of experts)"
    )
    bytes_per_parameter: Annotated[Real, Field(gt=0, le=8)] = Field(
        default=2.0, description="2: FP16, 1: FP8"
    )
    kv_per_token: Annotated[Bytes, Field(gt=0)] = Field(
        description="bytes of keys and values per token, e.g. '320 KiB' for 70B with grouped queries"
    )
    max_sequences: PositiveCount = Field(default=256, description="most sequences that run at the same time")
    usable_memory: Annotated[Fraction, Field(gt=0)] = Field(
        default=0.9, description="share of the memory that weights and cache may take"
    )
    efficiency: Annotated[Fraction, Field(gt=0)] = Field(
        default=0.5, description="share of the peak arithmetic that is reached"
    )
    memory_efficiency: Annotated[Fraction, Field(gt=0)] = Field(
        default=0.8, description="share of the memory's bandwidth that is reached"
    )
    overhead: Days = Field(default=2e-3 / 86400.0, description="time of an iteration besides (2 ms)")

    @model_validator(mode="after")
    def _active_are_some(self) -> Self:
        if self.active_parameters is not None and self.active_parameters > self.parameters:
            raise ValueError("active_parameters must not be more than parameters")
        return self


def _time_from_plain(value: Any) -> Any:
    """Read `12ms`, and a distribution of durations, as a service time."""
    if isinstance(value, Component):
        return value
    if not isinstance(value, dict):
        return {"kind": "service_time", "time": value}
    if value.get("kind") in ("fixed", "exponential", "lognormal", "weibull", "uniform", "empirical"):
        return {"kind": "service_time", "time": value}
    return value


Service = Annotated[
    Annotated[ServiceTime | BatchCurve | ModelService | LanguageModel, Field(discriminator="kind")],
    BeforeValidator(
        _time_from_plain,
        json_schema_input_type=Duration | ServiceTime | BatchCurve | ModelService | LanguageModel,
    ),
]
"""A duration or a distribution of durations, or a mapping with `kind` and its parameters."""
