"""One bad week as a story: what broke, who saw it, who worked on it, what changed, what users got and what it cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.bad_week import Array, incident_losses, loss_between, overlapping, story_of
from analysis.incident_phases import SILENT, brief, phases_of
from analysis.incident_rows import Frame, Section, sections
from analysis.plot_panels import ShownAxes
from analysis.plot_styles import DASHED, GREY, INK, counted, money_ticks, new_figure
from analysis.text_rows import shortened, width_of
from analysis.week_axis import moment, off_hours, shade, week_axis, weekday
from scenarios.units import HOURS_PER_DAY, format_money
from scenarios.working_hours import WorkingHours
from sim.record import Result

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 12.0, 1.95, 0.3, 0.78, 0.62
"""Inches: the figure, and what is around its axes."""
PANEL, GAP, HEADER = 0.92, 0.3, 0.23
LOSS = "#D55E00"


def plot_incidents(
    result: Result, start: float | None = None, days: float = 7.0, ax: Axes | None = None
) -> Axes:
    """The incidents of some days: phases, alarms, people at work and changes, above accuracy and loss per hour.

    result: from `sim.run`. start: the first day to show; None for the time in which incidents cost most, shortened to
    the hours around them where they are over in less than a day. days: length, > 0. The x axis has weekdays and
    hours (day 0 is a Monday at midnight); time outside working hours is shaded. The figure is at most 12 inches tall.
    On axes that are given, about 10 inches wide and as tall as there are rows, the two lower panels are left out.
    Returns the axes of the rows. Raises ValueError for a run without incidents when start is None, or a time outside
    of the run.
    """
    first, stop = story_of(result, start, days)
    own = ax is None
    if ax is None:
        figure = new_figure(WIDTH, 4.0)
        figure.set_layout_engine("none")  # places are computed, so that words fit
        ax = figure.add_axes((LEFT / WIDTH, 0.2, (WIDTH - LEFT - RIGHT) / WIDTH, 0.6), axes_class=ShownAxes)
    frame = Frame(ax, result, first, stop, ax.get_window_extent().width / ax.figure.dpi)
    parts = sections(frame)
    height = sum(HEADER + sum(row.inches for row in part.rows) for part in parts)
    panels = _lay_out(ax, height) if own else []
    _draw_sections(frame, parts, height)
    hours = _hours(result)
    for each in (ax, *panels):
        shade(each, hours, first, stop)
        week_axis(each, first, stop, frame.inches)
        if panels and each is not panels[-1]:
            each.tick_params(axis="x", which="both", bottom=False, labelbottom=False)
    if panels:
        _draw_accuracy(frame, panels[0])
        _draw_loss(frame, panels[1])
    _name_off_hours(frame, hours)
    _title(frame)
    return ax


def _lay_out(ax: Axes, height: float) -> list[Axes]:
    """Give the figure its height, the rows their place, and two panels theirs below."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    total = TOP + height + 2 * (GAP + PANEL) + BOTTOM
    figure.set_size_inches(WIDTH, total)
    left, width = LEFT / WIDTH, (WIDTH - LEFT - RIGHT) / WIDTH
    low = BOTTOM + 2 * PANEL + 2 * GAP
    ax.set_position((left, low / total, width, height / total))
    return [
        figure.add_axes((left, bottom / total, width, PANEL / total))
        for bottom in (BOTTOM + PANEL + GAP, BOTTOM)
    ]


def _draw_sections(frame: Frame, parts: Sequence[Section], height: float) -> None:
    """Rows from top to bottom; the unit of height is an inch."""
    ax = frame.ax
    ax.set_xlim(frame.start, frame.stop)
    ax.set_ylim(height, 0.0)
    ax.set_yticks([])
    ax.spines[["top", "right"]].set_visible(False)
    y = 0.0
    for part in parts:
        if y > 0.0:
            ax.axhline(y, color="#BBBBBB", lw=0.6, zorder=1)
        _beside(frame, y + 0.55 * HEADER, part.title, 9.0, weight="bold")
        _key(frame, y + 0.55 * HEADER, part.key)
        y += HEADER
        for row in part.rows:
            row.draw(y)
            _beside(frame, y + (0.66 if row.inches > 0.3 else 0.5) * row.inches, row.label, 8.5)
            y += row.inches


