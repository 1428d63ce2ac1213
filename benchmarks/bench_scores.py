"""Time of drift scores of a table of 50 features x 100,000 rows against NumPy, SciPy and monitoring suites.

Run it by itself on a quiet machine: python benchmarks/bench_scores.py [--peers DIR] (some minutes with all suites).

The suites pin different versions of NumPy and pandas, so each is timed in an environment of its own,
DIR/<suite>/bin/python (DIR is .venv-peers by default); one that is not there is named as not installed. Their usage
reporting is switched off. All see the same numbers, float64 in Fortran order, and are fitted beforehand where they can
be; ours uses all cores, as it does for its users. Times are the shortest of several runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import stats

from sim.kernels.reference import Reference
from sim.kernels.threads import in_threads, worker_count

HERE = Path(__file__).parent
sys.path.append(str(HERE / "peers"))

from timing import FEATURES, ROWS, shortest, tables  # noqa: E402  (of the peers' scripts: NumPy alone)

Array = NDArray[np.float64]

BINS = 10
SUITES = {
    "evidently": "evidently.py",
    "nannyml": "nannyml.py",
    "alibi-detect": "alibi_detect.py",
    "frouros": "frouros.py",
    "river": "river.py",
}
NO_REPORTING = {
    "DO_NOT_TRACK": "1",
    "NML_DISABLE_USAGE_LOGGING": "1",
    "NML_DISABLE_USER_ANALYTICS": "1",
}
SUITE_SECONDS = 300.0
TARGETS = {"NumPy": 50.0, "NumPy, bins both": 50.0, "SciPy": 25.0}
SUITE_TARGET = 5.0


class Peer(NamedTuple):
    who: str
    score: str
    """Name of ours that computes the same."""
    milliseconds: float


# --- NumPy and SciPy, feature by feature ---


def numpy_edges(reference: Array) -> list[Array]:
    levels = np.arange(1, BINS) / BINS
    return [
        np.concatenate(([-np.inf], np.quantile(reference[:, j], levels), [np.inf])) for j in range(FEATURES)
    ]


def numpy_shares(table: Array, edges: list[Array]) -> Iterator[Array]:
    for j in range(FEATURES):
        counts = np.histogram(table[:, j], bins=edges[j])[0]
        yield (counts + 0.5) / (ROWS + 0.5 * BINS)


def numpy_psi(e: Array, a: Array) -> float:
    return float(((a - e) * np.log(a / e)).sum())


def numpy_kl(e: Array, a: Array) -> float:
    return float((a * np.log(a / e)).sum())


def numpy_js(e: Array, a: Array) -> float:
    middle = (a + e) / 2
    return float((a * np.log(a / middle) + e * np.log(e / middle)).sum() / 2)


NUMPY: dict[str, Callable[[Array, Array], float]] = {"psi": numpy_psi, "kl": numpy_kl, "js": numpy_js}


def numpy_scores(names: list[str], current: Array, edges: list[Array], expected: list[Array]) -> Array:
    """Each score by itself, as a user who wants one would."""
    return np.array(
        [
            [NUMPY[name](e, a) for e, a in zip(expected, numpy_shares(current, edges), strict=True)]
            for name in names
        ]
    )


def numpy_with_fit(names: list[str], reference: Array, current: Array) -> Array:
    edges = numpy_edges(reference)
    return numpy_scores(names, current, edges, list(numpy_shares(reference, edges)))


def scipy_ks(reference: Array, current: Array) -> list[float]:
    return [stats.ks_2samp(reference[:, j], current[:, j]).statistic for j in range(FEATURES)]


def scipy_wasserstein(reference: Array, current: Array) -> list[float]:
    return [stats.wasserstein_distance(reference[:, j], current[:, j]) for j in range(FEATURES)]


# --- the suites ---


def suite_times(suite: str, folder: Path) -> list[Peer]:
    python = folder / suite / "bin" / "python"
    if not python.exists():
        print(f"{suite}: not installed (no {python})")
        return []
    command = [str(python), str(HERE / "peers" / SUITES[suite])]
    process = subprocess.Popen(
        command, env=os.environ | NO_REPORTING, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        out, errors = process.communicate(timeout=SUITE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
        print(f"{suite}: stopped after {SUITE_SECONDS:.0f} s, scores timed until then are shown")
    else:
        if process.returncode:
            print(f"{suite}: failed: {errors.strip().splitlines()[-1:]}")
    answers = [json.loads(line) for line in out.splitlines() if line.startswith('{"version"')]
    return [Peer(f"{suite} {answer['version']}", answer["score"], answer["ms"]) for answer in answers]


# --- ours, and the limit ---


@njit(nogil=True, fastmath={"reassoc"})
def total(values: NDArray[Any]) -> float:
    """Touch every value once, doing next to nothing with it."""
    result = 0.0
    for value in values:
        result += value
    return result


def our_runs(reference: Array, current: Array) -> dict[str, Callable[[], object]]:
    fitted = Reference.fit(reference, bins=BINS)
    flat = current.T.reshape(-1)
    shares = np.array_split(flat, worker_count(None))
    three = list(NUMPY)

    def with_fit() -> object:
        return Reference.fit(reference, bins=BINS, keep_sample=False).score_arrays(current, three)

    runs: dict[str, Callable[[], object]] = {"read the table": lambda: in_threads(total, shares, None)}
    for names in (
        *([name] for name in three),
        three,
        ["hellinger"],
        ["ks"],
        ["wasserstein"],
        ["ks", "wasserstein"],
    ):
        runs[" + ".join(names)] = lambda names=names: fitted.score_arrays(current, names)
    runs["psi + kl + js and fit"] = with_fit
    return runs


def check_agreement(reference: Array, current: Array) -> None:
    """The same numbers as the peers', else the race means nothing."""
    names = list(NUMPY)
    fitted = Reference.fit(
        reference, binning=dict(enumerate(edges[1:-1] for edges in numpy_edges(reference)))
    )
    ours = fitted.score_arrays(current, [*names, "ks", "wasserstein"])
    np.testing.assert_allclose(
        [ours[name] for name in names], numpy_with_fit(names, reference, current), atol=1e-12
    )
    np.testing.assert_allclose(ours["ks"], scipy_ks(reference, current), atol=1e-12)
    np.testing.assert_allclose(ours["wasserstein"], scipy_wasserstein(reference, current), atol=1e-12)


