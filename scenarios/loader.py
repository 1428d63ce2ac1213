"""From a file, a library name or a text to a validated `Scenario`, or to problems that can be mended.

Three steps: read the YAML under limits, remembering the line of every field; put the overrides in; validate,
and turn whatever the schema objects to into problems with a line, a field, what was given and what would be
right. YAML is read as 1.2: `no` and `on` are texts, `1e6` is a number, a date is a text.
"""

from __future__ import annotations

import copy
import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NoReturn,
    Union,
    get_args,
    get_origin,
)

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from scenarios.units import NUMBER, Quantity, shown

if TYPE_CHECKING:
    from scenarios.schema import Scenario

MAX_BYTES = 1_000_000
"""Largest scenario file; a scenario is a page of text, recorded data belong in a CSV file."""
MAX_NODES = 50_000
"""Most values, keys and containers in a file."""
MAX_DEPTH = 40
"""Deepest nesting of lists and mappings."""
MAX_LISTED = 10
"""Problems that the text of a ScenarioError lists."""
MAX_PROBLEMS = 100
"""Problems that a ScenarioError keeps; the rest is only counted."""
MAX_NAMES = 40
"""Right names that a message lists."""
MAX_MESSAGE = 600
"""Longest message of a validator that is passed on."""

OVERRIDE = "override"
"""Source of problems with a value that was set from outside the file."""

Trail = tuple[str | int, ...]
"""Where a value is: keys and list indices from the top."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where.

    line: from 1, None where there is no file
    field: `policies[1].interval`, also where it was not written; empty for the scenario as a whole
    given: what was written, shortened; empty if nothing was
    """

    source: str
    line: int | None
    field: str
    given: str
    message: str

    def __str__(self) -> str:
        if self.source == OVERRIDE:
            return _printable(f"{OVERRIDE} {self.field}: {self.message}")
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return _printable(": ".join(part for part in (place, self.field, self.message) if part))


