"""Monitors of signals: which of their fields fit which kind of signal."""

from __future__ import annotations

from scenarios.monitoring import Monitor, check_fall
from scenarios.signals import Signal


def check_signal_monitor(place: str, monitor: Monitor, signal: Signal) -> None:
    """Raise ValueError, naming `place`, where a monitor does not fit the signal that it watches."""
    kind = signal.kind
    if kind == "freshness":
        if monitor.deadline is None and monitor.rule == "threshold":
            raise ValueError(
                f"{place}.deadline: is missing: give one, for a freshness signal a deadline takes the place of a "
                "threshold, such as '15min'"
            )
        if monitor.rule not in ("threshold", "adaptive"):
            raise ValueError(f"{place}: rule {monitor.rule} does not apply to freshness, expected a deadline")
        if monitor.measure == "change" or monitor.direction in ("down", "both"):
            raise ValueError(
                f"{place}: freshness is an age, and only old data are bad: leave measure and direction"
            )
    elif monitor.deadline is not None:
        raise ValueError(f"{place}.deadline: applies to freshness signals, {signal.name} is a {kind}")
    elif monitor.rule == "threshold" and monitor.threshold is None:
        raise ValueError(
            f"{place}.threshold: is missing: give one for {signal.name}, a {kind}, or another rule such as "
            "significance"
        )
    if monitor.hit_sampling_rate is not None and kind != "proportion":
        raise ValueError(f"{place}.hit_sampling_rate: applies to proportions, {signal.name} is a {kind}")
    if kind in ("throughput", "freshness", "lift") and (monitor.rows or monitor.sampling_rate):
        raise ValueError(
            f"{place}: {signal.name} is not looked at row by row, leave rows and sampling_rate out"
        )
    falling = monitor.direction in ("down", "both")
    by_level = monitor.measure == "level" or (
        monitor.measure is None and kind == "proportion" and not falling
    )
    if kind == "proportion" and by_level and monitor.rule == "threshold" and monitor.level >= 1.0:
        raise ValueError(
            f"{place}.threshold: {signal.name} is a share and never above 1, expected less, such as 0.1 or 10% "
            "(or measure: change)"
        )
    falls = monitor.direction == "down" or (monitor.direction is None and kind == "throughput")
    # A lift can fall below zero, by more than all of it: the model is worse than the baseline.
    if falls and kind != "lift" and monitor.compares_with(monitor.threshold):
        check_fall(f"{place}.threshold", signal.name, monitor.threshold)
    usual = getattr(signal, "base", 1.0)
    if usual == 0.0 and (monitor.measure == "change" or monitor.direction in ("down", "both")):
        raise ValueError(
            f"{place}.measure: {signal.name} is usually 0, so it has no relative change: expected level"
        )
    if getattr(signal, "sd", 1.0) == 0.0 and monitor.rule in ("significance", "cusum", "detector"):
        raise ValueError(
            f"{place}: rule {monitor.rule} needs chance, and {signal.name} has sd 0: give a threshold"
        )
    if monitor.measure == "level" and (kind == "lift" or monitor.direction in ("down", "both")):
        raise ValueError(f"{place}.measure: level is for what is bad when high, expected change")
