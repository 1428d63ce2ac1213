"""Sweeps at scale: speed with one and two workers, memory, bytes, and what executors cost per task.

The sweep is `rotting_asset` over 30 days with random traffic, 100 decays by 100 prices, 10 replications, two policies:
as small as a scenario gets, so that all that is not simulation shows. Run with `python benchmarks/bench_sweep.py`;
`--write` puts the figures into docs/scaling.md, `--quick` takes a tenth of everything.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil

import scenarios
from analysis.design_samples import Range
from analysis.designs import design
from analysis.executors import Dask, Executor, Here, Processes
from analysis.sweep import Plan, plan_sweep, run_plan

ROOT = Path(__file__).parents[1]
POLICIES = ["scheduled:10d", "triggered"]
REPEATS = 3


def plan_of(decays: int, prices: int, replications: int = 10) -> Plan:
    scenario = scenarios.load("rotting_asset", horizon="30d", traffic__arrivals="poisson")
    wanted = design(
        scenario,
        {
            "quality.decay": Range("0.1%/d", "5%/d", decays, log=True),
            "pipeline.cost.compute": Range("$100", "$100000", prices, log=True),
        },
    )
    return plan_sweep(scenario, wanted, POLICIES, replications=replications)


class Watched:
    """Peak resident memory of this process and of the largest of its children, with the first and last tenth."""

    def __enter__(self) -> Watched:
        self.own: list[float] = []
        self.children: list[float] = []
        self.cpu = 0.0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.done.set()
        self.thread.join()

    def look(self) -> None:
        me = psutil.Process()
        while not self.done.wait(0.5):
            self.own.append(me.memory_info().rss / 1e6)
            sizes, cpu = [0.0], 0.0
            for child in me.children(recursive=True):
                try:
                    sizes.append(child.memory_info().rss / 1e6)
                    cpu += sum(child.cpu_times()[:2])
                except psutil.Error:
                    continue
            self.children.append(max(sizes))
            self.cpu = max(self.cpu, cpu)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def efficiency(decays: int, prices: int) -> dict[str, float]:
    """Least time with 1 and 2 processes, taken in turn. Starting the workers is part of it."""
    plan = plan_of(decays, prices)
    wall, cpu = {1: math.inf, 2: math.inf}, {1: math.inf, 2: math.inf}
    for _ in range(REPEATS):
        for workers in wall:
            with tempfile.TemporaryDirectory() as folder:
                before = os.times()
                seconds = timed(partial(run_plan, plan, Path(folder) / "run", Processes(workers)))
                after = os.times()
                used = sum(after[:4]) - sum(before[:4])
                wall[workers], cpu[workers] = min(wall[workers], seconds), min(cpu[workers], used)
    return {
        "runs": plan.runs, "one": wall[1], "two": wall[2], "efficiency": wall[1] / (2.0 * wall[2]),
        "cpu_one": cpu[1], "cpu_two": cpu[2],
    }  # fmt: skip


def large(decays: int, prices: int) -> dict[str, float]:
    """The whole sweep with two processes: time, memory early and late, and size of the store."""
    plan = plan_of(decays, prices)
    with tempfile.TemporaryDirectory() as home, Watched() as watched:
        folder = Path(home) / "run"
        planned = timed(lambda: plan_of(decays, prices))
        seconds = timed(lambda: run_plan(plan, folder, Processes(2)))
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        found = run_plan(plan, folder, Here(), resume=True)
        tables = timed(found.table)
        columns = found.store.part(0).shape[1]
    tenth = max(len(watched.own) // 10, 1)
    return {
        "runs": plan.runs, "parts": plan.division.count, "plan_seconds": planned, "seconds": seconds,
        "cpu_seconds": watched.cpu, "table_seconds": tables, "bytes": size, "columns": columns,
        "bytes_per_run": size / plan.runs, "bytes_per_number": size / plan.runs / columns,
        "main_early": max(watched.own[tenth : 2 * tenth], default=0.0), "main_peak": max(watched.own, default=0.0),
        "worker_early": max(watched.children[tenth : 2 * tenth], default=0.0),
        "worker_peak": max(watched.children, default=0.0),
    }  # fmt: skip


def nothing(number: int) -> int:
    return number


def overhead(counts: list[int], dask_counts: list[int]) -> list[dict[str, Any]]:
    """Milliseconds per task that does nothing, start of the workers taken away."""
    rows = []
    executors: list[tuple[str, Executor, list[int]]] = [
        ("this process", Here(), counts),
        ("2 processes", Processes(2), counts),
        ("Dask, local cluster of 2", Dask(workers=2), dask_counts),
    ]
    for name, executor, wanted in executors:
        start = min(timed(lambda e=executor: list(e.run(nothing, range(2)))) for _ in range(2))
        for count in wanted:
            seconds = timed(lambda e=executor, n=count: sum(1 for _ in e.run(nothing, range(n))))
            rows.append({"executor": name, "tasks": count, "ms": 1e3 * max(seconds - start, 0.0) / count})
    return rows


def document(found: dict[str, Any]) -> str:
    fast, big = found["efficiency"], found["large"]
    run, share = fast["one"] / fast["runs"], fast["efficiency"]
    tasks = "\n".join(
        f"| {row['executor']} | {row['tasks']:,} | {row['ms']:.3f} |" for row in found["overhead"]
    )
    hours = "\n".join(f"| {n:,} | {1e8 * run / 3600.0 / n / share:.1f} |" for n in (2, 16, 64, 256, 1024))
    return f"""# How sweeps scale

