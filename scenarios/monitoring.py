"""Monitors: what is watched, from how much data, and when it calls.

A trigger of the source's configuration (metric, threshold, window, features) is a monitor whose alarm asks for a
retraining, so both are written the same way. False alarms and missed drift follow from the noise of the rows
that are looked at; they are never parameters. Source: chapter, 'Triggered retraining', 'Feature distribution
monitoring'.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self, TypeGuard, get_args

from pydantic import Field, model_validator

from scenarios.base import Component
from scenarios.detectors import Detector
from scenarios.units import (
    DAYS_PER_YEAR,
    Days,
    Fraction,
    Level,
    MoneyPerDay,
    PositiveCount,
    PositiveDays,
    PositivePerDay,
    Real,
)

Score = Literal[
    "psi",
    "kl",
    "js",
    "js_distance",
    "ks",
    "wasserstein",
    "hellinger",
    "chi_square",
    "total_variation",
    "mmd",
]
SCORES: tuple[str, ...] = get_args(Score)

Metric = Literal[
    "accuracy",
    "slice_accuracy",
    "feature_drift_psi",
    "feature_drift_kl",
    "feature_drift_js",
    "feature_drift_js_distance",
    "feature_drift_ks",
    "feature_drift_wasserstein",
    "feature_drift_hellinger",
    "feature_drift_chi_square",
    "feature_drift_total_variation",
    "feature_drift_mmd",
    "prediction_distribution_shift",
    "signal",
    "truth",
]
METRICS: tuple[str, ...] = get_args(Metric)

DEFAULT_DROP = 0.05
"""Alert threshold of the source for a drop of accuracy."""
SOURCE_THRESHOLDS = {"psi": 0.2, "ks": 0.1, "js": 0.1}
"""Alert thresholds of the source's table of feature distributions; it has none for the other scores."""
CUSUM_INTERVAL = 5.0
"""Usual decision interval of a CUSUM, in standard deviations."""
ONE_A_QUARTER = 4.0 / DAYS_PER_YEAR
"""False alarms a day that the rule `significance` accepts unless told otherwise."""

_NOT_OF_TRUTH = ("rule", "threshold", "cadence", "window", "rows", "sampling_rate", "cost")
# Rules that use each look once: trailing windows that overlap would count the same rows again.
_ONCE = ("cusum", "detector")


class AdaptiveLimits(Component):
    """Control limits from the monitor's own past: mean + deviations x standard deviation of a trailing window."""

    trailing: PositiveDays = Field(default=28.0, description="looks of this trailing time set the limit")
    deviations: Annotated[Real, Field(gt=0)] = Field(
        default=3.0, description="standard deviations above the mean at which it calls"
    )
    season: Literal["none", "daily", "weekly"] = Field(
        default="none",
        description="the mean is taken over looks at the same time of the day or week only, once there are two",
    )
    min_looks: Annotated[PositiveCount, Field(ge=2)] = Field(
        default=14,
        description="no limit from fewer looks: threshold holds until then, or nothing where it is absent",
    )

    @property
    def season_length(self) -> float:
        """Days; 0 without a season."""
        return {"none": 0.0, "daily": 1.0, "weekly": 7.0}[self.season]


