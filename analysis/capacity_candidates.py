"""What a search for the cheapest fleet may choose: the combinations of a scenario's menu, and fleets made of them.

A combination is everything but the number of replicas: accelerator, largest batch, autoscaler, share of spot capacity.
What `serving.search` does not name stays as the scenario has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from scenarios.accelerators import Accelerator
from scenarios.schema import Scenario
from scenarios.serving import Serving
from scenarios.serving_checks import check_serving
from scenarios.serving_control import Autoscaler, FixedReplicas, ScheduledReplicas, Spot
from scenarios.serving_pools import ServingPool
from scenarios.units import format_duration


@dataclass(frozen=True)
class Candidate:
    """One combination of the menu; its number of replicas is what the search finds."""

    pool: str
    """Name of the pool that is sized."""
    accelerator: Accelerator
    max_batch: int
    autoscaler: Autoscaler
    """The maximum is set: it stays whatever the number of replicas."""
    spot_share: float

    def __hash__(self) -> int:
        return hash(self.name)  # a plan of sizes is a list, which has none

    @property
    def is_fixed(self) -> bool:
        """Whether the number of replicas stays what it is; else it is the start and the minimum."""
        return isinstance(self.autoscaler, FixedReplicas)

    @property
    def highest(self) -> int | None:
        """Most replicas that the autoscaler may have; None for a fixed number."""
        return None if isinstance(self.autoscaler, FixedReplicas) else self.autoscaler.maximum

    @property
    def name(self) -> str:
        """What it is, without the number of replicas."""
        parts = [self.accelerator.label]
        if self.max_batch > 1:
            parts.append(f"batch {self.max_batch}")
        if not self.is_fixed:
            parts.append(autoscaler_name(self.autoscaler))
        if self.spot_share:
            parts.append(f"{100 * self.spot_share:.3g} % spot")
        return ", ".join(parts)

    @property
    def short_name(self) -> str:
        """What it is for pictures: an autoscaler by its kind alone."""
        long, short = autoscaler_name(self.autoscaler), self.autoscaler.kind.replace("_", " ")
        return self.name if self.is_fixed else self.name.replace(long, short)

    def named(self, replicas: int) -> str:
        """What it is with so many replicas.

        >>> from scenarios.accelerators import preset
        >>> Candidate("main", preset("l4"), 8, FixedReplicas(kind="fixed"), 0.5).named(3)
        '3 x l4, batch 8, 50 % spot'
        """
        return f"{replicas} x {self.name}"

    def apply(self, scenario: Scenario, replicas: int) -> Scenario:
        """The scenario with this fleet; raises ValueError, saying why, where it does not fit."""
        serving = serving_of(scenario)
        pool = serving.pool(self.pool)
        spot = None
        if self.spot_share:
            spot = (pool.spot or Spot()).model_copy(update={"share": self.spot_share})
        changed = {
            "accelerator": self.accelerator,
            "max_batch": self.max_batch,
            "max_wait": pool.max_wait if self.max_batch > 1 else 0.0,
            "autoscaler": _with_minimum(self.autoscaler, replicas),
            "replicas": replicas,
            "spot": spot,
        }
        found = with_pool(scenario, self.pool, **changed)
        check_serving(found)
        return found


class Menu(NamedTuple):
    """Combinations that can be tried, and those that cannot."""

    candidates: list[Candidate]
    refused: dict[str, str]
    """Why a combination does not fit, by its name."""
    lowest: int
    """Fewest replicas."""
    highest: int | None
    """Most replicas; None where the scenario sets no limit."""


def serving_of(scenario: Scenario) -> Serving:
    """The serving section. Raises ValueError for a scenario without one."""
    if scenario.serving is None:
        raise ValueError(
            "serving: the scenario has none, expected a section such as {pools: [{service: 12ms}]}"
        )
    return scenario.serving


def with_serving(scenario: Scenario, **changes: Any) -> Scenario:
    """The scenario with other fields of its serving section, not checked again."""
    return scenario.model_copy(update={"serving": serving_of(scenario).model_copy(update=changes)})


def with_pool(scenario: Scenario, name: str | None, **changes: Any) -> Scenario:
    """The scenario with other fields of one pool, not checked again."""
    serving = serving_of(scenario)
    changed = serving.pool(name)
    pools = [pool.model_copy(update=changes) if pool is changed else pool for pool in serving.pools]
    return with_serving(scenario, pools=pools)


def sized_pool(scenario: Scenario) -> ServingPool:
    """The pool whose size is searched."""
    serving = serving_of(scenario)
    return serving.pool(serving.search.pool)


def as_is(scenario: Scenario) -> Candidate:
    """The combination that the scenario's own fleet has."""
    pool = sized_pool(scenario)
    share = 0.0 if pool.spot is None else pool.spot.share
    return Candidate(
        pool.name, pool.accelerator, pool.max_batch, _with_maximum(pool.autoscaler, pool, None), share
    )


