"""The base of every part of a scenario: strict, frozen, and naming what is wrong."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Component(BaseModel):
    """A part of a scenario file: unknown fields are errors and values never change after loading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=False,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )
