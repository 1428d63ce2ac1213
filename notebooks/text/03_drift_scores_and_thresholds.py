# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab 03: Drift scores and their thresholds
#
# **Time:** 35 minutes. **You need:** logarithms, and what a histogram and a chi-square distribution are for.
#
# **What you will learn**
#
# - to compute the population stability index (PSI) by hand, and what it estimates;
# - why PSI is above zero when nothing has changed, and how often it is above a threshold by chance;
# - to count false alarms a month before you switch a monitor on, and to set a threshold that keeps them few;
# - what no score of the inputs can see.
#
# **The closed form of this lab.** With expected shares $e_i$ and actual shares $a_i$ of $K$ bins,
#
# $$ \mathrm{PSI} = \sum_{i=1}^{K} (a_i - e_i) \ln \frac{a_i}{e_i} , $$
#
# and the bands of credit scoring: below 0.1 nothing to report, 0.1 to 0.2 worth a look, above 0.2 a
# significant shift.
#
# **The assumption that this lab breaks:** that these bands mean the same for every number of rows, of
# features and of looks.
#
# In each round: write your prediction down *before* you run the cells, run them, look, and explain. Hints are
# folded; the solutions are at the end.

# %% [markdown]
# ## Set-up
#
# Run this cell first. With the environment variable `HALFLIFE_SHORT=1` the lab simulates fewer months and
# takes seconds (that is how it is tested); without it, averages are more exact.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import chi2, norm

import scenarios
import sim
from analysis.detection import FeatureMonitor
from sim.kernels.scores import proportions, psi, psi_population

SHORT = os.environ.get("HALFLIFE_SHORT") == "1"
WORLDS = 8 if SHORT else 40

# %% [markdown]
# ## Round 1: PSI by hand
#
# The chapter's example: the ages of a recommender's users in training and in serving.

# %%
ages = pd.DataFrame(
    {
        "training": [0.15, 0.25, 0.20, 0.18, 0.12, 0.10],
        "serving": [0.12, 0.22, 0.18, 0.20, 0.15, 0.13],
    },
    index=pd.Index(["18-25", "26-35", "36-45", "46-55", "56-65", "66+"], name="age"),
)
ages

# %% [markdown]
# ### Predict
#
# 1. All six bins moved by 2 or 3 percentage points. In which band does the PSI fall: below 0.1, 0.1 to 0.2,
#    or above?
# 2. A normal feature moves by $\delta$ of its standard deviations. By how much must it move to bring the PSI
#    to 0.2: about 0.1, 0.45 or 1?
#
# **My prediction:** *(double-click and write it here)*
#
# <details><summary>Hint</summary>
#
# For small changes $\ln(a/e) \approx (a - e)/e$, so that each bin adds about $(a - e)^2/e$. For a normal
# feature and fine bins, PSI is the symmetric Kullback-Leibler divergence of two normal distributions, which
# is $\delta^2$.
#
# </details>
#
# ### Run

# %%
ages["difference"] = ages["serving"] - ages["training"]
ages["ln(serving / training)"] = np.log(ages["serving"] / ages["training"])
ages["contribution"] = ages["difference"] * ages["ln(serving / training)"]
print(f"PSI by hand: {ages['contribution'].sum():.4f} nats")
print(f"by sim.kernels.scores: {psi(ages['training'], ages['serving']):.4f} nats")
ages.round(4)

# %%
shifts = np.linspace(0, 1.2, 61)
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for bins, line in [(5, ":"), (10, "--"), (100, "-.")]:
    edges = norm.ppf(np.arange(1, bins) / bins)
    ax.plot(shifts, psi_population(shifts, edges), line, label=f"{bins} bins of equal frequency")
ax.plot(shifts, shifts**2, color="black", lw=1, label="shift squared")
ax.axhline(0.2, color="grey", lw=1)
ax.set(xlabel="shift of the mean (standard deviations)", ylabel="PSI (nats)", title="PSI of a normal feature")
ax.legend()
plt.show()

# %% [markdown]
# ### Look and explain
#
# Read from the picture which shift a PSI of 0.2 stands for. Why do few bins give a little less than
# $\delta^2$?
#
# **My explanation:**

