"""How well a fleet of devices answers: a mixture over what each device runs, and who answers for it.

A device with power answers by the version that it runs, less what the model of its tier lacks; one without power, or
without a model, or a brick, does not answer at all, which counts as accuracy 0. Offloaded requests are a fluid
approximation: of the share that is sent when it can be, as much is sent as the network is there on average, whatever
the device's own network does at the time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scenarios.edge import DeviceClass, Edge

Array = NDArray[np.float64]

FULL, SIMPLE, OFF, BRICK = range(4)
"""States of a device, in the order of `Devices.counts`."""
STATES = ("full", "simple", "off", "brick")


class Answers:
    """Weights, losses and offloaded shares of the groups (class and slice) of a fleet."""

    def __init__(
        self, edge: Edge, groups: list[tuple[int, int]], sizes: NDArray[np.int64], slices: int
    ) -> None:
        kinds = [edge.devices[number] for number, _ in groups]
        self.edge = edge
        self.kind = np.array([number for number, _ in groups])
        self.place = np.array([place for _, place in groups])
        self.usage = np.array([kind.usage for kind in kinds])
        self.asks = self.usage * sizes
        """(groups,) requests of each group, relative."""
        self.total = np.bincount(self.place, self.asks, minlength=slices)
        self.loss = np.array([_by_tier(kind, "loss") for kind in kinds])
        self.latency = np.array([_by_tier(kind, "latency") for kind in kinds])
        self.sent = np.array([offloaded(edge, kind) for kind in kinds])
        """(groups, 2) share of the requests of a device that somebody else answers, by tier."""
        away = 0.0 if edge.offload is None else edge.offload.latency
        self.away = np.array([kind.link.round_trip + away for kind in kinds])

    def accuracy(self, counts: Array, own: Array, newest: Array) -> Array:
        """Accuracy of each slice, (slices, n).

        counts: (n, groups, versions, 4) devices by state; own: (versions, slices, n) accuracy of each version;
        newest: (slices, n) accuracy of the version that answers what is offloaded.
        """
        found = np.zeros((len(self.total), counts.shape[0]))
        gain = 0.0 if self.edge.offload is None else self.edge.offload.gain
        for group, place in enumerate(self.place):
            for tier in (FULL, SIMPLE):
                devices = counts[:, group, :, tier]
                here = np.maximum(own[:, place] - self.loss[group, tier], 0.0)
                sent = self.sent[group, tier]
                answered = (1.0 - sent) * _in_order(devices.T * here)
                if sent > 0.0:
                    answered += sent * devices.sum(axis=1) * np.minimum(newest[place] + gain, 1.0)
                found[place] += self.usage[group] * answered
        there = self.total > 0.0
        found[there] /= self.total[there, None]
        found[~there] = newest[~there]  # nobody lives there: a slice that the counts have rounded away
        return found

    def offloaded(self, counts: Array) -> Array:
        """Share of all requests that somebody else answers, (n,)."""
        return self._by_requests(counts, self.sent) / float(self.total.sum())

    def answered(self, counts: Array) -> Array:
        """Share of all requests that anybody answers, (n,)."""
        return self._by_requests(counts, np.ones_like(self.sent)) / float(self.total.sum())

    def mean_latency(self, counts: Array) -> Array:
        """Mean time of the requests that are answered, days, (n,); NaN where none is."""
        each = (1.0 - self.sent) * self.latency + self.sent * self.away[:, None]
        answered = self._by_requests(counts, np.ones_like(each))
        taken = self._by_requests(counts, each)
        return np.asarray(
            np.divide(taken, answered, out=np.full(len(answered), np.nan), where=answered > 0.0)
        )

    def share_on(self, counts: Array, release: int) -> Array:
        """Share of the requests of each slice that devices on a release are asked, those with power, (slices, n)."""
        here = counts[:, :, release, :OFF].sum(axis=2).T * self.usage[:, None]
        found = np.zeros((len(self.total), len(counts)))
        for group, place in enumerate(self.place):
            found[place] += here[group]
        return found / np.where(self.total > 0.0, self.total, 1.0)[:, None]

    def _by_requests(self, counts: Array, each: Array) -> Array:
        """Sum over the devices with power of `each` (groups, 2), by tier, times their requests, (n,)."""
        by_tier = counts[:, :, :, :OFF].sum(axis=2)
        parts = by_tier * (each * self.usage[:, None])
        return _in_order(parts.reshape(len(parts), -1).T)


def _in_order(rows: Array) -> Array:
    """Sum over the rows, one after the other: the same for a window whatever windows are computed with it."""
    total = np.zeros(rows.shape[1])
    for row in rows:
        total += row
    return total


def offloaded(edge: Edge, kind: DeviceClass) -> tuple[float, float]:
    """Expected share of a device's requests that is offloaded: while the full model runs, and while the simple one."""
    plan = edge.offload
    if plan is None:
        return 0.0, 0.0
    share = plan.share * kind.link.usable
    return (share if plan.when == "always" else 0.0), share


def _by_tier(kind: DeviceClass, field: str) -> tuple[float, float]:
    full = getattr(kind.full, field)
    return full, full if kind.simple is None else getattr(kind.simple, field)
