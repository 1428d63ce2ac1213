"""A fleet of up to millions of devices: what is released to it, and what it does up to a given moment.

Devices are rows of arrays, advanced by one kernel (`sim.kernels.devices`); whoever decides (waves, halts, federated
rounds) is a SimPy process that says what is open from now on. Source: chapter, 'Edge AI Deployment'.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenarios.edge import Edge
from sim.device_history import Counts, History, Told
from sim.device_rows import drains, group_rows, kind_rows, rule_row
from sim.kernels import device_rows as rows
from sim.kernels.device_rows import BRICK, FULL, OFF, SIMPLE
from sim.kernels.devices import advance, begin
from sim.world import World

__all__ = ["BRICK", "FULL", "OFF", "SIMPLE", "Devices", "Told"]

Array = NDArray[np.float64]
_SLACK = 1e-9
MAX_VERSIONS = 30_000


class Devices:
    """The devices of a scenario, all with version 0 at time 0.

    Versions are numbered without gaps in the order in which they are published. A device updates to a newer version
    that is open to it; to another one only if the one it runs is recalled, or if it has none. What a device meets
    depends on the world alone, and what it does on that and on what was open at the moments when it asked.
    Raises ValueError for a fleet and windows that do not fit in memory.
    """

    def __init__(self, world: World, edge: Edge) -> None:
        self._edge = edge
        scenario = world.scenario
        self._window, self._windows = scenario.window, scenario.windows
        self._slices = len(scenario.slice_names)
        self._groups = group_rows(scenario, edge)
        self._kinds = kind_rows(edge)
        self._rules = rule_row(world, edge)
        self._releases = np.zeros(1, dtype=rows.RELEASE)
        self._releases["share"] = 1.0
        windows = self._windows if edge.reports is not None else 0
        self._learned = np.zeros((1, self._slices, windows + 1))
        self._reorder()
        self.rows = np.zeros(int(self._groups["stop"][-1]), dtype=rows.DEVICE)
        level = np.zeros((len(self._groups), 1, 4), dtype=np.int64)
        begin(self.rows, self._groups, self._kinds, self._rules, level)
        self._history = History(self._windows, self._window, level)
        self._rounds = 0
        self._contributed_before = 0
        self.now = 0.0

    @property
    def groups(self) -> list[tuple[int, int]]:
        """(number of the class, number of the slice) of each group; a device never changes its group."""
        return [(int(group["kind"]), int(group["slice"])) for group in self._groups]

    @property
    def group_sizes(self) -> Counts:
        """Number of devices of each group, (groups,)."""
        return np.asarray(self._groups["stop"] - self._groups["first"])

    @property
    def group_of(self) -> Counts:
        """Number of the group of each device, (devices,)."""
        return np.repeat(np.arange(len(self._groups)), self.group_sizes)

    @property
    def versions(self) -> int:
        """Number of versions that are known, version 0 included."""
        return len(self._releases)

    # --- what is released ---

    def publish(self, version: int, moment_key: np.uint64, defective: bool = False) -> None:
        """Make a version known, open to nobody yet.

        version: the next number; moment_key: of the random order in which devices come into its waves
        Raises ValueError for another number.
        """
        if version != self.versions or version > MAX_VERSIONS:
            raise ValueError(f"got version {version}, expected {self.versions}, the next one")
        release = np.zeros(1, dtype=rows.RELEASE)
        release["key"], release["defective"] = moment_key, defective
        self._releases = np.concatenate((self._releases, release))
        self._history.add_version()
        if version >= len(self._learned):
            self._learned = np.concatenate((self._learned, np.zeros_like(self._learned)))
        self._reorder()

    def open(self, version: int, share: float) -> None:
        """Let a share of the devices take a version from now on, those of smaller shares included.

        Raises ValueError for a share that shrinks, and for a version that is unknown or withdrawn.
        """
        release = self._release(version)
        if release["withdrawn"] or not release["share"] <= share <= 1.0:
            raise ValueError(
                f"version {version}: share {share:g} after {float(release['share']):g}"
                f"{' and withdrawn' if release['withdrawn'] else ''}, expected a growing one of at most 1"
            )
        release["share"] = share
        self._reorder()

    def withdraw(self, version: int, recall: bool) -> None:
        """Stop a version: nobody takes it any more; with `recall` devices that run it go back when they check in.

        Raises ValueError for version 0 and for one that is unknown.
        """
        if version == 0:
            raise ValueError("version 0 cannot be withdrawn: devices have nothing to go back to")
        release = self._release(version)
        release["withdrawn"] = True
        release["recalled"] |= recall
        self._reorder()

    def learn(self, version: int, accuracy: ArrayLike) -> None:
        """Set the accuracy of a version, (slices, windows), of which devices report; 0 until it is said.

        May be said again when the world has changed: what devices have told or counted up stays.
        """
        self._release(version)
        given = np.asarray(accuracy, dtype=np.float64)
        if given.shape != (self._slices, self._windows):
            raise ValueError(f"got shape {given.shape}, expected ({self._slices}, {self._windows})")
        if self._edge.reports is not None:
            self._learned[version, :, 1:] = np.cumsum(given, axis=1) * self._window

    def start_round(self, share: float, key: np.uint64) -> None:
        """Ask a share of the devices, drawn by `key`, for one federated contribution each. Ends a round before it."""
        self._rounds += 1
        rule = self._rules[0]
        rule["round"], rule["round_share"], rule["round_key"] = self._rounds, share, key
        self._contributed_before = self._contributions()

    def end_round(self) -> int:
        """Close the round; returns how many devices have contributed. Raises ValueError when none is open."""
        if self._rules[0]["round"] == 0:
            raise ValueError("no round is open")
        self._rules[0]["round"] = 0
        return self._contributions() - self._contributed_before

    # --- time ---

    def advance(self, until: float) -> None:
        """Let every device live up to `until` (days), events of that moment included.

        Raises ValueError for a moment before `now` or after the horizon.
        """
        edge = round(until / self._window)
        if abs(until - edge * self._window) <= _SLACK * self._window:
            until = edge * self._window
        if until == self.now > 0.0:
            return
        if not self.now <= until <= self._windows * self._window:
            raise ValueError(
                f"got {until:g} days, expected from {self.now:g} to {self._windows * self._window:g}"
            )
        history = self._history
        advance(
            self.rows,
            self._groups,
            self._kinds,
            self._rules,
            self._releases,
            self._candidates,
            self._learned,
            history.traffic,
            history.told,
            history.parts,
            history.ends,
            until,
        )
        self.now = until
        self._history.close(until)

    # --- what the fleet is and did ---

    def counts(self) -> Counts:
        """Devices by state now, (groups, versions, 4): FULL, SIMPLE, OFF, BRICK; adds up to the sizes of the groups."""
        return self._history.counts()

    def mean_counts(self, first: int, stop: int) -> Array:
        """Mean number of devices by state in each window that is over, (stop - first, groups, versions, 4)."""
        return self._history.mean_counts(first, stop)

    def counts_at_ends(self, first: int, stop: int) -> Counts:
        """Devices by state at the end of each window that is over, (stop - first, groups, versions, 4)."""
        return self._history.counts_at_ends(first, stop)

    def reports(self, first: int, stop: int) -> Told:
        """What the centre was told in each window that is over."""
        return self._history.reports(first, stop)

    def traffic(self, first: int, stop: int) -> dict[str, Counts]:
        """What was counted in each window that is over, by name (`TRAFFIC`), each (stop - first,).

        installs are those that were tried, failures and bricks among them; rollbacks are failures after which the
        device runs the version before. Bytes are counted at the end of the contact in which they were sent.
        """
        return self._history.counted(first, stop)

    def boot_reports(self, version: int) -> tuple[int, int]:
        """Installations of a version that devices have told of so far: (succeeded, failed). A brick tells nothing."""
        release = self._release(version)
        return int(release["started"]), int(release["failed"])

    def installed(self, version: int) -> tuple[int, int, int]:
        """Installations of a version that worked, failed, and left a brick, whatever the centre has been told."""
        release = self._release(version)
        return int(release["installed"]), int(release["refused"]), int(release["bricked"])

    def cell_replacements(self) -> Counts:
        """Cells replaced up to now in the devices of each class, (classes,)."""
        cells = np.bincount(self._kind_of, self.rows["cells"], minlength=len(self._kinds))
        return np.asarray(np.rint(cells), dtype=np.int64)

    def ages(self, released: ArrayLike) -> Array:
        """Age of the model of each device now, days, (devices,).

        released: (versions,), moment at which each version was released
        """
        return np.asarray(self.now - np.asarray(released, dtype=np.float64)[self.rows["version"]])

    def energy(self) -> dict[str, Array]:
        """Joules of each device up to now, each (devices,).

        initial + charged + replaced = idle + inference + radio + check_in + install + report + contribution +
        remaining, for devices with a battery; the others have initial, charged, replaced and remaining of 0. A
        new device in place of a brick adds its charge less what the old one had left to `replaced`.
        """
        found = {name: self.rows[name].copy() for name in ("initial", "charged", "replaced")}
        days, charge, found["charged"] = self._settled()
        for name in ("idle", "inference", "radio"):
            per_day = [
                [getattr(drain, name) for drain in drains(kind, self._edge)] for kind in self._edge.devices
            ]
            found[name] = (days * np.array(per_day)[self._kind_of]).sum(axis=1)
        found["radio"] += self.rows["radio"]
        for name in ("check_in", "install", "report", "contribution"):
            found[name] = self.rows[name].copy()
        found["remaining"] = charge
        return found

    def days_by_tier(self) -> Array:
        """Days of each device up to now with the full model, the simple one, and power but no model, (devices, 3)."""
        return self._settled()[0]

    def _settled(self) -> tuple[Array, Array, Array]:
        """Days by tier, charge and energy charged of each device now; the rows stay as they are."""
        device, number = self.rows, self._kind_of
        kind = {name: self._kinds[name][number] for name in ("source", "capacity", "charging")}
        since = self.now - device["settled"]
        mains, plugged, tier = kind["source"] == rows.MAINS, device["plugged"] != 0, device["tier"]
        powered = mains | plugged | (device["charge"] > 0.0)
        days = np.stack((device["full_days"], device["simple_days"], device["bare_days"]), axis=1)
        used = np.zeros(len(device))
        states = (tier == FULL, tier == SIMPLE, (tier == OFF) & powered)
        for place, (state, name) in enumerate(
            zip(states, ("full_draw", "simple_draw", "bare_draw"), strict=True)
        ):
            days[:, place] += np.where(state, since, 0.0)
            used += np.where(state & ~mains, since * self._kinds[name][number], 0.0)
        charger = plugged & (tier != BRICK)
        gain = np.minimum(kind["capacity"] - device["charge"], kind["charging"] * since - used)
        charge = np.where(charger, device["charge"] + gain, np.maximum(device["charge"] - used, 0.0))
        return days, charge, device["charged"] + np.where(charger, gain + used, 0.0)

    @property
    def _kind_of(self) -> Counts:
        return np.asarray(self._groups["kind"][self.group_of])

    def _contributions(self) -> int:
        return int(self._history.traffic["contributions"].sum())

    def _release(self, version: int) -> np.void:
        if not 0 <= version < self.versions:
            raise ValueError(f"got version {version}, expected one of the {self.versions} that are published")
        release: np.void = self._releases[version]
        return release

    def _reorder(self) -> None:
        """List what is open, newest first, down to the first version that is open to all."""
        open_now = np.flatnonzero((self._releases["share"] > 0.0) & (self._releases["withdrawn"] == 0))[::-1]
        to_all = int(np.argmax(self._releases["share"][open_now] >= 1.0))
        self._candidates = np.ascontiguousarray(open_now[: to_all + 1])
        self._rules[0]["general"] = self._candidates[-1]
