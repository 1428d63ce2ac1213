"""Operating curves: what threshold, cadence and rows buy.

Error rate: comparisons of settings are paired in the same worlds and far apart; seeds are fixed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis.operating_curves import FACTORS, OperatingCurve, operating_curve
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from scenarios.units import format_duration


def system(**fields: Any) -> Scenario:
    """Latency steps up now and then; checks and points have a price, people's time has none unless told."""
    written = {
        "title": "steps",
        "horizon": "100d",
        "window": "1h",
        "value_per_query_per_unit_accuracy": "$0.01",
        "features": ["x"],
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
        "traffic": {"rate": "48000/d", "arrivals": "deterministic"},
        "signals": [
            {"name": "latency", "kind": "mean", "base": 24, "sd": 30},
            {"name": "age", "kind": "freshness", "age": "4min"},
            {"name": "qps", "kind": "throughput"},
        ],
        "failures": [
            {"name": "slow", "rate": "0.4/d", "effects": [{"signal": "latency", "add": 3}]},
            {"name": "stale", "rate": "0.1/d", "effects": [{"signal": "age", "stall": "18h"}]},
        ],
        "monitors": [
            {"metric": "signal", "signal": "latency", "threshold": 0.1, "cooldown": 0, "rows": 200},
            {"metric": "signal", "signal": "latency", "name": "tested", "rule": "significance",
             "false_alarms": "4/month", "cooldown": 0},
            {"metric": "signal", "signal": "latency", "name": "adaptive", "rule": "adaptive", "cooldown": 0,
             "limits": {"trailing": "7d"}},
            {"metric": "signal", "signal": "age", "deadline": "2h", "cooldown": 0},
            {"metric": "signal", "signal": "qps", "threshold": 0.5},
            {"metric": "signal", "signal": "latency", "name": "streaming", "detector": "page_hinkley"},
        ],
        "response": {"hourly_cost": "$0/h"},
        "telemetry": {},
    }  # fmt: skip
    return validate_mapping(written | fields)


def curve(monitor: str, scenario: Scenario | None = None, **grid: Any) -> OperatingCurve:
    return operating_curve(scenario or system(), monitor, replications=2, workers=1, **grid)


def falls(values: Any) -> bool:
    return bool((np.diff(np.asarray(values, dtype=float)) < 0.0).all())


@pytest.fixture(scope="module")
def cadences() -> OperatingCurve:
    return curve("latency", thresholds=[0.08, 0.1, 0.12], cadences=["1h", "4h", "12h"])


def test_a_finer_cadence_errs_more_costs_more_and_sees_earlier(cadences: OperatingCurve) -> None:
    for _, column in cadences.table().groupby("threshold"):
        column = column.sort_values("cadence_days")
        assert falls(column["false_alarms_per_month"]) or column["false_alarms"].iloc[-1] == 0
        assert column["false_alarms"].iloc[0] > column["false_alarms"].iloc[1]
        assert falls(column["cost_per_month"])
        assert falls(-column["mean_detected_days"])
        assert (column["undetected_share"] < 0.05).all()


def test_a_higher_threshold_errs_less_and_sees_later(cadences: OperatingCurve) -> None:
    table = cadences.table()
    line = table[table["cadence_days"] == table["cadence_days"].min()].sort_values("threshold")
    assert falls(line["false_alarms_per_month"])
    assert falls(-line["mean_detected_days"])


@pytest.mark.slow
def test_more_rows_cost_more_and_err_less_at_the_same_threshold() -> None:
    table = curve("latency", thresholds=[0.12], rows=[100, 400, 1600]).table()
    assert table["rows"].tolist() == [100, 400, 1600]
    assert falls(-table["cost_per_month"])
    assert falls(table["false_alarms_per_month"])


def test_more_rows_see_earlier_at_the_same_false_alarms() -> None:
    table = curve("tested", thresholds=["4/month"], rows=[100, 400, 1600]).table()
    assert falls(-table["cost_per_month"])
    assert falls(table["mean_detected_days"])
    assert (table["false_low"] < 4.0).all()
    assert (table["false_high"] > 3.9).all()


def test_tables_have_a_row_for_each_combination(cadences: OperatingCurve) -> None:
    table = cadences.table()
    assert len(table) == 9
    assert cadences.knob == "threshold"
    assert cadences.failures == ("slow",)  # and not the one that it is blind to
    assert table["incidents"].gt(40).all()
    assert table["days"].tolist() == [200.0] * 9
    assert table["false_alarms_per_month"].tolist() == pytest.approx(
        (table["false_alarms"] * 30 / 200).tolist()
    )
    assert (table["false_low"] <= table["false_alarms_per_month"]).all()
    assert (table["mean_low"] <= table["mean_detected_days"]).all()


