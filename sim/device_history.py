"""What a fleet of devices did, window by window: how many were in which state, traffic, and what they told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.kernels import device_rows as rows

MAX_BYTES = 3e9
_TIERS = 4

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Told:
    """Reports that the centre received, each (windows, groups, versions): of devices that ran that version then."""

    number: Counts
    """Reports."""
    accuracy: Array
    """Sum over reports of the mean accuracy since the last one, or since the version was installed."""
    device_days: Array
    """Sum over reports of the time that they cover, days with a model running."""


class History:
    """Counts by window, made whole as time goes on.

    windows, groups: how many; window: days; level: (groups, 1, 4), devices at the start
    """

    def __init__(self, windows: int, window: float, level: Counts) -> None:
        self.window = window
        self.windows = windows
        self.complete = 0
        """Windows that are over."""
        self._level = level
        groups = level.shape[0]
        self._room(groups, 4)
        shape = (windows, groups, 4)
        self.traffic = np.zeros(windows, dtype=rows.TRAFFIC)
        self.told = np.zeros(shape, dtype=rows.TOLD)
        self.parts = np.zeros((*shape, _TIERS), dtype=np.int64)
        self.ends = np.zeros((*shape, _TIERS), dtype=np.int64)
        self._level = np.zeros((groups, 4, _TIERS), dtype=np.int64)
        self._level[:, :1] = level
        self._versions = 1

    def _room(self, groups: int, versions: int) -> None:
        needed = self.windows * groups * versions * (2 * _TIERS + 3) * 8
        if needed > MAX_BYTES:
            raise ValueError(
                f"edge: {self.windows:,} windows x {groups} groups of devices x {versions} versions need "
                f"{needed / 1e9:.1f} GB; expected a longer window, or fewer releases, classes or slices"
            )

    def add_version(self) -> None:
        """Make room for one more version."""
        self._versions += 1
        held = self._level.shape[1]
        if self._versions <= held:
            return
        self._room(self._level.shape[0], 2 * held)
        self.parts, self.ends = _wider(self.parts, 2), _wider(self.ends, 2)
        self.told = _wider(self.told, 2)
        self._level = _wider(self._level, 1)

    def close(self, now: float) -> None:
        """Turn changes into numbers of devices in all windows that end by `now`."""
        parts, ends = self.parts, self.ends
        unit = int(rows.UNIT)
        while self.complete < self.windows and (self.complete + 1) * self.window <= now:
            row = self.complete
            parts[row] += self._level * unit
            self._level += ends[row]
            ends[row] = self._level
            self.complete += 1

    def counts(self) -> Counts:
        """Devices by state now, (groups, versions, 4)."""
        now = self._level.copy()
        if self.complete < self.windows:
            now += self.ends[self.complete]
        return now[:, : self._versions]

    def mean_counts(self, first: int, stop: int) -> Array:
        """Mean number of devices by state in each window, (stop - first, groups, versions, 4)."""
        self._check(first, stop)
        return np.asarray(self.parts[first:stop, :, : self._versions] / rows.UNIT)

    def counts_at_ends(self, first: int, stop: int) -> Counts:
        """Devices by state at the end of each window, (stop - first, groups, versions, 4)."""
        self._check(first, stop)
        return np.array(self.ends[first:stop, :, : self._versions])

    def reports(self, first: int, stop: int) -> Told:
        """What was reported in each window."""
        self._check(first, stop)
        told = self.told[first:stop, :, : self._versions]
        return Told(told["reports"].copy(), told["accuracy"] / rows.UNIT, told["days"] / rows.DAY_UNIT)

    def counted(self, first: int, stop: int) -> dict[str, Counts]:
        """What was counted in each window, by name, each (stop - first,)."""
        self._check(first, stop)
        traffic = self.traffic[first:stop]
        return {name: traffic[name].copy() for name in rows.TRAFFIC.names or ()}

    def _check(self, first: int, stop: int) -> None:
        if not 0 <= first <= stop <= self.complete:
            raise ValueError(
                f"got windows {first} to {stop}, expected within the {self.complete} that are over"
            )


def _wider(array: NDArray[Any], axis: int) -> NDArray[Any]:
    """Twice as long along one axis, with zeros."""
    shape = list(array.shape)
    shape[axis] *= 2
    found = np.zeros(shape, dtype=array.dtype)
    found[tuple(slice(length) for length in array.shape)] = array
    return found
