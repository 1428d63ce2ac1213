"""Requests one by one. Statistical checks use fixed seeds and limits of 5 standard errors (error rate 6e-7 each)."""

from __future__ import annotations

import gzip
import math
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest, spearmanr

from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from scenarios.units import SECONDS_PER_DAY
from sim.arrivals import BLOCK, Arrivals, Block, arrivals_of
from sim.fractional_noise import fractional_noise
from sim.request_sizes import mean_number
from sim.traffic import expected_requests
from sim.world import World

TRACE = Path(__file__).parents[3] / "shared" / "data" / "llm_conversation_trace.csv.gz"
PROFILE = [0.2, 0.2, 0.4, 1.0, 1.8, 2.4]


def scenario(
    process: Any = "poisson",
    *,
    horizon: str = "4d",
    window: str = "1h",
    sizes: dict[str, Any] | None = None,
    rate: str = "100k/d",
    **traffic: Any,
) -> Scenario:
    source = {} if "recorded" in traffic else {"rate": rate}
    return validate_mapping(
        {
            "title": "arrivals",
            "horizon": horizon,
            "window": window,
            "value_per_query_per_unit_accuracy": "$1",
            "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
            "traffic": {**source, **traffic},
            "serving": {
                "arrivals": process,
                "sizes": sizes or {},
                "pools": [{"service": "12ms"}],
            },
        }
    )


def joined(blocks: Any) -> Block:
    found = list(blocks)
    return Block(np.concatenate([b.times for b in found]), np.concatenate([b.work for b in found]))


def requests(given: Scenario, seed: int = 0, replication: int = 0) -> Block:
    return joined(Arrivals.of(World(given, seed, replication)).blocks())


def counts_of(times: np.ndarray, given: Scenario) -> np.ndarray:
    edges = np.arange(given.windows + 1) * (given.window * SECONDS_PER_DAY)
    return np.diff(np.searchsorted(times, edges))


# ---------------------------------------------------------------- the counts are the world's

BURSTS = {"rate": "1/d", "factor": 5, "duration": "2h"}
PROCESSES: list[tuple[Any, dict[str, Any]]] = [
    ("poisson", {}),
    ("poisson", {"daily_profile": PROFILE, "bursts": BURSTS}),
    ("poisson", {"window": "1d", "rate": "1M/d"}),
    ("poisson", {"window": "1min", "rate": "100/d", "daily_profile": [0, 1]}),
    ("poisson", {"arrivals": "deterministic", "window": "1min", "rate": "999/d"}),
    ("poisson", {"recorded": {"step": "6h", "values": [10, 0, 7000]}}),
    ({"kind": "self_similar", "cv": 1.0, "step": "5min"}, {"daily_profile": PROFILE}),
    ({"kind": "self_similar", "cv": 1.0, "step": "3h"}, {}),
    ({"kind": "renewal", "cv": 3.0}, {"daily_profile": PROFILE, "bursts": BURSTS}),
    ({"kind": "renewal", "cv": 0.2}, {"daily_profile": [0, 1, 1]}),
]


@pytest.mark.parametrize(("process", "given"), PROCESSES)
def test_each_window_has_the_requests_of_the_world(process, given):
    written = scenario(process, **given)
    world = World(written, seed=3, replication=1)
    found = joined(Arrivals.of(world).blocks())
    assert np.all(np.diff(found.times) >= 0.0)
    assert found.times[0] >= 0.0
    assert found.times[-1] < written.horizon * SECONDS_PER_DAY
    wanted = world.requests
    if given.get("arrivals") == "deterministic":
        assert np.max(np.abs(np.cumsum(counts_of(found.times, written)) - np.cumsum(wanted))) < 1.0
    else:
        np.testing.assert_array_equal(counts_of(found.times, written), wanted)
    assert found.work.shape == (len(found.times), 1)


