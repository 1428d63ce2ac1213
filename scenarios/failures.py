"""Failure modes: what breaks, how often or by which action, what it does to users, and which signals it moves.

A failure harms users through the accuracy it takes and the requests it loses, at once or through the models that are
trained on its data. Whether somebody sees it is another matter: it is found by a monitor that looks at something
which the failure moves. Source: chapter, 'The Cost of Silent Failures', 'Data Quality Monitoring'.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from scenarios.base import Component
from scenarios.distributions import Duration, Fixed
from scenarios.failure_catalogue import BEGINNINGS, Cause, Kind, with_defaults
from scenarios.signals import SignalEffect
from scenarios.units import Days, Fraction, Money, PositivePerDay, Real

OF_A_VERSION = ("deployment", "retraining")
"""Actions that make or place a version of the model."""
ACTIONS = (*OF_A_VERSION, "rollback", "repair")
"""Actions that a failure can follow; besides them, the repair of one failure, by its name."""


def _fixed(duration: str) -> Fixed:
    return Fixed.model_validate({"kind": "fixed", "value": duration})


class Trigger(Component):
    """An action that causes a failure, each time with a chance."""

    on: str = Field(
        min_length=1,
        description="deployment: a version goes live for the first time; retraining: at the end of a training, whose "
        "candidate carries it; rollback; repair: that of any other failure; or the name of a failure, whose repair "
        "causes it",
    )
    probability: Annotated[Fraction, Field(gt=0)] = Field(
        default=1.0, description="chance that the action causes it"
    )
    delay: Duration = Field(
        default=_fixed("0d"),
        description="from the action (retraining: from the moment its candidate goes live) to the onset",
    )


class Failure(Component):
    """One way in which the system fails; each onset is an incident that lasts until it is repaired or heals."""

    kind: Kind | None = Field(
        default=None,
        description="a mode of the catalogue, which gives the values that are not written here: name, cause, rate or "
        "trigger, accuracy_drop, share, harms, taints, feeds, leaks, effects on the signals of its layers, and the "
        "shift of the heaviest feature",
    )
    name: str = Field(default="", description="name in tables; the kind when absent")
    cause: Cause = Field(
        default="data", description="branch of the triage tree that finds it; that of the kind, else data"
    )
    rate: PositivePerDay | None = Field(
        default=None, description="onsets per day, e.g. '4/y', at random moments (Poisson)"
    )
    onsets: list[Days] | None = Field(
        default=None, min_length=1, description="moments of the onsets, instead of a rate"
    )
    trigger: Trigger | None = Field(
        default=None, description="the action that causes it, instead of a rate or moments"
    )
    with_version: bool | None = Field(
        default=None,
        description="whether it ends when the version that went live with it is replaced; true for trigger on: "
        "deployment or retraining",
    )
    accuracy_drop: Fraction = Field(
        default=0.0, description="accuracy taken from each request that it hits while it lasts"
    )
    share: Annotated[Fraction, Field(gt=0)] = Field(
        default=1.0,
        description="share of the requests that it hits, e.g. 12.5%: one host of eight; what it takes and what signals "
        "show of it are this share of the whole",
    )
    harms: Literal["serving", "training"] = Field(
        default="serving",
        description="serving: accuracy_drop is taken from what is served; training: only models that are trained on "
        "its data lose accuracy, by taints or leaks",
    )
    taints: Fraction = Field(
        default=0.0,
        description="share of accuracy_drop that a model loses when all data of its training window are from while the "
        "failure lasts",
    )
    feeds: Fraction = Field(
        default=0.0,
        description="feedback loop: share of what the model in service has lost by taints that each retraining learns "
        "again from its outputs, whether or not the failure lasts",
    )
    leaks: Fraction = Field(
        default=0.0,
        description="validation leak: share of the harm of a candidate (by taints or bad_training) that validation "
        "does not show while the failure lasts",
    )
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

    @property
    def drop_in_service(self) -> float:
        """Accuracy that it takes from each request that it hits, whatever model serves."""
        return self.accuracy_drop if self.harms == "serving" else 0.0

    @property
    def can_harm(self) -> bool:
        """Whether it can make the model less accurate, at once or by a retraining."""
        return self.drop_in_service > 0.0 or self.taints * self.accuracy_drop > 0.0 or self.leaks > 0.0

    @property
    def can_spoil(self) -> bool:
        """Whether it can make trainings worse than they seem, or are meant to be."""
        return self.taints * self.accuracy_drop > 0.0 or self.leaks > 0.0

    @property
    def ends_with_version(self) -> bool:
        """Whether it ends when the version that went live with it is replaced."""
        if self.with_version is not None:
            return self.with_version
        return self.trigger is not None and self.trigger.on in OF_A_VERSION

    @model_validator(mode="before")
    @classmethod
    def _as_in_the_catalogue(cls, given: Any) -> Any:
        return with_defaults(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.name:
            raise ValueError("name is missing: expected a name, or a kind of the catalogue")
        if self.name in ACTIONS:
            raise ValueError(
                f"name: {self.name} is that of an action, which triggers name; expected another one"
            )
        if self.trigger is not None and self.trigger.on == self.name:
            raise ValueError("trigger.on: is the failure itself, whose repair would have to come before it")
        if sum(getattr(self, name) is not None for name in BEGINNINGS) != 1:
            raise ValueError("give exactly one of rate and onsets, or a trigger")
        of_a_version = self.trigger is not None and self.trigger.on in OF_A_VERSION
        if self.with_version and not of_a_version:
            raise ValueError("with_version applies to trigger on: deployment or retraining")
        if self.feeds > 0.0 and self.taints == 0.0:
            raise ValueError("feeds needs taints: a model feeds back what it has learned")
        if self.harms == "training" and self.taints == 0.0 and self.leaks == 0.0:
            raise ValueError("harms: training needs taints or leaks, or it harms nobody")
        named = [effect.signal for effect in self.effects]
        if len(set(named)) < len(named):
            raise ValueError(f"effects: a signal is there twice in {', '.join(named)}")
        return self
