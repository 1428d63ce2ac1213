"""The picture of a bad week: the right week, the right bars and words, and nothing that overlaps."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from small_incidents import calm, many, minutes, scenario, staffed, week, with_work

import sim
from analysis.bad_week import incident_losses, loss_between, story_of
from analysis.incident_phases import last_moment, outcome, phases_of
from analysis.incident_rows import COLOURS, MOST_INCIDENTS
from analysis.plot_incidents import plot_incidents
from analysis.plot_styles import new_axes, save_figure
from analysis.text_rows import width_of
from analysis.week_axis import clock, moment, off_hours, ticks
from scenarios.working_hours import WorkingHours
from sim.record import Result


def figure_of(ax: Axes) -> Any:
    return ax.get_figure(root=True)


def texts(ax: Axes) -> list[Text]:
    """Words that can be seen, of all axes, those of ticks included."""
    figure_of(ax).canvas.draw()  # which names the ticks
    found = [t for t in figure_of(ax).findobj(Text) if t.get_visible() and t.get_text().strip()]
    hidden = {
        id(label)
        for each in figure_of(ax).axes
        for axis in (each.xaxis, each.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label, on in ((tick.label1, _shown(tick, axis)), (tick.label2, False))
        if not on
    }
    return [text for text in found if id(text) not in hidden]


def _shown(tick: Any, axis: Any) -> bool:
    low, high = sorted(axis.get_view_interval())
    return bool(tick.label1.get_visible() and low - 1e-9 <= tick.get_loc() <= high + 1e-9)


def words(ax: Axes) -> str:
    return "\n".join(text.get_text() for text in texts(ax))


def drawn(ax: Axes, gid: str) -> list[tuple[float, float]]:
    """Start and end of the bars of a sort."""
    bars = [p for p in ax.patches if isinstance(p, Rectangle) and p.get_gid() == gid]
    return sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars)


PICTURES = {
    "a week": lambda: week(),
    "a week with work": lambda: with_work(week()),
    "minutes": lambda: minutes(),
    "minutes with work": lambda: with_work(minutes()),
    "many": lambda: many(),
    "staffed": lambda: staffed(),
}


@pytest.fixture(params=PICTURES)
def played(request: pytest.FixtureRequest) -> Result:
    return PICTURES[request.param]()


# Which days


def test_the_week_that_cost_most_with_its_events_is_shown():
    start, stop = story_of(week())
    assert (start % 1.0, stop - start) == (0.0, 7.0)
    costs = [loss_between(week(), day, day + 7.0) for day in range(22)]
    assert loss_between(week(), start, stop) >= 0.8 * max(costs)
    assert all(start < incident.onset.time < stop for incident in week().raw_incidents[1:])


def test_losses_by_window_and_prices_are_what_incidents_cost():
    table = week().incidents
    assert incident_losses(week()).sum() + 4 * 10.0 == pytest.approx(table["loss"].sum())
    assert loss_between(week(), 0.0, 28.0) == pytest.approx(table["loss"].sum())
    assert loss_between(week(), 0.0, 9.0) == pytest.approx(table["loss"][0])


def test_a_story_of_minutes_is_shown_in_minutes():
    ax = plot_incidents(minutes())
    start, stop = ax.get_xlim()
    incident = minutes().raw_incidents[0]
    assert start < incident.onset.time
    assert incident.end < stop
    assert stop - start < 1.5 / 24.0
    assert {"09:30", "10:00", "Wed, day 2"} <= {text.get_text() for text in texts(ax)}


def test_asked_for_days_are_kept():
    ax = plot_incidents(minutes(), start=1.0, days=3.0)
    assert ax.get_xlim() == (1.0, 4.0)
    assert plot_incidents(week(), start=25.0).get_xlim() == (25.0, 28.0)
    assert "nothing broke in this time" in words(plot_incidents(week(), start=16.0, days=2.0))
    assert "no monitor called in this time" in words(plot_incidents(calm(), start=0.0))


@pytest.mark.parametrize(
    ("result", "given", "message"),
    [
        (calm, {}, "no incidents"),
        (week, {"start": 28.0}, "start: got day 28.0, expected a moment from 0 to before day 28"),
        (week, {"start": -1.0}, "expected a moment from 0"),
        (week, {"start": float("nan")}, "start: got day nan"),
        (week, {"days": 0.0}, "days: got 0.0, expected a number > 0"),
        (week, {"days": float("inf")}, "days: got inf"),
    ],
)
def test_days_that_cannot_be_shown(result, given, message):
    with pytest.raises(ValueError, match=message):
        plot_incidents(result(), **given)


# Bars and marks


@pytest.mark.parametrize("made", [week, lambda: with_work(week())], ids=["today", "with work"])
def test_each_phase_is_a_bar_from_its_start_to_its_end(made):
    result = made()
    ax = plot_incidents(result, start=8.0, days=7.0)
    for name in COLOURS:
        told = [p for i in result.raw_incidents for p in phases_of(i) if p.name == name and p.end > 8.0]
        expected = np.array(sorted((p.start, p.end) for p in told)).reshape(-1, 2)
        assert np.array(drawn(ax, f"incident: {name}")).reshape(-1, 2) == pytest.approx(expected), name
    said = words(ax)
    done = [w for w in result.work if w.end > 8.0 and f"{w.person} (" in said]
    assert len(done) > 10 if result.work else not done
    assert sorted(drawn(ax, "work")) == [pytest.approx(w) for w in sorted((w.start, w.end) for w in done)]


def test_a_bar_is_cut_at_the_edges_and_says_so():
    incident = week().raw_incidents[1]  # unseen until the schema broke, for 20 hours
    ax = plot_incidents(week(), start=9.75, days=0.25)
    assert drawn(ax, "incident: silent") == [(9.75, 10.0)]
    assert incident.onset.time < 9.75 < 10.0 < incident.end
    assert "began 6 h before" in words(ax)
    assert {line.get_gid() for line in ax.lines} >= {"began before", "goes on"}


def test_phases_have_no_gaps(played):
    for incident in played.raw_incidents:
        found = phases_of(incident)
        assert found[0].start == incident.onset.time
        assert found[-1].end == pytest.approx(last_moment(incident))
        assert all(before.end == after.start for before, after in pairwise(found))


def test_every_alarm_has_its_mark():
    ax = plot_incidents(week(), start=0.0, days=28.0)
    marks = {
        line.get_gid(): len(np.asarray(line.get_xdata())) for line in ax.lines if line.get_marker() == "v"
    }
    for gid, true in (("true alarms", True), ("false alarms", False)):
        times = [
            t for line in ax.lines if line.get_gid() == gid for t in np.asarray(line.get_xdata()).tolist()
        ]
        assert sorted(times) == [alarm.time for alarm in week().alarms if bool(alarm.true) == true]
    assert marks["true alarms"] > 0


def test_nights_and_weekends_are_shaded():
    ax = plot_incidents(week(), start=7.0, days=7.0)
    shaded = [p for p in ax.patches if p.get_gid() in ("night", "weekend")]
    assert len(shaded) == 1 + 2 + 4  # the weekend, the first morning, the last evening and four nights
    weekend = next(p for p in shaded if p.get_gid() == "weekend")
    assert (weekend.get_x(), weekend.get_x() + weekend.get_width()) == (12.0, 14.0)


# Words


def test_it_says_in_words_what_happened():
    ax = plot_incidents(with_work(minutes()))
    said = words(ax)
    for phrase in (
        "silent 10 min",
        "detected by orders",
        "waiting 7 min",
        "resolved after 45 min",
        "lost $390.01",
    ):
        assert phrase in said, phrase
    for title in ("What broke", "Who saw it", "Who worked", "What users got", "What it cost"):
        assert title in said
    assert "1 incident, $390.01 lost within 1 h; something was wrong and nobody knew for 10 min" in said
    assert "triage: data" in said


def test_rows_that_are_too_many_are_counted():
    said = words(plot_incidents(many()))
    shown = sum(f"failure_{n}\n" in said for n in range(14))
    assert shown == MOST_INCIDENTS
    assert f"and {14 - MOST_INCIDENTS} incidents more" in said
    dearest = max(many().raw_incidents, key=lambda incident: incident.loss)
    assert f"{dearest.failure.name}\n" in said


@pytest.mark.parametrize(
    "days", [None, *(pytest.param(days, marks=pytest.mark.slow) for days in (1.0, 28.0))]
)
def test_nothing_overlaps_and_all_is_in_the_picture(played, days):
    start = {None: None, 1.0: float(int(story_of(played)[0])), 28.0: 0.0}[days]
    ax = plot_incidents(played, start, days or 7.0)
    figure = figure_of(ax)
    figure.set_dpi(150)
    figure.canvas.draw()
    assert figure.get_size_inches()[1] <= 12.0
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(ax)]
    whole = figure.bbox
    for text, box in boxes:
        assert whole.x0 <= box.x0, text
        assert box.x1 <= whole.x1 + 1.0, text
        assert whole.y0 <= box.y0, text
        assert box.y1 <= whole.y1, text
    for (one, a), (other, b) in combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 1.0 or down <= 3.0, f"{one!r} and {other!r} overlap by {across:.1f} x {down:.1f}"


def test_words_of_work_are_not_on_other_bars():
    ax = plot_incidents(with_work(week()))
    figure = figure_of(ax)
    figure.canvas.draw()
    bars = [p.get_window_extent() for p in ax.patches if p.get_gid() == "work"]
    told = [
        t for t in texts(ax) if t.axes is ax and t.get_text().startswith(("triage", "repair", "rollback"))
    ]
    assert len(told) > 5
    for text in told:
        box = text.get_window_extent()
        for bar in bars:
            inside = bar.x0 <= box.x0 and box.x1 <= bar.x1
            apart = (
                box.x1 <= bar.x0 + 1 or box.x0 >= bar.x1 - 1 or box.y0 >= bar.y1 - 1 or box.y1 <= bar.y0 + 1
            )
            assert inside or apart, text.get_text()


def test_names_with_signs_of_formulas_are_shown_as_they_are():
    odd = [{"name": "$x$ a_b $", "onsets": ["3d"], "accuracy_drop": "20%"}]
    result = sim.run(scenario(title="costs $1 or $2", failures=odd))
    ax = plot_incidents(result)
    figure_of(ax).canvas.draw()
    assert "$x$ a_b $" in words(ax)
    assert "costs $1 or $2" in words(ax)


# Axes and files


def test_given_axes_get_the_rows_only():
    ax = new_axes(12.0, 6.0)
    assert plot_incidents(week(), ax=ax) is ax
    assert figure_of(ax).axes == [ax]
    assert "Mon, day 14" in words(ax)


def test_the_result_has_it_as_a_method():
    ax = minutes().plot_incidents(start=2.0, days=1.0)
    assert ax.get_xlim() == (2.0, 3.0)


def test_the_same_picture_has_the_same_bytes(tmp_path):
    files = [
        save_figure(figure_of(plot_incidents(staffed(), 9.0, 3.0)), tmp_path / f"{n}.png") for n in range(2)
    ]
    assert files[0].read_bytes() == files[1].read_bytes()


# Parts


def test_how_incidents_end_is_told_apart():
    seen, horizon = week(), 28.0
    assert outcome(seen.raw_incidents[0], horizon).startswith("resolved after 8.6 h")
    alone = {"monitors": [], "response": None}
    healed = sim.run(scenario(**alone)).raw_incidents
    assert outcome(healed[1], horizon) == "healed by itself after 1.2 d"
    assert outcome(healed[2], horizon) == "still there at the end of the run"


@pytest.mark.parametrize(("start", "stop"), [(0.0, 7.0), (3.3, 3.4), (2.39, 2.43), (0.0, 180.0), (5.0, 6.2)])
def test_ticks_are_round_and_few(start, stop):
    found = ticks(start, stop, 20)
    assert 1 < len(found) <= 21
    assert all(start - 1e-6 <= tick <= stop + 1e-6 for tick in found)
    assert np.ptp(np.diff(found)) < 1e-9
    assert all(moment(tick)[4:] == clock(tick) for tick in found)


@pytest.mark.parametrize("days", [5, 6, 7])
def test_off_hours_are_all_but_working_hours(days):
    hours = WorkingHours(days=days)
    off = off_hours(hours, 0.25, 13.75)
    for time in np.arange(0.26, 13.7, 0.013):
        assert hours.open_at(time) != any(begin <= time < end for _, begin, end in off), time


def test_widths_are_those_of_the_picture():
    ax = new_axes(4.0, 2.0)
    drawn_text = ax.text(0.0, 0.0, "silent 3.2 h, detected by clicks", fontsize=8.0)
    figure_of(ax).canvas.draw()
    inches = drawn_text.get_window_extent().width / figure_of(ax).dpi
    assert inches <= width_of("silent 3.2 h, detected by clicks", 8.0) <= 1.1 * inches


def test_the_lower_panels_say_their_units() -> None:
    labels = [ax.get_ylabel() for ax in figure_of(plot_incidents(week())).axes]
    assert labels[1:] == ["(fraction)", "(USD per hour)"]
