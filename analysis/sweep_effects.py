"""What drives the result of a sweep: shares of the variance over variants, by factor and by pair of factors.

The share of a factor is eta^2 = SS(factor) / SS(total) of a one-way analysis of variance over the variants, the share
of an interaction that of the two-way table less its two factors. In a full grid they are those of the analysis of
variance and add up to 1 with the interactions of more factors and the noise of the replications. Factors of a
sample are cut into groups of equal size, whose chance share is taken away (epsilon^2).
Source: Montgomery, Design and Analysis of Experiments, chapter 5; Kelley (1935) for epsilon^2.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.designs import Block

if TYPE_CHECKING:
    from analysis.sweep import Sweep

Codes = NDArray[np.int64]
GROUPS = 5
"""Groups into which a factor of a sample is cut."""
DECISION = "decision"
"""The response that says which of the two most frequent winners is cheaper."""


def effects(sweep: Sweep) -> pd.DataFrame:
    """Shares of the variance over variants: columns response, term and share, largest share first.

    Responses are the annual cost of each candidate, the decision (difference of cost of the two policies that are
    cheapest most often) and the best policy's cost. Empty where nothing takes more than one value.
    """
    terms = _terms(sweep)
    sampled = any(block.kind == "sample" for block in sweep.design.blocks)
    rows = [
        {"response": response, "term": term, "share": share}
        for response, values in _responses(sweep).items()
        for term, share in variance_shares(values, terms, sampled=sampled).items()
    ]
    table = pd.DataFrame(rows, columns=["response", "term", "share"])
    table = table.dropna(subset="share")
    return table.sort_values(["response", "share"], ascending=[True, False], kind="stable", ignore_index=True)


def variance_shares(
    values: NDArray[np.float64], terms: dict[str, Codes], *, sampled: bool = False
) -> dict[str, float]:
    """Share of the sum of squares of values (variants,) that each term, and each pair of terms, takes.

    terms: by name the level of each variant (variants,), whole numbers from 0. sampled: the variants are no full
    grid, take away what as many groups take by chance; NaN for pairs with as many groups as variants. Shares
    are 0 where nothing varies.

    >>> a, b = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    >>> variance_shares(np.array([0.0, 1.0, 2.0, 3.0]), {"a": a, "b": b})
    {'a': 0.8, 'b': 0.2, 'a x b': 0.0}
    """
    centred = values - values.mean()
    total = float(centred @ centred)
    nothing = total <= 1e-18 * len(values) * float(np.abs(values).max(initial=0.0)) ** 2

    def share(square: float, freedom: int, within: float, rest: int) -> float:
        if nothing:
            return 0.0
        if not sampled:
            return max(square / total, 0.0)
        return max(square - freedom * within / rest, 0.0) / total if rest > 0 else math.nan

    found: dict[str, float] = {}
    alone = {name: _between(centred, codes) for name, codes in terms.items()}
    for name, (square, groups) in alone.items():
        found[name] = share(square, groups - 1, total - square, len(values) - groups)
    for (a, one), (b, other) in combinations(terms.items(), 2):
        square, groups = _between(centred, one * (int(other.max()) + 1) + other)
        joint = square - alone[a][0] - alone[b][0]
        freedom = groups - alone[a][1] - alone[b][1] + 1
        found[f"{a} x {b}"] = share(joint, freedom, total - square, len(values) - groups)
    return found


def effects_text(table: pd.DataFrame, most: int = 5) -> str:
    """The largest shares of the decision and of the best policy's cost, as a table."""
    from analysis.report import aligned

    rows: dict[str, dict[str, str]] = {}
    responses = [name for name in (DECISION, "lowest cost") if name in set(table["response"])]
    wide = table.pivot_table(index="term", columns="response", values="share", sort=False)
    for term in wide[responses].max(axis=1).sort_values(ascending=False).index[:most]:
        rows[str(term)] = {name: f"{max(wide.loc[term, name], 0.0):.0%}" for name in responses}
    return aligned(rows, "share of the variance over variants")


def _responses(sweep: Sweep) -> dict[str, NDArray[np.float64]]:
    costs = sweep.table().pivot_table(index="variant", columns="policy", values="annual_cost", sort=False)
    found = {f"cost of {name}": costs[name].to_numpy() for name in sweep.candidates}
    found["lowest cost"] = costs[sweep.candidates].min(axis=1).to_numpy()
    pair = decisive_pair(sweep)
    if pair is not None:
        found[DECISION] = (costs[pair[0]] - costs[pair[1]]).to_numpy()
    return found


def decisive_pair(sweep: Sweep) -> tuple[str, str] | None:
    """The two policies that are the cheapest, or else the next, in most variants; None of a single one."""
    if len(sweep.candidates) < 2:
        return None
    winners = sweep.winners()
    first = winners["best"].value_counts()
    second = winners["runner_up"].value_counts()
    order = sorted(sweep.candidates, key=lambda name: (-first.get(name, 0), -second.get(name, 0)))
    return order[0], order[1]


def _terms(sweep: Sweep) -> dict[str, Codes]:
    """The level of each finished variant in each thing that varies by itself: paired factors are one."""
    variants = sweep.winners()["variant"].to_numpy()
    found: dict[str, Codes] = {}
    stride = len(sweep.design)
    for block in sweep.design.blocks:
        stride //= block.size
        rows = variants // stride % block.size
        if block.kind == "pair":
            found[" + ".join(f.name for f in block.factors)] = _recoded(rows)
        else:
            found |= {
                factor.name: _recoded(_groups(block, place)[rows])
                for place, factor in enumerate(block.factors)
            }
    return {name: codes for name, codes in found.items() if codes.max(initial=0) > 0}


def _groups(block: Block, place: int) -> Codes:
    """The level of each row of a block."""
    factor = block.factors[place]
    if block.kind == "sample" and factor.numbers is not None and len(factor.levels) > 2 * GROUPS:
        order = np.argsort(np.argsort(np.array(factor.numbers), kind="stable"), kind="stable")
        return np.asarray(order * GROUPS // len(order))
    known: dict[str, int] = {}
    return np.array([known.setdefault(repr(value), len(known)) for value in factor.values])


def _recoded(codes: Codes) -> Codes:
    return np.asarray(np.unique(codes, return_inverse=True)[1])


def _between(centred: NDArray[np.float64], codes: Codes) -> tuple[float, int]:
    """Sum of squares between the groups, and their number."""
    count = np.bincount(codes)
    total = np.bincount(codes, weights=centred)
    there = count > 0
    return float((total[there] ** 2 / count[there]).sum()), int(there.sum())
