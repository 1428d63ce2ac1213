"""Review at work: which decisions go to people, when they get to them, and what that is worth.

Nothing about the queue depends on the policy, so it is played once for a world, in one kernel call, and shared; only
where an incident keeps requests from being served it is played for the run, without their cases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scenarios.review import Review
from scenarios.units import HOURS_PER_DAY
from sim.durations import quantile
from sim.kernels.review_queue import start_cases
from sim.kernels.sampling import binomial_at
from sim.ledger import Ledger
from sim.traffic import whole
from sim.working_time import WorkingClock

if TYPE_CHECKING:
    from sim.engine import Run
    from sim.world import World

Array = NDArray[np.float64]
MAX_CASES = 20_000_000
"""Cases of a run, at most: about 2.5 GB while they are played."""
_SLACK = 1e-8
"""Working days that do not count."""
FIGURES = (
    "reviews", "review_lapsed", "review_wait_hours", "review_wait_p95_hours", "review_utilisation",
    "review_backlog", "review_hours",
)  # fmt: skip
"""Figures of a run's summary that are about review."""


@dataclass(frozen=True)
class ReviewQueue:
    """The cases of a run and what became of them; moments in days, all (cases,)."""

    review: Review
    horizon: float
    window: NDArray[np.int64] = field(repr=False)
    """Window of the decision."""
    arrival: Array = field(repr=False)
    start: Array = field(repr=False)
    """NaN for a case that nobody has taken up."""
    finish: Array = field(repr=False)
    worked: float
    """Days that all reviewers together were busy."""
    on_duty: float
    """Days that all reviewers together were at their desks."""

    @property
    def reviewed(self) -> NDArray[np.bool_]:
        """Cases with a person's answer."""
        return self.finish <= self.horizon

    @property
    def lapsed(self) -> NDArray[np.bool_]:
        """Cases that nobody took up before their deadline."""
        return np.isnan(self.start) & (self._deadline < self.horizon)

    @property
    def open(self) -> NDArray[np.bool_]:
        """Cases that wait, or are being reviewed, at the end of the run."""
        return ~(self.reviewed | self.lapsed)

    @cached_property
    def waits(self) -> Array:
        """Days that each case waited: until its start, its deadline, or the end of the run."""
        end = np.where(np.isnan(self.start), np.minimum(self._deadline, self.horizon), self.start)
        return np.asarray(end - self.arrival)

    @property
    def _deadline(self) -> Array:
        return np.asarray(self.arrival + (np.inf if self.review.deadline is None else self.review.deadline))

    @cached_property
    def figures(self) -> dict[str, float]:
        """What FIGURES names: counts, share of the cases that lapsed, waits of those that were taken up (hours)."""
        cases = len(self.arrival)
        waits = HOURS_PER_DAY * self.waits[~np.isnan(self.start)]
        found = (
            float(self.reviewed.sum()),
            float(self.lapsed.sum()) / cases if cases else np.nan,
            float(waits.mean()) if len(waits) else np.nan,
            float(np.quantile(waits, 0.95)) if len(waits) else np.nan,
            self.worked / self.on_duty if self.on_duty else np.nan,
            float(self.open.sum()),
            HOURS_PER_DAY * self.worked,
        )
        return dict(zip(FIGURES, found, strict=True))

    def gain(self, accuracy: Array, requests: Array) -> Array:
        """Accuracy that users meet above the model's, in each window, (windows,); below 0 where reviewers are worse.

        accuracy: the model's, requests: served, both (windows,). Of the model's errors `error_share` are among the
        uncertain decisions, so of these min(1, error_share (1 - accuracy) / share) are wrong.
        """
        wrong = np.minimum(self.review.error_share * (1.0 - accuracy) / self.review.share, 1.0)
        reviewed = np.bincount(self.window[self.reviewed], minlength=len(accuracy))
        share = np.divide(reviewed, requests, out=np.zeros(len(accuracy)), where=requests > 0.0)
        gained = np.minimum(share, 1.0) * (wrong - (1.0 - self.review.accuracy))
        return np.asarray(np.minimum(gained, 1.0 - accuracy))

    def post(self, ledger: Ledger) -> None:
        """Post what people on duty and waiting cases cost."""
        ledger.post("review", self.on_duty * self.review.hourly_cost)
        ledger.post("review", float(self.waits.sum()) * self.review.wait_cost)


