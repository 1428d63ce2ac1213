"""Page-Hinkley test: has the mean of a stream changed?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit

from sim.kernels.streaming import ALARM, COUNT, LARGEST, Alarms, Detector, Domain, Floats, Kernel

_MEAN, _RISE, _FALL, _LOWEST, _HIGHEST, _SIZE = 3, 4, 5, 6, 7, 8
_MODES = {"up": (1.0, 0.0), "down": (0.0, 1.0), "both": (1.0, 1.0)}


@njit(cache=True, error_model="numpy")
def page_hinkley(readings: Floats, parameters: Floats, state: Floats, alarms: Alarms) -> int:
    """Run the Page-Hinkley test over readings; returns the number of alarms, whose indices it leaves in `alarms`.

    The order of the operations is river's, so alarms agree to the last bit. What limits the speed is the chain of
    three dependent operations of the mean and of each sum; the division 1/n stands outside it.
    """
    min_instances, delta, threshold, alpha = parameters[0], parameters[1], parameters[2], parameters[3]
    # A direction that is not watched has a threshold that nothing passes: no branch inside the loop.
    rise_limit = threshold if parameters[4] > 0.0 else np.inf
    fall_limit = threshold if parameters[5] > 0.0 else np.inf
    n, mean, rise, fall = state[COUNT], state[_MEAN], state[_RISE], state[_FALL]
    lowest, highest = state[_LOWEST], state[_HIGHEST]
    restart = state[ALARM] > 0.0 or n == 0.0
    count = 0
    for i in range(readings.shape[0]):
        x = readings[i]
        if np.isnan(x):
            continue
        if restart:
            n, mean, rise, fall, lowest, highest = 0.0, 0.0, 0.0, 0.0, LARGEST, -1.0
            restart = False
        n += 1.0
        mean += (1.0 / n) * (x - mean)
        deviation = x - mean
        rise = alpha * rise + deviation - delta
        fall = alpha * fall + deviation + delta
        lowest = min(rise, lowest)
        highest = max(fall, highest)
        if ((rise - lowest > rise_limit) | (highest - fall > fall_limit)) and n >= min_instances:
            alarms[count] = i
            count += 1
            restart = True
    state[ALARM] = 1.0 if restart and n > 0.0 else 0.0
    state[COUNT], state[_MEAN], state[_RISE], state[_FALL] = n, mean, rise, fall
    state[_LOWEST], state[_HIGHEST] = lowest, highest
    return count


@dataclass(frozen=True, kw_only=True, eq=False)
class PageHinkley(Detector):
    """Page-Hinkley test: alarm when the sum of deviations from the running mean leaves its extreme by `threshold`.

    min_instances: readings before the first alarm, >= 1
    delta: change in the mean that is tolerated, in units of the readings, >= 0
    threshold: lambda, in units of the readings, > 0
    alpha: forgetting factor of the sums, in (0, 1]
    mode: "up" rises only, "down" falls only, "both"
    ValueError outside these ranges.

    Follows river (as of 0.26). Page (Biometrika 41, 1954) has no forgetting factor (alpha = 1) and a known mean in the
    place of the running one.

    >>> detector = PageHinkley(threshold=5.0, mode="up")
    >>> detector.update_many([0.0, 1.0] * 50 + [2.0, 3.0] * 5)
    array([102])
    """

    domain: ClassVar[Domain] = "real"
    kernel: ClassVar[Kernel] = staticmethod(page_hinkley)

    min_instances: int = 30
    delta: float = 0.005
    threshold: float = 50.0
    alpha: float = 1 - 0.0001
    mode: str = "both"

    def _check(self) -> None:
        self._require("min_instances", self.min_instances >= 1, ">= 1")
        self._require("delta", self.delta >= 0, ">= 0")
        self._require("threshold", self.threshold > 0, "> 0")
        self._require("alpha", 0 < self.alpha <= 1, "in (0, 1]")
        self._require("mode", self.mode in list(_MODES), "one of 'up', 'down', 'both'")

    def _kernel_parameters(self) -> list[float]:
        return [self.min_instances, self.delta, self.threshold, self.alpha, *_MODES[self.mode]]

    def _state_size(self) -> int:
        return _SIZE
