# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab 05: A budget for monitoring
#
# **Time:** 35 to 40 minutes. **You need:** lab 01; lab 03 helps.
#
# **What you will learn**
#
# - what monitoring costs: the bill, and what is not on it;
# - which layer of monitoring finds which failure, and how late;
# - how a nervous monitor makes the whole system worse;
# - to read an efficient frontier, to choose a plan, and to say what perfect monitoring would be worth.
#
# **The closed form of this lab.** The return on monitoring is
#
# $$ \text{ROI} = \frac{\text{incidents prevented} \times \text{cost of an incident}}
#    {\text{annual cost of monitoring}} . $$
#
# **The assumption that this lab breaks:** that each monitor prevents incidents of its own, so that returns
# add up, and that more watching never harms.
#
# In each round: write your prediction down *before* you run the cells, run them, look, and explain. Hints are
# folded; the solutions are at the end.

# %% [markdown]
# ## Set-up
#
# Run this cell first. With the environment variable `HALFLIFE_SHORT=1` the lab simulates fewer and shorter
# worlds and compares fewer plans (that is how it is tested); without it, averages are more exact, and the lab
# takes about three minutes of computing.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import analysis
import scenarios
import sim
from analysis import economics
from analysis.statistics import paired_interval

SHORT = os.environ.get("HALFLIFE_SHORT") == "1"
WORLDS, WORKERS, HORIZON = (6, 1, "90d") if SHORT else (20, None, "180d")

# %% [markdown]
# `monitoring_budget` is a scenario of the library: a recommender with eight monitors on eight layers, and
# seven ways to fail. (Its `story` gives away some of what you are asked to predict: read it afterwards.)

# %%
service = scenarios.load("monitoring_budget", horizon=HORIZON)
print(service.question)

# %% [markdown]
# ## Round 1: The bill, and what is not on it
#
# ### Predict
#
# Three deployments send 50 metrics each, four times a minute, for 30 days. Ingest costs 0.30 USD a million
# points; storage 1 USD per GB and month, at 8 bytes a point; a query of a dashboard 0.02 USD. Three people
# have two dashboards open for 8 hours on 22 days, and each asks 12 times an hour.
#
# 1. Which of ingest, storage and queries is the largest part of the bill?
# 2. What does monitoring cost that is on no bill of a telemetry provider? Will that be less than the bill, or
#    more?
#
# **My prediction:** *(double-click and write it here)*
#
# <details><summary>Hint</summary>
#
# Count queries: dashboards x people x queries an hour x hours x days. For the second question, think of who
# reads the alarms, and of where labels come from.
#
# </details>
#
# ### Run

# %%
points = economics.monitoring_points(variants=3, metrics=50, samples_per_minute=4, days=30)
bill = {
    "ingest": economics.ingest_cost(points, usd_per_million=0.30),
    "storage": economics.storage_cost(points, bytes_per_point=8, usd_per_gb_month=1.0),
    "queries": economics.query_cost(
        dashboards=2, users=3, queries_per_hour=12, hours=8, days=22, usd_per_query=0.02
    ),
}
print(f"{points:,.0f} points a month; the bill is {sum(bill.values()):,.2f} USD a month")
pd.Series(bill, name="USD per month").round(2)

# %%
runs = [sim.run(service, "never", seed=0, replication=number) for number in range(WORLDS)]
costs = pd.DataFrame([run.costs for run in runs]).mean() * 30 / service.horizon
costs[costs > 0].rename("USD in 30 days").round(2)

# %% [markdown]
# ### Look

# %%
spent = costs[costs > 0].drop("incident").sort_values()
fig, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
ax.barh(spent.index, spent)
ax.set(xlabel="cost (USD in 30 days)", title="What watching costs, incidents left out")
plt.show()

# %% [markdown]
# ### Explain
#
# The category `incident` is what failures took; all others are the price of watching and answering. Which two
# are larger than the bill, or near it?
#
# **My explanation:**

# %% [markdown]
# ## Round 2: Who finds what?
#
# ### Predict
#
# For each failure, write down which of these layers finds it first: infrastructure (throughput), freshness,
# schema, features, outputs, accuracy, slices, business (clicks).
#
# - `routing`: requests get lost · `bad_rollout`: empty lists · `ranking_bug`: worse order, nothing else moves
#   · `replication_lag`: old embeddings · `schema_break`: broken rows · `aggregation_change`: an input is
#   summed up differently · `tablet_client`: one device gets worse answers
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# Ask of each failure what it moves. A monitor sees a failure only when that moves what it looks at, by more
# than its noise.
#
# </details>
#
# ### Run
#
# Each layer alone, and all together, in the same worlds.

# %%
delays = analysis.detection_delays(service, replications=WORLDS, seed=0, workers=WORKERS)
found = delays.table()
median = found.assign(hours=24 * found["median_days"]).pivot(index="failure", columns="layer", values="hours")
median = median.dropna(how="all")
median[list(delays.layers)].round(1)  # hours from onset to detection; NaN: blind, or not found in most cases

