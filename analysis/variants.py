"""Variants of one system in the same worlds: other operations, other policies, or both.

A variant is a scenario under some overlays, played under one policy. Where an overlay changes only how the system is
run (monitors, people, pipeline, deployment), all variants of a replication meet the very same world; where it changes
the world itself, that world is drawn again from the same seed, so that whatever both have in common stays alike.

Grammar: NAME[=OVERLAY[+OVERLAY...]][@POLICY]. A name alone is that of an overlay; `base` is the scenario as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.comparison import (
    MAX_REPLICATIONS,
    AnyPolicy,
    Comparison,
    batches_of,
    check_plan,
    is_precise,
    row_of,
)
from analysis.entrants import entrant_of, play_in, world_for
from analysis.extra_figures import extra_figures
from analysis.feasibility import warnings_for
from analysis.progress import progress_of
from analysis.workers import in_order
from scenarios.overlays import Overlay, overlaid
from scenarios.policies import parse_policy
from scenarios.schema import Scenario, check_scenario
from scenarios.units import HOURS_PER_DAY
from sim.policies import Policy
from sim.randomness import check_seed
from sim.record import Result
from sim.world import World, differing_fields

DEFAULT_REPLICATIONS = 30
EXAMPLE = "'night=ad_hoc@scheduled:90d', 'scalable' or 'both=scalable+canary.yaml'"
_GRAMMAR = re.compile(r"(?P<name>[^=@+]+)(?:=(?P<overlays>@?[^@+]+(?:\+@?[^@+]+)*))?(?:@(?P<policy>.+))?")
_MEANS = {"mttd_hours": "detection", "mtta_hours": "acknowledgement", "mttr_hours": "repair"}
_COUNTS = ("incidents", "incidents_undetected", "pages", "false_pages", "missed_targets", "work_hours")


@dataclass(frozen=True)
class Variant:
    """A way to run the system."""

    name: str
    overlays: tuple[Overlay, ...] = ()
    """Put over the scenario in order."""
    policy: AnyPolicy | None = None
    """The first policy of the scenario under the overlays when None."""


@dataclass(frozen=True, repr=False)
class VariantComparison(Comparison):
    """What a comparison of variants found; `runs` has one row a variant (column `policy`) and replication."""

    scenarios: dict[str, Scenario] = field(default_factory=dict, repr=False)
    """The scenario of each variant."""

    def __str__(self) -> str:
        """The tables and the verdict, as `halflife compare --variant` prints them."""
        from analysis.report_variants import variants_text

        return variants_text(self)

    def headline(self) -> str:
        """How many variants in how many worlds, and the verdict."""
        return f"{self.scenario.title}, {len(self.names)} variants in {self.replications} worlds: {self.verdict()}"

    @cached_property
    def baseline(self) -> str:
        """The first variant."""
        return self.names[0]

    def table(self) -> pd.DataFrame:
        """One row a variant: annual cost with half-width, accuracy, retrainings, and what tells operations apart.

        mttd, mtta, mttr: from the onset of an incident to its detection, from its page to a person at the keyboard
        (NaN without a rotation), from its onset to its end by a repair; decay_mttr: from a material loss of accuracy by
        decay to the next model. All over all incidents of all replications that got so far, in hours; NaN where none
        did. Counts a year.
        """
        rows = {}
        for name in self.names:
            cost = self.interval(name, "annual_cost")
            rows[name] = {
                "annual_cost": cost.mean,
                "half_width": cost.half_width,
                "mean_accuracy": self.interval(name, "mean_accuracy").mean,
                "retrains_per_year": self._per_year(name, "retrains"),
                **{f"{count}_per_year": self._per_year(name, count) for count in _COUNTS},
                **{column: self._pooled(name, part) for column, part in _MEANS.items()},
                "decay_mttr_hours": self._pooled(name, "recovery"),
                **{column: self.interval(name, column).mean for column in extra_figures(self.runs)},
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("variant")

    def returns(self) -> pd.DataFrame:
        """What each variant but the first saves and spends a year beside the first, and the ratio of the two.

        saves: in the categories of cost in which it is cheaper on average; spends: in those in which it is dearer. roi:
        saves / spends, NaN where nothing is spent. Source: chapter, 'Single-Model ROI Calculation'.
        """
        columns = [column for column in self.runs.columns if column.startswith("cost[")]
        rows = {}
        for name in self.names[1:]:
            more = [self._per_year(name, c) - self._per_year(self.baseline, c) for c in columns]
            dust = 1e-9 * abs(self.interval(self.baseline, "annual_cost").mean)
            more = [m for m in more if abs(m) > dust]
            spends, saves = math.fsum(m for m in more if m > 0.0), math.fsum(-m for m in more if m < 0.0)
            rows[name] = {"saves": saves, "spends": spends, "roi": saves / spends if spends else math.nan}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("variant")

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `halflife compare --variant --json`."""
        from analysis.report_variants import variants_document

        return variants_document(self)

    def save(self, folder: Any) -> list[Any]:
        """Write tables, data and pictures into a folder; returns the files."""
        from analysis.report_variants import save_variants

        return save_variants(self, folder)

    def replay(self, policy: str, replication: int = 0) -> Result:
        """Run one replication of a variant again, alone, with its full trace."""
        if policy not in self.entrants:
            raise ValueError(f"variant {policy!r} was not compared, one of: {', '.join(self.entrants)}")
        world = World(self.scenarios[policy], self.seed, replication)
        result = play_in(world_for(self.entrants[policy], world), self.entrants[policy])
        return replace(result, policy=policy)

    def _pooled(self, name: str, part: str) -> float:
        """Mean hours over all incidents of all replications."""
        count = float(self.values(name, f"{part}s").sum())
        return float(self.values(name, f"{part}_hours_in_all").sum()) / count if count else math.nan


