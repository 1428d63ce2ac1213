"""A sweep: every variant of a design under every policy, in many worlds, stored so that nothing is ever lost.

`sweep` plays it; `read_sweep` reads the store of one, finished or not. Policies of a replication share one world, and
worlds of the same replication share their random numbers across variants (common random numbers).
"""

from __future__ import annotations

import pickle
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.comparison import AnyPolicy, listed_policies
from analysis.designs import Design, Factor, content_of
from analysis.executors import Executor, executor_of
from analysis.store import FORMAT, KIND, Store, create_store, open_store
from analysis.tasks import Division, Experiment, Receipt, Task, divide, perform
from scenarios.policies import PolicySpec, parse_policy
from scenarios.schema import Scenario, check_scenario
from scenarios.units import shown
from sim.displays import Displayed
from sim.policies import Policy
from sim.randomness import check_seed
from sim.record import versions

if TYPE_CHECKING:
    import pandas as pd

    from analysis.sweep_tables import Tables

DEFAULT_REPLICATIONS = 10
CHECKED_VARIANTS = 2000
"""Up to so many variants are validated before anything is written; of more, those that show every value."""
Progress = Callable[[Receipt], None]


@dataclass(frozen=True, repr=False)
class Sweep(Displayed):
    """A stored sweep: `table()`, `winners()`, `plot()`, `query(sql)`."""

    store: Store

    def __str__(self) -> str:
        """What `halflife report` prints."""
        from analysis.sweep_report import sweep_text

        return sweep_text(self)

    @property
    def _currency(self) -> str:
        return self.currency

    def headline(self) -> str:
        """How large the sweep was, and how often each policy was cheapest; of a single policy, in which variant."""
        if self.single_policy:
            from analysis.sweep_variants import variants_verdict

            size = f"{len(self.design)} variants in {self.replications} worlds each"
            return f"{self.title}, {size}; {self.candidates[0]}: {variants_verdict(self)}"
        won = ", ".join(f"{name} in {count}" for name, count in self.winners()["best"].value_counts().items())
        return (
            f"{self.title}, {len(self.design)} variants in {self.replications} worlds each; cheapest: {won}"
        )

    def _shown(self) -> pd.DataFrame:
        return self.differences() if self.single_policy else self.winners()

    @property
    def folder(self) -> Path:
        """The run directory."""
        return self.store.folder

    @property
    def policies(self) -> list[str]:
        """Names of the policies."""
        return [entry["name"] for entry in self.store.manifest["policies"]]

    @property
    def candidates(self) -> list[str]:
        """Policies that could be chosen: all but an oracle."""
        return [entry["name"] for entry in self.store.manifest["policies"] if entry["kind"] != "oracle"]

    @property
    def single_policy(self) -> bool:
        """Whether one policy only could be chosen, so that variants are what there is to compare."""
        return len(self.candidates) == 1

    @property
    def replications(self) -> int:
        """Worlds of each variant."""
        return int(self.store.manifest["replications"])

    @property
    def title(self) -> str:
        """Title of the scenario."""
        return str(self.store.manifest["scenario"]["title"])

    @property
    def currency(self) -> str:
        """Currency of all money."""
        return str(self.store.manifest["scenario"]["content"].get("currency", "USD"))

    @cached_property
    def design(self) -> Design:
        """What was varied."""
        return Design.from_dict(self.store.manifest["design"])

    @property
    def factors(self) -> tuple[Factor, ...]:
        """What was varied, factor by factor."""
        return self.design.factors

    def table(self) -> pd.DataFrame:
        """One row a variant and policy: the variant's values, annual cost with its interval, means of the rest."""
        return self._found.table

    def winners(self) -> pd.DataFrame:
        """One row a variant: the cheapest policy, its lead over the next, and whether the lead is certain."""
        return self._found.winners

    def differences(self) -> pd.DataFrame:
        """Of a single policy, one row a variant: its cost, and the paired difference to that of the cheapest variant.

        Columns as in `sweep_tables.against_cheapest`. Raises ValueError for several policies: see `winners`.
        """
        if self._found.variants is None:
            raise ValueError(
                f"differences: got {len(self.candidates)} policies, expected one; see winners() for who is cheapest"
            )
        return self._found.variants

    def query(self, sql: str) -> pd.DataFrame:
        """Ask the runs in SQL (DuckDB): `runs` and `design`."""
        return self.store.query(sql)

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `halflife sweep --json`."""
        from analysis.sweep_report import sweep_document

        return sweep_document(self)

    def plot(self, ax: Any = None) -> Any:
        """The regime map of the two factors that matter most, or the winner's cost along one; matplotlib axes."""
        from analysis.plot_sweeps import plot_sweep

        return plot_sweep(self, ax=ax)

    def save(self, folder: str | Path | None = None) -> list[Path]:
        """Write tables and pictures, into `report` of the run directory when None; returns the files."""
        from analysis.sweep_report import save_sweep

        return save_sweep(self, self.folder / "report" if folder is None else Path(folder))

    @cached_property
    def _found(self) -> Tables:
        from analysis.sweep_tables import tables_of

        return tables_of(self)


