"""The command `delays`: how late each layer of monitoring detects what, how often it errs, what it costs.

Exit status: 0 done, 2 the user's input is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

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
    app.command()(delays)


def delays(
    scenario: Scenario,
    policy: Annotated[
        str | None,
        typer.Option(
            "--policy",
            "-p",
            help="what retrains meanwhile; never when not given",
            autocompletion=complete_policy,
        ),
    ] = None,
    reps: Annotated[
        int | None, typer.Option(help="replications; 20, and 4 of 60 onsets each with --traffic", min=2)
    ] = None,
    confidence: Annotated[float, typer.Option(help="of the intervals")] = 0.95,
    by: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="what is measured alone: layer (the default) or monitor"),
    ] = None,
    monitor: Annotated[
        str | None, typer.Option(metavar="LABEL", help="the operating curve of this monitor instead")
    ] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="of the monitor: thresholds, deadlines or false_alarms"),
    ] = None,
    cadences: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="of the monitor, e.g. 1h,4h")
    ] = None,
    rows: Annotated[str | None, typer.Option(metavar="A,B,...", help="of the monitor, a window")] = None,
    traffic: Annotated[
        bool,
        typer.Option(
            "--traffic",
            help="the delay of an accuracy monitor against request rates instead, in a service of its own: nothing of "
            "SCENARIO is used",
        ),
    ] = False,
    rates: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="request rates of --traffic, e.g. 1/s,100/d")
    ] = None,
    p0: Annotated[
        float | None, typer.Option(help="accuracy before the drop of --traffic; 0.95 when not given")
    ] = None,
    p1: Annotated[float | None, typer.Option(help="accuracy after it; 0.90 when not given")] = None,
    workers: Workers = None,
    overlays: Overlays = None,
    overrides: Set = None,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """Detection delays, false alarms and cost by layer or monitor; operating curves; delay against traffic."""
    found = load(scenario, overrides, overlays)
    with user_errors():
        _not_with_traffic(
            traffic,
            by=by,
            monitor=monitor,
            thresholds=thresholds,
            cadences=cadences,
            rows=rows,
            policy=policy,
            set=overrides or None,
            overlay=overlays or None,
        )
        _only_with("--monitor", monitor is not None, thresholds=thresholds, cadences=cadences, rows=rows)
        _only_with("--traffic", traffic, rates=rates, p0=p0, p1=p1)
        if by is not None and monitor is not None:
            raise ValueError("--by: applies to all monitors and --monitor asks for one: leave either out")
        prepare(out)
        shared: dict[str, Any] = {
            "seed": seed,
            "workers": workers,
            "confidence": confidence,
            "progress": sys.stderr.isatty(),
        }
        if reps is not None:
            shared["replications"] = reps
        result: Any
        if traffic:
            from analysis.traffic_delay import traffic_delays

            drop: dict[str, Any] = {
                name: value for name, value in (("p0", p0), ("p1", p1)) if value is not None
            }
            result = traffic_delays(_rates(rates), **drop, **shared)
        elif monitor is not None:
            from analysis.operating_curves import operating_curve

            grid = {
                "thresholds": _list("--thresholds", thresholds),
                "cadences": _list("--cadences", cadences),
                "rows": _counts(rows),
            }
            result = operating_curve(found, monitor, policy=policy_from(policy or "never"), **grid, **shared)
        else:
            from analysis.detection_delay import detection_delays

            if by is not None:
                shared["by"] = by
            result = detection_delays(found, policy=policy_from(policy or "never"), **shared)
            tell_warnings(result.warnings)
        files = result.save(out) if out else []
        if json:
            show_json(result.to_dict())
            return
        typer.echo(str(result))
        tell_files(files)


def _rates(text: str | None) -> Any:
    """Request rates a day; the usual ones when not given."""
    from analysis.detection import per_day
    from analysis.traffic_delay import RATES

    rates = _list("--rates", text) or RATES
    with _naming("--rates"):
        for rate in rates:
            per_day(rate)
    return rates


def _counts(text: str | None) -> list[int] | None:
    """Numbers of rows; None when not given."""
    from scenarios.units import COUNT

    values = _list("--rows", text)
    with _naming("--rows"):
        return None if values is None else [int(COUNT.parse(value)) for value in values]


@contextmanager
def _naming(option: str) -> Iterator[None]:
    """Put the option's name before what is wrong with its value."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None


def _list(option: str, text: str | None) -> Any:
    """Values between commas; None when not given. Raises ValueError for an empty one."""
    if text is None:
        return None
    values = [part.strip() for part in text.split(",")]
    if not all(values):
        raise ValueError(f"{option}: got {text!r}, expected values between commas, such as 1,2,4")
    return values


def _only_with(option: str, given: bool, **others: object) -> None:
    """Raise ValueError for options that say nothing without another one."""
    for name, value in others.items():
        if value is not None and not given:
            raise ValueError(f"--{name}: applies to {option}, give that as well")


def _not_with_traffic(traffic: bool, **others: object) -> None:
    """Raise ValueError for options about the scenario beside --traffic, which does not use it."""
    given = [f"--{name}" for name, value in others.items() if value is not None]
    if traffic and given:
        raise ValueError(
            f"--traffic: plays a service of its own and takes no {' and no '.join(given)}: leave either out"
        )
