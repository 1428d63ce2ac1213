"""What `halflife budget` prints and writes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.budget_tables import frontier_plans
from analysis.intervals import Interval
from analysis.monitoring_plans import nothing_of
from analysis.report import aligned, whole_figure
from analysis.report_decisions import number, records, write_json
from scenarios.units import MONTHS_PER_YEAR, format_duration, format_money
from sim.ledger import MONITORING
from sim.record import versions

if TYPE_CHECKING:
    from analysis.monitoring_budget import BudgetFound


ALL_OFF = "all off"


def verdict(found: BudgetFound) -> str:
    """Which plan, what it costs and loses, and how sure that is; that there is none where none keeps the limit."""
    plan, currency = found.recommended, found.scenario.currency
    if not found.keeps_limit:
        return _nothing_fits(found)
    cost = float(found.values(plan, "monitoring").mean())
    total = float(found.values(plan, "total").mean())
    within = "" if found.limit is None else f" within {_monthly(found.limit, currency)}"
    sure = (
        ""
        if math.isnan(found.probability)
        else f"; it is the best with probability {_share(found.probability)}"
    )
    same = f" ({len(found.equals)} other plans gave exactly the same)" if found.equals else ""
    return (
        f"Buy {_bought(found, plan)}{same}: the least total cost{within}, {format_money(total, currency)} a year, "
        f"of which {format_money(cost, currency)} are for monitoring ({_monthly(_month(cost), currency)}){sure}."
        f"{_runner_up(found)}"
    )


def _bought(found: BudgetFound, plan: int) -> str:
    name = short_name(found, plan)
    return f"nothing, {name}" if name.startswith(ALL_OFF) else name


def _runner_up(found: BudgetFound) -> str:
    """The next best plan of those that met all worlds and keep the limit."""
    others = [
        p for p in found.played if p != found.recommended and (found.limit is None or found.is_affordable(p))
    ]
    if not others:
        return ""
    totals = {plan: float(found.values(plan, "total").mean()) for plan in others}
    plan = min(totals, key=totals.__getitem__)
    more = totals[plan] - float(found.values(found.recommended, "total").mean())
    return f" Next best is {short_name(found, plan)}, {format_money(more, found.scenario.currency)} a year dearer."


def _nothing_fits(found: BudgetFound) -> str:
    currency, cheapest, best = found.scenario.currency, found.cheapest, found.best
    costs = [_monthly(_month(found.estimate(plan, "monitoring")), currency) for plan in (cheapest, best)]
    return (
        f"Nothing fits: no plan keeps {_monthly(found.limit or 0.0, currency)}. The cheapest, "
        f"{short_name(found, cheapest)}, costs {costs[0]}; the one of least total cost, {short_name(found, best)}, "
        f"{costs[1]}."
    )


def budget_text(found: BudgetFound) -> str:
    """A monitoring budget as text: frontier, next dollar, returns, verdict."""
    scenario = found.scenario
    head = (
        f"{scenario.title}: {format_duration(scenario.horizon)}, policy {found.policy}, {len(found.plans)} monitoring "
        f"plans, {found.replications} replications"
    )
    percent = f"{100 * found.confidence:g} %"
    return "\n\n".join(
        [
            head,
            f"Efficient frontier, money a year with {percent} intervals; * least total cost"
            + ("" if found.limit is None else ", ! beyond the limit"),
            aligned(_frontier_rows(found), "plan"),
            *_parts(found),
            f"The next dollar, around {short_name(found, found.recommended)} (money a year, {percent} intervals)",
            aligned(_marginal_rows(found), "entry"),
            "\n".join([*_returns(found, percent), effort(found)]),
            verdict(found),
        ]
    )


def effort(found: BudgetFound) -> str:
    """What the search took against the full factorial."""
    used, whole = int(found.runs.counts.sum()), len(found.plans) * found.full_replications
    extra = int(found.references.counts.sum())
    return (
        f"Search: {used:,} runs of plans, {used / whole:.0%} of the {whole:,} of the full factorial, and {extra:,} "
        "with everything off and perfectly watched."
    )


def _returns(found: BudgetFound, percent: str) -> list[str]:
    """ROI and the value of perfect monitoring."""
    currency, roi, perfect = found.scenario.currency, found.roi(), found.value_of_perfect()
    lines = []
    if not math.isnan(roi.mean):
        lines.append(
            f"Monitoring ROI {roi.mean:.2f} ({percent} {_range(roi, '.2f')}): incidents prevented x average incident "
            "cost / annual monitoring cost, read as loss avoided against everything off / annual monitoring cost."
        )
    shown = [format_money(value, currency) for value in perfect]
    pays = "" if perfect.mean > 0.0 else "; below 0: answering its calls costs more than the incidents do"
    lines.append(
        f"Value of perfect monitoring {shown[0]} a year ({percent} {_between(shown, perfect)}): best plan minus the "
        f"same system with a free monitor that never errs, the most anyone should ever pay for that{pays}."
    )
    return lines


def _frontier_rows(found: BudgetFound) -> dict[str, dict[str, str]]:
    currency, rows = found.scenario.currency, {}
    for plan, row in zip(frontier_plans(found), records(found.frontier()), strict=True):
        mark = ("*" if row["best"] else "") + ("" if row["affordable"] else "!")
        rows[f"{short_name(found, plan)} {mark}".rstrip()] = {
            "monitoring": _money(row["monitoring"], currency),
            "loss": _money(row["loss"], currency),
            "low": _money(row["loss_low"], currency),
            "high": _money(row["loss_high"], currency),
            "total": _money(row["total"], currency),
            "avoided": _plus_minus(row, "avoided", currency),
            "ROI": "" if row["roi"] is None else f"{row['roi']:.2f}",
            "incidents/y": f"{row['incidents_per_year']:.1f}",
            "MTTD h": "" if row["mttd_hours"] is None else f"{row['mttd_hours']:.1f}",
            "undetected": "" if row["undetected_share"] is None else f"{row['undetected_share']:.0%}",
        }
    return rows


PARTS = {
    "monitoring": "flat prices, holdout",
    "monitoring_ingest": "ingest",
    "monitoring_storage": "storage",
    "monitoring_query": "queries",
    "monitoring_alert": "alert checks",
    "labelling": "labels",
    "on_call": "people: triage, tickets",
}
"""What the categories of the ledger are called in the table of parts."""


def _parts(found: BudgetFound) -> list[str]:
    """Monitoring cost of the recommended plan by part, those that are 0 left out."""
    means = {
        category: float(found.values(found.recommended, f"cost[{category}]").mean())
        for category in MONITORING
    }
    rows = {
        PARTS[category]: {"cost": _money(mean, found.scenario.currency)}
        for category, mean in means.items()
        if mean != 0.0
    }
    name = short_name(found, found.recommended)
    return [f"What {name} spends on monitoring, a year", aligned(rows, "part")] if rows else []


def _marginal_rows(found: BudgetFound) -> dict[str, dict[str, str]]:
    currency, rows = found.scenario.currency, {}
    for row in records(found.marginal()):
        ratio = "" if row["per_dollar"] is None else f"{row['per_dollar']:.2f}"
        low, high = row["per_dollar_low"], row["per_dollar_high"]
        rows[row["entry"]] = {
            "now": row["option"],
            "next dearer": row["next"],
            "costs": _money(row["price"], currency),
            "avoids": _money(row["avoided"], currency),
            "per dollar": ratio,
            "low": "" if low is None else f"{low:.2f}",
            "high": "" if high is None else f"{high:.2f}",
            "off saves": _money(row["removed_saves"], currency),
            "off loses": _plus_minus(row, "removed_loses", currency),
        }
    return rows


def budget_document(found: BudgetFound) -> dict[str, Any]:
    """A monitoring budget as one JSON document; money a year, numbers that do not exist are null."""
    scenario = found.scenario
    used, whole = int(found.runs.counts.sum()), len(found.plans) * found.full_replications
    affordable = found.best_affordable
    return {
        "scenario": scenario.title,
        "horizon_days": scenario.horizon,
        "currency": scenario.currency,
        "policy": found.policy,
        "confidence": found.confidence,
        "plans": len(found.plans),
        "replications": found.replications,
        "best": _plan(found, found.best),
        "limit_per_month": found.limit,
        "best_within_limit": None if affordable is None else _plan(found, affordable),
        "recommended": found.plans[found.recommended].name if found.keeps_limit else None,
        "equal_plans": list(found.equals),
        "probability_best": number(found.probability),
        "frontier": records(found.frontier()),
        "marginal": records(found.marginal()),
        "monitoring_roi": _bounds(found.roi()),
        "value_of_perfect_monitoring": _bounds(found.value_of_perfect()),
        "references": {
            name: {column: number(float(found.reference(name, column).mean())) for column in ("monitoring", "loss")}
            for name in ("off", "perfect")
        },
        "search": {
            "runs": used,
            "runs_full_factorial": whole,
            "share": used / whole,
            "rounds": [vars(one) for one in found.search.rounds],
        },
        "verdict": found.verdict(),
        "warnings": list(found.warnings),
        "provenance": {"scenario_hash": scenario.hash(), "seed": found.seed, "versions": versions()},
    }  # fmt: skip


def save_budget(found: BudgetFound, folder: str | Path) -> list[Path]:
    """Write budget.json, plans.csv, frontier.csv, marginal.csv, runs.parquet and frontier.png.

    Raises OSError where the folder cannot be written.
    """
    import pandas as pd

    from analysis.plan_runs import COLUMNS
    from analysis.plot_styles import save_figure

    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    names = ("budget.json", "plans.csv", "frontier.csv", "marginal.csv", "runs.parquet", "frontier.png")
    files = [home / name for name in names]
    write_json(budget_document(found), files[0])
    for table, file in zip((found.table(), found.frontier(), found.marginal()), files[1:4], strict=True):
        table.to_csv(file, index=False, float_format="%.9g")
    tables = [
        pd.DataFrame(values, columns=list(COLUMNS)).assign(plan=plan.name, replication=range(len(values)))
        for plan, values in zip(found.plans, found.runs.values, strict=True)
    ]
    pd.concat(tables, ignore_index=True)[["plan", "replication", *COLUMNS]].to_parquet(files[4], index=False)
    save_figure(whole_figure(found.plot()), files[5])
    return files


def _plan(found: BudgetFound, plan: int) -> dict[str, Any]:
    """A plan with its figures in the worlds of the last round."""
    from analysis.budget_tables import detection_figures
    from analysis.intervals import mean_interval

    figures = {
        column: _bounds(mean_interval(found.values(plan, column), found.confidence))
        for column in ("monitoring", "loss", "total")
    }
    monthly = float(found.values(plan, "monitoring").mean())
    return {
        "name": found.plans[plan].name,
        "options": {choice.entry: choice.option for choice in found.plans[plan].choices},
        **figures,
        "monitoring_per_month": _month(monthly),
        "monitoring_parts": {c: number(float(found.values(plan, f"cost[{c}]").mean())) for c in MONITORING},
        **{name: number(value) for name, value in detection_figures(found, plan).items()},
    }


def short_name(found: BudgetFound, plan: int) -> str:
    """The plan's name without what is off and telemetry that is as written; what stays on when all is off."""
    choices = found.plans[plan].choices
    bought = [str(choice) for choice in choices if not choice.off and (choice.monitors or choice.telemetry)]
    if bought:
        return ", ".join(bought)
    always = [monitor.label for monitor in nothing_of(found.scenario).apply(found.scenario).monitors]
    return f"{ALL_OFF} (always on: {', '.join(always)})" if always else ALL_OFF


