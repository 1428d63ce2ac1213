"""Incidents on a fleet of devices: what came with a release hits the devices that run it, and no others.

It fades as devices leave the release, and has ended when none runs it any more: neither a newer release nor a repair
in the centre ends anything by itself. Other failures, such as a bad season, hit all devices as they hit servers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from scenarios.failures import Failure
from scenarios.schema import Scenario
from sim.incidents import TIME_SLACK, Incident, Incidents, Onset

Array = NDArray[np.float64]


class FleetIncidents(Incidents):
    """Incidents of a run with a fleet of devices."""

    def __init__(self, scenario: Scenario, onsets: list[Onset]) -> None:
        super().__init__(scenario, onsets)
        self.brought: list[tuple[int, Incident]] = []
        """Incidents that came with a release, with its number."""
        self.share: dict[int, Array] = {}
        """By release that brought an incident: its share of the requests of each slice, (slices, windows)."""

    def came_with(self, incident: Incident, release: int) -> None:
        """An incident is that of a release: two releases may bring the same failure to different devices."""
        self._modes[incident.failure.name].remove(incident)
        incident.leads = incident.onset.time
        self.brought.append((release, incident))
        self.share.setdefault(release, np.zeros((len(self.scenario.slice_names), self.scenario.windows)))

    def there(self, failure: Failure, release: int, time: float) -> bool:
        """Whether a failure has come with a release and is not over at a moment (days)."""
        return any(
            owner == release and incident.failure == failure and incident.end > time + TIME_SLACK
            for owner, incident in self.brought
        )

    def drop_on(self, release: int) -> Array | None:
        """Accuracy that a device on a release lacks in every window, (slices, windows); None where nothing is taken."""
        edges = np.asarray(np.arange(self.scenario.windows + 1) * self.scenario.window, dtype=np.float64)
        taken = super().drop(0, self.scenario.windows) if self._modes else None
        for owner, incident in self.brought:
            if owner != release or incident.failure.drop_in_service == 0.0:
                continue
            if taken is None:
                taken = np.zeros((len(self.scenario.slice_names), self.scenario.windows))
            taken[self._rows(incident.failure)] += incident.failure.drop_in_service * incident.mean_level(
                edges
            )
        return taken

    def drop(self, first: int, stop: int) -> Array | None:
        """Accuracy taken from each slice of the fleet in windows first..stop-1, (slices, windows); None for nothing."""
        taken = super().drop(first, stop)
        for failure, level in self._on_devices(first, stop):
            if failure.drop_in_service > 0.0:
                if taken is None:
                    taken = np.zeros((len(self.scenario.slice_names), stop - first))
                rows = self._rows(failure)
                taken[rows] += failure.drop_in_service * level[rows]
        return taken

    def move(self, signal: str, first: int, stop: int, value: Array) -> None:
        """Apply the effects on a signal to its value (windows,), in place, over all devices."""
        super().move(signal, first, stop, value)
        weights = np.array(self.scenario.slice_weights)
        for failure, by_slice in self._on_devices(first, stop):
            level = weights @ by_slice
            for effect in failure.effects:
                if effect.signal == signal and effect.factor is not None:
                    value *= 1.0 + (effect.factor - 1.0) * level
                if effect.signal == signal and effect.add is not None:
                    value += effect.add * level

    def moved_on(self, release: int, signal: str, value: float, time: float) -> float:
        """A signal as devices on a release show it at a moment (days), by what came with that release."""
        for owner, incident in self.brought:
            for effect in incident.failure.effects:
                if owner == release and effect.signal == signal:
                    level = incident.level_at(time)
                    value *= 1.0 if effect.factor is None else 1.0 + (effect.factor - 1.0) * level
                    value += (effect.add or 0.0) * level
        return value

    def on_devices(self, incident: Incident) -> bool:
        """Whether an incident came with a release, so that it is on the devices that run it."""
        return any(incident is other for _, other in self.brought)

    def repair(self, incident: Incident, time: float) -> None:
        """Remove the cause in the centre: what is on devices stays there until they run something else."""
        if not self.on_devices(incident):
            super().repair(incident, time)
        elif incident.end >= time:
            self.on_repair(incident)

    def gone(self, release: int, time: float) -> None:
        """No device runs a release any more: what came with it is over."""
        for owner, incident in self.brought:
            if owner == release and incident.end > time + TIME_SLACK:
                self.lapse(incident, time)

    def _end(self, incident: Incident, time: float) -> None:
        if self.on_devices(incident):
            incident.end = time
        else:
            super()._end(incident, time)

    def _on_devices(self, first: int, stop: int) -> Iterator[tuple[Failure, Array]]:
        """What came with releases, with its size in each slice and window, (slices, windows)."""
        edges = np.asarray(np.arange(first, stop + 1) * self.scenario.window, dtype=np.float64)
        for release, incident in self.brought:
            yield incident.failure, incident.mean_level(edges) * self.share[release][:, first:stop]

    def _size(self, incident: Incident, first: int, stop: int) -> Array:
        """What an incident does in each window: of one that came with a release on the devices that run it."""
        level = super()._size(incident, first, stop)
        owner = next((release for release, other in self.brought if other is incident), None)
        if owner is None:
            return level
        rows, weights = self._rows(incident.failure), np.array(self.scenario.slice_weights)
        return np.asarray(
            level * np.average(self.share[owner][rows, first:stop], axis=0, weights=weights[rows])
        )

    def _rows(self, failure: Failure) -> slice | list[int]:
        if failure.slice is None:
            return slice(None)
        return [self.scenario.slice_names.index(failure.slice)]
