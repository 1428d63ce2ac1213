"""KSWIN: a Kolmogorov-Smirnov test of the newest readings against a random sample of the older ones."""

from __future__ import annotations

import random
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.kernels.streaming import ALARM, COUNT, Alarms, Detector, Domain, Floats, Kernel

_WORDS, _SHIFT = 624, 397  # the Mersenne Twister MT19937
_GENERATOR = 4  # in the state: 624 words and the position; then the window, then the newest readings in order
_WINDOW = _GENERATOR + _WORDS + 1
_NEXT = 3
_MOST = 10_000  # readings a sample; above, SciPy changes to an asymptotic formula

_UPPER, _LOWER, _MATRIX = np.uint32(0x80000000), np.uint32(0x7FFFFFFF), np.uint32(0x9908B0DF)
_MASK_B, _MASK_C = np.uint32(0x9D2C5680), np.uint32(0xEFC60000)
_1, _7, _11, _15, _18, _32 = (np.uint32(i) for i in (1, 7, 11, 15, 18, 32))


@njit(cache=True)
def _word(words: Floats, i: int) -> np.uint32:
    return np.uint32(np.int64(words[i]))


@njit(cache=True)
def _renew(words: Floats) -> None:
    """Advance all words of the twister by one generation (Matsumoto and Nishimura 1998)."""
    for i in range(_WORDS):
        mixed = (_word(words, i) & _UPPER) | (_word(words, (i + 1) % _WORDS) & _LOWER)
        shifted = (mixed >> _1) ^ (_MATRIX if mixed & _1 else np.uint32(0))
        words[i] = np.float64(_word(words, (i + _SHIFT) % _WORDS) ^ shifted)


@njit(cache=True)
def _below(words: Floats, n: int) -> int:
    """Draw from 0 to n - 1 as CPython does: the highest bits of 32, drawn again while they are n or more."""
    bits = 0
    while n >> bits:
        bits += 1
    drop = _32 - np.uint32(bits)
    while True:
        if words[_WORDS] >= _WORDS:
            _renew(words)
            words[_WORDS] = 0.0
        y = _word(words, int(words[_WORDS]))
        words[_WORDS] += 1.0
        y ^= y >> _11
        y ^= (y << _7) & _MASK_B
        y ^= (y << _15) & _MASK_C
        y ^= y >> _18
        drawn = int(y >> drop)
        if drawn < n:
            return drawn


@njit(cache=True)
def _sample(
    words: Floats, n: int, k: int, by_pool: bool, drawn: NDArray[np.int64], pool: NDArray[np.int64]
) -> None:
    """Draw k of n indices without replacement into `drawn`, as CPython's `random.sample` does.

    `pool` (n,) is room to work in; CPython draws from a pool, or again whatever it has drawn already when k is small
    beside n.
    """
    if by_pool:
        for i in range(n):
            pool[i] = i
        for i in range(k):
            j = _below(words, n - i)
            drawn[i] = pool[j]
            pool[j] = pool[n - i - 1]
        return
    pool[:] = 0
    for i in range(k):
        j = _below(words, n)
        while pool[j]:
            j = _below(words, n)
        pool[j] = 1
        drawn[i] = j


@njit(cache=True)
def _rank(ordered: Floats, x: float) -> int:
    """Return how many of the ordered readings are below x."""
    low, high = 0, ordered.shape[0]
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True)
def _exchange(ordered: Floats, filled: int, old: float, new: float, size: int) -> int:
    """Put `new` into the ordered readings, taking `old` out when all `size` places are filled; returns how many."""
    if filled == size:
        at = _rank(ordered[:filled], old)
        filled -= 1
        for i in range(at, filled):
            ordered[i] = ordered[i + 1]
    at = _rank(ordered[:filled], new)
    for i in range(filled, at, -1):
        ordered[i] = ordered[i - 1]
    ordered[at] = new
    return filled + 1


@njit(cache=True)
def _largest_step(
    ordered: Floats, sampled: Floats, below: NDArray[np.int64], up_to: NDArray[np.int64]
) -> int:
    """Two-sample Kolmogorov-Smirnov distance of samples of equal size r, in steps of 1/r; ties are allowed for.

    below, up_to (r + 1,): room to count the sampled readings by how many of the ordered ones are below, or not above.
    """
    size = ordered.shape[0]
    below[:] = 0
    up_to[:] = 0
    for x in sampled:
        at = _rank(ordered, x)
        below[at] += 1
        while at < size and ordered[at] == x:
            at += 1
        up_to[at] += 1
    largest, not_above, under = 0, 0, 0
    for k in range(size + 1):
        # Where k ordered readings are passed: the most and the least of the sampled ones that can be passed there.
        not_above += up_to[k]
        largest = max(largest, not_above - k, k - under)
        under += below[k]
    return largest


