"""Design days: they stand for all days, their luck is their own, and what comes by the calendar comes by it."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sim.fleet_days import chosen_days, daily_loads, day_lengths, run_fleet, spread_days, with_weights

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from fleet_cases import fleet_of, ran

TRUST = 0.999
POOL = {"replicas": 3, "service": {"kind": "exponential", "mean": "1s"}}


def design(**fields: Any) -> dict[str, Any]:
    return {"kind": "design_days"} | fields


@pytest.mark.parametrize("horizon", ["10d", "9.5d", "1d", "6h", "2.25d"])
@pytest.mark.parametrize("number", [2, 3, 24])
def test_weights_add_up_to_the_days(horizon: str, number: int) -> None:
    traffic = {"weekly_profile": [1.0, 2.0, 3.0, 3.0, 5.0, 1.0, 0.5]}
    scenario = fleet_of(POOL, rate="1/s", horizon=horizon, window="6h", traffic=traffic)
    loads, lengths = daily_loads(scenario), day_lengths(scenario.horizon)
    for days in (
        spread_days(loads, lengths, number),
        with_weights(loads, lengths, list(range(min(2, len(loads))))),
    ):
        chosen = [day for day, _ in days]
        assert chosen == sorted(set(chosen))
        assert sum(weight * lengths[day] for day, weight in days) == pytest.approx(scenario.horizon)
    assert int(np.argmax(np.where(lengths == lengths.max(), loads, 0))) in dict(
        spread_days(loads, lengths, number)
    )


def test_days_that_are_alike_share_what_they_stand_for() -> None:
    scenario = fleet_of(POOL, rate="1/s", horizon="10d", resolution=design(days=[1, 4, 7]))
    days, said = chosen_days(scenario)
    assert days == [(1, pytest.approx(10 / 3)), (4, pytest.approx(10 / 3)), (7, pytest.approx(10 / 3))]
    assert "3 design days (1, 4, 7), which stand for 10" in said


def test_design_days_have_the_requests_of_these_days() -> None:
    """Those of day 3 in the whole run, when nothing but requests is by chance."""
    pool = {"replicas": 3, "service": "1s"}
    whole = ran(pool, rate="2/s", horizon="5d")
    part = ran(pool, rate="2/s", horizon="5d", resolution=design(days=[3]))
    minutes = whole.intervals().requests.to_numpy()[3 * 1440 : 4 * 1440]
    found = part.intervals()
    np.testing.assert_array_equal(found.requests + found.unfinished, minutes)
    assert part.summary["gpu_hours"] == pytest.approx(whole.summary["gpu_hours"]) == 360.0


def test_where_all_days_are_equal_design_days_give_the_exact_answer() -> None:
    """Waits, P99 and utilisation of twelve days, and of three of them: within the interval of eight replications."""
    found: dict[str, list[float]] = {"mean_wait_s": [], "p99_s": [], "utilisation": [], "served": []}
    fields: dict[str, Any] = {"traffic": {"daily_profile": [1.0, 1.5, 2.0, 1.5]}}
    fields["objective"] = {"p99": "10s", "interval": "1h"}  # by the hour: the load is noted as often
    for seed in range(8):
        exact = ran(POOL, rate="1.2/s", horizon="12d", **fields, seed=seed).summary
        few = ran(
            POOL, rate="1.2/s", horizon="12d", **fields, seed=seed, resolution=design(days=[0, 5, 10])
        ).summary
        for name, differences in found.items():
            differences.append(few[name] / exact[name] - 1.0)
    for name, differences in found.items():
        half = stats.t.ppf(0.5 + TRUST / 2, 7) * np.std(differences, ddof=1) / math.sqrt(8)
        assert abs(np.mean(differences)) < half, name
        assert half < (0.15 if name == "mean_wait_s" else 0.05), name


def test_design_days_have_luck_of_their_own() -> None:
    """Failures of one day are not those of another: else a rare one would happen on all of them or on none."""
    pool = POOL | {"failures": {"between": {"kind": "exponential", "mean": "6h"}, "repair": "10min"}}
    result = ran(pool, rate="1/min", horizon="4d", resolution=design(days=[0, 1, 2, 3]))
    moments = [
        tuple(event.time for event in part.fleet.events if event.kind == "replica failed")
        for part in result.parts
    ]
    assert all(len(found) > 3 for found in moments)
    assert len(set(moments)) == 4


def test_jobs_and_shadows_keep_to_the_calendar() -> None:
    """A job every three days, and a shadow of 36 hours every four: on design days too."""
    fields: dict[str, Any] = {
        "jobs": [{"name": "batch", "duration": "1h", "cadence": "3d", "first": "12h"}],
        "overheads": [{"extra": 0.2, "cadence": "4d", "first": "1d", "lasts": "36h"}],
        "arrivals": "deterministic",
    }
    pool = {"replicas": 4, "service": "1s"}
    whole = ran(pool, rate="1/s", horizon="6d", **fields)
    parts = ran(pool, rate="1/s", horizon="6d", resolution=design(days=[0, 1, 2, 3, 4, 5]), **fields)
    assert parts.jobs.number.tolist() == whole.jobs.number.tolist() == [0, 1]
    asked = [(part.fleet.begin, job.asked) for part in parts.parts for job in part.fleet.jobs]
    assert asked == [(0.0, pytest.approx(0.5)), (3.0, pytest.approx(0.5))]
    busy = [part.fleet.pools[0].worked / 86400.0 for part in parts.parts]
    np.testing.assert_allclose(busy, [1.0, 1.2, 1.1, 1.0, 1.0, 1.2], rtol=1e-3)
    assert parts.summary["utilisation"] == pytest.approx(whole.summary["utilisation"], rel=1e-3)
    assert parts.costs["retrain_compute"] == pytest.approx(whole.costs["retrain_compute"])


def test_a_part_of_a_day_stands_for_itself() -> None:
    scenario = fleet_of(POOL, rate="1/s", horizon="2.5d", window="6h", resolution=design(days=[0, 1, 2]))
    result = run_fleet(scenario)
    assert sum(part.weight * part.days for part in result.parts) == pytest.approx(2.5)
    assert result.summary["gpu_hours"] == pytest.approx(3 * 60.0)
