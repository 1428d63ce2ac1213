"""A fleet of devices, advanced device by device, each from event to event up to a given moment.

A device has two events ahead: its next try to check in (or the end of the download that is running), and the next
change of its power (plugged in, unplugged, charge at `low`, empty, a new cell, a new device in place of a brick). What
happens at an event depends on the row of the device, on what is released at that moment and on the luck of this try;
nothing is settled where `advance` stops, so how a year is cut into calls never shows, to the byte.

Luck is read from fixed places of one stream a try (`device_rows`): what a device meets does not depend on what it was
asked to do before. What is counted is whole numbers, whose sums do not depend on an order.

Most tries find nothing to do, so those are settled in the loop of `_live`; the rest is in functions below it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.kernels import device_rows as rows
from sim.kernels.device_rows import BRICK, CELL, FULL, MAINS, OFF, RECHARGEABLE, SIMPLE, Record
from sim.kernels.sampling import next_uniform, stream

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # the step of a stream, see `sampling`
_SLACK = 1e-9


class Centre(NamedTuple):
    """What devices find when they reach the centre."""

    rules: NDArray[np.void]
    """(1,) of `RULES`."""
    releases: NDArray[np.void]
    """(versions,) of `RELEASE`."""
    candidates: Integers
    """Versions that are open, newest first, down to the first that is open to all."""
    hours: Floats
    """(classes, 24): chance of each hour of the day that a try succeeds."""
    learned: Floats
    """(versions, slices, windows + 1): sum over windows of accuracy times days, up to the beginning of each."""


class Log(NamedTuple):
    """What is counted; windows are (start, end], so that what happens at an edge belongs to the one that ends."""

    traffic: Integers
    """(windows, TRAFFIC)."""
    parts: Integers
    """(windows, groups, versions, 4): changes of the number of devices times the part of the window left, in UNIT."""
    ends: Integers
    """(windows, groups, versions, 4): changes of the number of devices."""
    told: Integers
    """(windows, groups, versions, 3): reports, sum of their mean accuracies (UNIT), days that they cover (DAY_UNIT)."""
    boots: Integers
    """(versions, 2): boot reports of success and failure."""


# --- luck and clocks ---


@njit(cache=True)
def _uniform(state: np.uint64, place: int) -> float:
    """The draw at one place of a stream."""
    value, _ = next_uniform(state + _GAMMA * np.uint64(place))
    return value


@njit(cache=True)
def _exponential(mean: float, state: np.uint64, place: int) -> float:
    return -mean * math.log(_uniform(state, place))


@njit(cache=True)
def _window_of(time: float, window: float) -> int:
    """Number of the window (start, end] that holds a moment; 0 for the start of all."""
    number = int(time / window)
    if time <= number * window:
        number -= 1
    elif time > (number + 1) * window:
        number += 1
    return max(number, 0)


@njit(cache=True)
def _schedule(device: Record, kind: Record, time: float, state: np.uint64) -> None:
    """Set the next try: after an exponential gap, or at the next moment of the device's own grid."""
    if not kind.regular:
        device.contact_at = time + _exponential(kind.contact, state, rows.GAP)
        return
    number = math.floor((time - device.phase) / kind.contact)
    while device.phase + number * kind.contact <= time:
        number += 1
    device.contact_at = device.phase + number * kind.contact


@njit(cache=True)
def _plug_day(i: int, rules: Record, kind: Record, day: int) -> int:
    """The first day from `day` on that the device is plugged in."""
    while day <= rules.last_day:
        if _uniform(stream(rules.plugs, i, day), 0) < kind.plugged:
            return day
        day += 1
    return rows.NEVER


# --- power ---


@njit(cache=True)
def _powerless(device: Record, kind: Record) -> bool:
    return kind.source != MAINS and device.plugged == 0 and device.charge <= 0.0


@njit(cache=True)
def _draw(device: Record, kind: Record) -> float:
    """Joules per day that the device takes, besides what it takes at once."""
    if device.tier == FULL:
        return kind.full_draw
    if device.tier == SIMPLE:
        return kind.simple_draw
    return 0.0 if device.tier == BRICK or _powerless(device, kind) else kind.bare_draw


