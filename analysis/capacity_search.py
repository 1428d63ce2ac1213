"""The fewest replicas of each combination that keep the objective, and the cheapest fleet of all.

Bisection on simulation: from a first guess the bracket grows until one end keeps the objective and the other does not,
and is halved until they are neighbours, so the answer keeps it and one replica fewer was seen not to. That more
replicas do better is taken for granted; on the same requests it holds but for the luck of failures and spot capacity.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from analysis.capacity_candidates import Candidate, Menu
from analysis.capacity_runs import Evaluated, Fleets
from scenarios.units import DAYS_PER_MONTH

Asking = Generator[int, bool, int | None]


def fewest(guess: int, lowest: int, highest: int) -> Asking:
    """Ask whether numbers of replicas are enough; return the smallest that is, None where `highest` is not.

    1 <= lowest <= highest; the first question is about `guess`, or what of the range is nearest to it.

    >>> asking, asked = fewest(5, 1, 64), []
    >>> number = next(asking)
    >>> try:
    ...     while True:
    ...         asked.append(number)
    ...         number = asking.send(number >= 7)
    ... except StopIteration as done:
    ...     (done.value, asked)
    (7, [5, 6, 8, 7])
    """
    size, step = min(max(guess, lowest), highest), 1
    if (yield size):
        kept, failed = size, lowest - 1
        while kept > lowest:
            size = max(kept - step, lowest)
            if not (yield size):
                failed = size
                break
            kept, step = size, 2 * step
    else:
        failed, kept, tries = size, highest + 1, 0
        while failed < highest:
            # After some failures see whether anything helps before going there step by step.
            size = highest if tries == HOPE else min(failed + step, highest)
            tries += 1
            if (yield size):
                kept = size
                break
            failed, step = size, 2 * step
        if kept > highest:
            return None
    while kept - failed > 1:
        middle = (kept + failed) // 2
        if (yield middle):
            kept = middle
        else:
            failed = middle
    return kept


HOPE = 2
"""Larger and larger fleets that may fail before the largest is looked at."""


@dataclass
class Line:
    """The search along the numbers of replicas of one combination."""

    candidate: Candidate
    asking: Asking = field(repr=False)
    asked: int
    """Number of replicas that is looked at next."""
    failed: int = 0
    """Most replicas that are known not to be enough, or not allowed."""
    found: int | None = None
    """Fewest that are enough."""
    state: str = "searching"
    """searching, found, nothing keeps it, or dearer: it cannot be the cheapest any more."""

    def tell(self, kept: bool) -> None:
        """Go on with the answer to what was asked."""
        if not kept:
            self.failed = max(self.failed, self.asked)
        try:
            self.asked = self.asking.send(kept)
        except StopIteration as done:
            self.found = done.value
            self.state = "nothing keeps it" if self.found is None else "found"


def search(fleets: Fleets, menu: Menu, guesses: Sequence[int], highest: Sequence[int]) -> list[Line]:
    """Find the fewest replicas of every combination; those that cannot be the cheapest are given up.

    guesses, highest: first number to look at and most replicas, of each combination of the menu. One round plays one
    fleet of every combination that is still open, all replications at the same time; until one keeps the objective
    only of the cheapest ones.
    """
    lines = []
    for candidate, guess, most in zip(menu.candidates, guesses, highest, strict=True):
        asking = fewest(guess, menu.lowest, most)
        lines.append(Line(candidate, asking, next(asking), menu.lowest - 1))
    best: float | None = None
    while open_lines := [line for line in lines if line.state == "searching"]:
        if best is None:
            costs = [least_cost(fleets, line.candidate, line.asked) for line in open_lines]
            near = NEAR * min(costs)
            open_lines = [line for line, cost in zip(open_lines, costs, strict=True) if cost <= near]
        played = fleets.play([(line.candidate, line.asked) for line in open_lines])
        for line, fleet in zip(open_lines, played, strict=True):
            line.tell(fleet.kept)
        best = min((one.cost for one in fleets.known.values() if one.kept), default=None)
        for line in lines:
            least = least_cost(fleets, line.candidate, line.failed + 1)
            if best is not None and line.state == "searching" and least > best * (1.0 + 1e-9):
                line.state = "dearer"
    return lines


NEAR = 1.5
"""Until a fleet keeps the objective, combinations are looked at that are no more than this dearer than the cheapest."""
UNPAID = 0.2
"""Share of the cost of replicas that fail or are reclaimed that is not paid meanwhile, at most."""


def least_cost(fleets: Fleets, candidate: Candidate, replicas: int) -> float:
    """What so many replicas of the sized pool cost a month at least; jobs may take some, so then it is 0."""
    serving = candidate.apply(fleets.scenario, replicas).serving
    assert serving is not None
    pool = serving.pool(candidate.pool)
    if serving.jobs:
        return 0.0
    discount = 0.0 if pool.spot is None else pool.spot.discount * pool.spot_replicas / replicas
    uncertain = pool.failures is not None or pool.spot is not None
    certain = 1.0 - UNPAID if uncertain else 1.0
    return pool.price * replicas * (1.0 - discount) * certain * DAYS_PER_MONTH


def cheapest(fleets: Fleets) -> Evaluated | None:
    """The cheapest of all fleets that were played and keep the objective; of equals the quicker one."""
    kept = [fleet for fleet in fleets.known.values() if fleet.kept]
    return min(kept, key=lambda fleet: (fleet.cost, fleet.mean("quantile_s"), fleet.replicas), default=None)


def nearest(fleets: Fleets) -> Evaluated:
    """The fleet that comes nearest to the objective; of equals the cheapest."""
    return min(fleets.known.values(), key=lambda fleet: (fleet.excess, fleet.cost))
