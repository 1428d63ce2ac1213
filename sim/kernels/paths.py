"""Recursions behind the paths of a drifting world."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def ornstein_uhlenbeck(start: NDArray[np.float64], noise: NDArray[np.float64], persistence: float) -> None:
    """Turn standard normal `noise` (windows, features) into a stationary path of unit variance, in place.

    start: (features,) standard normal values before the first window; persistence: correlation of one window
    with the next, exp(-window / relaxation) in (0, 1). This is the exact transition law, for any window.
    """
    innovation = np.sqrt(1.0 - persistence * persistence)
    for j in range(noise.shape[1]):
        state = start[j]
        for i in range(noise.shape[0]):
            state = persistence * state + innovation * noise[i, j]
            noise[i, j] = state


@njit(cache=True)
def fading_sum(shocks: NDArray[np.float64], persistence: float) -> None:
    """Accumulate `shocks` (windows, features) in place; what came before fades by `persistence` in [0, 1] a window."""
    for j in range(shocks.shape[1]):
        state = 0.0
        for i in range(shocks.shape[0]):
            state = persistence * state + shocks[i, j]
            shocks[i, j] = state


@njit(cache=True)
def follow(
    target: NDArray[np.float64], start: NDArray[np.float64], gain: float, out: NDArray[np.float64]
) -> None:
    """State of a learner that closes a share `gain` of its gap to `target` (windows, features) each window.

    start: (features,), the state that serves the first window. Writes `out`, shaped as `target`: row i is the
    state that serves window i, learned from rows before i.
    """
    for j in range(target.shape[1]):
        state = start[j]
        for i in range(target.shape[0]):
            out[i, j] = state
            state += gain * (target[i, j] - state)
