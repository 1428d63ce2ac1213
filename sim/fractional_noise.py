"""Rates that swing at all time scales: lognormal fractional Gaussian noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scenarios.schema import Scenario
from scenarios.serving_arrivals import SelfSimilar

Array = NDArray[np.float64]
Stream = Callable[[str], np.random.Generator]


def fractional_noise(n: int, hurst: float, rng: np.random.Generator) -> Array:
    """Fractional Gaussian noise of mean 0 and variance 1, shape (n,), exact by circulant embedding.

    n: >= 1; hurst: in [0.5, 1). Source: Davies and Harte, 'Tests for Hurst effect', Biometrika 74, 1987.

    >>> fractional_noise(4, 0.5, np.random.default_rng(0)).shape
    (4,)
    """
    if hurst == 0.5 or n == 1:
        return rng.standard_normal(n)
    lags = np.arange(n + 1, dtype=np.float64)
    power = 2.0 * hurst
    covariance = 0.5 * ((lags + 1.0) ** power - 2.0 * lags**power + np.abs(lags - 1.0) ** power)
    # The embedding of fractional Gaussian noise has no negative eigenvalue; rounding may leave a tiny one.
    eigenvalues = np.maximum(np.fft.hfft(covariance, 2 * n)[: n + 1], 0.0)
    real, imaginary = rng.standard_normal(n + 1), rng.standard_normal(n + 1)
    spectrum = np.sqrt(eigenvalues * n) * (real + 1j * imaginary)
    spectrum[0] = math.sqrt(2.0 * n * eigenvalues[0]) * real[0]
    spectrum[n] = math.sqrt(2.0 * n * eigenvalues[n]) * real[n]
    return np.asarray(np.fft.irfft(spectrum, 2 * n)[:n], dtype=np.float64)


def step_factors(arrivals: SelfSimilar, scenario: Scenario, stream: Stream) -> Array:
    """Factor on the rate of each step of the horizon, of mean 1, in cells that fit the windows.

    Shape (windows, k) with k steps a window; (windows, 1) where a step lasts a window or more.
    """
    windows = scenario.windows
    parts = max(round(scenario.window / arrivals.step), 1)
    held = max(round(arrivals.step / scenario.window), 1)
    steps = -(-windows * parts // held)
    variance = math.log1p(arrivals.cv**2)
    noise = fractional_noise(steps, arrivals.hurst, stream("self_similar"))
    factors = np.exp(math.sqrt(variance) * noise - 0.5 * variance)
    return np.repeat(factors, held)[: windows * parts].reshape(windows, parts)
