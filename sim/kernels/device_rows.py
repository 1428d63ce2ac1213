"""How a fleet of devices lies in memory: rows of structured arrays, one record a device, a class, a group, a release.

Times are days from the start, energies joules, sizes bytes, powers joules per day. `devices["charge"]` is a column as
any other array; a kernel holds one record and names its fields, so that all that one device needs lies together.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Record = Any
"""One row of a structured array, inside a kernel."""

FULL, SIMPLE, OFF, BRICK = 0, 1, 2, 3
"""What a device runs: the full model, the simple one, nothing for want of power or of a model, nothing ever."""

MAINS, RECHARGEABLE, CELL = 0, 1, 2  # kind.source
IDLE, WHOLE, CUT = 0, 1, 2  # device.download: none, one that will be finished, one that the network will end
SILENT, STARTED, FAILED = 0, 1, 2  # device.boot: what it has to say of its last installation

GAP, PRESENT, STRETCH, HOUR, AT_REST, CORRUPT, INSTALL = range(7)
"""Places of the draws in the stream of one try to check in. What a policy never triggers is just not read."""
OPTED, CHARGE = 3, 4
"""Places besides GAP, PRESENT and STRETCH in the stream of what a device is born with, that of try -1."""
BIRTH = -1
NEVER = 2**30
"""Number of a day that does not come, and of a version that is none."""

UNIT = 2.0**32
"""Parts of a window, and means of accuracy, are added up as whole multiples of 1 / UNIT: the order never shows."""
DAY_UNIT = 2.0**30
"""The same for days that reports cover."""


def _layout(*more: tuple[str, str, tuple[int, ...]], **fields: str) -> np.dtype[np.void]:
    """A record of named fields; fields: names by their type; more: fields that are arrays."""
    single = [(name, kind) for kind, names in fields.items() for name in names.split()]
    return np.dtype([*single, *more], align=True)


DEVICE = _layout(
    f8="contact_at power_at settled off_at phase charge initial back_at full_days simple_days bare_days charged "
    "replaced radio check_in install report contribution began progress payload bytes_sent last_report told_from "
    "told_sum told_days since",
    u8="plugs",
    i4="attempts plug_day changes cells round",
    i2="version other target tries boot_version",
    i1="tier plugged download ready boot valid opted",
)
"""One device. Next event: the earlier of `contact_at` (a try, or the end of a download) and `power_at` (a change of
what powers it). `charge` is that at `settled`; `off_at` the end of the last known stretch of network; `back_at` the
moment of a new cell. full_days, simple_days, bare_days: time with each model, and with power but without one.
other: version in the slot that does not run, -1 for none. target, tries, progress, payload, ready: the update on its
way. valid: it has a full model. told_*: what the next report covers. since, changes: last change of (version, tier)."""

KIND = _layout(
    ("hours", "f8", (24,)),
    f8="contact online availability churn bytes_per_day capacity low full_draw simple_draw bare_draw charging plug_at "
    "plug_for plugged renewal radio check_in install size patch full_loss simple_loss",
    i1="source regular thinned simple renewal_random charge_spread",
)
"""One class of devices. churn: 1 / online + 1 / offline, 0 for a network that is always there; low: joules; renewal:
mean days to a new cell; radio: joules per byte; patch: bytes of a differential payload; simple: it has such a model;
hours: chance of each hour of the day that a try gets through."""

RULES = _layout(
    u8="luck plugs cells round_key",
    f8="window per_day corrupt failure brick defect_failure defect_brick replacement charge at_rest start end every "
    "report_charge report_size report_energy opted_in round_share round_size round_energy",
    i8="last_day round general",
    i4="patch_from attempts slots",
    i1="resume reports",
)
"""What holds for the whole fleet (one row). luck, plugs, cells: keys of random streams; round: number of the federated
round that is open, 0 for none; general: newest version released to all."""

RELEASE = _layout(
    f8="share", u8="key", i8="started failed installed refused bricked", i1="defective withdrawn recalled"
)
"""One version. share: of the devices that may take it; started, failed: boot reports that the centre has received;
installed, refused, bricked: what really became of its installations."""

TRAFFIC = _layout(
    i8="bytes_sent bytes_up check_ins contacts downloads installs failures rollbacks recalls bricks cell_replacements "
    "contributions corrupt reports brick_replacements"
)
"""What is counted in one window."""

TOLD = _layout(i8="reports accuracy days")
"""What devices of one group and version told in one window: sums of mean accuracies in UNIT, of days in DAY_UNIT."""

GROUP = _layout(i8="first stop kind slice", f8="initial")
"""Devices of one class in one slice, rows `first` to `stop`; initial: share of the charge at the start, NaN to draw."""
