from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_fleets import BATCHES, EXPONENTIAL, MODEL, small_fleet
from typer.testing import CliRunner

import analysis
from analysis.capacity import CapacityFound, capacity
from analysis.capacity_candidates import as_is, menu_of, sized_pool, with_serving
from analysis.capacity_load import pool_load, seconds_of_work
from analysis.capacity_runs import Fleets, for_search
from analysis.capacity_search import fewest
from analysis.cli import app
from analysis.queueing import mmc_response_quantile, servers_for_response
from scenarios.loader import validate_mapping
from scenarios.schema import Scenario
from scenarios.serving_control import ScheduledReplicas, TargetUtilisation


@pytest.fixture(scope="module")
def found() -> CapacityFound:
    return capacity(small_fleet(EXPONENTIAL, horizon="40min"), workers=1)


def brute_force(scenario: Scenario, replications: int = 2, most: int = 8) -> tuple[str, int, float]:
    """The cheapest fleet of all that there are."""
    fleets = Fleets(scenario, 0, range(replications), 1)
    kept = []
    for candidate in menu_of(scenario).candidates:
        for replicas in range(1, min(most, candidate.highest or most) + 1):
            (fleet,) = fleets.play([(candidate, replicas)])
            if fleet.kept:
                kept.append(fleet)
    best = min(kept, key=lambda fleet: (fleet.cost, fleet.mean("quantile_s"), fleet.replicas))
    return best.candidate.name, best.replicas, best.cost


def answered(guess: int, highest: int, enough: int) -> tuple[int | None, list[int]]:
    """What a bisection finds, and what it asks, where `enough` replicas are enough."""
    asking, asked = fewest(guess, 1, highest), []
    number = next(asking)
    while True:
        asked.append(number)
        try:
            number = asking.send(number >= enough)
        except StopIteration as done:
            return done.value, asked


# ---------------------------------------------------------------- the search


@pytest.mark.parametrize("enough", range(1, 41))
@pytest.mark.parametrize("guess", [1, 7, 40])
def test_the_bisection_finds_the_smallest_number_that_is_enough(enough: int, guess: int) -> None:
    answer, asked = answered(guess, 40, enough)
    assert answer == enough
    assert len(asked) == len(set(asked)) <= 14
    assert enough in asked
    assert enough == 1 or enough - 1 in asked


def test_the_bisection_gives_up_when_the_largest_is_not_enough() -> None:
    assert answered(3, 500, 501) == (None, [3, 4, 6, 500])


SEARCHES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (EXPONENTIAL, {"replicas": [1, 8]}, {"p99": "150ms"}),
    (BATCHES, {"replicas": [1, 8], "max_batch": [1, 4]}, {"p99": "80ms"}),
    (
        MODEL,
        {"replicas": [1, 8], "accelerators": ["l4", "a100_80gb"], "max_batch": [1, 4]},
        {"p99": "60ms"},
    ),
    (
        EXPONENTIAL,
        {
            "replicas": [1, 6],
            "autoscalers": ["fixed", {"kind": "target_utilisation", "cold_start": "30s"}],
            "spot_shares": [0, 1],
        },
        {"p99": "300ms"},
    ),
]


@pytest.mark.parametrize(("pool", "search", "objective"), SEARCHES)
def test_the_search_finds_what_trying_everything_finds(
    pool: dict[str, Any], search: dict[str, Any], objective: dict[str, Any]
) -> None:
    scenario = small_fleet(pool, horizon="10min", search=search, objective=objective)
    result = capacity(scenario, replications=2, workers=1, quick=True)
    assert result.chosen is not None
    assert (result.chosen.candidate.name, result.chosen.replicas, result.chosen.cost) == brute_force(
        scenario, most=search["replicas"][1]
    )


