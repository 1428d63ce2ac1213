"""Tables of a monitoring budget: all plans, the frontier, the next dollar of each entry of the menu.

Money is per year, in the scenario's currency. Differences are between plans that met the same worlds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.frontier import frontier_of, ratio_interval
from analysis.intervals import Interval, mean_interval, paired_interval
from analysis.plan_runs import PARTS
from scenarios.units import DAYS_PER_YEAR

if TYPE_CHECKING:
    from analysis.monitoring_budget import BudgetFound

Array = NDArray[np.float64]


def plan_table(found: BudgetFound) -> pd.DataFrame:
    """One row a plan, in the order of the menu: its options, replications, monitoring, its parts and loss a year.

    monitoring, loss: `BudgetFound.estimate`; above_best: total cost above that of the recommended plan, paired, with
    its interval. A plan that was dropped early met few worlds.
    """
    on_frontier = set(frontier_plans(found))
    rows = []
    for plan, item in enumerate(found.plans):
        rows.append(
            {
                "plan": item.name,
                **{choice.entry: choice.option for choice in item.choices},
                "replications": int(found.runs.counts[plan]),
                "monitoring": found.estimate(plan, "monitoring"),
                **{part: found.estimate(plan, part) for part in PARTS},
                "loss": found.estimate(plan, "loss"),
                **_named("above_best", _above_best(found, plan)),
                **detection_figures(found, plan),
                "frontier": plan in on_frontier,
            }
        )
    return pd.DataFrame(rows)


def frontier_plans(found: BudgetFound) -> list[int]:
    """Plans of the efficient frontier among those that met all worlds, cheapest first."""
    played = found.played
    cost = [float(found.runs.column(plan, "monitoring", found.replications).mean()) for plan in played]
    loss = [float(found.runs.column(plan, "loss", found.replications).mean()) for plan in played]
    return [played[place] for place in frontier_of(cost, loss)]


def frontier_table(found: BudgetFound) -> pd.DataFrame:
    """One row a plan of the frontier, cheapest first.

    monitoring, loss, total: a year, with intervals; avoided: loss avoided against the plan before, paired; roi: loss
    avoided against the plan with everything off over the cost of monitoring; incidents a year, their mean time to
    detection (hours, of those detected), share that nothing detected; best, affordable.
    """
    rows, before = [], None
    for plan in frontier_plans(found):
        cost, loss = (found.values(plan, column) for column in ("monitoring", "loss"))
        avoided = _nothing() if before is None else paired_interval(before, loss, found.confidence)
        rows.append(
            {
                "plan": found.plans[plan].name,
                **_named("monitoring", mean_interval(cost, found.confidence)),
                **_named("loss", mean_interval(loss, found.confidence)),
                **_named("total", mean_interval(cost + loss, found.confidence)),
                **_named("avoided", avoided),
                **_named("roi", roi_of(found, plan)),
                **detection_figures(found, plan),
                "best": plan == found.best,
                "affordable": found.is_affordable(plan),
            }
        )
        before = loss
    return pd.DataFrame(rows)


def roi_of(found: BudgetFound, plan: int) -> Interval:
    """Monitoring ROI: loss avoided against the plan with everything off, over the annual cost of monitoring.

    The source multiplies incidents prevented by their average cost; monitoring shortens incidents rather than
    preventing them, so that the money they no longer cost is taken. NaN where monitoring costs nothing.
    Source: chapter, 'Cost-Benefit Framework'.
    """
    avoided = found.reference("off", "loss") - found.values(plan, "loss")
    return ratio_interval(avoided, found.values(plan, "monitoring"), found.confidence)


def detection_figures(found: BudgetFound, plan: int) -> dict[str, float]:
    """Incidents a year, mean time to detection in hours, and the share that nothing detected, of a plan."""
    incidents, undetected, delay = (
        found.runs.column(plan, name) for name in ("incidents", "undetected", "delay_hours")
    )
    count, missed = float(incidents.sum()), float(undetected.sum())
    return {
        "incidents_per_year": float(incidents.mean()) * DAYS_PER_YEAR / found.scenario.horizon,
        "mttd_hours": float(delay.sum()) / (count - missed) if count > missed else math.nan,
        "undetected_share": missed / count if count else math.nan,
    }


def marginal_table(found: BudgetFound) -> pd.DataFrame:
    """One row an entry of the menu, around the recommended plan with all other entries as they are.

    next: the next dearer option ('none' where there is none); price, avoided, per_dollar: what it costs more, what loss
    it avoids, and their ratio; removed_saves, removed_loses, removed_net: cost saved, loss added and their difference
    when the entry is switched off (NaN where it is off, or cannot be); replications: worlds of either comparison.
    """
    around = found.recommended
    rows = []
    for place, choice in enumerate(found.plans[around].choices):
        dearer, off = next_dearer(found, around, place), switched_off(found, around, place)
        row: dict[str, object] = {"entry": choice.entry, "option": choice.option}
        row["next"] = "none" if dearer is None else found.plans[dearer].choices[place].option
        price, avoided = _step(found, around, dearer)
        row |= _named("price", mean_interval(price, found.confidence))
        row |= _named("avoided", mean_interval(avoided, found.confidence))
        row |= _named("per_dollar", ratio_interval(avoided, price, found.confidence))
        row["replications"] = len(price)
        more, avoided_by_off = _step(found, around, off)
        row |= _named("removed_saves", mean_interval(-more, found.confidence))
        row |= _named("removed_loses", mean_interval(-avoided_by_off, found.confidence))
        row |= _named("removed_net", mean_interval(more - avoided_by_off, found.confidence))
        row["removed_replications"] = len(more)
        rows.append(row)
    return pd.DataFrame(rows)


def next_dearer(found: BudgetFound, around: int, place: int) -> int | None:
    """The plan with the next dearer option of one entry, all others as they are; None where there is none."""
    prices = {}
    for plan in neighbours(found, around, place):
        price, _ = _step(found, around, plan)
        if price.mean() > 0.0:
            prices[plan] = float(price.mean())
    return min(prices, key=prices.__getitem__) if prices else None


def switched_off(found: BudgetFound, around: int, place: int) -> int | None:
    """The plan with one entry off, all others as they are; None where it is off already, or cannot be."""
    if found.plans[around].choices[place].off:
        return None
    plans = neighbours(found, around, place)
    return next((plan for plan in plans if found.plans[plan].choices[place].off), None)


def neighbours(found: BudgetFound, around: int, place: int) -> list[int]:
    """Plans that differ in one entry only."""
    stride = math.prod(found.options[place + 1 :])
    mine = around // stride % found.options[place]
    return [around + (other - mine) * stride for other in range(found.options[place]) if other != mine]


def _step(found: BudgetFound, plan: int, other: int | None) -> tuple[Array, Array]:
    """What the other plan costs more, and the loss that it avoids, in the worlds that both met."""
    if other is None:
        return np.empty(0), np.empty(0)
    count = int(min(found.runs.counts[plan], found.runs.counts[other]))
    more = found.runs.column(other, "monitoring", count) - found.runs.column(plan, "monitoring", count)
    return more, found.runs.column(plan, "loss", count) - found.runs.column(other, "loss", count)


def _named(name: str, interval: Interval) -> dict[str, float]:
    return {
        name: float(interval.mean),
        f"{name}_low": float(interval.low),
        f"{name}_high": float(interval.high),
    }


def _above_best(found: BudgetFound, plan: int) -> Interval:
    count = int(min(found.runs.counts[plan], found.runs.counts[found.recommended]))
    mine, best = found.runs.total(plan, count), found.runs.total(found.recommended, count)
    return paired_interval(mine, best, found.confidence)


def _nothing() -> Interval:
    return Interval(math.nan, math.nan, math.nan)
