"""Which monitors can see a failure: those that look at something which it moves."""

from __future__ import annotations

from scenarios.failures import Failure
from scenarios.monitoring import Monitor
from scenarios.schema import Scenario


def sees(scenario: Scenario, monitor: Monitor, failure: Failure) -> bool:
    """Whether a failure moves what a monitor looks at; whether it moves it enough is for the noise to say.

    >>> import scenarios
    >>> effects = [{"signal": "age", "stall": "18h"}]
    >>> system = scenarios.load("rotting_asset", signals=[{"name": "age", "kind": "freshness", "age": "4min"}],
    ...     failures=[{"name": "lag", "rate": "4/y", "accuracy_drop": 0.09, "effects": effects}],
    ...     monitors=[{"metric": "signal", "signal": "age", "deadline": "15min"}])
    >>> sees(system, system.monitors[0], system.failures[0])
    True
    """
    return shows(scenario, monitor, failure, failure.can_harm)


def shows(scenario: Scenario, monitor: Monitor, failure: Failure, harms: bool) -> bool:
    """Whether a failure that harms the accuracy, or does not, moves what a monitor looks at."""
    if monitor.metric == "truth":
        return True
    if monitor.metric == "accuracy":
        return harms
    if monitor.metric == "slice_accuracy":
        return harms and failure.slice in (None, monitor.slice)
    if monitor.signal is not None:
        return _moves(scenario, monitor.signal, failure, harms)
    names = scenario.feature_names if monitor.features == "all" else monitor.features
    moved = {name for name, size in failure.feature_shift.items() if size != 0.0}
    if monitor.metric == "prediction_distribution_shift":
        moved &= {feature.name for feature in scenario.features if feature.weight > 0.0}
    return not moved.isdisjoint(names)


def throughputs(scenario: Scenario) -> set[str]:
    """Names of the signals of the requests served: there is one traffic, whatever it is called."""
    return {signal.name for signal in scenario.signals if signal.kind == "throughput"}


def _moves(scenario: Scenario, name: str, failure: Failure, harms: bool) -> bool:
    signal = scenario.signal(name)
    if signal.kind == "lift":  # what is added to both groups cancels out
        scaled = any(e.signal == signal.of and e.factor not in (None, 1.0) for e in failure.effects)
        return harms or scaled
    alike = {name} if signal.kind != "throughput" else throughputs(scenario)
    if any(effect.signal in alike and effect.moves for effect in failure.effects):
        return True
    return harms and signal.kind in ("proportion", "mean") and signal.per_accuracy_lost != 0.0