@pytest.mark.parametrize(("process", "given"), PROCESSES)
def test_a_day_has_the_same_requests_alone(process, given):
    written = scenario(process, **given, sizes={"work": {"kind": "lognormal", "median": 0.8, "p95": 3}})
    world = World(written, seed=5)
    whole = requests(written, seed=5)
    start, end = 1.5 * SECONDS_PER_DAY, 3.0 * SECONDS_PER_DAY
    part = joined(Arrivals.of(world).blocks(start, end))
    inside = (whole.times >= start) & (whole.times < end)
    np.testing.assert_array_equal(part.times, whole.times[inside])
    np.testing.assert_array_equal(part.work, whole.work[inside])
    later = joined(arrivals_of(world, 1.5, 1.5))
    np.testing.assert_array_equal(later.times, part.times - start)


def test_requests_follow_the_seed_and_the_replication_alone():
    given = scenario(rate="10k/d")
    assert np.array_equal(requests(given, 1, 2).times, requests(given, 1, 2).times)
    assert not np.array_equal(requests(given, 1, 2).times[:9], requests(given, 1, 3).times[:9])


# ---------------------------------------------------------------- the processes


def test_poisson_moments_are_uniform_and_distances_exponential():
    found = requests(scenario(rate="20k/d", window="6h"), seed=1)
    gaps = np.diff(found.times)
    assert kstest(gaps / gaps.mean(), "expon").pvalue > 1e-6
    assert kstest(np.mod(found.times, 21_600.0) / 21_600.0, "uniform").pvalue > 1e-6


def test_a_window_of_more_requests_than_a_block_is_cut_up():
    world = World(scenario(rate="1M/d", window="1d", horizon="1d"), seed=2)
    blocks = list(Arrivals.of(world).blocks())
    assert max(len(block.times) for block in blocks) < 1.1 * BLOCK
    found = joined(blocks)
    assert kstest(found.times / SECONDS_PER_DAY, "uniform").pvalue > 1e-6
    gaps = np.diff(found.times)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=5.0 / math.sqrt(len(gaps)) * 1.5)


def test_deterministic_requests_come_at_even_distances():
    found = requests(scenario("deterministic", rate="86400/d", horizon="1d"))
    np.testing.assert_allclose(found.times[:-1], np.arange(1, 86_400), rtol=0, atol=1e-6)
    third = requests(scenario("deterministic", rate="86400/d", horizon="1d", daily_profile=[0, 1, 2]))
    gaps = np.diff(third.times)
    assert gaps[:20_000] == pytest.approx(1.0, abs=1e-6)
    assert gaps[40_000:] == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("cv", [0.3, 1.0, 3.0])
def test_renewal_distances_have_the_variation_asked_for_and_no_memory(cv):
    found = requests(scenario({"kind": "renewal", "cv": cv}, rate="200k/d", horizon="1d"), seed=4)
    gaps = np.diff(found.times)
    n = len(gaps)
    # Standard error of a coefficient of variation of gamma numbers, by the delta method.
    error = cv * math.sqrt((0.5 + cv**2 + 3.0 * cv**2 / 4.0) / n) * 1.5
    assert gaps.std() / gaps.mean() == pytest.approx(cv, abs=5.0 * error)
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 5.0 / math.sqrt(n)
    assert n == pytest.approx(200_000, abs=5.0 * cv * math.sqrt(200_000))


def test_renewal_counts_are_as_expected_from_the_first_window_on():
    given = scenario({"kind": "renewal", "cv": 2.0}, rate="2400/d", horizon="1d")
    counts = np.array([World(given, seed=0, replication=r).requests for r in range(200)])
    assert counts.mean(axis=0) == pytest.approx(
        np.full(24, 100.0), abs=5.0 * 2.0 * 10.0 / math.sqrt(200) * 1.1
    )


