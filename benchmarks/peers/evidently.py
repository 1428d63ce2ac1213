"""Evidently's drift report of the whole table, one score at a time."""

from __future__ import annotations

import sys

sys.path.append(sys.path.pop(0))  # this file has the name of the package it needs

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from timing import FEATURES, answer, tables

NAMES = [f"x{j}" for j in range(FEATURES)]
DEFINITION = DataDefinition(numerical_columns=NAMES)
REFERENCE, CURRENT = (
    Dataset.from_pandas(pd.DataFrame(table, columns=NAMES), data_definition=DEFINITION) for table in tables()
)
METHODS = {"psi": "psi", "kl": "kl_div", "js": "jensenshannon", "ks": "ks", "wasserstein": "wasserstein"}


def report(method: str) -> object:
    return Report([DataDriftPreset(num_method=method)]).run(CURRENT, REFERENCE).dict()


answer("evidently", {score: lambda m=method: report(m) for score, method in METHODS.items()}, repeats=1)
