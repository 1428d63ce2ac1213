"""Jobs of a fleet: they wait for GPUs, take and give back, are interrupted, and lose what was not saved.

Statistical tests compare with theory within an interval that a correct fleet leaves once in 1,000 seeds (TRUST); seeds
are fixed, so that a pass stays a pass.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simpy
from scipy import stats

from sim.fleet_result import FleetResult
from sim.gpus import Gpus

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from fleet_cases import ran, times_of

TRUST = 0.999
HOUR, MINUTE = 1.0 / 24.0, 1.0 / 1440.0
POOL = {"replicas": 4, "service": "1s"}
OFTEN = {"objective": {"p99": "1h", "interval": "1h"}}
"""An objective by the hour: the load is noted as often."""


def job(**fields: Any) -> dict[str, Any]:
    return {"name": "training", "duration": "1h", "cadence": "30d", "pool": "main", "gpus": 2} | fields


def moments(result: FleetResult, kind: str, subject: str = "main") -> np.ndarray:
    return np.array(times_of(result, kind, subject)) / HOUR


# --- GPUs ---


def test_a_job_lets_go_once() -> None:
    """Two claims in one instant: the process of the job that was interrupted by the first has not been heard yet."""
    gpus = Gpus(simpy.Environment(), 4)
    interrupted = []
    assert gpus.take(4)

    def interrupt() -> None:
        interrupted.append(True)
        gpus.release(4)

    with gpus.interruptible(4, 0, interrupt):
        assert [gpus.take(1, 100) for _ in range(5)] == [True] * 4 + [False]
    assert interrupted == [True]
    assert gpus.free == 0


def test_the_latest_of_the_lower_is_interrupted_first() -> None:
    gpus = Gpus(simpy.Environment(), 6)
    order: list[str] = []
    assert gpus.take(6)

    def holder(name: str) -> Any:
        return lambda: (order.append(name), gpus.release(2))

    with (
        gpus.interruptible(2, 5, holder("first")),
        gpus.interruptible(2, 50, holder("important")),
        gpus.interruptible(2, 5, holder("second")),
    ):
        assert gpus.take(1, 10)
        assert order == ["second"]
        assert gpus.take(3, 10)
        assert order == ["second", "first"]
        assert not gpus.take(1, 10)


def test_what_the_more_important_wait_for_is_left_to_them() -> None:
    gpus = Gpus(simpy.Environment(), 4)
    with gpus.waiting(3, 10):
        assert not gpus.take(2, 5)
        assert gpus.take(1, 5)
        assert gpus.take(3, 10)


# --- in a pool ---


def test_a_job_of_higher_priority_takes_replicas_and_gives_them_back() -> None:
    result = ran(POOL, rate="1/min", horizon="4h", jobs=[job(priority=200, first="1h")])
    record = result.jobs.iloc[0]
    assert record.started_days == pytest.approx(HOUR, abs=3.0 / 86400.0)
    assert record.finished_days == pytest.approx(record.started_days + HOUR)
    load = result.load()
    during = (load.time_days > HOUR + 2 * MINUTE) & (load.time_days < 2 * HOUR)
    np.testing.assert_allclose(load.ready[during], 2.0)
    np.testing.assert_allclose(moments(result, "replica launched")[4:], record.finished_days / HOUR)
    np.testing.assert_allclose(moments(result, "replica up")[4:], record.finished_days / HOUR + 2.0 / 60.0)
    assert load.ready.iloc[-1] == pytest.approx(4.0)
    price = result.scenario.serving.pools[0].price
    assert result.costs["retrain_compute"] == pytest.approx(2 * HOUR * price)


def test_two_important_jobs_both_get_theirs() -> None:
    """The less important asked first, and the other took the GPUs that were given up for it: it asks for more."""
    jobs = [
        job(name="first", priority=150, first="1h"),
        job(name="second", priority=200, first="3600.2s"),
    ]
    result = ran({"replicas": 4, "service": "2s"}, rate="20/min", horizon="4h", jobs=jobs)
    table = result.jobs.set_index("name")
    assert table.started_days.max() < HOUR + MINUTE
    assert result.load().ready.iloc[-1] == pytest.approx(4.0)


def test_a_lower_job_uses_what_the_autoscaler_leaves_and_is_interrupted_by_it() -> None:
    """Two of four GPUs are free from 1:00; at 6:00 the pool is planned to have all of them, until 9:00."""
    plan = [{"at": f"{hour}h", "replicas": size} for hour, size in ((0, 4), (1, 2), (6, 4), (9, 2))]
    autoscaler = {"kind": "scheduled", "plan": plan, "maximum": 4, "cold_start": "2min", "cool_down": "0s"}
    jobs = [job(duration="8h", checkpoint="1h", checkpoint_cost="6min", restart="3min")]
    result = ran(POOL | {"autoscaler": autoscaler}, rate="1/min", horizon="16h", jobs=jobs)
    record = result.jobs.iloc[0]
    assert record.started_days == pytest.approx(HOUR, abs=1.5 * MINUTE)
    assert record.interruptions == 1
    # Interrupted at 5:57 or 5:58 after some 4 h 57 min: four checkpoints of 66 min are done, half an hour is lost.
    interrupted = moments(result, "job interrupted", "training")[0]
    assert interrupted == pytest.approx(6.0 - 2.0 / 60.0, abs=1.1 / 60.0)
    worked = interrupted - record.started_days / HOUR
    assert record.lost_days / HOUR == pytest.approx(worked - 4 * 1.1)
    again = moments(result, "job started", "training")[1]
    assert again == pytest.approx(9.0, abs=1.5 / 60.0)
    # Four hours are left, with three more checkpoints, and the time to begin again.
    assert record.finished_days / HOUR == pytest.approx(again + 4.0 + 0.3 + 0.05)
    held = worked + record.finished_days / HOUR - again
    assert record.gpu_days == pytest.approx(2 * held * HOUR)
    np.testing.assert_allclose(result.load().ready.iloc[-1], 2.0)


def test_a_job_that_nothing_may_interrupt_keeps_its_gpus() -> None:
    plan = [{"at": "1h", "replicas": 2}, {"at": "6h", "replicas": 4}]
    autoscaler = {"kind": "scheduled", "plan": plan, "maximum": 4, "cold_start": "2min", "cool_down": "0s"}
    jobs = [job(duration="8h", preemptible=False)]
    result = ran(POOL | {"autoscaler": autoscaler}, rate="1/min", horizon="12h", jobs=jobs)
    record = result.jobs.iloc[0]
    assert record.interruptions == 0
    assert record.finished_days == pytest.approx(record.started_days + 8 * HOUR)
    up = moments(result, "replica up")[4:]
    np.testing.assert_allclose(up, record.finished_days / HOUR + 2.0 / 60.0, atol=1.1 / 60.0)
    assert result.pools().loc["main", "refused"] > 0


def test_jobs_never_hold_more_than_there_is() -> None:
    """A busy pool with failures, an autoscaler and three kinds of jobs: whatever happens, GPUs are held once."""
    autoscaler = {"kind": "target_utilisation", "minimum": 1, "maximum": 6, "cold_start": "1min"}
    pool = {"replicas": 3, "service": {"kind": "exponential", "mean": "4s"}, "autoscaler": autoscaler}
    pool["failures"] = {"between": {"kind": "exponential", "mean": "2h"}, "repair": "10min"}
    pool["spot"] = {"share": 0.5, "lifetime": {"kind": "exponential", "mean": "3h"}}
    random = {"kind": "exponential", "mean": "20min"}
    jobs = [
        job(name="low", duration=random, cadence=None, rate="1/h", gpus=2),
        job(name="lower", duration=random, cadence=None, rate="1/h", gpus=1, priority=-5, checkpoint="5min"),
        job(name="high", duration=random, cadence=None, rate="8/d", gpus=3, priority=200),
    ]
    result = ran(pool, rate="0.5/s", horizon="2d", jobs=jobs)
    held = {"replicas": 0, "jobs": 0}
    gpus = {"low": 2, "lower": 1, "high": 3}
    events = result.events
    order = {"replica gone": 0, "job interrupted": 0, "job done": 0}
    rows = sorted(events.itertuples(), key=lambda row: (row.time_days, order.get(row.kind, 1)))
    for row in rows:
        change = {
            "replica launched": 1,
            "replica gone": -1,
            "job started": 1,
            "job interrupted": -1,
            "job done": -1,
        }
        step = change.get(row.kind, 0)
        if row.kind.startswith("job"):
            held["jobs"] += step * gpus[row.subject]
        else:
            held["replicas"] += step
        assert held["replicas"] + held["jobs"] <= 6
        assert min(held.values()) >= 0
    done = result.jobs[np.isfinite(result.jobs.finished_days)]
    assert set(done.name) == set(gpus)
    assert result.jobs.interruptions.sum() > 5
    assert result.jobs.gpu_days.sum() * 24.0 == pytest.approx(
        result.costs["retrain_compute"] / (result.scenario.serving.pools[0].price / 24.0)
    )


def test_a_job_that_the_end_cuts_off_is_paid_for() -> None:
    own = {"name": "own", "duration": "10h", "cadence": "30d", "gpus": 4}
    result = ran(POOL, rate="1/min", horizon="3h", jobs=[own, job(priority=200, duration="10h", first="1h")])
    table = result.jobs.set_index("name")
    assert table.gpu_days["own"] == pytest.approx(4 * 3 * HOUR)
    assert table.gpu_days["training"] == pytest.approx(2 * 2 * HOUR, abs=1e-4)
    assert table.cost.sum() == pytest.approx(result.costs["retrain_compute"])
    assert table.finished_days.isna().all()


# --- hardware of its own ---


def expected_time(work: float, mean: float) -> float:
    """Of work that begins anew after interruptions at exponential times: (e^(work/mean) - 1) mean."""
    return math.expm1(work / mean) * mean


@pytest.mark.parametrize("pieces", [1, 5])
def test_checkpoints_save_what_theory_says(pieces: int) -> None:
    """Ten hours of work on spot capacity of 8 hours: restart from scratch, and from checkpoints of 6 minutes.

    Of n pieces all but the last have the cost of a checkpoint; 600 jobs, and the interval of their mean.
    """
    spot = {"lifetime": {"kind": "exponential", "mean": "8h"}, "replacement": "0s"}
    training = {"name": "spot", "duration": "10h", "cadence": "1h", "spot": spot}
    cost = 0.0
    if pieces > 1:
        cost = 0.1
        training |= {"checkpoint": "2h", "checkpoint_cost": "6min"}
    result = ran(POOL, rate="1/h", horizon="45d", jobs=[training], **OFTEN)
    table = result.jobs.iloc[:600]
    assert np.isfinite(table.finished_days).all()
    took = (table.finished_days - table.asked_days).to_numpy() / HOUR
    theory = (pieces - 1) * expected_time(10.0 / pieces + cost, 8.0) + expected_time(10.0 / pieces, 8.0)
    half = stats.norm.ppf(0.5 + TRUST / 2) * took.std(ddof=1) / math.sqrt(len(took))
    assert half < 0.15 * theory
    assert abs(took.mean() - theory) < half
    # All of that time is paid for, at the discount of spot capacity.
    np.testing.assert_allclose(table.gpu_days / HOUR, took, rtol=1e-9)
    price = result.scenario.serving.jobs[0].hardware.price
    np.testing.assert_allclose(table.cost, table.gpu_days * price * 0.3, rtol=1e-9)
    # What it took is the work, what was lost, and checkpoints, of those that were interrupted while written a part.
    checkpoints = took - 10.0 - table.lost_days / HOUR
    assert np.all(checkpoints >= (pieces - 1) * cost - 1e-6)


def test_a_job_on_many_accelerators_breaks_as_often_as_any_of_them() -> None:
    failures = {"between": {"kind": "exponential", "mean": "160h"}, "repair": "0s"}
    training = {"name": "wide", "duration": "10h", "cadence": "1h", "gpus": 16, "failures": failures}
    result = ran(POOL, rate="1/h", horizon="30d", jobs=[training], **OFTEN)
    took = (result.jobs.finished_days - result.jobs.asked_days).iloc[:400].to_numpy() / HOUR
    half = stats.norm.ppf(0.5 + TRUST / 2) * took.std(ddof=1) / math.sqrt(len(took))
    assert abs(took.mean() - expected_time(10.0, 10.0)) < half
