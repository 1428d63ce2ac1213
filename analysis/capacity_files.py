"""The JSON document of `halflife capacity`, and the files that it writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.capacity_candidates import sized_pool
from analysis.capacity_tables import (
    FASTER,
    amdahl,
    combination_table,
    curve_table,
    fleet_table,
    latency_table,
    load_table,
    money_and_time,
    pattern_remedy,
    stage_table,
    tail_table,
    use_of,
    what_if_table,
)
from analysis.report import whole_figure
from analysis.report_capacity import target_verdict, verdict
from analysis.report_decisions import number, records, write_json
from sim.record import versions

if TYPE_CHECKING:
    import pandas as pd

    from analysis.capacity import CapacityFound
    from analysis.sustainable_rate import SustainableRate


def capacity_document(found: CapacityFound) -> dict[str, Any]:
    """A capacity search as one JSON document; seconds, money a month, numbers that do not exist are null."""
    best, scenario = found.nearest, found.scenario
    pool = sized_pool(best.candidate.apply(found.searched, best.replicas))
    use = use_of(found.shown, pool)
    pattern = pattern_remedy(use)
    median, peak = best.mean("utilisation_p50"), best.mean("utilisation_peak")
    table = records(fleet_table(found))
    mine = next(row for row, fleet in zip(table, found.fleets, strict=True) if fleet == best)
    return {
        "scenario": scenario.title,
        "horizon_days": scenario.horizon,
        "currency": scenario.currency,
        "arrivals": found.shown.arrivals,
        "resolution": found.shown.resolution,
        "replications": found.replications,
        "objective": {
            "quantile": found.promise.name,
            "limit_s": found.promise.limit,
            "max_loss": found.promise.max_loss,
        },
        "keeps": found.keeps,
        "chosen": mine if found.keeps else None,
        "nearest": mine,
        "fresh": None
        if found.fresh is None
        else {"kept_share": found.fresh.kept_share, "latency_s": number(found.fresh.mean("quantile_s"))},
        "latency": records(latency_table(found)),
        "stages": records(stage_table(found)),
        "faster_model": {"times": FASTER, **{key: number(value) for key, value in amdahl(found).items()}},
        "utilisation": {
            "p50": number(median),
            "peak": number(peak),
            "headroom": number(max(1.0 - peak, 0.0)),
            "verdict": target_verdict(median),
            "pattern": None if pattern is None else pattern[0],
            "remedy": None if pattern is None else pattern[1],
            "accelerator": None if use is None else {key: number(value) for key, value in vars(use).items()},
        },
        "bill": {key: number(value) for key, value in money_and_time(found).items()},
        "fleets": table,
        "combinations": records(combination_table(found)),
        "what_if": records(what_if_table(found)),
        "curve": None
        if found.curve is None
        else {
            "points": records(curve_table(found)),
            "knee": number(found.curve.knee),
            "closed_form_knee": number(found.curve.closed_knee),
            "closed_form": None if found.load.services is None else found.load.says,
        },
        "sustainable": None if found.sustainable is None else found.sustainable.to_dict(),
        "verdict": verdict(found),
        "warnings": list(found.warnings),
        "provenance": {"scenario_hash": scenario.hash(), "seed": found.seed, "versions": versions()},
    }


def save_capacity(found: CapacityFound, folder: str | Path) -> list[Path]:
    """Write capacity.json, the tables as CSV, and the pictures. Raises OSError where the folder cannot be written."""
    from analysis.plot_capacity import plot_curve, plot_fleets, plot_load, plot_tail
    from analysis.plot_styles import save_figure

    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    files = [home / "capacity.json"]
    write_json(capacity_document(found), files[0])
    tables: dict[str, pd.DataFrame] = {
        "fleets": fleet_table(found),
        "combinations": combination_table(found),
        "latency": latency_table(found),
        "stages": stage_table(found),
        "distribution": tail_table(found),
        "load": load_table(found),
        "what_if": what_if_table(found),
        "curve": curve_table(found),
    }
    if found.sustainable is not None:
        tables["sustainable"] = found.sustainable.table()
    for name, table in tables.items():
        if len(table):
            files.append(home / f"{name}.csv")
            table.to_csv(files[-1], index=False, float_format="%.9g")
    pictures = {
        "cost_latency.png": whole_figure(plot_fleets(found)),
        "distribution.png": whole_figure(plot_tail(found)),
        "load.png": plot_load(found),
    }
    if found.curve is not None:
        pictures["replicas.png"] = whole_figure(plot_curve(found))
    for name, picture in pictures.items():
        files.append(save_figure(picture, home / name))
    return files


def save_rate(rate: SustainableRate, folder: str | Path) -> list[Path]:
    """Write sustainable.json and sustainable.csv. Raises OSError where the folder cannot be written."""
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    files = [home / "sustainable.json", home / "sustainable.csv"]
    write_json(rate.to_dict(), files[0])
    rate.table().to_csv(files[1], index=False, float_format="%.9g")
    return files
