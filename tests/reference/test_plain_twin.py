"""The engine with kernels against the plain SimPy data plane: same events, same costs, same accuracy.

Scenarios are made by a seeded generator, so that no case is picked by hand; a test checks that together they use
every option of the schema that the data plane knows. Exact draws are compared, so there is no statistical error:
the two sides use the same random words, and what they make of them differs by rounding only.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, get_args

import numpy as np
import pytest
from plain_cases import CASES, PIPELINE, RAMP, case
from plain_data_plane import run_plainly
from plain_failure_cases import FAILURE_CASES
from plain_noise import Noise
from plain_scenarios import OPEN, SCENARIOS, SLOW_SCENARIOS, Maker

import sim
from scenarios.failures import Failure
from scenarios.monitoring import Monitor
from scenarios.response import Fatigue, Response, Snooze
from sim import dataplane
from sim.kernels import sampling
from sim.policies import CostAware
from sim.randomness import moment_number
from sim.record import Result

# ---------------------------------------------------------------- comparison


def differences(fast: Result, plain: Result) -> list[str]:
    """What the two runs disagree about; empty when they are the same."""
    found = [*event_differences(fast, plain), *response_differences(fast, plain)]
    gap = np.abs(fast.accuracy - plain.accuracy).max(axis=0)
    if not (gap <= 1e-12).all():
        window = int(np.argmin(gap <= 1e-12))
        found.append(f"accuracy of window {window}: {fast.accuracy[:, window]} {plain.accuracy[:, window]}")
    if not np.array_equal(fast.version_number, plain.version_number):
        found.append("versions in service")
    for category, amount in fast.costs.items():
        if not math.isclose(amount, plain.costs[category], rel_tol=1e-9, abs_tol=1e-9):
            found.append(f"cost {category}: {amount} {plain.costs[category]}")
    for name, value in fast.summary.items():
        other = plain.summary[name]
        if not (
            math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-9)
            or (math.isnan(value) and math.isnan(other))
        ):
            found.append(f"summary {name}: {value} {other}")
    series = {"measured accuracy": (fast.measured, plain.measured)}
    assert fast.unharmed is not None
    assert plain.unharmed is not None
    for place, (a, b) in enumerate(zip(fast.unharmed, plain.unharmed, strict=True)):
        series[f"accuracy of slice {place} without incidents"] = a, b
    series["money lost with requests"] = fast.lost_requests, plain.lost_requests
    series |= {f"score {name}": (fast.scores[name], plain.scores[name]) for name in fast.scores}
    for name, (a, b) in series.items():
        same = np.isclose(a, b, rtol=0.0, atol=1e-9, equal_nan=True)
        if not same.all():
            window = int(np.argmin(same))
            found.append(f"{name} in window {window}: {a[window]} {b[window]}")
    return found


def event_differences(fast: Result, plain: Result) -> list[str]:
    """The first event that is not the same; the plain model does not tell of outages of the path."""
    told, expected = ([e for e in result.raw_events if e.subject != "path"] for result in (fast, plain))
    for number, (a, b) in enumerate(zip(told, expected, strict=False)):
        if abs(a.time - b.time) > 1e-9 or (a.kind, a.subject) != (b.kind, b.subject):
            return [f"event {number}: {a} {b}"]
    if len(told) != len(expected):
        return [f"number of events: {len(told)} {len(expected)}"]
    return []


def response_differences(fast: Result, plain: Result) -> list[str]:
    """Incidents and pages that are not the same."""
    found = []
    for number, (a, b) in enumerate(
        zip(fast.incidents.itertuples(index=False), plain.incidents.itertuples(index=False), strict=True)
    ):
        same = all(
            x == y if isinstance(x, str) else np.isclose(x, y, 1e-9, 1e-9, True)
            for x, y in zip(a, b, strict=True)
        )
        found += [] if same else [f"incident {number}: {a} {b}"]
    first, second = ([(p.alarms, p.acted, p.closed) for p in run.pages] for run in (fast, plain))
    return found if first == second else [*found, f"pages: {first} {second}"]


def shared_windows(result: Result) -> list[int]:
    """Windows in which a version went live after their start."""
    return [
        c.first_full - 1
        for c in result.champions[1:]
        if c.since < c.first_full * result.scenario.window - 1e-9
    ]


# ---------------------------------------------------------------- scenarios at random

PAIRS = [(number, policy) for number in range(SCENARIOS) for policy in Maker(number).policies()]

FAST = 5
"""Random scenarios of the fast run; the others are slow tests."""


@pytest.mark.parametrize(
    ("number", "policy"),
    [pytest.param(*pair, marks=pytest.mark.slow) if pair[0] >= FAST else pair for pair in PAIRS],
)
def test_random_scenarios_agree(number, policy):
    scenario = Maker(number).scenario()
    found = differences(sim.run(scenario, policy, seed=number), run_plainly(scenario, policy, seed=number))
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.parametrize("number", SLOW_SCENARIOS)
def test_more_random_scenarios_agree(number):
    maker = Maker(number)
    scenario, policies = maker.scenario(), maker.policies()
    for policy in policies:
        fast = sim.run(scenario, policy, seed=1, replication=number)
        found = differences(fast, run_plainly(scenario, policy, seed=1, replication=number))
        assert not found, "\n".join([policy, *found])


def test_random_scenarios_use_every_option():
    makers = [Maker(number) for number in range(SCENARIOS)]
    scenarios = [maker.scenario() for maker in makers]
    monitors = [m for s in scenarios for m in (*s.triggers, *s.monitors)]
    labelled = [s.labels for s in scenarios if s.labels is not None]
    drift = [component for s in scenarios for component in s.drift]
    assert len(labelled) < len(scenarios)
    assert {s.quality.kind for s in scenarios} == {"degradation", "exponential", "recorded"}
    assert {component.kind for component in drift} >= {
        "ramp", "random_walk", "ornstein_uhlenbeck", "jumps", "seasonal", "recorded", "adversarial",
    }  # fmt: skip
    assert any(c.kind == "adversarial" and c.slice for c in drift)
    assert {component.on for component in drift} == {"features", "concept"}
    assert {m.metric for m in monitors} >= {"accuracy", "slice_accuracy", "prediction_distribution_shift"}
    assert len({m.drift_score for m in monitors if not m.needs_labels}) >= 5
    assert {m.rule for m in monitors} == set(get_args(Monitor.model_fields["rule"].annotation))
    assert {m.sampling for m in monitors} == {"multinomial", "normal", "none"}
    assert {m.aggregate for m in monitors} == {"max", "mean"}
    assert {m.reference for m in monitors} == {"validation", "first_window"}
    assert {labels.delay.kind for labels in labelled} >= {"fixed", "lognormal"}
    assert {s.pipeline.learning.mode for s in scenarios} == {"from_scratch", "warm_start", "incremental"}
    assert any(s.pipeline.learning.time_constant is not None for s in scenarios)
    assert any(s.pipeline.gate is not None for s in scenarios)
    given = [m for m in monitors if m.window is not None]
    assert any(m.window > m.cadence for m in given)
    assert any(m.window < m.cadence for m in given)
    asked = {policy.partition(":")[0].partition("+")[0] for maker in makers for policy in maker.policies()}
    assert asked == {"never", "scheduled", "triggered", "hybrid", "continuous", "cost-aware", "random"}


def drawn(things: list[Any], *fields: str) -> dict[str, int]:
    """How many different values of each field there are."""
    return {field: len({repr(getattr(thing, field)) for thing in things}) for field in fields}


NOT_TOLD_HERE = {
    "kind", "cause", "trigger", "with_version", "share", "harms", "taints", "feeds", "leaks", "on_call",
}  # fmt: skip
"""What actions cause, what models learn of it and who is on call: this twin does not know them; they have plain
accounts of their own in tests/sim/test_failure_causes.py, test_deployment_strategies.py and test_on_call.py."""


def test_random_scenarios_use_every_option_of_failures_and_of_monitoring():
    scenarios = [Maker(number).scenario() for number in range(SCENARIOS)]
    monitors = [m for s in scenarios for m in (*s.triggers, *s.monitors)]
    on_signals = [(s.signal(m.signal).kind, m) for s in scenarios for m in s.monitors if m.signal is not None]
    signals = [signal for s in scenarios for signal in s.signals]
    failures = [failure for s in scenarios for failure in s.failures]
    effects = [effect for failure in failures for effect in failure.effects]
    people = [s.response for s in scenarios if s.response is not None]
    telemetry = [s.telemetry for s in scenarios if s.telemetry is not None]
    outages = [t.outages for t in telemetry if t.outages is not None]
    assert min(drawn(failures, *(set(Failure.model_fields) - {"name"} - NOT_TOLD_HERE)).values()) >= 2
    assert {(e.add is not None, e.factor is not None, e.stall is not None) for e in effects} == {
        (True, False, False), (False, True, False), (False, False, True),
    }  # fmt: skip
    assert min(drawn(people, *(set(Response.model_fields) - {"hourly_cost"} - NOT_TOLD_HERE)).values()) >= 2
    assert min(drawn([p.snooze for p in people if p.snooze], *Snooze.model_fields).values()) >= 2
    assert min(drawn([p.fatigue for p in people], *Fatigue.model_fields).values()) >= 2
    assert min(drawn(telemetry, "retention", "metrics", "dashboards", "outages").values()) >= 2
    assert min(drawn(outages, "unnoticed", "heartbeat", "redundant").values()) >= 2
    requests = [signal for signal in signals if signal.kind in ("proportion", "mean")]
    assert min(drawn(requests, "layer", "per_accuracy_lost", "daily_noise", "counted", "base").values()) >= 2
    assert {kind for kind, _ in on_signals} == {signal.kind for signal in signals}
    assert {kind for kind, _ in on_signals} == {"proportion", "mean", "throughput", "freshness", "lift"}
    assert {m.rule for _, m in on_signals} >= {"threshold", "cusum", "significance", "adaptive", "detector"}
    fields = ("measure", "direction", "deadline", "sampling_rate", "hit_sampling_rate", "cadence", "sampling")
    assert min(drawn([m for _, m in on_signals], *fields).values()) >= 2
    assert {m.direction for _, m in on_signals} == {None, "up", "down", "both"}
    assert {m.measure for _, m in on_signals} == {None, "level", "change"}
    assert any(m.sampling_rate for m in monitors if m.needs_features)
    assert any(m.signal for s in scenarios for m in s.triggers)
    assert any(m.metric == "truth" for m in monitors)


@pytest.mark.slow
def test_much_happens_in_random_scenarios():
    wanted = dict.fromkeys(("alarm", "false alarm", "deployment", "adversarial answer", "two versions"), 100)
    wanted |= dict.fromkeys(("incident", "repair", "page", "nothing found"), 100)
    wanted |= dict.fromkeys(("retry", "failure", "rejection", "page ignored", "snooze"), 20) | {"crowd": 50}
    happened: Counter[str] = Counter()
    for number, policy in PAIRS:
        result = sim.run(Maker(number).scenario(), policy, seed=number)
        happened.update(event.kind for event in result.raw_events)
        happened["two versions"] += len(shared_windows(result))
        happened["crowd"] += len(result.alarms) - len({alarm.time for alarm in result.alarms})
        if all(happened[kind] >= least for kind, least in wanted.items()):
            return
    pytest.fail(f"too little happened: {[kind for kind, least in wanted.items() if happened[kind] < least]}")


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=pytest.mark.slow) if n >= FAST else n for n in range(SCENARIOS)]
)
def test_how_far_the_engine_looks_ahead_never_shows(number, monkeypatch):
    scenario, policy = Maker(number).scenario(), "hybrid:4d"
    usual = sim.run(scenario, policy, seed=number)
    for block, ahead in ((1, 0), (7, 3), (1000, 1000)):
        monkeypatch.setattr(dataplane, "BLOCK", block)
        monkeypatch.setattr(dataplane, "LONGEST_BLOCK", block)
        monkeypatch.setattr(dataplane, "LOOKAHEAD", ahead)
        assert differences(usual, sim.run(scenario, policy, seed=number)) == []


# ---------------------------------------------------------------- minimal cases

MINIMAL = CASES | FAILURE_CASES


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.xfail(reason=OPEN[name], strict=True) if name in OPEN else ())
        for name in MINIMAL
    ],
)
def test_minimal_cases_agree(name, monkeypatch):
    monkeypatch.delitem(OPEN, name, raising=False)
    policy, changes = MINIMAL[name]
    scenario = case(**changes)
    plain = run_plainly(scenario, policy, seed=1)
    for block, ahead in ((dataplane.BLOCK, dataplane.LOOKAHEAD), (1, 0)):
        monkeypatch.setattr(dataplane, "BLOCK", block)
        monkeypatch.setattr(dataplane, "LONGEST_BLOCK", max(block, 2))
        monkeypatch.setattr(dataplane, "LOOKAHEAD", ahead)
        found = differences(sim.run(scenario, policy, seed=1), plain)
        assert not found, "\n".join(found)


def test_a_slice_that_was_always_harder_has_not_dropped():
    hard = {"name": "hard", "weight": 0.5, "initial_accuracy": 0.7}
    monitor = {"metric": "slice_accuracy", "slice": "hard", "sampling": "none"}
    assert sim.run(case(slices=[hard], monitors=[monitor]), "never").raw_events == []


@pytest.mark.xfail("luck of a moment" in OPEN, reason=OPEN.get("luck of a moment", ""), strict=True)
def test_the_last_bit_of_the_clock_does_not_change_the_luck():
    # An alarm at the end of window 40 of 4 h, announced at day 8/3 or just before.
    moment = 41 / 6
    rounded = 8 / 3 + (moment - 8 / 3)
    assert 0.0 < abs(rounded - moment) < 1e-14
    assert moment_number(rounded) == moment_number(moment)


@pytest.mark.xfail("repeats at once" in OPEN, reason=OPEN.get("repeats at once", ""), strict=True)
def test_a_rejection_that_takes_no_time_is_not_repeated_for_ever():
    class Patient(CostAware):
        asked = 0

        def decide(self, view):
            Patient.asked += 1
            assert Patient.asked < 1000
            return super().decide(view)

    pipeline = {**PIPELINE, "gate": {"margin": 0.9}}
    scenario = case(drift=[RAMP], pipeline=pipeline, value_per_query_per_unit_accuracy="$1")
    assert "rejection" in {event.kind for event in sim.run(scenario, Patient()).raw_events}


# ---------------------------------------------------------------- the twin's own noise


@pytest.mark.parametrize(
    ("n", "p"),
    [(5, 0.3), (100, 0.02), (100, 0.5), (1000, 0.97), (40_000, 0.11), (10**7, 0.4), (7, 1.0), (0, 0.5)],
)
def test_binomial_draws_are_those_of_the_kernels(n, p):
    key, identities = np.uint64(2**63 + 11), np.arange(200, dtype=np.int64)
    drawn = np.empty(200)
    sampling.binomial_at(key, identities, np.full(200, n), np.full(200, p), drawn)
    assert [Noise(int(key), int(i)).binomial(n, p) for i in identities] == drawn.tolist()


def test_normal_draws_are_those_of_the_kernels():
    key, fast, plain = np.uint64(2**63 + 11), [], []
    noise, state = Noise(int(key), 3, 1), sampling.stream(key, 3, 1)
    for _ in range(20_000):
        value, state = sampling.next_normal(np.uint64(state))
        fast.append(value)
        plain.append(noise.normal())
    assert plain == pytest.approx(fast, abs=1e-14)
    assert max(plain) > 3.7  # beyond the ziggurat, whose tail is drawn in another way
