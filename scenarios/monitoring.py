"""Monitors: what is watched, from how much data, and when it calls.

A trigger of the source's configuration (metric, threshold, window, features) is a monitor whose alarm asks for a
retraining, so both are written the same way. False alarms and missed drift follow from the noise of the rows
that are looked at; they are never parameters. Source: chapter, 'Triggered retraining', 'Feature distribution
monitoring'.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from scenarios.base import Component
from scenarios.units import Days, MoneyPerDay, PositiveCount, PositiveDays, Real

Metric = Literal[
    "accuracy",
    "slice_accuracy",
    "feature_drift_psi",
    "feature_drift_ks",
    "feature_drift_js",
    "prediction_distribution_shift",
]
METRICS: tuple[str, ...] = get_args(Metric)

DEFAULT_THRESHOLDS = {
    "accuracy": 0.05,
    "slice_accuracy": 0.05,
    "feature_drift_psi": 0.2,
    "feature_drift_ks": 0.1,
    "feature_drift_js": 0.1,
    "prediction_distribution_shift": 0.1,
}
"""Alert thresholds of the source's tables: a drop of accuracy, PSI, KS and JS."""


class Monitor(Component):
    """Looks at one metric at a cadence, over a trailing window, and calls when its rule is met."""

    metric: Metric = Field(description="what is measured")
    name: str = Field(default="", description="name in tables; the metric when absent")
    threshold: Annotated[Real, Field(gt=0)] | None = Field(
        default=None,
        description="call above this; accuracy: drop as a fraction (0.05), cusum: decision interval in sd; "
        "the source's alert threshold of the metric when absent",
    )
    window: PositiveDays | None = Field(
        default=None, description="data of this trailing window are pooled; 7d for accuracy, else the cadence"
    )
    cadence: PositiveDays | None = Field(
        default=None, description="time between two looks; 1d for accuracy, else one simulation window"
    )
    features: Literal["all"] | list[str] = Field(default="all", description="features looked at")
    aggregate: Literal["max", "mean"] = Field(
        default="max", description="score of several features: the worst one, or their mean"
    )
    slice: str | None = Field(default=None, description="the slice of slice_accuracy")
    rows: PositiveCount | None = Field(
        default=None,
        description="rows (labels, for accuracy) looked at per simulation window; 1000 rows or all labels",
    )
    reference_rows: PositiveCount = Field(
        default=100_000, description="training rows that the reference distribution was learned from"
    )
    bins: Annotated[PositiveCount, Field(ge=2, le=1000)] = Field(
        default=10, description="equal-frequency bins of the reference"
    )
    sampling: Literal["multinomial", "normal", "none"] = Field(
        default="multinomial",
        description="noise of the sampled counts: exact, its fast normal approximation, or none",
    )
    min_samples: PositiveCount = Field(default=100, description="no score from fewer rows or labels")
    cooldown: Days = Field(default=1.0, description="silence after an alarm")
    rule: Literal["threshold", "cusum", "staleness_cost"] = Field(
        default="threshold",
        description="call when the score is above the threshold; when a CUSUM of its standardised excess is; "
        "or when the money lost to staleness since deployment has reached the price of a retraining",
    )
    allowance: Annotated[Real, Field(ge=0)] = Field(
        default=0.5, description="CUSUM allowance k in sd of the score"
    )
    reference: Literal["validation", "first_window"] = Field(
        default="validation",
        description="accuracy to compare with: measured at validation, or in the first full window served",
    )
    cost: MoneyPerDay = Field(default=0.0, description="price of running this monitor, e.g. '$200/month'")

    @model_validator(mode="after")
    def _rule_fits_metric(self) -> Self:
        labelled = self.metric in ("accuracy", "slice_accuracy")
        if self.metric == "slice_accuracy" and self.slice is None:
            raise ValueError("slice_accuracy needs slice: the name of the slice it watches")
        if self.metric != "slice_accuracy" and self.slice is not None:
            raise ValueError(f"slice can be given only with metric: slice_accuracy, not with {self.metric}")
        if self.rule == "staleness_cost" and self.metric != "accuracy":
            raise ValueError(
                "rule staleness_cost needs metric: accuracy, because money is lost with accuracy"
            )
        if self.rule == "cusum" and not labelled:
            raise ValueError("rule cusum needs an accuracy metric")
        if self.reference_rows < self.bins:
            raise ValueError(
                f"reference_rows must be at least bins ({self.bins}), so that each bin has a row"
            )
        if labelled and self.features != "all":
            raise ValueError(f"features do not apply to metric {self.metric}")
        return self

    @property
    def label(self) -> str:
        """Name in tables and of the monitor's random stream."""
        if self.name:
            return self.name
        rule = "" if self.rule == "threshold" else f":{self.rule}"
        return (f"{self.metric}[{self.slice}]" if self.slice else self.metric) + rule

    @property
    def level(self) -> float:
        """Threshold in force."""
        if self.threshold is not None:
            return self.threshold
        return 5.0 if self.rule == "cusum" else DEFAULT_THRESHOLDS[self.metric]

    @property
    def needs_labels(self) -> bool:
        """Whether the score comes from ground truth."""
        return self.metric in ("accuracy", "slice_accuracy")
