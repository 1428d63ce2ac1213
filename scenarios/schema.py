"""The scenario: everything that is simulated, in one validated, frozen object.

One model a subject: `drift`, `world` (quality, traffic, labels), `monitoring`, `pipeline`, `policies`. This module
puts them together and checks what only the whole can tell: that names exist and that times fit.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)

from scenarios.base import Component
from scenarios.care import Care, check_care
from scenarios.currency import check_currency
from scenarios.deployment import Deployment, Direct, check_deployment
from scenarios.drift import Drift
from scenarios.edge import Edge
from scenarios.edge_checks import check_edge, check_told
from scenarios.failure_checks import check_deadline, check_failures, check_signals
from scenarios.failures import Failure
from scenarios.menu import MenuEntry, check_menu
from scenarios.monitoring import AdaptiveLimits, Monitor
from scenarios.names import check_known, check_unique
from scenarios.on_call import check_on_call
from scenarios.pipeline import Pipeline
from scenarios.policies import Policy
from scenarios.response import Response
from scenarios.review import Review
from scenarios.serving import Serving
from scenarios.serving_checks import check_serving
from scenarios.signal_monitors import check_signal_monitor
from scenarios.signals import SOURCE_CADENCES, Layer, Signal
from scenarios.telemetry import Telemetry
from scenarios.topics import Topic
from scenarios.units import Accuracy, MoneyPerItem, PositiveDays, format_duration, shown
from scenarios.whole_windows import check_whole_windows
from scenarios.world import Feature, Labels, Quality, RecordedQuality, Slice, Traffic, none_from_word

MAX_WINDOWS = 2_000_000
MAX_CELLS = 200_000_000
TOLD = ("title", "topic", "story", "question", "source", "look_at")
"""Fields that tell people about the scenario and change no result."""
DEFAULT_POLICIES = ("never", "scheduled:best", "triggered", "cost-aware", "oracle")


def _features_from_count(value: Any) -> Any:
    """Read `features: 10` as ten features, and names as features of weight 1."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= 10_000:
            raise ValueError(f"got {value}, expected 0 to 10000 features")
        return [{"name": f"x{number}"} for number in range(1, value + 1)]
    if isinstance(value, list):
        return [{"name": item} if isinstance(item, str) else item for item in value]
    return value


