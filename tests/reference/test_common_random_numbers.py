"""Common random numbers on the library's fraud scenario: what pairing the worlds gains."""

from __future__ import annotations

import pytest

import scenarios
from analysis.comparison import compare


@pytest.mark.slow
def test_differences_of_contenders_vary_at_least_five_times_less() -> None:
    # The gain is that of policies of like cost: what the crowds of a world do to both cancels. (Where one costs a
    # multiple of the other, its own variance is left over.) The ratio of 12 worlds has a spread of a factor 2.
    scenario = scenarios.load("fraud_detection")
    found = compare(scenario, ["scheduled:1d", "cost-aware:6h"], replications=12)
    for policy in {"scheduled:1d", "cost-aware:6h", "scheduled:best"} - {found.baseline}:
        assert found.variance_reduction(policy) >= 5.0, policy