def test_fractional_noise_has_its_covariance():
    noise = np.array([fractional_noise(64, 0.8, np.random.default_rng(seed)) for seed in range(20_000)])
    for lag in (0, 1, 5, 40):
        wanted = 0.5 * ((lag + 1) ** 1.6 - 2 * lag**1.6 + abs(lag - 1) ** 1.6)
        products = noise[:, 3] * noise[:, 3 + lag]
        assert products.mean() == pytest.approx(wanted, abs=5.0 * products.std() / math.sqrt(len(noise)))
    sums = noise.sum(axis=1)
    assert sums.var() == pytest.approx(64**1.6, rel=5.0 * math.sqrt(2.0 / len(noise)))


def test_self_similar_traffic_stays_bursty_when_it_is_summed():
    def dispersion(process: Any) -> np.ndarray:
        given = scenario(process, horizon="40d", rate="1M/d", window="10min")
        counts = World(given, seed=1).requests
        return np.array([np.var(c := counts.reshape(-1, k).sum(axis=1)) / c.mean() for k in (1, 16)])

    poisson = dispersion("poisson")
    bursty = dispersion({"kind": "self_similar", "hurst": 0.9, "cv": 0.5, "step": "10min"})
    assert poisson == pytest.approx([1.0, 1.0], abs=0.4)
    assert bursty[0] > 1000.0
    # The dispersion of sums of k steps grows as k ** (2 hurst - 1).
    assert 0.4 < math.log(bursty[1] / bursty[0]) / math.log(16) < 0.95


def test_mean_rate_of_self_similar_traffic_is_that_of_the_scenario():
    given = scenario({"kind": "self_similar", "hurst": 0.6, "cv": 0.4}, horizon="10d")
    total = [World(given, seed=0, replication=r).requests.sum() for r in range(40)]
    assert np.mean(total) == pytest.approx(1e6, abs=5.0 * np.std(total) / math.sqrt(40))


# ---------------------------------------------------------------- sizes


def test_sizes_have_their_distribution_and_rank_correlation():
    sizes = {
        "tokens_in": {"kind": "lognormal", "median": 1000, "p95": 5000},
        "tokens_out": {"kind": "quantiles", "values": [10, 100, 200, 900]},
        "rank_correlation": 0.5,
    }
    given = scenario(sizes=sizes, horizon="1d")
    found = requests(given, seed=6)
    n = len(found.times)
    assert found.work.shape == (n, 2)
    assert np.mean(found.work[:, 0] <= 1000) == pytest.approx(0.5, abs=5.0 * 0.5 / math.sqrt(n) + 1e-3)
    assert np.mean(found.work[:, 0] <= 5000) == pytest.approx(0.95, abs=5.0 * 0.22 / math.sqrt(n))
    assert np.quantile(found.work[:, 1], [1 / 3, 2 / 3]) == pytest.approx([100, 200], abs=5)
    assert spearmanr(found.work)[0] == pytest.approx(0.5, abs=5.0 / math.sqrt(n))
    assert found.work[:, 1].mean() == pytest.approx(
        mean_number(given.serving.sizes.tokens_out), abs=5.0 * found.work[:, 1].std() / math.sqrt(n)
    )
    assert np.all(found.work == np.rint(found.work))


def test_more_detail_in_the_sizes_leaves_the_moments_alone():
    alike = requests(scenario(horizon="1d"))
    differing = requests(scenario(horizon="1d", sizes={"work": {"kind": "lognormal", "median": 1, "p95": 2}}))
    np.testing.assert_array_equal(alike.times, differing.times)
    assert np.all(alike.work == 1.0)


def test_recorded_sizes_follow_the_hour(tmp_path):
    (tmp_path / "sizes.csv").write_text(
        "tokens_in_q0,tokens_in_q100,tokens_out_q0,tokens_out_q100\n100,100,10,20\n900,900,10,20\n"
    )
    sizes = {"recorded": {"step": "6h", "path": str(tmp_path / "sizes.csv")}}
    found = requests(scenario(sizes=sizes, horizon="1d"))
    assert set(found.work[found.times < 21_600, 0]) == {100.0}
    assert set(found.work[(found.times >= 21_600) & (found.times < 43_200), 0]) == {900.0}
    assert set(found.work[:, 1]) == set(range(10, 21))


