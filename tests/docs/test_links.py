"""Links of all Markdown files of the repository, offline: files and headings exist."""

from __future__ import annotations

import subprocess
from pathlib import Path

import api_reference
import command_reference
import pytest
import schema_reference
from markdown_links import REFERENCE, anchors, links, problems, slug
from page_blocks import ROOT


@pytest.fixture(scope="module")
def generated() -> dict[Path, str]:
    """Pages of the reference, with their text."""
    pages = {
        REFERENCE / "scenario-files.md": schema_reference.page(),
        REFERENCE / "command-line.md": command_reference.page(),
    }
    # Anchors within these come from docstrings: the build of the site checks them.
    return pages | {REFERENCE / f"{name}.md": "" for name in api_reference.PACKAGES}


def markdown_files() -> list[Path]:
    """Markdown that belongs to the repository, also where it is not yet committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_every_link_leads_somewhere(generated):
    files = markdown_files()
    assert ROOT / "README.md" in files
    assert [problem for page in files for problem in problems(page, generated)] == []


def test_links_between_generated_parts_lead_somewhere(generated):
    for page, text in generated.items():
        assert {anchor for address, anchor in links(text) if not address} <= anchors(text), page


def test_broken_links_are_found(tmp_path, generated):
    (tmp_path / "there.md").write_text("# A heading, with `code`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[good](there.md#a-heading-with-code) [no file](gone.md) [no heading](there.md#gone)\n"
        "`[code](gone.md)` [elsewhere](https://example.org) ![picture](gone.png) [here](#gone)\n"
    )
    assert problems(page, generated) == [
        "page.md: no file gone.md",
        "page.md: no heading for there.md#gone",
        "page.md: no file gone.png",
        "page.md: no heading for #gone",
    ]


def test_anchors_are_those_of_the_site():
    pytest.importorskip("markdown")
    from markdown.extensions.toc import slugify

    for heading in ("1. Published directions", "What T* means, and when it breaks", "10^8 runs", "A -- B"):
        assert slug(heading) == slugify(heading, "-")