def library_times(reference: Array, current: Array) -> list[Peer]:
    edges = numpy_edges(reference)
    expected, three = list(numpy_shares(reference, edges)), list(NUMPY)
    peers = [
        Peer(
            "NumPy", " + ".join(names), shortest(lambda n=names: numpy_scores(n, current, edges, expected), 3)
        )
        for names in (*([name] for name in three), three)
    ]
    # Without an object that remembers the reference, a function of two tables bins both each time.
    peers += [
        Peer(
            "NumPy, bins both",
            name,
            shortest(
                lambda n=name: numpy_scores([n], current, edges, list(numpy_shares(reference, edges))), 3
            ),
        )
        for name in three
    ]
    peers.append(
        Peer("NumPy", "psi + kl + js and fit", shortest(lambda: numpy_with_fit(three, reference, current), 2))
    )
    both = [
        Peer("SciPy", "ks", shortest(lambda: scipy_ks(reference, current), 1)),
        Peer("SciPy", "wasserstein", shortest(lambda: scipy_wasserstein(reference, current), 1)),
    ]
    return [*peers, *both, Peer("SciPy", "ks + wasserstein", sum(peer.milliseconds for peer in both))]


def target(peer: Peer) -> float | None:
    if peer.score.endswith("and fit"):
        return None
    return TARGETS.get(peer.who, SUITE_TARGET)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, default=HERE.parent / ".venv-peers")
    folder = parser.parse_args().peers
    reference, current = tables()
    check_agreement(reference, current)
    # Twice, before and after the peers: the shorter counts, so that a passing load does not.
    runs = our_runs(reference, current)
    first = {name: shortest(run, 20) for name, run in runs.items()}
    peers = library_times(reference, current)
    for suite in SUITES:
        peers += suite_times(suite, folder)
    ours = {name: min(first[name], shortest(run, 20)) for name, run in runs.items()}

    print(f"{FEATURES} features x {ROWS} rows, float64, {BINS} bins, {worker_count(None)} cores; ms")
    print(f"{'score':24}{'ours':>10}  {'peer':22}{'peer ms':>10}{'ratio':>9}{'target':>9}")
    for peer in peers:
        if peer.score not in ours:
            print(f"{peer.score:24}{'':>10}  {peer.who:22}{peer.milliseconds:>10.1f}")
            continue
        ratio, wanted = peer.milliseconds / ours[peer.score], target(peer)
        verdict = "" if wanted is None else f"{wanted:>9.0f}" + ("" if ratio >= wanted else "  not reached")
        print(
            f"{peer.score:24}{ours[peer.score]:>10.2f}  {peer.who:22}{peer.milliseconds:>10.1f}{ratio:>9.1f}{verdict}"
        )
    values = ROWS * FEATURES
    counted, read = ours["psi + kl + js"], ours["read the table"]
    size, ns = values * 8 / 1e6, counted * 1e6 / values / BINS
    print(
        f"limit of binned scores: reading {size:.0f} MB takes {read:.2f} ms, {read / counted:.0%} of psi + kl + js;"
    )
    print(f"  {values * BINS / 1e6:.0f} million comparisons (9 edges and NaN) at {ns:.3f} ns each")
    print(
        f"limit of KS and W1: the sort, {ours['ks'] * 1e6 / values:.1f} ns a value with all that follows it"
    )


if __name__ == "__main__":
    main()
