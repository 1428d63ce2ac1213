"""The commands `list` and `show`: what is in the library, and what one scenario says and sets."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.command_line import Json, Overlays, Scenario, Set, load, show_json, user_errors
from analysis.completion import complete_topic

if TYPE_CHECKING:
    from scenarios.parameters import Parameter

WIDTH = 118
"""Characters of a line of running text."""
COLUMN = 40
"""Characters that a value takes before its column stops to widen."""
HEADER = ("parameter", "value", "default")


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("list")(list_scenarios)
    app.command()(show)


def list_scenarios(
    topic: Annotated[
        str | None,
        typer.Option(help="only scenarios of this topic, e.g. serving", autocompletion=complete_topic),
    ] = None,
    overlays: Annotated[
        bool, typer.Option("--overlays", help="list the overlays instead, for --overlay and --variant")
    ] = False,
    json: Json = False,
) -> None:
    """List the scenarios of the library by topic, with the main question of each."""
    from scenarios.loader import library_names

    if overlays:
        _list_overlays(json)
        return
    with user_errors():
        wanted = _topic(topic)
    entries = [(name, load(name)) for name in library_names()]
    entries = [(name, found) for name, found in entries if wanted in (None, found.topic)]
    if json:
        show_json(
            [{"name": n, "title": s.title, "question": s.question, "topic": s.topic} for n, s in entries]
        )
        return
    typer.echo("\n\n".join(_by_topic(entries)) or f"No scenario of the library is of the topic {wanted}.")


def _topic(given: str | None) -> str | None:
    """The topic that is meant. Raises ValueError for one that does not exist, with the nearest."""
    from scenarios.problems import choice
    from scenarios.topics import TOPICS

    if given is None or given in TOPICS:
        return given
    raise ValueError(f"--topic: got {given!r}: {choice(given, list(TOPICS))}")


def _by_topic(entries: Sequence[tuple[str, Any]]) -> Iterable[str]:
    """A paragraph for each topic that has scenarios, in the order of the topics."""
    from scenarios.topics import OTHER, TOPICS

    width = max((len(name) for name, _ in entries), default=0)
    for topic, heading in [*TOPICS.items(), (None, OTHER)]:
        lines = [
            f"  {name.ljust(width)}  {found.question or found.title}"
            for name, found in entries
            if found.topic == topic
        ]
        if lines:
            yield "\n".join([f"{heading} ({topic})" if topic else heading, *lines])


def _list_overlays(json: bool) -> None:
    from scenarios.overlays import about_overlay, overlay_names

    entries = [(name, about_overlay(name)) for name in overlay_names()]
    if json:
        show_json([{"name": name, "about": about} for name, about in entries])
        return
    width = max(len(name) for name, _ in entries)
    for name, about in entries:
        typer.echo(f"{name.ljust(width)}  {about}")


def show(
    scenario: Scenario = "",
    overlays: Overlays = None,
    overrides: Set = None,
    everything: Annotated[
        bool, typer.Option("--all", help="list the parameters that stand at their defaults as well")
    ] = False,
    json: Json = False,
) -> None:
    """Print a scenario's story, what to look at, and its parameters with units, changed ones first."""
    if not scenario:
        with user_errors():
            raise ValueError(
                "scenario: missing, expected a library name or a path to a YAML file, such as `halflife show "
                "fraud_detection`; `halflife list` lists the names"
            )
    found = load(scenario, overrides, overlays)
    if json:
        show_json(found.model_dump(mode="json"))
        return
    from scenarios.parameters import parameters

    rows = parameters(found)
    typer.echo("\n\n".join([*_told(found), *_own_overlays(found), *_parameter_texts(rows, everything)]))


def _told(found: Any) -> Iterable[str]:
    """What the scenario says of itself, paragraph by paragraph."""
    from scenarios.topics import TOPICS

    yield found.title
    if found.story.strip():
        yield textwrap.fill(" ".join(found.story.split()), WIDTH)
    origin = [
        _hanging(f"{word}: ", text)
        for word, text in (
            ("Question", found.question),
            ("Source", found.source),
            ("Topic", TOPICS.get(found.topic, "")),
        )
        if text
    ]
    if origin:
        yield "\n".join(origin)
    if found.look_at:
        yield "\n".join(["What to look at", *(_hanging("- ", text) for text in found.look_at)])


def _hanging(first: str, text: str) -> str:
    """A wrapped text whose further lines stand under its first word; without a text, what it begins with."""
    if not text.strip():
        return first.rstrip()
    return textwrap.fill(
        " ".join(text.split()), WIDTH, initial_indent=first, subsequent_indent=" " * len(first),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _own_overlays(found: Any) -> Iterable[str]:
    if found.overlays:
        about = ((name, str(part.get("about", ""))) for name, part in found.overlays.items())
        lines = (_hanging(f"- {name}: " if text else f"- {name}", text) for name, text in about)
        yield "\n".join(["Overlays of its own (-O NAME, --variant NAME)", *lines])


def _parameter_texts(rows: list[Parameter], everything: bool) -> Iterable[str]:
    changed = [(row.path, row.value, row.default) for row in rows if row.changed]
    if changed:
        yield f"Parameters that differ from the defaults\n\n{_table([HEADER, *changed])}"
    rest = [row for row in rows if not row.changed]
    if everything:
        table = _table([HEADER[:2], *((row.path, row.value) for row in rest)])
        yield f"Parameters that stand at their defaults\n\n{table}"
    elif rest:
        yield f"{len(rest)} more parameters stand at their defaults (--all lists them)."


def _table(rows: list[tuple[str, ...]]) -> str:
    """Rows in aligned columns; a value that is very long does not widen the others' column."""
    columns = range(len(rows[0]) - 1)
    widths = [max(len(row[n]) for row in rows if n == 0 or len(row[n]) <= COLUMN) for n in columns]
    lines = ("  ".join([*(row[n].ljust(widths[n]) for n in columns), row[-1]]).rstrip() for row in rows)
    return "\n".join(lines)
