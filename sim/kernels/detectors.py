"""Sequential rules over a series of scores."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True)
def cusum_crossing(
    scores: NDArray[np.float64], allowance: float, limit: float, statistic: float
) -> tuple[int, float]:
    """First index at which the one-sided CUSUM of standardised scores passes `limit`; -1 when it does not.

    S_i = max(0, S_{i-1} + score_i - allowance), started at `statistic`; NaN scores are passed over. Returns the index
    and the statistic there (at the end when -1). Source: Page 1954; Montgomery, 'Statistical Quality Control'.
    """
    for i in range(scores.shape[0]):
        if np.isnan(scores[i]):
            continue
        statistic = max(0.0, statistic + scores[i] - allowance)
        if statistic > limit:
            return i, statistic
    return -1, statistic
