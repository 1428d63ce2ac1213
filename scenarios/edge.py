"""Edge fleets: classes of devices, how they reach the network, what powers them and which models they hold.

    edge:
      devices:
        - {name: detector, kind: sensor, count: 10k, link: {contact: 1d}, memory: 256 KB,
           full: {size: 100 KB, energy: 2 mJ}}

One subject a module: `edge_power`, `edge_links`, `ota` (how updates reach devices), `edge_exchange` (reports to the
centre, offloaded requests, federated rounds). Source: chapter, 'Edge AI Deployment', 'Oura Ring Case Study'.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scenarios.base import Component
from scenarios.edge_exchange import Federated, Offload, Reports
from scenarios.edge_links import Link
from scenarios.edge_power import Mains, Power
from scenarios.hardware_units import Joules
from scenarios.ota import Ota
from scenarios.units import Bytes, Days, Fraction, PositiveCount, PositiveDays, PositivePerDay, Real

POWER_LIMITS = {"sensor": 0.1, "mobile": 0.5, "gateway": 10.0}
"""Watts that a kind of device draws at most on average. Source: chapter, 'Edge AI Deployment'."""


class DeviceModel(Component):
    """A model as it lies on a device: the full one, or a simple one for when power is short."""

    size: Bytes = Field(description="its size in memory, and as a download")
    energy: Joules = Field(default=0.0, description="energy of one inference, e.g. '2 mJ'")
    latency: Days = Field(default=0.0, description="time of one inference, e.g. '30ms'")
    loss: Fraction = Field(
        default=0.0, description="accuracy that it lacks beside the version it was made from, for its size"
    )


class DeviceClass(Component):
    """Devices that are alike but for their luck."""

    name: str = Field(min_length=1, description="the name that tables use")
    kind: Literal["sensor", "gateway", "mobile"] = Field(
        description="by the power it draws on average: sensor up to 100 mW, mobile up to 500 mW, gateway up to 10 W"
    )
    count: PositiveCount = Field(description="number of devices, up to 10M in all")
    regions: dict[str, Fraction] = Field(
        default={}, description="share of them in each slice of the scenario; as the slices weigh when empty"
    )
    usage: Annotated[Real, Field(gt=0)] = Field(
        default=1.0, description="requests of one such device relative to one of usage 1"
    )
    inferences: PositivePerDay = Field(
        default=1000.0, description="inferences of a device, for its energy, e.g. '1/min'"
    )
    memory: Bytes | None = Field(
        default=None, description="memory for models; must hold every slot and the simple model"
    )
    link: Link = Field(default=Link(), description="how it reaches the network")
    power: Power = Field(default=Mains(kind="mains"), description="what powers it")
    full: DeviceModel = Field(description="the model that updates replace")
    simple: DeviceModel | None = Field(
        default=None,
        description="the model for when power is short, in the ROM of the device; without it the full one runs until "
        "the battery is empty",
    )


class Edge(Component):
    """A fleet in the field. A version that the pipeline makes is released, and devices take it when they can."""

    devices: Annotated[list[DeviceClass], Field(min_length=1)] = Field(description="classes of devices")
    ota: Ota = Field(default=Ota(), description="over-the-air updates")
    reports: Reports | None = Field(
        default=None, description="what devices tell the centre; without it monitors see nothing of the fleet"
    )
    offload: Offload | None = Field(
        default=None, description="requests that a gateway or the cloud answers; none when absent"
    )
    federated: Federated | None = Field(
        default=None, description="training on the devices; in the centre when absent"
    )
    supported: PositiveDays | None = Field(
        default=None,
        description="a version is retired this long after a newer one was released to all; never when absent",
    )

    @property
    def count(self) -> int:
        """Number of devices of all classes."""
        return sum(kind.count for kind in self.devices)
