"""Tables as users have them (DataFrame, columns by name, 2-D array), read column by column without copying."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Table = pd.DataFrame | Mapping[Any, Any] | NDArray[Any]


class Columns:
    """A table read: its names in order, its number of rows, and each column on demand.

    table: a DataFrame, a mapping from name to 1-D array, or a 2-D array (names are 0, 1, ...)
    Raises ValueError for another shape, two columns of one name, columns of different lengths, or no rows.
    """

    def __init__(self, table: Table, what: str) -> None:
        self.matrix: NDArray[Any] | None = None
        """(rows, columns) where the whole table is one float32 or float64 block."""
        self._table: Any = table
        if isinstance(table, pd.DataFrame):
            self.names: list[Hashable] = list(table.columns)
            self.rows = len(table)
            self.matrix = _one_block(table)
        elif isinstance(table, Mapping):
            self._table = {name: _column(values, name) for name, values in table.items()}
            self.names = list(table)
            lengths = {name: len(values) for name, values in self._table.items()}
            self.rows = next(iter(lengths.values()), 0)
            for name, length in lengths.items():
                if length != self.rows:
                    raise ValueError(
                        f"{what}: column {name!r} has {length} rows, column {self.names[0]!r} has {self.rows}"
                    )
        else:
            self._table = np.asarray(table)
            if self._table.ndim != 2:
                raise ValueError(f"{what} must have two dimensions (rows, columns), got {self._table.ndim}")
            self.rows = len(self._table)
            self.names = list(range(self._table.shape[1]))
            if self._table.dtype in (np.float32, np.float64):
                self.matrix = self._table
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ValueError(f"{what} has more than one column {twice!r}")
        if not self.names:
            raise ValueError(f"{what} has no columns")
        if self.rows == 0:
            raise ValueError(f"{what} has no rows")

    def column(self, name: Hashable) -> Any:
        """The column as it is: an array or a Series."""
        if isinstance(self._table, np.ndarray):
            return self._table[:, self.names.index(name)]
        return self._table[name]


def is_number(column: Any) -> bool:
    """Whether a column is numbers by itself; bool, text, categories and mixed objects are not.

    Raises ValueError for dates, times and complex numbers, which are neither numbers nor categories.
    """
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(dtype):
        return False
    if pd.api.types.is_object_dtype(dtype):
        kinds = ("integer", "floating", "mixed-integer-float", "decimal", "empty")
        return pd.api.types.infer_dtype(column, skipna=True) in kinds
    if pd.api.types.is_complex_dtype(dtype) or getattr(dtype, "kind", "") in "mM":
        raise ValueError(f"holds {dtype}; give numbers or categories")
    return bool(pd.api.types.is_numeric_dtype(dtype))


def as_floats(column: Any) -> NDArray[Any]:
    """A column of numbers as float32 or float64, without a copy where it is; None and NA become NaN.

    Raises ValueError when it holds something else.
    """
    if isinstance(column, np.ndarray) and column.dtype in (np.float32, np.float64):
        return column
    if not (is_number(column) or pd.api.types.is_bool_dtype(column.dtype)):
        raise ValueError(f"must be numbers, got {_example(column)}")
    if isinstance(column, np.ndarray):
        return column.astype(np.float64)
    if column.dtype in (np.float32, np.float64):
        return np.asarray(column.to_numpy())
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))


def _column(values: Any, name: Hashable) -> Any:
    column = values if isinstance(values, pd.Series) else np.asarray(values)
    if isinstance(values, pd.Categorical):
        column = pd.Series(values)
    if column.ndim != 1:
        raise ValueError(f"column {name!r} must have one dimension, got {column.ndim}")
    return column


def _one_block(frame: pd.DataFrame) -> NDArray[Any] | None:
    """The values of a frame whose columns lie side by side in memory, one type, as one array without copying."""
    kinds = set(frame.dtypes)
    if len(kinds) != 1 or next(iter(kinds)) not in (np.float32, np.float64) or len(frame) == 0:
        return None
    first, last = frame.iloc[:, 0].to_numpy(), frame.iloc[:, -1].to_numpy()
    apart = last.__array_interface__["data"][0] - first.__array_interface__["data"][0]
    span = (frame.shape[1] - 1) * first.itemsize
    if apart in (span, span * len(frame)):
        return np.asarray(frame.to_numpy())
    return None


def _example(column: Any) -> str:
    for value in column.tolist():
        if isinstance(value, str) or not isinstance(value, (int, float, type(None))):
            return f"{value!r} among its values"
    return f"type {column.dtype}"
