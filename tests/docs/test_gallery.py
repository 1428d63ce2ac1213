"""The gallery: every scenario with its question, its command and its picture, which can be made again."""

from __future__ import annotations

import make_gallery
import pytest
import typer
from PIL import Image
from small_pictures import WIDTH, shrink

import scenarios
from analysis.cli import app
from scenarios.loader import library_names


def test_the_page_is_that_of_the_library():
    told = "docs/gallery.md is old: run `make gallery`, or `python docs/make_gallery.py --page` for the text alone"
    assert make_gallery.PAGE.read_text() == make_gallery.page(), told


def test_every_scenario_has_its_small_picture():
    pictures = {file.stem: file for file in make_gallery.PICTURES.glob("*.png")}
    assert set(pictures) == set(library_names())
    assert sum(file.stat().st_size for file in pictures.values()) < 3_000_000
    for file in pictures.values():
        with Image.open(file) as picture:
            assert picture.mode == "P"
            assert picture.width <= WIDTH


def test_commands_are_those_of_the_command_line():
    used = {make_gallery.words(name, scenarios.load(name))[0] for name in library_names()}
    assert used <= set(typer.main.get_command(app).commands)


def test_a_picture_made_again_has_the_same_bytes(tmp_path):
    source = tmp_path / "source.png"
    Image.effect_noise((WIDTH + 300, 200), 60.0).convert("RGB").save(source)
    sizes = [shrink(source, tmp_path / name) for name in ("one.png", "two.png")]
    assert sizes[0] == sizes[1]
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


@pytest.mark.slow
def test_a_scenario_drawn_again_has_the_same_picture(tmp_path):
    for name in ("one.png", "two.png"):
        make_gallery.draw("rotting_asset", tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
