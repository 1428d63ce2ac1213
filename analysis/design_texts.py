"""What is varied, as it is written on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from analysis.design_samples import Range
from analysis.designs import BASE
from scenarios.loader import parse_override

_RANGE = re.compile(r"(?P<low>[^,\[\]{}]+?)\.\.(?P<high>[^,:\[\]{}]+?)(?P<options>(?::[^:]*)*)")


def split_assignment(text: str, expected: str) -> tuple[str, str]:
    """Path and values. Raises ValueError, which says what is `expected`, for a text without one of them.

    >>> split_assignment(" quality.decay = 1%/d..5%/d", "path=values")
    ('quality.decay', '1%/d..5%/d')
    """
    path, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not path or not values:
        raise ValueError(f"{text!r}: expected {expected}")
    return path, values


def parse_vary(text: str) -> tuple[str, list[Any] | Range]:
    """Read `path=a,b,c` or `path=low..high[:count][:log|linear]`; values are written as in a scenario file.

    Raises ValueError (ScenarioError) that says what would be right.

    >>> parse_vary("quality.decay=1%/d,2%/d")
    ('quality.decay', ['1%/d', '2%/d'])
    >>> parse_vary("horizon=30d..365d:4:log")
    ('horizon', Range(low='30d', high='365d', count=4, log=True))
    """
    path, values = split_assignment(
        text, "path=values, such as quality.decay=1%/d,2%/d or horizon=30d..365d:4"
    )
    matched = _RANGE.fullmatch(values)
    if matched is None:
        return path, _list(path, values)
    count, log = _options(text, matched["options"])
    low, high = (parse_override(f"{path}={matched[end]}")[1] for end in ("low", "high"))
    return path, Range(low, high, count, log)


def parse_all(texts: Sequence[str]) -> dict[str, list[Any] | Range]:
    """Read several; raises ValueError where a path is there twice."""
    found: dict[str, list[Any] | Range] = {}
    for text in texts:
        path, values = parse_vary(text)
        if path in found:
            raise ValueError(f"{path} is varied twice, expected different fields")
        found[path] = values
    return found


def parse_pairs(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Read lists that advance together: `path=a,b,c` each."""
    found: dict[str, list[Any]] = {}
    for path, values in parse_all(texts).items():
        if isinstance(values, Range):
            raise ValueError(f"{path}: a pair takes a list of values, such as {path}=1,2,3")
        found[path] = values
    return found


def parse_overlays(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read `name=file.yaml`, partial scenarios by name; `base` alone stands for the scenario as it is.

    Raises ValueError for a name that is there twice and a file that cannot be read or is no mapping.
    """
    from scenarios.yaml_reading import read_file, read_mapping

    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, equals, file = (part.strip() for part in text.partition("="))
        if name in found:
            raise ValueError(f"overlay {name!r} is there twice, expected different names")
        if text.strip() == BASE:
            found[BASE] = {}
            continue
        if not equals or not name or not file or name == BASE:
            raise ValueError(f"overlay {text!r}: expected name=file.yaml, or base for the scenario as it is")
        path = Path(file)
        found[name] = dict(read_mapping(read_file(path, path.name), path.name).data)
    return found


def _list(path: str, values: str) -> list[Any]:
    found = parse_override(f"{path}=[{values}]")[1]
    assert isinstance(found, list)
    if re.search(r"(^|,)\s*(,|$)", values):
        raise ValueError(f"{path}: got {values!r}, which has an empty value")
    return found


def _options(text: str, options: str) -> tuple[int | None, bool]:
    """Count and spacing of a range."""
    count: int | None = None
    log = False
    for option in filter(None, options.split(":")):
        if option.isdecimal() and count is None:
            count = int(option)
        elif option in ("log", "linear"):
            log = option == "log"
        else:
            raise ValueError(f"{text!r}: got {option!r}, expected a count, log or linear after the range")
    return count, log
