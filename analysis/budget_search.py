"""The search for the best monitoring plan: all plans in few worlds, those that may matter in more and more.

A plan matters while it may be the one of least total cost, or may lie on the frontier of monitoring cost and loss. All
plans meet the same worlds, in the same order, and so does the full factorial: whoever reaches the last round has
the figures that the full factorial would give.

Why not the procedures of `analysis.selection`: KN needs a difference that does not matter and has one aim, here there
are two or three (total cost, total cost within the limit, the frontier); OCBA knows no common worlds; and both
ask for one plan in one world at a time, where a world is drawn once for many plans here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from analysis.frontier import cheaper_rivals
from analysis.multiple_comparisons import bonferroni_level
from analysis.plan_runs import PlanRuns

Array = NDArray[np.float64]
Places = NDArray[np.int64]

SHARE = 0.27
"""Replications of the search over those of the full factorial, at most; what is left to a third is for its report."""
FIRST_SHARE = 1.0 / 6.0
"""Share of the replications that all plans get."""
FEW = 4
"""Plans that are always played to the end, whatever the share; from 3 * FEW on the share is what limits the search."""
LEAST = 2
"""Replications without which there is no spread."""
GROWTH = 2.0
"""How many times the replications of the round before those of the next are."""
NEAR = 0.01
"""Loss that does not matter on the frontier, as a share of the least total cost."""
BORROWED = 4.0
"""Degrees of freedom that the variance of a plan borrows from all plans when plans are ranked."""
DRAWS = 2000
"""Draws of the means from what the runs leave possible."""


@dataclass(frozen=True)
class Round:
    """One round of the search."""

    replications: int
    """Worlds that the plans of this round have met."""
    plans: int
    contenders: int
    """Of these, plans that may still be the one of least total cost."""
    dropped: int
    """Plans that are certainly worse in total cost and certainly away from the frontier."""
    cut: int
    """Plans that were left for want of replications, the least promising ones."""


@dataclass(frozen=True)
class Found:
    """Who was played to the end, and how it came to that."""

    finalists: tuple[int, ...]
    """Plans that have met all worlds of the last round."""
    replications: int
    """Number of these worlds."""
    rounds: tuple[Round, ...]
    allowance: int
    """Replications of all plans together that the search could use."""


def search(
    runs: PlanRuns,
    replications: int,
    confidence: float = 0.95,
    limit: float = math.inf,
    *,
    share: float = SHARE,
) -> Found:
    """Play plans until those that matter have met `replications` worlds, within a share of the full factorial.

    runs: of two or more plans; replications: of the full factorial, >= 2; confidence: that no plan is dropped wrongly
    for certain, over all plans and rounds; limit: monitoring cost a year that the best affordable plan keeps; share: in
    (0, 1], 1 for the full factorial, which plays everything. Raises ValueError outside these ranges.
    """
    if replications < LEAST:
        raise ValueError(f"replications: got {replications}, expected at least {LEAST}")
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share: got {share}, expected a share of the full factorial in (0, 1]")
    full = share == 1.0 or runs.plans <= FEW
    allowance = max(int(share * runs.plans * replications + 1e-9), min(FEW, runs.plans) * replications)
    counts = [replications] if full else list(_counts(replications, allowance // runs.plans))
    level = bonferroni_level(confidence, max(runs.plans - 1, 1) * len(counts))
    alive: Places = np.arange(runs.plans)
    rounds: list[Round] = []
    for number, count in enumerate(counts):
        runs.extend(dict.fromkeys(alive.tolist(), count))
        played = len(alive)
        alive = _different(runs, alive, count)
        last = number + 1 == len(counts)
        standing = _Standing(runs, alive, count, level, limit)
        if last:
            rounds.append(Round(count, played, int(standing.contends.sum()), 0, 0))
            break
        kept = standing.kept()
        spare = (allowance - int(runs.counts.sum())) / (len(counts) - number - 1)
        places = max(int(spare / (counts[number + 1] - count)), 0)
        chosen = standing.promising(kept, places)
        rounds.append(
            Round(
                count, played, int(standing.contends.sum()), int((~kept).sum()), int(kept.sum()) - len(chosen)
            )
        )
        if (
            len(chosen) == 0
        ):  # a share of so few replications leaves none: the best of these few meet all worlds
            count, alive = replications, alive[np.sort(standing.promising(kept, FEW))]
            runs.extend(dict.fromkeys(alive.tolist(), count))
            rounds[-1] = replace(rounds[-1], cut=rounds[-1].cut - len(alive))
            rounds.append(Round(count, len(alive), len(alive), 0, 0))
            break
        alive = alive[np.sort(chosen)]
    return Found(tuple(alive.tolist()), count, tuple(rounds), allowance)


def probability_best(runs: PlanRuns, winner: int, rivals: Sequence[int], seed: int = 0) -> float:
    """Probability that no rival has a lower mean total cost, given the runs.

    Each rival is paired with the winner in the worlds that it met. The means of all differences are drawn together from
    their posterior under a flat prior (Student's t with the covariance seen, so that for a single rival this is
    `intervals.probability_negative`); the share of the draws in which all of them are above 0 is the answer. Rivals
    whose results equal the winner's are no rivals. It knows only what the runs have seen: failures too rare to have
    happened in them do not count. NaN with fewer than two replications.
    """
    rng = np.random.default_rng(seed)
    most = int(runs.counts[winner])
    if most < LEAST:
        return math.nan
    normal, right = rng.standard_normal((DRAWS, most)), np.ones(DRAWS, dtype=bool)
    by_count: dict[int, list[int]] = {}
    for plan in rivals:
        if plan != winner:
            by_count.setdefault(min(int(runs.counts[plan]), most), []).append(plan)
    for count, plans in sorted(by_count.items()):
        if count < LEAST:
            return math.nan
        stretch = np.sqrt((count - 1) / rng.chisquare(count - 1, DRAWS))
        for start in range(0, len(plans), 500):
            of_block = plans[start : start + 500]
            gaps = np.array([runs.total(plan, count) for plan in of_block]) - runs.total(winner, count)
            gaps = gaps[np.any(gaps != 0.0, axis=1)]
            means = gaps.mean(axis=1)
            noise = normal[:, :count] @ (gaps - means[:, None]).T / math.sqrt(count * (count - 1))
            right &= (means + stretch[:, None] * noise > 0.0).all(axis=1)
    return float(right.mean())


class _Standing:
    """How the plans of a round stand after `count` replications; arrays have one entry a plan of the round."""

    def __init__(self, runs: PlanRuns, alive: Places, count: int, level: float, limit: float) -> None:
        self.quantile = float(stdtrit(count - 1, level))
        cost = np.array([runs.column(plan, "monitoring", count) for plan in alive])
        self.loss = np.array([runs.column(plan, "loss", count) for plan in alive])
        self.total = cost + self.loss
        self.cost = cost.mean(axis=1)
        every = np.ones(len(alive), dtype=bool)
        affordable = self.cost <= limit
        aims = [every] if affordable.all() or not affordable.any() else [every, affordable]
        gaps = [self._gaps(aim) for aim in aims]
        self.merits = [_errors_above(gap, 0.0) for gap in gaps]
        """Of each aim: standard errors by which a plan is worse than the leader; infinite outside the aim."""
        self.ranks = [_errors_above(gap, 0.0, BORROWED) for gap in gaps]
        """The same, for an order among plans: with few worlds a small error is mostly luck."""
        self.contends = self.merits[0] <= self.quantile
        self.near, self.near_rank = self._nearness(0.0), self._nearness(BORROWED)
        """Standard errors by which it is certain that a plan adds nothing to the frontier."""

    def kept(self) -> NDArray[np.bool_]:
        """Which plans may be best in an aim, or on the frontier."""
        found = self.near <= self.quantile
        for merit in self.merits:
            found = found | (merit <= self.quantile)
        return np.asarray(found)

    def promising(self, kept: NDArray[np.bool_], places: int) -> Places:
        """At most so many of the kept plans: two for each aim of total cost, then one for the frontier, and again."""
        plans = np.flatnonzero(kept)
        if len(plans) <= places:
            return plans
        rankings = [plans[np.argsort(rank[plans], kind="stable")] for rank in self.ranks for _ in range(2)]
        rankings.append(plans[np.argsort(self.near_rank[plans], kind="stable")])
        chosen: dict[int, None] = {}
        queues = [iter(ranking.tolist()) for ranking in rankings]
        while len(chosen) < places:
            for queue in queues:
                following = next((plan for plan in queue if plan not in chosen), None)
                if following is not None and len(chosen) < places:
                    chosen[following] = None
        return np.array(list(chosen), dtype=np.int64)

    def _gaps(self, aim: NDArray[np.bool_]) -> Array:
        """Total cost above that of the leader of an aim, world by world; infinite outside the aim."""
        leader = int(np.flatnonzero(aim)[np.argmin(self.total.mean(axis=1)[aim])])
        return np.where(aim[:, None], self.total - self.total[leader], math.inf)

    def _nearness(self, borrowed: float) -> Array:
        rivals = cheaper_rivals(self.cost, self.loss.mean(axis=1))
        matters = NEAR * float(np.abs(self.total.mean(axis=1)).min())
        found = _errors_above(self.loss - self.loss[rivals], -matters, borrowed)
        return np.where(rivals == np.arange(len(rivals)), -math.inf, found)


def _errors_above(differences: Array, bound: float, borrowed: float = 0.0) -> Array:
    """Standard errors by which the mean of each row is above a bound; infinite (of its sign) where nothing varies.

    differences: (rows, worlds); a row may be infinite as a whole. borrowed: degrees of freedom of the median
    variance of all rows that is mixed into that of each. Source: Smyth 2004, 'Linear Models and Empirical Bayes
    Methods', the moderated t.
    """
    count = differences.shape[1]
    found = np.full(len(differences), math.inf)
    finite = np.isfinite(differences[:, 0])
    x = differences[finite]
    gap, spread = x.mean(axis=1) - bound, x.std(axis=1, ddof=1)
    spread = np.where(spread <= 1e-12 * np.abs(x).max(axis=1), 0.0, spread)
    if borrowed and (spread > 0.0).any():
        common = float(np.median(spread[spread > 0.0] ** 2))
        spread = np.sqrt((borrowed * common + (count - 1) * spread**2) / (borrowed + count - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        known = gap / (spread / math.sqrt(count))  # infinite where nothing varies
    found[finite] = np.where(gap == 0.0, 0.0, known)
    return found


def _different(runs: PlanRuns, alive: Places, count: int) -> Places:
    """Plans with different costs; the first of those with equal ones stands for all of them."""
    first: dict[bytes, int] = {}
    for plan in alive.tolist():
        first.setdefault(runs.values[plan][:count, :2].tobytes(), plan)
    return np.array(list(first.values()), dtype=np.int64)


def _counts(replications: int, affordable: int) -> Iterator[int]:
    """Replications after each round; affordable: how many all plans together could have."""
    count = min(max(round(FIRST_SHARE * replications), LEAST), max(affordable, LEAST), replications)
    while count < replications:
        yield count
        following = round(GROWTH * count)
        # No last round that is hardly one.
        count = replications if following > 0.75 * replications else following
    yield replications
