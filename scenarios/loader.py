"""From a file, a library name or a text to a validated `Scenario`, or to problems that can be mended.

Three steps: read the YAML under limits, remembering the line of every field (`yaml_reading`); put the
overrides in (`document`); validate, and turn whatever the schema objects to into problems with a line, a
field, what was given and what would be right (`objections`). These modules are imported on use: importing
this one costs no more than the standard library.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios.problems import OVERRIDE, Problem, ScenarioError, choice, fail, label

if TYPE_CHECKING:
    from pydantic import BaseModel

    from scenarios.document import Document
    from scenarios.overlays import Overlay
    from scenarios.schema import Scenario

__all__ = [
    "Problem",
    "ScenarioError",
    "library_names",
    "load",
    "parse_override",
    "validate_mapping",
    "validate_text",
]


def library_names() -> list[str]:
    """Names of the scenarios that ship with the package, sorted."""
    return sorted(path.stem for path in _library().glob("*.yaml"))


def load(
    name_or_path: str | os.PathLike[str],
    /,
    *,
    overlay: Overlay | Sequence[Overlay] = (),
    _model: type[BaseModel] | None = None,
    **overrides: Any,
) -> Scenario:
    """Read a scenario of the library, or a file, and validate it.

    name_or_path: a library name (`fraud_detection`), or a path (with a slash or ending in .yaml or .yml)
    overlay: partial scenarios that are put over it in order: names (`scalable`), paths or mappings
    overrides: values at dotted paths, `quality__decay="1%/d"` or `**{"monitors[0].threshold": 0.3}`; they come last
    _model: another schema than Scenario, for tests
    Raises ScenarioError for a name or file that is not there and for everything that is wrong in it.
    """
    from scenarios.yaml_reading import read_file, read_mapping

    path = _find(name_or_path)
    name = path.name if path.parent == _library() else label(os.fspath(name_or_path))
    document = read_mapping(read_file(path, name), name)
    if overlay:
        from scenarios.overlays import with_overlays

        document = with_overlays(document, overlay, base_dir=path.parent)
    return _validate(document, overrides, path.parent, _model)


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
    from scenarios.yaml_reading import read_mapping

    return _validate(read_mapping(text, source), overrides, base_dir, model)


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
    from scenarios.document import Document

    return _validate(Document(source, dict(data)), overrides, base_dir, model)


def parse_override(text: str) -> tuple[str, Any]:
    """Read `path=value`, as given to --set; the value is written as in a scenario file.

    Raises ScenarioError for a text without path or value, and for a value that is not YAML.

    >>> parse_override("quality.decay=1%/d")
    ('quality.decay', '1%/d')
    >>> parse_override("monitors[0].features=[age, country]")
    ('monitors[0].features', ['age', 'country'])
    """
    from scenarios.yaml_reading import read_text

    path, equals, value = text.partition("=")
    if not equals or not path.strip() or not value.strip():
        fail(
            OVERRIDE,
            None,
            "expected path=value, such as quality.decay=1%/d",
            label(text.strip() or "(empty)"),
        )
    try:
        return path.strip(), read_text(value.strip(), OVERRIDE).data
    except ScenarioError as error:
        raise ScenarioError([_at(problem, label(path.strip())) for problem in error.problems]) from None


def _at(problem: Problem, path: str) -> Problem:
    inner = f"{problem.field}: " if problem.field else ""
    return Problem(OVERRIDE, None, path, problem.given, inner + problem.message)


def _validate(
    document: Document,
    overrides: Mapping[str, Any] | None,
    base_dir: Path | None,
    model: type[BaseModel] | None,
) -> Scenario:
    from scenarios.objections import validated

    scenario: Scenario = validated(document.with_overrides(overrides or {}), model or _schema(), base_dir)
    return scenario


def _schema() -> type[Scenario]:
    from scenarios.schema import Scenario  # the schema itself uses this module

    return Scenario


def _library() -> Path:
    return Path(str(files("scenarios").joinpath("library")))


def _find(name_or_path: str | os.PathLike[str]) -> Path:
    """The file that is meant."""
    text = os.fspath(name_or_path)
    separators = [os.sep, *([os.altsep] if os.altsep else [])]
    is_name = isinstance(name_or_path, str) and not any(mark in text for mark in separators)
    if not is_name or text.lower().endswith((".yaml", ".yml")):
        return Path(text)
    names = library_names()
    if text not in names:
        fail(
            label(text),
            None,
            f"no such scenario in the library: {choice(text, names)} (or a path to a .yaml file)",
        )
    return _library() / f"{text}.yaml"
