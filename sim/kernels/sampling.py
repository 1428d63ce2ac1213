"""Random numbers tied to their window, and the binned rows that a feature monitor sees.

A stream starts from a hash of (key, window, feature), so what is drawn for a window is a pure function of
those three numbers: never of the order of calls, of block sizes or of what other windows drew.

Streams are the SplitMix64 generator (Steele, Lea, Flood 2014), a counter and a mixing function: a state is
one uint64; every kernel that draws takes a state and returns the state after its draws. Called from Python,
keys and states must be passed as `np.uint64(...)`: numba reads a Python int as signed.

The samplers follow Hoermann's transformed rejection ('The generation of binomial random variates', J. Stat.
Comput. Simul. 46, 1993), the squeeze of Kachitvichyanukul and Schmeiser (Commun. ACM 31, 1988) and the ziggurat
of Marsaglia and Tsang (J. Stat. Softw. 5, 2000) in the form of Doornik (2005).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

EXACT, NORMAL, EXPECTED = 0, 1, 2  # what `feature_counts` takes as `method`

# Every operand of the integer arithmetic is a uint64: one signed literal would turn it all into float64.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_ONE, _12, _27, _30, _31, _255 = (np.uint64(i) for i in (1, 12, 27, 30, 31, 255))
_UNIT_52 = 2.0**-52

_SMALL_MEAN = 10.0  # below: inversion, above: the range for which the hats of the rejection are proven
_INVERSION_LIMIT = 110  # no count of mean < 10 passes it in practice (probability < 1e-70)

_TABLE_END = 9.0
_STEPS_PER_UNIT = 256.0


# --- streams ---


@njit(cache=True)
def _mix(word: np.uint64) -> np.uint64:
    word = (word ^ (word >> _30)) * _MIX_1
    word = (word ^ (word >> _27)) * _MIX_2
    return word ^ (word >> _31)


@njit(cache=True)
def stream(key: np.uint64, window: int, feature: int) -> np.uint64:
    """State at the start of the stream of one (key, window, feature), any 64-bit integers.

    Neighbouring windows and features start at unrelated states: each level is one full mixing of the last.
    """
    state = _mix(np.uint64(key) + _GAMMA)
    state = _mix(state + _GAMMA * (np.uint64(window) + _ONE))
    return _mix(state + _GAMMA * (np.uint64(feature) + _ONE))


@njit(cache=True)
def next_uniform(state: np.uint64) -> tuple[float, np.uint64]:
    """Draw from the uniform distribution on (0, 1), ends excluded, step 2**-52; returns (value, state)."""
    state = np.uint64(state) + _GAMMA
    # The shifted word fits a signed integer, whose conversion to float is one instruction.
    return (np.float64(np.int64(_mix(state) >> _12)) + 0.5) * _UNIT_52, state


def _ziggurat() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right ends of 256 layers of equal area under exp(-x*x/2), widest first, and ratios of neighbours."""
    tail = 3.6541528853610088
    area = tail * math.exp(-0.5 * tail * tail) + math.sqrt(math.pi / 2) * math.erfc(tail / math.sqrt(2))
    ends = np.zeros(257)
    ends[0] = area / math.exp(-0.5 * tail * tail)
    ends[1] = tail
    for layer in range(2, 256):
        ends[layer] = math.sqrt(-2 * math.log(area / ends[layer - 1] + math.exp(-0.5 * ends[layer - 1] ** 2)))
    return ends, ends[1:] / ends[:-1]


# Small enough (4 kB) to be compiled in as constants, which the cache keeps; large tables are arguments.
_ENDS, _INNER = _ziggurat()


@njit(cache=True)
def _layer_and_side(state: np.uint64) -> tuple[np.uint64, float, np.uint64]:
    state = np.uint64(state) + _GAMMA
    word = _mix(state)
    return word & _255, (np.float64(np.int64(word) >> 11) + 0.5) * _UNIT_52, state


@njit(cache=True)
def _normal_at_edge(layer: np.uint64, side: float, state: np.uint64) -> tuple[float, np.uint64]:
    """Settle a draw outside the inner part of its layer: in the tail, in the wedge, or by drawing again."""
    while abs(side) >= _INNER[layer]:
        if layer == 0:
            while True:
                first, state = next_uniform(state)
                second, state = next_uniform(state)
                beyond = -math.log(first) / _ENDS[1]
                if -2.0 * math.log(second) >= beyond * beyond:
                    return math.copysign(_ENDS[1] + beyond, side), state
        value = side * _ENDS[layer]
        low = math.exp(-0.5 * (_ENDS[layer] * _ENDS[layer] - value * value))
        high = math.exp(-0.5 * (_ENDS[layer + _ONE] * _ENDS[layer + _ONE] - value * value))
        height, state = next_uniform(state)
        if high + height * (low - high) < 1.0:
            return value, state
        layer, side, state = _layer_and_side(state)
    return side * _ENDS[layer], state


