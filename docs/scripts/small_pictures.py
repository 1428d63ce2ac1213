"""Pictures for the site: PNG with a palette, small, and the same bytes for the same picture."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

COLOURS = 64
WIDTH = 1100
"""Pixels; wider ones are scaled down."""


def shrink(source: Path, target: Path) -> int:
    """Write a picture anew with few colours. Returns the size in bytes."""
    with Image.open(source) as picture:
        flat = picture.convert("RGB")
        if flat.width > WIDTH:
            flat = flat.resize((WIDTH, round(flat.height * WIDTH / flat.width)), Image.Resampling.LANCZOS)
        few = flat.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        target.parent.mkdir(parents=True, exist_ok=True)
        few.save(target, format="PNG", optimize=True)
    return target.stat().st_size
