"""Counts of a table in bins against a search for each value: any layout, type and number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from sim.kernels.binning import learn_edges
from sim.kernels.counting import count_columns, count_table, edges_as
from sim.kernels.threads import in_threads, worker_count


def plain_counts(table, edges):
    """The bin of x is the number of edges below it."""
    out = np.zeros((table.shape[1], edges.shape[1] + 2), dtype=np.int64)
    for j in range(table.shape[1]):
        x = table[:, j].astype(np.float64)
        number = x[~np.isnan(x)]
        inner = edges[j][edges[j] < np.inf]
        out[j, :-1] = np.bincount(np.searchsorted(inner, number), minlength=edges.shape[1] + 1)
        out[j, -1] = np.isnan(x).sum()
    return out


def awkward_table(rows, columns, dtype):
    """Numbers with ties at the edges, NaN and infinite values."""
    rng = np.random.default_rng(rows + columns)
    table = rng.normal(size=(rows, columns))
    table[rng.random(table.shape) < 0.3] = 0.5
    for value in (np.nan, np.inf, -np.inf):
        table[rng.random(table.shape) < 0.02] = value
    return table.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (2047, 2), (2049, 7), (30_001, 4)])
@pytest.mark.parametrize("n_edges", [0, 1, 9, 10, 25])
def test_counts_equal_a_search(dtype, shape, n_edges):
    table = awkward_table(*shape, dtype)
    edges = np.sort(np.random.default_rng(n_edges).normal(size=(shape[1], n_edges)), axis=1)
    edges[:, n_edges // 2 : n_edges // 2 + 1] = 0.5
    edges.sort(axis=1)
    if n_edges > 2:
        edges[0, -2:] = np.inf  # a column with fewer edges
    expected = plain_counts(table, edges)
    wide = np.zeros((2 * shape[0], shape[1] + 3), dtype=dtype)
    wide[::2, 1 : shape[1] + 1] = table
    layouts = {
        "C": np.ascontiguousarray(table),
        "Fortran": np.asfortranarray(table),
        "rows of a longer one": np.asfortranarray(np.concatenate((table, table)))[: shape[0]],
        "part of a wider one": wide[::2, 1 : shape[1] + 1],
    }
    for layout in layouts.values():
        layout.flags.writeable = False
        for threads in (1, 2, 5):
            np.testing.assert_array_equal(count_table(layout, edges, threads), expected)
    apart = [layouts["C"][:, j] if j % 2 else layouts["Fortran"][:, j] for j in range(shape[1])]
    np.testing.assert_array_equal(count_columns(apart, edges, 3), expected)


def test_large_tables_are_shared_out_among_threads():
    table = awkward_table(60_007, 3, np.float64)
    edges = np.tile([-1.0, 0.5, 1.0], (3, 1))
    for layout in (table, np.asfortranarray(table)):
        counts = [count_table(layout, edges, threads) for threads in (1, 2, 3, 7)]
        assert len({part.tobytes() for part in counts}) == 1
        np.testing.assert_array_equal(counts[0], plain_counts(table, edges))


def test_edges_of_float32_values_keep_every_comparison():
    rng = np.random.default_rng(8)
    edges = np.concatenate(
        (rng.normal(size=200), [0.1, 1 / 3, 1e300, -1e300, np.inf, -np.inf, 1e-50, -1e-50])
    )
    near = (
        edges.astype(np.float32, copy=True) if np.isfinite(edges).all() else edges_as(edges, np.dtype("f4"))
    )
    values = np.concatenate((near, np.nextafter(near, np.float32(9)), np.nextafter(near, np.float32(-9))))
    narrow = edges_as(edges, np.dtype(np.float32))
    assert narrow.dtype == np.float32
    np.testing.assert_array_equal(values[:, None] > narrow, values[:, None].astype(float) > edges)


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match="float32 or float64 table, got int64"):
        count_table(np.zeros((3, 2), dtype=np.int64), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="edges for 2 columns"):
        count_table(np.zeros((3, 2)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match="threads must be at least 1"):
        worker_count(0)


def test_threads_answer_in_order():
    for threads in (1, 2, 8):
        assert in_threads(lambda x: x * x, range(100), threads) == [x * x for x in range(100)]


# --- edges ---


@pytest.mark.parametrize("bins", [2, 3, 10, 64])
def test_quantile_edges_are_order_statistics_and_bins_are_even(bins):
    for n in (bins, 100 * bins, 997):
        sample = np.sort(np.random.default_rng(n).normal(size=n))
        edges = learn_edges(sample, "quantile", bins)
        np.testing.assert_array_equal(
            edges, np.unique(np.quantile(sample, np.arange(1, bins) / bins, method="inverted_cdf"))
        )
        counts = plain_counts(sample[:, None], edges[None])[0, :-1]
        assert counts.max() - counts.min() <= (1 if n >= bins else n)


def test_uniform_edges_cut_the_finite_range():
    sample = np.array([-np.inf, 1.0, 2.0, 9.0, np.inf])
    np.testing.assert_allclose(learn_edges(sample, "uniform", 4), [3.0, 5.0, 7.0], rtol=1e-15)


@pytest.mark.parametrize("binning", ["quantile", "uniform"])
@pytest.mark.parametrize("value", [0.0, -2.5, 1e300, np.inf])
def test_a_constant_has_bins_below_equal_and_above(binning, value):
    edges = learn_edges(np.full(7, value), binning, 10)
    around = np.array([[-np.inf, np.nextafter(value, -np.inf), value, np.nextafter(value, np.inf), np.inf]]).T
    counts = count_table(around, edges[None])[0]
    assert counts.tolist() == ([2, 3, 0, 0] if value == np.inf else [2, 1, 2, 0])


def test_tied_quantiles_are_merged_and_no_values_have_one_bin():
    assert learn_edges(np.array([0.0] * 8 + [1.0, 2.0]), "quantile", 10).tolist() == [0.0, 1.0]
    assert learn_edges(np.empty(0), "quantile", 10).size == 0
