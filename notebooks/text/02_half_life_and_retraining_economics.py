# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab 02: Half-life and the economics of retraining
#
# **Time:** 30 to 40 minutes. **You need:** Python at the level of a function call, exponential decay, and the
# idea that a minimum is where a slope is zero.
#
# **What you will learn**
#
# - what the half-life of a model is, and what it says about the time to retrain;
# - the square-root law for the best retraining interval $T^*$, how it scales, and how little it matters to
#   miss it;
# - how to check a formula against a simulation, to the last dollar;
# - two ways in which the formula breaks: labels that come late, and a world that changes in jumps.
#
# **The closed form of this lab.** A model starts with accuracy $A_0$ and decays as
# $A(t) = A_0 e^{-\lambda t}$. There are $Q$ queries a day; a query is worth $V$ dollars more when accuracy
# goes from 0 to 1; one retraining costs $C$. Retraining every $T$ days costs, per day,
#
# $$ \underbrace{Q V A_0 \left(1 - \frac{1 - e^{-\lambda T}}{\lambda T}\right)}_{\text{staleness}}
#    + \underbrace{\frac{C}{T}}_{\text{retraining}}
#    \qquad\text{with its minimum near}\qquad T^* \approx \sqrt{\frac{2C}{Q V A_0 \lambda}} . $$
#
# **The assumption that this lab breaks:** that decay is steady, known, and repaired the moment you retrain.
#
# Work in this order in each round: write your prediction down *before* you run the cells below it, run them,
# look, and then explain in your own words what you see. Hints are folded; the solutions are at the end.
# 'The chapter' is the text whose claims this library puts to the test. You do not need it: what matters here
# is quoted.

# %% [markdown]
# ## Set-up
#
# Run this cell first. With the environment variable `HALFLIFE_SHORT=1` the lab meets fewer simulated worlds
# and takes seconds (that is how it is tested); without it, averages are more exact.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import analysis
import scenarios
import sim
from analysis import economics

SHORT = os.environ.get("HALFLIFE_SHORT") == "1"
WORLDS, WORKERS = (8, 1) if SHORT else (60, None)

# %% [markdown]
# The system of this lab is the chapter's fraud model: a million transactions (queries) a day, each worth
# 0.50 USD more when accuracy goes from 0 to 1, an accuracy of 0.95 that decays by 2 % a day
# ($\lambda = 0.02$), and 5000 USD for one retraining. `economics.FRAUD_DETECTION` holds four of the five
# figures under the names that the functions of `analysis.economics` use: `queries_per_day` is $Q$, `value` is
# $V$, `accuracy` is $A_0$ and `decay` is $\lambda$. The fifth, $C$, is `COST`; functions call it
# `retrain_cost`.

# %%
FRAUD = economics.FRAUD_DETECTION
COST = 5000.0  # USD for one retraining
dict(FRAUD)

# %% [markdown]
# ## Round 1: Is the half-life the time to retrain?
#
# ### Predict
#
# 1. The half-life is the time after which half of the accuracy is lost. How many days is it here?
# 2. Each day the model is worth $Q V A_0$ = 475,000 USD when fresh, and a retraining costs 5000 USD. Which
#    interval between retrainings costs least: about a day, a week, a month, or the half-life?
#
# **My prediction:** *(double-click and write it here)*
#
# <details><summary>Hint</summary>
#
# For the first question, solve $e^{-\lambda t} = 1/2$. For the second, ask what *one day* of ageing costs:
# a model that is one day old loses 2 % of 475,000 USD, or 9500 USD, with each day that goes by. Compare that
# with the price of a retraining.
#
# </details>
#
# ### Run

# %%
print(f"half-life: {economics.half_life(FRAUD['decay']):.1f} days")

# %%
intervals = np.geomspace(0.1, 100, 200)  # days
staleness = economics.staleness_cost_rate(intervals, **FRAUD)
retraining = economics.retraining_cost_rate(intervals, retrain_cost=COST)

fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
ax.loglog(intervals, staleness, "--", label="staleness")
ax.loglog(intervals, retraining, ":", label="retraining")
ax.loglog(intervals, staleness + retraining, label="total")
ax.axvline(economics.half_life(FRAUD["decay"]), color="grey", lw=1, label="half-life")
ax.set(xlabel="time between retrainings (days)", ylabel="cost (USD per day)", title="The cost of an interval")
ax.grid(alpha=0.3)
ax.legend()
plt.show()

# %% [markdown]
# ### Look
#
# Read the lowest point of the total from the picture, then compare it with the two closed forms: the
# square-root law and the exact minimum.

