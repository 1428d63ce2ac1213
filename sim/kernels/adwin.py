"""ADWIN: a window of readings that grows while their mean holds and drops its old end when it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.kernels.streaming import ALARM, COUNT, Alarms, Detector, Domain, Floats, Kernel

# In the state: the number of buckets of each row, then the totals of all places, then the variances.
_WIDTH, _TOTAL, _VARIANCE, _ROWS, _FILLED = 3, 4, 5, 6, 7
_MAX_ROWS = 48  # row r holds buckets of 2**r readings, so this is more than any stream has
_ROOM = 4  # places of a row while at work, in capacities: buckets move down only when the end is reached
_SLACK = 1e-11  # relative; more than rounding does to sums over the buckets of a window

Counts = NDArray[np.int64]


@njit(cache=True, error_model="numpy")
def _cut_is_possible(
    filled: Counts,
    heads: Counts,
    rows: int,
    totals: Floats,
    width: float,
    total: float,
    variance: float,
    log_term: float,
    shortest: float,
) -> bool:
    """Whether any cut could pass the test: necessary conditions without division, with room for rounding.

    With m = total/width the difference of the two means is width (u0 - n0 m) / (n0 n1). The bound is at least
    sqrt(2 variance log_term / (n0 n1)) + 2/3 log_term width / (n0 n1): multiply by n0 n1 / width, move the last term
    over, square.
    """
    mean = total / width
    limit = 2.0 * variance * log_term / width * (1.0 - 1e-9)
    n0, u0 = 0.0, 0.0
    size = 2.0 ** (rows - 1)
    # Starts below zero by the last term of the bound, and grows with what rounding may have done.
    slack = _SLACK * abs(total) - 2.0 / 3.0 * log_term * (1.0 - 1e-9)
    for row in range(rows - 1, -1, -1):
        for k in range(heads[row], heads[row] + filled[row]):
            n0 += size
            u0 += totals[k]
            slack += _SLACK * abs(totals[k])
            n1 = width - n0
            excess = max(abs(u0 - n0 * mean) + slack, 0.0)
            if width * excess * excess > limit * n0 * n1 and n0 >= shortest and n1 >= shortest:
                return True
        size *= 0.5
    return False


@njit(cache=True, error_model="numpy")
def _cut_is_found(
    filled: Counts,
    heads: Counts,
    rows: int,
    totals: Floats,
    width: float,
    total: float,
    variance: float,
    log_term: float,
    shortest: float,
) -> bool:
    """Whether the means before and after some cut differ by more than the bound; operations in river's order."""
    n0, u0, n1, u1 = 0.0, 0.0, width, total
    size = 2.0 ** (rows - 1)
    spread = variance / width
    for row in range(rows - 1, -1, -1):
        for k in range(heads[row], heads[row] + filled[row]):
            n0 += size
            n1 -= size
            u0 += totals[k]
            u1 -= totals[k]
            if n1 >= shortest and n0 >= shortest:  # never after the last bucket, where n1 is 0
                inverse = 1.0 / (n0 - shortest + 1.0) + 1.0 / (n1 - shortest + 1.0)
                bound = np.sqrt(2.0 * inverse * spread * log_term) + 2.0 / 3.0 * log_term * inverse
                if abs(u0 / n0 - u1 / n1) > bound:
                    return True
        size *= 0.5
    return False


@njit(cache=True, error_model="numpy")
def _move_down(
    row: int, filled: Counts, heads: Counts, totals: Floats, variances: Floats, capacity: int
) -> None:
    """Move the buckets of a row back to its first place."""
    first, head = row * _ROOM * capacity, heads[row]
    for k in range(filled[row]):
        totals[first + k] = totals[head + k]
        variances[first + k] = variances[head + k]
    heads[row] = first


@njit(cache=True, error_model="numpy")
def _advance(
    readings: Floats,
    parameters: Floats,
    state: Floats,
    alarms: Alarms,
    filled: Counts,
    heads: Counts,
    totals: Floats,
    variances: Floats,
) -> int:
    """Take the readings, with the buckets in arrays with room to work in; returns the number of alarms.

    What happens at every reading stands here in full: handing arrays to another kernel costs more than the work.
    """
    delta, clock, capacity = parameters[0], int(parameters[1]), int(parameters[2]) + 1
    shortest, grace_period = parameters[3], parameters[4]
    n, width, total, variance = state[COUNT], state[_WIDTH], state[_TOTAL], state[_VARIANCE]
    rows, room = int(state[_ROWS]), _ROOM * capacity
    restart = state[ALARM] > 0.0 or n == 0.0
    to_check = clock - int(n) % clock
    count = 0
    for i in range(readings.shape[0]):
        x = readings[i]
        if np.isnan(x):
            continue
        if restart:
            filled[:] = 0
            n, width, total, variance, rows, to_check, restart = 0.0, 0.0, 0.0, 0.0, 0, clock, False
        n += 1.0
        width += 1.0
        if width > 1.0:
            change = x - total / (width - 1.0)
            variance += (width - 1.0) * change * change / width
        total += x

        # A bucket of one reading goes into row 0; where a row is full its two oldest become one of the next.
        row, bucket, spread = 0, x, 0.0
        # Half the size of a bucket and 1/size are powers of two: to multiply by them is to divide, exactly.
        half, inverse = 0.5, 1.0
        while True:
            head, there = heads[row], filled[row] + 1
            totals[head + there - 1] = bucket
            variances[head + there - 1] = spread
            filled[row] = there
            if there < capacity:
                break
            first, second = totals[head], totals[head + 1]
            difference = first * inverse - second * inverse
            spread = variances[head] + variances[head + 1] + half * difference * difference
            bucket = first + second
            filled[row] = there - 2
            heads[row] = head + 2
            if head + 2 + capacity > (row + 1) * room:
                _move_down(row, filled, heads, totals, variances, capacity)
            row += 1
            half *= 2.0
            inverse *= 0.5
        rows = max(rows, row + 1)

        to_check -= 1
        if to_check > 0:
            continue
        to_check = clock
        if width <= grace_period:
            continue
        while True:
            log_term = np.log(2.0 * np.log(width) / delta)
            if not _cut_is_possible(
                filled, heads, rows, totals, width, total, variance, log_term, shortest
            ) or not _cut_is_found(filled, heads, rows, totals, width, total, variance, log_term, shortest):
                break
            restart = True
            row = rows - 1
            size = 2.0**row
            oldest, its_variance = totals[heads[row]], variances[heads[row]]
            width -= size
            total -= oldest
            difference = oldest / size - total / width
            variance -= its_variance + size * width * difference * difference / (size + width)
            filled[row] -= 1
            heads[row] += 1
            if heads[row] + capacity > rows * room:
                _move_down(row, filled, heads, totals, variances, capacity)
            if filled[row] == 0:
                rows -= 1
        if restart:
            alarms[count] = i
            count += 1
    state[ALARM] = 1.0 if restart and n > 0.0 else 0.0
    state[COUNT], state[_WIDTH], state[_ROWS] = n, width, rows
    state[_TOTAL], state[_VARIANCE] = total, variance
    return count


