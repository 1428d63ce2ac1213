"""The one task that executors run: play a part of a sweep, write it, and give back a receipt.

A task is a folder and a number; what to play stands in the folder's manifest, and what was played goes into a file
there. Nothing large ever travels between processes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.designs import Design, Variant
from analysis.durable_files import sha256
from analysis.entrants import entrant_of, play_in, world_for
from analysis.store import MANIFEST, Store, open_store
from scenarios.loader import validate_mapping
from scenarios.policies import PolicySpec
from scenarios.schema import Scenario
from sim.ledger import CATEGORIES
from sim.policies import Policy
from sim.record import Result
from sim.world import World

if TYPE_CHECKING:
    import pyarrow as pa

SECONDS_PER_PART = 2.0
"""About how long a task takes, by the rule of thumb of `run_size`; it decides where parts end, never a clock."""
MAX_ROWS_PER_PART = 2000
TUNING_RUNS = 40
"""Runs that finding the best schedule of a variant takes, about."""


@dataclass(frozen=True)
class Task:
    """One part of the sweep in a folder."""

    folder: str
    part: int
    manifest: str
    """Checksum of the folder's manifest: a folder can be deleted and made again while workers live on."""
    own_policies: bytes = b""
    """Policies of the user's own, pickled by name: a manifest cannot hold them."""


@dataclass(frozen=True)
class Receipt:
    """What a finished task says."""

    part: int
    checksum: str
    runs: int
    seconds: float


@dataclass(frozen=True)
class Experiment:
    """What is played: the scenario, its variants, policies and replications."""

    scenario: Scenario
    design: Design
    policies: Sequence[PolicySpec | Policy]
    replications: int
    seed: int
    bases: dict[str, Scenario] = field(default_factory=dict)
    """The scenario under each overlay."""

    def scenario_of(self, variant: Variant) -> Scenario:
        """The scenario of a variant. Raises ValueError, naming the variant, where it is not valid."""
        try:
            return self._base(variant.overlay).with_(**variant.overrides)
        except ValueError as error:
            raise ValueError(f"{variant}: {error}") from None

    def entrants(self, variant: Variant, scenario: Scenario) -> dict[str, tuple[Policy, float]]:
        """Policies of a variant with the interval (days) that was tuned for it, NaN for none."""
        found: dict[str, tuple[Policy, float]] = {}
        for spec in self.policies:
            try:
                policy, interval = entrant_of(scenario, spec, self.seed)
            except ValueError as error:
                raise ValueError(f"{variant}: {error}") from None
            found[spec.name] = (policy, float("nan") if interval is None else interval)
        return found

    def play(self, numbers: range, replications: range) -> Iterator[dict[str, Any]]:
        """Rows of these variants and replications: all policies of a replication meet the same world.

        Rows come by variant, replication and policy. Worlds of the same replication share their random numbers
        across variants too.
        """
        for variant in self.design.variants(numbers):
            scenario = self.scenario_of(variant)
            entrants = self.entrants(variant, scenario)
            for replication in replications:
                world = World(scenario, self.seed, replication)
                for name, (policy, interval) in entrants.items():
                    yield _row(variant.index, name, interval, play_in(world_for(policy, world), policy))

    def _base(self, overlay: str) -> Scenario:
        if overlay not in self.bases:
            whole = self.design.overlays.get(overlay)
            found = self.scenario if whole is None else validate_mapping(whole, source=f"overlay {overlay}")
            self.bases[overlay] = found
        return self.bases[overlay]