def parse_variant(text: str) -> Variant:
    """Read a variant from its short form. Raises ValueError that says what would be right.

    >>> parse_variant("night=ad_hoc+own.yaml@scheduled:90d")
    Variant(name='night', overlays=('ad_hoc', 'own.yaml'), policy='scheduled:90d')
    >>> parse_variant("scalable"), parse_variant("now=@answers.yaml")
    (Variant(name='scalable', overlays=('scalable',), policy=None), Variant(name='now', overlays=('answers.yaml',), \
policy=None))
    """
    found = _GRAMMAR.fullmatch(text.strip())
    if found is None or not found["name"].strip():
        raise ValueError(f"variant {text!r}: expected NAME[=OVERLAY[+OVERLAY]][@POLICY], such as {EXAMPLE}")
    name = found["name"].strip()
    overlays = (found["overlays"] or name).split("+")
    return Variant(name, tuple(part.strip().removeprefix("@") for part in overlays), found["policy"])


def compare_variants(
    scenario: Scenario,
    variants: Mapping[str, Any] | Sequence[Variant | str],
    *,
    replications: int | None = None,
    precision: float | None = None,
    max_replications: int = MAX_REPLICATIONS,
    seed: int = 0,
    workers: int | None = None,
    progress: bool = False,
) -> VariantComparison:
    """Run variants of a scenario in the same worlds, and say what they cost and how their incidents go.

    variants: of each name an overlay (a name, a path or a partial scenario), or overlay and policy, or a list of
    overlays and policy: `{"now": ("ad_hoc", "scheduled:90d"), "then": "scalable"}`; or short forms; the first is the
    baseline. Without a policy, the first one of the scenario under its overlays. The other parameters as in `compare`.
    Raises ValueError for an overlay, policy or number that does not fit, and for another horizon or currency.

    >>> import scenarios
    >>> found = compare_variants(scenarios.load("rotting_asset"), {"as is": "base", "slow": {"pipeline": {"stages":
    ...     {"training": "30d"}}}}, replications=2, workers=1)
    >>> found.names
    ['as is', 'slow']
    """
    check_scenario(scenario)
    check_seed("seed", seed)
    check_plan(replications, precision, max_replications)
    wanted = _variants_of(variants)
    scenarios: dict[str, Scenario] = {}
    entrants: dict[str, Policy] = {}
    intervals: dict[str, float] = {}
    for variant in wanted:
        try:
            scenarios[variant.name] = found = overlaid(scenario, list(variant.overlays))
            _check_same_account(scenario, found)
            entrants[variant.name], interval = entrant_of(found, _policy_of(variant, found), seed, workers)
        except ValueError as error:
            raise ValueError(f"variant {variant.name}: {error}") from None
        if interval is not None:
            intervals[variant.name] = interval
    notes = _notes(scenarios, entrants, replications if precision is None else None)
    rows: list[dict[str, Any]] = []
    expected = None if precision else replications or DEFAULT_REPLICATIONS
    with progress_of(progress, "replications", expected) as step:
        for batch in batches_of(replications, precision, max_replications):
            tasks = [(scenarios, entrants, seed, number) for number in batch]
            for of_world in in_order(play_variants, tasks, workers):
                rows += of_world
                step()
            comparison = VariantComparison(
                scenario, list(entrants), pd.DataFrame(rows), seed, entrants, intervals, notes, scenarios
            )
            if precision is not None and is_precise(comparison, precision):
                break
        else:
            if precision is not None:
                notes.append(
                    f"after {max_replications} replications the interval of {comparison.best} is still wider than "
                    f"{precision:.1%} of its cost"
                )
    return comparison