# %%
by_law = economics.optimal_interval_sqrt(retrain_cost=COST, **FRAUD)
exact = economics.optimal_interval(retrain_cost=COST, **FRAUD)
at_half_life = economics.total_cost_rate(economics.half_life(FRAUD["decay"]), retrain_cost=COST, **FRAUD)
print(f"square-root law {by_law:.3f} days, exact {exact:.3f} days")
print(f"cost at the exact minimum {economics.minimal_cost_rate(retrain_cost=COST, **FRAUD):,.0f} USD a day")
print(f"cost at the half-life     {at_half_life:,.0f} USD a day")

# %% [markdown]
# ### Explain
#
# The half-life depends on one of the five figures only; the best interval depends on all of them. In one or
# two sentences: what does the half-life tell you, and what does it not tell you?
#
# **My explanation:**

# %% [markdown]
# ## Round 2: How does the best interval scale, and what if you miss it?
#
# ### Predict
#
# 1. Traffic doubles. Does the best interval halve?
# 2. Your team can retrain only every two days, twice the best interval. How much more do you pay: 10 %, 25 %,
#    50 % or 100 %?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# Where does $Q$ stand in the square-root law, and what does a square root make of a factor of 2? For the
# second question, call the cost at the optimum 1: half of it is staleness, which grows with $T$, and half of
# it is retraining, which falls with $1/T$.
#
# </details>
#
# ### Run

# %%
factors = np.array([0.25, 0.5, 1.0, 2.0, 4.0])
given = {"retrain_cost": COST, **FRAUD}
scaling = pd.DataFrame(index=pd.Index(factors, name="factor"))
for field in ["retrain_cost", "queries_per_day", "decay"]:
    scaling[field] = economics.optimal_interval(**{**given, field: given[field] * factors})
scaling.round(3)  # best interval in days

# %%
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
missed = np.geomspace(0.25, 4, 100)
paid = economics.total_cost_rate(missed * exact, retrain_cost=COST, **FRAUD)
ax.plot(missed, paid / economics.minimal_cost_rate(retrain_cost=COST, **FRAUD))
ax.set_xscale("log", base=2)
ax.set_xticks([0.25, 0.5, 1, 2, 4], ["1/4", "1/2", "1", "2", "4"])
ax.set(xlabel="interval (multiples of the best one)", ylabel="cost (multiples of the least one)")
ax.set_title("What it costs to miss the best interval")
ax.grid(alpha=0.3)
plt.show()

# %% [markdown]
# ### Look
#
# Each column of the table multiplies one figure by the factor and leaves the others as they are. Find in it
# what twice the queries do to the interval, and what four times the price does. Find in the picture what an
# interval twice as long, and one half as long, costs.
#
# ### Explain
#
# A remark below the chapter's table of sensitivities says that doubling the volume of queries halves the
# interval. Its rows say that four times the volume halves it. Which of the two follows from the law? And why
# is it good news for somebody who knows $\lambda$ only roughly that the curve of the second picture is so
# flat at its lowest point?
#
# **My explanation:**

# %% [markdown]
# ## Round 3: Does a simulation agree, and what do late labels change?
#
# `rotting_asset` is a scenario of the library in which the formula should hold: accuracy decays
# exponentially, as many queries come every day, retraining takes no time and always succeeds, and labels come
# at once. We give it the figures of the fraud model. A second world, `late`, differs in one thing: **labels
# come three days late**, as they do when a customer has to notice a fraud first. A model that is trained
# today then knows the world of three days ago.
#
# ### Predict
#
# 1. By how many percent will simulation and formula differ in the first world?
# 2. In the second world: will the best interval be shorter, longer, or about the same? Will the cost at the
#    best interval be about the same, twice as high, or more?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# A model that learns late is three days old at birth: over each interval its age goes from 3 to $3 + T$ days
# instead of from 0 to $T$. Split the loss into a part that you cannot avoid by retraining more often, and the
# rest.
#
# </details>
#
# ### Run

# %%
fraud = {
    "horizon": "120d",
    "value_per_query_per_unit_accuracy": "$0.50",
    "traffic.rate": "1M/d",
    "quality.initial_accuracy": 0.95,
    "quality.decay": "2%/d",
}
world = scenarios.load("rotting_asset", **fraud)
late = scenarios.load("rotting_asset", **fraud, labels__delay="3d")  # as a keyword, "labels.delay" has "__"

# %%
days = np.array([0.5, 1, 2, 4, 8])
table = pd.DataFrame(index=pd.Index(days, name="interval (days)"))
table["formula"] = economics.total_cost_rate(days, retrain_cost=COST, **FRAUD)
for name, scenario in {"simulated": world, "simulated, late labels": late}.items():
    runs = [sim.run(scenario, f"scheduled:{d}d", seed=0) for d in days]
    table[name] = [run.summary["total_cost"] / scenario.horizon for run in runs]
