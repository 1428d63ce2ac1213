# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab 07: How many GPUs?
#
# **Time:** 35 to 40 minutes. **You need:** what a mean and a percentile are. Queueing theory is not needed; you
# will meet as much of it as you use.
#
# **What you will learn**
#
# - why latency explodes long before a GPU is busy all the time, and why large fleets bear more;
# - why an average utilisation says little when the load follows the day;
# - what batches do to throughput, latency, and to the meaning of 'busy';
# - why an autoscaler can be too late by construction, and what is cheaper than waiting for it.
#
# **The closed form of this lab.** Requests come at the rate $\lambda$, one takes $1/\mu$ on a replica, and there
# are $c$ replicas, so that each is busy for the share $\rho = \lambda / (c \mu)$ of the time. If arrivals are
# Poisson and service times exponential, the probability that a request has to wait is Erlang's $C(c, \rho)$, and
#
# $$ \text{mean latency} = \frac{1}{\mu} + \frac{C(c, \rho)}{c \mu\,(1 - \rho)} . $$
#
# **The assumption that this lab breaks:** that the rate is the same all day, that a replica serves one request
# at a time, and that there are always $c$ replicas.
#
# In each round: write your prediction down *before* you run the cells, run them, look, and explain. Hints are
# folded; the solutions are at the end.

# %% [markdown]
# ## Set-up
#
# Run this cell first. With the environment variable `HALFLIFE_SHORT=1` the lab simulates shorter times and takes
# seconds (that is how it is tested); without it, percentiles are more exact.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import scenarios
from analysis import economics, queueing
from sim.fleet_days import run_fleet

SHORT = os.environ.get("HALFLIFE_SHORT") == "1"

# %% [markdown]
# `run_fleet` simulates a fleet request by request: each arrives at its own moment, waits for a replica, and is
# served. Here is a first one: ten replicas, 100 ms for a request on average, 70 requests a second.

# %%
exponential = {"kind": "service_time", "time": {"kind": "exponential", "mean": "100ms"}}
pool = {"name": "main", "accelerator": "a100_80gb", "replicas": 10, "service": exponential}  # 3 USD an hour
hours = {"horizon": "2h" if SHORT else "12h", "window": "5min"}
system = {**hours, "traffic": {"rate": "70/s"}, "serving": {"pools": [pool]}}
first = run_fleet(scenarios.load("rotting_asset", **system), seed=0)
first.summary[["requests", "mean_s", "p50_s", "p99_s", "utilisation", "gpu_hours", "cost_per_1000"]].round(4)

# %% [markdown]
# ## Round 1: The knee
#
# We load two fleets more and more: one of a single replica and one of ten, both up to 95 % of what they can do.
# With nobody else there, a request takes 100 ms on average and one in a hundred takes more than 461 ms, because
# service times are exponential.
#
# ### Predict
#
# 1. At which utilisation is the P99 of the single replica twice what it is without a queue? And ten times?
# 2. And that of the fleet of ten?
#
# **My prediction:** *(double-click and write it here)*
#
# <details><summary>Hint</summary>
#
# A single replica with exponential times has exponential latencies too, with the mean $1/(\mu(1-\rho))$: all
# percentiles grow by the factor $1/(1-\rho)$. In a fleet of ten, a request waits only when all ten are busy.
#
# </details>
#
# ### Run

# %%
loads = [0.3, 0.5, 0.7, 0.8, 0.9, 0.95]
p99 = pd.DataFrame(index=pd.Index(loads, name="utilisation"), columns=[1, 10], dtype=float)
for replicas in p99.columns:
    for load in loads:
        serving = {"pools": [pool | {"replicas": replicas}]}
        traffic = {"rate": f"{load * replicas * 10}/s"}
        scenario = scenarios.load("rotting_asset", **system | {"serving": serving, "traffic": traffic})
        p99.loc[load, replicas] = run_fleet(scenario, seed=0).summary["p99_s"]
p99.round(2)  # seconds

# %%
fine = np.linspace(0.01, 0.97, 100)
exact = {"service_time": 0.1, "probability": 0.99}
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for replicas, mark in {1: "o", 10: "s"}.items():
    form = queueing.mmc_response_quantile(arrival_rate=fine * replicas * 10, servers=replicas, **exact)
    (line,) = ax.plot(fine, form, label=f"closed form, {replicas} replica(s)")
    ax.plot(loads, p99[replicas], mark, color=line.get_color(), label=f"simulated, {replicas} replica(s)")
