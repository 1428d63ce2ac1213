"""Input that reads well and cannot mean anything is refused at its place, with what would be right."""

from __future__ import annotations

import pytest

from scenarios.currency import foreign_currency
from scenarios.distributions import longest, shortest
from scenarios.loader import ScenarioError, validate_text
from scenarios.policies import parse_policy
from scenarios.schema import Scenario
from sim.durations import quantile

GOOD = """\
title: A test
horizon: 60d
window: 1h
value_per_query_per_unit_accuracy: $0.50
slices: [{name: tablet, weight: 5%, initial_accuracy: 0.7}]
quality: {kind: exponential, initial_accuracy: 0.8, decay: 0.1%/d}
traffic: {rate: 10000/d}
signals:
  - {name: load, kind: throughput}
  - {name: data_age, kind: freshness, age: 5min}
  - {name: clicks, kind: proportion, base: 4%, layer: business, per_accuracy_lost: -0.05}
  - {name: lift, kind: lift, of: clicks, holdout: 10%, baseline_accuracy: 0.5}
failures:
  - {name: lag, rate: 12/y, accuracy_drop: 10%, effects: [{signal: data_age, stall: 18h}]}
  - {name: short_lag, rate: 12/y, effects: [{signal: data_age, stall: 2h}]}
monitors:
  - {metric: signal, signal: data_age, deadline: 1h, cost: $30/month}
  - {metric: signal, signal: load, threshold: 0.5}
  - {metric: accuracy, cadence: 1d, window: 1d}
  - {metric: signal, signal: clicks, direction: down, threshold: 0.3}
  - {metric: signal, signal: lift, threshold: 0.6}
telemetry: {retention: 30d}
menu:
  - {name: freshness, options: [off, {cadence: 6h}]}
  - {name: accuracy, options: [off, on]}
policies: [never]
"""
WHOLE = "must be a whole number of simulation windows"
PROPOSED = "use a multiple of 1h, or set the scenario's window to"

# What is replaced, by what; then the line, the field and words of the only problem.
WRONG: list[tuple[str, str, int, str, str]] = [
    ("deadline: 1h", "deadline: 20h", 17, "monitors[0].deadline", "20h is never missed: failures make data_age"),
    ("deadline: 1h", "deadline: 4min", 17, "monitors[0].deadline", "data_age is 5 min old at best"),
    ("{cadence: 6h}", "{deadline: 30h}", 24, "menu[0].options[1].deadline", "18 h older than usual, 18.1 h in all"),
    (", deadline: 1h", "", 17, "monitors[0].deadline", "is missing: give one"),
    ("deadline: 1h", "threshold: 2", 17, "monitors[0].deadline", "takes the place of a threshold"),
    ("threshold: 0.5", "threshold: 10", 18, "monitors[1].threshold", "a fall of load by 1000 %"),
    ("threshold: 0.5", "threshold: 10", 18, "monitors[1].threshold", "write 0.1 or 10%"),
    ("threshold: 0.5", "threshold: 1", 18, "monitors[1].threshold", "less than 1, such as 0.1 or 10%"),
    ("threshold: 0.5", "threshold: 10 pc", 18, "monitors[1].threshold", "a plain number or a percentage such as"),
    (", threshold: 0.5", "", 18, "monitors[1].threshold", "is missing: give one for load, a throughput"),
    ("threshold: 0.3", "threshold: 30", 20, "monitors[3].threshold", "write 0.3 or 30%"),
    ("cadence: 1d", "threshold: 5", 19, "monitors[2].threshold", "a fall of accuracy by 500 %"),
    ("10%, effects", "90%, effects", 14, "failures[0].accuracy_drop", "accuracy of the model, expected at most 0.8"),
    ("10%, effects", "75%, slice: tablet, effects", 14, "failures[0].accuracy_drop", "tablet, expected at most 0.7"),
    ("$30/month", "€30/month", 17, "monitors[0].cost", "is in €, and the scenario's currency is USD"),
    ("$30/month", "30 EUR/month", 17, "monitors[0].cost", "is in EUR, and"),
    ("$0.50", "£0.50/query", 4, "value_per_query_per_unit_accuracy", "is in £, and"),
    ("{cadence: 6h}", "{cost: €5/h}", 24, "menu[0].options[1].cost", "write it with $ or USD"),
    ("cadence: 1d", "cadence: 15min", 19, "monitors[2].cadence", f"{WHOLE} of 1h, got 15min: {PROPOSED} 15min"),
    ("window: 1d", "window: 90min", 19, "monitors[2].window", f"{PROPOSED} 30min"),
    ("cadence: 6h", "cadence: 20min", 24, "menu[0].options[1].cadence", f"{PROPOSED} 20min"),
    ("60d", "60.3d", 2, "horizon", f"must be a whole number of windows of 1h, got 60.3d: {PROPOSED} 12min"),
    ("60d", "60.0001d", 2, "horizon", "use a multiple of 1h"),
    ("[off, on]", "[]", 25, "menu[1].options", "got an empty list, expected a list of at least 1 item"),
    ("30d", "-30d", 22, "telemetry.retention", "got '-30d', expected more than 0: a duration such as"),
    ("name: accuracy", "name: acuracy", 25, "menu[1].monitors", "did you mean 'accuracy'?"),
    ("options: [off, on]", "optoins: [off, on]", 25, "menu[1].optoins", "did you mean 'options'?"),
    ("[never]", "[weekly]", 26, "policies[0]", "did you mean 'scheduled:7d'?"),
    ("[never]", '["triggered:load<0.2"]', 26, "policies[0]", "write a trigger of metric signal"),
    ("[never]", '["triggered:data_age>20min"]', 26, "policies[0]", "write a trigger of metric signal"),
    ("[never]", '["triggered:accuracy<-5"]', 26, "policies[0]", "write 0.05 or 5%"),
]  # fmt: skip


