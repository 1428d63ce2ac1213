"""Retraining policies: each is one small class with one decision method.

A policy is asked `decide(view)`
  1. once at time 0,
  2. at the moment it asked for with `Decision(wake=...)`,
  3. at each alarm of a monitor (then `view.alarm` is set),
  4. when a retraining of its own has ended, with or without a new model in service,
and answers with a `Decision`. It sees the view and nothing else, and keeps no state of its own: what must be
remembered goes into `view.memory`, which lives as long as the run. `monitors` names what must be watched for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.monitoring import Monitor
from scenarios.policies import PolicySpec
from scenarios.schema import Scenario
from sim.view import View

_TIME_SLACK = 1e-9


@dataclass(frozen=True)
class Decision:
    """What a policy wants: a retraining now or not, and when to be asked again (day; infinity: at alarms only)."""

    retrain: bool = False
    wake: float = math.inf
    reason: str = ""
    mode: str | None = None
    """Learning mode of this retraining; the scenario's when None."""


class Policy:
    """Base of all policies; it heeds the scenario's triggers and never retrains."""

    name = ""
    knows_the_future = False

    def __init_subclass__(cls) -> None:
        """A policy is called as its class unless it says otherwise."""
        if "name" not in vars(cls):
            cls.name = cls.__name__

    def monitors(self, scenario: Scenario) -> list[Monitor]:
        """Monitors whose alarms and readings it needs; the scenario's triggers unless it says otherwise.

        The scenario's `monitors` are watched in any case.
        """
        return list(scenario.triggers)

    def decide(self, view: View) -> Decision:
        """Answer with what is wanted at `view.now`."""
        return Decision()


class PlannedPolicy(Policy):
    """Base of the policies that do not react: they need no triggers and so pay for none."""

    def monitors(self, scenario: Scenario) -> list[Monitor]:
        """None."""
        return []


class Never(PlannedPolicy):
    """Let the model rot."""

    name = "never"


class Scheduled(PlannedPolicy):
    """Retrain at fixed intervals, whatever the monitors say."""

    def __init__(self, interval: float) -> None:
        """interval: days, > 0."""
        self.interval = interval
        self.name = f"scheduled:{interval:g}d"

    def decide(self, view: View) -> Decision:
        """Due at every multiple of the interval."""
        done = round(view.now / self.interval)
        due = done >= 1 and _same_moment(view.now, done * self.interval)
        following = done + 1 if due else math.floor(view.now / self.interval) + 1
        return Decision(due and not _asked_now(view), following * self.interval, "schedule")


class Triggered(Policy):
    """Retrain when a monitor calls; calls during a retraining are answered by that one."""

    def __init__(self, triggers: Sequence[Monitor] | None = None) -> None:
        """triggers: monitors to heed; the scenario's triggers when None."""
        self.triggers = triggers
        self.name = "triggered"

    def monitors(self, scenario: Scenario) -> list[Monitor]:
        """Its own conditions, measured as the scenario's monitors of the same metric measure."""
        if self.triggers is None:
            return list(scenario.triggers)
        return [measured_alike(trigger, scenario) for trigger in self.triggers]

    def decide(self, view: View) -> Decision:
        """Heed the alarm, unless a retraining is under way."""
        heard = view.alarm is not None and view.alarm.monitor in view.triggers and not view.retraining
        return Decision(heard, reason=view.alarm.monitor if heard and view.alarm else "")


class Hybrid(Policy):
    """Retrain at fixed intervals and when a monitor calls."""

    def __init__(self, interval: float, triggers: Sequence[Monitor] | None = None) -> None:
        """interval: days, > 0; triggers as for `Triggered`."""
        self.schedule = Scheduled(interval)
        self.trigger = Triggered(triggers)
        self.name = f"hybrid:{interval:g}d"

    def monitors(self, scenario: Scenario) -> list[Monitor]:
        """Those of the trigger."""
        return self.trigger.monitors(scenario)

    def decide(self, view: View) -> Decision:
        """Whichever is due first."""
        due, heard = self.schedule.decide(view), self.trigger.decide(view)
        return Decision(due.retrain or heard.retrain, due.wake, due.reason if due.retrain else heard.reason)


class Continuous(PlannedPolicy):
    """Small incremental updates at a steady cadence."""

    def __init__(self, cadence: float) -> None:
        """cadence: days, > 0."""
        self.schedule = Scheduled(cadence)
        self.name = f"continuous:{cadence:g}d"

    def decide(self, view: View) -> Decision:
        """Due at every multiple of the cadence."""
        due = self.schedule.decide(view)
        return Decision(due.retrain, due.wake, "cadence", mode="incremental")


