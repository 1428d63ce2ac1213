"""Words, documents and files about a comparison."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.extra_figures import edge_figures, extra_figures
from analysis.report_people import (
    care_figures,
    people_documents,
    people_text,
    run_people_text,
    save_people,
)
from analysis.statistics import Interval
from scenarios.units import HOURS_PER_DAY, format_duration, format_money
from sim.ledger import CATEGORIES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.backtest import Backtest
    from analysis.comparison import Comparison
    from sim.record import Result


def verdict(comparison: Comparison) -> str:
    """One sentence: who is cheapest, by how much, and whether that is certain."""
    best, currency = comparison.best, comparison.scenario.currency
    costs = comparison.values(best, "annual_cost")
    rivals = [name for name in comparison.candidates if name != best]
    dust = 1e-9 * float(abs(costs).max())
    twins = [name for name in rivals if (abs(comparison.values(name, "annual_cost") - costs) <= dust).all()]
    if twins and not comparison.one_world:
        if len(twins) == len(rivals):
            cost = format_money(float(costs.mean()), currency)
            return (
                f"No clear winner: {', '.join([best, *twins])} cost the same in every world, {cost} a year."
            )
        # A schedule as long as the horizon is never retraining by another name: no rival.
        rivals = [name for name in rivals if name not in twins]
    if not rivals:
        return f"{best} is the only candidate."
    # Several rivals are tested at once: each gets its share of the 5 % error.
    level = 1.0 - 0.05 / len(rivals)
    if comparison.replications < 2:
        return f"{best} was cheapest in the one world that was played; that says nothing about others."
    close = [name for name in rivals if not comparison.difference(best, name, level).high < 0.0]
    cost = format_money(comparison.interval(best, "annual_cost").mean, currency)
    if comparison.one_world:
        runner = min(rivals, key=lambda name: float(comparison.values(name, "annual_cost").mean()))
        dearer = comparison.difference(runner, best).mean
        slack = 1e-9 * abs(comparison.interval(best, "annual_cost").mean)
        equals = [name for name in rivals if comparison.difference(name, best).mean <= slack]
        if equals:
            return f"No clear winner: in this one world {', '.join([best, *equals])} cost the same, {cost} a year."
        less = format_money(dearer, currency)
        return (
            f"In this one world, where nothing is left to chance, {best} costs least: {cost} a year, {less} less than "
            f"{runner}. One record cannot say how certain that is of another."
        )
    if close:
        names = ", ".join(close)
        return f"No clear winner: {best} costs least on average ({cost} a year), but {names} cannot be told from it."
    runner = min(rivals, key=lambda name: float(comparison.values(name, "annual_cost").mean()))
    gap = comparison.difference(runner, best)
    return (
        f"{best} is cheapest at {cost} a year: {format_money(gap.mean, currency)} less than {runner} "
        f"(95 % interval {format_money(gap.low, currency)} to {format_money(gap.high, currency)})."
    )


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as one JSON document; numbers that do not exist are null."""
    policies = []
    for name in comparison.names:
        skill = comparison.skill(name)
        entry = {
            "name": name,
            "total_cost": _bounds(comparison.interval(name, "total_cost")),
            "annual_cost": _bounds(comparison.interval(name, "annual_cost")),
            "regret": _bounds(comparison.difference(name, "oracle")),
            "skill": _bounds(skill) if skill else None,
            "skill_sd": _number(comparison.skill_sd(name)),
            "costs": {c: _number(comparison.interval(name, f"cost[{c}]").mean) for c in CATEGORIES},
        }
        for column in (
            "mean_accuracy",
            "retrains",
            "deployments",
            "rejected",
            "alarms",
            "false_alarms",
            "losses",
            "undetected",
            "mttd_hours",
        ):
            entry[column] = _bounds(comparison.interval(name, column))
        for column in extra_figures(comparison.runs):
            entry[column] = _bounds(comparison.interval(name, column))
        if name in comparison.intervals:
            entry["interval_days"] = comparison.intervals[name]
        policies.append(entry)
    differences = [
        {key: _number(value) if isinstance(value, float) else value for key, value in row.items()}
        | {"variance_reduction": _number(comparison.variance_reduction(str(row["policy"])))}
        for row in comparison.differences().to_dict("records")
    ]
    return {
        "scenario": comparison.scenario.title,
        "horizon_days": comparison.scenario.horizon,
        "currency": comparison.scenario.currency,
        "replications": comparison.replications,
        "policies": policies,
        "differences": differences,
        "best": comparison.best,
        "verdict": comparison.verdict(),
        "warnings": comparison.warnings,
        "provenance": comparison.provenance,
    }