class Scenario(Component):
    """A system, its world, its operations and the policies to compare.

    Times are in days, rates per day, money in units of `currency`, accuracies fractions. Files carry units as
    people write them.
    """

    title: str = Field(min_length=1, description="what the system is")
    topic: Topic | None = Field(default=None, description="part of the library in which it is listed")
    story: str = Field(default="", description="a paragraph of context")
    question: str = Field(default="", description="the main question")
    source: str = Field(default="", description="where the figures come from")
    look_at: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[], description="commands to try and what to look at in what they print"
    )
    horizon: PositiveDays = Field(default=365.0, description="simulated time")
    window: PositiveDays = Field(
        default=1 / 24, description="resolution of the data plane: the world is constant within a window"
    )
    currency: str = Field(
        default="USD", pattern="^[A-Z]{3}$", description="label of all money; the sign $ stands for it"
    )
    value_per_query_per_unit_accuracy: MoneyPerItem = Field(
        description="worth of accuracy going from 0 to 1, per request, e.g. '$0.50'"
    )
    reference_accuracy: Accuracy | None = Field(
        default=None,
        description="staleness is what accuracy falls short of this; initial accuracy, or 1 for recorded quality",
    )
    material_drop: Accuracy = Field(
        default=0.01, description="an alarm is false while the true accuracy has fallen less than this"
    )
    features: Annotated[
        list[Feature], BeforeValidator(_features_from_count, json_schema_input_type=int | list[str | Feature])
    ] = Field(default=[], description="a number, names, or names and weights")
    slices: list[Slice] = Field(default=[], description="cohorts; what is left over is the slice 'rest'")
    quality: Quality = Field(description="how accuracy follows from the world")
    drift: list[Drift] = Field(default=[], description="components of the world's change; they add up")
    traffic: Traffic = Field(description="requests over time")
    labels: Annotated[
        Labels | None, BeforeValidator(none_from_word, json_schema_input_type=Labels | str | None)
    ] = Field(default=Labels(), description="ground truth; 'none' when there is none")
    signals: list[Signal] = Field(
        default=[], description="what the system says about itself besides features, predictions and labels"
    )
    failures: list[Failure] = Field(default=[], description="what breaks, and which signals it moves")
    monitors: list[Monitor] = Field(
        default=[],
        description="what is watched, whatever the policy; alarms page people where there is a response",
    )
    triggers: list[Monitor] = Field(default=[], description="alarms that ask for a retraining")
    response: Response | None = Field(
        default=None, description="people who answer the pages of monitors; nobody when absent"
    )
    telemetry: Telemetry | None = Field(
        default=None, description="what metrics, storage, queries and alerts cost, and how their path fails"
    )
    menu: list[MenuEntry] = Field(
        default=[], description="what a monitoring budget can buy: options of monitors and of telemetry"
    )
    pipeline: Pipeline = Pipeline()
    deployment: Deployment = Field(
        default=Direct(), description="how a candidate goes live, and how one comes back"
    )
    serving: Serving | None = Field(
        default=None, description="GPU pools that answer the requests one by one; not simulated when absent"
    )
    care: Care | None = Field(
        default=None, description="patients whose treatment the model adjusts; not simulated when absent"
    )
    review: Review | None = Field(
        default=None, description="people who look at uncertain decisions; nobody does when absent"
    )
    edge: Edge | None = Field(
        default=None, description="devices in the field that answer the requests; none when absent"
    )
    policies: list[Policy] = Field(
        default_factory=lambda: _default_policies(), description="what `compare` compares"
    )
    overlays: dict[Annotated[str, Field(pattern=r"^[A-Za-z][\w-]*$")], dict[str, Any]] = Field(
        default={}, description="partial scenarios by name, for --overlay; checked when they are put over it"
    )

    _written: Any = PrivateAttr(default=None)
    _base_dir: Any = PrivateAttr(default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _remember(cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Keep what was written, so that `with_` can change it and validate the whole again."""
        scenario = handler(data)
        if isinstance(data, dict):
            check_currency(data, scenario.currency)
            scenario._written = data
            scenario._base_dir = (info.context or {}).get("base_dir")
        return scenario

    @property
    def windows(self) -> int:
        """Number of windows of the data plane."""
        return round(self.horizon / self.window)

    @property
    def loss_reference(self) -> float:
        """Accuracy from which staleness is counted."""
        if self.reference_accuracy is not None:
            return self.reference_accuracy
        return 1.0 if isinstance(self.quality, RecordedQuality) else self.quality.initial_accuracy

    @property
    def slice_names(self) -> tuple[str, ...]:
        """Names of the slices, with 'rest' for what they leave over; one slice 'all' when there are none."""
        if not self.slices:
            return ("all",)
        names = tuple(item.name for item in self.slices)
        return names if self._rest_weight() < 1e-9 else (*names, "rest")

    @property
    def slice_weights(self) -> tuple[float, ...]:
        """Share of the requests of each slice of `slice_names`; adds up to 1."""
        if not self.slices:
            return (1.0,)
        weights = tuple(item.weight for item in self.slices)
        return weights if self._rest_weight() < 1e-9 else (*weights, self._rest_weight())

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(feature.name for feature in self.features)

    def signal(self, name: str) -> Signal:
        """The signal of that name. Raises KeyError."""
        for signal in self.signals:
            if signal.name == name:
                return signal
        raise KeyError(name)

    def layer_of(self, monitor: Monitor) -> Layer | None:
        """Layer of monitoring that a monitor belongs to; None for the perfect one."""
        if monitor.signal is not None:
            return self.signal(monitor.signal).layer
        layers: dict[str, Layer] = {
            "accuracy": "accuracy",
            "slice_accuracy": "slices",
            "prediction_distribution_shift": "outputs",
        }
        return layers.get(monitor.metric, "features" if monitor.needs_features else None)

    def cadence_of(self, monitor: Monitor) -> float:
        """Days between two looks of a monitor: its own, or the usual one of what it watches."""
        if monitor.cadence is not None:
            return max(monitor.cadence, self.window)
        usual = 1.0 if monitor.needs_labels else self.window
        if monitor.signal is not None:
            usual = SOURCE_CADENCES.get(str(self.layer_of(monitor)), self.window)
            usual = math.ceil(usual / self.window - 1e-9) * self.window
        return max(usual, self.window)

    def __eq__(self, other: object) -> bool:
        """Equal when the content is, wherever it was read from."""
        return isinstance(other, Scenario) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash(self.hash())

    @property
    def first_policy(self) -> Policy:
        """The first of its policies, under which it is played when nobody asks for another; never without any."""
        from scenarios.policies import parse_policy

        return self.policies[0] if self.policies else parse_policy("never")

    def hash(self) -> str:
        """SHA-256 of the scenario's content: equal scenarios have equal hashes, wherever they are stored."""
        content = self.model_dump(mode="json", exclude={*TOLD, "overlays"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def with_(self, changes: Mapping[str, Any] | None = None, /, **overrides: Any) -> Scenario:
        """A copy with other values at dotted paths, validated again.

        changes: values by path, `{"quality.decay": "1%/d", "monitors[0].threshold": 0.3}`
        overrides: the same as keywords, with two underscores for a dot: `quality__decay="1%/d"`; they come last
        Raises ScenarioError, with path and nearest name, where they do not fit.

        >>> import scenarios
        >>> changed = scenarios.load("rotting_asset").with_({"labels.delay": "2h"}, horizon="100d")
        >>> changed.labels.delay.value * 24, changed.horizon
        (2.0, 100.0)
        """
        from scenarios.loader import validate_mapping

        if not isinstance(changes, Mapping | None):
            raise TypeError(
                f"changes: got {shown(changes)}, expected values by path, such as {{'horizon': '100d'}}"
            )
        return validate_mapping(self._written, {**(changes or {}), **overrides}, base_dir=self._base_dir)

    def __repr__(self) -> str:
        return f"<Scenario: {self.headline()}>"

    __str__ = __repr__

    def headline(self) -> str:
        """What it is, for how long, and its hash."""
        return f"{self.title}, {format_duration(self.horizon)}, hash {self.hash()[:12]}"

    def _repr_html_(self) -> str:
        """Question, story and the parameters that differ from the defaults, for notebooks."""
        from scenarios.parameters_html import scenario_html

        return scenario_html(self)

    def __getattr__(self, name: str) -> Any:
        """Fields are found before this is asked; what is left is an error, with the nearest field."""
        try:
            return super().__getattr__(name)  # type: ignore[misc]
        except AttributeError as error:
            near = (
                [] if name.startswith("_") else difflib.get_close_matches(name, type(self).model_fields, n=1)
            )
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise AttributeError(f"{error}{hint}") from None

    def _rest_weight(self) -> float:
        return 1.0 - math.fsum(item.weight for item in self.slices)

    @model_validator(mode="after")
    def _whole_windows(self) -> Self:
        count = self.horizon / self.window
        if not count <= MAX_WINDOWS:
            raise ValueError(f"horizon has {count:.3g} windows, expected at most {MAX_WINDOWS:,}")
        check_whole_windows("horizon", self.horizon, self.window, "windows")
        cells = round(count) * max(len(self.features), 1) * len(self.slice_names)
        if cells > MAX_CELLS:
            raise ValueError(f"windows x features x slices is {cells:,}, expected at most {MAX_CELLS:,}")
        return self

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        features, slices = self.feature_names, tuple(item.name for item in self.slices)
        check_unique("features", features)
        check_unique("slices", slices)
        check_unique("signals", (signal.name for signal in self.signals))
        check_unique("failures", (failure.name for failure in self.failures))
        check_signals(self)
        check_failures(self)
        if self._rest_weight() < -1e-9:
            raise ValueError("slices: the weights add up to more than 1")
        for number, component in enumerate(self.drift):
            check_known(f"drift[{number}].features", component.features, features)
            check_known(f"drift[{number}].slice", component.slice, slices)
        for group in ("monitors", "triggers"):
            monitors: list[Monitor] = getattr(self, group)
            check_unique(group, [monitor.label for monitor in monitors])
            for number, monitor in enumerate(monitors):
                self.check_monitor(f"{group}[{number}]", monitor)
                check_deadline(self, f"{group}[{number}]", monitor)
        for number, policy in enumerate(self.policies):
            for monitor in policy.triggers or ():
                self.check_monitor(f"policies[{number}]", monitor)
                check_deadline(self, f"policies[{number}]", monitor)
        check_deployment(self)
        check_menu(self)
        check_on_call(self)
        check_serving(self)
        check_care(self.care, self.horizon, self.window)
        check_edge(self)
        return self

    def check_monitor(self, place: str, monitor: Monitor) -> None:
        """Raise ValueError, naming `place`, for a monitor that this scenario cannot have."""
        check_known(f"{place}.features", monitor.features, self.feature_names)
        check_known(f"{place}.slice", monitor.slice, self.slice_names)
        if monitor.signal is not None:
            check_known(f"{place}.signal", monitor.signal, tuple(signal.name for signal in self.signals))
            check_signal_monitor(place, monitor, self.signal(monitor.signal))
        if self.edge is not None:
            check_told(place, monitor, self.edge)
        if monitor.metric == "truth" and not self.failures:
            raise ValueError(f"{place}: metric truth finds failures, and the scenario has none")
        if monitor.needs_labels and self.labels is None:
            raise ValueError(f"{place}: metric {monitor.metric} needs labels, and labels are none")
        if monitor.needs_features and not self.features:
            raise ValueError(f"{place}: metric {monitor.metric} needs features, and the scenario has none")
        for field in ("window", "cadence"):
            given: float | None = getattr(monitor, field)
            if given is not None:
                check_whole_windows(f"{place}.{field}", given, self.window)
        self._check_looks(place, monitor)

    def _check_looks(self, place: str, monitor: Monitor) -> None:
        """Rules that count looks must be able to."""
        look = self.cadence_of(monitor)
        if monitor.uses_looks_once and (monitor.window or look) > look * (1 + 1e-9):
            raise ValueError(
                f"{place}.window: must not be longer than the cadence ({format_duration(look)}) with rule "
                f"{monitor.rule}, which would count the same rows more than once"
            )
        if monitor.rule == "significance" and monitor.accepted_false_alarms * look > 0.5:
            raise ValueError(
                f"{place}.false_alarms: is more than every second look (one each {format_duration(look)}), "
                "expected fewer, such as 4/y"
            )
        self._check_limits(place, monitor, look)

    def _check_limits(self, place: str, monitor: Monitor, look: float) -> None:
        """Adaptive limits must have enough looks in their trailing window to ever exist."""
        if monitor.rule != "adaptive":
            return
        limits = monitor.limits or AdaptiveLimits()
        least = max(limits.min_looks * look, 2 * limits.season_length)
        if round(limits.trailing / look) * look < least * (1 - 1e-9):
            raise ValueError(
                f"{place}.limits: trailing of {format_duration(limits.trailing)} is too short: with a look each "
                f"{format_duration(look)}, min_looks {limits.min_looks} and season {limits.season} it needs at least "
                f"{format_duration(least)}"
            )
        season = limits.season_length
        ratio = season / look
        if season and (ratio < 2 - 1e-9 or abs(ratio - round(ratio)) > 1e-6 * ratio):
            raise ValueError(
                f"{place}.limits: a season of {format_duration(season)} must be two or more whole looks, and there is "
                f"one each {format_duration(look)}"
            )

    @model_validator(mode="after")
    def _quality_fits(self) -> Self:
        if self.pipeline.learning.time_constant is not None and self.quality.kind != "degradation":
            raise ValueError("pipeline.learning.time_constant needs quality of kind degradation")
        if not isinstance(self.quality, RecordedQuality):
            return self
        check_whole_windows("quality.period", self.quality.period, self.window, "windows")
        last = len(self.quality.matrix.rows[0]) - 1
        if self.horizon > last * self.quality.period * (1 + 1e-9):
            raise ValueError(f"horizon is longer than the {last} recorded periods after the first")
        if self.pipeline.learning.factor("regain") != 1.0:
            raise ValueError("pipeline.learning.regain must be 1 with recorded quality")
        if self.pipeline.gate is not None:
            raise ValueError(
                "pipeline.gate: recorded quality has no holdout to measure on, leave the gate out"
            )
        for group in ("monitors", "triggers"):
            for number, monitor in enumerate(getattr(self, group)):
                if monitor.needs_labels and monitor.reference == "validation":
                    raise ValueError(
                        f"{group}[{number}].reference: recorded quality has no validation accuracy, "
                        "expected first_window"
                    )
        if self.slices:
            raise ValueError("slices need a quality of kind degradation or exponential")
        return self


def check_scenario(given: object) -> None:
    """Raise TypeError, which says how to get one, for what is no scenario.

    >>> check_scenario("fraud_detection")
    Traceback (most recent call last):
    TypeError: scenario: got 'fraud_detection', expected a Scenario, such as scenarios.load('fraud_detection')
    """
    if not isinstance(given, Scenario):
        name = given if isinstance(given, str) else "fraud_detection"
        raise TypeError(
            f"scenario: got {shown(given)}, expected a Scenario, such as scenarios.load({name!r})"
        )


def _default_policies() -> list[Any]:
    from scenarios.policies import parse_policy

    return [parse_policy(text) for text in DEFAULT_POLICIES]