class Monitor(Component):
    """Looks at one metric at a cadence, over a trailing window, and calls when its rule is met."""

    metric: Metric = Field(description="what is measured")
    name: str = Field(default="", description="name in tables; the metric when absent")
    threshold: Annotated[Level, Field(gt=0)] | None = Field(
        default=None,
        description="call above this; accuracy: drop as a fraction (0.05 or 5%), cusum: decision interval in sd, "
        "adaptive: until it has limits of its own; the source's alert threshold of the metric when absent",
    )
    window: PositiveDays | None = Field(
        default=None, description="data of this trailing window are pooled; 7d for accuracy, else the cadence"
    )
    cadence: PositiveDays | None = Field(
        default=None, description="time between two looks; 1d for accuracy, else one simulation window"
    )
    features: Literal["all"] | Annotated[list[str], Field(min_length=1)] = Field(
        default="all", description="features looked at"
    )
    aggregate: Literal["max", "mean"] = Field(
        default="max", description="score of several features: the worst one, or their mean"
    )
    score: Score | None = Field(
        default=None, description="score of prediction_distribution_shift; js when absent"
    )
    slice: str | None = Field(default=None, description="the slice of slice_accuracy")
    signal: str | None = Field(default=None, description="metric signal: name of the signal it watches")
    measure: Literal["level", "change"] | None = Field(
        default=None,
        description="metric signal: its level, or its relative change from the usual value; level for proportions and "
        "freshness, else change",
    )
    direction: Literal["up", "down", "both"] | None = Field(
        default=None,
        description="metric signal: which way is bad; down for throughput and lift, else up",
    )
    deadline: PositiveDays | None = Field(
        default=None, description="of a freshness signal, in place of threshold: call when data are older"
    )
    rows: PositiveCount | None = Field(
        default=None,
        description="rows (labels, for accuracy) looked at per simulation window; 1000 rows or all labels",
    )
    sampling_rate: Annotated[Fraction, Field(gt=0)] | None = Field(
        default=None, description="share of the requests looked at, instead of a number of rows"
    )
    hit_sampling_rate: Annotated[Fraction, Field(gt=0)] | None = Field(
        default=None,
        description="dynamic sampling of a proportion: share looked at of the requests that show what it counts (all "
        "errors), beside sampling_rate of the others (1 % of the successes)",
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
    rule: Literal["threshold", "cusum", "staleness_cost", "significance", "adaptive", "detector"] = Field(
        default="threshold",
        description="call when the score is above the threshold (threshold) or above limits from its own past "
        "(adaptive); when chance alone would call as rarely as false_alarms says (significance); when a CUSUM of "
        "the standardised scores or another detector does; or when the money lost to staleness since deployment has "
        "reached the price of a retraining (staleness_cost)",
    )
    detector: Detector | None = Field(
        default=None, description="a streaming detector by name, or with its parameters"
    )
    false_alarms: PositivePerDay | None = Field(
        default=None,
        description="rule significance: false alarms accepted while nothing changes, e.g. '4/y'; one a quarter",
    )
    correction: Literal["family_wise", "benjamini_hochberg"] | None = Field(
        default=None,
        description="p-values of several features are put together by Sidak's family-wise rule or by that of "
        "Benjamini and Hochberg; family_wise",
    )
    limits: AdaptiveLimits | None = Field(default=None, description="rule adaptive: how its limits are set")
    allowance: Annotated[Real, Field(ge=0)] = Field(
        default=0.5, description="CUSUM allowance k in sd of the score"
    )
    reference: Literal["validation", "first_window"] = Field(
        default="validation",
        description="accuracy to compare with: measured at validation, or in the first full window served",
    )
    cost: MoneyPerDay = Field(default=0.0, description="price of running this monitor, e.g. '$200/month'")

    @model_validator(mode="before")
    @classmethod
    def _detector_is_a_rule(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("detector") is not None and "rule" not in given:
            return given | {"rule": "detector"}
        return given

    @model_validator(mode="after")
    def _metric_fits(self) -> Self:
        if self.metric == "slice_accuracy" and self.slice is None:
            raise ValueError("slice_accuracy needs slice: the name of the slice it watches")
        if self.metric != "slice_accuracy" and self.slice is not None:
            raise ValueError(f"slice can be given only with metric: slice_accuracy, not with {self.metric}")
        if (self.signal is None) == (self.metric == "signal"):
            raise ValueError("signal: give the name of a signal with metric: signal, and only there")
        for field in ("measure", "direction", "deadline", "hit_sampling_rate"):
            if getattr(self, field) is not None and self.metric != "signal":
                raise ValueError(f"{field} applies to metric signal, not to {self.metric}")
        if self.metric == "truth":
            given = [field for field in _NOT_OF_TRUTH if self._changed(field)]
            if given:
                raise ValueError(
                    f"{given[0]} does not apply to metric truth: it is free, at once and never errs"
                )
        self._sampling_fits()
        if self.score is not None and self.metric != "prediction_distribution_shift":
            raise ValueError(f"score applies to prediction_distribution_shift, not to metric {self.metric}")
        if self.reference_rows < self.bins:
            raise ValueError(
                f"reference_rows must be at least bins ({self.bins}), so that each bin has a row"
            )
        if self.needs_labels and self.features != "all":
            raise ValueError(f"features do not apply to metric {self.metric}")
        if len(set(self.features)) < len(self.features) and self.features != "all":
            raise ValueError(f"features: one is there twice in {', '.join(self.features)}")
        return self

    def _sampling_fits(self) -> None:
        if self.rows is not None and self.sampling_rate is not None:
            raise ValueError("give rows or sampling_rate, not both")
        if self.sampling_rate is not None and self.needs_labels:
            raise ValueError("sampling_rate does not apply to labels: give rows, or the coverage of labels")
        if self.hit_sampling_rate is not None and self.sampling_rate is None:
            raise ValueError("hit_sampling_rate needs sampling_rate: the share of all other requests")
        if self.hit_sampling_rate is not None and self.hit_sampling_rate < (self.sampling_rate or 0.0):
            raise ValueError(
                f"hit_sampling_rate must not be below sampling_rate ({self.sampling_rate:g}): hits are kept more often"
            )
        if self.deadline is not None and self.threshold is not None:
            raise ValueError("give deadline or threshold, not both")
        if self.metric in ("signal", "truth") and self.features != "all":
            raise ValueError(f"features do not apply to metric {self.metric}")

    @model_validator(mode="after")
    def _rule_fits(self) -> Self:
        if self.rule == "staleness_cost" and self.metric != "accuracy":
            raise ValueError(
                "rule staleness_cost needs metric: accuracy, because money is lost with accuracy"
            )
        self._rule_has_its_fields()
        if self.rule in ("significance", "detector", "cusum") and not self.needs_labels:
            if self.needs_features and self.aggregate == "mean":
                raise ValueError(f"aggregate mean does not apply to rule {self.rule}: it judges each feature")
            if self.sampling == "none":
                raise ValueError(
                    f"sampling none does not fit rule {self.rule}: without noise nothing is rare"
                )
        if self.detector is not None and self.detector.feed == "errors" and not self.needs_labels:
            raise ValueError(
                f"detector {self.detector.kind} needs an accuracy metric: it reads right and wrong answers"
            )
        if self.reads_labels and self.sampling == "none":
            raise ValueError("sampling none does not fit a detector that reads labels one by one")
        if self.needs_labels and self.compares_with(self.threshold):
            check_fall("threshold", "accuracy", self.threshold)
        # Which field a signal's monitor misses hangs on the kind of signal: `check_signal_monitor` knows it.
        if self.rule == "threshold" and math.isnan(self.level) and self.signal is None:
            raise ValueError(
                f"threshold is missing: the source has none for {self.metric}; give one, or another rule such as "
                "significance"
            )
        return self

    def _rule_has_its_fields(self) -> None:
        """Fields of one rule are refused beside another."""
        if self.rule == "detector" and self.detector is None:
            raise ValueError("detector is missing: rule detector needs its name")
        if self.rule != "detector" and self.detector is not None:
            raise ValueError(f"detector does not apply to rule {self.rule}")
        for field, rules in (("false_alarms", ("significance",)), ("limits", ("adaptive",))):
            if getattr(self, field) is not None and self.rule not in rules:
                raise ValueError(f"{field} applies to rule {rules[0]}, not to {self.rule}")
        if self._changed("allowance") and self.rule != "cusum":
            raise ValueError(f"allowance applies to rule cusum, not to {self.rule}")
        for field in ("window", "min_samples"):
            if self.reads_labels and self._changed(field):
                raise ValueError(f"{field} does not apply to a detector that reads every label by itself")
        if self.correction is not None and self.rule not in ("significance", "cusum", "detector"):
            raise ValueError(f"correction does not apply to rule {self.rule}")
        if self.correction is not None and not self.needs_features:
            raise ValueError(f"correction is for several features, metric {self.metric} has one score")
        if self.rule in ("significance", "detector") and self.threshold is not None:
            raise ValueError(f"threshold does not apply to rule {self.rule}")

    def _changed(self, field: str) -> bool:
        """Whether a field is not at its default: a scenario that was written out and read again names all of them."""
        return bool(getattr(self, field) != type(self).model_fields[field].default)

    @property
    def label(self) -> str:
        """Name in tables and of the monitor's random stream."""
        if self.name:
            return self.name
        if self.signal is not None:
            return self.signal
        rule = "" if self.rule == "threshold" else f":{self.detector.kind if self.detector else self.rule}"
        return (f"{self.metric}[{self.slice}]" if self.slice else self.metric) + rule

    @property
    def level(self) -> float:
        """Threshold in force; NaN where the rule has none of its own."""
        if self.metric == "truth":
            return 0.0
        if self.deadline is not None:
            return self.deadline
        if self.threshold is not None:
            return self.threshold
        if self.rule == "cusum":
            return CUSUM_INTERVAL
        if self.rule == "adaptive":
            return math.inf  # until there is a limit
        found = self._source_threshold
        return math.nan if found is None or self.rule in ("significance", "detector") else found

    @property
    def drift_score(self) -> str:
        """Name of the score of feature or prediction distributions."""
        return self.score or (
            "js"
            if self.metric == "prediction_distribution_shift"
            else self.metric.removeprefix("feature_drift_")
        )

    @property
    def accepted_false_alarms(self) -> float:
        """False alarms a day that rule `significance` accepts."""
        return ONE_A_QUARTER if self.false_alarms is None else self.false_alarms

    @property
    def needs_labels(self) -> bool:
        """Whether the score comes from ground truth."""
        return self.metric in ("accuracy", "slice_accuracy")

    @property
    def needs_features(self) -> bool:
        """Whether the score comes from the distribution of inputs or predictions."""
        return self.metric.startswith("feature_drift") or self.metric == "prediction_distribution_shift"

    @property
    def reads_labels(self) -> bool:
        """Whether a detector reads labels one by one, instead of one score a look."""
        return self.detector is not None and self.needs_labels and self.detector.feed != "looks"

    @property
    def uses_looks_once(self) -> bool:
        """Whether the rule adds looks up, so that their trailing windows must not overlap."""
        return self.rule in _ONCE

    def compares_with(self, threshold: float | None) -> TypeGuard[float]:
        """Whether scores themselves are compared with the threshold, which for cusum is in standard deviations."""
        return threshold is not None and self.rule in ("threshold", "adaptive")

    @property
    def _source_threshold(self) -> float | None:
        return DEFAULT_DROP if self.needs_labels else SOURCE_THRESHOLDS.get(self.drift_score)


def check_fall(place: str, what: str, threshold: float) -> None:
    """Raise ValueError, naming `place`, for a fall of all that there is, or of more."""
    if threshold < 1.0:
        return
    meant = (
        f"write {threshold / 100.0:g} or {threshold:g}%" if 1.0 < threshold < 100.0 else "such as 0.1 or 10%"
    )
    raise ValueError(
        f"{place}: {threshold:g} would be a fall of {what} by {100.0 * threshold:g} %, which never happens: expected "
        f"less than 1, {meant}"
    )
