"""Failure modes that the source describes, with defaults for what a scenario leaves out.

`kind: stale_features` in a failure fills in its name, how it begins, what it takes and what shows it; whatever the
scenario writes wins. Effects are given to every signal of the layer that fits, a shift to the heaviest feature.

Chosen, not known: rates, chances and sizes, except where a source is named. They are plausible for one team's
system that deploys about monthly, and so weighted that 60-80 % of the incidents have their cause in data, skew
included, as the source says. Source: chapter, 'Technical Debt in Practice', 'Training-Serving Skew: Diagnosis and
Prevention', 'The Debugging Decision Tree', 'Fallacies and Pitfalls', 'Model Deployment' (Knight Capital).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from scenarios.units import DAYS_PER_YEAR

if TYPE_CHECKING:
    import pandas as pd

    from scenarios.failures import Failure
    from scenarios.schema import Scenario

Cause = Literal["data", "skew", "slice", "temporal", "model", "code", "infrastructure"]
Kind = Literal[
    "upstream_schema_change",
    "missing_features",
    "stale_features",
    "changed_aggregation",
    "skew_preprocessing",
    "skew_missing_values",
    "skew_time_cutoff",
    "skew_library",
    "bad_training_data",
    "validation_leak",
    "partial_rollout",
    "feedback_loop",
    "correction_cascade",
    "undeclared_consumer",
    "configuration_change",
    "capacity_loss",
]
BEGINNINGS = ("rate", "onsets", "trigger")
"""Fields of which a failure has exactly one."""
_THROUGH_ACCURACY = ("accuracy", "slices", "business")


@dataclass(frozen=True)
class Mode:
    """One kind of failure."""

    what: str
    """What happens, in a sentence."""
    defaults: Mapping[str, Any]
    """Fields of a failure, where the scenario is silent."""
    layers: tuple[str, ...]
    """Layers of monitoring that can see it; outputs and business also where their signals follow the accuracy.

    What harms training shows only once a model that learned from it serves.
    """
    effects: Mapping[tuple[str, str], Mapping[str, float | str]] = field(default_factory=dict)
    """What it does to signals, by layer and kind of signal."""
    shift: float = 0.0
    """Shift of the heaviest feature in standard deviations."""


def _on(action: str, probability: float) -> dict[str, Any]:
    return {"on": action, "probability": probability}


_OFTEN, _SOMETIMES, _SELDOM = "2/y", "1/y", "0.5/y"
_DEPLOYED, _TRAINED = _on("deployment", 0.04), _on("retraining", 0.04)

MODES: dict[Kind, Mode] = {
    "upstream_schema_change": Mode(
        "A source renames a column or changes its type, and rows arrive broken.",
        {"cause": "data", "rate": _OFTEN, "accuracy_drop": 0.05},
        ("schema", *_THROUGH_ACCURACY),
        {("schema", "proportion"): {"add": 0.2}},
    ),
    "missing_features": Mode(
        "A feature is missing or null for part of the rows, and its default is served instead.",
        {"cause": "data", "rate": _OFTEN, "accuracy_drop": 0.04},
        ("schema", "features", "outputs", *_THROUGH_ACCURACY),
        {("schema", "proportion"): {"add": 0.1}},
        shift=0.3,
    ),
    "stale_features": Mode(
        "Replication lags, and features are up to 18 h old (9 % of the engagement in the source's case).",
        {"cause": "data", "rate": _OFTEN, "accuracy_drop": 0.072},
        ("freshness", *_THROUGH_ACCURACY),
        {("freshness", "freshness"): {"stall": "18h"}},
    ),
    "changed_aggregation": Mode(
        "A source computes a feature in another way: every row is valid, and the distribution has moved.",
        {"cause": "data", "rate": _OFTEN, "accuracy_drop": 0.03},
        ("features", "outputs", *_THROUGH_ACCURACY),
        shift=0.6,
    ),
    "skew_preprocessing": Mode(
        "Serving prepares a feature in another way than training did (source: 8 % in the case study).",
        {"cause": "skew", "trigger": _DEPLOYED, "accuracy_drop": 0.08},
        ("features", "outputs", *_THROUGH_ACCURACY),
        shift=0.5,
    ),
    "skew_missing_values": Mode(
        "Serving fills missing values in another way than training did (5-15 % in the source).",
        {"cause": "skew", "trigger": _DEPLOYED, "accuracy_drop": 0.06},
        ("features", "outputs", *_THROUGH_ACCURACY),
        shift=0.3,
    ),
    "skew_time_cutoff": Mode(
        "Training saw values that are not known yet when serving (session length by wall clock: 12 % in the source).",
        {"cause": "skew", "trigger": _TRAINED, "accuracy_drop": 0.12},
        _THROUGH_ACCURACY,
    ),
    "skew_library": Mode(
        "Serving runs another version of the feature library than training did (5-15 % in the source).",
        {"cause": "skew", "trigger": _DEPLOYED, "accuracy_drop": 0.1},
        ("features", "outputs", *_THROUGH_ACCURACY),
        shift=0.2,
    ),
    "bad_training_data": Mode(
        "What is logged for training is corrupt: nobody is served worse until a model is trained on it. A gate can "
        "stop that; monitors that compare with its own validation cannot tell.",
        {"cause": "data", "rate": _SOMETIMES, "accuracy_drop": 0.08, "harms": "training", "taints": 1.0},
        ("business",),
    ),
    "validation_leak": Mode(
        "The holdout leaks into the training: what went wrong with a candidate does not show at the gate.",
        {"cause": "model", "rate": _SELDOM, "harms": "training", "leaks": 1.0},
        (
            "accuracy",
            "business",
        ),  # monitors of slices compare with what is true, not with the leaking holdout
    ),
    "partial_rollout": Mode(
        "One host of eight is left on old code (Knight Capital): an eighth of the requests is answered wrongly.",
        {"cause": "code", "trigger": _on("deployment", 0.03), "share": 0.125, "accuracy_drop": 0.4},
        _THROUGH_ACCURACY,
    ),
    "feedback_loop": Mode(
        "The model is trained on what it has itself brought about (YouTube): each retraining learns it again, and "
        "none is much worse than the one before.",
        {
            "cause": "data",
            "rate": _SELDOM,
            "accuracy_drop": 0.03,
            "harms": "training",
            "taints": 1.0,
            "feeds": 0.8,
        },
        ("business",),
    ),
    "correction_cascade": Mode(
        "The repair of something else breaks this model, which had learned to live with the fault (Zillow).",
        {"cause": "model", "trigger": _on("repair", 0.1), "accuracy_drop": 0.04},
        _THROUGH_ACCURACY,
    ),
    "undeclared_consumer": Mode(
        "Somebody whom nobody knows uses the outputs, and a new version breaks them: the model is as accurate as "
        "before. Give it the cost of an incident.",
        {"cause": "code", "trigger": _on("deployment", 0.03)},
        ("business",),
        {("business", "proportion"): {"factor": 0.9}, ("business", "mean"): {"factor": 0.9}},
    ),
    "configuration_change": Mode(
        "A setting that no version control knows is changed, and the model is used in another way (Facebook).",
        {"cause": "code", "rate": _SOMETIMES, "accuracy_drop": 0.04},
        _THROUGH_ACCURACY,
    ),
    "capacity_loss": Mode(
        "Hosts fail: requests are lost, errors and latency rise, and the answers that come are right.",
        {"cause": "infrastructure", "rate": _OFTEN},
        ("infrastructure",),
        {
            ("infrastructure", "throughput"): {"factor": 0.7},
            ("infrastructure", "proportion"): {"add": 0.05},
            ("infrastructure", "mean"): {"factor": 2.0},
        },
    ),
}


def with_defaults(given: dict[str, Any]) -> dict[str, Any]:
    """Fields of a failure as written, with those of its kind where it is silent.

    >>> with_defaults({"kind": "stale_features", "accuracy_drop": 0.02, "onsets": [3.0]})["accuracy_drop"]
    0.02
    """
    kind: Any = given.get("kind")
    if kind not in get_args(Kind):
        return given
    defaults = {"name": kind} | dict(MODES[kind].defaults)
    if any(given.get(name) is not None for name in BEGINNINGS):
        for name in BEGINNINGS:
            defaults.pop(name, None)
    return defaults | {
        name: value for name, value in given.items() if name not in BEGINNINGS or value is not None
    }


def fitted(scenario: Scenario, failure: Failure) -> Failure:
    """A failure with what its kind does to the signals and features that the scenario has, where it is silent."""
    if failure.kind is None:
        return failure
    mode = MODES[failure.kind]
    missing: dict[str, Any] = {}
    if "effects" not in failure.model_fields_set:
        missing["effects"] = _effects(scenario, mode)
    if "feature_shift" not in failure.model_fields_set and mode.shift != 0.0 and scenario.features:
        heaviest = max(scenario.features, key=lambda feature: feature.weight)
        missing["feature_shift"] = {heaviest.name: mode.shift}
    return failure.model_copy(update=missing)


def _effects(scenario: Scenario, mode: Mode) -> list[Any]:
    from scenarios.signals import SignalEffect

    return [
        SignalEffect.model_validate({"signal": signal.name} | dict(mode.effects[signal.layer, signal.kind]))
        for signal in scenario.signals
        if (signal.layer, signal.kind) in mode.effects
    ]


def catalogue() -> pd.DataFrame:
    """One row a kind of failure: cause, how it begins, what it takes, the layers that can see it, what happens.

    begins: rate per year, or the action that causes it with its chance; accuracy_drop, share, taints, feeds, leaks:
    fractions, as in a failure; harms: serving or training.

    >>> catalogue().loc["partial_rollout", ["cause", "begins", "layers"]].tolist()
    ['code', '3 % of each deployment', 'accuracy, slices, business']
    """
    import pandas as pd

    from scenarios.failures import Failure

    rows = []
    for kind, mode in MODES.items():
        failure = Failure.model_validate({"kind": kind})
        numbers = ("accuracy_drop", "share", "harms", "taints", "feeds", "leaks")
        rows.append(
            {"kind": kind, "cause": failure.cause, "begins": _beginning(failure)}
            | {name: getattr(failure, name) for name in numbers}
            | {"layers": ", ".join(mode.layers), "what": mode.what}
        )
    return pd.DataFrame(rows).set_index("kind")


def _beginning(failure: Failure) -> str:
    if failure.trigger is not None:
        return f"{100.0 * failure.trigger.probability:g} % of each {failure.trigger.on}"
    assert failure.rate is not None  # each kind has a rate or a trigger
    return f"{DAYS_PER_YEAR * failure.rate:g} a year"
