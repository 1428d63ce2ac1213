"""River's KS of one feature, a pair of values at a time: what it has for two samples; half a per cent of the rows."""

from __future__ import annotations

import sys

sys.path.append(sys.path.pop(0))  # this file has the name of the package it needs

from river import stats
from timing import ROWS, answer, tables

PART = ROWS // 200
REFERENCE, CURRENT = ([float(x) for x in table[:PART, 0]] for table in tables())


def stream() -> float:
    score = stats.KolmogorovSmirnov(statistic="ks")
    for x, y in zip(REFERENCE, CURRENT, strict=True):
        score.update(x, y)
    return score.get()


answer("river", {"ks of 500 rows, 1 feature": stream}, repeats=1)