# %% [markdown]
# ## Round 2: PSI of nothing
#
# Now the feature does not move at all. We draw rows from the very distribution that the ten bins were made
# for, and compute PSI for each sample.
#
# ### Predict
#
# 1. Each sample has 100 rows. Is PSI zero on average? In which share of the samples is it above 0.1, and
#    above 0.2?
# 2. And with 1000 rows?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# By the approximation of round 1, $n \cdot \mathrm{PSI} \approx \sum (\text{count} - n e)^2 / (n e)$:
# Pearson's statistic, with $K - 1$ degrees of freedom. What is the mean of a chi-square distribution with 9
# degrees of freedom?
#
# </details>
#
# ### Run

# %%
rng = np.random.default_rng(3)
expected = np.full(10, 0.1)
scores = {}
for rows in (100, 300, 1000):
    samples = rng.multinomial(rows, expected, size=2000 if SHORT else 20_000)
    scores[rows] = np.array([psi(expected, proportions(counts)) for counts in samples])
chance = pd.DataFrame({rows: [s.mean(), (s > 0.1).mean(), (s > 0.2).mean()] for rows, s in scores.items()})
chance.set_axis(["mean", "share above 0.1", "share above 0.2"]).rename_axis("rows", axis=1).round(4)

# %%
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
x = np.linspace(0.001, 0.3, 300)
for rows, colour in [(100, "tab:blue"), (300, "tab:orange"), (1000, "tab:green")]:
    ax.hist(scores[rows], bins=60, density=True, alpha=0.35, color=colour, label=f"{rows} rows, simulated")
    ax.plot(x, rows * chi2.pdf(rows * x, 9), color=colour, label=f"{rows} rows, chi-square / rows")
ax.vlines([0.1, 0.2], 0, 40, color="black", lw=1)
ax.set(xlabel="PSI (nats)", ylabel="density (per nat)", title="PSI when nothing has changed", ylim=(0, 60))
ax.legend()
plt.show()

# %% [markdown]
# ### Look and explain
#
# The black lines are the bands. For which number of rows is 0.1 a sensible threshold, for which is it noise,
# and for which is it blind to anything but large shifts?
#
# **My explanation:**

# %% [markdown]
# ## Round 3: From a share to false alarms a month
#
# A monitor does not look once. This one looks at ten features, each hour, at 100 rows each, and calls when
# one of them is above its threshold. Nothing ever changes in its world.
#
# ### Predict
#
# How many times a month (30 days) does it call with a threshold of 0.2? In how many of 720 looks, that is.
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# You know the share $p$ of samples above 0.2 from round 2. A look is silent if all ten features are:
# $(1 - p)^{10}$.
#
# </details>
#
# ### Run
#
# First by the closed form of round 2, then in the simulator, where each row is drawn and nobody has said how
# many alarms are false.

# %%
p = chi2.sf(0.2 * 100, 9)
print(f"a feature passes 0.2 by chance in {p:.2%} of the looks, one of ten in {1 - (1 - p) ** 10:.1%}")
print(f"that is {720 * (1 - (1 - p) ** 10):.0f} false alarms in 30 days")

# %%
watched = {
    "title": "A world without change",
    "horizon": "90d",
    "window": "1h",
    "features": [f"feature_{number}" for number in range(10)],
    "quality": {"kind": "degradation", "initial_accuracy": 0.90},
    "triggers": [],
}
look = {"metric": "feature_drift_psi", "rows": 100, "cadence": "1h", "cooldown": "0d"}

# %%
rules = {
    "PSI above 0.1": {"threshold": 0.1},
    "PSI above 0.2": {"threshold": 0.2},
    "one a month by chance": {"rule": "significance", "false_alarms": "1/month"},
    "one a quarter by chance": {"rule": "significance", "false_alarms": "1/quarter"},
}
monthly = {}
for name, rule in rules.items():
    world = scenarios.load("rotting_asset", **watched, monitors=[look | rule])
    runs = [sim.run(world, "never", seed=0, replication=number) for number in range(WORLDS)]
    monthly[name] = np.mean([run.summary["false_alarms"] for run in runs]) / 3
pd.Series(monthly, name="false alarms in 30 days").round(2)

# %% [markdown]
# ### Look
#
# `FeatureMonitor` answers the same question without simulation: which threshold has one false alarm a
# quarter, and what can it still see?

