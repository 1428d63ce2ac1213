"""Requests one by one: when each comes and how large it is, in blocks, so that a year needs no more memory than a day.

The number of requests of each window is that of the world (`World.requests`), so that all policies and all fleets meet
the same requests. Given the count of a window, a Poisson process puts them at independent uniform moments of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scenarios.schema import Scenario
from scenarios.serving_arrivals import Deterministic, Poisson, Renewal, SelfSimilar, Trace
from scenarios.units import SECONDS_PER_DAY, format_duration
from sim.arrival_traces import played
from sim.fractional_noise import step_factors
from sim.kernels.arrival_times import uniform_moments
from sim.renewal import operational_moments, segments
from sim.request_sizes import SizeSampler
from sim.traffic import mean_requests, whole

if TYPE_CHECKING:
    from sim.world import World

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
BLOCK = 65_536
"""Requests of a block, about."""


class Block(NamedTuple):
    """Requests that come one after the other."""

    times: Array
    """Seconds from the start of the run, sorted, (n,)."""
    work: Array
    """Tokens in and out (n, 2), or work relative to the average request (n, 1). Not to be written to."""


class Arrivals:
    """The requests of one replication of a scenario with `serving`.

    columns: what a row of `work` has: ('tokens_in', 'tokens_out') or ('work',)
    """

    def __init__(
        self, scenario: Scenario, requests: Array, stream: Callable[[str], np.random.Generator]
    ) -> None:
        """requests: of each window (windows,), as `sim.traffic.requests` gives them with this `stream`."""
        if scenario.serving is None:
            raise ValueError("the scenario has no serving section")
        self.scenario = scenario
        self.process = scenario.serving.arrivals
        self.requests = requests
        self.stream = stream
        self._sampler = SizeSampler(scenario.serving.sizes)
        self._width = scenario.window * SECONDS_PER_DAY
        self._factors: Array | None = None
        tokens = isinstance(self.process, Trace) and self.process.has_tokens
        self.columns = ("tokens_in", "tokens_out") if tokens else self._sampler.columns

    @classmethod
    def of(cls, world: World) -> Arrivals:
        """The requests of a world."""
        return cls(world.scenario, world.requests, world.stream)

    @property
    def used(self) -> str:
        """What the requests are made of, for results: the process, the sizes, and whether size and load go together."""
        process, sizes = self.process, self._sampler.sizes
        if isinstance(process, Trace):
            how = {
                "as_is": "as it is, sizes and load together",
                "blocks": f"stretches of {format_duration(process.block)} in random order, sizes and load together",
                "independent": "sizes in random order, independent of the load",
            }[process.resampling]
            faster = "" if process.speed == 1.0 else f" at {process.speed:g} times its speed"
            return f"trace {process.path}{faster}, {how}"
        source = "recorded rates" if self.scenario.traffic.recorded is not None else "rates of the traffic"
        if sizes.recorded is not None:
            return f"{process.kind} at {source}, sizes from quantiles recorded with the load"
        alike = "sizes drawn independently of the load" if sizes.given else "requests alike"
        return f"{process.kind} at {source}, {alike}"

    def blocks(self, start: float = 0.0, end: float | None = None) -> Iterator[Block]:
        """Requests from `start` to before `end` (seconds; the horizon when absent), in order.

        A part of the run has the same requests as the whole run has there.
        """
        stop = self.scenario.horizon * SECONDS_PER_DAY if end is None else end
        pieces = self._played() if isinstance(self.process, Trace) else self._drawn(start, stop)
        return _regrouped(_cut(pieces, start, stop))

    def _played(self) -> Iterator[Block]:
        assert isinstance(self.process, Trace)
        for times, work in played(self.process, self.scenario.horizon, self.stream):
            for first in range(0, len(times), BLOCK):
                yield Block(times[first : first + BLOCK], work[first : first + BLOCK])

    def _drawn(self, start: float, stop: float) -> Iterator[Block]:
        moments = self._moments()
        for number, first, last in segments(self.scenario.windows, self.scenario.window):
            if first * self._width >= stop or last * self._width <= start:
                continue
            rng = self.stream(f"request sizes {number}")
            for times in moments(number, first, last):
                yield Block(times, self._sampler.draw(times, rng))

    def _moments(self) -> Callable[[int, int, int], Iterator[Array]]:
        """How the moments of a stretch of windows are drawn."""
        match self.process:
            case Poisson():
                self._counts = whole(self.requests).astype(np.int64)
                return self._poisson
            case SelfSimilar():
                self._counts = whole(self.requests).astype(np.int64)
                self._factors = step_factors(self.process, self.scenario, self.stream)
                return self._poisson
            case Deterministic():
                self._operational = np.concatenate(([0.0], np.cumsum(self.requests)))
                return self._evenly
            case Renewal():
                expected = mean_requests(self.scenario, self.stream)
                self._operational = np.concatenate(([0.0], np.cumsum(expected)))
                return self._renewal
        raise TypeError(f"not an arrival process: {self.process!r}")

    def _poisson(self, number: int, first: int, last: int) -> Iterator[Array]:
        """Uniform order statistics of each cell: a window, or a step of a rate that swings within it."""
        rng = self.stream(f"arrivals {number}")
        counts = self._counts[first:last]
        edges: Array = np.arange(first, last + 1, dtype=np.float64) * self._width
        if self._factors is not None and self._factors.shape[1] > 1:
            share = self._factors[first:last]
            counts, edges = _split(counts, share / share.sum(axis=1, keepdims=True), edges, rng)
        most = int(counts.max(initial=0))
        if most > BLOCK:
            parts = -(-2 * most // BLOCK)
            counts, edges = _split(counts, np.full((1, parts), 1.0 / parts), edges, rng)
        for low, high in _groups(counts):
            part = counts[low:high]
            times = np.empty(int(part.sum()))
            spacings = rng.standard_exponential(len(times) + len(part))
            uniform_moments(spacings, part, edges[low:high], edges[low + 1 : high + 1], times)
            yield times

    def _evenly(self, number: int, first: int, last: int) -> Iterator[Array]:
        """The j-th request comes when j are expected."""
        from_, until = (int(np.floor(self._operational[edge] + 1e-9)) for edge in (first, last))
        for low in range(from_, until, BLOCK):
            moments = np.arange(low + 1, min(low + BLOCK, until) + 1, dtype=np.float64)
            yield self._clock(moments, first, last)

    def _renewal(self, number: int, first: int, last: int) -> Iterator[Array]:
        total = float(np.cumsum(np.diff(self._operational[first : last + 1]))[-1])
        assert isinstance(self.process, Renewal)
        if total > 0.0:
            rng = self.stream(f"arrivals {number}")
            for moments in operational_moments(total, self.process.cv, rng):
                yield self._clock(moments, first, last, from_first=True)

    def _clock(self, moments: Array, first: int, last: int, from_first: bool = False) -> Array:
        """Seconds at which operational time is `moments` (sorted, within the windows first to last)."""
        mass = np.diff(self._operational[first : last + 1])
        edges = np.cumsum(mass) if from_first else self._operational[first + 1 : last + 1]
        before = np.concatenate((([0.0] if from_first else self._operational[[first]]), edges[:-1]))
        slack = 0.0 if from_first else 1e-9
        inside = np.minimum(np.searchsorted(edges, moments - slack), last - first - 1)
        along = np.clip((moments - before[inside]) / mass[inside], 0.0, 1.0)
        starts = (first + inside) * self._width
        ends = (first + inside + 1) * self._width
        return np.minimum(starts + along * self._width, np.nextafter(ends, starts))


def arrivals_of(world: World, begin: float = 0.0, length: float | None = None) -> Iterator[Block]:
    """Requests of a world in blocks; times are seconds after `begin`.

    begin: day at which it starts; length: days from then on, to the horizon when absent.
    """
    start = begin * SECONDS_PER_DAY
    end = None if length is None else (begin + length) * SECONDS_PER_DAY
    for block in Arrivals.of(world).blocks(start, end):
        yield block if start == 0.0 else Block(block.times - start, block.work)


def _split(counts: Integers, shares: Array, edges: Array, rng: np.random.Generator) -> tuple[Integers, Array]:
    """Cells cut into equal parts: counts of the parts, multinomial with these shares, and their edges."""
    parts = shares.shape[1]
    split = rng.multinomial(counts, shares).ravel()
    steps = (edges[1:] - edges[:-1]) / parts
    inner = (edges[:-1, None] + np.arange(parts) * steps[:, None]).ravel()
    return split, np.concatenate((inner, edges[-1:]))


def _groups(counts: Integers) -> Iterator[tuple[int, int]]:
    """Runs of cells (first, first after) of about BLOCK requests together, at least one cell each."""
    total = np.cumsum(counts)
    low, done = 0, 0
    while low < len(counts) and total[-1] > done:
        high = max(int(np.searchsorted(total, done + BLOCK, side="right")), low + 1)
        if total[high - 1] > done:
            yield low, high
        low, done = high, int(total[high - 1])


def _cut(blocks: Iterable[Block], start: float, stop: float) -> Iterator[Block]:
    """Requests from start to before stop."""
    for block in blocks:
        if len(block.times) == 0 or block.times[-1] < start:
            continue
        if block.times[0] >= stop:
            return
        low, high = np.searchsorted(block.times, (start, stop))
        yield Block(block.times[low:high], block.work[low:high])


def _regrouped(blocks: Iterable[Block]) -> Iterator[Block]:
    """Blocks of at least half of BLOCK requests, but for the last one: small ones are put together."""
    kept: list[Block] = []
    n = 0
    for block in blocks:
        if not kept and 2 * len(block.times) >= BLOCK:
            yield block
            continue
        kept.append(block)
        n += len(block.times)
        if 2 * n >= BLOCK:
            yield _joined(kept)
            kept, n = [], 0
    if n:
        yield _joined(kept)


def _joined(blocks: list[Block]) -> Block:
    if len(blocks) == 1:
        return blocks[0]
    return Block(
        np.concatenate([block.times for block in blocks]), np.concatenate([block.work for block in blocks])
    )