def comparison_text(comparison: Comparison) -> str:
    """The comparison as aligned tables for a terminal."""
    from analysis.report_edge import compared_text

    currency = comparison.scenario.currency
    table = comparison.table().to_dict("index")
    shown: dict[str, dict[str, str]] = {}
    for name in comparison.names:
        row = table[name]
        interval = comparison.intervals.get(name)
        label = f"{name} ({format_duration(interval)})" if interval else name
        shown[label] = {
            "cost/year": format_money(row["annual_cost"], currency),
            "±95 %": ""
            if comparison.one_world or math.isnan(row["half_width"])
            else format_money(row["half_width"], currency),
            "regret": format_money(row["regret"], currency),
            "accuracy": _optional(row["mean_accuracy"], ".4f"),
            "retrains/y": f"{row['retrains_per_year']:.1f}",
            "alarms/y": f"{row['alarms_per_year']:.1f}",
            "false/y": f"{row['false_alarms_per_year']:.1f}",
            "MTTD h": _optional(row["mttd_hours"], ".1f"),
            "skill/year": "" if math.isnan(row["skill"]) else format_money(row["skill"], currency),
            "skill sd": _optional(row["skill_sd"], "+.1f"),
        }
    gaps: dict[str, dict[str, str]] = {
        str(row["policy"]): {
            "difference/year": format_money(row["mean"], currency),
            "95 % low": format_money(row["ci_low"], currency),
            "95 % high": format_money(row["ci_high"], currency),
            "P(better)": _optional(row["p_better"], ".3f"),
        }
        if not comparison.one_world
        else {"difference/year": format_money(row["mean"], currency)}
        for row in comparison.differences().to_dict("records")
    }
    return (
        f"{comparison.scenario.title}: {format_duration(comparison.scenario.horizon)}, "
        f"{comparison.replications} replications\n\n{aligned(shown, 'policy')}\n\n"
        f"{people_text(comparison, 'policy')}{compared_text(comparison, 'policy')}"
        f"Paired difference of cost to {comparison.baseline} (below 0: cheaper)\n\n{aligned(gaps, 'policy')}\n\n"
        f"{comparison.verdict()}{_more_needed(comparison)}"
    )


def _more_needed(comparison: Comparison, precision: float = 0.05) -> str:
    """How many replications the cheapest policy's cost still wants, for 5 %; nothing when it has them."""
    from analysis.statistics import plan_replications

    if comparison.one_world or comparison.replications < 2:
        return ""
    costs = comparison.values(comparison.best, "annual_cost")
    cost = comparison.interval(comparison.best, "annual_cost")
    if cost.half_width <= precision * abs(cost.mean):
        return ""
    return f"\n{comparison.best}: {plan_replications(costs, relative_half_width=precision)}."


def run_document(result: Result) -> dict[str, Any]:
    """One run as one JSON document: summary, costs, events and provenance."""
    return (
        _edge(result)
        | {
            "policy": result.policy,
            "summary": {key: _number(value) for key, value in result.summary.items()},
            "costs": {key: float(value) for key, value in result.costs.items()},
            "monitors": _monitors(result) if _tells_of_decay(result) else [],
            "incidents": _records(result.incidents),
            "work": _records(result.work_log),
            "actionability": _records(result.actionability.reset_index()),
            "events": result.events.to_dict("records"),
            "provenance": result.provenance,
        }
        | people_documents(result)
    )


def _edge(result: Result) -> dict[str, Any]:
    """The fleet of devices, where there is one."""
    if result.edge is None:
        return {}
    from analysis.report_edge import edge_document

    return {"edge": edge_document(result.edge)}


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = table.to_dict("records")
    return [{str(k): _number(v) if isinstance(v, float) else v for k, v in row.items()} for row in rows]


