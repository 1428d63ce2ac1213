# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab 04: Scheduled or triggered?
#
# **Time:** 35 to 40 minutes. **You need:** lab 02 (the square-root law), what a standard deviation is, and
# what a 95 % interval of a mean is.
#
# **What you will learn**
#
# - why policies have to be compared in the *same* simulated worlds (common random numbers), and what that is
#   worth;
# - in which worlds an alarm knows more than the calendar;
# - where false alarms come from, and what they cost;
# - how to draw a map of regimes: which policy is cheapest where, and which one is safest if you do not know
#   where you are.
#
# **The closed form of this lab.** Accuracy is lost at $g$ a day on average, a day with accuracy 0 instead of
# 1 would cost $QV$, and a retraining costs $C$. The best schedule costs $\sqrt{2 Q V g C}$ a day (lab 02). A
# policy that retrains after each of $r$ changes a day, $\delta$ days after the change, costs
# $r C + Q V g\,\delta$ a day. For the same $g$, rarer changes are larger ones. So reacting should win where
# changes are rarer than
#
# $$ r^* = \frac{\sqrt{2 Q V g C} - Q V g\,\delta}{C} . $$
#
# **The assumption that this lab breaks:** that every change is seen, once, and nothing else is: real monitors
# measure a few labels, call when nothing has happened, and miss what is small.
#
# In each round: write your prediction down *before* you run the cells, run them, look, and explain. Hints are
# folded; the solutions are at the end.

# %% [markdown]
# ## Set-up
#
# Run this cell first. With the environment variable `HALFLIFE_SHORT=1` the lab meets fewer simulated worlds
# and draws a coarser map (that is how it is tested); without it, averages are more exact.

# %%
import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import binom, poisson

import analysis
import scenarios
import sim
from analysis.designs import design
from analysis.statistics import independent_interval, paired_interval
from analysis.sweep import sweep

SHORT = os.environ.get("HALFLIFE_SHORT") == "1"
WORLDS, WORKERS = (8, 1) if SHORT else (40, None)

# %% [markdown]
# The system of this lab: 100,000 queries a day, a query is worth 0.10 USD more when accuracy goes from 0 to
# 1, and a retraining costs 5000 USD. The world changes in **jumps**: six a year on average. At each the state
# of the *concept* (what the truth depends on) moves by 1, and each unit of distance from what the model has
# learned costs 0.10 of accuracy (`concept_sensitivity`), until it is retrained.
#
# A label comes for 0.3 % of the queries, 300 a day. The trigger compares the accuracy of the last day with
# what it was when the model went live, and retrains when it is more than 0.05 lower. It needs 60 labels a day
# to say anything (`min_samples`). In these simulations the world stands still within a day (`window`), so an
# alarm comes a day after the jump: $\delta$ = 1.

# %%
trigger = {"metric": "accuracy", "threshold": 0.05, "window": "1d", "cadence": "1d", "min_samples": 60}
system = {
    "title": "A world of jumps",
    "horizon": "730d",
    "quality": {"kind": "degradation", "initial_accuracy": 0.90, "concept_sensitivity": 0.10},
    "triggers": [trigger],
    "labels.coverage": "0.3%",
}
jumps = {"kind": "jumps", "on": "concept", "rate": "6/y", "mean": 1.0}
jumpy = scenarios.load("rotting_asset", **system, drift=[jumps])

# %%
QV = 100_000 * 0.10  # USD a day
COST = 5000.0  # USD for one retraining
g = 6 / 365 * 0.10  # accuracy lost a day, on average
best_interval = np.sqrt(2 * COST / (QV * g))
print(f"best schedule: every {best_interval:.1f} days, {365 * np.sqrt(2 * QV * g * COST):,.0f} USD a year")

