"""What came of the failures of one run, as text."""

from __future__ import annotations

import math

import pandas as pd

from analysis.report import aligned
from scenarios.units import HOURS_PER_DAY, format_money
from sim.record import Result


def incidents_text(result: Result) -> str:
    """Failures by mode, and what came of the pages of each monitor."""
    currency = result.scenario.currency
    modes = {
        str(mode): _mode_row(rows, currency) for mode, rows in result.incidents.groupby("failure", sort=False)
    }
    parts = [aligned(modes, "failure")]
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


def _mode_row(rows: pd.DataFrame, currency: str) -> dict[str, str]:
    detected, repaired = rows["detected_days"].notna(), rows["repaired_days"].notna()
    return {
        "incidents": str(len(rows)),
        "detected": str(int(detected.sum())),
        "MTTD": _hours((rows["detected_days"] - rows["onset_days"])[detected]),
        "repaired": str(int(repaired.sum())),
        "MTTR": _hours((rows["repaired_days"] - rows["onset_days"])[repaired]),
        "loss": format_money(float(rows["loss"].sum()), currency),
    }


def _hours(days: pd.Series) -> str:
    return "none" if days.empty else f"{HOURS_PER_DAY * float(days.mean()):.1f} h"


def _percent(share: float) -> str:
    return "none" if math.isnan(share) else f"{share:.0%}"
