"""Units of hardware: arithmetic, its speed, bandwidth, power and energy, and the field types that read them.

Inside the program they are FLOP, FLOP per second, bytes per second, watts and joules.
"""

from __future__ import annotations

import re
from fractions import Fraction as Exact
from typing import Annotated

from pydantic import Field

from scenarios.units import Quantity

_UNSIGNED = r"(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?"
_PREFIXES = {"u": -6, "m": -3, "": 0, "k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_PREFIX = "([kKMGTPE]?)"
_BYTES = {f"{letter}iB": Exact(1024) ** power for power, letter in enumerate("KMGT", start=1)}
_BYTES |= {
    f"{letter}B": Exact(10) ** power
    for letter, power in _PREFIXES.items()
    if letter not in "umE" or not letter
}
_BYTE_UNITS = "|".join(sorted(_BYTES, key=len, reverse=True))


def _read_prefixed(found: re.Match[str]) -> Exact:
    return Exact(found[1].replace("_", "")) * Exact(10) ** _PREFIXES[found[2]]


def _read_bandwidth(found: re.Match[str]) -> Exact:
    return Exact(found[1].replace("_", "")) * _BYTES[found[2]]


def _read_energy(found: re.Match[str]) -> Exact:
    return _read_prefixed(found) * (3600 if found[3] == "Wh" else 1)


def _forms(unit: str, prefixes: str) -> tuple[tuple[str, str, Exact], ...]:
    letters = ("", *prefixes.split())
    return tuple(("", f" {letter}{unit}", Exact(10) ** _PREFIXES[letter]) for letter in letters)


WORK = Quantity(
    "an amount of arithmetic", ("4.1 GFLOP", "140 TFLOP"), rf"({_UNSIGNED}) *{_PREFIX}FLOPs?", _read_prefixed,
    "FLOP", forms=_forms("FLOP", "M G T"),
)  # fmt: skip
SPEED = Quantity(
    "a speed of arithmetic", ("312 TFLOP/s", "1 PFLOP/s"),
    rf"({_UNSIGNED}) *{_PREFIX}(?:FLOPs?(?:/| per )s|FLOPS)", _read_prefixed, "FLOP per second",
    forms=_forms("FLOP/s", "G T P"),
)  # fmt: skip
BANDWIDTH = Quantity(
    "a bandwidth", ("100 KB/s", "2 MB/s", "64 GB/s"), rf"({_UNSIGNED}) *({_BYTE_UNITS})(?:/| per )s", _read_bandwidth,
    "bytes per second", forms=_forms("B/s", "M G T"),
)  # fmt: skip
POWER = Quantity(
    "a power", ("400 W", "1.2 kW", "20 mW"), rf"({_UNSIGNED}) *([umkM]?)W", _read_prefixed, "watts",
    forms=_forms("W", "k m u"),
)  # fmt: skip
ENERGY = Quantity(
    "an energy", ("3 Wh", "675 mWh", "2 mJ"), rf"({_UNSIGNED}) *([umkM]?)(J|Wh)", _read_energy, "joules",
    forms=(*_forms("J", "k m u"), ("", " Wh", Exact(3600)), ("", " mWh", Exact(36, 10))),
)  # fmt: skip

Flop = Annotated[float, WORK, Field(ge=0)]
"""Arithmetic in FLOP, >= 0."""
FlopPerSecond = Annotated[float, SPEED, Field(gt=0)]
"""Speed of arithmetic in FLOP per second, > 0."""
BytesPerSecond = Annotated[float, BANDWIDTH, Field(gt=0)]
"""Bandwidth in bytes per second, > 0."""
Watts = Annotated[float, POWER, Field(ge=0)]
"""Power in watts, >= 0."""
Joules = Annotated[float, ENERGY, Field(ge=0)]
"""Energy in joules, >= 0."""
