"""What came of the failures of one run and what people worked, as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.report import aligned
from scenarios.units import HOURS_PER_DAY, format_duration, format_money
from sim.record import Result

LAST = 20
"""Incidents that are told one by one."""
_STEPS = {"paged_days": "paged", "acknowledged_days": "acknowledged", "mitigated_days": "mitigated"}
"""Columns that are shown where some incident came so far."""


def incidents_text(result: Result) -> str:
    """Failures by mode and one by one, how fast people were, what they worked, and what came of the pages."""
    parts = [aligned(_modes(result), "failure"), *_each(result), _summary(result), *_work(result)]
    called = result.actionability[result.actionability["alarms"] > 0]
    if result.pages:
        rows = {
            str(monitor): {
                "alarms": str(row["alarms"]),
                "pages": str(row["pages"]),
                "acted on": str(row["acted"]),
                "found": str(row["found"]),
                "actionability": _percent(row["actionability"])
                + (" (retire or recalibrate)" if row["flagged"] else ""),
            }
            for monitor, row in called.iterrows()
        }
        parts.append(aligned(rows, "paging monitor"))
    return "\n\n".join(parts)


def work_text(result: Result) -> str:
    """What people worked in a run without incidents; empty where nobody did."""
    return "\n\n".join(_work(result))


def hours_by_person(result: Result) -> pd.DataFrame:
    """One row a person: role, hours and number of tasks, in the order in which they first worked."""
    log = result.work_log.assign(hours=[work.hours for work in result.work])
    grouped = log.sort_values("start_days", kind="stable").groupby(["person", "role"], sort=False)
    return grouped.agg(hours=("hours", "sum"), tasks=("task", "size")).reset_index()


def _modes(result: Result) -> dict[str, dict[str, str]]:
    currency = result.scenario.currency
    grouped = result.incidents.groupby("failure", sort=False)
    return {str(mode): _mode_row(rows, currency) for mode, rows in grouped}


def _mode_row(rows: pd.DataFrame, currency: str) -> dict[str, str]:
    detected, resolved = rows["detected_days"].notna(), rows["resolved_days"].notna()
    return {
        "incidents": str(len(rows)),
        "detected": str(int(detected.sum())),
        "MTTD": _mean(rows["detected_days"] - rows["onset_days"]),
        "resolved": str(int(resolved.sum())),
        "MTTR": _mean(rows["resolved_days"] - rows["onset_days"]),
        "loss": format_money(float(rows["loss"].sum()), currency),
    }


def _each(result: Result) -> list[str]:
    """The last incidents one by one: their moments after the onset."""
    table = result.incidents
    if table.empty:
        return []
    columns = {column: name for column, name in _STEPS.items() if table[column].notna().any()}
    judged = bool((table["severity"] != "").any())
    rows = {
        f"{number + 1}": {
            "failure": str(row["failure"]),
            **({"severity": row["severity"] or "-"} if judged else {}),
            "onset": f"{row['onset_days']:.2f} d",
            "detected": _after(row, "detected_days"),
            "by": row["by"] or "nobody",
            **{name: _after(row, column) for column, name in columns.items()},
            "resolved": _after(row, "resolved_days"),
            "loss": format_money(row["loss"], result.scenario.currency),
        }
        for number, row in list(enumerate(table.to_dict("records")))[-LAST:]
    }
    hidden = len(table) - len(rows)
    head = f"the last {LAST} of {len(table)} incidents" if hidden else "the incidents"
    return [f"Each of {head}, its steps as time after its onset", aligned(rows, "number")]


def _summary(result: Result) -> str:
    """How long things took on average, of the incidents that came so far, and in all."""
    table = result.incidents
    onset = table["onset_days"]
    silent = (table["detected_days"].fillna(table["end_days"]) - onset).sum()
    rows = {
        "MTTD": (_mean(table["detected_days"] - onset), "mean time from onset to detection"),
        "MTTA": (_mean(pd.Series(result.waits, dtype=float)), "from page to acknowledgement"),
        "MTTR": (_mean(table["resolved_days"] - onset), "from onset to resolution"),
        "silent": (
            _hours(HOURS_PER_DAY * float(silent)),
            "from onset to detection, or to the end of what nobody detected, all incidents together",
        ),
    }
    if "missed_targets" in result.summary and (table["severity"] != "").any():
        missed = f"{result.summary['missed_targets']:.0f}"
        rows["missed targets"] = (missed, "acknowledged later than their severity allows")
    if result.work:
        hours = math.fsum(work.hours for work in result.work)
        rows["work"] = (_hours(hours), "of all people together")
    return _words_last(
        {name: {"figure": figure, "": words} for name, (figure, words) in rows.items()}, "people"
    )


def _words_last(rows: Mapping[str, Mapping[str, str]], corner: str) -> str:
    """A table whose last column is words, to the left."""
    widest = max(len(row[""]) for row in rows.values())
    padded = {name: {**row, "": row[""].ljust(widest)} for name, row in rows.items()}
    return aligned(padded, corner)


def _work(result: Result) -> list[str]:
    """Hours of each person, where somebody worked."""
    if not result.work:
        return []
    rows = {
        str(row["person"]): {
            "role": str(row["role"]),
            "worked": f"{row['hours']:.1f} h",
            "tasks": str(row["tasks"]),
        }
        for row in hours_by_person(result).to_dict("records")
    }
    return [aligned(rows, "person")]


def _after(row: dict[Any, Any], moment: str) -> str:
    return "" if math.isnan(row[moment]) else format_duration(row[moment] - row["onset_days"])


def _mean(days: pd.Series) -> str:
    """Mean of those that exist."""
    return _hours(HOURS_PER_DAY * float(days.mean()))


def _hours(hours: float) -> str:
    if 0.0 < hours < 1.0:
        return format_duration(hours / HOURS_PER_DAY)
    return "none" if math.isnan(hours) else f"{hours:.1f} h"


def _percent(share: float) -> str:
    return "none" if math.isnan(share) else f"{share:.0%}"
