"""A fleet in small: the same shares of everything at a part of the devices, for searches that play it many times.

Prices of what devices do are raised in proportion, so that a run costs what the whole fleet would; only chance and the
power of tests on the devices' reports are those of the smaller fleet.
"""

from __future__ import annotations

from typing import Any

from scenarios.edge import DeviceClass, Edge
from scenarios.edge_power import Cell
from scenarios.schema import Scenario

SAMPLE = 20_000
"""Devices that searches play with, at most."""


def smaller_fleet(scenario: Scenario, most: int = SAMPLE) -> Scenario:
    """The scenario with at most about `most` devices in all; itself where it has no more.

    most: >= 1; each class keeps one device at least.
    """
    edge = scenario.edge
    if edge is None or edge.count <= most:
        return scenario
    part = most / edge.count
    devices = [kind.model_copy(update={"count": max(round(part * kind.count), 1)}) for kind in edge.devices]
    worth = edge.count / sum(kind.count for kind in devices)
    update: dict[str, Any] = {
        "devices": [_priced(kind, worth) for kind in devices],
        "ota": edge.ota.model_copy(
            update={"price": worth * edge.ota.price, "brick_price": worth * edge.ota.brick_price}
        ),
    }
    if edge.federated is not None:
        counts = {
            name: max(round(getattr(edge.federated, name) / worth), 1) for name in ("minimum", "reference")
        }
        update["federated"] = edge.federated.model_copy(update=counts)
    smaller: Edge = edge.model_copy(update=update)
    return scenario.model_copy(update={"edge": smaller})


def _priced(kind: DeviceClass, worth: float) -> DeviceClass:
    if not isinstance(kind.power, Cell):
        return kind
    return kind.model_copy(
        update={"power": kind.power.model_copy(update={"price": worth * kind.power.price})}
    )
