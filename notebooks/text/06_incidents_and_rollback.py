# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab 06: Incidents and rollback
#
# **Time:** 35 to 40 minutes. **You need:** lab 01 (silent failures), the idea of a significance test, and what
# the chance of an error of the first and of the second kind is.
#
# **What you will learn**
#
# - what the time from the onset of a failure to its repair is made of, and which part is worth shortening;
# - how much evidence a canary collects, and how large a bad release it can let pass;
# - what peeking at an A/B test does to its promise of 5 %, and how to look early without breaking it;
# - why rolling back is no way out by itself.
#
# **The closed form of this lab.** There are three, one for each of the first rounds. Incidents that begin at
# the rate $r$ and each take $s$ of accuracy until they are repaired cost, a day,
#
# $$ r \cdot Q V \cdot s \cdot \mathrm{MTTR}, \qquad \mathrm{MTTR} = \text{time to detect} + \text{time to react}
#    + \text{time to repair} . $$
#
# A canary that serves $n_1$ labelled requests beside $n_0$ of the old version stops a release that is worse by
# $\delta$ with the chance
#
# $$ \Phi\!\left(\frac{\delta}{\sqrt{p(1-p)(1/n_0 + 1/n_1)}} - z_\alpha\right) , $$
#
# and a test at the level $\alpha$ finds a difference where there is none with the chance $\alpha$.
#
# **The assumption that this lab breaks:** that evidence is there when the requests are there (labels come
# late), that one looks *once*, and that a repair, once decided, repairs.
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

import analysis
import scenarios
import sim
from sim.sequential import chance_beyond, limits_of

SHORT = os.environ.get("HALFLIFE_SHORT") == "1"
WORLDS, WORKERS = (5, 1) if SHORT else (40, None)

# %% [markdown]
# ## Round 1: Where do the hours go?
#
# A model answers 100,000 queries a day, and a query is worth 0.10 USD more when accuracy goes from 0 to 1, so
# $QV$ = 10,000 USD a day. Once a month on average a source of data changes its schema without notice: a fifth
# of the rows arrive broken, and accuracy falls by 0.10 until somebody repairs it. Every midnight a monitor
# looks at the accuracy of the labels that came in during the day. One label comes for each hundred queries,
# **two days late**.
#
# When it calls, an engineer is paged, finds the cause step by step (the source's decision tree), and a repair
# takes six hours. A loss of more than 0.10 would wake somebody at night; smaller ones wait for the working day.
# Which of the two it is, people judge from a sample of requests.

# %%
settled = {"kind": "exponential", "initial_accuracy": 0.95, "decay": "0%/d"}  # nothing else changes
daily = {"metric": "accuracy", "name": "daily", "threshold": 0.05, "window": "1d", "cadence": "1d"}
failure = {"kind": "upstream_schema_change", "name": "schema", "rate": "12/y", "accuracy_drop": "10%"}
operations = {"monitors": [daily], "response": {"repair": "6h", "on_call": {"mitigations": []}}}

# %%
system = scenarios.load(
    "rotting_asset",
    title="A source that changes its schema",
    horizon="730d",
    window="1h",
    policies=["never"],
    quality=settled,
    labels={"coverage": "1%", "delay": "2d"},
    signals=[{"name": "broken_rows", "kind": "proportion", "base": "0.1%", "layer": "schema"}],
    failures=[failure],
    **operations,
)

# %% [markdown]
# Four ideas are on the table:
#
# - `repair in 3 h`: tools that halve the time of the repair;
# - `look every 6 h`: the same monitor, four times a day, at the last six hours;
# - `labels in 6 h`: pay somebody for labels that come after six hours;
# - `watch the rows`: count broken rows once an hour, which needs no label at all.
#
# ### Predict
#
# 1. Of the hours from onset to repair, how many pass before anybody knows? (A monitor that looks once a day
#    finds things after twelve hours on average. Or does it?)
# 2. Order the four ideas by how much less accuracy is lost, in USD.
#
# **My prediction:** *(double-click and write it here)*
#
# <details><summary>Hint</summary>
#
# A label of the first broken hour arrives two days later. And the accuracy of a day is a mixture: on the day
# of the first bad labels only part of them is bad. How large must that part be before the mean has fallen by
# 0.05, when the bad ones are 0.10 lower?
#
# </details>
#
# ### Run
#
# A variant is a partial scenario that is laid over the system. All variants meet the same worlds.

