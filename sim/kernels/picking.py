"""One value of a table for each number: a pure function of the number, whatever comes before it."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.kernels.sampling import next_uniform, stream

Array = NDArray[np.float64]


@njit(cache=True)
def pick(table: Array, number: NDArray[np.int64], key: np.uint64) -> Array:
    """One value of a table (m,) for each number (n,), each as likely as the others."""
    found = np.empty(len(number))
    for place in range(len(number)):
        chance, _ = next_uniform(stream(key, number[place], 0))
        found[place] = table[int(chance * len(table))]
    return found


@njit(cache=True)
def choose(shares: Array, number: NDArray[np.int64], key: np.uint64) -> NDArray[np.int64]:
    """A place for each number (n,): place k with the chance shares[k]; shares: (m,), they add up to 1."""
    found = np.empty(len(number), dtype=np.int64)
    for place in range(len(number)):
        chance, _ = next_uniform(stream(key, number[place], 1))
        found[place] = len(shares) - 1
        for option in range(len(shares)):
            if chance < shares[option]:
                found[place] = option
                break
            chance -= shares[option]
    return found
