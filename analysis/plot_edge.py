"""Pictures of a fleet of devices: who has taken a release, what runs, how old it is, and what younger models cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from analysis.plot_styles import GREY, INK, PALE, legend_below, money_ticks, new_axes, policy_style, reach
from sim.edge_result import AGE_QUANTILES, EdgeResult

if TYPE_CHECKING:
    from analysis.comparison import Comparison

ADOPTED = 0.99
"""Share of the devices after which a curve of adoption has nothing more to tell."""
MOST_BANDS = 9
"""Shades; with more releases than these, neighbours share one."""


def plot_fleet_adoption(result: EdgeResult, ax: Axes | None = None) -> Axes:
    """Share of the devices that run each release or a newer one, by days since it left; of halted ones (dashed) itself.

    Waves are where a curve starts again to rise. Returns the axes.
    """
    ax = ax or new_axes(7.0, 3.6)
    table = result.adoption()
    bad = {release.name for release in result.raw_releases if release.number in result.bad}
    halted = {release.name for release in result.raw_releases if release.halted is not None}
    names = list(dict.fromkeys(table["release"]))
    for place, name in enumerate(names):
        mine = table[table["release"] == name]
        depth = 0.25 + 0.75 * (place + 1) / len(names)
        ax.plot(
            mine["days"], 100.0 * mine["share"], color="#D55E00" if name in bad else (0.0, 0.27, 0.44, depth),
            ls=(0, (4, 2)) if name in halted else "-", lw=1.4, label=_label(name, bad, halted),
        )  # fmt: skip
    ax.set(
        xlabel="time since the release left (days)", ylabel="devices on it or newer (%)", ylim=(0.0, 102.0)
    )
    spreading = table[(table["share"] < ADOPTED) & ~table["release"].isin(halted)]["days"]
    if len(spreading) and spreading.max() > 0.0:
        ax.set_xlim(0.0, 1.5 * float(spreading.max()))
    if not names:
        ax.text(0.5, 0.5, "no release left", transform=ax.transAxes, ha="center", color=GREY)
        ax.set_xlim(0.0, result.scenario.horizon)
    _entitle(ax, "Adoption of releases (darker: newer)", result.scenario.title)
    if 0 < len(names) <= 12:
        legend_below(ax, ax.get_legend_handles_labels()[0])
    return ax


def plot_version_mix(result: EdgeResult, ax: Axes | None = None) -> Axes:
    """Share of the devices on each release over time, newest on top. Returns the axes."""
    ax = ax or new_axes(8.0, 3.6)
    used = np.flatnonzero(result.shares.max(axis=0) > 0.0)
    together = np.array_split(used, min(len(used), MOST_BANDS))
    bands = [result.shares[:, numbers].sum(axis=1) for numbers in together]
    labels = [_span(result.labels[numbers[0]], result.labels[numbers[-1]]) for numbers in together]
    greys = [str(0.9 - 0.6 * place / max(len(bands) - 1, 1)) for place in range(len(bands))]
    hatches = ("", "//", "..", "\\\\", "xx", "--", "++", "oo", "||")
    areas = ax.stackplot(
        result.moments,
        [100.0 * band for band in bands],
        colors=greys,
        labels=labels,
        lw=0.4,
        edgecolor="white",
    )
    for area, hatch in zip(areas, hatches, strict=False):
        area.set_hatch(hatch)
    for release in result.raw_releases:
        if release.halted is not None:
            ax.axvline(release.halted, color="#D55E00", lw=1.0, ls=(0, (4, 2)))
    ax.set(xlabel="time (days)", ylabel="devices (%)", xlim=(0.0, result.scenario.horizon), ylim=(0.0, 100.0))
    _entitle(ax, "Versions on devices (dashed: a release is halted)", result.scenario.title)
    legend_below(ax, areas)
    return ax


def plot_ages(result: EdgeResult, ax: Axes | None = None) -> Axes:
    """Age of the models on devices over time: median and P10 to P90, days since their data cut. Returns the axes."""
    ax = ax or new_axes(8.0, 3.2)
    low, middle, high = (result.age_quantile(quantile) for quantile in AGE_QUANTILES)
    ax.fill_between(result.moments, low, high, step="mid", color=PALE, alpha=0.6, lw=0, label="P10 to P90")
    ax.step(result.moments, middle, where="mid", color=INK, lw=1.5, label="median")
    for release in result.raw_releases:
        ax.axvline(release.left, color=GREY, lw=0.6, zorder=0)
    ax.set(xlabel="time (days)", ylabel="since its data cut (days)", xlim=(0.0, result.scenario.horizon))
    ax.set_ylim(bottom=0.0)
    _entitle(ax, "Age of the models on devices (grey lines: releases leave)", result.scenario.title)
    legend_below(ax, ax.get_legend_handles_labels()[0])
    return ax


def plot_cost_of_youth(found: Comparison, ax: Axes | None = None) -> Axes:
    """Annual cost against the mean age of the models on devices, one mark a policy, with 95 % intervals.

    found: a comparison of a scenario with a fleet of devices. Returns the axes.
    """
    ax = ax or new_axes(7.0, 3.8)
    for name, style in policy_style(found.names).items():
        age, cost = found.interval(name, "model_age_mean_days"), found.interval(name, "annual_cost")
        ax.errorbar(
            age.mean, cost.mean, xerr=reach(age.half_width), yerr=reach(cost.half_width), color=style.colour,
            marker=style.marker, fillstyle=style.fill, ms=8, ls="", capsize=3, label=name,
        )  # fmt: skip
    money_ticks(ax.yaxis, found.scenario.currency)
    ax.set(xlabel="mean age of the models on devices (days)", ylabel="cost a year")
    _entitle(ax, "What younger models cost", found.scenario.title)
    legend_below(ax, ax.get_legend_handles_labels()[0])
    return ax


def _entitle(ax: Axes, what: str, scenario: str) -> None:
    """Two lines: scenarios have long titles."""
    ax.set_title(f"{what}\n{scenario}", fontsize=9.5, loc="left", parse_math=False)


def _span(first: str, last: str) -> str:
    """Name of a band of neighbouring releases.

    >>> _span("version 3", "version 3"), _span("version 3", "version 5")
    ('version 3', 'version 3 to 5')
    """
    return first if first == last else f"{first} to {last.removeprefix('version ')}"


def _label(name: str, bad: set[str], halted: set[str]) -> str:
    marks = [word for word, names in (("bad", bad), ("halted", halted)) if name in names]
    return f"{name} ({', '.join(marks)})" if marks else name