# %%
rows = {"metric": "signal", "signal": "broken_rows", "threshold": 0.05, "cadence": "1h"}
ideas = {
    "as it is": "base",
    "repair in 3 h": {"response": {"repair": "3h"}},
    "look every 6 h": {"monitors": {"daily": {"cadence": "6h", "window": "6h"}}},
    "labels in 6 h": {"labels": {"delay": "6h"}},
    "watch the rows": {"monitors": [daily, rows]},
}
found = analysis.compare_variants(system, ideas, replications=WORLDS, seed=0, workers=WORKERS)

# %%
columns = [
    "annual_cost",
    "incidents_per_year",
    "false_pages_per_year",
    "mttd_hours",
    "mtta_hours",
    "mttr_hours",
]
found.table()[columns].round(1)

# %% [markdown]
# MTTD runs from onset to detection, MTTA from the page to somebody at the keyboard, MTTR from onset to repair.
# None of them is set anywhere: they come out.
#
# ### Look
#
# Every incident is a row with its moments, so that its life can be cut into phases; here those of four worlds.

# %%
incidents = {
    name: pd.concat(found.replay(name, number).incidents for number in range(4)) for name in found.names
}
repaired = {name: rows.dropna(subset="resolved_days") for name, rows in incidents.items()}
moments = ["onset_days", "detected_days", "acknowledged_days", "resolved_days"]
phases = pd.DataFrame({name: 24 * rows[moments].mean().diff()[1:] for name, rows in repaired.items()}).T
phases.columns = ["nobody knows", "waits for somebody", "is being repaired"]

# %%
ax = phases[::-1].plot.barh(stacked=True, figsize=(8, 4))
ax.set(xlabel="time since onset (hours)", ylabel="", title="The life of an incident, on average")
plt.tight_layout()
plt.show()

# %% [markdown]
# ### Explain
#
# 1. Why does the daily monitor take so much longer than twelve hours?
# 2. Which idea shortens which phase? Why does `watch the rows` win, although it knows nothing of accuracy, and
#    which failures would it never see?
#
# **My explanation:**

# %% [markdown]
# ## Round 2: What does a canary see?
#
# Now a release goes wrong: the new version has an accuracy of 0.93 in place of 0.95. A canary shows it to 5 %
# of the traffic first; at the end, the share of right answers is compared with that of the old version, and a
# significantly lower one ($\alpha$ = 5 %, one-sided) stops the release. There are a million queries a day, and
# labels for 5 % of them.
#
# ### Predict
#
# 1. With what chance does a canary of one hour stop this release? One of 4, 8 and 16 hours?
# 2. The same, when labels come **six hours late**?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# How many labelled answers of the canary are there in an hour? The standard deviation of their share of right
# ones is about $\sqrt{0.95 \cdot 0.05 / n}$; compare it with 0.02. In a hold of $h$ hours with labels six hours
# late, only the requests of the first $h - 6$ hours are known.
#
# </details>
#
# ### Run
#
# Each world is one release: `scheduled:1d` trains once within the horizon of two days, and every training goes
# wrong. A release that was not deployed was stopped.

# %%
release = {
    "title": "One bad release",
    "horizon": "2d",
    "window": "1h",
    "quality": settled,
    "traffic.rate": "1M/d",
    "pipeline.bad_training": {"probability": "100%", "loss": "2%"},
}
holds = np.array([1, 4, 8, 16])  # hours
releases = range(60 if SHORT else 400)

# %%
stopped = pd.DataFrame(index=pd.Index(holds, name="hold (hours)"), columns=["0h", "6h"], dtype=float)
for delay in stopped.columns:
    for hold in holds:
        canary = {"strategy": "canary", "steps": ["5%"], "hold": f"{hold}h"}
        labels = {"coverage": "5%", "delay": delay}
        scenario = scenarios.load("rotting_asset", **release, deployment=canary, labels=labels)
        runs = [sim.run(scenario, "scheduled:1d", seed=1, replication=number) for number in releases]
        stopped.loc[hold, delay] = np.mean([run.summary["deployments"] == 0 for run in runs])
stopped

