"""A plain, slow fleet of devices, to check the kernel against: SimPy, one process a device.

Each device waits for the next thing that happens to it, whatever it is, and does what a reader of the schema would
expect it to do; time in a state, charge and accuracy are added up step by step. Only the keyed draws are shared with
the kernel. Of one moment: power first, then the end of a download, then a try to check in.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from scenarios.edge import DeviceClass, Edge
from scenarios.edge_checks import SECONDS_PER_DAY, region_shares
from scenarios.edge_power import Cell, Mains, Rechargeable
from sim.kernels.sampling import next_uniform, stream
from sim.world import World

FULL, SIMPLE, OFF, BRICK = range(4)
GAP, PRESENT, STRETCH, HOUR, AT_REST, CORRUPT, INSTALL = range(7)
OPTED, CHARGE = 3, 4
POWER = ("unplug", "plug", "low", "empty", "cell", "replacement")
KINDS = ("idle", "inference", "radio", "check_in", "install", "report", "contribution")


class Luck:
    """Draws of one (key, device, number), by their place."""

    def __init__(self, key: np.uint64, device: int, number: int) -> None:
        self.state = key, device, number

    def uniform(self, place: int = 0) -> float:
        state = stream(np.uint64(self.state[0]), self.state[1], self.state[2])
        for _ in range(place + 1):
            value, state = next_uniform(np.uint64(state))
        return float(value)

    def exponential(self, mean: float, place: int = 0) -> float:
        return -mean * math.log(self.uniform(place))


class Release:
    def __init__(self, key: np.uint64, defective: bool, share: float = 0.0) -> None:
        self.key, self.defective, self.share = key, defective, share
        self.withdrawn = self.recalled = False
        self.started = self.failed = 0
        self.accuracy: NDArray[np.float64] | None = None


class PlainDevices:
    """The same calls as `sim.devices.Devices`."""

    def __init__(self, world: World, edge: Edge) -> None:
        self.world, self.edge = world, edge
        self.env = simpy.Environment()
        self.window, self.windows = world.scenario.window, world.scenario.windows
        self.releases = [Release(np.uint64(0), False, 1.0)]
        self.count: dict[str, Counter[int]] = defaultdict(Counter)
        self.told: list[tuple[int, int, int, float, float]] = []
        """Window, group, version, mean accuracy, days of each report."""
        self.round: tuple[int, float, np.uint64] | None = None
        self.rounds = 0
        self.devices: list[PlainDevice] = []
        group = 0
        for kind in edge.devices:
            for part, share in enumerate(region_shares(world.scenario, kind)):
                count = round(kind.count * share)
                self.devices += [
                    PlainDevice(self, len(self.devices) + n, kind, part, group) for n in range(count)
                ]
                group += count > 0
        for device in self.devices:
            self.env.process(device.life())

    def publish(self, version: int, moment_key: np.uint64, defective: bool = False) -> None:
        assert version == len(self.releases)
        self.releases.append(Release(moment_key, defective))

    def open(self, version: int, share: float) -> None:
        self.releases[version].share = share

    def withdraw(self, version: int, recall: bool) -> None:
        self.releases[version].withdrawn = True
        self.releases[version].recalled |= recall

    def learn(self, version: int, accuracy: NDArray[np.float64]) -> None:
        self.releases[version].accuracy = accuracy

    def start_round(self, share: float, key: np.uint64) -> None:
        self.rounds += 1
        self.round = self.rounds, share, key
        self.before = sum(self.count["contributions"].values())

    def end_round(self) -> int:
        self.round = None
        return sum(self.count["contributions"].values()) - self.before

    def advance(self, until: float) -> None:
        """Up to and with that moment; SimPy stops before what happens at the moment at which it stops."""
        stop = float(np.nextafter(until, np.inf))
        if stop > self.env.now:
            self.env.run(until=stop)
        for device in self.devices:
            device.final = device.total_at(until)

    def window_of(self, time: float) -> int:
        return max(math.ceil(time / self.window) - 1, 0)

    def open_to(self, device: int) -> int:
        """The newest version that a device may take."""
        for version in reversed(range(len(self.releases))):
            release = self.releases[version]
            if not release.withdrawn and Luck(release.key, device, 0).uniform() < release.share:
                return version
        raise AssertionError("version 0 is open to all")

    def newest_for_all(self) -> int:
        everywhere = (
            version
            for version, release in enumerate(self.releases)
            if release.share == 1.0 and not release.withdrawn
        )
        return max(everywhere)

    def mean_counts(self, group: int) -> dict[tuple[int, int, int], float]:
        """Mean number of devices of a group by (window, version, tier)."""
        found: dict[tuple[int, int, int], float] = defaultdict(float)
        end = self.windows * self.window
        for device in self.devices:
            if device.group != group:
                continue
            moments = [*(time for time, _, _ in device.history), end]
            for (start, version, tier), stop in zip(device.history, moments[1:], strict=True):
                for window in range(int(start / self.window), self.windows):
                    left = max(start, window * self.window)
                    right = min(stop, (window + 1) * self.window)
                    if left >= stop:
                        break
                    found[window, version, tier] += max(right - left, 0.0) / self.window
        return found


class PlainDevice:
    def __init__(self, fleet: PlainDevices, number: int, kind: DeviceClass, part: int, group: int) -> None:
        self.fleet, self.number, self.kind, self.part, self.group = fleet, number, kind, part, group
        self.edge, self.ota, self.power = fleet.edge, fleet.edge.ota, kind.power
        self.luck_key = fleet.world.key("devices")
        birth = self.luck(-1)
        self.time = 0.0
        self.version, self.other, self.has_model, self.bricked = 0, -1, True, False
        self.energy = dict.fromkeys((*KINDS, "charged", "replaced", "initial"), 0.0)
        self.bytes = 0
        self.tries, self.target, self.got, self.payload, self.ready = 0, -1, 0, 0, False
        self.boot: tuple[int, bool] | None = None
        self.attempt, self.cells, self.round = 0, 0, 0
        self.opted = fleet.edge.reports is not None and birth.uniform(OPTED) < fleet.edge.reports.opted_in
        self.reported, self.observed, self.observed_days = 0.0, 0.0, 0.0
        self.capacity = 0.0 if isinstance(self.power, Mains) else self.power.capacity
        self.charge = 0.0
        if not isinstance(self.power, Mains):
            low = self.power.low
            share = self.power.initial
            self.charge = self.capacity * (
                low + (1 - low) * birth.uniform(CHARGE) if share is None else share
            )
        self.energy["initial"] = self.charge
        self.plug_times = list(self.plugged_in())
        self.plugged = any(start < 0.0 < stop for start, stop in self.plug_times)
        self.next: dict[str, float] = {}
        self.phase = kind.link.contact * birth.uniform(GAP)
        self.on_until = math.inf
        if kind.link.online is not None:
            there = birth.uniform(PRESENT) < kind.link.availability
            self.on_until = birth.exponential(kind.link.online, STRETCH) if there else 0.0
        self.history = [(0.0, 0, self.tier())]
        self.began = 0.0
        self.plan_check_in(birth)
        self.plan_power()
        self.final: dict[str, float] = {}

    def luck(self, number: int) -> Luck:
        return Luck(self.luck_key, self.number, number)

    # --- the story ---

    def life(self) -> Iterator[Any]:
        while self.next:
            order = (*POWER, "end_of_download", "check_in")
            what = min(self.next, key=lambda name: (self.next[name], order.index(name)))
            moment = self.next[what]
            if moment == math.inf:
                return
            yield self.fleet.env.timeout(max(moment - self.fleet.env.now, 0.0))
            del self.next[what]
            self.elapse(moment)
            getattr(self, what)()
            self.remember()

    def remember(self) -> None:
        now = (self.version, BRICK if self.bricked else self.tier())
        if now != self.history[-1][1:]:
            if now[0] != self.history[-1][1]:
                self.observed = self.observed_days = 0.0
            self.history.append((self.time, *now))

    # --- power ---

    def plugged_in(self) -> Iterator[tuple[float, float]]:
        """When it is plugged in and unplugged."""
        if isinstance(self.power, Rechargeable):
            key = self.fleet.world.key("devices:plugged in")
            for day in range(-1, math.ceil(self.fleet.windows * self.fleet.window) + 1):
                if Luck(key, self.number, 0).uniform(day + 1) < self.power.plugged:
                    start = day + self.power.plugged_at
                    yield start, start + self.power.plugged_for

    def has_power(self) -> bool:
        return isinstance(self.power, Mains) or self.plugged or self.charge > 0.0

    def tier(self) -> int:
        if not self.has_power():
            return OFF
        short = not isinstance(self.power, Mains) and not self.plugged
        short = short and self.charge <= self.power.low * self.capacity
        if self.has_model and not (short and self.kind.simple is not None):
            return FULL
        return OFF if self.kind.simple is None else SIMPLE

    def watts(self) -> dict[str, float]:
        if self.bricked or not self.has_power():
            return {"idle": 0.0}
        tier, kind, offload = self.tier(), self.kind, self.edge.offload
        if tier == OFF:
            return {"idle": self.power.idle}
        model = kind.full if tier == FULL else kind.simple
        assert model is not None
        sent = 0.0
        if offload is not None and (offload.when == "always" or tier == SIMPLE):
            sent = offload.share * kind.link.usable
        rate = kind.inferences / SECONDS_PER_DAY
        radio = 0.0 if offload is None else rate * sent * offload.size * self.power.radio / 1e6
        return {"idle": self.power.idle, "inference": rate * (1 - sent) * model.energy, "radio": radio}

    def draw(self) -> float:
        return sum(self.watts().values()) * SECONDS_PER_DAY

    def charging(self, days: float) -> tuple[float, float]:
        """Change of the charge in that time, and energy from the charger."""
        if isinstance(self.power, Mains) or self.bricked:
            return 0.0, 0.0
        if not self.plugged:
            return -min(self.draw() * days, self.charge), 0.0
        assert isinstance(self.power, Rechargeable)
        gain = (self.power.charging * SECONDS_PER_DAY - self.draw()) * days
        gain = min(gain, self.capacity - self.charge)
        return gain, gain + self.draw() * days

    def elapse(self, time: float) -> None:
        """Nothing happens from the last moment to this one."""
        days = time - self.time
        for name, watts in self.watts().items():
            self.energy[name] += watts * SECONDS_PER_DAY * days
        gain, charged = self.charging(days)
        self.observe(time)
        self.charge += gain
        self.energy["charged"] += charged
        self.time = time

    def total_at(self, time: float) -> dict[str, float]:
        """Energy by kind and charge at a moment before the next event."""
        days = time - self.time
        found = dict(self.energy)
        for name, watts in self.watts().items():
            found[name] += watts * SECONDS_PER_DAY * days
        gain, charged = self.charging(days)
        found["charged"] += charged
        found["remaining"] = self.charge + gain
        return found

    def plan_power(self) -> None:
        for name in ("unplug", "plug", "low", "empty"):
            self.next.pop(name, None)
        if isinstance(self.power, Mains) or self.bricked:
            return
        if self.plugged:
            now = [stop for start, stop in self.plug_times if start <= self.time + 1e-9]
            self.next["unplug"] = max(now[-1], self.time)
            return
        for start, _ in self.plug_times:
            if start > self.time - 1e-9:
                self.next["plug"] = max(start, self.time)
                break
        if self.charge <= 0.0:
            if isinstance(self.power, Cell) and "cell" not in self.next:
                self.next["cell"] = self.time + self.renewal(self.power)
        elif self.draw() > 0.0:
            low = self.power.low * self.capacity
            if self.tier() == FULL and self.kind.simple is not None:
                self.next["low"] = self.time + (self.charge - low) / self.draw()
            else:
                self.next["empty"] = self.time + self.charge / self.draw()

    def renewal(self, cell: Cell) -> float:
        if cell.replacement.kind == "fixed":
            return cell.replacement.value
        assert cell.replacement.kind == "exponential"
        luck = Luck(self.fleet.world.key("devices:new cells"), self.number, self.cells)
        return luck.exponential(cell.replacement.mean)

    def unplug(self) -> None:
        self.plugged = False
        self.plan_power()
        self.look_for_power()

    def plug(self) -> None:
        self.plugged = True
        self.plan_power()

    def low(self) -> None:
        self.charge = self.power.low * self.capacity
        self.plan_power()
        self.look_for_power()

    def empty(self) -> None:
        self.charge = 0.0
        self.plan_power()
        self.look_for_power()

    def look_for_power(self) -> None:
        if not self.has_power() and "end_of_download" in self.next:
            del self.next["end_of_download"]
            self.finish(whole=False)

    def cell(self) -> None:
        self.charge = self.capacity
        self.energy["replaced"] += self.capacity
        self.cells += 1
        self.add("cell_replacements")
        self.plan_power()

    def take(self, what: str, joules: float) -> None:
        if not isinstance(self.power, Mains):
            joules = min(joules, self.charge)
            self.charge -= joules
            self.plan_power()
        self.energy[what] += joules

    # --- contacts ---

    def add(self, what: str, number: int = 1) -> None:
        self.fleet.count[what][self.fleet.window_of(self.time)] += number

    def plan_check_in(self, luck: Luck) -> None:
        link = self.kind.link
        if link.pattern == "exponential":
            self.next["check_in"] = self.time + luck.exponential(link.contact, GAP)
            return
        number = 0
        while self.phase + number * link.contact <= self.time:
            number += 1
        self.next["check_in"] = self.phase + number * link.contact

    def check_in(self) -> None:
        luck = self.luck(self.attempt)
        self.attempt += 1
        self.plan_check_in(luck)
        if not self.has_power():
            return
        self.add("check_ins")
        self.take("check_in", self.power.check_in)
        if self.network(luck) and self.has_power() and self.hour_allows(luck):
            self.add("contacts")
            self.contact(luck)

    def network(self, luck: Luck) -> bool:
        link = self.kind.link
        if self.time < self.on_until:
            return True
        assert link.online is not None
        assert link.offline is not None
        speed = 1 / link.online + 1 / link.offline
        back = link.availability * -math.expm1(-(self.time - self.on_until) * speed)
        there = luck.uniform(PRESENT) < back
        self.on_until = self.time + (luck.exponential(link.online, STRETCH) if there else 0.0)
        return there

    def hour_allows(self, luck: Luck) -> bool:
        hours = self.kind.link.hours
        return not hours or luck.uniform(HOUR) < hours[math.floor(self.time % 1.0 * 24)]

    def contact(self, luck: Luck) -> None:
        self.report()
        if self.boot is not None:
            release = self.fleet.releases[self.boot[0]]
            if self.boot[1]:
                release.started += 1
            else:
                release.failed += 1
            self.boot = None
        if not self.has_power():
            return
        self.heed_recall()
        self.contribute(luck)
        if self.has_power():
            self.update(luck)

    def may(self, luck: Luck) -> bool:
        rule = self.ota.permission
        hour = self.time % 1.0
        over_midnight = rule.start >= rule.end
        in_order = [rule.start <= hour, hour < rule.end]
        right_hour = any(in_order) if over_midnight else all(in_order)
        charged = isinstance(self.power, Mains) or self.plugged
        charged = charged or self.charge >= rule.charge * self.capacity
        return right_hour and charged and luck.uniform(AT_REST) < rule.idle

    def observe(self, time: float) -> None:
        """Add up accuracy, window by window, while a model runs."""
        version, tier = self.history[-1][1:]
        table = self.fleet.releases[version].accuracy
        if tier not in (FULL, SIMPLE) or self.edge.reports is None:
            return
        model = self.kind.full if tier == FULL else self.kind.simple
        assert model is not None
        start, width = self.time, self.fleet.window
        while start < time:
            row = min(math.floor(start / width + 1e-12), self.fleet.windows - 1)
            stop = min(time, max((row + 1) * width, start + 1e-12))
            true = 0.0 if table is None else table[self.part, row]
            self.observed += (true - model.loss) * (stop - start)
            start = stop
        self.observed_days += time - self.time

    def report(self) -> None:
        rule = self.edge.reports
        if rule is None or not self.opted or self.time - self.reported < rule.every - 1e-9:
            return
        if not isinstance(self.power, Mains) and self.charge < rule.charge * self.capacity:
            return
        if self.observed_days <= 0.0:
            return
        row = self.fleet.window_of(self.time)
        mean = self.observed / self.observed_days
        self.fleet.told.append((row, self.group, self.version, mean, self.observed_days))
        self.add("reports")
        self.reported, self.observed, self.observed_days = self.time, 0.0, 0.0
        self.take("report", rule.energy)
        self.send(round(rule.size))

    def send(self, size: int) -> None:
        self.add("bytes_up", size)
        self.take("radio", size / 1e6 * self.power.radio)

    def contribute(self, luck: Luck) -> None:
        if self.fleet.round is None or self.fleet.round[0] == self.round:
            return
        number, share, key = self.fleet.round
        if Luck(key, self.number, 0).uniform() < share and self.may(luck):
            self.round = number
            self.add("contributions")
            assert self.edge.federated is not None
            self.take("contribution", self.edge.federated.energy)
            self.send(round(self.edge.federated.size))

    # --- updates ---

    def heed_recall(self) -> None:
        releases = self.fleet.releases
        if not (self.has_model and releases[self.version].recalled and self.other >= 0):
            return
        if not releases[self.other].recalled:
            self.add("recalls")
            self.version, self.other = self.other, -1

    def update(self, luck: Luck) -> None:
        wanted = self.fleet.open_to(self.number)
        if self.has_model:
            if wanted == self.version:
                return
            if wanted < self.version and not self.fleet.releases[self.version].recalled:
                return
        if wanted != self.target:
            self.target, self.tries, self.got, self.ready = wanted, 0, 0, False
        if self.tries == self.ota.attempts:
            return
        if self.ready:
            if self.may(luck):
                self.install(luck)
            return
        if self.got == 0:
            behind = wanted - self.version
            saved = 0.0
            if self.has_model and 1 <= behind <= self.ota.differential_from:
                saved = self.ota.differential
            self.payload = round(self.kind.full.size * (1 - saved))
            self.other = -1
        del self.next["check_in"]
        self.began = self.time
        needed = (self.payload - self.got) / (self.kind.link.bandwidth * SECONDS_PER_DAY)
        self.cut = self.time + needed > self.on_until
        self.next["end_of_download"] = min(self.time + needed, self.on_until)

    def end_of_download(self) -> None:
        self.finish(whole=not self.cut)

    def finish(self, whole: bool) -> None:
        luck = self.luck(self.attempt - 1)
        self.plan_check_in(luck)
        left = self.payload - self.got
        speed = self.kind.link.bandwidth * SECONDS_PER_DAY
        size = left if whole else min(left, math.floor((self.time - self.began) * speed))
        self.bytes += size
        self.add("bytes_sent", size)
        self.take("radio", size / 1e6 * self.power.radio)
        if not whole:
            self.got = self.got + size if self.ota.resume else 0
            return
        self.got = self.payload
        self.add("downloads")
        if self.fleet.releases[self.target].withdrawn:
            self.target = -1
        elif luck.uniform(CORRUPT) < self.ota.corrupt:
            self.add("corrupt")
            self.got = 0
        else:
            self.ready = True
            if self.has_power() and self.may(luck):
                self.install(luck)

    def install(self, luck: Luck) -> None:
        release = self.fleet.releases[self.target]
        self.ready, self.got = False, 0
        self.tries += 1
        self.add("installs")
        self.take("install", self.power.install)
        defect = self.ota.defect if release.defective else None
        brick = self.ota.brick + (0.0 if defect is None else defect.brick)
        failure = self.ota.failure + (0.0 if defect is None else defect.failure)
        chance = luck.uniform(INSTALL)
        if chance < brick:
            self.add("bricks")
            self.bricked, self.boot = True, None
            self.next = {"replacement": self.time + (self.ota.replacement or math.inf)}
            return
        if chance < brick + failure:
            self.add("failures")
            self.boot = (self.target, False)
            if self.ota.slots == 1:
                self.has_model = False
            else:
                self.add("rollbacks")
        else:
            self.boot = (self.target, True)
            self.other = self.version if self.ota.slots == 2 else -1
            self.version, self.has_model = self.target, True
        self.plan_power()

    def replacement(self) -> None:
        self.add("brick_replacements")
        self.bricked, self.plugged, self.has_model = False, False, True
        self.energy["replaced"] += self.capacity - self.charge
        self.charge = self.capacity
        self.version, self.other, self.target, self.ready = self.fleet.newest_for_all(), -1, -1, False
        self.attempt += 1
        self.plan_check_in(self.luck(self.attempt - 1))
        self.plan_power()
