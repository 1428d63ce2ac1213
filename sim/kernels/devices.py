"""A fleet of devices, advanced device by device, each from event to event up to a given moment.

A device has two events ahead: its next try to check in (or the end of the download that is running), and the next
change of its power (plugged in, unplugged, charge at `low`, empty, a new cell, a new device in place of a brick). What
happens at an event depends on the row of the device, on what is released at that moment and on the luck of this try;
nothing is settled where `advance` stops, so how a year is cut into calls never shows, to the byte.

Luck is read from fixed places of one stream a try (`device_rows`): what a device meets does not depend on what it was
asked to do before. What is counted is whole numbers, whose sums do not depend on an order.

Most tries find nothing to do, so those are settled in the loop of `_live`; the rest is in functions below it. These
take records, which are passed as one address each: passing or unpacking arrays costs more than most of what is done.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.kernels import device_rows as rows
from sim.kernels.device_rows import BRICK, CELL, FULL, MAINS, OFF, RECHARGEABLE, SIMPLE, Record
from sim.kernels.sampling import next_uniform, stream

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Rows = NDArray[np.void]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # the step of a stream, see `sampling`
_SLACK = 1e-9


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
def _window_of(time: float, window: float, per_day: float) -> int:
    """Number of the window (start, end] that holds a moment; 0 for the start of all. per_day: 1 / window"""
    number = int(time * per_day)
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
def _plug_day(device: Record, kind: Record, rules: Record, day: int) -> int:
    """The first day from `day` on, -1 or more, that the device is plugged in."""
    if _uniform(device.plugs, day + 1) < kind.plugged:  # before the loop, which compilers make wide
        return day
    while day < rules.last_day:
        day += 1
        if _uniform(device.plugs, day + 1) < kind.plugged:
            return day
    return rows.NEVER


# --- power ---


@njit(cache=True)
def _powerless(device: Record, kind: Record) -> bool:
    return bool(kind.source != MAINS and device.plugged == 0 and device.charge <= 0.0)


@njit(cache=True)
def _draw(device: Record, kind: Record) -> float:
    """Joules per day that the device takes, besides what it takes at once."""
    if device.tier == FULL:
        return float(kind.full_draw)
    if device.tier == SIMPLE:
        return float(kind.simple_draw)
    return 0.0 if device.tier == BRICK or _powerless(device, kind) else float(kind.bare_draw)


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
        return float(max(device.plug_day + kind.plug_at + kind.plug_for, device.settled))
    change = np.inf
    if kind.source == RECHARGEABLE and device.plug_day != rows.NEVER:
        change = max(device.plug_day + kind.plug_at, device.settled)
    if device.charge <= 0.0:
        return change if kind.source == RECHARGEABLE else float(device.back_at)
    draw = _draw(device, kind)
    spare = device.charge - (kind.low if device.tier == FULL and kind.simple else 0.0)
    if draw > 0.0 and (change - device.settled) * draw >= spare:
        change = min(change, device.settled + spare / draw)
    return change


@njit(cache=True)
def _adapt(i: int, device: Record, kind: Record, rules: Record, time: float) -> None:
    """Run what the charge (settled at `time`) allows, and look for the next change of power."""
    device.tier = _tier(device, kind)
    if kind.source == CELL and device.charge <= 0.0 and device.back_at == np.inf:
        device.back_at = time + kind.renewal
        if kind.renewal_random:
            device.back_at = time + _exponential(kind.renewal, stream(rules.cells, i, device.cells), 0)
    device.power_at = _next_power(device, kind)


@njit(cache=True)
def _change_power(i: int, device: Record, kind: Record, rules: Record, time: float) -> None:
    """What was awaited for this moment: see `_next_power`."""
    if device.tier == BRICK:
        _replace(i, device, kind, rules, time)
        return
    _settle(device, kind, time)
    if device.plugged:
        device.plugged = 0
        device.plug_day = _plug_day(device, kind, rules, device.plug_day + 1)
    elif kind.source == RECHARGEABLE and time >= device.plug_day + kind.plug_at:
        device.plugged = 1
    elif time >= device.back_at:
        device.replaced += kind.capacity
        device.charge = kind.capacity
        device.back_at = np.inf
        device.cells += 1
    else:
        device.charge = kind.low if device.tier == FULL and kind.simple else 0.0
    _adapt(i, device, kind, rules, time)


@njit(cache=True)
def _replace(i: int, device: Record, kind: Record, rules: Record, time: float) -> None:
    """A new device in place of a brick: full, with the newest version that is released to all."""
    if kind.source != MAINS:
        device.replaced += kind.capacity - device.charge
        device.charge = kind.capacity
    device.settled = time
    device.plugged = 0
    device.back_at = np.inf
    if kind.source == RECHARGEABLE:
        device.plug_day = _plug_day(device, kind, rules, math.ceil(time - kind.plug_at))
    device.valid = 1
    device.other = -1
    device.target = -1
    device.ready = 0
    device.version = rules.general
    device.tier = FULL
    device.power_at = _next_power(device, kind)
    number = device.attempts
    device.attempts = number + 1
    _schedule(device, kind, time, stream(rules.luck, i, number))


# --- updates ---


@njit(cache=True)
def _wanted(i: int, releases: Rows, candidates: Integers) -> int:
    """The newest version that is open to device i."""
    for version in candidates:
        release = releases[version]
        if release.share >= 1.0 or _uniform(stream(release.key, i, 0), 0) < release.share:
            return int(version)
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
    return bool(device.charge >= rules.charge * kind.capacity)


@njit(cache=True)
def _update(
    i: int,
    device: Record,
    kind: Record,
    rules: Record,
    count: Record,
    releases: Rows,
    wanted: int,
    time: float,
    state: np.uint64,
) -> None:
    """Begin or continue the update to what the device should run now."""
    if device.valid:
        recalled = releases[device.version].recalled
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
            _install(i, device, kind, rules, count, releases[device.target], time, state)
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
    i: int, device: Record, kind: Record, rules: Record, count: Record, releases: Rows, time: float
) -> None:
    """The end of a contact with a download: it is there, or the network or the power went."""
    state = stream(rules.luck, i, device.attempts - 1)
    _schedule(device, kind, time, state)
    whole = device.download == rows.WHOLE
    device.download = rows.IDLE
    size = device.payload - device.progress
    if not whole:
        size = min(size, math.floor((time - device.began) * kind.bytes_per_day))
    device.progress = device.progress + size if whole or rules.resume else 0.0
    device.bytes_sent += size
    count.bytes_sent += np.int64(size)
    device.radio += _take(device, kind, time, size * kind.radio)
    _adapt(i, device, kind, rules, time)
    if not whole:
        return
    count.downloads += 1
    release = releases[device.target]
    if release.withdrawn:
        device.target = -1
    elif _uniform(state, rows.CORRUPT) < rules.corrupt:
        count.corrupt += 1
        device.progress = 0.0
    else:
        device.ready = 1
        if not _powerless(device, kind) and _permitted(device, kind, rules, time, state):
            _install(i, device, kind, rules, count, release, time, state)


@njit(cache=True)
def _install(
    i: int,
    device: Record,
    kind: Record,
    rules: Record,
    count: Record,
    release: Record,
    time: float,
    state: np.uint64,
) -> None:
    """Start the new version: it runs, or the device goes back to the old one, or nothing runs any more."""
    device.ready = 0
    device.progress = 0.0
    device.tries += 1
    device.boot_version = device.target
    count.installs += 1
    device.install += _take(device, kind, time, kind.install)
    _settle(device, kind, time)
    luck = _uniform(state, rows.INSTALL)
    brick = rules.brick + (rules.defect_brick if release.defective else 0.0)
    failure = rules.failure + (rules.defect_failure if release.defective else 0.0)
    if luck < brick:
        count.bricks += 1
        release.bricked += 1
        device.boot = rows.SILENT
        device.tier = BRICK
        device.contact_at = np.inf
        device.power_at = time + rules.replacement
        return
    if luck < brick + failure:
        count.failures += 1
        release.refused += 1
        device.boot = rows.FAILED
        if rules.slots == 2:
            count.rollbacks += 1
        else:
            device.valid = 0
    else:
        release.installed += 1
        device.boot = rows.STARTED
        device.other = device.version if rules.slots == 2 else -1
        device.valid = 1
        device.version = device.target
    _adapt(i, device, kind, rules, time)


# --- contacts ---


@njit(cache=True)
def _send(
    i: int, device: Record, kind: Record, rules: Record, count: Record, time: float, size: float
) -> None:
    """Bytes to the centre, and the radio's energy for them."""
    count.bytes_up += np.int64(size)
    device.radio += _take(device, kind, time, size * kind.radio)
    _adapt(i, device, kind, rules, time)


