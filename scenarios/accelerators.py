"""Accelerators: what a device can do and what it costs, by the name of a preset or by numbers of one's own.

Presets and their sources: `scenarios/data/accelerators.yaml`. Numbers beside `preset` replace those of the preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from scenarios.base import Component
from scenarios.hardware_units import BytesPerSecond, FlopPerSecond, Watts
from scenarios.problems import choice
from scenarios.units import Bytes, MoneyPerDay, shown

FIELDS = (
    "peak", "memory", "memory_bandwidth", "input_bandwidth", "idle_power", "peak_power", "price", "source", "note"
)  # fmt: skip


class Accelerator(Component):
    """One device: a GPU, or the processors of a server."""

    preset: str | None = Field(default=None, description="name of a known accelerator, e.g. a100_80gb")
    name: str = Field(default="", description="name in tables; that of the preset when absent")
    peak: FlopPerSecond = Field(
        description="peak dense arithmetic at the precision served, e.g. '312 TFLOP/s'"
    )
    memory: Annotated[Bytes, Field(gt=0)] = Field(description="size of its memory, e.g. '80 GB'")
    memory_bandwidth: BytesPerSecond = Field(description="bandwidth of its memory, e.g. '2 TB/s'")
    input_bandwidth: BytesPerSecond = Field(
        default=64e9, description="bandwidth by which inputs come in, e.g. '64 GB/s'"
    )
    idle_power: Watts = Field(default=0.0, description="power when it has nothing to do")
    peak_power: Watts = Field(default=0.0, description="power at full work; 0: unknown")
    price: MoneyPerDay = Field(default=0.0, description="on-demand price of one device, e.g. '$3/h'")
    assumed_price: bool = Field(
        default=False, description="true: the price is that of the preset, an assumption in USD"
    )
    source: str = Field(default="", description="where the numbers come from")
    note: str = Field(default="", description="what to know about them")

    @model_validator(mode="after")
    def _powers(self) -> Self:
        if self.peak_power and self.idle_power > self.peak_power:
            raise ValueError("idle_power must not be more than peak_power")
        return self

    @property
    def label(self) -> str:
        """Name in tables.

        >>> preset("l4").label
        'l4'
        """
        return self.name or self.preset or "accelerator"


@lru_cache(maxsize=1)
def _presets() -> dict[str, dict[str, Any]]:
    from scenarios.yaml_reading import read_mapping

    text = files("scenarios.data").joinpath("accelerators.yaml").read_text(encoding="utf-8")
    return dict(read_mapping(text, "accelerators.yaml").data)


def preset_names() -> tuple[str, ...]:
    """Names of the accelerators that ship with the package.

    >>> "h100_80gb" in preset_names()
    True
    """
    return tuple(_presets())


def preset(name: str) -> Accelerator:
    """The accelerator of that name. Raises ValueError for a name that is not there, with the nearest one.

    >>> preset("a100_80gb").price / 24.0
    3.0
    """
    return Accelerator.model_validate(with_preset(name))


def with_preset(given: Any) -> Any:
    """What was written with the numbers of its preset put in; a text is the name of a preset."""
    if isinstance(given, str):
        given = {"preset": given}
    if not isinstance(given, Mapping) or given.get("preset") is None:
        return given
    name = given["preset"]
    if name not in preset_names():
        raise ValueError(f"preset: unknown {shown(name)}: {choice(name, preset_names())}")
    values = {field: value for field, value in _presets()[name].items() if field in FIELDS}
    # A document that was written out has the price and the word that it is assumed; a user has neither or the price.
    assumed = given.get("assumed_price", "price" not in given)
    return {**values, **given, "assumed_price": assumed}


AnyAccelerator = Annotated[
    Accelerator,
    BeforeValidator(with_preset, json_schema_input_type=str | Accelerator | dict[str, Any]),
]
"""The name of a preset, or a mapping of numbers, with or without `preset`."""
