"""Streaming detectors that a monitor can use by name, with their parameters as the detectors name them.

What a detector reads follows from its kind and the metric: a control chart reads the standardised score of each
look; an error detector (DDM, EDDM, HDDM) reads each label as it arrives, 1 for a wrong answer; the others read
labels under an accuracy metric and standardised scores under a metric of distributions.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from scenarios.base import Component
from scenarios.units import PositiveCount, Real

Feed = Literal["looks", "errors", "either"]
Share = Annotated[Real, Field(gt=0, lt=1)]
Positive = Annotated[Real, Field(gt=0)]


class _Chart(Component):
    feed: ClassVar[Feed] = "looks"


class _ErrorDetector(Component):
    feed: ClassVar[Feed] = "errors"


class _StreamDetector(Component):
    feed: ClassVar[Feed] = "either"


class Shewhart(_Chart):
    """Call when the standardised score of one look is beyond the limit; for accuracy this is the p-chart."""

    kind: Literal["shewhart"]
    limit: Positive = Field(default=3.0, description="control limit L in sd")
    sided: Literal["upper", "two"] = Field(
        default="upper", description="whether better calls as well as worse"
    )


class Cusum(_Chart):
    """Cumulative sums of the standardised score."""

    kind: Literal["cusum"]
    allowance: Annotated[Real, Field(ge=0)] = Field(default=0.5, description="allowance k in sd")
    decision_interval: Positive = Field(default=5.0, description="decision interval h in sd")
    sided: Literal["upper", "two"] = Field(
        default="upper", description="whether better calls as well as worse"
    )
    head_start: Annotated[Real, Field(ge=0)] = Field(default=0.0, description="where the sums start, in sd")

    @model_validator(mode="after")
    def _starts_below_its_limit(self) -> Self:
        if self.head_start >= self.decision_interval:
            raise ValueError(f"head_start must be below decision_interval ({self.decision_interval:g})")
        return self


class Ewma(_Chart):
    """Exponentially weighted moving average of the standardised score."""

    kind: Literal["ewma"]
    lambda_val: Annotated[Real, Field(gt=0, le=1)] = Field(
        default=0.1, description="weight of the newest look"
    )
    limit: Positive = Field(default=2.814, description="control limit L in sd of the average")
    sided: Literal["upper", "two"] = Field(
        default="upper", description="whether better calls as well as worse"
    )
    exact_limits: bool = Field(default=False, description="limits that widen from the start")


class PageHinkley(_StreamDetector):
    """Page-Hinkley test."""

    kind: Literal["page_hinkley"]
    min_instances: PositiveCount = Field(default=30, description="no call from fewer values")
    delta: Annotated[Real, Field(ge=0)] = Field(default=0.005, description="changes that are allowed for")
    threshold: Positive = Field(default=50.0, description="threshold lambda")
    alpha: Annotated[Real, Field(gt=0, le=1)] = Field(default=0.9999, description="forgetting factor")
    mode: Literal["up", "down", "both"] = Field(default="both", description="which way values may move")


class Adwin(_StreamDetector):
    """Adaptive windowing."""

    kind: Literal["adwin"]
    delta: Share = Field(default=0.002, description="significance")
    clock: PositiveCount = Field(default=32, description="values between two checks")
    max_buckets: Annotated[PositiveCount, Field(ge=2)] = Field(default=5, description="buckets of one size")
    min_window_length: PositiveCount = Field(default=5, description="shortest part that is compared")
    grace_period: PositiveCount = Field(default=10, description="no call before this many values")


class Kswin(_StreamDetector):
    """Kolmogorov-Smirnov test of the newest part of a sliding window."""

    kind: Literal["kswin"]
    alpha: Share = Field(default=0.005, description="significance")
    window_size: PositiveCount = Field(default=100, description="values in the window")
    stat_size: PositiveCount = Field(default=30, description="values in the newest part")
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="which older values are drawn")

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if 2 * self.stat_size > self.window_size:
            raise ValueError(f"stat_size must be at most half of window_size ({self.window_size})")
        return self


class Ddm(_ErrorDetector):
    """Drift detection method: the error rate against its minimum."""

    kind: Literal["ddm"]
    warm_start: PositiveCount = Field(default=30, description="no call from fewer labels")
    warning_threshold: Positive = Field(default=2.0, description="warning level in sd")
    drift_threshold: Positive = Field(default=3.0, description="level of a call in sd")

    @model_validator(mode="after")
    def _warns_first(self) -> Self:
        if self.drift_threshold < self.warning_threshold:
            raise ValueError(
                f"drift_threshold must not be below warning_threshold ({self.warning_threshold:g})"
            )
        return self


class Eddm(_ErrorDetector):
    """Early drift detection method: the distance between errors against its maximum."""

    kind: Literal["eddm"]
    warm_start: PositiveCount = Field(default=30, description="no call from fewer errors")
    alpha: Share = Field(default=0.95, description="warning level")
    beta: Share = Field(default=0.9, description="level of a call")

    @model_validator(mode="after")
    def _warns_first(self) -> Self:
        if self.beta > self.alpha:
            raise ValueError(f"beta must not be above alpha ({self.alpha:g})")
        return self


class _Hoeffding(_ErrorDetector):
    drift_confidence: Share = Field(default=0.001, description="significance of a call")
    warning_confidence: Share = Field(default=0.005, description="significance of a warning")
    two_sided_test: bool = Field(default=False, description="call on better accuracy as well")

    @model_validator(mode="after")
    def _warns_first(self) -> Self:
        if self.warning_confidence < self.drift_confidence:
            raise ValueError(
                f"warning_confidence must not be below drift_confidence ({self.drift_confidence:g})"
            )
        return self


class HddmA(_Hoeffding):
    """Hoeffding's bound on averages."""

    kind: Literal["hddm_a"]


class HddmW(_Hoeffding):
    """Hoeffding's (McDiarmid's) bound on weighted averages."""

    kind: Literal["hddm_w"]
    lambda_val: Share = Field(default=0.05, description="weight of the newest label")


def _named(given: Any) -> Any:
    return {"kind": given} if isinstance(given, str) else given


_Any = Shewhart | Cusum | Ewma | PageHinkley | Adwin | Kswin | Ddm | Eddm | HddmA | HddmW
Name = Literal[
    "shewhart", "cusum", "ewma", "page_hinkley", "adwin", "kswin", "ddm", "eddm", "hddm_a", "hddm_w"
]
DETECTORS: tuple[str, ...] = get_args(Name)
Detector = Annotated[
    Annotated[_Any, Field(discriminator="kind")], BeforeValidator(_named, json_schema_input_type=Name | _Any)
]
"""A detector: its name, or a mapping with its name as `kind` and its parameters."""
