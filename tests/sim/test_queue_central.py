"""The pool with one queue: against a plain SimPy model request by request, closed forms, and a recorded trace.

Statistical tests compare the mean of independent replications with theory, within a Student interval that a correct
pool leaves once in 1,000 seeds (TRUST); seeds are fixed, so that a pass stays a pass.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sim import pool as contract
from sim.kernels import queue_central as kernel
from sim.pool import SERVED, SHED, TIMED_OUT, Served
from sim.pool_central import CentralPool

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from plain_queue import PlainPool

TRUST = 0.999
FIELDS = ("number", "arrival", "start", "finish", "replica", "batch", "status")


def table(parts: list[Served]) -> np.ndarray:
    """One row a request, in order of number."""
    rows = np.column_stack([np.concatenate([getattr(part, name) for part in parts]) for name in FIELDS])
    return rows[np.argsort(rows[:, 0])]


def drive(pool: CentralPool, times, work, commands, *, block=50, steps=(), until=math.inf) -> np.ndarray:
    """Offer in blocks, advance to each command and to each of `steps` besides; what became of the requests."""
    parts, offered = [], 0
    for moment in sorted({*steps, *(command[0] for command in commands), until}):
        while offered < len(times) and times[offered] < moment:
            pool.offer(times[offered : offered + block], work[offered : offered + block])
            pool.advance(min(moment, times[min(offered + block, len(times)) - 1]))
            offered += block
            parts.append(pool.collect())
        pool.advance(moment)
        parts.append(pool.collect())
        for time, name, *rest in commands:
            if time == moment:
                if name == "slow":
                    pool.slow(*rest)
                else:
                    getattr(pool, name)(*rest, at=time)
        arrived = np.count_nonzero(np.asarray(times) < moment)
        assert arrived == sum(map(len, parts)) + pool.waiting() + pool.in_service()
    return table(parts)


def small_case(seed: int) -> tuple[np.ndarray, np.ndarray, list[tuple[Any, ...]], dict[str, Any]]:
    """Some 300 requests; odd seeds on a lattice of quarter seconds, where much happens at the same instant."""
    rng = np.random.default_rng(seed)
    lattice = seed % 2 == 1
    replicas = int(rng.integers(1, 6))
    largest = int(rng.choice([1, 1, 2, 4, 7]))
    curve = np.cumsum(rng.uniform(0.1, 0.5, largest)) + 0.6
    load = rng.uniform(0.5, 1.4)
    times = np.cumsum(rng.exponential(curve[-1] / (load * replicas * largest), 300))
    work = rng.gamma(2.0, 0.5, 300)
    if lattice:
        times, work, curve = np.floor(4 * times) / 4, np.ceil(4 * work) / 4, np.ceil(4 * curve) / 4
    end = times[-1]

    def moment(low: float, high: float) -> float:
        at = rng.uniform(low, high) * end
        return float(np.floor(4 * at) / 4) if lattice else float(at)

    commands: list[tuple[Any, ...]] = [(0.0, "add", r) for r in range(replicas)]
    for r in range(replicas, replicas + int(rng.integers(0, 4))):
        commands.append((moment(0.1, 0.5), "add", r))
        if rng.random() < 0.7:
            commands.append((moment(0.5, 0.8), rng.choice(["fail", "drain"]), r))
    for r in range(int(rng.integers(0, replicas + 1))):
        commands.append((moment(0.2, 0.4), "slow", r, float(rng.choice([0.5, 1.5, 2.0]))))
        commands.append((moment(0.4, 0.6), rng.choice(["fail", "fail", "drain"]), r))
        commands.append((moment(0.6, 0.7), "add", r))
    place = {"add": 0, "slow": 1, "drain": 1, "fail": 1}
    commands.sort(key=lambda command: (command[0], place[command[1]]))
    settings: dict[str, Any] = {
        "max_batch": largest,
        "curve": curve if largest > 1 else None,
        "max_wait": float(rng.choice([0.0, 0.25, 1.5])),
        "limit": [None, 0, 2, 5, 20][int(rng.integers(5))],
        "timeout": float(rng.choice([math.inf, 0.75, 3.0])),
        "discipline": ["fifo", "fifo", "lifo", "shortest_first"][int(rng.integers(4))],
    }
    return times, work, commands, settings


@pytest.mark.parametrize("seed", range(120))
def test_pool_equals_a_plain_simpy_model(seed):
    times, work, commands, settings = small_case(seed)
    plain = PlainPool(times.tolist(), work.tolist(), commands, **settings)
    plain.run()
    rng = np.random.default_rng(seed)
    pool = CentralPool(**settings)
    steps = rng.uniform(0.0, times[-1], 40)
    rows = drive(pool, times, work, commands, block=int(rng.integers(1, 80)), steps=steps)
    expected = np.array([request.row() for request in plain.requests if request.status != 0])
    np.testing.assert_array_equal(rows, expected)
    assert pool.restarts == plain.restarts
    assert pool.busy().tolist() == [plain.busy.get(r, 0.0) for r in range(len(pool.busy()))]


def test_small_cases_cover_what_they_should():
    statuses, disciplines, restarts, most = set(), {}, 0, 0
    for seed in range(120):
        times, work, commands, settings = small_case(seed)
        pool = CentralPool(**settings)
        rows = drive(pool, times, work, commands)
        statuses |= set(rows[:, -1])
        most = max(most, rows[:, 5].max())
        for discipline in (settings["discipline"], settings["discipline"] + str(settings["max_batch"] > 1)):
            disciplines[discipline] = disciplines.get(discipline, 0) + 1
        restarts += pool.restarts
    assert statuses == {SERVED, SHED, TIMED_OUT}
    assert min(disciplines.values()) >= 10
    assert restarts > 50
    assert most == 7


@pytest.mark.parametrize("seed", range(0, 120, 6))
def test_blocks_and_steps_change_nothing(seed):
    times, work, commands, settings = small_case(seed)
    pools = [CentralPool(**settings) for _ in range(3)]
    runs = [
        drive(pools[0], times, work, commands, block=1000),
        drive(pools[1], times, work, commands, block=1),
        drive(pools[2], times, work, commands, block=7, steps=np.linspace(0.0, 2 * times[-1], 500)),
    ]
    assert runs[0].tobytes() == runs[1].tobytes() == runs[2].tobytes()
    assert pools[0].busy().tobytes() == pools[1].busy().tobytes() == pools[2].busy().tobytes()


def many_replicas(replicas: int, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the pool and of the plain model, replicas enough for the tournament, some of them failing."""
    rng = np.random.default_rng(replicas)
    times = np.floor(8 * np.cumsum(rng.exponential(1.1 / replicas, 3000))) / 8
    work = np.ceil(8 * rng.gamma(2.0, 0.5, 3000)) / 8
    commands = [(0.0, "add", r) for r in range(replicas)]
    commands += [(times[1000], "fail", r) for r in range(0, replicas, 3)]
    commands += [(times[2000], "add", r) for r in range(0, replicas, 6)]
    plain = PlainPool(times.tolist(), work.tolist(), commands, **settings)
    plain.run()
    rows = drive(CentralPool(**settings), times, work, commands, block=500)
    return rows, np.array([request.row() for request in plain.requests])


