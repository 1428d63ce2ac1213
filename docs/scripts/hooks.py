"""What MkDocs calls while it builds the site: pages that are written from the code, and formulas without scripts."""

from __future__ import annotations

import re
import sys
from html import unescape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
for folder in (Path(__file__).parent, ROOT):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import api_reference
import command_reference
import schema_reference
from latex2mathml.converter import convert
from mkdocs.structure.files import File

_FORMULA = re.compile(r'<div class="arithmatex">\\\[\s*(.*?)\s*\\\]</div>', re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the reference that nobody writes by hand."""
    pages = {
        "reference/scenario-files.md": schema_reference.page(),
        "reference/command-line.md": command_reference.page(),
        **{f"reference/{name}.md": api_reference.page(name) for name in api_reference.PACKAGES},
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Turn formulas into MathML, which browsers show by themselves."""
    return _FORMULA.sub(_as_mathml, html)


def _as_mathml(found: re.Match[str]) -> str:
    return f'<div class="formula">{convert(unescape(found[1]), display="block")}</div>'
