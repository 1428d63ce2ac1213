"""Streaming detectors, by name.

The door to the detectors: each lives in a file of its own, with what they share in `streaming`.
"""

from __future__ import annotations

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