@pytest.mark.parametrize("replicas", [12, 13, 40])
@pytest.mark.parametrize("settings", [{}, {"limit": 30, "timeout": 1.0}, {"discipline": "lifo"}])
def test_many_replicas_equal_a_plain_simpy_model(replicas, settings):
    rows, expected = many_replicas(replicas, **settings)
    np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("settings", [{}, {"limit": 5}, {"timeout": 1.0}, {"max_batch": 3, "max_wait": 0.4}])
def test_keys_in_order_of_arrival_give_first_come_first_served(settings):
    """The kernel by key is another algorithm; with the numbers as keys it must do what the others do."""

    class ByKey(CentralPool):
        def offer(self, times, work):
            self._discipline, first = "lifo", self._offered
            super().offer(times, work)
            key = self._queue[0][kernel.KEY]
            end = int(self._marks[kernel.END])
            key[end - len(times) : end] = np.arange(first, first + len(times))

    rng = np.random.default_rng(5)
    times, work = np.cumsum(rng.exponential(0.3, 2000)), rng.gamma(2.0, 0.5, 2000)
    commands = [(0.0, "add", r) for r in range(3)] + [(100.0, "fail", 1), (150.0, "add", 1)]
    rows = [drive(kind(**settings), times, work, commands, block=3000) for kind in (CentralPool, ByKey)]
    np.testing.assert_array_equal(rows[0], rows[1])