# %% [markdown]
# ## Round 1: The same worlds, or different ones?
#
# A colleague wants to be safe: keep the trigger, and retrain every 50 days as well, whatever the trigger
# says (`hybrid:50d`). Is that worth it? We simulate both policies for two years in some worlds.
# (`rotting_asset` is the scenario of lab 02; retraining takes no time in it.)
#
# ### Predict
#
# 1. By how much will the cost of *one* policy differ from world to world: by 1 %, 10 %, or more?
# 2. If both policies meet the *same* worlds, will the 95 % interval of their mean difference be about as wide
#    as with worlds of their own, half as wide, or much narrower?
#
# **My prediction:** *(double-click and write it here)*
#
# <details><summary>Hint</summary>
#
# The variance of a difference is $\operatorname{Var} A + \operatorname{Var} B - 2 \operatorname{Cov}(A, B)$.
# In worlds of their own the covariance is zero. What is it when both policies meet the same jumps?
#
# </details>
#
# ### Run
#
# In `halflife`, a world is named by a seed and the number of a replication. Equal numbers are equal worlds:
# the same jumps on the same days, whatever the policy does.

# %%
plays = {"triggered": 0, "hybrid:50d": 0, "hybrid:50d elsewhere": 1}  # the seed of each
costs = pd.DataFrame(
    {
        name: [
            sim.run(jumpy, name.split()[0], seed=seed, replication=number).summary["annual_cost"]
            for number in range(WORLDS)
        ]
        for name, seed in plays.items()
    }
)
costs.describe().loc[["mean", "std"]].round(0)  # USD per year

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
for ax, name in zip(axes, ["hybrid:50d", "hybrid:50d elsewhere"], strict=True):
    ax.plot(costs["triggered"] / 1000, costs[name] / 1000, "o", alpha=0.6)
    ax.axline((0, 0), slope=1, color="grey", lw=1)
    ax.set(xlabel="triggered (thousand USD per year)", xlim=(0, None), ylim=(0, None))
axes[0].set(ylabel="hybrid:50d (thousand USD per year)", title="in the same worlds")
axes[1].set_title("in worlds of their own")
plt.show()

# %% [markdown]
# ### Look
#
# Each point is one pair of runs; on the grey line both policies cost the same.

# %%
same = paired_interval(costs["hybrid:50d"], costs["triggered"])
apart = independent_interval(costs["hybrid:50d elsewhere"], costs["triggered"])
print(f"same worlds:         hybrid costs {same.mean:7,.0f} more, ± {same.half_width:6,.0f} USD a year")
print(f"worlds of their own: hybrid costs {apart.mean:7,.0f} more, ± {apart.half_width:6,.0f} USD a year")

# %% [markdown]
# ### Explain
#
# How many times as many worlds of their own would you need for an interval as narrow as the one from the same
# worlds? (The width falls with the square root of their number.) And what is the difference made of? Compare
# it with the price of a retraining.
#
# **My explanation:**

# %% [markdown]
# ## Round 2: What does an alarm know that the calendar does not?
#
# Now a second world, which loses the same accuracy a day on average, but *steadily*: its concept moves by the
# same amount every day.
#
# ### Predict
#
# 1. In the steady world: which is cheaper, `scheduled:25d` (the best interval, nearly) or the trigger? By how
#    much, in percent?
# 2. And in the world of jumps?
# 3. After how many days does the trigger call in the steady world?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# A trigger in a steady world is a schedule whose interval is set by the threshold: the day on which 0.05 is
# lost, at $g$ a day. In a world of jumps, a schedule does not know when a jump comes.
#
# </details>
#
# ### Run

# %%
ramp = {"kind": "ramp", "on": "concept", "rate": "6/y"}
steady = scenarios.load("rotting_asset", **system | {"title": "A steady world"}, drift=[ramp])
policies = ["scheduled:25d", "triggered"]
compared = {
    name: analysis.compare(scenario, policies, replications=WORLDS, seed=0, workers=WORKERS)
    for name, scenario in {"steady": steady, "jumps": jumpy}.items()
}

# %%
columns = ["annual_cost", "half_width", "mean_accuracy", "retrains_per_year", "false_alarms_per_year"]
pd.concat({name: found.table()[[*columns, "skill"]] for name, found in compared.items()}).round(3)

# %% [markdown]
# `half_width` is half the 95 % interval of the annual cost. The `oracle` knows the future, so nobody should
# be cheaper; but it retrains only at the start of a day, and `scheduled:best`, which may do so within one,
# can come out a percent or two below it. The column `skill` is what a policy saves, in USD a year, over
# retraining *as often* on random days: the worth of its timing alone.
#
# ### Look
#
# From `retrains_per_year` you get how many days the trigger waits on average. The pictures show one world
# each: first the steady one, then the one with jumps.

