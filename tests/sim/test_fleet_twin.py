"""A fleet equals a plain SimPy model of it, request by request and event by event, on random configurations."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from scenarios.units import SECONDS_PER_DAY
from sim.pool import SERVED
from sim.world import World

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from fleet_cases import COLUMNS, recorded
from fleet_cases import small_random_fleet as random_scenario
from plain_fleet import PlainFleet

CONFIGURATIONS = 24
FAST = 9
"""Configurations of the fast run; the others are slow tests."""
REPLICA = (
    "replica launched",
    "replica up",
    "replica drained",
    "replica failed",
    "spot reclaimed",
    "replica gone",
)


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=pytest.mark.slow) if n >= FAST else n for n in range(CONFIGURATIONS)]
)
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
