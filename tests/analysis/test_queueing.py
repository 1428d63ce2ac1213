"""The closed forms against published figures, Markov chains solved as they stand, integration and simulation."""

from __future__ import annotations

import inspect
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp
from scipy.optimize import brentq
from scipy.special import gammaincc
from scipy.stats import erlang, norm, poisson

import analysis
from analysis import queueing

MMC = {"arrival_rate": 100.0, "service_time": 0.08, "servers": 10}
GENERAL = {**MMC, "arrival_scv": 2.0, "service_scv": 0.5}
LINEAR = {"arrival_rate": 400.0, "per_request": 0.001, "fixed": 0.01}
# One valid call of every function that takes numbers or arrays; the tests of ranges and of arrays walk this table.
CALLS: dict[str, dict[str, Any]] = {
    "offered_load": {"arrival_rate": 100.0, "service_time": 0.08},
    "erlang_b": {"load": 8.0, "servers": 10},
    "erlang_c": {"load": 8.0, "servers": 10},
    "mmc_wait_probability": MMC,
    "mmc_mean_wait": MMC,
    "mmc_wait_quantile": {**MMC, "probability": 0.9},
    "mmc_response_quantile": {**MMC, "probability": 0.9},
    "mmc_response_above": {**MMC, "time": 0.1},
    "mmck_loss": {**MMC, "queue_limit": 5},
    "mmck_mean_wait": {**MMC, "queue_limit": 5},
    "mg1_mean_wait": {"arrival_rate": 16.0, "service_time": 0.05, "service_scv": 4.0},
    "md1_mean_wait": {"arrival_rate": 16.0, "service_time": 0.05},
    "gg1_wait_bound": {"arrival_rate": 16.0, "service_time": 0.05, "arrival_scv": 1.0, "service_scv": 2.0},
    "approximate_ggc_wait": GENERAL,
    "approximate_mgc_wait": {**MMC, "service_scv": 0.5},
    "approximate_ggc_wait_quantile": {**GENERAL, "probability": 0.9},
    "servers_for_wait_probability": {"arrival_rate": 100.0, "service_time": 0.08, "wait_probability": 0.2},
    "servers_for_wait": {"arrival_rate": 100.0, "service_time": 0.08, "wait": 0.02, "probability": 0.99},
    "servers_for_response": {
        "arrival_rate": 100.0,
        "service_time": 0.08,
        "response": 0.5,
        "probability": 0.9,
    },
    "square_root_servers": {"arrival_rate": 100.0, "service_time": 0.08, "wait_probability": 0.2},
    "halfin_whitt_wait_probability": {"slack": 1.0},
    "batch_latency_upper_bound": LINEAR,
    "batch_latency_lower_bound": LINEAR,
}
OTHERS = {
    "little",
    "knee",
    "replica_curve",
    "batch_limit",
    "batch_service",
    "psa_wait_probability",
    "psa_mean_wait",
    "psa_wait_quantile",
    "psa_response_quantile",
}
# By argument, what is just outside the range; NaN, text and infinity are outside everywhere.
OUTSIDE: dict[str, tuple[float, ...]] = {
    "arrival_rate": (-1.0,),
    "load": (-1.0,),
    "service_time": (0.0, -1.0),
    "servers": (0, 2.5, 1_000_001),
    "queue_limit": (-1, 0.5, 1_000_001),
    "probability": (0.0, 1.0),
    "wait_probability": (0.0, 1.0),
    "time": (-0.1,),
    "wait": (-0.1,),
    "response": (0.0,),
    "slack": (-0.1,),
    "arrival_scv": (-0.1,),
    "service_scv": (-0.1,),
    "per_request": (-0.1,),
    "fixed": (-0.1,),
}


