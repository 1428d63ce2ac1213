# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Lab 08: A fleet that nobody can log in to
#
# **Time:** 40 minutes. **You need:** the exponential and the binomial distribution. It helps to have done
# lab 02 (what a retraining is worth).
#
# **What you will learn**
#
# - how a release spreads over devices that check in at random, and when that curve has a long tail;
# - how large a first wave has to be: why the smallest wave is not the safest one;
# - why the age of the models on devices has a floor, however often you retrain;
# - what a second, simple model is worth when the battery is low, and what telemetry can and cannot tell.
#
# **The closed form of this lab.** Devices check in at random moments, every $c$ days on average, and take a
# release when they do. Of the devices that may take it,
#
# $$ a(t) = 1 - e^{-t/c} $$
#
# run it $t$ days after it left. With $c$ = 1 day, 95 % have it after three days.
#
# **The assumption that this lab breaks:** that each check-in is a fresh, independent chance.
#
# Work in this order in each round: write your prediction down *before* you run the cells below it, run them,
# look, and then explain in your own words what you see. Hints are folded; the solutions are at the end.

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
from scipy.linalg import expm

import analysis
import scenarios
import sim
from scenarios.ota import Halt
from sim.release_tests import halt_power

SHORT = os.environ.get("HALFLIFE_SHORT") == "1"
WORLDS = 8 if SHORT else 60

# %% [markdown]
# The fleet of this lab: 2000 devices on the mains, which check in once a day on average. `rotting_asset` is a
# scenario of the library whose model decays and in which a retraining takes no time. The section `edge` puts
# its models on devices: a new version is now a *release*, which reaches each of them over the air. There are
# no labels on a device.

# %%
device = {
    "name": "device",
    "kind": "sensor",
    "count": 2000,
    "link": {"contact": "1d"},
    "full": {"size": "100 KB"},
}
fleet = scenarios.load(
    "rotting_asset", horizon="60d", window="6h", labels="none", triggers=[], edge={"devices": [device]}
)
fleet.edge.count

# %% [markdown]
# ## Round 1: How does a release spread?
#
# One release leaves on day 30. Besides the plain fleet there are three others:
#
# - *busy*: a device that checks in is idle half of the time only, and installs only when it is idle;
# - *network*: the network of a device is there for five days on average, then away for five;
# - *failing*: three installations in ten fail; a device goes back to its old model, tries a second time at its
#   next check-in, and then gives up.
#
# ### Predict
#
# 1. In *busy* and in *network* every second check-in leads to an update, on average. Are the two curves of
#    adoption alike? If not: which fleet is ahead after one day, and which after ten?
# 2. Where does the curve of *failing* end?
#
# **My prediction:** *(double-click and write it here)*
#
# <details><summary>Hint</summary>
#
# Think of *one* device that could not update today. What does that tell you about its chance tomorrow: in
# *busy*, and in *network*?
#
# </details>
#
# ### Run

# %%
changes = {
    "plain": {},
    "busy": {"edge.ota.permission.idle": 0.5},
    "network": {"edge.devices[0].link.online": "5d", "edge.devices[0].link.offline": "5d"},
    "failing": {"edge.ota.failure": 0.3, "edge.ota.attempts": 2},
}
adopted = {}
for name, change in changes.items():
    table = sim.run(fleet.with_(**change), "scheduled:30d", seed=0).edge.adoption()
    adopted[name] = table.set_index("days")["share"]

# %% [markdown]
# ### Look
#
# The dashed lines are the closed form, with one check-in a day and with one every two days. The table reads
# the curves after one, three, ten and twenty days.

# %%
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for (name, share), style in zip(adopted.items(), ["-", "-", "-.", ":"], strict=True):
    ax.plot(share, style, label=name)
days = np.linspace(0, 25, 200)
for contact in (1, 2):
    ax.plot(days, 1 - np.exp(-days / contact), "k--", lw=0.8, label=f"closed form, c = {contact} d")
ax.set(xlim=(0, 25), xlabel="time since the release left (days)", ylabel="share of the devices on it")
ax.set_title("Four ways to adopt a release")
ax.legend()
plt.show()

