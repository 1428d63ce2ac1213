"""Pictures of runs, comparisons and backtests: what happened over time, what it cost, and who is cheaper.

A function takes data and optional axes, draws on them and returns them; without axes it makes a figure of its
own with an Agg canvas, so pyplot's state is never touched.
"""

from __future__ import annotations

from analysis.detection_quality import plot_quality
from analysis.plot_comparisons import CATEGORIES, MORE_CATEGORIES, Compared, plot_costs, plot_differences
from analysis.plot_drift import plot_drift
from analysis.plot_edge import plot_ages, plot_cost_of_youth, plot_fleet_adoption, plot_version_mix
from analysis.plot_replays import plot_replays
from analysis.plot_runs import MANY, plot_run, plot_timelines
from analysis.plot_styles import INK, Style, policy_style, save_figure

__all__ = [
    "CATEGORIES",
    "INK",
    "MANY",
    "MORE_CATEGORIES",
    "Compared",
    "Style",
    "plot_ages",
    "plot_cost_of_youth",
    "plot_costs",
    "plot_differences",
    "plot_drift",
    "plot_fleet_adoption",
    "plot_quality",
    "plot_replays",
    "plot_run",
    "plot_timelines",
    "plot_version_mix",
    "policy_style",
    "save_figure",
]
