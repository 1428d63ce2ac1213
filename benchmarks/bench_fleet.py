"""A year of a serving fleet, request by request: processor time, requests per second, and peak memory.

Run it by itself: python benchmarks/bench_fleet.py [days] (365; two to three minutes, one core). A million requests a
day with a daily profile, three replicas of about 45 ms, every stage of the path drawn, an objective judged minute by
minute; once with a fixed size, once with an autoscaler that decides every minute.

Time is processor time, which is what a core does on a machine that others use. Each case is a process of its own, so
that peak memory is its own; a short run before it compiles what is not in the cache. Memory is flat: it is printed for
a tenth of the time as well.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import scenarios
from scenarios.schema import Scenario
from sim.fleet_days import run_fleet

DAYS, TARGET_S = 365.0, 60.0
BY_NIGHT, BY_DAY = [0.4, 0.3, 0.3, 0.3, 0.4, 0.5, 0.7, 1.0], [1.3, 1.5, 1.6, 1.6, 1.5, 1.5, 1.5, 1.5]
PROFILE = [*BY_NIGHT, *BY_DAY, 1.4, 1.4, 1.3, 1.2, 1.1, 1.0, 0.8, 0.6]
AUTOSCALERS = {
    "fixed size": {"kind": "fixed"},
    "autoscaler, every minute": {
        "kind": "target_utilisation",
        "target": "40%",
        "interval": "1min",
        "maximum": 6,
    },
}


def fleet(days: float, autoscaler: str) -> Scenario:
    return scenarios.load(
        "rotting_asset",
        horizon=f"{days}d",
        window="1h",
        traffic={"rate": "1M/d", "daily_profile": PROFILE},
        serving={
            "pools": [
                {
                    "replicas": 3,
                    "service": {"kind": "lognormal", "median": "40ms", "p95": "85ms"},
                    "autoscaler": AUTOSCALERS[autoscaler],
                }
            ],
            "path": {
                "network": {"kind": "lognormal", "median": "10ms", "p95": "25ms"},
                "feature_fetch": {"kind": "lognormal", "median": "10ms", "p95": "20ms"},
                "parsing": "5ms",
                "post_processing": {"kind": "exponential", "mean": "5ms"},
                "serialisation": "3ms",
            },
            "objective": {"p99": "300ms"},
            "resolution": "exact",
        },
    )


def measure(days: float, autoscaler: str) -> dict[str, float]:
    run_fleet(fleet(1.0 / 12.0, autoscaler))
    start = time.process_time()
    summary = run_fleet(fleet(days, autoscaler)).summary
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return {"seconds": seconds, "requests": float(summary["requests"]), "peak_mb": peak}


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps(measure(float(sys.argv[1]), sys.argv[2])))
        return
    days = float(sys.argv[1]) if len(sys.argv) == 2 else DAYS
    print(f"{days:g} days of a million requests; target for {DAYS:g} days: {TARGET_S:g} s")
    for name in AUTOSCALERS:
        for length in (days / 10.0, days):
            done = subprocess.run(
                [sys.executable, __file__, str(length), name], check=True, capture_output=True, text=True
            )
            found = json.loads(done.stdout)
            rate = found["requests"] / found["seconds"] / 1e6
            print(
                f"{name:26} {length:6g} days {found['seconds']:7.1f} s {rate:6.2f} M requests/s "
                f"{found['peak_mb']:6.0f} MB at most",
                flush=True,
            )


if __name__ == "__main__":
    main()
