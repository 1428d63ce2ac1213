"""The pool of language models: against a plain SimPy model token by token, and closed forms.

Statistical tests compare the mean of independent replications with theory within a Student interval that a correct
pool leaves once in 1,000 seeds (TRUST); seeds are fixed.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sim.pool import SERVED, SHED, TIMED_OUT
from sim.pool_replicas import BALANCING
from sim.pool_sequences import Iteration, SequencePool

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from plain_sequences import PlainSequences
from pool_cases import Action, assert_equal_to_twin, columns, drive, random_actions

TRUST = 0.999
ALL = ("central", *BALANCING)


def small_case(
    seed: int, requests: int = 100
) -> tuple[Any, Any, list[Action], float, Iteration, dict[str, Any]]:
    """Odd seeds on a lattice of a 1/256 s, where much happens at the same instant."""
    rng = np.random.default_rng(seed)
    replicas = int(rng.integers(1, 5))
    work = np.column_stack([rng.integers(0, 30, requests), rng.integers(1, 20, requests)])
    options = {
        "key": seed,
        "limit": [None, 0, 1, 3, 8][rng.integers(5)],
        "timeout": float(rng.choice([math.inf, math.inf, 1.0, 3.0])),
    }
    cache, seats = float(rng.choice([45, 80, 1000])), int(rng.choice([1, 2, 4, 8]))
    if seed % 2:
        per_token = (1 / 64, 1 / 256) if seed % 4 == 1 else (0.0, 0.0)  # without: ends meet arrivals often
        iteration = Iteration(cache, seats, 1 / 8, per_token[0], 1 / 16, 1 / 8, per_token[1])
        times, grid = np.sort(rng.integers(0, 60 * requests // 100, requests)) * 0.25, 0.25
    else:
        iteration = Iteration(cache, seats, 0.03, 0.007, 0.02, 0.05, 0.001)
        times, grid = np.cumsum(rng.exponential(0.4 / replicas, requests)), 1e-3
    until = float(times[-1] + rng.choice([0.0, 5.0]))
    return times, work, random_actions(rng, until, replicas, grid), until, iteration, options


@pytest.mark.parametrize("balancing", ALL)
@pytest.mark.parametrize("seed", range(8))
def test_equals_the_plain_model_request_by_request(balancing, seed):
    times, work, actions, until, iteration, options = small_case(seed)
    pool, twin = (kind(iteration, balancing, **options) for kind in (SequencePool, PlainSequences))
    twin.run(times, work, actions, until)
    rng = np.random.default_rng(seed)
    cuts = np.round(rng.uniform(0.0, until, 10) / 0.25) * 0.25
    collected = drive(pool, times, work, actions, until, block=int(rng.choice([1, 7, 50])), cuts=cuts)
    assert_equal_to_twin(pool, collected, twin)


def test_the_small_cases_hold_all_that_can_happen():
    counts = {SERVED: 0, SHED: 0, TIMED_OUT: 0}
    restarts = together = 0
    for seed in range(8):
        times, work, actions, until, iteration, options = small_case(seed)
        pool = SequencePool(iteration, "random", **options)
        found = columns(drive(pool, times, work, actions, until))
        for status in counts:
            counts[status] += int(np.sum(found["status"] == status))
        restarts += pool.restarts
        together += int(np.sum(found["batch"] > 1))
    assert min(*counts.values(), restarts, together) > 10


@pytest.mark.parametrize("balancing", ALL)
def test_blocks_and_calls_change_no_bit(balancing):
    for seed in (20, 21, 22):
        times, work, actions, until, iteration, options = small_case(seed, requests=1500)
        whole = columns(drive(SequencePool(iteration, balancing, **options), times, work, actions, until))
        cuts = np.random.default_rng(seed).uniform(0.0, until, 200)
        for block, moments in ((1, ()), (64, cuts), (10**6, np.concatenate([cuts, times[::7]]))):
            pool = SequencePool(iteration, balancing, **options)
            cut = columns(drive(pool, times, work, actions, until, block=block, cuts=moments))
            for name, column in whole.items():
                assert column.tobytes() == cut[name].tobytes()


@pytest.mark.parametrize("balancing", ALL)
def test_littles_law_holds_exactly(balancing):
    """Iterations of half a second from arrivals on a lattice: the number in the system changes on its points only."""
    rng = np.random.default_rng(1)
    times = np.sort(rng.integers(0, 400, 200)) * 0.25
    work = np.column_stack([rng.integers(0, 30, 200), rng.integers(1, 20, 200)])
    pool = SequencePool(Iteration(90.0, 4, overhead=0.5), balancing, timeout=9.0)
    for number in range(3):
        pool.add(number, 0.0)
    pool.offer(times, work)
    pool.fail(1, 20.0)
    number_in_system = 0
    for moment in np.arange(20.125, 400.0, 0.25):
        pool.advance(moment)
        number_in_system += pool.waiting() + pool.in_service()
    served = pool.collect()
    assert len(served) == 200
    assert np.any(served.status == TIMED_OUT)
    sojourn = np.maximum(served.finish, 20.0) - np.maximum(served.arrival, 20.0)
    assert 0.25 * number_in_system == np.sum(sojourn)


# --- closed forms ---


def lone(iteration: Iteration, balancing: str = "central", **options: Any) -> SequencePool:
    pool = SequencePool(iteration, balancing, **options)
    pool.add(0, 0.0)
    return pool


def test_a_lone_sequence():
    iteration = Iteration(1e6, 8, 0.001, 2e-5, 0.003, 0.02, 1e-4)
    pool = lone(iteration)
    pool.offer([1.0], [[500, 40]])
    pool.advance(100.0)
    served = pool.collect()
    first = 0.001 + 2e-5 * 500 + max(0.003, 0.02 + 1e-4 * 500)
    rest = sum(0.001 + max(0.003, 0.02 + 1e-4 * (500 + written)) for written in range(1, 40))
    assert served.first_token[0] - 1.0 == pytest.approx(first, rel=1e-12)
    assert served.finish[0] - 1.0 == pytest.approx(first + rest, rel=1e-12)
    assert pool.busy()[0] == pytest.approx(first + rest, rel=1e-12)


@pytest.mark.parametrize("per_sequence", [0.0, 0.01], ids=["bound by memory", "bound by compute"])
def test_a_saturated_replica_serves_a_full_batch_in_the_time_of_its_iterations(per_sequence):
    seats, tokens_in, tokens_out, waves = 16, 100, 50, 20
    iteration = Iteration(1e6, seats, 0.001, 2e-5, per_sequence, 0.02, 1e-6)
    pool = lone(iteration)
    pool.offer(np.zeros(seats * waves), np.tile([tokens_in, tokens_out], (seats * waves, 1)))
    pool.advance(1e6)
    served = pool.collect()
    written = np.arange(tokens_out)
    iterations = 0.001 + np.maximum(per_sequence * seats, 0.02 + 1e-6 * seats * (tokens_in + written))
    wave = iterations.sum() + 2e-5 * seats * tokens_in
    assert served.finish.reshape(waves, seats)[:, 0] == pytest.approx(
        wave * np.arange(1, waves + 1), rel=1e-12
    )
    throughput = len(served) / served.finish.max()
    assert throughput == pytest.approx(seats / wave, rel=1e-12)
    assert np.all(served.batch == seats)


def test_a_full_cache_makes_sequences_wait():
    """Room for the full length is reserved: two of 100 tokens fit into 250, though four prompts of 60 would."""
    pool = lone(Iteration(250.0, 8, weights_read=1.0))
    pool.offer([0.0] * 4, [[60, 40]] * 4)
    pool.advance(39.5)
    assert (pool.in_service(), pool.waiting()) == (2, 2)
    pool.advance(1e3)
    served = pool.collect()
    assert served.start.tolist() == [0.0, 0.0, 40.0, 40.0]
    assert served.first_token.tolist() == [1.0, 1.0, 41.0, 41.0]
    assert served.finish.tolist() == [40.0, 40.0, 80.0, 80.0]


def test_a_sequence_that_does_not_fit_holds_up_those_behind_it():
    pool = lone(Iteration(100.0, 8, weights_read=1.0))
    pool.offer([0.0, 0.0, 0.0], [[50, 10], [50, 10], [1, 1]])
    pool.advance(1e3)
    assert pool.collect().start.tolist() == [0.0, 10.0, 10.0]


@pytest.mark.parametrize("balancing", ALL)
def test_a_sequence_longer_than_the_cache_is_refused(balancing):
    pool = SequencePool(Iteration(100.0, 8, weights_read=1.0), balancing)
    pool.offer([0.0, 0.0], [[60, 41], [60, 40]])
    pool.add(0, 0.0)
    pool.advance(1e3)
    assert pool.collect().status.tolist() == [SHED, SERVED]


def test_admission_in_the_middle_of_others_and_the_price_of_a_prompt():
    pool = lone(Iteration(1e3, 8, prefill_per_token=0.01, weights_read=1.0))
    pool.offer([0.0, 1.5], [[0, 4], [100, 2]])
    pool.advance(1e3)
    served = pool.collect()
    assert served.start.tolist() == [0.0, 2.0]
    assert served.first_token.tolist() == [1.0, 4.0]  # an iteration, and a second for 100 tokens
    assert served.finish.tolist() == [5.0, 5.0]
    assert served.batch.tolist() == [1, 2]


def waits(seats: int, tokens_out: Any, iteration_seconds: float, load: float) -> Any:
    found = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        out = tokens_out(rng, 30_000)
        times = np.cumsum(rng.exponential(out.mean() * iteration_seconds / load / seats, len(out)))
        pool = lone(Iteration(1e9, seats, weights_read=iteration_seconds))
        pool.offer(times, np.column_stack([np.zeros(len(out)), out]))
        pool.advance(1e9)
        served = pool.collect()
        found.append(np.mean((served.start - served.arrival)[len(out) // 10 :]))
    return np.array(found)


@pytest.mark.parametrize("law", ["constant", "geometric"])
def test_one_seat_is_an_mg1_queue(law):
    """Pollaczek-Khinchine: the wait is load x (1 + variation squared) / 2 / (1 - load) services."""
    load, mean = 0.7, 20.0
    if law == "constant":
        sample, variation = waits(1, lambda rng, n: np.full(n, mean), 0.5, load), 0.0
    else:
        sample = waits(1, lambda rng, n: rng.geometric(1 / mean, n), 0.5, load)
        variation = 1.0 - 1.0 / mean
    expected = load * (1.0 + variation) / 2.0 / (1.0 - load) * mean * 0.5
    low, high = stats.t.interval(TRUST, len(sample) - 1, np.mean(sample), stats.sem(sample))
    assert low < expected < high


# --- what control does ---


def test_idle_replicas_take_from_the_central_queue_lowest_number_first():
    pool = SequencePool(Iteration(1e3, 1, weights_read=1.0))
    for number in (2, 0, 1):
        pool.add(number, 0.0)
    pool.offer([0.0] * 4, [[0, 2], [0, 1], [0, 3], [0, 1]])
    pool.advance(10.0)
    served = pool.collect()
    assert served.replica.tolist() == [0, 1, 2, 1]
    assert served.start.tolist() == [0.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize("balancing", ["central", "round_robin"])
def test_a_failure_starts_sequences_from_scratch(balancing):
    pool = SequencePool(Iteration(1e3, 8, weights_read=1.0), balancing)
    pool.add(0, 0.0)
    pool.offer([0.0, 0.0], [[0, 10], [0, 2]])
    pool.fail(0, 5.5)
    assert (pool.restarts, pool.waiting(), pool.in_service()) == (1, 1, 0)
    pool.add(1, 7.0)
    pool.advance(50.0)
    served = pool.collect()
    assert served.finish.tolist() == [17.0, 2.0]
    assert served.first_token.tolist() == [8.0, 1.0]
    assert pool.busy().tolist() == [5.5, 10.0]


def test_a_replica_that_comes_back_after_a_failure_is_empty():
    pool = SequencePool(Iteration(1e3, 8, weights_read=1.0), "shortest_queue")
    pool.add(0, 0.0)
    pool.add(1, 0.0)
    pool.offer([0.0, 0.0, 0.5], [[0, 1], [0, 100], [0, 1]])
    pool.fail(1, 0.6)
    pool.add(1, 0.7)
    pool.add(2, 0.7)
    pool.offer([0.8], [[0, 1]])
    pool.advance(200.0)
    assert pool.collect().replica.tolist() == [0, 0, 0, 1]


def test_a_drained_replica_takes_nothing_from_the_central_queue():
    pool = SequencePool(Iteration(1e3, 8, weights_read=1.0))
    pool.add(0, 0.0)
    pool.offer([0.0, 3.0], [[0, 8], [0, 1]])
    pool.drain(0, 2.0)
    pool.advance(8.0)  # what ends at this moment is final
    assert (pool.at_work(0), pool.waiting()) == (False, 1)
    assert pool.collect().finish.tolist() == [8.0]


@pytest.mark.parametrize(
    ("work", "message"),
    [([[1.5, 1.0]], "whole"), ([[1.0, 0.0]], "whole"), ([1.0], r"\(n, 2\)"), ([[-1.0, 1.0]], "work must be")],
)
def test_tokens_that_cannot_be_are_refused(work, message):
    with pytest.raises(ValueError, match=message):
        lone(Iteration(1e3, 8, weights_read=1.0)).offer([0.0], work)


def test_an_iteration_takes_time():
    with pytest.raises(ValueError, match="takes time"):
        Iteration(1e3, 8, per_sequence=1.0)
    with pytest.raises(ValueError, match="max_sequences"):
        Iteration(1e3, 0, overhead=1.0)
    with pytest.raises(ValueError, match="one of: random"):
        SequencePool(Iteration(1e3, 8, overhead=1.0), "best")
