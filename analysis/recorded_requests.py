"""A file of recorded requests in the place of a scenario's arrivals, sizes and length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scenarios.serving_arrivals import Trace
from scenarios.units import SECONDS_PER_DAY
from sim.arrival_traces import recorded

WINDOWS = 20
"""A trace that is shorter than so many hours gets windows of a minute, unless windows are given."""
MINUTE, HOUR = 1.0 / 1440.0, 1.0 / 24.0


def given_for(file: Path | None, resampling: str | None, overrides: Sequence[str]) -> dict[str, Any]:
    """Overrides of a scenario, values at dotted paths, that play a file; none without one.

    resampling: as in `serving_arrivals.Trace`. overrides: PATH=VALUE as the
    user gives them, which come after these: the run is as long as the trace unless `horizon` is among them.
    Raises ValueError, naming file, column and row, for a file that is not there or is no trace.
    """
    if file is None:
        return {}
    trace = {"kind": "trace", "path": str(file.absolute())} | (
        {} if resampling is None else {"resampling": resampling}
    )
    given: dict[str, Any] = {
        "serving.arrivals": trace,
        "serving.sizes": {},
        "traffic.bursts": None,
        "traffic.campaigns": [],
    }
    named = {text.partition("=")[0].strip() for text in overrides}
    if "horizon" in named:
        return given
    span = recorded(_trace(trace, overrides)).span / SECONDS_PER_DAY
    if "window" in named:
        from scenarios.loader import parse_override
        from scenarios.units import DURATION

        text = next(text for text in overrides if text.partition("=")[0].strip() == "window")
        window = DURATION.parse(parse_override(text)[1])
    else:
        window = HOUR if span >= WINDOWS * HOUR else MINUTE
        given["window"] = f"{round(window / MINUTE)}min"
    given["horizon"] = f"{max(math.ceil(span / window - 1e-9), 1) * window * SECONDS_PER_DAY:.12g}s"
    return given


def _trace(given: dict[str, str], overrides: Sequence[str]) -> Trace:
    """The trace with what the user says of its columns, unit and speed."""
    from scenarios.loader import parse_override

    place = "serving.arrivals."
    own = dict(parse_override(text) for text in overrides if text.partition("=")[0].strip().startswith(place))
    fields = {path.removeprefix(place): value for path, value in own.items()}
    from pydantic import ValidationError

    try:
        return Trace.model_validate({**given, **fields})
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"--arrivals: {first['msg'].removeprefix('Value error, ')}") from None