@njit(cache=True)
def _settle(device: Record, kind: Record, time: float) -> None:
    """Bring charge and time with each model up to `time`; nothing has changed since `settled`."""
    days = time - device.settled
    device.settled = time
    if device.tier == FULL:
        device.full_days += days
    elif device.tier == SIMPLE:
        device.simple_days += days
    elif device.tier == OFF and not _powerless(device, kind):
        device.bare_days += days
    if kind.source == MAINS or device.tier == BRICK:
        return
    used = _draw(device, kind) * days
    if device.plugged:
        gain = min(kind.capacity - device.charge, kind.charging * days - used)
        device.charge += gain
        device.charged += gain + used
    else:
        device.charge = max(device.charge - used, 0.0)


@njit(cache=True)
def _take(device: Record, kind: Record, time: float, joules: float) -> float:
    """Joules that are there to be taken at once, and are taken."""
    if kind.source == MAINS:
        return joules
    _settle(device, kind, time)
    joules = min(joules, device.charge)
    device.charge -= joules
    return joules


@njit(cache=True)
def _tier(device: Record, kind: Record) -> int:
    """What a device that is no brick runs."""
    if _powerless(device, kind):
        return OFF
    if device.valid and (
        kind.source == MAINS or device.plugged or not kind.simple or device.charge > kind.low
    ):
        return FULL
    return SIMPLE if kind.simple else OFF


@njit(cache=True)
def _next_power(device: Record, kind: Record) -> float:
    """Moment of the next change of power, if nothing is taken at once before it."""
    if kind.source == MAINS:
        return np.inf
    if device.plugged:
        return max(device.plug_day + kind.plug_at + kind.plug_for, device.settled)
    change = np.inf
    if kind.source == RECHARGEABLE and device.plug_day != rows.NEVER:
        change = max(device.plug_day + kind.plug_at, device.settled)
    if device.charge <= 0.0:
        return change if kind.source == RECHARGEABLE else device.back_at
    draw = _draw(device, kind)
    spare = device.charge - (kind.low if device.tier == FULL and kind.simple else 0.0)
    if draw > 0.0 and (change == np.inf or (change - device.settled) * draw >= spare):
        change = min(change, device.settled + spare / draw)
    return change


@njit(cache=True)
def _after_use(
    i: int, device: Record, kind: Record, place: Record, number: int, centre: Centre, log: Log, time: float
) -> None:
    """What follows from the charge, which is settled: the model that runs, and the next change of power."""
    tier = _tier(device, kind)
    if tier != device.tier:
        _change(device, kind, place, number, centre, log, time, device.version, tier)
    if kind.source == CELL and device.charge <= 0.0 and device.back_at == np.inf:
        state = stream(centre.rules[0].cells, i, device.cells)
        device.back_at = time + (
            _exponential(kind.renewal, state, 0) if kind.renewal_random else kind.renewal
        )
    device.power_at = _next_power(device, kind)


@njit(cache=True)
def _change(
    device: Record,
    kind: Record,
    place: Record,
    number: int,
    centre: Centre,
    log: Log,
    time: float,
    version: int,
    tier: int,
) -> None:
    """Run another version or tier from `time` on, and count it."""
    _tell(device, kind, place, centre, time)
    if version != device.version:  # a report is about one version
        device.told_sum = 0.0
        device.told_days = 0.0
    window = centre.rules[0].window
    row = _window_of(time, window)
    left = np.int64(((row + 1) * window - time) / window * rows.UNIT)
    log.parts[row, number, device.version, device.tier] -= left
    log.ends[row, number, device.version, device.tier] -= 1
    log.parts[row, number, version, tier] += left
    log.ends[row, number, version, tier] += 1
    device.version = version
    device.tier = tier
    device.since = time
    device.changes += 1


