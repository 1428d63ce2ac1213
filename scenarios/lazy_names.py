"""Public names of a package that are imported on first use, so that start-up stays quick.

A package may have a function and a module of one name (`analysis.capacity`). The name means the function: importing
the module, which anything inside the package may do first, must not put the module in its place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, str], modules: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package.

    homes: module of each public name; modules: names of its modules that are public as such
    The first raises AttributeError with the nearest name for anything else.
    """
    names = sorted({*homes, *modules})

    class Package(ModuleType):
        def __setattr__(self, name: str, value: Any) -> None:
            if not (name in homes and isinstance(value, ModuleType)):
                super().__setattr__(name, value)

    sys.modules[package].__class__ = Package

    def get(name: str) -> Any:
        if name in homes:
            return getattr(import_module(homes[name]), name)
        if name in names:
            return import_module(f"{package}.{name}")
        import difflib

        near = [] if name.startswith("_") else difflib.get_close_matches(name, names, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise AttributeError(f"module {package!r} has no attribute {name!r}{hint}")

    return get, lambda: names
