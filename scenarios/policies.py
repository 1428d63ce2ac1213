"""Retraining policies as people write them: `scheduled:7d`, `triggered:psi>0.2`, `hybrid:30d`.

A specification says which policy and with which knobs, in the user's units; `sim.policies` holds the decisions.
Grammar: NAME[:ARGUMENT][:CONDITION[&CONDITION...]][+MODIFIER=VALUE...], conditions as `psi>0.2`, `ks>0.1`,
`js>0.1`, `prediction>0.1`, `accuracy<-0.05`, `cusum>5`, `staleness-cost`; modifiers `cooldown`, `budget`, `votes`.
"""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from scenarios.base import Component
from scenarios.detectors import DETECTORS
from scenarios.monitoring import SCORES, Monitor
from scenarios.problems import choice
from scenarios.units import Days, PerDay, PositiveCount, PositiveDays

KINDS = (
    "never",
    "scheduled",
    "triggered",
    "hybrid",
    "continuous",
    "cost-aware",
    "random",
    "oracle",
)
USAGE = {
    "never": "never",
    "scheduled": "scheduled:7d or scheduled:best",
    "triggered": "triggered, triggered:psi>0.2, triggered:accuracy<-0.05, triggered:psi@4/y or triggered:adwin",
    "hybrid": "hybrid:30d or hybrid:30d:psi>0.2",
    "continuous": "continuous:1d",
    "cost-aware": "cost-aware or cost-aware:12h (time between two looks)",
    "random": "random:12 (retrainings at random moments)",
    "oracle": "oracle",
}
_CONDITION_METRICS = {
    **{score: f"feature_drift_{score}" for score in SCORES},
    "prediction": "prediction_distribution_shift",
    "accuracy": "accuracy",
}
_INTERVALS = {
    "hourly": "1h",
    "daily": "1d",
    "nightly": "1d",
    "weekly": "7d",
    "biweekly": "14d",
    "fortnightly": "14d",
    "monthly": "30d",
    "quarterly": "91d",
    "yearly": "365d",
}
_SIGNALS = "; for a signal, write a trigger of metric signal in the scenario and use 'triggered'"
_DURATION: TypeAdapter[float] = TypeAdapter(PositiveDays)
_ANY_DURATION: TypeAdapter[float] = TypeAdapter(Days)
_RATE: TypeAdapter[float] = TypeAdapter(PerDay)


class PolicySpec(Component):
    """A policy and its knobs; `name` is what tables show."""

    name: str = Field(min_length=1, description="a name for tables")
    kind: Literal["never", "scheduled", "triggered", "hybrid", "continuous", "cost-aware", "random", "oracle"]
    interval: float | None = Field(default=None, gt=0, description="days between retrainings or looks")
    triggers: tuple[Monitor, ...] | None = Field(
        default=None, description="conditions of its own; the scenario's triggers when absent"
    )
    retrains: PositiveCount | None = Field(default=None, description="retrainings at random moments")
    cooldown: float | None = Field(default=None, ge=0, description="days after a retraining without another")
    budget: float | None = Field(default=None, gt=0, description="retrainings a year, at most")
    votes: PositiveCount | None = Field(default=None, description="triggers that must agree")

    @model_validator(mode="after")
    def _knobs_fit(self) -> Self:
        if self.kind in ("hybrid", "continuous") and self.interval is None:
            raise ValueError(f"a policy of kind {self.kind} needs interval (days)")
        if self.kind == "random" and self.retrains is None:
            raise ValueError("a policy of kind random needs retrains")
        if self.interval is not None and self.kind not in ("scheduled", "hybrid", "continuous", "cost-aware"):
            raise ValueError(f"interval does not apply to a policy of kind {self.kind}")
        if self.triggers is not None and self.kind not in ("triggered", "hybrid"):
            raise ValueError(f"triggers do not apply to a policy of kind {self.kind}")
        return self

    @property
    def tuned(self) -> bool:
        """Whether the interval is still to be found (`scheduled:best`)."""
        return self.kind == "scheduled" and self.interval is None


def parse_policy(text: str) -> PolicySpec:
    """Read a policy from its short form.

    Raises ValueError that says what would be right, with the nearest name.

    >>> parse_policy("scheduled:12h").interval
    0.5
    >>> parse_policy("triggered:psi>0.25+cooldown=7d").triggers[0].threshold
    0.25
    """
    body, *modifiers = text.strip().split("+")
    kind, _, rest = body.partition(":")
    kind = kind.strip()
    if kind not in KINDS:
        meant = _meant(body.strip())
        hint = f"did you mean {meant!r}? " if meant else ""
        raise ValueError(f"policy {text!r}: {hint}one of: {', '.join(KINDS)}")
    try:
        fields = _arguments(kind, rest.strip())
        for modifier in modifiers:
            fields |= _modifier(modifier)
        return PolicySpec(name=text.strip(), kind=kind, **fields)
    except ValidationError as error:
        raise ValueError(f"policy {text!r}: {_first_message(error)}") from None
    except ValueError as error:
        raise ValueError(f"policy {text!r}: {error}") from None