def test_what_is_in_service_is_not_final():
    pool = CentralPool()
    pool.add(0, at=0.0)
    pool.add(3, at=2.0)  # ahead of time
    pool.offer(np.array([0.0, 1.0]), np.array([5.0, 4.0]))
    pool.advance(3.0)
    assert (len(pool.collect()), pool.waiting(), pool.in_service()) == (0, 0, 2)
    assert pool.busy().tolist() == [3.0, 0.0, 0.0, 1.0]
    assert pool.free_at(3) == 6.0
    pool.fail(0, at=4.0)
    assert (pool.waiting(), pool.in_service(), pool.restarts) == (1, 1, 1)
    pool.drain(3, at=4.5)
    pool.advance(6.0)  # what finishes at the moment advanced to has finished
    assert (pool.collect().number.tolist(), pool.waiting(), pool.in_service()) == ([1], 1, 0)
    pool.advance(8.0)
    pool.add(0, at=8.0)
    pool.advance(20.0)
    served = pool.collect()
    assert (served.start.tolist(), served.finish.tolist(), served.replica.tolist()) == ([8.0], [13.0], [0])
    assert pool.busy().tolist() == [9.0, 0.0, 0.0, 4.0]


def test_statuses_are_those_of_the_contract():
    assert (kernel.SERVED, kernel.SHED, kernel.TIMED_OUT) == (
        contract.SERVED,
        contract.SHED,
        contract.TIMED_OUT,
    )


