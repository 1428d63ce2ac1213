"""How every public result prints, shows itself in a notebook, and plots with one call."""

from __future__ import annotations

import inspect
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from small_results import MAKERS, PARTS, asset, result_of

import analysis
import scenarios
import sim
from analysis.plot_panels import Panels, ShownAxes
from sim.displays import MOST_ROWS, Displayed, cell, heading, table_html
from tests.analysis.small_people import reviewed, small_ward

SLOW = ("CapacityFound", "Optimum", "OperatingCurve", "Sensitivity", "Sustained", "SustainableRate", "TrafficDelays",
        "VariantComparison", "BudgetFound")  # fmt: skip
"""Results that take longest; the others stand for them in the fast run."""
NEEDS = {"Sensitivity": "SALib", "Optimum": "optuna", "Sweep": "duckdb"}
WITHOUT_PICTURE = ("Requirement", "Space", "Design", "Variant", "Input", "Interval")


class Tags(HTMLParser):
    """Counts of rows and cells; fails on tags that do not close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[int] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def tags_of(text: str) -> Tags:
    found = Tags()
    found.feed(text)
    assert not found.open
    return found


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in MAKERS | PARTS]
)
def result(request: pytest.FixtureRequest) -> Any:
    if request.param in NEEDS:
        pytest.importorskip(NEEDS[request.param])
    return result_of(request.param)


def test_every_public_result_is_here():
    public = {name for module in (analysis, sim) for name in module.__all__}
    results = {
        name for name in public if isinstance(kind := getattr_of(name), type) and issubclass(kind, Displayed)
    }
    assert results == set(MAKERS)
    plotting = {n for n in public if inspect.isclass(kind := getattr_of(n)) and hasattr(kind, "plot")}
    assert plotting == set(MAKERS)


def getattr_of(name: str) -> Any:
    return getattr(analysis if name in analysis.__all__ else sim, name)


def test_it_prints_as_one_line_that_says_what_was_found(result):
    text = repr(result)
    assert text.startswith(f"<{type(result).__name__}: ")
    assert "\n" not in text
    assert result.headline() in text
    assert 20 < len(text) < 500
    assert "array(" not in text


def test_a_notebook_shows_a_small_table_with_units(result):
    text = result._repr_html_()
    found = tags_of(text)
    assert len(set(found.rows)) == 1, "rows of different lengths"
    assert 2 <= len(found.rows) <= MOST_ROWS + 1
    assert found.rows[0] >= 2
    assert len(text) < 12_000
    assert not re.search(r">(nan|None|-?\d+\.\d{7,})<", text)


def test_it_plots_with_one_call_and_a_notebook_shows_the_picture(result):
    found = result.plot()
    assert isinstance(found, ShownAxes | Panels)
    axes = [found] if isinstance(found, Axes) else list(found)
    assert axes
    assert all(isinstance(ax, Axes) for ax in axes)
    assert all(ax.get_xlabel() or ax.get_ylabel() or ax.texts or ax.has_data() for ax in axes)
    assert found._repr_png_().startswith(b"\x89PNG")


# ---------------------------------------------------------------- single values


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("annual_cost", 1234.5, "$1,234"),
        ("cost[incident]", 0.5, "$0.50"),
        ("mttd_hours", 2.5, "2.5 h"),
        ("work_hours", 30.0, "30 h"),
        ("gpu_hours", 96.0, "96 h"),
        ("review_hours", 96.0, "96 h"),
        ("p90_days", 0.25, "6 h"),
        ("p99_s", 0.0754, "75.4 ms"),
        ("missed_minutes", 59.0, "59 min"),
        ("mean_accuracy", 0.93216, "0.9322"),
        ("retrains", 12.0, "12"),
        ("anything", float("nan"), ""),
        ("anything", None, ""),
        ("chosen", np.True_, "yes"),
        ("anything", float("inf"), "inf"),
        ("annual_cost", float("inf"), "$inf"),
        ("rows", np.int64(123456), "123,456"),
    ],
)
def test_cells_carry_their_units(name, value, text):
    assert cell(name, value) == text


def test_people_in_the_loop_are_in_the_short_table_of_a_run():
    text = sim.run(small_ward())._repr_html_()
    assert "time in range" in text
    assert "review backlog" not in text
    text = sim.run(reviewed())._repr_html_()
    assert "cases passed unseen" in text
    assert "time in range" not in text


def test_money_is_in_the_currency_of_the_scenario():
    assert heading("annual_cost", "EUR") == "cost (EUR/y)"
    euros = sim.run(scenarios.load("rotting_asset", horizon="100d", currency="EUR"), "never")
    assert "€" in euros._repr_html_()
    assert "€" in repr(euros)


def test_what_is_in_a_table_is_text_and_no_markup():
    table = pd.DataFrame({"<b>": ["<i>"]}, index=pd.Index(["&"], name="x"))
    text = table_html(table, "<script>")
    assert "<script>" not in text
    assert "<i>" not in text
    assert "&lt;i&gt;" in text


def test_long_tables_are_cut_and_say_so():
    text = table_html(pd.DataFrame({"n": range(100)}), "long")
    assert len(tags_of(text).rows) == MOST_ROWS + 1
    assert "and 85 more rows" in text


# ---------------------------------------------------------------- keys, names, changes


def test_runs_of_a_policy_are_found_by_its_name():
    found = result_of("Comparison")
    assert list(found["never"]["policy"].unique()) == ["never"]
    assert "scheduled:90d" in found._ipython_key_completions_()
    with pytest.raises(KeyError, match="did you mean 'never'"):
        _ = found["nevr"]
    with pytest.raises(KeyError, match="did you mean 'scheduled:90d'"):
        found.values("scheduled:9d", "annual_cost")
    with pytest.raises(KeyError, match="did you mean 'annual_cost'"):
        found.values("never", "anual_cost")


@pytest.mark.slow
def test_the_picture_of_one_method():
    pytest.importorskip("SALib")
    found = result_of("Sensitivity")
    assert len(found.plot("tornado")) == len(found.plot())
    with pytest.raises(ValueError, match="no picture of 'tornados': did you mean 'tornado'"):
        found.plot("tornados")


def test_a_scenario_prints_as_one_line_and_shows_what_differs():
    found = scenarios.load("fraud_detection")
    assert repr(found) == f"<Scenario: Card fraud detection, 365 d, hash {found.hash()[:12]}>"
    assert str(found) == repr(found)
    text = found._repr_html_()
    assert "<th>quality.decay</th><td>0.02/d</td><td>required</td>" in text
    assert "pipeline.capacity" not in text
    assert len(set(tags_of(text).rows)) == 1


def test_with_takes_a_mapping_keywords_or_both_and_the_keywords_come_last():
    one = asset().with_({"quality.decay": "1%/d", "triggers[0].threshold": 0.2}, horizon="50d")
    assert (one.quality.decay, one.triggers[0].threshold, one.horizon) == (0.01, 0.2, 50.0)
    two = asset().with_(quality__decay="1%/d", triggers__0__threshold=0.2, horizon="50d")
    assert two.hash() == one.hash()
    assert asset().with_({"horizon": "10d"}, horizon="20d").horizon == 20.0
    assert asset().horizon == 200.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quality.deacy": "1%/d"}, "quality.deacy: unknown field 'deacy': did you mean 'decay'?"),
        ({"qualty.decay": "1%/d"}, "qualty: unknown field 'qualty': did you mean 'quality'?"),
        ({"quality.decay": 3}, "quality.decay: got 3 \\(a number without unit\\), expected a rate such as"),
        (
            {"triggers[7].threshold": 1},
            "triggers\\[7\\].threshold: index 7 is out of range: triggers has 1 items",
        ),
        ({"triggers.accuracy.threshold": 1}, "triggers is a list: did you mean triggers\\[0\\]\\?"),
    ],
)
def test_with_names_the_path_and_the_near_miss(changes, message):
    with pytest.raises(scenarios.ScenarioError, match=message):
        asset().with_(changes)


def test_what_is_no_scenario_no_policy_and_no_seed_is_said_so():
    for function in (sim.run, sim.run_fleet, analysis.compare, analysis.budget, analysis.capacity):
        with pytest.raises(
            TypeError, match=r"expected a Scenario, such as scenarios.load\('fraud_detection'\)"
        ):
            function("fraud_detection")
    with pytest.raises(TypeError, match="policy: got 7, expected a text such as"):
        sim.run(asset(), 7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"design: got a mapping, expected a Design, such as analysis.design"):
        analysis.sweep(asset(), {"quality.decay": ["1%/d"]})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="changes: got 5, expected values by path"):
        asset().with_(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"replications: got 1.5, expected a whole number"):
        analysis.compare(asset(), replications=1.5)  # type: ignore[arg-type]
    for seed in (-1, 1.5, "one", True):
        with pytest.raises(ValueError, match=r"seed: got .*, expected an integer >= 0"):
            sim.run(asset(), "never", seed)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"seed: got .*, expected an integer >= 0"):
            analysis.compare(asset(), seed=seed)  # type: ignore[arg-type]
    assert sim.run(asset(), "never", np.int64(3)).seed == 3


def test_one_policy_as_text_is_one_policy():
    found = analysis.compare(asset(), "scheduled:90d", replications=1, workers=1)
    assert "scheduled:90d" in found.names


def test_a_misspelt_field_of_a_scenario_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match="no attribute 'horizn', did you mean 'horizon'"):
        _ = asset().horizn


def test_one_retraining_is_one():
    asset = scenarios.load("rotting_asset", horizon="10d")
    assert repr(sim.run(asset, "scheduled:7d")).endswith(" 1 retraining>")
    assert repr(sim.run(asset, "scheduled:3d")).endswith(" 3 retrainings>")