@dataclass(frozen=True)
class Division:
    """Where parts end: whole variants, or some replications of one variant where these are many or long."""

    variants: int
    replications: int
    variants_per_part: int
    replications_per_part: int

    @property
    def count(self) -> int:
        """Number of parts."""
        return -(-self.variants // self.variants_per_part) * self.parts_per_variant

    @property
    def parts_per_variant(self) -> int:
        """Parts that one variant (or group of variants) takes."""
        return -(-self.replications // self.replications_per_part)

    def part(self, number: int) -> tuple[range, range]:
        """Variants and replications of a part."""
        group, piece = divmod(number, self.parts_per_variant)
        first, start = group * self.variants_per_part, piece * self.replications_per_part
        return (
            range(first, min(first + self.variants_per_part, self.variants)),
            range(start, min(start + self.replications_per_part, self.replications)),
        )

    def to_dict(self) -> dict[str, int]:
        """The division as the manifest has it."""
        return {
            "count": self.count,
            "variants_per_part": self.variants_per_part,
            "replications_per_part": self.replications_per_part,
        }


def divide(experiment: Experiment) -> Division:
    """Parts of about SECONDS_PER_PART, by a rule that knows only the scenario: never the machine or the executor.

    So that a sweep has the same parts everywhere, and its store the same bytes.
    """
    size = run_size(experiment.scenario)
    each = len(experiment.policies)
    tuning = TUNING_RUNS * sum(isinstance(p, PolicySpec) and p.tuned for p in experiment.policies)
    of_variant = (experiment.replications * each + tuning) * size
    rows = experiment.replications * each
    variants = max(min(int(SECONDS_PER_PART / of_variant), MAX_ROWS_PER_PART // rows), 1)
    replications = experiment.replications
    if variants == 1:
        most = max(int((SECONDS_PER_PART - tuning * size) / (each * size)), tuning // each, 1)
        replications = max(min(replications, most, MAX_ROWS_PER_PART // each), 1)
    return Division(len(experiment.design), experiment.replications, variants, replications)


def run_size(scenario: Scenario) -> float:
    """Seconds that one run takes, to a factor of a few: it grows with the cells of the data plane."""
    cells = scenario.windows * len(scenario.slice_names) * (1 + len(scenario.features))
    return 0.001 + 1e-6 * cells


def perform(task: Task) -> Receipt:
    """Play a part, write it, and give its receipt.

    Raises ValueError for a variant that is not valid and where the folder has another sweep by now, OSError.
    """
    start = time.perf_counter()
    _refuse_another_sweep(task)
    store, experiment, division = _experiment_in(task.folder, task.manifest, task.own_policies)
    rows = list(experiment.play(*division.part(task.part)))
    checksum = store.write_part(task.part, part_table(rows))
    return Receipt(task.part, checksum, len(rows), time.perf_counter() - start)


def part_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of runs as a table: one column a figure."""
    import pyarrow as pa

    columns = {name: [row[name] for row in rows] for name in rows[0]}
    kinds = {"variant": pa.int64(), "replication": pa.int32(), "policy": pa.string()}
    return pa.table(
        {name: pa.array(values, kinds.get(name, pa.float64())) for name, values in columns.items()}
    )


def _refuse_another_sweep(task: Task) -> None:
    """Raise ValueError where the folder's manifest is not the one that the task belongs to."""
    try:
        there = sha256((Path(task.folder) / MANIFEST).read_bytes())
    except FileNotFoundError:
        there = "none"
    if there != task.manifest:
        raise ValueError(
            f"{task.folder}: the sweep of part {task.part} is no longer there, expected a {MANIFEST} with SHA-256 "
            f"{task.manifest[:12]}, got {there[:12]}"
        )


@lru_cache(maxsize=2)
def _experiment_in(folder: str, manifest: str, own_policies: bytes) -> tuple[Store, Experiment, Division]:
    """The experiment that a folder's manifest (by its checksum) describes; read once by each process."""
    store = open_store(Path(folder))
    experiment = experiment_of(store, own_policies)
    parts = store.manifest["parts"]
    division = Division(
        len(experiment.design),
        experiment.replications,
        parts["variants_per_part"],
        parts["replications_per_part"],
    )
    return store, experiment, division


def experiment_of(store: Store, own_policies: bytes = b"") -> Experiment:
    """The experiment of a store."""
    import pickle

    own: dict[str, Policy] = pickle.loads(own_policies) if own_policies else {}
    manifest = store.manifest
    policies: list[PolicySpec | Policy] = [
        own[entry["name"]] if entry["name"] in own else PolicySpec.model_validate(entry)
        for entry in manifest["policies"]
    ]
    return Experiment(
        validate_mapping(manifest["scenario"]["content"]),
        Design.from_dict(manifest["design"]),
        policies,
        manifest["replications"],
        manifest["seed"],
    )


def _row(variant: int, name: str, interval: float, result: Result) -> dict[str, Any]:
    costs = result.costs.to_dict()
    return {
        "variant": variant,
        "policy": name,
        "replication": result.replication,
        **{str(key): float(value) for key, value in result.summary.to_dict().items()},
        "tuned_interval_days": interval,
        **{f"cost[{category}]": float(costs[category]) for category in CATEGORIES},
    }
