"""What the shell proposes after TAB: scenarios, overlays, policies, topics, and paths of fields for --set.

Installed with `halflife --install-completion`. A proposal never fails: what cannot be read proposes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

FILES = (".yaml", ".yml")
"""Endings of files that may be scenarios or overlays."""
EXAMPLES = ("scheduled:7d", "scheduled:best", "triggered:psi>0.2", "triggered:accuracy<-0.05", "hybrid:30d")
"""Policies with arguments that are proposed beside the bare names."""


def starting(names: Iterable[str], incomplete: str) -> list[str]:
    """The names that begin with what was typed.

    >>> starting(["never", "oracle"], "o")
    ['oracle']
    """
    return [name for name in names if name.startswith(incomplete)]


def complete_scenario(incomplete: str) -> list[str]:
    """Scenarios of the library, and YAML files and folders below what was typed."""
    from scenarios.loader import library_names

    return starting(library_names(), incomplete) + _files(incomplete)


def complete_overlay(ctx: Any, incomplete: str) -> list[str]:
    """Overlays of the library and of the scenario that was named, and files."""
    from scenarios.overlays import overlay_names

    scenario = _scenario(ctx)
    own = [] if scenario is None else sorted(scenario.overlays)
    return starting([*own, *overlay_names()], incomplete) + _files(incomplete)


def complete_variant(ctx: Any, incomplete: str) -> list[str]:
    """The scenario as it is, and its overlays."""
    return starting(["base"], incomplete) + complete_overlay(ctx, incomplete)


def complete_topic(incomplete: str) -> list[str]:
    """Topics of the library."""
    from scenarios.topics import topic_names

    return starting(topic_names(), incomplete)


def complete_policy(incomplete: str) -> list[str]:
    """Names of policies and examples with arguments.

    >>> complete_policy("hyb")
    ['hybrid', 'hybrid:30d']
    """
    from scenarios.policies import KINDS

    return starting(sorted((*KINDS, *EXAMPLES)), incomplete)


def complete_setting(ctx: Any, incomplete: str) -> list[str]:
    """Paths of the fields of the scenario that was named, each with `=`; after it, the value as it stands."""
    scenario = _scenario(ctx)
    if scenario is None:
        return []
    from scenarios.parameters import parameters

    rows = {f"{row.path}=": row.value for row in parameters(scenario)}
    if incomplete in rows:
        return [incomplete + rows[incomplete]]
    return starting(rows, incomplete)


def _scenario(ctx: Any) -> Any:
    """The scenario of the command line so far; None where there is none yet, or none that can be read.

    While an option still lacks its value, what was typed before it is in `args` and not in `params`.
    """
    from scenarios.loader import load

    for name in (ctx.params.get("scenario"), *ctx.args):
        try:
            if name:
                return load(name)
        except (ValueError, OSError):
            continue
    return None


def _files(incomplete: str) -> list[str]:
    folder = Path(incomplete if incomplete.endswith("/") else incomplete.rpartition("/")[0] or ".")
    prefix = "" if folder == Path() and not incomplete.startswith("./") else f"{str(folder).rstrip('/')}/"
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return []
    names = [
        f"{prefix}{path.name}" + ("/" if path.is_dir() else "")
        for path in found
        if not path.name.startswith(".") and (path.is_dir() or path.suffix.lower() in FILES)
    ]
    return starting(names, incomplete) if incomplete else [name for name in names if name.endswith(FILES)]
