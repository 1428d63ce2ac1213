"""Failure modes: what breaks, how often, what it does to users, and which signals it moves.

A failure harms users through the accuracy it takes and the requests it loses. Whether somebody sees it is another
matter: it is found by a monitor that looks at something which the failure moves. Source: chapter, 'The Cost of
Silent Failures', 'Data Quality Monitoring'.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from scenarios.base import Component
from scenarios.distributions import Duration
from scenarios.signals import SignalEffect
from scenarios.units import Days, Fraction, Money, PositivePerDay, Real


class Failure(Component):
    """One way in which the system fails; each onset is an incident that lasts until it is repaired or heals."""

    name: str = Field(min_length=1, description="name in tables")
    rate: PositivePerDay | None = Field(
        default=None, description="onsets per day, e.g. '4/y', at random moments (Poisson)"
    )
    onsets: list[Days] | None = Field(
        default=None, min_length=1, description="moments of the onsets, instead of a rate"
    )
    accuracy_drop: Fraction = Field(default=0.0, description="accuracy taken from users while it lasts")
    slice: str | None = Field(default=None, description="the cohort that it hits; all when absent")
    feature_shift: dict[str, Real] = Field(
        default={}, description="shift of features as monitors see them, in standard deviations, by feature"
    )
    effects: list[SignalEffect] = Field(default=[], description="signals that it moves")
    ramp: Days = Field(default=0.0, description="it grows to its full size over this time")
    lasts: Duration | None = Field(
        default=None, description="heals by itself after this; it lasts until it is repaired when absent"
    )
    repair: Duration | None = Field(
        default=None, description="time of its repair once it is understood; that of response when absent"
    )
    cost: Money = Field(default=0.0, description="price of each incident besides the accuracy it takes")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.rate is None) == (self.onsets is None):
            raise ValueError("give exactly one of rate and onsets")
        named = [effect.signal for effect in self.effects]
        if len(set(named)) < len(named):
            raise ValueError(f"effects: a signal is there twice in {', '.join(named)}")
        return self