# %% [markdown]
# ### Look
#
# The line is the closed form of the opening, with the labelled answers of the whole hold.

# %%
fine = np.linspace(0.5, 17, 100)  # hours
labelled = 1e6 / 24 * fine * 0.05  # labelled answers of both versions
spread = np.sqrt(0.95 * 0.05 * (1 / (0.05 * labelled) + 1 / (0.95 * labelled)))
power = norm.cdf(0.02 / spread - norm.isf(0.05))

fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
ax.plot(fine, power, label="closed form")
ax.plot(holds, stopped["0h"], "o", label="simulated, labels at once")
ax.plot(holds, stopped["6h"], "s", label="simulated, labels 6 h late")
ax.set(xlabel="hold of the canary (hours)", ylabel="chance to stop the bad release (fraction)")
ax.legend()
plt.show()

# %% [markdown]
# ### Explain
#
# 1. A canary of four hours with late labels stops nothing. Would its operators notice that it is blind?
# 2. The simulated test has a continuity correction: it asks for half a request more of evidence on each side, so
#    that its exact chance lies a little below the line, most of all where the hold is short. Why would one want
#    that with few requests?
#
# **My explanation:**

# %% [markdown]
# ## Round 3: Peeking
#
# A team tests every new version against the old one, half of the traffic each, for a week. The versions are in
# truth **equally good**. The test has $\alpha$ = 5 %, two-sided. But there is a dashboard, and somebody looks
# at it before the week is over, and ends the test as soon as the difference is significant.
#
# ### Predict
#
# In what share of the tests will somebody announce a difference with 1 look, with 2, with 5, and with 10
# looks? Is it $1 - 0.95^{k}$ for $k$ looks?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# $1 - 0.95^{10}$ is 40 %. That would be right if each look had data of its own. But the second look sees what
# the first has seen, and as much again: are they independent?
#
# </details>
#
# ### Run

# %%
equal = {
    "title": "Tests of versions that do not differ",
    "horizon": "3y",
    "window": "6h",
    "quality": settled,
    "labels.coverage": "5%",
}
counts = [1, 2, 5, 10]  # looks
teams = range(4 if SHORT else 30)  # each tests a version every 15 days for three years

# %%
announced = pd.DataFrame(index=pd.Index(counts, name="looks"), columns=["none", "pocock"], dtype=float)
for correction in announced.columns:
    for looks in counts:
        test = {"strategy": "ab_test", "looks": looks, "correction": correction, "maximum": "14d"}
        scenario = scenarios.load("rotting_asset", **equal, deployment=test)
        runs = [sim.run(scenario, "scheduled:15d", seed=0, replication=number) for number in teams]
        events = pd.concat(run.events for run in runs)
        ends = events[events["kind"] == "experiment ended"]
        announced.loc[looks, correction] = 1 - ends["details"].str.contains("no change").mean()
announced.round(3)

# %%
print(f"{len(ends)} tests in each cell; the last one: {ends['details'].iloc[-1]}")

# %% [markdown]
# ### Look
#
# The lines need no simulation: the chance that a sum of normal steps goes beyond a limit at one of $k$ looks
# can be integrated. `pocock` uses a stricter limit, the same at each look, so chosen that all looks together
# err in 5 % of the tests.

# %%
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for correction, mark in {"none": "o", "pocock": "s"}.items():
    exact = [chance_beyond(limits_of(correction, looks, 0.05)) for looks in range(1, 11)]
    (line,) = ax.plot(range(1, 11), exact, label=f"{correction}, integrated")
    ax.plot(counts, announced[correction], mark, color=line.get_color(), label=f"{correction}, simulated")
independent = [1 - 0.95**looks for looks in range(1, 11)]
ax.plot(range(1, 11), independent, ":", color="grey", label="as if looks were independent")
ax.set(xlabel="looks (number)", ylabel="tests with a 'difference' (fraction)", ylim=(0, None))
ax.legend()
plt.show()

# %% [markdown]
# ### Explain
#
# Why does the chance grow more slowly than with independent looks, and still grow? What does Pocock's limit
# cost the team on the day on which a version really is better?
#
# **My explanation:**

