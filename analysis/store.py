"""The run directory of a sweep: a store that loses nothing and can always be continued.

    DIR/manifest.json           what is run: scenario, design, policies, seed, replications, versions, division in parts
    DIR/design.parquet          one row a variant: the value of each factor, in inner units
    DIR/parts/part-000123.parquet   one row a run, written by the task that played it
    DIR/checksums.txt           SHA-256 of each finished part, in the form that `sha256sum -c` reads

A part counts when its checksum is there and right. Files appear whole or not at all, and hold no times, names of
machines or anything else that differs from one execution to the next: the same sweep gives the same bytes.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.durable_files import TEMPORARY, locked, remove_unfinished, sha256, write_durably

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FORMAT = 1
KIND = "halflife sweep"
MANIFEST, DESIGN, PARTS, CHECKSUMS = "manifest.json", "design.parquet", "parts", "checksums.txt"
COMPRESSION = "zstd"


@dataclass(frozen=True)
class Store:
    """A run directory that exists; made by `create_store` or `open_store`."""

    folder: Path
    manifest: dict[str, Any]

    def manifest_checksum(self) -> str:
        """Checksum of the manifest that the folder has now, by which tasks know their sweep. Raises OSError."""
        return sha256((self.folder / MANIFEST).read_bytes())

    @property
    def part_count(self) -> int:
        """Parts that the whole sweep has."""
        return int(self.manifest["parts"]["count"])

    def part_path(self, number: int) -> Path:
        """Where a part is, or will be."""
        return self.folder / PARTS / f"part-{number:06d}.parquet"

    def write_part(self, number: int, table: pa.Table) -> str:
        """Write a part; returns its checksum. Raises OSError when it cannot be written."""
        content = parquet_bytes(table)
        write_durably(self.part_path(number), content)
        return sha256(content)

    def note(self, number: int, checksum: str) -> None:
        """Add the checksum of a part: from now on it counts."""
        with (self.folder / CHECKSUMS).open("a", encoding="ascii") as file:
            file.write(_checksum_line(self.part_path(number), checksum))

    def checksums(self) -> dict[int, str]:
        """Checksums by part as they were noted; a line that was cut off is no line."""
        path = self.folder / CHECKSUMS
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        lines = re.findall(rf"^([0-9a-f]{{64}})  {PARTS}/part-(\d{{6,}})\.parquet\n", text, re.MULTILINE)
        return {int(number): checksum for checksum, number in lines if int(number) < self.part_count}

    def verify(self) -> tuple[dict[int, str], list[int]]:
        """Checksums of the parts that are there and right, and the numbers of those that are damaged or gone."""
        right: dict[int, str] = {}
        wrong = []
        for number, checksum in sorted(self.checksums().items()):
            path = self.part_path(number)
            if path.exists() and sha256(path.read_bytes()) == checksum:
                right[number] = checksum
            else:
                wrong.append(number)
        return right, wrong

    def settle(self, checksums: Mapping[int, str]) -> None:
        """Write the checksums in the order of the parts, and remove what killed writers left."""
        for folder in (self.folder, self.folder / PARTS):
            remove_unfinished(folder)
        lines = [_checksum_line(self.part_path(n), checksum) for n, checksum in sorted(checksums.items())]
        write_durably(self.folder / CHECKSUMS, "".join(lines).encode())

    @cached_property
    def finished(self) -> list[int]:
        """Numbers of the parts that count, by the checksums noted when the store was opened."""
        return sorted(number for number in self.checksums() if self.part_path(number).exists())

    @property
    def complete(self) -> bool:
        """Whether all parts are there."""
        return len(self.finished) == self.part_count

    def design(self) -> pd.DataFrame:
        """One row a variant: `variant`, and the value of each factor in inner units."""
        import pandas as pd

        return pd.read_parquet(self.folder / DESIGN)

    def part(self, number: int) -> pd.DataFrame:
        """The runs of one part. Raises ValueError where it is damaged."""
        import pandas as pd
        import pyarrow as pa

        try:
            return pd.read_parquet(self.part_path(number))
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"{self.part_path(number)}: is damaged ({error}); --resume makes it again"
            ) from None

    def runs(self) -> Iterator[pd.DataFrame]:
        """The finished parts, one after the other."""
        for number in self.finished:
            yield self.part(number)

    def refuse_overwriting(self) -> None:
        """Raise ValueError that says what is here."""
        raise ValueError(
            f"{self.folder}: has a sweep already ({len(self.finished)} of {self.part_count} parts); "
            "--resume goes on with it, another --out starts anew"
        )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other sweeps out. Raises ValueError when one is at work."""
        with locked(self.folder / MANIFEST):
            yield

    def query(self, sql: str) -> pd.DataFrame:
        """Ask the store in SQL (DuckDB); see `query`."""
        return query(self.folder, sql)


