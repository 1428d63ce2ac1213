"""What a fleet of devices did, window by window: how many were in which state, traffic, and what they told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.kernels import device_rows as rows
from sim.kernels.devices import Log

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
        self.log = Log(
            traffic=np.zeros((windows, len(rows.TRAFFIC)), dtype=np.int64),
            parts=np.zeros((*shape, _TIERS), dtype=np.int64),
            ends=np.zeros((*shape, _TIERS), dtype=np.int64),
            told=np.zeros((*shape, 3), dtype=np.int64),
            boots=np.zeros((4, 2), dtype=np.int64),
        )
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
        log = self.log
        self.log = log._replace(
            parts=_wider(log.parts, 2),
            ends=_wider(log.ends, 2),
            told=_wider(log.told, 2),
            boots=_wider(log.boots, 0),
        )
        self._level = _wider(self._level, 1)

    def close(self, now: float) -> None:
        """Turn changes into numbers of devices in all windows that end by `now`."""
        parts, ends = self.log.parts, self.log.ends
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
            now += self.log.ends[self.complete]
        return now[:, : self._versions]

    def mean_counts(self, first: int, stop: int) -> Array:
        """Mean number of devices by state in each window, (stop - first, groups, versions, 4)."""
        self._check(first, stop)
        return np.asarray(self.log.parts[first:stop, :, : self._versions] / rows.UNIT)

    def counts_at_ends(self, first: int, stop: int) -> Counts:
        """Devices by state at the end of each window, (stop - first, groups, versions, 4)."""
        self._check(first, stop)
        return np.array(self.log.ends[first:stop, :, : self._versions])

    def told(self, first: int, stop: int) -> Told:
        """What was reported in each window."""
        self._check(first, stop)
        told = self.log.told[first:stop, :, : self._versions]
        return Told(told[..., 0].copy(), told[..., 1] / rows.UNIT, told[..., 2] / rows.DAY_UNIT)

    def traffic(self, first: int, stop: int) -> dict[str, Counts]:
        """Counts of each window by name, each (stop - first,)."""
        self._check(first, stop)
        return {name: self.log.traffic[first:stop, column].copy() for column, name in enumerate(rows.TRAFFIC)}

    def _check(self, first: int, stop: int) -> None:
        if not 0 <= first <= stop <= self.complete:
            raise ValueError(
                f"got windows {first} to {stop}, expected within the {self.complete} that are over"
            )


def _wider(array: Counts, axis: int) -> Counts:
    """Twice as long along one axis, with zeros."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, array.shape[axis])
    return np.pad(array, widths)
