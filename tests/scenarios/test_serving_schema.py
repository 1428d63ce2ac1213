"""Serving as it may be written: units, short forms, defaults, and one clear message for what makes no sense."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scenarios.accelerators import preset
from scenarios.loader import ScenarioError, validate_mapping, validate_text
from scenarios.numbers import QuantileNumber
from scenarios.recorded import read_columns
from scenarios.schema import Scenario
from scenarios.serving import Objective, Serving
from scenarios.serving_arrivals import Trace
from scenarios.serving_control import FixedReplicas, Predictive, ReplicaFailures
from scenarios.serving_services import BatchCurve, LanguageModel, ModelService, ServiceTime

DATA = Path(__file__).parents[2] / "scenarios" / "data"
TRACE = Path(__file__).parents[3] / "shared" / "data" / "llm_conversation_trace.csv.gz"
SECOND = 1 / 86_400


def scenario(serving: dict[str, Any], base_dir: Path | None = None, **given: Any) -> Scenario:
    return validate_mapping(
        {
            "title": "serving",
            "horizon": "30d",
            "value_per_query_per_unit_accuracy": "$1",
            "quality": {"kind": "exponential", "initial_accuracy": 0.9, "decay": "0/d"},
            "traffic": {"rate": "1M/d"},
            "serving": serving,
            **given,
        },
        base_dir=base_dir,
    )


def written(serving: dict[str, Any], **given: Any) -> Serving:
    found = scenario(serving, **given).serving
    assert found is not None
    return found


SHORT = {"pools": [{"service": "12ms"}]}

EVERYTHING = """
title: everything
horizon: 30d
value_per_query_per_unit_accuracy: $1
quality: {kind: exponential, initial_accuracy: 0.9, decay: 0/d}
traffic: {rate: 1M/d, daily_profile: [1, 2, 3, 2]}
serving:
  arrivals: {kind: self_similar, hurst: 0.8, cv: 0.5, step: 1min}
  sizes:
    tokens_in: {kind: lognormal, median: 1020, p95: 4100, most: 14050}
    tokens_out: {kind: quantiles, values: [7, 85, 129, 395, 1000]}
    rank_correlation: 0.07
  path:
    network: {kind: lognormal, median: 12ms, p95: 30ms}
    feature_fetch: 25ms
    parsing: 2ms
    post_processing: 5ms
    serialisation: 3ms
  pools:
    - name: main
      accelerator: {preset: h100_80gb, price: $4.50/h}
      replicas: 4
      gpus_per_replica: 4
      service: {kind: llm, parameters: 70B, bytes_per_parameter: 2, kv_per_token: 320 KiB, max_sequences: 64}
      queue_limit: 500
      timeout: 30s
      autoscaler: {kind: target_utilisation, target: 60%, interval: 1min,
        cold_start: {kind: lognormal, median: 2min, p95: 5min}, minimum: 2, maximum: 12, cool_down: 10min}
      spot: {share: 50%, discount: 70%, lifetime: {kind: weibull, scale: 20h, shape: 0.6}, notice: 2min,
        replacement: 4min}
      failures: {between: {kind: exponential, mean: 231d}, repair: {kind: lognormal, median: 22h, p95: 20d}}
      power_cap: 600 W
    - name: experiments
      share: 5%
      accelerator: a100_80gb
      replicas: 2
      service: {kind: service_time, time: 50ms, per_token_in: 0.2ms, per_token_out: 15ms}
      queue: central
      discipline: shortest_first
      autoscaler: {kind: scheduled, plan: [{at: 8h, replicas: 4}, {at: 20h, replicas: 1}]}
    - name: own
      share: 1%
      accelerator: {name: mine, peak: 100 TFLOP/s, memory: 40 GB, memory_bandwidth: 1 TB/s, input_bandwidth: 32 GB/s,
        idle_power: 30 W, peak_power: 300 W, price: $1/h}
      service: {kind: exponential, mean: 100ms}
  jobs:
    - {name: nightly, pool: main, gpus: 8, duration: 3h, cadence: 1d, first: 2h, priority: 0, checkpoint: 20min,
       checkpoint_cost: 1min, restart: 5min}
    - {name: ad hoc, gpus: 64, duration: {kind: lognormal, median: 4h, p95: 1d}, rate: 2/w, accelerator: a100_80gb,
       spot: {discount: 80%}, failures: {}}
  overheads:
    - {name: shadow, pool: main, extra: 15%, cadence: 30d, lasts: 1d}
  objective: {p99: 100ms, max_loss: 0.1%, slo_penalty: $5/min, shed_price: $0.002}
  resolution: {kind: design_days, days: [0, 13, 27]}
  search:
    pool: main
    accelerators: [a100_80gb, h100_80gb]
    replicas: [1, 32]
    autoscalers: [fixed, {kind: predictive, season: 1d}, {kind: queue_length, target: 4}]
    spot_shares: [0, 50%]
