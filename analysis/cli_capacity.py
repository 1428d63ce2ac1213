"""The command `capacity`: the cheapest fleet that keeps an objective, and what a fleet can carry.

Exit status: 0 done, 2 the user's input is wrong, 3 no fleet keeps the objective.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from analysis.command_line import (
    Json,
    Out,
    Overlays,
    Scenario,
    Seed,
    Set,
    Workers,
    load_given,
    prepare,
    show_json,
    tell_files,
    tell_warnings,
    user_errors,
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(capacity)


def capacity(
    scenario: Scenario,
    reps: Annotated[int, typer.Option(help="replications of each fleet", min=1)] = 3,
    arrivals: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="recorded requests instead of the scenario's: CSV, CSV.gz or Parquet with moments and sizes",
        ),
    ] = None,
    resampling: Annotated[
        Literal["as_is", "blocks", "independent"] | None,
        typer.Option(help="of the trace: as it is, stretches in random order, or sizes in random order"),
    ] = None,
    max_rate: Annotated[
        bool,
        typer.Option(
            "--max-rate", help="no search: the largest rate that the scenario's own fleet can carry"
        ),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="the search alone: no what-ifs, no curve, no largest rate")
    ] = False,
    workers: Workers = None,
    overlays: Overlays = None,
    overrides: Set = None,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """The cheapest fleet that keeps the objective, its headroom and cost, and what more traffic would do to it."""
    with user_errors():
        from analysis.recorded_requests import given_for

        given = given_for(arrivals, resampling, overrides or [])
    found = load_given(scenario, given, overrides, overlays)
    with user_errors():
        if (
            resampling is not None
            and getattr(getattr(found.serving, "arrivals", None), "kind", "") != "trace"
        ):
            raise ValueError("--resampling: is for a trace, give one by --arrivals FILE")
    if resampling is not None and arrivals is None:
        given["serving.arrivals.resampling"] = resampling
        found = load_given(scenario, given, overrides, overlays)
    with user_errors():
        prepare(out)
        if max_rate:
            from analysis.capacity import largest_rate
            from analysis.capacity_files import save_rate
            from analysis.report_capacity import rate_text

            rate = largest_rate(found, seed=seed, progress=sys.stderr.isatty())
            files = save_rate(rate, out) if out else []
            if json:
                show_json({"scenario": found.title, "seed": seed, **rate.to_dict()})
            else:
                typer.echo(f"{found.title}\n\n{rate_text(rate)}")
                tell_files(files)
            return
        from analysis.capacity import capacity as find

        result = find(
            found, replications=reps, seed=seed, workers=workers, quick=quick, progress=sys.stderr.isatty()
        )
        tell_warnings(result.warnings)
        files = result.save(out) if out else []
        if json:
            show_json(result.to_dict())
        else:
            typer.echo(str(result))
            tell_files(files)
    if not result.keeps:
        raise typer.Exit(3)
