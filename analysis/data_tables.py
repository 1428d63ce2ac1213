"""Reading a user's table, CSV or Parquet, and making sure that two of them have the same columns.

Every error names the file, and where there is one the column and the line.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import itertools
import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from sim.kernels.features import factorised

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz", ".txt", ".tsv", ".tsv.gz")
_EMPTY = ("", "#N/A", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
"""Cells that are missing values."""
_SEPARATORS = (";", "\t", "|", ",")
_TIMES = ("date", "datetime", "datetime64", "time", "timedelta", "timedelta64", "period")
"""What pandas calls columns of Python's and its own time objects."""
_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "empty")
_HASHABLE = ("string", "boolean", "bytes")
_MANY = 12


def read_table(path: str | Path) -> pd.DataFrame:
    """A table from a CSV file (.csv, .tsv, plain or .gz, with a header) or a Parquet file.

    Raises ValueError for a file that is not such a table, OSError for one that cannot be read.
    """
    file = Path(path)
    name = file.name.lower()
    if file.is_dir():
        raise ValueError(f"{file}: is a folder, expected a CSV or Parquet file")
    if name.endswith(PARQUET):
        table = _parquet(file)
    elif name.endswith(CSV):
        table = _csv(file, _separator(file))
    else:
        raise ValueError(f"{file}: expected a file that ends in {', '.join((*CSV, *PARQUET))}")
    if table.shape[1] == 0 or len(table) == 0:
        raise ValueError(f"{file}: has no {'columns' if table.shape[1] == 0 else 'rows'}")
    return with_plain_names(table, str(file))


