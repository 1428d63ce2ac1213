"""Pictures of runs and comparisons: what happened over time, what it cost, and who is cheaper.

A function takes data and optional axes, draws on them and returns them; without axes it makes a figure of its
own with an Agg canvas, so pyplot's state is never touched. Kinds of policy keep their colour in every picture
(Okabe and Ito's palette), and whatever colour tells is told by a marker, a hatch or a place as well.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from analysis.statistics import mean_interval
from scenarios.policies import parse_policy
from scenarios.units import DAYS_PER_YEAR, format_money

if TYPE_CHECKING:
    from scenarios.monitoring import Monitor
    from scenarios.schema import Scenario
    from sim.record import Result

__all__ = [
    "Style",
    "plot_costs",
    "plot_differences",
    "plot_run",
    "plot_timelines",
    "policy_style",
    "save_figure",
]

Array = NDArray[np.float64]
LineStyle = str | tuple[float, tuple[float, ...]]

FAR = 5.0
"""What is more than this many times the median is cut off, with its value written: the rest can be read."""
MANY = 40
"""More alarms of one sort, or deployments, than this are drawn thin."""
RAIL = 0.17
"""Share of a row's height that the alarms take."""
INK, GREY, PALE, PALE_INK = "#222222", "#777777", "#AAAAAA", "#8A8A8A"
WHISKER: dict[str, Any] = {"ecolor": INK, "elinewidth": 1.3, "capsize": 3.5}


@dataclass(frozen=True)
class Style:
    """How a policy looks in every picture; the fields are what matplotlib's arguments take."""

    colour: str
    marker: str
    fill: Any
    """Fill style of the marker."""
    line: LineStyle
    hatch: str


DASHED, DOTTED, DASH_DOT = (0.0, (5.0, 2.0)), (0.0, (1.0, 1.4)), (0.0, (6.0, 1.6, 1.2, 1.6))
LINES: tuple[LineStyle, ...] = ("solid", DASHED, DASH_DOT, DOTTED, (0.0, (6.0, 1.6, 1.2, 1.6, 1.2, 1.6)))
FILLS = ("full", "none", "left", "bottom", "right", "top")

# Okabe and Ito's palette, with a grey for yellow, which is too pale for lines. The schedule is orange and the
# trigger green, as readers of the source know them.
KINDS: dict[str, Style] = {
    "never": Style("#000000", "X", "full", LINES[3], "x"),
    "scheduled": Style("#E69F00", "o", "full", LINES[0], "/"),
    "triggered": Style("#009E73", "^", "full", LINES[1], "\\"),
    "hybrid": Style("#0072B2", "D", "full", LINES[2], "+"),
    "continuous": Style("#56B4E9", "s", "full", LINES[4], "-"),
    "cost-aware": Style("#D55E00", "P", "full", LINES[0], "."),
    "random": Style("#555555", "v", "full", LINES[3], "o"),
    "oracle": Style("#CC79A7", "*", "full", LINES[1], "*"),
}
OWN = Style("#661100", "h", "full", LINES[2], "|")
"""Policies that users wrote. The colour is far from the others for all kinds of sight."""

# Pale fills with dark hatches: a segment's category can be told in grey, and no fill is a policy's colour.
CATEGORIES: dict[str, tuple[str, str]] = {
    "staleness": ("#EE8866", ""),
    "retrain_compute": ("#77AADD", "////"),
    "validation": ("#EEDD88", "...."),
    "deployment": ("#44BB99", "\\\\\\\\"),
    "risk": ("#FFAABB", "xxxx"),
    "monitoring": ("#BBCC33", "----"),
    "labelling": ("#DDDDDD", "||||"),
}
MORE_CATEGORIES = (("#99DDFF", "++++"), ("#AAAA00", "oo"), ("#FFFFFF", "//\\\\"), ("#BBBBBB", "**"))


class Compared(Protocol):
    """What a picture needs of a comparison."""

    @property
    def scenario(self) -> Scenario:
        """Gives the currency, the horizon and the title."""

    @property
    def names(self) -> list[str]:
        """Policies in the order of display."""

    @property
    def runs(self) -> pd.DataFrame:
        """One row a policy and replication: policy, annual_cost, cost[<category>] over the horizon."""

    def differences(self) -> pd.DataFrame:
        """Columns policy, baseline, mean, ci_low, ci_high (money per year) and p_better."""


