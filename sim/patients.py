"""The patients of a run: who they are, how their days go, and what a cuff says of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scenarios.care import Care, Hazard
from sim.kernels import patients as kernel
from sim.kernels.sampling import normal_once
from sim.world import World

Array = NDArray[np.float64]


class Day(NamedTuple):
    """What a day has brought; pressure and reading (n,), harm (2, n)."""

    pressure: Array
    reading: Array
    harm: NDArray[np.bool_]


class Patients:
    """All patients, as rows of arrays. What they are like belongs to the world, the doses that they take to the run."""

    def __init__(self, care: Care, world: World, days: int) -> None:
        people = care.patients
        luck = world.stream("care: patients")
        self.care, self.world, self.number = care, world, people.number
        draws = luck.standard_normal((7, people.number))
        spread = (
            (people.untreated, people.untreated_sd),
            (people.season, people.season_sd),
            (people.trend, people.trend_sd),
            (people.sensitivity, people.sensitivity_sd),
        )
        traits = [mean + sd * z for (mean, sd), z in zip(spread, draws, strict=False)]
        traits[kernel.SENSITIVITY] = np.maximum(traits[kernel.SENSITIVITY], 0.0)  # no drug raises pressure
        self.traits = np.vstack([*traits, _adherence(care, draws[4]), draws[5]])
        self.slice = np.searchsorted(
            np.cumsum(world.scenario.slice_weights)[:-1], luck.random(people.number), side="right"
        )
        """Slice of the scenario that each belongs to."""
        self.state = np.vstack([people.swing_sd * draws[6], np.zeros(people.number)])
        self.dose = np.full(people.number, people.first_dose, dtype=np.int64)
        self.state[kernel.EFFECT] = (
            self.traits[kernel.SENSITIVITY] * self.dose * self.traits[kernel.ADHERENCE]
        )
        self.lived = 0
        """Days that are over."""
        self.changed = np.full(people.number, -math.inf)
        """Day of the last change of dose."""
        self.pressure = np.full((days, people.number), np.nan)
        self.reading = np.full((days, people.number), np.nan)
        self._nature, self._sensor = _nature(care), _sensor(care)
        self._days_key, self._cuff_key = world.key("care: days"), world.key("care: cuff")

    def live(self, day: int, factor: Array, bias: Array) -> Day:
        """Play a day. factor, bias (n,): of the model's errors on that day, and of its estimates (mmHg)."""
        harm = np.zeros((2, self.number), dtype=np.bool_)
        found = Day(self.pressure[day], self.reading[day], harm)
        kernel.live_a_day(
            self._days_key,
            day,
            self.traits,
            self.state,
            self.dose,
            self._nature,
            self._sensor,
            factor,
            bias,
            *found,
        )
        self.lived = day + 1
        return found

    def change(self, patient: int, steps: int, now: float) -> int:
        """Change a dose by some steps from day `now` on, within the regimen; how many it really was."""
        before = int(self.dose[patient])
        after = min(max(before + steps, 0), self.care.regimen.doses)
        if after != before:
            self.dose[patient], self.changed[patient] = after, now
        return after - before

    def cuff(self, patient: int) -> float:
        """What a clinician measures now: the mean true pressure of the trailing days, with an error (mmHg)."""
        clinicians = self.care.clinicians
        day = self.lived
        first = max(day - round(clinicians.cuff_days), 0)
        luck = normal_once(self._cuff_key, day * self.number + patient)
        mean = kernel.mean_pressure(self.pressure, patient, first, day)
        return float(mean) + clinicians.cuff_error * luck

    def trailing(
        self, day: int, window: int, since: NDArray[np.int64]
    ) -> tuple[Array, Array, NDArray[np.int64]]:
        """Mean of the readings of the `window` days up to `day`, its standard error, their number; (n,) each."""
        mean, error = np.empty(self.number), np.empty(self.number)
        days = np.empty(self.number, dtype=np.int64)
        known = self.care.sensor.patient_error
        kernel.trailing(self.reading, day, window, since, known, mean, error, days)
        return mean, error, days

    def settled_since(self) -> NDArray[np.int64]:
        """First day whose reading tells about the dose that each takes now, (n,)."""
        return np.maximum(np.ceil(self.changed + self.care.regimen.settle), 0.0).astype(np.int64)


def _adherence(care: Care, draws: Array) -> Array:
    """Share of the days on which each takes the dose: normal log odds around those of the median patient."""
    share = care.patients.adherence
    if share in (0.0, 1.0):
        return np.full(len(draws), share)
    odds = math.log(share / (1.0 - share)) + care.patients.adherence_spread * draws
    return np.asarray(1.0 / (1.0 + np.exp(-odds)))


def _nature(care: Care) -> Array:
    people, harm = care.patients, care.harm

    def hazard(plan: Hazard) -> tuple[float, float, float]:
        return plan.rate, plan.at, plan.scale

    return np.array(
        [
            math.exp(-1.0 / people.swing_time),
            people.swing_sd,
            -math.expm1(-1.0 / people.onset),
            people.season_peak,
            *hazard(harm.hypotension),
            *hazard(harm.crisis),
        ]
    )


def _sensor(care: Care) -> Array:
    sensor = care.sensor
    return np.array(
        [sensor.patient_error, sensor.daily_error, sensor.motion, sensor.motion_error, sensor.lost]
    )