def no_figures() -> dict[str, float]:
    """The figures of a run without review."""
    return dict.fromkeys(FIGURES, np.nan) | dict.fromkeys(("reviews", "review_backlog", "review_hours"), 0.0)


def review_of(run: Run, served: Array | None) -> ReviewQueue | None:
    """The review queue of a run, None without one. served: share of the requests of each window, None for all."""
    review = run.scenario.review
    if review is None:
        return None
    return run.world.reviews if served is None else play_review(run.world, review, served)


def play_review(world: World, review: Review, served: Array | None = None) -> ReviewQueue:
    """Play the queue of a world's uncertain decisions. Raises ValueError for more than MAX_CASES.

    served: share of the requests of each window that is served, (windows,); None for all
    """
    scenario = world.scenario
    requests = whole(world.requests)
    count = np.empty(len(requests))
    windows = np.arange(len(requests))
    share = np.full(len(requests), review.share)
    binomial_at(world.key("review: cases"), windows, requests.astype(np.int64), share, count)
    if count.sum() > MAX_CASES:
        raise ValueError(
            f"review.share: {review.share:g} of the requests are {count.sum():,.0f} cases, expected at most "
            f"{MAX_CASES:,}: a smaller share, or a shorter horizon"
        )
    window = np.repeat(windows, count.astype(np.int64))
    cases = len(window)
    place = window + world.stream("review: arrivals").random(cases)
    work = quantile(review.service, world.stream("review: service").random(cases))
    urgent = world.stream("review: urgency").random(cases) < review.urgent
    if served is not None:
        # All cases are drawn and some left out, so that the others stay as they are whatever is served.
        kept = _served_cases(world, served, count)
        window, place, work, urgent = window[kept], place[kept], work[kept], urgent[kept]
        cases = len(window)
    arrival = np.sort(place) * scenario.window  # within its window, in order
    clock = WorkingClock(review.hours)
    start = np.empty(cases)
    until = float(clock.worked(scenario.horizon))
    leave = _latest_starts(clock, arrival, review.deadline)
    start_cases(clock.worked(arrival), work, leave, urgent, review.reviewers, until, start)
    end = start + work
    busy = np.nansum(np.minimum(end, until) - start)
    # An idle reviewer takes a case up as it comes; going to the working clock and back costs the last bits.
    began = np.maximum(clock.starts(start), arrival)
    return ReviewQueue(
        review,
        scenario.horizon,
        window,
        arrival,
        began,
        clock.ends(end),
        float(busy),
        review.reviewers * until,
    )


def _served_cases(world: World, served: Array, count: Array) -> NDArray[np.bool_]:
    """Which cases are of requests that are served, (cases,); served: their share, count: of cases, both (windows,)."""
    left = np.empty(len(count))
    key = world.key("review: served")
    binomial_at(key, np.arange(len(count)), count.astype(np.int64), np.clip(served, 0.0, 1.0), left)
    first = np.cumsum(count) - count
    rank = np.arange(int(count.sum())) - np.repeat(first, count.astype(np.int64))
    return np.asarray(rank < np.repeat(left, count.astype(np.int64)))


def _latest_starts(clock: WorkingClock, arrival: Array, deadline: float | None) -> Array:
    """The last moment, on the working clock, at which each case is still taken up."""
    if deadline is None:
        return np.full(len(arrival), np.inf)
    moment = arrival + deadline
    worked = clock.worked(moment)
    # Who would start at the very closing starts when the desks open again: too late for a deadline in between.
    return np.where(clock.open_at(moment), worked, worked - _SLACK)