# %% [markdown]
# ## Round 4: Rolling back
#
# On 1 August 2012 Knight Capital released new code to seven of its eight hosts. The old code on the eighth
# turned each order that reached it into thousands. The chapter has the outcome, 440 million USD in 45 minutes;
# the regulator's report adds that the first reaction was to take the new code *back*. `knight_capital` is that
# day as a scenario. Its minutes are assumptions, so chosen that the whole takes about as long as it did.
#
# `base` rolls back first and halts the program then. Under `halt_first` a runbook says: halt, then think. Under
# `rehearsed_rollback` there is a hot standby and a drill each month, and rolling back takes the switch back too
# that woke the old code up. (In `base` nobody had practised that.)
#
# ### Predict
#
# 1. After the rollback in `base`, is the loss a minute smaller, the same, or larger than before?
# 2. Which of the other two loses less, and to what part of the loss of `base` do they come down?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# The switch that woke the old code up stays on. Before the rollback one host of eight runs the old code. And
# after it?
#
# </details>
#
# ### Run

# %%
knight = scenarios.load("knight_capital", horizon="213d")
ways = ["base", "halt_first", "rehearsed_rollback"]
days = analysis.compare_variants(knight, ways, replications=2 if SHORT else 20, seed=0, workers=WORKERS)
loss = {name: days.values(name, "cost[incident]") / 1e6 for name in ways}
pd.DataFrame(loss).describe().loc[["mean", "min", "max"]].round(0)  # million USD

# %% [markdown]
# ### Look
#
# One world, as it was and with the runbook.

# %%
days.replay("base").plot_incidents().figure

# %%
days.replay("halt_first").plot_incidents().figure

# %%
story = days.replay("base").incidents
story = story[story["failure"] != "host_failure"].set_index("failure")
minutes = 1440 * (story["mitigated_days"] - story["onset_days"])
pd.DataFrame({"until the halt (minutes)": minutes, "lost (million USD)": story["loss"] / 1e6}).round(1)

# %% [markdown]
# ### Explain
#
# 'Mean time to repair is detection plus rollback.' Which silent assumption is in that sentence? Which of the
# source's four reasons why rollbacks fail was it that day?
#
# **My explanation:**

# %% [markdown]
# ## Solutions
#
# Look only when you have written your explanations down. Every number below is computed again.

# %% [markdown]
# **Round 1.** The label of the first broken hour arrives after two days. Then a day's mean has fallen by the
# limit of 0.05 only when about half of its labels are bad ones, and it is looked at midnight. So the daily
# monitor needs two days, and between half a day and one and a half, about a day: five to six times the
# twelve hours that 'once a day' suggests. The rest is waiting for the working day, finding the cause, and
# the repair, of which six hours of nearly ninety are not much: halving them saves least.
#
# Fresher labels take most of the silent time away, more looks a day a part of it. Counting broken rows takes
# all but an hour of it away, because it looks where the failure *is* and not at its late consequence. It sees
# this failure only: a feature that is computed in another way breaks no row. The source asks for several layers
# for that reason.
#
# The closed form is right as an account, when MTTR is what came out: it is a little too high only where a
# second change of the schema falls into the time in which the first is not repaired, and breaks nothing more.

# %% tags=["solution"]
table = found.table()
at_stake, s = 10_000, 0.10  # USD a day, accuracy
account = table["incidents_per_year"] * at_stake * s * table["mttr_hours"] / 24
lost = pd.Series({name: found.values(name, "cost[incident]").mean() / 2 for name in found.names})
print(pd.DataFrame({"closed form": account, "simulated": lost}).round(0).to_string())  # USD a year
silent = phases["nobody knows"] / phases.sum(axis=1)
print((100 * silent).round(0).rename("nobody knows, % of the time to repair").to_string())
print((lost["as it is"] - lost).sort_values().round(0).rename("less lost, USD a year").to_string())
assert table.loc["as it is", "mttd_hours"] > 60
assert table.loc["watch the rows", "mttd_hours"] < 3
assert silent["as it is"] > 0.6
assert lost.idxmin() == "watch the rows"
assert (lost["as it is"] - lost)[1:].idxmin() == "repair in 3 h"
assert np.allclose(account, lost, rtol=0.15)

