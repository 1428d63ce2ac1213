"""The public names: each is there, is documented, and says the units of its quantities."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

import analysis
import scenarios
import sim
from analysis import economics
from sim.kernels import detectors, scores

PACKAGES = (scenarios, sim, analysis)
MODULES = (*PACKAGES, economics, scores, detectors)
PUBLIC = [(module, name) for module in MODULES for name in module.__all__]
UNITS = re.compile(
    r"\b(days?|hours?|h|minutes|weeks?|a year|seconds|ms|periods?|windows?|USD|money|fractions?|shares?|probabilit\w+|"
    r"percent|nats?|requests|users|labels?|samples?|rows|bytes|GB|points?|integers?|counts?|number of|"
    r"replications?|worlds?|standard deviations?|SDs?|unit|ratio|accurac\w+|observations?|errors?|processes)\b"
    r"|%|\bin [\[(]|[<>]=? ?[0-9]",
    re.IGNORECASE,
)
"""Words that say what a number counts or in what it is measured, and ranges."""
NUMBERS = re.compile(r"\b(float|int|ArrayLike|NDArray|Array|Values)\b")
"""Annotations of parameters that hold numbers."""


def named(pair: tuple[ModuleType, str]) -> str:
    return f"{pair[0].__name__}.{pair[1]}"


def methods(kind: type) -> list[tuple[str, Any]]:
    """Public methods and properties that a class, or one of ours that it comes from, defines."""
    found = {}
    for parent in reversed(kind.__mro__):
        if parent.__module__.partition(".")[0] in ("scenarios", "sim", "analysis"):
            found |= {name: value for name, value in vars(parent).items() if not name.startswith("_")}
    return [
        (name, value)
        for name, value in found.items()
        if inspect.isfunction(value) or isinstance(value, property)
    ]


@pytest.mark.parametrize("pair", PUBLIC, ids=named)
def test_every_public_name_is_there_and_has_a_docstring(pair):
    module, name = pair
    thing = getattr(module, name)
    if not (inspect.isclass(thing) or callable(thing) or isinstance(thing, ModuleType)):
        return  # a constant, documented where it is defined
    words = (inspect.getdoc(thing) or "").split()
    assert len(words) >= 4, named(pair)
    assert thing.__doc__ != object.__doc__
    if inspect.isclass(thing):
        for label, member in methods(thing):
            assert inspect.getdoc(member), f"{named(pair)}.{label}"


def quantities(function: Any) -> list[str]:
    """Parameters of a function that hold numbers."""
    known = inspect.signature(function).parameters.values()
    return [p.name for p in known if NUMBERS.search(str(p.annotation)) and "dict" not in str(p.annotation)]


FUNCTIONS = [pair for pair in PUBLIC if inspect.isfunction(getattr(*pair))]


@pytest.mark.parametrize("pair", FUNCTIONS, ids=named)
def test_functions_with_quantities_tell_their_units(pair):
    function = getattr(*pair)
    if quantities(function):
        assert UNITS.search(inspect.getdoc(function) or ""), f"{named(pair)}: {quantities(function)}"


@pytest.mark.parametrize("name", [n for n in economics.__all__ if inspect.isfunction(getattr(economics, n))])
def test_closed_forms_tell_the_unit_of_what_they_return_and_their_source(name):
    text = inspect.getdoc(getattr(economics, name)) or ""
    assert UNITS.search(text.partition("\n\n")[0])
    assert "ource" in text


def test_the_check_of_units_can_fail():
    def undocumented(speed: float) -> float:
        """Go on at this speed."""
        return speed

    assert quantities(undocumented) == ["speed"]
    assert not UNITS.search(undocumented.__doc__ or "")


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_names_are_listed_sorted_and_imported_on_use(package):
    assert dir(package) == sorted(package.__all__) == list(package.__all__)
    homes = package._HOME
    assert set(package.__all__) == set(homes) | set(getattr(package, "_MODULES", ()))
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing_like_it'$"):
        _ = package.nothing_like_it


@pytest.mark.parametrize(
    ("package", "wrong", "right"),
    [(scenarios, "laod", "load"), (sim, "rnu", "run"), (analysis, "compar", "compare")],
)
def test_a_misspelt_name_is_answered_with_the_nearest(package, wrong, right):
    with pytest.raises(AttributeError, match=f"no attribute '{wrong}', did you mean '{right}'"):
        getattr(package, wrong)


def test_a_function_keeps_its_name_when_its_module_is_imported():
    for name in ("capacity", "sweep", "sensitivity", "optimise", "counterfactual"):
        module = import_module(f"analysis.{name}")
        setattr(analysis, name, module)  # as the import system does, the first time
        assert inspect.isfunction(getattr(analysis, name)), name
        assert getattr(module, name) is getattr(analysis, name)


HEAVY = ("numpy", "pandas", "scipy", "numba", "matplotlib", "pydantic", "simpy")


def test_help_needs_no_heavy_package():
    """Start-up stays quick as long as none of these is imported for it."""
    code = f"import sys, analysis.cli; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
