"""The picture of detection delays: by failure mode and layer (or monitor), and what each layer costs and gets wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from analysis.plot_axes import LOG, duration_axis, duration_ticks, look_of, money_axis, plain
from analysis.plot_styles import PALE_INK, RAIL_FILL, new_figure
from scenarios.failures import Failure

if TYPE_CHECKING:
    from analysis.detection_delay import DetectionDelays

SEEN = 0.9
"""A mean delay of fewer of the incidents than this is drawn hollow."""
HOLLOW = f"hollow: fewer than {100 * SEEN:g} % were detected"
WIDTH, TALLEST = 11.0, 12.0
"""Inches."""
ROW, BELOW = 0.19, 4.0
"""Inches of a row where there is room, and of what is under the rows."""
ONE_COLUMN = 24
"""Rows that are still put into one column."""
FAR_APART = 10.0
"""Costs of layers that differ by more than this factor have a log scale."""


def plot_delays(found: DetectionDelays) -> Figure:
    """Median and 90 % delay of each failure mode and layer; delay and false alarms of each layer against its cost."""
    columns = _columns(found)
    rows = max(_height(found, failures) for failures in columns)
    figure = new_figure(WIDTH, min(ROW * rows + BELOW + 0.7, TALLEST))
    grid = figure.add_gridspec(2, 1, height_ratios=[figure.get_figheight() - BELOW, BELOW])
    above, below = figure.add_subfigure(grid[0]), figure.add_subfigure(grid[1])
    share = None
    for number, failures in enumerate(columns):
        share = above.add_subplot(1, len(columns), number + 1, sharex=share)
        plot_by_failure(found, share, failures)
        share.set_ylim(rows - 0.5, -0.5)
    title = f"{found.scenario.title}: each {found.by} alone"
    above.axes[0].set_title(title, fontsize=10, loc="left", parse_math=False)
    left, right = below.subplots(1, 2)
    plot_delay_against_cost(found, left)
    handles = plot_false_alarms_against_cost(found, right)
    below.legend(
        handles=handles, loc="outside lower center", ncols=min(len(handles), 8), fontsize=8.5, frameon=False,
        columnspacing=1.4, handletextpad=0.5,
    )  # fmt: skip
    return figure


def plot_by_failure(found: DetectionDelays, ax: Axes, failures: Sequence[Failure]) -> Axes:
    """Under the name of each failure mode a row a layer: mark at the median, line to the 90 % quantile, 'blind'."""
    table = found.table()
    looks = _looks(found)
    known = table[["median_days", "p90_days"]].to_numpy().ravel()
    known = known[known > 0.0]
    low, high = (known.min() / 2.0, known.max() * 2.0) if len(known) else (1e-2, 1e2)
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    within = blended_transform_factory(ax.transAxes, ax.transData)
    places, names = [], []
    place = 0
    for failure in failures:
        ax.axhspan(place - 0.5, place + 0.5, color=RAIL_FILL, lw=0)
        ax.text(
            0.01, place, failure.name, transform=within, va="center", fontsize=8, weight="bold", parse_math=False
        )  # fmt: skip
        for row in table[table["failure"] == failure.name].to_dict("records"):
            place += 1
            places.append(place)
            names.append(row[found.by])
            median, late = row["median_days"], row["p90_days"]
            if np.isnan(median):
                text = "blind" if row["blind"] else "not half of them" if row["incidents"] else "no incident"
                ax.text(
                    0.01, place, text, transform=within, va="center", fontsize=7, color=PALE_INK, style="italic"
                )  # fmt: skip
                continue
            colour, marker = looks[row[found.by]]
            # Fewer than 90 % were detected: the line runs off the picture.
            ax.plot([median, high if np.isnan(late) else late], [place, place], lw=1.4, color=colour)
            ax.plot([median], [place], ms=5, ls="", color=colour, marker=marker)
        place += 1
    plain(ax)
    ax.set_yticks(places, names, fontsize=7.5)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(f"median time from onset to detection, line to 90 %{LOG}", fontsize=9)
    duration_ticks(ax.xaxis, low, high)
    return ax


def plot_delay_against_cost(found: DetectionDelays, ax: Axes) -> Axes:
    """Mean delay of the detected incidents of all failure modes that a layer can see, against its cost."""
    everything = [failure.name for failure in found.scenario.failures]
    costs = found.costs().set_index(found.by)
    for group, (colour, marker) in _looks(found).items():
        delay = found.runs.delays(group, everything)
        if np.isnan(delay["mean_detected_days"]):
            continue
        seen = delay["undetected_share"] <= 1.0 - SEEN
        ax.errorbar(
            costs.loc[[group], "cost_per_month"].to_numpy(), [delay["mean_detected_days"]],
            xerr=bars(costs.loc[[group]], "cost_per_month", "cost_low", "cost_high"),
            yerr=bars(pd.DataFrame([delay]), "mean_detected_days", "mean_low", "mean_high"),
            marker=marker, ms=5.5, color=colour, mfc=colour if seen else "white", capsize=2, lw=1.0,
        )  # fmt: skip
    ax.set_yscale("log")
    duration_axis(ax.yaxis, "mean delay of the detected")
    _cost_axis(found, ax)
    plain(ax)
    ax.set_title(HOLLOW, fontsize=8, loc="left", color=PALE_INK)
    return ax


def plot_false_alarms_against_cost(found: DetectionDelays, ax: Axes) -> list[Any]:
    """False alarms in 30 days of each layer, with their interval, against its cost. Returns what a legend needs."""
    costs = found.costs()
    handles = []
    for group, (colour, marker) in _looks(found).items():
        row = costs[costs[found.by] == group]
        handles.append(
            ax.errorbar(
                row["cost_per_month"], row["false_alarms_per_month"],
                xerr=bars(row, "cost_per_month", "cost_low", "cost_high"),
                yerr=bars(row, "false_alarms_per_month", "false_low", "false_high"),
                marker=marker, ms=5.5, color=colour, ls="", capsize=2, lw=1.0, label=group,
            )
        )  # fmt: skip
    ax.set_ylabel("false alarms in 30 days")
    ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
    _cost_axis(found, ax)
    plain(ax)
    return handles


def bars(rows: pd.DataFrame, value: str, low: str, high: str) -> Any:
    """Error bars (2, rows); none where there is no interval."""
    middle = rows[value].to_numpy(dtype=np.float64)
    bounds = [rows[name].to_numpy(dtype=np.float64) for name in (low, high)]
    return np.maximum(np.nan_to_num(np.vstack([middle - bounds[0], bounds[1] - middle])), 0.0)


def _cost_axis(found: DetectionDelays, ax: Axes) -> None:
    costs = found.costs().set_index(found.by).loc[list(found.groups), "cost_per_month"]
    money_axis(ax, costs, "cost of monitoring", found.scenario.currency, "in 30 days", FAR_APART)


def _looks(found: DetectionDelays) -> dict[str, tuple[str, str]]:
    return {group: look_of(number) for number, group in enumerate(found.groups)}


def _columns(found: DetectionDelays) -> list[list[Failure]]:
    """Failure modes of each column: one, or two of about the same height."""
    failures = list(found.scenario.failures)
    half = (len(failures) + 1) // 2
    both = len(failures) > 1 and _height(found, failures) > ONE_COLUMN
    return [failures[:half], failures[half:]] if both else [failures]


def _height(found: DetectionDelays, failures: Sequence[Failure]) -> int:
    """Rows that they take, with their names."""
    return len(failures) * (len(found.groups) + 1)
