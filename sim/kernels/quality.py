"""Accuracy of a model version window by window, and the best retraining dates for a known world.

Accuracy of slice s in window i, for a version that learned the state (x', c') and whose age counts from `origin`:
A0_s exp(-decay_s * age) - sum_j sensitivity_j (x_ij - x'_j)^2 - concept_sensitivity |c_i - c'| + offset, kept within
[floor, 1]. Source: chapter, the degradation equation and 'The staleness cost function'.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]


@njit(cache=True)
def mean_decay(decay: float, since: float, until: float) -> float:
    """Mean of exp(-decay * age) for ages from `since` to `until` (days, until >= since)."""
    span = decay * (until - since)
    if span < 1e-12:
        return float(np.exp(-decay * since))
    return float(-np.exp(-decay * since) * np.expm1(-span) / span)


@njit(cache=True)
def accuracy_windows(
    features: Array,
    concept: Array,
    sensitivity: Array,
    concept_sensitivity: float,
    initial: Array,
    decay: Array,
    floor: float,
    window: float,
    trained_features: Array,
    trained_concept: Array,
    trained_first: int,
    origin: float,
    offset: float,
    since: float,
    until: float,
    first: int,
    stop: int,
    base: int,
    out: Array,
) -> None:
    """Write the mean accuracy of windows first..stop-1 into out (slices, windows), whose first column is window `base`.

    features (slices or 1, windows, features) and concept (slices or 1, windows): state of the world; sensitivity
    (features,): accuracy per squared shift; initial, decay: (slices,). trained_features (slices or 1, rows,
    features), trained_concept (slices or 1, rows): what the version knows in window trained_first + row, its last
    row holding from then on. Only the part of a window between `since` and `until` (days) counts. Times in days.
    """
    rows, concept_rows = trained_features.shape[1], trained_concept.shape[1]
    for s in range(out.shape[0]):
        place = s if features.shape[0] > 1 else 0
        for i in range(first, stop):
            since_first = max(i - trained_first, 0)
            row, concept_row = min(since_first, rows - 1), min(since_first, concept_rows - 1)
            begin = max(since, i * window) - origin
            end = min(until, (i + 1) * window) - origin
            value = initial[s] + offset
            if decay[s] > 0.0:
                value = initial[s] * mean_decay(decay[s], begin, end) + offset
            lost = 0.0
            for j in range(sensitivity.shape[0]):
                shift = features[place, i, j] - trained_features[place, row, j]
                lost += sensitivity[j] * shift * shift
            lost += concept_sensitivity * abs(concept[place, i] - trained_concept[place, concept_row])
            out[s, i - base] = min(max(value - lost, floor), 1.0)


@njit(cache=True)
def best_dates(
    features: Array,
    concept: Array,
    sensitivity: Array,
    concept_sensitivity: float,
    initial: Array,
    decay: Array,
    weights: Array,
    floor: float,
    window: float,
    worth: Array,
    price: float,
    lag: float,
    duration: float,
    learned_features: Array,
    learned_concept: Array,
    step: int,
    capacity: int,
) -> NDArray[np.int64]:
    """Windows at whose start to ask for a retraining so that staleness plus price is least.

    Backward dynamic programme over requests at every `step`-th window start, for a world that is known and trainings
    that take `duration` days and never fail. learned_features (slices or 1, windows, features) and learned_concept
    (slices or 1, windows): what a training asked for at the start of each window knows; the version of time 0 knows
    the first row. worth (windows,): money per unit of accuracy in a window; weights (slices,); price: of a
    retraining; lag: days by which a version's age runs ahead; other arguments as in `accuracy_windows`.
    O(windows^2) at worst; a path stops when what it lost alone passes the best known plan.
    """
    windows = worth.shape[0]
    whole = int(np.floor(duration / window + 1e-9))
    part = duration / window - whole
    if part < 1e-9:
        part = 0.0
    # With room for several trainings one a window is allowed: more than can be had, so still a bound.
    busy = max(whole + (1 if part > 0.0 else 0), 1) if capacity == 1 else 1
    epochs = (windows + step - 1) // step
    value = np.zeros(epochs)
    following = np.full(epochs, -1, np.int64)
    fresh = np.empty(weights.shape[0])
    fading = np.exp(-decay * window)
    # No version is better than a fresh one: counted from there no loss is below 0, and the best plan is the same.
    ceiling = 0.0
    for s in range(weights.shape[0]):
        ceiling += weights[s] * min(max(initial[s], floor), 1.0)
    for k in range(epochs - 1, -1, -1):
        asked = k * step
        # The version in service at time 0 needs no training and no price: it is the path of epoch 0.
        live = asked + whole if k > 0 else 0
        fraction = part if k > 0 else 0.0
        origin = max(asked * window - lag, 0.0) if k > 0 else 0.0
        best = np.inf
        choice = -1
        lost_so_far = 0.0
        for s in range(weights.shape[0]):
            age = max(live * window - origin, 0.0)
            fresh[s] = initial[s] * mean_decay(decay[s], age, age + window)
        for m in range(live, windows):
            accuracy = 0.0
            for s in range(weights.shape[0]):
                place = s if features.shape[0] > 1 else 0
                # From one whole window to the next the mean of an exponential falls by a constant factor.
                a = fresh[s]
                fresh[s] *= fading[s]
                for j in range(sensitivity.shape[0]):
                    shift = features[place, m, j] - learned_features[place, asked, j]
                    a -= sensitivity[j] * shift * shift
                a -= concept_sensitivity * abs(concept[place, m] - learned_concept[place, asked])
                accuracy += weights[s] * min(max(a, floor), 1.0)
            loss = worth[m] * (ceiling - accuracy)
            # A new version goes live `part` of a window after a window starts.
            asked_next = m - whole
            if (
                asked_next > asked
                and (step == 1 or asked_next % step == 0)
                and (asked_next - asked >= busy or k == 0)
            ):
                n = asked_next // step
                total = lost_so_far + part * loss + price + value[n]
                if total < best:
                    best = total
                    choice = n
            share = 1.0 - fraction if m == live else 1.0
            lost_so_far += share * loss
            if lost_so_far > best:
                break
        else:
            if lost_so_far <= best:  # of two plans that cost the same the one without a training
                best = lost_so_far
                choice = -1
        value[k] = best
        following[k] = choice
    dates = np.empty(epochs, np.int64)
    count = 0
    k = following[0]
    while k >= 0:
        dates[count] = k * step
        count += 1
        k = following[k]
    return dates[:count]