# ---------------------------------------------------------------- traces


def trace(path: Path, **given: Any) -> dict[str, Any]:
    return {"kind": "trace", "path": str(path), **given}


@pytest.fixture
def small(tmp_path):
    rows = pd.DataFrame(
        {"ts": [10.0, 12.5, 12.0, 20.0], "Prompt Tokens": [5, 7, 6, 8], "output_tokens": [1, 3, 2, 4]}
    )
    rows.to_csv(tmp_path / "trace.csv", index=False)
    rows.to_parquet(tmp_path / "trace.parquet")
    with gzip.open(tmp_path / "trace.csv.gz", "wt") as out:
        rows.to_csv(out, index=False)
    return tmp_path


@pytest.mark.parametrize("name", ["trace.csv", "trace.csv.gz", "trace.parquet"])
def test_a_trace_is_played_in_order_of_time(small, name):
    given = scenario(trace(small / name))
    arrivals = Arrivals.of(World(given))
    found = joined(arrivals.blocks())
    assert arrivals.columns == ("tokens_in", "tokens_out")
    assert found.times.tolist() == [0.0, 2.0, 2.5, 10.0]
    assert found.work.tolist() == [[5, 1], [6, 2], [7, 3], [8, 4]]
    assert World(given).requests.sum() == 4.0
    assert expected_requests(given).sum() == 4.0


def test_speed_and_horizon_of_a_trace(small):
    given = scenario(trace(small / "trace.csv", speed=2.0), horizon="4s", window="1s")
    assert requests(given).times.tolist() == [0.0, 1.0, 1.25]
    assert World(given).requests.tolist() == [1.0, 2.0, 0.0, 0.0]
    assert "2 times its speed" in Arrivals.of(World(given)).used