def with_plain_names(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The table with names of columns as text, values not copied; name: of the table, for messages.

    Raises ValueError for columns of several levels and for two columns of one name.
    """
    if isinstance(table.columns, pd.MultiIndex):
        raise ValueError(
            f"{name}: column {table.columns[0]!r} has a name of {table.columns.nlevels} levels, expected one text each"
        )
    columns = [str(column) for column in table.columns]
    _refuse_twice(columns, name)
    return table.set_axis(columns, axis=1)


def same_columns(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    names: tuple[str, str],
    wanted: Sequence[str] = (),
    as_text: Collection[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with the same columns of the same kind (numpy's numbers, truth values, texts or other categories).

    names: of the two files, for messages; wanted: columns to keep, in this order, all when empty; as_text: columns
    whose values are written as texts, whole numbers in one form in both tables.
    Raises ValueError, naming file and column, where one table lacks a column of the other, holds text where the other
    holds numbers, or holds times, lists or other values that cannot be compared.
    """
    for table, name in zip((reference, current), names, strict=True):
        for column in wanted:
            if column not in table:
                raise ValueError(f"{name}: has no column {column!r}; {_near(column, table)}")
    keep = list(dict.fromkeys(wanted)) or list(reference.columns)
    lacking = [column for column in keep if column not in current]
    extra = [] if wanted else [column for column in current.columns if column not in reference]
    if lacking or extra:
        parts = [f"{names[1]} lacks {_listed(lacking)}"] if lacking else []
        parts += [f"{names[0]} lacks {_listed(extra)}"] if extra else []
        raise ValueError(
            f"the two files have different columns: {'; '.join(parts)}; name the columns to compare with --feature"
        )
    sides = [
        _plain_values(table[keep], name, as_text)
        for table, name in zip((reference, current), names, strict=True)
    ]
    for column in keep:
        pair = sides[0][column], sides[1][column]
        pair = _as_texts(*pair) if column in as_text else _same_kind(*pair, column, names)
        sides[0][column], sides[1][column] = pair
    return pd.DataFrame(sides[0]), pd.DataFrame(sides[1])


def _plain_values(table: pd.DataFrame, name: str, as_text: Collection[str]) -> dict[str, pd.Series]:
    columns = {}
    for column in table.columns:
        where = f"{name}: column {column!r}"
        columns[column] = _plain(table[column].reset_index(drop=True), where)
        if column not in as_text and _holds_times(columns[column]):
            raise ValueError(f"{where} holds times, which always move on; leave it out with --ignore")
    return columns


def _plain(column: pd.Series, where: str) -> pd.Series:
    """Numbers of any storage as numpy's; the rest as it is, where its values can be told apart."""
    dtype = column.dtype
    if pd.api.types.is_complex_dtype(dtype):
        raise ValueError(f"{where} holds complex numbers; give real ones, or leave it out with --ignore")
    if is_numeric(column):
        return column if isinstance(dtype, np.dtype) else _floats(column)
    if not (pd.api.types.is_object_dtype(dtype) or isinstance(dtype, pd.ArrowDtype)):
        return column
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind in _NUMBERS:
        return _floats(column)
    if kind not in _HASHABLE:
        for value in column:
            try:
                hash(value)
            except TypeError:
                raise ValueError(
                    f"{where} holds a {type(value).__name__}, expected one number or text a cell; "
                    "leave it out with --ignore"
                ) from None
    return column


def _floats(column: pd.Series) -> pd.Series:
    return pd.Series(column.to_numpy(dtype=np.float64, na_value=np.nan), index=column.index)


def _holds_times(column: pd.Series) -> bool:
    dtype = column.dtype
    if isinstance(dtype, pd.PeriodDtype) or getattr(dtype, "kind", "") in "mM":
        return True
    # Of texts and categories the type says enough; only columns of objects are looked through.
    inside = pd.api.types.is_object_dtype(dtype) or isinstance(dtype, pd.ArrowDtype)
    return inside and pd.api.types.infer_dtype(column, skipna=True) in _TIMES


def _as_texts(reference: pd.Series, current: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Both columns as texts; where one holds numbers, texts of the other are read as such too."""
    read = is_numeric(reference) or is_numeric(current)
    written = []
    for side in (reference, current):
        codes, values = factorised(side)
        texts = np.array([*(_text(value, read) for value in values), None], dtype=object)
        written.append(
            pd.Series(texts[codes], index=side.index, dtype="string")
        )  # code -1, missing, is the last
    return written[0], written[1]


def _text(value: Any, read: bool) -> str:
    """The value as text, whole numbers in one form: 1, 1.0 and, where texts are read, '1.0' are '1'."""
    if read and isinstance(value, str):
        value = _number(value)
    if not isinstance(value, (int, float, Decimal)) or isinstance(value, bool) or not math.isfinite(value):
        return str(value)
    return str(int(value)) if value == int(value) else str(value)


def _number(text: str) -> Any:
    """The number that a text holds, or the text."""
    if not text.isascii() or "_" in text:
        return text
    for kind in (int, float):  # int first: it is exact for long ones
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _same_kind(
    reference: pd.Series, current: pd.Series, column: str, names: tuple[str, str]
) -> tuple[pd.Series, pd.Series]:
    """The two columns, one without any value as the kind of the other; ValueError for numbers against the rest."""
    numeric = is_numeric(reference), is_numeric(current)
    if numeric[0] == numeric[1]:
        return reference, current
    if reference.isna().all():
        return _empty(reference, numeric[1]), current
    if current.isna().all():
        return reference, _empty(current, numeric[0])
    other, name = (current, names[1]) if numeric[0] else (reference, names[0])
    where = f"{name}: column {column!r}"
    if pd.api.types.infer_dtype(other, skipna=True) == "boolean":
        raise ValueError(
            f"{where} holds truth values, and the other file has numbers there; write both as 0 and 1, or both as "
            "True and False"
        )
    if isinstance(other.dtype, pd.CategoricalDtype):
        raise ValueError(
            f"{where} holds categories, and the other file has numbers there; compare both with --categorical"
        )
    wrong = np.flatnonzero(pd.to_numeric(other, errors="coerce").isna() & other.notna())
    if len(wrong) == 0:
        raise ValueError(f"{where} holds numbers as text, those of the other file are numbers")
    line = _place(Path(name), int(wrong[0])) if name.lower().endswith(CSV) else ""
    raise ValueError(
        f"{name}{line}: column {column!r} holds {other.iloc[wrong[0]]!r}, and the other file has numbers there; "
        "mend the cell, or compare it as text with --categorical"
    )


def _empty(column: pd.Series, numeric: bool) -> pd.Series:
    return pd.Series(np.nan, index=column.index) if numeric else column.astype("string")


def is_numeric(column: pd.Series) -> bool:
    """Whether a column is compared as numbers; truth values are categories."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _parquet(file: Path) -> pd.DataFrame:
    from pyarrow import ArrowException
    from pyarrow.parquet import read_schema

    try:
        columns = read_schema(file).names
        _refuse_twice(columns, str(file))
        return pd.read_parquet(file)
    except ArrowException as error:
        raise ValueError(f"{file}: is not a Parquet file ({str(error).splitlines()[0]})") from None


def _csv(file: Path, separator: str) -> pd.DataFrame:
    try:
        _check_first_rows(file, separator)
        return pd.read_csv(
            file, sep=separator, na_values=list(_EMPTY), keep_default_na=False, low_memory=False
        )
    except pd.errors.ParserError as error:
        reason = _too_long(file, separator) or str(error).strip()
        raise ValueError(f"{file}: cannot be read as CSV: {reason}") from None
    except pd.errors.EmptyDataError:
        raise ValueError(f"{file}: is empty, expected a header and rows") from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file}: is not a text file in UTF-8 ({error.reason} at byte {error.start})"
        ) from None
    except (gzip.BadGzipFile, EOFError) as error:
        raise ValueError(f"{file}: cannot be read as CSV: {error}") from None


