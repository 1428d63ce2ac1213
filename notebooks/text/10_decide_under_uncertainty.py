# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab 10: Deciding under uncertainty
#
# **Time:** 35 to 40 minutes. **You need:** lab 04 (schedules and triggers, common random numbers), and what a
# standard deviation and a confidence interval are.
#
# **What you will learn**
#
# - to tell what drives the *cost* from what drives the *decision*;
# - what it is worth to know a figure better before you decide, in USD;
# - why the best of several simulated candidates looks better than it is, and how many runs it takes to choose
#   well;
# - how to search for a best setting, and when a formula would have done.
#
# **The closed form of this lab.** The best schedule costs $\sqrt{2\,Q V g\,C}$ a day (lab 02): with an average loss
# of $g$ a day, and a price of $C$. So each of these figures counts alike: if one of them is twice as large, the cost
# grows by $\sqrt 2$. And to tell two candidates apart that differ by $\delta$, when a run varies by $\sigma$, takes
#
# $$ n = \frac{2\,(z_{\alpha/2} + z_{\beta})^2\,\sigma^2}{\delta^2} $$
#
# runs of each.
#
# **The assumption that this lab breaks:** that all that matters is in the formula, that what moves the cost matters
# for the decision, and that candidates are simulated in worlds of their own.
#
# In each round: write your prediction down *before* you run the cells, run them, look, and explain. Hints are
# folded; the solutions are at the end.

# %% [markdown]
# ## Set-up
#
# Run this cell first. With the environment variable `HALFLIFE_SHORT=1` the lab meets fewer simulated worlds and
# takes seconds (that is how it is tested); without it, averages are more exact.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import norm

import scenarios
import sim
from analysis.inputs import parse_input
from analysis.optimise import optimise
from analysis.selection import select_best
from analysis.sensitivity import sensitivity
from analysis.settings import space_of

SHORT = os.environ.get("HALFLIFE_SHORT") == "1"
WORLDS, WORKERS = (4, 1) if SHORT else (30, None)

# %% [markdown]
# The system is that of lab 04: the world changes in jumps, each takes 0.10 of accuracy until the model is retrained;
# $QV$ = 10,000 USD a day, and a retraining costs 5000 USD. A trigger looks at the labels of the last day and retrains
# when their accuracy is more than 0.05 lower than when the model went live, if there are at least 20 of them. Its rival
# retrains every 25 days.

# %%
trigger = {"metric": "accuracy", "threshold": 0.05, "window": "1d", "cadence": "1d", "min_samples": 20}
world = scenarios.load(
    "rotting_asset",
    title="A world of jumps",
    horizon="365d",
    quality={"kind": "degradation", "initial_accuracy": 0.90, "concept_sensitivity": 0.10},
    drift=[{"kind": "jumps", "on": "concept", "rate": "6/y", "mean": 1.0}],
    triggers=[trigger],
    labels={"coverage": "0.3%"},
)

# %% [markdown]
# But nobody knows these figures exactly. This is what the team would say about four of them:

# %%
ranges = [
    "drift[0].rate=3/y..12/y:log",  # jumps
    "labels.coverage=0.04%..0.4%:log",  # of 100,000 queries a day: 40 to 400 labels
    "pipeline.cost.compute=$2000..$8000:log",
    "value_per_query_per_unit_accuracy=$0.05..$0.20:log",
]
inputs = [parse_input(world, text) for text in ranges]
policies = ["triggered", "scheduled:25d"]

# %% [markdown]
# ## Round 1: What drives the cost, and what the decision?
#
# ### Predict
#
# 1. Each figure goes from the low to the high end of its range, the others stay. Order the four by how far the cost
#    of the *trigger* moves.
# 2. Which of them can make the *schedule* the better choice?
#
# **My prediction:** *(double-click and write it here)*
#
# <details><summary>Hint</summary>
#
# Three of the four are in the closed forms of lab 04, $r\,(C + Q V s\,\delta)$ for the trigger. The fourth is in no
# formula. What does a trigger do that gets 40 labels a day instead of 300 (lab 04, round 3)?
#
# </details>
#
# ### Run

# %%
found = sensitivity(
    world, policies, inputs, methods=["tornado", "flip"], replications=WORLDS, seed=0, workers=WORKERS
)
shown = ["input", "change_low", "change_high", "difference_low", "difference_high", "flips"]
found.tornado[shown].set_index("input").round(0)  # USD a year

# %%
for flip in found.flips:
    print(flip.sentence())

# %% [markdown]
# `change` is how the cost of the trigger moves; `difference` is the cost of the trigger less that of the schedule,
# below 0 the trigger is cheaper.
#
# ### Look

# %%
found.plot("tornado")

