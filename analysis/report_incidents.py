"""What came of the failures of one run, as text."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.report import aligned
from scenarios.units import HOURS_PER_DAY, format_duration, format_money
from sim.record import Result

LAST = 20
"""Incidents that are told one by one."""


def incidents_text(result: Result) -> str:
    """Failures by mode and one by one, and what came of the pages of each monitor."""
    currency = result.scenario.currency
    modes = {
        str(mode): _mode_row(rows, currency) for mode, rows in result.incidents.groupby("failure", sort=False)
    }
    parts = [aligned(modes, "failure"), *_each(result)]
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


def _each(result: Result) -> list[str]:
    """The last incidents one by one, where there is more than one of a mode."""
    table = result.incidents
    if len(table) == table["failure"].nunique():
        return []
    rows = {
        f"{number + 1}": {
            "failure": row["failure"],
            "onset": f"{row['onset_days']:.2f} d",
            "detected after": _after(row, "detected_days"),
            "by": row["by"] or "nobody",
            "repaired after": _after(row, "resolved_days"),
            "loss": format_money(row["loss"], result.scenario.currency),
        }
        for number, row in list(enumerate(table.to_dict("records")))[-LAST:]
    }
    hidden = len(table) - len(rows)
    head = f"the last {LAST} of {len(table)} incidents" if hidden else "incidents"
    return [f"Each of the {head}", aligned(rows, "number")]


def _after(row: dict[Any, Any], moment: str) -> str:
    return "" if math.isnan(row[moment]) else format_duration(row[moment] - row["onset_days"])


def _mode_row(rows: pd.DataFrame, currency: str) -> dict[str, str]:
    detected, repaired = rows["detected_days"].notna(), rows["resolved_days"].notna()
    return {
        "incidents": str(len(rows)),
        "detected": str(int(detected.sum())),
        "MTTD": _hours((rows["detected_days"] - rows["onset_days"])[detected]),
        "repaired": str(int(repaired.sum())),
        "MTTR": _hours((rows["resolved_days"] - rows["onset_days"])[repaired]),
        "loss": format_money(float(rows["loss"].sum()), currency),
    }


def _hours(days: pd.Series) -> str:
    return "none" if days.empty else f"{HOURS_PER_DAY * float(days.mean()):.1f} h"


def _percent(share: float) -> str:
    return "none" if math.isnan(share) else f"{share:.0%}"
