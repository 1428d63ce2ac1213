"""The tables of a capacity search: fleets, combinations, latency, stages, what-ifs, the curve of replicas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.capacity_candidates import autoscaler_name
from analysis.capacity_runs import STAGES, Evaluated
from analysis.serving_economics import amdahl_speedup
from scenarios.serving_pools import ServingPool
from scenarios.serving_services import BatchCurve, LanguageModel, ModelService
from scenarios.units import DAYS_PER_MONTH, SECONDS_PER_DAY
from sim.fleet_result import QUANTILES, FleetResult
from sim.gpu_utilisation import REMEDIES, GpuUse, gpu_use, sequence_use
from sim.service_times import request_work, sequence_times

if TYPE_CHECKING:
    from analysis.capacity import CapacityFound

FASTER = 2.0
"""A model this many times as fast is what Amdahl's law is asked about."""
TARGET = (0.5, 0.7)
"""Utilisation at P50 that leaves headroom for peaks. Source: chapter, 'Capacity Planning'."""
POINTS = 400
"""Points of the distribution of latency that are drawn."""


def fleet_table(found: CapacityFound) -> pd.DataFrame:
    """One row a simulated fleet, in the order of the menu; latencies in seconds, money a month."""
    rows = []
    for place, fleet in enumerate(found.fleets):
        rows.append(
            {
                "fleet": fleet.name,
                "accelerator": fleet.candidate.accelerator.label,
                "replicas": fleet.replicas,
                "max_batch": fleet.candidate.max_batch,
                "autoscaler": autoscaler_name(fleet.candidate.autoscaler),
                "spot_share": fleet.candidate.spot_share,
                **figures(fleet),
                "frontier": place in found.frontier,
                "chosen": fleet == found.chosen,
            }
        )
    return pd.DataFrame(rows)


def figures(fleet: Evaluated) -> dict[str, Any]:
    """What is told of a fleet wherever there are several."""
    latency = fleet.interval("quantile_s")
    return {
        "kept": fleet.kept,
        "kept_share": fleet.kept_share,
        "latency_s": float(latency.mean),
        "latency_s_low": float(latency.low),
        "latency_s_high": float(latency.high),
        "loss": fleet.mean("loss"),
        "mean_wait_s": fleet.mean("mean_wait_s"),
        "mean_replicas": fleet.mean("replicas"),
        "utilisation_p50": fleet.mean("utilisation_p50"),
        "utilisation_peak": fleet.mean("utilisation_peak"),
        "missed_minutes": fleet.mean("missed_minutes"),
        "cost_month": fleet.cost,
        "cost_per_1000": fleet.mean("cost_per_1000"),
    }


def combination_table(found: CapacityFound) -> pd.DataFrame:
    """One row a combination of the menu: fewest replicas that keep the objective, their cost, or why there are none."""
    rows = []
    known = {(fleet.candidate, fleet.replicas): fleet for fleet in found.fleets}
    for line in found.lines:
        best = None if line.found is None else known[line.candidate, line.found]
        rows.append(
            {
                "combination": line.candidate.name,
                "state": line.state,
                "replicas": line.found,
                "not_enough": line.failed or None,
                "latency_s": math.nan if best is None else best.mean("quantile_s"),
                "cost_month": math.nan if best is None else best.cost,
            }
        )
    rows += [{"combination": name, "state": "does not fit"} for name in found.menu.refused]
    return pd.DataFrame(rows)


def latency_table(found: CapacityFound) -> pd.DataFrame:
    """Quantiles and means of the fleet's latency over the replications: measure, seconds, low, high."""
    rows = []
    for name in (*QUANTILES, "mean_s", "mean_wait_s"):
        interval = found.nearest.interval(name)
        rows.append(
            {
                "measure": name.removesuffix("_s").replace("_", " "),
                "seconds": float(interval.mean),
                "low": float(interval.low),
                "high": float(interval.high),
            }
        )
    return pd.DataFrame(rows)


def stage_table(found: CapacityFound) -> pd.DataFrame:
    """Mean seconds of each stage of a request and their share of the mean latency; stages that take none left out."""
    seconds = {stage: found.nearest.mean(f"stage[{stage}]") for stage in STAGES}
    total = math.fsum(seconds.values())
    rows = [
        {"stage": stage, "seconds": value, "share": value / total if total else math.nan}
        for stage, value in seconds.items()
        if value > 0.0 or stage in ("waiting", "inference")
    ]
    return pd.DataFrame(rows)


def amdahl(found: CapacityFound) -> dict[str, float]:
    """What a model FASTER times as fast brings to the mean latency, if nothing else changes."""
    table = stage_table(found)
    share = float(table.loc[table["stage"] == "inference", "share"].iloc[0])
    if math.isnan(share):
        return {"share": math.nan, "speedup": math.nan, "mean_s": math.nan}
    speedup = float(amdahl_speedup(share=min(share, 1.0), speedup=FASTER))
    return {"share": share, "speedup": speedup, "mean_s": float(table["seconds"].sum()) / speedup}


