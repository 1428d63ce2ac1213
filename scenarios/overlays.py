"""Overlays: named partial scenarios that can be laid over any scenario.

An overlay changes some fields and leaves the rest: another staffing, another way to deploy, less monitoring. It comes
from the library of overlays (`ad_hoc`, `repeatable`, `scalable`), from a file of the user's own, from the field
`overlays` of a scenario, or from a file of answers to the ML Test Score. Several are put on top of each other in order.

Mappings are merged to any depth and `null` removes a field; a plain value, a list, or a mapping of another `kind`
replaces what was there. Items of lists that have names (monitors, failures, signals, menu, features, slices, triggers)
are changed one by one with a mapping over the list: `monitors: {accuracy: {cadence: 7d}, schema: null}`. `watch`
changes monitors by layer (`scenarios.overlay_watch`), `prevent` makes failures rarer by cause
(`scenarios.overlay_prevent`); the parts in the list `where_possible` are put over the scenario
one by one, each only if it fits (a validation gate needs a quality that is not recorded, a trigger on accuracy needs
labels); `about` says what the overlay is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from scenarios.document import Document, Trail
from scenarios.overlay_merge import merged
from scenarios.problems import ScenarioError, choice, fail, label
from scenarios.units import shown

if TYPE_CHECKING:
    from scenarios.schema import Scenario

Overlay = str | os.PathLike[str] | Mapping[str, Any]
"""A name, a path, or the partial scenario itself."""
BASE = "base"
"""The overlay that changes nothing."""
OWN_FIELDS = ("about", "watch", "prevent", "where_possible")
"""Fields that an overlay has and a scenario has not."""
_SUFFIXES = (".yaml", ".yml", ".json")


def overlay_names() -> list[str]:
    """Names of the overlays that ship with the package, sorted."""
    return sorted(path.stem for path in _library().glob("*.yaml"))


def about_overlay(name: str) -> str:
    """What an overlay of the library says about itself. Raises ScenarioError for an unknown name."""
    (document,) = _read(name, Document("overlays", {}))
    return " ".join(str(document.data.get("about", "")).split())


def overlaid(scenario: Scenario, overlay: Overlay | Sequence[Overlay]) -> Scenario:
    """A copy of a scenario with one or more overlays put over it in order, validated again.

    Raises ScenarioError for an unknown name and for whatever does not fit.

    >>> import scenarios
    >>> asset = scenarios.load("rotting_asset")
    >>> overlaid(asset, {"pipeline": {"stages": {"training": "3d"}}}).pipeline.stages.training.duration.value
    3.0
    """
    from scenarios.objections import validated

    document = with_overlays(Document("scenario", scenario._written), overlay, base_dir=scenario._base_dir)
    found: Scenario = validated(document, type(scenario), scenario._base_dir)
    return found


def with_overlays(
    document: Document, overlay: Overlay | Sequence[Overlay], *, base_dir: Path | None = None
) -> Document:
    """The document of a scenario with overlays put over it in order.

    overlay: names, paths or partial scenarios; `base` changes nothing. base_dir: of relative paths in the scenario
    Raises ScenarioError for an unknown name, a file that cannot be read, and what cannot be put over the document.
    """
    many = [overlay] if isinstance(overlay, str | os.PathLike | Mapping) else list(overlay)
    for one in many:
        if one != BASE:
            for over in _read(one, document):
                document = _applied(document, over, _name(one), base_dir)
    return document


def _applied(document: Document, over: Document, name: str, base_dir: Path | None) -> Document:
    from scenarios.objections import validated
    from scenarios.schema import Scenario

    if not isinstance(over.data, Mapping):
        _refuse(over, (), f"got {shown(over.data)}, expected a mapping of fields of a scenario")
    known = [field for field in Scenario.model_fields if field != "overlays"]
    for field in over.data:
        if field not in (*known, *OWN_FIELDS):
            _refuse(over, (field,), f"unknown field {shown(field)}: {choice(field, [*known, *OWN_FIELDS])}")
    if not isinstance(over.data.get("about", ""), str):
        _refuse(over, ("about",), f"got {shown(over.data['about'])}, expected a text")
    result = _put(document, over, name, base_dir)
    parts = over.data.get("where_possible", [])
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
        _refuse(over, ("where_possible",), f"got {shown(parts)}, expected a list of mappings")
    for number, part in enumerate(parts):
        at: Trail = ("where_possible", number)
        lines = {trail[2:]: line for trail, line in over.lines.items() if trail[:2] == at}
        try:
            possible = _put(result, Document(over.source, part, lines), name, base_dir)
            validated(possible, Scenario, base_dir)
        except ScenarioError as error:
            if any(problem.message.startswith("unknown field") for problem in error.problems):
                raise  # it fits no scenario at all
        else:
            result = possible
    return result


def _put(document: Document, over: Document, name: str, base_dir: Path | None) -> Document:
    """The fields of an overlay put over the document, then what it says of monitors by layer and failures by cause."""
    from scenarios.objections import validated
    from scenarios.overlay_prevent import prevented
    from scenarios.overlay_watch import watched
    from scenarios.schema import Scenario

    fields = {field: value for field, value in over.data.items() if field not in OWN_FIELDS}
    result = merged(document, Document(over.source, fields, over.lines))
    for field, put in (("watch", watched), ("prevent", prevented)):
        if field in over.data:
            scenario: Scenario = validated(result, Scenario, base_dir)
            result = put(result, scenario, over)
    return replace(result, overlays=tuple(dict.fromkeys((*document.overlays, name))))


def _read(overlay: Overlay, document: Document) -> list[Document]:
    """The documents of an overlay, with the line of each field: one, or several where it is a file of answers."""
    if isinstance(overlay, Mapping):
        return [Document("overlay", dict(overlay))]
    text = os.fspath(overlay).removeprefix("@")
    if not isinstance(overlay, str) or os.sep in text or text.lower().endswith(_SUFFIXES):
        return _from_file(Path(text), f"overlay {label(text)}")
    own = document.data.get("overlays") or {}
    if isinstance(own, Mapping) and text in own:
        return [_own(document, text, own[text])]
    names = overlay_names()
    if text not in names:
        known = choice(text, [*own, *names, BASE] if isinstance(own, Mapping) else [*names, BASE])
        fail(f"overlay {label(text)}", None, f"no such overlay: {known} (or a path to a .yaml file)")
    return _from_file(_library() / f"{text}.yaml", f"overlay {text}.yaml")


def _from_file(path: Path, source: str) -> list[Document]:
    from scenarios.ml_test_answers import is_answers, overlays_of_answers
    from scenarios.yaml_reading import read_file, read_mapping

    document = read_mapping(read_file(path, source), source)
    return overlays_of_answers(document) if is_answers(document) else [document]


def _own(document: Document, name: str, data: Any) -> Document:
    """An overlay that the scenario itself has."""
    above = ("overlays", name)
    lines = {trail[2:]: line for trail, line in document.lines.items() if trail[:2] == above}
    return Document(f"overlay {name} of {document.source}", data, lines)


def _name(overlay: Overlay) -> str:
    return "(given)" if isinstance(overlay, Mapping) else label(os.fspath(overlay).removeprefix("@"))


def _refuse(over: Document, at: Trail, message: str) -> NoReturn:
    raise ScenarioError([over.problem(at, "", message)])


def _library() -> Path:
    return Path(str(files("scenarios").joinpath("overlays")))
