from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_budgets import few_layers, layers
from typer.testing import CliRunner

import analysis
from analysis import economics
from analysis.budget_search import search
from analysis.cli import app
from analysis.entrants import play_in
from analysis.intervals import paired_interval
from analysis.monitoring_budget import BudgetFound, budget, parse_limit
from analysis.monitoring_plans import plans_of
from analysis.plan_runs import COLUMNS, PlanRuns, Simulator, columns_of, play_chunk
from scenarios.schema import Scenario
from scenarios.units import DAYS_PER_YEAR
from sim.ledger import MONITORING
from sim.policies import Never
from sim.world import World


@pytest.fixture(scope="module")
def searched() -> BudgetFound:
    return budget(few_layers(), replications=12, workers=1, limit="$300/month")


@pytest.fixture(scope="module")
def whole() -> BudgetFound:
    return budget(few_layers(), replications=12, workers=1, full=True)


def plain(found: BudgetFound) -> dict[str, Any]:
    return found.to_dict()


def test_the_api_is_lazily_exported() -> None:
    assert analysis.budget is budget
    assert analysis.BudgetFound is BudgetFound


def test_money_of_a_run_is_split_without_loss_or_gain() -> None:
    scenario = few_layers()
    result = play_in(World(scenario, 0, 1), Never())
    monitoring, loss, incidents, undetected, delay, *parts = columns_of(result)
    assert math.fsum(parts) == pytest.approx(monitoring, rel=1e-12)
    assert monitoring + loss == pytest.approx(result.summary["annual_cost"], rel=1e-12)
    paid = result.costs[list(MONITORING)].sum() * DAYS_PER_YEAR / scenario.horizon
    assert monitoring == pytest.approx(paid, rel=1e-12)
    table = result.incidents
    known = table["detected_days"].notna()
    assert (incidents, undetected) == (len(table), (~known).sum())
    hours = 24.0 * (table["detected_days"] - table["onset_days"])[known]
    assert delay == pytest.approx(hours.sum(), abs=1e-6)


def test_a_plan_in_a_shared_world_gives_what_it_gives_alone() -> None:
    scenario = few_layers()
    applied = [plan.apply(scenario) for plan in plans_of(scenario)]
    together = play_chunk(scenario, [(one, Never()) for one in applied], 4, 2)
    for row, one in zip(together, applied, strict=True):
        alone = columns_of(play_in(World(one, 4, 2), Never()))
        np.testing.assert_array_equal(row, alone)


@pytest.mark.slow
def test_any_number_of_workers_finds_the_same(searched: BudgetFound) -> None:
    again = budget(few_layers(), replications=12, workers=2, limit="$300/month")
    assert plain(again) == plain(searched)
    assert plain(budget(few_layers(), replications=12, workers=1, seed=1)) != plain(searched)


def test_the_search_finds_what_the_full_factorial_finds(searched: BudgetFound, whole: BudgetFound) -> None:
    assert set(whole.runs.counts) == {12}
    assert searched.plans[searched.best].name == whole.plans[whole.best].name
    assert searched.runs.counts.sum() <= 6 * 12  # FEW plans in all worlds: a third from 18 plans on
    for plan in searched.played:
        np.testing.assert_array_equal(searched.runs.values[plan], whole.runs.values[plan])


@pytest.mark.slow
def test_from_eighteen_plans_on_a_third_of_the_runs_is_not_exceeded() -> None:
    found = budget(layers(), replications=6, workers=1)
    document = found.to_dict()["search"]
    assert document["runs"] == found.runs.counts.sum() <= document["runs_full_factorial"] / 3
    assert document["runs_full_factorial"] == 108 * 6
    assert document["rounds"][0]["plans"] == 108


def test_the_frontier_is_monotone_and_no_plan_dominates_it(whole: BudgetFound, searched: BudgetFound) -> None:
    for found in (whole, searched):
        table = found.frontier()
        assert (table["monitoring"].diff()[1:] > 0).all()
        assert (table["loss"].diff()[1:] < 0).all()
        assert (table["loss_low"] <= table["loss"]).all()
        assert table["best"].sum() == 1  # the least sum of both is on any frontier
    every = whole.table()
    for row in whole.frontier().itertuples():
        beats = (every["monitoring"] <= row.monitoring) & (every["loss"] <= row.loss)
        assert every[beats]["plan"].tolist() == [row.plan]


