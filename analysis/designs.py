"""Designs of experiments: what a sweep varies, and every variant of it.

A design is a product of blocks. A grid factor is a block of its own; factors that advance together (pairs), the
points of a sample and the overlays are one block each. Variants are numbered with the first block slowest, and a
variant is made when it is asked for, so that a million of them take no memory.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from analysis.design_fields import VariedField, canonical_path, field_of
from analysis.design_samples import Range, sample_values
from scenarios.schema import Scenario, check_scenario

MAX_VARIANTS = 100_000_000
OVERLAY = "overlay"
"""Name of the factor that chooses among named partial scenarios."""
BASE = "base"
"""The overlay that changes nothing."""


@dataclass(frozen=True)
class Factor:
    """Something that is varied; `values` as scenario files have them, one for each row of its block."""

    name: str
    values: tuple[Any, ...]
    numbers: tuple[float, ...] | None
    """The values in the inner unit (days, per day, ...); None where they are not all numbers."""

    @property
    def levels(self) -> tuple[Any, ...]:
        """The different values, in the order of their first row."""
        return tuple({repr(value): value for value in self.values}.values())

    @property
    def shown(self) -> tuple[Any, ...]:
        """The values as tables have them: numbers in the inner unit, or words."""
        return self.numbers if self.numbers is not None else tuple(_word(value) for value in self.values)


@dataclass(frozen=True)
class Block:
    """Factors that advance together."""

    kind: str
    """grid, pair, sample or overlay."""
    factors: tuple[Factor, ...]

    @property
    def size(self) -> int:
        """Number of rows."""
        return len(self.factors[0].values)


@dataclass(frozen=True)
class Variant:
    """One variant: its number, the value of each factor, and what it changes in the scenario."""

    index: int
    values: dict[str, Any]
    numbers: dict[str, Any]
    """The values for tables: numbers in the inner unit where the factor has them."""

    @property
    def overrides(self) -> dict[str, Any]:
        """Values at paths."""
        return {name: value for name, value in self.values.items() if name != OVERLAY}

    @property
    def overlay(self) -> str:
        """Name of the partial scenario under the overrides."""
        return str(self.values.get(OVERLAY, BASE))

    def __str__(self) -> str:
        """The variant as messages name it."""
        values = ", ".join(f"{name}={short_value(value)}" for name, value in self.values.items())
        return f"variant {self.index} ({values})"


@dataclass(frozen=True)
class Design:
    """What is varied over a scenario; made by `design`.

    overlays: whole scenarios (as data) by name, each the base with a partial scenario put over it
    """

    blocks: tuple[Block, ...]
    overlays: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return math.prod(block.size for block in self.blocks)

    @cached_property
    def factors(self) -> tuple[Factor, ...]:
        """All factors, the slowest first."""
        return tuple(factor for block in self.blocks for factor in block.factors)

    def variant(self, index: int) -> Variant:
        """The variant of a number. Raises ValueError where there is none."""
        if not 0 <= index < len(self):
            raise ValueError(f"variant {index}: expected 0 to {len(self) - 1}")
        rows, rest = [], index
        for block in reversed(self.blocks):
            rest, row = divmod(rest, block.size)
            rows.append(row)
        return self._at(index, rows[::-1])

    def variants(self, numbers: Iterable[int] | None = None) -> Iterator[Variant]:
        """The variants of these numbers; all in order when None."""
        for index in range(len(self)) if numbers is None else numbers:
            yield self.variant(index)

    def columns(self) -> dict[str, list[Any]]:
        """The table of the design: one row a variant, one column a factor, in inner units."""
        names = [factor.name for factor in self.factors]
        columns: dict[str, list[Any]] = {"variant": list(range(len(self))), **{name: [] for name in names}}
        for variant in self.variants():
            for name in names:
                columns[name].append(variant.numbers[name])
        return columns

    def indicative(self, most: int) -> list[int]:
        """Numbers of variants that together show every row of every block, and the corners; at most `most`."""
        sizes = [block.size for block in self.blocks]
        if len(self) <= most:
            return list(range(len(self)))
        strides = [math.prod(sizes[place + 1 :]) for place in range(len(sizes))]
        chosen = {0, len(self) - 1}
        for size, stride in zip(sizes, strides, strict=True):
            chosen.update(row * stride for row in range(size))
        for corner in range(2 ** min(len(sizes), 8)):
            ends = [(size - 1) * (corner >> place & 1) for place, size in enumerate(sizes)]
            chosen.add(sum(end * stride for end, stride in zip(ends, strides, strict=True)))
        return sorted(chosen)[:most]

    def to_dict(self) -> dict[str, Any]:
        """The design as data, from which `from_dict` makes it again."""
        blocks = [
            {
                "kind": block.kind,
                "factors": [
                    {"name": f.name, "values": list(f.values), "numbers": f.numbers and list(f.numbers)}
                    for f in block.factors
                ],
            }
            for block in self.blocks
        ]
        return {"variants": len(self), "blocks": blocks, "overlays": self.overlays}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Design:
        """The design that `to_dict` wrote."""
        return cls(
            tuple(
                Block(
                    block["kind"],
                    tuple(
                        Factor(
                            f["name"],
                            tuple(f["values"]),
                            None if f["numbers"] is None else tuple(f["numbers"]),
                        )
                        for f in block["factors"]
                    ),
                )
                for block in data["blocks"]
            ),
            dict(data["overlays"]),
        )

    def _at(self, index: int, rows: Sequence[int]) -> Variant:
        values: dict[str, Any] = {}
        numbers: dict[str, Any] = {}
        for block, row in zip(self.blocks, rows, strict=True):
            for factor in block.factors:
                values[factor.name] = factor.values[row]
                numbers[factor.name] = (
                    factor.numbers[row] if factor.numbers is not None else _word(factor.values[row])
                )
        return Variant(index, values, numbers)


def design(
    scenario: Scenario,
    vary: Mapping[str, Sequence[Any] | Range] | None = None,
    *,
    pair: Mapping[str, Sequence[Any]] | None = None,
    sample: int | None = None,
    method: str = "lhs",
    overlays: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
) -> Design:
    """What a sweep varies, checked as far as it can be without the variants.

    vary: at each path its values, or a Range; all combinations of them, or `sample` points
    pair: at each path its values, as many for each: they advance together
    sample, method: number of points over `vary`, and how they are spread: random, lhs (Latin hypercube) or sobol
    overlays: partial scenarios by name ('base': none), a factor of its own
    seed: of the sample
    Raises ValueError (ScenarioError) for unknown paths, empty or unequal lists, and a path that is there twice.

    >>> import scenarios
    >>> plan = design(scenarios.load("rotting_asset"), {"quality.decay": ["1%/y", "2%/y"], "horizon": ["30d"]})
    >>> [str(variant) for variant in plan.variants()]
    ['variant 0 (quality.decay=1%/y, horizon=30d)', 'variant 1 (quality.decay=2%/y, horizon=30d)']
    """
    check_scenario(scenario)
    wanted = _by_path(vary or {}, pair or {})
    blocks: list[Block] = []
    whole = _overlaid(scenario, overlays or {})
    if whole:
        blocks.append(Block("overlay", (Factor(OVERLAY, tuple(whole), None),)))
    varied = {path: values for path, (kind, values) in wanted.items() if kind == "vary"}
    paired = {path: values for path, (kind, values) in wanted.items() if kind == "pair"}
    fields = {path: field_of(scenario, path, _example(values)) for path, (_, values) in wanted.items()}
    if sample is not None:
        if not varied:
            raise ValueError(
                "sample: there is nothing to sample, expected a range such as quality.decay=1%/d..5%/d"
            )
        points = sample_values(fields, varied, sample, method, seed)
        blocks.append(Block("sample", tuple(_factor(fields[path], points[path]) for path in varied)))
    else:
        for path, values in varied.items():
            listed = values.values(fields[path]) if isinstance(values, Range) else list(values)
            blocks.append(Block("grid", (_factor(fields[path], listed),)))
    if paired:
        factors = tuple(_factor(fields[path], list(values)) for path, values in paired.items())
        _equally_long(factors)
        blocks.append(Block("pair", factors))
    if not blocks:
        raise ValueError(
            "the design is empty: nothing is varied, expected for example quality.decay=1%/d,2%/d"
        )
    found = Design(tuple(blocks), whole)
    if len(found) > MAX_VARIANTS:
        raise ValueError(f"the design has {len(found):,} variants, expected at most {MAX_VARIANTS:,}")
    return found


def _by_path(
    vary: Mapping[str, Sequence[Any] | Range], pair: Mapping[str, Sequence[Any]]
) -> dict[str, tuple[str, Any]]:
    """What is wanted at each path; raises ValueError where two of them mean the same field."""
    wanted: dict[str, tuple[str, Any]] = {}
    for kind, given in (("vary", vary), ("pair", pair)):
        for written, values in given.items():
            path = canonical_path(written)
            for other in wanted:
                if path == other:
                    raise ValueError(f"{path} is varied twice, expected different fields")
                if path.startswith((f"{other}.", f"{other}[")) or other.startswith((f"{path}.", f"{path}[")):
                    raise ValueError(
                        f"{path} and {other}: one is a part of the other, expected separate fields"
                    )
            if not isinstance(values, Range) and len(values) == 0:
                raise ValueError(f"{path}: no values, expected some, such as {path}=1,2,3")
            wanted[path] = (kind, values)
    return wanted


def _example(values: Sequence[Any] | Range) -> Any:
    return values.low if isinstance(values, Range) else values[0]


def _factor(where: VariedField, values: Sequence[Any]) -> Factor:
    numbers = [where.number(value) for value in values]
    known = [number for number in numbers if number is not None]
    return Factor(where.path, tuple(values), tuple(known) if len(known) == len(numbers) else None)


def _equally_long(factors: Sequence[Factor]) -> None:
    lengths = {factor.name: len(factor.values) for factor in factors}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} has {count}" for name, count in lengths.items())
        raise ValueError(f"paired lists must be equally long: {counts}")


def _overlaid(scenario: Scenario, overlays: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Whole scenarios (as data) by the name of what was put over the base."""
    from scenarios.loader import validate_mapping

    base = content_of(scenario)
    return {
        name: content_of(validate_mapping(_merged(base, partial), source=f"overlay {name}"))
        for name, partial in overlays.items()
    }


def content_of(scenario: Scenario) -> dict[str, Any]:
    """A scenario as data that can be stored and validated again: what was said, with recorded files read in."""
    return scenario.model_dump(mode="json", exclude_unset=True)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged field by field; one of another kind, lists and plain values replace what was there."""
    result = dict(base)
    for key, value in over.items():
        below = base.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping) and _same_kind(value, below):
            result[key] = _merged(below, value)
        else:
            result[key] = value
    return result


def _same_kind(value: Mapping[str, Any], below: Mapping[str, Any]) -> bool:
    return "kind" not in value or value["kind"] == below.get("kind")


def short_value(value: Any, most: int = 24) -> str:
    """A value as scenario files have it, with few digits, for tables and axes.

    >>> short_value("0.002186724147886556/d"), short_value(0.1)
    ('0.00219/d', '0.1')
    """
    text = re.sub(r"\d+\.\d{3,}(e-?\d+)?", _few_digits, _word(value))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _few_digits(found: re.Match[str]) -> str:
    number = float(found[0])
    return f"{number:.0f}" if number >= 1000.0 else f"{number:.3g}"


def _word(value: Any) -> str:
    """A value that is no number, for a table."""
    return value if isinstance(value, str) else json.dumps(value)
