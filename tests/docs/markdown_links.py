"""Links and anchors of Markdown files, read as MkDocs and GitHub read them."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

from page_blocks import PAGES

REFERENCE = PAGES / "reference"
"""Its pages are written when the site is built."""


class Link(NamedTuple):
    """A link as it is written: the address before and after the `#`."""

    address: str
    anchor: str


def text_alone(text: str) -> str:
    """A page without its code, in which brackets are no links."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def links(text: str) -> list[Link]:
    """All links and pictures of a page."""
    found = re.findall(r"!?\[[^\]]*\]\(([^)\s]+)(?: \"[^\"]*\")?\)", text_alone(text))
    return [Link(*(address.split("#", 1) if "#" in address else (address, ""))) for address in found]


def anchors(text: str) -> set[str]:
    """The anchors that the headings of a page get."""
    without_code = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return {slug(heading) for heading in re.findall(r"^#+ +(.+?)\s*$", without_code, flags=re.MULTILINE)}


def slug(heading: str) -> str:
    """A heading as an anchor: lower case, words joined by hyphens.

    >>> slug("1. Published directions")
    '1-published-directions'
    """
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def problems(page: Path, generated: dict[Path, str]) -> list[str]:
    """What is wrong with the links of a file; links to other machines are not followed.

    generated: pages that are not in the repository, with their text
    """
    text = page.read_text()
    wrong = []
    for address, anchor in links(text):
        if re.match(r"[a-z][a-z0-9+.-]*:", address):
            continue
        target = (page.parent / address).resolve() if address else page
        if target not in generated and not target.exists():
            wrong.append(f"{page.name}: no file {address}")
        elif anchor and target.suffix == ".md":
            there = generated[target] if target in generated else target.read_text()
            if anchor not in anchors(there):
                wrong.append(f"{page.name}: no heading for {address}#{anchor}")
    return wrong