@njit(cache=True)
def _contribute(
    i: int, device: Record, kind: Record, rules: Record, count: Record, time: float, state: np.uint64
) -> None:
    """Learn for a federated round that is open, if the device is asked and may."""
    if _uniform(stream(rules.round_key, i, 0), 0) >= rules.round_share:
        return
    if not _permitted(device, kind, rules, time, state):
        return
    device.round = rules.round
    count.contributions += 1
    device.contribution += _take(device, kind, time, rules.round_energy)
    _send(i, device, kind, rules, count, time, rules.round_size)


@njit(cache=True)
def _go_back(device: Record, kind: Record, count: Record, releases: Rows, time: float) -> None:
    """Heed a recall: run what the other slot holds, unless that is recalled as well."""
    if releases[device.other].recalled:
        return
    count.recalls += 1
    _settle(device, kind, time)
    device.version = device.other
    device.other = -1


@njit(cache=True)
def _contact(
    i: int,
    device: Record,
    kind: Record,
    rules: Record,
    count: Record,
    releases: Rows,
    candidates: Integers,
    time: float,
    state: np.uint64,
) -> None:
    """All that may happen at a contact after the report, in this order, while the power lasts."""
    if device.boot == rows.STARTED:
        releases[device.boot_version].started += 1
    elif device.boot == rows.FAILED:
        releases[device.boot_version].failed += 1
    device.boot = rows.SILENT
    if _powerless(device, kind):
        return
    if device.valid and device.other >= 0 and releases[device.version].recalled:
        _go_back(device, kind, count, releases, time)
    if 0 < rules.round != device.round:
        _contribute(i, device, kind, rules, count, time, state)
    if not _powerless(device, kind):
        wanted = _wanted(i, releases, candidates)
        _update(i, device, kind, rules, count, releases, wanted, time, state)