@dataclass(frozen=True)
class Plan:
    """A sweep before it starts; made by `plan_sweep`."""

    experiment: Experiment
    division: Division

    @property
    def runs(self) -> int:
        """Runs of the whole sweep."""
        return self.division.variants * self.division.replications * len(self.experiment.policies)

    def manifest(self) -> dict[str, Any]:
        """What the store is to hold, by which it is known again."""
        experiment = self.experiment
        return {
            "kind": KIND,
            "format": FORMAT,
            "scenario": {
                "title": experiment.scenario.title,
                "hash": experiment.scenario.hash(),
                "content": content_of(experiment.scenario),
            },
            "policies": [_policy_entry(policy) for policy in experiment.policies],
            "seed": experiment.seed,
            "replications": experiment.replications,
            "parts": self.division.to_dict(),
            "versions": all_versions(),
            "design": experiment.design.to_dict(),
        }

    def default_folder(self) -> Path:
        """A folder named after the scenario and what is played: the same sweep has the same folder."""
        import hashlib
        import json

        title = re.sub(r"[^a-z0-9]+", "-", self.experiment.scenario.title.lower()).strip("-")[:40]
        content = {key: value for key, value in self.manifest().items() if key not in ("versions", "format")}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return Path("out") / f"sweep-{title}-{digest[:8]}"

    def seconds_per_run(self) -> float:
        """Seconds of one run, from playing the first, a middle and the last variant in one world each.

        Tuned intervals are counted at their share.
        """
        experiment, variants = self.experiment, self.division.variants
        warm = list(experiment.play(range(1), range(1)))
        chosen = sorted({0, variants // 2, variants - 1})
        total = 0.0
        for number in chosen:
            variant = experiment.design.variant(number)
            scenario = experiment.scenario_of(variant)
            start = time.perf_counter()
            experiment.entrants(variant, scenario)
            tuning = time.perf_counter() - start
            start = time.perf_counter()
            list(experiment.play(range(number, number + 1), range(1)))
            world = time.perf_counter() - start - tuning
            total += tuning / experiment.replications + max(world, 0.0)
        return total / (len(chosen) * len(warm))


def plan_sweep(
    scenario: Scenario,
    design: Design,
    policies: Sequence[AnyPolicy] | None = None,
    *,
    replications: int | None = None,
    seed: int = 0,
) -> Plan:
    """Check a sweep before anything is written: each value of each factor and the corners of the design.

    Parameters and errors as in `sweep`. All variants are checked where they are at most 2000.
    """
    check_scenario(scenario)
    check_seed("seed", seed)
    if not isinstance(design, Design):
        raise TypeError(
            f"design: got {shown(design)}, expected a Design, such as analysis.design(scenario, {{'horizon': ['9d']}})"
        )
    if replications is not None and replications < 1:
        raise ValueError(f"replications: got {replications}, expected at least 1")
    wanted = listed_policies(scenario.policies if policies is None else policies)
    specs: list[PolicySpec | Policy] = [parse_policy(p) if isinstance(p, str) else p for p in wanted]
    if not specs:
        raise ValueError("policies: none given, expected at least one such as scheduled:7d")
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"policy {name!r} is there twice, expected different names")
    experiment = Experiment(scenario, design, specs, replications or DEFAULT_REPLICATIONS, seed)
    untuned = Experiment(
        scenario, design, [s for s in specs if not (isinstance(s, PolicySpec) and s.tuned)], 1, seed
    )
    for variant in design.variants(design.indicative(CHECKED_VARIANTS)):
        untuned.entrants(variant, untuned.scenario_of(variant))
    return Plan(experiment, divide(experiment))


def sweep(
    scenario: Scenario,
    design: Design,
    policies: Sequence[AnyPolicy] | None = None,
    *,
    folder: str | Path | None = None,
    replications: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    executor: Executor | str = "local",
    resume: bool = False,
    progress: Progress | None = None,
) -> Sweep:
    """Play every variant of a design under every policy, and store what comes out.

    design: made by `designs.design`. policies: as in `compare`, the scenario's own when None. folder: the run
    directory, out/sweep-... when None. replications: worlds of each variant, 10 when None. workers: processes, all
    cores when None; executor: local, dask or an executor. The store has the same bytes for all of them. resume: go on
    with the store that is there. progress: called with the receipt of each part. Raises ValueError for what does not
    fit and for a folder with something else in it, OSError where it cannot be written; what is stored remains.
    """
    plan = plan_sweep(scenario, design, policies, replications=replications, seed=seed)
    chosen = executor_of(executor, workers) if isinstance(executor, str) else executor
    return run_plan(plan, Path(folder) if folder else plan.default_folder(), chosen, resume, progress)


def run_plan(
    plan: Plan, folder: Path, executor: Executor, resume: bool = False, progress: Progress | None = None
) -> Sweep:
    """Play what is missing of a planned sweep in a folder; see `sweep`."""
    import pyarrow as pa

    store = create_store(folder, plan.manifest(), pa.table(plan.experiment.design.columns()), resume=resume)
    with store.lock():
        checksums, _ = store.verify()
        store.settle(checksums)
        missing = (number for number in range(store.part_count) if number not in checksums)
        own = _own_policies(plan.experiment.policies)
        home, manifest = str(folder.resolve()), store.manifest_checksum()
        tasks = (Task(home, number, manifest, own) for number in missing)
        with _told(store, checksums):
            for receipt in executor.run(perform, tasks):
                if not store.part_path(receipt.part).exists():
                    raise ValueError(
                        f"{folder}: a worker wrote part {receipt.part} where this process cannot see it"
                    )
                store.note(receipt.part, receipt.checksum)
                checksums[receipt.part] = receipt.checksum
                if progress is not None:
                    progress(receipt)
        store.settle(checksums)
    return Sweep(open_store(folder))


def read_sweep(folder: str | Path) -> Sweep:
    """The sweep in a run directory, finished or not. Raises ValueError where there is none."""
    return Sweep(open_store(folder))


def all_versions() -> dict[str, str]:
    """Versions of what numbers and bytes depend on."""
    import pyarrow

    return {**versions(), "pyarrow": pyarrow.__version__}


@contextmanager
def _told(store: Store, checksums: Mapping[int, str]) -> Iterator[None]:
    """Say with whatever stops a sweep what is stored, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_safe(store, checksums)) from None
    except OSError as error:
        reason = f"{error.strerror or error}; {_safe(store, checksums)}"
        raise OSError(error.errno or 0, reason, str(store.folder)) from error
    except RuntimeError as error:
        raise RuntimeError(f"{error}; {_safe(store, checksums)}") from error


def _safe(store: Store, checksums: Mapping[int, str]) -> str:
    return f"{len(checksums)} of {store.part_count} parts are stored, --resume goes on from there"


def _policy_entry(policy: PolicySpec | Policy) -> dict[str, Any]:
    """A policy as the manifest has it; of a user's own, what it is made of."""
    if isinstance(policy, PolicySpec):
        return policy.model_dump(mode="json", exclude_unset=True)
    import inspect

    from analysis.durable_files import sha256

    try:
        source = inspect.getsource(type(policy))
    except (OSError, TypeError):
        source = repr(type(policy))
    return {"name": policy.name, "kind": "own", "source_sha256": sha256(source.encode())}


def _own_policies(policies: Sequence[PolicySpec | Policy]) -> bytes:
    own = {policy.name: policy for policy in policies if not isinstance(policy, PolicySpec)}
    if not own:
        return b""
    import cloudpickle

    content: bytes = cloudpickle.dumps(own, protocol=pickle.HIGHEST_PROTOCOL)
    return content
