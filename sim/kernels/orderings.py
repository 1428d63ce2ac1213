"""The order in which right and wrong answers come in, when only their numbers are known."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.kernels.sampling import next_uniform, stream


@njit(cache=True)
def ordered_errors(
    key: np.uint64,
    windows: NDArray[np.int64],
    labels: NDArray[np.int64],
    correct: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Right (0) and wrong (1) answers one by one, every order of those of a window equally likely.

    key, windows: the stream of each window; the same window gives the same order every time
    labels, correct: (windows,) answers and right ones among them, 0 <= correct <= labels
    out: (labels.sum(),), window after window
    """
    position = 0
    for i in range(windows.shape[0]):
        state = stream(key, windows[i], 0)
        wrong = labels[i] - correct[i]
        for left in range(labels[i], 0, -1):
            value, state = next_uniform(state)
            if value * left < wrong:
                out[position] = 1.0
                wrong -= 1
            else:
                out[position] = 0.0
            position += 1
