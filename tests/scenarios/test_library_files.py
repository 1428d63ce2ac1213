"""The files of the library: what each must say, and a unit on every number that has a dimension."""

from __future__ import annotations

import re
import shlex
from functools import cache
from typing import Any

import pytest
from typer.main import get_command

import scenarios
from analysis.cli import app
from analysis.variants import parse_variant
from scenarios.loader import parse_override, validate_mapping
from scenarios.overlays import overlaid
from scenarios.parameters import parameters
from scenarios.schema import TOLD, Scenario
from scenarios.topics import TOPICS, topic_names
from sim.world import WATCHING, differing_fields

NAMES = scenarios.library_names()
COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
CITED = r"chapter, |arXiv \d|computed on |Azure Public Dataset"
"""How the source of a scenario begins: the section of the chapter, a paper, or a public data set."""
loaded = cache(scenarios.load)
PLAIN: dict[str, Any] = {
    "title": "plain",
    "value_per_query_per_unit_accuracy": "$0.1",
    "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1%/d"},
    "traffic": {"rate": "100/d"},
}


def leaf(written: Any, path: str) -> Any:
    """What was written at a path, or the short form above it that stands for it; None where nothing was."""
    for part in re.findall(r"[^.\[\]]+", path):
        if isinstance(written, dict):
            written = written.get(part)
        elif isinstance(written, list) and part.isdecimal() and int(part) < len(written):
            written = written[int(part)]
    return written


def bare_numbers(scenario: Scenario) -> list[str]:
    """Fields with a dimension that were written as a number without unit; 0 is one too."""
    found = []
    for row in parameters(scenario):
        if row.quantity is None or row.quantity.plain:
            continue
        value = leaf(scenario._written, row.path)
        values = value if isinstance(value, list) else [value]
        if any(isinstance(item, int | float) and not isinstance(item, bool) for item in values):
            found.append(row.path)
    return found


def commands(name: str) -> list[list[str]]:
    """The commands of a scenario's list of what to look at, in words."""
    return [
        shlex.split(text) for look in loaded(name).look_at for text in re.findall(r"`(halflife [^`]*)`", look)
    ]


# ---------------------------------------------------------------- what each file says


@pytest.mark.parametrize("name", NAMES)
def test_each_says_what_it_is_asks_and_cites(name):
    found = loaded(name)
    assert found.topic in TOPICS
    assert 40 <= len(found.story.split()) <= 300
    assert found.question.endswith("?")
    assert re.match(CITED, found.source)
    assert 2 <= len(found.look_at) <= 3


def test_topics_are_listed_in_the_order_of_their_headings():
    assert topic_names() == tuple(TOPICS)


@pytest.mark.parametrize("name", NAMES)
def test_what_to_look_at_begins_with_commands_that_are_right(name):
    assert all(look.startswith("`halflife ") for look in loaded(name).look_at)
    for _, command, *arguments in commands(name):
        known = COMMANDS[command]
        given = known.make_context(command, list(arguments)).params  # raises for an unknown option or value
        if command == "worked-figures":
            continue
        assert given["scenario"] == name
        changed = dict(parse_override(text) for text in given.get("overrides") or [])
        overlays = given.get("overlays") or []
        found = scenarios.load(name, overlay=overlays, **changed) if overlays or changed else loaded(name)
        variants = [parse_variant(text) for text in given.get("variant") or []]
        for variant in variants:
            overlaid(found, list(variant.overlays))
        played = [variant.policy or found.policies[0].name for variant in variants]
        assert not variants or found.edge is None or set(played) != {"never"}, "nothing is ever released"
        policies = given.get("policy") or []
        for policy in [*played, *([policies] if isinstance(policies, str) else policies)]:
            scenarios.parse_policy(policy)


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_on_every_number_that_has_a_dimension(name):
    found = loaded(name)
    assert bare_numbers(found) == []
    for overlay in found.overlays:
        assert bare_numbers(overlaid(found, overlay)) == [], overlay


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("labels.delay.value", {"labels": {"delay": 0}}),
        ("pipeline.cost.compute", {"pipeline": {"cost": {"compute": 0}}}),
        ("pipeline.stages.training.duration.value", {"pipeline": {"stages": {"training": 0}}}),
        ("traffic.bursts.duration.values", None),
    ],
)
def test_a_number_without_unit_is_found(path, parts):
    if parts is None:  # a list of durations
        bursts = {"rate": "1/y", "factor": 2, "duration": {"kind": "empirical", "values": [0, "1h"]}}
        parts = {"traffic": {"rate": "100/d", "bursts": bursts}}
    row = path.removesuffix(".value")
    assert bare_numbers(validate_mapping(PLAIN | parts)) == [row]


# ---------------------------------------------------------------- texts change nothing


def test_texts_change_neither_the_hash_nor_the_world():
    one = scenarios.load("rotting_asset")
    told: dict[str, Any] = dict.fromkeys(TOLD, "Another text?") | {"topic": "debt", "look_at": ["a", "b"]}
    other = one.with_(**told)
    assert all(getattr(other, field) != getattr(one, field) for field in TOLD)
    assert other.hash() == one.hash()
    assert differing_fields(one, other) == []
    assert set(TOLD) <= set(WATCHING)
    assert one.with_(horizon="100d").hash() != one.hash()


def test_a_topic_that_does_not_exist_is_refused_with_the_right_ones():
    with pytest.raises(scenarios.ScenarioError, match=r"topic: .*did you mean 'serving'"):
        scenarios.load("rotting_asset", topic="servin")


def test_amounts_in_texts_are_no_amounts():
    assert scenarios.load("rotting_asset", look_at=["€5"]).look_at == ["€5"]