ax.axvspan(0.5, 0.7, color="grey", alpha=0.2, label="target of the chapter")
ax.set(xlabel="utilisation (fraction)", ylabel="P99 of the latency (seconds)", yscale="log", ylim=(0.3, 20))
ax.legend()
plt.show()

# %% [markdown]
# ### Look
#
# The grey band is what the chapter recommends for online inference, 50 to 70 %.
#
# ### Explain
#
# Suppose the promise is a P99 of 1 s. To which utilisation may you load each of the two fleets? What does that
# mean for the price of a thousand requests, and for the advice of a *single* target for all fleets?
#
# **My explanation:**

# %% [markdown]
# ## Round 2: The same average, another day
#
# A fleet of ten again. But now the load follows the day: in the night it falls to 30 % of its mean, in the
# evening it rises to 180 %. Over the day the mean is the same.
#
# ### Predict
#
# At mean utilisations of 30, 40, 50 and 60 %: what is the P99 over the whole day? Which of the four breaks a
# promise of 1 s?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# Multiply the mean utilisation by 1.8. What happens to a queue in a time in which more comes than can be served?
#
# </details>
#
# ### Run

# %%
day = [0.5, 0.4, 0.3, 0.3, 0.3, 0.4, 0.6, 0.8, 1.0, 1.1, 1.1, 1.2]
day += [1.2, 1.1, 1.1, 1.1, 1.2, 1.3, 1.5, 1.7, 1.8, 1.8, 1.4, 0.8]
means = [0.3, 0.4, 0.5, 0.6]
daily = {}
for mean in means:
    traffic = {"rate": f"{100 * mean}/s", "daily_profile": day}
    scenario = scenarios.load("rotting_asset", **system | {"horizon": "1d", "traffic": traffic})
    daily[mean] = run_fleet(scenario, seed=0)

# %%
rates = np.array(day) / np.mean(day)
fleet = {"service_time": 0.1, "servers": 10, "probability": 0.99}
whole_day = pd.DataFrame(index=pd.Index(means, name="mean utilisation"))
whole_day["mean alone"] = queueing.mmc_response_quantile(arrival_rate=100 * np.array(means), **fleet)
whole_day["hour by hour"] = [queueing.psa_response_quantile(rates=100 * m * rates, **fleet) for m in means]
whole_day["simulated"] = [found.summary["p99_s"] for found in daily.values()]
whole_day.round(2)  # P99 in seconds

# %% [markdown]
# `mean alone` puts the mean rate into the closed form. `hour by hour` takes each hour as if it lasted for ever,
# and mixes all requests of the day.
#
# ### Look

# %%
fig, axes = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
for mean in [0.5, 0.6]:
    load = daily[mean].load()
    axes[0].plot(24 * load["time_days"], 100 * load["busy"] / load["ready"], label=f"mean of {mean:.0%}")
    axes[1].plot(24 * load["time_days"], load["waiting"])
axes[0].set(ylabel="utilisation (%)", title="A fleet of ten, and two loads")
axes[1].set(xlabel="time of day (hours)", ylabel="waiting (requests)", yscale="symlog")
axes[0].legend()
plt.show()

# %% [markdown]
# ### Explain
#
# 1. Where does `hour by hour` fail, and why is the simulation finite there?
# 2. Look at the two means of 50 and 60 %. The chapter recommends 50 to 70 %, at the load of an *ordinary* moment
#    (P50), and 30 to 50 % of headroom for spikes. What would 70 % on average have done here?
#
# **My explanation:**

# %% [markdown]
# ## Round 3: Batches
#
# One replica again, but now it serves up to $b$ requests at once: a batch takes 40 ms, whatever its size, and 1
# ms more for each request in it. Whoever comes while a batch is running waits for the next.
#
# ### Predict
#
# 1. How many requests a second can a replica serve with $b$ = 1, 4, 16 and 64?
# 2. At 20 a second, do batches make the latency longer or shorter? And is it a good idea to *wait* for others,
#    for up to 50 ms, so that batches get fuller?
# 3. With $b$ = 64 and 100 requests a second: how busy is the replica, and is it near its limit?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# A full batch serves $b$ requests in $40 + b$ ms. For the third question: when a batch ends and somebody waits,
# the next one starts at once. How many come on average while a batch of five runs?
#
# </details>
#
# ### Run

# %%
curve = {"kind": "batch_curve", "fixed": "40ms", "per_item": "1ms"}
sizes, per_second = [1, 4, 16, 64], [20, 50, 100, 200, 400, 550]
rows = []
for size in sizes:
    for rate in per_second:
        pools = [pool | {"replicas": 1, "service": curve, "max_batch": size}]
        traffic = {"rate": f"{rate}/s"}
        half_hour = {"horizon": "30min", "serving": {"pools": pools}, "traffic": traffic}
        summary = run_fleet(scenarios.load("rotting_asset", **system | half_hour), seed=0).summary
        rows.append({"batch up to": size, "rate": rate, **summary})
