"""What became of a fleet of devices: adoption, versions and their ages, tiers, bad releases, energy, bytes.

Shares are of the devices that are no bricks, as means over windows; the age of a model is the time since its data cut.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scenarios.edge import Edge
from scenarios.units import format_duration
from sim.displays import Displayed, figures
from sim.edge_answers import BRICK, OFF, SIMPLE, STATES

if TYPE_CHECKING:
    from scenarios.schema import Scenario
    from sim.devices import Devices
    from sim.quality import Version
    from sim.releases import Release

Array = NDArray[np.float64]
AGE_QUANTILES = (0.1, 0.5, 0.9)
EDGE_FIGURES = (
    "model_age_mean_days", "model_age_p90_days", "stale_share", "retired_share", "vulnerable_share", "releases",
    "halted_releases", "blast_devices", "blast_device_days", "bricks", "failed_installs", "ota_gb", "check_ins",
    "reports", "simple_share", "off_share", "offload_share", "latency_ms", "energy_wh_per_device_day",
    "cell_replacements", "contributions",
)  # fmt: skip
"""Figures of a run's summary where the scenario has a fleet of devices."""
ENERGY_USES = ("idle", "inference", "radio", "check_in", "install", "report", "contribution")
JOULES_PER_WH = 3600.0
MS_PER_DAY = 86_400_000.0