@njit(cache=True)
def _power_event(
    i: int, device: Record, kind: Record, place: Record, number: int, centre: Centre, log: Log
) -> None:
    rules = centre.rules[0]
    time = device.power_at
    if device.tier == BRICK:
        _replace(i, device, kind, place, number, centre, log, time)
        return
    _settle(device, kind, time)
    if device.plugged:
        device.plugged = 0
        device.plug_day = _plug_day(i, rules, kind, device.plug_day + 1)
    elif kind.source == RECHARGEABLE and time >= device.plug_day + kind.plug_at:
        device.plugged = 1
    elif time >= device.back_at:
        device.replaced += kind.capacity
        device.charge = kind.capacity
        device.back_at = np.inf
        device.cells += 1
        log.traffic[_window_of(time, rules.window), rows.CELL_REPLACEMENTS] += 1
    else:
        device.charge = kind.low if device.tier == FULL and kind.simple else 0.0
    _after_use(i, device, kind, place, number, centre, log, time)
    if device.download != rows.IDLE and _powerless(device, kind):
        device.download = rows.CUT
        _end_download(i, device, kind, place, number, centre, log, time)


@njit(cache=True)
def _replace(
    i: int, device: Record, kind: Record, place: Record, number: int, centre: Centre, log: Log, time: float
) -> None:
    """A new device in place of a brick: full, with the newest version that is released to all."""
    rules = centre.rules[0]
    log.traffic[_window_of(time, rules.window), rows.BRICK_REPLACEMENTS] += 1
    if kind.source != MAINS:
        device.replaced += kind.capacity - device.charge
        device.charge = kind.capacity
    device.settled = time
    device.plugged = 0
    device.back_at = np.inf
    if kind.source == RECHARGEABLE:
        device.plug_day = _plug_day(i, rules, kind, math.ceil(time - kind.plug_at))
    device.valid = 1
    device.other = -1
    device.target = -1
    device.ready = 0
    _change(device, kind, place, number, centre, log, time, rules.general, FULL)
    device.power_at = _next_power(device, kind)
    attempt = device.attempts
    device.attempts = attempt + 1
    _schedule(device, kind, time, stream(rules.luck, i, attempt))


# --- what a device tells ---


@njit(cache=True)
def _sum_up_to(learned: Floats, version: int, part: int, time: float, window: float) -> float:
    """Days times accuracy of a version in a slice from the start to `time`."""
    row = _window_of(time, window)
    before = learned[version, part, row]
    return before + (learned[version, part, row + 1] - before) * (time / window - row)


@njit(cache=True)
def _tell(device: Record, kind: Record, place: Record, centre: Centre, time: float) -> None:
    """Bring what the next report covers up to `time`: only while a model runs."""
    rules = centre.rules[0]
    if rules.reports and (device.tier == FULL or device.tier == SIMPLE):
        days = time - device.told_from
        accuracy = _sum_up_to(centre.learned, device.version, place.slice, time, rules.window)
        accuracy -= _sum_up_to(centre.learned, device.version, place.slice, device.told_from, rules.window)
        device.told_sum += accuracy - days * (kind.full_loss if device.tier == FULL else kind.simple_loss)
        device.told_days += days
    device.told_from = time


@njit(cache=True)
def _send(
    i: int,
    device: Record,
    kind: Record,
    place: Record,
    number: int,
    centre: Centre,
    log: Log,
    time: float,
    size: float,
) -> None:
    """Bytes to the centre, and the radio's energy for them."""
    log.traffic[_window_of(time, centre.rules[0].window), rows.BYTES_UP] += np.int64(size)
    device.radio += _take(device, kind, time, size * kind.radio)
    _after_use(i, device, kind, place, number, centre, log, time)


@njit(cache=True)
def _report(
    i: int, device: Record, kind: Record, place: Record, number: int, centre: Centre, log: Log, time: float
) -> None:
    rules = centre.rules[0]
    if kind.source != MAINS:
        _settle(device, kind, time)
        if device.charge < rules.report_charge * kind.capacity:
            return
    _tell(device, kind, place, centre, time)
    if device.told_days <= 0.0:
        return
    row = _window_of(time, rules.window)
    told = log.told[row, number, device.version]
    told[0] += 1
    told[1] += np.int64(device.told_sum / device.told_days * rows.UNIT)
    told[2] += np.int64(device.told_days * rows.DAY_UNIT)
    log.traffic[row, rows.REPORTS] += 1
    device.told_sum = 0.0
    device.told_days = 0.0
    device.last_report = time
    device.report += _take(device, kind, time, rules.report_energy)
    _send(i, device, kind, place, number, centre, log, time, rules.report_size)


