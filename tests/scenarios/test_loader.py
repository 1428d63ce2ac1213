from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

import scenarios
from scenarios import loader
from scenarios.loader import Problem, ScenarioError, load, parse_override, validate_mapping, validate_text
from scenarios.problems import choice
from scenarios.units import Days, Fraction, PositiveDays, Real


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Wave(Part):
    kind: Literal["wave"]
    period: PositiveDays = Field(description="time between two crests")
    wave: Real = 1.0


class Step(Part):
    kind: Literal["step"]
    at: Days


class Small(Part):
    """A stand-in for the schema of scenarios, with one of each kind of field."""

    name: str = Field(description="what it is")
    on: str = "x"
    level: Any = None
    share: Annotated[Fraction, Field(gt=0.1)] = 0.5
    window: Annotated[PositiveDays, Field(le=30)] = 1.0
    shapes: list[Annotated[Wave | Step, Field(discriminator="kind")]] = []
    shape: Annotated[Wave | Step, Field(discriminator="kind")] | None = None
    names: dict[str, Real] = {}
    which: Literal["all"] | list[str] = "all"
    flag: bool = False
    number: int = 0
    wrapped: Annotated[
        Wave | None, BeforeValidator(lambda v: {"kind": "wave", "period": v} if isinstance(v, str) else v)
    ] = None
    folder: str = ""

    @model_validator(mode="before")
    @classmethod
    def _where(cls, data: Any, info: ValidationInfo) -> Any:
        base = (info.context or {}).get("base_dir")
        return data if base is None or not isinstance(data, dict) else {**data, "folder": str(base)}

    @model_validator(mode="after")
    def _whole(self) -> Small:
        if self.on == "whole":
            raise ValueError("shapes[0].period: too odd")
        if self.on == "nothing":
            raise ValueError("nothing fits")
        return self


def small(text: str, **overrides: Any) -> Small:
    loaded: Any = validate_text(text, "t.yaml", model=Small, overrides=overrides)
    assert isinstance(loaded, Small)
    return loaded


def errors(text: str, **overrides: Any) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        small(text, **overrides)
    return str(caught.value).splitlines()


class TestYaml:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("no", "no"),
            ("on", "on"),
            ("Yes", "Yes"),
            ("true", True),
            ("False", False),
            ("~", None),
            ("null", None),
            ("", None),
            ("12", 12),
            ("-12", -12),
            ("010", 10),
            ("0o17", 15),
            ("0x1F", 31),
            ("1e6", 1e6),
            ("1.5", 1.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("-.inf", -np.inf),
            ("1_000", "1_000"),
            ("0b11", "0b11"),
            ("12:30:45", "12:30:45"),
            ("2024-01-31", "2024-01-31"),
            ("2024-01-31T12:00:00Z", "2024-01-31T12:00:00Z"),
            ("'12'", "12"),
            ('"null"', "null"),
            ("1.5 GB", "1.5 GB"),
            ("$0.30/million", "$0.30/million"),
            ("2%/d", "2%/d"),
            ("=", "="),
            ("{a: [1, x]}", {"a": [1, "x"]}),
            ("[]", []),
            ("|\n  two\n  lines", "two\nlines"),
        ],
    )
    def test_scalars_are_those_of_yaml_1_2(self, text: str, value: Any) -> None:
        assert small(f"name: n\nlevel: {text}").level == value

    def test_the_version_directive_of_the_old_one_changes_nothing(self) -> None:
        assert small("%YAML 1.1\n---\nname: n\nlevel: no\n...\n").level == "no"

    def test_nan_is_a_number(self) -> None:
        level: float = small("name: n\nlevel: .nan").level
        assert level != level

    def test_long_whole_numbers_become_floats(self) -> None:
        assert small("name: n\nlevel: " + "9" * 100).level == 1e100
        assert small("name: n\nlevel: " + "9" * 5000).level == np.inf

    @given(
        st.recursive(
            st.integers() | st.text(st.characters(codec="ascii", categories=["L", "P"])),
            st.lists,
            max_leaves=9,
        )
    )
    def test_json_reads_as_itself(self, value: Any) -> None:
        import json

        assert small(f'{{"name": "n", "level": {json.dumps(value)}}}').level == value

    def test_an_on_field_is_a_field(self) -> None:
        assert small("name: n\non: off").on == "off"


