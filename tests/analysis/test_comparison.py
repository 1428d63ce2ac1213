"""Comparisons: one world for all policies, honest baselines, differences, verdicts, and the JSON document."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.comparison import FIRST_BATCH, TWIN, Comparison, compare
from analysis.extra_figures import PEOPLE
from analysis.statistics import variance_reduction
from scenarios.loader import validate_mapping
from scenarios.policies import parse_policy
from scenarios.schema import Scenario
from sim import Decision, Policy, View, run
from sim.ledger import CATEGORIES
from sim.policies import Scheduled, Triggered

REPLICATIONS = 8
REACTIVE = ("triggered", "hybrid:15d", "cost-aware")
PLANNED = ("scheduled:7d", "continuous:3d", "random:6", "never", "scheduled:best", "oracle")
INCIDENTS = (
    "incidents", "incidents_undetected", "incident_mttd_hours", "incident_mttr_hours", "pages", "false_pages",
    "incident_mtta_hours", "missed_targets", "silent_hours", "work_hours",
)  # fmt: skip
MEANS = [name for name in INCIDENTS if name.startswith("incident_mt")]
"""They do not exist where nothing was found."""
COUNTS = ("retrains", "deployments", "rejected", "failed", "alarms", "false_alarms", "losses", "undetected")


def scenario(**fields: Any) -> Scenario:
    """Two months of everything that is left to chance; monitors and labels cost money."""
    return validate_mapping(
        {
            "title": "small",
            "horizon": "60d",
            "window": "6h",
            "value_per_query_per_unit_accuracy": "$0.20",
            "features": 2,
            "quality": {
                "kind": "degradation",
                "initial_accuracy": 0.92,
                "feature_sensitivity": 0.02,
                "concept_sensitivity": 0.05,
                "floor": 0.5,
            },
            "drift": [
                {"kind": "random_walk", "volatility": "0.2/sqrt(d)"},
                {"kind": "random_walk", "volatility": "0.3/sqrt(d)", "on": "concept"},
            ],
            "traffic": {
                "rate": "20k/d",
                "bursts": {"rate": "0.2/d", "factor": 3, "duration": "12h"},
            },
            "labels": {
                "coverage": "2%",
                "delay": {"kind": "lognormal", "median": "6h", "p95": "2d"},
                "cost": "$0.01",
            },
            "triggers": [
                {"metric": "accuracy", "threshold": 0.04, "window": "2d", "cost": "$2/d"},
                {"metric": "feature_drift_psi", "threshold": 0.8, "cost": "$1/d"},
            ],
            "monitors": [{"metric": "accuracy", "name": "weekly", "window": "7d", "cost": "$1/d"}],
            "pipeline": {
                "stages": {"training": "12h"},
                "cost": {"compute": "$400", "validation": "$60", "deployment": "$40", "risk": "$10"},
                "gate": {"holdout": 2000, "margin": -0.01},
                "training_noise": 0.002,
            },
            **fields,
        }
    )


def certain(**fields: Any) -> Scenario:
    """A month in which nothing is left to chance."""
    return validate_mapping(
        {
            "title": "certain",
            "horizon": "30d",
            "window": "6h",
            "value_per_query_per_unit_accuracy": "$0.20",
            "features": 1,
            "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1%/d"},
            "traffic": {"rate": "20k/d", "arrivals": "deterministic"},
            "pipeline": {"cost": {"compute": "$400"}},
            **fields,
        }
    )


@pytest.fixture(scope="module")
def found() -> Comparison:
    wanted = [*PLANNED[:3], *REACTIVE]
    return compare(scenario(), wanted, replications=REPLICATIONS, seed=3, workers=1)


def rows(comparison: Comparison, policy: str) -> pd.DataFrame:
    return comparison.runs[comparison.runs["policy"] == policy].reset_index(drop=True)


def assert_same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    """Bit for bit."""
    pd.testing.assert_frame_equal(a, b, check_exact=True)


# The rows


def test_one_row_for_each_policy_and_world(found):
    assert sorted(found.names) == sorted([*PLANNED, *REACTIVE])
    assert found.replications == REPLICATIONS
    for name in [*found.names, *(TWIN + name for name in REACTIVE)]:
        assert rows(found, name)["replication"].tolist() == list(range(REPLICATIONS))
    assert len(found.runs) == REPLICATIONS * (len(found.names) + len(REACTIVE))


def test_columns_are_those_of_the_contract(found):
    figures = ["total_cost", "annual_cost", "mean_accuracy", *COUNTS, "mttd_hours", *INCIDENTS, *PEOPLE]
    costs = [f"cost[{category}]" for category in CATEGORIES]
    assert list(found.runs.columns) == ["policy", "replication", *figures, *costs]
    assert not found.runs.drop(columns=["mttd_hours", *MEANS, *PEOPLE]).isna().to_numpy().any()


def test_categories_add_up_to_the_total(found):
    costs = found.runs[[f"cost[{category}]" for category in CATEGORIES]].to_numpy()
    assert found.runs["total_cost"].tolist() == [math.fsum(row) for row in costs]
    assert found.runs["annual_cost"].to_numpy() == pytest.approx(
        found.runs["total_cost"].to_numpy() * 365 / 60
    )


def test_the_world_is_not_trivial(found):
    """The other tests would prove little if monitors were silent, nothing failed or all worlds were alike."""
    assert (found.values("triggered", "alarms") > 0).all()
    assert found.runs["rejected"].sum() > 0
    assert found.values("never", "annual_cost").std() > 0.05 * found.values("never", "annual_cost").mean()
    for category in ("staleness", "retrain_compute", "monitoring", "labelling"):
        assert (found.values("triggered", f"cost[{category}]") > 0).all()


def test_baselines_always_run_along(found):
    assert compare(certain(), [], replications=1, workers=1).names == ["never", "scheduled:best", "oracle"]
    assert found.names[:6] == [*PLANNED[:3], *REACTIVE]


def test_scenario_brings_its_policies():
    own = certain(policies=["scheduled:3d", "oracle"])
    names = compare(own, replications=1, workers=1).names
    assert names == ["scheduled:3d", "oracle", "never", "scheduled:best"]


# Common random numbers


def test_other_policies_change_nothing(found):
    """Bit for bit: fewer policies, more policies, another order."""
    for wanted in (["triggered"], ["cost-aware", "triggered:accuracy<-0.1", "scheduled:7d", "triggered"]):
        other = compare(scenario(), wanted, replications=2, seed=3, workers=1)
        shared = [name for name in found.names if name in other.names]
        assert len(shared) >= 4
        for name in [*shared, TWIN + "triggered"]:
            assert_same(rows(other, name), rows(found, name).head(2))
        assert other.intervals == found.intervals


def test_other_policies_change_nothing_where_the_world_answers_them():
    answering = scenario(
        drift=[{"kind": "adversarial", "sd": 0.5, "on": "concept", "delay": "1d"}], horizon="20d"
    )
    alone = compare(answering, ["scheduled:5d"], replications=2, workers=1)
    among = compare(
        answering, ["scheduled:2d", "triggered", "scheduled:5d", "cost-aware"], replications=2, workers=1
    )
    for name in alone.names:
        assert_same(rows(alone, name), rows(among, name))
    never, often = among.values("never", "cost[staleness]"), among.values("scheduled:2d", "cost[staleness]")
    assert (never == 0.0).all()
    assert (often > 0.0).all()


def test_fewer_replications_are_the_first_ones(found):
    first = compare(scenario(), ["scheduled:7d"], replications=3, seed=3, workers=1)
    for name in first.names:
        assert_same(rows(first, name), rows(found, name).head(3))


def test_another_seed_is_another_world(found):
    other = compare(scenario(), ["scheduled:7d"], replications=2, seed=4, workers=1)
    assert not np.isin(other.values("never", "total_cost"), found.values("never", "total_cost")).any()


def test_common_random_numbers_narrow_differences():
    """In crowded months every policy loses more: most of that cancels between two schedules of the same worlds.

    The reduction is about 30 here (1 if worlds were not shared); with 20 worlds it is below 5 with a chance under 1e-6,
    and the correlation of unshared worlds reaches 2/3, a reduction of 3, with a chance under 1e-3.
    """
    crowded = scenario(
        quality={"kind": "exponential", "initial_accuracy": 0.9, "decay": "2%/d"},
        traffic={"rate": "20k/d", "bursts": {"rate": "0.1/d", "factor": 5, "duration": "3d"}},
        drift=[],
        triggers=[],
        monitors=[],
    )
    found = compare(crowded, ["scheduled:3d", "scheduled:4d"], replications=20, workers=1)
    a, b = (found.values(name, "annual_cost") for name in ("scheduled:3d", "scheduled:4d"))
    assert variance_reduction(a, b) >= 5.0
    assert variance_reduction(a, np.roll(b, 1)) < 3.0
    gap, single = (
        found.difference("scheduled:3d", "scheduled:4d"),
        found.interval("scheduled:3d", "annual_cost"),
    )
    assert gap.half_width < 0.5 * single.half_width
    assert found.variance_reduction("never") == variance_reduction(
        found.values("never", "annual_cost"), found.values(found.baseline, "annual_cost")
    )


# Twins and skill


def test_twins_retrain_as_often(found):
    for name in REACTIVE:
        assert found.values(TWIN + name, "retrains").tolist() == found.values(name, "retrains").tolist()


def test_twins_of_a_slow_pipeline_retrain_as_often():
    """Random dates may be closer together than a retraining is long."""
    slow = scenario(pipeline={"stages": {"training": "3d"}, "cost": {"compute": "$50"}})
    found = compare(slow, ["hybrid:4d"], replications=5, workers=1)
    assert (
        found.values(TWIN + "hybrid:4d", "retrains").tolist()
        == found.values("hybrid:4d", "retrains").tolist()
    )


def test_twins_pay_for_the_same_monitors(found):
    for name in REACTIVE:
        for category in ("monitoring", "labelling"):
            column = f"cost[{category}]"
            assert found.values(TWIN + name, column).tolist() == found.values(name, column).tolist()


def test_twins_are_no_policies_to_choose(found):
    assert not any(name.startswith(TWIN) for name in found.names)
    assert not any(name.startswith(TWIN) for name in found.table().index)


def test_policies_that_do_not_react_have_no_twin(found):
    twins = {name for name in found.runs["policy"] if name.startswith(TWIN)}
    assert twins == {TWIN + name for name in REACTIVE}
    for name in PLANNED:
        assert found.skill(name) is None
        assert math.isnan(found.skill_sd(name))


@pytest.mark.parametrize(
    "text", ["never+cooldown=7d", "scheduled:7d+cooldown=1d", "scheduled:7d+budget=12/y"]
)
def test_a_modifier_makes_no_policy_react(text):
    found = compare(certain(), [text], replications=1, workers=1)
    assert TWIN + text not in set(found.runs["policy"])


def test_skill_is_the_saving_over_the_twin(found):
    for name in REACTIVE:
        gain = found.values(TWIN + name, "annual_cost") - found.values(name, "annual_cost")
        skill = found.skill(name)
        expected = stats.ttest_1samp(gain, 0.0).confidence_interval(0.95)
        assert skill == pytest.approx((gain.mean(), expected.low, expected.high))
        assert found.skill_sd(name) == pytest.approx(gain.mean() / gain.std(ddof=1))
        assert found.table().loc[name, "skill"] == skill.mean


# Baseline, differences, regret


def test_baseline_is_the_best_schedule(found):
    means = {name: found.values(name, "annual_cost").mean() for name in ("scheduled:7d", "scheduled:best")}
    assert found.baseline == min(means, key=means.__getitem__)


def test_baseline_is_a_schedule_by_kind_not_by_name():
    weekly = parse_policy("scheduled:7d").model_copy(update={"name": "weekly"})
    cheap = certain(pipeline={"cost": {"compute": "$5000"}})  # so that never retraining is best
    assert compare(cheap, [weekly], replications=1, workers=1).baseline == "scheduled:best"

    class Lucky(Policy):
        name = "scheduled_by_moon"

    found = compare(
        certain(quality={"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"}),
        [Lucky()],
        replications=1,
        workers=1,
    )
    assert found.baseline == "scheduled:best"


def test_differences_are_paired_and_antisymmetric(found):
    for a, b in [("never", "triggered"), ("triggered", "cost-aware"), ("scheduled:best", "oracle")]:
        there, back = found.difference(a, b), found.difference(b, a)
        assert there == (-back.mean, -back.high, -back.low)
        x, y = found.values(a, "annual_cost"), found.values(b, "annual_cost")
        expected = stats.ttest_rel(x, y).confidence_interval(0.95)
        assert there == pytest.approx(((x - y).mean(), expected.low, expected.high))
    assert found.difference("never", "never") == (0.0, 0.0, 0.0)


def test_differences_table(found):
    table = found.differences()
    assert list(table.columns) == ["policy", "baseline", "mean", "ci_low", "ci_high", "p_better"]
    assert table["policy"].tolist() == [name for name in found.names if name != found.baseline]
    assert set(table["baseline"]) == {found.baseline}
    for row in table.itertuples():
        assert (row.mean, row.ci_low, row.ci_high) == found.difference(row.policy, found.baseline)
        pair = found.values(row.policy, "annual_cost"), found.values(found.baseline, "annual_cost")
        assert row.p_better == pytest.approx(stats.ttest_rel(*pair, alternative="greater").pvalue)


def test_p_better_follows_the_difference(found):
    table = found.differences().set_index("policy")
    assert table.loc["oracle", "p_better"] > 0.99
    assert table.loc["never", "p_better"] < 0.01
    assert ((table["p_better"] > 0.5) == (table["mean"] < 0)).all()


def test_table(found):
    table = found.table()
    assert table.index.tolist() == found.names
    assert table.index.name == "policy"
    row = table.loc["triggered"]
    cost = found.interval("triggered", "annual_cost")
    assert (row["annual_cost"], row["half_width"]) == (cost.mean, cost.half_width)
    assert row["retrains_per_year"] == pytest.approx(found.values("triggered", "retrains").mean() * 365 / 60)
    assert row["regret"] == pytest.approx(cost.mean - found.values("oracle", "annual_cost").mean())
    assert table.loc["oracle", "regret"] == 0.0
    assert (table["regret"] >= 0.0).all()
    assert table["mean_accuracy"].between(0.5, 0.92).all()


def test_best_is_the_cheapest_candidate_and_never_the_oracle(found):
    means = found.table()["annual_cost"]
    assert means.idxmin() == "oracle"
    assert found.best == means.drop("oracle").idxmin()
    assert "oracle" not in found.candidates


@pytest.mark.parametrize("text", ["oracle+cooldown=1d", "oracle+budget=300/y"])
def test_an_oracle_in_disguise_is_no_candidate(text):
    with contextlib.suppress(ValueError):  # to refuse it is as good
        found = compare(certain(), [text], replications=1, workers=1)
        assert set(found.candidates) == {"never", "scheduled:best"}


# Verdicts


def test_verdict_says_who_is_cheapest_and_by_how_much():
    clear = scenario(quality={"kind": "exponential", "initial_accuracy": 0.92, "decay": "3%/d"}, drift=[])
    found = compare(clear, ["scheduled:20d"], replications=5, workers=1)
    gap = found.difference("scheduled:20d", "scheduled:best")
    assert gap.low > 0
    text = found.verdict()
    assert text.startswith("scheduled:best is cheapest at $")
    assert "less than scheduled:20d (95 % interval $" in text
    assert "No clear winner" not in text


EQUALS = ["never", "triggered:psi>1000"]


@pytest.mark.parametrize("base", [scenario, certain])
def test_equal_policies_have_no_winner(base):
    """A schedule of the horizon and a trigger that cannot call are both `never`."""
    dear = base(monitors=[], triggers=[], pipeline={"cost": {"compute": "$1M"}})
    found = compare(dear, EQUALS, replications=3, workers=1)
    for name in ("triggered:psi>1000", "scheduled:best"):
        assert found.difference("never", name) == (0.0, 0.0, 0.0)
    text = found.verdict()
    assert text.startswith("No clear winner")
    assert "triggered:psi>1000" in text
    assert "scheduled:best" in text


def test_p_better_of_equals_is_a_half():
    dear = certain(pipeline={"cost": {"compute": "$1M"}})
    found = compare(dear, EQUALS, replications=2, workers=1)
    assert found.differences().set_index("policy").loc["never", "p_better"] == 0.5


def test_one_world_says_nothing_about_others():
    found = compare(scenario(), ["scheduled:7d"], replications=1, workers=1)
    assert "one world" in found.verdict()
    assert found.differences()[["ci_low", "ci_high", "p_better"]].isna().to_numpy().all()


def test_many_rivals_must_all_be_beaten(found):
    """The verdict names a winner only when the interval at the level shared by all rivals excludes 0 for each."""
    rivals = [name for name in found.candidates if name != found.best]
    level = 1 - 0.05 / len(rivals)
    beaten = all(found.difference(found.best, name, level).high < 0 for name in rivals)
    assert found.verdict().startswith("No clear winner") != beaten


# Precision


def test_precision_adds_replications_until_it_is_reached():
    found = compare(scenario(), [], precision=0.04, workers=1)
    batches = [10, 15, 22, 33, 49, 73]
    assert found.replications in batches[1:]
    assert not any("still wider" in text for text in found.warnings)
    for count in batches[: batches.index(found.replications) + 1]:
        part = replace(found, runs=found.runs[found.runs["replication"] < count])
        cost = part.interval(part.best, "annual_cost")
        assert (cost.half_width <= 0.04 * cost.mean) == (count == found.replications)


def test_precision_is_the_same_as_so_many_replications():
    precise = compare(scenario(), ["scheduled:7d"], precision=0.2, workers=1)
    plain = compare(scenario(), ["scheduled:7d"], replications=precise.replications, workers=1)
    assert_same(precise.runs, plain.runs)


def test_precision_that_is_there_at_once_stops_after_the_first_batch():
    assert compare(certain(), ["never"], precision=0.05, workers=1).replications == FIRST_BATCH
    assert compare(certain(), ["never"], precision=0.05, replications=2, workers=1).replications == 2


def test_cap_stops_with_a_warning():
    found = compare(scenario(), [], precision=0.001, max_replications=12, workers=1)
    assert found.replications == 12
    assert any(
        text == f"after 12 replications the interval of {found.best} is still wider than 0.1% of its cost"
        for text in found.warnings
    )


# Replay


def assert_replays(comparison: Comparison, policy: str, replication: int) -> None:
    summary = comparison.replay(policy, replication).summary
    row = rows(comparison, policy).iloc[replication]
    expected = row[list(summary.index)].astype(float)
    np.testing.assert_array_equal(summary.to_numpy(dtype=float), expected.to_numpy(), policy)


def test_replay_is_the_row_bit_for_bit(found):
    for name in found.names:
        assert_replays(found, name, 5)


@pytest.mark.parametrize("text", ["scheduled:best+cooldown=4d", "hybrid:5d:accuracy<-0.02+cooldown=2d"])
def test_replay_with_modifiers(text):
    found = compare(scenario(), [text], replications=2, workers=1)
    assert_replays(found, text, 1)


class EveryFifthDay(Policy):
    """A user's own."""

    name = "fifth"

    def decide(self, view: View) -> Decision:
        day = round(view.now)
        due = day > 0 and day % 5 == 0 and view.now == day and day not in view.retrainings
        return Decision(retrain=due, wake=5.0 * (view.now // 5 + 1))


def test_replay_of_a_policy_object():
    found = compare(certain(), [EveryFifthDay()], replications=2, workers=1)
    assert found.values("fifth", "retrains").tolist() == [5.0, 5.0]
    assert_replays(found, "fifth", 1)


def test_replay_of_a_policy_with_a_name_of_its_own():
    weekly = parse_policy("scheduled:7d").model_copy(update={"name": "weekly"})
    found = compare(certain(), [weekly], replications=1, workers=1)
    assert_replays(found, "weekly", 0)


def test_a_row_is_a_run(found):
    """The comparison adds nothing of its own to a run."""
    summary = run(scenario(), "triggered", 3, replication=2).summary
    assert summary["total_cost"] == found.values("triggered", "total_cost")[2]


# What may be given


def test_objects_and_specifications_and_texts():
    found = compare(
        certain(), [Scheduled(4.0), parse_policy("scheduled:6d"), "continuous:3d"], replications=1, workers=1
    )
    assert found.names[:3] == ["scheduled:4d", "scheduled:6d", "continuous:3d"]


def test_a_policy_without_a_name_is_not_never():
    class Nameless(Policy):
        def decide(self, view: View) -> Decision:
            return Decision(retrain=view.now == 0.0)

    found = compare(certain(), [Nameless()], replications=1, workers=1)
    assert len(found.names) == 4
    assert found.values("never", "retrains").tolist() == [0.0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"replications": 0}, "replications: got 0"),
        ({"replications": -3}, "replications: got -3"),
        ({"precision": 0.0}, "precision: got 0.0, expected a fraction such as 0.05"),
        ({"precision": 1.0}, "precision: got 1.0"),
        ({"precision": math.nan}, "precision: got nan"),
        ({"precision": 0.1, "max_replications": 0}, "max_replications"),
        ({"replications": 1, "workers": 0}, "workers: got 0, expected at least 1"),
        ({"replications": 1, "seed": -1}, "seed"),
    ],
)
def test_numbers_that_make_no_sense(options, words):
    with pytest.raises(ValueError, match=words):
        compare(certain(), ["never"], **{"workers": 1, **options})


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        (["never", "never"], "policy 'never' is there twice, expected different names"),
        (["scheduled:7d", Scheduled(7.0)], "policy 'scheduled:7d' is there twice"),
        (["shceduled:7d"], "did you mean 'scheduled'"),
        (["scheduled"], "expected a duration"),
        (["cost-aware"], "cost-aware needs labels"),
        (["triggered:accuracy<-0.05"], "needs labels"),
        (["triggered:psi>0.2"], "needs features"),
        ([Triggered(parse_policy("triggered:ks>0.1").triggers)], "needs features"),
    ],
)
def test_policies_that_do_not_fit(policies, words):
    bare = certain(labels="none", features=0)
    with pytest.raises(ValueError, match=words):
        compare(bare, policies, replications=1, workers=1)