Written by `python benchmarks/bench_sweep.py --write`. The sweep is `rotting_asset` over 30 days (daily
windows, Poisson traffic), decay by price of a retraining, 10 replications, policies `scheduled:10d` and
`triggered`. A run is one variant in one world under one policy.
Machine: {found["machine"]}. Other work on it: {found["load"]}.

## Two cores

| runs | 1 worker | 2 workers | efficiency |
| --- | --- | --- | --- |
| {fast["runs"]:,} | {fast["one"]:.1f} s | {fast["two"]:.1f} s | {share:.0%} |

Least of {REPEATS} turns each, taken alternately; starting the workers and their imports is counted.
Processor time of the same sweep, all processes: {fast["cpu_one"]:.1f} s with 1 worker, {fast["cpu_two"]:.1f} s
with 2; their ratio, {fast["cpu_one"] / fast["cpu_two"]:.0%}, is the price of sharing the work.

## 10,000 variants

{big["runs"]:,} runs in {big["parts"]:,} parts, 2 workers: {big["seconds"]:.0f} s, of which the workers used
{big["cpu_seconds"]:.0f} s of processor time. Checking the design before takes {big["plan_seconds"]:.1f} s, the
tables after it {big["table_seconds"]:.1f} s.

| resident memory | second tenth of the time | peak |
| --- | --- | --- |
| main process | {big["main_early"]:.0f} MB | {big["main_peak"]:.0f} MB |
| largest worker | {big["worker_early"]:.0f} MB | {big["worker_peak"]:.0f} MB |

The store has {big["bytes"] / 1e6:.1f} MB: {big["bytes_per_run"]:.0f} bytes a run of {big["columns"]} columns, that is
{big["bytes_per_number"]:.1f} bytes a number, with manifest, design and checksums.

## What a task costs

A task that does nothing, start of the workers taken away; a real task takes a few seconds.

| executor | tasks | ms a task |
| --- | --- | --- |
{tasks}

## 10^8 runs

At {1e3 * run:.2f} ms a run on one core and the efficiency above, taken to hold for more cores because tasks share
nothing but the file system:

| cores | hours |
| --- | --- |
{hours}

The store would have {1e8 * big["bytes_per_run"] / 1e9:.1f} GB in {1e8 / big["runs"] * big["parts"]:,.0f} parts.
This is extrapolated, not measured. What the small sweep does not show: one main process notes every part,
`--resume` reads the whole store to check it, and a sample of a million points makes
a manifest of tens of megabytes that every worker reads once. A year of hourly windows with monitored features
takes about 100 ms a run instead: multiply accordingly.

## Clusters

Any Dask cluster does, as long as its workers have this package and see the run directory under the same path:

```python
from dask_jobqueue import SLURMCluster                      # pip install dask-jobqueue

cluster = SLURMCluster(cores=1, processes=1, memory="2GB", walltime="04:00:00")
cluster.scale(jobs=200)
print(cluster.scheduler_address)                            # for --address
```

```python
from dask_kubernetes.operator import KubeCluster            # pip install dask-kubernetes

cluster = KubeCluster(name="sweep", image="YOUR_IMAGE_WITH_HALFLIFE", n_workers=200)
print(cluster.scheduler_address)
```

Then `halflife sweep SCENARIO --vary ... --executor dask --address tcp://...:8786 --out /shared/run`. Give a worker
one thread (`processes=1, cores=1`, `--nthreads 1`). When the job ends early, the same command with `--resume` goes
on; the store has the same bytes as one from a laptop with the same versions.
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    side = 32 if options.quick else 100
    load = os.getloadavg()[0]
    found = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "load": f"about {load:.1f} processes at the start",
        "efficiency": efficiency(20, 25 if options.quick else 50),
        "large": large(side, side),
        "overhead": overhead(
            [1_000, 10_000] if options.quick else [1_000, 10_000, 100_000],
            [1_000] if options.quick else [1_000, 10_000, 100_000],
        ),
    }
    print(json.dumps(found, indent=1))
    if options.write:
        (ROOT / "docs" / "scaling.md").write_text(document(found), encoding="utf-8")


if __name__ == "__main__":
    main()
