"""Releases: trains, waves, halts against theory, recalls, what supersedes what, and federated rounds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from small_edges import small_edge

import sim
from scenarios.ota import Halt
from sim.deployment import serve
from sim.edge_plane import EdgePlane
from sim.engine import Run
from sim.policies import Dates, Never
from sim.release_tests import halt_power, least_failures, proxies_found
from sim.world import World

WAVES = [{"share": 0.1, "hold": "3d"}, {"share": 0.5, "hold": "3d"}, {"share": 1.0}]


def times(result: sim.Result, kind: str) -> list[float]:
    events = result.events
    return [round(float(time), 6) for time in events.loc[events["kind"] == kind, "time_days"]]


def play(*dates: float, ota: dict[str, Any] | None = None, **given: Any) -> sim.Result:
    edge, seed = {"ota": ota or {}, **given.pop("edge", {})}, given.pop("seed", 0)
    return sim.run(small_edge(edge, **given), Dates(np.array(dates)), seed)


def test_a_release_waits_for_its_train_and_then_for_its_waves() -> None:
    found = play(12.0, ota={"train": "10d", "waves": WAVES, "release": "$7", "price": "$0.5"})
    assert times(found, "deployment") == [20.0]
    assert times(found, "wave") == [20.0, 23.0, 26.0]
    assert found.edge is not None
    for day, share in ((23, 0.1), (26, 0.5), (40, 1.0)):
        below = share * (1.0 - math.exp(-1.0 * (3.0 if day < 30 else 14.0)))
        assert found.edge.shares[day - 1, 1] <= share + 0.04
        assert found.edge.shares[day - 1, 1] >= 0.7 * below - 0.04
    assert found.costs["ota"] == pytest.approx(7.0 + 0.5 * found.summary["ota_gb"])
    assert found.summary["ota_gb"] == pytest.approx(2000 * 1e6 / 1e9)


def test_of_those_that_wait_for_the_train_only_the_newest_leaves() -> None:
    found = play(2.0, 5.0, 8.0, ota={"train": "10d"})
    assert times(found, "superseded") == [5.0, 8.0]
    assert found.champions[-1].version.cut == 8.0
    assert times(found, "deployment") == [10.0]


def test_a_newer_candidate_waits_until_the_waves_are_through() -> None:
    found = play(2.0, 4.0, 6.0, ota={"waves": WAVES})
    assert times(found, "deployment") == [2.0, 8.0]
    assert times(found, "superseded") == [6.0]
    assert [champion.version.cut for champion in found.champions] == [0.0, 2.0, 6.0]


BAD = {"probability": 1.0, "failure": 0.6}


def test_a_release_that_fails_is_halted_and_recalled() -> None:
    ota: dict[str, Any] = {"waves": WAVES, "halt": {"accepted": 0.02}, "defect": BAD, "attempts": 1}
    found = play(2.0, ota=ota)
    assert times(found, "halt") == times(found, "recall") == [5.0]
    assert found.edge is not None
    assert found.edge.releases()["halted_days"].tolist() == [5.0]
    assert found.edge.shares[-1].tolist() == [1.0, 0.0]
    assert [champion.version.number for champion in found.champions] == [0, 1, 0]
    assert found.summary["halted_releases"] == 1.0
    assert 0 < found.summary["blast_devices"] < 0.1 * 2000
    kept = play(2.0, ota=ota | {"halt": {"accepted": 0.02, "recall": False}})
    assert kept.edge is not None
    assert 0.02 < kept.edge.shares[-1, 1] < 0.1
    assert kept.summary["vulnerable_share"] == pytest.approx(kept.edge.shares[5:, 1].sum() / 60.0)
    assert 0.0 < found.summary["vulnerable_share"] < 0.1 * kept.summary["vulnerable_share"]


def test_what_a_version_carries_does_not_begin_again_on_devices_that_kept_it() -> None:
    ota: dict[str, Any] = {"waves": WAVES, "halt": {"accepted": 0.02}, "attempts": 1}
    ota |= {"defect": BAD | {"probability": 0.5}}
    failures = [{"name": "bug", "trigger": {"on": "retraining"}, "accuracy_drop": 0.1}]
    quality = {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0%/d"}
    for seed in range(20):
        found = play(1.0, 20.0, ota=ota, failures=failures, quality=quality, seed=seed)
        assert found.edge is not None
        if [release.halted is not None for release in found.edge.raw_releases] == [False, True]:
            break
    assert [champion.version.number for champion in found.champions] == [0, 1, 2, 1]
    assert times(found, "incident") == [1.0, 20.0]
    np.testing.assert_allclose(found.accuracy[0, 40:], 0.8, atol=1e-3)


def test_without_reports_enough_nothing_is_concluded() -> None:
    ota = {"waves": WAVES, "halt": {"minimum": 1000}, "defect": BAD, "attempts": 1}
    assert times(play(2.0, ota=ota), "halt") == []


@pytest.mark.parametrize("failure", [0.02, 0.06])
def test_halts_come_as_often_as_the_binomial_test_has_power(failure: float) -> None:
    halt = {"accepted": 0.02, "minimum": 20}
    ota = {
        "waves": [{"share": 1.0, "hold": "2d"}],
        "halt": halt,
        "failure": failure,
        "attempts": 1,
    }
    scenario = small_edge({"ota": ota}, {"count": 100}, horizon="3d")
    plan, halted, expected, variance = Halt.model_validate(halt), 0, 0.0, 0.0
    for replication in range(150):
        world = World(scenario, 5, replication)
        run = Run(world, Dates(np.array([0.0])))
        result = run.play()
        assert run.edge is not None
        (judged,) = [e for e in result.raw_events if e.kind in ("halt", "wave passed")]
        reports = int(judged.details.split(" of ")[-1].split()[0])
        power = halt_power(reports, failure, plan)
        halted += judged.kind == "halt"
        expected += power
        variance += power * (1.0 - power)
    assert 0.0 < expected < 150.0
    assert abs(halted - expected) <= 4.0 * math.sqrt(variance) + 1e-9  # four standard errors: 1 in 16,000


def test_the_limit_of_a_halt_is_that_of_the_exact_test() -> None:
    from scipy.stats import binomtest

    plan = Halt(accepted=0.05, alpha=0.1)
    for reports in (1, 7, 20, 133):
        least = least_failures(reports, plan)
        tests = [binomtest(k, reports, 0.05, "greater").pvalue <= 0.1 for k in range(reports + 1)]
        assert tests == [k >= least for k in range(reports + 1)]


def test_a_smaller_first_wave_has_a_smaller_blast_radius() -> None:
    blast = []
    for share in (0.02, 0.1, 0.5, 1.0):
        waves = [{"share": share, "hold": "4d"}] + ([{"share": 1.0}] if share < 1.0 else [])
        halt = {"accepted": 0.02, "minimum": 10}
        defect = {"probability": 1.0, "failure": 0.4, "brick": 0.05}
        ota = {"waves": waves, "halt": halt, "defect": defect, "attempts": 1}
        found = [play(1.0, ota=ota, seed=seed, horizon="20d") for seed in range(3)]
        blast.append(float(np.mean([run.summary["blast_devices"] for run in found])))
    assert blast == sorted(blast)
    assert blast[0] < 0.1 * blast[-1]


def test_a_quicker_cadence_costs_more_and_keeps_models_younger() -> None:
    ages, costs = [], []
    for train in ("5d", "10d", "20d"):
        found = play(*np.arange(1.0, 56.0, 4.9), ota={"train": train, "price": "$1", "release": "$5"})
        ages.append(found.summary["model_age_mean_days"])
        costs.append(float(found.costs["ota"]))
    assert ages == sorted(ages)
    assert costs == sorted(costs, reverse=True)


def test_proxies_stop_a_release_that_is_worse_on_devices() -> None:
    ota = {
        "waves": [{"share": 0.2, "hold": "6d"}, {"share": 1.0}],
        "halt": {"on": ["proxies"], "signal": "wakes"},
    }
    given: dict[str, Any] = {
        "signals": [{"name": "wakes", "kind": "proportion", "base": 0.02, "per_accuracy_lost": 0.2}],
        "edge": {"reports": {"every": "1d"}},
        "traffic": {"rate": "200k/d"},
    }
    worse = {"failures": [{"name": "bug", "trigger": {"on": "deployment"}, "accuracy_drop": 0.1}]}
    assert times(play(2.0, ota=ota, **given, **worse), "halt") == [8.0]
    assert times(play(2.0, ota=ota, **given), "halt") == []
    only_seen = {
        "failures": [
            {
                "name": "noise",
                "trigger": {"on": "deployment"},
                "effects": [{"signal": "wakes", "factor": 1.5}],
            }
        ]
    }
    assert times(play(2.0, ota=ota, **given, **only_seen), "halt") == [8.0]


@pytest.mark.parametrize("first_has_it", [True, False])
def test_a_fault_that_the_other_devices_have_as_well_does_not_stop_a_release(first_has_it: bool) -> None:
    bug = {"name": "bug", "trigger": {"on": "deployment"}, "effects": [{"signal": "wakes", "factor": 1.5}]}
    scenario = small_edge(
        {"ota": {"waves": [{"share": 0.5, "hold": "6d"}, {"share": 1.0}]}, "reports": {"every": "1d"}},
        signals=[{"name": "wakes", "kind": "proportion", "base": 0.02}],
        traffic={"rate": "200k/d"},
        failures=[bug],
    )
    run = Run(World(scenario), Dates(np.array([1.0, 20.0] if first_has_it else [20.0])))
    verdicts = []

    def compare() -> Any:
        yield run.env.timeout(26.0)
        assert run.edge is not None
        assert isinstance(run.plane, EdgePlane)
        run.plane.settle(run.now)
        plan = Halt(on=["proxies"], signal="wakes", alpha=0.001)
        verdicts.append(proxies_found(run, run.plane, run.edge.releases.all[-1], plan)[0])

    run.env.process(compare())
    run.play()
    assert verdicts == [not first_has_it]


@pytest.mark.parametrize("steady", [True, False])
def test_classes_that_are_worse_anyhow_do_not_stop_a_release(steady: bool) -> None:
    common: dict[str, Any] = {"kind": "gateway", "count": 500}
    quick = {"name": "quick", "link": {"contact": "6h"}, "full": {"size": "1 MB", "loss": 0.2}}
    slow = {"name": "slow", "link": {"contact": "10d"}, "full": {"size": "1 MB"}}
    halt = {"on": ["proxies"], "signal": "wakes", "alpha": 0.05}
    worse = [{"name": "bug", "trigger": {"on": "deployment"}, "accuracy_drop": 0.05}]
    scenario = small_edge(
        {
            "devices": [common | quick, common | slow],
            "ota": {"waves": [{"share": 0.5, "hold": "6d"}, {"share": 1.0}], "halt": halt},
            "reports": {"every": "1d"},
        },
        signals=[{"name": "wakes", "kind": "proportion", "base": 0.05, "per_accuracy_lost": 0.2}],
        quality={"kind": "exponential", "initial_accuracy": 0.9, "decay": "0%/d"},
        traffic={"rate": "100k/d"},
        horizon="15d",
        failures=[] if steady else worse,
    )
    halted = sum(
        sim.run(scenario, Dates(np.array([5.0])), seed).summary["halted_releases"] for seed in range(20)
    )
    assert halted <= 5 if steady else halted == 20  # 1 of 20 by chance; more than 5 once in 3,000


def test_somebody_can_ask_a_release_back() -> None:
    run = Run(World(small_edge({"ota": {"waves": WAVES}})), Dates(np.array([2.0])))

    def by_hand() -> Any:
        yield run.env.timeout(6.5)
        assert run.plane.previous is not None
        serve(run, run.plane.previous)

    run.env.process(by_hand())
    found = run.play()
    assert times(found, "recall") == [6.5]
    assert times(found, "wave") == [2.0, 5.0]
    assert found.edge is not None
    assert found.edge.shares[-1].tolist() == [1.0, 0.0]


def federated(**given: Any) -> dict[str, Any]:
    plain = {"share": 0.5, "round": "1d", "minimum": 100, "size": "1 MB", "loss": 0.04, "reference": 500}
    return {"federated": plain | given}


def test_a_federated_training_waits_for_its_rounds_and_is_as_good_as_they_are() -> None:
    found = play(2.0, edge=federated(), ota={"price": "$1"})
    (told,) = [event.details for event in found.raw_events if event.kind == "round"]
    number = int(told.split()[0].replace(",", ""))
    # Half of 2000 devices are asked, and 1 - exp(-1) of them check in within the day.
    assert abs(number - 632) < 4.0 * math.sqrt(1000 * 0.632 * 0.368 + 500)
    assert found.summary["contributions"] == number
    assert found.champions[-1].version.offset == pytest.approx(-0.04 * math.sqrt(500 / number))
    assert times(found, "deployment") == [3.0]
    few = play(2.0, edge=federated(minimum=2000, rounds=2))
    assert times(few, "round repeated") == [3.0, 4.0]
    assert times(few, "failure") == [4.0]
    assert few.summary["deployments"] == 0.0


def test_never_releasing_costs_the_fleet_nothing() -> None:
    found = sim.run(small_edge({"ota": {"price": "$1", "release": "$5", "train": "10d"}}), Never())
    assert found.costs["ota"] == 0.0
    assert found.summary["releases"] == 0.0