@pytest.mark.parametrize(("rate", "limit"), [("50/s", 0.2), ("100/s", 0.16), ("200/s", 0.16)])
def test_of_exponential_services_it_finds_what_erlang_does(rate: str, limit: float) -> None:
    """Limits between the quantiles of neighbouring numbers: simulated ones are within 3 % of theirs."""
    exact = servers_for_response(
        arrival_rate=float(rate[:-2]), service_time=0.03, response=limit, probability=0.99
    )
    p99 = [
        mmc_response_quantile(arrival_rate=float(rate[:-2]), service_time=0.03, servers=n, probability=0.99)
        for n in (exact - 1, exact)
    ]
    assert p99[1] * 1.03 < limit < p99[0] / 1.03
    scenario = small_fleet(
        EXPONENTIAL, rate, horizon="1h", objective={"p99": f"{1000 * limit:g}ms", "max_loss": 0.01}
    )
    result = capacity(scenario, replications=2, workers=1, quick=True)
    assert result.chosen is not None
    assert result.chosen.replicas == exact
    assert result.load.fewest(limit, 0.99) == exact


def test_the_neighbour_below_was_seen_to_fail(found: CapacityFound) -> None:
    (line,) = found.lines
    assert found.chosen is not None
    assert (line.found, line.failed) == (found.chosen.replicas, found.chosen.replicas - 1)
    below = next(fleet for fleet in found.fleets if fleet.replicas == line.failed)
    assert not below.kept
    assert "one replica fewer does not" in found.verdict()


def test_all_fleets_meet_the_same_requests(found: CapacityFound) -> None:
    asked = {tuple(fleet.values("requests")) for fleet in found.fleets}
    assert len(asked) == 1
    assert len(set(*asked)) == found.replications


def test_any_number_of_workers_finds_the_same(found: CapacityFound) -> None:
    again = capacity(small_fleet(EXPONENTIAL, horizon="40min"), workers=2, quick=True).to_dict()
    once = found.to_dict()
    for part in ("chosen", "fleets", "combinations", "latency", "stages", "fresh", "bill", "verdict"):
        assert again[part] == once[part]


def test_what_fails_everywhere_is_told_with_the_nearest() -> None:
    scenario = small_fleet(EXPONENTIAL, objective={"p99": "20ms"}, horizon="5min")
    result = capacity(scenario, replications=1, workers=1, quick=True)
    assert not result.keeps
    assert result.verdict().startswith("Nothing keeps the objective")
    assert result.to_dict()["chosen"] is None
    assert result.nearest.replicas == max(fleet.replicas for fleet in result.fleets)


def test_a_loss_that_is_too_large_breaks_the_objective() -> None:
    pool = {**EXPONENTIAL, "queue_limit": 0}
    strict = small_fleet(pool, objective={"p99": "1s", "max_loss": 0.001})
    lax = small_fleet(pool, objective={"p99": "1s", "max_loss": 0.5})
    most, least = (capacity(s, replications=1, workers=1, quick=True).chosen for s in (strict, lax))
    assert most is not None
    assert least is not None
    assert most.replicas > least.replicas
    assert most.mean("loss") <= 0.001


# ---------------------------------------------------------------- combinations


def test_an_autoscaler_keeps_its_maximum_whatever_the_minimum() -> None:
    scenario = small_fleet({**EXPONENTIAL, "replicas": 3, "autoscaler": "target_utilisation"})
    own = as_is(scenario)
    pool = sized_pool(own.apply(scenario, 5))
    assert isinstance(pool.autoscaler, TargetUtilisation)
    assert (pool.replicas, pool.minimum, pool.maximum) == (5, 5, 12)
    assert own.named(5) == "5 x a100_80gb, target_utilisation 0.6, up to 12"


def test_a_pool_is_never_smaller_than_its_largest_job() -> None:
    job = {"name": "training", "pool": "main", "gpus": 4, "duration": "5min", "cadence": "1h"}
    scenario = small_fleet(
        {**EXPONENTIAL, "replicas": 4}, jobs=[job], objective={"p99": "10s"}, horizon="5min"
    )
    assert menu_of(scenario).lowest == 4
    result = capacity(scenario, replications=1, workers=1, quick=True)
    assert min(fleet.replicas for fleet in result.fleets) >= 4


