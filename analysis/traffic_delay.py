"""Detection delay against traffic: how long an accuracy monitor takes to see a drop when labels are few.

Three answers side by side: the source's rule of thumb of 1,000 samples, the number that a power calculation asks for,
and what a simulated monitor needs that judges block after block of so many labels. The monitor is played by the
engine: requests come evenly, so that each block has its size, labels at once, and the test of a block is exact and
one-sided. Source: 'Drift Detection Delay'.

>>> found = traffic_delays(["1/s", "100/d"], onsets=50, replications=2, workers=1)
>>> found.table()[["samples", "collected"]].to_string(index=False, header=False).split("\\n")
['1000 16.7 min', ' 150  2.5 min', '1000     10 d', ' 150    1.5 d']
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.delay_runs import Delayed, measured_delays
from analysis.delay_statistics import non_negative_mean
from analysis.detection import SAMPLES_OF_THE_SOURCE, ProportionMonitor, per_day
from analysis.economics import detection_time, samples_to_tell_apart
from analysis.intervals import LEVEL, check_level
from analysis.progress import progress_of
from analysis.ranges import INSIDE
from analysis.workers import in_order
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from scenarios.units import format_duration
from sim.displays import Displayed
from sim.policies import Never
from sim.randomness import stream

if TYPE_CHECKING:
    from analysis.plot_panels import Panels

RATES = ("1/s", "10/min", "1/min", "10k/d", "1000/d", "100/d")
"""Requests, from the source's busy service to its quiet one."""
PARTS = 8
"""Windows of a block: what resolves the moment of an onset."""
APART = 14
"""Blocks between two onsets: time enough to see nearly every one."""
AFTER_A_LOOK = 1e-6
"""Blocks between a look and an onset that follows it at once: clear of the rounding of clocks."""
AFTER, RANDOM = "after_a_look", "random"


class _Case(NamedTuple):
    """One traffic and one size of block."""

    rate: float
    """Requests a day."""
    samples: int


