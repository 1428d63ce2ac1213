"""What every streaming detector shares: checked parameters, a flat state, alarms of one reading or of many.

A detector is a frozen set of parameters beside one float64 array that holds all it remembers. The work is done by a
pure kernel `(readings, parameters, state, alarms) -> number of alarms`, the same for one reading as for a million.
"""

from __future__ import annotations

import copy
import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Alarms = NDArray[np.int64]
Kernel = Callable[[Floats, Floats, Floats, Alarms], int]
Domain = Literal["real", "unit", "binary"]

ALARM, WARNING, COUNT = (
    0,
    1,
    2,
)  # the first three numbers of every state; COUNT: readings since the last restart
LARGEST = float(np.finfo(np.float64).max)  # stands for infinity, which JSON cannot say

_DOMAINS = {"real": "a finite number", "unit": "a number in [0, 1]", "binary": "0 or 1"}
_KINDS: dict[str, tuple[type, ...]] = {
    "float": (numbers.Real,),
    "int": (numbers.Integral,),
    "int | None": (numbers.Integral, type(None)),
    "bool": (bool, np.bool_),
}
_BLOCK = 1024


@njit(cache=True)
def first_outside(readings: Floats, low: float, high: float) -> int:
    """Index of the first reading below `low` or above `high`, -1 when there is none; NaN is passed over."""
    for start in range(0, readings.shape[0], _BLOCK):
        end = min(start + _BLOCK, readings.shape[0])
        outside = 0
        for i in range(start, end):  # no early exit, so that several readings are compared at once
            outside += 1 if (readings[i] < low) | (readings[i] > high) else 0
        if outside > 0:
            for i in range(start, end):
                if readings[i] < low or readings[i] > high:
                    return i
    return -1


@njit(cache=True)
def first_not_binary(readings: Floats) -> int:
    """Index of the first reading that is neither 0 nor 1, -1 when there is none; NaN is passed over."""
    for start in range(0, readings.shape[0], _BLOCK):
        end = min(start + _BLOCK, readings.shape[0])
        outside = 0
        for i in range(start, end):
            x = readings[i]
            outside += 1 if (x == x) & (x != 0.0) & (x != 1.0) else 0
        if outside > 0:
            for i in range(start, end):
                x = readings[i]
                if x == x and x != 0.0 and x != 1.0:
                    return i
    return -1


def _first_refused(readings: Floats, domain: Domain) -> int:
    if domain == "binary":
        return int(first_not_binary(readings))
    low, high = (0.0, 1.0) if domain == "unit" else (-LARGEST, LARGEST)
    return int(first_outside(readings, low, high))


def _read_only(readings: Floats) -> Floats:
    """Return a view that cannot be written: one type for all that users have, so that a kernel is compiled once."""
    view = readings.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, kw_only=True, eq=False)
