"""Patients in plain Python: one of them, one day after the other, number by number."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from scenarios.care import Care
from sim.kernels import sampling
from sim.kernels.patients import ADHERENCE, ERROR, SEASON, SENSITIVITY, TREND, UNTREATED


class PlainDay(NamedTuple):
    pressure: float
    reading: float
    hypotension: bool
    crisis: bool


class PlainPatient:
    """One patient; traits: the column of the table of traits."""

    def __init__(
        self, care: Care, key: int, number: int, traits: list[float], swing: float, effect: float
    ) -> None:
        self.care, self.key, self.number, self.traits = care, key, number, traits
        self.swing, self.effect = swing, effect

    def live(self, day: int, dose: int, factor: float, bias: float) -> PlainDay:
        people, sensor, harm = self.care.patients, self.care.sensor, self.care.harm
        luck = sampling.stream(self.key, day, self.number)
        normals, uniforms = [], []
        for _ in range(3):
            number, luck = sampling.next_normal(np.uint64(luck))
            normals.append(number)
        for _ in range(5):
            number, luck = sampling.next_uniform(np.uint64(luck))
            uniforms.append(number)
        stays = math.exp(-1.0 / people.swing_time)
        self.swing = stays * self.swing + math.sqrt(1.0 - stays**2) * people.swing_sd * normals[0]
        taken = dose if uniforms[0] < self.traits[ADHERENCE] else 0
        reached = 1.0 - math.exp(-1.0 / people.onset)
        self.effect += reached * (self.traits[SENSITIVITY] * taken - self.effect)
        winter = math.cos(2.0 * math.pi * (day - people.season_peak) / 365.0)
        usual = self.traits[UNTREATED] + self.traits[SEASON] * winter + self.traits[TREND] * day
        pressure = usual + self.swing - self.effect
        reading = pressure + bias
        reading += factor * (sensor.patient_error * self.traits[ERROR] + sensor.daily_error * normals[1])
        if uniforms[1] < sensor.motion:
            reading += sensor.motion_error * normals[2]
        if uniforms[2] < sensor.lost:
            reading = math.nan
        low = harm.hypotension.rate * math.exp((harm.hypotension.at - pressure) / harm.hypotension.scale)
        high = harm.crisis.rate * math.exp((pressure - harm.crisis.at) / harm.crisis.scale)
        return PlainDay(
            pressure, reading, uniforms[3] < 1.0 - math.exp(-low), uniforms[4] < 1.0 - math.exp(-high)
        )


def plain_trailing(readings: list[float], window: int, since: int, known: float) -> tuple[float, float, int]:
    """Mean of the last readings from day `since` on, its standard error, and how many there are."""
    found = [x for day, x in enumerate(readings) if day > len(readings) - 1 - window and day >= since]
    found = [x for x in found if not math.isnan(x)]
    if not found:
        return math.nan, math.inf, 0
    mean = math.fsum(found) / len(found)
    if len(found) == 1:
        return mean, math.inf, 1
    variance = math.fsum((x - mean) ** 2 for x in found) / (len(found) - 1)
    return mean, math.sqrt(variance / len(found) + known**2), len(found)
