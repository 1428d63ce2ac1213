"""Deployment: how a candidate meets real traffic before, and when, it replaces the champion.

Decisions come from the evidence that the exposed share of the requests really gives, so that little traffic or late
labels leave a comparison blind. Source: chapter, 'Model Deployment', 'A/B Testing for Model Validation'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from scenarios.base import Component
from scenarios.names import check_known
from scenarios.rollback import Rollback
from scenarios.units import Days, Fraction, MoneyPerDay, PositiveCount, PositiveDays, Real

if TYPE_CHECKING:
    from scenarios.schema import Scenario

LABELS = "labels"
"""The evidence that is no signal."""

Level = Annotated[Fraction, Field(gt=0, le=0.5)]
Inner = Annotated[Fraction, Field(gt=0, lt=1)]


class _Strategy(Component):
    rollback: Rollback = Field(
        default=Rollback(), description="how the version before comes back when somebody asks for it"
    )


class Direct(_Strategy):
    """All traffic at once."""

    strategy: Literal["direct"] = "direct"


class BlueGreen(_Strategy):
    """All traffic at once; the old version stands by for a while, and a rollback to it is immediate."""

    strategy: Literal["blue_green"]
    standby: PositiveDays = Field(
        default=1.0, description="how long the old version stands by; a newer deployment ends it"
    )
    serving_cost: MoneyPerDay = Field(
        default=0.0, description="price of serving, which the version that stands by costs too"
    )


def _one_or_more(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class Canary(_Strategy):
    """A share of the traffic that grows step by step; a test at the end of each step may stop it.

    Labels and requests of each step are judged once, in the step in which they come in.
    """

    strategy: Literal["canary"]
    steps: list[Annotated[Fraction, Field(gt=0)]] = Field(
        default=[0.01, 0.05, 0.25, 1.0],
        min_length=1,
        description="share of the requests that the candidate answers, step by step, growing; at 100 % it has replaced "
        "the champion, which is also what comes after the last step",
    )
    hold: Annotated[
        list[PositiveDays],
        BeforeValidator(_one_or_more, json_schema_input_type=PositiveDays | list[PositiveDays]),
    ] = Field(
        default=[1.0 / 24.0],
        min_length=1,
        description="how long a step lasts: one for all, or one for each (a step of 100 % needs none)",
    )
    evidence: str = Field(
        default=LABELS,
        description="labels: right and wrong answers as labels come in; or the name of a signal of kind proportion "
        "that accuracy moves",
    )
    alpha: Level = Field(
        default=0.05, description="chance that a test stops a candidate that is worse by exactly the margin"
    )
    margin: Annotated[Fraction, Field(lt=1)] = Field(
        default=0.0, description="how much worse, in the share that is compared, a candidate may be"
    )

    @property
    def stages(self) -> list[tuple[float, float]]:
        """Share and hold time (days) of the steps below 100 %."""
        shares = [share for share in self.steps if share < 1.0]
        holds = self.hold * len(shares) if len(self.hold) == 1 else self.hold
        return list(zip(shares, holds, strict=False))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(later <= sooner for sooner, later in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError("steps: expected shares that grow, such as [1%, 5%, 25%, 100%]")
        below = sum(share < 1.0 for share in self.steps)
        if len(self.hold) not in (1, below, len(self.steps)):
            raise ValueError(f"hold: got {len(self.hold)} times, expected 1, or one for each step ({below})")
        return self


class Shadow(_Strategy):
    """The candidate answers copies of the requests and nobody sees it; labels tell who is right (McNemar's test)."""

    strategy: Literal["shadow"]
    duration: PositiveDays = Field(default=1.0, description="how long it runs beside the champion")
    overhead: Fraction = Field(
        default=0.15, description="what answering twice costs, as a share of serving_cost; source: 10-20 %"
    )
    serving_cost: MoneyPerDay = Field(default=0.0, description="price of serving, e.g. '$500/d'")
    alpha: Level = Field(default=0.05, description="chance that an equally good candidate is stopped")
    shared_errors: Fraction = Field(
        default=0.5,
        description="share of the errors of the better model that the other makes too, beyond chance (an assumption): "
        "the more, the fewer answers differ, and the more a difference tells",
    )


class Novelty(Component):
    """Users try what is new: the candidate looks better at first than it is."""

    lift: Inner = Field(default=0.01, description="added to the candidate's share at first")
    fades: PositiveDays = Field(default=3.0, description="63 % of it are gone after this")


class Guardrail(Component):
    """A signal that must not suffer, however much the primary metric gains."""

    signal: str = Field(description="name of a signal of kind proportion or mean")
    harm: Fraction = Field(
        default=0.02, description="relative change for the worse that is allowed; more, beyond chance, fails"
    )
    bad: Literal["up", "down"] = Field(default="up", description="which way is worse")
    worsens: Annotated[Real, Field(ge=0)] = Field(
        default=0.0,
        description="how much worse the signal truly is with a candidate, relative, besides what follows from its "
        "accuracy: 0.1 for a model that is a tenth slower",
    )
    affects: Fraction = Field(default=1.0, description="share of the candidates for which it is worse")


class _Experiment(_Strategy):
    alpha: Level = Field(default=0.05, description="two-sided chance of a difference where there is none")
    power: Inner = Field(
        default=0.8, description="chance to find a difference of `effect`, for the planned size"
    )
    effect: Annotated[Fraction, Field(gt=0)] = Field(
        default=0.01, description="smallest difference worth finding, in the share that is compared"
    )
    maximum: PositiveDays = Field(
        default=28.0, description="it ends after this with what it has, planned size or not"
    )


class ABTest(_Experiment):
    """Two variants side by side until the planned size is reached; then the decision matrix."""

    strategy: Literal["ab_test"]
    share: Inner = Field(default=0.5, description="share of the requests that get the candidate")
    primary: str = Field(
        default=LABELS,
        description="labels: accuracy as labels come in; or the name of a signal of kind proportion that accuracy "
        "moves",
    )
    minimum: Days = Field(
        default=7.0,
        description="its size is at least what comes in within this time, to have each day of the week; only a clear "
        "result at an earlier look ends it sooner",
    )
    looks: Annotated[PositiveCount, Field(le=20)] = Field(
        default=1, description="how often one looks, at equal parts of the size; a clear result ends it early"
    )
    correction: Literal["none", "pocock", "obrien_fleming"] = Field(
        default="none", description="how limits allow for several looks; none: each look is a test at alpha"
    )
    burn_in: Days = Field(default=0.0, description="time at the start that is not counted")
    attribution: Days = Field(
        default=0.0, description="a request counts for signals when it is this old: conversions come late"
    )
    novelty: Novelty | None = Field(default=None, description="nobody is curious when absent")
    guardrails: list[Guardrail] = Field(default=[], description="what must not suffer")

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.burn_in + max(self.minimum, self.attribution) > self.maximum:
            raise ValueError("maximum: must not be shorter than burn_in and minimum or attribution together")
        return self


class Interleaving(_Experiment):
    """Requests that are answered by both: which answer do users prefer? Far fewer are needed than in an A/B test."""

    strategy: Literal["interleaving"]
    share: Inner = Field(default=0.1, description="share of the requests that show both answers")
    effect: Annotated[Fraction, Field(gt=0)] = Field(
        default=0.01, description="smallest lead in accuracy worth finding"
    )
    gain: Annotated[Real, Field(gt=0)] = Field(
        default=5.0,
        description="the candidate's answer is preferred with chance 0.5 + gain x its lead in accuracy (an assumption)",
    )


def _from_name(value: Any) -> Any:
    """Read `canary` as the strategy with its defaults, and a mapping without a strategy as direct."""
    if isinstance(value, str):
        return {"strategy": value}
    return {"strategy": "direct"} | value if isinstance(value, dict) else value


AnyStrategy = Direct | BlueGreen | Canary | Shadow | ABTest | Interleaving

Deployment = Annotated[
    Annotated[AnyStrategy, Field(discriminator="strategy")],
    BeforeValidator(_from_name, json_schema_input_type=str | AnyStrategy),
]
"""A strategy by its name, or a mapping with `strategy` and its parameters."""


def check_deployment(scenario: Scenario) -> None:
    """Raise ValueError, naming the place, for a deployment that this scenario cannot have."""
    plan = scenario.deployment
    if scenario.edge is not None and plan.strategy != "direct":
        raise ValueError(
            f"deployment.strategy: {plan.strategy} is for servers; on an edge fleet edge.ota.waves and edge.ota.halt "
            "stage a release, expected direct"
        )
    if isinstance(plan, Canary):
        _check_evidence(scenario, "deployment.evidence", plan.evidence)
    if isinstance(plan, Shadow):
        _check_evidence(scenario, "deployment.strategy", LABELS)
    if isinstance(plan, ABTest):
        _check_evidence(scenario, "deployment.primary", plan.primary)
        for number, guardrail in enumerate(plan.guardrails):
            place = f"deployment.guardrails[{number}].signal"
            names = tuple(s.name for s in scenario.signals if s.kind in ("proportion", "mean"))
            check_known(place, guardrail.signal, names)


def _check_evidence(scenario: Scenario, place: str, evidence: str) -> None:
    if evidence == LABELS:
        if scenario.labels is None:
            raise ValueError(f"{place}: it compares by labels, and labels are none")
        return
    telling = tuple(s.name for s in scenario.signals if s.kind == "proportion" and s.per_accuracy_lost != 0.0)
    if evidence not in telling and evidence in (signal.name for signal in scenario.signals):
        raise ValueError(
            f"{place}: {evidence} tells nothing of accuracy, expected labels or a signal of kind proportion with "
            "per_accuracy_lost"
        )
    check_known(place, evidence, (LABELS, *telling))
