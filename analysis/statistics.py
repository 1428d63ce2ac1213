"""What replications say: intervals, comparisons, plans, steady state, variance reduction.

The public door: each subject has a file of its own, named beside the import. Ranking and selection is in
`analysis.selection`.
"""

from __future__ import annotations

from analysis.intervals import (
    LEVEL,
    Interval,
    independent_interval,
    mean_interval,
    paired_interval,
    probability_negative,
)
from analysis.multiple_comparisons import (
    BestComparisons,
    Differences,
    all_pairs,
    bonferroni_level,
    holm,
    with_best,
    with_control,
)
from analysis.replication_planning import Plan, SequentialRun, plan_replications, replicate_until_precise
from analysis.skewed_intervals import bootstrap_interval, quantile_interval, studentised_interval
from analysis.steady_state import BatchMeans, WarmUp, batch_means, mser
from analysis.variance_reduction import (
    Reduced,
    antithetic_mean,
    controlled_mean,
    variance_reduction,
)

__all__ = [
    "LEVEL",
    "BatchMeans",
    "BestComparisons",
    "Differences",
    "Interval",
    "Plan",
    "Reduced",
    "SequentialRun",
    "WarmUp",
    "all_pairs",
    "antithetic_mean",
    "batch_means",
    "bonferroni_level",
    "bootstrap_interval",
    "controlled_mean",
    "holm",
    "independent_interval",
    "mean_interval",
    "mser",
    "paired_interval",
    "plan_replications",
    "probability_negative",
    "quantile_interval",
    "replicate_until_precise",
    "studentised_interval",
    "variance_reduction",
    "with_best",
    "with_control",
]
