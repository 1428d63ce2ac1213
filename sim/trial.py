"""A trial: a candidate beside the champion, and what the requests that each of them answered have shown so far.

Evidence comes in as it does in service: a label when its delay is over, a signal when the request is served. A stretch
of evidence is drawn once, tied to the moments at which it begins and the window of its requests, so that looks add up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scenarios.deployment import LABELS, Novelty
from scenarios.signals import Mean, Proportion
from sim.experiment import Arms
from sim.failure_causes import as_tried
from sim.kernels import sampling
from sim.quality import Version
from sim.randomness import moment_number
from sim.signal_readings import daily_swing
from sim.traffic import whole

if TYPE_CHECKING:
    from sim.engine import Run

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass
class Stretch:
    """A time during which the candidate got the same share of the requests; days."""

    since: float
    until: float
    share: float


class Trial:
    """A candidate and the champion of one run, side by side from now on."""

    def __init__(self, run: Run, candidate: Version) -> None:
        self.run = run
        self.candidate = as_tried(run, candidate)
        """As it answers: also with the harm of failures that it would bring with it."""
        self.rival = run.plane.champion
        self.began = run.now
        self.stretches: list[Stretch] = []

    @property
    def name(self) -> str:
        """Name of the candidate in events."""
        return f"version {self.candidate.number}"

    @property
    def overtaken(self) -> bool:
        """Whether the champion was replaced meanwhile, so that there is nothing left to compare with."""
        return self.run.plane.champion is not self.rival

    def expose(self, share: float, served: float | None = None) -> None:
        """Give the candidate a share of the requests from now on; served: of the answers that users meet, if other."""
        self._end_stretch()
        self.stretches.append(Stretch(self.run.now, math.inf, share))
        self.run.plane.expose(self.candidate, share if served is None else served, self.run.now)

    def start_again(self) -> None:
        """What was shown so far does not count."""
        self.stretches = [Stretch(self.run.now, math.inf, self.stretches[-1].share)]

    def withdraw(self) -> None:
        """The champion answers all requests again from now on, unless it was replaced."""
        self._end_stretch()
        if not self.overtaken:
            self.run.plane.withdraw(self.run.now)

    def _end_stretch(self) -> None:
        if self.stretches:
            self.stretches[-1].until = min(self.stretches[-1].until, self.run.now)

    # ------------------------------------------------------------ evidence

    def evidence(
        self, kind: str, after: float, until: float, novelty: Novelty | None = None, attribution: float = 0.0
    ) -> Arms:
        """Requests of both arms that could be judged since `after` and by `until` (days), and those that went well.

        kind: labels, or the name of a proportion. novelty: adds to what the candidate shows. attribution: days after
        which a request counts for a signal.
        """
        if kind == LABELS:
            identity, window, number, shown = self._labels(after, until)
            good0, good1 = self.accuracies(window)
        else:
            identity, window, number, shown = self._requests(after - attribution, until - attribution)
            good0, good1 = self._good_shares(kind, window)
        if novelty is not None:
            age = np.maximum((window + 0.5) * self.run.scenario.window - self.began, 0.0)
            good1 = np.minimum(good1 + novelty.lift * np.exp(-age / novelty.fades), 1.0)
        source = "label" if kind == LABELS else f"signal {kind}"
        n1 = self._draw(f"trial: {source}s shown the candidate", after, identity, number, shown[1])
        others = np.divide(shown[0], 1.0 - shown[1], out=np.zeros_like(shown[0]), where=shown[1] < 1.0)
        n0 = self._draw(f"trial: {source}s shown the champion", after, identity, number - n1, others)
        k0 = self._draw(f"trial: {source}s right by the champion", after, identity, n0, good0)
        k1 = self._draw(f"trial: {source}s right by the candidate", after, identity, n1, good1)
        return Arms(int(n0.sum()), int(k0.sum()), int(n1.sum()), int(k1.sum()))

    def pairs(self, since: float, until: float, shared_errors: float) -> tuple[int, int, int]:
        """Labelled requests of days since..until that both answered: their number, right by the champion only, by the
        candidate only.

        shared_errors: part of the errors of the better one that the other makes too, beyond chance.
        """
        self.stretches = [Stretch(since, until, 0.0)]
        identity, window, number, shown = self._labels(since, until)
        right0, right1 = self.accuracies(window)
        wrong0, wrong1 = 1.0 - right0, 1.0 - right1
        both = shared_errors * np.minimum(wrong0, wrong1) + (1.0 - shared_errors) * wrong0 * wrong1
        n = self._draw("trial: labels of pairs", since, identity, number, shown[0])
        lost = self._draw("trial: only the champion is right", since, identity, n, wrong1 - both)
        left = 1.0 - (wrong1 - both)
        chance = np.divide(wrong0 - both, left, out=np.zeros_like(left), where=left > 0.0)
        won = self._draw("trial: only the candidate is right", since, identity, n - lost, chance)
        return int(n.sum()), int(lost.sum()), int(won.sum())

    def means(self, signal: Mean, after: float, until: float, factor: float) -> tuple[float, float, float]:
        """Mean of a signal with each arm, and the standard error of their difference; NaN without requests.

        factor: what the candidate multiplies it by, besides what follows from its accuracy.
        """
        _, window, number, shown = self._requests(after, until)
        n = [float((number * part).sum()) for part in shown]
        if min(n) <= 0.0:
            return math.nan, math.nan, math.nan
        levels = self._levels(signal, window)
        luck = self.run.world.stream_at(f"trial: mean {signal.name}", after).standard_normal(2)
        mean0, mean1 = (
            float((number * part * level).sum()) / total
            for part, level, total in zip(shown, levels, n, strict=True)
        )
        errors = [signal.sd / math.sqrt(total) for total in n]
        return mean0 + errors[0] * luck[0], factor * mean1 + errors[1] * luck[1], math.hypot(*errors)

    def hits(self, signal: Proportion, after: float, until: float, factor: float) -> Arms:
        """How often a proportion was met in each arm; factor as in `means`."""
        identity, window, number, shown = self._requests(after, until)
        level0, level1 = self._levels(signal, window)
        n1 = self._draw(f"trial: guard {signal.name}: candidate", after, identity, number, shown[1])
        n0 = self._draw(f"trial: guard {signal.name}: champion", after, identity, number, shown[0])
        level1 = np.clip(factor * level1, 0.0, 1.0)
        k0 = self._draw(f"trial: guard {signal.name}: hits of champion", after, identity, n0, level0)
        k1 = self._draw(f"trial: guard {signal.name}: hits of candidate", after, identity, n1, level1)
        return Arms(int(n0.sum()), int(k0.sum()), int(n1.sum()), int(k1.sum()))

    def shown_both(self) -> tuple[Array, Array]:
        """Requests of each window that the candidate took part in so far, and its lead in accuracy there, (n,) each."""
        _, window, number, shown = self._requests(self.began, self.run.now)
        right0, right1 = self.accuracies(window)
        return number * shown[1], right1 - right0

    def arriving(self, kind: str, after: float, until: float, attribution: float = 0.0) -> tuple[Ints, Array]:
        """Windows at whose end evidence has come in, and how much since day `after`: requests that one arm or the other
        answers, all of them together; both (windows,)."""
        window = self.run.scenario.window
        if kind == LABELS:
            batches = self.run.world.labels
            arrival = _arrivals(batches.first)
            made = np.clip(batches.window + 1 - after / window, 0.0, 1.0)
            each = np.bincount(arrival, batches.count * made, minlength=self.run.scenario.windows)
        else:
            requests = self.run.world.requests
            made = np.clip(np.arange(len(requests)) + 1 - after / window, 0.0, 1.0)
            late = min(math.ceil(attribution / window - 1e-9), len(requests))
            each = np.concatenate((np.zeros(late), requests * made))[: len(requests)]
        last = min(int(until / window + 1e-9), len(each))
        first = min(int(after / window), last)
        return np.arange(first, last), np.cumsum(each[first:last])

    def accuracies(self, windows: Ints) -> tuple[Array, Array]:
        """Accuracy of the champion and of the candidate as users met it in each of some windows, (n,)."""
        if len(windows) == 0:
            return np.zeros(0), np.zeros(0)
        plane = self.run.plane
        first, stop = int(windows.min()), int(windows.max()) + 1
        drop = plane.incidents.drop(first, stop)
        found = []
        for version in (plane.serving if not self.overtaken else self.rival.version, self.candidate):
            accuracy = np.empty((len(plane.weights), stop - first))
            plane.quality.fill(version, self.began, self.run.now, first, stop, accuracy, base=first)
            if drop is not None:
                accuracy = np.maximum(accuracy - drop, 0.0)
            found.append(np.asarray(plane.weights @ accuracy)[windows - first])
        return found[0], np.minimum(found[1] + self._not_its_own(first, stop)[windows - first], 1.0)

    def _not_its_own(self, first: int, stop: int) -> Array:
        """Accuracy that failures which came with the champion take in windows first..stop-1; the candidate has none."""
        taken, incidents = np.zeros(stop - first), self.run.plane.incidents
        edges = np.arange(first, stop + 1, dtype=np.float64) * self.run.scenario.window
        for incident in incidents.all:
            failure = incident.failure
            if failure.ends_with_version and failure.drop_in_service > 0.0 and incident.end > self.began:
                taken += incidents.taken_by(failure) * incident.mean_level(edges)
        return taken

    def _levels(self, signal: Proportion | Mean, windows: Ints) -> tuple[Array, Array]:
        """Level of a signal on requests that the champion and the candidate answer, (n,) each."""
        if len(windows) == 0:
            return np.zeros(0), np.zeros(0)
        plane, first, stop = self.run.plane, int(windows.min()), int(windows.max()) + 1
        swing = daily_swing(self.run.world, signal)[first:stop]
        usual = plane.champions[0].fresh_accuracy
        found = []
        for accuracy in self.accuracies(np.arange(first, stop)):
            level = (signal.base + signal.per_accuracy_lost * (usual - accuracy)) * swing
            plane.incidents.move(signal.name, first, stop, level)
            found.append(level[windows - first])
        return found[0], found[1]

    def _good_shares(self, name: str, windows: Ints) -> tuple[Array, Array]:
        """Chance that a request goes well by a proportion: a hit, or no hit where hits are bad."""
        signal = self.run.scenario.signal(name)
        assert isinstance(signal, Proportion)  # the schema has checked it
        level0, level1 = (np.clip(level, 0.0, 1.0) for level in self._levels(signal, windows))
        return (level0, level1) if signal.per_accuracy_lost < 0.0 else (1.0 - level0, 1.0 - level1)

    def _labels(self, after: float, until: float) -> tuple[Ints, Ints, Array, tuple[Array, Array]]:
        """Batches of labels that come in between two moments: identity, window, count, part shown to each arm.

        The requests of a window are spread evenly, and their labels come in in the same order.
        """
        window, batches = self.run.scenario.window, self.run.world.labels
        first, last = int(after / window + 1e-9), min(int(until / window) + 1, self.run.scenario.windows)
        begin, end = batches.first[first], batches.first[last]
        arrival = np.repeat(np.arange(first, last), np.diff(batches.first[first : last + 1]))
        asked = batches.window[begin:end]
        come_from = np.clip(after / window - arrival, 0.0, 1.0)
        come_to = np.clip(until / window - arrival, 0.0, 1.0)
        shown = self._shown(asked, come_from, come_to)
        return self._used(batches.identity[begin:end], asked, batches.count[begin:end], shown)

    def _requests(self, after: float, until: float) -> tuple[Ints, Ints, Array, tuple[Array, Array]]:
        """Windows whose requests are served between two moments: the same for signals."""
        window = self.run.scenario.window
        first = max(int(max(after, 0.0) / window + 1e-9), 0)
        last = max(min(int(max(until, 0.0) / window) + 1, self.run.scenario.windows), first)
        asked = np.arange(first, last)
        number = whole(self.run.world.requests)[first:last]
        share = self.run.plane.incidents.served(first, last)
        number = number if share is None else np.floor(number * share)
        shown = self._shown(
            asked, np.clip(after / window - asked, 0.0, 1.0), np.clip(until / window - asked, 0.0, 1.0)
        )
        return self._used(asked, asked, number, shown)

    def _shown(self, asked: Ints, start: Array, end: Array) -> tuple[Array, Array]:
        """Part of the requests at places start..end of their windows, in [0, 1], that each arm answered."""
        window = self.run.scenario.window
        parts = np.zeros(len(asked)), np.zeros(len(asked))
        for stretch in self.stretches:
            begin = np.maximum(stretch.since / window - asked, start)
            inside = np.maximum(np.minimum(stretch.until / window - asked, end) - begin, 0.0)
            parts[0][:] += (1.0 - stretch.share) * inside
            parts[1][:] += stretch.share * inside
        return parts

    def _used(
        self, identity: Ints, asked: Ints, number: Array, shown: tuple[Array, Array]
    ) -> tuple[Ints, Ints, Array, tuple[Array, Array]]:
        """Without those that nobody was shown."""
        used = (shown[0] + shown[1]) * number > 0.0
        return identity[used], asked[used], number[used], (shown[0][used], shown[1][used])

    def _draw(self, name: str, moment: float, identity: Ints, number: Array, chance: Array) -> Array:
        """Binomial numbers, each tied to the moment and to what it is of."""
        key = np.uint64(int(self.run.world.key(name)) ^ moment_number(max(moment, 0.0)))
        found = np.empty(len(identity))
        sampling.binomial_at(
            key,
            np.ascontiguousarray(identity),
            np.ascontiguousarray(number, dtype=np.int64),
            np.ascontiguousarray(np.clip(chance, 0.0, 1.0)),
            found,
        )
        return found


def _arrivals(first: Ints) -> Ints:
    """Window in which each batch of labels comes in; first: (windows + 1,)."""
    return np.repeat(np.arange(len(first) - 1), np.diff(first))
