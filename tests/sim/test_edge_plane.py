"""The data plane of a fleet: the mixture over devices, at the right moments, for what brought them there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from small_edges import small_edge

import sim
from sim.edge_answers import OFF, SIMPLE
from sim.engine import Run
from sim.policies import Dates, Decision, Policy
from sim.view import View
from sim.world import World

SIGNAL = {"name": "wakes", "kind": "proportion", "base": 0.02, "per_accuracy_lost": 0.2}
MONITOR = {"metric": "signal", "signal": "wakes", "rule": "significance", "sampling_rate": 1.0}
SIMPLE_MODEL = {"size": "10 KB", "loss": 0.1}


def servers(**given: Any) -> sim.Result:
    """The same system on servers, without devices."""
    policy = given.pop("policy", None)
    return sim.run(small_edge(**given).with_(edge=None), policy)


def test_before_a_release_a_fleet_answers_like_a_server() -> None:
    fleet, server = sim.run(small_edge()), servers()
    np.testing.assert_allclose(fleet.accuracy, server.accuracy, rtol=1e-12)
    assert fleet.summary["total_cost"] == pytest.approx(server.summary["total_cost"], rel=1e-12)


def test_a_fleet_that_is_always_in_contact_equals_servers() -> None:
    device, given = {"count": 20, "link": {"contact": "1min"}}, {"horizon": "10d"}
    policy = Dates(np.array([2.3, 6.0]))
    fleet, server = sim.run(small_edge(device=device, **given), policy), servers(**given, policy=policy)
    # A device is late by a minute on average: 1/1440 of a window, of a step of at most 6 % of accuracy.
    np.testing.assert_allclose(fleet.accuracy, server.accuracy, atol=2e-4)
    assert fleet.version_number.tolist() == server.version_number.tolist()


def test_accuracy_is_the_mixture_of_what_runs() -> None:
    fleet = sim.run(small_edge(), Dates(np.array([10.0])))
    assert fleet.edge is not None
    old, new = servers(), servers(policy=Dates(np.array([10.0])))
    expected = (fleet.edge.shares * np.vstack((old.accuracy[0], new.accuracy[0])).T).sum(axis=1)
    later = fleet.edge.moments > 11.0  # on the day of the release servers switch at once
    np.testing.assert_allclose(fleet.accuracy[0, later], expected[later], rtol=1e-9)
    assert 0.1 < fleet.edge.shares[11, 1] < 0.9


def test_a_simple_model_and_an_empty_battery_cost_accuracy() -> None:
    power = {"kind": "cell", "capacity": "10 J", "initial": 0.15, "low": 0.2, "idle": "0.01 uW"}
    simple = sim.run(small_edge(device={"power": power, "simple": SIMPLE_MODEL, "inferences": "1/d"}))
    np.testing.assert_allclose(simple.accuracy, servers().accuracy - 0.1, rtol=1e-9)
    power = power | {"initial": 0.01, "idle": "1 uW", "replacement": "400d"}  # 0.1 J at 1 uW lasts 1.16 d
    empty = sim.run(small_edge(device={"power": power, "simple": SIMPLE_MODEL, "inferences": "1/d"}))
    assert empty.edge is not None
    assert empty.accuracy[0, 2:].tolist() == [0.0] * 58
    assert empty.edge.states[5, OFF] == 2000
    assert empty.edge.states[0, SIMPLE] == 2000


def test_reviewers_set_nothing_right_that_no_device_has_answered() -> None:
    power = {"kind": "cell", "capacity": "10 J", "initial": 0.01, "idle": "1 uW", "replacement": "400d"}
    review = {"share": 0.05, "error_share": 0.2, "reviewers": 50, "service": "5min", "accuracy": 1.0}
    dark = sim.run(small_edge(device={"power": power, "inferences": "1/d"}, review=review))
    lit = sim.run(small_edge(review=review))
    assert dark.gained is not None
    assert lit.gained is not None
    assert dark.accuracy[0, 2:].tolist() == [0.0] * 58
    np.testing.assert_allclose(dark.gained[2:], 0.0, atol=1e-12)
    assert lit.gained[10:50].mean() > 0.01


def test_offloaded_requests_are_answered_by_the_newest_release() -> None:
    link = {"contact": "1d", "online": "6h", "offline": "18h"}
    offload = {"share": 0.4, "gain": 0.05, "price": "$1/k"}
    fleet = sim.run(small_edge({"offload": offload}, {"link": link, "usage": 3}))
    np.testing.assert_allclose(fleet.accuracy, servers().accuracy + 0.4 * 0.25 * 0.05, rtol=1e-9)
    assert fleet.costs["serving"] == pytest.approx(0.001 * 0.1 * fleet.requests.sum())
    assert fleet.summary["offload_share"] == pytest.approx(0.1)


def test_devices_report_of_what_they_answer_themselves() -> None:
    steady: dict[str, Any] = {
        "signals": [SIGNAL],
        "monitors": [{"metric": "signal", "signal": "wakes", "threshold": 0.5, "sampling": "none"}],
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0%/d"},
    }
    offload = {"share": 0.8, "gain": 0.1}
    alone = sim.run(small_edge({"reports": {}}, **steady))
    helped = sim.run(small_edge({"reports": {}, "offload": offload}, **steady))
    for run in (alone, helped):
        np.testing.assert_allclose(run.scores["wakes"][5:], SIGNAL["base"], rtol=1e-6)


def test_slices_are_the_regions_of_the_devices() -> None:
    slices = [{"name": "north", "weight": 0.25, "decay": "2%/d"}, {"name": "south", "weight": 0.75}]
    fleet = sim.run(small_edge(device={"regions": {"north": 0.25, "south": 0.75}}, slices=slices))
    alone = servers(slices=slices)
    np.testing.assert_allclose(fleet.accuracy, alone.accuracy, rtol=1e-12)
    assert (fleet.accuracy[0, 1:] < fleet.accuracy[1, 1:]).all()


class Watchful(Policy):
    """Looks again and again whether devices are ahead of the clock."""

    def decide(self, view: View) -> Decision:
        plane: Any = view._run.plane
        assert plane.devices.now <= view.now + 1e-9
        due = view.now > 5.9 and not view.retrainings
        following = 0.6 * (math.floor(view.now / 0.6 + 1e-6) + 1)
        return Decision(due, wake=following if view.now < 50.0 else np.inf)


def watched(**given: Any) -> Any:
    reports: dict[str, Any] = {"opted_in": 0.5}
    return small_edge({"reports": reports, **given}, signals=[SIGNAL], monitors=[MONITOR])


def test_devices_never_run_ahead_and_looks_change_nothing_about_them() -> None:
    seen = sim.run(watched(), Watchful())
    blind = sim.run(watched().with_(monitors=[]), Watchful())
    assert len(seen.alarms) > 0
    np.testing.assert_array_equal(seen.accuracy, blind.accuracy)
    assert seen.edge is not None
    assert blind.edge is not None
    np.testing.assert_array_equal(seen.edge.mix, blind.edge.mix)


def test_the_same_run_gives_the_same_bytes() -> None:
    one, two = sim.run(watched(), "triggered"), sim.run(watched(), "triggered")
    assert one.summary.to_json() == two.summary.to_json()
    assert one.timeline.to_json() == two.timeline.to_json()
    assert one.accuracy.tobytes() == two.accuracy.tobytes()


def test_what_comes_with_a_release_hits_the_devices_that_run_it() -> None:
    ota = {"waves": [{"share": 0.2, "hold": "20d"}, {"share": 1.0}]}
    failures = [{"name": "bug", "trigger": {"on": "deployment"}, "accuracy_drop": 0.3}]
    broken = sim.run(small_edge({"ota": ota}, failures=failures), Dates(np.array([5.0])))
    sound = sim.run(small_edge({"ota": ota}), Dates(np.array([5.0])))
    assert broken.edge is not None
    lost = (sound.accuracy - broken.accuracy)[0]
    # The drop begins with the deployment, in the middle of no window.
    np.testing.assert_allclose(lost[6:], 0.3 * broken.edge.shares[6:, 1], atol=1e-9)
    assert lost[20] == pytest.approx(0.3 * 0.2, abs=0.02)
    assert broken.edge.summary["blast_devices"] == broken.edge.installed[1][0]
    assert broken.costs["incident"] == pytest.approx(0.01 * float(broken.requests @ lost))


def test_what_comes_with_a_release_hits_a_slice_as_its_devices_run_it() -> None:
    slices = [{"name": "near", "weight": 0.5}, {"name": "far", "weight": 0.5}]
    common: dict[str, Any] = {"kind": "gateway", "count": 1000, "full": {"size": "1 MB"}}
    devices = [
        common | {"name": "quick", "regions": {"near": 1.0}, "link": {"contact": "1h"}},
        common | {"name": "slow", "regions": {"far": 1.0}, "link": {"contact": "300d"}},
    ]
    failures = [{"name": "bug", "trigger": {"on": "deployment"}, "accuracy_drop": 0.3, "slice": "near"}]
    quality = {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0%/d"}
    broken = sim.run(
        small_edge({"devices": devices}, slices=slices, failures=failures, quality=quality),
        Dates(np.array([5.0])),
    )
    np.testing.assert_allclose(broken.accuracy[0, 8:], 0.6, atol=2e-3)
    np.testing.assert_allclose(broken.accuracy[1], 0.9, rtol=1e-9)


def test_losses_go_to_the_release_that_brought_them() -> None:
    ota = {"waves": [{"share": 0.1, "hold": "60d"}, {"share": 1.0}]}
    drop: dict[str, Any] = {"accuracy_drop": 0.2}
    failures = [
        drop | {"name": "bug", "trigger": {"on": "deployment"}},
        drop | {"name": "season", "onsets": ["20d"]},
    ]
    found = sim.run(small_edge({"ota": ota}, failures=failures), Dates(np.array([10.0])))
    bug, season = found.raw_incidents
    assert found.edge is not None
    assert found.costs["incident"] == pytest.approx(bug.loss + season.loss)
    worth = 0.01 * found.requests
    assert bug.loss == pytest.approx(0.2 * float(worth[10:] @ found.edge.shares[10:, 1]), rel=0.02)
    assert season.loss == pytest.approx(0.2 * float(worth[20:].sum()), rel=0.02)


def test_what_came_with_a_release_is_over_when_no_device_runs_it() -> None:
    ota = {"waves": [{"share": 1.0, "hold": "4d"}], "attempts": 9}
    failures = [{"name": "bug", "trigger": {"on": "deployment", "probability": 1.0}, "accuracy_drop": 0.3}]
    scenario = small_edge({"ota": ota}, {"count": 200, "link": {"contact": "6h"}}, failures=failures)
    run = Run(World(scenario), Dates(np.array([5.0, 20.0])))
    found = run.play()
    first, second = found.raw_incidents
    assert found.edge is not None
    assert found.edge.mix[int(first.end) :, 1].tolist() == [0.0] * (60 - int(first.end))
    assert 20.0 < first.end < 30.0
    assert second.end == 60.0


def test_a_repair_in_the_centre_reaches_no_device() -> None:
    ota = {"waves": [{"share": 0.2, "hold": "60d"}, {"share": 1.0}]}
    failures = [
        {"name": "bug", "trigger": {"on": "deployment"}, "accuracy_drop": 0.3},
        {"name": "season", "onsets": ["30d"], "accuracy_drop": 0.1},
    ]
    runs = []
    for mends in (False, True):
        run = Run(World(small_edge({"ota": ota}, failures=failures)), Dates(np.array([5.0])))

        def mend(run: Run = run) -> Any:
            yield run.env.timeout(40.0)
            for incident in run.incidents.all:
                run.incidents.repair(incident, run.now)
                run.plane.repaired(incident, run.now)

        if mends:
            run.env.process(mend())
        runs.append(run.play())
    left, mended = runs
    ends = {incident.failure.name: incident.end for incident in mended.raw_incidents}
    assert ends == {"bug": 60.0, "season": 40.0}
    np.testing.assert_allclose(mended.accuracy[0, 40:], left.accuracy[0, 40:] + 0.1, rtol=1e-9)


def test_attackers_answer_releases_and_devices_learn_of_it() -> None:
    drift = [{"kind": "adversarial", "mean": 2.0, "delay": "2.3d", "features": "all"}]
    given: dict[str, Any] = {
        "features": 2,
        "drift": drift,
        "quality": {"kind": "degradation", "initial_accuracy": 0.9, "feature_sensitivity": 0.05},
    }
    sim.run(watched().with_(**given), Watchful())
    provoked = sim.run(watched().with_(**given), Dates(np.array([5.0])))
    quiet = sim.run(watched().with_(**given))
    assert provoked.events["kind"].eq("adversarial answer").sum() == 1
    assert (provoked.accuracy[0, 12:] < quiet.accuracy[0, 12:] - 0.1).all()
    assert any(9.0 <= alarm.time <= 11.0 for alarm in provoked.alarms)
