"""The published directions, each with its interval, and the page that reports them.

Seeds are fixed. With another seed the direction of abrupt drift was missed in 3 of 12 cases with 20 worlds and in
none of 6 with 40; the others were never missed with a few worlds. An interval lies on the wrong side of 0 by chance
in 2.5 % of cases, were there nothing to find.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import scenarios
from analysis import published_directions as published
from analysis.statistics import Interval, mean_interval

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "validation.md").read_text(encoding="utf-8")
WORLDS = {"abrupt": 40, "gradual": 6, "recurring": 6}


def page_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_validation", DOCS / "make_validation.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return page_script()


def rows_of(section: str) -> list[list[str]]:
    """Cells of the first table of a section of the page."""
    lines = PAGE.split(f"## {section}", 1)[1].split("\n\n")
    block = next(block for block in lines if block.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in block.split("\n")[2:]]


# ---------------------------------------------------------------- reacting against a plain period


@pytest.mark.parametrize("kind", [pytest.param("abrupt", marks=pytest.mark.slow), "gradual"])
def test_a_plain_period_beats_reacting(kind):
    found = published.timing_direction(kind, WORLDS[kind])
    assert found["ci_low"] < found["measured"] < found["ci_high"] < 0.0
    assert found["reproduced"] is True


def test_a_plain_period_loses_to_reacting_when_the_concept_comes_back():
    found = published.timing_direction("recurring", WORLDS["recurring"])
    assert 0.0 < found["ci_low"] < found["measured"] < found["ci_high"]
    assert found["reproduced"] is True


@pytest.mark.parametrize("kind", ["gradual", "recurring"])
def test_the_opposite_claim_is_not_reproduced(kind, monkeypatch):
    sign, claim = published.TIMING[kind]
    right = published.timing_direction(kind, 4)
    monkeypatch.setitem(published.TIMING, kind, (-sign, claim))
    wrong = published.timing_direction(kind, 4)
    assert wrong["reproduced"] is False
    # Each shows the policy that agrees least with its own claim.
    assert sign * right["measured"] <= sign * wrong["measured"]


def test_one_policy_that_disagrees_is_enough_to_reject(monkeypatch):
    monkeypatch.setattr(published, "REACTIVE", ("triggered", "never"))
    found = published.timing_direction("recurring", 3)
    assert found["measured"] == 0.0
    assert found["figure"].startswith("mean accuracy, never minus")
    assert found["reproduced"] is False


def test_a_model_that_learns_the_present_turns_the_direction_under_abrupt_drift():
    present = scenarios.load("published_abrupt", pipeline__training_window="0d")
    assert mean_interval(published.timing_gain(present, "triggered", 10)).low > 0.0


def test_a_plain_period_with_as_many_retrainings_gains_nothing_over_itself():
    scenario = scenarios.load("published_gradual", horizon="72d")
    assert published.timing_gain(scenario, "scheduled:9d", 2) == pytest.approx([0.0, 0.0], abs=1e-12)


def test_gains_belong_to_the_seed_and_to_the_world():
    scenario = scenarios.load("published_abrupt", horizon="180d")
    gains = published.timing_gain(scenario, "triggered", 3)
    assert list(published.timing_gain(scenario, "triggered", 2)) == list(gains[:2])
    assert list(published.timing_gain(scenario, "triggered", 3, seed=1)) != list(gains)


# ---------------------------------------------------------------- incremental learning, latency


def test_no_policy_beats_never_when_the_model_follows_its_stream():
    found = published.incremental_direction(6)
    assert 0.0 < found["ci_low"] < found["measured"] < found["ci_high"]
    assert found["reproduced"] is True
    assert "oracle" not in found["note"]


def test_a_claim_about_never_fails_where_retraining_pays(monkeypatch):
    load = scenarios.load
    other = {"pipeline__training_window": "0d", "policies": ["triggered"]}
    monkeypatch.setattr(published.scenarios, "load", lambda name: load(name, **other))
    found = published.incremental_direction(4)
    assert found["reproduced"] is False
    assert found["measured"] < 0.0


def test_latency_halves_the_budget_that_is_asked_for_twice():
    found = published.latency_direction(2)
    assert found["measured"] == pytest.approx(0.5, abs=0.02)
    assert found["ci_low"] <= found["measured"] <= found["ci_high"]
    assert found["reproduced"] is True


def test_no_latency_leaves_the_budget_whole():
    found = published.latency_effect(0.0, 2)
    assert found.deployed == found.worth == Interval(1.0, 1.0, 1.0)
    assert found.lost.mean == 0.0


@pytest.mark.parametrize(
    ("load", "deployed", "worth"),
    [(0.25, 1, 1 / 1.5), (0.5, 1, 1 / 2), (1.0, 1, 1 / 3), (2.0, 1 / 2, 1 / 6), (4.0, 1 / 4, 1 / 12)],
)
def test_latency_agrees_with_its_closed_form(load, deployed, worth):
    """A model is on average 1/2 + load intervals old up to a load of 1, and 3/2 load intervals beyond."""
    found = published.latency_effect(load, 2)
    # A retraining or two at the ends of the horizon, of 103.
    assert found.deployed.mean == pytest.approx(deployed, abs=0.02)
    assert found.worth.mean == pytest.approx(worth, abs=0.02)


def test_one_replication_is_refused():
    with pytest.raises(ValueError, match="replications: got 1, expected at least 2"):
        published.directions(1)


# ---------------------------------------------------------------- the page


def test_the_page_lists_every_direction_with_its_scenario():
    found = [(row["claim"], f"`{row['scenario']}`") for row in published.directions(2)]
    assert [(row[0], row[1]) for row in rows_of("1. Published directions")] == found
    assert len(found) == 5


def test_every_scenario_names_the_paper():
    for claim, name, *_ in rows_of("1. Published directions"):
        scenario = scenarios.load(name.strip("`"))
        assert "arXiv 2608.19488" in scenario.source, claim


def test_cheap_sections_of_the_page_are_current(script):
    assert script.head() in PAGE
    assert script.closed_forms() in PAGE
    assert script.electricity() in PAGE


def test_the_replay_of_the_record_equals_the_engine():
    rows = rows_of("6. Recorded data: replay against engine")
    assert len(rows) == 7
    for _, replayed, played, accuracy, same_accuracy, equal in rows:
        assert (replayed, accuracy, equal) == (played, same_accuracy, "yes")


def test_figures_of_the_page_are_rounded_and_bounded(script):
    assert [script.number(x) for x in (0.0, 174.42, -0.000336, 0.4951, 12345.6)] == [
        "0",
        "174",
        "-0.000336",
        "0.495",
        "12,346",
    ]
    # Clopper and Pearson without a hit: 1 - 0.025 ** (1 / n).
    assert script.binomial_interval(0, 10) == pytest.approx((0.0, 1 - 0.025**0.1))
    assert script.binomial_interval(10, 10) == pytest.approx((0.025**0.1, 1.0))


@pytest.mark.slow
def test_the_directions_of_the_page_are_current_and_reproduced(script):
    """When this fails after a change of the simulator, run `python docs/make_validation.py` and read the page."""
    assert script.published() in PAGE
    assert [row[2] for row in rows_of("1. Published directions")] == ["yes"] * 5
