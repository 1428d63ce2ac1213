"""NannyML's univariate drift, fitted before, of the whole table as one chunk."""

from __future__ import annotations

import sys

sys.path.append(sys.path.pop(0))  # this file has the name of the package it needs

import nannyml
import pandas as pd
from timing import FEATURES, ROWS, answer, tables

NAMES = [f"x{j}" for j in range(FEATURES)]
REFERENCE, CURRENT = (pd.DataFrame(table, columns=NAMES) for table in tables())
METHODS = {
    "js": "jensen_shannon",
    "hellinger": "hellinger",
    "ks": "kolmogorov_smirnov",
    "wasserstein": "wasserstein",
}


def fitted(method: str) -> nannyml.UnivariateDriftCalculator:
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=NAMES, continuous_methods=[method], chunk_size=ROWS
    )
    return calculator.fit(REFERENCE)


CALCULATORS = {score: fitted(method) for score, method in METHODS.items()}
answer("nannyml", {score: lambda c=c: c.calculate(CURRENT) for score, c in CALCULATORS.items()}, repeats=3)
