"""The pictures of a capacity search: cost against latency, the tail of the latency, load over time, the knee."""

from __future__ import annotations

import math
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from analysis.capacity_tables import curve_table, tail_table
from analysis.plot_axes import LOG, look_of, money_axis, plain, round_numbers
from analysis.plot_fleet import plot_fleet
from analysis.plot_styles import DASHED, DOTTED, INK, PALE, legend_below, new_axes
from scenarios.units import SECONDS_PER_DAY, format_duration

if TYPE_CHECKING:
    from analysis.capacity import CapacityFound
    from analysis.capacity_runs import Evaluated

LINE, CHOSEN, LIMIT, WAITING = "#0072B2", "#D55E00", INK, "#CC79A7"
"""Okabe and Ito's palette; each has a marker or a line of its own as well."""
KINDS = 8
"""Combinations that have a colour and a marker each, at most; beyond that accelerators have."""
TICKS = 7
"""Ticks of an axis of latencies, at most."""
LATENCIES = (
    *(step * scale for scale in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1) for step in (1, 2, 5)),
    *(1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600, 7200, 21_600, 43_200, 86_400),
)
"""Seconds at which an axis of latencies may have ticks."""
FAR = 1e2
"""Latencies above so many limits are drawn there: an overloaded fleet has none."""


def plot_fleets(found: CapacityFound, ax: Axes | None = None) -> Axes:
    """Cost a month against the promised quantile, both axes logarithmic where they need it; the limit, the frontier.

    Bars are 95 % intervals over the replications. Returns the axes.
    """
    ax = ax or new_axes(7.6, 5.2)
    promise = found.promise
    handles: list[Any] = []
    groups = _groups(found)
    for number, (name, fleets) in enumerate(groups.items()):
        colour, marker = look_of(number)
        for kept in (True, False):
            mine = [fleet for fleet in fleets if fleet.kept == kept]
            if not mine:
                continue
            cost = [fleet.cost for fleet in mine]
            value, bars = _bars(mine, promise.limit)
            ax.errorbar(
                cost, value, yerr=bars, ls="", marker=marker, ms=5.5, color=colour, mfc=colour if kept else "white",
                mec=colour, capsize=2, lw=1.0, zorder=3, gid="fleets",
            )  # fmt: skip
        handles += ax.plot([], [], ls="", marker=marker, ms=5.5, color=colour, label=name)
    far = [fleet.cost for fleet in found.fleets if _is_cut(fleet.mean("quantile_s"), promise.limit)]
    handles += _cut(ax, far, promise.limit)
    edge = [found.fleets[place] for place in found.frontier]
    edge = [fleet for fleet in edge if fleet.mean("quantile_s") <= FAR * promise.limit]
    if len(edge) > 1:
        handles += ax.plot(
            [fleet.cost for fleet in edge], [fleet.mean("quantile_s") / SECONDS_PER_DAY for fleet in edge],
            drawstyle="steps-post", color=PALE, lw=1.3, zorder=2, label="frontier", gid="frontier",
        )  # fmt: skip
    handles.append(ax.axhline(promise.limit / SECONDS_PER_DAY, color=LIMIT, lw=1.0, ls=DASHED, label="limit"))
    best = found.nearest
    point = (best.cost, _shown(best.mean("quantile_s"), promise.limit))
    handles += ax.plot(
        [point[0]], [point[1]], ls="", marker="*", ms=18, mfc="none", mec=CHOSEN, mew=1.5, zorder=5, gid="chosen",
        label="chosen" if found.keeps else "nearest (keeps it not)",
    )  # fmt: skip
    handles += ax.plot(
        [], [], ls="", marker="o", ms=5.5, mfc="white", mec=INK, label="open: objective not kept"
    )
    _name(ax, _called(found), point)
    ax.set_yscale("log")
    money_axis(
        ax, [fleet.cost for fleet in found.fleets], "cost", found.scenario.currency, "a month", wide=6.0
    )
    _room(ax)
    _latency_axis(ax.yaxis, f"{promise.name} of the latency")
    _title(ax, f"Cost against latency: {found.scenario.title}")
    plain(ax)
    legend_below(ax, handles)
    return ax


