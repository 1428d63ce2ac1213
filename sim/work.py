"""Work: who did what, from when to when."""

from __future__ import annotations

from typing import NamedTuple

from scenarios.units import HOURS_PER_DAY


class Work(NamedTuple):
    """One stretch of somebody's work."""

    person: str
    """'ml 1', 'data 2', ...: role and number."""
    role: str
    task: str
    """'triage: data', 'repair', 'rollback', 'approval', 'ticket', ..."""
    start: float
    """Days."""
    end: float
    failure: str = ""
    """The failure mode of the incident that it was for; empty when it was for none."""
    onset: float = float("nan")
    """Onset of that incident in days; NaN when it was for none."""

    @property
    def hours(self) -> float:
        """How long it took.

        >>> Work("ml 1", "ml", "repair", 1.0, 1.5).hours
        12.0
        """
        return HOURS_PER_DAY * (self.end - self.start)