def least_for_jobs(scenario: Scenario) -> int:
    """Replicas whose GPUs are enough for the largest job that takes them from the sized pool; 1 without jobs."""
    pool = sized_pool(scenario)
    gpus = [job.gpus for job in serving_of(scenario).jobs if job.pool == pool.name]
    return max(-(-max(gpus, default=1) // pool.gpus_per_replica), 1)


def menu_of(scenario: Scenario) -> Menu:
    """The combinations of `serving.search`, in its order; of a scenario that names none, its own fleet.

    Raises ValueError where none fits.
    """
    search, pool, own = serving_of(scenario).search, sized_pool(scenario), as_is(scenario)
    lowest, highest = (1, None) if search.replicas is None else search.replicas
    lowest = max(lowest, least_for_jobs(scenario))
    autoscalers = [
        _with_maximum(autoscaler, pool, highest) for autoscaler in search.autoscalers or [pool.autoscaler]
    ]
    candidates: list[Candidate] = []
    refused: dict[str, str] = {}
    for accelerator, batch, autoscaler, share in product(
        search.accelerators or [own.accelerator],
        search.max_batch or [own.max_batch],
        autoscalers,
        [own.spot_share] if search.spot_shares is None else search.spot_shares,
    ):
        candidate = Candidate(pool.name, accelerator, batch, autoscaler, share)
        if candidate in candidates:
            continue
        try:
            candidate.apply(scenario, lowest)
        except ValueError as error:
            refused[candidate.name] = str(error)
        else:
            candidates.append(candidate)
    if not candidates:
        raise ValueError(f"serving.search: nothing fits: {next(iter(refused.values()))}")
    return Menu(candidates, refused, lowest, highest)


def autoscaler_name(autoscaler: Autoscaler) -> str:
    """Kind, target and limit of an autoscaler.

    >>> from scenarios.serving_control import TargetUtilisation
    >>> autoscaler_name(TargetUtilisation(kind="target_utilisation", maximum=24))
    'target_utilisation 0.6, up to 24'
    """
    if isinstance(autoscaler, FixedReplicas):
        return "fixed"
    if isinstance(autoscaler, ScheduledReplicas):
        sizes = ", ".join(f"{size.replicas} at {format_duration(size.at)}" for size in autoscaler.plan)
        return f"scheduled ({sizes})"
    target = getattr(autoscaler, "target", None)
    kind = autoscaler.kind if target is None else f"{autoscaler.kind} {target:g}"
    return kind if autoscaler.maximum is None else f"{kind}, up to {autoscaler.maximum}"


def _with_maximum(autoscaler: Autoscaler, pool: ServingPool, highest: int | None) -> Autoscaler:
    """Set the maximum that is not given: that of the menu, else that of the scenario's own pool."""
    if isinstance(autoscaler, FixedReplicas) or autoscaler.maximum is not None:
        return autoscaler
    own = pool.model_copy(update={"autoscaler": autoscaler}).maximum
    return autoscaler.model_copy(update={"maximum": own if highest is None else highest})


def _with_minimum(autoscaler: Autoscaler, replicas: int) -> Autoscaler:
    """Let the autoscaler never have fewer; a plan of fewer is raised to that."""
    if isinstance(autoscaler, FixedReplicas):
        return autoscaler
    changed: dict[str, Any] = {"minimum": replicas}
    if isinstance(autoscaler, ScheduledReplicas):
        changed["plan"] = [
            size.model_copy(update={"replicas": max(size.replicas, replicas)}) for size in autoscaler.plan
        ]
    return autoscaler.model_copy(update=changed)
