"""How the world drifts: components that add up to the state of each feature and of the concept.

The state of a feature is its mean shift in standard deviations of that feature at the reference; the concept
state is a number whose distance from its value at training costs accuracy. Source: chapter, 'Data drift and
concept drift'.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scenarios.base import Component
from scenarios.recorded import RecordedSeries
from scenarios.units import Days, PerDay, PerSqrtDay, PositiveDays, Real, SignedPerDay


class DriftComponent(Component):
    """What all drift components share: what they move, and in which slice."""

    on: Literal["features", "concept"] = Field(
        default="features", description="what moves: the inputs P(x), or the relation P(y|x)"
    )
    features: Literal["all"] | list[str] = Field(default="all", description="names of the features that move")
    slice: str | None = Field(default=None, description="only in this slice; all of them when absent")

    @model_validator(mode="after")
    def _concept_has_no_features(self) -> Self:
        if self.on == "concept" and self.features != "all":
            raise ValueError("features can be named only with on: features")
        return self


class Ramp(DriftComponent):
    """A gradual, steady change."""

    kind: Literal["ramp"]
    rate: SignedPerDay = Field(description="change of the state per day, e.g. '0.02/d'")
    start: Days = Field(default=0.0, description="when it sets in")
    stop: PositiveDays | None = Field(default=None, description="when it ends; never when absent")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.stop is not None and self.stop <= self.start:
            raise ValueError("stop must be later than start")
        return self


class RandomWalk(DriftComponent):
    """A wandering change without a home: Brownian motion, independent for each feature."""

    kind: Literal["random_walk"]
    volatility: PerSqrtDay = Field(description="standard deviation after one day, e.g. '0.05/sqrt(d)'")


class OrnsteinUhlenbeck(DriftComponent):
    """A wandering change that returns home: mean-reverting, started in its stationary law."""

    kind: Literal["ornstein_uhlenbeck"]
    stationary_sd: Annotated[Real, Field(ge=0)] = Field(description="standard deviation in the long run")
    relaxation: PositiveDays = Field(description="time in which a deviation shrinks to 1/e")


class Jumps(DriftComponent):
    """Sudden changes at random moments: a compound Poisson process."""

    kind: Literal["jumps"]
    rate: PerDay = Field(description="jumps per day, e.g. '6/y'")
    mean: Real = Field(default=0.0, description="mean size of a jump")
    sd: Annotated[Real, Field(ge=0)] = Field(default=0.0, description="standard deviation of the size")
    recovery: PositiveDays | None = Field(
        default=None, description="a jump fades to 1/e in this time; it stays when absent"
    )


class Seasonal(DriftComponent):
    """A change that comes back: a sine wave, or a concept that switches between two states (square)."""

    kind: Literal["seasonal"]
    amplitude: Real = Field(description="largest deviation from the mean state")
    period: PositiveDays = Field(description="time from one maximum to the next")
    phase: Days = Field(default=0.0, description="the wave starts this much earlier")
    shape: Literal["sine", "square"] = "sine"


class Adversarial(DriftComponent):
    """A jump that answers each deployment of a model: attackers adapt."""

    kind: Literal["adversarial"]
    delay: Days = Field(description="time from a deployment to the answer")
    mean: Real = Field(default=0.0, description="mean size of the answer")
    sd: Annotated[Real, Field(ge=0)] = Field(default=0.0, description="standard deviation of the size")


class Recorded(DriftComponent):
    """A recorded state: a series, held from step to step; all features of the component follow it."""

    kind: Literal["recorded"]
    series: RecordedSeries = Field(description="the record: values, or a CSV file")


Drift = Annotated[
    Ramp | RandomWalk | OrnsteinUhlenbeck | Jumps | Seasonal | Adversarial | Recorded,
    Field(discriminator="kind"),
]