table["retrainings in 120 days"] = [run.summary["retrains"] for run in runs]
table.round(2)  # costs in USD per day

# %% [markdown]
# ### Look
#
# Draw the formula and both simulations. The dashed line adds what a model three days old loses each day,
# $Q V A_0 (1 - e^{-3 \lambda})$, to the formula, in which the rest of the decay now starts from
# $A_0 e^{-3 \lambda}$.

# %%
worth = FRAUD["queries_per_day"] * FRAUD["value"] * FRAUD["accuracy"]  # USD a day
floor = worth * (1 - np.exp(-3 * FRAUD["decay"]))
aged = {**FRAUD, "accuracy": FRAUD["accuracy"] * np.exp(-3 * FRAUD["decay"])}
fine = np.geomspace(0.4, 10, 100)
formula = economics.total_cost_rate(fine, retrain_cost=COST, **FRAUD)
shifted = floor + economics.total_cost_rate(fine, retrain_cost=COST, **aged)

# %%
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
ax.loglog(fine, formula, label="formula")
ax.loglog(days, table["simulated"], "o", label="simulated")
ax.loglog(fine, shifted, "--", label="formula, 3 days old at birth")
ax.loglog(days, table["simulated, late labels"], "s", label="simulated, late labels")
ax.set(xlabel="time between retrainings (days)", ylabel="cost (USD per day)", title="What late labels cost")
ax.legend()
plt.show()

# %% [markdown]
# ### Explain
#
# 1. In the first world the simulation is a little cheaper than the formula. Look at the number of retrainings
#    in 120 days: for how many does the formula pay, and for how many the simulation? Correct for it and
#    compare again.
# 2. Late labels leave the best interval nearly where it was and make everything dearer. So what would you
#    spend money on: on a faster training pipeline that allows shorter intervals, or on getting labels sooner?
#
# **My explanation:**

# %% [markdown]
# ## Round 4: A world that changes in jumps
#
# Now the world loses the same accuracy *on average*, $A_0 \lambda = 0.019$ a day, but in a different way:
# nothing at all for about ten days, then 0.19 at once.
#
# A `triggered` policy looks at the accuracy of the last hour, every six hours, and retrains when it is more
# than 0.05 below what it was when the model went live. Labels come at once again.
#
# In the scenario's words: the state of the *concept* (what the truth depends on) jumps by 1, on average once
# in ten days, and each unit of distance from what the model has learned costs 0.19 of accuracy
# (`concept_sensitivity`). The simulation goes in steps of an hour (`window`), within which the world stands
# still.
#
# ### Predict
#
# 1. Which schedule is best in this world: about one day again, or about ten days, the time between two jumps?
# 2. Is the trigger dearer or cheaper than the best schedule, and by how much? (A jump costs $Q V \cdot 0.19$
#    = 95,000 USD for each day that it is not repaired.)
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# With a jump every ten days, nine of ten daily retrainings repair nothing, and still the schedule cannot
# leave them out: it does not know which one will be needed. How much has a model of age $t$ lost on average?
# The trigger pays one retraining a jump, and the loss until it has looked.
#
# </details>
#
# ### Run
#
# `analysis.compare` plays every policy in the same worlds and adds three reference points: `never`,
# `scheduled:best` (the interval is tuned in worlds of its own), and `oracle`, which knows the future and so
# retrains right after each jump. Of the table that it prints, the columns cost, accuracy and retrainings are
# enough for this lab; README, 'How to read the result', explains the rest. All costs are now USD *a year*.

# %%
jumps = {
    "title": "A fraud model in a world of jumps",
    "horizon": "120d",
    "window": "1h",
    "value_per_query_per_unit_accuracy": "$0.50",
    "traffic.rate": "1M/d",
    "quality": {"kind": "degradation", "initial_accuracy": 0.95, "concept_sensitivity": 0.19},
    "drift": [{"kind": "jumps", "on": "concept", "rate": "0.1/d", "mean": 1.0}],
}
look = {"metric": "accuracy", "threshold": 0.05, "cooldown": "0d", "sampling": "none"}  # no noise, no pause
jumpy = scenarios.load("rotting_asset", **jumps, triggers=[look | {"window": "1h", "cadence": "6h"}])

# %%
policies = ["scheduled:1d", "scheduled:4d", "scheduled:10d", "triggered"]
compared = analysis.compare(jumpy, policies, replications=WORLDS, seed=0, workers=WORKERS)
print(compared)