# %% [markdown]
# ### Look

# %%
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for number, failure in enumerate(median.index):
    known = median.loc[failure].dropna()
    ax.plot(known, [number] * len(known), "o", ms=4, color="grey")
    ax.annotate(known.idxmin(), (known.min(), number), (0, 6), textcoords="offset points", fontsize=8)
ax.set_yticks(range(len(median)), median.index)
ax.set(
    xscale="log",
    xlabel="median time to detection (hours)",
    title="Each dot is a layer; the quickest is named",
)
plt.show()

# %% [markdown]
# ### Explain
#
# Accuracy sees nearly everything, in the end. Why is it still not enough to watch accuracy? Which failure
# would you not find at all without it or its neighbours?
#
# **My explanation:**

# %% [markdown]
# ## Round 3: A nervous monitor
#
# The monitor of the features compares 100 rows with the reference every four hours, and calls at a PSI of
# 0.2. A colleague wants to see drift earlier and proposes 0.1. Another one proposes 0.4.
#
# ### Predict
#
# With which of 0.4, 0.2 and 0.1 is the loss by incidents *of all kinds* least? The other seven monitors stay
# as they are.
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# Lab 03: how often is PSI above 0.1 by chance at 100 rows? And what do people do who have been woken for
# nothing nine times out of ten? (The scenario's `response` has the default fatigue: the share of recent pages
# that were false lowers the chance that a page is acted on.)
#
# </details>
#
# ### Run and look

# %%
nervous = {0.4: [], 0.2: runs, 0.1: []}  # 0.2 is what round 1 has played
for threshold in (0.4, 0.1):
    tuned = scenarios.load("monitoring_budget", horizon=HORIZON, **{"monitors[3].threshold": threshold})
    nervous[threshold] = [sim.run(tuned, "never", seed=0, replication=number) for number in range(WORLDS)]
losses = pd.DataFrame({t: [run.costs["incident"] for run in played] for t, played in nervous.items()})
columns = ["pages", "false_pages", "silent_hours"]
means = {t: pd.DataFrame([run.summary for run in played])[columns].mean() for t, played in nervous.items()}
table = pd.DataFrame(means).T.rename_axis("threshold of PSI").assign(loss=losses.mean())
table.round(0)  # numbers, hours unseen and loss in USD, over the horizon

# %%
fig, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
ax.plot(table["false_pages"], table["loss"], "o-")
for threshold, row in table.iterrows():
    point = (row["false_pages"], row["loss"])
    ax.annotate(f"PSI > {threshold}", point, (6, -10), textcoords="offset points")
ax.set(xlabel="false pages (number over the horizon)", ylabel="loss by incidents (USD over the horizon)")
ax.set_title("More alarms, more loss")
plt.show()

# %% [markdown]
# ### Explain
#
# The features' monitor finds its own failure a little sooner at 0.1. What do the others lose?
#
# **My explanation:**

# %% [markdown]
# ## Round 4: The frontier, and perfection
#
# A *plan* says which entries of a menu are switched on. `analysis.budget` plays the plans in the same worlds.
# Money is per year.
#
# ### Predict
#
# 1. Freshness alone avoids some loss, and so does accuracy alone. Will both together avoid the sum, more, or
#    less?
# 2. Suppose somebody offers a monitor that finds every failure at once, never errs, and asks you to name a
#    price. What is the most you should pay in a year: all that failures cost now, half, a tenth?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# Which failure of round 2 do both of them see? For the second question: a failure that is found at once still
# has to be repaired, by people who are paid.
#
# </details>
#
# ### Run

# %%
entries = ["freshness", "schema", "accuracy"] if SHORT else ["freshness", "schema", "features", "accuracy"]
menu = [{"name": entry, "options": ["off", "on"]} for entry in entries]
choices = scenarios.load("monitoring_budget", horizon=HORIZON, menu=menu)
budget = analysis.budget(choices, replications=WORLDS, full=True, seed=0, workers=WORKERS)
plans = budget.table().set_index(entries)[["monitoring", "loss", "undetected_share", "frontier"]]
plans.assign(total=plans["monitoring"] + plans["loss"]).sort_values("total").round(2)  # USD per year

# %% [markdown]
# ### Look

# %%
budget.plot().figure

# %%
print(budget.verdict())
perfect = budget.value_of_perfect()
print(
    f"perfect monitoring is worth {perfect.mean:,.0f} USD a year ({perfect.low:,.0f} to {perfect.high:,.0f})"
)

# %% [markdown]
# ### Explain
#
# Compare the value of perfect monitoring with the loss that is left under the best plan. Why may the first be
# the larger of the two? What would you answer to a vendor who promises "half of all incidents found earlier"
# for 30,000 USD a year?
#
# **My explanation:**

# %% [markdown]
# ## Solutions
#
# Look only when you have written your explanations down. Every number below is computed again.

