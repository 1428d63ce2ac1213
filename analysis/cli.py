"""The command `halflife`: one sub-command per question.

Exit status: 0 done, 2 the user's input is wrong (one clear message), 1 a defect of ours. Heavy packages are imported
inside the commands, so that help answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from analysis import (
    cli_budget,
    cli_capacity,
    cli_decisions,
    cli_delays,
    cli_library,
    cli_sweep,
    cli_test_score,
)
from analysis.cli_variants import Variants, compare_these
from analysis.command_line import (
    Json,
    Out,
    Overlays,
    Policies,
    Replication,
    Require,
    Scenario,
    Seed,
    Set,
    Workers,
    conclude,
    load,
    policy_from,
    prepare,
    show_json,
    tell_files,
    tell_warnings,
    user_errors,
)
from analysis.completion import complete_policy, complete_scenario

app = typer.Typer(
    name="halflife",
    help="Simulate how a deployed model decays, and decide when to retrain it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
cli_library.register(app)


def main() -> None:
    """Run the command line."""
    app()


@app.command()
def validate(
    file: Annotated[str, typer.Argument(help="a scenario file", autocompletion=complete_scenario)],
    json: Json = False,
) -> None:
    """Check a scenario file; say file, line, field, value and what would be right."""
    found = load(file)
    if json:
        show_json({"file": file, "valid": True, "title": found.title, "hash": found.hash()})
    else:
        typer.echo(f"{file}: valid ({found.title})")


@app.command()
def schema(json: Json = False) -> None:
    """Print the JSON Schema of scenario files, for completion in editors."""
    from scenarios.schema import Scenario as Model

    document = Model.model_json_schema(mode="validation")
    show_json({"$schema": "https://json-schema.org/draft/2020-12/schema", **document})


@app.command()
def run(
    scenario: Scenario,
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy",
            "-p",
            help="e.g. scheduled:7d; the first of the scenario's policies when not given",
            autocompletion=complete_policy,
        ),
    ] = None,
    replication: Replication = 0,
    overlays: Overlays = None,
    overrides: Set = None,
    seed: Seed = 0,
    out: Out = None,
    trace_out: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="trace for ui.perfetto.dev or chrome://tracing")
    ] = None,
    fleet: Annotated[
        bool, typer.Option("--fleet", help="simulate the serving fleet request by request as well")
    ] = False,
    json: Json = False,
) -> None:
    """Play one replication under one policy, with its full event trace."""
    found = load(scenario, overrides, overlays)
    with user_errors():
        from analysis.feasibility import run_warnings
        from analysis.report import run_document, run_text, save_run
        from analysis.trace_events import save_trace, trace_path
        from analysis.tuning import resolved
        from sim.engine import resolve_policy
        from sim.engine import run as play

        if trace_out is not None:
            trace_path(trace_out)
        chosen = found.first_policy if policy is None else policy_from(policy)
        policy_played = resolve_policy(resolved(found, chosen, seed))
        result = play(found, policy_played, seed, replication=replication)
        served = None
        if fleet:
            from analysis.report_fleet import fleet_document, fleet_text
            from sim.fleet_days import run_fleet

            served = run_fleet(found, seed, replication=replication)
        tell_warnings(run_warnings(found, chosen, policy_played))
        prepare(out)
        files = save_run(result, out) if out else []
        if trace_out is not None:
            files.append(save_trace(result, trace_out))
        if json:
            fleets = {} if served is None else {"fleet": fleet_document(served)}
            show_json(run_document(result) | fleets)
            return
        typer.echo(run_text(result))
        if served is not None:
            typer.echo(f"\n{fleet_text(served)}")
        tell_files(files)


@app.command()
def compare(
    scenario: Scenario,
    policy: Policies = None,
    variant: Variants = None,
    reps: Annotated[int | None, typer.Option(help="replications; 30 when not given", min=1)] = None,
    precision: Annotated[
        float | None, typer.Option(help="add replications until the interval is this tight, e.g. 0.05")
    ] = None,
    max_reps: Annotated[int, typer.Option(help="cap for --precision", min=2)] = 1000,
    require: Require = None,
    workers: Workers = None,
    overlays: Overlays = None,
    overrides: Set = None,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """Compare retraining policies, or variants of the system, on the same worlds, in money and accuracy."""
    found = load(scenario, overrides, overlays)
    with user_errors():
        if variant:
            compare_these(
                found,
                variant,
                policies=policy,
                require=require or [],
                out=out,
                json=json,
                replications=reps,
                precision=precision,
                max_replications=max_reps,
                seed=seed,
                workers=workers,
            )
            return
        prepare(out)
        from analysis.comparison import compare as compare_policies
        from analysis.report import comparison_text
        from analysis.requirements import check_comparison, parse_requirement

        requirements = [parse_requirement(text) for text in require or []]
        comparison = compare_policies(
            found,
            [policy_from(text) for text in policy] if policy else None,
            replications=reps,
            precision=precision,
            max_replications=max_reps,
            seed=seed,
            workers=workers,
            progress=sys.stderr.isatty(),
        )
        tell_warnings(comparison.warnings)
        checks = check_comparison(comparison, requirements)
        files = comparison.save(out) if out else []
        if json:
            answers = {"requirements": [check.document() for check in checks]} if checks else {}
            show_json(comparison.to_dict() | answers)
        else:
            typer.echo(comparison_text(comparison))
            tell_files(files)
        conclude(checks, found.currency)


@app.command()
def backtest(
    matrix: Annotated[Path, typer.Argument(help="CSV: training periods down, evaluation periods across")],
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", "-p", help="e.g. scheduled:4, triggered:accuracy<-0.05; repeatable"),
    ] = None,
    retrain_cost: Annotated[float, typer.Option(help="price of a retraining", min=0.0)] = 0.1,
    value_per_period: Annotated[
        float, typer.Option("--value", help="worth of accuracy going from 0 to 1, per period", min=0.0)
    ] = 1.0,
    label_delay: Annotated[int, typer.Option(help="periods by which labels are late", min=0)] = 0,
    validation: Annotated[Path | None, typer.Option(help="CSV of validation accuracies")] = None,
    psi: Annotated[Path | None, typer.Option(help="CSV of PSI by model, period and feature")] = None,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """Replay policies on your own record A[t', t] of accuracies."""
    with user_errors():
        from analysis.backtest import backtest as replay
        from analysis.report import backtest_text, save_backtest

        found = replay(
            matrix,
            policy or None,
            retrain_cost=retrain_cost,
            value_per_period=value_per_period,
            label_delay=label_delay,
            validation=validation,
            psi=psi,
            seed=seed,
        )
        prepare(out)
        files = save_backtest(found, out) if out else []
        if json:
            show_json(found.rows())
            return
        typer.echo(backtest_text(found))
        tell_files(files)


@app.command()
def drift(
    reference: Annotated[Path, typer.Argument(help="CSV or Parquet: the table when all was well")],
    current: Annotated[Path, typer.Argument(help="CSV or Parquet: the table of now, same columns")],
    feature: Annotated[
        list[str] | None, typer.Option("--feature", "-f", help="compare this column only; repeatable")
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="leave this column out; repeatable")] = None,
    categorical: Annotated[
        list[str] | None, typer.Option(help="compare this column of numbers as categories; repeatable")
    ] = None,
    bins: Annotated[int, typer.Option(help="equal-frequency bins of a column", min=2, max=1000)] = 10,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """Compare two tables of your data, column by column, worst first."""
    with user_errors():
        from analysis.drift_report import drift_text, save_drift
        from analysis.shifted_columns import table_drift

        prepare(out)
        found = table_drift(
            reference,
            current,
            features=feature or (),
            ignore=ignore or (),
            categorical=categorical or (),
            bins=bins,
            seed=seed,
        )
        tell_warnings(found.warnings)
        files = save_drift(found, out) if out else []
        if json:
            show_json(found.to_dict())
            return
        typer.echo(drift_text(found))
        tell_files(files)


@app.command("worked-figures")
def worked_figures(json: Json = False) -> None:
    """Check the source's worked figures: expected, computed, and the errata found."""
    from analysis.worked_figures import as_table
    from analysis.worked_figures import worked_figures as figures

    rows = figures()
    if json:
        show_json(rows)
    else:
        typer.echo(as_table(rows))
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


for commands in (cli_sweep, cli_decisions, cli_budget, cli_capacity, cli_delays, cli_test_score):
    commands.register(app)

if __name__ == "__main__":
    main()