@njit(cache=True)
def _reaches(device: Record, kind: Record, time: float, state: np.uint64) -> bool:
    """Whether a try finds the network; its state is what the last try left, and memoryless since."""
    if kind.churn == 0.0 or time < device.off_at:
        return True
    ago = (time - device.off_at) * kind.churn
    luck = _uniform(state, rows.PRESENT) / kind.availability
    device.off_at = time
    # Found with probability 1 - exp(-ago); exp(ago) > 1 + ago + ago**2 / 2 mostly tells without an exponential.
    if luck >= 1.0:
        return False
    if (1.0 - luck) * (1.0 + ago * (1.0 + 0.5 * ago)) < 1.0 and 1.0 - luck <= math.exp(-ago):
        return False
    device.off_at = time + _exponential(kind.online, state, rows.STRETCH)
    return True


@njit(cache=True)
def _gets_through(
    i: int, device: Record, kind: Record, rules: Record, count: Record, time: float, state: np.uint64
) -> bool:
    """Try to check in; returns whether it is a contact."""
    if _powerless(device, kind):
        return False
    count.check_ins += 1
    if kind.check_in > 0.0:
        device.check_in += _take(device, kind, time, kind.check_in)
        if kind.source != MAINS:
            _adapt(i, device, kind, rules, time)
    if not _reaches(device, kind, time, state) or _powerless(device, kind):
        return False
    if kind.thinned:
        hour = int((time - math.floor(time)) * 24.0)
        if _uniform(state, rows.HOUR) >= kind.hours[hour]:
            return False
    count.contacts += 1
    return True


# --- what is told and counted ---


@njit(cache=True)
def _sum_up_to(learned: Floats, version: int, part: int, time: float, rules: Record) -> float:
    """Days times accuracy of a version in a slice from the start to `time`."""
    row = _window_of(time, rules.window, rules.per_day)
    before = learned[version, part, row]
    return float(before + (learned[version, part, row + 1] - before) * (time * rules.per_day - row))


@njit(cache=True)
def _observe(
    device: Record,
    kind: Record,
    learned: Floats,
    version: int,
    tier: int,
    part: int,
    time: float,
    rules: Record,
) -> None:
    """Bring what the next report covers up to `time`; version and tier are what ran until then."""
    if tier in (FULL, SIMPLE):
        days = time - device.told_from
        accuracy = _sum_up_to(learned, version, part, time, rules)
        accuracy -= _sum_up_to(learned, version, part, device.told_from, rules)
        device.told_sum += accuracy - days * (kind.full_loss if tier == FULL else kind.simple_loss)
        device.told_days += days
    device.told_from = time


@njit(cache=True)
def _may_report(device: Record, kind: Record, rules: Record, time: float) -> bool:
    if time - device.last_report < rules.every - _SLACK:
        return False
    if kind.source == MAINS:
        return True
    _settle(device, kind, time)
    return bool(device.charge >= rules.report_charge * kind.capacity)


@njit(cache=True)
def _report(
    i: int, device: Record, kind: Record, rules: Record, count: Record, told: Record, time: float
) -> None:
    """Tell of the time since the last report or installation, where a model ran."""
    if device.told_days <= 0.0:
        return
    told.reports += 1
    told.accuracy += np.int64(device.told_sum / device.told_days * rows.UNIT)
    told.days += np.int64(device.told_days * rows.DAY_UNIT)
    count.reports += 1
    device.told_sum = 0.0
    device.told_days = 0.0
    device.last_report = time
    device.report += _take(device, kind, time, rules.report_energy)
    _send(i, device, kind, rules, count, time, rules.report_size)