def test_removing_a_layer_never_lowers_expected_loss_by_more_than_its_interval(whole: BudgetFound) -> None:
    by_name = {plan.name: number for number, plan in enumerate(whole.plans)}
    checked = 0
    for name, plan in by_name.items():
        for choice in whole.plans[plan].choices:
            if choice.off:
                continue
            other = by_name[name.replace(str(choice), f"{choice.entry}=off")]
            lowered = paired_interval(whole.values(plan, "loss"), whole.values(other, "loss"))
            assert lowered.low <= 1e-9
            checked += 1
    assert checked == 20


def test_the_next_dollar_is_that_of_the_runs(whole: BudgetFound) -> None:
    around = whole.plans[whole.recommended]
    table = whole.marginal().set_index("entry")
    for choice in around.choices:
        row = table.loc[choice.entry]
        same_rest = [
            (whole.estimate(n, "monitoring"), n)
            for n, plan in enumerate(whole.plans)
            if plan.differs(around) == [choice.entry]
        ]
        dearer = sorted(one for one in same_rest if one[0] > whole.estimate(whole.recommended, "monitoring"))
        if not dearer:
            assert row["next"] == "none"
            assert math.isnan(row["per_dollar"])
            continue
        other = dearer[0][1]
        price = (
            whole.values(other, "monitoring").mean() - whole.values(whole.recommended, "monitoring").mean()
        )
        avoided = whole.values(whole.recommended, "loss").mean() - whole.values(other, "loss").mean()
        assert (row["price"], row["avoided"]) == (pytest.approx(price), pytest.approx(avoided))
        assert row["per_dollar"] == pytest.approx(avoided / price)
        assert row["per_dollar_low"] <= row["per_dollar"] <= row["per_dollar_high"]
    off = {choice.entry for choice in around.choices if choice.off}
    assert set(table.index[table["removed_net"].isna()]) == off


def test_return_on_investment_is_the_source_s_ratio(whole: BudgetFound) -> None:
    nothing = next(n for n, plan in enumerate(whole.plans) if all(choice.off for choice in plan.choices))
    np.testing.assert_array_equal(whole.reference("off", "loss"), whole.values(nothing, "loss"))
    incidents = whole.values(nothing, "incidents").mean() * DAYS_PER_YEAR / whole.scenario.horizon
    avoided = (whole.values(nothing, "loss") - whole.values(whole.best, "loss")).mean()
    expected = economics.monitoring_roi(
        incidents_prevented=incidents,
        cost_per_incident=avoided / incidents,
        annual_cost=whole.values(whole.best, "monitoring").mean(),
    )
    assert whole.roi().mean == pytest.approx(expected)


def test_perfect_monitoring_bounds_what_any_plan_can_be_worth(whole: BudgetFound) -> None:
    perfect = whole.reference("perfect", "total").mean()
    assert whole.value_of_perfect().mean == pytest.approx(whole.values(whole.best, "total").mean() - perfect)
    assert whole.value_of_perfect().low > 0.0
    assert whole.reference("perfect", "undetected").sum() == 0
    for plan in range(len(whole.plans)):  # nobody finds failures sooner than one who never errs
        assert whole.values(plan, "loss").mean() >= whole.reference("perfect", "loss").mean() - 1e-9


def test_a_limit_is_kept_by_the_recommended_plan(searched: BudgetFound, whole: BudgetFound) -> None:
    assert searched.best_affordable is not None
    paid = searched.values(searched.recommended, "monitoring").mean()
    assert paid / 12.0 <= 300.0
    within = whole.table().query(f"monitoring <= {searched.annual_limit}")
    best = within.loc[(within["monitoring"] + within["loss"]).idxmin(), "plan"]
    assert searched.plans[searched.recommended].name == best
    assert "within $300 a month" in searched.verdict()


def test_a_limit_that_nothing_keeps_is_said() -> None:
    scenario = layers(menu=[{"monitors": ["errors"], "options": ["on", {"cadence": "1d"}]}])
    found = budget(scenario, replications=3, workers=1, limit=1.0)
    assert found.best_affordable is None
    assert found.verdict().startswith("Nothing fits: no plan keeps $1 a month.")
    assert found.to_dict()["recommended"] is None


