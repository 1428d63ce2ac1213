"""Parameters as rows: values with units, defaults, and which of them differ."""

from __future__ import annotations

from functools import cache

import pytest

import scenarios
from scenarios.loader import parse_override
from scenarios.parameters import REQUIRED, Parameter, parameters
from scenarios.schema import TOLD


@cache
def rows(name: str, **changes: object) -> dict[str, Parameter]:
    return {row.path: row for row in parameters(scenarios.load(name, **changes))}


def test_paths_are_those_of_overrides():
    known = rows("uber_feature_store")
    wanted = ("horizon", "quality.decay", "labels.coverage", "monitors[0].threshold", "pipeline.cost.compute")
    again = rows(
        "uber_feature_store", **dict(parse_override(f"{path}={known[path].value}") for path in wanted)
    )
    assert again == known


@pytest.mark.parametrize(
    ("path", "value", "default", "changed"),
    [
        ("horizon", "365d", "365d", False),
        ("value_per_query_per_unit_accuracy", "$0.5", REQUIRED, True),
        ("material_drop", "1%", "1%", False),
        ("labels.coverage", "1%", "100%", True),
        ("traffic.rate", "1,000,000/d", "none", True),
        ("traffic.bursts.duration.p95", "2d", REQUIRED, True),
        ("pipeline.gate.margin", "-0.01", "0", True),
        ("pipeline.stages.training.duration", "2h", "2h", False),
        ("response", "none", "none", False),
        ("triggers[0].rows", "none", "none", False),
    ],
)
def test_values_carry_their_units_beside_the_default(path, value, default, changed):
    row = rows("fraud_detection")[path]
    assert (row.value, row.default, row.changed) == (value, default, changed)
    assert row.meaning or path.endswith(("rate", "duration", "margin"))


def test_texts_and_overlays_are_no_parameters():
    assert not {*TOLD, "overlays"} & set(rows("knight_capital"))


def test_short_forms_are_one_row():
    found = rows("fraud_detection")
    assert found["policies"].value.startswith("[never, scheduled:7d, scheduled:best, triggered,")
    assert found["features"].value.endswith("(10 values)")
    assert rows("electricity")["policies"].value.endswith(", oracle] (9 values)")
    assert rows("rotting_asset", **{"labels.delay": "2h"})["labels.delay"].value == "2h"
    assert rows("electricity")["quality.matrix.rows"].value == "47 rows of 48 numbers"


def test_a_part_that_is_there_with_all_its_defaults_says_so():
    found = rows("netflix_cohorts")
    assert (found["telemetry"].value, found["telemetry"].changed) == ("all defaults", True)
    assert not any(row.changed for path, row in found.items() if path.startswith("telemetry."))


def test_a_list_that_is_the_default_one_is_unchanged():
    steps = {path: row for path, row in rows("uber_feature_store").items() if ".steps[" in path}
    assert steps
    assert not any(row.changed for row in steps.values())
    changed = rows("facebook_configuration")
    assert any(row.changed for path, row in changed.items() if ".steps[" in path)


@pytest.mark.parametrize("name", scenarios.library_names())
def test_exactly_what_was_written_differs_or_is_required(name):
    scenario = scenarios.load(name)
    written = scenario.model_dump(exclude_defaults=True, exclude={*TOLD, "overlays"})
    changed = {row.path.partition(".")[0].partition("[")[0] for row in parameters(scenario) if row.changed}
    assert changed == set(written)
