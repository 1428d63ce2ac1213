"""How late each layer of monitoring, or each monitor, detects each failure mode, how often it errs, and what it costs.

>>> import scenarios
>>> effects = [{"signal": "age", "stall": "18h"}]
>>> system = scenarios.load("rotting_asset", horizon="20d", window="15min", quality__decay="0/d",
...     signals=[{"name": "age", "kind": "freshness", "age": "4min"}],
...     failures=[{"name": "lag", "rate": "1/d", "accuracy_drop": 0.09, "effects": effects}],
...     monitors=[{"metric": "signal", "signal": "age", "deadline": "1h", "cooldown": 0}])
>>> found = detection_delays(system, replications=2, workers=1)
>>> found.table().query("median_days > 0.03 and median_days < 0.06").failure.tolist()
['lag']
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import pandas as pd

from analysis.delay_runs import Delayed, Groups, Spent, can_see, play_groups
from analysis.delay_statistics import detection_quantile, non_negative_mean, poisson_interval
from analysis.entrants import entrant_of
from analysis.intervals import LEVEL, check_level
from analysis.progress import progress_of
from analysis.workers import in_order
from scenarios.monitoring import Monitor
from scenarios.policies import PolicySpec, parse_policy
from scenarios.problems import choice
from scenarios.schema import Scenario, check_scenario
from scenarios.signals import Layer
from scenarios.telemetry import BILLING_MONTH
from sim.displays import Displayed
from sim.policies import Policy
from sim.randomness import check_seed

if TYPE_CHECKING:
    from analysis.plot_panels import Panels

REPLICATIONS = 20
By = Literal["layer", "monitor"]
"""What is measured alone: all monitors of a layer together, or each monitor."""
ALL = "all layers"
"""The group of all monitors, whatever is measured alone."""
FEW = 20
"""With fewer incidents than this the figures of a failure mode say little."""


@dataclass(frozen=True)
class GroupRuns:
    """All runs of some groups of monitors, and what they say group by group."""

    groups: Groups = field(repr=False)
    delayed: pd.DataFrame
    """One row an incident that a group could see; columns as `analysis.delay_runs.Delayed`."""
    spent: pd.DataFrame
    """One row a group and replication; columns as `analysis.delay_runs.Spent`."""
    confidence: float

    def delays(self, group: str, failures: Sequence[str]) -> dict[str, Any]:
        """Times to detection of some failure modes together, days; incidents that are hidden do not count."""
        rows = self.delayed
        rows = rows[(rows["group"] == group) & rows["failure"].isin(failures)]
        shown = rows[~rows["hidden"]]
        delay, watched = shown["delay_days"].to_numpy(), shown["watched_days"].to_numpy()
        mean = non_negative_mean(delay, self.confidence)
        missed = int(shown["delay_days"].isna().sum())
        return {
            "incidents": len(shown),
            "detected": len(shown) - missed,
            "median_days": detection_quantile(delay, watched, 0.5),
            "p90_days": detection_quantile(delay, watched, 0.9),
            "mean_detected_days": mean.mean,
            "mean_low": mean.low,
            "mean_high": mean.high,
            "undetected_share": missed / len(shown) if len(shown) else float("nan"),
            "healed_unseen": int(shown["healed"].sum()),
            "hidden": int(rows["hidden"].sum()),
        }

    def spending(self, group: str) -> dict[str, float]:
        """False alarms and cost of a group in 30 days, with intervals: exact Poisson, and Student's t."""
        rows = self.spent[self.spent["group"] == group]
        count, days = float(rows["false_alarms"].sum()), float(rows["days"].sum())
        rate = poisson_interval(count, days / BILLING_MONTH, self.confidence)
        cost = non_negative_mean(rows["cost_per_month"].to_numpy(), self.confidence)
        return {
            "false_alarms_per_month": rate.mean,
            "false_low": rate.low,
            "false_high": rate.high,
            "false_alarms": count,
            "drift_alarms": float(rows["drift_alarms"].sum()),
            "days": days,
            "cost_per_month": cost.mean,
            "cost_low": cost.low,
            "cost_high": cost.high,
        }


