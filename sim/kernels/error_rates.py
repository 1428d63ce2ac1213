"""Detectors over a stream of errors (1) and right answers (0): DDM watches the rate, EDDM the distance."""

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

_RATE, _LEAST_RATE, _LEAST_SD, _LEAST_SUM, _DDM_SIZE = 3, 4, 5, 6, 7
_LAST_ERROR, _ERRORS, _DISTANCE, _SQUARES, _WIDEST, _EDDM_SIZE = 3, 4, 5, 6, 7, 8

# A comparison whose sides differ by more than this fraction cannot turn on the rounding of a square root.
_CLEAR = 1e-12


@njit(cache=True, error_model="numpy")
def ddm(readings: Floats, parameters: Floats, state: Floats, alarms: Alarms) -> int:
    """Run the drift detection method over 0/1 readings; returns the number of alarms, indices left in `alarms`.

    While the level is clearly between its minimum and the limit, squares are compared, which takes neither the root
    nor its division; the exact comparison in river's order decides elsewhere.
    """
    warm_start, warning_threshold, drift_threshold = parameters[0], parameters[1], parameters[2]
    n, rate = state[COUNT], state[_RATE]
    least_rate, least_sd, least_sum = state[_LEAST_RATE], state[_LEAST_SD], state[_LEAST_SUM]
    drift_limit = least_rate + drift_threshold * least_sd
    restart = state[ALARM] > 0.0 or n == 0.0
    count = 0
    for i in range(readings.shape[0]):
        x = readings[i]
        if np.isnan(x):
            continue
        if restart:
            n, rate, least_sum, drift_limit, restart = 0.0, 0.0, LARGEST, LARGEST, False
        n += 1.0
        rate += (1.0 / n) * (x - rate)
        variance = rate * (1.0 - rate) * (1.0 / n)  # a rounding away from what river has, enough for this:
        to_least, to_drift = least_sum - rate + _CLEAR, drift_limit - rate - _CLEAR
        if (
            (to_drift > 0.0)
            & (variance < to_drift * to_drift)
            & ((to_least < 0.0) | (variance > to_least * to_least))
        ):
            continue
        if n <= warm_start:
            continue
        sd = math.sqrt(rate * (1.0 - rate) / n)
        if rate + sd <= least_sum:
            least_rate, least_sd, least_sum = rate, sd, rate + sd
            drift_limit = least_rate + drift_threshold * least_sd
        if rate + sd > drift_limit:
            restart = True
            alarms[count] = i
            count += 1
    alarm = restart and n > 0.0
    level = rate + math.sqrt(rate * (1.0 - rate) / n) if n > warm_start else 0.0
    state[ALARM] = 1.0 if alarm else 0.0
    state[WARNING] = 1.0 if level > least_rate + warning_threshold * least_sd and not alarm else 0.0
    state[COUNT], state[_RATE] = n, rate
    state[_LEAST_RATE], state[_LEAST_SD], state[_LEAST_SUM] = least_rate, least_sd, least_sum
    return count


@njit(cache=True, error_model="numpy")
def eddm(readings: Floats, parameters: Floats, state: Floats, alarms: Alarms) -> int:
    """Run the early drift detection method over 0/1 readings; returns the number of alarms, indices in `alarms`.

    river takes the root as a power with exponent 1/2, which differs from the correctly rounded root in the last bit
    now and then; the power, several times slower, is taken only where that bit could decide.
    """
    warm_start, warning_level, drift_level, half = parameters[0], parameters[1], parameters[2], parameters[3]
    n, last_error, errors = state[COUNT], state[_LAST_ERROR], state[_ERRORS]
    distance, squares, widest = state[_DISTANCE], state[_SQUARES], state[_WIDEST]
    warning = state[WARNING] > 0.0
    restart = state[ALARM] > 0.0 or n == 0.0
    count = 0
    for i in range(readings.shape[0]):
        x = readings[i]
        if np.isnan(x):
            continue
        if restart:
            n, last_error, errors, distance, squares, widest = 0.0, 0.0, 0.0, 0.0, 0.0, -1.0
            warning, restart = False, False
        n += 1.0
        if x == 0.0:
            continue
        errors += 1.0
        before = n - last_error - distance
        distance += (1.0 / errors) * before
        squares += before * (n - last_error - distance)
        last_error = n
        if n <= warm_start:
            continue
        variance = squares / (errors - 1.0) if errors > 1.0 else 0.0
        spread = distance + 2.0 * math.sqrt(variance)
        if spread > widest * (1.0 - _CLEAR):
            spread = distance + 2.0 * variance**half
            if spread > widest:
                widest = spread
                continue
        if errors <= warm_start:
            continue
        nearest = min(abs(spread - warning_level * widest), abs(spread - drift_level * widest))
        if nearest < _CLEAR * widest:
            level = (distance + 2.0 * variance**half) / widest
            drift, warn = level < drift_level, level < warning_level
        else:
            drift, warn = spread < drift_level * widest, spread < warning_level * widest
        if drift:
            restart = True
            alarms[count] = i
            count += 1
        else:
            warning = warn
    state[ALARM] = 1.0 if restart and n > 0.0 else 0.0
    state[WARNING] = 1.0 if warning else 0.0
    state[COUNT], state[_LAST_ERROR], state[_ERRORS] = n, last_error, errors
    state[_DISTANCE], state[_SQUARES], state[_WIDEST] = distance, squares, widest
    return count


