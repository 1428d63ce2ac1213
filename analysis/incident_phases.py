"""The life of an incident in phases, and in words: silent, waiting, being mitigated, mitigated."""

from __future__ import annotations

from typing import NamedTuple

from scenarios.units import HOURS_PER_DAY, format_duration
from sim.incidents import TIME_SLACK, Incident

SILENT, WAITING, MITIGATING, MITIGATED = "silent", "waiting", "being mitigated", "mitigated"
PHASES = {
    SILENT: "silent: nobody knows",
    WAITING: "known, waits for somebody",
    MITIGATING: "being mitigated",
    MITIGATED: "mitigated, not yet resolved",
}
"""Phases in their order, with what they mean."""
_SHORTEST = 1.0 / 86_400.0
"""Days; a phase shorter than a second is none."""


def brief(days: float) -> str:
    """A length of time in a sentence: two digits are enough.

    >>> brief(25.91), brief(0.1079), brief(0.04), brief(0.5 / 24), brief(130.2)
    ('26 d', '2.6 h', '58 min', '30 min', '130 d')
    """
    for size in (1.0, HOURS_PER_DAY, 1440.0, 86_400.0):
        number = days * size
        if float(f"{number:.2g}") >= 1.0:
            number = round(number) if number >= 10.0 else float(f"{number:.2g}")
            return format_duration(number / size)
    return format_duration(days)


class Phase(NamedTuple):
    """One part of an incident's life."""

    name: str
    start: float
    """Days."""
    end: float

    @property
    def words(self) -> str:
        """Its name and how long it lasts.

        >>> Phase(SILENT, 1.0, 1.25).words
        'silent 6 h'
        """
        return f"{self.name} {brief(self.end - self.start)}"


def last_moment(incident: Incident) -> float:
    """When its story is over (days): it was resolved, or did no more harm and nobody works on it."""
    return max(incident.end, incident.resolved or 0.0)


def phases_of(incident: Incident) -> list[Phase]:
    """What became of an incident from its onset on, without gaps; phases shorter than a second are left out.

    What mitigates itself before anybody takes it up waits for nobody.
    """
    over = last_moment(incident)
    known, taken = incident.detected, incident.acknowledged
    eased = incident.mitigated if incident.eased is None else incident.eased
    steps: list[tuple[str, float | None]] = [(SILENT, known)]
    if known is not None:
        by_itself = eased is not None and (taken is None or eased < taken)
        steps += [] if by_itself else [(WAITING, taken)]
        if taken is not None or by_itself:
            steps.append((MITIGATING, eased))
        if eased is not None:
            steps.append((MITIGATED, over))
    found, since = [], incident.onset.time
    for name, until in steps:
        end = over if until is None else min(max(until, since), over)
        if end - since > _SHORTEST:
            found.append(Phase(name, since, end))
        since = end
    return found


def outcome(incident: Incident, horizon: float) -> str:
    """How it ended, in words; horizon: end of the run in days."""
    lasted = brief(last_moment(incident) - incident.onset.time)
    if incident.resolved is not None:
        return f"resolved after {lasted}"
    if incident.end >= horizon - TIME_SLACK:
        return "still there at the end of the run"
    if incident.onset.heals <= incident.end + TIME_SLACK:
        return f"healed by itself after {lasted}"
    gone = incident.failure.ends_with_version
    return f"{'gone with its version' if gone else 'ended without a repair'} after {lasted}"


def discovery(incident: Incident) -> str:
    """Who found it, in words, and whether that helped."""
    if incident.detected is None:
        return "never detected"
    found = f"detected by {incident.by}" if incident.by else "detected"
    taken = any(moment is not None for moment in (incident.acknowledged, incident.mitigated, incident.eased))
    return found if taken else f"{found}, nobody took it up"
