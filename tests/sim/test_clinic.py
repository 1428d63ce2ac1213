"""The clinicians' queue: waits against Erlang's formulas, ranks, and working hours."""

from __future__ import annotations

import math

import numpy as np
import pytest
import simpy

from analysis.queueing import mmc_mean_wait
from scenarios.working_hours import WorkingHours
from sim.clinic import Clinic

ALWAYS = WorkingHours(start="0h", end="24h", days=7)


def mean_wait(load: float, people: int, seed: int, tasks: int = 3000) -> float:
    """Mean wait of Poisson tasks of exponential length, mean 0.01 days, around the clock."""
    luck, env, waits = np.random.default_rng(seed), simpy.Environment(), []
    clinic = Clinic(env, people, ALWAYS, lambda *_: None)
    clinic.start()

    def come():
        for _ in range(tasks):
            yield env.timeout(luck.exponential(0.01 / (load * people)))
            asked = env.now
            clinic.ask(
                1, "review", luck.exponential(0.01), lambda _, taken, asked=asked: waits.append(taken - asked)
            )

    env.process(come())
    env.run()
    assert len(waits) == tasks
    return float(np.mean(waits))


@pytest.mark.parametrize("people", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_poisson_reviews_wait_as_erlang_says(people):
    found = [mean_wait(0.6, people, seed) for seed in range(10)]
    expected = float(mmc_mean_wait(arrival_rate=60.0 * people, service_time=0.01, servers=people))
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    assert error < 0.06 * expected
    # 4 standard errors with 9 degrees of freedom: one false alarm in 300.
    assert abs(np.mean(found) - expected) < 4.0 * error


def test_ranks_hours_and_unfinished_work():
    env, done, log = simpy.Environment(), [], []
    clinic = Clinic(env, 1, WorkingHours(), lambda *row: log.append(row))
    clinic.start()

    def come():
        yield env.timeout(4.6)  # Friday afternoon
        for rank, name, hours in (
            (2, "visit", 4.0),
            (1, "review", 1.0),
            (0, "alert", 0.5),
            (0, "second", 0.5),
        ):
            clinic.ask(
                rank, name, hours / 24, lambda who, at, name=name: done.append((name, who, at, env.now))
            )

    env.process(come())
    env.run(until=14)
    # All were asked at one moment: the most urgent goes first.
    assert [row[0] for row in done] == ["alert", "second", "review", "visit"]
    assert {row[1] for row in done} == {"clinician 1"}
    _, _, taken, ended = done[-1]
    assert taken < 4 + 17 / 24 < 7 + 9 / 24 < ended
    assert sum(end - start for _, _, start, end in log) == pytest.approx(6.0 / 24)
    assert all(
        ALWAYS.open_at(start) and start % 1 >= 9 / 24 - 1e-9 and end % 1 <= 17 / 24 + 1e-9
        for *_, start, end in log
    )
