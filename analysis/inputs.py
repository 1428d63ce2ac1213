"""Uncertain inputs and decision variables: a field of the scenario, and the values that it may have.

Written PATH=LOW..HIGH (each value as likely), PATH=LOW..HIGH:log (each order of magnitude as likely),
PATH=LOW..MODE..HIGH (triangular) or PATH=normal(MEAN, SD), in the units of scenario files:
`quality.decay=1%/d..5%/d`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from analysis.design_fields import VariedField, canonical_path, field_of
from analysis.design_texts import split_assignment
from scenarios.distributions import Fixed
from scenarios.loader import parse_override
from scenarios.pipeline import Stage
from scenarios.schema import Scenario
from scenarios.units import DURATION, EVENT_RATE, MONEY, MONEY_RATE, SIZE, VOLATILITY, Quantity

Array = NDArray[np.float64]
Law = Literal["uniform", "log", "triangular", "normal"]
SPREAD = 0.3
"""Inputs that nobody has given a range are taken from this much below to this much above the scenario's value."""
REACH = 5.0
TAIL = 0.025
"""A normal input reaches from this quantile to its counterpart where low and high are needed."""
EXAMPLE = "quality.decay=1%/d..5%/d, PATH=LOW..HIGH:log, PATH=LOW..MODE..HIGH or PATH=normal(MEAN, SD)"


@dataclass(frozen=True)
class Input:
    """A field with a law; numbers are in the inner unit (days, per day, currency)."""

    field: VariedField
    law: Law
    low: float
    high: float
    middle: float = 0.0
    """Mode of a triangular law, mean of a normal one."""
    sd: float = 0.0
    """Of a normal law; low and high are then its quantiles TAIL and 1 - TAIL."""

    @property
    def path(self) -> str:
        """The field's path."""
        return self.field.path

    def quantile(self, share: Array) -> Array:
        """Values at probabilities in (0, 1), by the inverse distribution function; whole where they must be."""
        u = np.asarray(share, dtype=np.float64)
        if self.law == "log":
            values = self.low * (self.high / self.low) ** u
        elif self.law == "triangular":
            values = self._triangular(u)
        elif self.law == "normal":
            values = self.middle + self.sd * ndtri(np.clip(u, 1e-9, 1.0 - 1e-9))
        else:
            values = self.low + (self.high - self.low) * u
        return np.round(values) if self.field.whole else np.asarray(values)

    def at(self, share: float) -> float:
        """One value at a share in [0, 1] of the way from low to high, on the scale of the law (log or linear)."""
        if self.law == "log":
            value = self.low * (self.high / self.low) ** share
        else:
            value = self.low + (self.high - self.low) * share
        return float(round(value)) if self.field.whole else value

    def share_of(self, value: float) -> float:
        """The share in [0, 1] at which `at` gives a value; outside [low, high] it is beyond 0 or 1."""
        if self.law == "log":
            return float(np.log(value / self.low) / np.log(self.high / self.low))
        return (value - self.low) / (self.high - self.low)

    def written(self, value: float) -> Any:
        """A value as a scenario file has it."""
        return self.field.written(float(value))

    def shown(self, value: float) -> str:
        """A value for people, three significant digits."""
        if self.field.whole or self.field.quantity is None or value == 0.0:
            return f"{value:.4g}"
        kind = self.field.quantity
        if kind is EVENT_RATE and 0.0 < abs(value) < 1.0:
            return f"{100.0 * value:.3g} %/d"
        return kind.show(float(f"{value:.3g}"))

    def _triangular(self, u: Array) -> Array:
        span, left = self.high - self.low, (self.middle - self.low) / (self.high - self.low)
        rising = self.low + span * np.sqrt(u * left)
        falling = self.high - span * np.sqrt((1.0 - u) * (1.0 - left))
        return np.where(u < left, rising, falling)


def parse_input(scenario: Scenario, text: str) -> Input:
    """Read one input and check both of its ends against the scenario.

    Raises ValueError (ScenarioError) for a path or a value that the scenario cannot have, and for another form.

    >>> import scenarios
    >>> found = parse_input(scenarios.load("rotting_asset"), "quality.decay=1%/d..4%/d:log")
    >>> round(found.at(0.5), 6), found.law
    (0.02, 'log')
    """
    path, values = split_assignment(text, EXAMPLE)
    ends = _ends(path, values)
    first = next(iter(ends[1].values()))
    given = field_of(scenario, canonical_path(path), first)
    return checked(scenario, _input(given, *ends))


def guessed_input(name: str, values: str, *, whole: bool = False) -> Input:
    """An input that is no field of the scenario, such as a knob of a policy; its unit is seen from its values."""
    law, ends = _ends(name, values)
    first = next(iter(ends.values()))
    kinds: tuple[Quantity, ...] = (DURATION, EVENT_RATE, MONEY, MONEY_RATE, VOLATILITY, SIZE)
    quantity = next((kind for kind in kinds if isinstance(first, str) and _reads(kind, first)), None)
    return _input(VariedField(name, quantity, whole), law, ends)


def default_inputs(scenario: Scenario, spread: float = SPREAD) -> list[Input]:
    """The usual assumptions of a scenario, each from `spread` below to `spread` above its value.

    These are, where the scenario has them and they are not 0: the decay and sensitivities of quality, the rates and
    sizes of drift components, the label delay and coverage, the traffic rate, the worth of a query, and the prices of
    a retraining, a label and the monitors. Ranges end where the scenario's own limits do (a share at 1); a field
    whose range the scenario refuses is left out. spread: in (0, 1).
    """
    if not 0.0 < spread < 1.0:
        raise ValueError(f"spread: got {spread}, expected a fraction in (0, 1)")
    found = []
    for path in _usual_paths(scenario):
        value = number_at(scenario, path)
        if value is None or value == 0.0:
            continue
        ends = sorted(float(f"{value * factor:.12g}") for factor in (1.0 - spread, 1.0 + spread))
        field = field_of(scenario, path, 0)
        if field.whole:
            continue
        if path.endswith("coverage"):
            ends[1] = min(ends[1], 1.0)
        try:
            found.append(checked(scenario, Input(field, "uniform", *ends)))
        except ValueError:
            continue
    return found