class TestPlaces:
    def test_missing_fields_are_at_their_mapping(self) -> None:
        text = "name: n\n\nshapes:\n  - kind: wave\n    period: 1d\n  - kind: step\n"
        assert errors(text) == [
            "t.yaml:6: shapes[1].at: missing; expected a duration such as '6h', '7d', '90min'"
        ]
        assert errors("# nothing\n\non: x") == ["t.yaml:3: name: missing; expected what it is"]

    def test_values_on_later_lines_are_at_their_key(self) -> None:
        assert errors("name: n\nwindow:\n  1x")[0].startswith("t.yaml:2: window: got '1x'")

    def test_a_key_that_is_called_like_the_tag(self) -> None:
        text = "name: n\nshape:\n  kind: wave\n  wave: x\n  period: 1d"
        assert errors(text) == ["t.yaml:4: shape.wave: got 'x', expected a plain number such as 0.5, 2, -1.5"]

    def test_keys_of_free_mappings(self) -> None:
        assert errors("name: n\nnames:\n  a: 1\n  'b c': x")[0].startswith("t.yaml:4: names.'b c': got 'x'")

    def test_a_value_that_a_validator_wrapped(self) -> None:
        assert errors("name: n\nwrapped: 1x")[0].startswith(
            "t.yaml:2: wrapped: got '1x', expected a duration"
        )
        assert errors("name: n\nwrapped: 0d")[0].startswith(
            "t.yaml:2: wrapped: got '0d', expected more than 0"
        )

    def test_a_message_that_names_a_field_is_put_there(self) -> None:
        text = "name: n\nshapes:\n  - kind: wave\n    period: 1d\non: whole"
        assert errors(text) == ["t.yaml:4: shapes[0].period: too odd"]

    def test_other_messages_are_at_the_whole(self) -> None:
        assert errors("name: n\non: nothing") == ["t.yaml:1: nothing fits"]

    def test_a_misspelt_field_is_not_missing_as_well(self) -> None:
        text = "name: n\nshape:\n  kind: wave\n  peroid: 1d"
        (line,) = errors(text)
        assert line.startswith(
            "t.yaml:4: shape.peroid: unknown field 'peroid': did you mean 'period'? one of: "
        )


class TestWords:
    @pytest.mark.parametrize(
        ("field", "message"),
        [
            ("window: 31d", "got '31d', expected at most 30 d: a duration such as '6h', '7d', '90min'"),
            ("share: 5%", "got '5%', expected more than 0.1: a fraction between 0 and 1 such as '5%', 0.05"),
            ("which: 5", "got 5, expected 'all' or a list"),
            ("which: [5]", "got 5, expected a text (in quotes)"),
            ("flag: maybe", "got 'maybe', expected true or false"),
            ("flag: 7", "got 7, expected true or false"),
            ("number: 1.5", "got 1.5, expected a whole number"),
            ("number: x", "got 'x', expected a whole number"),
            ("names: 5", "got 5, expected a mapping"),
            ("shapes: 5", "got 5, expected a list"),
            ("shape: 5", "got 5, expected a mapping with kind: wave, step"),
            ("shape: {kind: wvae}", "unknown 'wvae': did you mean 'wave'? one of: wave, step"),
            ("shape: {period: 1d}", "missing; expected one of: wave, step"),
            ("zzz: 1", "unknown field 'zzz': one of: name, on, "),
        ],
    )
    def test_what_was_given_and_what_would_be_right(self, field: str, message: str) -> None:
        (line,) = errors(f"name: n\n{field}")
        assert line.partition(": ")[2].partition(": ")[2].startswith(message)

    def test_long_lists_of_names_are_shortened(self) -> None:
        names = choice("x1", [f"x{number}" for number in range(1000)])
        assert names.startswith("did you mean 'x1'? one of: x0, x1, ")
        assert names.endswith(", x59, and 940 more")


