"""What `halflife capacity` prints."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from analysis.capacity_candidates import sized_pool
from analysis.capacity_tables import (
    FASTER,
    TARGET,
    amdahl,
    combination_table,
    curve_table,
    fleet_table,
    latency_table,
    money_and_time,
    pattern_remedy,
    stage_table,
    use_of,
    what_if_table,
)
from analysis.intervals import Interval
from analysis.report import aligned
from analysis.report_decisions import records
from scenarios.serving_services import LanguageModel
from scenarios.units import MINUTES_PER_DAY, SECONDS_PER_DAY, format_duration, format_money

if TYPE_CHECKING:
    from analysis.capacity import CapacityFound
    from analysis.sustainable_rate import SustainableRate

LISTED = 40
"""Fleets that the text lists; files have them all."""


def verdict(found: CapacityFound) -> str:
    """Which fleet, what it costs, and how sure that is; what is nearest where none keeps the objective."""
    best, promise, currency = found.nearest, found.promise, found.scenario.currency
    asked = (
        f"{promise.name} within {seconds(promise.limit)} and a loss of at most {percent(promise.max_loss)}"
    )
    reached = f"{promise.name} {between(best.interval('quantile_s'))}, loss {percent(best.mean('loss'))}"
    money = f"{format_money(best.cost, currency)} a month"
    if not found.keeps:
        return (
            f"Nothing keeps the objective: {asked}. The nearest is {best.name}: {reached}, {money}. More replicas than "
            "were looked at, or a quicker model, path or accelerator would be needed."
        )
    return f"Take {best.name}: the cheapest that keeps {asked}; {reached}, {money}. {how_sure(found)}"


def how_sure(found: CapacityFound) -> str:
    """In how many replications the chosen fleet keeps the objective, and that one replica fewer does not."""
    best = found.nearest
    count, kept = len(best.runs), round(best.kept_share * len(best.runs))
    said = f"It keeps it in {kept} of {count} replications"
    if kept < count:
        said += ", on average only"
    if found.fresh is not None:
        fresh = round(found.fresh.kept_share * len(found.fresh.runs))
        said += f", and in {fresh} of {len(found.fresh.runs)} others that the search has not seen"
    fewer = next(
        (
            fleet
            for fleet in found.fleets
            if fleet.candidate == best.candidate and fleet.replicas == best.replicas - 1
        ),
        None,
    )
    if fewer is not None and not fewer.kept:
        said += f"; one replica fewer does not ({found.promise.name} {seconds(fewer.mean('quantile_s'))}"
        said += f", loss {percent(fewer.mean('loss'))})" if fewer.mean("loss") > 0.0 else ")"
    return said + "."


def capacity_text(found: CapacityFound) -> str:
    """A capacity search as text: fleets, the chosen one in detail, what-ifs, curve, sustainable rate, verdict."""
    scenario = found.scenario
    requests = found.nearest.mean("requests")
    head = (
        f"{scenario.title}: {format_duration(scenario.horizon)}, {requests:,.0f} requests a replication, "
        f"{found.replications} replications\nArrivals: {found.shown.arrivals}\nResolution: {found.shown.resolution}"
    )
    parts = [
        head,
        "Fleets that were simulated; * chosen, + cheapest at its latency; cost a month: replicas, penalties, jobs\n"
        + _fleets(found),
    ]
    if len(found.lines) > 1:
        parts.append("Combinations of the menu\n" + _combinations(found))
    parts += [
        f"{found.name}: latency\n" + _latency(found),
        "Latency budget, means by stage\n" + _stages(found),
        "\n".join([*_utilisation(found), *_bill(found)]),
    ]
    if found.what_ifs:
        parts.append(
            "More traffic, one replication each: the fleet unchanged, and the replicas it would take\n"
            + _what_ifs(found)
        )
    if found.curve is not None:
        parts.append(_curve(found))
    if found.sustainable is not None:
        parts.append(rate_text(found.sustainable))
    return "\n\n".join([*parts, verdict(found)])


def rate_text(rate: SustainableRate) -> str:
    """The maximum sustainable rate in a paragraph."""
    edge = rate.overloaded_factor
    grows = f"overloaded at {edge * rate.rate:,.4g}/s" if math.isfinite(edge) else "never seen overloaded"
    lines = [
        f"Maximum sustainable rate {rate.maximum:,.4g} requests/s, {rate.factor:.3g} times the traffic, which is "
        f"{percent(1.0 / rate.factor if rate.factor else math.inf)} of it "
        f"({rate.rate:,.4g}/s over {format_duration(rate.days)} from day {rate.begin:.4g}); {grows}. "
        f"By the closed form, all replicas busy with full batches, it is {rate.bound:,.4g}/s."
    ]
    if rate.stable_factor < rate.factor:
        lines.append(
            f"Up to {rate.stable_factor * rate.rate:,.4g}/s no backlog builds up; between the two it comes and goes."
        )
    tried = {factor: rate.at(factor).trend for factor in (1.0, 2.0, 5.0) if _was(rate, factor)}
    lines.append(
        "Verdict, by the trend of the requests in the fleet: "
        + "; ".join(f"{factor:g} x traffic {trend}" for factor, trend in tried.items())
        + "."
    )
    return "\n".join(lines)


def _was(rate: SustainableRate, factor: float) -> bool:
    return any(one.factor == factor for one in rate.tried)


# ---------------------------------------------------------------- the tables of the text


def _fleets(found: CapacityFound) -> str:
    currency, rows = found.scenario.currency, {}
    table = fleet_table(found)
    if len(table) > LISTED:
        near = table["cost_month"].rank(method="first") <= LISTED
        table = table[near | table["chosen"] | table["frontier"]]
    for row in records(table):
        mark = "*" if row["chosen"] else "+" if row["frontier"] else ""
        rows[f"{row['fleet']} {mark}".rstrip()] = {
            "kept": f"{row['kept_share']:.0%}",
            found.promise.name: seconds(row["latency_s"]),
            "low": seconds(_above_zero(row["latency_s_low"])),
            "high": seconds(row["latency_s_high"]),
            "loss": percent(row["loss"]),
            "replicas": "" if row["mean_replicas"] is None else f"{row['mean_replicas']:.1f}",
            "busy P50": percent(row["utilisation_p50"]),
            "peak": percent(row["utilisation_peak"]),
            "cost": _money(row["cost_month"], currency),
            "per 1000": _money(row["cost_per_1000"], currency),
        }
    left = len(found.fleets) - len(table)
    return aligned(rows, "fleet") + (
        f"\n({left} dearer ones are in the files and the JSON document)" if left else ""
    )


def _combinations(found: CapacityFound) -> str:
    rows = {}
    table = combination_table(found)
    dearer = int((table["state"] == "dearer").sum())
    for row in records(table[table["state"] != "dearer"]):
        state = row["state"]
        if state == "nothing keeps it":
            state = f"not with {row['not_enough']:.0f}"
        rows[row["combination"]] = {
            "fewest replicas": f"{row['replicas']:.0f}" if row["replicas"] is not None else state,
            found.promise.name: seconds(row["latency_s"]),
            "cost": _money(row["cost_month"], found.scenario.currency),
        }
    others = "the other one" if dearer == 1 else f"the other {dearer}"
    return aligned(rows, "combination") + (f"\n{others} cannot be as cheap" if dearer else "")


def _latency(found: CapacityFound) -> str:
    rows = {
        row["measure"]: {
            "latency": seconds(row["seconds"]),
            "low": seconds(_above_zero(row["low"])),
            "high": seconds(row["high"]),
        }
        for row in records(latency_table(found))
    }
    return aligned(rows, "measure")


def _stages(found: CapacityFound) -> str:
    table = stage_table(found)
    rows = {
        row["stage"].replace("_", " "): {"mean": seconds(row["seconds"]), "share": percent(row["share"])}
        for row in records(table)
    }
    rows["total"] = {"mean": seconds(float(table["seconds"].sum())), "share": ""}
    law = amdahl(found)
    return (
        f"{aligned(rows, 'stage')}\nA model {FASTER:g} times as fast would make the mean {seconds(law['mean_s'])}, "
        f"{law['speedup']:.3g} times as quick (Amdahl: inference is {percent(law['share'])} of it)."
    )


def _utilisation(found: CapacityFound) -> list[str]:
    best = found.nearest
    median, peak = best.mean("utilisation_p50"), best.mean("utilisation_peak")
    lines = [
        f"Utilisation {percent(median)} at P50, {percent(peak)} in the busiest interval, headroom "
        f"{percent(max(1.0 - peak, 0.0))}: {target_verdict(median)}"
    ]
    pool = sized_pool(best.candidate.apply(found.searched, best.replicas))
    if isinstance(pool.service, LanguageModel):
        lines[0] += " (a replica is busy while any sequence runs: see the sustainable rate for what is left)"
    use = use_of(found.shown, pool)
    pattern = pattern_remedy(use)
    if use is not None and pattern is not None:
        known = [
            f"{name} {percent(value)}"
            for name, value in (
                ("arithmetic", use.gpu_busy),
                ("memory", use.memory_busy),
                ("input", use.input_busy),
            )
            if value is not None
        ]
        what = "sequences at a time" if isinstance(pool.service, LanguageModel) else "requests a batch"
        inside = f" ({', '.join(known)} while it works)" if known else ""
        lines.append(
            f"Pattern: {pattern[0]}{inside}, {use.mean_batch:.3g} {what}, {percent(use.full_batch_share)} of the "
            f"throughput of full batches; remedy: {pattern[1]}"
        )
    return [line + "." for line in lines]


def target_verdict(median: float) -> str:
    """How utilisation at P50 compares with what the source advises.

    >>> target_verdict(0.3), target_verdict(0.6)[:6]
    ('below the 50-70 % at P50 that the source advises: capacity is idle', 'within')
    """
    low, high = TARGET
    advised = f"the {100 * low:.0f}-{100 * high:.0f} % at P50 that the source advises"
    if median < low:
        return f"below {advised}: capacity is idle"
    return f"above {advised}: little is left for a burst" if median > high else f"within {advised}"


def _bill(found: CapacityFound) -> list[str]:
    bill, currency = money_and_time(found), found.scenario.currency
    objective = found.scenario.serving.objective if found.scenario.serving else None
    interval = format_duration(objective.interval) if objective else ""
    missed = bill["missed_minutes"] / (found.scenario.horizon * MINUTES_PER_DAY)
    return [
        f"Cost {format_money(bill['cost_month'], currency)} a month, {format_money(bill['cost_per_1000'], currency)} "
        f"per 1000 requests; {bill['gpu_hours']:,.4g} GPU hours in {format_duration(found.scenario.horizon)}, "
        f"{bill['gpu_hours_on_demand']:,.4g} on demand and {bill['gpu_hours_spot']:,.4g} spot.",
        f"SLO minutes lost: {bill['missed_minutes']:,.4g}, {percent(missed)} of the time, "
        f"{bill['missed_minutes_month']:,.4g} a month, judged in intervals of {interval}.",
    ]


def _what_ifs(found: CapacityFound) -> str:
    currency, rows = found.scenario.currency, {}
    for row in records(what_if_table(found)):
        needed = row["replicas_needed"]
        rows[f"{row['factor']:g} x"] = {
            "verdict": row["verdict"] or "",
            found.promise.name: seconds(row["latency_s"]),
            "loss": percent(row["loss"]),
            "busy P50": percent(row["utilisation_p50"]),
            "cost": _money(row["cost_month"], currency),
            "replicas needed": "more than were tried" if needed is None else f"{needed:.0f}",
            f"their {found.promise.name}": seconds(row["needed_latency_s"]),
            "their cost": _money(row["needed_cost_month"], currency),
        }
    return aligned(rows, "traffic")


def _curve(found: CapacityFound) -> str:
    curve, name = found.curve, found.promise.name
    assert curve is not None
    rows = {
        f"{row['replicas']:.0f}": {
            f"{name} simulated": seconds(row["latency_s"]),
            "closed form": seconds(row["closed_form_s"], never="none"),
            "busy": percent(row["utilisation"]),
            "cost": _money(row["cost_month"], found.scenario.currency),
        }
        for row in records(curve_table(found).replace({math.inf: 1e99}))
    }
    known = not any(math.isnan(value) for value in curve.closed)
    says = (
        f"closed form: {found.load.says}" if known else "batches and language models have no closed form here"
    )
    closed = f", closed form {_bend(curve.closed_knee)}" if known else ""
    return (
        f"Replicas without an autoscaler ({says})\n{aligned(rows, 'replicas')}\n"
        "Knee, where one more saves less than 5 % of the latency without a queue: "
        f"simulated {_bend(curve.knee)}{closed}."
    )


def _bend(value: float) -> str:
    return (
        "unknown"
        if math.isnan(value)
        else "beyond the curve"
        if math.isinf(value)
        else f"{value:.0f} replicas"
    )


def seconds(value: float | None, never: str = "") -> str:
    """A latency in the unit that suits it, three digits.

    >>> seconds(0.0312), seconds(75.0), seconds(None)
    ('31.2 ms', '1.25 min', '')
    """
    if value is None or math.isnan(value):
        return never
    return "never" if value > 1e12 else "0 ms" if value == 0.0 else format_duration(value / SECONDS_PER_DAY)


def percent(value: float | None) -> str:
    """A share with as many digits as are of use.

    >>> percent(0.523), percent(0.00012), percent(0.0)
    ('52 %', '0.012 %', '0 %')
    """
    if value is None or math.isnan(value):
        return ""
    return f"{100 * value:.0f} %" if abs(value) >= 0.1 or value == 0.0 else f"{100 * value:.2g} %"


def between(interval: Interval) -> str:
    """A latency with its interval."""
    if math.isnan(interval.low):
        return f"{seconds(interval.mean)} (one replication)"
    return f"{seconds(interval.mean)} (95 % {seconds(max(interval.low, 0.0))} to {seconds(interval.high)})"


def _above_zero(value: float | None) -> float | None:
    """An interval of few replications may reach below 0, where no latency is."""
    return None if value is None else max(value, 0.0)


def _money(value: float | None, currency: str) -> str:
    return "" if value is None else format_money(value, currency)
