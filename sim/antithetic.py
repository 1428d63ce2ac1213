"""Mirror images of random streams: what is large in a world is small in its mirror (antithetic variates).

A pair of a world and its mirror is worth more than two worlds where the result rises or falls with the numbers drawn.
It is worth less where the result depends on their squares, as a loss by symmetric drift does: both members of the
pair are then lucky or unlucky together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import pdtr, pdtrik

_LAST = 1.0 - 2.0**-53
"""The largest number that `random` gives."""


class Mirrored(np.random.Generator):
    """A generator whose uniform, standard normal and Poisson numbers mirror those of a plain one.

    u becomes 1 - u, z becomes -z, a Poisson count of probability u the count of probability 1 - u; each has its right
    distribution. Other distributions are drawn as the plain generator would.

    >>> plain = np.random.Generator(np.random.PCG64(0))
    >>> mirrored = Mirrored(np.random.PCG64(0), np.random.default_rng(1))
    >>> bool(plain.standard_normal() == -mirrored.standard_normal())
    True
    """

    def __init__(self, bits: np.random.BitGenerator, ties: np.random.Generator) -> None:
        """bits: as for the plain generator; ties: where within the probability of a count its mirror starts."""
        super().__init__(bits)
        self._ties = ties

    def random(self, *args: Any, **kwargs: Any) -> Any:
        """Uniform on [0, 1), arguments as in numpy."""
        return _LAST - super().random(*args, **kwargs)

    def standard_normal(self, *args: Any, **kwargs: Any) -> Any:
        """Standard normal, arguments as in numpy."""
        return -super().standard_normal(*args, **kwargs)

    def poisson(self, lam: Any = 1.0, size: Any = None) -> Any:
        """Poisson counts, arguments as in numpy."""
        count = super().poisson(lam, size)
        below = np.where(count > 0, pdtr(np.maximum(count - 1.0, 0.0), lam), 0.0)
        probability = below + self._ties.random(np.shape(count)) * (pdtr(count, lam) - below)
        mirror = poisson_quantile(1.0 - probability, lam)
        return int(mirror) if np.ndim(mirror) == 0 else mirror


def poisson_quantile(probability: ArrayLike, mean: ArrayLike) -> Any:
    """Smallest count whose cumulative Poisson probability is at least `probability` (in [0, 1)), whole numbers.

    >>> poisson_quantile([0.0, 0.5, 0.9], 3.0)
    array([0, 3, 5])
    """
    q, m = np.broadcast_arrays(np.minimum(probability, _LAST), np.asarray(mean, dtype=np.float64))
    positive = q > np.exp(-m)
    count = np.where(positive, np.ceil(pdtrik(np.where(positive, q, 0.5), np.where(positive, m, 1.0))), 0.0)
    # The inverse is rounded: step back where one count fewer is enough, forth where this one is not.
    count = np.where((count > 0) & (pdtr(np.maximum(count - 1.0, 0.0), m) >= q), count - 1.0, count)
    count = np.where(pdtr(count, m) < q, count + 1.0, count)
    return count.astype(np.int64)