@dataclass(frozen=True, repr=False)
class TrafficDelays(Displayed):
    """Delays of a drop of accuracy from p0 to p1, by request rate and size of block.

    Onsets come right after a look, the worst case, or at a random moment. The monitor calls falsely at a share `alpha`
    of its blocks.
    """

    p0: float
    p1: float
    alpha: float
    power: float
    """That the power calculation asks for."""
    onsets: int
    replications: int
    seed: int
    confidence: float
    cases: tuple[_Case, ...] = field(repr=False)
    incidents: pd.DataFrame = field(repr=False)
    """One row an onset; columns as `analysis.delay_runs.Delayed`, group the number of the case, failure where it fell
    between two looks."""

    def headline(self) -> str:
        """Which drop, and over which request rates."""
        rates = len({case.rate for case in self.cases})
        return f"a drop of accuracy from {self.p0:g} to {self.p1:g} at {rates} request rates, {self.onsets} onsets each"

    def _shown(self) -> pd.DataFrame:
        columns = ["samples", "collected_days", "after_a_look_days", "random_days"]
        return self.table().set_index(["requests_per_day", "rule"])[columns]

    @property
    def samples_by_power(self) -> float:
        """Samples of the power calculation, by the normal approximation; not rounded."""
        return float(samples_to_tell_apart(self.p0, self.p1, alpha=self.alpha, power=self.power))

    def table(self) -> pd.DataFrame:
        """One row a rate and size of block, days.

        rule: what the block is, the rule of thumb or the power calculation; collected_days: time in which so many
        labels come, as text in collected; for onsets right after a look and at random moments the simulated mean delay
        (of the detected onsets) with its interval, the share undetected, the number of onsets, and expected_days: what
        run-length theory says, one divided by the power of a look; seen_by_first_block: of onsets right after a look,
        beside the power of the test.
        """
        return pd.DataFrame([self._row(number, case) for number, case in enumerate(self.cases)])

    def plot(self) -> Panels:
        """Delay against requests per day; returns matplotlib axes, one a panel."""
        from analysis.plot_panels import Panels
        from analysis.plot_traffic import plot_traffic

        return Panels(plot_traffic(self))

    def to_dict(self) -> dict[str, Any]:
        """Everything for JSON."""
        from analysis.report_delays import traffic_document

        return traffic_document(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Write table, JSON and picture; returns the files. Raises OSError."""
        from analysis.report_delays import save_traffic

        return save_traffic(self, folder)

    def __str__(self) -> str:
        """The table as text."""
        from analysis.report_delays import traffic_text

        return traffic_text(self)

    def _row(self, number: int, case: _Case) -> dict[str, Any]:
        block = case.samples / case.rate
        rule = "rule of thumb" if case.samples == SAMPLES_OF_THE_SOURCE else "power calculation"
        collected = float(detection_time(case.samples, labels_per_day=case.rate))
        row: dict[str, Any] = {
            "requests_per_day": case.rate,
            "rule": rule,
            "samples": case.samples,
            "collected_days": collected,
            "collected": format_duration(collected),
        }
        theory = ProportionMonitor(self.p0, cadence=block, false_alarms=self.alpha / block)
        drop = self.p0 - self.p1
        expected = {
            AFTER: block / theory.power(drop, case.samples),
            RANDOM: theory.delay(drop, rows_per_day=case.rate).mean,
        }
        for moment in (AFTER, RANDOM):
            rows = self.incidents[
                (self.incidents["group"] == str(number)) & (self.incidents["failure"] == moment)
            ]
            rows = rows[~rows["hidden"]]
            delay = rows["delay_days"].to_numpy()
            mean = non_negative_mean(delay, self.confidence)
            row |= {
                f"{moment}_days": mean.mean,
                f"{moment}_low": mean.low,
                f"{moment}_high": mean.high,
                f"{moment}_expected_days": expected[moment],
                f"{moment}_undetected": float(np.isnan(delay).mean()),
                f"{moment}_onsets": len(rows),
            }
            if moment == AFTER:
                row["seen_by_first_block"] = float((delay <= (1.0 + 0.5 / PARTS) * block).mean())
                row["power"] = theory.power(drop, case.samples)
        return row


def traffic_delays(
    rates: Sequence[str | float] = RATES,
    p0: float = 0.95,
    p1: float = 0.90,
    *,
    alpha: float = 0.05,
    power: float = 0.80,
    onsets: int = 60,
    replications: int = 4,
    seed: int = 0,
    workers: int | None = None,
    confidence: float = LEVEL,
    progress: bool = False,
) -> TrafficDelays:
    """Play an accuracy monitor at several request rates, with blocks of 1,000 labels and of as many as power asks for.

    rates: of requests, as '1/s' or a number a day, > 0; p0, p1: accuracy before and after, p1 < p0, in (0, 1)
    alpha: false alarm probability of a block; power: that the block of the power calculation is made for
    onsets: drops in each run, >= 1, right after a look and again at random moments; replications: runs, >= 1
    workers: processes, all cores when None. Raises ValueError outside these ranges.
    """
    INSIDE.check("p0", p0)
    INSIDE.check("alpha", alpha)
    check_level(confidence, "confidence")
    if not 0.0 < p1 < p0:
        raise ValueError(f"p1: got {p1}, expected an accuracy above 0 and below p0 ({p0:g})")
    if not alpha < 0.5:
        raise ValueError(f"alpha: got {alpha}, expected a chance of false alarm below 0.5")
    if isinstance(rates, (str, bytes)) or len(rates) == 0:
        raise ValueError(f"rates: got {rates!r}, expected a list such as ['1/s', '100/d']")
    for name, count in (("onsets", onsets), ("replications", replications)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ValueError(f"{name}: got {count!r}, expected a whole number, at least 1")
    needed = math.ceil(float(samples_to_tell_apart(p0, p1, alpha=alpha, power=power)))
    sizes = dict.fromkeys((SAMPLES_OF_THE_SOURCE, max(needed, 1)))
    cases = tuple(_Case(per_day(rate), size) for rate in rates for size in sizes)
    # No two runs share a world: the same luck at all rates would look like agreement.
    tasks = [
        (case, str(number), (p0, p1, alpha), onsets, seed, number * replications + replication)
        for number, case in enumerate(cases)
        for replication in range(replications)
    ]
    found: list[Delayed] = []
    with progress_of(progress, "runs", len(tasks)) as step:
        for some in in_order(_play_case, tasks, workers):
            found += some
            step()
    incidents = pd.DataFrame(found, columns=list(Delayed._fields))
    return TrafficDelays(p0, p1, alpha, power, onsets, replications, seed, confidence, cases, incidents)


def _play_case(
    case: _Case, name: str, test: tuple[float, float, float], onsets: int, seed: int, replication: int
) -> list[Delayed]:
    """Delays of the onsets of one run."""
    scenario = block_scenario(case.rate, case.samples, *test, onsets, seed, replication)
    return measured_delays(scenario, {name: scenario.monitors}, Never(), seed, replication)


def block_scenario(
    rate: float, samples: int, p0: float, p1: float, alpha: float, onsets: int, seed: int, replication: int
) -> Scenario:
    """A service whose accuracy falls now and then, watched by a test of each block of `samples` labels.

    The failure mode `after_a_look` begins right after looks, `random` at uniform moments between two; both
    APART blocks from one another.
    """
    block = samples / rate
    luck = stream(seed, replication, "traffic delays").random(onsets)
    start = 1.0 + APART * np.arange(onsets)
    drop = {"accuracy_drop": p0 - p1}
    written = {
        "title": "Detection delay against traffic",
        "horizon": _days((1 + APART * onsets) * block),
        "window": _days(block / PARTS),
        "value_per_query_per_unit_accuracy": "$1",
        "quality": {"kind": "exponential", "initial_accuracy": p0, "decay": "0/d"},
        "traffic": {"rate": f"{float(rate)!r}/d", "arrivals": "deterministic"},
        "labels": {},
        "failures": [
            {"name": AFTER, "onsets": [_days(t) for t in (start + AFTER_A_LOOK) * block]} | drop,
            {"name": RANDOM, "onsets": [_days(t) for t in (start + luck) * block]} | drop,
        ],
        "monitors": [
            {
                "metric": "accuracy",
                "rule": "significance",
                "false_alarms": f"{alpha / block!r}/d",
                "cadence": _days(block),
                "window": _days(block),
                "min_samples": 1,
                "cooldown": 0,
            }
        ],
    }
    return validate_mapping(written)


def _days(value: float) -> str:
    """A duration or a moment to the last bit, as a scenario has it."""
    return f"{float(value)!r}d"
