"""Named random streams: one per source of randomness, so that policies meet the same world.

A stream is a function of (seed, replication, name) only. Adding a source, a policy or a worker never changes the
numbers of another source (common random numbers).
"""

from __future__ import annotations

import hashlib

import numpy as np


def _sequence(seed: int, replication: int, name: str) -> np.random.SeedSequence:
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.SeedSequence(
        entropy=seed, spawn_key=(replication, int.from_bytes(digest[:8], "little"))
    )


def stream(seed: int, replication: int, name: str) -> np.random.Generator:
    """Random generator of one source of randomness of one replication.

    seed, replication: integers >= 0. name: any text.

    >>> stream(0, 3, "traffic").random() == stream(0, 3, "traffic").random()
    True
    >>> stream(0, 3, "traffic").random() == stream(0, 3, "labels").random()
    False
    """
    return np.random.Generator(np.random.PCG64(_sequence(seed, replication, name)))


def key(seed: int, replication: int, name: str) -> np.uint64:
    """64-bit key for kernels that draw the noise of a window from its number, in any order."""
    return np.uint64(_sequence(seed, replication, name).generate_state(1, np.uint64)[0])
