"""A year of a fleet of devices with daily check-ins: processor time, time a check-in, peak memory, and linearity.

Run it by itself: python benchmarks/bench_edge.py [devices ...] (1e4 1e5 1e6; four minutes, one core). Batteries that
are charged most nights, two models, a network that comes and goes, reports, a release each quarter in three waves
that fails now and then; in one call to each moment at which something is decided, and once more day by day.

Time is processor time, which is what a core does on a machine that others use. Each size is a process of its own, so
that peak memory is its own; a few devices before it compile what is not in the cache. The plain fleet of the tests, one
SimPy process a device, is measured in the same run on a small fleet; to it both give the same answer.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import scenarios
from sim.devices import Devices
from sim.world import World

DAYS, TARGET_S, TARGET_MB = 365, 60.0, 2000.0
SIZES = (10_000, 100_000, 1_000_000)
FEW, FEW_DAYS = 60, 60
WAVES = ((0, 0.05), (7, 0.3), (14, 1.0))
DEVICE = {
    "name": "ring",
    "kind": "mobile",
    "inferences": "1k/d",
    "link": {"contact": "1d", "online": "6h", "offline": "6h", "bandwidth": "100 KB/s"},
    "power": {
        "kind": "rechargeable",
        "capacity": "675 mWh",
        "idle": "4 mW",
        "radio": "1 J",
        "check_in": "0.1 J",
        "install": "5 J",
        "charging": "500 mW",
        "plugged": "70%",
        "plugged_for": "1.5h",
    },
    "full": {"size": "2 MB", "energy": "100 mJ"},
    "simple": {"size": "100 KB", "energy": "5 mJ", "loss": "5%"},
}
OTA = {
    "differential": "90%",
    "corrupt": "1%",
    "failure": "2%",
    "brick": "0.01%",
    "permission": {"idle": "70%"},
}


def world_of(devices: int, days: int) -> World:
    edge = {
        "devices": [DEVICE | {"count": devices}],
        "ota": OTA,
        "reports": {"every": "7d", "opted_in": "30%"},
    }
    return World(scenarios.load("rotting_asset", horizon=f"{days}d", window="1d", edge=edge))


def decisions(days: int) -> Iterator[tuple[float, int, float]]:
    """Moment, version and share of each wave."""
    for quarter in range(0, days, 91):
        for after, share in WAVES:
            if quarter + after < days:
                yield float(quarter + after), quarter // 91 + 1, share


def live(fleet: Any, days: int, day_by_day: bool = False) -> float:
    """Seconds of the processor for that many days."""
    start = time.process_time()
    known = 0
    stops = [(float(day), 0, 0.0) for day in range(1, days)] if day_by_day else []
    for moment, version, share in sorted([*decisions(days), *stops]):
        fleet.advance(moment)
        if version > known:
            fleet.publish(version, np.uint64(version))
            known = version
        if version:
            fleet.open(version, share)
    fleet.advance(float(days))
    return time.process_time() - start


def array_fleet(devices: int, days: int) -> Devices:
    world = world_of(devices, days)
    assert world.scenario.edge is not None
    return Devices(world, world.scenario.edge)


def measure(devices: int) -> dict[str, float]:
    live(array_fleet(10, 2), 2)
    fleet = array_fleet(devices, DAYS)
    seconds = live(fleet, DAYS)
    traffic = fleet.traffic(0, DAYS)
    found = {
        "seconds": seconds,
        "check_ins": float(traffic["check_ins"].sum()),
        "installs": float(traffic["installs"].sum()),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
        "simple": float(fleet.mean_counts(0, DAYS)[..., 1].sum() / DAYS / devices),
    }
    del fleet
    return found | {"daily_seconds": live(array_fleet(devices, DAYS), DAYS, day_by_day=True)}


def seconds_a_device_day_of_simpy() -> float:
    from tests.reference.plain_devices import PlainDevices

    world = world_of(FEW, FEW_DAYS)
    assert world.scenario.edge is not None
    return live(PlainDevices(world, world.scenario.edge), FEW_DAYS) / FEW / FEW_DAYS


def main() -> None:
    if sys.argv[1:2] == ["measure"]:
        print(json.dumps(measure(int(sys.argv[2]))))
        return
    sizes = [int(float(size)) for size in sys.argv[1:]] or SIZES
    print(
        f"{DAYS} days, daily check-ins, battery, two models, quarterly releases in {len(WAVES)} waves; "
        f"target for 1M devices: {TARGET_S:g} s, {TARGET_MB:g} MB"
    )
    print(
        f"{'devices':>9} {'seconds':>8} {'us/device-year':>15} {'ns/check-in':>12} {'day by day':>11} {'peak MB':>8} "
        f"{'installs':>9} {'simple':>7}"
    )
    each = 0.0
    for devices in sizes:
        done = subprocess.run(
            [sys.executable, __file__, "measure", str(devices)], check=True, capture_output=True, text=True
        )
        found = json.loads(done.stdout)
        each = found["seconds"] / devices / DAYS
        print(
            f"{devices:9,} {found['seconds']:8.2f} {found['seconds'] / devices * 1e6:15.1f} "
            f"{found['seconds'] / found['check_ins'] * 1e9:12.0f} {found['daily_seconds']:10.2f}s "
            f"{found['peak_mb']:8.0f} {found['installs']:9,.0f} {found['simple']:7.1%}",
            flush=True,
        )
    plain = seconds_a_device_day_of_simpy()
    print(
        f"one SimPy process a device: {plain * 1e6:.0f} us a device and day, {plain / each:,.0f} times as long"
    )


if __name__ == "__main__":
    main()
