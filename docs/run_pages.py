"""Run all that the pages of the documentation show, and say where a page does not tell the truth.

`python docs/run_pages.py [PAGE ...]` runs the blocks of the pages (all of them when none is named) and compares what
they print with what the page shows. `--write` puts what was printed, and the pictures that came out, into the pages.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "scripts"))

from page_blocks import PAGES, BlockFailed, Ran, agrees, pages, pictures, run_page
from small_pictures import shrink


def main() -> int:
    """Run the pages that were asked for; the exit status is the number of pages that are wrong."""
    parser = argparse.ArgumentParser(description="Run what the pages of the documentation show.")
    parser.add_argument("page", nargs="*", type=Path, help="Markdown files; all when none is named")
    parser.add_argument("--write", action="store_true", help="renew what is printed and the pictures")
    asked = parser.parse_args()
    wrong = 0
    for page in [path.resolve() for path in asked.page] or pages():
        begin = time.monotonic()
        problems = check(page, write=asked.write)
        for problem in problems:
            print(problem, file=sys.stderr)
        wrong += bool(problems)
        print(f"{page.relative_to(PAGES.parent)}: {time.monotonic() - begin:.0f} s", flush=True)
    return wrong


def check(page: Path, write: bool = False) -> list[str]:
    """What is wrong with a page: blocks that fail, outputs that differ, pictures that do not come out.

    write: put the right ones there instead of telling
    """
    problems = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stale = []
        try:
            for ran in run_page(page, folder):
                if ran.shown is not None and not agrees(ran.printed, ran.shown.text):
                    stale.append(ran)
        except BlockFailed as failure:
            problems.append(str(failure))
        text = page.read_text()
        for source, address in pictures(text):
            if not (folder / source).is_file():
                problems.append(f"{page.name}: no file {source} came out for the picture {address}")
            elif write:
                shrink(folder / source, (page.parent / address).resolve())
    if write:
        page.write_text(renewed(text, stale))
        return problems
    return problems + [told(page, ran) for ran in stale]


def renewed(text: str, stale: list[Ran]) -> str:
    """The page with what was printed in its `text` blocks; the last first, so that line numbers stay right."""
    lines = text.split("\n")
    for ran in reversed(stale):
        assert ran.shown is not None
        begin = ran.shown.line
        lines[begin : begin + ran.shown.text.count("\n")] = ran.printed.strip("\n").split("\n")
    return "\n".join(lines)


def told(page: Path, ran: Ran) -> str:
    """What a block printed where the page shows something else."""
    assert ran.shown is not None
    return f"{page.name}:{ran.shown.line}: the page shows something else than what is printed:\n{ran.printed}"


if __name__ == "__main__":
    sys.exit(main())
