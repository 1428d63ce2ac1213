"""Telemetry as it may be written: units, defaults of the source, and one clear message for what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest

from scenarios.loader import ScenarioError, validate_mapping
from scenarios.telemetry import Telemetry, Tier


def written(telemetry: dict[str, Any]) -> Telemetry:
    scenario = validate_mapping(
        {
            "title": "telemetry",
            "horizon": "30d",
            "value_per_query_per_unit_accuracy": "$1",
            "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
            "traffic": {"rate": "24/d"},
            "telemetry": telemetry,
        }
    )
    assert scenario.telemetry is not None
    return scenario.telemetry


def test_prices_are_read_as_the_source_writes_them():
    found = written(
        {
            "ingest": "$0.30/million points",
            "storage": "$1",
            "query": "$0.02/query",
            "evaluation": "$0.005/evaluation",
            "bytes_per_point": "8 B",
            "retention": "30d",
        }
    )
    assert found == Telemetry(), "the defaults are the source's"


def test_tiers_are_read():
    found = written({"retention": [{"every": "15s", "keep": "24h"}, {"every": "1min", "keep": "7d"}]})
    assert found.retention == [Tier(every="15s", keep="1d"), Tier(every="60s", keep="168h")]


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("retention", {"retention": 30}, "got 30, expected a list or a duration"),
    ("retention", {"retention": []}, "got an empty list, expected a list of at least 1 item"),
    ("retention[0].keep", {"retention": [{"every": "15s"}]}, "missing; expected a duration"),
    (
        "retention[0].keep",
        {"retention": [{"every": "1h", "keep": "5min"}]},
        "not be shorter than every (1 h)",
    ),
    (
        "retention",
        {"retention": [{"every": "15s", "keep": "1d"}, {"every": "15s", "keep": "7d"}]},
        "a tier of 15 s is there twice",
    ),
    ("metrics.series", {"metrics": {"series": 0}}, "got 0, expected more than 0"),
    (
        "dashboards.open_per_day",
        {"dashboards": {"count": 1, "users": 1, "open_per_day": "25h"}},
        "at most 1 d",
    ),
    (
        "dashboards.days_per_month",
        {"dashboards": {"count": 1, "users": 1, "days_per_month": 31}},
        "at most 30",
    ),
    ("outages.unnoticed", {"outages": {"rate": "4/y"}}, "missing; expected how long one lasts"),
    ("outages.rate", {"outages": {"rate": 4, "unnoticed": "1d"}}, "got 4 (a number without unit)"),
    (
        "outages.heartbeat",
        {"outages": {"rate": "4/y", "unnoticed": "1d", "heartbeat": "0s"}},
        "got '0s', expected more than 0",
    ),
    ("evaluation", {"evaluation": "$0.005/h"}, "got '$0.005/h' (a cost per time), expected a price per item"),
]


@pytest.mark.parametrize(("field", "given", "message"), WRONG)
def test_what_makes_no_sense_is_one_clear_error(field, given, message):
    with pytest.raises(ScenarioError) as found:
        written(given)
    (problem,) = found.value.problems
    assert problem.field == f"telemetry.{field}"
    assert message in problem.message
