"""What devices and the centre exchange besides updates: reports, offloaded requests and federated contributions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from scenarios.base import Component
from scenarios.hardware_units import Joules
from scenarios.units import Bytes, Days, Fraction, MoneyPerItem, PositiveCount, PositiveDays, Real


class Reports(Component):
    """Telemetry of the fleet: the signals of the scenario (duty cycle, false wakes), no labels and no inputs.

    A device tells, when it checks in, how its signals were since its last report: late, and only those that may.
    """

    opted_in: Fraction = Field(
        default=1.0, description="privacy budget: share of the devices that may tell anything"
    )
    every: PositiveDays = Field(
        default=1.0, description="power budget: least time between two reports of a device"
    )
    charge: Fraction = Field(default=0.0, description="power budget: least charge of the battery")
    size: Bytes = Field(default=1000.0, description="size of a report; it is paid for as `ota.price` says")
    energy: Joules = Field(default=0.0, description="energy of a report besides the radio's")
    noise: Annotated[Real, Field(ge=0)] = Field(
        default=0.0,
        description="standard deviation that a device adds to the proportion or mean that it tells (local "
        "differential privacy), in units of the signal",
    )


class Offload(Component):
    """A share of the requests is answered by a bigger model in a gateway or the cloud while the network is there.

    It runs the newest version that was released, and counts as that version's accuracy plus `gain`. Devices report of
    the requests that they answer themselves. A device without power, or without a model, sends nothing.
    """

    to: Literal["gateway", "cloud"] = "cloud"
    share: Fraction = Field(
        description="share of the requests that are sent when they can be, e.g. the hard ones"
    )
    when: Literal["always", "low_power"] = Field(
        default="always", description="low_power: only while the simple model would answer"
    )
    gain: Fraction = Field(default=0.0, description="accuracy of the bigger model above the version's")
    latency: Days = Field(
        default=0.0, description="time of its inference, besides the round trip of the link"
    )
    price: MoneyPerItem = Field(default=0.0, description="price of an offloaded request, e.g. '$0.1/million'")
    size: Bytes = Field(
        default=0.0, description="bytes sent for one; they cost the radio's energy in place of an inference"
    )


class Federated(Component):
    """A training needs contributions of devices that learn from what they saw; their data never leave them.

    A candidate's accuracy has, besides the pipeline's noise, a loss that falls with the number n of contributions
    as a power law: loss * (reference / n) ** exponent.
    """

    share: Annotated[Fraction, Field(gt=0)] = Field(
        description="share of the devices that are asked in a round"
    )
    round: PositiveDays = Field(default=1.0, description="how long a round waits for contributions")
    minimum: PositiveCount = Field(default=100, description="contributions below which a round is repeated")
    rounds: PositiveCount = Field(
        default=5, description="rounds that are tried before a training is given up"
    )
    size: Bytes = Field(default=0.0, description="bytes sent by each contribution")
    energy: Joules = Field(default=0.0, description="energy of each contribution besides the radio's")
    loss: Fraction = Field(
        default=0.0, description="accuracy that a candidate lacks after `reference` contributions"
    )
    reference: PositiveCount = Field(default=1000, description="number of contributions that `loss` is for")
    exponent: Annotated[Real, Field(ge=0, le=1)] = Field(
        default=0.5, description="how fast that loss falls with their number"
    )