@njit(cache=True)
def next_normal(state: np.uint64) -> tuple[float, np.uint64]:
    """Draw from the standard normal distribution (ziggurat, exact); returns (value, state)."""
    layer, side, state = _layer_and_side(state)
    if abs(side) < _INNER[layer]:  # 99 % of draws; the rest stands apart so that this part is inlined
        return side * _ENDS[layer], state
    return _normal_at_edge(layer, side, state)


# --- counts ---

# log(k!) minus Stirling's (k + 1/2) log(k + 1) - (k + 1) + log(2 pi)/2, for k = 0..9
_CORRECTIONS = np.array(
    [
        math.lgamma(k + 1) - (k + 0.5) * math.log(k + 1) + (k + 1) - 0.5 * math.log(2 * math.pi)
        for k in range(10)
    ]
)


_LOG_FACTORIALS = np.array([math.lgamma(k + 1.0) for k in range(2048)])


@njit(cache=True)
def _stirling_correction(k: float) -> float:
    if k < 10.0:
        return float(_CORRECTIONS[np.uint64(k)])
    x = 1.0 / (k + 1.0)
    return x * (1.0 / 12.0 - x * x * (1.0 / 360.0 - x * x * (1.0 / 1260.0 - x * x / 1680.0)))


@njit(cache=True)
def _binomial_by_inversion(state: np.uint64, n: float, p: float) -> tuple[float, np.uint64]:
    """Count up the distribution function from 0; n*p < 10, p <= 1/2."""
    odds = p / (1.0 - p)
    at_zero = math.exp(n * math.log1p(-p))
    limit = min(n, _INVERSION_LIMIT)
    while True:
        left, state = next_uniform(state)
        k, mass = 0.0, at_zero
        while left > mass and k <= limit:
            left -= mass
            k += 1.0
            mass *= odds * ((n + 1.0) / k - 1.0)
        if k <= limit:
            return k, state


@njit(cache=True)
def _propose(state: np.uint64, a: float, b: float, centre: float) -> tuple[float, float, float, np.uint64]:
    """Count from the hat, distance of its uniform from the nearer end, height, state."""
    u, state = next_uniform(state)
    v, state = next_uniform(state)
    u -= 0.5
    edge = 0.5 - abs(u)
    return np.floor((2.0 * a / edge + b) * u + centre), edge, v, state


@njit(cache=True)
def _below_binomial_ratio(height: float, k: float, mode: float, n: float, odds: float, npq: float) -> bool:
    """Whether height <= f(k) / f(mode), f the probabilities of Binomial(n, p) and 0 <= k <= n."""
    height = math.log(height)
    if n < _LOG_FACTORIALS.shape[0]:
        i, at_mode, rows = np.uint64(k), np.uint64(mode), np.uint64(n)
        log_ratio = (
            (k - mode) * math.log(odds)
            + (_LOG_FACTORIALS[at_mode] - _LOG_FACTORIALS[i])
            + (_LOG_FACTORIALS[rows - at_mode] - _LOG_FACTORIALS[rows - i])
        )
        return bool(height <= log_ratio)
    distance = abs(k - mode)
    if distance < 0.5 * npq - 1.0:  # bounds of the log ratio, proven in this range
        middle = -0.5 * distance * distance / npq
        slack = distance / npq * ((distance * (distance / 3.0 + 0.625) + 1.0 / 6.0) / npq + 0.5)
        if abs(height - middle) > slack:
            return height < middle
    failures, mode_failures = n - k + 1.0, n - mode + 1.0
    log_ratio = (
        (mode + 0.5) * math.log((mode + 1.0) * failures / ((k + 1.0) * mode_failures))
        + (n + 1.0) * math.log(mode_failures / failures)
        + (k - mode) * math.log(odds * failures / (k + 1.0))
        + (_stirling_correction(mode) - _stirling_correction(k))
        + (_stirling_correction(n - mode) - _stirling_correction(n - k))
    )
    return height <= log_ratio