def test_a_plan_of_sizes_is_raised_to_the_minimum() -> None:
    plan = {
        "kind": "scheduled",
        "maximum": 9,
        "plan": [{"at": "0h", "replicas": 2}, {"at": "8h", "replicas": 7}],
    }
    scenario = small_fleet({**EXPONENTIAL, "replicas": 2, "autoscaler": plan})
    autoscaler = sized_pool(as_is(scenario).apply(scenario, 4)).autoscaler
    assert isinstance(autoscaler, ScheduledReplicas)
    assert [size.replicas for size in autoscaler.plan] == [4, 7]
    assert as_is(scenario).name == "a100_80gb, scheduled (2 at 0 d, 7 at 8 h)"
    assert len({as_is(scenario), as_is(scenario)}) == 1


def test_combinations_that_do_not_fit_are_left_out_with_the_reason() -> None:
    large = {"service": {"kind": "model", "flops": "1 GFLOP", "weights": "40 GB"}}
    scenario = small_fleet(
        large, search={"accelerators": ["l4", "a100_80gb"]}, objective={"p99": "2s"}, rate="5/s"
    )
    menu = menu_of(scenario)
    assert [candidate.name for candidate in menu.candidates] == ["a100_80gb"]
    assert "the weights take 40 GB" in menu.refused["l4"]
    result = capacity(scenario, replications=1, workers=1, quick=True)
    assert result.warnings[0].startswith("left out: l4: ")


def test_a_combination_plays_as_the_scenario_that_is_written_so() -> None:
    scenario = small_fleet(MODEL, search={"accelerators": ["l4"], "max_batch": [4]}, horizon="5min")
    (candidate,) = menu_of(scenario).candidates
    written = small_fleet(
        {**MODEL, "accelerator": "l4", "max_batch": 4, "replicas": 3},
        search={"accelerators": ["l4"], "max_batch": [4]},
        horizon="5min",
    )
    assert candidate.apply(scenario, 3) == written


def test_long_runs_are_searched_on_design_days() -> None:
    year = validate_mapping(
        small_fleet(EXPONENTIAL)._written | {"horizon": "365d", "window": "1h", "traffic": {"rate": "1M/d"}}
    )
    searched = for_search(year)
    assert searched.serving is not None
    assert searched.serving.resolution.per_year == 6  # type: ignore[union-attr]
    assert for_search(with_serving(year, resolution="exact")).serving.resolution == "exact"  # type: ignore[union-attr]
    short = small_fleet(EXPONENTIAL)
    assert for_search(short) is short


# ---------------------------------------------------------------- closed forms


def test_the_closed_form_is_exact_for_exponential_services_at_a_constant_rate() -> None:
    scenario = small_fleet(EXPONENTIAL)
    load = pool_load(scenario, sized_pool(scenario))
    assert load.erlangs == pytest.approx(1.5)
    for servers in (2, 3, 5):
        exact = mmc_response_quantile(arrival_rate=50.0, service_time=0.03, servers=servers, probability=0.99)
        assert load.quantile(servers, 0.99) == pytest.approx(exact, rel=0.01)
    assert math.isinf(load.quantile(1, 0.99))


def test_a_model_without_batches_has_a_closed_form_and_one_with_batches_has_none() -> None:
    single = small_fleet({**MODEL, "max_batch": 1, "max_wait": "0s"})
    together = small_fleet(MODEL)
    assert math.isfinite(pool_load(single, sized_pool(single)).quantile(9, 0.99))
    assert math.isnan(pool_load(together, sized_pool(together)).quantile(9, 0.99))


def test_work_with_full_batches() -> None:
    ones = np.ones((10, 1))
    assert seconds_of_work(sized_pool(small_fleet(BATCHES)), ones) == pytest.approx(0.04 / 4)
    tokens = {"tokens_in": {"kind": "fixed", "value": 500}, "tokens_out": {"kind": "fixed", "value": 100}}
    service = {"kind": "llm", "parameters": "7B", "kv_per_token": "128 KiB", "max_sequences": 32}
    llm = small_fleet({"service": service, "accelerator": "h100_80gb"}, sizes=tokens, objective={"p99": "9s"})
    each = seconds_of_work(sized_pool(llm), np.array([[500.0, 100.0]]))
    assert 0.01 < each < 0.1
    alone = small_fleet(
        {"service": {**service, "max_sequences": 1}, "accelerator": "h100_80gb"},
        sizes=tokens,
        objective={"p99": "9s"},
    )
    assert seconds_of_work(sized_pool(alone), np.array([[500.0, 100.0]])) > 5.0 * each


