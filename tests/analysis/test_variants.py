"""Variants: the same worlds under other operations, and what is told of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import scenarios
import sim
from analysis import compare_variants
from analysis.cli import app
from analysis.variants import Variant, VariantComparison, parse_variant
from scenarios.loader import validate_mapping
from scenarios.overlays import overlaid
from scenarios.schema import Scenario

BASE: dict[str, Any] = {
    "title": "A small service",
    "horizon": "120d",
    "window": "6h",
    "value_per_query_per_unit_accuracy": "$0.1",
    "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0.2%/d"},
    "traffic": {"rate": "2000/d"},
    "failures": [{"name": "skew", "rate": "24/y", "accuracy_drop": 0.2, "cost": "$50"}],
    "monitors": [{"metric": "accuracy", "cadence": "7d", "threshold": 0.05}],
    "response": {"triage": "4h", "repair": "8h", "hourly_cost": "$10/h"},
    "pipeline": {"cost": {"compute": "$40"}},
    "policies": ["scheduled:30d", "never"],
    "overlays": {
        "daily": {"monitors": {"accuracy": {"cadence": "1d", "window": "1d", "cost": "$300/month"}}},
        "slow": {"response": {"repair": "5d"}},
        "rare": {"failures": {"skew": {"rate": "6/y"}}},
    },
}


@pytest.fixture(scope="module")
def base() -> Scenario:
    return validate_mapping(BASE)


@pytest.fixture(scope="module")
def found(base: Scenario) -> VariantComparison:
    variants = {"as is": "base", "daily": "daily", "both": (["daily", "slow"], "never")}
    return compare_variants(base, variants, replications=6, seed=3, workers=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ad_hoc", Variant("ad_hoc", ("ad_hoc",))),
        ("base@never", Variant("base", ("base",), "never")),
        ("a = x + y.yaml @ triggered:psi@4/y", Variant("a", ("x", "y.yaml"), " triggered:psi@4/y")),
        ("now=@answers.yaml@hybrid:30d", Variant("now", ("answers.yaml",), "hybrid:30d")),
    ],
)
def test_grammar(text: str, expected: Variant) -> None:
    assert parse_variant(text) == expected


@pytest.mark.parametrize("text", ["", "=ad_hoc", "a=", "a=+b", "@never", "a@", "a=b+"])
def test_what_is_no_variant(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected NAME\[=OVERLAY"):
        parse_variant(text)


def test_every_variant_plays_its_own_scenario_in_the_world_of_the_seed(
    base: Scenario, found: VariantComparison
) -> None:
    for name, overlays, policy in (
        ("as is", [], "scheduled:30d"),
        ("daily", ["daily"], "scheduled:30d"),
        ("both", ["daily", "slow"], "never"),
    ):
        alone = [sim.run(overlaid(base, overlays), policy, 3, replication=k) for k in range(6)]
        assert found.values(name, "total_cost").tolist() == [r.summary["total_cost"] for r in alone]
        assert found.entrants[name].name == policy
    assert found.replay("both", 2).summary["total_cost"] == found.values("both", "total_cost")[2]


def test_worlds_are_the_same_where_only_operations_differ(found: VariantComparison) -> None:
    assert not any("drawn again" in warning for warning in found.warnings)
    incidents = [found.values(name, "incidents").tolist() for name in found.names]
    assert incidents[0] == incidents[1] == incidents[2]
    assert sum(incidents[0]) > 0


def test_a_changed_world_is_told(base: Scenario) -> None:
    rare = compare_variants(base, ["base", "rare"], replications=2, workers=1)
    assert any("rare: changes failures" in warning for warning in rare.warnings)


def test_times_are_means_over_all_incidents(found: VariantComparison) -> None:
    runs = [found.replay("daily", k) for k in range(6)]
    incidents = [i for run in runs for i in run.raw_incidents]
    repaired = [i.resolved - i.onset.time for i in incidents if i.resolved is not None]
    detected = [i.detected - i.onset.time for i in incidents if i.detected is not None]
    row = found.table().loc["daily"]
    assert row["mttr_hours"] == pytest.approx(24 * np.mean(repaired))
    assert row["mttd_hours"] == pytest.approx(24 * np.mean(detected))
    assert row["incidents_per_year"] == pytest.approx(len(incidents) / 6 * 365 / 120)


def test_the_first_is_the_baseline_and_operations_show(found: VariantComparison) -> None:
    assert found.differences()["baseline"].tolist() == ["as is", "as is"]
    table = found.table()
    assert table.loc["daily", "mttd_hours"] < table.loc["as is", "mttd_hours"]
    assert table.loc["both", "mttr_hours"] > table.loc["daily", "mttr_hours"] + 4 * 24
    assert math.isnan(table.loc["both", "decay_mttr_hours"])  # nothing replaces the model
    # Retrained every 30 days, and the loss is material (1 %) after 5.6 days.
    assert table.loc["as is", "decay_mttr_hours"] == pytest.approx(24 * 24.5, rel=0.02)


def test_returns_are_savings_over_spending(found: VariantComparison) -> None:
    row = found.returns().loc["daily"]
    assert row["saves"] - row["spends"] == pytest.approx(-found.difference("daily", "as is").mean)
    assert row["spends"] >= 3600 * 0.99
    assert row["roi"] == pytest.approx(row["saves"] / row["spends"])


def test_what_saves_nothing_saves_no_negative_zero() -> None:
    asset = scenarios.load("rotting_asset", horizon="10d")
    same = compare_variants(asset, {"as is": "base", "same": "base"}, replications=2, workers=1)
    row = same.returns().loc["same"]
    assert row["saves"] == row["spends"] == 0.0
    assert not math.copysign(1.0, row["saves"]) < 0.0


@pytest.mark.slow
def test_the_number_of_workers_does_not_show(base: Scenario) -> None:
    short, variants = base.with_(horizon="30d"), ["base", "daily@scheduled:best"]
    one, two = (compare_variants(short, variants, replications=3, workers=w) for w in (1, 2))
    assert one.runs.equals(two.runs)
    assert "daily" in one.intervals


@pytest.mark.parametrize(
    ("variants", "said"),
    [
        (["base"], "got 1, expected two or more"),
        (["base", "base@never"], "variant 'base' is there twice"),
        (["base", "dayly"], "variant dayly: overlay dayly: no such overlay: did you mean 'daily'"),
        (["base", "daily@nevr"], "variant daily: policy 'nevr': did you mean 'never'"),
        ({"a": "base", "b": {"horizon": "30d"}}, "variant b: horizon: the overlay changes it"),
        ({"a": "base", "b": ("daily", "never", 3)}, "expected \\(overlay, policy\\)"),
        ({"a": "base", "b": "daily@never"}, "no such overlay"),
    ],
)
def test_what_cannot_be_compared(base: Scenario, variants: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        compare_variants(base, variants, replications=1, workers=1)


@pytest.mark.parametrize("options", [{"replications": 0}, {"precision": 2.0}, {"max_replications": 1}])
def test_meaningless_numbers(base: Scenario, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        compare_variants(base, ["base", "daily"], **options)


def test_precision(base: Scenario) -> None:
    rough = compare_variants(base, ["base", "daily"], precision=0.2, workers=1)
    assert rough.replications >= 10
    cost = rough.interval(rough.best, "annual_cost")
    assert cost.half_width <= 0.2 * cost.mean
    never = compare_variants(base, ["base", "daily"], precision=0.001, max_replications=2, workers=1)
    assert "still wider" in never.warnings[-1]


def test_text_document_and_files(found: VariantComparison, tmp_path: Path) -> None:
    text = str(found)
    for word in ("variant", "MTTR", "saves/spends", "cost to as is", "scheduled:30d"):
        assert word in text
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [variant["name"] for variant in document["variants"]] == found.names
    assert document["differences"][0]["variant"] == "daily"
    files = found.save(tmp_path)
    assert all(file.stat().st_size > 0 for file in files)
    assert {"comparison.json", "costs.png", "scenarios.json"} <= {file.name for file in files}


class TestCommand:
    def said(self, *arguments: str, status: int = 0) -> str:
        done = CliRunner().invoke(app, list(arguments))
        assert done.exit_code == status, done.output
        return str(done.stdout if status == 0 else done.output)

    def test_compare(self) -> None:
        options = (
            "--variant",
            "base@never",
            "--variant",
            "ad_hoc",
            "--reps",
            "2",
            "--json",
            "--workers",
            "1",
        )
        document = json.loads(self.said("compare", "rotting_asset", *options))
        assert [(v["name"], v["policy"]) for v in document["variants"]] == [
            ("base", "never"),
            ("ad_hoc", "triggered"),
        ]

    def test_a_policy_beside_a_variant(self) -> None:
        said = self.said("compare", "rotting_asset", "--variant", "base", "-p", "never", status=2)
        assert "write the policy behind the variant" in said

    def test_a_requirement(self) -> None:
        options = ("--variant", "base@never", "--variant", "ad_hoc", "--reps", "2", "--workers", "1")
        said = self.said("compare", "rotting_asset", *options, "--require", "mean_accuracy > 99%", status=3)
        assert "does not hold" in said

    @pytest.mark.parametrize(
        "command", [["show"], ["run"], ["delays", "--reps", "2"], ["budget", "--reps", "2"]]
    )
    def test_overlays_elsewhere(self, command: list[str], tmp_path: Path) -> None:
        file = tmp_path / "small.json"
        file.write_text(json.dumps(BASE | {"horizon": "20d"}))
        yaml = tmp_path / "small.yaml"
        yaml.write_text(file.read_text())
        name, *options = command
        assert self.said(name, str(yaml), "-O", "daily", "-O", "slow", *options)
        assert "no such overlay" in self.said(name, str(yaml), "--overlay", "dayly", *options, status=2)


@pytest.mark.slow
def test_the_investment_returns_about_what_the_source_computes() -> None:
    """Worked figure mlops_roi: 4 incidents avoided at $25,000 and 20 h a month at $150 for $30,000 are 4.53 times."""
    investment = scenarios.load("mlops_investment")
    found = compare_variants(investment, {"before": "base", "after": "invested"}, replications=60, workers=2)
    avoided = found.values("before", "incidents") - found.values("after", "incidents")
    assert avoided.mean() * 365 / 360 == pytest.approx(4.0, abs=0.7)
    row = found.returns().loc["after"]
    assert row["spends"] == pytest.approx(30_000)
    assert 3.5 < row["roi"] < 6.0
    labour = found.values("before", "cost[deployment]").mean() * 365 / 360
    assert labour == pytest.approx(36_000, rel=0.08)