@njit(cache=True)
def _binomial_by_rejection(state: np.uint64, n: float, p: float) -> tuple[float, np.uint64]:
    """Transformed rejection (BTRS); n*p >= 10, p <= 1/2."""
    npq = n * p * (1.0 - p)
    sd = math.sqrt(npq)
    b = 1.15 + 2.53 * sd
    a = -0.0873 + 0.0248 * b + 0.01 * p
    k, edge, v, state = _propose(state, a, b, n * p + 0.5)
    # The first proposal stands before the loop: else the compiler moves there what only the slow test needs.
    while edge < 0.07 or v > 0.92 - 4.2 / b:
        if 0.0 <= k <= n:
            height = v * (2.83 + 5.1 / b) * sd / (a / (edge * edge) + b)
            if _below_binomial_ratio(height, k, np.floor((n + 1.0) * p), n, p / (1.0 - p), npq):
                break
        k, edge, v, state = _propose(state, a, b, n * p + 0.5)
    return k, state


@njit(cache=True)
def _successes(state: np.uint64, n: float, p: float) -> tuple[float, np.uint64]:
    """Binomial draw as a float, which saves the sampler of many bins two conversions a draw."""
    if not (n > 0.0 and p > 0.0):
        return 0.0, state
    if p >= 1.0:
        return n, state
    small = min(p, 1.0 - p)
    if n * small < _SMALL_MEAN:
        k, state = _binomial_by_inversion(state, n, small)
    else:
        k, state = _binomial_by_rejection(state, n, small)
    return (k if p <= 0.5 else n - k), state


@njit(cache=True)
def binomial(state: np.uint64, n: int, p: float) -> tuple[np.int64, np.uint64]:
    """Exact draw from Binomial(n, p); returns (successes, state).

    n: trials (0 or less gives 0); beyond about 1e12 the rounding of float64 shows
    p: probability of success in [0, 1] (beyond an end counts as that end, NaN as 0)
    Inversion while n*min(p, 1-p) < 10, transformed rejection above.
    """
    k, state = _successes(state, float(n), p)
    return np.int64(k), state