# %% [markdown]
# ### Look
#
# First one world under a schedule of four days and under the trigger (a dark tick is a retraining, a triangle
# an alarm), then what each policy costs. The 5000 USD of a retraining are compute, validation and deployment
# together. The bar of `never` is broken off: it would not fit.

# %%
runs = [compared.replay(policy, replication=0) for policy in ["scheduled:4d", "triggered"]]
analysis.plots.plot_timelines(runs)

# %%
compared.plot().figure

# %% [markdown]
# ### Explain
#
# The square-root law is right about schedules here, and still it misleads. Which question does it answer, and
# which question would you have had to ask? The chapter's 'Model Limitations' name four assumptions: drift is
# predictable, the value of accuracy is known, retrainings are independent of each other, and a retraining has
# a fixed cost. Which of them is broken here? And did round 3 break one of them?
#
# **My explanation:**

# %% [markdown]
# ## Solutions
#
# Look only when you have written your explanations down. Every number below is computed again.

# %% [markdown]
# **Round 1.** The half-life says how quickly a model becomes worthless if nobody acts. It does not say when
# to act, because it does not know what the accuracy is worth and what a retraining costs. Keep a model for as
# long as it loses less a day than a day costs on average, retraining included: here that is so for about one
# day, a small part of the half-life. The square-root law takes the decay for a straight line; as it slows
# down in truth, the exact minimum lies a little later.

# %% tags=["solution"]
half_life = np.log(2) / FRAUD["decay"]
assert np.isclose(half_life, economics.half_life(FRAUD["decay"]))
assert np.isclose(by_law, np.sqrt(2 * COST / (1e6 * 0.5 * 0.95 * 0.02)))
assert by_law < exact
print(f"half-life ln 2 / 0.02 = {half_life:.1f} days, {half_life / exact:.0f} times the best interval")
least = economics.minimal_cost_rate(retrain_cost=COST, **FRAUD)
print(f"waiting for the half-life costs {at_half_life / least:.0f} times the minimum")
loses = 475_000 * (1 - np.exp(-FRAUD["decay"] * exact))
print(f"at the age of {exact:.3f} days it loses {loses:,.0f} USD a day, the mean cost is {least:,.0f}")
assert np.isclose(loses, least)

# %% [markdown]
# **Round 2.** Twice the queries divide the interval by $\sqrt 2$, four times the queries halve it: the rows
# of the table follow from the law, the remark below it does not. With $T = kT^*$ the first-order cost is
# $(k + 1/k)/2$ times the least one: 1.25 for $k = 2$ and for $k = 1/2$. The exact figure is a little lower on
# the long side, because exponential decay slows down. A flat minimum forgives rough figures: an error of a
# factor of 2 in $\lambda$ moves $T$ by $\sqrt 2$ and the cost by about 6 %.

# %% tags=["solution"]
shorter = scaling.loc[1.0, "queries_per_day"] / scaling["queries_per_day"]
print(f"twice the queries divide the interval by {shorter[2.0]:.2f}, four times by {shorter[4.0]:.2f}")
for k in (0.5, 2**0.5, 2.0):
    ratio = economics.total_cost_rate(k * exact, retrain_cost=COST, **FRAUD) / least
    print(
        f"{k:.2f} times the best interval costs {ratio:.3f} times the least; first order {(k + 1 / k) / 2:.3f}"
    )
    assert abs(ratio - (k + 1 / k) / 2) < 0.05

# %% [markdown]
# **Round 3.** The formula pays for one retraining each interval. In 120 days at an interval of one day the
# simulation retrains 119 times: the model that is there on day 0 was paid for by somebody else, and one on
# day 120 would serve nobody. Add one retraining and both agree to less than a cent a day.
#
# With late labels the loss splits into $Q V A_0 (1 - e^{-3\lambda})$, which no interval can avoid, and the
# old formula with $A_0 e^{-3\lambda}$ in place of $A_0$: its best interval is longer by the factor
# $e^{3\lambda/2}$, that is by 3 %. The floor is almost three times what the whole of the optimum cost before.
# Fresher labels are worth far more here than more retrainings. (The simulation is one to three percent below
# the dashed line, because its first model starts fresh.)

