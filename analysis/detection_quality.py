"""How good a change detector is on streams with known changes, beside one that looks at nothing.

How alarms are counted. A change at index c is the first sample of the new state. An alarm at index i belongs to the
latest change c <= i. It detects the change when it is the first one with i - c <= tolerance. Every other alarm
is false: one before any change, a second one within the same tolerance, and a late one (i - c > tolerance). A
change that no alarm detects is missed, also when its alarm came late or after the next change.

A detector that calls every k samples finds many changes and has an F1 to beat: so one stands beside every detector,
with the k of your choice and with the k that gives as many alarms as the detector raised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from analysis.plot_styles import GREY, INK, legend_below, new_axes

Detector = Callable[[NDArray[np.float64]], ArrayLike]
"""Takes a stream (samples,), gives the indices of its alarms."""


@dataclass(frozen=True)
class Quality:
    """Alarms and changes of one or several streams, counted; the sum of two pools them."""

    length: int
    """Samples."""
    changes: int
    alarms: int
    delays: tuple[int, ...]
    """Samples from each detected change to its alarm."""
    late: int
    """False alarms that came after the tolerance of a change that was missed."""

    @property
    def detected(self) -> int:
        """Changes that were detected in time."""
        return len(self.delays)

    @property
    def missed(self) -> int:
        """Changes that were not."""
        return self.changes - self.detected

    @property
    def false_alarms(self) -> int:
        """Alarms that detect no change, late and repeated ones among them."""
        return self.alarms - self.detected

    @property
    def mean_delay(self) -> float:
        """Samples, of the detected changes; NaN if there is none."""
        return float(np.mean(self.delays)) if self.delays else math.nan

    @property
    def precision(self) -> float:
        """Share of the alarms that detect a change; NaN without alarms."""
        return self.detected / self.alarms if self.alarms else math.nan

    @property
    def recall(self) -> float:
        """Share of the changes that are detected; NaN without changes."""
        return self.detected / self.changes if self.changes else math.nan

    @property
    def f1(self) -> float:
        """Twice the detected changes over alarms and changes together; NaN if there are neither."""
        both = self.alarms + self.changes
        return 2.0 * self.detected / both if both else math.nan

    def __add__(self, other: Quality) -> Quality:
        """Both together."""
        return Quality(
            self.length + other.length,
            self.changes + other.changes,
            self.alarms + other.alarms,
            self.delays + other.delays,
            self.late + other.late,
        )


def quality(alarms: ArrayLike, changes: ArrayLike, length: int, tolerance: float = math.inf) -> Quality:
    """Count the alarms of one stream; the rules are at the head of this module.

    alarms, changes: indices in [0, length), whole, in ascending order without repeats
    length: of the stream, >= 0; tolerance: samples, >= 0, infinite for 'until the next change'
    Raises ValueError outside these ranges.

    >>> found = quality(alarms=[5, 12, 14, 47], changes=[10, 30], length=60, tolerance=10)
    >>> found.delays, found.missed, found.false_alarms, found.late, round(found.f1, 3)
    ((2,), 1, 3, 1, 0.333)
    """
    called, changed = _indices("alarms", alarms, length), _indices("changes", changes, length)
    if not tolerance >= 0:
        raise ValueError(f"tolerance: got {tolerance}, expected a number of samples >= 0")
    owner = np.searchsorted(changed, called, side="right") - 1  # -1: before any change
    delays, late = [], 0
    for change in range(len(changed)):
        own = called[owner == change] - changed[change]
        if len(own) and own[0] <= tolerance:
            delays.append(int(own[0]))
        elif len(own):
            late += 1
    return Quality(length, len(changed), len(called), tuple(delays), late)


def _indices(name: str, values: ArrayLike, length: int) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.size == 0:
        return np.empty(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{name}: got {values!r}, expected a list of whole numbers")
    if array[0] < 0 or array[-1] >= length or (np.diff(array.astype(np.int64)) <= 0).any():
        raise ValueError(
            f"{name}: expected ascending indices without repeats in [0, {length}), got {values!r}"
        )
    return array.astype(np.int64)


def every(k: int) -> Detector:
    """The detector that looks at nothing and calls every k samples, k >= 1.

    >>> every(4)(np.zeros(10)).tolist()
    [3, 7]
    """
    if not (k >= 1 and k == int(k)):
        raise ValueError(f"k: got {k}, expected a whole number >= 1")
    return lambda stream: np.arange(int(k) - 1, len(stream), int(k))


def compare_detectors(
    detectors: Mapping[str, Detector],
    streams: Iterable[tuple[ArrayLike, ArrayLike]],
    *,
    tolerance: float = math.inf,
    dumb_every: int | None = None,
) -> pd.DataFrame:
    """Quality of each detector over all streams, highest F1 first, with that of the dumb one beside it.

    detectors: by name; each is called once a stream, and must begin afresh each time
    streams: (samples, indices of the changes) each
    dumb_every: k of an own row 'every k' (absent: no such row)
    Returns a row a detector: changes, detected, missed, alarms, false_alarms, late, mean_delay (samples),
    precision, recall, f1; and every_k, f1_of_every_k, lead: the dumb detector with as many alarms (k is
    the samples over the alarms, rounded), its F1, and the F1 of this one above it. Without alarms those are NaN.
    """
    cases = [(np.asarray(values, dtype=np.float64), changes) for values, changes in streams]
    if not cases or not detectors:
        raise ValueError("expected at least one detector and one stream")
    contenders = dict(detectors)
    if dumb_every is not None:
        contenders[f"every {dumb_every}"] = every(dumb_every)
    rows = {name: _row(detector, cases, tolerance) for name, detector in contenders.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("detector")
    return table.sort_values("f1", ascending=False, kind="stable")


def _pooled(
    detector: Detector, cases: Sequence[tuple[NDArray[np.float64], ArrayLike]], tolerance: float
) -> Quality:
    return reduce(add, (quality(detector(x), changes, len(x), tolerance) for x, changes in cases))


def _row(
    detector: Detector, cases: Sequence[tuple[NDArray[np.float64], ArrayLike]], tolerance: float
) -> dict[str, float]:
    found = _pooled(detector, cases, tolerance)
    k = max(round(found.length / found.alarms), 1) if found.alarms else math.nan
    dumb = _pooled(every(int(k)), cases, tolerance).f1 if found.alarms else math.nan
    return {
        "changes": found.changes,
        "detected": found.detected,
        "missed": found.missed,
        "alarms": found.alarms,
        "false_alarms": found.false_alarms,
        "late": found.late,
        "mean_delay": found.mean_delay,
        "precision": found.precision,
        "recall": found.recall,
        "f1": found.f1,
        "every_k": k,
        "f1_of_every_k": dumb,
        "lead": found.f1 - dumb,
    }


def plot_quality(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """F1 of each detector of `compare_detectors`, best at the top, and that of the dumb one with as many alarms."""
    ax = ax or new_axes(7.0, 0.45 * len(table) + 1.6)
    place = np.arange(len(table))[::-1]
    ax.hlines(place, table["f1_of_every_k"], table["f1"], color=GREY, lw=1.2, zorder=1)
    ours = ax.scatter(table["f1"], place, color="#0072B2", marker="o", zorder=3, label="detector")
    dumb = ax.scatter(
        table["f1_of_every_k"], place, edgecolor=INK, facecolor="white", marker="s", zorder=2,
        label="calls every k samples, as many alarms",
    )  # fmt: skip
    ax.set_yticks(place, [str(name) for name in table.index])
    ax.set_xlim(-0.03, 1.03)
    ax.set_xlabel("F1 of changes detected in time (0 to 1)")
    ax.set_title("Detectors beside one that looks at nothing", fontsize=11)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    legend_below(ax, [ours, dumb])
    return ax
