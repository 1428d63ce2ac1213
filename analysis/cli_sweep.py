"""The commands `halflife sweep` and `halflife report`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis.command_line import (
    Json,
    Scenario,
    Seed,
    Workers,
    load,
    out_folder,
    policy_from,
    show_json,
    tell_files,
    user_errors,
)
from analysis.completion import complete_policy, complete_setting

if TYPE_CHECKING:
    from analysis.designs import Design
    from analysis.sweep import Plan

VARY = "path=a,b,c or path=low..high:count[:log]; all combinations; repeatable"
Vary = Annotated[
    list[str] | None, typer.Option(metavar="PATH=VALUES", help=VARY, autocompletion=complete_setting)
]
Pair = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH=VALUES",
        help="lists that advance together; repeat for each path",
        autocompletion=complete_setting,
    ),
]
Overlay = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=FILE", help="a partial scenario as a variant; 'base' for none; repeatable"),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(sweep)
    app.command()(report)


def sweep(
    scenario: Scenario,
    vary: Vary = None,
    pair: Pair = None,
    overlay: Overlay = None,
    sample: Annotated[
        int | None, typer.Option(help="points of a sample over --vary path=low..high", min=1)
    ] = None,
    method: Annotated[str, typer.Option(help="of the sample: random, lhs or sobol")] = "lhs",
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            "-p",
            help="e.g. scheduled:7d; repeatable",
            autocompletion=complete_policy,
        ),
    ] = None,
    reps: Annotated[
        int | None, typer.Option(help="replications of each variant; 10 when not given", min=1)
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="change a field in all variants; repeatable"),
    ] = None,
    executor: Annotated[str, typer.Option(help="local or dask")] = "local",
    address: Annotated[
        str | None, typer.Option(help="Dask scheduler, e.g. tcp://host:8786; a local cluster when absent")
    ] = None,
    workers: Workers = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with what the folder has")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check, count and estimate only")] = False,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(parser=out_folder, metavar="FOLDER", help="run directory; out/sweep-... when not given"),
    ] = None,
    json: Json = False,
) -> None:
    """Play every variant of a scenario under every policy, and store what comes out."""
    found = load(scenario, overrides)
    with user_errors():
        from analysis.executors import executor_of
        from analysis.sweep import plan_sweep

        design = _design(found, vary or [], pair or [], overlay or [], sample, method, seed)
        chosen = executor_of(executor, workers, address)
        entrants = [policy_from(text) for text in policy] if policy else None
        plan = plan_sweep(found, design, entrants, replications=reps, seed=seed)
        home = out or plan.default_folder()
        _check_folder(home, resume, dry_run)
        seconds = plan.seconds_per_run() * plan.runs / chosen.workers
        _announce(plan, home, chosen.workers, seconds)
        if dry_run:
            if json:
                show_json(_plan_document(plan, home, chosen.workers, seconds))
            return
        result = _run(plan, home, chosen, resume)
        files = result.save()
        if json:
            show_json(result.to_dict())
            return
        typer.echo(str(result))
        tell_files(files)


def report(
    folder: Annotated[Path, typer.Argument(help="the run directory of a sweep")],
    csv: Annotated[Path | None, typer.Option(help="write all runs into this CSV file")] = None,
    sql: Annotated[
        str | None, typer.Option(help="ask instead: SQL over the tables runs and design (DuckDB)")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=out_folder,
            metavar="FOLDER",
            help="folder of tables and pictures; DIR/report when not given",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Say again what a stored sweep found, and make its tables and pictures."""
    with user_errors():
        from analysis.sweep import read_sweep
        from analysis.sweep_export import write_runs_csv

        result = read_sweep(folder)
        if sql is not None:
            answer = result.query(sql)
            typer.echo(answer.to_json(orient="records") if json else answer.to_string())
            return
        files = result.save(out)
        if csv is not None:
            files.append(write_runs_csv(result, csv))
        if json:
            show_json(result.to_dict())
            return
        typer.echo(str(result))
        tell_files(files)


def _design(
    scenario: Any,
    vary: Sequence[str],
    pair: Sequence[str],
    overlay: Sequence[str],
    sample: int | None,
    method: str,
    seed: int,
) -> Design:
    from analysis.default_factors import default_vary
    from analysis.design_texts import parse_all, parse_overlays, parse_pairs
    from analysis.designs import design

    wanted = parse_all(vary)
    if not (wanted or pair or overlay):
        wanted = dict(default_vary(scenario))
        typer.echo(f"varied by default: {', '.join(wanted)}", err=True)
    return design(
        scenario,
        wanted,
        pair=parse_pairs(pair),
        sample=sample,
        method=method,
        overlays=parse_overlays(overlay),
        seed=seed,
    )


def _check_folder(home: Path, resume: bool, dry_run: bool) -> None:
    """Refuse a folder that is taken before any time is spent on an estimate."""
    from analysis.store import MANIFEST, open_store

    if dry_run or resume or not (home / MANIFEST).exists():
        return
    open_store(home).refuse_overwriting()


def _announce(plan: Plan, home: Path, workers: int, seconds: float) -> None:
    """Say on stderr how much there is to do, and about how long it will take."""
    division, experiment = plan.division, plan.experiment
    typer.echo(
        f"{division.variants:,} variants x {division.replications:,} replications x {len(experiment.policies)} policies"
        f" = {plan.runs:,} runs in {division.count:,} parts, about {_duration(seconds)} with {_workers(workers)}; "
        f"folder {home}",
        err=True,
    )


def _plan_document(plan: Plan, home: Path, workers: int, seconds: float) -> dict[str, Any]:
    """The JSON document of `halflife sweep --dry-run --json`; names as in that of the sweep itself."""
    division, experiment = plan.division, plan.experiment
    return {
        "scenario": experiment.scenario.title,
        "scenario_hash": experiment.scenario.hash(),
        "variants": division.variants,
        "replications": division.replications,
        "seed": experiment.seed,
        "policies": [policy.name for policy in experiment.policies],
        "runs": plan.runs,
        "parts": division.count,
        "workers": workers,
        "estimated_seconds": seconds,
        "directory": str(home),
    }


def _run(plan: Plan, home: Path, executor: Any, resume: bool) -> Any:
    from analysis.sweep import run_plan
    from analysis.sweep_progress import sweep_progress

    try:
        with sweep_progress(sys.stderr.isatty(), plan.runs) as step:
            return run_plan(plan, home, executor, resume, step)
    except KeyboardInterrupt as stopped:
        typer.echo(f"stopped: {stopped}", err=True)
        raise typer.Exit(130) from None
    except RuntimeError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def _duration(seconds: float) -> str:
    from scenarios.units import SECONDS_PER_DAY, format_duration

    return format_duration(float(f"{seconds:.2g}") / SECONDS_PER_DAY)


def _workers(number: int) -> str:
    return f"{number} worker{'' if number == 1 else 's'}"
