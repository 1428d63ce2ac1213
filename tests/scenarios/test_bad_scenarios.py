"""Wrong scenario files: one clear error each, at the right line and field, and never anything worse."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import scenarios
from scenarios.loader import Problem, ScenarioError, library_names, load, validate_text
from scenarios.problems import MAX_LISTED, MAX_PROBLEMS
from scenarios.yaml_reading import MAX_DEPTH, read_text

GOOD = """\
title: A test
horizon: 30d
window: 1h
value_per_query_per_unit_accuracy: $0.50
features: [age, amount]
quality:
  kind: exponential
  initial_accuracy: 0.95
  decay: 2%/d
drift:
  - kind: ramp
    rate: 0.03/d
    features: [age]
  - kind: random_walk
    volatility: 0.05/sqrt(d)
traffic:
  rate: 1M/d
  daily_profile: [1, 2, 1]
labels:
  coverage: 1%
  delay: {kind: lognormal, median: 6h, p95: 2d}
triggers:
  - metric: accuracy
    threshold: 0.05
    window: 7d
  - metric: feature_drift_psi
    features: [age]
pipeline:
  stages:
    training: 2h
  cost: {compute: $4000}
  gate:
    holdout: 5000
  max_retries: 2
policies:
  - never
  - scheduled:7d