def widened(scenario: Scenario, given: Input, factor: float = REACH) -> Input:
    """From 1 / factor to factor times the middle of the range, on a log scale; itself where that cannot be."""
    middle = 0.5 * (given.low + given.high)
    if middle <= 0.0:
        return given
    try:
        return checked(scenario, Input(given.field, "log", middle / factor, middle * factor))
    except ValueError:
        return given


def checked(scenario: Scenario, given: Input) -> Input:
    """The input, when the scenario accepts both of its ends. Raises ScenarioError where it does not."""
    for value in (given.low, given.high):
        scenario.with_(**{given.path: given.written(value)})
    return given


def changed(scenario: Scenario, inputs: Sequence[Input], values: Sequence[float]) -> Scenario:
    """The scenario with a value for each input."""
    return scenario.with_(
        **{given.path: given.written(value) for given, value in zip(inputs, values, strict=True)}
    )


def distinct(inputs: Sequence[Input]) -> list[Input]:
    """The inputs; raises ValueError where a path is there twice, or where there is none."""
    if not inputs:
        raise ValueError("no inputs: expected one or more such as quality.decay=1%/d..5%/d")
    paths = [given.path for given in inputs]
    for path in paths:
        if paths.count(path) > 1:
            raise ValueError(f"{path} is there twice, expected different fields")
    return list(inputs)


def number_at(scenario: Scenario, path: str) -> float | None:
    """The number that a scenario has at a path, in the inner unit; a fixed duration is its length. None without one."""
    place: Any = scenario
    for part in re.sub(r"\[(\d+)\]", r".\1", path).split("."):
        if isinstance(place, list | tuple):
            place = place[int(part)] if part.isdecimal() and int(part) < len(place) else None
        else:
            place = getattr(place, part, None)
    place = place.duration if isinstance(place, Stage) else place
    place = place.value if isinstance(place, Fixed) else place
    return float(place) if isinstance(place, int | float) and not isinstance(place, bool) else None


def _usual_paths(scenario: Scenario) -> list[str]:
    """Fields that are usually uncertain, whether this scenario has them or not."""
    drift = ("rate", "volatility", "amplitude", "mean", "sd", "stationary_sd")
    paths = [f"quality.{name}" for name in ("decay", "feature_sensitivity", "concept_sensitivity")]
    paths += [f"drift[{number}].{name}" for number in range(len(scenario.drift)) for name in drift]
    paths += ["labels.delay", "labels.delay.mean", "labels.delay.median", "labels.coverage", "labels.cost"]
    paths += ["traffic.rate", "value_per_query_per_unit_accuracy"]
    paths += [f"pipeline.cost.{name}" for name in ("compute", "validation", "deployment", "risk")]
    for group in ("monitors", "triggers"):
        paths += [f"{group}[{number}].cost" for number in range(len(getattr(scenario, group)))]
    return paths


def _ends(path: str, values: str) -> tuple[Law, Mapping[str, Any]]:
    """The law and its numbers, as they are written."""

    def read(text: str) -> Any:
        return parse_override(f"{path}={text}")[1]

    normal = re.fullmatch(r"normal\s*\(([^,()]+),([^,()]+)\)", values)
    if normal is not None:
        return "normal", {"mean": read(normal[1]), "sd": read(normal[2])}
    body, colon, option = values.partition(":")
    ends = [part.strip() for part in body.split("..")]
    if len(ends) not in (2, 3) or not all(ends) or (colon and option.strip() not in ("log", "linear")):
        raise ValueError(f"{path}={values}: expected {EXAMPLE}")
    log = option.strip() == "log"
    if len(ends) == 3:
        if log:
            raise ValueError(f"{path}={values}: a triangular range has no log, expected LOW..MODE..HIGH")
        return "triangular", {"low": read(ends[0]), "middle": read(ends[1]), "high": read(ends[2])}
    return ("log" if log else "uniform"), {"low": read(ends[0]), "high": read(ends[1])}


def _input(field: VariedField, law: Law, ends: Mapping[str, Any]) -> Input:
    numbers = {name: field.end(value) for name, value in ends.items()}
    if law == "normal":
        mean, sd = numbers["mean"], numbers["sd"]
        if sd <= 0.0:
            raise ValueError(f"{field.path}: got the standard deviation {ends['sd']}, expected one above 0")
        reach = float(ndtri(1.0 - TAIL)) * sd
        return Input(field, law, mean - reach, mean + reach, mean, sd)
    low, high = numbers["low"], numbers["high"]
    middle = numbers.get("middle", 0.0)
    if not low < high or (law == "triangular" and not low <= middle <= high):
        raise ValueError(
            f"{field.path}: got {'..'.join(map(str, ends.values()))}, expected the smaller end first"
        )
    if law == "log" and low <= 0.0:
        raise ValueError(f"{field.path}: log needs ends above 0, got {ends['low']}")
    return Input(field, law, low, high, middle)


def _reads(kind: Quantity, text: str) -> bool:
    reader: Callable[[object], float] = kind.parse
    try:
        reader(text)
    except ValueError:
        return False
    return True
