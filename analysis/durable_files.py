"""Files that are there whole or not at all: written beside their place, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

TEMPORARY = ".tmp-"
"""In the names of files that are not finished."""


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that, whatever happens, its name has the old content, the new one, or nothing.

    Raises OSError (full disk, no rights) after removing what was begun.
    """
    begun = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:12]}-{path.name}")
    try:
        with begun.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        begun.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            begun.unlink()
        raise
    _flush_folder(path.parent)


def sha256(content: bytes) -> str:
    """Checksum in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def remove_unfinished(folder: Path) -> None:
    """Remove what writers left that were killed."""
    for left in folder.glob(f"{TEMPORARY}*"):
        with contextlib.suppress(FileNotFoundError):
            left.unlink()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file against other processes of this machine; the lock ends with the process, however it ends.

    Raises ValueError when another one holds it.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on this platform
        yield
        return
    with path.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{path.parent}: another sweep is writing there") from None
        yield


def _flush_folder(folder: Path) -> None:
    """Make the renaming itself durable, where the platform lets folders be flushed."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
