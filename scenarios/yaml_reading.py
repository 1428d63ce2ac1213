"""From a file to a `Document`, under limits: YAML of a bounded size, without tags, anchors or surprises.

YAML is read as 1.2: `no` and `on` are texts, `1e6` is a number, a date is a text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

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

from scenarios.document import Document, Trail, dotted
from scenarios.problems import ScenarioError, fail
from scenarios.units import shown

MAX_BYTES = 1_000_000
"""Largest scenario file; a scenario is a page of text, recorded data belong in a CSV file."""
MAX_NODES = 50_000
"""Most values, keys and containers in a file."""
MAX_DEPTH = 40
"""Deepest nesting of lists and mappings."""


def read_file(path: Path, source: str) -> str:
    """Text of a file, without trusting it to be one, to be text, or to be small.

    source: what the problems call the file
    Raises ScenarioError.
    """
    try:
        if path.is_dir():
            fail(source, None, "is a directory, expected a .yaml file")
        if not path.exists():
            fail(source, None, f"no such file{_nearby(path)}")
        if not path.is_file():
            fail(source, None, "is not a regular file")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        fail(source, None, f"cannot be read: {(error.strerror or 'unknown reason').lower()}")
    except ValueError as error:
        if isinstance(error, ScenarioError):
            raise
        fail(source, None, "is not the name of a file")
    if len(content) > MAX_BYTES:
        fail(source, None, _too_large())
    if b"\0" in content:
        fail(source, None, "is a binary file, expected YAML text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        fail(source, line, "is not text in UTF-8")


def _too_large() -> str:
    return f"is larger than {MAX_BYTES:,} bytes; recorded data belong in a CSV file of their own"


def _nearby(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")]
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f": did you mean {near[0]!r}?" if near else ""


def read_mapping(text: str, source: str) -> Document:
    """As `read_text`; a text that holds anything but a mapping is a problem as well."""
    document = read_text(text, source)
    if not isinstance(document.data, dict):
        fail(source, 1, f"got {shown(document.data)}, expected a mapping such as 'title: My system'")
    return document


def read_text(text: str, source: str) -> Document:
    """Data and line numbers of a YAML text.

    Raises ScenarioError with one clear problem for whatever else it is.
    """
    if len(text) > MAX_BYTES:
        fail(source, None, _too_large())
    reader = _Reader(text, source)
    try:
        return reader.document()
    except YAMLError as error:
        fail(source, _error_line(error, text), f"cannot be read as YAML: {_error_words(error)}")
    except (ValueError, OverflowError, AssertionError) as error:
        # The parser meets some broken escapes and directives with bare errors of Python.
        if isinstance(error, ScenarioError):
            raise
        fail(source, reader.line, "cannot be read as YAML: broken escape or directive")


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
            fail(source, text.count("\n", 0, tag.end()) + 1, "explicit tags are not supported")
        self._events: Iterator[Event] = iter(YAML(typ="safe", pure=True).parse(text))

    def document(self) -> Document:
        self._next()
        if isinstance(self._next(), StreamEndEvent):
            fail(self.source, None, "is empty, expected a scenario")
        data = self._node(self._next(), ())
        self._next()
        if not isinstance(self._next(), StreamEndEvent):
            fail(
                self.source, self.line, "a second document ('---') starts here, expected one scenario a file"
            )
        return Document(self.source, data, self._lines)

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
        fail(self.source, self.line, message, dotted(trail))

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
