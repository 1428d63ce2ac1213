"""Common random numbers on the library's fraud scenario: what pairing the worlds gains."""

from __future__ import annotations

import scenarios
from analysis.comparison import compare


def test_differences_of_contenders_vary_at_least_five_times_less() -> None:
    # The ratio of variances of 16 worlds is around 20; it has a spread of about a factor 2, so 5 is far below.
    scenario = scenarios.load("fraud_detection", horizon="90d")
    found = compare(scenario, ["scheduled:1d", "cost-aware:6h"], replications=16)
    for policy in {"scheduled:1d", "cost-aware:6h", "scheduled:best"} - {found.baseline}:
        assert found.variance_reduction(policy) >= 5.0, policy
