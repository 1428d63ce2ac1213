"""Small fleets with everything that can happen to a device, and what is released to them, by number."""

from __future__ import annotations

from typing import Any

import numpy as np

import scenarios
from scenarios.schema import Scenario
from sim.world import World
from tests.reference.plain_dice import Dice

DAYS = 40
Command = tuple[float, str, tuple[Any, ...]]
"""Moment, name of a call of `Devices`, its arguments."""


def world_of(edge: dict[str, Any], days: float = DAYS, seed: int = 0, window: str = "6h") -> World:
    """The world of a scenario of two slices of the same size with that fleet."""
    scenario = scenarios.load(
        "rotting_asset", horizon=f"{days}d", window=window, slices=[{"name": "north", "weight": "50%"}]
    )
    return World(scenario.with_(edge=edge), seed)


def edge_of(scenario: Scenario) -> Any:
    assert scenario.edge is not None
    return scenario.edge


def fleet_case(number: int, count: int = 6) -> dict[str, Any]:
    """Three to five classes of devices, with short batteries and poor links, and rough updates."""
    dice = Dice(number, subject=80_000)
    return {
        "devices": [device_class(dice, f"class {place}", count) for place in range(dice.one(3, 4, 5))],
        "ota": updates(dice),
        "reports": {
            "every": f"{dice.real(0.5, 4)}d",
            "opted_in": dice.one("50%", "100%"),
            "charge": dice.one("0%", "50%"),
            "size": "10 KB",
            "energy": "20 mJ",
        },
        "federated": {"share": "50%", "size": "100 KB", "energy": "500 mJ"},
        **({"offload": offload(dice)} if dice.chance(0.4) else {}),
    }


def device_class(dice: Dice, name: str, count: int) -> dict[str, Any]:
    link: dict[str, Any] = {
        "contact": f"{dice.real(0.3, 2)}d",
        "pattern": dice.one("exponential", "regular"),
        "bandwidth": dice.one("20 B/s", "1 KB/s", "100 KB/s"),
    }
    if dice.chance(0.7):
        link |= {"online": f"{dice.real(1, 12)}h", "offline": f"{dice.real(1, 24)}h"}
    if dice.chance(0.3):
        link["hours"] = [dice.real(0, 1) for _ in range(24)]
    found = {
        "name": name,
        "kind": "mobile",
        "count": count,
        "inferences": "1k/d",
        "link": link,
        "power": power(dice),
        "full": {"size": "2 MB", "energy": "60 mJ", "loss": dice.one("0%", "2%")},
    }
    if dice.chance(0.6):
        found["simple"] = {"size": "100 KB", "energy": "10 mJ", "loss": "7%"}
    return found


def power(dice: Dice) -> dict[str, Any]:
    """A draw of about 2 mW, of which a battery of 400 J lives two days."""
    found: dict[str, Any] = {
        "kind": dice.one("mains", "rechargeable", "rechargeable", "cell"),
        "idle": "1.5 mW",
        "radio": "2 J",
        "check_in": dice.one("0 J", "3 J", "40 J"),
        "install": dice.one("0 J", "60 J"),
    }
    if found["kind"] == "mains":
        return found
    found |= {"capacity": f"{dice.real(200, 600)} J", "low": dice.one("0%", "30%", "60%")}
    if dice.chance(0.5):
        found["initial"] = dice.one("5%", "100%")
    if found["kind"] == "cell":
        kind = dice.one({"kind": "fixed", "value": "3d"}, {"kind": "exponential", "mean": "4d"})
        return found | {"replacement": kind, "price": "$5"}
    return found | {
        "charging": dice.one("20 mW", "300 mW"),
        "plugged_at": dice.one("0h", "9h", "22h"),
        "plugged_for": dice.one("2h", "8h", "24h"),
        "plugged": dice.one("30%", "90%", "100%"),
    }


def updates(dice: Dice) -> dict[str, Any]:
    start, end = dice.one(("0h", "24h"), ("6h", "20h"), ("20h", "7h"))
    found = {
        "differential": dice.one("0%", "90%"),
        "differential_from": dice.one(1, 2),
        "resume": dice.one(True, False),
        "corrupt": dice.one("0%", "20%"),
        "failure": dice.one("0%", "30%"),
        "brick": dice.one("0%", "5%"),
        "attempts": dice.one(1, 3),
        "slots": dice.one(1, 2),
        "defect": {"probability": "50%", "failure": "40%", "brick": "10%"},
        "permission": {
            "charge": dice.one("0%", "50%"),
            "idle": dice.one("40%", "100%"),
            "start": start,
            "end": end,
        },
    }
    if dice.chance(0.5):
        found["replacement"] = "5d"
    return found


def offload(dice: Dice) -> dict[str, Any]:
    return {
        "share": dice.one("20%", "100%"),
        "when": dice.one("always", "low_power"),
        "size": "1 KB",
        "gain": "5%",
    }


def schedule_case(number: int, slices: int, windows: int, days: float = DAYS) -> list[Command]:
    """Releases that open in waves, some of them defective, withdrawn or recalled; rounds; accuracies, also changed."""
    dice = Dice(number, subject=90_000)
    found: list[Command] = [(0.0, "learn", (0, dice.rng.uniform(0.5, 0.9, (slices, windows))))]
    moment, version = 0.0, 0
    while (moment := moment + dice.real(1, 6)) < days - 6:
        version += 1
        found += [
            (moment, "publish", (version, np.uint64(dice.rng.integers(2**60)), dice.chance(0.4))),
            (moment, "learn", (version, dice.rng.uniform(0.5, 0.9, (slices, windows)))),
        ]
        wave = moment
        for share in dice.one((1.0,), (0.3, 1.0), (0.2, 0.6, 1.0)):
            found.append((wave, "open", (version, share)))
            wave += dice.real(0.2, 2)
            if dice.chance(0.15):
                found.append((wave, "withdraw", (version, dice.chance(0.7))))
                break
        if dice.chance(0.5):
            found.append((moment + 0.4, "start_round", (0.5, np.uint64(dice.rng.integers(2**60)))))
            found.append((moment + 0.9, "end_round", ()))
    return sorted(found, key=lambda command: command[0])


def play(fleet: Any, schedule: list[Command], until: float, cuts: list[float] | None = None) -> list[int]:
    """Let a fleet live, with what is released to it; returns the contributions of each round.

    cuts: moments at which `advance` stops besides
    """
    found = []
    stops = [(moment, "", ()) for moment in cuts or []]
    for moment, name, arguments in sorted([*schedule, *stops], key=lambda command: command[0]):
        fleet.advance(moment)
        result = getattr(fleet, name)(*arguments) if name else None
        if name == "end_round":
            found.append(result)
    fleet.advance(until)
    return found
