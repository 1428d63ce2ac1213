"""The same history with one decision changed, and what it would have cost.

A run is played twice in the same world: as it was, and with one decision of its policy turned round (this
retraining skipped, that alarm ignored or acted on, a retraining on this day). Up to that decision both histories are
the same, because nothing of the world's or the pipeline's luck depends on the policy.
"""

from __future__ import annotations

import copy
import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.evaluations import policies_of
from scenarios.policies import PolicySpec
from scenarios.schema import Scenario, check_scenario
from scenarios.units import format_duration, format_money
from sim.displays import Displayed
from sim.engine import Run
from sim.ledger import Ledger
from sim.policies import Decision, Policy, Wrapper
from sim.randomness import check_seed
from sim.record import Event, Result
from sim.view import View
from sim.world import World

Array = NDArray[np.float64]
Dated = tuple[float, str, float]
"""Moment (days), category and amount of a cost."""


class Asked(NamedTuple):
    """One decision of a policy in the history as it was."""

    time: float
    """Days."""
    alarm: int
    """Number of the alarm that was the cause, from 1; 0 for none."""
    retraining: int
    """Number of the retraining that it started, from 1; 0 for none."""


@dataclass(frozen=True)
class SkipRetraining:
    """Retraining `number` (from 1, in the order in which they were asked for) is not started."""

    number: int

    def __str__(self) -> str:
        """As tables call it."""
        return f"without retraining {self.number}"


@dataclass(frozen=True)
class IgnoreAlarm:
    """Alarm `number` (from 1) is not heard by the policy."""

    number: int

    def __str__(self) -> str:
        """As tables call it."""
        return f"alarm {self.number} ignored"


@dataclass(frozen=True)
class ActOnAlarm:
    """Alarm `number` (from 1) is answered by a retraining."""

    number: int

    def __str__(self) -> str:
        """As tables call it."""
        return f"alarm {self.number} acted on"


@dataclass(frozen=True)
class RetrainAt:
    """A retraining is started at a moment (days), whatever the policy wants."""

    time: float

    def __str__(self) -> str:
        """As tables call it."""
        return f"a retraining at {format_duration(self.time)}"


Change = SkipRetraining | IgnoreAlarm | ActOnAlarm | RetrainAt


class Witness(Wrapper):
    """Lets a policy decide as it likes, and writes down each decision."""

    def __init__(self, policy: Policy) -> None:
        """policy: the one to watch."""
        super().__init__(policy)
        self.name = policy.name
        self.asked: list[tuple[float, int, int]] = []
        """Moment, number of the alarm (0: none) and retrainings asked for before, of each decision."""
        self.wished: list[bool] = []
        """Whether each decision was to retrain; such a wish may merge with a retraining that waits."""

    def decide(self, view: View) -> Decision:
        """As the policy does."""
        alarm = len(view.alarms) if view.alarm is not None else 0
        self.asked.append((view.now, alarm, len(view.retrainings)))
        decision = self.policy.decide(view)
        self.wished.append(decision.retrain)
        return decision


class Changed(Wrapper):
    """Another policy with one of its decisions changed: the one that it is asked for as number `call` (from 0)."""

    def __init__(self, policy: Policy, call: int, change: Change) -> None:
        """policy: the one to change; call: of `decide`, counted over the run; it is the same up to there."""
        super().__init__(policy)
        self.call, self.change = call, change
        self.name = f"{policy.name}, {change}"
        self._calls = 0

    def decide(self, view: View) -> Decision:
        """As the policy does, but for that decision."""
        call, self._calls = self._calls, self._calls + 1
        if call != self.call:
            return self.policy.decide(view)
        if isinstance(self.change, IgnoreAlarm):
            unheard = copy.copy(view)
            unheard.alarm = None
            return self.policy.decide(unheard)
        wish = self.policy.decide(view)
        wanted = not isinstance(self.change, SkipRetraining)
        return Decision(wanted, wish.wake, str(self.change), wish.mode)


