"""Review: people who look at the model's uncertain decisions, as many as they have time for.

Source: chapter, 'ClinAIOps': uncertainty flagging triggers human review. That the uncertain share of the decisions
holds `error_share` of the model's errors is an assumption about its confidence, to be replaced by a measured one.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from scenarios.base import Component
from scenarios.distributions import Duration, Fixed
from scenarios.units import Fraction, MoneyPerDay, PositiveCount, PositiveDays
from scenarios.working_hours import WorkingHours


class Review(Component):
    """Reviewers with one queue: urgent cases first, then first come, first served, in working hours.

    A reviewed case has the reviewer's answer; any other keeps the model's. What review gains follows from the errors
    that the uncertain cases hold, the reviewers' own errors, and how many cases they get to.
    """

    share: Annotated[Fraction, Field(gt=0)] = Field(
        description="share of the decisions that are uncertain, so that a person should look at them"
    )
    error_share: Fraction = Field(
        description="share of the model's errors that are among the uncertain decisions, at least `share`"
    )
    accuracy: Fraction = Field(default=0.98, description="share of the reviewed cases that are right then")
    reviewers: PositiveCount = Field(default=1, description="people who review")
    hours: WorkingHours = Field(default=WorkingHours(), description="when they work")
    service: Duration = Field(
        default=Fixed.model_validate({"kind": "fixed", "value": "5min"}), description="time of one review"
    )
    urgent: Fraction = Field(default=0.0, description="share of the cases that are looked at before others")
    deadline: PositiveDays | None = Field(
        default=None,
        description="a case that nobody has taken up by then keeps the model's answer; never when absent",
    )
    hourly_cost: MoneyPerDay = Field(
        default=100.0 * 24.0, description="a reviewer in working hours, busy or not, e.g. '$100/h'"
    )
    wait_cost: MoneyPerDay = Field(
        default=0.0, description="a case that waits, around the clock, e.g. '$2/h'"
    )

    @model_validator(mode="after")
    def _uncertain_cases_are_worse(self) -> Self:
        if self.error_share < self.share:
            raise ValueError(
                f"error_share: got {self.error_share:g}, expected at least share ({self.share:g}): uncertain "
                "decisions are wrong at least as often as others"
            )
        return self
