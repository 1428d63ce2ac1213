"""A fitted reference: scores of tables against SciPy and the plain functions, bins of their own, shards, errors."""

from __future__ import annotations

import math
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from sim.kernels.histograms import DIVERGENCES
from sim.kernels.reference import ON_COUNTS, ON_SAMPLES, Reference
from sim.kernels.scores import SCORES, Histogram, proportions

ALL = [*ON_COUNTS, *ON_SAMPLES]


def plain_score(name, reference, current):
    """A score of two vectors of counts: bins empty on both sides are left out, half a count on the others."""
    reference, current = (np.asarray(counts)[(reference + current) > 0] for counts in (reference, current))
    if name in DIVERGENCES:
        return SCORES[name](proportions(reference), proportions(current))
    if len(reference) == 1:
        return {"chi_square": 0.0, "chi_square_p_value": 1.0}[name]
    test = stats.chi2_contingency(np.stack((reference, current)), correction=False)
    return test.statistic if name == "chi_square" else test.pvalue


def binned(values, edges):
    """Counts in (a, b] bins, then NaN."""
    values = np.asarray(values, dtype=float)
    number = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(edges, number), minlength=len(edges) + 1)
    return np.append(counts, np.isnan(values).sum())


def table_of_many_kinds(rows, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    missing = rng.normal(shift, 1.0, rows)
    missing[rng.random(rows) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "normal": rng.normal(shift, 1.0, rows),
            "narrow": rng.normal(shift, 1.0, rows).astype(np.float32),
            "tied": rng.poisson(2 + shift, rows),
            "constant": np.full(rows, 3.0 + (shift > 0.3)),
            "missing": missing,
            "nothing": np.full(rows, np.nan),
            "plan": rng.choice(["a", "b", "c", "d" if shift else "c"], rows),
            "flag": rng.random(rows) < 0.4 + shift / 5,
            "level": pd.Categorical(rng.choice(["low", "high"], rows)),
            "object": rng.choice(np.array(["x", None, 3], dtype=object), rows),
        }
    )


def plain_counts(reference, table, name):
    feature = next(feature for feature in reference.features if feature.name == name)
    column = table[name]
    if hasattr(feature, "edges"):
        return binned(column, feature.edges)
    known = [(column == category).sum() for category in feature.categories]
    missing = column.isna().sum()
    return np.array([*known, len(column) - sum(known) - missing, missing])


@pytest.mark.parametrize("binning", ["quantile", "uniform", {"normal": [-1.0, 0.0, 1.5], "tied": "uniform"}])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_scores_of_a_table_equal_the_plain_ones(binning, shift):
    fitted, window = table_of_many_kinds(3000, 1), table_of_many_kinds(1200, 2, shift)
    reference = Reference.fit(fitted, binning=binning)
    scores = reference.score(window, ALL)
    assert scores.index.tolist() == fitted.columns.tolist()
    assert scores.columns.tolist() == ALL
    for name in fitted:
        counts = [plain_counts(reference, table, name) for table in (fitted, window)]
        np.testing.assert_array_equal(reference.counts[reference.bins_of(name)], counts[0])
        np.testing.assert_array_equal(reference.histogram(window).counts[reference.bins_of(name)], counts[1])
        assert len(reference.labels(name)) == len(counts[0])
        for score in ON_COUNTS:
            exact = plain_score(score, *counts)
            assert scores.loc[name, score] == pytest.approx(exact, rel=1e-10, abs=1e-12), (name, score)
    for name in ("normal", "narrow", "tied", "constant", "missing"):
        first, second = (table[name].dropna().to_numpy() for table in (fitted, window))
        test = stats.ks_2samp(first, second)
        assert scores.loc[name, "ks"] == pytest.approx(test.statistic, abs=1e-12)
        assert scores.loc[name, "ks_p_value"] == pytest.approx(test.pvalue, abs=1e-9)
        distance = stats.wasserstein_distance(first.astype(float), second.astype(float))
        assert scores.loc[name, "wasserstein"] == pytest.approx(distance, rel=1e-12, abs=1e-12)
    samples = scores.loc[["plan", "flag", "level", "object", "nothing"], list(ON_SAMPLES)]
    assert samples.isna().to_numpy().all()