def _meant(text: str) -> str | None:
    """The policy that a word of everyday language or a misspelt name stands for; None if none is near.

    >>> _meant("weekly"), _meant("12h"), _meant("trigered:psi>0.2")
    ('scheduled:7d', 'scheduled:12h', 'triggered')
    """
    if text.lower() in _INTERVALS:
        return f"scheduled:{_INTERVALS[text.lower()]}"
    try:
        _DURATION.validate_python(text)
    except ValidationError:
        near = difflib.get_close_matches(text.partition(":")[0].strip(), KINDS, n=1)
        return near[0] if near else None
    return f"scheduled:{text}"


def _arguments(kind: str, rest: str) -> dict[str, Any]:
    if kind in ("never", "oracle"):
        if rest:
            raise ValueError(f"{kind} takes nothing after it, got {rest!r}")
        return {}
    if kind == "scheduled":
        if rest == "best":
            return {}
        return {"interval": _interval(kind, rest)}
    if kind == "continuous":
        return {"interval": _interval(kind, rest)}
    if kind == "cost-aware":
        return {"interval": _interval(kind, rest)} if rest else {}
    if kind == "random":
        if not rest.isdigit() or int(rest) == 0:
            raise ValueError(f"expected a number of retrainings, such as {USAGE[kind]}")
        return {"retrains": int(rest)}
    if kind == "triggered":
        return {"triggers": _conditions(rest)} if rest else {}
    interval, _, conditions = rest.partition(":")
    fields: dict[str, Any] = {"interval": _interval(kind, interval)}
    if conditions:
        fields["triggers"] = _conditions(conditions)
    return fields


def _interval(kind: str, text: str) -> float:
    if not text:
        raise ValueError(f"expected a duration, such as {USAGE[kind]}")
    return _DURATION.validate_python(text)


def _conditions(text: str) -> tuple[Monitor, ...]:
    return tuple(_condition(part.strip()) for part in text.split("&"))


def _condition(text: str) -> Monitor:
    if text == "staleness-cost":
        return Monitor(metric="accuracy", rule="staleness_cost")
    if text in DETECTORS:
        return Monitor.model_validate({"metric": "accuracy", "detector": text})
    if "@" in text:
        return _significance(text)
    match = re.fullmatch(r"([a-z_]+)\s*([<>])\s*([-+]?[0-9.]+(?:e-?[0-9]+)?)", text)
    if match is None:
        raise ValueError(
            f"got the condition {text!r}, expected one such as psi>0.2, accuracy<-0.05, psi@4/y, cusum>5 or "
            f"staleness-cost, or a detector of accuracy: {', '.join(DETECTORS)}{_SIGNALS}"
        )
    name, sign, number = match[1], match[2], float(match[3])
    if name == "cusum" and sign == ">":
        return Monitor.model_validate(
            {"metric": "accuracy", "rule": "cusum", "threshold": number, "window": "1d", "cadence": "1d"}
        )
    if name not in _CONDITION_METRICS:
        known = (*_CONDITION_METRICS, "cusum", "staleness-cost")
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"unknown metric {name!r}: {hint}one of: {', '.join(known)}{_SIGNALS}")
    if name == "accuracy":
        if sign != "<" or number >= 0:
            raise ValueError(f"got {text!r}, expected a fall of accuracy such as accuracy<-0.05")
        number = -number
    elif sign != ">":
        raise ValueError(f"got {text!r}, expected {name}>{number:g}")
    return Monitor(metric=_CONDITION_METRICS[name], threshold=number)


def _significance(text: str) -> Monitor:
    """A condition such as psi@4/y: what chance alone gives four times a year."""
    name, _, rate = (part.strip() for part in text.partition("@"))
    if name not in _CONDITION_METRICS:
        raise ValueError(f"unknown metric {name!r}: {choice(name, list(_CONDITION_METRICS))}{_SIGNALS}")
    wanted = {"metric": _CONDITION_METRICS[name], "rule": "significance", "false_alarms": rate}
    return Monitor.model_validate(wanted)


def _modifier(text: str) -> dict[str, Any]:
    name, _, value = text.partition("=")
    if name == "cooldown":
        return {"cooldown": _ANY_DURATION.validate_python(value)}
    if name == "budget":
        return {"budget": round(365.0 * _RATE.validate_python(value), 9)}
    if name == "votes":
        if not value.isdigit() or int(value) == 0:
            raise ValueError(f"votes={value}: expected a whole number such as votes=2")
        return {"votes": int(value)}
    raise ValueError(f"unknown modifier {text!r}, one of: cooldown=7d, budget=12/y, votes=2")


def _first_message(error: ValidationError) -> str:
    return str(error.errors()[0]["msg"]).removeprefix("Value error, ")


def _spec_from_text(value: Any) -> Any:
    if isinstance(value, (PolicySpec, dict)):
        return value
    if not isinstance(value, str):
        raise ValueError(f"got {value!r}, expected a policy such as 'scheduled:7d'")
    return parse_policy(value)


Policy = Annotated[PolicySpec, BeforeValidator(_spec_from_text, json_schema_input_type=str)]