def changed(*pairs: tuple[str, str]) -> Scenario:
    text = GOOD
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    return validate_text(text, "test.yaml")


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"), WRONG, ids=[f"{row[3]}={row[1][:20]}" for row in WRONG]
)
def test_what_cannot_be_meant_is_refused_in_its_place(
    old: str, new: str, line: int, field: str, words: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        changed((old, new))
    (problem,) = caught.value.problems
    assert (problem.line, problem.field) == (line, field)
    assert words in problem.message


@pytest.mark.parametrize(
    "pairs",
    [
        [("deadline: 1h", "deadline: 5min")],
        [("deadline: 1h", "deadline: 18h")],
        [("deadline: 1h", "deadline: 30h"), (", effects: [{signal: data_age, stall: 18h}]", ""),
         (", effects: [{signal: data_age, stall: 2h}]", "")],
        [("age: 5min", "age: {kind: exponential, mean: 9h}")],
        [("age: 5min", "age: {kind: exponential, mean: 9h}"), ("deadline: 1h", "deadline: 30h")],
        [("deadline: 1h", "rule: adaptive, deadline: 20h, cadence: 1d")],
        [("threshold: 0.6", "threshold: 1.5")],  # a lift can become negative
        [("direction: down, threshold: 0.3", "direction: both, threshold: 3")],
        [("cadence: 1d", "rule: cusum, threshold: 5, cadence: 1d")],
        [("10%, effects", "80%, effects")],
        [("title: A test", "title: 5 EUR")],
        [("$30/month", "30 USD/month")],
    ],
    ids=str,
)  # fmt: skip
def test_what_can_be_meant_is_not(pairs: list[tuple[str, str]]) -> None:
    changed(*pairs)


def test_a_threshold_may_be_a_percentage() -> None:
    assert changed(("threshold: 0.5", "threshold: 25%")).monitors[1].threshold == 0.25


def test_the_dollar_sign_stands_for_the_currency_and_another_sign_for_its_own() -> None:
    euros = changed(("title: A test", "title: A test\ncurrency: EUR"), ("$30/month", "€30/month"))
    assert euros.monitors[0].cost == pytest.approx(30 * 12 / 365)
    assert Scenario.model_validate(euros.model_dump(mode="json")) == euros
    with pytest.raises(ScenarioError, match="currency is EUR: convert the amount and write it with EUR"):
        changed(("title: A test", "title: A test\ncurrency: EUR"), ("$30/month", "30 USD/month"))


@pytest.mark.parametrize(
    ("text", "found"),
    [("5€", "€"), ("CHF 5/k", "CHF"), ("$5", None), ("5 USD", None), ("7d", None), ("costs 5€", None), ("", None)],
)  # fmt: skip
def test_currencies_are_found_in_amounts_only(text: str, found: str | None) -> None:
    assert foreign_currency(text, "USD") == found


@pytest.mark.parametrize(
    "given",
    ["5min", "{kind: uniform, low: 1h, high: 3h}", "{kind: exponential, mean: 2h}",
     "{kind: empirical, values: [3h, 1h]}", "{kind: lognormal, median: 2h, p95: 9h}",
     "{kind: weibull, scale: 2h, shape: 0.6}"],
)  # fmt: skip
def test_bounds_of_durations_are_the_ends_of_their_quantiles(given: str) -> None:
    (age,) = [item.age for item in changed(("age: 5min", f"age: {given}"), ("deadline: 1h", "deadline: 10h")).signals
              if item.kind == "freshness"]  # fmt: skip
    low, high = quantile(age, [1e-15, 1 - 1e-6])
    assert shortest(age) == pytest.approx(low, abs=1e-4)
    assert longest(age) == pytest.approx(high, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("daily", "scheduled:1d"), ("Monthly", "scheduled:30d"), ("12h", "scheduled:12h"), ("sheduled:7d", "scheduled")],
)  # fmt: skip
def test_everyday_words_lead_to_a_policy(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
        parse_policy(text)
