"""The source's worked figures, recomputed from their inputs by the closed forms of `analysis.economics`.

The table ships as `analysis/data/worked_figures.csv`, one figure a row: inputs, formula, expected value, and
a note where the source's own text is wrong. A formula here sees only inputs and other computed figures, never
an expected value, so a row that agrees is evidence.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from importlib import resources
from typing import Any, TypeAlias

from analysis import economics
from sim.kernels.scores import psi

Figure: TypeAlias = float | list[float]

RELATIVE_TOLERANCE = 1e-6
"""Agreement to six digits."""

_RANGE = re.compile(r"[\d.]+-[\d.]+")


class _Figures:
    """Inputs and computed values of the table by row id; expected values are not in here."""

    def __init__(self, inputs: Mapping[str, str]) -> None:
        self._inputs = inputs

    def inputs(self, row: str) -> dict[str, Any]:
        if row not in self._inputs:
            raise ValueError(f"needs the inputs of row '{row}', which is not in the table")
        parsed = json.loads(self._inputs[row])
        if not isinstance(parsed, dict):
            raise ValueError(f"inputs: got {self._inputs[row]!r}, expected a JSON object")
        return parsed

    def actual(self, row: str) -> Figure:
        figure = FORMULAS[row](self, self.inputs(row))
        return [float(part) for part in figure] if isinstance(figure, list) else float(figure)

    def number(self, row: str) -> float:
        actual = self.actual(row)
        if isinstance(actual, list):
            raise TypeError(f"row '{row}' is {len(actual)} numbers, expected one")
        return actual


Formula: TypeAlias = Callable[[_Figures, dict[str, Any]], Any]


def _retraining(given: Mapping[str, Any]) -> dict[str, Any]:
    """The table's names of the retraining inputs, translated to those of `economics`."""
    names = {
        "retrain_cost": "retrain_cost_usd",
        "queries_per_day": "queries_per_day",
        "value": "value_per_query_per_unit_accuracy_usd",
        "accuracy": "initial_accuracy",
        "decay": "decay_per_day",
    }
    return {ours: given[theirs] for ours, theirs in names.items()}


def _interval_scaling(figures: _Figures, _: dict[str, Any]) -> Any:
    base = _retraining(figures.inputs("retrain_interval_sqrt"))
    interval = economics.optimal_interval_sqrt(**base)
    quadrupled = ("retrain_cost", "queries_per_day", "decay")
    return [
        economics.optimal_interval_sqrt(**{**base, name: 4 * base[name]}) / interval for name in quadrupled
    ]


def _silent_failure(_: _Figures, given: dict[str, Any]) -> Any:
    return economics.silent_failure_loss(**given)


def _silent_failure_savings(_: _Figures, given: dict[str, Any]) -> Any:
    manual, automated = (
        economics.silent_failure_loss(
            annual_revenue_usd=given["annual_revenue_usd"],
            quality_drop=given["quality_drop"],
            detection_days=given[days],
        )
        for days in ("manual_days", "automated_days")
    )
    return given["incidents_per_year"] * (manual - automated)


def _detection_minutes(_: _Figures, given: dict[str, Any]) -> Any:
    labels_per_day = given["requests_per_second"] * economics.SECONDS_PER_DAY
    days = economics.detection_time(given["samples"], labels_per_day=labels_per_day)
    return days * economics.MINUTES_PER_DAY


def _observability(bytes_per_unit: float) -> Formula:
    def volume(_: _Figures, given: dict[str, Any]) -> Any:
        bytes_per_second = economics.observability_volume(
            requests_per_second=given["requests_per_second"],
            bytes_per_request=given["bytes"],
            period_s=given["period_s"],
        )
        return bytes_per_second / bytes_per_unit

    return volume


def _business_cost_threshold(_: _Figures, given: dict[str, Any]) -> Any:
    return economics.business_cost_threshold(
        false_positive_cost=given["fp"],
        false_negative_cost=given["fn"],
        steepness=given["steepness"],
        false_positive_centre=given["fp_centre"],
        false_negative_centre=given["fn_centre"],
    )


