"""Review: queues against their closed forms and a plain twin, and what reviewers gain, cost and let pass."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import scenarios
import sim
from analysis.queueing import mg1_mean_wait, mmc_mean_wait
from scenarios.loader import ScenarioError, validate_mapping
from scenarios.schema import Scenario
from scenarios.working_hours import WorkingHours
from sim.review import play_review
from sim.world import World, differing_fields
from tests.reference.plain_review import plain_starts

AROUND_THE_CLOCK = {"start": "0h", "end": "24h", "days": 7}
SERVICE = 0.001
"""Days: 86 seconds."""


def small(**review: Any) -> Scenario:
    content: dict[str, Any] = {
        "title": "Uncertain decisions",
        "horizon": "30d",
        "value_per_query_per_unit_accuracy": "$1",
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0.2%/d"},
        "traffic": {"rate": "2000/d"},
        "labels": "none",
        "policies": ["never"],
    }
    if review:
        content["review"] = {"share": 0.1, "error_share": 0.4, "hours": AROUND_THE_CLOCK} | review
    return validate_mapping(content)


def waits(load: float, reviewers: int, service: dict[str, Any], worlds: int = 12) -> list[float]:
    """Mean wait of each of some worlds in which every decision is a case, days."""
    rate = load * reviewers / SERVICE
    scenario = small(share=1.0, error_share=1.0, reviewers=reviewers, service=service).with_(
        traffic__rate=f"{rate}/d", horizon="60d"
    )
    assert scenario.review is not None
    return [
        play_review(World(scenario, 5, k), scenario.review).figures["review_wait_hours"] / 24.0
        for k in range(worlds)
    ]


def within(found: list[float], expected: float) -> bool:
    """Whether the mean lies within 4 standard errors (t of 11: one false alarm in 500) of what is expected."""
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    assert error < 0.05 * expected, "too few worlds to say anything"
    return abs(np.mean(found) - expected) < 4.0 * error


EXPONENTIAL = {"kind": "exponential", "mean": f"{SERVICE}d"}


@pytest.mark.parametrize(
    ("service", "scv"),
    [
        (EXPONENTIAL, 1.0),
        ({"kind": "fixed", "value": f"{SERVICE}d"}, 0.0),
        ({"kind": "uniform", "low": "0d", "high": f"{2 * SERVICE}d"}, 1.0 / 3.0),
    ],
)
def test_one_reviewer_waits_as_pollaczek_and_khinchine_say(service, scv):
    expected = mg1_mean_wait(arrival_rate=0.7 / SERVICE, service_time=SERVICE, service_scv=scv)
    assert within(waits(0.7, 1, service), float(expected))


def test_several_reviewers_wait_as_erlang_says():
    expected = mmc_mean_wait(arrival_rate=3.2 / SERVICE, service_time=SERVICE, servers=4)
    assert within(waits(0.8, 4, EXPONENTIAL), float(expected))


@pytest.mark.parametrize("deadline", [None, "3h", "20h"])
@pytest.mark.parametrize("hours", [WorkingHours(), WorkingHours(start="0h", end="24h", days=7)])
def test_the_kernel_equals_people_at_their_desks(hours, deadline):
    scenario = small(
        reviewers=2,
        hours=hours.model_dump(mode="json"),
        deadline=deadline,
        urgent=0.2,
        service={"kind": "exponential", "mean": "25min"},
    ).with_(traffic__rate="600/d", horizon="21d")
    assert scenario.review is not None
    world = World(scenario, 2, 0)
    found = play_review(world, scenario.review)
    cases = len(found.arrival)
    work = 25 / 1440 * -np.log1p(-world.stream("review: service").random(cases))
    urgent = world.stream("review: urgency").random(cases) < 0.2
    latest = math.inf if scenario.review.deadline is None else scenario.review.deadline
    plain = plain_starts(
        found.arrival.tolist(), work.tolist(), urgent.tolist(), 2, hours, latest, scenario.horizon
    )
    starts, ends = np.array(plain).T
    np.testing.assert_allclose(found.start, starts, atol=1e-7, equal_nan=True)
    done = found.reviewed
    np.testing.assert_allclose(found.finish[done], ends[done], atol=1e-7)
    assert np.isnan(ends[~done]).all()
    assert 100 < done.sum() < cases or deadline is None


def test_every_case_is_reviewed_lapsed_or_open():
    scenario = small(
        deadline="2h", service="30min", reviewers=3, hours={"start": "9h", "end": "17h", "days": 5}
    )
    found = sim.run(scenario).review
    assert found is not None
    states = found.reviewed.astype(int) + found.lapsed + found.open
    assert (states == 1).all()
    assert found.lapsed.sum() > 100 < found.reviewed.sum()
    assert (found.waits >= 0.0).all()
    assert found.waits.max() <= 2 / 24 + 1e-9


def test_what_reviewers_set_right_is_loss_that_nobody_met():
    free = {"hourly_cost": 0, "service": "1s", "accuracy": 1.0}
    alone, helped = sim.run(small()), sim.run(small(**free))
    errors = 1.0 - alone.summary["mean_accuracy"]
    gained = helped.summary["mean_accuracy"] - alone.summary["mean_accuracy"]
    # A tenth of the decisions holds two fifths of the errors, and all of it is reviewed at once.
    assert gained == pytest.approx(0.4 * errors, rel=0.02)
    saved = alone.costs["staleness"] - helped.costs["staleness"]
    assert saved == pytest.approx(gained * helped.requests.sum(), rel=1e-9)
    assert helped.costs["review"] == 0.0
    assert alone.timeline["accuracy"].equals(helped.timeline["accuracy"])
    assert (helped.timeline["met_accuracy"] <= 1.0).all()


def test_reviewers_who_err_more_than_the_model_do_harm():
    assert sim.run(small(accuracy=0.3)).summary["mean_accuracy"] < sim.run(small()).summary["mean_accuracy"]


def test_people_and_waiting_cases_are_paid():
    scenario = small(hourly_cost="$50/h", wait_cost="$2/h", reviewers=2, service="12min")
    result = sim.run(scenario)
    assert result.review is not None
    waited = 24.0 * float(result.review.waits.sum())
    assert result.costs["review"] == pytest.approx(2 * 30 * 24 * 50 + 2 * waited)
    assert result.summary["review_utilisation"] == pytest.approx(200 * 12 / (2 * 1440), rel=0.05)


def test_more_reviewers_never_wait_longer_case_by_case():
    queues = [sim.run(small(reviewers=n, service="6min")).review for n in (1, 2, 5)]
    for few, many in pairwise(queues):
        assert few is not None
        assert many is not None
        assert few.arrival.tolist() == many.arrival.tolist()
        assert (many.waits <= few.waits + 1e-9).all()


def test_cases_of_requests_that_are_not_served_leave_all_others_as_they_are():
    scenario = small(service="1min", deadline="1h", urgent=0.3)
    assert scenario.review is not None
    world = World(scenario, 4, 0)
    share = np.ones(scenario.windows)
    share[100:120], share[200:260] = 0.0, 0.5
    everything, less = world.reviews, play_review(world, scenario.review, share)
    same = play_review(world, scenario.review, np.ones(scenario.windows))
    assert same.start.tolist() == everything.start.tolist()
    assert not ((less.window >= 100) & (less.window < 120)).any()
    halved = [((q.window >= 200) & (q.window < 260)).sum() for q in (everything, less)]
    assert abs(halved[1] - 0.5 * halved[0]) < 4.0 * math.sqrt(0.25 * halved[0])  # one false alarm in 16,000
    one, other = (q.start[q.window >= 270] for q in (everything, less))
    np.testing.assert_array_equal(one, other)


def test_the_world_does_not_depend_on_who_reviews():
    one, other = small(reviewers=1), small(reviewers=3, share=0.2)
    assert differing_fields(one, other) == []
    assert World(one).for_scenario(other).reviews.review == other.review


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"error_share": 0.05}, "review.error_share: got 0.05, expected at least share (0.1)"),
        ({"share": 0}, "review.share"),
        ({"deadline": "0h"}, "review.deadline"),
        ({"reviewer": 2}, "did you mean 'reviewers'?"),
    ],
)
def test_wrong_input(fields, message):
    with pytest.raises(ScenarioError) as caught:
        small(**fields)
    assert message in str(caught.value)


def test_too_many_cases_are_refused():
    scenario = scenarios.load("fraud_detection", review={"share": 0.1, "error_share": 0.5})
    with pytest.raises(
        ValueError, match=r"review.share: 0.1 of the requests are .* expected at most 20,000,000"
    ):
        sim.run(scenario)
