"""The array fleet equals the plain one, device by device, and how `advance` is cut never shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.devices import Devices
from sim.kernels.device_rows import TRAFFIC
from tests.reference.device_cases import DAYS, edge_of, fleet_case, play, schedule_case, world_of
from tests.reference.plain_devices import KINDS, PlainDevices


def pair(number: int) -> tuple[Devices, PlainDevices]:
    world = world_of(fleet_case(number))
    edge = edge_of(world.scenario)
    fleet, plain = Devices(world, edge), PlainDevices(world, edge)
    schedule = schedule_case(number, 2, world.scenario.windows)
    assert play(fleet, schedule, DAYS) == play(plain, schedule, DAYS)
    return fleet, plain


def check_devices(fleet: Devices, plain: PlainDevices) -> None:
    energy, rows = fleet.energy(), fleet.rows
    for number, device in enumerate(plain.devices):
        row = rows[number]
        time, version, tier = device.history[-1]
        assert (row["version"], row["tier"]) == (version, tier), number
        assert row["since"] == pytest.approx(time, abs=1e-9)
        assert row["changes"] == len(device.history) - 1
        assert row["bytes_sent"] == device.bytes
        assert row["attempts"] == device.attempt
        for name in (*KINDS, "initial", "charged", "replaced", "remaining"):
            assert energy[name][number] == pytest.approx(device.final[name], rel=1e-9, abs=1e-6), name


def check_counts(fleet: Devices, plain: PlainDevices) -> None:
    windows = plain.windows
    traffic = fleet.traffic(0, windows)
    for name in TRAFFIC.names or ():
        expected = [plain.count[name][window] for window in range(windows)]
        assert traffic[name].tolist() == expected, name
    means = fleet.mean_counts(0, windows)
    for group in range(len(fleet.groups)):
        expected = np.zeros((windows, fleet.versions, 4))
        for place, mean in plain.mean_counts(group).items():
            expected[place] = mean
        np.testing.assert_allclose(means[:, group], expected, atol=1e-6)


def check_told(fleet: Devices, plain: PlainDevices) -> None:
    told = fleet.reports(0, plain.windows)
    number, accuracy, days = (np.zeros(told.number.shape) for _ in range(3))
    for window, group, version, mean, covered in plain.told:
        number[window, group, version] += 1
        accuracy[window, group, version] += mean
        days[window, group, version] += covered
    np.testing.assert_array_equal(told.number, number)
    np.testing.assert_allclose(told.accuracy, accuracy, atol=1e-6)
    np.testing.assert_allclose(told.device_days, days, atol=1e-6)
    for version, release in enumerate(plain.releases):
        assert fleet.boot_reports(version) == (release.started, release.failed)


@pytest.mark.parametrize("number", range(12))
def test_equals_the_plain_fleet(number):
    fleet, plain = pair(number)
    check_devices(fleet, plain)
    check_counts(fleet, plain)
    check_told(fleet, plain)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(100, 300))
def test_equals_the_plain_fleet_in_many_cases(number):
    test_equals_the_plain_fleet(number)


def test_the_cases_meet_everything():
    found = dict.fromkeys(TRAFFIC.names or (), 0)
    tiers = np.zeros(4)
    for number in range(12):
        world = world_of(fleet_case(number))
        fleet = Devices(world, edge_of(world.scenario))
        play(fleet, schedule_case(number, 2, world.scenario.windows), DAYS)
        tiers += fleet.mean_counts(0, world.scenario.windows).sum(axis=(0, 1, 2))
        for name, counts in fleet.traffic(0, world.scenario.windows).items():
            found[name] += int(counts.sum())
    assert min(found.values()) > 0
    assert tiers.min() > 0


@settings(max_examples=10, deadline=None)
@given(number=st.integers(0, 10_000), cuts=st.lists(st.floats(0, DAYS), max_size=30))
def test_pieces_never_show(number, cuts):
    world = world_of(fleet_case(number))
    schedule = schedule_case(number, 2, world.scenario.windows)
    whole, pieces = (Devices(world, edge_of(world.scenario)) for _ in range(2))
    assert play(whole, schedule, DAYS) == play(pieces, schedule, DAYS, cuts)
    assert whole.rows.tobytes() == pieces.rows.tobytes()
    for one, other in zip(everything(whole), everything(pieces), strict=True):
        assert one.tobytes() == other.tobytes()


def everything(fleet: Devices) -> list[np.ndarray]:
    windows = DAYS * 4
    told = fleet.reports(0, windows)
    return [
        fleet.mean_counts(0, windows),
        fleet.counts_at_ends(0, windows),
        fleet.counts(),
        *fleet.traffic(0, windows).values(),
        *fleet.energy().values(),
        told.number,
        told.accuracy,
        told.device_days,
    ]