def test_memory_does_not_grow_with_the_requests_that_were_served():
    rng = np.random.default_rng(1)
    for discipline in ("fifo", "lifo"):
        pool = CentralPool(discipline=discipline, limit=1000, timeout=50.0)
        for r in range(4):
            pool.add(r, at=0.0)
        now, held = 0.0, []
        for _ in range(60):
            times = now + np.cumsum(rng.exponential(0.24, 2000))
            pool.offer(times, rng.exponential(1.0, 2000))
            now = float(times[-1])
            pool.advance(now)
            pool.collect()
            held.append(pool._queue[0].shape[1] + pool._out[0].shape[1])
        assert max(held) <= 20_000, discipline


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"discipline": "fcfs"}, "must be one of fifo, lifo, shortest_first"),
        ({"max_batch": 0}, "max_batch"),
        ({"max_wait": -1.0}, "max_wait"),
        ({"timeout": 0.0}, "timeout"),
        ({"limit": -1}, "limit"),
        ({"max_batch": 3, "curve": [1.0, 2.0]}, "curve must have max_batch = 3"),
        ({"curve": [math.nan]}, "curve"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        CentralPool(**settings)


def test_calls_that_mean_nothing_are_refused():
    pool = CentralPool()
    pool.add(1, at=0.0)
    for times, work in (([2.0, 1.0], [1.0, 1.0]), ([1.0], [-1.0]), ([math.nan], [1.0]), ([1.0], [math.inf])):
        with pytest.raises(ValueError, match="times must be finite, sorted"):
            pool.offer(np.array(times), np.array(work))
    with pytest.raises(ValueError, match=r"must be \(n,\)"):
        pool.offer(np.ones(2), np.ones(3))
    pool.advance(5.0)
    with pytest.raises(ValueError, match="not before 5"):
        pool.offer(np.array([4.0]), np.array([1.0]))
    with pytest.raises(ValueError, match="it is 5"):
        pool.advance(4.0)
    with pytest.raises(ValueError, match="takes requests already"):
        pool.add(1, at=6.0)
    with pytest.raises(ValueError, match="no replica 0"):
        pool.drain(0, at=6.0)
    with pytest.raises(ValueError, match="factor"):
        pool.slow(1, 0.0)


# --- closed forms ---


def steady(replicas: int, times: np.ndarray, work: np.ndarray, **settings: Any) -> np.ndarray:
    """Rows of what came in the second nine tenths; times and work are those of a run from empty."""
    pool = CentralPool(**settings)
    for r in range(replicas):
        pool.add(r, at=0.0)
    pool.offer(times, work)
    pool.advance(math.inf)
    return table([pool.collect()])[len(times) // 10 :]


def assert_means(values: list[float], theory: float) -> None:
    """The mean of the replications agrees with theory; a correct pool fails once in 1,000 seeds."""
    n = len(values)
    half_width = stats.t.ppf(0.5 + TRUST / 2, n - 1) * np.std(values, ddof=1) / math.sqrt(n)
    assert abs(np.mean(values) - theory) <= half_width
    assert half_width < 0.2 * theory  # sharp enough to mean something


def erlang_b(servers: int, erlangs: float) -> float:
    blocking = 1.0
    for k in range(1, servers + 1):
        blocking = erlangs * blocking / (k + erlangs * blocking)
    return blocking


def erlang_c(servers: int, erlangs: float) -> float:
    blocking = erlang_b(servers, erlangs)
    return blocking / (1.0 - erlangs / servers * (1.0 - blocking))


@pytest.mark.parametrize(("servers", "load"), [(1, 0.7), (8, 0.8), (8, 0.9), (64, 0.95)])
def test_waits_follow_erlang_c(servers, load):
    waits, waiting, requests = [], [], 60_000 if servers <= 8 else 200_000
    for replication in range(20):
        rng = np.random.default_rng([1, servers, replication])
        times = np.cumsum(rng.exponential(1 / (load * servers), requests))
        rows = steady(servers, times, rng.exponential(1.0, requests))
        wait = rows[:, 2] - rows[:, 1]
        waits.append(wait.mean())
        waiting.append((wait > 0).mean())
    probability = erlang_c(servers, load * servers)
    assert_means(waiting, probability)
    assert_means(waits, probability / (servers * (1.0 - load)))


@pytest.mark.parametrize("shape", [math.inf, 0.5, 2.0])
def test_waits_of_one_server_follow_pollaczek_khinchine(shape):
    """M/D/1 for an infinite shape, else M/G/1 with gamma services."""
    load, waits = 0.8, []
    for replication in range(20):
        rng = np.random.default_rng([2, int(min(10 * shape, 1e6)), replication])
        times = np.cumsum(rng.exponential(1 / load, 60_000))
        work = np.ones(60_000) if math.isinf(shape) else rng.gamma(shape, 1 / shape, 60_000)
        rows = steady(1, times, work)
        waits.append((rows[:, 2] - rows[:, 1]).mean())
    assert_means(waits, load * (1.0 + 1.0 / shape) / (2.0 * (1.0 - load)))


@pytest.mark.parametrize("discipline", ["fifo", "lifo"])
def test_a_finite_room_follows_the_formula(discipline):
    """M/M/c/K: the share refused and the mean wait of the others, which the discipline does not change."""
    servers, room, offered = 4, 10, 3.8
    refused, waits = [], []
    for replication in range(20):
        rng = np.random.default_rng([3, replication])
        times = np.cumsum(rng.exponential(1 / offered, 40_000))
        rows = steady(
            servers, times, rng.exponential(1.0, 40_000), limit=room - servers, discipline=discipline
        )
        shed = rows[:, -1] == SHED
        refused.append(shed.mean())
        waits.append((rows[~shed, 2] - rows[~shed, 1]).mean())
    weights = [offered**n / math.factorial(n) for n in range(servers)]
    weights += [
        offered**n / (math.factorial(servers) * servers ** (n - servers)) for n in range(servers, room + 1)
    ]
    chance = np.array(weights) / sum(weights)
    assert_means(refused, chance[-1])
    queue = sum((n - servers) * chance[n] for n in range(servers, room + 1))
    assert_means(waits, queue / (offered * (1.0 - chance[-1])))


def test_without_waiting_room_the_loss_is_that_of_erlang_b():
    """Whatever the distribution of services: gamma of shape 1/2 here."""
    lost = []
    for replication in range(20):
        rng = np.random.default_rng([4, replication])
        times = np.cumsum(rng.exponential(1 / 6.0, 40_000))
        rows = steady(8, times, rng.gamma(0.5, 2.0, 40_000), limit=0)
        lost.append((rows[:, -1] == SHED).mean())
    assert_means(lost, erlang_b(8, 6.0))


def test_batches_of_one_server_follow_their_embedded_chain():
    """M/D/1 in bulks of up to B (Bailey's queue that starts with one): mean wait from the chain at departures."""
    largest, rate = 4, 3.0  # batches take 1 s: load 0.75
    states = 200
    arrivals = stats.poisson.pmf(np.arange(states), rate)
    move = np.zeros((states, states))
    left = np.maximum(np.arange(states) - largest, 0)
    for x in range(states):
        move[x, left[x] :] = arrivals[: states - left[x]]
        move[x, -1] += 1.0 - move[x].sum()
    chance = np.linalg.matrix_power(move, 4096)[0]
    cycle = 1.0 + chance[0] / rate
    theory = (chance @ (left + rate / 2)) / cycle / rate
    waits = []
    for replication in range(20):
        rng = np.random.default_rng([5, replication])
        times = np.cumsum(rng.exponential(1 / rate, 40_000))
        rows = steady(1, times, np.ones(40_000), max_batch=largest, curve=np.ones(largest))
        waits.append((rows[:, 2] - rows[:, 1]).mean())
    assert_means(waits, theory)


@pytest.mark.parametrize("discipline", ["fifo", "lifo", "shortest_first"])
def test_littles_law(discipline):
    """Requests found waiting and in service at moments spread evenly: rate times wait, and rate times service."""
    gap_queue, gap_service = [], []
    for replication in range(20):
        rng = np.random.default_rng([6, replication])
        times, work = np.cumsum(rng.exponential(1 / 3.2, 5_000)), rng.exponential(1.0, 5_000)
        pools = [CentralPool(discipline=discipline) for _ in range(2)]
        for pool in pools:
            for r in range(4):
                pool.add(r, at=0.0)
            pool.offer(times, work)
        pools[0].advance(math.inf)
        rows = table([pools[0].collect()])
        end = rows[
            :, 3
        ].max()  # nobody is left then, so that the law holds for this run and not just on average
        counts = []
        for moment in rng.uniform(0.0, 1.0) * end / 2_000 + np.arange(2_000) * end / 2_000:
            pools[1].advance(moment)
            counts.append((pools[1].waiting(), pools[1].in_service()))
        queue, service = np.mean(counts, axis=0) * end / len(times)
        gap_queue.append(queue / (rows[:, 2] - rows[:, 1]).mean())
        gap_service.append(service / (rows[:, 3] - rows[:, 2]).mean())
    assert_means(gap_queue, 1.0)
    assert_means(gap_service, 1.0)


# --- a recorded trace ---


def test_recorded_conversations_give_the_reference_table():
    shared = Path(__file__).parents[3] / "shared" / "data"
    path = shared / "llm_conversation_trace.csv.gz"
    if not path.exists():
        pytest.skip(f"the recorded trace is not there: {path.name} in ../shared/data")
    trace = pd.read_csv(path, parse_dates=["TIMESTAMP"])
    times = (trace["TIMESTAMP"] - trace["TIMESTAMP"].iloc[0]).dt.total_seconds().to_numpy()
    work = (0.05 + 0.0002 * trace["ContextTokens"] + 0.015 * trace["GeneratedTokens"]).to_numpy()
    reference = pd.read_csv(shared / "llm_conversation_reference.txt", skiprows=3)
    assert reference["servers"].tolist() == [12, 16, 20, 22, 24, 28, 32, 40]
    for row in reference.itertuples():
        pool = CentralPool()
        for r in range(row.servers):
            pool.add(r, at=0.0)
        rows = drive(pool, times, work, [], block=4096)
        wait, response = rows[:, 2] - rows[:, 1], rows[:, 3] - rows[:, 1]
        span = rows[:, 3].max() - times[0]
        measured = [
            pool.busy().sum() / (row.servers * span),
            wait.mean(),
            *np.quantile(response, [0.5, 0.99]),
            np.quantile(wait, 0.99),
            wait.max(),
        ]
        np.testing.assert_allclose(measured, row[2:], rtol=0, atol=1e-5, err_msg=f"{row.servers} servers")
