"""The field `watch` of an overlay: monitors by the layer that they belong to, whatever a scenario calls them.

    watch:
      accuracy: {cadence: 7d}           # monitors of accuracy look once a week
      features: {cadence: 4h, add: true}  # and one is added where the scenario has features and no such monitor
      freshness: off
      rest: on                          # all layers that are not named

So an overlay says what is watched, and how often, over any scenario. Cadences and windows are rounded up to whole
windows of the scenario. The perfect monitor (metric truth) belongs to no layer and stays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args

from scenarios.document import Document, Trail, dotted
from scenarios.menu import IDENTITY, monitors_of_entry
from scenarios.overlay_merge import merged
from scenarios.problems import choice, fail
from scenarios.signals import Layer
from scenarios.units import DURATION, shown
from scenarios.world import RecordedQuality

if TYPE_CHECKING:
    from scenarios.monitoring import Monitor
    from scenarios.schema import Scenario

LAYERS: tuple[str, ...] = get_args(Layer)
REST = "rest"
"""Stands for all layers that are not named."""
_OFF = ("off", False)
_ON = ("on", True)
_LONGEST_LEARNING = 28.0
_FEWEST_LOOKS = 14
"""Defaults of adaptive limits."""


def watched(document: Document, scenario: Scenario, over: Document) -> Document:
    """The document of `scenario` with its monitors as the field `watch` of the overlay `over` wants them.

    Raises ScenarioError for a layer or a way to watch that there is not.
    """
    watch = over.data["watch"]
    at: Trail = ("watch",)
    if not isinstance(watch, Mapping):
        _refuse(over, at, f"got {shown(watch)}, expected a mapping such as {{accuracy: {{cadence: 7d}}}}")
    for layer, option in watch.items():
        _check(over, (*at, layer), layer, option)
    change = Document(over.source, {"monitors": {}})
    for monitor in scenario.monitors:
        layer = scenario.layer_of(monitor) or ""
        named = layer if layer in watch else REST
        if not layer or named not in watch or watch[named] in _ON:
            continue
        option = watch[named]
        fields = None if option in _OFF else _changes(scenario, monitor, option)
        _enter(change, monitor.label, fields, over, (*at, named))
    for layer, option in watch.items():
        if isinstance(option, Mapping) and option.get("add"):
            for monitor_fields in _added(scenario, layer, option):
                _enter(change, monitor_fields.pop("name"), monitor_fields, over, (*at, layer))
    result = merged(document, change)
    _prune_menu(result, scenario)
    return result


def _check(over: Document, at: Trail, layer: str, option: Any) -> None:
    if layer not in (*LAYERS, REST):
        _refuse(over, at, f"unknown layer {shown(layer)}: {choice(layer, [*LAYERS, REST])}")
    if isinstance(option, Mapping):
        for field in option:
            if field in IDENTITY:
                _refuse(over, (*at, field), "cannot be changed for a whole layer; name the monitor instead")
        add = option.get("add", False)
        if not isinstance(add, bool) or (add and layer == REST):
            _refuse(over, (*at, "add"), "expected true or false, and a layer of its own")
        for field in ("cadence", "window"):
            if field in option:
                _duration(over, (*at, field), option[field])
    elif option not in (*_OFF, *_ON):
        _refuse(over, at, f"got {shown(option)}, expected off, on, or a mapping such as {{cadence: 1d}}")


def _duration(over: Document, at: Trail, value: Any) -> None:
    try:
        DURATION.parse(value)
    except ValueError as error:
        _refuse(over, at, str(error))


def _changes(scenario: Scenario, monitor: Monitor, option: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that an option changes in a monitor."""
    fields = {name: _whole(scenario, name, value) for name, value in option.items() if name != "add"}
    if "cadence" in fields and "window" not in fields:
        look = DURATION.parse(fields["cadence"])
        # Looks farther apart than what each of them covers would leave gaps that nobody sees; rules that add looks
        # up must not count rows twice.
        if monitor.window is not None and (monitor.uses_looks_once or monitor.window < look):
            fields["window"] = fields["cadence"]
    return fields


def _whole(scenario: Scenario, name: str, value: Any) -> Any:
    """A duration, rounded up to whole windows of the scenario; other values as they are."""
    if name not in ("cadence", "window"):
        return value
    windows = max(math.ceil(DURATION.parse(value) / scenario.window - 1e-9), 1)
    return DURATION.write(windows * scenario.window)


def _added(scenario: Scenario, layer: str, option: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Monitors of a layer that the scenario could have and has not."""
    fields = {name: _whole(scenario, name, value) for name, value in option.items() if name != "add"}
    theirs = [monitor for monitor in scenario.monitors if scenario.layer_of(monitor) == layer]
    recorded = isinstance(scenario.quality, RecordedQuality)
    reference = {"reference": "first_window"} if recorded else {}
    if layer == "accuracy" and scenario.labels is not None and not theirs:
        yield {"name": "accuracy", "metric": "accuracy", **reference, **fields}
    elif layer == "slices" and scenario.labels is not None:
        known = {monitor.slice for monitor in theirs}
        for part in scenario.slices:
            if part.name not in known:
                name = f"slice_accuracy[{part.name}]"
                yield {"name": name, "metric": "slice_accuracy", "slice": part.name, **reference, **fields}
    elif layer == "features" and scenario.features and not theirs:
        yield {"name": "feature_drift_psi", "metric": "feature_drift_psi", **fields}
    watched_signals = {monitor.signal for monitor in theirs}
    for signal in scenario.signals:
        if signal.layer == layer and signal.name not in watched_signals:
            yield {"name": signal.name, **_of_signal(scenario, signal), **fields}


def _of_signal(scenario: Scenario, signal: Any) -> dict[str, Any]:
    """Fields of a monitor that needs no threshold of its own."""
    monitor: dict[str, Any] = {"metric": "signal", "signal": signal.name}
    if getattr(signal, "per_accuracy_lost", 0.0) < 0.0:
        monitor["direction"] = "down"
    if signal.kind in ("proportion", "mean") and getattr(signal, "sd", 1.0) > 0.0:
        return monitor | {"rule": "significance"}
    return monitor | {"rule": "adaptive", "limits": {"deviations": 4}}


def _enter(
    change: Document, label: str, fields: dict[str, Any] | None, over: Document, written: Trail
) -> None:
    """Put the fields of one monitor into the change, each with the line on which the overlay has it."""
    change.data["monitors"][label] = fields
    at: Trail = ("monitors", label)
    for trail, origin in [(at, written), *(((*at, name), (*written, name)) for name in fields or ())]:
        line = over.lines.get(origin, over.lines.get(written))
        if line is not None:
            change.lines[trail] = line


def _prune_menu(document: Document, scenario: Scenario) -> None:
    """Leave out of the menu what governs monitors that are not there any more."""
    menu = document.data.get("menu")
    if not menu:
        return
    from scenarios.overlay_merge import name_of

    left = {name_of(item, "monitors") for item in document.data.get("monitors", [])}
    kept = []
    for written, entry in zip(menu, scenario.menu, strict=True):
        labels = [monitor.label for monitor in monitors_of_entry(scenario, entry)]
        if entry.governs == "telemetry" or all(label in left for label in labels):
            kept.append(written)
        elif entry.monitors and any(label in left for label in labels):
            kept.append({**written, "monitors": [label for label in labels if label in left]})
        elif any(label in left for label in labels):
            kept.append(written)
    document.data["menu"] = kept


def _refuse(over: Document, at: Trail, message: str) -> None:
    problem = over.problem(at, "", message)
    fail(problem.source, problem.line, problem.message, dotted(at))