@njit(cache=True, error_model="numpy")
def adwin(readings: Floats, parameters: Floats, state: Floats, alarms: Alarms) -> int:
    """Run ADWIN over readings; returns the number of alarms, whose indices it leaves in `alarms`.

    Means are compared every `clock` readings. A scan without divisions rules out nearly all of these comparisons;
    where it cannot, the exact test in river's order of operations decides.
    """
    capacity = int(parameters[2]) + 1
    filled, heads = np.empty(_MAX_ROWS, dtype=np.int64), np.empty(_MAX_ROWS, dtype=np.int64)
    totals, variances = np.empty(_MAX_ROWS * _ROOM * capacity), np.empty(_MAX_ROWS * _ROOM * capacity)
    kept_totals = state[_FILLED + _MAX_ROWS : _FILLED + _MAX_ROWS * (1 + capacity)]
    kept_variances = state[_FILLED + _MAX_ROWS * (1 + capacity) :]
    for row in range(_MAX_ROWS):
        filled[row] = int(state[_FILLED + row])
        heads[row] = row * _ROOM * capacity
        for k in range(filled[row]):
            totals[heads[row] + k] = kept_totals[row * capacity + k]
            variances[heads[row] + k] = kept_variances[row * capacity + k]

    count = _advance(readings, parameters, state, alarms, filled, heads, totals, variances)

    kept_totals[:] = 0.0
    kept_variances[:] = 0.0
    for row in range(_MAX_ROWS):
        state[_FILLED + row] = filled[row]
        for k in range(filled[row]):
            kept_totals[row * capacity + k] = totals[heads[row] + k]
            kept_variances[row * capacity + k] = variances[heads[row] + k]
    return count


@dataclass(frozen=True, kw_only=True, eq=False)
class ADWIN(Detector):
    """Adaptive windowing: alarm when two parts of the window differ in mean by more than chance allows.

    delta: significance, in (0, 1]
    clock: readings between two tests, >= 1
    max_buckets: buckets of each size before two are merged, >= 2
    min_window_length: readings that either part must have, >= 1
    grace_period: no test while the window is not longer than this, >= 0
    ValueError outside these ranges.

    Follows river (as of 0.26), that is ADWIN2 with the variance-based bound sqrt(2/m v ln(2 ln(n)/delta)) +
    2/(3m) ln(2 ln(n)/delta), where 1/m = 1/(n0 - l + 1) + 1/(n1 - l + 1) and l = min_window_length. Bifet and Gavalda
    (SDM 2007) have l = 1 (delta/n instead of delta/ln(n) in the proof), test at every reading, and keep the shrunken
    window after a change; river starts with an empty one. The window of an alarm can be read until the next reading.

    >>> detector = ADWIN()
    >>> detector.update_many([0.0, 1.0] * 500 + [5.0, 6.0] * 100)
    array([1023])
    """

    domain: ClassVar[Domain] = "real"
    kernel: ClassVar[Kernel] = staticmethod(adwin)

    delta: float = 0.002
    clock: int = 32
    max_buckets: int = 5
    min_window_length: int = 5
    grace_period: int = 10

    def _check(self) -> None:
        self._require("delta", 0 < self.delta <= 1, "in (0, 1]")
        self._require("clock", self.clock >= 1, ">= 1")
        self._require("max_buckets", self.max_buckets >= 2, ">= 2")
        self._require("min_window_length", self.min_window_length >= 1, ">= 1")
        self._require("grace_period", self.grace_period >= 0, ">= 0")

    def _kernel_parameters(self) -> list[float]:
        return [self.delta, self.clock, self.max_buckets, self.min_window_length, self.grace_period]

    def _state_size(self) -> int:
        return _FILLED + _MAX_ROWS + 2 * _MAX_ROWS * (self.max_buckets + 1)

    @property
    def width(self) -> int:
        """Readings in the window."""
        return int(self._state[_WIDTH])

    @property
    def total(self) -> float:
        """Sum of the readings in the window."""
        return float(self._state[_TOTAL])

    @property
    def variance(self) -> float:
        """Sum of squared deviations from the mean of the window, as river's `variance`: not divided by the width."""
        return float(self._state[_VARIANCE])

    @property
    def estimation(self) -> float:
        """Mean of the window, 0 while it is empty."""
        return self.total / self.width if self.width else 0.0
