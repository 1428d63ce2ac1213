"""The menu of a monitoring budget: what could be watched, and in which ways.

An entry governs monitors of the scenario, or its telemetry; each of its options is one way to have them: off, on as
they are written, or with other values in some fields. `halflife budget` buys one option of each entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, Field, WithJsonSchema, model_serializer, model_validator

from scenarios.base import Component
from scenarios.failure_checks import check_deadline
from scenarios.monitoring import Monitor
from scenarios.problems import ScenarioError, choice
from scenarios.signals import Layer
from scenarios.telemetry import Telemetry
from scenarios.units import shown

if TYPE_CHECKING:
    from scenarios.schema import Scenario

Part = TypeVar("Part", bound=BaseModel)

IDENTITY = ("metric", "name")
"""Fields that say which monitor it is; an option cannot change them."""
_SWITCHES: dict[Any, str] = {"off": "off", "on": "on", False: "off", True: "on"}


class MenuOption(Component):
    """One way to have what an entry governs: `off`, `on` as written, or a mapping of the fields that differ."""

    name: str = Field(default="", description="name in tables; what differs when absent")
    switch: Literal["off", "on"] = Field(default="on", description="whether it is there at all")
    changes: dict[str, Any] = Field(default={}, description="values in place of those written, by field")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, given: Any) -> Any:
        if isinstance(given, str | bool) and given in _SWITCHES:
            return {"switch": _SWITCHES[given]}
        if not isinstance(given, Mapping):
            raise ValueError(f"got {shown(given)}, expected off, on, or a mapping such as {{cadence: 1h}}")
        changes = {str(key): value for key, value in given.items() if key != "name"}
        return {"name": given.get("name", ""), "changes": changes}

    @model_serializer(mode="plain")
    def _as_written(self) -> Any:
        if not self.changes and not self.name:
            return self.switch
        return {"name": self.name, **self.changes} if self.name else dict(self.changes)

    @property
    def label(self) -> str:
        """Name in tables: its own, the switch, a cadence by itself, else the fields that differ.

        >>> [MenuOption.model_validate(o).label for o in ("off", {"cadence": "1h"}, {"rows": 500, "bins": 20})]
        ['off', '1h', 'rows=500 bins=20']
        """
        if self.name or not self.changes:
            return self.name or self.switch
        if list(self.changes) == ["cadence"] and isinstance(self.changes["cadence"], str):
            return str(self.changes["cadence"])
        return " ".join(f"{field}={_short(value)}" for field, value in self.changes.items())


_OPTION_SCHEMA = {
    "anyOf": [{"enum": ["off", "on", False, True]}, {"type": "object", "properties": {"name": {"type": "string"}}}],
    "description": "off, on as written, or the fields that differ and their values",
}  # fmt: skip


class MenuEntry(Component):
    """A choice to be made: monitors that are bought together, and the ways to have them."""

    name: str = Field(default="", description="name in tables; the layer of its monitors when absent")
    governs: Literal["monitors", "telemetry"] = Field(
        default="monitors", description="whether its options are about monitors or about the telemetry"
    )
    monitors: list[str] = Field(
        default=[],
        description="names of the monitors; all of the layer that the entry is named after when absent",
    )
    options: list[Annotated[MenuOption, WithJsonSchema(_OPTION_SCHEMA)]] = Field(
        min_length=1, description="ways to have them, one of which is bought"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.governs == "telemetry" and self.monitors:
            raise ValueError("monitors: an entry governs monitors or telemetry, not both")
        if self.governs == "telemetry" and any(option.switch == "off" for option in self.options):
            raise ValueError("options: telemetry cannot be off, its price would only be hidden")
        if self.governs == "monitors" and not self.monitors and self.name not in get_args(Layer):
            known = choice(self.name, get_args(Layer))
            raise ValueError(f"monitors: names are missing, or a name of the entry that is a layer: {known}")
        labels = [option.label for option in self.options]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(
                    f"options: {label!r} is there twice, expected different ones, or a name for each"
                )
        return self


def check_menu(scenario: Scenario) -> None:
    """Raise ValueError, naming the place, for a menu that does not fit the scenario's monitors and telemetry."""
    owners: dict[str, str] = {}
    for number, entry in enumerate(scenario.menu):
        place = f"menu[{number}]"
        governed = monitors_of_entry(scenario, entry, place)
        name = entry_name(scenario, entry)
        _taken(owners, f"{place}.name", f"the name {name!r}", place)
        for monitor in governed:
            _taken(owners, f"{place}.monitors", f"the monitor {monitor.label!r}", place)
        if entry.governs == "telemetry":
            paths = {path for option in entry.options for path in option.changes}
            for path in sorted(paths):
                _taken(owners, place, f"the telemetry field {path!r}", place)
        for index, option in enumerate(entry.options):
            where = f"{place}.options[{index}]"
            changed, _ = applied(scenario, governed, option, where, entry.governs)
            for replaced in changed.values():
                if replaced is not None and "deadline" in option.changes:
                    check_deadline(scenario, where, replaced)


