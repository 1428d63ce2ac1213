"""Time of the streaming detectors over a long stream, beside river and frouros, with their alarms compared.

Run it by itself: python benchmarks/bench_detectors.py (some minutes, one core). The stream is a million readings whose
level changes now and then: 0/1 errors for the detectors of error rates, Gaussian for the others. Ours takes the whole
array, checks of the readings included; river and frouros take one reading after the other, as they only can.

frouros is looked for in .venv-peers/frouros, a virtual environment of its own, because suites disagree on versions.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.kernels.detectors import DETECTORS

READINGS = 1_000_000
# Fewer where a reading takes long, and always the same time.
OUR_READINGS = {"kswin": 100_000}
RIVER_READINGS = {"kswin": 5_000, "hddm_a": 200_000, "hddm_w": 200_000}
SETTINGS: dict[str, dict[str, Any]] = {"kswin": {"seed": 1}}
TARGETS = dict.fromkeys(("page_hinkley", "ddm", "eddm", "hddm_a", "hddm_w", "kswin"), 70.0) | {"adwin": 9.0}
OUR_RUNS, PEER_RUNS = 15, 2

FROUROS = Path(__file__).parents[1] / ".venv-peers" / "frouros" / "bin" / "python"
FROUROS_NAMES = {
    "page_hinkley": "PageHinkley",
    "cusum": "CUSUM",
    "ddm": "DDM",
    "eddm": "EDDM",
    "hddm_a": "HDDMA",
    "hddm_w": "HDDMW",
    "adwin": "ADWIN",
    "kswin": "KSWIN",
}
# Runs in the other environment, times inside, and prints the nanoseconds a reading.
FROUROS_PROGRAM = """
import json, sys, time, warnings
import numpy as np
warnings.simplefilter("ignore")
from frouros.detectors import concept_drift
job = json.load(sys.stdin)
values = np.load(job["file"]).tolist()
times = {}
for name, (kind, readings) in job["detectors"].items():
    xs = values[job["binary"][name]][:readings]
    detector = getattr(concept_drift, kind)()
    try:
        start = time.perf_counter()
        for x in xs:
            detector.update(value=x)
            if detector.drift:
                detector.reset()
        times[name] = (time.perf_counter() - start) * 1e9 / readings
    except Exception as error:
        print(f"frouros {name}: {error}", file=sys.stderr)
print(json.dumps(times))
"""


def streams() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gaussian readings and 0/1 errors, a change of level every 50,000."""
    rng = np.random.default_rng(7)
    level = np.repeat(rng.normal(0.0, 0.5, READINGS // 50_000), 50_000)
    real = rng.normal(level)
    errors = (rng.random(READINGS) < 0.4 / (1.0 + np.exp(-3.0 * level))).astype(float)
    return real, errors


def river_detectors() -> dict[str, Callable[..., Any]]:
    from river import drift

    return {
        "page_hinkley": drift.PageHinkley,
        "ddm": drift.binary.DDM,
        "eddm": drift.binary.EDDM,
        "hddm_a": drift.binary.HDDMA,
        "hddm_w": drift.binary.HDDMW,
        "adwin": drift.ADWIN,
        "kswin": drift.KSWIN,
    }


def shortest(run: Callable[[], Any], runs: int) -> tuple[float, Any]:
    """Shortest time of several runs in seconds, and what the last returned."""
    times, returned = [], None
    gc.collect()
    gc.disable()
    for _ in range(runs):
        start = time.perf_counter()
        returned = run()
        times.append(time.perf_counter() - start)
    gc.enable()
    return min(times), returned


def ours(name: str, xs: NDArray[np.float64]) -> tuple[float, NDArray[np.int64]]:
    """Return nanoseconds a reading, and the alarms."""
    settings = SETTINGS.get(name, {})
    DETECTORS[name](**settings).update_many(xs[:1000])  # compiles
    seconds, alarms = shortest(lambda: DETECTORS[name](**settings).update_many(xs), OUR_RUNS)
    return seconds * 1e9 / xs.size, alarms


def rivers(name: str, make: Callable[..., Any], xs: NDArray[np.float64]) -> tuple[float, list[int]]:
    values = xs.tolist()

    def run() -> list[int]:
        detector, alarms = make(**SETTINGS.get(name, {})), []
        for i, x in enumerate(values):
            detector.update(x)
            if detector.drift_detected:
                alarms.append(i)
        return alarms

    seconds, alarms = shortest(run, PEER_RUNS)
    return seconds * 1e9 / len(values), alarms


def frouros(real: NDArray[np.float64], errors: NDArray[np.float64]) -> dict[str, float]:
    """Nanoseconds a reading of each of its detectors; empty when it is not installed."""
    if not FROUROS.exists():
        return {}
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, np.stack((real[:100_000] - real.min(), errors[:100_000])))  # it takes nothing negative
        file.flush()
        job = {
            "file": file.name,
            "detectors": {n: (k, 2_000 if n == "kswin" else 20_000) for n, k in FROUROS_NAMES.items()},
            "binary": {name: int(DETECTORS[name].domain != "real") for name in FROUROS_NAMES},
        }
        done = subprocess.run(
            [FROUROS, "-c", FROUROS_PROGRAM],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        print(f"frouros failed: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return {}
    print(done.stderr, end="", file=sys.stderr)
    return json.loads(done.stdout)


def main() -> None:
    real, errors = streams()
    try:
        makes = river_detectors()
    except ImportError:
        makes = {}
    others = frouros(real, errors)

    print(f"{READINGS:,} readings, ns a reading; river {'' if makes else 'not '}installed, ", end="")
    print(f"frouros {'' if others else 'not '}installed (with its own definitions and defaults)")
    head = f"{'detector':14}{'ours':>8}{'river':>10}{'ratio':>8}{'target':>8}"
    print(f"{head}{'alarms':>8}  {'equal':7}{'frouros':>9}{'ratio':>8}")
    for name, kind in DETECTORS.items():
        xs = (real if kind.domain == "real" else errors)[: OUR_READINGS.get(name, READINGS)]
        each, alarms = ours(name, xs)
        line = f"{name:14}{each:8.1f}"
        if name in makes:
            part = xs[: RIVER_READINGS.get(name, READINGS)]
            theirs, their_alarms = rivers(name, makes[name], part)
            equal = alarms[alarms < part.size].tolist() == their_alarms
            line += f"{theirs:10.0f}{theirs / each:8.1f}{TARGETS[name]:8.0f}"
            line += f"{len(their_alarms):8}  {'yes' if equal else 'NO':7}"
        else:
            line += f"{'-':>10}{'-':>8}{'-':>8}{alarms.size:8}  {'-':7}"
        line += f"{others[name]:9.0f}{others[name] / each:8.0f}" if name in others else f"{'-':>9}{'-':>8}"
        print(line)


if __name__ == "__main__":
    main()