# --- updates ---


@njit(cache=True)
def _wanted(i: int, releases: NDArray[np.void], candidates: Integers, number: int) -> int:
    """The newest version that is open to device i, -1 for none."""
    for c in range(number):
        release = releases[candidates[c]]
        if release.share >= 1.0 or _uniform(stream(release.key, i, 0), 0) < release.share:
            return candidates[c]
    return -1


@njit(cache=True)
def _permitted(device: Record, kind: Record, rules: Record, time: float, state: np.uint64) -> bool:
    """Whether it is charged, idle and in the hours."""
    hour = time - math.floor(time)
    if rules.start < rules.end:
        if not rules.start <= hour < rules.end:
            return False
    elif rules.end <= hour < rules.start:
        return False
    if _uniform(state, rows.AT_REST) >= rules.at_rest:
        return False
    if kind.source == MAINS or device.plugged:
        return True
    _settle(device, kind, time)
    return device.charge >= rules.charge * kind.capacity


@njit(cache=True)
def _update(
    i: int,
    device: Record,
    kind: Record,
    place: Record,
    number: int,
    centre: Centre,
    log: Log,
    time: float,
    state: np.uint64,
) -> None:
    """Begin or continue the update that the device should take now, if any."""
    rules = centre.rules[0]
    wanted = _wanted(i, centre.releases, centre.candidates, rules.candidates)
    if wanted < 0:
        return
    if device.valid:
        recalled = centre.releases[device.version].recalled
        if wanted == device.version or (wanted < device.version and not recalled):
            return
    if wanted != device.target:
        device.target = wanted
        device.tries = 0
        device.progress = 0.0
        device.ready = 0
    if device.tries >= rules.attempts:
        return
    if device.ready:
        if _permitted(device, kind, rules, time, state):
            _install(i, device, kind, place, number, centre, log, time, state)
        return
    if device.progress == 0.0:
        behind = wanted - device.version
        device.payload = kind.patch if device.valid and 0 < behind <= rules.patch_from else kind.size
        device.other = -1  # what comes is written over it
    device.began = time
    end = time + (device.payload - device.progress) / kind.bytes_per_day
    device.download = rows.WHOLE if end <= device.off_at else rows.CUT
    device.contact_at = min(end, device.off_at)


@njit(cache=True)
def _end_download(
    i: int, device: Record, kind: Record, place: Record, number: int, centre: Centre, log: Log, time: float
) -> None:
    """The end of a contact with a download: it is there, or the network or the power went."""
    rules = centre.rules[0]
    row = _window_of(time, rules.window)
    state = stream(rules.luck, i, device.attempts - 1)
    whole = device.download == rows.WHOLE
    device.download = rows.IDLE
    size = device.payload - device.progress
    if not whole:
        size = min(size, math.floor((time - device.began) * kind.bytes_per_day))
    device.progress = device.progress + size if whole or rules.resume else 0.0
    device.bytes_sent += size
    log.traffic[row, rows.BYTES_SENT] += np.int64(size)
    device.radio += _take(device, kind, time, size * kind.radio)
    _after_use(i, device, kind, place, number, centre, log, time)
    if whole:
        log.traffic[row, rows.DOWNLOADS] += 1
        if centre.releases[device.target].withdrawn:
            device.target = -1
        elif _uniform(state, rows.CORRUPT) < rules.corrupt:
            log.traffic[row, rows.CORRUPTED] += 1
            device.progress = 0.0
        else:
            device.ready = 1
            if not _powerless(device, kind) and _permitted(device, kind, rules, time, state):
                _install(i, device, kind, place, number, centre, log, time, state)
    if device.tier != BRICK:
        _schedule(device, kind, time, state)