# ---------------------------------------------------------------- the report


def test_what_more_traffic_does(found: CapacityFound) -> None:
    twice, five = found.what_ifs
    assert found.chosen is not None
    assert twice.unchanged.mean("requests") == pytest.approx(2.0 * found.chosen.mean("requests"), rel=0.05)
    assert five.unchanged.replicas == found.chosen.replicas
    assert five.unchanged.mean("quantile_s") > 10.0 * found.promise.limit
    assert five.needed is not None
    assert five.needed.kept
    exact = servers_for_response(arrival_rate=250.0, service_time=0.03, response=0.2, probability=0.99)
    assert abs(five.needed.replicas - exact) <= 1
    table = found.to_dict()["what_if"]
    assert table[1]["verdict"] == "overloaded"


def test_stages_add_up_to_the_mean_latency(found: CapacityFound) -> None:
    document = found.to_dict()
    total = sum(row["seconds"] for row in document["stages"])
    mean = next(row["seconds"] for row in document["latency"] if row["measure"] == "mean")
    assert total == pytest.approx(mean, rel=1e-9)
    assert sum(row["share"] for row in document["stages"]) == pytest.approx(1.0)
    share = document["faster_model"]["share"]
    assert document["faster_model"]["speedup"] == pytest.approx(1.0 / (1.0 - share / 2.0))


def test_the_bill_is_that_of_the_hours(found: CapacityFound) -> None:
    assert found.chosen is not None
    bill = found.to_dict()["bill"]
    assert bill["gpu_hours"] == pytest.approx(found.chosen.replicas * 40.0 / 60.0)
    assert bill["cost_month"] == pytest.approx(found.chosen.replicas * 3.0 * 24.0 * 365.0 / 12.0)
    assert bill["gpu_hours_spot"] == 0.0


def test_the_curve_meets_the_closed_form(found: CapacityFound) -> None:
    curve = found.curve
    assert curve is not None
    for simulated, closed, replicas in zip(curve.simulated, curve.closed, curve.replicas, strict=True):
        if replicas > 2:
            assert simulated == pytest.approx(closed, rel=0.1)
    assert abs(curve.knee - curve.closed_knee) <= 1


def test_the_pattern_of_a_model_is_named_with_its_remedy() -> None:
    result = capacity(small_fleet(MODEL, horizon="5min"), replications=1, workers=1, quick=True)
    use = result.to_dict()["utilisation"]
    assert use["pattern"] in ("compute-bound", "memory-bound", "I/O-bound", "batch-starved")
    assert use["remedy"] in str(result)
    assert use["headroom"] == pytest.approx(max(1.0 - use["peak"], 0.0))


def test_files_and_pictures_are_written(found: CapacityFound, tmp_path: Path) -> None:
    files = found.save(tmp_path / "out")
    names = {file.name for file in files}
    assert {"capacity.json", "fleets.csv", "what_if.csv", "curve.csv", "sustainable.csv", "load.csv"} <= names
    assert {"cost_latency.png", "distribution.png", "load.png", "replicas.png"} <= names
    assert json.loads((tmp_path / "out" / "capacity.json").read_text()) == found.to_dict()
    assert all(file.stat().st_size > 0 for file in files)


def test_the_api_is_lazily_exported() -> None:
    assert analysis.CapacityFound is CapacityFound
    assert "capacity" in analysis.__all__


def test_a_scenario_that_promises_nothing_is_refused() -> None:
    scenario = with_serving(small_fleet(EXPONENTIAL), objective=None)
    with pytest.raises(ValueError, match=r"serving\.objective: the scenario promises nothing"):
        capacity(scenario)
    with pytest.raises(ValueError, match="replications: got 0"):
        capacity(small_fleet(EXPONENTIAL), replications=0)


# ---------------------------------------------------------------- the command