# %%
pd.DataFrame(adopted).loc[[1.125, 3.125, 10.125, 20.125]].round(3)

# %% [markdown]
# ### Explain
#
# Which of the three fleets keep the *form* of the curve, with another number in it, and which do not? What
# would you answer to a product owner who wants 99 % of the devices on a security fix within a week?
#
# **My explanation:**

# %% [markdown]
# ## Round 2: How large should the first wave be?
#
# Now a release is *defective*: on one device in ten its installation fails (2 % would be acceptable). It goes
# to a first wave, whose devices report whether their installation worked. After seven days a binomial test
# with $\alpha$ = 1 % decides: stop it and call it back, or open it to everybody. With fewer than 20 reports
# nothing is concluded.
#
# A stopped release has been installed by the first wave; one that passes, by everybody. The number of devices
# that took the bad release is its *blast radius*.
#
# ### Predict
#
# The wave can hold 1, 2, 5, 10, 20 or 50 % of the 2000 devices. Draw a curve of the blast radius. Is the
# smallest wave the safest? How many devices should the wave have?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# In a wave of 20 devices, how many failures do you expect from the bad release? From a good one with 2 %?
# Could you tell them apart? The blast radius is about $p\,w + (1-p)\,N$, with $w$ devices in the wave, $N$ in
# the fleet, and the chance $p$ that the test stops the release, which itself grows with $w$.
#
# </details>
#
# ### Run

# %%
plan = {"accepted": 0.02, "alpha": 0.01, "minimum": 20}
bad = {"halt": plan, "defect": {"probability": 1.0, "failure": 0.10}, "attempts": 1}
rows = []
for share in (0.01, 0.02, 0.05, 0.10, 0.20, 0.50):
    waves = [{"share": share, "hold": "7d"}, {"share": 1.0}]
    staged = fleet.with_(**{"edge.ota": bad | {"waves": waves}})
    runs = [sim.run(staged, "scheduled:40d", seed=0, replication=number).summary for number in range(WORLDS)]
    stopped, blast = (np.mean([run[name] for run in runs]) for name in ("halted_releases", "blast_devices"))
    power = halt_power(round(2000 * share), 0.10, Halt(**plan))
    rows.append({"share": share, "stopped": stopped, "power": power, "blast": blast})
staged_waves = pd.DataFrame(rows).set_index("share")

# %%
staged_waves.round(3)

# %% [markdown]
# `stopped` is the share of the worlds in which the release was stopped; `power` is what the binomial test
# says of so many reports; `blast` is the mean number of devices that took it.
#
# ### Look

# %%
sizes = np.unique(np.geomspace(5, 2000, 200).round()).astype(int)
chance = np.array([halt_power(int(size), 0.10, Halt(**plan)) for size in sizes])
fig, ax = plt.subplots(figsize=(8, 4), layout="constrained")
ax.loglog(sizes, 0.9 * (chance * sizes + (1 - chance) * 2000), lw=1, label="by the power of the test")
ax.loglog(2000 * staged_waves.index, staged_waves["blast"], "o", label="simulated")
ax.set(xlabel="devices in the first wave (number)", ylabel="devices that took it (number)")
ax.set_title("Blast radius of a bad release")
ax.legend()
plt.show()

# %% [markdown]
# The curve has teeth because failures are whole numbers: with a few more reports the test may need one
# failure more. (It carries a factor of 0.9: one installation in ten fails, and those devices do not run the
# release.)
#
# Waiting costs time. What if the wave of 5 % is held for one or two days instead of seven? A device reports
# at the check-in *after* the one at which it installed, so the share that has reported after $h$ days is
# $1 - (1 + h/c)\,e^{-h/c}$, the chance of at least two check-ins.

# %%
rows = []
for hold in (1, 2, 4, 7):
    waves = [{"share": 0.05, "hold": f"{hold}d"}, {"share": 1.0}]
    held = fleet.with_(**{"edge.ota": bad | {"waves": waves}})
    runs = [sim.run(held, "scheduled:40d", seed=0, replication=number) for number in range(WORLDS)]
    reported = 100 * (1 - (1 + hold) * np.exp(-hold))
    rows.append({"hold": hold, "reports": reported, "power": halt_power(round(reported), 0.10, Halt(**plan))})
    rows[-1]["stopped"] = np.mean([run.summary["halted_releases"] for run in runs])