@njit(cache=True)
def kswin(readings: Floats, parameters: Floats, state: Floats, alarms: Alarms) -> int:
    """Run KSWIN over readings; returns the number of alarms, whose indices it leaves in `alarms`.

    The p-value is not computed: it falls with the distance, so the least distance that is significant decides.
    """
    window_size, size, critical = int(parameters[0]), int(parameters[1]), int(parameters[2])
    by_pool, first_words = parameters[3] > 0.0, parameters[4:]
    older = window_size - size
    words = state[_GENERATOR:_WINDOW]
    window = state[_WINDOW : _WINDOW + window_size]
    ordered = state[_WINDOW + window_size :]
    drawn, pool = np.empty(size, dtype=np.int64), np.empty(older, dtype=np.int64)
    sampled = np.empty(size)
    below, up_to = np.empty(size + 1, dtype=np.int64), np.empty(size + 1, dtype=np.int64)
    n, place = int(state[COUNT]), int(state[_NEXT])
    restart = state[ALARM] > 0.0 or n == 0
    count = 0
    for i in range(readings.shape[0]):
        x = readings[i]
        if np.isnan(x):
            continue
        if restart:
            words[:] = first_words
            n, place, restart = 0, 0, False
        leaving = window[place - size if place >= size else place - size + window_size]
        _exchange(ordered, min(n, size), leaving, x, size)
        window[place] = x
        place = (
            place + 1 if place + 1 < window_size else 0
        )  # now the oldest reading's, once the window is full
        n += 1
        if n < window_size:
            continue
        _sample(words, older, size, by_pool, drawn, pool)
        for k in range(size):
            at = place + drawn[k]
            sampled[k] = window[at if at < window_size else at - window_size]
        if _largest_step(ordered, sampled, below, up_to) >= critical:
            alarms[count] = i
            count += 1
            restart = True
    state[ALARM] = 1.0 if restart and n > 0 else 0.0
    state[COUNT], state[_NEXT] = n, place
    return count


@lru_cache(maxsize=64)
def critical_steps(stat_size: int, alpha: float) -> int:
    """Least distance, in steps of 1/stat_size, at which river's KSWIN raises an alarm; stat_size + 1 if none does.

    The distance must exceed 0.1 and the two-sided p-value of two samples of `stat_size` be at most `alpha`.

    >>> critical_steps(30, 0.005)
    14
    """
    from scipy.stats import ks_2samp  # here because it is slow to import and few need it

    ranks = np.arange(stat_size)
    low, high = 1, stat_size + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        while low < high:
            steps = (low + high) // 2
            if ks_2samp(ranks, ranks + steps).pvalue <= alpha:
                high = steps
            else:
                low = steps + 1
    while low / stat_size <= 0.1:
        low += 1
    return low


@dataclass(frozen=True, kw_only=True, eq=False)
class KSWIN(Detector):
    """Kolmogorov-Smirnov windowing: alarm when the newest readings differ in distribution from older ones.

    alpha: significance of each test, in (0, 1]
    window_size: readings in the sliding window, >= 2 stat_size
    stat_size: newest readings that are tested against as many drawn from the older ones, 1 to 10,000
    seed: of the drawing; None takes one from the operating system and keeps it in `seed`
    ValueError outside these ranges.

    Follows river (as of 0.26): the exact p-value of SciPy with a distance above 0.1, CPython's generator, and an empty
    window and the same seed after an alarm. Raab et al. (Neurocomputing, 2020) compare the distance with
    sqrt(-ln(alpha)/stat_size) and keep the newest readings after an alarm. A test is made at every reading, and tests
    of neighbouring readings are much alike: the rate of false alarms is not `alpha`.

    >>> detector = KSWIN(seed=1)
    >>> detector.update_many([0.0, 1.0] * 100 + [2.0, 3.0] * 50)
    array([213])
    """

    domain: ClassVar[Domain] = "real"
    kernel: ClassVar[Kernel] = staticmethod(kswin)

    alpha: float = 0.005
    window_size: int = 100
    stat_size: int = 30
    seed: int | None = None

    def _check(self) -> None:
        self._require("alpha", 0 < self.alpha <= 1, "in (0, 1]")
        self._require("stat_size", 1 <= self.stat_size <= _MOST, f"from 1 to {_MOST}")
        least = f">= 2 * stat_size={2 * self.stat_size}"
        self._require("window_size", self.window_size >= 2 * self.stat_size, least)
        if self.seed is None:
            vars(self)["seed"] = random.SystemRandom().getrandbits(32)

    def _kernel_parameters(self) -> list[float]:
        critical = critical_steps(int(self.stat_size), float(self.alpha))
        words = random.Random(int(self.seed or 0)).getstate()[1]
        by_pool = self.window_size - self.stat_size <= _size_of_set(int(self.stat_size))
        return [self.window_size, self.stat_size, critical, float(by_pool), *words]

    def _state_size(self) -> int:
        return _WINDOW + self.window_size + self.stat_size


def _size_of_set(k: int) -> int:
    """Largest population from which CPython's `random.sample` draws k by way of a pool."""
    size = 21
    if k > 5:
        power = 1
        while power < 3 * k:
            power *= 4
        size += power
    return size