batches = pd.DataFrame(rows).set_index(["batch up to", "rate"])

# %%
batches["mean_s"].unstack("batch up to").round(3)  # mean latency in seconds, over half an hour

# %%
batches.loc[64, ["utilisation", "mean_batch", "mean_s", "p99_s", "cost_per_1000"]].round(3)

# %% [markdown]
# ### Look
#
# The lines are exact: a Markov chain of the number of requests that wait when a batch ends.

# %%
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for size in sizes:
    limit = queueing.batch_limit(curve=[0.041 + 0.001 * n for n in range(size)])
    near = limit * np.linspace(0.02, 0.98, 60)
    done = [queueing.batch_service(arrival_rate=rate, curve=0.041 + 0.001 * np.arange(size)) for rate in near]
    (line,) = ax.plot(near, [one.mean_latency for one in done], label=f"batches of up to {size}")
    kept = [rate for rate in per_second if rate < limit]
    ax.plot(kept, batches["mean_s"][size][kept], "o", color=line.get_color())
ax.set(xlabel="load (requests per second)", ylabel="mean latency (seconds)", xscale="log", ylim=(0, 0.3))
ax.legend()
plt.show()

# %% [markdown]
# And what does it do to *wait* for a fuller batch?

# %%
waits = pd.DataFrame(index=pd.Index([20, 200], name="requests per second"), columns=["0ms", "20ms", "50ms"])
for wait in waits.columns:
    for rate in waits.index:
        pools = [pool | {"replicas": 1, "service": curve, "max_batch": 64, "max_wait": wait}]
        half_hour = {"horizon": "30min", "serving": {"pools": pools}, "traffic": {"rate": f"{rate}/s"}}
        scenario = scenarios.load("rotting_asset", **system | half_hour)
        waits.loc[rate, wait] = run_fleet(scenario, seed=0).summary["mean_s"]
waits.astype(float).round(3)  # mean latency in seconds, by the longest wait for others

# %% [markdown]
# ### Explain
#
# 1. The knee of round 1 was a matter of utilisation. Look at utilisation and latency with batches of up to 64
#    again: what is left of that rule?
# 2. A GPU costs 3 USD an hour. Loaded to 85 % of its limit, what does it cost per thousand requests with $b$ = 1
#    and with $b$ = 64? Who pays for the difference, and with what?
#
# **My explanation:**

# %% [markdown]
# ## Round 4: Autoscaling
#
# `flash_sale` is a scenario of the library: 50 requests a second, 100 ms each; at noon a sale begins, and there
# are 250 a second for half an hour. Nine replicas are always there. The autoscaler looks once a minute and aims
# at a utilisation of 60 %; a new replica takes **four minutes** to load its model. The promise is a P99 of 500
# ms, each minute; a broken minute costs 50 USD, a refused request 0.002 USD.
#
# Overlays are other ways to run it: 30 replicas at all times (`headroom`), a timetable that knows the sale
# (`scheduled`), an autoscaler that counts the queue instead of the utilisation (`queue_length`), and a queue that
# refuses whom it cannot serve in time (`shed`).
#
# ### Predict
#
# 1. How many requests are waiting when the first new replicas arrive, if they were ordered at noon? How long does
#    the last of them wait?
# 2. An autoscaler that sees nine busy replicas, and aims at 60 %, orders how many? Are they enough?
# 3. Order the five ways by their total cost.
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# Nine replicas serve 90 requests a second; 250 come. The utilisation of nine replicas that are all busy is 100
# %, whether there are 90 requests a second or 900.
#
# </details>
#
# ### Run

# %%
noon = {"start": "12h", "duration": "30min", "factor": 5}
sale = scenarios.load("flash_sale", horizon="1d", traffic={"rate": "50/s", "campaigns": [noon]})
ways = ["headroom", "scheduled", "queue_length", "shed"]
fleets = {"as it is": sale} | {way: scenarios.overlaid(sale, [way]) for way in ways}
sales = {name: run_fleet(scenario, seed=0) for name, scenario in fleets.items()}

# %%
columns = ["p99_s", "loss", "utilisation", "missed_minutes", "gpu_hours", "serving_cost", "total_cost"]
outcome = pd.DataFrame({name: found.summary[columns] for name, found in sales.items()}).T
outcome.round(3)

