"""The headline figure of each library scenario against the source's, where the source gives one.

FIGURES: computed here from the scenario, by closed forms from its own fields or by a short run. TESTED: figures that
come out of many runs, with the tests that hold them. NONE: scenarios without a figure in the source, and why.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import scenarios
import sim
from analysis import economics
from analysis.tuning import resolved
from analysis.worked_figures import published_rows
from scenarios.overlays import overlaid
from scenarios.schema import Scenario
from scenarios.units import DAYS_PER_YEAR
from sim import durations
from sim.fleet_days import run_fleet

TESTS = Path(__file__).parents[1]
PUBLISHED = {row["id"]: row["expected"] for row in published_rows()}
MONTH = DAYS_PER_YEAR / 12


class Figure(NamedTuple):
    """One figure of the source."""

    scenario: str
    section: str
    figure: str
    expected: float
    compute: Callable[[Scenario], float]
    error: float = 1e-9
    """Relative; what rounding in the source, or chance in a run, explains."""


def row(identifier: str) -> float:
    """A figure of the table of worked figures, as the source has it."""
    return float(PUBLISHED[identifier])


def interval(scenario: Scenario, closed_form: Callable[..., object]) -> float:
    """Days between retrainings by a closed form, from the scenario's own fields."""
    quality = scenario.quality
    assert quality.kind == "exponential"
    return float(
        closed_form(  # type: ignore[arg-type]
            retrain_cost=scenario.pipeline.price,
            queries_per_day=scenario.traffic.rate,
            value=scenario.value_per_query_per_unit_accuracy,
            accuracy=quality.initial_accuracy,
            decay=quality.decay,
        )
    )


def first_retraining(scenario: Scenario) -> float:
    """Day of the first retraining of the trigger."""
    events = sim.run(scenario, "triggered").events
    return float(events.loc[events["kind"] == "retraining started", "time_days"].iloc[0])


def scheduled_retrainings(scenario: Scenario) -> float:
    return float(sim.run(scenario, "scheduled:90d").summary["retrains"])


def incident_loss(scenario: Scenario, cadence: str) -> float:
    """Loss of one incident that begins right after a look."""
    failure = {"name": "skew", "onsets": ["28d"], "accuracy_drop": "5%"}
    known = scenario.with_(
        **{"failures": [failure], "menu": [], "monitors.0.cadence": cadence, "horizon": "84d"}
    )
    return float(sim.run(known).incidents["loss"].iloc[0])


def telemetry_of_a_month(scenario: Scenario) -> float:
    """Base of the telemetry bill of 30 days: no monitor, nothing that fails."""
    quiet = scenario.with_(horizon="30d", monitors=[], failures=[], menu=[], **{"telemetry.outages": None})
    costs = sim.run(quiet).costs
    return float(costs.filter(like="monitoring").sum() - costs.get("monitoring", 0.0))


def accuracy_with_broken_tablets(scenario: Scenario) -> float:
    failure = {"name": "tablet_client", "slice": "tablet", "accuracy_drop": "26%", "onsets": ["1d"]}
    broken = scenario.with_(horizon="2d", failures=[failure], monitors=[], menu=[])
    return float(sim.run(broken).timeline["accuracy"].iloc[-1])


def days_for_a_thousand_labels(scenario: Scenario) -> float:
    return float(economics.detection_time(1000, labels_per_day=float(scenario.traffic.rate or 0.0)))


def six_cents(scenario: Scenario) -> float:
    """Price of 1000 requests of one hour; 50,000 Poisson requests vary by 0.45 % (one SD)."""
    return float(run_fleet(scenario.with_(horizon="1h")).summary["cost_per_1000"])


def latency_left_for_inference(scenario: Scenario) -> float:
    """Milliseconds of the objective that the other stages leave."""
    assert scenario.serving is not None
    assert scenario.serving.objective is not None
    path = scenario.serving.path
    others = (path.network, path.feature_fetch, path.post_processing)
    spent = math.fsum(durations.mean(stage) for stage in others if stage is not None)
    return 86_400e3 * (float(scenario.serving.objective.p99 or math.nan) - spent)


def gigabytes_of_a_sequence(scenario: Scenario) -> float:
    """Keys and values of a whole sequence."""
    assert scenario.serving is not None
    service, sizes = scenario.serving.pools[0].service, scenario.serving.sizes
    assert service.kind == "llm"
    return float(service.kv_per_token * (sizes.tokens_in.value + sizes.tokens_out.value) / 1e9)


def invested(scenario: Scenario) -> float:
    """What the overlay costs a year."""
    monitors = overlaid(scenario, "invested").monitors
    return DAYS_PER_YEAR * math.fsum(monitor.cost for monitor in monitors)


