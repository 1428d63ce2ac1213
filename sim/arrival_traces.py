"""Recorded requests: reading a trace, and playing it as it is, in stretches, or with sizes in random order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.serving_arrivals import Trace
from scenarios.trace_files import PARQUET
from scenarios.units import SECONDS_PER_DAY, shown

Array = NDArray[np.float64]
Stream = Callable[[str], np.random.Generator]

MAX_ROWS = 50_000_000
"""A trace is held in memory; the requests that are made of it are not."""
_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


@dataclass(frozen=True)
class Recorded:
    """Requests of a trace, in order of time."""

    times: Array
    """Seconds since the first request, (n,)."""
    work: Array
    """Tokens in and out (n, 2), or work (n, 1); ones where the file has no sizes."""

    @property
    def span(self) -> float:
        """Seconds after which the trace would begin anew: up to its last request, and one mean distance more."""
        n = len(self.times)
        return float(self.times[-1]) * n / (n - 1)


def recorded(trace: Trace) -> Recorded:
    """The requests of a trace at its speed. Raises ValueError, naming file, column and row, for what is no number."""
    sizes = tuple(name for name in (trace.tokens_in, trace.tokens_out, trace.work) if name is not None)
    assert trace.time is not None  # found when the scenario was read
    plain = _read(trace.file, trace.fingerprint, trace.time, trace.unit, sizes)
    return plain if trace.speed == 1.0 else Recorded(plain.times / trace.speed, plain.work)


@lru_cache(maxsize=4)
def _read(file: Path, fingerprint: str, time: str, unit: str, sizes: tuple[str, ...]) -> Recorded:
    import pandas as pd

    wanted = list(dict.fromkeys((time, *sizes)))
    if file.name.lower().endswith(PARQUET):
        table = pd.read_parquet(file, columns=wanted)
    else:
        table = pd.read_csv(file, usecols=lambda name: name.strip() in wanted, skipinitialspace=True)
        table.columns = table.columns.str.strip()
    if not 2 <= len(table) <= MAX_ROWS:
        raise ValueError(f"{file}: has {len(table):,} requests, expected 2 to {MAX_ROWS:,}")
    moments = _moments(table[time], unit, file)
    order = np.argsort(moments, kind="stable")
    times = moments[order] - moments[order[0]]
    if not times[-1] > 0.0:
        raise ValueError(f"{file}: column {time!r}: all requests come at the same moment")
    columns = [_sizes(table[name], file)[order] for name in sizes]
    work = np.column_stack(columns) if columns else np.ones((len(times), 1))
    return Recorded(times, np.ascontiguousarray(work, dtype=np.float64))


def _moments(column: Any, unit: str, file: Path) -> Array:
    """Seconds from any fixed moment; numbers are in `unit`, texts are dates."""
    import pandas as pd

    if not pd.api.types.is_datetime64_any_dtype(column):
        numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
        if np.isfinite(numbers).any():
            _refuse(~np.isfinite(numbers), column, file, "a number as in other rows")
            return np.asarray(numbers / _PER_SECOND[unit])
    dates = pd.to_datetime(column, errors="coerce", format="ISO8601", utc=True)
    if dates.isna().all():
        dates = pd.to_datetime(column, errors="coerce", format="mixed", utc=True)
    _refuse(dates.isna().to_numpy(), column, file, "a date and time, or a number of seconds")
    # Differences first: seconds since 1970 in a float are only good to 0.1 us.
    since = (dates - dates.min()).astype("timedelta64[ns]").to_numpy().astype(np.int64)
    return np.asarray(since / 1e9, dtype=np.float64)


def _sizes(column: Any, file: Path) -> Array:
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    _refuse(~(np.isfinite(numbers) & (numbers >= 0.0)), column, file, "a number of at least 0")
    return np.asarray(numbers, dtype=np.float64)


def _refuse(wrong: Any, column: Any, file: Path, expected: str) -> None:
    """Raise ValueError, naming file, column and row (the first one after the header is 1), where anything is wrong."""
    if np.any(wrong):
        row = int(np.argmax(wrong))
        value = column.iloc[row]
        given = shown(value.item() if isinstance(value, np.generic) else value)
        raise ValueError(f"{file}: column {column.name!r}, row {row + 1}: got {given}, expected {expected}")


def played(trace: Trace, horizon: float, stream: Stream) -> Iterator[tuple[Array, Array]]:
    """Requests of the run in sorted blocks: times in seconds (n,), below `horizon` days, and work (n, k).

    as_is and independent end with the trace. Blocks are stretches of the trace that start at random moments of it and
    go round its end, so that every request is as likely.
    """
    found, end = recorded(trace), horizon * SECONDS_PER_DAY
    if trace.resampling == "blocks":
        yield from _stretches(found, trace.block * SECONDS_PER_DAY, end, stream("trace blocks"))
        return
    n = int(np.searchsorted(found.times, end))
    work = found.work
    if trace.resampling == "independent":
        work = work[stream("request sizes").permutation(len(work))]
    yield found.times[:n], work[:n]


def _stretches(
    found: Recorded, length: float, end: float, rng: np.random.Generator
) -> Iterator[tuple[Array, Array]]:
    span = found.span
    if length > span:
        raise ValueError(f"serving.arrivals.block: {length:g} s is longer than the trace, {span:g} s")
    times = np.concatenate((found.times, found.times + span))
    n = len(found.times)
    for number, origin in enumerate(rng.random(int(np.ceil(end / length - 1e-9))) * span):
        start = number * length
        stop = min(start + length, end)
        first, last = np.searchsorted(times, (origin, origin + (stop - start)))
        moments = np.clip(times[first:last] - origin + start, start, np.nextafter(stop, start))
        yield moments, found.work[np.arange(first, last) % n]


def trace_counts(trace: Trace, windows: int, window: float, stream: Stream) -> Array:
    """Requests of each window, (windows,); window: its length in days."""
    counts = np.zeros(windows)
    edges = np.arange(1, windows + 1) * (window * SECONDS_PER_DAY)
    for times, _ in played(trace, windows * window, stream):
        inside = np.minimum(np.searchsorted(edges, times, side="right"), windows - 1)
        counts += np.bincount(inside, minlength=windows)
    return counts


def expected_trace_counts(trace: Trace, windows: int, window: float) -> Array:
    """Mean number of requests of each window, (windows,): the trace's own, or its mean rate where it is resampled."""
    if trace.resampling == "blocks":
        found = recorded(trace)
        return np.full(windows, len(found.times) / found.span * window * SECONDS_PER_DAY)
    return trace_counts(trace, windows, window, _no_stream)


def _no_stream(name: str) -> np.random.Generator:
    """For what only shuffles sizes: when requests come does not depend on it."""
    return np.random.default_rng(0)