class TestOverrides:
    TEXT = "name: n\nshapes:\n  - kind: wave\n    period: 1d\n  - kind: step\n    at: 2d\n"

    @pytest.mark.parametrize(
        "path", ["shapes.0.period", "shapes[0].period", "shapes__0__period", "shapes[0]__period"]
    )
    def test_ways_to_write_a_path(self, path: str) -> None:
        shape = small(self.TEXT, **{path: "6h"}).shapes[0]
        assert isinstance(shape, Wave)
        assert shape.period == 0.25

    def test_a_whole_part_and_then_a_field_of_it(self) -> None:
        part = {"kind": "wave", "period": "1d"}
        shape = small(self.TEXT, **{"shape": part, "shape.wave": np.float64(7)}).shape
        assert isinstance(shape, Wave)
        assert (shape.period, shape.wave) == (1.0, 7.0)
        assert part == {"kind": "wave", "period": "1d"}

    def test_missing_mappings_are_created(self) -> None:
        assert small(self.TEXT, **{"names.new": 1}).names == {"new": 1.0}

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            ("nmae", 1, "override nmae: unknown field 'nmae': did you mean 'name'? one of: name, "),
            ("zzz.deep.er", 1, "override zzz: unknown field 'zzz': one of: name, "),
            (
                "shapes.0.peroid",
                "1d",
                "override shapes[0].peroid: unknown field 'peroid': did you mean 'period'?",
            ),
            (
                "shapes.2.period",
                "1d",
                "override shapes.2.period: index 2 is out of range: shapes has 2 items",
            ),
            ("shapes[-1].period", "1d", "override shapes[-1].period: is not a path, expected one such as"),
            ("shapes.x", "1d", "override shapes.x: shapes is a list, expected an index such as shapes[0]"),
            ("name.x", 1, "override name.x: name is 'n', which has no fields"),
            ("names.0", 1, None),
            ("", 1, "override '': is not a path"),
            ("a b", 1, "override a b: is not a path"),
            ("window", "31d", "override window: got '31d', expected at most 30 d: a duration"),
            ("window", 31, "override window: got 31 (a number without unit), expected a duration"),
            ("window", None, "override window: got nothing, expected a duration"),
            ("shape", {"kind": "wave"}, "override shape.period: missing; expected a duration"),
            ("shape.kind", "wave", "override shape.period: missing; expected a duration"),
        ],
    )
    def test_mistakes(self, path: str, value: Any, message: str | None) -> None:
        if message is None:
            assert small(self.TEXT + "names: {'0': 5}", **{path: value}).names == {"0": 1.0}
        else:
            (line,) = errors(self.TEXT, **{path: value})
            assert line.startswith(message)

    def test_mistakes_of_the_file_stay_those_of_the_file(self) -> None:
        assert errors(self.TEXT.replace("1d", "1x"), name="m")[0].startswith("t.yaml:4: shapes[0].period: ")

    def test_a_mapping_read_before_is_not_changed(self) -> None:
        data = {"name": "n", "shapes": [{"kind": "wave", "period": "1d"}]}
        before = copy.deepcopy(data)
        loaded: Any = validate_mapping(
            data, {"shapes.0.period": "2d", "shape.kind": "step", "shape.at": "1d"}, model=Small
        )
        assert (loaded.shapes[0].period, loaded.shape.at) == (2.0, 1.0)
        assert data == before
        with pytest.raises(ScenarioError, match=r"^scenario: window: got '1x'"):
            validate_mapping({**data, "window": "1x"}, model=Small)

    @pytest.mark.parametrize(
        ("text", "path", "value"),
        [
            ("quality.decay=1%/d", "quality.decay", "1%/d"),
            (" a = 5 ", "a", 5),
            ("a=null", "a", None),
            ("a=1e6", "a", 1e6),
            ("a='5'", "a", "5"),
            ("a=[1, x]", "a", [1, "x"]),
            ("a={kind: fixed, value: 2h}", "a", {"kind": "fixed", "value": "2h"}),
            ("policies[0]=triggered:psi>0.2", "policies[0]", "triggered:psi>0.2"),
            ("a=b=c", "a", "b=c"),
        ],
    )
    def test_parse_override(self, text: str, path: str, value: Any) -> None:
        assert parse_override(text) == (path, value)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a", "override a: expected path=value, such as quality.decay=1%/d"),
            ("=5", "override =5: expected path=value"),
            ("a=", "override a=: expected path=value"),
            ("", "override (empty): expected path=value"),
            ("a=[1", "override a: cannot be read as YAML"),
            ("a=*x", "override a: & and * anchors are not supported"),
            ("a=!!python/name:os x", "override a: explicit tags are not supported"),
            ("a={b: 1, b: 2}", "override a: b: is there twice"),
            ("a=" + "[" * 50 + "]" * 50, "override a: lists and mappings nested deeper than 40"),
        ],
    )
    def test_parse_override_mistakes(self, text: str, message: str) -> None:
        with pytest.raises(ScenarioError) as caught:
            parse_override(text)
        assert str(caught.value).startswith(message)


