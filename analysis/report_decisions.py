"""What `halflife replay` and `halflife optimise` print and write."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.report import aligned
from scenarios.units import format_money

if TYPE_CHECKING:
    from analysis.counterfactual import Counterfactual

LISTED = 30
"""Events that a text lists; files have them all."""


def number(value: Any) -> Any:
    """A value for JSON: null for NaN, infinities and missing ones."""
    if value is None or value is pd.NA:
        return None
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else value


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table for JSON."""
    return [{str(key): number(value) for key, value in row.items()} for row in table.to_dict("records")]


def write_json(document: Any, path: Path) -> None:
    """Write one JSON document."""
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def history_text(table: pd.DataFrame) -> str:
    """What could be changed, as text."""
    rows = {
        str(place): {
            "time": f"{row['time_days']:.3f} d",
            "alarm": "" if pd.isna(row["alarm"]) else str(row["alarm"]),
            "retraining": "" if pd.isna(row["retraining"]) else str(row["retraining"]),
        }
        for place, row in enumerate(table.to_dict("records"), start=1)
    }
    hint = "One of these can be changed: --skip-retraining, --ignore-alarm, --act-on-alarm."
    return f"{aligned(rows, 'decision')}\n\n{hint}"


def counterfactual_document(found: Counterfactual) -> dict[str, Any]:
    """A counterfactual as one JSON document."""
    return {
        "scenario": found.factual.scenario.title,
        "policy": found.factual.policy,
        "change": str(found.change),
        "time_days": found.time,
        "currency": found.factual.scenario.currency,
        "merged": found.merged,
        "cost_difference": found.difference,
        "costs": records(found.costs.reset_index()),
        "figures": records(found.figures.reset_index()),
        "events": records(found.event_differences),
        "provenance": found.factual.provenance,
    }


def counterfactual_text(found: Counterfactual) -> str:
    """A counterfactual as text: costs, figures, the events that differ, and a sentence."""
    currency = found.factual.scenario.currency
    costs = {
        str(category): {str(side): format_money(value, currency) for side, value in row.items()}
        for category, row in found.costs.to_dict("index").items()
        if any(row.values())
    }
    values = found.figures.to_dict("index")
    named = ("mean_accuracy", "retrains", "deployments", "alarms", "false_alarms", "mttd_hours")
    figures = {
        name: {str(side): "" if math.isnan(value) else f"{value:.5g}" for side, value in values[name].items()}
        for name in named
    }
    changes = found.event_differences
    lines = [
        f"{row['time_days']:10.3f} d  {'-' if row['in'] == 'factual' else '+'} {row['kind']:<20}"
        f"{row['subject']:<30}{row['details']}".rstrip()
        for row in changes.head(LISTED).to_dict("records")
    ]
    more = len(changes) - len(lines)
    hidden = [f"and {more} more (--out has them all)"] if more > 0 else []
    head = f"{found.factual.scenario.title}: {found.factual.policy}, {found.change} (day {found.time:g})"
    return "\n\n".join(
        [
            head,
            aligned(costs, "category"),
            aligned(figures, "figure"),
            "Events that differ (-: only as it was, +: only with the change)\n\n"
            + "\n".join(lines + hidden or ["(none: the change changed nothing)"]),
            difference_sentence(found),
        ]
    )


def difference_sentence(found: Counterfactual) -> str:
    """What the change would have cost or saved."""
    amount = format_money(abs(found.difference), found.factual.scenario.currency)
    word = "cost" if found.difference > 0 else "saved"
    merged = (
        " The forced retraining merged into one that was waiting already: it is no retraining more."
        if found.merged
        else ""
    )
    if found.difference == 0.0:
        return f"{found.change}: would have changed no cost.{merged}"
    return (
        f"{found.change}: would have {word} {amount} over the horizon, in this history "
        f"(seed {found.factual.seed}, replication {found.factual.replication}).{merged}"
    )


def save_counterfactual(found: Counterfactual, folder: str | Path) -> list[Path]:
    """Write counterfactual.json, events.csv, timeline.parquet and counterfactual.png."""
    from analysis.plot_styles import save_figure

    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    names = ("counterfactual.json", "events.csv", "timeline.parquet", "counterfactual.png")
    files = [home / name for name in names]
    write_json(counterfactual_document(found), files[0])
    found.events.to_csv(files[1], index=False, float_format="%.9g")
    found.timeline.to_parquet(files[2], index=False)
    save_figure(found.plot().figure, files[3])
    return files