def test_the_reference_itself_scores_zero():
    table = table_of_many_kinds(500, 3)
    scores = Reference.fit(table).score(table, ALL)
    assert (scores[[*DIVERGENCES, "chi_square"]] < 1e-15).to_numpy().all()
    assert (scores["chi_square_p_value"] == 1).all()
    assert (scores[["ks", "wasserstein"]].dropna() == 0).to_numpy().all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_form_of_a_table_and_any_number_of_threads_give_the_same_bytes(dtype):
    rng = np.random.default_rng(4)
    fitted, window = (
        rng.normal(size=(9000, 12)).astype(dtype),
        rng.normal(0.1, 1.1, (20_000, 12)).astype(dtype),
    )
    window[rng.random(window.shape) < 0.01] = np.nan
    names = [f"x{j}" for j in range(12)]
    frame = pd.DataFrame(window, columns=names)
    by_number, by_name = Reference.fit(fitted), Reference.fit(pd.DataFrame(fitted, columns=names))
    answers = set()
    for threads in (1, 2, 3, 8):
        for layout in (window, np.asfortranarray(window)):
            answers.add(
                str([part.tobytes() for part in by_number.score_arrays(layout, ALL, threads).values()])
            )
        mixed = frame.assign(further="text")[["further", *names[::-1]]]
        for table in (frame, frame.copy(), mixed, {name: frame[name].to_numpy() for name in names}):
            answers.add(str([part.tobytes() for part in by_name.score_arrays(table, ALL, threads).values()]))
    assert len(answers) == 1
    again = pickle.loads(pickle.dumps(by_name))
    pd.testing.assert_frame_equal(again.score(frame, ALL), by_name.score(frame, ALL), check_exact=True)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_window_is_neither_copied_nor_changed(order):
    window = np.asarray(np.random.default_rng(5).normal(size=(50_000, 6)), order=order)
    before, reference = window.copy(), Reference.fit(window)
    reference.score_arrays(window)  # what is compiled or kept is there now
    tracemalloc.start()
    for table in (window, pd.DataFrame(window, copy=False)):
        reference.score_arrays(table)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < window.nbytes / 10
    reference.score(window, ALL)
    np.testing.assert_array_equal(window, before)


def test_bins_for_missing_and_unseen_values():
    fitted = {"x": [1.0, 2.0, 3.0, 4.0], "c": ["a", "a", "b", "b"]}
    reference = Reference.fit(fitted, bins=2)
    assert reference.labels("x") == ["(-inf, 2]", "(2, inf]", "missing"]
    assert reference.labels("c") == ["a", "b", "unseen", "missing"]
    window = {"x": [1.0, math.nan, 3.0, math.nan], "c": ["b", "e", None, "f"]}
    histogram = reference.histogram(window)
    assert histogram.counts[reference.bins_of("x")].tolist() == [1, 1, 2]
    assert histogram.counts[reference.bins_of("c")].tolist() == [0, 1, 2, 1]
    # Empty on both sides: left out, so the score is that of two bins.
    clean = reference.score({"x": [1.0, 2.0, 2.0, 3.0], "c": ["a", "b", "b", "b"]})
    assert clean["psi"].tolist() == pytest.approx([SCORES["psi"]([0.5, 0.5], [0.7, 0.3])] * 2, rel=1e-12)


def test_a_constant_shows_values_below_and_above():
    reference = Reference.fit({"x": [5.0] * 100})
    for value in (4.999, 5.001):
        assert reference.score({"x": [value] * 100}, ["psi"]).loc["x", "psi"] > 5
    assert reference.score({"x": [5.0] * 7}, ["psi"]).loc["x", "psi"] == 0


def test_infinite_values_are_the_outermost():
    reference = Reference.fit({"x": np.arange(100.0)})
    scores = reference.score({"x": [-math.inf, math.inf, 50.0, 50.0]}, ["psi", "ks", "wasserstein"])
    finite = reference.score({"x": [-1e9, 1e9, 50.0, 50.0]}, ["psi", "ks", "wasserstein"])
    assert scores.loc["x", ["psi", "ks"]].tolist() == finite.loc["x", ["psi", "ks"]].tolist()
    assert scores.loc["x", "wasserstein"] == math.inf


def test_integers_are_categories_when_asked():
    fitted, window = {"zip": [1, 1, 2, 3]}, {"zip": [1, 2, 2, 9]}
    reference = Reference.fit(fitted, categorical=["zip"])
    assert reference.labels("zip") == ["1", "2", "3", "unseen", "missing"]
    assert reference.histogram(window).counts.tolist() == [1, 2, 0, 1, 0]


def test_kinds_of_columns():
    table = pd.DataFrame(
        {
            "nullable": pd.array([1, 2, None, 4], dtype="Int64"),
            "numbers as objects": np.array([1, 2.5, None, 4], dtype=object),
            "text": pd.array(["a", "b", None, "a"], dtype="string"),
            "maybe": pd.array([True, None, False, True], dtype="boolean"),
        }
    )
    reference = Reference.fit(table)
    assert [hasattr(feature, "edges") for feature in reference.features] == [True, True, False, False]
    assert all(reference.counts[reference.bins_of(name)][-1] == 1 for name in table)
    assert (reference.score(table)["psi"] < 1e-15).all()


# --- shards ---

numbers = arrays(
    np.float64,
    st.tuples(st.integers(3, 60), st.just(2)),
    elements=st.one_of(st.integers(-4, 4).map(float), st.just(math.nan), st.floats(-5, 5, width=32)),
)


