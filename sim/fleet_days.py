"""How much of a run is simulated request by request: all of it, or design days that stand for the others."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scenarios.schema import Scenario
from scenarios.serving import DesignDays
from scenarios.serving_arrivals import Trace
from sim.arrivals import Arrivals
from sim.fleet import play
from sim.fleet_result import FleetResult, Part
from sim.ledger import Ledger
from sim.traffic import expected_requests
from sim.world import World

Array = NDArray[np.float64]
MANY = 400_000_000
"""Requests of a run that `auto` simulates one by one: about a minute on one core."""
PER_YEAR = 12
"""Design days a year of `auto` beyond that."""


def run_fleet(
    scenario: Scenario, seed: int = 0, *, replication: int = 0, world: World | None = None
) -> FleetResult:
    """Simulate the serving fleet of a scenario, without models, monitors and people.

    seed, replication: integers >= 0; the same pair gives the same requests and the same luck, byte for byte. world: of
    that pair when it is at hand. Raises ValueError for a scenario without `serving`.

    >>> import scenarios
    >>> asset = scenarios.load("rotting_asset", horizon="2h", window="1h", traffic={"rate": "10/s"},
    ...     serving={"pools": [{"replicas": 2, "service": "50ms"}]})
    >>> summary = run_fleet(asset).summary
    >>> bool(summary["requests"] == summary["served"] + summary["in_flight"]), round(float(summary["p50_s"]), 3)
    (True, 0.05)
    """
    if scenario.serving is None:
        raise ValueError(
            "serving: the scenario has none, expected a section such as {pools: [{service: 12ms}]}"
        )
    world = World(scenario, seed, replication) if world is None else world
    days, said = chosen_days(scenario)
    if days is None:
        parts = [Part(play(scenario, world, Ledger(), scenario.horizon))]
    else:
        parts = [
            Part(play(scenario, world, Ledger(), min(1.0, scenario.horizon - day), float(day)), weight)
            for day, weight in days
        ]
    return FleetResult(scenario, seed, replication, Arrivals.of(world).used, said, tuple(parts))


def chosen_days(scenario: Scenario) -> tuple[list[tuple[int, float]] | None, str]:
    """Design days with the days that each stands for, None for the whole horizon; and how to say it."""
    serving = scenario.serving
    assert serving is not None
    resolution = serving.resolution
    if isinstance(serving.arrivals, Trace) or resolution == "exact":
        return None, "every request"
    requests = float(expected_requests(scenario).sum())
    if resolution == "auto":
        if requests <= MANY or scenario.horizon <= PER_YEAR:
            return None, "every request"
        resolution = DesignDays(kind="design_days", per_year=PER_YEAR)
    assert isinstance(resolution, DesignDays)
    loads = daily_loads(scenario)
    if resolution.days is not None:
        days = with_weights(loads, resolution.days)
    else:
        number = max(round(resolution.per_year * scenario.horizon / 365.0), 2)  # type: ignore[operator]
        days = spread_days(loads, min(number, len(loads)))
    shown = ", ".join(str(day) for day, _ in days[:12]) + ("..." if len(days) > 12 else "")
    return days, f"every request of {len(days)} design days ({shown}), which stand for {len(loads)}"


def daily_loads(scenario: Scenario) -> Array:
    """Expected requests of each day, the last one maybe shorter and then scaled to a whole day, (days,)."""
    expected, window = expected_requests(scenario), scenario.window
    edges = np.arange(len(expected) + 1) * window
    total = np.concatenate(([0.0], np.cumsum(expected)))
    marks = np.minimum(np.arange(math.ceil(scenario.horizon - 1e-9) + 1.0), scenario.horizon)
    found = np.diff(np.interp(marks, edges, total))
    return np.asarray(found / np.diff(marks))


def spread_days(loads: Array, number: int) -> list[tuple[int, float]]:
    """So many days from the quietest to the busiest, which is always there; each with the days it stands for."""
    order = np.argsort(loads, kind="stable")
    groups = np.array_split(order[:-1], number - 1) if number > 1 else []
    days = [(int(group[len(group) // 2]), float(len(group))) for group in groups if len(group)]
    return sorted([*days, (int(order[-1]), 1.0)])


def with_weights(loads: Array, days: list[int]) -> list[tuple[int, float]]:
    """The days that were asked for, each with the number of days whose load is nearest to its own."""
    own = loads[days]
    nearest = np.abs(loads[:, None] - own[None, :]).argmin(axis=1)
    counts = np.bincount(nearest, minlength=len(days))
    return [(day, float(max(count, 1))) for day, count in zip(days, counts.tolist(), strict=True)]
