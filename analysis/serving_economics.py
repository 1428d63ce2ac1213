"""What serving costs and how long it takes: per inference, along a chain of stages, beside a shadow.

Conventions as in `analysis.economics`, which has all of this under one name.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from analysis.ranges import FRACTION, NON_NEGATIVE, POSITIVE, Values, plain

SHADOW_SERVING_OVERHEAD = (0.10, 0.20)
"""Extra serving compute of a shadow deployment, as fractions, low and high. Source: 'Shadow Deployment'."""


def cost_per_thousand(*, hourly_gpu_usd: ArrayLike, inferences_per_hour: ArrayLike) -> Values:
    """USD per 1,000 inferences of a GPU that costs `hourly_gpu_usd` (>= 0).

    inferences_per_hour: > 0. Source: 'Cost-Per-Inference Tracking'.

    >>> round(cost_per_thousand(hourly_gpu_usd=3.0, inferences_per_hour=50_000), 6)
    0.06
    """
    hourly = NON_NEGATIVE.check("hourly_gpu_usd", hourly_gpu_usd)
    return plain(1000.0 * hourly / POSITIVE.check("inferences_per_hour", inferences_per_hour))


def latency_total(stages: Mapping[str, ArrayLike]) -> Values:
    """End-to-end latency of stages that follow one another, in the unit they are given in (each >= 0).

    Source: 'Latency Budget'.

    >>> latency_total({"network": 15, "feature_fetch": 25, "inference": 45, "post_processing": 15})
    100.0
    """
    return plain(sum((NON_NEGATIVE.check(name, stage) for name, stage in stages.items()), np.float64(0.0)))


def amdahl_speedup(*, share: ArrayLike, speedup: ArrayLike) -> Values:
    """Speed-up of the whole when a `share` in [0, 1] of its time gets `speedup` (> 0) times faster.

    Source: 'Latency Budget'.

    >>> round(amdahl_speedup(share=0.45, speedup=2), 4)
    1.2903
    """
    part = FRACTION.check("share", share)
    return plain(1.0 / ((1.0 - part) + part / POSITIVE.check("speedup", speedup)))
