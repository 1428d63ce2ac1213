"""Rollback: how the version before comes back, how long that takes, and what is lost on the way.

Source: chapter, 'Rollback Strategies and Safety Mechanisms' (tiers under 1 minute, under 15 minutes, under 4 hours).
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from scenarios.base import Component
from scenarios.distributions import Duration, Uniform
from scenarios.units import DAYS_PER_YEAR, Days, Fraction, Money, MoneyPerDay, PerDay

Tier = Literal["immediate", "rapid", "delayed"]
TIERS: tuple[Tier, ...] = ("immediate", "rapid", "delayed")
"""From the fastest to the slowest."""
DRILLS_TO_LEARN = 4.0
"""Fire drills a year that make failures of a rollback rarer by the factor e: an assumption."""


def _between(low: str, high: str) -> Uniform:
    return Uniform.model_validate({"kind": "uniform", "low": low, "high": high})


class Rollback(Component):
    """Putting the version before back into service."""

    tier: Tier = Field(
        default="rapid",
        description="immediate: a hot standby takes over; rapid: redeployed from the registry; delayed: redeployed "
        "with its state. One that fails is tried again in the next slower way",
    )
    immediate: Duration = Field(default=_between("10s", "1min"), description="time of an immediate rollback")
    rapid: Duration = Field(default=_between("3min", "15min"), description="time of a rapid rollback")
    delayed: Duration = Field(default=_between("1h", "4h"), description="time of a delayed rollback")
    standby_cost: MoneyPerDay = Field(
        default=0.0, description="price of the hot standby of tier immediate, all the time, e.g. '$3/h'"
    )
    registry: bool = Field(default=True, description="whether a registry knows where the versions before are")
    search: Duration = Field(
        default=_between("30min", "90min"), description="without a registry: time to find the right artefact"
    )
    drills: PerDay = Field(default=0.0, description="fire drills, e.g. '12/y' for one a month")
    drill_cost: Money = Field(default=0.0, description="price of a fire drill, such as the hours of a team")
    untested_failure: Fraction = Field(
        default=0.5,
        description="chance that an attempt fails where rollbacks are never practised; drills lower it to "
        "this x exp(-drills a year / 4), an assumption: the source says only that untested ones fail",
    )
    state: Literal["stateless", "stateful", "feedback_loop"] = Field(
        default="stateless",
        description="stateless: only the weights are switched; stateful: state of users is lost and builds up again; "
        "feedback_loop: the model goes on with data that the bad version has tainted",
    )
    state_loss: Fraction = Field(default=0.02, description="stateful: accuracy that the lost state takes")
    state_recovery: Annotated[Days, Field(gt=0)] = Field(
        default=1.0, description="stateful: the state is whole again after this"
    )
    taint: Fraction = Field(default=0.05, description="feedback_loop: accuracy that the tainted data take")
    clean_after: Annotated[Days, Field(gt=0)] = Field(
        default=14.0, description="feedback_loop: clean data are back after this"
    )

    @property
    def failure(self) -> float:
        """Chance that an attempt fails.

        >>> Rollback().failure, round(Rollback(drills="12/y").failure, 4)
        (0.5, 0.0249)
        """
        return self.untested_failure * math.exp(-self.drills * DAYS_PER_YEAR / DRILLS_TO_LEARN)

    @property
    def aftermath(self) -> tuple[float, float]:
        """Accuracy that the version lacks when it is back, and for how many days."""
        return {
            "stateless": (0.0, 0.0),
            "stateful": (self.state_loss, self.state_recovery),
            "feedback_loop": (self.taint, self.clean_after),
        }[self.state]
