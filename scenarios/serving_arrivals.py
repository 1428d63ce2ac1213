"""How requests come within the traffic of the scenario: the process, or the trace itself.

The traffic says how many are expected when; the process says how evenly or how bunched they come. A trace brings its
own moments and sizes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationInfo, model_validator

from scenarios import trace_files
from scenarios.base import Component
from scenarios.recorded import resolve
from scenarios.units import PositiveDays, Real


class Poisson(Component):
    """Requests that know nothing of each other, at the rate of the traffic (non-homogeneous Poisson)."""

    kind: Literal["poisson"]


class Deterministic(Component):
    """Requests at even distances: exactly the expected number in every window."""

    kind: Literal["deterministic"]


class Renewal(Component):
    """Independent gamma distances in operational time, which runs at the rate of the traffic."""

    kind: Literal["renewal"]
    cv: Annotated[Real, Field(gt=0, le=100)] = Field(
        description="coefficient of variation of the distances; 1 is Poisson, more comes in bunches"
    )


class SelfSimilar(Component):
    """Poisson requests at a rate that swings at all time scales: the traffic times lognormal fractional noise.

    The logarithm of the factor is fractional Gaussian noise, constant within a step; its mean is 1.
    """

    kind: Literal["self_similar"]
    hurst: Annotated[Real, Field(ge=0.5, lt=1)] = Field(
        default=0.8, description="Hurst exponent; 0.5: swings of neighbouring steps are independent"
    )
    cv: Annotated[Real, Field(ge=0, le=100)] = Field(
        default=0.5, description="coefficient of variation of the rate from step to step"
    )
    step: PositiveDays = Field(
        default=1.0 / 1440.0,
        description="finest time scale of the swings; a whole part of a window, or windows",
    )


class Trace(Component):
    """Recorded requests: a CSV (plain or .gz) or Parquet file with a row each; sorted by time when read.

    What the file says of when requests come replaces what the traffic says.
    """

    kind: Literal["trace"]
    path: str = Field(min_length=1, description="the file, relative to this one")
    time: str | None = Field(
        default=None, description="column of the moments; guessed by its name when absent"
    )
    unit: Literal["s", "ms", "us", "ns"] = Field(
        default="s", description="unit of moments that are numbers; dates and times of day need none"
    )
    tokens_in: str | None = Field(default=None, description="column of tokens in; guessed when absent")
    tokens_out: str | None = Field(default=None, description="column of tokens out; guessed when absent")
    work: str | None = Field(
        default=None,
        description="column of the work relative to the average request; guessed when absent and there are no tokens",
    )
    speed: Annotated[Real, Field(gt=0)] = Field(
        default=1.0, description="2: the trace is played twice as fast, and the rate is twice as high"
    )
    resampling: Literal["as_is", "blocks", "independent"] = Field(
        default="as_is",
        description="as_is: the requests of the file, once; blocks: stretches of it in random order, sizes and load "
        "together; independent: its moments, with sizes in random order",
    )
    block: PositiveDays = Field(
        default=10.0 / 1440.0, description="length of the stretches of blocks, in the time of the run"
    )
    fingerprint: str = Field(default="", description="of the content of the file; filled in when it is read")

    _file: Path = PrivateAttr(default=Path())

    @model_validator(mode="before")
    @classmethod
    def _columns(cls, data: Any, info: ValidationInfo) -> Any:
        """Read the header at once, and put in what is guessed."""
        if not isinstance(data, dict) or not isinstance(data.get("path"), str):
            return data
        file = resolve(data["path"], info)
        columns = trace_files.header(file)
        found = dict(data)
        found["time"] = data.get("time") or trace_files.guess(columns, trace_files.TIME_NAMES)
        if found["time"] is None:
            raise ValueError(
                f"time: which column of {file.name} has the moments? one of: {', '.join(columns)}"
            )
        if data.get("work") is None:
            for field, names in (
                ("tokens_in", trace_files.TOKENS_IN_NAMES),
                ("tokens_out", trace_files.TOKENS_OUT_NAMES),
            ):
                found[field] = data.get(field) or trace_files.guess(columns, names)
        if data.get("work") is None and found.get("tokens_in") is None and found.get("tokens_out") is None:
            found["work"] = trace_files.guess(columns, trace_files.WORK_NAMES)
        for field in ("time", "tokens_in", "tokens_out", "work"):
            if isinstance(found.get(field), str):
                trace_files.check_column(field, found[field], columns, file)
        content = trace_files.fingerprint(file)
        if data.get("fingerprint") not in (None, "", content):
            raise ValueError(f"fingerprint: {file.name} has changed since this was written ({content} now)")
        found["fingerprint"] = content
        return found

    @model_validator(mode="after")
    def _remember_file(self, info: ValidationInfo) -> Self:
        self._file = resolve(self.path, info).absolute()
        return self

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if self.work is not None and (self.tokens_in is not None or self.tokens_out is not None):
            raise ValueError("work: give tokens or work, not both")
        if (self.tokens_in is None) != (self.tokens_out is None):
            missing = "tokens_in" if self.tokens_in is None else "tokens_out"
            raise ValueError(
                f"{missing}: no column was found for it, give its name, or work instead of tokens"
            )
        return self

    @property
    def file(self) -> Path:
        """Where the file is."""
        return self._file

    @property
    def has_tokens(self) -> bool:
        """Whether the file tells tokens in and out."""
        return self.tokens_in is not None


def _kind_from_word(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


Arrivals = Annotated[
    Annotated[Poisson | Deterministic | Renewal | SelfSimilar | Trace, Field(discriminator="kind")],
    BeforeValidator(
        _kind_from_word,
        json_schema_input_type=Literal["poisson", "deterministic", "self_similar"]
        | Poisson
        | Deterministic
        | Renewal
        | SelfSimilar
        | Trace,
    ),
]
"""`poisson`, or a mapping with `kind` and its parameters."""
