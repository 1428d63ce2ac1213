"""Which inputs matter over their whole range: Morris' screening and Sobol's indices, computed by SALib."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.inputs import TAIL, Input

Array = NDArray[np.float64]
Model = Callable[[Array], Array]
"""Takes points (n, inputs) in the inner units, gives one or several responses, (n,) or (n, responses)."""
TRAJECTORIES = 10
SAMPLES = 64
LEVELS = 4
WHOLE_LAW = 1e-9
"""Share left out at each end of a normal law by Sobol's sample; a greater one would take variance away from it."""


def morris_indices(
    model: Model,
    inputs: Sequence[Input],
    *,
    trajectories: int = TRAJECTORIES,
    seed: int = 0,
    names: Sequence[str] = ("response",),
) -> pd.DataFrame:
    """Morris' elementary effects: few runs, to sort out the inputs that do nothing.

    trajectories: each takes inputs + 1 points, >= 2. names: of the model's responses. One row a response and
    input: mu_star (mean size of an effect of the whole range), its 95 % half-width, sigma (spread of the effects:
    interaction or curvature), mu. Effects are on the scale of each input's law. The grid has levels at both ends of
    a range; that of a normal law, which has none, is from its 2.5 % to its 97.5 % quantile.
    Raises ValueError without SALib.
    Source: Morris 1991, 'Factorial Sampling Plans'; Campolongo et al. 2007.
    """
    if trajectories < 2:
        raise ValueError(f"trajectories: got {trajectories}, expected at least 2")
    salib = _salib()
    problem = _problem(inputs, normal_cut=TAIL)
    shares = salib["morris_sample"](problem, trajectories, num_levels=LEVELS, seed=seed)
    rows = []
    for name, values in _responses(model, inputs, shares, names):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # responses that never vary divide by 0
            found = salib["morris"](problem, shares, values, num_levels=LEVELS, seed=seed)
        for number, given in enumerate(inputs):
            keys = ("mu_star", "mu_star_conf", "sigma", "mu")
            rows.append((name, given.path, *(float(np.asarray(found[key])[number]) for key in keys)))
    return pd.DataFrame(rows, columns=["response", "input", "mu_star", "half_width", "sigma", "mu"])


def sobol_indices(
    model: Model,
    inputs: Sequence[Input],
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    names: Sequence[str] = ("response",),
) -> pd.DataFrame:
    """Sobol's first-order and total indices: shares of the variance of a response.

    samples: a power of two, >= 2; takes samples x (inputs + 2) points. One row a response and input: S1 and ST with
    95 % bootstrap half-widths; NaN for a response that never varies. Raises ValueError outside these ranges,
    without SALib. Source: Sobol 2001; Saltelli et al. 2010 (estimators of SALib).
    """
    if samples < 2 or samples & (samples - 1):
        raise ValueError(f"samples: got {samples}, expected a power of two such as 64")
    salib = _salib()
    problem = _problem(inputs, normal_cut=WHOLE_LAW)
    shares = salib["sobol_sample"](problem, samples, calc_second_order=False, seed=seed)
    rows = []
    for name, values in _responses(model, inputs, shares, names):
        found: dict[str, Any] = dict.fromkeys(
            ("S1", "S1_conf", "ST", "ST_conf"), np.full(len(inputs), np.nan)
        )
        if np.ptp(values) > 0.0:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # resamples of a decision may not vary
                # A seed of 0 would be no seed to SALib; the sequence of a seed draws the same numbers.
                sequence = np.random.SeedSequence(seed)
                found = salib["sobol"](problem, values, calc_second_order=False, seed=sequence)
        for number, given in enumerate(inputs):
            keys = ("S1", "S1_conf", "ST", "ST_conf")
            rows.append((name, given.path, *(float(found[key][number]) for key in keys)))
    return pd.DataFrame(rows, columns=["response", "input", "S1", "S1_half_width", "ST", "ST_half_width"])


def _responses(
    model: Model, inputs: Sequence[Input], shares: Array, names: Sequence[str]
) -> list[tuple[str, Array]]:
    """Each response at the points of a sample of the unit cube."""
    points = np.column_stack([given.quantile(shares[:, i]) for i, given in enumerate(inputs)])
    values = np.asarray(model(points), dtype=np.float64)
    table = values[:, None] if values.ndim == 1 else values
    return [(name, table[:, number]) for number, name in enumerate(names)]


def _problem(inputs: Sequence[Input], normal_cut: float) -> dict[str, Any]:
    """SALib's description of the unit cube; laws are put in by the inverse distribution function.

    normal_cut: share that is left out at both ends of a normal law, which has no value at 0 and 1.
    """
    if not inputs:
        raise ValueError("no inputs: expected one or more such as quality.decay=1%/d..5%/d")
    bounds = [[normal_cut, 1.0 - normal_cut] if given.law == "normal" else [0.0, 1.0] for given in inputs]
    return {"num_vars": len(inputs), "names": [given.path for given in inputs], "bounds": bounds}


def _salib() -> dict[str, Any]:
    try:
        from SALib.analyze.morris import analyze as morris
        from SALib.analyze.sobol import analyze as sobol
        from SALib.sample.morris import sample as morris_sample
        from SALib.sample.sobol import sample as sobol_sample
    except ImportError:
        raise ValueError(
            "Morris and Sobol need the package SALib: install it with pip install 'halflife-sim[experiments]'"
        ) from None
    return {"morris": morris, "sobol": sobol, "morris_sample": morris_sample, "sobol_sample": sobol_sample}
