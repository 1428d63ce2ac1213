"""From the runs of a sweep to its tables: what each policy costs in each variant, and who wins where.

Parts are read one after the other, so that memory does not grow with the number of runs. Rows of a part come by
variant, replication and policy, so that arrays of shape (variants, replications, policies) are views of its columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from analysis.extra_figures import extra_figures
from analysis.statistics import LEVEL
from analysis.store import Store

if TYPE_CHECKING:
    from analysis.sweep import Sweep

Array = NDArray[np.float64]
FIGURES = (
    "mean_accuracy", "retrains", "deployments", "alarms", "false_alarms", "undetected", "mttd_hours",
    "tuned_interval_days",
)  # fmt: skip
"""Figures of which the table gives the mean over replications; of a fleet of devices also its own."""
NO_WINNER = "no clear winner"


class Tables(NamedTuple):
    """`table`: one row a variant and policy; `winners`: one row a variant; `variants`: the same, of a single policy."""

    table: pd.DataFrame
    winners: pd.DataFrame
    variants: pd.DataFrame | None


def tables_of(sweep: Sweep) -> Tables:
    """The tables of all variants whose runs are all there. Raises ValueError where there is none."""
    names = sweep.policies
    candidates = [names.index(name) for name in sweep.candidates]
    tables, winners, numbers, costs = [], [], [], []
    for variants, figures in _batches(sweep.store, sweep.replications, len(names)):
        tables.append(_table(variants, figures, names))
        winners.append(_winners(variants, figures["annual_cost"][:, :, candidates], sweep.candidates))
        if len(candidates) == 1:
            numbers.append(variants)
            costs.append(figures["annual_cost"][:, :, candidates[0]].copy())
    if not tables:
        raise ValueError(f"{sweep.folder}: no variant is finished yet")
    design = sweep.store.design()
    return Tables(
        design.merge(pd.concat(tables, ignore_index=True), on="variant"),
        design.merge(pd.concat(winners, ignore_index=True), on="variant"),
        design.merge(against_cheapest(np.concatenate(numbers), np.concatenate(costs)), on="variant")
        if costs
        else None,
    )


def mean_and_half_width(values: Array, axis: int, level: float = LEVEL) -> tuple[Array, Array]:
    """Mean over an axis and half the width of its t interval; NaN of a single value, 0 without spread."""
    count = values.shape[axis]
    mean = values.mean(axis=axis)
    if count < 2:
        return mean, np.full_like(mean, np.nan)
    spread = values.std(axis=axis, ddof=1)
    spread = np.where(spread <= 1e-12 * np.abs(values).max(axis=axis), 0.0, spread)
    return mean, stdtrit(count - 1, 0.5 + 0.5 * level) * spread / np.sqrt(count)


def _batches(
    store: Store, replications: int, policies: int
) -> Iterator[tuple[NDArray[np.int64], dict[str, Array]]]:
    """Numbers of variants, and their figures as arrays (variants, replications, policies)."""
    pieces = -(-replications // int(store.manifest["parts"]["replications_per_part"]))
    finished = set(store.finished)
    for first in range(0, store.part_count, pieces):
        group = range(first, first + pieces)
        if not finished.issuperset(group):
            continue
        runs = pd.concat([store.part(number) for number in group], ignore_index=True)
        shape = (-1, replications, policies)
        variants = runs["variant"].to_numpy().reshape(shape)[:, 0, 0]
        columns = [*FIGURES, *extra_figures(runs), "annual_cost"]
        yield variants, {name: runs[name].to_numpy(dtype=np.float64).reshape(shape) for name in columns}


def _table(variants: NDArray[np.int64], figures: dict[str, Array], names: list[str]) -> pd.DataFrame:
    mean, half = mean_and_half_width(figures["annual_cost"], axis=1)
    columns: dict[str, Any] = {
        "variant": np.repeat(variants, len(names)),
        "policy": names * len(variants),
        "annual_cost": mean.ravel(),
        "ci_low": (mean - half).ravel(),
        "ci_high": (mean + half).ravel(),
    }
    shown = [name for name in figures if name != "annual_cost"]
    return pd.DataFrame(columns | {name: _mean_of_known(figures[name]).ravel() for name in shown})


def _mean_of_known(values: Array) -> Array:
    """Mean over replications of what is not NaN; NaN where nothing is known."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _winners(variants: NDArray[np.int64], costs: Array, names: list[str]) -> pd.DataFrame:
    """The cheapest of the candidates in each variant, by paired differences in the same worlds.

    A lead is certain when the intervals of the differences to all others are above 0, at a joint level of 95 %
    (Bonferroni over the others).
    """
    mean = costs.mean(axis=1)
    best = mean.argmin(axis=1)
    places = np.arange(len(best))
    if len(names) > 1:
        gaps = costs - costs[places, :, best][:, :, None]
        gap, half = mean_and_half_width(gaps, axis=1, level=1.0 - (1.0 - LEVEL) / (len(names) - 1))
        gap[places, best] = np.inf
        runner = gap.argmin(axis=1)
        low = np.where(np.isinf(gap), np.inf, gap - half)
        rounding = 1e-9 * np.abs(mean).max(axis=1)
        certain = (low.min(axis=1) > rounding) & np.isfinite(half[places, runner])
        lead, width = gap[places, runner], half[places, runner]
        runners = [names[place] for place in runner]
    else:
        lead = width = np.full(len(best), np.nan)
        certain, runners = np.ones(len(best), dtype=bool), [""] * len(best)
    return pd.DataFrame(
        {
            "variant": variants,
            "best": [names[place] for place in best],
            "annual_cost": mean[places, best],
            "runner_up": runners,
            "lead": lead,
            "lead_low": lead - width,
            "lead_high": lead + width,
            "certain": certain,
        }
    )


def against_cheapest(variants: NDArray[np.int64], costs: Array) -> pd.DataFrame:
    """What each variant costs, and how much more than the cheapest one, by paired differences in the same worlds.

    variants: (n,) numbers; costs: (n, replications) annual costs, replication by replication in the same worlds.
    Returns one row a variant: annual_cost with half_width (95 % of each), over_cheapest with its bounds (95 % jointly,
    Bonferroni over the others; 0 for the cheapest), and dearer: whether that is certain.

    >>> costs = np.array([[4.0, 6.0, 5.0], [1.0, 3.0, 2.0]])
    >>> against_cheapest(np.array([0, 1]), costs)[["over_cheapest", "dearer"]].values.tolist()
    [[3.0, True], [0.0, False]]
    """
    mean, half = mean_and_half_width(costs, axis=1)
    gaps = costs - costs[mean.argmin()]
    gap, width = mean_and_half_width(gaps, axis=1, level=1.0 - (1.0 - LEVEL) / max(len(variants) - 1, 1))
    rounding = 1e-9 * np.abs(mean).max()
    return pd.DataFrame(
        {
            "variant": variants,
            "annual_cost": mean,
            "half_width": half,
            "over_cheapest": gap,
            "over_cheapest_low": gap - width,
            "over_cheapest_high": gap + width,
            "dearer": gap - width > rounding,
        }
    )