def play_variants(
    scenarios: Mapping[str, Scenario], entrants: Mapping[str, Policy], seed: int, replication: int
) -> list[dict[str, Any]]:
    """Play one world under every variant; variants whose worlds do not differ share it."""
    worlds: list[World] = []
    rows = []
    for name, scenario in scenarios.items():
        for known in worlds:
            if not differing_fields(known.scenario, scenario):
                world = known.for_scenario(scenario)
                break
        else:
            world = World(scenario, seed, replication)
            worlds.append(world)
        rows.append(_variant_row(name, play_in(world_for(entrants[name], world), entrants[name])))
    return rows


def _variant_row(name: str, result: Result) -> dict[str, Any]:
    """The columns of a comparison, and what means over incidents are made of."""
    known = result.raw_incidents
    hours = {
        "detection": [i.detected - i.onset.time for i in known if i.detected is not None],
        "acknowledgement": result.waits,
        "repair": [i.resolved - i.onset.time for i in known if i.resolved is not None],
        "recovery": recoveries(result),
    }
    worked = sum(work.end - work.start for work in result.work) * HOURS_PER_DAY
    row = {"missed_targets": 0.0, "work_hours": worked, **row_of(name, result)}
    for part, found in hours.items():
        row[f"{part}s"] = float(len(found))
        row[f"{part}_hours_in_all"] = HOURS_PER_DAY * math.fsum(found)
    return row


def recoveries(result: Result) -> list[float]:
    """Days from each material loss of accuracy by decay to the model that replaced the one that lost it."""
    window = result.scenario.window
    replaced = {champion.version.number for champion in list(result.champions)[:-1]}
    return [
        end - (lost + 1) * window
        for champion, lost, end in result.losses()
        if champion.version.number in replaced
    ]


def _variants_of(given: Mapping[str, Any] | Sequence[Variant | str]) -> list[Variant]:
    if isinstance(given, Mapping):
        wanted = [_variant_from(str(name), value) for name, value in given.items()]
    else:
        wanted = [parse_variant(one) if isinstance(one, str) else one for one in given]
    names = [variant.name for variant in wanted]
    if len(names) < 2:
        raise ValueError(f"variants: got {len(names)}, expected two or more to compare, such as {EXAMPLE}")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"variant {name!r} is there twice, expected different names")
    return wanted


def _variant_from(name: str, value: Any) -> Variant:
    """A variant as Python code gives it: an overlay, or (overlay or list of overlays, policy)."""
    if isinstance(value, Variant):
        return replace(value, name=name)
    if isinstance(value, tuple) and len(value) != 2:
        raise ValueError(f"variant {name!r}: got {value!r}, expected (overlay, policy)")
    overlays, policy = value if isinstance(value, tuple) else (value, None)
    many = overlays if isinstance(overlays, list) else [] if overlays is None else [overlays]
    return Variant(name, tuple(many), policy)


def _policy_of(variant: Variant, scenario: Scenario) -> Any:
    if variant.policy is None:
        return scenario.first_policy
    return parse_policy(variant.policy) if isinstance(variant.policy, str) else variant.policy


def _check_same_account(scenario: Scenario, other: Scenario) -> None:
    """Raise ValueError for a scenario whose money or time cannot be put beside that of the first."""
    for name in ("horizon", "currency"):
        if getattr(scenario, name) != getattr(other, name):
            raise ValueError(
                f"{name}: the overlay changes it, and what is compared must be played over the same time and paid in "
                f"the same money; use --set {name}=... for all"
            )


def _notes(
    scenarios: Mapping[str, Scenario], entrants: Mapping[str, Policy], replications: int | None
) -> list[str]:
    """Warnings of the variants: those of all of them once, others with the variant's name."""
    first = next(iter(scenarios))
    found: dict[str, list[str]] = {}
    for name, scenario in scenarios.items():
        for warning in warnings_for(scenario, [entrants[name]], replications):
            found.setdefault(warning, []).append(name)
    notes = [
        text if len(names) == len(scenarios) else f"{', '.join(names)}: {text}"
        for text, names in found.items()
    ]
    for name, scenario in scenarios.items():
        fields = differing_fields(scenarios[first], scenario)
        if fields:
            notes.append(
                f"{name}: changes {_and(fields)}, which the world itself depends on: its worlds are drawn again from "
                f"the same seed, so that its difference to {first} is partly theirs"
            )
    return notes


def _and(names: Iterable[str]) -> str:
    return " and ".join(names)
