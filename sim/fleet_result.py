"""The result of a fleet: what requests experienced, what replicas did, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scenarios.units import DAYS_PER_YEAR, HOURS_PER_DAY, SECONDS_PER_DAY, format_duration, format_money
from sim.arrivals import Arrivals
from sim.displays import Displayed, figures
from sim.latency import pooled_quantile
from sim.ledger import CATEGORIES

if TYPE_CHECKING:
    from scenarios.schema import Scenario
    from sim.fleet import Fleet, PoolTotals
    from sim.fleet_jobs import JobRecord

QUANTILES = {"p50_s": 0.5, "p90_s": 0.9, "p95_s": 0.95, "p99_s": 0.99, "p999_s": 0.999}
JOB_COLUMNS = (
    "name", "number", "asked_days", "started_days", "finished_days", "work_days", "lost_days", "interruptions",
    "gpu_days", "cost",
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A stretch of time that was simulated request by request, and for how much time like it stands."""

    fleet: Fleet = field(repr=False)
    weight: float = 1.0

    @property
    def days(self) -> float:
        """Length, without its weight."""
        return self.fleet.horizon


@dataclass(frozen=True, repr=False)
class FleetResult(Displayed):
    """One run of a serving fleet; of design days, sums are weighted to the whole horizon."""

    scenario: Scenario
    seed: int
    replication: int
    arrivals: str
    """What the requests were made of."""
    resolution: str
    """Which part of the horizon was simulated request by request."""
    parts: tuple[Part, ...]

    def headline(self) -> str:
        """How many requests, how slow, how busy, and what a thousand cost."""
        found = self.summary
        price = format_money(float(found["cost_per_1000"]), self.scenario.currency)
        return (
            f"{self.scenario.title}: {found['requests']:,.0f} requests, P99 "
            f"{format_duration(found['p99_s'] / SECONDS_PER_DAY)}, {found['loss']:.2%} lost, "
            f"{found['utilisation']:.0%} busy, {price} per 1000"
        )

    def _shown(self) -> pd.DataFrame:
        return figures(self.summary.rename({"loss": "lost_share"}))

    def plot(self, fig: Any = None) -> Any:
        """Replicas ready and busy, and requests that wait, over time; returns matplotlib axes, one a panel."""
        from analysis.plot_fleet import plot_fleet
        from analysis.plot_panels import Panels

        return Panels(plot_fleet(self, fig))

    @cached_property
    def costs(self) -> pd.Series:
        """Costs by category over the horizon."""
        found = [part.weight * part.fleet.ledger.by_category() for part in self.parts]
        return pd.Series(
            np.sum([costs.to_numpy() for costs in found], axis=0), index=list(CATEGORIES), name="cost"
        )

    @cached_property
    def latency_s(self) -> dict[str, float]:
        """Quantiles of the end-to-end latency of what was served, seconds."""
        return {name: self.quantile(chance) for name, chance in QUANTILES.items()}

    def quantile(self, chance: float, pool: str | None = None) -> float:
        """A quantile of the end-to-end latency, of one pool or of all, seconds."""
        records = [part.fleet.latency if pool is None else part.fleet.latency_of[pool] for part in self.parts]
        return float(pooled_quantile(records, [part.weight for part in self.parts], chance))

    @cached_property
    def summary(self) -> pd.Series:
        """The figures that searches use: requests and what became of them, latency, utilisation, GPU hours, money.

        in_flight: requests that the end of the simulated time cut off; loss: share of those whose fate is known that
        was refused or timed out; utilisation: busy share of the replicas, over all time, in half of the intervals at
        most (p50), and in the busiest one; missed_minutes: time in which the objective was broken.
        """
        names = ("offered", "served", "shed", "timed_out")
        total = {name: self._sum(lambda t, n=name: getattr(t, n)) for name in names}  # type: ignore[misc]
        over = total["served"] + total["shed"] + total["timed_out"]
        seconds = self._weighted(lambda part: part.fleet.latency.total)
        load = self.load()
        weight = (load["weight"] * load["days"]).to_numpy()
        ready, busy = load["ready"].to_numpy(), load["busy"].to_numpy()
        share = np.divide(busy, ready, out=np.full(len(busy), math.nan), where=ready > 0)
        share = np.minimum(share, 1.0)  # replicas that leave are still busy, and take no more requests
        known = np.isfinite(share)
        worked, was_up = self._seconds()
        serving = float(self.costs["serving"])
        held = self.held_gpu_days()
        return pd.Series(
            {
                "requests": total["offered"],
                "served": total["served"],
                "shed": total["shed"],
                "timed_out": total["timed_out"],
                "in_flight": total["offered"] - over,
                "loss": (total["shed"] + total["timed_out"]) / over if over else 0.0,
                "mean_s": seconds / total["served"] if total["served"] else math.nan,
                **self.latency_s,
                "mean_wait_s": self._sum(lambda t: t.waited) / total["served"]
                if total["served"]
                else math.nan,
                "mean_batch": total["served"] / self._sum(lambda t: t.batches)
                if total["served"]
                else math.nan,
                "replicas": was_up / self._weighted(lambda part: part.days * SECONDS_PER_DAY),
                "utilisation": worked / was_up if was_up else math.nan,
                "utilisation_p50": _weighted_median(share[known], weight[known]),
                "utilisation_peak": float(share[known].max()) if known.any() else math.nan,
                "restarts": self._weighted(
                    lambda part: float(sum(p.plane.restarts for p in part.fleet.pools))
                ),
                "missed_minutes": self.missed_minutes(),
                "gpu_hours": HOURS_PER_DAY * sum(held.values()),
                "spot_gpu_hours": HOURS_PER_DAY * held[True],
                "serving_cost": serving,
                "total_cost": float(self.costs.sum()),
                "annual_cost": float(self.costs.sum()) * DAYS_PER_YEAR / self.scenario.horizon,
                "cost_per_1000": 1000.0 * serving / total["served"] if total["served"] else math.nan,
            },
            name="fleet",
        )

    def missed_minutes(self) -> float:
        """Minutes in which the objective was broken; 0 without one."""
        serving = self.scenario.serving
        objective = None if serving is None else serving.objective
        if objective is None:
            return 0.0
        per_interval = objective.interval * SECONDS_PER_DAY / 60.0
        return self._weighted(
            lambda part: per_interval * part.fleet.latency.missed(objective.quantile, objective.max_loss)
        )

    def held_gpu_days(self) -> dict[bool, float]:
        """GPU days that replicas have held, on demand (False) and spot (True)."""
        return {
            spot: self._weighted(lambda part, s=spot: sum(p.held[s] for p in part.fleet.pools))  # type: ignore[misc]
            for spot in (False, True)
        }

    def load(self, pool: str | None = None) -> pd.DataFrame:
        """Load and queue over time: part, weight, time_days, ready, busy, waiting, in_service (requests), days.

        Of one pool, or of all together; time within each part. ready and busy: mean replicas in the `days` before.
        """
        tables = []
        for number, part in enumerate(self.parts):
            names = [p.plan.name for p in part.fleet.pools if pool in (None, p.plan.name)]
            found = [part.fleet.samples[name].table() for name in names]
            table = found[0].copy()
            for other in found[1:]:
                table.iloc[:, 1:] += other.iloc[:, 1:]
            table["days"] = np.diff(table["time_days"], prepend=0.0)
            tables.append(table.assign(part=number, weight=part.weight))
        return pd.concat(tables, ignore_index=True)

    def intervals(self) -> pd.DataFrame:
        """Requests by interval of the objective: part, weight, and the columns of `LatencyRecord.intervals`."""
        return pd.concat(
            [
                part.fleet.latency.intervals().assign(part=number, weight=part.weight)
                for number, part in enumerate(self.parts)
            ],
            ignore_index=True,
        )

    @cached_property
    def events(self) -> pd.DataFrame:
        """What the control plane did: time_days, kind, subject, details."""
        rows = [event for part in self.parts for event in part.fleet.events]
        return pd.DataFrame(rows, columns=["time_days", "kind", "subject", "details"])

    @cached_property
    def jobs(self) -> pd.DataFrame:
        """One row a job; times in days, NaN for what has not happened."""
        rows: list[JobRecord] = [job for part in self.parts for job in part.fleet.jobs]
        return pd.DataFrame([_job_row(row) for row in rows], columns=list(JOB_COLUMNS))

    def pools(self) -> pd.DataFrame:
        """One row a pool: requests, loss, P99, utilisation, replicas on average, launches, failures, reclaimed."""
        rows = {}
        for name in self.parts[0].fleet.totals:
            of_pool = [next(p for p in part.fleet.pools if p.plan.name == name) for part in self.parts]
            offered, served, shed, late = (
                sum(part.weight * getattr(part.fleet.totals[name], field) for part in self.parts)
                for field in ("offered", "served", "shed", "timed_out")
            )
            worked, was_up = self._seconds(name)
            over = served + shed + late
            rows[name] = {
                "requests": offered,
                "loss": (shed + late) / over if over else 0.0,
                "p99_s": self.quantile(0.99, name),
                "utilisation": worked / was_up if was_up else math.nan,
                "replicas": was_up / self._weighted(lambda part: part.days * SECONDS_PER_DAY),
                **{
                    count: sum(
                        part.weight * p.counts[count] for part, p in zip(self.parts, of_pool, strict=True)
                    )
                    for count in of_pool[0].counts
                },
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("pool")

    def _seconds(self, pool: str | None = None) -> tuple[float, float]:
        """Seconds for which replicas were busy and took requests, of one pool or of all."""

        def of(name: str) -> float:
            return self._weighted(
                lambda part: math.fsum(
                    getattr(p, name) for p in part.fleet.pools if pool in (None, p.plan.name)
                )
            )

        return of("worked"), of("was_up")

    def _weighted(self, value: Callable[[Part], float]) -> float:
        return math.fsum(part.weight * value(part) for part in self.parts)

    def _sum(self, value: Callable[[PoolTotals], float]) -> float:
        return self._weighted(lambda part: float(sum(value(total) for total in part.fleet.totals.values())))


def result_of(fleet: Fleet) -> FleetResult:
    """The result of a fleet that ran in a run of its own, or with policies."""
    world = fleet.world
    used = Arrivals.of(world).used
    return FleetResult(world.scenario, world.seed, world.replication, used, "every request", (Part(fleet),))


def _job_row(job: JobRecord) -> tuple[Any, ...]:
    return (
        job.name, job.number, job.asked, job.started, job.finished, job.work, job.lost, job.interruptions,
        job.gpu_days, job.cost,
    )  # fmt: skip


def _weighted_median(values: Any, weights: Any) -> float:
    if not len(values):
        return math.nan
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, 0.5 * reached[-1])])
