"""The data plane of a fleet: each device answers by what it runs, and the fleet is the mixture.

Devices cannot be taken back: what they have downloaded, drained and reported by a moment depends on every release
that was open before. So unlike windows of servers they never run ahead of the control plane. Looking for the next
alarm, they are advanced from look to look and no further than the next event, as what a monitor finds may open a
release at that very moment. Between two looks they advance in one call.

The champion is the newest release that was not stopped: what policies, monitors and the offloaded requests mean by the
version in service, however few devices run it yet.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scenarios.failures import Failure
from sim.dataplane import LONGEST_BLOCK, DataPlane
from sim.devices import Devices
from sim.edge_answers import BRICK, Answers
from sim.edge_incidents import FleetIncidents
from sim.edge_reports import Told, read_what_devices_tell
from sim.incidents import Incident, Incidents, sees
from sim.monitoring import Champion, Watch
from sim.quality import Quality, Version
from sim.world import World

Array = NDArray[np.float64]
MAX_CELLS = 4_000_000
"""Windows x groups x releases x states that are looked at in one go: bounds memory."""


class EdgePlane(DataPlane):
    """Accuracy per window and slice, and the watches, of one run with a fleet of devices."""

    def __init__(
        self,
        world: World,
        quality: Quality,
        features: NDArray[np.float64],
        watches: list[Watch],
        incidents: Incidents,
    ) -> None:
        super().__init__(world, quality, features, watches, incidents)
        assert world.scenario.edge is not None  # the engine has looked
        assert isinstance(incidents, FleetIncidents)
        self.edge = world.scenario.edge
        self.fleet_incidents = incidents
        self.devices = Devices(world, self.edge)
        groups = list(self.devices.groups)
        sizes, slices = self.devices.group_sizes, len(self.weights)
        self.answers = Answers(self.edge, groups, sizes, slices)
        self.alone = Answers(self.edge.model_copy(update={"offload": None}), groups, sizes, slices)
        """What devices answer themselves, which is what they tell of."""
        self.versions: list[Version] = []
        """By release number."""
        self.tables: list[Array] = []
        """By release number: (slices, windows) accuracy without incidents, 0 before it was published."""
        self.reference = np.zeros(len(self.weights))
        """(slices,) accuracy that the newest release would have had when it left, were it on all devices."""
        self.mix: list[Array] = []
        """By release: devices that run it in each window, bricks left out, (windows,)."""
        self.states = np.zeros((self.windows, 4))
        """Devices in each state, mean over the window."""
        self.tiers_of_classes = np.zeros((len(self.edge.devices), 4))
        """Device-days of each class in each state."""
        self.offloaded = np.zeros(self.windows)
        self.latency = np.full(self.windows, np.nan)
        self._unanswered = np.zeros(self.windows)
        self.told = Told(world, self.answers)
        read_what_devices_tell(watches, self.told)

    # ------------------------------------------------------------ releases

    def settle(self, now: float) -> None:
        """Bring windows that have ended, and then the devices, up to day `now`."""
        self._scan_to(min(self._window_of(now)[0], self.windows))
        self._advance(now)

    def add(self, version: Version, now: float, key: np.uint64, defective: bool) -> int:
        """Publish a version, for nobody yet; its release number."""
        self.settle(now)
        release = len(self.versions)
        self.devices.publish(release, key, defective)
        self._know(version, now)
        return release

    def release_of(self, version: int) -> int:
        """Number of the release of the version of that number."""
        return next(release for release, known in enumerate(self.versions) if known.number == version)

    def go_live(self, version: Version, now: float) -> None:
        """A version is the newest release from day `now` on, or again so; devices follow when they can."""
        window, part = self._window_of(now)
        if not self.versions:
            self._know(version, now)
        self.settle(now)
        self.reference = self._if_all_ran(version, now, self.answers)
        first_full = window + (1 if part > 0.0 else 0)
        champion = Champion(
            version, now, window, first_full, self.reference, float(self.weights @ self.reference)
        )
        if not self.champions:
            self.told.usual = float(self.weights @ self._if_all_ran(version, now, self.alone))
        for watch in self.watches:
            watch.reset(replace(champion))
        if self.scanned > 0:  # it is counted from what the fleet was, and then from the best that it becomes
            champion.fresh = self.unharmed[:, self.scanned - 1].copy()
            champion.fresh_accuracy = float(self.weights @ champion.fresh)
        self._succeed(champion)

    def bear(self, burden: float, now: float) -> None:
        """Nothing: a device that goes back to its other slot has lost no state of the centre."""

    def fallen(self, window: int) -> Array:
        """How far each slice is below the newest release on all devices as it left, (slices,)."""
        return np.asarray(self.reference - self.unharmed[:, window])

    def unanswered(self) -> Array:
        """Share of the requests of each window that meet a device without power or model, or a brick, (windows,)."""
        return self._unanswered

    def mix_of_windows(self) -> Array:
        """Devices that run each release in each window, bricks left out, (windows, releases)."""
        return np.stack(self.mix, axis=1)

    # ------------------------------------------------------------ what changes the world

    def change_world(self, window: int) -> None:
        """The world changed from `window` on, which has not begun: what versions are worth is other from there."""
        self.quality.world_changed(self.versions[0])  # any version may still be in the field
        for release, version in enumerate(self.versions):
            self._fill(release, version, window)
        self._teach()

    def disturbed(self, now: float) -> None:
        """What incidents do has changed: devices see it from here on."""
        self.settle(now)
        self._teach()

    def carries(self, failure: Failure, version: int, now: float) -> bool:
        """Whether a failure that belongs to the version of that number can begin: it is run, and has not begun yet.

        It has begun where devices have kept the version while a newer one was tried and stopped.
        """
        self.settle(now)
        release = self.release_of(version)
        runs = int(self.devices.counts()[:, release, :BRICK].sum())
        newest = version == self.champion.version.number
        return (newest or runs > 0) and not self.fleet_incidents.there(failure, release, now)

    def came_with(self, incident: Incident, version: int) -> None:
        """An incident came with the version of that number: it hits the devices that run it."""
        self.fleet_incidents.came_with(incident, self.release_of(version))
        self._teach()

    def repaired(self, incident: Incident, now: float) -> None:
        """An incident has ended: monitors that could see it start afresh, unless it is still on devices."""
        self.settle(now)
        if incident.end > now:
            return
        self._teach()
        window, part = self._window_of(now)
        first_full = window + (1 if part > 0.0 else 0)
        champion = replace(
            self.champion,
            window=window,
            first_full=first_full,
            fresh=self.reference,
            fresh_accuracy=float(self.weights @ self.reference),
        )
        for watch in self.watches:
            if sees(self.world.scenario, watch.monitor, incident.failure):
                watch.restart(champion, int(incident.onset.time / self.window))
            else:
                watch.rewind(window)

    # ------------------------------------------------------------ windows

    def _scan_towards(self, limit: int) -> None:
        """Advance the devices to the next look of any monitor, and never beyond window `limit`."""
        self.scan(min(self._next_look(), limit))

    def finish(self) -> None:
        """Compute what is left up to the horizon."""
        self.settle(self.world.scenario.horizon)

    def scan(self, stop: int) -> None:
        """Advance the devices to the end of window stop - 1, and compute what they answered."""
        while self.scanned < stop:
            self._scan_block(min(stop, self.scanned + self._most_at_once()))

    def _scan_block(self, stop: int) -> None:
        first = self.scanned
        self._advance(stop * self.window)
        counts = self.devices.mean_counts(first, stop)
        own = np.stack([table[:, first:stop] for table in self.tables])
        newest = own[self.release_of(self.champion.version.number)]
        self.accuracy[:, first:stop] = self.answers.accuracy(counts, own, newest)
        self._note(first, stop, counts)
        self._take(first, stop)
        self.version_number[first:stop] = self.champion.version.number
        self._best_so_far(first, stop)
        self.told.add(first, stop, self.devices.reports(first, stop))
        for watch in self.watches:
            watch.scan(first, stop, self.accuracy)
        self.scanned = stop

    def _most_at_once(self) -> int:
        cells = 4 * len(self.answers.usage) * len(self.versions)
        return max(min(MAX_CELLS // cells, LONGEST_BLOCK), 1)

    def _next_look(self) -> int:
        """End of the first window from here on at which any monitor looks."""
        return min((self.scanned // watch.cadence + 1) * watch.cadence for watch in self.watches)

    def _advance(self, time: float) -> None:
        if time > self.devices.now:
            self.devices.advance(time)

    # ------------------------------------------------------------ what is known of versions

    def _know(self, version: Version, now: float) -> None:
        """A release more: its accuracy in every window to come."""
        self.versions.append(version)
        self.tables.append(np.zeros_like(self.accuracy))
        self.mix.append(np.zeros(self.windows))
        self.told.grow()
        release = len(self.versions) - 1
        self._fill(release, version, min(self._window_of(now)[0], self.windows))
        self._teach_one(release)

    def _fill(self, release: int, version: Version, window: int) -> None:
        since = window * self.window
        self.quality.fill(version, since, np.inf, window, self.windows, self.tables[release])

    def _teach(self) -> None:
        for release in range(len(self.versions)):
            self._teach_one(release)

    def _teach_one(self, release: int) -> None:
        """Tell the devices how accurate a version is, for their reports."""
        drop = self.fleet_incidents.drop_on(release)
        table = self.tables[release]
        self.devices.learn(release, table if drop is None else np.maximum(table - drop, 0.0))

    def _if_all_ran(self, version: Version, now: float, answers: Answers) -> Array:
        """Accuracy of each slice were a version on all devices as they are now, (slices,)."""
        counts = self.devices.counts().sum(axis=1, keepdims=True)[None].astype(np.float64)
        window = min(self._window_of(now)[0], self.windows - 1)
        own = self._accuracy(version, now, now, window)[:, None]
        return answers.accuracy(counts, own[None], own)[:, 0]

    def _best_so_far(self, first: int, stop: int) -> None:
        """A loss is counted from the best that the fleet was since a release left, as it takes its time to spread."""
        mean = (self.weights[:, None] * self.unharmed[:, first:stop]).sum(axis=0)
        best = int(np.argmax(mean))
        champion = self.champion
        if mean[best] > champion.fresh_accuracy:
            champion.fresh, champion.fresh_accuracy = self.unharmed[:, first + best].copy(), float(mean[best])
            champion.first_full = first + best

    def _note(self, first: int, stop: int, counts: Array) -> None:
        """Keep what the result tells of these windows."""
        by_release = counts[:, :, :, :BRICK].sum(axis=(1, 3))
        for release, mine in enumerate(self.mix):
            mine[first:stop] = by_release[:, release]
        self.states[first:stop] = counts.sum(axis=(1, 2))
        np.add.at(self.tiers_of_classes, self.answers.kind, self.window * counts.sum(axis=(0, 2)))
        self.offloaded[first:stop] = self.answers.offloaded(counts)
        self.latency[first:stop] = self.answers.mean_latency(counts)
        self._unanswered[first:stop] = 1.0 - self.answers.answered(counts)
        newest = self.release_of(self.champion.version.number)
        for release, share in self.fleet_incidents.share.items():
            share[:, first:stop] = self.answers.share_on(counts, release)
            if release != newest and by_release[-1, release] == 0.0:
                ran = np.flatnonzero(by_release[:, release])
                left = first + (int(ran[-1]) + 1 if len(ran) else 0)
                self.fleet_incidents.gone(release, left * self.window)
