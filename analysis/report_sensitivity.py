"""What `halflife sensitivity` prints and writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.report import aligned
from analysis.report_decisions import number, records, write_json
from analysis.value_of_information import worths_table
from scenarios.units import format_money
from sim.record import versions

if TYPE_CHECKING:
    from analysis.sensitivity import Sensitivity
    from analysis.tornado import Flip
    from analysis.value_of_information import Worth


def sensitivity_document(found: Sensitivity) -> dict[str, Any]:
    """A sensitivity analysis as one JSON document; what was not asked for is null."""
    given = found.given
    return {
        "scenario": given.scenario.title,
        "policies": list(given.names),
        "inputs": [
            {"path": one.path, "law": one.law, "low": one.written(one.low), "high": one.written(one.high)}
            for one in given.inputs
        ],
        "replications": found.replications,
        "tornado": None if found.tornado is None else records(found.tornado),
        "flips": None if found.flips is None else [_flip(flip) for flip in found.flips],
        "morris": None if found.morris is None else records(found.morris),
        "sobol": None if found.sobol is None else records(found.sobol),
        "discovery": _discovery(found),
        "value_of_information": None if found.worths is None else records(worths_table(found.worths)),
        "value_of_monitors": None if found.monitors is None else records(worths_table(found.monitors)),
        "value_of_a_label": None if found.label is None else records(worths_table([found.label]))[0],
        "provenance": {"scenario_hash": given.scenario.hash(), "seed": given.seed, "versions": versions()},
    }


def sensitivity_text(found: Sensitivity) -> str:
    """A sensitivity analysis as text."""
    given = found.given
    first, second = given.names
    parts = [f"{given.scenario.title}: {first} against {second}, {len(given.inputs)} uncertain inputs"]
    if found.tornado is not None:
        parts += [
            f"One at a time: cost of {first}, and its difference to {second} (below 0: {first} is cheaper)"
        ]
        parts += [_tornado(found, found.tornado)]
    if found.flips is not None:
        none = "The winner does not flip within the range of any one input."
        parts.append("\n".join(flip.sentence() for flip in found.flips) or none)
    for name, table in (("Morris' screening", found.morris), ("Sobol's indices", found.sobol)):
        if table is not None:
            cut = table is found.morris and any(one.law == "normal" for one in given.inputs)
            said = "; a normal input from its 2.5 % to its 97.5 % quantile" if cut else ""
            parts.append(f"{name} (decision: 1 where {first} is cheaper{said})\n\n{_indices(table)}")
    if found.discovery is not None:
        parts.append(found.discovery.sentence(first))
    currency = given.scenario.currency
    for title, worths in (
        ("Value of knowing before choosing, a year", found.worths),
        (f"What each monitor saves {first}, a year", found.monitors),
        (f"What one more label saves {first}", [found.label] if found.label else None),
    ):
        if worths:
            parts.append(f"{title}\n\n{_worths(worths, currency)}")
    return "\n\n".join(parts)


def _tornado(found: Sensitivity, table: pd.DataFrame) -> str:
    by_path = {one.path: one for one in found.given.inputs}
    currency = found.given.scenario.currency
    rows = {}
    for row in table.to_dict("records"):
        one = by_path[row["input"]]
        rows[row["input"]] = {
            "low": one.shown(row["low"]),
            "high": one.shown(row["high"]),
            "cost at low": format_money(row["cost_low"], currency),
            "cost at high": format_money(row["cost_high"], currency),
            **{
                f"difference at {side}": f"{format_money(row[f'difference_{side}'], currency)} ± "
                f"{format_money(row[f'difference_{side}_ci_high'] - row[f'difference_{side}'], currency)}"
                for side in ("low", "high")
            },
            "flips": "yes" if row["flips"] else "",
        }
    return aligned(rows, "input")


def _indices(table: pd.DataFrame) -> str:
    figures = [column for column in table.columns if column not in ("response", "input")]
    rows = {
        f"{row['response']}: {row['input']}": {
            name: "n/a" if pd.isna(row[name]) else f"{row[name]:.3g}" for name in figures
        }
        for row in table.to_dict("records")
    }
    return aligned(rows, "response: input")


def _worths(worths: Sequence[Worth], currency: str) -> str:
    rows = {
        worth.what: {
            name: format_money(float(value), currency)
            for name, value in zip(("value", "95 % low", "95 % high"), worth.value, strict=True)
        }
        for worth in worths
    }
    return aligned(rows, "information")


def _flip(flip: Flip) -> dict[str, Any]:
    return {
        "input": flip.given.path,
        "value": flip.given.written(flip.value),
        "value_number": flip.value,
        "low": number(flip.low),
        "high": number(flip.high),
        "below": flip.below,
        "above": flip.above,
        "sentence": flip.sentence(),
    }


def _discovery(found: Sensitivity) -> dict[str, Any] | None:
    seen = found.discovery
    if seen is None:
        return None
    box = seen.box
    return {
        "points": len(seen.lost),
        "lost": int(seen.lost.sum()),
        "base_rate": seen.base_rate,
        "p_value": number(seen.p_value),
        "limits": records(seen.table()),
        "coverage": None if box is None else box.coverage,
        "density": None if box is None else box.density,
        "mass": None if box is None else box.mass,
        "sentence": seen.sentence(found.given.names[0]),
    }


def save_sensitivity(found: Sensitivity, folder: str | Path) -> list[Path]:
    """Write sensitivity.json, a CSV file for each table and a PNG file for each picture."""
    from analysis.plot_sensitivity import plot_sensitivity
    from analysis.plot_styles import save_figure

    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    files = [home / "sensitivity.json"]
    write_json(sensitivity_document(found), files[0])
    tables: dict[str, pd.DataFrame | None] = {
        "tornado": found.tornado,
        "flips": None if found.flips is None else pd.DataFrame(_flip(flip) for flip in found.flips),
        "morris": found.morris,
        "sobol": found.sobol,
        "discovery": _points(found),
        "value": None if found.worths is None else worths_table([*found.worths, *(found.monitors or ())]),
    }
    for name, table in tables.items():
        if table is not None:
            files.append(home / f"{name}.csv")
            table.to_csv(files[-1], index=False, float_format="%.9g")
    for name, figure in plot_sensitivity(found).items():
        files.append(save_figure(figure, home / f"{name}.png"))
    return files


def _points(found: Sensitivity) -> pd.DataFrame | None:
    """The points of scenario discovery: inputs, whether the policy lost, whether the box holds them."""
    seen = found.discovery
    if seen is None:
        return None
    table = pd.DataFrame(seen.points, columns=[one.path for one in seen.inputs])
    table["lost"] = seen.lost
    table["in_box"] = False if seen.box is None else seen.box.inside(seen.points)
    return table
