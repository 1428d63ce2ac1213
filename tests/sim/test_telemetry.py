"""The bill of monitoring: the source's figures to the cent, closed forms, and months that add up."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from importlib import resources
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import simpy

import sim
from analysis import economics
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from scenarios.telemetry import Telemetry, Tier
from sim.ledger import CATEGORIES, Ledger
from sim.telemetry import Points, bill, post_rest, storage_months, telemetry_bills

SECONDS = 1.0 / 86_400.0
SOURCE: dict[str, Any] = {
    "metrics": {"series": 50, "deployments": 3, "every": "15s"},
    "dashboards": {"count": 2, "users": 3, "refresh": "5min", "open_per_day": "8h", "days_per_month": 22},
}
TIERS = [{"every": "15s", "keep": "24h"}, {"every": "1min", "keep": "7d"}, {"every": "5min", "keep": "30d"}]
NOTHING = dict.fromkeys(("ingest", "storage", "query", "evaluation"), "$0") | {"bytes_per_point": "0 B"}


def telemetry(**given: Any) -> Telemetry:
    return Telemetry.model_validate(given)


def scenario(
    telemetry: dict[str, Any] | None, horizon: str = "45d", window: str = "1h", **parts: Any
) -> Scenario:
    return validate_mapping(
        {
            "title": "telemetry",
            "horizon": horizon,
            "window": window,
            "value_per_query_per_unit_accuracy": "$1",
            "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
            "traffic": {"rate": "24/d"},
            "telemetry": telemetry,
            **parts,
        }
    )


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    table = resources.files("analysis").joinpath("data", "worked_figures.csv")
    with table.open(encoding="utf-8") as file:
        return {
            row["id"]: float(row["expected"]) for row in csv.DictReader(file) if _is_number(row["expected"])
        }


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------- the bill


def test_the_worked_figures_to_the_cent(figures):
    month = bill(telemetry(**SOURCE), [], 0, 30)
    assert month["monitoring_ingest"] == pytest.approx(figures["monitoring_ingest"], rel=1e-12)
    assert month["monitoring_storage"] == pytest.approx(figures["monitoring_storage"], rel=1e-12)
    assert month["monitoring_query"] == pytest.approx(figures["monitoring_queries"], rel=1e-12)
    assert month["monitoring_alert"] == 0.0
    assert math.fsum(month.values()) == pytest.approx(figures["monitoring_total"], rel=1e-12)
    counted = bill(telemetry(**SOURCE | NOTHING | {"ingest": "$1"}), [], 0, 30)
    assert counted["monitoring_ingest"] == pytest.approx(figures["monitoring_points"], rel=1e-12)


@pytest.mark.parametrize("variants", [1, 4])
@pytest.mark.parametrize("samples_per_minute", [4, 0.5])
def test_the_bill_agrees_with_the_closed_forms(variants, samples_per_minute):
    given = telemetry(
        metrics={"series": 70, "deployments": variants, "every": f"{60 / samples_per_minute}s"},
        dashboards={"count": 7, "users": 2, "refresh": "30s", "open_per_day": "9h", "days_per_month": 20},
        ingest="$0.5/million", storage="$2", query="$0.01", bytes_per_point="16 B",
    )  # fmt: skip
    points = economics.monitoring_points(variants=variants, metrics=70, samples_per_minute=samples_per_minute)
    month = bill(given, [], 0, 30)
    ingest = economics.ingest_cost(points, usd_per_million=0.5)
    storage = economics.storage_cost(points, bytes_per_point=16, usd_per_gb_month=2)
    query = economics.query_cost(
        dashboards=7, users=2, queries_per_hour=120, hours=9, days=20, usd_per_query=0.01
    )
    assert list(month.values()) == pytest.approx([ingest, storage, query, 0.0], rel=1e-12)


def test_tiers_save_what_the_source_says(figures):
    flat = bill(telemetry(**SOURCE), [], 0, 30)
    tiered = bill(telemetry(**SOURCE, retention=TIERS), [], 0, 30)
    saved = 1 - tiered["monitoring_storage"] / flat["monitoring_storage"]
    assert saved == pytest.approx(figures["tiered_retention"], rel=1e-12)
    assert saved == pytest.approx(economics.tiered_retention_saving(), rel=1e-12)
    assert {**flat, "monitoring_storage": 0} == {**tiered, "monitoring_storage": 0}, "only storage changes"


@pytest.mark.parametrize("every", [1.0, 15.0, 20.0, 60.0, 300.0])
def test_a_tier_stores_the_points_that_downsampling_leaves(every):
    """Count, point by point, what a long stream leaves in each tier: one point an interval of the tier."""
    tiers = [Tier(every="20s", keep="1d"), Tier(every="300s", keep="30d")]
    arrivals = np.arange(0.0, 6000.0, every)
    kept = sum(len(np.unique(arrivals // (tier.every / SECONDS))) * tier.keep for tier in tiers)
    assert storage_months(tiers, every * SECONDS) == pytest.approx(kept / len(arrivals) / 30)


@pytest.mark.parametrize("every", [0.0, -1.0, math.nan])
def test_points_without_an_interval_are_refused(every):
    with pytest.raises(ValueError, match=f"every: got {every}, expected the days between two points"):
        storage_months(30.0, every)


@pytest.mark.parametrize(
    ("points", "evaluations", "days", "message"),
    [
        ([], 0, -1.0, "days: got -1.0, expected a number >= 0"),
        ([], math.nan, 1.0, "evaluations: got nan"),
        ([Points(5, 1), Points(-2.0, 1)], 0, 1.0, "points: got -2.0"),
    ],
)
def test_a_bill_of_less_than_nothing_is_refused(points, evaluations, days, message):
    with pytest.raises(ValueError, match=message):
        bill(telemetry(), points, evaluations, days)


def test_points_of_monitors_and_evaluations_are_added():
    prices = telemetry(retention=TIERS)
    batches = [Points(2e6, 15 * SECONDS), Points(1e6, 1.0)]
    found = bill(prices, batches, 1000, 30)
    assert found["monitoring_ingest"] == pytest.approx(0.90)
    often, daily = 4.25 / 30, 38 / 30  # daily points are kept by every tier
    assert found["monitoring_storage"] == pytest.approx((2e6 * often + 1e6 * daily) * 8e-9)
    assert found["monitoring_query"] == 0.0
    assert found["monitoring_alert"] == pytest.approx(5.0)


@pytest.mark.parametrize("redundant", [False, True])
@pytest.mark.parametrize("heartbeat", [None, "5min"])
def test_what_a_second_path_and_a_heartbeat_cost(heartbeat, redundant):
    plain = bill(telemetry(**SOURCE), [Points(1e6, 1.0)], 720, 30)
    outages = {"rate": "4/y", "unnoticed": "2d", "heartbeat": heartbeat, "redundant": redundant}
    found = bill(telemetry(**SOURCE, outages=outages), [Points(1e6, 1.0)], 720, 30)
    paths = 1 + redundant
    beats = 0 if heartbeat is None else paths * 30 * 24 * 12
    assert found == pytest.approx(
        plain
        | {
            "monitoring_ingest": paths * plain["monitoring_ingest"],
            "monitoring_alert": plain["monitoring_alert"] + 0.005 * beats,
        }
    )


@pytest.mark.parametrize("days", [0.0, 1.0, 15.0, 45.0])
def test_a_stretch_has_its_part_of_the_month(days):
    given = telemetry(**SOURCE, outages={"rate": "4/y", "unnoticed": "2d", "heartbeat": "1h"})
    month = bill(given, [], 0, 30)
    part = bill(given, [], 0, days)
    assert part == pytest.approx({category: cost * days / 30 for category, cost in month.items()})


# ---------------------------------------------------------------- the bill of a run


class FakeWatch:
    """A monitor that takes in 7 + window points a window and looks at every third."""

    def __init__(self, metric: str = "accuracy", cadence: int = 3) -> None:
        self.monitor = SimpleNamespace(metric=metric)
        self.cadence = cadence

    def points(self, first: int, stop: int) -> float:
        return float(sum(7 + window for window in range(first, stop)))

    def looks(self, first: int, stop: int) -> np.ndarray:
        return np.array([window for window in range(first, stop) if (window + 1) % self.cadence == 0])


class Posts(Ledger):
    """A ledger that remembers the moment of each posting."""

    def __init__(self, env: simpy.Environment) -> None:
        super().__init__()
        self.env = env
        self.months: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def post(self, category: str, amount: float) -> None:
        super().post(category, amount)
        self.months[category].append((float(self.env.now), amount))


def played(system: Scenario, watches: list[FakeWatch]) -> Posts:
    """Play as the engine does: nothing that is due at the horizon happens."""
    env = simpy.Environment()
    run: Any = SimpleNamespace(
        env=env, scenario=system, ledger=Posts(env), plane=SimpleNamespace(watches=watches)
    )
    env.process(telemetry_bills(run))
    while env.peek() < system.horizon - 1e-9:
        env.step()
    post_rest(run)
    ledger: Posts = run.ledger
    return ledger


@pytest.mark.parametrize(
    ("horizon", "moments"),
    [
        ("45d", [30.0, 30.0]),
        ("60d", [30.0, 30.0]),
        ("30d", [0.0]),
        ("7d", [0.0]),
        ("91d", [30.0, 60.0, 90.0, 90.0]),
    ],
)
def test_a_bill_is_posted_each_month_and_for_the_rest(horizon, moments):
    posts = played(scenario(SOURCE, horizon), [])
    for category in ("monitoring_ingest", "monitoring_storage", "monitoring_query", "monitoring_alert"):
        assert [time for time, _ in posts.months[category]] == moments
    amounts = [amount for _, amount in posts.months["monitoring_query"]]
    days = float(horizon.removesuffix("d"))
    assert amounts[:-1] == pytest.approx([253.44] * (len(moments) - 1), rel=1e-12)
    assert amounts[-1] == pytest.approx(253.44 * (days / 30 - len(moments) + 1), rel=1e-12)


@pytest.mark.parametrize(
    ("horizon", "window"), [("45d", "1h"), ("90d", "15min"), ("98d", "7h"), ("0.5d", "1h")]
)
def test_the_months_add_up_to_the_whole(horizon, window):
    tiers = [{"every": "15s", "keep": "1d"}, {"every": "2d", "keep": "30d"}]  # the second leaves out looks
    system = scenario(SOURCE | {"retention": tiers}, horizon, window)
    watches = [FakeWatch(), FakeWatch(cadence=5)]
    costs = played(system, watches).by_category()
    points = [Points(watch.points(0, system.windows), watch.cadence * system.window) for watch in watches]
    evaluations = system.windows // 3 + system.windows // 5
    assert system.telemetry is not None
    whole = bill(system.telemetry, points, evaluations, system.horizon)
    assert costs[list(whole)].to_dict() == pytest.approx(whole, rel=1e-12)
    assert costs.sum() == pytest.approx(math.fsum(whole.values()), rel=1e-12), "and nothing else is posted"
    assert set(whole) < set(CATEGORIES)


def test_a_window_is_billed_in_the_month_in_which_it_ends():
    only_points = SOURCE | NOTHING | {"ingest": "$1", "metrics": None}
    posts = played(scenario(only_points, "98d", "7h"), [FakeWatch()])
    ended = [0, 102, 205, 308, 336]  # 30 days are 102.86 windows
    expected = [FakeWatch().points(*pair) for pair in pairwise(ended)]
    assert [amount for _, amount in posts.months["monitoring_ingest"]] == expected


def test_the_perfect_monitor_is_free():
    with_it = played(scenario(SOURCE), [FakeWatch(), FakeWatch("truth")]).by_category()
    assert with_it.equals(played(scenario(SOURCE), [FakeWatch()]).by_category())


def test_without_telemetry_nothing_is_billed():
    assert not played(scenario(None), [FakeWatch()]).months


@pytest.mark.parametrize(("horizon", "months"), [("30d", 1.0), ("45d", 1.5), ("365d", 365 / 30)])
def test_a_simulated_run_pays_the_worked_total(figures, horizon, months):
    result = sim.run(scenario(SOURCE, horizon))
    assert result.summary["total_cost"] == pytest.approx(months * figures["monitoring_total"], rel=1e-12)


def test_billing_changes_nothing_else():
    monitored: dict[str, Any] = {
        "features": 2,
        "traffic": {"rate": "24k/d"},
        "drift": [{"kind": "random_walk", "volatility": "0.1/sqrt(d)"}],
        "monitors": [{"metric": "feature_drift_psi", "cadence": "4h", "rows": 200, "threshold": 0.1}],
    }
    plain = sim.run(scenario(None, "95d", **monitored))
    billed = sim.run(scenario(SOURCE, "95d", **monitored))
    assert len(plain.alarms) > 5
    assert billed.alarms == plain.alarms
    assert billed.timeline.equals(plain.timeline)
    assert billed.costs["monitoring_alert"] == pytest.approx(95 * 6 * 0.005)
