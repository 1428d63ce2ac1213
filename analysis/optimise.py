"""The best setting of a policy and a scenario, with an interval on its advantage, or the Pareto set.

Three stages, each on worlds of its own: search (Optuna, more replications for what promises much, a response
surface around the best), selection among the finalists with a stated probability of being right, and a report whose
intervals the selection has not flattered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.evaluations import FRESH, Runs, play, policies_of
from analysis.intervals import Interval, mean_interval
from analysis.progress import progress_of
from analysis.requirements import Check, Requirement
from analysis.responses import Objective, parse_objective
from analysis.search import Candidate, Search, finalists, play_setting, propose, refine
from analysis.selection import Selection, select_best
from analysis.settings import Setting, Space
from analysis.workers import in_order
from scenarios.policies import PolicySpec
from sim.displays import Displayed
from sim.policies import Policy

Array = NDArray[np.float64]
TRIALS = 60
REPLICATIONS = 5
FINALISTS = 5
INDIFFERENCE = 0.005
"""Differences of the objective below this share of it do not matter."""
REPORTED = 30
"""Replications of the final report."""
REPORT_WORLDS = FRESH + 500_000_000
MAX_SELECTION = 200
"""Replications of one finalist in the selection, at most."""
MAX_PARETO = 20


@dataclass(frozen=True)
class Played:
    """A setting with its values in the worlds of the report."""

    setting: Setting
    runs: Runs = field(repr=False)

    def interval(self, objective: Objective) -> Interval:
        """Estimate and 95 % interval of an objective."""
        return objective.response.interval(self.runs[objective.response.column])


@dataclass(frozen=True, repr=False)
class Optimum(Displayed):
    """What an optimisation found."""

    space: Space
    objectives: tuple[Objective, ...]
    best: Played
    baseline: Played | None
    runner_up: Played | None
    selection: Selection[int] | None
    """Of the finalists, by their number; None with several objectives, for a quantile, when there was one finalist, and
    when a finalist has worlds without a value."""
    pareto: tuple[Played, ...]
    """Settings of which none is better in all objectives; one with one objective."""
    checks: tuple[Check, ...]
    trials: pd.DataFrame
    seed: int
    baseline_name: str = ""
    requirements: tuple[Requirement, ...] = ()
    selected: Setting | None = None
    """The finalist that the selection chose, which its promise is for; None without a selection."""

    @property
    def _currency(self) -> str:
        return self.space.scenario.currency

    def headline(self) -> str:
        """The best setting, its first objective, and whether it keeps the requirements."""
        objective = self.objectives[0]
        found = self.best.interval(objective)
        setting = ", ".join(f"{path}={value}" for path, value in self.best.setting.items())
        reached = objective.response.shown(found.mean, self._currency)
        kept = "" if self.feasible else "; the requirements do not hold"
        return f"{self.space.scenario.title}: {setting} gives {objective} {reached}{kept}"

    def _shown(self) -> pd.DataFrame:
        rows = {
            "best": self.best,
            f"baseline {self.baseline_name}".strip(): self.baseline,
            "runner-up": self.runner_up,
        }
        return pd.DataFrame.from_dict(
            {name: self._row(played) for name, played in rows.items() if played is not None}, orient="index"
        )

    def _row(self, played: Played) -> dict[str, Any]:
        """Setting, and estimate of each objective with half its interval, in words."""
        row: dict[str, Any] = {path: str(value) for path, value in played.setting.items()}
        for objective in self.objectives:
            found = played.interval(objective)
            mean, half = (
                objective.response.shown(value, self._currency) for value in (found.mean, found.half_width)
            )
            row[str(objective)] = f"{mean} ± {half}"
        return row

    @property
    def by_surface(self) -> bool:
        """Whether the minimum of the response surface is reported, in place of a finalist that is about as good."""
        return self.selected is not None and self.selected != self.best.setting

    def checks_of(self, played: Played) -> tuple[Check, ...]:
        """The requirements, judged by the worlds of the report."""
        return checked_on(played, self.requirements)

    @property
    def feasible(self) -> bool:
        """Whether the best setting keeps all requirements."""
        return all(check.holds for check in self.checks)

    def advantage(self, other: Played) -> Interval:
        """How much better the best setting is than another in the first objective, paired by world, 95 %.

        Above 0 it is better. For a quantile this is the difference of means of that column.
        """
        objective = self.objectives[0]
        column = objective.response.column
        return mean_interval(objective.sign * (other.runs[column] - self.best.runs[column]))

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `halflife optimise`."""
        from analysis.report_optimise import optimum_document

        return optimum_document(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Write optimum.json, trials.csv and optimum.png; returns the files."""
        from analysis.report_optimise import save_optimum

        return save_optimum(self, folder)

    def plot(self, fig: Any = None) -> Any:
        """Trials by variable, or the Pareto set; returns matplotlib axes, one a panel."""
        from analysis.plot_optimise import plot_optimum
        from analysis.plot_panels import Panels

        return Panels(plot_optimum(self, fig))


def optimise(
    space: Space,
    objectives: Sequence[str | Objective] = ("annual_cost",),
    *,
    requirements: Sequence[Requirement] = (),
    baseline: str | PolicySpec | Policy | None = "never",
    trials: int = TRIALS,
    replications: int = REPLICATIONS,
    reported: int = REPORTED,
    indifference: float = INDIFFERENCE,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = False,
) -> Optimum:
    """Find the best setting of a space.

    objectives: responses to make small (or large, `mean_accuracy:max`). requirements: limits that the setting must
    keep. baseline: a policy in the scenario as it is, to compare with; None for none. trials: settings that are
    proposed, >= 1. replications: of each, >= 2 (promising ones get more). reported: of the final report, >= 2, and
    the first stage of the selection. indifference: a fraction in (0, 1) of the objective; differences below it do not
    matter. Of settings that are so close, the minimum of the response surface is taken, which does not owe its
    place to luck. workers: processes; the result is the same for any number. Raises ValueError outside these ranges,
    and for an objective that no setting has a value of.
    """
    for name, given, least in (("trials", trials, 1), ("reps", replications, 2), ("reported", reported, 2)):
        if given < least:
            raise ValueError(f"{name}: got {given}, expected at least {least}")
    if not 0.0 < indifference < 1.0:
        raise ValueError(f"indifference: got {indifference}, expected a fraction in (0, 1)")
    if not objectives:
        raise ValueError("no objectives: expected one or more such as annual_cost or mean_accuracy:max")
    aims = tuple(parse_objective(o) if isinstance(o, str) else o for o in objectives)
    with progress_of(progress, "trials", trials) as step:
        wanted = tuple(requirements)
        search = Search(space, aims, wanted, seed, workers, step)
        propose(search, trials, replications)
        if len(aims) == 1:
            refine(search, replications)
    if len(aims) == 1:
        chosen, selection, selected = _selected(search, indifference, reported, workers)
    else:
        chosen, selection, selected = _pareto(search.candidates, aims, wanted), None, None
    played = _report(space, [c.setting for c in chosen], seed, reported, workers)
    if len(aims) > 1:
        played = [played[i] for i in _front([[p.interval(o).mean * o.sign for o in aims] for p in played])]
    if not played:
        raise ValueError(
            f"objectives {', '.join(map(str, aims))}: no setting has a value of all of them (mttd_hours has none where "
            "nothing is detected), expected figures that these policies have"
        )
    best, runner_up = played[0], played[1] if len(played) > 1 and len(aims) == 1 else None
    return Optimum(
        space,
        aims,
        best,
        _baseline(space, baseline, seed, reported, workers),
        runner_up,
        selection,
        tuple(played) if len(aims) > 1 else (best,),
        checked_on(best, wanted),
        _table(search),
        seed,
        baseline if isinstance(baseline, str) else baseline.name if baseline else "",
        wanted,
        selected,
    )


def checked_on(played: Played, requirements: Sequence[Requirement]) -> tuple[Check, ...]:
    """Requirements, judged by a setting's runs."""
    return tuple(r.check(played.runs[r.response.column]) for r in requirements)


class Unmeasured(ValueError):
    """A finalist has no value of the objective in a world."""


@dataclass(frozen=True)
class _Finalist:
    """Plays finalist `number` in a world: what is to be small, of the objective's column."""

    space: Space
    settings: tuple[Setting, ...]
    objective: Objective
    seed: int

    def __call__(self, number: int, replication: int) -> float:
        runs = play_setting(self.space, self.settings[number], self.seed, range(replication, replication + 1))
        value = float(runs[self.objective.response.column][0])
        if not math.isfinite(value):
            raise Unmeasured(f"objective {self.objective}: was not measured in world {replication}")
        return self.objective.sign * value


def _selected(
    search: Search, indifference: float, first_stage: int, workers: int | None
) -> tuple[list[Candidate], Selection[int] | None, Setting | None]:
    """What is reported and the runner-up, the selection, and the finalist that it chose."""
    candidates = finalists(search, FINALISTS)
    kept = [c for c in candidates if c.violation(search.requirements) == 0.0]
    candidates = kept or candidates[:1]
    if len(candidates) == 1:
        return candidates, None, None
    objective = search.objectives[0]
    simulate = _Finalist(search.space, tuple(c.setting for c in candidates), objective, search.seed)
    scale = abs(candidates[0].value(objective)) or 1.0
    delta = indifference * scale
    measured = all(np.isfinite(c.runs[objective.response.column]).all() for c in candidates)
    if objective.response.quantile is not None or not measured:
        # No procedure promises a quantile, or a mean over some worlds; the finalists keep the order of the search.
        return candidates[:2], None, None
    try:
        selection = select_best(
            simulate,
            range(len(candidates)),
            delta,
            first_stage=max(first_stage, 2),
            step=10,
            max_replications=max(MAX_SELECTION, first_stage),
            first_replication=FRESH,
            workers=workers,
        )
    except Unmeasured:
        return candidates[:2], None, None
    means = common_means(selection.values)
    order = sorted(range(len(candidates)), key=lambda i: (i != selection.best_index, means[i]))
    surface = next((i for i, c in enumerate(candidates) if c.origin == "surface"), None)
    if surface is not None and means[surface] <= means[order[0]] + delta:
        order = [surface, *(i for i in order if i != surface)]
    return [candidates[i] for i in order[:2]], selection, candidates[selection.best_index].setting


def common_means(values: Sequence[Array]) -> Array:
    """Means over the worlds that all systems met, the first ones of each; values: (replications,) each."""
    met = min(len(v) for v in values)
    return np.array([v[:met].mean() for v in values])


def _pareto(
    candidates: Sequence[Candidate], aims: Sequence[Objective], requirements: Sequence[Requirement]
) -> list[Candidate]:
    kept = [c for c in candidates if c.violation(requirements) == 0.0] or list(candidates)
    values = [[o.sign * c.value(o) for o in aims] for c in kept]
    front = _front(values)
    if len(front) > MAX_PARETO:  # evenly over the first objective
        places = np.unique(np.linspace(0, len(front) - 1, MAX_PARETO).round().astype(int))
        front = [front[i] for i in places]
    return [kept[i] for i in front]


def _front(values: Sequence[Sequence[float]]) -> list[int]:
    """Rows that no other row beats in all columns, the smaller the better; sorted by the first column."""
    x = np.asarray(values, dtype=np.float64)
    kept = [
        i
        for i, row in enumerate(x)
        if np.isfinite(row).all() and not ((x <= row).all(axis=1) & (x < row).any(axis=1)).any()
    ]
    return sorted(kept, key=lambda i: tuple(x[i]))


def _report(
    space: Space, settings: Sequence[Setting], seed: int, reported: int, workers: int | None
) -> list[Played]:
    worlds = range(REPORT_WORLDS, REPORT_WORLDS + reported)
    tasks = [(space, setting, seed, worlds) for setting in settings]
    return [
        Played(setting, runs)
        for setting, runs in zip(settings, in_order(play_setting, tasks, workers), strict=True)
    ]


def _baseline(
    space: Space, policy: str | PolicySpec | Policy | None, seed: int, reported: int, workers: int | None
) -> Played | None:
    if policy is None:
        return None
    policies = policies_of(space.scenario, [policy], seed, workers)
    worlds = range(REPORT_WORLDS, REPORT_WORLDS + reported)
    (runs,) = play(space.scenario, policies, seed, worlds).values()
    return Played({}, runs)


def _table(search: Search) -> pd.DataFrame:
    """One row a candidate: its setting, where it came from, replications, estimates."""
    rows = [
        {
            **search.space.document(c.setting),
            "origin": c.origin,
            "replications": c.replications,
            **{str(o): c.value(o) for o in search.objectives},
            "violation": c.violation(search.requirements),
        }
        for c in search.candidates
    ]
    return pd.DataFrame(rows)
