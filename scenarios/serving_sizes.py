"""How large requests are: tokens in and out, or work relative to the average request."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, model_validator

from scenarios.base import Component
from scenarios.numbers import Numbers
from scenarios.recorded import read_columns, resolve
from scenarios.units import PositiveDays, Real

TOKENS_IN, TOKENS_OUT = "tokens_in_q", "tokens_out_q"
CORRELATION = "rank_correlation"


class RecordedSizes(Component):
    """Quantiles of tokens in and out for each step of a record, so that sizes change with the load.

    A CSV file with columns tokens_in_q0, tokens_in_q5, ... tokens_in_q100 and tokens_out_q0, ..., a row per step; an
    optional column rank_correlation ties tokens in and out of a request (Spearman). Repeated when too short.
    """

    step: PositiveDays = Field(description="time between two rows, e.g. 1min")
    path: str | None = Field(default=None, description="the CSV file, relative to this file")
    tokens_in: list[list[Real]] | None = Field(default=None, description="read from the file: a row per step")
    tokens_out: list[list[Real]] | None = Field(
        default=None, description="read from the file: a row per step"
    )
    rank_correlation: list[Annotated[Real, Field(ge=-1, le=1)]] | None = Field(
        default=None, description="read from the file: a number per step; 0 when absent"
    )

    @model_validator(mode="before")
    @classmethod
    def _load(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("path"), str):
            return data
        columns = read_columns(resolve(data["path"], info))
        found: dict[str, Any] = {**data, "path": None}
        for field, prefix in (("tokens_in", TOKENS_IN), ("tokens_out", TOKENS_OUT)):
            names = [name for name in columns if name.startswith(prefix)]
            if len(names) < 2:
                raise ValueError(f"{data['path']}: expected at least two columns {prefix}0 ... {prefix}100")
            found[field] = [list(row) for row in zip(*(columns[name] for name in names), strict=True)]
        found["rank_correlation"] = columns.get(CORRELATION)
        return found

    @model_validator(mode="after")
    def _rows(self) -> Self:
        if not self.tokens_in or not self.tokens_out:
            raise ValueError("give path")
        if len(self.tokens_in) != len(self.tokens_out):
            raise ValueError("tokens_out: expected as many rows as tokens_in")
        if self.rank_correlation is not None and len(self.rank_correlation) != len(self.tokens_in):
            raise ValueError("rank_correlation: expected as many numbers as tokens_in has rows")
        for field, rows in (("tokens_in", self.tokens_in), ("tokens_out", self.tokens_out)):
            for number, row in enumerate(rows):
                if len(row) != len(rows[0]) or len(row) < 2:
                    raise ValueError(f"{field}[{number}]: expected {max(len(rows[0]), 2)} quantiles")
                if row[0] < 0 or any(later < sooner for sooner, later in pairwise(row)):
                    raise ValueError(f"{field}[{number}]: quantiles must not fall, nor be below 0")
        return self


class Sizes(Component):
    """Tokens in and out, or one factor of work; nothing: every request is alike."""

    tokens_in: Numbers | None = Field(default=None, description="tokens of a request that the model reads")
    tokens_out: Numbers | None = Field(default=None, description="tokens that it writes")
    rank_correlation: Annotated[Real, Field(ge=-1, le=1)] = Field(
        default=0.0, description="rank correlation (Spearman) of the tokens in and out of a request"
    )
    work: Numbers | None = Field(
        default=None, description="work relative to the average request, instead of tokens; 1 on average"
    )
    recorded: RecordedSizes | None = Field(
        default=None, description="quantiles of tokens by time, from a file"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.tokens_in is None) != (self.tokens_out is None):
            raise ValueError("give tokens_in and tokens_out together")
        given = [
            name
            for name, there in (
                ("tokens", self.tokens_in is not None),
                ("work", self.work is not None),
                ("recorded", self.recorded is not None),
            )
            if there
        ]
        if len(given) > 1:
            raise ValueError(f"give one of tokens, work and recorded, got {' and '.join(given)}")
        if self.rank_correlation and self.tokens_in is None:
            raise ValueError("rank_correlation: needs tokens_in and tokens_out")
        return self

    @property
    def has_tokens(self) -> bool:
        """Whether requests have tokens in and out."""
        return self.tokens_in is not None or self.recorded is not None

    @property
    def given(self) -> bool:
        """Whether anything is said about sizes."""
        return self.has_tokens or self.work is not None
