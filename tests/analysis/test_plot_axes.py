"""Axes of pictures: when they are logarithmic, what their ticks and labels say."""

from __future__ import annotations

import pytest
from matplotlib.axes import Axes

from analysis.plot_axes import (
    COLOURS,
    MARKERS,
    MOST_TICKS,
    duration_axis,
    look_of,
    money_axis,
    rate_axis,
    round_numbers,
)
from analysis.plot_styles import new_axes


def shown(ax: Axes, which: str) -> list[str]:
    """Labels of the ticks that are within the view."""
    axis = getattr(ax, which)
    low, high = axis.get_view_interval()
    return [axis.get_major_formatter()(tick) for tick in axis.get_majorticklocs() if low <= tick <= high]


@pytest.mark.parametrize(
    ("amounts", "scale", "label", "ticks"),
    [
        ([270, 940], "linear", "cost (USD a year)", ["$300", "$600", "$900"]),
        ([0, 24_000, 96_000], "linear", "cost (USD a year)", ["$0", "$40,000", "$80,000"]),
        ([0, 0], "linear", "cost (USD a year)", ["$0"]),
        ([5, 9_000], "log", "cost, USD a year (log scale)", ["$10", "$100", "$1,000", "$10,000"]),
        ([0, 5, 90_000], "symlog", "cost, USD a year (log scale)", ["$0", "$100", "$1,000", "$10,000"]),
    ],
)
def test_money_has_a_log_scale_where_it_spans_decades(
    amounts: list[float], scale: str, label: str, ticks: list[str]
) -> None:
    ax = new_axes(5.0, 3.0)
    ax.plot(amounts, amounts)
    money_axis(ax, amounts, "cost", "USD", "a year")
    assert (ax.get_xscale(), ax.get_xlabel()) == (scale, label)
    assert set(ticks) <= set(shown(ax, "xaxis"))
    low, high = ax.get_xlim()
    assert low <= min(amounts) <= max(amounts) <= high


@pytest.mark.parametrize("wide", [False, True])
def test_what_is_wide_is_the_callers_choice(wide: bool) -> None:
    ax = new_axes(5.0, 3.0)
    money_axis(ax, [10, 150], "cost", "USD", "a year", 10.0 if wide else 20.0)
    assert ax.get_xscale() == ("log" if wide else "linear")


@pytest.mark.parametrize(
    ("low", "high"), [(1e-5, 900.0), (0.02, 0.11), (1.9, 2.3), (0.3, 40.0), (30.0, 31.0)]
)
@pytest.mark.parametrize("kind", [duration_axis, rate_axis])
def test_log_axes_have_a_few_ticks_and_say_what_they_are(low: float, high: float, kind: object) -> None:
    ax = new_axes(5.0, 3.0)
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    kind(ax.yaxis, "delay")  # type: ignore[operator]
    texts = shown(ax, "yaxis")
    assert 2 <= len(texts) == len(set(texts)) <= 11
    assert ax.get_ylabel() == "delay (log scale)"


@pytest.mark.parametrize("low", [1e-4, 0.7, 1.0, 9.9, 123.0])
@pytest.mark.parametrize("factor", [1.01, 1.3, 2.0, 9.0, 1e3, 1e9])
def test_round_numbers_are_few_and_within(low: float, factor: float) -> None:
    found = round_numbers(low, low * factor).tolist()
    assert 2 <= len(found) <= MOST_TICKS
    assert found == sorted(set(found))
    assert low * (1 - 1e-9) <= found[0]
    assert found[-1] <= low * factor * (1 + 1e-9)


def test_looks_differ_in_colour_or_marker() -> None:
    looks = [look_of(number) for number in range(len(COLOURS) * len(MARKERS))]
    assert len(set(looks)) == len(looks)