def policy_style(names: Iterable[str]) -> dict[str, Style]:
    """A style for each policy: the colour of its kind, and among several of a kind marks of its own.

    names: as tables show them, such as 'scheduled:7d'; a name of no known kind is a user's own policy. The
    colour depends on the kind only. The first of a kind has the kind's marker, line and hatch; the
    following ones change the fill of the marker, the line and the density of the hatch: 30 of a kind can be
    told apart.

    >>> styles = policy_style(["never", "scheduled:7d", "scheduled:30d"])
    >>> styles["scheduled:7d"].colour, styles["scheduled:30d"].colour, styles["scheduled:30d"].fill
    ('#E69F00', '#E69F00', 'none')
    """
    styles: dict[str, Style] = {}
    seen: dict[str, int] = {}
    for name in names:
        if name in styles:
            continue
        kind = re.split(r"[:+~]", name, maxsplit=1)[0].strip()
        base = KINDS.get(kind, OWN)
        number = seen.get(base.colour, 0)
        seen[base.colour] = number + 1
        line = LINES[(LINES.index(base.line) + number) % len(LINES)]
        styles[name] = Style(
            base.colour, base.marker, FILLS[number % len(FILLS)], line, base.hatch * (2 + number % len(FILLS))
        )
    return styles


def plot_run(result: Result, ax: Axes | None = None) -> Axes:
    """One run over time: true and measured accuracy, alarms, retrainings and deployments.

    result: from `sim.run`. The x axis is days, the y axis accuracy as a fraction. Alarms stand on a rail
    below: true ones filled on its upper lane, false ones hollow on its lower lane. The dashed line is where
    an accuracy trigger calls: accuracy at validation less the threshold. Returns the axes.
    """
    ax = ax or _new_axes(8.0, 3.2)
    style = policy_style([result.policy])[result.policy]
    _draw_run(ax, result, style, _limits([result]))
    ax.set_xlabel("time (days)")
    ax.set_ylabel("accuracy (fraction)")
    _legend_below(ax, _run_legend([result], style.colour))
    return ax


