"""Choices of a random scenario, from its number."""

from __future__ import annotations

from typing import Any

import numpy as np


class Dice:
    """Choices of one scenario."""

    def __init__(self, number: int, subject: int = 20_000) -> None:
        self.rng = np.random.default_rng([subject, number])

    def one(self, *options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def real(self, low: float, high: float) -> float:
        return round(float(self.rng.uniform(low, high)), 4)

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def some(self, *options: Any) -> list[Any]:
        """One or more of them, in their order."""
        taken = self.rng.random(len(options)) < 0.5
        taken[int(self.rng.integers(len(options)))] = True
        return [option for option, wanted in zip(options, taken, strict=True) if wanted]


def hours(number: float) -> str:
    return f"{number!r}h"
