"""Generated pages of the reference: every field, command and public name, and how docstrings become Markdown."""

from __future__ import annotations

import inspect
import sys

import api_reference
import command_reference
import pytest
import schema_reference
import typer

import scenarios
from analysis.cli import app
from scenarios.schema import Scenario


def row(text: str, model: str, field: str) -> list[str]:
    """Cells of a field in the section of a model."""
    section = text.split(f"# {model}\n", 1)[1].split("\n#", 1)[0]
    (line,) = [line for line in section.splitlines() if line.startswith(f"| `{field}` |")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


@pytest.fixture(scope="module")
def fields() -> str:
    return schema_reference.page()


def test_every_part_of_the_schema_has_its_section(fields):
    definitions = set(Scenario.model_json_schema(mode="validation")["$defs"])
    sections = {line.lstrip("# ") for line in fields.splitlines() if line.startswith("#")}
    assert definitions <= sections


def test_every_field_says_what_it_is(fields):
    for model in schema_reference.models():
        for name in model.model_fields:
            cells = row(fields, model.__name__, name)
            assert len(cells) == 4
            assert all(cells), (model.__name__, name)


def test_units_and_defaults_are_those_of_the_schema(fields):
    assert row(fields, "Scenario", "horizon")[1:3] == ["a duration (`6h`, `7d`), > 0", "`365d`"]
    assert row(fields, "Scenario", "window")[2] == "`1h`"
    assert row(fields, "Scenario", "title")[2] == "*required*"
    assert row(fields, "Scenario", "response")[1:3] == ["[Response](#response)", "absent"]
    assert row(fields, "Slice", "weight")[1] == "a fraction between 0 and 1 (`5%`, `0.05`), ≤ 1 and > 0"
    assert row(fields, "Price", "compute")[1:3] == ["an amount of money (`$5000`, `$1.2M`), ≥ 0", "`$0`"]


def test_defaults_read_back_as_the_default(fields):
    """What the page gives as the default of a top-level field with a unit is what the schema has."""
    for name in ("horizon", "window", "material_drop"):
        written = row(fields, "Scenario", name)[2].strip("`")
        loaded = scenarios.load("rotting_asset").with_(**{name: written})
        assert getattr(loaded, name) == Scenario.model_fields[name].default


def test_every_command_and_option_is_there():
    text = command_reference.page()
    for name, command in typer.main.get_command(app).commands.items():
        section = text.split(f"\n## halflife {name}\n", 1)[1].split("\n## ", 1)[0]
        for parameter in command.params:
            names = parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]
            assert all(f"`{one}`" in section for one in names), (name, parameter.name)
            assert parameter.help in section.replace("\\|", "|"), (name, parameter.name)


@pytest.mark.parametrize("package", api_reference.PACKAGES)
def test_every_public_name_is_there(package):
    text = api_reference.page(package)
    for name in sys.modules[package].__all__:
        thing = api_reference.public(sys.modules[package], name)
        assert (f"`{package}.{name}`" if inspect.ismodule(thing) else f"heading: {package}.{name}\n") in text


def test_docstrings_become_lists_and_examples():
    pytest.importorskip("griffe")
    from docstring_markdown import as_markdown

    text = (
        "What it is.\n\ninterval: days,\n  > 0\nvalue, worth: USD\nReturns USD. Raises ValueError.\n\n"
        ">>> half(2)\n1.0\n\nNot a list: this."
    )
    assert as_markdown(text) == (
        "What it is.\n\n- **interval**: days,\n  > 0\n- **value, worth**: USD\n\nReturns USD. Raises ValueError.\n\n"
        "```pycon\n>>> half(2)\n1.0\n```\n\nNot a list: this."
    )
    assert as_markdown("Text.\n>>> 1\n1") == "Text.\n\n```pycon\n>>> 1\n1\n```"
