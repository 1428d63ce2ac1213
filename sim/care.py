"""Care of a run: each day is lived, alerts go out, the model recommends, and clinicians see who is due.

What is within the clinicians' bounds is taken at once; the rest waits for one of them. All of it is written down.
Source: chapter, 'ClinAIOps Case Study', its three loops.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy
from numpy.typing import NDArray

from scenarios.care import Care
from scenarios.distributions import Duration
from sim.care_log import CareLog, Kind, Recommendation
from sim.clinic import Clinic
from sim.durations import quantile
from sim.kernels import patients as kernel
from sim.kernels.sampling import uniform_at
from sim.patients import Day, Patients
from sim.work import Work

if TYPE_CHECKING:
    from sim.engine import Run

Array = NDArray[np.float64]
ALERT, RECOMMENDATION, VISIT = 0, 1, 2
"""Ranks in the clinicians' queue."""
_LEAST_ERROR = 1e-3
"""Share of wrong answers of a first model that is never wrong, so that others can be measured by it."""


class CareTeam:
    """The patients, the model that adjusts their treatment, and the clinicians, of one run."""

    def __init__(self, run: Run, care: Care) -> None:
        self.run, self.care = run, care
        self.days = int(run.scenario.horizon + 1e-9)
        self.patients = Patients(care, run.world, self.days)
        self.clinic = Clinic(run.env, care.clinicians.number, care.clinicians.hours, self._worked)
        self.log = CareLog(self.days)
        number = care.patients.number
        first = run.world.stream("care: visits").random(number)
        self._due = np.floor(first * care.visits.first)
        self._interval = np.full(number, care.visits.first)
        self._with_clinician = np.zeros(number, dtype=bool)
        self._quiet_until = np.full(number, -math.inf)
        self._lived = 0

    def start(self) -> None:
        """Start the days and the clinicians."""
        self.clinic.start()
        self.run.env.process(self._each_day())

    def finish(self) -> None:
        """Live the last day, after which nobody decides anything."""
        while self._lived < self.days:
            self._live()

    def _each_day(self) -> Generator[simpy.Event, Any, None]:
        while True:
            yield self.run.env.timeout(self._lived + 1 - self.run.now)
            today = self._live()
            self._alert(today)
            self._recommend()
            self._invite()

    def _live(self) -> Day:
        """The day that has passed: the model's errors are those of what was in service."""
        day = self._lived
        factor, bias = self._errors(day)
        found = self.patients.live(day, factor, bias)
        self._lived += 1
        plans = self.care.harm.hypotension, self.care.harm.crisis
        for kind, plan in enumerate(plans):
            events = int(found.harm[kind].sum())
            self.log.harm[kind, day] = events
            self.run.ledger.post("harm", events * plan.cost)
        return found

    def _errors(self, day: int) -> tuple[Array, Array]:
        """Factor of the model's errors and bias of its estimates for each patient on a day, (n,) each."""
        run, per_day = self.run, round(1.0 / self.run.scenario.window)
        served = run.plane.accuracy_until(float(day + 1))[:, day * per_day : (day + 1) * per_day].mean(axis=1)
        fresh = run.plane.champions[0].fresh
        factor = (1.0 - served) / np.maximum(1.0 - fresh, _LEAST_ERROR)
        bias = 10.0 * self.care.sensor.bias * (fresh - served)
        place = self.patients.slice
        return np.ascontiguousarray(factor[place]), np.ascontiguousarray(bias[place])

    # --- the patients' loop with the model ---

    def _alert(self, today: Day) -> None:
        """Patients who were harmed, or whose estimates have been far out of range for days, jump the queue."""
        alerts, now = self.care.alerts, self.run.now
        width = round(alerts.days)
        mean, error, days = self.patients.trailing(
            self._lived - 1, width, np.zeros(self.patients.number, dtype=np.int64)
        )
        enough = days >= max(width - 1, 1)
        low = today.harm[kernel.HYPOTENSION] | (enough & (mean < alerts.below))
        high = today.harm[kernel.CRISIS] | (enough & (mean > alerts.above))
        concerned = np.flatnonzero((low | high) & (self._quiet_until <= now))
        for patient, length in self._lengths("alert", self.care.clinicians.alert, concerned):
            self._quiet_until[patient] = math.inf
            kind: Kind = "hypotension" if low[patient] else "crisis"
            step = self._steps(float(mean[patient]))
            step = min(step, -1) if kind == "hypotension" else max(step, 1)
            dose = int(self.patients.dose[patient])
            step = min(max(step, -dose), self.care.regimen.doses - dose)
            found = float(mean[patient]), float(error[patient]), int(days[patient])
            row = self.log.add(self._recommendation(patient, kind, found, step, math.nan, "alert"))
            self.clinic.ask(ALERT, "alert", length, partial(self._decide_alert, row))

    def _recommend(self) -> None:
        """The model looks at those whose turn it is today."""
        care, people, regimen = self.care, self.patients, self.care.regimen
        cadence = round(care.recommending.cadence)
        mean, error, days = people.trailing(
            self._lived - 1, round(care.recommending.window), people.settled_since()
        )
        step, sure = np.empty(people.number, dtype=np.int64), np.empty(people.number)
        kernel.recommendations(
            mean, error, people.dose, regimen.low, regimen.high, regimen.per_step, regimen.largest, regimen.doses,
            step, sure,
        )  # fmt: skip
        turn = (np.arange(people.number) + self._lived) % cadence == 0
        turn &= (days >= care.recommending.least_days) & ~self._with_clinician
        turn &= self._quiet_until != math.inf  # an alert waits: a clinician decides about this patient first
        alone = self._within_bounds(error, step)
        held = np.flatnonzero(turn & alone & (step == 0))
        version = self.run.plane.champion.version.number
        self.log.hold(
            self.run.now, held, mean[held], error[held], days[held], version, sure[held], people.dose[held]
        )
        for patient in np.flatnonzero(turn & alone & (step != 0)).tolist():
            found = float(mean[patient]), float(error[patient]), int(days[patient])
            self._act(patient, found, int(step[patient]), float(sure[patient]))
        referred = np.flatnonzero(turn & ~alone)
        for patient, length in self._lengths("recommendation", care.clinicians.review, referred):
            found = float(mean[patient]), float(error[patient]), int(days[patient])
            self._refer(patient, found, int(step[patient]), float(sure[patient]), length)

    def _within_bounds(self, error: Array, step: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the model may do alone what it recommends, (n,): nothing uncertain, no change beyond the bounds."""
        bounds, dose = self.care.bounds, self.patients.dose + step
        sure = error <= _or_more(bounds.standard_error)
        small = np.abs(step) <= _or_more(bounds.step)
        usual = (dose >= _or_less(bounds.lowest)) & (dose <= _or_more(bounds.highest))
        return np.asarray(sure & ((step == 0) | (small & usual)))

    def _act(self, patient: int, found: tuple[float, float, int], step: int, sure: float) -> None:
        """A change within the bounds is taken at once."""
        entry = self._recommendation(patient, "titration", found, step, sure, "at once")
        change = self.patients.change(patient, step, self.run.now)
        entry.settle("taken", change, "model", self.run.now, self.run.now)
        self.log.add(entry)

    def _refer(
        self, patient: int, found: tuple[float, float, int], step: int, sure: float, length: float
    ) -> None:
        """Anything else waits for a clinician; until then the model says nothing more about the patient."""
        row = self.log.add(self._recommendation(patient, "titration", found, step, sure, "clinician"))
        self._with_clinician[patient] = True
        self.clinic.ask(RECOMMENDATION, "recommendation", length, partial(self._decide_titration, row))

    def _recommendation(
        self, patient: int, kind: Kind, found: tuple[float, float, int], step: int, sure: float, route: str
    ) -> Recommendation:
        """What is written down before anybody decides."""
        version = self.run.plane.champion.version.number
        dose = int(self.patients.dose[patient])
        return Recommendation(self.run.now, patient, kind, *found, version, sure, dose, step, route)

    # --- the clinicians' loops ---

    def _lengths(self, name: str, law: Duration, patients: NDArray[np.int64]) -> Iterator[tuple[int, float]]:
        """Patients, and how long a task about each takes today (days), tied to the patient and the day."""
        if not len(patients):
            return
        luck = np.empty(len(patients))
        uniform_at(self.run.world.key(f"care: {name}"), self._lived * self.patients.number + patients, luck)
        yield from zip(patients.tolist(), quantile(law, luck).tolist(), strict=True)

    def _decide_titration(self, row: int, person: str, taken: float) -> None:
        self._with_clinician[self.log.rows[row].patient] = False
        self._decide(row, person, taken)

    def _decide_alert(self, row: int, person: str, taken: float) -> None:
        """The patient raises no other alert for a while."""
        self._quiet_until[self.log.rows[row].patient] = self.run.now + self.care.alerts.quiet
        self._decide(row, person, taken)

    def _decide(self, row: int, person: str, taken: float) -> None:
        """A clinician measures, and accepts, modifies or rejects what is recommended."""
        entry = self.log.rows[row]
        cuff, wanted = self._measure(entry.patient)
        decision = "accepted" if wanted == entry.step else "rejected" if wanted == 0 else "modified"
        change = self.patients.change(entry.patient, wanted, self.run.now)
        entry.settle(decision, change, person, taken, self.run.now, cuff)

    def _measure(self, patient: int) -> tuple[float, int]:
        """A better measurement, and the steps that a clinician would take: no increase before the last has settled."""
        cuff = self.patients.cuff(patient)
        wanted = self._steps(cuff)
        dose, most = int(self.patients.dose[patient]), self.care.regimen.doses
        wanted = min(max(wanted, -dose), most - dose)
        if wanted > 0 and self.run.now < self.patients.changed[patient] + self.care.regimen.settle:
            wanted = 0
        return cuff, wanted

    def _steps(self, pressure: float) -> int:
        regimen = self.care.regimen
        return int(kernel.titration(pressure, regimen.low, regimen.high, regimen.per_step, regimen.largest))

    def _invite(self) -> None:
        """Patients whose visit is due."""
        invited = np.flatnonzero(self._due <= self.run.now)
        for patient, length in self._lengths("visit", self.care.visits.duration, invited):
            self._due[patient] = math.inf
            self.clinic.ask(VISIT, "visit", length, partial(self._visit, patient))

    def _visit(self, patient: int, person: str, taken: float) -> None:
        """Measure, adjust, and come again later where all is well."""
        visits, regimen = self.care.visits, self.care.regimen
        cuff, wanted = self._measure(patient)
        self.patients.change(patient, wanted, self.run.now)
        stable = regimen.low <= cuff <= regimen.high
        interval = self._interval[patient] * (visits.longer if stable else visits.shorter)
        self._interval[patient] = min(max(interval, visits.shortest), visits.longest)
        self._due[patient] = self.run.now + self._interval[patient]
        self.log.visits[min(int(self.run.now), self.days - 1)] += 1

    def _worked(self, person: str, task: str, start: float, end: float) -> None:
        self.run.ledger.post("review", (end - start) * self.care.clinicians.hourly_cost)
        self.run.work.append(Work(person, "clinician", task, start, end))
        self.log.worked[min(int(start + 1e-9), self.days - 1)] += end - start


def _or_more(limit: float | None) -> float:
    return math.inf if limit is None else limit


def _or_less(limit: int | None) -> float:
    return -math.inf if limit is None else limit
