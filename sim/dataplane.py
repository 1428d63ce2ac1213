"""The data plane: accuracy and scores of all windows, advanced in kernels between two control events.

Between two control events nothing about the system changes, so windows are computed ahead in blocks until a
monitor calls. What was computed past a deployment is computed again for the new champion; noise is tied to its
window, so the block size never shows in a result.

What is served is the champion's answers, or for a share of the requests those of a candidate. Each change of that
closes a stretch of time; a window in which it changes has the mean of its stretches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.incidents import Incident, Incidents, sees
from sim.monitoring import Champion, FeatureWatch, LabelWatch, Watch
from sim.quality import Quality, Version
from sim.world import World

BLOCK = 128
"""Windows computed in one go after something has changed; twice as many each time that nobody calls."""
LONGEST_BLOCK = 4096
"""Windows computed in one go, at most: bounds memory."""
LOOKAHEAD = 24
"""Windows computed beyond the next event: most events change nothing, and a deployment wastes only these."""
_TIME_SLACK = 1e-9


@dataclass(frozen=True)
class Exposure:
    """A candidate that answers a share of the requests in place of the champion."""

    version: Version
    share: float
    """Share of the requests of every slice, in (0, 1)."""


class DataPlane:
    """Accuracy per window and slice, and the watches, of one run."""

    def __init__(
        self,
        world: World,
        quality: Quality,
        features: NDArray[np.float64],
        watches: list[Watch],
        incidents: Incidents,
    ) -> None:
        self.world = world
        self.quality = quality
        self.features = features
        self.watches = watches
        self.window = world.scenario.window
        self.windows = world.scenario.windows
        self.weights = np.array(world.scenario.slice_weights)
        self.accuracy = np.full((len(self.weights), self.windows), np.nan)
        self.version_number = np.zeros(self.windows, dtype=np.int64)
        self.incidents = incidents
        fails = bool(world.scenario.failures)
        self.unharmed = np.full_like(self.accuracy, np.nan) if fails else self.accuracy
        """(slices, windows) accuracy that there would be without incidents."""
        self.champions: list[Champion] = []
        self.exposure: Exposure | None = None
        self.burden = 0.0
        """Accuracy that the champion lacks at present, such as for lost state."""
        self.scanned = 0
        self._since = 0.0
        self._line: list[Version] = []
        """Versions that led to the champion, without those that were rolled back."""
        self._block = BLOCK
        self._carried = np.zeros(len(self.weights))
        for watch in watches:
            watch.meet(incidents, self.accuracy)
            if isinstance(watch, FeatureWatch):
                watch.watch_state(features)

    @property
    def champion(self) -> Champion:
        """The version in service."""
        return self.champions[-1]

    @property
    def serving(self) -> Version:
        """The champion as it answers at present."""
        version = self.champion.version
        return replace(version, offset=version.offset - self.burden) if self.burden else version

    @property
    def previous(self) -> Version | None:
        """The version that was replaced by the champion, None for the first one.

        One that was rolled back is never it: when a version comes back, those after it are forgotten.
        """
        return self._line[-2] if len(self._line) > 1 else None

    def go_live(self, version: Version, now: float) -> None:
        """Put a version into service at day `now`; the window it goes live in is shared with the old one.

        Nothing is exposed any more, and no burden is left.
        """
        window, part = self._window_of(now)
        if self.champions:
            self._close(now)
        self.scanned, self._since = min(window, self.windows), now
        self.exposure, self.burden = None, 0.0
        fresh = self._accuracy(version, now, now, min(window, self.windows - 1))
        first_full = window + (1 if part > 0.0 else 0)
        champion = Champion(version, now, window, first_full, fresh, float(self.weights @ fresh))
        self._succeed(champion)
        self._block = BLOCK
        for watch in self.watches:
            watch.reset(champion)

    def _succeed(self, champion: Champion) -> None:
        """Another champion; when a version comes back, those after it are forgotten."""
        self.champions.append(champion)
        version = champion.version
        numbers = [earlier.number for earlier in self._line]
        if version.number in numbers:
            del self._line[numbers.index(version.number) :]
        self._line.append(version)

    def expose(self, version: Version, share: float, now: float) -> None:
        """Let a version answer a share of the requests, in (0, 1), from day `now` on, in place of any other.

        Monitors look at what is served; the champion stays their reference. Raises ValueError for another share.
        """
        if not 0.0 < share < 1.0:
            raise ValueError(f"share: got {share}, expected more than 0 and less than 1")
        self._serve_from(now, Exposure(version, share), self.burden)

    def withdraw(self, now: float) -> None:
        """The champion answers all requests again from day `now` on."""
        if self.exposure is not None:
            self._serve_from(now, None, self.burden)

    def bear(self, burden: float, now: float) -> None:
        """The champion answers with `burden` less accuracy, >= 0, from day `now` on; 0 ends it."""
        if burden != self.burden:
            self._serve_from(now, self.exposure, burden)

    def change_world(self, window: int) -> None:
        """The world changed from `window` on: compute again from there."""
        oldest = self.previous or self.champion.version  # it may come back
        self.quality.world_changed(min(oldest, self.champion.version, key=lambda version: version.number))
        if window >= self.scanned:
            return
        self.scanned, self._block = window, BLOCK
        for watch in self.watches:
            watch.rewind(window)

    def disturbed(self, now: float) -> None:
        """What incidents do has changed: compute again from here."""
        window, _ = self._window_of(now)
        self.scanned, self._block = min(self.scanned, window), BLOCK
        for watch in self.watches:
            watch.rewind(window)

    def repaired(self, incident: Incident, now: float) -> None:
        """An incident has ended: compute again from here; monitors that could see it start afresh."""
        window, part = self._window_of(now)
        self.scanned, self._block = min(self.scanned, window), BLOCK
        first_full = window + (1 if part > 0.0 else 0)
        for watch in self.watches:
            if sees(self.world.scenario, watch.monitor, incident.failure):
                start = max(first_full, self.champion.first_full)
                onset = int(incident.onset.time / self.window)
                watch.restart(replace(self.champion, window=window, first_full=start), onset)
            else:
                watch.rewind(window)

    def silence(self, label: str, until: int) -> None:
        """Silence a monitor until window `until`."""
        for watch in self.watches:
            if watch.label == label:
                watch.silence(until, self.scanned)

    def next_alarm(self, until: float) -> tuple[int, Watch] | None:
        """First call of a monitor at the end of a window not later than day `until`; None when all are silent."""
        if not self.watches:
            return None  # nobody looks: what is served is computed when it ends
        limit = min(self._window_of(until)[0], self.windows)
        while True:
            calls = [(w.next_alarm, i) for i, w in enumerate(self.watches) if w.next_alarm is not None]
            if calls:
                window, index = min(calls)
                return (window, self.watches[index]) if window < limit else None
            if self.scanned >= limit:
                return None
            self._scan_towards(limit)

    def _scan_towards(self, limit: int) -> None:
        """Compute more windows, while nobody calls: a block of them, and a little beyond window `limit`."""
        self.scan(min(limit + LOOKAHEAD, self.scanned + self._block, self.windows))
        self._block = min(2 * self._block, LONGEST_BLOCK)

    def fallen(self, window: int) -> NDArray[np.float64]:
        """How far each slice is below the champion as it went live, but for incidents, (slices,)."""
        return np.asarray(self.champion.fresh - self.unharmed[:, window])

    def finish(self) -> None:
        """Compute what is left up to the horizon."""
        self._scan_to(self.windows)

    def _scan_to(self, stop: int) -> None:
        while self.scanned < stop:
            self.scan(min(self.scanned + LONGEST_BLOCK, stop))

    def scan(self, stop: int) -> None:
        """Compute windows up to `stop` (exclusive) for what is served."""
        first = self.scanned
        self._answers(self._since, np.inf, first, stop, self.accuracy)
        if first * self.window < self._since:
            left = (first + 1) - self._since / self.window
            self.accuracy[:, first] = self._carried + left * self.accuracy[:, first]
        self._take(first, stop)
        self.version_number[first:stop] = self.champion.version.number
        for watch in self.watches:
            watch.scan(first, stop, self.accuracy)
        self.scanned = stop

    def _take(self, first: int, stop: int) -> None:
        """Take from the accuracy what incidents do."""
        if self.unharmed is self.accuracy:
            return
        self.unharmed[:, first:stop] = self.accuracy[:, first:stop]
        drop = self.incidents.drop(first, stop)
        if drop is not None:
            self.accuracy[:, first:stop] = np.maximum(self.accuracy[:, first:stop] - drop, 0.0)

    def mean_accuracy(self) -> NDArray[np.float64]:
        """True accuracy of each window, all slices together, (windows,)."""
        return np.asarray(self.weights @ self.accuracy)

    def unanswered(self) -> NDArray[np.float64]:
        """Share of the requests of each window that no model answers: none of a server's, (windows,)."""
        return np.zeros(self.windows)

    def accuracy_until(self, now: float) -> NDArray[np.float64]:
        """True accuracy of the windows that have ended by day `now`, as it was served, (slices, windows)."""
        ended = min(self._window_of(now)[0], self.windows)
        self._scan_to(ended)
        return self.accuracy[:, :ended]

    def measured_accuracy(self) -> NDArray[np.float64]:
        """Accuracy as the first accuracy monitor measured it; NaN where it did not look, (windows,)."""
        measured = np.full(self.windows, np.nan)
        for watch in self.watches:
            if isinstance(watch, LabelWatch) and watch.slice is None:
                return watch.measured
        return measured

    def _window_of(self, time: float) -> tuple[int, float]:
        """Window that holds a moment, and which part of it has passed."""
        window = int(time / self.window + _TIME_SLACK)
        part = time / self.window - window
        return window, (part if part > _TIME_SLACK else 0.0)

    def _serve_from(self, now: float, exposure: Exposure | None, burden: float) -> None:
        """Change what is served at day `now`, and compute again from there."""
        self._close(now)
        self._since, self.exposure, self.burden = now, exposure, burden
        self._block = BLOCK
        for watch in self.watches:
            watch.rewind(self.scanned)

    def _close(self, now: float) -> None:
        """A stretch of time ends: compute all windows that ended in it, and its part of the one in progress."""
        window, part = self._window_of(now)
        self._scan_to(min(window, self.windows))
        self._carried = self._served_until(now, window, part)
        self.scanned = min(window, self.windows)

    def _served_until(self, now: float, window: int, part: float) -> NDArray[np.float64]:
        """What was served so far contributes to the accuracy of the window in progress."""
        if part == 0.0 or window >= self.windows:
            return np.zeros(len(self.weights))
        since = max(self._since, window * self.window)
        share = (now - since) / self.window
        carried = self._carried if self._since > window * self.window else 0.0
        column = np.empty((len(self.weights), 1))
        self._answers(since, now, window, window + 1, column, base=window)
        return np.asarray(carried + share * column[:, 0])

    def _answers(
        self,
        since: float,
        until: float,
        first: int,
        stop: int,
        out: NDArray[np.float64],
        base: int = 0,
    ) -> None:
        """Write the mean accuracy of what is served, without incidents, as `Quality.fill` does for a version."""
        self.quality.fill(self.serving, since, until, first, stop, out, base)
        if self.exposure is None:
            return
        other = np.empty((len(self.weights), stop - first))
        self.quality.fill(self.exposure.version, since, until, first, stop, other, base=first)
        columns = out[:, first - base : stop - base]
        columns += self.exposure.share * (other - columns)

    def _accuracy(self, version: Version, since: float, until: float, window: int) -> NDArray[np.float64]:
        """Mean accuracy of each slice within a part of one window, (slices,)."""
        column = np.empty((len(self.weights), 1))
        self.quality.fill(version, since, until, window, window + 1, column, base=window)
        return column[:, 0]