# %% [markdown]
# **Round 2.** An hour brings about a hundred labelled answers of the canary, and their share of right ones has
# a standard deviation of 0.02, as much as the loss itself: a canary of one hour is close to a coin that falls on
# 'fine'. Sixteen hours are enough. With labels six hours late, holds of one and four hours see **no** answer at
# all, find nothing significant and let everything pass; longer ones are worth what is left after six hours. The
# event says 'not significantly worse' in both cases, so nobody notices, unless somebody counts the evidence.
#
# With a hundred answers, five wrong ones are expected and eight are no rarity, and the normal approximation of
# the closed form is poor. The correction makes the test stop too few good releases rather than too many.

# %% tags=["solution"]
known = np.maximum(holds - 6, 0) * 1e6 / 24 * 0.05
with np.errstate(divide="ignore"):
    spread = np.sqrt(0.95 * 0.05 * (1 / (0.05 * known) + 1 / (0.95 * known)))
late = np.where(known > 0, norm.cdf(0.02 / spread - norm.isf(0.05)), 0)
print(pd.DataFrame({"simulated": stopped["6h"], "closed form of what is known": late.round(2)}, index=holds))
assert (stopped.loc[[1, 4], "6h"] == 0).all()
assert stopped.loc[16, "0h"] > 0.9
assert stopped.loc[1, "0h"] < 0.35
assert (stopped["6h"] <= stopped["0h"]).all()

# %% [markdown]
# **Round 3.** Looks share their data, so they are alike: the second errs mostly where the first has erred too.
# But each brings something new, and with it another chance to err; with enough looks the chance goes to one.
# Five looks make 14 % of 5 %, which is what the chapter warns of. Corrected limits hold the promise for all
# looks together. The price: with ten looks, Pocock's limit is 2.55 standard errors in place of 1.96, so that a
# true difference must be larger, or the test longer. In return it may end early.

# %% tags=["solution"]
tests = len(ends)
for correction in announced.columns:
    exact = np.array([chance_beyond(limits_of(correction, looks, 0.05)) for looks in counts])
    print(correction, "integrated", exact.round(3), "simulated", announced[correction].round(3).to_numpy())
    error = 4 * np.sqrt(exact * (1 - exact) / tests)  # four standard errors
    assert (np.abs(announced[correction] - exact) < error).all()
print(f"limit of ten looks: {limits_of('pocock', 10, 0.05)[0]:.2f}, of one: {norm.isf(0.025):.2f}")
assert announced.loc[10, "none"] < 1 - 0.95**10

# %% [markdown]
# **Round 4.** The rollback made it eight times worse: afterwards all eight hosts ran the code that the switch
# woke up. 'Detection plus rollback' assumes that the version before is a *safe* state. It was not, because part
# of the change, the switch, did not belong to what was rolled back: the first of the source's reasons, a
# dependency on configuration that shows under stress and not on paper. A fire drill finds that out on a quiet
# day. The runbook that halts first needs no such knowledge: it stops the harm before anybody understands it.
# Both come down to a small part of the loss.

# %% tags=["solution"]
rate = story["loss"] / minutes
worse = rate["rollback_to_old_code"] / rate["partial_rollout"]
print(
    f"what the rollback began lost {worse:.1f} times as much a minute as the first fault, and came on top of it"
)
for name in ways[1:]:
    print(f"{name} loses {loss[name].mean() / loss['base'].mean():.0%} of what base loses")
    assert loss[name].mean() < 0.5 * loss["base"].mean()
assert 5 < worse < 9

# %% [markdown]
# ## Takeaways
#
# - Cut the time to repair into its phases before you spend money on one of them. With late labels most of it
#   is silence.
# - A canary is a test. Without enough *known* outcomes it says 'fine' about anything.
# - Looking early is allowed, at limits that were made for it.
# - A rollback is code too: it works when it was practised, and when what comes back is safe.
#
# ## Where to read on
#
# - The source chapter: 'Incident Response for ML Systems', 'On-Call Practices for ML Systems', 'Rollback
#   Strategies and Safety Mechanisms', 'A/B Testing for Model Validation', and 'Model Deployment' (Knight
#   Capital).
# - README, 'Deployment, incidents and on-call'; `docs/decisions.md`: 'Evidence of a rollout', 'Rollback', 'On
#   call', 'MTTA'.
# - More to try: `halflife run knight_capital --trace-out knight.json`, the overlays `canary` and
#   `position_breaker`, and `correction: obrien_fleming` in round 3.
# - Next: lab 07, how many GPUs.
