"""Rows of a fleet of devices from its scenario: classes, groups (a class in a slice), and the rules of the whole."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scenarios.edge import DeviceClass, DeviceModel, Edge
from scenarios.edge_checks import SECONDS_PER_DAY, region_shares
from scenarios.edge_exchange import Offload
from scenarios.edge_power import Cell, Mains, Rechargeable
from scenarios.schema import Scenario
from sim.kernels import device_rows as rows
from sim.world import World

BYTES_PER_MB = 1e6
Rows = NDArray[np.void]


def group_rows(scenario: Scenario, edge: Edge) -> Rows:
    """One row of `GROUP` for each class and slice that has devices, in the order of the device rows."""
    found = []
    first = 0
    for number, kind in enumerate(edge.devices):
        initial = getattr(kind.power, "initial", None)
        for part, count in enumerate(whole_counts(kind.count, region_shares(scenario, kind))):
            if count > 0:
                found.append((first, first + count, number, part, math.nan if initial is None else initial))
                first += count
    return np.array(found, dtype=rows.GROUP)


def whole_counts(count: int, shares: tuple[float, ...]) -> list[int]:
    """Share out `count` devices in whole numbers: rounded down, the rest to the largest remainders, first on ties.

    >>> whole_counts(10, (0.5, 0.25, 0.25))
    [5, 3, 2]
    """
    exact = [count * share for share in shares]
    whole = [math.floor(part + 1e-9) for part in exact]
    by_remainder = sorted(range(len(shares)), key=lambda place: whole[place] - exact[place])
    for place in by_remainder[: count - sum(whole)]:
        whole[place] += 1
    return whole


class Drain:
    """Joules per day by kind that a class draws all the time while it runs a model, None for without one."""

    def __init__(self, kind: DeviceClass, model: DeviceModel | None, offload: Offload | None) -> None:
        away = 0.0 if offload is None or model is None else offload.share * kind.link.usable
        if offload is not None and offload.when == "low_power" and model is not kind.simple:
            away = 0.0
        each = 0.0 if model is None else kind.inferences
        self.idle = kind.power.idle * SECONDS_PER_DAY
        self.inference = 0.0 if model is None else each * (1.0 - away) * model.energy
        sent = 0.0 if offload is None else offload.size
        self.radio = each * away * sent * kind.power.radio / BYTES_PER_MB

    @property
    def total(self) -> float:
        """Joules per day of all kinds."""
        return self.idle + self.inference + self.radio


def drains(kind: DeviceClass, edge: Edge) -> tuple[Drain, Drain, Drain]:
    """With the full model, with the simple one, and without a model.

    Offloaded requests cost the radio's energy in place of an inference, in proportion to the share of the time that
    the network can be used.
    """
    simple = None if kind.simple is None else kind.simple
    return Drain(kind, kind.full, edge.offload), Drain(kind, simple, edge.offload), Drain(kind, None, None)


def kind_rows(edge: Edge) -> Rows:
    """One row of `KIND` for each class. Raises ValueError for a charger that offloading leaves too weak."""
    found = np.zeros(len(edge.devices), dtype=rows.KIND)
    for number, (row, kind) in enumerate(zip(found, edge.devices, strict=True)):
        link = kind.link
        row["contact"], row["regular"] = link.contact, link.pattern == "regular"
        row["online"], row["availability"] = link.online or math.inf, link.availability
        if link.online is not None and link.offline is not None:
            row["churn"] = 1.0 / link.online + 1.0 / link.offline
        row["thinned"], row["hours"] = bool(link.hours), link.hours or 1.0
        row["bytes_per_day"] = link.bandwidth * SECONDS_PER_DAY
        row["size"] = round(kind.full.size)
        row["patch"] = round(kind.full.size * (1.0 - edge.ota.differential))
        row["simple"] = kind.simple is not None
        row["full_loss"] = kind.full.loss
        row["simple_loss"] = 0.0 if kind.simple is None else kind.simple.loss
        _power(row, kind, edge, f"edge.devices[{number}]")
    return found


def _power(row: np.void, kind: DeviceClass, edge: Edge, place: str) -> None:
    power = kind.power
    full, simple, bare = drains(kind, edge)
    row["full_draw"], row["simple_draw"], row["bare_draw"] = full.total, simple.total, bare.total
    row["radio"], row["check_in"], row["install"] = power.radio / BYTES_PER_MB, power.check_in, power.install
    if isinstance(power, Mains):
        row["source"] = rows.MAINS
        return
    row["capacity"], row["low"] = power.capacity, power.capacity * power.low
    row["charge_spread"] = power.initial is None
    if isinstance(power, Rechargeable):
        row["source"] = rows.RECHARGEABLE
        row["charging"] = power.charging * SECONDS_PER_DAY
        row["plug_at"], row["plug_for"], row["plugged"] = power.plugged_at, power.plugged_for, power.plugged
        if row["charging"] <= full.total:
            raise ValueError(
                f"{place}.power.charging: {power.charging * 1e3:.4g} mW does not exceed the "
                f"{full.total / SECONDS_PER_DAY * 1e3:.4g} mW that the device draws with edge.offload"
            )
    elif isinstance(power, Cell):
        row["source"] = rows.CELL
        renewal = power.replacement
        row["renewal_random"] = renewal.kind == "exponential"
        row["renewal"] = renewal.mean if renewal.kind == "exponential" else getattr(renewal, "value", 0.0)


def rule_row(world: World, edge: Edge) -> Rows:
    """The one row of `RULES`."""
    scenario, ota, reports, federated = world.scenario, edge.ota, edge.reports, edge.federated
    found = np.zeros(1, dtype=rows.RULES)
    row = found[0]
    row["luck"], row["plugs"] = world.key("devices"), world.key("devices:plugged in")
    row["cells"] = world.key("devices:new cells")
    row["window"], row["per_day"] = scenario.window, 1.0 / scenario.window
    row["last_day"] = math.ceil(scenario.horizon)
    row["corrupt"], row["failure"], row["brick"] = ota.corrupt, ota.failure, ota.brick
    row["attempts"], row["slots"], row["resume"] = min(ota.attempts, 30_000), ota.slots, ota.resume
    row["patch_from"] = min(ota.differential_from, rows.NEVER) if ota.differential > 0.0 else 0
    row["replacement"] = math.inf if ota.replacement is None else ota.replacement
    row["charge"], row["at_rest"] = ota.permission.charge, ota.permission.idle
    row["start"], row["end"] = ota.permission.start, ota.permission.end
    if ota.defect is not None:
        row["defect_failure"], row["defect_brick"] = ota.defect.failure, ota.defect.brick
    if reports is not None:
        row["reports"], row["every"], row["opted_in"] = 1, reports.every, reports.opted_in
        row["report_charge"], row["report_energy"] = reports.charge, reports.energy
        row["report_size"] = round(reports.size)
    if federated is not None:
        row["round_size"], row["round_energy"] = round(federated.size), federated.energy
    return found