def _mlops_roi(_: _Figures, given: dict[str, Any]) -> Any:
    return economics.mlops_roi(
        incidents_avoided=given["incidents"],
        cost_per_incident=given["incident_cost"],
        hours_saved_per_month=given["hours_per_month"],
        hourly_cost=given["hourly"],
        annual_investment=given["investment"],
    )


def _monitoring_total(figures: _Figures, _: dict[str, Any]) -> Any:
    return sum(figures.number(f"monitoring_{part}") for part in ("ingest", "storage", "queries"))


FORMULAS: Mapping[str, Formula] = {
    "skew_cost": lambda _, given: economics.skew_cost(**given),
    "automation_breakeven": lambda _, given: economics.automation_break_even(**given),
    "silent_failure_manual": _silent_failure,
    "silent_failure_automated": _silent_failure,
    "silent_failure_savings": _silent_failure_savings,
    "retrain_interval_sqrt": lambda _, given: economics.optimal_interval_sqrt(**_retraining(given)),
    "retrain_interval_exact": lambda _, given: economics.optimal_interval(**_retraining(given)),
    "retrain_cost_rate_at_exact": lambda _, given: economics.total_cost_rate(
        economics.optimal_interval(**_retraining(given)), **_retraining(given)
    ),
    "half_life": lambda _, given: economics.half_life(given["decay_per_day"]),
    "interval_scaling": _interval_scaling,
    "rotting_asset_trigger_day": lambda _, given: economics.first_day_below(
        given["threshold"], accuracy=given["initial_accuracy"], decay=given["decay_per_day"]
    ),
    "psi_age": lambda _, given: psi(**given),
    "detection_samples_rule": _detection_minutes,
    "detection_samples_low": lambda _, given: economics.detection_time(
        given["samples"], labels_per_day=given["requests_per_day"]
    ),
    "detection_samples_power": lambda _, given: economics.samples_to_tell_apart(**given),
    "ab_sample_size_points": lambda _, given: economics.ab_sample_size(**given),
    "ab_sample_size_relative": lambda _, given: economics.ab_sample_size(**given),
    "cost_per_1k": lambda _, given: economics.cost_per_thousand(**given),
    "latency_budget": lambda _, given: economics.latency_total(given),
    "amdahl_inference": lambda _, given: economics.amdahl_speedup(**given),
    "monitoring_points": lambda _, given: economics.monitoring_points(**given),
    "monitoring_ingest": lambda _, given: economics.ingest_cost(**given),
    "monitoring_storage": lambda _, given: economics.storage_cost(**given),
    "monitoring_queries": lambda _, given: economics.query_cost(**given),
    "monitoring_total": _monitoring_total,
    "observability_1s": _observability(1e9),
    "observability_60s": _observability(1e6),
    "tiered_retention": lambda *_: economics.tiered_retention_saving(),
    "monitoring_roi": lambda _, given: economics.monitoring_roi(**given),
    "mlops_roi": _mlops_roi,
    "business_cost_threshold": _business_cost_threshold,
    "slice_overall": lambda _, given: economics.overall_accuracy(**given),
    "shadow_overhead": lambda *_: list(economics.SHADOW_SERVING_OVERHEAD),
}
"""From row id to its formula. A row of the table without an entry here is reported as not ok."""


def published_rows() -> list[dict[str, str]]:
    """The table as it ships: one dict of strings a row, with the columns of the CSV.

    >>> published_rows()[0]["id"]
    'skew_cost'
    """
    table = resources.files("analysis").joinpath("data", "worked_figures.csv")
    return list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"), newline="")))


def worked_figures(rows: Iterable[Mapping[str, str]] | None = None) -> list[dict[str, Any]]:
    """Compare every worked figure of the source with what the closed forms give.

    rows: rows with the columns of the CSV; default the table that ships.
    Returns one dict a row, in order: `id`, `section`, `quantity`, `expected` and `actual` (a float, or a list
    of floats where the figure is several numbers or a range; `actual` is None where it cannot be computed),
    `unit`, `ok` (agreement to 6 digits) and `note`. A row without a formula, or with inputs that its formula
    refuses, is not ok and its note says why.

    >>> half_life = next(figure for figure in worked_figures() if figure["id"] == "half_life")
    >>> round(half_life["actual"], 2), half_life["unit"], half_life["ok"]
    (34.66, 'days', True)
    """
    table = published_rows() if rows is None else list(rows)
    figures = _Figures({row["id"]: row["inputs"] for row in table})
    return [_compare(row, figures) for row in table]


