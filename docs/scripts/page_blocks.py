"""Run what a page of the documentation shows: its commands, its Python and its files, as a reader would.

A page is a sequence of fenced blocks. `shell` blocks hold commands, one a line (a backslash continues it); `python`
blocks share one namespace; a block with `title="name"` is a file of that name; a `text` block after one of these shows
what it prints, with `...` for what is left out, a part of a line or whole lines; a picture says above itself, in a
comment, which file of the run it is: `<!-- picture: out/first/costs.png -->`. Everything runs in one empty folder, page
by page. `bash` blocks are for what would install something, and are not run.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs"
LIMIT = 300
"""Seconds that a block may take."""
_FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PICTURE = re.compile(r"<!-- picture: (\S+) -->\n!\[[^\]]*\]\(([^)]+)\)")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, the name of the file that it is, its text, and the line where it begins."""

    language: str
    title: str | None
    text: str
    line: int


@dataclass(frozen=True)
class Ran:
    """A block that was run, what it printed, and the `text` block that shows it, if one does."""

    block: Block
    printed: str
    shown: Block | None


class BlockFailed(Exception):
    """A block of a page does not do what the page says."""


def pages() -> list[Path]:
    """The pages with blocks that run."""
    written = sorted(PAGES.glob("**/*.md"))
    return [page for page in written if any(runs(block) for block in blocks(page.read_text()))]


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = _FENCE.finditer(text)
    return [Block(match[1], match[2], match[3], text.count("\n", 0, match.start()) + 1) for match in found]


def runs(block: Block) -> bool:
    """Whether something is to be executed."""
    return block.language in ("shell", "python") and block.title is None


def pictures(text: str) -> list[tuple[str, str]]:
    """Pictures that come from a run: the file of the run, and the address on the page."""
    return [(match[1], match[2]) for match in _PICTURE.finditer(text)]


def run_page(page: Path, folder: Path) -> Iterator[Ran]:
    """Run a page's blocks in a folder, one after the other.

    Raises BlockFailed for a block that ends with an error or takes too long.
    """
    found = blocks(page.read_text())
    before = ""  # the Python of earlier blocks, silenced
    for block, following in zip(found, [*found[1:], None], strict=True):
        if block.title is not None:
            (folder / block.title).write_text(block.text)
            continue
        if not runs(block):
            continue
        shown = following if following is not None and following.language == "text" else None
        if block.language == "shell":
            yield Ran(block, _run_shell(page, block, folder), shown)
        else:
            yield Ran(block, _run_python(page, block, before, folder), shown)
            before += block.text


def _run_shell(page: Path, block: Block, folder: Path) -> str:
    printed = ""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        programs = {"halflife": [sys.executable, "-m", "analysis.cli"], "python": [sys.executable]}
        words = [*programs.get(words[0], words[:1]), *words[1:]]
        printed += _run(page, block, words, folder)
    return printed


def _run_python(page: Path, block: Block, before: str, folder: Path) -> str:
    silent = "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()):\n"
    silenced = f"{silent}    exec({before!r}, globals())\n"
    # In a file, because processes that it starts read it again: what runs is guarded as in a program of one's own.
    guarded = f'if __name__ == "__main__":\n    exec({silenced!r}, globals())\n    exec({block.text!r}, globals())\n'
    program = folder / "page_block.py"
    program.write_text(guarded)
    return _run(page, block, [sys.executable, str(program)], folder)


def _run(page: Path, block: Block, words: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "COLUMNS": "160"}
    where = f"{page.relative_to(ROOT)}:{block.line}"
    try:
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        raise BlockFailed(f"{where}: {words[-1]} takes more than {LIMIT} s") from None
    if done.returncode not in _allowed(block):
        raise BlockFailed(f"{where}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def _allowed(block: Block) -> tuple[int, ...]:
    """Exit statuses that are right: a requirement that does not hold is an answer, and the page says so."""
    told = re.findall(r"# exit status (\d)", block.text)
    return tuple(int(status) for status in told) or (0,)


def agrees(printed: str, shown: str) -> bool:
    """Whether a `text` block shows what was printed, but for what its `...` leave out.

    >>> agrees("a 1 b\\nc\\nd\\n", "a 1 b\\n...\\nd\\n"), agrees("a 1 b\\n", "a ... b\\n"), agrees("a\\n", "b\\n")
    (True, True, False)
    """
    printed = "\n".join(line.rstrip() for line in printed.strip("\n").split("\n"))
    shown = "\n".join(line.rstrip() for line in shown.strip("\n").split("\n"))
    pattern = re.escape(shown).replace(r"\.\.\.", ".*?")
    return re.fullmatch(pattern, printed, re.DOTALL) is not None
