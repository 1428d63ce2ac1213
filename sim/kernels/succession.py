"""Which versions of a model should follow one another, when every accuracy is known beforehand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cheapest_succession(loss: NDArray[np.float64], price: float, tie: float = 0.0) -> NDArray[np.int64]:
    """Versions to put into service, one after another, so that loss and price add up to the least.

    loss: (n, n), money; loss[i, s] is lost in slot s if version i serves then. Version 0 serves from slot 0 on,
        version i can take over at the start of slot i and no other; entries with s < i are not read
    price: money for each version but 0
    tie: totals that differ by at most this much count as equal: fewer versions win, then older ones
    Returns the versions chosen after version 0, ascending, (chosen,). Exact, O(n^2) time: dynamic programming
    over the version in service.

    >>> cheapest_succession(np.array([[0.1, 0.5, 0.9], [9.0, 0.1, 0.2], [9.0, 9.0, 0.1]]), price=0.3)
    array([1])
    """
    n = len(loss)
    cost, changes, before = np.zeros(n), np.zeros(n, np.int64), np.zeros(n, np.int64)
    for new in range(n):
        if new:
            before[new] = old = _least(cost[:new], changes[:new], tie)
            cost[new], changes[new] = cost[old] + price, changes[old] + 1
        cost[: new + 1] += loss[: new + 1, new]
    chosen, version = [], _least(cost, changes, tie)
    while version:
        chosen.append(version)
        version = int(before[version])
    return np.array(chosen[::-1], dtype=np.int64)


def _least(cost: NDArray[np.float64], changes: NDArray[np.int64], tie: float) -> int:
    """Position of the least cost, among equals of the fewest changes, then the first."""
    return int(np.argmin(np.where(cost <= cost.min() + tie, changes, np.iinfo(np.int64).max)))
