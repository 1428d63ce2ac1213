"""What the schema objects to, in words for the writer of the file, at the line and field of the mistake."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scenarios.document import Document, Trail
from scenarios.problems import MAX_PROBLEMS, Problem, ScenarioError, choice, fail, listed
from scenarios.units import NUMBER, Quantity, shown

MAX_MESSAGE = 600
"""Longest message of a validator that is passed on."""


def validated(document: Document, model: type[BaseModel], base_dir: Path | None) -> Any:
    """The instance of `model` that a document describes.

    base_dir: folder from which relative paths in the document count
    Raises ScenarioError with everything that the model objects to.
    """
    try:
        return model.model_validate(document.data, context={} if base_dir is None else {"base_dir": base_dir})
    except ValidationError as error:
        details = error.errors(include_url=False)
    except OverflowError:
        fail(document.source, None, "has numbers too large or too small to compute with")
    findings = [_explain(detail, document.data, model) for detail in details[:MAX_PROBLEMS]]
    problems = _merged(findings, document)
    problems.sort(key=lambda problem: (problem.line is not None, problem.line or 0))
    raise ScenarioError(problems, len(problems) + max(0, len(details) - MAX_PROBLEMS))


@dataclass
class _Finding:
    """One objection of the schema, before those to the same mistake are put together.

    expected: what would be right, when the message is "got ..., expected ..."
    absent: the field is missing; meant: the field that a misspelt one stands for
    out_of_range: the type fits and the value does not
    """

    trail: Trail
    given: str
    message: str
    expected: str = ""
    in_union: bool = False
    absent: bool = False
    meant: Trail = ()
    out_of_range: bool = False


@dataclass
class _Place:
    """A location of the schema, found again in what was written.

    trail: the part of it that was written; beyond: the fields after that, which only the schema has
    types: what the schema expects there; owner: models whose field it is
    """

    data: Any
    types: list[Any]
    trail: Trail = ()
    beyond: Trail = ()
    owner: list[Any] = field(default_factory=list)
    in_union: bool = False

    def step(self, part: str | int) -> None:
        """Go to a part of a location; names of union members and of validators lead nowhere."""
        models = _models(self.types)
        if len(models) > 1 and part in _options(models):
            name = _discriminator(models)
            self.types = [model for model in models if part in _literals(model, name)]
            return
        types = [inner for kind in self.types for inner in _inside(kind, part)]
        if _has(self.data, part):
            self.data, self.trail, self.beyond = self.data[part], (*self.trail, part), ()
        elif types:
            self.beyond = (*self.beyond, part)
        else:
            self.in_union = True
            return
        self.owner, self.types = models, types


def _locate(location: Iterable[str | int], data: Any, model: type[BaseModel]) -> _Place:
    place = _Place(data, [model])
    for part in location:
        place.step(part)
    return place


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(part, int) and 0 <= part < len(data)
    return isinstance(data, dict) and part in data


def _leaves(annotation: Any) -> Iterator[Any]:
    """Types without their metadata, members of unions one by one."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _leaves(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from _leaves(member)
    else:
        yield annotation


def _models(types: Iterable[Any]) -> list[type[BaseModel]]:
    leaves = (leaf for annotation in types for leaf in _leaves(annotation))
    return [leaf for leaf in leaves if isinstance(leaf, type) and issubclass(leaf, BaseModel)]


def _inside(annotation: Any, part: str | int) -> Iterator[Any]:
    """Types of a field of a model, or of the items of a list."""
    for leaf in _leaves(annotation):
        arguments = get_args(leaf)
        if isinstance(part, int):
            if get_origin(leaf) in (list, tuple, set, frozenset) and arguments:
                yield arguments[0]
        elif get_origin(leaf) is dict:
            yield arguments[1]
        elif isinstance(leaf, type) and issubclass(leaf, BaseModel) and part in leaf.model_fields:
            info = leaf.model_fields[part]
            yield Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation


def _discriminator(models: Sequence[type[BaseModel]]) -> str:
    """The field that tells the members of a union apart: a literal in all of them, never the same."""
    for name in models[0].model_fields if models else ():
        literals = [_literals(model, name) for model in models]
        if all(literals) and len(set().union(*literals)) == sum(map(len, literals)):
            return name
    return ""


def _literals(model: type[BaseModel], name: str) -> tuple[Any, ...]:
    info = model.model_fields.get(name)
    return get_args(info.annotation) if info and get_origin(info.annotation) is Literal else ()


def _options(models: Sequence[type[BaseModel]]) -> list[Any]:
    """Values of the discriminator."""
    name = _discriminator(models)
    return [value for model in models for value in _literals(model, name)]


def _quantity(types: Iterable[Any]) -> Quantity | None:
    """The unit of a field, from the metadata of its type."""
    for annotation in types:
        arguments = get_args(annotation)
        if get_origin(annotation) is Annotated:
            found = next((item for item in arguments[1:] if isinstance(item, Quantity)), None)
            found = found or _quantity(arguments[:1])
        else:
            found = _quantity(arguments) if get_origin(annotation) in (Union, UnionType) else None
        if found:
            return found
    return None


_NOUNS = {
    "bool": "true or false",
    "dict": "a mapping",
    "finite": "a finite number",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "mapping": "a mapping",
    "model": "a mapping",
    "none": "nothing",
    "string": "a text",
    "tuple": "a list",
}
"""What the first word of an error type of the schema library means to the writer of a file."""
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def _explain(detail: ErrorDetails, data: Any, model: type[BaseModel]) -> _Finding:
    """An objection of the schema in plain words, at a field of the file."""
    kind = detail["type"]
    place = _locate(detail["loc"], data, model)
    trail = place.trail
    # Items that a validator made (from a CSV file, say) are named; its wrappers around a value are not.
    if any(isinstance(part, int) for part in place.beyond):
        trail = (*trail, *place.beyond)
    given = detail["input"] if place.beyond else place.data
    if kind == "missing":
        return _missing(place)
    if kind == "extra_forbidden":
        return _unknown_field(place)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _unknown_kind(place, trail)
    if kind in ("value_error", "assertion_error"):
        return _own_words(detail, place, trail)
    if kind == "literal_error":
        expected = str(detail["ctx"]["expected"])
        options = re.findall(r"'([^']*)'", expected)
        message = _not_among(given, options)
        return _Finding(trail, shown(given), message, expected, place.in_union)
    expected = _expected(detail, place, given)
    message = f"got {shown(given)}, expected {expected}"
    return _Finding(trail, shown(given), message, expected, place.in_union, out_of_range=kind in _BOUNDS)


def _missing(place: _Place) -> _Finding:
    name = str(place.beyond[-1]) if place.beyond else ""
    fields = [owner.model_fields[name] for owner in place.owner if name in owner.model_fields]
    meaning = next((info.description for info in fields if info.description), "")
    quantity = _quantity(place.types)
    if quantity:
        meaning = f"{quantity.expected} ({meaning})" if meaning else quantity.expected
    return _Finding((*place.trail, name), "", f"missing; expected {meaning or 'a value'}", absent=True)


def _unknown_field(place: _Place) -> _Finding:
    name = str(place.trail[-1]) if place.trail else ""
    fields = list(dict.fromkeys(known for owner in place.owner for known in owner.model_fields))
    near = difflib.get_close_matches(name[:100], fields, n=1)
    meant = (*place.trail[:-1], near[0]) if near else ()
    message = f"unknown field {shown(name)}: {choice(name, fields)}"
    return _Finding(place.trail, shown(place.data), message, meant=meant)


def _unknown_kind(place: _Place, trail: Trail) -> _Finding:
    models = _models(place.types)
    name, options = _discriminator(models), _options(models)
    if isinstance(place.data, str):  # a short form that names the kind alone
        return _Finding(trail, shown(place.data), _not_among(place.data, options))
    if name not in place.data:
        return _Finding((*trail, name), "", f"missing; expected one of: {listed(options)}", absent=True)
    given = place.data[name]
    return _Finding((*trail, name), shown(given), _not_among(given, options))