@dataclass(frozen=True, repr=False)
class EdgeResult(Displayed):
    """A fleet in one run; releases are numbered from 0, the model that devices came with."""

    scenario: Scenario
    raw_releases: Sequence[Release]
    """Those that left, in order."""
    versions: Sequence[Version]
    """By release number."""
    bad: frozenset[int]
    """Releases with a defect, with a failure that came with them, or from a training that went wrong."""
    mix: Array
    """(windows, releases) devices that run each release."""
    states: Array
    """(windows, 4) devices in each state: full, simple, off, brick."""
    tiers: Array
    """(classes, 4) device-days of each class in each state."""
    offloaded: Array
    """(windows,) share of the requests that somebody else answered."""
    latency: Array
    """(windows,) mean time of the requests that were answered, days."""
    requests: Array
    traffic: Mapping[str, NDArray[np.int64]]
    """What devices did in each window."""
    installed: Sequence[tuple[int, ...]]
    """By release: installations that succeeded, failed, and left a brick."""
    energy: pd.DataFrame
    """One row a class of devices: Wh a device and day by use."""

    def headline(self) -> str:
        """How many devices, how old their models were, how many releases, and what bad ones did."""
        found = self.summary
        number = found["releases"]
        return (
            f"{self.scenario.title}: {self.states[0].sum():,.0f} devices over {format_duration(self.scenario.horizon)}"
            f", models {found['model_age_mean_days']:.1f} d old on average, {number:.0f} "
            f"{'release' if number == 1.0 else 'releases'} ({found['halted_releases']:.0f} halted), "
            f"{found['blast_devices']:,.0f} devices took a bad one, {found['bricks']:,.0f} bricks"
        )

    def _shown(self) -> pd.DataFrame:
        """The summary without what is 0."""
        return figures(pd.Series({name: value for name, value in self.summary.items() if value != 0.0}))

    def plot(self, ax: Any = None) -> Any:
        """Share of the devices on each release, or a newer one, by days since it left; returns matplotlib axes."""
        from analysis.plot_edge import plot_fleet_adoption

        return plot_fleet_adoption(self, ax)

    @cached_property
    def moments(self) -> Array:
        """Middle of each window, days."""
        return np.asarray((np.arange(len(self.mix)) + 0.5) * self.scenario.window)

    @cached_property
    def shares(self) -> Array:
        """(windows, releases) share of the devices that run each release."""
        return np.asarray(self.mix / np.maximum(self.mix.sum(axis=1, keepdims=True), 1e-300))

    @cached_property
    def cuts(self) -> Array:
        """(releases,) data cut of each release, days."""
        return np.array([version.cut for version in self.versions])

    @cached_property
    def labels(self) -> list[str]:
        """Name of each release in tables, by the number of its version."""
        return [f"version {version.number}" for version in self.versions]

    @cached_property
    def summary(self) -> dict[str, float]:
        """The figures that comparisons and sweeps use; names say their units, shares are of device-time.

        stale_share: on an older release than the newest that all may take; retired_share: on one that is no longer
        supported; vulnerable_share: on one that was halted; blast: devices that took a bad release, and the days on
        which they ran it; failed_installs: installs that did not start, bricks not among them; ota_gb: bytes sent and
        received, in 1e9.
        """
        traffic = {name: float(values.sum()) for name, values in self.traffic.items()}
        devices = self.states.sum(axis=1)
        answered = self.requests * np.isfinite(self.latency)
        used = float((self.energy["devices"] * self.energy["all"]).sum())
        bad = [self.installed[number] for number in sorted(self.bad)]
        return {
            "model_age_mean_days": float((self.shares * self._age).sum(axis=1).mean()),
            "model_age_p90_days": float(self.age_quantile(0.9).mean()),
            "stale_share": float((self.shares * self._is_stale).sum(axis=1).mean()),
            "retired_share": float((self.shares * self._is_retired).sum(axis=1).mean()),
            "vulnerable_share": float((self.shares * self._is_stopped).sum(axis=1).mean()),
            "releases": float(len(self.raw_releases)),
            "halted_releases": float(sum(release.halted is not None for release in self.raw_releases)),
            "blast_devices": float(sum(good + bricked for good, _, bricked in bad)),
            "blast_device_days": self.scenario.window * float(self.mix[:, sorted(self.bad)].sum()),
            "bricks": traffic["bricks"],
            "failed_installs": traffic["failures"],
            "ota_gb": (traffic["bytes_sent"] + traffic["bytes_up"]) / 1e9,
            "check_ins": traffic["check_ins"],
            "reports": traffic["reports"],
            "simple_share": float((self.states[:, SIMPLE] / devices).mean()),
            "off_share": float((self.states[:, OFF] / devices).mean()),
            "offload_share": _weighted(self.offloaded, self.requests),
            "latency_ms": MS_PER_DAY * _weighted(np.nan_to_num(self.latency), answered),
            "energy_wh_per_device_day": used / float(self.energy["devices"].sum()),
            "cell_replacements": traffic["cell_replacements"],
            "contributions": traffic["contributions"],
        }

    def releases(self) -> pd.DataFrame:
        """One row a release: when it left, was complete or halted, and how many devices took it.

        Moments in days, NaN for what has not happened; adopted: largest share of the devices that ran it;
        device_days: on which it ran; bad: see `bad`.
        """
        rows = []
        for release in self.raw_releases:
            good, failed, bricked = self.installed[release.number]
            rows.append(
                {
                    "release": release.name,
                    "left_days": release.left,
                    "complete_days": _or_nan(release.complete),
                    "halted_days": _or_nan(release.halted),
                    "recalled": release.recalled,
                    "bad": release.number in self.bad,
                    "installed": good,
                    "failed": failed,
                    "bricked": bricked,
                    "adopted": float(self.shares[:, release.number].max()),
                    "device_days": self.scenario.window * float(self.mix[:, release.number].sum()),
                }
            )
        columns = [
            "release", "left_days", "complete_days", "halted_days", "recalled", "bad", "installed", "failed",
            "bricked", "adopted", "device_days",
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=columns)

    def adoption(self) -> pd.DataFrame:
        """One row a release and window since it left: release, days since then, share on it or on a newer one.

        Of a release that was halted the share on itself: newer ones do not go the same way.
        """
        parts = []
        for release in self.raw_releases:
            since = self.moments >= release.left
            last = None if release.halted is None else release.number + 1
            share = self.shares[:, release.number : last].sum(axis=1)
            parts.append(
                pd.DataFrame(
                    {
                        "release": release.name,
                        "days": self.moments[since] - release.left,
                        "share": share[since],
                    }
                )
            )
        return (
            pd.concat(parts, ignore_index=True)
            if parts
            else pd.DataFrame(columns=["release", "days", "share"])
        )

    def fleet(self) -> pd.DataFrame:
        """One row a window: shares by state, ages of models (days), share on stale and retired releases, traffic."""
        devices = self.states.sum(axis=1)
        table: dict[str, Array] = {"time_days": self.moments + 0.5 * self.scenario.window}
        for place, state in enumerate(STATES):
            table[f"{state}_share"] = self.states[:, place] / devices
        table["model_age_mean_days"] = (self.shares * self._age).sum(axis=1)
        for quantile in AGE_QUANTILES:
            table[f"model_age_p{100 * quantile:.0f}_days"] = self.age_quantile(quantile)
        table["stale_share"] = (self.shares * self._is_stale).sum(axis=1)
        table["retired_share"] = (self.shares * self._is_retired).sum(axis=1)
        table["vulnerable_share"] = (self.shares * self._is_stopped).sum(axis=1)
        table["offload_share"] = self.offloaded
        table["latency_ms"] = MS_PER_DAY * self.latency
        for name in sorted(self.traffic):
            values = self.traffic[name]
            table[name] = values.astype(np.float64)
        return pd.DataFrame(table)

    def version_mix(self) -> pd.DataFrame:
        """One row a window: time (end of the window, days) and the share of the devices on each release."""
        table = pd.DataFrame(self.shares, columns=self.labels)
        table.insert(0, "time_days", self.moments + 0.5 * self.scenario.window)
        return table

    def classes(self) -> pd.DataFrame:
        """One row a class of devices: number, share of time by state, energy by use (Wh a device and day)."""
        share = self.tiers / np.maximum(self.tiers.sum(axis=1, keepdims=True), 1e-300)
        table = self.energy.copy()
        for place, state in enumerate(STATES):
            table.insert(1 + place, f"{state}_share", share[:, place])
        return table

    def age_quantile(self, quantile: float) -> Array:
        """A quantile of the age of the models on devices in each window, days, (windows,); quantile: in (0, 1]."""
        order = np.argsort(-self.cuts, kind="stable")
        reached = np.cumsum(self.shares[:, order], axis=1) >= quantile - 1e-12
        place = np.where(reached.any(axis=1), reached.argmax(axis=1), len(order) - 1)
        return np.asarray(np.maximum(self.moments - self.cuts[order][place], 0.0))

    @cached_property
    def _age(self) -> Array:
        return np.asarray(np.maximum(self.moments[:, None] - self.cuts, 0.0))

    @cached_property
    def _is_stale(self) -> Array:
        """(windows, releases) whether a newer release could be had by all."""
        stale = np.zeros_like(self.mix)
        for release in self.raw_releases:
            if release.complete is not None:
                until = math.inf if release.halted is None else release.halted
                there = (self.moments > release.complete) & (self.moments <= until)
                stale[there, : release.number] = 1.0
        return stale

    @cached_property
    def _is_stopped(self) -> Array:
        """(windows, releases) whether a release is known to be bad: it was halted, or asked back."""
        stopped = np.zeros_like(self.mix)
        for release in self.raw_releases:
            if release.halted is not None:
                stopped[self.moments > release.halted, release.number] = 1.0
        return stopped

    @cached_property
    def _is_retired(self) -> Array:
        """(windows, releases) whether a release is supported no more."""
        edge = self.scenario.edge
        retired = np.zeros_like(self.mix)
        if edge is None or edge.supported is None:
            return retired
        for release in self.raw_releases:
            if release.complete is not None and release.halted is None:
                retired[self.moments > release.complete + edge.supported, : release.number] = 1.0
        return retired


def class_energy(devices: Devices, edge: Edge) -> pd.DataFrame:
    """One row a class: number of devices, and what each of them took by use and in all, Wh a day; at the horizon."""
    spent = devices.energy()
    kind_of = np.array([kind for kind, _ in devices.groups])[devices.group_of]
    rows = {}
    for number, kind in enumerate(edge.devices):
        mine = kind_of == number
        uses = {
            use: float(spent[use][mine].sum()) / JOULES_PER_WH / kind.count / devices.now
            for use in ENERGY_USES
        }
        rows[kind.name] = {"devices": kind.count, "all": math.fsum(uses.values()), **uses}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("class")


def _weighted(values: Array, weights: Array) -> float:
    return float(np.average(values, weights=weights)) if weights.sum() > 0.0 else math.nan


def _or_nan(moment: float | None) -> float:
    return math.nan if moment is None else moment


__all__ = ["BRICK", "EDGE_FIGURES", "EdgeResult", "class_energy"]
