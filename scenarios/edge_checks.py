"""What only the whole scenario can tell of a fleet of devices: that it fits its memory, its power, its regions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from scenarios.edge import POWER_LIMITS, DeviceClass, Edge
from scenarios.edge_power import Rechargeable
from scenarios.monitoring import Monitor
from scenarios.names import check_known, check_unique
from scenarios.units import format_size

if TYPE_CHECKING:
    from scenarios.schema import Scenario

MAX_DEVICES = 10_000_000
SECONDS_PER_DAY = 86_400.0
_SAME_SHARE = 0.01


def check_edge(scenario: Scenario) -> None:
    """Raise ValueError for a fleet that does not fit its scenario or itself."""
    edge = scenario.edge
    if edge is None:
        return
    check_unique("edge.devices", [kind.name for kind in edge.devices])
    if edge.count > MAX_DEVICES:
        raise ValueError(f"edge.devices: {edge.count:,} devices, expected at most {MAX_DEVICES:,}")
    for number, kind in enumerate(edge.devices):
        place = f"edge.devices[{number}]"
        _check_memory(place, kind, edge)
        _check_power(place, kind)
        _check_regions(place, kind, scenario)
    _check_weights(scenario, edge)
    _check_centre(scenario, edge)


def region_shares(scenario: Scenario, kind: DeviceClass) -> tuple[float, ...]:
    """Share of the devices of a class in each slice of `scenario.slice_names`; adds up to 1."""
    if not kind.regions:
        return scenario.slice_weights
    return tuple(kind.regions.get(name, 0.0) for name in scenario.slice_names)


def mean_power(kind: DeviceClass) -> float:
    """Watts that a device of a class draws on average with the full model, besides radio and installations."""
    return kind.power.idle + kind.inferences * kind.full.energy / SECONDS_PER_DAY


def _check_memory(place: str, kind: DeviceClass, edge: Edge) -> None:
    if kind.memory is None:
        return
    simple = 0.0 if kind.simple is None else kind.simple.size
    slots = edge.ota.slots
    needed = slots * kind.full.size + simple
    if needed > kind.memory:
        models = "the full model" if slots == 1 else f"{slots} slots of the full model"
        models += "" if kind.simple is None else " and the simple one"
        single = slots > 1 and kind.full.size + simple <= kind.memory
        raise ValueError(
            f"{place}.memory: got {format_size(kind.memory)}, and {models} need {format_size(needed)}; expected "
            + ("smaller models, more memory, or ota.slots: 1" if single else "smaller models or more memory")
        )


def _check_power(place: str, kind: DeviceClass) -> None:
    power, limit = mean_power(kind), POWER_LIMITS[kind.kind]
    if power > limit:
        raise ValueError(
            f"{place}: it draws {power * 1e3:.4g} mW on average, and a {kind.kind} at most {limit * 1e3:.4g} mW; "
            "expected less idle power, energy or inferences, or another kind"
        )
    if isinstance(kind.power, Rechargeable) and kind.power.charging <= power:
        raise ValueError(
            f"{place}.power.charging: {kind.power.charging * 1e3:.4g} mW does not exceed the {power * 1e3:.4g} mW that "
            "the device draws, so it would never charge"
        )


def _check_regions(place: str, kind: DeviceClass, scenario: Scenario) -> None:
    if not kind.regions:
        return
    if not scenario.slices and set(kind.regions) != {"all"}:
        raise ValueError(
            f"{place}.regions: {', '.join(kind.regions)}: regions are slices, and the scenario has none; expected them "
            f"under `slices` with their share of the requests, such as slices: [{_as_slices(kind)}]"
        )
    check_known(f"{place}.regions", list(kind.regions), scenario.slice_names)
    total = math.fsum(kind.regions.values())
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        raise ValueError(f"{place}.regions: the shares add up to {total:.4g}, expected 1")


def _check_weights(scenario: Scenario, edge: Edge) -> None:
    """The slices weigh as much as the devices in them ask."""
    if not any(kind.regions for kind in edge.devices):
        return
    asked = [kind.count * kind.usage for kind in edge.devices]
    shares = [region_shares(scenario, kind) for kind in edge.devices]
    weights = [
        math.fsum(part * of_class[place] for part, of_class in zip(asked, shares, strict=True))
        / math.fsum(asked)
        for place in range(len(scenario.slice_names))
    ]
    for place, name in enumerate(scenario.slice_names):
        given = scenario.slice_weights[place]
        if abs(weights[place] - given) > _SAME_SHARE:
            told = [f"edge.devices[{n}].regions" for n, kind in enumerate(edge.devices) if kind.regions]
            raise ValueError(
                f"slices: {name!r} has {given:.1%} of the requests, and by {' and '.join(told)} the devices in it ask "
                f"{weights[place]:.1%} of them; expected the same: slices with the weights "
                f"{_pairs(_declared(scenario, weights))}, or regions that add up to "
                f"{_pairs(dict(zip(scenario.slice_names, scenario.slice_weights, strict=True)))}"
            )


def _declared(scenario: Scenario, weights: Sequence[float]) -> dict[str, float]:
    """Weights of the slices that a scenario file declares: above 0, and without what they leave over."""
    named = zip((item.name for item in scenario.slices), weights, strict=False)
    return {name: weight for name, weight in named if weight > 0.0}


def _pairs(shares: Mapping[str, float]) -> str:
    """Shares by name as a scenario file has them; exact, as they must add up."""
    return "{" + ", ".join(f"{name}: {100.0 * share:.10g}%" for name, share in shares.items()) + "}"


def _as_slices(kind: DeviceClass) -> str:
    """The regions of a class as the list `slices`."""
    return ", ".join(
        f"{{name: {name}, weight: {100.0 * share:.10g}%}}" for name, share in kind.regions.items()
    )


def _check_centre(scenario: Scenario, edge: Edge) -> None:
    """What the centre does with a fleet: it is told signals, and no servers answer beside the devices."""
    halt = edge.ota.halt
    if halt is not None and halt.signal is not None:
        names = tuple(signal.name for signal in scenario.signals if signal.kind in ("proportion", "mean"))
        check_known("edge.ota.halt.signal", halt.signal, names)
        if edge.reports is None:
            raise ValueError("edge.ota.halt.signal: devices report no signals without edge.reports")
    if scenario.serving is not None and scenario.serving.with_policies:
        raise ValueError(
            "serving.with_policies: devices answer the requests of an edge fleet, and a fleet of servers would answer "
            "all of them once more; leave it out, or leave edge out"
        )


def check_told(place: str, monitor: Monitor, edge: Edge) -> None:
    """Raise ValueError, naming `place`, for a monitor that looks at what devices do not tell."""
    if monitor.needs_features or monitor.metric == "prediction_distribution_shift":
        raise ValueError(
            f"{place}.metric: {monitor.metric} needs what devices see, and it stays on them; "
            "expected metric: signal (duty cycle, false wakes)"
        )
    if monitor.signal is not None and edge.reports is None:
        raise ValueError(f"{place}.signal: devices report none without edge.reports")