# %% [markdown]
# ### Look

# %%
fig, axes = plt.subplots(2, 1, figsize=(8, 6), sharex=True, layout="constrained")
for name, found in sales.items():
    load = found.load()
    around = load[load["time_days"].between(11.5 / 24, 13.5 / 24)]
    axes[0].plot(24 * around["time_days"], around["ready"], label=name, drawstyle="steps-post")
    axes[1].plot(24 * around["time_days"], around["waiting"])
axes[0].set(ylabel="replicas", title="A sale from 12:00 to 12:30")
axes[1].set(xlabel="time of day (hours)", ylabel="waiting (requests)", yscale="symlog")
axes[0].legend()
plt.show()

# %% [markdown]
# ### Explain
#
# 1. Why does the autoscaler need several steps, each a cold start long, and why does counting the queue need one?
# 2. `shed` has almost the fewest GPU hours and keeps nearly everyone's latency. What does it trade for that, and
#    when would you choose it?
# 3. Which assumption of the opening is broken here, and could a *better formula* have helped the autoscaler?
#
# **My explanation:**

# %% [markdown]
# ## Solutions
#
# Look only when you have written your explanations down. Every number below is computed again.

# %% [markdown]
# **Round 1.** With one replica all percentiles grow by $1/(1-\rho)$: twice at 50 %, ten times at 90 %. Ten
# replicas hardly notice 70 %, since it is rare that all ten are busy at once; they come to twice the unloaded P99
# at about 94 % only. So for a promise of 1 s one fleet may be loaded to a little more than half, the other to
# nearly everything, and a thousand requests cost almost twice as much on the small one. A single target for all
# fleets is too high for small ones, or a waste on large ones. (What a target is for besides: spikes, round 2.)

# %% tags=["solution"]
many = np.linspace(0.01, 0.99, 981)
for replicas in (1, 10):
    form = queueing.mmc_response_quantile(arrival_rate=many * replicas * 10, servers=replicas, **exact)
    twice, promise = many[form <= 2 * form[0]][-1], many[form <= 1.0][-1]
    price = economics.cost_per_thousand(hourly_gpu_usd=3.0, inferences_per_hour=36_000 * promise)
    print(
        f"{replicas:2d} replicas: twice at {twice:.0%}, 1 s at {promise:.0%}, {price:.3f} USD per 1000 requests"
    )
    form = queueing.mmc_response_quantile(arrival_rate=10 * replicas * p99.index, servers=replicas, **exact)
    assert np.allclose(p99[replicas][:4], form[:4], rtol=0.12)
assert p99.loc[0.9, 1] > 5 * p99.loc[0.9, 10]

# %% [markdown]
# **Round 2.** At a mean of 60 % more comes in three hours of the evening than ten replicas can serve. In a steady
# state, which is what the closed form knows, the queue would grow for ever; in truth the evening ends. Then the
# *fluid* account is the right one: what comes above 100 a second piles up, and whoever comes at the worst moment
# waits for all that is before him. Up to 50 % `hour by hour` is right, because a queue of tenths of a second
# forgets an hour quickly. The mean alone is wrong wherever it matters.
#
# With 70 % on average, four hours would be above the capacity, and by more. The chapter's target is meant for an
# ordinary moment, with headroom for the peak on top: with a peak of 1.8 times the mean, a mean of 1 / 1.8 = 56 %
# is the end, and 50 % a sensible limit.

# %% tags=["solution"]
excess = np.maximum(100 * 0.6 * rates - 100, 0)  # requests a second, by the hour
backlog = 3600 * excess.sum()
print(
    f"{(excess > 0).sum()} hours of overload pile up {backlog:,.0f} requests, a wait of {backlog / 100:.0f} s"
)
worst = daily[0.6].load()["waiting"].max()
print(f"simulated: {worst:,.0f} wait at worst, P99 {whole_day['simulated'][0.6]:.0f} s")
print(f"a mean of 70 %: {(70 * rates > 100).sum()} hours of overload")
assert np.isclose(worst, backlog, rtol=0.1)
assert (whole_day["simulated"][:0.5] < 1).all()
assert whole_day.loc[0.6, "simulated"] > 100
assert np.allclose(whole_day["simulated"][:0.5], whole_day["hour by hour"][:0.5], rtol=0.1)