# %%
monitor = FeatureMonitor("psi", features=10, cadence="1h", false_alarms="1/quarter")
counts = [100, 300, 1000, 10_000]
table = pd.concat({rows: monitor.threshold_table(rows) for rows in counts}, names=["rows a look"])
table.round({"threshold": 4, "false_alarms_per_day": 4, "detectable_shift": 3})

# %%
calibrated = table.xs("calibrated", level="threshold set")
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
ax.loglog(counts, calibrated["threshold"], "o-", label="one false alarm a quarter")
ax.axhline(0.2, color="grey", lw=1, label="0.2 for all")
ax.set(
    xlabel="rows (per look and feature)",
    ylabel="threshold of PSI (nats)",
    title="A threshold depends on the rows behind it",
)
ax.legend()
plt.show()

# %% [markdown]
# ### Explain
#
# With 100 rows a look, 0.2 gives several false alarms a day; with 10,000 rows it gives none and lets shifts
# pass that the calibrated threshold sees at once. In one sentence for a colleague who asks for "the" PSI
# threshold: what do you need to know before you can answer?
#
# **My explanation:**

# %% [markdown]
# ## Round 4: What the inputs do not tell
#
# Three worlds in which something moves by half a standard deviation on day 30: an input that the model uses
# (`data`), an input that it does not use (`harmless`), and the relation between inputs and truth (`concept`).
# Two monitors watch: PSI, and the accuracy of 1000 labels a day, which come seven days late. Each is set to
# one false alarm a year.
#
# ### Predict
#
# Which of the two monitors calls first in each world, and on which day? In which world is a call of no use?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# PSI looks at inputs, today. Accuracy looks at answers, a week late. What does each of them see of a concept
# that moves?
#
# </details>
#
# ### Run and look

# %%
yearly = {"cadence": "1d", "window": "1d", "rule": "significance", "false_alarms": "1/y"}
inputs = {"metric": "feature_drift_psi", "name": "psi", "rows": 1000} | yearly
labels = {"metric": "accuracy", "name": "labels"} | yearly
sensitivity = {"feature_sensitivity": 0.2, "concept_sensitivity": 0.1}
system = {
    "horizon": "90d",
    "features": [{"name": "age"}, {"name": "theme", "weight": 0}],
    "quality": {"kind": "degradation", "initial_accuracy": 0.9} | sensitivity,
    "labels": {"coverage": "1%", "delay": "7d"},
    "triggers": [],
    "monitors": [inputs, labels],
}

# %%
half = {"kind": "ramp", "rate": "0.5/d", "start": "30d", "stop": "31d"}
moved = {"data": {"features": ["age"]}, "harmless": {"features": ["theme"]}, "concept": {"on": "concept"}}
years = {
    name: sim.run(scenarios.load("rotting_asset", **system, drift=[half | what]), "never")
    for name, what in moved.items()
}
calls = {name: run.events[run.events["kind"].str.contains("alarm")] for name, run in years.items()}
first = pd.DataFrame({name: call.groupby("subject")["time_days"].min() for name, call in calls.items()})
first.loc["accuracy lost"] = [0.9 - run.timeline["accuracy"].iloc[-1] for run in years.values()]
first.round(3)  # day of the first alarm; NaN: none

# %%
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for (name, run), line in zip(years.items(), ["-", "--", ":"], strict=True):
    ax.plot(run.timeline["time_days"], run.timeline["score[psi]"], line, label=name)
ax.set(xlabel="time (days)", ylabel="PSI, worst feature (nats)", title="What PSI shows of three changes")
ax.legend()
plt.show()

# %% [markdown]
# ### Explain
#
# The pictures of `data` and `harmless` look alike. What would you have to know, beside the score, to tell
# them apart? And why does the most dangerous of the three take longest to see?
#
# **My explanation:**

# %% [markdown]
# ## Solutions
#
# Look only when you have written your explanations down. Every number below is computed again.

# %% [markdown]
# **Round 1.** The PSI of the example is 0.029, far below 0.1. A PSI of 0.2 stands for a shift of about
# $\sqrt{0.2} = 0.45$ standard deviations; with ten bins it takes a little more, because what moves within a
# bin is not seen.

