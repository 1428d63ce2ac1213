"""Retraining policies that decide once a period, as `analysis.backtest` replays them, and their short forms."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from analysis.accuracy_matrix import FloatArray
from analysis.schedules import BestInterval, Oracle, Plan, Random

DEFAULT_DROP = 0.05
DEFAULT_POLICIES = (
    "never",
    *(f"scheduled:{k}" for k in (1, 2, 4, 8, 16)),
    "scheduled:best",
    *(f"triggered:accuracy<-{drop}" for drop in (0.01, 0.02, 0.05, 0.1)),
    "oracle",
)
FORMS = (
    "never",
    "scheduled:4",
    "scheduled:best",
    "triggered:accuracy<-0.05",
    "triggered:psi>0.2",
    "triggered:psi-mean>0.2",
    "hybrid:8",
    "hybrid:8:accuracy<-0.05",
    "random:11",
    "oracle",
)


@dataclass(frozen=True)
class View:
    """What is known before period t, and nothing else; periods are those of the matrix.

    t: the period about to be served
    deployed: training period of the model in service
    first_served: first period that this model served (serves)
    label_delay: periods
    accuracies: fraction in [0, 1], of the service from the matrix's second period up to `known_through`
    reference: accuracy that the model in service is held against: its validation accuracy where the backtest
        has one, else its accuracy in `first_served`; None while that is unknown
    psi: PSI of each feature, from the training rows of the model in service to period t - 1; None without PSI
    """

    t: int
    deployed: int
    first_served: int
    label_delay: int
    accuracies: FloatArray
    reference: float | None
    psi: FloatArray | None

    @property
    def known_through(self) -> int:
        """Newest period with labels; a retraining now gives the model trained through it."""
        return self.t - 1 - self.label_delay

    @property
    def accuracy(self) -> float | None:
        """Accuracy of the model in service in period `known_through`; None if it did not serve then."""
        return float(self.accuracies[-1]) if self.known_through >= self.first_served else None


class Policy(Protocol):
    """Decides before each period whether to retrain.

    `decide` is called once for each period in which a retraining is possible, in order, starting with the
    third (later where labels are so late that nothing but the first period is labelled). A plain function
    `decide(view) -> bool` will do; its `name`, or else its `__name__`, is what the tables show.
    """

    def decide(self, view: View) -> bool:
        """Whether to replace the model in service before period `view.t`."""
        ...


@dataclass(frozen=True)
class Never:
    """Keep the first model."""

    def decide(self, view: View) -> bool:
        """Never."""
        return False


@dataclass(frozen=True)
class Scheduled:
    """Retrain when the training data of the model in service ended at least `every` periods before t - 1.

    It is the age of the data that counts: with labels d periods late the retrainings are `every` - d apart.
    """

    every: int

    def decide(self, view: View) -> bool:
        """Whether the age is reached."""
        return view.t - 1 - view.deployed >= self.every


def accuracy_drop(view: View) -> float | None:
    """Reference accuracy minus newest known accuracy of the model in service."""
    if view.reference is None or view.accuracy is None:
        return None
    # In float64 0.75 - 0.7 exceeds 0.05; a drop of exactly the threshold must not.
    return round(view.reference - view.accuracy, 9)


def largest_psi(view: View) -> float | None:
    """PSI of the feature that moved most."""
    return None if view.psi is None else float(view.psi.max())


def mean_psi(view: View) -> float | None:
    """PSI, mean of the features."""
    return None if view.psi is None else float(view.psi.mean())


METRICS: dict[str, Callable[[View], float | None]] = {
    "accuracy": accuracy_drop,
    "psi": largest_psi,
    "psi-mean": mean_psi,
}


@dataclass(frozen=True)
class Triggered:
    """Retrain when a metric exceeds a threshold; a metric that is not known yet does not.

    metric: `accuracy` (drop below the reference), `psi` (largest feature), `psi-mean` (mean of the features)
    threshold: >= 0, fraction for accuracy
    """

    metric: str = "accuracy"
    threshold: float = DEFAULT_DROP

    def decide(self, view: View) -> bool:
        """Whether the threshold is exceeded."""
        score = METRICS[self.metric](view)
        return score is not None and score > self.threshold


@dataclass(frozen=True)
class Hybrid:
    """Retrain when either the schedule or the trigger says so."""

    schedule: Scheduled
    trigger: Triggered

    def decide(self, view: View) -> bool:
        """Whether one of the two fires."""
        return self.schedule.decide(view) or self.trigger.decide(view)


def parse_policy(text: str) -> Policy | Plan:
    """Policy from its short form; k counts periods, n retrainings.

    `never`; `scheduled:k`; `scheduled:best` (the k of least cost, in hindsight); `triggered:CONDITION`;
    `hybrid:k` or `hybrid:k:CONDITION` (either; an accuracy drop of more than 0.05 where none is given);
    `random:n` (one random schedule, drawn with the backtest's seed); `oracle` (the offline optimum).
    CONDITION: `accuracy<-0.05` (lost more than 0.05 of accuracy), `psi>0.2` (largest feature),
    `psi-mean>0.2` (mean of the features).
    Raises ValueError that lists the right forms.

    >>> parse_policy("hybrid:8")
    Hybrid(schedule=Scheduled(every=8), trigger=Triggered(metric='accuracy', threshold=0.05))
    >>> parse_policy("shceduled:4")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    ValueError: policy 'shceduled:4': did you mean 'scheduled:4'? ...
    """
    head, colon, rest = text.strip().partition(":")
    match head, rest:
        case "never", "":
            return Never()
        case "oracle", "":
            return Oracle()
        case "scheduled", "best":
            return BestInterval()
        case "scheduled", _:
            return Scheduled(_count(text, rest, 1))
        case "random", _:
            return Random(_count(text, rest, 0))
        case "triggered", _:
            return _trigger(text, rest) if colon else Triggered()
        case "hybrid", _:
            every, colon, condition = rest.partition(":")
            trigger = _trigger(text, condition) if colon else Triggered()
            return Hybrid(Scheduled(_count(text, every, 1)), trigger)
    raise _unknown(text)


def _count(text: str, number: str, least: int) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", number) or int(number) < least:
        raise _unknown(text, f"got {number!r}, expected a whole number from {least}")
    return int(number)


def _trigger(text: str, condition: str) -> Triggered:
    parts = re.fullmatch(r"\s*([\w-]+?)\s*(<\s*-|>)\s*([0-9]*\.?[0-9]+)\s*", condition, re.ASCII)
    if parts is None or parts[1] not in METRICS or (parts[1] == "accuracy") != (parts[2] != ">"):
        raise _unknown(text, f"got {condition!r}, expected accuracy<-0.05, psi>0.2 or psi-mean>0.2")
    return Triggered(parts[1], float(parts[3]))


def _unknown(text: str, problem: str | None = None) -> ValueError:
    head, colon, rest = text.strip().partition(":")
    if problem is None:
        heads = sorted({form.partition(":")[0] for form in FORMS})
        near = difflib.get_close_matches(head.lower(), heads, n=1)
        problem = f"did you mean {near[0] + colon + rest!r}?" if near else "unknown"
        if near and near[0] == head:
            problem = f"{head!r} takes nothing after it"
    return ValueError(f"policy {text!r}: {problem}; one of: {', '.join(FORMS)}")
