"""The random words of the engine in plain Python: SplitMix64, and what is drawn with it."""

from __future__ import annotations

import math
from itertools import pairwise

WORD = 2**64
GAMMA = 0x9E3779B97F4A7C15


def mix(word: int) -> int:
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % WORD
    return word ^ (word >> 31)


def ziggurat_ends() -> list[float]:
    tail = 3.6541528853610088
    area = tail * math.exp(-0.5 * tail**2) + math.sqrt(math.pi / 2) * math.erfc(tail / math.sqrt(2))
    ends = [area / math.exp(-0.5 * tail**2), tail]
    while len(ends) < 256:
        ends.append(math.sqrt(-2 * math.log(area / ends[-1] + math.exp(-0.5 * ends[-1] ** 2))))
    return [*ends, 0.0]


ENDS = ziggurat_ends()


class Noise:
    """The random numbers of one (key, number, feature)."""

    def __init__(self, key: int, number: int, feature: int = 0) -> None:
        state = mix((int(key) + GAMMA) % WORD)
        state = mix((state + GAMMA * (number + 1)) % WORD)
        self.state = mix((state + GAMMA * (feature + 1)) % WORD)

    def word(self) -> int:
        self.state = (self.state + GAMMA) % WORD
        return mix(self.state)

    def uniform(self) -> float:
        return ((self.word() >> 12) + 0.5) / 2**52

    def normal(self) -> float:
        while True:
            word = self.word()
            layer = word % 256
            signed = word - WORD if word >= WORD // 2 else word
            side = ((signed >> 11) + 0.5) / 2**52
            value = side * ENDS[layer]
            if abs(side) < ENDS[layer + 1] / ENDS[layer]:
                return value
            if layer == 0:
                return math.copysign(self._beyond(ENDS[1]), side)
            low = math.exp(-0.5 * (ENDS[layer] ** 2 - value**2))
            high = math.exp(-0.5 * (ENDS[layer + 1] ** 2 - value**2))
            if high + self.uniform() * (low - high) < 1.0:
                return value

    def _beyond(self, start: float) -> float:
        while True:
            first, second = self.uniform(), self.uniform()
            over = -math.log(first) / start
            if -2.0 * math.log(second) >= over * over:
                return start + over

    def binomial(self, n: int, p: float) -> int:
        if n <= 0 or not p > 0.0:
            return 0
        if p >= 1.0:
            return n
        rare = min(p, 1.0 - p)
        k = self._inversion(n, rare) if n * rare < 10.0 else self._rejection(n, rare)
        return k if p <= 0.5 else n - k

    def _inversion(self, n: int, p: float) -> int:
        limit = min(n, 110)
        while True:
            left, k, mass = self.uniform(), 0, math.exp(n * math.log1p(-p))
            while left > mass and k <= limit:
                left -= mass
                k += 1
                mass *= p / (1.0 - p) * ((n + 1.0) / k - 1.0)
            if k <= limit:
                return k

    def _rejection(self, n: int, p: float) -> int:
        """Hoermann's BTRS."""
        sd = math.sqrt(n * p * (1.0 - p))
        b = 1.15 + 2.53 * sd
        a = -0.0873 + 0.0248 * b + 0.01 * p
        mode = math.floor((n + 1) * p)
        while True:
            u, v = self.uniform() - 0.5, self.uniform()
            edge = 0.5 - abs(u)
            k = math.floor((2.0 * a / edge + b) * u + n * p + 0.5)
            if edge >= 0.07 and v <= 0.92 - 4.2 / b:
                return k
            height = v * (2.83 + 5.1 / b) * sd / (a / edge**2 + b)
            if 0 <= k <= n and math.log(height) <= log_binomial(k, n, p) - log_binomial(mode, n, p):
                return k

    def multinomial(self, n: int, probabilities: list[float]) -> list[float]:
        counts, left, mass = [], n, 1.0
        for p in probabilities[:-1]:
            count = self.binomial(left, p / mass if p < mass else 1.0)
            counts.append(float(count))
            left -= count
            mass -= p
        return [*counts, float(left)]

    def multinomial_normal(self, n: int, probabilities: list[float]) -> list[float]:
        """Rounded totals of a normal vector with mean and covariance of the multinomial."""
        walk = [0.0]
        for p in probabilities:
            walk.append(walk[-1] + math.sqrt(p) * self.normal())
        counts, below, total = [], 0.0, 0.0
        for p, step in zip(probabilities[:-1], walk[1:], strict=False):
            below += p
            rounded = math.floor(n * below + math.sqrt(n) * (step - below * walk[-1]) + 0.5)
            rounded = min(max(rounded, total), n)
            counts.append(rounded - total)
            total = rounded
        return [*counts, n - total]


def log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def log_binomial(k: int, n: int, p: float) -> float:
    return log_choose(n, k) + k * math.log(p) + (n - k) * math.log1p(-p)


def bin_probabilities(shift: float, edges: list[float]) -> list[float]:
    below = [0.0, *(0.5 * math.erfc((shift - edge) / math.sqrt(2.0)) for edge in edges), 1.0]
    return [max(high - low, 0.0) for low, high in pairwise(below)]
