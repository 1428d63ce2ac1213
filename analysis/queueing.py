"""Closed forms of queues: what a fleet of servers does in the long run, against which simulated fleets are checked.

Rates and times are in one unit of time, such as requests per second and seconds; `service_time` is the mean time that
one server is busy with one request, and a load in erlangs is arrival rate by service time. Numbers and arrays are
accepted and broadcast together: numbers give a float, arrays an array. Every function raises ValueError for an
argument outside the range that its docstring states, with a message that names the argument, the value and the right
range; NaN is outside. Overload is inside: its waits are infinite.

All are of the steady state. What is exact says nothing more; what approximates has `approximate` or `psa` in its name.
"""

from __future__ import annotations

from analysis.queueing_batches import (
    BatchService,
    batch_latency_lower_bound,
    batch_latency_upper_bound,
    batch_limit,
    batch_service,
)
from analysis.queueing_general import (
    approximate_ggc_wait,
    approximate_ggc_wait_quantile,
    approximate_mgc_wait,
    gg1_wait_bound,
    md1_mean_wait,
    mg1_mean_wait,
)
from analysis.queueing_markov import (
    erlang_b,
    erlang_c,
    little,
    mmc_mean_wait,
    mmc_response_above,
    mmc_response_quantile,
    mmc_wait_probability,
    mmc_wait_quantile,
    mmck_loss,
    mmck_mean_wait,
    offered_load,
)
from analysis.queueing_staffing import (
    ReplicaCurve,
    halfin_whitt_wait_probability,
    knee,
    replica_curve,
    servers_for_response,
    servers_for_wait,
    servers_for_wait_probability,
    square_root_servers,
)
from analysis.queueing_varying import (
    psa_mean_wait,
    psa_response_quantile,
    psa_wait_probability,
    psa_wait_quantile,
)

__all__ = [
    "BatchService",
    "ReplicaCurve",
    "approximate_ggc_wait",
    "approximate_ggc_wait_quantile",
    "approximate_mgc_wait",
    "batch_latency_lower_bound",
    "batch_latency_upper_bound",
    "batch_limit",
    "batch_service",
    "erlang_b",
    "erlang_c",
    "gg1_wait_bound",
    "halfin_whitt_wait_probability",
    "knee",
    "little",
    "md1_mean_wait",
    "mg1_mean_wait",
    "mmc_mean_wait",
    "mmc_response_above",
    "mmc_response_quantile",
    "mmc_wait_probability",
    "mmc_wait_quantile",
    "mmck_loss",
    "mmck_mean_wait",
    "offered_load",
    "psa_mean_wait",
    "psa_response_quantile",
    "psa_wait_probability",
    "psa_wait_quantile",
    "replica_curve",
    "servers_for_response",
    "servers_for_wait",
    "servers_for_wait_probability",
    "square_root_servers",
]
