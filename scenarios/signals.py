"""Signals: what a system says about itself besides features, predictions and labels.

Throughput and errors (infrastructure), the age of the data (freshness), rows that break the schema, proxies such as
perplexity or the duty cycle (outputs), conversions (business). A signal has a usual behaviour and its own noise; a
failure moves some signals and not others, and that is all that makes a layer of monitoring see it or be blind to
it. Source: chapter, 'The Monitoring Stack', 'Fallacies and Pitfalls'.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from scenarios.base import Component
from scenarios.distributions import Duration
from scenarios.units import Accuracy, Fraction, PositiveDays, Real

Layer = Literal[
    "infrastructure", "freshness", "schema", "features", "outputs", "accuracy", "slices", "business"
]

SOURCE_CADENCES = {
    "freshness": 15.0 / 1440.0,
    "schema": 1.0 / 24.0,
    "features": 4.0 / 24.0,
    "outputs": 1.0 / 24.0,
    "business": 1.0,
}
"""Days between two looks that the source asks of each layer; it names none for the other layers."""


class _Signal(Component):
    name: str = Field(min_length=1, description="the name that monitors and failures use")


class _RequestSignal(_Signal):
    layer: Literal["infrastructure", "schema", "outputs", "business"] = Field(
        default="outputs", description="layer of monitoring that it belongs to"
    )
    per_accuracy_lost: Real = Field(
        default=0.0,
        description="how much the usual value changes per unit of accuracy that the model has lost, whatever the "
        "cause; 0: it says nothing about the model",
    )
    daily_noise: Annotated[Real, Field(ge=0, le=1)] = Field(
        default=0.0, description="standard deviation of a relative swing that all requests of a day share"
    )
    counted: bool | None = Field(
        default=None,
        description="true: the servers count all requests, and only the sums are sent (infrastructure and business "
        "signals unless told otherwise); false: it must be worked out row by row from those that are sampled",
    )

    @property
    def from_counters(self) -> bool:
        """Whether all requests are counted where they are served."""
        return self.layer in ("infrastructure", "business") if self.counted is None else self.counted


class Proportion(_RequestSignal):
    """Share of the requests for which something holds: an error, a broken row, a click, a false wake."""

    kind: Literal["proportion"]
    base: Fraction = Field(description="usual share")


class Mean(_RequestSignal):
    """Mean over the requests of something measured: perplexity, latency, utilisation, duty cycle."""

    kind: Literal["mean"]
    base: Annotated[Real, Field(gt=0)] = Field(description="usual mean")
    sd: Annotated[Real, Field(ge=0)] = Field(description="standard deviation from request to request")


class Throughput(_Signal):
    """Requests served, against their mean over the whole horizon; adaptive limits learn the cycles of day and week."""

    kind: Literal["throughput"]

    @property
    def layer(self) -> Layer:
        """Infrastructure."""
        return "infrastructure"


class Freshness(_Signal):
    """Age of the newest data that the model gets."""

    kind: Literal["freshness"]
    age: Duration = Field(description="usual age at a moment, e.g. '4min' or a distribution")

    @property
    def layer(self) -> Layer:
        """Freshness."""
        return "freshness"


class Lift(_Signal):
    """What the model adds to a proportion over a holdout group that a baseline serves.

    Swings of demand meet both groups alike and cancel out; the price is a small group's noise and what it forgoes.
    Source: chapter, 'Netflix ML Monitoring at Scale', counterfactual evaluation.
    """

    kind: Literal["lift"]
    of: str = Field(description="the proportion that both groups are compared by")
    holdout: Annotated[Fraction, Field(gt=0, lt=1)] = Field(
        description="share of the requests that the baseline serves"
    )
    baseline_accuracy: Accuracy = Field(description="accuracy of the baseline")

    @property
    def layer(self) -> Layer:
        """Business."""
        return "business"


Signal = Annotated[Proportion | Mean | Throughput | Freshness | Lift, Field(discriminator="kind")]


class SignalEffect(Component):
    """How a failure moves one signal while it lasts; exactly one of add, factor and stall."""

    signal: str = Field(description="name of the signal")
    add: Real | None = Field(
        default=None, description="added to a proportion or a mean, e.g. 0.2: a fifth of the rows breaks"
    )
    factor: Annotated[Real, Field(ge=0)] | None = Field(
        default=None, description="factor on a proportion, a mean or the throughput, e.g. 0: requests stop"
    )
    stall: PositiveDays | None = Field(
        default=None, description="the data stop coming: they get older by up to this; for freshness"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [name for name in ("add", "factor", "stall") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of add, factor and stall, got {' and '.join(given) or 'none'}"
            )
        return self

    @property
    def moves(self) -> bool:
        """Whether it moves anything."""
        return self.stall is not None or self.add not in (None, 0.0) or self.factor not in (None, 1.0)

    def fits(self, kind: str) -> bool:
        """Whether a signal of this kind can be moved so."""
        if self.stall is not None:
            return kind == "freshness"
        if self.add is not None:
            return kind in ("proportion", "mean")
        return kind in ("proportion", "mean", "throughput") and (kind != "throughput" or self.factor <= 1.0)  # type: ignore[operator]