def plot_tail(found: CapacityFound, ax: Axes | None = None) -> Axes:
    """Share of the requests that take longer than a latency, both axes logarithmic, with the limit."""
    ax = ax or new_axes(7.0, 4.6)
    table, promise = tail_table(found), found.promise
    days = table["seconds"].to_numpy() / SECONDS_PER_DAY
    handles = ax.plot(days, table["share_above"], color=LINE, lw=1.8, label=_called(found), gid="tail")
    limit = promise.limit / SECONDS_PER_DAY
    handles.append(
        ax.axvline(
            limit, color=LIMIT, lw=1.0, ls=DASHED,
            label=f"limit of {promise.name}, {format_duration(limit)}",
        )
    )  # fmt: skip
    handles.append(
        ax.axhline(
            1.0 - promise.quantile, color=CHOSEN, lw=1.0, ls=DOTTED,
            label=f"{100 * (1.0 - promise.quantile):.3g} % of the requests",
        )
    )  # fmt: skip
    ax.set_xscale("log")
    ax.set_yscale("log")
    inside = days[np.isfinite(days) & (days > 0.0)]
    ax.set_xlim(min(float(inside.min()), limit) / 1.2, max(float(inside.max()), limit) * 1.25)
    ax.set_ylim(float(table["share_above"].min()) / 1.5, 1.6)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    ax.yaxis.set_minor_locator(NullLocator())
    _latency_axis(ax.xaxis, "end-to-end latency")
    ax.set_ylabel(f"requests that take longer{LOG}")
    _title(ax, f"Latency of {_called(found)}: {found.scenario.title}")
    plain(ax)
    legend_below(ax, handles)
    return ax


def plot_load(found: CapacityFound) -> Figure:
    """Ready and busy replicas, and the requests that wait, over the time of the run that is shown."""
    return plot_fleet(
        found.shown,
        pool=found.nearest.candidate.pool,
        title=f"Load of {_called(found)}: {found.scenario.title}",
    )


def plot_curve(found: CapacityFound, ax: Axes | None = None) -> Axes:
    """The promised quantile by the number of replicas, simulated and by the closed form, with knee and limit."""
    curve, promise = found.curve, found.promise
    assert curve is not None
    ax = ax or new_axes(7.0, 4.6)
    table = curve_table(found)
    replicas = table["replicas"].to_numpy()
    simulated = np.array([_shown(value, promise.limit) for value in table["latency_s"]])
    handles = ax.plot(
        replicas, simulated, color=LINE, marker="o", ms=5.0, lw=1.5, label="simulated", gid="simulated"
    )
    cut = [_is_cut(value, promise.limit) for value in table["latency_s"]]
    handles += _cut(ax, replicas[cut].tolist(), promise.limit)
    closed = table["closed_form_s"].to_numpy() / SECONDS_PER_DAY
    if np.isfinite(closed).any():
        closed[closed > FAR * promise.limit / SECONDS_PER_DAY] = math.nan
        handles += ax.plot(
            replicas, np.where(np.isfinite(closed), closed, math.nan), color=CHOSEN, marker="s", ms=4.5, mfc="white",
            lw=1.2, ls=DASHED, label="closed form (M/G/c)", gid="closed",
        )  # fmt: skip
    limit = promise.limit / SECONDS_PER_DAY
    handles.append(ax.axhline(limit, color=LIMIT, lw=1.0, ls=DASHED, label="limit"))
    if math.isfinite(curve.knee):
        handles.append(ax.axvline(curve.knee, color=PALE, lw=1.2, ls=DOTTED, label=f"knee, {curve.knee:.0f}"))
    chosen = [fleet for fleet in curve.fleets if fleet.replicas == found.nearest.replicas]
    if found.keeps and chosen and found.nearest.candidate.is_fixed:
        handles += ax.plot(
            [chosen[0].replicas], [_shown(chosen[0].mean("quantile_s"), promise.limit)], ls="", marker="*", ms=18,
            mfc="none", mec=CHOSEN, mew=1.5, zorder=5, label="chosen",
        )  # fmt: skip
    ax.set_yscale("log")
    _room(ax)
    _latency_axis(ax.yaxis, f"{promise.name} of the latency")
    ax.set_xlabel("replicas")
    if len(replicas) <= 12 and replicas[-1] - replicas[0] < 14:
        ax.xaxis.set_major_locator(FixedLocator(range(int(replicas[0]), int(replicas[-1]) + 1)))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    _title(ax, f"Latency by replicas, {found.nearest.candidate.accelerator.label}: {found.scenario.title}")
    plain(ax)
    legend_below(ax, handles)
    return ax