@njit(cache=True)
def _install(
    i: int,
    device: Record,
    kind: Record,
    place: Record,
    number: int,
    centre: Centre,
    log: Log,
    time: float,
    state: np.uint64,
) -> None:
    """Start the new version: it runs, or the device goes back to the old one, or nothing runs any more."""
    rules = centre.rules[0]
    row = _window_of(time, rules.window)
    brick, failure = rules.brick, rules.failure
    if centre.releases[device.target].defective:
        brick += rules.defect_brick
        failure += rules.defect_failure
    device.ready = 0
    device.progress = 0.0
    device.tries += 1
    log.traffic[row, rows.INSTALLS] += 1
    device.install += _take(device, kind, time, kind.install)
    _settle(device, kind, time)
    luck = _uniform(state, rows.INSTALL)
    version = device.version
    device.boot_version = device.target
    if luck < brick:
        log.traffic[row, rows.BRICKS] += 1
        device.boot = rows.SILENT
        device.contact_at = np.inf
        device.power_at = time + rules.replacement
        _change(device, kind, place, number, centre, log, time, version, BRICK)
        return
    if luck < brick + failure:
        log.traffic[row, rows.FAILURES] += 1
        device.boot = rows.FAILED
        if rules.slots == 2:
            log.traffic[row, rows.ROLLBACKS] += 1
        else:
            device.valid = 0
    else:
        device.boot = rows.STARTED
        device.other = version if rules.slots == 2 else -1
        device.valid = 1
        version = device.target
    tier = _tier(device, kind)
    if version != device.version or tier != device.tier:
        _change(device, kind, place, number, centre, log, time, version, tier)
    _after_use(i, device, kind, place, number, centre, log, time)


# --- contacts ---


@njit(cache=True)
def _contribute(
    i: int,
    device: Record,
    kind: Record,
    place: Record,
    number: int,
    centre: Centre,
    log: Log,
    time: float,
    state: np.uint64,
) -> None:
    """Learn for a federated round that is open, if the device is asked and may."""
    rules = centre.rules[0]
    if _uniform(stream(rules.round_key, i, 0), 0) >= rules.round_share:
        return
    if not _permitted(device, kind, rules, time, state):
        return
    device.round = rules.round
    log.traffic[_window_of(time, rules.window), rows.CONTRIBUTIONS] += 1
    device.contribution += _take(device, kind, time, rules.round_energy)
    _send(i, device, kind, place, number, centre, log, time, rules.round_size)


@njit(cache=True)
def _contact(
    i: int,
    device: Record,
    kind: Record,
    place: Record,
    number: int,
    centre: Centre,
    log: Log,
    time: float,
    state: np.uint64,
) -> None:
    """All that may happen at a contact, in this order, while the power lasts."""
    rules = centre.rules[0]
    if device.boot != rows.SILENT:
        log.boots[device.boot_version, device.boot - 1] += 1
        device.boot = rows.SILENT
    if rules.reports and device.opted and time - device.last_report >= rules.every - _SLACK:
        _report(i, device, kind, place, number, centre, log, time)
    if _powerless(device, kind):
        return
    if device.valid and device.other >= 0 and centre.releases[device.version].recalled:
        _go_back(i, device, kind, place, number, centre, log, time)
    if 0 < rules.round != device.round:
        _contribute(i, device, kind, place, number, centre, log, time, state)
    if not _powerless(device, kind):
        _update(i, device, kind, place, number, centre, log, time, state)


@njit(cache=True)
def _go_back(
    i: int, device: Record, kind: Record, place: Record, number: int, centre: Centre, log: Log, time: float
) -> None:
    """Heed a recall: run what the other slot holds, unless that is recalled as well."""
    other = device.other
    if centre.releases[other].recalled:
        return
    log.traffic[_window_of(time, centre.rules[0].window), rows.RECALLS] += 1
    device.other = -1
    _settle(device, kind, time)
    _change(device, kind, place, number, centre, log, time, other, device.tier)


@njit(cache=True)
def _reaches(
    device: Record, kind: Record, hours: Floats, kind_number: int, time: float, state: np.uint64
) -> bool:
    """Whether a try finds the network; its state is what the last try left, and memoryless since."""
    found = True
    if kind.churn > 0.0 and time >= device.off_at:
        back = kind.availability * (1.0 - math.exp((device.off_at - time) * kind.churn))
        found = _uniform(state, rows.PRESENT) < back
        device.off_at = time
        if found:
            device.off_at += _exponential(kind.online, state, rows.STRETCH)
    if found and kind.thinned:
        hour = int((time - math.floor(time)) * 24.0)
        return _uniform(state, rows.HOUR) < hours[kind_number, hour]
    return found


