"""The command `delays`: how late each layer of monitoring detects what, how often it errs, what it costs.

Exit status: 0 done, 2 the user's input is wrong.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from analysis.command_line import (
    Json,
    Out,
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


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(delays)


def delays(
    scenario: Scenario,
    policy: Annotated[str, typer.Option("--policy", "-p", help="what retrains meanwhile")] = "never",
    reps: Annotated[
        int | None, typer.Option(help="replications; 20, and 4 of 60 onsets each with --traffic", min=2)
    ] = None,
    confidence: Annotated[float, typer.Option(help="of the intervals")] = 0.95,
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
        typer.Option("--traffic", help="the delay of an accuracy monitor against request rates instead"),
    ] = False,
    rates: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="request rates of --traffic, e.g. 1/s,100/d")
    ] = None,
    p0: Annotated[float, typer.Option(help="accuracy before the drop of --traffic")] = 0.95,
    p1: Annotated[float, typer.Option(help="accuracy after it")] = 0.90,
    workers: Workers = None,
    overrides: Set = None,
    seed: Seed = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """Detection delays by layer and failure mode, false alarms and cost; operating curves; delay against traffic."""
    found = load(scenario, overrides)
    with user_errors():
        _only_with("--monitor", monitor is not None, thresholds=thresholds, cadences=cadences, rows=rows)
        _only_with("--traffic", traffic, rates=rates)
        prepare(out)
        shared: dict[str, Any] = {
            "seed": seed,
            "workers": workers,
            "confidence": confidence,
            "progress": sys.stderr.isatty(),
        }
        if reps is not None:
            shared["replications"] = reps
        results: list[Any] = []
        if monitor is None and not traffic:
            from analysis.detection_delay import detection_delays

            layers = detection_delays(found, policy=policy_from(policy), **shared)
            tell_warnings(layers.warnings)
            results.append(layers)
        if monitor is not None:
            from analysis.operating_curves import operating_curve

            grid = {"thresholds": _list(thresholds), "cadences": _list(cadences), "rows": _list(rows)}
            results.append(operating_curve(found, monitor, policy=policy_from(policy), **grid, **shared))
        if traffic:
            from analysis.traffic_delay import RATES, traffic_delays

            results.append(traffic_delays(_list(rates) or RATES, p0, p1, **shared))
        files = [file for result in results for file in result.save(out)] if out else []
        if json:
            show_json(_document(results))
            return
        typer.echo("\n\n".join(map(str, results)))
        tell_files(files)


def _document(results: list[Any]) -> dict[str, Any]:
    """One document: of what was asked first, with the traffic beside an operating curve."""
    document: dict[str, Any] = results[0].to_dict()
    return document if len(results) == 1 else document | {"traffic": results[1].to_dict()}


def _list(text: str | None) -> Any:
    """Values between commas; None when not given. Raises ValueError for an empty one."""
    if text is None:
        return None
    values = [part.strip() for part in text.split(",")]
    if not all(values):
        raise ValueError(f"got {text!r}, expected values between commas, such as 1,2,4")
    return values


def _only_with(option: str, given: bool, **others: str | None) -> None:
    """Raise ValueError for options that say nothing without another one."""
    for name, value in others.items():
        if value is not None and not given:
            raise ValueError(f"--{name}: applies to {option}, give that as well")
