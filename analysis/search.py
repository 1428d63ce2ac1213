"""Noisy search: settings are proposed by Optuna, played on the same worlds, and played more where they promise much."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.evaluations import SEARCH, Runs, play
from analysis.inputs import Input
from analysis.intervals import mean_interval
from analysis.requirements import Requirement
from analysis.response_surface import surface_minimum
from analysis.responses import Objective
from analysis.settings import Choice, Setting, Space
from analysis.workers import in_order

Array = NDArray[np.float64]
BATCH = 4
"""Settings proposed at a time; a constant, so that the number of workers never shows."""
PROMISING = 4
"""A promising setting gets this many times the replications."""


@dataclass
class Candidate:
    """A setting and its runs so far."""

    setting: Setting
    runs: Runs = field(default_factory=dict)
    origin: str = "search"

    @property
    def replications(self) -> int:
        """Worlds played."""
        return len(next(iter(self.runs.values()))) if self.runs else 0

    def value(self, objective: Objective) -> float:
        """Estimate of an objective, as it is (not turned round for maximising)."""
        return objective.response.interval(self.runs[objective.response.column]).mean

    def losses(self, objective: Objective) -> Array:
        """What is to be small, by replication, (replications,)."""
        return objective.sign * self.runs[objective.response.column]

    def violation(self, requirements: Sequence[Requirement]) -> float:
        """How far the requirements are missed, relative to their limits; 0 where all hold."""
        return sum(r.check(self.runs[r.response.column]).missed_by for r in requirements)


@dataclass
class Search:
    """All candidates so far, and how to play them."""

    space: Space
    objectives: tuple[Objective, ...]
    requirements: tuple[Requirement, ...]
    seed: int
    workers: int | None
    step: Callable[[], None] = lambda: None
    candidates: list[Candidate] = field(default_factory=list)

    def extend(self, candidates: Sequence[Candidate], replications: int, first: int = SEARCH) -> None:
        """Play candidates until each has so many replications, from world `first` on."""
        tasks = [
            (self.space, c.setting, self.seed, range(first + c.replications, first + replications))
            for c in candidates
        ]
        for candidate, runs in zip(candidates, in_order(play_setting, tasks, self.workers), strict=True):
            candidate.runs = {
                name: np.append(candidate.runs.get(name, []), new) for name, new in runs.items()
            }

    def best(self) -> Candidate | None:
        """The best candidate of one objective so far, by its estimate; those that keep the requirements first."""
        if not self.candidates:
            return None
        return min(self.candidates, key=self.merit)

    def merit(self, candidate: Candidate) -> tuple[float, float]:
        """Less is better: how far requirements are missed, then the objective; without a value it is last."""
        objective = self.objectives[0]
        value = objective.sign * candidate.value(objective)
        return candidate.violation(self.requirements), value if np.isfinite(value) else np.inf

    def check_measured(self) -> None:
        """Raise ValueError for an objective that no candidate so far has a value of."""
        for objective in self.objectives:
            if not any(np.isfinite(c.value(objective)) for c in self.candidates):
                raise ValueError(
                    f"objective {objective}: was not measured in any world of {len(self.candidates)} settings "
                    "(mttd_hours has no value where nothing is detected), expected a figure that these policies have"
                )

    def may_be_best(self, candidate: Candidate) -> bool:
        """Whether a candidate's paired 95 % interval to the best so far leaves it a chance."""
        best = self.best()
        if best is None or len(self.objectives) > 1:
            return True
        count = min(candidate.replications, best.replications)
        gap = candidate.losses(self.objectives[0])[:count] - best.losses(self.objectives[0])[:count]
        low = mean_interval(gap).low
        return not low > 0.0

    def add(self, candidates: Sequence[Candidate], replications: int) -> None:
        """Play new candidates, the promising ones more, and keep them."""
        self.extend(candidates, replications)
        promising = [c for c in candidates if self.may_be_best(c) and _is_noisy(c, self.objectives)]
        self.extend(promising, PROMISING * replications)
        self.candidates.extend(candidates)


def play_setting(space: Space, setting: Setting, seed: int, replications: range) -> Runs:
    """Columns of a setting, (replications,) each."""
    scenario, policy = space.applied(setting)
    return play(scenario, {"it": policy}, seed, replications)["it"]