@dataclass(frozen=True, repr=False)
class DetectionDelays(Displayed):
    """Times to detection by layer (or monitor) and failure mode, false alarms and cost by layer (or monitor).

    A layer or monitor is played alone, and a failure mode too: an incident ends when it is detected, so that the delay
    of the next one is its own. Times are days from the onset; a month has 30 days. Figures of delays:
    incidents, detected: the number that they rest on; median_days, p90_days: over all of them, NaN where fewer were
    detected (those cut off by the end of the run count for as long as they were watched);
    mean_detected_days, mean_low, mean_high: of the detected ones only; undetected_share: not detected by the time the
    failure healed (healed_unseen of them) or the run ended; hidden: began under an earlier one that nobody had seen,
    left out.
    """

    scenario: Scenario
    policy: str
    replications: int
    seed: int
    runs: GroupRuns = field(repr=False)
    warnings: tuple[str, ...]
    by: By = "layer"

    def headline(self) -> str:
        """What was measured, and in how many worlds."""
        words = f"{len(self.groups)} {self.by}s alone, {len(self.scenario.failures)} failure modes"
        return f"{self.scenario.title}: {words}, {self.replications} replications"

    def _shown(self) -> pd.DataFrame:
        columns = ["blind", "incidents", "detected", "median_days", "p90_days", "undetected_share"]
        return self.table().set_index([self.by, "failure"])[columns]

    @property
    def layers(self) -> tuple[str, ...]:
        """Layers that have monitors, from the infrastructure up."""
        return tuple(layers_of(self.scenario))

    @property
    def groups(self) -> tuple[str, ...]:
        """What was measured alone: layers that have monitors, or monitors, from the infrastructure up."""
        return tuple(name for name in self.runs.groups if name != ALL)

    def table(self) -> pd.DataFrame:
        """One row a layer (or monitor) and failure mode; blind: nothing that it looks at is moved by the failure."""
        return pd.concat([self._of(group) for group in self.groups], ignore_index=True)

    def together(self) -> pd.DataFrame:
        """One row a failure mode, with all layers at work."""
        return self._of(ALL)

    def costs(self) -> pd.DataFrame:
        """One row a layer (or monitor), and one for all of them: false alarms while nothing fails, cost, in 30 days.

        drift_alarms: calls while nothing fails that are right about the model's own decay, in all `days`.
        """
        return pd.DataFrame([{self.by: name} | self.runs.spending(name) for name in self.runs.groups])

    def plot(self) -> Panels:
        """Delays by failure mode and layer (or monitor), and delays and false alarms against cost; returns axes."""
        from analysis.plot_delays import plot_delays
        from analysis.plot_panels import Panels

        return Panels(plot_delays(self))

    def to_dict(self) -> dict[str, Any]:
        """Everything for JSON."""
        from analysis.report_delays import delays_document

        return delays_document(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Write tables, JSON and pictures; returns the files. Raises OSError."""
        from analysis.report_delays import save_delays

        return save_delays(self, folder)

    def __str__(self) -> str:
        """The tables as text."""
        from analysis.report_delays import delays_text

        return delays_text(self)

    def _of(self, group: str) -> pd.DataFrame:
        monitors = self.runs.groups[group]
        return pd.DataFrame(
            [
                {
                    self.by: group,
                    "failure": failure.name,
                    "blind": not can_see(self.scenario, monitors, failure),
                }
                | self.runs.delays(group, [failure.name])
                for failure in self.scenario.failures
            ]
        )


def detection_delays(
    scenario: Scenario,
    *,
    by: By = "layer",
    replications: int = REPLICATIONS,
    seed: int = 0,
    workers: int | None = None,
    policy: str | PolicySpec | Policy = "never",
    confidence: float = LEVEL,
    progress: bool = False,
) -> DetectionDelays:
    """Play each layer of a scenario's monitors alone, and all together, against each of its failure modes.

    by: what plays alone, each 'layer' or each 'monitor'; replications: worlds, >= 2, the same for all of them; workers:
    processes, all cores when None, never shows in the result; policy: what retrains meanwhile; confidence: of all
    intervals, in (0, 1).
    The free perfect monitor (metric truth) belongs to no layer and is left out.
    Raises ValueError for a scenario without monitors or failures, and outside the ranges.
    """
    check_scenario(scenario)
    check_seed("seed", seed)
    if by not in get_args(By):
        raise ValueError(f"by: unknown {by!r}: {choice(str(by), get_args(By))}")
    layers = layers_of(scenario)
    together = [monitor for monitors in layers.values() for monitor in monitors]
    alone = layers if by == "layer" else {monitor.label: [monitor] for monitor in together}
    if ALL in alone:
        raise ValueError(f"monitors: one is named {ALL!r}, expected another name: that is the group of all")
    groups = alone | {ALL: together}
    entrant = ready(scenario, policy, replications, confidence)
    runs = play(scenario, groups, entrant, replications, seed, workers, confidence, progress)
    return DetectionDelays(scenario, entrant.name, replications, seed, runs, _warnings(scenario, runs), by)


def layers_of(scenario: Scenario) -> dict[str, list[Monitor]]:
    """Monitors of each layer that has some. Raises ValueError where there are none."""
    found = {
        layer: [monitor for monitor in scenario.monitors if scenario.layer_of(monitor) == layer]
        for layer in get_args(Layer)
    }
    found = {layer: monitors for layer, monitors in found.items() if monitors}
    if not found:
        raise ValueError("monitors: the scenario has none, expected at least one whose delay can be measured")
    return found


def ready(
    scenario: Scenario, policy: str | PolicySpec | Policy, replications: int, confidence: float
) -> Policy:
    """The policy, when all that was asked for is sound. Raises ValueError."""
    check_level(confidence, "confidence")
    if isinstance(replications, bool) or not isinstance(replications, int) or replications < 2:
        raise ValueError(f"replications: got {replications!r}, expected a whole number, at least 2")
    if not scenario.failures:
        raise ValueError("failures: the scenario has none, expected at least one that could be detected")
    return entrant_of(scenario, parse_policy(policy) if isinstance(policy, str) else policy)[0]


def play(
    scenario: Scenario,
    groups: Groups,
    policy: Policy,
    replications: int,
    seed: int,
    workers: int | None,
    confidence: float,
    progress: bool = False,
) -> GroupRuns:
    """All runs of all groups, on common worlds."""
    tasks = [(scenario, groups, policy, seed, number) for number in range(replications)]
    delayed: list[Delayed] = []
    spent: list[Spent] = []
    with progress_of(progress, "worlds", replications) as step:
        for some, cost in in_order(play_groups, tasks, workers):
            delayed += some
            spent += cost
            step()
    return GroupRuns(
        groups,
        incident_table(delayed),
        pd.DataFrame(spent, columns=list(Spent._fields)),
        confidence,
    )


def incident_table(delayed: list[Delayed]) -> pd.DataFrame:
    """One row an incident; columns keep their types without any."""
    types = {
        "onset_days": "float64",
        "delay_days": "float64",
        "watched_days": "float64",
        "healed": "bool",
        "hidden": "bool",
    }
    return pd.DataFrame(delayed, columns=list(Delayed._fields)).astype(types)


def _warnings(scenario: Scenario, runs: GroupRuns) -> tuple[str, ...]:
    """What the user should know before believing the figures."""
    notes = []
    for failure in scenario.failures:
        if not can_see(scenario, runs.groups[ALL], failure):
            notes.append(f"{failure.name}: no monitor can see it")
            continue
        incidents = runs.delays(ALL, [failure.name])["incidents"]
        if incidents < FEW:
            notes.append(
                f"{failure.name}: its figures rest on {incidents} incidents; take more replications or a longer horizon"
            )
    drifting = [name for name in runs.groups if name != ALL and runs.spending(name)["drift_alarms"] > 0]
    if drifting:
        notes.append(
            f"{', '.join(drifting)}: the model's own decay raises alarms too, and one that comes during an incident "
            "counts as its detection; choose a policy that retrains"
        )
    return tuple(notes)
