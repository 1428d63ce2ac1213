"""The result of care: how patients fared, what clinicians had to do, and every recommendation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from scenarios.care import Care
from scenarios.units import DAYS_PER_YEAR, HOURS_PER_DAY, format_duration
from sim.care_log import CareLog
from sim.displays import Displayed, figures
from sim.kernels.patients import CRISIS, HYPOTENSION

if TYPE_CHECKING:
    from sim.care import CareTeam

Array = NDArray[np.float64]
FIGURES = (
    "time_in_range", "hypotensions_per_patient_year", "crises_per_patient_year", "clinician_hours_per_week",
    "reviews_per_week", "alerts_per_week", "acted_at_once", "clinician_wait_hours", "clinician_wait_p95_hours",
    "visits_per_patient_year",
)  # fmt: skip
"""Figures of a run's summary that are about care."""
PERCENTILES = (5, 25, 50, 75, 95)
_WEEK = 7.0


def no_figures() -> dict[str, float]:
    """The figures of a run without patients."""
    return dict.fromkeys(FIGURES, math.nan)


@dataclass(frozen=True, repr=False)
class CareResult(Displayed):
    """What became of the patients of one run."""

    care: Care
    horizon: float
    pressure: Array
    """(days, patients) true systolic pressure, mmHg."""
    reading: Array
    """(days, patients) the model's estimate of a day, mmHg; NaN where there was none."""
    slice: NDArray[np.int64]
    """(patients,) slice of the scenario that each belongs to."""
    log: CareLog

    def headline(self) -> str:
        """How many patients, how they fared, and what it took of clinicians."""
        found = self.figures
        days, number = self.pressure.shape
        return (
            f"{number:,} {'patient' if number == 1 else 'patients'} over {format_duration(float(days))}: "
            f"{found['time_in_range']:.1%} of patient days in range, {found['hypotensions_per_patient_year']:.3f} "
            f"hypotensions and {found['crises_per_patient_year']:.3f} crises a patient and year, "
            f"{found['clinician_hours_per_week']:.1f} clinician hours a week"
        )

    def _shown(self) -> pd.DataFrame:
        return figures(pd.Series(self.figures))

    def plot(self, fig: Any = None) -> Any:
        """Pressure, share in range, and what clinicians had, over the days; returns matplotlib axes, one a panel."""
        from analysis.plot_care import plot_ward
        from analysis.plot_panels import Panels

        return Panels(plot_ward(self, fig))

    @cached_property
    def recommendations(self) -> pd.DataFrame:
        """One row a recommendation or alert, as it was made: on what grounds, by which route, decided by whom.

        decision is held (no change recommended), taken (at once), accepted, modified, rejected, or open at the end.
        wait_hours: until somebody took it up, or to the end of the run; NaN where nobody was asked.
        """
        return self.log.table(self.horizon)

    @cached_property
    def in_range(self) -> Array:
        """Share of the patients whose true pressure is in the target range, by day, (days,)."""
        regimen = self.care.regimen
        return np.asarray(((self.pressure >= regimen.low) & (self.pressure <= regimen.high)).mean(axis=1))

    @cached_property
    def days(self) -> pd.DataFrame:
        """One row a day: percentiles of the true pressure (mmHg), share in range, harm, and what clinicians had.

        Titrations that went to them, alerts, visits held, hours worked.
        """
        quantiles = np.percentile(self.pressure, PERCENTILES, axis=1)
        table: dict[str, Any] = {"time_days": np.arange(1, len(self.pressure) + 1)}
        table |= {f"pressure_p{p}_mmhg": q for p, q in zip(PERCENTILES, quantiles, strict=True)}
        table |= {"in_range": self.in_range, "hypotensions": self.log.harm[HYPOTENSION]}
        table |= {"crises": self.log.harm[CRISIS]}
        for name, route in (("reviews", "clinician"), ("alerts", "alert")):
            table[name] = np.bincount(self._asked_on(route), minlength=self.log.days)[: self.log.days]
        table |= {"visits": self.log.visits, "clinician_hours": HOURS_PER_DAY * self.log.worked}
        return pd.DataFrame(table)

    @cached_property
    def by_slice(self) -> pd.DataFrame:
        """One row a slice of the scenario, by number: patients, time in range, mean pressure (mmHg)."""
        regimen = self.care.regimen
        inside = ((self.pressure >= regimen.low) & (self.pressure <= regimen.high)).mean(axis=0)
        table = pd.DataFrame({"slice": self.slice, "inside": inside, "mean": self.pressure.mean(axis=0)})
        grouped = table.groupby("slice")
        return grouped.agg(
            patients=("inside", "size"), time_in_range=("inside", "mean"), mean_pressure_mmhg=("mean", "mean")
        )

    @cached_property
    def figures(self) -> dict[str, float]:
        """What FIGURES names; waits are of titrations and alerts that went to clinicians, in hours.

        acted_at_once: share of the changes that the model recommended, and the uncertain looks, that needed nobody.
        """
        days, patients = self.pressure.shape
        years, weeks = patients * days / DAYS_PER_YEAR, days / _WEEK
        routes = [row.route for row in self.log.rows]
        count = {route: routes.count(route) for route in ("at once", "clinician", "alert")}
        moved = count["at once"] + count["clinician"]
        waits = np.array(
            [
                (self.horizon if math.isnan(row.taken) else row.taken) - row.asked
                for row in self.log.rows
                if row.route in ("clinician", "alert")
            ]
        )
        found = (
            float(self.in_range.mean()),
            float(self.log.harm[HYPOTENSION].sum()) / years,
            float(self.log.harm[CRISIS].sum()) / years,
            HOURS_PER_DAY * float(self.log.worked.sum()) / weeks,
            count["clinician"] / weeks,
            count["alert"] / weeks,
            count["at once"] / moved if moved else math.nan,
            HOURS_PER_DAY * float(waits.mean()) if len(waits) else math.nan,
            HOURS_PER_DAY * float(np.quantile(waits, 0.95)) if len(waits) else math.nan,
            float(self.log.visits.sum()) / years,
        )
        return dict(zip(FIGURES, found, strict=True))

    def _asked_on(self, route: str) -> NDArray[np.int64]:
        """Days at whose end something was asked: moment 1 is the end of day 0."""
        return np.array([int(row.asked) - 1 for row in self.log.rows if row.route == route], dtype=np.int64)


def care_result(team: CareTeam) -> CareResult:
    """The result of a team whose days are over."""
    people = team.patients
    return CareResult(
        team.care, team.run.scenario.horizon, people.pressure, people.reading, people.slice, team.log
    )
