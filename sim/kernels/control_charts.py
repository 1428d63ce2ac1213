"""Control charts of statistical process control: CUSUM, EWMA and the Shewhart p-chart.

Unlike the detectors that learn what is usual, a chart is told the in-control mean and standard deviation. Terms and
designs follow Montgomery, 'Introduction to Statistical Quality Control'.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from sim.kernels.streaming import ALARM, COUNT, Alarms, Detector, Domain, Floats, Kernel

_UPPER, _LOWER, _CUSUM_SIZE = 3, 4, 5
_SMOOTHED, _FADED, _EWMA_SIZE = 3, 4, 5
_ERRORS, _P_CHART_SIZE = 3, 4
_SIDES = {"two": (1.0, 1.0), "upper": (1.0, 0.0), "lower": (0.0, 1.0)}
_SIDED = "one of 'two', 'upper', 'lower'"


@njit(cache=True, error_model="numpy")
def cusum(readings: Floats, parameters: Floats, state: Floats, alarms: Alarms) -> int:
    """Run the tabular CUSUM over readings; returns the number of alarms, whose indices it leaves in `alarms`."""
    target, sd, allowance = parameters[0], parameters[1], parameters[2]
    interval, head_start = parameters[3], parameters[4]
    upper_limit = interval if parameters[5] > 0.0 else np.inf
    lower_limit = interval if parameters[6] > 0.0 else np.inf
    n, upper, lower = state[COUNT], state[_UPPER], state[_LOWER]
    restart = state[ALARM] > 0.0 or n == 0.0
    count = 0
    for i in range(readings.shape[0]):
        x = readings[i]
        if np.isnan(x):
            continue
        if restart:
            n, upper, lower, restart = 0.0, head_start, head_start, False
        n += 1.0
        score = (x - target) / sd
        upper = max(0.0, upper + (score - allowance))
        lower = max(0.0, lower - (score + allowance))
        if (upper > upper_limit) | (lower > lower_limit):
            alarms[count] = i
            count += 1
            restart = True
    state[ALARM] = 1.0 if restart and n > 0.0 else 0.0
    state[COUNT], state[_UPPER], state[_LOWER] = n, upper, lower
    return count


@njit(cache=True, error_model="numpy")
def ewma(readings: Floats, parameters: Floats, state: Floats, alarms: Alarms) -> int:
    """Run the EWMA chart over readings; returns the number of alarms, whose indices it leaves in `alarms`."""
    target, weight, width, exact = parameters[0], parameters[1], parameters[2], parameters[3] > 0.0
    upper_width = width if parameters[4] > 0.0 else np.inf
    lower_width = width if parameters[5] > 0.0 else np.inf
    keep = 1.0 - weight
    # `smoothed` is the average less the target; `faded` is keep**(2 n), what the exact limits still lack.
    n, smoothed, faded = state[COUNT], state[_SMOOTHED], state[_FADED]
    restart = state[ALARM] > 0.0 or n == 0.0
    count = 0
    for i in range(readings.shape[0]):
        x = readings[i]
        if np.isnan(x):
            continue
        if restart:
            n, smoothed, faded, restart = 0.0, 0.0, 1.0, False
        n += 1.0
        smoothed = keep * smoothed + weight * (x - target)
        share = 1.0
        if exact:
            faded *= keep * keep
            share = math.sqrt(1.0 - faded)
        if (smoothed > upper_width * share) | (smoothed < -lower_width * share):
            alarms[count] = i
            count += 1
            restart = True
    state[ALARM] = 1.0 if restart and n > 0.0 else 0.0
    state[COUNT], state[_SMOOTHED], state[_FADED] = n, smoothed, faded
    return count


@njit(cache=True, error_model="numpy")
def p_chart(readings: Floats, parameters: Floats, state: Floats, alarms: Alarms) -> int:
    """Run the p-chart over 0/1 readings; returns the number of alarms, whose indices it leaves in `alarms`."""
    size, fewest, most = parameters[0], parameters[1], parameters[2]
    alarm = state[ALARM] > 0.0
    n, errors = state[COUNT], state[_ERRORS]
    count = 0
    for i in range(readings.shape[0]):
        x = readings[i]
        if np.isnan(x):
            continue
        if n == size:
            n, errors = 0.0, 0.0
        n += 1.0
        errors += x
        alarm = False
        if n == size and (errors < fewest or errors > most):
            alarms[count] = i
            count += 1
            alarm = True
    state[ALARM] = 1.0 if alarm else 0.0
    state[COUNT], state[_ERRORS] = n, errors
    return count


@dataclass(frozen=True, kw_only=True, eq=False)
class CUSUM(Detector):
    """Tabular CUSUM: sums of standardised deviations beyond the allowance, alarm when one passes the interval.

    target, sd: mean and standard deviation in control, in units of the readings; sd > 0
    allowance: k, in standard deviations, >= 0; half the shift that matters
    decision_interval: h, in standard deviations, > 0
    sided: "two", "upper" rises only, "lower" falls only
    head_start: both sums start here, in [0, h); h/2 is the fast initial response of Lucas and Crosier (1982), and
        tabled run lengths hold for 0
    ValueError outside these ranges.

    C+ = max(0, C+ + (z - k)), C- = max(0, C- - (z + k)) with z = (x - target)/sd; alarm when C > h (Page 1954;
    Montgomery, section 9.1). Two-sided, k = 0.5, h = 5: a false alarm every 465 readings, 10.4 to see 1 sd.

    >>> detector = CUSUM(target=10.0, sd=2.0)
    >>> detector.update_many([10.0, 9.0, 11.0] + [14.0] * 6)
    array([6])
    """

    domain: ClassVar[Domain] = "real"
    kernel: ClassVar[Kernel] = staticmethod(cusum)

    target: float = 0.0
    sd: float = 1.0
    allowance: float = 0.5
    decision_interval: float = 5.0
    sided: str = "two"
    head_start: float = 0.0

    def _check(self) -> None:
        self._require("sd", self.sd > 0, "> 0")
        self._require("allowance", self.allowance >= 0, ">= 0")
        self._require("decision_interval", self.decision_interval > 0, "> 0")
        self._require("sided", self.sided in list(_SIDES), _SIDED)
        below = f"in [0, decision_interval={self.decision_interval!r})"
        self._require("head_start", 0 <= self.head_start < self.decision_interval, below)

    def _kernel_parameters(self) -> list[float]:
        design = [self.target, self.sd, self.allowance, self.decision_interval, self.head_start]
        return [*design, *_SIDES[self.sided]]

    def _state_size(self) -> int:
        return _CUSUM_SIZE


@dataclass(frozen=True, kw_only=True, eq=False)
class EWMA(Detector):
    """EWMA chart: alarm when the exponentially weighted average of the readings leaves its control limits.

    target, sd: mean and standard deviation in control, in units of the readings; sd > 0
    lambda_val: weight of the newest reading, in (0, 1]; 1 is a Shewhart chart of single readings
    limit: L, half-width of the limits in standard deviations of the average, > 0
    sided: "two", "upper" rises only, "lower" falls only
    exact_limits: limits that widen from the start as the variance of the average does, instead of its limit
    ValueError outside these ranges.

    z_i = lambda x_i + (1 - lambda) z_(i-1), z_0 = target; limits target +- L sd sqrt(lambda/(2 - lambda)), with exact
    limits times sqrt(1 - (1 - lambda)^(2i)) (Roberts 1959; Montgomery, section 9.2). Two-sided, lambda = 0.1,
    L = 2.814: a false alarm about every 500 readings, 10.3 to see 1 sd.

    >>> detector = EWMA(target=10.0, sd=2.0)
    >>> detector.update_many([10.0, 9.0, 11.0] + [14.0] * 6)
    array([6])
    """

    domain: ClassVar[Domain] = "real"
    kernel: ClassVar[Kernel] = staticmethod(ewma)

    target: float = 0.0
    sd: float = 1.0
    lambda_val: float = 0.1
    limit: float = 2.814
    sided: str = "two"
    exact_limits: bool = False

    def _check(self) -> None:
        self._require("sd", self.sd > 0, "> 0")
        self._require("lambda_val", 0 < self.lambda_val <= 1, "in (0, 1]")
        self._require("limit", self.limit > 0, "> 0")
        self._require("sided", self.sided in list(_SIDES), _SIDED)

    def _kernel_parameters(self) -> list[float]:
        width = self.limit * self.sd * math.sqrt(self.lambda_val / (2.0 - self.lambda_val))
        return [self.target, self.lambda_val, width, float(self.exact_limits), *_SIDES[self.sided]]

    def _state_size(self) -> int:
        return _EWMA_SIZE


@dataclass(frozen=True, kw_only=True, eq=False)
class ShewhartPChart(Detector):
    """Shewhart p-chart of a stream of errors (1) and right answers (0), judged in groups of `group_size`.

    fraction: share of errors in control, in (0, 1)
    group_size: readings a group, >= 1
    limit: half-width of the limits in standard deviations of a group's share, > 0
    sided: "two", "upper" rises only, "lower" falls only
    ValueError outside these ranges.

    Alarm at the last reading of a group whose share is outside fraction +- limit sqrt(fraction (1 - fraction) /
    group_size) (Montgomery, section 7.2). For groups of unequal size see `p_chart_limits`.

    >>> detector = ShewhartPChart(fraction=0.1, group_size=10)
    >>> detector.update_many([0] * 9 + [1] + [0, 1] * 5)
    array([19])
    """

    domain: ClassVar[Domain] = "binary"
    kernel: ClassVar[Kernel] = staticmethod(p_chart)

    fraction: float = 0.1
    group_size: int = 100
    limit: float = 3.0
    sided: str = "two"

    def _check(self) -> None:
        self._require("fraction", 0 < self.fraction < 1, "in (0, 1)")
        self._require("group_size", self.group_size >= 1, ">= 1")
        self._require("limit", self.limit > 0, "> 0")
        self._require("sided", self.sided in list(_SIDES), _SIDED)

    def _kernel_parameters(self) -> list[float]:
        lower, upper = p_chart_limits(self.fraction, self.group_size, self.limit)
        shares = np.arange(self.group_size + 1) / self.group_size
        # As counts of errors, so that the kernel compares whole numbers.
        inside = np.flatnonzero((shares >= lower) & (shares <= upper))
        fewest, most = (inside[0], inside[-1]) if inside.size else (self.group_size + 1, -1)
        watch_upper, watch_lower = _SIDES[self.sided]
        return [self.group_size, fewest if watch_lower else -1.0, most if watch_upper else self.group_size]

    def _state_size(self) -> int:
        return _P_CHART_SIZE


def p_chart_limits(fraction: float, group_size: ArrayLike, limit: float = 3.0) -> tuple[Floats, Floats]:
    """Control limits of a share of errors for groups of any size.

    fraction: share in control, in (0, 1); group_size: rows a group, >= 1, scalar or array; limit: half-width in
    standard deviations, > 0. Returns the lower and the upper limit, within [0, 1], shape of `group_size`. Raises
    ValueError outside these ranges. Source: Montgomery, section 7.2.2.

    >>> lower, upper = p_chart_limits(0.1, [35, 1_000_000])
    >>> upper.round(4)
    array([0.2521, 0.1009])
    """
    sizes = np.asarray(group_size, dtype=np.float64)
    if not (0 < fraction < 1 and limit > 0 and (sizes >= 1).all()):
        raise ValueError(
            f"p_chart_limits: got fraction={fraction!r}, group_size={group_size!r}, limit={limit!r}, "
            "must be in (0, 1), >= 1 and > 0"
        )
    half = limit * np.sqrt(fraction * (1.0 - fraction) / sizes)
    return np.maximum(fraction - half, 0.0), np.minimum(fraction + half, 1.0)
