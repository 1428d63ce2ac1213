"""The pool with a line for each replica: against a plain SimPy model request by request, and closed forms.

Statistical tests compare the mean of independent replications with theory within a Student interval that a correct
pool leaves once in 1,000 seeds (TRUST), or ask for a difference beyond such an interval; seeds are fixed.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from sim.pool import SERVED, SHED, TIMED_OUT
from sim.pool_balanced import BalancedPool
from sim.pool_central import CentralPool
from sim.pool_replicas import BALANCING

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from plain_balanced import PlainBalanced
from pool_cases import Action, assert_equal_to_twin, columns, drive, random_actions

TRUST = 0.999
FOREVER = 1e9

FIRST = [BALANCING[0], *(pytest.param(b, marks=pytest.mark.slow) for b in BALANCING[1:])]
"""One in the fast run, the others among the slow tests."""


def small_case(seed: int, requests: int = 150) -> tuple[Any, Any, list[Action], float, dict[str, Any]]:
    """Odd seeds on a lattice of quarter seconds, where much happens at the same instant."""
    rng = np.random.default_rng(seed)
    replicas, max_batch = int(rng.integers(1, 5)), int(rng.choice([1, 1, 2, 3, 5]))
    options = {
        "key": seed,
        "max_batch": max_batch,
        "max_wait": float(rng.choice([0.0, 0.25, 1.0, 4.0])),
        "curve": [1.0 + 0.25 * i for i in range(max_batch)],
        "limit": [None, 0, 1, 3, 8][rng.integers(5)],
        "timeout": float(rng.choice([math.inf, math.inf, 1.0, 3.0])),
    }
    if seed % 2:
        times = np.sort(rng.integers(0, 2 * requests // replicas + 4, requests)) * 0.5
        work, grid = rng.integers(0, 9, requests) * 0.25, 0.25
    else:
        times = np.cumsum(rng.exponential(1.0 / replicas, requests))
        work, grid = rng.exponential(1.0, requests), 1e-3
    until = float(times[-1] + rng.choice([0.0, 5.0]))
    return times, work, random_actions(rng, until, replicas, grid), until, options


@pytest.mark.parametrize("balancing", BALANCING)
@pytest.mark.parametrize("seed", range(10))
def test_equals_the_plain_model_request_by_request(balancing, seed):
    times, work, actions, until, options = small_case(seed)
    pool, twin = BalancedPool(balancing, **options), PlainBalanced(balancing, **options)
    twin.run(times, work, actions, until)
    rng = np.random.default_rng(seed)
    cuts = np.round(rng.uniform(0.0, until, 10) / 0.25) * 0.25
    collected = drive(pool, times, work, actions, until, block=int(rng.choice([1, 7, 50])), cuts=cuts)
    assert_equal_to_twin(pool, collected, twin)


def test_the_small_cases_hold_all_that_can_happen():
    counts = {SERVED: 0, SHED: 0, TIMED_OUT: 0}
    restarts = lone = batches = simultaneous = 0
    for seed in range(10):
        times, work, actions, until, options = small_case(seed)
        pool = BalancedPool("random", **options)
        found = columns(drive(pool, times, work, actions, until))
        for status in counts:
            counts[status] += int(np.sum(found["status"] == status))
        restarts += pool.restarts
        batches += int(np.sum(found["batch"] > 1))
        lone += int(np.sum(found["batch"] == 1))
        simultaneous += int(np.sum(np.isin(found["finish"], times)))
    assert min(*counts.values(), restarts, lone, batches, simultaneous) > 20


@pytest.mark.parametrize("balancing", FIRST)
def test_blocks_and_calls_change_no_bit(balancing):
    for seed in (20, 21, 22):
        times, work, actions, until, options = small_case(seed, requests=3000)
        whole = columns(drive(BalancedPool(balancing, **options), times, work, actions, until))
        cuts = np.random.default_rng(seed).uniform(0.0, until, 300)
        for block, moments in ((1, ()), (64, cuts), (10**6, np.concatenate([cuts, times[::7]]))):
            cut = columns(
                drive(
                    BalancedPool(balancing, **options),
                    times,
                    work,
                    actions,
                    until,
                    block=block,
                    cuts=moments,
                )
            )
            for name, column in whole.items():
                assert column.tobytes() == cut[name].tobytes()


@pytest.mark.parametrize("balancing", FIRST)
def test_littles_law_holds_exactly(balancing):
    """On a lattice the number in the system is known between the points, and its integral is the sum of sojourns."""
    for seed in (31, 33, 35):
        times, work, actions, until, options = small_case(seed)
        options |= {"max_batch": 1, "curve": [1.0]}
        work = 2.0 * work  # a replica may take half as long
        until = math.ceil(until) + 400.0
        actions = [*actions, *((until - 300.0, "add", (number,)) for number in (90, 91))]
        pool = BalancedPool(balancing, **options)
        in_system = {}

        def watch(pool=pool, in_system=in_system):
            if pool.now % 0.25 == 0.125:
                in_system[pool.now] = pool.waiting() + pool.in_service()

        middles = np.arange(0.125, until, 0.25)
        found = columns(drive(pool, times, work, actions, until, cuts=middles, watch=watch))
        assert len(found["number"]) == len(times)
        assert 0.25 * sum(in_system.values()) == np.sum(found["finish"] - found["arrival"])


def test_with_one_replica_the_line_is_the_central_queue():
    """Written apart, the same to the last bit: batches, limits, time-outs, a failure."""
    for seed in range(20):
        times, work, _, until, options = small_case(seed)
        if options["limit"] is not None and options["limit"] < options["max_batch"]:
            options["limit"] = 8  # below, the two differ when a batch is due at the instant of an arrival
        actions: list[Action] = [(0.0, "add", (0,)), (20.125, "fail", (0,)), (21.0, "add", (0,))]
        balanced = columns(drive(BalancedPool("random", **options), times, work, actions, until))
        del options["key"]
        central = columns(drive(CentralPool(**options), times, work, actions, until))
        for name, column in balanced.items():
            np.testing.assert_array_equal(column, central[name], err_msg=name)


# --- closed forms ---


def means(balancing: str, load: float, replicas: int, seeds: int = 24, requests: int = 40_000) -> Any:
    """Mean wait of the second half of the requests, Poisson arrivals and exponential service of mean 1, by seed."""
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, replicas])
        times = np.cumsum(rng.exponential(1.0 / (load * replicas), requests))
        work = rng.exponential(1.0, requests)
        pool = CentralPool() if balancing == "central" else BalancedPool(balancing, key=seed)
        for number in range(replicas):
            pool.add(number, 0.0)
        pool.offer(times, work)
        pool.advance(FOREVER)
        served = pool.collect()
        second = served.number >= requests // 2
        found.append(np.mean((served.start - served.arrival)[second]))
    return np.array(found)


def assert_mean(sample: Any, expected: float) -> None:
    low, high = stats.t.interval(TRUST, len(sample) - 1, np.mean(sample), stats.sem(sample))
    assert low < expected < high, f"{np.mean(sample):.4f} in [{low:.4f}, {high:.4f}], expected {expected:.4f}"


def test_a_random_split_makes_each_replica_an_mm1_queue():
    assert_mean(means("random", 0.7, 4), 0.7 / 0.3)


def test_round_robin_makes_each_replica_a_queue_with_erlang_arrivals():
    """E_k/M/1: the wait is s / (1 - s), s the root in (0, 1) of s = A(1 - s), A the transform of the gaps."""
    load, replicas = 0.8, 4
    rate = load * replicas
    root = optimize.brentq(lambda s: (rate / (rate + 1.0 - s)) ** replicas - s, 0.0, 1.0 - 1e-6)
    assert_mean(means("round_robin", load, replicas), root / (1.0 - root))


def test_waits_are_ordered_as_theory_says():
    """One queue beats the shortest queue, which beats the shorter of two, which beats a random one; so do turns."""
    wait = {name: means(name, 0.9, 8, seeds=10, requests=25_000) for name in ("central", *BALANCING)}
    for better, worse in (
        ("central", "shortest_queue"),
        ("shortest_queue", "power_of_two"),
        ("power_of_two", "random"),
        ("round_robin", "random"),
    ):
        difference = wait[worse] - wait[better]
        low, _ = stats.t.interval(TRUST, len(difference) - 1, np.mean(difference), stats.sem(difference))
        assert low > 0.0, f"{better} is not better than {worse}"


def losses(balancing: str, load: float, replicas: int, limit: int) -> Any:
    shares = []
    for seed in range(20):
        rng = np.random.default_rng([seed, 5])
        times = np.cumsum(rng.exponential(1.0 / (load * replicas), 20_000))
        pool = BalancedPool(balancing, key=seed, limit=limit)
        for number in range(replicas):
            pool.add(number, 0.0)
        pool.offer(times, rng.exponential(1.0, len(times)))
        pool.advance(FOREVER)
        served = pool.collect()
        shares.append(np.mean(served.status[served.number >= 1000] == SHED))
    return np.array(shares)


def test_without_waiting_room_the_shortest_queue_loses_as_erlang_b_says():
    offered, replicas = 3.0, 4
    blocked = 1.0
    for servers in range(1, replicas + 1):
        blocked = offered * blocked / (servers + offered * blocked)
    assert_mean(losses("shortest_queue", offered / replicas, replicas, limit=0), blocked)


def test_a_limit_with_a_random_split_loses_as_mm1k():
    load, room = 0.9, 4
    expected = (1 - load) * load**room / (1 - load ** (room + 1))
    assert_mean(losses("random", load, 3, limit=room - 1), expected)


def test_a_saturated_replica_serves_full_batches():
    curve = [1.0, 1.5, 1.75, 2.0]
    pool = BalancedPool("round_robin", max_batch=4, max_wait=0.0, curve=curve)
    for number in range(2):
        pool.add(number, 0.0)
    pool.offer(np.zeros(8000), np.ones(8000))
    pool.advance(1e6)
    served = pool.collect()
    assert np.all(served.batch == 4)
    assert np.max(served.finish) == 8000 / 2 / 4 * curve[-1]
    assert pool.busy().tolist() == [2000.0, 2000.0]


# --- what control does ---


def test_requests_wait_before_the_balancer_until_a_replica_is_up():
    pool = BalancedPool("shortest_queue", limit=2, timeout=3.0)
    pool.offer([0.0, 1.0, 2.0, 6.0, 7.0], np.ones(5))
    pool.advance(8.0)
    assert (pool.waiting(), pool.in_service()) == (2, 0)
    pool.add(3, 8.0)
    pool.advance(20.0)
    served = pool.collect()
    assert served.status.tolist() == [TIMED_OUT, TIMED_OUT, SHED, SERVED, SERVED]
    assert served.finish.tolist() == [3.0, 4.0, 2.0, 9.0, 10.0]


def test_who_starts_at_the_instant_of_its_arrival_does_not_count_as_waiting():
    pool = BalancedPool("random", max_batch=3, limit=1)
    pool.add(0, 0.0)
    pool.offer([0.0] * 5 + [1.0, 1.0, 1.0, 1.0], np.ones(9))
    pool.advance(2.0)  # what ends at this moment is final
    served = pool.collect()
    assert served.status.tolist() == [SERVED] * 4 + [SHED] + [SERVED] * 2 + [SHED]
    assert served.batch.tolist() == [3, 3, 3, 3, 0, 3, 3, 0]
    assert pool.waiting() == 1


def test_what_a_failed_replica_had_goes_to_others_in_order_of_arrival():
    pool = BalancedPool("round_robin")
    pool.add(0, 0.0)
    pool.add(1, 0.0)
    pool.offer([0.0, 0.5, 1.0, 1.5, 2.0, 2.5], np.full(6, 10.0))
    pool.fail(0, 5.0)
    assert pool.restarts == 1
    pool.advance(100.0)
    served = pool.collect()
    assert served.replica.tolist() == [1] * 6
    # The one in service goes on; the others follow by number, not by when they came to this replica.
    assert served.start.tolist() == [10.5, 0.5, 20.5, 30.5, 40.5, 50.5]
    assert pool.busy().tolist() == [5.0, 60.0]


def test_a_drained_replica_finishes_its_line_and_can_come_back():
    pool = BalancedPool("shortest_queue")
    pool.add(0, 0.0)
    pool.offer([0.0, 0.0], [2.0, 2.0])
    pool.drain(0, 1.0)
    pool.offer([1.5], [1.0])
    pool.advance(3.0)
    assert pool.at_work(0)
    assert pool.waiting() == 1
    pool.advance(5.0)
    assert not pool.at_work(0)
    pool.add(0, 6.0)
    pool.advance(9.0)
    assert pool.collect().start.tolist() == [0.0, 2.0, 6.0]


def test_a_replica_that_comes_back_after_a_failure_is_empty():
    pool = BalancedPool("shortest_queue")
    pool.add(0, 0.0)
    pool.add(1, 0.0)
    pool.offer([0.0, 0.0, 0.5], [1.0, 100.0, 1.0])
    pool.fail(1, 0.6)
    pool.add(1, 0.7)
    pool.add(2, 0.7)
    pool.offer([0.8], [1.0])
    pool.advance(200.0)
    assert pool.collect().replica.tolist() == [0, 0, 0, 1]


def test_memory_does_not_grow_with_the_run():
    pool = BalancedPool("random")
    pool.add(0, 0.0)
    rng = np.random.default_rng(0)
    last, most = 0.0, 0
    for _ in range(200):
        times = last + np.cumsum(rng.exponential(1.25, 2000))
        last = times[-1]
        pool.offer(times, rng.exponential(1.0, 2000))
        pool.advance(last)
        pool.collect()
        most = max(most, len(pool._window.table))
    assert most <= 4096


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"balancing": "shortest"}, "one of: random, round_robin"),
        ({"max_batch": 0}, "max_batch must be >= 1"),
        ({"max_batch": 2, "curve": [1.0]}, "max_batch = 2"),
        ({"curve": [math.nan]}, "finite seconds"),
        ({"limit": -1}, "limit must be >= 0"),
        ({"timeout": math.nan}, "timeout must be >= 0"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BalancedPool(**{"balancing": "random", **arguments})


def test_calls_that_cannot_be_are_refused():
    pool = BalancedPool("random")
    pool.add(0, 1.0)
    for call, message in (
        (lambda: pool.add(0, 2.0), "cannot add"),
        (lambda: pool.drain(1, 2.0), "cannot drain"),
        (lambda: pool.fail(1, 2.0), "cannot fail"),
        (lambda: pool.slow(0, 0.0), "factor must be"),
        (lambda: pool.slow(7, 2.0), "cannot slow"),
        (lambda: pool.advance(0.5), "cannot advance"),
        (lambda: pool.offer([0.5], [1.0]), "sorted"),
        (lambda: pool.offer([2.0, 1.5], [1.0, 1.0]), "sorted"),
        (lambda: pool.offer([2.0], [-1.0]), "work must be"),
        (lambda: pool.offer([2.0], [[1.0, 1.0]]), "shape"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
