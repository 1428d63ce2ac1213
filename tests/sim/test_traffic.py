"""Requests per window. Statistical checks use fixed seeds and limits of 5 standard errors (error rate 6e-7 each)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from sim.traffic import expected_requests
from sim.world import World


def scenario(horizon: str = "28d", window: str = "1h", **traffic: Any) -> Scenario:
    return validate_mapping(
        {
            "title": "traffic",
            "horizon": horizon,
            "window": window,
            "value_per_query_per_unit_accuracy": "$1",
            "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
            "traffic": {"arrivals": "deterministic", **traffic},
        }
    )


def requests(seed: int = 0, replication: int = 0, **given: Any) -> np.ndarray:
    return World(scenario(**given), seed, replication).requests


def test_a_constant_rate_is_exact():
    assert np.all(requests(rate="2400/d") == 100.0)
    assert requests(rate="12/s", window="7h", horizon="28d") == pytest.approx(12 * 7 * 3600)
    assert np.all(requests(rate="36/d") == 1.5), "expected numbers are not rounded"


# ---------------------------------------------------------------- shapes of the rate


@pytest.mark.parametrize("window", ["1h", "2h", "12h", "1d"])
def test_a_daily_profile_keeps_the_mean_whatever_the_window(window):
    profile = [0.4, 0.5, 1.2, 1.4, 1.7, 0.8]
    found = requests(rate="2400/d", daily_profile=profile, window=window)
    assert found.reshape(28, -1).sum(axis=1) == pytest.approx(np.full(28, 2400.0))


@pytest.mark.parametrize("window", ["1h", "1d", "7d"])
def test_a_weekly_profile_keeps_the_mean_whatever_the_window(window):
    found = requests(rate="2400/d", weekly_profile=[3, 1, 1, 0.5, 1, 0.5, 0], window=window)
    assert found.reshape(4, -1).sum(axis=1) == pytest.approx(np.full(4, 7 * 2400.0))


def test_profiles_place_the_requests():
    daily = requests(rate="2400/d", daily_profile=[0, 1, 3], window="8h")
    assert daily[:6].tolist() == [0.0, 600.0, 1800.0] * 2
    weekly = requests(rate="2400/d", weekly_profile=[0, 0, 0, 7, 0, 0, 7], window="1d")
    assert weekly[:7].tolist() == [0, 0, 0, 8400.0, 0, 0, 8400.0]
    both = requests(rate="2400/d", daily_profile=[0, 2], weekly_profile=[7, 0, 0, 0, 0, 0, 0], window="12h")
    assert both[:4].tolist() == [0.0, 7 * 2400.0, 0.0, 0.0]


def test_growth_compounds_over_the_years():
    found = requests(rate="1000/d", growth_per_year=0.2, horizon="730d", window="1d")
    times = np.arange(730) + 0.5
    assert found == pytest.approx(1000 * 1.2 ** (times / 365))
    assert found[365:].sum() / found[:365].sum() == pytest.approx(1.2)
    assert requests(rate="1000/d", growth_per_year=-0.5, horizon="365d", window="1d")[-1] < 501


def test_campaigns_multiply_while_they_last():
    campaigns = [
        {"start": "2d", "duration": "3d", "factor": 4},
        {"start": "4d", "duration": "5d", "factor": 0.5},
    ]
    found = requests(rate="10/d", window="1d", horizon="10d", campaigns=campaigns)
    assert found.tolist() == [10, 10, 40, 40, 20, 5, 5, 5, 5, 10]


# ---------------------------------------------------------------- recorded traffic


def test_a_record_is_replayed_and_repeated():
    recorded = {"step": "1h", "values": [5.0, 7.0, 11.0]}
    assert requests(recorded=recorded, horizon="8h").tolist() == [5, 7, 11, 5, 7, 11, 5, 7]
    finer_windows = requests(recorded=recorded, horizon="6h", window="30min")
    assert finer_windows == pytest.approx(np.repeat([5, 7, 11, 5, 7, 11], 2) / 2)


@pytest.mark.parametrize("step", ["20min", "30min", "90min"])
def test_a_record_keeps_its_total_whatever_the_window(step):
    values = [1.0, 2.0, 30.0, 4.0]
    found = requests(recorded={"step": step, "values": values}, horizon="12h")
    steps = 12 * 60 / int(step.removesuffix("min"))
    assert found.sum() == pytest.approx(steps / len(values) * sum(values))


# ---------------------------------------------------------------- randomness


def test_arrivals_are_poisson():
    given = {"rate": "2400/d", "arrivals": "poisson", "daily_profile": [0.01, 1.99], "horizon": "300d"}
    found, mean = requests(**given), expected_requests(scenario(**given))
    assert np.array_equal(found, np.round(found))
    dispersion = ((found - mean) ** 2 / mean).sum()
    windows = len(found)
    assert found.sum() == pytest.approx(mean.sum(), abs=5 * math.sqrt(mean.sum()))
    # the fourth moment of a Poisson count of mean 1 adds 1/mean to the variance 2 of a chi-square term
    error = math.sqrt((2 + 1 / mean).sum())
    assert dispersion == pytest.approx(windows, abs=5 * error)
    high = found[mean > 100]
    assert chi2.ppf(3e-7, len(high)) < ((high - 199) ** 2 / 199).sum() < chi2.isf(3e-7, len(high))


def bursts(rate: str = "1/d", duration: str = "2h", factor: float = 11.0) -> dict[str, Any]:
    return {"rate": rate, "duration": duration, "factor": factor}


def test_bursts_multiply_the_rate_for_a_while():
    found = requests(rate="240/d", bursts=bursts(rate="0.1/d", duration="5h"), horizon="200d")
    assert found.min() == 10.0
    assert found.max() == pytest.approx(110.0)
    assert 0.005 < np.mean(found > 10.0) < 0.1


@pytest.mark.parametrize("window", ["15min", "1h", "6h"])
def test_bursts_bring_as_many_requests_as_they_last_whatever_the_window(window):
    # 40 replications of 2000 days have 4000 bursts: the standard error is 1.6 % and 5 of them are 8 %.
    # Bursts are rare, so that overlaps hide less than 0.5 % of the extra requests.
    days, rate, hours, factor = 2000, 0.05, 2, 11.0
    total = sum(
        requests(
            replication=replication,
            rate="960/d",
            bursts=bursts(f"{rate}/d", f"{hours}h", factor),
            horizon=f"{days}d",
            window=window,
        ).sum()
        for replication in range(40)
    )
    extra = total / (40 * 960 * days) - 1
    expected = rate * (hours / 24) * (factor - 1)
    assert extra == pytest.approx(expected, rel=5 / math.sqrt(40 * rate * days) + 0.005)


def test_bursts_and_arrivals_have_streams_of_their_own():
    calm = requests(rate="2400/d", arrivals="poisson")
    rare = requests(rate="2400/d", arrivals="poisson", bursts=bursts(rate="1e-9/d"))
    assert np.array_equal(calm, rare)
    quiet = requests(rate="2400/d", bursts=bursts())
    noisy = requests(rate="2400/d", arrivals="poisson", bursts=bursts())
    whole = (quiet == 100.0) | (quiet == 1100.0)
    assert np.array_equal(noisy[whole] > 500, quiet[whole] > 500)
    assert 0 < np.mean(quiet[whole] > 500) < 1


def test_traffic_is_a_function_of_seed_and_replication():
    given = {"rate": "2400/d", "arrivals": "poisson"}
    assert np.array_equal(requests(3, 5, **given), requests(3, 5, **given))
    assert not np.array_equal(requests(3, 5, **given), requests(4, 5, **given))
    assert not np.array_equal(requests(3, 5, **given), requests(3, 6, **given))
