"""Counts of a whole table in bins, all columns at once: comparisons with every edge, not a search.

A value x is counted above edge e when x > e, so bins are open on the left and closed on the right, (a, b]; infinite
values fall in the outermost bins. With some ten bins, comparing vectors of values with every edge is many times
quicker than finding each value's bin. Rows or columns are shared out among threads; counts are whole numbers, so any
number of threads gives the same bytes. The table is never copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.kernels.threads import in_threads, worker_count

Counts = NDArray[np.int64]

_BLOCK = 2048  # values of one column that stay in the nearest cache while all edges pass over them
_SMALL = 100_000  # values of a table that one thread counts sooner than others wake up
_SHARES = 2  # for each thread, so that one held up by other work leaves some of its own to the rest
_EDGES_AT_ONCE = 9  # those of ten bins
_MOST_ROWS = 2**31 - 1  # of one share: float32 tables are counted in int32


def count_table(table: NDArray[Any], edges: NDArray[np.float64], threads: int | None = None) -> Counts:
    """Counts of each column in its bins and of its NaN: (columns, edges + 2), the last bin being NaN.

    table: (rows, columns), float32 or float64, any memory order; C and Fortran order are quick
    edges: (columns, edges) inner edges, ascending; +inf at the end fills up columns that have fewer
    threads: at most this many; None takes all cores
    Raises ValueError for another type or number of columns.

    >>> count_table(np.array([[0.5], [1.0], [7.0], [np.nan]]), np.array([[0.0, 1.0]]))
    array([[0, 2, 1, 1]])
    """
    if table.ndim != 2 or table.dtype not in (np.float32, np.float64):
        raise ValueError(f"need a float32 or float64 table, got {table.dtype} with {table.ndim} dimensions")
    _check_edges(edges, table.shape[1])
    rows, columns = table.shape
    if table.strides[0] == table.itemsize and not table.flags.f_contiguous:
        # Some rows of a table in Fortran order: its columns are contiguous, it is not.
        return count_columns([table[:, j] for j in range(columns)], edges, threads)
    workers = worker_count(threads)
    shares = max(1 if table.size < _SMALL else _SHARES * workers * (workers > 1), 1, -(-rows // _MOST_ROWS))
    bounds = pairwise([rows * share // shares for share in range(shares + 1)])
    padded = _padded(edges_as(edges, table.dtype))

    def above_by_columns(bounds: tuple[int, int]) -> Counts:
        out = np.zeros((columns, padded.shape[1] + 1), dtype=np.int64)
        _count_in_columns(_read_only(table.T), *bounds, padded, out)
        return out

    def above_by_rows(bounds: tuple[int, int]) -> Counts:
        counter = np.int64 if table.itemsize == 8 else np.int32  # as wide as the values, for the vectors
        out = np.zeros((edges.shape[1] + 1, columns), dtype=counter)
        _count_in_rows(_read_only(table), *bounds, turned, out)
        return out.T

    if table.flags.c_contiguous and columns > 1:
        turned = np.ascontiguousarray(edges_as(edges, table.dtype).T)
        parts = in_threads(above_by_rows, bounds, threads)
    else:
        parts = in_threads(above_by_columns, bounds, threads)
    return _bins_of(np.sum(parts, axis=0, dtype=np.int64), rows, edges.shape[1])


def count_columns(
    columns: Sequence[NDArray[Any]], edges: NDArray[np.float64], threads: int | None = None
) -> Counts:
    """`count_table` of columns (rows,) that do not lie in one array; each float32 or float64, equally long."""
    _check_edges(edges, len(columns))
    types = {column.dtype for column in columns}
    padded = {dtype: _padded(edges_as(edges, dtype)) for dtype in types}
    above = np.zeros((len(columns), _padded_width(edges) + 1), dtype=np.int64)

    def count(j: int) -> None:
        column = _read_only(columns[j])
        _count_in_columns(
            column[np.newaxis], 0, column.size, padded[column.dtype][j : j + 1], above[j : j + 1]
        )

    in_threads(count, range(len(columns)), threads)
    return _bins_of(above, len(columns[0]), edges.shape[1])


def edges_as(edges: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Edges in the type of the values, rounded down: a float32 x is above e exactly when it is above e rounded down."""
    if dtype == np.float64:
        return edges
    with np.errstate(over="ignore"):
        near = edges.astype(dtype)
    return np.where(near > edges, np.nextafter(near, dtype.type(-np.inf)), near)


def _check_edges(edges: NDArray[np.float64], columns: int) -> None:
    if edges.ndim != 2 or len(edges) != columns:
        raise ValueError(f"need edges for {columns} columns, got shape {edges.shape}")


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    """A view that cannot be written to, so that kernels are compiled once for both kinds of array."""
    view = values.view()
    view.flags.writeable = False
    return view