def _monitors(result: Result) -> list[dict[str, Any]]:
    from analysis.run_quality import monitor_quality

    return _records(monitor_quality(result).reset_index()) if result.scores else []


def _tells_of_decay(result: Result) -> bool:
    """Whether the quality of monitors, which is about the model's own decay, says something about this run.

    Where failures are all that went wrong it would count the alarms that found them as false.
    """
    return bool(result.scores) and bool(result.detections or not result.raw_incidents)


def run_text(result: Result, last_events: int = 20) -> str:
    """One run as text: summary, costs, and its last events."""
    currency, summary = result.scenario.currency, result.summary
    figures = {
        "total cost": {"value": format_money(summary["total_cost"], currency)},
        "mean accuracy": {"value": _optional(summary["mean_accuracy"], ".4f") or "no requests"},
        "retrainings": {"value": f"{summary['retrains']:.0f}"},
        "deployments": {"value": f"{summary['deployments']:.0f}"},
        "alarms (false)": {"value": f"{summary['alarms']:.0f} ({summary['false_alarms']:.0f})"},
        "MTTD": {
            "value": "none detected"
            if math.isnan(summary["mttd_hours"])
            else format_duration(summary["mttd_hours"] / HOURS_PER_DAY)
            if summary["mttd_hours"] < 1.0
            else f"{summary['mttd_hours']:.1f} h"
        },
    }
    costs = {
        str(key): {"cost": format_money(value, currency)} for key, value in result.costs.items() if value
    }
    events = [
        f"{event.time:10.3f} d  {event.kind:<20}{event.subject:<34}{event.details}".rstrip()
        for event in result.raw_events[-last_events:]
    ]
    hidden = len(result.raw_events) - last_events
    more = f" (the last {last_events} of {len(result.raw_events)}; --out has them all)" if hidden > 0 else ""
    head = f"{result.scenario.title}: {result.policy}, replication {result.replication}"
    parts = [head, aligned(figures, "figure"), aligned(costs, "category")]
    if _tells_of_decay(result):
        parts.append(_monitors_text(result))
    parts += run_people_text(result)
    if result.raw_incidents:
        from analysis.report_incidents import incidents_text

        parts.append(incidents_text(result))
    elif result.work:
        from analysis.report_incidents import work_text

        parts.append(work_text(result))
    if result.edge is not None:
        from analysis.report_edge import edge_text

        parts.append(edge_text(result.edge))
    if events:
        parts += [f"Events{more}", "\n".join(events)]
    return "\n\n".join(parts)


def _monitors_text(result: Result) -> str:
    from analysis.run_quality import IN_TIME, monitor_quality

    rows = {
        str(name): {
            "alarms": f"{row['alarms']:.0f}",
            "losses": f"{row['losses']:.0f}",
            "in time": f"{row['detected']:.0f}",
            "delay h": _optional(row["delay_hours"], ".1f"),
            "F1": _optional(row["f1"], ".2f"),
            "F1 of every k": _optional(row["f1_of_every"], ".2f")
            and f"{row['f1_of_every']:.2f} ({format_duration(row['every_days'])})",
        }
        for name, row in monitor_quality(result).to_dict("index").items()
    }
    return (
        f"{aligned(rows, 'monitor')}\n"
        f"in time: within {format_duration(IN_TIME)} of a loss; "
        "every k: a monitor that looks at nothing and calls as often"
    )


def save_run(result: Result, folder: str | Path) -> list[Path]:
    """Write run.json, timeline.parquet, events.parquet and run.png, and where there are some, incidents and work.

    Incidents: incidents.csv and incidents.png, the worst week as a story; work of people: work.csv; patients:
    recommendations.parquet, care_days.csv and care.png; a fleet of devices: see `report_edge.save_edge`.
    """
    from analysis.plots import plot_run, save_figure

    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    files = [home / name for name in ("run.json", "timeline.parquet", "events.parquet", "run.png")]
    files[0].write_text(json.dumps(run_document(result), indent=2) + "\n", encoding="utf-8")
    result.timeline.to_parquet(files[1], index=False)
    result.events.to_parquet(files[2], index=False)
    save_figure(whole_figure(plot_run(result)), files[3])
    if result.raw_incidents:
        result.incidents.to_csv(home / "incidents.csv", index=False)
        save_figure(whole_figure(result.plot_incidents()), home / "incidents.png")
        files += [home / "incidents.csv", home / "incidents.png"]
    if result.work:
        result.work_log.to_csv(home / "work.csv", index=False)
        files.append(home / "work.csv")
    if result.edge is not None:
        from analysis.report_edge import save_edge

        files += save_edge(result.edge, home)
    return files + save_people(result, home)