def plot_timelines(results: Sequence[Result], fig: Figure | None = None) -> Figure:
    """The rotting asset: one row per run, in the order given, on shared axes.

    results: from `sim.run`, at least one, best of the same scenario, seed and replication; `plot_run` says
    what a row shows. A run that falls more than 5 times as deep as is usual among them leaves by the lower
    edge, with its lowest accuracy written. Returns the figure. Raises ValueError without results.
    """
    if len(results) == 0:
        raise ValueError("plot_timelines: got no results, expected at least one")
    fig = fig or _new_figure(9.0, 1.45 * len(results) + 1.15)
    rows = fig.subplots(len(results), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    styles = policy_style(result.policy for result in results)
    limits = _limits(results)
    for ax, result in zip(rows, results, strict=True):
        _draw_run(ax, result, styles[result.policy], limits)
    rows[-1].set_xlabel("time (days)")
    rows[0].set_xlim(0.0, max(result.scenario.horizon for result in results))
    fig.supylabel("accuracy (fraction)", fontsize=10)
    fig.suptitle(results[0].scenario.title, fontsize=11, parse_math=False)
    _legend_below(rows[-1], _run_legend(results, INK))
    return fig


def plot_costs(comparison: Compared, ax: Axes | None = None) -> Axes:
    """Mean annual cost of each policy, stacked by category, with the 95 % interval of the total.

    The interval is Student's t over replications, none for a single one. A bar more than 5 times the median
    is broken, and its interval written. Categories without any cost are left out. Returns the axes.
    """
    names, currency = comparison.names, comparison.scenario.currency
    ax = ax or _new_axes(8.0, 0.42 * len(names) + 1.6)
    parts = _annual_costs(comparison)
    runs = comparison.runs.groupby("policy", sort=False)["annual_cost"]
    totals = [mean_interval(runs.get_group(name)) for name in names]
    mean, half = np.array([t.mean for t in totals]), np.array([t.half_width for t in totals])
    near = _not_far(np.maximum(mean, 0.0))
    limit = 1.1 * max(float((mean + np.nan_to_num(half))[near].max()), 0.0) or 1.0
    bars = _stacked_bars(ax, parts)
    halo = WHISKER | {"ecolor": "white", "elinewidth": 3.3, "capthick": 3.3, "capsize": 4.5}
    for look, label in ((halo, "_halo"), (WHISKER, "95 % interval of the total")):
        whiskers = ax.errorbar(mean, range(len(names)), xerr=half, fmt="none", **look, zorder=4, label=label)
    texts = [
        _per_year(m, currency) + ("" if n or math.isnan(h) else f" ± {format_money(h, currency)}")
        for m, h, n in zip(mean, half, near, strict=True)
    ]
    for row, text in enumerate(texts):
        end = max(mean[row] + np.nan_to_num(half[row]), float(parts.iloc[row].clip(lower=0.0).sum()))
        if not near[row]:
            end = limit
            _break_bar(ax, row, [bar.patches[row] for bar in bars], limit)
        ax.annotate(
            text, (end, row), (5, 0), textcoords="offset points", va="center", fontsize=8.5,
            annotation_clip=False, parse_math=False,
        )  # fmt: skip
    low = min(1.1 * float(parts.clip(upper=0.0).sum(axis=1)[near].min()), 0.0)
    if low < 0.0:
        ax.axvline(0.0, color=INK, lw=1.0, zorder=3)
    ax.set_xlim(low, low + (limit - low) / (1.0 - _text_share(ax, texts)))
    _policy_rows(ax, names)
    ax.set_xlabel(f"mean annual cost ({currency} per year)")
    ax.set_title(_title(comparison), fontsize=11, parse_math=False)
    _money_ticks(ax.xaxis, currency)
    shown = [*bars, whiskers] if np.isfinite(half).any() else bars
    _legend_below(ax, shown)
    return ax


def plot_differences(comparison: Compared, ax: Axes | None = None) -> Axes:
    """Paired differences of annual cost against the baseline, with 95 % intervals, as a forest plot.

    Left of the zero line a policy is cheaper. What reaches more than 5 times as far as the median is an
    arrow at the edge, with its interval written. The right margin, about 1.8 inches beyond the axes, gives
    every difference and the probability of being better. Returns the axes.
    """
    table, currency = comparison.differences(), comparison.scenario.currency
    names = [str(name) for name in table["policy"]]
    ax = ax or _new_axes(8.0, 0.38 * len(names) + 1.3)
    styles = policy_style([*comparison.names, *names])
    values = table[["mean", "ci_low", "ci_high"]].to_numpy(dtype=np.float64)
    limits = _difference_limits(values)
    ax.axvline(0.0, color=INK, lw=1.0, zorder=1, gid="zero")
    written = [_signed(mean, currency) for mean in values[:, 0]]
    reach = 0.075 * max((len(text) for text in (*written, "difference")), default=0)
    for row, name in enumerate(names):
        _draw_difference(ax, row, values[row], limits, styles[name], currency)
        _margin(ax, row, (written[row], _chance(float(table["p_better"].iloc[row]))), reach)
    _margin(ax, -0.75, ("difference", "P(better)"), reach, GREY)
    ax.set_xlim(*limits)
    _policy_rows(ax, names, styles)
    baseline = str(table["baseline"].iloc[0]) if len(table) else "the baseline"
    ax.set_xlabel(f"cheaper ← → dearer than {baseline}, {currency} per year")
    ax.set_title(_title(comparison), fontsize=11, parse_math=False)
    _money_ticks(ax.xaxis, currency)
    return ax


def save_figure(fig: Figure | SubFigure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as PNG, 150 dots per inch; the same figure gives the same bytes.

    path: a name that ends in .png, in a folder that exists. Returns the path. Raises ValueError where the
    name ends otherwise.
    """
    target = Path(path)
    if target.suffix.lower() != ".png":
        raise ValueError(f"save_figure: got {target.name!r}, expected a name that ends in .png")
    fig.figure.savefig(target, format="png", dpi=150, metadata={"Software": None, "Creation Time": None})
    return target


def _new_figure(width: float, height: float) -> Figure:
    fig = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(fig)
    return fig


def _new_axes(width: float, height: float) -> Axes:
    return _new_figure(width, height).subplots()


# ---------------------------------------------------------------------------------------------------- runs


def _draw_run(ax: Axes, result: Result, style: Style, limits: tuple[float, float]) -> None:
    """Everything of one run but the names of the axes and the legend."""
    low, high = limits
    timeline = result.timeline
    ax.set_xlim(0.0, result.scenario.horizon)
    span = (high - low) / (1.0 - RAIL - 0.1)
    ax.set_ylim(low - RAIL * span, high + 0.1 * span)
    _draw_steps(ax, result)
    _draw_measured(ax, timeline)
    # Solid whatever the style says: a row is one policy, and dashes would be taken for the trigger's level.
    # Steps, because accuracy is constant within a window and a row's time is the window's end.
    time, accuracy = timeline["time_days"].to_numpy(), timeline["accuracy"].to_numpy()
    ax.step(
        np.r_[0.0, time], np.r_[accuracy[:1], accuracy], where="pre", color=style.colour, lw=1.5, zorder=3,
        gid="true accuracy",
    )  # fmt: skip
    level = _trigger_level(result)
    if level is not None:
        ax.step(*level, where="post", color=INK, lw=0.8, ls=DASHED, zorder=2.5, gid="trigger level")
    _draw_alarms(ax, result)
    _note_fall(ax, result, low)
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    ax.set_yticks([tick for tick in ticks if low <= tick <= high])
    ax.tick_params(labelsize=8.5)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    summary = result.summary
    cost = _per_year(summary["annual_cost"], result.scenario.currency)
    ax.set_title(
        f"{result.policy}: mean accuracy {summary['mean_accuracy']:.3f}, {cost}",
        loc="left", fontsize=9.5, fontweight="bold", pad=3, parse_math=False,
    )  # fmt: skip
    ax.set_title(_counts(summary), loc="right", fontsize=8.5, color=GREY, pad=3)


def _draw_steps(ax: Axes, result: Result) -> None:
    """Deployments as lines over the whole height, starts of retrainings as ticks at the upper edge."""
    across = ax.get_xaxis_transform()
    for kind, low, high, colour, width, thin in (
        ("deployment", RAIL, 0.97, (GREY, PALE), 0.9, 0.35),
        ("retraining started", 0.93, 1.0, (INK, INK), 1.4, 0.6),
    ):
        times = _times(result, kind)
        many = len(times) > MANY
        ax.vlines(
            times,
            low,
            high,
            transform=across,
            colors=colour[many],
            lw=thin if many else width,
            zorder=1,
            gid=kind,
        )


def _draw_measured(ax: Axes, timeline: pd.DataFrame) -> None:
    """What the monitors measured: points, or a light line when they would run together."""
    seen = timeline[["time_days", "measured_accuracy"]].dropna()
    points = {"ls": "", "marker": "o", "ms": 2.6, "mec": "none"} if len(seen) <= 500 else {"lw": 0.6}
    ax.plot(
        seen["time_days"],
        seen["measured_accuracy"],
        color=PALE_INK,
        zorder=2,
        gid="measured accuracy",
        **points,
    )


def _draw_alarms(ax: Axes, result: Result) -> None:
    """Alarms on the rail: markers while there is room for them, a thin rug when not."""
    ax.add_patch(
        Rectangle((0, 0), 1, RAIL, transform=ax.transAxes, facecolor="#F2F2F2", edgecolor="none", zorder=3.5)
    )
    for true, height, face, edge in ((True, 0.7, INK, INK), (False, 0.27, "white", GREY)):
        times = np.array([alarm.time for alarm in result.alarms if alarm.true == true])
        if len(times) == 0:
            continue
        few = len(times) <= MANY
        # Neighbours closer than a line is wide add nothing but size to the file. Markers at the edge must not move
        # the axes: a layout that moves is another one at the second drawing, and the bytes differ.
        step = result.scenario.horizon / 1000
        times = times if few else np.unique(np.round(times / step)) * step
        ax.plot(
            times, np.full(len(times), RAIL * height), transform=ax.get_xaxis_transform(), ls="",
            marker="v" if few else "|", ms=4.0 if few else 5.0, mfc=face, mec=edge, mew=0.8 if few else 0.5,
            zorder=4, clip_on=False, in_layout=False, gid="true alarms" if true else "false alarms",
        )  # fmt: skip


def _note_fall(ax: Axes, result: Result, low: float) -> None:
    """Say how low a run goes that leaves the picture."""
    accuracy = result.timeline["accuracy"].to_numpy()
    below = np.flatnonzero(accuracy < low)
    if len(below) == 0:
        return
    stretches = np.split(below, np.flatnonzero(np.diff(below) > 1) + 1)
    at = float(max(stretches, key=len)[0] + 1) * result.scenario.window
    late = at > 0.6 * result.scenario.horizon
    ax.annotate(
        f"↓ falls to {accuracy.min():.3f}", (at, low), (-6 if late else 6, 5), textcoords="offset points",
        ha="right" if late else "left", va="bottom", fontsize=8.5, color=INK, zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0},
    )  # fmt: skip


def _limits(results: Sequence[Result]) -> tuple[float, float]:
    """Lowest and highest accuracy to show; the few that fall far deeper than the others do not count."""
    true = [result.timeline["accuracy"] for result in results]
    top = max(float(accuracy.max()) for accuracy in true)
    lows = np.array([float(accuracy.min()) for accuracy in true])
    near = _not_far(top - lows)
    values = [top, float(lows[near].min())]
    for result, kept in zip(results, near, strict=True):
        seen = result.timeline["measured_accuracy"].dropna()
        level = _trigger_level(result)
        if kept and len(seen):
            values += [float(seen.quantile(0.005)), float(seen.quantile(0.995))]
        if level is not None:
            values.append(float(np.quantile(level[1], 0.05)))
    low, high = min(values), max(values)
    margin = max(0.04 * (high - low), 0.002)
    return low - margin, high + margin


def _trigger_level(result: Result) -> tuple[Array, Array] | None:
    """Where the accuracy trigger calls: times (days) and accuracies of a step line, None without one."""
    drops = [
        monitor.level
        for monitor in _triggers(result)
        if monitor.metric == "accuracy" and monitor.rule == "threshold" and monitor.reference == "validation"
    ]
    if not drops:
        return None
    references = [
        c.fresh_accuracy if math.isnan(c.version.validation) else c.version.validation
        for c in result.champions
    ]
    levels = np.array([*references, references[-1]]) - min(drops)
    return np.array([*(c.since for c in result.champions), result.scenario.horizon]), levels


def _triggers(result: Result) -> Sequence[Monitor]:
    """The policy's own conditions where its name has some, else the scenario's triggers."""
    try:
        own = parse_policy(result.policy).triggers
    except ValueError:  # a policy that a user wrote
        own = None
    return result.scenario.triggers if own is None else own


def _times(result: Result, kind: str) -> Array:
    events = result.events
    return events.loc[events["kind"] == kind, "time_days"].to_numpy(dtype=np.float64)


def _counts(summary: pd.Series) -> str:
    retrains, alarms, false = (int(summary[key]) for key in ("retrains", "alarms", "false_alarms"))
    heard = f"{alarms:,} alarm{'' if alarms == 1 else 's'}" + (f" ({false:,} false)" if alarms else "")
    return f"{retrains:,} retraining{'' if retrains == 1 else 's'}, {heard}"


def _run_legend(results: Sequence[Result], colour: str) -> list[Artist]:
    """Entries for what the rows really show."""
    heard = {
        true: [sum(a.true == true for a in result.alarms) for result in results] for true in (True, False)
    }
    lane = {true: "lane" if max(heard[true]) <= MANY else "lane; ticks if many" for true in (True, False)}
    wanted: list[tuple[bool, str, dict[str, Any]]] = [
        (True, "true accuracy", {"color": colour, "lw": 1.5}),
        (
            any(result.timeline["measured_accuracy"].notna().any() for result in results),
            "measured accuracy",
            {"color": PALE_INK, "lw": 0, "marker": "o", "ms": 2.6, "mec": "none"},
        ),
        (
            any(_trigger_level(result) is not None for result in results),
            "accuracy trigger's level",
            {"color": INK, "lw": 0.8, "ls": DASHED},
        ),
        (
            any(len(_times(result, "retraining started")) for result in results),
            "retraining started",
            {"color": INK, "lw": 0, "marker": "|", "ms": 5, "mew": 1.4},
        ),
        (
            any(len(_times(result, "deployment")) for result in results),
            "deployment",
            {"color": GREY, "lw": 0, "marker": "|", "ms": 12, "mew": 0.9},
        ),
        (
            any(heard[True]),
            f"true alarm (upper {lane[True]})",
            {"color": INK, "lw": 0, "marker": "v", "ms": 4},
        ),
        (
            any(heard[False]),
            f"false alarm (lower {lane[False]})",
            {"color": GREY, "lw": 0, "marker": "v", "ms": 4, "mfc": "white", "mew": 0.8},
        ),
    ]
    return [Line2D([], [], label=label, **look) for present, label, look in wanted if present]


# ---------------------------------------------------------------------------------------------------- costs


def _annual_costs(comparison: Compared) -> pd.DataFrame:
    """Mean annual cost, one row a policy and one column a category that costs anything."""
    columns = [column for column in comparison.runs.columns if column.startswith("cost[")]
    mean = comparison.runs.groupby("policy", sort=False)[columns].mean().loc[comparison.names]
    mean = mean * (DAYS_PER_YEAR / comparison.scenario.horizon)
    mean.columns = pd.Index([column[len("cost[") : -1] for column in columns])
    return mean.loc[:, (mean != 0.0).any()]


def _stacked_bars(ax: Axes, parts: pd.DataFrame) -> list[BarContainer]:
    """One container a category; what is below zero (gains) is stacked to the left."""
    rows = np.arange(len(parts))
    right, left = np.zeros(len(parts)), np.zeros(len(parts))
    bars, more = [], 0
    for category in parts.columns:
        width = parts[category].to_numpy(dtype=np.float64)
        if category in CATEGORIES:
            colour, hatch = CATEGORIES[category]
        else:
            colour, hatch = MORE_CATEGORIES[more % len(MORE_CATEGORIES)]
            more += 1
        bars.append(
            ax.barh(
                rows, width, left=np.where(width < 0.0, left, right), height=0.62, color=colour, hatch=hatch,
                edgecolor="#444444", linewidth=0.5, label=category.replace("_", " "), zorder=2,
            )
        )  # fmt: skip
        right += np.maximum(width, 0.0)
        left += np.minimum(width, 0.0)
    return bars


def _break_bar(ax: Axes, row: int, patches: Sequence[Artist], limit: float) -> None:
    """Cut the bar of a row at `limit`, and mark with a torn gap that it goes on."""
    for patch in patches:
        patch.set_clip_path(Rectangle((0.0, row - 0.5), limit, 1.0, transform=ax.transData))
    x = limit * (0.93 + 0.006 * np.array([-1, 1, -1, 1, -1]))
    y = row + np.linspace(-0.42, 0.42, 5)
    for width, colour in ((5.0, INK), (3.2, "white")):
        ax.plot(x, y, color=colour, lw=width, solid_capstyle="butt", solid_joinstyle="miter", zorder=3)


def _difference_limits(values: Array) -> tuple[float, float]:
    """Ends of the axis for (policies, 3) mean and interval; each side has a third of the other at least."""
    near = values[_not_far(np.nanmax(np.abs(values), axis=1, initial=0.0))]
    low, high = float(np.nanmin(near, initial=0.0)), float(np.nanmax(near, initial=0.0))
    low, high = min(low, -high / 3), max(high, -low / 3)
    return 1.12 * low or -1.0, 1.12 * high or 1.0


def _draw_difference(
    ax: Axes, row: int, value: Array, limits: tuple[float, float], style: Style, currency: str
) -> None:
    """Mean and interval of one policy; an arrow and figures where either leaves the picture."""
    mean, low, high = value
    mark = _mark(style)
    if not math.isnan(low):
        ax.errorbar(mean, row, xerr=[[mean - low], [high - mean]], fmt="none", **WHISKER, zorder=4)
    ax.plot(mean, row, **mark, zorder=3)
    text = f"{_signed(low, currency)} to {_signed(high, currency)}"
    if math.isnan(low):
        text = _signed(mean, currency)
    for edge, arrow, side in ((limits[0], "<", "left"), (limits[1], ">", "right")):
        if limits[0] <= np.nanmin(value) if side == "left" else np.nanmax(value) <= limits[1]:
            continue
        start = mean if limits[0] < mean < limits[1] else 0.0
        ax.plot([start, edge], [row, row], color=INK, lw=1.2, ls=DOTTED, zorder=2)
        ax.plot(edge, row, **mark | {"marker": arrow, "ms": 8, "fillstyle": "full"}, clip_on=False, zorder=4)
        ax.annotate(
            text, (edge, row), (8 if side == "left" else -8, 4), textcoords="offset points", fontsize=7.5,
            ha=side, va="bottom", parse_math=False, zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )  # fmt: skip


def _margin(ax: Axes, row: float, texts: tuple[str, str], reach: float, colour: str = INK) -> None:
    """Two texts at the right of a row, the first `reach` inches wide whatever the size of the axes."""
    for text, inches in zip(texts, (reach + 0.2, reach + 0.95), strict=True):
        beside = ax.get_yaxis_transform() + ScaledTranslation(inches, 0.0, _dots(ax))
        ax.text(
            1.0, row, text, transform=beside, ha="right", va="center", fontsize=8.5, color=colour,
            parse_math=False,
        )  # fmt: skip


# ---------------------------------------------------------------------------------------------------- shared


def _not_far(sizes: Array) -> NDArray[np.bool_]:
    """Which sizes >= 0 are within FAR times the median (of two: the smaller); all where it is 0."""
    if len(sizes) == 0:
        return np.zeros(0, dtype=bool)
    typical = float(np.median(sizes)) if len(sizes) > 2 else float(sizes.min())
    return sizes <= (FAR * typical if typical > 0.0 else math.inf)


def _policy_rows(ax: Axes, names: Sequence[str], styles: dict[str, Style] | None = None) -> None:
    """Names from the top down, each with the mark of its policy."""
    styles = styles or policy_style(names)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0, pad=14, labelsize=9)
    ax.tick_params(axis="x", labelsize=8.5)
    beside = ax.get_yaxis_transform() + ScaledTranslation(-8 / 72, 0.0, _dots(ax))
    for row, name in enumerate(names):
        ax.plot(0.0, row, **_mark(styles[name]), transform=beside, clip_on=False, gid="policy")
    ax.grid(axis="x", color="#DDDDDD", lw=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _mark(style: Style) -> dict[str, Any]:
    """A policy's marker as arguments of `plot`, all of about the same area."""
    size = 6.2 * {"D": 0.85, "*": 1.5, "X": 1.15, "P": 1.2, "^": 1.1, "v": 1.1}.get(style.marker, 1.0)
    return {
        "ls": "", "marker": style.marker, "fillstyle": style.fill, "ms": size, "color": style.colour,
        "mfcalt": "white", "mec": style.colour, "mew": 1.2,
    }  # fmt: skip


def _legend_below(ax: Axes, handles: Sequence[Any]) -> None:
    """A legend at a fixed distance under the axes, with as many columns as fit their width.

    A legend wider than the axes would push them aside, at each drawing a little farther.
    """
    lengths = [len(handle.get_label()) for handle in handles]
    columns = 4
    while columns > 1 and _legend_width(lengths, columns) > _width(ax):
        columns -= 1
    under = ax.transAxes + ScaledTranslation(0.0, -0.52, _dots(ax))
    ax.legend(
        handles=list(handles), loc="upper center", bbox_to_anchor=(0.5, 0.0), bbox_transform=under,
        ncols=columns, fontsize=8.5, frameon=False, borderaxespad=0.0, handlelength=2.2, columnspacing=1.4,
    )  # fmt: skip


def _legend_width(lengths: Sequence[int], columns: int) -> float:
    """About how many inches a legend takes whose labels have so many characters."""
    split = [part for part in np.array_split(lengths, columns) if len(part)]
    return sum(0.06 * float(part.max()) + 0.52 for part in split)


def _dots(ax: Axes) -> Any:
    return ax.figure.dpi_scale_trans


def _text_share(ax: Axes, texts: Sequence[str]) -> float:
    """Share of the width of the axes that the longest text takes, at most a half."""
    longest = max((len(text) for text in texts), default=0)
    return min((0.075 * longest + 0.1) / _width(ax), 0.5)


def _width(ax: Axes) -> float:
    """Width of the axes in inches, before any layout."""
    return ax.get_window_extent().width / ax.figure.dpi


def _title(comparison: Compared) -> str:
    number = comparison.runs["replication"].nunique()
    return f"{comparison.scenario.title}, {number} replication{'' if number == 1 else 's'}"


def _per_year(amount: float, currency: str) -> str:
    return f"{format_money(amount, currency)}/y"


def _chance(probability: float) -> str:
    if math.isnan(probability):
        return "n/a"
    return "> 0.99" if probability > 0.99 else "< 0.01" if probability < 0.01 else f"{probability:.2f}"


def _signed(amount: float, currency: str) -> str:
    return ("+" if amount > 0.0 else "") + format_money(amount, currency)


def _money_ticks(axis: Axis, currency: str) -> None:
    axis.set_major_locator(MaxNLocator(6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, currency)))


def _tick(value: float, currency: str) -> str:
    """Money without zeros that say nothing: $2M for $2.00M."""
    return re.sub(r"\.0+(?=[TBM]$)|(?<=\.\d)0(?=[TBM]$)", "", format_money(value, currency))