# %% [markdown]
# **Round 1.** Queries are nearly all of the bill: dashboards that refresh every five minutes cost more than
# the points that they show. What the bill leaves out is larger than the bill: labels that are bought, and
# people who answer pages, true or false.

# %% tags=["solution"]
print(
    f"queries are {bill['queries'] / sum(bill.values()):.0%} of the bill of {sum(bill.values()):.2f} USD a month"
)
unbilled = costs["labelling"] + costs["on_call"] + costs["monitoring_alert"]
print(f"labels and people: {unbilled:,.0f} USD in 30 days")
assert np.isclose(
    costs[["monitoring_ingest", "monitoring_storage", "monitoring_query"]].sum(), sum(bill.values()), rtol=0.1
)
assert unbilled > sum(bill.values())

# %% [markdown]
# **Round 2.** Each failure has a layer that looks at what it moves, and finds it sooner than any other, most
# of them within the hour; accuracy needs days, because labels are few and late, and a small loss has to stand
# out from the noise. A `ranking_bug` moves nothing but the answers: without accuracy or clicks nobody finds
# it. So the layers are not better and worse; they are eyes for different things.

# %% tags=["solution"]
print(median.idxmin(axis=1).rename("quickest layer").to_string())
assert median.loc["replication_lag"].idxmin() == "freshness"
assert median.loc["schema_break"].idxmin() == "schema"
assert set(median.loc["ranking_bug"].dropna().index) <= {"accuracy", "business", "slices"}
assert median.loc["replication_lag", "accuracy"] > 10 * median.loc["replication_lag", "freshness"]

# %% [markdown]
# **Round 3.** A lower threshold brings many more false pages, and people who are woken for nothing act on
# fewer pages, of *all* monitors. So the loss grows with the nervousness of one monitor that nobody blames.
# The ROI formula cannot say this: it knows no harm by watching. (How strongly people tire is an assumption of
# the scenario, `response.fatigue`; that they do is the chapter's.)

# %% tags=["solution"]
extra = paired_interval(losses[0.1], losses[0.4])
print(
    f"0.1 instead of 0.4 costs {extra.mean:,.0f} USD more ({extra.low:,.0f} to {extra.high:,.0f}) over {HORIZON}"
)
print(f"false pages: {table['false_pages'].round(1).to_dict()}")
assert table["false_pages"].is_monotonic_increasing
assert extra.mean > 0

# %% [markdown]
# **Round 4.** Freshness and accuracy both see `replication_lag`, so that together they avoid less than the
# sum: what the first has found, the second cannot find again. The ROI of a monitor depends on what is already
# there. That is why plans are compared as wholes, and why the frontier bends.
#
# Perfect monitoring saves the loss that is due to late detection *and* the price of the monitors, labels and
# false pages that it replaces; the loss during repairs remains. It is the most that any better monitoring can
# be worth, so it is the first number to ask for when somebody offers some.

# %% tags=["solution"]
off = dict.fromkeys(entries, "off")
rows = budget.table().set_index(entries)["loss"]
avoided = {}
for on in (["freshness"], ["accuracy"], ["freshness", "accuracy"]):
    chosen = off | dict.fromkeys(on, "on")
    avoided["+".join(on)] = rows[tuple(off.values())] - rows[tuple(chosen[entry] for entry in entries)]
for name, saved in avoided.items():
    print(f"{name}: avoids {saved:,.0f} USD a year")
print(f"the sum of the first two would be {avoided['freshness'] + avoided['accuracy']:,.0f} USD a year")
assert avoided["freshness+accuracy"] < avoided["freshness"] + avoided["accuracy"]

# %% tags=["solution"]
best = budget.recommended
print(f"best plan: {budget.plans[best].name}")
for column in ("monitoring", "loss", "total"):
    mine, theirs = budget.values(best, column).mean(), budget.reference("perfect", column).mean()
    print(f"{column:>10}: best plan {mine:9,.0f}, perfect {theirs:9,.0f} USD a year")
print(f"half of perfection would be worth {perfect.mean / 2:,.0f} USD a year, less than the vendor asks")
assert 0 < perfect.mean / 2 < 30_000

# %% [markdown]
# ## Takeaways
#
# - The bill of the telemetry is the small part; labels and people are the large one.
# - Cheap monitors close to the cause find their failure in hours; accuracy finds all, in days, at the price
#   of labels.
# - False pages of one monitor cost detections of the others.
# - Returns of monitors do not add up. Compare plans, in the same worlds, and know the value of perfection
#   before you buy.
#
# ## Where to read on
#
# - The source chapter: 'Monitoring Cost Model' ('Cost Components', 'Cost-Benefit Framework'), 'Single-Model
#   Monitoring Budget', 'Upstream Dependency Health', 'On-Call Practices for ML Systems'.
# - README, 'A monitoring budget'; `docs/decisions.md`: 'Fatigue', 'What finds a failure', 'The perfect
#   monitor'; `halflife budget monitoring_budget --limit '$500/month'`.
# - Next: lab 06, from the alarm to the repair.