@settings(derandomize=True, deadline=None)
@given(numbers, numbers, st.lists(st.integers(1, 59), max_size=5))
def test_histograms_of_shards_add_up_to_the_whole(fitted, window, cuts):
    reference = Reference.fit(fitted, bins=5)
    shards = [
        shard for shard in np.split(window, sorted(cut for cut in cuts if cut < len(window))) if len(shard)
    ]
    merged = sum(reference.histogram(shard) for shard in shards)
    assert isinstance(merged, Histogram)
    whole = reference.histogram(window)
    assert merged.counts.tobytes() == whole.counts.tobytes()
    pd.testing.assert_frame_equal(
        reference.score_counts(merged, ON_COUNTS), reference.score(window, ON_COUNTS), check_exact=True
    )


@settings(derandomize=True, deadline=None)
@given(numbers, numbers)
def test_quantile_psi_and_ks_follow_any_increasing_map(fitted, window):
    names = ["psi", "ks", "js", "chi_square"]
    plain = Reference.fit(fitted, bins=4).score(window, names)
    values = np.unique(np.concatenate((fitted, window)))  # NaN last, if any
    targets = np.cumsum(np.random.default_rng(len(values)).exponential(size=len(values))) - 5.0
    bent = [np.where(np.isnan(x), x, targets[np.searchsorted(values, x)]) for x in (fitted, window)]
    mapped = Reference.fit(bent[0], bins=4).score(bent[1], names)
    pd.testing.assert_frame_equal(plain, mapped, check_exact=True)


def test_histograms_of_other_bins_do_not_mix():
    first, second = Reference.fit(np.arange(10.0)[:, None]), Reference.fit(np.arange(11.0)[:, None])
    window = np.ones((3, 1))
    with pytest.raises(ValueError, match="different references"):
        first.histogram(window) + second.histogram(window)
    with pytest.raises(ValueError, match="another reference"):
        first.score_counts(second.histogram(window))
    with pytest.raises(TypeError):
        first.histogram(window) + 1


# --- bad input ---

GOOD = {"age": [1.0, 2.0, 3.0], "plan": ["a", "b", "a"]}


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ({}, {}, "reference has no columns"),
        ({"age": []}, {}, "reference has no rows"),
        (np.zeros(3), {}, "two dimensions"),
        ({"age": [[1.0]]}, {}, "column 'age' must have one dimension"),
        ({"age": [1.0], "plan": ["a", "b"]}, {}, "column 'plan' has 2 rows, column 'age' has 1"),
        (pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), {}, "more than one column 'a'"),
        (GOOD, {"bins": 1}, "bins must be at least 2"),
        (GOOD, {"binning": "deciles"}, "column 'age' binning 'deciles', expected 'quantile'"),
        (GOOD, {"binning": {"age": [2.0, 1.0]}}, "column 'age' bin edges must be numbers in ascending order"),
        (GOOD, {"binning": {"size": "uniform"}}, "binning: the reference has no column 'size'"),
        (GOOD, {"categorical": ["size"]}, "categorical: the reference has no column 'size'"),
        ({"day": np.array(["2024-01-01"], dtype="M8[D]")}, {}, "column 'day' holds datetime64"),
        ({"z": [1j]}, {}, "column 'z' holds complex"),
    ],
)
def test_what_cannot_be_learned_is_refused(table, options, message):
    with pytest.raises(ValueError, match=message):
        Reference.fit(table, **options)


@pytest.mark.parametrize(
    ("window", "scores", "message"),
    [
        ({"age": [1.0]}, ["psi"], "window lacks column 'plan'"),
        ({"agee": [1.0], "plan": ["a"]}, ["psi"], "lacks column 'age'; it has 'agee' instead"),
        ({"age": ["old"], "plan": ["a"]}, ["psi"], "column 'age' must be numbers, got 'old'"),
        ({"age": ["old"], "plan": ["a"]}, ["ks"], "column 'age' must be numbers, got 'old'"),
        ({"age": [1.0, "old"], "plan": ["a", "a"]}, ["psi"], "column 'age' must be numbers"),
        ({"age": [], "plan": []}, ["psi"], "window has no rows"),
        (GOOD, ["pis"], "no score 'pis' here; one of: psi, kl"),
        (GOOD, "psi", "list of names"),
        (np.zeros((2, 3)), ["psi"], "window lacks column 'age'"),
    ],
)
def test_windows_that_do_not_fit_are_refused(window, scores, message):
    with pytest.raises(ValueError, match=message):
        Reference.fit(GOOD).score(window, scores)


def test_further_refusals():
    with pytest.raises(ValueError, match="no sample was kept"):
        Reference.fit(GOOD, keep_sample=False).score(GOOD, ["ks"])
    with pytest.raises(ValueError, match="3 columns, the reference 2"):
        Reference.fit(np.zeros((4, 2))).score(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="no column 'size'; one of: age, plan"):
        Reference.fit(GOOD).labels("size")
