"""Statistics of times to detection, some of which were cut off, and of rates of rare events."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.intervals import LEVEL, Interval, check_level, mean_interval
from analysis.ranges import INSIDE, NON_NEGATIVE, POSITIVE

Array = NDArray[np.float64]
_TIE = 1e-9
"""Days; delays that differ by less are the same look."""


def detection_curve(delay: ArrayLike, watched: ArrayLike) -> tuple[Array, Array]:
    """Chance of being detected by a time since the onset: the times at which it rises, and what it is from there on.

    delay: (incidents,) days to detection, NaN where there was none; watched: (incidents,) days from the onset to the
    end of the run, >= delay. One cut off by the end of the run counts for as long as it was watched; one that healed
    unseen stays in the count up to there, for it would never have been detected. Without incidents that heal this is
    one minus the estimate of Kaplan and Meier (1958); with them the cumulative incidence of Fine and Gray (1999) under
    known censoring times. Raises ValueError for unequal lengths, and for an incident watched shorter than its delay.

    >>> times, chance = detection_curve([1.0, 2.0, np.nan, np.nan], [9.0, 9.0, 1.5, 9.0])
    >>> times.tolist(), chance.round(3).tolist()
    ([1.0, 2.0], [0.25, 0.625])
    """
    found, most = np.asarray(delay, dtype=np.float64), np.asarray(watched, dtype=np.float64)
    if found.shape != most.shape or found.ndim != 1:
        raise ValueError(f"delay and watched: got shapes {found.shape} and {most.shape}, expected one each")
    seen = ~np.isnan(found)
    if (found[seen] > most[seen] + _TIE).any():
        raise ValueError("watched: an incident was detected after it, expected at least the delay")
    last = np.sort(np.where(seen, found, most))
    times = np.sort(found[seen])
    times = times[np.diff(times, prepend=-np.inf) > _TIE]
    at_risk = len(last) - np.searchsorted(last, times - _TIE)
    events = np.diff(np.searchsorted(np.sort(found[seen]), times + _TIE, side="right"), prepend=0)
    return times, np.asarray(1.0 - np.cumprod(1.0 - events / np.maximum(at_risk, 1)))


def detection_quantile(delay: ArrayLike, watched: ArrayLike, probability: float) -> float:
    """Days by which an incident is detected with a probability; NaN where so many are not. Arguments as above.

    >>> detection_quantile([1.0, 2.0, 3.0, np.nan], [9.0] * 4, 0.5)
    2.0
    >>> detection_quantile([1.0, np.nan, np.nan], [9.0] * 3, 0.5)
    nan
    """
    times, chance = detection_curve(delay, watched)
    reached = np.flatnonzero(chance >= float(INSIDE.check("probability", probability)) - 1e-12)
    return float(times[reached[0]]) if len(reached) else float("nan")


def non_negative_mean(values: ArrayLike, level: float = LEVEL) -> Interval:
    """Mean of what cannot be below 0, such as costs and delays, with its t interval; NaN values are left out.

    values: any number of them, >= 0; level: confidence in (0, 1). Raises ValueError for another level.

    >>> non_negative_mean([0.0, 0.0, 3.0]).low, non_negative_mean([1.0]).low
    (0.0, nan)
    """
    found = mean_interval(values, level)
    # Student's t is symmetric: of few and skewed values its interval reaches below 0, where no mean can be.
    return found._replace(low=float(np.maximum(found.low, 0.0)))


def poisson_interval(count: float, exposure: float, level: float = LEVEL) -> Interval:
    """Rate of rare events with its exact interval: `count` of them, >= 0, in `exposure` units of time, > 0.

    Exact for a Poisson count; events that come in bunches have a wider one. Source: Garwood (1936).

    >>> [round(bound, 3) for bound in poisson_interval(0, 1.0)], [round(b, 3) for b in poisson_interval(10, 2.0)]
    ([0.0, 0.0, 3.689], [5.0, 2.398, 9.195])
    """
    from scipy.special import chdtri

    check_level(level)
    number = float(NON_NEGATIVE.check("count", count))
    time = float(POSITIVE.check("exposure", exposure))
    tail = 0.5 * (1.0 - level)
    low = 0.0 if number == 0.0 else 0.5 * float(chdtri(2.0 * number, 1.0 - tail))
    return Interval(number / time, low / time, 0.5 * float(chdtri(2.0 * number + 2.0, tail)) / time)
