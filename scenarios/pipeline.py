"""The retraining pipeline: stages, failures, gate, learning mode and price.

Source: chapter, 'The retraining cost function' (compute + validation + deployment + risk).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from scenarios.base import Component
from scenarios.distributions import Duration, Fixed
from scenarios.units import Count, Days, Fraction, Money, MoneyPerDay, PositiveCount, PositiveDays, Real
from scenarios.working_hours import WorkingHours

STAGES = ("data_validation", "training", "evaluation", "registration", "deployment")


class Stage(Component):
    """One step of the pipeline; a plain duration stands for a stage that never fails."""

    duration: Duration = Field(description="how long an attempt takes")
    failure: Annotated[Fraction, Field(lt=1)] = Field(default=0.0, description="chance that an attempt fails")


def _stage_from_duration(value: Any) -> Any:
    if isinstance(value, Stage) or (isinstance(value, dict) and "duration" in value):
        return value
    if isinstance(value, dict) and "kind" not in value:
        return value
    return {"duration": value}


AnyStage = Annotated[Stage, BeforeValidator(_stage_from_duration, json_schema_input_type=Stage | Duration)]


def _lasting(duration: str) -> Stage:
    return Stage.model_validate({"duration": duration})


def _fixed(duration: str) -> Fixed:
    return Fixed.model_validate({"kind": "fixed", "value": duration})


class Stages(Component):
    """The five stages, one after the other."""

    data_validation: AnyStage = Field(default=_lasting("15min"), description="checks of the training data")
    training: AnyStage = Field(default=_lasting("2h"), description="fitting the candidate")
    evaluation: AnyStage = Field(default=_lasting("15min"), description="holdout test against the champion")
    registration: AnyStage = Field(default=_lasting("5min"), description="versioning the artefact")
    deployment: AnyStage = Field(default=_lasting("10min"), description="rollout of the candidate")


class Price(Component):
    """What a retraining costs, by the stage in which the money is spent."""

    compute: Money = Field(default=0.0, description="each attempt at training")
    validation: Money = Field(default=0.0, description="each evaluation")
    deployment: Money = Field(default=0.0, description="each rollout")
    risk: Money = Field(default=0.0, description="expected cost of a regression, reserved at each rollout")

    @property
    def total(self) -> float:
        """Price of a retraining in which nothing fails."""
        return self.compute + self.validation + self.deployment + self.risk


class Gate(Component):
    """Validation gate: the candidate meets the champion on a finite holdout, so it errs both ways."""

    holdout: PositiveCount = Field(default=5000, description="labelled rows of the holdout")
    margin: Real = Field(
        default=0.0, description="the candidate must measure at least this much better; may be negative"
    )


class BadTraining(Component):
    """A retraining that goes wrong silently: corrupted data make a worse model."""

    probability: Fraction = Field(description="share of the trainings")
    loss: Fraction = Field(description="accuracy lost by such a model")


class Approval(Component):
    """A person who looks at candidates after validation; those who pass wait for working hours.

    How well reviewers judge is an assumption: the source says that human checkpoints help, not how much.
    """

    mode: Literal["all", "anomalies"] = Field(
        default="all", description="which candidates a person must see: all, or those with something unusual"
    )
    hours: WorkingHours = Field(default=WorkingHours(), description="when reviewers work")
    review: Duration = Field(default=_fixed("30min"), description="time of one review")
    people: PositiveCount = Field(default=1, description="reviewers")
    catches: Fraction = Field(
        default=0.8,
        description="share of the bad candidates that they stop: those worse than the champion by more than "
        "material_drop",
    )
    refuses: Fraction = Field(default=0.02, description="share of the good ones that they stop by mistake")
    hourly_cost: MoneyPerDay = Field(default=100.0 * 24.0, description="working time, e.g. '$100/h'")
    anomaly: Fraction = Field(
        default=0.01,
        description="mode anomalies: a person is asked when validation measured this much less than for the champion",
    )
    shift: Annotated[Real, Field(ge=0)] = Field(
        default=0.5,
        description="mode anomalies: or when the mean of a feature in the training data has moved by more than this "
        "many standard deviations from the champion's",
    )


LEARNING_DEFAULTS = {
    "from_scratch": {"regain": 1.0, "cost": 1.0, "duration": 1.0},
    "warm_start": {"regain": 0.8, "cost": 0.3, "duration": 0.3},
    "incremental": {"regain": 0.5, "cost": 0.1, "duration": 0.1},
}
"""Share of the lost ground regained, and of the price and training time spent, where a scenario is silent."""


class Learning(Component):
    """How a retraining learns: how much is regained, at what price and how fast."""

    mode: Literal["from_scratch", "warm_start", "incremental"] = "from_scratch"
    regain: Fraction | None = Field(
        default=None, description="share of the way from the champion's to the new data that is learned"
    )
    cost: Annotated[Real, Field(ge=0)] | None = Field(default=None, description="factor on the compute price")
    duration: Annotated[Real, Field(ge=0)] | None = Field(
        default=None, description="factor on the training time"
    )
    time_constant: PositiveDays | None = Field(
        default=None,
        description="incremental only: between retrainings the model follows its labelled stream, closing "
        "63 % of the gap in this time",
    )

    @model_validator(mode="after")
    def _only_incremental_follows(self) -> Self:
        if self.time_constant is not None and self.mode != "incremental":
            raise ValueError("time_constant needs mode: incremental")
        return self

    def factor(self, which: Literal["regain", "cost", "duration"]) -> float:
        """Value in force of one of the three factors."""
        given: float | None = getattr(self, which)
        return LEARNING_DEFAULTS[self.mode][which] if given is None else given


class Pipeline(Component):
    """How a new model is made and goes live; the stale champion serves until then."""

    stages: Stages = Stages()
    cost: Price = Price()
    gate: Gate | None = Field(default=None, description="validation gate; every candidate passes when absent")
    approval: Approval | None = Field(
        default=None, description="people who approve candidates; nobody is asked when absent"
    )
    learning: Learning = Learning()
    capacity: PositiveCount = Field(default=1, description="trainings that can run at the same time")
    max_retries: Count = Field(
        default=2, description="further attempts at a failed stage; then it is given up"
    )
    retry_delay: Days = Field(default=0.0, description="wait before another attempt")
    training_noise: Annotated[Real, Field(ge=0, le=0.5)] = Field(
        default=0.0, description="standard deviation of a new model's accuracy around what its data allow"
    )
    bad_training: BadTraining | None = Field(default=None, description="silent corruption of a training")
    training_window: Days = Field(
        default=0.0, description="a model learns the mean state of this long before its data cut"
    )

    @property
    def price(self) -> float:
        """Price of a retraining in which nothing fails, in the learning mode of the scenario."""
        return self.cost.total + (self.learning.factor("cost") - 1.0) * self.cost.compute
