"""The reference of the command line, written from the commands themselves: every argument, option and default."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from analysis.cli import app

WORDS = {int: "NUMBER", float: "NUMBER", Path: "FILE", str: "TEXT"}
HEAD = """# Command line

Written from the commands when the site is built; `halflife COMMAND --help` says the same. SCENARIO is a name of the
library or a path to a YAML file. Exit status: 0 done; 1 a defect of ours; 2 your input is wrong, with one message
that says what and where; 3 a `--require`, or the `--limit` of a budget, does not hold.
"""


def page() -> str:
    """The whole page, as Markdown."""
    group: Any = typer.main.get_command(app)
    commands = [(name, command) for name, command in group.commands.items() if not command.hidden]
    table = [
        f"| [`{name}`](#halflife-{name}) | {_about(command).splitlines()[0]} |" for name, command in commands
    ]
    overview = "\n".join(["| command | what it does |", "| --- | --- |", *table])
    return "\n\n".join([HEAD, overview, *(_section(name, command) for name, command in commands)]) + "\n"


def _about(command: Any) -> str:
    return (command.help or "").strip()


def _section(name: str, command: Any) -> str:
    rows = [_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    arguments = " ".join(
        parameter.name.upper() + ("..." if parameter.nargs == -1 else "")
        for parameter in command.params
        if parameter.param_type_name == "argument"
    )
    table = "\n".join(
        ["| argument or option | value | default | what it is |", "| --- | --- | --- | --- |", *rows]
    )
    usage = f"```text\nhalflife {name} {arguments}".rstrip() + " [OPTIONS]\n```"
    return "\n\n".join([f"## halflife {name}", _about(command), usage, table])


def _row(parameter: Any) -> str:
    option = parameter.param_type_name == "option"
    names = [*parameter.opts, *parameter.secondary_opts] if option else [parameter.name.upper()]
    cells = (
        ", ".join(f"`{name}`" for name in names),
        "" if getattr(parameter, "is_flag", False) else _value(parameter),
        _default(parameter),
        (getattr(parameter, "help", None) or "") + ("; repeatable" if _repeats_unsaid(parameter) else ""),
    )
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _repeats_unsaid(parameter: Any) -> bool:
    return bool(getattr(parameter, "multiple", False)) and "repeatable" not in (parameter.help or "")


def _value(parameter: Any) -> str:
    """What to give: the option's own word, or its type, with choices and limits."""
    kind = _type(parameter)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(f"`{choice.value}`" for choice in kind)
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f"`{choice}`" for choice in get_args(kind))
    word = parameter.metavar or WORDS.get(kind, "TEXT")
    least = "" if parameter.min is None else f"≥ {parameter.min:g}"
    most = "" if parameter.max is None else f"≤ {parameter.max:g}"
    return " ".join(filter(None, (f"`{word}`", least, most)))


def _type(parameter: Any) -> Any:
    """The type of one value; of an item, where the option is repeatable."""
    kind = parameter.type_descriptor.annotation
    return get_args(kind)[0] if get_origin(kind) in (list, tuple) else kind


def _default(parameter: Any) -> str:
    if parameter.required:
        return "*required*"
    value = parameter.default
    if getattr(parameter, "is_flag", False) or value is None or callable(value) or value in ((), []):
        return ""
    return f"`{getattr(value, 'value', value)}`"
