"""What a monitor can see: thresholds for a rate of false alarms, rows for a shift, and the delay that follows.

>>> monitor = FeatureMonitor("psi", features=20, cadence="1h", false_alarms="1/quarter")
>>> round(monitor.threshold(rows=1000), 4)
0.0378
>>> monitor.rows_needed(shift=0.2, within="1d").in_all
9360.0
>>> print(monitor.delay(shift=0.2, rows_per_day=24_000).table().round(3).to_string())
                                       days    time
mean                                  0.068  1.64 h
with probability 0.95                 0.167     4 h
time to 1000 samples (rule of thumb)  0.042     1 h

A feature monitor looks at `features` features once each `cadence`, at rows that came since the last look, and calls
when the score of any of them passes its threshold. Looks and features count as independent: with trailing windows
that overlap, or features that go together, false alarms come in bunches and fewer of them than asked for.
Thresholds and powers belong to a number of rows: double the traffic and both change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis import detection_power as power_of
from analysis.detection_power import (
    ks_threshold,
    proportion_detectable_drop,
    proportion_power,
    proportion_rows_needed,
)
from analysis.experiment_economics import detection_time
from analysis.ranges import INSIDE, POSITIVE
from analysis.run_lengths import (
    cusum_run_length,
    design_cusum,
    design_ewma,
    ewma_run_length,
    shewhart_run_length,
)
from scenarios.monitoring import SOURCE_THRESHOLDS
from scenarios.units import DURATION, EVENT_RATE, format_duration
from sim.distribution_scores import null_family, pseudo_count_of
from sim.null_distributions import SMALLEST_LEVEL, NullFamily, family_wise_probability

__all__ = [
    "SAMPLES_OF_THE_SOURCE",
    "Delay",
    "FeatureMonitor",
    "NullFamily",
    "ProportionMonitor",
    "RowsNeeded",
    "cusum_run_length",
    "design_cusum",
    "design_ewma",
    "ewma_run_length",
    "family_wise_probability",
    "ks_threshold",
    "per_day",
    "proportion_detectable_drop",
    "proportion_power",
    "proportion_rows_needed",
    "shewhart_run_length",
]

SAMPLES_OF_THE_SOURCE = 1000
"""Rule of thumb for a drop of 5 points at 95 % confidence. Source: 'Drift Detection Delay'."""
_ONSETS = np.polynomial.legendre.leggauss(5)


def per_day(rate: str | float) -> float:
    """Rate a day of '1/quarter', '4/y', '2/week' and the like; a number is a rate a day already. > 0.

    >>> round(per_day("1/quarter"), 6), per_day("2/d"), per_day(0.5)
    (0.010959, 2.0, 0.5)
    """
    if not isinstance(rate, str):
        return float(POSITIVE.check("rate", rate, "a day"))
    return float(POSITIVE.check("rate", EVENT_RATE.parse(rate), "a day"))


def _days(duration: str | float) -> float:
    """Days of '1h' and the like; a number is in days already. > 0."""
    days = DURATION.parse(duration) if isinstance(duration, str) else duration
    return float(POSITIVE.check("duration", days, "days"))


def _chance_a_look(false_alarms: str | float, cadence: str | float) -> float:
    chance = per_day(false_alarms) * _days(cadence)
    if not chance < 1.0:
        raise ValueError(
            f"false_alarms: got {false_alarms!r}, which is {chance:.3g} a look at a cadence of {cadence!r}, "
            "expected fewer than one a look"
        )
    return chance


class RowsNeeded(NamedTuple):
    """Rows with which a change is seen in time."""

    per_look: float
    """Rows of each look; infinite where no number is enough."""
    looks: int
    """Looks within the time."""
    in_all: float
    """Rows of all the looks."""
    rule_of_thumb: int
    """The source's 1000 samples, whatever the change."""


