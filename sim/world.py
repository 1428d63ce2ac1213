"""The world of one replication: everything that does not depend on the policy.

All policies of a comparison meet the same `World` object (common random numbers). What a run changes it keeps for
itself: `state()` is copied where a policy can provoke the world.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scenarios.drift import Adversarial
from scenarios.schema import Scenario
from sim import randomness
from sim.drift import State, world_state
from sim.labels import LabelBatches, label_batches, training_lag
from sim.traffic import requests


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
        """The same world without the scenario's monitors and triggers; drawn once for both."""
        scenario = self.scenario.model_copy(update={"monitors": [], "triggers": []})
        bare = World(scenario, self.seed, self.replication, mirrored=self.mirrored)
        bare.__dict__.update(requests=self.requests, labels=self.labels, _state=self._state)
        return bare

    @cached_property
    def requests(self) -> NDArray[np.float64]:
        """Requests per window, (windows,)."""
        return requests(self.scenario, self.stream)

    @cached_property
    def labels(self) -> LabelBatches:
        """Labels by arrival."""
        return label_batches(self.scenario, self.requests, self.stream)

    @cached_property
    def _state(self) -> State:
        return world_state(self.scenario, self.stream)

    def state(self) -> State:
        """State of features and concept; a copy when deployments provoke answers."""
        if any(isinstance(component, Adversarial) for component in self.scenario.drift):
            return State(self._state.features.copy(), self._state.concept.copy())
        return self._state
