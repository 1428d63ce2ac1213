"""The parameters of a scenario as rows: path, value with its unit, default, and whether the two differ.

A row's path is what --set and `with_` accept. Parts that a short form stands for (`delay: 2h` for a fixed duration, a
policy by its name, features by theirs) are one row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from scenarios.policies import PolicySpec
from scenarios.schema import TOLD, Scenario
from scenarios.units import FRACTION, Quantity

MOST_ITEMS = 8
"""Items of a list of plain values that a row shows."""
REQUIRED = "required"
"""What stands in place of a default where there is none."""
_MISSING: Any = object()
_FIXED = {"kind", "value"}


@dataclass(frozen=True)
class Parameter:
    """One field of a scenario.

    default: as text; 'required' where the schema has none
    meaning: what the schema says of the field
    changed: whether the value is another than the default, or there is none
    quantity: its unit, None for words and plain numbers
    """

    path: str
    value: str
    default: str
    meaning: str
    changed: bool
    quantity: Quantity | None = None


def parameters(scenario: Scenario) -> list[Parameter]:
    """All parameters of a scenario in the order of the schema; texts about it and its overlays are none.

    >>> import scenarios
    >>> rows = {row.path: row for row in parameters(scenarios.load("rotting_asset", horizon="2y"))}
    >>> rows["horizon"].value, rows["horizon"].default, rows["horizon"].changed
    ('730d', '365d', True)
    >>> rows["quality.decay"].value, rows["quality.decay"].default, rows["pipeline.capacity"].changed
    ('0.0003/d', 'required', False)
    """
    return [row for row in _rows(scenario, "", _MISSING) if row.path not in (*TOLD, "overlays")]


def quantity_of(field: FieldInfo) -> Quantity | None:
    """The unit of a field of the schema, None for words, plain numbers and parts.

    >>> quantity_of(Scenario.model_fields["horizon"]).noun
    'a duration'
    """
    return _quantity([*field.metadata, field.annotation], items=False)


def item_quantity_of(field: FieldInfo) -> Quantity | None:
    """The unit of the items of a field that is a list of numbers; that of the field itself where it is none."""
    return _quantity([*field.metadata, field.annotation], items=True)


def _quantity(types: Iterable[Any], items: bool) -> Quantity | None:
    """The unit in the metadata of a type, or of what a validator accepts in its place."""
    for kind in types:
        if isinstance(kind, Quantity):
            return kind
        inner = getattr(kind, "json_schema_input_type", None)
        metadata = getattr(kind, "__metadata__", ())
        arguments = () if not items and _is_collection(kind) else get_args(kind)
        found = _quantity([*metadata, *([inner] if inner is not None else []), *arguments], items)
        if found is not None:
            return found
    return None


def _is_collection(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) in (list, tuple, dict)


def _rows(part: BaseModel, path: str, like: Any) -> Iterator[Parameter]:
    """Rows of a part; `like` is the part that stands there by default, if it is of the same type."""
    for name, field in type(part).model_fields.items():
        default = getattr(like, name) if type(like) is type(part) else _default(field)
        yield from _field_rows(getattr(part, name), f"{path}{name}", field, default)


def _default(field: FieldInfo) -> Any:
    return _MISSING if field.is_required() else field.get_default(call_default_factory=True)


def _field_rows(value: Any, path: str, field: FieldInfo, default: Any) -> Iterator[Parameter]:
    if isinstance(value, BaseModel) and not _is_short(value):
        inner = list(_rows(value, f"{path}.", default))
        if value != default and not any(row.changed for row in inner):  # it is there, with all its defaults
            yield _row(path, "all defaults", field, default, changed=True)
        yield from inner
    elif _is_list_of_parts(value):
        usual = default if value == default else [_MISSING] * len(value)
        for number, item in enumerate(value):
            yield from _rows(item, f"{path}[{number}].", usual[number])
    else:
        quantity = item_quantity_of(field)
        yield _row(path, _text(value, quantity), field, default, changed=value != default)


def _row(path: str, value: str, field: FieldInfo, default: Any, *, changed: bool) -> Parameter:
    quantity = item_quantity_of(field)
    written = REQUIRED if default is _MISSING else _text(default, quantity)
    return Parameter(path, value, written, field.description or "", changed, quantity)


def _is_short(part: BaseModel) -> bool:
    """Whether one word or number stands for the part."""
    return isinstance(part, PolicySpec) or set(type(part).model_fields) == _FIXED or _only_named(part)


def _only_named(part: BaseModel) -> bool:
    """A feature of which only the name is told."""
    return part.model_fields_set == {"name"} and all(
        not field.is_required() or name == "name" for name, field in type(part).model_fields.items()
    )


def _is_list_of_parts(value: Any) -> bool:
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(isinstance(item, BaseModel) for item in value) and not all(_is_short(item) for item in value)


def _text(value: Any, quantity: Quantity | None) -> str:
    """A value as a scenario file has it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number_text(value, quantity)
    if isinstance(value, BaseModel):
        return _part_text(value)
    if isinstance(value, Mapping):
        items = [f"{key}: {_text(inner, quantity)}" for key, inner in value.items()]
        return "{" + ", ".join(items) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) > 1 and all(isinstance(item, list | tuple) for item in value):
            return f"{len(value)} rows of {len(value[0])} numbers"
        return _list_text([_text(item, quantity) for item in value])
    return str(value) or "''"


def _number_text(number: float, quantity: Quantity | None) -> str:
    """A number with its unit, shares as percentages, long whole numbers with commas (which read back as well)."""
    if quantity is FRACTION:
        text = f"{100 * number:.12g}%"
    else:
        found = number if quantity is None else quantity.write(number)
        text = found if isinstance(found, str) else f"{found:.12g}"
    return re.sub(r"(?<![\d.])\d{5,}", lambda digits: f"{int(digits[0]):,}", text)


def _part_text(part: BaseModel) -> str:
    """A part in one line: its short form, or that it is the default of its kind."""
    if isinstance(part, PolicySpec) or _only_named(part):
        return str(part.name)  # type: ignore[attr-defined]
    if set(type(part).model_fields) == _FIXED:
        (field,) = (field for name, field in type(part).model_fields.items() if name == "value")
        return _text(getattr(part, "value"), quantity_of(field))  # noqa: B009
    word = getattr(part, "kind", None) or getattr(part, "strategy", None)
    return str(word) if word else type(part).__name__.lower()


def _list_text(items: list[str]) -> str:
    if len(items) <= MOST_ITEMS:
        return "[" + ", ".join(items) + "]"
    return f"[{', '.join(items[:3])}, ..., {items[-1]}] ({len(items)} values)"