@njit(cache=True)
def _live(
    i: int,
    device: Record,
    kind: Record,
    rules: Record,
    number: int,
    part: int,
    releases: Rows,
    candidates: Integers,
    learned: Floats,
    traffic: Rows,
    told: Rows,
    parts: Integers,
    ends: Integers,
    until: float,
) -> None:
    """One device up to `until`, included. Events of one moment: power first."""
    newest, window, per_day = candidates[0], rules.window, rules.per_day
    reports, asked = rules.reports and device.opted, rules.round > 0
    while True:
        time = min(device.power_at, device.contact_at)
        if time > until:
            return
        version, tier, cells = device.version, device.tier, device.cells
        if device.power_at <= device.contact_at:
            _change_power(i, device, kind, rules, time)
            if device.cells != cells:
                traffic[_window_of(time, window, per_day)].cell_replacements += 1
            elif tier == BRICK:
                traffic[_window_of(time, window, per_day)].brick_replacements += 1
            if device.download != rows.IDLE and _powerless(device, kind):
                device.download = rows.CUT
                count = traffic[_window_of(time, window, per_day)]
                _end_download(i, device, kind, rules, count, releases, time)
        elif device.download != rows.IDLE:
            count = traffic[_window_of(time, window, per_day)]
            _end_download(i, device, kind, rules, count, releases, time)
        else:
            row = _window_of(time, window, per_day)
            count = traffic[row]
            state = stream(rules.luck, i, device.attempts)
            device.attempts += 1
            _schedule(device, kind, time, state)
            if _gets_through(i, device, kind, rules, count, time, state):
                if reports and _may_report(device, kind, rules, time):
                    _observe(device, kind, learned, version, tier, part, time, rules)
                    _report(i, device, kind, rules, count, told[row, number, version], time)
                if asked or version != newest or device.boot != rows.SILENT or not device.valid:
                    _contact(i, device, kind, rules, count, releases, candidates, time, state)
        if device.version != version or device.tier != tier:
            if rules.reports:
                _observe(device, kind, learned, version, tier, part, time, rules)
                if device.version != version:  # a report is about one version
                    device.told_sum = 0.0
                    device.told_days = 0.0
            row = _window_of(time, window, per_day)
            left = np.int64(((row + 1) * window - time) * per_day * rows.UNIT)
            parts[row, number, version, tier] -= left
            ends[row, number, version, tier] -= 1
            parts[row, number, device.version, device.tier] += left
            ends[row, number, device.version, device.tier] += 1
            device.since = time
            device.changes += 1


# --- kernels ---


@njit(cache=True)
def begin(devices: Rows, groups: Rows, kinds: Rows, rule_row: Rows, level: Integers) -> None:
    """Set every row to a device at time 0 that runs version 0, and count it in `level` (groups, 1, 4)."""
    rules = rule_row[0]
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
                device.plugs = stream(rules.plugs, i, 0)
                device.plug_day = _plug_day(device, kind, rules, -1)
                if device.plug_day == -1 and kind.plug_at + kind.plug_for <= 1.0:
                    device.plug_day = _plug_day(device, kind, rules, 0)
                device.plugged = 1 if device.plug_day == -1 else 0
            device.tier = _tier(device, kind)
            level[number, 0, device.tier] += 1
            device.power_at = _next_power(device, kind)
            _schedule(device, kind, 0.0, state)


@njit(cache=True)
def advance(
    devices: Rows,
    groups: Rows,
    kinds: Rows,
    rule_row: Rows,
    releases: Rows,
    candidates: Integers,
    learned: Floats,
    traffic: Rows,
    told: Rows,
    parts: Integers,
    ends: Integers,
    until: float,
) -> None:
    """Advance every device through its events up to `until` (days), included.

    Windows are (start, end]: what happens at an edge belongs to the one that ends.
    devices (n,), groups, kinds, rule_row (1,), releases: of the layouts of `device_rows`; a group is a stretch of rows
    candidates: versions that are open, newest first, down to the first that is open to all
    learned: (versions, slices, windows + 1), sum of accuracy times days up to the beginning of each window
    traffic: (windows,) of TRAFFIC; told: (windows, groups, versions) of TOLD
    parts, ends: (windows, groups, versions, 4), changes of the number of devices in that state in each window, weighted
        by the part of the window that is left (whole multiples of 1 / UNIT), and by 1
    """
    for number in range(groups.shape[0]):
        place = groups[number]
        for i in range(place.first, place.stop):
            device = devices[i]
            if device.contact_at <= until or device.power_at <= until:
                _live(
                    i,
                    device,
                    kinds[place.kind],
                    rule_row[0],
                    number,
                    place.slice,
                    releases,
                    candidates,
                    learned,
                    traffic,
                    told,
                    parts,
                    ends,
                    until,
                )
