"""Words, documents and files about a comparison of variants."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.extra_figures import edge_figures
from analysis.report import aligned, verdict, whole_figure
from analysis.report_edge import compared_text
from analysis.report_people import care_figures, people_text
from scenarios.units import format_duration, format_money
from sim.ledger import CATEGORIES

if TYPE_CHECKING:
    from analysis.statistics import Interval
    from analysis.variants import VariantComparison

_COUNTS = {
    "incidents_per_year": "incidents/y",
    "incidents_undetected_per_year": "unseen/y",
    "pages_per_year": "pages/y",
    "false_pages_per_year": "false/y",
    "missed_targets_per_year": "late/y",
    "work_hours_per_year": "work h/y",
}
_TIMES = {
    "mttd_hours": "MTTD",
    "mtta_hours": "MTTA",
    "mttr_hours": "MTTR",
    "decay_mttr_hours": "decay MTTR",
}
_KEY = {
    "unseen/y": "unseen: incidents that no monitor found",
    "late/y": "late: response targets missed",
    "MTTD": "MTTD: onset to detection",
    "MTTA": "MTTA: page to somebody at work on it",
    "MTTR": "MTTR: onset to repair",
    "decay MTTR": "decay MTTR: a material loss of accuracy to the next model",
}


def variants_text(found: VariantComparison) -> str:
    """The comparison as aligned tables for a terminal; columns in which nothing ever happens are left out."""
    currency, table = found.scenario.currency, found.table()
    shown: dict[str, dict[str, str]] = {}
    for name, row in table.to_dict("index").items():
        shown[str(name)] = {
            "policy": _policy(found, str(name)),
            "cost/year": format_money(row["annual_cost"], currency),
            "±95 %": ""
            if found.one_world or math.isnan(row["half_width"])
            else format_money(row["half_width"], currency),
            "accuracy": "" if math.isnan(row["mean_accuracy"]) else f"{row['mean_accuracy']:.4f}",
            "retrains/y": f"{row['retrains_per_year']:.1f}",
            **{word: f"{row[column]:.1f}" for column, word in _COUNTS.items() if table[column].any()},
            **{word: _hours(row[column]) for column, word in _TIMES.items() if table[column].notna().any()},
        }
    returns = found.returns().to_dict("index")
    gaps = {
        str(row["policy"]): {
            "difference/year": format_money(row["mean"], currency),
            **_interval(row, currency, found.one_world),
            "saves/year": format_money(returns[row["policy"]]["saves"], currency),
            "spends/year": format_money(returns[row["policy"]]["spends"], currency),
            "saves/spends": _ratio(returns[row["policy"]]["roi"]),
        }
        for row in found.differences().to_dict("records")
    }
    columns = next(iter(shown.values()))
    key = "; ".join(text for word, text in _KEY.items() if word in columns)
    return (
        f"{found.scenario.title}: {format_duration(found.scenario.horizon)}, {found.replications} replications\n\n"
        f"{aligned(shown, 'variant')}\n{key}\n\n"
        f"{people_text(found, 'variant')}{compared_text(found, 'variant')}"
        f"Paired difference of cost to {found.baseline} (below 0: cheaper)\n\n{aligned(gaps, 'variant')}\n"
        "saves, spends: in the categories of cost in which it is cheaper, and in those in which it is dearer; "
        "people on duty, drills and monitors cost what their prices say, nothing without one\n\n"
        f"{verdict(found)}"
    )


def variants_document(found: VariantComparison) -> dict[str, Any]:
    """The comparison as one JSON document; numbers that do not exist are null."""
    variants = []
    for name, row in found.table().to_dict("index").items():
        entry = {
            "name": str(name),
            "policy": found.entrants[str(name)].name,
            "total_cost": _bounds(found.interval(str(name), "total_cost")),
            "annual_cost": _bounds(found.interval(str(name), "annual_cost")),
            "mean_accuracy": _bounds(found.interval(str(name), "mean_accuracy")),
            **{str(column): _number(row[column]) for column in row if column not in _WITH_BOUNDS},
            "costs": {c: _number(found.interval(str(name), f"cost[{c}]").mean) for c in CATEGORIES},
            "scenario_hash": found.scenarios[str(name)].hash(),
        }
        if name in found.intervals:
            entry["interval_days"] = found.intervals[str(name)]
        variants.append(entry)
    returns = found.returns().to_dict("index")
    differences = [
        {
            "variant" if key == "policy" else str(key): _number(value) if isinstance(value, float) else value
            for key, value in row.items()
        }
        | {str(key): _number(value) for key, value in returns[row["policy"]].items()}
        for row in found.differences().to_dict("records")
    ]
    return {
        "scenario": found.scenario.title,
        "horizon_days": found.scenario.horizon,
        "currency": found.scenario.currency,
        "replications": found.replications,
        "variants": variants,
        "differences": differences,
        "best": found.best,
        "verdict": verdict(found),
        "warnings": found.warnings,
        "provenance": found.provenance,
    }


def save_variants(found: VariantComparison, folder: str | Path) -> list[Path]:
    """Write comparison.json, runs.parquet, table.csv, the scenario of each variant and the pictures.

    Raises OSError where the folder cannot be written.
    """
    from analysis.plots import plot_costs, plot_differences, plot_timelines, save_figure

    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    files = [home / name for name in ("comparison.json", "runs.parquet", "table.csv", "scenarios.json")]
    files[0].write_text(json.dumps(variants_document(found), indent=2) + "\n", encoding="utf-8")
    found.runs.to_parquet(files[1], index=False)
    found.table().to_csv(files[2], float_format="%.6g")
    whole = {name: scenario.model_dump(mode="json") for name, scenario in found.scenarios.items()}
    files[3].write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    figures = {
        "costs.png": whole_figure(plot_costs(found)),
        "differences.png": whole_figure(plot_differences(found)),
        "timelines.png": plot_timelines([found.replay(name) for name in found.names]),
    }
    if edge_figures(found.runs):
        from analysis.plot_edge import plot_cost_of_youth

        figures["fleet.png"] = whole_figure(plot_cost_of_youth(found))
    figures |= care_figures(found)
    for name, figure in figures.items():
        save_figure(figure, home / name)
        files.append(home / name)
    return files


_WITH_BOUNDS = ("annual_cost", "half_width", "mean_accuracy")


def _policy(found: VariantComparison, name: str) -> str:
    interval = found.intervals.get(name)
    policy = found.entrants[name].name
    return f"{policy} ({format_duration(interval)})" if interval else policy


def _hours(hours: float) -> str:
    """Hours as a duration that can be read, in two or three digits.

    >>> _hours(0.25), _hours(11.84), _hours(205.0)
    ('15min', '11.8h', '8.54d')
    """
    if math.isnan(hours):
        return ""
    if hours < 1.0:
        return f"{60.0 * hours:.3g}min"
    return f"{hours:.3g}h" if hours < 48.0 else f"{hours / 24.0:.3g}d"


def _ratio(roi: float) -> str:
    return "" if math.isnan(roi) else f"{roi:.2f}"


def _interval(row: dict[Any, Any], currency: str, one_world: bool) -> dict[str, str]:
    if one_world:
        return {}
    return {
        "95 % low": format_money(row["ci_low"], currency),
        "95 % high": format_money(row["ci_high"], currency),
        "P(better)": "" if math.isnan(row["p_better"]) else f"{row['p_better']:.3f}",
    }


def _bounds(interval: Interval) -> dict[str, float | None]:
    low, high = _number(interval.low), _number(interval.high)
    return {"mean": _number(interval.mean), "ci_low": low, "ci_high": high}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