holds = pd.DataFrame(rows).set_index("hold")
holds.round(2)  # hold in days; reports expected of the 100 devices

# %% [markdown]
# ### Explain
#
# Two things make the first wave blind. Which are they? A colleague proposes a wave of 1 % held for a day,
# 'to be careful'. What do you answer?
#
# **My explanation:**

# %% [markdown]
# ## Round 3: How often should releases leave?
#
# Two years, in which the model loses 0.2 % of its accuracy a day. A training costs 1600 USD and a release
# 200 USD, besides what is sent. Releases go out in three waves, two of which are held for a week, so that most
# devices may take a release 14 days after it was trained.
#
# Between two releases a model's age grows by the interval $T$. So the mean age of the models on the devices
# should be half the interval, plus the time that it takes to reach them:
#
# $$ \frac{T}{2} + L, \qquad L = c + 0.18 \cdot 7 + 0.80 \cdot 14 \text{ days.} $$
#
# ### Predict
#
# 1. What is the mean age with a training every 56, 28, 14 and 7 days?
# 2. Which interval costs least? And what happens with cost and age from 14 to 7 days?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# Only one release can be in its waves at a time. How many can leave in four weeks? What becomes of a candidate
# that is ready while another one is in its waves, when a still newer one is ready as well?
#
# </details>
#
# ### Run

# %%
waves = [{"share": "2%", "hold": "7d"}, {"share": "20%", "hold": "7d"}, {"share": "100%"}]
price = {"compute": "$1000", "validation": "$500", "deployment": "$100"}
years = fleet.with_(
    **{"horizon": "728d", "window": "1d", "traffic.rate": "10k/d", "quality.decay": "0.2%/d"},
    **{"value_per_query_per_unit_accuracy": "$0.05", "pipeline.cost": price},
    **{"edge.ota": {"waves": waves, "release": "$200", "price": "$100"}},
)
intervals = [7, 14, 28, 56, 112, 182]
runs = [sim.run(years, f"scheduled:{T}d", seed=0) for T in intervals]

# %% [markdown]
# Nothing here is left to chance but the moments of the check-ins, so one world is enough.

# %%
figures = ["annual_cost", "retrains", "releases", "model_age_mean_days"]
table = pd.DataFrame([run.summary for run in runs], index=pd.Index(intervals, name="interval"))[figures]
lag = 1 + 0.18 * 7 + 0.80 * 14  # days
table["T/2 + L"] = table.index / 2 + lag
table.round(1)  # interval and ages in days, annual_cost in USD, retrains and releases in two years

# %% [markdown]
# ### Look

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
left.loglog(table.index, table["annual_cost"], "o-")
left.set(xlabel="time between trainings (days)", ylabel="cost (USD per year)", title="What an interval costs")
right.loglog(table.index, table["T/2 + L"], "k--", lw=0.8, label="T/2 + L")
right.loglog(table.index, table["model_age_mean_days"], "o-", label="simulated")
right.set(
    xlabel="time between trainings (days)", ylabel="mean age of the models (days)", title="How old models are"
)
right.legend()
plt.show()

# %% [markdown]
# And how the ages go up and down when a model is trained every 56 days:

# %%
analysis.plots.plot_ages(runs[intervals.index(56)].edge).figure

# %% [markdown]
# ### Explain
#
# 1. Up to which interval does $T/2 + L$ hold, and what happens below it? Where is the money of `scheduled:7d`
#    going?
# 2. You can have a training that is twice as cheap, or waves that are held for three days instead of seven.
#    Which of the two makes the models on the devices younger?
#
# **My explanation:**