def call(name: str, arguments: dict[str, Any]) -> Any:
    """Those parameters by position that have no keyword."""
    function = getattr(queueing, name)
    kinds = inspect.signature(function).parameters
    first = [key for key in arguments if kinds[key].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    return function(
        *(arguments[key] for key in first), **{k: v for k, v in arguments.items() if k not in first}
    )


def stationary(rates: np.ndarray) -> np.ndarray:
    """Stationary distribution of a chain in continuous time, by its balance equations as they stand."""
    balance = rates.T - np.diag(rates.sum(axis=1))
    balance[-1] = 1.0
    return np.linalg.solve(balance, np.eye(len(rates))[-1])


def birth_death(arrival_rate: float, service_time: float, servers: int, places: int) -> np.ndarray:
    size = servers + places + 1
    rates = np.zeros((size, size))
    for number in range(size - 1):
        rates[number, number + 1] = arrival_rate
        rates[number + 1, number] = min(number + 1, servers) / service_time
    return stationary(rates)


# ---------------------------------------------------------------- the interface


def test_the_module_has_every_function_and_the_tests_call_every_one() -> None:
    functions = {name for name in queueing.__all__ if inspect.isfunction(getattr(queueing, name))}
    assert functions == set(CALLS) | OTHERS
    assert analysis.queueing is queueing
    assert "queueing" in dir(analysis)


@pytest.mark.parametrize("name", CALLS)
def test_wrong_arguments_are_named(name: str) -> None:
    assert isinstance(call(name, CALLS[name]), float)
    for argument in CALLS[name]:
        for value in (*OUTSIDE[argument], math.nan, math.inf, -math.inf, "1", None, [1.0, math.nan]):
            with pytest.raises(ValueError, match=rf"^{argument}: got .*, expected "):
                call(name, {**CALLS[name], argument: value})


@pytest.mark.parametrize("name", CALLS)
def test_arrays_broadcast(name: str) -> None:
    for argument, value in CALLS[name].items():
        pair = [value, value + 1] if argument in ("servers", "queue_limit") else [value, value * 1.01]
        expected = [call(name, {**CALLS[name], argument: one}) for one in pair]
        result = call(name, {**CALLS[name], argument: np.array([pair])})
        assert result.shape == (1, 2)
        np.testing.assert_allclose(result, [expected], rtol=1e-13)
    everything = {key: np.full((2, 1), value) for key, value in CALLS[name].items()}
    assert call(name, everything).shape == (2, 1)


# ---------------------------------------------------------------- Erlang's formulas


def test_erlang_against_published_figures() -> None:
    """Of the tables of Erlang B (1 % of calls lost) and of call-centre examples with Erlang C."""
    assert queueing.erlang_b(
        load=[0.0101, 1.361, 4.461, 12.03, 37.90, 84.06], servers=[1, 5, 10, 20, 50, 100]
    ) == (pytest.approx(0.01, rel=2e-3))
    assert queueing.erlang_c(load=10.0, servers=12) == pytest.approx(0.4494, abs=5e-5)
    assert queueing.erlang_c(load=3.0, servers=5) == pytest.approx(0.2362, abs=5e-5)


@pytest.mark.parametrize("servers", [1, 2, 7, 40])
@pytest.mark.parametrize(
    "load", [Fraction(1, 1000), Fraction(1, 2), Fraction(13, 2), Fraction(39), Fraction(400)]
)
def test_erlang_against_exact_arithmetic(servers: int, load: Fraction) -> None:
    terms = [load**k / math.factorial(k) for k in range(servers + 1)]
    blocked = terms[-1] / sum(terms)
    assert queueing.erlang_b(load=float(load), servers=servers) == pytest.approx(float(blocked), rel=1e-13)
    waits = blocked / (1 - load / servers * (1 - blocked)) if load < servers else Fraction(1)
    assert queueing.erlang_c(load=float(load), servers=servers) == pytest.approx(float(waits), rel=1e-13)


def test_erlang_with_many_servers() -> None:
    """Against the incomplete gamma function, 1 / B = 1 / the mean of a Poisson's relative weights."""
    for servers, load in ((1_000, 980.0), (20_000, 20_100.0), (200_000, 199_900.0)):
        logarithm = poisson.logpmf(servers, load) - math.log(gammaincc(servers + 1, load))
        assert queueing.erlang_b(load=load, servers=servers) == pytest.approx(math.exp(logarithm), rel=1e-8)
    assert queueing.erlang_b(load=1.0, servers=1_000_000) == 0.0
    assert queueing.erlang_c(load=999_999.0, servers=1_000_000) == pytest.approx(0.99875, abs=1e-5)


def test_erlang_at_the_ends() -> None:
    assert queueing.erlang_b(load=0.0, servers=[1, 5]).tolist() == [0.0, 0.0]
    assert queueing.erlang_c(load=0.0, servers=[1, 5]).tolist() == [0.0, 0.0]
    assert queueing.erlang_c(load=[5.0, 6.0, 1e300], servers=5).tolist() == [1.0, 1.0, 1.0]
    assert queueing.erlang_b(load=1e300, servers=5) == pytest.approx(1.0)
    assert queueing.erlang_c(load=0.3, servers=1) == pytest.approx(0.3, rel=1e-15)
    assert queueing.mmc_wait_probability(arrival_rate=1e300, service_time=1e300, servers=3) == 1.0


@settings(max_examples=40)
@given(load=st.floats(0.01, 200.0), servers=st.integers(1, 200))
def test_erlang_inequalities(load: float, servers: int) -> None:
    blocked, waits = (f(load=load, servers=servers) for f in (queueing.erlang_b, queueing.erlang_c))
    assert 0 <= blocked <= waits <= 1
    assert blocked >= 1 - servers / load - 1e-12
    assert queueing.erlang_b(load=load, servers=servers + 1) <= blocked
    assert queueing.erlang_c(load=load, servers=servers + 1) <= waits


# ---------------------------------------------------------------- M/M/c


@pytest.mark.parametrize(("utilisation", "servers"), [(0.5, 1), (0.8, 8), (0.95, 3), (0.7, 64)])
def test_mmc_against_its_chain(utilisation: float, servers: int) -> None:
    rate, places = utilisation * servers / 0.08, 500
    chain = birth_death(rate, 0.08, servers, places)
    arguments = {"arrival_rate": rate, "service_time": 0.08, "servers": servers}
    assert queueing.mmc_wait_probability(**arguments) == pytest.approx(chain[servers:].sum(), rel=1e-9)
    queue = chain[servers:] @ np.arange(places + 1)
    assert queueing.mmc_mean_wait(**arguments) == pytest.approx(queue / rate, rel=1e-9)
    # Who finds j waiting waits for j + 1 ends of services.
    quantile = queueing.mmc_wait_quantile(probability=0.99, **arguments)
    stages = np.arange(1, places + 2)
    later = chain[servers:] @ erlang.sf(quantile, stages, scale=0.08 / servers)
    assert later == pytest.approx(0.01 if quantile > 0 else chain[servers:].sum(), rel=1e-5)


@pytest.mark.parametrize(
    ("rate", "servers"), [(8.0, 1), (9.999, 1), (10.0, 2), (10.000001, 2), (75.0, 8), (79.999, 8), (1.0, 8)]
)
def test_mmc_response_against_the_integral(rate: float, servers: int) -> None:
    """P(T > t) = P(S > t) + the integral of P(W > t - s) over the density of s, also where both rates are equal."""
    service, arguments = 0.1, {"arrival_rate": rate, "service_time": 0.1, "servers": servers}
    waits, drain = queueing.mmc_wait_probability(**arguments), servers / service - rate
    for time in (0.0, 0.05, 0.3, 1.0):
        sooner = quad(
            lambda s, t=time: math.exp(-s / service) / service * waits * math.exp(-drain * (t - s)),
            0.0,
            time,
            epsabs=1e-13,
        )[0]
        above = queueing.mmc_response_above(time, **arguments)
        assert above == pytest.approx(math.exp(-time / service) + sooner, abs=1e-11)
    for probability in (1e-9, 0.5, 0.99, 0.999999):
        quantile = queueing.mmc_response_quantile(probability=probability, **arguments)
        assert queueing.mmc_response_above(quantile, **arguments) == pytest.approx(1 - probability, rel=1e-9)


def test_mmc_limits() -> None:
    one = {"arrival_rate": 9.0, "service_time": 0.1, "servers": 1}
    assert queueing.mmc_mean_wait(**one) == pytest.approx(0.9)
    assert queueing.mmc_response_quantile(probability=0.99, **one) == pytest.approx(
        math.log(100.0), rel=1e-12
    )
    idle = {**one, "arrival_rate": 0.0}
    assert queueing.mmc_mean_wait(**idle) == queueing.mmc_wait_quantile(probability=0.99, **idle) == 0.0
    assert queueing.mmc_response_quantile(probability=0.99, **idle) == pytest.approx(0.1 * math.log(100.0))
    many = {**one, "servers": 500}
    assert queueing.mmc_response_quantile(probability=0.5, **many) == pytest.approx(0.1 * math.log(2.0))
    for rate in (10.0, 11.0):
        over = {**one, "arrival_rate": rate}
        assert queueing.mmc_mean_wait(**over) == math.inf
        assert queueing.mmc_wait_quantile(probability=0.01, **over) == math.inf
        assert queueing.mmc_response_quantile(probability=0.01, **over) == math.inf
        assert queueing.mmc_response_above(1e6, **over) == 1.0
    full = {**one, "arrival_rate": 10.0 * (1 - 1e-9)}
    assert queueing.mmc_mean_wait(**full) == pytest.approx(1e8, rel=1e-6)
    assert queueing.mmc_response_quantile(probability=0.99, **full) == pytest.approx(
        1e8 * math.log(100.0), rel=1e-6
    )


@settings(max_examples=40)
@given(
    utilisation=st.floats(0.01, 0.999),
    servers=st.integers(1, 60),
    probability=st.floats(0.01, 0.999),
)
def test_quantiles_are_in_order(utilisation: float, servers: int, probability: float) -> None:
    arguments = {"arrival_rate": utilisation * servers, "service_time": 1.0, "servers": servers}
    wait = queueing.mmc_wait_quantile(probability=probability, **arguments)
    response = queueing.mmc_response_quantile(probability=probability, **arguments)
    alone = -math.log1p(-probability)
    assert max(wait, alone) <= response * (1 + 1e-12)
    halfway = (1 + probability) / 2
    further = queueing.mmc_wait_quantile(probability=halfway, **arguments) - math.log1p(-halfway)
    assert response <= further * (1 + 1e-12)


def test_little() -> None:
    assert queueing.little(arrival_rate=5.0, time=2.0) == 10.0
    assert queueing.little(number=[5.0, 10.0], arrival_rate=5.0).tolist() == [1.0, 2.0]
    assert queueing.little(number=10.0, time=2.0) == 5.0
    for wrong in ({}, {"time": 1.0}, {"number": 1.0, "time": 1.0, "arrival_rate": 1.0}):
        with pytest.raises(ValueError, match=r"expected two of number, arrival_rate and time"):
            queueing.little(**wrong)
    for name, wrong in (
        ("time", {"number": 1.0, "time": 0.0}),
        ("arrival_rate", {"number": 1.0, "arrival_rate": 0.0}),
        ("number", {"number": -1.0, "time": 1.0}),
        ("time", {"arrival_rate": 1.0, "time": math.nan}),
    ):
        with pytest.raises(ValueError, match=rf"^{name}: got"):
            queueing.little(**wrong)


# ---------------------------------------------------------------- M/M/c/K


@pytest.mark.parametrize("utilisation", [0.01, 0.5, 0.999999, 1.0, 1.000001, 1.5, 20.0])
@pytest.mark.parametrize(("servers", "places"), [(1, 0), (1, 1), (1, 30), (8, 0), (8, 5), (8, 100)])
def test_mmck_against_its_chain(utilisation: float, servers: int, places: int) -> None:
    rate = utilisation * servers / 0.08
    chain = birth_death(rate, 0.08, servers, places)
    arguments = {"arrival_rate": rate, "service_time": 0.08, "servers": servers, "queue_limit": places}
    assert queueing.mmck_loss(**arguments) == pytest.approx(chain[-1], rel=1e-8, abs=1e-15)
    served = np.minimum(np.arange(len(chain)), servers) @ chain / 0.08
    queue = chain[servers:] @ np.arange(places + 1)
    assert queueing.mmck_mean_wait(**arguments) == pytest.approx(queue / served, rel=1e-8, abs=1e-15)


def test_mmck_limits() -> None:
    loads = np.array([0.5, 4.0, 8.0, 12.0])
    lossy = {"arrival_rate": loads, "service_time": 1.0, "servers": 8}
    np.testing.assert_allclose(
        queueing.mmck_loss(queue_limit=0, **lossy), queueing.erlang_b(load=loads, servers=8), rtol=1e-13
    )
    stable = {**lossy, "arrival_rate": loads[:2]}
    np.testing.assert_allclose(
        queueing.mmck_mean_wait(queue_limit=5000, **stable), queueing.mmc_mean_wait(**stable), rtol=1e-10
    )
    assert queueing.mmck_loss(arrival_rate=12.0, service_time=1.0, servers=8, queue_limit=1_000_000) == (
        pytest.approx(1 / 3)
    )
    flooded = {"arrival_rate": 1e12, "service_time": 1.0, "servers": 8, "queue_limit": 40}
    assert queueing.mmck_loss(**flooded) == pytest.approx(1.0, abs=1e-11)
    assert queueing.mmck_mean_wait(**flooded) == pytest.approx(40 / 8, rel=1e-9)
    assert queueing.mmck_mean_wait(arrival_rate=0.0, service_time=1.0, servers=8, queue_limit=40) == 0.0


# ---------------------------------------------------------------- general services and arrivals


def test_pollaczek_khinchine() -> None:
    """Two phases in a row (SCV 1/2) by their chain, exponential and constant services by their own forms."""
    rate, service, size = 0.8, 1.0, 300
    rates = np.zeros((2 * size + 1, 2 * size + 1))  # state 2 n - 1 + phase: n in the system, phase 0 or 1
    rates[0, 1] = rate
    for number in range(1, size + 1):
        for phase in (0, 1):
            state = 2 * number - 1 + phase
            if number < size:
                rates[state, state + 2] = rate
            to = state + 1 if phase == 0 else (0 if number == 1 else state - 3)
            rates[state, to] = 2.0 / service
    chain = stationary(rates)
    number = chain[1:] @ np.repeat(np.arange(1, size + 1), 2)
    wait = queueing.mg1_mean_wait(arrival_rate=rate, service_time=service, service_scv=0.5)
    assert wait == pytest.approx(number / rate - service, rel=1e-9)
    exponential = queueing.mmc_mean_wait(arrival_rate=rate, service_time=service, servers=1)
    assert queueing.mg1_mean_wait(arrival_rate=rate, service_time=1.0, service_scv=1.0) == pytest.approx(
        exponential
    )
    assert queueing.md1_mean_wait(arrival_rate=rate, service_time=service) == pytest.approx(2.0)
    assert queueing.md1_mean_wait(arrival_rate=1.0, service_time=service) == math.inf
    assert queueing.mg1_mean_wait(arrival_rate=0.0, service_time=service, service_scv=9.0) == 0.0


def constant_service_wait(load: float, servers: int) -> float:
    """Mean wait in M/D/c at service time 1: the number there a service later, by its chain."""
    size = int(servers + 16 / (1 - load / servers) + 10 * math.sqrt(load) + 50)
    come = poisson.pmf(np.arange(size), load)
    moves = np.array(
        [
            np.concatenate((np.zeros(left), come[: size - left]))
            for left in (max(number - servers, 0) for number in range(size))
        ]
    )
    np.fill_diagonal(moves, 0.0)
    return float(stationary(moves) @ np.arange(size)) / load - 1.0


@pytest.mark.parametrize(
    ("servers", "utilisation", "low", "high"),
    [
        (1, 0.8, 1 - 1e-8, 1 + 1e-8),
        (4, 0.8, 0.96, 0.97),
        (10, 0.5, 0.75, 0.77),
        (10, 0.8, 0.92, 0.94),
        (10, 0.95, 0.98, 0.99),
        (50, 0.95, 0.96, 0.97),
    ],
)
def test_two_moments_against_constant_services(
    servers: int, utilisation: float, low: float, high: float
) -> None:
    """The docstring says how far off the approximation is."""
    load = utilisation * servers
    wait = queueing.approximate_mgc_wait(
        arrival_rate=load, service_time=1.0, servers=servers, service_scv=0.0
    )
    assert low <= wait / constant_service_wait(load, servers) <= high


def test_approximations_where_they_are_exact() -> None:
    poisson_arrivals = {**MMC, "arrival_scv": 1.0, "service_scv": 1.0}
    assert queueing.approximate_ggc_wait(**poisson_arrivals) == queueing.mmc_mean_wait(**MMC)
    assert queueing.approximate_ggc_wait_quantile(probability=0.99, **poisson_arrivals) == (
        queueing.mmc_wait_quantile(probability=0.99, **MMC)
    )
    single = {"arrival_rate": 16.0, "service_time": 0.05, "service_scv": 4.0}
    assert queueing.approximate_mgc_wait(servers=1, **single) == pytest.approx(
        queueing.mg1_mean_wait(**single)
    )
    overload = {**GENERAL, "arrival_rate": 125.0, "arrival_scv": 0.0, "service_scv": 0.0}
    assert queueing.approximate_ggc_wait(**overload) == math.inf
    assert queueing.approximate_ggc_wait_quantile(probability=0.5, **overload) == math.inf
    assert queueing.approximate_ggc_wait(**{**overload, "arrival_rate": 100.0}) == 0.0


def test_bound_of_one_server() -> None:
    """Against GI/M/1, whose wait has a closed form: Erlang-2 interarrivals (SCV 1/2)."""
    for rate in (0.05, 0.5, 0.9, 0.999):
        ratio = brentq(lambda z, r=rate: (2 * r / (2 * r + 1 - z)) ** 2 - z, 0.0, 1.0 - 0.1 * (1 - rate))
        exact = ratio / (1 - ratio)
        arguments = {"arrival_rate": rate, "service_time": 1.0, "arrival_scv": 0.5, "service_scv": 1.0}
        assert exact <= queueing.gg1_wait_bound(**arguments)
        assert exact < queueing.approximate_ggc_wait(servers=1, **arguments) * (1 + 1e-3 * rate)
        if rate > 0.9:
            approximate = queueing.approximate_ggc_wait(servers=1, **arguments)
            assert approximate == pytest.approx(exact, rel=0.01)
            assert queueing.gg1_wait_bound(**arguments) == pytest.approx(exact, rel=0.01)
    assert (
        queueing.gg1_wait_bound(arrival_rate=1.0, service_time=1.0, arrival_scv=0, service_scv=0) == math.inf
    )


# ---------------------------------------------------------------- staffing


@settings(max_examples=40)
@given(
    load=st.floats(0.0, 300.0),
    share=st.sampled_from([0.001, 0.05, 0.2, 0.5, 0.9]),
    relative=st.floats(0.0, 3.0),
)
def test_fewest_servers(load: float, share: float, relative: float) -> None:
    """The number found meets the objective, and one fewer does not."""
    work = {"arrival_rate": load / 0.25, "service_time": 0.25}
    found = queueing.servers_for_wait_probability(wait_probability=share, **work)
    assert queueing.mmc_wait_probability(servers=found, **work) <= share * (1 + 1e-12)
    if found > 1:
        assert queueing.mmc_wait_probability(servers=found - 1, **work) > share * (1 - 1e-12)
    found = queueing.servers_for_wait(wait=relative * 0.25, probability=1 - share, **work)
    quantile = {"probability": 1 - share, **work}
    assert queueing.mmc_wait_quantile(servers=found, **quantile) <= relative * 0.25 + 1e-12
    if found > 1:
        assert queueing.mmc_wait_quantile(servers=found - 1, **quantile) >= relative * 0.25 - 1e-12
    response = (relative - math.log(share) + 0.001) * 0.25
    found = queueing.servers_for_response(response=response, probability=1 - share, **work)
    assert queueing.mmc_response_quantile(servers=found, **quantile) <= response * (1 + 1e-9)
    if found > 1:
        assert queueing.mmc_response_quantile(servers=found - 1, **quantile) >= response * (1 - 1e-9)


def test_servers_that_cannot_be_enough() -> None:
    work = {"arrival_rate": 100.0, "service_time": 0.08}
    alone = 0.08 * math.log(100.0)
    assert queueing.servers_for_response(response=alone * 0.999, probability=0.99, **work) == math.inf
    assert queueing.servers_for_response(response=alone * 1.001, probability=0.99, **work) < 30
    assert (
        queueing.servers_for_wait_probability(arrival_rate=0.0, service_time=1.0, wait_probability=0.1) == 1.0
    )
    with pytest.raises(
        ValueError, match=r"^arrival_rate \* service_time: got 1e\+06, expected less than 1000000"
    ):
        queueing.servers_for_wait_probability(arrival_rate=1e6, service_time=1.0, wait_probability=0.1)


def test_square_root_rule() -> None:
    slack = np.array([0.1, 0.5, 1.0, 2.0])
    expected = 1 / (1 + slack * norm.cdf(slack) / norm.pdf(slack))
    np.testing.assert_allclose(queueing.halfin_whitt_wait_probability(slack), expected, rtol=1e-12)
    assert queueing.halfin_whitt_wait_probability(0.0) == 1.0
    assert queueing.halfin_whitt_wait_probability(100.0) == 0.0
    limit = queueing.erlang_c(load=90_000.0 - 300.0, servers=90_000)
    assert queueing.halfin_whitt_wait_probability(300 / math.sqrt(89_700.0)) == pytest.approx(limit, rel=0.01)
    loads = np.concatenate((np.linspace(0.1, 50.0, 60), [100.0, 1000.0, 5000.0]))
    for share, short in ((0.01, 2), (0.1, 1), (0.2, 1), (0.5, 1), (0.9, 0)):
        work = {"arrival_rate": loads, "service_time": 1.0, "wait_probability": share}
        missing = queueing.servers_for_wait_probability(**work) - queueing.square_root_servers(**work)
        assert missing.min() >= 0
        assert missing.max() <= short
    assert queueing.square_root_servers(arrival_rate=0.0, service_time=1.0, wait_probability=0.5) == 1.0


# ---------------------------------------------------------------- the knee


def test_knee_is_where_the_next_replica_saves_little() -> None:
    for quantity in ("mean_wait", "mean_response", "wait_quantile", "response_quantile"):
        curve = queueing.replica_curve(
            arrival_rate=100.0, service_time=0.08, replicas=np.arange(5, 40), quantity=quantity, gain=0.1
        )
        assert np.isinf(curve.values[:4]).all()
        assert (np.diff(curve.values[4:]) <= 0).all()
        assert curve.utilisation[3] == pytest.approx(1.0)
        saved = -np.diff(curve.values[4:])
        at = int(curve.knee) - 9
        assert saved[at] < 0.1 * curve.scale <= saved[at - 1]
        longer = queueing.replica_curve(
            arrival_rate=100.0, service_time=0.08, replicas=range(9, 500), quantity=quantity, gain=0.1
        )
        assert longer.knee == curve.knee
    mean = queueing.replica_curve(
        arrival_rate=100.0, service_time=0.08, replicas=[9, 12], quantity="mean_wait"
    )
    expected = queueing.mmc_mean_wait(arrival_rate=100.0, service_time=0.08, servers=[9, 12])
    np.testing.assert_array_equal(mean.values, expected)


def test_knee_of_any_curve() -> None:
    inf = math.inf
    assert queueing.knee(replicas=[1, 2, 3, 4], values=[inf, inf, 5.0, 4.99], scale=1.0) == 3.0
    assert queueing.knee(replicas=[1, 2, 3], values=[inf, inf, inf], scale=1.0) == inf
    assert queueing.knee(replicas=[1, 2, 3], values=[5.0, 3.0, 1.0], scale=1.0) == inf
    assert queueing.knee(replicas=[4, 5, 6], values=[1.0, 1.0, 1.0], scale=1.0) == 4.0
    assert queueing.knee(replicas=[1, 11, 21], values=[1.4, 1.0, 0.6], scale=1.0) == 1.0  # 0.04 a replica
    assert queueing.knee(replicas=[1, 2, 3, 4, 5], values=[9, 2, 2.01, 1.2, 1.2], scale=1.0) == 4.0  # noise


def test_wrong_curves() -> None:
    good: dict[str, Any] = {"replicas": [1, 2], "values": [2.0, 1.0], "scale": 1.0}
    for name, wrong in (
        ("replicas", {"replicas": [2, 1]}),
        ("replicas", {"replicas": [1.5, 2]}),
        ("replicas", {"replicas": [1], "values": [1.0]}),
        ("values", {"values": [1.0]}),
        ("values", {"values": [math.nan, 1.0]}),
        ("scale", {"scale": 0.0}),
        ("gain", {"gain": 1.0}),
    ):
        with pytest.raises(ValueError, match=rf"^{name}: "):
            queueing.knee(**{**good, **wrong})
    with pytest.raises(ValueError, match=r"quantity: got 'p99', expected one of: mean_wait, mean_response, "):
        queueing.replica_curve(arrival_rate=1.0, service_time=1.0, replicas=[1, 2], quantity="p99")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^servers: got 0"):
        queueing.replica_curve(arrival_rate=1.0, service_time=1.0, replicas=[0, 1])


# ---------------------------------------------------------------- rates that change


def test_pointwise_stationary_against_slow_and_fast_change() -> None:
    """Kolmogorov's equations of M_t/M/c over a sine's period: met where it is slow, kinder where it is fast."""
    servers, size, mean, swing = 4, 80, 2.4, 0.8
    moments = (np.arange(400) + 0.5) / 400

    def truth(period: float) -> float:
        def rate(time: float) -> float:
            return mean + swing * math.sin(2 * math.pi * time / period)

        ends = np.minimum(np.arange(size), servers).astype(float)

        def slope(time: float, p: np.ndarray) -> np.ndarray:
            up, down = rate(time) * p, ends * p
            up[-1] = 0.0
            flow = -up - down
            flow[1:] += up[:-1]
            flow[:-1] += down[1:]
            return flow

        warm = birth_death(mean, 1.0, servers, size - servers - 1)
        found = solve_ivp(
            slope,
            (0.0, 2 * period),
            warm,
            t_eval=period * (1 + moments),
            method="LSODA",
            rtol=1e-7,
            atol=1e-9,
        )
        waiting = found.y[servers:].sum(axis=0)
        rates = np.array([rate(time) for time in found.t])
        return float(rates @ waiting / rates.sum())

    rates = mean + swing * np.sin(2 * np.pi * moments)
    estimate = queueing.psa_wait_probability(rates, service_time=1.0, servers=servers)
    assert estimate == pytest.approx(truth(2000.0), rel=0.005)
    steady = queueing.mmc_wait_probability(arrival_rate=mean, service_time=1.0, servers=servers)
    assert steady < truth(1.0) < estimate * 0.95


def test_pointwise_stationary_of_equal_rates_is_the_queue_itself() -> None:
    arguments = {"service_time": 0.08, "servers": 10}
    rates = np.full(3, 100.0)
    assert queueing.psa_mean_wait(rates, **arguments) == pytest.approx(queueing.mmc_mean_wait(**MMC))
    assert queueing.psa_wait_probability(rates, **arguments) == pytest.approx(
        queueing.mmc_wait_probability(**MMC)
    )
    for probability in (0.3, 0.9, 0.999):
        for ours, theirs in (
            (queueing.psa_wait_quantile, queueing.mmc_wait_quantile),
            (queueing.psa_response_quantile, queueing.mmc_response_quantile),
        ):
            assert ours(rates, probability=probability, **arguments) == pytest.approx(
                theirs(probability=probability, **MMC), rel=1e-9
            )


def test_pointwise_stationary_mixes_by_requests() -> None:
    rates, durations, servers = [20.0, 100.0, 0.0], [10.0, 2.0, 50.0], [3, 10, 1]
    arguments = {"service_time": 0.08, "servers": servers, "durations": durations}
    parts = [
        {"arrival_rate": rate, "service_time": 0.08, "servers": count}
        for rate, count in zip(rates[:2], servers[:2], strict=True)
    ]
    mean = sum(queueing.mmc_mean_wait(**part) for part in parts) / 2  # 200 requests each
    assert queueing.psa_mean_wait(rates, **arguments) == pytest.approx(mean)
    found = queueing.psa_response_quantile(rates, probability=[0.5, 0.99], **arguments)
    for probability, quantile in zip((0.5, 0.99), found, strict=True):
        above = sum(queueing.mmc_response_above(quantile, **part) for part in parts) / 2
        assert above == pytest.approx(1 - probability, rel=1e-9)


def test_pointwise_stationary_overload() -> None:
    arguments = {"service_time": 1.0, "servers": 2}
    rates, durations = [0.5, 4.0], [16.0, 0.5]  # a fifth of the requests come in overload
    assert queueing.psa_mean_wait(rates, durations=durations, **arguments) == math.inf
    found = queueing.psa_wait_quantile(rates, probability=[0.3, 0.79, 0.81], durations=durations, **arguments)
    assert found[0] == 0.0
    assert 0.0 < found[1] < math.inf
    assert found[2] == math.inf
    assert queueing.psa_mean_wait(rates, durations=[1.0, 0.0], **arguments) < math.inf


def test_wrong_periods() -> None:
    for name, rates, others in (
        ("rates", 5.0, {}),
        ("rates", [0.0, 0.0], {}),
        ("rates", [-1.0], {}),
        ("rates", [1.0, 2.0, 3.0], {"servers": [[1], [2]]}),
        ("durations", [1.0, 2.0], {"durations": [1.0, 2.0, 3.0]}),
        ("servers", [1.0], {"servers": 0}),
    ):
        with pytest.raises(ValueError, match=rf"^{name}: "):
            queueing.psa_mean_wait(rates, **{"service_time": 1.0, "servers": 9, **others})
    with pytest.raises(ValueError, match=r"^probability: got 1"):
        queueing.psa_wait_quantile([1.0], probability=1.0, service_time=1.0, servers=2)


# ---------------------------------------------------------------- batches


def simulated_batches(rate: float, curve: np.ndarray, requests: int, seed: int) -> tuple[float, float, float]:
    """Mean latency, its standard error from 25 stretches, and the mean batch, of one server that never waits."""
    arrivals = np.random.default_rng(seed).exponential(1 / rate, requests).cumsum()
    latency, first, free, batches = np.empty(requests), 0, 0.0, 0
    while first < requests:
        start = max(free, arrivals[first])
        last = min(int(np.searchsorted(arrivals, start, side="right")), first + len(curve))
        free = start + curve[last - first - 1]
        latency[first:last] = free - arrivals[first:last]
        first, batches = last, batches + 1
    means = latency.reshape(25, -1).mean(axis=1)
    return float(means.mean()), float(means.std(ddof=1) / 5), requests / batches


@pytest.mark.parametrize(
    ("rate", "curve"),
    [
        (100.0, 0.01 + 0.001 * np.arange(1, 201)),
        (600.0, 0.01 + 0.001 * np.arange(1, 201)),
        (220.0, np.array([0.010, 0.012, 0.014, 0.016])),
        (60.0, np.array([0.010, 0.025, 0.026])),
    ],
)
def test_batches_against_simulation(rate: float, curve: np.ndarray) -> None:
    """Four comparisons at four standard errors: 3 in 10,000 by chance (24 degrees of freedom: 2 in 1,000)."""
    latency, error, batch = simulated_batches(rate, curve, 50_000, seed=7)
    exact = queueing.batch_service(arrival_rate=rate, curve=curve)
    assert abs(latency - exact.mean_latency) < 4 * error < 0.2 * latency
    assert batch == pytest.approx(exact.mean_batch, rel=0.03)


@pytest.mark.parametrize("rate", [1.0, 30.0, 100.0, 300.0, 600.0, 850.0])
@pytest.mark.parametrize("fixed", [0.0005, 0.01])
def test_batch_bounds(rate: float, fixed: float) -> None:
    """The exact latency lies between the bounds, and the upper one is the smaller of the two published forms."""
    alpha = 0.001
    arguments = {"arrival_rate": rate, "per_request": alpha, "fixed": fixed}
    upper, lower = (
        queueing.batch_latency_upper_bound(**arguments),
        queueing.batch_latency_lower_bound(**arguments),
    )
    curve = fixed + alpha * np.arange(1, 251)  # as good as no largest batch
    exact = queueing.batch_service(arrival_rate=rate, curve=curve).mean_latency
    assert lower * (1 - 1e-9) <= exact <= upper * (1 + 1e-9)
    assert upper <= lower * 1.1
    x, y = rate * alpha, rate * fixed
    first = (alpha + fixed) / (2 * (1 - x)) * (1 + 2 * y + (1 - y) / (1 + x))
    second = 1.5 * fixed / (1 - x) + alpha / 2 * (x + 2) / (1 - x**2)
    assert upper == pytest.approx(min(first, second), rel=1e-12)


def test_batch_bounds_at_the_ends() -> None:
    ends = {"per_request": 0.001, "fixed": 0.01}
    for bound in (queueing.batch_latency_upper_bound, queueing.batch_latency_lower_bound):
        assert bound(arrival_rate=0.0, **ends) == pytest.approx(0.011)
        assert bound(arrival_rate=[1000.0, 2000.0], **ends).tolist() == [math.inf, math.inf]
        # Batches of any size in a constant time: a tenth of a second, and the rest of the one that is under way.
        busy = bound(arrival_rate=1e6, per_request=0.0, fixed=0.1)
        assert busy == pytest.approx(0.15, rel=1e-4)
    assert queueing.batch_latency_upper_bound(arrival_rate=5.0, per_request=0.0, fixed=0.0) == 0.0


def test_a_largest_batch_goes_past_the_bound() -> None:
    """The bound is for no largest batch, as its docstring warns."""
    curve = 0.01 + 0.001 * np.arange(1, 9)
    bound = queueing.batch_latency_upper_bound(arrival_rate=430.0, per_request=0.001, fixed=0.01)
    assert queueing.batch_service(arrival_rate=430.0, curve=curve).mean_latency > 2 * bound


def test_batches_of_one_are_constant_services() -> None:
    for utilisation in (0.001, 0.5, 0.9, 0.99):
        done = queueing.batch_service(arrival_rate=utilisation / 0.05, curve=[0.05])
        wait = queueing.md1_mean_wait(arrival_rate=utilisation / 0.05, service_time=0.05)
        assert done.mean_latency == pytest.approx(wait + 0.05, rel=1e-9)
        assert done.mean_batch == pytest.approx(1.0)
        assert done.utilisation == pytest.approx(utilisation, rel=1e-9)


@settings(max_examples=40)
@given(
    share=st.floats(0.05, 0.95),
    curve=st.lists(st.floats(0.5, 3.0), min_size=1, max_size=8).map(sorted),
)
def test_batches_conserve_requests(share: float, curve: list[float]) -> None:
    """What is served is what comes, so a cycle is mean batch by rate, and its busy part the mean time of a batch."""
    rate = share * queueing.batch_limit(curve=curve)
    done = queueing.batch_service(arrival_rate=rate, curve=curve)
    assert 1 - 1e-9 <= done.mean_batch <= len(curve) + 1e-9
    assert done.utilisation <= 1
    assert done.mean_latency >= curve[0]
    busy = done.utilisation * done.mean_batch / rate
    assert curve[0] * (1 - 1e-9) <= busy <= curve[-1] * (1 + 1e-9)


def test_stability_of_batches() -> None:
    curve = [0.010, 0.012, 0.014, 0.016]
    assert queueing.batch_limit(curve=curve, replicas=[1, 3]) == pytest.approx([250.0, 750.0])
    assert queueing.batch_service(arrival_rate=250.001, curve=curve) == (math.inf, 4.0, 1.0)
    near = [
        queueing.batch_service(arrival_rate=250 * share, curve=curve).mean_latency
        for share in (0.9, 0.99, 0.998)
    ]
    assert 5 < near[1] / near[0] < 10
    assert 4.5 < near[2] / near[1] < 5
    with pytest.raises(ValueError, match=r"^arrival_rate: got 0\.999999 of batch_limit, expected less"):
        queueing.batch_service(arrival_rate=250 * 0.999999, curve=curve)
    for name, wrong in (
        ("curve", {"curve": []}),
        ("curve", {"curve": [0.1, 0.0]}),
        ("curve", {"curve": 0.1}),
        ("arrival_rate", {"arrival_rate": 0.0}),
    ):
        with pytest.raises(ValueError, match=rf"^{name}: "):
            queueing.batch_service(**{"arrival_rate": 1.0, "curve": curve, **wrong})
    with pytest.raises(ValueError, match=r"^replicas: got 0"):
        queueing.batch_limit(curve=curve, replicas=0)
