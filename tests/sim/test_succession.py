"""The exact plan of a recorded world: against all plans, and against the published optimum of a real stream."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from scenarios.loader import validate_text
from sim.kernels.succession import cheapest_succession

ROOT = Path(__file__).parents[2]


def every_plan(loss: np.ndarray, price: float) -> list[tuple[float, int, list[int]]]:
    """(total, versions, their numbers from the newest) of all plans, slot by slot in plain Python."""
    n, found = len(loss), []
    for count in range(n):
        for chosen in itertools.combinations(range(1, n), count):
            version, total = 0, price * count
            for slot in range(n):
                version = slot if slot in chosen else version
                total += loss[version, slot]
            found.append((total, count, list(reversed(chosen))))
    return found


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.integers(1, 8), st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([-0.5, 0.0])
)
def test_no_plan_is_cheaper_nor_equal_with_fewer_or_older_versions(n, seed, price, least):
    # One digit makes ties frequent; losses below 0 are gains over the reference.
    loss = np.round(np.random.default_rng(seed).uniform(least, 1.0, (n, n)), 1)
    chosen = cheapest_succession(loss, price, tie=1e-9)
    plans = every_plan(loss, price)
    cheapest = min(total for total, *_ in plans)
    _, best = min((count, versions) for total, count, versions in plans if total < cheapest + 1e-9)
    assert chosen.tolist() == best[::-1]


def test_losses_before_a_version_exists_are_not_read():
    loss = np.array([[0.1, 0.9, 0.9], [np.nan, 0.2, 0.9], [np.nan, np.nan, 0.3]])
    assert cheapest_succession(loss, 0.1).tolist() == [1, 2]
    assert cheapest_succession(loss, 0.6).tolist() == [1]
    assert cheapest_succession(loss, 9.0).tolist() == []


ELECTRICITY = f"""
title: electricity, replayed
horizon: 22184h
window: 472h
value_per_query_per_unit_accuracy: $1
quality: {{kind: recorded, period: 472h, matrix: data/electricity_accuracy_matrix.csv}}
traffic: {{rate: {24 / 472!r}/d, arrivals: deterministic}}
pipeline:
  stages: {{data_validation: 0h, training: 0h, evaluation: 0h, registration: 0h, deployment: 0h}}
"""


@pytest.mark.parametrize(
    ("price", "cost", "retrains", "accuracy"),
    [(0.02, 10.586571, 19, 0.782839), (0.1, 11.522037, 7, 0.769744), (1.0, 13.312499, 1, 0.738032)],
)
@pytest.mark.parametrize("window", [472, 8])
def test_the_oracle_reaches_the_published_optimum_of_a_recorded_stream(
    price, cost, retrains, accuracy, window
):
    overrides = {"window": f"{window}h", "pipeline.cost": {"compute": f"${price}"}}
    result = sim.run(validate_text(ELECTRICITY, base_dir=ROOT / "scenarios", overrides=overrides), "oracle")
    assert result.summary["deployments"] == retrains
    assert result.summary["mean_accuracy"] == pytest.approx(accuracy, abs=5e-7)
    assert result.summary["total_cost"] == pytest.approx(cost, abs=5e-6)
