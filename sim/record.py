"""The result of a run: flat tables of what happened, and where they came from."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scenarios.units import DAYS_PER_YEAR, HOURS_PER_DAY, format_duration, format_money
from sim.care_result import CareResult
from sim.care_result import no_figures as no_care_figures
from sim.displays import Displayed, figures
from sim.incidents import Incident
from sim.ledger import Ledger
from sim.monitoring import Alarm, Champion
from sim.review import ReviewQueue
from sim.review import no_figures as no_review_figures
from sim.work import Work

if TYPE_CHECKING:
    from scenarios.schema import Scenario
    from sim.edge_result import EdgeResult
    from sim.fleet_result import FleetResult
    from sim.response import Page

ACTIONABLE = 0.1
"""Share of its alarms that must be acted on for a monitor to be kept as it is. Source: 'On-Call Practices'."""
PACKAGES = ("halflife-sim", "numpy", "scipy", "numba", "simpy", "pandas")


class Event(NamedTuple):
    """Something that happened."""

    time: float
    """Days."""
    kind: str
    subject: str
    details: str


@dataclass(frozen=True)
class Detection:
    """A material loss of accuracy of one champion, and when it was noticed."""

    version: int
    onset: float
    """Days: end of the first window in which the loss was material."""
    detected: float | None
    """Days: first alarm after the onset; None when the champion was replaced, or the run ended, without one."""


@dataclass(frozen=True, repr=False)
class Result(Displayed):
    """One run: `summary`, `costs`, `timeline`, `events` and `provenance`."""

    scenario: Scenario
    policy: str
    seed: int
    replication: int
    ledger: Ledger
    requests: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    """(slices, windows) true accuracy."""
    measured: NDArray[np.float64]
    scores: dict[str, NDArray[np.float64]]
    version_number: NDArray[np.int64]
    alarms: Sequence[Alarm]
    champions: Sequence[Champion]
    raw_events: Sequence[Event] = field(repr=False)
    watched_slices: Mapping[str, int] = field(default_factory=dict, repr=False)
    """Number of the slice that a monitor watches, by its name, for those that watch one."""
    unharmed: NDArray[np.float64] | None = field(default=None, repr=False)
    """(slices, windows) accuracy that there would have been without incidents; `accuracy` itself when None."""
    served: NDArray[np.float64] | None = field(default=None, repr=False)
    """(windows,) share of the requests that was served at all; None where all were."""
    raw_incidents: Sequence[Incident] = field(default=(), repr=False)
    pages: Sequence[Page] = field(default=(), repr=False)
    work: Sequence[Work] = field(default=(), repr=False)
    """What people did, as it ended."""
    fleet: FleetResult | None = field(default=None, repr=False)
    """The serving fleet, where the scenario simulates it with policies."""
    review: ReviewQueue | None = field(default=None, repr=False)
    """The uncertain decisions, where people look at them."""
    gained: NDArray[np.float64] | None = field(default=None, repr=False)
    """(windows,) accuracy that users meet above the model's, by review; none where None."""
    care: CareResult | None = field(default=None, repr=False)
    """Patients and clinicians, where the scenario has some."""
    edge: EdgeResult | None = field(default=None, repr=False)
    """The fleet of devices, where the scenario has one."""

    def headline(self) -> str:
        """Whose run it is, what it cost and how right its answers were."""
        summary = self.summary
        cost = format_money(float(summary["total_cost"]), self.scenario.currency)
        return (
            f"{self.scenario.title}: {self.policy}, seed {self.seed}, replication {self.replication}; {cost} in "
            f"{format_duration(self.scenario.horizon)}, mean accuracy {summary['mean_accuracy']:.4f}, "
            f"{summary['retrains']:.0f} {'retraining' if summary['retrains'] == 1.0 else 'retrainings'}"
        )

    def _shown(self) -> pd.DataFrame:
        spent = self.costs[self.costs != 0.0].rename(lambda category: f"cost[{category}]")
        quiet = [name for name in self._incident_summary() if self.summary[name] == 0.0]
        if self.review is None:
            quiet += no_review_figures()
        told = self.summary.drop(quiet)
        # What is of people in the loop stands before what every run has, or a short table would not show it.
        people = [name for name in self._people_summary() if name in told.index]
        order = [*told.index[:5], *people, *told.index[5:].difference(people, sort=False)]
        return figures(pd.concat([told[order], spent]))

    @cached_property
    def costs(self) -> pd.Series:
        """Costs by category over the horizon, in the scenario's currency; they add up to the total."""
        return self.ledger.by_category()

    @cached_property
    def summary(self) -> pd.Series:
        """The figures that comparisons use: money, accuracy as users met it, counts and MTTD."""
        count = dict.fromkeys(("retraining started", "deployment", "rejection", "failure"), 0)
        for event in self.raw_events:
            if event.kind in count:
                count[event.kind] += 1
        total = self.ledger.total()
        delays = [d.detected - d.onset for d in self.detections if d.detected is not None]
        delays += [i.detected - i.onset.time for i in self.raw_incidents if i.detected is not None]
        false = sum(not alarm.true for alarm in self.alarms)
        accuracy = (
            float(np.average(self._met_accuracy, weights=self.requests)) if self.requests.any() else np.nan
        )
        return pd.Series(
            {
                "total_cost": total,
                "annual_cost": total * DAYS_PER_YEAR / self.scenario.horizon,
                "mean_accuracy": accuracy,
                "retrains": float(count["retraining started"]),
                "deployments": float(count["deployment"]),
                "rejected": float(count["rejection"]),
                "failed": float(count["failure"]),
                "alarms": float(len(self.alarms)),
                "false_alarms": float(false),
                "losses": float(len(self.detections)),
                "undetected": float(sum(d.detected is None for d in self.detections)),
                "mttd_hours": _mean_hours(delays),
                **self._incident_summary(),
                **self._people_summary(),
                **({} if self.edge is None else self.edge.summary),
            },
            name=self.policy,
        )

    def _people_summary(self) -> dict[str, float]:
        """Figures of reviewers, patients and clinicians."""
        reviewed = no_review_figures() if self.review is None else self.review.figures
        return reviewed | (no_care_figures() if self.care is None else self.care.figures)

    def _incident_summary(self) -> dict[str, float]:
        """Counts of incidents and pages, mean times from onset and from page (hours), hours unseen and of work."""
        known = [i for i in self.raw_incidents if i.detected is not None]
        return {
            "incidents": float(len(self.raw_incidents)),
            "incidents_undetected": float(len(self.raw_incidents) - len(known)),
            "incident_mttd_hours": _mean_hours([(i.detected or 0.0) - i.onset.time for i in known]),
            "incident_mttr_hours": _mean_hours(
                [i.resolved - i.onset.time for i in known if i.resolved is not None]
            ),
            "pages": float(len(self.pages)),
            "false_pages": float(sum(not page.true for page in self.pages)),
            "incident_mtta_hours": _mean_hours(self.waits),
            "missed_targets": float(sum(page.missed(self.scenario.horizon) for page in self.pages)),
            "silent_hours": HOURS_PER_DAY
            * sum((i.end if i.detected is None else i.detected) - i.onset.time for i in self.raw_incidents),
            "work_hours": float(sum(stretch.hours for stretch in self.work)),
        }

    @cached_property
    def waits(self) -> list[float]:
        """Days from the page to a person at the keyboard, of each incident that got so far.

        None without a rotation: nobody's keyboard is modelled there.
        """
        response = self.scenario.response
        if response is None or response.on_call is None:
            return []
        return [
            i.acknowledged - i.paged
            for i in self.raw_incidents
            if i.acknowledged is not None and i.paged is not None
        ]

    @cached_property
    def work_log(self) -> pd.DataFrame:
        """One row a stretch of work, as it ended: person, role, task, start and end (days), failure and onset."""
        names = ["person", "role", "task", "start_days", "end_days", "failure", "onset_days"]
        return pd.DataFrame(self.work, columns=names)

    @cached_property
    def incidents(self) -> pd.DataFrame:
        """One row an incident: failure, cause, onset, detection (by whom), the steps to its end, severity, loss.

        Moments in days, NaN for what never happened; loss: its share of the money lost on accuracy and requests while
        it was there, and its own price. They add up to the category incident of the ledger.
        """
        rows = [
            {
                "failure": incident.failure.name,
                "cause": incident.failure.cause,
                "onset_days": incident.onset.time,
                "detected_days": _or_nan(incident.detected),
                "by": incident.by,
                "paged_days": _or_nan(incident.paged),
                "acknowledged_days": _or_nan(incident.acknowledged),
                "mitigated_days": _or_nan(incident.mitigated),
                "resolved_days": _or_nan(incident.resolved),
                "end_days": incident.end,
                "severity": incident.severity,
                "loss": incident.loss,
            }
            for incident in self.raw_incidents
        ]
        columns = [
            "failure",
            "cause",
            "onset_days",
            "detected_days",
            "by",
            "paged_days",
            "acknowledged_days",
            "mitigated_days",
            "resolved_days",
            "end_days",
            "severity",
            "loss",
        ]
        return pd.DataFrame(rows, columns=columns)

    @cached_property
    def actionability(self) -> pd.DataFrame:
        """One row a monitor: alarms, pages that it called or joined, those acted on, those that found something.

        found: acted on, and the monitor's own alarm was true.

        actionability: found / pages; flagged: below 10 %, where the source says to retire or recalibrate.
        """
        alarms = Counter(alarm.monitor for alarm in self.alarms)
        pages, acted, found = Counter[str](), Counter[str](), Counter[str]()
        for page in self.pages:
            for monitor in dict.fromkeys(page.monitors):
                pages[monitor] += 1
                acted[monitor] += page.acted
                found[monitor] += page.acted and (monitor, True) in page.alarms
        table = pd.DataFrame(
            {"alarms": alarms, "pages": pages, "acted": acted, "found": found}, index=list(self.scores)
        )
        table = table.fillna(0).astype("int64").rename_axis("monitor")
        table["actionability"] = table["found"] / table["pages"].where(table["pages"] > 0)
        table["flagged"] = table["actionability"] < ACTIONABLE
        return table

    @cached_property
    def timeline(self) -> pd.DataFrame:
        """One row a window: time (days, end of the window), traffic, true and measured accuracy, scores, version.

        met_accuracy: with what reviewers have set right, where there are some; accuracy is the model's.
        """
        window = self.scenario.window
        table = {
            "time_days": (np.arange(len(self.requests)) + 1) * window,
            "requests": self.requests,
            "accuracy": self._mean_accuracy,
            "measured_accuracy": self.measured,
            "version": self.version_number,
        }
        if len(self.accuracy) > 1:
            table |= {
                f"accuracy[{n}]": a for n, a in zip(self.scenario.slice_names, self.accuracy, strict=True)
            }
        if self.gained is not None:
            table["met_accuracy"] = self._met_accuracy
        return pd.DataFrame(table | {f"score[{name}]": score for name, score in self.scores.items()})

    @cached_property
    def events(self) -> pd.DataFrame:
        """One row an event: time (days), kind, subject, details."""
        return pd.DataFrame(self.raw_events, columns=["time_days", "kind", "subject", "details"])

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What makes the run reproducible: scenario hash, seed, replication, code and package versions."""
        return {
            "scenario": self.scenario.title,
            "scenario_hash": self.scenario.hash(),
            "policy": self.policy,
            "seed": self.seed,
            "replication": self.replication,
            **versions(),
        }

    @cached_property
    def detections(self) -> list[Detection]:
        """Material losses of accuracy, one a champion at most, with the alarm that noticed each."""
        found = []
        for champion, lost, end in self.losses():
            onset = (lost + 1) * self.scenario.window
            heard = [a.time for a in self.alarms if onset - 1e-9 <= a.time <= end + 1e-9]
            found.append(Detection(champion.version.number, onset, max(heard[0], onset) if heard else None))
        return found

    def losses(self, of_slice: int | None = None) -> list[tuple[Champion, int, float]]:
        """Material losses of accuracy, overall or of a slice: the champion, its first such window, its end (days)."""
        window, drop = self.scenario.window, self.scenario.material_drop
        accuracy = self.accuracy if self.unharmed is None else self.unharmed
        accuracy = self._weights @ accuracy if of_slice is None else accuracy[of_slice]
        found = []
        for number, champion in enumerate(self.champions):
            last = number + 1 == len(self.champions)
            end = self.scenario.horizon if last else self.champions[number + 1].since
            served = slice(champion.first_full, int(end / window + 1e-9))
            fresh = champion.fresh_accuracy if of_slice is None else float(champion.fresh[of_slice])
            lost = np.flatnonzero(fresh - accuracy[served] >= drop)
            if len(lost):
                found.append((champion, champion.first_full + int(lost[0]), end))
        return found

    @property
    def lost_requests(self) -> NDArray[np.float64]:
        """Money lost in each window on requests that were not served at all, (windows,)."""
        if self.served is None:
            return np.zeros(len(self.requests))
        worth = self.requests * self.scenario.value_per_query_per_unit_accuracy
        return np.asarray(worth * self._mean_accuracy * (1.0 - self.served))

    @cached_property
    def _mean_accuracy(self) -> NDArray[np.float64]:
        return np.asarray(self._weights @ self.accuracy)

    @property
    def _met_accuracy(self) -> NDArray[np.float64]:
        """As users meet it: with what people have set right."""
        return self._mean_accuracy if self.gained is None else self._mean_accuracy + self.gained

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        return np.array(self.scenario.slice_weights)

    def plot(self, ax: Any = None) -> Any:
        """Accuracy, alarms, retrainings and deployments over time; returns matplotlib axes."""
        from analysis.plots import plot_run

        return plot_run(self, ax=ax)

    def plot_incidents(self, start: float | None = None, days: float = 7.0, ax: Any = None) -> Any:
        """The story of some days, by default of those in which incidents cost most; returns matplotlib axes."""
        from analysis.plot_incidents import plot_incidents

        return plot_incidents(self, start, days, ax=ax)


def _mean_hours(days: list[float]) -> float:
    return HOURS_PER_DAY * float(np.mean(days)) if days else np.nan


def _or_nan(moment: float | None) -> float:
    return np.nan if moment is None else moment


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
