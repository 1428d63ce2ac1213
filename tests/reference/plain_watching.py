"""What a random scenario has of signals, failures, people who answer pages, and telemetry.

Its dice are its own, so that what is drawn here changes nothing else of the scenario.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plain_dice import Dice, hours

if TYPE_CHECKING:
    from plain_scenarios import Maker

LATE: list[Any] = [{"kind": "lognormal", "median": "2h", "p95": "9h"}, {"kind": "exponential", "mean": "9h"}]
DETECTORS = ["shewhart", "ewma", "adwin", {"kind": "page_hinkley", "min_instances": 5, "threshold": 5}]


class Watching:
    """Of every five scenarios four have signals and failures, of every three two have people."""

    def __init__(self, maker: Maker) -> None:
        self.maker, self.dice, self.number = maker, Dice(maker.number, 21_000), maker.number
        self.window, self.days = maker.window, maker.days
        self.fails = maker.number % 5 != 4

    def add_to(self, written: dict[str, Any]) -> dict[str, Any]:
        if not self.fails:
            return written
        dice = self.dice
        self.signals = self._signals()
        shifted = [self.failure(f"f{i}") for i in range(dice.one(2, 3))]
        monitors = [self.monitor(signal) for signal in dice.some(*self.signals)][:4]
        if dice.chance(0.4):
            monitors.append({"metric": "truth", "cooldown": dice.one("0d", "1d")})
        for monitor in (*written["monitors"], *written["triggers"]):
            self.sample(monitor)
        asking = [monitor | {"name": f"t-{monitor['name']}"} for monitor in monitors[:1] if "name" in monitor]
        people = {"response": self.response()} if self.number % 3 != 2 else {}
        telemetry = {"telemetry": self.telemetry()} if self.number % 2 else {}
        return written | {
            "signals": self.signals,
            "failures": shifted,
            "monitors": [*written["monitors"], *monitors],
            "triggers": [*written["triggers"], *(asking if dice.chance(0.4) else [])],
            **people,
            **telemetry,
        }

    def lasting(self, *others: Any) -> Any:
        """Nothing, whole windows, or something that ends inside a window."""
        return self.dice.one("0h", hours(self.window), hours(3 * self.window), "17min", *LATE, *others)

    # ------------------------------------------------------------ what happens

    def _signals(self) -> list[dict[str, Any]]:
        dice = self.dice
        follows = {"per_accuracy_lost": dice.one(-0.2, -0.35)}
        clicks = {"name": "clicks", "kind": "proportion", "base": dice.one(0.3, 0.25), **follows}
        clicks |= {
            "layer": "business",
            "daily_noise": dice.one(0, 0.1),
            "counted": dice.one(None, True, False),
        }
        broken = {"name": "broken", "kind": "proportion", "base": dice.one(0, 0.01, 0.05), "layer": "schema"}
        speed = {
            "name": "speed",
            "kind": "mean",
            "base": 20,
            "sd": dice.one(5, 40),
            "layer": "infrastructure",
        }
        speed |= {"per_accuracy_lost": dice.one(0, 30), "daily_noise": dice.one(0, 0.02)}
        found = [
            {"name": "requests", "kind": "throughput"},
            {"name": "age", "kind": "freshness", "age": dice.one("4min", *LATE)},
            broken,
            speed,
            clicks,
        ]
        if self.maker.kind != "recorded":
            group = {"holdout": dice.one(0.1, 0.25), "baseline_accuracy": dice.one(0.4, 0.7)}
            found.append({"name": "lift", "kind": "lift", "of": "clicks", **group})
        return found

    def failure(self, name: str) -> dict[str, Any]:
        dice = self.dice
        whole = [
            hours(self.window * float(i)) for i in dice.rng.integers(3, self.days * 24 / self.window - 3, 4)
        ]
        uneven = [f"{dice.real(1, self.days - 1)}d" for _ in range(3)]
        begins = (
            {"onsets": dice.one(whole, uneven)} if dice.chance(0.7) else {"rate": dice.one("0.1/d", "0.3/d")}
        )
        wished = {
            "name": name,
            **begins,
            "accuracy_drop": dice.one(0, 0.05, 0.2, 0.8),
            "ramp": dice.one("0d", "0d", "4.7h", "2d"),
            "lasts": dice.one(None, None, hours(4 * self.window), *LATE),
            "repair": dice.one(None, None, self.lasting()),
            "cost": dice.one("$0", "$70"),
            "effects": [self.effect(s) for s in self.signals if s["kind"] != "lift" and dice.chance(0.4)],
        }
        if self.maker.slices and dice.chance(0.4):
            wished["slice"] = dice.one(*self.maker.slices)
        if dice.chance(0.5):
            wished["feature_shift"] = {dice.one(*self.maker.features): dice.one(0.5, -2.0)}
        return wished

    def effect(self, signal: dict[str, Any]) -> dict[str, Any]:
        dice = self.dice
        forms: dict[str, list[dict[str, Any]]] = {
            "throughput": [{"factor": 0}, {"factor": 0.7}],
            "freshness": [{"stall": "18h"}, {"stall": "3d"}],
            "proportion": [{"add": 0.2}, {"factor": 0.4}, {"factor": 3}],
            "mean": [{"add": 3}, {"factor": 1.3}],
        }
        return {"signal": signal["name"], **dice.one(*forms[signal["kind"]])}

    # ------------------------------------------------------------ who looks

    def monitor(self, signal: dict[str, Any]) -> dict[str, Any]:
        dice, kind, looks = self.dice, signal["kind"], self.dice.one(1, 1, 3)
        wished: dict[str, Any] = {
            "metric": "signal",
            "signal": signal["name"],
            "name": f"s-{signal['name']}",
            "cooldown": dice.one("0d", "1d"),
            "cost": dice.one("$0/d", "$2/d"),
            "min_samples": dice.one(1, 100),
            "cadence": dice.one(None, hours(self.window * looks)),
        }
        if kind == "freshness":
            return wished | {"deadline": dice.one("3h", "17h"), **self.rule("threshold", "adaptive")}
        if wished["cadence"]:
            wished["window"] = dice.one(None, hours(self.window), wished["cadence"])
        wished |= self.rule("threshold", "threshold", "adaptive", "significance", "cusum", "detector")
        if wished["rule"] in ("threshold", "adaptive"):
            wished["sampling"] = dice.one("multinomial", "none")
            if wished["cadence"]:
                wished["window"] = dice.one(hours(self.window * looks), hours(self.window * 5))
        wished |= self.measured(signal)
        if kind in ("proportion", "mean"):
            self.sample(wished)
        if "sampling_rate" in wished and kind == "proportion" and dice.chance(0.6):
            wished["hit_sampling_rate"] = dice.one(1.0, 0.5)
        if wished["rule"] == "threshold":
            high = wished.get("measure") == "level" or (kind == "proportion" and "direction" not in wished)
            wished["threshold"] = (
                signal.get("base", 0.0) * 1.3017 + 0.003 if high else dice.one(0.1017, 0.3017)
            )
        return wished

    def measured(self, signal: dict[str, Any]) -> dict[str, Any]:
        """Which way is bad, and whether the level or its change is measured."""
        dice, kind = self.dice, signal["kind"]
        if signal.get("base") == 0:
            return dice.one({}, {"measure": "level"})
        if kind in ("throughput", "lift"):
            return dice.one({}, {"direction": "both"})
        ways = [{"direction": "down"}, {"direction": "both"}, {"direction": "up", "measure": "change"}]
        return dice.one({}, {"measure": "level"}, *ways)

    def rule(self, *rules: str) -> dict[str, Any]:
        dice = self.dice
        rule = dice.one(*rules)
        fields: dict[str, dict[str, Any]] = {
            "significance": {"false_alarms": dice.one("12/y", "80/y")},
            "adaptive": {"limits": {"trailing": dice.one("5d", "8d"), "deviations": 2, "min_looks": 4}},
            "cusum": {"threshold": dice.one(3.0, 6.0)},
            "detector": {"detector": dice.one(*DETECTORS)},
        }
        return {"rule": rule, **fields.get(rule, {})}

    def sample(self, monitor: dict[str, Any]) -> None:
        """Look at a share of the requests instead of a number of rows."""
        if monitor["metric"] in ("accuracy", "slice_accuracy") or not self.dice.chance(0.3):
            return
        monitor.pop("rows", None)
        monitor["sampling_rate"] = self.dice.one(0.013, 0.21)

    # ------------------------------------------------------------ who answers, and through what

    def response(self) -> dict[str, Any]:
        dice = self.dice
        snooze = {"after": dice.one(1, 2), "duration": dice.one("7h", "2d"), "ticket": dice.one("0h", "2h")}
        return {
            "triage": self.lasting(),
            "repair": self.lasting(),
            "hourly_cost": "$80/h",
            "consolidation": dice.one("0h", "1h", "1d"),
            "fatigue": {"strength": dice.one(0, 0.8, 1), "memory": dice.one(2, 20)},
            "snooze": dice.one(None, snooze),
        }

    def telemetry(self) -> dict[str, Any]:
        dice = self.dice
        outages = {
            "rate": dice.one("0.2/d", "0.5/d"),
            "unnoticed": dice.one("1d", *LATE),
            "heartbeat": dice.one(None, "6h"),
            "redundant": dice.one(False, True),
        }
        return {
            "retention": dice.one("30d", [{"every": "1h", "keep": "7d"}, {"every": "1d", "keep": "90d"}]),
            "metrics": dice.one(None, {"series": 50, "deployments": 3}),
            "dashboards": dice.one(None, {"count": 3, "users": 5}),
            "outages": dice.one(None, outages, outages),
        }
