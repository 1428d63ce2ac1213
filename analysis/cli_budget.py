"""The command `budget`: how much monitoring to buy, and of which layer.

Exit status: 0 done, 2 the user's input is wrong, 3 no plan keeps the limit.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from analysis.command_line import (
    Json,
    Out,
    Overlays,
    Scenario,
    Seed,
    Set,
    Workers,
    load,
    policy_from,
    prepare,
    show_json,
    tell_files,
    tell_warnings,
    user_errors,
)
from analysis.completion import complete_policy


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(budget)


def budget(
    scenario: Scenario,
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy",
            "-p",
            help="what retrains meanwhile; triggered where the scenario has triggers, else never",
            autocompletion=complete_policy,
        ),
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option(metavar="MONEY", help="monitoring cost that is not to be exceeded, e.g. '$500/month'"),
    ] = None,
    reps: Annotated[int, typer.Option(help="replications of the plans that matter", min=2)] = 40,
    confidence: Annotated[float, typer.Option(help="of the intervals and of the search")] = 0.95,
    full: Annotated[bool, typer.Option(help="play every plan in all replications, without a search")] = False,
    workers: Workers = None,
    overlays: Overlays = None,
    overrides: Set = None,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """Which monitoring pays: the frontier of its cost and the loss, the best plan, the worth of the next dollar."""
    found = load(scenario, overrides, overlays)
    with user_errors():
        prepare(out)
        from analysis.monitoring_budget import budget as find

        result = find(
            found,
            None if policy is None else policy_from(policy),
            limit=limit,
            replications=reps,
            confidence=confidence,
            full=full,
            seed=seed,
            workers=workers,
            progress=sys.stderr.isatty(),
        )
        tell_warnings(result.warnings)
        files = result.save(out) if out else []
        if json:
            show_json(result.to_dict())
        else:
            typer.echo(str(result))
            tell_files(files)
    if not result.keeps_limit:
        raise typer.Exit(3)