"""

# What is replaced, by what; then the line, the field and words of the only problem.
WRONG: list[tuple[str, str, int, str, str]] = [
    # units and dimensions
    ("30d", "7 dyas", 2, "horizon", "got '7 dyas', expected a duration such as '6h', '7d', '90min'"),
    ("30d", "$5", 2, "horizon", "got '$5' (an amount of money), expected a duration"),
    ("30d", "30", 2, "horizon", "got 30 (a number without unit), expected a duration"),
    ("30d", "1e6", 2, "horizon", "got 1000000.0 (a number without unit)"),
    ("30d", "3mo", 2, "horizon", "months differ in length"),
    ("30d", "15m", 2, "horizon", "write 'min'"),
    ("30d", "2024-01-31", 2, "horizon", "got '2024-01-31', expected a duration"),
    (
        "$0.50",
        "0.5",
        4,
        "value_per_query_per_unit_accuracy",
        "got 0.5 (a number without unit), expected a price",
    ),
    (
        "$0.50",
        "$0.50/h",
        4,
        "value_per_query_per_unit_accuracy",
        "(a cost per time), expected a price per item",
    ),
    ("2%/d", "2%", 9, "quality.decay", "got '2%' (a percentage), expected a rate"),
    ("0.05/sqrt(d)", "0.05/d", 15, "drift[1].volatility", "(a rate), expected a volatility"),
    (
        "$4000",
        "4000",
        31,
        "pipeline.cost.compute",
        "got 4000 (a number without unit), expected an amount of money",
    ),
    ("training: 2h", "training: 2 hx", 30, "pipeline.stages.training", "got '2 hx', expected a duration"),
    ("median: 6h", "median: 6 hx", 21, "labels.delay.median", "got '6 hx', expected a duration"),
    ("{kind: lognormal, median: 6h, p95: 2d}", "soon", 21, "labels.delay", "got 'soon', expected a duration"),
    # types
    ("30d", "", 2, "horizon", "got nothing, expected a duration"),
    ("30d", "[1d]", 2, "horizon", "got a list, expected a duration"),
    ("30d", "yes", 2, "horizon", "got 'yes', expected a duration"),
    ("30d", "true", 2, "horizon", "got true, expected a duration"),
    ("A test", "5", 1, "title", "got 5, expected a text"),
    ("A test", "{a: 1}", 1, "title", "got a mapping, expected a text"),
    ("A test", '""', 1, "title", "expected a text of at least 1 characters"),
    ("holdout: 5000", "holdout: 0.5", 33, "pipeline.gate.holdout", "got 0.5, expected a whole number"),
    (
        "threshold: 0.05",
        "threshold: '0.05'",
        24,
        "triggers[0].threshold",
        "got '0.05', expected a plain number",
    ),
    ("features: [age, amount]", "features: {a: 1}", 5, "features", "got a mapping, expected a list"),
    (
        "traffic:\n  rate: 1M/d\n  daily_profile: [1, 2, 1]",
        "traffic: 1M/d",
        16,
        "traffic",
        "expected a mapping",
    ),
    ("[1, 2, 1]", "[1, two, 1]", 18, "traffic.daily_profile[1]", "got 'two', expected a plain number"),
    ("[1, 2, 1]", "[1]", 18, "traffic.daily_profile", "expected a list of at least 2 items"),
    (
        "    rate: 0.03/d\n    features: [age]",
        "    rate: 0.03/d\n    features: 5",
        13,
        "drift[0].features",
        "'all' or",
    ),
    (
        "    rate: 0.03/d\n    features: [age]",
        "    rate: 0.03/d\n    features: [5]",
        13,
        "drift[0].features[0]",
        "text",
    ),
    (
        "  - kind: random_walk\n    volatility: 0.05/sqrt(d)",
        "  - 5",
        14,
        "drift[1]",
        "got 5, expected a mapping with kind",
    ),
    ("- never", "- 5", 36, "policies[0]", "got 5, expected a"),
    # ranges
    ("30d", ".nan", 2, "horizon", "got .nan, expected a duration"),
    ("30d", ".inf", 2, "horizon", "got .inf, expected a duration"),
    ("30d", "-30d", 2, "horizon", "got '-30d', expected more than 0: a duration"),
    ("30d", "0d", 2, "horizon", "got '0d', expected more than 0"),
    ("30d", "1e999d", 2, "horizon", "too large"),
    ("30d", "9" * 5000, 2, "horizon", "expected a duration"),
    ("0.95", "95", 8, "quality.initial_accuracy", "got 95, expected at most 1: a fraction"),
    ("0.95", "120%", 8, "quality.initial_accuracy", "got '120%', expected at most 1"),
    ("2%/d", "-2%/d", 9, "quality.decay", "got '-2%/d', expected at least 0: a rate"),
    ("1M/d", "-1M/d", 17, "traffic.rate", "got '-1M/d', expected at least 0"),
    ("$4000", "-$4000", 31, "pipeline.cost.compute", "got '-$4000', expected at least 0"),
    ("[1, 2, 1]", "[1, -1, 1]", 18, "traffic.daily_profile[1]", "got -1, expected at least 0"),
    ("threshold: 0.05", "threshold: 0", 24, "triggers[0].threshold", "got 0, expected more than 0"),
    ("max_retries: 2", "max_retries: -1", 34, "pipeline.max_retries", "got -1, expected at least 0"),
    ("holdout: 5000", "holdout: 1e300", 33, "pipeline.gate.holdout", "too large"),
    # names
    (
        "horizon:",
        "horzion:",
        2,
        "horzion",
        "unknown field 'horzion': did you mean 'horizon'? one of: title, ",
    ),
    (
        "  decay:",
        "  dceay:",
        9,
        "quality.dceay",
        "did you mean 'decay'? one of: kind, initial_accuracy, decay",
    ),
    ("volatility:", "volatilty:", 15, "drift[1].volatilty", "did you mean 'volatility'? one of: "),
    ("p95: 2d", "p95: 2d, p99: 3d", 21, "labels.delay.p99", "unknown field 'p99': did you mean 'p95'?"),
    ("holdout:", "zzz:", 33, "pipeline.gate.zzz", "unknown field 'zzz': one of: holdout, margin"),
    ("kind: ramp", "kind: rmap", 11, "drift[0].kind", "unknown 'rmap': did you mean 'ramp'? one of: ramp, "),
    ("kind: ramp", "kind: 5", 11, "drift[0].kind", "got 5, expected one of: ramp, "),
    ("kind: ramp\n    rate", "rate", 11, "drift[0].kind", "missing; expected one of: ramp, "),
    ("kind: lognormal", "kind: lognorm", 21, "labels.delay.kind", "did you mean 'lognormal'?"),
    (
        "metric: accuracy",
        "metric: acuracy",
        23,
        "triggers[0].metric",
        "did you mean 'accuracy'? one of: accuracy, ",
    ),
    (
        "scheduled:7d",
        "shceduled:7d",
        37,
        "policies[1]",
        "did you mean 'scheduled'? one of: never, scheduled, ",
    ),
    ("scheduled:7d", "scheduled:7 dyas", 37, "policies[1]", "got '7 dyas', expected a duration"),
    ("scheduled:7d", "scheduled", 37, "policies[1]", "expected a duration"),
    (
        "    rate: 0.03/d\n    features: [age]",
        "    rate: 1/d\n    features: [agee]",
        13,
        "drift[0].features",
        "'age'?",
    ),
    ("features: [age, amount]", "features: [age, age]", 5, "features", "'age' is there twice"),
    # missing
    ("  decay: 2%/d\n", "", 6, "quality.decay", "missing; expected a rate such as"),
    ("title: A test\n", "", 1, "title", "missing; expected what the system is"),
    (", p95: 2d", "", 21, "labels.delay.p95", "missing; expected a duration"),
    (
        "  - metric: accuracy\n    threshold",
        "  - threshold",
        23,
        "triggers[0].metric",
        "missing; expected what is measured",
    ),
    # what only the whole can tell
    (
        "p95: 2d",
        "p95: 2h",
        21,
        "labels.delay.p95",
        "must be longer than the median: got 2 h, and the median is",
    ),
    ("30d", "30.01d", 2, "horizon", "must be a whole number of windows"),
    ("window: 7d", "window: 90min", 25, "triggers[0].window", "must be a whole number of simulation windows"),
    # YAML
    ("window: 1h", "horizon: 1h", 3, "horizon", "is there twice, first on line 2"),
    ("  decay: 2%/d", "  kind: exponential", 9, "quality.kind", "is there twice, first on line 7"),
    ("30d", "&a 30d", 2, "horizon", "& and * anchors are not supported"),
    ("30d", "*a", 2, "horizon", "& and * anchors are not supported"),
    ("30d", "!!float 30", 2, "horizon", "explicit tags are not supported"),
    ("30d", "!!python/object/apply:os.system [ls]", 2, "horizon", "explicit tags are not supported"),
    ("  decay: 2%/d", "\tdecay: 2%/d", 9, "", "a tab where only blanks may indent"),
    ("A test", "A: test", 1, "", "a second ': ' on the line"),
    ("[age, amount]", "[age, amount", 6, "", "cannot be read as YAML"),
    ("A test", '"A test', 1, "", "a quote is opened here and never closed"),
    ("A test", '"\\xZZ"', 1, "", "cannot be read as YAML"),
    ("A test", '"\\U00110000"', 1, "", "cannot be read as YAML"),
    ("A test", '"a \\0 b"', 1, "title", "contains a control character"),
    ("A test", '"\\ud800"', 1, "title", "contains a control character"),
    ("A test", "a \x1b b", 1, "", "special characters are not allowed"),
    ("policies:\n", "---\npolicies:\n", 35, "", "a second document"),
    ("window: 1h", "5: 1h", 3, "", "5 is used as the name of a field, expected a text"),
    ("window: 1h", "true: 1h", 3, "", "true is used as the name of a field, expected a text"),
    ("window: 1h", "? [a]\n: 1h", 3, "", "a list is used as the name of a field, expected a text"),
    ("A test", "[" * 10_000, 1, "", "nested deeper than 40"),
    ("A test", "{a: " * 10_000, 1, "", "nested deeper than 40"),
    ("A test", "!" * 900_000, 1, "", "explicit tags are not supported"),
]


def problem_of(text: str) -> Problem:
    with pytest.raises(ScenarioError) as caught:
        validate_text(text, "test.yaml")
    assert len(caught.value.problems) == 1, str(caught.value)
    return caught.value.problems[0]


def test_the_good_one_is_good() -> None:
    assert validate_text(GOOD).horizon == 30.0


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    WRONG,
    ids=[f"{row[3] or 'yaml'}={row[1][:20]!r}" for row in WRONG],
)
def test_one_mistake_is_one_problem_in_its_place(
    old: str, new: str, line: int, field: str, words: str
) -> None:
    assert GOOD.count(old) >= 1
    problem = problem_of(GOOD.replace(old, new, 1))
    assert (problem.source, problem.line, problem.field) == ("test.yaml", line, field)
    assert words in problem.message
    text = str(problem)
    assert text.startswith(f"test.yaml:{line}: {field}: " if field else f"test.yaml:{line}: ")
    assert len(text) < 700
    assert text.isprintable()
    for leak in ("pydantic", "http", "ruamel", "Value error", "Traceback", "Input should"):
        assert leak not in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("  \n# only a comment\n", "is empty"),
        ("---\n", "got nothing, expected a mapping"),
        ("just a text", "got 'just a text', expected a mapping"),
        ("- a\n- b", "got a list, expected a mapping"),
        ("5", "got 5, expected a mapping"),
        ("null", "got nothing, expected a mapping"),
        ("&a a: *a", "anchors are not supported"),
        ("a: &a [*a]", "anchors are not supported"),
        ("%YAML 3.0\n---\na: 1", "cannot be read as YAML"),
        ("%YAML 1.11", "cannot be read as YAML"),
        ("a: [" + "1, " * 60_000 + "1]", "more than 50,000 values"),
        ("a: " + "x" * 1_000_000, "is larger than 1,000,000 bytes"),
    ],
    ids=lambda value: str(value)[:25],
)
def test_texts_that_are_no_scenario(text: str, words: str) -> None:
    assert words in problem_of(text).message


def test_billion_laughs_stop_at_the_first() -> None:
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    problem = problem_of("\n".join(lines))
    assert (problem.line, problem.field) == (1, "a0")
    assert "anchors are not supported" in problem.message


def test_nesting_up_to_the_limit_is_read() -> None:
    inside = MAX_DEPTH - 1  # the top level is one of them
    problem = problem_of("a: " + "[" * inside + "]" * inside + "\n" + GOOD)
    assert problem.message.startswith("unknown field 'a'")
    problem = problem_of("a: " + "[" * (inside + 1) + "]" * (inside + 1) + "\n" + GOOD)
    assert "nested deeper than 40" in problem.message


def test_several_mistakes_come_in_the_order_of_the_file() -> None:
    text = GOOD.replace("2%/d", "2%").replace("30d", "30").replace("max_retries: 2", "max_retries: x")
    with pytest.raises(ScenarioError) as caught:
        validate_text(text, "test.yaml")
    problems = caught.value.problems
    assert [problem.line for problem in problems] == [2, 9, 34]
    assert str(caught.value) == "\n".join(map(str, problems))


def test_very_many_mistakes_are_counted_not_listed() -> None:
    text = GOOD.replace("[1, 2, 1]", "[" + "x, " * 999 + "x]")
    with pytest.raises(ScenarioError) as caught:
        validate_text(text, "test.yaml")
    error = caught.value
    assert error.count == 1000
    assert len(error.problems) == MAX_PROBLEMS
    lines = str(error).splitlines()
    assert len(lines) == MAX_LISTED + 1
    assert lines[-1] == "and 990 more"


class TestFiles:
    def problem(self, path: str | Path) -> Problem:
        with pytest.raises(ScenarioError) as caught:
            load(path)
        assert len(caught.value.problems) == 1
        return caught.value.problems[0]

    def test_fifty_megabytes(self, tmp_path: Path) -> None:
        path = tmp_path / "big.yaml"
        with path.open("wb") as stream:
            stream.write(GOOD.encode())
            stream.truncate(50_000_000)
        assert "is larger than 1,000,000 bytes" in self.problem(path).message

    def test_empty(self, tmp_path: Path) -> None:
        path = tmp_path / "empty.yaml"
        path.touch()
        assert str(self.problem(path)) == f"{path}: is empty, expected a scenario"

    def test_binary(self, tmp_path: Path) -> None:
        path = tmp_path / "model.yaml"
        path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
        assert "is a binary file" in self.problem(path).message

    def test_utf16(self, tmp_path: Path) -> None:
        path = tmp_path / "windows.yaml"
        path.write_bytes(GOOD.encode("utf-16"))
        assert "is a binary file" in self.problem(path).message

    def test_latin1(self, tmp_path: Path) -> None:
        path = tmp_path / "latin.yaml"
        path.write_bytes(GOOD.replace("window: 1h", "window: 1h # für").encode("latin-1"))
        problem = self.problem(path)
        assert (problem.line, problem.message) == (3, "is not text in UTF-8")

    def test_utf8_with_mark_and_windows_line_ends_is_fine(self, tmp_path: Path) -> None:
        path = tmp_path / "windows.yaml"
        path.write_bytes(GOOD.replace("\n", "\r\n").encode("utf-8-sig"))
        assert load(path).title == "A test"
        path.write_bytes(GOOD.replace("2%/d", "2%").replace("\n", "\r\n").encode("utf-8-sig"))
        assert self.problem(path).line == 9

    def test_directory(self, tmp_path: Path) -> None:
        assert "is a directory" in self.problem(tmp_path).message

    def test_device(self) -> None:
        assert "is not a regular file" in self.problem("/dev/zero").message

    def test_missing_with_a_neighbour(self, tmp_path: Path) -> None:
        (tmp_path / "fraud.yaml").touch()
        assert self.problem(tmp_path / "fruad.yaml").message == "no such file: did you mean 'fraud.yaml'?"

    @pytest.mark.parametrize("path", ["a\0b.yaml", "x" * 5000 + ".yaml", "a\nb.yaml", "\x1b[31m.yaml"])
    def test_names_that_no_file_has(self, path: str) -> None:
        text = str(self.problem(path))
        assert text.isprintable()
        assert len(text) < 400

    def test_data_file_that_is_not_there(self, tmp_path: Path) -> None:
        path = tmp_path / "recorded.yaml"
        path.write_text(GOOD.replace("rate: 1M/d", "recorded: {step: 1h, path: nope.csv}"))
        problem = self.problem(path)
        assert (problem.line, problem.field) == (17, "traffic.recorded")
        assert "nope.csv" in problem.message

    def test_data_file_with_a_hole(self, tmp_path: Path) -> None:
        (tmp_path / "rates.csv").write_text("rate\n1\n\n2\n")
        path = tmp_path / "recorded.yaml"
        path.write_text(GOOD.replace("rate: 1M/d", "recorded: {step: 1h, path: rates.csv}"))
        problem = self.problem(path)
        assert (problem.line, problem.field.partition(".values")[0]) == (17, "traffic.recorded")


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [
            "7d",
            "0d",
            "-7d",
            "1e300d",
            "1e-300d",
            "1e-320d",
            "1M/d",
            "1e300/s",
            "2%/d",
            "0.05/sqrt(d)",
            "$5",
            "$3/h",
            "5%",
            "50k",
            "1 GB",
            "all",
            "none",
            "never",
            "triggered:psi>0.2",
            "kind",
            "recorded",
            "rest",
            "\u2028",
        ]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["kind", "name", "rate", "path", "values", "x"]), inner, max_size=3),
    ),
    max_leaves=6,
)


def containers(data: Any) -> list[Any]:
    """All lists and mappings with something in them, from the top."""
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else []
    return ([data] if inner else []) + [found for item in inner for found in containers(item)]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A scenario of the library in which one to three values were replaced, deleted, inserted or renamed."""
    data = copy.deepcopy(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 3))):
        container = draw(st.sampled_from(containers(data) or [data]))
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        if not keys:
            continue
        key = draw(st.sampled_from(keys))
        action = draw(st.sampled_from(["replace", "delete", "insert", "swap"]))
        if action == "replace":
            container[key] = draw(VALUES)
        elif action == "delete":
            del container[key]
        elif action == "insert" and isinstance(container, list):
            container.insert(key, draw(VALUES))
        elif action == "insert":
            container[draw(st.one_of(st.text(max_size=6), st.sampled_from(FIELDS)))] = draw(VALUES)
        else:
            container[key] = copy.deepcopy(draw(st.sampled_from(containers(data) or [data])))
    return json.dumps(data, indent=1)


