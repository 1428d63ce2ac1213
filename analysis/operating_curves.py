"""Operating curves: what a monitor's threshold, cadence and rows buy in delay, false alarms and cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.delay_runs import can_see
from analysis.detection_delay import REPLICATIONS, GroupRuns, play, ready
from analysis.intervals import LEVEL
from scenarios.menu import changed_monitor
from scenarios.monitoring import AdaptiveLimits, Monitor
from scenarios.policies import PolicySpec
from scenarios.problems import choice
from scenarios.schema import Scenario, check_scenario
from scenarios.units import DURATION, format_duration
from sim.displays import Displayed
from sim.policies import Policy
from sim.randomness import check_seed

if TYPE_CHECKING:
    from analysis.plot_panels import Panels

FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0)
"""Thresholds that are tried when none are given, as multiples of the monitor's own."""
MAX_POINTS = 400
Setting = str | float


@dataclass(frozen=True, repr=False)
class OperatingCurve(Displayed):
    """Figures of one monitor over a grid of settings; delays are of the failure modes that it can see, together."""

    scenario: Scenario
    monitor: str
    knob: str
    """What the thresholds are: threshold, deadline, false_alarms or deviations."""
    failures: tuple[str, ...]
    policy: str
    replications: int
    seed: int
    settings: tuple[Monitor, ...] = field(repr=False)
    runs: GroupRuns = field(repr=False)

    def headline(self) -> str:
        """Which monitor, over how many settings."""
        seen = ", ".join(self.failures)
        return f"{self.scenario.title}: {self.monitor}, {len(self.settings)} settings of {self.knob}, against {seen}"

    def _shown(self) -> pd.DataFrame:
        columns = ["threshold", "cadence_days", "false_alarms_per_month", "cost_per_month", "mean_detected_days",
                   "undetected_share"]  # fmt: skip
        return self.table()[columns].set_index("threshold")

    def table(self) -> pd.DataFrame:
        """One row a setting: threshold, cadence_days and rows; false alarms and cost in 30 days; delays in days.

        threshold: in the unit of the monitor, days for a deadline, a day for false_alarms; rows: a window, NaN for the
        default or where counters are read. The other columns as those of `analysis.DetectionDelays`.
        """
        rows = []
        for name, monitor in zip(self.runs.groups, self.settings, strict=True):
            setting = {
                "threshold": _value(monitor, self.knob),
                "cadence_days": self.scenario.cadence_of(monitor),
                "rows": float("nan") if monitor.rows is None else float(monitor.rows),
            }
            rows.append(setting | self.runs.spending(name) | self.runs.delays(name, self.failures))
        return pd.DataFrame(rows)

    def knob_text(self, value: float) -> str:
        """A threshold of the table as it is written for people."""
        if self.knob == "deadline":
            return format_duration(value)
        return f"{value:.4g}/d" if self.knob == "false_alarms" else f"{value:.4g}"

    def plot(self) -> Panels:
        """Delay against false alarms, one line a cadence (and rows), and both against cost; returns the axes."""
        from analysis.plot_operating_curve import plot_operating_curve
        from analysis.plot_panels import Panels

        return Panels(plot_operating_curve(self))

    def to_dict(self) -> dict[str, Any]:
        """Everything for JSON."""
        from analysis.report_delays import curve_document

        return curve_document(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Write table, JSON and picture; returns the files. Raises OSError."""
        from analysis.report_delays import save_curve

        return save_curve(self, folder)

    def __str__(self) -> str:
        """The table as text."""
        from analysis.report_delays import curve_text

        return curve_text(self)


def operating_curve(
    scenario: Scenario,
    monitor: str,
    *,
    thresholds: Sequence[Setting] | None = None,
    cadences: Sequence[Setting] | None = None,
    rows: Sequence[int] | None = None,
    replications: int = REPLICATIONS,
    seed: int = 0,
    workers: int | None = None,
    policy: str | PolicySpec | Policy = "never",
    confidence: float = LEVEL,
    progress: bool = False,
) -> OperatingCurve:
    """Play one monitor, alone, with every combination of settings, on common worlds.

    monitor: its label in the scenario's monitors; thresholds: values as a scenario file has them, of its threshold, its
    deadline ('15min'), its false_alarms (rule significance, '4/y') or the deviations of its adaptive limits; around its
    own ones when None; cadences: durations; rows: a window; its own when None.
    The others as in `detection_delays`. Raises ValueError for a monitor that is not there or sees no failure, and for
    settings that do not fit.
    """
    check_scenario(scenario)
    check_seed("seed", seed)
    given = _named(scenario, monitor)
    failures = tuple(f.name for f in scenario.failures if can_see(scenario, [given], f))
    entrant = ready(scenario, policy, replications, confidence)
    if not failures:
        raise ValueError(f"monitor: {monitor} can see none of the failures, expected one that has a delay")
    knob = _knob(given)
    levels = _thresholds(given, knob) if thresholds is None else _some("thresholds", thresholds)
    places = [None] if cadences is None else _some("cadences", cadences)
    sizes = [None] if rows is None else _some("rows", rows)
    count = len(levels) * len(places) * len(sizes)
    if count > MAX_POINTS:
        raise ValueError(f"settings: got {count} combinations, expected at most {MAX_POINTS}")
    settings = [
        _changed(scenario, given, knob, level, cadence, size)
        for size, cadence, level in product(sizes, places, levels)
    ]
    groups = {f"{number}": [setting] for number, setting in enumerate(settings)}
    runs = play(scenario, groups, entrant, replications, seed, workers, confidence, progress)
    return OperatingCurve(
        scenario, given.label, knob, failures, entrant.name, replications, seed, tuple(settings), runs
    )


def _named(scenario: Scenario, label: str) -> Monitor:
    known = {m.label: m for m in scenario.monitors if scenario.layer_of(m) is not None}
    if label not in known:
        expected = choice(label, list(known)) if known else "the scenario has no monitors"
        raise ValueError(f"monitor: unknown {label!r}: {expected}")
    return known[label]


def _some(name: str, values: Sequence[Any]) -> list[Any]:
    if isinstance(values, (str, bytes)) or len(values) == 0:
        raise ValueError(f"{name}: got {values!r}, expected a list of at least one value")
    return list(values)


def _knob(monitor: Monitor) -> str:
    """The field that decides how easily the monitor calls."""
    if monitor.deadline is not None:
        return "deadline"
    knobs = {
        "threshold": "threshold",
        "cusum": "threshold",
        "significance": "false_alarms",
        "adaptive": "deviations",
    }
    if monitor.rule not in knobs:
        raise ValueError(
            f"monitor: {monitor.label} has rule {monitor.rule}, which has no threshold; expected one of "
            + ", ".join(knobs)
        )
    return knobs[monitor.rule]


def _value(monitor: Monitor, knob: str) -> float:
    """The knob as it is set."""
    if knob == "false_alarms":
        return monitor.accepted_false_alarms
    if knob == "deviations":
        return (monitor.limits or AdaptiveLimits()).deviations
    return monitor.level


def _thresholds(monitor: Monitor, knob: str) -> list[Setting]:
    """Values around the monitor's own."""
    own = [factor * _value(monitor, knob) for factor in FACTORS]
    return [_written(value, knob) for value in own]


def _written(value: float, knob: str) -> Setting:
    if knob == "false_alarms":
        return f"{value:.12g}/d"
    return DURATION.write(value) if knob == "deadline" else float(f"{value:.12g}")


def _changed(
    scenario: Scenario, monitor: Monitor, knob: str, level: Setting, cadence: Setting | None, rows: int | None
) -> Monitor:
    """The monitor with one combination of settings. Raises ValueError where they do not fit."""
    changes: dict[str, Any] = {knob: _plain(level)}
    if knob == "deviations":
        limits = {} if monitor.limits is None else monitor.limits.model_dump(mode="json", exclude_unset=True)
        changes = {"limits": limits | {"deviations": _plain(level)}}
    if cadence is not None:
        changes["cadence"] = cadence
    if rows is not None:
        changes["rows"] = _plain(rows)
    found = changed_monitor(monitor, changes, monitor.label)
    scenario.check_monitor(monitor.label, found)
    return found


def _plain(value: Any) -> Any:
    """A number where a text says one, as a file would have it; other values as they are."""
    if not isinstance(value, str):
        return value.item() if hasattr(value, "item") else value
    try:
        number = float(value)
    except ValueError:
        return value
    return int(number) if number.is_integer() and value.strip().lstrip("+").isdigit() else number
