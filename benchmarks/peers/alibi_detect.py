"""Alibi Detect's KS drift of the whole table, its reference set before."""

from __future__ import annotations

import sys

sys.path.append(sys.path.pop(0))  # this file has the name of the package it needs

from alibi_detect.cd import KSDrift
from timing import answer, tables

REFERENCE, CURRENT = tables()
DETECTOR = KSDrift(REFERENCE)
answer("alibi-detect", {"ks": lambda: DETECTOR.feature_score(REFERENCE, CURRENT)}, repeats=1)
