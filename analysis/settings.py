"""Decision variables: what an optimiser may set in a scenario and in a policy.

A variable is a field of the scenario (`triggers[0].threshold=0.02..0.2`), a list of choices
(`triggers[0].cadence=1h,6h,1d`), a knob of the policy (`policy.interval=1d..60d:log`), a gap in the policy's text
(`{limit}` in `triggered:psi>{limit}`), or the policy itself (`policy=never,scheduled:7d`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.design_fields import canonical_path, field_of
from analysis.design_texts import split_assignment
from analysis.evaluations import policies_of
from analysis.inputs import EXAMPLE, Input, checked, guessed_input, parse_input
from scenarios.loader import parse_override
from scenarios.policies import KINDS, parse_policy
from scenarios.schema import Scenario, check_scenario
from sim.policies import Policy

KNOBS = ("interval", "cooldown", "votes", "budget", "retrains", "threshold")
WHOLE_KNOBS = ("votes", "retrains")
Setting = dict[str, Any]
"""A number (in the inner unit) or a choice for each variable, by path."""


@dataclass(frozen=True)
class Choice:
    """One of several values, as scenario files have them."""

    path: str
    options: tuple[Any, ...]


Variable = Input | Choice


@dataclass(frozen=True)
class Space:
    """All settings: a scenario, a policy's text with gaps, and the variables."""

    scenario: Scenario
    template: str
    variables: tuple[Variable, ...]

    @property
    def numeric(self) -> list[Input]:
        """Variables with a range of numbers that need not be whole."""
        return [v for v in self.variables if isinstance(v, Input) and not v.field.whole]

    def applied(self, setting: Setting) -> tuple[Scenario, Policy]:
        """Scenario and policy of a setting. Raises ValueError for one that the scenario cannot have."""
        fields, gaps, text = {}, {}, self.template
        for variable in self.variables:
            value = setting[variable.path]
            written = variable.written(value) if isinstance(variable, Input) else value
            if variable.path == "policy":
                text = str(value)
            elif variable.path in _gaps(self.template):
                gaps[variable.path] = str(written)
            else:
                fields[variable.path] = written
        text = re.sub(r"\{(\w+)\}", lambda found: gaps[found[1]], text)
        scenario = self.scenario.with_(**fields) if fields else self.scenario
        (policy,) = policies_of(scenario, [parse_policy(text)]).values()
        return scenario, policy

    def shown(self, setting: Setting) -> str:
        """A setting for people: `interval 60.8 d, labels.coverage 0.5`."""
        return ", ".join(
            f"{v.path} {v.shown(setting[v.path]) if isinstance(v, Input) else setting[v.path]}"
            for v in self.variables
        )

    def document(self, setting: Setting) -> dict[str, Any]:
        """A setting for JSON, as scenario files have it."""
        return {
            v.path: v.written(setting[v.path]) if isinstance(v, Input) else setting[v.path]
            for v in self.variables
        }


def space_of(scenario: Scenario, texts: Sequence[str], policy: str | None = None) -> Space:
    """Read variables. policy: the policy that is played, with {gaps}; `scheduled:{interval}` for an interval alone.

    Raises ValueError for a field, knob or value that cannot be, a path that is there twice, and a gap that no variable
    fills.
    """
    check_scenario(scenario)
    if not texts:
        raise ValueError("no variables: expected one or more such as policy.interval=1d..60d:log")
    pairs = [split_assignment(text, EXAMPLE) for text in texts]
    knobs = [path.removeprefix("policy.") for path, _ in pairs if path.startswith("policy.")]
    template = policy or ("scheduled:{interval}" if "interval" in knobs else "")
    for knob in knobs:
        template = with_gap(template, knob)
    if not template and not any(path == "policy" for path, _ in pairs):
        raise ValueError(
            "no policy: expected one with --policy, such as scheduled:7d, or policy.interval=1d..60d"
        )
    variables = tuple(_variable(scenario, path, values, template) for path, values in pairs)
    paths = [variable.path for variable in variables]
    for path in paths:
        if paths.count(path) > 1:
            raise ValueError(f"{path} is there twice, expected different variables")
    for gap in _gaps(template):
        if gap not in paths:
            raise ValueError(
                f"policy {template!r}: no variable for {{{gap}}}, expected --variable {gap}=LOW..HIGH"
            )
    space = Space(scenario, template or "never", variables)
    for share in (0, -1):
        space.applied(
            {v.path: (v.low, v.high)[share] if isinstance(v, Input) else v.options[share] for v in variables}
        )
    return space


def with_gap(template: str, knob: str) -> str:
    """A policy's text with a gap for one of its knobs.

    Raises ValueError for a knob that the policy does not have.

    >>> with_gap("hybrid:30d:psi>0.2+cooldown=7d", "interval"), with_gap("triggered:psi>0.2", "threshold")
    ('hybrid:{interval}:psi>0.2+cooldown=7d', 'triggered:psi>{threshold}')
    >>> with_gap("triggered", "cooldown")
    'triggered+cooldown={cooldown}'
    """
    if knob not in KNOBS:
        from scenarios.problems import choice

        raise ValueError(f"policy.{knob}: {choice(knob, KNOBS)}")
    gap = f"{{{knob}}}"
    if gap in template:
        return template
    body, *modifiers = template.split("+")
    kind, _, rest = body.partition(":")
    _, colon, conditions = rest.partition(":")
    if knob in ("cooldown", "budget", "votes") and kind in KINDS:
        kept = [text for text in modifiers if not text.startswith(f"{knob}=")]
        return "+".join([body, *kept, f"{knob}={gap}{'/y' if knob == 'budget' else ''}"])
    if knob == "interval" and kind in ("scheduled", "hybrid", "continuous", "cost-aware"):
        return "+".join([f"{kind}:{gap}{colon}{conditions}", *modifiers])
    if knob == "retrains" and kind == "random":
        return "+".join([f"random:{gap}", *modifiers])
    if knob == "threshold" and len(re.findall("[<>]", rest)) == 1:
        sign = re.search("[<>]", rest)
        assert sign is not None
        return "+".join([f"{kind}:{rest[: sign.end()]}{gap}", *modifiers])
    raise ValueError(f"policy.{knob}: policy {template or '(none)'!r} has no {knob}")


def _gaps(template: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", template)


def _variable(scenario: Scenario, path: str, values: str, template: str) -> Variable:
    name = path.removeprefix("policy.")
    ranged = ".." in values or values.startswith("normal")
    if path == "policy":
        return Choice(path, tuple(str(parse_policy(text).name) for text in values.split(",")))
    if not ranged:
        options = parse_override(f"{path}=[{values}]")[1]
        if not isinstance(options, list) or len(options) < 2:
            raise ValueError(f"{path}={values}: expected LOW..HIGH, or two or more choices such as a,b")
        if name in _gaps(template):
            return Choice(name, tuple(options))
        place = canonical_path(path)
        for option in options:
            field_of(scenario, place, option)
            scenario.with_(**{place: option})
        return Choice(place, tuple(options))
    if name in _gaps(template):
        return guessed_input(name, values, whole=name in WHOLE_KNOBS)
    return checked(scenario, parse_input(scenario, f"{path}={values}"))