# %% [markdown]
# ### Explain
#
# The rate of the jumps moves the cost by tens of thousands of USD a year, and still no value of it would change what
# you do. What should a team argue about, then? And why is it in no formula?
#
# **My explanation:**

# %% [markdown]
# ## Round 2: What is it worth to know?
#
# Suppose the decision has to be made now, for one year, and each figure lies somewhere in its range (on a logarithmic
# scale, each value alike). Without further knowledge you take the policy that is cheaper on average. If you knew a
# figure *before* you decide, you could decide better, in some cases.
#
# ### Predict
#
# For each of the four: how much would you pay, in USD a year, to be told its true value?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# Knowledge that never changes the decision is worth nothing, however interesting. Round 1 says for which figure the
# decision changes, and in which part of its range.
#
# </details>
#
# ### Run

# %%
points = 200 if SHORT else 1024
worth = sensitivity(
    world, policies, inputs, methods=["value"], points=points, replications=2, seed=0, workers=WORKERS
)
value = pd.DataFrame([one.row() for one in worth.worths]).set_index("information")
value.round(0)  # USD a year, with 95 % intervals

# %% [markdown]
# `all inputs` is to know all four; the `clairvoyant` even knows on which days the jumps will come. Knowledge is never
# worth less than nothing: the values are estimated by a regression, and one below 0 means that the fit misled more
# often than it helped. Take it as 0.
#
# ### Look

# %%
fig, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
error = [value["value"] - value["ci_low"], value["ci_high"] - value["value"]]
ax.barh(value.index, value["value"], xerr=error, color="tab:blue", alpha=0.7, capsize=3)
ax.invert_yaxis()
ax.set(xlabel="worth of knowing (USD per year)", title="What to find out first")
plt.show()

# %% [markdown]
# ### Explain
#
# Somebody offers a study of how often the world jumps, for 3000 USD. Somebody else offers to count, for a week, how
# many labels really come. Which do you take?
#
# **My explanation:**

# %% [markdown]
# ## Round 3: The best of five
#
# The trigger stays, with enough labels (300 a day). Which threshold is best: 0.04, 0.05, 0.06, 0.07 or 0.08? We
# simulate each in a number of worlds. A thousand USD a year is what we care about.
#
# ### Predict
#
# 1. You simulate each threshold four times, *in worlds of its own*, and take the cheapest. How often is your choice
#    more than 1000 USD a year worse than the best? And how far below the truth is its mean cost, as you saw it?
# 2. The same, with four worlds in which *all* thresholds are played.
# 3. How many runs are needed to be right in 95 % of the cases?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# One run varies by some 10,000 USD from world to world. The cheapest of five means of four is a *minimum* of five
# noisy numbers: is it too low or too high, on average?
#
# </details>
#
# ### Run

# %%
limits = [0.04, 0.05, 0.06, 0.07, 0.08]
numbers = range(50 if SHORT else 300)
cost = pd.DataFrame(
    {
        limit: [
            sim.run(world, f"triggered:accuracy<-{limit}", replication=number).summary["annual_cost"]
            for number in numbers
        ]
        for limit in limits
    }
)
cost.describe().loc[["mean", "std"]].round(0)  # USD a year

# %% [markdown]
# These worlds are now taken for the truth, and teams draw four of them at a time: `own` draws four for each threshold,
# `same` the same four for all.

# %%
truth, table = cost.mean().to_numpy(), cost.to_numpy()
draws = np.random.default_rng(0).integers(len(cost), size=(2000, 4, len(limits)))
own = table[draws, np.arange(len(limits))].mean(axis=1)  # (teams, thresholds)
same = table[draws[:, :, 0]].mean(axis=1)
for name, seen in {"own": own, "same": same}.items():
    chosen = seen.argmin(axis=1)
    wrong = (truth[chosen] > truth.min() + 1000).mean()
    flattery = (truth[chosen] - seen.min(axis=1)).mean()
    print(
        f"{name:4s} worlds: wrong in {wrong:.0%}, the choice looks {flattery:6,.0f} USD a year better than it is"
    )

# %%
chosen = select_best(
    lambda limit, number: sim.run(world, f"triggered:accuracy<-{limit}", replication=number).summary[
        "annual_cost"
    ],
    limits,
    delta=1000,
    first_replication=1000,
    max_replications=200,
)
print(chosen)
chosen.table().round(0)

# %% [markdown]
# `select_best` is the procedure of Kim and Nelson: all candidates start with twenty worlds, and whoever is clearly
# worse drops out, until one is left. The promise holds with worlds in common.
#
# ### Look

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 4), sharex=True, layout="constrained")
for ax, seen, name in zip(axes, [own, same], ["worlds of its own", "the same worlds"], strict=True):
    ax.boxplot((seen - truth.min()) / 1000, tick_labels=[f"{limit:.0%}" for limit in limits], sym="")
    ax.set(
        title=name,
        xlabel="threshold (% points of accuracy)",
        ylabel="above the best (thousand USD per year)",
    )