def pipeline_minutes(scenario: Scenario) -> float:
    stages = scenario.pipeline.stages
    names = type(stages).model_fields
    return 1440.0 * math.fsum(durations.mean(getattr(stages, name).duration) for name in names)


def ring_accuracy(scenario: Scenario, where: slice, policy: str) -> float:
    """Mean accuracy of some days of rings on the mains, so that only their model counts."""
    plain = scenario.with_(
        {"edge.devices[0].power": {"kind": "mains"}, "edge.devices[0].count": 300}, horizon="140d"
    )
    return float(sim.run(plain, policy).timeline["accuracy"][where].mean())


FIGURES = (
    Figure("oura_ring", "Oura Ring Case Study", "agreement with the laboratory before the data work",
           0.62, lambda s: ring_accuracy(s, slice(3, 15), "never"), 0.01),
    Figure("oura_ring", "Oura Ring Case Study", "agreement after it",
           0.79, lambda s: ring_accuracy(s, slice(135, 140), "scheduled:91d"), 0.02),
    Figure("oura_ring", "Oura Ring Case Study", "part of a payload that is saved (80 to 95 %)",
           0.875, lambda s: s.edge.ota.differential, 0.075 / 0.875),
    Figure("smoke_detector", "Edge AI Deployment", "memory (KB)",
           256.0, lambda s: s.edge.devices[0].memory / 1e3),
    Figure("fraud_detection", "Optimal Retraining Interval", "T*, square-root law (days)",
           row("retrain_interval_sqrt"), lambda s: interval(s, economics.optimal_interval_sqrt)),
    Figure("fraud_detection", "Optimal Retraining Interval", "T*, exact (days)",
           row("retrain_interval_exact"), lambda s: interval(s, economics.optimal_interval)),
    Figure("rotting_asset", "figure 'The Rotting Asset Curve'", "first day below 0.82",
           row("rotting_asset_trigger_day"), first_retraining),
    Figure("rotting_asset", "figure 'The Rotting Asset Curve'", "retrainings in 365 days, every 90",
           4.0, scheduled_retrainings),
    Figure("silent_failure", "The Cost of Silent Failures", "loss until the monthly review (USD)",
           row("silent_failure_manual"), lambda s: incident_loss(s, "28d")),
    Figure("silent_failure", "The Cost of Silent Failures", "loss until the daily check (USD)",
           row("silent_failure_automated"), lambda s: incident_loss(s, "1d")),
    Figure("monitoring_budget", "Single-Model Monitoring Budget", "telemetry of a month (USD)",
           row("monitoring_total"), telemetry_of_a_month),
    Figure("netflix_cohorts", "Slice Analysis", "accuracy of all when tablets are at 62 %",
           row("slice_overall"), accuracy_with_broken_tablets),
    Figure("low_traffic_medical", "The Drift Detection Delay", "days for 1000 labels",
           row("detection_samples_low"), days_for_a_thousand_labels),
    Figure("a100_cost", "Cost-Per-Inference Tracking", "price of 1000 inferences (USD)",
           row("cost_per_1k"), six_cents, 0.02),
    Figure("gpu_serving_100ms", "The Latency Budget", "milliseconds left for inference",
           45.0, latency_left_for_inference),
    Figure("llm_70b_kv_cache", "Memory Hierarchy Effects", "KV cache of a sequence (GB, 2 to 4)",
           3.0, gigabytes_of_a_sequence, 1 / 3),
    Figure("mlops_investment", "MLOps Investment Economics", "investment a year (USD)",
           30_000.0, invested),
    Figure("mlops_investment", "MLOps Investment Economics", "work saved a year (USD, 20 h a month at $150)",
           36_000.0, lambda s: 12.0 * s.pipeline.cost.deployment),
    Figure("uber_feature_store", "Consistency Imperative", "1 % of the year's answers (USD)",
           row("skew_cost"), lambda s: float(economics.skew_cost(
               error_rate=0.01, queries_per_day=s.traffic.rate,
               cost_per_error_usd=s.value_per_query_per_unit_accuracy))),
    Figure("knight_capital", "the Knight Capital war story", "loss of 212 orders (USD)",
           440e6, lambda s: 212 * s.value_per_query_per_unit_accuracy, 0.001),
    Figure("tfx_gates", "Google TFX Production ML Pipelines", "minutes of the pipeline (15 to 45)",
           30.0, pipeline_minutes, 0.5),
    Figure("spot_training", "footnote on cloud training economics", "discount of spot (60 to 90 %)",
           0.75, lambda s: s.serving.jobs[0].spot.discount, 0.2),
)  # fmt: skip

