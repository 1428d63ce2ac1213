"""The requests of a pool that are alive: offered, and not yet handed out with their fate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sim.kernels.request_table import REQUEST, Columns, Records, enter, first_kept, hand_out

_ROWS = 1024


class RequestWindow:
    """Records of the requests alive, in rows that are used again; grows when more are alive than it has rows."""

    def __init__(self, needs: tuple[str, ...], marks: tuple[str, ...] = ()) -> None:
        """Make room for requests with these needs, and these moments to record besides start and finish."""
        self._needs, self._marks = needs, marks
        fields: list[tuple[str, Any]] = [*REQUEST, *((name, np.float64) for name in needs + marks)]
        self._type = np.dtype(fields, align=True)
        self.table: Records = np.zeros(_ROWS, dtype=self._type)
        self.offered = 0
        """Requests offered, from the start of the run."""
        self.arrived = 0
        """Requests that have come, from the start of the run; the pool moves it."""
        self._oldest = 0
        self._latest = -np.inf

    def offer(self, times: ArrayLike, work: ArrayLike, now: float) -> None:
        """Append requests: times (n,) sorted, none before `now` or the last offered; work (n,) or (n, needs), >= 0.

        Raises ValueError when they are not like that.
        """
        times, work = np.asarray(times, dtype=np.float64), np.asarray(work, dtype=np.float64)
        count, needs = len(times), len(self._needs)
        if times.ndim != 1 or len(work) != count or work.size != count * needs:
            raise ValueError(f"{times.shape} times need work of shape ({count}, {needs}), got {work.shape}")
        if count == 0:
            return
        if not (work.min() >= 0.0 and work.max() < np.inf):
            raise ValueError("work must be finite and >= 0")
        self._make_room(count)
        if not enter(self.table, self.offered, times, max(self._latest, now)):
            raise ValueError(
                f"times must be finite and sorted, none before those offered earlier or the moment {now} advanced to"
            )
        work = work.reshape(count, needs)
        begin = self.offered & (len(self.table) - 1)
        split = min(count, len(self.table) - begin)
        for place, name in enumerate(self._needs):
            self.table[name][begin : begin + split] = work[:split, place]
            self.table[name][: count - split] = work[split:, place]
        for name in self._marks:
            self.table[name][begin : begin + split] = np.nan
            self.table[name][: count - split] = np.nan
        self.offered += count
        self._latest = float(times[-1])

    def _make_room(self, count: int) -> None:
        rows, alive = len(self.table), self.offered - self._oldest
        if alive + count <= rows:
            return
        while rows < alive + count:
            rows *= 2
        number = np.arange(self._oldest, self.offered)
        old, self.table = self.table, np.zeros(rows, dtype=self._type)
        self.table[number & (rows - 1)] = old[number & (len(old) - 1)]

    def hand_out(self, now: float) -> dict[str, Any]:
        """Requests whose fate became final by `now`, in order of their numbers: columns of `sim.pool.Served`.

        Moments recorded besides are among the columns.
        """
        room = self.arrived - self._oldest
        columns = Columns(
            number=np.empty(room, dtype=np.int64),
            arrival=np.empty(room),
            start=np.empty(room),
            finish=np.empty(room),
            replica=np.empty(room, dtype=np.int64),
            batch=np.empty(room, dtype=np.int64),
            status=np.empty(room, dtype=np.int64),
        )
        count = hand_out(self.table, self._oldest, self.arrived, now, columns)
        self._oldest = first_kept(self.table, self._oldest, self.arrived)
        # A copy when few of many are final, or little would hold much memory.
        final = {
            name: column[:count] if 2 * count >= room else column[:count].copy()
            for name, column in columns._asdict().items()
        }
        for name in self._marks:
            final[name] = self.table[name][final["number"] & (len(self.table) - 1)]
        return final
