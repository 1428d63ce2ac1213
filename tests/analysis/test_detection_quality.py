"""Quality of detectors: cases counted by hand, the dumb detector, the table and its picture."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.detection_quality import Quality, compare_detectors, every, plot_quality, quality


@pytest.mark.parametrize(
    ("alarms", "changes", "tolerance", "delays", "late", "false_alarms", "missed"),
    [
        ([], [], 5, (), 0, 0, 0),
        ([], [10], 5, (), 0, 0, 1),
        ([9], [10], 5, (), 0, 1, 1),  # just before the change
        ([10], [10], 5, (0,), 0, 0, 0),  # the first changed sample itself
        ([15], [10], 5, (5,), 0, 0, 0),  # the last one in time
        ([16], [10], 5, (), 1, 1, 1),  # late: false, and the change is missed
        ([16, 20], [10], 5, (), 1, 2, 1),
        ([12, 13], [10], 5, (2,), 0, 1, 0),  # the second within the tolerance is false
        ([12, 40], [10], 5, (2,), 0, 1, 0),  # after the change was found: false, not late
        ([31], [10, 30], 50, (1,), 0, 0, 1),  # belongs to the latest change
        ([31, 32], [10, 30], 50, (1,), 0, 1, 1),  # and the second does not go back to the earlier one
        ([11, 31], [10, 30], math.inf, (1, 1), 0, 0, 0),
        ([3, 7], [], 5, (), 0, 2, 0),
        ([0], [0], 0, (0,), 0, 0, 0),
    ],
)
def test_alarms_are_counted_as_stated(alarms, changes, tolerance, delays, late, false_alarms, missed):
    found = quality(alarms, changes, 60, tolerance)
    assert (found.delays, found.late, found.false_alarms, found.missed) == (
        delays,
        late,
        false_alarms,
        missed,
    )
    assert found.detected + found.missed == len(changes)
    assert found.detected + found.false_alarms == len(alarms)


def test_rates_by_hand_and_pooled():
    one = quality([12, 20, 45], [10, 30, 50], 60, 5)  # one found after 2 samples, 45 late for 30
    assert (one.precision, one.recall, one.f1, one.mean_delay) == (1 / 3, 1 / 3, 1 / 3, 2.0)
    two = quality([4], [0], 40, 5)
    both = one + two
    assert both == Quality(100, 4, 4, (2, 4), 1)
    assert (both.precision, both.recall, both.f1, both.mean_delay) == (0.5, 0.5, 0.5, 3.0)
    silent = quality([], [3], 10)
    assert math.isnan(silent.precision)
    assert (silent.recall, silent.f1) == (0.0, 0.0)
    quiet = quality([], [], 10)
    assert math.isnan(quiet.recall)
    assert math.isnan(quiet.f1)


@pytest.mark.parametrize(("k", "expected"), [(1, [0, 1, 2, 3, 4]), (2, [1, 3]), (5, [4]), (6, [])])
def test_the_dumb_detector_calls_every_k_samples(k, expected):
    assert list(every(k)(np.zeros(5))) == expected


def above_three(stream):
    return np.flatnonzero((stream > 3) & (np.concatenate(([0.0], stream[:-1])) <= 3))


@pytest.fixture(name="streams")
def step_streams():
    step = np.zeros(100)
    step[50:] = 5.0
    flat = np.zeros(100)
    return [(step, [50]), (flat, [])]


def test_table_sets_each_detector_beside_a_dumb_one_with_as_many_alarms(streams):
    table = compare_detectors(
        {"level": above_three, "deaf": lambda stream: []}, streams, tolerance=9, dumb_every=20
    )
    assert list(table.index) == ["level", "every 20", "deaf"]
    level = table.loc["level"]
    assert (level["detected"], level["alarms"], level["mean_delay"], level["f1"]) == (1, 1, 0.0, 1.0)
    # One alarm in 200 samples: k = 200 never calls in streams of 100.
    assert (level["every_k"], level["f1_of_every_k"], level["lead"]) == (200, 0.0, 1.0)
    dumb = table.loc["every 20"]
    # Alarms at 19, 39, 59, 79, 99 of both streams; the one at 59 comes 9 after the change.
    assert (dumb["alarms"], dumb["detected"], dumb["false_alarms"], dumb["f1"]) == (10, 1, 9, 2 / 11)
    assert (dumb["every_k"], dumb["lead"]) == (20, 0.0)
    assert table.loc["deaf", ["lead", "mean_delay", "precision"]].isna().all()
    assert compare_detectors({"every": every(20)}, streams, tolerance=8).loc["every", "late"] == 1


def test_picture_shows_both_scores_of_each_detector(streams):
    table = compare_detectors({"level": above_three}, streams, dumb_every=20)
    ax = plot_quality(table)
    shown = [np.asarray(points.get_offsets())[:, 0] for points in ax.collections[1:]]
    np.testing.assert_allclose(shown[0], table["f1"])
    np.testing.assert_allclose(shown[1], table["f1_of_every_k"])
    assert [label.get_text() for label in ax.get_yticklabels()] == list(table.index)
    assert plot_quality(table, ax) is ax
    ax.get_figure().canvas.draw()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quality([3, 2], [], 10), "alarms: expected ascending"),
        (lambda: quality([2, 2], [], 10), "alarms: expected ascending"),
        (lambda: quality([10], [], 10), "alarms: expected ascending"),
        (lambda: quality([], [-1], 10), "changes: expected ascending"),
        (lambda: quality([1.5], [], 10), "alarms: got .*whole numbers"),
        (lambda: quality([], [], 10, tolerance=-1), "tolerance: got -1"),
        (lambda: every(0), "k: got 0"),
        (lambda: every(2.5), "k: got 2.5"),
        (lambda: compare_detectors({}, [([0.0], [])]), "at least one detector"),
        (lambda: compare_detectors({"none": every(1)}, []), "at least one detector and one stream"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
