"""The field of a scenario that a path means: what unit it has, and how numbers are read from and written to it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from scenarios.parameters import quantity_of
from scenarios.schema import Scenario
from scenarios.units import Quantity


def canonical_path(path: str) -> str:
    """A path in the form in which messages show it, so that two spellings of a field are seen to be one.

    >>> canonical_path("monitors__0__threshold"), canonical_path("monitors.0.threshold")
    ('monitors[0].threshold', 'monitors[0].threshold')
    """
    dots = re.sub(r"\[(\d+)\]", r".\1", path.strip().replace("__", "."))
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", dots)


@dataclass(frozen=True)
class VariedField:
    """A field that a design varies: its path, its unit where it has one, and whether it holds whole numbers."""

    path: str
    quantity: Quantity | None
    whole: bool

    def number(self, value: Any) -> float | None:
        """The value in the inner unit, None where it is not a number (a word, a list, a mapping).

        >>> import scenarios
        >>> field_of(scenarios.load("rotting_asset"), "quality.decay", "1%/d").number("2%/d")
        0.02
        """
        if self.quantity is not None and not isinstance(value, bool):
            try:
                return self.quantity.parse(value)
            except ValueError:
                return None
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if plain else None

    def end(self, text: Any) -> float:
        """One end of a range in the inner unit. Raises ValueError that says what would be right."""
        if self.quantity is not None:
            try:
                return self.quantity.parse(text)
            except ValueError as error:
                raise ValueError(f"{self.path}: {error}") from None
        if isinstance(text, bool) or not isinstance(text, int | float) or not math.isfinite(text):
            raise ValueError(f"{self.path}: got {text!r}, expected a number as an end of the range")
        return float(text)

    def written(self, number: float) -> Any:
        """A number as a scenario file has it; it reads back as exactly this number."""
        if self.whole:
            return round(number)
        return number if self.quantity is None else self.quantity.write(number)


def field_of(scenario: Scenario, path: str, example: Any) -> VariedField:
    """The field at a path. `example` is a value that it may have, for fields that the scenario leaves out.

    Raises ScenarioError, with the nearest name, for a path that the scenario cannot have.
    """
    found = _info(scenario, path)
    if found is None:
        found = _info(scenario.with_(**{path: example}), path)
    if found is None:
        return VariedField(path, None, whole=False)
    quantity = quantity_of(found)
    kinds = {found.annotation, *get_args(found.annotation)}
    return VariedField(path, quantity, whole=int in kinds and float not in kinds)


def _info(scenario: Scenario, path: str) -> FieldInfo | None:
    """Walk from part to part; None where the scenario has nothing on the way."""
    *way, last = re.sub(r"\[(\d+)\]", r".\1", path).split(".")
    place: Any = scenario
    for part in way:
        if isinstance(place, list | tuple):
            place = place[int(part)] if part.isdecimal() and int(part) < len(place) else None
        else:
            place = getattr(place, part, None) if isinstance(place, BaseModel) else None
    return type(place).model_fields.get(last) if isinstance(place, BaseModel) else None
