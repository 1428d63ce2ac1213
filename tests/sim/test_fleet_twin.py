"""A fleet equals a plain SimPy model of it, request by request and event by event, on random configurations."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simpy

import scenarios
from scenarios.schema import Scenario
from scenarios.units import SECONDS_PER_DAY
from sim.fleet import Fleet
from sim.ledger import Ledger
from sim.pool import SERVED
from sim.world import World

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from plain_dice import Dice
from plain_fleet import PlainFleet

CONFIGURATIONS = 24
REPLICA = (
    "replica launched",
    "replica up",
    "replica drained",
    "replica failed",
    "spot reclaimed",
    "replica gone",
)
COLUMNS = ("number", "arrival", "start", "finish", "replica", "batch", "status")


def random_scenario(number: int) -> Scenario:
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


@pytest.mark.parametrize("number", range(CONFIGURATIONS))
def test_a_fleet_equals_a_plain_one(number: int) -> None:
    scenario = random_scenario(number)
    world = World(scenario, seed=number)
    fleet, found = recorded(scenario, world)
    plain = PlainFleet(scenario, world)
    plain.play()

    told = [
        (event.time, event.kind, int(event.details.split()[1].strip(",")))
        for event in fleet.events
        if event.kind in REPLICA
    ]
    assert sorted(told) == sorted(plain.told)
    final = [request for request in plain.requests if request.status]
    for place, name in enumerate(COLUMNS):
        np.testing.assert_array_equal(found[name], [request.row()[place] for request in final], err_msg=name)
    pool = fleet.pools[0]
    assert pool.plane.restarts == plain.restarts
    for spot in (False, True):
        assert pool.held[spot] == pytest.approx(
            sum(bill.days for bill in plain.bills if bill.spot == spot), abs=1e-12
        )
    assert pool.busy_seconds() == pytest.approx(
        sum(plain.busy.values())
        + sum(
            scenario.horizon * SECONDS_PER_DAY - plain.begun[r.number]
            for r in plain.replicas.values()
            if r.process
        )
    )


def test_the_configurations_have_everything_in_them() -> None:
    """What the equality is about happens in many of the runs, not in a lucky one."""
    seen: dict[str, int] = dict.fromkeys((*REPLICA, "restarts", "lost", "batches"), 0)
    for number in range(CONFIGURATIONS):
        scenario = random_scenario(number)
        fleet, found = recorded(scenario, World(scenario, seed=number))
        pool = fleet.pools[0]
        for kind in {event.kind for event in fleet.events}:
            seen[kind] = seen.get(kind, 0) + 1
        seen["restarts"] += pool.plane.restarts > 0
        seen["lost"] += bool((found["status"] != SERVED).any())
        seen["batches"] += bool((found["batch"] > 1).any())
    assert all(seen[kind] >= 6 for kind in (*REPLICA, "restarts", "lost", "batches"))


@pytest.mark.parametrize("number", range(0, CONFIGURATIONS, 4))
def test_who_looks_how_often_does_not_show(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Extra advances and another sampling interval change nothing of what happens, to the last bit."""
    scenario = random_scenario(number)
    before, found = recorded(scenario, World(scenario, seed=number))
    monkeypatch.setattr("sim.fleet.SAMPLES", 7)
    looks = np.random.default_rng(number).random(300) * scenario.horizon
    after, again = recorded(scenario, World(scenario, seed=number), looks)
    for name, column in found.items():
        assert column.tobytes() == again[name].tobytes(), name
    assert before.events == after.events
    totals, others = before.totals["main"], after.totals["main"]
    for name in ("offered", "served", "shed", "timed_out", "waited", "in_service", "batches"):
        assert getattr(totals, name) == getattr(others, name), name
    assert before.latency.total == after.latency.total
    assert before.latency.intervals().to_csv() == after.latency.intervals().to_csv()
    assert (before.pools[0].worked, before.pools[0].was_up) == (after.pools[0].worked, after.pools[0].was_up)
    assert before.ledger.by_category().equals(after.ledger.by_category())