@njit(cache=True)
def _live(
    i: int, device: Record, kind: Record, place: Record, number: int, centre: Centre, log: Log, until: float
) -> None:
    """One device up to `until`, included. Events of one moment: power first."""
    rules = centre.rules[0]
    newest, busy = centre.candidates[0], rules.reports != 0 or rules.round > 0
    while True:
        time = device.contact_at
        if device.power_at <= time:
            if device.power_at > until:
                return
            _power_event(i, device, kind, place, number, centre, log)
            continue
        if time > until:
            return
        if device.download != rows.IDLE:
            _end_download(i, device, kind, place, number, centre, log, time)
            continue
        attempt = device.attempts
        device.attempts = attempt + 1
        state = stream(rules.luck, i, attempt)
        _schedule(device, kind, time, state)
        if _powerless(device, kind):
            continue
        row = _window_of(time, rules.window)
        log.traffic[row, rows.CHECK_INS] += 1
        if kind.check_in > 0.0:
            device.check_in += _take(device, kind, time, kind.check_in)
            if kind.source != MAINS:
                _after_use(i, device, kind, place, number, centre, log, time)
                if _powerless(device, kind):
                    continue
        if not _reaches(device, kind, centre.hours, place.kind, time, state):
            continue
        log.traffic[row, rows.CONTACTS] += 1
        if busy or device.version != newest or device.boot != rows.SILENT or not device.valid:
            _contact(i, device, kind, place, number, centre, log, time, state)


# --- kernels ---


@njit(cache=True)
def begin(
    devices: NDArray[np.void],
    groups: NDArray[np.void],
    kinds: NDArray[np.void],
    centre: Centre,
    level: Integers,
) -> None:
    """Set every row to a device at time 0 that runs version 0, and count it in `level` (groups, versions, 4)."""
    rules = centre.rules[0]
    for number in range(groups.shape[0]):
        place = groups[number]
        kind = kinds[place.kind]
        for i in range(place.first, place.stop):
            device = devices[i]
            state = stream(rules.luck, i, rows.BIRTH)
            device.other = -1
            device.target = -1
            device.valid = 1
            device.back_at = np.inf
            device.opted = 1 if _uniform(state, rows.OPTED) < rules.opted_in else 0
            device.phase = kind.contact * _uniform(state, rows.GAP)
            device.off_at = np.inf
            if kind.churn > 0.0:
                device.off_at = 0.0
                if _uniform(state, rows.PRESENT) < kind.availability:
                    device.off_at = _exponential(kind.online, state, rows.STRETCH)
            if kind.source != MAINS:
                device.charge = kind.capacity * place.initial
                if kind.charge_spread:
                    device.charge = kind.low + (kind.capacity - kind.low) * _uniform(state, rows.CHARGE)
                device.initial = device.charge
            if kind.source == RECHARGEABLE:
                device.plug_day = _plug_day(i, rules, kind, -1)
                if device.plug_day == -1 and kind.plug_at + kind.plug_for <= 1.0:
                    device.plug_day = _plug_day(i, rules, kind, 0)
                device.plugged = 1 if device.plug_day == -1 else 0
            device.tier = _tier(device, kind)
            level[number, 0, device.tier] += 1
            device.power_at = _next_power(device, kind)
            _schedule(device, kind, 0.0, state)


@njit(cache=True)
def advance(
    devices: NDArray[np.void],
    groups: NDArray[np.void],
    kinds: NDArray[np.void],
    centre: Centre,
    log: Log,
    until: float,
) -> None:
    """Advance every device through its events up to `until` (days), included.

    devices (n,), groups, kinds: of the layouts of `device_rows`, devices of a group in a stretch of rows
    """
    for number in range(groups.shape[0]):
        place = groups[number]
        kind = kinds[place.kind]
        for i in range(place.first, place.stop):
            device = devices[i]
            if device.contact_at <= until or device.power_at <= until:
                _live(i, device, kind, place, number, centre, log, until)
