"""The commands `sensitivity`, `optimise` and `replay`: what drives the answer, what is best, what would have been.

Exit status: 0 done, 2 the user's input is wrong, 3 a requirement does not hold.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from analysis.command_line import (
    Json,
    Out,
    Overlays,
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
    user_errors,
)
from analysis.completion import complete_policy


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command()(sensitivity)
    app.command()(optimise)
    app.command()(replay)


def sensitivity(
    scenario: Scenario,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            "-p",
            help="two: the one in question and its rival; triggered and scheduled:best",
            autocompletion=complete_policy,
        ),
    ] = None,
    uncertain: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="PATH=LOW..HIGH",
            help="also LOW..HIGH:log, LOW..MODE..HIGH or normal(MEAN, SD); repeatable; when none is given: drift "
            "rates, decay, label delay and coverage, traffic, worth and prices of the scenario, 30 % either way",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            "-m",
            help="tornado, flip, morris, sobol, discovery, value; repeatable; tornado and flip",
        ),
    ] = None,
    reps: Annotated[int, typer.Option(help="replications at each point", min=2)] = 10,
    samples: Annotated[
        int, typer.Option(help="sobol: a power of two; takes samples x (inputs + 2) points", min=2)
    ] = 64,
    trajectories: Annotated[
        int, typer.Option(help="morris: takes trajectories x (inputs + 1) points", min=2)
    ] = 10,
    points: Annotated[int, typer.Option(help="discovery and value: points, one world each", min=50)] = 256,
    observe: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH=SD",
            help="value of observing an input, with this standard deviation each time; repeatable",
        ),
    ] = None,
    workers: Workers = None,
    overlays: Overlays = None,
    overrides: Set = None,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """Which assumption drives the answer: tornado, flip points, indices, scenario discovery, worth of knowing."""
    found = load(scenario, overrides, overlays)
    with user_errors():
        prepare(out)
        from analysis.inputs import default_inputs, parse_input
        from analysis.report_sensitivity import sensitivity_text
        from analysis.sensitivity import DEFAULT_METHODS
        from analysis.sensitivity import sensitivity as analyse

        inputs = [parse_input(found, text) for text in uncertain] if uncertain else None
        known = default_inputs(found) if inputs is None else inputs
        result = analyse(
            found,
            [policy_from(text) for text in policy] if policy else None,
            inputs,
            methods=method or DEFAULT_METHODS,
            replications=reps,
            samples=samples,
            trajectories=trajectories,
            points=points,
            observe=[_observation(text, known) for text in observe or []],
            seed=seed,
            workers=workers,
            progress=sys.stderr.isatty(),
        )
        files = result.save(out) if out else []
        if json:
            show_json(result.to_dict())
            return
        typer.echo(sensitivity_text(result))
        tell_files(files)


def optimise(
    context: typer.Context,
    scenario: Scenario,
    variable: Annotated[
        list[str] | None,
        typer.Option(
            "--variable",
            "-v",
            metavar="PATH=LOW..HIGH",
            help="a field, policy.interval, policy.threshold, policy.cooldown or a {gap} of the policy; LOW..HIGH:log, "
            "or choices a,b,c; repeatable",
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy",
            "-p",
            help="e.g. scheduled:7d or 'triggered:psi>{limit}'",
            autocompletion=complete_policy,
        ),
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="e.g. annual_cost, total_cost.p90, mean_accuracy:max; repeatable; annual_cost"),
    ] = None,
    largest: Annotated[
        str | None,
        typer.Option(
            metavar="PATH=LOW..HIGH", help="find the largest value for which --require holds, instead"
        ),
    ] = None,
    require: Require = None,
    baseline: Annotated[str, typer.Option(help="policy to compare with, in the scenario as it is")] = "never",
    trials: Annotated[int, typer.Option(help="settings that are proposed", min=1)] = 60,
    reps: Annotated[int, typer.Option(help="replications of a setting; promising ones get more", min=2)] = 5,
    final_reps: Annotated[int, typer.Option(help="replications of the report, on fresh worlds", min=2)] = 30,
    workers: Workers = None,
    overlays: Overlays = None,
    overrides: Set = None,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """Find the best setting of a policy and a scenario, or the largest load that a requirement allows."""
    found = load(scenario, overrides, overlays)
    with user_errors():
        prepare(out)
        from analysis.requirements import parse_requirement

        requirements = [parse_requirement(text) for text in require or []]
        if largest is not None:
            _refuse_beside_largest(context)
            _largest(found, largest, policy, requirements, workers, seed, out, json)
            return
        from analysis.optimise import optimise as find
        from analysis.report_optimise import optimum_text
        from analysis.settings import space_of

        for requirement in requirements:
            if requirement.policy is not None:
                raise ValueError("--require: name the policy with --policy here, not with 'for'")
        result = find(
            space_of(found, variable or [], policy),
            objective or ["annual_cost"],
            requirements=requirements,
            baseline=policy_from(baseline),
            trials=trials,
            replications=reps,
            reported=final_reps,
            seed=seed,
            workers=workers,
            progress=sys.stderr.isatty(),
        )
        files = result.save(out) if out else []
        if json:
            show_json(result.to_dict())
        else:
            typer.echo(optimum_text(result))
            tell_files(files)
        conclude(list(result.checks), found.currency)


def _refuse_beside_largest(context: typer.Context) -> None:
    """Raise ValueError for options that --largest would ignore."""
    ignored = ("variable", "objective", "baseline", "trials", "reps", "final_reps")
    given = [
        f"--{name.replace('_', '-')}"
        for name in ignored
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    if given:
        raise ValueError(
            f"--largest takes no {' and no '.join(given)}: it moves one input until --require fails, with as many "
            "replications as that takes"
        )


def _largest(
    found: Any,
    largest: str,
    policy: str | None,
    requirements: list[Any],
    workers: int | None,
    seed: int,
    out: Path | None,
    json: bool,
) -> None:
    """The maximum-sustainable search."""
    from analysis.inputs import parse_input
    from analysis.report_optimise import sustained_text
    from analysis.requirements import STATUS
    from analysis.sustainable import largest_sustainable, one_requirement

    if policy is None:
        raise ValueError("--largest needs the policy that is to hold, with --policy such as scheduled:7d")
    result = largest_sustainable(
        found,
        policy_from(policy),
        parse_input(found, largest),
        one_requirement(requirements),
        seed=seed,
        workers=workers,
        progress=sys.stderr.isatty(),
    )
    files = result.save(out) if out else []
    if json:
        show_json(result.to_dict())
    else:
        typer.echo(sustained_text(result))
        tell_files(files)
    if result.holds_at is None:
        raise typer.Exit(STATUS)


def replay(
    scenario: Scenario,
    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            "-p",
            help="e.g. triggered or scheduled:30d",
            autocompletion=complete_policy,
        ),
    ],
    skip_retraining: Annotated[
        int | None, typer.Option(help="number of the retraining, from 1", min=1)
    ] = None,
    ignore_alarm: Annotated[int | None, typer.Option(help="number of the alarm, from 1", min=1)] = None,
    act_on_alarm: Annotated[int | None, typer.Option(help="number of the alarm, from 1", min=1)] = None,
    retrain_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="time from the start, e.g. 40d")
    ] = None,
    replication: Replication = 0,
    overlays: Overlays = None,
    overrides: Set = None,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """Replay one history with one decision changed: what would it have cost? Without a change, list the decisions."""
    found = load(scenario, overrides, overlays)
    with user_errors():
        prepare(out)
        from analysis.counterfactual import counterfactual, history
        from analysis.report_decisions import counterfactual_text, history_text, records, write_json

        change = _change(skip_retraining, ignore_alarm, act_on_alarm, retrain_at)
        if change is None:
            table = history(found, policy_from(policy), seed=seed, replication=replication)
            if out:
                write_json(records(table), out / "history.json")
            if json:
                show_json(records(table))
            else:
                typer.echo(history_text(table))
                tell_files([out / "history.json"] if out else [])
            return
        result = counterfactual(found, policy_from(policy), change, seed=seed, replication=replication)
        files = result.save(out) if out else []
        if json:
            show_json(result.to_dict())
            return
        typer.echo(counterfactual_text(result))
        tell_files(files)


def _change(skip: int | None, ignore: int | None, act: int | None, at: str | None) -> Any:
    """The one change that is asked for; None for none. Raises ValueError for several."""
    from analysis.counterfactual import ActOnAlarm, IgnoreAlarm, RetrainAt, SkipRetraining
    from scenarios.units import DURATION

    changes: list[Any] = []
    if skip is not None:
        changes.append(SkipRetraining(skip))
    if ignore is not None:
        changes.append(IgnoreAlarm(ignore))
    if act is not None:
        changes.append(ActOnAlarm(act))
    if at is not None:
        try:
            changes.append(RetrainAt(DURATION.parse(at)))
        except ValueError as error:
            raise ValueError(f"--retrain-at: {error}") from None
    if len(changes) > 1:
        raise ValueError(f"got {len(changes)} changes, expected one: a counterfactual changes one decision")
    return changes[0] if changes else None


def _observation(text: str, known: list[Any]) -> tuple[Any, float]:
    """Read PATH=SD of --observe; the standard deviation has the unit of the input."""
    from analysis.design_fields import canonical_path
    from analysis.design_texts import split_assignment
    from analysis.inputs import EXAMPLE
    from scenarios.loader import parse_override

    path, value = split_assignment(text, EXAMPLE)
    paths = [one.path for one in known]
    if canonical_path(path) not in paths:
        raise ValueError(f"--observe {path}: expected one of the inputs {', '.join(paths)}")
    one = known[paths.index(canonical_path(path))]
    return one, one.field.end(parse_override(f"{path}={value}")[1])
