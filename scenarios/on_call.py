"""On call: who is woken by a page, how the cause is found, and what ends the harm until it is repaired.

    page -> severity -> acknowledged -> (P0, P1: mitigated) -> triage by tiers -> mitigated -> repaired

Response targets, tiers, the parallel data on-call and the order of the triage steps are the source's; durations and
chances are assumptions, to be replaced by a team's own. Source: chapter, 'Incident Response for ML Systems', 'The
Debugging Decision Tree', 'On-Call Practices for ML Systems'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from scenarios.base import Component
from scenarios.distributions import Duration, Fixed
from scenarios.names import check_known
from scenarios.units import Count, Days, Fraction, Money, MoneyPerDay, PositiveCount, PositiveDays, Real
from scenarios.working_hours import WorkingHours

if TYPE_CHECKING:
    from scenarios.schema import Scenario

Severity = Literal["P0", "P1", "P2", "P3"]
SEVERITIES: tuple[str, ...] = get_args(Severity)
"""From the worst on."""
Branch = Literal["data", "skew", "slice", "temporal", "model"]
BRANCHES: tuple[str, ...] = get_args(Branch)
"""Questions of the decision tree, in the source's order."""
Mitigation = Literal["rollback", "fallback", "throttle", "retrain"]
_AT_ONCE = ("rollback", "fallback", "throttle")


def _lasting(duration: str) -> Fixed:
    return Fixed.model_validate({"kind": "fixed", "value": duration})


class Staff(Component):
    """People on duty at any moment, by role; a tier without people is left out of the escalation."""

    ml: PositiveCount = Field(default=1, description="tier 1: ML engineers, who get the pages")
    senior: Count = Field(default=1, description="tier 2: senior engineers, for what tier 1 does not find")
    lead: Count = Field(default=1, description="tier 3: platform leads, for what tier 2 does not find")
    data: Count = Field(
        default=0,
        description="data engineers on call in parallel, who answer the first question, the data; with 0 the ML "
        "engineer does",
    )


class TriageStep(Component):
    """One question of the decision tree."""

    name: Branch = Field(
        description="what is looked at; temporal also finds recent changes of code and infrastructure"
    )
    duration: Duration = Field(description="time of the look, without a runbook")
    success: Annotated[Fraction, Field(ge=0.01)] = Field(
        description="chance that the first tier finds the cause here when it is here, at least 1%"
    )


class Targets(Component):
    """Longest time from a page to its acknowledgement, by severity; the source's figures."""

    P0: PositiveDays = Field(default=15.0 / 1440.0, description="complete failure")
    P1: PositiveDays = Field(default=1.0 / 24.0, description="significant loss of accuracy")
    P2: PositiveDays = Field(default=4.0 / 24.0, description="moderate drift, localised impact")
    P3: PositiveDays = Field(default=1.0, description="minor anomaly")


class Fallback(Component):
    """A simpler model or rule answers in place of the failing one."""

    switch: Duration = Field(default=_lasting("5min"), description="working time of switching to it")
    left: Fraction = Field(default=0.4, description="share of the harm that is left; an assumption")


class Throttle(Component):
    """Fewer requests reach the failing system."""

    switch: Duration = Field(default=_lasting("2min"), description="working time of switching it on")
    left: Fraction = Field(default=0.5, description="share of the harm that is left; an assumption")


class CircuitBreaker(Component):
    """Software that mitigates at the alarm of a monitor, without people.

    It sees what its monitors see and nothing else: one that watches throughput is blind to plausible wrong answers.
    """

    monitors: list[str] = Field(
        min_length=1, description="names of the scenario's monitors that it listens to"
    )
    switch: Days = Field(default=1.0 / 1440.0, description="from the alarm to the switch")
    false_trip: Money = Field(default=0.0, description="price of a switch at a false alarm")
    hold: Days = Field(
        default=1.0 / 24.0,
        description="a switch at a false alarm lasts so long; no further one is paid in it",
    )


_DEFAULT_STEPS: list[dict[str, Any]] = [
    {"name": "data", "duration": "30min", "success": 0.8},
    {"name": "skew", "duration": "45min", "success": 0.7},
    {"name": "slice", "duration": "45min", "success": 0.7},
    {"name": "temporal", "duration": "30min", "success": 0.8},
    {"name": "model", "duration": "2h", "success": 0.6},
]


def _default_steps() -> list[TriageStep]:
    return [TriageStep.model_validate(step) for step in _DEFAULT_STEPS]


