"""What `halflife delays` prints and writes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.plot_styles import save_figure
from analysis.report import aligned
from analysis.report_decisions import records, write_json
from scenarios.units import format_duration, format_money
from sim.record import versions

if TYPE_CHECKING:
    from analysis.detection_delay import DetectionDelays
    from analysis.operating_curves import OperatingCurve
    from analysis.traffic_delay import TrafficDelays

NONE = "none"
"""Where fewer incidents were detected than a quantile needs."""


# ---------------------------------------------------------------- layers


def delays_text(found: DetectionDelays) -> str:
    """Delays of each layer (or monitor), of all of them, and their false alarms and cost."""
    scenario, percent = found.scenario, _percent(found.runs.confidence)
    head = (
        f"{scenario.title}: {format_duration(scenario.horizon)}, policy {found.policy}, {found.replications} "
        f"replications; each {found.by} alone, each failure mode alone\n"
        f"median and 90 % over all incidents ('{NONE}' where fewer were detected), mean over the detected ones with "
        f"its {percent} interval"
    )
    alone = {
        f"{row[found.by]}: {row['failure']}": _delay_cells(row) for row in found.table().to_dict("records")
    }
    together = {str(row["failure"]): _delay_cells(row) for row in found.together().to_dict("records")}
    return "\n\n".join(
        [
            head,
            "Time from onset to detection",
            aligned(alone, f"{found.by}: failure"),
            "The same with all layers together",
            aligned(together, "failure"),
            f"False alarms while nothing fails, and cost of monitoring, in 30 days with {percent} intervals",
            aligned(_cost_rows(found), found.by),
        ]
    )


def delays_document(found: DetectionDelays) -> dict[str, Any]:
    """Delays of layers or monitors as one JSON document; days, money in 30 days, null where there is no number."""
    scenario = found.scenario
    return {
        "scenario": scenario.title,
        "horizon_days": scenario.horizon,
        "currency": scenario.currency,
        "policy": found.policy,
        "replications": found.replications,
        "confidence": found.runs.confidence,
        "by": found.by,
        "delays": records(found.table()),
        "together": records(found.together()),
        "costs": records(found.costs()),
        "warnings": list(found.warnings),
        "provenance": _provenance(found),
    }


def save_delays(found: DetectionDelays, folder: str | Path) -> list[Path]:
    """Write delays.json, delays.csv, together.csv, costs.csv, incidents.parquet and delays.png. Raises OSError."""
    home = _home(folder)
    names = ("delays.json", "delays.csv", "together.csv", "costs.csv", "incidents.parquet", "delays.png")
    files = [home / name for name in names]
    write_json(delays_document(found), files[0])
    for table, file in zip((found.table(), found.together(), found.costs()), files[1:4], strict=True):
        table.to_csv(file, index=False, float_format="%.9g")
    found.runs.delayed.to_parquet(files[4], index=False)
    save_figure(found.plot().figure, files[5])
    return files


def _delay_cells(row: Mapping[Any, Any]) -> dict[str, str]:
    columns = ("median", "90 %", "mean", "low", "high", "undetected", "incidents")
    if row["blind"]:
        return dict.fromkeys(columns, "") | {"median": "blind"}
    if row["incidents"] == 0:
        return dict.fromkeys(columns, "") | {"incidents": "0"}
    return _delay_figures(row) | {"incidents": f"{row['incidents']}"}


def _delay_figures(row: Mapping[Any, Any]) -> dict[str, str]:
    return {
        "median": _time(row["median_days"]),
        "90 %": _time(row["p90_days"]),
        "mean": _time(row["mean_detected_days"]),
        "low": _bound(row["mean_low"]),
        "high": _bound(row["mean_high"]),
        "undetected": "" if math.isnan(row["undetected_share"]) else f"{row['undetected_share']:.0%}",
    }


def _cost_rows(found: DetectionDelays) -> dict[str, dict[str, str]]:
    return {
        str(row[found.by]): _spending_cells(row, found.scenario.currency)
        for row in found.costs().to_dict("records")
    }


def _spending_cells(row: Mapping[Any, Any], currency: str) -> dict[str, str]:
    return {
        "false alarms": f"{row['false_alarms_per_month']:.3g}",
        "from": f"{row['false_low']:.3g}",
        "to": f"{row['false_high']:.3g}",
        "cost": format_money(row["cost_per_month"], currency),
        "cost from": "" if math.isnan(row["cost_low"]) else format_money(row["cost_low"], currency),
        "cost to": "" if math.isnan(row["cost_high"]) else format_money(row["cost_high"], currency),
    }


# ---------------------------------------------------------------- operating curve


def curve_text(found: OperatingCurve) -> str:
    """An operating curve as a table."""
    scenario = found.scenario
    head = (
        f"Operating curve of {found.monitor}: {scenario.title}, {format_duration(scenario.horizon)}, policy "
        f"{found.policy}, {found.replications} replications; delays of {', '.join(found.failures)}\n"
        f"false alarms (while nothing fails) and cost in 30 days, {_percent(found.runs.confidence)} intervals; mean "
        "delay of the detected incidents"
    )
    rows = {}
    for number, row in enumerate(found.table().to_dict("records"), start=1):
        spending = _spending_cells(row, scenario.currency)
        rows[f"{number}"] = {
            found.knob: found.knob_text(row["threshold"]),
            "cadence": format_duration(row["cadence_days"]),
            "rows": "" if math.isnan(row["rows"]) else f"{row['rows']:.0f}",
            **{key: spending[key] for key in ("false alarms", "from", "to", "cost")},
            **_delay_figures(row),
            "incidents": f"{row['incidents']}",
        }
    return f"{head}\n\n{aligned(rows, 'setting')}"


def curve_document(found: OperatingCurve) -> dict[str, Any]:
    """An operating curve as one JSON document."""
    return {
        "scenario": found.scenario.title,
        "currency": found.scenario.currency,
        "policy": found.policy,
        "replications": found.replications,
        "confidence": found.runs.confidence,
        "monitor": found.monitor,
        "threshold_is": found.knob,
        "failures": list(found.failures),
        "points": records(found.table()),
        "provenance": _provenance(found),
    }


def save_curve(found: OperatingCurve, folder: str | Path) -> list[Path]:
    """Write operating_curve.json, operating_curve.csv and operating_curve.png. Raises OSError."""
    return _save(curve_document(found), found.table(), found.plot().figure, folder, "operating_curve")


# ---------------------------------------------------------------- traffic


def traffic_text(found: TrafficDelays) -> str:
    """Delay against traffic as a table."""
    head = (
        f"Delay of a drop of accuracy from {found.p0:g} to {found.p1:g} against traffic: blocks of labels that come at "
        f"once, false alarm in {found.alpha:.3g} of the blocks\n"
        f"the power calculation asks for {found.samples_by_power:.1f} samples (power {found.power:g}, one-sided); "
        f"simulated mean delays with {_percent(found.confidence)} intervals, in brackets what run-length theory says"
    )
    rows = {}
    for row in found.table().to_dict("records"):
        rate = row["requests_per_day"]
        name = f"{rate / 86_400.0:.4g}/s" if rate >= 86_400.0 else f"{rate:,.10g}/d"
        rows[f"{name}, {row['rule']}"] = {
            "samples": f"{row['samples']:,}",
            "collected in": row["collected"],
            "right after a look": _simulated(row, "after_a_look"),
            "at a random moment": _simulated(row, "random"),
            "seen by 1st block": f"{row['seen_by_first_block']:.0%} ({row['power']:.0%})",
            "onsets": f"{row['after_a_look_onsets']} + {row['random_onsets']}",
        }
    return f"{head}\n\n{aligned(rows, 'requests')}"


def traffic_document(found: TrafficDelays) -> dict[str, Any]:
    """Delay against traffic as one JSON document."""
    return {
        "p0": found.p0,
        "p1": found.p1,
        "alpha": found.alpha,
        "power": found.power,
        "confidence": found.confidence,
        "samples_by_power": found.samples_by_power,
        "samples_by_rule": 1000,
        "replications": found.replications,
        "seed": found.seed,
        "rates": records(found.table()),
    }


def save_traffic(found: TrafficDelays, folder: str | Path) -> list[Path]:
    """Write traffic_delays.json, traffic_delays.csv and traffic_delays.png. Raises OSError."""
    return _save(traffic_document(found), found.table(), found.plot().figure, folder, "traffic_delays")


def _simulated(row: Mapping[Any, Any], moment: str) -> str:
    low, high = row[f"{moment}_low"], row[f"{moment}_high"]
    between = "" if math.isnan(low) else f" {_bound(low)} to {_bound(high)}"
    return f"{_time(row[f'{moment}_days'])}{between} ({format_duration(row[f'{moment}_expected_days'])})"


# ---------------------------------------------------------------- shared


def _save(
    document: dict[str, Any], table: pd.DataFrame, figure: Any, folder: str | Path, name: str
) -> list[Path]:
    home = _home(folder)
    files = [home / f"{name}.{ending}" for ending in ("json", "csv", "png")]
    write_json(document, files[0])
    table.to_csv(files[1], index=False, float_format="%.9g")
    save_figure(figure, files[2])
    return files


def _home(folder: str | Path) -> Path:
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    return home


def _provenance(found: DetectionDelays | OperatingCurve) -> dict[str, Any]:
    return {"scenario_hash": found.scenario.hash(), "seed": found.seed, "versions": versions()}


def _time(days: float) -> str:
    return NONE if math.isnan(days) else format_duration(days)


def _bound(days: float) -> str:
    return "" if math.isnan(days) else format_duration(days)


def _percent(confidence: float) -> str:
    return f"{100 * confidence:g} %"