# %%
analysis.plots.plot_timelines([compared["steady"].replay(policy) for policy in policies])

# %%
analysis.plots.plot_timelines([compared["jumps"].replay(policy) for policy in policies])

# %% [markdown]
# ### Explain
#
# In which of the two worlds does an alarm tell you something that you did not know before? Why does the
# trigger call so early in the steady world? Why can it at best draw level with the best schedule there?
#
# **My explanation:**

# %% [markdown]
# ## Round 3: Alarms out of nothing
#
# So far there were 300 labels a day. With fewer labels the measured accuracy of a day is noisier, and noise
# can cross a threshold too. Nothing in the simulator says how many false alarms there are: they come out.
#
# ### Predict
#
# Imagine a world in which **nothing ever changes**. Accuracy is 0.90, the threshold is 0.05. How many times a
# year does the trigger call with 1000, 300 and 100 labels a day? And with 30?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# The number of right answers among $n$ labels is binomial, so that the standard deviation of the measured
# accuracy is $\sqrt{0.9 \cdot 0.1 / n}$. How many standard deviations are 0.05? And how many labels does the
# trigger need to say anything at all?
#
# </details>
#
# ### Run

# %%
labels = [30, 100, 200, 300, 1000]  # a day, of 100,000 queries
calls = []
for count in labels:
    quiet = scenarios.load("rotting_asset", **{**system, "labels.coverage": count / 100_000, "drift": []})
    runs = [sim.run(quiet, "triggered", seed=0, replication=number) for number in range(WORLDS)]
    calls.append(np.mean([run.summary["false_alarms"] for run in runs]) / 2)  # of two years
pd.Series(calls, index=pd.Index(labels, name="labels a day"), name="false alarms a year").round(2)

# %% [markdown]
# ### Look
#
# Beside the simulated number stands the exact one: 365 looks a year, each with the binomial chance that fewer
# than 85 % of the $n$ labels of the day are right, averaged over the number of labels, which differs from day
# to day (Poisson). You need not follow the code to read the picture.

# %%
n = np.arange(1, 1500)
passing = binom.cdf(np.ceil(0.85 * n - 1e-9) - 1, n, 0.90)  # chance of a measured accuracy below 0.85
expected = np.arange(20, 1001, 20)
by_chance = [365 * (poisson.pmf(n, mean) * passing).sum() for mean in expected]

# %%
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
ax.plot(expected, by_chance, label="by chance")
ax.plot(labels, calls, "o", label="simulated")
ax.set(xlabel="labels (per day, on average)", ylabel="false alarms (per year)")
ax.set_title("Alarms in a world without change")
ax.legend()
plt.show()

# %% [markdown]
# ### Explain
#
# Which point does not lie on the line, and why? What does a policy cost whose monitor is silent like that:
# which policy has it become?
#
# **My explanation:**

# %% [markdown]
# ## Round 4: The map of regimes
#
# Now both at once: how *sudden* the world is, and how *noisy* the monitor. To the right there are more
# labels; upwards the same average loss comes in more and smaller jumps. Because the average loss is the same
# everywhere, the best schedule is the same everywhere: every 25 days. In the code `pair` changes the rate and
# the size of the jumps together, so that rate times size stays as it is.
#
# ### Predict
#
# Draw the map on paper, with 2 to 32 jumps a year and 30 to 1000 labels a day, and mark which of
# `scheduled:25d`, `triggered` and `hybrid:50d` is cheapest where. Use the closed form of the opening for the
# boundary: how many jumps a year are $r^*$, with $\delta$ = 1 day?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# You have $Q V$, $g$ and $C$ as `QV`, `g` and `COST`. The formula knows nothing of labels, so its boundary is
# a horizontal line. Where would noise move it?
#
# </details>
#
# ### Run

# %%
threshold_rate = (np.sqrt(2 * QV * g * COST) - QV * g * 1.0) / COST
print(f"by the closed form, reacting wins below {365 * threshold_rate:.0f} jumps a year")