# The JSON document, as the design says it

NUMBER = {"type": ["number", "null"]}
INTERVAL = {
    "type": "object",
    "properties": {"mean": NUMBER, "ci_low": NUMBER, "ci_high": NUMBER},
    "required": ["mean", "ci_low", "ci_high"],
    "additionalProperties": False,
}
FIGURES = ("total_cost", "mean_accuracy", "retrains", "false_alarms", "mttd_hours")
DOCUMENT = {
    "type": "object",
    "properties": {
        "scenario": {"type": "string", "minLength": 1},
        "horizon_days": {"type": "number", "exclusiveMinimum": 0},
        "replications": {"type": "integer", "minimum": 1},
        "policies": {
            "type": "array",
            "minItems": 3,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    **dict.fromkeys(FIGURES, INTERVAL),
                    "costs": {
                        "type": "object",
                        "properties": {key: {"type": "number"} for key in CATEGORIES},
                        "required": list(CATEGORIES),
                        "additionalProperties": False,
                    },
                },
                "required": ["name", *FIGURES, "costs"],
            },
        },
        "differences": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "policy": {"type": "string"},
                    "baseline": {"type": "string"},
                    "mean": {"type": "number"},
                    "ci_low": NUMBER,
                    "ci_high": NUMBER,
                    "p_better": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
                },
                "required": ["policy", "baseline", "mean", "ci_low", "ci_high", "p_better"],
            },
        },
        "best": {"type": "string"},
        "verdict": {"type": "string"},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "provenance": {"type": "object", "required": ["scenario_hash", "seed", "versions"]},
    },
    "required": ["scenario", "horizon_days", "replications", "policies", "differences", "best"],
}


