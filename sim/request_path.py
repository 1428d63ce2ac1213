"""The stages of a request besides inference: their times together, drawn for each request."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scenarios.distributions import Fixed
from scenarios.serving import RequestPath
from scenarios.units import SECONDS_PER_DAY
from sim.durations import mean, quantile
from sim.kernels.picking import pick

Array = NDArray[np.float64]
STAGES = ("network", "feature_fetch", "parsing", "post_processing", "serialisation")
TABLE = 1 << 16
"""Sums of the stages that are drawn once; each request takes one of them by its number."""


class PathTimes:
    """Seconds that requests spend outside their pool.

    The sum of all stages is drawn TABLE times for a run, stratified stage by stage, and each request takes one of these
    sums: their distribution is that of the sum to within about 1 / TABLE, and a year of requests costs one look each.
    """

    def __init__(self, path: RequestPath, luck: np.random.Generator, key: np.uint64) -> None:
        self.key = key
        laws = {name: getattr(path, name) for name in STAGES}
        self.means = {name: mean(law) * SECONDS_PER_DAY for name, law in laws.items()}
        """Mean seconds by stage."""
        self.fixed = sum(law.value for law in laws.values() if isinstance(law, Fixed)) * SECONDS_PER_DAY
        random = [law for law in laws.values() if not isinstance(law, Fixed)]
        self._table = np.zeros(TABLE if random else 0)
        for law in random:
            chance = (luck.permutation(TABLE) + luck.random(TABLE)) / TABLE
            self._table += quantile(law, np.minimum(chance, np.nextafter(1.0, 0.0))) * SECONDS_PER_DAY

    def of(self, number: NDArray[np.int64]) -> Array:
        """Seconds of the requests of these numbers, (n,)."""
        if not len(self._table):
            return np.full(len(number), self.fixed)
        return self.fixed + pick(self._table, number, self.key)
