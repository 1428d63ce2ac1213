"""What `halflife run --fleet` says of one run of the serving fleet."""

from __future__ import annotations

from typing import Any

from analysis.report import aligned
from analysis.report_capacity import percent, seconds
from analysis.report_decisions import number, records
from scenarios.units import format_money
from sim.fleet_result import FleetResult


def fleet_text(result: FleetResult) -> str:
    """One run of a fleet as a small table."""
    summary, currency = result.summary, result.scenario.currency
    figures = {
        "requests": f"{summary['requests']:,.0f}",
        "lost": percent(summary["loss"]),
        "latency p50, p99": f"{seconds(summary['p50_s'])}, {seconds(summary['p99_s'])}",
        "mean wait": seconds(summary["mean_wait_s"]),
        "replicas, mean": f"{summary['replicas']:.3g}",
        "busy P50, peak": f"{percent(summary['utilisation_p50'])}, {percent(summary['utilisation_peak'])}",
        "SLO minutes lost": f"{summary['missed_minutes']:,.4g}",
        "serving cost": f"{format_money(summary['serving_cost'], currency)}, "
        f"{format_money(summary['cost_per_1000'], currency)} per 1000",
    }
    for name in dict.fromkeys(result.jobs["name"]):
        mine = result.jobs[result.jobs["name"] == name]
        started, done = int(mine["started_days"].notna().sum()), int(mine["finished_days"].notna().sum())
        figures[f"job {name}"] = f"{len(mine)} asked, {started} started, {done} done"
    table = aligned({name: {"value": value} for name, value in figures.items()}, "figure")
    return f"Serving fleet ({result.arrivals}; {result.resolution})\n{table}"


def fleet_document(result: FleetResult) -> dict[str, Any]:
    """One run of a fleet for JSON: summary, costs, pools, jobs, and what it was made of."""
    return {
        "arrivals": result.arrivals,
        "resolution": result.resolution,
        "summary": {str(name): number(float(value)) for name, value in result.summary.items()},
        "costs": {str(name): float(value) for name, value in result.costs.items()},
        "pools": records(result.pools().reset_index()),
        "jobs": records(result.jobs),
    }
