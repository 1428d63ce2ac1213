"""A plain, slow data plane, to check the kernels against: one SimPy process that wakes at the end of every window.

Nothing is computed ahead and nothing is taken back. At the end of a window its accuracy follows from who served it
and for how long, its rows and labels are drawn, every monitor that is due looks, and its costs are posted. Formulas
are those of the textbook, in Python floats and loops; of the engine only the control plane, the world, the names of
random keys and the draw of a version's bin edges are used.

Order at one instant, the end T of a window: the window is measured; what was due at T before comes next (a policy
that wakes, a deployment); then the monitors call, one after the other, unless a deployment has silenced them; then
what follows from all this.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy
from plain_monitors import FeatureMonitor, LabelMonitor, PlainChampion, PlainMonitor
from plain_quality import SLACK, PlainQuality, PlainVersion

from scenarios.schema import Scenario
from sim.engine import Run, resolve_policy
from sim.monitoring import Alarm
from sim.record import Result
from sim.world import World

HAIR = 2e-9
"""Days before the end of a window at which it is measured: more than float noise, less than anything real."""


class PlainDataPlane:
    """What the control plane asks of a data plane, window by window."""

    def __init__(self, world: World, quality: Any, features: Any, watches: list[Any]) -> None:
        self.world, self.scenario, self.window = world, world.scenario, world.scenario.window
        self.windows = self.scenario.windows
        self.requests = [float(number) for number in world.requests]
        self.arriving: list[list[tuple[int, int, int]]] = [[] for _ in range(self.windows)]
        batches = world.labels
        for j in range(self.windows):
            for i in range(int(batches.first[j]), int(batches.first[j + 1])):
                assert float(batches.count[i]).is_integer()
                batch = int(batches.identity[i]), int(batches.window[i]), int(batches.count[i])
                self.arriving[j].append(batch)
        self.watches: list[PlainMonitor] = [
            (LabelMonitor if watch.monitor.needs_labels else FeatureMonitor)(watch.monitor, self)
            for watch in watches
        ]
        self.champions: list[PlainChampion] = []
        self.served: list[list[float]] = []
        self.version_number = np.zeros(self.windows, dtype=np.int64)
        self.ended = 0

    quality: PlainQuality

    @property
    def champion(self) -> PlainChampion:
        return self.champions[-1]

    @property
    def scanned(self) -> int:
        """Windows measured so far."""
        return self.ended

    @property
    def accuracy(self) -> Any:
        return np.array(self.served).T

    def go_live(self, version: PlainVersion, now: float) -> None:
        """Put a version into service; it serves alone from the first window that starts from now on."""
        window = min(int(now / self.window + SLACK), self.windows - 1)
        fresh = self.quality.accuracy(version, window, now, now)
        first_full = math.ceil(now / self.window - SLACK)
        self.champions.append(PlainChampion(version, now, first_full, fresh, self.quality.mean(fresh)))
        for monitor in self.watches:
            monitor.reset(self.champion)

    def change_world(self, window: int) -> None:
        """Nothing to do: nothing was computed past this moment."""

    def live(self, run: PlainRun) -> Generator[simpy.Event, Any, None]:
        """Measure every window when it ends."""
        for window in range(self.windows):
            yield run.env.timeout((window + 1) * self.window - HAIR - run.env.now)
            self.served.append(self._accuracy_of(window))
            self.version_number[window] = self.champion.version.number
            self.ended = window + 1
            self._post_costs(run, window)
            calling = [monitor for monitor in self.watches if monitor.calls(window)]
            if calling:
                run.env.process(self._call(run, window, calling, self.champion))

    def _accuracy_of(self, window: int) -> list[float]:
        """Accuracy of each slice: everybody who served counts for as long as he did."""
        begin, end = window * self.window, (window + 1) * self.window
        total = [0.0] * len(self.quality.weights)
        replaced = [champion.since for champion in self.champions[1:]] + [math.inf]
        for champion, until in zip(self.champions, replaced, strict=True):
            since, until = max(champion.since, begin), min(until, end)
            if until - since <= SLACK * self.window:
                continue
            part = self.quality.accuracy(champion.version, window, since, until)
            total = [t + (until - since) / self.window * a for t, a in zip(total, part, strict=True)]
        return total

    def _post_costs(self, run: PlainRun, window: int) -> None:
        scenario = self.scenario
        worth = self.requests[window] * scenario.value_per_query_per_unit_accuracy
        short = scenario.loss_reference - self.quality.mean(self.served[window])
        run.ledger.post("staleness", worth * short)
        run.ledger.post("monitoring", sum(m.monitor.cost for m in self.watches) * self.window)
        if scenario.labels is not None:
            run.ledger.post("labelling", self._labels_bought(window) * scenario.labels.cost)

    def _labels_bought(self, window: int) -> int:
        """Labels that any monitor looked at; a label that two of them looked at is bought once."""
        total = 0
        watches = [(m.place, m.labels_of(window)) for m in self.watches if isinstance(m, LabelMonitor)]
        for number in range(len(self.arriving[window])):
            seen: dict[int | None, int] = {}
            for place, counts in watches:
                seen[place] = max(seen.get(place, 0), counts[number])
            overall = seen.pop(None, 0)
            total += max(overall, sum(seen.values()))
        return total

    def _call(
        self, run: PlainRun, window: int, calling: list[PlainMonitor], champion: PlainChampion
    ) -> Generator[simpy.Event, Any, None]:
        monitor, *others = calling
        yield run.env.timeout(max((window + 1) * self.window - run.env.now, 0.0))
        if self.champion is not champion:
            return
        monitor.silent_until = run.now + monitor.monitor.cooldown
        fallen = [a - b for a, b in zip(champion.fresh, self.served[window], strict=True)]
        place = monitor.place if isinstance(monitor, LabelMonitor) else None
        drop = self.quality.mean(fallen) if place is None else fallen[place]
        true = drop >= self.scenario.material_drop
        alarm = Alarm(run.now, monitor.label, float(monitor.score[window]), monitor.limit, true)
        run.alarms.append(alarm)
        run.record("alarm" if true else "false alarm", alarm.monitor, f"score {alarm.score:.4g}")
        run.consult(alarm)
        if others:
            run.env.process(self._call(run, window, others, champion))

    def measured_accuracy(self) -> Any:
        for monitor in self.watches:
            if isinstance(monitor, LabelMonitor) and monitor.place is None:
                return monitor.measured
        return np.full(self.windows, np.nan)


class PlainRun(Run):
    """A run whose data plane is a SimPy process like any other."""

    plane: Any

    def __init__(self, world: World, policy: Any) -> None:
        super().__init__(world, policy, PlainDataPlane)  # type: ignore[arg-type]
        self.quality: Any = PlainQuality(world, self.state)
        self.plane.quality = self.quality

    def play(self) -> Result:
        self.plane.go_live(self.quality.initial(), 0.0)
        self.consult()
        self.env.process(self.plane.live(self))
        self.env.run(until=self.scenario.horizon - SLACK)
        return self._result()

    def _post_running_costs(self) -> None:
        """They were posted window by window."""


def run_plainly(scenario: Scenario, policy: Any, seed: int = 0, replication: int = 0) -> Result:
    """What `sim.run` does, the slow way."""
    return PlainRun(World(scenario, seed, replication), resolve_policy(policy)).play()
