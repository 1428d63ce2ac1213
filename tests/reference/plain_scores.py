"""Scores of counts against equally likely bins, by the formulas of the textbook."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import NormalDist


def shares(counts: list[float], pseudo_count: float) -> list[float]:
    total = sum(counts) + pseudo_count * len(counts)
    return [(count + pseudo_count) / total for count in counts]


def psi(counts: list[float], pseudo_count: float) -> float:
    expected = 1.0 / len(counts)
    floored = [max(share, 1e-6) for share in shares(counts, pseudo_count)]
    return sum((share - expected) * math.log(share / expected) for share in floored)


def js(counts: list[float], pseudo_count: float) -> float:
    expected, total = 1.0 / len(counts), 0.0
    for share in shares(counts, pseudo_count):
        actual = max(share, 1e-6)
        middle = 0.5 * (actual + expected)
        total += 0.5 * (actual * math.log(actual / middle) + expected * math.log(expected / middle))
    return max(total, 0.0)


def ks(counts: list[float], pseudo_count: float) -> float:
    actual = shares(counts, pseudo_count)
    return max(abs(sum(actual[:k]) - k / len(counts)) for k in range(1, len(counts)))


def hellinger(counts: list[float], pseudo_count: float) -> float:
    expected = math.sqrt(1.0 / len(counts))
    return math.sqrt(0.5 * sum((math.sqrt(share) - expected) ** 2 for share in shares(counts, pseudo_count)))


def total_variation(counts: list[float], pseudo_count: float) -> float:
    return 0.5 * sum(abs(share - 1.0 / len(counts)) for share in shares(counts, pseudo_count))


def kl(counts: list[float], pseudo_count: float) -> float:
    expected = 1.0 / len(counts)
    floored = [max(share, 1e-6) for share in shares(counts, pseudo_count)]
    return max(sum(share * math.log(share / expected) - share + expected for share in floored), 0.0)


def chi_square(counts: list[float], pseudo_count: float) -> float:
    expected = 1.0 / len(counts)
    return sum((max(share, 1e-6) - expected) ** 2 / expected for share in shares(counts, pseudo_count))


def js_distance(counts: list[float], pseudo_count: float) -> float:
    return math.sqrt(js(counts, pseudo_count))


def bin_means(bins: int) -> list[float]:
    """Mean of a standard normal within each of its equally likely bins."""
    normal = NormalDist()
    heights = [0.0, *(normal.pdf(normal.inv_cdf(k / bins)) for k in range(1, bins)), 0.0]
    return [bins * (low - high) for low, high in pairwise(heights)]


def gram(bins: int) -> list[list[float]]:
    means = bin_means(bins)
    return [[math.exp(-0.5 * (a - b) ** 2) for b in means] for a in means]


def wasserstein(counts: list[float], pseudo_count: float) -> float:
    actual, means = shares(counts, pseudo_count), bin_means(len(counts))
    return sum(
        abs(sum(actual[:k]) - k / len(counts)) * (means[k] - means[k - 1]) for k in range(1, len(counts))
    )


def mmd(counts: list[float], pseudo_count: float) -> float:
    gap = [share - 1.0 / len(counts) for share in shares(counts, pseudo_count)]
    kernel = gram(len(counts))
    return max(sum(a * b * kernel[i][j] for i, a in enumerate(gap) for j, b in enumerate(gap)), 0.0)


def upper_point(probability: float) -> float:
    """Point of the standard normal with this probability above it, at least -6."""
    return -6.0 if probability >= 1.0 else max(-NormalDist().inv_cdf(max(probability, 1e-300)), -6.0)


FORMULAS = {
    formula.__name__: formula
    for formula in (psi, kl, js, js_distance, ks, wasserstein, hellinger, chi_square, total_variation, mmd)
}
