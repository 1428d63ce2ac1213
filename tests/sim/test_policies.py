"""Policies: each one's decision on a view made by hand, and what comes of it in small runs."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import sim
from analysis import economics
from scenarios.loader import validate_mapping
from scenarios.policies import parse_policy
from scenarios.schema import Scenario
from sim import Decision, Policy
from sim.monitoring import Alarm
from sim.policies import Budget, Cooldown, Hybrid, RandomDates, Scheduled, Triggered, Votes, policy_of

INSTANT = dict.fromkeys(("data_validation", "training", "evaluation", "registration", "deployment"), "0d")


def scenario(**parts: Any) -> Scenario:
    plain: dict[str, Any] = {
        "title": "policies",
        "horizon": "100d",
        "window": "1d",
        "value_per_query_per_unit_accuracy": "$1",
        "features": 2,
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1%/d"},
        "traffic": {"rate": "2000/d", "arrivals": "deterministic"},
        "pipeline": {"stages": INSTANT, "cost": {"compute": "$70", "risk": "$5"}},
    }
    return validate_mapping(plain | parts)


def asked(result: sim.Result) -> list[float]:
    """Days on which a retraining started."""
    return [event.time for event in result.raw_events if event.kind == "retraining started"]


def view(now: float, **known: Any) -> Any:
    """A view made by hand: nothing has happened unless it is said."""
    nothing: dict[str, Any] = {
        "alarm": None,
        "alarms": [],
        "triggers": frozenset({"psi", "accuracy"}),
        "retraining": False,
        "retrainings": [],
        "in_service_since": 0.0,
        "memory": {},
    }
    return SimpleNamespace(now=now, **nothing | known)


def alarm(monitor: str = "psi", time: float = 0.0) -> Alarm:
    return Alarm(time, monitor, 0.3, 0.2, True)


# ---------------------------------------------------------------- on a schedule


@pytest.mark.parametrize("interval", [0.1, 1 / 3, 1.0331, 7.0])
def test_a_schedule_is_due_at_each_multiple_and_only_there(interval):
    policy, now, due = Scheduled(interval), 0.0, []
    for _ in range(3000):
        decision = policy.decide(view(now))
        if decision.retrain:
            due.append(now)
        assert decision.wake > now
        # simulation clocks add durations up: the moment that comes is a rounding error off the one asked for
        now = np.nextafter(decision.wake, 1e9 if len(due) % 2 else 0.0)
    assert due == pytest.approx([interval * number for number in range(1, 3000)])


def test_a_schedule_off_its_dates():
    policy = Scheduled(7.0)
    assert policy.decide(view(9.5)) == Decision(False, 14.0, "schedule")
    assert policy.decide(view(14.0, retrainings=[14.0])) == Decision(False, 21.0, "schedule")
    assert policy.decide(view(14.0, retrainings=[7.0])) == Decision(True, 21.0, "schedule")


@pytest.mark.parametrize("text", ["scheduled:9d", "hybrid:9d", "continuous:9d"])
@pytest.mark.parametrize("stages", [{}, {"stages": INSTANT}], ids=["slow", "instant"])
def test_schedules_keep_their_dates(text, stages):
    result = sim.run(scenario(pipeline=stages), text)
    assert asked(result) == pytest.approx(list(range(9, 100, 9)))


def test_a_schedule_shorter_than_the_pipeline_asks_on():
    slow = scenario(pipeline={"stages": INSTANT | {"training": "10d"}})
    result = sim.run(slow, "scheduled:3d")
    # one trains, one waits, the others merge with the one that waits
    assert asked(result) == pytest.approx([3 + 10 * number for number in range(10)])
    assert result.summary["deployments"] == 9


def test_continuous_asks_for_increments():
    decision = policy_of(parse_policy("continuous:1d")).decide(view(5.0))
    assert decision == Decision(True, 6.0, "cadence", mode="incremental")


# ---------------------------------------------------------------- on an alarm


def test_a_trigger_heeds_the_alarms_of_its_own_monitors():
    policy = Triggered()
    assert policy.decide(view(5.0, alarm=alarm())) == Decision(True, math.inf, "psi")
    assert not policy.decide(view(5.0)).retrain
    assert not policy.decide(view(5.0, alarm=alarm("ks"))).retrain
    assert not policy.decide(view(5.0, alarm=alarm(), retraining=True)).retrain


def test_a_hybrid_does_both():
    policy = Hybrid(30.0)
    assert policy.decide(view(5.0, alarm=alarm())) == Decision(True, 30.0, "psi")
    assert policy.decide(view(30.0)) == Decision(True, 60.0, "schedule")
    assert policy.decide(view(5.0)) == Decision(False, 30.0, "")
    assert policy.decide(view(30.0, alarm=alarm(), retraining=True)).retrain


WATCHED = {
    "drift": [{"kind": "ramp", "rate": "0.05/d", "features": ["x1"]}],
    "triggers": [
        {"metric": "feature_drift_psi", "sampling": "none", "threshold": 0.2, "features": ["x1"]},
        {"metric": "accuracy", "sampling": "none", "threshold": 0.1, "window": "1d"},
    ],
}


def test_a_trigger_retrains_when_the_shift_is_reached():
    result = sim.run(scenario(**WATCHED), "triggered:psi>0.2")
    psi = result.timeline["score[feature_drift_psi]"]
    dates = asked(result)
    assert len(dates) >= 5
    assert np.diff([0.0, *dates]) == pytest.approx(np.full(len(dates), dates[0]), abs=1.0)
    assert all(psi[int(day) - 1] > 0.2 for day in dates)
    assert (psi > 0.2).sum() == len(dates)


def test_a_condition_measures_as_the_monitor_of_the_scenario_does():
    result = sim.run(scenario(**WATCHED), "triggered:accuracy<-0.05")
    assert asked(result)[0] == pytest.approx(7.0)  # the mean of the seventh day is the first one below 0.85
    both = sim.run(scenario(**WATCHED), "triggered:accuracy<-0.05&psi>0.2")
    assert asked(both)[0] == pytest.approx(7.0)
    assert set(both.scores) == {"accuracy", "feature_drift_psi"}


def test_conditions_on_one_metric_are_all_heeded():
    # a drop of 0.5 is never reached, the chart calls early: either of the two must be enough
    result = sim.run(scenario(), "triggered:accuracy<-0.5&cusum>5")
    assert sim.run(scenario(), "triggered:cusum>5").summary["retrains"] > 0
    assert result.summary["retrains"] > 0
    assert len(result.scores) == 2


# ---------------------------------------------------------------- by cost


def test_cost_aware_meets_the_closed_form_for_a_steady_decay():
    at_stake = {"queries_per_day": 1e6, "value": 0.5, "accuracy": 0.95, "decay": 0.001}
    system = scenario(
        horizon="1500d",
        value_per_query_per_unit_accuracy="$0.50",
        quality={"kind": "exponential", "initial_accuracy": 0.95, "decay": "0.1%/d"},
        traffic={"rate": "1M/d", "arrivals": "deterministic"},
        monitors=[{"metric": "accuracy", "sampling": "none"}],
        pipeline={"stages": INSTANT, "cost": {"compute": "$200000"}},
    )
    result = sim.run(system, "cost-aware")
    best = economics.optimal_interval(retrain_cost=2e5, **at_stake)
    found = np.diff(asked(result))
    # its readings are means of the last three days, so that it acts two days late
    assert found.mean() == pytest.approx(best + 2, abs=1.5)
    lowest = economics.minimal_cost_rate(retrain_cost=2e5, **at_stake)
    assert economics.total_cost_rate(found.mean(), retrain_cost=2e5, **at_stake) < 1.01 * lowest


def test_cost_aware_never_pays_for_what_is_not_lost():
    still = scenario(
        quality={"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
        monitors=[{"metric": "accuracy", "sampling": "none"}],
    )
    assert sim.run(still, "cost-aware").summary["retrains"] == 0


# ---------------------------------------------------------------- at random


@pytest.mark.parametrize("count", [1, 12, 99])
@pytest.mark.parametrize("pipeline", [{"stages": INSTANT}, {"stages": INSTANT | {"training": "1h"}}])
def test_random_dates_are_as_many_as_asked_for(count, pipeline):
    dates = asked(sim.run(scenario(pipeline=pipeline), f"random:{count}"))
    assert len(dates) == len(set(dates)) == count
    assert dates == sorted(dates)
    assert np.round(dates).tolist() == pytest.approx(dates), "window starts"


def test_random_dates_belong_to_the_replication():
    def dates(count: int, replication: int, **parts: Any) -> list[float]:
        return asked(sim.run(scenario(**parts), RandomDates(count), replication=replication))

    assert dates(12, 0) == dates(12, 0, traffic={"rate": "5/d"})
    assert dates(12, 0) != dates(12, 1)
    assert set(dates(5, 0)) < set(dates(12, 0)), "a smaller number keeps the first choices"


def test_random_dates_are_spread_evenly():
    # 50 replications x 20 of 99 dates; mean day 50 with the standard error of sampling without replacement:
    # 5 standard errors (6e-7)
    days = [day for r in range(50) for day in asked(sim.run(scenario(), "random:20", replication=r))]
    error = math.sqrt((99**2 - 1) / 12 / 20 * (99 - 20) / (99 - 1) / 50)
    assert np.mean(days) == pytest.approx(50, abs=5 * error)


# ---------------------------------------------------------------- wrappers


def test_a_cooldown_holds_back_and_asks_again():
    policy = Cooldown(Scheduled(3.0), 7.0)
    assert policy.decide(view(3.0)).retrain
    assert policy.decide(view(6.0, retrainings=[3.0])) == Decision(False, 9.0, "cooldown")
    assert policy.decide(view(9.0, retrainings=[3.0])) == Decision(False, 10.0, "cooldown")
    assert policy.decide(view(12.0, retrainings=[3.0])).retrain
    assert asked(sim.run(scenario(), "scheduled:3d+cooldown=7d")) == pytest.approx(list(range(3, 100, 9)))


def test_a_cooldown_that_is_exactly_over_holds_nothing_back():
    assert asked(sim.run(scenario(), "scheduled:1d+cooldown=1d")) == pytest.approx(list(range(1, 100)))


@pytest.mark.parametrize("rate", ["0.5/y", *(f"{number}/y" for number in (1, 2, 3, 6, 12, 53))])
def test_a_budget_is_spent_and_not_exceeded_within_any_year(rate):
    result = sim.run(scenario(horizon="1100d"), f"scheduled:2d+budget={rate}")
    dates, count = np.array(asked(result)), float(rate.removesuffix("/y"))
    if count >= 1:
        for date in dates:
            assert ((dates > date - 365) & (dates <= date)).sum() <= count
        assert (dates <= 365).sum() == count
    assert len(dates) >= math.floor(count * 1100 / 365)
    assert len(dates) <= math.ceil(count * 1100 / 365) + count


def test_a_spent_budget_comes_back():
    policy = Budget(Scheduled(1.0), 2, period=10.0)
    assert policy.decide(view(5.0, retrainings=[1.0])).retrain
    assert policy.decide(view(5.0, retrainings=[1.0, 2.0])) == Decision(False, 6.0, "budget")
    assert policy.decide(view(11.0, retrainings=[1.0, 2.0])).retrain


def test_votes_need_as_many_different_monitors_within_their_time():
    policy = Votes(Triggered(), 2, within=7.0)
    mine = alarm("psi", 20.0)
    for others, elected in (
        ([], False),
        ([alarm("psi", 19.0)], False),  # the same voter again
        ([alarm("accuracy", 12.0)], False),  # too long ago
        ([alarm("ks", 19.0)], False),  # not one of its own
        ([alarm("accuracy", 19.0)], True),
    ):
        known = view(20.0, alarm=mine, alarms=[*others, mine])
        assert policy.decide(known).retrain == elected, others
    renewed = view(20.0, alarm=mine, alarms=[alarm("accuracy", 17.0), mine], in_service_since=18.0)
    assert not policy.decide(renewed).retrain, "a vote on the last champion does not count"


def test_votes_are_for_alarms_and_not_for_the_schedule():
    policy = Votes(Hybrid(7.0), 2)
    assert policy.decide(view(7.0)).retrain
    mine = alarm("psi", 7.0)
    assert policy.decide(view(7.0, alarm=mine, alarms=[mine])).retrain, (
        "a lone alarm must not cancel the date"
    )


def test_votes_in_a_run():
    accuracy, psi = (
        asked(sim.run(scenario(**WATCHED), f"triggered:{c}"))[0] for c in ("accuracy<-0.1", "psi>0.2")
    )
    assert accuracy != psi
    assert asked(sim.run(scenario(**WATCHED), "triggered"))[0] == min(accuracy, psi)
    assert asked(sim.run(scenario(**WATCHED), "triggered+votes=2"))[0] == max(accuracy, psi)


def test_wrappers_combine_and_names_stay_as_written():
    text = "hybrid:30d:psi>0.25+cooldown=7d+budget=12/y+votes=2"
    policy = policy_of(parse_policy(text))
    assert policy.name == text
    assert [monitor.threshold for monitor in policy.monitors(scenario())] == [0.25]
    assert sim.run(scenario(), text).policy == text


# ---------------------------------------------------------------- a policy of the user's own


class EveryOther(Policy):
    """Retrain on every second alarm."""

    name = "every other alarm"

    def decide(self, view: sim.View) -> Decision:
        if view.alarm is None or view.retraining:
            return Decision()
        view.memory["heard"] = view.memory.get("heard", 0) + 1
        return Decision(view.memory["heard"] % 2 == 0, reason="second alarm")


def test_a_policy_of_ten_lines_runs_like_any_other():
    system = scenario(**WATCHED)
    result = sim.run(system, EveryOther())
    assert result.policy == "every other alarm"
    assert result.summary["alarms"] == pytest.approx(2 * result.summary["retrains"], abs=1)
    assert 0 < result.summary["retrains"] < sim.run(system, "triggered").summary["retrains"]
    again = sim.run(system, EveryOther())
    assert again.events.equals(result.events), "nothing is remembered from run to run"


class Diary(Policy):
    """Write down when it was asked, and what it saw."""

    name = "diary"

    def __init__(self, *wakes: float, retrain: tuple[float, ...] = ()) -> None:
        self.wakes, self.retrain, self.entries = wakes, retrain, []

    def decide(self, view: sim.View) -> Decision:
        self.entries.append((view.now, view.alarm.monitor if view.alarm else None, view.retraining))
        coming = min((wake for wake in self.wakes if wake > view.now), default=math.inf)
        return Decision(view.now in self.retrain and view.retrainings[-1:] != [view.now], coming)


def test_a_policy_is_asked_at_the_start_when_it_wakes_at_alarms_and_after_retrainings():
    diary = Diary(2.0, 5.5, retrain=(5.5,))
    system = scenario(
        horizon="20d",
        pipeline={"stages": INSTANT | {"training": "3d"}},
        triggers=[
            {"metric": "accuracy", "sampling": "none", "threshold": 0.06, "window": "1d", "cooldown": "30d"}
        ],
    )
    sim.run(system, diary)
    assert diary.entries == [
        (0.0, None, False),
        (2.0, None, False),
        (5.5, None, False),
        (8.0, "accuracy", True),  # 0.9 exp(-0.075) is below 0.84 first on the eighth day
        (8.5, None, False),
    ]


def test_a_later_wish_replaces_an_appointment():
    class Changing(Diary):
        def decide(self, view: sim.View) -> Decision:
            super().decide(view)
            return Decision(wake=4.0 if view.now == 0.0 else math.inf if view.alarm else 9.0)

    changing = Changing()
    system = scenario(
        horizon="20d",
        triggers=[
            {"metric": "accuracy", "sampling": "none", "threshold": 0.02, "window": "1d", "cooldown": "30d"}
        ],
    )
    sim.run(system, changing)
    assert [(time, monitor) for time, monitor, _ in changing.entries] == [(0.0, None), (3.0, "accuracy")]


@pytest.mark.parametrize("wake", [3.0, 2.0, -1.0])
def test_waking_in_the_past_is_an_error(wake):
    class Late(Policy):
        name = "late"

        def decide(self, view: sim.View) -> Decision:
            return Decision(wake=3.0 if view.now == 0.0 else wake)

    with pytest.raises(ValueError, match=r"late: asked to be woken at day .*, which is not after 3"):
        sim.run(scenario(), Late())


class Looking(Policy):
    """Keep what the view shows on one day."""

    name = "looking"

    def __init__(self, day: float) -> None:
        self.day, self.seen = day, {}

    def decide(self, view: sim.View) -> Decision:
        if view.now < self.day:
            return Decision(view.now == 4.0, 4.0 if view.now < 4.0 else self.day)
        if self.seen:
            return Decision()
        names = ("in_service_since", "data_cut", "requests_per_day", "value", "retraining_price", "horizon")
        self.seen = {name: getattr(view, name) for name in names}
        self.seen["validation"] = view.validation_accuracy
        self.seen["readings"] = view.readings("accuracy")
        with pytest.raises(KeyError, match="one of: accuracy"):
            view.readings("acuracy")
        return Decision()


def test_the_view_shows_what_operators_know():
    looking = Looking(16.5)
    system = scenario(
        labels={"delay": "1d"},
        traffic={"recorded": {"step": "1d", "values": [1000.0] * 10 + [3000.0] * 10}, "arrivals": "deterministic"},
        pipeline={"stages": INSTANT | {"training": "12h"}, "cost": {"compute": "$70", "risk": "$5"},
                  "learning": {"mode": "warm_start", "cost": 0.5}},
        monitors=[{"metric": "accuracy", "sampling": "none", "window": "1d", "min_samples": 1}],
    )  # fmt: skip
    sim.run(system, looking)
    seen = looking.seen
    assert seen["in_service_since"] == pytest.approx(4.0 + 0.3 * 0.5)
    assert seen["data_cut"] == 3.0
    assert seen["requests_per_day"] == pytest.approx((1000 + 6 * 3000) / 7)
    assert (seen["value"], seen["retraining_price"], seen["horizon"]) == (1.0, 40.0, 100.0)
    origin = 3.0 * 0.8  # a warm start regains 80 % of the age that the champion had at the cut
    assert seen["validation"] == pytest.approx(0.9 * math.exp(-0.01 * (3.0 - origin)))
    # the champion's first whole day is the sixth, and its labels come a day later
    assert seen["readings"].times.tolist() == list(range(7, 17))
    ages = np.arange(5, 15) + 0.5 - origin
    expected = seen["validation"] - 0.9 * np.exp(-0.01 * ages)
    assert seen["readings"].scores == pytest.approx(expected, abs=1e-5)
