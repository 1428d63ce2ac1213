"""Streaming detectors, by name, and sequential rules over a series of scores.

The door to the detectors: each lives in a file of its own, with what they share in `streaming`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.kernels.adwin import ADWIN
from sim.kernels.control_charts import CUSUM, EWMA, ShewhartPChart, p_chart_limits
from sim.kernels.error_rates import DDM, EDDM
from sim.kernels.hoeffding import HDDM_A, HDDM_W
from sim.kernels.kswin import KSWIN
from sim.kernels.page_hinkley import PageHinkley
from sim.kernels.streaming import Detector, WarningDetector

__all__ = [
    "ADWIN",
    "CUSUM",
    "DDM",
    "DETECTORS",
    "EDDM",
    "EWMA",
    "HDDM_A",
    "HDDM_W",
    "KSWIN",
    "Detector",
    "PageHinkley",
    "ShewhartPChart",
    "WarningDetector",
    "cusum_crossing",
    "p_chart_limits",
]

DETECTORS: dict[str, type[Detector]] = {
    "page_hinkley": PageHinkley,
    "cusum": CUSUM,
    "ewma": EWMA,
    "shewhart": ShewhartPChart,
    "ddm": DDM,
    "eddm": EDDM,
    "hddm_a": HDDM_A,
    "hddm_w": HDDM_W,
    "adwin": ADWIN,
    "kswin": KSWIN,
}


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
