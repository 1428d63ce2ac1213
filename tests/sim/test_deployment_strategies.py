"""How a candidate goes live: what is served meanwhile, what the evidence shows, and how often it is wrong.

Statistical checks use fixed seeds and binomial limits of 5 standard errors (error rate 6e-7 each).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import sim
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from sim import dataplane
from sim.engine import Run
from sim.experiment import canary_power
from sim.policies import Never
from sim.quality import Version
from sim.sequential import chance_beyond, limits_of
from sim.trial import Trial
from sim.world import World

SIGNALS = [
    {"name": "clicks", "kind": "proportion", "base": 0.5, "per_accuracy_lost": -0.8, "layer": "business"},
    {"name": "errors", "kind": "proportion", "base": 0.1, "per_accuracy_lost": 1.0, "layer": "outputs"},
    {"name": "latency", "kind": "mean", "base": 100, "sd": 30, "layer": "infrastructure"},
]
INSTANT = dict.fromkeys(("data_validation", "training", "evaluation", "registration", "deployment"), "0h")


def scenario(deployment: Any = "direct", loss: float = 0.0, **parts: Any) -> Scenario:
    """Nothing drifts; every retrained model is worse than the first one by `loss`."""
    plain: dict[str, Any] = {
        "title": "deployment",
        "horizon": "12d",
        "window": "1h",
        "value_per_query_per_unit_accuracy": "$1",
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0%/d"},
        "traffic": {"rate": "24k/d", "arrivals": "deterministic"},
        "signals": SIGNALS,
        "deployment": deployment,
        "pipeline": {"stages": INSTANT, "bad_training": {"probability": 1.0, "loss": loss}},
    }
    return validate_mapping(plain | parts)


def told(result: sim.Result, kind: str) -> list[str]:
    return [event.details for event in result.raw_events if event.kind == kind]


def share_within(count: int, trials: int, chance: float, slack: float = 0.0) -> bool:
    return abs(count / trials - chance) <= 5 * math.sqrt(chance * (1 - chance) / trials) + slack


# ---------------------------------------------------------------- what is served

WATCHED = [
    {"metric": "accuracy", "window": "1d", "threshold": 0.02, "sampling": "none"},
    {"metric": "signal", "signal": "clicks", "measure": "change", "direction": "down", "threshold": 0.02},
    {"metric": "accuracy", "name": "chart", "rule": "cusum", "cadence": "1d", "window": "1d"},
]
SLICES = [{"name": "new users", "weight": 0.3, "initial_accuracy": 0.8, "decay": "3%/d"}]


def play(system: Scenario, seed: int) -> tuple[sim.Result, list[tuple[float, Any, Any, float, float]]]:
    """Change what is served at random moments, some at the ends of windows; also what was asked for, in order."""
    run = Run(World(system, seed), Never())
    rng = np.random.default_rng(seed)
    script: list[tuple[float, Any, Any, float, float]] = []

    def chaos() -> Any:
        champion, other, share, burden = run.plane.champion.version, None, 0.0, 0.0
        script.append((0.0, champion, other, share, burden))
        while True:
            pause = rng.choice([rng.exponential(0.4), 0.02, 1 / 24, 0.0])
            yield run.env.timeout(pause)
            fresh = run.quality.train(champion, run.now, 1.0, rng.normal(0, 0.02), run.next_version())
            match rng.integers(5):
                case 0 | 1:
                    other, share = fresh, float(rng.uniform(0.01, 0.9))
                    run.plane.expose(other, share, run.now)
                case 2:
                    other, share = None, 0.0
                    run.plane.withdraw(run.now)
                case 3:
                    burden = float(rng.choice([0.0, 0.03]))
                    run.plane.bear(burden, run.now)
                case 4:
                    champion = other if other is not None else fresh
                    other, share, burden = None, 0.0, 0.0
                    run.plane.go_live(champion, run.now)
            script.append((run.now, champion, other, share, burden))

    run.env.process(chaos())
    return run.play(), script


def plain_accuracy(system: Scenario, script: list[tuple[float, Any, Any, float, float]]) -> list[list[float]]:
    """Accuracy of each slice and window: the integral of what was asked for, stretch by stretch."""
    slices = [(0.8, 0.03), (0.9, 0.01)] if system.slices else [(0.9, 0.01)]
    total = [[0.0] * system.windows for _ in slices]
    for (since, champion, other, share, burden), following in pairwise([*script, (system.horizon,)]):
        for window in range(
            int(since / system.window), min(int(following[0] / system.window) + 1, system.windows)
        ):
            begin = max(since, window * system.window)
            end = min(following[0], (window + 1) * system.window)
            if end <= begin:
                continue
            for place, (initial, decay) in enumerate(slices):

                def mean(version: Version, less: float, a=initial, k=decay, b=begin, e=end) -> float:
                    fallen = math.exp(-k * (b - version.origin)) - math.exp(-k * (e - version.origin))
                    return min(max(a * fallen / (k * (e - b)) + version.offset - less, 0.0), 1.0)

                accuracy = mean(champion, burden)
                if other is not None:
                    accuracy = (1 - share) * accuracy + share * mean(other, 0.0)
                total[place][window] += (end - begin) / system.window * accuracy
    return total


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("monitors", [[], WATCHED])
def test_a_window_has_the_mean_of_what_was_served_in_it(seed: int, monitors: list[Any]):
    quality = {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1%/d"}
    system = scenario(quality=quality, monitors=monitors, slices=SLICES if seed % 2 else [])
    result, script = play(system, seed)
    assert len({(type(other), share > 0, burden > 0) for _, _, other, share, burden in script}) > 2
    assert np.abs(result.accuracy - np.array(plain_accuracy(system, script))).max() < 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_how_far_the_data_plane_runs_ahead_never_shows(monkeypatch: pytest.MonkeyPatch, seed: int):
    quality = {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1%/d"}
    counted = [{k: v for k, v in monitor.items() if k != "sampling"} for monitor in WATCHED]
    system = scenario(quality=quality, monitors=counted)
    results = []
    for block, ahead in ((1, 0), (128, 24), (7, 300)):
        monkeypatch.setattr(dataplane, "BLOCK", block)
        monkeypatch.setattr(dataplane, "LOOKAHEAD", ahead)
        results.append(play(system, seed)[0])
    for other in results[1:]:
        assert other.alarms == results[0].alarms
        assert len(other.alarms) > 0
        assert np.array_equal(other.accuracy, results[0].accuracy)
        for name, score in other.scores.items():
            assert np.array_equal(score, results[0].scores[name], equal_nan=True)


def test_monitors_look_at_what_is_served():
    monitors = [{"metric": "accuracy", "window": "1h", "cadence": "1h", "threshold": 0.5, "sampling": "none"}]
    plan = {"strategy": "canary", "steps": ["40%"], "hold": "1d"}
    result = sim.run(scenario(plan, loss=0.1, monitors=monitors), "scheduled:5d")
    served = result.timeline.accuracy.to_numpy()
    assert served[5 * 24] == pytest.approx(0.9 - 0.4 * 0.1)
    assert np.allclose(result.measured, served)
    assert result.champions[-1].version.number == 0
    assert served[6 * 24] == pytest.approx(0.9), "nothing is left of a candidate that was stopped"


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, math.nan])
def test_a_share_is_between_nothing_and_all(share: float):
    run = Run(World(scenario()), Never())
    run.plane.go_live(run.quality.initial(), 0.0)
    with pytest.raises(ValueError, match="expected more than 0 and less than 1"):
        run.plane.expose(run.plane.champion.version, share, 0.0)


def test_the_accuracy_of_a_canary_follows_from_its_events():
    plan = {"strategy": "canary", "hold": ["1h30min", "2h", "3h"]}
    system = scenario(plan, loss=0.03, traffic={"rate": "2.4k/d", "arrivals": "deterministic"})
    holds = dict(zip(("1%", "5%", "25%"), (1.5 / 24, 2 / 24, 3 / 24), strict=True))
    for seed in range(5):
        result = sim.run(system, "scheduled:30h", seed=seed)
        lost = np.zeros(system.windows)  # how much less than 0.9 a window serves

        def lose(since: float, until: float, amount: float, lost=lost) -> None:
            edges = np.arange(system.windows + 1) * system.window
            inside = np.minimum(edges[1:], until) - np.maximum(edges[:-1], since)
            lost += amount * np.maximum(inside, 0.0) / system.window

        live: float | None = None
        for event in result.raw_events:
            share = event.details.split(" ")[0]
            if event.kind == "canary step" and live is None:
                lose(event.time - holds[share], event.time, 0.03 * float(share[:-1]) / 100)
            if event.kind == "deployment" and live is None:
                live = event.time
        if live is not None:
            lose(live, system.horizon, 0.03)
        assert np.abs(result.accuracy[0] - (0.9 - lost)).max() < 1e-9


# ---------------------------------------------------------------- canary


def outcomes(system: Scenario, count: int) -> tuple[int, list[str]]:
    """How many of `count` worlds stopped their first candidate, and what its steps said."""
    stopped, steps = 0, []
    for replication in range(count):
        result = sim.run(system, "scheduled:1d", replication=replication)
        stopped += bool(told(result, "deployment stopped"))
        steps += told(result, "canary step")
    return stopped, steps


@pytest.mark.parametrize(
    ("evidence", "loss", "margin"),
    [("labels", 0.03, 0.0), ("labels", 0.04, 0.01), ("clicks", 0.06, 0.0), ("errors", 0.04, 0.0)],
)
def test_a_canary_misses_as_often_as_the_binomial_law_says(evidence: str, loss: float, margin: float):
    plan = {"strategy": "canary", "steps": ["5%"], "hold": "6h", "evidence": evidence, "margin": margin}
    count = 400
    stopped, steps = outcomes(scenario(plan, loss, horizon="47h"), count)
    assert len(steps) == count
    p0, p1 = {"labels": (0.9, 0.9 - loss), "clicks": (0.5, 0.5 - 0.8 * loss), "errors": (0.9, 0.9 - loss)}[
        evidence
    ]
    power = canary_power(p0, p1, 5700, 300, margin=margin)
    assert 0.3 < power < 0.9
    assert share_within(stopped, count, power, slack=0.005), "the exposed number is binomial, its mean is 300"


def test_a_canary_stops_an_equal_candidate_as_rarely_as_the_binomial_law_says():
    plan = {"strategy": "canary", "steps": ["5%", "25%"], "hold": ["4h", "2h"]}
    result = sim.run(scenario(plan, horizon="800d"), "scheduled:12h")
    trials = len(told(result, "deployment stopped")) + len(told(result, "deployment"))
    first, second = canary_power(0.9, 0.9, 3800, 200), canary_power(0.9, 0.9, 1500, 500)
    assert trials > 1500
    assert share_within(
        len(told(result, "deployment stopped")), trials, 1 - (1 - first) * (1 - second), slack=0.003
    )


def test_little_traffic_misses_what_much_traffic_finds_and_time_makes_up_for_it():
    found = {}
    for rate, hold in (("1200/d", "1h"), ("1200/d", "2d"), ("120k/d", "1h")):
        plan = {"strategy": "canary", "steps": ["10%"], "hold": hold}
        system = scenario(plan, 0.05, horizon="99h", traffic={"rate": rate, "arrivals": "deterministic"})
        results = [sim.run(system, "scheduled:50h", replication=r) for r in range(60)]
        found[rate, hold] = sum(bool(told(result, "deployment stopped")) for result in results)
    assert found["1200/d", "1h"] < 15
    assert found["1200/d", "2d"] > 30
    assert found["120k/d", "1h"] > 45


def test_late_labels_leave_a_short_hold_without_evidence_and_a_signal_responds_at_once():
    late = {"coverage": 1.0, "delay": "12h"}
    plan = {"strategy": "canary", "hold": "1h"}
    blind = sim.run(scenario(plan, 0.2, labels=late), "scheduled:10d")
    assert all(step.endswith("1 h: no evidence") for step in told(blind, "canary step"))
    assert len(told(blind, "deployment")) == 1
    patient = sim.run(scenario(plan | {"hold": "13h", "steps": ["5%"]}, 0.2, labels=late), "scheduled:10d")
    number = int(told(patient, "canary step")[0].split("% of ")[2].split(":")[0].replace(",", ""))
    assert number == pytest.approx(950, abs=30), "labels of the first hour have come in"
    seeing = sim.run(scenario(plan | {"evidence": "clicks"}, 0.2, labels=late), "scheduled:10d")
    assert len(told(seeing, "deployment stopped")) == 1


def test_labels_of_an_earlier_step_count_in_the_step_in_which_they_come_in():
    plan = {"strategy": "canary", "steps": ["10%", "50%"], "hold": ["2h", "4h"]}
    result = sim.run(scenario(plan, labels={"coverage": 1.0, "delay": "3h"}), "scheduled:10d")
    nothing, later = told(result, "canary step")
    assert "no evidence" in nothing
    # of the 4 h with labels in the second step, 2 h were asked in the first one (10 %) and 1 h in the second (50 %)
    numbers = [int(part.split(":")[0].split(" ")[0].replace(",", "")) for part in later.split("% of ")[1:]]
    assert numbers[0] == pytest.approx(200 + 500, abs=100)
    assert sum(numbers) == 3000


def test_a_window_in_progress_counts_as_far_as_it_has_gone():
    plan = {"strategy": "canary", "steps": ["50%"], "hold": "1h"}
    stages = INSTANT | {"deployment": "45min"}
    system = scenario(plan, pipeline={"stages": stages})
    numbers = told(sim.run(system, "scheduled:10d"), "canary step")[0].split("% of ")[1:]
    assert sum(int(part.split(":")[0].split(" ")[0].replace(",", "")) for part in numbers) == pytest.approx(
        1000, abs=60
    )


# ---------------------------------------------------------------- the others


def test_a_policy_that_never_retrains_does_not_meet_the_strategy():
    plain = sim.run(scenario(monitors=WATCHED), "never")
    for strategy in ("canary", "shadow", "ab_test", "interleaving", "blue_green"):
        other = sim.run(scenario(strategy, monitors=WATCHED), "never")
        assert other.summary.drop("total_cost").equals(plain.summary.drop("total_cost"))
        assert np.array_equal(other.accuracy, plain.accuracy)


def test_strategies_meet_the_same_world():
    world = World(scenario())
    other = world.for_scenario(scenario("canary"))
    assert other.requests is world.requests


def test_blue_green_switches_at_once_and_pays_for_what_stands_by():
    plan = {"strategy": "blue_green", "standby": "2d", "serving_cost": "$10/d"}
    result = sim.run(scenario(plan, horizon="12d"), "scheduled:5d")
    assert [champion.since for champion in result.champions] == [0.0, 5.0, 10.0]
    assert result.costs["deployment"] == pytest.approx(40.0)
    often = sim.run(scenario(plan, horizon="12d"), "scheduled:1d")
    assert often.costs["deployment"] == pytest.approx(11 * 10.0), "a newer deployment takes its place"


@pytest.mark.parametrize("cut_short", [False, True])
def test_a_shadow_costs_its_overhead_and_shows_nothing_to_users(cut_short: bool):
    plan = {"strategy": "shadow", "duration": "2d", "serving_cost": "$100/d", "overhead": "20%"}
    result = sim.run(scenario(plan, 0.05, horizon="6d" if cut_short else "9d"), "scheduled:5d")
    assert np.all(result.accuracy == 0.9)
    assert result.costs["deployment"] == pytest.approx(20.0 if cut_short else 40.0)
    assert len(told(result, "deployment stopped")) == (0 if cut_short else 1)


def test_a_shadow_finds_by_pairs_what_a_canary_of_the_same_requests_misses():
    pairs = {"strategy": "shadow", "duration": "8h", "shared_errors": 0.8}
    step = {"strategy": "canary", "steps": ["50%"], "hold": "8h"}
    few = {"rate": "7.2k/d", "arrivals": "deterministic"}
    found = [
        sum(
            bool(
                told(
                    sim.run(scenario(plan, 0.02, horizon="47h", traffic=few), "scheduled:1d", replication=r),
                    "deployment stopped",
                )
            )
            for r in range(100)
        )
        for plan in (pairs, step)
    ]
    assert found[0] > 85
    assert found[1] < 70


def test_a_shadow_stops_an_equal_candidate_at_most_as_often_as_it_says():
    result = sim.run(scenario({"strategy": "shadow", "duration": "6h"}, horizon="500d"), "scheduled:12h")
    stopped, shipped = len(told(result, "deployment stopped")), len(told(result, "deployment"))
    assert stopped + shipped > 900
    assert 0.02 < stopped / (stopped + shipped) < 0.05 + 5 * math.sqrt(0.05 * 0.95 / 900)


@pytest.mark.parametrize(("on", "candidate"), [("deployment", 0.9), ("repair", 0.7)])
def test_a_candidate_is_free_of_what_came_with_the_champion_and_of_nothing_else(on: str, candidate: float):
    failure = {"name": "skew", "trigger": {"on": on, "probability": 1e-9}, "accuracy_drop": 0.2}
    run = Run(World(scenario(failures=[failure], pipeline={"stages": INSTANT})), Never())
    seen = []

    def look() -> Any:
        yield run.env.timeout(2.0)
        run.begin_incident(run.scenario.failures[0])
        yield run.env.timeout(1.0)
        trial = Trial(
            run, run.quality.train(run.plane.champion.version, run.now, 1.0, 0.0, run.next_version())
        )
        yield run.env.timeout(0.5)
        seen.extend(float(accuracy[0]) for accuracy in trial.accuracies(np.array([80])))

    run.env.process(look())
    run.play()
    assert seen == pytest.approx([0.7, candidate])


def test_deployments_are_compared_one_after_the_other():
    plan = {"strategy": "canary", "steps": ["5%"], "hold": "30h"}
    result = sim.run(scenario(plan), "scheduled:1d")
    ends = [event.time for event in result.raw_events if event.kind == "canary step"]
    assert np.diff(ends).min() >= 1.25 - 1e-9


# ---------------------------------------------------------------- A/B tests

AB = {"strategy": "ab_test", "minimum": "0d", "maximum": "10d"}


@pytest.mark.parametrize(
    ("correction", "share"),
    [("none", None), pytest.param("pocock", 0.05, marks=pytest.mark.slow), ("obrien_fleming", 0.05)],
)
def test_peeking_finds_differences_that_are_not_there_unless_it_is_corrected(
    correction: str, share: float | None
):
    """Five looks at 5 %: about 14 % without a correction."""
    expected = chance_beyond(limits_of("none", 5, 0.05)) if share is None else share
    assert (expected > 0.14) == (share is None)
    plan = AB | {"looks": 5, "correction": correction, "minimum": "10h", "effect": "5%"}
    result = sim.run(scenario(plan, horizon="900d"), "scheduled:12h")
    ended = told(result, "experiment ended")
    wrong = sum("no change" not in story for story in ended)
    assert len(ended) > 1700
    assert share_within(wrong, len(ended), expected)


def test_the_planned_size_finds_the_planned_effect_as_often_as_planned():
    result = [
        sim.run(
            scenario(AB | {"effect": "2%", "primary": "labels"}, 0.02, horizon="47h"),
            "scheduled:1d",
            replication=r,
        )
        for r in range(250)
    ]
    ended = [told(each, "experiment ended")[0] for each in result]
    assert "(planned 3,532 each)" in ended[0]
    found = sum("degradation: do not ship" in story for story in ended)
    assert share_within(found, len(ended), 0.8, slack=0.03), "windows bring up to an eighth more than planned"


def test_it_lasts_until_the_size_is_reached_the_minimum_is_over_or_the_maximum_is():
    def ends(**plan: Any) -> float:
        result = sim.run(scenario(AB | plan, horizon="30d"), "scheduled:10d")
        return next(event.time for event in result.raw_events if event.kind == "experiment ended") - 10.0

    assert ends(effect="2%") == pytest.approx(8 / 24), "3,532 of each, 500 an hour"
    assert ends(effect="2%", minimum="3d") == pytest.approx(3.0)
    assert ends(effect="0.1%", maximum="4d") == pytest.approx(4.0)
    assert ends(effect="2%", burn_in="1d") == pytest.approx(1 + 8 / 24)
    assert ends(effect="5%", primary="clicks") == pytest.approx(4 / 24), "1,570 of each"
    assert ends(effect="5%", primary="clicks", attribution="2d") == pytest.approx(2 + 4 / 24)
    assert ends(effect="2%", share="10%") == pytest.approx(36 / 24), "the smaller variant decides"


def test_what_is_new_looks_better_at_first_and_a_burn_in_waits_for_it_to_fade():
    novelty = {"novelty": {"lift": "5%", "fades": "12h"}, "effect": "2%"}
    shipped = [
        sum(
            "improvement"
            in told(
                sim.run(scenario(AB | novelty | wait, horizon="9d"), "scheduled:4d", replication=r),
                "experiment ended",
            )[0]
            for r in range(60)
        )
        for wait in ({}, {"burn_in": "4d"})
    ]
    assert shipped[0] > 50
    assert shipped[1] < 10


@pytest.mark.parametrize(
    ("rail", "fails"),
    [
        ({"signal": "latency"}, False),
        ({"signal": "latency", "worsens": 0.1}, True),
        ({"signal": "latency", "worsens": 0.1, "harm": 0.15}, False),
        ({"signal": "latency", "worsens": 0.1, "affects": 0}, False),
        ({"signal": "errors", "worsens": 0.3}, False),
        ({"signal": "errors", "worsens": 1.0}, True),
        ({"signal": "clicks", "bad": "down", "worsens": 0.2}, True),
    ],
)
def test_a_better_candidate_that_harms_a_guardrail_is_investigated_and_not_shipped(
    rail: dict[str, Any], fails: bool
):
    plan = AB | {"guardrails": [rail], "effect": "1%"}
    decaying = {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1%/d"}
    result = sim.run(scenario(plan, quality=decaying), "scheduled:8d")
    story = told(result, "experiment ended")[0]
    assert story.endswith("investigate" if fails else "ship")
    assert (f"guardrails failed: {rail['signal']}" in story) == fails
    assert len(told(result, "deployment")) == (0 if fails else 1)


def test_interleaving_finds_with_few_requests_what_it_is_planned_for():
    plan = {"strategy": "interleaving", "effect": "1%", "share": "50%"}
    slow = {"rate": "240/d", "arrivals": "deterministic"}
    results = [
        sim.run(scenario(plan, 0.01, horizon="10d", traffic=slow), "scheduled:1d", replication=r)
        for r in range(250)
    ]
    ended = [told(result, "experiment ended")[0] for result in results]
    assert "(planned 783)" in ended[0]
    assert share_within(sum("do not ship" in story for story in ended), len(ended), 0.8, slack=0.02)
    served = results[0].timeline.accuracy.to_numpy()
    assert served[30] == pytest.approx(0.9 - 0.25 * 0.01), "half of the requests are answered half by each"