def _beside(frame: Frame, y: float, text: str, size: float, weight: str = "normal") -> None:
    """Words to the left of the axes."""
    text = shortened(text, size, LEFT - 0.25)
    frame.ax.annotate(
        text, (0.0, y), xycoords=("axes fraction", "data"), xytext=(-6, 0), textcoords="offset points",
        ha="right", va="center", fontsize=size, weight=weight, color=INK, parse_math=False, annotation_clip=False,
    )  # fmt: skip


def _key(frame: Frame, y: float, entries: Sequence[tuple[str, str, str]]) -> None:
    """What marks mean, in one line."""
    line, place = frame.line(y), 0.12
    for marker, face, words in entries:
        edge = face if marker == "s" and face not in (INK, "white") else INK
        size = 6.5 if edge == face and face != INK else 4.5
        frame.ax.plot(
            line.days(place),
            y,
            ls="",
            marker=marker,
            ms=size,
            mfc=face,
            mec=edge,
            mew=0.8,
            zorder=4,
            gid="key",
        )
        frame.ax.text(
            line.days(place + 0.1), y, words, fontsize=8.0, color=GREY, va="center_baseline", zorder=5,
            parse_math=False,
        )  # fmt: skip
        place += width_of(words, 8.0) + 0.38


def _draw_accuracy(frame: Frame, ax: Axes) -> None:
    """Accuracy as users met it, and what it would have been without incidents."""
    result = frame.result
    times, here = _windows(frame)
    weights = np.array(result.scenario.slice_weights)
    served = np.ones(len(result.requests)) if result.served is None else result.served
    got = (weights @ result.accuracy) * served
    whole = weights @ (result.accuracy if result.unharmed is None else result.unharmed)
    ax.step(times, _stepped(whole[here]), where="pre", color=GREY, lw=1.0, ls=DASHED, gid="without incidents")
    ax.step(times, _stepped(got[here]), where="pre", color=INK, lw=1.5, gid="accuracy served")
    low, high = float(min(got[here].min(), whole[here].min())), float(max(got[here].max(), whole[here].max()))
    margin = max(0.12 * (high - low), 0.005)
    ax.set_ylim(low - margin, high + margin)
    lost = bool((served[here] < 1.0).any())
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.set_ylabel("(fraction)", fontsize=7.5, color=GREY)
    _panel(
        ax,
        "What users got",
        "accuracy" + (", with requests that were not served as 0" if lost else " served"),
    )
    _note(ax, [("without incidents", GREY, DASHED), ("as served", INK, "solid")])


def _draw_loss(frame: Frame, ax: Axes) -> None:
    """Money that incidents lost per hour, with the worst of it in words."""
    result, currency = frame.result, frame.result.scenario.currency
    times, here = _windows(frame)
    losses = incident_losses(result)[here] / (result.scenario.window * HOURS_PER_DAY)
    ax.fill_between(times, _stepped(losses), step="pre", color=LOSS, lw=0, alpha=0.8, gid="loss per hour")
    top = float(losses.max())
    ax.set_ylim(0.0, 1.3 * top if top > 0.0 else 1.0)
    money_ticks(ax.yaxis, currency)
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.set_ylabel(f"({currency} per hour)", fontsize=7.5, color=GREY)
    _panel(ax, "What it cost", "loss per hour")
    words = "nothing was lost on accuracy or requests"
    if top > 0.0:
        worst = int(np.argmax(losses))
        at = f", {moment((here.start + worst) * result.scenario.window)}" if worst else ""
        words = f"at worst {format_money(top, currency)} an hour{at}"
    prices = sum(
        i.failure.cost
        for i in overlapping(result, frame.start, frame.stop)
        if frame.within(i.onset.time) and i.failure.cost > 0.0
    )
    words += f"; besides, {format_money(prices, currency)} of fixed prices" if prices else ""
    ax.annotate(
        words, (1.0, 1.0), xycoords="axes fraction", xytext=(-4, 3), textcoords="offset points", ha="right",
        va="bottom", fontsize=8.0, color=GREY, parse_math=False,
    )  # fmt: skip