def test_dates_and_milliseconds(tmp_path):
    (tmp_path / "dates.csv").write_text("time\n2023-11-16 18:15:46.6805900\n2023-11-16T18:15:47.6805901Z\n")
    assert requests(scenario(trace(tmp_path / "dates.csv"))).times == pytest.approx(
        [0.0, 1.0000001], abs=1e-9
    )
    (tmp_path / "ms.csv").write_text("time\n1700158546680\n1700158546690\n")
    found = requests(scenario(trace(tmp_path / "ms.csv", unit="ms")))
    assert found.times == pytest.approx([0.0, 0.01], abs=1e-6)
    assert found.work.tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("time,work\n1,2\nx,3\n", "column 'time', row 2: got 'x', expected a number as in"),
        ("time,work\n1,2\n2,-3\n", "column 'work', row 2: got -3, expected a number of at least 0"),
        ("time\n2024-01-01\nx\n", "column 'time', row 2: got 'x', expected a date and time"),
        ("time,work\n1,2\n", "has 1 requests, expected 2 to"),
        ("time,work\n1,2\n1,2\n", "all requests come at the same moment"),
    ],
)
def test_a_trace_that_is_none_is_one_clear_error(tmp_path, content, message):
    (tmp_path / "bad.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        requests(scenario(trace(tmp_path / "bad.csv")))


def correlated(folder: Path) -> Path:
    """A trace in which busy times have small requests."""
    rng = np.random.default_rng(0)
    gaps = np.where(np.arange(4000) // 500 % 2 == 0, 1.0, 4.0)
    rows = pd.DataFrame({"time": np.cumsum(gaps * rng.exponential(size=4000)), "work": gaps})
    rows.to_csv(folder / "correlated.csv", index=False)
    return folder / "correlated.csv"


def by_load(found: Block) -> float:
    """Correlation of the number of requests and the mean work by 200 s."""
    step = (found.times // 200).astype(int)
    counts = np.bincount(step)
    mean = np.bincount(step, found.work[:, 0])[counts > 0] / counts[counts > 0]
    return float(np.corrcoef(counts[counts > 0], mean)[0, 1])


def test_blocks_keep_size_and_load_together_and_independent_sizes_do_not(tmp_path):
    path = correlated(tmp_path)

    def made(horizon: str, **given: Any) -> Block:
        return requests(scenario(trace(path, **given), horizon=horizon, window="1min"), seed=1)

    plain = made("12000s")
    blocks = made("10d", resampling="blocks", block="20min")
    mixed = made("12000s", resampling="independent")
    assert by_load(plain) < -0.8
    assert by_load(blocks) < -0.7
    assert abs(by_load(mixed)) < 0.4
    np.testing.assert_array_equal(mixed.times, plain.times)
    assert sorted(mixed.work[:, 0]) == sorted(plain.work[:, 0])
    span = plain.times[-1] * 4000 / 3999
    assert len(blocks.times) == pytest.approx(864_000 / span * 4000, rel=0.05)
    assert np.all(np.diff(blocks.times) >= 0)


def test_blocks_have_the_requests_of_the_world(tmp_path):
    given = scenario(trace(correlated(tmp_path), resampling="blocks", block="7min"), horizon="1d")
    world = World(given, seed=2)
    found = joined(Arrivals.of(world).blocks())
    np.testing.assert_array_equal(counts_of(found.times, given), world.requests)
    assert expected_requests(given).sum() == pytest.approx(world.requests.sum(), rel=0.2)


def test_a_block_longer_than_the_trace_is_refused(small):
    with pytest.raises(ValueError, match=r"serving.arrivals.block: 600 s is longer than the trace, 13.3"):
        requests(scenario(trace(small / "trace.csv", resampling="blocks")))


def first_come_first_served(found: Block, servers: int) -> np.ndarray:
    """Seconds that each request of the conversation trace spends with so many servers."""
    import heapq

    free = [0.0] * servers
    took = np.empty(len(found.times))
    service = 0.05 + found.work @ np.array([0.0002, 0.015])
    for i, (at, seconds) in enumerate(zip(found.times.tolist(), service.tolist(), strict=True)):
        begin = max(at, heapq.heappop(free))
        heapq.heappush(free, begin + seconds)
        took[i] = begin + seconds - at
    return took


def test_the_conversation_trace_is_read_to_the_last_request():
    if not TRACE.exists():
        pytest.skip(f"the conversation trace is not there: {TRACE.name} in ../shared/data")
    given = scenario(trace(TRACE), horizon="1h", window="1min")
    assert World(given).requests[:5].tolist() == [191, 265, 329, 353, 307]
    took = first_come_first_served(requests(given), 22)
    assert len(took) == 19_366
    assert np.quantile(took, [0.5, 0.99]) == pytest.approx([3.217797, 14.339970], abs=1e-5)


def test_independent_sizes_overstate_the_wait_on_the_conversation_trace():
    if not TRACE.exists():
        pytest.skip(f"the conversation trace is not there: {TRACE.name} in ../shared/data")
    given = scenario(trace(TRACE, resampling="independent"), horizon="1h", window="1min")
    took = first_come_first_served(requests(given, seed=1), 22)
    # 131.1 s with a standard deviation of 6.6 s over shuffles in the reference.
    assert np.quantile(took, 0.99) == pytest.approx(131.1, abs=5 * 6.6)


# ---------------------------------------------------------------- speed and memory


def test_requests_are_streamed_quickly_and_in_little_memory():
    arrivals = Arrivals.of(World(scenario(rate="1M/d", horizon="30d")))
    next(iter(arrivals.blocks()))
    began = time.process_time()
    n = sum(len(block.times) for block in arrivals.blocks())
    per_second = n / (time.process_time() - began)
    tracemalloc.start()
    assert sum(len(block.times) for block in arrivals.blocks()) == n
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6, "a year needs no more than a day"
    assert per_second > 10e6, "20 million and more a second on a core of its own; half of that on a busy one"
