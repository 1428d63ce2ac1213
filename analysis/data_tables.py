"""Reading a user's table, CSV or Parquet, and making sure that two of them have the same columns.

Every error names the file, and where there is one the column and the line.
"""

from __future__ import annotations

import csv
import difflib
import gzip
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".csv.gz", ".txt", ".tsv", ".tsv.gz")
_EMPTY = ("", "#N/A", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
"""Cells that are missing values."""
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
        table = _csv(file, "\t" if ".tsv" in name else ",")
    else:
        raise ValueError(f"{file}: expected a file that ends in {', '.join((*CSV, *PARQUET))}")
    if table.shape[1] == 0 or len(table) == 0:
        raise ValueError(f"{file}: has no {'columns' if table.shape[1] == 0 else 'rows'}")
    table.columns = [str(column) for column in table.columns]
    return table


def same_columns(
    reference: pd.DataFrame, current: pd.DataFrame, names: tuple[str, str], wanted: Sequence[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with the same columns of the same kind, in the order of the reference.

    names: of the two files, for messages. wanted: columns to keep; all when empty.
    Raises ValueError, naming file and column, where one table lacks a column of the other or holds text where the
    other holds numbers.
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
    reference, current = reference[keep].copy(), current[keep].copy()
    for column in keep:
        _same_kind(reference, current, column, names)
    return reference, current


def _same_kind(reference: pd.DataFrame, current: pd.DataFrame, column: str, names: tuple[str, str]) -> None:
    numeric = [is_numeric(table[column]) for table in (reference, current)]
    empty = [table[column].isna().all() for table in (reference, current)]
    if numeric[0] == numeric[1] or any(empty):
        return
    text, name = (current, names[1]) if numeric[0] else (reference, names[0])
    unread = pd.to_numeric(text[column], errors="coerce").isna() & text[column].notna()
    wrong = np.flatnonzero(unread)
    if len(wrong) == 0:
        raise ValueError(
            f"{name}: column {column!r} holds numbers as text, those of the other file are numbers"
        )
    line = f", line {wrong[0] + 2}" if name.lower().endswith(CSV) else ""
    raise ValueError(
        f"{name}{line}: column {column!r} holds {text[column].iloc[wrong[0]]!r}, and the other file has numbers there; "
        "mend the cell, or compare it as text with --categorical"
    )


def is_numeric(column: pd.Series) -> bool:
    """Whether a column is compared as numbers; truth values are categories."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _parquet(file: Path) -> pd.DataFrame:
    from pyarrow import ArrowException

    try:
        return pd.read_parquet(file)
    except ArrowException as error:
        raise ValueError(f"{file}: is not a Parquet file ({str(error).splitlines()[0]})") from None


def _csv(file: Path, separator: str) -> pd.DataFrame:
    try:
        with _opened(file) as stream:
            header = next(csv.reader(stream, delimiter=separator), [])
        twice = [name for name, count in Counter(header).items() if count > 1]
        if twice:
            raise ValueError(f"{file}, line 1: column {twice[0]!r} is there twice")
        return pd.read_csv(
            file, sep=separator, na_values=list(_EMPTY), keep_default_na=False, low_memory=False
        )
    except pd.errors.EmptyDataError:
        raise ValueError(f"{file}: is empty, expected a header and rows") from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file}: is not a text file in UTF-8 ({error.reason} at byte {error.start})"
        ) from None
    except (pd.errors.ParserError, gzip.BadGzipFile, EOFError, csv.Error) as error:
        raise ValueError(f"{file}: cannot be read as CSV: {str(error).strip()}") from None


def _opened(file: Path) -> IO[str]:
    if file.name.lower().endswith(".gz"):
        return gzip.open(file, "rt", encoding="utf-8", newline="")
    return file.open(encoding="utf-8", newline="")


def _listed(columns: list[str]) -> str:
    shown = ", ".join(repr(column) for column in columns[:_MANY])
    return shown + (f" and {len(columns) - _MANY} more" if len(columns) > _MANY else "")


def _near(column: str, table: pd.DataFrame) -> str:
    near = difflib.get_close_matches(column, table.columns, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}one of: {_listed(list(table.columns))}"