def _called(found: CapacityFound) -> str:
    """The chosen fleet, or the nearest, in few words."""
    return f"{found.nearest.replicas} x {found.nearest.candidate.short_name}"


def _groups(found: CapacityFound) -> dict[str, list[Evaluated]]:
    """Fleets by combination, or by accelerator where there are too many combinations to be told apart."""
    names = {fleet.candidate.short_name for fleet in found.fleets}
    groups: dict[str, list[Evaluated]] = {}
    for fleet in found.fleets:
        name = fleet.candidate.short_name if len(names) <= KINDS else fleet.candidate.accelerator.label
        groups.setdefault(name, []).append(fleet)
    return groups


def _shown(seconds: float, limit: float) -> float:
    """Where a latency is drawn, days."""
    return min(seconds if math.isfinite(seconds) else math.inf, FAR * limit) / SECONDS_PER_DAY


def _is_cut(seconds: float, limit: float) -> bool:
    """Whether a latency is too long to be drawn where it is."""
    return not seconds <= FAR * limit


def _cut(ax: Axes, across: list[float], limit: float) -> list[Any]:
    """Mark latencies that are longer than the picture shows; the table has them."""
    if not across:
        return []
    top = FAR * limit / SECONDS_PER_DAY
    text = f"longer than {format_duration(top)}: see the table"
    return ax.plot(
        across,
        [top] * len(across),
        ls="",
        marker="^",
        ms=11,
        mfc="none",
        mec=LIMIT,
        zorder=4,
        label=text,
        gid="cut",
    )


def _bars(fleets: list[Evaluated], limit: float) -> tuple[list[float], Any]:
    """Latencies and the lengths of their intervals below and above, days."""
    value = [_shown(fleet.mean("quantile_s"), limit) for fleet in fleets]
    below, above = [], []
    for fleet, mean in zip(fleets, value, strict=True):
        interval = fleet.interval("quantile_s")
        known = math.isfinite(interval.low) and mean < FAR * limit / SECONDS_PER_DAY
        # A log scale has no place for 0, where an interval of few replications may reach.
        low = max(interval.low / SECONDS_PER_DAY, 0.2 * mean) if known else mean
        below.append(mean - low)
        above.append(_shown(interval.high, limit) - mean if known else 0.0)
    return value, [below, np.maximum(above, 0.0)]


def _latency_axis(axis: Axis, label: str) -> None:
    """Round latencies on a log axis of days, from microseconds to days; call it when all is drawn."""
    low, high = (float(bound) * SECONDS_PER_DAY for bound in axis.get_view_interval())
    ticks = [tick for tick in LATENCIES if low <= tick <= high]
    if len(ticks) < 3:
        ticks = round_numbers(low, high).tolist()
    apart = math.log(high / low) / TICKS
    kept: list[float] = []
    for tick in ticks:
        if not kept or math.log(tick / kept[-1]) >= apart:
            kept.append(tick)
    axis.set_major_locator(FixedLocator([tick / SECONDS_PER_DAY for tick in kept]))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda days, _: format_duration(days)))
    axis.set_label_text(label + LOG)


def _room(ax: Axes) -> None:
    """A little room above and below on a log axis, and at least a factor of two in all."""
    low, high = (float(bound) for bound in ax.get_ylim())
    ax.set_ylim(low / (high / low) ** 0.04, high)
    if high < 2.0 * low:
        middle = math.sqrt(low * high)
        ax.set_ylim(middle / 1.5, middle * 1.5)


def _name(ax: Axes, text: str, point: tuple[float, float]) -> None:
    ax.annotate(
        text, point, xytext=(11, 7), textcoords="offset points", fontsize=8, color=CHOSEN, parse_math=False, zorder=6,
        bbox={"boxstyle": "square,pad=0.15", "fc": "white", "ec": "none", "alpha": 0.85},
    )  # fmt: skip


def _title(ax: Axes, text: str) -> None:
    ax.set_title(fill(text, 80), fontsize=10, loc="left", parse_math=False)