@dataclass(frozen=True)
class Delay:
    """How long a change stays unseen: looks at full windows are independent, each sees it with `power_a_look`."""

    cadence: float
    """Days between looks."""
    rows_a_look: float
    power_a_look: float
    """Of a window that lies after the change."""
    power_of_first_look: float
    """Mean power of the look whose window the change falls into."""
    rows_a_day: float

    @property
    def mean(self) -> float:
        """Expected days from the change, at any moment between two looks, to the call."""
        if self.power_a_look == 0.0:
            return math.inf
        return self.cadence * (0.5 + (1.0 - self.power_of_first_look) / self.power_a_look)

    def within(self, probability: float) -> float:
        """Days in which the call comes with at least `probability`, wherever between two looks the change falls."""
        wanted = float(INSIDE.check("probability", probability))
        if self.power_a_look == 0.0:
            return math.inf
        silent = 1.0 - self.power_a_look
        looks = 1 if silent <= 1.0 - wanted else math.ceil(math.log(1.0 - wanted) / math.log(silent) - 1e-9)
        return self.cadence * (looks + 1)

    @property
    def rule_of_thumb(self) -> float:
        """Days until 1000 samples have come. Source: 'Drift Detection Delay'."""
        return float(detection_time(SAMPLES_OF_THE_SOURCE, labels_per_day=self.rows_a_day))

    def table(self) -> pd.DataFrame:
        """The delay beside the source's rule, a row each, in days and as text."""
        days = {
            "mean": self.mean,
            "with probability 0.95": self.within(0.95),
            "time to 1000 samples (rule of thumb)": self.rule_of_thumb,
        }
        frame = pd.DataFrame({"days": days})
        frame["time"] = [format_duration(value) for value in frame["days"]]
        return frame


@dataclass(frozen=True)
class FeatureMonitor:
    """A score of features in equal-frequency bins, compared with a threshold at every look.

    score: one of `sim.null_distributions.SCORES`, as the engine computes it (KS in bins)
    features: looked at, >= 1; cadence: time between looks ('1h', or days)
    false_alarms: wanted of the whole monitor ('1/quarter', '4/y', or a day)
    bins: >= 2, learned on `reference_rows` rows (infinity: on the population)
    Raises ValueError outside these ranges.
    """

    score: str = "psi"
    features: int = 1
    cadence: str | float = "1h"
    false_alarms: str | float = "1/quarter"
    bins: int = 10
    reference_rows: float = 100_000

    def __post_init__(self) -> None:
        if isinstance(self.features, bool) or int(self.features) != self.features or self.features < 1:
            raise ValueError(f"features: got {self.features!r}, expected a whole number >= 1")
        # All that can be wrong is refused when the monitor is described, not at the first question.
        _ = self.probability, self.family

    @cached_property
    def family(self) -> NullFamily:
        """Null distributions of the score, by rows."""
        return null_family(self.score, self.bins, self.reference_rows, pseudo_count_of(self.score))

    @cached_property
    def probability(self) -> float:
        """False alarm probability of one feature at one look."""
        chance = _chance_a_look(self.false_alarms, self.cadence)
        each = float(family_wise_probability(chance, self.features))
        if each < SMALLEST_LEVEL:
            raise ValueError(
                f"false_alarms: got {self.false_alarms!r}, which is {each:.2g} a feature and look, "
                f"expected at least {SMALLEST_LEVEL:g}"
            )
        return each

    def threshold(self, rows: float) -> float:
        """Score above which the monitor calls at a look of `rows` rows, >= 1, to have the wanted false alarms."""
        return self.family.at(rows).threshold(self.probability)

    def false_alarms_a_day(self, threshold: float, rows: float) -> float:
        """False alarms a day with another threshold: looks at which some feature passes it by chance."""
        each = float(self.family.at(rows).p_value(threshold))
        return float(-np.expm1(self.features * np.log1p(-min(each, 1.0 - 1e-16)))) / _days(self.cadence)

    def threshold_table(self, rows: float) -> pd.DataFrame:
        """The threshold at looks of `rows` rows, the source's beside it: false alarms and smallest shift seen."""
        thresholds = {"calibrated": self.threshold(rows)}
        if self.score in SOURCE_THRESHOLDS:
            thresholds["of the source"] = SOURCE_THRESHOLDS[self.score]
        alarms = [self.false_alarms_a_day(value, rows) for value in thresholds.values()]
        return pd.DataFrame(
            {
                "threshold": list(thresholds.values()),
                "false_alarms_per_day": alarms,
                "detectable_shift": [
                    power_of.shift_above(self.family, value, round(rows), self.reference_rows, 0.8)
                    for value in thresholds.values()
                ],
            },
            index=pd.Index(thresholds, name="threshold set"),
        )

    def power(self, shift: float, rows: int) -> float:
        """Probability that a feature whose mean moved by `shift` SDs passes at one look of `rows` rows."""
        return power_of.feature_power(self.family, shift, rows, self.reference_rows, self.probability)

    def detectable_shift(self, rows: int, power: float = 0.8) -> float:
        """Smallest shift, in SDs, seen with `power` at one look of `rows` rows."""
        return power_of.feature_detectable_shift(
            self.family, rows, self.reference_rows, self.probability, power
        )

    def rows_needed(
        self, shift: float, *, within: str | float | None = None, power: float = 0.8
    ) -> RowsNeeded:
        """Rows with which `shift` SDs in one feature are seen with `power`, at one look or `within` a time."""
        looks = _looks(within, self.cadence)
        each = -math.expm1(math.log1p(-float(INSIDE.check("power", power))) / looks)
        rows = power_of.feature_rows_needed(self.family, shift, self.reference_rows, self.probability, each)
        return RowsNeeded(rows, looks, rows * looks, SAMPLES_OF_THE_SOURCE)

    def delay(self, shift: float, *, rows_per_day: float, most_rows: float = math.inf) -> Delay:
        """Time from a jump of one feature by `shift` SDs to the call, at a rate of traffic.

        rows_per_day: > 0, of which a look takes those since the last, up to `most_rows`, but at least one
        """
        cadence, rate = _days(self.cadence), float(POSITIVE.check("rows_per_day", rows_per_day))
        rows = _rows_a_look(rate, cadence, most_rows)
        # A window that the change falls into has moved in the mean by the share of it that lies after.
        shares, weights = 0.5 * (_ONSETS[0] + 1.0), 0.5 * _ONSETS[1]
        first = sum(
            weight * self.power(share * shift, rows) for share, weight in zip(shares, weights, strict=True)
        )
        return Delay(cadence, rows, self.power(shift, rows), float(first), rate)


