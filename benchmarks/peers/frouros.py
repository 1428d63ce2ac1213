"""Frouros, feature by feature, fitted before."""

from __future__ import annotations

import sys

sys.path.append(sys.path.pop(0))  # this file has the name of the package it needs

from collections.abc import Callable
from typing import Any

from frouros.detectors.data_drift import EMD, JS, KL, PSI, HellingerDistance, KSTest
from timing import FEATURES, answer, tables

REFERENCE, CURRENT = tables()
KINDS: dict[str, Callable[[], Any]] = {
    "psi": lambda: PSI(num_bins=10),
    "kl": lambda: KL(num_bins=10),
    "js": lambda: JS(num_bins=10),
    "hellinger": lambda: HellingerDistance(num_bins=10),
    "ks": KSTest,
    "wasserstein": EMD,
}


def fitted(kind: Callable[[], Any]) -> list[Any]:
    detectors = [kind() for _ in range(FEATURES)]
    for j, detector in enumerate(detectors):
        detector.fit(X=REFERENCE[:, j])
    return detectors


def compare(detectors: list[Any]) -> list[Any]:
    return [detector.compare(X=CURRENT[:, j]) for j, detector in enumerate(detectors)]


DETECTORS = {score: fitted(kind) for score, kind in KINDS.items()}
answer("frouros", {score: lambda d=d: compare(d) for score, d in DETECTORS.items()}, repeats=1)