class Forced(Wrapper):
    """Another policy with a retraining more at one moment; it is asked at that moment too."""

    def __init__(self, policy: Policy, change: RetrainAt) -> None:
        """policy: the one that decides at all other moments."""
        super().__init__(policy)
        self.change = change
        self.name = f"{policy.name}, {change}"
        self._done = False

    def decide(self, view: View) -> Decision:
        """As the policy does; at the moment itself, a retraining."""
        wish = self.policy.decide(view)
        if self._done:
            return wish
        if view.now < self.change.time - 1e-9:
            return Decision(wish.retrain, min(wish.wake, self.change.time), wish.reason, wish.mode)
        self._done = True
        return Decision(True, wish.wake, str(self.change), wish.mode)


class DatedLedger(Ledger):
    """A ledger that remembers when each cost was posted (days)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self.dated: list[Dated] = []

    def post(self, category: str, amount: float) -> None:
        """Add a cost, as in any ledger."""
        super().post(category, amount)
        self.dated.append((self._clock(), category, amount))


@dataclass(frozen=True, repr=False)
class Counterfactual(Displayed):
    """Both histories, and what differs."""

    change: Change
    time: float
    """Moment of the changed decision, days."""
    factual: Result
    changed: Result
    dated: tuple[list[Dated], list[Dated]] = field(repr=False)
    """Costs of both histories by moment."""

    @property
    def _currency(self) -> str:
        return self.factual.scenario.currency

    def headline(self) -> str:
        """What was changed, when, and what that would have cost or saved."""
        words = "would have cost" if self.difference > 0.0 else "would have saved"
        amount = format_money(abs(self.difference), self._currency)
        what = f"{self.factual.scenario.title}, {self.factual.policy}, {self.change} on day {self.time:.1f}"
        return f"{what}: {words} {amount}"

    def _shown(self) -> pd.DataFrame:
        moved = self.costs[(self.costs[["factual", "changed"]] != 0.0).any(axis=1)]
        return moved.rename(index=lambda category: f"cost[{category}]")

    @property
    def difference(self) -> float:
        """What the change costs over the horizon: changed less factual, below 0 is a saving."""
        return math.fsum([self.changed.ledger.total(), -self.factual.ledger.total()])

    @property
    def merged(self) -> bool:
        """Whether the retraining that the change asks for merged into one that waited already."""
        return any(
            event.kind == "merged" and event.details == str(self.change) for event in self.changed.raw_events
        )

    @cached_property
    def costs(self) -> pd.DataFrame:
        """One row a category: factual, changed, difference."""
        table = pd.DataFrame({"factual": self.factual.costs, "changed": self.changed.costs})
        table["difference"] = table["changed"] - table["factual"]
        return table.rename_axis("category")

    @cached_property
    def figures(self) -> pd.DataFrame:
        """One row a figure of the summary: factual, changed, difference."""
        table = pd.DataFrame({"factual": self.factual.summary, "changed": self.changed.summary})
        table["difference"] = table["changed"] - table["factual"]
        return table.rename_axis("figure")

    @cached_property
    def events(self) -> pd.DataFrame:
        """Events of both histories by time, with `in`: both, factual or changed."""
        sides = [self.factual.raw_events, self.changed.raw_events]
        counts = [Counter(map(_same, side)) for side in sides]
        rows: list[tuple[Any, ...]] = []
        common = counts[0] & counts[1]
        for place, side in zip(("factual", "changed"), sides, strict=True):
            left = Counter(common)
            for event in side:
                shared = left[_same(event)] > 0
                left[_same(event)] -= 1
                if shared and place == "changed":
                    continue  # the factual history has told it
                rows.append((*event, "both" if shared else place))
        table = pd.DataFrame(rows, columns=["time_days", "kind", "subject", "details", "in"])
        return table.sort_values("time_days", kind="stable", ignore_index=True)

    @property
    def event_differences(self) -> pd.DataFrame:
        """Events that only one history has."""
        return self.events[self.events["in"] != "both"].reset_index(drop=True)

    @cached_property
    def timeline(self) -> pd.DataFrame:
        """One row a window (its end, days): both accuracies, and the difference of cost up to then.

        Staleness and monitoring accrue by window, other costs at the moment at which they are posted; labels are known
        at the end only. The last row is `difference`.
        """
        scenario = self.factual.scenario
        time = np.arange(1.0, scenario.windows + 1.0) * scenario.window
        accuracies = [result.timeline["accuracy"].to_numpy() for result in (self.factual, self.changed)]
        spent = [
            _cumulative(result, entries, time)
            for result, entries in zip((self.factual, self.changed), self.dated, strict=True)
        ]
        return pd.DataFrame(
            {
                "time_days": time,
                "accuracy_factual": accuracies[0],
                "accuracy_changed": accuracies[1],
                "cost_difference": spent[1] - spent[0],
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `halflife replay`."""
        from analysis.report_decisions import counterfactual_document

        return counterfactual_document(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Write counterfactual.json, events.csv, timeline.parquet and counterfactual.png; returns the files."""
        from analysis.report_decisions import save_counterfactual

        return save_counterfactual(self, folder)

    def plot(self, fig: Any = None) -> Any:
        """Both accuracies and the cumulative difference of cost; returns matplotlib axes, one a panel."""
        from analysis.plot_counterfactual import plot_counterfactual
        from analysis.plot_panels import Panels

        return Panels(plot_counterfactual(self, fig))


def counterfactual(
    scenario: Scenario,
    policy: str | PolicySpec | Policy,
    change: Change,
    *,
    seed: int = 0,
    replication: int = 0,
) -> Counterfactual:
    """Play one world twice: as it was, and with one decision changed.

    A policy that still wants a retraining after the skipped one asks again when it is asked next. An alarm that is
    ignored stays in the record of alarms. Raises ValueError for a retraining, an alarm or a moment that the history
    does not have, for a retraining at an alarm or a moment at which the policy wanted one anyway, and for a policy that
    knows the world to come.

    >>> import scenarios
    >>> found = counterfactual(scenarios.load("rotting_asset"), "scheduled:90d", SkipRetraining(2))
    >>> found.event_differences[["kind", "in"]].iloc[0].tolist(), found.time
    (['retraining started', 'factual'], 180.0)
    """
    check_scenario(scenario)
    check_seed("seed", seed)
    played = _candidate(scenario, policy, seed)
    world = World(scenario, seed, replication)
    witness = Witness(copy.deepcopy(played))
    factual, entries, requested = _play(world, witness)
    other: Policy
    if isinstance(change, RetrainAt):
        if not 0.0 <= change.time < scenario.horizon:
            raise ValueError(
                f"a retraining at day {change.time:g}: expected a moment before the horizon, day {scenario.horizon:g}"
            )
        if any(wish and abs(asked[0] - change.time) < 1e-9 for asked, wish in _wishes(witness)):
            raise ValueError(
                f"a retraining at day {change.time:g}: {factual.policy} asks for one at that moment anyway, expected "
                "another moment"
            )
        time, other = change.time, Forced(copy.deepcopy(played), change)
    else:
        asked = decisions_of(witness, requested)
        call = _call_of(asked, change, factual)
        if isinstance(change, ActOnAlarm) and witness.wished[call]:
            raise ValueError(_acted_already(change, asked[call], factual))
        time, other = asked[call].time, Changed(copy.deepcopy(played), call, change)
    changed, changed_entries, _ = _play(world, other)
    return Counterfactual(change, time, factual, changed, (entries, changed_entries))


def history(
    scenario: Scenario, policy: str | PolicySpec | Policy, *, seed: int = 0, replication: int = 0
) -> pd.DataFrame:
    """What could be changed: one row an alarm or retraining of the history as it was, with its number and moment."""
    witness = Witness(copy.deepcopy(_candidate(scenario, policy, seed)))
    _, _, requested = _play(World(scenario, seed, replication), witness)
    rows = []
    for asked in decisions_of(witness, requested):
        if asked.alarm or asked.retraining:
            rows.append((asked.time, asked.alarm or None, asked.retraining or None))
    table = pd.DataFrame(rows, columns=["time_days", "alarm", "retraining"])
    return table.astype({"alarm": "Int64", "retraining": "Int64"})


def _candidate(scenario: Scenario, policy: str | PolicySpec | Policy, seed: int) -> Policy:
    (played,) = policies_of(scenario, [policy], seed).values()
    if played.knows_the_future:
        raise ValueError(f"policy {played.name!r} knows the world to come: expected one that could be chosen")
    return played


def _play(world: World, policy: Policy) -> tuple[Result, list[Dated], int]:
    """The result, its dated costs, and how many retrainings were asked for."""
    play = Run(world, policy)
    ledger = DatedLedger(lambda: play.now)
    play.ledger = ledger
    return play.play(), ledger.dated, len(play.requested)


def decisions_of(witness: Witness, retrainings: int) -> list[Asked]:
    """All decisions of a witnessed run that asked for so many retrainings, with the number of each."""
    counts = [count for _, _, count in witness.asked]
    following = [*counts[1:], retrainings]
    return [
        Asked(time, alarm, count + 1 if following[call] > count else 0)
        for call, (time, alarm, count) in enumerate(witness.asked)
    ]


def _call_of(asked: list[Asked], change: SkipRetraining | IgnoreAlarm | ActOnAlarm, factual: Result) -> int:
    """Which decision is changed. Raises ValueError where the history has no such retraining or alarm."""
    retraining = isinstance(change, SkipRetraining)
    numbers = [decision.retraining if retraining else decision.alarm for decision in asked]
    if change.number in numbers and change.number > 0:
        return numbers.index(change.number)
    what = "retraining" if retraining else "alarm"
    there = max(numbers, default=0)
    expected = f"expected 1 to {there}" if there else f"this history has no {what}"
    raise ValueError(
        f"{what} {change.number}: {expected} ({factual.policy}, replication {factual.replication})"
    )


def _wishes(witness: Witness) -> list[tuple[tuple[float, int, int], bool]]:
    """Each decision, and whether it was to retrain."""
    return list(zip(witness.asked, witness.wished, strict=True))


def _acted_already(change: ActOnAlarm, asked: Asked, factual: Result) -> str:
    """That an alarm needs no answer."""
    done = (
        f"started retraining {asked.retraining}"
        if asked.retraining
        else "asked for a retraining, which merged"
    )
    return (
        f"alarm {change.number}: {factual.policy} acted on it already ({done}, day {asked.time:g}), expected an alarm "
        "that it let pass"
    )


def _same(event: Event) -> tuple[Any, ...]:
    """What makes two events one: not the version's number, which one retraining more or less shifts."""
    told = [re.sub(r"version \d+", "version", text) for text in event[1:]]
    return (round(event.time, 7), *told)


def _cumulative(result: Result, entries: list[Dated], time: Array) -> Array:
    """Cost up to the end of each window, (windows,)."""
    scenario = result.scenario
    short = scenario.loss_reference - result.timeline["accuracy"].to_numpy()
    by_window = result.requests * scenario.value_per_query_per_unit_accuracy * short + result.lost_requests
    for incident in result.raw_incidents:
        by_window[min(int(incident.onset.time / scenario.window), len(time) - 1)] += incident.failure.cost
    for moment, category, amount in entries:
        if category == "monitoring":
            by_window += amount / len(time)
        elif category == "labelling":
            by_window[-1] += amount
        elif category not in ("staleness", "incident"):  # both are in the accuracy already
            by_window[min(int(np.searchsorted(time, moment)), len(time) - 1)] += amount
    return np.asarray(np.cumsum(by_window))
