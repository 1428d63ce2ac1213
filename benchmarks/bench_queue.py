"""Requests per second through a pool with one queue, beside SimPy, Ciw and salabim, with their mean waits compared.

Run it by itself: python benchmarks/bench_queue.py (a minute, one core). All simulate the same arrivals and services,
drawn beforehand. Ours takes them in blocks, as a run of the fleet does: offered, served, and collected with every
column of every request. The others record the wait alone, and see fewer requests. Batches start as soon as a
replica is free, except where a wait is given. Ciw and salabim have no batches of service.

Time is processor time, which is what a core does on a machine that others use; a round measures every one in turn,
and the medians over rounds are printed. Ciw and salabim are looked for in .venv-peers (`make peers`).
"""

from __future__ import annotations

import gc
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from sim.pool_central import CentralPool

REQUESTS, SIMPY_REQUESTS = 4_000_000, 20_000
OTHERS = {"ciw": 20_000, "salabim": 5_000}
BLOCK = 65_536
ROUNDS = 7
LOAD = 0.8
TARGET_RATE, TARGET_RATIO = 20e6, 300.0

PEERS = Path(__file__).parent / "peers"
ENVIRONMENTS = Path(__file__).parents[1] / ".venv-peers"


@dataclass
class Case:
    name: str
    replicas: int
    has_target: bool = True
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def batch(self) -> int:
        return int(self.settings.get("max_batch", 1))

    def stream(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Gamma gaps of CV 1.4 and gamma services of CV 0.7, mean 1 for a full batch."""
        rng = np.random.default_rng(1)
        gap = 1.0 / (LOAD * self.replicas * self.batch)
        return np.cumsum(rng.gamma(0.5, 2.0 * gap, REQUESTS)), rng.gamma(2.0, 0.5, REQUESTS)


def batching(largest: int, max_wait: float = 0.0) -> dict[str, Any]:
    """A batch of `largest` takes 1 s, one alone 0.3 s."""
    return {"max_batch": largest, "max_wait": max_wait, "curve": np.linspace(0.3, 1.0, largest)}


CASES = [
    Case("G/G/8", 8),
    Case("G/G/8, batches of 8", 8, settings=batching(8)),
    Case("G/G/8, batches of 8, wait 0.1 s", 8, settings=batching(8, 0.1)),
    Case("G/G/1, batches of 8", 1, settings=batching(8)),
    Case("G/G/64", 64, has_target=False),
    Case("G/G/8, 50 may wait", 8, has_target=False, settings={"limit": 50}),
    Case("G/G/8, leave after 3 s", 8, has_target=False, settings={"timeout": 3.0}),
    Case("G/G/8, shortest first", 8, has_target=False, settings={"discipline": "shortest_first"}),
]


def ours(case: Case, times: NDArray[np.float64], work: NDArray[np.float64]) -> tuple[float, float]:
    """Seconds, and the mean wait of the first SIMPY_REQUESTS requests where all are served."""
    pool = CentralPool(**case.settings)
    for r in range(case.replicas):
        pool.add(r, at=0.0)
    waits = np.zeros(SIMPY_REQUESTS)
    gc.collect()
    start, served = time.process_time(), 0
    for i in range(0, len(times), BLOCK):
        pool.offer(times[i : i + BLOCK], work[i : i + BLOCK])
        pool.advance(times[i + BLOCK] if i + BLOCK < len(times) else math.inf)
        done = pool.collect()
        served += len(done)
        if i < 2 * SIMPY_REQUESTS:
            first = done.number < SIMPY_REQUESTS
            waits[done.number[first]] = done.start[first] - done.arrival[first]
    seconds = time.process_time() - start
    assert served == len(times)
    return seconds, float(waits.mean())


def with_simpy(case: Case, times: list[float], work: list[float]) -> tuple[float, float]:
    """Seconds and mean wait of a model as short as SimPy allows."""
    env, waits = simpy.Environment(), []

    def request(servers: simpy.Resource, seconds: float) -> Iterator[Any]:
        arrival = env.now
        with servers.request() as turn:
            yield turn
            waits.append(env.now - arrival)
            yield env.timeout(seconds)

    def source(servers: simpy.Resource) -> Iterator[Any]:
        for at, seconds in zip(times, work, strict=True):
            yield env.timeout(at - env.now)
            env.process(request(servers, seconds))

    def replica(queue: simpy.Store, curve: list[float]) -> Iterator[Any]:
        while True:
            batch = [(yield queue.get())]
            while queue.items and len(batch) < len(curve):
                batch.append((yield queue.get()))
            waits.extend(env.now - arrival for arrival, _ in batch)
            yield env.timeout(curve[len(batch) - 1] * sum(work for _, work in batch) / len(batch))

    def feed(queue: simpy.Store) -> Iterator[Any]:
        for at, seconds in zip(times, work, strict=True):
            yield env.timeout(at - env.now)
            yield queue.put((at, seconds))

    if case.batch == 1:
        env.process(source(simpy.Resource(env, case.replicas)))
    else:
        queue = simpy.Store(env)
        for _ in range(case.replicas):
            env.process(replica(queue, case.settings["curve"].tolist()))
        env.process(feed(queue))
    gc.collect()
    start = time.process_time()
    env.run()
    return time.process_time() - start, statistics.fmean(waits)


def with_other(name: str, case: Case, times: list[float], work: list[float]) -> tuple[float, float] | None:
    """Seconds and mean wait of a peer in its own environment; None when it is not installed or fails."""
    python = ENVIRONMENTS / name / "bin" / "python"
    if not python.exists():
        return None
    job = {"times": times, "work": work, "servers": case.replicas}
    command = [python, PEERS / f"queue_{name}.py"]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"{name} failed: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    answer = json.loads(done.stdout)
    return answer["seconds"], answer["wait"]


def simpy_knows(case: Case) -> bool:
    return set(case.settings) <= {"max_batch", "max_wait", "curve"} and not case.settings.get("max_wait")


def measure(case: Case) -> None:
    times, work = case.stream()
    part = {n: (times[:n].tolist(), work[:n].tolist()) for n in (SIMPY_REQUESTS, *OTHERS.values())}
    ours(case, times[: 2 * BLOCK], work[: 2 * BLOCK])  # compiles
    runs: dict[str, Callable[[], tuple[float, float] | None]] = {"ours": lambda: ours(case, times, work)}
    if simpy_knows(case):
        runs["simpy"] = lambda: with_simpy(case, *part[SIMPY_REQUESTS])
    if not case.settings and case.has_target:
        for name, n in OTHERS.items():
            runs[name] = lambda name=name, n=n: with_other(name, case, *part[n])
    rates: dict[str, list[float]] = {name: [] for name in runs}
    waits: dict[str, float] = {}
    numbers = {"ours": REQUESTS, "simpy": SIMPY_REQUESTS, **OTHERS}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            answer = run()
            if answer is not None:
                rates[name].append(numbers[name] / answer[0])
                waits[name] = answer[1]

    rate = statistics.median(rates["ours"])
    line = f"{case.name:34}{rate / 1e6:8.1f}{max(rates['ours']) / 1e6:8.1f}"
    for name in ("simpy", *OTHERS):
        theirs = statistics.median(rates[name]) if rates.get(name) else math.nan
        line += f"{theirs / 1e3:10.1f}{rate / theirs:8.0f}" if theirs > 0 else f"{'-':>10}{'-':>8}"
    peers = [waits[name] for name in ("simpy", "ciw") if name in waits]  # salabim saw fewer requests
    if peers:
        same = all(math.isclose(waits["ours"], wait, rel_tol=1e-6) for wait in peers)
        line += f"{'yes' if same else 'NO':>8}"
    else:
        line += f"{'-':>8}"
    if case.has_target:
        ratio = rate / statistics.median(rates["simpy"]) if "simpy" in rates else math.inf
        line += f"{'yes' if rate >= TARGET_RATE and ratio >= TARGET_RATIO else 'NO':>8}"
    print(line, flush=True)


def main() -> None:
    print(f"{REQUESTS:,} requests at load {LOAD}, medians of {ROUNDS} rounds, processor time of one core")
    print(f"target: {TARGET_RATE / 1e6:.0f} million a second and {TARGET_RATIO:.0f} times SimPy")
    print(f"{'':34}{'ours, million/s':>16}{'SimPy':>18}{'Ciw':>18}{'salabim':>18}{'same':>8}{'target':>8}")
    head = f"{'queue':34}{'median':>8}{'best':>8}" + f"{'1000/s':>10}{'ratio':>8}" * 3
    print(f"{head}{'waits':>8}{'met':>8}")
    for case in CASES:
        measure(case)


if __name__ == "__main__":
    main()