# %% [markdown]
# ## Round 4: What can a device afford?
#
# **Power.** Now the devices have a battery that the model empties in three days. Each evening it is charged
# with chance 0.35, and is full after that; else its owner has forgotten it. A *simple* model takes a tenth of
# the energy and takes over below 20 % of charge; its accuracy is 0.10 lower.
#
# **Telemetry.** On day 30 the world changes, and the model loses 0.10 of its accuracy. What the centre hears
# is how often users correct an answer, 6 % of the time when all is well: from those who have *opted in*, at
# most *every* so many days, because each report takes power. A test that is right to be silent for ten years
# looks every day at the last 14 days.
#
# ### Predict
#
# 1. What share of the time is a device off with one model, and with two?
# 2. When does the alarm come with 2, 10 and 100 % of the devices opted in, and a report every 1, 7 or 28
#    days? Which of the two budgets matters more?
#
# **My prediction:**
#
# <details><summary>Hint</summary>
#
# After an evening with the charger a device lives for three days. It is off when the charger has been
# forgotten three evenings in a row: how probable is that? With two models it runs the full one for 2.4 days,
# and how long does the rest last?
#
# For the second question: more devices make a number more exact. Do they make it come sooner?
#
# </details>
#
# ### Run

# %%
battery = {"kind": "rechargeable", "capacity": "3 Wh", "initial": 1.0, "low": 0.2, "charging": "10 W"}
battery |= {"plugged_at": "22h", "plugged_for": "1h", "plugged": 0.35}
powered = device | {"inferences": "1000/d", "power": battery, "full": {"size": "100 KB", "energy": "3.6 J"}}
simple = {"size": "10 KB", "energy": "0.36 J", "loss": 0.10}
kinds = {"one model": powered, "two models": powered | {"simple": simple}}
rows = {}
for name, kind in kinds.items():
    steady = fleet.with_(**{"horizon": "182d", "quality.decay": "0/d", "edge.devices": [kind]})
    rows[name] = sim.run(steady, "never", seed=0).summary
figures = ["simple_share", "off_share", "mean_accuracy", "energy_wh_per_device_day"]
pd.DataFrame(rows).loc[figures].T.round(3)  # a device that is off answers nothing, which counts as accuracy 0

# %%
corrected = {"name": "corrected", "kind": "proportion", "base": "6%", "per_accuracy_lost": 0.5}
monitor = {"metric": "signal", "signal": "corrected", "rule": "significance", "false_alarms": "0.1/y"}
monitor |= {"sampling_rate": 1.0, "cadence": "1d", "window": "14d", "cooldown": "1y"}
small = {"edge.devices[0].count": 500, "traffic.rate": "500/d", "horizon": "100d", "window": "1d"}
changing = fleet.with_(
    small | {"edge.reports": {}},
    quality={"kind": "degradation", "initial_accuracy": 0.9, "feature_sensitivity": 0.1},
    drift=[{"kind": "ramp", "rate": "1/d", "start": "30d", "stop": "31d", "features": ["habits"]}],
    features=["habits"],
    signals=[corrected],
    monitors=[monitor],
)

