"""What a sweep varies when nothing is said: the speed of drift and the delay of labels.

The two assumptions that decide most often which policy wins: how fast the world moves, and how late one sees it.
"""

from __future__ import annotations

from typing import Any

from analysis.design_fields import field_of
from scenarios.schema import Scenario
from scenarios.world import ExponentialDecay

FASTER = (0.25, 0.5, 1.0, 2.0, 4.0)
"""The drift rate is multiplied by these."""
DELAYS = ("0d", "1d", "3d", "7d", "14d", "30d", "60d")
SPEEDS = {
    "ramp": "rate",
    "random_walk": "volatility",
    "jumps": "rate",
    "ornstein_uhlenbeck": "stationary_sd",
    "adversarial": "mean",
    "seasonal": "amplitude",
}
"""The field that says how much a drift component moves, in the order in which components are looked for."""


def default_vary(scenario: Scenario) -> dict[str, list[Any]]:
    """Five drift rates and some label delays around those of a scenario, as values by path.

    The drift rate is `quality.decay` of exponential quality, else the speed of the first drift component that has
    one, by kind in the order of SPEEDS, else the rate of the first failure mode. Delays are fixed ones up to a
    quarter of the horizon; a scenario without labels keeps the rate alone. Raises ValueError where there is none.

    >>> import scenarios
    >>> {path: values[:2] for path, values in default_vary(scenarios.load("rotting_asset")).items()}
    {'quality.decay': ['7.5e-05/d', '0.00015/d'], 'labels.delay': ['0d', '1d']}
    """
    path, rate = _drift_rate(scenario)
    field = field_of(scenario, path, rate)
    found: dict[str, list[Any]] = {path: [field.written(rate * factor) for factor in FASTER]}
    if scenario.labels is not None:
        delay = field_of(scenario, "labels.delay", "1d")
        found["labels.delay"] = [text for text in DELAYS if delay.end(text) <= scenario.horizon / 4.0]
    return found


def _drift_rate(scenario: Scenario) -> tuple[str, float]:
    quality = scenario.quality
    if isinstance(quality, ExponentialDecay) and quality.decay > 0.0:
        return "quality.decay", quality.decay
    for kind, name in SPEEDS.items():
        for number, component in enumerate(scenario.drift):
            if component.kind == kind and getattr(component, name) != 0.0:
                return f"drift[{number}].{name}", float(getattr(component, name))
    for number, failure in enumerate(scenario.failures):
        if failure.rate is not None:
            return f"failures[{number}].rate", failure.rate
    raise ValueError("the scenario has no drift rate to vary by itself, expected --vary path=values")