class Detector:
    """A streaming detector: readings in, alarms out.

    `domain` says what a reading may be: "real" any finite number, "unit" a number in [0, 1], "binary" 0 or 1 (1 an
    error). A reading outside it is a ValueError and leaves the detector as it was. NaN is a reading that is missing:
    it is passed over, raises no alarm and counts for nothing.

    After an alarm the detector forgets everything and starts anew with the next reading, as in river.

    A stream can stop and go on elsewhere: `state` is a flat array of finite floats (for np.savez, pickle, or JSON
    as a list), `restore` takes it back in a detector with the same `parameters()`; the alarms that follow are the
    same as if the stream had never stopped.
    """

    domain: ClassVar[Domain] = "real"
    kernel: ClassVar[Kernel]

    def __post_init__(self) -> None:
        self._check_kinds()
        self._check()
        hidden = vars(self)  # the parameters are frozen, what is remembered is not
        hidden["_constants"] = np.array(self._kernel_parameters(), dtype=np.float64)
        hidden["_state"] = np.zeros(self._state_size())
        hidden["_one"] = np.empty(1)
        hidden["_reading"] = _read_only(hidden["_one"])
        hidden["_one_alarm"] = np.empty(1, dtype=np.int64)

    # --- what a detector says of itself ---

    def _check(self) -> None:
        """Raise ValueError where a parameter is out of its range."""

    def _kernel_parameters(self) -> list[float]:
        """Return the numbers that the kernel takes, constants worked out beforehand included."""
        raise NotImplementedError

    def _state_size(self) -> int:
        """Return how many numbers the detector remembers; all zeros is the state at the start."""
        raise NotImplementedError

    # --- readings ---

    def update(self, x: float) -> bool:
        """Take one reading; True when it raises an alarm. ValueError outside the detector's domain."""
        x = float(x)
        if math.isnan(x):
            return False
        self._one[0] = x
        if math.isinf(x) or (self.domain != "real" and not self._in_domain(x)):
            raise ValueError(f"{type(self).__name__}: got the reading {x!r}, must be {_DOMAINS[self.domain]}")
        return bool(type(self).kernel(self._reading, self._constants, self._state, self._one_alarm))

    def _in_domain(self, x: float) -> bool:
        return x in (0.0, 1.0) if self.domain == "binary" else 0.0 <= x <= 1.0

    def update_many(self, readings: ArrayLike) -> Alarms:
        """Take a series of readings (n,); returns the indices of those that raise an alarm, int64, ascending.

        The same as `update` on each in turn. ValueError (with the index) for a reading outside the domain; then none
        of the series is taken.
        """
        xs = _read_only(np.ascontiguousarray(readings, dtype=np.float64))
        if xs.ndim != 1:
            raise ValueError(
                f"{type(self).__name__}: got readings of shape {xs.shape}, must be one-dimensional"
            )
        wrong = _first_refused(xs, self.domain)
        if wrong >= 0:
            raise ValueError(
                f"{type(self).__name__}: got the reading {float(xs[wrong])!r} at index {wrong}, "
                f"must be {_DOMAINS[self.domain]} (or NaN for a missing one)"
            )
        alarms = np.empty(xs.shape[0], dtype=np.int64)
        count = type(self).kernel(xs, self._constants, self._state, alarms)
        return alarms[:count].copy()

    @property
    def drift_detected(self) -> bool:
        """Whether the latest reading (missing ones aside) raised an alarm."""
        return bool(self._state[ALARM])

    # --- state ---

    def reset(self) -> None:
        """Forget every reading."""
        self._state[:] = 0.0

    def copy(self) -> Self:
        """Return a detector of the same parameters and state that goes its own way from here."""
        return copy.deepcopy(self)

    @property
    def state(self) -> Floats:
        """All that the detector remembers, as a flat array of finite floats (a copy)."""
        return self._state.copy()

    def restore(self, state: ArrayLike) -> None:
        """Go on from a `state` taken from a detector with the same parameters; ValueError if it does not fit."""
        given = np.asarray(state, dtype=np.float64)
        if given.shape != self._state.shape or not np.isfinite(given).all():
            raise ValueError(
                f"{type(self).__name__}: got a state of shape {given.shape}, must be {self._state.shape} finite "
                "numbers, the `state` of a detector with the same parameters"
            )
        self._state[:] = given

    def parameters(self) -> dict[str, Any]:
        """Return the parameters by name, as the constructor takes them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __getstate__(self) -> dict[str, Any]:
        return {"parameters": self.parameters(), "state": self._state}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        vars(self).update(saved["parameters"])
        Detector.__post_init__(self)
        self.restore(saved["state"])

    # --- the rest of what the constructor checks ---

    def _check_kinds(self) -> None:
        for parameter in fields(self):
            value, kind = getattr(self, parameter.name), str(parameter.type)
            if kind not in _KINDS:
                continue
            right = isinstance(value, _KINDS[kind])
            if kind != "bool":
                right = right and not isinstance(value, bool)
            if kind == "float":
                right = right and math.isfinite(value)
            wanted = {"float": "a finite number", "int": "a whole number", "bool": "True or False"}
            self._require(parameter.name, right, wanted.get(kind, "a whole number or None"))

    def _require(self, name: str, right: bool, allowed: str) -> None:
        if not right:
            raise ValueError(f"{type(self).__name__}: got {name}={getattr(self, name)!r}, must be {allowed}")

    if TYPE_CHECKING:  # what `vars` holds beside the parameters
        _constants: Floats = field(init=False)
        _state: Floats = field(init=False)
        _one: Floats = field(init=False)
        _reading: Floats = field(init=False)
        _one_alarm: Alarms = field(init=False)


class WarningDetector(Detector):
    """A detector that warns before it raises an alarm."""

    @property
    def warning_detected(self) -> bool:
        """Whether the detector stood in its warning zone after the latest reading."""
        return bool(self._state[WARNING])
