"""Seconds from hardware: against numbers worked out by hand, the source's table, and the data sheets."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenarios.accelerators import Accelerator, preset, preset_names
from scenarios.serving_pools import ServingPool
from sim.gpu_utilisation import REMEDIES, gpu_use, pattern_of, sequence_use
from sim.pool_sequences import SequencePool
from sim.service_times import (
    batch_curve,
    batch_parts,
    mean_seconds,
    power_speed,
    request_work,
    seconds_alone,
    sequence_times,
    sequences_of,
)


def pool(service: Any, **given: Any) -> ServingPool:
    return ServingPool.model_validate({"service": service, **given})


OWN = {
    "peak": "100 TFLOP/s",
    "memory": "80 GB",
    "memory_bandwidth": "1 TB/s",
    "input_bandwidth": "10 GB/s",
    "idle_power": "50 W",
    "peak_power": "400 W",
}


def model(**given: Any) -> dict[str, Any]:
    return {
        "kind": "model",
        "flops": "10 GFLOP",
        "weights": "1 GB",
        "efficiency": 1,
        "memory_efficiency": 1,
        **given,
    }


# ---------------------------------------------------------------- batches


def test_a_roofline_by_hand():
    # 0.1 ms of arithmetic a request; 1 ms to read the weights, so that memory decides up to ten requests.
    curve = batch_curve(pool(model(), accelerator=OWN, max_batch=20))
    assert curve[:10] == pytest.approx(1e-3)
    assert curve[19] == pytest.approx(2e-3)
    with_rest = batch_curve(
        pool(model(input="1 MB", overhead="0.5ms", activations="100 MB"), accelerator=OWN, max_batch=2)
    )
    assert with_rest == pytest.approx([0.5e-3 + 0.1e-3 + 1.1e-3, 0.5e-3 + 0.2e-3 + 1.2e-3])
    ahead = batch_curve(pool(model(input="20 MB", prefetch=True), accelerator=OWN, max_batch=1))
    assert ahead == pytest.approx([2e-3])


def test_efficiency_and_more_accelerators():
    half = batch_curve(pool(model(efficiency=0.5), accelerator=OWN, max_batch=20))
    assert half[19] == pytest.approx(4e-3)
    four = batch_curve(pool(model(), accelerator=OWN, gpus_per_replica=4, max_batch=20))
    assert four == pytest.approx(batch_curve(pool(model(), accelerator=OWN, max_batch=20)) / 4)


def test_measured_batches_and_service_times():
    assert batch_curve(
        pool({"kind": "batch_curve", "times": ["5ms", "7ms", "8ms"]}, max_batch=2)
    ) == pytest.approx([0.005, 0.007])
    assert batch_curve(pool("12ms")).tolist() == [1.0]
    with pytest.raises(ValueError, match="iterations, not batches"):
        batch_curve(pool({"kind": "llm", "parameters": "7B", "kv_per_token": "128 KiB"}))


def test_work_of_requests():
    rng = np.random.default_rng(0)
    tokens = np.array([[1000.0, 10.0], [0.0, 100.0]])
    conversation = {"kind": "service_time", "time": "50ms", "per_token_in": "0.2ms", "per_token_out": "15ms"}
    assert request_work(pool(conversation), tokens, rng) == pytest.approx([0.4, 1.55])
    assert request_work(pool("12ms"), np.array([[1.0], [2.0]]), rng) == pytest.approx([0.012, 0.024])
    factors = np.array([[0.5], [1.5]])
    assert request_work(pool(model(), max_batch=4), factors, rng).tolist() == [0.5, 1.5]
    drawn = request_work(pool({"kind": "exponential", "mean": "10ms"}), np.ones((100_000, 1)), rng)
    assert drawn.mean() == pytest.approx(0.01, abs=5 * 0.01 / np.sqrt(100_000))
    assert mean_seconds(pool(conversation), 1000, 10) == pytest.approx(0.4)
    assert mean_seconds(pool({"kind": "exponential", "mean": "10ms"})) == pytest.approx(0.01)
    assert mean_seconds(pool(model(), accelerator=OWN)) == pytest.approx(1e-3)


def test_a_power_cap_slows_arithmetic_and_not_memory():
    own = Accelerator.model_validate(OWN)
    assert power_speed(own, 50 + 350 / 8) == pytest.approx(0.5)
    assert power_speed(own, 400) == power_speed(own, 500) == power_speed(own, None) == 1.0
    capped = batch_curve(pool(model(), accelerator=OWN, max_batch=20, power_cap="93.75 W"))
    assert capped[0] == pytest.approx(1e-3), "memory is the limit"
    assert capped[19] == pytest.approx(4e-3)
    assert batch_curve(
        pool({"kind": "batch_curve", "fixed": "5ms"}, accelerator=OWN, power_cap="93.75 W")
    ) == (pytest.approx([0.01]))


# ---------------------------------------------------------------- language models


LLAMA = {"kind": "llm", "parameters": "70B", "kv_per_token": "320 KiB", "overhead": "0s"}


def test_a_language_model_by_hand():
    written = pool(
        {**LLAMA, "efficiency": 1, "memory_efficiency": 1, "usable_memory": 1},
        accelerator=OWN,
        gpus_per_replica=2,
    )
    times = sequence_times(written)
    assert times.weights_read == pytest.approx(140e9 / 2e12)
    assert times.prefill_per_token == pytest.approx(140e9 / 200e12)
    assert times.per_kv_token == pytest.approx(327_680 / 2e12)
    assert times.kv_tokens == int((160e9 - 140e9) / 327_680)
    one = times.seconds(1, 0)
    assert one == pytest.approx(0.07), "a lone sequence waits for the weights"
    assert times.seconds(200, 0) == pytest.approx(0.14)
    assert times.seconds(1, 0, prompts=1000) == pytest.approx(0.77)
    assert seconds_alone(times, 1000, 1) == pytest.approx(0.77, rel=1e-2)
    assert mean_seconds(written, 0, 10) == pytest.approx(10 * one, rel=1e-3)


def test_a_sequence_alone_takes_the_sum_of_its_iterations():
    times = sequence_times(pool(LLAMA, accelerator="h100_80gb", gpus_per_replica=4))
    further = sum(times.seconds(1, 900 + written) for written in range(1, 50))
    assert seconds_alone(times, 900, 50) == pytest.approx(times.seconds(1, 900, prompts=900) + further)


@pytest.mark.slow  # compiles the kernel
def test_a_sequence_alone_takes_what_the_pool_says():
    written = pool(LLAMA, accelerator="h100_80gb", gpus_per_replica=4)
    plane = SequencePool(sequence_times(written))
    plane.add(0, at=0.0)
    plane.offer(np.array([1.0]), request_work(written, np.array([[900.0, 50.0]]), np.random.default_rng(0)))
    plane.advance(100.0)
    served = plane.collect()
    assert served.finish[0] - 1.0 == pytest.approx(mean_seconds(written, 900, 50), rel=1e-9)


def test_a_sequence_of_70b_needs_the_cache_that_the_source_says():
    # 'A 70B parameter model may require 2-4 GB of KV-cache per active sequence'.
    assert 2e9 < 327_680 * 8192 < 4e9
    times = sequence_times(pool(LLAMA, accelerator="a100_80gb", gpus_per_replica=4))
    assert sequences_of(times, 8192) == int((4 * 80e9 * 0.9 - 140e9) / 327_680 / 8192)


def test_active_parameters_read_and_compute_less_and_take_the_same_room():
    dense = sequence_times(pool(LLAMA, gpus_per_replica=4))
    sparse = sequence_times(pool({**LLAMA, "active_parameters": "14B"}, gpus_per_replica=4))
    assert sparse.weights_read == pytest.approx(dense.weights_read / 5)
    assert sparse.per_sequence == pytest.approx(dense.per_sequence / 5)
    assert sparse.kv_tokens == dense.kv_tokens


def test_a_model_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="leave no room for the cache on l4"):
        sequence_times(pool(LLAMA, accelerator="l4"))


# ---------------------------------------------------------------- the source's table of patterns


@pytest.mark.parametrize(
    ("gpu", "memory", "spiky", "name"),
    [
        (0.95, 0.50, False, "compute-bound"),
        (0.86, 0.69, False, "compute-bound"),
        (0.60, 0.90, False, "memory-bound"),
        (0.84, 0.86, False, "memory-bound"),
        (0.20, 0.30, False, "I/O-bound"),
        (0.49, 0.49, False, "I/O-bound"),
        (0.60, 0.60, True, "batch-starved"),
        (0.10, 0.10, True, "batch-starved"),
    ],
)
def test_each_row_of_the_table(gpu, memory, spiky, name):
    assert pattern_of(gpu, memory, spiky) == name
    assert REMEDIES[name]


def test_hardware_gives_each_row_of_the_table():
    compute = gpu_use(pool(model(), accelerator=OWN, max_batch=32), rate=5_000, batches={32: 1})
    assert compute.pattern == "compute-bound"
    assert compute.gpu_busy > 0.85
    assert compute.memory_busy < 0.70
    assert compute.busy == pytest.approx(5_000 / 32 * 3.2e-3)
    memory = gpu_use(pool(model(), accelerator=OWN, max_batch=8), rate=1_000, batches={7: 2, 8: 2})
    assert memory.pattern == "memory-bound"
    assert 0.5 < memory.gpu_busy < 0.85
    assert memory.memory_busy > 0.85
    assert memory.mean_batch == 7.5
    inputs = gpu_use(pool(model(input="10 MB"), accelerator=OWN, max_batch=32), rate=500, batches={32: 1})
    assert inputs.pattern == "I/O-bound"
    assert inputs.gpu_busy < 0.5
    assert inputs.memory_busy < 0.5
    assert inputs.input_busy > 0.5
    starved = gpu_use(
        pool(model(weights="100 MB", overhead="1ms"), accelerator=OWN), rate=100, batches={1: 1}
    )
    assert starved.pattern == "batch-starved"
    assert starved.full_batch_share < 0.5
    assert starved.gpu == pytest.approx(starved.gpu_busy * starved.busy)


def test_language_models_are_bound_by_memory_when_they_write_and_by_arithmetic_when_they_read():
    llama = pool(LLAMA, accelerator="h100_80gb", gpus_per_replica=4)
    writing = sequence_use(llama, running=8, cached_tokens=8 * 1000, prefill_share=0.05, busy=0.6)
    assert writing.pattern == "memory-bound"
    assert writing.memory == pytest.approx(writing.memory_busy * 0.6)
    reading = sequence_use(llama, running=8, cached_tokens=8 * 1000, prefill_share=0.95, busy=0.6)
    assert reading.pattern == "compute-bound"


def test_of_measured_batches_only_starvation_is_known():
    measured = pool({"kind": "batch_curve", "fixed": "5ms", "per_item": "0.1ms"}, max_batch=32)
    assert gpu_use(measured, rate=100, batches={2: 1}).pattern == "batch-starved"
    full = gpu_use(measured, rate=100, batches={32: 1})
    assert (full.pattern, full.gpu, full.memory) == (None, None, None)
    with pytest.raises(ValueError, match="sizes 1 to 32"):
        gpu_use(measured, rate=100, batches={33: 1})


def test_parts_add_up_to_the_curve():
    service = pool(model(input="1 MB", overhead="0.2ms"), accelerator=OWN, max_batch=9)
    parts = batch_parts(service.service, service.accelerator, 1, 9)
    assert parts.seconds == pytest.approx(batch_curve(service))
    assert np.all(parts.peak_arithmetic <= parts.arithmetic)


# ---------------------------------------------------------------- presets


@pytest.mark.parametrize("name", preset_names())
def test_each_accelerator_states_its_source(name):
    found = preset(name)
    assert len(found.source) > 30
    assert found.assumed_price
    assert 0 < found.idle_power < found.peak_power
    # Ridge point of the roofline: FLOP a byte.
    assert 10 < found.peak / found.memory_bandwidth < 500


def test_the_a100_is_that_of_the_source():
    found = preset("a100_80gb")
    assert found.price / 24 == pytest.approx(3.0)
    assert found.memory_bandwidth == pytest.approx(2e12, rel=0.02)
    assert found.input_bandwidth == 64e9
    assert found.memory == 80e9


@pytest.mark.parametrize(
    ("name", "other"), [("a100_80gb", "A100"), ("h100_80gb", "H100"), ("t4", "T4"), ("v100_32gb", "V100")]
)
def test_presets_agree_with_another_register_of_hardware(name, other):
    found_at = find_spec("mlsysim")  # importing it takes seconds
    if found_at is None or found_at.origin is None:
        pytest.skip("mlsysim is not installed")
    file = Path(found_at.origin).parent / "hardware" / "data" / "cloud" / f"{other}.yaml"
    yaml = pytest.importorskip("yaml")
    theirs = yaml.safe_load(file.read_text(encoding="utf-8"))
    found = preset(name)

    def number(text: str, units: dict[str, float]) -> float:
        value, unit = str(text).split(" ", 1)
        return float(value) * units[unit]

    assert found.peak == pytest.approx(number(theirs["compute"]["peak_flops"], {"TFLOPs / s": 1e12}))
    assert found.memory_bandwidth == pytest.approx(
        number(theirs["memory"]["bandwidth"], {"GB / s": 1e9, "TB / s": 1e12})
    )
    assert found.peak_power == number(theirs["tdp"], {"W": 1.0})
    assert found.memory == pytest.approx(number(theirs["memory"]["capacity"], {"GiB": 2.0**30}), rel=0.08)
    if "interconnect" in theirs:
        # Theirs is one direction of the bus; ours the sum of both, as the source has it.
        assert found.input_bandwidth == pytest.approx(
            2 * number(theirs["interconnect"]["bandwidth"], {"GB / s": 1e9}), rel=0.02
        )
