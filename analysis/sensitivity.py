"""Which assumption drives the answer: one object with whatever methods were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.assumptions import Assumptions, assumptions
from analysis.global_indices import SAMPLES, TRAJECTORIES, morris_indices, sobol_indices
from analysis.inputs import Input, widened
from analysis.progress import progress_of
from analysis.scenario_discovery import Discovery, discover
from analysis.tornado import Flip, flips, tornado
from analysis.value_of_information import (
    POINTS,
    Worth,
    perfect_information,
    sample_information,
    sampled,
    value_of_a_label,
    value_of_monitors,
    worths_table,
)
from scenarios.policies import PolicySpec
from scenarios.problems import choice
from scenarios.schema import Scenario
from sim.displays import Displayed
from sim.policies import Policy

if TYPE_CHECKING:
    from analysis.plot_panels import Panels

METHODS = ("tornado", "flip", "morris", "sobol", "discovery", "value")
DEFAULT_METHODS = ("tornado", "flip")
REPLICATIONS = 10
RESPONSES = ("cost", "difference", "decision")
"""Mean cost of the first policy, its difference to the second, and 1 where the first is cheaper."""


@dataclass(frozen=True, repr=False)
class Sensitivity(Displayed):
    """What the methods found; None for a method that was not asked for."""

    given: Assumptions
    replications: int
    tornado: pd.DataFrame | None = None
    flips: tuple[Flip, ...] | None = None
    morris: pd.DataFrame | None = None
    sobol: pd.DataFrame | None = None
    discovery: Discovery | None = None
    worths: tuple[Worth, ...] | None = None
    """Money a year."""
    monitors: tuple[Worth, ...] | None = None
    """What each monitor saves the first policy, money a year."""
    label: Worth | None = None
    """What one more label saves the first policy."""

    @property
    def _currency(self) -> str:
        return self.given.scenario.currency

    def headline(self) -> str:
        """The two policies, the number of inputs, and the input that moves the answer most."""
        first, second = self.given.names
        what = f"{self.given.scenario.title}: {first} against {second}, {len(self.given.inputs)} inputs"
        if self.tornado is None or self.tornado.empty:
            return what
        return f"{what}; most depends on {self.tornado['input'].iloc[0]}"

    def _shown(self) -> pd.DataFrame:
        return self.table()

    def table(self) -> pd.DataFrame:
        """The tornado, or else the first table that was asked for."""
        tables = (self.tornado, self.sobol, self.morris)
        found = next((table for table in tables if table is not None), None)
        if found is None and self.discovery is not None:
            found = self.discovery.table()
        return worths_table(self.worths or ()) if found is None else found

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `halflife sensitivity`."""
        from analysis.report_sensitivity import sensitivity_document

        return sensitivity_document(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Write sensitivity.json, and a table and a picture for each method; returns the files."""
        from analysis.report_sensitivity import save_sensitivity

        return save_sensitivity(self, folder)

    def plot(self, method: str | None = None) -> Panels:
        """The picture of one method, the first that has one when None; returns matplotlib axes, one a panel.

        method: tornado, morris, sobol, discovery or value. Raises ValueError for one that was not asked for.
        """
        from analysis.plot_panels import Panels
        from analysis.plot_sensitivity import plot_sensitivity

        figures = plot_sensitivity(self)
        wanted = next(iter(figures), "none") if method is None else method
        if wanted not in figures:
            raise ValueError(f"method: no picture of {wanted!r}: {choice(wanted, list(figures))}")
        return Panels(figures[wanted])


def sensitivity(
    scenario: Scenario,
    policies: Sequence[str | PolicySpec | Policy] | None = None,
    inputs: Sequence[Input] | None = None,
    *,
    methods: Sequence[str] = DEFAULT_METHODS,
    replications: int = REPLICATIONS,
    samples: int = SAMPLES,
    trajectories: int = TRAJECTORIES,
    points: int = POINTS,
    observe: Sequence[tuple[Input, float]] = (),
    seed: int = 0,
    workers: int | None = None,
    progress: bool = False,
) -> Sensitivity:
    """Ask how much the cost, and the choice between two policies, depends on what is assumed.

    policies: the one in question and its rival; inputs: what is uncertain (see `assumptions` for both when None;
    flips are then looked for from a fifth to five times the value).
    methods: of METHODS. replications: worlds at each point of tornado, flip, morris and sobol, >= 2. samples: of
    Sobol (a power of two), trajectories: of Morris, points: of discovery and value, each in a world of its own, >=
    50. observe: inputs and the standard deviation of one observation, for the value of sample information. workers:
    processes; the result is the same for any number. Raises ValueError outside these ranges and for an unknown
    method.
    """
    for method in methods:
        if method not in METHODS:
            raise ValueError(f"method {method!r}: {choice(method, METHODS)}")
    if replications < 2:
        raise ValueError(f"reps: got {replications}, expected at least 2")
    if points < 50:
        raise ValueError(f"points: got {points}, expected at least 50")
    with progress_of(progress, "batches of points", None) as step:
        given = assumptions(scenario, policies, inputs, seed=seed, workers=workers, step=step)
        model = given.mean_costs(replications)
        found: dict[str, Any] = {}
        if "tornado" in methods:
            found["tornado"] = tornado(given, replications)
        if "flip" in methods:
            reach = given.inputs if inputs is not None else [widened(scenario, one) for one in given.inputs]
            found["flips"] = tuple(flip for one in reach for flip in flips(given, one, replications))
        if "morris" in methods:
            found["morris"] = morris_indices(
                model, given.inputs, trajectories=trajectories, seed=seed, names=RESPONSES
            )
        if "sobol" in methods:
            found["sobol"] = sobol_indices(model, given.inputs, samples=samples, seed=seed, names=RESPONSES)
        if "discovery" in methods or "value" in methods or observe:
            x, costs = sampled(given, points, seed)
            if "discovery" in methods:
                found["discovery"] = discover(given.inputs, x, costs[:, 0] > costs[:, 1])
            if "value" in methods or observe:
                worths = perfect_information(given, x, costs)
                for one, sd in observe:
                    worths += sample_information(given, x, costs, one, sd)
                found["worths"] = tuple(worths)
        if "value" in methods:
            first = {given.names[0]: given.policies[given.names[0]]}
            found["monitors"] = tuple(
                value_of_monitors(scenario, first, replications, seed=seed, workers=workers)
            )
            found["label"] = value_of_a_label(scenario, first, replications, seed=seed, workers=workers)
    return Sensitivity(given, replications, **found)