# %%
rates = [2, 8, 32] if SHORT else [2, 4, 8, 16, 32]
coverage = ["0.03%", "0.1%", "1%"] if SHORT else ["0.03%", "0.06%", "0.1%", "0.3%", "1%"]
plan = design(
    jumpy,
    {"labels.coverage": coverage},
    pair={"drift[0].rate": [f"{r}/y" for r in rates], "drift[0].mean": [6 / r for r in rates]},
)
policies = ["scheduled:25d", "triggered", "hybrid:50d"]
folder = tempfile.mkdtemp() + "/regimes"  # a sweep is stored, so that it can be resumed and asked again
regimes = sweep(jumpy, plan, policies, folder=folder, replications=WORLDS // 2, seed=0, workers=WORKERS)

# %% [markdown]
# ### Look
#
# Each field shows the policy that is cheapest there. A `labels.coverage` of 0.1 % means 100 labels a day;
# `drift[0].rate` is the number of jumps a year. The table below the map says how close it was.

# %%
regimes.plot().figure

# %%
table = regimes.table()
table["labels a day"] = (table["labels.coverage"] * 100_000).round()
table["jumps a year"] = (table["drift[0].rate"] * 365).round()
cost = table.pivot(index=["labels a day", "jumps a year"], columns="policy", values="annual_cost")
(cost / 1000).round(1)  # thousand USD per year

# %% [markdown]
# ### Explain
#
# 1. With many labels the trigger still wins at 32 jumps a year, beyond $r^*$. Each jump is then 0.019, less
#    than the threshold of 0.05. What does the trigger do that the closed form does not think of?
# 2. The hybrid policy wins nowhere on this map. Would you still choose it? Look for the row of the table in
#    which each policy is farthest above the cheapest one.
#
# **My explanation:**

# %% [markdown]
# ## Solutions
#
# Look only when you have written your explanations down. Every number below is computed again.

# %% [markdown]
# **Round 1.** What one policy costs depends mostly on how many jumps its world has, so it differs by tens of
# percent from world to world. Both policies meet these jumps alike, so that they cancel in the difference of
# the same world. What remains is almost only the additional retrainings of the hybrid policy, one every 50
# days. To be as sure with worlds of their own you would need more of them by the square of the ratio of the
# widths.

# %% tags=["solution"]
ratio = apart.half_width / same.half_width
print(f"the interval is {ratio:.0f} times narrower; worlds of their own: {ratio**2:.0f} times as many")
print(f"the difference is {same.mean / COST:.1f} retrainings a year; one every 50 days are {365 / 50:.1f}")
assert ratio > 3
assert abs(same.mean / COST - 365 / 50) < 1

# %% [markdown]
# **Round 2.** In the steady world the loss follows from the date, so an alarm tells nothing new. Measured
# exactly, the trigger would be a schedule in disguise, with the interval at which the threshold is reached,
# $0.05 / g$ = 30 days, which is not far from the best one. Measured with 300 labels a day it calls earlier:
# each day's noise is another chance to cross the threshold, and the nearer accuracy has come to it, the
# better that chance. A better threshold could bring it level with the best schedule, none below it. (Its
# `skill` is above zero there as well: any fairly regular dates beat random ones, those of a schedule too.) In
# the world of jumps the date says nothing and the alarm nearly all: the trigger pays for one retraining a
# jump, one day of loss, and a few false alarms; the schedule for 14 or 15 retrainings a year, most of which
# repair nothing.

# %% tags=["solution"]
gap = {name: found.difference("triggered", "scheduled:25d") for name, found in compared.items()}
for name, found in compared.items():
    saved = -gap[name].mean / found.values("scheduled:25d", "annual_cost").mean()
    print(
        f"{name}: the trigger saves {saved:.0%}, its timing is worth {found.skill('triggered').mean:,.0f} USD a year"
    )
called = 365 / compared["steady"].table().loc["triggered", "retrains_per_year"]
print(f"steady: 0.05 is lost after {0.05 / g:.1f} days, the trigger calls after {called:.1f} on average")
false = compared["jumps"].table().loc["triggered", "false_alarms_per_year"]
print(f"jumps: reacting to each costs {365 * (6 / 365 * COST + QV * g):,.0f} USD a year by the closed form")
print(f"  and {false:.1f} false alarms a year cost {false * COST:,.0f} USD")
assert gap["steady"].low > 0
assert gap["jumps"].high < 0

# %% [markdown]
# **Round 3.** With 1000 labels the threshold is more than five standard deviations away, with 100 less than
# two: from no false alarm in centuries to more than one a month, for the same threshold. A threshold has no
# meaning without the number of labels behind it. With 30 labels there are none at all, not because the
# monitor is good, but because it is blind: it never has the 60 labels that it needs. Then `triggered` is
# `never`, which cost about two million USD a year in round 2.

# %% tags=["solution"]
chance = np.array([365 * (poisson.pmf(n, mean) * passing).sum() for mean in labels])
for count, exact, found in zip(labels, chance, calls, strict=True):
    deviations = 0.05 / np.sqrt(0.9 * 0.1 / count)
    print(f"{count:5d} labels: {deviations:.1f} sd, by chance {exact:6.2f}, simulated {found:6.2f} a year")
assert calls[0] < 1 < chance[0]
assert np.allclose(calls[1:3], chance[1:3], rtol=0.3)
assert calls[-1] < 0.1

# %% [markdown]
# **Round 4.** With enough labels the trigger wins on the whole right side, also above $r^*$. The closed
# form retrains after *each* jump; a threshold lets small jumps add up until they are worth a retraining.
# That turns the trigger into a schedule at worst, one that waits a little longer when jumps happen to be
# rare, so the boundary of the closed form is not there. What does draw a boundary is noise: false alarms
# cost 5000 USD each, and at 30 labels a day the monitor is blind. (The long form has a column of 60 labels,
# where the trigger is even a little cheaper than at 100: on about half of the days it has too few labels to
# call falsely.)
#
# The hybrid is an insurance: its schedule costs up to about 7 retrainings a year, where they are not needed,
# and limits the damage where the trigger is blind. Its worst regret, the distance to the cheapest policy of a
# cell, is the smallest of the three. So: if you know where you are on the map, choose the winner there; if
# you do not, or if a monitor can go blind, the hybrid is the policy that you will regret least.

# %% tags=["solution"]
regret = cost.sub(cost.min(axis=1), axis=0)
print((regret.max() / 1000).round(1).rename("worst regret (thousand USD per year)"))
assert regret.max().idxmin() == "hybrid:50d"
many = cost.xs(1000, level="labels a day")
assert (many["triggered"] <= many["scheduled:25d"]).all()
assert (cost.xs(30, level="labels a day").idxmin(axis=1) == "scheduled:25d").all()

# %% [markdown]
# **One step further.** Give the trigger a `window` of `7d`, so that it pools the labels of a week. What is
# gained at 30 labels a day, and what is lost at 1000, with the six jumps a year of the beginning? Many labels
# pooled over a week see a jump only when it is four days old.

# %% tags=["solution"]
for share, count in {"0.03%": 30, "1%": 1000}.items():
    for width in ("1d", "7d"):
        changed = {"labels.coverage": share, "triggers": [trigger | {"window": width}]}
        world = scenarios.load("rotting_asset", **{**system, **changed}, drift=[jumps])
        runs = [sim.run(world, "triggered", seed=0, replication=number) for number in range(WORLDS // 2)]
        paid = np.mean([run.summary["annual_cost"] for run in runs])
        print(f"{count:5d} labels a day, window {width}: {paid:9,.0f} USD a year")

# %% [markdown]
# ## Takeaways
#
# - Compare policies in the same worlds. The difference is what you decide on, and it is known far better than
#   either cost.
# - An alarm is worth something where changes are sudden. In a steady world the calendar knows as much.
# - How often a threshold calls for nothing depends on the number of labels: the same threshold means
#   centuries of silence or weeks.
# - A monitor without enough labels is silent, and silence looks like health. A slow schedule beside the
#   trigger is cheap insurance.
#
# ## Where to read on
#
# - The source chapter: 'Training Pipelines' (scheduled and triggered retraining), 'Quantitative Retraining
#   Economics' ('Model Limitations'), 'Drift Detection Delay'.
# - README, 'What-if sweeps' and 'How to read the result'; `docs/decisions.md`: 'Randomness in kernels',
#   'Baselines', 'An alarm is false'.
# - Next: lab 05, what monitoring is worth. Before: lab 03, thresholds that know their false alarms
#   (`triggered:psi@4/y`).
