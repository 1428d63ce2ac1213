"""What `halflife run` and `compare` say of a fleet of devices: words, documents and files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.extra_figures import compared_rows, edge_figures, swept_rows
from analysis.interval_text import KEY as WIDTH_KEY
from analysis.report import aligned, whole_figure
from analysis.report_decisions import number, records
from sim.edge_result import EdgeResult

if TYPE_CHECKING:
    import pandas as pd

    from analysis.comparison import Comparison

COMPARED = {
    "model_age_mean_days": ("age d", ".1f"),
    "stale_share": ("stale", ".1%"),
    "retired_share": ("retired", ".1%"),
    "vulnerable_share": ("vulnerable", ".2%"),
    "ota_gb": ("GB", ",.4g"),
    "releases": ("releases", ".1f"),
    "halted_releases": ("halted", ".1f"),
    "blast_devices": ("blast", ",.0f"),
    "bricks": ("bricks", ",.1f"),
    "simple_share": ("simple", ".1%"),
    "off_share": ("off", ".1%"),
    "contributions": ("contrib.", ",.0f"),
}
"""Figures of a fleet that comparisons show, with their heading and form."""
WITH_WIDTH = frozenset({"model_age_mean_days", "ota_gb", "blast_devices", "bricks"})
"""Those that comparisons show with their interval."""
KEY = (
    "age: of the models on devices, since their data cut; stale: device-time on an older release than the newest that "
    "all may take; vulnerable: on one that was halted; GB, releases, blast (devices that took a bad release): over the "
    "horizon"
)
MOST_RELEASES = 15


def edge_text(result: EdgeResult) -> str:
    """A fleet in one run: figures, its releases and its classes of devices."""
    summary = result.summary
    ages = ", ".join(f"P{100 * q:.0f} {result.age_quantile(q)[-1]:.1f} d" for q in (0.1, 0.5, 0.9))
    edge = result.scenario.edge
    assert edge is not None  # there is a result of it
    figures = {
        "devices": f"{edge.count:,}",
        "age of models (data cut), mean": f"{summary['model_age_mean_days']:.1f} d",
        "age of models (data cut), end": ages,
        "on a stale release": f"{summary['stale_share']:.1%}",
        **({} if edge.supported is None else {"on a retired release": f"{summary['retired_share']:.1%}"}),
        "on a halted release": f"{summary['vulnerable_share']:.2%}",
        "simple model, off": f"{summary['simple_share']:.1%}, {summary['off_share']:.1%}",
        "releases (halted)": f"{summary['releases']:.0f} ({summary['halted_releases']:.0f})",
        "took a bad release": f"{summary['blast_devices']:,.0f} devices, "
        f"{summary['blast_device_days']:,.0f} device-days",
        "bricks, failed installs": f"{summary['bricks']:,.0f}, {summary['failed_installs']:,.0f}",
        "sent and received": f"{summary['ota_gb']:,.4g} GB",
        "check-ins, reports": f"{summary['check_ins']:,.0f}, {summary['reports']:,.0f}",
        "offloaded requests": f"{summary['offload_share']:.1%}",
        "latency, mean": _optional(summary["latency_ms"], ".3g", " ms"),
        **({} if edge.federated is None else {"federated contributions": f"{summary['contributions']:,.0f}"}),
    }
    parts = ["Fleet of devices", aligned({k: {"value": v} for k, v in figures.items()}, "figure")]
    parts.append(aligned(_class_rows(result.classes()), "class"))
    releases = result.releases()
    if len(releases):
        more = len(releases) - MOST_RELEASES
        parts.append(aligned(_release_rows(releases.tail(MOST_RELEASES)), "release"))
        parts += [f"(the last {MOST_RELEASES} of {len(releases)})"] if more > 0 else []
    return "\n\n".join(parts)


def edge_document(result: EdgeResult) -> dict[str, Any]:
    """A fleet in one run for JSON: summary, releases, classes, and the ages of the models at the end."""
    return {
        "summary": {name: number(value) for name, value in result.summary.items()},
        "releases": records(result.releases()),
        "classes": records(result.classes().reset_index()),
        "model_age_at_end_days": {
            f"p{100 * q:.0f}": float(result.age_quantile(q)[-1]) for q in (0.1, 0.5, 0.9)
        },
    }


def save_edge(result: EdgeResult, home: Path) -> list[Path]:
    """Write fleet.parquet, version_mix.parquet, adoption.parquet, releases.csv, classes.csv and three pictures."""
    from analysis.plot_edge import plot_ages, plot_fleet_adoption, plot_version_mix
    from analysis.plot_styles import save_figure

    tables = {
        "fleet": result.fleet(),
        "version_mix": result.version_mix(),
        "adoption": result.adoption(),
    }
    files = []
    for name, table in tables.items():
        files.append(home / f"{name}.parquet")
        table.to_parquet(files[-1], index=False)
    result.releases().to_csv(home / "releases.csv", index=False, float_format="%.10g")
    result.classes().to_csv(home / "classes.csv", float_format="%.10g")
    files += [home / "releases.csv", home / "classes.csv"]
    for name, plot in (
        ("adoption", plot_fleet_adoption),
        ("version_mix", plot_version_mix),
        ("model_ages", plot_ages),
    ):
        files.append(save_figure(whole_figure(plot(result)), home / f"{name}.png"))
    return files


def compared_text(found: Comparison, corner: str) -> str:
    """The fleet under each policy or variant as a table with its key; empty without a fleet.

    Figures that are 0 for all policies are left out.
    """
    if not edge_figures(found.runs):
        return ""
    names = [name for name in COMPARED if any(found.interval(p, name).mean for p in found.names)]
    rows = compared_rows(found, names, COMPARED, WITH_WIDTH)
    key = KEY if found.replications < 2 else f"{KEY}; {WIDTH_KEY}"
    return f"Fleet of devices\n\n{aligned(rows, corner)}\n{key}\n\n"


def sweep_edge_text(table: pd.DataFrame, most: int) -> str:
    """The same of the first rows of a sweep's table, means of a variant and policy each; empty without a fleet."""
    names = [name for name in COMPARED if name in table and table[name].any()]
    if not names:
        return ""
    rows = swept_rows(table, names, COMPARED, most)
    return f"Fleet of devices\n\n{aligned(rows, 'variant and policy')}\n{KEY}"


def _class_rows(classes: pd.DataFrame) -> dict[str, dict[str, str]]:
    return {
        str(name): {
            "devices": f"{row['devices']:,.0f}",
            "full": f"{row['full_share']:.1%}",
            "simple": f"{row['simple_share']:.1%}",
            "off": f"{row['off_share']:.1%}",
            "brick": f"{row['brick_share']:.2%}",
            "mWh/day": f"{1000.0 * row['all']:.4g}",
        }
        for name, row in classes.to_dict("index").items()
    }


def _release_rows(releases: pd.DataFrame) -> dict[str, dict[str, str]]:
    return {
        str(row["release"]): {
            "left": f"{row['left_days']:.1f} d",
            "to all": _optional(row["complete_days"], ".1f", " d"),
            "halted": _optional(row["halted_days"], ".1f", " d"),
            "bad": "bad" if row["bad"] else "",
            "installed": f"{row['installed']:,.0f}",
            "failed": f"{row['failed']:,.0f}",
            "bricks": f"{row['bricked']:,.0f}",
            "adopted": f"{row['adopted']:.1%}",
        }
        for row in releases.to_dict("records")
    }


def _optional(value: float, form: str, unit: str = "") -> str:
    return "" if math.isnan(value) else format(value, form) + unit
