"""Scenarios made by a seeded generator, so that no case is picked by hand."""

from __future__ import annotations

import math
from typing import Any

from plain_dice import Dice, hours
from plain_watching import Watching

from scenarios.loader import validate_mapping
from scenarios.monitoring import SCORES
from scenarios.schema import Scenario

OPEN: dict[str, str] = {}
"""Disagreements in which the engine is wrong: strict expected failures below, and not drawn by the generator.

Whoever mends one removes its line: the minimal case must pass then, and the generator draws the feature.
"""

SCENARIOS = 20
SLOW_SCENARIOS = range(SCENARIOS, 128)
STAGES = ("data_validation", "training", "evaluation", "registration", "deployment")
FEATURE_METRICS = (*(f"feature_drift_{score}" for score in SCORES), "prediction_distribution_shift")


class Maker:
    """One random scenario; what every run must meet is dealt by its number, the rest by dice."""

    def __init__(self, number: int) -> None:
        self.number, self.dice = number, Dice(number)
        self.kind = ("degradation", "exponential", "degradation", "recorded")[number % 4]
        self.follows = number % 8 == 0
        self.answers = number % 4 in (0, 1, 2) and (number // 4 + number) % 2 == 0
        if self.follows and "follows the answer after rejections" in OPEN:
            self.answers = False
        self.labelled = number % 7 != 6
        self.at_once = number % 3 == 1
        if self.follows and "follows without labels" in OPEN:
            self.labelled = True
        # Windows of 1/16 to 1/4 day have exact ends; with the others, ends of windows are subject to rounding.
        exact = self.answers or number % 3 > 0 or (number >= SCENARIOS and "luck of a moment" in OPEN)
        self.window = self.dice.one(*((1.5, 3.0, 6.0) if exact else (1.0, 2.0, 4.0)))
        count = 80 if self.follows else self.dice.one(96, 128, 160)
        self.days = min(max(round(count * self.window / 24), 10), 30)
        self.features = [f"x{i}" for i in range(self.dice.one(1, 2, 3))]
        slices = 0 if self.kind == "recorded" else self.dice.one(0, 2, 3)
        self.slices = [f"s{i}" for i in range(slices)]
        self.mode = (
            "incremental" if self.follows else self.dice.one("from_scratch", "warm_start", "incremental")
        )
        if self.kind == "recorded":
            self.mode = "from_scratch"
        # Every deployment of such a run falls on the end of a window.
        self.whole_windows = self.answers and "answer in a shared window" in OPEN

    def scenario(self) -> Scenario:
        dice = self.dice
        written: dict[str, Any] = {
            "title": f"random {self.number}",
            "horizon": f"{self.days}d",
            "window": hours(self.window),
            "value_per_query_per_unit_accuracy": dice.one("$0.01", "$0.5"),
            "features": [{"name": name, "weight": dice.one(1.0, 0.5, 2.0)} for name in self.features],
            "slices": [self.slice(name) for name in self.slices],
            "quality": self.quality(),
            "drift": self.drift(),
            "traffic": self.traffic(),
            "labels": self.labels() if self.labelled else "none",
            "pipeline": self.pipeline(),
        }
        written["triggers"] = [self.monitor(f"t{i}") for i in range(dice.one(1, 2, 3))]
        written["monitors"] = [self.monitor(f"m{i}") for i in range(dice.one(0, 1, 2))]
        return validate_mapping(Watching(self).add_to(written))

    def policies(self) -> list[str]:
        uneven = hours(10 * self.window) if self.whole_windows else "31h"
        often = self.dice.one("votes=2", "cooldown=2d", "budget=60/y")
        names = ["never", f"scheduled:{uneven}", "triggered", f"triggered+{often}", "hybrid:4d", "random:6"]
        if self.kind != "recorded":
            names.append("continuous:1d")
        unsafe = self.at_once and "repeats at once" in OPEN
        return [*names, "cost-aware"] if self.labelled and not unsafe else names

    def slice(self, name: str) -> dict[str, Any]:
        own = {"initial_accuracy": 0.85} if self.dice.chance(0.5) else {}
        decays = {"decay": "4%/d"} if self.kind == "exponential" and self.dice.chance(0.5) else {}
        return {"name": name, "weight": self.dice.real(0.1, 0.3), **own, **decays}

    def quality(self) -> dict[str, Any]:
        dice = self.dice
        if self.kind == "exponential":
            return {
                "kind": self.kind,
                "initial_accuracy": dice.real(0.8, 0.95),
                "decay": dice.one("0.5%/d", "1%/d", "3%/d"),
            }
        if self.kind == "degradation":
            return {
                "kind": self.kind,
                "initial_accuracy": dice.real(0.8, 0.97),
                "feature_sensitivity": dice.real(0.005, 0.05),
                "concept_sensitivity": dice.real(0.02, 0.1),
                "floor": dice.one(0.0, 0.5, 0.7),
            }
        period = 8 * self.window
        periods = math.ceil(self.days * 24 / period) + 1
        noise = 0.01 * dice.rng.standard_normal((periods, periods))
        rows = [
            [math.nan if t <= k else max(0.3, 0.95 - 0.02 * (t - k) + noise[k, t]) for t in range(periods)]
            for k in range(periods - 1)
        ]
        return {"kind": self.kind, "matrix": {"rows": rows}, "period": hours(period)}

    def drift(self) -> list[dict[str, Any]]:
        kinds = ["ramp", "random_walk", "ornstein_uhlenbeck", "jumps", "seasonal", "recorded"]
        chosen = [str(kind) for kind in self.dice.rng.choice(kinds, size=3, replace=False)]
        return [self.component(kind) for kind in [*chosen, *(["adversarial"] if self.answers else [])]]

    def component(self, kind: str) -> dict[str, Any]:
        dice = self.dice
        series = {"step": "2d", "values": [round(float(x), 3) for x in dice.rng.normal(0.0, 0.3, size=10)]}
        forms: dict[str, dict[str, Any]] = {
            "ramp": {"rate": f"{dice.real(-0.05, 0.08)}/d", "start": dice.one("0d", "3d")},
            "random_walk": {"volatility": f"{dice.real(0.02, 0.2)}/sqrt(d)"},
            "ornstein_uhlenbeck": {"stationary_sd": 0.2, "relaxation": "3d"},
            "jumps": {"rate": "0.15/d", "mean": 0.3, "sd": 0.2, "recovery": dice.one("4d", None)},
            "seasonal": {
                "amplitude": 0.3,
                "period": dice.one("7d", "1d"),
                "shape": dice.one("sine", "square"),
            },
            "recorded": {"series": series},
            "adversarial": {
                "delay": dice.one("0h", "5h", "20h", "2d"),
                "mean": dice.one(0.2, 0.5),
                "sd": dice.one(0.0, 0.1),
            },
        }
        moved: dict[str, Any] = {"on": dice.one("features", "concept")}
        if moved["on"] == "features" and dice.chance(0.5):
            moved["features"] = [dice.one(*self.features)]
        if self.slices and dice.chance(0.4):
            moved["slice"] = dice.one(*self.slices)
        return {"kind": kind, **forms[kind], **moved}

    def traffic(self) -> dict[str, Any]:
        dice = self.dice
        if dice.chance(0.4):
            return {"rate": dice.one("2400/d", "9677/d"), "arrivals": "deterministic"}
        crowds = {"bursts": {"rate": "0.1/d", "factor": 3, "duration": "8h"}} if dice.chance(0.3) else {}
        return {
            "rate": dice.one("2400/d", "9600/d", "48000/d"),
            "daily_profile": [0.4, 1.0, 1.6, 1.0],
            **crowds,
        }

    def labels(self) -> dict[str, Any]:
        late: list[Any] = [
            {"kind": "lognormal", "median": "6h", "p95": "2d"},
            {"kind": "exponential", "mean": "9h"},
        ]
        return {
            "coverage": self.dice.one(1.0, 0.1, 0.5),
            "cost": self.dice.one("$0", "$0.01"),
            "delay": self.dice.one("0h", "5h", "30h", *late),
        }

    def pipeline(self) -> dict[str, Any]:
        dice = self.dice
        cost = {"compute": dice.one("$50", "$400"), "validation": "$20", "deployment": "$10", "risk": "$5"}
        wished: dict[str, Any] = {
            "stages": {
                name: {"duration": self.lasting(name), "failure": dice.one(0, 0, 0.2)} for name in STAGES
            },
            "cost": cost,
            "capacity": dice.one(1, 1, 2),
            "max_retries": dice.one(0, 1, 2),
            "retry_delay": dice.one("0h", hours(self.window)),
            "training_noise": dice.one(0, 0.005),
            "training_window": dice.one("0d", "2d"),
            "learning": {"mode": self.mode} | ({"time_constant": "4d"} if self.follows else {}),
        }
        if self.kind == "recorded" and "recorded reference of many windows" in OPEN:
            wished["training_window"] = "0d"
        if self.kind != "recorded":
            wished["gate"] = dice.one(None, {"holdout": 500, "margin": dice.one(-0.01, 0)})
        if dice.chance(0.3):
            wished["bad_training"] = {"probability": 0.2, "loss": 0.05}
        return wished

    def lasting(self, stage: str) -> Any:
        """Duration of a stage: none, whole windows, or something that ends inside a window."""
        if stage == "data_validation" and not self.at_once:
            return hours(self.window)
        if self.whole_windows:
            return "0h" if stage == "training" else self.dice.one("0h", hours(self.window))
        uneven: list[Any] = [
            "17min",
            hours(0.5 * self.window),
            {"kind": "uniform", "low": "1h", "high": "5h"},
        ]
        skewed = {"kind": "lognormal", "median": "2h", "p95": "9h"}
        return self.dice.one("0h", hours(self.window), *uneven, skewed)

    def monitor(self, name: str) -> dict[str, Any]:
        dice = self.dice
        metrics = list(FEATURE_METRICS)
        if self.labelled:
            metrics += ["accuracy"] * 3 + (["slice_accuracy"] * 2 if self.slices else [])
        metric, looks = dice.one(*metrics), dice.one(1, 2, 5)
        labelled = metric in ("accuracy", "slice_accuracy")
        rules = ["threshold", "threshold", "cusum", "significance", "adaptive", "detector"]
        if metric == "accuracy":
            rules.append("staleness_cost")
        rule = dice.one(*rules)
        tested = rule in ("cusum", "significance", "detector") and not labelled
        noise = (
            ("multinomial", "normal") if tested or rule == "detector" else ("multinomial", "normal", "none")
        )
        wished: dict[str, Any] = {
            "metric": metric,
            "name": name,
            "rule": rule,
            "cadence": hours(self.window * looks),
            "window": hours(self.window * dice.one(1, looks, looks if rule in ("cusum", "detector") else 8)),
            "cooldown": dice.one("0d", "1d", "3d"),
            "sampling": dice.one(*noise),
            "cost": dice.one("$0/d", "$3/d"),
            "min_samples": dice.one(1, 100),
        }
        if rule in ("cusum", "detector"):
            wished["window"] = dice.one(hours(self.window), wished["cadence"])
        wished |= self.on_labels(metric, rule) if labelled else self.on_rows(metric, rule)
        wished |= self.of_rule(rule, labelled)
        if labelled and wished.get("detector", "cusum") not in ("shewhart", "cusum", "ewma"):
            del wished["window"], wished["min_samples"]
        return wished

    def of_rule(self, rule: str, labelled: bool) -> dict[str, Any]:
        dice = self.dice
        correction = {} if labelled else {"correction": dice.one("family_wise", "benjamini_hochberg")}
        if rule == "significance":
            return {"false_alarms": dice.one("4/y", "40/y", "80/y"), "threshold": None, **correction}
        if rule == "adaptive":
            limits = {"trailing": dice.one("5d", "8d"), "deviations": dice.one(1.5, 3), "min_looks": 4}
            return {"limits": limits, "threshold": dice.one(None, 0.1)}
        if rule == "detector":
            charts = [
                "shewhart",
                "cusum",
                "ewma",
                "adwin",
                {"kind": "kswin", "window_size": 20, "stat_size": 8},
            ]
            errors = ["ddm", "eddm", {"kind": "hddm_a", "drift_confidence": 0.004}, "hddm_w"]
            slow = {"kind": "page_hinkley", "min_instances": 5, "threshold": 5}
            detector = dice.one(*charts, slow, *(errors if labelled else []))
            return {"detector": detector, "threshold": None, **correction}
        return correction if rule == "cusum" else {}

    def on_labels(self, metric: str, rule: str) -> dict[str, Any]:
        dice = self.dice
        references = ["first_window"] if self.kind == "recorded" else ["validation", "first_window"]
        return {
            # Not round: a share of correct labels must not equal a threshold but for rounding.
            "threshold": dice.one(3.0, 6.0) if rule == "cusum" else dice.one(0.0101234, 0.0301234),
            "reference": dice.one(*references),
            "rows": dice.one(None, None, 50, 200),
            "slice": dice.one(*self.slices) if metric == "slice_accuracy" else None,
        }

    def on_rows(self, metric: str, rule: str) -> dict[str, Any]:
        dice = self.dice
        usual = 0.1 if metric in ("feature_drift_psi", "feature_drift_ks") else 0.02
        if rule == "cusum":
            usual = 3.0
        some = [dice.one(*self.features)]
        return {
            "threshold": usual * dice.one(0.5017, 1.0017, 2.0017),
            "features": dice.one("all", "all", some),
            "rows": dice.one(100, 400),
            "reference_rows": dice.one(500, 100_000),
            "bins": dice.one(2, 5, 8),
            "aggregate": dice.one("max", "mean") if rule in ("threshold", "adaptive") else "max",
        }
