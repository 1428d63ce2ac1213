"""Recorded series and matrices: a scenario's link to a user's own data."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo, model_validator

from scenarios.base import Component
from scenarios.units import PositiveDays, Real

MAX_ROWS = 2_000_000


def resolve(path: str, info: ValidationInfo) -> Path:
    """The file a scenario means: relative paths count from the scenario's own folder."""
    folder = Path((info.context or {}).get("base_dir", "."))
    return folder / path


def read_columns(path: Path) -> dict[str, list[float]]:
    """Columns of numbers of a CSV file with a header; an empty cell is NaN.

    Raises ValueError naming the file, line and column of what is not a number.
    """
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            reader = csv.reader(lines)
            header = next(reader, None)
            if not header:
                raise ValueError(f"{path}: the file is empty, expected a header and rows of numbers")
            columns: dict[str, list[float]] = {name.strip(): [] for name in header}
            if len(columns) != len(header):
                raise ValueError(f"{path}: two columns have the same name")
            for row in reader:
                if reader.line_num > MAX_ROWS:
                    raise ValueError(f"{path}: more than {MAX_ROWS:,} rows")
                if len(row) != len(header):
                    raise ValueError(
                        f"{path}:{reader.line_num}: {len(row)} cells, expected {len(header)} as in the header"
                    )
                for name, cell in zip(columns, row, strict=True):
                    columns[name].append(_number(cell, path, reader.line_num, name))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"cannot read {path}: {reason}") from None
    return columns


def _number(cell: str, path: Path, line: int, column: str) -> float:
    if not cell.strip():
        return math.nan
    try:
        return float(cell)
    except ValueError:
        raise ValueError(
            f"{path}:{line}: column {column!r}: got {cell!r}, expected a number or an empty cell"
        ) from None


class RecordedSeries(Component):
    """Values at equal steps, from the file or written out; held until the next step."""

    step: PositiveDays = Field(description="time between two values")
    values: list[Real] | None = Field(default=None, min_length=1, description="the values, written out")
    path: str | None = Field(default=None, description="a CSV file with a header, relative to this file")
    column: str | None = Field(default=None, description="the column to use; the first one when absent")

    @model_validator(mode="before")
    @classmethod
    def _load(cls, data: Any, info: ValidationInfo) -> Any:
        """Read the file at once, so that a missing or broken one is an error of the scenario."""
        if not isinstance(data, dict) or not isinstance(data.get("path"), str):
            return data
        if data.get("values") is not None:
            raise ValueError("give values or path, not both")
        columns = read_columns(resolve(data["path"], info))
        column = data.get("column") or next(iter(columns))
        if column not in columns:
            raise ValueError(f"no column {column!r} in {data['path']}; one of: {', '.join(columns)}")
        return {**data, "path": None, "column": None, "values": columns[column]}

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        if self.values is None:
            raise ValueError("give values or path")
        return self


Cell = Annotated[
    Annotated[float, Field(allow_inf_nan=True)],
    BeforeValidator(lambda value: math.nan if value is None else value, json_schema_input_type=float | None),
    PlainSerializer(lambda value: None if math.isnan(value) else value, when_used="json"),
]
"""An accuracy, or nothing where none can be."""


class RecordedMatrix(Component):
    """A[t', t]: the accuracy on period t of a model trained through period t' (t' < t)."""

    rows: list[list[Cell]] = Field(min_length=1, description="one row per training period; NaN where t <= t'")

    @model_validator(mode="before")
    @classmethod
    def _load(cls, data: Any, info: ValidationInfo) -> Any:
        if not isinstance(data, str):
            return data
        columns = read_columns(resolve(data, info))
        names = list(columns)[1:]
        return {"rows": [list(row) for row in zip(*(columns[name] for name in names), strict=True)]}

    @model_validator(mode="after")
    def _upper_triangle(self) -> Self:
        width = len(self.rows[0])
        for trained, row in enumerate(self.rows):
            if len(row) != width:
                raise ValueError(f"row {trained} has {len(row)} cells, expected {width}")
            for period, value in enumerate(row):
                if period > trained and not 0.0 <= value <= 1.0:
                    raise ValueError(
                        f"accuracy of the model of period {trained} on period {period}: got {value}, "
                        "expected a fraction between 0 and 1"
                    )
        if width < 2 or len(self.rows) < width - 1:
            raise ValueError("expected a row for every period but the last, and at least two periods")
        return self