class CostAware(Policy):
    """Retrain when another day of the stale model costs more than a cycle has cost a day so far.

    With m(t) the measured money lost to staleness a day, and M(t) its sum since deployment, retrain as soon as
    m(t) * t >= price + M(t): the renewal-reward rule, which for a steady decay meets the closed form T*.
    """

    def __init__(self, cadence: float | None = None) -> None:
        """cadence: days between two looks; that of the scenario's accuracy trigger, or a day, when None."""
        self.cadence = cadence
        self.name = "cost-aware"

    def monitors(self, scenario: Scenario) -> list[Monitor]:
        """A copy of the scenario's accuracy monitor (or a plain one), pooled over one look only."""
        return self._own(scenario)

    def decide(self, view: View) -> Decision:
        """Compare the loss of the next moment with the average of the cycle."""
        readings = view.readings(self._label)
        wake = (math.floor(view.now / readings.cadence + _TIME_SLACK) + 1) * readings.cadence
        if view.retraining:
            return Decision(wake=wake)
        age = view.now - view.in_service_since
        if len(readings.times) == 0 or age <= 0.0:
            return Decision(wake=wake)
        worth = view.requests_per_day * view.value
        drop = np.maximum(readings.scores, 0.0)
        steps = np.diff(readings.times, prepend=view.in_service_since)
        lost = worth * float(drop @ steps)
        # One noisy reading must not decide: the present drop is the mean of the newest readings.
        rate = worth * float(drop[-3:].mean())
        due = rate * age >= view.retraining_price + lost and not _asked_now(view)
        return Decision(due, wake, "cost")

    _label = "accuracy[cost-aware]"

    def _own(self, scenario: Scenario) -> list[Monitor]:
        if scenario.labels is None:
            raise ValueError("policy cost-aware needs labels to measure accuracy, and the scenario has none")
        base = next(
            (m for m in scenario.triggers + scenario.monitors if m.metric == "accuracy"),
            Monitor.model_validate({"metric": "accuracy"}),
        )
        look = self.cadence or base.cadence or 1.0
        look = max(math.ceil(look / scenario.window - _TIME_SLACK), 1) * scenario.window
        update = {"name": self._label, "window": look, "cadence": look, "threshold": 1.0, "rule": "threshold"}
        update |= dict.fromkeys(("detector", "limits", "false_alarms"))
        return [base.model_copy(update=update)]


class RandomDates(PlannedPolicy):
    """Retrain at random moments: the yardstick of a trigger that has as many retrainings."""

    def __init__(self, retrains: int, name: str = "") -> None:
        """retrains: how many, >= 0."""
        self.retrains = retrains
        self.name = name or f"random:{retrains}"

    def decide(self, view: View) -> Decision:
        """Due at each of the dates, which depend on the replication only."""
        if "dates" not in view.memory:
            view.memory["dates"] = view.random_dates(self.retrains)
        dates = view.memory["dates"]
        return _on_dates(view, dates, "random")


class Dates(PlannedPolicy):
    """Retrain on given dates."""

    def __init__(self, dates: NDArray[np.float64]) -> None:
        """dates: days, sorted."""
        self.dates = dates
        self.name = f"dates:{len(dates)}"

    def decide(self, view: View) -> Decision:
        """Due on each date."""
        return _on_dates(view, self.dates, "date")


class Oracle(PlannedPolicy):
    """Knows the world to come and retrains on the dates that cost least: a bound, not a candidate."""

    name = "oracle"
    knows_the_future = True

    def decide(self, view: View) -> Decision:
        """Follow the plan."""
        return _on_dates(view, view.best_dates, "plan")


class Wrapper(Policy):
    """Base of the policies that hold another one back."""

    def __init__(self, policy: Policy) -> None:
        """policy: the one to hold back."""
        self.policy = policy
        self.knows_the_future = policy.knows_the_future

    def monitors(self, scenario: Scenario) -> list[Monitor]:
        """Those of the policy."""
        return self.policy.monitors(scenario)


def innermost(policy: Policy) -> Policy:
    """The policy inside its wrappers."""
    return innermost(policy.policy) if isinstance(policy, Wrapper) else policy


