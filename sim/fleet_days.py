"""How much of a run is simulated request by request: all of it, or design days that stand for the others."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scenarios.schema import Scenario, check_scenario
from scenarios.serving import DesignDays
from scenarios.serving_arrivals import Trace
from sim.arrivals import Arrivals
from sim.fleet import play
from sim.fleet_result import FleetResult, Part
from sim.ledger import Ledger
from sim.randomness import check_seed
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
    check_scenario(scenario)
    check_seed("seed", seed)
    check_seed("replication", replication)
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
    loads, lengths = daily_loads(scenario), day_lengths(scenario.horizon)
    if resolution.days is not None:
        days = with_weights(loads, lengths, resolution.days)
    else:
        number = max(round(resolution.per_year * scenario.horizon / 365.0), 2)  # type: ignore[operator]
        days = spread_days(loads, lengths, number)
    shown = ", ".join(str(day) for day, _ in days[:12]) + ("..." if len(days) > 12 else "")
    return days, f"every request of {len(days)} design days ({shown}), which stand for {len(loads)}"


def day_lengths(horizon: float) -> Array:
    """Length of each day of a run, 1 but for the last one of a run that ends within it, (days,).

    >>> day_lengths(2.25).tolist()
    [1.0, 1.0, 0.25]
    """
    marks = np.minimum(np.arange(math.ceil(horizon - 1e-9) + 1.0), horizon)
    return np.asarray(np.diff(marks))


def daily_loads(scenario: Scenario) -> Array:
    """Expected requests of each day, the last one maybe shorter and then scaled to a whole day, (days,)."""
    expected, window = expected_requests(scenario), scenario.window
    edges = np.arange(len(expected) + 1) * window
    total = np.concatenate(([0.0], np.cumsum(expected)))
    lengths = day_lengths(scenario.horizon)
    found = np.diff(np.interp(np.concatenate(([0.0], np.cumsum(lengths))), edges, total))
    return np.asarray(found / lengths)


def spread_days(loads: Array, lengths: Array, number: int) -> list[tuple[int, float]]:
    """So many days from the quietest to the busiest, which is always there; each with how many like it it stands for.

    The busiest stands for itself. A last day that is cut short goes to the one whose load is nearest.

    >>> spread_days(np.array([5.0, 1.0, 3.0, 2.0]), np.array([1.0, 1.0, 1.0, 0.5]), 2)
    [(0, 1.0), (2, 2.5)]
    """
    whole = np.flatnonzero(lengths > lengths.max() - 1e-9)
    order = whole[np.argsort(loads[whole], kind="stable")]
    busiest = int(order[-1])
    stands = {busiest: float(lengths[busiest])}
    for group in np.array_split(order[:-1], max(min(number, len(order)) - 1, 1)):
        if len(group):
            stands[int(group[len(group) // 2])] = float(lengths[group].sum())
    chosen = np.array(sorted(stands))
    for day in np.setdiff1d(np.arange(len(loads)), whole):
        nearest = int(chosen[np.abs(loads[chosen] - loads[day]).argmin()])
        stands[nearest] += float(lengths[day])
    return [(day, stands[day] / float(lengths[day])) for day in sorted(stands)]


def with_weights(loads: Array, lengths: Array, days: list[int]) -> list[tuple[int, float]]:
    """The days that were asked for, each with how many like it it stands for: those whose load is nearest to its own.

    Those that are as near to several are shared among them.

    >>> with_weights(np.array([1.0, 1.0, 4.0, 2.0]), np.ones(4), [0, 1, 2])
    [(0, 1.5), (1, 1.5), (2, 1.0)]
    """
    distance = np.abs(loads[:, None] - loads[days][None, :])
    nearest = distance <= distance.min(axis=1, keepdims=True) * (1.0 + 1e-9) + 1e-9
    stands = lengths @ (nearest / nearest.sum(axis=1, keepdims=True)) / lengths[days]
    return list(zip(days, stands.tolist(), strict=True))
