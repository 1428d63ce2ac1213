"""One value of a table for each number: a pure function of the number, whatever comes before it.

The numbers count the draws of one SplitMix64 stream, whose state after any number of draws is known without them.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.kernels.sampling import next_uniform, stream

Array = NDArray[np.float64]
_STEP = np.uint64(0x9E3779B97F4A7C15)
"""What a draw adds to the state of a stream."""


@njit(cache=True)
def pick(table: Array, number: NDArray[np.int64], key: np.uint64) -> Array:
    """One value of a table (m,) for each number (n,), each as likely as the others."""
    found = np.empty(len(number))
    first = stream(key, 0, 0)
    for place in range(len(number)):
        chance, _ = next_uniform(first + _STEP * np.uint64(number[place]))
        found[place] = table[int(chance * len(table))]
    return found


@njit(cache=True)
def choose(shares: Array, number: NDArray[np.int64], key: np.uint64) -> NDArray[np.int64]:
    """A place for each number (n,): place k with the chance shares[k]; shares: (m,), they add up to 1."""
    found = np.empty(len(number), dtype=np.int64)
    first = stream(key, 0, 1)
    for place in range(len(number)):
        chance, _ = next_uniform(first + _STEP * np.uint64(number[place]))
        found[place] = len(shares) - 1
        for option in range(len(shares)):
            if chance < shares[option]:
                found[place] = option
                break
            chance -= shares[option]
    return found
