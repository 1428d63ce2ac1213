"""The reference of scenario files, written from the schema: every field with its unit, default and meaning.

Nothing here names a field or a class: the walk begins at `scenarios.Scenario` and follows the types.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Interval, Le, Len, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from scenarios.schema import Scenario
from scenarios.units import Quantity

Model = type[BaseModel]
PLAIN = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    dict: "mapping",
    Any: "any",
}
HEAD = """# Scenario files

Written from the schema when the site is built. A scenario is one mapping, described under [Scenario](#scenario); the
parts that it is made of follow, one heading each, in the files of the package `scenarios/` in which they are checked.

- *Required* fields have no default. All others may be left out.
- Times are written `15min`, `6h`, `7d`; rates `100/s`, `2%/d`, `12/y`; money `$5000`, `$3/h`, `$0.30/million`; sizes
  `1.5 GB`. Months and quarters are for rates only. A bare number is right only where the second column says so; 0
  always is.
- Unknown fields, wrong dimensions and values out of range are errors that name the file, the line, the field and what
  would be right.
- `halflife schema` prints the same as JSON Schema, for completion in an editor; `halflife validate FILE` checks a file.
"""


def page() -> str:
    """The whole page, as Markdown."""
    parts = [HEAD]
    module = ""
    for model in models():
        if model.__module__ != module:
            module = model.__module__
            if model is not Scenario:
                parts.append(_module_head(module))
        parts.append(_section(model))
    return "\n\n".join(parts) + "\n"


def models() -> list[Model]:
    """All models of a scenario, `Scenario` first, then module by module in the order in which they are met."""
    found: dict[Model, None] = {}
    _collect(Scenario, found)
    modules = list(dict.fromkeys(model.__module__ for model in found))
    return sorted(found, key=lambda model: modules.index(model.__module__))


def _collect(model: Model, found: dict[Model, None]) -> None:
    if model in found:
        return
    found[model] = None
    for field in model.model_fields.values():
        for part in _models_in(field.annotation):
            _collect(part, found)


def _models_in(annotation: Any) -> Iterator[Model]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for part in get_args(annotation):
        yield from _models_in(part)


def _module_head(module: str) -> str:
    about = cleandoc(sys.modules[module].__doc__ or "").split("\n\n")[0]
    return f"## `{module.replace('.', '/')}.py`\n\n{about}"


def _section(model: Model) -> str:
    level = "##" if model is Scenario else "###"
    about = cleandoc(model.__doc__ or "")
    rows = [_row(name, field) for name, field in model.model_fields.items()]
    table = "\n".join(["| field | unit or form | default | what it is |", "| --- | --- | --- | --- |", *rows])
    return (
        f"{level} {model.__name__}\n\n{about}\n\n{table}" if rows else f"{level} {model.__name__}\n\n{about}"
    )


def _row(name: str, field: FieldInfo) -> str:
    cells = (f"`{name}`", form(field.annotation, field.metadata), default(field), meaning(name, field))
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def form(annotation: Any, metadata: Any = ()) -> str:
    """What may be written: a unit with its examples and bounds, a choice, a link to a part, or a list of these."""
    quantity = next((mark for mark in metadata if isinstance(mark, Quantity)), None)
    if annotation is str and any(getattr(mark, "min_length", None) == 1 for mark in metadata):
        return "text, not empty"
    if quantity is not None:
        examples = ", ".join(f"`{example}`" for example in quantity.examples[:2])
        return f"{quantity.noun} ({examples}){_bounds(metadata)}"
    return _structure(annotation) + _bounds(metadata)


def _structure(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return form(parts[0], annotation.__metadata__)
    if origin in (Union, UnionType):
        return ", or ".join(dict.fromkeys(form(part) for part in parts if part is not NoneType))
    if origin is Literal:
        return "one of " + ", ".join(f"`{part}`" for part in parts) if len(parts) > 1 else f"`{parts[0]}`"
    if origin in (list, tuple):
        inside = [form(part) for part in parts if part is not Ellipsis]
        return (
            f"list of: {inside[0]}" if origin is list or Ellipsis in parts else "list: " + "; ".join(inside)
        )
    if origin is dict:
        return f"mapping from {form(parts[0])} to {form(parts[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    return PLAIN.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(metadata: Any) -> str:
    limits = []
    for mark in metadata:
        for part in getattr(mark, "metadata", [mark]):  # a nested Field holds its bounds as metadata
            limits += _limits(part)
    if "> 0" in limits:
        limits = [limit for limit in limits if limit != "≥ 0"]
    return f", {' and '.join(dict.fromkeys(limits))}" if limits else ""


def _limits(mark: Any) -> list[str]:
    """The words for one bound of the schema; none for anything else."""
    if isinstance(mark, (Interval, Len)):
        return [limit for part in mark for limit in _limits(part)]
    words: dict[type, tuple[str, str]] = {
        Gt: ("> {}", "gt"),
        Ge: ("≥ {}", "ge"),
        Lt: ("< {}", "lt"),
        Le: ("≤ {}", "le"),
        MinLen: ("at least {} of them", "min_length"),
        MaxLen: ("at most {} of them", "max_length"),
    }
    if type(mark) not in words:
        return []
    text, name = words[type(mark)]
    return [text.format(f"{getattr(mark, name):g}")]


def default(field: FieldInfo) -> str:
    """The default as it would be written in a file; *required* where there is none."""
    if field.is_required():
        return "*required*"
    value = field.default
    if value is PydanticUndefined:
        value = field.default_factory()  # type: ignore[misc, call-arg]
    return _written(value, [field.annotation, *field.metadata])


def _written(value: Any, marks: list[Any]) -> str:
    if value is None:
        return "absent"
    if isinstance(value, BaseModel):
        return _written_model(value)
    if isinstance(value, (list, tuple)):
        inside = ", ".join(str(getattr(item, "name", item)) for item in value)
        return f"`[{inside}]`" if inside else "none"
    if isinstance(value, dict):
        return "none" if not value else f"`{value}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (int, float)):
        quantity = _quantity_in(marks)
        return f"`{quantity.write(value) if quantity else value}`"
    return f"`{value}`" if value != "" else "empty"


def _written_model(value: BaseModel) -> str:
    """A part: what it says beyond its own defaults, and where these are."""
    own = value.model_dump(mode="json", exclude_defaults=True)
    inside = ", ".join(f"{name}: {item}" for name, item in own.items() if not isinstance(item, dict))
    name = type(value).__name__
    return f"a [{name}](#{name.lower()}) with " + (f"`{{{inside}}}`" if inside else "its defaults")


def _quantity_in(marks: list[Any]) -> Quantity | None:
    """The unit of a field, also where it is one of several things that may be written."""
    for mark in marks:
        if isinstance(mark, Quantity):
            return mark
        if get_origin(mark) is Annotated:
            found = _quantity_in(list(mark.__metadata__))
        elif get_origin(mark) in (Union, UnionType):
            found = _quantity_in(list(get_args(mark)))
        else:
            found = None
        if found is not None:
            return found
    return None


def meaning(name: str, field: FieldInfo) -> str:
    """The field's description; that of the part which it holds where it has none of its own."""
    if field.description:
        return field.description
    if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1:
        return "says which of the kinds this is"
    inside = [(model.__doc__ or "").strip().split("\n")[0] for model in _models_in(field.annotation)]
    return inside[0] if inside else name.replace("_", " ")
