"""A ward that is quick to play: thirty patients under a model that ages, one clinician."""

from __future__ import annotations

from typing import Any

from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from sim.care_result import CareResult
from sim.engine import run

NO_BOUNDS = dict.fromkeys(("step", "lowest", "highest", "standard_error"), "none")
ALWAYS = {"start": "0h", "end": "24h", "days": 7}


def ward(**changes: Any) -> Scenario:
    """A scenario with care; changes by path, `care__bounds__step=0`."""
    content = {
        "title": "Ward",
        "horizon": "120d",
        "window": "1d",
        "value_per_query_per_unit_accuracy": "$0",
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0.2%/d"},
        "traffic": {"rate": "720/d"},
        "labels": "none",
        "care": {
            "patients": {"number": 30},
            "clinicians": {"hours": {"start": "9h", "end": "10h", "days": 3}},
        },
        "pipeline": {"cost": {"compute": "$100"}},
        "policies": ["never"],
    }
    scenario = validate_mapping(content)
    return scenario.with_(**changes) if changes else scenario


def cared(scenario: Scenario, seed: int = 0, policy: str = "never") -> CareResult:
    """What became of the patients of one run."""
    found = run(scenario, policy, seed).care
    assert found is not None
    return found
