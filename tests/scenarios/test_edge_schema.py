"""Fleets of devices in scenario files: what is refused, each with one clear message, and what the files say."""

from __future__ import annotations

from typing import Any

import pytest

import scenarios
from scenarios.edge import POWER_LIMITS, DeviceClass, Edge
from scenarios.edge_checks import mean_power, region_shares
from scenarios.edge_links import Link
from scenarios.loader import validate_mapping
from scenarios.ota import Ota
from scenarios.problems import ScenarioError
from scenarios.schema import Scenario
from sim.engine import Run
from sim.policies import Scheduled
from sim.world import World

DEVICE: dict[str, Any] = {"name": "box", "kind": "gateway", "count": 10, "full": {"size": "1 MB"}}
SIGNAL: dict[str, Any] = {"name": "wakes", "kind": "proportion", "base": 0.02}
WATCH: dict[str, Any] = {"metric": "signal", "signal": "wakes", "threshold": 0.1}
CELL: dict[str, Any] = {"kind": "cell", "capacity": "100 J"}


def scenario(
    edge: dict[str, Any] | None = None, device: dict[str, Any] | None = None, **given: Any
) -> Scenario:
    """A plain fleet with other fields."""
    plain: dict[str, Any] = {
        "title": "edge",
        "horizon": "10d",
        "window": "1d",
        "value_per_query_per_unit_accuracy": "$0.01",
        "features": 1,
        "slices": [{"name": "north", "weight": 0.5}],
        "quality": {"kind": "degradation", "initial_accuracy": 0.9},
        "traffic": {"rate": "100/d"},
        "signals": [SIGNAL],
        "edge": {"devices": [DEVICE | (device or {})], **(edge or {})},
    }
    return validate_mapping(plain | given)


POOL = {
    "name": "main",
    "accelerator": {"preset": "a100_80gb", "price": "$3/h"},
    "service": {"kind": "batch_curve", "fixed": "40ms", "per_item": "10ms"},
}