class TestLoad:
    def test_every_library_scenario_is_valid(self) -> None:
        names = loader.library_names()
        assert "fraud_detection" in names
        assert names == sorted(names)
        for name in names:
            assert load(name).title

    def test_a_path_and_its_name_are_the_same_scenario(self) -> None:
        path = Path(loader.__file__).parent / "library" / "fraud_detection.yaml"
        assert load(path) == load(str(path)) == load("fraud_detection")
        assert load(path).hash() == load("fraud_detection").hash()

    def test_keyword_overrides(self) -> None:
        changed = load("fraud_detection", quality__decay="1%/d")
        assert changed.quality.kind == "exponential"
        assert changed.quality.decay == 0.01
        assert scenarios.load("fraud_detection", quality__decay="1%/d").hash() == changed.hash()
        assert load("fraud_detection").hash() != changed.hash()

    def test_a_loaded_scenario_can_be_changed_again(self) -> None:
        changed = load("fraud_detection").with_(quality__decay="1%/d").with_(horizon="30d")
        assert changed.quality.kind == "exponential"
        assert (changed.quality.decay, changed.horizon) == (0.01, 30.0)

    def test_what_is_dumped_loads_again(self) -> None:
        scenario = load("fraud_detection")
        assert validate_text(scenario.model_dump_json(), "again").hash() == scenario.hash()

    @pytest.mark.parametrize("name", ["fruad_detection", "Fraud_detection", "fraud_detection "])
    def test_an_unknown_name_gets_the_nearest(self, name: str) -> None:
        with pytest.raises(ScenarioError) as caught:
            load(name)
        assert "did you mean 'fraud_detection'? one of: " in str(caught.value)
        for known in loader.library_names():
            assert known in str(caught.value)

    @pytest.mark.parametrize("name", ["", ".", "..", "%s", "nothing like it at all"])
    def test_a_strange_name_gets_the_list(self, name: str) -> None:
        with pytest.raises(ScenarioError, match="no such scenario in the library: one of: "):
            load(name)

    def test_relative_data_count_from_the_folder_of_the_file(self, tmp_path: Path, monkeypatch: Any) -> None:
        (tmp_path / "t.yaml").write_text("name: n", encoding="utf-8")
        loaded: Any = load(tmp_path / "t.yaml", _model=Small)
        assert loaded.folder == str(tmp_path)
        monkeypatch.chdir(tmp_path)
        here: Any = load("t.yaml", _model=Small)
        assert Path(here.folder).resolve() == tmp_path.resolve()


def test_importing_the_loader_imports_nothing_heavy() -> None:
    script = "import sys, scenarios.loader; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"numpy", "pydantic", "ruamel"} & set(done.stdout.split())


class TestScenarioError:
    def test_text_of_a_problem(self) -> None:
        problem = Problem(
            "fraud.yaml", 14, "policies[1].interval", "'7 dyas'", "got '7 dyas', expected a duration"
        )
        assert str(problem) == "fraud.yaml:14: policies[1].interval: got '7 dyas', expected a duration"
        assert str(Problem("f.yaml", None, "", "", "is empty")) == "f.yaml: is empty"
        assert str(Problem("override", None, "a.b", "", "no")) == "override a.b: no"

    def test_is_one_printable_line(self) -> None:
        assert str(Problem("f", 1, "a", "", "two\nlines, \x1b[31mred")) == r"f:1: a: two\nlines, \x1b[31mred"

    def test_at_most_ten_are_listed(self) -> None:
        problems = [Problem("f", line, "a", "", "wrong") for line in range(1, 13)]
        assert len(str(ScenarioError(problems[:10])).splitlines()) == 10
        lines = str(ScenarioError(problems)).splitlines()
        assert lines[:2] == ["f:1: a: wrong", "f:2: a: wrong"]
        assert lines[10:] == ["and 2 more"]

    def test_is_a_value_error_that_crosses_processes(self) -> None:
        error = ScenarioError([Problem("f", 1, "a", "5", "wrong")], 7)
        again = pickle.loads(pickle.dumps(error))
        assert isinstance(again, ValueError)
        assert (again.problems, again.count, str(again)) == (error.problems, 7, "f:1: a: wrong\nand 6 more")
