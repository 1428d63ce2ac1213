"""What commands say about people in the loop: runs, comparisons, variants and sweeps."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import analysis
import sim
from analysis.designs import design
from analysis.extra_figures import PEOPLE
from analysis.feasibility import run_warnings, warnings_for
from analysis.interval_text import KEY as WIDTH_KEY
from analysis.interval_text import with_width
from analysis.plot_care import plot_care, plot_care_trade
from analysis.report import run_document, run_text, save_run
from analysis.report_people import HEADINGS, care_figures
from analysis.requirements import check_comparison, parse_requirement
from analysis.sweep import sweep
from analysis.variants import compare_variants
from scenarios.schema import Scenario
from sim import care_result, review
from sim.policies import Never
from sim.record import Result
from tests.analysis.small_people import reviewed, small_ward


@pytest.fixture(scope="module")
def ward() -> Scenario:
    return small_ward()


@pytest.fixture(scope="module")
def played(ward: Scenario) -> Result:
    return sim.run(ward, "scheduled:20d")


def test_every_figure_has_a_heading():
    assert set(HEADINGS) == set(PEOPLE)
    assert len({heading for heading, _ in HEADINGS.values()}) == len(PEOPLE)


def test_a_run_tells_of_its_patients(played):
    text = run_text(played)
    assert "in range" in text
    assert "12 patients over 60 d" in text
    document = json.loads(json.dumps(run_document(played), allow_nan=False))
    assert document["care"]["figures"]["time_in_range"] == played.summary["time_in_range"]
    counted = sum(row["count"] for row in document["care"]["decisions"])
    assert played.care is not None
    assert counted == len(played.care.recommendations)
    assert [row["slice"] for row in document["care"]["slices"]] == ["all"]
    assert "review" not in document


def test_runs_say_what_their_figures_are():
    text = run_text(sim.run(reviewed()))
    assert "passed unseen: share of the uncertain decisions" in text
    first_day = run_text(sim.run(small_ward().with_(horizon="1d", care__patients__number=1)))
    assert "No recommendation yet; 1 patient over 1 d" in first_day


def test_the_picture_of_a_run_says_whose_accuracy_its_title_tells():
    assert "after review" in sim.run(reviewed()).plot().get_title(loc="left")
    assert "review" not in sim.run(reviewed().with_(review=None)).plot().get_title(loc="left")


def test_a_run_writes_its_log(played, tmp_path: Path):
    written = {file.name: file for file in save_run(played, tmp_path)}
    assert {"recommendations.parquet", "care_days.csv", "care.png", "work.csv"} <= set(written)
    assert played.care is not None
    pd.testing.assert_frame_equal(
        pd.read_parquet(written["recommendations.parquet"]), played.care.recommendations
    )
    assert len(pd.read_csv(written["care_days.csv"])) == 60


def test_the_picture_of_care_has_its_three_rows(played):
    fan, share, load = plot_care(played).axes
    assert [ax.get_ylabel() for ax in (fan, share, load)] == [
        "true systolic\npressure (mmHg)",
        "in range\n(share)",
        "per week",
    ]
    assert "less than a week" in [
        text.get_text() for text in plot_care(sim.run(small_ward().with_(horizon="3d"))).axes[2].texts
    ]
    with pytest.raises(ValueError, match="the run has no patients"):
        plot_care(sim.run(reviewed()))


def test_a_run_without_people_says_nothing_of_them():
    result = sim.run(reviewed().with_(review=None))
    assert not {"care", "review"} & set(run_document(result))
    assert result.summary[list(care_result.FIGURES)].isna().all()
    assert result.summary["reviews"] == 0.0


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        (
            {"review__deadline": None},
            "the cases bring 1.05 times the work that reviewers have hours for, and no",
        ),
        ({"review__service": "30min"}, "in the long run 68% of them or more pass their deadline unseen"),
        (
            {"review__share": 0.02, "review__error_share": 0.9},
            "expected share of at least 9%, or error_share of at most 20%",
        ),
    ],
)
def test_reviews_that_cannot_be_are_told(changes, warning):
    assert [w for w in warnings_for(reviewed().with_(**changes), [], 30) if warning in w]
    never = Never()
    assert [w for w in run_warnings(reviewed().with_(**changes), never, never) if warning in w]
    enough = reviewed().with_(review__reviewers=2)
    assert not [w for w in warnings_for(enough, [], 30) if w.startswith("review")]


def test_a_comparison_shows_reviewers():
    found = analysis.compare(reviewed(), ["never"], replications=2, workers=1)
    text = str(found)
    assert "passed unseen" in text
    assert "in range" not in text
    entry = found.to_dict()["policies"][0]
    assert entry["review_wait_hours"]["mean"] == found.interval("never", "review_wait_hours").mean
    assert "time_in_range" not in entry
    assert not care_figures(found)
    with pytest.raises(ValueError, match="no run has patients"):
        plot_care_trade(found)
    assert set(review.FIGURES) & set(found.table().columns)
    (check,) = check_comparison(found, [parse_requirement("review_wait_p95_hours.mean < 8h for never")])
    assert check.requirement.limit == 8.0
    assert parse_requirement("time_in_range.mean > 65% for never").limit == 0.65


def test_variants_show_what_bounds_trade(ward):
    found = compare_variants(ward, ["base", "tight", "free"], replications=3, workers=1)
    assert not [note for note in found.warnings if "changes care" in note]
    table = found.table()
    assert table.loc[["tight", "base", "free"], "acted_at_once"].is_monotonic_increasing
    assert table.loc["free", "acted_at_once"] == 1.0
    assert table.loc["tight", "reviews_per_week"] > table.loc["base", "reviews_per_week"]
    assert table.loc["free", "reviews_per_week"] == 0.0
    assert "clinician h/wk" in str(found)
    for column, form in (("time_in_range", ".1%"), ("clinician_hours_per_week", ".1f")):
        shown = with_width(found.interval("free", column), form)
        assert "±" in shown
        assert shown in str(found)
    assert WIDTH_KEY in str(found)
    in_range, *_ = plot_care_trade(found).axes
    drawn = [tuple(bars.lines[0].get_xydata()[0]) for bars in in_range.containers]
    assert drawn == [
        (
            found.interval(name, "clinician_hours_per_week").mean,
            100.0 * found.interval(name, "time_in_range").mean,
        )
        for name in found.names
    ]
    assert list(care_figures(found)) == ["care.png"]
    assert {"time_in_range", "alerts_per_week"} <= set(found.to_dict()["variants"][0])


def test_a_sweep_over_bounds_shows_the_trade(ward, tmp_path: Path):
    plan = design(ward, {"care.bounds.step": [0, 1, "none"]})
    found = sweep(ward, plan, ["never"], folder=tmp_path / "sweep", replications=2, workers=1)
    table = found.table()
    assert table["acted_at_once"].is_monotonic_increasing
    assert table["reviews_per_week"].is_monotonic_decreasing
    assert "at once" in str(found)
