"""Words about people in the loop: reviewers of uncertain decisions, and clinicians with their patients.

Runs, comparisons, variants and sweeps show the same figures; those that a scenario does not have are left out.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.extra_figures import cells, compared_rows, people_figures, swept_rows
from analysis.interval_text import KEY as WIDTH_KEY
from scenarios.units import format_duration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.comparison import Comparison
    from sim.care_result import CareResult
    from sim.record import Result

HEADINGS = {
    "reviews": ("reviews", ",.0f"),
    "review_lapsed": ("passed unseen", ".1%"),
    "review_wait_hours": ("review wait h", ".2f"),
    "review_wait_p95_hours": ("p95 h", ".2f"),
    "review_utilisation": ("reviewers busy", ".1%"),
    "review_backlog": ("backlog", ",.0f"),
    "review_hours": ("reviewer hours", ",.0f"),
    "time_in_range": ("in range", ".1%"),
    "hypotensions_per_patient_year": ("hypotension/py", ".3f"),
    "crises_per_patient_year": ("crises/py", ".3f"),
    "clinician_hours_per_week": ("clinician h/wk", ".1f"),
    "reviews_per_week": ("reviews/wk", ".1f"),
    "alerts_per_week": ("alerts/wk", ".1f"),
    "acted_at_once": ("at once", ".1%"),
    "clinician_wait_hours": ("wait h", ".1f"),
    "clinician_wait_p95_hours": ("wait p95 h", ".1f"),
    "visits_per_patient_year": ("visits/py", ".2f"),
}
SHARES = frozenset(name for name, (_, form) in HEADINGS.items() if form.endswith("%"))
"""Figures that lie between 0 and 1."""
WITH_WIDTH = (
    "time_in_range", "hypotensions_per_patient_year", "crises_per_patient_year", "clinician_hours_per_week",
)  # fmt: skip
"""Figures that comparisons show with their interval."""
_KEYS = {
    "reviews": "passed unseen: share of the uncertain decisions that nobody took up before the deadline;\n"
    "wait: of those taken up; busy: share of the time at their desks",
    "time_in_range": "in range: share of patient days with the true pressure in the target range; py: a patient "
    "and year;\nreviews: recommendations that went to a clinician; at once: share of these and its own that the model "
    "took alone;\nwait: until a clinician took up a recommendation or an alert",
}


def people_text(comparison: Comparison, corner: str) -> str:
    """A table of people in the loop, one row a policy or variant, with its key; empty without any."""
    from analysis.report import aligned

    names = people_figures(comparison.runs)
    if not names:
        return ""
    rows = compared_rows(comparison, names, HEADINGS, WITH_WIDTH)
    widths = comparison.replications > 1 and any(name in names for name in WITH_WIDTH)
    key = f"{_key(names)}\n{WIDTH_KEY}" if widths else _key(names)
    return f"{aligned(rows, corner)}\n{key}\n\n"


def sweep_people_text(table: pd.DataFrame, most: int) -> str:
    """The same of the first rows of a sweep's table, one row a variant and policy; empty without any."""
    from analysis.report import aligned

    names = people_figures(table)
    if not names:
        return ""
    return f"{aligned(swept_rows(table, names, HEADINGS, most), 'variant and policy')}\n{_key(names)}"


def _key(names: list[str]) -> str:
    return "\n".join(text for name, text in _KEYS.items() if name in names)


def run_people_text(result: Result) -> list[str]:
    """Paragraphs about people in the loop of one run; none without any."""
    from analysis.report import aligned

    found = []
    for figures, noun in ((result.review, "review"), (result.care, "care")):
        if figures is not None:
            rows = cells(figures.figures, HEADINGS)
            table = aligned({name: {"value": text} for name, text in rows.items()}, noun)
            found.append(f"{table}\n{_key(list(figures.figures))}")
    if result.care is not None:
        found.append(_decisions_text(result.care))
    return found


def _decisions_text(care: CareResult) -> str:
    """What became of the recommendations, by route."""
    from analysis.report import aligned

    table = care.recommendations
    number, days = care.pressure.shape[1], format_duration(float(len(care.pressure)))
    ward = f"{number:,} {'patient' if number == 1 else 'patients'} over {days}"
    if table.empty:
        return f"No recommendation yet; {ward}"
    counts = Counter(zip(table["route"], table["decision"], strict=True))
    routes = [r for r in ("none", "at once", "clinician", "alert") if (table["route"] == r).any()]
    order = ("held", "taken", "accepted", "modified", "rejected", "open")
    rows = {route: {decision: f"{counts[route, decision]:,}" for decision in order} for route in routes}
    return f"{aligned(rows, 'recommendations')}\n{ward}"


def people_documents(result: Result) -> dict[str, Any]:
    """What `run --json` says about people in the loop; nothing without any."""
    from analysis.report_decisions import number, records

    found: dict[str, Any] = {}
    if result.review is not None:
        found["review"] = {name: number(value) for name, value in result.review.figures.items()}
    if result.care is not None:
        decisions = result.care.recommendations.groupby(["route", "decision"]).size()
        found["care"] = {
            "figures": {name: number(value) for name, value in result.care.figures.items()},
            "decisions": records(decisions.rename("count").reset_index()),
            "slices": records(_named_slices(result)),
        }
    return found


def _named_slices(result: Result) -> pd.DataFrame:
    assert result.care is not None
    table = result.care.by_slice.reset_index()
    return table.assign(slice=[result.scenario.slice_names[number] for number in table["slice"]])


def save_people(result: Result, home: Path) -> list[Path]:
    """Write recommendations.parquet, care_days.csv and care.png where there are patients; the files written."""
    from analysis.plot_care import plot_care
    from analysis.plot_styles import save_figure

    if result.care is None:
        return []
    files = [home / name for name in ("recommendations.parquet", "care_days.csv", "care.png")]
    result.care.recommendations.to_parquet(files[0], index=False)
    result.care.days.to_csv(files[1], index=False, float_format="%.6g")
    save_figure(plot_care(result), files[2])
    return files


def care_figures(comparison: Comparison) -> dict[str, Figure]:
    """The picture of care that a comparison writes, by its name; none without patients."""
    from analysis.plot_care import plot_care_trade

    if "time_in_range" not in people_figures(comparison.runs):
        return {}
    return {"care.png": plot_care_trade(comparison)}
