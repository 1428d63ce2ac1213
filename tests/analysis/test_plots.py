from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from scipy.special import stdtrit

import scenarios
import sim
from analysis import plots
from analysis.plots import plot_costs, plot_differences, plot_run, plot_timelines, policy_style, save_figure
from sim.monitoring import Alarm

POLICIES = ["never", "scheduled:7d", "scheduled:1d", "triggered", "continuous:1d", "oracle"]
BASELINE = "scheduled:7d"
REPLICATIONS = 4
KINDS = [
    "never",
    "scheduled:1d",
    "triggered",
    "hybrid:3d",
    "continuous:1d",
    "cost-aware",
    "random:4",
    "oracle",
]
OWN = "when-the-moon-is-full"


def stand_in(scenario: Any, runs: pd.DataFrame, names: Sequence[str], baseline: str) -> SimpleNamespace:
    """What plots need of a comparison, worked out apart from the code that makes comparisons."""

    def differences() -> pd.DataFrame:
        wide = runs.pivot(index="replication", columns="policy", values="annual_cost")
        rows = []
        for name in names:
            if name != baseline:
                gap = wide[name] - wide[baseline]
                mean, half = gap.mean(), t_half_width(gap)
                rows.append((name, baseline, mean, mean - half, mean + half, (gap < 0).mean()))
        return pd.DataFrame(rows, columns=["policy", "baseline", "mean", "ci_low", "ci_high", "p_better"])

    return SimpleNamespace(scenario=scenario, names=list(names), runs=runs, differences=differences)


