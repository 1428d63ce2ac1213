"""A scenario as it was written: its values, the line of each, and which of them were set from outside."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scenarios.problems import OVERRIDE, Problem, fail, label
from scenarios.units import shown

Trail = tuple[str | int, ...]
"""Where a value is: keys and list indices from the top."""


@dataclass
class Document:
    """Data of a file, with the line of every field and the fields that were set from outside.

    sources: where a field comes from, for those that an overlay brought
    overlays: names of the overlays that were put over it
    """

    source: str
    data: Any
    lines: dict[Trail, int] = field(default_factory=dict)
    overridden: set[Trail] = field(default_factory=set)
    sources: dict[Trail, str] = field(default_factory=dict)
    overlays: tuple[str, ...] = ()

    def problem(self, trail: Trail, given: str, message: str) -> Problem:
        """A problem at a field, or at the nearest one above it that was written."""
        if any(trail[: len(prefix)] == prefix for prefix in self.overridden):
            return Problem(OVERRIDE, None, dotted(trail), given, message)
        inside = self._overridden_inside(trail)
        if inside:
            return Problem(OVERRIDE, None, " and ".join(map(dotted, inside)), given, message)
        above = (trail[:end] for end in range(len(trail), -1, -1))
        known = next((prefix for prefix in above if prefix in self.lines or prefix in self.sources), ())
        source = self.sources.get(known, self.source)
        if self.overlays and source == self.source:
            message = f"{message} (with overlay {' and '.join(self.overlays)})"
        return Problem(source, self.lines.get(known), dotted(trail), given, message)

    def _overridden_inside(self, trail: Trail) -> list[Trail]:
        """Fields of a mapping or list that were set from outside: what its parts say together is theirs to mend."""
        inside = [
            one for one in self.overridden if trail and len(one) > len(trail) and one[: len(trail)] == trail
        ]
        leaves = [
            one for one in inside if not any(other[: len(one)] == one for other in inside if other != one)
        ]
        return sorted(leaves, key=dotted)

    def with_overrides(self, overrides: Mapping[str, Any]) -> Document:
        """The document with other values; what is missing on the way is created, for the schema to judge.

        overrides: values at paths, `monitors[0].threshold`, `monitors.0.threshold`, `monitors__0__threshold`
        Raises ScenarioError for what is no path, or none of this document.
        """
        if not overrides:
            return self
        changed = replace(self, data=copy.deepcopy(self.data), overridden=set())
        for path, value in overrides.items():
            _set(changed, path, copy.deepcopy(value) if isinstance(value, dict | list) else value)
        return changed


def dotted(trail: Trail) -> str:
    """A path as people write it: `policies[1].interval`."""
    text = ""
    for part in trail:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if re.fullmatch(r"[\w-]{1,60}", part) else shown(part)
            text += f".{name}" if text else name
    return text


def _set(document: Document, path: str, value: Any) -> None:
    parts = re.sub(r"\[(\d{1,9})\]", r".\1", path.strip().replace("__", ".")).split(".")
    if not all(re.fullmatch(r"[\w-]+", part) for part in parts):
        fail(
            OVERRIDE,
            None,
            "is not a path, expected one such as quality.decay or monitors[0].threshold",
            label(path),
        )
    container = document.data
    trail: Trail = ()
    for depth, part in enumerate(parts):
        key = _key_in(container, part, trail, path)
        trail = (*trail, key)
        if depth == len(parts) - 1:
            container[key] = value
        elif isinstance(container, dict) and container.get(part) is None:
            container[key] = {}
        else:
            container = container[key]
            continue
        document.overridden.add(trail)
        container = container[key]


def _named(items: list[Any], name: str) -> int | None:
    """The place of the item that people would call so; None where there is none."""
    for number, item in enumerate(items):
        if isinstance(item, dict) and name in (item.get(key) for key in ("name", "signal", "metric", "kind")):
            return number
    return None


def _key_in(container: Any, part: str, trail: Trail, path: str) -> str | int:
    """The key or index that a part of a path means in this container."""
    where = dotted(trail) or "the scenario"
    if isinstance(container, dict):
        if part.isdecimal() and part not in container:
            fail(OVERRIDE, None, f"{where} has no item {part}", path)
        return part
    if not isinstance(container, list):
        fail(OVERRIDE, None, f"{where} is {shown(container)}, which has no fields", path)
    if not part.isdecimal():
        meant = _named(container, part)
        hint = "," if meant is None else f": did you mean {where}[{meant}]?"
        fail(OVERRIDE, None, f"{where} is a list{hint} expected an index such as {where}[0]", path)
    if int(part) >= len(container):
        fail(OVERRIDE, None, f"index {part} is out of range: {where} has {len(container)} items", path)
    return int(part)
