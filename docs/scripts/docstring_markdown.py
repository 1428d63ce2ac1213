"""Docstrings as Markdown: the house style writes them for readers of code, the site wants lists and fenced examples."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ITEM = re.compile(r"^(\*{0,2}[A-Za-z_]\w*(?:, \*{0,2}[A-Za-z_]\w*)*): (?=\S)")
_SENTENCE = re.compile(r"^(Returns?|Raises|Source|Yields)\b")


def as_markdown(text: str) -> str:
    """A docstring with its parameters as a list and its examples as code.

    text: as `inspect.cleandoc` leaves it. Returns Markdown.

    >>> print(as_markdown("Half.\\n\\nage: days, >= 0\\nReturns a share."))
    Half.
    <BLANKLINE>
    - **age**: days, >= 0
    <BLANKLINE>
    Returns a share.
    """
    blocks = re.split(r"\n\s*\n|\n(?=>>> )", text.strip("\n"))
    return "\n\n".join(_block(block) for block in blocks)


def _block(block: str) -> str:
    """One paragraph: an example, a list of parameters, or text."""
    if block.startswith(">>> "):
        return f"```pycon\n{block}\n```"
    lines = block.split("\n")
    if not any(_is_item(line) for line in lines):
        return block
    parts: list[str] = []
    within = False  # whether the line before belongs to the list
    for line in lines:
        if _is_item(line):
            parts += [""] if parts and not within else []
            parts.append(_ITEM.sub(r"- **\1**: ", line))
            within = True
        elif within and _SENTENCE.match(line):
            parts += ["", line]
            within = False
        else:
            parts.append(f"  {line.strip()}" if within else line)
    return "\n".join(parts)


def _is_item(line: str) -> bool:
    """Whether a line begins the description of a parameter: 'interval: days between retrainings'."""
    return bool(_ITEM.match(line)) and not _SENTENCE.match(line) and not line.startswith("Note:")


class DocstringMarkdown(griffe.Extension):
    """Rewrites each docstring before it is rendered."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """Called by griffe for every module, class, function and attribute that it has read."""
        if not obj.is_alias and obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
