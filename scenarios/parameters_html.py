"""A scenario as a notebook shows it: what it asks, its story, and the parameters that differ from the defaults."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from scenarios.parameters import parameters

if TYPE_CHECKING:
    from scenarios.schema import Scenario


def scenario_html(scenario: Scenario) -> str:
    """Title, question, story and a table of the changed parameters with units and defaults."""
    rows = parameters(scenario)
    changed = [row for row in rows if row.changed]
    lines = "".join(
        f"<tr title='{escape(row.meaning, quote=True)}'><th>{escape(row.path)}</th><td>{escape(row.value)}</td>"
        f"<td>{escape(row.default)}</td></tr>"
        for row in changed
    )
    question = f"<p><i>{escape(scenario.question)}</i></p>" if scenario.question else ""
    story = f"<p>{escape(' '.join(scenario.story.split()))}</p>" if scenario.story else ""
    return (
        f'<div class="halflife"><p><b>{escape(scenario.title)}</b></p>{question}{story}'
        f"<table><thead><tr><th>parameter</th><th>value</th><th>default</th></tr></thead><tbody>{lines}</tbody></table>"
        f"<p>and {len(rows) - len(changed)} parameters at their defaults</p></div>"
    )
