"""Latencies of a run: exact up to two million, within 0.05 % beyond."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim import latency as module
from sim.kernels.latency_counts import BINS, count_intervals, count_latencies
from sim.latency import LatencyRecord

SHARES = np.array([0.001, 0.5, 0.9, 0.99, 0.999, 1.0])


def filled(values: np.ndarray, **options: float) -> LatencyRecord:
    record = LatencyRecord(**({"horizon": float(len(values))} | options))
    for block in np.array_split(np.arange(len(values)), 7):
        record.add(block.astype(float), values[block], np.zeros(len(block), dtype=bool))
    return record


def test_few_latencies_have_exact_quantiles() -> None:
    values = np.random.default_rng(1).lognormal(-3.0, 1.0, 5000)
    record = filled(values)
    assert record.exact
    np.testing.assert_array_equal(record.quantile(SHARES), np.quantile(values, SHARES))
    assert record.mean == pytest.approx(values.mean())


def test_many_latencies_are_within_a_bin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT", 1000)
    values = np.random.default_rng(2).lognormal(-3.0, 1.0, 50_000)
    record = filled(values)
    assert not record.exact
    found = np.asarray(record.quantile(SHARES[:-1]))
    expected = np.quantile(values, SHARES[:-1], method="inverted_cdf")
    np.testing.assert_allclose(found, expected, rtol=6e-4)
    assert record.quantile(1.0) == pytest.approx(values.max(), rel=6e-4)


@pytest.mark.parametrize("value", [0.0, 1e-9, 1e-7, 1.0, 1e12])
def test_every_latency_has_a_bin(value: float) -> None:
    counts = np.zeros(BINS, dtype=np.int64)
    sums = np.zeros(2)
    assert count_latencies(np.array([value]), np.log([max(value, 1e-300)]), counts, sums) == value
    assert counts.sum() == 1
    assert sums.tolist() == [value, 0.0]


def test_sums_do_not_depend_on_the_order() -> None:
    values = np.random.default_rng(4).lognormal(-3.0, 3.0, 20_000)
    sums, back = np.zeros(2), np.zeros(2)
    count_latencies(values, np.log(values), np.zeros(BINS, dtype=np.int64), sums)
    for block in np.array_split(values[::-1], 9):
        count_latencies(block, np.log(block), np.zeros(BINS, dtype=np.int64), back)
    assert sums.sum() == back.sum() == math.fsum(values)


def test_intervals_are_those_of_a_plain_count() -> None:
    luck = np.random.default_rng(3)
    arrival, values, lost = luck.random(2000) * 600.0, luck.exponential(0.1, 2000), luck.random(2000) < 0.1
    table = np.zeros((10, 6))
    count_intervals(arrival, values, lost, 60.0, 0.2, table)
    for number in range(10):
        here = (arrival >= 60.0 * number) & (arrival < 60.0 * (number + 1))
        served = here & ~lost
        plain = (here.sum(), (here & lost).sum(), (served & (values > 0.2)).sum())
        assert tuple(table[number, :3]) == plain
        assert table[number, 3] == pytest.approx(values[served].sum())
        assert table[number, 4] == values[served].max()


def test_a_minute_is_missed_when_its_own_quantile_is() -> None:
    record = LatencyRecord(horizon=180.0, limit=0.1)
    slow_share = {0: 0.02, 1: 0.01, 2: 0.0}
    for minute, share in slow_share.items():
        values = np.where(np.arange(100) < 100 * share, 0.5, 0.01)
        record.add(60.0 * minute + np.linspace(0.0, 59.0, 100), values, np.zeros(100, dtype=bool))
    assert record.missed(0.99) == 1
    assert record.missed(0.995) == 2


def test_lost_requests_are_as_bad_as_slow_ones_and_may_have_a_limit_of_their_own() -> None:
    record = LatencyRecord(horizon=60.0, limit=0.1)
    record.add(np.linspace(0.0, 59.0, 100), np.full(100, 0.01), np.arange(100) < 2)
    assert record.missed(0.99) == 1
    assert record.missed(0.9) == 0
    assert record.missed(0.9, loss=0.01) == 1
    assert (record.served, record.lost) == (98, 2)


def test_nothing_served_has_no_latency() -> None:
    record = LatencyRecord(horizon=60.0)
    assert np.isnan(record.mean)
    assert np.isnan(record.quantile(0.5))
    assert record.missed(0.99) == 0
