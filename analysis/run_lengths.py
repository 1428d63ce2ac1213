"""Run lengths of control charts: how many samples pass until a CUSUM, EWMA or Shewhart chart calls.

Samples are independent, normal with SD 1 and mean `shift`; in control the shift is 0. The chart's statistic is
taken to one of many states, and its moves are a Markov chain. All run lengths are zero-state: the shift is there
from the first sample. A monitor that looks every hour turns a run length into hours.

Sources: Brook and Evans, 'An approach to the probability distribution of CUSUM run length', Biometrika 59, 1972;
Lucas and Crosier, 'Fast initial response for CUSUM quality-control schemes', Technometrics 24, 1982; Lucas and
Saccucci, 'Exponentially weighted moving average control schemes', Technometrics 32, 1990.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import ndtr, ndtri

from analysis.ranges import INSIDE, NON_NEGATIVE, POSITIVE, Range

Array = NDArray[np.float64]

_STATES = 201
_MOST_STATES = (
    801  # up to here 25 a SD; at h = 100 they are 0.12 SDs apart and the run length is right to 1 %
)
_LARGEST_INTERVAL = 100.0
_INTERVAL = Range(
    f"a number > 0 and at most {_LARGEST_INTERVAL:g} (SDs)", lambda v: (v > 0) & (v <= _LARGEST_INTERVAL)
)
_FINITE = Range("a finite number (SDs)", np.isfinite)
_WANTED = Range("a number > 1 and at most 1e12 (samples)", lambda v: (v > 1) & (v <= 1e12))
_SMOOTHING = Range("a fraction in [0.001, 1]", lambda v: (v >= 1e-3) & (v <= 1))
_LARGEST_WIDTH = 12.0
_NEVER = 1e13  # samples; the mean of a chain loses its last digits beyond


def _steps_left(moves: Array) -> Array:
    """Mean number of steps until the chain leaves, from each state; infinite where float64 sees no end."""
    try:
        mean = np.linalg.solve(np.eye(len(moves)) - moves, np.ones(len(moves)))
    except np.linalg.LinAlgError:
        return np.full(len(moves), math.inf)
    return np.where((mean > 0.0) & (mean < _NEVER), mean, math.inf)


class _Chain(NamedTuple):
    """Moves between the states in which the chart is silent, and the state it starts in."""

    moves: Array
    start: int

    def mean(self) -> float:
        """Mean number of steps until the chain leaves; infinite where float64 cannot tell it from never."""
        return float(_steps_left(self.moves)[self.start])

    def quantile(self, probability: float) -> int:
        """Smallest number of steps by which the chain has left with at least `probability`."""
        if math.isinf(self.mean()):
            raise ValueError(f"the chart runs longer than {_NEVER:g} samples: expected a narrower one")
        powers = [self.moves]
        while powers[-1][self.start].sum() > 1.0 - probability:
            powers.append(powers[-1] @ powers[-1])
        place = np.zeros(len(self.moves))
        place[self.start] = 1.0
        steps = 0
        for exponent in range(len(powers) - 1, -1, -1):
            further = place @ powers[exponent]
            if further.sum() > 1.0 - probability:
                place, steps = further, steps + 2**exponent
        return steps + 1


def _cusum_chain(k: float, h: float, shift: float, head_start: float) -> _Chain:
    """Upper CUSUM S = max(0, S + x - k) in states 0, w, 2w, ..., whose last one ends at h."""
    states = min(max(_STATES, round(25 * h)), _MOST_STATES)
    width = 2.0 * h / (2 * states - 1)
    step = np.arange(1 - states, states)
    below = ndtr((step + 0.5) * width + k - shift)  # by the move: P(S moves at most this far)
    moved = np.diff(below, prepend=ndtr((0.5 - states) * width + k - shift))
    place = np.arange(states)
    moves = moved[place[None, :] - place[:, None] + states - 1]
    moves[:, 0] = below[states - 1 - place]  # everything below falls to 0
    return _Chain(moves, min(round(head_start / width), states - 1))


def _sides(k: float, h: float, shift: float, head_start: float) -> tuple[float, float, float, float]:
    """Mean run lengths of the upper and the lower CUSUM, from 0 and from the head start."""
    values = [
        _cusum_chain(k, h, sign * shift, start).mean() for start in (0.0, head_start) for sign in (1.0, -1.0)
    ]
    return values[0], values[1], values[2], values[3]


def cusum_run_length(
    k: float, h: float, shift: float = 0.0, *, two_sided: bool = True, head_start: float = 0.0
) -> float:
    """Average run length, in samples, of a CUSUM that calls when S = max(0, S + x - k) passes h.

    k: allowance (reference value), >= 0; h: decision interval, in (0, 100]; shift: of the mean, any sign;
    all in SDs of a sample
    two_sided: with a second CUSUM of -x beside it; the run lengths combine as 1/ARL = 1/ARL+ + 1/ARL-
    head_start: where S starts, in [0, h]; h/2 is the usual fast initial response
    Raises ValueError outside these ranges. Source: Brook and Evans (1972), Lucas and Crosier (1982).

    >>> round(cusum_run_length(0.5, 5)), round(cusum_run_length(0.5, 5, shift=1), 1)
    (465, 10.4)
    """
    _check_cusum(k, h, shift, head_start)
    if not two_sided:
        return _cusum_chain(k, h, shift, head_start).mean()
    upper, lower, upper_head, lower_head = _sides(k, h, shift, head_start)
    if math.isinf(upper + lower):
        return min(upper_head, lower_head)  # of the side that calls at all
    return (upper_head * lower + upper * lower_head - upper * lower) / (upper + lower)


def cusum_run_length_quantiles(
    k: float, h: float, probabilities: ArrayLike, shift: float = 0.0, *, head_start: float = 0.0
) -> NDArray[np.int64]:
    """Samples by which a one-sided CUSUM has called with the given probabilities; arguments as above.

    probabilities: in (0, 1), any shape; the shape of the result.

    >>> cusum_run_length_quantiles(0.5, 5, [0.1, 0.5, 0.9], shift=1)
    array([ 5,  9, 17])
    """
    _check_cusum(k, h, shift, head_start)
    return _quantiles(_cusum_chain(k, h, shift, head_start), probabilities)


def _check_cusum(k: float, h: float, shift: float, head_start: float) -> None:
    NON_NEGATIVE.check("k", k, "SDs")
    _INTERVAL.check("h", h)
    _FINITE.check("shift", shift)
    if not 0 <= head_start <= h:
        raise ValueError(f"head_start: got {head_start}, expected a number in [0, h] = [0, {h:g}]")


def _quantiles(chain: _Chain, probabilities: ArrayLike) -> NDArray[np.int64]:
    wanted = INSIDE.check("probabilities", probabilities)
    return np.array([chain.quantile(float(p)) for p in wanted.ravel()], dtype=np.int64).reshape(wanted.shape)


def _ewma_moves(smoothing: float, shift: float, before: float, after: float) -> Array:
    """Moves of Z = (1 - smoothing) Z + smoothing x from states in [-before, before] to those in [-after, after]."""
    centre = (np.arange(_STATES) - _STATES // 2) * (2.0 * before / _STATES)
    edges = (np.arange(_STATES + 1) - 0.5 * _STATES) * (2.0 * after / _STATES)
    below = ndtr((edges[None, :] - (1.0 - smoothing) * centre[:, None]) / smoothing - shift)
    return np.asarray(np.diff(below, axis=1))


def ewma_run_length(
    smoothing: float,
    width: float,
    shift: float = 0.0,
    *,
    limits: Literal["asymptotic", "exact"] = "asymptotic",
) -> float:
    """Average run length, in samples, of a two-sided EWMA chart Z = (1 - smoothing) Z + smoothing x from Z = 0.

    smoothing: lambda, in [0.001, 1]; width: L, in (0, 12], limits at +- L SDs of Z; shift: of the mean, in SDs
    limits: with the SD that Z has in the end, or the exact one, which starts narrow
    Raises ValueError outside these ranges. Source: Lucas and Saccucci (1990).

    >>> round(ewma_run_length(0.1, 2.814)), round(ewma_run_length(0.1, 2.814, shift=1), 1)
    (499, 10.3)
    """
    _check_ewma(smoothing, width, shift)
    if limits not in ("asymptotic", "exact"):
        raise ValueError(f"limits: got {limits!r}, expected 'asymptotic' or 'exact'")
    end = width * math.sqrt(smoothing / (2.0 - smoothing))
    if limits == "asymptotic":
        return _ewma_chain(smoothing, width, shift).mean()
    place = np.zeros(_STATES)
    place[_STATES // 2] = 1.0
    mean, before, sample = 0.0, end, 1
    while True:
        after = end * math.sqrt(-math.expm1(2.0 * sample * math.log1p(-smoothing))) if smoothing < 1 else end
        mean += place.sum()
        place = place @ _ewma_moves(smoothing, shift, before, after)
        before, sample = after, sample + 1
        if end - after < 1e-5 * end:
            break
    left = _steps_left(_ewma_moves(smoothing, shift, end, end))
    return math.inf if np.isinf(left).any() else float(mean + place @ left)


def _ewma_chain(smoothing: float, width: float, shift: float) -> _Chain:
    end = width * math.sqrt(smoothing / (2.0 - smoothing))
    return _Chain(_ewma_moves(smoothing, shift, end, end), _STATES // 2)


def ewma_run_length_quantiles(
    smoothing: float, width: float, probabilities: ArrayLike, shift: float = 0.0
) -> NDArray[np.int64]:
    """Samples by which an EWMA chart (asymptotic limits) has called with the given probabilities, in (0, 1).

    >>> ewma_run_length_quantiles(0.1, 2.814, [0.1, 0.5, 0.9])
    array([  60,  349, 1139])
    """
    _check_ewma(smoothing, width, shift)
    return _quantiles(_ewma_chain(smoothing, width, shift), probabilities)


def _check_ewma(smoothing: float, width: float, shift: float) -> None:
    _SMOOTHING.check("smoothing", smoothing)
    if not 0 < width <= _LARGEST_WIDTH:
        raise ValueError(f"width: got {width}, expected a number > 0 and at most {_LARGEST_WIDTH:g} (SDs)")
    _FINITE.check("shift", shift)


def shewhart_run_length(width: float, shift: float = 0.0, *, two_sided: bool = True) -> float:
    """Average run length, in samples, of a chart that calls when one sample passes `width` > 0 SDs.

    >>> round(shewhart_run_length(3), 1), round(shewhart_run_length(3, shift=1), 1)
    (370.4, 43.9)
    """
    POSITIVE.check("width", width, "SDs")
    _FINITE.check("shift", shift)
    calls = ndtr(shift - width) + (ndtr(-shift - width) if two_sided else 0.0)
    return float(1.0 / calls) if calls > 0 else math.inf


# ---------------------------------------------------------------- design


class CusumDesign(NamedTuple):
    """A two-sided CUSUM and its average run lengths, in samples."""

    k: float
    h: float
    in_control: float
    out_of_control: float


class EwmaDesign(NamedTuple):
    """A two-sided EWMA chart and its average run lengths, in samples."""

    smoothing: float
    width: float
    in_control: float
    out_of_control: float


def design_cusum(in_control: float, shift: float, *, k: float | None = None) -> CusumDesign:
    """The two-sided CUSUM that runs `in_control` samples between false alarms, tuned to a shift of the mean.

    in_control: in (1, 1e12] samples; shift: > 0 SDs; k: half the shift unless given, which is the best choice.
    Raises ValueError outside these ranges, and where no h in (0, 100] gives that run length.

    >>> design = design_cusum(465, shift=1)
    >>> round(design.h, 2), round(design.out_of_control, 1)
    (5.0, 10.4)
    """
    wanted = float(_WANTED.check("in_control", in_control))
    POSITIVE.check("shift", shift, "SDs")
    allowance = shift / 2.0 if k is None else float(NON_NEGATIVE.check("k", k, "SDs"))

    def excess(h: float) -> float:
        return math.log(cusum_run_length(allowance, h) / wanted)

    low = 1e-3
    if excess(low) > 0:
        raise ValueError(
            f"in_control: got {in_control:g}, but with k = {allowance:g} every CUSUM runs longer than "
            f"{cusum_run_length(allowance, low):.4g} samples: expected more, or a smaller shift"
        )
    high = 1.0
    while excess(high) < 0:
        if high >= _LARGEST_INTERVAL:
            raise ValueError(
                f"in_control: got {in_control:g}, but with k = {allowance:g} that takes h > {_LARGEST_INTERVAL:g}: "
                "expected fewer samples, or a larger shift"
            )
        low, high = high, min(1.6 * high, _LARGEST_INTERVAL)
    h = float(brentq(excess, low, high, xtol=1e-7))
    run, found = cusum_run_length(allowance, h), cusum_run_length(allowance, h, shift)
    return CusumDesign(allowance, h, run, found)


def design_ewma(in_control: float, shift: float, *, smoothing: float | None = None) -> EwmaDesign:
    """The EWMA chart that runs `in_control` samples between false alarms and finds `shift` soonest.

    in_control: in (1, 1e12] samples; shift: > 0 SDs
    smoothing: lambda in [0.001, 1]; the best in [0.01, 1] unless given
    Raises ValueError outside these ranges.

    >>> design = design_ewma(500, shift=1, smoothing=0.13)
    >>> round(design.smoothing, 2), round(design.width, 2), round(design.out_of_control, 1)
    (0.13, 2.88, 10.2)
    """
    wanted = float(_WANTED.check("in_control", in_control))
    POSITIVE.check("shift", shift, "SDs")

    def width_of(weight: float) -> float:
        # A single sample with this chance of a call is the narrowest chart; memory only makes runs longer.
        high = float(-ndtri(0.5 / wanted)) + 1e-3
        low = high
        while low > 1e-4 and ewma_run_length(weight, low) > wanted:
            low /= 1.5
        if not ewma_run_length(weight, low) <= wanted <= ewma_run_length(weight, high):
            raise ValueError(
                f"in_control: got {wanted:g}, which the chain cannot reach with smoothing {weight:g}; expected "
                "fewer samples or a larger smoothing"
            )
        return float(brentq(lambda L: math.log(ewma_run_length(weight, L) / wanted), low, high, xtol=1e-7))

    if smoothing is None:
        found = minimize_scalar(
            lambda log: ewma_run_length(math.exp(log), width_of(math.exp(log)), shift),
            bounds=(math.log(0.01), 0.0),
            method="bounded",
            options={"xatol": 1e-2},
        )
        weight = math.exp(float(found.x))
    else:
        weight = float(_SMOOTHING.check("smoothing", smoothing))
    width = width_of(weight)
    return EwmaDesign(weight, width, ewma_run_length(weight, width), ewma_run_length(weight, width, shift))
