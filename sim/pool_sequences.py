"""A pool of replicas of a language model, each of which serves many sequences at once (continuous batching)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from sim.kernels import continuous_batching
from sim.kernels.continuous_batching import REPLICA, Rules, Seats
from sim.pool import Array, Served
from sim.pool_replicas import BALANCING, NO_LIMIT, ReplicaPool, at_least, place_of
from sim.request_window import RequestWindow


@dataclass(frozen=True)
class Iteration:
    """Seconds that one iteration of a replica takes, and what its hardware allows.

    t = overhead + prefill_per_token x prompt tokens of the sequences admitted in it
        + max(per_sequence x sequences running, weights_read + per_kv_token x tokens in the cache)

    The cache counts prompts and what was written before the iteration. The first of the two in the maximum is the
    bound by compute, the second the one by memory. All numbers >= 0, and `overhead` + `weights_read` > 0.
    """

    kv_tokens: float
    """Tokens that fit the KV cache of a replica: bytes that the weights leave free / bytes per token."""
    max_sequences: int
    """Most that run at the same time on a replica, >= 1."""
    overhead: float = 0.0
    prefill_per_token: float = 0.0
    per_sequence: float = 0.0
    weights_read: float = 0.0
    """Seconds to read the weights once: bytes / bandwidth."""
    per_kv_token: float = 0.0
    """Seconds to read the cache of one token: bytes per token / bandwidth."""

    def __post_init__(self) -> None:
        at_least("max_sequences", self.max_sequences, 1)
        for name in (
            "kv_tokens",
            "overhead",
            "prefill_per_token",
            "per_sequence",
            "weights_read",
            "per_kv_token",
        ):
            at_least(name, getattr(self, name), 0.0)
        if not self.overhead + self.weights_read > 0.0:
            raise ValueError("overhead + weights_read must be > 0: an iteration takes time")

    def seconds(self, running: float, cached: float, prompts: float = 0.0) -> float:
        """How long an iteration takes with that many sequences, tokens in the cache, and tokens of new prompts.

        >>> round(Iteration(1e6, 64, overhead=0.001, weights_read=0.02, per_kv_token=1e-7).seconds(64, 50_000), 6)
        0.026
        """
        memory = self.weights_read + self.per_kv_token * cached
        return self.overhead + self.prefill_per_token * prompts + max(self.per_sequence * running, memory)


@dataclass(frozen=True)
class ServedSequences(Served):
    """Sequences whose fate is final. `start` is when a sequence was admitted, `finish` when its last token was there.

    `batch`: sequences that ran in its first iteration, itself included.
    """

    first_token: Array
    """Seconds; when its first token was there, NaN for those that never started."""


class SequencePool(ReplicaPool):
    """Replicas that write tokens, iteration by iteration; a `sim.pool.Pool`.

    iteration: what an iteration takes, see `Iteration`
    balancing: `central` (one queue, from which replicas admit at the beginning of their iterations, the lowest number
        first); or a line for each replica: `random`, `round_robin`, `shortest_queue` (fewest waiting and running),
        `power_of_two`, as in `sim.pool_balanced.BalancedPool`
    key, limit, timeout: as there; who would be admitted at the instant of its arrival is not refused

    At the beginning of an iteration a replica admits those waiting, in order, while no more than `max_sequences` run
    and the cache has room for the full length of all of them, tokens in and out: room is reserved at admission, so
    that no sequence is ever put off. The first that does not fit holds up those behind it. Prompts are read in the
    iteration of the admission, as a whole. Every sequence that runs writes a token in every iteration. A replica with
    nothing to do begins an iteration as soon as a request comes.

    `offer` takes work (n, 2), whole numbers: tokens in (>= 0) and tokens out (>= 1). A request longer than the whole
    cache is refused. A sequence whose replica fails is written anew from its prompt, is counted in `restarts`, and
    keeps its arrival time. `slow` counts from the next iteration on. `collect` returns `ServedSequences`.
    Raises ValueError for arguments outside these ranges.

    >>> pool = SequencePool(Iteration(kv_tokens=1000, max_sequences=2, prefill_per_token=0.001, weights_read=0.5))
    >>> pool.add(0, at=0.0)
    >>> pool.offer([0.0, 0.25, 0.5], [[500, 3], [100, 1], [900, 2]])  # the third waits for the cache
    >>> pool.advance(30.0)
    >>> served = pool.collect()
    >>> served.start, served.first_token.round(3), served.finish.round(3)
    (array([0. , 1. , 2.1]), array([1. , 1.6, 3.5]), array([2.1, 1.6, 4. ]))
    """

    _kernel: ClassVar[Any] = continuous_batching
    _replica: ClassVar[np.dtype[Any]] = REPLICA

    def __init__(
        self,
        iteration: Iteration,
        balancing: str = "central",
        *,
        key: int = 0,
        limit: int | None = None,
        timeout: float = math.inf,
    ) -> None:
        self._seats = _no_seats(1, iteration.max_sequences)
        super().__init__(RequestWindow(needs=("tokens_in", "tokens_out"), marks=("first_token",)))
        self._rules = Rules(
            balancing=place_of("balancing", balancing, (*BALANCING, "central")),
            key=np.uint64(key),
            kv_tokens=float(iteration.kv_tokens),
            overhead=float(iteration.overhead),
            prefill_per_token=float(iteration.prefill_per_token),
            per_sequence=float(iteration.per_sequence),
            weights_read=float(iteration.weights_read),
            per_kv_token=float(iteration.per_kv_token),
            limit=NO_LIMIT if limit is None else int(at_least("limit", limit, 0)),
            timeout=float(at_least("timeout", timeout, 0.0)),
        )

    def _state(self) -> tuple[Any, ...]:
        return self._window.table, self._replicas, self._seats, self._balancer, self._rules

    def offer(self, times: ArrayLike, work: ArrayLike) -> None:
        """Requests that will come: times (n,) sorted, work (n, 2) tokens in and tokens out."""
        tokens = np.asarray(work, dtype=np.float64)
        if tokens.ndim != 2 or tokens.shape[1] != 2:
            raise ValueError(f"work must be (n, 2): tokens in, tokens out; got shape {tokens.shape}")
        if not (np.all(tokens == np.floor(tokens)) and np.all(tokens[:, 1] >= 1.0)):
            raise ValueError("tokens must be whole numbers, at least one out")
        super().offer(times, tokens)

    def collect(self) -> ServedSequences:
        """Sequences whose fate became final since the last call, in order of their numbers."""
        return ServedSequences(**self._window.hand_out(self.now))

    def _make_room(self, replica: int) -> None:
        super()._make_room(replica)
        old = self._seats
        if len(old.number) < len(self._replicas):
            self._seats = _no_seats(len(self._replicas), old.number.shape[1])
            for before, after in zip(old, self._seats, strict=True):
                after[: len(before)] = before


def _no_seats(places: int, seats: int) -> Seats:
    return Seats(number=np.zeros((places, seats), np.int64), last=np.zeros((places, seats), np.int64))