def _printable(text: str) -> str:
    """One line without control characters, whatever a file or a validator put into it."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


class ScenarioError(ValueError):
    """A scenario that cannot be used; its text has a line for each of the first problems.

    problems: in the order of the file, at most MAX_PROBLEMS
    count: how many there are
    """

    def __init__(self, problems: Sequence[Problem], count: int | None = None) -> None:
        super().__init__(problems, count)
        self.problems = list(problems)
        self.count = len(self.problems) if count is None else count

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:MAX_LISTED]]
        more = self.count - len(lines)
        return "\n".join([*lines, f"and {more} more"] if more > 0 else lines)


def library_names() -> list[str]:
    """Names of the scenarios that ship with the package, sorted."""
    return sorted(path.stem for path in _library().glob("*.yaml"))


def load(
    name_or_path: str | os.PathLike[str], *, model: type[BaseModel] | None = None, **overrides: Any
) -> Scenario:
    """Read a scenario of the library, or a file, and validate it.

    name_or_path: a library name (`fraud_detection`), or a path (with a slash or ending in .yaml or .yml)
    overrides: values at dotted paths, `quality__decay="1%/d"` or `**{"monitors[0].threshold": 0.3}`
    model: another schema than Scenario, for tests
    Raises ScenarioError for a name or file that is not there and for everything that is wrong in it.
    """
    path = _find(name_or_path)
    name = path.name if path.parent == _library() else _label(os.fspath(name_or_path))
    return validate_text(
        _read_file(path, name), name, base_dir=path.parent, overrides=overrides, model=_schema(model)
    )


def validate_text(
    text: str,
    source: str = "scenario",
    *,
    base_dir: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    model: type[BaseModel] | None = None,
) -> Scenario:
    """Validate the text of a scenario file.

    source: what the problems call the text
    base_dir: folder from which relative paths in the scenario count
    overrides, model: as in `load`
    Raises ScenarioError.
    """
    document = _read_text(text, source)
    if not isinstance(document.data, dict):
        _fail(source, 1, f"got {shown(document.data)}, expected a mapping such as 'title: My system'")
    return _validate(document, overrides or {}, base_dir, _schema(model))


def validate_mapping(
    data: Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    source: str = "scenario",
    base_dir: Path | None = None,
    model: type[BaseModel] | None = None,
) -> Scenario:
    """Validate a scenario that was read before, with overrides; `data` itself is not changed.

    Parameters and errors as in `validate_text`; problems have no line.
    """
    return _validate(_Document(source, dict(data)), overrides or {}, base_dir, _schema(model))


def parse_override(text: str) -> tuple[str, Any]:
    """Read `path=value`, as given to --set; the value is written as in a scenario file.

    Raises ScenarioError for a text without path or value, and for a value that is not YAML.

    >>> parse_override("quality.decay=1%/d")
    ('quality.decay', '1%/d')
    >>> parse_override("monitors[0].features=[age, country]")
    ('monitors[0].features', ['age', 'country'])
    """
    path, equals, value = text.partition("=")
    if not equals or not path.strip() or not value.strip():
        _fail(
            OVERRIDE,
            None,
            "expected path=value, such as quality.decay=1%/d",
            _label(text.strip() or "(empty)"),
        )
    try:
        return path.strip(), _read_text(value.strip(), OVERRIDE).data
    except ScenarioError as error:
        raise ScenarioError([_at(problem, _label(path.strip())) for problem in error.problems]) from None


# Finding and reading files


def _library() -> Path:
    return Path(str(files("scenarios").joinpath("library")))


def _schema(model: type[BaseModel] | None) -> type[Any]:
    if model is not None:
        return model
    from scenarios.schema import Scenario  # the schema itself uses this module

    return Scenario


def _label(path: str) -> str:
    """A path in a form that is safe to print."""
    short = path if len(path) <= 200 else f"...{path[-197:]}"
    return short if short.isprintable() and short.strip() else repr(short)


def _find(name_or_path: str | os.PathLike[str]) -> Path:
    """The file that is meant."""
    text = os.fspath(name_or_path)
    separators = [os.sep, *([os.altsep] if os.altsep else [])]
    is_name = isinstance(name_or_path, str) and not any(mark in text for mark in separators)
    if not is_name or text.lower().endswith((".yaml", ".yml")):
        return Path(text)
    names = library_names()
    if text not in names:
        _fail(
            _label(text),
            None,
            f"no such scenario in the library: {_choice(text, names)} (or a path to a .yaml file)",
        )
    return _library() / f"{text}.yaml"


def _read_file(path: Path, source: str) -> str:
    """Text of a file, without trusting it to be one, to be text, or to be small."""
    try:
        if path.is_dir():
            _fail(source, None, "is a directory, expected a .yaml file")
        if not path.exists():
            _fail(source, None, f"no such file{_nearby(path)}")
        if not path.is_file():
            _fail(source, None, "is not a regular file")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        _fail(source, None, f"cannot be read: {(error.strerror or 'unknown reason').lower()}")
    except ValueError as error:
        if isinstance(error, ScenarioError):
            raise
        _fail(source, None, "is not the name of a file")
    if len(content) > MAX_BYTES:
        _fail(source, None, _too_large())
    if b"\0" in content:
        _fail(source, None, "is a binary file, expected YAML text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        _fail(source, line, "is not text in UTF-8")


def _too_large() -> str:
    return f"is larger than {MAX_BYTES:,} bytes; recorded data belong in a CSV file of their own"


def _nearby(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f": did you mean {near[0]!r}?" if near else ""


def _fail(source: str, line: int | None, message: str, at: str = "", given: str = "") -> NoReturn:
    raise ScenarioError([Problem(source, line, at, given, message)])


def _at(problem: Problem, path: str) -> Problem:
    inner = f"{problem.field}: " if problem.field else ""
    return Problem(OVERRIDE, None, path, problem.given, inner + problem.message)


# Reading YAML under limits


@dataclass
class _Document:
    """Data of a file, with the line of every field and the fields that were set from outside."""

    source: str
    data: Any
    lines: dict[Trail, int] = field(default_factory=dict)
    overridden: set[Trail] = field(default_factory=set)

    def problem(self, trail: Trail, given: str, message: str) -> Problem:
        """A problem at a field, or at the nearest one above it that was written."""
        if any(trail[: len(prefix)] == prefix for prefix in self.overridden):
            return Problem(OVERRIDE, None, _dotted(trail), given, message)
        known = next((trail[:end] for end in range(len(trail), -1, -1) if trail[:end] in self.lines), None)
        line = None if known is None else self.lines[known]
        return Problem(self.source, line, _dotted(trail), given, message)


def _dotted(trail: Trail) -> str:
    """A path as people write it: `policies[1].interval`."""
    text = ""
    for part in trail:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if re.fullmatch(r"[\w-]{1,60}", part) else shown(part)
            text += f".{name}" if text else name
    return text


def _read_text(text: str, source: str) -> _Document:
    """Data and line numbers of a YAML text; one clear problem for whatever else it is."""
    if len(text) > MAX_BYTES:
        _fail(source, None, _too_large())
    reader = _Reader(text, source)
    try:
        return reader.document()
    except YAMLError as error:
        _fail(source, _error_line(error, text), f"cannot be read as YAML: {_error_words(error)}")
    except (ValueError, OverflowError, AssertionError) as error:
        # The parser meets some broken escapes and directives with bare errors of Python.
        if isinstance(error, ScenarioError):
            raise
        _fail(source, reader.line, "cannot be read as YAML: broken escape or directive")


def _error_line(error: YAMLError, text: str) -> int | None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if _is_open_quote(error):
        mark = getattr(error, "context_mark", None) or mark
    if mark is not None:
        return int(mark.line) + 1
    position = getattr(error, "position", None)  # of a character that YAML forbids
    return None if position is None else text.count("\n", 0, int(position)) + 1


def _is_open_quote(error: YAMLError) -> bool:
    return "end of stream" in str(getattr(error, "problem", "")) and "quoted" in str(
        getattr(error, "context", "")
    )


def _error_words(error: YAMLError) -> str:
    words = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "not valid")
    if _is_open_quote(error):
        return "a quote is opened here and never closed"
    if "'\\t'" in words:
        return "a tab where only blanks may indent"
    if "mapping values are not allowed" in words:
        return "a second ': ' on the line; put texts that contain one in quotes"
    return words.splitlines()[0].replace("(<", "<").replace(",)", "").replace("'\\x00'", "the end")


# A tag costs the scanner quadratic time, and tags are refused in any case.
_LONG_TAG = re.compile(r"(?:^|[\s\[{,])!\S{200}")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_INTEGER = re.compile(r"[-+]?[0-9]{1,60}|0o[0-7]{1,60}|0x[0-9a-fA-F]{1,60}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **{sign + word: float(f"{sign}inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
}


class _Reader:
    """Builds data from parser events, so that nothing is constructed that was not counted and allowed."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.line = 1
        self._lines: dict[Trail, int] = {}
        self._nodes = 0
        tag = _LONG_TAG.search(text)
        if tag:
            _fail(source, text.count("\n", 0, tag.end()) + 1, "explicit tags are not supported")
        self._events: Iterator[Event] = iter(YAML(typ="safe", pure=True).parse(text))

    def document(self) -> _Document:
        self._next()
        if isinstance(self._next(), StreamEndEvent):
            _fail(self.source, None, "is empty, expected a scenario")
        data = self._node(self._next(), ())
        self._next()
        if not isinstance(self._next(), StreamEndEvent):
            _fail(
                self.source, self.line, "a second document ('---') starts here, expected one scenario a file"
            )
        return _Document(self.source, data, self._lines)

    def _next(self) -> Event:
        event = next(self._events)
        self.line = int(event.start_mark.line) + 1
        return event

    def _node(self, event: Event, trail: Trail) -> Any:
        self._lines.setdefault(trail, self.line)
        self._check(event, trail)
        if isinstance(event, ScalarEvent):
            return self._scalar(event, trail)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(trail)
        return self._mapping(trail)

    def _check(self, event: Event, trail: Trail) -> None:
        self._nodes += 1
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            self._refuse(trail, "& and * anchors are not supported, write the value out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._refuse(trail, f"explicit tags are not supported: {shown(str(tag))}")
        if self._nodes > MAX_NODES:
            self._refuse(
                (), f"more than {MAX_NODES:,} values, expected fewer; recorded data belong in a CSV file"
            )
        if len(trail) >= MAX_DEPTH and not isinstance(event, ScalarEvent):
            self._refuse((), f"lists and mappings nested deeper than {MAX_DEPTH}")

    def _refuse(self, trail: Trail, message: str) -> NoReturn:
        _fail(self.source, self.line, message, _dotted(trail))

    def _sequence(self, trail: Trail) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            items.append(self._node(event, (*trail, len(items))))
        return items

    def _mapping(self, trail: Trail) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            key = self._key(event, trail)
            inside = (*trail, key)
            if key in entries:
                self._refuse(inside, f"is there twice, first on line {self._lines[inside]}")
            self._lines[inside] = self.line
            entries[key] = self._node(self._next(), inside)
        return entries

    def _key(self, event: Event, trail: Trail) -> str:
        self._check(event, trail)
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            kind = "a mapping" if isinstance(event, MappingStartEvent) else "a list"
            self._refuse(trail, f"{kind} is used as the name of a field, expected a text")
        key = self._scalar(event, trail)
        if not isinstance(key, str):
            self._refuse(trail, f"{shown(key)} is used as the name of a field, expected a text")
        return key

    def _scalar(self, event: Any, trail: Trail) -> Any:
        text = str(event.value)
        if _CONTROL.search(text):
            self._refuse(trail, "contains a control character")
        return text if event.style else _plain(text)


def _plain(text: str) -> Any:
    """What a text without quotes means: the core schema of YAML 1.2."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


# Overrides


def _apply(document: _Document, overrides: Mapping[str, Any]) -> _Document:
    """The document with other values; what is missing on the way is created, for the schema to judge."""
    if not overrides:
        return document
    changed = _Document(document.source, copy.deepcopy(document.data), document.lines)
    for path, value in overrides.items():
        _set(changed, path, copy.deepcopy(value) if isinstance(value, dict | list) else value)
    return changed


def _set(document: _Document, path: str, value: Any) -> None:
    parts = re.sub(r"\[(\d{1,9})\]", r".\1", path.strip().replace("__", ".")).split(".")
    if not all(re.fullmatch(r"[\w-]+", part) for part in parts):
        _fail(
            OVERRIDE,
            None,
            "is not a path, expected one such as quality.decay or monitors[0].threshold",
            _label(path),
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


def _key_in(container: Any, part: str, trail: Trail, path: str) -> str | int:
    """The key or index that a part of a path means in this container."""
    where = _dotted(trail) or "the scenario"
    if isinstance(container, dict):
        if part.isdecimal() and part not in container:
            _fail(OVERRIDE, None, f"{where} has no item {part}", path)
        return part
    if not isinstance(container, list):
        _fail(OVERRIDE, None, f"{where} is {shown(container)}, which has no fields", path)
    if not part.isdecimal():
        _fail(OVERRIDE, None, f"{where} is a list, expected an index such as {where}[0]", path)
    if int(part) >= len(container):
        _fail(OVERRIDE, None, f"index {part} is out of range: {where} has {len(container)} items", path)
    return int(part)


# Validation, and the words for what it finds


def _validate(
    document: _Document, overrides: Mapping[str, Any], base_dir: Path | None, model: type[Any]
) -> Scenario:
    document = _apply(document, overrides)
    try:
        context = {} if base_dir is None else {"base_dir": base_dir}
        scenario: Scenario = model.model_validate(document.data, context=context)
        return scenario
    except ValidationError as error:
        details = error.errors(include_url=False)
    except OverflowError:
        _fail(document.source, None, "has numbers too large or too small to compute with")
    findings = [_explain(detail, document.data, model) for detail in details[:MAX_PROBLEMS]]
    problems = _merged(findings, document)
    problems.sort(key=lambda problem: (problem.line is not None, problem.line or 0))
    raise ScenarioError(problems, len(problems) + max(0, len(details) - MAX_PROBLEMS))


@dataclass
class _Finding:
    """One objection of the schema, before those to the same mistake are put together.

    expected: what would be right, when the message is "got ..., expected ..."
    absent: the field is missing; meant: the field that a misspelt one stands for
    """

    trail: Trail
    given: str
    message: str
    expected: str = ""
    in_union: bool = False
    absent: bool = False
    meant: Trail = ()


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
    return _Finding(trail, shown(given), f"got {shown(given)}, expected {expected}", expected, place.in_union)


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
    message = f"unknown field {shown(name)}: {_choice(name, fields)}"
    return _Finding(place.trail, shown(place.data), message, meant=meant)


def _unknown_kind(place: _Place, trail: Trail) -> _Finding:
    models = _models(place.types)
    name, options = _discriminator(models), _options(models)
    if name not in place.data:
        return _Finding((*trail, name), "", f"missing; expected one of: {_listed(options)}", absent=True)
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
        return f"a {'text' if text else 'list'} of {limit} {number} {'characters' if text else 'items'}"
    if kind == "string_pattern_mismatch":
        return f"a text that matches {context['pattern']}"
    noun = _NOUNS.get(kind.partition("_")[0])
    models = _models(place.types)
    if noun == "a mapping" and len(models) > 1:
        return f"a mapping with {_discriminator(models)}: {_listed(_options(models))}"
    if noun == "a text" and isinstance(given, (int, float)):
        return "a text (in quotes)"
    if noun:
        return noun
    return re.sub(r"^Input should (?:be )?", "", detail["msg"])


def _not_among(given: object, options: Sequence[Any]) -> str:
    if isinstance(given, str):
        return f"unknown {shown(given)}: {_choice(given, options)}"
    return f"got {shown(given)}, expected one of: {_listed(options)}"


def _choice(given: object, options: Sequence[Any]) -> str:
    """The nearest of the right names, and all of them."""
    names = [str(option) for option in options]
    near = difflib.get_close_matches(str(given)[:100], names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}one of: {_listed(names)}"


def _listed(names: Sequence[Any]) -> str:
    more = len(names) - MAX_NAMES
    shortened = [*map(str, names[:MAX_NAMES]), *([f"and {more} more"] if more > 0 else [])]
    return ", ".join(shortened)


def _merged(findings: Sequence[_Finding], document: _Document) -> list[Problem]:
    """Problems, one a mistake: members of a union object one by one, a misspelt field is missing too."""
    meant = {finding.meant for finding in findings}
    groups: dict[Trail, list[_Finding]] = {}
    for finding in findings:
        if finding.absent and finding.trail in meant:
            continue  # it is there, misspelt
        groups.setdefault(finding.trail, []).append(finding)
    problems: list[Problem] = []
    for trail, group in groups.items():
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