def what_if_table(found: CapacityFound) -> pd.DataFrame:
    """One row a multiple of the traffic: the fleet as it is, what becomes of it, and the replicas it would take."""
    rows = []
    for one in found.what_ifs:
        verdict = None if found.sustainable is None else found.sustainable.at(one.factor).trend.verdict
        needed = one.needed
        rows.append(
            {
                "factor": one.factor,
                "verdict": verdict,
                **figures(one.unchanged),
                "replicas_needed": None if needed is None else needed.replicas,
                "needed_latency_s": math.nan if needed is None else needed.mean("quantile_s"),
                "needed_cost_month": math.nan if needed is None else needed.cost,
            }
        )
    return pd.DataFrame(rows)


def curve_table(found: CapacityFound) -> pd.DataFrame:
    """One row a number of replicas: simulated and closed-form quantile (seconds), utilisation, cost a month."""
    curve = found.curve
    if curve is None:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            "replicas": curve.replicas,
            "latency_s": curve.simulated,
            "closed_form_s": curve.closed,
            "utilisation": [fleet.mean("utilisation") for fleet in curve.fleets],
            "cost_month": [fleet.cost for fleet in curve.fleets],
            "kept": [fleet.kept for fleet in curve.fleets],
        }
    )


def tail_table(found: CapacityFound) -> pd.DataFrame:
    """Share of the requests that take longer, by latency, of the run that is shown: seconds, share_above."""
    served = float(found.shown.summary["served"])
    rarest = max(10.0 / served, 1e-7) if served else 0.5
    above = np.geomspace(1.0, rarest, POINTS)
    seconds = [found.shown.quantile(1.0 - share) for share in above.tolist()]
    return pd.DataFrame({"seconds": seconds, "share_above": above})


def load_table(found: CapacityFound) -> pd.DataFrame:
    """Load over time of the sized pool in the run that is shown: see `FleetResult.load`."""
    return found.shown.load(found.nearest.candidate.pool)


def money_and_time(found: CapacityFound) -> dict[str, float]:
    """Means over the replications of what is billed and what is broken."""
    best = found.nearest
    months = found.scenario.horizon / DAYS_PER_MONTH
    spot, total = best.mean("spot_gpu_hours"), best.mean("gpu_hours")
    return {
        "cost_month": best.cost,
        "cost_per_1000": best.mean("cost_per_1000"),
        "missed_minutes": best.mean("missed_minutes"),
        "missed_minutes_month": best.mean("missed_minutes") / months,
        "gpu_hours": total,
        "gpu_hours_on_demand": total - spot,
        "gpu_hours_spot": spot,
    }


def use_of(result: FleetResult, pool: ServingPool) -> GpuUse | None:
    """How the accelerators of a pool were used in a run; None where only service times are known, or none was."""
    fleets = [(part.weight, part.fleet) for part in result.parts]
    totals = [(weight, fleet.totals[pool.name]) for weight, fleet in fleets]
    served = math.fsum(weight * total.served for weight, total in totals)
    load = result.load(pool.name)
    seconds = math.fsum(part.weight * part.days for part in result.parts) * SECONDS_PER_DAY
    ready = float((load["ready"] * load["weight"]).sum() / load["weight"].sum()) if len(load) else 0.0
    if not served or not ready:
        return None
    busy = float((load["busy"] * load["weight"]).sum() / (load["ready"] * load["weight"]).sum())
    if isinstance(pool.service, LanguageModel):
        in_service = math.fsum(weight * total.in_service for weight, total in totals)
        read, written = _mean_tokens(result, pool)
        working = busy * ready * seconds
        running = in_service / working
        prefill = sequence_times(pool).prefill_per_token * read * served / working
        cached = running * (read + 0.5 * written)
        return sequence_use(
            pool, running=running, cached_tokens=cached, prefill_share=min(prefill, 1.0), busy=min(busy, 1.0)
        )
    if not isinstance(pool.service, ModelService | BatchCurve):
        return None
    sizes = np.sum([weight * total.batches_by_size for weight, total in totals], axis=0)
    batches = {size: float(count) for size, count in enumerate(sizes) if size and count > 0}
    return gpu_use(pool, served / seconds / ready, batches)


def pattern_remedy(use: GpuUse | None) -> tuple[str, str] | None:
    """The pattern of utilisation and what the source advises; None where it is not known."""
    return None if use is None or use.pattern is None else (use.pattern, REMEDIES[use.pattern])


def _mean_tokens(result: FleetResult, pool: ServingPool) -> tuple[float, float]:
    from sim.arrivals import Arrivals
    from sim.world import World

    arrivals = Arrivals.of(World(result.scenario, result.seed, result.replication))
    work: NDArray[np.float64] = next(arrivals.blocks()).work
    read, written = request_work(pool, work, np.random.default_rng(0)).mean(axis=0).tolist()
    return read, written