# %%
delays = pd.DataFrame(index=pd.Index([0.02, 0.10, 1.0], name="opted in"))
for every in (1, 7, 28):
    for opted_in in delays.index:
        told = changing.with_(**{"edge.reports": {"opted_in": opted_in, "every": f"{every}d"}})
        runs = [sim.run(told, "never", seed=0, replication=number) for number in range(WORLDS // 2)]
        alarms = [[alarm.time - 30 for alarm in run.alarms if alarm.true] for run in runs]
        delays.loc[opted_in, f"every {every} d"] = np.mean([min(times, default=70.0) for times in alarms])
delays.round(1)  # days from the change to the alarm; 70 where there is none

# %% [markdown]
# ### Look

# %%
ax = delays.T.plot.bar(figsize=(8, 4), rot=0, xlabel="a device reports", ylabel="delay of the alarm (days)")
ax.set_title("When the centre hears that the world has changed")
plt.show()

# %% [markdown]
# ### Explain
#
# 1. The simple model is worse than the full one. Why are two models better than one all the same?
# 2. Where does a larger share of devices help, and where does it not? With a report every 28 days, on which
#    days do the first reports after the change arrive? (All devices gave their first one in the first days.)
#
# **My explanation:**

# %% [markdown]
# ## Solutions
#
# Look only when you have written your explanations down. Every number below is computed again.

# %% [markdown]
# **Round 1.** A *busy* device that did not update today has the same chance tomorrow: check-ins are thinned
# independently, and the closed form stays, with $c$ = 2 days. A device without a *network* will probably have
# none tomorrow either. So the half that has one adopts as quickly as the plain fleet, and the other half waits.
# Both curves begin with the same slope; from then on *network* is behind, because those who could be reached
# quickly have been, and it has a long tail. Two linear equations, one for devices with a network and one for
# those without, give it exactly (`expm` below solves them). *Failing* ends at $1 - 0.3^2$: the rest stays on
# the old model, until the next release gives it two new tries.
#
# For a fix within a week, the contact time is the wrong figure to ask for: the tail is made by those who are
# away, and no release process reaches them.

# %% tags=["solution"]
rates = np.array([[-1.0 - 0.2, 0.2], [0.2, -0.2]])  # with a network: adopts or loses it; without: finds it
days = adopted["network"].index
exact = pd.Series([1 - (np.array([0.5, 0.5]) @ expm(rates * day)).sum() for day in days], index=days)
for day in (1.125, 10.125):
    busy, network = adopted["busy"][day], adopted["network"][day]
    print(f"after {day} days: busy {busy:.3f}, network {network:.3f}, exact {exact[day]:.3f}")
print(f"failing ends at {adopted['failing'].iloc[-1]:.3f}; 1 - 0.3^2 = {1 - 0.3**2:.3f}")
error = 4 * np.sqrt(0.25 / 2000)  # four standard errors of a share of 2000 devices
for name, contact in {"plain": 1, "busy": 2}.items():
    assert np.abs(adopted[name] - (1 - np.exp(-adopted[name].index / contact))).max() < error
assert np.abs(adopted["network"] - exact).max() < error
assert abs(adopted["failing"].iloc[-1] - (1 - 0.3**2)) < error

# %% [markdown]
# **Round 2.** A wave can be blind because it is too small and because it is judged too soon. With 20 devices
# there are often too few reports to conclude anything, the release passes, and everybody takes it: the most
# careful wave has the largest blast radius. A wave of half the fleet always stops the release, after half
# the fleet has it. In between lies the best size, roughly where the test is nearly sure: 5 to 10 % here. That
# size depends on the *number* of devices, not on the share: in a fleet of a million, 1 % are more than enough.
# And a wave held for a day has heard from a quarter of its devices only. The careful colleague's wave would
# have 20 devices, five of which have reported.

# %% tags=["solution"]
for size in (20, 100, 200, 1000):
    print(f"{size:5d} reports: the release is stopped with chance {halt_power(size, 0.10, Halt(**plan)):.3f}")
print(f"smallest blast radius: a first wave of {staged_waves['blast'].idxmin():.0%}")
assert staged_waves["blast"].idxmin() in (0.05, 0.10, 0.20)
assert staged_waves.loc[0.01, "blast"] > 2 * staged_waves.loc[0.10, "blast"]
error = 4 * np.sqrt(0.25 / WORLDS)  # four standard errors at most
assert (np.abs(staged_waves["stopped"] - staged_waves["power"])[[0.05, 0.10, 0.20, 0.50]] < error).all()
assert (np.abs(holds["stopped"] - holds["power"]) < error).all()

# %% [markdown]
# **Round 3.** The form holds as long as releases do not meet: down to 14 days, the length of the waves. (It
# lies a few days too high for long intervals, because the two years begin with a new model on all devices.)
# Below that, releases queue: one leaves every 14 days, whatever is trained, and every second candidate is
# superseded; the others have waited a week for their turn. So twice the trainings give *older* models. The
# cheapest interval lies far above that floor here, near the square-root law of lab 02: the lag $L$ adds to the
# cost of every interval and hardly moves the best one.
#
# A cheaper training makes a shorter interval worth while, down to the floor. Shorter waves lower the lag, and
# the floor with it, for every interval; but round 2 says what a shorter hold does to the power of the halt.

# %% tags=["solution"]
age = table["model_age_mean_days"]
print(f"every 7 days: {table['retrains'].iloc[0]:.0f} trainings, {table['releases'].iloc[0]:.0f} releases")
print(f"mean age: every 14 days {age.iloc[1]:.1f} days, every 7 days {age.iloc[0]:.1f} days")
given = {"queries_per_day": 1e4, "value": 0.05, "accuracy": 0.9, "decay": 0.002}
paid = 1600 + 200 + 100 * 2000 * 100e3 / 1e9  # training, release, and 100 USD a GB for what is sent
law = analysis.economics.optimal_interval_sqrt(retrain_cost=paid, **given)
print(f"square-root law: {law:.0f} days; cheapest of the six: {table['annual_cost'].idxmin()} days")
quick = years.with_(**{"edge.ota.waves": [wave | {"hold": "3d"} for wave in waves[:2]] + waves[2:]})
younger = sim.run(quick, "scheduled:28d", seed=0).summary["model_age_mean_days"]
print(f"every 28 days: waves held for 7 days {age.iloc[2]:.1f} days, for 3 days {younger:.1f} days")
assert np.abs(age - table["T/2 + L"]).iloc[1:].max() < 4
assert age.iloc[0] > age.iloc[1]
assert table["annual_cost"].idxmin() == 56
assert younger < age.iloc[2] - 5

# %% [markdown]
# **Round 4.** With one model a device is off after three evenings without the charger: $0.65^3$. With two it
# runs the full one for 2.4 days and the simple one for 0.6 days' worth of energy, which is six days: off only
# after 8.4 days, $0.65^{8.4}$. An answer that is 0.10 worse is worth more than none. (The closed form takes
# for granted that an evening with the charger fills the battery. With a charger of 1 W it brings 1 Wh, which is
# one day, so that the device is on for 35 % of the time, and for the 3 days that its first charge lasts.)
#
# More devices make a reading more exact, but not earlier. With few devices and frequent reports noise decides,
# and a larger share helps. With a report every 28 days all devices report soon after day 56 (the report of day
# 28 knows of two days at most), and then it makes no difference whether a tenth of them tell or all. (With 2 %
# the ten devices that tell often need another month.) Spreading the reports over the month would help, at no cost at
# all. The budget of telemetry has two sides: privacy (who tells) sets the noise, power (how often) the delay.

# %% tags=["solution"]
print(f"off: one model {0.65**3:.3f}, simulated {rows['one model']['off_share']:.3f}")
print(f"off: two models {0.65**8.4:.3f}, simulated {rows['two models']['off_share']:.3f}")
assert abs(rows["one model"]["off_share"] - 0.65**3) < 0.02
assert abs(rows["two models"]["off_share"] - 0.65**8.4) < 0.01
print(f"simple: {0.65**2.4 - 0.65**8.4:.3f}, simulated {rows['two models']['simple_share']:.3f}")
weak = steady.with_(**{"edge.devices": [powered | {"power": battery | {"charging": "1 W"}}]})
off = sim.run(weak, "never", seed=0).summary["off_share"]
print(f"charger of 1 W, off: {1 - 0.35 - 3 / 182:.3f}, simulated {off:.3f}")
assert abs(off - (1 - 0.35 - 3 / 182)) < 0.02
assert delays.loc[0.02, "every 1 d"] > delays.loc[1.0, "every 1 d"] + 1
assert (delays["every 28 d"] > delays["every 1 d"] + 5).all()
assert abs(delays.loc[1.0, "every 28 d"] - (56 - 30)) < 3

# %% [markdown]
# ## Takeaways
#
# - Adoption is exponential while check-ins are independent chances. A network that comes and goes makes a long
#   tail, and devices that gave up never arrive.
# - A first wave must be large enough, and held long enough, for its reports to tell a bad release from a good
#   one. What counts is the number of reports.
# - Models on devices are never younger than the waves allow. Below that floor more trainings only cost more.
# - A simple model for hard times beats none. For telemetry, who may tell decides how exact a number is, and how
#   often they tell decides when it comes.
#
# ## Where to read on
#
# - The source chapter: 'Edge AI Deployment', 'Oura Ring Case Study', 'Deployment and Iteration'.
# - `docs/how-to/edge-fleet.md` asks the same questions of the scenarios `smoke_detector`, `oura_ring` and
#   `tesla_ota`; `docs/explanation/model.md`, 'Fleets of devices', has the equations.
# - Before: lab 02, the economics of retraining, and lab 05, what monitoring is worth.
