"""The ledger: every cost is posted when it happens, with a category."""

from __future__ import annotations

import math
from collections import defaultdict

import pandas as pd

CATEGORIES = (
    "staleness",
    "incident",
    "retrain_compute",
    "validation",
    "deployment",
    "ota",
    "risk",
    "monitoring",
    "monitoring_ingest",
    "monitoring_storage",
    "monitoring_query",
    "monitoring_alert",
    "labelling",
    "on_call",
    "review",
    "harm",
    "serving",
    "slo_penalty",
)
"""Categories in use, in the order of tables. Later rooms of the house add theirs here."""
WATCHING = CATEGORIES[CATEGORIES.index("monitoring") : CATEGORIES.index("labelling") + 1]
"""What watching takes from the purse whether or not anything happens."""
MONITORING = (*WATCHING, "on_call")
"""All that is the price of monitoring: also the time of the people whom it calls."""


class Ledger:
    """Costs in USD (or the scenario's currency) by category.

    >>> ledger = Ledger()
    >>> ledger.post("risk", 0.1); ledger.post("risk", 0.2); ledger.post("validation", 0.3)
    >>> ledger.by_category()["risk"], ledger.total()
    (np.float64(0.30000000000000004), 0.6000000000000001)
    """

    def __init__(self) -> None:
        self._entries: dict[str, list[float]] = defaultdict(list)

    def post(self, category: str, amount: float) -> None:
        """Add a cost. Raises KeyError for an unknown category, ValueError for an amount that is not finite."""
        if category not in CATEGORIES:
            raise KeyError(f"unknown cost category {category!r}, one of: {', '.join(CATEGORIES)}")
        if not math.isfinite(amount):
            raise ValueError(f"{category}: got {amount}, expected a finite amount")
        self._entries[category].append(amount)

    def by_category(self) -> pd.Series:
        """Costs by category, all categories present; each is the exactly rounded sum of its entries."""
        return pd.Series(
            [math.fsum(self._entries.get(category, ())) for category in CATEGORIES],
            index=list(CATEGORIES),
            name="cost",
            dtype="float64",
        )

    def total(self) -> float:
        """Sum of the categories, exactly rounded."""
        return math.fsum(self.by_category())
