"""The reference of the Python interface: one entry for each public name, filled from its docstring by the site."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType

PACKAGES = ("scenarios", "sim", "analysis")
MORE = ("sim.kernels.scores", "sim.kernels.detectors")
"""Modules that users import by their full name, beside the three packages."""
HEAD = "Written from `__all__` and the docstrings when the site is built; the examples in it are run by the tests."


def page(package: str) -> str:
    """The page of a package: its functions and classes first, then its public modules, each with its own names."""
    module = importlib.import_module(package)
    names = sorted(module.__all__, key=str.lower)
    modules = [f"{package}.{name}" for name in names if isinstance(public(module, name), ModuleType)]
    modules += [name for name in MORE if name.startswith(f"{package}.")]
    own = [name for name in names if not isinstance(public(module, name), ModuleType)]
    head = f"# `{package}`\n\n{summary(module)}\n\n{HEAD}"
    parts = [_entry(module, name) for name in own]
    parts += [_module(name) for name in modules]
    return "\n\n".join([head, *parts]) + "\n"


def summary(module: ModuleType) -> str:
    """The first paragraph of a module's docstring."""
    return (module.__doc__ or "").strip().split("\n\n")[0]


def public(module: ModuleType, name: str) -> object:
    """What users get by a name; a package that imports on first use is asked itself.

    A part of the same name, imported before, would hide what the package offers under it.
    """
    lazily = getattr(module, "__getattr__", None)
    return lazily(name) if lazily is not None else getattr(module, name)


def home(thing: object, package: str) -> str:
    """The module in which a public thing is written; that of the package for plain values."""
    return str(getattr(thing, "__module__", package))


def _entry(module: ModuleType, name: str, level: int = 2) -> str:
    """One name: documented where it is written, called as users import it."""
    path = f"{home(public(module, name), module.__name__)}.{name}"
    called = f"{module.__name__}.{name}"
    options = {"heading_level": level, "heading": called, "toc_label": name}
    return f"::: {path}\n    options:\n" + "\n".join(
        f"      {key}: {value}" for key, value in options.items()
    )


def _module(path: str) -> str:
    """A module: what it says, and its public names as members."""
    module = importlib.import_module(path)
    members: Sequence[str] = getattr(module, "__all__", ())
    names = [name for name in members if not isinstance(public(module, name), ModuleType)]
    head = f"## `{path}`\n\n{summary(module)}"
    if not names:
        options = {"heading_level": 3, "show_root_heading": "false", "show_root_toc_entry": "false"}
        return f"{head}\n\n::: {path}\n    options:\n" + "\n".join(
            f"      {k}: {v}" for k, v in options.items()
        )
    documented = [
        name for name in names if getattr(public(module, name), "__module__", "").split(".")[0] in PACKAGES
    ]
    return "\n\n".join([head, *(_entry(module, name, 3) for name in documented)])
