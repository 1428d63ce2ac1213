"""Monitoring plans: every way to buy one option of each entry of a scenario's menu.

A scenario without a menu gets one from its monitors: each layer off, on as written, or on with looks four times as far
apart. Monitors that no entry governs stay as they are in every plan.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from scenarios.menu import (
    MenuEntry,
    applied,
    changed_monitor,
    changed_telemetry,
    entry_name,
    monitors_of_entry,
)
from scenarios.monitoring import Monitor
from scenarios.schema import Scenario
from scenarios.units import DURATION, format_duration

MAX_PLANS = 5000
SPARSE = 4
"""How many times farther apart the looks of the third option of a menu that nobody wrote are."""


@dataclass(frozen=True)
class Choice:
    """One option of one entry of the menu."""

    entry: str
    option: str
    monitors: Mapping[str, Monitor | None]
    """What comes in the place of each monitor that the entry governs, by label; None: nothing."""
    telemetry: Mapping[str, Any]
    """Values in the place of those of the telemetry, by dotted path, as a file has them."""
    off: bool = False

    def __str__(self) -> str:
        """Entry and option."""
        return f"{self.entry}={self.option}"


@dataclass(frozen=True)
class Plan:
    """One option of each entry."""

    choices: tuple[Choice, ...]

    @property
    def name(self) -> str:
        """Name in tables: `freshness=15min, features=off`."""
        return ", ".join(map(str, self.choices))

    def __str__(self) -> str:
        """The name."""
        return self.name

    def apply(self, scenario: Scenario) -> Scenario:
        """The scenario with this plan's monitors and telemetry; all that the world depends on is shared, not copied.

        What each option does was validated when the menu was read, and entries govern different things, so that
        nothing is left to check.
        """
        replaced = {label: monitor for choice in self.choices for label, monitor in choice.monitors.items()}
        monitors = [replaced.get(monitor.label, monitor) for monitor in scenario.monitors]
        update: dict[str, Any] = {"monitors": [monitor for monitor in monitors if monitor is not None]}
        changes = {path: value for choice in self.choices for path, value in choice.telemetry.items()}
        if changes:
            update["telemetry"] = changed_telemetry(scenario.telemetry, changes)
        return rewritten(scenario, update)

    def differs(self, other: Plan) -> list[str]:
        """Entries whose option is another one."""
        return [a.entry for a, b in zip(self.choices, other.choices, strict=True) if a.option != b.option]


def plans_of(scenario: Scenario) -> list[Plan]:
    """Every plan of the scenario's menu: the full product of the options, the last entry varying fastest.

    Raises ValueError for a scenario with neither menu nor monitors, and for more than MAX_PLANS plans.
    """
    return [Plan(choices) for choices in product(*choices_of(scenario))]


def choices_of(scenario: Scenario) -> list[tuple[Choice, ...]]:
    """The options of each entry of the menu, in its order. Raises ValueError as `plans_of`."""
    if scenario.menu:
        found = [_of_entry(scenario, entry, f"menu[{n}]") for n, entry in enumerate(scenario.menu)]
    else:
        found = _from_monitors(scenario)
    count = math.prod(map(len, found))
    if count > MAX_PLANS:
        sizes = " x ".join(f"{len(choices)} ({choices[0].entry})" for choices in found)
        raise ValueError(
            f"menu: {sizes} options are {count:,} plans, expected at most {MAX_PLANS:,}: leave options out, or put "
            "monitors that are bought together into one entry"
        )
    return found


def nothing_of(scenario: Scenario) -> Plan:
    """The plan with everything off that the menu governs; telemetry as its first options have it.

    It need not be on the menu: an entry may have no option `off`.
    """
    return Plan(tuple(_without(choices) for choices in choices_of(scenario)))


def _without(choices: tuple[Choice, ...]) -> Choice:
    first = choices[0]
    if not first.monitors:
        return first
    return Choice(first.entry, "off", dict.fromkeys(first.monitors), {}, True)


def perfectly_watched(scenario: Scenario, heeds_triggers: bool) -> Scenario:
    """The same system with the free perfect monitor in place of all others, and no telemetry to pay or to fail.

    heeds_triggers: the policy waits for the scenario's triggers, which then are not needed: the oracle takes its place.
    """
    watching = [Monitor(metric="truth", name="perfect")] if scenario.failures else []
    update: dict[str, Any] = {"monitors": watching, "telemetry": None}
    if heeds_triggers:
        update["triggers"] = []
    return rewritten(scenario, update)


def rewritten(scenario: Scenario, update: dict[str, Any]) -> Scenario:
    """A copy with other parts, already validated ones, that `with_` of the copy knows of as well; without a menu."""
    found = scenario.model_copy(update={**update, "menu": []})
    if scenario._written is not None:
        written = {**scenario._written, **{field: _as_written(part) for field, part in update.items()}}
        written.pop("menu", None)
        found._written = written
    return found


def _as_written(part: Any) -> Any:
    if isinstance(part, list):
        return [_as_written(item) for item in part]
    return None if part is None else part.model_dump(mode="json", exclude_unset=True)


def _of_entry(scenario: Scenario, entry: MenuEntry, place: str) -> tuple[Choice, ...]:
    """The options of an entry that somebody wrote."""
    name, governed = entry_name(scenario, entry), monitors_of_entry(scenario, entry, place)
    found = []
    for number, option in enumerate(entry.options):
        monitors, telemetry = applied(scenario, governed, option, f"{place}.options[{number}]", entry.governs)
        changes = option.changes if telemetry is not None else {}
        found.append(Choice(name, option.label, monitors, changes, option.switch == "off"))
    return tuple(found)


def _from_monitors(scenario: Scenario) -> list[tuple[Choice, ...]]:
    """The menu that nobody wrote: an entry for each layer that has monitors."""
    layers: dict[str, list[Monitor]] = {}
    for monitor in scenario.monitors:
        if (layer := scenario.layer_of(monitor)) is not None:
            layers.setdefault(layer, []).append(monitor)
    if not layers:
        raise ValueError(
            "monitors: the scenario has none, so that there is nothing to buy; give it monitors"
            + (" (its triggers belong to the policies that heed them)" if scenario.triggers else "")
        )
    few = 3 ** len(layers) <= MAX_PLANS
    found: list[tuple[Choice, ...]] = []
    for name, monitors in layers.items():
        off = Choice(name, "off", dict.fromkeys(m.label for m in monitors), {}, True)
        on = Choice(name, "on", {m.label: m for m in monitors}, {})
        sparse = _sparse(scenario, name, monitors) if few else None
        found.append((off, on) if sparse is None else (off, sparse, on))
    return found


def _sparse(scenario: Scenario, layer: str, monitors: list[Monitor]) -> Choice | None:
    """The monitors of a layer with looks farther apart; None where one of them cannot have that."""
    cadences = [SPARSE * scenario.cadence_of(monitor) for monitor in monitors]
    changed: dict[str, Monitor | None] = {}
    for monitor, cadence in zip(monitors, cadences, strict=True):
        other = {"cadence": DURATION.write(cadence)}
        try:
            changed[monitor.label] = replaced = changed_monitor(monitor, other)
            scenario.check_monitor(layer, replaced)
        except ValueError:
            return None
        if cadence > scenario.horizon:
            return None
    same = max(cadences) - min(cadences) < 1e-9
    name = f"every {format_duration(cadences[0])}" if same else f"looks {SPARSE}x apart"
    return Choice(layer, name, changed, {})