# %% tags=["solution"]
ten = psi_population(shifts, norm.ppf(np.arange(1, 10) / 10))
print(f"PSI of the ages {ages['contribution'].sum():.6f}")
print(
    f"0.2 is reached at a shift of {0.2**0.5:.3f} with fine bins, {np.interp(0.2, ten, shifts):.3f} with ten"
)
assert np.isclose(ages["contribution"].sum(), psi(ages["training"], ages["serving"]))
assert (ten <= shifts**2 + 1e-12).all()

# %% [markdown]
# **Round 2.** PSI cannot be negative, so that noise always adds to it: with $K$ bins and $n$ rows it is
# $(K - 1)/n$ on average when nothing has changed, and $n \cdot \mathrm{PSI}$ is distributed like chi-square
# with $K - 1$ degrees of freedom, nearly. At 100 rows about a third of all samples are "worth a look" and one
# in sixty is "significant". At 1000 rows neither happens by chance. (The simulated mean is a little below
# $(K - 1)/n$ at 100 rows, because half a count is added to each bin, so that an empty one does no harm.)

# %% tags=["solution"]
for rows, sample in scores.items():
    by_form = [9 / rows, chi2.sf(0.1 * rows, 9), chi2.sf(0.2 * rows, 9)]
    found = [sample.mean(), (sample > 0.1).mean(), (sample > 0.2).mean()]
    print(
        f"{rows:5d} rows: simulated {np.round(found, 4).tolist()}, closed form {np.round(by_form, 4).tolist()}"
    )
    assert abs(found[0] / by_form[0] - 1) < 0.1
    assert abs(found[1] - by_form[1]) < 0.08

# %% [markdown]
# **Round 3.** A share of less than 2 % a feature becomes a sixth of all looks, and more than a hundred pages
# a month, most nights included. A threshold is not a property of a score: it follows from the rows behind a
# look, the bins, the features, the looks a day, and the number of false alarms that you accept. Turned round
# (`rule: significance`), you set the last of these, and get the threshold. (The simulated figures of that
# rule come out somewhat higher than what was set: with 100 rows in ten bins PSI takes few values, and the
# tail of its distribution, from which the threshold comes, is approximated.)

# %% tags=["solution"]
exact = 30 * monitor.false_alarms_a_day(0.2, 100)
print(f"threshold 0.2: {exact:.0f} in 30 days by FeatureMonitor, {monthly['PSI above 0.2']:.0f} simulated")
assert abs(monthly["PSI above 0.2"] / exact - 1) < 0.2
assert monthly["one a month by chance"] < 3
assert calibrated["threshold"].is_monotonic_decreasing
print(
    f"calibrated thresholds go from {calibrated['threshold'].iloc[0]:.3f} to {calibrated['threshold'].iloc[-1]:.4f}"
)

# %% [markdown]
# **Round 4.** PSI sees both inputs move within a day or so, whether the model uses them or not: the alarm of
# `harmless` is true about the data and of no use to anybody. Accuracy tells the two apart, a week later. The
# concept moves without a trace in the inputs, and only labels show it, when they come. So scores of inputs
# are early and uncertain, labels are late and sure, and a monitor of one kind does not replace the other.

# %% tags=["solution"]
print(first.round(1))
assert first.loc["psi", "data"] < first.loc["labels", "data"]
assert first.loc["psi", "harmless"] < 33
assert first.loc["accuracy lost", "harmless"] == 0
assert 37 <= first.loc["labels", "concept"] < 45

# %% [markdown]
# ## Takeaways
#
# - PSI estimates a squared distance: 0.2 is a shift of nearly half a standard deviation.
# - When nothing has changed, PSI is about $(K-1)/n$, and its noise crosses fixed bands as often as the number
#   of rows lets it.
# - Count false alarms before you switch a monitor on: features times looks times chance. Or say how many you
#   accept.
# - Inputs are early and blind to the concept; labels are late and see what matters.
#
# ## Where to read on
#
# - The source chapter: 'Quantifying Drift: The Physics of PSI', 'Feature Distribution Monitoring' (the table
#   of thresholds and the footnote on PSI), 'Drift Detection Delay'.
# - README, 'What a monitor can watch with'; `docs/decisions.md`, 'Significance'; `halflife drift` for tables
#   of your own; `help(analysis.detection)`.
# - Next: lab 04, what a false alarm costs when it starts a retraining.
