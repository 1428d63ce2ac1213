"""What the commands of `halflife` share: their options, how they read input, and how they tell what they found.

A file of commands imports from here and has a function `register(app)`, which `analysis.cli` calls. Heavy packages
are imported inside the functions, so that help answers at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from analysis.completion import complete_overlay, complete_policy, complete_scenario, complete_setting


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn what is wrong with the user's input into one message and exit status 2."""
    try:
        yield
    except BrokenPipeError:  # whoever read the output has seen enough
        raise typer.Exit(0) from None
    except (ValueError, OSError) as error:
        text = (
            f"{error.filename}: {error.strerror}"
            if isinstance(error, OSError) and error.strerror
            else str(error)
        )
        typer.echo(f"error: {text}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        raise typer.Exit(130) from None


def out_folder(text: str | Path) -> Path:
    """A folder as given to --out; an empty text, which would be the present folder, is refused."""
    with user_errors():
        if not str(text).strip():
            raise ValueError("--out: is empty, expected a folder, such as out/first")
    return Path(text)


Scenario = Annotated[
    str,
    typer.Argument(
        help="a library name (see `halflife list`) or a path to a YAML file", autocompletion=complete_scenario
    ),
]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document on stdout")]
Seed = Annotated[int, typer.Option(help="seed of all randomness", min=0)]
Out = Annotated[
    Path | None,
    typer.Option(parser=out_folder, metavar="FOLDER", help="folder for tables, data and pictures"),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="change a field, e.g. quality.decay=1%/d; repeatable",
        autocompletion=complete_setting,
    ),
]
Overlays = Annotated[
    list[str] | None,
    typer.Option(
        "--overlay",
        "-O",
        metavar="NAME",
        help="lay a partial scenario over it: ad_hoc, repeatable, scalable, one of its own or a YAML file; repeatable",
        autocompletion=complete_overlay,
    ),
]
Policies = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        "-p",
        help="e.g. scheduled:7d, triggered:psi>0.2, hybrid:30d, file.py:Class; repeatable",
        autocompletion=complete_policy,
    ),
]
Workers = Annotated[int | None, typer.Option(help="processes; all cores when not given", min=1)]
Require = Annotated[
    list[str] | None,
    typer.Option(
        metavar="QUESTION",
        help="e.g. 'total_cost.p90 < $2M'; exit status 3 when it does not hold; repeatable",
    ),
]
Replication = Annotated[int, typer.Option(help="number of the replication", min=0)]


def show_json(document: Any) -> None:
    """Print one JSON document."""
    import json

    typer.echo(json.dumps(document, indent=2))


def load(name: str, overrides: list[str] | None = None, overlays: list[str] | None = None) -> Any:
    """The scenario, with the overlays of --overlay and then the overrides of --set."""
    with user_errors():
        from scenarios.loader import load as load_scenario
        from scenarios.loader import parse_override

        changed = dict(parse_override(text) for text in overrides or [])
        return load_scenario(name, overlay=overlays or [], **changed)


def load_given(
    name: str, given: dict[str, Any], overrides: list[str] | None, overlays: list[str] | None
) -> Any:
    """The scenario with overlays, then values at dotted paths that an option stands for, then those of --set."""
    with user_errors():
        from scenarios.loader import load as load_scenario
        from scenarios.loader import parse_override

        changed = given | dict(parse_override(text) for text in overrides or [])
        return load_scenario(name, overlay=overlays or [], **changed)


def prepare(out: Path | None) -> None:
    """Make the folder before the work, so that a wrong one is noticed at once. Raises OSError."""
    if out is not None and out.exists() and not out.is_dir():
        raise ValueError(f"--out {out}: is a file, expected a folder")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)


def policy_from(text: str) -> Any:
    """A policy from its short form, or from `file.py:Class` with a class of the user's own."""
    if text.endswith(".py"):
        raise ValueError(
            f"policy {text!r}: expected the file and the class in it, such as {Path(text).name}:Class"
        )
    path, _, name = text.rpartition(":")
    if not path.endswith(".py"):
        from scenarios.policies import parse_policy

        return parse_policy(text)
    from analysis.own_policy import load_policy

    return load_policy(Path(path), name)


def tell_files(files: list[Path]) -> None:
    """Say what was written."""
    if files:
        typer.echo("\nWritten: " + ", ".join(str(file) for file in files))


def tell_warnings(warnings: Iterable[str]) -> None:
    """Say on stderr what the user should know before trusting the answer."""
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)


def conclude(checks: list[Any], currency: str) -> None:
    """Say on stderr what each requirement found; exit with status 3 when one does not hold."""
    from analysis.requirements import STATUS

    for check in checks:
        typer.echo(f"requirement {check.sentence(currency)}", err=True)
    if not all(check.holds for check in checks):
        raise typer.Exit(STATUS)