LIBRARY = Path(scenarios.__file__).parent / "library"
VALID = [read_text((LIBRARY / f"{name}.yaml").read_text("utf-8"), name).data for name in library_names()]
FIELDS = sorted(
    {
        key
        for data in VALID
        for container in containers(data)
        if isinstance(container, dict)
        for key in container
    }
)


def loads_or_explains(text: str, **overrides: Any) -> None:
    """The property: a scenario, or problems that can be printed; any other exception fails the test."""
    try:
        validate_text(text, "mutant.yaml", base_dir=LIBRARY, overrides=overrides)
    except ScenarioError as error:
        shown = str(error)
    else:
        shown = "fine"
    assert shown
    assert all(line.isprintable() for line in shown.split("\n"))
    assert "pydantic" not in shown


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_any_mutant_loads_or_explains_itself(text: str) -> None:
    loads_or_explains(text)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    text=st.sampled_from(
        [GOOD, *((LIBRARY / f"{name}.yaml").read_text("utf-8") for name in library_names())]
    ),
    place=st.floats(0, 1),
    length=st.integers(0, 20),
    insert=st.one_of(
        st.text(max_size=5),
        st.sampled_from(
            [
                "[",
                "]",
                "{",
                "}",
                "&a ",
                "*a",
                "!!x ",
                '"',
                "'",
                "\\",
                "\t",
                "\n",
                ": ",
                "- ",
                "| ",
                "? ",
                "#",
                "%",
                "\0",
            ]
        ),
    ),
)
def test_any_damaged_text_loads_or_explains_itself(text: str, place: float, length: int, insert: str) -> None:
    start = int(place * len(text))
    loads_or_explains(text[:start] + insert + text[start + length :])


@settings(max_examples=100, deadline=None)
@given(
    path=st.one_of(
        st.lists(st.sampled_from([*FIELDS, "0", "1"]), min_size=1, max_size=4).map(".".join),
        st.text(max_size=10),
    ),
    value=VALUES,
)
def test_any_override_loads_or_explains_itself(path: str, value: Any) -> None:
    loads_or_explains(GOOD, **{path: value})