# %% [markdown]
# **Round 3.** The limits are $b / (40 + b)$ per millisecond: 24, 91, 286 and 615 requests a second. At 20 a second
# batches make the latency *shorter*: whoever would have waited for a service of his own goes along with the next
# batch, which takes a millisecond longer for it. Waiting for others is another matter. With few requests it is a
# loss for those who wait, and with many the batches are full anyway, because the replica is always busy: batches
# fill by themselves when they are needed.
#
# From 100 requests a second on, the replica is busy practically always, and at a sixth of its limit. With batches,
# 'busy' means that somebody is there, not that there is no room; the batches just grow. So the rule of round 1 is
# gone, and so is any autoscaler that aims at a utilisation. What tells how near the limit is, is the size of the
# batches. At 85 % of the limit a thousand requests cost 25 times less than one by one. What one pays is a latency of
# three times the 41 ms that a request takes alone; but one by one, 85 % of the limit means more than that, and all of
# it is waiting.

# %% tags=["solution"]
for size in sizes:
    limit = queueing.batch_limit(curve=0.041 + 0.001 * np.arange(size))
    served = 0.85 * limit
    done = queueing.batch_service(arrival_rate=served, curve=0.041 + 0.001 * np.arange(size))
    price = economics.cost_per_thousand(hourly_gpu_usd=3.0, inferences_per_hour=3600 * served)
    print(
        f"up to {size:2d}: limit {limit:4.0f}/s; at 85 % {1000 * done.mean_latency:.0f} ms, {price:.4f} USD"
    )
assert batches.loc[(64, 20), "mean_s"] < batches.loc[(1, 20), "mean_s"]
assert batches.loc[(64, 100), "utilisation"] > 0.99
assert waits.loc[20, "50ms"] > waits.loc[20, "0ms"]
assert waits.loc[200, "50ms"] < 1.1 * waits.loc[200, "0ms"]

# %% [markdown]
# **Round 4.** In four minutes (250 - 90) times 240 requests pile up, 38,400; with the minute until the next look it
# is up to 48,000. At 90 a second the last of them would wait for minutes, even if nobody came after him. The
# autoscaler sees nine busy replicas, 100 % instead of 60 %, and orders 15: not even enough for those who come,
# let alone for those who wait. It needs four orders, each of them a cold start late. A queue has no ceiling as
# utilisation has: who counts it orders enough at once, and still is one cold start late.
#
# That lateness is no matter of formulas. Nothing that looks at the load *now* can be quicker than a cold start;
# what helps is knowing the sale (`scheduled`, cheapest by far), capacity that is there anyway (`headroom`, dearest
# here: 21 replicas idle for a day because of half an hour), a shorter cold start, or refusing those for whom there
# is no room (`shed`). Shedding loses a few percent of the requests of the day, and keeps the latency of all the
# others: it is the choice where a late answer is worth nothing anyhow.

# %% tags=["solution"]
wait = {name: found.load()["waiting"].max() for name, found in sales.items()}
print(f"in a cold start {160 * 240:,} requests pile up, with a minute to notice {160 * 300:,}")
print({name: int(longest) for name, longest in wait.items()}, "wait at worst")
print(outcome["total_cost"].sort_values().round(0).to_string())
assert 160 * 240 <= wait["queue_length"] <= 1.1 * 160 * 300
assert wait["as it is"] > wait["queue_length"]
assert list(outcome["total_cost"].sort_values().index[[0, -1]]) == ["scheduled", "headroom"]
assert outcome.loc["shed", "loss"] < 0.05

# %% [markdown]
# **One step further.** Give the autoscaler of `flash_sale` a cold start of 30 seconds
# (`{"serving": {"pools": {"main": {"autoscaler": {"cold_start": "30s"}}}}}` as an overlay). What is left of the
# five ways? And let `halflife capacity flash_sale --quick` search for the cheapest fleet.

# %% [markdown]
# ## Takeaways
#
# - The knee is a matter of utilisation *and* of size: what is too much for one replica is little for ten.
# - Plan for the busiest hour. Below capacity take each hour by itself; above it, count what piles up.
# - Batches make throughput out of latency. Then 'busy' no longer says how near the limit is.
# - An autoscaler is late by its cold start. Know the peak, hold headroom, or shed.
#
# ## Where to read on
#
# - The source chapter: 'Inference Serving' (the latency budget), 'Hardware Utilization Patterns', 'Utilization
#   Targets by Workload', 'Cost-Per-Inference Tracking', and the footnote on autoscaling.
# - `help(analysis.queueing)` for all closed forms; README, 'GPU capacity'; `docs/decisions.md`: 'Request plane',
#   'A batch', 'Fixed pools'.
# - `halflife capacity gpu_serving_100ms` finds the cheapest fleet for a promise.
# - Next: lab 08, a fleet of devices; lab 10, deciding when the figures are uncertain.
