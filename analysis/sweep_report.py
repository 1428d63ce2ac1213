"""What a sweep says: the text of the command, its JSON document, and the folder of tables and pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.designs import short_value
from analysis.report_edge import sweep_edge_text
from analysis.report_people import sweep_people_text
from analysis.sweep_tables import NO_WINNER
from scenarios.units import format_money

if TYPE_CHECKING:
    import pandas as pd

    from analysis.sweep import Sweep

MOST_ROWS = 30
"""Variants that the text lists."""


def sweep_document(sweep: Sweep) -> dict[str, Any]:
    """The JSON document of `halflife sweep --json`; numbers that do not exist are null."""
    written = {variant.index: variant.values for variant in sweep.design.variants()}
    factors = {factor.name for factor in sweep.factors}

    def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
        return [
            {"variant": row["variant"], "values": written[row["variant"]]}
            | {key: value for key, value in row.items() if key not in factors and key != "variant"}
            for row in _records(table)
        ]

    between = {"differences": rows_of(sweep.differences())} if sweep.single_policy else {}
    return {
        "scenario": sweep.title,
        "scenario_hash": sweep.store.manifest["scenario"]["hash"],
        "variants": len(sweep.design),
        "replications": sweep.replications,
        "seed": sweep.store.manifest["seed"],
        "policies": sweep.policies,
        "factors": [{"name": f.name, "values": list(f.levels)} for f in sweep.factors],
        "complete": sweep.store.complete,
        "rows": rows_of(sweep.table()),
        "best_by_variant": rows_of(sweep.winners()),
        **between,
        "directory": str(sweep.folder),
    }


def sweep_text(sweep: Sweep) -> str:
    """Who wins in which variant, how often, and what drives it, as `halflife report` prints it."""
    from analysis.report import aligned
    from analysis.sweep_effects import effects, effects_text
    from analysis.sweep_variants import variant_rows, variants_verdict

    winners = sweep.winners()
    head = (
        f"{sweep.title}: {len(sweep.design):,} variants x {sweep.replications:,} replications x "
        f"{len(sweep.policies)} policies ({sweep.folder})"
    )
    parts = [head]
    if not sweep.store.complete:
        done, all_parts = len(sweep.store.finished), sweep.store.part_count
        parts.append(f"NOT COMPLETE: {done} of {all_parts} parts; finished variants only. --resume goes on.")
    alone = sweep.single_policy
    rows = variant_rows(sweep, MOST_ROWS) if alone else _winner_rows(sweep, winners.head(MOST_ROWS))
    parts.append(aligned(rows, "variant"))
    if len(winners) > MOST_ROWS:
        file = "differences.csv" if alone else "winners.csv"
        parts.append(f"and {len(winners) - MOST_ROWS:,} more variants: see {file}")
    about = (sweep_people_text(sweep.table(), MOST_ROWS), sweep_edge_text(sweep.table(), MOST_ROWS))
    parts += [text for text in about if text]
    found = effects(sweep)
    if found["term"].nunique() > alone:  # a single thing that varies takes all of the variance
        parts.append(effects_text(found))
    parts.append(variants_verdict(sweep) if alone else verdict(sweep))
    return "\n\n".join(parts)


def verdict(sweep: Sweep) -> str:
    """One sentence: how often each policy wins, and where nothing is certain."""
    winners = sweep.winners()
    counts = winners.loc[winners["certain"], "best"].value_counts()
    said = [f"{name} wins in {count:,}" for name, count in counts.items()]
    open_ones = int((~winners["certain"]).sum())
    if open_ones:
        said.append(f"{NO_WINNER} in {open_ones:,}")
    return (
        f"Of {len(winners):,} variants: {', '.join(said)} (paired differences, 95 % jointly in each variant)."
    )


def save_sweep(sweep: Sweep, folder: Path) -> list[Path]:
    """Write table.csv, winners.csv, effects.csv and the pictures; the same sweep gives the same bytes.

    Of a single policy also differences.csv, its variants beside the cheapest one.
    """
    from analysis.plot_styles import save_figure
    from analysis.plot_sweeps import sweep_figures
    from analysis.sweep_effects import effects

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    tables = {"table": sweep.table(), "winners": sweep.winners(), "effects": effects(sweep)}
    if sweep.single_policy:
        tables["differences"] = sweep.differences()
    for name, table in tables.items():
        files.append(folder / f"{name}.csv")
        table.to_csv(files[-1], index=False, float_format="%.10g")
    for name, figure in sweep_figures(sweep).items():
        files.append(save_figure(figure, folder / f"{name}.png"))
    return files


def _winner_rows(sweep: Sweep, winners: pd.DataFrame) -> dict[str, dict[str, str]]:
    rows = {}
    for row in _records(winners):
        variant = sweep.design.variant(row["variant"])
        lead = row["lead"]
        rows[str(variant.index)] = {
            **{name: short_value(value) for name, value in variant.values.items()},
            "cheapest": row["best"],
            "cost/y": format_money(row["annual_cost"], sweep.currency),
            "lead/y": ""
            if lead is None
            else f"{format_money(lead, sweep.currency)}{_width(row, sweep.currency)}",
            "over": row["runner_up"],
            "": "" if row["certain"] else NO_WINNER,
        }
    return rows


def _width(row: dict[str, Any], currency: str) -> str:
    if row["lead_high"] is None:
        return ""
    return f" ± {format_money(0.5 * (row['lead_high'] - row['lead_low']), currency)}"


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain data; NaN is None."""
    rows = table.to_dict("records")
    return [
        {
            str(key): None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        for row in rows
    ]