def monitors_of_entry(scenario: Scenario, entry: MenuEntry, place: str = "menu") -> list[Monitor]:
    """Monitors that an entry governs, in the order of the scenario. Raises ValueError for names that are not there."""
    if entry.governs == "telemetry":
        if scenario.telemetry is None:
            raise ValueError(
                f"{place}.governs: the scenario has no telemetry, give it one or govern monitors"
            )
        return []
    labels = {monitor.label: monitor for monitor in scenario.monitors}
    for name in entry.monitors:
        if name not in labels:
            known = choice(name, list(labels)) if labels else "the scenario has no monitors"
            raise ValueError(f"{place}.monitors: unknown {shown(name)}: {known}")
    if entry.monitors:
        return [monitor for label, monitor in labels.items() if label in entry.monitors]
    found = [monitor for monitor in scenario.monitors if scenario.layer_of(monitor) == entry.name]
    if not found:
        raise ValueError(
            f"{place}.name: the scenario has no monitor of the layer {entry.name}, give monitors"
        )
    return found


def entry_name(scenario: Scenario, entry: MenuEntry) -> str:
    """Name of an entry in tables: its own, else the layers of its monitors, else telemetry."""
    if entry.name or entry.governs == "telemetry":
        return entry.name or "telemetry"
    layers = [scenario.layer_of(monitor) or "truth" for monitor in monitors_of_entry(scenario, entry)]
    return "+".join(dict.fromkeys(layers))


def applied(
    scenario: Scenario, governed: Iterable[Monitor], option: MenuOption, place: str, governs: str = "monitors"
) -> tuple[dict[str, Monitor | None], Telemetry | None]:
    """What an option puts in the place of each governed monitor, by label (None: nothing), and of the telemetry.

    The telemetry is None where the option does not change it. Raises ValueError, naming the place, for fields and
    values that do not fit.
    """
    if governs == "telemetry":
        changed = changed_telemetry(scenario.telemetry, option.changes, place) if option.changes else None
        return {}, changed
    found: dict[str, Monitor | None] = {}
    for monitor in governed:
        found[monitor.label] = (
            None if option.switch == "off" else changed_monitor(monitor, option.changes, place)
        )
        replaced = found[monitor.label]
        if replaced is not None and option.changes:
            scenario.check_monitor(place, replaced)
    return found, None


def changed_monitor(monitor: Monitor, changes: Mapping[str, Any], place: str = "menu") -> Monitor:
    """A monitor with other values in some fields, as a file has them; its name, and so its noise, stay the same.

    Raises ValueError, naming the place, for fields and values that do not fit.

    >>> changed_monitor(Monitor(metric="accuracy", rows=500), {"cadence": "6h"}).cadence
    0.25
    """
    if not changes:
        return monitor
    for field in changes:
        if field in IDENTITY:
            raise ValueError(
                f"{place}.{field}: an option cannot change which monitor it is, add another monitor"
            )
    changed = _validated(Monitor, monitor.model_dump(mode="json", exclude_unset=True) | dict(changes), place)
    if changed.label != monitor.label:
        changed = changed.model_copy(update={"name": monitor.label})
    return changed


def changed_telemetry(
    telemetry: Telemetry | None, changes: Mapping[str, Any], place: str = "menu"
) -> Telemetry:
    """A telemetry with other values at dotted paths, such as `outages.heartbeat`.

    Raises ValueError, naming the place, for paths and values that do not fit.

    >>> changed_telemetry(Telemetry(), {"retention": "7d"}).retention
    7.0
    """
    written = {} if telemetry is None else telemetry.model_dump(mode="json", exclude_unset=True)
    for path, value in changes.items():
        *above, last = path.split(".")
        part = written
        for key in above:
            inner = part.get(key)
            part[key] = dict(inner) if isinstance(inner, Mapping) else {}
            part = part[key]
        part[last] = value
    return _validated(Telemetry, written, place)


def _validated(model: type[Part], data: dict[str, Any], place: str) -> Part:
    from scenarios.document import Document
    from scenarios.objections import validated

    try:
        found: Part = validated(Document("menu", data), model, None)
        return found
    except ScenarioError as error:
        problem = error.problems[0]
        where = f"{place}.{problem.field}" if problem.field else place
        raise ValueError(f"{where}: {problem.message}") from None


def _taken(owners: dict[str, str], where: str, what: str, place: str) -> None:
    """Note who has something, and raise ValueError when another entry has it already."""
    if owners.setdefault(what, place) != place:
        raise ValueError(f"{where}: {owners[what]} has {what} too, expected it once")


def _short(value: Any) -> str:
    """A value in the name of an option."""
    if isinstance(value, list):
        return (
            f"{len(value)} tiers"
            if all(isinstance(item, Mapping) for item in value)
            else "+".join(map(str, value))
        )
    return "..." if isinstance(value, Mapping) else "none" if value is None else str(value)
