"""The world of one replication: everything that does not depend on the policy.

All policies of a comparison meet the same `World` object (common random numbers). What a run changes it keeps for
itself: `state()` is copied where a policy can provoke the world.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenarios.care import Care
from scenarios.drift import Adversarial
from scenarios.edge import Edge
from scenarios.failures import Failure
from scenarios.monitoring import Monitor
from scenarios.schema import TOLD, Scenario
from scenarios.serving import Serving
from sim import randomness
from sim.drift import State, world_state
from sim.incidents import Onset, onsets_of
from sim.labels import LabelBatches, label_batches, training_lag
from sim.review import ReviewQueue, play_review
from sim.telemetry import blind_windows
from sim.traffic import requests

WATCHING = (
    "monitors",
    "triggers",
    "response",
    "telemetry",
    "menu",
    "pipeline",
    "deployment",
    "review",
    "policies",
    "overlays",
    *TOLD,
)
"""Fields of a scenario that its world does not depend on."""


def differing_fields(one: Scenario, other: Scenario) -> list[str]:
    """Fields that the world depends on and that are not the same in two scenarios."""
    found = []
    for field in type(one).model_fields:
        mine, theirs = getattr(one, field), getattr(other, field)
        if field in WATCHING or mine is theirs or mine == theirs:
            continue
        part = _PARTS.get(field, _whole)
        if part(mine) != part(theirs):
            found.append(field)
    return found


def _whole(value: Any) -> Any:
    return value


def _by_chance(failures: list[Failure]) -> list[Failure]:
    """Failures that begin whatever anybody does; the luck of the others is that of the action that causes them."""
    return [failure for failure in failures if failure.trigger is None]


def _requests_of(serving: Serving | None) -> Any:
    """When requests come and how large they are, whatever answers them."""
    return None if serving is None else (serving.arrivals, serving.sizes)


def _patients_of(care: Care | None) -> Any:
    """Patients and their nature, however anybody treats them."""
    return None if care is None else care.world


def _devices_in(edge: Edge | None) -> Any:
    """Which devices there are, and what their owners and networks do; releases, models and reports are operations."""
    if edge is None:
        return None
    own = {"full", "simple", "memory"}
    return [kind.model_dump(exclude=own) for kind in edge.devices]


_PARTS: dict[str, Callable[[Any], Any]] = {
    "failures": _by_chance,
    "serving": _requests_of,
    "care": _patients_of,
    "edge": _devices_in,
}
"""What the world depends on of fields that it depends on in part."""


class World:
    """Drift, traffic and labels of replication `replication` of `seed`.

    mirrored: the antithetic twin of that world (`sim.antithetic`): drift, traffic and label delays turned round, the
    noise of monitors and trainings as it is.
    """

    def __init__(
        self, scenario: Scenario, seed: int = 0, replication: int = 0, *, mirrored: bool = False
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.replication = replication
        self.mirrored = mirrored
        self.training_lag = training_lag(scenario)

    def stream(self, name: str) -> np.random.Generator:
        """The random stream of one source of randomness."""
        source = randomness.mirrored_stream if self.mirrored else randomness.stream
        return source(self.seed, self.replication, name)

    def stream_at(self, name: str, moment: float) -> np.random.Generator:
        """The random stream of what one source does at one moment (days)."""
        return randomness.stream_at(self.seed, self.replication, name, moment)

    def key(self, name: str) -> np.uint64:
        """The kernel key of one source of randomness."""
        return randomness.key(self.seed, self.replication, name)

    def unwatched(self) -> World:
        """The same world without the scenario's monitors and triggers; drawn once for both.

        Where people repair failures, the free perfect monitor is left to call them.
        """
        fails = self.scenario.failures and self.scenario.response is not None
        monitors = [Monitor(metric="truth")] if fails else []
        return self.for_scenario(self.scenario.model_copy(update={"monitors": monitors, "triggers": []}))

    def for_scenario(self, scenario: Scenario) -> World:
        """The same world for the scenario with other monitors, triggers, telemetry or people; drawn once for both.

        Raises ValueError for a scenario that differs in anything that the world depends on.
        """
        for field in differing_fields(self.scenario, scenario):
            raise ValueError(f"scenario: {field} differs, expected the same world")
        found = World(scenario, self.seed, self.replication, mirrored=self.mirrored)
        found.__dict__.update(
            requests=self.requests, labels=self.labels, _state=self._state, onsets=self.onsets
        )
        if scenario.review == self.scenario.review and scenario.review is not None:
            found.__dict__["reviews"] = self.reviews
        return found

    @cached_property
    def requests(self) -> NDArray[np.float64]:
        """Requests per window, (windows,)."""
        return requests(self.scenario, self.stream)

    @cached_property
    def labels(self) -> LabelBatches:
        """Labels by arrival."""
        return label_batches(self.scenario, self.requests, self.stream)

    @cached_property
    def onsets(self) -> list[Onset]:
        """Beginnings of failures."""
        return onsets_of(self.scenario, self.stream)

    @cached_property
    def reviews(self) -> ReviewQueue:
        """What becomes of the uncertain decisions where all requests are served. Raises ValueError without review."""
        if self.scenario.review is None:
            raise ValueError("review: the scenario has none")
        return play_review(self, self.scenario.review)

    @cached_property
    def blind(self) -> NDArray[np.bool_] | None:
        """Windows at whose end the path of monitoring is down, (windows,); None where it never fails."""
        telemetry = self.scenario.telemetry
        if telemetry is None or telemetry.outages is None:
            return None
        return blind_windows(self.scenario, self.stream)

    @cached_property
    def _state(self) -> State:
        return world_state(self.scenario, self.stream)

    def state(self) -> State:
        """State of features and concept; a copy when deployments provoke answers."""
        if any(isinstance(component, Adversarial) for component in self.scenario.drift):
            return State(self._state.features.copy(), self._state.concept.copy())
        return self._state
