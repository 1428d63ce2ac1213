"""Named random streams: one per source of randomness, so that policies meet the same world.

A stream is a function of (seed, replication, name) only. Adding a source, a policy or a worker never changes the
numbers of another source (common random numbers).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from numbers import Integral

import numpy as np

from sim.antithetic import Mirrored


def check_seed(name: str, given: object) -> None:
    """Raise ValueError, naming `name`, for what is no integer >= 0; numpy's integers are some.

    >>> check_seed("seed", 1.5)
    Traceback (most recent call last):
    ValueError: seed: got 1.5, expected an integer >= 0
    """
    if isinstance(given, bool) or not isinstance(given, Integral) or given < 0:
        raise ValueError(f"{name}: got {given!r}, expected an integer >= 0")


def _sequence(seed: int, replication: int, name: str) -> np.random.SeedSequence:
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.SeedSequence(entropy=seed, spawn_key=(replication, int.from_bytes(digest[:8], "little")))


def stream(seed: int, replication: int, name: str) -> np.random.Generator:
    """Random generator of one source of randomness of one replication.

    seed, replication: integers >= 0. name: any text.

    >>> stream(0, 3, "traffic").random() == stream(0, 3, "traffic").random()
    True
    >>> stream(0, 3, "traffic").random() == stream(0, 3, "labels").random()
    False
    """
    return np.random.Generator(np.random.PCG64(_sequence(seed, replication, name)))


def mirrored_stream(seed: int, replication: int, name: str) -> np.random.Generator:
    """The mirror image of a stream: its uniform, standard normal and Poisson numbers turned round (antithetic).

    >>> mirrored_stream(0, 3, "drift").standard_normal() == -stream(0, 3, "drift").standard_normal()
    True
    """
    bits = np.random.PCG64(_sequence(seed, replication, name))
    return Mirrored(bits, stream(seed, replication, f"mirror:{name}"))


@lru_cache(maxsize=256)
def key(seed: int, replication: int, name: str) -> np.uint64:
    """64-bit key for kernels that draw the noise of a window from its number, in any order."""
    return np.uint64(_sequence(seed, replication, name).generate_state(1, np.uint64)[0])


def moment_number(moment: float) -> int:
    """Whole number that stands for a moment (days, >= 0) in kernels, to about 0.1 ms.

    A clock that adds up delays reaches the same moment with different last bits.
    """
    return round(moment * 2.0**30)


def stream_at(seed: int, replication: int, name: str, moment: float) -> np.random.Generator:
    """Random generator of what one source does at one moment (days), whatever happened before.

    Runs that do the same thing at the same moment of the same world are equally lucky. The counter-based Philox
    takes the source's key and the moment as its key, which is quicker than hashing a name each time.

    >>> stream_at(0, 3, "training", 7.5).random() == stream_at(0, 3, "training", 7.5).random()
    True
    """
    words = np.array([key(seed, replication, name), moment_number(moment)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=words))