@dataclass(frozen=True, kw_only=True, eq=False)
class DDM(WarningDetector):
    """Drift detection method: alarm when the error rate rises significantly above its lowest level so far.

    warm_start: readings before the first judgement, >= 0
    warning_threshold: standard deviations above the lowest level that warn, > 0
    drift_threshold: standard deviations that raise an alarm, >= warning_threshold
    ValueError outside these ranges. Readings: 1 error, 0 right.

    With rate p and s = sqrt(p(1 - p)/n), the lowest level is the pair at which p + s was least; alarm when
    p + s > p_min + drift_threshold s_min. Follows river (as of 0.26): strictly above, and the minimum too is sought
    only after `warm_start` readings; Gama et al. (SBIA 2004) say 'at or above'.

    >>> detector = DDM()
    >>> detector.update_many([0, 0, 0, 1] * 100 + [0, 1] * 100)
    array([481])
    """

    domain: ClassVar[Domain] = "binary"
    kernel: ClassVar[Kernel] = staticmethod(ddm)

    warm_start: int = 30
    warning_threshold: float = 2.0
    drift_threshold: float = 3.0

    def _check(self) -> None:
        self._require("warm_start", self.warm_start >= 0, ">= 0")
        self._require("warning_threshold", self.warning_threshold > 0, "> 0")
        least = f">= warning_threshold={self.warning_threshold!r}"
        self._require("drift_threshold", self.drift_threshold >= self.warning_threshold, least)

    def _kernel_parameters(self) -> list[float]:
        return [self.warm_start, self.warning_threshold, self.drift_threshold]

    def _state_size(self) -> int:
        return _DDM_SIZE


@dataclass(frozen=True, kw_only=True, eq=False)
class EDDM(WarningDetector):
    """Early drift detection method: alarm when errors come closer together than they used to.

    warm_start: errors before the first judgement, >= 0
    alpha: level that warns, in (0, 1)
    beta: level that raises an alarm, in (0, alpha]
    ValueError outside these ranges. Readings: 1 error, 0 right.

    With mean m and standard deviation s of the distance between errors, the level is m + 2s over its largest value so
    far. Follows river (as of 0.26): the largest value is sought from `warm_start` readings on and levels are judged
    after `warm_start` errors, s is the sample deviation (n - 1), and the first distance counts from the start of the
    stream. Baena-Garcia et al. (2006) begin after 30 errors.

    >>> detector = EDDM()
    >>> detector.update_many(([0] * 5 + [1] + [0] * 14 + [1]) * 25 + [0, 1] * 50)
    array([570])
    """

    domain: ClassVar[Domain] = "binary"
    kernel: ClassVar[Kernel] = staticmethod(eddm)

    warm_start: int = 30
    alpha: float = 0.95
    beta: float = 0.9

    def _check(self) -> None:
        self._require("warm_start", self.warm_start >= 0, ">= 0")
        self._require("alpha", 0 < self.alpha < 1, "in (0, 1)")
        self._require("beta", 0 < self.beta <= self.alpha, f"in (0, alpha={self.alpha!r}]")

    def _kernel_parameters(self) -> list[float]:
        # The exponent is handed over because a literal 1/2 is compiled into a square root.
        return [self.warm_start, self.alpha, self.beta, 0.5]

    def _state_size(self) -> int:
        return _EDDM_SIZE