"""


def test_everything_can_be_written_and_is_read_back():
    found = validate_text(EVERYTHING)
    serving = found.serving
    assert serving is not None
    main, experiments, own = serving.pools
    assert serving.shares == pytest.approx((0.94, 0.05, 0.01))
    assert main.accelerator.price == pytest.approx(4.5 * 24)
    assert not main.accelerator.assumed_price
    assert experiments.accelerator == preset("a100_80gb")
    assert own.accelerator.label == "mine"
    assert isinstance(own.service, ServiceTime)
    assert (main.gpus, main.minimum, main.maximum, main.spot_replicas) == (16, 2, 12, 2)
    assert (experiments.minimum, experiments.maximum) == (1, 8)
    assert (own.minimum, own.maximum) == (1, 1)
    assert serving.objective is not None
    assert (serving.objective.quantile, serving.objective.limit) == (0.99, pytest.approx(0.1 * SECOND))
    assert serving.objective.slo_penalty == pytest.approx(5 * 1440)
    again = validate_text(found.model_dump_json())
    assert again == found
    assert again.hash() == found.hash()


def test_a_short_section_is_enough():
    serving = written(SHORT)
    (pool,) = serving.pools
    assert pool.accelerator == preset("a100_80gb")
    assert pool.service == ServiceTime.model_validate({"kind": "service_time", "time": "12ms"})
    assert pool.autoscaler == FixedReplicas(kind="fixed")
    assert (serving.arrivals.kind, serving.resolution, serving.shares) == ("poisson", "auto", (1.0,))
    assert serving.objective is None
    assert (
        scenario(SHORT).with_(serving__pools=[{"service": "12ms", "replicas": 3}]).serving.pools[0].replicas
        == 3
    )


def test_a_scenario_without_serving_is_what_it_was():
    found = validate_text(EVERYTHING.partition("serving:")[0])
    assert found.serving is None


SERVICES = [
    ("12ms", ServiceTime),
    ({"kind": "lognormal", "median": "10ms", "p95": "40ms"}, ServiceTime),
    ({"kind": "batch_curve", "fixed": "5ms", "per_item": "1ms"}, BatchCurve),
    ({"kind": "batch_curve", "times": ["5ms", "6ms"]}, BatchCurve),
    ({"kind": "model", "flops": "4.1 GFLOP", "weights": "51 MB", "input": "600 KB"}, ModelService),
    ({"kind": "llm", "parameters": "7B", "kv_per_token": "128 KiB"}, LanguageModel),
]


@pytest.mark.parametrize(("service", "kind"), SERVICES)
def test_services(service, kind):
    sizes = {"tokens_in": 100, "tokens_out": 10} if kind is LanguageModel else {}
    (pool,) = written({"sizes": sizes, "pools": [{"service": service}]}).pools
    assert isinstance(pool.service, kind)


def test_short_forms():
    serving = written(
        {
            "arrivals": "deterministic",
            "sizes": {"work": {"kind": "quantiles", "values": [0.5, 1, 1.5]}},
            "pools": [{"service": "12ms", "autoscaler": "predictive", "failures": {}}],
            "resolution": "exact",
        }
    )
    assert serving.arrivals.kind == "deterministic"
    assert isinstance(serving.sizes.work, QuantileNumber)
    assert isinstance(serving.pools[0].autoscaler, Predictive)
    assert serving.pools[0].failures == ReplicaFailures()


# ---------------------------------------------------------------- what makes no sense

LLM = {"kind": "llm", "parameters": "70B", "kv_per_token": "320 KiB"}
TOKENS = {"tokens_in": 500, "tokens_out": 100}
CURVE = {"kind": "batch_curve", "fixed": "5ms", "per_item": "1ms"}


def one(**pool: Any) -> dict[str, Any]:
    return {"pools": [{"service": "12ms", **pool}]}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("pools", {"pools": []}, "got an empty list, expected a list of at least 1 item"),
    ("pools[0].service", {"pools": [{}]}, "missing; expected how long a replica takes"),
    ("pools[0].service", one(service=12), "got 12 (a number without unit), expected a duration such as"),
    ("pools[0].service.kind", one(service={"kind": "lm"}), "did you mean 'llm'?"),
    ("pools[0].service.time", one(service={"kind": "service_time"}), "expected a duration such as '12ms'"),
    ("pools[0].service", one(service={"kind": "batch_curve"}), "give fixed and per_item, or times"),
    ("pools[0].service.fixed", one(service={"kind": "batch_curve", "fixed": 0}), "takes no time"),
    (
        "pools[0].service.flops",
        one(service={"kind": "model", "flops": "4 GB", "weights": "50 MB"}),
        "got '4 GB' (a size in whole bytes), expected an amount of arithmetic such as '4.1 GFLOP'",
    ),
    ("pools[0].service", one(service=LLM), "llm needs tokens, give serving.sizes tokens_in and tokens_out"),
    (
        "pools[0].service",
        {"sizes": TOKENS, **one(service=LLM)},
        "the weights take 140 GB and a replica on a100_80gb has 72 GB for them, expected gpus_per_replica of "
        "at least 2",
    ),
    ("pools[0].max_batch", {"sizes": TOKENS, **one(service=LLM, max_batch=4)}, "an llm batches continuously"),
    ("pools[0].service", {"sizes": TOKENS, **one(service=CURVE)}, "batch_curve does not know tokens"),
    (
        "pools[0].service",
        one(service={"kind": "service_time", "per_token_out": "1ms"}),
        "has times per token, give serving.sizes",
    ),
    ("pools[0].max_batch", one(max_batch=8), "serves one request at a time, expected 1, or a batch_curve"),
    (
        "pools[0].max_batch",
        one(service={"kind": "batch_curve", "times": ["5ms", "6ms"]}, max_batch=4),
        "is 4, and service.times has batches of up to 2",
    ),
    ("pools[0].max_wait", one(service=CURVE, max_wait="5ms"), "nothing to wait for with max_batch 1"),
    ("pools[0].accelerator.preset", one(accelerator="a100_80g"), "did you mean 'a100_80gb'?"),
    (
        "pools[0].accelerator.peak",
        one(accelerator={"memory": "1 GB", "memory_bandwidth": "1 TB/s"}),
        "missing",
    ),
    (
        "pools[0].accelerator.peak",
        one(accelerator={"preset": "l4", "peak": "312 TB/s"}),
        "expected a speed of arithmetic such as '312 TFLOP/s'",
    ),
    ("pools[0].power_cap", one(power_cap="40 W"), "40 W is not above the idle power of a100_80gb, 50 W"),
    ("pools[0].queue", one(queue="shortest"), "did you mean 'shortest_queue'?"),
    ("pools[0].discipline", one(queue="random", discipline="lifo"), "lifo needs a central queue"),
    ("pools[0].queue_limit", one(queue_limit=-1), "got -1, expected at least 0"),
    ("pools[0].timeout", one(timeout="0s"), "got '0s', expected more than 0"),
    (
        "pools[0].autoscaler.maximum",
        one(autoscaler={"kind": "queue_length", "minimum": 4, "maximum": 2}),
        "2 is below minimum, 4",
    ),
    (
        "pools[0].replicas",
        one(autoscaler={"kind": "queue_length", "maximum": 2}, replicas=3),
        "3 is not between minimum 1 and maximum 2",
    ),
    (
        "pools[0].autoscaler.plan[1].at",
        one(
            autoscaler={
                "kind": "scheduled",
                "plan": [{"at": "8h", "replicas": 1}, {"at": "8h", "replicas": 2}],
            }
        ),
        "8 h is not after the one before it",
    ),
    (
        "pools[0].autoscaler.plan[0].replicas",
        one(autoscaler={"kind": "scheduled", "plan": [{"at": "8h", "replicas": 9}]}),
        "9 is not between minimum 1 and maximum 4",
    ),
    ("pools[0].spot.discount", one(spot={"discount": 1}), "expected less than 1"),
    ("pools", {"pools": [{"service": "1s"}, {"service": "1s"}]}, "'main' is there twice"),
    ("pools", one(share="50%"), "the shares add up to 0.5, expected 1"),
    (
        "pools",
        {"pools": [{"service": "1s", "share": 0.7}, {"name": "b", "service": "1s", "share": 0.7}]},
        "the shares add up to 1.4, expected at most 1",
    ),
    ("arrivals", {**SHORT, "arrivals": "possion"}, "did you mean 'poisson'?"),
    ("arrivals.cv", {**SHORT, "arrivals": {"kind": "renewal"}}, "missing"),
    ("arrivals.hurst", {**SHORT, "arrivals": {"kind": "self_similar", "hurst": 1}}, "expected less than 1"),
    (
        "arrivals.step",
        {**SHORT, "arrivals": {"kind": "self_similar", "step": "7min"}},
        "7 min does not fit windows of 1 h, expected a whole part",
    ),
    (
        "arrivals.step",
        {**SHORT, "arrivals": {"kind": "self_similar", "step": "1ms"}},
        "the horizon has 2,592,000,000 of them, expected at most 4,000,000",
    ),
    ("arrivals", {**SHORT, "arrivals": {"kind": "trace", "path": "none.csv"}}, "cannot read none.csv"),
    ("sizes", {**SHORT, "sizes": {"tokens_in": 5}}, "give tokens_in and tokens_out together"),
    ("sizes", {**SHORT, "sizes": {**TOKENS, "work": 1}}, "give one of tokens, work and recorded"),
    (
        "sizes.tokens_in.values[2]",
        {**SHORT, "sizes": {"tokens_in": {"kind": "quantiles", "values": [1, 3, 2]}, "tokens_out": 1}},
        "2 is below the one before it",
    ),
    (
        "jobs[0]",
        {**SHORT, "jobs": [{"name": "a", "duration": "1h"}]},
        "give exactly one of cadence, rate and on",
    ),
    (
        "jobs[0].gpus",
        {**SHORT, "jobs": [{"name": "a", "duration": "1h", "cadence": "1d", "pool": "main", "gpus": 8}]},
        "8 are more than pool main ever has, 1: the job never starts",
    ),
    (
        "jobs[0].pool",
        {**SHORT, "jobs": [{"name": "a", "duration": "1h", "cadence": "1d", "pool": "mian"}]},
        "did you mean 'main'?",
    ),
    (
        "jobs[0].spot",
        {**SHORT, "jobs": [{"name": "a", "duration": "1h", "cadence": "1d", "pool": "main", "spot": {}}]},
        "is for hardware of its own",
    ),
    (
        "jobs[0].checkpoint_cost",
        {**SHORT, "jobs": [{"name": "a", "duration": "1h", "cadence": "1d", "checkpoint_cost": "1min"}]},
        "needs checkpoint",
    ),
    ("overheads[0].pool", {**SHORT, "overheads": [{"cadence": "30d", "pool": "x"}]}, "unknown 'x'"),
    ("objective", {**SHORT, "objective": {"max_loss": 0.01}}, "give exactly one of p50, p90, p95, p99, p999"),
    ("objective", {**SHORT, "objective": {"p99": "1s", "p50": "1s"}}, "got p50 and p99"),
    (
        "resolution",
        {**SHORT, "resolution": "exct"},
        "unknown 'exct': did you mean 'exact'? one of: exact, auto",
    ),
    ("resolution", {**SHORT, "resolution": {"kind": "design_days"}}, "give exactly one of days and per_year"),
    (
        "resolution.days",
        {**SHORT, "resolution": {"kind": "design_days", "days": [3, 30]}},
        "expected 0 to 29",
    ),
    ("search.pool", {**SHORT, "search": {"pool": "min"}}, "did you mean 'main'?"),
    ("search.replicas", {**SHORT, "search": {"replicas": [8, 2]}}, "expected the fewest first"),
    ("search.max_batch", {**SHORT, "search": {"max_batch": [1, 8]}}, "service_time has no batches to choose"),
    (
        "search.accelerators",
        {**SHORT, "search": {"accelerators": ["l4", "t4"]}},
        "a service_time is measured on one accelerator",
    ),
]


@pytest.mark.parametrize(("field", "given", "message"), WRONG)
def test_what_makes_no_sense_is_one_clear_error(field, given, message):
    with pytest.raises(ScenarioError) as found:
        written(given)
    (problem,) = found.value.problems
    assert problem.field == f"serving.{field}"
    assert message in problem.message


def test_prices_of_presets_are_dollars():
    with pytest.raises(ScenarioError, match=r"the price of l4 is in USD, and the scenario's currency is EUR"):
        scenario(one(accelerator="l4"), currency="EUR")
    (pool,) = written(one(accelerator={"preset": "l4", "price": "€0.7/h"}), currency="EUR").pools
    assert pool.price == pytest.approx(0.7 * 24)


def test_chance_and_a_deterministic_traffic_contradict_each_other():
    with pytest.raises(ScenarioError, match=r"traffic.arrivals: deterministic has no chance in it"):
        scenario(
            {**SHORT, "arrivals": {"kind": "renewal", "cv": 2}},
            traffic={"rate": "1M/d", "arrivals": "deterministic"},
        )


# ---------------------------------------------------------------- traces


def trace_file(folder: Path, header: str = "TIMESTAMP,ContextTokens,GeneratedTokens") -> str:
    (folder / "trace.csv").write_text(f"{header}\n0,10,1\n1,20,2\n")
    return "trace.csv"


def trace(folder: Path, **given: Any) -> Trace:
    found = written(
        {**SHORT, "arrivals": {"kind": "trace", "path": trace_file(folder), **given}}, base_dir=folder
    )
    assert isinstance(found.arrivals, Trace)
    return found.arrivals


def test_columns_of_a_trace_are_guessed_and_said(tmp_path):
    found = trace(tmp_path)
    assert (found.time, found.tokens_in, found.tokens_out, found.work) == (
        "TIMESTAMP",
        "ContextTokens",
        "GeneratedTokens",
        None,
    )
    assert found.path == "trace.csv", "no folder of this machine in the scenario"
    assert found.file == tmp_path / "trace.csv"
    assert len(found.fingerprint) == 16
    assert pickle.loads(pickle.dumps(found)).file == found.file


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("time,Request tokens,Response tokens", ("time", "Request tokens", "Response tokens", None)),
        (
            "arrived_at,num_prefill_tokens,num_decode_tokens",
            ("arrived_at", "num_prefill_tokens", "num_decode_tokens", None),
        ),
        ("ts,user,service_time", ("ts", None, None, "service_time")),
        ("date,user,country", ("date", None, None, None)),
    ],
)
def test_headers_of_public_traces(tmp_path, header, columns):
    trace_file(tmp_path, header)
    found = written({**SHORT, "arrivals": {"kind": "trace", "path": "trace.csv"}}, base_dir=tmp_path).arrivals
    assert (found.time, found.tokens_in, found.tokens_out, found.work) == columns


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({"time": "moment"}, "arrivals.time", "trace.csv has no column 'moment'"),
        ({"fingerprint": "0" * 16}, "arrivals.fingerprint", "trace.csv has changed"),
        ({"resampling": "block"}, "arrivals.resampling", "did you mean 'blocks'?"),
        ({"speed": 0}, "arrivals.speed", "expected more than 0"),
        ({"path": "trace.json"}, "arrivals", "expected a file that ends in .csv"),
    ],
)
def test_a_trace_that_is_none_is_one_clear_error(tmp_path, given, field, message):
    trace_file(tmp_path)
    with pytest.raises(ScenarioError) as found:
        written({**SHORT, "arrivals": {"kind": "trace", "path": "trace.csv", **given}}, base_dir=tmp_path)
    (problem,) = found.value.problems
    assert problem.field == f"serving.{field}"
    assert message in problem.message


def test_a_trace_has_its_own_sizes_and_bursts(tmp_path):
    given = {"arrivals": {"kind": "trace", "path": trace_file(tmp_path)}}
    with pytest.raises(ScenarioError, match="the trace has its own sizes"):
        scenario({**SHORT, **given, "sizes": TOKENS}, tmp_path)
    with pytest.raises(ScenarioError, match="a trace has its own bursts"):
        scenario(
            {**SHORT, **given},
            tmp_path,
            traffic={"rate": "1/s", "bursts": {"rate": "1/d", "factor": 2, "duration": "1h"}},
        )


# ---------------------------------------------------------------- recorded data that ship


def test_the_conversation_data_have_size_and_load_together():
    rates = read_columns(DATA / "llm_conversation_rates.csv")["requests"]
    columns = read_columns(DATA / "llm_conversation_sizes.csv")

    def mean(prefix: str) -> np.ndarray:
        quantiles = np.array([columns[f"{prefix}_q{percent}"] for percent in range(0, 101, 2)])
        return (quantiles[1:] + quantiles[:-1]).mean(axis=0) / 2

    service = 0.05 + 0.0002 * mean("tokens_in") + 0.015 * mean("tokens_out")
    assert len(rates) == len(service) == 58
    assert sum(rates) == 19_366 - 37
    assert np.corrcoef(rates, service)[0, 1] == pytest.approx(-0.89, abs=0.005)
    found = written(
        {**SHORT, "sizes": {"recorded": {"step": "1min", "path": "llm_conversation_sizes.csv"}}},
        base_dir=DATA,
        horizon="58min",
        window="1min",
        traffic={"recorded": {"step": "1min", "path": "llm_conversation_rates.csv", "column": "requests"}},
    )
    assert found.has_tokens
    assert len(found.sizes.recorded.tokens_in) == 58


def test_the_conversation_data_are_those_of_the_trace():
    if not TRACE.exists():
        pytest.skip(f"the conversation trace is not there: {TRACE.name} in ../shared/data")
    from scenarios.data.derive_conversation import derived

    rates, sizes = derived(pd.read_csv(TRACE))
    pd.testing.assert_frame_equal(rates, pd.read_csv(DATA / "llm_conversation_rates.csv"))
    pd.testing.assert_frame_equal(
        sizes.astype(float), pd.read_csv(DATA / "llm_conversation_sizes.csv").astype(float)
    )


def test_names_of_an_objective():
    assert (Objective(p95="1s").name, Objective(p999="1s").quantile) == ("p95", 0.999)