CASES: dict[str, tuple[dict[str, Any], str]] = {
    "memory": (
        {"device": {"memory": "1.5 MB"}},
        "got 1.5 MB, and 2 slots of the full model need 2 MB; expected smaller models, more memory, or ota.slots: 1",
    ),
    "memory of one slot": (
        {"device": {"memory": "900 KB", "simple": {"size": "10 KB"}}},
        "got 900 KB, and 2 slots of the full model and the simple one need 2.01 MB; expected smaller models or more",
    ),
    "bandwidth": (
        {"device": {"link": {"bandwidth": "100 kilobytes"}}},
        "expected a bandwidth such as '100 KB/s', '2 MB/s', '64 GB/s'",
    ),
    "power of a sensor": (
        {"device": {"kind": "sensor", "power": {"kind": "mains", "idle": "150 mW"}}},
        "draws 150 mW on average, and a sensor at most 100 mW",
    ),
    "power of inferences": (
        {"device": {"kind": "mobile", "inferences": "1/s", "full": {"size": "1 MB", "energy": "600 mJ"}}},
        "draws 600 mW on average, and a mobile at most 500 mW",
    ),
    "charger": (
        {
            "device": {
                "power": {"kind": "rechargeable", "capacity": "1 Wh", "charging": "1 mW", "idle": "2 mW"},
            }
        },
        "so it would never charge",
    ),
    "regions": ({"device": {"regions": {"nort": 1.0}}}, "did you mean 'north'"),
    "shares of regions": ({"device": {"regions": {"north": 0.5, "rest": 0.3}}}, "add up to 0.8, expected 1"),
    "weights": (
        {"device": {"regions": {"north": 1.0}}},
        "'north' has 50.0% of the requests, and by edge.devices[0].regions the devices in it ask 100.0% of them; "
        "expected the same: slices with the weights {north: 100%}, or regions that add up to "
        "{north: 50%, rest: 50%}",
    ),
    "regions without slices": (
        {"slices": [], "device": {"regions": {"north": 0.4, "south": 0.6}}},
        "such as slices: [{name: north, weight: 40%}, {name: south, weight: 60%}]",
    ),
    "names": ({"edge": {"devices": [DEVICE, DEVICE]}}, "'box' is there twice"),
    "too many": ({"device": {"count": "11M"}}, "expected at most 10,000,000"),
    "canaries": ({"deployment": "canary"}, "canary is for servers; on an edge fleet edge.ota.waves"),
    "canaries without labels": ({"deployment": "canary", "labels": None}, "canary is for servers"),
    "features stay": (
        {"edge": {"reports": {}}, "triggers": [{"metric": "feature_drift_psi"}]},
        "triggers[0].metric: feature_drift_psi needs what devices see",
    ),
    "signal without reports": ({"monitors": [WATCH]}, "monitors[0].signal: devices report none without"),
    "halt without reports": (
        {"edge": {"ota": {"halt": {"on": ["proxies"], "signal": "wakes"}}}},
        "edge.ota.halt.signal: devices report no signals without",
    ),
    "halt by an unknown signal": (
        {"edge": {"reports": {}, "ota": {"halt": {"on": ["proxies"], "signal": "wake"}}}},
        "did you mean 'wakes'",
    ),
    "halt without a signal": ({"edge": {"ota": {"halt": {"on": ["proxies"]}}}}, "needs the name of a signal"),
    "waves that shrink": (
        {"edge": {"ota": {"waves": [{"share": 0.5}, {"share": 0.2}, {"share": 1.0}]}}},
        "edge.ota.waves[1].share: got 20%, expected more than the 50% of waves[0]",
    ),
    "waves that end early": ({"edge": {"ota": {"waves": [{"share": 0.5}]}}}, "the last share is 50%"),
    "offset without a train": ({"edge": {"ota": {"offset": "3d"}}}, "is that of a train"),
    "offset of a train and more": (
        {"edge": {"ota": {"train": "30d", "offset": "45d"}}},
        "edge.ota.offset: got 45 d, expected less than train, the 30 d between two trains",
    ),
    "half a network": ({"device": {"link": {"online": "3h"}}}, "give both of online and offline, or neither"),
    "hours": ({"device": {"link": {"hours": [0.5, 1.0]}}}, "got 2 numbers, expected 24"),
    "no hour": ({"device": {"link": {"hours": [0.0] * 24}}}, "no check-in would ever succeed"),
    "replacement": (
        {"device": {"power": CELL | {"replacement": {"kind": "uniform", "low": "1d", "high": "2d"}}}},
        "got kind uniform, expected fixed or exponential",
    ),
    "serving": (
        {"serving": {"with_policies": True, "pools": [POOL]}},
        "devices answer the requests of an edge fleet",
    ),
    "features of a policy": (
        {"policies": ["triggered:psi>0.2"]},
        "feature_drift_psi needs what devices see",
    ),
    "outcomes": ({"edge": {"ota": {"failure": 0.6, "brick": 0.6}}}, "failure + brick add up to 1.2"),
    "unit": ({"device": {"memory": "256 mW"}}, "256 mW"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_does_not_fit_is_refused_with_one_message(case: str) -> None:
    given, message = CASES[case]
    with pytest.raises(ScenarioError) as caught:
        scenario(**given)
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


def test_what_fits_is_taken() -> None:
    found = scenario({"reports": {}}, monitors=[WATCH])
    assert found.edge is not None
    assert found.edge.count == 10


def test_mains_is_short_for_its_kind() -> None:
    assert scenario(device={"power": "mains"}) == scenario(device={"power": {"kind": "mains"}})
    with pytest.raises(ScenarioError, match=r"power: unknown 'main': did you mean 'mains'"):
        scenario(device={"power": "main"})


def test_devices_spread_as_the_slices_weigh_unless_told_otherwise() -> None:
    found = scenario()
    assert found.edge is not None
    assert region_shares(found, found.edge.devices[0]) == (0.5, 0.5)
    named = scenario(device={"regions": {"rest": 0.5, "north": 0.5}})
    assert named.edge is not None
    assert region_shares(named, named.edge.devices[0]) == (0.5, 0.5)


def test_a_network_has_its_availability() -> None:
    assert Link.model_validate({"online": "1h", "offline": "3h"}).availability == 0.25
    assert Link().availability == 1.0


@pytest.mark.parametrize("name", ["smoke_detector", "oura_ring", "tesla_ota", "mobile_keyboard"])
def test_the_library_s_fleets_are_of_the_source_s_kinds(name: str) -> None:
    found = scenarios.load(name)
    assert found.edge is not None
    for kind in found.edge.devices:
        assert mean_power(kind) <= POWER_LIMITS[kind.kind]
    assert "ssumption" in found.story
    assert found.source.startswith("chapter")


def test_the_source_s_figures_are_in_the_library() -> None:
    detector = _class("smoke_detector")
    assert detector.memory == 256e3
    assert detector.simple is not None
    assert 2 * detector.full.size + detector.simple.size <= 256e3
    for name in ("smoke_detector", "oura_ring", "tesla_ota", "mobile_keyboard"):
        assert 0.8 <= _ota(name).differential <= 0.95
    assert _ota("oura_ring").train == 91.0
    keyboard = scenarios.load("mobile_keyboard")
    assert keyboard.edge is not None
    assert keyboard.edge.count == 1_000_000
    assert 5e-3 <= 86400.0 * keyboard.edge.devices[0].full.latency <= 50e-3


def _edge(name: str) -> Edge:
    edge = scenarios.load(name).edge
    assert edge is not None
    return edge


def _class(name: str) -> DeviceClass:
    return _edge(name).devices[0]


def _ota(name: str) -> Ota:
    return _edge(name).ota


def test_the_ring_goes_from_62_to_79_percent() -> None:
    scenario = scenarios.load("oura_ring")
    ramp = scenario.drift[0].model_dump(mode="json")
    alone = scenarios.load(
        "oura_ring", **{"drift": [ramp], "pipeline.training_noise": 0.0, "edge.devices[0].count": 50}
    )
    run = Run(World(alone), Scheduled(91.0))
    result = run.play()
    assert run.edge is not None
    tables = run.edge.plane.tables  # of a device that runs the full model
    assert tables[0][0, 0] == pytest.approx(0.79)
    assert tables[0][0, 5:] == pytest.approx(0.62, abs=1e-4)
    assert tables[1][0, 120:] == pytest.approx(0.79)
    assert result.edge is not None
    assert result.edge.releases()["left_days"].tolist()[0] == 105.0
