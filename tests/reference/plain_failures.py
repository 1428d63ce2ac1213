"""Failures, signals, pages and repairs told window by window, in plain Python: what the engine must agree with.

Written from the meaning, with floats and loops. Of the engine only the world (requests, onsets, blind windows) and
the draws tied to keys are used. The model never changes: the policy is `never`, monitors are of signals or the truth,
and rules are thresholds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from scenarios.monitoring import Monitor
from scenarios.schema import Scenario
from sim.durations import draw, quantile
from sim.kernels import sampling
from sim.world import World

HAIR = 1e-9


@dataclass
class Trouble:
    """One incident."""

    failure: Any
    onset: float
    end: float
    detected: float | None = None
    acted: float | None = None
    repaired: float | None = None


def size_of(mode: list[Trouble], begin: float, end: float) -> float:
    """Mean size of a failure mode within a stretch: that of the oldest trouble which is there."""
    bends = [t for x in mode for t in (x.onset, x.onset + x.failure.ramp, x.end) if begin < t < end]
    area, edges = 0.0, sorted([begin, *bends, end])
    for a, b in pairwise(edges):
        middle = 0.5 * (a + b)
        ages = [middle - x.onset for x in mode if x.onset < middle < x.end]
        if ages:
            ramp = mode[0].failure.ramp
            area += (b - a) * (min(max(ages) / ramp, 1.0) if ramp > 0.0 else 1.0)
    return area / (end - begin)


@dataclass
class Page:
    time: float
    monitors: list[str]
    causes: list[Trouble]
    true: bool
    acted: bool = False
    closed: bool = False


@dataclass
class Eye:
    """One monitor."""

    monitor: Monitor
    label: str
    cadence: int
    width: int
    start: int = 0
    silent_until: float = 0.0
    counts: dict[int, tuple[float, ...]] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)


@dataclass
class PlainStory:
    """One run; `play` fills the lists."""

    scenario: Scenario
    world: World
    alarms: list[tuple[float, str, bool]] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    on_call: float = 0.0
    lost: float = 0.0

    def play(self) -> PlainStory:
        scenario = self.scenario
        self.window, self.response = scenario.window, scenario.response
        self.troubles = [
            Trouble(o.failure, o.time, min(o.heals, scenario.horizon)) for o in self.world.onsets
        ]
        self.eyes = [self._eye(monitor) for monitor in scenario.monitors]
        self.due: list[tuple[float, int, Any]] = []
        self.memory: list[bool] = []
        self.in_a_row: dict[str, int] = {}
        self.usual_accuracy = scenario.quality.initial_accuracy  # type: ignore[union-attr]
        self.whole_rests: dict[str, float] = {}
        for number in range(scenario.windows):
            self._measure(number)
            self._pass_to((number + 1) * self.window)
            if number + 1 < scenario.windows:  # what is called as the run ends is heard by nobody
                for eye in self.eyes:
                    self._look(eye, number)
        for trouble in self.troubles:
            self.lost += trouble.failure.cost
        return self

    def _eye(self, monitor: Monitor) -> Eye:
        if monitor.metric == "truth":
            return Eye(monitor, monitor.label, 1, 1)
        cadence = self.scenario.cadence_of(monitor)
        width = monitor.window or cadence
        return Eye(monitor, monitor.label, round(cadence / self.window), round(width / self.window))

    # ------------------------------------------------------------ one window

    def _measure(self, number: int) -> None:
        """What is counted in a window, and what the failures cost in it; repairs within it have not happened yet."""
        # A repair falls into a window before its end, so a window is measured when it is over.
        self._pass_to((number + 1) * self.window - HAIR)
        begin, end = number * self.window, (number + 1) * self.window
        modes: dict[str, list[Trouble]] = {}
        for trouble in self.troubles:
            if trouble.onset < end and trouble.end > begin:
                modes.setdefault(trouble.failure.name, []).append(trouble)
        levels = [(mode[0], size_of(mode, begin, end)) for mode in modes.values()]
        drop = sum(t.failure.accuracy_drop * level for t, level in levels)
        accuracy = max(self.usual_accuracy - drop, 0.0)
        served = 1.0
        for trouble, level in levels:
            for effect in trouble.failure.effects:
                if self._kind(effect.signal) == "throughput":
                    served *= 1.0 + (effect.factor - 1.0) * level
        worth = float(self.world.requests[number]) * self.scenario.value_per_query_per_unit_accuracy
        self.lost += worth * (self.usual_accuracy - accuracy + accuracy * (1.0 - served))
        for eye in self.eyes:
            eye.counts[number] = self._count(eye, number, levels, served, self.usual_accuracy - accuracy)

    def _kind(self, signal: str) -> str:
        return self.scenario.signal(signal).kind

    def _whole(self, name: str, expected: float) -> int:
        """A whole number; what is left over goes to the next window."""
        total = self.whole_rests.get(name, 0.0) + expected
        found = math.floor(total + HAIR)
        self.whole_rests[name] = total - found
        return found

    def _count(self, eye: Eye, number: int, levels: Any, served: float, lost: float) -> tuple[float, ...]:
        monitor = eye.monitor
        if monitor.metric == "truth":
            begin, end = number * self.window, (number + 1) * self.window
            return (float(sum(begin <= t.onset < end for t in self.troubles)),)
        signal: Any = self.scenario.signal(monitor.signal or "")
        requests = float(self.world.requests[number])
        if signal.kind == "throughput":
            return (self._served("served", number, self._whole(eye.label, requests), served),)
        if signal.kind == "freshness":
            luck = sampling.uniform_once(self.world.key(f"signal:{signal.name}"), number)
            return (float(quantile(signal.age, luck)),)
        if signal.kind == "lift":
            of: Any = self.scenario.signal(signal.of)
            held = self._whole(eye.label + "/held", requests * signal.holdout)
            all_of_them = self._whole(eye.label, requests)
            found: list[float] = []
            behind = self.usual_accuracy - signal.baseline_accuracy
            for group, size, short in (("model", all_of_them - held, lost), ("holdout", held, behind)):
                looked = self._served(f"served:{of.name}:{group}", number, size, served)
                share = self._share(of, number, levels, short)
                key = self.world.key(f"lift:{of.name}:{group}")
                found += [looked, float(sampling.binomial_once(key, number, int(looked), share))]
            return tuple(found)
        counted = signal.from_counters and monitor.rows is None and monitor.sampling_rate is None
        if counted or monitor.hit_sampling_rate is not None:
            size = self._whole(eye.label, requests)
        elif monitor.sampling_rate is not None:
            size = self._whole(eye.label, requests * monitor.sampling_rate)
        else:
            size = min(self._whole(eye.label, requests), monitor.rows or 1000)
        looked = self._served("served" if counted else f"served:{eye.label}", number, size, served)
        key = self.world.key(f"signal:{signal.name}" + ("" if counted else f":{eye.label}"))
        mean = self._share(signal, number, levels, lost)
        if signal.kind == "mean":
            noise = sampling.normal_once(key, number)
            return looked, looked * mean + signal.sd * math.sqrt(looked) * noise
        share = mean * (monitor.hit_sampling_rate or 1.0)
        return looked, float(sampling.binomial_once(key, number, int(looked), share))

    def _served(self, name: str, number: int, size: int, share: float) -> float:
        if share == 1.0:
            return float(size)
        return float(sampling.binomial_once(self.world.key(name), number, size, share))

    def _share(self, signal: Any, number: int, levels: Any, lost: float) -> float:
        value = (signal.base + signal.per_accuracy_lost * lost) * self._swing(signal, number)
        for trouble, level in levels:
            for effect in trouble.failure.effects:
                if effect.signal == signal.name and effect.factor is not None:
                    value *= 1.0 + (effect.factor - 1.0) * level
        for trouble, level in levels:
            for effect in trouble.failure.effects:
                if effect.signal == signal.name and effect.add is not None:
                    value += effect.add * level
        return min(max(value, 0.0), 1.0) if signal.kind == "proportion" else value

    def _swing(self, signal: Any, number: int) -> float:
        if signal.daily_noise == 0.0:
            return 1.0
        day = int((number + 0.5) * self.window)
        luck = self.world.stream(f"daily:{signal.name}").standard_normal(day + 1)[day]
        variance = math.log(1.0 + signal.daily_noise**2)
        return math.exp(math.sqrt(variance) * luck - 0.5 * variance)

    # ------------------------------------------------------------ looks

    def _look(self, eye: Eye, number: int) -> None:
        if (number + 1) % eye.cadence or number < eye.start:
            return
        truth = eye.monitor.metric == "truth"
        blind = self.world.blind
        if not truth and blind is not None and blind[number]:
            return
        first = max(number + 1 - eye.width, eye.start)
        score = self._score(eye, first, number)
        eye.scores[number] = score
        now = (number + 1) * self.window
        level = 0.0 if truth else eye.monitor.level
        if not score > level * (1.0 + HAIR) or now < eye.silent_until - HAIR:
            return
        cooldown = self.window if truth else max(eye.monitor.cooldown, self.window)
        eye.silent_until = (number + math.ceil(cooldown / self.window - HAIR) + 1) * self.window
        moved = any(
            t.onset < now - HAIR and t.end > first * self.window + HAIR and self._sees(eye.monitor, t.failure)
            for t in self.troubles
        )
        causes = [
            t
            for t in self.troubles
            if t.onset < now - HAIR and now <= t.end + HAIR and self._sees(eye.monitor, t.failure)
        ]
        self.alarms.append((now, eye.label, moved))  # nothing drifts here
        for trouble in causes:
            trouble.detected = now if trouble.detected is None else trouble.detected
        if self.response is not None:
            self._hear(now, eye, causes, moved)
            self._pass_to(now)  # triage that takes no time is over before the next monitor calls

    def _score(self, eye: Eye, first: int, last: int) -> float:
        monitor = eye.monitor
        rows = [eye.counts[number] for number in range(first, last + 1)]
        if monitor.metric == "truth":
            return rows[-1][0]
        signal: Any = self.scenario.signal(monitor.signal or "")
        now = (last + 1) * self.window
        if signal.kind == "freshness":
            stalls = [0.0]
            for trouble in self.troubles:
                for effect in trouble.failure.effects:
                    if effect.signal == signal.name and trouble.onset < now <= trouble.end:
                        stalls.append(min(now - trouble.onset, effect.stall))
            return rows[-1][0] + max(stalls)
        sums = [math.fsum(row[i] for row in rows) for i in range(len(rows[0]))]
        if signal.kind == "throughput":
            mean = self._mean_requests()
            value, usual, enough = sums[0], mean * len(rows), True
        elif signal.kind == "lift":
            of: Any = self.scenario.signal(signal.of)
            enough = sums[2] >= monitor.min_samples
            if min(sums[0], sums[2]) == 0.0:
                return math.nan
            expected = -of.per_accuracy_lost * (self.usual_accuracy - signal.baseline_accuracy)
            value = (sums[1] / sums[0] - sums[3] / sums[2]) * math.copysign(1.0, expected)
            usual = abs(expected)
        else:
            enough = sums[0] >= monitor.min_samples
            if sums[0] == 0.0:
                return math.nan
            value, usual = sums[1] / sums[0] / (monitor.hit_sampling_rate or 1.0), signal.base
        if not enough:
            return math.nan
        direction = monitor.direction or ("down" if signal.kind in ("throughput", "lift") else "up")
        by_level = signal.kind == "proportion" and direction == "up"
        if (monitor.measure or ("level" if by_level else "change")) == "level":
            return value
        change = (value - usual) / usual
        return {"up": change, "down": -change, "both": abs(change)}[direction]

    def _mean_requests(self) -> float:
        from sim.traffic import expected_requests

        return float(expected_requests(self.scenario).mean())

    def _sees(self, monitor: Monitor, failure: Any) -> bool:
        """Told from the numbers: whether the failure changes what the monitor reads."""
        if monitor.metric == "truth":
            return True
        signal: Any = self.scenario.signal(monitor.signal or "")
        moved = {(effect.signal, effect.factor is not None) for effect in failure.effects}
        if signal.kind == "lift":
            return failure.accuracy_drop > 0.0 or (signal.of, True) in moved
        if signal.kind == "throughput":
            return any(self._kind(name) == "throughput" for name, _ in moved)
        follows = failure.accuracy_drop > 0.0 and getattr(signal, "per_accuracy_lost", 0.0) != 0.0
        return follows or any(name == signal.name for name, _ in moved)

    # ------------------------------------------------------------ people

    def _hear(self, now: float, eye: Eye, causes: list[Trouble], true: bool) -> None:
        assert self.response is not None
        new = [trouble for trouble in causes if trouble.acted is None]
        if causes and not new:
            return
        certain = eye.monitor.metric == "truth"
        last = self.pages[-1] if self.pages else None
        if (
            last is not None
            and not certain
            and not last.closed
            and now - last.time < self.response.consolidation
        ):
            last.monitors.append(eye.label)
            last.causes += [trouble for trouble in new if trouble not in last.causes]
            last.true = last.true or true
            if last.acted:
                for trouble in new:
                    trouble.acted = now
            return
        page = Page(now, [eye.label], new, true)
        self.pages.append(page)
        luck = self.world.stream_at("page", now)
        share = sum(self.memory) / self.response.fatigue.memory
        heeded = luck.random() < 1.0 - self.response.fatigue.strength * share
        page.acted = heeded or certain
        if not page.acted:
            self._remember(False)
        else:
            for trouble in new:
                trouble.acted = now
            length = draw(self.response.triage, luck.random)
            self._plan(now + length, ("triage", page, length))

    def _remember(self, false: bool) -> None:
        assert self.response is not None
        self.memory = [*self.memory, false][-self.response.fatigue.memory :]

    def _plan(self, time: float, what: Any) -> None:
        self.due.append((time, len(self.due), what))

    def _pass_to(self, time: float) -> None:
        """Do what is due by now, in order."""
        while True:
            ready = [item for item in self.due if item[2] is not None and item[0] <= time + 1e-12]
            if not ready:
                return
            item = min(ready)
            self.due[self.due.index(item)] = (math.inf, item[1], None)
            moment, _, (kind, *rest) = item
            if kind == "triage":
                self._triaged(moment, *rest)
            else:
                self._repaired(moment, *rest)

    def _triaged(self, now: float, page: Page, length: float) -> None:
        response = self.response
        assert response is not None
        page.closed = True
        self.on_call += length * response.hourly_cost
        self._remember(not page.true)
        if page.true:
            for label in page.monitors:
                self.in_a_row[label] = 0
            for trouble in page.causes:
                luck = self.world.stream_at(f"repair:{trouble.failure.name}", trouble.onset)
                length = draw(trouble.failure.repair or response.repair, luck.random)
                self._plan(now + length, ("repair", trouble))
            return
        for label in dict.fromkeys(page.monitors):
            self.in_a_row[label] = self.in_a_row.get(label, 0) + 1
            if response.snooze is not None and self.in_a_row[label] >= response.snooze.after:
                self.in_a_row[label] = 0
                self.on_call += response.snooze.ticket * response.hourly_cost
                eye = next(eye for eye in self.eyes if eye.label == label)
                eye.silent_until = max(eye.silent_until, now + response.snooze.duration)

    def _repaired(self, now: float, trouble: Trouble) -> None:
        if trouble.end <= now:
            return
        trouble.end = trouble.repaired = now
        for eye in self.eyes:
            if eye.monitor.metric != "truth" and self._sees(eye.monitor, trouble.failure):
                eye.start = max(eye.start, math.ceil(now / self.window - HAIR))


def tell(scenario: Scenario, seed: int = 0, replication: int = 0) -> PlainStory:
    """The run of `sim.run(scenario, 'never')`, told plainly."""
    return PlainStory(scenario, World(scenario, seed, replication)).play()