plt.show()

# %% [markdown]
# ### Explain
#
# 1. The boxes of both pictures are about as wide. Why is the choice in the same worlds so much better?
# 2. In the same worlds the choice looks too good as well, or too bad, as the four worlds happen to be. On which
#    worlds should one report what a chosen policy will cost?
#
# **My explanation:**

# %% [markdown]
# ## Round 4: Searching for the best setting
#
# So far there were five candidates. `optimise` searches a whole range: it proposes settings, gives more worlds to the
# promising ones, and reports the best on *fresh* worlds.
#
# ### Predict
#
# 1. Which interval will it find for a schedule? (There is a formula.)
# 2. Which threshold for the trigger? (There is none.) Will the tuned trigger be cheaper than the tuned schedule?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# $T^* = \sqrt{2C/(QVg)}$, with $g$ = 0.10 times six jumps a year. But the minimum is flat: lab
# 02 says what an interval costs that is a quarter too long.
#
# </details>
#
# ### Run

# %%
effort = {"trials": 8, "replications": 2, "reported": 10} if SHORT else {"trials": 40}
effort["indifference"] = 0.03  # settings that differ by less than 3 % of the cost are equally good
schedules = space_of(world, ["policy.interval=5d..90d:log"])
thresholds = space_of(world, ["limit=0.02..0.09"], "triggered:accuracy<-{limit}")
best = {
    name: optimise(space, seed=0, workers=WORKERS, **effort)
    for name, space in {"schedule": schedules, "trigger": thresholds}.items()
}
for optimum in best.values():
    money = optimum.best.interval(optimum.objectives[0])
    setting = optimum.space.shown(optimum.best.setting)
    print(f"{setting}: {money.mean:,.0f} ± {money.half_width:,.0f} USD a year")

# %% [markdown]
# ### Look
#
# Each dot is a setting that was tried, the brighter the more worlds it met; the star is the report of the best one.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
labels = {"interval": "interval (days)", "limit": "threshold (points of accuracy)"}
for ax, optimum, column in zip(axes, best.values(), labels, strict=True):
    tried, reported = optimum.trials, optimum.best.interval(optimum.objectives[0])
    dots = ax.scatter(tried[column], tried["annual_cost.mean:min"] / 1000, c=tried["replications"])
    x, y = optimum.best.setting[column], reported.mean / 1000
    ax.errorbar(x, y, reported.half_width / 1000, fmt="r*", markersize=12)
    ax.set(xlabel=labels[column], ylabel="cost (thousand USD per year)")
    fig.colorbar(dots, label="worlds of a trial (number)")
plt.show()

# %% [markdown]
# ### Explain
#
# The trials around the best threshold differ little, and so do those around the best interval. What would you tell a
# colleague who reports the optimum with four digits? And where in these two pictures is the flat side, on which an
# error is cheap?
#
# **My explanation:**

# %% [markdown]
# ## Solutions
#
# Look only when you have written your explanations down. Every number below is computed again.

# %% [markdown]
# **Round 1.** The number of labels. With 40 a day the noise of the measured accuracy is as large as the threshold, and
# false alarms eat the budget; with 80 or 90 the trigger draws level, beyond that it wins. In no formula of labs 02
# and 04 is there a label, because these count what happens in the *world*, while this happens in the *measuring*. The
# other three figures move the cost of both policies together, so that they do not matter for the choice between
# them. They do matter for the *budget*: whoever plans money needs them.

# %% tags=["solution"]
swing = found.tornado.set_index("input")
print(f"flips: {swing.index[swing['flips']].tolist()}")
for jumps, column in ((3, "low"), (12, "high")):
    form = jumps * (5000 + 10_000 * 0.10 * 1) - 6 * (5000 + 10_000 * 0.10 * 1)
    change = swing.loc["drift[0].rate", f"change_{column}"]
    print(f"{jumps} jumps a year: cost changes by {form:,.0f} USD by the formula, {change:,.0f} simulated")
    assert abs(change - form) < 0.4 * abs(form)
spread = np.sqrt(0.9 * 0.1 / np.array([40, 92, 300]))
print("sd of a day's accuracy with 40, 92 and 300 labels:", spread.round(3), "against a threshold of 0.05")
assert swing.index[swing["flips"]].tolist() == ["labels.coverage"]
assert len(found.flips) == 1
assert 50 < 100_000 * found.flips[0].value < 150