class Cooldown(Wrapper):
    """Let another policy retrain only when the last retraining is long enough ago."""

    def __init__(self, policy: Policy, duration: float) -> None:
        """duration: days, >= 0."""
        super().__init__(policy)
        self.duration = duration
        self.name = f"{policy.name}+cooldown={duration:g}d"

    def decide(self, view: View) -> Decision:
        """Drop a retraining that falls into the cooldown; the policy is asked again when it is over."""
        wish = self.policy.decide(view)
        last = view.retrainings[-1] if view.retrainings else -math.inf
        if wish.retrain and view.now < last + self.duration - _TIME_SLACK:
            return Decision(wake=min(wish.wake, last + self.duration), reason="cooldown")
        return wish


class Budget(Wrapper):
    """Let another policy retrain at most so often within any period."""

    def __init__(self, policy: Policy, retrains: float, period: float = 365.0) -> None:
        """retrains: how many, > 0; period: days."""
        super().__init__(policy)
        self.retrains, self.period = retrains, period
        self.name = f"{policy.name}+budget={retrains:g}/y"

    def decide(self, view: View) -> Decision:
        """Hold a retraining back when the budget of the past period is spent."""
        wish = self.policy.decide(view)
        spent = sum(time > view.now - self.period + _TIME_SLACK for time in view.retrainings)
        if wish.retrain and spent + 1 > self.retrains:
            return Decision(wake=wish.wake, reason="budget")
        return wish


class Votes(Wrapper):
    """Let another policy heed alarms only when enough different monitors called within a while."""

    def __init__(self, policy: Policy, needed: int, within: float = 7.0) -> None:
        """needed: number of monitors; within: days."""
        super().__init__(policy)
        self.needed, self.within = needed, within
        self.name = f"{policy.name}+votes={needed}"

    def decide(self, view: View) -> Decision:
        """Count the monitors that called on the present champion; a wish with another reason needs no votes."""
        wish = self.policy.decide(view)
        if view.alarm is None or not wish.retrain or wish.reason != view.alarm.monitor:
            return wish
        since = max(view.now - self.within, view.in_service_since)
        voters = {
            alarm.monitor for alarm in view.alarms if alarm.time >= since and alarm.monitor in view.triggers
        }
        return wish if len(voters) >= self.needed else Decision(wake=wish.wake, reason="votes")


def _same_moment(a: float, b: float) -> bool:
    return abs(a - b) <= _TIME_SLACK * max(a, 1.0)


def _asked_now(view: View) -> bool:
    """Whether a retraining has been asked for at this very moment: an instantaneous one must not repeat."""
    return bool(view.retrainings) and _same_moment(view.now, view.retrainings[-1])


def _on_dates(view: View, dates: NDArray[np.float64], reason: str) -> Decision:
    """Retrain on each of the sorted dates."""
    following = int(np.searchsorted(dates, view.now + _TIME_SLACK * max(view.now, 1.0), side="right"))
    due = following > 0 and _same_moment(view.now, float(dates[following - 1]))
    wake = float(dates[following]) if following < len(dates) else math.inf
    return Decision(due and not _asked_now(view), wake, reason)


def measured_alike(trigger: Monitor, scenario: Scenario) -> Monitor:
    """A condition of a policy, taking window, rows and features from the scenario's monitor of that metric."""
    for monitor in [*scenario.triggers, *scenario.monitors]:
        if monitor.metric == trigger.metric and monitor.rule == trigger.rule == "threshold":
            return monitor.model_copy(update={"threshold": trigger.threshold})
    return trigger


def policy_of(spec: PolicySpec) -> Policy:
    """The policy that a specification means; `scheduled:best` must have been tuned before."""
    if spec.tuned:
        raise ValueError(
            "scheduled:best must be tuned first: analysis.compare does, sim.run takes an interval"
        )
    triggers = spec.triggers
    makers: dict[str, Any] = {
        "never": lambda: Never(),
        "scheduled": lambda: Scheduled(spec.interval or 0.0),
        "triggered": lambda: Triggered(triggers),
        "hybrid": lambda: Hybrid(spec.interval or 0.0, triggers),
        "continuous": lambda: Continuous(spec.interval or 0.0),
        "cost-aware": lambda: CostAware(spec.interval),
        "random": lambda: RandomDates(spec.retrains or 0),
        "oracle": lambda: Oracle(),
    }
    policy: Policy = makers[spec.kind]()
    if spec.votes is not None:
        policy = Votes(policy, spec.votes)
    if spec.budget is not None:
        # Half a retraining a year is one in two years.
        policy = Budget(policy, max(spec.budget, 1.0), 365.0 / min(spec.budget, 1.0))
    if spec.cooldown is not None:
        policy = Cooldown(policy, spec.cooldown)
    policy.name = spec.name
    return policy
