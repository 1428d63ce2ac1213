"""What the world does to a model: its quality over time, its traffic, and the labels that come back."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from scenarios.base import Component
from scenarios.distributions import Duration, Fixed
from scenarios.recorded import RecordedMatrix, RecordedSeries
from scenarios.units import Accuracy, Days, Fraction, MoneyPerItem, PerDay, PositiveDays, Real


class Feature(Component):
    """One input of the model."""

    name: str = Field(min_length=1, description="the name that drift components and monitors use")
    weight: Annotated[Real, Field(ge=0)] = Field(
        default=1.0, description="how much a shift of this feature counts in the divergence"
    )


class Slice(Component):
    """A cohort of the requests with a drift and an accuracy of its own."""

    name: str = Field(min_length=1, description="the name that drift components and monitors use")
    weight: Annotated[Fraction, Field(gt=0)] = Field(description="share of the requests")
    initial_accuracy: Accuracy | None = Field(default=None, description="when it differs from the model's")
    decay: PerDay | None = Field(
        default=None, description="decay rate, when it differs (exponential quality)"
    )


class Degradation(Component):
    """Accuracy falls with the divergence of the inputs and with the distance of the concept.

    A(t) = A0 - feature_sensitivity * D - concept_sensitivity * |c - c_train|, where D is the sum of squared
    mean shifts since training (the symmetric KL divergence of normal features, which PSI estimates).
    Source: chapter, the degradation equation.
    """

    kind: Literal["degradation"]
    initial_accuracy: Accuracy = Field(description="accuracy of a fresh model")
    feature_sensitivity: Annotated[Real, Field(ge=0)] = Field(
        default=0.0, description="accuracy lost per unit of divergence (nat)"
    )
    concept_sensitivity: Annotated[Real, Field(ge=0)] = Field(
        default=0.0, description="accuracy lost per unit of concept distance"
    )
    floor: Accuracy = Field(default=0.0, description="accuracy never falls below this (chance level)")


class ExponentialDecay(Component):
    """A(t) = A0 exp(-decay * age), age counted from the data cut. Source: chapter, 'Staleness cost'."""

    kind: Literal["exponential"]
    initial_accuracy: Accuracy = Field(description="accuracy of a fresh model")
    decay: PerDay = Field(description="decay rate, e.g. '2%/d'")


class RecordedQuality(Component):
    """Accuracies that were measured: A[t', t], on period t of a model trained through period t'.

    The run starts with period 1, served by the model trained through period 0.
    """

    kind: Literal["recorded"]
    matrix: Annotated[
        RecordedMatrix, BeforeValidator(lambda value: value, json_schema_input_type=str | RecordedMatrix)
    ] = Field(description="a CSV file: training periods down, evaluation periods across")
    period: PositiveDays = Field(description="length of a period")


Quality = Annotated[Degradation | ExponentialDecay | RecordedQuality, Field(discriminator="kind")]


class Burst(Component):
    """Sudden crowds: Poisson onsets, each multiplying the rate for a while."""

    rate: PerDay = Field(description="bursts per day, e.g. '12/y'")
    factor: Annotated[Real, Field(gt=0)] = Field(description="the arrival rate is multiplied by this")
    duration: Duration = Field(description="how long a burst lasts")


class Campaign(Component):
    """A planned crowd."""

    start: Days = Field(description="first moment")
    duration: PositiveDays = Field(description="how long it lasts")
    factor: Annotated[Real, Field(gt=0)] = Field(description="the arrival rate is multiplied by this")


class Traffic(Component):
    """Requests: a non-homogeneous Poisson process, or recorded rates."""

    rate: PerDay | None = Field(default=None, description="mean arrival rate, e.g. '1M/d' or '12/s'")
    recorded: RecordedSeries | None = Field(
        default=None, description="recorded requests per step instead of a rate; repeated when too short"
    )
    arrivals: Literal["poisson", "deterministic"] = Field(
        default="poisson", description="deterministic: exactly the expected number in every window"
    )
    daily_profile: list[Annotated[Real, Field(ge=0)]] | None = Field(
        default=None, min_length=2, description="relative rate over the day, equal parts; scaled to mean 1"
    )
    weekly_profile: list[Annotated[Real, Field(ge=0)]] | None = Field(
        default=None,
        min_length=7,
        max_length=7,
        description="relative rate of the seven days; scaled to mean 1",
    )
    growth_per_year: Annotated[Real, Field(gt=-1)] = Field(
        default=0.0, description="0.2: a fifth more after a year, compounding"
    )
    bursts: Burst | None = None
    campaigns: list[Campaign] = Field(default=[])

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.rate is None) == (self.recorded is None):
            raise ValueError("give exactly one of rate and recorded")
        if self.recorded is not None:
            if min(self.recorded.values or [0.0]) < 0.0:
                raise ValueError("recorded: requests must not be below 0")
            if self.daily_profile or self.weekly_profile or self.campaigns or self.growth_per_year:
                raise ValueError(
                    "recorded: the record has its own profile, growth and campaigns, give none beside it"
                )
        for field in ("daily_profile", "weekly_profile"):
            profile: list[float] | None = getattr(self, field)
            if profile is not None and not any(profile):
                raise ValueError(f"{field}: all zero, expected at least one part with traffic")
        return self


class Labels(Component):
    """Ground truth: which share of the requests gets it, and how late."""

    coverage: Fraction = Field(default=1.0, description="share of the requests that ever get a label")
    delay: Duration = Field(
        default=Fixed(kind="fixed", value=0.0), description="from the request to its label"
    )
    cost: MoneyPerItem = Field(
        default=0.0, description="price of a label that a monitor uses, e.g. '$0.10/label'"
    )


def none_from_word(value: Any) -> Any:
    """Read `labels: none` as people write it."""
    return None if value == "none" else value