_LEADING_FIELD = re.compile(
    r"([a-z_][a-z0-9_]*)((?:\[\d{1,6}\]|\.[a-z_][a-z0-9_]*)*)(?:: | )(?=\S)(.*)", re.DOTALL
)


def _own_words(detail: ErrorDetails, place: _Place, trail: Trail) -> _Finding:
    """The text of a validator of ours; if it starts with the name of a field, the problem is there."""
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 3]}..."
    found = _LEADING_FIELD.fullmatch(message)
    names = {name for model in _models(place.types) for name in model.model_fields}
    given = detail["input"] if place.beyond else place.data
    if found is None or found[1] not in names or place.beyond:
        expected = message.partition(", expected ")[2] if message.startswith("got ") else ""
        return _Finding(trail, shown(given), message, expected, place.in_union)
    tail = re.findall(r"[a-z_][a-z0-9_]*|\d+", found[2])
    for part in (found[1], *(int(part) if part.isdecimal() else part for part in tail)):
        given = given[part] if _has(given, part) else None
        trail = (*trail, part)
    return _Finding(trail, "" if given is None else shown(given), found[3])


def _expected(detail: ErrorDetails, place: _Place, given: Any) -> str:
    """What would have been right, for the errors of the schema library itself."""
    kind, context = detail["type"], detail.get("ctx", {})
    quantity = _quantity(place.types)
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        bound = context[name]
        if quantity is None or quantity is NUMBER:
            return f"{words} {bound:g}"
        limit = f"{bound:g}" if quantity.plain or bound == 0 else quantity.show(bound)
        return f"{words} {limit}: {quantity.expected}"
    if kind.endswith(("too_short", "too_long")):
        limit = "at least" if kind.endswith("short") else "at most"
        number = context.get("min_length", context.get("max_length"))
        text = kind.startswith("string")
        items = "characters" if text else "item" if number == 1 else "items"
        return f"a {'text' if text else 'list'} of {limit} {number} {items}"
    if kind == "string_pattern_mismatch":
        return f"a text that matches {context['pattern']}"
    noun = _NOUNS.get(kind.partition("_")[0])
    models = _models(place.types)
    if noun == "a mapping" and len(models) > 1:
        return f"a mapping with {_discriminator(models)}: {listed(_options(models))}"
    if noun == "a text" and isinstance(given, (int, float)):
        return "a text (in quotes)"
    if noun:
        return noun
    return re.sub(r"^Input should (?:be )?", "", detail["msg"])


def _not_among(given: object, options: Sequence[Any]) -> str:
    if isinstance(given, str):
        return f"unknown {shown(given)}: {choice(given, options)}"
    return f"got {shown(given)}, expected one of: {listed(options)}"


def _merged(findings: Sequence[_Finding], document: Document) -> list[Problem]:
    """Problems, one a mistake: members of a union object one by one, a misspelt field is missing too."""
    meant = {finding.meant for finding in findings}
    groups: dict[Trail, list[_Finding]] = {}
    for finding in findings:
        if finding.absent and finding.trail in meant:
            continue  # it is there, misspelt
        groups.setdefault(finding.trail, []).append(finding)
    problems: list[Problem] = []
    for trail, group in groups.items():
        # A member of the union that fits but for its range knows best what was meant.
        group = [finding for finding in group if finding.out_of_range] or group
        first = group[0]
        if first.in_union and any(
            len(other) > len(trail) and other[: len(trail)] == trail for other in groups
        ):
            continue  # the member that fits got further and says what is wrong inside
        if len(group) == 1 or not (first.in_union and all(finding.expected for finding in group)):
            texts = dict.fromkeys(finding.message for finding in group)
        else:
            expected = " or ".join(dict.fromkeys(finding.expected for finding in group))
            texts = dict.fromkeys([f"got {first.given}, expected {expected}"])
        problems.extend(document.problem(trail, first.given, text) for text in texts)
    return problems
