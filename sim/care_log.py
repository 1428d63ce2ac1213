"""The log of care: every recommendation with its provenance, and what each day took.

A row has 18 figures, about 0.4 kB: 500 patients looked at each week are 26,000 rows a year, and 10 MB.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scenarios.units import HOURS_PER_DAY

Kind = Literal["titration", "hypotension", "crisis"]
COLUMNS = {
    "time_days": "asked",
    "patient": "patient",
    "kind": "kind",
    "estimate_mmhg": "estimate",
    "standard_error_mmhg": "error",
    "days_used": "days",
    "version": "version",
    "confidence": "confidence",
    "dose": "dose",
    "recommended": "step",
    "route": "route",
    "decision": "decision",
    "change": "change",
    "by": "by",
    "taken_days": "taken",
    "decided_days": "decided",
    "cuff_mmhg": "cuff",
}
"""Columns of the table, and the fields that they show."""


@dataclass(slots=True)
class Recommendation:
    """What the model recommended, on what grounds, and what became of it."""

    asked: float
    """Days."""
    patient: int
    kind: Kind
    """A titration, or an alert about hypotension or a crisis."""
    estimate: float
    """mmHg, mean of the trailing days; NaN without any."""
    error: float
    """mmHg, standard error that the model states."""
    days: int
    """Days with an estimate."""
    version: int
    """Of the model."""
    confidence: float
    """Chance by the model's own error that pressure is on the side of range that the step says; NaN for alerts."""
    dose: int
    """Steps that the patient takes."""
    step: int
    """Change that is recommended."""
    route: str
    """at once, clinician or alert."""
    decision: str = "open"
    """taken, accepted, modified, rejected; open where nobody has decided yet."""
    change: int = 0
    """Steps by which the dose was changed."""
    by: str = ""
    taken: float = math.nan
    """When somebody took it up, days."""
    decided: float = math.nan
    cuff: float = math.nan
    """What the clinician measured, mmHg."""

    def settle(
        self, decision: str, change: int, by: str, taken: float, decided: float, cuff: float = math.nan
    ) -> None:
        """Write down what became of it."""
        self.decision, self.change, self.by = decision, change, by
        self.taken, self.decided, self.cuff = taken, decided, cuff


@dataclass
class CareLog:
    """What is written down in a run of so many days."""

    days: int
    rows: list[Recommendation] = field(default_factory=list, repr=False)
    held: list[tuple[Any, ...]] = field(default_factory=list, repr=False)
    """Columns of what left the dose as it is, looked at together."""

    def __post_init__(self) -> None:
        self.harm = np.zeros((2, self.days), dtype=np.int64)
        """Events of hypotension and crises by day."""
        self.visits = np.zeros(self.days, dtype=np.int64)
        self.worked = np.zeros(self.days)
        """Days of work of all clinicians together, by day."""

    def add(self, entry: Recommendation) -> int:
        """Write a recommendation down; its row."""
        self.rows.append(entry)
        return len(self.rows) - 1

    def hold(
        self,
        now: float,
        patients: NDArray[np.int64],
        estimate: NDArray[np.float64],
        error: NDArray[np.float64],
        days: NDArray[np.int64],
        version: int,
        confidence: NDArray[np.float64],
        dose: NDArray[np.int64],
    ) -> None:
        """Write down the patients whose dose the model leaves as it is, all (patients,) but moment and version."""
        self.held.append((now, patients, estimate, error, days, version, confidence, dose))

    def table(self, horizon: float) -> pd.DataFrame:
        """One row a recommendation, with `wait_hours` to a clinician; what still waits has waited to the horizon."""
        columns = {
            name: [getattr(row, attribute) for row in self.rows] for name, attribute in COLUMNS.items()
        }
        table = pd.concat([pd.DataFrame(columns), self._held_table()], ignore_index=True)
        table = table.sort_values(["time_days", "patient"], kind="stable", ignore_index=True)
        asked = table["route"].isin(["clinician", "alert"])
        waited = HOURS_PER_DAY * (table["taken_days"].fillna(horizon) - table["time_days"])
        table.insert(list(table.columns).index("taken_days"), "wait_hours", waited.where(asked))
        return table

    def _held_table(self) -> pd.DataFrame:
        """What was held, with the columns of all."""
        counts = [len(chunk[1]) for chunk in self.held]
        now, patients, estimate, error, days, version, confidence, dose = (
            zip(*self.held, strict=True) if self.held else [()] * 8
        )
        moments = np.repeat(np.array(now, dtype=np.float64), counts)
        columns = {
            "time_days": moments,
            "patient": _joined(patients, np.int64),
            "kind": "titration",
            "estimate_mmhg": _joined(estimate, np.float64),
            "standard_error_mmhg": _joined(error, np.float64),
            "days_used": _joined(days, np.int64),
            "version": np.repeat(np.array(version, dtype=np.int64), counts),
            "confidence": _joined(confidence, np.float64),
            "dose": _joined(dose, np.int64),
            "recommended": 0,
            "route": "none",
            "decision": "held",
            "change": 0,
            "by": "model",
            "taken_days": moments,
            "decided_days": moments,
            "cuff_mmhg": np.nan,
        }
        return pd.DataFrame(columns)


def _joined(parts: Any, kind: Any) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=kind), *parts])