TESTED = {
    "fraud_maturity": "scenarios/test_operations_scenarios.py::test_times_to_repair_are_in_the_ranges_of_the_source",
    "training_serving_skew": "scenarios/test_operations_scenarios.py::test_the_review_finds_it_after_weeks",
    "retail_recsys": "scenarios/test_operations_scenarios.py"
    "::test_the_second_quarter_finds_it_when_ten_million_are_gone",
    "uber_feature_store": "scenarios/test_operations_scenarios.py"
    "::test_skew_is_half_of_all_incidents_and_costs_what_the_source_reckons",
    "zillow_cascade": "scenarios/test_debt_scenarios.py"
    "::test_the_write_down_is_within_the_interval_of_the_mean_and_some_worlds_lose_far_more",
    "knight_capital": "scenarios/test_debt_scenarios.py::test_the_loss_is_that_of_the_source_within_its_interval",
    "resnet50_vision": "scenarios/test_monitoring_scenarios.py"
    "::test_the_trigger_of_an_archetype_retrains_about_as_often_as_the_source_says",
    "gpt2_text": "scenarios/test_monitoring_scenarios.py"
    "::test_the_trigger_of_an_archetype_retrains_about_as_often_as_the_source_says",
    "dlrm_recsys": "scenarios/test_monitoring_scenarios.py"
    "::test_the_trigger_of_an_archetype_retrains_about_as_often_as_the_source_says",
    "dscnn_keyword": "scenarios/test_monitoring_scenarios.py"
    "::test_the_trigger_of_an_archetype_retrains_about_as_often_as_the_source_says",
    "published_abrupt": "reference/test_published_directions.py::test_a_plain_period_beats_reacting",
    "published_gradual": "reference/test_published_directions.py::test_a_plain_period_beats_reacting",
    "published_recurring": "reference/test_published_directions.py"
    "::test_a_plain_period_loses_to_reacting_when_the_concept_comes_back",
    "published_incremental": "reference/test_published_directions.py"
    "::test_no_policy_beats_never_when_the_model_follows_its_stream",
    "published_latency": "reference/test_published_directions.py"
    "::test_latency_halves_the_budget_that_is_asked_for_twice",
    "ad_click": "reference/test_headline_figures.py::test_the_best_schedule_is_of_the_order_of_the_source",
    "demand_forecast": "reference/test_headline_figures.py::test_the_best_schedule_is_of_the_order_of_the_source",
    "medical_imaging": "reference/test_headline_figures.py::test_the_best_schedule_is_of_the_order_of_the_source",
    "llm_conversation": "scenarios/test_serving_scenarios.py"
    "::test_rates_and_sizes_by_minute_keep_the_tail_of_the_record",
    "electricity": "reference/test_published_directions.py::test_the_replay_of_the_record_equals_the_engine",
}
"""Tests that hold a figure, or a direction, which comes out of many runs."""
NONE = {
    "youtube_feedback": "the source describes loop and remedies and gives no figure",
    "facebook_configuration": "the source describes the case and gives no figure",
    "flash_sale": "the source names the effect of a cold start and gives no figure",
    "shared_training_pool": "the source names the tension and gives no figure",
    "tesla_ota": "the source describes the case and gives no figure",
    "mobile_keyboard": "the source names federated learning and gives no figure of it",
    "clinaiops_hypertension": "the source describes the three loops and gives no figure",
}


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: f"{figure.scenario}: {figure.figure}")
def test_the_headline_figure_is_that_of_the_source(figure):
    found = figure.compute(scenarios.load(figure.scenario))
    assert found == pytest.approx(figure.expected, rel=figure.error)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "days"), [("ad_click", 1.0), ("demand_forecast", 30.0), ("medical_imaging", 91.0)]
)
def test_the_best_schedule_is_of_the_order_of_the_source(name, days):
    """Daily, monthly, quarterly: the tuned interval is within a factor of two of the table's."""
    best = resolved(scenarios.load(name), scenarios.parse_policy("scheduled:best"), 0)
    assert days / 2.0 <= best.interval <= 2.0 * days


def test_every_scenario_has_a_figure_a_test_or_a_reason():
    known = {figure.scenario for figure in FIGURES} | set(TESTED) | set(NONE)
    assert known == set(scenarios.library_names())
    assert not set(NONE) & ({figure.scenario for figure in FIGURES} | set(TESTED))


def test_the_tests_that_hold_figures_exist():
    for place in TESTED.values():
        file, _, name = place.partition("::")
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, place


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: f"{figure.scenario}: {figure.figure}")
def test_sections_are_named_by_the_scenario_or_hold_a_worked_figure(figure):
    source = scenarios.load(figure.scenario).source
    words = figure.section.removeprefix("figure ").removeprefix("the ").strip("'")
    assert words in source or figure.expected in {
        float(text) for text in PUBLISHED.values() if is_number(text)
    }


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
