"""Patients, a day at a time: pressure, what the wrist says of it, harm; and what a model makes of the days.

Tables have a row for each figure, named by the constants below, and a column for each patient. What a day brings to
a patient is a pure function of (key, day, patient), whatever doses are taken and whoever is looked at.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.kernels.sampling import next_normal, next_uniform, stream

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

UNTREATED, SEASON, TREND, SENSITIVITY, ADHERENCE, ERROR = 0, 1, 2, 3, 4, 5  # rows of traits
SWING, EFFECT = 0, 1  # rows of state
KEEP, SWING_SD, GAIN, PEAK = 0, 1, 2, 3  # of nature
LOW_RATE, LOW_AT, LOW_SCALE, HIGH_RATE, HIGH_AT, HIGH_SCALE = 4, 5, 6, 7, 8, 9
PATIENT_ERROR, DAILY_ERROR, MOTION, MOTION_ERROR, LOST = 0, 1, 2, 3, 4  # of sensor
HYPOTENSION, CRISIS = 0, 1  # rows of harm
DAYS_PER_YEAR = 365.0
_STEEPEST = 30.0
"""Largest exponent of a hazard: beyond it somebody is harmed for certain."""


@njit(cache=True)
def chance(rate: float, distance: float) -> float:
    """Chance of an event in a day at `rate` exp(distance), per day."""
    return -math.expm1(-rate * math.exp(min(distance, _STEEPEST)))


@njit(cache=True)
def live_a_day(
    key: np.uint64,
    day: int,
    traits: Floats,
    state: Floats,
    dose: Integers,
    nature: Floats,
    sensor: Floats,
    factor: Floats,
    bias: Floats,
    pressure: Floats,
    reading: Floats,
    harm: NDArray[np.bool_],
) -> None:
    """Play one day of all patients: advance `state`, write their pressure, the model's reading of it, and harm.

    traits (6, n), state (2, n), nature (10,), sensor (5,): see the constants; dose (n,): steps
    factor, bias (n,): of the model's errors on that day, and of its estimates (mmHg)
    pressure, reading (n,): mmHg, reading is NaN on a day without one; harm (2, n): whether it happened
    """
    year = math.cos(2.0 * math.pi * (day - nature[PEAK]) / DAYS_PER_YEAR)
    fresh = math.sqrt(1.0 - nature[KEEP] * nature[KEEP]) * nature[SWING_SD]
    for p in range(dose.shape[0]):
        luck = stream(key, day, p)
        move, luck = next_normal(luck)
        daily, luck = next_normal(luck)
        motion, luck = next_normal(luck)
        takes, luck = next_uniform(luck)
        moves, luck = next_uniform(luck)
        loses, luck = next_uniform(luck)
        falls, luck = next_uniform(luck)
        bursts, luck = next_uniform(luck)
        swing = nature[KEEP] * state[SWING, p] + fresh * move
        taken = dose[p] if takes < traits[ADHERENCE, p] else 0
        effect = state[EFFECT, p] + nature[GAIN] * (traits[SENSITIVITY, p] * taken - state[EFFECT, p])
        state[SWING, p], state[EFFECT, p] = swing, effect
        usual = traits[UNTREATED, p] + traits[SEASON, p] * year + traits[TREND, p] * day
        true = usual + swing - effect
        error = sensor[PATIENT_ERROR] * traits[ERROR, p] + sensor[DAILY_ERROR] * daily
        seen = true + bias[p] + factor[p] * error
        if moves < sensor[MOTION]:
            seen += sensor[MOTION_ERROR] * motion
        pressure[p] = true
        reading[p] = np.nan if loses < sensor[LOST] else seen
        low = (nature[LOW_AT] - true) / nature[LOW_SCALE]
        high = (true - nature[HIGH_AT]) / nature[HIGH_SCALE]
        harm[HYPOTENSION, p] = falls < chance(nature[LOW_RATE], low)
        harm[CRISIS, p] = bursts < chance(nature[HIGH_RATE], high)


@njit(cache=True)
def trailing(
    reading: Floats,
    last: int,
    window: int,
    since: Integers,
    known: float,
    mean: Floats,
    error: Floats,
    days: Integers,
) -> None:
    """Mean of each patient's readings of the `window` days up to day `last`, its standard error, and their number.

    reading: (days, n), NaN where there is none; since: (n,), first day that counts; known: error of the model that
    does not average out, as it was validated (mmHg). mean, error, days: (n,), written; error is infinite for fewer
    than two readings, mean NaN without any.
    """
    for p in range(mean.shape[0]):
        number, average, spread = 0, 0.0, 0.0
        for day in range(max(last - window + 1, since[p], 0), last + 1):
            x = reading[day, p]
            if not np.isnan(x):
                number += 1
                away = x - average
                average += away / number
                spread += away * (x - average)
        days[p] = number
        mean[p] = average if number else np.nan
        error[p] = math.sqrt(spread / (number - 1) / number + known * known) if number > 1 else np.inf


@njit(cache=True)
def mean_pressure(pressure: Floats, patient: int, first: int, stop: int) -> float:
    """Mean pressure of a patient on days first..stop-1; pressure: (days, n)."""
    total = 0.0
    for day in range(first, stop):
        total += pressure[day, patient]
    return total / (stop - first)


@njit(cache=True)
def titration(mean: float, low: float, high: float, per_step: float, largest: int) -> int:
    """Steps of the dose that bring a pressure back into range, 0 where it is in range or NaN; at most `largest`."""
    if mean > high:
        return min(math.ceil((mean - high) / per_step), largest)
    if mean < low:
        return -min(math.ceil((low - mean) / per_step), largest)
    return 0


@njit(cache=True)
def confidence(mean: float, error: float, low: float, high: float, step: int) -> float:
    """Chance by a normal law that the pressure is where a step of this direction says: above, below or within range."""
    if not error < np.inf:
        return 0.0
    if error == 0.0:
        return 1.0
    root = error * math.sqrt(2.0)
    above = 0.5 * math.erfc((high - mean) / root)
    below = 0.5 * math.erfc((mean - low) / root)
    return above if step > 0 else below if step < 0 else 1.0 - above - below


@njit(cache=True)
def recommendations(
    mean: Floats,
    error: Floats,
    dose: Integers,
    low: float,
    high: float,
    per_step: float,
    largest: int,
    doses: int,
    step: Integers,
    sure: Floats,
) -> None:
    """Write the step that is recommended to each patient, within doses 0..doses, and its confidence; all (n,)."""
    for p in range(mean.shape[0]):
        wanted = titration(mean[p], low, high, per_step, largest)
        step[p] = min(max(wanted, -dose[p]), doses - dose[p])
        sure[p] = confidence(mean[p], error[p], low, high, wanted)