def _bounds(interval: Interval) -> dict[str, Any]:
    return {
        "mean": number(float(interval.mean)),
        "ci_low": number(float(interval.low)),
        "ci_high": number(float(interval.high)),
    }


def _plus_minus(row: dict[str, Any], name: str, currency: str) -> str:
    """A mean and half its interval; empty where there is none."""
    mean, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if mean is None:
        return ""
    half = "" if low is None or high is None else f" ±{format_money(0.5 * (high - low), currency)}"
    return f"{format_money(mean, currency)}{half}"


def _money(value: float | None, currency: str) -> str:
    return "" if value is None else format_money(value, currency)


def _range(interval: Interval, digits: str) -> str:
    return (
        "interval unknown"
        if math.isnan(interval.low)
        else f"{interval.low:{digits}} to {interval.high:{digits}}"
    )


def _between(shown: list[str], interval: Interval) -> str:
    return "interval unknown" if math.isnan(interval.low) else f"{shown[1]} to {shown[2]}"


def _share(probability: float) -> str:
    """A probability that was counted in draws: never written as certain."""
    return "> 99.9 %" if probability > 0.999 else f"{100 * probability:.0f} %"


def _month(annual: float) -> float:
    return annual / MONTHS_PER_YEAR


def _monthly(amount: float, currency: str) -> str:
    return f"{format_money(amount, currency)} a month"