@dataclass(frozen=True)
class ProportionMonitor:
    """A proportion, such as an accuracy, that is compared with its known baseline at every look; all exact.

    baseline: in (0, 1); proportions: watched side by side (slices), >= 1; the others as in `FeatureMonitor`
    """

    baseline: float
    proportions: int = 1
    cadence: str | float = "1d"
    false_alarms: str | float = "1/quarter"

    def __post_init__(self) -> None:
        INSIDE.check("baseline", self.baseline)
        _ = self.probability

    @cached_property
    def probability(self) -> float:
        """False alarm probability of one proportion at one look."""
        chance = _chance_a_look(self.false_alarms, self.cadence)
        return float(family_wise_probability(chance, self.proportions))

    def threshold(self, rows: int) -> float:
        """Largest proportion at which the monitor calls; NaN if so few rows cannot call at all."""
        successes = power_of.critical_successes(self.baseline, rows, self.probability)
        return successes / rows if successes >= 0 else math.nan

    def power(self, drop: float, rows: int) -> float:
        """Probability that a fall by `drop` is seen at one look of `rows` rows."""
        return float(proportion_power(self.baseline, self.baseline - drop, rows, self.probability))

    def detectable_drop(self, rows: int, power: float = 0.8) -> float:
        """Smallest drop seen with `power` at one look of `rows` rows."""
        return proportion_detectable_drop(self.baseline, rows, self.probability, power)

    def rows_needed(
        self, drop: float, *, within: str | float | None = None, power: float = 0.8
    ) -> RowsNeeded:
        """Rows with which a fall by `drop` is seen with `power`, at one look or `within` a time."""
        looks = _looks(within, self.cadence)
        each = -math.expm1(math.log1p(-float(INSIDE.check("power", power))) / looks)
        rows = proportion_rows_needed(self.baseline, self.baseline - drop, self.probability, each)
        return RowsNeeded(rows, looks, rows * looks, SAMPLES_OF_THE_SOURCE)

    def delay(self, drop: float, *, rows_per_day: float, most_rows: float = math.inf) -> Delay:
        """Time from a fall by `drop` to the call, at a rate of labelled rows."""
        cadence, rate = _days(self.cadence), float(POSITIVE.check("rows_per_day", rows_per_day))
        rows = _rows_a_look(rate, cadence, most_rows)
        shares, weights = 0.5 * (_ONSETS[0] + 1.0), 0.5 * _ONSETS[1]
        first = sum(
            weight * self.power(share * drop, rows) for share, weight in zip(shares, weights, strict=True)
        )
        return Delay(cadence, rows, self.power(drop, rows), float(first), rate)


def _looks(within: str | float | None, cadence: str | float) -> int:
    if within is None:
        return 1
    looks = math.floor(_days(within) / _days(cadence) + 1e-9)
    if looks < 1:
        raise ValueError(f"within: got {within!r}, expected at least one look, {cadence!r}")
    return looks


def _rows_a_look(rows_per_day: float, cadence: float, most_rows: float) -> int:
    if not most_rows >= 1:
        raise ValueError(f"most_rows: got {most_rows}, expected a number >= 1, or infinity")
    rows = min(rows_per_day * cadence, most_rows)
    if rows < 1:
        raise ValueError(f"rows_per_day: got {rows_per_day:g}, expected at least one row a look")
    return round(rows)