class OnCall(Component):
    """The rotation behind the pager; in place of the response's flat triage."""

    staff: Staff = Field(default=Staff(), description="people on duty at any moment, by role")
    duty_cost: MoneyPerDay = Field(
        default=0.0, description="price of a person on duty, whether or not anybody calls, e.g. '$200/d'"
    )
    hours: WorkingHours = Field(default=WorkingHours(), description="when people are at their desks")
    cover: Literal["always", "business"] = Field(
        default="always",
        description="always: somebody is on call day and night; business: pages outside working hours wait, whatever "
        "their severity",
    )
    wake_for: list[Severity] = Field(
        default=["P0", "P1"],
        description="with cover always: severities that are worked on day and night; the others wait for working hours",
    )
    acknowledge: Duration = Field(
        default=_lasting("5min"), description="from a page to somebody at the keyboard, awake"
    )
    asleep: Duration = Field(
        default=_lasting("15min"), description="how much longer that takes outside working hours"
    )
    targets: Targets = Field(
        default=Targets(), description="response targets; a later acknowledgement misses"
    )

    sample: PositiveCount = Field(
        default=1000, description="requests looked at to judge the severity of a page"
    )
    p0_lost: Annotated[Fraction, Field(gt=0)] = Field(
        default=0.5, description="P0: at least this share of the requests, or of accuracy in points, is lost"
    )
    p1_lost: Annotated[Fraction, Field(gt=0)] = Field(
        default=0.1, description="P1: more than this; P2: more than the scenario's material_drop, else P3"
    )

    steps: list[TriageStep] = Field(
        default_factory=_default_steps,
        description="the decision tree: each of data, skew, slice, temporal and model once, in the order in which "
        "they are looked at; the default durations (30min, 45min, 45min, 30min, 2h) and chances (80, 70, 70, 80, 60 %) "
        "are assumptions",
    )
    escalated_pace: Annotated[Real, Field(gt=0)] = Field(
        default=0.7,
        description="factor on the durations of triage with each tier higher, which also misses half as often; an "
        "assumption",
    )
    outsider: Annotated[Real, Field(ge=1)] = Field(
        default=2.0, description="factor on the data step where no data engineer is on call; an assumption"
    )
    runbooks: Fraction = Field(
        default=0.0,
        description="share of the failure modes that have a runbook; which ones hangs on their names",
    )
    runbook_pace: Annotated[Fraction, Field(gt=0)] = Field(
        default=0.5, description="factor on all steps of triage with a runbook; an assumption"
    )
    lineage: bool = Field(default=False, description="whether data lineage is at hand")
    lineage_pace: Annotated[Fraction, Field(gt=0)] = Field(
        default=0.5, description="factor on the steps data and skew with lineage; an assumption"
    )

    shift: Annotated[PositiveDays, Field(ge=1.0 / 24.0)] = Field(
        default=0.5,
        description="length of a shift, at least 1h; they change at the start of working hours, and so on",
    )
    handoff_loss: Annotated[Fraction, Field(le=0.9)] = Field(
        default=0.25,
        description="share of what a shift did on a piece of work that is lost when the next takes over",
    )
    load_limit: Count = Field(
        default=2, description="incidents a shift that each person of a role takes up without getting slower"
    )
    fatigue_slowdown: Annotated[Real, Field(ge=0)] = Field(
        default=0.2, description="each incident beyond the limit makes its work longer by this share of it"
    )

    mitigations: list[Mitigation] = Field(
        default=["rollback", "fallback", "throttle", "retrain"],
        description="in the order of preference. rollback: for failures that a deployment or a retraining caused, or "
        "that the model in service has learned; fallback and throttle: for failures that harm what is served; "
        "retrain: in place of a repair by hand, once the cause is known to be temporal or the model",
    )
    fallback: Fallback = Field(default=Fallback(), description="mitigation by a simpler answer")
    throttle: Throttle = Field(default=Throttle(), description="mitigation by less traffic")
    circuit_breaker: CircuitBreaker | None = Field(
        default=None, description="mitigation without people; none when absent"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [step.name for step in self.steps]
        if sorted(names) != sorted(BRANCHES):
            raise ValueError(
                f"steps: got {', '.join(names) or 'none'}, expected each of {', '.join(BRANCHES)} once, in any order"
            )
        for field in ("mitigations", "wake_for"):
            given = getattr(self, field)
            if len(set(given)) < len(given):
                raise ValueError(f"{field}: one is there twice in {', '.join(given)}")
        if self.p1_lost >= self.p0_lost:
            raise ValueError(
                f"p1_lost: got {self.p1_lost:g}, expected less than p0_lost, which is {self.p0_lost:g}"
            )
        if self.circuit_breaker is not None and not set(self.mitigations) & set(_AT_ONCE):
            raise ValueError(
                f"circuit_breaker: it has nothing to switch, expected one of {', '.join(_AT_ONCE)} in mitigations"
            )
        return self

    def works_at_night(self, severity: str) -> bool:
        """Whether people work on this severity outside working hours too."""
        return self.cover == "always" and severity in self.wake_for


def check_on_call(scenario: Scenario) -> None:
    """Raise ValueError, naming the place, for a rotation that does not fit the scenario's monitors."""
    if scenario.response is None or scenario.response.on_call is None:
        return
    breaker = scenario.response.on_call.circuit_breaker
    if breaker is not None:
        labels = tuple(monitor.label for monitor in scenario.monitors)
        for name in breaker.monitors:
            check_known("response.on_call.circuit_breaker.monitors", [name], labels)
