"""The ledger: nothing is lost, nothing is counted twice."""

from __future__ import annotations

import math
from typing import Any

import pytest

import scenarios
import sim
from scenarios.loader import validate_mapping
from sim.edge_samples import smaller_fleet
from sim.ledger import CATEGORIES, Ledger

PRICES = {"compute": "$70.1", "validation": "$10.7", "deployment": "$3.3", "risk": "$0.9"}
RUNS: dict[str, dict[str, Any]] = {
    "plain": {},
    "noisy pipeline": {
        "pipeline": {
            "cost": PRICES,
            "stages": {"training": {"duration": "3h", "failure": 0.4}},
            "gate": {"holdout": 200},
            "training_noise": 0.02,
            "max_retries": 1,
        }
    },
    "monitored slices": {
        "slices": [{"name": "a", "weight": 0.3}],
        "labels": {"coverage": 0.3, "delay": "6h", "cost": "$0.01/label"},
        "monitors": [
            {"metric": "slice_accuracy", "slice": "a", "cost": "$200/month"},
            {"metric": "feature_drift_psi", "cost": "$0.1/h"},
        ],
        "pipeline": {"cost": PRICES},
    },
    "gains": {"reference_accuracy": 0.5, "pipeline": {"cost": PRICES}},
}
POLICIES = ["never", "scheduled:1.3d", "triggered:accuracy<-0.02", "hybrid:5d", "continuous:1d", "cost-aware"]


def run(policy: str, **parts: Any) -> sim.Result:
    plain: dict[str, Any] = {
        "title": "ledger",
        "horizon": "20d",
        "window": "1h",
        "value_per_query_per_unit_accuracy": "$0.0713",
        "features": 2,
        "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "1.7%/d"},
        "drift": [{"kind": "random_walk", "volatility": "0.1/sqrt(d)"}],
        "traffic": {"rate": "1117/d"},
        "triggers": [{"metric": "feature_drift_psi", "rows": 100, "cost": "$31/month"}],
        "pipeline": {"cost": PRICES},
    }
    return sim.run(validate_mapping(plain | parts), policy)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", RUNS)
def test_the_categories_add_up_to_the_total_to_the_last_bit(name, policy):
    result = run(policy, **RUNS[name])
    assert tuple(result.costs.index) == CATEGORIES
    assert result.summary["total_cost"] == math.fsum(result.costs)
    assert result.summary["annual_cost"] == pytest.approx(365 / 20 * result.summary["total_cost"], rel=1e-15)
    assert all(math.isfinite(cost) for cost in result.costs)


@pytest.mark.parametrize("name", scenarios.library_names())
def test_the_categories_of_the_library_add_up(name):
    result = sim.run(smaller_fleet(scenarios.load(name), 500), "scheduled:30d")
    assert result.summary["total_cost"] == math.fsum(result.costs)


def test_entries_of_a_category_are_added_exactly():
    ledger = Ledger()
    for _ in range(10):
        ledger.post("risk", 0.1)
    ledger.post("staleness", 1e16)
    ledger.post("staleness", 1.0)
    ledger.post("staleness", -1e16)
    costs = ledger.by_category()
    assert costs["risk"] == 1.0
    assert costs["staleness"] == 1.0
    assert costs.drop(["risk", "staleness"]).eq(0.0).all()
    assert ledger.total() == 2.0


def test_an_unknown_category_is_an_error_that_lists_the_known_ones():
    with pytest.raises(
        KeyError, match="unknown cost category 'stalenes', one of: staleness, incident, retrain_compute"
    ):
        Ledger().post("stalenes", 1.0)


@pytest.mark.parametrize("amount", [math.nan, math.inf, -math.inf])
def test_what_is_not_an_amount_is_refused(amount):
    ledger = Ledger()
    with pytest.raises(ValueError, match=r"risk: got .*, expected a finite amount"):
        ledger.post("risk", amount)
    assert ledger.total() == 0.0


# ---------------------------------------------------------------- running costs


def test_staleness_is_the_accuracy_short_of_the_reference_by_worth():
    for reference in (None, 0.95, 0.5):
        result = run("scheduled:1.3d", reference_accuracy=reference)
        timeline = result.timeline
        short = (reference or 0.9) - timeline["accuracy"]
        assert result.costs["staleness"] == pytest.approx((short * timeline["requests"]).sum() * 0.0713)


def test_monitors_cost_by_the_day():
    monthly = 31 * 12 / 365 * 20
    assert run("never").costs["monitoring"] == 0.0, "who does not react needs no trigger"
    assert run("triggered").costs["monitoring"] == pytest.approx(monthly)
    more = run("triggered", monitors=[{"metric": "accuracy", "cost": "$1/d"}])
    assert more.costs["monitoring"] == pytest.approx(monthly + 20)
    assert run("triggered:accuracy<-0.02").costs["monitoring"] == 0.0, (
        "it does not use the scenario's trigger"
    )


def test_labels_cost_when_a_monitor_uses_them():
    labels = {"labels": {"cost": "$0.01/label"}}
    assert run("never", **labels).costs["labelling"] == 0.0
    watched = run("never", monitors=[{"metric": "accuracy"}], **labels)
    assert watched.costs["labelling"] == pytest.approx(0.01 * watched.requests.sum())
    twice = [{"metric": "accuracy"}, {"metric": "accuracy", "name": "again", "window": "1d"}]
    assert run("never", monitors=twice, **labels).costs["labelling"] == watched.costs["labelling"]
    few = run("never", monitors=[{"metric": "accuracy", "rows": 5}], **labels)
    assert few.costs["labelling"] == pytest.approx(0.01 * 5 * 480)


def test_labels_of_different_slices_are_different_labels():
    slices = [{"name": "a", "weight": 0.5}, {"name": "b", "weight": 0.5}]
    both = [{"metric": "slice_accuracy", "slice": name} for name in "ab"]
    labels = {"labels": {"cost": "$0.01/label"}, "slices": slices}
    one = run("never", monitors=both[:1], **labels)
    two = run("never", monitors=both, **labels)
    # half of 22,000 labels, give or take 5 standard errors of 75 (error rate 6e-7)
    assert one.costs["labelling"] == pytest.approx(0.005 * one.requests.sum(), rel=375 / 11000)
    assert two.costs["labelling"] == pytest.approx(0.01 * two.requests.sum(), rel=2 * 375 / 22000)
