"""A plain, slow data plane, to check the kernels against: one SimPy process that wakes at the end of every window.

Nothing is computed ahead and nothing is taken back. At the end of a window its accuracy follows from who served it
and for how long, its rows and labels are drawn, every monitor that is due looks, and its costs are posted. Formulas
are those of the textbook, in Python floats and loops; of the engine only the control plane, the world, the names of
random keys and the draw of a version's bin edges are used. The people who answer pages and the bill of telemetry are
control plane: they are tested by themselves.

Order at one instant, the end T of a window: the window is measured; what was due at T before comes next (a policy
that wakes, a deployment, a repair); then the monitors call, one after the other, unless a deployment, a repair or a
snooze has silenced them; then what follows from all this.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy
from plain_incidents import PlainIncident, PlainIncidents, sees
from plain_monitors import FeatureMonitor, LabelMonitor, PlainChampion, PlainMonitor
from plain_quality import SLACK, PlainQuality, PlainVersion
from plain_signals import SignalMonitor, TruthMonitor

from scenarios.monitoring import Monitor
from scenarios.schema import Scenario
from sim.engine import Run, resolve_policy
from sim.monitoring import Alarm
from sim.record import Result
from sim.telemetry import post_rest, telemetry_bills
from sim.world import World

HAIR = 2e-9
"""Days before the end of a window at which it is measured: more than float noise, less than anything real."""


class PlainDataPlane:
    """What the control plane asks of a data plane, window by window."""

    def __init__(self, world: World, quality: Any, features: Any, watches: list[Any], incidents: Any) -> None:
        self.world, self.scenario, self.window = world, world.scenario, world.scenario.window
        self.windows = self.scenario.windows
        self.incidents = PlainIncidents(world)
        self.requests = [float(number) for number in world.requests]
        self.whole_requests = self.carried_over(1.0)
        self.arriving: list[list[tuple[int, int, int]]] = [[] for _ in range(self.windows)]
        batches = world.labels
        for j in range(self.windows):
            for i in range(int(batches.first[j]), int(batches.first[j + 1])):
                assert float(batches.count[i]).is_integer()
                batch = int(batches.identity[i]), int(batches.window[i]), int(batches.count[i])
                self.arriving[j].append(batch)
        self.watches: list[PlainMonitor] = [
            monitor_class(watch.monitor)(watch.monitor, self) for watch in watches
        ]
        self.champions: list[PlainChampion] = []
        self.unbroken: list[list[float]] = []
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

    @property
    def unharmed(self) -> Any:
        return np.array(self.unbroken).T

    def blind(self, window: int) -> bool:
        """Whether monitors see nothing at the end of a window."""
        return self.world.blind is not None and bool(self.world.blind[window])

    def carried_over(self, rate: float) -> list[int]:
        """Whole numbers of requests looked at: what is left over in one window counts in a later one."""
        total, counted, numbers = 0.0, 0, []
        for requests in self.requests:
            total += requests * rate
            numbers.append(math.floor(total + SLACK) - counted)
            counted += numbers[-1]
        return numbers

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

    def repaired(self, incident: PlainIncident, now: float) -> None:
        """Monitors that can see its failure start afresh at the first whole window from now on."""
        first_full = math.ceil(now / self.window - SLACK)
        onset = int(incident.onset.time / self.window + SLACK)
        for monitor in self.watches:
            if sees(self.scenario, monitor.monitor, incident.failure):
                monitor.restart(onset, first_full)

    def silence(self, label: str, until: int) -> None:
        """The first look of a monitor that may call is that of window `until`."""
        for monitor in self.watches:
            if monitor.label == label:
                monitor.silent_until = max(monitor.silent_until, (until + 1) * self.window)

    def live(self, run: PlainRun) -> Generator[simpy.Event, Any, None]:
        """Measure every window when it ends."""
        for window in range(self.windows):
            yield run.env.timeout((window + 1) * self.window - HAIR - run.env.now)
            self.unbroken.append(self._accuracy_of(window))
            self.served.append(self.incidents.harmed(self.unbroken[window], window))
            self.version_number[window] = self.champion.version.number
            self.ended = window + 1
            self._post_costs(run, window)
            calling = [(monitor, monitor.starts) for monitor in self.watches if monitor.calls(window)]
            if calling:
                run.env.process(self._call(run, window, calling))

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
        usual, accuracy = self.quality.mean(self.unbroken[window]), self.quality.mean(self.served[window])
        share = self.incidents.served_share(window)
        run.ledger.post("staleness", worth * (scenario.loss_reference - usual))
        run.ledger.post("incident", worth * (usual - accuracy * share))
        run.ledger.post("monitoring", sum(m.monitor.cost for m in self.watches) * self.window)
        for lift in self._lifts():
            run.ledger.post("monitoring", worth * share * lift.holdout * (accuracy - lift.baseline_accuracy))
        if scenario.labels is not None:
            run.ledger.post("labelling", self._labels_bought(window) * scenario.labels.cost)

    def _lifts(self) -> list[Any]:
        """Holdout groups that somebody looks at."""
        looked_at = {monitor.monitor.signal for monitor in self.watches}
        return [s for s in self.scenario.signals if s.kind == "lift" and s.name in looked_at]

    def _labels_bought(self, window: int) -> int:
        """Labels that any monitor looked at; a label that two of them looked at is bought once."""
        total = 0
        watches = [
            (m.place, m.labels_of(window))
            for m in self.watches
            if isinstance(m, LabelMonitor) and m.uses(window)
        ]
        for number in range(len(self.arriving[window])):
            seen: dict[int | None, int] = {}
            for place, counts in watches:
                seen[place] = max(seen.get(place, 0), counts[number])
            overall = seen.pop(None, 0)
            total += max(overall, sum(seen.values()))
        return total

    def _call(
        self, run: PlainRun, window: int, calling: list[tuple[PlainMonitor, int]]
    ) -> Generator[simpy.Event, Any, None]:
        (monitor, starts), *others = calling
        end = (window + 1) * self.window
        yield run.env.timeout(max(end - run.env.now, 0.0))
        silenced = monitor.starts > starts and not monitor.never_silenced
        if not silenced and end >= monitor.silent_until - SLACK:
            self._raise_alarm(run, window, monitor)
        if others:
            run.env.process(self._call(run, window, others))

    def _raise_alarm(self, run: PlainRun, window: int, monitor: PlainMonitor) -> None:
        monitor.silent_until = run.now + monitor.cooldown
        fallen = [a - b for a, b in zip(self.champion.fresh, self.unbroken[window], strict=True)]
        place = monitor.place if isinstance(monitor, LabelMonitor) else None
        drop = self.quality.mean(fallen) if place is None else fallen[place]
        true = monitor.follows_accuracy and drop >= self.scenario.material_drop
        true = true or self.incidents.moved(monitor.monitor, monitor.looked_at_since(window), run.now)
        alarm = Alarm(run.now, monitor.label, float(monitor.score[window]), monitor.limit, true)
        run.alarms.append(alarm)
        run.record("alarm" if true else "false alarm", alarm.monitor, f"score {alarm.score:.4g}")
        self._tell(run, alarm, monitor)
        run.consult(alarm)

    def _tell(self, run: PlainRun, alarm: Alarm, monitor: PlainMonitor) -> None:
        """What the monitor can see is detected, and people hear of it when it is theirs."""
        causes: list[Any] = self.incidents.visible(monitor.monitor, run.now)
        for incident in causes:
            if incident.detected is None:
                incident.detected, incident.by = run.now, monitor.label
        own = monitor.label not in run.heeded or monitor.monitor in self.scenario.monitors
        if run.responders is not None and own:
            run.responders.hear(alarm, monitor, causes)  # type: ignore[arg-type]

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
        self.incidents = self.plane.incidents

    def play(self) -> Result:
        self.plane.go_live(self.quality.initial(), 0.0)
        self.env.process(self._onsets())
        self.env.process(telemetry_bills(self))
        self.consult()
        self.env.process(self.plane.live(self))
        self.env.run(until=self.scenario.horizon - SLACK)
        return self._result()

    def _post_running_costs(self) -> None:
        """They were posted window by window; left are the bill since the last month, and who has cost what."""
        post_rest(self)
        scenario, plane = self.scenario, self.plane
        worth = self.world.requests * scenario.value_per_query_per_unit_accuracy
        weights = np.array(scenario.slice_weights)
        kept, usual = weights @ plane.accuracy, weights @ plane.unharmed
        unserved = kept * (1.0 - self.incidents.served(0, scenario.windows))
        for incident, loss in zip(
            self.incidents.all, self.incidents.losses(worth, usual - kept, unserved), strict=True
        ):
            incident.loss = loss


def monitor_class(monitor: Monitor) -> Any:
    if monitor.needs_labels:
        return LabelMonitor
    if monitor.metric in ("signal", "truth"):
        return SignalMonitor if monitor.metric == "signal" else TruthMonitor
    return FeatureMonitor


def run_plainly(scenario: Scenario, policy: Any, seed: int = 0, replication: int = 0) -> Result:
    """What `sim.run` does, the slow way."""
    return PlainRun(World(scenario, seed, replication), resolve_policy(policy)).play()
