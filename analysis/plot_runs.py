"""Pictures of runs: accuracy, alarms, retrainings and deployments over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from analysis.plot_styles import (
    DASHED,
    GREY,
    INK,
    PALE,
    PALE_INK,
    RAIL_FILL,
    Array,
    Style,
    counted,
    legend_below,
    new_axes,
    new_figure,
    not_far,
    per_year,
    policy_style,
)
from scenarios.policies import parse_policy

if TYPE_CHECKING:
    from scenarios.monitoring import Monitor
    from sim.record import Result

MANY = 40
"""More alarms of one sort, or deployments, than this are drawn thin."""
INCIDENT = "#FBE3D6"
"""Shade of the time that a failure lasts."""
RAIL = 0.17
"""Share of a row's height that the alarms take."""


def plot_run(result: Result, ax: Axes | None = None) -> Axes:
    """One run over time: true and measured accuracy, incidents, alarms, retrainings and deployments.

    result: from `sim.run`. The x axis is days, the y axis accuracy as a fraction. Alarms stand on a rail
    below: true ones filled on its upper lane, false ones hollow on its lower lane. The dashed line is where
    an accuracy trigger calls: accuracy at validation less the threshold. Returns the axes.
    """
    ax = ax or new_axes(8.0, 3.2)
    style = policy_style([result.policy])[result.policy]
    _draw_run(ax, result, style, _limits([result]))
    ax.set_xlabel("time (days)")
    ax.set_ylabel("accuracy (fraction)")
    legend_below(ax, _run_legend([result], style.colour))
    return ax


def plot_timelines(results: Sequence[Result], fig: Figure | None = None) -> Figure:
    """The rotting asset: one row per run, in the order given, on shared axes.

    results: from `sim.run`, at least one, best of the same scenario, seed and replication; `plot_run` says
    what a row shows. A run that falls more than 5 times as deep as is usual among them leaves by the lower
    edge, with its lowest accuracy written. Returns the figure. Raises ValueError without results.
    """
    if len(results) == 0:
        raise ValueError("plot_timelines: got no results, expected at least one")
    fig = fig or new_figure(9.0, 1.45 * len(results) + 1.15)
    rows = fig.subplots(len(results), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    styles = policy_style(result.policy for result in results)
    limits = _limits(results)
    for ax, result in zip(rows, results, strict=True):
        _draw_run(ax, result, styles[result.policy], limits)
    rows[-1].set_xlabel("time (days)")
    rows[0].set_xlim(0.0, max(result.scenario.horizon for result in results))
    fig.supylabel("accuracy (fraction)", fontsize=10)
    fig.suptitle(results[0].scenario.title, fontsize=11, parse_math=False)
    legend_below(rows[-1], _run_legend(results, INK))
    return fig


def _draw_run(ax: Axes, result: Result, style: Style, limits: tuple[float, float]) -> None:
    """Everything of one run but the names of the axes and the legend."""
    low, high = limits
    timeline = result.timeline
    ax.set_xlim(0.0, result.scenario.horizon)
    span = (high - low) / (1.0 - RAIL - 0.1)
    ax.set_ylim(low - RAIL * span, high + 0.1 * span)
    for incident in result.raw_incidents:
        ax.axvspan(incident.onset.time, incident.end, color=INCIDENT, lw=0, zorder=0, gid="incident")
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
    cost = per_year(summary["annual_cost"], result.scenario.currency)
    reviewed = "" if result.review is None else " after review"  # the line is the model's own accuracy
    ax.set_title(
        f"{result.policy}: mean accuracy {summary['mean_accuracy']:.3f}{reviewed}, {cost}",
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
        Rectangle((0, 0), 1, RAIL, transform=ax.transAxes, facecolor=RAIL_FILL, edgecolor="none", zorder=3.5)
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
    near = not_far(top - lows)
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
    """The policy's own conditions where its name has some, else those of the scenario's triggers that were watched."""
    try:
        own = parse_policy(result.policy).triggers
    except ValueError:  # a policy that a user wrote
        own = None
    return [m for m in result.scenario.triggers if m.label in result.scores] if own is None else own


def _times(result: Result, kind: str) -> Array:
    events = result.events
    return events.loc[events["kind"] == kind, "time_days"].to_numpy(dtype=np.float64)


def _counts(summary: pd.Series) -> str:
    retrains, alarms, false = (int(summary[key]) for key in ("retrains", "alarms", "false_alarms"))
    heard = counted(alarms, "alarm") + (f" ({false:,} false)" if alarms else "")
    return f"{counted(retrains, 'retraining')}, {heard}"


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
            any(len(result.raw_incidents) for result in results),
            "incident",
            {"color": INCIDENT, "lw": 6},
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
