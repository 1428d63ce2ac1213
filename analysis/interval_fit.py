"""Which distribution recorded intervals have: repair times, lifetimes of spot machines, times between failures.

Exponential, lognormal and Weibull laws are fitted by maximum likelihood and compared by AIC; the Kolmogorov-Smirnov
distance says how far the best of them is from the record, which always fits itself (`empirical`). What comes out is the
text of a duration in a scenario.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import TypeAdapter
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from scenarios.distributions import Duration
from scenarios.units import DURATION
from sim import durations
from sim.displays import Displayed

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
LAWS = ("exponential", "lognormal", "weibull")
BOOTSTRAPS = 199
MISFIT = 0.05
"""A law whose distance from the record would be exceeded by chance less often than this does not fit."""
MOST_VALUES = 200
"""An empirical duration of more intervals is written as this many of their quantiles."""
_Z95 = float(ndtri(0.95))
_UNITS = (("d", 1.0), ("h", 24.0), ("min", 1440.0), ("s", 86_400.0), ("ms", 86_400e3), ("us", 86_400e6))
_DURATION: TypeAdapter[Any] = TypeAdapter(Duration)


@dataclass(frozen=True)
class FittedLaw:
    """One law, fitted to the intervals."""

    name: str
    text: str
    """As a scenario has it, four significant digits."""
    log_likelihood: float
    """Of intervals in days; NaN for the record itself."""
    aic: float
    distance: float
    """Kolmogorov-Smirnov distance from the record."""
    p_value: float
    """Share of samples of the law that are as far from their own fit (parametric bootstrap); NaN for the record."""

    @property
    def duration(self) -> Any:
        """The duration of the scenario schema."""
        return _DURATION.validate_python(_mapping(self.text))

    @property
    def mean(self) -> float:
        """Mean in days, infinite where it is too large."""
        return durations.mean(self.duration)


@dataclass(frozen=True, repr=False)
class IntervalFit(Displayed):
    """Laws fitted to recorded intervals."""

    intervals: Array
    """Days, sorted."""
    zeros: int
    """Intervals of 0, shorter than the record can tell; taken as half of the smallest one."""
    laws: tuple[FittedLaw, ...]

    def headline(self) -> str:
        """Which law, and whether it fits."""
        return self.verdict()

    def _shown(self) -> pd.DataFrame:
        return self.table().set_index("law")[
            ["text", "aic_above_best", "ks_distance", "p_value", "mean_hours", "median_hours"]
        ]

    def plot(self, ax: Any = None) -> Any:
        """Survival of the record and of the laws; returns matplotlib axes."""
        return plot_fit(self, ax)

    @property
    def best(self) -> FittedLaw:
        """The law of the lowest AIC; the record itself is not among the candidates."""
        return min((law for law in self.laws if law.name in LAWS), key=lambda law: law.aic)

    @property
    def recommended(self) -> FittedLaw:
        """The best law if it fits, else the record itself."""
        misfit = self.best.p_value < MISFIT
        return self.law("empirical") if misfit else self.best

    def law(self, name: str) -> FittedLaw:
        """The law of that name. Raises KeyError."""
        for law in self.laws:
            if law.name == name:
                return law
        raise KeyError(name)

    def table(self) -> pd.DataFrame:
        """A row per law: text, AIC and its distance from the best, KS distance, p-value, mean and median in hours."""
        import pandas as pd

        rows = [
            {
                "law": law.name,
                "aic": law.aic,
                "aic_above_best": law.aic - self.best.aic,
                "ks_distance": law.distance,
                "p_value": law.p_value,
                "mean_hours": 24.0 * law.mean,
                "median_hours": 24.0 * float(durations.quantile(law.duration, 0.5)),
                "best": law is self.best,
                "text": law.text,
            }
            for law in self.laws
        ]
        return pd.DataFrame(rows)

    def verdict(self) -> str:
        """Which law, and whether it fits, in a sentence."""
        best, n = self.best, len(self.intervals)
        words = f"{best.name} fits best of {', '.join(LAWS)} (AIC {best.aic:.1f}, KS distance {best.distance:.3f})"
        if self.recommended is best:
            return f"{words}; {n} intervals do not contradict it (p = {best.p_value:.2g})"
        against = f"{words}, and yet {n} intervals contradict it (p = {best.p_value:.2g})"
        return f"{against}: take the record itself, empirical"


def fit_intervals(days: ArrayLike, *, bootstraps: int = BOOTSTRAPS, seed: int = 0) -> IntervalFit:
    """Fit the laws to intervals.

    days: at least 5 intervals, >= 0, not all alike
    bootstraps: samples for the p-value; 0 leaves it NaN, and then the best law is never doubted
    Raises ValueError outside these ranges.

    >>> found = fit_intervals(np.arange(1, 100) / 10.0, bootstraps=0)
    >>> found.best.name, found.best.text
    ('weibull', '{kind: weibull, scale: 5.544d, shape: 1.672}')
    """
    values = np.sort(np.asarray(days, dtype=np.float64))
    if values.ndim != 1 or len(values) < 5 or not np.all(np.isfinite(values)):
        raise ValueError(f"days: expected at least 5 finite intervals in a row, got shape {values.shape}")
    if values[0] < 0.0:
        raise ValueError(f"days: expected intervals of at least 0, got {values[0]:g}")
    if values[0] == values[-1]:
        raise ValueError(f"days: all intervals are {values[0]:g}, expected different ones")
    zeros = int(np.sum(values == 0.0))
    positive = values.copy()
    positive[:zeros] = 0.5 * values[zeros]
    rng = np.random.default_rng(seed)
    laws = [_fitted(name, positive, bootstraps, rng) for name in LAWS]
    record = FittedLaw("empirical", _empirical_text(values), math.nan, math.nan, 0.0, math.nan)
    return IntervalFit(values, zeros, (*laws, record))


def fit_file(
    path: str | Path,
    *,
    column: str | None = None,
    start: str | None = None,
    end: str | None = None,
    unit: str | None = None,
    bootstraps: int = BOOTSTRAPS,
) -> IntervalFit:
    """Fit the laws to the intervals of a CSV or Parquet file: a column of them, or one of starts and one of ends.

    column, or start and end: names; guessed when absent (columns named start... and end..., or the only numbers)
    unit: of the numbers ('h', 'd', 's', ...); guessed from the name of the column (`repair_h`) when absent
    Raises ValueError for columns that are not there or hold something else.
    """
    from analysis.data_tables import read_table

    table = read_table(path)
    numbers = [name for name in table.columns if table[name].dtype.kind in "iuf"]
    if column is None and start is None and end is None:
        start = next((name for name in numbers if name.lower().startswith("start")), None)
        end = next((name for name in numbers if name.lower().startswith("end")), None)
        if start is None or end is None:
            start = end = None
            if len(numbers) != 1:
                raise ValueError(
                    f"{path}: which column has the intervals? one of: {', '.join(numbers) or '(no numbers)'}"
                )
            column = numbers[0]
    named = [name for name in (column, start, end) if name is not None]
    if len(named) != (1 if column is not None else 2):
        raise ValueError("give column, or start and end")
    for name in named:
        if name not in numbers:
            raise ValueError(f"{path}: no column of numbers {name!r}; one of: {', '.join(numbers)}")
    values = table[named[0]] if column is not None else table[named[1]] - table[named[0]]
    known = values.dropna().to_numpy(dtype=np.float64)
    return fit_intervals(known * _days_per(unit, named[0], path), bootstraps=bootstraps)


def _days_per(unit: str | None, column: str, path: str | Path) -> float:
    guess = unit or next(iter(re.findall(r"[_ (]([A-Za-z]+)\)?$", column)), "")
    try:
        return DURATION.parse(f"1{guess}")
    except ValueError:
        raise ValueError(
            f"{path}: in which unit is column {column!r}? give one such as 'h', 'd', 's'"
        ) from None


# ---------------------------------------------------------------- laws


def _fitted(name: str, values: Array, bootstraps: int, rng: np.random.Generator) -> FittedLaw:
    """values: > 0, sorted, days."""
    fit, likelihood, distribution, draw, text = _METHODS[name]
    parameters = fit(values)
    log_likelihood = likelihood(values, parameters)
    distance = _distance(distribution(values, parameters))
    further = 0
    for _ in range(bootstraps):
        sample = np.sort(draw(rng.random(len(values)), parameters))
        further += _distance(distribution(sample, fit(sample))) >= distance
    p_value = (further + 1) / (bootstraps + 1) if bootstraps else math.nan
    aic = 2.0 * len(parameters) - 2.0 * log_likelihood
    return FittedLaw(name, text(parameters), log_likelihood, aic, distance, p_value)


def _distance(probabilities: Array) -> float:
    """Kolmogorov-Smirnov distance of sorted probabilities from the uniform law."""
    n = len(probabilities)
    steps = np.arange(n + 1) / n
    return float(max(np.max(steps[1:] - probabilities), np.max(probabilities - steps[:-1])))


def _weibull(values: Array) -> tuple[float, float]:
    """Scale and shape of the largest likelihood."""
    logs = np.log(values)
    logs = logs - logs.max()  # powers of numbers up to 1 cannot overflow

    def slope(shape: float) -> float:
        weights = np.exp(shape * logs)
        return float(1.0 / shape + logs.mean() - (weights @ logs) / weights.sum())

    high = 1.0
    while slope(high) > 0.0 and high < 1e6:
        high *= 2.0
    low = high / 2.0
    while slope(low) < 0.0:
        low /= 2.0
    shape = float(brentq(slope, low, high, xtol=1e-12))
    scale = values.max() * float(np.mean(np.exp(shape * logs))) ** (1.0 / shape)
    return scale, shape


def _weibull_likelihood(values: Array, parameters: tuple[float, ...]) -> float:
    scale, shape = parameters
    reduced = values / scale
    return float(np.sum(math.log(shape / scale) + (shape - 1.0) * np.log(reduced) - reduced**shape))


def _lognormal(values: Array) -> tuple[float, float]:
    logs = np.log(values)
    return float(logs.mean()), float(logs.std())


def _lognormal_likelihood(values: Array, parameters: tuple[float, ...]) -> float:
    mu, sigma = parameters
    logs = np.log(values)
    z = (logs - mu) / sigma
    return float(np.sum(-logs - math.log(sigma * math.sqrt(2.0 * math.pi)) - 0.5 * z * z))


Parameters = tuple[float, ...]
_METHODS: dict[
    str,
    tuple[
        Callable[[Array], Parameters],
        Callable[[Array, Parameters], float],
        Callable[[Array, Parameters], Array],
        Callable[[Array, Parameters], Array],
        Callable[[Parameters], str],
    ],
] = {
    "exponential": (
        lambda values: (float(values.mean()),),
        lambda values, p: float(-len(values) * math.log(p[0]) - values.sum() / p[0]),
        lambda values, p: np.asarray(-np.expm1(-values / p[0])),
        lambda u, p: np.asarray(-p[0] * np.log1p(-u)),
        lambda p: f"{{kind: exponential, mean: {_written(p[0])}}}",
    ),
    "lognormal": (
        _lognormal,
        _lognormal_likelihood,
        lambda values, p: np.asarray(ndtr((np.log(values) - p[0]) / p[1])),
        lambda u, p: np.asarray(np.exp(p[0] + p[1] * ndtri(np.maximum(u, 1e-300)))),
        lambda p: (
            f"{{kind: lognormal, median: {_written(math.exp(p[0]))}, "
            f"p95: {_written(math.exp(p[0] + _Z95 * p[1]))}}}"
        ),
    ),
    "weibull": (
        _weibull,
        _weibull_likelihood,
        lambda values, p: np.asarray(-np.expm1(-((values / p[0]) ** p[1]))),
        lambda u, p: np.asarray(p[0] * (-np.log1p(-u)) ** (1.0 / p[1])),
        lambda p: f"{{kind: weibull, scale: {_written(p[0])}, shape: {p[1]:.4g}}}",
    ),
}
"""Of each law: fit, log-likelihood, distribution function, quantile, text."""


# ---------------------------------------------------------------- texts


def _written(days: float) -> str:
    """A duration with four significant digits, in the largest unit that makes it at least 1.

    >>> _written(0.25), _written(41.23456), _written(3e-7)
    ('6h', '41.23d', '25.92ms')
    """
    unit, size = next(((unit, size) for unit, size in _UNITS if days * size >= 1.0), _UNITS[-1])
    return f"{days * size:.4g}{unit}"


def _empirical_text(values: Array) -> str:
    """values: sorted, days. Quantiles in the middle of equal parts where there are too many."""
    if len(values) > MOST_VALUES:
        # Means of equal parts keep the mean, which the tail decides, where quantiles would cut it.
        edges = np.linspace(0, len(values), MOST_VALUES + 1)
        area = np.concatenate(([0.0], np.cumsum(values)))
        values = np.diff(np.interp(edges, np.arange(len(values) + 1), area)) / np.diff(edges)
    return (
        f"{{kind: empirical, values: [{', '.join(_written(value) if value else '0' for value in values)}]}}"
    )


def _mapping(text: str) -> Any:
    from scenarios.yaml_reading import read_text

    return read_text(text, "interval fit").data


def plot_fit(found: IntervalFit, ax: Any = None, *, laws: Sequence[str] = LAWS) -> Any:
    """Share of intervals that last longer, recorded and fitted, against hours on a log scale; returns the axes."""
    from analysis.plot_axes import look_of
    from analysis.plot_styles import new_axes

    ax = ax or new_axes(6.4, 4.2)
    hours = 24.0 * found.intervals
    n = len(hours)
    positive = hours > 0.0
    ax.step(hours[positive], 1.0 - (np.arange(n) + 0.5)[positive] / n, where="post", color="#222222", lw=1.6)
    ax.lines[-1].set_label(f"recorded, {n} intervals")
    share = np.linspace(0.5 / n, 1.0 - 0.5 / n, 400)
    for number, name in enumerate(laws):
        colour, _ = look_of(number)
        style = ("--", "-.", ":")[number % 3]
        quantiles = 24.0 * durations.quantile(found.law(name).duration, share)
        label = f"{name}{' (best)' if name == found.best.name else ''}"
        ax.plot(quantiles, 1.0 - share, ls=style, color=colour, lw=1.4, label=label)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("hours (log scale)")
    ax.set_ylabel("share that lasts longer (log scale)")
    ax.legend(frameon=False)
    return ax
