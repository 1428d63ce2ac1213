"""Over-the-air updates: when releases leave, in which waves, what stops them, and what happens on the device.

A device has two slots: an update is written to the one that does not run. If it does not start, the device goes back to
the other slot by itself. A brick is a device of which both slots are lost. Source: chapter, 'Edge AI Deployment',
'Deployment and Iteration' (payloads 80 to 95 % smaller by differential compression, signatures, rollback).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scenarios.base import Component
from scenarios.units import Count, Days, Fraction, Money, PositiveCount, PositiveDays, format_duration


class Wave(Component):
    """Part of the fleet that may take a release, and how long its reports are waited for."""

    share: Annotated[Fraction, Field(gt=0)] = Field(
        description="share of the devices that may take it from now on, those of earlier waves included"
    )
    hold: Days = Field(default=0.0, description="time before the next wave")


class Halt(Component):
    """What stops a release at the end of a wave: significantly more failures than are accepted, or worse proxies.

    Failures: a one-sided exact binomial test of the boot reports of this release. Proxies: reports of devices on
    the new version against those on the others, for a signal of the scenario.
    """

    on: Annotated[list[Literal["failures", "proxies"]], Field(min_length=1)] = Field(
        default=["failures"], description="what is looked at"
    )
    accepted: Fraction = Field(default=0.01, description="share of failed installations that is accepted")
    signal: str | None = Field(
        default=None, description="proxies: name of the proportion or mean that is compared"
    )
    alpha: Annotated[Fraction, Field(gt=0, lt=1)] = Field(
        default=0.05, description="chance at each wave to stop a release that is no worse"
    )
    minimum: PositiveCount = Field(default=20, description="reports below which nothing is concluded")
    recall: bool = Field(
        default=True,
        description="devices that run a stopped release go back to their other slot at the next check-in",
    )

    @model_validator(mode="after")
    def _has_a_signal(self) -> Self:
        if ("proxies" in self.on) != (self.signal is not None):
            raise ValueError("signal: on: [proxies] needs the name of a signal, and nothing else does")
        return self


class Defect(Component):
    """A release that is broken on the device: it may pass every test in the centre."""

    probability: Fraction = Field(description="share of the releases")
    failure: Fraction = Field(
        default=0.1, description="chance that its installation fails, besides the usual one"
    )
    brick: Fraction = Field(default=0.0, description="chance that its installation leaves a brick")


class Permission(Component):
    """When a device may install: charged and idle."""

    charge: Fraction = Field(
        default=0.3, description="least charge of the battery, unless it is being charged"
    )
    idle: Annotated[Fraction, Field(gt=0)] = Field(
        default=1.0, description="chance that a device that checks in is idle"
    )
    start: Annotated[Days, Field(lt=1)] = Field(default=0.0, description="time of day from which it may")
    end: Annotated[Days, Field(gt=0, le=1)] = Field(
        default=1.0, description="time of day until which it may; before start: over midnight"
    )


class Ota(Component):
    """From a version of the pipeline to the fleet."""

    train: PositiveDays | None = Field(
        default=None,
        description="releases leave only at multiples of this time, e.g. '91d'; at once when absent",
    )
    offset: Days = Field(
        default=0.0,
        description="trains leave this much after the multiples, so that a training that begins at one is in time",
    )
    waves: Annotated[list[Wave], Field(min_length=1)] = Field(
        default=[Wave(share=1.0)], description="growing shares; the last one is all"
    )
    halt: Halt | None = Field(default=None, description="what stops a release; nothing when absent")
    differential: Annotated[Fraction, Field(lt=1)] = Field(
        default=0.0,
        description="part of the payload that is saved where only changes are sent, e.g. 90%",
    )
    differential_from: Count = Field(
        default=1,
        description="changes are sent to devices at most this many releases behind; others get the whole model",
    )
    price: Money = Field(default=0.0, description="price of a GB (1e9 bytes) that is sent")
    release: Money = Field(default=0.0, description="price of each release besides the pipeline's")
    resume: bool = Field(default=True, description="a cut download goes on where it was; else from the start")
    corrupt: Annotated[Fraction, Field(lt=1)] = Field(
        default=0.0,
        description="share of the finished downloads that fail their signature check and start again",
    )
    failure: Annotated[Fraction, Field(lt=1)] = Field(
        default=0.0,
        description="chance that an installation fails and the device goes back to its other slot",
    )
    brick: Annotated[Fraction, Field(lt=1)] = Field(
        default=0.0, description="chance that an installation leaves a brick"
    )
    attempts: PositiveCount = Field(
        default=3,
        description="installations of a version that a device tries before it waits for the next version",
    )
    slots: Literal[1, 2] = Field(
        default=2,
        description="with one slot a failed installation leaves no model until the next check-in works",
    )
    defect: Defect | None = Field(default=None, description="releases that are broken on the device")
    replacement: PositiveDays | None = Field(
        default=None, description="from a brick to a new device with the newest version; never when absent"
    )
    brick_price: Money = Field(default=0.0, description="price of each brick: support, replacement")
    permission: Permission = Field(default=Permission(), description="when a device may install")

    @model_validator(mode="after")
    def _offset_of_a_train(self) -> Self:
        if self.offset > 0.0 and self.train is None:
            raise ValueError("offset: is that of a train, give train as well, or leave it out")
        if self.train is not None and self.offset >= self.train:
            raise ValueError(
                f"offset: got {format_duration(self.offset)}, expected less than train, the "
                f"{format_duration(self.train)} between two trains"
            )
        return self

    @model_validator(mode="after")
    def _outcomes_add_up(self) -> Self:
        """An installation works, fails or leaves a brick: what is left for it to work is not below 0."""
        chances = {"failure": self.failure, "brick": self.brick}
        if self.defect is not None:
            chances |= {"defect.failure": self.defect.failure, "defect.brick": self.defect.brick}
        if sum(chances.values()) > 1.0 + 1e-9:
            raise ValueError(
                f"failure: {' + '.join(chances)} add up to {sum(chances.values()):.4g}, expected at most 1, as an "
                "installation either fails or leaves a brick"
            )
        return self

    @model_validator(mode="after")
    def _waves_grow(self) -> Self:
        shares = [wave.share for wave in self.waves]
        for number, (earlier, later) in enumerate(pairwise(shares)):
            if later <= earlier:
                raise ValueError(
                    f"waves[{number + 1}].share: got {100.0 * later:.10g}%, expected more than the "
                    f"{100.0 * earlier:.10g}% of waves[{number}]: each share holds the earlier waves"
                )
        if shares[-1] < 1.0:
            raise ValueError(
                f"waves: the last share is {shares[-1]:.0%}, expected 100%: nobody else would ever get it"
            )
        return self
