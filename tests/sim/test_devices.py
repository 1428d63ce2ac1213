"""A fleet of devices against closed forms: adoption, retries, networks, bricks, power; and what must always hold.

Statistical checks use fixed seeds and limits of 5 standard errors (error rate 6e-7 each).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, gamma

from scenarios.edge_checks import mean_power
from sim.devices import BRICK, FULL, OFF, SIMPLE, Devices
from tests.reference.device_cases import edge_of, fleet_case, play, schedule_case, world_of

COUNT = 20_000
DAY_S = 86_400.0


def fleet(days: float = 10, count: int = COUNT, ota: Any = None, **fields: Any) -> Devices:
    """One class on the mains that checks in every day at random, with a model that is there in no time."""
    kind = {
        "name": "device",
        "kind": "gateway",
        "count": count,
        "link": {"contact": "1d", "bandwidth": "100 MB/s"},
        "full": {"size": "1 KB"},
    }
    world = world_of({"devices": [kind | fields], "ota": ota or {}}, days=days)
    return Devices(world, edge_of(world.scenario))


def released(devices: Devices, share: float = 1.0, defective: bool = False) -> int:
    """Publish the next version and open it."""
    version = devices.versions
    devices.publish(version, np.uint64(1000 + version), defective)
    devices.open(version, share)
    return version


def adopted(devices: Devices, version: int) -> np.ndarray:
    """Share of the devices on a version at the end of each window that is over."""
    windows = round(devices.now * 4)
    return devices.counts_at_ends(0, windows)[:, :, version].sum(axis=(1, 2)) / len(devices.rows)


def check_share(found: Any, expected: Any, count: int = COUNT) -> None:
    expected = np.asarray(expected)
    limit = 5.0 * np.sqrt(expected * (1.0 - expected) / count) + 1e-9
    assert (np.abs(np.asarray(found) - expected) <= limit).all()


TIMES = np.arange(1, 41) / 4.0
"""Ends of the windows of ten days."""


def test_adoption_is_exponential():
    devices = fleet()
    version = released(devices)
    devices.advance(10.0)
    check_share(adopted(devices, version), 1.0 - np.exp(-TIMES))


def test_each_installation_fails_for_itself():
    failure, attempts = 0.4, 3
    devices = fleet(ota={"failure": failure, "attempts": attempts})
    version = released(devices)
    devices.advance(10.0)
    tries = np.arange(1, attempts + 1)
    at = [failure ** (k - 1) * (1.0 - failure) * gamma.cdf(TIMES, k) for k in tries]
    check_share(adopted(devices, version), np.sum(at, axis=0))
    succeeded, failed = devices.boot_reports(version)
    reported = devices.traffic(0, 40)
    assert failed <= reported["failures"].sum()
    check_share(failed / (succeeded + failed), failure, count=succeeded + failed)


def test_a_corrupt_download_thins_the_contacts():
    devices = fleet(ota={"corrupt": 0.3})
    version = released(devices)
    devices.advance(10.0)
    check_share(adopted(devices, version), 1.0 - np.exp(-0.7 * TIMES))
    sent = devices.traffic(0, 40)
    assert sent["bytes_sent"].sum() == 1000 * sent["downloads"].sum()


def test_waves_hold_back_the_others():
    devices = fleet()
    version = released(devices, share=0.1)
    devices.advance(3.0)
    devices.open(version, 0.5)
    devices.advance(6.0)
    devices.open(version, 1.0)
    devices.advance(10.0)
    expected = sum(
        part * (1.0 - np.exp(-np.maximum(TIMES - start, 0.0)))
        for part, start in ((0.1, 0.0), (0.4, 3.0), (0.5, 6.0))
    )
    check_share(adopted(devices, version), expected)


@pytest.mark.parametrize("contact", ["2h", "20d"])
def test_a_try_finds_the_network_as_often_as_it_is_there(contact):
    link = {"contact": contact, "online": "6h", "offline": "18h"}
    devices = fleet(days=100, count=4000, link=link)
    devices.advance(100.0)
    traffic = devices.traffic(0, 400)
    tries = float(traffic["check_ins"].sum())
    # A try counts for little news where the network is still as at the last one.
    correlation = 1.0 / (1.0 + (4.0 + 4.0 / 3.0) * (2 / 24 if contact == "2h" else 20.0))
    alike = (1.0 + correlation) / (1.0 - correlation)
    check_share(traffic["contacts"].sum() / tries, 0.25, count=tries / alike)


def test_adoption_over_a_network_between_long_gaps():
    devices = fleet(days=10, link={"contact": "5d", "online": "1min", "offline": "3min"})
    version = released(devices)
    devices.advance(10.0)
    check_share(adopted(devices, version), 1.0 - np.exp(-0.25 * TIMES / 5.0))


def test_hours_of_the_day_thin_the_contacts():
    devices = fleet(link={"contact": "1d", "hours": [0.0] * 12 + [0.5] * 12})
    devices.advance(10.0)
    traffic = devices.traffic(0, 40)
    contacts = traffic["contacts"].reshape(10, 4)
    assert contacts[:, :2].sum() == 0
    afternoon = traffic["check_ins"].reshape(10, 4)[:, 2:].sum()
    check_share(contacts[:, 2:].sum() / afternoon, 0.5, count=afternoon)


def test_a_regular_device_keeps_to_its_phase():
    devices = fleet(link={"contact": "2d", "pattern": "regular"})
    version = released(devices)
    devices.advance(10.0)
    assert set(devices.rows["attempts"]) == {5}
    check_share(adopted(devices, version), np.minimum(TIMES / 2.0, 1.0))


def test_a_cut_download_goes_on_or_starts_again():
    slow = {"contact": "6h", "online": "3h", "offline": "6h", "bandwidth": "100 B/s"}
    sent = {}
    for resume in (True, False):
        devices = fleet(days=30, count=500, link=slow, full={"size": "2 MB"}, ota={"resume": resume})
        version = released(devices)
        devices.advance(30.0)
        done = devices.rows["version"] == version
        assert done.sum() > 100
        sent[resume] = devices.rows["bytes_sent"][done]
    assert (sent[True] == 2_000_000).all()
    assert sent[False].min() == 2_000_000
    assert sent[False].mean() > 1.5 * 2_000_000


def test_changes_alone_are_sent_to_those_who_are_not_far_behind():
    devices = fleet(days=20, count=1000, ota={"differential": "90%", "differential_from": 2})
    for _ in range(3):
        released(devices)
    devices.advance(5.0)
    assert set(devices.rows["version"]) == {0, 3}
    released(devices)
    devices.advance(20.0)
    assert set(devices.rows["bytes_sent"]) == {1000, 1100}, (
        "the whole of 3 and the changes of 4, or the whole of 4"
    )
    assert (devices.rows["version"] == 4).mean() > 0.98


@pytest.mark.parametrize("slots", [1, 2])
def test_without_bricks_no_device_loses_both_slots(slots):
    devices = fleet(ota={"failure": 0.5, "attempts": 2, "slots": slots})
    for _ in range(4):
        released(devices, defective=True)
        devices.advance(devices.now + 2.5)
    counts = devices.counts().sum(axis=(0, 1))
    assert counts[BRICK] == 0
    assert (counts[OFF] > 0) == (slots == 1)
    assert counts[FULL] + counts[OFF] == COUNT


def test_bricks_are_binomial_and_never_report():
    devices = fleet(
        ota={"brick": 0.01, "defect": {"probability": 0.5, "failure": 0.2, "brick": 0.02}, "attempts": 1}
    )
    good, bad = released(devices), 2
    devices.advance(5.0)
    before = int(devices.traffic(0, 20)["installs"].sum())
    assert devices.counts()[..., BRICK].sum() == devices.traffic(0, 20)["bricks"].sum()
    check_share(devices.counts()[..., BRICK].sum() / before, 0.01, count=before)
    assert released(devices, defective=True) == bad
    devices.advance(10.0)
    after = {name: int(counts[20:].sum()) for name, counts in devices.traffic(0, 40).items()}
    check_share(after["bricks"] / after["installs"], 0.03, count=after["installs"])
    check_share(after["failures"] / after["installs"], 0.2, count=after["installs"])
    assert sum(devices.boot_reports(good)) <= sum(devices.installed(good)[:2])
    succeeded, failed, bricked = devices.installed(bad)
    assert bricked == after["bricks"]
    assert failed == after["failures"]
    assert succeeded + failed + bricked == after["installs"]
    assert sum(devices.boot_reports(bad)) <= after["installs"] - after["bricks"]


def test_a_new_device_comes_back_with_what_all_may_run():
    devices = fleet(ota={"brick": 0.999999, "replacement": "2d"})
    released(devices, share=0.9)
    devices.advance(10.0)
    traffic = devices.traffic(0, 40)
    assert traffic["brick_replacements"].sum() > COUNT
    assert devices.counts()[:, 1:].sum() <= 5
    assert (
        devices.counts()[:, 0, BRICK].sum() == traffic["bricks"].sum() - traffic["brick_replacements"].sum()
    )


def test_a_recall_brings_the_old_version_back():
    devices = fleet()
    version = released(devices)
    devices.advance(2.0)
    devices.withdraw(version, recall=True)
    running = adopted(devices, version)[-1]
    devices.advance(10.0)
    check_share(adopted(devices, version)[8:], running * np.exp(-(TIMES[8:] - 2.0)))
    sent = devices.traffic(0, 40)
    assert sent["recalls"].sum() == round(running * COUNT) - devices.counts()[:, version].sum()
    assert sent["bytes_sent"].sum() == 1000 * round(running * COUNT), "going back needs no download"


def test_a_stopped_release_that_is_not_recalled_is_kept():
    devices = fleet()
    version = released(devices)
    devices.advance(2.0)
    devices.withdraw(version, recall=False)
    before = devices.counts()
    devices.advance(10.0)
    assert (devices.counts() == before).all()


def test_what_a_device_meets_does_not_depend_on_what_is_released():
    link = {"contact": "1d", "online": "6h", "offline": "6h"}
    one, other = (fleet(count=500, link=link, full={"size": "0 B"}) for _ in range(2))
    for devices in (one, other):
        devices.advance(2.0)
        if devices is other:
            released(devices)
        devices.advance(10.0)
    assert (other.rows["version"] == 1).any()
    for name in ("attempts", "contact_at", "off_at"):
        assert (one.rows[name] == other.rows[name]).all()


def test_the_mains_deliver_the_mean_power():
    devices = fleet(
        count=50,
        kind="sensor",
        power={"kind": "mains", "idle": "2 mW"},
        inferences="1/min",
        full={"size": "1 KB", "energy": "60 mJ"},
    )
    kind = devices._edge.devices[0]
    devices.advance(7.0)
    energy = devices.energy()
    np.testing.assert_allclose(energy["idle"] + energy["inference"], 7.0 * DAY_S * mean_power(kind))


def test_a_cell_lasts_as_long_as_its_charge():
    cell = {
        "kind": "cell",
        "capacity": "518.4 J",
        "initial": "100%",
        "low": "50%",
        "idle": "1 mW",
        "replacement": {"kind": "fixed", "value": "1d"},
    }
    devices = fleet(days=20, count=10, power=cell, simple={"size": "1 KB", "energy": "0 J"})
    devices.advance(20.0)  # three days full, three days simple, one day away
    share = devices.mean_counts(0, 80).sum(axis=(1, 2)) / 10
    cycle = np.repeat(np.eye(4)[[FULL, SIMPLE, OFF]], [12, 12, 4], axis=0)
    np.testing.assert_allclose(share, np.tile(cycle, (3, 1))[:80], atol=1e-9)
    assert (devices.rows["cells"] == 2).all()
    assert devices.traffic(0, 80)["check_ins"][24:28].sum() == 0


def test_a_phone_that_is_charged_every_night_runs_the_full_model():
    power = {
        "kind": "rechargeable",
        "capacity": "200 J",
        "initial": "100%",
        "low": "20%",
        "idle": "2 mW",
        "charging": "50 mW",
        "plugged": 1.0,
    }
    devices = fleet(count=10, power=power, simple={"size": "1 KB"})
    devices.advance(10.0)
    assert (devices.counts().sum(axis=(0, 1)) == [10, 0, 0, 0]).all()
    never = fleet(count=10, power=power | {"plugged": 0.0}, simple={"size": "1 KB"})
    never.advance(10.0)
    assert (never.counts().sum(axis=(0, 1)) == [0, 0, 10, 0]).all()
    empty_after = 200.0 / (2e-3 * DAY_S)
    np.testing.assert_allclose(never.rows["since"], empty_after)


@settings(max_examples=15, deadline=None)
@given(number=st.integers(0, 100_000))
def test_energy_balances_and_no_device_is_lost(number):
    world = world_of(fleet_case(number))
    devices = Devices(world, edge_of(world.scenario))
    sizes = devices.group_sizes
    for command in schedule_case(number, 2, world.scenario.windows):
        play(devices, [command], command[0])
        assert (devices.counts().sum(axis=(1, 2)) == sizes).all()
        assert devices.counts().min() >= 0
    devices.advance(40.0)
    windows = world.scenario.windows
    assert (devices.counts_at_ends(0, windows).sum(axis=(2, 3)) == sizes).all()
    np.testing.assert_allclose(
        devices.mean_counts(0, windows).sum(axis=(2, 3)), sizes[None].repeat(windows, 0)
    )
    energy = devices.energy()
    battery = energy["initial"] > 0
    gained = energy["initial"] + energy["charged"] + energy["replaced"]
    used = sum(energy[name] for name in energy if name not in ("initial", "charged", "replaced"))
    np.testing.assert_allclose(gained[battery], used[battery], rtol=1e-9)
    assert min(part.min() for part in energy.values()) >= 0.0
    by_state = np.zeros_like(devices.counts())
    np.add.at(by_state, (devices.group_of, devices.rows["version"], devices.rows["tier"]), 1)
    assert (devices.counts() == by_state).all()


def test_a_round_counts_the_devices_that_were_asked_and_answered():
    world = world_of(
        {
            "devices": [{"name": "phone", "kind": "mobile", "count": COUNT, "full": {"size": "1 KB"}}],
            "federated": {"share": "10%", "size": "5 KB"},
        }
    )
    devices = Devices(world, edge_of(world.scenario))
    devices.start_round(0.1, np.uint64(7))
    devices.advance(1.0)
    found = devices.end_round()
    devices.advance(2.0)
    chance = 0.1 * (1.0 - math.exp(-1.0))
    assert abs(found - COUNT * chance) < 5.0 * binom.std(COUNT, chance)
    assert devices.traffic(0, 8)["bytes_up"].sum() == 5000 * found


def test_reports_tell_the_accuracy_of_the_running_version():
    world = world_of(
        {
            "devices": [
                {"name": "phone", "kind": "mobile", "count": 2000, "full": {"size": "1 KB", "loss": "10%"}}
            ],
            "reports": {"every": "1d", "opted_in": "25%"},
        },
        days=20,
    )
    devices = Devices(world, edge_of(world.scenario))
    windows = world.scenario.windows
    for version, accuracy in ((0, 0.7), (1, 0.9)):
        if version:
            released(devices)
        devices.learn(version, np.stack((np.full(windows, accuracy), np.full(windows, accuracy - 0.2))))
    devices.advance(20.0)
    told = devices.reports(0, windows)
    for group, (_, part) in enumerate(devices.groups):
        for version, accuracy in ((0, 0.7), (1, 0.9)):
            number = told.number[:, group, version].sum()
            assert number > 20
            mean = told.accuracy[:, group, version].sum() / number
            assert mean == pytest.approx(accuracy - 0.2 * part - 0.1, abs=1e-8)
    # A report every time that a day has passed: one in two days, of a quarter of the devices.
    expected = 2000 * 0.25 * 20 / 2
    assert abs(told.number.sum() / expected - 1.0) < 0.1
    assert told.device_days.sum() <= 2000 * 0.26 * 20


def test_age_is_that_of_the_release():
    devices = fleet(count=100)
    devices.advance(4.0)
    released(devices)
    devices.advance(5.0)
    ages = devices.ages([0.0, 4.0])
    assert set(ages) == {5.0, 1.0}
    assert (ages == 1.0).sum() == devices.counts()[:, 1].sum()


def test_wrong_calls_say_what_would_be_right():
    devices = fleet(count=10)
    with pytest.raises(ValueError, match="got version 3, expected 1, the next one"):
        devices.publish(3, np.uint64(1))
    with pytest.raises(ValueError, match="got version 1, expected one of the 1 that are published"):
        devices.open(1, 0.5)
    version = released(devices, share=0.5)
    with pytest.raises(ValueError, match=r"share 0\.4 after 0\.5, expected a growing one"):
        devices.open(version, 0.4)
    with pytest.raises(ValueError, match="version 0 cannot be withdrawn"):
        devices.withdraw(0, recall=True)
    devices.withdraw(version, recall=False)
    with pytest.raises(ValueError, match="and withdrawn"):
        devices.open(version, 1.0)
    with pytest.raises(ValueError, match="no round is open"):
        devices.end_round()
    devices.advance(1.0)
    with pytest.raises(ValueError, match=r"got 0\.5 days, expected from 1 to 10"):
        devices.advance(0.5)
    with pytest.raises(ValueError, match="got windows 0 to 5, expected within the 4 that are over"):
        devices.traffic(0, 5)
    with pytest.raises(ValueError, match=r"got shape \(3,\), expected \(2, 40\)"):
        devices.learn(0, np.ones(3))
