"""The picture of a monitoring budget says what its tables say."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.axes import Axes
from small_budgets import few_layers

from analysis.monitoring_budget import BudgetFound, budget


@pytest.fixture(scope="module")
def found() -> BudgetFound:
    return budget(few_layers(), replications=3, workers=1)


def by_gid(ax: Axes) -> dict[str, Any]:
    return {str(line.get_gid()): line for line in ax.lines}


def test_perfect_monitoring_is_drawn_at_its_cost_and_loss(found: BudgetFound) -> None:
    lines = by_gid(found.plot())
    totals = {
        name: float(lines[name].get_xdata()[0] + lines[name].get_ydata()[0])
        for name in ("recommended", "perfect")
    }
    # So that the value of perfect monitoring can be read: the difference of cost and loss together.
    assert totals["recommended"] - totals["perfect"] == pytest.approx(found.value_of_perfect().mean)
    assert lines["perfect"].get_label() == "watched perfectly (free, never errs)"


def test_the_recommended_plan_does_not_hide_its_point(found: BudgetFound) -> None:
    lines = by_gid(found.plot())
    assert lines["recommended"].get_markerfacecolor() == "none"
    assert lines["recommended"].get_xdata()[0] in lines["frontier"].get_xdata()


def test_a_short_frontier_is_named_and_the_title_says_what_it_is(
    found: BudgetFound, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(found.frontier())
    monkeypatch.setattr("analysis.plot_budget.NAMED", count)
    ax = found.plot()
    assert len(ax.texts) == count
    for text, plan in zip(ax.texts, found.frontier()["plan"], strict=True):
        bought = [choice for choice in plan.split(", ") if not choice.endswith("=off")]
        assert all(choice in text.get_text().replace("\n", " ") for choice in bought)
    assert ax.get_title(loc="left") == f"Efficient frontier of monitoring: {found.scenario.title}"
    monkeypatch.setattr("analysis.plot_budget.NAMED", count - 1)
    few = {text.get_text().replace("\n", " ") for text in found.plot().texts}
    assert few < {text.get_text().replace("\n", " ") for text in ax.texts}
    recommended = found.plans[found.recommended].name
    assert any(all(part in text for part in recommended.split(", ") if "=off" not in part) for text in few)


def test_intervals_of_losses_do_not_reach_below_nothing(found: BudgetFound) -> None:
    assert (found.frontier()["loss_low"] < 0.0).any()
    bars = [path.vertices[:, 1].min() for one in found.plot().collections for path in one.get_paths()]
    assert min(bars) == pytest.approx(0.0)