# %% tags=["solution"]
paid_for = table["simulated"] + COST / world.horizon
print(f"largest difference after the correction: {(paid_for - table['formula']).abs().max():.5f} USD a day")
assert np.allclose(paid_for, table["formula"], atol=0.01)
late_best = economics.optimal_interval(retrain_cost=COST, **aged)
print(f"best interval {exact:.3f} days, with late labels {late_best:.3f} days")
print(f"least cost {least:,.0f} USD a day; late labels alone cost {floor:,.0f} USD a day")
dashed = floor + economics.total_cost_rate(np.array(days), retrain_cost=COST, **aged)
print("simulated over dashed line:", (table["simulated, late labels"] / dashed).round(3).tolist())
assert table["simulated, late labels"].idxmin() == table["simulated"].idxmin() == 1.0
assert np.allclose(table["simulated, late labels"], dashed, rtol=0.05)

# %% [markdown]
# **Round 4.** The law gives the best interval of a *schedule*, and it does so in the world of jumps as
# well: at age $t$ a model has lost $0.019\,t$ on average, a straight line as steep as the exponential is at
# its beginning. So the best interval is about one day again, for about the same money. (The tuned interval
# differs a little, because the minimum is flat and the tuning sees few worlds. A model learns the last
# hour, and so it is up to half an hour old at birth: late labels once more, a matter of 200 USD a day. The
# number of jumps differs between worlds, too: see the column ±95 % of the table.)
#
# But the law compares schedules with schedules only. A schedule pays for its retrainings whether or not
# something has changed. With jumps of size $s$ (here 0.19) at a rate $r$ (here 0.1 a day), a policy that sees
# each jump after $\delta$ days on average and retrains once costs $r\,(C + Q V s\,\delta)$ a day. Six hours
# between two looks make three hours on average, and a jump in the last half hour is seen by the next look
# only: $\delta$ = 3.5 hours. That costs a fifth of the best schedule.
#
# Of the four assumptions, predictable drift is the broken one: where changes are sudden, the chapter asks for
# other mechanisms of detection and response. What round 3 broke is not on the list: that a retraining knows
# the world of today.

# %% tags=["solution"]
rate, size, delta, at_stake = 0.1, 0.19, 3.5 / 24, 500_000
by_jumps = np.sqrt(2 * COST / (at_stake * rate * size))
schedule = at_stake * rate * size * by_jumps / 2 + COST / by_jumps
trigger = rate * (COST + at_stake * size * delta)
simulated = {name: compared.values(name, "annual_cost").mean() / 365 for name in compared.names}
tuned = compared.intervals["scheduled:best"]
birth = at_stake * rate * size * 0.5 / 24  # the loss of being half an hour old
print(f"best schedule: {by_jumps:.2f} days by the law, {tuned:.2f} days by simulation")
print(
    f"  it costs {schedule + birth:,.0f} USD a day by the law, {simulated['scheduled:best']:,.0f} simulated"
)
print(f"trigger: {trigger:,.0f} USD a day by the formula, {simulated['triggered']:,.0f} simulated")
assert compared.difference("triggered", "scheduled:best").high < 0

# %% [markdown]
# **One step further.** At which delay $\delta$ does the trigger lose its advantage? Set
# $r\,(C + Q V s\,\delta)$ equal to the cost of the best schedule and solve for $\delta$. Then try it: let the
# trigger look every two days only, so that a jump waits for one day on average.

# %% tags=["solution"]
break_even = (schedule / rate - COST) / (at_stake * size)
print(f"the trigger is as dear as the best schedule at a delay of {break_even:.2f} days")
slow = scenarios.load("rotting_asset", **jumps, triggers=[look | {"window": "1h", "cadence": "2d"}])
runs = [sim.run(slow, "triggered", seed=0, replication=number) for number in range(WORLDS)]
paid = np.mean([r.summary["annual_cost"] for r in runs]) / 365
print(f"looking every two days it costs {paid:,.0f} USD a day")
print(f"the best schedule in the same worlds {simulated['scheduled:best']:,.0f}")

# %% [markdown]
# ## Takeaways
#
# - The half-life is a property of a model in its world; the best interval is a property of the *business*.
# - $T^*$ scales with the square root of price over volume, and missing it by a factor of 2 costs about a
#   quarter more.
# - Late labels hardly move the best interval, but they put a floor under the cost, however often you retrain.
# - The law finds the best schedule. Whether a schedule is the right kind of policy is another question: lab
#   04.
#
# ## Where to read on
#
# - The source chapter: 'Quantitative Retraining Economics' ('The Staleness Cost Function', 'Optimal
#   Retraining Interval', 'Sensitivity Analysis', 'Model Limitations') and 'Principle 5: Cost-Aware
#   Automation'.
# - `analysis.economics` for all closed forms (`help(analysis.economics)`), `halflife worked-figures` for the
#   chapter's own numbers, and `docs/decisions.md` ('Windows', 'Look-ahead') for how the simulation treats
#   time.
# - Next: lab 03, how drift is measured, and lab 04, schedule or trigger.
