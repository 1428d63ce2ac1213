"""Pools: replicas on one kind of accelerator, with their queue, their batches and what changes their number."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scenarios.accelerators import AnyAccelerator, preset
from scenarios.base import Component
from scenarios.hardware_units import Watts
from scenarios.serving_control import GROWTH, Autoscaler, FixedReplicas, ReplicaFailures, Spot
from scenarios.serving_services import LanguageModel, Service
from scenarios.units import Count, Days, Fraction, PositiveCount, PositiveDays

Queue = Literal["central", "random", "round_robin", "shortest_queue", "power_of_two"]
Discipline = Literal["fifo", "lifo", "shortest_first"]


class ServingPool(Component):
    """Replicas that serve a share of the requests. Several pools are bulkheads: one cannot take another's replicas."""

    name: str = Field(default="main", min_length=1, description="name in tables")
    share: Fraction | None = Field(
        default=None, description="share of the requests; pools without one share what is left evenly"
    )
    accelerator: AnyAccelerator = Field(
        default_factory=lambda: preset("a100_80gb"), description="name of a preset, or numbers of your own"
    )
    replicas: PositiveCount = Field(default=1, description="number of replicas at the start")
    gpus_per_replica: PositiveCount = Field(
        default=1, description="accelerators that a replica takes; model and llm are spread over them evenly"
    )
    service: Service = Field(description="how long a replica takes, e.g. '12ms'")
    max_batch: PositiveCount = Field(default=1, description="most requests that are served together")
    max_wait: Days = Field(default=0.0, description="how long the first of a batch waits for others")
    queue: Queue = Field(
        default="central",
        description="one queue for all replicas, or one each and how requests are dealt out",
    )
    discipline: Discipline = Field(
        default="fifo", description="which of those that wait is next; others than fifo with a central queue"
    )
    queue_limit: Count | None = Field(
        default=None,
        description="a request that finds this many waiting is refused; of each replica unless the queue is central",
    )
    timeout: PositiveDays | None = Field(
        default=None, description="a request that has waited this long without being started leaves"
    )
    autoscaler: Autoscaler = Field(
        default=FixedReplicas(kind="fixed"), description="what changes the number of replicas"
    )
    spot: Spot | None = Field(
        default=None, description="replicas that are cheap and may be taken back; none when absent"
    )
    failures: ReplicaFailures | None = Field(default=None, description="how replicas fail; never when absent")
    power_cap: Watts | None = Field(
        default=None, description="most power of one accelerator, e.g. '300 W'; arithmetic slows down"
    )
    priority: int = Field(default=100, description="jobs of a lower priority give their GPUs to this pool")

    @property
    def gpus(self) -> int:
        """Accelerators at the start."""
        return self.replicas * self.gpus_per_replica

    @property
    def minimum(self) -> int:
        """Fewest replicas."""
        return self.replicas if isinstance(self.autoscaler, FixedReplicas) else self.autoscaler.minimum

    @property
    def maximum(self) -> int:
        """Most replicas."""
        if isinstance(self.autoscaler, FixedReplicas):
            return self.replicas
        given = self.autoscaler.maximum
        return GROWTH * self.replicas if given is None else given

    @property
    def largest_batch(self) -> int:
        """Most requests that a replica serves at the same time."""
        return self.service.max_sequences if isinstance(self.service, LanguageModel) else self.max_batch

    @property
    def price(self) -> float:
        """On-demand price of a replica per day."""
        return self.accelerator.price * self.gpus_per_replica

    @property
    def spot_replicas(self) -> int:
        """Replicas at the start that may be taken back."""
        return 0 if self.spot is None else int(self.replicas * self.spot.share + 1e-9)


_Shares = Annotated[list[Fraction], Field(min_length=1)]


class Search(Component):
    """What a search for the cheapest fleet may choose; what is absent stays as it is."""

    pool: str | None = Field(
        default=None, description="name of the pool that is sized; the only one when absent"
    )
    accelerators: list[AnyAccelerator] | None = Field(
        default=None, min_length=1, description="names of presets, or numbers of your own"
    )
    replicas: Annotated[list[PositiveCount], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="fewest and most, e.g. [1, 64]"
    )
    max_batch: list[PositiveCount] | None = Field(
        default=None, min_length=1, description="sizes, e.g. [1, 4, 8]"
    )
    autoscalers: list[Autoscaler] | None = Field(
        default=None, min_length=1, description="autoscalers, e.g. [fixed]"
    )
    spot_shares: _Shares | None = Field(default=None, description="shares of spot capacity, e.g. [0, 50%]")
