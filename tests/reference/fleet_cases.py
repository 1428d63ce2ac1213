"""Small fleets for tests, and how to run one and keep every request."""

from __future__ import annotations

from typing import Any

import numpy as np
import simpy
from plain_dice import Dice

import scenarios
from scenarios.schema import Scenario
from sim.fleet import Fleet
from sim.fleet_days import run_fleet
from sim.fleet_result import FleetResult
from sim.ledger import Ledger
from sim.world import World

COLUMNS = ("number", "arrival", "start", "finish", "replica", "batch", "status")


def fleet_of(
    *pools: dict[str, Any], rate: str = "1/s", horizon: str = "2h", window: str = "1h", **fields: Any
) -> Scenario:
    """A scenario with these pools; of the fields traffic is merged with the rate, and the others are of serving."""
    traffic = {"rate": rate} | fields.pop("traffic", {})
    return scenarios.load(
        "rotting_asset",
        horizon=horizon,
        window=window,
        traffic=traffic,
        serving={"pools": list(pools)} | fields,
    )


def ran(*pools: dict[str, Any], seed: int = 0, **fields: Any) -> FleetResult:
    return run_fleet(fleet_of(*pools, **fields), seed)


def times_of(result: FleetResult, kind: str, pool: str = "main") -> list[float]:
    """Days at which something happened."""
    events = result.events
    return events[(events.kind == kind) & (events.subject == pool)].time_days.tolist()


def small_random_fleet(number: int) -> Scenario:
    """Half an hour of a small pool, with everything that its plain model knows in some of them."""
    dice = Dice(number, subject=70_000)
    replicas = int(dice.rng.integers(1, 6))
    largest = dice.one(1, 1, 4)
    pool: dict[str, Any] = {"replicas": replicas, "max_batch": largest}
    pool["discipline"] = dice.one("fifo", "fifo", "lifo", "shortest_first")
    if largest == 1:
        pool["service"] = {
            "kind": "lognormal",
            "median": f"{dice.real(0.5, 1.5)}s",
            "p95": f"{dice.real(2, 4)}s",
        }
    else:
        pool["service"] = {
            "kind": "batch_curve",
            "fixed": f"{dice.real(0.5, 1)}s",
            "per_item": f"{dice.real(0.2, 0.6)}s",
        }
        pool["max_wait"] = dice.one("0s", f"{dice.real(0.1, 1)}s")
    if dice.chance(0.4):
        pool["queue_limit"] = int(dice.rng.integers(0, 30))
    if dice.chance(0.4):
        pool["timeout"] = f"{dice.real(1, 20)}s"
    kind = ("target_utilisation", "queue_length", "fixed")[number % 3]
    if kind != "fixed":
        pool["autoscaler"] = {
            "kind": kind,
            "interval": f"{dice.real(20, 90)}s",
            "cold_start": dice.one(
                f"{dice.real(10, 100)}s",
                {"kind": "exponential", "mean": "40s"},
                {"kind": "uniform", "low": "5s", "high": "2min"},
            ),
            "minimum": dice.one(0, 1),
            "maximum": int(replicas + dice.rng.integers(0, 6)),
            "cool_down": dice.one("0s", f"{dice.real(60, 400)}s"),
            "tolerance": dice.one(0.0, 0.1, 0.3),
            "target": dice.real(0.4, 0.9) if kind == "target_utilisation" else dice.real(0.8, 3.0),
        }
    if dice.chance(0.6):
        pool["failures"] = {
            "between": dice.one(
                {"kind": "exponential", "mean": "8min"}, {"kind": "weibull", "scale": "6min", "shape": 0.7}
            ),
            "repair": {"kind": "lognormal", "median": "40s", "p95": "4min"},
            "rate_cv": dice.one(0.0, 0.8),
        }
    if dice.chance(0.6):
        pool["spot"] = {
            "share": dice.one(1.0, 0.5, 0.34),
            "lifetime": dice.one(
                {"kind": "exponential", "mean": "7min"},
                {"kind": "lognormal", "median": "5min", "p95": "20min"},
            ),
            "notice": dice.one("0s", "1.5s", "33.3s"),
            "replacement": dice.one("41.7s", {"kind": "exponential", "mean": "1min"}),
        }
    serving: dict[str, Any] = {"pools": [pool]}
    if dice.chance(0.3):
        serving["overheads"] = [{"extra": 0.2, "cadence": "9.37min", "first": "1.11min", "lasts": "3.77min"}]
    if dice.chance(0.5):
        serving["arrivals"] = {"kind": "self_similar", "cv": 0.7, "step": "1min"}
    rate = dice.real(0.3, 0.9) * replicas
    return scenarios.load(
        "rotting_asset", horizon="30min", window="5min", traffic={"rate": f"{rate}/s"}, serving=serving
    )


def recorded(scenario: Scenario, world: World, looks: Any = ()) -> tuple[Fleet, dict[str, np.ndarray]]:
    """Run a fleet as `sim.fleet.play` does, and keep every request; it is advanced at `looks` (days) too."""
    env = simpy.Environment()
    fleet = Fleet(env, world, Ledger(), scenario.horizon)
    kept: list[Any] = []
    for pool in fleet.pools:
        collect = pool.plane.collect

        def keep(collect: Any = collect) -> Any:
            kept.append(collect())
            return kept[-1]

        pool.plane.collect = keep  # type: ignore[method-assign]

    def look(moment: float) -> Any:
        yield env.timeout(moment)
        fleet.advance()

    for moment in looks:
        env.process(look(float(moment)))
    fleet.start()
    env.run(until=scenario.horizon)
    fleet.finish()
    columns = {name: np.concatenate([getattr(part, name) for part in kept]) for name in COLUMNS}
    order = np.argsort(columns["number"], kind="stable")
    return fleet, {name: column[order] for name, column in columns.items()}