def _compare(row: Mapping[str, str], figures: _Figures) -> dict[str, Any]:
    actual, problem = _computed(row["id"], figures)
    expected = _parsed(row["expected"])
    return {
        "id": row["id"],
        "section": row["section"],
        "quantity": row["quantity"],
        "expected": expected,
        "actual": actual,
        "unit": row["unit"],
        "ok": actual is not None and _agree(expected, actual),
        "note": "; ".join(filter(None, (problem, row["note"], _remark(row["id"], actual)))),
    }


def _remark(row: str, actual: Figure | None) -> str:
    """What stands beside a figure besides the table's note: a loss per incident is that of the worst onset."""
    if not row.startswith("silent_failure_") or row.endswith("savings") or not isinstance(actual, float):
        return ""
    return f"for an onset right after a look; at a random moment it is half of that on average, {actual / 2.0:,.2f}"


def _computed(row: str, figures: _Figures) -> tuple[Figure | None, str]:
    if row not in FORMULAS:
        return None, "no formula"
    try:
        return figures.actual(row), ""
    except KeyError as missing:
        return None, f"cannot be computed: input {missing} is missing"
    except (ArithmeticError, TypeError, ValueError) as wrong:
        return None, f"cannot be computed: {wrong}"


def _parsed(expected: str) -> Figure | str:
    """A number, several ('2, 0.5, 0.5') or a range ('0.10-0.20'); text that is none of these stays text."""
    separator = "-" if _RANGE.fullmatch(expected) else ","
    try:
        numbers = [float(part) for part in expected.split(separator)]
    except ValueError:
        return expected
    return numbers if len(numbers) > 1 else numbers[0]


def _agree(expected: Figure | str, actual: Figure) -> bool:
    if isinstance(expected, str) or isinstance(expected, list) != isinstance(actual, list):
        return False
    wanted = expected if isinstance(expected, list) else [expected]
    got = actual if isinstance(actual, list) else [actual]
    return len(wanted) == len(got) and all(
        math.isclose(w, g, rel_tol=RELATIVE_TOLERANCE) for w, g in zip(wanted, got, strict=True)
    )


def as_table(rows: Iterable[Mapping[str, Any]], *, width: int = 110) -> str:
    """Aligned plain text of what `worked_figures` returns, at most `width` characters a line.

    Numbers have six significant digits; below the table stand the count of figures that agree, and the notes
    (errata of the source among them).

    >>> print(as_table(row for row in worked_figures() if row["id"] == "cost_per_1k"))
    figure       expected  actual  unit  ok
    cost_per_1k      0.06    0.06  USD   yes
    <BLANKLINE>
    1 of 1 figures agree.
    """
    listed = list(rows)
    header = ("figure", "expected", "actual", "unit", "ok")
    cells = [
        (
            str(row["id"]),
            _shown(row["expected"]),
            _shown(row["actual"]),
            str(row["unit"]),
            "yes" if row["ok"] else "NO",
        )
        for row in listed
    ]
    widths = [max(len(line[column]) for line in (header, *cells)) for column in range(len(header))]
    align = (str.ljust, str.rjust, str.rjust, str.ljust, str.ljust)
    lines = [
        "  ".join(put(cell, size) for put, cell, size in zip(align, line, widths, strict=True)).rstrip()
        for line in (header, *cells)
    ]
    lines += ["", f"{sum(bool(row['ok']) for row in listed)} of {len(listed)} figures agree."]
    notes = [f"{row['id']}: {row['note']}" for row in listed if row["note"]]
    if notes:
        lines += ["", "Notes"]
        for note in notes:
            lines += textwrap.wrap(note, width, initial_indent="  ", subsequent_indent="    ")
    return "\n".join(lines)


def _shown(figure: Figure | str | None) -> str:
    if figure is None:
        return "-"
    if isinstance(figure, str):
        return figure
    if isinstance(figure, list):
        return ", ".join(_shown(part) for part in figure)
    return f"{figure:,.0f}" if abs(figure) >= 1e6 else f"{figure:,.6g}"