FILE = """
title: From a file
horizon: 10min
window: 1min
value_per_query_per_unit_accuracy: $0.01
quality: {kind: exponential, initial_accuracy: 0.9, decay: 0/d}
traffic: {rate: 20/s}
serving:
  objective: {p99: 200ms}
  pools: [{service: {kind: exponential, mean: 30ms}}]
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "fleet.yaml"
    path.write_text(FILE, encoding="utf-8")
    return str(path)


def call(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["capacity", *arguments])


QUICK = ("--quick", "--reps", "1", "--workers", "1")


def test_the_command_prints_one_document(file: str) -> None:
    done = call(file, *QUICK, "--json")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["keeps"]
    assert document["chosen"]["replicas"] >= 1
    assert call(file, *QUICK).stdout.splitlines()[-1] == document["verdict"]


def test_three_is_returned_when_nothing_keeps_the_objective(file: str) -> None:
    done = call(file, *QUICK, "--set", "serving.objective.p99=5ms")
    assert done.exit_code == 3
    assert "Nothing keeps the objective" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--arrivals", "nowhere.csv"), "cannot read"),
        (("--arrivals", "fleet.yaml"), "expected a file that ends in .csv"),
        (("--resampling", "blocks"), "resampling"),
        (("--set", "serving.objective.p99=soon"), "expected a duration"),
    ],
)
def test_two_is_returned_for_wrong_input(
    file: str, arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    given = [str(tmp_path / text) if text in ("nowhere.csv", "fleet.yaml") else text for text in arguments]
    done = call(file, *QUICK, *given)
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.output


def test_two_is_returned_without_a_fleet_or_a_promise(file: str) -> None:
    assert call("rotting_asset", *QUICK).exit_code == 2
    assert "serving: the scenario has none" in call("rotting_asset", *QUICK).stderr
    Path(file).write_text(FILE.replace("  objective: {p99: 200ms}\n", ""), encoding="utf-8")
    assert "serving.objective" in call(file, *QUICK).stderr


def test_a_trace_takes_the_place_of_arrivals_sizes_and_length(file: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    moments = np.cumsum(rng.exponential(0.05, 4000))
    rows = "\n".join(
        f"{at:.6f},{work:.3f}" for at, work in zip(moments, rng.gamma(4.0, 0.25, 4000), strict=True)
    )
    trace = tmp_path / "trace.csv"
    trace.write_text(f"timestamp,work\n{rows}\n", encoding="utf-8")
    done = call(file, *QUICK, "--json", "--arrivals", str(trace))
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["horizon_days"] == pytest.approx(math.ceil(moments[-1] / 60.0) / 1440.0)
    assert document["arrivals"].startswith("trace ")
    assert document["arrivals"].endswith("as it is, sizes and load together")
    assert any("--resampling blocks" in warning for warning in document["warnings"])
    for how, said in (("blocks", "stretches"), ("independent", "sizes in random order")):
        options = ("--arrivals", str(trace), "--resampling", how, "--set", "serving.arrivals.block=20s")
        drawn = json.loads(call(file, *QUICK, "--json", *options).stdout)
        assert said in drawn["arrivals"]
    trace.write_text(f"timestamp,work\n{rows}\nlater,1\n", encoding="utf-8")
    wrong = call(file, *QUICK, "--arrivals", str(trace))
    assert wrong.exit_code == 2
    assert "row 4001" in wrong.stderr


def test_the_largest_rate_alone(file: str, tmp_path: Path) -> None:
    done = call(file, "--max-rate", "--json", "--out", str(tmp_path / "o"))
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["maximum_rate_per_s"] == pytest.approx(1.0 / 0.03, rel=0.06)  # 20,000 requests
    assert (tmp_path / "o" / "sustainable.csv").exists()


def test_run_tells_of_the_fleet_when_asked(file: str) -> None:
    done = CliRunner().invoke(app, ["run", file, "--fleet"])
    assert done.exit_code == 0, done.output
    assert "Serving fleet (poisson" in done.stdout
    document = json.loads(CliRunner().invoke(app, ["run", file, "--fleet", "--json"]).stdout)
    assert document["fleet"]["summary"]["requests"] == pytest.approx(12_000, rel=0.05)
    assert "fleet" not in json.loads(CliRunner().invoke(app, ["run", file, "--json"]).stdout)