def checked(comparison: Comparison) -> dict[str, Any]:
    """The document after a trip through JSON that knows no NaN, against the schema."""
    document = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    jsonschema.validate(document, DOCUMENT, jsonschema.Draft202012Validator)
    assert document == comparison.to_dict()
    return document


def test_document_is_what_the_design_says(found):
    document = checked(found)
    assert document["scenario"] == "small"
    assert document["horizon_days"] == 60.0
    assert document["replications"] == REPLICATIONS
    assert document["best"] == found.best
    assert [entry["name"] for entry in document["policies"]] == found.names
    assert [row["policy"] for row in document["differences"]] == found.differences()["policy"].tolist()
    assert document["provenance"]["scenario_hash"] == scenario().hash()


def test_document_has_the_figures_of_the_runs(found):
    for entry in checked(found)["policies"]:
        for figure in FIGURES:
            values = rows(found, entry["name"])[figure].dropna()
            if len(values):
                assert entry[figure]["mean"] == pytest.approx(values.mean(), rel=1e-12)
                assert entry[figure]["ci_low"] <= entry[figure]["mean"] <= entry[figure]["ci_high"]
            else:
                assert entry[figure] == {"mean": None, "ci_low": None, "ci_high": None}
        assert math.fsum(entry["costs"].values()) == pytest.approx(entry["total_cost"]["mean"], rel=1e-12)
    tuned = next(entry for entry in checked(found)["policies"] if entry["name"] == "scheduled:best")
    assert tuned["interval_days"] == found.intervals["scheduled:best"]


def test_document_of_one_replication():
    document = checked(compare(scenario(), ["triggered"], replications=1, workers=1))
    assert all(row["p_better"] is None for row in document["differences"])
    assert all(entry["annual_cost"]["ci_low"] is None for entry in document["policies"])


def test_document_of_a_world_without_requests():
    idle = certain(traffic={"rate": "0/d"})
    document = checked(compare(idle, ["scheduled:7d", "triggered:psi>0.2"], replications=2, workers=1))
    assert document["policies"][0]["mean_accuracy"]["mean"] is None


def test_currency_is_carried():
    document = checked(compare(certain(currency="EUR"), [], replications=1, workers=1))
    assert document["currency"] == "EUR"
