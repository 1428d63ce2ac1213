"""The same traffic, so many times as much."""

from __future__ import annotations

import math

from scenarios.schema import Scenario
from scenarios.serving_arrivals import Trace


def scaled(scenario: Scenario, factor: float) -> Scenario:
    """The scenario with `factor` (> 0) times the requests per second, profiles and bursts as they are.

    A trace is played so many times as fast; one that is played once then ends so much sooner, and so does the run.

    >>> import scenarios
    >>> scaled(scenarios.load("rotting_asset", traffic={"rate": "10/d"}), 2.5).traffic.rate
    25.0
    """
    if not (factor > 0.0 and math.isfinite(factor)):
        raise ValueError(f"factor: got {factor!r}, expected a number > 0")
    if factor == 1.0:
        return scenario
    arrivals = None if scenario.serving is None else scenario.serving.arrivals
    if isinstance(arrivals, Trace):
        assert scenario.serving is not None
        faster = arrivals.model_copy(update={"speed": arrivals.speed * factor})
        serving = scenario.serving.model_copy(update={"arrivals": faster})
        horizon = scenario.horizon
        if arrivals.resampling != "blocks":
            horizon = max(math.ceil(scenario.windows / factor - 1e-9), 1) * scenario.window
        return scenario.model_copy(update={"serving": serving, "horizon": horizon})
    traffic = scenario.traffic
    if traffic.recorded is not None:
        values = [value * factor for value in traffic.recorded.values or ()]
        changed = {"recorded": traffic.recorded.model_copy(update={"values": values})}
        return scenario.model_copy(update={"traffic": traffic.model_copy(update=changed)})
    assert traffic.rate is not None
    return scenario.model_copy(update={"traffic": traffic.model_copy(update={"rate": traffic.rate * factor})})