@pytest.mark.parametrize(
    ("given", "monthly"),
    [("$500/month", 500.0), ("$1.2k", 1200.0), ("$24/day", 730.0), (0, 0.0), ("$3600/y", 300.0)],
)
def test_limits_are_twelfths_of_a_year_as_prices_are(given: str | float, monthly: float) -> None:
    assert parse_limit(given) == pytest.approx(monthly)


@pytest.mark.parametrize("given", ["500 apples", "$5/fortnight", "$-5", -1, math.inf, ""])
def test_other_limits_are_refused(given: str | float) -> None:
    with pytest.raises(ValueError, match=r"limit: got .* money per month"):
        parse_limit(given)


@pytest.mark.slow
def test_the_scenario_s_triggers_are_the_policy_and_the_oracle_replaces_them() -> None:
    drift: dict[str, Any] = {"quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1%/d"}}
    trigger = {"metric": "feature_drift_psi", "rows": 200, "threshold": 0.3}
    found = budget(few_layers(triggers=[trigger], **drift), replications=4, workers=1)
    assert found.policy == "triggered"
    assert found.value_of_perfect().mean > 0.0
    oracle = found.reference("perfect", "loss").mean()
    never = budget(few_layers(triggers=[trigger], **drift), "never", replications=4, workers=1)
    assert never.policy == "never"
    assert oracle < never.reference("perfect", "loss").mean()  # it retrains, never does not


def test_warnings_say_what_the_answer_cannot_know() -> None:
    nobody = budget(few_layers(response=None), replications=3, workers=1)
    assert any("nobody answers" in note for note in nobody.warnings)
    assert all(choice.off for choice in nobody.plans[nobody.best].choices)
    calm = budget(few_layers(failures=[]), replications=3, workers=1)
    assert any("no failures" in note for note in calm.warnings)
    rare = [{"name": "rare", "rate": "0.1/y", "accuracy_drop": 0.1}]
    found = budget(few_layers(failures=rare), replications=3, workers=1)
    assert any("worlds only" in note for note in found.warnings)


def test_equal_plans_are_named_together() -> None:
    blind = {"metric": "signal", "signal": "errors", "threshold": 0.9, "name": "deaf"}
    scenario = layers(
        monitors=[blind],
        telemetry=None,
        menu=[{"monitors": ["deaf"], "options": ["off", "on", {"threshold": 0.95}]}],
    )
    found = budget(scenario, replications=4, workers=1)
    assert len(found.equals) == 2
    assert found.probability == 1.0
    assert "2 other plans gave exactly the same" in found.verdict()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"replications": 1}, "at least 2"),
        ({"confidence": 95}, "confidence"),
        ({"policy": "psi"}, "one of: never"),
    ],
)
def test_bad_arguments_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        budget(few_layers(), **changes)


def test_the_picture_has_units_the_frontier_and_the_plan(searched: BudgetFound) -> None:
    ax = searched.plot()
    assert ax.get_xlabel() == "monitoring cost (USD a year)"
    assert ax.get_ylabel() == "expected loss (USD a year)"
    lines = {line.get_gid(): line for line in ax.lines}
    assert len(lines["plans"].get_xdata()) == len(searched.plans)
    np.testing.assert_allclose(lines["frontier"].get_ydata(), searched.frontier()["loss"])
    assert lines["recommended"].get_xdata()[0] == searched.values(searched.recommended, "monitoring").mean()
    assert any(line.get_label() == "limit" for line in ax.lines)


def test_the_text_has_the_frontier_the_next_dollar_and_a_verdict(searched: BudgetFound) -> None:
    text = str(searched)
    for words in (
        "Efficient frontier",
        "The next dollar",
        "Monitoring ROI",
        "Value of perfect",
        "full factorial",
        "Buy ",
    ):
        assert words in text
    assert text.endswith(searched.verdict())