def backtest_text(found: Backtest) -> str:
    """A backtest as an aligned table and a sentence."""
    rows = {
        row["name"]: {
            "retrains": f"{row['retrains']}",
            "accuracy": f"{row['mean_accuracy']:.6f}",
            "cost": f"{row['total_cost']:.4f}",
            "regret": f"{row['regret']:.4f}",
            "skill (accuracy)": _optional(row["skill"], "+.4f"),
            "skill sd": _optional(row["skill_sd"], "+.1f"),
        }
        for row in found.rows()
    }
    return f"{aligned(rows, 'policy')}\n\n{found.verdict()}"


def save_backtest(found: Backtest, folder: str | Path) -> list[Path]:
    """Write backtest.json, table.csv and accuracy.png."""
    from analysis.plots import save_figure

    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    files = [home / name for name in ("backtest.json", "table.csv", "accuracy.png")]
    files[0].write_text(json.dumps(found.rows(), indent=2) + "\n", encoding="utf-8")
    found.table().to_csv(files[1], index=False, float_format="%.6f")
    save_figure(whole_figure(found.plot()), files[2])
    return files


def aligned(rows: Mapping[str, Mapping[str, str]], corner: str) -> str:
    """A plain table: names left, figures right."""
    if not rows:
        return "(nothing to show)"
    columns = list(next(iter(rows.values())))
    width = max(len(corner), *(len(name) for name in rows))
    widths = {c: max(len(c), *(len(row[c]) for row in rows.values())) for c in columns}
    lines = ["  ".join([corner.ljust(width), *(c.rjust(widths[c]) for c in columns)])]
    for name, row in rows.items():
        lines.append("  ".join([name.ljust(width), *(row[c].rjust(widths[c]) for c in columns)]))
    return "\n".join(line.rstrip() for line in lines)


def save_comparison(comparison: Comparison, folder: str | Path) -> list[Path]:
    """Write comparison.json, runs.parquet, table.csv and the pictures; the same comparison gives the same bytes.

    Raises OSError where the folder cannot be written.
    """
    from analysis.plots import plot_costs, plot_differences, plot_timelines, save_figure

    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    files = [home / name for name in ("comparison.json", "runs.parquet", "table.csv")]
    files[0].write_text(json.dumps(comparison_document(comparison), indent=2) + "\n", encoding="utf-8")
    comparison.runs.to_parquet(files[1], index=False)
    comparison.table().to_csv(files[2], float_format="%.6g")
    (home / "scenario.json").write_text(
        comparison.scenario.model_dump_json(indent=2) + "\n", encoding="utf-8"
    )
    files.append(home / "scenario.json")
    figures = {
        "costs.png": whole_figure(plot_costs(comparison)),
        "differences.png": whole_figure(plot_differences(comparison)),
        "timelines.png": plot_timelines([comparison.replay(name) for name in comparison.names]),
    }
    if edge_figures(comparison.runs):
        from analysis.plot_edge import plot_cost_of_youth

        figures["fleet.png"] = whole_figure(plot_cost_of_youth(comparison))
    figures |= care_figures(comparison)
    for name, figure in figures.items():
        save_figure(figure, home / name)
        files.append(home / name)
    return files


def whole_figure(axes: Axes) -> Figure:
    """The figure that axes belong to."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure


def _bounds(interval: Interval) -> dict[str, float | None]:
    return {
        "mean": _number(interval.mean),
        "ci_low": _number(interval.low),
        "ci_high": _number(interval.high),
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _optional(value: float | None, form: str) -> str:
    return "" if value is None or math.isnan(value) else format(value, form)