def _check_first_rows(file: Path, separator: str) -> None:
    records = _records(file, separator)
    header, first = (next(records, (1, []))[1] for _ in range(2))
    _refuse_twice(header, f"{file}, line 1")
    for mark in _SEPARATORS:
        if len(header) == 1 and mark != separator and mark in header[0] and mark in "".join(first):
            raise ValueError(
                f"{file}: has one column, {header[0]!r}; are its fields separated by {mark!r}? Expected {separator!r}"
            )
    if len(first) > len(header) > 0:
        # pandas would take the first fields for names of the rows, and shift the others by one column.
        raise ValueError(f"{file}: cannot be read as CSV: {_too_long(file, separator)}")


def _too_long(file: Path, separator: str) -> str:
    """The first line with more fields than the header, in words; empty without one."""
    records = _records(file, separator)
    _, header = next(records, (1, []))
    for line, fields in records:
        if len(fields) > len(header):
            return f"line {line} has {len(fields)} fields, the header {len(header)}"
    return ""


def _place(file: Path, row: int) -> str:
    """The line on which a row begins, in words; row: from 0, after the header."""
    for line, _ in itertools.islice(_records(file, _separator(file)), row + 1, row + 2):
        return f", line {line}"
    return ""


def _records(file: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each row of a CSV file with the line on which it begins; lines without text are left out, as pandas does.

    Ends before a field of more than 128 kB, which pandas can read and this cannot: it serves messages only.
    """
    with _opened(file) as stream:
        reader = csv.reader(stream, delimiter=separator)
        line = 1
        try:
            for fields in reader:
                blank = not fields or (len(fields) == 1 and fields[0] != "" and not fields[0].strip())
                if not blank:
                    yield line, fields
                line = reader.line_num + 1
        except csv.Error:
            return


def _separator(file: Path) -> str:
    return "\t" if ".tsv" in file.name.lower() else ","


def _opened(file: Path) -> IO[str]:
    if file.name.lower().endswith(".gz"):
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def _refuse_twice(columns: Sequence[str], where: str) -> None:
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise ValueError(f"{where}: column {twice[0]!r} is there twice")


def _listed(columns: list[str]) -> str:
    shown = ", ".join(repr(column) for column in columns[:_MANY])
    return shown + (f" and {len(columns) - _MANY} more" if len(columns) > _MANY else "")


def _near(column: str, table: pd.DataFrame) -> str:
    near = difflib.get_close_matches(column, table.columns, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}one of: {_listed(list(table.columns))}"