def propose(search: Search, trials: int, replications: int) -> None:
    """Let Optuna's tree-structured Parzen estimator propose settings, batch by batch.

    Raises ValueError where Optuna is not installed, and when no setting of the first third has a value of an objective.
    """
    optuna = _optuna()
    first = max(min(trials // 3, 20), 1)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # Optuna calls multivariate, constraints and constant_liar experimental
        sampler = optuna.samplers.TPESampler(
            seed=search.seed,
            multivariate=True,
            constant_liar=True,
            n_startup_trials=first,
            constraints_func=(lambda trial: trial.user_attrs["violation"]) if search.requirements else None,
        )
        study = optuna.create_study(directions=["minimize"] * len(search.objectives), sampler=sampler)
        done = 0
        while done < trials:
            asked = [study.ask() for _ in range(min(BATCH, trials - done))]
            batch = [
                Candidate({v.path: _suggested(trial, v) for v in search.space.variables}) for trial in asked
            ]
            search.add(batch, replications)
            for trial, candidate in zip(asked, batch, strict=True):
                trial.set_user_attr("violation", (candidate.violation(search.requirements),))
                values = [o.sign * candidate.value(o) for o in search.objectives]
                study.tell(trial, values if np.isfinite(values).all() else None, **_failed(optuna, values))
                search.step()
            done += len(asked)
            if done >= first:
                search.check_measured()


def refine(search: Search, replications: int) -> None:
    """Fit a response surface in the numeric variables around the best candidate, and keep its minimum.

    The numbers of replications are those of the search; the minimum is marked `surface`. Where more than half of the
    points miss a requirement, the surface knows nothing of the limit that decides, and its minimum is not kept.
    """
    numeric, best = search.space.numeric, search.best()
    if not numeric or best is None:
        return
    objective = search.objectives[0]
    kept = dict(best.setting)

    def setting_at(shares: Array) -> Setting:
        return kept | {given.path: tidy(given, float(u)) for given, u in zip(numeric, shares, strict=True)}

    def values_at(points: Array) -> Array:
        batch = [Candidate(setting_at(point), origin="refine") for point in points]
        search.extend(batch, replications)
        search.candidates.extend(batch)
        return np.array([objective.sign * c.value(objective) for c in batch])

    start = np.clip([given.share_of(kept[given.path]) for given in numeric], 0.0, 1.0)
    found = surface_minimum(values_at, start, seed=search.seed)
    played = [c for c in search.candidates if c.origin == "refine"]
    if sum(c.violation(search.requirements) > 0.0 for c in played) > 0.5 * len(played):
        return
    minimum = Candidate(setting_at(found), origin="surface")
    search.extend([minimum], PROMISING * replications if _is_noisy(best, search.objectives) else replications)
    search.candidates.append(minimum)


def finalists(search: Search, count: int) -> list[Candidate]:
    """The best different settings, those that keep the requirements first; the minimum of a surface always."""
    ranked = sorted(search.candidates, key=search.merit)
    chosen: list[Candidate] = []
    for candidate in [*(c for c in search.candidates if c.origin == "surface"), *ranked]:
        if len(chosen) < count and all(candidate.setting != other.setting for other in chosen):
            chosen.append(candidate)
    return sorted(chosen, key=search.merit)


def _is_noisy(candidate: Candidate, objectives: Sequence[Objective]) -> bool:
    return any(np.ptp(candidate.runs[o.response.column]) > 0.0 for o in objectives)


def tidy(given: Input, share: float) -> float:
    """A value that people can read, six significant digits, within the range."""
    return min(max(float(f"{given.at(share):.6g}"), given.low), given.high)


def _suggested(trial: Any, variable: Any) -> Any:
    if isinstance(variable, Choice):
        number = trial.suggest_categorical(variable.path, list(range(len(variable.options))))
        return variable.options[number]
    if variable.field.whole:
        return float(trial.suggest_int(variable.path, round(variable.low), round(variable.high)))
    return tidy(variable, trial.suggest_float(variable.path, 0.0, 1.0))


def _failed(optuna: Any, values: Sequence[float]) -> dict[str, Any]:
    """A setting without a finite value tells the sampler nothing."""
    return {} if np.isfinite(values).all() else {"state": optuna.trial.TrialState.FAIL}


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ValueError(
            "optimise needs the package optuna: install it with pip install 'halflife-sim[experiments]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