@pytest.mark.parametrize(
    ("monitor", "given", "knob", "value"),
    [
        ("latency", None, "threshold", [0.1 * factor for factor in FACTORS]),
        ("age", ["30min", "2h"], "deadline", [0.5 / 24, 2 / 24]),
        ("tested", ["1/month", "10/month"], "false_alarms", [12 / 365, 120 / 365]),
        ("adaptive", [3, "5"], "deviations", [3.0, 5.0]),
    ],
)
def test_each_rule_has_its_knob(monitor: str, given: Any, knob: str, value: list[float]) -> None:
    short = system(horizon="30d")
    found = curve(monitor, short, thresholds=given)
    assert found.knob == knob
    assert found.table()["threshold"].tolist() == pytest.approx(value)


def test_accepted_false_alarms_are_those_that_come() -> None:
    table = curve("tested", thresholds=["3/month", "30/month"]).table()
    for row, accepted in zip(table.to_dict("records"), (3.0, 30.0), strict=True):
        assert row["false_low"] <= accepted * 30 * 12 / 365 <= row["false_high"]
    assert falls(table["mean_detected_days"])


def test_the_time_of_people_makes_false_alarms_dear() -> None:
    short, response = {"horizon": "20d"}, {"hourly_cost": "$100/h", "fatigue": {"strength": 0}}
    free, paid = (
        curve("latency", system(**short, **people), thresholds=[0.06, 0.15]).table()["cost_per_month"]
        for people in ({}, {"response": response})
    )
    assert abs(free[0] - free[1]) < 0.01 * free[1]
    assert paid[0] > 2.0 * paid[1]


def test_the_picture_shows_delay_false_alarms_and_cost(cadences: OperatingCurve) -> None:
    axes = cadences.plot().axes
    assert len(axes) == 3
    labels = [(ax.get_xlabel(), ax.get_ylabel()) for ax in axes]
    assert "false alarms in 30 days" in labels[0][0]
    assert "delay" in labels[0][1]
    assert all("USD in 30 days" in across for across, _ in labels[1:])
    assert axes[0].get_xscale() == axes[0].get_yscale() == "log"
    for ax in axes:
        for axis, scale in ((ax.xaxis, ax.get_xscale()), (ax.yaxis, ax.get_yscale())):
            assert ("(log scale)" in axis.get_label_text()) == (scale == "log")
    legend = axes[1].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["every 1 h", "every 4 h", "every 12 h"]


def test_points_are_drawn_where_the_table_has_them_and_labelled(cadences: OperatingCurve) -> None:
    ax = cadences.plot().axes[0]
    table = cadences.table()
    assert table["false_alarms"].min() == 0  # and others have fewer than the upper bound of none
    for cadence, line in zip(("1 h", "4 h", "12 h"), ax.lines[::3], strict=True):
        assert line.get_label() == f"every {cadence}"
        own = table[table["cadence_days"].map(format_duration) == cadence]
        shown = own["false_alarms_per_month"].where(own["false_alarms"] > 0, own["false_high"])
        np.testing.assert_allclose(line.get_xdata(), shown)
    texts = [text.get_text() for text in ax.texts]
    assert {"0.08", "0.1", "0.12"} <= {part for text in texts for part in text.split(", ")}


def test_a_line_goes_along_what_was_varied() -> None:
    ax = curve("latency", system(horizon="30d"), thresholds=[0.1], cadences=["1h", "4h"]).plot().axes[0]
    assert ax.lines[0].get_label() == "200 rows, threshold 0.1"
    assert len(ax.lines[0].get_xdata()) == 2
    assert sorted(text.get_text() for text in ax.texts) == ["1 h", "4 h"]


@pytest.mark.parametrize(
    ("monitor", "grid", "message"),
    [
        ("latncy", {}, "unknown 'latncy': did you mean 'latency'"),
        ("qps", {}, "can see none of the failures"),
        ("streaming", {}, "has rule detector, which has no threshold"),
        ("latency", {"thresholds": []}, "thresholds: got"),
        ("latency", {"thresholds": "0.1"}, "thresholds: got '0.1'"),
        ("latency", {"thresholds": ["much"]}, r"latency\.threshold"),
        ("latency", {"cadences": ["90min"]}, r"latency\.cadence: (90min )?must be a whole number"),
        ("latency", {"rows": [0]}, r"latency\.rows"),
        ("age", {"thresholds": [2]}, r"age\.deadline"),
        ("age", {"rows": [10]}, "rows"),
        ("latency", {"thresholds": [0.1] * 21, "rows": range(1, 21)}, "420 combinations"),
    ],
)
def test_what_does_not_fit_is_refused(monitor: str, grid: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        curve(monitor, **grid)
