"""Names in a scenario: each is there once, and what is named exists."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def check_unique(place: str, names: Iterable[str]) -> None:
    """Raise ValueError, naming `place`, for a name that is there twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{place}: {name!r} is there twice, expected different names")
        seen.add(name)


def check_known(place: str, given: str | list[str] | None, names: tuple[str, ...]) -> None:
    """Raise ValueError, naming `place`, for a given name that is not among `names`, with the nearest one."""
    wanted = [] if given is None or given == "all" else [given] if isinstance(given, str) else given
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            listed = ", ".join(names) if names else "(the scenario has none)"
            raise ValueError(f"{place}: unknown {name!r}: {hint}one of: {listed}")
