"""What else needs GPUs: retraining and batch jobs, and the extra work of rolling out a model."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scenarios.accelerators import AnyAccelerator, preset
from scenarios.base import Component
from scenarios.distributions import Duration
from scenarios.serving_control import ReplicaFailures, Spot
from scenarios.units import Days, Fraction, PositiveCount, PositiveDays, PositivePerDay


class Job(Component):
    """A retraining or batch job that comes again and again, on a pool's GPUs or on hardware of its own."""

    name: str = Field(min_length=1, description="name in tables")
    pool: str | None = Field(
        default=None,
        description="the pool whose GPUs it takes; hardware of its own, rented while it runs, when absent",
    )
    gpus: PositiveCount = Field(default=1, description="accelerators that it needs, all at once")
    duration: Duration | None = Field(
        default=None,
        description="working time, without interruptions and checkpoints; that of the stage with on",
    )
    on: Literal["training"] | None = Field(
        default=None,
        description="training: each training of the pipeline is such a job, instead of a cadence (with_policies)",
    )
    cadence: PositiveDays | None = Field(default=None, description="time between two starts, e.g. 1d")
    rate: PositivePerDay | None = Field(
        default=None, description="starts per day at random moments (Poisson), instead of a cadence"
    )
    first: Days = Field(default=0.0, description="moment of the first start, with a cadence")
    priority: int = Field(
        default=0, description="higher goes first; a job takes replicas from a pool whose priority is lower"
    )
    preemptible: bool = Field(
        default=True, description="whether something of higher priority may interrupt it"
    )
    checkpoint: PositiveDays | None = Field(
        default=None,
        description="working time between two checkpoints; an interruption loses all work when absent",
    )
    checkpoint_cost: Days = Field(default=0.0, description="time that writing a checkpoint takes")
    restart: Days = Field(
        default=0.0, description="time to begin again from a checkpoint after an interruption"
    )
    accelerator: AnyAccelerator | None = Field(
        default=None, description="of hardware of its own; a100_80gb when absent"
    )
    spot: Spot | None = Field(default=None, description="hardware of its own that may be taken back")
    failures: ReplicaFailures | None = Field(
        default=None, description="how each accelerator of its own fails; one failure interrupts the job"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if sum(given is not None for given in (self.cadence, self.rate, self.on)) != 1:
            raise ValueError("give exactly one of cadence, rate and on")
        if (self.duration is None) == (self.on is None):
            raise ValueError("duration: is that of the stage with on: training, and needed without it")
        if self.rate is not None and self.first:
            raise ValueError("first: needs a cadence")
        if self.checkpoint is None and self.checkpoint_cost:
            raise ValueError("checkpoint_cost: needs checkpoint, the time between two checkpoints")
        for field in ("accelerator", "spot", "failures"):
            if self.pool is not None and getattr(self, field) is not None:
                raise ValueError(f"{field}: is for hardware of its own, and the job runs in pool {self.pool}")
        return self

    @property
    def hardware(self) -> AnyAccelerator:
        """The accelerator of hardware of its own."""
        return preset("a100_80gb") if self.accelerator is None else self.accelerator


class Overhead(Component):
    """Extra work of the replicas while a candidate is tried: in a shadow, requests are computed twice.

    Source: chapter, 'Shadow Deployment': 10 to 20 % more compute.
    """

    name: str = Field(default="shadow", min_length=1, description="name in tables")
    pool: str | None = Field(default=None, description="the pool that does it; all of them when absent")
    extra: Annotated[Fraction, Field(gt=0)] = Field(
        default=0.15, description="service takes this much longer meanwhile, e.g. 15%"
    )
    cadence: PositiveDays = Field(description="time between two starts, e.g. 30d")
    first: Days = Field(default=0.0, description="moment of the first start")
    lasts: PositiveDays = Field(default=1.0, description="how long it lasts")

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.lasts > self.cadence:
            raise ValueError("lasts must not be longer than cadence")
        return self
