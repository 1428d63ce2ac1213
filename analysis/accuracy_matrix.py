"""The accuracy matrix A[t', t]: what a model trained through period t' scores on each later period t.

It is the whole input of a backtest: read one from CSV (`read_matrix`), or make one from rows in time order
and any estimator with `fit` and `predict` (`accuracy_matrix`). Validation accuracies and PSI that belong to
a matrix are read here too, by the same rules.
"""

from __future__ import annotations

import copy
import csv
import gzip
import importlib.util
import io
import itertools
import math
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["Matrix", "MatrixError", "accuracy_matrix", "read_matrix", "read_psi", "read_validation"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
PathLike = str | os.PathLike[str]
Scorer = Callable[[Any, Any, Any], float]


class MatrixError(ValueError):
    """An accuracy matrix, validation or PSI table is not usable.

    The message says where, what was found and what would be right; the attributes hold the same parts, None
    where one does not apply: file (str), line (from 1), column (name of the column), value, expected.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: str | None = None,
        value: str | None = None,
        expected: str | None = None,
    ) -> None:
        super().__init__(message)
        self.file, self.line, self.column, self.value, self.expected = file, line, column, value, expected


@dataclass(frozen=True, eq=False)
class Matrix:
    """Accuracy of every model on every later period.

    train_periods: int (n_train,), the first n_periods - 1 of `periods`
    periods: int (n_periods,), consecutive, at least 2
    values: fraction in [0, 1], (n_train, n_periods); row t', column t is the accuracy on period t of the
        model trained through period t', NaN where t <= t'
    The arrays are made read-only. Raises MatrixError where they do not fit together.

    >>> m = Matrix([0, 1], [0, 1, 2], [[np.nan, 0.9, 0.8], [np.nan, np.nan, 0.9]])
    >>> m.values.shape
    (2, 3)
    """

    train_periods: IntArray
    periods: IntArray
    values: FloatArray

    def __post_init__(self) -> None:
        periods, rows = np.array(self.periods, dtype=np.int64), np.array(self.train_periods, dtype=np.int64)
        values = np.array(self.values, dtype=float)
        if periods.ndim != 1 or periods.size < 2 or np.any(np.diff(periods) != 1):
            raise _error(None, _shown(periods), "at least 2 periods, consecutive integers", column="periods")
        if not np.array_equal(rows, periods[:-1]):
            raise _error(None, _shown(rows), "every period but the last", column="train_periods")
        if values.shape != (rows.size, periods.size):
            expected = f"an array of shape {(rows.size, periods.size)}"
            raise _error(None, f"shape {values.shape}", expected, column="values")
        later = periods > rows[:, None]
        wrong = np.where(later, ~((values >= 0) & (values <= 1)), ~np.isnan(values))
        if wrong.any():
            i, j = (int(k) for k in np.argwhere(wrong)[0])
            expected = "a fraction in [0, 1]" if later[i, j] else "NaN: no model is scored on what it learned"
            where = f"values[train {rows[i]}, period {periods[j]}]"
            raise _error(None, str(values[i, j]), expected, column=where)
        for name, array in (("periods", periods), ("train_periods", rows), ("values", values)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def to_csv(self, path: PathLike) -> None:
        """Write the matrix in the format that `read_matrix` reads; accuracies are rounded to 6 decimals."""
        lines = [",".join(["train_period", *map(str, self.periods)])]
        for period, row in zip(self.train_periods, self.values, strict=True):
            lines.append(",".join([str(period), *map(_decimals, row)]))
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def read_matrix(path: PathLike) -> Matrix:
    """Read an accuracy matrix from CSV, plain or gzip.

    First column: training period t'; the other columns: evaluation periods t, named by the header; cells:
    A[t', t] as a fraction in [0, 1], empty where t <= t'. Periods are consecutive integers; rows and columns
    begin with the same one. One row for each period but the last (a row for the last one, which can only be
    empty, is accepted and dropped).
    Raises MatrixError with file, line, column and value for anything else, a missing or binary file included.
    """
    header, rows = _table(path)
    periods = [_integer(path, 1, name, name) for name in header[1:]]
    if len(periods) < 2:
        raise _error(path, f"{len(periods)} evaluation period", "at least 2 periods", line=1)
    _check_consecutive(path, [(1, name, p) for name, p in zip(header[1:], periods, strict=True)], periods[0])
    labels = [(line, header[0], _integer(path, line, header[0], cells[0])) for line, cells in rows]
    _check_consecutive(path, labels, periods[0])
    if len(rows) not in (len(periods) - 1, len(periods)):
        expected = f"{len(periods) - 1}: one for each period but the last"
        raise _error(path, f"{len(rows)} rows", expected, line=rows[-1][0] if rows else 1)
    values = np.full((len(rows), len(periods)), np.nan)
    for i, (line, cells) in enumerate(rows):
        for j, cell in enumerate(cells[1:]):
            if j > i:
                values[i, j] = _number(path, line, header[j + 1], cell, upper=1.0)
            elif cell:
                expected = f"an empty cell: this model was trained through period {periods[i]}"
                raise _error(path, repr(cell), expected, line=line, column=header[j + 1])
    return Matrix(np.array(periods[:-1]), np.array(periods), values[: len(periods) - 1])


def read_validation(path: PathLike, matrix: Matrix) -> FloatArray:
    """Read the validation accuracy of each model of `matrix`, as measured when it was trained.

    CSV, plain or gzip, of two columns: training period (any order), accuracy as a fraction in [0, 1].
    Returns an array (n_train,). Raises MatrixError where a row is missing, repeated or not a fraction.
    """
    header, rows = _table(path, 2)
    found: dict[int, float] = {}
    for line, cells in rows:
        period = _integer(path, line, header[0], cells[0])
        if period in found or period not in matrix.train_periods:
            expected = "each training period of the matrix once"
            raise _error(path, repr(cells[0]), expected, line=line, column=header[0])
        found[period] = _number(path, line, header[1], cells[1], upper=1.0)
    missing = [int(p) for p in matrix.train_periods if int(p) not in found]
    if missing:
        raise _error(path, "no row", f"a row for training period {missing[0]}", column=header[0])
    return np.array([found[int(p)] for p in matrix.train_periods])


def read_psi(path: PathLike, matrix: Matrix) -> FloatArray:
    """Read the population stability index of every feature, model and later period of `matrix`.

    CSV, plain or gzip: training period t', period t > t', then one column a feature (PSI >= 0, between the
    training rows of model t' and period t). Rows in any order, every pair t' < t of the matrix once.
    Returns an array (n_train, n_periods, n_features), NaN where t <= t'. Raises MatrixError otherwise.
    """
    header, rows = _table(path)
    if len(header) < 3:
        raise _error(path, f"{len(header)} columns", "train_period, period, one column a feature", line=1)
    first, last = int(matrix.periods[0]), int(matrix.periods[-1])
    values = np.full((matrix.train_periods.size, matrix.periods.size, len(header) - 2), np.nan)
    for line, cells in rows:
        train, period = (_integer(path, line, header[k], cells[k]) for k in (0, 1))
        if not first <= train < period <= last:
            expected = f"a pair with {first} <= training period < period <= {last}"
            raise _error(path, f"{train}, {period}", expected, line=line, column=header[1])
        if not np.isnan(values[train - first, period - first, 0]):
            raise _error(path, f"{train}, {period} again", "each pair once", line=line, column=header[1])
        named = zip(header[2:], cells[2:], strict=True)
        values[train - first, period - first] = [_number(path, line, name, cell) for name, cell in named]
    missing = np.argwhere(np.isnan(values[:, :, 0]) & (matrix.periods > matrix.train_periods[:, None]))
    if missing.size:
        train, period = missing[0] + first
        raise _error(path, "no row", f"one for training period {train}, period {period}", column=header[1])
    return values


def accuracy_matrix(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    periods: int | ArrayLike,
    window: int,
    *,
    progress: bool = True,
    scorer: Scorer | None = None,
) -> Matrix:
    """Train a model at the end of every period and score it on each later one.

    estimator: has `fit(X, y)` and `predict(X)`; copied for every period, never fitted itself
    X, y: rows in time order, array or DataFrame (n_rows, n_features) and labels (n_rows,) without gaps
    periods: a number n >= 2 of equal periods (the remaining rows at the end are dropped), or the label of the
        period of each row (n_rows,), rows of a period together; consecutive integers are kept as the matrix's
        periods, other labels are numbered from 0 in order of appearance
    window: the model of period t' is trained on this many periods up to and including t' (fewer at the start)
    progress: draw a progress bar on stderr
    scorer: `scorer(model, X, y)` of one period, in [0, 1]; None is the fraction predicted right
    Trains n - 1 models. An estimator with randomness needs its own seed to be repeatable.
    Raises ValueError where shapes, periods or window do not fit, labels are missing, a training window holds
    a single class, a model fails, or a score leaves [0, 1]; it names the period.
    """
    X, labels = _rows(estimator, X, y)
    numbers, bounds = _blocks(periods, len(labels))
    if not isinstance(window, Integral) or isinstance(window, bool) or window < 1:
        raise ValueError(f"window: got {window!r}, expected a whole number of periods >= 1")
    n = numbers.size
    values = np.full((n - 1, n), np.nan)
    with _bar(progress) as bar:
        for i in bar.track(range(n - 1), description="training"):
            first = max(0, i + 1 - int(window))
            train = slice(bounds[first], bounds[i + 1])
            if pd.unique(labels[train]).size < 2:
                raise ValueError(
                    f"training window of period {numbers[i]} (periods {numbers[first]} to {numbers[i]}) "
                    f"holds the single class {labels[train][0]}, expected at least two: use a wider window "
                    "or fewer periods"
                )
            try:
                model = _copied(estimator)
                model.fit(_take(X, train), labels[train])
                values[i, i + 1 :] = _scores(model, X, labels, bounds[i + 1 :], scorer)
            except (ValueError, TypeError) as error:
                raise ValueError(f"model of training period {numbers[i]}: {error}") from error
    return Matrix(numbers[:-1], numbers, values)


def _rows(estimator: Any, X: Any, y: ArrayLike) -> tuple[Any, NDArray[Any]]:
    """Checked rows: X as something sliceable by row, y as a 1-D array of whole labels."""
    if isinstance(estimator, type) or not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
        raise ValueError(f"estimator: got {estimator!r}, expected an object with fit and predict")
    X = X if hasattr(X, "iloc") or hasattr(X, "shape") else np.asarray(X)
    labels = np.asarray(y)
    if len(X.shape) != 2:
        raise ValueError(f"X: got shape {tuple(X.shape)}, expected two dimensions: (rows, features)")
    if labels.ndim != 1 or labels.size != X.shape[0]:
        raise ValueError(f"y: got shape {labels.shape}, expected ({X.shape[0]},): one label a row of X")
    missing = np.flatnonzero(pd.isna(labels))
    if missing.size:
        raise ValueError(f"y: {missing.size} labels are missing (NaN), the first in row {missing[0]}")
    return X, labels


def _blocks(periods: int | ArrayLike, n_rows: int) -> tuple[IntArray, IntArray]:
    """Period numbers (n,) and the row at which each begins, with the end of the last (n + 1,)."""
    if isinstance(periods, Integral) and not isinstance(periods, bool):
        if not 2 <= periods <= n_rows:
            raise ValueError(f"periods: got {periods}, expected 2 to {n_rows} (the number of rows)")
        return np.arange(int(periods)), np.arange(int(periods) + 1) * (n_rows // int(periods))
    labels = np.asarray(periods)
    if labels.shape != (n_rows,):
        expected = f"a number of periods or one label for each of the {n_rows} rows"
        raise ValueError(f"periods: got shape {labels.shape}, expected {expected}")
    if pd.isna(labels).any():
        raise ValueError(f"periods: the label of row {np.flatnonzero(pd.isna(labels))[0]} is missing")
    starts = np.flatnonzero(np.append(np.full(min(n_rows, 1), True), labels[1:] != labels[:-1]))
    names = labels[starts]
    if pd.unique(names).size != names.size:
        raise ValueError("periods: rows of a period must lie together, in time order; sort the rows first")
    if names.size < 2:
        raise ValueError(f"periods: got {names.size} period, expected at least 2")
    whole = np.issubdtype(names.dtype, np.integer) and bool(np.all(np.diff(names) == 1))
    return (names.astype(np.int64) if whole else np.arange(names.size)), np.append(starts, n_rows)


def _take(X: Any, rows: slice) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def _copied(estimator: Any) -> Any:
    """An unfitted copy."""
    if hasattr(estimator, "get_params") and importlib.util.find_spec("sklearn"):
        from sklearn.base import clone

        return clone(estimator)
    return copy.deepcopy(estimator)


def _scores(model: Any, X: Any, y: NDArray[Any], bounds: IntArray, scorer: Scorer | None) -> FloatArray:
    """Score of the model on each period that lies between two of the bounds."""
    blocks = [slice(a, b) for a, b in itertools.pairwise(bounds)]
    if scorer is None:
        # One call for all later periods: predicting is often slower per call than per row.
        rows = slice(bounds[0], bounds[-1])
        predicted = np.asarray(model.predict(_take(X, rows))).reshape(-1)
        if predicted.shape != y[rows].shape:
            raise ValueError(f"predict: got {predicted.size} predictions for {y[rows].size} rows")
        right = (predicted == y[rows]).astype(float)
        return np.add.reduceat(right, bounds[:-1] - bounds[0]) / np.diff(bounds)
    scores = [float(scorer(model, _take(X, block), y[block])) for block in blocks]
    for block, score in zip(blocks, scores, strict=True):
        if not 0 <= score <= 1:
            raise ValueError(f"scorer: got {score} on rows {block.start}-{block.stop - 1}, expected 0 to 1")
    return np.array(scores)


def _bar(visible: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not visible)


def _error(
    path: PathLike | None,
    value: str,
    expected: str,
    *,
    line: int | None = None,
    column: str | None = None,
) -> MatrixError:
    file = None if path is None else os.fspath(path)
    place = f"{file}:{line}" if line else file
    cell = column if file is None or column is None else f"column '{column}'"
    where = ": ".join(part for part in (place, cell) if part)
    message = f"{where}: got {value}, expected {expected}"
    return MatrixError(message, file=file, line=line, column=column, value=value, expected=expected)


def _table(path: PathLike, width: int | None = None) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header and (line number, cells) of a CSV, every row as wide as the header; cells are stripped."""
    lines = list(_csv_lines(path))
    if not lines:
        raise _error(path, "an empty file", "CSV with a header")
    (top, header), *rows = lines
    if len(header) < 2 or (width and len(header) != width):
        expected = f"CSV with {width or 'at least 2'} columns, separated by commas"
        raise _error(path, f"{len(header)} column ({header[0][:40]!r})", expected, line=top)
    for line, cells in rows:
        if len(cells) != len(header):
            raise _error(path, f"{len(cells)} cells", f"{len(header)}, as in the header", line=line)
    return header, rows


def _csv_lines(path: PathLike) -> Iterator[tuple[int, list[str]]]:
    """(line number, stripped cells) of the lines that are not blank."""
    try:
        data = Path(path).read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise _error(path, "no such file", "the path of a CSV file") from None
    except UnicodeDecodeError:
        raise _error(path, "binary data", "CSV as UTF-8 text") from None
    except (OSError, EOFError, zlib.error) as error:
        raise _error(path, f"an unreadable file ({error})", "the path of a CSV file") from None
    if "\0" in text:
        raise _error(path, "binary data", "CSV as UTF-8 text")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise _error(path, f"malformed CSV ({error})", "CSV as text", line=reader.line_num) from None


def _integer(path: PathLike, line: int, column: str, cell: str) -> int:
    # ASCII digits only: int() would also take '1_0' and other scripts, float() '1e3'. Ten are plenty.
    digits = cell[1:] if cell[:1] == "-" else cell
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
        raise _error(path, repr(cell), "a period: a whole number such as 3", line=line, column=column)
    return int(cell)


def _number(path: PathLike, line: int, column: str, cell: str, upper: float = math.inf) -> float:
    expected = "a fraction in [0, 1]" if upper == 1 else "a number >= 0"
    try:
        number = float(cell) if "_" not in cell else math.nan
    except ValueError:
        number = math.nan
    if not (0 <= number <= upper and math.isfinite(number)):
        value = repr(cell) if cell else "an empty cell"
        raise _error(path, value, expected, line=line, column=column)
    return number


def _check_consecutive(path: PathLike, labels: list[tuple[int, str, int]], first: int) -> None:
    """Periods (line, column, period) count up from `first` by one."""
    seen: dict[int, int] = {}
    for expected, (line, column, period) in enumerate(labels, start=first):
        if period != expected:
            repeated = f" again (first on line {seen[period]})" if period in seen else ""
            right = f"{expected}: periods are consecutive integers from {first}"
            raise _error(path, f"period {period}{repeated}", right, line=line, column=column)
        seen[period] = line


def _decimals(value: float) -> str:
    """At most 6 decimals, at least one, empty for NaN: the shortest text that reads back the same."""
    if math.isnan(value):
        return ""
    text = f"{value:.6f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def _shown(values: NDArray[Any]) -> str:
    return np.array2string(values, threshold=6, separator=", ")