# %% [markdown]
# **Round 2.** Knowing the number of labels is worth nearly as much as knowing everything, and even a clairvoyant could
# hardly do better; the other three are worth nothing. So: count the labels. That study of the jumps may be
# interesting, but no result of it would change what you do. (Which is not so in a world in which few labels are
# certain: then the next figure is on the edge.)

# %% tags=["solution"]
print(value["value"].clip(lower=0).round(0).to_string())
assert value.loc["labels.coverage", "ci_low"] > 0
assert value.loc["drift[0].rate", "ci_low"] < 0.2 * value.loc["labels.coverage", "value"]
assert value["value"].drop(["all inputs", "clairvoyant"]).idxmax() == "labels.coverage"

# %% [markdown]
# **Round 3.** In worlds of their own the luck of the worlds decides: whoever wins has mostly had few jumps, and his
# cost as seen is too low, for the same reason. That is the *winner's curse*; nobody has made a mistake.
# In the same worlds all candidates have the same luck, which cancels in the comparison, though not in the height of
# the bill: what is chosen well can still be budgeted badly. So choose in common worlds, and report on fresh ones.
#
# The closed form asks for some thousands of runs of each candidate, because it thinks of the whole variation of a run.
# What counts in common worlds is the variation of the *difference*; the sequential procedure is done with a few
# dozen, since it stops where the matter is clear.

# %% tags=["solution"]
z = norm.isf(0.025) + norm.isf(0.2)
alone = 2 * z**2 * cost[0.07].var() / 1000**2
paired = z**2 * (cost[0.05] - cost[0.07]).var() / 1000**2
print(
    f"closed form: {alone:,.0f} runs of each; with the variation of a difference (5 % less 7 %): {paired:,.0f}"
)
print(
    f"the procedure took {chosen.replications.max()} of one candidate at most, {chosen.replications.sum()} in all"
)
error = {name: truth[seen.argmin(axis=1)] - truth.min() for name, seen in {"own": own, "same": same}.items()}
print({name: f"{one.mean():,.0f} USD a year above the best" for name, one in error.items()})
assert error["same"].mean() < error["own"].mean()
assert (truth[own.argmin(axis=1)] - own.min(axis=1)).mean() > 3000
assert chosen.best in (0.06, 0.07, 0.08)
assert alone > 10 * chosen.replications.max()

# %% [markdown]
# **Round 4.** The schedule comes out near $T^*$ = 25 days, as the formula says, and since its minimum is flat, the
# search cannot tell 22 from 28 with a few worlds. No formula gives the threshold, because it weighs false alarms, which
# depend on labels, against jumps that are missed; the search finds about 0.07, higher than the 0.05 that looked natural
# (half of a jump). Errors upwards are cheap, up to nearly the size of a jump (0.10); errors downwards are dear, since
# false alarms grow very quickly there. Digits beyond the second are digits of luck.

# %% tags=["solution"]
law = np.sqrt(2 * 5000 / (10_000 * 0.10 * 6 / 365))
interval, limit = best["schedule"].best.setting["interval"], best["trigger"].best.setting["limit"]
print(f"interval {interval:.1f} days, by the law {law:.1f}; threshold {limit:.3f}")
bill = {name: one.best.interval(one.objectives[0]).mean for name, one in best.items()}
print({name: f"{money:,.0f} USD a year" for name, money in bill.items()})
assert law / 1.6 < interval < 1.6 * law
assert 0.055 < limit < 0.09
assert bill["trigger"] < 0.5 * bill["schedule"]

# %% [markdown]
# **One step further.** Let `optimise` keep a promise: `halflife optimise` takes `--require 'mean_accuracy.mean > 88%'`.
# Which threshold is cheapest then? And with `--largest 'labels.coverage=...'` turned round: from which coverage on does
# the trigger keep it?

# %% [markdown]
# ## Takeaways
#
# - Ask what changes the decision, not what changes the bill. The first you should know, the second budget for.
# - Information has a price at which it is worth buying; often it is 0.
# - Choose in common worlds, report on fresh ones: the winner of a comparison looks better than it is.
# - Near an optimum much is equally good. Take the round number on the safe side.
#
# ## Where to read on
#
# - The source chapter: 'Quantitative Retraining Economics' ('Sensitivity Analysis', 'Model Limitations') and
#   'A/B Testing for Model Validation' (the size of a sample).
# - `docs/decisions.md`: 'Selection', 'Optimising', 'Sensitivity', 'Variance reduction, measured'; README, 'Decisions'.
# - `help(analysis.selection)` for Kim and Nelson's procedure and for a fixed budget of runs;
#   `halflife sensitivity fraud_detection`, `halflife optimise fraud_detection` for the same on another system.