def create_store(
    folder: Path, manifest: Mapping[str, Any], design: pa.Table, *, resume: bool = False
) -> Store:
    """The store of a sweep in a folder that is new, empty, or (with resume) has the same sweep already.

    Raises ValueError, before anything is written, for a folder with something else in it, with another sweep, or
    with one to resume that another version made; OSError where the folder cannot be written.
    """
    wanted = json.loads(json.dumps(manifest))
    if (folder / MANIFEST).exists():
        store = open_store(folder)
        if not resume:
            store.refuse_overwriting()
        _same_sweep(folder, store.manifest, wanted)
    else:
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder}: is a file, expected a folder")
        if folder.exists() and any(not entry.name.startswith(TEMPORARY) for entry in folder.iterdir()):
            raise ValueError(f"{folder}: is not empty and not the folder of a sweep; nothing was written")
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(folder / MANIFEST, (json.dumps(wanted, indent=1, allow_nan=False) + "\n").encode())
        store = Store(folder, wanted)
    content = parquet_bytes(design)
    path = folder / DESIGN
    if not path.exists() or path.read_bytes() != content:
        write_durably(path, content)
    (folder / PARTS).mkdir(exist_ok=True)
    return store


def open_store(folder: str | Path) -> Store:
    """The store in a folder, to read. Raises ValueError where there is none that this version can read."""
    home = Path(folder)
    path = home / MANIFEST
    if not path.is_file():
        raise ValueError(f"{home}: is not the folder of a sweep, it has no {MANIFEST}")
    try:
        manifest = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: is no JSON document ({error})") from None
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        raise ValueError(f"{home}: is not the folder of a sweep, its {MANIFEST} is something else's")
    if manifest.get("format") != FORMAT:
        raise ValueError(
            f"{home}: was written in format {manifest.get('format')}, this version reads format {FORMAT}"
        )
    return Store(home, manifest)


def query(folder: str | Path, sql: str) -> pd.DataFrame:
    """Ask a store in SQL: `runs` has one row a run with the values of its variant, `design` one row a variant.

    folder: a run directory, complete or not; only finished parts count. sql: exactly one SELECT, with or without
    WITH; it sees these tables only, no files, and changes nothing. Needs DuckDB. Raises ValueError for what is no
    store, a store without any part, another statement, and SQL that DuckDB refuses.
    """
    store = open_store(folder)
    duckdb = _duckdb()
    if not store.finished:
        raise ValueError(f"{store.folder}: has no finished part yet")
    statement = _only_select(duckdb, sql)
    with _closed_database(duckdb, store) as connection:
        try:
            found: pd.DataFrame = connection.execute(statement).df()
        except duckdb.Error as error:
            raise ValueError(f"query: {_first_line(error)}") from None
    return found


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as a Parquet file: the same table and version of pyarrow give the same bytes."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    words = [field.name for field in table.schema if str(field.type) in ("string", "large_string")]
    pq.write_table(table, sink, compression=COMPRESSION, use_dictionary=words, store_schema=False)
    return sink.getvalue()


def _checksum_line(path: Path, checksum: str) -> str:
    return f"{checksum}  {PARTS}/{path.name}\n"


def _same_sweep(folder: Path, there: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise ValueError with the reason when the sweep in a folder is not the wanted one."""
    for what in ("scenario", "design", "policies", "seed", "replications", "parts"):
        old, new = there.get(what), wanted[what]
        if old != new:
            shown = f": {_short(old)} there, {_short(new)} now" if not isinstance(new, dict) else ""
            raise ValueError(f"{folder}: cannot resume, the sweep there has another {what}{shown}")
    if there.get("versions") != wanted["versions"]:
        changed = ", ".join(
            f"{name} {there.get('versions', {}).get(name)} there, {version} now"
            for name, version in wanted["versions"].items()
            if there.get("versions", {}).get(name) != version
        )
        raise ValueError(
            f"{folder}: can be read but not resumed, other versions could give other numbers ({changed})"
        )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _only_select(duckdb: Any, sql: str) -> Any:
    """The one statement of a query. Raises ValueError where it is not one SELECT."""
    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as error:
        raise ValueError(f"query: {_first_line(error)}") from None
    kinds = [statement.type.name for statement in statements]
    if kinds != ["SELECT"]:
        given = ", ".join(kinds) if kinds else "nothing"
        raise ValueError(f"query: got {given}, expected exactly one SELECT (or WITH ... SELECT)")
    return statements[0]


@contextmanager
def _closed_database(duckdb: Any, store: Store) -> Iterator[Any]:
    """A database in memory with the tables of a store, for which no file exists.

    Arrow reads the files, a batch at a time: were DuckDB allowed to read them it could write them too, because a
    SELECT may hold a COPY ... TO. It may only use a folder of its own, for what does not fit into memory.
    """
    from tempfile import TemporaryDirectory

    from pyarrow import dataset

    with TemporaryDirectory() as spare, duckdb.connect(config={"temp_directory": spare}) as connection:
        connection.register("design", dataset.dataset(str(store.folder / DESIGN)))
        connection.register("played", dataset.dataset([str(store.part_path(n)) for n in store.finished]))
        connection.execute("CREATE VIEW runs AS SELECT * FROM played JOIN design USING (variant)")
        connection.execute("SET python_enable_replacements = false")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise ValueError("queries need DuckDB: pip install 'halflife-sim[experiments]'") from None
    return duckdb
