"""One document put over another, so that every value still knows where it was written.

Mappings are merged field by field, to any depth; `null` removes a field. A plain value or a list replaces what was
there, and so does a mapping of another `kind`. A mapping over a list of named things (monitors, failures, signals,
menu, features, slices, triggers) changes them one by one: by name, `null` removes, a new name adds one at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scenarios.document import Document, Trail, dotted
from scenarios.problems import choice, fail
from scenarios.units import shown

NAMED_LISTS = ("features", "slices", "signals", "failures", "monitors", "triggers", "menu")
"""Fields of a scenario whose items have names."""
FORMS: dict[str, tuple[str, ...]] = {"kind": (), "strategy": ("rollback",)}
"""Fields that say which of several forms a mapping has, and the fields that all of its forms share."""
_SHORT = {("deployment",): "strategy"}
"""Where a text alone stands for the mapping with this field."""


def merged(base: Document, over: Document) -> Document:
    """The document with another one put over it; neither is changed.

    Raises ScenarioError for a name that is to be removed from a list and is not there.

    >>> base = Document("a", {"quality": {"decay": "1%/d"}, "monitors": [{"name": "m", "rows": 1}], "story": ""})
    >>> over = Document("b", {"quality": {"floor": 0.5}, "monitors": {"m": {"rows": 2}}, "story": None})
    >>> merged(base, over).data
    {'quality': {'decay': '1%/d', 'floor': 0.5}, 'monitors': [{'name': 'm', 'rows': 2}]}
    """
    out = Document(base.source, None, overlays=base.overlays)
    out.data = _Merger(base, over, out).mapping(base.data, (), over.data, (), ())
    return out


def name_of(item: Any, field: str) -> str:
    """Name of an item of a named list, as it was written; empty where it has none.

    >>> name_of("age", "features"), name_of({"metric": "signal", "signal": "clicks"}, "monitors")
    ('age', 'clicks')
    """
    if isinstance(item, str):
        return item
    if not isinstance(item, Mapping):
        return ""
    if field in ("monitors", "triggers") and not item.get("name"):
        return _label(item)
    kind = item.get("kind") if field == "failures" else None
    return str(item.get("name") or kind or "")


def _label(monitor: Mapping[str, Any]) -> str:
    """Label of a monitor without a name; of a broken one, its metric."""
    from scenarios.monitoring import Monitor

    try:
        return Monitor.model_validate(monitor).label
    except ValueError:
        return str(monitor.get("metric", ""))


class _Merger:
    """Puts `over` over `base`, and notes in `out` where each value was written."""

    def __init__(self, base: Document, over: Document, out: Document) -> None:
        self.base = base
        self.over = over
        self.out = out

    def mapping(
        self, below: Mapping[str, Any], down: Trail, value: Mapping[str, Any], up: Trail, at: Trail
    ) -> dict[str, Any]:
        """Two mappings in one. down, up, at: where they are in base, over and out."""
        self._note(self.base, down, at)
        result: dict[str, Any] = {}
        for key, inner in below.items():
            if key not in value:
                result[key] = self._copied(self.base, inner, (*down, key), (*at, key))
            elif value[key] is not None:
                result[key] = self._one(inner, (*down, key), value[key], (*up, key), (*at, key))
        for key, inner in value.items():
            if key not in below and inner is not None:
                result[key] = self._one(None, (*down, key), inner, (*up, key), (*at, key))
        return result

    def _one(self, below: Any, down: Trail, value: Any, up: Trail, at: Trail) -> Any:
        if at in _SHORT:
            below, value = _long(below, _SHORT[at]), _long(value, _SHORT[at])
        if isinstance(value, Mapping):
            named = len(at) == 1 and at[0] in NAMED_LISTS
            if isinstance(below, list) or (named and below is None):
                return self._items(below or [], down, value, up, at)
            if isinstance(below, Mapping):
                return self.mapping(_common(below, value), down, value, up, at)
        return self._copied(self.over, value, up, at)

    def _items(
        self, below: list[Any], down: Trail, value: Mapping[str, Any], up: Trail, at: Trail
    ) -> list[Any]:
        """A list whose items are changed by name."""
        self._note(self.over if not below else self.base, up if not below else down, at)
        field = str(at[-1])
        names = [name_of(item, field) for item in below]
        result: list[Any] = []
        for number, (name, item) in enumerate(zip(names, below, strict=True)):
            place, inside = (*down, number), (*at, len(result))
            if name not in value:
                result.append(self._copied(self.base, item, place, inside))
            elif value[name] is not None:
                whole = {"name": item} if isinstance(item, str) else item
                result.append(self._one(whole, place, value[name], (*up, name), inside))
        for name, item in value.items():
            if name in names:
                continue
            if item is None:
                self._refuse(name, names, (*up, name))
            inside = (*at, len(result))
            copied = self._copied(self.over, item, (*up, name), inside)
            result.append({"name": name, **copied} if isinstance(copied, dict) else copied)
        return result

    def _refuse(self, name: str, names: list[str], up: Trail) -> None:
        known = choice(name, names) if names else "the list is empty"
        found = self.over.problem(up, "", f"cannot remove {shown(name)}, which is not there: {known}")
        fail(found.source, found.line, found.message, dotted(up))

    def _copied(self, document: Document, value: Any, trail: Trail, at: Trail) -> Any:
        """A value with everything in it, and where it was written."""
        self._note(document, trail, at)
        if isinstance(value, Mapping):
            return {k: self._copied(document, v, (*trail, k), (*at, k)) for k, v in value.items()}
        if isinstance(value, list):
            return [self._copied(document, v, (*trail, n), (*at, n)) for n, v in enumerate(value)]
        return value

    def _note(self, document: Document, trail: Trail, at: Trail) -> None:
        source = document.sources.get(trail, document.source)
        if trail in document.lines:
            self.out.lines[at] = document.lines[trail]
        if source != self.out.source:
            self.out.sources[at] = source


def _long(value: Any, field: str) -> Any:
    return {field: value} if isinstance(value, str) else value


def _common(below: Mapping[str, Any], value: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is left of a mapping under another one: all of it, or what the other's form shares with its own."""
    for form, shared in FORMS.items():
        if form in value and value[form] != below.get(form):
            return {field: below[field] for field in shared if field in below}
    return below
