"""Detectors with guarantees from concentration bounds: HDDM with plain (A) and with weighted (W) averages."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit

from sim.kernels.streaming import (
    ALARM,
    COUNT,
    LARGEST,
    WARNING,
    Alarms,
    Domain,
    Floats,
    Kernel,
    WarningDetector,
)

_MEAN, _LOW_N, _LOW_MEAN, _HIGH_N, _HIGH_MEAN, _A_SIZE = 3, 4, 5, 6, 7, 8

# HDDM_W: total (average, bound), then for rises and for falls the cut point and the (readings, average, bound) of the
# sample before and after it.
_TOTAL, _BOUND, _RISE, _FALL, _W_SIZE = 3, 4, 5, 11, 17


@njit(cache=True, error_model="numpy")
def hddm_a(readings: Floats, parameters: Floats, state: Floats, alarms: Alarms) -> int:
    """Run HDDM_A over readings in [0, 1]; returns the number of alarms, whose indices it leaves in `alarms`."""
    log_cut, log_drift, log_warning = parameters[0], parameters[1], parameters[2]
    two_sided = parameters[3] > 0.0
    n, mean = state[COUNT], state[_MEAN]
    low_n, low_mean, high_n, high_mean = state[_LOW_N], state[_LOW_MEAN], state[_HIGH_N], state[_HIGH_MEAN]
    low_bound = low_mean + math.sqrt(1.0 / (2.0 * low_n) * log_cut)
    high_bound = high_mean - math.sqrt(1.0 / (2.0 * high_n) * log_cut)
    warning = state[WARNING] > 0.0
    restart = state[ALARM] > 0.0 or n == 0.0
    count = 0
    for i in range(readings.shape[0]):
        x = readings[i]
        if np.isnan(x):
            continue
        if restart:
            n, mean, low_bound, high_bound, restart = 0.0, 0.0, np.inf, -np.inf, False
        n += 1.0
        mean += (1.0 / n) * (x - mean)
        bound = math.sqrt(1.0 / (2.0 * n) * log_cut)
        if low_bound >= mean + bound:
            low_n, low_mean, low_bound = n, mean, mean + bound
        if high_bound <= mean - bound:
            high_n, high_mean, high_bound = n, mean, mean - bound
        warning, drift = False, False
        if low_n != n:
            half = (n - low_n) / low_n * (1.0 / n) / 2.0
            drift = mean - low_mean >= math.sqrt(half * log_drift)
            warning = not drift and mean - low_mean >= math.sqrt(half * log_warning)
        if two_sided and high_n != n:
            half = (n - high_n) / high_n * (1.0 / n) / 2.0
            if high_mean - mean >= math.sqrt(half * log_drift):
                drift = True
            elif high_mean - mean >= math.sqrt(half * log_warning):
                warning = True
        if drift:
            alarms[count] = i
            count += 1
            restart = True
    state[ALARM] = 1.0 if restart and n > 0.0 else 0.0
    state[WARNING] = 1.0 if warning else 0.0
    state[COUNT], state[_MEAN] = n, mean
    state[_LOW_N], state[_LOW_MEAN], state[_HIGH_N], state[_HIGH_MEAN] = low_n, low_mean, high_n, high_mean
    return count


@njit(cache=True, error_model="numpy")
def hddm_w(readings: Floats, parameters: Floats, state: Floats, alarms: Alarms) -> int:
    """Run HDDM_W over readings in [0, 1]; returns the number of alarms, whose indices it leaves in `alarms`."""
    log_drift, log_warning = parameters[0], parameters[1]
    weight, weight_squared, keep_squared = parameters[2], parameters[3], parameters[4]
    two_sided = parameters[5] > 0.0
    keep = 1.0 - weight
    n, total, total_bound = state[COUNT], state[_TOTAL], state[_BOUND]
    rise_cut, rise_old, rise_old_bound = state[_RISE], state[_RISE + 1], state[_RISE + 2]
    rise_n, rise_new, rise_new_bound = state[_RISE + 3], state[_RISE + 4], state[_RISE + 5]
    fall_cut, fall_old, fall_old_bound = state[_FALL], state[_FALL + 1], state[_FALL + 2]
    fall_n, fall_new, fall_new_bound = state[_FALL + 3], state[_FALL + 4], state[_FALL + 5]
    warning = state[WARNING] > 0.0
    restart = state[ALARM] > 0.0 or n == 0.0
    count = 0
    for i in range(readings.shape[0]):
        x = readings[i]
        if np.isnan(x):
            continue
        if restart:
            n, total_bound, rise_cut, fall_cut, restart = 0.0, 1.0, LARGEST, -LARGEST, False
        total = weight * x + keep * total if n > 0.0 else x
        total_bound = weight_squared + keep_squared * total_bound
        n += 1.0
        margin = math.sqrt(total_bound * log_drift / 2.0)

        warning, drift = False, False
        if total + margin < rise_cut:
            rise_cut, rise_old, rise_old_bound = total + margin, total, total_bound
            rise_n, rise_new, rise_new_bound = 0.0, 0.0, 1.0
        else:
            rise_new = weight * x + keep * rise_new if rise_n > 0.0 else x
            rise_new_bound = weight_squared + keep_squared * rise_new_bound
            rise_n += 1.0
            both = rise_old_bound + rise_new_bound
            drift = rise_new - rise_old > math.sqrt(both * log_drift / 2.0)
            warning = not drift and rise_new - rise_old > math.sqrt(both * log_warning / 2.0)

        if two_sided:
            if total - margin > fall_cut:
                fall_cut, fall_old, fall_old_bound = total - margin, total, total_bound
                fall_n, fall_new, fall_new_bound = 0.0, 0.0, 1.0
            else:
                fall_new = weight * x + keep * fall_new if fall_n > 0.0 else x
                fall_new_bound = weight_squared + keep_squared * fall_new_bound
                fall_n += 1.0
                both = fall_new_bound + fall_old_bound
                if fall_old - fall_new > math.sqrt(both * log_drift / 2.0):
                    drift = True
                elif fall_old - fall_new > math.sqrt(both * log_warning / 2.0):
                    warning = True
        if drift:
            alarms[count] = i
            count += 1
            restart = True
    state[ALARM] = 1.0 if restart and n > 0.0 else 0.0
    state[WARNING] = 1.0 if warning else 0.0
    state[COUNT], state[_TOTAL], state[_BOUND] = n, total, total_bound
    state[_RISE], state[_RISE + 1], state[_RISE + 2] = rise_cut, rise_old, rise_old_bound
    state[_RISE + 3], state[_RISE + 4], state[_RISE + 5] = rise_n, rise_new, rise_new_bound
    state[_FALL], state[_FALL + 1], state[_FALL + 2] = fall_cut, fall_old, fall_old_bound
    state[_FALL + 3], state[_FALL + 4], state[_FALL + 5] = fall_n, fall_new, fall_new_bound
    return count


@dataclass(frozen=True, kw_only=True, eq=False)
class HDDM_A(WarningDetector):
    """Hoeffding drift detection with plain averages: alarm when the mean rises above its lowest credible level.

    drift_confidence: probability of a false alarm that the bound allows a comparison, in (0, 1)
    warning_confidence: the same for a warning, in [drift_confidence, 1)
    two_sided_test: watch for falls of the mean too
    ValueError outside these ranges. Readings in [0, 1], such as 1 error, 0 right: Hoeffding's bound holds for both.

    Follows river (as of 0.26; `HDDMA` there), which follows MOA's program of Frias-Blanco et al. (IEEE TKDE 27, 2015):
    2/confidence within the logarithm of the one-sided test too, and an alarm of the falling side leaves the warning of
    the rising side standing.

    >>> detector = HDDM_A()
    >>> detector.update_many([0, 0, 0, 1] * 100 + [0, 1] * 100)
    array([465])
    """

    domain: ClassVar[Domain] = "unit"
    kernel: ClassVar[Kernel] = staticmethod(hddm_a)

    drift_confidence: float = 0.001
    warning_confidence: float = 0.005
    two_sided_test: bool = False

    def _check(self) -> None:
        _check_confidences(self)

    def _kernel_parameters(self) -> list[float]:
        return [
            math.log(1.0 / self.drift_confidence),
            math.log(2.0 / self.drift_confidence),
            math.log(2.0 / self.warning_confidence),
            float(self.two_sided_test),
        ]

    def _state_size(self) -> int:
        return _A_SIZE


@dataclass(frozen=True, kw_only=True, eq=False)
class HDDM_W(WarningDetector):
    """Hoeffding drift detection with exponentially weighted averages (McDiarmid's bound): sooner on gradual change.

    drift_confidence: probability of a false alarm that the bound allows a comparison, in (0, 1)
    warning_confidence: the same for a warning, in [drift_confidence, 1)
    lambda_val: weight of the newest reading, in (0, 1]
    two_sided_test: watch for falls of the mean too
    ValueError outside these ranges. Readings in [0, 1], such as 1 error, 0 right: McDiarmid's bound holds for both.

    Follows river (as of 0.26; `HDDMW` there). By the definition (Frias-Blanco et al., IEEE TKDE 27, 2015) the bound
    takes the sum of squared weights, 1 after the first reading, which has all the weight; river is one step further,
    at lambda^2 + (1 - lambda)^2, so its bound is a little narrower for the first 1/lambda readings.

    >>> detector = HDDM_W()
    >>> detector.update_many([0, 0, 0, 1] * 100 + [0, 1, 1] * 100)
    array([447])
    """

    domain: ClassVar[Domain] = "unit"
    kernel: ClassVar[Kernel] = staticmethod(hddm_w)

    drift_confidence: float = 0.001
    warning_confidence: float = 0.005
    lambda_val: float = 0.05
    two_sided_test: bool = False

    def _check(self) -> None:
        _check_confidences(self)
        self._require("lambda_val", 0 < self.lambda_val <= 1, "in (0, 1]")

    def _kernel_parameters(self) -> list[float]:
        return [
            math.log(1 / self.drift_confidence),
            math.log(1 / self.warning_confidence),
            self.lambda_val,
            self.lambda_val * self.lambda_val,
            (1 - self.lambda_val) ** 2,
            float(self.two_sided_test),
        ]

    def _state_size(self) -> int:
        return _W_SIZE


def _check_confidences(detector: HDDM_A | HDDM_W) -> None:
    drift, warning = detector.drift_confidence, detector.warning_confidence
    detector._require("drift_confidence", 0 < drift < 1, "in (0, 1)")
    detector._require("warning_confidence", drift <= warning < 1, f"in [drift_confidence={drift!r}, 1)")
