"""Small random runs of pools behind a balancer: what comes, what the control plane does, and how a pool is driven."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from plain_replicas import PlainPool

from sim.pool import SERVED

Action = tuple[float, str, tuple[Any, ...]]


def random_actions(rng: np.random.Generator, until: float, replicas: int, grid: float) -> list[Action]:
    """Replicas that are added, drained, fail and are slowed down; now and then none is up.

    Moments are multiples of `grid`, so that much happens at the same instant when `grid` is not small.
    """
    up: set[int] = set()
    there: set[int] = set()
    actions: list[Action] = []

    def act(time: float, name: str, number: int, *more: float) -> None:
        actions.append((time, name, (number, *more)))

    moments = np.sort(rng.integers(0, int(until / grid), 14)) * grid
    for number in range(replicas):
        if rng.random() < 0.8:
            act(0.0, "add", number)
            up.add(number)
            there.add(number)
    for time in moments.tolist():
        name = rng.choice(["add", "add", "drain", "fail", "fail", "slow"])
        if name == "add":
            possible = sorted(set(range(replicas + 2)) - up)
        elif name == "drain":
            possible = sorted(up)
        else:
            possible = sorted(there)
        if not possible:
            continue
        number = int(rng.choice(possible))
        act(time, name, number, *([float(rng.choice([0.5, 2.0]))] if name == "slow" else []))
        if name == "add":
            up.add(number)
            there.add(number)
        elif name in ("drain", "fail"):
            up.discard(number)
        if name == "fail":
            there.discard(number)
    return actions


def drive(
    pool: Any,
    times: Any,
    work: Any,
    actions: list[Action],
    until: float,
    *,
    block: int = 10**9,
    cuts: Any = (),
    watch: Any = None,
) -> list[Any]:
    """Offer in blocks, advance to actions and to `cuts`, and collect after each; returns what was collected.

    watch: called after every advance, to look at the pool
    """
    collected = []
    stops = [(time, i, action) for i, (time, *action) in enumerate(actions)]
    stops += [(float(cut), -1, None) for cut in cuts] + [(until, len(actions), None)]
    offered = 0

    def go(to: float) -> None:
        nonlocal offered
        while offered < len(times) and (offered == 0 or times[offered - 1] < to):
            pool.offer(times[offered : offered + block], work[offered : offered + block])
            offered += block
            last = times[min(offered, len(times)) - 1]
            if last < to:
                pool.advance(max(last, pool.now))
                collected.append(pool.collect())
        pool.advance(to)
        if watch is not None:
            watch()
        collected.append(pool.collect())

    for time, _, action in sorted(stops, key=lambda stop: stop[:2]):
        go(time)
        if action is not None:
            name, (number, *more) = action
            getattr(pool, name)(number, *(more if name == "slow" else [time]))
        arrived = np.searchsorted(times, time)
        in_pool = pool.waiting() + pool.in_service()
        assert sum(map(len, collected)) + in_pool == arrived, f"requests were lost or doubled by {time}"
    return collected


def columns(collected: list[Any]) -> dict[str, Any]:
    """Columns of all that was collected, in order of numbers."""
    names = [column.name for column in fields(collected[0])]
    joined = {name: np.concatenate([getattr(part, name) for part in collected]) for name in names}
    order = np.argsort(joined["number"], kind="stable")
    return {name: column[order] for name, column in joined.items()}


def assert_equal_to_twin(pool: Any, collected: list[Any], twin: PlainPool) -> None:
    """Every request of a pool has exactly the fate that it has in the plain model."""
    found, expected = columns(collected), twin.final()
    for name, column in found.items():
        plain = [getattr(request, name) for request in expected]
        assert len(plain) == len(column), f"{len(column)} requests are final, {len(plain)} in the twin"
        np.testing.assert_array_equal(column, plain, err_msg=name)
    assert pool.restarts == twin.restarts
    assert (pool.waiting(), pool.in_service()) == (twin.waiting(), twin.in_service())
    busy = pool.busy()
    np.testing.assert_allclose(
        [busy[number] for number in twin.busy()], list(twin.busy().values()), rtol=1e-12, atol=1e-12
    )
    assert_served_within_busy_time(found, busy)


def assert_served_within_busy_time(found: dict[str, Any], busy: Any) -> None:
    """Nothing starts before it comes or ends before it starts."""
    served = found["status"] == SERVED
    assert np.all(found["start"][served] >= found["arrival"][served])
    assert np.all(found["finish"] >= found["arrival"])
    assert np.all(found["replica"][served] < len(busy))
    assert np.all(np.isnan(found["start"][~served]))