def t_half_width(values: pd.Series) -> float:
    n = len(values)
    return float(stdtrit(n - 1, 0.975) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else np.nan


def played(scenario: Any, names: Sequence[str], replications: int, baseline: str) -> SimpleNamespace:
    rows = []
    for name in names:
        for number in range(replications):
            result = sim.run(scenario, name, replication=number)
            costs = {f"cost[{category}]": cost for category, cost in result.costs.items()}
            rows.append({"policy": name, "replication": number, **result.summary, **costs})
    return stand_in(scenario, pd.DataFrame(rows), names, baseline)


def changed(comparison: SimpleNamespace, change: Callable[[pd.DataFrame], None]) -> SimpleNamespace:
    """A copy with other runs."""
    runs = comparison.runs.copy()
    change(runs)
    return stand_in(comparison.scenario, runs, comparison.names, BASELINE)


@pytest.fixture(scope="module")
def comparison() -> SimpleNamespace:
    return played(scenarios.load("fraud_detection", horizon="60d"), POLICIES, REPLICATIONS, BASELINE)


@pytest.fixture(scope="module")
def rotting() -> list[Any]:
    scenario = scenarios.load("rotting_asset")
    return [sim.run(scenario, name) for name in ("never", "scheduled:90d", "triggered")]


@pytest.fixture(scope="module")
def noisy() -> Any:
    """A steady world with a nervous monitor: many false alarms."""
    scenario = scenarios.load("fraud_detection", horizon="60d").with_(
        quality__decay="0/d",
        drift=[],
        triggers=[],
        monitors=[{"metric": "feature_drift_psi", "threshold": 0.022, "rows": 1000, "cooldown": "1h"}],
    )
    return sim.run(scenario, "never")


def bars_of(ax: Axes) -> list[BarContainer]:
    return [container for container in ax.containers if isinstance(container, BarContainer)]


def whiskers_of(ax: Axes) -> np.ndarray[Any, Any]:
    """Ends of the error bars, (policies, 2)."""
    (container,) = (
        c for c in ax.containers if isinstance(c, ErrorbarContainer) and not c.get_label().startswith("_")
    )
    return np.array([segment[:, 0] for segment in container.lines[2][0].get_segments()])


def legend_of(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def texts_of(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def artist(ax: Axes, gid: str) -> Any:
    found = [child for child in ax.get_children() if child.get_gid() == gid]
    assert len(found) <= 1
    return found[0] if found else None


def row_marks(ax: Axes) -> list[tuple[Any, str, Any]]:
    """Marker, colour and fill beside each policy's name, top down."""
    found = [line for line in ax.lines if line.get_gid() == "policy"]
    found.sort(key=lambda line: line.get_ydata()[0])
    return [(line.get_marker(), to_hex(line.get_color()), line.get_fillstyle()) for line in found]


# styles


def test_a_kind_keeps_its_colour_whatever_else_is_in_the_picture():
    together = policy_style([*KINDS, "scheduled:30d", "random~triggered", OWN])
    for name, style in together.items():
        assert policy_style([name])[name].colour == style.colour
    assert together["scheduled:30d"].colour == together["scheduled:1d"].colour
    assert together["random~triggered"].colour == together["random:4"].colour
    modified = policy_style(["triggered+cooldown=7d", "hybrid:3d:psi>0.2"])
    assert modified["triggered+cooldown=7d"].colour == together["triggered"].colour
    assert modified["hybrid:3d:psi>0.2"].colour == together["hybrid:3d"].colour


def test_kinds_differ_in_colour_and_without_colour():
    styles = policy_style([*KINDS, OWN]).values()
    for trait in ("colour", "marker", "hatch"):
        assert len({getattr(style, trait) for style in styles}) == len(KINDS) + 1
    assert len({(style.line, style.marker) for style in styles}) == len(KINDS) + 1


def test_thirty_of_a_kind_can_be_told_apart():
    names = [f"scheduled:{days}d" for days in range(1, 31)]
    styles = policy_style(names)
    assert {style.colour for style in styles.values()} == {"#E69F00"}
    assert len({(style.fill, style.line) for style in styles.values()}) == 30
    assert len({(style.fill, style.hatch) for style in styles.values()}) == 6


def test_a_name_given_twice_has_one_style():
    once, twice = policy_style(["never", "oracle"]), policy_style(["never", "never", "oracle"])
    assert once == twice


def test_categories_have_hatches_of_their_own_and_no_colour_of_a_policy():
    looks = [*plots.CATEGORIES.values(), *plots.MORE_CATEGORIES]
    assert len({hatch for _, hatch in looks}) == len(looks)
    policies = {style.colour for style in policy_style([*KINDS, OWN]).values()}
    assert policies.isdisjoint(colour for colour, _ in looks)


# runs


def test_run_axes_and_legend(rotting: list[Any]):
    ax = plot_run(rotting[2])
    assert ax.get_xlabel() == "time (days)"
    assert ax.get_ylabel() == "accuracy (fraction)"
    assert legend_of(ax) == [
        "true accuracy",
        "measured accuracy",
        "accuracy trigger's level",
        "retraining started",
        "deployment",
        "true alarm (upper lane)",
    ]
    assert ax.get_title(loc="left") == "triggered: mean accuracy 0.864, $135,521/y"
    assert ax.get_title(loc="right") == "1 retraining, 1 alarm (0 false)"


def test_run_without_events_has_no_entries_for_them(rotting: list[Any]):
    quiet = rotting[0].scenario.with_(triggers=[], labels="none")
    ax = plot_run(sim.run(quiet, "never"))
    assert legend_of(ax) == ["true accuracy"]
    assert ax.get_title(loc="right") == "0 retrainings, 0 alarms"
    assert len(artist(ax, "measured accuracy").get_xdata()) == 0


def test_true_accuracy_jumps_at_the_moment_of_deployment(rotting: list[Any]):
    ax = plot_run(rotting[1])
    line = artist(ax, "true accuracy")
    time, accuracy = line.get_xdata(), line.get_ydata()
    assert line.get_drawstyle() == "steps-pre"
    assert time[0] == 0.0
    # A step drawn 'pre' holds the value of each point up to its time: that of day 91 begins at day 90, and each is
    # the accuracy at noon, with an error of rate^2/24 where it is the mean of the day.
    noon = 0.9 * np.exp(-0.0003 * np.array([0.5, 89.5]))
    assert [accuracy[91], accuracy[90]] == pytest.approx(noon, abs=0.0003**2)
    lines = artist(ax, "deployment").get_segments()
    assert [segment[0][0] for segment in lines] == [90.0, 180.0, 270.0, 360.0]
    assert len(artist(ax, "retraining started").get_segments()) == 4


def test_trigger_level_is_validation_less_threshold(rotting: list[Any]):
    level = artist(plot_run(rotting[2]), "trigger level")
    assert level.get_ydata() == pytest.approx(np.full(3, 0.82))
    assert level.get_xdata() == pytest.approx([0.0, 311.0, 365.0])


def test_trigger_level_of_a_policy_with_conditions_of_its_own(rotting: list[Any]):
    scenario = rotting[0].scenario
    strict = plot_run(sim.run(scenario, "triggered:accuracy<-0.02"))
    assert artist(strict, "trigger level").get_ydata()[0] == pytest.approx(0.88)
    assert artist(plot_run(sim.run(scenario, "triggered:cusum>5")), "trigger level") is None


@pytest.mark.parametrize("name", ["never", "scheduled:90d", "oracle"])
def test_no_trigger_level_where_nobody_watches(rotting: list[Any], name: str):
    assert artist(plot_run(sim.run(rotting[0].scenario, name)), "trigger level") is None


def test_a_users_own_policy_is_drawn_with_the_scenarios_triggers(rotting: list[Any]):
    class Moon(sim.Policy):
        name = OWN

    ax = plot_run(sim.run(rotting[0].scenario, Moon()))
    assert to_hex(artist(ax, "true accuracy").get_color()) == policy_style([OWN])[OWN].colour.lower()
    assert artist(ax, "trigger level").get_ydata()[0] == pytest.approx(0.82)


def test_measured_accuracy_leaves_out_what_was_not_measured(comparison: SimpleNamespace):
    result = sim.run(comparison.scenario, "triggered")
    seen = result.timeline.dropna(subset="measured_accuracy")
    points = artist(plot_run(result), "measured accuracy")
    assert 0 < len(seen) < len(result.timeline)
    assert points.get_xdata() == pytest.approx(seen["time_days"].to_numpy())
    assert points.get_ydata() == pytest.approx(seen["measured_accuracy"].to_numpy())


def with_alarms(result: Any, true: int, false: int) -> Any:
    """The same run with alarms at even distances."""
    alarms = [
        Alarm(float(time), "m", 1.0, 0.5, is_true)
        for count, is_true in ((true, True), (false, False))
        for time in np.linspace(1.0, result.scenario.horizon, count)
    ]
    return sim.Result(
        **{
            **{k: v for k, v in vars(result).items() if k in type(result).__dataclass_fields__},
            "alarms": alarms,
        }
    )


def test_true_alarms_are_filled_above_hollow_false_ones(rotting: list[Any]):
    ax = plot_run(with_alarms(rotting[0], 7, 5))
    true, false = artist(ax, "true alarms"), artist(ax, "false alarms")
    assert (len(true.get_xdata()), len(false.get_xdata())) == (7, 5)
    assert to_hex(true.get_markerfacecolor()) == plots.INK
    assert to_hex(false.get_markerfacecolor()) == "#ffffff"
    assert true.get_ydata()[0] > false.get_ydata()[0]
    assert legend_of(ax)[-2:] == ["true alarm (upper lane)", "false alarm (lower lane)"]


def test_thousands_of_alarms_are_a_thin_rug(rotting: list[Any]):
    ax = plot_run(with_alarms(rotting[0], 3, 20_000))
    true, false = artist(ax, "true alarms"), artist(ax, "false alarms")
    assert true.get_marker() == "v"
    assert false.get_marker() == "|"
    assert len(false.get_xdata()) <= 1001
    assert "false alarm (lower lane; ticks if many)" in legend_of(ax)


def test_false_alarms_of_a_real_run(noisy: Any):
    ax = plot_run(noisy)
    count = len(noisy.alarms)
    assert count > plots.MANY
    assert ax.get_title(loc="right") == f"0 retrainings, {count} alarms ({count} false)"
    assert artist(ax, "true alarms") is None
    assert artist(ax, "false alarms").get_marker() == "|"


def test_timelines_share_axes_and_title_each_row(rotting: list[Any]):
    fig = plot_timelines(rotting)
    rows = fig.axes
    assert len(rows) == 3
    assert len({ax.get_ylim() for ax in rows}) == len({ax.get_xlim() for ax in rows}) == 1
    assert rows[0].get_xlim() == (0.0, 365.0)
    assert rows[0].get_shared_x_axes().joined(rows[0], rows[2])
    assert rows[0].get_shared_y_axes().joined(rows[0], rows[2])
    assert [ax.get_title(loc="left").split(":")[0] for ax in rows] == ["never", "scheduled", "triggered"]
    for ax, result in zip(rows, rotting, strict=True):
        title = ax.get_title(loc="left")
        assert f"mean accuracy {result.summary['mean_accuracy']:.3f}" in title
        assert title.endswith(scenarios.units.format_money(result.summary["annual_cost"]) + "/y")
    assert rows[-1].get_xlabel() == "time (days)"
    assert fig.get_supylabel() == "accuracy (fraction)"
    assert legend_of(rows[-1])[0] == "true accuracy"
    lowest = min(result.timeline["accuracy"].min() for result in rotting)
    assert rows[0].get_ylim()[0] < lowest  # never is not far from the others here: nothing is cut
    assert not any("falls to" in text for ax in rows for text in texts_of(ax))


def test_a_run_that_falls_far_leaves_the_picture_with_its_lowest_accuracy(comparison: SimpleNamespace):
    names = ["never", "scheduled:7d", "scheduled:1d", "oracle"]
    results = [sim.run(comparison.scenario, name) for name in names]
    fig = plot_timelines(results)
    lowest = [result.timeline["accuracy"].min() for result in results]
    assert lowest[0] < fig.axes[0].get_ylim()[0] < min(lowest[1:])
    assert texts_of(fig.axes[0]) == [f"↓ falls to {lowest[0]:.3f}"]
    assert not any(texts_of(ax) for ax in fig.axes[1:])


def test_timelines_draw_on_a_given_figure_and_need_a_result(rotting: list[Any]):
    fig = Figure(figsize=(8, 4), layout="constrained")
    assert plot_timelines(rotting[:1], fig) is fig
    assert len(fig.axes) == 1
    with pytest.raises(ValueError, match="at least one"):
        plot_timelines([])


def test_a_world_without_any_change_of_accuracy_has_a_height(noisy: Any):
    flat = noisy.scenario.with_(labels="none", horizon="2d")
    low, high = plot_run(sim.run(flat, "never")).get_ylim()
    assert low < 0.95 < high


# costs


def test_cost_axes_and_legend(comparison: SimpleNamespace):
    ax = plot_costs(comparison)
    assert ax.get_xlabel() == "mean annual cost (USD per year)"
    assert [label.get_text() for label in ax.get_yticklabels()] == POLICIES
    assert ax.yaxis_inverted()
    assert ax.get_title() == f"Card fraud detection, {REPLICATIONS} replications"
    paid = ["staleness", "retrain compute", "validation", "deployment"]
    assert sorted(legend_of(ax)) == sorted([*paid, "95 % interval of the total"])


def test_stacked_bars_add_up_to_the_mean_total(comparison: SimpleNamespace):
    bars = bars_of(plot_costs(comparison))
    total = comparison.runs.groupby("policy")["annual_cost"].mean()
    assert {len(bar.patches) for bar in bars} == {len(POLICIES)}
    for row, name in enumerate(POLICIES):
        parts = [bar.patches[row] for bar in bars]
        assert sum(part.get_width() for part in parts) == pytest.approx(total[name], rel=1e-12)
        ends = [part.get_x() + part.get_width() for part in parts]
        assert [part.get_x() for part in parts[1:]] == pytest.approx(ends[:-1])


def test_error_bars_are_the_t_interval_of_the_total(comparison: SimpleNamespace):
    ends = whiskers_of(plot_costs(comparison))
    for row, name in enumerate(POLICIES):
        values = comparison.runs.loc[comparison.runs["policy"] == name, "annual_cost"]
        half = t_half_width(values)
        assert half > 0.0
        assert ends[row] == pytest.approx([values.mean() - half, values.mean() + half], rel=1e-9)


def test_values_are_written_at_the_ends(comparison: SimpleNamespace):
    ax = plot_costs(comparison)
    total = comparison.runs.groupby("policy")["annual_cost"].mean()
    texts = texts_of(ax)
    assert len(texts) == len(POLICIES)
    for text, name in zip(texts, POLICIES, strict=True):
        assert text.startswith(scenarios.units.format_money(total[name]) + "/y")
    assert texts[1].count("M/y") == 1  # such as $12.7M/y


def test_a_bar_that_is_far_longer_is_broken_and_the_others_stay_readable(comparison: SimpleNamespace):
    ax = plot_costs(comparison)
    total = comparison.runs.groupby("policy")["annual_cost"].mean()
    others = total.drop("never").max()
    assert total["never"] > 5 * total.median()
    assert others < ax.get_xlim()[1] < 2 * others
    assert " ± $" in texts_of(ax)[0]
    assert not any("±" in text for text in texts_of(ax)[1:])
    clipped = [bar.patches[0].get_clip_box() for bar in bars_of(ax)]
    edge = ax.transData.inverted().transform(clipped[0].get_points())[1][0]
    assert others < edge < ax.get_xlim()[1]


def test_no_bar_is_broken_among_equals(comparison: SimpleNamespace):
    def equal(runs: pd.DataFrame) -> None:
        money = [column for column in runs.columns if "cost" in column]
        runs.loc[runs["policy"] == "never", money] /= 10.0

    ax = plot_costs(changed(comparison, equal))
    assert not any("±" in text for text in texts_of(ax))
    longest = max(sum(bar.patches[row].get_width() for bar in bars_of(ax)) for row in range(len(POLICIES)))
    assert longest < ax.get_xlim()[1]


def test_of_two_policies_the_far_one_is_broken(comparison: SimpleNamespace):
    pair = stand_in(comparison.scenario, comparison.runs, ["never", "oracle"], "oracle")
    assert " ± $" in texts_of(plot_costs(pair))[0]


def test_random_twins_among_the_runs_are_not_drawn(comparison: SimpleNamespace):
    twins = comparison.runs.query("policy == 'triggered'").assign(policy="random~triggered")
    more = stand_in(comparison.scenario, pd.concat([comparison.runs, twins]), POLICIES, BASELINE)
    assert len(bars_of(plot_costs(more))[0].patches) == len(POLICIES)


def test_one_replication_has_no_interval():
    scenario = scenarios.load("rotting_asset")
    single = played(scenario, ["never", "scheduled:90d"], 1, "scheduled:90d")
    ax = plot_costs(single)
    assert not any("interval" in text for text in legend_of(ax))
    assert ax.get_title().endswith("1 replication")
    assert texts_of(ax) == ["$173,465/y", "$63,383/y"]
    gaps = texts_of(plot_differences(single))
    assert "+$110,082" in gaps


def test_replications_that_all_cost_the_same_have_no_interval_and_no_chance(comparison: SimpleNamespace):
    def record(runs: pd.DataFrame) -> None:
        runs["annual_cost"] = runs.groupby("policy")["annual_cost"].transform("first")

    certain = changed(comparison, record)
    costs, gaps = plot_costs(certain), plot_differences(certain)
    for ax in (costs, gaps):
        assert ax.get_title().endswith(": one world, nothing left to chance")
    assert not any("interval" in text for text in legend_of(costs))
    assert not any("±" in text for text in texts_of(costs))
    assert not any(isinstance(container, ErrorbarContainer) for container in gaps.containers)
    written = texts_of(gaps)
    assert "P(better)" not in written
    assert not any(text in written for text in ("> 0.99", "< 0.01", "n/a", ""))
    assert not any(" to " in text for text in written)
    for mean in certain.differences()["mean"]:
        assert ("+" if mean > 0 else "") + scenarios.units.format_money(mean) in written


def test_chance_in_one_policy_alone_is_chance(comparison: SimpleNamespace):
    def record(runs: pd.DataFrame) -> None:
        fixed = runs["policy"] != "triggered"
        runs.loc[fixed, "annual_cost"] = runs[fixed].groupby("policy")["annual_cost"].transform("first")

    ax = plot_differences(changed(comparison, record))
    assert ax.get_title().endswith(f"{REPLICATIONS} replications")
    assert "P(better)" in texts_of(ax)


def test_gains_are_stacked_to_the_left(comparison: SimpleNamespace):
    def gain(runs: pd.DataFrame) -> None:
        runs["cost[staleness]"] *= -0.5
        runs["cost[deployment]"] *= -1.0

    ax = plot_costs(changed(comparison, gain))
    bars = {bar.get_label(): bar.patches[POLICIES.index("oracle")] for bar in bars_of(ax)}
    # A negative width reaches from x to the left.
    assert bars["staleness"].get_x() == 0.0
    assert bars["deployment"].get_x() == pytest.approx(bars["staleness"].get_width())
    assert bars["deployment"].get_width() < 0.0
    assert bars["retrain compute"].get_x() == 0.0
    assert bars["validation"].get_x() == pytest.approx(bars["retrain compute"].get_width())
    assert ax.get_xlim()[0] < 0.0


def test_categories_of_later_rooms_get_a_look_and_nothing_costs_nothing(comparison: SimpleNamespace):
    def serve(runs: pd.DataFrame) -> None:
        runs["cost[serving]"] = 1e5

    def free(runs: pd.DataFrame) -> None:
        runs[[column for column in runs.columns if "cost" in column]] = 0.0

    ax = plot_costs(changed(comparison, serve))
    assert "serving" in legend_of(ax)
    assert len({(to_hex(b.patches[0].get_facecolor()), b.patches[0].get_hatch()) for b in bars_of(ax)}) == 5
    assert texts_of(plot_costs(changed(comparison, free))) == ["$0/y"] * len(POLICIES)


def test_currency_is_the_scenarios(comparison: SimpleNamespace):
    euros = comparison.scenario.with_(currency="EUR")
    abroad = stand_in(euros, comparison.runs, POLICIES, BASELINE)
    ax, gaps = plot_costs(abroad), plot_differences(abroad)
    assert ax.get_xlabel() == "mean annual cost (EUR per year)"
    assert all(text.startswith("€") for text in texts_of(ax))
    assert gaps.get_xlabel().endswith("EUR per year")
    assert ax.xaxis.get_major_formatter()(2e6, 0) == "€2M"
    assert [gaps.xaxis.get_major_formatter()(x, 0) for x in (-2.5e6, 0.0, 1250.0)] == [
        "-€2.5M",
        "€0",
        "€1,250",
    ]


# differences


def test_difference_axes_and_margin(comparison: SimpleNamespace):
    ax = plot_differences(comparison)
    table = comparison.differences()
    assert ax.get_xlabel() == f"cheaper ← → dearer than {BASELINE}, USD per year"
    assert [label.get_text() for label in ax.get_yticklabels()] == list(table["policy"])
    assert any(set(line.get_xdata()) == {0.0} and line.get_gid() == "zero" for line in ax.lines)
    texts = texts_of(ax)
    assert "P(better)" in texts
    assert texts.count("> 0.99") == int((table["p_better"] > 0.99).sum())
    for mean in table["mean"]:
        assert ("+" if mean > 0 else "") + scenarios.units.format_money(mean) in texts


def test_difference_intervals_are_those_of_the_table(comparison: SimpleNamespace):
    ax = plot_differences(comparison)
    table = comparison.differences()
    segments = [c.lines[2][0].get_segments()[0] for c in ax.containers if isinstance(c, ErrorbarContainer)]
    drawn = np.array([segment[:, 0] for segment in segments])
    assert drawn == pytest.approx(table[["ci_low", "ci_high"]].to_numpy(), rel=1e-9)


def test_a_far_difference_is_an_arrow_with_its_interval(comparison: SimpleNamespace):
    ax = plot_differences(comparison)
    never, *others = comparison.differences().to_dict("records")
    reach = max(max(abs(row["ci_low"]), abs(row["ci_high"])) for row in others)
    low, high = ax.get_xlim()
    assert never["mean"] > high
    assert reach < max(-low, high) < 1.5 * reach
    arrows = [line for line in ax.lines if line.get_marker() in ("<", ">")]
    assert [(line.get_marker(), line.get_xdata()[0], line.get_ydata()[0]) for line in arrows] == [
        (">", high, 0)
    ]
    money = scenarios.units.format_money
    assert f"+{money(never['ci_low'])} to +{money(never['ci_high'])}" in texts_of(ax)


def test_a_far_gain_is_an_arrow_to_the_left(comparison: SimpleNamespace):
    table = comparison.differences()
    table[["mean", "ci_low", "ci_high"]] *= -1.0
    mirrored = SimpleNamespace(
        **{
            **vars(comparison),
            "differences": lambda: table.rename(columns={"ci_low": "ci_high", "ci_high": "ci_low"}),
        }
    )
    ax = plot_differences(mirrored)
    arrows = [line for line in ax.lines if line.get_marker() in ("<", ">")]
    assert [(line.get_marker(), line.get_xdata()[0]) for line in arrows] == [("<", ax.get_xlim()[0])]


def test_differences_that_are_not_known(comparison: SimpleNamespace):
    table = comparison.differences()
    table[["ci_low", "ci_high", "p_better"]] = np.nan
    unknown = SimpleNamespace(**{**vars(comparison), "differences": lambda: table})
    assert texts_of(plot_differences(unknown)).count("n/a") == len(table)
    empty = SimpleNamespace(**{**vars(comparison), "differences": lambda: table.iloc[:0]})
    assert plot_differences(empty).get_xlabel() == "cheaper ← → dearer than the baseline, USD per year"


# all pictures


def test_a_policy_looks_the_same_in_every_picture(comparison: SimpleNamespace):
    styles = policy_style(POLICIES)
    wanted = [(style.marker, style.colour.lower(), style.fill) for style in styles.values()]
    assert row_marks(plot_costs(comparison)) == wanted
    others = [look for look, name in zip(wanted, POLICIES, strict=True) if name != BASELINE]
    assert row_marks(plot_differences(comparison)) == others
    rows = plot_timelines([sim.run(comparison.scenario, name) for name in POLICIES]).axes
    assert [to_hex(artist(ax, "true accuracy").get_color()) for ax in rows] == [look[1] for look in wanted]


def test_axes_that_are_given_are_used(comparison: SimpleNamespace, rotting: list[Any]):
    fig = Figure(figsize=(12, 12), layout="constrained")
    axes = fig.subplots(3, 1)
    assert plot_costs(comparison, axes[0]) is axes[0]
    assert plot_differences(comparison, ax=axes[1]) is axes[1]
    assert plot_run(rotting[0], axes[2]) is axes[2]
    assert fig.axes == list(axes)
    fig.draw_without_rendering()


def test_names_and_titles_with_dollars_are_not_mathematics(comparison: SimpleNamespace):
    dear = comparison.scenario.with_(title="From $5 to $6")
    other = stand_in(dear, comparison.runs, POLICIES, BASELINE)
    for ax in (plot_costs(other), plot_differences(other)):
        assert ax.get_title().startswith("From $5 to $6")
        written = [ax.title, *ax.texts]
        assert not any(text.get_parse_math() for text in written if text.get_text().count("$") > 1)


def test_every_text_of_a_picture_of_its_own_lies_within_it(comparison: SimpleNamespace, rotting: list[Any]):
    for fig in (plot_costs(comparison).figure, plot_differences(comparison).figure, plot_timelines(rotting)):
        fig.draw_without_rendering()
        for ax in fig.axes:
            legend = ax.get_legend()
            found = [
                *ax.texts,
                ax.title,
                ax.xaxis.label,
                *ax.get_yticklabels(),
                *([legend] if legend else []),
            ]
            for item in found:
                box = item.get_window_extent()
                assert box.x0 >= -1 and box.x1 <= fig.bbox.width + 1, item  # noqa: PT018
                assert box.y0 >= -1 and box.y1 <= fig.bbox.height + 1, item  # noqa: PT018


def test_png_bytes_are_the_same_over_two_runs(
    comparison: SimpleNamespace, rotting: list[Any], noisy: Any, tmp_path: Any
):
    makers: list[Callable[[], Any]] = [
        lambda: plot_costs(comparison).figure,
        lambda: plot_differences(comparison).figure,
        lambda: plot_timelines([rotting[0], noisy]),
    ]
    for make in makers:
        figure = make()
        first = save_figure(figure, tmp_path / "first.png").read_bytes()
        second = save_figure(figure, str(tmp_path / "second.png")).read_bytes()
        anew = save_figure(make(), tmp_path / "anew.png").read_bytes()
        assert first == second == anew
        assert first.startswith(b"\x89PNG")
        assert b"Software" not in first
        assert b"atplotlib" not in first
        # pHYs holds dots per metre.
        assert int.from_bytes(first[first.index(b"pHYs") + 4 :][:4], "big") == round(150 / 0.0254)


def test_only_png_is_written(rotting: list[Any], tmp_path: Any):
    with pytest.raises(ValueError, match=r"expected a name that ends in \.png"):
        save_figure(plot_run(rotting[0]).figure, tmp_path / "run.pdf")


def test_pyplot_is_never_touched(tmp_path: Any):
    program = (
        "import sys\n"
        "from types import SimpleNamespace as Made\n"
        "import pandas as pd\n"
        "from analysis.plots import plot_costs, save_figure\n"
        "runs = pd.DataFrame({'policy': ['never'], 'replication': [0], 'annual_cost': [1.0], 'cost[risk]': [1.0]})\n"
        "scenario = Made(title='', currency='USD', horizon=365.0)\n"
        "save_figure(plot_costs(Made(scenario=scenario, names=['never'], runs=runs)).figure, sys.argv[1])\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "costs.png")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_no_figure_of_pyplot_is_left_open(comparison: SimpleNamespace, rotting: list[Any]):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    plot_costs(comparison)
    plot_differences(comparison)
    plot_run(rotting[0])
    plot_timelines(rotting)
    assert plt.get_fignums() == before


def test_a_real_comparison_has_what_is_drawn(comparison: SimpleNamespace):
    from analysis.comparison import Comparison

    real = Comparison(comparison.scenario, POLICIES, comparison.runs, seed=0)
    table = real.table()
    ends = whiskers_of(plot_costs(real))
    assert (ends[:, 1] - ends[:, 0]) / 2 == pytest.approx(table["half_width"].to_numpy(), rel=1e-9)
    assert plot_differences(real).get_xlabel().startswith(f"cheaper ← → dearer than {real.baseline}")