def _padded_width(edges: NDArray[Any]) -> int:
    return _EDGES_AT_ONCE * max(-(-int(edges.shape[1]) // _EDGES_AT_ONCE), 1)


def _padded(edges: NDArray[Any]) -> NDArray[Any]:
    """Edges filled up with +inf, above which there is nothing, to a multiple of those compared at once."""
    out = np.full((len(edges), _padded_width(edges)), np.inf, dtype=edges.dtype)
    out[:, : edges.shape[1]] = edges
    return out


def _bins_of(above: Counts, rows: int, edges: int) -> Counts:
    """From the number of values above each edge, and of NaN in the last place, to those in each bin."""
    out = np.empty((len(above), edges + 2), dtype=np.int64)
    missing = above[:, -1]
    out[:, 0] = rows - missing
    out[:, 1:-1] = above[:, :edges]
    out[:, :-2] -= above[:, :edges]
    out[:, -1] = missing
    return out


@njit(cache=True, nogil=True)
def _above_float64(x: NDArray[Any], e: NDArray[Any], above: NDArray[np.int64]) -> int:
    """Add how many values are above each of nine edges; returns how many are NaN."""
    e0, e1, e2, e3, e4, e5, e6, e7, e8 = e[0], e[1], e[2], e[3], e[4], e[5], e[6], e[7], e[8]
    c0 = c1 = c2 = c3 = c4 = c5 = c6 = c7 = c8 = missing = 0
    for i in range(x.shape[0]):
        value = x[i]
        c0 += value > e0
        c1 += value > e1
        c2 += value > e2
        c3 += value > e3
        c4 += value > e4
        c5 += value > e5
        c6 += value > e6
        c7 += value > e7
        c8 += value > e8
        missing += value != value
    for k, c in enumerate((c0, c1, c2, c3, c4, c5, c6, c7, c8)):
        above[k] += c
    return missing


@njit(cache=True, nogil=True)
def _above_float32(x: NDArray[Any], e: NDArray[Any], above: NDArray[np.int64]) -> int:
    """The same with counters as narrow as the values, so that a vector holds as many of them."""
    e0, e1, e2, e3, e4, e5, e6, e7, e8 = e[0], e[1], e[2], e[3], e[4], e[5], e[6], e[7], e[8]
    c0 = c1 = c2 = c3 = c4 = c5 = c6 = c7 = c8 = missing = np.uint32(0)
    for i in range(x.shape[0]):
        value = x[i]
        c0 = np.uint32(c0 + (value > e0))
        c1 = np.uint32(c1 + (value > e1))
        c2 = np.uint32(c2 + (value > e2))
        c3 = np.uint32(c3 + (value > e3))
        c4 = np.uint32(c4 + (value > e4))
        c5 = np.uint32(c5 + (value > e5))
        c6 = np.uint32(c6 + (value > e6))
        c7 = np.uint32(c7 + (value > e7))
        c8 = np.uint32(c8 + (value > e8))
        missing = np.uint32(missing + (value != value))
    for k, c in enumerate((c0, c1, c2, c3, c4, c5, c6, c7, c8)):
        above[k] += np.int64(c)
    return int(missing)


@njit(cache=True, nogil=True)
def _count_in_columns(
    columns: NDArray[Any], start: int, stop: int, edges: NDArray[Any], above: NDArray[np.int64]
) -> None:
    """Add the values of rows start..stop-1 above each edge, and NaN in the last place; columns (columns, rows).

    edges: (columns, a multiple of nine, at least nine)
    """
    wide, last = columns.itemsize == 8, edges.shape[1]
    for j in range(columns.shape[0]):
        for begin in range(start, stop, _BLOCK):
            x = columns[j, begin : min(begin + _BLOCK, stop)]
            missing = 0
            for k in range(0, last, _EDGES_AT_ONCE):
                nine, out = edges[j, k : k + _EDGES_AT_ONCE], above[j, k : k + _EDGES_AT_ONCE]
                missing = _above_float64(x, nine, out) if wide else _above_float32(x, nine, out)
            above[j, last] += missing


@njit(cache=True, nogil=True)
def _count_in_rows(
    rows: NDArray[Any], start: int, stop: int, edges: NDArray[Any], above: NDArray[Any]
) -> None:
    """Add the values of rows start..stop-1 above each edge (edges, columns), and NaN in the last place.

    Four rows at a time, so that the counters are read and written once for four comparisons.
    """
    last, columns = edges.shape
    fours = start + (stop - start) // 4 * 4
    for i in range(start, fours, 4):
        r0, r1, r2, r3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        for k in range(last):
            e, c = edges[k], above[k]
            for j in range(columns):
                c[j] += (r0[j] > e[j]) + (r1[j] > e[j]) + (r2[j] > e[j]) + (r3[j] > e[j])
        missing = above[last]
        for j in range(columns):
            missing[j] += (r0[j] != r0[j]) + (r1[j] != r1[j]) + (r2[j] != r2[j]) + (r3[j] != r3[j])
    for i in range(fours, stop):
        for j in range(columns):
            value = rows[i, j]
            for k in range(last):
                above[k, j] += value > edges[k, j]
            above[last, j] += value != value
