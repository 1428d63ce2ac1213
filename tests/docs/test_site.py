"""The site as a whole: it builds without a warning, fetches nothing from elsewhere, and a broken link stops it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from page_blocks import ROOT

pytestmark = pytest.mark.slow


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build as `make docs` does."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(site)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


def test_the_site_builds_and_needs_nothing_from_elsewhere(tmp_path):
    done = build(ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    assert "<math" in (tmp_path / "explanation" / "model.html").read_text()
    assert 'id="scenarios.loader.load"' in (tmp_path / "reference" / "scenarios.html").read_text()
    for page in tmp_path.glob("**/*.html"):
        fetched = re.findall(r'<(?:script|img|iframe)[^>]*src="(https?:[^"]+)"', page.read_text())
        fetched += re.findall(
            r'<link[^>]*rel="(?:stylesheet|preconnect)"[^>]*href="(https?:[^"]+)"', page.read_text()
        )
        assert fetched == [], page


@pytest.mark.parametrize("link", ["gone.md", "tutorial.md#gone", "pictures/gone.png"])
def test_a_broken_link_stops_the_build(tmp_path, link):
    root = tmp_path / "root"
    shutil.copytree(ROOT / "docs", root / "docs")
    for package in ("scenarios", "sim", "analysis"):
        (root / package).symlink_to(ROOT / package)
    settings = (ROOT / "mkdocs.yml").read_text()
    # Without the reference from docstrings, which takes most of the time and has links of its own.
    (root / "mkdocs.yml").write_text(re.sub(r"  - mkdocstrings:\n(?:    .*\n)+", "", settings))
    with (root / "docs" / "index.md").open("a") as page:
        page.write(f"\n[broken]({link})\n")
    done = build(root, tmp_path / "site")
    assert done.returncode == 1
    assert "in strict mode" in done.stdout + done.stderr
    assert link in done.stderr