def test_files_hold_what_the_tables_show(searched: BudgetFound, tmp_path: Path) -> None:
    files = searched.save(tmp_path / "new")
    assert [file.name for file in files] == [
        "budget.json", "plans.csv", "frontier.csv", "marginal.csv", "runs.parquet", "frontier.png",
    ]  # fmt: skip
    assert json.loads(files[0].read_text()) == searched.to_dict()
    assert len(pd.read_csv(files[1])) == len(searched.plans)
    runs = pd.read_parquet(files[4])
    assert len(runs) == searched.runs.counts.sum()
    assert list(runs.columns) == ["plan", "replication", *COLUMNS]
    before = [file.read_bytes() for file in files]
    searched.save(tmp_path / "new")
    assert [file.read_bytes() for file in files] == before


SMALL = """
title: Two monitors
horizon: 10d
window: 4h
value_per_query_per_unit_accuracy: $0.05
quality: {kind: exponential, initial_accuracy: 0.9, decay: 0.01%/d}
traffic: {rate: 20000/d}
labels: none
signals:
  - {name: errors, kind: proportion, layer: infrastructure, base: 0.1%}
failures:
  - {name: crash, rate: 1/d, accuracy_drop: 30%, effects: [{signal: errors, add: 0.3}], lasts: 2d}
monitors:
  - {metric: signal, signal: errors, threshold: 0.1, cost: $80/month}
response: {}
"""


def test_the_command_prints_one_document_with_stable_keys(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    call = ["budget", str(file), "--reps", "10", "--workers", "1", "--limit", "$100/month"]
    done = CliRunner().invoke(app, [*call, "--json", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert list(document) == [
        "scenario", "horizon_days", "currency", "policy", "confidence", "plans", "replications", "best",
        "limit_per_month", "best_within_limit", "recommended", "equal_plans", "probability_best", "frontier",
        "marginal", "monitoring_roi", "value_of_perfect_monitoring", "references", "search", "verdict", "warnings",
        "provenance",
    ]  # fmt: skip
    assert document["plans"] == 3
    assert document["best"]["options"]["infrastructure"] in ("on", "every 16 h")
    assert (tmp_path / "out" / "frontier.png").stat().st_size > 5000
    text = CliRunner().invoke(app, call)
    assert text.exit_code == 0
    assert document["verdict"] in text.stdout


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (["--limit", "5 apples"], "money per month such as"),
        (["--policy", "sheduled:7d"], "did you mean 'scheduled'"),
        (["--set", "menu=[{name: infrastructure, options: [{cadense: 1h}]}]"], "did you mean 'cadence'"),
        (["--set", "monitors=[]"], "nothing to buy"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path: Path, extra: list[str], words: str) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    done = CliRunner().invoke(app, ["budget", str(file), *extra])
    assert done.exit_code == 2
    assert words in done.output


def test_a_limit_that_nothing_keeps_is_exit_status_3(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(
        SMALL.replace(
            "response: {}", "response: {}\nmenu: [{monitors: [errors], options: [on, {cadence: 1d}]}]"
        )
    )
    done = CliRunner().invoke(
        app, ["budget", str(file), "--reps", "2", "--workers", "1", "--limit", "$1/month"]
    )
    assert done.exit_code == 3
    assert "Nothing fits: no plan keeps $1 a month." in done.stdout


def full_factorial(scenario: Scenario, seed: int, replications: int) -> PlanRuns:
    plans = plans_of(scenario)
    applied = [plan.apply(scenario) for plan in plans]
    simulate = Simulator(scenario, applied, [Never()] * len(plans), seed, workers=None)
    runs = PlanRuns(simulate, len(plans))
    runs.extend(dict.fromkeys(range(len(plans)), replications))
    return runs


@pytest.mark.slow
def test_the_search_agrees_with_the_full_factorial_of_108_plans_in_nine_of_ten_seeds() -> None:
    scenario, replications, same = layers(), 24, 0
    for seed in range(10):
        full = full_factorial(scenario, seed, replications)
        # The same runs, served from the full factorial: plans and worlds fix a run to the last bit.
        runs = PlanRuns(lambda pairs, full=full: np.array([full.values[p][w] for p, w in pairs]), full.plans)  # type: ignore[misc]
        found = search(runs, replications)
        assert runs.counts.sum() <= full.counts.sum() / 3
        totals = [full.total(plan).mean() for plan in range(full.plans)]
        winner = min(found.finalists, key=lambda plan: totals[plan])
        same += totals[winner] == min(totals)
    assert same >= 9