@njit(cache=True)
def multinomial(
    states: NDArray[np.uint64], n: int, probabilities: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Exact draws of the counts of n rows in K bins, independent for each of F features, written to `out`.

    states: (F,), one stream a feature, advanced in place
    n: rows (0 or less gives zeros)
    probabilities: (F, K), >= 0, sum 1 (what is missing or too much falls to the last bins)
    out: (F, K) float64, whole counts with sum n

    One conditional binomial a bin. Features take turns bin by bin: a feature's next draw needs the rows that
    the last one left, and while it waits the processor works on the others.
    """
    features, bins = probabilities.shape
    left = out[:, bins - 1]
    left[:] = max(float(n), 0.0)
    mass = np.ones(features)
    for k in range(bins - 1):
        for j in range(features):
            p = probabilities[j, k]
            count, states[j] = _successes(states[j], left[j], p / mass[j] if p < mass[j] else 1.0)
            out[j, k] = count
            left[j] -= count
            mass[j] -= p


@njit(cache=True)
def multinomial_normal(
    state: np.uint64,
    n: int,
    probabilities: NDArray[np.float64],
    scratch: NDArray[np.float64],
    out: NDArray[np.float64],
) -> np.uint64:
    """Normal approximation of `multinomial`: whole counts >= 0 with sum n, in `out` (K,); returns the state.

    Before rounding the count of bin k is n p_k + sqrt(n p_k) (z_k - sqrt(p_k) sum_j sqrt(p_j) z_j) with
    independent standard normal z: mean and covariance of the multinomial, exactly. The running total over
    bins is rounded to the nearest integer and kept within [the total before it, n]; counts are its
    differences. So nothing is negative, the sum is n, and rounding adds a variance of about 1/6 to each inner
    count and 1/12 to the first and the last one. Good where n p_k >= 5; the skewness of small counts is lost.

    n, probabilities: as for `multinomial`; scratch: (K,), overwritten
    """
    last = probabilities.shape[0] - 1
    rows = max(float(n), 0.0)
    walk = 0.0
    for k in range(last + 1):
        z, state = next_normal(state)
        walk += math.sqrt(probabilities[k]) * z
        scratch[k] = walk
    root = math.sqrt(rows)
    below, total = 0.0, 0.0
    for k in range(last):
        below += probabilities[k]
        rounded = np.floor(rows * below + root * (scratch[k] - below * walk) + 0.5)
        rounded = min(max(rounded, total), rows)
        out[k] = rounded - total
        total = rounded
    out[last] = rows - total
    return state


# --- features ---


def normal_cdf_table() -> NDArray[np.float64]:
    """Coefficients (4608, 4) of the standard normal distribution function on [-9, 9], for `normal_cdf`.

    Row i holds c0..c3 of the cubic in t = 256 (x + 9) - i that has the value and the slope of the function at
    both ends of the step (Hermite); the error is below 1e-12.
    """
    nodes = np.arange(-_TABLE_END * _STEPS_PER_UNIT, _TABLE_END * _STEPS_PER_UNIT + 1) / _STEPS_PER_UNIT
    value = ndtr(nodes)
    slope = np.exp(-0.5 * nodes * nodes) / math.sqrt(2 * math.pi) / _STEPS_PER_UNIT
    rise = np.diff(value)
    start, end = slope[:-1], slope[1:]
    return np.column_stack((value[:-1], start, 3 * rise - 2 * start - end, start + end - 2 * rise))


@njit(cache=True)
def normal_cdf(x: float, table: NDArray[np.float64]) -> float:
    """Standard normal distribution function by `normal_cdf_table()`; 0 and 1 outside [-9, 9], 0 for NaN."""
    if not x > -_TABLE_END:
        return 0.0
    if x >= _TABLE_END:
        return 1.0
    place = (x + _TABLE_END) * _STEPS_PER_UNIT
    i = np.uint64(np.int64(place))  # unsigned: no test for an index from the end
    t = place - np.floor(place)
    return float(table[i, 0] + t * (table[i, 1] + t * (table[i, 2] + t * table[i, 3])))


@njit(cache=True)
def bin_probabilities(
    shift: float, edges: NDArray[np.float64], cdf_table: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Probability of each of K bins for a normal feature of mean `shift` and SD 1, written to `out` (K,).

    edges: (K-1,) inner edges, ascending, in SDs of the reference; cdf_table: `normal_cdf_table()`
    """
    below = 0.0
    for k in range(edges.shape[0]):
        at_edge = normal_cdf(edges[k] - shift, cdf_table)
        out[k] = max(at_edge - below, 0.0)
        below = at_edge
    out[edges.shape[0]] = 1.0 - below


@njit(cache=True)
def feature_counts(
    key: np.uint64,
    first_window: int,
    shifts: NDArray[np.float64],
    edges: NDArray[np.float64],
    rows: NDArray[np.int64],
    method: int,
    cdf_table: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Sampled rows of each feature by bin, for consecutive windows, written to `out`.

    key: the stream of this monitor; window i of the block is window `first_window + i` of the simulation
    shifts: (windows, F), mean of each feature in SDs of the reference; NaN gives NaN counts
    edges: (F, K-1), inner bin edges, ascending, in the same unit (`learn_edges`)
    rows: (windows,), rows that the monitor samples in each window, >= 0
    method: EXACT multinomial counts, NORMAL for `multinomial_normal`, EXPECTED for counts without noise
    cdf_table: `normal_cdf_table()`
    out: (windows, F, K) float64; each row of bins sums to `rows`
    """
    windows, features = shifts.shape
    bins = edges.shape[1] + 1
    probabilities = np.zeros((features, bins))
    states = np.empty(features, dtype=np.uint64)
    scratch = np.empty(bins)
    for i in range(windows):
        for j in range(features):
            if i == 0 or shifts[i, j] != shifts[i - 1, j]:
                bin_probabilities(shifts[i, j], edges[j], cdf_table, probabilities[j])
            states[j] = stream(key, first_window + i, j)
        if method == EXACT:
            multinomial(states, rows[i], probabilities, out[i])
        elif method == NORMAL:
            for j in range(features):
                multinomial_normal(states[j], rows[i], probabilities[j], scratch, out[i, j])
        else:
            for j in range(features):
                for k in range(bins):
                    out[i, j, k] = rows[i] * probabilities[j, k]
        for j in range(features):
            if np.isnan(shifts[i, j]):
                for k in range(bins):
                    out[i, j, k] = np.nan


def learn_edges(
    key: np.uint64, identity: int, n_reference: int, features: int, bins: int
) -> NDArray[np.float64]:
    """Inner bin edges (features, bins-1) that a model version learns from its reference rows, ascending.

    The edges are the order statistics of rank round(k n_reference / bins) of n_reference standard normal
    rows, drawn from their exact joint law (uniform spacings are Dirichlet) and not by drawing the rows. A bin
    so learned holds the proportion 1/bins of the reference.

    identity: of the model version, to which the draw is tied
    n_reference: rows, >= bins; 0 gives the quantiles of the population
    features: >= 0; bins: >= 1
    Raises ValueError outside these ranges.

    >>> learn_edges(np.uint64(0), 0, n_reference=0, features=1, bins=4).round(3)
    array([[-0.674,  0.   ,  0.674]])
    """
    if bins < 1 or features < 0:
        raise ValueError(f"bins must be >= 1 and features >= 0, got {bins} and {features}")
    if n_reference == 0:
        return np.tile(ndtri(np.arange(1, bins) / bins), (features, 1))
    if n_reference < bins:
        raise ValueError(f"n_reference must be 0 or at least bins = {bins}, got {n_reference}")
    ranks = np.rint(np.arange(bins + 1) * (n_reference / bins))
    rows_between = ranks[1:] - ranks[:-1]
    rows_between[-1] += 1.0  # n rows leave n + 1 spacings
    shares = np.empty((features, bins - 1))
    spacings_once(key, identity, rows_between, shares)
    edges: NDArray[np.float64] = ndtri(shares)
    return edges


# --- many draws, each tied to what it is for ---


@njit(cache=True)
def binomial_at(
    key: np.uint64,
    identity: NDArray[np.int64],
    n: NDArray[np.int64],
    p: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Draw out[i] ~ Binomial(n[i], p[i]), tied to identity[i]; all of shape (draws,), see `binomial`."""
    for i in range(n.shape[0]):
        out[i], _ = binomial(stream(key, identity[i], 0), n[i], p[i])


@njit(cache=True)
def normal_at(key: np.uint64, identity: NDArray[np.int64], out: NDArray[np.float64]) -> None:
    """Draw out[i] ~ standard normal, tied to identity[i]; both of shape (draws,)."""
    for i in range(identity.shape[0]):
        out[i], _ = next_normal(stream(key, identity[i], 0))


@njit(cache=True)
def uniform_at(key: np.uint64, identity: NDArray[np.int64], out: NDArray[np.float64]) -> None:
    """Draw out[i] uniform in (0, 1), tied to identity[i]; both of shape (draws,)."""
    for i in range(identity.shape[0]):
        out[i], _ = next_uniform(stream(key, identity[i], 0))


# --- single draws, tied to what they are for ---


@njit(cache=True)
def uniform_once(key: np.uint64, identity: int) -> float:
    """Uniform number in (0, 1), tied to `identity`."""
    return next_uniform(stream(key, identity, 0))[0]


@njit(cache=True)
def normal_once(key: np.uint64, identity: int) -> float:
    """Standard normal number, tied to `identity`."""
    return next_normal(stream(key, identity, 0))[0]


@njit(cache=True)
def binomial_once(key: np.uint64, identity: int, n: int, p: float) -> np.int64:
    """Binomial(n, p) number, tied to `identity`; see `binomial`."""
    return binomial(stream(key, identity, 0), n, p)[0]


@njit(cache=True)
def gamma(state: np.uint64, shape: float) -> tuple[float, np.uint64]:
    """Draw from the gamma distribution of scale 1, shape >= 1; returns (value, state).

    Source: Marsaglia and Tsang, 'A simple method for generating gamma variables', ACM TOMS 26, 2000.
    """
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x, state = next_normal(state)
        v = 1.0 + c * x
        if v <= 0.0:
            continue
        v = v * v * v
        u, state = next_uniform(state)
        if math.log(u) < 0.5 * x * x + d - d * v + d * math.log(v):
            return d * v, state


@njit(cache=True)
def spacings_once(
    key: np.uint64, identity: int, rows_between: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Cumulated shares of uniform order statistics, tied to `identity`, written to `out` (F, K-1).

    rows_between (K,): number of spacings in each bin, >= 1. Each row of out is ascending in (0, 1): the
    values of the distribution function at bin edges learned from sum(rows_between) - 1 rows.
    """
    features, inner = out.shape
    for j in range(features):
        state = stream(key, identity, j)
        total = 0.0
        for k in range(inner + 1):
            share, state = gamma(state, rows_between[k])
            total += share
            if k < inner:
                out[j, k] = total
        for k in range(inner):
            out[j, k] /= total
