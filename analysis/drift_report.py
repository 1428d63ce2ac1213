"""Words and files about drifted tables."""

from __future__ import annotations

import json
from pathlib import Path

from analysis.report import aligned
from analysis.shifted_columns import MODERATE_PSI, TableDrift
from scenarios.monitoring import SOURCE_THRESHOLDS


def drift_text(found: TableDrift) -> str:
    """The report as an aligned table and a sentence."""
    rows = {
        str(name): {
            "kind": row["kind"],
            "PSI": _optional(row["psi"], ".3f"),
            "KS": _optional(row["ks"], ".3f"),
            "JS": _optional(row["js"], ".4f"),
            "W1 (sd)": _optional(row["wasserstein_sd"], ".3g"),
            "missing": f"{row['missing_reference']:.1%} -> {row['missing_current']:.1%}"
            if row["missing_reference"] or row["missing_current"]
            else "",
            "p": _optional(row["p_adjusted"], ".2g"),
            "level": row["level"],
        }
        for name, row in found.table().to_dict("index").items()
    }
    limits = ", ".join(f"{name.upper()} {limit:g}" for name, limit in SOURCE_THRESHOLDS.items())
    return (
        f"{found.names[1]} ({len(found.current):,} rows) against {found.names[0]} ({len(found.reference):,} rows)\n\n"
        f"{aligned(rows, 'feature')}\n\n"
        f"shifted: above {limits}; moderate: above PSI {MODERATE_PSI:g}; p: chance of as much without any shift, "
        f"corrected for {len(rows)} features\n\n{found.verdict()}"
    )


def save_drift(found: TableDrift, folder: str | Path) -> list[Path]:
    """Write drift.json, table.csv and drift.png. Raises OSError where the folder cannot be written."""
    from analysis.plot_styles import save_figure

    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    files = [home / name for name in ("drift.json", "table.csv", "drift.png")]
    files[0].write_text(json.dumps(found.to_dict(), indent=2) + "\n", encoding="utf-8")
    found.table().to_csv(files[1], float_format="%.6g")
    save_figure(found.plot().figure, files[2])
    return files


def _optional(value: float, form: str) -> str:
    return "" if value != value else format(value, form)
