"""Response: what people do with an alarm, and what it costs them.

An alarm is a page unless it joins an open one (consolidation). A page is acted on, or ignored by people who have seen
too many false ones (alert fatigue). Acting means triage; triage of a real incident leads to its repair, triage of
nothing makes a monitor a candidate for snoozing. Source: chapter, 'On-Call Practices for ML Systems'.
"""

from __future__ import annotations

from pydantic import Field

from scenarios.base import Component
from scenarios.distributions import Duration, Fixed
from scenarios.on_call import OnCall
from scenarios.units import Days, Fraction, MoneyPerDay, PositiveCount, PositiveDays


def _lasting(duration: str) -> Fixed:
    return Fixed.model_validate({"kind": "fixed", "value": duration})


class Fatigue(Component):
    """The chance that a page is acted on is 1 - strength * (share of the newest pages that people saw to be false).

    Pages that they ignored count as not known to be false, so that tired people come to look again.
    """

    strength: Fraction = Field(default=0.8, description="0: every page is acted on, however many were false")
    memory: PositiveCount = Field(default=20, description="number of newest pages that people remember")


class Snooze(Component):
    """A monitor whose pages were false several times in a row is silenced for a while, with a ticket."""

    after: PositiveCount = Field(default=3, description="false pages in a row")
    duration: PositiveDays = Field(default=7.0, description="how long it is silent")
    ticket: Days = Field(default=0.0, description="working time of the follow-up ticket")


class Response(Component):
    """People behind the pager."""

    triage: Duration = Field(
        default=_lasting("30min"),
        description="from a page that is acted on to its cause; the steps of on_call in its place where it is given",
    )
    repair: Duration = Field(default=_lasting("4h"), description="from the cause to the repair")
    hourly_cost: MoneyPerDay = Field(default=100.0 * 24.0, description="working time, e.g. '$100/h'")
    consolidation: Days = Field(
        default=1.0 / 24.0, description="alarms this soon after a page join it; 0: each alarm is a page"
    )
    fatigue: Fatigue = Fatigue()
    snooze: Snooze | None = Field(default=None, description="monitors are never silenced when absent")
    on_call: OnCall | None = Field(
        default=None,
        description="a rotation with tiers, severities and mitigation; when absent whoever is paged starts at once, "
        "at any hour, and triage is one step",
    )