def _windows(frame: Frame) -> tuple[Array, slice]:
    """Edges of the windows that are shown (days), and which they are."""
    window, count = frame.result.scenario.window, frame.result.scenario.windows
    first = min(int(frame.start / window + 1e-9), count - 1)
    stop = max(min(int(np.ceil(frame.stop / window - 1e-9)), count), first + 1)
    return np.asarray(np.arange(first, stop + 1) * window), slice(first, stop)


def _stepped(values: Array) -> Array:
    """A value for each edge of windows, for steps that end there."""
    return np.concatenate([values[:1], values])


def _panel(ax: Axes, title: str, label: str) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(axis="y", labelsize=8)
    for text, across, side, weight, colour in (
        (title, -6, "right", "bold", INK),
        (label, 6, "left", "normal", GREY),
    ):
        ax.annotate(
            text, (0.0, 1.0), xycoords="axes fraction", xytext=(across, 4), textcoords="offset points", ha=side,
            va="bottom", fontsize=9.0 if weight == "bold" else 8.0, weight=weight, color=colour,
        )  # fmt: skip


def _note(ax: Axes, lines: Sequence[tuple[str, str, object]]) -> None:
    """A legend in the line above a panel."""
    handles = [Line2D([], [], color=colour, ls=style, lw=1.3, label=name) for name, colour, style in lines]
    ax.legend(
        handles=handles, loc="lower right", bbox_to_anchor=(1.0, 0.97), ncols=len(handles), fontsize=8.0,
        frameon=False, borderaxespad=0.0, labelcolor=GREY, handlelength=2.0,
    )  # fmt: skip


def _name_off_hours(frame: Frame, hours: WorkingHours) -> None:
    """The words night and weekend above the axes, where there is room."""
    line = frame.line(-0.09)
    for name, begin, end in off_hours(hours, frame.start, frame.stop):
        line.write_inside(name, begin, end, 7.5, color=GREY)


def _title(frame: Frame) -> None:
    """What is shown and what it came to."""
    result, start, stop = frame.result, frame.start, frame.stop
    told = overlapping(result, start, stop)
    lost = format_money(loss_between(result, start, stop), result.scenario.currency)
    silent = _together(
        [
            (max(phase.start, start), min(phase.end, stop))
            for i in told
            for phase in phases_of(i)
            if phase.name == SILENT and phase.end > start and phase.start < stop
        ]
    )
    length = stop - start
    begin, end = (
        (f"{weekday(int(start))}", f"{weekday(int(np.ceil(stop)) - 1)}")
        if length > 1.5
        else (f"{moment(start)}, day {int(start)}", moment(stop))
    )
    head = f"{result.scenario.title}: {begin} to {end}"
    unknown = f"; something was wrong and nobody knew for {brief(silent)}" if silent else ""
    body = (
        f"{counted(len(told), 'incident')}, {lost} lost within {brief(length)}{unknown}. "
        f"Policy {result.policy}, replication {result.replication}."
    )
    for text, size, weight, up in ((head, 11.5, "bold", 34), (body, 9.0, "normal", 18)):
        frame.ax.annotate(
            shortened(text, 1.03 * size, frame.inches + 1.5), (0.0, 1.0), xycoords="axes fraction",
            xytext=(-0.9 * 72 * (LEFT - 0.2), up), textcoords="offset points", ha="left", va="bottom",
            fontsize=size, weight=weight, color=INK, parse_math=False,
        )  # fmt: skip


def _together(spans: Sequence[tuple[float, float]]) -> float:
    """Length that some spans cover, once where they overlap.

    >>> _together([(0.0, 2.0), (1.0, 3.0), (5.0, 6.0)])
    4.0
    """
    total, reached = 0.0, -np.inf
    for begin, end in sorted(spans):
        total += max(end - max(begin, reached), 0.0)
        reached = max(reached, end)
    return total


def _hours(result: Result) -> WorkingHours:
    """Working hours of the people on call where the scenario has them, else the usual ones."""
    on_call = getattr(result.scenario.response, "on_call", None)
    found = getattr(on_call, "hours", None)
    return found if isinstance(found, WorkingHours) else WorkingHours()
