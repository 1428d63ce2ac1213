"""Files of recorded requests: which columns hold the moments and the sizes, and a fingerprint of the content.

Only the header is read here, so that a missing file or column is an error of the scenario; `sim.arrival_traces` reads
the rows.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from scenarios.problems import choice

CSV = (".csv", ".csv.gz")
PARQUET = (".parquet", ".pq")

TIME_NAMES = (
    "timestamp", "time", "times", "datetime", "date", "ts", "arrival", "arrivaltime", "arrivedat", "arrivals",
    "requesttime", "starttime", "start", "createdat",
)  # fmt: skip
TOKENS_IN_NAMES = (
    "tokensin", "contexttokens", "inputtokens", "prompttokens", "requesttokens", "prefilltokens", "numprefilltokens",
    "inputlength", "promptlength", "inputlen", "promptlen",
)  # fmt: skip
TOKENS_OUT_NAMES = (
    "tokensout", "generatedtokens", "outputtokens", "completiontokens", "responsetokens", "decodetokens",
    "numdecodetokens", "outputlength", "outputlen", "generationlength",
)  # fmt: skip
WORK_NAMES = ("work", "size", "servicetime", "service", "cost")
"""Names of columns without capitals and signs, the likeliest first."""


def plain_name(name: str) -> str:
    """A column's name without capitals and signs.

    >>> plain_name("Generated_Tokens (n)")
    'generatedtokensn'
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def guess(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The column whose plain name comes first in `names`; None when there is none.

    >>> guess(["TIMESTAMP", "ContextTokens"], TOKENS_IN_NAMES)
    'ContextTokens'
    """
    plain = {plain_name(column): column for column in reversed(columns)}
    return next((plain[name] for name in names if name in plain), None)


def header(file: Path) -> list[str]:
    """Names of the columns of a CSV (plain or .gz) or Parquet file.

    Raises ValueError, naming the file, for one that is not there or not of these kinds.
    """
    name = file.name.lower()
    try:
        if name.endswith(PARQUET):
            return _parquet_header(file)
        if not name.endswith(CSV):
            raise ValueError(f"{file}: expected a file that ends in {', '.join((*CSV, *PARQUET))}")
        opener = gzip.open if name.endswith(".gz") else open
        with opener(file, "rt", newline="", encoding="utf-8-sig") as lines:
            found = next(csv.reader(lines), None)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"cannot read {file}: {reason}") from None
    if not found:
        raise ValueError(f"{file}: the file is empty, expected a header and rows")
    return [column.strip() for column in found]


def _parquet_header(file: Path) -> list[str]:
    import pyarrow.lib
    import pyarrow.parquet

    try:
        return [str(name) for name in pyarrow.parquet.read_schema(file).names]
    except pyarrow.lib.ArrowException as error:
        raise ValueError(f"cannot read {file}: {error}") from None


def fingerprint(file: Path) -> str:
    """SHA-256 of the content of a file, 16 digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def check_column(field: str, name: str, columns: Sequence[str], file: Path) -> None:
    """Raise ValueError, naming the field, for a column that the file does not have."""
    if name not in columns:
        raise ValueError(f"{field}: {file.name} has no column {name!r}: {choice(name, columns)}")
